"""Whether the positive and the permuted controls of a run are what they must be, by exact tests against chance."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import ceil, floor
from typing import Any

import numpy as np
from scipy.stats import binomtest

Cell = tuple[str, str]
"""Dataset and attacker."""
ROUNDING = 1e-9


@dataclass(frozen=True)
class Rate:
    """A rank-1 rate of probe records."""

    value: float
    low: float
    high: float
    probes: int
    people: int

    def beats_chance(self) -> float:
        """P-value of one-sided exact binomial test; ties that count in part are rounded down."""
        return self._p(floor(self.value * self.probes + ROUNDING))

    def looks_better_than_chance(self) -> float:
        """The same with ties rounded up, so that chance is not called chance too easily."""
        return self._p(ceil(self.value * self.probes - ROUNDING))

    def _p(self, hits: int) -> float:
        return float(binomtest(hits, self.probes, 1 / self.people, alternative="greater").pvalue)


def positive(rows: Iterable[Mapping[str, Any]]) -> dict[Cell, Rate]:
    """Attackers on unprotected recordings; of a floor attacker the floor that it sets alone."""
    return _rates(row for row in rows if row["control"] == "positive" or row["role"] == "floor")


def permuted(rows: Iterable[Mapping[str, Any]]) -> dict[Cell, Rate]:
    """Attackers whose gallery's names were shuffled beat by beat."""
    return _rates(row for row in rows if row["control"] == "permuted")


def _rates(rows: Iterable[Mapping[str, Any]]) -> dict[Cell, Rate]:
    found = {}
    for row in rows:
        if (row["metric"], row["level"], row["status"]) == ("rank-1", "record", "ok") and "+" not in row["plugin"]:
            found[row["dataset"], row["plugin"]] = Rate(
                row["value"], row["low"], row["high"], row["n_genuine"], row["n_impostor"] // row["n_genuine"] + 1
            )
    return found


def holm(p: Mapping[Cell, float]) -> dict[Cell, float]:
    """P-values adjusted for there being many (Holm 1979)."""
    order = sorted(p, key=p.__getitem__)
    steps = [min(1.0, (len(p) - turn) * p[cell]) for turn, cell in enumerate(order)]
    return dict(zip(order, np.maximum.accumulate(steps).tolist(), strict=True)) if p else {}
