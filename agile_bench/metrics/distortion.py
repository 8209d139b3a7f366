"""How far a released waveform is from the original one, per record, in the same unit and on the same samples.

Nothing is re-aligned or rescaled before comparing. The plain PRD is not offered: it depends on the baseline
that the recorder happens to add, while PRDN, which takes the mean off the original first, does not.
"""

from __future__ import annotations

from math import inf, log10, nan, sqrt

import numpy as np

from agile_bench.metrics.scores import Array

__all__ = ["distortions", "pearson_r", "prdn", "rmse", "snr_db"]


def _waveforms(x: Array, y: Array) -> tuple[Array, Array]:
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if x.shape != y.shape or x.size == 0:
        raise ValueError(f"waveforms must have the same samples, got shapes {x.shape} and {y.shape}")
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise ValueError("waveforms must be finite")
    return x.ravel(), y.ravel()


def _deviation(x: Array) -> Array | None:
    """`x` less its mean; None where it is flat (the rounded mean alone would leave a residue)."""
    deviation: Array = x - x.mean()
    return None if np.ptp(x) == 0 else deviation


def rmse(x: Array, y: Array) -> float:
    """Root mean square difference of original `x` and release `y`, in their unit (mV).

    Raises
    ------
    ValueError
        If the shapes differ, are empty, or a sample is not finite (as for all metrics of this module).
    """
    x, y = _waveforms(x, y)
    return sqrt(float(np.mean((y - x) ** 2)))


def prdn(x: Array, y: Array) -> float:
    """Normalised percentage RMS difference: 100 sqrt(sum (y - x)^2 / sum (x - mean x)^2), in %.

    0 for an exact copy, 100 for the flat line at the mean; nan for a flat original, which has nothing to
    relate to.
    """
    x, y = _waveforms(x, y)
    deviation = _deviation(x)
    return nan if deviation is None else 100 * sqrt(float(np.sum((y - x) ** 2) / np.sum(deviation**2)))


def snr_db(x: Array, y: Array) -> float:
    """Signal-to-noise ratio 10 lg(sum (x - mean x)^2 / sum (y - x)^2) in dB, which is 40 - 20 lg PRDN.

    ``inf`` for an exact copy, nan for a flat original.
    """
    relative = prdn(x, y)
    return inf if relative == 0 else 40 - 20 * log10(relative)


def pearson_r(x: Array, y: Array) -> float:
    """Pearson correlation, in [-1, 1]; nan if either waveform is flat. Blind to gain and offset."""
    x, y = _waveforms(x, y)
    dx, dy = _deviation(x), _deviation(y)
    if dx is None or dy is None:
        return nan
    # Each side is scaled by itself: the product of two small powers could underflow.
    return float(np.clip(np.sum((dx / np.linalg.norm(dx)) * (dy / np.linalg.norm(dy))), -1.0, 1.0))


_METRICS = {"rmse-mv": rmse, "prdn": prdn, "snr-db": snr_db, "pearson-r": pearson_r}


def distortions(original: Array, released: Array, record: Array) -> dict[str, Array]:
    """All metrics of this module for every record, over all of its beats together.

    Parameters
    ----------
    original, released : (n, 200) float array
        Millivolts, row by row the same beats.
    record : (n,) int array
        Record of each beat.

    Returns
    -------
    dict of (n_records,) float64
        ``rmse-mv``, ``prdn`` (%), ``snr-db`` and ``pearson-r``; records in order of first appearance.

    Raises
    ------
    ValueError
        If the shapes disagree, there is no beat, or a sample is not finite.
    """
    original, released, record = np.asarray(original), np.asarray(released), np.asarray(record)
    if original.shape != released.shape or record.shape != original.shape[:1] or len(record) == 0:
        raise ValueError(f"shapes disagree or are empty: {original.shape}, {released.shape}, records {record.shape}")
    _, first, counts = np.unique(record, return_index=True, return_counts=True)
    rows = np.split(np.argsort(record, kind="stable"), np.cumsum(counts)[:-1])
    ordered = [rows[j] for j in np.argsort(first)]
    return {
        name: np.array([metric(original[r], released[r]) for r in ordered], dtype=np.float64)
        for name, metric in _METRICS.items()
    }
