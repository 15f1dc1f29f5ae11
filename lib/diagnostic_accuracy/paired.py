"""Calls of two arms on the same films, within one run: McNemar's tests, intervals of differences, predictive values.

Sensitivity compares calls on malignant films, specificity on normal films. Only films that the arms call differently
(discordant pairs) carry information on a difference; without any, the exact tests give p = 1 and the asymptotic ones
are not defined. PPV and NPV have other denominators in each arm: they have a score test and a bootstrap.

References
----------
McNemar Q, Psychometrika 1947;12:153. Edwards AL, Psychometrika 1948;13:185 (correction). Fagerland MW et al., BMC Med
Res Methodol 2013;13:91 (mid-p). Tango T, Stat Med 1998;17:891. Bonett DG, Price RM, J Educ Behav Stat 2012;37:479.
Lachenbruch PA, Lynch CJ, Stat Med 1998;17:2207 (joint test). Durkalski VL et al., Stat Med 2003;22:2417 (clusters).
Obuchowski NA, Stat Med 1998;17:1495 (clusters). Kosinski AS, Stat Med 2013;32:964 (predictive values).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from diagnostic_accuracy.checks import (
    NO_DISCORDANT,
    NO_VARIANCE,
    Estimate,
    check_confidence,
    check_labels,
    check_one_of,
    check_patients,
)
from diagnostic_accuracy.intervals import (
    clustered_error,
    critical_value,
    percentile_estimate,
    proportion_interval,
    wald_estimate,
)
from diagnostic_accuracy.rates import UNDEFINED

Flags = NDArray[np.bool_]
PREDICTIVE = ("ppv", "npv")
TEST_ONLY = "a test, without an interval"


# --- paired tables ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class PairedTable:
    """How often two arms agree that something holds ('called positive', or 'called rightly') on the same films.

    Attributes
    ----------
    both, arm_only, reference_only, neither : int

    Raises
    ------
    ValueError
        A negative count.
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


def _pair(arm: ArrayLike, reference: ArrayLike, n: int | None = None) -> tuple[Flags, Flags]:
    one, other = (check_labels(c, name, both_classes=False) for c, name in ((arm, "arm"), (reference, "reference")))
    if not one.size == other.size == (one.size if n is None else n):
        wanted = "" if n is None else f", the labels have {n}"
        raise ValueError(f"arm has {one.size} calls, reference {other.size}{wanted}; give one call per film, in order")
    return one, other


def paired_table(arm: ArrayLike, reference: ArrayLike) -> PairedTable:
    """Count pairs of 0/1 (or boolean) values, film by film.

    Raises
    ------
    ValueError
        Empty, unequal lengths, or values other than 0 and 1.

    Examples
    --------
    >>> paired_table([1, 1, 0, 0], [1, 0, 1, 0])
    PairedTable(both=1, arm_only=1, reference_only=1, neither=1)
    """
    one, other = _pair(arm, reference)
    both, first, second = int((one & other).sum()), int(one.sum()), int(other.sum())
    return PairedTable(both, first - both, second - both, one.size - first - second + both)


def paired_calls(labels: ArrayLike, arm: ArrayLike, reference: ArrayLike) -> PairedCalls:
    """Tables of positive calls (0/1 or boolean arrays of shape (n,)) of two arms, by class.

    Raises
    ------
    ValueError
        Faulty labels or calls, or one class only.

    Examples
    --------
    >>> paired_calls([1, 1, 0, 0], [1, 1, 0, 1], [1, 0, 0, 0]).sensitivity.difference
    0.5
    """
    positive = check_labels(labels)
    one, other = _pair(arm, reference, positive.size)
    return PairedCalls(paired_table(one[positive], other[positive]), paired_table(one[~positive], other[~positive]))


# --- tests ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class McNemar:
    """McNemar's test in its four forms.

    Attributes
    ----------
    corrected, uncorrected : float or None
        Asymptotic p with and without Edwards' continuity correction; None without discordant pairs.
    exact, midp : float
        Binomial p, and its mid-p; 1 without discordant pairs.
    statistic, statistic_corrected : float or None
        Chi-square with 1 degree of freedom.
    """

    corrected: float | None
    uncorrected: float | None
    exact: float
    midp: float
    statistic: float | None
    statistic_corrected: float | None


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
    b, c, total = table.arm_only, table.reference_only, table.discordant
    if total == 0:
        return McNemar(None, None, 1.0, 1.0, None, None)
    plain, corrected = (b - c) ** 2 / total, max(abs(b - c) - 1, 0) ** 2 / total
    lower = float(stats.binom.cdf(min(b, c), total, 0.5))
    midp = 1.0 if b == c else 2 * lower - float(stats.binom.pmf(min(b, c), total, 0.5))
    corrected_p, plain_p = (float(stats.chi2.sf(value, 1)) for value in (corrected, plain))
    return McNemar(corrected_p, plain_p, min(1.0, 2 * lower), midp, plain, corrected)


def mcnemar_joint(calls: PairedCalls) -> tuple[float | None, float | None]:
    """Chi-square (2 degrees of freedom) and p of equal sensitivity and equal specificity together.

    Lachenbruch and Lynch 1998; matches `DTComPair::sesp.gen.mcnemar`. A class without discordant pairs adds nothing
    and still costs its degree of freedom; with none in both, (None, None).

    Examples
    --------
    >>> mcnemar_joint(PairedCalls(PairedTable(5, 3, 0, 2), PairedTable(1, 1, 0, 8)))[0]
    4.0
    """
    parts = [mcnemar(table).statistic for table in (calls.sensitivity, calls.specificity)]
    if all(part is None for part in parts):
        return None, None
    total = sum(part or 0.0 for part in parts)
    return total, float(stats.chi2.sf(total, 2))


def clustered_mcnemar(arm: ArrayLike, reference: ArrayLike, patients: ArrayLike) -> Estimate:
    """Durkalski's test of equal shares where patients have several films of the class.

    Parameters
    ----------
    arm, reference : array of shape (n,), 0/1
        Whether each film is called rightly.
    patients : array of shape (n,)

    Returns
    -------
    Estimate
        The chi-square with 1 degree of freedom (no limits) and its p; n counts patients. Missing, with the reason,
        without variation between patients.

    Raises
    ------
    ValueError
        Faulty input.

    Notes
    -----
    chi2 = (sum_k d_k)^2 / sum_k d_k^2 with d_k = (b_k - c_k) / n_k the discordance of patient k. One film a patient:
    McNemar's uncorrected test.

    Examples
    --------
    >>> round(clustered_mcnemar([1, 1, 1, 1, 0], [0, 0, 0, 1, 1], list("aabbc")).estimate, 4)
    0.1111
    """
    one, other = _pair(arm, reference)
    codes = check_patients(patients, one.size)
    sums = np.bincount(codes, one.astype(float) - other.astype(float)) / np.bincount(codes)
    spread, method = float(sums @ sums), "McNemar, patients as clusters (Durkalski 2003)"
    if spread == 0:
        alike = bool((one == other).all())
        reason = NO_DISCORDANT if alike else "discordant films cancel out within every patient"
        return Estimate.missing(reason, method, sums.size)
    statistic = float(sums.sum()) ** 2 / spread
    return Estimate(statistic, None, None, method, sums.size, float(stats.chi2.sf(statistic, 1)))


# --- intervals --------------------------------------------------------------------------------------------------------


def odds_ratio_interval(table: PairedTable, confidence: float = 0.95, midp: bool = False) -> tuple[float, float]:
    """Exact (or mid-p) interval of the conditional odds ratio arm_only / reference_only; ends may be 0 and infinity.

    Matches `exact2x2(paired = TRUE)`: the Clopper-Pearson (mid-p) interval of arm_only among discordant pairs, as odds.

    Examples
    --------
    >>> odds_ratio_interval(PairedTable(1, 0, 0, 1))
    (0.0, inf)
    """
    if table.discordant == 0:
        return 0.0, math.inf
    method = "midp" if midp else "clopper_pearson"
    low, high = proportion_interval(table.arm_only, table.discordant, confidence, method)
    return low / (1 - low), (high / (1 - high) if high < 1 else math.inf)


DIFFERENCE_METHODS = {"tango": "Tango", "bonett_price": "Bonett-Price", "wald": "Wald"}


def paired_difference(table: PairedTable, confidence: float = 0.95, method: str = "tango") -> Estimate:
    """Difference of two paired shares (arm - reference) with its interval.

    Parameters
    ----------
    table : PairedTable, at least one pair
    confidence : float in (0, 1)
    method : {"tango", "bonett_price", "wald"}
        Tango's score interval behaves with few or no discordant pairs; Wald's is not defined without any. Bonett and
        Price's standard error adds pseudo-counts; as in DTComPair it lies around the observed difference.

    Returns
    -------
    Estimate
        Cut to [-1, 1]; without p (see `mcnemar`).

    Raises
    ------
    ValueError
        An empty table, an unknown method.

    Notes
    -----
    Tango's limits match PropCIs::scoreci.mp to all digits, because they stop at the same halving of the step.

    Examples
    --------
    >>> round(paired_difference(PairedTable(30, 14, 5, 20)).upper, 3)
    0.256
    """
    check_confidence(confidence)
    check_one_of(method, tuple(DIFFERENCE_METHODS), "method")
    if table.n == 0:
        raise ValueError("the paired table is empty; give at least one film")
    z, observed = critical_value(confidence), table.difference
    words = f"{DIFFERENCE_METHODS[method]} interval of a paired difference"
    if method == "wald" and table.discordant == 0:
        return Estimate(observed, None, None, words, table.n, note=NO_DISCORDANT)
    if method == "tango":
        low, high = _tango(table, z)
    else:  # Bonett and Price add 1 to each discordant cell
        cell, pairs = (1.0, 2.0) if method == "bonett_price" else (0.0, 0.0)
        b, c, n = table.arm_only + cell, table.reference_only + cell, table.n + pairs
        se = math.sqrt(b + c - (b - c) ** 2 / n) / n
        low, high = observed - z * se, observed + z * se
    return Estimate(observed, max(low, -1.0), min(high, 1.0), words, table.n)


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


def clustered_difference(
    arm: ArrayLike, reference: ArrayLike, patients: ArrayLike, confidence: float = 0.95
) -> Estimate:
    """Difference of two shares on the same films with patients as clusters, Wald interval and p.

    Parameters, errors: as `clustered_mcnemar`.

    Notes
    -----
    Variance as `intervals.clustered_error`: no factor K/(K-1), as in geepack.

    Examples
    --------
    >>> clustered_difference([1, 1, 1, 0], [0, 1, 1, 0], list("aabb")).estimate
    0.25
    """
    one, other = _pair(arm, reference)
    codes = check_patients(patients, one.size)
    each = one.astype(float) - other.astype(float)
    reason = NO_VARIANCE if each.any() else NO_DISCORDANT
    method = f"paired, {codes.max() + 1} patients as clusters (Obuchowski 1998), Wald interval"
    return wald_estimate(float(each.mean()), clustered_error(each, codes), method, each.size, confidence, still=reason)


# --- predictive values ------------------------------------------------------------------------------------------------


def compare_predictive_values(calls: PairedCalls, value: str) -> Estimate:
    """Weighted generalised score test of equal PPV (or NPV) of two arms on the same films.

    Parameters
    ----------
    calls : PairedCalls
    value : {"ppv", "npv"}

    Returns
    -------
    Estimate
        The difference, arm - reference, with p (chi-square with 1 degree of freedom) and without limits. Missing where
        an arm makes no such call.

    Raises
    ------
    ValueError
        An unknown value.

    Notes
    -----
    Kosinski 2013; matches `DTComPair::pv.wgs`.

    Examples
    --------
    >>> calls = PairedCalls(PairedTable(31, 3, 16, 10), PairedTable(13, 19, 4, 54))
    >>> round(compare_predictive_values(calls, "ppv").estimate, 4)
    -0.2192
    """
    right, wrong = calls.malignant, calls.normal
    if check_one_of(value, PREDICTIVE, "value") == "npv":
        right, wrong = calls.normal.reversed, calls.malignant.reversed
    first, second = right.arm + wrong.arm, right.reference + wrong.reference
    method, n = "weighted generalised score test (Kosinski 2013)", right.n + wrong.n
    if not first or not second:
        return Estimate.missing(UNDEFINED[value], method, n)
    gap = right.arm / first - right.reference / second
    pooled = (right.arm + right.reference) / (first + second)
    # covariance of the two values, over the films that both arms call
    shared = (right.both * (1 - pooled) ** 2 + wrong.both * pooled**2) / (first + second)
    spread = (pooled * (1 - pooled) - 2 * shared) * (1 / first + 1 / second)
    if spread <= 1e-15:
        reason = NO_DISCORDANT if right.discordant + wrong.discordant == 0 else NO_VARIANCE
        return Estimate(gap, None, None, method, n, note=reason)
    return Estimate(gap, None, None, method, n, float(stats.chi2.sf(gap**2 / spread, 1)), note=TEST_ONLY)


def ppv_bootstrap(
    labels: ArrayLike,
    arm: ArrayLike,
    reference: ArrayLike,
    patients: ArrayLike | None = None,
    draws: int = 2000,
    confidence: float = 0.95,
) -> Estimate:
    """Difference of PPVs, arm - reference, by a paired bootstrap within classes; the draws are always the same.

    Parameters
    ----------
    labels : array of shape (n,), 1 malignant, 0 normal
    arm, reference : array of shape (n,), 0/1 calls
    patients : array of shape (n,), optional
        Patients are drawn with all their films, within classes; one with films of both counts as malignant.
    draws : int, at least 100
    confidence : float in (0, 1)

    Returns
    -------
    Estimate
        As `intervals.percentile_estimate`; a draw in which an arm makes no such call is not defined.

    Raises
    ------
    ValueError
        Faulty input, or fewer than 100 draws.

    Notes
    -----
    The kind of analysis that the published study names. Only how often each kind of patient is drawn matters, so
    patients with the same counts are drawn together (multinomial): the time does not grow with the films.

    Examples
    --------
    >>> labels, arm, reference = [1, 1, 1, 0, 0, 0] * 9, [1, 1, 1, 1, 0, 0] * 9, [1, 1, 0, 1, 1, 0] * 9
    >>> ppv_bootstrap(labels, arm, reference).estimate
    0.25
    """
    check_confidence(confidence)
    if draws < 100:
        raise ValueError(f"draws is {draws}; give at least 100 (2,000 is usual)")
    positive = check_labels(labels)
    calls = _pair(arm, reference, positive.size)
    codes, method = check_patients(patients, positive.size), f"paired bootstrap, {draws} draws, percentile interval"
    # per patient: films called by each arm, and those of them called rightly
    columns = [part for called in calls for part in (called & positive, called)]
    counts = np.stack([np.bincount(codes, column) for column in columns], axis=1)
    observed = _ppv_difference(counts.sum(axis=0, keepdims=True))[0]
    if not np.isfinite(observed):
        return Estimate.missing(UNDEFINED["ppv"], method, positive.size)
    drawn, rng = np.zeros((draws, 4)), np.random.default_rng(0)
    malignant = np.bincount(codes[positive], minlength=len(counts)) > 0
    for stratum in (malignant, ~malignant):
        if stratum.any():
            kinds, often = np.unique(counts[stratum], axis=0, return_counts=True)
            drawn += rng.multinomial(often.sum(), often / often.sum(), size=draws) @ kinds
    return percentile_estimate(observed, _ppv_difference(drawn), method, positive.size, confidence, NO_DISCORDANT)


def _ppv_difference(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Difference of right / called of the arm and the reference in each row; NaN where one makes no such call."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return counts[:, 0] / counts[:, 1] - counts[:, 2] / counts[:, 3]
