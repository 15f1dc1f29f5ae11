"""ROC and precision-recall curves: AUC, partial AUC, average precision, the largest F1.

A film is called positive when its score is at least the threshold; higher scores mean more suspicion. Curves keep every
distinct threshold, and the direction is never flipped: an arm that ranks normal films above malignant ones has an AUC
below 0.5.

References
----------
McClish DK, Med Decis Making 1989;9:190 (partial areas). Davis J, Goadrich M, ICML 2006:233; Keilwagen J et al., PLoS
ONE 2014;9:e92209 (precision-recall areas).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from diagnostic_accuracy.checks import check_labels, check_one_of, check_scores, check_share, check_weights

Vector = NDArray[np.float64]


# --- curves -----------------------------------------------------------------------------------------------------------


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
    def midpoints(self) -> Vector:
        """The same thresholds halfway to the next lower score, as pROC prints them (-infinity for the lowest)."""
        observed = self.thresholds[1:]
        return np.concatenate([[np.inf], (observed + np.append(observed[1:], -np.inf)) / 2])

    @property
    def auc(self) -> float:
        """Area under the curve by trapezoids: P(malignant > normal) + P(equal)/2."""
        # in counts, so that integer data give an exact sum
        height = self.true_positives[1:] + self.true_positives[:-1]
        return float(np.diff(self.false_positives) @ height / (2 * self.positives * self.negatives))


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
    return RocCurve(np.append(np.inf, ranked[last]), np.append(start, hits), np.append(start, alarms), *totals)


def auc(labels: ArrayLike, scores: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Area under the empirical ROC curve, in [0, 1]; ties count one half.

    Parameters, errors: as `roc_curve`. Matches `pROC::auc` with `direction = "<"` and sklearn's `roc_auc_score`.

    Examples
    --------
    >>> auc([0, 1], [0.2, 0.2])
    0.5
    """
    return roc_curve(labels, scores, weights).auc


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
    Matches `pROC::auc(partial.auc = , partial.auc.focus = , partial.auc.correct = )`.

    Examples
    --------
    >>> partial_auc([0, 0, 1, 1], [0.1, 0.4, 0.4, 0.8], 0.5)
    0.375
    """
    check_one_of(focus, ("specificity", "sensitivity"), "focus")
    check_share(lowest, "lowest", ends=True)
    check_share(highest, "highest", ends=True)
    if lowest >= highest:
        raise ValueError(f"lowest ({lowest}) must be below highest ({highest}): the region is empty")
    curve = roc_curve(labels, scores)
    x, y = curve.false_positives / curve.negatives, curve.sensitivity
    if focus == "sensitivity":  # the same curve seen from the other axis: specificity over the share of misses
        x, y = (1 - curve.sensitivity)[::-1], curve.specificity[::-1]
    left, right = 1 - highest, 1 - lowest
    area = _area_to(x, y, right) - _area_to(x, y, left)
    if not corrected:
        return area
    most = right - left
    least = most * (left + right) / 2
    return None if area < least * (1 - 1e-12) else (1 + (area - least) / (most - least)) / 2


def _area_to(x: Vector, y: Vector, end: float) -> float:
    """Area under straight lines through (x, y), x ascending, from x[0] to `end`; vertical steps have no area."""
    area = np.append(0.0, np.cumsum(np.diff(x) * (y[1:] + y[:-1]) / 2))
    index = int(np.searchsorted(x, end, side="right")) - 1
    if index == x.size - 1:
        return float(area[-1])
    step = end - x[index]
    slope = (y[index + 1] - y[index]) / (x[index + 1] - x[index])
    return float(area[index] + step * (y[index] + slope * step / 2))


def sensitivity_at_specificity(labels: ArrayLike, scores: ArrayLike, specificity: float) -> float:
    """Sensitivity where the curve has the given specificity: straight lines between points, top of a vertical step.

    Parameters
    ----------
    labels, scores : as `roc_curve`
    specificity : float in [0, 1]

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

    Examples
    --------
    >>> sensitivity_at_specificity([0, 0, 1, 1], [0.1, 0.4, 0.4, 0.8], 0.75)
    0.75
    """
    check_share(specificity, "specificity", ends=True)
    curve = roc_curve(labels, scores)
    return _read(curve.specificity, curve.sensitivity, specificity)


def specificity_at_sensitivity(labels: ArrayLike, scores: ArrayLike, sensitivity: float) -> float:
    """Specificity where the curve has the given sensitivity; the mirror image of `sensitivity_at_specificity`.

    Examples
    --------
    >>> specificity_at_sensitivity([0, 0, 1, 1], [0.1, 0.4, 0.4, 0.8], 0.5)
    1.0
    """
    check_share(sensitivity, "sensitivity", ends=True)
    curve = roc_curve(labels, scores)
    return _read(curve.sensitivity[::-1], curve.specificity[::-1], sensitivity)


def _read(given: Vector, wanted: Vector, value: float) -> float:
    """Read `wanted` (ascending) where `given` (descending, from 1 to 0) equals `value`."""
    if bool(np.any(given == value)):
        return float(wanted[given >= value].max())
    after = int(np.argmax(given < value))
    share = (given[after - 1] - value) / (given[after - 1] - given[after])
    return float(wanted[after - 1] + share * (wanted[after] - wanted[after - 1]))


# --- precision and recall ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class PrecisionRecallCurve:
    """Precision (PPV) against recall (sensitivity) at every distinct score, from the strictest threshold on.

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
    labels: ArrayLike, scores: ArrayLike, weights: ArrayLike | None = None, pi: float | None = None
) -> PrecisionRecallCurve:
    """The precision-recall curve at every distinct score; tied films enter together.

    Parameters
    ----------
    labels : array of shape (n,), 1 malignant, 0 not
    scores : array of shape (n,), any real scale, higher = more suspicious
    weights : array of shape (n,), optional
        How often each film counts.
    pi : float in (0, 1), optional
        Share of malignant films that precision is computed for; default: that of these films.

    Returns
    -------
    PrecisionRecallCurve

    Raises
    ------
    ValueError
        As `roc_curve`, or a share outside (0, 1).

    Notes
    -----
    Same points as scikit-learn's `precision_recall_curve` without its closing point (recall 0, precision 1).

    Examples
    --------
    >>> precision_recall_curve([1, 0, 1, 0], [0.9, 0.8, 0.7, 0.1]).recall.tolist()
    [0.5, 0.5, 1.0, 1.0]
    """
    curve = roc_curve(labels, scores, weights)
    ill, well = curve.true_positives[1:], curve.false_positives[1:]
    share = curve.positives / (curve.positives + curve.negatives)
    if pi is not None:  # counts of a set of films with that share
        share = check_share(pi, "pi")
        ill, well = ill * share / curve.positives, well * (1 - share) / curve.negatives
    counted = ill + well > 0  # films of weight 0 may hold the highest scores
    ill, well = ill[counted], well[counted]
    return PrecisionRecallCurve(
        curve.thresholds[1:][counted], ill / (ill + well), curve.sensitivity[1:][counted], share
    )


def average_precision(
    labels: ArrayLike, scores: ArrayLike, weights: ArrayLike | None = None, pi: float | None = None
) -> float:
    """Average precision: sum over thresholds of (gain in recall) x precision.

    Parameters and errors as `precision_recall_curve`.

    Returns
    -------
    float in (0, 1]
        At random ranking about the share of malignant films.

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
    return precision_recall_curve(labels, scores, weights, pi).average_precision


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
    (Keilwagen 2014). Matches PRROC's `auc.integral` and `auc.davis.goadrich`, for comparison with R.

    Examples
    --------
    >>> round(interpolated_area([1, 1, 0], [0.9, 0.5, 0.5]), 4)
    0.8873
    """
    curve = roc_curve(labels, scores)
    tp, fp, area = curve.true_positives, curve.false_positives, 0.0
    for i in np.flatnonzero(np.diff(tp) > 0) + 1:
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
