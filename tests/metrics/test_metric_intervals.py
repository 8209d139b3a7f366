from math import inf, isnan, nan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit
from scipy.stats import binomtest, t

from agile_bench.metrics.classification import accuracy, balanced_accuracy, macro_f1
from agile_bench.metrics.intervals import (
    Estimate,
    classification_interval,
    clopper_pearson,
    eer_interval,
    envelope,
    person_bootstrap,
    rank_interval,
)
from agile_bench.metrics.resampling import person_draws, resampled_eer, resampled_median
from agile_bench.metrics.scores import eer, pairs, rank_k


def people(rng: np.random.Generator, n: int, probes: int, noise: float) -> tuple[np.ndarray, np.ndarray]:
    """Persons in six dimensions, some noisier than others; scored by negated squared distance."""
    mean = rng.normal(size=(n, 6))
    spread = noise * np.exp(0.3 * rng.normal(size=(n, 1)))
    gallery = mean + spread * rng.normal(size=(n, 6))
    subject = np.repeat(np.arange(n), probes)
    probe = mean[subject] + spread[subject] * rng.normal(size=(n * probes, 6))
    squares = (probe**2).sum(axis=1)[:, None] + (gallery**2).sum(axis=1) - 2 * probe @ gallery.T
    return -squares, subject


def literal_resample(scores: np.ndarray, subject: np.ndarray, weight: np.ndarray) -> float:
    """Every pair written out as often as it weighs."""
    times = weight[subject][:, None] * weight
    mated = np.arange(scores.shape[1]) == subject[:, None]
    genuine = np.repeat(scores[mated], weight[subject])
    impostor = np.repeat(scores[~mated], times[~mated])
    return eer(genuine, impostor) if genuine.size and impostor.size else nan


@settings(deadline=None)
@given(st.integers(0, 2**32), st.integers(2, 8), st.integers(1, 5), st.integers(1, 30))
def test_weighted_eer_is_that_of_pairs_written_out(seed: int, n: int, probes: int, values: int) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, values, size=(n * probes, n)).astype(float)
    subject = rng.integers(0, n, size=n * probes)
    draws = person_draws(n, 20, seed)
    expected = [literal_resample(scores, subject, w) for w in draws]
    np.testing.assert_allclose(resampled_eer([(scores, subject)], draws), expected, rtol=0, atol=1e-12)


def test_walk_goes_as_far_as_the_crossing_needs() -> None:
    scores, subject = people(np.random.default_rng(0), 30, 6, 1.0)
    draws = person_draws(30, 5, 1)
    for signed in (scores, -scores):  # EER near 0.3 and near 0.7, of 5220 impostor pairs
        expected = [literal_resample(signed, subject, w) for w in draws]
        np.testing.assert_allclose(resampled_eer([(signed, subject)], draws), expected, rtol=0, atol=1e-12)


def test_eer_interval_is_deterministic_and_blind_to_row_order() -> None:
    rng = np.random.default_rng(1)
    scores, subject = people(rng, 25, 4, 0.8)
    order = rng.permutation(100)
    first = eer_interval(scores, subject, 100)
    assert first == eer_interval(scores, subject, 100) == eer_interval(scores[order], subject[order], 100)
    assert first != eer_interval(scores, subject, 100, seed=1)
    assert first.value == eer(*pairs(scores, subject))
    assert first.low < first.value < first.high
    wider = eer_interval(scores, subject, 100, level=0.99)
    assert wider.low < first.low < first.high < wider.high


def test_blocks_are_pooled_without_pairs_across_them() -> None:
    rng = np.random.default_rng(2)
    blocks = [people(rng, n, 2, 0.8) for n in (12, 15)]
    scores, subject = [s for s, _ in blocks], [who for _, who in blocks]
    split = [pairs(s, who) for s, who in blocks]
    found = eer_interval(scores, subject, 200)
    assert found.value == eer(*(np.concatenate(side) for side in zip(*split, strict=True)))
    assert found.low < found.value < found.high
    rank = rank_interval(scores, subject)
    assert rank.value == pytest.approx(sum(rank_k(s, w, 1) * len(w) for s, w in blocks) / 54)
    # One block given alone or in a list is the same.
    large = people(rng, 25, 2, 0.8)
    assert eer_interval([large[0]], [large[1]], 50) == eer_interval(*large, 50)
    assert rank_interval([large[0]], [large[1]]) == rank_interval(*large)
    with pytest.raises(ValueError, match="at least one block"):
        eer_interval([], [])


def test_clopper_pearson_equals_scipy_and_the_rule_for_no_errors() -> None:
    for hits, n in ((0, 47), (1, 47), (20, 47), (47, 47)):
        exact = binomtest(hits, n).proportion_ci(method="exact")
        found = clopper_pearson(hits / n, n)
        assert (found.low, found.high) == pytest.approx((exact.low, exact.high), abs=1e-9)
    assert clopper_pearson(0, 47).high == pytest.approx(0.0755, abs=5e-5)
    assert clopper_pearson(0, 89).high == pytest.approx(0.0406, abs=5e-5)


def test_edges_and_few_persons_fall_back_to_the_exact_binomial() -> None:
    perfect, subject = np.eye(30), np.arange(30)
    assert eer_interval(perfect, subject) == clopper_pearson(0.0, 30)
    assert eer_interval(-perfect, subject) == clopper_pearson(1.0, 30)
    assert eer_interval(np.zeros((30, 30)), subject) == clopper_pearson(0.5, 30)
    assert rank_interval(perfect, subject) == clopper_pearson(1.0, 30)
    few, who = people(np.random.default_rng(3), 12, 3, 1.0)
    assert eer_interval(few, who) == clopper_pearson(eer(*pairs(few, who)), 12)
    assert rank_interval(few, who) == clopper_pearson(rank_k(few, who, 1), 12)


def test_rank_interval_counts_persons_not_probes() -> None:
    # Thirty people, ten probes each: 20 are always found, 10 never.
    scores = np.zeros((300, 30))
    subject = np.repeat(np.arange(30), 10)
    found = subject < 20
    scores[found, subject[found]] = 1
    scores[~found, (subject[~found] + 1) % 30] = 1
    wilson = binomtest(20, 30).proportion_ci(method="wilson")
    estimate = rank_interval(scores, subject)
    assert (estimate.low, estimate.high) == pytest.approx((wilson.low, wilson.high), abs=1e-6)


def test_rank_interval_of_constant_scores_counts_persons() -> None:
    scores, subject = np.zeros((300, 30)), np.repeat(np.arange(30), 10)
    wilson = binomtest(1, 30).proportion_ci(method="wilson")
    estimate = rank_interval(scores, subject)
    assert (estimate.low, estimate.high) == pytest.approx((wilson.low, wilson.high), abs=1e-9)


def test_rank_interval_is_blind_to_row_order() -> None:
    rng = np.random.default_rng(4)
    scores, subject = people(rng, 25, 4, 0.8)
    scores = np.round(scores)
    order = rng.permutation(100)
    assert rank_interval(scores, subject, 3) == rank_interval(scores[order], subject[order], 3)


@given(st.integers(0, 2**32), st.integers(2, 6))
def test_weighted_median_is_that_of_items_written_out(seed: int, persons: int) -> None:
    rng = np.random.default_rng(seed)
    person = rng.integers(0, persons, size=9)
    values = rng.integers(0, 5, size=9).astype(float)
    draws = person_draws(persons, 20, seed)
    found = resampled_median(values, person, draws)
    for weight, value in zip(draws, found, strict=True):
        written = np.repeat(values, weight[person])
        assert (isnan(value) and written.size == 0) or value == np.median(written)


def test_person_bootstrap_is_wider_when_beats_of_a_person_agree() -> None:
    rng = np.random.default_rng(5)
    own = rng.normal(size=40)
    person = np.repeat(np.arange(40), 25)
    values = own[person] + 0.01 * rng.normal(size=1000)
    for statistic in ("mean", "median"):
        honest = person_bootstrap(values, person, statistic)
        naive = person_bootstrap(values, np.arange(1000), statistic)
        assert honest.high - honest.low > 2 * (naive.high - naive.low)
    mean = person_bootstrap(values, person)
    half = t.ppf(0.975, 39) * own.std(ddof=1) / 40**0.5
    assert (mean.low, mean.high) == pytest.approx((mean.value - half, mean.value + half), abs=0.06)


@given(st.integers(0, 2**32), st.sampled_from(["mean", "median"]))
@settings(max_examples=20, deadline=None)
def test_person_bootstrap_is_blind_to_row_order(seed: int, statistic: str) -> None:
    rng = np.random.default_rng(seed)
    values, person = rng.normal(size=50), rng.integers(0, 8, size=50)
    order = rng.permutation(50)
    first = person_bootstrap(values, person, statistic, 50)  # type: ignore[arg-type]
    assert first == person_bootstrap(values[order], person[order], statistic, 50)  # type: ignore[arg-type]


def test_person_bootstrap_of_infinite_values_and_of_one_person() -> None:
    person = np.arange(30) // 2
    for statistic in ("mean", "median"):
        assert person_bootstrap(np.full(30, inf), person, statistic) == Estimate(inf, inf, inf)
        some = person_bootstrap(np.where(person < 2, inf, 1.0), person, statistic)
        assert some.high in (inf, 1.0)
        assert not isnan(some.low)
    alone = person_bootstrap(np.array([1.0, 2.0]), np.array([5, 5]))
    assert alone.value == 1.5
    assert isnan(alone.low)
    assert isnan(alone.high)


@pytest.mark.parametrize(
    ("values", "person", "message"),
    [
        ([nan, 1.0], [0, 1], "nan"),
        ([], [], "one person"),
        ([1.0], [0, 1], "one person"),
        ([inf, -inf], [0, 1], "both"),
    ],
)
def test_person_bootstrap_refuses(values: list[float], person: list[int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        person_bootstrap(np.array(values), np.array(person))


def test_classification_interval_draws_persons() -> None:
    rng = np.random.default_rng(6)
    person = np.repeat(np.arange(30) * 7, 20)
    truth = rng.choice(5, size=600, p=[0.6, 0.2, 0.1, 0.06, 0.04])
    wrong = rng.random(600) < np.repeat(rng.beta(1, 4, size=30), 20)
    called = np.where(wrong, (truth + 1) % 5, truth)
    found = classification_interval(truth, called, person, 5)
    assert found["accuracy"].value == accuracy(truth, called, 5)
    assert found["balanced-accuracy"].value == balanced_accuracy(truth, called, 5)
    assert found["macro-f1"].value == macro_f1(truth, called, 5)
    # Accuracy is the mean of the hits, so the two bootstraps must agree.
    hits = person_bootstrap((truth == called).astype(float), person)
    assert (found["accuracy"].low, found["accuracy"].high) == pytest.approx((hits.low, hits.high))
    order = rng.permutation(600)
    assert found == classification_interval(truth[order], called[order], person[order], 5)


def test_classification_interval_at_the_edge_and_with_few_persons() -> None:
    truth = np.tile([0, 1], 30).astype(np.int8)
    found = classification_interval(truth, truth, np.repeat(np.arange(30), 2), 2)
    assert set(found.values()) == {clopper_pearson(1.0, 30)}
    called = np.where(np.arange(60) < 15, -1, truth)
    few = classification_interval(truth, called, np.repeat(np.arange(4), 15), 2)
    assert few["accuracy"] == clopper_pearson(0.75, 4)
    with pytest.raises(ValueError, match="one person per beat"):
        classification_interval(truth, truth, np.arange(3), 2)


def test_envelope_of_one_is_itself_and_of_several_is_wider() -> None:
    one = Estimate(0.3, 0.25, 0.36)
    assert envelope([one], 47, "min") == one
    two = envelope([one, one], 47, "min")
    assert two.value == 0.3
    assert two.low < one.low < one.high < two.high
    # Widening is by the ratio of t quantiles on the logit scale.
    factor = t.ppf(0.9875, 46) / t.ppf(0.975, 46)
    assert two.low == pytest.approx(expit(logit(0.3) + factor * (logit(0.25) - logit(0.3))))


def test_envelope_spans_lowest_to_lowest_or_highest_to_highest() -> None:
    a, b = Estimate(0.1, 0.06, 0.16), Estimate(0.4, 0.35, 0.45)
    low, high = envelope([a, b], 47, "min"), envelope([a, b], 47, "max")
    assert (low.value, high.value) == (0.1, 0.4)
    assert low.high < 0.25 < high.low
    assert low == envelope([b, a], 47, "min")


def test_envelope_at_the_edges_and_with_few_persons() -> None:
    perfect, some = clopper_pearson(0.0, 47), Estimate(0.2, 0.15, 0.27)
    assert envelope([perfect, some], 47, "min") == clopper_pearson(0.0, 47, 0.975)
    few = [clopper_pearson(0.25, 12), clopper_pearson(0.5, 12)]
    assert envelope(few, 12, "max") == clopper_pearson(0.5, 12, 0.975)
    for bad in ([], [Estimate(nan, nan, nan)], [Estimate(0.5, 0.6, 0.7)], [Estimate(1.0, 1.0, 2.0)]):
        with pytest.raises(ValueError, match="at least one estimate"):
            envelope(bad, 47, "min")


@pytest.mark.slow
@pytest.mark.parametrize("noise", [0.55, 3.0])
def test_intervals_of_47_persons_cover_the_truth(noise: float) -> None:
    rng = np.random.default_rng(7)
    true_eer = eer(*pairs(*people(rng, 1500, 2, noise)))
    true_rank = np.mean([rank_k(*people(rng, 47, 2, noise), 1) for _ in range(500)])
    covered = np.zeros(2)
    for seed in range(60):
        data = people(rng, 47, 2, noise)
        error, rank = eer_interval(*data, 150, seed), rank_interval(*data)
        covered += [error.low <= true_eer <= error.high, rank.low <= true_rank <= rank.high]
    # At a true coverage of 0.95, fewer than 52 of 60 come once in a hundred times.
    assert np.all(covered >= 52)
    assert error.high - error.low < 0.2
