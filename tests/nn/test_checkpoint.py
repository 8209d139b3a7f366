"""Trainings that are cut off go on from their checkpoint to the same bits; what is held out is never learnt from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from agile_bench.api import Context
from agile_bench.engine.checkpoints import Checkpoints, FileSlot
from agile_bench.nn import checkpoint
from agile_bench.nn.heads import ArcFaceHead
from agile_bench.nn.sampling import evenly, held_out
from agile_bench.nn.seeding import seeded
from agile_bench.nn.train import History, Stop, fit

CTX = Context(label=("test",))
EPOCHS = 8


class Cut(Exception):
    """Stands in for whatever ends a process."""


@pytest.fixture(autouse=True)
def always(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave a checkpoint after every epoch."""
    monkeypatch.setattr(checkpoint, "SECONDS", -1.0)


def examples() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    person = np.arange(60) % 3
    return (rng.standard_normal((60, 4)) + 2 * np.eye(4)[person]).astype(np.float32), person


class Margin(nn.Module):
    """A network whose loss changes after some steps, as heads with a margin do."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 6))
        self.head = ArcFaceHead(6, 3, degrees=20, scale=8, warm_up=10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.encoder(x)


def train(ctx: Context, *, dies_after: int | None = None, stop: Stop | None = None) -> tuple[np.ndarray, History]:
    x, person = examples()

    def report(done: int, total: int) -> None:
        if done == dies_after:
            raise Cut

    with seeded(ctx, "init"):
        net = Margin()
    ctx = replace(ctx, report=report)
    history = fit(net, net.head, (x,), person, ctx, epochs=EPOCHS, batch=16, lr=0.02, stop=stop,
                  fresh=lambda epoch: (x + np.float32(epoch / 10),))  # fmt: skip
    return np.concatenate([t.numpy().ravel() for t in net.state_dict().values()]), history


def room(folder: Path) -> Context:
    return replace(CTX, slot=Checkpoints(folder, "job").slot)


def same(one: tuple[np.ndarray, History], other: tuple[np.ndarray, History]) -> None:
    np.testing.assert_array_equal(one[0], other[0])
    for name in ("loss", "held_out", "accuracy"):
        np.testing.assert_array_equal(getattr(one[1], name), getattr(other[1], name))


@pytest.mark.parametrize("dies_after", [2, 5, EPOCHS])
@pytest.mark.parametrize("stops", [False, True])
def test_a_training_that_was_cut_off_ends_with_the_bits_of_one_that_was_not(tmp_path, dies_after, stops):
    stop = Stop(np.arange(60) % 5 == 0, 3) if stops else None
    undisturbed = train(CTX, stop=stop)
    dies_after = min(dies_after, len(undisturbed[1].loss))
    with pytest.raises(Cut):
        train(room(tmp_path), dies_after=dies_after, stop=stop)
    asked: list[int] = []
    again = train(replace(room(tmp_path), report=lambda done, total: asked.append(done)), stop=stop)
    same(again, undisturbed)


def test_only_what_was_not_done_is_done_again(tmp_path):
    x, person = examples()
    asked: list[int] = []

    def fresh(epoch: int) -> tuple[np.ndarray]:
        asked.append(epoch)
        if len(asked) == 5:
            raise Cut
        return (x,)

    def go() -> None:
        with seeded(CTX, "init"):
            net = nn.Linear(4, 3)
        fit(net, nn.CrossEntropyLoss(), (x,), person, room(tmp_path), epochs=EPOCHS, batch=16, lr=0.02, fresh=fresh)

    with pytest.raises(Cut):
        go()
    go()
    assert asked == [0, 1, 2, 3, 4, *range(4, EPOCHS)]
    go()  # a later training of the job was cut off: this one is not trained again
    assert len(asked) == 5 + EPOCHS - 4


def test_a_checkpoint_of_another_training_is_left_alone(tmp_path):
    train(room(tmp_path))
    other = replace(CTX, label=("another",))
    same(train(replace(other, slot=Checkpoints(tmp_path, "job").slot)), train(other))


@pytest.mark.parametrize("damage", ["cut", "altered", "empty"])
def test_a_damaged_checkpoint_is_as_good_as_none(tmp_path, damage):
    with pytest.raises(Cut):
        train(room(tmp_path), dies_after=4)
    (path,) = (tmp_path / "training" / "job").iterdir()
    content = path.read_bytes()
    path.write_bytes({"cut": content[:-9], "altered": content[:-1] + b"?", "empty": b""}[damage])
    same(train(room(tmp_path)), train(CTX))


def test_a_slot_gives_back_what_was_saved_last_and_leaves_nothing_else(tmp_path):
    slot = FileSlot(tmp_path / "job" / "1.checkpoint")
    assert slot.load() is None
    for value in (1.0, 2.0):
        slot.save({"x": np.array([value]), "n": np.array(3)})
    found = slot.load()
    assert found is not None
    assert found["x"].tolist() == [2.0]
    assert found["n"] == 3
    assert len(list(slot.path.parent.iterdir())) == 1


def test_a_job_that_is_done_forgets_its_checkpoints(tmp_path):
    checkpoints = Checkpoints(tmp_path, "job")
    checkpoints.slot().save({"x": np.zeros(1)})
    checkpoints.clear()
    assert Checkpoints(tmp_path, "job").slot().load() is None


def test_quick_trainings_leave_no_checkpoint(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "SECONDS", 60.0)
    train(room(tmp_path))
    assert not (tmp_path / "training").exists()


# -- stopping early ----------------------------------------------------------------------------------------------------


def test_held_out_examples_are_never_learnt_from():
    x, person = examples()
    mask = np.arange(60) % 5 == 0
    spoilt = x.copy()
    spoilt[mask] = 1e3

    def weights(inputs: np.ndarray) -> np.ndarray:
        with seeded(CTX, "init"):
            net = nn.Linear(4, 3)
        stop = Stop(mask, EPOCHS)
        fit(net, nn.CrossEntropyLoss(), (inputs,), np.where(mask & (inputs is spoilt), 0, person), CTX,
            epochs=1, batch=16, lr=0.02, stop=stop)  # fmt: skip
        return net.weight.detach().numpy().copy()

    np.testing.assert_array_equal(weights(x), weights(spoilt))


def test_training_stops_when_held_out_examples_are_no_longer_helped_and_keeps_the_best_weights():
    x, person = examples()
    mask = np.arange(60) < 12
    wrong = np.where(mask, (person + 1) % 3, person)  # the better the rest is learnt, the worse for these
    with seeded(CTX, "init"):
        net = nn.Linear(4, 3)
    history = fit(net, nn.CrossEntropyLoss(), (x,), wrong, CTX, epochs=50, batch=16, lr=0.05, stop=Stop(mask, 4))
    best = int(np.argmin(history.held_out))
    assert len(history.loss) == len(history.held_out) == best + 1 + 4
    with torch.no_grad():
        kept = nn.functional.cross_entropy(net(torch.tensor(x[mask])), torch.tensor(wrong[mask])).item()
    assert kept == pytest.approx(history.held_out[best], rel=1e-5)


# -- what an epoch is made of ------------------------------------------------------------------------------------------


def test_a_record_of_each_person_is_held_out_or_the_end_of_the_only_one():
    person = np.array([0] * 4 + [1] * 10 + [2])
    record = np.array([0, 0, 1, 1] + [2] * 10 + [3])
    assert np.flatnonzero(held_out(person, record)).tolist() == [2, 3, 12, 13]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), min_size=1, max_size=60))
def test_people_come_equally_often_and_their_sessions_too(rows):
    person = np.array([p for p, _ in rows])
    session = np.array([3 * p + s for p, s in rows])
    order = evenly(person, session, CTX)
    found = order(0)
    assert len(np.unique(np.bincount(person[found])[np.unique(person)])) == 1
    assert len(person) <= len(found) < len(person) + len(np.unique(person))
    for code in np.unique(person):
        counts = np.bincount(session[found], minlength=12)[np.unique(session[person == code])]
        assert np.ptp(counts) <= 1
    np.testing.assert_array_equal(found, order(0))
    assert set(np.concatenate([order(epoch) for epoch in range(40)])) == set(range(len(person)))
    assert len(held_out(person, session)) == len(person)
    assert set(person[~held_out(person, session)]) == set(person)
