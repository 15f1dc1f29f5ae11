"""Operating points: how a threshold is chosen, and what it does to a set of films.

A film is called positive when its score >= threshold. A threshold is always one of the scores of the films that it was
learnt on (or infinity: no film positive). Rules, with their ties:

- high_sensitivity: the largest specificity with sensitivity >= target; then the larger sensitivity;
- high_specificity: the largest sensitivity with specificity >= target; then the larger specificity;
- youden: the largest sensitivity + specificity; then the larger sensitivity (a missed tumour weighs more);
- closest: the least squared distance to sensitivity = specificity = 1; then the larger sensitivity;
- fixed: a threshold given beforehand.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from osteotl.statistics.checks import check_labels, check_one_of, check_patients, check_scores, check_share
from osteotl.statistics.roc import RocCurve, roc_curve

RULES = ("high_sensitivity", "high_specificity", "youden", "closest", "fixed")

# rate: (numerator, cells of the denominator)
RATES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "sensitivity": (("tp",), ("tp", "fn")),
    "specificity": (("tn",), ("tn", "fp")),
    "ppv": (("tp",), ("tp", "fp")),
    "npv": (("tn",), ("tn", "fn")),
    "accuracy": (("tp", "tn"), ("tp", "fp", "tn", "fn")),
}
UNDEFINED = {
    "sensitivity": "no malignant film",
    "specificity": "no normal film",
    "ppv": "no film was called positive",
    "npv": "no film was called negative",
    "accuracy": "no film",
    "f1": "no malignant film and none called positive",
    "lr_positive": "no false positive: the likelihood ratio has no upper bound",
    "lr_negative": "no film was called negative rightly: the likelihood ratio has no upper bound",
}


@dataclass(frozen=True)
class Confusion:
    """The 2x2 table of one arm at one threshold.

    Attributes
    ----------
    tp, fp, tn, fn : int
        True positives, false positives, true negatives, false negatives.
    """

    tp: int
    fp: int
    tn: int
    fn: int

    def __post_init__(self) -> None:
        for name, count in asdict(self).items():
            if count < 0 or count != int(count):
                raise ValueError(f"{name} is {count!r}; a 2x2 table holds counts of films")

    @property
    def positives(self) -> int:
        """Malignant films."""
        return self.tp + self.fn

    @property
    def negatives(self) -> int:
        """Normal films."""
        return self.tn + self.fp

    @property
    def n(self) -> int:
        """All films."""
        return self.positives + self.negatives

    def fraction(self, name: str) -> tuple[int, int]:
        """Numerator and denominator of a rate (see RATES)."""
        over, under = RATES[check_one_of(name, tuple(RATES), "rate")]
        return sum(getattr(self, cell) for cell in over), sum(getattr(self, cell) for cell in under)

    def rate(self, name: str) -> float | None:
        """A rate, F1 or likelihood ratio; None where its denominator is 0."""
        if name == "f1":
            under = 2 * self.tp + self.fp + self.fn
            return 2 * self.tp / under if under else None
        if name in ("lr_positive", "lr_negative"):
            return self._likelihood_ratio(name)
        over, under = self.fraction(name)
        return over / under if under else None

    def _likelihood_ratio(self, name: str) -> float | None:
        if not self.positives or not self.negatives:
            return None
        ill, well = (self.tp, self.fp) if name == "lr_positive" else (self.fn, self.tn)
        return (ill / self.positives) / (well / self.negatives) if well else None


@dataclass(frozen=True)
class OperatingPoint:
    """A chosen threshold and what it does on the films that it was chosen on.

    Attributes
    ----------
    rule : str
    target : float or None
        For the high-sensitivity and high-specificity rules.
    threshold : float
        Positive when score >= threshold; infinity where only calling no film positive meets the rule.
    counts : Confusion
        On the films of the selection.
    optima : int
        Thresholds that reach the same optimum before the tie rule.
    """

    rule: str
    target: float | None
    threshold: float
    counts: Confusion
    optima: int = 1

    def to_dict(self) -> dict[str, Any]:
        """Plain values; an infinite threshold as None."""
        threshold = self.threshold if math.isfinite(self.threshold) else None
        return {"rule": self.rule, "target": self.target, "threshold": threshold, **asdict(self.counts)}


def confusion_at(labels: ArrayLike, scores: ArrayLike, threshold: float) -> Confusion:
    """The 2x2 table of `score >= threshold`.

    Parameters
    ----------
    labels : array of shape (n,), 1 malignant, 0 normal (one class is enough)
    scores : array of shape (n,)
    threshold : float, not NaN

    Raises
    ------
    ValueError
        Faulty labels or scores; a threshold that is not a number.
    """
    positive = check_labels(labels, both_classes=False)
    if math.isnan(threshold):
        raise ValueError("threshold is nan; give a number (infinity calls no film positive)")
    called = check_scores(scores, positive.size) >= threshold
    return confusion_of(positive, called)


def confusion_of(positive: NDArray[np.bool_], called: NDArray[np.bool_]) -> Confusion:
    """The 2x2 table of labels and calls that are booleans already."""
    tp, called_positive = int((positive & called).sum()), int(called.sum())
    fp, malignant = called_positive - tp, int(positive.sum())
    return Confusion(tp, fp, positive.size - malignant - fp, malignant - tp)


def all_optima(curve: RocCurve, rule: str, target: float | None = None) -> NDArray[np.int64]:
    """Indices of all points of a curve of counts that are optimal under a rule, strictest threshold first.

    Ties are exact: counts are compared as integers, not as rounded rates.
    """
    tp, fp = curve.true_positives, curve.false_positives
    if rule in ("high_sensitivity", "high_specificity"):
        wanted = check_share(math.nan if target is None else target, "target")
        if rule == "high_sensitivity":
            allowed, cost = curve.sensitivity >= wanted, fp
        else:
            allowed, cost = curve.specificity >= wanted, -tp
        return np.flatnonzero(allowed & (cost == cost[allowed].min()))
    misses, alarms = (curve.positives - tp) * curve.negatives, fp * curve.positives
    if rule == "youden":
        return np.flatnonzero(misses + alarms == (misses + alarms).min())
    distance = misses**2 + alarms**2
    near = np.flatnonzero(distance <= distance.min() * (1 + 1e-12))  # squares may be beyond the exact integers
    exact = [int(misses[i]) ** 2 + int(alarms[i]) ** 2 for i in near]
    return near[[value == min(exact) for value in exact]]


def select_threshold(
    labels: ArrayLike, scores: ArrayLike, rule: str, target: float | None = None, threshold: float | None = None
) -> OperatingPoint:
    """Choose a threshold on a set of films.

    Parameters
    ----------
    labels : array of shape (n,), 1 malignant, 0 normal
    scores : array of shape (n,)
    rule : {"high_sensitivity", "high_specificity", "youden", "closest", "fixed"}
        With the ties stated at the top of this module.
    target : float in (0, 1), for the first two rules
    threshold : float, for "fixed"

    Returns
    -------
    OperatingPoint

    Raises
    ------
    ValueError
        Faulty labels or scores; an unknown rule; a target (or fixed threshold) missing or out of range.

    Notes
    -----
    The study's Methods: high sensitivity maximises specificity subject to sensitivity >= 0.90, high specificity the
    reverse. Counts match `pROC::coords` filtered by the same rules.

    Examples
    --------
    >>> select_threshold([0, 0, 1, 1], [0.1, 0.5, 0.4, 0.9], "high_sensitivity", 0.5).threshold
    0.9
    """
    check_one_of(rule, RULES, "rule")
    if rule == "fixed":
        if threshold is None:
            raise ValueError("rule 'fixed' needs threshold=...")
        return OperatingPoint(rule, None, float(threshold), confusion_at(labels, scores, threshold))
    if rule.startswith("high") and target is None:
        raise ValueError(f"rule {rule!r} needs target=..., such as 0.90")
    curve = roc_curve(labels, scores)
    optima = all_optima(curve, rule, target)
    index = int(optima[0] if rule == "high_specificity" else optima[-1])
    tp, fp = int(curve.true_positives[index]), int(curve.false_positives[index])
    counts = Confusion(tp, fp, int(curve.negatives) - fp, int(curve.positives) - tp)
    kept = target if rule.startswith("high") else None
    return OperatingPoint(rule, kept, float(curve.thresholds[index]), counts, optima.size)


def patient_level(
    labels: ArrayLike, scores: ArrayLike, patients: ArrayLike
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """One row a patient: malignant if any film is, with the largest score over the views.

    Parameters
    ----------
    labels, scores, patients : array of shape (n,)

    Returns
    -------
    labels : boolean array of shape (patients,), in order of first appearance
    scores : array of shape (patients,)

    Raises
    ------
    ValueError
        Faulty input.
    """
    positive = check_labels(labels)
    score = check_scores(scores, positive.size)
    codes = check_patients(patients, positive.size)
    size = int(codes.max()) + 1
    malignant = np.bincount(codes[positive], minlength=size) > 0
    largest = np.full(size, -np.inf)
    np.maximum.at(largest, codes, score)
    return malignant, largest


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
