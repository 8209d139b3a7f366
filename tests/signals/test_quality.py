import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from agile_bench.signals.quality import bridge, stretches, touches, usable

FS = 500.0
GUARD = 250


def noise(n: int = 5000) -> np.ndarray:
    return np.random.default_rng(0).normal(0, 0.1, n)


def test_an_ordinary_lead_is_usable_throughout():
    assert usable(noise(), FS).all()


def test_a_blanked_start_is_caught_with_its_guard():
    x = noise()
    x[:1024] = -0.005
    good = usable(x, FS)
    assert not good[: 1024 + GUARD].any()
    assert good[1024 + GUARD :].all()


def test_a_constant_of_half_a_second_is_caught_and_a_shorter_one_is_not():
    x = noise()
    x[1000:1250] = 0.2
    assert not usable(x, FS)[1000 - GUARD : 1250 + GUARD].any()
    x = noise()
    x[1000:1249] = 0.2
    assert usable(x, FS).all()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 20.0, -20.0])
def test_one_impossible_sample_is_caught_with_its_guard(value):
    x = noise() + 5  # far from zero: the bound is about the record's own median
    x[2000] = value
    bad = np.flatnonzero(~usable(x, FS))
    assert bad.tolist() == list(range(2000 - GUARD, 2001 + GUARD))


def test_wild_values_leave_no_usable_sample_between_them():
    x = noise()
    x[4000:] = np.where(np.arange(1000) % 300 < 150, -150.0, 0.3)
    assert not usable(x, FS)[4000 - GUARD :].any()


@pytest.mark.parametrize("x", [np.full(2000, np.nan), np.zeros(2000), np.full(2000, 5.115), np.zeros(0)])
def test_nothing_of_a_dead_lead_is_usable(x):
    assert usable(x, FS).shape == x.shape
    assert not usable(x, FS).any()


def test_bridge_draws_lines_inside_and_holds_the_ends():
    x = np.array([9.0, 9.0, 1.0, 9.0, 9.0, 4.0, 9.0])
    good = np.array([False, False, True, False, False, True, False])
    assert bridge(x, good).tolist() == [1, 1, 1, 2, 3, 4, 4]
    assert x[0] == 9.0


def test_bridge_hides_missing_samples():
    x = np.array([1.0, np.nan, 3.0])
    assert bridge(x, np.isfinite(x)).tolist() == [1, 2, 3]


@given(arrays(bool, st.integers(0, 30)))
def test_stretches_spell_the_mask_out(mask):
    again = np.zeros(len(mask), bool)
    runs = stretches(mask)
    for start, stop in runs:
        assert start < stop
        again[start:stop] = True
    assert np.array_equal(again, mask)
    assert (runs[1:, 0] > runs[:-1, 1]).all()


@given(arrays(bool, 20), st.integers(0, 19), st.integers(0, 19))
def test_touches_is_what_looking_at_every_sample_tells(mask, a, b):
    first, last = min(a, b), max(a, b)
    told = touches(stretches(mask), np.array([first]), np.array([last]))
    assert told.tolist() == [bool(mask[first : last + 1].any())]
