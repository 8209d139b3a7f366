"""Metrics of class calls against true classes, all computed from one confusion matrix.

The list of classes is fixed beforehand (AAMI EC57: N, S, V, F, Q), so that a class that happens to be missing
from a test set does not change what is averaged without notice.
"""

from __future__ import annotations

import numpy as np

from agile_bench.metrics.scores import Array

__all__ = ["FROM_CONFUSION", "accuracy", "balanced_accuracy", "confusion", "macro_f1", "majority"]


def confusion(truth: Array, called: Array, n_classes: int) -> Array:
    """Count beats by true class and call.

    Parameters
    ----------
    truth : (n,) int array
        In 0..C-1.
    called : (n,) int array
        In 0..C-1, or -1 where no call was made: an error whatever the truth.
    n_classes : int
        C.

    Returns
    -------
    (C, C + 1) int64
        Rows are true classes, columns are calls, the last column counts beats without a call.

    Raises
    ------
    ValueError
        If the arrays are empty, differ in length, are not integers, or hold classes out of range.
    """
    truth, called = np.asarray(truth), np.asarray(called)
    if truth.ndim != 1 or truth.shape != called.shape or truth.size == 0:
        raise ValueError(f"expected two equally long arrays of classes, got {truth.shape} and {called.shape}")
    if not (np.issubdtype(truth.dtype, np.integer) and np.issubdtype(called.dtype, np.integer)):
        raise ValueError(f"classes must be integers, not {truth.dtype} and {called.dtype}")
    if truth.min() < 0 or max(truth.max(), called.max()) >= n_classes or called.min() < -1:
        raise ValueError(f"classes must lie in 0..{n_classes - 1} (calls may be -1, no call)")
    width = n_classes + 1
    column = np.where(called < 0, n_classes, called.astype(np.int64))
    counts = np.bincount(truth.astype(np.int64) * width + column, minlength=n_classes * width)
    return counts.reshape(n_classes, width).astype(np.int64)


def _hits(matrix: Array) -> Array:
    hits: Array = np.diagonal(matrix, axis1=-2, axis2=-1)
    return hits


def _ratio(part: Array, whole: Array) -> Array:
    """``part / whole``, 0 for 0/0."""
    ratio: Array = part / np.where(whole == 0, 1, whole)
    return ratio


def _accuracy(matrix: Array) -> Array:
    return _ratio(_hits(matrix).sum(axis=-1), matrix.sum(axis=(-2, -1)))


def _balanced_accuracy(matrix: Array) -> Array:
    support = matrix.sum(axis=-1)
    return _ratio(_ratio(_hits(matrix), support).sum(axis=-1), np.count_nonzero(support, axis=-1))


def _macro_f1(matrix: Array) -> Array:
    calls = matrix.sum(axis=-2)[..., :-1]
    f1: Array = _ratio(2 * _hits(matrix), matrix.sum(axis=-1) + calls).mean(axis=-1)
    return f1


FROM_CONFUSION = {"accuracy": _accuracy, "balanced-accuracy": _balanced_accuracy, "macro-f1": _macro_f1}
"""Each metric by its slug as a function of confusion matrices (..., C, C + 1), giving (...)."""


def accuracy(truth: Array, called: Array, n_classes: int) -> float:
    """Share of correct calls, in [0, 1]; says little without `majority`. Arguments as `confusion`."""
    return float(_accuracy(confusion(truth, called, n_classes)))


def balanced_accuracy(truth: Array, called: Array, n_classes: int) -> float:
    """Mean recall over the classes that occur in truth, in [0, 1]. Arguments as `confusion`."""
    return float(_balanced_accuracy(confusion(truth, called, n_classes)))


def macro_f1(truth: Array, called: Array, n_classes: int) -> float:
    """Mean F1 over all C classes, in [0, 1]; 0 for one neither true nor called. Arguments as `confusion`."""
    return float(_macro_f1(confusion(truth, called, n_classes)))


def majority(truth: Array) -> float:
    """Accuracy of calling every beat by the most frequent class of these beats, in (0, 1].

    Parameters
    ----------
    truth : (n,) int array
        In 0..C-1.

    Raises
    ------
    ValueError
        If there is no beat, or a class is negative.
    """
    truth = np.asarray(truth)
    if truth.size == 0 or truth.min() < 0:
        raise ValueError("expected at least one beat, all of known class")
    return float(np.bincount(truth).max() / truth.size)
