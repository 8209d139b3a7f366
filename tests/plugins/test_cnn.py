"""The network on pictures: learns who is who, refuses what it cannot read, and gets by with poor data."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from agile_bench.attackers.cnn import Cnn
from pydantic import ValidationError

from agile_bench.api import BEAT_SAMPLES, Context, NotComputable
from agile_bench.contract import check_state, freeze
from agile_bench.nn.beats import DRAWS, LONGER
from agile_bench.nn.picture import PictureEncoder
from agile_bench.testing import check_plugin, made_beats

CTX = Context(label=("test",))
SMALL = Cnn(epochs=6)


@cache
def halves(people=5, beats=12):
    made = made_beats(people=people, beats=beats)
    return made.take(made.record % 2 == 0), made.take(made.record % 2 == 1)


@cache
def trained():
    return freeze(check_state(SMALL.fit(halves()[0], CTX), "fit"))


def test_keeps_the_contract():
    check_plugin(Cnn(epochs=1))


def test_recognises_people_and_reports_that_it_learnt():
    gallery, probes = halves()
    scores = SMALL.score(trained(), SMALL.enrol(trained(), gallery, CTX), replace(probes, subject=None), CTX)
    assert np.mean(scores.argmax(axis=1) == probes.subject) > 0.8
    assert trained()["train_accuracy"] > 0.8


def test_equal_seeds_give_equal_bytes_and_other_seeds_others():
    def weights(label):
        state = SMALL.model_copy(update={"epochs": 1}).fit(halves()[0], Context(label=(label,)))
        return b"".join(state[name].tobytes() for name in sorted(state))

    assert weights("a") == weights("a") != weights("b")


def test_the_state_is_all_that_later_calls_need():
    _, probes = halves()
    copied = {name: array.copy() for name, array in trained().items()}
    np.testing.assert_array_equal(SMALL.embed(copied, probes, CTX), SMALL.embed(trained(), probes, Context()))


def test_a_beat_is_embedded_alike_in_any_company():
    _, probes = halves()
    alone = SMALL.embed(trained(), probes.take(np.arange(1)), CTX)
    np.testing.assert_array_equal(alone, SMALL.embed(trained(), probes, CTX)[:1])


def test_the_size_of_a_beat_in_millivolts_is_seen():
    _, probes = halves()
    twice = probes.with_signal(2 * probes.signal)
    assert not np.allclose(SMALL.embed(trained(), probes, CTX), SMALL.embed(trained(), twice, CTX), atol=1e-3)


def test_a_backbone_that_does_not_exist_is_refused_with_the_nearest_names():
    with pytest.raises(ValidationError, match=r"no backbone 'mobilenetv3_smal_050'; nearest: mobilenetv3_small_050"):
        Cnn(backbone="mobilenetv3_smal_050")


@pytest.mark.parametrize("name", ["hf-hub:someone/something", "local-dir:/tmp/x", "resnet18.a1_in1k", ""])
def test_a_backbone_cannot_name_weights_to_load(name):
    with pytest.raises(ValidationError, match="no backbone"):
        Cnn(backbone=name)


def test_a_backbone_that_slipped_past_the_settings_is_not_computable():
    with pytest.raises(NotComputable, match="nearest: test_efficientnet"):
        Cnn.model_construct(**{**SMALL.model_dump(), "backbone": "test_eficientnet"}).fit(halves()[0], CTX)


@pytest.mark.parametrize(
    ("name", "side", "least"),
    [("test_efficientnet", 31, "32 x 32"), ("test_vit", 12, "16 x 16"), ("test_vit", 100, "16 x 16")],
)
def test_a_picture_that_a_backbone_cannot_read_is_refused_with_the_smallest_that_it_reads(name, side, least):
    with pytest.raises(NotComputable, match=f"cannot read {side} x {side} pixels.*at least {least}"):
        PictureEncoder(name, side)


def test_a_backbone_that_cannot_read_the_whole_picture_is_not_computable():
    with pytest.raises(NotComputable, match="test_vit cannot read 200 x 200 pixels"):
        Cnn(backbone="test_vit", size="published", epochs=1).fit(halves()[0], CTX)


@pytest.mark.parametrize("name", ["test_vit", "test_convnext", "test_resnet", "swin_tiny_patch4_window7_224"])
def test_other_families_of_backbones_survive_the_round_trip(name):
    gallery, _ = halves(people=2, beats=2)
    plugin = Cnn(backbone=name, epochs=1)
    state = freeze(check_state(plugin.fit(gallery, CTX), "fit"))
    first, second = (plugin.embed(state, gallery, CTX) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert np.isfinite(first).all()


def test_the_published_size_sees_the_whole_picture():
    gallery, probes = halves(people=2, beats=2)
    plugin = Cnn(backbone="resnet18", size="published", epochs=1)
    assert plugin._network(2).encoder.size == BEAT_SAMPLES
    state = freeze(check_state(plugin.fit(gallery, CTX), "fit"))
    assert plugin.embed(state, probes, CTX).shape == (len(probes), 512)


def test_resnet18_has_as_many_weights_as_its_paper_says_for_one_picture_and_no_classes():
    encoder = Cnn(backbone="resnet18", size="published")._network(2).encoder
    # 11,689,512 with three colours and 1,000 classes (He et al. 2016).
    assert sum(p.numel() for p in encoder.parameters()) == 11_689_512 - 2 * 7 * 7 * 64 - 513_000


def test_pool_codes_need_not_start_at_zero():
    gallery, _ = halves()
    moved = SMALL.fit(replace(gallery, subject=gallery.subject + 40), CTX)
    np.testing.assert_array_equal(moved["net.head.weight"], trained()["net.head.weight"])


def test_each_epoch_trains_on_another_release_where_there_is_an_anonymizer():
    gallery, _ = halves(people=3, beats=4)
    asked = []

    def oracle(beats, draw):
        assert beats is gallery
        asked.append(draw)
        return beats

    SMALL.fit(gallery, Context(label=("test",), oracle=oracle))
    assert asked == [0, *(np.arange(SMALL.epochs * LONGER) % DRAWS)]


def test_one_person_is_not_computable():
    gallery, _ = halves()
    one = gallery.take(gallery.subject == 0)
    with pytest.raises(NotComputable, match="at least 2 people"):
        SMALL.fit(one, CTX)
    with pytest.raises(NotComputable, match="at least 2 enrolled people"):
        SMALL.enrol(trained(), one, CTX)


def test_people_with_one_beat_are_trained_on_and_enrolled():
    gallery, probes = halves(people=2, beats=1)
    state = SMALL.fit(gallery, CTX)
    assert np.isfinite(SMALL.score(state, SMALL.enrol(state, gallery, CTX), probes, CTX)).all()


def test_a_loss_that_is_nan_is_told_with_epoch_and_learning_rate():
    gallery, _ = halves()
    broken = gallery.with_signal(np.full_like(gallery.signal, np.nan))
    with pytest.raises(NotComputable, match=rf"epoch 1 of 6 at learning rate {SMALL.learning_rate:g}"):
        SMALL.fit(broken, CTX)
