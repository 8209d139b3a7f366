"""The picture of a beat as a differentiable function of its signal.

The rule is that of `agile_bench.signals.raster`, repeated here with its derivative. In units of rows a sample lies at
y = (3 - s) / `ROW_MV`, clipped to 0..199; the line of a column runs over y and its half-way points to both neighbours,
from `low` to `high`; the ink of row r is ::

    ink(r) = E(high + 1 - r) - E(low - 1 - r),    E(t) = 1/2 + t - t |t| / 2    for t clipped to -1..1

E is the integral of a tent over one row either way, so the derivative of the ink to `high` is that tent around
high + 1, and of a loss to `high` the loss's gradient to the ink, interpolated linearly at row high + 1 (to `low`: minus
that at row low - 1). The backward pass therefore reads four pixels a column and keeps no picture. The gradient is
exact wherever there is one: not where a sample ties with a half-way point or lies on the border of the range. At a
tie it is shared equally; a sample out of range gets none.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from agile_bench.signals.digitise import LINE_ROWS, ROW_MV, ROWS, TOP_MV

__all__ = ["rasterise"]

_REACH = LINE_ROWS / 2
_BLOCK = 16
_BLOCK_CUDA = 256
"""Beats drawn at a time: on a CPU what its cache holds, on a GPU enough to keep it busy (41 MB a temporary)."""


def rasterise(signal: Tensor) -> Tensor:
    """Draw beats as pictures that carry a gradient to the signal.

    Parameters
    ----------
    signal : (n, 200) floating tensor
        Millivolts, on any device. float16 and bfloat16 are drawn in float32, also under autocast. What lies beyond
        -2..+3 mV is drawn on the border row.

    Returns
    -------
    (n, 200, 200) float32 tensor (float64 of a float64 signal)
        Rows from +3 mV (row 0) to -2 mV (row 199), ink 1 on 0. Differentiable once.

    Notes
    -----
    The result takes 160 kB a beat in float32, the gradient that comes back as much again; nothing else grows with the
    picture but two temporaries of a constant block of beats (16 on a CPU, 256 on a GPU). Callers bound their memory
    by the number of beats they draw at once.
    """
    if signal.dtype in (torch.float16, torch.bfloat16):
        signal = signal.float()
    y = ((TOP_MV - signal) / ROW_MV).clamp(0, ROWS - 1)
    half_way = (y[:, :-1] + y[:, 1:]) / 2
    before = torch.cat([y[:, :1], half_way], dim=1)
    after = torch.cat([half_way, y[:, -1:]], dim=1)
    low = torch.minimum(torch.minimum(before, after), y) - _REACH
    high = torch.maximum(torch.maximum(before, after), y) + _REACH
    return cast(Tensor, _Ink.apply(low, high))


class _Ink(torch.autograd.Function):
    """Pictures (n, rows, columns) of lines from `low` to `high`, both (n, columns)."""

    @staticmethod
    def forward(ctx: Any, low: Tensor, high: Tensor) -> Tensor:
        ctx.save_for_backward(low, high)
        rows = torch.arange(ROWS, dtype=low.dtype, device=low.device)[:, None]
        picture = low.new_empty((len(low), ROWS, low.shape[1]))
        block = _BLOCK_CUDA if low.is_cuda else _BLOCK
        for start in range(0, len(low), block):
            part = slice(start, start + block)
            torch.sub(_edge(high[part, None], rows), _edge(low[part, None], rows), out=picture[part])
        return picture

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        low, high = ctx.saved_tensors
        return -_at_row(gradient, low), _at_row(gradient, high)


def _edge(at: Tensor, rows: Tensor) -> Tensor:
    """E(at - row) - 1/2, (n, rows, columns)."""
    t = (at - rows).clamp_(-1, 1)
    return t.abs().mul_(-0.5).add_(1).mul_(t)


def _at_row(picture: Tensor, row: Tensor) -> Tensor:
    """Values (n, columns) of a picture between its rows, taken as 0 beyond the border."""
    upper = row.floor()
    weight = row - upper
    total = torch.zeros_like(row)
    for step, share in ((0, 1 - weight), (1, weight)):
        index = upper.long() + step
        value = picture.gather(1, index.clamp(0, ROWS - 1)[:, None])[:, 0]
        total += share * value * ((index >= 0) & (index < ROWS))
    return total
