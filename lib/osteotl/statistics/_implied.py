"""What two AUCs with intervals and the p value of their difference imply about each other."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
from scipy import optimize, stats

from osteotl.statistics._attainable import unit_of

Table = tuple[str, int, tuple[int, int], tuple[int, int]]  # rate, n, (right in arm, right in reference), (b, c)


@dataclass(frozen=True)
class AucConsistency:
    """Consequences of printed AUCs, intervals and p; ranges are over everything that rounds to the printed decimals.

    correlation : between the two AUCs, from SE(difference) = |difference| / z(p).
    unpaired_p : as if the films were not the same.
    p_if_correlated : p value at supposed correlations.
    nested_correlation, nested_p : correlation that the discordant pairs behind the printed McNemar p values imply
        (binormal, tetrachoric within each class), and p at it; None without such pairs.
    interval90 : of the difference, from p: the two-sided test of equivalence at 5 %.
    equivalent_at : margin -> is that interval inside it.
    """

    difference: float
    standard_errors: tuple[float, float]
    standard_error_difference: float
    correlation: float
    correlation_range: tuple[float, float]
    unpaired_p: float
    unpaired_p_range: tuple[float, float]
    p_if_correlated: dict[str, float]
    nested_correlation: float | None
    nested_p: float | None
    interval90: tuple[float, float]
    equivalent_at: dict[str, bool]


def auc_consistency(
    printed: list[tuple[str, str, str]], p: str, confidence: float, films: tuple[int, int], tables: list[Table],
    margins: list[float], supposed: list[float],
) -> AucConsistency:  # fmt: skip
    """Work out `AucConsistency` from (value, lower, upper) of the arm and of the reference, and p, all as printed."""
    z = float(stats.norm.isf((1 - confidence) / 2))
    values = [tuple(map(float, one)) for one in printed]
    spread = [(v[2] - v[1]) / (2 * z) for v in values]
    gap = values[0][0] - values[1][0]
    of_difference = abs(gap) / float(stats.norm.isf(float(p) / 2))
    corners = [_correlation(*corner, z) for corner in _corners(printed, p)]
    apart = [_p(c[0], _spread([c[1] / (2 * z), c[2] / (2 * z)], 0.0)) for c in _corners(printed, p)]
    nested = _nested(values[0][0], values[1][0], films, tables) if tables else None
    reach = float(stats.norm.isf(0.05)) * of_difference
    limits = (gap - reach, gap + reach)
    return AucConsistency(
        gap, (spread[0], spread[1]), of_difference,
        (spread[0] ** 2 + spread[1] ** 2 - of_difference**2) / (2 * spread[0] * spread[1]),
        (min(corners), max(corners)), _p(gap, _spread(spread, 0.0)), (min(apart), max(apart)),
        {f"{r:g}": _p(gap, _spread(spread, r)) for r in supposed}, nested,
        None if nested is None else _p(gap, _spread(spread, nested)), limits,
        {f"{m:g}": -m < limits[0] and limits[1] < m for m in margins},
    )  # fmt: skip


def _spread(spread: list[float], r: float) -> float:
    return float(np.sqrt(spread[0] ** 2 + spread[1] ** 2 - 2 * r * spread[0] * spread[1]))


def _p(gap: float, spread: float) -> float:
    return float(2 * stats.norm.sf(abs(gap) / spread))


def _corners(printed: list[tuple[str, str, str]], p: str) -> list[tuple[float, float, float, float]]:
    """(difference, width 1, width 2, p) at the ends of everything that rounds to what is printed."""
    half = [float(unit_of(one[0])) / 2 for one in printed]
    gap = float(printed[0][0]) - float(printed[1][0])
    reach = sum(half)
    gaps = [max(abs(gap) - reach, 0.0), abs(gap) + reach]
    widths = [[float(o[2]) - float(o[1]) + s * 2 * h for s in (-1, 1)] for o, h in zip(printed, half, strict=True)]
    step = float(unit_of(p)) / 2
    ps = [min(1.0, float(p) + s * step) for s in (-1, 1)]
    return list(product(gaps, widths[0], widths[1], ps))


def _correlation(gap: float, first: float, second: float, p: float, z: float) -> float:
    one, two = first / (2 * z), second / (2 * z)
    of_difference = gap / float(stats.norm.isf(p / 2))
    return (one**2 + two**2 - of_difference**2) / (2 * one * two)


# --- the correlation that discordant pairs imply ----------------------------------------------------------------------


def _nested(auc1: float, auc0: float, films: tuple[int, int], tables: list[Table]) -> float | None:
    """Correlation of the AUCs from tetrachoric correlations within each class (mean over the tables of a class)."""
    within: dict[str, list[float]] = {"sensitivity": [], "specificity": []}
    for rate, n, counts, pair in tables:
        within[rate].append(tetrachoric(n, counts, pair))
    if not all(within.values()):
        return None
    malignant, normal = (float(np.mean(within[rate])) for rate in ("sensitivity", "specificity"))
    return auc_correlation(auc1, auc0, films, malignant, normal)


def tetrachoric(n: int, counts: tuple[int, int], pair: tuple[int, int]) -> float:
    """Correlation of two normal variables that, cut at the two shares, leave these discordant pairs.

    An empty discordant cell would give 1; half a film is put there, as is usual.
    """
    b, c = (max(x, 0.5) for x in pair)
    shares = [k / n for k in counts]
    both = (counts[0] + counts[1] - b - c) / (2 * n)
    cuts = stats.norm.ppf(shares)

    def gap(r: float) -> float:
        return float(stats.multivariate_normal.cdf(cuts, cov=[[1, r], [r, 1]])) - both

    low, high = -0.999, 0.9999
    if gap(low) > 0 or gap(high) < 0:
        return low if gap(low) > 0 else high
    return float(optimize.brentq(gap, low, high, xtol=1e-6))


def auc_correlation(auc1: float, auc0: float, films: tuple[int, int], malignant: float, normal: float) -> float:
    """Correlation of two binormal AUCs on the same films, from the correlations within each class.

    The DeLong components are Phi(x) for a malignant film and Phi(d - y) for a normal one; their moments by
    Gauss-Hermite quadrature.
    """
    nodes, weights = np.polynomial.hermite_e.hermegauss(40)
    weights = weights / weights.sum()
    shifts = [np.sqrt(2) * stats.norm.ppf(a) for a in (auc1, auc0)]

    def covariance(r: float, i: int, j: int) -> float:
        x, y = nodes[:, None], r * nodes[:, None] + np.sqrt(1 - r**2) * nodes[None, :]
        f, g = stats.norm.cdf(shifts[i] + x), stats.norm.cdf(shifts[j] + y)
        grid = weights[:, None] * weights[None, :]
        return float((grid * f * g).sum() - (grid * f).sum() * (grid * g).sum())

    # Phi(d - y) has the same moments as Phi(d + x) with the sign of y turned
    total = [covariance(malignant, 0, 1) / films[0] + covariance(normal, 0, 1) / films[1]]
    total += [covariance(1.0, i, i) * (1 / films[0] + 1 / films[1]) for i in (0, 1)]
    return float(total[0] / np.sqrt(total[1] * total[2]))
