"""Artefacts ``attack-measures`` and ``use-measures``: stored scores and predictions become named results.

A measure is a dict of metric, level, value, low, high and counts; nothing here knows a plugin.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from agile_bench.api import Array
from agile_bench.engine.jobs.job import Cohort, Job, Result, renumber
from agile_bench.metrics import classification, distortion, divergence, intervals
from agile_bench.metrics.intervals import Estimate
from agile_bench.metrics.scores import quantise

DIAGNOSED = 4
"""Classes that count in diagnosis: N, S, V, F. Q (paced, unclassifiable) and unlabelled beats are left out."""

Measures = list[dict[str, Any]]
Scored = list[tuple[Array, Array]]
"""Per block: scores (n, k) and the true gallery code of each row."""


def measure(metric: str, level: str, found: Estimate, **counts: Any) -> dict[str, Any]:
    """One named result; nan bounds become None, so that the JSON is strict."""
    numbers = {"value": found.value, "low": found.low, "high": found.high}
    return {"metric": metric, "level": level} | {k: _strict(v) for k, v in numbers.items()} | counts


def _strict(value: float) -> float | str | None:
    if np.isnan(value):
        return None
    if np.isinf(value):
        return "inf" if value > 0 else "-inf"
    return float(value)


def attack_measures(job: Job) -> Result:
    """EER, rank-k and (at ``ignorant``) KL of Eq. 6 from the score matrices of all blocks."""
    beats: Scored = []
    records: Scored = []
    per_record: list[float] = []
    kl: list[tuple[Array, Array]] = []
    cohort = Cohort.load(job, signal=False)
    for number, address in enumerate(job.inputs["scores"]):
        given = job.store.arrays(address)
        split = job.arrays("split", [f"{number}.probe", f"{number}.probe_subject"])
        truth = split[f"{number}.probe_subject"]
        record = renumber(cohort["record"][split[f"{number}.probe"]])
        by_record = _by_record(given, truth, record, job.spec["unit"])
        if job.spec["unit"] == "beat":
            beats.append((quantise(given["scores"]), truth))
        records.append(by_record)
        per_record.extend(np.bincount(record).tolist())
        if job.inputs.get("clean"):
            kl.append(_kl(job, number, given, truth if job.spec["unit"] == "beat" else by_record[1]))
    found: Measures = []
    shared = {"beats_per_probe": float(np.mean(per_record))}
    for level, scored in (
        ("beat", beats),
        ("record", records),
        ("subject", [_by_subject(*b) for b in records]),
    ):
        if scored:
            found += _identification(level, scored, job.context_seed(), shared)
    if kl:
        found.append(_kl_measure(kl, job, shared))
    return {}, {"measures": found, "people": sum(b[0].shape[1] for b in records)}


def _by_record(given: dict[str, Array], truth: Array, record: Array, unit: str) -> tuple[Array, Array]:
    _, first = np.unique(record, return_index=True)
    if unit == "record":
        return quantise(given["scores"]), truth[first]
    if "record_scores" in given:
        return quantise(given["record_scores"]), truth[first]
    return quantise(_means(quantise(given["scores"]), record)), truth[first]


def _by_subject(scores: Array, truth: Array) -> tuple[Array, Array]:
    return quantise(_means(scores, truth)), np.arange(scores.shape[1])


def _means(rows: Array, group: Array) -> Array:
    """Mean of the rows of each group 0..g-1."""
    sums = np.zeros((int(group.max()) + 1, rows.shape[1]))
    np.add.at(sums, group, rows)
    means: Array = sums / np.bincount(group)[:, None]
    return means


def _identification(level: str, scored: Scored, seed: int, shared: dict[str, Any]) -> Measures:
    people = sum(s.shape[1] for s, _ in scored)
    counts = shared | {
        "n": people,
        "n_genuine": sum(len(s) for s, _ in scored),
        "n_impostor": sum(s.size - len(s) for s, _ in scored),
    }
    matrices, truths = [s for s, _ in scored], [t for _, t in scored]
    rank1 = intervals.rank_interval(matrices, truths, k=1)
    chance = float(np.mean([1 / s.shape[1] for s, _ in scored]))
    over = [(x - chance) / (1 - chance) for x in (rank1.value, rank1.low, rank1.high)]
    return [
        measure("eer", level, intervals.eer_interval(matrices, truths, seed=seed), **counts),
        measure("rank-1", level, rank1, **counts),
        measure("rank-5", level, intervals.rank_interval(matrices, truths, k=5), **counts),
        measure("rank-1-over-chance", level, Estimate(*over), **counts),
    ]


def _kl(job: Job, number: int, given: dict[str, Array], truth: Array) -> tuple[Array, Array]:
    """KL of each probe's clean posterior to its released one, one temperature and one enrolment, and the person."""
    clean = job.store.arrays(job.inputs["clean"][number])
    calibration = job.arrays("split", [f"{number}.calibration", f"{number}.calibration_subject"])
    subject = calibration[f"{number}.calibration_subject"]
    if job.spec["unit"] == "record":
        cohort = Cohort.load(job, signal=False)
        record = renumber(cohort["record"][calibration[f"{number}.calibration"]])
        subject = subject[np.unique(record, return_index=True)[1]]
    t = divergence.temperature(quantise(clean["calibration_scores"]), subject)
    p = divergence.softmax(quantise(clean["scores"]) / t)
    q = divergence.softmax(quantise(given["scores"]) / t)
    return divergence.kl(p, q), truth


def _kl_measure(kl: list[tuple[Array, Array]], job: Job, shared: dict[str, Any]) -> dict[str, Any]:
    values = np.concatenate([v for v, _ in kl])
    people = np.concatenate([truth + 10**6 * i for i, (_, truth) in enumerate(kl)])
    found = intervals.person_bootstrap(values, people, seed=job.context_seed())
    return measure("kl-eq6", job.spec["unit"], found, n=len(np.unique(people)), **shared)


def use_measures(job: Job) -> Result:
    """Diagnosis (accuracy and kin, CE of Eq. 6) and waveform errors from an evaluator's arrays."""
    given = job.arrays("predictions")
    (address,) = job.inputs["predictions"]
    declared = job.store.meta(address)["yields"]
    clean = job.arrays("clean") if job.inputs.get("clean") else None
    found: Measures = []
    for name, (kind, _unit, higher) in sorted(declared.items()):
        value = given[f"yield/{name}"]
        if kind == "class-scores":
            found += _diagnosis(value, given, clean[f"yield/{name}"] if clean else None, job)
        elif kind == "waveform":
            found += _waveform(value, given, job)
        else:
            found.append(_per_item(name, value, kind, given, job) | {"higher_is_better": higher})
    return {}, {"measures": found, "people": len(np.unique(given["person"]))}


def _diagnosis(logits: Array, given: dict[str, Array], clean: Array | None, job: Job) -> Measures:
    """Against the database's labels, or (no labels) against the same network's calls on the original beats."""
    truth = given["truth"].astype(np.int64) if clean is None else clean[:, :DIAGNOSED].argmax(axis=1)
    rows = (truth >= 0) & (truth < DIAGNOSED)
    truth, person, logits = truth[rows], given["person"][rows], logits[rows, :DIAGNOSED]
    called = logits.argmax(axis=1)
    counts = {"n": len(np.unique(person))}
    seed = job.context_seed()
    named = intervals.classification_interval(truth, called, person, DIAGNOSED, seed=seed)
    if clean is not None:
        return [measure("agreement", "beat", named["accuracy"], **counts)]
    ce = intervals.person_bootstrap(divergence.cross_entropy(logits, truth), person, seed=seed)
    share = classification.majority(truth)
    return [
        *(measure(name, "beat", named[name], **counts) for name in ("accuracy", "balanced-accuracy", "macro-f1")),
        measure("ce-eq6", "beat", ce, **counts),
        measure("majority", "beat", Estimate(share, float("nan"), float("nan")), **counts),
    ]


def _waveform(released: Array, given: dict[str, Array], job: Job) -> Measures:
    _, first = np.unique(given["record"], return_index=True)
    person = given["person"][first]
    per_record = distortion.distortions(given["original"], released, given["record"])
    found = []
    for name, values in per_record.items():
        known = ~np.isnan(values)
        median = Estimate(float("nan"), float("nan"), float("nan"))
        if known.any():
            median = intervals.person_bootstrap(
                values[known], person[known], statistic="median", seed=job.context_seed()
            )
        found.append(measure(name, "record", median, n=len(np.unique(person[known])), fta=float(1 - known.mean())))
    return found


def _per_item(name: str, values: Array, kind: str, given: dict[str, Array], job: Job) -> dict[str, Any]:
    person = given["person"]
    if kind == "per-record":
        person = person[np.unique(given["record"], return_index=True)[1]]
    known = ~np.isnan(values)
    level = kind.removeprefix("per-")
    if not known.any():
        return measure(name, level, Estimate(*[float("nan")] * 3), n=0, fta=1.0)
    found = intervals.person_bootstrap(values[known], person[known], seed=job.context_seed())
    return measure(name, level, found, n=len(np.unique(person[known])), fta=float(1 - known.mean()))
