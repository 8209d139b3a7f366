"""R-peaks: found, put on the wave that dominates the record, and matched with a reference."""

import numpy as np
from sleepecg.heartbeats import detect_heartbeats

from agile_bench.api import Array

DETECT_HZ = 100.0
"""The detector gets a lead thinned to no less than this, the lowest rate it asks for: its slope, taken over five
samples, then spans a wide ventricular complex, of which fewer are missed. `align` finds the very sample."""
ALIGN_SECONDS = 0.08
"""The farthest a peak is moved: from one wave of a QRS to the next."""
DOWNWARD = 2.0
"""A record counts as downward if its QRS is so many times deeper than high. The margin keeps a person whose two
waves are alike from being cut at one wave today and at the other tomorrow."""


def detect(x: Array, fs: float) -> Array:
    """QRS complexes of a lead.

    Parameters
    ----------
    x : (n,) float array
        A finite lead, band-passed to 40 Hz or less.
    fs : float
        Sampling rate, Hz; at least 80.

    Returns
    -------
    (k,) int64 array
        Samples, increasing. Empty for a lead that is constant or shorter than two seconds.

    References
    ----------
    Pan and Tompkins (1985), as modified and implemented in SleepECG (Brunner and Hofer, 2023).
    """
    if len(x) < 2 * fs or np.ptp(x) == 0:
        return np.zeros(0, np.int64)
    step = max(1, int(fs // DETECT_HZ))
    found = detect_heartbeats(np.ascontiguousarray(x[::step]), fs / step)
    return np.asarray(found, dtype=np.int64) * step


def align(x: Array, peaks: Array, fs: float) -> Array:
    """Move every peak to the extremum of the record's dominant polarity.

    The polarity is upward unless the depth of the lead within `ALIGN_SECONDS` of a peak exceeds its height
    `DOWNWARD` times (medians over all peaks). The rule is one for all records; the lead is never turned over.

    Parameters
    ----------
    x : (n,) float array
        The band-passed lead.
    peaks : (k,) int array
        Samples, increasing.
    fs : float
        Sampling rate, Hz.

    Returns
    -------
    (m,) int64 array
        Samples, increasing; m < k where two peaks meet on one extremum.
    """
    if not len(peaks):
        return np.zeros(0, np.int64)
    reach = max(1, round(ALIGN_SECONDS * fs))
    around = np.clip(peaks[:, None] + np.arange(-reach, reach + 1), 0, len(x) - 1)
    waves = x[around]
    downward = np.median(-waves.min(axis=1)) > DOWNWARD * np.median(waves.max(axis=1))
    extremum = waves.argmin(axis=1) if downward else waves.argmax(axis=1)
    return np.unique(around[np.arange(len(peaks)), extremum])


def match(found: Array, reference: Array, tolerance: float) -> tuple[Array, Array]:
    """One-to-one match of two sequences of times, nearest pairs first.

    Parameters
    ----------
    found : (k,) array
        Times, increasing.
    reference : (m,) array
        Times in the same unit, increasing.
    tolerance : float
        Largest distance of a pair, same unit, inclusive.

    Returns
    -------
    i_found, i_reference : (p,) int64 arrays
        Indices of the pairs, in time order. Sensitivity is p / m, positive predictivity p / k.
    """
    left, right = np.arange(len(found)), np.arange(len(reference))
    pairs = [np.zeros((2, 0), np.int64)]
    while left.size and right.size:
        # Two that are each other's nearest are a pair; what they leave over is matched in the next round.
        nearest = _nearest(found[left], reference[right])
        back = _nearest(reference[right], found[left])
        near_enough = np.abs(found[left] - reference[right][nearest]) <= tolerance
        mutual = near_enough & (back[nearest] == np.arange(len(left)))
        if not mutual.any():
            break
        pairs.append(np.stack([left[mutual], right[nearest[mutual]]]))
        right = np.delete(right, nearest[mutual])
        left = left[~mutual]
    joined = np.concatenate(pairs, axis=1)
    joined = joined[:, joined[0].argsort()]
    return joined[0], joined[1]


def _nearest(of: Array, among: Array) -> Array:
    """Index of the nearest of a sorted, non-empty sequence; the earlier one of two equally near."""
    after = np.searchsorted(among, of).clip(0, len(among) - 1)
    before = (after - 1).clip(0)
    nearest: Array = np.where(np.abs(among[before] - of) <= np.abs(among[after] - of), before, after)
    return nearest
