"""The one filter of the benchmark: every beat is cut from a lead limited to the same band."""

import numpy as np
from scipy.signal import butter, sosfiltfilt

from agile_bench.api import Array

ORDER = 4
"""Order of the low-pass and of the high-pass side; running both ways doubles it."""
PAD_SECONDS = 2.0
"""Mirrored stretch at both ends, as long as the slow side of the filter rings."""


def bandpass(x: Array, fs: float, low: float = 0.5, high: float = 40.0) -> Array:
    """Zero-phase Butterworth band-pass.

    Parameters
    ----------
    x : (n,) or (n, k) array
        Signals along axis 0, finite, any unit.
    fs : float
        Sampling rate, Hz.
    low, high : float
        Edges of the band, Hz. A lead sampled so slowly that `high` is not below fs / 2 holds nothing above
        the band, and only the high-pass side is applied.

    Returns
    -------
    float64 array
        Same shape and unit.

    Raises
    ------
    ValueError
        If `low` is not between 0 and fs / 2.

    References
    ----------
    Butterworth (1930).
    """
    if not 0 < low < fs / 2:
        raise ValueError(f"low edge {low} Hz is not between 0 and half the sampling rate, {fs / 2} Hz")
    if len(x) < 2:
        return np.zeros(np.shape(x))
    if high < fs / 2:
        sos = butter(ORDER, (low, high), "bandpass", fs=fs, output="sos")
    else:
        sos = butter(ORDER, low, "highpass", fs=fs, output="sos")
    pad = min(len(x) - 1, round(PAD_SECONDS * fs))
    filtered: Array = sosfiltfilt(sos, np.asarray(x, float), axis=0, padlen=pad)
    return filtered
