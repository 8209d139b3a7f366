"""Small cohorts, releases of them whose effect on every attacker is known, and attacks on these."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np

from agile_bench.api import Array, Attacker, Beats, Context, State
from agile_bench.contract import check_array, check_state, freeze, only
from agile_bench.datasets.synthetic import Synthetic
from agile_bench.metrics.scores import eer, pairs, quantise, rank_k
from agile_bench.protocols.controls import constant, spike
from agile_bench.signals.beats import cut

PEOPLE = 12
RECORDS = 4
"""A person's records: two in pool and gallery, two to probe."""
BEATS = 12
CTX = Context(label=("test",))
Release = Callable[[Beats], Beats]


@cache
def people() -> Beats:
    """Unprotected beats of twelve people of the synthetic dataset."""
    dataset = Synthetic(people=PEOPLE, seconds=14.0, sessions=1, records_per_session=RECORDS)
    return cohort(np.concatenate([cut(dataset.read(None, e.record), "I").signal[:BEATS] for e in dataset.records()]))


@cache
def alike(seed: int = 0) -> Beats:
    """Beats of as many people, all of one shape; each beat has noise of its own."""
    n = PEOPLE * RECORDS * BEATS
    return cohort(constant(n) + 0.02 * np.random.default_rng(seed).standard_normal((n, 200)))


def cohort(signal: Array) -> Beats:
    """Beats of `PEOPLE` people, record by record, with who made them; all on one day."""
    record = np.repeat(np.arange(PEOPLE * RECORDS), BEATS).astype(np.int32)
    subject = (record // RECORDS).astype(np.int32)
    arrays = {"signal": signal.astype(np.float32), "record": record, "subject": subject, "session": subject.copy()}
    return Beats(**freeze(arrays))


def shown(beats: Beats, signal: Array) -> Beats:
    """The beats with another signal."""
    return beats.with_signal(freeze({"signal": signal.astype(np.float32)})["signal"])


# -- releases of known effect ------------------------------------------------------------------------------------------


def one_sample(beats: Beats) -> Beats:
    """The beats with one sample, 80 ms after R, that says whose they are, between -2 and 2 mV."""
    signal = beats.signal.copy()
    signal[:, 100] += np.linspace(-2, 2, PEOPLE, dtype=np.float32)[beats.subject]
    return shown(beats, signal)


def one_wave_a_person(beats: Beats) -> Beats:
    """The beats with a smooth pattern of 0.1 mV RMS, the person's own."""
    assert beats.subject is not None
    return shown(beats, spike(beats.signal, beats.subject, 0.1, CTX))


def one_wave_for_all(beats: Beats) -> Beats:
    """The beats with one smooth pattern of 0.3 mV RMS."""
    return shown(beats, spike(beats.signal, np.zeros_like(beats.record), 0.3, CTX))


def mean_beat(beats: Beats) -> Beats:
    """One beat for everybody: the mean of all."""
    return shown(beats, np.tile(beats.signal.mean(axis=0, dtype=np.float64), (len(beats), 1)))


def mean_beat_in_noise(beats: Beats) -> Beats:
    """The same with noise of 0.05 mV that is drawn anew for every beat."""
    noise = 0.05 * np.random.default_rng(5).standard_normal(beats.signal.shape)
    return shown(beats, mean_beat(beats).signal + noise)


# -- attacks -----------------------------------------------------------------------------------------------------------


def halves(beats: Beats) -> tuple[Beats, Beats]:
    """The first two records of everybody, and the others."""
    first = beats.record % RECORDS < RECORDS // 2
    return beats.take(first), beats.take(~first)


def taught(attacker: Attacker, pool: Beats) -> State:
    """What the attacker learns from a pool."""
    return freeze(check_state(attacker.fit(only(pool, attacker.learns | {"subject"}), CTX), "fit"))


def scores_of(attacker: Attacker, state: State, gallery: Beats, probes: Beats) -> Array:
    """One row for each probe record, in order; each beat's scores are averaged where it scores beats."""
    learnt = attacker.learns | {"subject"}
    enrolled = freeze(check_state(attacker.enrol(state, only(gallery, learnt), CTX), "enrol"))
    scores = attacker.score(state, enrolled, only(probes, attacker.reads - {"subject"}), CTX)
    assert gallery.subject is not None
    by_beat = attacker.unit == "beat"
    rows = len(probes) if by_beat else len(np.unique(probes.record))
    check_array(scores, (rows, int(gallery.subject.max()) + 1), "score", lost_allowed=True)
    scores = quantise(scores.astype(np.float64))
    if by_beat:
        scores = np.stack(
            [scores[probes.record == code].mean(axis=0) for code in dict.fromkeys(probes.record.tolist())]
        )
    return scores


def truth(probes: Beats) -> Array:
    """The person of each probe record, in order of first appearance."""
    assert probes.subject is not None
    found: Array = probes.subject[np.sort(np.unique(probes.record, return_index=True)[1])]
    return found


def figures(attacker: Attacker, beats: Beats) -> tuple[float, float]:
    """Rank-1 and EER of the records, with enrolled beats as the pool."""
    gallery, probes = halves(beats)
    scores = scores_of(attacker, taught(attacker, gallery), gallery, probes)
    return rank_k(scores, truth(probes), 1), eer(*pairs(scores, truth(probes)))


def renamed(beats: Beats, name: Array) -> Beats:
    """The beats of person j under the name that stands at j."""
    return replace(beats, **freeze({"subject": name[beats.subject].astype(np.int32)}))
