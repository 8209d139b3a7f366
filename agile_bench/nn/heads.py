"""What an encoder of beats is trained by: a softmax over people, with or without a margin, or pairs of a batch."""

from __future__ import annotations

import numpy as np
import torch
from pytorch_metric_learning.losses import ArcFaceLoss, CosFaceLoss, SupConLoss  # type: ignore[import-untyped]
from torch import Tensor, nn

from agile_bench.api import Array, NotComputable, unit_rows

__all__ = ["GROUP", "ArcFaceHead", "CosFaceHead", "Head", "SoftmaxHead", "SupConHead", "Taught", "grouped"]

GROUP = 4
"""Beats of one person that a batch holds together where pairs are compared."""
SMOOTHING = 0.05
CLOSE = 1e-6
"""The slope of an angle is infinite where a cosine is 1; cosines are kept this far from it."""


class Head(nn.Module):
    """A loss of embeddings (n, dim) and people (n,), with the weights it needs."""

    group = 1
    """Beats of one person that belong together in a batch."""

    def forward(self, embeddings: Tensor, people: Tensor) -> Tensor:
        """The mean loss, 0-d."""
        raise NotImplementedError

    def named(self, embeddings: Array, people: Array) -> Array:
        """The person that each training beat is taken for, (n,); by the weights of the head where it has them."""
        with torch.inference_mode():
            found: Array = self.logits(torch.tensor(embeddings)).argmax(1).numpy()
        return found

    def logits(self, embeddings: Tensor) -> Tensor:
        """Scores (n, classes) without a margin."""
        raise NotImplementedError


class SoftmaxHead(Head):
    """A linear layer and cross-entropy.

    Parameters
    ----------
    dim, classes : int
    """

    def __init__(self, dim: int, classes: int) -> None:
        super().__init__()
        self.linear = nn.Linear(dim, classes)
        self.loss = nn.CrossEntropyLoss(label_smoothing=SMOOTHING)

    def forward(self, embeddings: Tensor, people: Tensor) -> Tensor:
        """Cross-entropy with smoothed labels."""
        loss: Tensor = self.loss(self.linear(embeddings), people)
        return loss

    def logits(self, embeddings: Tensor) -> Tensor:
        """Logits (n, classes)."""
        logits: Tensor = self.linear(embeddings)
        return logits


class _ArcFace(ArcFaceLoss):  # type: ignore[misc]
    def get_angles(self, cosine_of_target_classes: Tensor) -> Tensor:
        return torch.acos(cosine_of_target_classes.clamp(-1 + CLOSE, 1 - CLOSE))


class _MarginHead(Head):
    """A loss with a margin, which is left away in the first steps: from random weights it leads nowhere."""

    def __init__(self, loss: ArcFaceLoss | CosFaceLoss, warm_up: int) -> None:
        super().__init__()
        self.loss = loss
        self.margin = float(loss.margin)
        self.warm_up = warm_up
        self.seen = 0

    def get_extra_state(self) -> Tensor:
        """Steps seen so far: a training that goes on from a checkpoint knows where its margin begins."""
        return torch.tensor(self.seen)

    def set_extra_state(self, state: Tensor) -> None:
        """Steps seen so far."""
        self.seen = int(state)

    def forward(self, embeddings: Tensor, people: Tensor) -> Tensor:
        self.loss.margin = self.margin if self.seen >= self.warm_up else 0.0
        self.seen += 1
        cosine = self.loss.get_cosine(embeddings)
        own = people[:, None] == torch.arange(cosine.shape[1], device=people.device)
        # What the loss does itself, but it picks the own cosines by a mask, whose size the host waits for.
        moved = torch.where(own, self.loss.modify_cosine_of_target_classes(cosine), cosine)
        return nn.functional.cross_entropy(self.loss.scale_logits(moved, embeddings), people)

    def logits(self, embeddings: Tensor) -> Tensor:
        logits: Tensor = self.loss.get_logits(embeddings)
        return logits


class ArcFaceHead(_MarginHead):
    """Additive angular margin of Deng et al. 2019.

    Parameters
    ----------
    dim, classes : int
    degrees : float
        Margin. Papers give it in radians: 0.5 are 28.6 degrees.
    scale : float
        Factor of the cosines.
    warm_up : int
        Steps without a margin.
    """

    def __init__(self, dim: int, classes: int, degrees: float, scale: float, warm_up: int = 0) -> None:
        super().__init__(_ArcFace(classes, dim, margin=degrees, scale=scale), warm_up)


class CosFaceHead(_MarginHead):
    """Additive cosine margin of Wang et al. 2018.

    Parameters
    ----------
    dim, classes : int
    margin : float
        Taken from the cosine to the own person.
    scale : float
        Factor of the cosines.
    warm_up : int
        Steps without a margin.
    """

    def __init__(self, dim: int, classes: int, margin: float, scale: float, warm_up: int = 0) -> None:
        super().__init__(CosFaceLoss(classes, dim, margin=margin, scale=scale), warm_up)


class SupConHead(Head):
    """Supervised contrast of Khosla et al. 2020: in a batch, a person's beats draw together and from all others.

    Parameters
    ----------
    temperature : float
        Divides the cosines.
    """

    group = GROUP

    def __init__(self, temperature: float) -> None:
        super().__init__()
        self.loss = SupConLoss(temperature=temperature)

    def forward(self, embeddings: Tensor, people: Tensor) -> Tensor:
        """Mean negative log-share of a beat's likeness that falls to the other beats of its person."""
        loss: Tensor = self.loss(embeddings, people)
        return loss

    def named(self, embeddings: Array, people: Array) -> Array:
        """The person whose other beats' mean is nearest by cosine; a person of one beat is never found."""
        unit = unit_rows(embeddings.astype(np.float64))
        sums = np.zeros((int(people.max()) + 1, unit.shape[1]))
        np.add.at(sums, people, unit)
        scores = unit @ unit_rows(sums).T
        own = (unit * unit_rows(sums[people] - unit)).sum(axis=1)
        own[np.bincount(people)[people] < 2] = -np.inf
        scores[np.arange(len(unit)), people] = own
        found: Array = scores.argmax(axis=1)
        return found


class Taught(nn.Module):
    """An encoder in training: beats in groups (n, group, 200) become embeddings (n, group, dim).

    Parameters
    ----------
    encoder : torch.nn.Module
        Reads (n, 1, 200).
    head : Head
        Its weights are trained with the encoder's.
    """

    def __init__(self, encoder: nn.Module, head: Head) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = head

    def forward(self, signal: Tensor) -> Tensor:
        """Embeddings (n, group, dim)."""
        embedding: Tensor = self.encoder(signal.flatten(0, 1)[:, None])
        return embedding.reshape(*signal.shape[:2], -1)

    def loss(self, embeddings: Tensor, people: Tensor) -> Tensor:
        """Loss of the head over the beats of all groups; `people` is (n, group)."""
        loss: Tensor = self.head(embeddings.flatten(0, 1), people.flatten())
        return loss


def grouped(person: Array, session: Array, size: int, rng: np.random.Generator) -> Array:
    """Rows of beats in groups of one person, from different sessions as far as there are.

    Parameters
    ----------
    person : (n,) int array
        Codes 0..k-1.
    session : (n,) int array
        Days or records of the beats.
    size : int
        Beats of a group; a person's last group is filled with beats of its first.
    rng : numpy.random.Generator

    Returns
    -------
    (groups, size) int array
        Groups in order of person. Their number does not depend on `rng`. For size 1 every row once, in order.

    Raises
    ------
    NotComputable
        If groups are asked for and nobody has two beats.
    """
    if size == 1:
        return np.arange(len(person))[:, None]
    count = np.bincount(person)
    if count.max() < 2:
        raise NotComputable("beats of one person are to be drawn together: a person with at least 2 beats is needed")
    groups = []
    for code in np.flatnonzero(count):
        mine = rng.permutation(np.flatnonzero(person == code))
        turn = np.zeros(len(mine), np.int64)
        for day in np.unique(session[mine]):
            of_day = np.flatnonzero(session[mine] == day)
            turn[of_day] = np.arange(len(of_day))
        mine = mine[np.argsort(turn, kind="stable")]
        wanted = -(-len(mine) // size) * size
        groups.append(np.resize(mine, wanted).reshape(-1, size))
    return np.concatenate(groups)
