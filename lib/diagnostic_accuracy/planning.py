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
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq
from scipy.stats import norm

from diagnostic_accuracy.checks import check_one_of, check_share
from diagnostic_accuracy.delong import auc_covariance
from diagnostic_accuracy.roc import roc_curve


@dataclass(frozen=True)
class Plan:
    """A study size and its power.

    Attributes
    ----------
    positives, negatives : float
        Malignant and normal films (for McNemar's test: pairs, and 0). Not rounded: round up.
    effect : float
        AUC, difference of AUCs, or difference of shares.
    power, alpha : float
        alpha as asked for (two-sided unless the call was one-sided).
    method : str
    """

    positives: float
    negatives: float
    effect: float
    power: float
    alpha: float
    method: str


def _z_alpha(alpha: float, two_sided: bool) -> float:
    return float(norm.isf(check_share(alpha, "alpha") / (2 if two_sided else 1)))


def _size(effect: float, null: float, other: float, z_alpha: float, power: float) -> float:
    z_beta = float(norm.ppf(check_share(power, "power")))
    if effect == 0:
        raise ValueError("effect is 0: no number of films can show a difference that is not there")
    return float((z_alpha * math.sqrt(null) + z_beta * math.sqrt(other)) ** 2 / effect**2)


def _power(effect: float, null: float, other: float, z_alpha: float, size: float) -> float:
    return float(norm.cdf((math.sqrt(size) * abs(effect) - z_alpha * math.sqrt(null)) / math.sqrt(other)))


def _alpha(effect: float, null: float, other: float, power: float, size: float, two_sided: bool) -> float:
    z_beta = float(norm.ppf(check_share(power, "power")))
    one = float(norm.sf((math.sqrt(size) * abs(effect) - z_beta * math.sqrt(other)) / math.sqrt(null)))
    return min(1.0, one * (2 if two_sided else 1))


def _auc_variances(auc: float, ratio: float) -> tuple[float, float]:
    """Variance per malignant film at AUC 0.5 and at `auc` (Obuchowski 2004, equation 3; ratio = normal / malignant)."""
    a = float(norm.ppf(auc)) * 1.414  # as printed there
    return 0.0792 * (1 + 1 / ratio), 0.0099 * math.exp(-(a**2) / 2) * ((5 * a**2 + 8) + (a**2 + 8) / ratio)


def plan_one_auc(
    auc: float | None = None,
    positives: float | None = None,
    negatives: float | None = None,
    power: float | None = None,
    alpha: float | None = 0.05,
    ratio: float = 1.0,
    two_sided: bool = True,
) -> Plan:
    """Whatever is left out, of AUC, number of films, power and alpha, for the test of one AUC against 0.5.

    Parameters
    ----------
    auc : float in (0.5, 1)
    positives, negatives : float above 0
        Malignant and normal films; one of them is enough with `ratio`.
    power, alpha : float in (0, 1)
    ratio : float above 0
        Normal films per malignant film, where both numbers are not given.
    two_sided : bool

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
    if not ratio > 0:
        raise ValueError(f"ratio is {ratio!r}; it is the number of normal films per malignant film, above 0")
    if positives is None and negatives is not None:
        positives = negatives / ratio
    elif negatives is None and positives is not None:
        negatives = positives * ratio
    asked = {"auc": auc, "films": positives, "power": power, "alpha": alpha}
    missing = [name for name, value in asked.items() if value is None]
    if len(missing) != 1:
        raise ValueError(f"leave out exactly one of auc, films, power, alpha (missing: {', '.join(missing) or 'none'})")
    for name, value in (("positives", positives), ("negatives", negatives)):
        if value is not None and not value > 0:
            raise ValueError(f"{name} is {value!r}; give a number above 0")
    if auc is not None and not 0.5 < auc < 1:
        raise ValueError(f"auc is {auc!r}; a plan needs an AUC strictly between 0.5 and 1")
    ratio = negatives / positives if positives and negatives else ratio
    auc = _smallest_auc(positives, ratio, power, alpha, two_sided) if auc is None else auc
    null, other = _auc_variances(auc, ratio)
    effect = auc - 0.5
    if alpha is None:
        alpha = _alpha(effect, null, other, power or 0, positives or 0, two_sided)
    elif power is None:
        power = _power(effect, null, other, _z_alpha(alpha, two_sided), positives or 0)
    elif positives is None:
        positives = _size(effect, null, other, _z_alpha(alpha, two_sided), power)
    return Plan(positives or 0, (positives or 0) * ratio, auc, power or 0, alpha, "one AUC against 0.5")


def _smallest_auc(
    positives: float | None, ratio: float, power: float | None, alpha: float | None, two_sided: bool
) -> float:
    """The AUC that this many films would show with this power."""
    z_alpha = _z_alpha(alpha or 0, two_sided)

    def lacking(auc: float) -> float:
        return _size(auc - 0.5, *_auc_variances(auc, ratio), z_alpha, power or 0) - (positives or 0)

    low, high = 0.5 + 1e-6, 1 - 1e-9
    if lacking(high) > 0:
        raise ValueError(f"{positives:g} malignant films are too few for power {power} at alpha {alpha} at any AUC")
    return float(brentq(lacking, low, high, xtol=1e-12))


@dataclass(frozen=True)
class PairedVariance:
    """Variances of two AUCs and their covariance, each times the number of malignant films.

    Attributes
    ----------
    difference : float
        Arm - reference (empirical).
    arm, reference, covariance : float
    ratio : float
        Normal films per malignant film in the pilot.
    """

    difference: float
    arm: float
    reference: float
    covariance: float
    ratio: float

    @property
    def null(self) -> float:
        """Variance of the difference if both AUCs were the arm's."""
        return 2 * (self.arm - self.covariance)

    @property
    def other(self) -> float:
        """Variance of the difference as observed."""
        return self.arm + self.reference - 2 * self.covariance


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
    cases, difference = int(positive.sum()), float(fit.auc[0] - fit.auc[1])
    ratio = (positive.size - cases) / cases
    if method == "delong":
        if fit.note:
            raise ValueError(f"the pilot gives no variance: {fit.note}")
        spread = fit.covariance * cases
        return PairedVariance(difference, float(spread[0, 0]), float(spread[1, 1]), float(spread[0, 1]), ratio)
    scores = np.asarray(arm, float), np.asarray(reference, float)
    one, other = (_binormal(labels, score) for score in scores)
    ill, well = (float(np.corrcoef(scores[0][films], scores[1][films])[0, 1]) for films in (positive, ~positive))
    covariance = _binormal_covariance(one, other, ill, well, ratio)
    return PairedVariance(
        difference, _binormal_variance(*one, ratio), _binormal_variance(*other, ratio), covariance, ratio
    )


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
    variance: PairedVariance,
    difference: float | None = None,
    positives: float | None = None,
    power: float | None = None,
    alpha: float = 0.05,
    ratio: float | None = None,
    two_sided: bool = True,
) -> Plan:
    """Malignant films for a power, or power for malignant films, in a paired test of two AUCs.

    Parameters
    ----------
    variance : PairedVariance
        From `pilot_variance`.
    difference : float, optional
        Difference worth finding; default: the pilot's.
    positives : float, optional
    power : float in (0, 1), optional
        Give one of the two.
    alpha : float in (0, 1)
    ratio : float, optional
        Normal films per malignant film; default: the pilot's. It only sets `negatives`, as in pROC.
    two_sided : bool

    Returns
    -------
    Plan

    Raises
    ------
    ValueError
        Both or neither of positives and power; a difference of 0; a pilot without variance.

    Notes
    -----
    Matches `pROC::power.roc.test(roc1, roc2, method = "delong" | "obuchowski")`, `roc1` being the arm.

    Examples
    --------
    >>> round(plan_paired_auc(PairedVariance(0.03, 0.05, 0.06, 0.03, 1.8), power=0.8).positives)
    374
    """
    if (positives is None) == (power is None):
        raise ValueError("give either positives (for the power) or power (for the number of films)")
    effect = variance.difference if difference is None else difference
    null, other, z_alpha = variance.null, variance.other, _z_alpha(alpha, two_sided)
    if not (null >= 0 and other > 0):
        raise ValueError(f"the pilot's variance of the difference is {other:g}; a plan needs arms that differ")
    if positives is None:
        positives = _size(effect, null, other, z_alpha, power or 0)
    else:
        power = _power(effect, null, other, z_alpha, positives)
    ratio = variance.ratio if ratio is None else ratio
    return Plan(positives, positives * ratio, effect, power or 0, alpha, "paired AUC difference")


def plan_mcnemar(
    arm_only: float,
    reference_only: float,
    pairs: float | None = None,
    power: float | None = None,
    alpha: float = 0.05,
    two_sided: bool = True,
) -> Plan:
    """Pairs for a power, or power for pairs, in McNemar's (uncorrected) test.

    Parameters
    ----------
    arm_only, reference_only : float in [0, 1]
        Expected shares of pairs that only one of the arms gets right.
    pairs : float, optional
    power : float in (0, 1), optional
        Give one of the two.
    alpha : float in (0, 1)
    two_sided : bool

    Returns
    -------
    Plan
        `positives` are the pairs (malignant films for sensitivity, normal films for specificity).

    Raises
    ------
    ValueError
        Shares out of range or equal; both or neither of pairs and power.

    Notes
    -----
    Connor 1987: variance psi = arm_only + reference_only without, psi - d^2 with the difference d.

    Examples
    --------
    >>> round(plan_mcnemar(0.10, 0.04, power=0.8).positives)
    303
    """
    if (pairs is None) == (power is None):
        raise ValueError("give either pairs (for the power) or power (for the number of pairs)")
    check_share(arm_only, "arm_only", ends=True)
    check_share(reference_only, "reference_only", ends=True)
    discordant, effect = arm_only + reference_only, arm_only - reference_only
    if discordant > 1:
        raise ValueError(f"arm_only + reference_only is {discordant:g}; shares of the same pairs sum to 1 at most")
    other = max(discordant - effect**2, 1e-300)
    if pairs is None:
        pairs = _size(effect, discordant, other, _z_alpha(alpha, two_sided), power or 0)
    else:
        power = _power(effect, discordant, other, _z_alpha(alpha, two_sided), pairs)
    return Plan(pairs, 0, effect, power or 0, alpha, "McNemar's test (Connor 1987)")
