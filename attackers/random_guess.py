"""The anchor that marks chance."""

from typing import ClassVar

import numpy as np

from agile_bench.api import Array, Attacker, Beats, Context, State


class RandomGuess(Attacker):
    """Scores drawn at random, whatever the beats: equal error rate 0.5, rank-1 one in the number enrolled."""

    anchor: ClassVar[bool] = True

    def fit(self, pool: Beats, ctx: Context) -> State:
        """Nothing to learn."""
        return {}

    def enrol(self, state: State, gallery: Beats, ctx: Context) -> State:
        """Only how many people there are."""
        assert gallery.subject is not None  # a gallery always carries it
        return {"people": np.array(int(gallery.subject.max()) + 1)}

    def score(self, state: State, enrolled: State, probes: Beats, ctx: Context) -> Array:
        """Independent standard normal numbers, (n_probe, n_enrolled)."""
        return ctx.rng("scores").standard_normal((len(probes), int(enrolled["people"])))
