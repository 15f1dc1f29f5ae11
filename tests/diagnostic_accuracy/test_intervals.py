"""Intervals of proportions and of sums; R's and PropCIs' values come in through tests/test_oracles.py."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.proportion import confint_proportions_2indep

from diagnostic_accuracy.intervals import (
    Limits,
    edge_reach,
    mover_sum,
    on_logit,
    percentile_estimate,
    proportion_interval,
    tail_probability,
    wald_estimate,
    wald_interval,
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


def test_from_a_standard_error():
    assert wald_interval(0.5, 0.1) == pytest.approx((0.5 - 0.1959963984540054, 0.5 + 0.1959963984540054))
    assert wald_interval(0.5, 0.1, df=4) == pytest.approx((0.5 - 0.27764451051977987, 0.5 + 0.27764451051977987))
    assert wald_interval(0.9, 0.1, clip=(0, 1))[1] == 1
    low, high = on_logit(
        0.5, 0.1, 1.959963984540054
    )  # symmetric around 0.5 on both scales; slope of the logit there is 4
    assert np.log(high / (1 - high)) == pytest.approx(1.959963984540054 * 0.4)
    assert low == pytest.approx(1 - high)


def test_an_estimate_with_and_without_variation():
    ours = wald_estimate(0.2, 0.1, "test", 40, df=4)
    assert (ours.lower, ours.upper) == pytest.approx((0.2 - 0.27764451051977987, 0.2 + 0.27764451051977987))
    assert ours.p == pytest.approx(tail_probability(2.0, df=4))
    still = wald_estimate(0.9, None, "test", 40, still="nothing varies", reach=0.2)
    assert (still.lower, still.upper, still.p, still.note) == (pytest.approx(0.7), 1.0, None, "nothing varies")
    assert wald_estimate(0.9, 0.0, "test", 40, still="nothing varies").lower is None


def test_the_far_limit_without_variation_is_wilsons():
    assert 1 - edge_reach(30) == pytest.approx(proportion_interval(30, 30)[0])
    assert edge_reach(30, 0.9) == pytest.approx(proportion_interval(0, 30, 0.9)[1])


def test_tail_probabilities():
    # qnorm(.975) and qt(.975, 4)
    assert tail_probability(-1.959963984540054) == pytest.approx(0.05)
    assert tail_probability(1.959963984540054, "greater") == pytest.approx(0.025)
    assert tail_probability(1.959963984540054, "less") == pytest.approx(0.975)
    assert tail_probability(2.7764451051977987, df=4) == pytest.approx(0.05)
    with pytest.raises(ValueError, match="alternative is 'better'"):
        tail_probability(1.0, "better")


def test_percentile_limits_and_p():
    # type 7: quantiles .25 and .75 of 1..5 are 2 and 4; one of 5 draws is at most 0 -> p = 2 (1 + 1) / 6
    ours = percentile_estimate(3.0, [1, 2, 3, 4, 5], "bootstrap", 9, confidence=0.5)
    assert (ours.lower, ours.upper) == (2, 4)
    assert percentile_estimate(3.0, [-1, 2, 3, 4, 5], "bootstrap", 9).p == pytest.approx(2 * 2 / 6)
    assert percentile_estimate(3.0, [1, 2, 3, 4, 5], "bootstrap", 9).p == pytest.approx(2 * 1 / 6)


def test_draws_that_are_not_defined():
    ours = percentile_estimate(0.5, [np.nan, *np.arange(999)], "bootstrap", 9)
    assert (ours.lower, ours.note) == (pytest.approx(998 * 0.025), "not defined in 0.1% of the draws")
    lost = percentile_estimate(0.5, [np.nan] * 2 + [0.0, 1.0] * 10, "bootstrap", 9)
    assert (lost.lower, lost.p, lost.note) == (None, None, "not defined in 9.1% of the draws")
    flat = percentile_estimate(0.5, [0.5] * 20, "bootstrap", 9)
    assert (flat.lower, flat.p) == (None, None)


def wilson(successes, n):
    return Limits(successes / n, *proportion_interval(successes, n))


@pytest.mark.parametrize(("a", "n", "b", "m"), [(56, 70, 48, 80), (9, 10, 3, 10), (10, 10, 0, 20), (0, 10, 0, 10)])
def test_difference_of_independent_proportions_is_newcombes(a, n, b, m):
    ours = mover_sum(wilson(a, n), wilson(b, m).times(-1))
    theirs = confint_proportions_2indep(a, n, b, m, method="newcomb", compare="diff")
    assert (float(ours.lower), float(ours.upper)) == pytest.approx(theirs, abs=1e-12)


def test_difference_of_paired_proportions_is_newcombes_method_10():
    # Newcombe 1998 for 20 / 12 / 2 / 16: shares 32/50 and 22/50, phi from C = 20*16 - 12*2 - 25 (his correction n/2)
    phi = (20 * 16 - 12 * 2 - 25) / np.sqrt(32 * 18 * 22 * 28)
    arm, reference = wilson(32, 50), wilson(22, 50)
    down = (arm.estimate - arm.lower, reference.upper - reference.estimate)
    up = (arm.upper - arm.estimate, reference.estimate - reference.lower)
    expected = (
        0.2 - np.sqrt(down[0] ** 2 - 2 * phi * down[0] * down[1] + down[1] ** 2),
        0.2 + np.sqrt(up[0] ** 2 - 2 * phi * up[0] * up[1] + up[1] ** 2),
    )
    ours = mover_sum(arm, reference.times(-1), -phi)
    assert (float(ours.lower), float(ours.upper)) == pytest.approx(expected, abs=1e-12)


def test_weights_turn_limits_and_scale_them():
    turned = Limits(np.array([0.5]), np.array([0.4]), np.array([0.7])).times(-2)
    assert (turned.estimate[0], turned.lower[0], turned.upper[0]) == pytest.approx((-1.0, -1.4, -0.8))
    # the same number taken from itself, with symmetric limits: nothing is left of its uncertainty
    even = Limits(np.array([0.5]), np.array([0.4]), np.array([0.6]))
    gap = mover_sum(even, even.times(-1), correlation=-1.0)
    assert (gap.lower[0], gap.upper[0]) == pytest.approx((0, 0), abs=1e-9)
