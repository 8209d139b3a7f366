"""A-FGSM, the perturbation of AGILE's Eq. 2, on tensors.

Against plain gradients of the two losses, each beat's gradients are first scaled to unit length: otherwise whichever
head is less sure of itself decides alone.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from agile_bench.signals.digitise import BOTTOM_MV, TOP_MV

__all__ = ["Losses", "direction", "perturb", "step_size"]

Losses = Callable[[Tensor], tuple[Tensor, Tensor]]
"""Of signals (n, 200): the identity loss and the diagnostic loss of each beat, both (n,)."""
OVERSHOOT = 2.5
"""Steps together are this many times the budget: a path may turn and still reach the border (Madry et al. 2018)."""


def step_size(eps: float, steps: int) -> float:
    """Millivolts of one step: the whole budget if there is one step, else `OVERSHOOT` budgets shared by all."""
    return eps * min(1.0, OVERSHOOT / steps)


def direction(bio: Tensor, char: Tensor, weight: float) -> Tensor:
    """Where to move: up the identity loss, down the diagnostic loss.

    Parameters
    ----------
    bio, char : (n, 200) tensor
        Gradients of the identity and of the diagnostic loss.
    weight : float
        Lambda of Eq. 2.

    Returns
    -------
    (n, 200) tensor of -1, 0 and 1
        0 where neither loss depends on a sample.
    """
    return torch.sign(_unit(bio) - weight * _unit(char))


def perturb(signal: Tensor, losses: Losses, *, eps: float, steps: int, weight: float) -> Tensor:
    """Move each beat by at most `eps` per sample so that its identity loss grows and its diagnostic loss falls.

    Parameters
    ----------
    signal : (n, 200) floating tensor
        Millivolts. A sample inside -2..+3 mV stays inside.
    losses : callable
        Of a model in evaluation mode.
    eps : float
        Budget of a sample, mV; 0 returns the signal bit for bit.
    steps : int
        1 is Eq. 2 as printed; more are projected to the budget after each step.
    weight : float
        Lambda of Eq. 2.

    Returns
    -------
    (n, 200) tensor
        Without a gradient. The budget holds up to the rounding of one addition.
    """
    start = signal.detach()
    if eps == 0:
        return start
    low = torch.maximum(start - eps, start.clamp(max=BOTTOM_MV))
    high = torch.minimum(start + eps, start.clamp(min=TOP_MV))
    moved, step = start, step_size(eps, steps)
    for _ in range(steps):
        bio, char = _gradients(moved, losses)
        moved = torch.clamp(moved + step * direction(bio, char, weight), low, high)
    return moved


def _gradients(signal: Tensor, losses: Losses) -> tuple[Tensor, Tensor]:
    """Gradients of both losses, (n, 200) each; a beat's losses depend on that beat alone, so sums serve."""
    with torch.enable_grad():
        leaf = signal.clone().requires_grad_()
        bio, char = losses(leaf)
        (up,) = torch.autograd.grad(bio.sum(), leaf, retain_graph=True)
        (down,) = torch.autograd.grad(char.sum(), leaf)
    return up, down


def _unit(gradient: Tensor) -> Tensor:
    """Rows of length 1; divided by the largest entry first, since squares of a sure head's gradient underflow."""
    largest = gradient.abs().amax(dim=1, keepdim=True)
    scaled = gradient / torch.where(largest > 0, largest, 1.0)
    length = scaled.norm(dim=1, keepdim=True)
    return scaled / torch.where(length > 0, length, 1.0)
