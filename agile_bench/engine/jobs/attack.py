"""Artefacts ``attacker`` (what an attacker learnt from its pool) and ``scores`` (probes against the enrolled)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import cast

import numpy as np

from agile_bench.api import (
    Anonymizer,
    Array,
    Attacker,
    Beats,
    Context,
    FrontEnd,
    Instance,
    NotComputable,
    State,
)
from agile_bench.contract import BrokenContract, check_array, check_state
from agile_bench.engine.jobs.job import Cohort, Job, Result
from agile_bench.engine.jobs.protect import ReleaseMaker


class Stage:
    """One attacker's view of one block of a split: hands out roles, original or released, and the oracle."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.block = str(job.spec["block"])
        self.cohort = Cohort.load(job)
        roles = ("gallery", "calibration", "probe", "pool")
        names = [f"{self.block}.{r}{tail}" for r in roles for tail in ("", "_subject")]
        self.split = job.arrays("split", [*names, f"{self.block}.fold", f"{self.block}.pool_fold"])
        self.attacker = cast(Attacker, job.plugins["attacker"])
        self.front_ends = [cast(FrontEnd, v) for k, v in sorted(job.plugins.items()) if k.startswith("front-end.")]
        self._handed: list[tuple[Beats, str]] = []

    def beats(self, role: str, released: str | None, reads: frozenset[str], *, known: bool) -> Beats:
        """Beats of a role; `released` names the input that holds their release, None for originals."""
        subject = self.split[f"{self.block}.{role}_subject"] if known else None
        declared = reads | {"subject"} if known else reads - {"subject"}
        beats = self.cohort.hand_out(self.split[f"{self.block}.{role}"], declared, subject)
        if released is not None:
            given = self.job.arrays(released)
            for array in given.values():
                array.flags.writeable = False
            beats = beats.with_signal(given["signal"])
            if beats.rr_before is not None and "rr_before" in given:
                beats = replace(beats, rr_before=given["rr_before"], rr_after=given["rr_after"])
        self._handed.append((beats, role))
        return beats

    def context(self, *label: str | int) -> Context:
        """The attacker's context; where it holds an anonymizer, with the oracle and the instances."""
        if "anonymizer" not in self.job.plugins:
            return self.job.at("attack", *label)
        plugin = cast(Anonymizer, self.job.plugins["anonymizer"])
        states = self.job.states("instances")
        instances = tuple(Instance(plugin, state) for state in states)
        return self.job.at("attack", *label, oracle=self._oracle(plugin, states), instances=instances)

    def _oracle(self, plugin: Anonymizer, states: list[State]) -> Callable[[Beats, int], Beats]:
        maker = ReleaseMaker(plugin, states, self.cohort, self.job)

        def draw_release(beats: Beats, draw: int) -> Beats:
            role = next((r for handed, r in self._handed if handed.signal is beats.signal), None)
            if role not in ("pool", "gallery"):
                raise NotComputable("only the pool or the gallery, as they were handed out, can be released again")
            subject = self.split[f"{self.block}.{role}_subject"]
            fold = self.split[f"{self.block}.{'pool_fold' if role == 'pool' else 'fold'}"]
            rows = self.split[f"{self.block}.{role}"]
            folds = fold[subject] if len(states) > 1 else 0 * rows
            given = maker.make(rows, folds, subject, ("attacker", role, draw))
            return beats.with_signal(given["signal"])

        return draw_release

    def through(self, states: list[State], beats: Beats, ctx: Context) -> Beats:
        """Beats behind the front-ends."""
        for front_end, state in zip(self.front_ends, states, strict=True):
            passed = front_end.apply(state, beats, ctx)
            if len(passed) != len(beats):
                raise BrokenContract("a front-end returned another number of beats")
            beats = passed
        return beats


def attacker(job: Job) -> Result:
    """Let the attacker (and its front-ends before it) learn from its pool."""
    stage = Stage(job)
    learns = frozenset().union(stage.attacker.learns, *(f.learns for f in stage.front_ends))
    released = "pool_release" if job.inputs.get("pool_release") else None
    pool = stage.beats("pool", released, learns, known=True)
    ctx = stage.context("fit")
    arrays: dict[str, Array] = {}
    for number, front_end in enumerate(stage.front_ends):
        state = check_state(front_end.fit(pool, ctx), "front-end fit")
        arrays |= {f"front-end.{number}/{k}": v for k, v in state.items()}
        pool = front_end.apply(state, pool, ctx)
    state = check_state(stage.attacker.fit(pool, ctx), "fit")
    return arrays | {f"attacker/{k}": v for k, v in state.items()}, {}


def scores(job: Job) -> Result:
    """Enrol the gallery and score the probes, and the held-out enrolment beats (calibration) in the same way.

    Of several galleries the attacker takes the one on which the calibration beats are recognised best.
    """
    stage = Stage(job)
    learnt = job.arrays("attacker")
    state = {k.removeprefix("attacker/"): v for k, v in learnt.items() if k.startswith("attacker/")}
    front = [
        {k.removeprefix(f"front-end.{i}/"): v for k, v in learnt.items() if k.startswith(f"front-end.{i}/")}
        for i in range(len(stage.front_ends))
    ]
    for array in learnt.values():
        array.flags.writeable = False
    galleries = {name: _enrol(stage, state, front, name) for name in job.spec["galleries"]}
    held_out = _probe(stage, state, front, "calibration")
    tried = {name: _score(stage, state, enrolled, held_out) for name, enrolled in galleries.items()}
    truth = stage.split[f"{stage.block}.calibration_subject"]
    chosen = max(tried, key=lambda name: _development_merit(stage, tried[name], held_out, truth))
    probes = _probe(stage, state, front, "probe")
    out = _score(stage, state, galleries[chosen], probes)
    out |= {f"calibration_{k}": v for k, v in tried[chosen].items()}
    return out, {"gallery": chosen}


def _enrol(stage: Stage, state: State, front: list[State], source: str) -> State:
    released = None if source == "original" else "gallery_release"
    gallery = stage.beats("gallery", released, stage.attacker.learns, known=True)
    ctx = stage.context("enrol", source)
    gallery = stage.through(front, gallery, ctx)
    if stage.job.spec["control"] == "permuted":
        # beat by beat, so that every column is a mix of people and nobody can be recognised by honest means
        assert gallery.subject is not None
        mixed = stage.job.at("control", "permuted").rng("labels").permutation(gallery.subject)
        gallery = replace(gallery, subject=mixed)
    return check_state(stage.attacker.enrol(state, gallery, ctx), "enrol")


def _probe(stage: Stage, state: State, front: list[State], role: str) -> Beats:
    released = f"{role}_release" if stage.job.inputs.get(f"{role}_release") else None
    beats = stage.beats(role, released, stage.attacker.reads, known=False)
    return stage.through(front, beats, stage.context("front-end", role))


def _score(stage: Stage, state: State, enrolled: State, probes: Beats) -> dict[str, Array]:
    plugin, k = stage.attacker, len(stage.split[f"{stage.block}.fold"])
    ctx = stage.context("score")
    n_records = int(probes.record.max()) + 1 if len(probes) else 0
    rows = len(probes) if plugin.unit == "beat" else n_records
    given = check_array(plugin.score(state, enrolled, probes, ctx), (rows, k), "score")
    out = {"scores": given}
    if plugin.reduce == "mean-embedding" and plugin.unit == "beat":
        embedded = plugin.embed(state, probes, ctx)
        mean = np.stack([embedded[probes.record == r].mean(axis=0) for r in range(n_records)])
        out["record_scores"] = check_array(plugin.score_embeddings(enrolled, mean), (n_records, k), "score_embeddings")
    return out


def _development_merit(stage: Stage, given: dict[str, Array], beats: Beats, truth: Array) -> tuple[float, float]:
    """Share of held-out enrolment beats recognised, then their margin: what the attacker can tell without a probe."""
    if stage.attacker.unit == "record":
        _, first = np.unique(beats.record, return_index=True)
        truth = truth[first]
    matrix = given["scores"].astype(np.float64)
    if matrix.shape[1] < 2 or len(matrix) == 0:
        return 0.0, 0.0
    mate = matrix[np.arange(len(matrix)), truth]
    rivals = matrix.copy()
    rivals[np.arange(len(matrix)), truth] = -np.inf
    spread = float(matrix.std()) or 1.0
    return float(np.mean(mate > rivals.max(axis=1))), float(np.mean(mate - rivals.max(axis=1))) / spread
