"""A network over the set of a record's beats, and over how they deviate from their median."""

from functools import partial
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from pydantic import model_validator

from agile_bench.api import Array, Attacker, Beats, Context, Field, NotComputable, State, unit_rows
from agile_bench.nn.beats import FLAT, z_score
from agile_bench.nn.lda import fit_lda, log_posterior

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from agile_bench.nn.set_encoder import SetEncoder

EXAMPLES = 8
"""Subsets of a record that stand for a person in the gallery."""
LARGEST = 10.0
"""Deviations are kept within this many standard deviations of the pool's."""
SHIFT = 2
JITTER = 0.05
DIGITS = 6
"""Decimals of a score: equal records tie exactly, rounding noise aside."""


class Set(Attacker):
    """Each beat and its deviation from the record's median are read, pooled by mean and spread, and told by person.

    What varies from beat to beat identifies too, where a release has exchanged what all beats share. Every epoch draws
    subsets of each record's beats anew, and another release where the attacker holds an anonymizer.
    """

    source: ClassVar[str] = "after Zaheer et al. 2017 (Deep Sets); pooling of Snyder et al. 2018 (x-vectors)"
    unit: ClassVar[Literal["beat", "record"]] = "record"

    fewest: int = Field(default=12, ge=2, le=1000, description="beats of the smallest subset, where a record has them")
    most: int = Field(default=24, ge=2, le=1000, description="beats of the largest subset")
    subsets: int = Field(default=3, ge=1, le=100, description="subsets of each record in an epoch")
    width: int = Field(
        default=16, ge=1, le=512, description="channels of the first convolution; the next have 2 and 4 times as many"
    )
    epochs: int = Field(default=60, ge=1, le=1000, description="passes over the pool's records")
    learning_rate: float = Field(default=5e-3, gt=0, le=1, description="peak rate of AdamW")
    rule: Literal["lda", "cosine"] = Field(
        default="lda", description="lda: log-posterior of shrinkage LDA on the gallery; cosine: to the mean embeddings"
    )

    @model_validator(mode="after")
    def _ordered(self) -> "Set":
        if self.fewest > self.most:
            raise ValueError(f"fewest ({self.fewest}) is larger than most ({self.most})")
        return self

    def fit(self, pool: Beats, ctx: Context) -> State:
        """Weights under ``net.``, the pool's ``deviation`` in mV, ``train_accuracy``.

        Raises
        ------
        NotComputable
            With fewer than two people in the pool who have a record of two beats, or a loss that is no longer finite.
        """
        from agile_bench.nn.examples import people_of, records_of, signal_of_epoch, teach_examples
        from agile_bench.nn.set_encoder import SetClassifier

        people_of(pool)
        assert pool.subject is not None  # every attacker's pool carries it
        records = [record for record in records_of(pool) if len(record) > 1]
        whose = pool.subject[[record[0] for record in records]] if records else np.empty(0, np.int32)
        people, code = np.unique(whose, return_inverse=True)
        if len(people) < 2:
            raise NotComputable(
                "a set needs records of at least 2 beats, of at least 2 people in the pool; "
                f"{len(people)} of them {'has' if len(people) == 1 else 'have'} one"
            )
        spread = np.array(max(_deviations(pool.signal, records).std(), FLAT))

        def given(epoch: int) -> tuple[Array, ...]:
            both = _both(signal_of_epoch(pool, ctx, epoch), records, spread)
            picked, there = self._subsets(records, ctx.rng("subsets", epoch))
            return both[picked], there

        state = teach_examples(
            partial(SetClassifier, self.width),
            given,
            np.repeat(code, self.subsets).astype(np.int64),
            np.repeat(np.arange(len(records)), self.subsets),
            ctx,
            epochs=self.epochs,
            lr=self.learning_rate,
            again=True,
            augment=_augmented,
        )
        return state | {"deviation": spread}

    def enrol(self, state: State, gallery: Beats, ctx: Context) -> State:
        """Linear discriminants, or mean directions, of the enrolled people; `known` are those with a record of 2 beats.

        Raises
        ------
        NotComputable
            If nobody has one.
        """
        from agile_bench.nn.examples import records_of, releases

        assert gallery.subject is not None  # a gallery always carries it
        records = [record for record in records_of(gallery) if len(record) > 1]
        if not records:
            raise NotComputable("a set needs records of at least 2 beats, the gallery has none")
        sets, whose = [], []
        for record in records:
            sets += [record, *self._examples(record)]
            whose += [gallery.subject[record[0]]] * (1 + EXAMPLES)
        given = releases(gallery, ctx)
        embeddings = np.concatenate([_embedded(state, signal, records, sets, ctx) for signal in given])
        known, code = np.unique(np.tile(whose, len(given)), return_inverse=True)
        people = {"known": known, "people": np.array(int(gallery.subject.max()) + 1)}
        if self.rule == "lda":
            return fit_lda(embeddings, code) | people
        sums = np.zeros((len(known), embeddings.shape[1]))
        np.add.at(sums, code, unit_rows(embeddings.astype(np.float64)))
        return {"templates": unit_rows(sums)} | people

    def score(self, state: State, enrolled: State, probes: Beats, ctx: Context) -> Array:
        """Log-posterior or cosine of each record, (n_records, n_enrolled); ``-inf`` where one beat is all there is."""
        from agile_bench.nn.examples import records_of

        records = records_of(probes)
        enough = np.array([len(record) > 1 for record in records])
        scores = np.full((len(records), int(enrolled["people"])), -np.inf)
        if not enough.any():
            return scores
        sets = [record for record in records if len(record) > 1]
        embeddings = _embedded(state, probes.signal, sets, sets, ctx)
        if self.rule == "lda":
            found = log_posterior(enrolled, embeddings)
        else:
            found = np.round(unit_rows(embeddings.astype(np.float64)) @ enrolled["templates"].T, DIGITS)
        scores[np.ix_(enough, enrolled["known"])] = found
        return scores

    def _sizes(self, beats: int, count: int, rng: np.random.Generator) -> Array:
        """Beats of each of so many subsets of a record: `fewest` to `most`; of short records at least half."""
        return rng.integers(min(self.fewest, max(2, beats // 2)), min(self.most, beats), count, endpoint=True)

    def _subsets(self, records: list[Array], rng: np.random.Generator) -> tuple[Array, Array]:
        """Rows (n, most) of random subsets of each record, filled up with their own, and which of them count."""
        picked = np.empty((len(records), self.subsets, self.most), np.int64)
        there = np.zeros(picked.shape, np.float32)
        for number, record in enumerate(records):
            for turn, size in enumerate(self._sizes(len(record), self.subsets, rng)):
                picked[number, turn] = np.resize(rng.permutation(record)[:size], self.most)
                there[number, turn, :size] = 1
        return picked.reshape(-1, self.most), there.reshape(-1, self.most)

    def _examples(self, record: Array) -> list[Array]:
        """Subsets of a record that stand in the gallery: equal ones for records of equal length."""
        rng = np.random.default_rng(len(record))
        return [rng.permutation(record)[:size] for size in self._sizes(len(record), EXAMPLES, rng)]


def _deviations(signal: Array, records: list[Array]) -> Array:
    """Each beat less the median beat of its record, (n, 200) float64, mV; 0 outside the records."""
    away = np.zeros(signal.shape)
    for record in records:
        beats = signal[record].astype(np.float64)
        away[record] = beats - np.median(beats, axis=0)
    return away


def _both(signal: Array, records: list[Array], spread: Array) -> Array:
    """Beats, z-scored, and their deviations in units of the pool's, (n, 2, 200) float32."""
    away = np.clip(_deviations(signal, records) / spread, -LARGEST, LARGEST)
    return np.stack([z_score(signal), away], axis=1).astype(np.float32)


def _embedded(state: State, signal: Array, records: list[Array], sets: list[Array], ctx: Context) -> Array:
    """Embeddings of sets of beats, (n_sets, 4 * width) float32; every beat is read once."""
    import torch
    from torch import nn

    from agile_bench.nn.set_encoder import Joined, SetClassifier, pooled
    from agile_bench.nn.state import unpack
    from agile_bench.nn.train import predict

    net: SetEncoder = unpack(partial(SetClassifier.like, state, "net."), state, ctx.device, "net.").encoder
    features = predict(nn.Sequential(net.beat, nn.ReLU()), (_both(signal, records, state["deviation"]),), ctx)
    moments = [pooled(torch.tensor(features[rows][None]), torch.ones(1, len(rows)))[0].numpy() for rows in sets]
    return predict(Joined(net), (np.stack(moments),), ctx)


def _augmented(inputs: "Sequence[Tensor]") -> "Sequence[Tensor]":
    """R-peaks are found to a sample or two, and muscles twitch; the deviations move with their beats."""
    import torch

    from agile_bench.nn.conv1d import shifted

    beats, there = inputs
    moved = shifted(beats.flatten(0, 1), SHIFT).reshape(beats.shape)
    return [moved + JITTER * torch.randn_like(moved), there]
