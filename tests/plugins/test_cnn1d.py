"""The small network: learns who is who, says when it did not, and gets by with poor data."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from agile_bench.attackers.cnn1d import Cnn1d

from agile_bench.api import Context, NotComputable
from agile_bench.contract import check_state, freeze
from agile_bench.nn.beats import DRAWS, LONGER
from agile_bench.nn.conv1d import PINTO_POOLS, PintoClassifier, PintoEncoder
from agile_bench.testing import check_plugin, made_beats

CTX = Context(label=("test",))
SMALL = Cnn1d(epochs=8, width=4)
PUBLISHED = Cnn1d(size="published", epochs=2)


@pytest.mark.parametrize("plugin", [Cnn1d(epochs=2, width=4), PUBLISHED], ids=["small", "published"])
def test_keeps_the_contract(plugin):
    check_plugin(plugin)


def halves(people=6, beats=12):
    made = made_beats(people=people, beats=beats)
    return made.take(made.record % 2 == 0), made.take(made.record % 2 == 1)


def test_recognises_people_and_reports_that_it_learnt():
    gallery, probes = halves()
    state = freeze(check_state(Cnn1d(epochs=40, width=4).fit(gallery, CTX), "fit"))
    enrolled = freeze(SMALL.enrol(state, gallery, CTX))
    scores = SMALL.score(state, enrolled, replace(probes, subject=None), CTX)
    assert np.mean(scores.argmax(axis=1) == probes.subject) > 0.8
    assert state["train_accuracy"] > 0.8


def test_on_people_who_do_not_differ_the_training_accuracy_stays_low():
    gallery, _ = halves()
    noise = np.random.default_rng(0).standard_normal(gallery.signal.shape).astype(np.float32)
    assert Cnn1d(epochs=3, width=4).fit(gallery.with_signal(noise), CTX)["train_accuracy"] < 0.5


def test_embeds_people_it_was_not_trained_on():
    beats = made_beats(people=8)
    pool, others = beats.take(np.asarray(beats.subject) < 4), beats.take(np.asarray(beats.subject) >= 4)
    others = replace(others, subject=others.subject - 4)
    state = SMALL.fit(pool, CTX)
    assert SMALL.embed(state, others, CTX).shape == (len(others), 16)
    assert SMALL.score(state, SMALL.enrol(state, others, CTX), others, CTX).shape == (len(others), 4)


def test_pool_codes_need_not_start_at_zero():
    gallery, _ = halves()
    state = SMALL.fit(replace(gallery, subject=gallery.subject + 40), CTX)
    np.testing.assert_array_equal(state["net.head.weight"], SMALL.fit(gallery, CTX)["net.head.weight"])


def test_each_epoch_trains_on_another_release_where_there_is_an_anonymizer():
    gallery, _ = halves(people=3, beats=4)
    asked = []

    def oracle(beats, draw):
        assert beats is gallery
        asked.append(draw)
        return beats

    Cnn1d(epochs=6, width=2).fit(gallery, Context(label=("test",), oracle=oracle))
    assert asked == [0, *(np.arange(6 * LONGER) % DRAWS)]


def test_a_pool_of_one_person_is_not_computable():
    gallery, _ = halves()
    with pytest.raises(NotComputable, match="at least 2 people"):
        SMALL.fit(gallery.take(gallery.subject == 0), CTX)


def test_one_beat_a_person_is_enough_to_run():
    gallery, probes = halves(people=2, beats=1)
    state = SMALL.fit(gallery, CTX)
    assert np.isfinite(SMALL.score(state, SMALL.enrol(state, gallery, CTX), probes, CTX)).all()


@pytest.mark.parametrize("plugin", [SMALL, PUBLISHED], ids=["small", "published"])
def test_a_loss_that_is_nan_is_told_and_not_hidden(plugin):
    gallery, _ = halves()
    broken = gallery.with_signal(np.full_like(gallery.signal, np.nan))
    with pytest.raises(NotComputable, match=rf"epoch 1 of {plugin.epochs} at learning rate 0\.003"):
        plugin.fit(broken, CTX)


def test_the_published_network_recognises_people():
    gallery, probes = halves()
    plugin = Cnn1d(size="published", epochs=60)
    state = freeze(check_state(plugin.fit(gallery, CTX), "fit"))
    scores = plugin.score(state, plugin.enrol(state, gallery, CTX), probes, CTX)
    assert np.mean(scores.argmax(axis=1) == probes.subject) > 0.8
    assert plugin.embed(state, probes, CTX).shape == (len(probes), 100)


def test_the_published_network_has_as_many_weights_as_the_paper():
    net = PintoClassifier(PintoEncoder(1000, PINTO_POOLS), 290)
    convolutions = (5 * 24 + 24) + (5 * 24 * 24 + 24) + (5 * 24 * 36 + 36) + (5 * 36 * 36 + 36)
    dense = 3 * 36 * 100 + 100
    assert sum(p.numel() for p in net.parameters()) == convolutions + dense + 100 * 290 + 290 == 54_110


def test_the_published_layers_are_those_of_the_paper():
    net = PintoClassifier(PintoEncoder(1000, PINTO_POOLS), 290).eval()
    lengths, x = [], torch.zeros(1, 1, 1000)
    for layer in net.encoder.trunk:
        x = layer(x)
        lengths += [tuple(x.shape[1:])] if isinstance(layer, torch.nn.Conv1d) else []
    assert lengths == [(24, 996), (24, 195), (36, 35), (36, 3)]
    assert [m.kernel_size for m in net.encoder.trunk if isinstance(m, torch.nn.MaxPool1d)] == [5, 5, 5]
    assert net(torch.zeros(2, 1, 1000)).shape == (2, 290)
    assert net.dropout.p == 0.2
