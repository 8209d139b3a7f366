"""Small 1-D convolutional networks for beats."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from agile_bench.api import BEAT_SAMPLES, Array

__all__ = ["ConvClassifier", "ConvEncoder", "PintoClassifier", "PintoEncoder", "shifted"]

KERNELS = (9, 5, 5)
STRIDES = (4, 2, 2)
COLUMNS = -(-BEAT_SAMPLES // 16)
"""Columns that the three strides leave of a beat."""
PINTO_WIDTHS = (24, 24, 36, 36)
PINTO_POOLS = (5, 5, 5)
"""As published, for 1,000 samples: 3 columns are left of them."""
BEAT_POOLS = (2, 2, 2)
"""For a beat, of which pools of 5 would leave nothing: 17 columns. Recognised held-out beats best of those tried."""


class ConvEncoder(nn.Module):
    """Three strided convolutions and a dense layer, after Pinto et al. 2019 scaled from 5 s to one beat.

    Strides take the place of pooling: 2.4 times as fast on a CPU and as good on the recordings tried.

    Parameters
    ----------
    channels : int
        Signals of a beat.
    widths : tuple of 3 int
        Channels of the convolutions.
    size : int
        Length of an embedding.
    extra : int
        Numbers of a beat that join the dense layer's input, such as RR intervals.
    dropout : float
        Share of the dense layer's input from the convolutions that is dropped in training.
    """

    def __init__(
        self, channels: int, widths: tuple[int, int, int], size: int, extra: int = 0, dropout: float = 0.0
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for width, kernel, stride in zip(widths, KERNELS, STRIDES, strict=True):
            conv = nn.Conv1d(channels, width, kernel, stride=stride, padding=kernel // 2, bias=False)
            layers += [conv, nn.BatchNorm1d(width), nn.ReLU()]
            channels = width
        self.trunk = nn.Sequential(*layers)
        self.dropout = nn.Dropout(dropout)
        self.dense = nn.Linear(channels * COLUMNS + extra, size, bias=False)
        self.norm = nn.BatchNorm1d(size)

    def forward(self, signal: Tensor, *extra: Tensor) -> Tensor:
        """Embeddings (n, size) of signals (n, channels, 200) and extra numbers (n, extra)."""
        shape = self.dropout(self.trunk(signal).flatten(1))
        embedding: Tensor = self.norm(self.dense(torch.cat([shape, *extra], dim=1)))
        return embedding


class ConvClassifier(nn.Module):
    """`ConvEncoder` and a linear layer to logits.

    Parameters
    ----------
    encoder : ConvEncoder
    classes : int
    """

    def __init__(self, encoder: ConvEncoder, classes: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = nn.Linear(encoder.dense.out_features, classes)

    def forward(self, *inputs: Tensor) -> Tensor:
        """Logits (n, classes) of the encoder's inputs."""
        logits: Tensor = self.head(functional.relu(self.encoder(*inputs)))
        return logits

    @classmethod
    def like(cls, state: Mapping[str, Array], prefix: str = "") -> ConvClassifier:
        """A classifier of the sizes found in a packed one."""
        first, middle, last = (state[f"{prefix}encoder.trunk.{layer}.weight"].shape for layer in (0, 3, 6))
        size, joined = state[f"{prefix}encoder.dense.weight"].shape
        widths = (first[0], middle[0], last[0])
        encoder = ConvEncoder(first[1], widths, size, joined - widths[-1] * COLUMNS)
        return cls(encoder, state[f"{prefix}head.weight"].shape[0])


class PintoEncoder(nn.Module):
    """Four convolutions of 5 samples with pools between, and a dense layer, as Pinto et al. 2019 published them.

    Neither padded nor normalised.

    Parameters
    ----------
    samples : int
        Length of a signal.
    pools : tuple of 3 int
        Samples that each pool makes one of; all 5 for the published 1,000 samples.
    """

    def __init__(self, samples: int = BEAT_SAMPLES, pools: tuple[int, int, int] = BEAT_POOLS) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 1
        for number, width in enumerate(PINTO_WIDTHS):
            if number:
                layers.append(nn.MaxPool1d(pools[number - 1]))
                samples //= pools[number - 1]
            layers += [nn.Conv1d(channels, width, 5), nn.ReLU()]
            samples -= 4
            channels = width
        self.trunk = nn.Sequential(*layers)
        self.dense = nn.Linear(channels * samples, 100)

    def forward(self, signal: Tensor) -> Tensor:
        """Embeddings (n, 100) of signals (n, 1, samples), none negative."""
        return functional.relu(self.dense(self.trunk(signal).flatten(1)))


class PintoClassifier(nn.Module):
    """`PintoEncoder`, dropout and a linear layer to logits.

    Parameters
    ----------
    encoder : PintoEncoder
    classes : int
    """

    def __init__(self, encoder: PintoEncoder, classes: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.dropout = nn.Dropout(0.2)
        self.head = nn.Linear(encoder.dense.out_features, classes)

    def forward(self, signal: Tensor) -> Tensor:
        """Logits (n, classes) of signals (n, 1, samples)."""
        logits: Tensor = self.head(self.dropout(self.encoder(signal)))
        return logits

    @classmethod
    def like(cls, state: Mapping[str, Array], prefix: str = "") -> PintoClassifier:
        """A classifier of beats of the size found in a packed one."""
        return cls(PintoEncoder(), len(state[f"{prefix}head.bias"]))


def shifted(signal: Tensor, most: int) -> Tensor:
    """Signals (n, channels, samples) moved by up to `most` samples either way, each by its own, ends repeated."""
    n, _, samples = signal.shape
    by = torch.randint(-most, most + 1, (n, 1), device=signal.device)
    columns = (torch.arange(samples, device=signal.device) + by).clamp(0, samples - 1)
    return signal.gather(2, columns[:, None].expand_as(signal))
