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

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from diagnostic_accuracy.checks import check_labels, check_one_of, check_scores, check_share

Vector = NDArray[np.float64]
Line = Literal["step", "interp", "rjafroc"]


# --- curves -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class RocCurve:
    """One ROC curve, from the strictest threshold to the most lenient.

    Attributes
    ----------
    thresholds : array of shape (k + 1,)
        Descending: infinity (no film positive), then every distinct score.
    true_positives, false_positives : array of shape (k + 1,)
        Films with a score of at least the threshold.
    positives, negatives : float
        Malignant and normal films.
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


def roc_curve(labels: ArrayLike, scores: ArrayLike) -> RocCurve:
    """The empirical ROC curve with every distinct threshold.

    Parameters
    ----------
    labels : array of shape (n,), 1 malignant, 0 normal
    scores : array of shape (n,), any real scale, higher = more suspicious

    Returns
    -------
    RocCurve

    Raises
    ------
    ValueError
        What `check_labels` and `check_scores` say.

    Notes
    -----
    Matches `pROC::coords(roc(..., direction = "<"), "all")`. sklearn's default drops collinear points.

    Examples
    --------
    >>> roc_curve([0, 0, 1, 1], [0.1, 0.4, 0.4, 0.8]).auc
    0.875
    """
    positive = check_labels(labels)
    thresholds, hits, alarms = cumulated(check_scores(scores, positive.size), positive, ~positive)
    counts = np.append(0.0, hits), np.append(0.0, alarms)
    return RocCurve(np.append(np.inf, thresholds), *counts, float(hits[-1]), float(alarms[-1]))


def cumulated(scores: Vector, *amounts: NDArray[Any]) -> tuple[Vector, ...]:
    """Distinct scores, falling, and the sum of each amount over what scores at least that; ties enter together.

    Parameters
    ----------
    scores : array of shape (n,)
    *amounts : arrays of shape (n,)

    Examples
    --------
    >>> [values.tolist() for values in cumulated(np.array([0.1, 0.4, 0.4]), np.array([1, 1, 0]))]
    [[0.4, 0.1], [1, 2]]
    """
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    last = np.append(ranked[1:] != ranked[:-1], True)[: ranked.size]
    return ranked[last], *(np.cumsum(amount[order])[last] for amount in amounts)


def auc(labels: ArrayLike, scores: ArrayLike) -> float:
    """Area under the empirical ROC curve, in [0, 1]; ties count one half.

    Parameters, errors: as `roc_curve`. Matches `pROC::auc` with `direction = "<"` and sklearn's `roc_auc_score`.

    Examples
    --------
    >>> auc([0, 1], [0.2, 0.2])
    0.5
    """
    return roc_curve(labels, scores).auc


# --- reading a curve --------------------------------------------------------------------------------------------------


def read_curve(x: Vector, y: Vector, at: float | Sequence[float], line: Line = "interp") -> Vector:
    """Height at `at` of the rising curve (x, y), which starts in (0, 0) and stays flat after its last point.

    `interp` takes the top of a vertical step, `rjafroc` its bottom, `step` the highest point not to the right.

    Raises
    ------
    ValueError
        `at` is negative or not finite.
    """
    where = np.atleast_1d(np.asarray(at, float))
    if (where < 0).any() or not np.isfinite(where).all():
        raise ValueError(f"the curve can be read at finite rates >= 0 only, got {where.tolist()}")
    xs, ys = np.append(0.0, x), np.append(0.0, y)
    if line == "step":
        return ys[np.searchsorted(xs, where, side="right") - 1]
    # of several points at one x numpy.interp takes the last
    return np.interp(where, xs, ys) if line == "interp" else np.interp(-where, -xs[::-1], ys[::-1])


def area_until(x: Vector, y: Vector, upto: float) -> float:
    """Area from 0 to `upto` under the straight lines from (0, 0) through the points, flat after the last."""
    if not upto > 0:
        raise ValueError(f"an area needs a range above 0, got {upto}")
    inside = x < upto
    ys = [0.0, *y[inside], read_curve(x, y, upto, "rjafroc")[0]]
    return float(np.trapezoid(ys, [0.0, *x[inside], upto]))


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
    area = area_until(x, y, right) - (area_until(x, y, left) if left > 0 else 0.0)
    if not corrected:
        return area
    most = right - left
    least = most * (left + right) / 2
    return None if area < least * (1 - 1e-12) else (1 + (area - least) / (most - least)) / 2


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
    return float(np.interp(-specificity, -curve.specificity, curve.sensitivity))


def specificity_at_sensitivity(labels: ArrayLike, scores: ArrayLike, sensitivity: float) -> float:
    """Specificity where the curve has the given sensitivity; the mirror image of `sensitivity_at_specificity`.

    Examples
    --------
    >>> specificity_at_sensitivity([0, 0, 1, 1], [0.1, 0.4, 0.4, 0.8], 0.5)
    1.0
    """
    check_share(sensitivity, "sensitivity", ends=True)
    curve = roc_curve(labels, scores)
    return float(np.interp(-sensitivity, -curve.sensitivity[::-1], curve.specificity[::-1]))


# --- precision and recall ---------------------------------------------------------------------------------------------


def precision_recall_curve(labels: ArrayLike, scores: ArrayLike) -> tuple[Vector, Vector, Vector]:
    """Precision (PPV) and recall (sensitivity) at every distinct score; tied films enter together.

    Parameters
    ----------
    labels : array of shape (n,), 1 malignant, 0 not
    scores : array of shape (n,), any real scale, higher = more suspicious

    Returns
    -------
    thresholds, precision, recall : arrays of shape (k,)
        Thresholds are the distinct scores, descending. (At infinity no film is called positive and precision is not
        defined.)

    Raises
    ------
    ValueError
        As `roc_curve`.

    Notes
    -----
    Same points as scikit-learn's `precision_recall_curve` without its closing point (recall 0, precision 1).

    Examples
    --------
    >>> precision_recall_curve([1, 0, 1, 0], [0.9, 0.8, 0.7, 0.1])[2].tolist()
    [0.5, 0.5, 1.0, 1.0]
    """
    curve = roc_curve(labels, scores)
    ill, well = curve.true_positives[1:], curve.false_positives[1:]
    return curve.thresholds[1:], ill / (ill + well), curve.sensitivity[1:]


def average_precision(labels: ArrayLike, scores: ArrayLike) -> float:
    """Average precision: sum over thresholds of (gain in recall) x precision, a step sum and never a trapezoid.

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
    _, precision, recall = precision_recall_curve(labels, scores)
    return float(np.diff(recall, prepend=0.0) @ precision)


def max_f1(labels: ArrayLike, scores: ArrayLike) -> tuple[float, float]:
    """The largest F1 = 2 TP / (2 TP + FP + FN) over all thresholds, and the lowest threshold that reaches it.

    Parameters and errors as `precision_recall_curve`.

    Notes
    -----
    Matches the maximum over scikit-learn's `precision_recall_curve` (its first maximiser, hence the lowest threshold)
    and ROCR's `performance(., "f")`. A threshold found this way is optimistic on the films that it was found on.

    Examples
    --------
    >>> max_f1([1, 0, 1, 0], [0.9, 0.8, 0.7, 0.1])
    (0.8, 0.7)
    """
    curve = roc_curve(labels, scores)
    tp, fp = curve.true_positives[1:], curve.false_positives[1:]
    f1 = 2 * tp / (tp + fp + curve.positives)  # never 0 / 0: there is a malignant film
    best = int(f1.size - 1 - np.argmax(f1[::-1]))
    return float(f1[best]), float(curve.thresholds[1:][best])


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
