"""Intervals: from a standard error, of a proportion, and of sums and differences of numbers with limits.

References
----------
Wilson EB, JASA 1927;22:209. Clopper CJ, Pearson ES, Biometrika 1934;26:404. Obuchowski NA, Stat Med 1998;17:1495
(clusters). Zou GY, Donner A, Stat Med 2008;27:1693 (MOVER). Davison AC, Hinkley DV, Bootstrap Methods and their
Application, 1997 (percentile intervals).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from scipy.optimize import brentq
from scipy.special import expit, logit, ndtri, stdtrit
from statsmodels.stats.proportion import proportion_confint

from diagnostic_accuracy.checks import NO_VARIANCE, Estimate, check_confidence, check_one_of

Vector = NDArray[np.float64]
# Note of a difference that has limits, but neither variance nor p.
NO_VARIATION = "no sampling variation was seen: the limits rest on the number of films alone, and there is no test"
MOST_UNDEFINED = 0.01  # share of draws that may leave a number undefined
METHODS = {"wilson": "Wilson", "clopper_pearson": "Clopper-Pearson", "midp": "mid-p"}


# --- from an estimate and its standard error --------------------------------------------------------------------------


def wald_interval(
    estimate: float,
    se: float,
    confidence: float = 0.95,
    df: float | None = None,
    clip: tuple[float, float] | None = None,
) -> tuple[float, float]:
    """estimate -/+ quantile x se (normal, or t with `df`), cut to the range `clip`."""
    quantile = critical_value(confidence, df)
    return _cut(estimate - quantile * se, estimate + quantile * se, clip)


def _cut(low: float, high: float, clip: tuple[float, float] | None) -> tuple[float, float]:
    return (low, high) if clip is None else (max(low, clip[0]), min(high, clip[1]))


def on_logit(share: float, se: float, critical: float) -> tuple[float, float]:
    """Interval of a number strictly between 0 and 1, symmetric on its logit (delta method)."""
    half = critical * se / (share * (1 - share))
    return float(expit(logit(share) - half)), float(expit(logit(share) + half))


def clustered_error(values: Vector, clusters: NDArray[np.int64]) -> float:
    """Standard error of a mean whose values come in clusters: sqrt(sum of squared residual sums of the clusters) / n.

    Obuchowski 1998; equal to the robust variance of a GEE with identity link and independence (geepack), and to
    statsmodels' cluster-robust OLS without correction.
    """
    sums = np.bincount(clusters, values - values.mean())
    return float(np.sqrt(sums @ sums)) / values.size


def edge_reach(n: float, confidence: float = 0.95, critical: float | None = None) -> float:
    """z^2 / (n + z^2): how far from where it was seen a number without any variation in n cases may lie.

    The lower limit n / (n + z^2) of a proportion of 1 is Wilson's. `critical` stands in for z.
    """
    z2 = (critical_value(confidence) if critical is None else critical) ** 2
    return z2 / (n + z2)


def critical_value(confidence: float, df: float | None = None) -> float:
    """Quantile of a two-sided interval: of the normal distribution, or of t with `df`."""
    tail = (1 + confidence) / 2
    return float(ndtri(tail) if df is None else stdtrit(df, tail))  # scipy.stats without its checks


def tail_probability(statistic: float, alternative: str = "two-sided", df: float | None = None) -> float:
    """p value of a z (or t) statistic; "greater" asks whether the arm is better than the reference."""
    tails = {"two-sided": (2, abs(statistic)), "greater": (1, statistic), "less": (1, -statistic)}
    count, at = tails[check_one_of(alternative, tuple(tails), "alternative")]
    return count * float(stats.norm.sf(at) if df is None else stats.t.sf(at, df))


def wald_estimate(
    value: float,
    se: float | None,
    method: str,
    n: int,
    confidence: float = 0.95,
    clip: tuple[float, float] | None = (-1.0, 1.0),
    *,
    df: float | None = None,
    still: str = "",
    reach: float | None = None,
    test: bool = True,
) -> Estimate:
    """A number with its Wald interval and p of 0.

    Parameters
    ----------
    value : float
    se : float or None
        None or 0: no variation was seen, so that there is no p.
    method : str
    n : int
    confidence : float in (0, 1)
    clip : (float, float) or None
        Range of the number.
    df : float, optional
        Degrees of freedom of `se`.
    still : str
        Note where there is no variation.
    reach : float, optional
        How far the limits are then away; default: no limits.
    test : bool
        Give p.
    """
    check_confidence(confidence)
    if se:
        p = tail_probability(value / se, df=df) if test else None
        return Estimate(value, *wald_interval(value, se, confidence, df, clip), method, n, p, df)
    if reach is None:
        return Estimate(value, None, None, method, n, note=still)
    return Estimate(value, *_cut(value - reach, value + reach, clip), method, n, note=still)


# --- of a proportion --------------------------------------------------------------------------------------------------


def wilson(p: ArrayLike, n: ArrayLike, critical: float) -> tuple[Vector, Vector]:
    """Wilson's limits of proportions among n (a count or an effective number), for a critical value of z or t.

    Matches statsmodels' `proportion_confint(method="wilson")`; exactly 0 and 1 at the ends.

    Parameters
    ----------
    p, n : float or arrays that broadcast
    critical : float

    Returns
    -------
    lower, upper : arrays in [0, 1]
    """
    share = np.asarray(p, np.float64)
    q = critical**2 / np.asarray(n, np.float64)
    centre, half = (share + q / 2) / (1 + q), np.sqrt(q * share * (1 - share) + q * q / 4) / (1 + q)
    return np.where(share == 0, 0.0, centre - half), np.where(share == 1, 1.0, centre + half)


def proportion_interval(
    successes: float, n: float, confidence: float = 0.95, method: str = "wilson"
) -> tuple[float, float]:
    """Interval of a proportion.

    Parameters
    ----------
    successes, n : float, 0 <= successes <= n, n > 0
        Counts (or effective counts, for Wilson).
    confidence : float in (0, 1)
    method : {"wilson", "clopper_pearson", "midp"}

    Returns
    -------
    lower, upper : float in [0, 1]

    Raises
    ------
    ValueError
        Counts out of range, an unknown method, a confidence outside (0, 1).

    Notes
    -----
    Wilson and Clopper-Pearson equal statsmodels' `proportion_confint`, and R's `prop.test(correct = FALSE)` and
    `binom.test`; mid-p is solved to machine precision (PropCIs::midPci searches a grid of 0.0005).

    Examples
    --------
    >>> [round(limit, 4) for limit in proportion_interval(242, 268)]
    [0.8616, 0.9329]
    """
    check_confidence(confidence)
    check_one_of(method, tuple(METHODS), "method")
    if not n > 0 or not 0 <= successes <= n:
        raise ValueError(f"{successes} of {n} is not a proportion; successes must lie in [0, n] and n above 0")
    if method == "midp":
        return _midp_interval(successes, n, 1 - confidence)
    if method == "wilson":
        low, high = wilson(successes / n, n, critical_value(confidence))
    else:
        low, high = proportion_confint(successes, n, alpha=1 - confidence, method="beta")
    # statsmodels gives NaN for the exact interval at 0 and n in some versions
    return (0.0 if successes == 0 else float(low)), (1.0 if successes == n else float(high))


def _midp_interval(x: float, n: float, alpha: float) -> tuple[float, float]:
    """p where P(more extreme) + P(x)/2 = alpha/2, in each tail."""
    if x == 0:
        return 0.0, 1 - alpha ** (1 / n)
    if x == n:
        return alpha ** (1 / n), 1.0

    def upper_tail(p: float) -> float:
        return float(stats.binom.sf(x, n, p) + stats.binom.pmf(x, n, p) / 2) - alpha / 2

    def lower_tail(p: float) -> float:
        return float(stats.binom.cdf(x - 1, n, p) + stats.binom.pmf(x, n, p) / 2) - alpha / 2

    return brentq(upper_tail, 0, x / n, xtol=1e-15), brentq(lower_tail, x / n, 1, xtol=1e-15)


# --- from bootstrap draws ---------------------------------------------------------------------------------------------


def percentile_estimate(
    observed: float,
    draws: ArrayLike,
    method: str,
    n: int,
    confidence: float = 0.95,
    alike: str = "every draw is 0: no variation was seen",
) -> Estimate:
    """A difference with its percentile interval and p value, from bootstrap draws.

    Parameters
    ----------
    observed : float
        The difference in the films at hand.
    draws : array of shape (draws,)
        NaN where a draw does not define it.
    method : str
    n : int
    confidence : float in (0, 1)
    alike : str
        Reason where all draws and the difference are 0.

    Returns
    -------
    Estimate
        Limits are type-7 quantiles (R's default); p = 2 (1 + #) / (B + 1), at most 1, with # the smaller of the numbers
        of draws at most 0 and at least 0 among the B that are defined (Davison and Hinkley 1997, eq. 4.11). Without
        limits where more than 1 % of the draws are undefined, or none varies; a smaller share stands in `note`.

    Raises
    ------
    ValueError
        A confidence outside (0, 1).

    Examples
    --------
    >>> percentile_estimate(0.5, [0.1, 0.2, 0.3, 0.4, 0.5], "bootstrap", 9, confidence=0.5).lower
    0.2
    """
    check_confidence(confidence)
    drawn = np.asarray(draws, np.float64)
    defined = drawn[np.isfinite(drawn)]
    share = 1 - defined.size / drawn.size
    said = f"not defined in {share:.1%} of the draws" if share else ""
    if share > MOST_UNDEFINED:
        return Estimate(observed, None, None, method, n, note=said)
    if np.ptp(defined) == 0:
        return Estimate(observed, None, None, method, n, note=alike if observed == 0 else NO_VARIANCE)
    low, high = np.quantile(defined, [(1 - confidence) / 2, (1 + confidence) / 2])
    fewer = min(int((defined <= 0).sum()), int((defined >= 0).sum()))
    return Estimate(observed, low, high, method, n, min(1.0, 2 * (1 + fewer) / (defined.size + 1)), note=said)


# --- of sums and differences: MOVER -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Limits:
    """Estimates with their limits, element by element.

    Attributes
    ----------
    estimate, lower, upper : float or arrays of one shape
    """

    estimate: ArrayLike
    lower: ArrayLike
    upper: ArrayLike

    def times(self, weight: ArrayLike) -> Limits:
        """Each estimate times a number; a negative one makes the limits change places."""
        by = np.asarray(weight, np.float64)
        ends = np.asarray(self.lower) * by, np.asarray(self.upper) * by
        return Limits(np.asarray(self.estimate) * by, np.minimum(*ends), np.maximum(*ends))


def mover_sum(one: Limits, other: Limits, correlation: ArrayLike = 0.0) -> Limits:
    """Limits of one + other, made from the limits of each (method of variance estimates recovery).

    Each distance from an estimate to its limit stands for a multiple of its standard error on that side, so that skewed
    intervals (of rates near 0 or 1) lend their skewness to the sum.

    Parameters
    ----------
    one, other : Limits
        At the same confidence. For a difference, `other.times(-1)`.
    correlation : float or array, in [-1, 1]
        Of the two estimates as they are added (of a difference: minus that of the two).

    Returns
    -------
    Limits

    Notes
    -----
    Zou and Donner 2008, eq. 2 and 3 of the sum: with distances a and b to the limits of one side, the limit lies
    sqrt(a^2 + b^2 + 2 r a b) from the sum. With Wilson's limits of independent proportions it is Newcombe's interval,
    as in statsmodels' `confint_proportions_2indep(method="newcomb")`.
    """
    r = np.asarray(correlation, np.float64)
    first, second = ([np.asarray(v, np.float64) for v in (x.estimate, x.lower, x.upper)] for x in (one, other))

    def reach(a: Vector, b: Vector) -> Vector:
        return np.sqrt(np.maximum(a**2 + b**2 + 2 * r * a * b, 0.0))  # rounding may leave -1e-20 where r = -1

    value = first[0] + second[0]
    below = reach(first[0] - first[1], second[0] - second[1])
    above = reach(first[2] - first[0], second[2] - second[0])
    return Limits(value, value - below, value + above)
