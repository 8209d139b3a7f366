"""Eigen-beats: planted leaks are found, nothing is found where nothing is, and poor data do no harm."""

from dataclasses import replace

import numpy as np
import pytest
from agile_bench.attackers.svd import Svd
from pydantic import ValidationError

from agile_bench.api import Beats, Context, NotComputable
from agile_bench.contract import check_state, freeze
from agile_bench.testing import check_plugin, made_beats

CTX = Context(label=("test",))
RULES = ("lda", "wccn", "cosine")
EVERY = [Svd(rule=rule, norm=norm) for rule in RULES for norm in ("none", "z", "l2")]


def attack(svd, pool, gallery, probes, ctx=CTX):
    state = freeze(check_state(svd.fit(pool, ctx), "fit"))
    enrolled = freeze(check_state(svd.enrol(state, gallery, ctx), "enrol"))
    scores = svd.score(state, enrolled, replace(probes, subject=None), ctx)
    assert np.isfinite(scores).all()
    return scores


def rank_1(scores, probes):
    return float(np.mean(scores.argmax(axis=1) == probes.subject))


def enrol_and_probe(beats):
    first = beats.record % 2 == 0
    return beats.take(first), beats.take(~first)


def noise_beats(people=5, per=12, seed=0, **fields):
    """Beats of pure noise: nobody can be told apart."""
    n = people * per
    rng = np.random.default_rng(seed)
    subject = np.repeat(np.arange(people), per).astype(np.int32)
    return Beats(signal=rng.standard_normal((n, 200)).astype(np.float32), record=subject, subject=subject, **fields)


@pytest.mark.parametrize("svd", EVERY, ids=lambda s: f"{s.rule}-{s.norm}")
def test_keeps_the_contract(svd):
    check_plugin(svd)


@pytest.mark.parametrize("svd", EVERY, ids=lambda s: f"{s.rule}-{s.norm}")
def test_people_who_differ_are_recognised_from_another_record(svd):
    gallery, probes = enrol_and_probe(made_beats(people=6))
    assert rank_1(attack(svd, gallery, gallery, probes), probes) > 0.6


@pytest.mark.parametrize("svd", EVERY, ids=lambda s: f"{s.rule}-{s.norm}")
def test_one_beat_for_everybody_gives_exactly_equal_scores(svd):
    gallery, probes = enrol_and_probe(made_beats())
    one = made_beats().signal.mean(axis=0)
    gallery, probes = (b.with_signal(np.broadcast_to(one, b.signal.shape)) for b in (gallery, probes))
    scores = attack(svd, gallery, gallery, probes)
    assert len(np.unique(scores)) == 1


@pytest.mark.parametrize("svd", EVERY, ids=lambda s: f"{s.rule}-{s.norm}")
def test_a_constant_gallery_behind_an_original_pool_gives_exactly_equal_scores(svd):
    pool, probes = enrol_and_probe(made_beats())
    one = pool.signal[3]
    gallery, probes = (b.with_signal(np.broadcast_to(one, b.signal.shape)) for b in (pool, probes))
    assert len(np.unique(attack(svd, pool, gallery, probes))) == 1


@pytest.mark.parametrize("rule", RULES)
def test_a_planted_constant_wave_per_person_is_found(rule):
    gallery, probes = noise_beats(seed=1), noise_beats(seed=2)
    wave = np.random.default_rng(3).standard_normal((5, 200)).astype(np.float32)
    gallery, probes = (b.with_signal(b.signal * 0.1 + wave[b.subject]) for b in (gallery, probes))
    assert rank_1(attack(Svd(rule=rule, norm="none"), gallery, gallery, probes), probes) == 1.0


@pytest.mark.parametrize("rule", RULES)
def test_one_template_per_person_is_found_though_nobody_varies(rule):
    wave = np.random.default_rng(3).standard_normal((5, 200)).astype(np.float32)
    beats = noise_beats()
    beats = beats.with_signal(wave[beats.subject])
    scores = attack(Svd(rule=rule), beats, beats, beats)
    assert rank_1(scores, beats) == 1.0
    for person in range(5):
        assert len(np.unique(scores[beats.subject == person], axis=0)) == 1


def test_on_noise_people_are_at_chance():
    gallery, probes = noise_beats(people=10, per=30, seed=1), noise_beats(people=10, per=30, seed=2)
    for rule in RULES:
        assert rank_1(attack(Svd(rule=rule), gallery, gallery, probes), probes) < 0.2


def test_lda_scores_are_log_probabilities_of_the_enrolled():
    gallery, probes = enrol_and_probe(made_beats())
    scores = attack(Svd(), gallery, gallery, probes)
    np.testing.assert_allclose(np.exp(scores).sum(axis=1), 1, atol=1e-4)


def test_fewer_beats_than_k_and_one_beat_a_person():
    gallery, probes = enrol_and_probe(made_beats(people=4, beats=1))
    for rule in RULES:
        assert attack(Svd(rule=rule, k=200), gallery, gallery, probes).shape == (4, 4)


def test_one_enrolled_person_is_verified_by_cosine_and_not_by_lda():
    beats = made_beats(people=3)
    gallery = beats.take(beats.subject == 0)
    assert attack(Svd(rule="wccn"), beats, gallery, beats).shape == (len(beats), 1)
    with pytest.raises(NotComputable, match="at least 2"):
        attack(Svd(), beats, gallery, beats)


def test_more_releases_of_the_gallery_help_against_fresh_noise():
    gallery, probes = enrol_and_probe(made_beats(people=12, beats=6))

    def noisy(beats, draw):
        rng = np.random.default_rng([draw, len(beats)])
        return beats.with_signal(beats.signal + rng.normal(0, 0.5, beats.signal.shape).astype(np.float32))

    given, probes = noisy(gallery, 90), noisy(probes, 91)
    without = rank_1(attack(Svd(), given, given, probes), probes)
    informed = Context(label=("test",), oracle=lambda beats, draw: noisy(gallery, draw))
    assert rank_1(attack(Svd(), given, given, probes, informed), probes) > without + 0.02


@pytest.mark.parametrize("wrong", [{"k": 0}, {"k": 201}, {"rule": "knn"}, {"norm": "max"}])
def test_settings_out_of_bounds_are_refused(wrong):
    with pytest.raises(ValidationError):
        Svd(**wrong)
