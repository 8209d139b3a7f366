"""A-FGSM goes the right way, within its budget, and not at all without one."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from agile_bench.nn.afgsm import direction, perturb, step_size

N, PEOPLE, CLASSES = 40, 20, 3


def drawn(*shape, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape)).float()


def toy(seed=0):
    """Signals in the picture's range and the losses of two linear heads, on targets that the heads themselves name."""
    signal = 0.3 * drawn(N, 200, seed=seed)
    who, what = drawn(200, PEOPLE, seed=seed + 1), drawn(200, CLASSES, seed=seed + 2)
    person, label = (signal @ who).argmax(1), (signal @ what).argmax(1)

    def losses(x):
        bio = functional.cross_entropy(x @ who, person, reduction="none")
        return bio, functional.cross_entropy(x @ what, label, reduction="none")

    return signal, losses


@pytest.mark.parametrize("steps", [1, 10])
def test_the_identity_loss_rises_and_the_diagnostic_loss_falls(steps):
    signal, losses = toy()
    bio, char = losses(signal)
    bio_after, char_after = losses(perturb(signal, losses, eps=0.01, steps=steps, weight=1.0))
    assert (bio_after > bio).all()
    assert char_after.mean() < char.mean()
    assert (char_after <= char + 1e-4).float().mean() > 0.9


def test_the_weight_decides_between_the_two():
    signal, losses = toy()
    for_identity = losses(perturb(signal, losses, eps=0.01, steps=1, weight=0.0))
    for_diagnosis = losses(perturb(signal, losses, eps=0.01, steps=1, weight=100.0))
    assert for_identity[0].mean() > for_diagnosis[0].mean()
    assert for_identity[1].mean() > for_diagnosis[1].mean()


def test_more_steps_raise_the_identity_loss_of_a_curved_model_further():
    signal, _ = toy()
    inner, outer = drawn(200, 32, seed=5), drawn(32, PEOPLE, seed=6)

    def logits(x):
        return torch.sin(3 * x @ inner) @ outer

    person = logits(signal).argmax(1)

    def losses(x):
        return functional.cross_entropy(logits(x), person, reduction="none"), 0 * x.sum(1)

    one, ten = (losses(perturb(signal, losses, eps=0.02, steps=k, weight=1.0))[0].mean() for k in (1, 10))
    assert ten > one


@pytest.mark.parametrize("steps", [1, 7])
def test_no_budget_changes_no_bit(steps):
    signal, losses = toy()
    signal[0, :3] = torch.tensor([-0.0, 9.0, -9.0])
    assert perturb(signal, losses, eps=0, steps=steps, weight=1.0).numpy().tobytes() == signal.numpy().tobytes()


@given(eps=st.floats(1e-4, 1), steps=st.integers(1, 8), seed=st.integers(0, 20), weight=st.floats(0, 10))
def test_the_budget_holds(eps, steps, seed, weight):
    signal, losses = toy(seed)
    moved = (perturb(signal, losses, eps=eps, steps=steps, weight=weight) - signal).abs()
    assert moved.max() <= eps + 1e-6
    assert moved.max() > 0.9 * eps


@given(eps=st.floats(1e-3, 0.5), steps=st.sampled_from([1, 4]), seed=st.integers(0, 20))
def test_twice_the_budget_never_moves_a_beat_less(eps, steps, seed):
    signal, losses = toy(seed)
    near, far = (perturb(signal, losses, eps=e, steps=steps, weight=1.0) - signal for e in (eps, 2 * eps))
    assert (far.norm(dim=1) >= near.norm(dim=1) - 1e-6).all()


def test_a_sample_in_the_range_of_the_picture_stays_there_and_one_outside_goes_no_farther():
    signal, _ = toy()
    signal[:, 0], signal[:, 1], signal[:, 2], signal[:, 3] = 2.95, -1.95, 4.0, -3.0

    def outwards(x):
        return (x * x.detach().sign()).sum(1), 0 * x.sum(1)

    moved = perturb(signal, outwards, eps=0.2, steps=3, weight=1.0)
    assert torch.equal(moved[:, :4], torch.tensor([3.0, -2.0, 4.0, -3.0]).expand(N, 4))


def test_steps_are_of_the_whole_budget_or_overshoot_it_together():
    assert step_size(0.1, 1) == pytest.approx(0.1)
    assert step_size(0.1, 2) == pytest.approx(0.1)
    assert step_size(0.1, 10) == pytest.approx(0.025)


def test_direction_worked_by_hand():
    bio = torch.tensor([[3.0, 4.0, 0.0], [0.0, 0.0, 0.0]])
    char = torch.tensor([[0.0, 2e-30, 0.0], [0.0, -5.0, 0.0]])
    # row 1: (0.6, 0.8 - 1, 0); row 2: (0, 0 + 1, 0)
    assert direction(bio, char, 1.0).tolist() == [[1, -1, 0], [0, 1, 0]]
    assert direction(bio, char, 0.5).tolist() == [[1, 1, 0], [0, 1, 0]]


def test_a_beat_does_not_depend_on_the_scale_of_either_loss():
    signal, losses = toy()

    def scaled(x):
        bio, char = losses(x)
        return 1e-6 * bio, 1e3 * char

    kwargs = {"eps": 0.05, "steps": 3, "weight": 1.0}
    same = perturb(signal, losses, **kwargs) == perturb(signal, scaled, **kwargs)
    assert same.float().mean() > 0.99


def test_a_head_trained_to_be_wrong_points_the_wrong_way():
    """Algorithm 1, read to the letter, trains the identity head up its own loss; its gradient then helps nobody."""
    rng = torch.Generator().manual_seed(0)
    centres = torch.randn(PEOPLE, 64, generator=rng)
    person = torch.arange(PEOPLE).repeat(20)
    x = centres[person] + 0.5 * torch.randn(len(person), 64, generator=rng)

    def trained(sign):
        head = torch.zeros(64, PEOPLE, requires_grad=True)
        for _ in range(30):
            (g,) = torch.autograd.grad(sign * functional.cross_entropy(x @ head, person), head)
            head = (head - 0.5 * g).detach().requires_grad_()
        return head.detach()

    good, literal = trained(1), trained(-1)

    def losses(head):
        return lambda s: (functional.cross_entropy(s @ head, person, reduction="none"), 0 * s.sum(1))

    def recognised(s):
        return ((s @ good).argmax(1) == person).float().mean()

    assert recognised(x) > 0.99
    assert recognised(perturb(x, losses(good), eps=1.2, steps=1, weight=1.0)) < 0.2
    assert recognised(perturb(x, losses(literal), eps=1.2, steps=1, weight=1.0)) > 0.95
