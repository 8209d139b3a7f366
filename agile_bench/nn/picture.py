"""Networks for images, of timm's collection, on the pictures of beats."""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches
from functools import cache

import torch
from torch import Tensor, nn
from torch.nn import functional

from agile_bench.api import BEAT_SAMPLES, Context, NotComputable
from agile_bench.nn.raster import rasterise
from agile_bench.nn.seeding import seeded

__all__ = ["BLOCK", "PictureClassifier", "check_backbone", "rebuilt"]

BLOCK = 64
"""Pictures that a network sees at once when it predicts: what fits a processor's cache, and a constant."""


class PictureClassifier(nn.Module):
    """Draws beats, shrinks the pictures, and reads them with a backbone and a linear layer.

    Pictures are drawn batch by batch where the beats are, so that no more than a batch of them exists.

    Parameters
    ----------
    backbone : str
        A name of timm's; its weights are random, nothing is downloaded.
    size : int
        Side of the square picture that the backbone sees; the picture of 200 x 200 is averaged down to it.
    classes : int
    extra : int
        Numbers of a beat that join the backbone's features, such as RR intervals.
    channels : int
        Pictures of a beat.
    dropout : float
        Share of the features that is dropped in training.

    Raises
    ------
    NotComputable
        If there is no such backbone, or it cannot read a picture of this size.
    """

    def __init__(
        self, backbone: str, size: int, classes: int, *, extra: int = 0, channels: int = 1, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.size, self.channels = size, channels
        self.backbone = _backbone(backbone, size, channels)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(_width(self.backbone, backbone, size, channels) + extra, classes)

    def embed(self, signal: Tensor) -> Tensor:
        """Features (n, d) of beats (n, 200), or (n, channels, 200), in mV."""
        picture = rasterise(signal.flatten(0, -2)).unflatten(0, (-1, self.channels))
        if self.size < BEAT_SAMPLES:
            picture = functional.adaptive_avg_pool2d(picture, self.size)
        # twice as fast on a CPU as the default layout
        features: Tensor = self.backbone(picture.contiguous(memory_format=torch.channels_last))
        return features

    def forward(self, signal: Tensor, *extra: Tensor) -> Tensor:
        """Logits (n, classes)."""
        logits: Tensor = self.head(torch.cat([self.dropout(self.embed(signal)), *extra], dim=1))
        return logits


class Embedder(nn.Module):
    """The features of a classifier as a module, for `predict`."""


def check_backbone(name: str) -> str:
    """The name, if timm has a backbone of that name.

    Raises
    ------
    ValueError
        With the nearest names. Weights cannot be named: tags and downloads are refused.
    """
    if name not in _names():
        near = get_close_matches(name, _names(), n=3, cutoff=0.4)
        hint = f"; nearest: {', '.join(near)}" if near else ""
        raise ValueError(f"timm has no backbone {name!r}{hint}")
    return name


def rebuilt(build: Callable[[], PictureClassifier], ctx: Context) -> Callable[[], PictureClassifier]:
    """`build` for `unpack`: on the CPU, since timm's networks hold buffers that no state carries.

    The weights that are drawn in vain leave the global generators as they were.
    """

    def built() -> PictureClassifier:
        with torch.device("cpu"), seeded(ctx, "rebuilt"):
            return build()

    return built


@cache
def _names() -> tuple[str, ...]:
    import timm

    return tuple(timm.list_models())


def _backbone(name: str, size: int, channels: int) -> nn.Module:
    import timm

    try:
        check_backbone(name)
    except ValueError as error:
        raise NotComputable(str(error)) from None
    for fixed in ({"img_size": size}, {}):  # transformers are built for one size, convolutions have no such setting
        try:
            net: nn.Module = timm.create_model(name, pretrained=False, in_chans=channels, num_classes=0, **fixed)
            return net.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]
        except TypeError:
            continue
        except (AssertionError, RuntimeError, ValueError) as error:
            raise NotComputable(f"backbone {name} cannot be built for pictures of {size} x {size}: {error}") from None
    raise NotComputable(f"backbone {name} does not take pictures of {channels} channel(s)")
