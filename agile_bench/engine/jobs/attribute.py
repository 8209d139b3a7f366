"""Artefacts ``attribute-fit`` (what an attacker of sex or age learnt) and ``guesses`` (what it says of the probes)."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import numpy as np

from agile_bench.api import BEAT_SAMPLES, Array, AttributeAttacker, Beats, FrontEnd, NotComputable, State
from agile_bench.contract import BrokenContract, check_array, check_state, freeze, only
from agile_bench.engine.jobs.folding import known, too_few
from agile_bench.engine.jobs.job import Cohort, Job, Result, as_released

READABLE = frozenset({"rr"})
"""What of a probe can be read besides its beats."""


class Stage:
    """One attacker's view of one fold: hands out pool and probes, original or released, behind its front-ends."""

    def __init__(self, job: Job) -> None:
        self.job, self.fold = job, str(job.spec["fold"])
        self.cohort = Cohort.load(job)
        roles = [f"{self.fold}.{role}{tail}" for role in ("pool", "probe") for tail in ("", "_subject")]
        self.split = job.arrays("split", roles)
        self.attacker = cast(AttributeAttacker, job.plugins["attacker"])
        self.front_ends = [cast(FrontEnd, job.plugins[n]) for n in sorted(job.plugins) if n.startswith("front-end.")]

    def rows(self, role: str) -> Array:
        """Which rows of a role are of people whose target is known, (n,) bool."""
        return known(self.attacker.target, self.cohort, self.split[f"{self.fold}.{role}"])

    def beats(self, role: str, declared: frozenset[str]) -> Beats:
        """Beats of the people of a role whose target is known, as released where the job says so."""
        kept = self.rows(role)
        subject = self.split[f"{self.fold}.{role}_subject"][kept]
        beats = self.cohort.hand_out(self.split[f"{self.fold}.{role}"][kept], declared, subject)
        if not self.job.inputs.get(f"{role}_release"):
            return beats
        given = self.job.arrays(f"{role}_release")
        return as_released(beats, freeze({name: values[kept] for name, values in given.items()}))

    def shown(self, plugin: AttributeAttacker | FrontEnd) -> frozenset[str]:
        """What a plugin may read of a probe."""
        return plugin.reads & READABLE

    def behind(self, number: int, state: State, beats: Beats) -> Beats:
        """The beats behind one front-end, which sees of the pool no more than of a probe."""
        front_end = self.front_ends[number]
        ctx = self.job.at("attribute", "front-end", number)
        passed = front_end.apply(state, only(beats, self.shown(front_end)), ctx)
        if not isinstance(passed, Beats):
            raise BrokenContract(f"front-end apply returned {type(passed).__name__}, the contract says Beats")
        signal = check_array(passed.signal, (len(beats), BEAT_SAMPLES), "the signal behind the front-end")
        return beats.with_signal(freeze({"signal": signal.astype(np.float32, copy=False)})["signal"])

    def guess(self, state: State, beats: Beats) -> Array:
        """What the attacker says of every beat, (n,)."""
        given = self.attacker.predict(
            state, only(beats, self.shown(self.attacker)), self.job.at("attribute", "predict")
        )
        found = check_array(given, (len(beats),), "predict").astype(np.float64)
        if self.attacker.target == "sex" and len(found) and not 0 <= found.min() <= found.max() <= 1:
            raise BrokenContract("predict gave a probability outside of [0, 1]")
        return found


def attribute_fit(job: Job) -> Result:
    """Let the attacker, and its front-ends before it, learn from its pool; what it then says of the pool is kept too.

    Raises
    ------
    NotComputable
        If the people of the dataset cannot support a claim about the target.
    """
    stage = Stage(job)
    plugin, target = stage.attacker, stage.attacker.target
    if lacking := too_few(target, stage.cohort):
        raise NotComputable(lacking)
    needed = frozenset({target, "subject"}).union(
        plugin.learns, stage.shown(plugin), *(f.learns | stage.shown(f) for f in stage.front_ends)
    )
    pool = stage.beats("pool", needed)
    if job.spec["permuted"]:
        pool = _permuted(pool, target, job)
    arrays: dict[str, Array] = {}
    ctx = job.at("attribute", "fit")
    for number, front_end in enumerate(stage.front_ends):
        front = freeze(check_state(front_end.fit(only(pool, front_end.learns), ctx), "front-end fit"))
        arrays |= {f"front-end.{number}/{k}": v for k, v in front.items()}
        pool = stage.behind(number, front, pool)
    state = freeze(check_state(plugin.fit(only(pool, plugin.learns), ctx), "fit"))
    arrays |= {f"attacker/{k}": v for k, v in state.items()}
    of_pool = {"pool_guess": stage.guess(state, pool), "pool_truth": _truth(pool, target)}
    return arrays | of_pool | {"pool_person": _of_people(pool), "pool_record": pool.record}, {}


def guesses(job: Job) -> Result:
    """What the attacker says of every probe beat, beside the truth; people are told by an opaque code."""
    stage = Stage(job)
    learnt = freeze(job.arrays("attacker"))
    target = stage.attacker.target
    probes = stage.beats("probe", frozenset({target}).union(*(stage.shown(p) for p in _plugins(stage))))
    truth = _truth(probes, target)
    for number in range(len(stage.front_ends)):
        probes = stage.behind(number, _part(learnt, f"front-end.{number}/"), probes)
    rows = stage.split[f"{stage.fold}.probe"][stage.rows("probe")]
    found = {
        "guess": stage.guess(_part(learnt, "attacker/"), probes),
        "truth": truth,
        "record": probes.record,
        "person": np.searchsorted(np.unique(stage.cohort["subject"]), stage.cohort["subject"][rows]).astype(np.int32),
    }
    return found | {name: values for name, values in learnt.items() if name.startswith("pool_")}, {}


def _plugins(stage: Stage) -> list[AttributeAttacker | FrontEnd]:
    return [stage.attacker, *stage.front_ends]


def _part(arrays: dict[str, Array], prefix: str) -> State:
    return {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}


def _truth(beats: Beats, target: str) -> Array:
    values = beats.sex if target == "sex" else beats.age
    assert values is not None  # asked for in the fields handed out
    return values.astype(np.float64)


def _of_people(beats: Beats) -> Array:
    assert beats.subject is not None  # a pool always carries it
    return beats.subject


def _permuted(pool: Beats, target: str, job: Job) -> Beats:
    """The pool with its targets dealt out anew, one to a person and in each fold otherwise."""
    _, first, who = np.unique(_of_people(pool), return_index=True, return_inverse=True)
    values = pool.sex if target == "sex" else pool.age
    assert values is not None  # asked for in the fields handed out
    dealt = job.at("control", "permuted", job.spec["fold"]).rng("targets").permutation(values[first])
    return replace(pool, **freeze({target: dealt[who.reshape(-1)]}))
