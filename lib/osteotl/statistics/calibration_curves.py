"""Calibration curves: by groups of films, and smooth, with their distance from the diagonal."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from statsmodels.nonparametric.smoothers_lowess import lowess
from statsmodels.stats.proportion import proportion_confint

from osteotl.statistics._smoothing import loess
from osteotl.statistics.checks import Estimate, check_confidence, check_labels, check_one_of, check_probabilities
from osteotl.statistics.resampling import resampled_rows

Vector = NDArray[np.float64]

SMOOTHERS = ("loess", "loess_direct", "lowess")


def quantile_groups(risks: Vector, groups: int) -> NDArray[np.int64]:
    """Group of each film by quantiles of risk; equal risks stay together, empty groups vanish."""
    if groups < 1:
        raise ValueError(f"groups is {groups}; give at least 1")
    edges = np.quantile(risks, np.arange(1, groups) / groups)
    return np.unique(np.searchsorted(edges, risks, side="left"), return_inverse=True)[1].astype(np.int64)


def calibration_table(labels: ArrayLike, risk: ArrayLike, groups: int = 10, confidence: float = 0.95) -> pd.DataFrame:
    """Predicted against observed share of malignant films, by groups of about equal size (deciles).

    Parameters
    ----------
    labels : array of shape (n,), 1 malignant, 0 not
    risk : array of shape (n,), in [0, 1]
    groups : int
        Films of equal risk stay in one group, so that there may be fewer.
    confidence : float

    Returns
    -------
    DataFrame
        One row a group: lowest, highest, n, malignant, predicted (mean risk), observed, lower, upper (Wilson).

    Raises
    ------
    ValueError
        Bad labels, risks outside [0, 1], or fewer than 1 group.
    """
    label = check_labels(labels)
    risks = check_probabilities(risk, label.size)
    films = pd.DataFrame({"group": quantile_groups(risks, groups), "risk": risks, "malignant": label})
    table = films.groupby("group").agg(
        lowest=("risk", "min"),
        highest=("risk", "max"),
        n=("risk", "size"),
        malignant=("malignant", "sum"),
        predicted=("risk", "mean"),
        observed=("malignant", "mean"),
    )
    alpha = 1 - check_confidence(confidence)
    limits = proportion_confint(table["malignant"].to_numpy(), table["n"].to_numpy(), alpha, "wilson")
    return table.assign(lower=limits[0], upper=limits[1]).reset_index(drop=True)


@dataclass(frozen=True)
class SmoothCalibration:
    """A smooth calibration curve and its mean, median, 90 % and largest distance from the diagonal over the films.

    Attributes
    ----------
    predicted, observed : arrays of shape (k,)
        Distinct risks, rising, and the smoothed share of malignant films there (not forced into [0, 1]).
    ici, e50, e90, emax : float or None
        Distances |risk - smoothed|, each film counting once.
    method : str
    not_estimable : str or None
    """

    predicted: Vector
    observed: Vector
    ici: float | None
    e50: float | None
    e90: float | None
    emax: float | None
    method: str
    not_estimable: str | None = None


def smooth_calibration(labels: ArrayLike, risk: ArrayLike, smoother: str = "loess") -> SmoothCalibration:
    """Smooth calibration curve with ICI, E50, E90 and Emax.

    Parameters
    ----------
    labels : array of shape (n,), 1 malignant, 0 not
    risk : array of shape (n,), in [0, 1]
    smoother : {"loess", "loess_direct", "lowess"}
        R's `loess` (local quadratic, span 0.75), the same fitted at every risk (slow: n^2), or R's `lowess` (local
        linear, span 2/3, no robustness steps), which rms uses.

    Returns
    -------
    SmoothCalibration

    Raises
    ------
    ValueError
        Bad labels, risks outside [0, 1], or an unknown smoother.

    Notes
    -----
    Austin & Steyerberg, Stat Med 2019;38:4051. Matches R's `loess(y ~ p)` and Eavg, E90, Emax of `rms::val.prob`.
    """
    label = check_labels(labels)
    risks = check_probabilities(risk, label.size)
    check_one_of(smoother, SMOOTHERS, "smoother")
    if np.ptp(risks) == 0:
        return _no_curve(smoother, "all risks are equal: there is no curve")
    values = label.astype(float)
    if smoother == "lowess":
        unit = risks / (np.ptp(risks) or 1.0)  # statsmodels has an absolute tolerance, R's lowess has not
        smooth = lowess(values, unit, frac=2 / 3, it=0, delta=0.01 * np.ptp(unit), return_sorted=False)
    else:
        try:
            smooth = loess(risks, values, risks, direct=smoother == "loess_direct")
        except ValueError as reason:
            return _no_curve(smoother, str(reason))
    distance = np.abs(risks - smooth)
    predicted, first = np.unique(risks, return_index=True)
    e50, e90 = (float(value) for value in np.quantile(distance, [0.5, 0.9]))
    return SmoothCalibration(
        predicted, smooth[first], float(distance.mean()), e50, e90, float(distance.max()), smoother
    )


def _no_curve(smoother: str, reason: str) -> SmoothCalibration:
    return SmoothCalibration(np.zeros(0), np.zeros(0), None, None, None, None, smoother, reason)


def smooth_calibration_intervals(
    labels: ArrayLike,
    risk: ArrayLike,
    patients: ArrayLike | None = None,
    replicates: int = 1000,
    seed: int = 0,
    confidence: float = 0.95,
) -> dict[str, Estimate]:
    """ICI, E50 and E90 of the loess curve with percentile bootstrap intervals.

    Parameters
    ----------
    labels : array of shape (n,), 1 malignant, 0 not
    risk : array of shape (n,), in [0, 1]
    patients : array of shape (n,), optional
        Patients are drawn where they repeat; malignant and normal units apart.
    replicates, seed : int
    confidence : float

    Returns
    -------
    dict of "ici", "e50", "e90" to Estimate

    Raises
    ------
    ValueError
        As `smooth_calibration`.

    Notes
    -----
    Distances from the diagonal are never negative, so these intervals lie above 0 even for a perfect model, and the
    estimate may lie near the lower limit: read them as sizes, not as tests.
    """
    label = check_labels(labels)
    risks = check_probabilities(risk, label.size)
    now = smooth_calibration(label, risks)
    how = f"loess, percentile bootstrap (B = {replicates:,})"
    names = ("ici", "e50", "e90")
    if now.not_estimable:
        return {name: Estimate.missing(now.not_estimable, how, label.size) for name in names}
    drawn = []
    for rows in resampled_rows(label, patients, replicates, seed):
        again = smooth_calibration(label[rows], risks[rows])
        if again.ici is not None:
            drawn.append((again.ici, again.e50, again.e90))
    if len(drawn) < 0.95 * replicates:
        reason = f"the curve could be fitted in {len(drawn)} of {replicates} replicates only"
        return {name: Estimate(getattr(now, name), None, None, how, label.size, not_estimable=reason) for name in names}
    limits = np.quantile(np.array(drawn), [(1 - confidence) / 2, (1 + confidence) / 2], axis=0)
    return {
        name: Estimate(getattr(now, name), limits[0, i], limits[1, i], how, label.size) for i, name in enumerate(names)
    }
