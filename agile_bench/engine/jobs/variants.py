"""Artefact ``variant``: a role's beats as a control shows them, some made from an anonymizer's release."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from agile_bench.api import Array
from agile_bench.engine.jobs.job import Cohort, Job, Result, resolved
from agile_bench.protocols import controls

Shown = dict[str, Array]

SPIKED_NOISE_MV = 0.05
"""RMS of fresh noise in which a spike has to be found; among beats that are all equal the least one would stand out."""
STEADY_RR = 0.8
"""Seconds between the beats of somebody who is nobody."""


def variant(job: Job) -> Result:
    """The beats of one role, and their RR intervals where these are not the original ones."""
    cohort, role = Cohort.load(job), job.spec["role"]
    rows = job.arrays("split", [role])[role]
    released = job.arrays("release") if job.inputs.get("release") else {}
    shown = VARIANTS[job.spec["control"]](job, cohort, rows, released)
    return shown | {"signal": resolved(np.ascontiguousarray(shown["signal"], np.float32))}, {}


def _constant(job: Job, cohort: Cohort, rows: Array, released: Shown) -> Shown:
    return {"signal": controls.constant(len(rows))} | _steady(len(rows))


def _steady(n: int) -> Shown:
    return {name: np.full(n, STEADY_RR, np.float32) for name in ("rr_before", "rr_after")}


def _scramble(job: Job, cohort: Cohort, rows: Array, released: Shown) -> Shown:
    return {"signal": controls.scramble(cohort["signal"][rows])}


def _pseudo_identities(job: Job, cohort: Cohort, rows: Array, released: Shown) -> Shown:
    gallery = f"{job.spec['role'].partition('.')[0]}.gallery"
    people = np.unique(cohort["subject"][job.arrays("split", [gallery])[gallery]])
    other = dict(zip(people.tolist(), controls.stand_ins(people, job.at("stand-ins")).tolist(), strict=True))
    person = cohort["subject"][rows]
    other |= {p: p for p in person.tolist() if p not in other}  # somebody who is not enrolled has no part in it
    shown = controls.swapped(rows, person, cohort["record"][rows], other)
    return {name: cohort[name][shown] for name in ("signal", "rr_before", "rr_after")}


def _matched_noise(job: Job, cohort: Cohort, rows: Array, released: Shown) -> Shown:
    record = cohort["record"][rows]

    def rng_of(code: int) -> np.random.Generator:
        return job.at("matched-noise", job.spec["role"], job.spec["key"], cohort.ids[code]).rng("noise")

    signal = controls.matched_noise(cohort["signal"][rows], released["signal"], record, rng_of)
    return released | {"signal": signal}


def _dose(job: Job, cohort: Cohort, rows: Array, released: Shown) -> Shown:
    amount = job.spec["amount"]
    signal = controls.blend(cohort["signal"][rows], released["signal"], amount)
    return (released if amount > 0 else {}) | {"signal": signal}


def _perturbation_only(job: Job, cohort: Cohort, rows: Array, released: Shown) -> Shown:
    return {"signal": controls.perturbation(cohort["signal"][rows], released["signal"])} | _steady(len(rows))


def _spike(job: Job, cohort: Cohort, rows: Array, released: Shown) -> Shown:
    beats = controls.constant(len(rows))
    for code in np.unique(cohort["record"][rows]):
        mine = cohort["record"][rows] == code
        rng = job.at("spike", job.spec["role"], job.spec["key"], cohort.ids[int(code)]).rng("noise")
        beats[mine] += SPIKED_NOISE_MV * rng.standard_normal(beats[mine].shape).astype(np.float32)
    signal = controls.spike(beats, cohort["subject"][rows], job.spec["amount"], job.at("spike"))
    return {"signal": signal} | _steady(len(rows))


VARIANTS: dict[str, Callable[[Job, Cohort, Array, Shown], Shown]] = {
    "constant": _constant,
    "scramble": _scramble,
    "pseudo-identities": _pseudo_identities,
    "matched-noise": _matched_noise,
    "dose": _dose,
    "perturbation-only": _perturbation_only,
    "spike": _spike,
}
"""What each control shows in place of the original beats (n, 200) and, where it changes them, RR intervals (n,)."""
