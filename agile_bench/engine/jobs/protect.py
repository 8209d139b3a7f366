"""Artefacts ``fitted`` and ``release``: an anonymizer learns, and gives out one role's beats, record by record."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import cast

import numpy as np

from agile_bench.api import Anonymizer, Array, Context, State
from agile_bench.contract import BrokenContract, check_release, check_state
from agile_bench.engine.jobs.job import Cohort, Job, Result
from agile_bench.signals.digitise import digitise


def fitted(job: Job) -> Result:
    """Fit the anonymizer on the rows that the spec names."""
    plugin = cast(Anonymizer, job.plugins["anonymizer"])
    cohort = Cohort.load(job)
    rows = job.arrays("split", [job.spec["rows"]])[job.spec["rows"]]
    subject = _opaque(cohort["subject"][rows], job)
    train = cohort.hand_out(rows, plugin.learns, subject)
    clinical = None
    if job.inputs.get("clinical"):
        other = Cohort.load(job, "clinical")
        clinical = other.hand_out(job.arrays("clinical", ["train"])["train"], plugin.learns | {"label"})
    state = plugin.fit(train, job.at("fit", job.spec["who"], job.spec["rows"]), clinical)
    return dict(check_state(state, "fit")), {}


def _opaque(subject: Array, job: Job) -> Array:
    people, inverse = np.unique(subject, return_inverse=True)
    order = job.at("fit", "codes").rng("codes").permutation(len(people))
    renamed: Array = order[inverse.reshape(-1)]
    return renamed


def release(job: Job) -> Result:
    """Release the beats of one role; the input rows keep their order."""
    plugin = cast(Anonymizer, job.plugins["anonymizer"])
    role, key = job.spec["role"], job.spec["key"]
    cohort = Cohort.load(job)
    block = role.partition(".")[0]
    names = {"rows": role, "subject": f"{role}_subject", "fold": f"{block}.fold"}
    if role.endswith(".pool"):
        names["fold"] = f"{block}.pool_fold"
    split = job.arrays("split", sorted(names.values()) if "." in role else [role])
    rows = split[names["rows"]]
    subject = split.get(names["subject"])
    folds = split[names["fold"]][subject] if subject is not None and len(job.inputs["fitted"]) > 1 else 0 * rows
    maker = ReleaseMaker(plugin, job.states("fitted"), cohort, job)
    return maker.make(rows, folds, subject, (role.rpartition(".")[2], key)), {}


class ReleaseMaker:
    """Releases rows of a cohort, one record a call, and checks every promise of the contract.

    Parameters
    ----------
    plugin : Anonymizer
    states : list of State
        One per instance; `folds` chooses among them.
    cohort : Cohort
    job : Job
    """

    def __init__(self, plugin: Anonymizer, states: list[State], cohort: Cohort, job: Job) -> None:
        self.plugin, self.states, self.cohort, self.job = plugin, states, cohort, job

    def make(self, rows: Array, folds: Array, subject: Array | None, label: tuple[str | int, ...]) -> dict[str, Array]:
        """Signals (n, 200) of the rows, and their RR intervals where the method gives new ones."""
        parts: list[dict[str, Array]] = []
        stretches = list(_records(self.cohort["record"][rows]))
        for number, stretch in enumerate(stretches):
            mine = rows[stretch]
            record = self.cohort.ids[int(self.cohort["record"][mine[0]])]
            codes = subject[stretch] if subject is not None else None
            ctx = self.job.at("release", *label, record)
            state = self.states[int(folds[stretch][0])]
            part = self._one(state, mine, codes, ctx)
            if number == 0 and self._one(state, mine, codes, ctx)["signal"].tobytes() != part["signal"].tobytes():
                raise BrokenContract("release gave other bytes for the same key: its randomness must come from ctx")
            parts.append(part)
            self.job.report(number + 1, len(stretches))
        if len({tuple(sorted(p)) for p in parts}) > 1:
            raise BrokenContract("release gives new RR intervals for some records only")
        return {k: np.concatenate([p[k] for p in parts]) for k in parts[0]}

    def _one(self, state: State, rows: Array, codes: Array | None, ctx: Context) -> dict[str, Array]:
        beats = self.cohort.hand_out(rows, self.plugin.reads, codes if "subject" in self.plugin.reads else None)
        given = check_release(self.plugin.release(state, beats, ctx), len(beats))
        if "picture" in given:
            given["signal"] = digitise(given.pop("picture"))
        return given


def _records(codes: Array) -> Iterator[slice]:
    """Stretches of consecutive rows of one record."""
    edges = np.flatnonzero(np.diff(codes)) + 1
    starts = np.concatenate(([0], edges, [len(codes)]))
    for start, stop in pairwise(starts):
        yield slice(int(start), int(stop))
