"""The ROC curve. Values by hand unless a comment names their source."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diagnostic_accuracy.roc import (
    auc,
    partial_auc,
    roc_curve,
    sensitivity_at_specificity,
    specificity_at_sensitivity,
)

LABELS = [0, 0, 1, 1]
SCORES = [0.1, 0.4, 0.4, 0.8]


@st.composite
def films(draw, low=1, high=12):
    """Labels with both classes, and integer scores with many ties."""
    ill, well = draw(st.integers(low, high)), draw(st.integers(low, high))
    labels = np.array([1] * ill + [0] * well)
    scores = np.array(draw(st.lists(st.integers(-4, 4), min_size=ill + well, max_size=ill + well)), float)
    return labels, scores


def by_definition(labels, scores):
    """P(malignant > normal) + P(equal) / 2, pair by pair."""
    pairs = [(a, b) for a in scores[labels == 1] for b in scores[labels == 0]]
    return sum((a > b) + 0.5 * (a == b) for a, b in pairs) / len(pairs)


def test_every_distinct_threshold_is_kept():
    curve = roc_curve(LABELS, SCORES)
    assert curve.thresholds.tolist() == [math.inf, 0.8, 0.4, 0.1]
    assert curve.true_positives.tolist() == [0, 1, 2, 2]
    assert curve.false_positives.tolist() == [0, 0, 1, 2]
    assert curve.auc == 0.875  # 3 of 4 pairs won, one tied


def test_points_on_a_straight_run_are_not_dropped():
    curve = roc_curve([1, 1, 1, 0], [4, 3, 2, 1])  # sklearn's drop_intermediate keeps 3 of these 5 points
    assert curve.thresholds.size == 5


def test_midpoints_are_proc_thresholds():
    assert roc_curve(LABELS, SCORES).midpoints.tolist() == pytest.approx([math.inf, 0.6, 0.25, -math.inf])


def test_a_detector_that_is_wrong_keeps_its_auc_below_a_half():
    assert auc([0, 1], [0.9, 0.1]) == 0.0


@given(films())
def test_auc_is_its_definition(case):
    labels, scores = case
    assert auc(labels, scores) == pytest.approx(by_definition(labels, scores), abs=1e-12)


@given(films())
def test_monotone_transforms_and_row_order_change_nothing(case):
    labels, scores = case
    order = np.random.default_rng(0).permutation(labels.size)
    expected = auc(labels, scores)
    assert auc(labels, np.exp(scores) * 3 - 7) == expected
    assert auc(labels[order], scores[order]) == expected


@given(films())
def test_turned_scores_turn_the_area(case):
    labels, scores = case
    assert auc(labels, -scores) == pytest.approx(1 - auc(labels, scores), abs=1e-12)
    assert auc(1 - labels, scores) == pytest.approx(1 - auc(labels, scores), abs=1e-12)


def test_partial_area_of_a_known_curve():
    # points (fpr, tpr): (0,0) (0,.5) (.5,1) (1,1); area for fpr in [0, .5] = (.5 + 1) / 2 * .5 = .375
    assert partial_auc(LABELS, SCORES, 0.5) == pytest.approx(0.375)
    assert partial_auc(LABELS, SCORES, 0.0) == pytest.approx(0.875)
    # McClish: the diagonal has .125 and the most is .5, so (1 + (.375 - .125) / (.5 - .125)) / 2
    assert partial_auc(LABELS, SCORES, 0.5, corrected=True) == pytest.approx((1 + 0.25 / 0.375) / 2)
    # by sensitivity in [.5, 1]: specificity falls from 1 to .5 in a straight line
    assert partial_auc(LABELS, SCORES, 0.5, focus="sensitivity") == pytest.approx(0.375)


def test_the_correction_is_not_defined_below_the_diagonal():
    assert partial_auc([1, 1, 0, 0], SCORES, 0.5, corrected=True) is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [((0.9, 0.5), "region is empty"), ((0.5, 1.5), "highest is 1.5"), ((0.5, 1.0, "accuracy"), "must be one of")],
)
def test_partial_area_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        partial_auc(LABELS, SCORES, *arguments)


def test_reading_the_curve():
    assert sensitivity_at_specificity(LABELS, SCORES, 0.75) == pytest.approx(0.75)  # halfway from (0,.5) to (.5,1)
    assert sensitivity_at_specificity(LABELS, SCORES, 1.0) == 0.5  # top of the vertical step
    assert specificity_at_sensitivity(LABELS, SCORES, 0.75) == pytest.approx(0.75)
    with pytest.raises(ValueError, match=r"specificity is 1\.2"):
        sensitivity_at_specificity(LABELS, SCORES, 1.2)


@pytest.mark.parametrize("function", [roc_curve, auc])
@pytest.mark.parametrize(
    ("labels", "scores"),
    [([0, 1], [0.1, np.nan]), ([0, 2], [0.1, 0.2]), ([1, 1], [0.1, 0.2]), ([], []), ([0, 1], [0.1])],
)
def test_bad_input(function, labels, scores):
    with pytest.raises(ValueError, match=r"labels|scores"):
        function(labels, scores)
