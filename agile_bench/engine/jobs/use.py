"""Artefacts ``evaluator`` (fitted on originals) and ``predictions`` (what it yields on a release)."""

from __future__ import annotations

from typing import cast

import numpy as np

from agile_bench.api import AAMI, BEAT_SAMPLES, Array, Evaluator, Yield
from agile_bench.contract import BrokenContract, check_array, check_state
from agile_bench.engine.jobs.job import Cohort, Job, Result, as_released


def evaluator(job: Job) -> Result:
    """Fit the evaluator on original training beats (of the `clinical` dataset where the suite names one)."""
    plugin = cast(Evaluator, job.plugins["evaluator"])
    cohort = Cohort.load(job)
    rows = job.arrays("split", ["train"])["train"]
    train = cohort.hand_out(rows, plugin.learns - {"subject"})
    return dict(check_state(plugin.fit(train, job.at("evaluator", "fit")), "fit")), {}


def predictions(job: Job) -> Result:
    """Evaluate one release of the test beats."""
    plugin = cast(Evaluator, job.plugins["evaluator"])
    cohort = Cohort.load(job)
    rows = job.arrays("split", ["test"])["test"]
    original = cohort.hand_out(rows, plugin.reads - {"subject"})
    given = job.arrays("release") if job.inputs.get("release") else {"signal": original.signal}
    released = as_released(original, given)
    (state,) = job.states("evaluator")
    found = plugin.evaluate(state, original, released, job.at("evaluator", "evaluate"))
    if set(found) != set(plugin.yields):
        raise BrokenContract(f"evaluate returned {sorted(found)}, its yields declare {sorted(plugin.yields)}")
    n_records = int(original.record.max()) + 1
    for name, declared in plugin.yields.items():
        _check(found[name], declared, name, len(rows), n_records)
    people = np.unique(cohort["subject"][rows], return_inverse=True)[1].reshape(-1)
    context = {
        "truth": cohort["label"][rows],
        "person": people.astype(np.int32),
        "record": original.record,
        "original": original.signal,
    }
    yields = {k: [v.kind, v.unit, v.higher_is_better] for k, v in plugin.yields.items()}
    return {f"yield/{k}": v for k, v in found.items()} | context, {"yields": yields}


def _check(value: Array, declared: Yield, name: str, n: int, n_records: int) -> None:
    shapes = {
        "class-scores": (n, len(AAMI)),
        "waveform": (n, BEAT_SAMPLES),
        "per-beat": (n,),
        "per-record": (n_records,),
    }
    check_array(value, shapes[declared.kind], name, nan_allowed=declared.kind.startswith("per-"))
