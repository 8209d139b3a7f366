import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score

from agile_bench.metrics.classification import accuracy, balanced_accuracy, confusion, macro_f1, majority

beats = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=60).map(
    lambda rows: np.array(rows).T
)


@given(beats)
def test_metrics_equal_scikit_learn(calls: np.ndarray) -> None:
    truth, called = calls
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a call of a class that is absent from truth
        balanced = balanced_accuracy_score(truth, called)
    assert accuracy(truth, called, 5) == pytest.approx(accuracy_score(truth, called))
    assert balanced_accuracy(truth, called, 5) == pytest.approx(balanced)
    assert macro_f1(truth, called, 5) == pytest.approx(
        f1_score(truth, called, labels=list(range(5)), average="macro", zero_division=0)
    )
    assert majority(truth) == accuracy(truth, np.full_like(truth, np.bincount(truth).argmax()), 5)


def test_missing_class_leaves_recall_but_not_f1() -> None:
    truth = np.array([0, 0, 1, 1])
    assert balanced_accuracy(truth, truth, 3) == 1
    assert macro_f1(truth, truth, 3) == pytest.approx(2 / 3)


def test_beat_without_a_call_is_an_error() -> None:
    truth, called = np.array([0, 0, 1], dtype=np.int8), np.array([0, -1, 1], dtype=np.int8)
    assert confusion(truth, called, 2).tolist() == [[1, 0, 1], [0, 1, 0]]
    assert accuracy(truth, called, 2) == pytest.approx(2 / 3)
    assert balanced_accuracy(truth, called, 2) == pytest.approx(3 / 4)
    assert macro_f1(truth, called, 2) == pytest.approx((2 / 3 + 1) / 2)


@pytest.mark.parametrize(
    ("truth", "called", "message"),
    [
        ([0, 1], [0], "equally long"),
        ([], [], "equally long"),
        ([0.0], [0.0], "integers"),
        ([2], [0], "0..1"),
        ([-1], [0], "0..1"),
        ([0], [2], "0..1"),
        ([0], [-2], "0..1"),
    ],
)
def test_bad_classes_are_refused(truth: list[int], called: list[int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        confusion(np.array(truth), np.array(called), 2)


def test_majority_refuses_unknown_classes_and_nothing() -> None:
    for truth in ([], [0, -1]):
        with pytest.raises(ValueError, match="known class"):
            majority(np.array(truth, dtype=int))
