"""Two arms at their thresholds on the same films: the paired 2x2 table, McNemar's tests, intervals of the difference.

Sensitivity compares calls on malignant films, specificity on normal films. Only films that the arms call differently
(discordant pairs) carry information on a difference; without any, the exact tests give p = 1 and the asymptotic ones
say that they are not defined, instead of a p of 0 or NaN.

References
----------
McNemar Q, Psychometrika 1947;12:153. Edwards AL, Psychometrika 1948;13:185 (correction). Fagerland MW et al., BMC Med
Res Methodol 2013;13:91 (mid-p). Tango T, Stat Med 1998;17:891. Newcombe RG, Stat Med 1998;17:2635 (method 10). Agresti
A, Min Y, Stat Med 2005;24:729. Bonett DG, Price RM, J Educ Behav Stat 2012;37:479. Lachenbruch PA, Lynch CJ, Stat Med
1998;17:2207 (joint test).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from osteotl.statistics.checks import (
    NO_DISCORDANT,
    Estimate,
    check_confidence,
    check_labels,
    check_one_of,
)
from osteotl.statistics.mover import Limits, mover_sum
from osteotl.statistics.rates import proportion_interval


@dataclass(frozen=True)
class PairedTable:
    """How often two arms agree that something holds ('called positive', or 'called rightly') on the same films.

    Attributes
    ----------
    both, arm_only, reference_only, neither : int
    """

    both: int
    arm_only: int
    reference_only: int
    neither: int

    def __post_init__(self) -> None:
        for name in ("both", "arm_only", "reference_only", "neither"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is {getattr(self, name)}; a paired table holds counts of films")

    @property
    def n(self) -> int:
        """All pairs."""
        return self.both + self.arm_only + self.reference_only + self.neither

    @property
    def discordant(self) -> int:
        """Pairs on which the arms differ."""
        return self.arm_only + self.reference_only

    @property
    def arm(self) -> int:
        """Films on which it holds for the arm."""
        return self.both + self.arm_only

    @property
    def reference(self) -> int:
        """Films on which it holds for the reference."""
        return self.both + self.reference_only

    @property
    def difference(self) -> float:
        """Share for the arm - share for the reference."""
        return (self.arm_only - self.reference_only) / self.n

    @property
    def reversed(self) -> PairedTable:
        """The same pairs, counting where it does not hold (negative calls for positive ones)."""
        return PairedTable(self.neither, self.reference_only, self.arm_only, self.both)


@dataclass(frozen=True)
class PairedCalls:
    """Positive calls of two arms, on malignant and on normal films.

    Attributes
    ----------
    malignant, normal : PairedTable
        Films called positive by both, by one only, by neither.
    """

    malignant: PairedTable
    normal: PairedTable

    @property
    def sensitivity(self) -> PairedTable:
        """Malignant films called rightly (positive)."""
        return self.malignant

    @property
    def specificity(self) -> PairedTable:
        """Normal films called rightly (negative)."""
        return self.normal.reversed


def paired_table(arm: ArrayLike, reference: ArrayLike) -> PairedTable:
    """Count pairs of 0/1 (or boolean) values, film by film.

    Raises
    ------
    ValueError
        Empty, unequal lengths, or values other than 0 and 1.
    """
    one = check_labels(arm, "arm", both_classes=False)
    other = check_labels(reference, "reference", both_classes=False)
    if one.size != other.size:
        raise ValueError(f"arm has {one.size} films, reference {other.size}; pairs need the same films in order")
    both, first, second = int((one & other).sum()), int(one.sum()), int(other.sum())
    return PairedTable(both, first - both, second - both, one.size - first - second + both)


def paired_calls(labels: ArrayLike, arm: ArrayLike, reference: ArrayLike) -> PairedCalls:
    """Tables of positive calls (0/1 or boolean arrays of shape (n,)) of two arms, by class.

    Raises
    ------
    ValueError
        Faulty labels or calls, or one class only.
    """
    positive = check_labels(labels)
    one = check_labels(arm, "arm", both_classes=False)
    other = check_labels(reference, "reference", both_classes=False)
    for name, calls in (("arm", one), ("reference", other)):
        if calls.size != positive.size:
            raise ValueError(f"{name} has {calls.size} calls, the labels have {positive.size}; give one call per film")
    return PairedCalls(paired_table(one[positive], other[positive]), paired_table(one[~positive], other[~positive]))


# --- tests ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class McNemar:
    """McNemar's test in its four forms.

    Attributes
    ----------
    uncorrected, corrected : float or None
        Asymptotic p without and with Edwards' continuity correction; None without discordant pairs.
    exact, midp : float
        Binomial p, and its mid-p; 1 without discordant pairs.
    statistic, statistic_corrected : float or None
        Chi-square with 1 degree of freedom.
    discordant : int
    not_estimable : str or None
    """

    uncorrected: float | None
    corrected: float | None
    exact: float
    midp: float
    statistic: float | None
    statistic_corrected: float | None
    discordant: int
    not_estimable: str | None = None

    def to_dict(self) -> dict[str, float | None]:
        """The four p values by name."""
        return {name: getattr(self, name) for name in ("corrected", "exact", "midp", "uncorrected")}


def mcnemar(table: PairedTable) -> McNemar:
    """McNemar's test of equal shares on paired films.

    Parameters
    ----------
    table : PairedTable

    Returns
    -------
    McNemar

    Notes
    -----
    Matches R's `mcnemar.test` (both), `binom.test` and `exact2x2(paired = TRUE, midp = TRUE)`. The mid-p at equal
    discordant counts is 1, as there. Edwards' |b - c| - 1 is not allowed to fall below 0 (statsmodels lets it: p = .82
    for b = c).

    Examples
    --------
    >>> round(mcnemar(PairedTable(0, 9, 0, 0)).corrected, 5)
    0.00766
    """
    b, c = table.arm_only, table.reference_only
    total = b + c
    if total == 0:
        return McNemar(None, None, 1.0, 1.0, None, None, 0, NO_DISCORDANT)
    plain = (b - c) ** 2 / total
    corrected = max(abs(b - c) - 1, 0) ** 2 / total
    lower = float(stats.binom.cdf(min(b, c), total, 0.5))
    exact = min(1.0, 2 * lower)
    midp = 1.0 if b == c else 2 * lower - float(stats.binom.pmf(min(b, c), total, 0.5))
    uncorrected_p, corrected_p = (float(stats.chi2.sf(value, 1)) for value in (plain, corrected))
    return McNemar(uncorrected_p, corrected_p, exact, midp, plain, corrected, total)


def mcnemar_joint(calls: PairedCalls) -> tuple[float | None, float | None]:
    """Chi-square (2 degrees of freedom) and p of equal sensitivity and equal specificity together.

    Lachenbruch and Lynch 1998; matches `DTComPair::sesp.gen.mcnemar`. A class without discordant pairs adds nothing
    and still costs its degree of freedom; with none in both, (None, None).
    """
    parts = [mcnemar(table).statistic for table in (calls.sensitivity, calls.specificity)]
    if all(part is None for part in parts):
        return None, None
    total = sum(part or 0.0 for part in parts)
    return total, float(stats.chi2.sf(total, 2))


def odds_ratio_interval(table: PairedTable, confidence: float = 0.95, midp: bool = False) -> tuple[float, float]:
    """Exact (or mid-p) interval of the conditional odds ratio arm_only / reference_only; ends may be 0 and infinity.

    Matches `exact2x2(paired = TRUE)`: the Clopper-Pearson (mid-p) interval of arm_only among discordant pairs, as odds.
    """
    if table.discordant == 0:
        return 0.0, math.inf
    method = "midp" if midp else "clopper_pearson"
    low, high = proportion_interval(table.arm_only, table.discordant, confidence, method)
    return low / (1 - low), (high / (1 - high) if high < 1 else math.inf)


# --- intervals of the difference --------------------------------------------------------------------------------------

DIFFERENCE_METHODS = ("newcombe", "tango", "bonett_price", "agresti_min", "wald")


def paired_difference(
    table: PairedTable, confidence: float = 0.95, method: str = "newcombe", centre: str = "adjusted"
) -> Estimate:
    """Difference of two paired shares (arm - reference) with its interval.

    Parameters
    ----------
    table : PairedTable, at least one pair
    confidence : float in (0, 1)
    method : {"newcombe", "tango", "bonett_price", "agresti_min", "wald"}
        Newcombe's square-and-add (method 10) and Tango's score interval behave with few or no discordant pairs; Wald's
        has width 0 there.
    centre : {"adjusted", "observed"}
        Agresti-Min and Bonett-Price add pseudo-counts; as published, the interval is centred on the adjusted
        difference. DTComPair centres it on the observed one.

    Returns
    -------
    Estimate
        Cut to [-1, 1]; without p (see `mcnemar`).

    Raises
    ------
    ValueError
        An empty table, an unknown method or centre.

    Notes
    -----
    Tango's limits match PropCIs::scoreci.mp to all digits, because they stop at the same halving of the step.
    """
    check_confidence(confidence)
    check_one_of(method, DIFFERENCE_METHODS, "method")
    check_one_of(centre, ("adjusted", "observed"), "centre")
    if table.n == 0:
        raise ValueError("the paired table is empty; give at least one film")
    z = float(stats.norm.ppf((1 + confidence) / 2))
    if method == "tango":
        low, high = _tango(table, z)
    elif method == "newcombe":
        low, high = _newcombe(table, confidence)
    else:
        low, high = _added_counts(table, z, method, centre)
    names = {"newcombe": "Newcombe", "tango": "Tango", "bonett_price": "Bonett-Price", "agresti_min": "Agresti-Min"}
    reason = NO_DISCORDANT if table.discordant == 0 and method == "wald" else None
    words = f"{names.get(method, 'Wald')} interval of a paired difference"
    if reason:
        return Estimate(0.0, None, None, words, table.n, not_estimable=reason)
    return Estimate(table.difference, max(low, -1.0), min(high, 1.0), words, table.n)


def _added_counts(table: PairedTable, z: float, method: str, centre: str) -> tuple[float, float]:
    """Wald's interval after adding to each discordant cell (and twice, or four times, that to n)."""
    cell, pairs = {"wald": (0.0, 0.0), "agresti_min": (0.5, 2.0), "bonett_price": (1.0, 2.0)}[method]
    b, c, n = table.arm_only + cell, table.reference_only + cell, table.n + pairs
    se = math.sqrt(b + c - (b - c) ** 2 / n) / n
    middle = (b - c) / n if centre == "adjusted" else table.difference
    return middle - z * se, middle + z * se


def _newcombe(table: PairedTable, confidence: float) -> tuple[float, float]:
    """Newcombe 1998, method 10: Wilson limits of each share, squared and added, with a corrected phi."""
    product = table.arm * (table.n - table.arm) * table.reference * (table.n - table.reference)
    cross = table.both * table.neither - table.arm_only * table.reference_only
    phi = 0.0
    if product:
        phi = (max(cross - table.n / 2, 0) if cross > 0 else cross) / math.sqrt(product)
    arm, reference = (
        Limits(*np.array([share / table.n, *proportion_interval(share, table.n, confidence)]))
        for share in (table.arm, table.reference)
    )
    found = mover_sum(arm, reference.times(-1), -phi)
    return float(found.lower), float(found.upper)


def _tango(table: PairedTable, z: float) -> tuple[float, float]:
    """Tango 1998: all differences that the score test does not reject; found by halving steps from the estimate.

    The step stops at 1e-7 (or, below the estimate, where the score is within 1e-6 of z), as in PropCIs.
    """
    b, c, n = table.arm_only, table.reference_only, table.n

    def score(delta: float) -> float:
        # equation 25: restricted estimate of P(reference only) under the difference delta
        half = -b - c + (2 * n - b + c) * delta
        root = (math.sqrt(half**2 + 8 * n * c * delta * (1 - delta)) - half) / (4 * n)
        return (b - c - n * delta) / math.sqrt(n * (2 * root + delta * (1 - delta)))

    def search(towards: float) -> float:
        limit, step, tried = (b - c) / n, abs(towards - (b - c) / n), 0.0
        while step >= 1e-7:
            step /= 2
            tried = limit + math.copysign(step, towards - (b - c) / n)
            value = score(tried)
            if abs(value) < z:
                limit = tried
            if abs(z - value) < 1e-6:
                break
        return tried

    return (-1.0 if c == n else search(-1.0)), (1.0 if b == n else search(1.0))
