"""Decision curves by hand and by their algebra; R's and Python's dcurves are in the oracle cases."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diagnostic_accuracy.decision import decision_curve, net_benefit, threshold_grid

LABEL = np.array([1, 1, 1, 0, 0, 0, 0, 0, 0, 0])
RISK = np.array([0.9, 0.6, 0.2, 0.6, 0.3, 0.2, 0.1, 0.1, 0.05, 0.0])


def test_net_benefit_by_hand():
    # at .2: TP 3, FP 3 (.6 .3 .2): 3/10 - 3/10 * .25; at .6: TP 2, FP 1: 2/10 - 1/10 * 1.5
    curve = decision_curve(LABEL, RISK, [0.2, 0.6])
    assert curve["net_benefit"].to_numpy() == pytest.approx([0.3 - 0.3 * 0.25, 0.2 - 0.1 * 1.5])
    assert curve["treat_all"].to_numpy() == pytest.approx([0.3 - 0.7 * 0.25, 0.3 - 0.7 * 1.5])
    assert curve["standardised"].to_numpy() == pytest.approx(curve["net_benefit"].to_numpy() / 0.3)
    assert curve["treat_none"].tolist() == [0, 0]
    # sensitivity 1 and 2/3, specificity 4/7 and 6/7
    assert net_benefit([1, 2 / 3], [4 / 7, 6 / 7], [0.2, 0.6], 0.3) == pytest.approx(curve["net_benefit"].to_numpy())


def test_a_film_at_the_threshold_is_acted_on():
    assert decision_curve([1, 0], [0.07, 0.01], [0.07])["true_positive_share"][0] == 0.5


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
            decision_curve(label[order], c[order].astype(float), [at])["net_benefit"][0] for c in (fewer, called)
        )
        assert round(1000 * (one - other), 1) == expected


def test_another_prevalence_weights_the_classes():
    own = decision_curve(LABEL, RISK, [0.2])
    weighted = decision_curve(LABEL, RISK, [0.2], prevalence=0.1)
    # same cut: sensitivity 1, false positive rate 3/7
    assert weighted["net_benefit"][0] == pytest.approx(0.1 - 3 / 7 * 0.9 * 0.25)
    assert own["standardised"][0] == pytest.approx(own["net_benefit"][0] / 0.3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"risk": [1.2] * 10}, "outside"),
        ({"thresholds": [1.0]}, "threshold probability"),
        ({"thresholds": [0.0]}, "threshold probability"),
        ({"prevalence": 1.5}, "prevalence"),
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
