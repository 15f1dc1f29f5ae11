"""Precision-recall by hand, and against scikit-learn; R's packages are in the oracle cases."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, f1_score, precision_recall_curve

from diagnostic_accuracy.roc import average_precision, interpolated_area, max_f1
from diagnostic_accuracy.roc import precision_recall_curve as our_curve

SCORES = st.lists(st.tuples(st.booleans(), st.integers(0, 6)), min_size=2, max_size=40).filter(
    lambda rows: len({label for label, _ in rows}) == 2
)


def test_curve_by_hand():
    # thresholds .9 .8 .7 .1 call 1 2 3 4 films; malignant among them 1 1 2 2 of 2
    films = [1, 0, 1, 0], [0.9, 0.8, 0.7, 0.1]
    thresholds, precision, recall = our_curve(*films)
    assert thresholds.tolist() == films[1]
    assert precision.tolist() == [1, 1 / 2, 2 / 3, 2 / 4]
    assert recall.tolist() == [0.5, 0.5, 1, 1]
    assert average_precision(*films) == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)


def test_tied_films_enter_together():
    # one threshold, everything called: precision = prevalence, whatever the order of rows
    assert average_precision([1, 0, 0, 1], [0.5] * 4) == 0.5
    assert average_precision([0, 0, 1, 1], [0.5] * 4) == 0.5


def test_max_f1_takes_the_lowest_threshold_of_several():
    # F1 at .9: 2/(2+0+1) = 2/3; at .7: 2*2/(4+2+0) = 2/3; the lower one finds more tumours
    assert max_f1([1, 0, 0, 1], [0.9, 0.8, 0.8, 0.7]) == (2 / 3, 0.7)


@settings(max_examples=100, deadline=None)
@given(SCORES)
def test_equal_to_scikit_learn(rows):
    label, score = np.array(rows, int).T
    assert average_precision(label, score) == pytest.approx(average_precision_score(label, score), abs=1e-12)
    precision, recall, thresholds = precision_recall_curve(label, score)
    ours = our_curve(label, score)
    assert ours[0][::-1].tolist() == thresholds.tolist()
    assert ours[1][::-1] == pytest.approx(precision[:-1])
    assert ours[2][::-1] == pytest.approx(recall[:-1])
    best, threshold = max_f1(label, score)
    assert best == pytest.approx(max(f1_score(label, score >= t) for t in thresholds))
    assert f1_score(label, score >= threshold) == pytest.approx(best)


def test_interpolated_area_by_hand():
    # one malignant at the top, then a tie of one malignant and one normal: precision 1 up to TP = 1, then
    # x / (2 x - 1) for x in 1..2, whose integral is x/2 + ln(2x - 1)/4
    expected = (1 + (2 / 2 + np.log(3) / 4) - 1 / 2) / 2
    assert interpolated_area([1, 1, 0], [0.9, 0.5, 0.5]) == pytest.approx(expected, rel=1e-12)
    # trapezoid between precision 1 at TP = 1 and 2/3 at TP = 2
    assert interpolated_area([1, 1, 0], [0.9, 0.5, 0.5], steps=True) == pytest.approx((1 + (1 + 2 / 3) / 2) / 2)


@pytest.mark.parametrize(
    ("labels", "scores", "message"),
    [([1, 1], [0.1, 0.2], "one class"), ([1, 0], [np.nan, 0.2], "nan"), ([1, 0], [0.1], "1 values"), ([], [], "empty")],
)
def test_bad_input_is_refused(labels, scores, message):
    for function in (average_precision, max_f1, our_curve, interpolated_area):
        with pytest.raises(ValueError, match=message):
            function(labels, scores)
