"""One wave for everybody: nothing is left to be learnt from it."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from agile_bench.api import Anonymizer, Beats, Context, Release, State


class MeanBeat(Anonymizer):
    """The mean of all fitting beats in place of every beat; unlike `constant` no anchor, so that reports judge it."""

    stochastic: ClassVar[bool] = False
    weakness: ClassVar[str] = "none by shape; where two instances release, which of them did"

    def fit(self, train: Beats, ctx: Context, clinical: Beats | None = None) -> State:
        """The mean beat, ``beat`` (200,)."""
        return {"beat": train.signal.mean(axis=0, dtype=np.float64).astype(np.float32)}

    def release(self, state: State, beats: Beats, ctx: Context) -> Release:
        """The one beat, as often as there are beats."""
        return Release(signal=np.tile(state["beat"], (len(beats), 1)))
