"""What two printed AUCs with intervals and the p value of their difference imply about each other."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
import pandas as pd
from scipy import optimize, stats

from diagnostic_accuracy.pilots import Pilot, auc_correlation, pilot_of_aucs
from osteotl.published.printed import PrintedAuc, Published
from osteotl.published.rederivation import likely_pairs, unit_of

Range = tuple[float, float]


@dataclass(frozen=True)
class AucConsistency:
    """Consequences of printed AUCs, their intervals and p.

    Attributes
    ----------
    difference : float
        Arm - reference.
    standard_errors : (arm, reference)
        From the widths of the printed intervals.
    standard_error_difference : float
        |difference| / z(p).
    correlation : float
        Of the two AUCs, from the three standard errors.
    correlation_range, unpaired_p_range : (low, high)
        Over everything that rounds to the printed decimals.
    """

    difference: float
    standard_errors: Range
    standard_error_difference: float
    correlation: float
    correlation_range: Range
    unpaired_p_range: Range

    def p_at(self, correlation: float) -> float:
        """Two-sided p value of the difference if the AUCs were so correlated; 0: as if the films were not the same."""
        return _p(self.difference, self.standard_errors, correlation)

    def interval(self, level: float = 0.90) -> Range:
        """Interval of the difference from the printed p; at 0.90 that of the two one-sided tests at 5 %."""
        reach = float(stats.norm.isf((1 - level) / 2)) * self.standard_error_difference
        return self.difference - reach, self.difference + reach


def auc_consistency(published: Published) -> AucConsistency:
    """Work out `AucConsistency`.

    Raises
    ------
    ValueError
        Figures without two AUCs with intervals, or without the p value of their difference.
    """
    printed, p = published.printed_aucs, published.auc_p
    z = float(stats.norm.isf((1 - float(published.confidence)) / 2))
    arm, reference = ((float(one.upper) - float(one.lower)) / (2 * z) for one in printed)
    gap = float(printed[0].value) - float(printed[1].value)
    of_difference = abs(gap) / float(stats.norm.isf(float(p) / 2))
    corners = _corners(printed, p, z)
    correlations = [_correlation(errors, gap / float(stats.norm.isf(p / 2))) for gap, errors, p in corners]
    unpaired = [_p(gap, errors, 0.0) for gap, errors, _ in corners]
    return AucConsistency(
        gap, (arm, reference), of_difference, _correlation((arm, reference), of_difference),
        (min(correlations), max(correlations)), (min(unpaired), max(unpaired)),
    )  # fmt: skip


def _p(gap: float, errors: Range, correlation: float) -> float:
    spread = float(np.sqrt(errors[0] ** 2 + errors[1] ** 2 - 2 * correlation * errors[0] * errors[1]))
    return float(2 * stats.norm.sf(abs(gap) / spread))


def _correlation(errors: Range, of_difference: float) -> float:
    return (errors[0] ** 2 + errors[1] ** 2 - of_difference**2) / (2 * errors[0] * errors[1])


def _corners(printed: tuple[PrintedAuc, PrintedAuc], p: str, z: float) -> list[tuple[float, Range, float]]:
    """(|difference|, standard errors, p) at the ends of everything that rounds to what is printed."""
    half = [float(unit_of(one.value)) / 2 for one in printed]
    gap = abs(float(printed[0].value) - float(printed[1].value))
    gaps = [max(gap - sum(half), 0.0), gap + sum(half)]
    errors = [[(float(one.upper) - float(one.lower) + sign * 2 * h) / (2 * z) for sign in (-1, 1)]
              for one, h in zip(printed, half, strict=True)]  # fmt: skip
    step = float(unit_of(p)) / 2
    ps = [min(1.0, float(p) + sign * step) for sign in (-1, 1)]
    return [(gap, (one, other), value) for gap, one, other, value in product(gaps, *errors, ps)]


# --- the correlation that discordant pairs imply ----------------------------------------------------------------------


def tetrachoric(n: int, counts: tuple[int, int], pair: tuple[int, int]) -> float:
    """Correlation of two normal variables that, cut at the two shares, leave these discordant pairs.

    Parameters
    ----------
    n : int
    counts : (right in the arm, right in the reference)
    pair : (right in the arm only, right in the reference only)

    Notes
    -----
    An empty discordant cell would give 1; half a film is put there, as is usual.

    Examples
    --------
    >>> round(abs(tetrachoric(400, (200, 200), (100, 100))), 3)
    0.0
    """
    b, c = (max(x, 0.5) for x in pair)
    cuts = stats.norm.ppf([k / n for k in counts])
    both = (counts[0] + counts[1] - b - c) / (2 * n)

    def gap(r: float) -> float:
        return float(stats.multivariate_normal.cdf(cuts, cov=[[1, r], [r, 1]])) - both

    low, high = -0.999, 0.9999
    if gap(low) > 0 or gap(high) < 0:
        return low if gap(low) > 0 else high
    return float(optimize.brentq(gap, low, high, xtol=1e-6))


def within_classes(pairs: pd.DataFrame) -> dict[str, float]:
    """Tetrachoric correlation of the arms by rate (mean over the points of a rate), from `discordant_pairs`."""
    found: dict[str, list[float]] = {}
    for row in likely_pairs(pairs).itertuples():
        counts, pair = (row.right_arm, row.right_reference), (row.arm_only, row.reference_only)
        found.setdefault(str(row.rate), []).append(tetrachoric(row.n, counts, pair))
    return {rate: float(np.mean(values)) for rate, values in found.items()}


def nested_correlation(published: Published, pairs: pd.DataFrame) -> float | None:
    """Correlation of the AUCs that the discordant pairs imply (binormal); None without pairs of both classes."""
    within = within_classes(pairs)
    if set(within) != {"sensitivity", "specificity"}:
        return None
    arm, reference = (float(one.value) for one in published.printed_aucs)
    films = (published.films.malignant, published.films.normal)
    return auc_correlation(arm, reference, films, within["sensitivity"], within["specificity"])


def pilot_of_published(published: Published) -> Pilot:
    """A pilot for planning from printed AUCs, with the correlation that their p value implies (at least 0).

    Raises
    ------
    ValueError
        Figures without two AUCs with intervals.
    """
    arm, reference = (float(one.value) for one in published.printed_aucs)
    implied = auc_consistency(published).correlation if "p" in published.auc else None
    films = (published.films.malignant, published.films.normal)
    return pilot_of_aucs(arm, reference, films, implied, f"published: {published.source[:60]}")
