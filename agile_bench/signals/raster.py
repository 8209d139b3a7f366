"""The picture of a beat, drawn fast: a line on white paper of 200 x 200 pixels, one column a sample.

The same rule holds here and, differentiable, in `agile_bench.nn.raster`. In units of rows, a sample of s mV lies at
y = (3 - s) / `ROW_MV`, clipped to 0..199. In column j the line runs over everything between y[j] and its half-way
points to both neighbours (at the ends of the beat, to the only one), from `low` to `high`, and is `LINE_ROWS` thick,
so that steep slopes are filled and neighbouring columns always touch. The ink of a pixel is how much of its
surroundings the line covers, weighted by a tent over one row either way (Feibush, Levoy and Cook 1980)::

    ink(r) = E(high + 1 - r) - E(low - 1 - r),    E(t) = 1/2 + t - t |t| / 2    for t clipped to -1..1

where E is the integral of the tent, and 1 half of `LINE_ROWS`. The tent reproduces straight lines: the centroid of a
level line's ink is its height exactly, wherever it lies between two rows.
"""

import numba
import numpy as np

from agile_bench.api import Array
from agile_bench.signals.digitise import BOTTOM_MV, LINE_ROWS, ROW_MV, ROWS, TOP_MV

__all__ = ["out_of_range", "rasterise"]

_TOP = np.float32(TOP_MV)
_PER_MV = np.float32(1 / ROW_MV)
_LAST = np.float32(ROWS - 1)
_REACH = np.float32(LINE_ROWS / 2)
_ONE = np.float32(1)
_HALF = np.float32(0.5)
_FULL = np.float32(255)


def rasterise(signal: Array) -> Array:
    """Draw beats as pictures.

    Parameters
    ----------
    signal : (n, 200) float array
        Millivolts. What lies beyond -2..+3 mV is drawn on the border row.

    Returns
    -------
    (n, 200, 200) uint8 array
        Rows from +3 mV (row 0) to -2 mV (row 199), ink 255 on 0.

    Raises
    ------
    ValueError
        If the signal is not finite, or not two-dimensional.
    """
    signal = np.ascontiguousarray(signal, np.float32)
    if signal.ndim != 2:
        raise ValueError(f"signal has shape {signal.shape}, beats are (n, 200)")
    if not np.isfinite(signal).all():
        raise ValueError("signal is not finite: a beat with a gap cannot be drawn")
    n, columns = signal.shape
    picture = np.empty((n, ROWS, columns), np.uint8)
    _draw(signal, picture)
    return picture


def out_of_range(signal: Array) -> float:
    """Share of beats with a sample that the picture cannot hold.

    Parameters
    ----------
    signal : (n, 200) float array
        Millivolts.

    Returns
    -------
    float
        0-1; 0 of no beats.
    """
    outside = (signal > TOP_MV) | (signal < BOTTOM_MV)
    return float(outside.any(axis=1).mean()) if len(signal) else 0.0


def _compiled(function):  # type: ignore[no-untyped-def]
    return numba.njit(cache=True)(function)


@_compiled
def _edge(t):  # type: ignore[no-untyped-def]
    t = min(max(t, -_ONE), _ONE)
    return t - _HALF * t * abs(t)


@_compiled
def _draw(signal, picture):  # type: ignore[no-untyped-def]
    columns = signal.shape[1]
    y = np.empty(columns, np.float32)
    for beat in range(len(signal)):
        paper = picture[beat]
        paper[:] = 0
        for j in range(columns):
            y[j] = min(max((_TOP - signal[beat, j]) * _PER_MV, np.float32(0)), _LAST)
        for j in range(columns):
            before = _HALF * (y[max(j - 1, 0)] + y[j])
            after = _HALF * (y[j] + y[min(j + 1, columns - 1)])
            low = min(before, y[j], after) - _REACH
            high = max(before, y[j], after) + _REACH
            for row in range(max(int(low), 0), min(int(high) + 2, ROWS)):
                r = np.float32(row)
                paper[row, j] = np.uint8(_FULL * (_edge(high - r) - _edge(low - r)) + _HALF)
