"""Bootstrap draws -> limits and p values, many statistics at a time."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Table = NDArray[np.float64]


def percentile_limits(draws: Table, confidence: float) -> tuple[Table, Table, NDArray[np.int64]]:
    """Percentile limits of each row, over its draws that are defined.

    Parameters
    ----------
    draws : array of shape (statistics, replicates)
        NaN where a replicate does not define the statistic.
    confidence : float

    Returns
    -------
    lower, upper : arrays of shape (statistics,), NaN where no draw is defined
        Type-7 quantiles (linear interpolation of order statistics, R's default).
    defined : array of shape (statistics,)
        How many draws are defined.
    """
    tails = np.array([(1 - confidence) / 2, (1 + confidence) / 2])
    size = draws.shape[1]
    defined = size - np.isnan(draws).sum(axis=1)
    limits = np.full((2, draws.shape[0]), np.nan)
    whole = defined == size
    limits[:, whole] = _quantiles(draws[whole], tails)
    for row in np.flatnonzero(~whole & (defined > 0)):
        limits[:, row] = _quantiles(draws[row : row + 1, ~np.isnan(draws[row])], tails)[:, 0]
    return limits[0], limits[1], defined


def _quantiles(draws: Table, shares: NDArray[np.float64]) -> Table:
    """Lower and upper type-7 quantile along the last axis, by partial sorting."""
    place = shares * (draws.shape[1] - 1)
    below = np.floor(place).astype(int)
    if below[0] + 1 >= below[1]:  # a handful of draws: the inner order statistics below would overlap
        return np.quantile(draws, shares, axis=1)
    last = min(below[1] + 1, draws.shape[1] - 1)
    result = np.empty((2, draws.shape[0]))
    for row, values in enumerate(draws):
        parted = np.partition(values, (below[0], last))
        inner = parted[below[0] + 1 : last]
        result[0, row] = parted[below[0]] + (place[0] - below[0]) * (inner.min() - parted[below[0]])
        top = inner.max() if last > below[1] else parted[last]
        result[1, row] = top + (place[1] - below[1]) * (parted[last] - top)
    return result


def p_values(draws: Table, defined: NDArray[np.int64]) -> Table:
    """Two-sided p of 'the difference is 0' for each row: 2 (1 + #) / (B + 1), at most 1.

    # = the smaller of the numbers of draws at most 0 and at least 0, B = draws that are defined
    (Davison & Hinkley 1997, eq. 4.11). Never 0; 1 where every draw is 0.
    """
    beyond = np.minimum((draws <= 0).sum(axis=1), (draws >= 0).sum(axis=1))
    return np.minimum(1.0, 2.0 * (1 + beyond) / (defined + 1))


def bca_limits(
    observed: float, draws: Table, left_out: Table, strata: NDArray[np.int64], confidence: float
) -> tuple[float, float] | None:
    """Bias-corrected and accelerated limits of one statistic, or None where they are not defined.

    Parameters
    ----------
    observed : float
        Value in the cohort.
    draws : array of shape (replicates,)
    left_out : array of shape (units,)
        Value without each unit, in the order of the strata.
    strata : array
        Boundaries of the strata that were drawn apart.
    confidence : float

    Notes
    -----
    Efron 1987; acceleration of several samples by Davison & Hinkley 1997, eq. 5.36: with jackknife deviations
    l = (n - 1)(mean - value), a = sum(l^3 / n^3) / (6 sum(l^2 / n^2)^1.5). Draws equal to `observed` count half in the
    bias correction. Matches `boot.ci(type = "bca")` of R's boot for one sample up to its interpolation of quantiles.
    """
    if not np.isfinite(observed) or np.isnan(draws).any() or np.isnan(left_out).any():
        return None
    below = ((draws < observed).sum() + 0.5 * (draws == observed).sum()) / draws.size
    cubes = squares = 0.0
    for first, last in pairwise(strata):
        size = int(last - first)
        deviation = (size - 1) * (left_out[first:last].mean() - left_out[first:last])
        cubes += (deviation**3).sum() / size**3
        squares += (deviation**2).sum() / size**2
    if not 0 < below < 1 or squares == 0:
        return None
    bias, acceleration = stats.norm.ppf(below), cubes / (6 * squares**1.5)
    z = bias + stats.norm.ppf([(1 - confidence) / 2, (1 + confidence) / 2])
    if (1 - acceleration * z <= 0).any():
        return None
    shares = stats.norm.cdf(bias + z / (1 - acceleration * z))
    lower, upper = _quantiles(draws[None, :], shares)[:, 0]
    return float(lower), float(upper)
