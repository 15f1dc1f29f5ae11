"""Intervals of rates."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from osteotl.statistics.operating_points import Confusion
from osteotl.statistics.rates import (
    clustered_proportion,
    effective_interval,
    predictive_values_at,
    proportion_interval,
    rate_estimate,
    rates,
)


def test_wilson_of_the_published_sensitivity():
    # R: prop.test(242, 268, correct = FALSE)$conf.int; solves (p - 242/268)^2 = z^2 p (1 - p) / 268
    low, high = proportion_interval(242, 268)
    for limit in (low, high):
        assert (limit - 242 / 268) ** 2 == pytest.approx(1.959963984540054**2 * limit * (1 - limit) / 268)


@given(st.integers(1, 60), st.data(), st.sampled_from(["wilson", "clopper_pearson", "midp"]))
def test_intervals_hold_the_share_and_mirror(n, data, method):
    x = data.draw(st.integers(0, n))
    low, high = proportion_interval(x, n, method=method)
    assert 0 <= low <= x / n <= high <= 1
    mirrored = proportion_interval(n - x, n, method=method)
    assert (1 - high, 1 - low) == pytest.approx(mirrored, abs=1e-9)


def test_clopper_pearson_at_the_ends():
    assert proportion_interval(0, 10, method="clopper_pearson") == pytest.approx((0, 1 - 0.025**0.1))
    assert proportion_interval(10, 10, method="clopper_pearson") == pytest.approx((0.025**0.1, 1))


@pytest.mark.parametrize(("x", "n"), [(3, 0), (5, 4), (-1, 4)])
def test_no_proportion(x, n):
    with pytest.raises(ValueError, match="is not a proportion"):
        proportion_interval(x, n)


def test_undefined_rates_say_why():
    assert rate_estimate(Confusion(0, 0, 5, 3), "ppv").not_estimable == "no film was called positive"
    assert "no false positive" in rate_estimate(Confusion(2, 0, 5, 3), "lr_positive").not_estimable


def test_f1_interval_is_that_of_its_proportion():
    ours = rate_estimate(Confusion(8, 2, 5, 3), "f1")
    low, high = proportion_interval(8, 13)
    assert ours.estimate == pytest.approx(2 * 8 / (16 + 5))
    assert ours.interval == pytest.approx((2 * low / (1 + low), 2 * high / (1 + high)))


def test_likelihood_ratio_interval():
    se = np.sqrt(1 / 8 - 1 / 10 + 1 / 2 - 1 / 20)  # Simel 1991
    ours = rate_estimate(Confusion(8, 2, 18, 2), "lr_positive")
    assert ours.estimate == pytest.approx(8)
    assert np.log(ours.upper / ours.estimate) == pytest.approx(1.959963984540054 * se)


def test_one_film_a_patient_is_plain_wilson():
    labels, scores = [1, 1, 1, 0, 0, 0], [0.9, 0.8, 0.1, 0.7, 0.2, 0.1]
    assert rates(labels, scores, 0.5, list("abcdef")) == rates(labels, scores, 0.5)


def test_duplicated_films_have_the_interval_of_their_patients():
    """Every film twice in one patient: the effective number of films is that of patients (nearly: I/(I-1))."""
    rng = np.random.default_rng(0)
    success = rng.random(200) < 0.8
    ours = clustered_proportion(np.repeat(success, 2), np.repeat(np.arange(200), 2))
    low, high = proportion_interval(int(success.sum()), 200)
    assert ours.estimate == pytest.approx(success.mean())
    assert ours.interval == pytest.approx((low, high), abs=1e-3)


def test_all_right_is_as_uncertain_as_the_number_of_patients():
    ours = clustered_proportion([True] * 12, np.repeat(np.arange(4), 3))
    assert ours.upper == 1
    assert ours.lower == pytest.approx(proportion_interval(4, 4)[0])


def test_clustered_rates_of_a_whole_table():
    rng = np.random.default_rng(1)
    patients = np.repeat(np.arange(60), 3)
    labels = np.repeat(np.arange(60) % 2, 3)
    scores = rng.normal(size=180) + labels + np.repeat(rng.normal(size=60), 3)
    ours, plain = rates(labels, scores, 0.5, patients), rates(labels, scores, 0.5)
    assert set(ours) == set(plain)
    for name in ours:
        assert ours[name].estimate == pytest.approx(plain[name].estimate)
    width = {name: (r["sensitivity"].upper - r["sensitivity"].lower) for name, r in (("c", ours), ("p", plain))}
    assert width["c"] > width["p"]


@pytest.mark.parametrize(
    # STUDY.md: PPV at prevalence 36 / 10 / 1 / 0.1 %
    ("counts", "expected"),
    [
        (Confusion(242, 46, 429, 26), [0.840, 0.509, 0.086, 0.009]),
        (Confusion(242, 63, 412, 26), [0.793, 0.431, 0.064, 0.007]),
    ],
)
def test_predictive_values_at_the_published_prevalences(counts, expected):
    ours = [predictive_values_at(counts, p)["ppv"] for p in (268 / 743, 0.10, 0.01, 0.001)]
    assert [round(value.estimate, 3) for value in ours] == expected
    assert all(value.lower < value.estimate < value.upper for value in ours)


def test_predictive_values_without_a_false_positive_keep_an_interval():
    ours = predictive_values_at(Confusion(8, 0, 20, 2), 0.1)["ppv"]
    assert ours.estimate == 1
    assert ours.upper == 1
    assert ours.lower < 1
    assert predictive_values_at(Confusion(0, 0, 20, 10), 0.1)["ppv"].not_estimable == "no film was called positive"
    with pytest.raises(ValueError, match="prevalence is 0"):
        predictive_values_at(Confusion(8, 1, 20, 2), 0)


def test_effective_interval_of_a_plain_count_is_wilsons():
    for successes, n in ((17, 20), (1, 30), (0, 9), (9, 9)):
        share = successes / n
        low, high, effective = effective_interval(share, share * (1 - share) / n, n)
        assert (low, high) == pytest.approx(proportion_interval(successes, n))
        assert effective == pytest.approx(n)


def test_effective_interval_with_few_degrees_of_freedom():
    # Korn and Graubard 1998: n* = p (1 - p) / variance x (z / t)^2; here 0.09 / 0.0009 x (1.95996 / 2.77645)^2
    low, high, effective = effective_interval(0.9, 0.0009, 80, df=4)
    assert effective == pytest.approx(100 * (1.959963984540054 / 2.7764451051977987) ** 2)
    assert (low, high) == pytest.approx(proportion_interval(0.9 * float(effective), float(effective)))


@pytest.mark.parametrize(("share", "units"), [(1.2, 5), (-0.1, 5), (0.5, 0)])
def test_effective_interval_of_no_proportion(share, units):
    with pytest.raises(ValueError, match="is not a proportion"):
        effective_interval(share, 0.01, units)
