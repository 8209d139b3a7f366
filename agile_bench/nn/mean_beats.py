"""Linear guesses from the mean beat of each record: what attackers of sex and age share; numpy only."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from agile_bench.api import Array, Beats, Context, State
from agile_bench.nn.beats import FLAT, z_score

__all__ = ["DIGITS", "PENALTIES", "fit_views", "mean_beats", "settle", "views"]

SIZES = (5, 10, 20, 40)
"""Singular vectors of each view, the most cautious first."""
PENALTIES = (1e4, 1e3, 300.0, 100.0, 30.0, 10.0, 3.0, 1.0)
"""Weights of the squared coefficients in what is minimised, the most cautious first."""
FOLDS = 5
DIGITS = 6
"""Decimals of a guess: records that are alike tie exactly."""

Loss = Callable[[Array, Array, Array, Array], Array]
"""Of features (m, d) and rows to learn from, and features (l, d) and rows to guess: the sum of losses per penalty."""


def mean_beats(beats: Beats) -> tuple[Array, Array, Array]:
    """Mean beat of every record, in order of first appearance.

    Parameters
    ----------
    beats : Beats

    Returns
    -------
    means : (m, 200) float64 array
        mV.
    first : (m,) int array
        First row of each record.
    place : (n,) int array
        Row of `means` of each beat.
    """
    _, first, code = np.unique(beats.record, return_index=True, return_inverse=True)
    order = np.argsort(first)
    place = np.argsort(order)[code.reshape(-1)]
    sums = np.zeros((len(first), beats.signal.shape[1]))
    np.add.at(sums, place, beats.signal)
    return sums / np.bincount(place)[:, None], first[order], place


def fit_views(means: Array, k: int) -> State:
    """Leading singular vectors of mean beats in mV and of their shapes, scaled to coefficients of unit variance.

    Amplitude is a cue to sex that a shape has not, and a shape is told more exactly without it, hence both.

    Parameters
    ----------
    means : (m, 200) array
        mV.
    k : int
        Vectors of each view; directions that hold rounding noise only are blanked.

    Returns
    -------
    State
        ``mean`` (2, 200) and ``basis`` (2, 200, k).
    """
    found = [_basis(x, k) for x in _both(means)]
    return {"mean": np.stack([mean for mean, _ in found]), "basis": np.stack([basis for _, basis in found])}


def views(state: State, means: Array) -> Array:
    """Coefficients of mean beats (m, 200) in both views, (m, 2k)."""
    both = zip(_both(means), state["mean"], state["basis"], strict=True)
    coefficients: Array = np.concatenate([(x - mean) @ basis for x, mean, basis in both], axis=1)
    return coefficients


def _both(means: Array) -> tuple[Array, Array]:
    return means.astype(np.float64), z_score(means)


def _basis(x: Array, k: int) -> tuple[Array, Array]:
    mean = x.mean(axis=0)
    _, size, rows = np.linalg.svd(x - mean, full_matrices=False)
    spread = size[:k] / np.sqrt(len(x))
    told = spread > FLAT
    basis = np.zeros((x.shape[1], k))
    basis[:, : len(spread)] = rows[:k].T * told / np.where(told, spread, 1.0)
    return mean, basis


def settle(means: Array, person: Array, loss: Loss, ctx: Context) -> tuple[int, float]:
    """Choose the number of singular vectors and the penalty on the pool: four fifths of its people tell of the rest.

    Parameters
    ----------
    means : (m, 200) array
        Mean beats, mV.
    person : (m,) int array
        Person of each record.
    loss : callable
        Sum of losses for each of `PENALTIES`.
    ctx : Context
        Seeds the folds of people.

    Returns
    -------
    (int, float)
        With the least loss; of equals, the most cautious.
    """
    people, who = np.unique(person, return_inverse=True)
    fold = (ctx.rng("settle").permutation(len(people)) % FOLDS)[who.reshape(-1)]
    losses = np.zeros((len(SIZES), len(PENALTIES)))
    for number, k in enumerate(SIZES):
        for held in range(FOLDS):
            rest, tried = np.flatnonzero(fold != held), np.flatnonzero(fold == held)
            if len(rest) and len(tried):
                state = fit_views(means[rest], k)
                losses[number] += loss(views(state, means[rest]), rest, views(state, means[tried]), tried)
    size, penalty = np.unravel_index(np.round(losses, DIGITS).argmin(), losses.shape)
    return SIZES[int(size)], PENALTIES[int(penalty)]
