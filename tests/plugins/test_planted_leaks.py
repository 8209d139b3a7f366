"""Every identity attacker finds what was planted, is misled by no more than it must, and falls to chance where all are
alike; every front-end undoes a release that it is made for.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from every_plugin import ATTACKERS, attacker
from made_releases import (
    PEOPLE,
    alike,
    figures,
    halves,
    mean_beat,
    mean_beat_in_noise,
    one_sample,
    one_wave_a_person,
    one_wave_for_all,
    people,
    renamed,
    scores_of,
    taught,
    truth,
)
from scipy.stats import binomtest

from agile_bench.api import Array, State
from agile_bench.metrics.scores import rank_k

CHANCE = 1 / PEOPLE
PROBES = 2 * PEOPLE
UNLIKELY = 1e-3
LEAKS = {"one sample": one_sample, "one wave a person": one_wave_a_person}


def assert_chance(rank_1: float) -> None:
    """Tell of a rank-1 that guessing would hardly give, above or below."""
    assert binomtest(round(rank_1 * PROBES), PROBES, CHANCE).pvalue > UNLIKELY


@cache
def clean(name: str) -> tuple[State, Array]:
    """What an attacker learns from unprotected people, and its scores of them."""
    gallery, probes = halves(people())
    state = taught(attacker(name), gallery)
    return state, scores_of(attacker(name), state, gallery, probes)


def clean_rate(name: str) -> float:
    return rank_k(clean(name)[1], truth(halves(people())[1]), 1)


@pytest.mark.parametrize("leak", LEAKS)
@pytest.mark.parametrize("name", ATTACKERS)
def test_what_says_whose_beats_they_are_is_found(name: str, leak: str) -> None:
    finds = ATTACKERS[name].finds
    least = finds.get(leak, finds.get("any", 1))
    rank_1, error = figures(attacker(name), LEAKS[leak](alike()))
    if least:
        assert rank_1 >= least
        assert error < 0.05 or least < 1
    else:
        assert_chance(rank_1)


@pytest.mark.parametrize("name", ATTACKERS)
def test_unprotected_people_are_recognised(name: str) -> None:
    assert clean_rate(name) >= ATTACKERS[name].clean


@pytest.mark.parametrize("name", ATTACKERS)
def test_one_wave_for_all_hides_nobody(name: str) -> None:
    assert figures(attacker(name), one_wave_for_all(people()))[0] >= clean_rate(name) - 0.1


@pytest.mark.parametrize("name", ATTACKERS)
def test_one_beat_for_all_gives_exactly_chance(name: str) -> None:
    rank_1, error = figures(attacker(name), mean_beat(people()))
    assert rank_1 == pytest.approx(CHANCE, abs=1e-12)
    assert error == 0.5


@pytest.mark.parametrize("name", ATTACKERS)
def test_one_beat_for_all_in_fresh_noise_gives_chance(name: str) -> None:
    rank_1, error = figures(attacker(name), mean_beat_in_noise(people()))
    assert_chance(rank_1)
    assert 0.35 < error < 0.65


# -- pseudo-identities: everybody's records are given out as somebody else's, by a key --------------------------------


def names(key: int) -> Array:
    """The name under which each person's records are given out; nobody's own."""
    cycle = np.random.default_rng(key).permutation(PEOPLE)
    name = np.empty(PEOPLE, np.int64)
    name[cycle] = np.roll(cycle, 1)
    return name


@pytest.mark.parametrize("name", ATTACKERS)
def test_who_links_names_to_original_beats_takes_everybody_for_the_one_whose_beats_they_show(name: str) -> None:
    shown = truth(halves(people())[1])
    scores = clean(name)[1]
    assert rank_k(scores, names(1)[shown], 1) <= 1 - clean_rate(name)


@pytest.mark.parametrize("name", ATTACKERS)
def test_who_enrols_releases_finds_people_under_the_same_key_and_somebody_else_under_another(name: str) -> None:
    state, before = clean(name)
    gallery, probes = halves(people())
    scores = scores_of(attacker(name), state, renamed(gallery, names(1)), probes)
    np.testing.assert_allclose(scores[:, names(1)], before, atol=1e-3)
    assert rank_k(scores, names(1)[truth(probes)], 1) == clean_rate(name)
    other = next(name for name in map(names, range(2, 99)) if (name != names(1)).all())
    assert rank_k(scores, other[truth(probes)], 1) <= 1 - clean_rate(name)
