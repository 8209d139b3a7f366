"""The network over sets of beats: what it reads that no mean beat shows, and records too short for it."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from agile_bench.attackers.set import Set
from pydantic import ValidationError

from agile_bench.api import Context, NotComputable
from agile_bench.contract import check_state, freeze
from agile_bench.nn.beats import DRAWS, LONGER
from agile_bench.nn.set_encoder import SMALL as TINY
from agile_bench.nn.set_encoder import pooled
from agile_bench.testing import check_plugin, made_beats

CTX = Context(label=("test",))
SMALL = Set(epochs=8, width=4)


@cache
def halves(people=6, beats=16):
    made = made_beats(people=people, beats=beats)
    return made.take(made.record % 2 == 0), made.take(made.record % 2 == 1)


def scores_of(plugin, pool, gallery, probes):
    state = freeze(check_state(plugin.fit(pool, CTX), "fit"))
    return plugin.score(state, plugin.enrol(state, gallery, CTX), replace(probes, subject=None), CTX)


def truth(beats):
    return np.asarray(beats.subject)[np.unique(beats.record, return_index=True)[1]]


def test_keeps_the_contract():
    check_plugin(Set(epochs=30))


def test_keeps_the_contract_by_cosine():
    check_plugin(Set(epochs=30, rule="cosine"))


def test_a_set_is_told_by_mean_and_spread_of_what_is_there():
    features = torch.tensor([[[1.0], [3.0], [99.0]], [[2.0], [4.0], [6.0]]])
    there = torch.tensor([[1.0, 1.0, 0.0], [1.0, 1.0, 1.0]])
    expected = torch.tensor([[2.0, (2 + TINY) ** 0.5], [4.0, (4 + TINY) ** 0.5]])
    torch.testing.assert_close(pooled(features, there), expected)


def test_recognises_people_and_reports_that_it_learnt():
    pool, probes = halves()
    plugin = Set(epochs=30, width=8)
    assert np.mean(scores_of(plugin, pool, pool, probes).argmax(axis=1) == truth(probes)) > 0.8
    assert plugin.fit(pool, CTX)["train_accuracy"] > 0.8


def test_finds_people_who_differ_in_how_their_beats_vary_alone():
    """One mean beat for all; each person's beats vary along a wave of its own, by an amount that says nothing."""
    waves = np.linalg.qr(np.random.default_rng(0).standard_normal((200, 6)))[0].T
    waves = np.sqrt(200) * np.apply_along_axis(np.convolve, 1, waves, np.ones(9) / 9, "same")

    def varying(seed):
        made = made_beats(people=6, records=2, beats=20, seed=seed)
        rng = np.random.default_rng(seed)
        amount = rng.standard_normal(len(made))[:, None]
        return made.with_signal((made.signal[0] + 0.3 * amount * waves[np.asarray(made.subject)]).astype(np.float32))

    pool, probes = varying(1), varying(2)
    assert np.mean(scores_of(Set(epochs=60, width=8), pool, pool, probes).argmax(axis=1) == truth(probes)) > 0.7


def test_finds_a_person_by_one_sample():
    def coded(seed):
        made = made_beats(people=6, records=1, beats=20, seed=seed)
        signal = np.tile(made.signal[0], (len(made), 1))
        signal += 0.02 * np.random.default_rng(seed).standard_normal(signal.shape).astype(np.float32)
        signal[:, 180] += np.asarray(made.subject) - 2.5
        return made.with_signal(signal)

    scores = scores_of(Set(epochs=60, width=8), coded(1), coded(1), coded(2))
    assert np.mean(scores.argmax(axis=1) == np.arange(6)) > 0.8


@pytest.mark.parametrize("rule", ["lda", "cosine"])
def test_one_beat_for_all_leaves_everybody_alike(rule):
    pool, probes = (part.with_signal(np.tile(part.signal[0], (len(part), 1))) for part in halves())
    assert np.ptp(scores_of(Set(epochs=2, width=4, rule=rule), pool, pool, probes)) < 1e-5


def test_the_order_of_the_probes_does_not_matter():
    pool, probes = halves()
    state = SMALL.fit(pool, CTX)
    enrolled = SMALL.enrol(state, pool, CTX)
    order = np.concatenate([np.flatnonzero(probes.record == r) for r in np.unique(probes.record)[::-1]])
    forwards, backwards = (SMALL.score(state, enrolled, p, CTX) for p in (probes, probes.take(order)))
    np.testing.assert_array_equal(forwards, backwards[::-1])


def test_subsets_hold_beats_of_their_record_and_none_twice():
    plugin = Set(fewest=3, most=5, subsets=4)
    records = [np.arange(0, 10), np.arange(10, 12), np.arange(12, 16)]
    picked, there = plugin._subsets(records, np.random.default_rng(0))
    assert picked.shape == there.shape == (12, 5)
    for row, counts, record in zip(picked, there, np.repeat(np.arange(3), 4), strict=True):
        chosen = row[counts == 1]
        assert len(set(chosen)) == len(chosen)
        assert set(row) == set(chosen) <= set(records[record])
        assert min(3, max(2, len(records[record]) // 2)) <= len(chosen) <= 5


def test_a_record_of_one_beat_is_not_acquired_and_loses():
    pool, probes = halves()
    state = SMALL.fit(pool, CTX)
    short = probes.take(np.flatnonzero((probes.record != 1) | (np.arange(len(probes)) == 0)))
    scores = SMALL.score(state, SMALL.enrol(state, pool, CTX), short, CTX)
    assert np.isneginf(scores[0]).all()
    assert np.isfinite(scores[1:]).all()


def test_a_person_enrolled_by_one_beat_is_nobody_s_match():
    pool, probes = halves()
    state = SMALL.fit(pool, CTX)
    gallery = pool.take(np.sort(np.r_[np.flatnonzero(np.asarray(pool.subject) != 2), 32]))
    scores = SMALL.score(state, SMALL.enrol(state, gallery, CTX), probes, CTX)
    assert scores.shape == (6, 6)
    assert np.isneginf(scores[:, 2]).all()
    assert np.isfinite(np.delete(scores, 2, axis=1)).all()


def test_records_of_one_beat_alone_are_not_computable():
    pool, _ = halves()
    single = pool.take(np.unique(pool.record, return_index=True)[1])
    with pytest.raises(NotComputable, match="records of at least 2 beats"):
        SMALL.fit(single, CTX)
    with pytest.raises(NotComputable, match="records of at least 2 beats"):
        SMALL.enrol(SMALL.fit(pool, CTX), single, CTX)


def test_a_pool_of_one_person_is_not_computable():
    pool, _ = halves()
    with pytest.raises(NotComputable, match="at least 2 people"):
        SMALL.fit(pool.take(np.asarray(pool.subject) == 0), CTX)


def test_every_epoch_draws_another_release_where_there_is_an_anonymizer():
    pool, _ = halves(people=3, beats=4)
    asked = []

    def oracle(beats, draw):
        assert beats is pool
        asked.append(draw)
        return beats

    Set(epochs=6, width=2).fit(pool, Context(label=("test",), oracle=oracle))
    assert asked[-6:] == [epoch % DRAWS for epoch in range(6 * LONGER)][-6:]


def test_a_loss_that_is_nan_is_not_computable_and_says_where():
    pool, _ = halves()
    broken = pool.with_signal(np.full_like(pool.signal, np.nan))
    with pytest.raises(NotComputable, match=r"epoch 1 of 8 at learning rate 0\.005"):
        SMALL.fit(broken, CTX)


def test_the_smallest_subset_is_not_larger_than_the_largest():
    with pytest.raises(ValidationError, match=r"fewest \(30\) is larger than most \(24\)"):
        Set(fewest=30)
