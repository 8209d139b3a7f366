"""AGILE: small steps against an identity network's gradient, along a diagnostic one's."""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from agile_bench.api import AAMI, Anonymizer, Array, Beats, Context, Field, NotComputable, Release, State

if TYPE_CHECKING:
    from torch import Tensor

    from agile_bench.nn.afgsm import Losses
    from agile_bench.nn.cth import Cth

LEARNING_RATE = 3e-3
BATCH = 64
BLOCK = 32
"""Beats crafted at once; a constant, because bits depend on it."""
SHIFT, GAIN, NOISE_MV = 2, 0.2, 0.02


class Agile(Anonymizer):
    """A-FGSM (Eq. 2): move each sample by at most `eps_mv`, up the identity and down the diagnostic loss of a network.

    The network reads the beat's picture and is trained on both tasks together, by the sum of both losses.
    The gradient reaches the signal through the picture, and a signal is released. Person and class at release are the
    network's own guesses. The release is a function of the state and the beat alone.
    """

    source: ClassVar[str] = "Bhattacharyya, Firouzi, Rahmani, Mousavi and Chakrabarty 2025"
    learns: ClassVar[frozenset[str]] = frozenset({"subject", "label"})
    keeps: ClassVar[frozenset[str]] = frozenset({"label", "rr", "amplitude", "shape"})
    stochastic: ClassVar[bool] = False
    exposes: ClassVar[dict[str, tuple[str, ...]]] = {"templates": ("centroids",)}
    weakness: ClassVar[str] = "an attacker of another family than its network; retraining on releases; filtering"

    eps_mv: float = Field(default=0.1, ge=0, le=1, description="most that a sample moves, mV")
    steps: int = Field(default=1, ge=1, le=100, description="steps of A-FGSM; 1 is the paper's")
    lambda_char: float = Field(default=1.0, ge=0, le=100, description="weight of the diagnostic gradient")
    identity: Literal["embedding", "closed-set"] = Field(
        default="embedding",
        description="embedding: away from the beat's own embedding and the nearest stored person's; closed-set: up the "
        "identity head's cross-entropy of the person it takes the beat for",
    )
    epochs: int = Field(default=12, ge=1, le=1000, description="passes over the fitting beats")

    def fit(self, train: Beats, ctx: Context, clinical: Beats | None = None) -> State:
        """Weights under ``net.``, and ``centroids`` (k, dim), the fitting people's mean unit embeddings.

        Raises
        ------
        NotComputable
            With fewer than two people, or fewer than two beat classes in `train` and `clinical` together.
        """
        import torch

        from agile_bench.nn.cth import Cth, joint_loss
        from agile_bench.nn.seeding import seeded
        from agile_bench.nn.state import pack
        from agile_bench.nn.train import fit, predict

        signal, person, label = _examples(train, clinical)
        with seeded(ctx, "init"):
            net = Cth(int(person.max()) + 1)
        net.to(memory_format=torch.channels_last)  # a quarter faster on a CPU; what tensor cores read
        fit(
            net,
            joint_loss,
            (signal,),
            np.stack([person, label], axis=1),
            ctx,
            epochs=self.epochs,
            batch=BATCH,
            lr=LEARNING_RATE,
            weight_decay=0.05,
            augment=_augmented,
        )
        own = person >= 0
        features = predict(net.encoder, (signal[own],), ctx)
        return {**pack(net, "net."), "centroids": _centroids(features, person[own])}

    def release(self, state: State, beats: Beats, ctx: Context) -> Release:
        """Beats moved by A-FGSM; with `eps_mv` 0 the same bytes."""
        import torch

        signal = torch.tensor(beats.signal, device=ctx.device)
        return Release(signal=self.forward(state, signal, ctx).cpu().numpy())

    def forward(self, state: State, signal: Any, ctx: Context) -> Any:
        """The release of a (n, 200) tensor, with the identity as its derivative.

        That is the true one almost everywhere: what is added is made of signs, and does not change with the signal but
        where a sign flips. How the choice of signs depends on the signal is lost on a gradient attacker.
        """
        import torch

        from agile_bench.nn.afgsm import perturb
        from agile_bench.nn.cth import Cth
        from agile_bench.nn.state import unpack

        net = unpack(partial(Cth.like, state, "net."), state, str(signal.device), "net.").requires_grad_(False)
        centroids = torch.tensor(state["centroids"], device=signal.device)
        parts = []
        for start in range(0, len(signal), BLOCK):
            rows = torch.full((BLOCK,), start, device=signal.device)  # filled up with the block's first beat
            inside = min(BLOCK, len(signal) - start)
            rows[:inside] += torch.arange(inside, device=signal.device)
            block = signal.detach()[rows]
            losses = self._losses(net, centroids, block)
            parts.append(perturb(block, losses, eps=self.eps_mv, steps=self.steps, weight=self.lambda_char)[:inside])
        return torch.cat(parts) + (signal - signal.detach())

    def _losses(self, net: "Cth", centroids: "Tensor", clean: "Tensor") -> "Losses":
        """What A-FGSM climbs and descends, with the targets that the network reads off the clean beats."""
        import torch
        from torch.nn import functional

        with torch.no_grad():
            features = net.encoder(clean)
            person, label = (logits.argmax(dim=1) for logits in net.heads(features))
            own = functional.normalize(features)
            # The similarity to itself has no slope where it starts, so the nearest person gives the first step.
            near = own + centroids[(own @ centroids.T).argmax(dim=1)]

        def losses(signal: "Tensor") -> "tuple[Tensor, Tensor]":
            features = net.encoder(signal)
            who, what = net.heads(features)
            char = functional.cross_entropy(what, label, reduction="none")
            if self.identity == "closed-set":
                return functional.cross_entropy(who, person, reduction="none"), char
            return -(functional.normalize(features) * near).sum(dim=1), char

        return losses


def _examples(train: Beats, clinical: Beats | None) -> tuple[Array, Array, Array]:
    """Signals (n, 200), persons and classes (n,) int64, -1 unknown; `clinical` beats join where they are needed."""
    assert train.subject is not None  # declared in `learns`
    person = np.unique(train.subject, return_inverse=True)[1].astype(np.int64)
    if person.max() < 1:
        raise NotComputable("an identity head needs at least 2 people to tell apart")
    label = _classes(train)
    signal = train.signal
    if _shown(label) < 2 and clinical is not None:
        signal = np.concatenate([signal, clinical.signal])
        person = np.concatenate([person, np.full(len(clinical), -1)])
        label = np.concatenate([label, _classes(clinical)])
    if _shown(label) < 2:
        raise NotComputable(
            "a diagnostic head needs beats of at least 2 of the classes N, S, V and F, and these show "
            f"{_shown(label)}; name a labelled dataset under the suite's key `clinical`"
        )
    return signal, person, label


def _classes(beats: Beats) -> Array:
    """Class of each beat, -1 where it is unknown or Q (paced, unclassifiable)."""
    assert beats.label is not None  # declared in `learns`
    label = beats.label.astype(np.int64)
    return np.where(label == AAMI.index("Q"), -1, label)


def _shown(label: Array) -> int:
    return len(np.unique(label[label >= 0]))


def _centroids(features: Array, person: Array) -> Array:
    """Mean unit embedding of each person, itself of unit length."""
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    sums = np.zeros((int(person.max()) + 1, unit.shape[1]), np.float32)
    np.add.at(sums, person, unit)
    centroids: Array = sums / np.linalg.norm(sums, axis=1, keepdims=True)
    return centroids


def _augmented(inputs: "Sequence[Tensor]") -> "Sequence[Tensor]":
    """R-peaks are found to a sample or two, electrodes lie elsewhere, muscles twitch."""
    import torch

    from agile_bench.nn.conv1d import shifted

    (signal,) = inputs
    gain = 1 + GAIN * torch.randn(len(signal), 1, device=signal.device)
    return [shifted(signal[:, None], SHIFT)[:, 0] * gain + NOISE_MV * torch.randn_like(signal)]
