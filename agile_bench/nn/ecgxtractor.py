"""Autoencoder and pair head of ECGXtractor (Melzi, Tolosana and Vera-Rodriguez 2023) for one lead and 200 samples."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import torch
from torch import Tensor, nn

from agile_bench.api import BEAT_SAMPLES, Array

__all__ = ["CODES", "Autoencoder", "PairHead"]

CHANNELS = 2
POSITIONS = BEAT_SAMPLES // 8
CODES = POSITIONS * CHANNELS
"""Numbers that a beat is reduced to; 50, as published for 400 samples."""
LEAST = 8
"""Channels of the first convolution, below which no later one falls either."""


class Autoencoder(nn.Module):
    """A beat to 50 codes and back.

    Four pairs of convolutions with a max-pool after each of the first three: the published fourth pool would leave half
    the codes of a beat that has half the samples.

    Parameters
    ----------
    width : int
        Channels of the widest layer, 1024 as published; each layer before has half as many, but at least 8.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        widths = [1, *(max(LEAST, width >> halvings) for halvings in range(7, -1, -1))]
        down: list[nn.Module] = []
        for layer, (before, after) in enumerate(pairwise(widths)):
            down += _convolution(before, after, 5 if layer == 0 else 3)
            if layer in (1, 3, 5):
                down.append(nn.MaxPool1d(2))
        up: list[nn.Module] = _convolution(CHANNELS, width, 3)
        for layer, (before, after) in enumerate(pairwise(widths[:0:-1])):
            if layer in (1, 3, 5):
                up.append(nn.Upsample(scale_factor=2))
            up += _convolution(before, after, 3)
        self.encoder = nn.Sequential(*down, nn.Conv1d(width, CHANNELS, 3, padding=1))
        self.decoder = nn.Sequential(*up, nn.Conv1d(widths[1], 1, 5, padding=2))

    def encode(self, signal: Tensor) -> Tensor:
        """Codes (n, 50) of signals (n, 200)."""
        codes: Tensor = self.encoder(signal[:, None]).flatten(1)
        return codes

    def forward(self, signal: Tensor) -> Tensor:
        """Signals (n, 200) as remembered by their codes."""
        codes = self.encode(signal).reshape(-1, CHANNELS, POSITIONS)
        remembered: Tensor = self.decoder(codes)[:, 0]
        return remembered

    @classmethod
    def like(cls, state: Mapping[str, Array], prefix: str = "") -> Autoencoder:
        """An autoencoder of the size found in a packed one."""
        return cls(state[f"{prefix}decoder.0.weight"].shape[0])


class PairHead(nn.Module):
    """Whether two codes are of one person.

    Parameters
    ----------
    width : int
        Length of what is compared of each side, 1024 as published; the convolutions have a quarter and half as many
        channels.
    dropout : float
        Share of the difference that is dropped in training.
    """

    def __init__(self, width: int, dropout: float = 0.0) -> None:
        super().__init__()
        first, second = max(LEAST, width // 4), max(LEAST, width // 2)
        self.side_layers = nn.Sequential(
            nn.BatchNorm1d(CHANNELS),
            nn.ReLU(),
            nn.Conv1d(CHANNELS, first, 7, stride=4, padding=3, bias=False),
            nn.BatchNorm1d(first),
            nn.ReLU(),
            nn.Conv1d(first, second, 5, stride=2, padding=2, bias=False),
            nn.BatchNorm1d(second),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(second * 4, width, bias=False),
            nn.BatchNorm1d(width),
            nn.ReLU(),
        )
        self.pair_layers = nn.Sequential(
            nn.Dropout(dropout), nn.Linear(width, 16, bias=False), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 2)
        )

    def side(self, codes: Tensor) -> Tensor:
        """What is compared of codes (n, 50): (n, width)."""
        side: Tensor = self.side_layers(codes.reshape(-1, CHANNELS, POSITIONS))
        return side

    def compare(self, a: Tensor, b: Tensor) -> Tensor:
        """Logits (n, 2) of stranger and same person, for sides (n, width)."""
        logits: Tensor = self.pair_layers((a - b).abs())
        return logits

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """Logits (n, 2) of codes (n, 50); both sides share one set of batch statistics."""
        return self.compare(*self.side(torch.cat([a, b])).chunk(2))

    @classmethod
    def like(cls, state: Mapping[str, Array], prefix: str = "") -> PairHead:
        """A head of the size found in a packed one."""
        return cls(state[f"{prefix}pair_layers.1.weight"].shape[1])


def _convolution(before: int, after: int, kernel: int) -> list[nn.Module]:
    return [nn.Conv1d(before, after, kernel, padding=kernel // 2, bias=False), nn.BatchNorm1d(after), nn.ReLU()]
