"""In a few directions, every beat takes somebody else's coordinates."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from agile_bench.api import (
    BEAT_RATE,
    BEAT_SAMPLES,
    Anonymizer,
    Array,
    Beats,
    Context,
    Field,
    NotComputable,
    Release,
    State,
)

BELOW_HZ = 50.0


class DonorSubspace(Anonymizer):
    """Replace a beat's coordinates in some directions by a donor's, one donor for a record.

    Leading directions are those in which people's mean beats differ most; random ones are drawn below 50 Hz.
    """

    learns: ClassVar[frozenset[str]] = frozenset({"subject"})
    keeps: ClassVar[frozenset[str]] = frozenset({"label", "rr", "amplitude", "shape"})
    exposes: ClassVar[dict[str, tuple[str, ...]]] = {"subspace": ("subspace",)}
    weakness: ClassVar[str] = "what is left outside the subspace, once the subspace is taken out"

    r: int = Field(default=16, ge=1, le=BEAT_SAMPLES - 1, description="number of directions")
    directions: Literal["leading", "random"] = Field(default="leading", description="which directions")
    gain: float = Field(default=1.0, gt=0, le=100, description="factor of the donor's coordinates")

    def fit(self, train: Beats, ctx: Context, clinical: Beats | None = None) -> State:
        """Directions ``subspace`` (200, r), and the donors' coordinates in them, ``coordinates`` (records, r).

        Raises
        ------
        NotComputable
            If fewer than r + 1 people are there to span leading directions, or fewer than r frequencies random ones.
        """
        signal = train.signal.astype(np.float64)
        subspace = self._leading(train, signal) if self.directions == "leading" else self._random(ctx)
        donors = np.stack([signal[train.record == code].mean(axis=0) for code in np.unique(train.record)])
        return {"subspace": np.ascontiguousarray(subspace), "coordinates": donors @ subspace}

    def release(self, state: State, beats: Beats, ctx: Context) -> Release:
        """Beats with the donor's coordinates; the key draws the donor, all equally likely."""
        drawn = self.gain * state["coordinates"][ctx.rng("donor").integers(len(state["coordinates"]))]
        own = beats.signal.astype(np.float64) @ state["subspace"]
        return Release(signal=(beats.signal + (drawn - own) @ state["subspace"].T).astype(np.float32))

    def _leading(self, train: Beats, signal: Array) -> Array:
        assert train.subject is not None  # declared in `learns`
        people = np.unique(train.subject)
        if len(people) <= self.r:
            raise NotComputable(f"{len(people)} people span at most {len(people) - 1} directions, r asks for {self.r}")
        person = np.stack([signal[train.subject == code].mean(axis=0) for code in people])
        leading: Array = np.linalg.svd(person - person.mean(axis=0), full_matrices=False)[2][: self.r].T
        return leading

    def _random(self, ctx: Context) -> Array:
        slow = int((np.fft.rfftfreq(BEAT_SAMPLES, 1 / BEAT_RATE) < BELOW_HZ).sum())
        if self.r > slow:
            raise NotComputable(f"{slow} frequencies lie below {BELOW_HZ} Hz, r asks for {self.r} directions of them")
        spectrum = np.zeros((self.r, BEAT_SAMPLES // 2 + 1), np.complex128)
        drawn = ctx.rng("directions").standard_normal((2, self.r, slow))
        spectrum[:, :slow] = drawn[0] + 1j * drawn[1]
        orthonormal: Array = np.linalg.qr(np.fft.irfft(spectrum, BEAT_SAMPLES, axis=1).T)[0]
        return orthonormal
