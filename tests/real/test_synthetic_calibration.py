"""The synthetic cohort is as hard to recognise as ECG-ID: what `svd` gets on both."""

import os
from pathlib import Path

import numpy as np
import pytest
from agile_bench.attackers.svd import Svd

from agile_bench.api import Beats, Context
from agile_bench.datasets.ecgiddb import Ecgiddb
from agile_bench.datasets.synthetic import Synthetic
from agile_bench.metrics.scores import eer, pairs, rank_k
from agile_bench.signals.beats import cut

PEOPLE = 89
SEEDS = (0, 1, 2)


def real():
    root = os.environ.get("AGILE_BENCH_DATA")
    if not root or not (Path(root) / "ecgiddb").is_dir():
        pytest.skip("AGILE_BENCH_DATA names no folder that holds ecgiddb/")
    return Ecgiddb(), Path(root) / "ecgiddb"


def beats(dataset, root, entry):
    return cut(dataset.read(root, entry.record), dataset.lead).signal


def two_records(dataset, root):
    """Beats of the first two records of everybody's first day: (gallery, probe) lists."""
    people = {}
    for entry in dataset.records(root):
        people.setdefault(entry.subject, []).append(entry)
    days = [[e for e in entries if e.session == entries[0].session][:2] for entries in people.values()]
    chosen = [day for day in days if len(day) == 2]
    return [[beats(dataset, root, day[i]) for day in chosen] for i in (0, 1)]


def two_days(dataset, root, people):
    """Beats of the first record of everybody's first two days: (gallery, probe) lists."""
    first = {}
    for entry in dataset.records(root):
        first.setdefault(entry.subject, {}).setdefault(entry.session, entry)
    chosen = [list(days.values())[:2] for days in first.values() if len(days) > 1][:people]
    return [[beats(dataset, root, pair[i]) for pair in chosen] for i in (0, 1)]


def attack(gallery, probes):
    """Rank-1 and EER of records: `svd` with its defaults, mean of the log-posteriors of a record's beats."""
    attacker, ctx = Svd(), Context()
    enrolled = together([g[: int(0.8 * len(g))] for g in gallery])
    state = attacker.fit(enrolled, ctx)
    rows = attacker.score(state, attacker.enrol(state, enrolled, ctx), together(probes), ctx)
    ends = np.cumsum([len(p) for p in probes])[:-1]
    scores = np.stack([record.mean(axis=0) for record in np.split(rows, ends)])
    who = np.arange(len(probes))
    return rank_k(scores, who, 1), eer(*pairs(scores, who))


def together(people):
    """Beats of one record a person, marked with the person."""
    code = np.repeat(np.arange(len(people)), [len(p) for p in people]).astype(np.int32)
    return Beats(signal=np.concatenate(people), record=code, subject=code)


def test_same_day_recognition_is_that_of_ecgid(capsys):
    gallery, probes = two_records(*real())
    assert len(gallery) == PEOPLE
    truth = np.array(attack(gallery, probes))
    made = np.array([attack(*two_records(Synthetic(people=PEOPLE, seed=s), None)) for s in SEEDS])
    with capsys.disabled():
        print(f"\nsame day, {PEOPLE} people, rank-1 / EER: ECG-ID {truth[0]:.3f} / {truth[1]:.3f}, synthetic", end=" ")
        print(", ".join(f"{r:.3f} / {e:.3f} (seed {s})" for s, (r, e) in zip(SEEDS, made, strict=True)))
    assert np.abs(made.mean(axis=0) - truth).max() <= 0.05
    # The cohort that a user meets by default, alone.
    assert np.abs(made[0] - truth).max() <= 0.05


def test_cross_day_recognition_is_near_that_of_ecgid(capsys):
    truth = np.array(attack(*two_days(*real(), 20)))
    made = [attack(*two_days(Synthetic(people=20, seed=s), None, 20)) for s in range(8)]
    mean = np.mean(made, axis=0)
    with capsys.disabled():
        print(f"\ncross day, 20 people, rank-1 / EER: ECG-ID {truth[0]:.3f} / {truth[1]:.3f}, ", end="")
        print(f"synthetic {mean[0]:.3f} / {mean[1]:.3f} (mean of 8 seeds)")
    # The 20 people of ECG-ID leave a standard error of about 0.09 in rank-1 and 0.07 in EER.
    assert np.abs(mean - truth).max() <= 0.15
