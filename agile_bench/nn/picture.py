"""Networks for images, of timm's collection, on the pictures of beats."""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches
from functools import cache
from typing import Any, TypeVar

import timm
import torch
from torch import Tensor, nn
from torch.nn import functional

from agile_bench.api import BEAT_SAMPLES, Context, NotComputable, State
from agile_bench.nn.raster import rasterise
from agile_bench.nn.seeding import seeded
from agile_bench.nn.state import unpack

__all__ = ["BLOCK", "PictureAndNumbers", "PictureClassifier", "PictureEncoder", "check_backbone", "restore"]

M = TypeVar("M", bound=nn.Module)

BLOCK = 64
"""Pictures that a network reads at once when it predicts: what a processor's cache holds, and a constant."""


class PictureEncoder(nn.Module):
    """Draws beats, shrinks the pictures and reads them with a backbone.

    Pictures are drawn batch by batch where the beats are, so that no more than a batch of them exists.

    Parameters
    ----------
    backbone : str
        A name of timm's. Its weights are random, nothing is downloaded.
    size : int
        Side of the square picture that the backbone sees, 1-200; the picture of 200 x 200 is averaged down to it.
    channels : int
        Pictures of a beat.

    Raises
    ------
    NotComputable
        If there is no such backbone, or it cannot read pictures of this size.
    """

    def __init__(self, backbone: str, size: int, channels: int = 1) -> None:
        super().__init__()
        self.size = size
        self.net, self.features = _made(backbone, size, channels)

    def forward(self, signal: Tensor) -> Tensor:
        """Features (n, `features`) of beats (n, channels, 200), mV."""
        picture = rasterise(signal.flatten(0, 1)).reshape(*signal.shape[:2], BEAT_SAMPLES, BEAT_SAMPLES)
        if self.size < BEAT_SAMPLES:
            picture = functional.adaptive_avg_pool2d(picture, self.size)
        # Channels last: twice as fast on a CPU.
        features: Tensor = self.net(picture.contiguous(memory_format=torch.channels_last))
        return features


class PictureClassifier(nn.Module):
    """`PictureEncoder` and a linear layer to logits.

    Parameters
    ----------
    encoder : PictureEncoder
    classes : int
    """

    def __init__(self, encoder: PictureEncoder, classes: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = nn.Linear(encoder.features, classes)

    def forward(self, signal: Tensor) -> Tensor:
        """Logits (n, classes) of beats (n, channels, 200), mV."""
        logits: Tensor = self.head(self.encoder(signal))
        return logits


class PictureAndNumbers(nn.Module):
    """`PictureEncoder`, whose features are condensed before they meet a few other numbers of the beat.

    Side by side with a thousand features, four RR intervals were hardly heard.

    Parameters
    ----------
    encoder : PictureEncoder
    classes : int
    numbers : int
        How many, such as RR intervals.
    size : int
        Features of the picture that meet them.
    dropout : float
        Share of the encoder's features that is dropped in training.
    """

    def __init__(
        self, encoder: PictureEncoder, classes: int, numbers: int, size: int = 16, dropout: float = 0.3
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.condense = nn.Sequential(
            nn.Dropout(dropout), nn.Linear(encoder.features, size, bias=False), nn.BatchNorm1d(size), nn.ReLU()
        )
        self.dense = nn.Sequential(nn.Linear(size + numbers, 32, bias=False), nn.BatchNorm1d(32), nn.ReLU())
        self.head = nn.Linear(32, classes)

    def forward(self, signal: Tensor, numbers: Tensor) -> Tensor:
        """Logits (n, classes) of beats (n, channels, 200), mV, and numbers (n, numbers)."""
        shape = self.condense(self.encoder(signal))
        logits: Tensor = self.head(self.dense(torch.cat([shape, numbers], dim=1)))
        return logits


def check_backbone(name: str) -> str:
    """The name, if timm has a backbone that is called so.

    Raises
    ------
    ValueError
        Otherwise, with the nearest names. Names with tags of weights or places to load from are none.
    """
    if name not in _names():
        near = get_close_matches(name, _names(), n=3, cutoff=0.4)
        raise ValueError(f"timm has no backbone {name!r}; nearest: {', '.join(near) or 'none'}")
    return name


def restore(build: Callable[[], M], state: State, ctx: Context, prefix: str) -> M:
    """A network from what `pack` returned, ready to predict on ``ctx.device``.

    Unlike the networks that `unpack` is made for it is built with weights, since some backbones have buffers that no
    state holds. The global generators are left as they were by those drawn in vain.
    """

    def built() -> M:
        with torch.device("cpu"), seeded(ctx, "restore"):
            return build()

    net = unpack(built, state, ctx.device, prefix)
    return net.to(memory_format=torch.channels_last)


@cache
def _names() -> tuple[str, ...]:
    return tuple(timm.list_models())


def _made(name: str, size: int, channels: int) -> tuple[nn.Module, int]:
    """A backbone and how many features it gives, found by trying it."""
    try:
        check_backbone(name)
        net = _created(name, size, channels)
        least = _reduction(net)
        if size >= least:
            return net, _tried(net, size, channels)
        problem = f"fewer than the {least} pixels that it makes one of"
    except (AssertionError, RuntimeError, ValueError) as error:
        if name not in _names():
            raise NotComputable(str(error)) from None
        problem = str(error).splitlines()[0]
    smallest = _smallest(name, channels)
    raise NotComputable(f"backbone {name} cannot read {size} x {size} pixels: {problem}; it needs {smallest}")


def _created(name: str, size: int, channels: int) -> nn.Module:
    settings: dict[str, Any] = {"pretrained": False, "in_chans": channels, "num_classes": 0}
    try:  # transformers are made for one size, convolutions know no such setting
        net = timm.create_model(name, **settings, img_size=size)
    except TypeError:
        net = timm.create_model(name, **settings)
    return net.to(memory_format=torch.channels_last)


def _tried(net: nn.Module, size: int, channels: int) -> int:
    """Features of an empty picture. `num_features` will not do: some backbones widen them once more."""
    net.eval()
    with torch.inference_mode():
        return int(net(torch.zeros(2, channels, size, size)).shape[1])


def _reduction(net: nn.Module) -> int:
    """Pixels of the picture, along one side, that the last layer makes one of."""
    stages: Any = getattr(net, "feature_info", [])
    return max((int(stage["reduction"]) for stage in getattr(stages, "info", stages)), default=1)


def _smallest(name: str, channels: int) -> str:
    """What a backbone reads, for the message of a refusal."""
    for size in range(8, BEAT_SAMPLES + 1, 8):
        try:
            net = _created(name, size, channels)
            if size >= _reduction(net) and _tried(net, size, channels):
                return f"at least {size} x {size}"
        except (AssertionError, RuntimeError, ValueError):
            continue
    return f"more than the {BEAT_SAMPLES} x {BEAT_SAMPLES} that there are"
