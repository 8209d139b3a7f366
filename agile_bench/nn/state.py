"""A torch module as a `State` of plain arrays, and back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

import numpy as np
import torch
from torch import nn

from agile_bench.api import Array, State

__all__ = ["pack", "unpack"]

M = TypeVar("M", bound=nn.Module)


def pack(module: nn.Module, prefix: str = "") -> State:
    """Copy all parameters and buffers of a module into arrays.

    Parameters
    ----------
    module : torch.nn.Module
        On any device. Values of bfloat16 become float32, for numpy has no such type; integers stay integers.
    prefix : str
        Put before every key, so that a module can share a state with other arrays.

    Returns
    -------
    State
        Keys as in ``module.state_dict()``, behind the prefix.
    """
    state: State = {}
    for name, tensor in module.state_dict().items():
        if tensor.dtype is torch.bfloat16:
            tensor = tensor.float()
        state[prefix + name] = np.array(tensor.detach().cpu().numpy(), order="C")  # bits depend on the layout
    return state


def unpack(build: Callable[[], M], state: Mapping[str, Array], device: str = "cpu", prefix: str = "") -> M:
    """Rebuild a module from `pack`'s arrays, ready to predict.

    Parameters
    ----------
    build : callable
        Makes the module; read sizes from `state`, not from settings. No weight is initialised.
    state : mapping of str to array
        What `pack` returned; it is copied.
    device : str
        Where the module is put.
    prefix : str
        Only keys that start with it belong to the module.

    Returns
    -------
    torch.nn.Module
        In evaluation mode.

    Raises
    ------
    ValueError
        If names or shapes are not those of the module.
    """
    with torch.device("meta"):
        module = build()
    mine = {name.removeprefix(prefix): array for name, array in state.items() if name.startswith(prefix)}
    tensors = {name: torch.tensor(array) for name, array in mine.items()}
    try:
        module.load_state_dict(tensors, assign=True)
    except RuntimeError as error:
        raise ValueError(f"the state does not fit {type(module).__name__}: {error}") from error
    return module.to(device).eval()
