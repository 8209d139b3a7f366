"""AGILE's convolution-transformer hybrid (CTH) on the picture of a beat, with an identity and a diagnostic head."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from timm.models.vision_transformer import Block
from torch import Tensor, nn
from torch.nn import functional

from agile_bench.api import Array
from agile_bench.nn.raster import rasterise

__all__ = ["CLASSES", "Cth", "CthEncoder", "joint_loss"]

CLASSES = 4
"""Outputs of the diagnostic head: N, S, V and F of `agile_bench.api.AAMI`."""
WIDTHS = (8, 16, 32)
"""Channels of the convolution blocks."""
KERNELS = (5, 3, 3)
STRIDES = (4, 2, 2)
GRID = 7
"""Tokens along each side of the picture."""
HEAD = 16
"""Width of an attention head."""


class CthEncoder(nn.Module):
    """Convolution blocks, a grid of tokens, transformer blocks; features are the mean token.

    The encoder draws its picture itself, so that its gradient reaches the signal and no picture is ever stored.

    Parameters
    ----------
    dim : int
        Width of a token and length of an embedding, a multiple of 16.
    depth : int
        Transformer blocks.
    """

    def __init__(self, dim: int, depth: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 1
        for width, kernel, stride in zip(WIDTHS, KERNELS, STRIDES, strict=True):
            conv = nn.Conv2d(channels, width, kernel, stride=stride, padding=kernel // 2, bias=False)
            layers += [conv, nn.BatchNorm2d(width), nn.ReLU()]
            channels = width
        self.convolutions = nn.Sequential(*layers)
        self.project = nn.Linear(channels, dim)
        self.place = nn.Parameter(0.02 * torch.randn(1, GRID * GRID, dim))
        self.blocks = nn.Sequential(*[Block(dim, dim // HEAD, mlp_ratio=2, qkv_bias=True) for _ in range(depth)])
        self.norm = nn.LayerNorm(dim)

    def forward(self, signal: Tensor) -> Tensor:
        """Features (n, dim) of signals (n, 200) in mV."""
        picture = rasterise(signal)[:, None]
        cells = functional.adaptive_avg_pool2d(self.convolutions(picture), GRID)
        tokens = self.project(cells.flatten(2).transpose(1, 2)) + self.place
        features: Tensor = self.norm(self.blocks(tokens)).mean(dim=1)
        return features


class Cth(nn.Module):
    """`CthEncoder` and two linear heads: who, and which class of beat.

    Parameters
    ----------
    people : int
        Outputs of the identity head.
    dim, depth : int
        See `CthEncoder`. One block is what Eq. 1 prints; a second one recognised people of other records no better.
    """

    def __init__(self, people: int, dim: int = 64, depth: int = 1) -> None:
        super().__init__()
        self.encoder = CthEncoder(dim, depth)
        self.identity = nn.Linear(dim, people)
        self.diagnosis = nn.Linear(dim, CLASSES)

    def heads(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of the people (n, people) and of the beat classes (n, `CLASSES`)."""
        return self.identity(features), self.diagnosis(features)

    def forward(self, signal: Tensor) -> Tensor:
        """Both heads' logits side by side, (n, people + `CLASSES`)."""
        return torch.cat(self.heads(self.encoder(signal)), dim=1)

    @classmethod
    def like(cls, state: Mapping[str, Array], prefix: str = "") -> Cth:
        """A network of the sizes found in a packed one."""
        people, dim = state[f"{prefix}identity.weight"].shape
        blocks = f"{prefix}encoder.blocks."
        depth = len({name.removeprefix(blocks).split(".")[0] for name in state if name.startswith(blocks)})
        return cls(people, dim, depth)


def joint_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """L_bio + L_med, each the mean cross-entropy of the beats whose person, or whose class, is known.

    Parameters
    ----------
    logits : (n, people + `CLASSES`) tensor
        What `Cth` returns.
    targets : (n, 2) int64 tensor
        Person and class, -1 unknown. A head of which a batch knows nothing adds 0.

    Returns
    -------
    scalar tensor
    """
    return _known(logits[:, :-CLASSES], targets[:, 0]) + _known(logits[:, -CLASSES:], targets[:, 1])


def _known(logits: Tensor, target: Tensor) -> Tensor:
    total = functional.cross_entropy(logits, target, ignore_index=-1, reduction="sum")
    return total / (target >= 0).sum().clamp(min=1)
