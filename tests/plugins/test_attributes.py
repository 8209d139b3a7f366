"""Attackers of sex and age: what they learn, what they must not see, and their limits."""

from dataclasses import replace

import numpy as np
import pytest
from agile_bench.attackers.age import Age
from agile_bench.attackers.sex import Sex
from hypothesis import given, settings
from hypothesis import strategies as st

from agile_bench.api import BEAT_SAMPLES, Beats, Context, NotComputable
from agile_bench.contract import freeze
from agile_bench.nn.mean_beats import PENALTIES, SIZES, fit_views, mean_beats, settle, views
from agile_bench.testing import check_plugin

CTX = Context(label=("test",))
T = np.arange(BEAT_SAMPLES)


def crowd(people: int = 60, beats: int = 4, noise: float = 0.02, cue: float = 0.3, seed: int = 0) -> Beats:
    """People with an R wave of their own size; women have a late wave, and an early one grows with age."""
    rng = np.random.default_rng(seed)
    sex, age = np.arange(people) % 2, rng.uniform(20, 90, people)
    late, early = (np.exp(-(((T - centre) / 6) ** 2)) for centre in (160, 40))
    shape = rng.uniform(0.8, 1.2, (people, 1)) * np.exp(-(((T - 80) / 4) ** 2))
    shape = shape + cue * sex[:, None] * late + cue * age[:, None] / 50 * early
    who = np.repeat(np.arange(people), beats).astype(np.int32)
    signal = shape[who] + noise * rng.standard_normal((len(who), BEAT_SAMPLES))
    return Beats(
        **freeze(
            {
                "signal": signal.astype(np.float32),
                "record": who,
                "subject": who.copy(),
                "sex": sex[who].astype(np.int8),
                "age": age[who].astype(np.float32),
            }
        )
    )


def blind(beats: Beats) -> Beats:
    return replace(beats, subject=None, sex=None, age=None)


def guessed(plugin, pool: Beats, probes: Beats) -> np.ndarray:
    return plugin.predict(freeze(plugin.fit(pool, CTX)), blind(probes), CTX)


@pytest.mark.parametrize("plugin", [Sex(), Age()])
def test_keeps_the_contract(plugin):
    check_plugin(plugin)


def test_clear_cues_are_learnt_and_carry_over_to_other_people():
    pool, probes = crowd(), crowd(seed=1)
    probability = guessed(Sex(), pool, probes)
    assert probability[probes.sex == 1].min() > 0.9
    assert probability[probes.sex == 0].max() < 0.1
    assert np.abs(guessed(Age(), pool, probes) - probes.age).mean() < 3


def test_without_a_cue_nothing_is_claimed():
    pool, probes = crowd(cue=0, people=100), crowd(cue=0, people=100, seed=1)
    assert np.abs(guessed(Sex(), pool, probes) - 0.5).max() < 0.35
    years = guessed(Age(), pool, probes)
    assert np.abs(years - pool.age.mean()).max() < 12


def test_amplitude_is_a_cue_to_sex():
    pool, probes = crowd(cue=0), crowd(cue=0, seed=1)
    pool, probes = (b.with_signal(b.signal * (1 + b.sex[:, None])) for b in (pool, probes))
    probability = guessed(Sex(), pool, probes)
    assert np.mean((probability > 0.5) == probes.sex) > 0.95


def test_all_beats_of_a_record_get_one_guess_and_averaging_undoes_noise():
    pool, probes = crowd(noise=0.5, beats=30), crowd(noise=0.5, beats=30, seed=1)
    for plugin in (Sex(), Age()):
        found = guessed(plugin, pool, probes).reshape(60, 30)
        assert (found == found[:, :1]).all()
    single = replace(probes, record=np.arange(len(probes), dtype=np.int32))
    together, alone = (np.abs(guessed(Age(), pool, b) - probes.age).mean() for b in (probes, single))
    assert together < 0.7 * alone


def test_a_guess_does_not_depend_on_who_else_is_probed():
    pool, probes = crowd(), crowd(people=8, seed=1)
    for plugin in (Sex(), Age()):
        whole = guessed(plugin, pool, probes)
        part = guessed(plugin, pool, probes.take(probes.subject >= 5))
        np.testing.assert_array_equal(whole[probes.subject >= 5], part)


def test_people_of_unknown_sex_or_age_teach_nothing():
    pool, probes = crowd(), crowd(people=10, seed=1)
    odd = pool.subject < 20
    unknown = replace(
        pool.with_signal(np.where(odd[:, None], -5, pool.signal).astype(np.float32)),
        sex=np.where(odd, -1, pool.sex).astype(np.int8),
        age=np.where(odd, np.nan, pool.age).astype(np.float32),
    )
    known = pool.take(~odd)
    for plugin in (Sex(), Age()):
        np.testing.assert_array_equal(guessed(plugin, unknown, probes), guessed(plugin, known, probes))


def test_a_pool_of_one_sex_or_of_unknown_ages_is_not_computable():
    pool = crowd(people=6)
    with pytest.raises(NotComputable, match="one sex only"):
        Sex().fit(pool.take(pool.sex == 1), CTX)
    with pytest.raises(NotComputable, match="fewer than two records"):
        Age().fit(replace(pool, age=np.full(len(pool), np.nan, np.float32)), CTX)


def test_ages_stay_within_those_of_the_pool():
    pool, probes = crowd(), crowd(people=5, seed=1)
    wild = guessed(Age(), pool, probes.with_signal((100 * probes.signal).astype(np.float32)))
    assert pool.age.min() <= wild.min() <= wild.max() <= pool.age.max()


# -- what both share ---------------------------------------------------------------------------------------------------


def test_mean_beats_by_hand():
    signal = np.zeros((5, BEAT_SAMPLES), np.float32)
    signal[:, 0] = (1, 3, 10, 5, 7)
    beats = Beats(signal=signal, record=np.array([7, 7, 2, 4, 4], np.int32))
    means, first, place = mean_beats(beats)
    assert means[:, 0].tolist() == [2, 10, 6]
    assert first.tolist() == [0, 2, 3]
    assert place.tolist() == [0, 0, 1, 2, 2]


@settings(deadline=None)
@given(m=st.integers(1, 12), k=st.integers(1, 20), seed=st.integers(0, 9))
def test_coefficients_have_unit_variance_and_are_uncorrelated_in_each_view(m, k, seed):
    means = np.random.default_rng(seed).standard_normal((m, BEAT_SAMPLES))
    found = views(fit_views(means, k), means).reshape(m, 2, k)
    assert np.isfinite(found).all()
    told = min(k, m - 1)
    for view in (0, 1):
        np.testing.assert_allclose(found[:, view, :told].T @ found[:, view, :told] / m, np.eye(told), atol=1e-6)
        assert not found[:, view, told:].any()  # directions of rounding noise are blank


def test_the_least_loss_on_people_left_out_is_chosen_and_of_equals_the_most_cautious():
    means, person = crowd(people=20).signal.astype(np.float64), crowd(people=20).subject
    seen = []

    def loss(x, rows, tried, held):
        seen.append((set(person[rows]), set(person[held])))
        best = np.full(len(PENALTIES), 2.0)
        best[3] = 1.0 if x.shape[1] == 2 * SIZES[2] else 2.0
        return best

    assert settle(means, person, loss, CTX) == (SIZES[2], PENALTIES[3])
    assert all(not mine & held for mine, held in seen)
    assert set.union(*(held for _, held in seen)) == set(range(20))
    assert settle(means, person, lambda *_: np.zeros(len(PENALTIES)), CTX) == (SIZES[0], PENALTIES[0])


# -- the check of other people's attackers -----------------------------------------------------------------------------


class Undeclared(Sex):
    """Learns sex, and does not say so."""

    learns = frozenset({"subject"})


class Stuck(Sex):
    """Says the same of everybody."""

    def predict(self, state, probes, ctx):
        return np.full(len(probes), 0.5)


class Certain(Sex):
    """Its probabilities are none."""

    def predict(self, state, probes, ctx):
        return 3 * super().predict(state, probes, ctx)


class Counting(Sex):
    """Tells equal beats apart by their place."""

    def predict(self, state, probes, ctx):
        return np.clip(super().predict(state, probes, ctx) + np.linspace(0, 0.01, len(probes)), 0, 1)


@pytest.mark.parametrize(
    ("plugin", "why"),
    [
        (Undeclared(), "an attacker of sex learns it"),
        (Stuck(), r"its guess correlate by 0\.00"),
        (Certain(), r"a probability of female, in \[0, 1\]"),
        (Counting(), "equal probes are guessed differently"),
    ],
)
def test_the_check_names_what_is_wrong(plugin, why):
    with pytest.raises(AssertionError, match=why):
        check_plugin(plugin)
