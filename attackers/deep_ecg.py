"""A network on eight QRS complexes of a record, one after the other."""

from functools import partial
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from agile_bench.api import Array, Attacker, Beats, Context, Field, State, unit_rows
from agile_bench.nn.lda import fit_lda, log_posterior

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

SHARE = {"half": 2, "published": 1}
JITTER = 0.05
DIGITS = 6
"""Decimals of a score: equal records tie exactly, rounding noise aside."""


class DeepEcg(Attacker):
    """A network taught to name the pool's people by rows of QRS complexes; its template is compared in the gallery.

    A row holds the 8 complexes of +-0.125 s that correlate best with the record's median. In pool and gallery it
    slides over the record, beat by beat, and takes 8 of 12; a probe is the whole record. Where the attacker holds an
    anonymizer, each epoch trains on another release of the pool.
    """

    source: ClassVar[str] = "Donida Labati et al. 2019 (Deep-ECG)"
    unit: ClassVar[Literal["beat", "record"]] = "record"

    size: Literal["half", "published"] = Field(
        default="half", description="channels of the convolutions: half of 16 to 256, or as published"
    )
    epochs: int = Field(default=20, ge=1, le=1000, description="passes over the pool's rows")
    learning_rate: float = Field(default=5e-3, gt=0, le=1, description="peak rate of AdamW")
    rule: Literal["lda", "cosine"] = Field(
        default="lda", description="lda: log-posterior of shrinkage LDA on the gallery; cosine: to the mean templates"
    )

    def fit(self, pool: Beats, ctx: Context) -> State:
        """Weights of the network under ``net.``, and ``train_accuracy``, which at chance means: did not learn.

        Raises
        ------
        NotComputable
            With fewer than two people in the pool, or a loss that is no longer finite.
        """
        from agile_bench.nn.beats import draws
        from agile_bench.nn.complexes import DeepEcgNet
        from agile_bench.nn.examples import PATIENCE, people_of, signal_of_epoch, teach_examples

        code, _ = people_of(pool)
        first, _ = _sliding(pool, pool.signal)

        def given(epoch: int) -> tuple[Array, ...]:
            return (_sliding(pool, signal_of_epoch(pool, ctx, epoch))[1][:, None],)

        return teach_examples(
            partial(DeepEcgNet, share=SHARE[self.size]),
            given,
            code[first],
            pool.record[first],
            ctx,
            epochs=self.epochs,
            lr=self.learning_rate,
            again=draws(ctx) > 1,
            augment=_augmented,
            patience=PATIENCE if self.size == "published" else None,
        )

    def enrol(self, state: State, gallery: Beats, ctx: Context) -> State:
        """Linear discriminants, or mean directions, of the enrolled people's templates."""
        from agile_bench.nn.examples import releases

        assert gallery.subject is not None  # a gallery always carries it
        firsts, rows = zip(*(_sliding(gallery, signal) for signal in releases(gallery, ctx)), strict=True)
        templates = _templates(state, np.concatenate(rows), ctx)
        whose = gallery.subject[np.concatenate(firsts)]
        if self.rule == "lda":
            return fit_lda(templates, whose)
        sums = np.zeros((int(whose.max()) + 1, templates.shape[1]))
        np.add.at(sums, whose, unit_rows(templates.astype(np.float64)))
        return {"templates": unit_rows(sums)}

    def score(self, state: State, enrolled: State, probes: Beats, ctx: Context) -> Array:
        """Log-posterior or cosine of each record, (n_records, n_enrolled)."""
        from agile_bench.nn.examples import records_of

        rows = [_row(probes.signal, record, record) for record in records_of(probes)]
        templates = _templates(state, np.stack(rows), ctx)
        if self.rule == "lda":
            return log_posterior(enrolled, templates)
        cosine: Array = np.round(unit_rows(templates.astype(np.float64)) @ enrolled["templates"].T, DIGITS)
        return cosine


def _row(signal: Array, record: Array, stretch: Array) -> Array:
    from agile_bench.nn.complexes import QRS, row_of_complexes

    return row_of_complexes(signal, stretch, np.median(signal[record, QRS], axis=0)).astype(np.float32)


def _sliding(beats: Beats, signal: Array) -> tuple[Array, Array]:
    """First beat and row (496,) of each window of each record."""
    from agile_bench.nn.complexes import QRS, row_of_complexes, windows
    from agile_bench.nn.examples import records_of

    first, rows = [], []
    for record in records_of(beats):
        median = np.median(signal[record, QRS], axis=0)
        for stretch in windows(record):
            first.append(stretch[0])
            rows.append(row_of_complexes(signal, stretch, median))
    return np.array(first), np.stack(rows).astype(np.float32)


def _templates(state: State, rows: Array, ctx: Context) -> Array:
    """The network's features of rows, (n, d) float32."""
    from agile_bench.nn.complexes import DeepEcgNet, Templates
    from agile_bench.nn.state import unpack
    from agile_bench.nn.train import predict

    net = unpack(partial(DeepEcgNet.like, state, "net."), state, ctx.device, "net.")
    return predict(Templates(net), (rows[:, None],), ctx)


def _augmented(inputs: "Sequence[Tensor]") -> "Sequence[Tensor]":
    """R-peaks are found to a sample or two, and muscles twitch."""
    import torch

    from agile_bench.nn.conv1d import shifted

    (row,) = inputs
    return [shifted(row, 2) + JITTER * torch.randn_like(row)]
