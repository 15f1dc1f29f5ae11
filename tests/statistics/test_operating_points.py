"""How thresholds are chosen. Answers by hand."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from osteotl.statistics.operating_points import (
    Confusion,
    all_optima,
    confusion_at,
    patient_level,
    positives_to_assure,
    select_threshold,
)
from osteotl.statistics.roc import roc_curve

#         threshold  .9 .8 .7 .6 .5 .4 .3 .2
LABELS = np.array([1, 0, 1, 1, 0, 1, 0, 0])
SCORES = np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2])


@pytest.mark.parametrize(
    ("rule", "target", "threshold", "cells"),
    [
        ("high_sensitivity", 0.75, 0.6, (3, 1, 3, 1)),
        ("high_sensitivity", 0.76, 0.4, (4, 2, 2, 0)),
        ("high_specificity", 0.75, 0.6, (3, 1, 3, 1)),
        ("high_specificity", 0.76, 0.9, (1, 0, 4, 3)),
        # J: .9 .25, .6 .5, .4 .5: tied, the larger sensitivity wins
        ("youden", None, 0.4, (4, 2, 2, 0)),
        # squared distances: .6 -> 1/16 + 1/16, .4 -> 0 + 4/16
        ("closest", None, 0.6, (3, 1, 3, 1)),
    ],
)
def test_rules(rule, target, threshold, cells):
    point = select_threshold(LABELS, SCORES, rule, target)
    assert point.threshold == threshold
    assert point.counts == Confusion(*cells)
    assert confusion_at(LABELS, SCORES, threshold) == point.counts


def test_tied_optima_are_counted():
    assert select_threshold(LABELS, SCORES, "youden").optima == 2


def test_sensitivity_reached_exactly_counts():
    labels = np.array([1] * 9 + [0, 1] + [0] * 9)  # the tenth tumour lies below a normal film
    scores = np.arange(20)[::-1]
    assert select_threshold(labels, scores, "high_sensitivity", 0.9).counts.tp == 9


def test_a_vertical_step_is_climbed_for_free():
    # thresholds 3 and 2 both have no false positive; sensitivity .5 would do, 1 costs nothing
    point = select_threshold([1, 1, 0], [3, 2, 1], "high_sensitivity", 0.5)
    assert (point.threshold, point.counts.tp) == (2, 2)


def test_no_threshold_meets_the_rule():
    point = select_threshold([0, 1], [1, 1], "high_specificity", 0.9)
    assert point.threshold == math.inf
    assert point.to_dict()["threshold"] is None
    assert point.counts == Confusion(0, 0, 1, 1)


def test_ties_are_exact_where_floats_would_split_them():
    # 1/3 + 1 - 2/3 and the like: equal J that floating sums tell apart in some order
    rng = np.random.default_rng(0)
    for _ in range(50):
        labels = np.repeat([1, 0], [30, 50])
        curve = roc_curve(labels, rng.integers(0, 20, 80))
        optima = all_optima(curve, "youden")
        exact = curve.true_positives[optima] * 50 - curve.false_positives[optima] * 30
        assert np.ptp(exact) == 0


@given(st.lists(st.integers(0, 9), min_size=8, max_size=8), st.sampled_from(["youden", "closest"]))
def test_monotone_transforms_choose_the_same_films(values, rule):
    scores = np.array(values, float)
    one, other = select_threshold(LABELS, scores, rule), select_threshold(LABELS, np.exp(scores), rule)
    assert one.counts == other.counts


def test_rates_of_a_published_table():
    # the published scratch arm: 242 of 268, 412 of 475 -> PPV .793 (STUDY.md)
    counts = Confusion(242, 63, 412, 26)
    assert round(counts.rate("sensitivity"), 3) == 0.903
    assert round(counts.rate("specificity"), 3) == 0.867
    assert round(counts.rate("ppv"), 3) == 0.793
    assert counts.rate("f1") == pytest.approx(2 * 242 / (2 * 242 + 63 + 26))
    assert counts.rate("lr_positive") == pytest.approx((242 / 268) / (63 / 475))


def test_undefined_rates_are_none_not_nan():
    counts = Confusion(0, 0, 5, 3)
    assert counts.rate("ppv") is None
    assert counts.rate("lr_positive") is None
    assert Confusion(0, 0, 5, 0).rate("f1") is None


def test_patient_level_takes_the_largest_score():
    labels, scores = patient_level([0, 1, 0, 0], [0.2, 0.4, 0.9, 0.1], ["a", "a", "a", "b"])
    assert labels.tolist() == [True, False]
    assert scores.tolist() == [0.9, 0.1]


def test_fewest_malignant_patients():
    assert positives_to_assure(0.90) == 29  # .9^28 = .0523, .9^29 = .0471
    assert positives_to_assure(0.95) == 59


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("sharpest",), "rule is 'sharpest'"),
        (("high_sensitivity",), "needs target"),
        (("high_sensitivity", 1.2), "target is 1.2"),
        (("fixed",), "needs threshold"),
    ],
)
def test_bad_rules(arguments, message):
    with pytest.raises(ValueError, match=message):
        select_threshold(LABELS, SCORES, *arguments)


def test_a_threshold_that_is_no_number():
    with pytest.raises(ValueError, match="threshold is nan"):
        confusion_at(LABELS, SCORES, math.nan)
    with pytest.raises(ValueError, match="tp is -1"):
        Confusion(-1, 0, 0, 0)
