"""Age from eigen-beats: the floor of attackers that guess it."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from agile_bench.api import Array, AttributeAttacker, Beats, Context, NotComputable, State
from agile_bench.nn.mean_beats import DIGITS, PENALTIES, fit_views, mean_beats, settle, views


class Age(AttributeAttacker):
    """Ridge regression on the mean beat of a record, kept within the ages of the pool.

    Its features are coefficients on the leading singular vectors of the pool's mean beats, in mV and without their
    amplitude. How many, and how strongly they are shrunk, is what tells people of the pool best who were left out.
    All beats of a record get the record's guess.
    """

    source: ClassVar[str] = "Attia et al. 2019 (age from an ECG); here linear on eigen-beats, a floor"
    target: ClassVar[Literal["sex", "age"]] = "age"
    learns: ClassVar[frozenset[str]] = frozenset({"age", "subject"})

    def fit(self, pool: Beats, ctx: Context) -> State:
        """Views of the mean beats, the weights of the regression, and the ages of the youngest and the oldest.

        Raises
        ------
        NotComputable
            If the age of fewer than two records of the pool is known.
        """
        assert pool.age is not None
        assert pool.subject is not None  # both declared in `learns`
        means, first, _ = mean_beats(pool)
        age = pool.age[first].astype(np.float64)
        known = np.isfinite(age)
        means, age, person = means[known], age[known], pool.subject[first][known]
        if len(age) < 2:
            raise NotComputable("fewer than two records of the pool have a known age")

        def loss(x: Array, rows: Array, tried: Array, held: Array) -> Array:
            errors = [_guess(_regression(x, age[rows], p), tried) - age[held] for p in PENALTIES]
            summed: Array = np.abs(np.stack(errors)).sum(axis=1)
            return summed

        k, penalty = settle(means, person, loss, ctx)
        state = fit_views(means, k)
        weights = _regression(views(state, means), age, penalty)
        return state | {"weights": weights, "ends": np.array([age.min(), age.max()])}

    def predict(self, state: State, probes: Beats, ctx: Context) -> Array:
        """Years, (n,)."""
        means, _, place = mean_beats(probes)
        years = np.clip(_guess(state["weights"], views(state, means)), *state["ends"])
        rounded: Array = np.round(years, DIGITS)[place]
        return rounded


def _regression(x: Array, age: Array, penalty: float) -> Array:
    """Weights (d + 1,) of a ridge regression, the intercept last."""
    from sklearn.linear_model import Ridge

    model = Ridge(alpha=penalty).fit(x, age)
    weights: Array = np.append(model.coef_, model.intercept_)
    return weights


def _guess(weights: Array, x: Array) -> Array:
    years: Array = x @ weights[:-1] + weights[-1]
    return years
