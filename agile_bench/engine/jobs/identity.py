"""Artefact ``attack-measures``: stored scores become privacy figures; nothing here knows a plugin or a recording."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from agile_bench.api import Array
from agile_bench.engine.curves import CURVES
from agile_bench.engine.jobs.job import Job, Result
from agile_bench.engine.jobs.measures import Measures, attempt, lone, measure
from agile_bench.metrics import divergence, intervals
from agile_bench.metrics.identification import dir_hits, rank1_among, rank_disclosure
from agile_bench.metrics.intervals import Estimate
from agile_bench.metrics.linkability import linkability
from agile_bench.metrics.resampling import eer_replicates, rank_replicates
from agile_bench.metrics.scores import quantise
from agile_bench.metrics.verification import folded, thin

RATES = ("1e-1", "1e-2", "1e-3")
"""False match rates at which the true match rate is told."""
FPIR = "1e-1"
"""False positive identification rate at which people who are not enrolled are told apart."""
RESAMPLES = 2000
"""Of people at record level, where comparisons are corrected for their number."""
GALLERIES = (10, 20, 40, 80, 160, 320)
"""Gallery sizes for which rank-1 is told in expectation over all galleries of the people at hand."""

Replicates = dict[str, Array]


def attack_measures(job: Job) -> Result:
    """All privacy figures; at ``ignorant``, where the clean scores stand beside, also KL of Eq. 6 and its companions.

    The arrays are the resampled EERs and rank-1 rates of record level. The same people are drawn for every attacker and
    method of a split, so that any two can be compared in pairs.
    """
    several = [name for name in sorted(job.inputs) if name.startswith("scores")]
    galleries = [Gallery(job, [job.inputs[name][i] for name in several]) for i in range(len(job.inputs["scores"]))]
    records = Level(galleries, "record")
    shared = {"beats_per_probe": float(np.mean(np.concatenate([g.beats for g in galleries]))), "fta": records.fta}
    replicates = records.replicates(job)
    found = records.figures(job, shared, replicates["eer"]) + records.more_figures(job, shared)
    found += records.open_set(shared) + _training(galleries) + _distortion(galleries)
    for name in ("beat", "subject"):
        if name == "subject" or galleries[0].unit == "beat":
            level = Level(galleries, name)
            found += level.figures(job, shared)
    if job.inputs.get("clean"):
        found += _kl_measures(job, galleries, shared)
    meta = {"people": sum(g.people for g in galleries), "kept": galleries[0].meta.get("kept", {})}
    if any("train_loss" in g.meta for g in galleries):
        meta["training"] = [{k: g.meta[k] for k in CURVES if k in g.meta} for g in galleries]
    meta["front_end"] = "/".join(dict.fromkeys(g.meta.get("front_end", "") for g in galleries))
    return replicates, {"measures": found} | meta


class Gallery:
    """Stored scores of one gallery, its columns in an order of people that does not depend on the seed.

    Parameters
    ----------
    job : Job
    addresses : list of str
        One ``scores`` artefact, or several floor attackers' whose log-likelihoods add up.
    """

    def __init__(self, job: Job, addresses: list[str]) -> None:
        given = [job.store.arrays(address) for address in addresses]
        self.meta = job.store.meta(addresses[0])
        self.unit = str(self.meta["unit"])
        self.enrolled = int(self.meta["enrolled"])
        person = given[0]["person"]
        self.people = len(person)
        self.order = np.argsort(person[: self.enrolled], kind="stable")
        self.place = np.concatenate((np.argsort(self.order, kind="stable"), np.arange(self.enrolled, self.people)))
        self.subject = self.place[given[0]["subject"]]
        self.record = given[0]["record"]
        self.scores = self.columns(given[0]["scores"])
        for more in given[1:]:
            self.scores = quantise(self.scores + self.columns(more["scores"]))
        self.record_scores = self.columns(given[0]["record_scores"]) if "record_scores" in given[0] else None
        self.calibration = self.columns(given[0]["calibration_scores"])
        self.calibration_subject = self.place[given[0]["calibration_subject"]]
        if self.unit == "record":
            self.calibration_subject = _of_records(self.calibration_subject, given[0]["calibration_record"])

    def columns(self, scores: Array) -> Array:
        """Rounded scores in the order of people."""
        return quantise(np.asarray(scores, _float_of(scores)))[:, self.order]

    @property
    def beats(self) -> Array:
        """Beats of each probe record."""
        return np.bincount(self.record)

    def at(self, level: str) -> tuple[Array, Array]:
        """Scores and person of every probe of a level; people who are not enrolled have codes above the gallery's."""
        if level == "beat":
            return self.scores, self.subject
        truth = _of_records(self.subject, self.record)
        scores = self.scores if self.unit == "record" else self.record_scores
        if scores is None:
            scores = quantise(_means(self.scores, self.record))
        return (scores, truth) if level == "record" else (quantise(_means(scores, truth)), np.arange(self.people))


def _float_of(scores: Array) -> Any:
    return scores.dtype if scores.dtype in (np.float32, np.float64) else np.float64


def _of_records(values: Array, record: Array) -> Array:
    return values[np.unique(record, return_index=True)[1]]


def _means(rows: Array, group: Array) -> Array:
    """Mean of the rows of each group 0..g-1; a row of -inf gives nothing, a group of nothing else is -inf."""
    acquired = np.isfinite(rows)
    sums = np.zeros((int(group.max()) + 1, rows.shape[1]))
    counts = np.zeros(sums.shape)
    np.add.at(sums, group, np.where(acquired, rows, 0.0))
    np.add.at(counts, group, acquired)
    means: Array = np.where(counts > 0, sums / np.maximum(counts, 1), -np.inf)
    return means


class Level:
    """The probes of one level: of people who are enrolled, and (open set) of those who are not."""

    def __init__(self, galleries: list[Gallery], name: str) -> None:
        self.name = name
        self.matrices, self.truths, self.unknown = [], [], []
        for gallery in galleries:
            scores, truth = gallery.at(name)
            known = truth < gallery.enrolled
            self.matrices.append(scores[known])
            self.truths.append(truth[known])
            if not known.all():
                strangers = np.unique(truth[~known], return_inverse=True)[1].reshape(-1)
                self.unknown.append(_means(scores[~known], strangers))
        genuine = sum(len(m) for m in self.matrices)
        persons = sum(m.shape[1] for m in self.matrices)
        self.counts = {"n": persons, "n_genuine": genuine, "n_impostor": sum(m.size for m in self.matrices) - genuine}
        self.fta = float(np.mean(np.concatenate([np.isneginf(m).all(axis=1) for m in self.matrices])))

    @property
    def blocks(self) -> tuple[list[Array], list[Array]]:
        """Score matrices and the enrolled person behind each of their rows."""
        return self.matrices, self.truths

    def replicates(self, job: Job) -> Replicates:
        """EER and rank-1 among resampled people."""
        return {
            "eer": eer_replicates(*self.blocks, RESAMPLES, job.context_seed()),
            "rank-1": rank_replicates(*self.blocks, 1, RESAMPLES, job.context_seed()),
        }

    def pairs(self) -> tuple[Array, Array]:
        """Genuine and impostor scores of all galleries."""
        mated = [np.arange(m.shape[1]) == t[:, None] for m, t in zip(*self.blocks, strict=True)]
        return (
            np.concatenate([m[own] for m, own in zip(self.matrices, mated, strict=True)]),
            np.concatenate([m[~own] for m, own in zip(self.matrices, mated, strict=True)]),
        )

    def figures(self, job: Job, shared: dict[str, Any], replicates: Array | None = None) -> Measures:
        """EER, plain and folded, and identification rates; `replicates` are resampled EERs that are there already."""
        counts, seed = shared | self.counts | {"fta": self.fta}, job.context_seed()
        eer = intervals.eer_interval(*self.blocks, seed=seed, replicates=replicates)
        ranks = {k: intervals.rank_interval(*self.blocks, k=k) for k in (1, 5, 10)}
        chance = float(np.mean([1 / m.shape[1] for m in self.matrices]))
        over = [(x - chance) / (1 - chance) for x in (ranks[1].value, ranks[1].low, ranks[1].high)]
        return [
            measure("eer", self.name, eer, **counts),
            measure("eer-folded", self.name, lone(folded(eer.value)), **counts),
            *(measure(f"rank-{k}", self.name, found, **counts) for k, found in ranks.items()),
            measure("rank-1-over-chance", self.name, Estimate(*over), **counts),
        ]

    def more_figures(self, job: Job, shared: dict[str, Any]) -> Measures:
        """TMR at FMR, AUC, linkability, rank disclosure, and rank-1 in smaller galleries."""
        counts, seed = shared | self.counts, job.context_seed()
        found = [self._tmr(rate, seed, counts) for rate in RATES]
        smallest = min(m.shape[1] for m in self.matrices)
        makers: dict[str, Callable[[], float | Estimate]] = {
            "auc": partial(intervals.auc_interval, *self.blocks, seed=seed),
            "linkability": partial(linkability, *self.blocks, seed=seed),
            "rank-disclosure": partial(rank_disclosure, list(zip(*self.blocks, strict=True)), seed),
        }
        found += [attempt(name, self.name, make, **counts) for name, make in makers.items()]
        for size in (n for n in GALLERIES if n < smallest):
            rate = partial(self._rank1_among, size)
            found.append(attempt(f"rank-1-among-{size}", self.name, rate, **counts))
        return found

    def _tmr(self, rate: str, seed: int, counts: dict[str, Any]) -> dict[str, Any]:
        few = thin(float(rate), counts["n_impostor"])
        remark = {"reason": "thin: fewer than 30 false matches are expected"} if few else {}
        make = partial(intervals.tmr_interval, *self.blocks, float(rate), seed=seed)
        return attempt(f"tmr-at-fmr-{rate}", self.name, make, **counts | remark)

    def _rank1_among(self, size: int) -> float:
        weights = [len(m) for m in self.matrices]
        rates = [rank1_among(m, t, size) for m, t in zip(*self.blocks, strict=True)]
        return float(np.average(rates, weights=weights))

    def open_set(self, shared: dict[str, Any]) -> Measures:
        """Share of enrolled people found at a false positive identification rate; nothing where all are enrolled."""
        if not self.unknown:
            return []
        strangers = sum(len(m) for m in self.unknown)
        return [
            attempt(f"dir-at-fpir-{FPIR}", self.name, self._dir, **shared | self.counts | {"n_impostor": strangers})
        ]

    def _dir(self) -> Estimate:
        hits, people = [], []
        for number, (scores, truth) in enumerate(zip(*self.blocks, strict=True)):
            hits.append(dir_hits(scores, truth, self.unknown[number], float(FPIR))[0])
            people.append(truth + number * 10**6)
        return intervals.hits_interval(np.concatenate(hits), np.concatenate(people))


def _training(galleries: list[Gallery]) -> Measures:
    """How well a network named its own pool at the end, and what chance would give."""
    if not all("train_accuracy" in g.meta and "train_chance" in g.meta for g in galleries):
        return []
    slugs = {"train-accuracy": "train_accuracy", "train-chance": "train_chance"}
    return [
        measure(slug, "record", lone(float(np.mean([g.meta[key] for g in galleries]))), n=galleries[0].enrolled)
        for slug, key in slugs.items()
    ]


def _distortion(galleries: list[Gallery]) -> Measures:
    """How far the probes were moved, to stand beside what evaluators find of the records they are shown."""
    told = [g.meta["kept"]["prdn"] for g in galleries if "prdn" in g.meta.get("kept", {})]
    return [measure("probe-prdn", "record", lone(float(np.mean(told))), n=galleries[0].enrolled)] if told else []


# -- KL of Eq. 6 -------------------------------------------------------------------------------------------------------


def _kl_measures(job: Job, galleries: list[Gallery], shared: dict[str, Any]) -> Measures:
    """Each probe's clean posterior against its released one: one enrolment, one temperature, fitted on clean beats."""
    clean = [Gallery(job, [address]) for address in job.inputs["clean"]]
    columns: dict[str, list[Array]] = {}
    people, at_bound = [], []
    for number, (before, after) in enumerate(zip(clean, galleries, strict=True)):
        truth = after.at(after.unit)[1]
        known = truth < after.enrolled
        for name, values in _posterior_values(before, after, truth, known).items():
            columns.setdefault(name, []).append(values)
        at_bound.append(divergence.at_bound(columns["kl-eq6"][-1], after.enrolled))
        people.append(truth[known] + number * 10**6)
    person, seed = np.concatenate(people), job.context_seed()
    counts = shared | {"n": len(np.unique(person))}
    level = galleries[0].unit
    found = [
        measure(name, level, intervals.person_bootstrap(np.concatenate(parts), person, seed=seed), **counts)
        for name, parts in columns.items()
    ]
    return [*found, measure("kl-at-bound", level, lone(float(np.mean(at_bound))), **counts)]


def _posterior_values(before: Gallery, after: Gallery, truth: Array, known: Array) -> dict[str, Array]:
    t = divergence.temperature(before.calibration, before.calibration_subject)
    p, q = (divergence.softmax(g.scores[known], t) for g in (before, after))
    return {
        "kl-eq6": divergence.kl(p, q),
        "kl-reverse": divergence.kl(q, p),
        "js": divergence.js(p, q),
        "posterior-entropy": divergence.entropy(q) / np.log(max(2, before.enrolled)),
        "p-true": divergence.p_true(q, truth[known]),
        "kl-ceiling": divergence.ceiling(p),
    }
