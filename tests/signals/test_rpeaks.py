import numpy as np
import pytest
from heart import lead, recording
from hypothesis import given
from hypothesis import strategies as st

from agile_bench.signals.filters import bandpass
from agile_bench.signals.rpeaks import align, detect, match

times = st.lists(st.integers(0, 60), unique=True, max_size=8).map(lambda values: np.array(sorted(values), int))


def found(fs: float, x: np.ndarray) -> np.ndarray:
    y = bandpass(x, fs)
    return align(y, detect(y, fs), fs)


@pytest.mark.parametrize("fs", [100.0, 250.0, 360.0, 500.0, 1000.0])
def test_every_beat_is_found_at_its_very_sample(fs):
    made, beats = recording(fs)
    peaks = found(fs, made.signal[:, 0])
    assert peaks.dtype == np.int64
    assert len(peaks) == len(beats)
    assert np.abs(peaks / fs - beats).max() <= 1.5 / fs


def test_a_deep_complex_is_aligned_at_its_depth():
    made, beats = recording(r=0.2, s=-1.5)
    y = bandpass(made.signal[:, 0], 360.0)
    peaks = align(y, detect(y, 360.0), 360.0)
    assert len(peaks) == len(beats)
    assert (y[peaks] < -0.5).all()
    assert np.abs(peaks / 360 - beats - 0.035).max() < 0.01


def test_waves_of_like_size_are_aligned_upward_whichever_is_a_little_larger():
    for r, s in ((1.0, -1.2), (1.2, -1.0)):
        made, _ = recording(r=r, s=s)
        y = bandpass(made.signal[:, 0], 360.0)
        assert (y[align(y, detect(y, 360.0), 360.0)] > 0).all()


def test_one_inverted_beat_does_not_change_the_polarity_of_the_others():
    fs = 360.0
    beats = np.arange(1, 29, 0.9)
    x = lead(fs, beats, 30) - 2 * lead(fs, beats[10:11], 30)
    y = bandpass(x, fs)
    peaks = align(y, np.round(beats * fs).astype(int), fs)
    ordinary = np.delete(np.arange(len(beats)), 10)
    assert (y[peaks[ordinary]] > 0.5).all()


def test_two_peaks_on_one_wave_become_one():
    x = np.zeros(200)
    x[100] = 1
    assert align(x, np.array([98, 102]), 100.0).tolist() == [100]


@pytest.mark.parametrize("x", [np.zeros(0), np.zeros(5000), np.ones(5000), np.random.default_rng(0).normal(size=300)])
def test_flat_and_very_short_leads_have_no_beats(x):
    assert detect(x, 360.0).tolist() == []
    assert align(x, np.zeros(0, int), 360.0).tolist() == []


def test_match_by_hand():
    i, j = match(np.array([10, 20, 33, 90]), np.array([11, 30, 31, 70]), 5)
    assert list(zip(i, j, strict=True)) == [(0, 0), (2, 2)]


def test_a_reference_serves_one_only_and_the_loser_takes_the_next():
    i, j = match(np.array([9, 10]), np.array([10, 13]), 5)
    assert list(zip(i, j, strict=True)) == [(0, 1), (1, 0)]


def test_the_tolerance_is_inclusive():
    assert len(match(np.array([0]), np.array([54]), 54)[0]) == 1
    assert len(match(np.array([0]), np.array([55]), 54)[0]) == 0


@given(times, times, st.integers(0, 20))
def test_match_is_one_to_one_starts_with_the_nearest_pair_and_leaves_none_over(a, b, tolerance):
    i, j = match(a, b, tolerance)
    assert len(set(i.tolist())) == len(i)
    assert len(set(j.tolist())) == len(j)
    assert (np.diff(i) > 0).all()
    nearest = np.abs(a[:, None] - b).min(initial=99)
    if nearest <= tolerance:
        assert np.abs(a[i] - b[j]).min() == nearest
    assert not (np.abs(np.delete(a, i)[:, None] - np.delete(b, j)) <= tolerance).any()


@given(times, st.integers(0, 20))
def test_a_sequence_matches_itself(a, tolerance):
    i, j = match(a, a, tolerance)
    assert i.tolist() == j.tolist() == list(range(len(a)))
