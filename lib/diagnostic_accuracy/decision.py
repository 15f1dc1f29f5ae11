"""Decision curves: is acting on the detector worth more than acting on everyone, or on no one?

At a threshold probability t one false alarm is worth t / (1 - t) of a tumour found, so that

    net benefit = TP / n - FP / n x t / (1 - t).

Thresholds are k / 100, and a film is acted on where risk >= t. Risks must be probabilities: recalibrate first
(`calibration.fit_recalibration`).

References
----------
Vickers AJ, Elkin EB, Med Decis Making 2006;26:565.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from diagnostic_accuracy.checks import check_labels, check_probabilities, check_share

Vector = NDArray[np.float64]


def threshold_grid(lowest: float = 0.01, highest: float = 0.20) -> Vector:
    """Threshold probabilities k / 100 from lowest to highest, each the nearest float to its decimal.

    Parameters
    ----------
    lowest, highest : float in (0, 1)

    Returns
    -------
    array of shape (k,)

    Raises
    ------
    ValueError
        Bounds outside (0, 1), in the wrong order, or with no k / 100 between them.

    Examples
    --------
    >>> threshold_grid(0.05, 0.08).tolist()
    [0.05, 0.06, 0.07, 0.08]
    """
    check_share(lowest, "lowest threshold")
    check_share(highest, "highest threshold")
    first, last = int(np.ceil(lowest * 100 - 1e-9)), int(np.floor(highest * 100 + 1e-9))
    if last < first:
        raise ValueError(f"no threshold k / 100 lies between {lowest:g} and {highest:g}; widen the declared range")
    # k / 100, never a running sum: 0.07 reached by adding 0.01 lies above 0.07 and loses the films at it.
    return np.arange(first, last + 1) / 100


def net_benefit(sensitivity: ArrayLike, specificity: ArrayLike, threshold: ArrayLike, prevalence: float) -> Vector:
    """Net benefit per film from the rates of acting at a threshold probability.

    Parameters
    ----------
    sensitivity, specificity : arrays of equal shape, in [0, 1]
        Share of malignant films acted on, and of normal films not acted on.
    threshold : array that broadcasts with them, in (0, 1)
    prevalence : float in [0, 1]

    Returns
    -------
    array
        At most the prevalence.

    Raises
    ------
    ValueError
        A threshold outside (0, 1) or a prevalence outside [0, 1].

    Notes
    -----
    prevalence x sensitivity - (1 - prevalence) x (1 - specificity) x t / (1 - t): Vickers and Elkin 2006.

    Examples
    --------
    >>> round(float(net_benefit(0.9, 0.8, 0.1, 0.3)), 4)
    0.2544
    """
    at = _thresholds(threshold)
    check_share(prevalence, "prevalence", ends=True)
    acted = 1 - np.asarray(specificity, np.float64)
    return prevalence * np.asarray(sensitivity, np.float64) - (1 - prevalence) * acted * (at / (1 - at))


def decision_curve(
    labels: ArrayLike, risk: ArrayLike, thresholds: ArrayLike | None = None, prevalence: float | None = None
) -> pd.DataFrame:
    """Net benefit over threshold probabilities, beside that of acting on all films and on none.

    Parameters
    ----------
    labels : array of shape (n,), 1 malignant, 0 not
    risk : array of shape (n,), in [0, 1]
        Probabilities, recalibrated on validation.
    thresholds : array of shape (k,), optional
        In (0, 1); default: 0.01 to 0.20.
    prevalence : float in (0, 1), optional
        Weights the classes as in a clinic with this prevalence; default: the films' own. Risks and cuts stay as they
        are.

    Returns
    -------
    DataFrame
        One row a threshold: threshold, true_positive_share (TP / n), false_positive_share (FP / n), net_benefit,
        treat_all, treat_none (0), standardised (net benefit / prevalence, at most 1).

    Raises
    ------
    ValueError
        Bad labels, risks outside [0, 1], thresholds or a prevalence outside (0, 1).

    Notes
    -----
    Matches R's and Python's dcurves at thresholds that are k / 100 exactly (`seq()` is not), with `prevalence` too.

    Examples
    --------
    >>> decision_curve([1, 0, 1, 0], [0.9, 0.6, 0.4, 0.1], [0.5])["net_benefit"].tolist()
    [0.0]
    """
    label = check_labels(labels)
    risks = check_probabilities(risk, label.size)
    at = threshold_grid() if thresholds is None else np.atleast_1d(_thresholds(thresholds))
    share = float(label.mean()) if prevalence is None else check_share(prevalence, "prevalence")
    acted = [1 - np.searchsorted(np.sort(risks[side]), at, side="left") / side.sum() for side in (label, ~label)]
    benefit = net_benefit(acted[0], 1 - acted[1], at, share)
    return pd.DataFrame(
        {
            "threshold": at,
            "true_positive_share": acted[0] * share,
            "false_positive_share": acted[1] * (1 - share),
            "net_benefit": benefit,
            "treat_all": net_benefit(1.0, 0.0, at, share),
            "treat_none": 0.0,
            "standardised": benefit / share,
        }
    )


def _thresholds(values: ArrayLike) -> Vector:
    at = np.asarray(values, np.float64)
    for value in at.ravel():
        check_share(float(value), "a threshold probability")
    return at
