"""Two arms at locked thresholds."""

import numpy as np
import pytest
from scipy import stats

from osteotl.statistics.locked_points import compare_locked_points

RNG = np.random.default_rng(0)
LABELS = np.repeat([1, 0], [80, 120])
CALLS = {arm: {s: RNG.random(200) < np.where(LABELS, 0.85, 0.2) for s in range(4)} for arm in ("transfer", "scratch")}


def test_the_sum_is_the_sum():
    ours = compare_locked_points(LABELS, CALLS, "transfer", "scratch").estimates
    assert ours["sum"].estimate == pytest.approx(ours["sensitivity"].estimate + ours["specificity"].estimate)


def test_region_is_centred_and_closed():
    ours = compare_locked_points(LABELS, CALLS, "transfer", "scratch")
    centre = ours.region[:-1].mean(axis=0)
    assert centre == pytest.approx([ours.estimates["specificity"].estimate, ours.estimates["sensitivity"].estimate])
    assert ours.region[0] == pytest.approx(ours.region[-1])


def test_region_of_one_seed_reaches_as_far_as_chi_square_says():
    one = {arm: {0: by[0]} for arm, by in CALLS.items()}
    ours = compare_locked_points(LABELS, one, "transfer", "scratch")
    reach = ours.region[:, 1].max() - ours.sensitivity.difference.estimate
    assert reach == pytest.approx(np.sqrt(stats.chi2.ppf(0.95, 2)) * ours.sensitivity.se, rel=2e-3)


def test_identical_arms_have_no_region():
    same = {"transfer": CALLS["scratch"], "scratch": CALLS["scratch"]}
    ours = compare_locked_points(LABELS, same, "transfer", "scratch")
    assert ours.region is None or np.ptp(ours.region) == 0
    assert ours.estimates["sum"].p == 1
