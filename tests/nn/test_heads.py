"""Losses against values worked by hand: margins in degrees, the warm-up, pairs, and groups of beats."""

from math import cos, exp, log, radians, sin

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from agile_bench.api import Context, NotComputable
from agile_bench.nn.heads import ArcFaceHead, CosFaceHead, SoftmaxHead, SupConHead, Taught, grouped
from agile_bench.nn.seeding import seeded
from agile_bench.nn.train import fit

CTX = Context(label=("test",))
AT_30 = torch.tensor([[cos(radians(30)), sin(radians(30))]])
"""An embedding at 30 degrees from the first of two people and 60 from the second."""
FIRST = torch.tensor([0])


def at_axes(head):
    head.loss.W.data = torch.eye(2)
    return head


def cross_entropy(own, other):
    return log(1 + exp(other - own))


def test_28_6_degrees_are_half_a_radian():
    assert ArcFaceHead(2, 2, 28.6, 1.0).loss.margin == pytest.approx(0.5, abs=1e-3)


def test_half_a_degree_is_hardly_a_margin():
    half, none, right = (at_axes(ArcFaceHead(2, 2, d, 16.0))(AT_30, FIRST).item() for d in (0.5, 0.0, 28.6))
    assert none < half < none * 1.3
    assert right > none * 30


def test_arcface_turns_the_embedding_away_by_its_margin():
    # 30 + 30 degrees to the own person and 60 to the other: both cosines are 0.5.
    assert at_axes(ArcFaceHead(2, 2, 30.0, 2.0))(AT_30, FIRST).item() == pytest.approx(log(2), abs=1e-5)
    assert at_axes(ArcFaceHead(2, 2, 15.0, 2.0))(AT_30, FIRST).item() == pytest.approx(
        cross_entropy(2 * cos(radians(45)), 1), abs=1e-5
    )


def test_cosface_takes_its_margin_from_the_cosine():
    head = at_axes(CosFaceHead(2, 2, 0.3, 2.0))
    assert head(AT_30, FIRST).item() == pytest.approx(cross_entropy(2 * (cos(radians(30)) - 0.3), 1), abs=1e-5)


@pytest.mark.parametrize("head", [ArcFaceHead(2, 2, 30.0, 2.0, warm_up=3), CosFaceHead(2, 2, 0.366, 2.0, warm_up=3)])
def test_the_first_steps_have_no_margin(head):
    at_axes(head)
    without = cross_entropy(2 * cos(radians(30)), 1)
    assert [head(AT_30, FIRST).item() for _ in range(5)] == pytest.approx([without] * 3 + [log(2)] * 2, abs=1e-4)


@pytest.mark.parametrize("head", [ArcFaceHead(5, 4, 28.6, 16.0), CosFaceHead(5, 4, 0.35, 16.0)], ids=["arc", "cos"])
def test_loss_and_slopes_are_those_of_the_library(head):
    torch.manual_seed(0)
    embeddings, people = torch.randn(12, 5), torch.randint(4, (12,))
    told = []
    for loss in (head, head.loss):
        given = embeddings.clone().requires_grad_()
        value = loss(given, people)
        head.zero_grad()
        value.backward()
        told.append((value.detach(), given.grad, head.loss.W.grad.clone()))
    for mine, theirs in zip(*told, strict=True):
        torch.testing.assert_close(mine, theirs)


def test_an_embedding_right_on_its_person_has_a_finite_slope():
    head = at_axes(ArcFaceHead(2, 2, 14.0, 16.0))
    embedding = torch.tensor([[1.0, 0.0]], requires_grad=True)
    head(embedding, FIRST).backward()
    assert torch.isfinite(embedding.grad).all()


def test_pairs_of_two_people_who_are_told_apart():
    embeddings = torch.tensor([[1.0, 0.0], [2.0, 0.0], [0.0, 1.0], [0.0, 3.0]])
    assert SupConHead(1.0)(embeddings, torch.tensor([0, 0, 1, 1])).item() == pytest.approx(log(1 + 2 / exp(1)))
    assert SupConHead(0.5)(embeddings, torch.tensor([0, 0, 1, 1])).item() == pytest.approx(log(1 + 2 / exp(2)))


def test_pairs_cost_more_where_people_are_mixed():
    embeddings = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    apart, mixed = (SupConHead(0.1)(embeddings, torch.tensor(p)).item() for p in ([0, 0, 1, 1], [0, 1, 0, 1]))
    assert apart < 0.01 < 5 < mixed


class Flat(nn.Module):
    def __init__(self):
        super().__init__()
        self.dense = nn.Linear(200, 3)

    def forward(self, signal):
        return self.dense(signal[:, 0])


def likeness(encoder, signal, person):
    with torch.inference_mode():
        unit = nn.functional.normalize(encoder(torch.tensor(signal)[:, None]), dim=1)
    cosines = (unit @ unit.T).numpy()
    same = person[:, None] == person
    return cosines[same].mean(), cosines[~same].mean()


def test_training_by_pairs_draws_a_persons_beats_together():
    rng = np.random.default_rng(0)
    person = np.repeat(np.arange(4), 12)
    signal = (rng.standard_normal((4, 200))[person] + 2 * rng.standard_normal((48, 200))).astype(np.float32)
    with seeded(CTX, "init"):
        net = Taught(Flat(), SupConHead(0.2))
    before = likeness(net.encoder, signal, person)
    rows = grouped(person, person, 4, np.random.default_rng(1))
    fit(net, net.loss, (signal[rows],), person[rows], CTX, epochs=20, batch=6, lr=0.02)
    after = likeness(net.encoder, signal, person)
    assert after[0] - after[1] > before[0] - before[1] + 0.5


def test_a_head_names_a_persons_beats():
    softmax = SoftmaxHead(2, 3)
    softmax.linear.weight.data = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
    softmax.linear.bias.data.zero_()
    embeddings = np.array([[2, 1], [1, 2], [-3, 0]], np.float32)
    assert softmax.named(embeddings, np.arange(3)).tolist() == [0, 1, 2]


def test_by_pairs_a_beat_is_named_by_the_others_alone():
    embeddings = np.array([[1, 0], [1, 0.1], [0, 1], [0.1, 1], [-1, -1]], np.float32)
    named = SupConHead(0.1).named(embeddings, np.array([0, 0, 1, 1, 2]))
    assert named[:4].tolist() == [0, 0, 1, 1]
    assert named[4] != 2


@given(
    st.lists(st.integers(0, 4), min_size=2, max_size=40).filter(lambda p: max(np.bincount(p)) > 1), st.integers(0, 9)
)
def test_groups_are_of_one_person_and_leave_nobody_out(people, seed):
    person = np.unique(people, return_inverse=True)[1]
    rows = grouped(person, np.arange(len(person)) % 3, 4, np.random.default_rng(seed))
    assert (person[rows] == person[rows][:, :1]).all()
    assert np.unique(rows).tolist() == list(range(len(person)))
    assert np.bincount(person[rows][:, 0]).tolist() == (-(-np.bincount(person) // 4)).tolist()


def test_a_group_is_of_different_sessions_where_there_are():
    person, session = np.repeat([0, 1], 16), np.tile(np.repeat(np.arange(4), 4), 2)
    rows = grouped(person, session, 4, np.random.default_rng(0))
    assert all(len(set(session[group])) == 4 for group in rows)


def test_single_beats_come_once_and_in_order():
    assert grouped(np.array([1, 0, 1]), np.zeros(3), 1, np.random.default_rng(0)).tolist() == [[0], [1], [2]]


def test_pairs_need_a_person_with_two_beats():
    with pytest.raises(NotComputable, match="at least 2 beats"):
        grouped(np.arange(5), np.arange(5), 4, np.random.default_rng(0))
