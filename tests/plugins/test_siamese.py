"""The pair network: which pairs it learns from, and whom it recognises."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from agile_bench.attackers.siamese import STRANGERS, Siamese, _pairs

from agile_bench.api import Context, NotComputable
from agile_bench.contract import check_state, freeze
from agile_bench.nn.ecgxtractor import CODES, Autoencoder, PairHead
from agile_bench.testing import check_plugin, made_beats

CTX = Context(label=("test",))
SMALL = Siamese(width=32, epochs=20, pair_epochs=12, positives=200)


@cache
def halves(people=6, beats=12):
    made = made_beats(people=people, beats=beats)
    return made.take(made.record % 2 == 0), made.take(made.record % 2 == 1)


@cache
def trained():
    return freeze(check_state(SMALL.fit(halves()[0], CTX), "fit"))


def rows_of(beats):
    return [np.flatnonzero(beats.subject == person) for person in np.unique(beats.subject)]


def test_keeps_the_contract():
    check_plugin(SMALL)


def test_recognises_people_and_reports_that_it_learnt():
    gallery, probes = halves()
    scores = SMALL.score(trained(), SMALL.enrol(trained(), gallery, CTX), replace(probes, subject=None), CTX)
    assert np.mean(scores.argmax(axis=1) == probes.subject) > 0.7
    assert trained()["train_accuracy"] > STRANGERS / (1 + STRANGERS) + 0.05


def test_scores_are_log_odds_of_a_pair():
    gallery, probes = halves()
    enrolled = SMALL.enrol(trained(), gallery, CTX)
    scores = SMALL.score(trained(), enrolled, probes, CTX)
    genuine = scores[np.arange(len(probes)), probes.subject]
    assert np.median(genuine) > 0 > np.median(scores)


def test_embeddings_score_as_their_beats_do():
    gallery, probes = halves()
    enrolled = SMALL.enrol(trained(), gallery, CTX)
    embedded = SMALL.score_embeddings(enrolled, SMALL.embed(trained(), probes, CTX))
    np.testing.assert_array_equal(embedded, SMALL.score(trained(), enrolled, probes, CTX))


def test_every_probe_and_person_is_compared_whatever_the_block(monkeypatch):
    gallery, probes = halves()
    enrolled = SMALL.enrol(trained(), gallery, CTX)
    whole = SMALL.score(trained(), enrolled, probes, CTX)
    monkeypatch.setattr("agile_bench.attackers.siamese.BLOCK", 13)
    np.testing.assert_allclose(SMALL.score(trained(), enrolled, probes, CTX), whole, atol=1e-3)


def test_codes_are_fifty_and_give_back_a_beat_of_the_same_length():
    net = Autoencoder(32).eval()
    beats = torch.zeros(3, 200)
    assert net.encode(beats).shape == (3, CODES) == (3, 50)
    assert net(beats).shape == (3, 200)


def test_the_published_size_is_that_of_the_paper():
    encoder = sum(p.numel() for p in Autoencoder(1024).encoder.parameters())
    head = sum(p.numel() for p in PairHead(1024).parameters())
    assert encoder == pytest.approx(2.11e6, rel=0.01)
    assert head == pytest.approx(2.8e6, rel=0.02)


def test_an_autoencoder_remembers_the_beats_it_was_trained_on():
    gallery, _ = halves()
    signal = torch.tensor(gallery.signal)
    state = Siamese(width=32, epochs=40)._train_codes(gallery.signal, CTX)
    net = Autoencoder.like(state, "codes.")
    net.load_state_dict({k.removeprefix("codes."): torch.tensor(v) for k, v in state.items()})
    with torch.inference_mode():
        left = (net.eval()(signal) - signal).square().mean() / signal.var()
    assert left < 0.2


def test_pairs_of_one_person_come_first_and_from_other_records():
    made = made_beats(people=4)
    made = replace(made, session=None)
    a, b = _pairs(made, rows_of(made), 20, np.random.default_rng(0))
    same = made.subject[a] == made.subject[b]
    assert same[:20].all()
    assert not same[20:].any()
    assert len(a) == 20 * (1 + STRANGERS)
    assert (made.record[a[:20]] != made.record[b[:20]]).all()


def test_pairs_of_one_person_come_from_other_days_where_there_are_some():
    made = made_beats(people=3, records=3)
    made = replace(made, session=made.record // 3 * 2 + (made.record % 3 == 2))
    a, b = _pairs(made, rows_of(made), 90, np.random.default_rng(0))
    assert (made.session[a[:90]] != made.session[b[:90]]).all()


def test_within_one_record_a_beat_is_not_paired_with_itself():
    gallery, _ = halves()
    a, b = _pairs(gallery, rows_of(gallery), 180, np.random.default_rng(0))
    assert (a != b).all()


def test_a_person_with_one_beat_is_a_stranger_to_others_and_can_be_enrolled():
    gallery, probes = halves()
    few = gallery.take(np.r_[0, np.flatnonzero(gallery.subject > 0)])
    a, b = _pairs(few, rows_of(few), 20, np.random.default_rng(0))
    assert 0 not in a[:20]
    assert 0 in np.concatenate([a, b])
    state = SMALL.fit(few, CTX)
    assert np.isfinite(SMALL.score(state, SMALL.enrol(state, few, CTX), probes, CTX)).all()


def test_nobody_with_two_beats_is_not_computable():
    gallery, _ = halves(people=3, beats=1)
    with pytest.raises(NotComputable, match="at least 2 beats"):
        SMALL.fit(gallery, CTX)


def test_a_pool_of_one_person_is_not_computable_but_one_can_be_enrolled():
    gallery, probes = halves()
    one = gallery.take(gallery.subject == 0)
    with pytest.raises(NotComputable, match="at least 2 people"):
        SMALL.fit(one, CTX)
    assert SMALL.score(trained(), SMALL.enrol(trained(), one, CTX), probes, CTX).shape == (len(probes), 1)


def test_equal_beats_tie_exactly():
    gallery, probes = halves()
    flat = probes.with_signal(np.zeros_like(probes.signal))
    scores = SMALL.score(trained(), SMALL.enrol(trained(), gallery, CTX), flat, CTX)
    assert (np.ptp(scores, axis=0) == 0).all()


def test_equal_seeds_give_equal_bytes_and_other_seeds_others():
    def weights(label):
        plugin = Siamese(width=16, epochs=1, pair_epochs=1)
        state = plugin.fit(halves()[0], Context(label=(label,)))
        return b"".join(state[name].tobytes() for name in sorted(state))

    assert weights("a") == weights("a") != weights("b")


def test_the_state_is_all_that_later_calls_need():
    _, probes = halves()
    copied = {name: array.copy() for name, array in trained().items()}
    np.testing.assert_array_equal(SMALL.embed(copied, probes, CTX), SMALL.embed(trained(), probes, Context()))


def test_the_pool_is_enlarged_by_further_releases_where_there_is_an_anonymizer():
    gallery, _ = halves(people=3, beats=4)
    asked = []

    def oracle(beats, draw):
        asked.append(draw)
        return beats

    Siamese(width=16, epochs=1, pair_epochs=1).fit(gallery, Context(oracle=oracle))
    assert asked == [1, 2, 3]


def test_a_loss_that_is_nan_is_told_with_epoch_and_learning_rate():
    gallery, _ = halves()
    broken = gallery.with_signal(np.full_like(gallery.signal, np.nan))
    with pytest.raises(FloatingPointError, match=r"epoch 1 of 20 at learning rate 0\.003"):
        SMALL.fit(broken, CTX)
