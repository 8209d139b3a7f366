"""Take away what the anonymizer added, by computing the release anew at an estimate of the beat."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import ClassVar

import numpy as np

from agile_bench.api import Array, Beats, Context, Field, FrontEnd, Instance, NotComputable, State
from agile_bench.nn.beats import FLAT

SAMPLE = 4
"""Records of the pool by which it is told whether releases can be solved at all: a network's are dear to compute."""
MEMORY = 5
"""Steps that the next one is combined from."""
SOLVED = 0.1
"""Most that may be left between a release and that of an estimate, as a share of the energy that is taken away."""
DONE_MV = 5e-5
"""RMS below which nothing is left but rounding: half a step of the grid of released beats."""
LEAST = 1e-3
"""Share of the mean variance of a sample of the pool's beats below which a direction says nothing."""
BOUND_MV = 1e3
"""No estimate goes beyond, on the way neither: one that runs away would overflow."""


class Subtract(FrontEnd):
    """Solve release(x) = y for the beats x of a record, where the release is a known function of them.

    The estimate x is moved by what its own release misses of y: what is subtracted from y is the perturbation computed
    at x, over and over. Anderson's combination of the last steps finds the solution of affine releases (a mix with one
    donor, a filter, a scramble) in a few. Where several instances explain a record, the beats that look most like the
    pool's are taken; where none does it stays as it is, but for the wave that all changes of the pool have in common.

    A release that draws anew for every key cannot be solved: only that wave is subtracted. A perturbation made of the
    signs of a network's gradient can be solved where it is so small that the signs are the same on the release.
    """

    source: ClassVar[str] = "Van Cittert 1931, fixed point; Anderson 1965, its acceleration"

    steps: int = Field(default=12, ge=1, le=100, description="most times that a record's release is computed anew")

    def fit(self, pool: Beats, ctx: Context) -> State:
        """The common ``wave`` (200,), mV; ``mean`` (200,) and ``white`` (200, 200) of the pool's beats as recorded.

        ``solves`` () tells whether any of a sample of the pool could be solved.

        Raises
        ------
        NotComputable
            Without an anonymizer.
        """
        if not ctx.instances:
            raise NotComputable("the attacker has no anonymizer at this level of knowledge")
        original = ctx.original(pool).signal.astype(np.float64)
        state = {"wave": _common(pool.signal - original, pool.record)} | _looks(original)
        records = np.unique(pool.record)
        sample = records[:: -(-len(records) // SAMPLE)]
        some = pool.take(np.isin(pool.record, sample))
        solved = any(found is not None for _, found in self._each(state, some, ctx))
        return state | {"solves": np.array(solved)}

    def apply(self, state: State, beats: Beats, ctx: Context) -> Beats:
        """Each record solved, or without the common wave."""
        signal = beats.signal - state["wave"]
        if state["solves"]:
            for rows, found in self._each(state, beats, ctx):
                if found is not None:
                    signal[rows] = found
        return beats.with_signal(signal.astype(np.float32))

    def _each(self, state: State, beats: Beats, ctx: Context) -> Iterator[tuple[Array, Array | None]]:
        """Rows of every record, and its beats as an instance explains them; None where none does."""
        known = [i for i in ctx.instances if not i.plugin.stochastic and not i.plugin.reads]
        for code in np.unique(beats.record) if known else ():
            rows = np.flatnonzero(beats.record == code)
            given = beats.signal[rows].astype(np.float64)
            record = np.zeros(len(rows), np.int32)
            found = [_solve(partial(_release, i, record, ctx), given, given - state["wave"], self.steps) for i in known]
            explained = [x for x, left in found if _is_small(left, given, x)]
            odd = [float(np.square((x - state["mean"]) @ state["white"]).sum()) for x in explained]
            yield rows, explained[int(np.argmin(odd))] if explained else None


def _is_small(left: float, given: Array, found: Array) -> bool:
    """Whether what is left (mV squared) is little of what was taken from the beats, or no more than rounding."""
    return bool(left <= max(SOLVED * np.square(given - found).sum(), given.size * DONE_MV**2))


def _looks(signal: Array) -> State:
    """Mean beat, and the matrix after which deviations from it are as large in all directions."""
    mean = signal.mean(axis=0)
    variance, directions = np.linalg.eigh((signal - mean).T @ (signal - mean) / len(signal))
    least = max(LEAST * float(variance.mean()), FLAT**2)
    return {"mean": mean, "white": directions / np.sqrt(np.maximum(variance, 0) + least)}


def _common(change: Array, record: Array) -> Array:
    """The mean change (200,), mV, at the weight that suits other records: 0 where two halves have nothing in common.

    The product of two halves' means is what they share; of the square of the whole mean, the rest is chance.
    """
    codes = np.unique(record)
    if len(codes) < 2:
        return np.zeros(change.shape[1])
    mean = change.mean(axis=0)
    first, second = (change[np.isin(record, codes[start::2])].mean(axis=0) for start in (0, 1))
    size = float(mean @ mean)
    weight = np.clip(first @ second / size, 0.0, 1.0) if size > 0 else 0.0
    wave: Array = weight * mean
    return wave


def _release(instance: Instance, record: Array, ctx: Context, signal: Array) -> Array:
    """What an instance makes of the beats of one record, (n, 200) float64, mV."""
    from agile_bench.signals.digitise import digitise

    given = instance.plugin.release(instance.state, Beats(signal=signal.astype(np.float32), record=record), ctx)
    released = given.signal if given.picture is None else digitise(given.picture)
    assert released is not None  # one of both, as the contract has it
    return released.astype(np.float64)


def _solve(release: Callable[[Array], Array], given: Array, start: Array, steps: int) -> tuple[Array, float]:
    """The best of some estimates of what was released as `given`, and the energy that its own release misses.

    Parameters
    ----------
    release : callable
        From beats (n, 200) to their release, mV.
    given, start : (n, 200) float64 arrays
    steps : int
        Releases that are computed at most.

    Returns
    -------
    (n, 200) float64 array
    float
        mV squared.
    """
    x = best = start
    least = np.inf
    moves: list[tuple[Array, Array]] = []
    before: tuple[Array, Array] | None = None
    for _ in range(steps):
        missed = given - release(x)
        left = float(np.square(missed).sum())
        if left < least:
            best, least = x, left
        if least <= given.size * DONE_MV**2:
            break
        if before is not None:
            moves = [*moves[1 - MEMORY :], (x - before[0], missed - before[1])]
        before = x, missed
        x = np.clip(x + _step(missed, moves), -BOUND_MV, BOUND_MV)
    return best, least


def _step(missed: Array, moves: list[tuple[Array, Array]]) -> Array:
    """Where to go next: by what is missed, after the combination of earlier moves that leaves least of it."""
    if not moves:
        return missed
    changes = np.stack([change.ravel() for _, change in moves], axis=1)
    weights = np.linalg.lstsq(changes, missed.ravel(), rcond=1e-8)[0]
    step = missed.copy()
    for weight, (move, change) in zip(weights, moves, strict=True):
        step -= weight * (move + change)
    return step
