"""Calibration: recalibrate a detector's logits to risks, and judge whether risks mean what they say.

A *risk* is a probability of malignancy in [0, 1]. A detector's confidence is not one until it has been recalibrated on
the validation set (`fit_recalibration`). Risks of exactly 0 or 1 have no logit: a measure that needs one is then None
with a note; no film is ever dropped.

*Calibration-in-the-large*: intercept of the logistic regression of the label on the logit of risk with slope 1 (0 is
right, above 0: risks too low). *Calibration intercept and slope*: both fitted jointly (0 and 1 are right; a slope below
1: risks too extreme). *log O/E*: logarithm of the malignant films observed over those expected (0 is right).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from scipy.special import expit
from statsmodels.genmod.families import Binomial
from statsmodels.genmod.generalized_linear_model import GLM

from diagnostic_accuracy.checks import (
    Estimate,
    check_confidence,
    check_labels,
    check_patients,
    check_probabilities,
    check_scores,
)

Vector = NDArray[np.float64]
Labels = NDArray[np.bool_]


def logit(risk: ArrayLike) -> Vector:
    """log(p / (1 - p)) without loss near 0 and 1; infinite at 0 and 1.

    Examples
    --------
    >>> logit([0.5, 1.0]).tolist()
    [0.0, inf]
    """
    p = np.asarray(risk, np.float64)
    with np.errstate(divide="ignore"):
        return np.log(p) - np.log1p(-p)


# --- the logistic fit behind calibration and recalibration ------------------------------------------------------------


@dataclass(frozen=True)
class _Line:
    """P(label) = 1 / (1 + exp(-(offset + intercept + slope x))) with its covariance and log-likelihood."""

    intercept: float
    slope: float
    covariance: Vector
    log_likelihood: float


def _separated(label: Labels, x: Vector) -> bool:
    """Does a cut on x separate the classes, but for ties at the cut (no finite slope)?"""
    malignant, normal = x[label], x[~label]
    return bool(malignant.min() >= normal.max() or malignant.max() <= normal.min())


def _fit(label: Labels, x: Vector | None, offset: Vector | None = None, patients: ArrayLike | None = None) -> _Line:
    """Maximum likelihood by statsmodels; `x` None fits the intercept alone. Clustered where patients repeat."""
    size, (middle, scale) = label.size, (0.0, 1.0) if x is None else (float(x.mean()), float(x.std()))
    # Centred and scaled: logits that differ in the seventh digit only give a singular information matrix otherwise.
    design = np.ones((size, 1)) if x is None else np.column_stack([np.ones(size), (x - middle) / scale])
    options, units = {}, _clusters(patients, size)
    if units is not None:
        options = {"cov_type": "cluster", "cov_kwds": {"groups": units, "use_correction": False}}
    model = GLM(label.astype(float), design, family=Binomial(), offset=offset)
    fit = model.fit(tol=1e-10, tol_criterion="params", rtol=1e-12, **options)
    if not fit.converged:
        raise ValueError(f"the logistic fit of {size} films did not converge; look for outlying scores")
    back = np.array([[1.0, -middle / scale], [0.0, 1 / scale]])[: design.shape[1], : design.shape[1]]
    found, covariance = back @ fit.params, back @ fit.cov_params() @ back.T
    if units is not None:
        groups = int(units.max()) + 1
        covariance = covariance * groups / (groups - 1)
    return _Line(float(found[0]), float(found[1]) if x is not None else 1.0, covariance, float(fit.llf))


def _clusters(patients: ArrayLike | None, n: int) -> NDArray[np.int64] | None:
    """Patient codes where some patient has several films, else None."""
    if patients is None:
        return None
    codes = check_patients(patients, n)
    return codes if codes.max() + 1 < n else None


def _log_likelihood(label: Labels, predictor: Vector) -> float:
    return float(-np.logaddexp(0.0, np.where(label, -predictor, predictor)).sum())


# --- recalibration ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Recalibration:
    """The map risk = 1 / (1 + exp(-(intercept + slope x logit))), with slope above 0.

    Attributes
    ----------
    intercept, slope : float
    films, malignant : int
        Validation films that it was fitted on.
    """

    intercept: float
    slope: float
    films: int
    malignant: int

    def risks(self, logits: ArrayLike) -> Vector:
        """Risks of films, shape (n,), in [0, 1].

        Raises
        ------
        ValueError
            Logits that are not finite.
        """
        return expit(self.intercept + self.slope * check_scores(logits, name="logits"))


def fit_recalibration(labels: ArrayLike, logits: ArrayLike) -> Recalibration:
    """Fit the logistic recalibration on the validation films.

    Parameters
    ----------
    labels : array of shape (n,), 1 malignant, 0 not
    logits : array of shape (n,)
        Finite; the detector's own logits, which keep more digits than its scores.

    Returns
    -------
    Recalibration

    Raises
    ------
    ValueError
        Bad input; logits that separate the classes, are all equal, or fall with malignancy (slope at most 0).

    Notes
    -----
    Platt 1999 without his smoothing of labels. Matches R's `glm(y ~ logit, binomial)`. `bootstrap` fits it again in
    every draw.

    Examples
    --------
    >>> fit = fit_recalibration([0, 0, 1, 0, 1, 1], [-2.0, -1.0, -0.5, 0.5, 1.0, 2.0])
    >>> round(fit.slope, 3)
    1.351
    """
    label = check_labels(labels)
    x = check_scores(logits, label.size, "logits")
    if np.ptp(x) == 0:
        raise ValueError("all validation logits are equal: no recalibration can be fitted; score the films again")
    if _separated(label, x) and x[label].min() >= x[~label].max():
        raise ValueError(
            "the validation logits separate the classes perfectly, so that the recalibration slope is infinite; "
            "a larger validation set is needed"
        )
    fit = None if _separated(label, x) else _fit(label, x)
    if fit is None or fit.slope <= 0:
        raise ValueError(
            f"the recalibration slope on validation is {'-infinity' if fit is None else f'{fit.slope:.3g}'}: malignant "
            "films score no higher than normal ones, and turning the order round would hide that; check the labels"
        )
    return Recalibration(fit.intercept, fit.slope, label.size, int(label.sum()))


# --- Brier score, O/E -------------------------------------------------------------------------------------------------


def quantile_groups(risks: Vector, groups: int) -> NDArray[np.int64]:
    """Group of each film by quantiles of risk; equal risks stay together, empty groups vanish."""
    if groups < 1:
        raise ValueError(f"groups is {groups}; give at least 1")
    edges = np.quantile(risks, np.arange(1, groups) / groups)
    return np.unique(np.searchsorted(edges, risks, side="left"), return_inverse=True)[1].astype(np.int64)


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


def log_oe(labels: ArrayLike, risk: ArrayLike, confidence: float = 0.95) -> Estimate:
    """Logarithm of the malignant films observed over those expected (the sum of the risks).

    Parameters
    ----------
    labels : array of shape (n,), 1 malignant, 0 not
    risk : array of shape (n,), in [0, 1]
    confidence : float

    Returns
    -------
    Estimate
        None where all risks are 0. Films are taken as independent; `bootstrap` draws patients.

    Raises
    ------
    ValueError
        Bad labels, or risks outside [0, 1].

    Notes
    -----
    SE(log O/E)^2 = (1 - O/n) / O: Debray et al., BMJ 2017;356:i6460, appendix 7.

    Examples
    --------
    >>> round(log_oe([1, 0, 1, 0], [0.5, 0.2, 0.2, 0.1]).estimate, 3)
    0.693
    """
    label = check_labels(labels)
    risks = check_probabilities(risk, label.size)
    observed, expected, how = int(label.sum()), float(risks.sum()), "log of observed over expected, Wald interval"
    if expected == 0:
        return Estimate.missing("all risks are 0: no malignant film is expected", how, label.size)
    se = math.sqrt((1 - observed / label.size) / observed)
    return _wald(math.log(observed / expected), se, 0.0, how, label.size, confidence)


# --- calibration-in-the-large, intercept and slope --------------------------------------------------------------------


@dataclass(frozen=True)
class CalibrationFit:
    """Logistic recalibration of the risks on the very films that they are judged on.

    Attributes
    ----------
    in_the_large, intercept, slope : Estimate
    """

    in_the_large: Estimate
    intercept: Estimate
    slope: Estimate


def why_no_slope(label: Labels, risk: Vector) -> str:
    """Reason why calibration intercept and slope do not exist; empty if they do."""
    certain = int(((risk == 0) | (risk == 1)).sum())
    if certain:
        return (
            f"{certain} of {risk.size} risks are exactly 0 or 1, whose logit is infinite: recalibrate on validation "
            "from the logits, or bound the risks openly"
        )
    if np.ptp(risk) == 0:
        return "all risks are equal: a slope cannot be fitted"
    if _separated(label, risk):
        return "the risks separate the classes perfectly: the calibration slope is infinite"
    return ""


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
        Estimates are None, with a note, where risks are exactly 0 or 1, all equal, or separate the classes.

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
    >>> fit = calibration_fit([0, 0, 1, 0, 1, 1], [0.1, 0.3, 0.4, 0.6, 0.7, 0.9])
    >>> round(fit.slope.estimate, 2)
    1.5
    """
    label = check_labels(labels)
    risks = check_probabilities(risk, label.size)
    clustered = ", clustered by patient" if _clusters(patients, label.size) is not None else ""
    how = f"logistic regression on the logit of risk, Wald interval{clustered}"
    reason, x = why_no_slope(label, risks), logit(risks)
    missing = Estimate.missing(reason or "not fitted", how, label.size)
    if not np.isfinite(x).all():
        return CalibrationFit(missing, missing, missing)
    shift = _fit(label, None, x, patients)
    se = math.sqrt(shift.covariance[0, 0])
    large = _wald(shift.intercept, se, 0.0, how, label.size, confidence)
    if reason:
        return CalibrationFit(large, missing, missing)
    line = _fit(label, x, patients=patients)
    spread = np.sqrt(np.diag(line.covariance))
    intercept = _wald(line.intercept, spread[0], 0.0, how, label.size, confidence)
    return CalibrationFit(large, intercept, _wald(line.slope, spread[1], 1.0, how, label.size, confidence))


def _wald(value: float, se: float, null: float, how: str, n: int, confidence: float) -> Estimate:
    reach = stats.norm.isf((1 - check_confidence(confidence)) / 2) * se
    p = float(2 * stats.norm.sf(abs(value - null) / se))
    return Estimate(value, value - reach, value + reach, f"{how}; p against {null:g}", n, p=p)


@dataclass(frozen=True)
class Unreliability:
    """Likelihood-ratio test of intercept 0 and slope 1 together (Cox), and the indices built on it.

    Attributes
    ----------
    chi_square, p : float or None
        On 2 degrees of freedom.
    unreliability, discrimination, quality, r_squared : float or None
        Of the risks as they are: U = (chi-square - 2) / n, D = (chi-square against the prevalence alone - 1) / n,
        Q = D - U, and Nagelkerke's R^2.
    note : str
        Why they are None; empty otherwise.
    """

    chi_square: float | None
    p: float | None
    unreliability: float | None
    discrimination: float | None
    quality: float | None
    r_squared: float | None
    note: str = ""


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
    if reason := why_no_slope(label, risks):
        return Unreliability(None, None, None, None, None, None, reason)
    x, n = logit(risks), label.size
    alone = _log_likelihood(label, np.full(n, logit(label.mean())))
    as_they_are = _log_likelihood(label, x)
    chi = max(0.0, 2 * (_fit(label, x).log_likelihood - as_they_are))
    model = 2 * (as_they_are - alone)
    u, d = (chi - 2) / n, (model - 1) / n
    r_squared = float(-np.expm1(-model / n) / -np.expm1(2 * alone / n))
    return Unreliability(chi, float(stats.chi2.sf(chi, 2)), u, d, d - u, r_squared)


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
