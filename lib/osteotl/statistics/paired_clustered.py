"""Paired calls where patients have several films: McNemar's test and the difference with patients as clusters.

References
----------
Durkalski VL et al., Stat Med 2003;22:2417. Obuchowski NA, Stat Med 1998;17:1495.
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
    check_patients,
)
from osteotl.statistics.wald import tail_probability, wald_interval


@dataclass(frozen=True)
class ClusteredMcNemar:
    """McNemar's test with patients as clusters (Durkalski 2003).

    Attributes
    ----------
    statistic, p : float or None
        Chi-square with 1 degree of freedom; None without variation between patients.
    patients : int
    not_estimable : str or None
    """

    statistic: float | None
    p: float | None
    patients: int
    not_estimable: str | None = None


def clustered_mcnemar(arm: ArrayLike, reference: ArrayLike, patients: ArrayLike) -> ClusteredMcNemar:
    """Durkalski's test of equal shares where patients have several films of the class.

    Parameters
    ----------
    arm, reference : array of shape (n,), 0/1
        Whether each film is called rightly.
    patients : array of shape (n,)

    Returns
    -------
    ClusteredMcNemar

    Raises
    ------
    ValueError
        Faulty input.

    Notes
    -----
    chi2 = (sum_k d_k)^2 / sum_k d_k^2 with d_k = (b_k - c_k) / n_k the discordance of patient k. One film a patient:
    McNemar's uncorrected test.
    """
    one, other, codes = _paired_films(arm, reference, patients)
    sums = np.bincount(codes, one.astype(float) - other.astype(float)) / np.bincount(codes)
    spread = float(sums @ sums)
    if spread == 0:
        reason = NO_DISCORDANT if bool((one == other).all()) else "discordant films cancel out within every patient"
        return ClusteredMcNemar(None, None, sums.size, reason)
    statistic = float(sums.sum()) ** 2 / spread
    return ClusteredMcNemar(statistic, float(stats.chi2.sf(statistic, 1)), sums.size)


def clustered_difference(
    arm: ArrayLike, reference: ArrayLike, patients: ArrayLike, confidence: float = 0.95
) -> Estimate:
    """Difference of two shares on the same films with patients as clusters, Wald interval and p.

    Parameters, errors: as `clustered_mcnemar`.

    Notes
    -----
    Variance = sum_k (sum of (d_j - mean d) over patient k's films)^2 / n^2: Obuchowski 1998, equal to the robust
    variance of a GEE with identity link and independence (geepack). No factor K/(K-1), as there.
    """
    check_confidence(confidence)
    one, other, codes = _paired_films(arm, reference, patients)
    each = one.astype(float) - other.astype(float)
    difference = float(each.mean())
    sums = np.bincount(codes, each - difference)
    se = math.sqrt(float(sums @ sums)) / each.size
    method = f"paired, {sums.size} patients as clusters (Obuchowski 1998), Wald interval"
    if se == 0:
        reason = NO_DISCORDANT if not each.any() else NO_VARIANCE
        return Estimate(difference, None, None, method, each.size, not_estimable=reason)
    low, high = wald_interval(difference, se, confidence, clip=(-1.0, 1.0))
    return Estimate(difference, low, high, method, each.size, tail_probability(difference / se))


def _paired_films(
    arm: ArrayLike, reference: ArrayLike, patients: ArrayLike
) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.int64]]:
    one = check_labels(arm, "arm", both_classes=False)
    other = check_labels(reference, "reference", both_classes=False)
    if one.size != other.size:
        raise ValueError(f"arm has {one.size} films, reference {other.size}; pairs need the same films in order")
    return one, other, check_patients(patients, one.size)
