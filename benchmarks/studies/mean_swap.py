"""A record's mean beat gives way to somebody else's; how its beats differ from each other stays."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from agile_bench.api import Anonymizer, Beats, Context, Field, Release, State


class MeanSwap(Anonymizer):
    """Move a record's mean beat towards that of a donor's record, and all of its beats with it."""

    keeps: ClassVar[frozenset[str]] = frozenset({"label", "rr", "amplitude", "shape"})
    exposes: ClassVar[dict[str, tuple[str, ...]]] = {"donors": ("donors",)}
    weakness: ClassVar[str] = "how the beats of a record differ from each other; below 1 whoever has the donors"

    weight: float = Field(default=1.0, ge=0, le=1, description="share of the way to the donor's mean beat")

    def fit(self, train: Beats, ctx: Context, clinical: Beats | None = None) -> State:
        """Mean beat of every fitting record, ``donors`` (n, 200)."""
        return {"donors": np.stack([train.signal[train.record == r].mean(axis=0) for r in np.unique(train.record)])}

    def release(self, state: State, beats: Beats, ctx: Context) -> Release:
        """The moved beats; the key draws the donor, all donors equally likely."""
        donor = state["donors"][ctx.rng("donor").integers(len(state["donors"]))]
        move = self.weight * (donor - beats.signal.mean(axis=0))
        return Release(signal=(beats.signal + move).astype(np.float32))
