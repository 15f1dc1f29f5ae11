"""Bad input is named: what, where, the rule, and a way out."""

import numpy as np
import pytest

from osteotl.statistics import checks


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([], "labels is empty"),
        ([0, 1, 2], r"labels\[2\] is 2; labels are 1 \(malignant\) or 0"),
        ([0, 1, np.nan], r"labels\[2\] is nan"),
        ([1, 1, 1], r"one class only \(3 malignant of 3\)"),
        ([0, 0], r"one class only \(0 malignant of 2\)"),
        ([[0, 1]], "2 dimensions"),
        (["malignant", "normal"], "not numbers"),
    ],
)
def test_labels(labels, message):
    with pytest.raises(ValueError, match=message):
        checks.check_labels(labels)


def test_labels_may_be_of_one_class_where_that_is_enough():
    assert checks.check_labels([1, 1], both_classes=False).all()


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        ([0.1, np.nan, np.inf], r"scores\[1\] is nan \(2 of 3 values are not finite\)"),
        ([0.1, -np.inf, 0.2], r"scores\[1\] is -inf"),
        ([0.1, 0.2], "scores has 2 values, the labels have 3"),
        (["a", "b", "c"], "not numbers"),
    ],
)
def test_scores(scores, message):
    with pytest.raises(ValueError, match=message):
        checks.check_scores(scores, 3)


def test_probabilities_outside_the_unit_interval():
    with pytest.raises(ValueError, match=r"risk\[1\] is 1.2 .*recalibrate"):
        checks.check_probabilities([0.1, 1.2])


def test_weights():
    with pytest.raises(ValueError, match=r"weights\[0\] is -1"):
        checks.check_weights([-1, 2])
    with pytest.raises(ValueError, match="all 0"):
        checks.check_weights([0, 0])


def test_patients_are_coded_in_order_of_appearance():
    assert checks.check_patients(["b", "a", "b"]).tolist() == [0, 1, 0]
    assert checks.check_patients(None, 3).tolist() == [0, 1, 2]
    with pytest.raises(ValueError, match=r"patients\[1\] is missing"):
        checks.check_patients(["b", None, "b"])


def test_duplicate_and_missing_identifiers():
    with pytest.raises(ValueError, match=r"image_id\[2\] repeats 'a' \(1 repeats\)"):
        checks.check_ids(["a", "b", "a"])
    with pytest.raises(ValueError, match=r"image_id\[1\] is missing"):
        checks.check_ids(["a", None])


def test_arms_must_have_scored_the_same_films():
    with pytest.raises(ValueError, match="'c' is in one only"):
        checks.check_same_ids({"x": ["a", "b"], "y": ["a", "b", "c"]})
    with pytest.raises(ValueError, match="another order"):
        checks.check_same_ids({"x": ["a", "b"], "y": ["b", "a"]})
    checks.check_same_ids({"x": ["a", "b"], "y": ["a", "b"]})


def test_shares_and_words():
    with pytest.raises(ValueError, match="strictly between 0 and 1"):
        checks.check_confidence(1.0)
    assert checks.check_share(1.0, "prevalence", ends=True) == 1.0
    with pytest.raises(ValueError, match="must be one of a, b"):
        checks.check_one_of("c", ("a", "b"), "word")


def test_reference_must_be_an_arm():
    with pytest.raises(ValueError, match="'z' is not among the arms x"):
        checks.check_arms({"x": [1.0]}, 1, "z")
    with pytest.raises(ValueError, match="no arm"):
        checks.check_arms({}, 1)
