import numpy as np
import pytest

from agile_bench.signals.digitise import BOTTOM_MV, TOP_MV, digitise

ROW_MV = (TOP_MV - BOTTOM_MV) / 199


def draw(signal: np.ndarray) -> np.ndarray:
    """A thin line: every column shares its ink between the two rows that enclose its value."""
    row = (TOP_MV - signal) / ROW_MV
    upper = np.floor(row).astype(int)
    picture = np.zeros((len(signal), 201, signal.shape[1]))
    beat, column = np.indices(signal.shape)
    picture[beat, upper, column] = 255 * (1 - (row - upper))
    picture[beat, upper + 1, column] = 255 * (row - upper)
    return np.round(picture[:, :200]).astype(np.uint8)


def test_rows_run_from_plus_three_to_minus_two_millivolts():
    picture = np.zeros((1, 200, 200), np.uint8)
    picture[0, 0, :100] = 255
    picture[0, 199, 100:] = 255
    signal = digitise(picture)
    assert signal.dtype == np.float32
    assert np.allclose(signal[0, :100], 3.0)
    assert np.allclose(signal[0, 100:], -2.0)


def test_a_thin_line_is_read_to_within_half_a_row():
    signal = np.random.default_rng(0).uniform(-1.9, 2.9, (300, 200))
    assert np.abs(digitise(draw(signal)) - signal).max() <= 0.51 * ROW_MV


def test_a_line_is_read_between_rows_when_its_ink_passes_the_threshold():
    signal = np.random.default_rng(0).uniform(-1.9, 2.9, (10, 200))
    assert np.abs(digitise(draw(signal), threshold=1) - signal).max() < 0.01 * ROW_MV


def test_faint_noise_off_the_line_changes_nothing():
    signal = np.full((2, 200), 0.5)
    clean = draw(signal)
    noisy = np.maximum(clean, np.random.default_rng(0).integers(0, 100, clean.shape).astype(np.uint8))
    assert np.array_equal(digitise(noisy), digitise(clean))


def test_columns_without_ink_are_bridged_inside_and_held_at_the_ends():
    picture = np.zeros((2, 200, 200), np.uint8)
    picture[1, 100, 10] = 255
    picture[1, 120, 20] = 255
    signal = digitise(picture)
    assert (signal[0] == 0).all()
    at = TOP_MV - ROW_MV * np.array([100, 110, 120])
    assert signal[1, [10, 15, 20]] == pytest.approx(at, abs=1e-5)
    assert signal[1, 0] == signal[1, 10]
    assert signal[1, 199] == signal[1, 20]


def test_a_steep_filled_stroke_is_read_at_its_middle():
    picture = np.zeros((1, 200, 200), np.uint8)
    picture[0, 50:151, :] = 255
    assert np.allclose(digitise(picture), TOP_MV - 100 * ROW_MV, atol=1e-5)


def test_no_picture_gives_no_signal():
    assert digitise(np.zeros((0, 200, 200), np.uint8)).shape == (0, 200)
