"""Sex from eigen-beats: the floor of attackers that guess it."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from agile_bench.api import Array, AttributeAttacker, Beats, Context, NotComputable, State
from agile_bench.nn.mean_beats import DIGITS, PENALTIES, fit_views, mean_beats, settle, views

SURE = 1e-6
"""Least probability of what happened, when a guess is judged."""


class Sex(AttributeAttacker):
    """Logistic regression on the mean beat of a record, both sexes weighing the same.

    Its features are coefficients on the leading singular vectors of the pool's mean beats, in mV and without their
    amplitude. How many, and how strongly they are shrunk, is what tells people of the pool best who were left out.
    All beats of a record get the record's guess.
    """

    source: ClassVar[str] = "Attia et al. 2019 (sex from an ECG); here linear on eigen-beats, a floor"
    target: ClassVar[Literal["sex", "age"]] = "sex"
    learns: ClassVar[frozenset[str]] = frozenset({"sex", "subject"})

    def fit(self, pool: Beats, ctx: Context) -> State:
        """Views of the mean beats, and the weights of the regression.

        Raises
        ------
        NotComputable
            If the pool has people of one sex only.
        """
        assert pool.sex is not None
        assert pool.subject is not None  # both declared in `learns`
        means, first, _ = mean_beats(pool)
        female, known = pool.sex[first] == 1, pool.sex[first] >= 0
        means, female, person = means[known], female[known], pool.subject[first][known]
        if female.all() or not female.any():
            raise NotComputable("the pool has people of one sex only")

        def loss(x: Array, rows: Array, tried: Array, held: Array) -> Array:
            return np.array([_loss(_regression(x, female[rows], p), tried, female[held]) for p in PENALTIES])

        k, penalty = settle(means, person, loss, ctx)
        state = fit_views(means, k)
        weights = _regression(views(state, means), female, penalty)
        return state | {"weights": weights}

    def predict(self, state: State, probes: Beats, ctx: Context) -> Array:
        """Probability of female, (n,)."""
        means, _, place = mean_beats(probes)
        probability: Array = np.round(_probability(state["weights"], views(state, means)), DIGITS)[place]
        return probability


def _regression(x: Array, female: Array, penalty: float) -> Array:
    """Weights (d + 1,) of a logistic regression, the intercept last; zeros where only one sex is there."""
    from sklearn.linear_model import LogisticRegression

    if female.all() or not female.any():
        return np.zeros(x.shape[1] + 1)
    model = LogisticRegression(C=1 / penalty, class_weight="balanced", max_iter=1000).fit(x, female)
    weights: Array = np.append(model.coef_[0], model.intercept_[0])
    return weights


def _probability(weights: Array, x: Array) -> Array:
    from scipy.special import expit

    probability: Array = expit(x @ weights[:-1] + weights[-1])
    return probability


def _loss(weights: Array, x: Array, female: Array) -> float:
    """Sum of the negative log-likelihoods, both sexes weighing the same."""
    given = np.clip(_probability(weights, x), SURE, 1 - SURE)
    log_loss = -np.log(np.where(female, given, 1 - given))
    weight = np.where(female, 1 / max(1, int(female.sum())), 1 / max(1, int((~female).sum())))
    return float((log_loss * weight).sum() * len(female))
