"""Torch's global random generator, borrowed for one block and given back as it was."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from agile_bench.api import Context

__all__ = ["deterministic", "seeded"]


@contextmanager
def seeded(ctx: Context, *label: str | int) -> Iterator[None]:
    """Seed torch for this place and label, and restore its generators afterwards.

    Layers initialise and drop out from torch's global generators (the CPU's and the device's), which a numpy
    generator does not reach. Inside the block both are a pure function of ``ctx.label`` and `label`.

    Parameters
    ----------
    ctx : Context
        Its label and `device`.
    *label : str or int
        What is drawn here, such as ``"init"`` or ``"epoch", 3``.
    """
    device = torch.device(ctx.device)
    cuda = []
    if device.type == "cuda":
        cuda = [device.index if device.index is not None else torch.cuda.current_device()]
    with torch.random.fork_rng(devices=cuda):
        torch.manual_seed(ctx.seed_of(*label))
        yield


def deterministic() -> None:
    """From now on in this process kernels of CUDA repeat themselves, and float32 is float32.

    Kernels that have no such form warn, and their networks may differ in the last bits from run to run.
    """
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.allow_tf32 = False
