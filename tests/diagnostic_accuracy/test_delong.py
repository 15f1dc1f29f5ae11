"""Variances and comparisons of AUCs; reference numbers come in through tests/test_oracles.py."""

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from diagnostic_accuracy import checks
from diagnostic_accuracy.delong import (
    SAME_PLACES,
    auc_covariance,
    auc_interval,
    compare_auc,
    compare_auc_unpaired,
)
from diagnostic_accuracy.intervals import NO_VARIATION


@st.composite
def paired_films(draw, low=2, high=10):
    ill, well = draw(st.integers(low, high)), draw(st.integers(low, high))
    column = st.lists(st.integers(0, 5), min_size=ill + well, max_size=ill + well)
    return np.array([1] * ill + [0] * well), np.array(draw(column), float), np.array(draw(column), float)


def by_definition(labels, one, other):
    """DeLong 1988, equations 4 to 6, with the whole table of pairs."""

    def kernel(score):
        gap = score[labels == 1][:, None] - score[labels == 0][None, :]
        return (gap > 0) + 0.5 * (gap == 0)

    tables = [kernel(one), kernel(other)]
    rows, columns = np.array([t.mean(1) for t in tables]), np.array([t.mean(0) for t in tables])
    return np.cov(rows) / rows.shape[1] + np.cov(columns) / columns.shape[1]


@given(paired_films())
def test_covariance_is_delong_by_definition(case):
    labels, one, other = case
    fit = auc_covariance(labels, {"a": one, "b": other})
    np.testing.assert_allclose(fit.covariance, by_definition(labels, one, other), atol=1e-14)


@given(paired_films())
def test_one_film_a_patient_is_delong(case):
    labels, one, other = case
    scores = {"a": one, "b": other}
    plain, clustered = auc_covariance(labels, scores), auc_covariance(labels, scores, np.arange(labels.size))
    np.testing.assert_array_equal(plain.covariance, clustered.covariance)


@given(paired_films())
def test_duplicated_films_as_clusters_keep_the_variance(case):
    """Every film twice, each pair one patient: no new information, so the patients' variance must not shrink."""
    labels, one, other = case
    twice = [np.repeat(v, 2) for v in (labels, one, other)]
    patients = np.repeat(np.arange(labels.size), 2)
    plain = auc_covariance(labels, {"a": one, "b": other})
    clustered = auc_covariance(twice[0], {"a": twice[1], "b": twice[2]}, patients)
    np.testing.assert_allclose(clustered.covariance, plain.covariance, atol=1e-14)


@given(paired_films())
def test_swapping_arms_turns_the_sign(case):
    labels, one, other = case
    ours, swapped = compare_auc(labels, one, other), compare_auc(labels, other, one)
    assert ours.estimate == -swapped.estimate
    assert ours.p == swapped.p
    if ours.lower is not None:
        assert ours.lower == pytest.approx(-swapped.upper, abs=1e-15)


@given(paired_films())
def test_row_order_and_monotone_transforms_change_nothing(case):
    labels, one, other = case
    order = np.random.default_rng(1).permutation(labels.size)
    first = compare_auc(labels, one, other)
    second = compare_auc(labels[order], np.exp(one[order]), other[order] ** 3)
    assert first.estimate == pytest.approx(second.estimate, abs=1e-14)
    assert (first.p is None) == (second.p is None)
    assert first.p is None or first.p == pytest.approx(second.p, abs=1e-12)


def edge(n):
    """z^2 / (n + z^2), DESIGN's limit where nothing varies."""
    return norm.ppf(0.975) ** 2 / (n + norm.ppf(0.975) ** 2)


def test_identical_arms_have_no_p_and_say_so():
    labels, scores = [0, 0, 1, 1, 1], [0.1, 0.5, 0.4, 0.6, 0.7]
    ours = compare_auc(labels, scores, scores)
    assert (ours.estimate, ours.p, ours.note) == (0, None, checks.IDENTICAL_ARMS)
    assert (ours.lower, ours.upper) == pytest.approx((-edge(2), edge(2)))


def test_two_perfect_arms_that_rank_differently_are_not_alike():
    ours = compare_auc([0, 0, 0, 1, 1, 1], [1, 2, 3, 4, 5, 6], [3, 2, 1, 6, 5, 4])
    assert (ours.estimate, ours.p) == (0, None)
    assert ours.note == SAME_PLACES
    assert (ours.lower, ours.upper) == pytest.approx((-edge(3), edge(3)))


def test_a_difference_without_variance_has_no_p():
    """Perfect against constant scores: a naive z is infinite and its p 0."""
    ours = compare_auc([0, 0, 1, 1], [1, 2, 3, 4], [1, 1, 1, 1])
    assert ours.estimate == 0.5
    assert ours.p is None
    assert (ours.lower, ours.upper) == pytest.approx((max(0.5 - edge(2), -1), 1))
    assert ours.note == NO_VARIATION


@pytest.mark.parametrize(
    ("labels", "scores", "reason"),
    [
        ([0, 0, 1], [0.1, 0.6, 0.5], checks.SINGLE_POSITIVE),
        ([0, 1, 1], [0.1, 0.6, 0.5], checks.SINGLE_NEGATIVE),
        ([0, 0, 1, 1], [1, 1, 1, 1], checks.CONSTANT_SCORES),
    ],
)
def test_an_interval_that_cannot_be_estimated_says_why(labels, scores, reason):
    ours = auc_interval(labels, scores)
    assert ours.estimate is not None
    assert (ours.lower, ours.upper) == (None, None)
    assert ours.note == reason


def test_a_perfect_auc_has_its_far_limit_at_the_smaller_class():
    ours = auc_interval([0, 0, 0, 1, 1], [1, 2, 3, 4, 5])
    assert (ours.estimate, ours.upper) == (1, 1)
    assert ours.lower == pytest.approx(1 - edge(2))
    worst = auc_interval([1, 1, 1, 0, 0], [1, 2, 3, 4, 5])
    assert (worst.estimate, worst.lower) == (0, 0)
    assert worst.upper == pytest.approx(edge(2))
    # one film twice: the patients count
    repeated = auc_interval([0, 0, 0, 1, 1, 1], [1, 2, 3, 4, 4, 5], patients=list("abcdde"))
    assert repeated.lower == pytest.approx(1 - edge(2))


def test_one_patient_of_a_class_is_not_enough():
    ours = auc_interval([1, 1, 0, 0, 0], [0.4, 0.5, 0.1, 0.45, 0.2], patients=["a", "a", "b", "c", "d"])
    assert ours.note is not None
    assert "only one malignant patient" in ours.note


def test_unpaired_with_one_positive_is_note():
    ours = compare_auc_unpaired([0, 0, 1], [1, 2, 3], [0, 0, 1, 1], [1, 3, 2, 4])
    assert ours.note == checks.SINGLE_POSITIVE


@pytest.mark.parametrize(
    ("arm", "message"),
    [([0.1, np.nan, 0.2], "scores of arm"), ([0.1, 0.2], "scores of arm has 2 values"), ([1, 2, np.inf], "is inf")],
)
def test_bad_scores_name_the_arm(arm, message):
    with pytest.raises(ValueError, match=message):
        compare_auc([0, 1, 1], arm, [0.1, 0.2, 0.3])


def test_a_hundred_thousand_films_take_no_table_of_pairs():
    """1e5 x 1e5 / 4 pairs would need 20 GB and minutes; a sort takes a tenth of a second."""
    rng = np.random.default_rng(4)
    labels = np.repeat([1, 0], 50_000)
    one = rng.normal(size=100_000) + labels
    other = one + rng.normal(size=100_000)
    compare_auc(labels[::1000], one[::1000], other[::1000])  # compiled now
    start = time.perf_counter()
    compare_auc(labels, one, other)
    assert time.perf_counter() - start < 2
