"""A pair network: tells whether two beats were made by one heart."""

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from agile_bench.api import Array, Attacker, Beats, Context, Field, NotComputable, State
from agile_bench.nn.beats import FLAT, draws, longer, other_draws

if TYPE_CHECKING:
    from agile_bench.nn.ecgxtractor import PairHead

STRANGERS = 5
"""Pairs of strangers to a pair of one person, as published."""
WIDTH = {"small": 256, "published": 1024}
"""Channels of the widest layer of the autoencoder, and length of what the head compares."""
BLOCK = 4096
"""Pairs compared at once; a constant, because bits depend on it."""
DIGITS = 5
"""Decimals of a score: equal beats tie exactly, rounding noise aside."""


class Siamese(Attacker):
    """Codes of an autoencoder, and a head that tells pairs of codes of one person from pairs of strangers.

    The autoencoder is trained to remember the pool's beats, then frozen; pairs of one person are taken from different
    days, else different records, where the pool has them. A person is enrolled by the mean code of its beats. Each
    epoch draws its pairs anew. Where the attacker holds an anonymizer, the pool is enlarged by further releases.
    """

    source: ClassVar[str] = "Melzi, Tolosana and Vera-Rodriguez 2023 (ECGXtractor)"
    learns: ClassVar[frozenset[str]] = frozenset({"subject", "session"})

    size: Literal["small", "published"] = Field(
        default="small", description="small: layers a quarter as wide, for a processor core; published: for a GPU"
    )
    epochs: int = Field(default=15, ge=1, le=1000, description="passes of the autoencoder over the pool")
    pair_epochs: int = Field(default=20, ge=1, le=1000, description="passes of the pair head, each over other pairs")
    positives: int = Field(
        default=1000, ge=1, le=1_000_000, description="pairs of one person in an epoch, shared evenly by all people"
    )
    dropout: float = Field(default=0.5, ge=0, lt=1, description="of the pair head; 0.9 as published")
    learning_rate: float = Field(default=3e-3, gt=0, le=1, description="peak rate of AdamW, for both")

    def fit(self, pool: Beats, ctx: Context) -> State:
        """Autoencoder under ``codes.``, head under ``head.``, the pool's ``mean`` and ``sd``, how the head trained.

        `train_accuracy` is the share of the last epoch's pairs that were told apart; 5/6 by calling all strangers.

        Raises
        ------
        NotComputable
            With fewer than two people in the pool, no person with two beats, or a loss that is no longer finite.
        """
        from agile_bench.nn.examples import diverging_is_told, people_of

        people_of(pool)
        pool = other_draws(pool, ctx)
        scaled = _scaled(pool.signal)
        state: State = {"mean": np.array(scaled.mean()), "sd": np.array(max(float(scaled.std()), FLAT))}
        with diverging_is_told():
            state |= self._train_codes(_standardised(state, pool.signal), ctx)
            return state | self._train_head(self._codes(state, pool, ctx), pool, ctx)

    def _train_codes(self, signal: Array, ctx: Context) -> State:
        from torch.nn import MSELoss

        from agile_bench.nn.ecgxtractor import Autoencoder
        from agile_bench.nn.seeding import seeded
        from agile_bench.nn.state import pack
        from agile_bench.nn.train import fit

        with seeded(ctx, "init"):
            net = Autoencoder(WIDTH[self.size])
        epochs = -(-longer(self.epochs, ctx) // draws(ctx))  # the pool is as many times larger
        fit(net, MSELoss(), (signal,), signal, ctx, epochs=epochs, batch=64, lr=self.learning_rate)
        return pack(net, "codes.")

    def _train_head(self, codes: Array, pool: Beats, ctx: Context) -> State:
        from torch.nn import CrossEntropyLoss

        from agile_bench.nn.ecgxtractor import PairHead
        from agile_bench.nn.seeding import seeded
        from agile_bench.nn.state import pack
        from agile_bench.nn.train import fit

        kin = _Kin.of(pool)

        def fresh(epoch: int) -> tuple[Array, ...]:
            a, b = kin.pairs(self.positives, ctx.rng("pairs", epoch))
            return codes[a], codes[b]

        same = np.zeros(self.positives * (1 + STRANGERS), np.int64)
        same[: self.positives] = 1
        with seeded(ctx, "init", "head"):
            head = PairHead(WIDTH[self.size], self.dropout)
        history = fit(
            head,
            CrossEntropyLoss(),
            fresh(0),
            same,
            ctx,
            epochs=longer(self.pair_epochs, ctx),
            batch=256,
            lr=self.learning_rate,
            weight_decay=0.05,
            fresh=fresh,
        )
        return pack(head, "head.") | history.told(STRANGERS / (1 + STRANGERS))

    def _codes(self, state: State, beats: Beats, ctx: Context) -> Array:
        """Codes of beats, (n, 50) float32."""
        from torch import nn

        from agile_bench.nn.ecgxtractor import Autoencoder
        from agile_bench.nn.state import unpack
        from agile_bench.nn.train import predict

        net = unpack(partial(Autoencoder.like, state, "codes."), state, ctx.device, "codes.")
        return predict(nn.Sequential(net.encoder, nn.Flatten()), (_standardised(state, beats.signal)[:, None],), ctx)

    def _head(self, state: State, device: str) -> "PairHead":
        from agile_bench.nn.ecgxtractor import PairHead
        from agile_bench.nn.state import unpack

        return unpack(partial(PairHead.like, state, "head."), state, device, "head.")

    def _sides(self, state: State, codes: Array, ctx: Context) -> Array:
        from agile_bench.nn.train import predict

        return predict(self._head(state, ctx.device).side_layers, (codes.reshape(len(codes), 2, -1),), ctx)

    def embed(self, state: State, beats: Beats, ctx: Context) -> Array:
        """What the head compares of each beat, (n, 256) or (n, 1024) float32."""
        return self._sides(state, self._codes(state, beats, ctx), ctx)

    def enrol(self, state: State, gallery: Beats, ctx: Context) -> State:
        """What the head compares of each person's mean code, and the head itself."""
        gallery = other_draws(gallery, ctx)
        assert gallery.subject is not None  # a gallery always carries it
        codes = self._codes(state, gallery, ctx)
        means = np.zeros((int(gallery.subject.max()) + 1, codes.shape[1]), np.float64)
        np.add.at(means, gallery.subject, codes)
        means /= np.bincount(gallery.subject)[:, None]
        head = {name: array for name, array in state.items() if name.startswith("head.")}
        return {"templates": self._sides(state, means.astype(np.float32), ctx), **head}

    def score(self, state: State, enrolled: State, probes: Beats, ctx: Context) -> Array:
        """Log-odds of same person against stranger, (n_probe, n_enrolled)."""
        return self._compared(enrolled, self.embed(state, probes, ctx), ctx.device)

    def score_embeddings(self, enrolled: State, embeddings: Array) -> Array:
        """Log-odds of same person against stranger, (n, n_enrolled)."""
        return self._compared(enrolled, embeddings, "cpu")

    def _compared(self, enrolled: State, sides: Array, device: str) -> Array:
        import torch

        head = self._head(enrolled, device)
        templates = torch.tensor(enrolled["templates"]).to(device)
        scores = np.empty((len(sides), len(templates)))
        rows = max(1, BLOCK // len(templates))
        with torch.inference_mode():
            for start in range(0, len(sides), rows):
                block = torch.tensor(sides[start : start + rows]).to(device)
                logits = head.compare(block.repeat_interleave(len(templates), 0), templates.repeat(len(block), 1))
                odds = logits[:, 1] - logits[:, 0]
                scores[start : start + rows] = odds.reshape(-1, len(templates)).cpu().numpy()
        return np.round(scores, DIGITS)


def _scaled(signal: Array) -> Array:
    """Each beat with a range of 2, its offset kept; a flat beat becomes zeros."""
    span = np.ptp(signal.astype(np.float64), axis=1, keepdims=True)
    scaled: Array = np.where(span <= FLAT, 0.0, 2 * signal / np.maximum(span, FLAT))
    return scaled


def _standardised(state: State, signal: Array) -> Array:
    standardised: Array = ((_scaled(signal) - state["mean"]) / state["sd"]).astype(np.float32)
    return standardised


@dataclass(frozen=True, slots=True)
class _Kin:
    """A pool's beats person by person, and which of a person's beats a beat is not paired with.

    Parameters
    ----------
    row : (n,) int array
        Row of the pool that lies in each place; places are sorted by person, day and record.
    start, count : (k,) int arrays
        First place and number of places of each person.
    near, width : (n,) int arrays
        First place and number of places that are too near to each: those of the same day if the person has other
        days, else of the same record if it has other records, else only the place itself.
    """

    row: Array
    start: Array
    count: Array
    near: Array
    width: Array

    @classmethod
    def of(cls, pool: Beats) -> "_Kin":
        """The kin of a pool.

        Raises
        ------
        NotComputable
            If nobody has two beats.
        """
        person, day, record = pool.subject, pool.session, pool.record
        assert person is not None  # declared in `learns`
        assert day is not None
        row = np.lexsort((record, day, person))
        _, start, count = np.unique(person[row], return_index=True, return_counts=True)
        if count.max() < 2:
            raise NotComputable("a pair network needs a person with at least 2 beats in the pool")
        whole = np.repeat(count, count)
        near, width = np.arange(len(row)), np.ones(len(row), np.int64)
        for code in (record, day):
            first = np.flatnonzero(np.diff(code[row], prepend=code[row[0]] - 1) | np.diff(person[row], prepend=-1))
            size = np.diff(first, append=len(row))
            first, size = np.repeat(first, size), np.repeat(size, size)
            near, width = np.where(size < whole, first, near), np.where(size < whole, size, width)
        return cls(row, start, count, near, width)

    def pairs(self, positives: int, rng: np.random.Generator) -> tuple[Array, Array]:
        """Rows of both sides: first `positives` pairs of one person, then `STRANGERS` times as many of two."""
        paired = np.flatnonzero(self.count > 1)
        whose = paired[rng.permutation(positives) % len(paired)]
        a = self._places(whose, rng)
        far = self.start[whose] + rng.integers(self.count[whose] - self.width[a])
        b = far + np.where(far >= self.near[a], self.width[a], 0)
        first = rng.integers(len(self.count), size=STRANGERS * positives)
        second = (first + rng.integers(1, len(self.count), size=len(first))) % len(self.count)
        left, right = np.concatenate([a, self._places(first, rng)]), np.concatenate([b, self._places(second, rng)])
        return self.row[left], self.row[right]

    def _places(self, people: Array, rng: np.random.Generator) -> Array:
        """A place of each person named."""
        places: Array = self.start[people] + rng.integers(self.count[people])
        return places
