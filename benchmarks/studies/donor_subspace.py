"""Where people differ most, every beat takes somebody else's coordinates."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from agile_bench.api import BEAT_SAMPLES, Anonymizer, Beats, Context, Field, NotComputable, Release, State


class DonorSubspace(Anonymizer):
    """Replace a beat's coordinates in the leading directions of people's mean beats by a donor's, one for a record."""

    learns: ClassVar[frozenset[str]] = frozenset({"subject"})
    keeps: ClassVar[frozenset[str]] = frozenset({"label", "rr", "amplitude", "shape"})
    exposes: ClassVar[dict[str, tuple[str, ...]]] = {"subspace": ("subspace",)}
    weakness: ClassVar[str] = "what is left outside the subspace, once the subspace is taken out"

    r: int = Field(default=16, ge=1, le=BEAT_SAMPLES - 1, description="directions")

    def fit(self, train: Beats, ctx: Context, clinical: Beats | None = None) -> State:
        """Directions ``subspace`` (200, r), and the donors' coordinates in them, ``coordinates`` (records, r).

        Raises
        ------
        NotComputable
            If fewer than r + 1 people are there to span the directions.
        """
        assert train.subject is not None  # declared in `learns`
        people, records = np.unique(train.subject), np.unique(train.record)
        if len(people) <= self.r:
            raise NotComputable(f"{len(people)} people span at most {len(people) - 1} directions, r asks for {self.r}")
        signal = train.signal.astype(np.float64)
        person = np.stack([signal[train.subject == code].mean(axis=0) for code in people])
        subspace = np.linalg.svd(person - person.mean(axis=0), full_matrices=False)[2][: self.r].T
        donors = np.stack([signal[train.record == code].mean(axis=0) for code in records])
        return {"subspace": np.ascontiguousarray(subspace), "coordinates": donors @ subspace}

    def release(self, state: State, beats: Beats, ctx: Context) -> Release:
        """Beats with the donor's coordinates; the key draws the donor, all equally likely."""
        drawn = state["coordinates"][ctx.rng("donor").integers(len(state["coordinates"]))]
        own = beats.signal.astype(np.float64) @ state["subspace"]
        return Release(signal=(beats.signal + (drawn - own) @ state["subspace"].T).astype(np.float32))
