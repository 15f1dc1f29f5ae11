"""Threshold rules, each implemented once: for a study, for the bootstrap's compiled loops, for a notebook's cell.

A rule is a function ``rule(tp, fp, positives, negatives, target) -> index``. ``tp`` and ``fp`` hold the weighted counts
of malignant and normal cases called positive at each cut: index 0 calls nothing positive (threshold infinity), each
further index is the next lower distinct score. A case is called positive when score >= threshold. Counts are whole
numbers, so ties are exact. Where several cuts give the same counts, the highest threshold is taken.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from diagnostic_accuracy._kernels import compiled, first_at_least
from diagnostic_accuracy.checks import check_one_of, check_share
from diagnostic_accuracy.estimates import Estimate, results
from diagnostic_accuracy.roc import roc_curve

Rule = Callable[[NDArray[np.int64], NDArray[np.int64], int, int, float], int]


@compiled()
def high_sensitivity(tp, fp, positives, negatives, target):  # type: ignore[no-untyped-def]
    """Index of the fewest false positives with sensitivity >= target; then the most true positives."""
    first = first_at_least(tp, math.ceil(target * positives - 1e-9))
    return first_at_least(fp, fp[first] + 1) - 1


@compiled()
def high_specificity(tp, fp, positives, negatives, target):  # type: ignore[no-untyped-def]
    """Index of the most true positives with specificity >= target; then the fewest false positives."""
    allowed = negatives - math.ceil(target * negatives - 1e-9)
    last = first_at_least(fp, allowed + 1) - 1
    return first_at_least(tp, tp[last])


@compiled()
def youden(tp, fp, positives, negatives, target):  # type: ignore[no-untyped-def]
    """Index of the largest sensitivity + specificity; then the most true positives. `target` is not used."""
    best, index = -1, 0
    for i in range(tp.shape[0]):
        value = tp[i] * negatives - fp[i] * positives
        if value >= best:
            best, index = value, i
    return index


@compiled()
def closest(tp, fp, positives, negatives, target):  # type: ignore[no-untyped-def]
    """Index of the point closest to sensitivity = specificity = 1; then the most true positives."""
    best, index = np.inf, 0
    for i in range(tp.shape[0]):
        missed, alarms = (positives - tp[i]) / positives, fp[i] / negatives
        distance = missed * missed + alarms * alarms
        if distance <= best * (1 + 1e-12):
            best, index = min(distance, best), i
    return index


#: The rules that a study can name.
RULES: dict[str, Rule] = {
    "high_sensitivity": high_sensitivity,
    "high_specificity": high_specificity,
    "youden": youden,
    "closest": closest,
}


ONE_CLASS = "the films on which it is found hold one class only"
NOTHING_POSITIVE = "no finite threshold meets the rule: nothing is called positive"
SOURCES = ("validation", "given", "external")  # a threshold that saw none of the external films first


@dataclass(frozen=True)
class Point:
    """An operating point: how its thresholds are found, and on which films.

    Attributes
    ----------
    name : str
        Such as 'high_sensitivity'.
    threshold_from : {"validation", "external", "given"}
    rule : callable or None
        None for given thresholds.
    target : float or None
        What the rule must reach.
    given : mapping of arm to threshold
    """

    name: str
    threshold_from: str = "validation"
    rule: Rule | None = None
    target: float | None = None
    given: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_one_of(self.threshold_from, SOURCES, "threshold_from")
        if self.rule is None and self.threshold_from != "given":
            raise ValueError(f"point {self.name!r} has no rule; give one of {', '.join(RULES)} or a function")
        if self.target is None and self.fixes is not None:
            raise ValueError(f"point {self.name!r} has no target; say which {self.fixes} its rule must reach")
        if self.target is not None:
            check_share(self.target, f"target of {self.name!r}")

    @property
    def fixes(self) -> str | None:
        """The rate that the rule fixes on the films on which the threshold is found."""
        fixed: dict[Any, str] = {high_sensitivity: "sensitivity", high_specificity: "specificity"}
        return fixed.get(self.rule)

    @property
    def films_needed(self) -> int:
        """Fewest cases of the class that the rule fixes: with fewer, one case is more than the rule may miss."""
        return 0 if self.fixes is None or self.target is None else math.ceil(1 / (1 - self.target) - 1e-9)


def points_of(
    rules: Mapping[str, float | None],
    sources: tuple[str, ...] = ("validation", "external"),
    **given: Mapping[str, float],
) -> list[Point]:
    """Operating points from the names of rules and their targets, locked ones first, then given ones.

    Parameters
    ----------
    rules : mapping of rule to target
    sources : tuple of {"validation", "external"}
    **given : mapping of arm to threshold
        Thresholds that were fixed beforehand, by the name of their point; an empty mapping makes no point.

    Examples
    --------
    >>> [p.name for p in points_of({"high_sensitivity": 0.9}, ("validation",))]
    ['high_sensitivity']
    """
    made = [
        Point(name, source, RULES[check_one_of(name, tuple(RULES), "rule")], target)
        for source in sources
        for name, target in rules.items()
    ]
    made += [Point(name, "given", given=by_arm) for name, by_arm in given.items() if by_arm]
    return sorted(made, key=lambda point: SOURCES.index(point.threshold_from))


def cumulative_counts(
    labels: ArrayLike, scores: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
    """Cuts (descending, the first infinite) and the counts tp and fp of cases called positive at each."""
    curve = roc_curve(labels, scores)
    return curve.thresholds, curve.true_positives.astype(np.int64), curve.false_positives.astype(np.int64)


def find_threshold(labels: ArrayLike, scores: ArrayLike, rule: str | Rule, target: float | None = None) -> float:
    """The threshold that a rule finds on a set of cases.

    Parameters
    ----------
    labels : array of shape (n,), 1 malignant, 0 normal
    scores : array of shape (n,)
    rule : {"high_sensitivity", "high_specificity", "youden", "closest"} or callable
        A function as described at the top of this module.
    target : float in (0, 1), optional
        For the first two rules.

    Returns
    -------
    float
        Positive when score >= threshold; infinity where only calling nothing positive meets the rule.

    Raises
    ------
    ValueError
        Faulty labels or scores, an unknown rule, or a target that is missing or out of range.

    Notes
    -----
    The published study's Methods: high sensitivity maximises specificity subject to sensitivity >= 0.90, high
    specificity the reverse. Counts match ``pROC::coords`` filtered by the same rules.

    Examples
    --------
    >>> find_threshold([0, 0, 1, 1], [0.1, 0.5, 0.4, 0.9], "high_sensitivity", 0.5)
    0.9
    """
    function: Any = RULES[check_one_of(rule, tuple(RULES), "rule")] if isinstance(rule, str) else rule
    if function in (high_sensitivity, high_specificity):
        check_share(math.nan if target is None else target, "target")
    cuts, tp, fp = cumulative_counts(labels, scores)
    index = int(function(tp, fp, int(tp[-1]), int(fp[-1]), math.nan if target is None else target))
    if not 0 <= index < cuts.size:
        raise ValueError(f"the rule returned {index}; it must return an index from 0 to {cuts.size - 1}")
    return float(cuts[index])


def thresholds_of(draws: Any) -> pd.DataFrame:
    """The threshold of every run at every point, as a table of results (measure 'threshold')."""
    rows, external = [], len(draws.scores.external.values)
    films = {"validation": len(draws.scores.values) - external, "external": external, "given": external}
    for (point, source), values in draws.thresholds.items():
        for (arm, run), value in zip(draws.runs, values, strict=True):
            method, n = "threshold on the score: positive when score >= threshold", films[source]
            found = Estimate.missing(ONE_CLASS if math.isnan(value) else NOTHING_POSITIVE, method, n)
            if math.isfinite(value):
                found = Estimate(float(value), None, None, method, n, note="a setting, without an interval")
            place = {"point": point, "threshold_from": source, "unit": "film"}
            rows.append(found.row(section="operating_points", measure="threshold", arm=arm, run=str(run), **place))
    return results(rows)


def positives_to_assure(target: float, confidence: float = 0.95) -> int:
    """Fewest malignant patients with which a threshold can be shown to reach the target sensitivity.

    Even when the lowest threshold finds all n, the one-sided exact lower bound is (1 - confidence)^(1/n), which must be
    at least the target: 29 patients for 0.90 at 95 %.

    Examples
    --------
    >>> positives_to_assure(0.90)
    29
    """
    check_share(target, "target")
    check_share(confidence, "confidence")
    return math.ceil(math.log(1 - confidence) / math.log(target) - 1e-12)
