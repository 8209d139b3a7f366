"""Trunks and heads as one attacker: settings, own weights, cohorts, and what it finds and cannot find."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from agile_bench.attackers.embedder import SIGNAL_TRUNKS, Embedder
from pydantic import ValidationError
from safetensors.numpy import save_file

from agile_bench.api import Context, NotComputable, unit_rows
from agile_bench.contract import check_state, freeze
from agile_bench.nn.beats import DRAWS
from agile_bench.nn.cohort import as_norm, top_share
from agile_bench.nn.trunks import TRUNKS
from agile_bench.testing import check_plugin, made_beats

CTX = Context(label=("test",))
SMALL = Embedder(trunk="xresnet1d", epochs=8, dim=16)


@cache
def halves(people=6, beats=12):
    made = made_beats(people=people, beats=beats)
    return made.take(made.record % 2 == 0), made.take(made.record % 2 == 1)


def scores_of(plugin, pool, gallery, probes, ctx=CTX):
    state = freeze(check_state(plugin.fit(pool, ctx), "fit"))
    return plugin.score(state, plugin.enrol(state, gallery, ctx), replace(probes, subject=None), ctx)


def rank_1(scores, beats):
    return np.mean(scores.argmax(axis=1) == beats.subject)


def coded(seed):
    """Beats of one shape for all, but for one sample, which says who it was."""
    made = made_beats(people=6, records=1, beats=16, seed=seed)
    signal = np.tile(made.signal[0], (len(made), 1))
    signal += 0.02 * np.random.default_rng(seed).standard_normal(signal.shape).astype(np.float32)
    signal[:, 180] += np.asarray(made.subject) - 2.5
    return made.with_signal(signal)


def test_keeps_the_contract():
    check_plugin(Embedder())


@pytest.mark.parametrize("head", ["arcface", "cosface", "supcon"])
@pytest.mark.parametrize("rule", ["lda", "cosine"])
def test_keeps_the_contract_with_every_head_and_rule(head, rule):
    check_plugin(Embedder(trunk="xresnet1d", head=head, rule=rule, epochs=16))


@pytest.mark.parametrize("trunk", ["inception1d", "cdil", "test_efficientnet"])
def test_keeps_the_contract_with_other_trunks(trunk):
    check_plugin(Embedder(trunk=trunk, epochs=12, dim=16))


def test_listing_needs_no_torch_for_the_names_of_trunks():
    assert SIGNAL_TRUNKS == TRUNKS


@pytest.mark.parametrize("head", ["softmax", "arcface", "cosface", "supcon"])
def test_tells_that_it_learnt(head):
    pool, _ = halves()
    state = SMALL.model_copy(update={"head": head, "epochs": 40}).fit(pool, CTX)
    assert state["train_accuracy"] > 0.8
    assert state["train_chance"] == pytest.approx(1 / 6)


def test_a_margin_changes_what_is_learnt_and_none_is_none():
    pool, _ = halves()

    def weights(degrees):
        plugin = Embedder(trunk="xresnet1d", head="arcface", arcface_degrees=degrees, epochs=2, dim=8)
        return plugin.fit(pool, CTX)["net.dense.weight"]

    np.testing.assert_array_equal(weights(28.6), weights(28.6))
    assert not np.array_equal(weights(28.6), weights(0.0))


@pytest.mark.parametrize(
    ("setting", "problem"),
    [
        ({"trunk": "resnet2d"}, "no backbone 'resnet2d'.*or one of resnet1d"),
        ({"head": "triplet"}, "softmax"),
        ({"arcface_degrees": 91}, "less than or equal to 90"),
        ({"dim": 1}, "greater than or equal to 2"),
        ({"size": "tiny"}, "published"),
    ],
)
def test_settings_out_of_bounds_are_refused(setting, problem):
    with pytest.raises(ValidationError, match=problem):
        Embedder(**setting)


def test_finds_a_person_by_one_sample():
    assert rank_1(scores_of(SMALL.model_copy(update={"epochs": 20}), coded(1), coded(1), coded(2)), coded(2)) > 0.7


@pytest.mark.parametrize("rule", ["lda", "cosine"])
def test_one_beat_for_all_leaves_everybody_alike(rule):
    pool, probes = (part.with_signal(np.tile(part.signal[0], (len(part), 1))) for part in halves())
    scores = scores_of(Embedder(trunk="xresnet1d", epochs=2, dim=8, rule=rule), pool, pool, probes)
    assert np.ptp(scores) < 1e-5


def test_each_epoch_trains_on_another_release_where_there_is_an_anonymizer():
    pool, _ = halves(people=3, beats=4)
    asked = []

    def oracle(beats, draw):
        assert beats is pool
        asked.append(draw)
        return beats

    SMALL.fit(pool, Context(label=("test",), oracle=oracle))
    assert asked[1 : 1 + DRAWS + 2] == [*range(DRAWS), 0, 1]


def test_a_pool_of_one_person_is_not_computable():
    pool, _ = halves()
    with pytest.raises(NotComputable, match="at least 2 people"):
        SMALL.fit(pool.take(np.asarray(pool.subject) == 0), CTX)


def test_pairs_need_two_beats_of_somebody():
    pool, _ = halves()
    with pytest.raises(NotComputable, match="at least 2 beats"):
        Embedder(head="supcon").fit(pool.take(np.unique(pool.subject, return_index=True)[1]), CTX)


@pytest.mark.parametrize("head", ["softmax", "arcface", "supcon"])
def test_a_loss_that_is_nan_is_not_computable_and_says_where(head):
    pool, _ = halves()
    broken = pool.with_signal(np.full_like(pool.signal, np.nan))
    with pytest.raises(NotComputable, match=r"epoch 1 of 8 at learning rate 0\.005"):
        SMALL.model_copy(update={"head": head}).fit(broken, CTX)


# -- own weights -------------------------------------------------------------------------------------------------------


def saved(folder, **changes):
    pool, _ = halves()
    state = Embedder(trunk="xresnet1d", epochs=1, dim=8).fit(pool, CTX)
    arrays = {k.removeprefix("net."): v for k, v in state.items() if k.startswith("net.")} | changes
    save_file({k: v for k, v in arrays.items() if v is not None}, folder / "own.safetensors")
    return str(folder / "own.safetensors"), state


def own(path, **more):
    return Embedder(**{"trunk": "xresnet1d", "dim": 8, "epochs": 0, "weights": path} | more)


def test_own_weights_are_taken_as_they_are(tmp_path):
    path, state = saved(tmp_path)
    plugin = own(path)
    loaded = plugin.fit(halves()[0], Context(label=("other",)))
    np.testing.assert_array_equal(plugin.embed(loaded, halves()[1], CTX), plugin.embed(state, halves()[1], CTX))
    assert "train_accuracy" not in loaded


def test_own_weights_may_be_trained_on(tmp_path):
    path, state = saved(tmp_path)
    more = own(path, epochs=1, learning_rate=1e-6).fit(halves()[0], CTX)
    np.testing.assert_allclose(more["net.dense.weight"], state["net.dense.weight"], atol=1e-3)
    assert not np.array_equal(more["net.dense.weight"], state["net.dense.weight"])


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"dense.weight": np.zeros((8, 3), np.float32)}, "dense.weight is 8 x 3, expected 8 x 128"),
        ({"dense.weight": None}, "no dense.weight, expected 8 x 128"),
        ({"more": np.zeros(2, np.float32)}, "more is not expected"),
    ],
)
def test_weights_of_another_shape_are_refused_with_what_is_expected(tmp_path, changes, problem):
    with pytest.raises(ValidationError, match=problem):
        own(saved(tmp_path, **changes)[0])


def test_weights_for_another_trunk_or_length_are_refused(tmp_path):
    path, _ = saved(tmp_path)
    with pytest.raises(ValidationError, match=r"does not fit resnet1d, small: .* and \d+ more"):
        own(path, trunk="resnet1d")
    with pytest.raises(ValidationError, match=r"dense\.weight is 8 x 128, expected 16 x 128"):
        own(path, dim=16)


def test_what_is_no_file_of_weights_is_refused(tmp_path):
    with pytest.raises(ValidationError, match="cannot be read"):
        own(str(tmp_path / "missing.safetensors"))
    (tmp_path / "text.safetensors").write_text("no weights")
    with pytest.raises(ValidationError, match="no safetensors file"):
        own(str(tmp_path / "text.safetensors"))


def test_other_weights_under_the_same_name_are_another_setting(tmp_path):
    path, _ = saved(tmp_path)
    first = own(path)
    saved(tmp_path, **{"norm.bias": np.ones(8, np.float32)})
    assert own(path).weights != first.weights
    assert own(first.weights).weights == first.weights
    with pytest.raises(NotComputable, match="has changed"):
        first.fit(halves()[0], CTX)


# -- the cohort --------------------------------------------------------------------------------------------------------


NORMED = Embedder(trunk="xresnet1d", epochs=1, dim=8, rule="cosine")


@cache
def crowd():
    made = made_beats(people=130, records=1, beats=2)
    return made, freeze(NORMED.fit(made, CTX))


def some(beats, first, count):
    mine = np.asarray(beats.subject)
    part = beats.take((mine >= first) & (mine < first + count))
    return replace(part, subject=part.subject - first)


def test_scores_are_normalised_by_the_people_outside_the_gallery():
    beats, state = crowd()
    gallery = some(beats, 20, 25)
    enrolled = NORMED.enrol(state, gallery, CTX)
    outside = np.r_[0:20, 45:130]
    np.testing.assert_array_equal(enrolled["cohort"], state["cohort.mean"][outside])
    unit = unit_rows(NORMED.embed(state, gallery, CTX).astype(np.float64))
    cohort, templates = enrolled["cohort"], enrolled["templates"]
    expected = as_norm(unit @ templates.T, unit @ cohort.T, templates @ cohort.T, top_share(105))
    np.testing.assert_allclose(NORMED.score(state, enrolled, gallery, CTX), expected, atol=1e-5)


def test_with_fewer_than_100_people_outside_scores_are_cosines():
    beats, state = crowd()
    gallery = some(beats, 0, 31)
    enrolled = NORMED.enrol(state, gallery, CTX)
    assert "cohort" not in enrolled
    assert np.abs(NORMED.score(state, enrolled, gallery, CTX)).max() <= 1


def test_other_people_s_gallery_leaves_the_whole_cohort():
    beats, state = crowd()
    gallery = some(beats, 0, 31)
    others = gallery.with_signal(gallery.signal + np.float32(0.01))
    assert len(NORMED.enrol(state, others, CTX)["cohort"]) == 130


def test_the_enrolled_are_known_again_behind_an_anonymizer():
    beats, state = crowd()
    gallery = some(beats, 0, 20)
    released = gallery.with_signal(gallery.signal + np.float32(0.1))
    ctx = Context(label=("test",), recorded=lambda handed: handed.with_signal(gallery.signal))
    assert len(NORMED.enrol(state, released, ctx)["cohort"]) == 110


def test_lda_and_small_pools_keep_no_cohort():
    beats, _ = crowd()
    assert not any("cohort" in k for k in NORMED.model_copy(update={"rule": "lda"}).fit(some(beats, 0, 110), CTX))
    assert not any("cohort" in k for k in NORMED.fit(some(beats, 0, 99), CTX))
