"""Calibration curves: by groups of films, and smooth, with their distance from the diagonal."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from skmisc.loess import loess
from statsmodels.nonparametric.smoothers_lowess import lowess
from statsmodels.stats.proportion import proportion_confint

from diagnostic_accuracy.checks import check_confidence, check_labels, check_one_of, check_probabilities

Vector = NDArray[np.float64]

SMOOTHERS = ("loess", "loess_direct", "lowess")
DISTANCES = ("ICI", "E50", "E90", "Emax")


def calibration_table(labels: ArrayLike, risk: ArrayLike, groups: int = 10, confidence: float = 0.95) -> pd.DataFrame:
    """Predicted against observed share of malignant films, by groups of about equal size (deciles).

    Parameters
    ----------
    labels : array of shape (n,), 1 malignant, 0 not
    risk : array of shape (n,), in [0, 1]
    groups : int
        At least 1. Films of equal risk stay in one group, so that there may be fewer.
    confidence : float

    Returns
    -------
    DataFrame
        One row a group: lowest, highest, n, malignant, predicted (mean risk), observed, lower, upper (Wilson).

    Raises
    ------
    ValueError
        Bad labels, or risks outside [0, 1].

    Examples
    --------
    >>> calibration_table([0, 0, 1, 1], [0.1, 0.2, 0.7, 0.8], groups=2)["observed"].tolist()
    [0.0, 1.0]
    """
    label = check_labels(labels)
    risks = check_probabilities(risk, label.size)
    group = np.searchsorted(np.quantile(risks, np.arange(1, groups) / groups), risks)
    films = pd.DataFrame({"group": group, "risk": risks, "malignant": label})
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
    """A smooth calibration curve and its distances from the diagonal over the films.

    Attributes
    ----------
    predicted, observed : arrays of shape (k,)
        Distinct risks, rising, and the smoothed share of malignant films there (not forced into [0, 1]).
    distances : dict of float or None
        Mean (ICI), median (E50), 90 % (E90) and largest (Emax) of |risk - smoothed|, each film counting once.
    note : str
        Why there is no curve; empty otherwise.
    """

    predicted: Vector
    observed: Vector
    distances: dict[str, float | None]
    note: str = ""


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
        Without a curve, and a note that says why, where too few risks are distinct (fewer than about 8, or three
        quarters of the films at one risk).

    Raises
    ------
    ValueError
        Bad labels, risks outside [0, 1], or an unknown smoother.

    Notes
    -----
    Austin & Steyerberg, Stat Med 2019;38:4051. Matches R's `loess(y ~ p)` (fitted by scikit-misc, which wraps the same
    Fortran) and Eavg, E90, Emax of `rms::val.prob`.

    Examples
    --------
    >>> curve = smooth_calibration([0, 1] * 20, [k / 41 for k in range(1, 41)], "lowess")
    >>> curve.observed.size
    40
    """
    label = check_labels(labels)
    risks = check_probabilities(risk, label.size)
    check_one_of(smoother, SMOOTHERS, "smoother")
    try:
        smooth = _smoothed(risks, label.astype(float), smoother)
    except ValueError as error:
        return SmoothCalibration(np.zeros(0), np.zeros(0), dict.fromkeys(DISTANCES), str(error))
    distance = np.abs(risks - smooth)
    predicted, first = np.unique(risks, return_index=True)
    values = [distance.mean(), *np.quantile(distance, [0.5, 0.9, 1.0])]
    return SmoothCalibration(predicted, smooth[first], dict(zip(DISTANCES, map(float, values), strict=True)))


def _smoothed(risks: Vector, y: Vector, smoother: str) -> Vector:
    """Smoothed labels at each film's risk; ValueError with the reason where there is no curve."""
    distinct, films = np.unique(risks, return_counts=True)
    if distinct.size == 1:
        raise ValueError("all risks are equal: there is no curve")
    if smoother == "lowess":
        unit = risks / np.ptp(risks)  # statsmodels has an absolute tolerance, R's lowess has not
        return np.asarray(lowess(y, unit, frac=2 / 3, it=0, delta=0.01 * np.ptp(unit), return_sorted=False))
    fit = loess(risks, y, span=0.75, degree=2, surface="direct" if smoother == "loess_direct" else "interpolate")
    try:
        fit.fit()
    except ValueError as error:
        raise ValueError(
            f"{films.max()} of {risks.size} risks equal {distinct[films.argmax()]:g}, and {distinct.size} values are "
            "distinct: a smooth calibration curve needs more distinct risks than that"
        ) from error
    return np.asarray(fit.outputs.fitted_values)
