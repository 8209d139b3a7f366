"""The fast rasteriser: golden pixels worked by hand, and what any picture must satisfy."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from agile_bench.signals.digitise import ROW_MV, digitise
from agile_bench.signals.raster import out_of_range, rasterise

beats = arrays(np.float32, (2, 200), elements=st.floats(-4, 5, width=32))


def at_rows(rows):
    """One beat whose samples lie at these rows."""
    return (3 - ROW_MV * np.asarray(rows, np.float64))[None].astype(np.float32)


def column(rows, j):
    """Ink of column j where there is any, by row; float32 may round a half either way."""
    ink = rasterise(at_rows(rows))[0, :, j]
    return pytest.approx({int(r): int(ink[r]) for r in np.flatnonzero(ink)}, abs=0.6)


def test_a_level_line_on_a_row_covers_it_and_half_of_both_neighbours():
    # E(1) - E(-1) = 1 on the row; E(0) - E(-2) = 1/2 beside it: half ink is 127.5.
    assert column(np.full(200, 60), 100) == {59: 127.5, 60: 255, 61: 127.5}


def test_a_level_line_between_two_rows_shares_its_ink():
    # E(3/2) - E(-1/2) = 7/8 on both; E(-1/2) = 1/8 beyond.
    assert column(np.full(200, 60.5), 0) == {59: 32, 60: 223, 61: 223, 62: 32}


def test_a_step_is_filled_up_to_the_half_way_point():
    rows = np.full(200, 50)
    rows[100:] = 70
    full = dict.fromkeys(range(50, 61), 255)
    assert column(rows, 99) == {49: 127.5, **full, 61: 127.5}
    full = dict.fromkeys(range(60, 71), 255)
    assert column(rows, 100) == {59: 127.5, **full, 71: 127.5}
    assert column(rows, 98) == {49: 127.5, 50: 255, 51: 127.5}


def test_a_lone_peak_is_filled_down_to_both_neighbours():
    rows = np.full(200, 100)
    rows[80] = 40
    rows[81] = 60
    full = dict.fromkeys(range(40, 71), 255)  # half-way points at 70 and 50: the farther one counts
    assert column(rows, 80) == {39: 127.5, **full, 71: 127.5}


def test_the_ends_have_one_neighbour():
    rows = np.full(200, 100)
    rows[0], rows[199] = 90, 80
    assert column(rows, 0) == {89: 127.5, **dict.fromkeys(range(90, 96), 255), 96: 127.5}
    assert column(rows, 199) == {79: 127.5, **dict.fromkeys(range(80, 91), 255), 91: 127.5}


def test_three_millivolts_is_the_top_row_and_minus_two_the_bottom():
    picture = rasterise(np.repeat(np.array([[3.0], [-2.0]], np.float32), 200, axis=1))
    assert (picture[0, 0] == 255).all()
    assert (picture[1, 199] == 255).all()
    assert not picture[0, 2:].any()
    assert not picture[1, :198].any()


def test_beyond_the_range_the_line_stays_on_the_border_row():
    wild = np.array([[40.0], [-40.0]], np.float32) * np.ones(200, np.float32)
    edge = np.array([[3.0], [-2.0]], np.float32) * np.ones(200, np.float32)
    np.testing.assert_array_equal(rasterise(wild), rasterise(edge))


@given(beats)
def test_every_column_is_one_stroke_without_holes_and_touches_the_next(signal):
    picture = rasterise(signal)
    assert picture.max(axis=1).min() >= 223
    solid = picture >= 128
    turns = np.diff(np.pad(solid, ((0, 0), (1, 1), (0, 0))).astype(int), axis=1)
    assert (np.abs(turns).sum(axis=1) == 2).all()
    assert (solid[:, :, 1:] & solid[:, :, :-1]).any(axis=1).all()


@given(beats)
def test_upside_down_signals_give_upside_down_pictures(signal):
    # float32 rounds 1 - s: a pixel may move by one step.
    upside_down = rasterise(np.float32(1) - signal)[:, ::-1]
    assert np.abs(upside_down.astype(int) - rasterise(signal)).max() <= 1


@given(beats)
def test_a_picture_depends_on_its_own_beat_only(signal):
    np.testing.assert_array_equal(rasterise(signal)[1:], rasterise(signal[1:]))


def test_the_ink_of_a_level_line_has_its_height_as_centroid():
    lines = np.repeat(np.linspace(-1.9, 2.9, 333, dtype=np.float32)[:, None], 200, axis=1)
    assert np.abs(digitise(rasterise(lines), threshold=1) - lines).max() < 0.01 * ROW_MV
    assert np.abs(digitise(rasterise(lines)) - lines).max() < 0.27 * ROW_MV  # what the threshold costs


def test_noise_fainter_than_the_threshold_is_wiped_off():
    signal = np.sin(np.linspace(0, 20, 200))[None].astype(np.float32)
    clean = rasterise(signal)
    noisy = np.where(clean == 0, np.random.default_rng(0).integers(0, 100, clean.shape), clean).astype(np.uint8)
    np.testing.assert_array_equal(digitise(noisy), digitise(clean))


def test_any_layout_and_float_type_is_drawn_alike():
    signal = np.random.default_rng(0).normal(0, 0.5, (3, 200)).astype(np.float32)
    expected = rasterise(signal)
    np.testing.assert_array_equal(rasterise(np.asfortranarray(signal)), expected)
    np.testing.assert_array_equal(rasterise(signal.astype(np.float64)), expected)
    signal.flags.writeable = False
    np.testing.assert_array_equal(rasterise(signal), expected)


def test_no_beat_gives_no_picture():
    assert rasterise(np.zeros((0, 200), np.float32)).shape == (0, 200, 200)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_signal_with_a_gap_is_refused(bad):
    signal = np.zeros((2, 200), np.float32)
    signal[1, 7] = bad
    with pytest.raises(ValueError, match="not finite"):
        rasterise(signal)


def test_one_beat_without_its_row_axis_is_refused():
    with pytest.raises(ValueError, match=r"\(200,\)"):
        rasterise(np.zeros(200, np.float32))


def test_share_of_beats_out_of_range_by_hand():
    signal = np.zeros((4, 200), np.float32)
    signal[0, 10] = 3.01
    signal[1, 199] = -2.01
    signal[2, 5], signal[2, 6] = 3, -2
    assert out_of_range(signal) == 0.5
    assert out_of_range(signal[:0]) == 0


def test_neither_reading_a_picture_nor_drawing_it_in_torch_loads_numba():
    code = (
        "import agile_bench.signals.digitise, agile_bench.nn.raster, agile_bench.attackers.frontends.redigitise, sys; "
        "assert 'torch' in sys.modules; sys.exit('numba' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
