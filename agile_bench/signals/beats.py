"""From a recording to its beats: the one place where windows are cut."""

from dataclasses import dataclass
from functools import lru_cache
from math import ceil, floor

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from agile_bench.api import BEAT_RATE, BEAT_SAMPLES, R_COLUMN, Array, Recording, UnusableRecord
from agile_bench.signals.filters import bandpass
from agile_bench.signals.labels import aami
from agile_bench.signals.quality import bridge, stretches, touches, usable
from agile_bench.signals.rpeaks import align, detect, match

MATCH_SECONDS = 0.15
"""A found R-peak takes the class of a reference beat that is no farther (ANSI/AAMI EC57)."""
MIN_BEATS = 3
"""Fewer beats make no record."""
MIN_RATE = 80.0
"""Hz; below, the band of 0.5-40 Hz was not recorded."""
HALF_WIDTH = 16
"""Samples on either side that the interpolation of a value looks at."""


@dataclass(frozen=True, slots=True)
class Cut:
    """The beats of one recording, in time order.

    Parameters
    ----------
    signal : (n, 200) float32
        Millivolts, band-passed to 0.5-40 Hz, 250 Hz, R-peak in column 80.
    time : (n,) float64
        Seconds from the start of the recording to the R-peak.
    label : (n,) int8
        Index into `AAMI` of the matched reference beat, -1 where there is none.
    rr_before, rr_after : (n,) float32
        Seconds to the neighbouring R-peaks, also those that gave no beat; nan at the ends of the recording
        and across stretches that cannot be used.
    dropped : dict of str to int
        R-peaks that gave no beat, by reason: ``edge``, the window leaves the recording; ``unusable``, it
        meets a stretch that cannot be used.
    """

    signal: Array
    time: Array
    label: Array
    rr_before: Array
    rr_after: Array
    dropped: dict[str, int]

    def __len__(self) -> int:
        return len(self.signal)


def cut(recording: Recording, lead: str) -> Cut:
    """Cut the beats of one lead.

    R-peaks are those of our detector, as anybody who holds only a release would find them; reference
    annotations give the labels and nothing else.

    Parameters
    ----------
    recording : Recording
    lead : str
        One of `recording.leads`.

    Returns
    -------
    Cut

    Raises
    ------
    UnusableRecord
        If the lead is missing, was sampled too slowly, is flat or otherwise unusable throughout, or holds too
        few beats.
    """
    raw, fs = _lead(recording, lead), recording.fs
    good = usable(raw, fs)
    for start, stop in recording.skip:
        good[max(0, start) : stop] = False
    if not good.any():
        raise _unusable(raw)
    filtered = bandpass(bridge(raw, good), fs)
    peaks = align(filtered, _detect(filtered, good, fs), fs)
    peaks = peaks[good[peaks]]
    if not len(peaks):
        raise UnusableRecord("no beats", f"no R-peak was found in lead {lead!r}")

    first = peaks - ceil(R_COLUMN * fs / BEAT_RATE)
    last = peaks + ceil((BEAT_SAMPLES - 1 - R_COLUMN) * fs / BEAT_RATE)
    bad = stretches(~good)
    edge = (first < 0) | (last >= len(raw))
    unfit = ~edge & touches(bad, first, last)
    kept = ~(edge | unfit)
    if kept.sum() < MIN_BEATS:
        raise UnusableRecord("too few beats", f"{kept.sum()} in lead {lead!r}, {MIN_BEATS} are needed")

    gap = np.where(touches(bad, peaks[:-1], peaks[1:]), np.nan, np.diff(peaks) / fs).astype(np.float32)
    end = np.full(1, np.nan, np.float32)
    return Cut(
        signal=_windows(filtered, peaks[kept], fs),
        time=peaks[kept] / fs,
        label=_labels(peaks, recording)[kept],
        rr_before=np.concatenate([end, gap])[kept],
        rr_after=np.concatenate([gap, end])[kept],
        dropped={"edge": int(edge.sum()), "unusable": int(unfit.sum())},
    )


def _lead(recording: Recording, lead: str) -> Array:
    """Find the samples of a lead by its name."""
    if lead not in recording.leads:
        raise UnusableRecord("lead missing", f"no {lead!r}; there are: {', '.join(recording.leads)}")
    if recording.fs < MIN_RATE:
        raise UnusableRecord("sampled too slowly", f"{recording.fs:g} Hz; {MIN_RATE:g} Hz are needed")
    return recording.signal[:, recording.leads.index(lead)]


def _unusable(raw: Array) -> UnusableRecord:
    """Why a lead has no usable sample."""
    finite = raw[np.isfinite(raw)]
    if not len(finite):
        return UnusableRecord("not finite", "the lead holds no number")
    if np.ptp(finite) == 0:
        return UnusableRecord("flat", "the lead is constant from end to end")
    return UnusableRecord("no usable stretch", "all of it is flat, out of range, missing or to be skipped")


def _detect(x: Array, good: Array, fs: float) -> Array:
    """R-peaks between the first and the last usable sample; a bridged start would mislead the detector."""
    start, stop = int(good.argmax()), len(good) - int(good[::-1].argmax())
    found: Array = detect(x[start:stop], fs) + start
    return found


def _labels(peaks: Array, recording: Recording) -> Array:
    """Class of the reference beat that belongs to each peak, -1 where there is none."""
    label = np.full(len(peaks), -1, np.int8)
    if recording.rpeaks is not None and recording.symbols is not None:
        found, reference = match(peaks, recording.rpeaks, MATCH_SECONDS * recording.fs)
        label[found] = aami(recording.symbols[reference])
    return label


def _windows(x: Array, peaks: Array, fs: float) -> Array:
    """Sample the lead around each peak at `BEAT_RATE`, (n, 200) float32, the peak itself in `R_COLUMN`."""
    start, weights = _interpolation(fs)
    padded = np.pad(x.astype(np.float32), HALF_WIDTH, mode="edge")
    native = sliding_window_view(padded, len(weights))[peaks + start + HALF_WIDTH]
    signal: Array = native @ weights
    return signal


@lru_cache(maxsize=8)
def _interpolation(fs: float) -> tuple[int, Array]:
    """Give the first native sample's offset from the peak and the matrix (w, 200) from there to a window.

    R-peaks lie on native samples, so the points of a window fall between native samples in the same way for
    every beat: resampling is one matrix product. Each column is a sinc under a Kaiser window; the band-pass
    left nothing that could fold over.
    """
    where = (np.arange(BEAT_SAMPLES) - R_COLUMN) * (fs / BEAT_RATE)
    start = floor(where[0]) - HALF_WIDTH + 1
    stop = ceil(where[-1]) + HALF_WIDTH
    distance = where - np.arange(start, stop)[:, None]
    inside = np.sqrt(np.clip(1 - (distance / HALF_WIDTH) ** 2, 0, None))
    weights = np.where(np.abs(distance) < HALF_WIDTH, np.sinc(distance) * np.i0(8.0 * inside), 0.0)
    return start, (weights / weights.sum(axis=0)).astype(np.float32)
