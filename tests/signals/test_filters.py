import numpy as np
import pytest

from agile_bench.signals.filters import bandpass


def sine(hz: float, fs: float, seconds: float = 20) -> np.ndarray:
    return np.sin(2 * np.pi * hz * np.arange(int(seconds * fs)) / fs)


def middle(x: np.ndarray, fs: float) -> np.ndarray:
    return x[int(5 * fs) : -int(5 * fs)]


@pytest.mark.parametrize("fs", [80.0, 81.0, 100.0, 250.0, 360.0, 500.0, 1000.0])
def test_passes_the_band_without_delay_at_any_rate(fs):
    x = sine(10, fs)
    assert np.abs(middle(bandpass(x, fs) - x, fs)).max() < 0.01


@pytest.mark.parametrize("fs", [250.0, 360.0, 500.0])
def test_gain_is_a_half_at_the_edges_since_the_filter_runs_twice(fs):
    for edge in (0.5, 40.0):
        amplitude = np.abs(middle(bandpass(sine(edge, fs, 60), fs), fs)).max()
        assert amplitude == pytest.approx(0.5, abs=0.02)


def test_removes_offset_drift_and_mains():
    fs = 500.0
    seconds = np.arange(10_000) / fs
    x = 3 + 0.5 * np.sin(2 * np.pi * 0.1 * seconds) + sine(60, fs)
    assert np.abs(middle(bandpass(x, fs), fs)).max() < 0.05


def test_a_pulse_stays_symmetric_about_its_place():
    x = np.zeros(20_001)
    x[10_000] = 1
    y = bandpass(x, 360.0)
    assert y.argmax() == 10_000
    assert np.allclose(y, y[::-1], atol=1e-9)


def test_columns_are_filtered_one_by_one_and_the_input_is_left_alone():
    x = np.random.default_rng(0).normal(size=(1000, 2)).astype(np.float32)
    before = x.copy()
    both = bandpass(x, 250.0)
    assert both.dtype == np.float64
    assert np.array_equal(both[:, 1], bandpass(x[:, 1], 250.0))
    assert np.array_equal(x, before)


@pytest.mark.parametrize("n", [0, 1, 2, 30])
def test_very_short_leads_keep_their_length(n):
    y = bandpass(np.ones(n), 250.0)
    assert y.shape == (n,)
    assert np.isfinite(y).all()


@pytest.mark.parametrize("low", [0.0, -1.0, 125.0])
def test_an_impossible_low_edge_is_refused(low):
    with pytest.raises(ValueError, match="low edge"):
        bandpass(np.ones(10), 250.0, low=low)
