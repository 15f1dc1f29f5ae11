"""Predictive values and likelihood ratios; DTComPair's numbers come in through tests/test_oracles.py."""

import numpy as np
import pytest

from osteotl.statistics import checks
from osteotl.statistics.paired import PairedCalls, PairedTable, paired_calls
from osteotl.statistics.paired_predictive import (
    compare_predictive_values,
    predictive_difference,
    relative_likelihood_ratio,
    relative_predictive_value,
    relative_rate,
)

CALLS = PairedCalls(PairedTable(31, 3, 16, 10), PairedTable(13, 19, 4, 54))
IDENTICAL = PairedCalls(PairedTable(31, 0, 0, 10), PairedTable(13, 0, 0, 54))
SILENT = PairedCalls(PairedTable(0, 0, 16, 10), PairedTable(0, 0, 4, 54))  # the arm calls nothing positive


def swapped(calls):
    return PairedCalls(
        *(PairedTable(t.both, t.reference_only, t.arm_only, t.neither) for t in (calls.malignant, calls.normal))
    )


@pytest.mark.parametrize("method", ["kosinski", "leisenring"])
@pytest.mark.parametrize("value", ["ppv", "npv"])
def test_swapping_arms_keeps_the_statistic(method, value):
    one, other = (compare_predictive_values(calls, value, method) for calls in (CALLS, swapped(CALLS)))
    assert one.difference == pytest.approx(-other.difference)
    assert one.statistic == pytest.approx(other.statistic)


@pytest.mark.parametrize("value", ["ppv", "npv"])
def test_identical_arms(value):
    assert compare_predictive_values(IDENTICAL, value).p is None
    assert compare_predictive_values(IDENTICAL, value).not_estimable == checks.NO_DISCORDANT
    ratio = relative_predictive_value(IDENTICAL, value).ratio
    assert (ratio.estimate, ratio.p, ratio.not_estimable) == (1, 1, checks.NO_DISCORDANT)


def test_an_arm_that_calls_nothing_positive():
    assert compare_predictive_values(SILENT, "ppv").not_estimable == "no film was called positive"
    assert relative_predictive_value(SILENT, "ppv").ratio.not_estimable == "no film was called positive"
    assert relative_likelihood_ratio(SILENT, "lr_positive").ratio.estimate is None
    assert compare_predictive_values(SILENT, "npv").p is not None


def test_ratios_invert_when_arms_swap():
    for function, word in ((relative_predictive_value, "npv"), (relative_likelihood_ratio, "lr_negative")):
        one, other = function(CALLS, word).ratio, function(swapped(CALLS), word).ratio
        assert one.estimate == pytest.approx(1 / other.estimate)
        assert one.lower == pytest.approx(1 / other.upper)
        assert one.p == pytest.approx(other.p)


def test_relative_rate_by_hand():
    # 34/47; se^2 = 19 / (34 * 47)
    ours = relative_rate(CALLS.malignant)
    assert ours.ratio.estimate == pytest.approx(34 / 47)
    assert ours.se_log == pytest.approx(np.sqrt(19 / (34 * 47)))


def films(calls):
    """One row a film of a pair of tables."""
    rows = []
    for label, table in ((1, calls.malignant), (0, calls.normal)):
        for count, arm, reference in (
            (table.both, 1, 1), (table.arm_only, 1, 0), (table.reference_only, 0, 1), (table.neither, 0, 0)
        ):  # fmt: skip
            rows += [(label, arm, reference)] * count
    return np.array(rows).T


def test_difference_of_predictive_values():
    labels, arm, reference = films(CALLS)
    assert paired_calls(labels, arm, reference) == CALLS
    ours = predictive_difference(labels, arm, reference, "ppv")
    score = compare_predictive_values(CALLS, "ppv")
    assert ours.estimate == pytest.approx(score.difference)
    assert ours.p == pytest.approx(score.p, rel=2)  # Wald beside the score test: same size
    singles = predictive_difference(labels, arm, reference, "ppv", np.arange(labels.size))
    assert singles.lower == pytest.approx(ours.lower)
    doubled = predictive_difference(
        *(np.repeat(v, 2) for v in (labels, arm, reference)), "ppv", np.repeat(np.arange(labels.size), 2)
    )
    assert doubled.interval == pytest.approx(ours.interval)


def test_bad_words():
    with pytest.raises(ValueError, match="value is 'sensitivity'"):
        compare_predictive_values(CALLS, "sensitivity")
    with pytest.raises(ValueError, match="which is 'lr'"):
        relative_likelihood_ratio(CALLS, "lr")
