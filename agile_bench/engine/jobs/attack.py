"""Artefacts ``attacker`` (what an attacker learnt from its pool) and ``scores`` (probes against the enrolled)."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import Any, cast

import numpy as np

from agile_bench.api import (
    BEAT_SAMPLES,
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
from agile_bench.contract import BrokenContract, check_array, check_state, freeze, only
from agile_bench.engine.curves import told_curves
from agile_bench.engine.jobs.job import Cohort, Job, Result, as_released
from agile_bench.engine.jobs.merit import development_merit
from agile_bench.engine.jobs.protect import ReleaseMaker


class Stage:
    """One attacker's view of one block of a split: hands out roles, original or released, and the oracle."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.block = str(job.spec["block"])
        self.cohort = Cohort.load(job)
        roles = ("gallery", "calibration", "probe", "pool")
        names = [f"{self.block}.{r}{tail}" for r in roles for tail in ("", "_subject")]
        more = [f"{self.block}.{n}" for n in ("fold", "pool_fold", "enrolled", "person")]
        self.split = job.arrays("split", [*names, *more])
        self.attacker = cast(Attacker, job.plugins["attacker"])
        self.chosen = job.store.meta(job.inputs["choice"][0])["front_end"] if job.inputs.get("choice") else ""
        names = (
            [f"candidate.{self.chosen}"]
            if self.chosen
            else sorted(n for n in job.plugins if n.startswith("front-end."))
        )
        self.front_ends = [cast(FrontEnd, job.plugins[name]) for name in names]
        self._handed: list[tuple[Beats, Beats, str, list[State]]] = []
        self._taken: dict[tuple[str, int], Array] = {}

    def beats(self, role: str, released: str | None, reads: frozenset[str], *, known: bool) -> Beats:
        """Beats of a role; `released` names the input that holds their release, None for originals."""
        subject = self.split[f"{self.block}.{role}_subject"] if known else None
        reads = reads.union(*(f.learns | f.reads for f in self.front_ends))
        declared = reads | {"subject"} if known else self.readable(reads)
        beats = self.cohort.hand_out(self.split[f"{self.block}.{role}"], declared, subject)
        if released is not None:
            beats = as_released(beats, self.job.arrays(released))
        if self.attacker.floor:  # it is the floor of what else is kept, so it must not see the beats
            beats = beats.with_signal(freeze({"signal": np.zeros_like(beats.signal)})["signal"])
        self._handed.append((beats, beats, role, []))
        return beats

    def readable(self, reads: frozenset[str]) -> frozenset[str]:
        """What of `reads` a probe shows: its rhythm; to a floor attacker also what it is the floor of."""
        return reads & (frozenset({"rr"}) | self.attacker.floor)

    @property
    def enrolled(self) -> int:
        """People in the gallery."""
        return int(self.split[f"{self.block}.enrolled"])

    def context(self, *label: str | int) -> Context:
        """The attacker's context; where it holds an anonymizer, with the oracle and the instances."""
        if "anonymizer" not in self.job.plugins:
            return self.job.at("attack", *label)

        def oracle(beats: Beats, draw: int) -> Beats:  # a bound method would hand this stage to the attacker
            return self._released_again(beats, draw)

        def recorded(beats: Beats) -> Beats:
            return self._as_recorded(beats)

        return self.job.at("attack", *label, oracle=oracle, recorded=recorded, instances=self._instances)

    @property
    def _instances(self) -> tuple[Instance, ...]:
        plugin = cast(Anonymizer, self.job.plugins["anonymizer"])
        return tuple(Instance(plugin, state) for state in self._states)

    @cached_property
    def _states(self) -> list[State]:
        return self.job.states("instances")

    def _own(self, beats: Beats) -> tuple[Beats, str, list[State]]:
        """What these beats were before front-ends, their role, and the front-ends' states."""
        known = next((h for h in self._handed if h[0].signal is beats.signal), None)
        if known is None or known[2] not in ("pool", "gallery"):
            raise NotComputable("only the pool or the gallery, as they were handed out, can be released again")
        return known[1:]

    def _as_recorded(self, beats: Beats) -> Beats:
        """What is behind `Context.original`."""
        handed, role, front = self._own(beats)
        original = freeze({"signal": self.cohort["signal"][self.split[f"{self.block}.{role}"]]})["signal"]
        passed = self._pass(front, handed.with_signal(original), self._front_end_context("original"))
        return beats.with_signal(passed.signal)

    def _released_again(self, beats: Beats, draw: int) -> Beats:
        """What is behind `Context.release`."""
        handed, role, front = self._own(beats)
        passed = self._pass(front, handed.with_signal(self._draw(role, draw)), self._front_end_context(draw))
        return beats.with_signal(passed.signal)

    def _front_end_context(self, label: str | int) -> Context:
        return self.job.at("attack", "front-end", label, instances=self._instances)

    def _draw(self, role: str, draw: int) -> Array:
        """Released signals of a role, taken once: attackers come back to their few draws in every epoch."""
        plugin = cast(Anonymizer, self.job.plugins["anonymizer"])
        draw = draw if plugin.stochastic else 0
        if (role, draw) not in self._taken:
            maker = ReleaseMaker(plugin, self._states, self.cohort, self.job)
            given = maker.make(self.split, f"{self.block}.{role}", ("attacker", role, draw))
            self._taken[role, draw] = given["signal"]
        return self._taken[role, draw]

    def through(self, states: list[State], beats: Beats, declared: frozenset[str], ctx: Context) -> Beats:
        """Beats behind the front-ends as the attacker gets them; a further release of them will pass there too."""
        passed = only(self._pass(states, beats, ctx), declared)
        role = next((h[2] for h in self._handed if h[0].signal is beats.signal), "probe")
        self._handed.append((passed, beats, role, states))
        return passed

    def _pass(self, states: list[State], beats: Beats, ctx: Context) -> Beats:
        for front_end, state in zip(self.front_ends, states, strict=False):
            beats = _behind(front_end, state, beats, ctx)
        return beats


def _behind(front_end: FrontEnd, state: State, beats: Beats, ctx: Context) -> Beats:
    """The beats with the signal that a front-end makes of them; it sees what it declares, and never the person."""
    passed = front_end.apply(state, only(beats, front_end.reads - {"subject"}), ctx)
    if not isinstance(passed, Beats):
        raise BrokenContract(f"front-end apply returned {type(passed).__name__}, the contract says Beats")
    signal = check_array(passed.signal, (len(beats), BEAT_SAMPLES), "the signal behind the front-end")
    return beats.with_signal(freeze({"signal": signal.astype(np.float32, copy=False)})["signal"])


def attacker(job: Job) -> Result:
    """Let the attacker (and its front-ends before it) learn from its pool."""
    stage = Stage(job)
    released = "pool_release" if job.inputs.get("pool_release") else None
    pool = stage.beats("pool", released, stage.attacker.learns, known=True)
    ctx = stage.context("fit")
    arrays: dict[str, Array] = {}
    states: list[State] = []
    behind = pool
    for number, front_end in enumerate(stage.front_ends):
        states.append(freeze(check_state(front_end.fit(only(behind, front_end.learns), ctx), "front-end fit")))
        arrays |= {f"front-end.{number}/{k}": v for k, v in states[-1].items()}
        behind = _behind(front_end, states[-1], behind, ctx)
        stage._handed.append((behind, pool, "pool", list(states)))
    given = stage.through(states, pool, stage.attacker.learns | {"subject"}, ctx)
    state = check_state(stage.attacker.fit(given, ctx), "fit")
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
    freeze(learnt)
    galleries = {name: _enrol(stage, state, front, name) for name in job.spec["galleries"]}
    held_out = _probe(stage, state, front, "calibration")
    tried = {name: _score(stage, state, enrolled, held_out) for name, enrolled in galleries.items()}
    truth = stage.split[f"{stage.block}.calibration_subject"]

    def merit(gallery: str) -> tuple[float, float]:
        return development_merit(tried[gallery]["scores"], truth, held_out.record, stage.attacker.unit)

    chosen = max(tried, key=merit)
    probes = _probe(stage, state, front, "probe")
    out = _score(stage, state, galleries[chosen], probes) | _truth(stage, probes, "probe")
    of_held_out = tried[chosen] | _truth(stage, held_out, "calibration")
    out |= {f"calibration_{k}": v for k, v in of_held_out.items()}
    out["person"] = stage.split[f"{stage.block}.person"]
    return out, {"gallery": chosen, "enrolled": stage.enrolled, "unit": stage.attacker.unit} | _told(stage, state)


def _truth(stage: Stage, beats: Beats, role: str) -> dict[str, Array]:
    """Whose the rows are: from here on figures need neither the split nor the recordings."""
    return {"subject": stage.split[f"{stage.block}.{role}_subject"].astype(np.int32), "record": beats.record}


def _told(stage: Stage, state: State) -> dict[str, Any]:
    """How well the attacker learnt its pool, if it says, and what a release of the probes was found to keep."""
    told: dict[str, Any] = {k: float(state[k]) for k in ("train_accuracy", "train_chance") if k in state}
    told |= told_curves(state)
    if stage.chosen:
        told["front_end"] = stage.chosen
    for address in stage.job.inputs.get("probe_release", ()):
        told |= {"kept": stage.job.store.meta(address).get("kept", {})}
    return told


def _enrol(stage: Stage, state: State, front: list[State], source: str) -> State:
    released = None if source == "original" else "gallery_release"
    gallery = stage.beats("gallery", released, stage.attacker.learns, known=True)
    ctx = stage.context("enrol", source)
    gallery = stage.through(front, gallery, stage.attacker.learns | {"subject"}, ctx)
    if stage.job.spec["permuted"]:
        # beat by beat, so that every column is a mix of people and nobody can be recognised by honest means
        assert gallery.subject is not None
        mixed = stage.job.at("control", "permuted").rng("labels").permutation(gallery.subject)
        gallery = replace(gallery, subject=freeze({"subject": mixed})["subject"])
    return freeze(check_state(stage.attacker.enrol(state, gallery, ctx), "enrol"))


def _probe(stage: Stage, state: State, front: list[State], role: str) -> Beats:
    released = f"{role}_release" if stage.job.inputs.get(f"{role}_release") else None
    beats = stage.beats(role, released, stage.attacker.reads, known=False)
    return stage.through(front, beats, stage.readable(stage.attacker.reads), stage.context("front-end", role))


def _score(stage: Stage, state: State, enrolled: State, probes: Beats) -> dict[str, Array]:
    plugin, k = stage.attacker, stage.enrolled
    ctx = stage.context("score")
    n_records = int(probes.record.max()) + 1 if len(probes) else 0
    rows = len(probes) if plugin.unit == "beat" else n_records
    given = check_array(plugin.score(state, enrolled, probes, ctx), (rows, k), "score", lost_allowed=True)
    out = {"scores": given}
    if plugin.reduce == "mean-embedding" and plugin.unit == "beat":
        embedded = plugin.embed(state, probes, ctx)
        mean = np.stack([embedded[probes.record == r].mean(axis=0) for r in range(n_records)])
        given = plugin.score_embeddings(enrolled, mean)
        out["record_scores"] = check_array(given, (n_records, k), "score_embeddings", lost_allowed=True)
    return out
