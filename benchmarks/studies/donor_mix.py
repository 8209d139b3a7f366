"""A part of every beat gives way to somebody else's mean beat."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from agile_bench.api import Anonymizer, Beats, Context, Field, Release, State


class DonorMix(Anonymizer):
    """Mix every beat with the mean beat of a donor's record, one donor for all beats of a record."""

    keeps: ClassVar[frozenset[str]] = frozenset({"label", "rr", "amplitude", "shape"})
    exposes: ClassVar[dict[str, tuple[str, ...]]] = {"donors": ("donors",)}
    weakness: ClassVar[str] = "whoever has the donors subtracts each in turn"

    weight: float = Field(default=0.7, ge=0, le=1, description="share of the donor in the release")

    def fit(self, train: Beats, ctx: Context, clinical: Beats | None = None) -> State:
        """Mean beat of every fitting record, ``donors`` (n, 200)."""
        return {"donors": np.stack([train.signal[train.record == r].mean(axis=0) for r in np.unique(train.record)])}

    def release(self, state: State, beats: Beats, ctx: Context) -> Release:
        """The mix; the key draws the donor, all donors equally likely."""
        donor = state["donors"][ctx.rng("donor").integers(len(state["donors"]))]
        return Release(signal=((1 - self.weight) * beats.signal + self.weight * donor).astype(np.float32))
