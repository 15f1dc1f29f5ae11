"""Predictive values and likelihood ratios of two arms on the same films.

PPV and NPV cannot be compared by McNemar's test: their denominators are the films that each arm calls, not the same
films. Sensitivity and specificity ratios, and likelihood ratios, are compared on the logarithm.

References
----------
Leisenring W, Alonzo T, Pepe MS, Biometrics 2000;56:345 (generalised score). Kosinski AS, Stat Med 2013;32:964 (weighted
generalised score). Moskowitz CS, Pepe MS, Clin Trials 2006;3:272 (relative predictive values). Gu W, Pepe MS, Stat
Med 2009;28:2161 (likelihood ratios).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from osteotl.statistics.checks import (
    NO_DISCORDANT,
    NO_VARIANCE,
    Estimate,
    check_confidence,
    check_labels,
    check_one_of,
    check_patients,
)
from osteotl.statistics.operating_points import UNDEFINED
from osteotl.statistics.paired import PairedCalls, PairedTable, paired_calls
from osteotl.statistics.wald import tail_probability, wald_interval

PREDICTIVE = ("ppv", "npv")


@dataclass(frozen=True)
class ScoreTest:
    """Test of equal predictive values.

    Attributes
    ----------
    arm, reference : float or None
        The two values; None where an arm makes no such call.
    difference : float or None
    statistic, p : float or None
        Chi-square with 1 degree of freedom.
    method : str
    not_estimable : str or None
    """

    arm: float | None
    reference: float | None
    difference: float | None
    statistic: float | None
    p: float | None
    method: str
    not_estimable: str | None = None


def _right_and_wrong(calls: PairedCalls, value: str) -> tuple[PairedTable, PairedTable]:
    """Films with the call in question: where it is right, where it is wrong."""
    check_one_of(value, PREDICTIVE, "value")
    if value == "ppv":
        return calls.malignant, calls.normal
    return calls.normal.reversed, calls.malignant.reversed


def compare_predictive_values(calls: PairedCalls, value: str, method: str = "kosinski") -> ScoreTest:
    """Score test of equal PPV (or NPV) of two arms on the same films.

    Parameters
    ----------
    calls : PairedCalls
    value : {"ppv", "npv"}
    method : {"kosinski", "leisenring"}
        Kosinski's weighted score does not, as Leisenring's does, depend on calls shared by both arms being weighed
        by how often each arm makes them; the two agree closely in most data.

    Returns
    -------
    ScoreTest

    Raises
    ------
    ValueError
        An unknown value or method.

    Notes
    -----
    Match `DTComPair::pv.wgs` and `pv.gs`.
    """
    check_one_of(method, ("kosinski", "leisenring"), "method")
    right, wrong = _right_and_wrong(calls, value)
    first, second = right.arm + wrong.arm, right.reference + wrong.reference
    words = {
        "kosinski": "weighted generalised score (Kosinski 2013)",
        "leisenring": "generalised score (Leisenring 2000)",
    }
    if not first or not second:
        return ScoreTest(None, None, None, None, None, words[method], UNDEFINED[value])
    one, other = right.arm / first, right.reference / second
    pooled = (right.arm + right.reference) / (first + second)
    if method == "kosinski":
        # covariance of the two values, over the films that both arms call
        shared = (right.both * (1 - pooled) ** 2 + wrong.both * pooled**2) / (first + second)
        spread = (pooled * (1 - pooled) - 2 * shared) * (1 / first + 1 / second)
        top = (one - other) ** 2
    else:
        share = first / (first + second)
        weights = np.array([1 - 2 * share, 1 - share, -share])  # called by both, by the arm only, by the reference only
        good = np.array([right.both, right.arm_only, right.reference_only])
        bad = np.array([wrong.both, wrong.arm_only, wrong.reference_only])
        top = float(good @ weights) ** 2
        spread = float((good * (1 - pooled) ** 2 + bad * pooled**2) @ weights**2)
    if spread <= 1e-15 * max(top, 1.0):
        reason = NO_DISCORDANT if right.discordant + wrong.discordant == 0 else NO_VARIANCE
        return ScoreTest(one, other, one - other, None, None, words[method], reason)
    statistic = top / spread
    return ScoreTest(one, other, one - other, statistic, float(stats.chi2.sf(statistic, 1)), words[method])


@dataclass(frozen=True)
class RatioComparison:
    """A ratio arm / reference, tested and bounded on its logarithm.

    Attributes
    ----------
    arm, reference : float or None
    ratio : Estimate
        With the two-sided p of ratio 1.
    se_log, statistic : float or None
        Standard error of the log ratio; z.
    """

    arm: float | None
    reference: float | None
    ratio: Estimate
    se_log: float | None
    statistic: float | None


def _log_ratio(
    arm: float | None,
    reference: float | None,
    variance: float,
    method: str,
    n: int,
    confidence: float,
    reason: str | None,
) -> RatioComparison:
    check_confidence(confidence)
    if reason or not arm or not reference:
        why = reason or "a ratio of 0, or to 0, has no logarithm"
        return RatioComparison(arm, reference, Estimate.missing(why, method, n), None, None)
    value = arm / reference
    if variance <= 1e-18:
        why = NO_DISCORDANT if value == 1 else NO_VARIANCE
        p = 1.0 if value == 1 else None
        return RatioComparison(arm, reference, Estimate(value, None, None, method, n, p, not_estimable=why), 0.0, None)
    se = math.sqrt(variance)
    low, high = wald_interval(math.log(value), se, confidence)
    z = math.log(value) / se
    estimate = Estimate(value, math.exp(low), math.exp(high), method, n, tail_probability(z))
    return RatioComparison(arm, reference, estimate, se, z)


def _log_share_variance(table: PairedTable) -> float:
    """Variance of log(share of the arm) - log(share of the reference) on the same films (delta method)."""
    return table.discordant / (table.arm * table.reference) if table.arm and table.reference else math.nan


def relative_rate(table: PairedTable, confidence: float = 0.95) -> RatioComparison:
    """Ratio of two paired shares, such as sensitivities (arm / reference); matches `DTComPair::sesp.rel`."""
    shares = (table.arm / table.n, table.reference / table.n)
    return _log_ratio(*shares, _log_share_variance(table), "relative rate, log interval", table.n, confidence, None)


def relative_predictive_value(calls: PairedCalls, value: str, confidence: float = 0.95) -> RatioComparison:
    """Ratio of PPVs (or NPVs), arm / reference; matches `DTComPair::pv.rpv` (Moskowitz and Pepe 2006).

    Parameters
    ----------
    calls : PairedCalls
    value : {"ppv", "npv"}
    confidence : float in (0, 1)
    """
    right, wrong = _right_and_wrong(calls, value)
    first, second = right.arm + wrong.arm, right.reference + wrong.reference
    method, n = "relative predictive value (Moskowitz-Pepe 2006), log interval", right.n + wrong.n
    if not first or not second:
        return _log_ratio(None, None, 0, method, n, confidence, UNDEFINED[value])
    one, other = right.arm / first, right.reference / second
    if not one or not other:
        return _log_ratio(one, other, 0, method, n, confidence, None)
    # each film's influence on log PPV is (right - PPV) / (PPV x calls): sum of squares over the kinds of film
    rows = [
        (right.both, (1 - one) / (one * first) - (1 - other) / (other * second)),
        (right.arm_only, (1 - one) / (one * first)),
        (right.reference_only, -(1 - other) / (other * second)),
        (wrong.both, -1 / first + 1 / second),
        (wrong.arm_only, -1 / first),
        (wrong.reference_only, 1 / second),
    ]
    variance = sum(count * influence**2 for count, influence in rows)
    return _log_ratio(one, other, variance, method, n, confidence, None)


def relative_likelihood_ratio(calls: PairedCalls, which: str, confidence: float = 0.95) -> RatioComparison:
    """Ratio of positive (or negative) likelihood ratios, arm / reference; matches `DTComPair::dlr.regtest`.

    Parameters
    ----------
    calls : PairedCalls
    which : {"lr_positive", "lr_negative"}
    confidence : float in (0, 1)
    """
    check_one_of(which, ("lr_positive", "lr_negative"), "which")
    malignant, normal = calls.malignant, calls.normal
    if which == "lr_negative":
        malignant, normal = malignant.reversed, normal.reversed
    method, n = "ratio of likelihood ratios (Gu-Pepe 2009), log interval", malignant.n + normal.n
    if not normal.arm or not normal.reference:
        return _log_ratio(None, None, 0, method, n, confidence, UNDEFINED[which])
    one = (malignant.arm / malignant.n) / (normal.arm / normal.n)
    other = (malignant.reference / malignant.n) / (normal.reference / normal.n)
    variance = _log_share_variance(malignant) + _log_share_variance(normal)
    return _log_ratio(one, other, variance, method, n, confidence, None)


def predictive_difference(
    labels: ArrayLike,
    arm: ArrayLike,
    reference: ArrayLike,
    value: str,
    patients: ArrayLike | None = None,
    confidence: float = 0.95,
) -> Estimate:
    """Difference of PPVs (or NPVs), arm - reference, with a Wald interval; patients as clusters where they repeat.

    Parameters
    ----------
    labels : array of shape (n,), 1 malignant, 0 normal
    arm, reference : array of shape (n,), 0/1 calls
    value : {"ppv", "npv"}
    patients : array of shape (n,), optional
    confidence : float in (0, 1)

    Returns
    -------
    Estimate
        p is Wald's (for independent films prefer `compare_predictive_values`).

    Raises
    ------
    ValueError
        Faulty input.
    """
    check_one_of(value, PREDICTIVE, "value")
    positive = check_labels(labels)
    paired_calls(positive, arm, reference)  # the checks of calls
    called = [np.asarray(calls, dtype=float) == (value == "ppv") for calls in (arm, reference)]
    right = positive if value == "ppv" else ~positive
    method = f"difference of {value.upper()}, Wald interval{'' if patients is None else ', patients as clusters'}"
    if not called[0].any() or not called[1].any():
        return Estimate.missing(UNDEFINED[value], method, positive.size)
    shares = [float(right[calls].mean()) for calls in called]
    influence = _influence(called[0], right, shares[0]) - _influence(called[1], right, shares[1])
    if patients is not None:
        influence = np.bincount(check_patients(patients, positive.size), influence).astype(np.float64)
    units = influence.size
    se = math.sqrt(units / (units - 1) * float(influence @ influence))
    difference = shares[0] - shares[1]
    if se == 0:
        reason = NO_DISCORDANT if bool(np.array_equal(*called)) else NO_VARIANCE
        return Estimate(difference, None, None, method, positive.size, not_estimable=reason)
    low, high = wald_interval(difference, se, confidence, clip=(-1.0, 1.0))
    return Estimate(difference, low, high, method, positive.size, tail_probability(difference / se))


def _influence(called: NDArray[np.bool_], right: NDArray[np.bool_], share: float) -> NDArray[np.float64]:
    return called * (right - share) / called.sum()
