"""How many films: power and sample size for one AUC, a paired difference of AUCs, and McNemar's test.

All three share one equation (Obuchowski and McClish 1997, equation 2):

    sqrt(size) * |effect| = z_alpha * sqrt(variance under no effect) + z_beta * sqrt(variance under the effect)

with size in malignant films for AUCs and in pairs for McNemar's test. They take one film a patient and one training
run; `simulated_power` adds what they leave out.

References
----------
Obuchowski NA, McClish DK, Stat Med 1997;16:1529. Obuchowski NA, Lieber ML, Wischmann FH, Acad Radiol 2004;11:1118.
Connor RJ, Biometrics 1987;43:207 (McNemar).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq
from scipy.stats import norm

from diagnostic_accuracy.checks import check_one_of, check_share
from diagnostic_accuracy.delong import auc_covariance
from diagnostic_accuracy.roc import roc_curve


def _z_alpha(alpha: float) -> float:
    return float(norm.isf(check_share(alpha, "alpha") / 2))


def _z_beta(power: float) -> float:
    return float(norm.ppf(check_share(power, "power")))


def _size(effect: float, null: float, other: float, alpha: float, power: float) -> float:
    if effect == 0:
        raise ValueError("effect is 0: no number of films can show a difference that is not there")
    return (_z_alpha(alpha) * math.sqrt(null) + _z_beta(power) * math.sqrt(other)) ** 2 / effect**2


def _auc_variances(auc: float, ratio: float) -> tuple[float, float]:
    """Variance per malignant film at AUC 0.5 and at `auc` (Obuchowski 2004, equation 3; ratio = normal / malignant)."""
    a = float(norm.ppf(auc)) * 1.414  # as printed there
    return 0.0792 * (1 + 1 / ratio), 0.0099 * math.exp(-(a**2) / 2) * ((5 * a**2 + 8) + (a**2 + 8) / ratio)


class Plan(NamedTuple):
    """Malignant and normal films (not rounded: round up), AUC, power and level of a test of one AUC."""

    positives: float
    negatives: float
    auc: float
    power: float
    alpha: float


def plan_one_auc(
    auc: float | None = None,
    positives: float | None = None,
    negatives: float | None = None,
    power: float | None = None,
    alpha: float | None = 0.05,
    ratio: float = 1.0,
) -> Plan:
    """Whatever is left out, of AUC, number of films, power and alpha, for the two-sided test of one AUC against 0.5.

    Parameters
    ----------
    auc : float in (0.5, 1)
    positives, negatives : float above 0
        Malignant and normal films; one of them is enough with `ratio`.
    power, alpha : float in (0, 1)
        A one-sided test at alpha is the two-sided one at twice alpha.
    ratio : float above 0
        Normal films per malignant film, where both numbers are not given.

    Returns
    -------
    Plan

    Raises
    ------
    ValueError
        Not exactly one of the four is missing, or a value is out of range.

    Notes
    -----
    Matches `pROC::power.roc.test(auc = , ncases = , ncontrols = , sig.level = , power = , kappa = )`.

    Examples
    --------
    >>> round(plan_one_auc(auc=0.75, power=0.9, alpha=0.01).positives, 1)
    35.8
    """
    for name, value in {"positives": positives, "negatives": negatives, "ratio": ratio}.items():
        if value is not None and not value > 0:
            raise ValueError(f"{name} is {value!r}; give a number above 0")
    if negatives is not None:
        positives, ratio = (negatives / ratio, ratio) if positives is None else (positives, negatives / positives)
    given = {"auc": auc, "films": positives, "power": power, "alpha": alpha}
    missing = [name for name, value in given.items() if value is None]
    if len(missing) != 1:
        raise ValueError(f"leave out exactly one of auc, films, power, alpha (missing: {', '.join(missing) or 'none'})")
    if auc is not None and not 0.5 < auc < 1:
        raise ValueError(f"auc is {auc!r}; a plan needs an AUC strictly between 0.5 and 1")
    area, films, power, alpha = (math.nan if value is None else value for value in given.values())
    if missing == ["auc"]:
        area = _smallest_auc(films, ratio, power, alpha)
    null, other = _auc_variances(area, ratio)
    if missing == ["films"]:
        films = _size(area - 0.5, null, other, alpha, power)
    shown = math.sqrt(films) * (area - 0.5)
    if missing == ["power"]:
        power = float(norm.cdf((shown - _z_alpha(alpha) * math.sqrt(null)) / math.sqrt(other)))
    if missing == ["alpha"]:
        alpha = min(1.0, 2 * float(norm.sf((shown - _z_beta(power) * math.sqrt(other)) / math.sqrt(null))))
    return Plan(films, films * ratio, area, power, alpha)


def _smallest_auc(positives: float, ratio: float, power: float, alpha: float) -> float:
    """The AUC that this many films would show with this power."""

    def lacking(auc: float) -> float:
        return _size(auc - 0.5, *_auc_variances(auc, ratio), alpha, power) - positives

    if lacking(1 - 1e-9) > 0:
        raise ValueError(f"{positives:g} malignant films are too few for power {power} at alpha {alpha} at any AUC")
    return float(brentq(lacking, 0.5 + 1e-6, 1 - 1e-9, xtol=1e-12))


class PairedVariance(NamedTuple):
    """Variance of the difference of two AUCs, times the number of malignant films, from a pilot.

    Attributes
    ----------
    difference : float
        Arm - reference (empirical).
    null, other : float
        Variance of the difference if both AUCs were the arm's, and as observed.
    ratio : float
        Normal films per malignant film.
    """

    difference: float
    null: float
    other: float
    ratio: float


def pilot_variance(labels: ArrayLike, arm: ArrayLike, reference: ArrayLike, method: str = "delong") -> PairedVariance:
    """Variances of a pilot study, for `plan_paired_auc`.

    Parameters
    ----------
    labels : array of shape (n,), 1 malignant, 0 normal
    arm, reference : array of shape (n,)
    method : {"delong", "obuchowski"}
        Empirical, or from binormal curves fitted as pROC fits them (a line through the normal quantiles).

    Returns
    -------
    PairedVariance

    Raises
    ------
    ValueError
        Faulty input; a class with one film (delong); a curve with fewer than two inner points (obuchowski).

    Examples
    --------
    >>> round(pilot_variance([1, 1, 1, 0, 0, 0], [5, 3, 6, 1, 2, 4], [4, 2, 6, 1, 3, 5]).difference, 3)
    0.222
    """
    check_one_of(method, ("delong", "obuchowski"), "method")
    fit = auc_covariance(labels, {"arm": arm, "reference": reference})
    positive = fit.positive
    cases = int(positive.sum())
    ratio = (positive.size - cases) / cases
    if method == "delong":
        if fit.note:
            raise ValueError(f"the pilot gives no variance: {fit.note}")
        (first, covariance), (_, second) = (fit.covariance * cases).tolist()
    else:
        scores = np.asarray(arm, float), np.asarray(reference, float)
        ill, well = (float(np.corrcoef(scores[0][films], scores[1][films])[0, 1]) for films in (positive, ~positive))
        one, other = (_binormal(labels, score) for score in scores)
        first, second = _binormal_variance(*one, ratio), _binormal_variance(*other, ratio)
        covariance = _binormal_covariance(one, other, ill, well, ratio)
    difference = float(fit.auc[0] - fit.auc[1])
    return PairedVariance(difference, 2 * (first - covariance), first + second - 2 * covariance, ratio)


def _binormal(labels: ArrayLike, scores: ArrayLike) -> tuple[float, float]:
    """Intercept and slope of the normal quantiles of specificity on those of sensitivity, inner points only."""
    curve = roc_curve(labels, scores)
    se, sp = norm.ppf(curve.sensitivity), norm.ppf(curve.specificity)
    inner = np.isfinite(se) & np.isfinite(sp)
    if inner.sum() < 2:
        raise ValueError(f"the ROC curve has {int(inner.sum())} inner points; a binormal fit needs two or more")
    slope, intercept = np.polyfit(se[inner], sp[inner], 1)
    return float(intercept), float(slope)


def _derivatives(a: float, b: float) -> tuple[float, float]:
    """Derivatives of the binormal area with respect to intercept and slope."""
    scale, spread = math.exp(-(a**2) / (2 * (1 + b**2))), 2 * math.pi * (1 + b**2)
    return scale / math.sqrt(spread), -scale * a * b / math.sqrt(spread * (1 + b**2) ** 2)


def _binormal_variance(a: float, b: float, ratio: float) -> float:
    """Obuchowski and McClish 1997, equation 4, for the whole area."""
    f, g = _derivatives(a, b)
    return f**2 * (1 + b**2 / ratio + a**2 / 2) + g**2 * b**2 * (1 + ratio) / (2 * ratio)


def _binormal_covariance(
    one: tuple[float, float], other: tuple[float, float], ill: float, well: float, ratio: float
) -> float:
    """Equation 5 there: `ill` and `well` are the correlations of the two scores within each class."""
    (a1, b1), (a2, b2) = one, other
    (f1, g1), (f2, g2) = _derivatives(a1, b1), _derivatives(a2, b2)
    return (
        f1 * f2 * (ill + well * b1 * b2 / ratio + ill**2 * a1 * a2 / 2)
        + g1 * g2 * b1 * b2 * (well**2 + ratio * ill**2) / (2 * ratio)
        + (f1 * g2 * a1 * b2 + f2 * g1 * a2 * b1) * ill**2 / 2
    )


def plan_paired_auc(
    variance: PairedVariance, difference: float | None = None, *, power: float, alpha: float = 0.05
) -> float:
    """Malignant films for a power in a paired two-sided test of two AUCs.

    Parameters
    ----------
    variance : PairedVariance
        From `pilot_variance`. The normal films are `variance.ratio` times as many.
    difference : float, optional
        Difference worth finding; default: the pilot's.
    power, alpha : float in (0, 1)

    Returns
    -------
    float
        Not rounded: round up.

    Raises
    ------
    ValueError
        A difference of 0; a pilot without variance.

    Notes
    -----
    Matches `pROC::power.roc.test(roc1, roc2, method = "delong" | "obuchowski")`, `roc1` being the arm.

    Examples
    --------
    >>> round(plan_paired_auc(PairedVariance(0.03, 0.04, 0.05, 1.8), power=0.8))
    374
    """
    _, null, other, _ = variance
    if not (null >= 0 and other > 0):
        raise ValueError(
            f"the pilot's difference of AUCs has a variance of {other:.3g}, and of {null:.3g} if both AUCs were the "
            "arm's, where the formula needs positive ones: too few films, or an AUC of the arm near 1. Take a larger "
            "pilot or assume a lower AUC"
        )
    return _size(variance.difference if difference is None else difference, null, other, alpha, power)


def plan_mcnemar(arm_only: float, reference_only: float, *, power: float, alpha: float = 0.05) -> float:
    """Pairs for a power in McNemar's (uncorrected, two-sided) test.

    Parameters
    ----------
    arm_only, reference_only : float in [0, 1]
        Expected shares of pairs that only one of the arms gets right.
    power, alpha : float in (0, 1)

    Returns
    -------
    float
        Malignant films for sensitivity, normal films for specificity. Not rounded: round up.

    Raises
    ------
    ValueError
        Shares out of range or equal.

    Notes
    -----
    Connor 1987: variance psi = arm_only + reference_only without, psi - d^2 with the difference d.

    Examples
    --------
    >>> round(plan_mcnemar(0.10, 0.04, power=0.8))
    303
    """
    check_share(arm_only, "arm_only", ends=True)
    check_share(reference_only, "reference_only", ends=True)
    discordant, effect = arm_only + reference_only, arm_only - reference_only
    if discordant > 1:
        raise ValueError(f"arm_only + reference_only is {discordant:g}; shares of the same pairs sum to 1 at most")
    return _size(effect, discordant, discordant - effect**2, alpha, power)
