"""Without the directions in which the anonymizer works."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from agile_bench.api import BEAT_SAMPLES, Array, Beats, Context, FrontEnd, Instance, NotComputable, State
from agile_bench.nn.mean_beats import mean_beats

SAME = 1e-6
"""Share of the largest singular value below which two spanning vectors are taken for one."""
LEAST = 1e-12
"""Energy about a record's mean beat, mV squared, below which there is none."""


class ProjectOut(FrontEnd):
    """Take the anonymizer's own subspace out of every beat: what was put there hides nothing that is left outside.

    Noise, a donor or nothing at all in a known subspace all come to the same: the person is sought in the rest. Of
    several instances each record loses the subspace of the one that wrote on it: there the record's beats differ from
    each other more, or less, than beats do as they are recorded. Records of one beat lose the union of all subspaces.
    """

    exploits: ClassVar[str] = "subspace"
    source: ClassVar[str] = "nuisance attribute projection, Solomonoff, Campbell and Boardman 2005"

    def fit(self, pool: Beats, ctx: Context) -> State:
        """Orthonormal bases of what is taken out: ``basis`` (200, r) of all, ``basis.0``, ... of each instance.

        With several instances, ``usual`` (instances,) says how much the beats of a record differ in each subspace; it
        is left out where no record of the pool has several beats.

        Raises
        ------
        NotComputable
            Without an anonymizer, where it exposes no subspace, and where its subspace is all there is.
        """
        if not ctx.instances:
            raise NotComputable("the attacker has no anonymizer at this level of knowledge")
        spanning = [np.hstack(columns) for instance in ctx.instances if (columns := _exposed(instance))]
        if not spanning:
            raise NotComputable("the anonymizer exposes no subspace that could be taken out")
        state = {"basis": _basis(np.hstack(spanning))}
        if state["basis"].shape[1] == BEAT_SAMPLES:
            raise NotComputable("the exposed subspace is the whole beat: nothing is left outside it")
        if len(spanning) == 1:
            return state
        state |= {f"basis.{number}": _basis(vectors) for number, vectors in enumerate(spanning)}
        recorded = ctx.original(pool)
        _, differing = _differing(state, recorded)
        known = differing[np.isfinite(differing).all(axis=1)]
        return state | ({"usual": known.mean(axis=0)} if len(known) else {})

    def apply(self, state: State, beats: Beats, ctx: Context) -> Beats:
        """Each beat without its part in the subspace."""
        signal = beats.signal.astype(np.float64)
        chosen = _chosen(state, beats)
        for name in np.unique(chosen):
            rows = chosen == name
            signal[rows] -= (signal[rows] @ state[name]) @ state[name].T
        return beats.with_signal(signal.astype(np.float32))


def _chosen(state: State, beats: Beats) -> Array:
    """Name of the basis that each beat loses, (n,) str."""
    if "usual" not in state or not len(beats):
        return np.full(len(beats), "basis")
    code, differing = _differing(state, beats)
    unusual = np.abs(differing - state["usual"])
    known = np.isfinite(unusual).all(axis=1)
    names = np.array([f"basis.{number}" for number in range(unusual.shape[1])])
    of_record: Array = np.where(known, names[np.where(known[:, None], unusual, 0.0).argmax(axis=1)], "basis")
    return of_record[code]


def _differing(state: State, beats: Beats) -> tuple[Array, Array]:
    """Record of each beat, (n,), and how its beats differ in each instance's subspace, (records, instances).

    Told is the logarithm of their energy about the record's mean inside the subspace over that outside; nan for records
    of one beat.
    """
    means, _, code = mean_beats(beats)
    deviation = beats.signal - means[code]
    total = np.bincount(code, (deviation**2).sum(axis=1))
    found = np.full((len(means), sum(name.startswith("basis.") for name in state)), np.nan)
    several = np.bincount(code) > 1
    for number in range(found.shape[1]):
        inside = np.bincount(code, ((deviation @ state[f"basis.{number}"]) ** 2).sum(axis=1))
        outside = total - inside
        found[several, number] = (np.log(np.maximum(inside, LEAST)) - np.log(np.maximum(outside, LEAST)))[several]
    return code, found


def _basis(vectors: Array) -> Array:
    """Orthonormal basis (200, r) of what columns span."""
    columns, size, _ = np.linalg.svd(vectors, full_matrices=False)
    return np.ascontiguousarray(columns[:, size > SAME * size.max(initial=0.0)])


def _exposed(instance: Instance) -> list[Array]:
    return [_as_columns(instance.state[name]) for name in instance.plugin.exposes.get("subspace", ())]


def _as_columns(array: Array) -> Array:
    """Spanning vectors as columns (200, r), from columns, rows or a single vector; each at its own size."""
    vectors = np.atleast_2d(array).astype(np.float64)
    if vectors.shape[0] != BEAT_SAMPLES:
        vectors = vectors.T
    if vectors.ndim != 2 or vectors.shape[0] != BEAT_SAMPLES:
        raise ValueError(f"an exposed subspace has the shape {array.shape}, neither (200, r) nor (r, 200)")
    return vectors
