"""Decision curves by hand and by their algebra; R's and Python's dcurves are in the oracle cases."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osteotl.statistics.bootstrap import joint_bootstrap
from osteotl.statistics.decision_curve import decision_curve, shifted_risks, threshold_grid
from osteotl.statistics.rates import proportion_interval

LABEL = np.array([1, 1, 1, 0, 0, 0, 0, 0, 0, 0])
RISK = np.array([0.9, 0.6, 0.2, 0.6, 0.3, 0.2, 0.1, 0.1, 0.05, 0.0])


def test_net_benefit_by_hand():
    # at .2: TP 3, FP 3 (.6 .3 .2): 3/10 - 3/10 * .25; at .6: TP 2, FP 1: 2/10 - 1/10 * 1.5
    curve = decision_curve(LABEL, RISK, [0.2, 0.6])
    assert curve.net_benefit == pytest.approx([0.3 - 0.3 * 0.25, 0.2 - 0.1 * 1.5])
    assert curve.treat_all == pytest.approx([0.3 - 0.7 * 0.25, 0.3 - 0.7 * 1.5])
    assert curve.standardised == pytest.approx(curve.net_benefit / 0.3)
    # at .2: 4 of 10 films spared, no tumour missed
    assert curve.interventions_avoided[0] == pytest.approx(0.4)
    assert curve.table().columns.tolist()[:2] == ["threshold", "net_benefit"]


def test_a_film_at_the_threshold_is_acted_on():
    assert decision_curve([1, 0], [0.07, 0.01], [0.07]).true_positive_share[0] == 0.5


def test_the_grid_is_exact_where_a_running_sum_is_not():
    grid = threshold_grid(0.01, 0.99)
    assert grid.tolist() == [float(f"0.{k:02d}") for k in range(1, 100)]
    assert 0.01 + 5 * 0.01 != 0.06  # what R's seq() computes
    assert threshold_grid().tolist()[-1] == 0.2


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 1000))
def test_the_studys_seventeen_false_positives(seed):
    """Net benefit changes by (false positives saved / n) x odds: 17 of 743 at .1 is 2.5, at .5 is 22.9 per 1000."""
    rng = np.random.default_rng(seed)
    label = np.r_[np.ones(268), np.zeros(475)].astype(int)
    called = np.r_[np.arange(268) < 242, np.arange(475) < 63]
    fewer = np.r_[np.arange(268) < 242, np.arange(475) < 46]
    order = rng.permutation(743)
    for at, expected in ((0.1, 2.5), (0.5, 22.9)):
        one, other = (
            decision_curve(label[order], c[order].astype(float), [at]).net_benefit[0] for c in (fewer, called)
        )
        assert round(1000 * (one - other), 1) == expected


def test_another_prevalence_in_both_conventions():
    own = decision_curve(LABEL, RISK, [0.2])
    dcurves = decision_curve(LABEL, RISK, [0.2], prevalence=0.1, convention="dcurves")
    # same cut: sensitivity 1, false positive rate 3/7
    assert dcurves.net_benefit[0] == pytest.approx(0.1 - 3 / 7 * 0.9 * 0.25)
    shifted = decision_curve(LABEL, RISK, [0.2], prevalence=0.1)
    # odds times (1/9)/(3/7): .9 -> .70, .6 -> .28, .3 -> .10, .2 -> .06: sensitivity 2/3, false positive rate 1/7
    assert shifted.net_benefit[0] == pytest.approx(2 / 3 * 0.1 - 1 / 7 * 0.9 * 0.25)
    assert (own.convention, dcurves.convention, shifted.convention) == (None, "dcurves", "logit_shift")
    same = decision_curve(LABEL, RISK, [0.2], prevalence=0.3)
    assert same.net_benefit[0] == pytest.approx(own.net_benefit[0])


def test_shifted_risks_are_bayes_rule_and_go_back():
    risks = shifted_risks([0.0, 0.5, 1.0], 0.5, 0.1)
    assert risks == pytest.approx([0, 0.1, 1])  # posterior odds 1 x (1/9)/1
    assert shifted_risks(risks, 0.1, 0.5) == pytest.approx([0, 0.5, 1])


def test_bootstrap_intervals_of_curve_and_difference():
    rng = np.random.default_rng(1)
    label = np.r_[np.ones(60), np.zeros(90)].astype(int)
    risks = {arm: np.clip(rng.beta(2, 3, 150) + 0.3 * label, 0.01, 0.99) for arm in "ab"}
    grid = threshold_grid()
    result = joint_bootstrap(label, risks, risks=risks, net_benefit_at=grid, replicates=400)
    curve = {arm: decision_curve(label, risks[arm], grid).net_benefit for arm in "ab"}
    for i, at in enumerate(grid):
        name = f"net_benefit/{at:.4g}"
        assert result.estimates["a"][name].estimate == pytest.approx(curve["a"][i])
        assert result.differences["b"][name].estimate == pytest.approx(curve["b"][i] - curve["a"][i])
    moved = {arm: shifted_risks(r, 0.4, 0.05) for arm, r in risks.items()}
    there = joint_bootstrap(label, moved, risks=moved, net_benefit_at=grid, net_benefit_prevalence=0.05, replicates=100)
    expected = decision_curve(label, risks["a"], grid, prevalence=0.05).net_benefit
    for i, at in enumerate(grid):
        assert there.estimates["a"][f"net_benefit/{at:.4g}"].estimate == pytest.approx(expected[i])


def test_interval_of_net_benefit_is_wilsons_of_both_classes_combined():
    """Acted on: 57 of 60 malignant and 30 of 90 normal films; bootstrap variances of plain counts are p (1 - p) / n."""
    label = np.repeat([1, 0], [60, 90])
    risk = np.r_[np.full(57, 0.6), np.full(3, 0.05), np.full(30, 0.6), np.full(60, 0.05)]
    found = joint_bootstrap(label, {"a": risk}, risks={"a": risk}, net_benefit_at=[0.2], replicates=20_000)
    ours, method = found.estimates["a"]["net_benefit/0.2"], found.estimates["a"]["net_benefit/0.2"].method
    value, reach = 0.4 * 0.95 - 0.6 / 3 * 0.25, {}
    for side, (x, n, weight) in {"ill": (57, 60, 0.4), "well": (30, 90, 0.6 * 0.25)}.items():
        low, high = proportion_interval(x, n)
        reach[side] = weight * (x / n - low), weight * (high - x / n)
    lower = value - np.hypot(reach["ill"][0], reach["well"][1])  # Zou and Donner 2008
    upper = value + np.hypot(reach["ill"][1], reach["well"][0])
    assert (ours.estimate, ours.lower, ours.upper) == pytest.approx((value, lower, upper), abs=2e-3)
    assert "MOVER" in method
    assert found.draws.of("a", "net_benefit/0.2").std() > 0


@pytest.mark.parametrize("sampling", ["by_class", "consecutive"])
def test_net_benefit_keeps_an_interval_where_every_tumour_is_found(sampling):
    label = np.repeat([1, 0], [20, 40])
    risk = np.r_[np.full(20, 0.9), np.full(10, 0.9), np.full(30, 0.01)]
    found = joint_bootstrap(label, {"a": risk}, risks={"a": risk}, net_benefit_at=[0.1], sampling=sampling)
    ours = found.estimates["a"]["net_benefit/0.1"]
    assert ours.lower < ours.estimate - 0.02  # Wilson's lower limit of 20 of 20 is .84
    assert ours.estimate <= ours.upper <= 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"risk": [1.2] * 10}, "outside"),
        ({"thresholds": [1.0]}, "threshold probability"),
        ({"thresholds": [0.0]}, "threshold probability"),
        ({"prevalence": 1.5}, "prevalence"),
        ({"convention": "theirs"}, "convention"),
        ({"labels": [1] * 10}, "one class"),
    ],
)
def test_bad_input_is_refused(change, message):
    arguments = {"labels": LABEL, "risk": RISK} | change
    with pytest.raises(ValueError, match=message):
        decision_curve(**arguments)


def test_an_empty_declared_range_is_refused():
    with pytest.raises(ValueError, match="no threshold"):
        threshold_grid(0.011, 0.019)
