"""A network for images, as the AGILE paper's attackers are, on the 200 x 200 picture of a beat."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from pydantic import field_validator

from agile_bench.api import BEAT_SAMPLES, Array, Attacker, Beats, Context, Field, State
from agile_bench.nn.beats import other_draws
from agile_bench.nn.lda import fit_lda, log_posterior

if TYPE_CHECKING:
    from torch import Tensor

    from agile_bench.nn.picture import PictureClassifier

BACKBONE = "test_efficientnet"
SIDE = {"small": 64, "published": BEAT_SAMPLES}
"""Side of the picture that the network sees; the picture of 200 x 200 is averaged down to it."""
SHIFT = 3
GAIN = 0.05


class Cnn(Attacker):
    """Any of timm's backbones, taught from scratch to tell the pool's people apart; LDA on its features.

    The picture keeps the beat's size in mV. Pictures are drawn batch by batch; the small ones are averaged down from
    200 x 200. Where the attacker holds an anonymizer, each epoch trains on another release of the pool.
    """

    source: ClassVar[str] = "after Bhattacharyya et al. 2025 (AGILE); backbone after Tan and Le 2019 (EfficientNet)"

    backbone: str = Field(default=BACKBONE, description="timm's name of the network; no weights are downloaded")
    size: Literal["small", "published"] = Field(
        default="small",
        description="small: a picture of 64 x 64, for a processor core; published: of 200 x 200, for a GPU",
    )
    epochs: int = Field(default=24, ge=1, le=1000, description="passes over the pool")
    learning_rate: float = Field(default=3e-3, gt=0, le=1, description="peak rate of AdamW")

    @field_validator("backbone")
    @classmethod
    def _known(cls, name: str) -> str:
        if name == BACKBONE:  # so that listing attackers does not import timm
            return name
        from agile_bench.nn.picture import check_backbone

        return check_backbone(name)

    def fit(self, pool: Beats, ctx: Context) -> State:
        """Weights of the network under ``net.``, and ``train_accuracy``, which at chance means: did not learn.

        Raises
        ------
        NotComputable
            With fewer than two people in the pool, a loss that is no longer finite, or a backbone that cannot read
            pictures of this size.
        """
        from agile_bench.nn.examples import PATIENCE
        from agile_bench.nn.people import teach_people

        return teach_people(
            self._network,
            _inputs,
            pool,
            ctx,
            epochs=self.epochs,
            lr=self.learning_rate,
            augment=_augmented,
            patience=PATIENCE if self.size == "published" else None,
        )

    def embed(self, state: State, beats: Beats, ctx: Context) -> Array:
        """Features before the last layer, (n, d) float32; d is the backbone's."""
        from agile_bench.nn.picture import BLOCK, restore
        from agile_bench.nn.train import predict

        classes = len(state["net.head.bias"])
        net = restore(lambda: self._network(classes), state, ctx, "net.")
        return predict(net.encoder, _inputs(beats.signal), ctx, BLOCK)

    def enrol(self, state: State, gallery: Beats, ctx: Context) -> State:
        """Linear discriminants of the enrolled people's features."""
        gallery = other_draws(gallery, ctx)
        assert gallery.subject is not None  # a gallery always carries it
        return fit_lda(self.embed(state, gallery, ctx), gallery.subject)

    def score_embeddings(self, enrolled: State, embeddings: Array) -> Array:
        """Log-posterior of each enrolled person, (n, n_enrolled)."""
        return log_posterior(enrolled, embeddings)

    def _network(self, classes: int) -> "PictureClassifier":
        from agile_bench.nn.picture import PictureClassifier, PictureEncoder

        return PictureClassifier(PictureEncoder(self.backbone, SIDE[self.size]), classes)


def _inputs(signal: Array) -> tuple[Array, ...]:
    return (signal[:, None].astype(np.float32),)


def _augmented(inputs: "Sequence[Tensor]") -> "Sequence[Tensor]":
    """R-peaks are found to a sample or two, and electrodes do not always lie as close."""
    import torch

    from agile_bench.nn.conv1d import shifted

    (signal,) = inputs
    return [shifted(signal, SHIFT) * (1 + GAIN * torch.randn(len(signal), 1, 1, device=signal.device))]
