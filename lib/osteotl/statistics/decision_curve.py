"""Decision curves: is acting on the detector worth more than acting on everyone, or on no one?

At a threshold probability t one false alarm is worth t / (1 - t) of a tumour found, so that

    net benefit = TP / n - FP / n x t / (1 - t).

Thresholds are k / 100, and a film is acted on where risk >= t. Risks must be probabilities: recalibrate first.

Another prevalence. The clinic's prevalence is not the cohort's. Two conventions differ in what they shift:

- `logit_shift`: risks are moved by logit(new) - logit(old) before the cut, as a recalibrated detector in that clinic
  would, and the rates found there are weighted by the new prevalence;
- `dcurves`: the package's: cuts stay as they were and only the weights change. Kept for comparison and labelled so.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit

from osteotl.statistics._logistic import logit
from osteotl.statistics.checks import check_labels, check_one_of, check_probabilities, check_share

Vector = NDArray[np.float64]

CONVENTIONS = ("logit_shift", "dcurves")
DECLARED_RANGE = (0.01, 0.20)


def threshold_grid(lowest: float = DECLARED_RANGE[0], highest: float = DECLARED_RANGE[1]) -> Vector:
    """Threshold probabilities k / 100 from lowest to highest, each the nearest float to its decimal.

    Raises
    ------
    ValueError
        Bounds outside (0, 1), in the wrong order, or with no k / 100 between them.
    """
    check_share(lowest, "lowest threshold")
    check_share(highest, "highest threshold")
    first, last = int(np.ceil(lowest * 100 - 1e-9)), int(np.floor(highest * 100 + 1e-9))
    if last < first:
        raise ValueError(f"no threshold k / 100 between {lowest:g} and {highest:g}; widen the declared range")
    # k / 100, never a running sum: 0.07 reached by adding 0.01 lies above 0.07 and loses the films at it.
    return np.arange(first, last + 1) / 100


@dataclass(frozen=True)
class DecisionCurve:
    """Net benefit of acting on risk >= t, at each threshold probability.

    Attributes
    ----------
    thresholds : array of shape (k,)
    true_positive_share, false_positive_share : arrays of shape (k,)
        TP / n and FP / n (at the prevalence in question).
    prevalence : float
        Of the cohort, or the one asked for.
    convention : str or None
        How another prevalence was reached; None at the cohort's own.
    """

    thresholds: Vector
    true_positive_share: Vector
    false_positive_share: Vector
    prevalence: float
    convention: str | None = None

    @property
    def odds(self) -> Vector:
        """t / (1 - t): what a false alarm costs in tumours found."""
        return self.thresholds / (1 - self.thresholds)

    @property
    def net_benefit(self) -> Vector:
        """Per film; at most the prevalence."""
        return self.true_positive_share - self.false_positive_share * self.odds

    @property
    def treat_all(self) -> Vector:
        """Net benefit of acting on every film (acting on none has net benefit 0)."""
        return self.prevalence - (1 - self.prevalence) * self.odds

    @property
    def standardised(self) -> Vector:
        """Net benefit / prevalence: at most 1."""
        return self.net_benefit / self.prevalence

    @property
    def interventions_avoided(self) -> Vector:
        """Fewer interventions per film than acting on all, at no tumour missed more."""
        return (self.net_benefit - self.treat_all) / self.odds

    def table(self) -> pd.DataFrame:
        """Columns threshold, net_benefit, treat_all, treat_none, standardised, interventions_avoided."""
        return pd.DataFrame(
            {
                "threshold": self.thresholds,
                "net_benefit": self.net_benefit,
                "treat_all": self.treat_all,
                "treat_none": np.zeros(self.thresholds.size),
                "standardised": self.standardised,
                "interventions_avoided": self.interventions_avoided,
            }
        )


def decision_curve(
    labels: ArrayLike,
    risk: ArrayLike,
    thresholds: ArrayLike | None = None,
    prevalence: float | None = None,
    from_prevalence: float | None = None,
    convention: str = "logit_shift",
) -> DecisionCurve:
    """Net benefit over threshold probabilities.

    Parameters
    ----------
    labels : array of shape (n,), 1 malignant, 0 not
    risk : array of shape (n,), in [0, 1]
        Probabilities, recalibrated on validation.
    thresholds : array, optional
        Threshold probabilities in (0, 1); default: 0.01 to 0.20.
    prevalence : float, optional
        Prevalence of another clinic; default: the cohort's own.
    from_prevalence : float, optional
        Prevalence that the risks are calibrated to (validation's); default: the cohort's own.
    convention : {"logit_shift", "dcurves"}
        See the top of this module.

    Returns
    -------
    DecisionCurve

    Raises
    ------
    ValueError
        Bad labels, risks outside [0, 1], thresholds or prevalences outside (0, 1), or an unknown convention.

    Notes
    -----
    Matches R's and Python's dcurves at thresholds that are k / 100 exactly (`seq()` is not). Vickers & Elkin, Med
    Decis Making 2006;26:565. No p values: net benefit is a decision measure, and its uncertainty is shown by the
    intervals of `bootstrap.joint_bootstrap` for the curve and for the difference of two curves.

    Examples
    --------
    >>> decision_curve([1, 0, 1, 0], [0.9, 0.6, 0.4, 0.1], [0.5]).net_benefit.tolist()
    [0.0]
    """
    label = check_labels(labels)
    risks = check_probabilities(risk, label.size)
    at = threshold_grid() if thresholds is None else np.atleast_1d(np.asarray(thresholds, np.float64))
    for value in at:
        check_share(float(value), "a threshold probability")
    check_one_of(convention, CONVENTIONS, "convention")
    own = float(label.mean())
    if prevalence is None:
        return DecisionCurve(at, *_shares(label, risks, at, own), own)
    check_share(prevalence, "prevalence")
    if convention == "logit_shift":
        old = own if from_prevalence is None else check_share(from_prevalence, "from_prevalence")
        risks = shifted_risks(risks, old, prevalence)
    return DecisionCurve(at, *_shares(label, risks, at, prevalence), prevalence, convention)


def shifted_risks(risk: ArrayLike, old: float, new: float) -> Vector:
    """Risks at another prevalence: the logit of risk plus logit(new) - logit(old).

    Parameters
    ----------
    risk : array of shape (n,), in [0, 1]
        0 and 1 stay as they are.
    old, new : float in (0, 1)

    Raises
    ------
    ValueError
        Risks outside [0, 1] or prevalences outside (0, 1).
    """
    risks = check_probabilities(risk)
    by = logit(np.array([check_share(new, "new prevalence"), check_share(old, "old prevalence")]))
    with np.errstate(divide="ignore"):
        return expit(logit(risks) + (by[0] - by[1]))


def _shares(label: NDArray[np.bool_], risks: Vector, at: Vector, prevalence: float) -> tuple[Vector, Vector]:
    """TP / n and FP / n at each threshold, by class, weighted to a prevalence."""
    shares = []
    for side, weight in ((label, prevalence), (~label, 1 - prevalence)):
        ordered = np.sort(risks[side])
        reached = ordered.size - np.searchsorted(ordered, at, side="left")  # risk >= t
        shares.append(reached / ordered.size * weight)
    return shares[0], shares[1]
