"""The ROC curve: every distinct threshold, nothing dropped, the direction never flipped.

A film is called positive when its score is at least the threshold; higher scores mean more suspicion. An arm that ranks
normal films above malignant ones has an AUC below 0.5 here, as it should: turning the curve over by itself (as pROC
does by default) would hide a detector that learnt the wrong thing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from osteotl.statistics.checks import check_labels, check_one_of, check_scores, check_share, check_weights

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class RocCurve:
    """One ROC curve, from the strictest threshold to the most lenient.

    Attributes
    ----------
    thresholds : array of shape (k + 1,)
        Descending: infinity (no film positive), then every distinct score.
    true_positives, false_positives : array of shape (k + 1,)
        Films (or sums of weights) with a score of at least the threshold.
    positives, negatives : float
        Malignant and normal films (or sums of weights).
    """

    thresholds: Vector
    true_positives: Vector
    false_positives: Vector
    positives: float
    negatives: float

    @property
    def sensitivity(self) -> Vector:
        """Share of malignant films called positive, at each threshold."""
        return self.true_positives / self.positives

    @property
    def specificity(self) -> Vector:
        """Share of normal films called negative, at each threshold."""
        return (self.negatives - self.false_positives) / self.negatives

    @property
    def false_positive_rate(self) -> Vector:
        """1 - specificity, at each threshold."""
        return self.false_positives / self.negatives

    @property
    def midpoints(self) -> Vector:
        """The same thresholds halfway to the next lower score, as pROC prints them (-infinity for the lowest)."""
        observed = self.thresholds[1:]
        below = np.append(observed[1:], -np.inf)
        return np.concatenate([[np.inf], (observed + below) / 2])

    @property
    def auc(self) -> float:
        """Area under the curve by trapezoids: P(malignant > normal) + P(equal)/2."""
        # in counts, so that integer data give an exact sum
        width = np.diff(self.false_positives)
        height = self.true_positives[1:] + self.true_positives[:-1]
        return float(width @ height / (2 * self.positives * self.negatives))


def roc_curve(labels: ArrayLike, scores: ArrayLike, weights: ArrayLike | None = None) -> RocCurve:
    """The empirical ROC curve with every distinct threshold.

    Parameters
    ----------
    labels : array of shape (n,), 1 malignant, 0 normal
    scores : array of shape (n,), any real scale, higher = more suspicious
    weights : array of shape (n,), optional
        How often each film counts.

    Returns
    -------
    RocCurve

    Raises
    ------
    ValueError
        What `check_labels`, `check_scores` and `check_weights` say; a class whose weights are all 0.

    Notes
    -----
    Matches `pROC::coords(roc(..., direction = "<"), "all")`. sklearn's default drops collinear points.

    Examples
    --------
    >>> roc_curve([0, 0, 1, 1], [0.1, 0.4, 0.4, 0.8]).auc
    0.875
    """
    positive = check_labels(labels)
    score = check_scores(scores, positive.size)
    weight = np.ones(positive.size) if weights is None else check_weights(weights, positive.size)
    totals = [float(weight[positive].sum()), float(weight[~positive].sum())]
    if min(totals) == 0:
        raise ValueError("weights leave one class without films; both classes must count")
    order = np.argsort(score)[::-1]
    ranked = score[order]
    last = np.append(ranked[1:] != ranked[:-1], True)  # tied films enter together
    hits = np.cumsum(np.where(positive, weight, 0.0)[order])[last]
    alarms = np.cumsum(np.where(positive, 0.0, weight)[order])[last]
    start = np.zeros(1)
    return RocCurve(
        np.append(np.inf, ranked[last]), np.append(start, hits), np.append(start, alarms), totals[0], totals[1]
    )


def auc(labels: ArrayLike, scores: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Area under the empirical ROC curve, in [0, 1]; ties count one half.

    Parameters, errors: as `roc_curve`. Matches `pROC::auc` with `direction = "<"` and sklearn's `roc_auc_score`.

    Examples
    --------
    >>> auc([0, 1], [0.2, 0.2])
    0.5
    """
    return roc_curve(labels, scores, weights).auc


def _area_to(x: Vector, y: Vector, end: float) -> float:
    """Area under straight lines through (x, y), x ascending, from x[0] to `end`; vertical steps have no area."""
    area = np.append(0.0, np.cumsum(np.diff(x) * (y[1:] + y[:-1]) / 2))
    index = int(np.searchsorted(x, end, side="right")) - 1
    if index == x.size - 1:
        return float(area[-1])
    step = end - x[index]
    slope = (y[index + 1] - y[index]) / (x[index + 1] - x[index])
    return float(area[index] + step * (y[index] + slope * step / 2))


def partial_auc(
    labels: ArrayLike,
    scores: ArrayLike,
    lowest: float,
    highest: float = 1.0,
    focus: str = "specificity",
    corrected: bool = False,
) -> float | None:
    """Area under the part of the curve where specificity (or sensitivity) lies in [lowest, highest].

    Parameters
    ----------
    labels, scores : as `roc_curve`
    lowest, highest : float in [0, 1]
        Ends of the region.
    focus : {"specificity", "sensitivity"}
        The axis that the region is cut on.
    corrected : bool
        McClish's rescaling: 0.5 = the diagonal, 1 = perfect.

    Returns
    -------
    float or None
        At most highest - lowest (1 if corrected). None where the corrected value is asked for a curve whose area lies
        below the diagonal's, for which the correction is not defined (pROC: NA).

    Raises
    ------
    ValueError
        As `roc_curve`; a focus that is neither word; an empty region.

    Notes
    -----
    McClish DK, Med Decis Making 1989;9:190. Matches `pROC::auc(partial.auc = , partial.auc.focus = ,
    partial.auc.correct = )`.
    """
    check_one_of(focus, ("specificity", "sensitivity"), "focus")
    check_share(lowest, "lowest", ends=True)
    check_share(highest, "highest", ends=True)
    if lowest >= highest:
        raise ValueError(f"lowest ({lowest}) must be below highest ({highest}): the region is empty")
    curve = roc_curve(labels, scores)
    x, y = curve.false_positive_rate, curve.sensitivity
    if focus == "sensitivity":  # the same curve seen from the other axis: specificity over the share of misses
        x, y = (1 - curve.sensitivity)[::-1], curve.specificity[::-1]
    left, right = 1 - highest, 1 - lowest
    area = _area_to(x, y, right) - _area_to(x, y, left)
    if not corrected:
        return area
    most = right - left
    least = most * (left + right) / 2
    return None if area < least * (1 - 1e-12) else (1 + (area - least) / (most - least)) / 2


def sensitivity_at_specificity(labels: ArrayLike, scores: ArrayLike, specificity: float, step: bool = False) -> float:
    """Sensitivity where the curve has the given specificity.

    Parameters
    ----------
    labels, scores : as `roc_curve`
    specificity : float in [0, 1]
    step : bool
        False: straight lines between points, the top of a vertical step (pROC). True: the best threshold that really
        exists, the highest sensitivity among points with at least this specificity.

    Returns
    -------
    float in [0, 1]

    Raises
    ------
    ValueError
        As `roc_curve`, or a specificity outside [0, 1].

    Notes
    -----
    Matches `pROC::coords(roc, x, input = "specificity")`.
    """
    check_share(specificity, "specificity", ends=True)
    curve = roc_curve(labels, scores)
    return _read(curve.specificity, curve.sensitivity, specificity, step)


def specificity_at_sensitivity(labels: ArrayLike, scores: ArrayLike, sensitivity: float, step: bool = False) -> float:
    """Specificity where the curve has the given sensitivity; the mirror image of `sensitivity_at_specificity`."""
    check_share(sensitivity, "sensitivity", ends=True)
    curve = roc_curve(labels, scores)
    return _read(curve.sensitivity[::-1], curve.specificity[::-1], sensitivity, step)


def _read(given: Vector, wanted: Vector, value: float, step: bool) -> float:
    """Read `wanted` (ascending) where `given` (descending, from 1 to 0) equals `value`."""
    if step or bool(np.any(given == value)):
        return float(wanted[given >= value].max())
    after = int(np.argmax(given < value))
    share = (given[after - 1] - value) / (given[after - 1] - given[after])
    return float(wanted[after - 1] + share * (wanted[after] - wanted[after - 1]))
