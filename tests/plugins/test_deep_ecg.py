"""Rows of QRS complexes: which are taken, what is learnt from them, and what is not looked at."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from agile_bench.attackers.deep_ecg import DeepEcg
from pydantic import ValidationError

from agile_bench.api import R_COLUMN, Context, NotComputable
from agile_bench.contract import check_state, freeze
from agile_bench.nn.beats import DRAWS, LONGER
from agile_bench.nn.complexes import QRS, DeepEcgNet, chosen, row_of_complexes, windows
from agile_bench.testing import check_plugin, made_beats

CTX = Context(label=("test",))
SMALL = DeepEcg(epochs=8)


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
    check_plugin(DeepEcg())


def test_keeps_the_contract_by_cosine():
    check_plugin(DeepEcg(rule="cosine"))


def test_a_complex_is_an_eighth_of_a_second_to_each_side():
    assert (QRS.start, QRS.stop) == (R_COLUMN - 31, R_COLUMN + 31)


def test_the_complexes_most_like_the_median_are_taken_in_order_of_time():
    wave = np.sin(np.linspace(0, 6, 62))
    # The third is upside down and the fifth flat; size and offset of a complex do not matter.
    complexes = np.array([3 * wave, wave + 1, -wave, wave, 0 * wave, *[2 * wave] * 5])
    assert chosen(complexes, wave).tolist() == [0, 1, 3, 5, 6, 7, 8, 9]


def test_too_few_complexes_are_repeated():
    complexes = np.random.default_rng(0).standard_normal((3, 62))
    assert chosen(complexes, complexes[0]).tolist() == [0, 1, 2, 0, 1, 2, 0, 1]


def test_a_row_is_of_eight_complexes_scaled_together():
    signal = np.random.default_rng(0).standard_normal((10, 200)).astype(np.float32)
    row = row_of_complexes(signal, np.arange(4), signal[0, QRS])
    assert row.shape == (8 * 62,)
    assert (row.mean(), row.std()) == (pytest.approx(0, abs=1e-12), pytest.approx(1))
    np.testing.assert_array_equal(row[:248], row[248:])
    assert not row_of_complexes(np.ones((2, 200)), np.arange(2), np.ones(62)).any()


def test_windows_slide_by_a_beat():
    found = windows(np.arange(100, 114))
    assert [w[0] for w in found] == [100, 101, 102]
    assert all(len(w) == 12 for w in found)
    assert [w.tolist() for w in windows(np.arange(5))] == [[0, 1, 2, 3, 4]]


def test_the_published_network_is_as_large_as_published():
    net = DeepEcgNet(classes=90)
    assert sum(p.numel() for p in net.trunk.parameters()) == pytest.approx(0.83e6, rel=0.01)


def test_recognises_people_and_reports_that_it_learnt():
    pool, probes = halves()
    plugin = DeepEcg(epochs=80)
    assert np.mean(scores_of(plugin, pool, pool, probes).argmax(axis=1) == truth(probes)) > 0.8
    assert plugin.fit(pool, CTX)["train_accuracy"] > 0.8


def test_finds_a_person_by_one_sample_of_the_complex_and_by_none_outside():
    def coded(seed, column):
        made = made_beats(people=6, records=1, beats=20, seed=seed)
        signal = np.tile(made.signal[0], (len(made), 1))
        signal += 0.02 * np.random.default_rng(seed).standard_normal(signal.shape).astype(np.float32)
        signal[:, column] += 0.4 * (np.asarray(made.subject) - 2.5)
        return made.with_signal(signal)

    def found(column):
        scores = scores_of(DeepEcg(epochs=40), coded(1, column), coded(1, column), coded(2, column))
        return np.mean(scores.argmax(axis=1) == np.arange(6))

    assert found(QRS.start + 5) > 0.8
    assert found(QRS.stop) < 0.6


def test_one_beat_for_all_leaves_everybody_alike():
    pool, probes = (part.with_signal(np.tile(part.signal[0], (len(part), 1))) for part in halves())
    for rule in ("lda", "cosine"):
        assert np.ptp(scores_of(DeepEcg(epochs=2, rule=rule), pool, pool, probes)) < 1e-5


def test_the_order_of_the_probes_does_not_matter():
    pool, probes = halves()
    state = SMALL.fit(pool, CTX)
    enrolled = SMALL.enrol(state, pool, CTX)
    order = np.concatenate([np.flatnonzero(probes.record == r) for r in np.unique(probes.record)[::-1]])
    forwards, backwards = (SMALL.score(state, enrolled, p, CTX) for p in (probes, probes.take(order)))
    np.testing.assert_array_equal(forwards, backwards[::-1])


def test_records_of_one_beat_are_enough_to_run():
    pool, probes = halves(people=3, beats=1)
    assert np.isfinite(scores_of(SMALL, pool, pool, probes)).all()


def test_each_epoch_trains_on_another_release_where_there_is_an_anonymizer():
    pool, _ = halves(people=3, beats=4)
    asked = []

    def oracle(beats, draw):
        assert beats is pool
        asked.append(draw)
        return beats

    DeepEcg(epochs=6).fit(pool, Context(label=("test",), oracle=oracle))
    assert asked[-6:] == [epoch % DRAWS for epoch in range(6 * LONGER)][-6:]


def test_a_pool_of_one_person_is_not_computable():
    pool, _ = halves()
    with pytest.raises(NotComputable, match="at least 2 people"):
        SMALL.fit(pool.take(np.asarray(pool.subject) == 0), CTX)


def test_a_loss_that_is_nan_is_not_computable_and_says_where():
    pool, _ = halves()
    broken = pool.with_signal(np.full_like(pool.signal, np.nan))
    with pytest.raises(NotComputable, match=r"epoch 1 of 8 at learning rate 0\.005"):
        SMALL.fit(broken, CTX)


def test_sizes_are_named():
    with pytest.raises(ValidationError, match="half"):
        DeepEcg(size="full")
