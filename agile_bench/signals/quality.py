"""Which samples of a lead can be used, by rules that know no database."""

import numpy as np

from agile_bench.api import Array

FLAT_SECONDS = 0.5
"""A lead that does not move for so long is blanked, disconnected or on a converter rail. Between the waves of
a living ECG digitised at 5 uV no constant stretch of 0.1 s was found; clipped waves reach 0.2 s."""
RANGE_MV = 8.0
"""Farther than this from the record's median nothing comes from a heart; R-waves and drift together reach 6 mV."""
GUARD_SECONDS = 0.5
"""Unusable stretches are widened on both sides by the time in which amplifier and filter recover."""


def usable(x: Array, fs: float) -> Array:
    """Mark the samples of a lead that can be used.

    Unusable are samples that are not finite, stretches that stay constant for `FLAT_SECONDS`, samples farther
    than `RANGE_MV` from the median of the lead, and `GUARD_SECONDS` on either side of all these.

    Parameters
    ----------
    x : (n,) float array
        A lead as recorded, not filtered, mV.
    fs : float
        Sampling rate, Hz.

    Returns
    -------
    (n,) bool array
    """
    bad = ~np.isfinite(x)
    finite = x[~bad] if bad.any() else x
    if not finite.size:
        return ~bad
    # Ten thousand samples tell the median well enough for a bound of 10 mV, in a tenth of the time.
    centre = np.median(finite[:: max(1, finite.size // 10_000)])
    bad |= np.abs(x - centre) > RANGE_MV
    flat = stretches(x[1:] == x[:-1])
    flat[:, 1] += 1
    flat = flat[flat[:, 1] - flat[:, 0] >= FLAT_SECONDS * fs]
    guard = round(GUARD_SECONDS * fs)
    for start, stop in np.concatenate([stretches(bad), flat]):
        bad[max(0, start - guard) : stop + guard] = True
    return ~bad


def bridge(x: Array, good: Array) -> Array:
    """Replace unusable samples by a straight line between their usable neighbours (a constant at the ends).

    A filter then meets no step there, so nothing rings into the usable part.

    Parameters
    ----------
    x : (n,) float array
    good : (n,) bool array
        At least one is True.

    Returns
    -------
    (n,) float array
        A copy, or `x` itself where all samples are good.
    """
    if good.all():
        return x
    bridged = x.copy()
    bridged[~good] = np.interp(np.flatnonzero(~good), np.flatnonzero(good), x[good])
    return bridged


def stretches(mask: Array) -> Array:
    """List the runs of True.

    Parameters
    ----------
    mask : (n,) bool array

    Returns
    -------
    (k, 2) int64 array
        Start and stop (exclusive) of each run, in order.
    """
    steps = np.flatnonzero(mask[1:] != mask[:-1]) + 1
    edges = np.concatenate([[0] * int(mask[:1].any()), steps, [len(mask)] * int(mask[-1:].any())])
    return edges.astype(np.int64).reshape(-1, 2)


def touches(runs: Array, first: Array, last: Array) -> Array:
    """Whether intervals contain a sample of any run.

    Parameters
    ----------
    runs : (k, 2) int array
        Disjoint and in order, as `stretches` returns them.
    first, last : (n,) int array
        First and last sample (inclusive) of each interval.

    Returns
    -------
    (n,) bool array
    """
    before = np.searchsorted(runs[:, 0], last, "right")
    stops = np.concatenate([[-1], runs[:, 1]])
    touched: Array = stops[before] > first
    return touched
