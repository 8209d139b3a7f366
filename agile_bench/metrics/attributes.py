"""How well sex and age of people are guessed, with intervals over persons: every person gives one guess.

Folds have attackers of their own, whose guesses need not share a scale, so two people are compared within a fold only.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import fsum, nan, sqrt

import numpy as np
from scipy.special import expit, logit, ndtri, stdtrit
from scipy.stats import rankdata

from agile_bench.metrics import resampling
from agile_bench.metrics.intervals import Estimate, clopper_pearson
from agile_bench.metrics.scores import Array

__all__ = ["AGE_BANDS", "age_band", "auroc_interval", "auroc_over_folds", "balanced_threshold", "r2_interval"]

AGE_BANDS = (40.0, 60.0, 80.0)
"""Years at which an age band begins: below 40, 40-59, 60-79, 80 and above."""

_CLIP = 1e-4


def auroc_interval(guess: Array, positive: Array, fold: Array, level: float = 0.95) -> Estimate:
    """Chance that a positive person's guess is above a negative one's in the same fold, a tie counting half.

    The variance of each fold's area is DeLong's, the interval is normal on the logit scale. Exact binomial on the
    rarer kind of person instead where the area is 0 or 1 or its variance 0, as it is where all guesses tie.

    Parameters
    ----------
    guess : (n,) float array
        Finite; one per person, higher for positive.
    positive : (n,) bool array
    fold : (n,) int array
        Any code of the fold of each person; folds weigh by their pairs, one without a pair says nothing.
    level : float in (0, 1)

    Raises
    ------
    ValueError
        If lengths differ, a guess is not finite, or no fold has both kinds of people.

    References
    ----------
    DeLong, DeLong and Clarke-Pearson, Biometrics 1988.
    """
    areas, variances, pairs = _folds(guess, positive, fold)
    value, variance = _pooled(areas, pairs), fsum((pairs / pairs.sum()) ** 2 * variances)
    if value in (0.0, 1.0) or variance < _CLIP**2:
        positive = np.asarray(positive, bool)
        return clopper_pearson(value, int(min(positive.sum(), (~positive).sum())), level)
    centre = np.clip(value, _CLIP, 1 - _CLIP)
    half = float(ndtri((1 + level) / 2)) * sqrt(variance) / (centre * (1 - centre))
    return Estimate(value, float(expit(logit(centre) - half)), float(expit(logit(centre) + half)))


def auroc_over_folds(guess: Array, positive: Array, fold: Array, level: float = 0.95) -> Estimate:
    """The area of `auroc_interval`, with Student's interval from how the folds' areas spread.

    For attackers that were taught nonsense: where a cue is strong, one has learnt it or its opposite by luck, so that
    whole folds and not people are right or wrong together.

    Parameters
    ----------
    guess, positive, fold, level
        As for `auroc_interval`.

    Returns
    -------
    Estimate
        Within [0, 1]; without an interval (nan) if one fold only has both kinds of people.

    Raises
    ------
    ValueError
        See `auroc_interval`.
    """
    areas, _, pairs = _folds(guess, positive, fold)
    value = _pooled(areas, pairs)
    if len(areas) < 2:
        return Estimate(value, nan, nan)
    half = float(stdtrit(len(areas) - 1, (1 + level) / 2)) * float(np.std(areas, ddof=1)) / sqrt(len(areas))
    return Estimate(value, max(0.0, value - half), min(1.0, value + half))


def _pooled(areas: Array, pairs: Array) -> float:
    return fsum(pairs * areas) / int(pairs.sum())


def _folds(guess: Array, positive: Array, fold: Array) -> tuple[Array, Array, Array]:
    """Area, DeLong's variance and number of pairs of each fold that has any."""
    guess, positive, fold = np.asarray(guess, np.float64), np.asarray(positive, bool), np.asarray(fold)
    if guess.ndim != 1 or not guess.shape == positive.shape == fold.shape or not np.isfinite(guess).all():
        raise ValueError(f"expected one finite guess a person, got {guess.shape}, {positive.shape}, {fold.shape}")
    found = []
    for code in np.unique(fold):
        there = fold == code
        above, below = guess[there & positive], guess[there & ~positive]
        if len(above) and len(below):
            found.append((*_delong(above, below), len(above) * len(below)))
    if not found:
        raise ValueError("no fold has people of both kinds")
    areas, variances, pairs = (np.array(column) for column in zip(*found, strict=True))
    return areas, variances, pairs


def _delong(above: Array, below: Array) -> tuple[float, float]:
    """Area and its variance; a kind of which there is one person adds nothing to the variance."""
    m, n = len(above), len(below)
    joint = rankdata(np.concatenate((above, below)))
    of_above = (joint[:m] - rankdata(above)) / n
    of_below = 1 - (joint[m:] - rankdata(below)) / m
    variance = sum(float(np.var(v, ddof=1)) / len(v) for v in (of_above, of_below) if len(v) > 1)
    return float(of_above.mean()), variance


def balanced_threshold(guess: Array, positive: Array) -> float:
    """Midway between the mean guesses of the two kinds of people; of one that is absent, nan.

    Parameters
    ----------
    guess : (n,) float array
        Of the people that were learnt from, one each: probes have no say.
    positive : (n,) bool array
    """
    guess, positive = np.asarray(guess, np.float64), np.asarray(positive, bool)
    if positive.all() or not positive.any():
        return nan
    return float((guess[positive].mean() + guess[~positive].mean()) / 2)


def age_band(years: Array) -> Array:
    """Index of each age in the bands that begin at 0 and `AGE_BANDS`, (n,) int."""
    band: Array = np.searchsorted(np.array(AGE_BANDS), np.asarray(years, np.float64), side="right")
    return band


def r2_interval(guess: Array, truth: Array, n_resamples: int = 1000, seed: int = 0, level: float = 0.95) -> Estimate:
    """Share of the variance of the truth that the guesses explain, with percentiles of a bootstrap over persons.

    Parameters
    ----------
    guess, truth : (n,) float array
        One per person.
    n_resamples, seed : int
    level : float in (0, 1)

    Returns
    -------
    Estimate
        1 for perfect guesses, 0 for always guessing the mean truth, below 0 for worse; nan where all truths are equal.

    Raises
    ------
    ValueError
        If lengths differ or there are fewer than two persons.
    """
    guess, truth = np.asarray(guess, np.float64), np.asarray(truth, np.float64)
    if guess.ndim != 1 or guess.shape != truth.shape or len(truth) < 2:
        raise ValueError(f"expected a guess each of two persons or more, got {guess.shape} and {truth.shape}")
    draws = resampling.person_draws(len(truth), n_resamples, seed)
    value, *resampled = _r2(np.concatenate((np.ones((1, len(truth)), draws.dtype), draws)), guess, truth)
    known = np.array(resampled)[~np.isnan(resampled)]
    if np.isnan(value) or not len(known):
        return Estimate(float(value), nan, nan)
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2], method="inverted_cdf")
    return Estimate(float(value), float(low), float(high))


def _r2(draws: Array, guess: Array, truth: Array) -> Sequence[float]:
    persons = draws.shape[1]
    mean = draws @ truth / persons
    spread = draws @ np.square(truth) / persons - np.square(mean)
    error = draws @ np.square(guess - truth) / persons
    told: list[float] = np.where(spread > 1e-9, 1 - error / np.where(spread > 1e-9, spread, 1), nan).tolist()
    return told
