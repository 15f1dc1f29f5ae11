"""Calibration: recalibrate a detector's logits to risks, and judge whether risks mean what they say.

A *risk* is a probability of malignancy in [0, 1]. A detector's confidence is not one until it has been recalibrated on
the validation set (`fit_recalibration`). Risks of exactly 0 or 1 have no logit: a measure that needs one is then None
with a note; no film is ever dropped.

*Calibration-in-the-large*: intercept of the logistic regression of the label on the logit of risk with slope 1 (0 is
right, above 0: risks too low). *Calibration intercept and slope*: both fitted jointly (0 and 1 are right; a slope below
1: risks too extreme).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from scipy.special import logit
from statsmodels.genmod.families import Binomial
from statsmodels.genmod.generalized_linear_model import GLM, GLMResults

from diagnostic_accuracy._logistic import fit_line
from diagnostic_accuracy.checks import check_confidence, check_labels, check_probabilities, check_scores
from diagnostic_accuracy.estimates import Estimate

Vector = NDArray[np.float64]
Labels = NDArray[np.bool_]

WALD = "logistic regression on the logit of risk, Wald interval"


# --- the logistic fit behind calibration ------------------------------------------------------------------------------


def _fit(label: Labels, design: Vector, offset: Vector | None = None) -> GLMResults:
    """Logistic regression by maximum likelihood."""
    model = GLM(label.astype(float), design, family=Binomial(), offset=offset)
    fit = model.fit(tol=1e-10, tol_criterion="params", rtol=1e-12)
    if not fit.converged:
        raise ValueError(f"the logistic fit of {label.size} films did not converge; look for outlying risks")
    return fit


def _log_likelihood(label: Labels, predictor: Vector) -> float:
    return float(-np.logaddexp(0.0, np.where(label, -predictor, predictor)).sum())


# --- recalibration ----------------------------------------------------------------------------------------------------


def fit_recalibration(labels: ArrayLike, logits: ArrayLike) -> tuple[float, float]:
    """Fit the logistic recalibration on the validation films: risk = 1 / (1 + exp(-(intercept + slope x logit))).

    Parameters
    ----------
    labels : array of shape (n,), 1 malignant, 0 not
    logits : array of shape (n,)
        Finite; the detector's own logits, which keep more digits than its scores.

    Returns
    -------
    intercept, slope : float
        The slope is above 0.

    Raises
    ------
    ValueError
        Bad input; logits that separate the classes, are all equal, or fall with malignancy (slope at most 0).

    Notes
    -----
    Platt 1999 without his smoothing of labels. Matches R's `glm(y ~ logit, binomial)`. `bootstrap` fits it again in
    every draw. The slope has the sign of the difference of the class means.

    Examples
    --------
    >>> round(fit_recalibration([0, 0, 1, 0, 1, 1], [-2.0, -1.0, -0.5, 0.5, 1.0, 2.0])[1], 3)
    1.351
    """
    label = check_labels(labels)
    x = check_scores(logits, label.size, "logits")
    malignant, normal = float(x[label].mean()), float(x[~label].mean())
    if malignant <= normal and np.ptp(x) > 0:  # then, and only then, the slope is not above 0
        raise ValueError(
            f"malignant validation films have a mean logit of {malignant:.3g}, normal ones of {normal:.3g}: malignant "
            "films score no higher than normal ones, and turning the order round would hide that; check the labels"
        )
    return fit_line(label, x)


# --- Brier score ------------------------------------------------------------------------------------------------------


def brier_score(labels: ArrayLike, risk: ArrayLike) -> float:
    """Mean squared distance between risk and label, in [0, 1]; 0 is best.

    Parameters
    ----------
    labels : array of shape (n,), 1 malignant, 0 not
    risk : array of shape (n,), in [0, 1]

    Raises
    ------
    ValueError
        Bad labels, or risks outside [0, 1].

    Notes
    -----
    Matches scikit-learn's `brier_score_loss`.

    Examples
    --------
    >>> brier_score([1, 0, 1, 0], [0.8, 0.2, 0.6, 0.4])
    0.1
    """
    label = check_labels(labels)
    return float(((check_probabilities(risk, label.size) - label) ** 2).mean())


# --- calibration-in-the-large, intercept and slope --------------------------------------------------------------------


def _why_no_slope(label: Labels, risk: Vector) -> str:
    """Reason why calibration intercept and slope do not exist; empty if they do."""
    certain = int(((risk == 0) | (risk == 1)).sum())
    if certain:
        return (
            f"{certain} of {risk.size} risks are exactly 0 or 1, whose logit is infinite: recalibrate on validation "
            "from the logits, or bound the risks openly"
        )
    try:
        fit_line(label, logit(risk))
    except ValueError as error:
        return str(error)
    return ""


def calibration_fit(labels: ArrayLike, risk: ArrayLike, confidence: float = 0.95) -> dict[str, Estimate]:
    """Calibration-in-the-large, and joint calibration intercept and slope, with Wald intervals.

    Films are taken as independent; `bootstrap` draws patients.

    Parameters
    ----------
    labels : array of shape (n,), 1 malignant, 0 not
    risk : array of shape (n,), in [0, 1]
    confidence : float

    Returns
    -------
    dict
        'in_the_large', 'intercept', 'slope', each an Estimate: None, with a note, where risks are exactly 0 or 1, all
        equal, or separate the classes.

    Raises
    ------
    ValueError
        Bad labels, or risks outside [0, 1].

    Notes
    -----
    Matches R's `glm(y ~ offset(qlogis(p)), binomial)` and `glm(y ~ qlogis(p), binomial)` with Wald intervals;
    intercept and slope are those of `rms::val.prob` (whose intercept is the joint one).

    Examples
    --------
    >>> round(calibration_fit([0, 0, 1, 0, 1, 1], [0.1, 0.3, 0.4, 0.6, 0.7, 0.9])["slope"].estimate, 2)
    1.5
    """
    label = check_labels(labels)
    risks = check_probabilities(risk, label.size)
    reason, x, ones = _why_no_slope(label, risks), logit(risks), np.ones((label.size, 1))
    missing = Estimate.missing(reason or "not fitted", WALD, label.size)
    found = dict.fromkeys(("in_the_large", "intercept", "slope"), missing)
    if np.isfinite(x).all():
        found["in_the_large"] = _wald(_fit(label, ones, x), 0, 0.0, confidence)
    if not reason:
        line = _fit(label, np.column_stack([ones, x]))
        found |= {"intercept": _wald(line, 0, 0.0, confidence), "slope": _wald(line, 1, 1.0, confidence)}
    return found


def _wald(fit: GLMResults, which: int, null: float, confidence: float) -> Estimate:
    value, (lower, upper) = fit.params[which], fit.conf_int(1 - check_confidence(confidence))[which]
    p = float(2 * stats.norm.sf(abs(value - null) / fit.bse[which]))
    return Estimate(value, lower, upper, f"{WALD}; p against {null:g}", fit.nobs, p=p)


@dataclass(frozen=True)
class Unreliability:
    """Likelihood-ratio test of intercept 0 and slope 1 together (Cox), and the indices built on it.

    Attributes
    ----------
    note : str
        Why the numbers are None; empty otherwise.
    chi_square, p : float or None
        On 2 degrees of freedom.
    unreliability, discrimination, quality, r_squared : float or None
        Of the risks as they are: U = (chi-square - 2) / n, D = (chi-square against the prevalence alone - 1) / n,
        Q = D - U, and Nagelkerke's R^2.
    """

    note: str
    chi_square: float | None = None
    p: float | None = None
    unreliability: float | None = None
    discrimination: float | None = None
    quality: float | None = None
    r_squared: float | None = None


def unreliability_test(labels: ArrayLike, risk: ArrayLike) -> Unreliability:
    """Test that calibration intercept is 0 and slope is 1; films are taken as independent.

    Parameters
    ----------
    labels : array of shape (n,), 1 malignant, 0 not
    risk : array of shape (n,), in [0, 1]

    Returns
    -------
    Unreliability

    Raises
    ------
    ValueError
        Bad labels, or risks outside [0, 1].

    Notes
    -----
    Matches U, D, Q and R2 of `rms::val.prob`. Cox, Biometrika 1958;45:562.

    Examples
    --------
    >>> round(unreliability_test([0, 0, 1, 0, 1, 1], [0.1, 0.3, 0.4, 0.6, 0.7, 0.9]).chi_square, 3)
    0.207
    """
    label = check_labels(labels)
    risks = check_probabilities(risk, label.size)
    if reason := _why_no_slope(label, risks):
        return Unreliability(reason)
    x, n = logit(risks), label.size
    line = _fit(label, np.column_stack([np.ones(n), x]))
    fitted, alone, as_they_are = float(line.llf), float(line.llnull), _log_likelihood(label, x)
    chi, model = max(0.0, 2 * (fitted - as_they_are)), 2 * (as_they_are - alone)
    u, d = (chi - 2) / n, (model - 1) / n
    r_squared = float(-np.expm1(-model / n) / -np.expm1(2 * alone / n))
    return Unreliability("", chi, float(stats.chi2.sf(chi, 2)), u, d, d - u, r_squared)


def spiegelhalter_test(labels: ArrayLike, risk: ArrayLike) -> Estimate:
    """Spiegelhalter's test of calibration: is the Brier score what the risks themselves promise?

    Parameters
    ----------
    labels : array of shape (n,), 1 malignant, 0 not
    risk : array of shape (n,), in [0, 1]

    Returns
    -------
    Estimate
        The standard normal z, with its two-sided p.

    Raises
    ------
    ValueError
        Bad labels, or risks outside [0, 1].

    Notes
    -----
    Matches S:z and S:p of `rms::val.prob`. Spiegelhalter, Stat Med 1986;5:421.

    Examples
    --------
    >>> round(spiegelhalter_test([1, 0], [0.8, 0.2]).estimate, 3)
    -0.707
    """
    label = check_labels(labels)
    risks = check_probabilities(risk, label.size)
    variance, how = float((((1 - 2 * risks) ** 2) * risks * (1 - risks)).sum()), "Spiegelhalter's z"
    if variance == 0:
        return Estimate.missing(
            "every risk is 0, 0.5 or 1: the Brier score has no variance under the risks", how, label.size
        )
    z = float(((label - risks) * (1 - 2 * risks)).sum() / math.sqrt(variance))
    return Estimate(z, None, None, how, label.size, p=float(2 * stats.norm.sf(abs(z))))
