"""AGILE as a plugin: what it needs, what it promises, and what it does to a network's guesses."""

from dataclasses import replace
from functools import cache, partial

import numpy as np
import pytest
import torch
from agile_bench.anonymizers.agile import Agile
from pydantic import ValidationError

from agile_bench.api import Beats, Context, NotComputable
from agile_bench.contract import check_state, freeze, only
from agile_bench.nn.cth import Cth
from agile_bench.nn.state import unpack
from agile_bench.testing import check_plugin, made_beats

CTX = Context(label=("test",))
SMALL = Agile(epochs=25)


def trained_on() -> Beats:
    return only(made_beats(people=5), SMALL.learns)


@cache
def state():
    return freeze(check_state(SMALL.fit(trained_on(), CTX), "fit"))


def strangers() -> Beats:
    """One record of a person who was not fitted on."""
    beats = made_beats(people=6)
    return only(beats.take(beats.record == 11), SMALL.reads)


def released(plugin, beats=None, ctx=CTX):
    return plugin.release(state(), strangers() if beats is None else beats, ctx).signal


@pytest.mark.parametrize("identity", ["embedding", "closed-set"])
def test_keeps_the_contract(identity):
    check_plugin(Agile(epochs=1, identity=identity))


def test_reads_nothing_at_release_and_is_the_same_under_every_key():
    assert not Agile.reads
    assert not Agile.stochastic
    assert released(SMALL, ctx=Context(label=("a",))).tobytes() == released(SMALL, ctx=Context(label=("b",))).tobytes()


def test_labels_that_come_along_change_nothing():
    beats = made_beats(people=6)
    full = beats.take(beats.record == 11)
    shuffled = replace(full, label=full.label[::-1].copy(), subject=full.subject * 0)
    assert released(SMALL, full).tobytes() == released(SMALL, shuffled).tobytes() == released(SMALL).tobytes()


@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize("identity", ["embedding", "closed-set"])
def test_no_budget_changes_no_bit(identity, steps):
    plugin = Agile(eps_mv=0, steps=steps, identity=identity)
    assert released(plugin).tobytes() == strangers().signal.tobytes()


@pytest.mark.parametrize("steps", [1, 5])
def test_the_budget_holds_and_is_used(steps):
    moved = np.abs(released(Agile(eps_mv=0.05, steps=steps)) - strangers().signal)
    assert moved.max() <= 0.05 + 1e-6
    assert np.median(moved) > 0.01


def test_a_beat_is_released_alike_whatever_its_record_holds():
    beats = strangers()
    many = beats.take(np.tile(np.arange(len(beats)), 4))
    assert np.array_equal(released(SMALL, many)[: len(beats)], released(SMALL))
    assert np.array_equal(released(SMALL, beats.take(np.array([7]))), released(SMALL)[7:8])


def seen(signal):
    """What the network makes of signals: unit embeddings and class logits."""
    net = unpack(partial(Cth.like, state(), "net."), state(), prefix="net.")
    with torch.no_grad():
        features = net.encoder(torch.tensor(signal))
        return torch.nn.functional.normalize(features), net.diagnosis(features)


def similarity(signal):
    """Mean cosine of the embeddings of signals to those of the clean beats."""
    return float((seen(signal)[0] * seen(strangers().signal)[0]).sum(1).mean())


@pytest.mark.parametrize("identity", ["embedding", "closed-set"])
def test_an_embedding_leaves_its_clean_twin_farther_than_by_random_signs(identity):
    clean = strangers().signal
    random = clean + np.random.default_rng(0).choice([-0.05, 0.05], clean.shape).astype(np.float32)
    assert similarity(released(Agile(eps_mv=0.05, identity=identity))) < similarity(random)


def test_more_steps_go_farther_from_the_clean_embedding():
    one, ten = (released(Agile(eps_mv=0.05, steps=steps, lambda_char=0)) for steps in (1, 10))
    assert similarity(ten) < similarity(one)


def test_the_diagnostic_weight_keeps_the_guessed_class():
    guess = seen(strangers().signal)[1].argmax(1)

    def loss(weight):
        logits = seen(released(Agile(eps_mv=0.05, lambda_char=weight)))[1]
        return float(torch.nn.functional.cross_entropy(logits, guess))

    assert loss(1) < loss(0)
    assert loss(100) < float(torch.nn.functional.cross_entropy(seen(strangers().signal)[1], guess))


def test_forward_is_the_release_with_the_identity_as_its_derivative():
    signal = torch.tensor(strangers().signal, requires_grad=True)
    out = SMALL.forward(state(), signal, CTX)
    assert np.array_equal(out.detach().numpy(), released(SMALL))
    weight = torch.randn(out.shape, generator=torch.Generator().manual_seed(0))
    (gradient,) = torch.autograd.grad((out * weight).sum(), signal)
    assert torch.equal(gradient, weight)


def test_the_state_is_small_and_holds_what_it_exposes():
    assert sum(array.nbytes for array in state().values()) < 5e6
    assert state()["centroids"].shape == (5, 64)
    assert Agile.exposes == {"templates": ("centroids",)}
    assert np.linalg.norm(state()["centroids"], axis=1) == pytest.approx(np.ones(5), abs=1e-5)


def test_fitting_twice_gives_the_same_bytes():
    a, b = (Agile(epochs=2).fit(trained_on(), CTX) for _ in range(2))
    assert all(a[name].tobytes() == b[name].tobytes() for name in a)


def unlabelled() -> Beats:
    beats = trained_on()
    return replace(beats, label=np.full(len(beats), -1, np.int8))


def test_beats_of_another_dataset_train_the_diagnostic_head_where_there_are_no_classes():
    clinical = replace(only(made_beats(people=4, seed=3), frozenset({"label"})), subject=None)
    found = Agile(epochs=1).fit(unlabelled(), CTX, clinical)
    assert found["centroids"].shape == (5, 64)
    swapped = replace(clinical, label=np.where(clinical.label == 0, 2, 0).astype(np.int8))
    other = Agile(epochs=1).fit(unlabelled(), CTX, swapped)
    assert not np.array_equal(found["net.diagnosis.bias"], other["net.diagnosis.bias"])


def test_clinical_beats_are_left_alone_where_there_are_classes():
    clinical = only(made_beats(people=4, seed=3), frozenset({"label"}))
    assert Agile(epochs=1).fit(trained_on(), CTX, clinical).keys() == state().keys()
    a, b = (Agile(epochs=1).fit(trained_on(), CTX, c) for c in (clinical, None))
    assert all(a[k].tobytes() == b[k].tobytes() for k in a)


def test_paced_beats_are_no_class_to_keep():
    beats = trained_on()
    paced = replace(beats, label=np.where(beats.label == 0, 4, -1).astype(np.int8))
    with pytest.raises(NotComputable, match="clinical"):
        SMALL.fit(paced, CTX)


def test_without_any_class_the_key_clinical_is_named():
    with pytest.raises(NotComputable, match="`clinical`"):
        SMALL.fit(unlabelled(), CTX)
    with pytest.raises(NotComputable, match="`clinical`"):
        SMALL.fit(unlabelled(), CTX, unlabelled())


def test_one_person_is_not_computable():
    beats = trained_on()
    with pytest.raises(NotComputable, match="at least 2 people"):
        SMALL.fit(beats.take(beats.subject == 0), CTX)


def test_a_loss_that_is_nan_is_told_with_epoch_and_rate():
    beats = trained_on()
    with pytest.raises(FloatingPointError, match=r"epoch 1 of 25 at learning rate 0\.003"):
        SMALL.fit(beats.with_signal(np.full_like(beats.signal, np.nan)), CTX)


@pytest.mark.parametrize(
    "settings",
    [{"eps_mv": -0.01}, {"eps_mv": 1.01}, {"steps": 0}, {"lambda_char": -1}, {"identity": "open"}, {"epochs": 0}],
    ids=str,
)
def test_settings_out_of_bounds_are_refused(settings):
    with pytest.raises(ValidationError):
        Agile(**settings)
