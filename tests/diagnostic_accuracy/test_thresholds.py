"""Threshold rules by trying every cut, and the table of thresholds."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diagnostic_accuracy.bootstrap import bootstrap
from diagnostic_accuracy.estimates import one
from diagnostic_accuracy.scores import scores_of
from diagnostic_accuracy.thresholds import (
    Point,
    cumulative_counts,
    find_threshold,
    points_of,
    positives_to_assure,
    thresholds_of,
)
from simulated_scores import predictions

FILMS = st.lists(st.tuples(st.booleans(), st.integers(0, 6)), min_size=4, max_size=40).filter(
    lambda films: 0 < sum(y for y, _ in films) < len(films)
)


def test_points_whose_thresholds_saw_no_external_film_come_first():
    made = points_of({"youden": None}, ("external", "validation"), cut={"a": 0.4}, none={})
    assert [(p.name, p.threshold_from) for p in made] == [
        ("youden", "validation"), ("cut", "given"), ("youden", "external")]  # fmt: skip


def rates(films, cut):
    hits = [(s >= cut) for y, s in films if y], [(s < cut) for y, s in films if not y]
    return tuple(math.fsum(side) / len(side) for side in hits)


def rank(rule, sens, spec, target):
    """What the rule maximises; None where the cut may not be chosen."""
    if rule == "high_sensitivity":
        return (spec, sens) if sens >= target - 1e-12 else None
    if rule == "high_specificity":
        return (sens, spec) if spec >= target - 1e-12 else None
    if rule == "youden":
        return round(sens + spec, 9), sens
    return -round((1 - sens) ** 2 + (1 - spec) ** 2, 9), sens


@given(
    FILMS,
    st.sampled_from(["high_sensitivity", "high_specificity", "youden", "closest"]),
    st.sampled_from([0.5, 0.8, 0.9]),
)
def test_rules(films, rule, target):
    label, score = [y for y, _ in films], [s for _, s in films]
    cut = find_threshold(label, score, rule, target)
    allowed = [r for c in [math.inf, *set(score)] if (r := rank(rule, *rates(films, c), target)) is not None]
    assert rank(rule, *rates(films, cut), target) == max(allowed)
    assert cut in {math.inf, *score}


@given(FILMS)
def test_counts(films):
    label, score = np.array([y for y, _ in films]), np.array([s for _, s in films], float)
    cuts, tp, fp = cumulative_counts(label, score)
    assert cuts.tolist() == [math.inf, *sorted(set(score), reverse=True)]
    assert tp.tolist() == [int((score[label] >= c).sum()) for c in cuts]
    assert fp.tolist() == [int((score[~label] >= c).sum()) for c in cuts]


def test_a_rule_of_ones_own():
    def fewest_errors(tp, fp, positives, negatives, target):
        return int(np.argmin(positives - tp + fp))

    label, score = [0, 0, 1, 0, 1, 1], [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]
    assert find_threshold(label, score, fewest_errors) == 0.5
    with pytest.raises(ValueError, match="returned 9"):
        find_threshold(label, score, lambda *counts: 9)
    with pytest.raises(ValueError, match="rule is 'best'"):
        find_threshold(label, score, "best")
    with pytest.raises(ValueError, match="target"):
        find_threshold(label, score, "high_sensitivity")


def test_the_table_of_thresholds():
    table = predictions({"a": (0, 1)}, validation=(5, 6))
    points = [*points_of({"youden": None}), Point("strict", "given", given={"a": np.inf})]
    found = thresholds_of(bootstrap(scores_of(table), points, replicates=100))
    for source, films in (("validation", 11), ("external", 75)):
        row = one(found, run=1, threshold_from=source)
        rows = table[(table["seed"] == 1) & (table["cohort"] == source)]
        assert row["estimate"] == find_threshold(rows["label"], rows["score"], "youden")
        assert row["n"] == films
    nothing = one(found, run=0, point="strict")
    assert np.isnan(nothing["estimate"])
    assert "nothing is called positive" in nothing["note"]
    one_class = table[(table["cohort"] == "external") | (table["label"] == 0)]
    found = thresholds_of(bootstrap(scores_of(one_class), points, replicates=100))
    assert "one class" in one(found, run=0, threshold_from="validation")["note"]


def test_films_that_a_target_needs():
    assert Point("x", rule=points_of({"high_sensitivity": 0.9})[0].rule, target=0.9).films_needed == 10
    assert points_of({"high_specificity": 0.95})[0].films_needed == 20
    assert points_of({"youden": None})[0].films_needed == 0
    assert positives_to_assure(0.9) == 29  # 0.9^29 = .0471, 0.9^28 = .0523
