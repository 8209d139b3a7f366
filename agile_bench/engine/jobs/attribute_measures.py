"""Artefact ``attribute-measures``: guesses of sex or age become figures; nothing here knows a plugin or a recording."""

from __future__ import annotations

from functools import partial

import numpy as np

from agile_bench.api import Array
from agile_bench.engine.jobs.job import Job, Result
from agile_bench.engine.jobs.measures import Measures, attempt, measure
from agile_bench.metrics import attributes, intervals
from agile_bench.metrics.classification import FROM_CONFUSION
from agile_bench.metrics.scores import quantise

LEVEL = "subject"
CALLED = {name: FROM_CONFUSION[name] for name in ("balanced-accuracy", "accuracy")}
BAND_RECALL = {"macro-recall": FROM_CONFUSION["balanced-accuracy"]}
"""Mean recall over the bands in which there are people: for classes that is called balanced accuracy."""


def attribute_measures(job: Job) -> Result:
    """All figures of one attacker, every person probed once, in the fold that has not learnt from them."""
    people = People([job.store.arrays(address) for address in job.inputs["guesses"]])
    if job.spec["target"] == "age":
        found = _of_age(people, job.context_seed())
    else:
        found = _of_sex(people, job.context_seed(), taught=not job.spec["permuted"])
    return {}, {"measures": found, "people": len(people.guess)}


class People:
    """Guess and truth of every person, means over records of means over beats, in an order that no seed changes.

    Parameters
    ----------
    folds : list of dict of arrays
        What ``guesses`` artefacts hold.
    """

    def __init__(self, folds: list[dict[str, Array]]) -> None:
        told = [of_people(f["guess"], f["truth"], f["person"], f["record"]) for f in folds]
        pools = [of_people(*(f[f"pool_{n}"] for n in ("guess", "truth", "person", "record"))) for f in folds]
        self.pools = [(guess, truth) for guess, truth, _ in pools]
        order = np.argsort(np.concatenate([person for *_, person in told]), kind="stable")
        self.guess, self.truth = (np.concatenate([t[i] for t in told])[order] for i in (0, 1))
        self.fold = np.repeat(np.arange(len(folds)), [len(guess) for guess, *_ in told])[order]
        self.codes = np.arange(len(self.guess))
        self.counts = {"n": len(self.guess)}

    def of_fold(self, values: list[float]) -> Array:
        """A value of each fold's pool, for every person."""
        given: Array = np.array(values)[self.fold]
        return given


def of_people(guess: Array, truth: Array, person: Array, record: Array) -> tuple[Array, Array, Array]:
    """Guess, truth and code of every person, from those of every beat (n,): each record weighs the same."""
    _, first, which = np.unique(record, return_index=True, return_inverse=True)
    of_record = np.bincount(which.reshape(-1), guess) / np.bincount(which.reshape(-1))
    codes, who = np.unique(person[first], return_inverse=True)
    records = np.bincount(who.reshape(-1))
    means = [np.bincount(who.reshape(-1), values) / records for values in (of_record, truth[first])]
    return quantise(means[0]), means[1], codes


def _of_sex(people: People, seed: int, taught: bool) -> Measures:
    """Figures of sex; an attacker `taught` nonsense is right or wrong by the fold, and its interval says so."""
    female = people.truth == 1
    pools = [(guess, truth == 1) for guess, truth in people.pools]
    called = people.guess > people.of_fold([attributes.balanced_threshold(*pool) for pool in pools])
    majority = people.of_fold([float(truth.mean() > 0.5) for _, truth in pools])
    named = intervals.classification_interval(
        female.astype(np.int64), called.astype(np.int64), people.codes, 2, seed=seed, functions=CALLED
    )
    interval = attributes.auroc_interval if taught else attributes.auroc_over_folds
    auroc = partial(interval, people.guess, female, people.fold)
    hits = (female == majority).astype(np.float64)
    return [
        attempt("sex-auroc", LEVEL, auroc, **people.counts),
        *(measure(f"sex-{slug}", LEVEL, found, **people.counts) for slug, found in named.items()),
        measure("sex-prevalence", LEVEL, intervals.hits_interval(hits, people.codes), **people.counts),
    ]


def _of_age(people: People, seed: int) -> Measures:
    medians = people.of_fold([float(np.median(truth)) for _, truth in people.pools])
    band, called = attributes.age_band(people.truth), attributes.age_band(people.guess)
    recall = intervals.classification_interval(
        band, called, people.codes, len(attributes.AGE_BANDS) + 1, seed=seed, functions=BAND_RECALL
    )
    errors = {"age-mae": people.guess, "age-mae-median": medians}
    return [
        *(
            measure(slug, LEVEL, intervals.person_bootstrap(np.abs(g - people.truth), people.codes, seed=seed))
            | people.counts
            for slug, g in errors.items()
        ),
        measure("age-r2", LEVEL, attributes.r2_interval(people.guess, people.truth, seed=seed), **people.counts),
        measure("age-macro-recall", LEVEL, recall["macro-recall"], **people.counts),
    ]
