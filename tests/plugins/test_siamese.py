"""The pair network: which pairs it learns from, and whom it recognises."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from agile_bench.attackers.siamese import STRANGERS, WIDTH, Siamese, _Kin
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from agile_bench.api import Context, NotComputable
from agile_bench.contract import check_state, freeze
from agile_bench.nn.beats import DRAWS
from agile_bench.nn.ecgxtractor import CODES, Autoencoder, PairHead
from agile_bench.testing import check_plugin, made_beats

CTX = Context(label=("test",))
SMALL = Siamese(epochs=20, pair_epochs=12, positives=200)


@pytest.fixture(autouse=True)
def narrow(monkeypatch):
    """An eighth of the small width, for speed."""
    monkeypatch.setitem(WIDTH, "small", 32)


@cache
def halves(people=6, beats=12):
    made = made_beats(people=people, beats=beats)
    return made.take(made.record % 2 == 0), made.take(made.record % 2 == 1)


@cache
def trained():
    return freeze(check_state(SMALL.fit(halves()[0], CTX), "fit"))


def weights(module):
    return sum(p.numel() for p in module.parameters())


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


def test_the_published_layers_are_those_of_the_paper():
    net = Autoencoder(WIDTH["published"])
    shapes = [(m.in_channels, m.out_channels, m.kernel_size[0]) for m in net.encoder if isinstance(m, torch.nn.Conv1d)]
    widths = [1, 8, 16, 32, 64, 128, 256, 512, 1024, 2]
    assert shapes == list(zip(widths[:-1], widths[1:], [5] + 8 * [3], strict=True))
    shapes = [(m.in_channels, m.out_channels, m.kernel_size[0]) for m in net.decoder if isinstance(m, torch.nn.Conv1d)]
    assert shapes == list(zip(widths[:0:-1], widths[-2::-1], 8 * [3] + [5], strict=True))
    lengths = [x.shape[1:] for x in layers(net.encoder, torch.zeros(1, 1, 200), torch.nn.Conv1d)]
    sides = [200, 200, 100, 100, 50, 50, 25, 25, 25]
    assert lengths == list(zip(widths[1:], sides, strict=True))
    lengths = [x.shape[1:] for x in layers(net.decoder, torch.zeros(1, 2, 25), torch.nn.Conv1d)]
    assert lengths == list(zip(widths[-2::-1], [25, 25, 50, 50, 100, 100, 200, 200, 200], strict=True))


def test_the_published_head_is_that_of_the_paper():
    head = PairHead(WIDTH["published"])
    convolved = layers(head.side_layers, torch.zeros(1, 2, 25), torch.nn.Conv1d)
    assert [x.shape[1:] for x in convolved] == [(256, 7), (512, 4)]
    assert [m.stride for m in head.side_layers if isinstance(m, torch.nn.Conv1d)] == [(4,), (2,)]
    assert [m.kernel_size for m in head.side_layers if isinstance(m, torch.nn.Conv1d)] == [(7,), (5,)]
    dense = [m for m in [*head.side_layers, *head.pair_layers] if isinstance(m, torch.nn.Linear)]
    assert [(m.in_features, m.out_features) for m in dense] == [(2048, 1024), (1024, 16), (16, 2)]


def layers(net, x, kind):
    """What each layer of a kind gives for x."""
    given = []
    net.eval()
    for layer in net:
        x = layer(x)
        if isinstance(layer, kind):
            given.append(x)
    return given


def test_the_published_size_has_as_many_weights_as_the_paper():
    net, head = Autoencoder(WIDTH["published"]), PairHead(WIDTH["published"])
    # Convolutions 1-8@5, then @3 up to 1024, scale and shift of 2,040 channels, and 2@3 with bias; then the mirror.
    up = 3 * sum(8 * 2**n * 16 * 2**n for n in range(7))
    assert weights(net.encoder) == 40 + up + 2 * 2040 + (3 * 1024 * 2 + 2) == 2_107_290
    assert weights(net.decoder) == 3 * 2 * 1024 + up + 2 * 2040 + (5 * 8 + 1) == 2_107_289
    sides = 2 * 2 + 7 * 2 * 256 + 2 * 256 + 5 * 256 * 512 + 2 * 512 + 2048 * 1024 + 2 * 1024
    assert weights(head) == sides + 1024 * 16 + 2 * 16 + 16 * 2 + 2 == 2_776_134


def test_the_published_size_trains_and_scores():
    gallery, probes = halves(people=3, beats=4)
    plugin = Siamese(size="published", epochs=1, pair_epochs=1, positives=10, dropout=0.9)
    state = freeze(check_state(plugin.fit(gallery, CTX), "fit"))
    assert plugin.embed(state, probes, CTX).shape == (len(probes), 1024)
    assert np.isfinite(plugin.score(state, plugin.enrol(state, gallery, CTX), probes, CTX)).all()


def test_an_autoencoder_remembers_the_beats_it_was_trained_on():
    gallery, _ = halves()
    signal = torch.tensor(gallery.signal)
    state = Siamese(epochs=40)._train_codes(gallery.signal, CTX)
    net = Autoencoder.like(state, "codes.")
    net.load_state_dict({k.removeprefix("codes."): torch.tensor(v) for k, v in state.items()})
    with torch.inference_mode():
        left = (net.eval()(signal) - signal).square().mean() / signal.var()
    assert left < 0.2


def test_pairs_of_one_person_come_first_and_from_other_records():
    made = made_beats(people=4)
    made = replace(made, session=made.subject)
    a, b = drawn(made, 20)
    same = made.subject[a] == made.subject[b]
    assert same[:20].all()
    assert not same[20:].any()
    assert len(a) == 20 * (1 + STRANGERS)
    assert (made.record[a[:20]] != made.record[b[:20]]).all()


def test_pairs_of_one_person_come_from_other_days_where_there_are_some():
    made = made_beats(people=3, records=3)
    made = replace(made, session=made.record // 3 * 2 + (made.record % 3 == 2))
    a, b = drawn(made, 90)
    assert (made.session[a[:90]] != made.session[b[:90]]).all()


def test_within_one_record_a_beat_is_not_paired_with_itself():
    gallery, _ = halves()
    a, b = drawn(gallery, 180)
    assert (a != b).all()


@settings(deadline=None)
@given(st.lists(st.tuples(*[st.integers(0, 2)] * 3), min_size=2, max_size=30), st.integers(0, 99))
def test_a_pair_is_as_far_apart_as_the_person_allows(codes, seed):
    person, day, record = np.array(codes).T
    day = 3 * person + day  # a record lies in one day, a day in one person
    record = 3 * day + record
    made = made_beats(people=1, records=1, beats=len(person))
    made = replace(made, subject=person, session=day, record=record)
    assume(len(np.unique(person)) > 1 and np.bincount(person).max() > 1)
    a, b = drawn(made, 40, seed)
    assert (a != b).all()
    for one, other in zip(a[:40], b[:40], strict=True):
        mine = person == person[one]
        assert mine[other]
        assert day[one] != day[other] or (day[mine] == day[one]).all()
        assert record[one] != record[other] or (record[mine] == record[one]).all()
    assert (person[a[40:]] != person[b[40:]]).all()


def test_all_beats_and_all_pairs_of_people_come_up_equally_often():
    made = made_beats(people=3, records=2, beats=2)
    a, b = drawn(made, 6000)
    at = {(one, other): 0 for one in range(12) for other in range(12) if made.subject[one] == made.subject[other]}
    for pair in zip(a[:6000], b[:6000], strict=True):
        at[pair] += 1
    far = {pair: n for pair, n in at.items() if made.record[pair[0]] != made.record[pair[1]]}
    assert sum(far.values()) == 6000
    np.testing.assert_allclose(list(far.values()), 250, atol=80)  # five standard deviations
    strangers = np.zeros((3, 3))
    np.add.at(strangers, (made.subject[a[6000:]], made.subject[b[6000:]]), 1)
    np.testing.assert_allclose(strangers[~np.eye(3, dtype=bool)], 5000, atol=330)


def drawn(beats, positives, seed=0):
    return _Kin.of(beats).pairs(positives, np.random.default_rng(seed))


def test_a_person_with_one_beat_is_a_stranger_to_others_and_can_be_enrolled():
    gallery, probes = halves()
    few = gallery.take(np.r_[0, np.flatnonzero(gallery.subject > 0)])
    a, b = drawn(few, 20)
    assert 0 not in a[:20]
    assert 0 in np.concatenate([a, b])
    plugin = Siamese(epochs=1, pair_epochs=1, positives=20)
    state = plugin.fit(few, CTX)
    assert np.isfinite(plugin.score(state, plugin.enrol(state, few, CTX), probes, CTX)).all()


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
        plugin = Siamese(epochs=1, pair_epochs=1, positives=20)
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

    Siamese(epochs=1, pair_epochs=1, positives=20).fit(gallery, Context(oracle=oracle))
    assert asked == list(range(1, DRAWS))


def test_a_loss_that_is_nan_is_told_with_epoch_and_learning_rate():
    gallery, _ = halves()
    broken = gallery.with_signal(np.full_like(gallery.signal, np.nan))
    with pytest.raises(NotComputable, match=r"did not train: the loss is not finite in epoch 1 of 20 .* rate 0\.003"):
        SMALL.fit(broken, CTX)


def test_a_pair_head_that_diverges_is_told_too(monkeypatch):
    gallery, _ = halves()
    monkeypatch.setattr(Siamese, "_codes", lambda *_: np.full((len(gallery), CODES), np.nan, np.float32))
    with pytest.raises(NotComputable, match=r"epoch 1 of 12 at learning rate 0\.003"):
        SMALL.fit(gallery, CTX)


def test_the_loss_of_the_pair_head_is_told_epoch_by_epoch():
    assert trained()["train_loss"].shape == (12,)
    assert trained()["train_loss"][-1] < trained()["train_loss"][0]
    assert trained()["train_chance"] == STRANGERS / (1 + STRANGERS)
