"""Calibration: do risks mean what they say?

A *risk* is a probability of malignancy in [0, 1]. A detector's confidence is not one until it has been recalibrated on
the validation set (`recalibration`); measures of raw scores are to be labelled raw. Risks of exactly 0 or 1 have no
logit: measures that need one are then not estimable and say so; no film is ever dropped.

*Calibration-in-the-large*: intercept of the logistic regression of the label on the logit of risk with slope 1
(0 is right, above 0: risks too low). *Calibration intercept and slope*: both fitted jointly (0 and 1 are right; a slope
below 1: risks too extreme). *Unreliability test*: both at once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from scipy.special import expit

from osteotl.statistics._logistic import LogisticFit, fit_logistic, log_likelihood, logit, why_no_slope
from osteotl.statistics.calibration_curves import quantile_groups
from osteotl.statistics.checks import (
    Estimate,
    check_confidence,
    check_labels,
    check_patients,
    check_probabilities,
)

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class BrierScore:
    """Mean squared distance between risk and label, and its parts.

    Attributes
    ----------
    score : float
        In [0, 1], 0 is best.
    scaled : float
        1 - score / (prevalence (1 - prevalence)): 0 = no better than the prevalence for every film, 1 = perfect.
    reliability, resolution, uncertainty : float
        Murphy's parts over groups of films: miscalibration, spread of the observed shares, and prevalence
        (1 - prevalence).
    within_groups : float
        score - (reliability - resolution + uncertainty): 0 where every group holds one risk.
    groups : int
    """

    score: float
    scaled: float
    reliability: float
    resolution: float
    uncertainty: float
    within_groups: float
    groups: int


def brier_score(labels: ArrayLike, risk: ArrayLike, groups: int | None = 10) -> BrierScore:
    """Brier score with Murphy's decomposition.

    Parameters
    ----------
    labels : array of shape (n,), 1 malignant, 0 not
    risk : array of shape (n,), in [0, 1]
    groups : int or None
        Groups of about equal size by risk; None: one group per distinct risk (then nothing is lost within groups).

    Returns
    -------
    BrierScore

    Raises
    ------
    ValueError
        Bad labels, or risks outside [0, 1].

    Notes
    -----
    Score matches scikit-learn's `brier_score_loss`. Decomposition: Murphy, J Appl Meteorol 1973;12:595.

    Examples
    --------
    >>> brier_score([1, 0, 1, 0], [0.8, 0.2, 0.6, 0.4], groups=None).score
    0.1
    """
    label = check_labels(labels)
    risks = check_probabilities(risk, label.size)
    code = np.unique(risks, return_inverse=True)[1] if groups is None else quantile_groups(risks, groups)
    size = np.bincount(code).astype(float)
    observed, predicted = (np.bincount(code, weights=values) / size for values in (label, risks))
    prevalence = label.mean()
    share = size / label.size
    score = float(((risks - label) ** 2).mean())
    reliability = float(share @ (predicted - observed) ** 2)
    resolution = float(share @ (observed - prevalence) ** 2)
    uncertainty = float(prevalence * (1 - prevalence))
    remainder = score - (reliability - resolution + uncertainty)
    return BrierScore(score, 1 - score / uncertainty, reliability, resolution, uncertainty, remainder, size.size)


@dataclass(frozen=True)
class CalibrationFit:
    """Logistic recalibration of the risks on the very films they are judged on.

    Attributes
    ----------
    in_the_large, intercept, slope : Estimate
    intercept_se, slope_se, in_the_large_se : float or None
    """

    in_the_large: Estimate
    intercept: Estimate
    slope: Estimate
    in_the_large_se: float | None
    intercept_se: float | None
    slope_se: float | None


def calibration_fit(
    labels: ArrayLike, risk: ArrayLike, patients: ArrayLike | None = None, confidence: float = 0.95
) -> CalibrationFit:
    """Calibration-in-the-large, and joint calibration intercept and slope, with Wald intervals.

    Parameters
    ----------
    labels : array of shape (n,), 1 malignant, 0 not
    risk : array of shape (n,), in [0, 1]
    patients : array of shape (n,), optional
        Where patients repeat, variances are clustered by patient (sandwich with G / (G - 1)).
    confidence : float

    Returns
    -------
    CalibrationFit
        With `not_estimable` where risks are exactly 0 or 1, all equal, or separate the classes.

    Raises
    ------
    ValueError
        Bad labels, or risks outside [0, 1].

    Notes
    -----
    Matches R's `glm(y ~ offset(qlogis(p)), binomial)` and `glm(y ~ qlogis(p), binomial)` with Wald intervals;
    intercept and slope are those of `rms::val.prob` (whose intercept is the joint one).
    """
    label = check_labels(labels)
    risks = check_probabilities(risk, label.size)
    clusters = _clusters(patients, label.size)
    how = "logistic regression on the logit of risk, Wald interval" + (
        ", clustered by patient" if clusters is not None else ""
    )
    large = _in_the_large(label, risks, clusters, confidence, how)
    reason = why_no_slope(label, risks)
    if reason is not None:
        missing = Estimate.missing(reason, how, label.size)
        return CalibrationFit(large[0], missing, missing, large[1], None, None)
    x = logit(risks)
    fit = fit_logistic(label, x)
    se = np.sqrt(np.diag(_covariance(fit, label, x, clusters)))
    intercept = _wald(fit.intercept, se[0], 0.0, how, label.size, confidence)
    slope = _wald(fit.slope, se[1], 1.0, how, label.size, confidence)
    return CalibrationFit(large[0], intercept, slope, large[1], float(se[0]), float(se[1]))


def _in_the_large(
    label: NDArray[np.bool_], risks: Vector, clusters: NDArray[np.int64] | None, confidence: float, how: str
) -> tuple[Estimate, float | None]:
    certain = int(((risks == 0) | (risks == 1)).sum())
    if certain:
        return Estimate.missing(str(why_no_slope(label, risks)), how, label.size), None
    offset = logit(risks)
    fit = fit_logistic(label, None, offset)
    residual = label - expit(offset + fit.intercept)
    variance = fit.covariance[0, 0]
    if clusters is not None:
        sums = np.bincount(clusters, weights=residual)
        variance = variance**2 * (sums**2).sum() * sums.size / (sums.size - 1)
    se = float(np.sqrt(variance))
    return _wald(fit.intercept, se, 0.0, how, label.size, confidence), se


def _covariance(fit: LogisticFit, label: NDArray[np.bool_], x: Vector, clusters: NDArray[np.int64] | None) -> Vector:
    if clusters is None:
        return fit.covariance
    residual = label - expit(fit.intercept + fit.slope * x)
    scores = np.array([np.bincount(clusters, weights=residual * column) for column in (np.ones(x.size), x)])
    size = scores.shape[1]
    return fit.covariance @ (scores @ scores.T) @ fit.covariance * size / (size - 1)


def _wald(value: float, se: float, null: float, how: str, n: int, confidence: float) -> Estimate:
    reach = stats.norm.ppf((1 + check_confidence(confidence)) / 2) * se
    p = float(2 * stats.norm.sf(abs(value - null) / se))
    return Estimate(value, value - reach, value + reach, f"{how}; p against {null:g}", n, p=p)


@dataclass(frozen=True)
class UnreliabilityTest:
    """Likelihood-ratio test of intercept 0 and slope 1 together (Cox), and the indices built on it.

    Attributes
    ----------
    chi_square : float or None
    df : int
    p : float or None
    unreliability, discrimination, quality, r_squared : float or None
        Of the risks as they are: U = (chi-square - 2) / n, D = (chi-square against the prevalence alone - 1) / n,
        Q = D - U, and Nagelkerke's R^2.
    not_estimable : str or None
    """

    chi_square: float | None
    df: int
    p: float | None
    unreliability: float | None
    discrimination: float | None
    quality: float | None
    r_squared: float | None
    not_estimable: str | None = None


def unreliability_test(labels: ArrayLike, risk: ArrayLike) -> UnreliabilityTest:
    """Test that calibration intercept is 0 and slope is 1.

    Parameters
    ----------
    labels : array of shape (n,), 1 malignant, 0 not
    risk : array of shape (n,), in [0, 1]

    Returns
    -------
    UnreliabilityTest

    Raises
    ------
    ValueError
        Bad labels, or risks outside [0, 1].

    Notes
    -----
    Matches U, D, Q and R2 of `rms::val.prob`; it takes films as independent.
    """
    label = check_labels(labels)
    risks = check_probabilities(risk, label.size)
    reason = why_no_slope(label, risks)
    if reason is not None:
        return UnreliabilityTest(None, 2, None, None, None, None, None, reason)
    x, n, prevalence = logit(risks), label.size, label.mean()
    fit = fit_logistic(label, x)
    ones = np.ones(n)
    alone = log_likelihood(label, np.full(n, np.log(prevalence) - np.log1p(-prevalence)), ones)
    chi = max(0.0, 2 * (fit.log_likelihood - log_likelihood(label, x, ones)))
    model = 2 * (log_likelihood(label, x, ones) - alone)
    unreliability, discrimination = (chi - 2) / n, (model - 1) / n
    r_squared = -np.expm1(-model / n) / -np.expm1(2 * alone / n)
    p = float(stats.chi2.sf(chi, 2))
    return UnreliabilityTest(chi, 2, p, unreliability, discrimination, discrimination - unreliability, float(r_squared))


@dataclass(frozen=True)
class ZTest:
    """A standard normal statistic with its two-sided p."""

    z: float | None
    p: float | None
    not_estimable: str | None = None


def spiegelhalter_test(labels: ArrayLike, risk: ArrayLike) -> ZTest:
    """Spiegelhalter's test of calibration: is the Brier score what the risks themselves promise?

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
    Matches S:z and S:p of `rms::val.prob`. Spiegelhalter, Stat Med 1986;5:421.
    """
    label = check_labels(labels)
    risks = check_probabilities(risk, label.size)
    variance = float((((1 - 2 * risks) ** 2) * risks * (1 - risks)).sum())
    if variance == 0:
        return ZTest(None, None, "every risk is 0, 0.5 or 1: the Brier score has no variance under the risks")
    z = float(((label - risks) * (1 - 2 * risks)).sum() / np.sqrt(variance))
    return ZTest(z, float(2 * stats.norm.sf(abs(z))))


def _clusters(patients: ArrayLike | None, n: int) -> NDArray[np.int64] | None:
    """Patient codes where some patient has several films, else None."""
    if patients is None:
        return None
    codes = check_patients(patients, n)
    return codes if codes.max() + 1 < n else None
