"""Bootstrap of persons: draws them, and evaluates EERs and medians under their multiplicities.

All weights are integers and are summed as such, so that no order of rows changes a bit of the result.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from math import nan

import numpy as np

from agile_bench.metrics.scores import Array

__all__ = ["Block", "person_draws", "resampled_eer", "resampled_median"]

Block = tuple[Array, Array]
"""Checked scores (n_probe, n_enrolled) and the column of each probe's person."""


def person_draws(n_persons: int, n_resamples: int, seed: int) -> Array:
    """How often each person is drawn in each resample.

    Parameters
    ----------
    n_persons, n_resamples : int
    seed : int

    Returns
    -------
    (n_resamples, n_persons) int64, each row sums to n_persons
    """
    share = np.full(n_persons, 1 / n_persons)
    return np.random.default_rng(seed).multinomial(n_persons, share, size=n_resamples)


def resampled_eer(blocks: Sequence[Block], draws: Array) -> Array:
    """EER of each resample of persons, who are drawn as probes and as gallery at once.

    A genuine pair of person p weighs w_p, an impostor pair of p and q weighs w_p w_q; copies of one person
    are never impostors of each other.

    Parameters
    ----------
    blocks : sequence of (scores, subject)
        Galleries of different persons; pairs are made within a block only.
    draws : (n_resamples, n_persons) int array
        Persons in the order of the columns, block after block.

    Returns
    -------
    (n_resamples,) float64
        nan where a resample is left without a genuine or an impostor pair.
    """
    pairing = _Pairing(blocks, draws.shape[1])
    return np.array([pairing.eer(weight) for weight in draws], dtype=np.float64)


class _Pairing:
    """The pooled pairs, sorted once from the top down, and where each distinct threshold cuts them."""

    def __init__(self, blocks: Sequence[Block], n_persons: int) -> None:
        genuine, person, impostor, pair = [], [], [], []
        offset = 0
        for scores, subject in blocks:
            columns = np.arange(scores.shape[1])
            mated = columns == subject[:, None]
            genuine.append(-scores[mated])
            person.append(subject + offset)
            impostor.append(-scores[~mated])
            pair.append(((subject[:, None] + offset) * n_persons + columns + offset)[~mated])
            offset += scores.shape[1]
        g, self.person = _sorted_with(np.concatenate(genuine), np.concatenate(person))
        i, self.pair = _sorted_with(np.concatenate(impostor), np.concatenate(pair))
        thresholds = np.unique(np.concatenate([g, i]))
        self.genuine_end = np.concatenate([[0], np.searchsorted(g, thresholds, "right")])
        self.impostor_end = np.concatenate([[0], np.searchsorted(i, thresholds, "right")])
        self.pairs_of = np.bincount(self.pair, minlength=n_persons**2)
        # The walk starts from the top and ends shortly after the crossing, so only a part of the pairs is
        # weighed.
        self.reach = min(i.size, 1024)

    def eer(self, weight: Array) -> float:
        table = np.outer(weight, weight).ravel()
        accepted_g = np.concatenate([[0], np.cumsum(weight[self.person])])
        total_g, total_i = int(accepted_g[-1]), int(table @ self.pairs_of)
        if total_g == 0 or total_i == 0:
            return nan

        while True:
            accepted_i = np.concatenate([[0], np.cumsum(table[self.pair[: self.reach]])])
            reached = int(np.searchsorted(self.impostor_end, self.reach, "right"))

            def vertex(j: int, accepted_i: Array = accepted_i) -> tuple[int, int]:
                """Count accepted impostors, and FMR - FNMR times both totals, j thresholds down."""
                accepted = int(accepted_i[self.impostor_end[j]])
                missed = total_g - int(accepted_g[self.genuine_end[j]])
                return accepted, accepted * total_g - missed * total_i

            low = bisect_left(range(reached), True, key=lambda j: vertex(j)[1] > 0)
            if low < reached:
                break
            self.reach = min(self.pair.size, 2 * self.reach)

        accepted_low, gap_low = vertex(low)
        accepted_high, gap_high = vertex(low - 1)
        return (accepted_high * gap_low - accepted_low * gap_high) / (total_i * (gap_low - gap_high))


def _sorted_with(keys: Array, values: Array) -> tuple[Array, Array]:
    order = np.argsort(keys)
    return keys[order], values[order]


def resampled_median(values: Array, person: Array, draws: Array) -> Array:
    """Median of the items of each resample of persons.

    Parameters
    ----------
    values : (n,) float array
    person : (n,) int array
        Index of each item's person, in 0..n_persons-1.
    draws : (n_resamples, n_persons) int array

    Returns
    -------
    (n_resamples,) float64
        nan where no drawn person has an item.
    """
    ascending, who = _sorted_with(np.asarray(values, dtype=np.float64), person)

    def median(weight: Array) -> float:
        below = np.cumsum(weight[who])
        if below[-1] == 0:
            return nan
        middle = np.searchsorted(2 * below, [below[-1], below[-1] + 1])
        lower, upper = ascending[middle]
        return float(lower if lower == upper else (lower + upper) / 2)

    return np.array([median(weight) for weight in draws], dtype=np.float64)
