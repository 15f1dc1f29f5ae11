"""Intervals and p values from an estimate and its standard error."""

from __future__ import annotations

from scipy import stats
from scipy.special import expit, logit

from osteotl.statistics.checks import check_one_of

ALTERNATIVES = ("two-sided", "greater", "less")


def wald_interval(
    estimate: float,
    se: float,
    confidence: float = 0.95,
    df: float | None = None,
    clip: tuple[float, float] | None = None,
) -> tuple[float, float]:
    """estimate -/+ quantile x se (normal, or t with `df`), cut to the range `clip`."""
    tail = (1 + confidence) / 2
    quantile = float(stats.norm.ppf(tail) if df is None else stats.t.ppf(tail, df))
    low, high = estimate - quantile * se, estimate + quantile * se
    return (low, high) if clip is None else (max(low, clip[0]), min(high, clip[1]))


def logit_interval(share: float, se: float, confidence: float = 0.95, df: float | None = None) -> tuple[float, float]:
    """Interval of a number strictly between 0 and 1, symmetric on its logit (delta method)."""
    low, high = wald_interval(float(logit(share)), se / (share * (1 - share)), confidence, df)
    return float(expit(low)), float(expit(high))


def tail_probability(statistic: float, alternative: str = "two-sided", df: float | None = None) -> float:
    """p value of a z (or t) statistic; "greater" asks whether the arm is better than the reference."""
    check_one_of(alternative, ALTERNATIVES, "alternative")
    upper = (lambda x: stats.norm.sf(x)) if df is None else (lambda x: stats.t.sf(x, df))
    if alternative == "two-sided":
        return float(min(1.0, 2 * upper(abs(statistic))))
    return float(upper(statistic if alternative == "greater" else -statistic))
