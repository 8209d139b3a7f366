"""Figures about sex and age: by hand, against scikit-learn and a simulation, and at their limits."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import r2_score, roc_auc_score

from agile_bench.metrics.attributes import age_band, auroc_interval, auroc_over_folds, balanced_threshold, r2_interval

ONE_FOLD = np.zeros(5, int)


def test_auroc_by_hand():
    # pairs above: 4 of 2 x 3, one tie counts half
    found = auroc_interval(np.array([0.9, 0.4, 0.4, 0.3, 0.8]), np.array([1, 1, 0, 0, 0], bool), ONE_FOLD)
    assert found.value == pytest.approx((3 + 1.5) / 6)
    assert 0 < found.low < found.value < found.high < 1


def test_delongs_variance_by_hand():
    # of positives: 1, 0.5; of negatives 1, 0.5: variances 0.125 each over 2 people
    found = auroc_interval(np.array([4.0, 2.0, 3.0, 1.0]), np.array([1, 1, 0, 0], bool), ONE_FOLD[:4])
    half = 1.959964 * math.sqrt(0.125) / (0.75 * 0.25)
    low, high = (1 / (1 + math.exp(-(math.log(3) + sign * half))) for sign in (-1, 1))
    assert (found.value, found.low, found.high) == pytest.approx((0.75, low, high), abs=1e-6)


def test_people_are_compared_within_their_fold_only():
    guess = np.array([0.6, 0.5, 10.6, 10.5])  # the second fold has another scale
    positive = np.array([1, 0, 1, 0], bool)
    assert auroc_interval(guess, positive, np.array([0, 0, 1, 1])).value == 1.0
    assert auroc_interval(guess, positive, np.zeros(4, int)).value == 0.75


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(-5, 5), st.booleans(), st.integers(0, 2)), min_size=2, max_size=40), st.data())
def test_auroc_is_the_pairs_mean_of_scikit_learns_and_no_order_or_scale_matters(people, data):
    guess, positive, fold = (np.array(column) for column in zip(*people, strict=True))
    both = [f for f in np.unique(fold) if 0 < positive[fold == f].sum() < (fold == f).sum()]
    if not both:
        with pytest.raises(ValueError, match="both kinds"):
            auroc_interval(guess, positive, fold)
        return
    pairs = [positive[fold == f].sum() * (~positive[fold == f]).sum() for f in both]
    areas = [roc_auc_score(positive[fold == f], guess[fold == f]) for f in both]
    found = auroc_interval(guess, positive, fold)
    assert found.value == pytest.approx(np.average(areas, weights=pairs))
    assert found.low <= found.value <= found.high
    order = data.draw(st.permutations(range(len(guess))))
    moved = auroc_interval(3.0 * guess[order] + 1, positive[order], fold[order])
    assert (moved.value, moved.low, moved.high) == pytest.approx((found.value, found.low, found.high))
    turned = auroc_interval(-guess, positive, fold)
    assert turned.value == pytest.approx(1 - found.value)


def test_ties_give_exactly_a_half_and_an_interval_of_the_rarer_kinds_people():
    positive, fold = np.arange(90) % 3 == 0, np.arange(90) % 5
    found = auroc_interval(np.full(90, 0.1), positive, fold)
    assert found.value == 0.5
    assert (found.low, found.high) == pytest.approx((0.3130, 0.6870), abs=1e-4)  # 15 of 30
    perfect = auroc_interval(positive.astype(float), positive, fold)
    assert (perfect.value, perfect.high) == (1.0, 1.0)
    assert perfect.low == pytest.approx(0.025 ** (1 / 30))


def test_the_interval_holds_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(400):
        positive, fold = np.arange(100) % 2 == 0, np.arange(100) % 5
        found = auroc_interval(rng.standard_normal(100) + positive, positive, fold)
        held += found.low <= 0.7602 <= found.high  # Phi(1/sqrt 2)
    assert 0.92 <= held / 400 <= 0.98


def test_over_folds_the_interval_is_students_of_their_areas():
    guess = np.array([2.0, 1.0, 1.0, 2.0, 2.0, 1.0])
    positive, fold = np.array([1, 0, 1, 0, 1, 0], bool), np.array([0, 0, 1, 1, 2, 2])
    found = auroc_over_folds(guess, positive, fold)  # areas 1, 0, 1
    assert (found.value, found.low, found.high) == (pytest.approx(2 / 3), 0.0, 1.0)
    right = auroc_over_folds(np.where(fold == 1, -guess, guess), positive, fold)
    assert (right.value, right.low, right.high) == (1.0, 1.0, 1.0)
    same = auroc_over_folds(guess[:2], positive[:2], fold[:2])
    assert (same.value, math.isnan(same.low)) == (1.0, True)


def test_nonsense_that_is_right_by_the_fold_is_seldom_called_right():
    rng = np.random.default_rng(0)
    positive, fold = np.arange(200) % 2 == 0, np.arange(200) % 5
    fired = {auroc_interval: 0, auroc_over_folds: 0}
    for _ in range(200):
        direction = rng.choice([-1, 1], 5)[fold]
        guess = direction * (3 * positive + rng.standard_normal(200))
        for interval in fired:
            fired[interval] += interval(guess, positive, fold).low > 0.5
    assert fired[auroc_over_folds] <= 14  # 1 in 32, all folds right
    assert fired[auroc_interval] > 60


@pytest.mark.parametrize("guess", [np.array([0.1, np.nan]), np.array([0.1]), np.array([0.1, np.inf])])
def test_auroc_refuses_what_it_cannot_rank(guess):
    with pytest.raises(ValueError, match="one finite guess a person"):
        auroc_interval(guess, np.array([True, False]), np.zeros(2, int))


def test_the_threshold_lies_midway_between_the_kinds_however_rare_one_is():
    assert balanced_threshold(np.array([1.0, 3.0, 10.0]), np.array([False, False, True])) == 6.0
    assert math.isnan(balanced_threshold(np.array([1.0, 3.0]), np.array([True, True])))


def test_bands_begin_at_their_years():
    assert age_band(np.array([0.0, 39.9, 40.0, 59.9, 60.0, 79.5, 80.0, 120.0])).tolist() == [0, 0, 1, 1, 2, 2, 3, 3]


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(0, 100), st.integers(18, 90)), min_size=2, max_size=30))
def test_r2_is_scikit_learns(people):
    guess, truth = (np.array(column, float) for column in zip(*people, strict=True))
    found = r2_interval(guess, truth, n_resamples=50)
    if np.ptp(truth) == 0:
        assert math.isnan(found.value)
        return
    assert found.value == pytest.approx(r2_score(truth, guess), rel=1e-6, abs=1e-6)
    assert math.isnan(found.low) or found.low <= found.high


def test_r2_of_perfect_guesses_and_of_the_mean():
    truth = np.array([20.0, 40.0, 60.0, 80.0])
    assert r2_interval(truth, truth).value == 1.0
    assert r2_interval(np.full(4, 50.0), truth).value == pytest.approx(0.0)
    with pytest.raises(ValueError, match="two persons or more"):
        r2_interval(truth[:1], truth[:1])
