from math import inf, isnan, log10

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agile_bench.metrics.distortion import distortions, pearson_r, prdn, rmse, snr_db

seeds = st.integers(0, 2**32)


def waves(seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=50), rng.normal(size=50)


@given(seeds, st.floats(0.01, 100))
def test_distortion_scales_with_the_error(seed: int, factor: float) -> None:
    x, error = waves(seed)
    assert prdn(x, x + factor * error) == pytest.approx(factor * prdn(x, x + error))
    assert rmse(x, x + factor * error) == pytest.approx(factor * rmse(x, x + error))
    assert snr_db(x, x + factor * error) == pytest.approx(snr_db(x, x + error) - 20 * log10(factor), abs=1e-6)


@given(seeds, st.floats(-5, 5), st.floats(0.1, 10))
def test_prdn_ignores_a_common_offset_and_unit(seed: int, offset: float, gain: float) -> None:
    x, y = waves(seed)
    assert prdn(gain * x + offset, gain * y + offset) == pytest.approx(prdn(x, y))
    assert pearson_r(x, gain * y + offset) == pytest.approx(np.corrcoef(x, y)[0, 1])


def test_flat_waveforms() -> None:
    x, flat = np.arange(5.0), np.full(5, 0.1)  # the mean of five 0.1 is not exactly 0.1
    assert isnan(prdn(flat, x))
    assert isnan(snr_db(flat, flat))
    assert isnan(pearson_r(flat, x))
    assert isnan(pearson_r(x, flat))
    assert rmse(flat, flat + 1) == pytest.approx(1)
    assert prdn(x, np.full(5, 2.0)) == pytest.approx(100)


def test_exact_copy() -> None:
    x, _ = waves(3)
    assert (rmse(x, x), prdn(x, x), snr_db(x, x)) == (0, 0, inf)
    assert pearson_r(x, x) == pytest.approx(1)
    assert pearson_r(x, -x) >= -1


def test_records_are_taken_whole_and_in_order_of_first_appearance() -> None:
    rng = np.random.default_rng(0)
    original = rng.normal(size=(6, 200)).astype(np.float32)
    released = (original + rng.normal(size=(6, 200))).astype(np.float32)
    record = np.array([9, 9, 4, 4, 9, 6], dtype=np.int32)
    found = distortions(original, released, record)
    assert list(found) == ["rmse-mv", "prdn", "snr-db", "pearson-r"]
    for j, code in enumerate((9, 4, 6)):
        x, y = original[record == code], released[record == code]
        assert [found[name][j] for name in found] == [rmse(x, y), prdn(x, y), snr_db(x, y), pearson_r(x, y)]


@pytest.mark.parametrize("function", [rmse, prdn, snr_db, pearson_r])
def test_bad_waveforms_are_refused(function: object) -> None:
    x = np.arange(4.0)
    for a, b, message in (
        (x, x[:3], "same samples"),
        (x[:0], x[:0], "same samples"),
        (x, x * np.nan, "finite"),
    ):
        with pytest.raises(ValueError, match=message):
            function(a, b)  # type: ignore[operator]


def test_distortions_refuse_shapes_that_disagree() -> None:
    beats = np.zeros((2, 200))
    for released, record in ((beats[:1], [1, 1]), (beats, [1])):
        with pytest.raises(ValueError, match="disagree"):
            distortions(beats, released, np.array(record))
    with pytest.raises(ValueError, match="disagree"):
        distortions(beats[:0], beats[:0], np.array([], dtype=int))
