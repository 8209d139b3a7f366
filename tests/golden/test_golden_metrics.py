"""Every row of `metrics.csv`: values worked by hand or by quadrature, computed from the inputs of their case.

``gauss-d`` and ``rank-d-n`` are sampled: genuine scores N(d, 1), impostor scores N(0, 1), n enrolled persons.
"""

import csv
from fractions import Fraction
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from agile_bench.metrics.classification import accuracy, balanced_accuracy, macro_f1
from agile_bench.metrics.distortion import distortions
from agile_bench.metrics.divergence import cross_entropy, kl, softmax
from agile_bench.metrics.scores import eer, rank_k

with (Path(__file__).parent / "metrics.csv").open() as file:
    ROWS = list(csv.DictReader(file))

HAND = {
    "H1": ([3, 4], [1, 2]),
    "H2": ([1, 3, 4, 5], [0, 0.5, 2, 2.5]),
    "H3": ([1, 2, 2, 3], [0, 1, 1, 2]),
    "H4": ([1, 1, 1], [1, 1, 1, 1]),
    "H5": ([1, 2], [3, 4]),
    "H6": ([2], [0, 1, 2, 3]),
    "H7": ([9, 8, 4], [7, 5, 3, 2, 1]),
    "H8": ([5, 5, 3], [5, 3, 1, 1]),
    "H9": ([2.5], [0, 1, 2, 3]),
    "H10": ([2, 4, 6, 8], [1, 3, 5, 7]),
    "H11": ([2, 2, 2, 1], [2, 1, 1, 1]),
    "H12-1/2": ([1, 1, 1], [1, 0]),
    "H12-1/5": ([1, 1, 1], [1, 0, 0, 0, 0]),
    "H12-1/10": ([1, 1, 1], [1] + [0] * 9),
}
CMC = {"cmc-a": [1, 1, 1, 0], "cmc-b": [2, 3, 2, 1], "cmc-c": [1, 1, 1, 1], "cmc-d": [0, 1, 1, 1]}
"""First column is the mate."""


def one_hot(k: int, n: int) -> list[float]:
    return [float(j == k) for j in range(n)]


def clipped(p: list[float], floor: float) -> list[float]:
    kept = np.maximum(p, floor)
    return list(kept / kept.sum())


POSTERIORS = {
    "K1": ([0.7, 0.2, 0.1], [1 / 3] * 3),
    "K2": ([0.9, 0.1], [0.1, 0.9]),
    "K3": ([0.9, 0.1], [0.5, 0.5]),
    "K3-swapped": ([0.5, 0.5], [0.9, 0.1]),
    "K4": (one_hot(0, 89), one_hot(1, 89)),
    "K6": ([0.7, 0.2, 0.1], [0.7, 0.2, 0.1]),
    "onehot-uniform-89": (one_hot(0, 89), [1 / 89] * 89),
    "onehot-uniform-268": (one_hot(0, 268), [1 / 268] * 268),
    **{
        f"K4-clipped-{c}": (clipped(one_hot(0, 89), float(c)), clipped(one_hot(1, 89), float(c)))
        for c in ("1e-6", "1e-9", "1e-12")
    },
    **{
        f"K5-{t}": tuple(softmax(np.array([s]), float(t))[0] for s in ([3, 0, 0], [0, 3, 0]))
        for t in ("0.5", "1", "2", "4")
    },
}

Z = np.array([1.0, -1.0, 1.0, -1.0])
RAMP = np.array([0.0, 1.0, 2.0, 3.0])
WAVES = {
    "S1": (RAMP, np.array([0.0, 1.0, 2.0, 4.0])),
    "S2": (Z, Z + 0.5),
    "S3": (Z + 1024, Z + 1024.5),
    "S4": (Z, 0.5 * Z),
    "S5": (Z, -Z),
    "S6": (RAMP, np.full(4, 1.5)),
    "S7": (RAMP, RAMP),
    "S8": (np.full(4, 0.1), np.full(4, 1.1)),
}

EC57 = np.array([[90, 4, 6, 0, 0], [3, 5, 2, 0, 0], [2, 1, 16, 1, 0], [1, 0, 3, 6, 0], [0, 1, 2, 0, 1]])
"""Beats by true class (rows N, S, V, F, Q) and call."""


@cache
def sampled_scores(d: int, n: int) -> np.ndarray:
    scores = np.random.default_rng(1000 * d + n).normal(size=(20_000, n)).astype(np.float32)
    scores[:, 0] += d
    return scores


def identity_metric(case: str, metric: str) -> float:
    kind, *rest = case.split("-")
    if kind == "gauss":
        rng = np.random.default_rng(int(rest[0]))
        return eer(rng.normal(int(rest[0]), 1, 1_000_000), rng.normal(0, 1, 1_000_000))
    if metric == "eer":
        return eer(*(np.array(side) for side in HAND[case]))
    scores = sampled_scores(int(rest[0]), int(rest[1])) if kind == "rank" else np.array([CMC[case]])
    return rank_k(scores, np.zeros(len(scores), dtype=int), int(metric.removeprefix("rank-")))


def posterior_metric(case: str, metric: str) -> float:
    if metric == "cross-entropy":
        p = np.array([0.9, 0.5, 0.25])
        return float(cross_entropy(np.log(np.column_stack([p, 1 - p])), np.zeros(3, dtype=int)).mean())
    p, q = (np.array([row]) for row in POSTERIORS[case])
    middle = (p + q) / 2
    value = {
        "kl": lambda: kl(p, q, mix=0),
        "kl-mixed": lambda: kl(p, q),
        "kl-reversed": lambda: kl(q, p, mix=0),
        "js": lambda: (kl(p, middle, mix=0) + kl(q, middle, mix=0)) / 2,
    }[metric]()
    return float(value[0])


def class_metric(case: str, metric: str) -> float:
    matrix = EC57[:4] if case == "EC57-without-Q" else EC57
    truth, called = (np.repeat(index.ravel(), matrix.ravel()) for index in np.indices(matrix.shape))
    function = {"accuracy": accuracy, "balanced-accuracy": balanced_accuracy, "macro-f1": macro_f1}[metric]
    return function(truth, called, 5)


def computed(case: str, metric: str) -> float:
    if metric == "eer" or metric.startswith("rank-"):
        return identity_metric(case, metric)
    if case in WAVES:
        x, y = WAVES[case]
        return float(distortions(x[None], y[None], np.array([7]))[metric][0])
    if case.startswith("EC57"):
        return class_metric(case, metric)
    return posterior_metric(case, metric)


@pytest.mark.parametrize("row", ROWS, ids=[f"{row['case']}:{row['metric']}" for row in ROWS])
def test_golden_value(row: dict[str, str]) -> None:
    text = row["expected"]
    expected = float(Fraction(text)) if "/" in text else float(text)
    assert computed(row["case"], row["metric"]) == pytest.approx(
        expected, rel=0, abs=float(row["tolerance"]), nan_ok=True
    )


def test_the_table_is_whole() -> None:
    names = [(row["case"], row["metric"]) for row in ROWS]
    assert len(set(names)) == len(names)
    assert {case for case, _ in names} >= {*HAND, *CMC, *POSTERIORS, *WAVES}
