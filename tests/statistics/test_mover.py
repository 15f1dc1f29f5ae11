"""Sums from limits of their parts, against Newcombe's intervals in statsmodels and our own (R-checked) paired one."""

import numpy as np
import pytest
from statsmodels.stats.proportion import confint_proportions_2indep

from osteotl.statistics.mover import Limits, mover_sum
from osteotl.statistics.paired import PairedTable, paired_difference
from osteotl.statistics.rates import proportion_interval


def wilson(successes, n):
    return Limits(*(np.array([v]) for v in (successes / n, *proportion_interval(successes, n))))


@pytest.mark.parametrize(("a", "n", "b", "m"), [(56, 70, 48, 80), (9, 10, 3, 10), (10, 10, 0, 20), (0, 10, 0, 10)])
def test_difference_of_independent_proportions_is_newcombes(a, n, b, m):
    ours = mover_sum(wilson(a, n), wilson(b, m).times(-1))
    theirs = confint_proportions_2indep(a, n, b, m, method="newcomb", compare="diff")
    assert (ours.lower[0], ours.upper[0]) == pytest.approx(theirs, abs=1e-12)


@pytest.mark.parametrize("cells", [(20, 12, 2, 16), (10, 3, 6, 1), (5, 1, 1, 5)])
def test_difference_of_paired_proportions_is_newcombes(cells):
    both, arm_only, reference_only, neither = cells
    n, table = sum(cells), PairedTable(*cells)
    ours_arm, ours_reference = wilson(both + arm_only, n), wilson(both + reference_only, n)
    cross = both * neither - arm_only * reference_only
    if cross > 0:  # his continuity correction of phi, which the reference function applies
        cross = max(cross - n / 2, 0)
    margins = (both + arm_only) * (reference_only + neither) * (both + reference_only) * (arm_only + neither)
    ours = mover_sum(ours_arm, ours_reference.times(-1), -cross / np.sqrt(margins))
    theirs = paired_difference(table, 0.95, "newcombe")
    assert (ours.estimate[0], ours.lower[0], ours.upper[0]) == pytest.approx((theirs.estimate, *theirs.interval))


def test_weights_turn_limits_and_scale_them():
    one = Limits(np.array([0.5]), np.array([0.4]), np.array([0.7]))
    turned = one.times(-2)
    assert (turned.estimate[0], turned.lower[0], turned.upper[0]) == pytest.approx((-1.0, -1.4, -0.8))
    # the same number taken from itself, with symmetric limits: nothing is left of its uncertainty
    even = Limits(np.array([0.5]), np.array([0.4]), np.array([0.6]))
    gap = mover_sum(even, even.times(-1), correlation=-1.0)
    assert (gap.lower[0], gap.upper[0]) == pytest.approx((0, 0), abs=1e-9)
