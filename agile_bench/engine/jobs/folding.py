"""Artefact ``attribute-split``: who is learnt from and who is probed where sex or age are guessed."""

from __future__ import annotations

import numpy as np

from agile_bench.api import Array, NotComputable
from agile_bench.engine.jobs.job import Cohort, Job, Result
from agile_bench.engine.jobs.splitting import load_table
from agile_bench.metrics.attributes import age_band
from agile_bench.protocols.folds import folds

PEOPLE = 40
"""Fewest people of known sex or age."""
OF_A_KIND = 10
"""Fewest people of either sex, or of each of three age bands: where nearly all are of one, guessing it is no skill."""
BANDS = 3


def attribute_split(job: Job) -> Result:
    """Pool and probes of every fold, one split for sex and age.

    Raises
    ------
    NotComputable
        If neither can be judged on the people of the dataset, or a beat is there twice.
    """
    cohort = Cohort.join(job)
    table = load_table(job, cohort)
    if all(lacking := [too_few(target, cohort) for target in ("sex", "age")]):
        raise NotComputable("; ".join(lacking))
    arrays: dict[str, Array] = {}
    for number, fold in enumerate(folds(table, cohort["sex"], job.spec["beats_per_record"], job.at("folds"))):
        arrays |= {f"{number}.pool": fold.pool, f"{number}.probe": fold.probe}
        arrays |= {f"{number}.pool_subject": fold.pool_subject, f"{number}.probe_subject": fold.probe_subject}
        for name, codes in (("fold", fold.probe_subject), ("pool_fold", fold.pool_subject)):
            arrays[f"{number}.{name}"] = np.zeros(int(codes.max()) + 1, np.int64)  # one instance releases all
    row_roles = frozenset(name for name in arrays if name.endswith((".pool", ".probe")))
    packed, meta = cohort.pack(arrays, row_roles)
    signal = packed["beats/signal"]
    if twice := len(signal) - len({beat.tobytes() for beat in signal}):
        raise NotComputable(f"{twice} beats are there twice, sample for sample: a record or person is a copy")
    return packed, meta | {"people": len(np.unique(table.subject))}


def known(target: str, cohort: Cohort, rows: Array) -> Array:
    """Whether the sex (or age) of each row's person is known, (n,) bool."""
    told: Array = cohort["sex"][rows] >= 0 if target == "sex" else np.isfinite(cohort["age"][rows])
    return told


def too_few(target: str, cohort: Cohort) -> str:
    """Why the people of a dataset cannot support a claim about this target; empty where they can."""
    rows = np.flatnonzero(known(target, cohort, np.arange(len(cohort["record"]))))
    first = rows[np.unique(cohort["subject"][rows], return_index=True)[1]]
    if len(first) < PEOPLE:
        return f"the {target} of {len(first)} people is known, {PEOPLE} are needed"
    if target == "sex":
        women = int(cohort["sex"][first].sum())
        few = min(women, len(first) - women) < OF_A_KIND
        return f"{women} women and {len(first) - women} men, {OF_A_KIND} of each are needed" if few else ""
    counts = np.bincount(age_band(cohort["age"][first]), minlength=4)
    if (counts >= OF_A_KIND).sum() >= BANDS:
        return ""
    told = "{} people below 40, {} of 40-59, {} of 60-79, {} from 80 on".format(*counts)
    return f"{told}; {OF_A_KIND} in each of {BANDS} bands are needed"
