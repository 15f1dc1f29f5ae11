"""Precision and recall: the curve, average precision, and the largest F1.

Precision is the PPV and recall the sensitivity at a threshold (score >= threshold). Both depend on prevalence: a curve
is read against the prevalence line, the precision of a detector that ranks films at random.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from osteotl.statistics.roc import roc_curve

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class PrecisionRecallCurve:
    """Precision against recall at every distinct score, from the strictest threshold to the most lenient.

    Attributes
    ----------
    thresholds : array of shape (k,)
        Every distinct score, descending. (At infinity no film is called positive and precision is not defined.)
    precision, recall : array of shape (k,), in [0, 1]
    prevalence : float
        Share of malignant films: precision at random ranking.
    """

    thresholds: Vector
    precision: Vector
    recall: Vector
    prevalence: float

    @property
    def average_precision(self) -> float:
        """Sum over thresholds of (gain in recall) x precision: a step sum, never a trapezoid."""
        return float(np.diff(self.recall, prepend=0.0) @ self.precision)

    @property
    def f1(self) -> Vector:
        """Harmonic mean of precision and recall at each threshold; 0 where both are 0."""
        total = self.precision + self.recall
        return np.divide(2 * self.precision * self.recall, total, out=np.zeros_like(total), where=total > 0)


@dataclass(frozen=True)
class MaxF1:
    """The largest F1 and the threshold that reaches it (the lowest of several: more tumours found)."""

    f1: float
    threshold: float


def precision_recall_curve(
    labels: ArrayLike, scores: ArrayLike, weights: ArrayLike | None = None
) -> PrecisionRecallCurve:
    """The precision-recall curve at every distinct score; tied films enter together.

    Parameters
    ----------
    labels : array of shape (n,), 1 malignant, 0 not
    scores : array of shape (n,), any real scale, higher = more suspicious
    weights : array of shape (n,), optional
        How often each film counts.

    Returns
    -------
    PrecisionRecallCurve

    Raises
    ------
    ValueError
        As `roc_curve`.

    Notes
    -----
    Same points as scikit-learn's `precision_recall_curve` without its closing point (recall 0, precision 1).

    Examples
    --------
    >>> precision_recall_curve([1, 0, 1, 0], [0.9, 0.8, 0.7, 0.1]).recall.tolist()
    [0.5, 0.5, 1.0, 1.0]
    """
    curve = roc_curve(labels, scores, weights)
    called = (curve.true_positives + curve.false_positives)[1:]
    counted = called > 0  # films of weight 0 may hold the highest scores
    return PrecisionRecallCurve(
        curve.thresholds[1:][counted],
        curve.true_positives[1:][counted] / called[counted],
        curve.sensitivity[1:][counted],
        curve.positives / (curve.positives + curve.negatives),
    )


def average_precision(labels: ArrayLike, scores: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Average precision: sum over thresholds of (gain in recall) x precision.

    Parameters and errors as `precision_recall_curve`.

    Returns
    -------
    float in (0, 1]
        At random ranking about the prevalence.

    Notes
    -----
    Matches scikit-learn's `average_precision_score`. The trapezoid area (`ROCR` aucpr) interpolates linearly where
    precision does not, and is too large; PRROC's area interpolates as Davis and Goadrich (2006) and differs a little:
    see `interpolated_area`.

    Examples
    --------
    >>> round(average_precision([1, 0, 1, 0], [0.9, 0.8, 0.7, 0.1]), 4)
    0.8333
    """
    return precision_recall_curve(labels, scores, weights).average_precision


def max_f1(labels: ArrayLike, scores: ArrayLike, weights: ArrayLike | None = None) -> MaxF1:
    """The largest F1 = 2 TP / (2 TP + FP + FN) over all thresholds.

    Parameters and errors as `precision_recall_curve`.

    Returns
    -------
    MaxF1

    Notes
    -----
    Matches the maximum over scikit-learn's `precision_recall_curve` (its first maximiser, hence the lowest threshold)
    and ROCR's `performance(., "f")`. A threshold found this way is optimistic on the films that it was found on.

    Examples
    --------
    >>> max_f1([1, 0, 1, 0], [0.9, 0.8, 0.7, 0.1])
    MaxF1(f1=0.8, threshold=0.7)
    """
    curve = roc_curve(labels, scores, weights)
    tp, fp = curve.true_positives[1:], curve.false_positives[1:]
    f1 = 2 * tp / (tp + fp + curve.positives)  # never 0 / 0: there is a malignant film
    best = int(f1.size - 1 - np.argmax(f1[::-1]))
    return MaxF1(float(f1[best]), float(curve.thresholds[1:][best]))


def interpolated_area(labels: ArrayLike, scores: ArrayLike, steps: bool = False) -> float:
    """Area under the precision-recall curve with Davis and Goadrich's interpolation between thresholds.

    Parameters
    ----------
    labels, scores
        As `precision_recall_curve`.
    steps : bool
        Sum trapezoids over one malignant film at a time (Davis & Goadrich) instead of integrating (Keilwagen).

    Returns
    -------
    float in (0, 1]

    Raises
    ------
    ValueError
        As `precision_recall_curve`.

    Notes
    -----
    Between two thresholds FP grows linearly with TP, so precision = TP / (TP + a + h TP), integrated in closed form
    (Keilwagen, Grosse & Grau, PLoS ONE 2014;9:e92209). Matches PRROC's `auc.integral` and `auc.davis.goadrich`.
    Offered for comparison with R; the report shows average precision.
    """
    curve = roc_curve(labels, scores)
    keep = np.r_[True, np.diff(curve.true_positives) > 0]
    area = 0.0
    tp, fp = curve.true_positives, curve.false_positives
    for i in np.flatnonzero(keep[1:]) + 1:
        slope = (fp[i] - fp[i - 1]) / (tp[i] - tp[i - 1])
        area += (_stepped if steps else _integrated)(tp[i - 1], tp[i], fp[i - 1], slope)
    return float(area / curve.positives)


def _integrated(low: float, high: float, fp: float, slope: float) -> float:
    """Integral of x / (x + fp + slope (x - low)) over x from low to high."""
    growth, constant = 1 + slope, fp - slope * low
    if constant == 0:
        return (high - low) / growth
    logarithm = np.log((growth * high + constant) / (growth * low + constant))
    return ((high - low) - constant / growth * logarithm) / growth


def _stepped(low: float, high: float, fp: float, slope: float) -> float:
    """The same integral by trapezoids over one malignant film at a time."""
    x = np.r_[np.arange(low, high), high]
    called = x + fp + slope * (x - low)
    precision = np.divide(x, called, out=np.full(x.size, np.nan), where=called > 0)
    if np.isnan(precision[0]):  # nothing called yet: precision is that of the first films that enter
        precision[0] = precision[1]
    return float(np.trapezoid(precision, x))
