"""Intervals of all metrics, over persons: beats of one person err together and are no independent evidence.

EER has the two-way person bootstrap on the logit scale, identification rates have Wilson's interval with an
effective number of probes (both chosen for their coverage in simulations), means, medians and class metrics the
percentile bootstrap over persons. Where few persons or no errors leave a bootstrap nothing to vary, the exact
binomial interval takes over, with persons as its trials.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import fsum, inf, nan, sqrt
from typing import Literal

import numpy as np
from scipy.special import betaincinv, expit, logit, ndtri, stdtrit

from agile_bench.metrics.classification import FROM_CONFUSION, confusion
from agile_bench.metrics.resampling import Block, person_draws, resampled_eer, resampled_median
from agile_bench.metrics.scores import Array, checked, eer, pairs, rank_hits

__all__ = [
    "FEW",
    "Estimate",
    "classification_interval",
    "clopper_pearson",
    "eer_interval",
    "envelope",
    "person_bootstrap",
    "rank_interval",
]

FEW = 20
"""Below this many persons a rate gets the exact binomial interval, and its method should not be ranked."""

_CLIP = 1e-4


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with the ends of its interval; the ends are nan where no interval can be given."""

    value: float
    low: float
    high: float


def clopper_pearson(share: float, persons: int, level: float = 0.95) -> Estimate:
    """Exact binomial interval of a rate, with persons as its trials; a fractional count of errors is allowed.

    Parameters
    ----------
    share : float in [0, 1]
        The rate.
    persons : int
        Persons it was observed on, at least 1.
    level : float in (0, 1)

    Returns
    -------
    Estimate
        With no error among n persons the upper end is 1 - ((1 - level)/2)^(1/n).

    References
    ----------
    Clopper and Pearson, Biometrika 1934.
    """
    tail, hits = (1 - level) / 2, share * persons
    low = 0.0 if hits <= 0 else float(betaincinv(hits, persons - hits + 1, tail))
    high = 1.0 if hits >= persons else float(betaincinv(hits + 1, persons - hits, 1 - tail))
    return Estimate(share, low, high)


def _blocks(scores: Array | Sequence[Array], subject: Array | Sequence[Array]) -> list[Block]:
    if isinstance(scores, np.ndarray):
        return [checked(scores, np.asarray(subject))]
    if len(scores) == 0:
        raise ValueError("expected at least one block of scores")
    return [checked(s, who) for s, who in zip(scores, subject, strict=True)]


def _persons(blocks: Sequence[Block]) -> Array:
    """Index of each probe's person, over the columns of all blocks one after another."""
    offsets = np.cumsum([0, *(scores.shape[1] for scores, _ in blocks)])
    return np.concatenate([who + offset for (_, who), offset in zip(blocks, offsets[:-1], strict=True)])


def eer_interval(
    scores: Array | Sequence[Array],
    subject: Array | Sequence[Array],
    n_resamples: int = 500,
    seed: int = 0,
    level: float = 0.95,
) -> Estimate:
    """EER with a two-way person bootstrap, as logit(EER) +- t * SD of the resampled logits.

    Persons are drawn as probes and as enrolled persons at once, since two impostor scores are related as soon
    as they share either. Resampled EERs are kept within [1e-4, 1 - 1e-4], and t has one degree of freedom
    less than there are persons. Exact binomial on persons instead if fewer than 20 persons are probed, the
    EER is exactly 0 or 1, or the resamples collapse: all agree, or more of them than a tail holds are 0 or 1,
    where the clip and not the data would set the width.

    Parameters
    ----------
    scores : (n_probe, n_enrolled) float array, or a sequence of such
        Several blocks are galleries of different persons (folds); pairs are made within blocks and then
        pooled.
    subject : (n_probe,) int array, or a sequence of such
        Column of the person behind each probe.
    n_resamples, seed : int
    level : float in (0, 1)

    Returns
    -------
    Estimate
        The value is `eer` of the pooled pairs.

    Raises
    ------
    ValueError
        See `checked`; also if there is only one person.

    References
    ----------
    Poh, Martin and Bengio, IEEE TPAMI 2007; Schuckers 2010 (resampling users, not scores).
    """
    blocks = _blocks(scores, subject)
    split = [pairs(*block) for block in blocks]
    value = eer(np.concatenate([g for g, _ in split]), np.concatenate([i for _, i in split]))
    persons = np.unique(_persons(blocks)).size
    if persons < FEW or value in (0.0, 1.0):
        return clopper_pearson(value, persons, level)
    draws = person_draws(sum(s.shape[1] for s, _ in blocks), n_resamples, seed)
    resampled = resampled_eer(blocks, draws)
    clipped = np.clip(resampled[~np.isnan(resampled)], _CLIP, 1 - _CLIP)
    at_the_edge = float(np.mean((clipped == _CLIP) | (clipped == 1 - _CLIP)))
    logits = logit(clipped)
    spread = float(np.std(logits, ddof=1)) if np.ptp(logits) > 0 else 0.0
    if spread == 0 or at_the_edge > (1 - level) / 2:
        return clopper_pearson(value, persons, level)
    centre = float(logit(np.clip(value, _CLIP, 1 - _CLIP)))
    half = float(stdtrit(persons - 1, (1 + level) / 2)) * spread
    return Estimate(value, min(value, float(expit(centre - half))), max(value, float(expit(centre + half))))


def rank_interval(
    scores: Array | Sequence[Array], subject: Array | Sequence[Array], k: int = 1, level: float = 0.95
) -> Estimate:
    """Rank-k rate with Wilson's interval for as many independent probes as its spread over persons implies.

    That number is n_eff = R (1 - R) / v, where v is the variance of the rate R from person to person,
    N/(N-1) sum_p (n_p/n)^2 (h_p - R)^2 for mean hits h_p of n_p probes (with equally many probes for
    everyone: the variance of h_p over N). It is kept between the number of persons (of equal weight) and that
    of probes. The gallery is not resampled: rank depends on its size, and a resample loses a third of the
    rivals. Exact binomial on persons instead if fewer than 20 persons are probed or the rate is exactly 0 or
    1.

    Parameters
    ----------
    scores, subject
        As for `eer_interval`.
    k : int, at least 1
    level : float in (0, 1)

    Returns
    -------
    Estimate
        The value is the mean of `rank_hits` over all probes.

    Raises
    ------
    ValueError
        See `rank_hits`.

    References
    ----------
    Wilson, JASA 1927; Brown, Cai and DasGupta, Statistical Science 2001.
    """
    blocks = _blocks(scores, subject)
    hits = np.concatenate([rank_hits(s, who, k) for s, who in blocks])
    n, rate = len(hits), fsum(hits) / len(hits)
    _, person, probes = np.unique(_persons(blocks), return_inverse=True, return_counts=True)
    persons = len(probes)
    if persons < FEW or rate in (0.0, 1.0):
        return clopper_pearson(rate, persons, level)
    # Sorted, so that the sums do not depend on the order of the probes.
    order = np.lexsort((hits, person))
    excess = np.add.reduceat(hits[order], np.cumsum(probes) - probes) - probes * rate
    variance = persons / (persons - 1) * fsum(excess**2) / n**2
    equal_persons = n**2 / float(np.sum(probes**2))
    if variance < 1e-12 * rate * (1 - rate):  # nothing but rounding: everyone has the same rate
        n_eff = equal_persons
    else:
        n_eff = min(max(rate * (1 - rate) / variance, equal_persons), n)
    return _wilson(rate, n_eff, level)


def _wilson(share: float, n: float, level: float) -> Estimate:
    z = float(ndtri((1 + level) / 2))
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return Estimate(share, max(0.0, centre - half), min(1.0, centre + half))


def _percentile(value: float, resampled: Array, level: float) -> Estimate:
    """Take the interval between two order statistics: a value may be infinite, so none is interpolated."""
    tails = [(1 - level) / 2, (1 + level) / 2]
    low, high = np.quantile(resampled[~np.isnan(resampled)], tails, method="inverted_cdf")
    return Estimate(value, float(low), float(high))


def person_bootstrap(
    values: Array,
    person: Array,
    statistic: Literal["mean", "median"] = "mean",
    n_resamples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> Estimate:
    """Mean or median of values per beat or record, with the percentile interval of a person bootstrap.

    Parameters
    ----------
    values : (n,) float array
        May be infinite of one sign, such as the SNR of a copy, but not nan: leave out and count what was not
        measured.
    person : (n,) int array
        Any code of the person behind each value; drawn in the order of the codes.
    statistic : "mean" or "median"
        Over all values, so a person weighs by the number of theirs.
    n_resamples, seed : int
    level : float in (0, 1)

    Returns
    -------
    Estimate
        Without an interval (nan) if there is one person only.

    Raises
    ------
    ValueError
        If there is no value, lengths differ, or a value is nan.

    References
    ----------
    Efron and Tibshirani, An introduction to the bootstrap, 1993.
    """
    values, person = np.asarray(values, dtype=np.float64), np.asarray(person)
    if values.ndim != 1 or values.shape != person.shape or values.size == 0:
        raise ValueError(f"expected one person per value, got {values.shape} and {person.shape}")
    if np.isnan(values).any():
        raise ValueError(f"{np.count_nonzero(np.isnan(values))} of {values.size} values are nan")
    if values.min() == -inf and values.max() == inf:
        raise ValueError("values hold both infinities, which have no mean")
    order = np.lexsort((values, person))
    values = values[order]
    _, who, counts = np.unique(person[order], return_inverse=True, return_counts=True)
    value = fsum(values) / values.size if statistic == "mean" else float(np.median(values))
    if len(counts) < 2:
        return Estimate(value, nan, nan)
    draws = person_draws(len(counts), n_resamples, seed)
    if statistic == "median":
        return _percentile(value, resampled_median(values, who, draws), level)
    sums = np.add.reduceat(values, np.cumsum(counts) - counts)
    drawn_sums = np.where(draws > 0, draws * np.where(draws > 0, sums, 0.0), 0.0).sum(axis=1)
    return _percentile(value, drawn_sums / (draws @ counts), level)


def classification_interval(
    truth: Array,
    called: Array,
    person: Array,
    n_classes: int,
    n_resamples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> dict[str, Estimate]:
    """Accuracy, balanced accuracy and macro-F1 with percentile intervals of one bootstrap over persons.

    Exact binomial on persons instead for a metric whose value is exactly 0 or 1, or if there are fewer than
    20 persons.

    Parameters
    ----------
    truth, called : (n,) int array
        As for `confusion`.
    person : (n,) int array
        Any code of the person behind each beat; drawn in the order of the codes.
    n_classes : int
    n_resamples, seed : int
    level : float in (0, 1)

    Returns
    -------
    dict of Estimate
        ``accuracy``, ``balanced-accuracy``, ``macro-f1``. Balanced accuracy averages over the classes present
        in the resample, since a rare class may be that of one person.

    Raises
    ------
    ValueError
        See `confusion`; also if there is not one person per beat.
    """
    truth, called, person = np.asarray(truth), np.asarray(called), np.asarray(person)
    if person.shape != truth.shape:
        raise ValueError(f"expected one person per beat, got {person.shape} and {truth.shape}")
    total = confusion(truth, called, n_classes)
    codes, who = np.unique(person, return_inverse=True)
    persons = len(codes)
    # One confusion matrix per person, counted in one go: a class of a person is a class of its own.
    width = n_classes + 1
    cell = (who * n_classes + truth) * width + np.where(called < 0, n_classes, called)
    matrices = np.bincount(cell, minlength=persons * n_classes * width).reshape(persons, -1)
    drawn = (person_draws(persons, n_resamples, seed) @ matrices).reshape(-1, n_classes, width)

    def interval(slug: str) -> Estimate:
        value = float(FROM_CONFUSION[slug](total))
        if persons < FEW or value in (0.0, 1.0):
            return clopper_pearson(value, persons, level)
        return _percentile(value, FROM_CONFUSION[slug](drawn), level)

    return {slug: interval(slug) for slug in FROM_CONFUSION}


def envelope(
    estimates: Sequence[Estimate], persons: int, strongest: Literal["min", "max"], level: float = 0.95
) -> Estimate:
    """Combine k attackers into the strongest, with an interval that allows for having looked at all.

    The lowest of k EERs is low partly by luck, and a bootstrap of that minimum repeats the luck: its
    intervals miss the truth in up to a quarter of cases. The envelope takes each attacker's interval at (1 -
    level)/k and spans the lowest lower to the lowest upper end (for ``max``: highest to highest), which
    covers at least as often as it says. To name one attacker with its own interval, choose it on other
    persons than it is reported on.

    Parameters
    ----------
    estimates : sequence of Estimate
        EERs (``min``) or identification rates (``max``) of the k attackers on the same persons, each with its
        interval at `level` from `eer_interval` or `rank_interval`.
    persons : int
        Persons probed.
    strongest : "min" or "max"
    level : float in (0, 1)
        Of the given intervals and of the envelope.

    Returns
    -------
    Estimate
        The value is the plain minimum (maximum), which errs on the side of the attacker.

    Raises
    ------
    ValueError
        If there is no estimate, or one is not ordered within [0, 1].
    """
    if len(estimates) == 0 or not all(0 <= e.low <= e.value <= e.high <= 1 for e in estimates):
        raise ValueError("expected at least one estimate with low <= value <= high in [0, 1]")
    wide = [_widened(e, persons, len(estimates), level) for e in estimates]
    pick = min if strongest == "min" else max
    return Estimate(pick(e.value for e in wide), pick(e.low for e in wide), pick(e.high for e in wide))


def _widened(estimate: Estimate, persons: int, k: int, level: float) -> Estimate:
    """Widen to a k-th of the error: scale up the logit half-widths, or redo the exact binomial."""
    if k == 1:
        return estimate
    tail = (1 - level) / (2 * k)
    if persons < FEW or estimate.value in (0.0, 1.0):
        return clopper_pearson(estimate.value, persons, 1 - 2 * tail)
    factor = float(stdtrit(persons - 1, 1 - tail) / stdtrit(persons - 1, (1 + level) / 2))
    low, value, high = (float(logit(end)) for end in (estimate.low, estimate.value, estimate.high))
    return Estimate(
        estimate.value,
        float(expit(value + factor * (low - value))),
        float(expit(value + factor * (high - value))),
    )
