"""Torch's global random generator, borrowed for one block and given back as it was."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from agile_bench.api import Context

__all__ = ["seeded"]


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
