"""The default deep attacker: a 1-D network that takes seconds on a CPU."""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from agile_bench.api import Array, Attacker, Beats, Context, Field, State
from agile_bench.nn.beats import other_draws, z_score
from agile_bench.nn.lda import fit_lda, log_posterior

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module

    from agile_bench.nn.conv1d import ConvClassifier, PintoClassifier

SHIFT = 2
JITTER = 0.05


class Cnn1d(Attacker):
    """A 1-D network taught to tell the pool's people apart; LDA on its embeddings tells the gallery's.

    LDA on embeddings beat the cosine to mean embeddings by equal error rate on every recording tried. Where the
    attacker holds an anonymizer, each epoch trains on another release of the pool.
    """

    source: ClassVar[str] = "after Pinto, Cardoso and Lourenco 2019"

    size: Literal["small", "published"] = Field(
        default="small",
        description="small: three strided convolutions; published: the paper's four, with pools of 2 in place of 5",
    )
    epochs: int = Field(default=20, ge=1, le=1000, description="passes over the pool")
    width: int = Field(
        default=16,
        ge=1,
        le=512,
        description="channels of the first convolution if small; the next ones have 2 and 4 times as many",
    )
    learning_rate: float = Field(default=3e-3, gt=0, le=1, description="peak rate of AdamW")

    def fit(self, pool: Beats, ctx: Context) -> State:
        """Weights of the network under ``net.``, and ``train_accuracy``, which at chance means: did not learn.

        Raises
        ------
        NotComputable
            With fewer than two people in the pool, or a loss that is no longer finite.
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
        """Embeddings before the last layer, (n, 4 * width) float32, (n, 100) if published."""
        from agile_bench.nn.train import predict

        return predict(self._encoder(state, ctx), _inputs(beats.signal), ctx)

    def enrol(self, state: State, gallery: Beats, ctx: Context) -> State:
        """Linear discriminants of the enrolled people's embeddings."""
        gallery = other_draws(gallery, ctx)
        assert gallery.subject is not None  # a gallery always carries it
        return fit_lda(self.embed(state, gallery, ctx), gallery.subject)

    def score_embeddings(self, enrolled: State, embeddings: Array) -> Array:
        """Log-posterior of each enrolled person, (n, n_enrolled)."""
        return log_posterior(enrolled, embeddings)

    def _encoder(self, state: State, ctx: Context) -> "Module":
        from agile_bench.nn.conv1d import ConvClassifier, PintoClassifier
        from agile_bench.nn.state import unpack

        if self.size == "published":
            return unpack(partial(PintoClassifier.like, state, "net."), state, ctx.device, "net.").encoder
        return unpack(partial(ConvClassifier.like, state, "net."), state, ctx.device, "net.").encoder

    def _network(self, people: int) -> "ConvClassifier | PintoClassifier":
        from agile_bench.nn.conv1d import ConvClassifier, ConvEncoder, PintoClassifier, PintoEncoder

        if self.size == "published":
            return PintoClassifier(PintoEncoder(), people)
        w = self.width
        return ConvClassifier(ConvEncoder(1, (w, 2 * w, 4 * w), size=4 * w, dropout=0.2), people)


def _inputs(signal: Array) -> tuple[Array, ...]:
    return (z_score(signal)[:, None].astype(np.float32),)


def _augmented(inputs: "Sequence[Tensor]") -> "Sequence[Tensor]":
    """R-peaks are found to a sample or two, and muscles twitch."""
    import torch

    from agile_bench.nn.conv1d import shifted

    (signal,) = inputs
    return [shifted(signal, SHIFT) + JITTER * torch.randn_like(signal)]
