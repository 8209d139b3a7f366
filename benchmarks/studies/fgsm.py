"""Signs of a network's gradient as an anonymizer, and as an attacker the network that they are aimed at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from agile_bench.api import Anonymizer, Array, Attacker, Beats, Context, Field, Release, State

if TYPE_CHECKING:
    from torch import Tensor

    from agile_bench.nn.conv1d import ConvClassifier

EPOCHS, LEARNING_RATE = 20, 3e-3
WIDTHS, SIZE, DROPOUT = (16, 32, 64), 64, 0.2
SHIFT, JITTER = 2, 0.05
FLAT = 1e-6
"""Standard deviation of a beat, mV, below which it has no shape."""
LEAST = 1e-12
"""Probability below which classes are not told apart."""


class Fgsm(Anonymizer):
    """Move every sample of a beat by at most a share of the beat's SD, up the loss of a network that names people.

    The network is that of the attacker `cnn1d`. The release is a function of the state and the beat alone.
    """

    source: ClassVar[str] = "Goodfellow, Shlens and Szegedy 2015; in several steps Madry et al. 2018"
    learns: ClassVar[frozenset[str]] = frozenset({"subject"})
    keeps: ClassVar[frozenset[str]] = frozenset({"label", "rr", "amplitude", "shape"})
    stochastic: ClassVar[bool] = False
    weakness: ClassVar[str] = "retraining on releases; the perturbation alone tells who it is"

    eps_sd: float = Field(default=0.3, ge=0, le=10, description="most that a sample moves, in SD of its beat")
    steps: int = Field(default=1, ge=1, le=100, description="1 is FGSM; more are projected to the budget after each")
    away_from: Literal["guess", "random", "constant"] = Field(
        default="guess",
        description="whose loss is raised: the network's own guess, one by the beat's bytes, or always the same",
    )
    gives: Literal["beat", "perturbation"] = Field(
        default="beat", description="what is released: the moved beat, or only by how much each sample was moved"
    )
    seed: int | None = Field(
        default=None, description="of the network's training, for an attacker who is to know it; drawn anew if none"
    )

    def fit(self, train: Beats, ctx: Context, clinical: Beats | None = None) -> State:
        """Weights under ``net.``.

        Raises
        ------
        NotComputable
            With fewer than two people.
        """
        taught = _taught(train, ctx, self.seed)
        return {name: array for name, array in taught.items() if name.startswith("net.")}

    def release(self, state: State, beats: Beats, ctx: Context) -> Release:
        """Beats as moved, or by how much."""
        import torch

        signal = torch.tensor(beats.signal, device=ctx.device)
        return Release(signal=self.forward(state, signal, ctx).detach().cpu().numpy())

    def forward(self, state: State, signal: Any, ctx: Context) -> Any:
        """The release of a (n, 200) tensor; signs do not change with the signal, so its derivative is the identity."""
        net = _network_of(state, str(signal.device)).requires_grad_(False)
        moved = self._moved(net, signal.detach())
        return moved + (signal - signal.detach()) if self.gives == "beat" else moved - signal.detach() + 0 * signal

    def _moved(self, net: ConvClassifier, start: Tensor) -> Tensor:
        import torch
        from torch.nn import functional

        from agile_bench.nn.afgsm import step_size

        sd = start.std(dim=1, correction=0, keepdim=True)
        away = self._away_from(net, start)
        moved = start
        for _ in range(self.steps):
            with torch.enable_grad():
                leaf = moved.clone().requires_grad_()
                loss = functional.cross_entropy(net(_scored(leaf)), away, reduction="sum")
                (gradient,) = torch.autograd.grad(loss, leaf)
            moved = moved + step_size(self.eps_sd, self.steps) * sd * torch.sign(gradient)
            moved = torch.clamp(moved, start - self.eps_sd * sd, start + self.eps_sd * sd)
        return moved

    def _away_from(self, net: ConvClassifier, start: Tensor) -> Tensor:
        """Class of each beat, (n,)."""
        import torch

        people = net.head.out_features
        if self.away_from == "guess":
            with torch.no_grad():
                guess: Tensor = net(_scored(start)).argmax(dim=1)
            return guess
        drawn = [int.from_bytes(sha256(row.tobytes()).digest()[:8], "big") % people for row in start.cpu().numpy()]
        chosen = drawn if self.away_from == "random" else [0] * len(start)
        return torch.tensor(chosen, dtype=torch.int64, device=start.device)


class Network(Attacker):
    """The network that `fgsm` of an equal seed is aimed at: from equal beats of equal people it has equal weights.

    A beat is scored by the probability that it and an enrolled person's beats are of one class.
    """

    seed: int = Field(default=0, description="of the training")

    def fit(self, pool: Beats, ctx: Context) -> State:
        """Weights under ``net.``, and how the training went."""
        return _taught(pool, ctx, self.seed)

    def enrol(self, state: State, gallery: Beats, ctx: Context) -> State:
        """Mean class probabilities of each person, (n_enrolled, classes)."""
        assert gallery.subject is not None  # a gallery always carries it
        chance = _chances(state, gallery, ctx)
        return {
            "chance": np.stack([chance[gallery.subject == j].mean(axis=0) for j in range(gallery.subject.max() + 1)])
        }

    def score(self, state: State, enrolled: State, probes: Beats, ctx: Context) -> Array:
        """Log-probability of one class, (n, n_enrolled)."""
        scores: Array = np.log(_chances(state, probes, ctx) @ enrolled["chance"].T + LEAST)
        return scores


def _taught(beats: Beats, ctx: Context, seed: int | None) -> State:
    """The network, taught to name the people of these beats; of a seed, whatever their order and codes."""
    from agile_bench.nn.conv1d import ConvClassifier, ConvEncoder
    from agile_bench.nn.people import teach_people

    alone = replace(ctx, oracle=None, recorded=None, instances=())
    if seed is not None:
        beats, alone = _in_order(beats), replace(alone, label=("fgsm", seed))
    return teach_people(
        lambda people: ConvClassifier(ConvEncoder(1, WIDTHS, size=SIZE, dropout=DROPOUT), people),
        _inputs,
        beats,
        alone,
        epochs=EPOCHS,
        lr=LEARNING_RATE,
        augment=_augmented,
    )


def _in_order(beats: Beats) -> Beats:
    """The same beats, records sorted by their bytes and everybody numbered by first appearance."""
    assert beats.subject is not None  # declared in `learns`
    rows = [np.flatnonzero(beats.record == code) for code in np.unique(beats.record)]
    sorted_rows = np.concatenate(sorted(rows, key=lambda mine: beats.signal[mine].tobytes()))
    ordered = beats.take(sorted_rows)
    assert ordered.subject is not None
    return replace(ordered, record=_numbered(ordered.record), subject=_numbered(ordered.subject))


def _numbered(codes: Array) -> Array:
    _, first, inverse = np.unique(codes, return_index=True, return_inverse=True)
    numbered: Array = np.argsort(np.argsort(first))[inverse.reshape(-1)].astype(np.int32)
    return numbered


def _network_of(state: State, device: str) -> ConvClassifier:
    from agile_bench.nn.conv1d import ConvClassifier
    from agile_bench.nn.state import unpack

    return unpack(partial(ConvClassifier.like, state, "net."), state, device, "net.")


def _chances(state: State, beats: Beats, ctx: Context) -> Array:
    """Probability of each class, (n, classes) float64."""
    from scipy.special import softmax

    from agile_bench.nn.train import predict

    logits = predict(_network_of(state, ctx.device), _inputs(beats.signal), ctx)
    chances: Array = softmax(logits.astype(np.float64), axis=1)
    return chances


def _inputs(signal: Array) -> tuple[Array, ...]:
    from agile_bench.nn.beats import z_score

    return (z_score(signal)[:, None].astype(np.float32),)


def _scored(signal: Tensor) -> Tensor:
    """Beats (n, 200) as the network reads them, (n, 1, 200): what `_inputs` does, with a derivative."""
    centred = signal - signal.mean(dim=1, keepdim=True)
    return (centred / centred.square().mean(dim=1, keepdim=True).clamp(min=FLAT**2).sqrt())[:, None]


def _augmented(inputs: Sequence[Tensor]) -> Sequence[Tensor]:
    """As in the attacker `cnn1d`."""
    import torch

    from agile_bench.nn.conv1d import shifted

    (signal,) = inputs
    return [shifted(signal, SHIFT) + JITTER * torch.randn_like(signal)]
