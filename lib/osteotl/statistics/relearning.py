"""Rates with the threshold relearnt: what a newly made validation set would have led to.

An interval with the threshold fixed says how well this threshold does. It leaves out that the threshold itself came
from a sample. Here each draw resamples the validation patients, learns a threshold on them by the same rule, resamples
the test patients, and applies it there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from osteotl.statistics._bootstrap_plan import draw_units
from osteotl.statistics._draws import blocks, draw_block
from osteotl.statistics.checks import (
    NO_VARIANCE,
    Estimate,
    check_confidence,
    check_labels,
    check_one_of,
    check_patients,
    check_scores,
    check_share,
)
from osteotl.statistics.operating_points import RULES, UNDEFINED, Confusion, confusion_at, select_threshold

Vector = NDArray[np.float64]
Integers = NDArray[np.int64]
ONE_CLASS = "validation patients of one class"
LEARNT = tuple(rule for rule in RULES if rule != "fixed")


@dataclass(frozen=True)
class Films:
    """One set of films scored by one run.

    Attributes
    ----------
    labels : array of shape (n,), 1 malignant, 0 normal
    scores : array of shape (n,)
    patients : array of shape (n,), optional
    """

    labels: ArrayLike
    scores: ArrayLike
    patients: ArrayLike | None = None

    def checked(self, name: str) -> tuple[NDArray[np.bool_], Vector, Integers]:
        """Labels, scores and patient codes."""
        positive = check_labels(self.labels, f"labels of {name}")
        score = check_scores(self.scores, positive.size, f"scores of {name}")
        return positive, score, check_patients(self.patients, positive.size, f"patients of {name}")


@dataclass(frozen=True)
class Relearnt:
    """Every draw's threshold and counts on the test films.

    Attributes
    ----------
    thresholds, tp, fp, tn, fn : array of shape (draws,)
        Threshold NaN and counts 0 where the validation films drawn are of one class (consecutive sampling alone).
    observed : Confusion
        On the test films, with the threshold learnt on the validation films as they are.
    """

    thresholds: Vector
    tp: Integers
    fp: Integers
    tn: Integers
    fn: Integers
    observed: Confusion

    def rate(self, name: str) -> Vector:
        """A rate in every draw; NaN where its denominator is 0."""
        over, under = {
            "sensitivity": (self.tp, self.tp + self.fn),
            "specificity": (self.tn, self.tn + self.fp),
            "ppv": (self.tp, self.tp + self.fp),
            "npv": (self.tn, self.tn + self.fn),
            "accuracy": (self.tp + self.tn, self.tp + self.tn + self.fp + self.fn),
            "f1": (2 * self.tp, 2 * self.tp + self.fp + self.fn),
        }[check_one_of(name, ("sensitivity", "specificity", "ppv", "npv", "accuracy", "f1"), "rate")]
        return np.divide(over, under, out=np.full(self.tp.size, np.nan), where=under > 0)


def relearn(
    validation: Films,
    test: Films,
    rule: str,
    target: float | None = None,
    draws: int = 10_000,
    seed: int = 0,
    sampling: str = "by_class",
) -> Relearnt:
    """Resample validation and test patients, relearn the threshold in each draw.

    Parameters
    ----------
    validation, test : Films
    rule : {"high_sensitivity", "high_specificity", "youden", "closest"}
        With the tie rules of `operating_points`.
    target : float in (0, 1), for the first two rules
    draws : int, at least 100
    seed : int
        Draw b depends on (seed, b) alone: two arms on the same films and seed share their draws, so that their
        difference is paired.
    sampling : {"by_class", "consecutive"}
        Malignant and normal patients drawn apart, or all together; for both sets.

    Returns
    -------
    Relearnt

    Raises
    ------
    ValueError
        Faulty input.
    """
    check_one_of(rule, LEARNT, "rule")
    if rule.startswith("high"):
        check_share(float("nan") if target is None else target, "target")
    if draws < 100:
        raise ValueError(f"draws is {draws}; give at least 100 (10,000 is usual)")
    learning, applying = validation.checked("validation"), test.checked("test")
    chosen = select_threshold(learning[0], learning[1], rule, target)
    observed = confusion_at(applying[0], applying[1], chosen.threshold)
    thresholds, counts = np.empty(draws), np.empty((draws, 4), np.int64)
    code = LEARNT.index(rule)
    (ill, learning_score, learning_codes), (malignant, score, codes) = learning, applying
    learning_units, learning_ends = draw_units(learning_codes, ill, sampling)
    units, ends = draw_units(codes, malignant, sampling)
    learning_films = _descending(ill, learning_score, learning_units)
    films = _descending(malignant, score, units)
    for first, last in blocks(draws, int(learning_ends[-1] + ends[-1])):
        drawn = draw_block(learning_ends, first, last, seed, stream=2)
        thresholds[first:last] = _learn(*learning_films, drawn, code, target or 0.0)
        counts[first:last] = _apply(*films, draw_block(ends, first, last, seed), thresholds[first:last])
    counts[np.isnan(thresholds)] = 0
    tp, fp, tn, fn = counts.T
    return Relearnt(thresholds, tp, fp, tn, fn, observed)


def _descending(
    positive: NDArray[np.bool_], score: Vector, units: Integers
) -> tuple[NDArray[np.bool_], Vector, Integers]:
    order = np.argsort(score)[::-1]
    return positive[order], score[order], units[order]


@njit(cache=True)
def _cost(rule: int, target: float, tp: int, fp: int, ill: int, well: int) -> float:
    """What a rule minimises, in counts; infinite where the target is missed."""
    if rule == 0:
        return float(fp) if tp / ill >= target else np.inf
    if rule == 1:
        return -float(tp) if (well - fp) / well >= target else np.inf
    misses, alarms = float(ill - tp) * well, float(fp) * ill
    return misses + alarms if rule == 2 else misses**2 + alarms**2


@njit(cache=True)
def _learn(
    positive: NDArray[np.bool_], score: Vector, units: Integers, weights: NDArray[np.uint16], rule: int, target: float
) -> Vector:
    """Threshold of every row of patient weights, by the rules and ties of `operating_points`; scores descending.

    NaN where the films drawn are of one class.
    """
    n = score.size
    result = np.empty(weights.shape[0])
    for row in range(weights.shape[0]):
        ill, films, tp, called, fresh = 0, 0, 0, 0, 0
        for place in range(n):
            films += weights[row, units[place]]
            if positive[place]:
                ill += weights[row, units[place]]
        if ill == 0 or ill == films:
            result[row] = np.nan
            continue
        best, threshold = _cost(rule, target, 0, 0, ill, films - ill), np.inf
        for place in range(n):
            weight = weights[row, units[place]]
            fresh += weight
            called += weight
            if positive[place]:
                tp += weight
            tied = place + 1 < n and score[place + 1] == score[place]
            if tied or fresh == 0:  # a score that was not drawn is no threshold
                continue
            fresh = 0
            cost = _cost(rule, target, tp, called - tp, ill, films - ill)
            if cost < best or (cost == best and rule != 1 and cost < np.inf):
                best, threshold = cost, score[place]
        result[row] = threshold
    return result


@njit(cache=True)
def _apply(
    positive: NDArray[np.bool_], score: Vector, units: Integers, weights: NDArray[np.uint16], thresholds: Vector
) -> Integers:
    """tp, fp, tn, fn of every row of patient weights at its threshold; scores descending."""
    counts = np.zeros((weights.shape[0], 4), np.int64)
    for row in range(weights.shape[0]):
        for place in range(score.size):
            called = score[place] >= thresholds[row]
            column = (0 if called else 3) if positive[place] else (1 if called else 2)
            counts[row, column] += weights[row, units[place]]
    return counts


def relearnt_rate(result: Relearnt, name: str, confidence: float = 0.95) -> Estimate:
    """A rate with a percentile interval that holds the sampling of validation and test patients.

    Returns
    -------
    Estimate
        Not estimable where the rate is undefined in the data or in some draw.
    """
    check_confidence(confidence)
    method = f"threshold relearnt on resampled validation patients, {result.thresholds.size} draws, percentile interval"
    value = result.observed.rate(name)
    return _percentile(value, result.rate(name), _why(result, name), method, result.observed.n, confidence, None)


def relearnt_difference(arm: Relearnt, reference: Relearnt, name: str, confidence: float = 0.95) -> Estimate:
    """Difference of a rate between two arms that shared their draws; p = 2 (1 + #) / (draws + 1), at most 1.

    Raises
    ------
    ValueError
        The arms have different numbers of draws.
    """
    check_confidence(confidence)
    if arm.thresholds.size != reference.thresholds.size:
        raise ValueError(f"arms have {arm.thresholds.size} and {reference.thresholds.size} draws; use the same draws")
    method = f"thresholds relearnt on resampled validation patients, {arm.thresholds.size} draws, percentile interval"
    one, other = arm.observed.rate(name), reference.observed.rate(name)
    value = None if one is None or other is None else one - other
    values = arm.rate(name) - reference.rate(name)
    fewer = min(int((values <= 0).sum()), int((values >= 0).sum()))
    p = min(1.0, 2 * (1 + fewer) / (values.size + 1))
    return _percentile(value, values, _why(arm, name), method, arm.observed.n, confidence, p)


def _why(result: Relearnt, name: str) -> str:
    """Why a rate lacks a value in some draw."""
    return ONE_CLASS if np.isnan(result.thresholds).any() else UNDEFINED[name]


def _percentile(
    value: float | None, values: Vector, reason: str, method: str, n: int, confidence: float, p: float | None
) -> Estimate:
    if value is None:
        return Estimate.missing(reason, method, n)
    if not np.isfinite(values).all():
        return Estimate(value, None, None, method, n, not_estimable=f"{reason} in some draw")
    if np.ptp(values) == 0:
        return Estimate(value, None, None, method, n, None if p is None or value else 1.0, not_estimable=NO_VARIANCE)
    low, high = np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Estimate(value, low, high, method, n, p)
