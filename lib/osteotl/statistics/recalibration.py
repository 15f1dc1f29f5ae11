"""From a detector's logits to risks: a recalibration is fitted on the validation set and applied to the external set.

The logistic recalibration (Platt: risk = 1 / (1 + exp(-(intercept + slope x logit)))) is primary: two numbers, stable
with few tumours. Isotonic and beta recalibration are refused under 200 malignant validation films.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import isotonic_regression, minimize
from scipy.special import expit

from osteotl.statistics._bootstrap_plan import draw_units
from osteotl.statistics._draws import draw_block
from osteotl.statistics._logistic import fit_logistic, separated
from osteotl.statistics._recalibration_kernel import MEASURES, as_set, judge_replicates
from osteotl.statistics.checks import (
    Estimate,
    check_confidence,
    check_labels,
    check_one_of,
    check_patients,
    check_scores,
)

Vector = NDArray[np.float64]

METHODS = ("logistic", "isotonic", "beta")
FLEXIBLE_FROM = 200


@dataclass(frozen=True)
class Recalibration:
    """A rising map from logits to risks.

    Attributes
    ----------
    method : str
    parameters : mapping of str to float or list of float
        logistic: intercept, slope. beta: intercept, a, b. isotonic: logits and risks of its corners.
    films, malignant : int
        Validation films that it was fitted on.
    """

    method: str
    parameters: Mapping[str, Any]
    films: int
    malignant: int

    def risks(self, logits: ArrayLike) -> Vector:
        """Risks of films, shape (n,), in [0, 1].

        Raises
        ------
        ValueError
            Logits that are not finite.
        """
        x = check_scores(logits, name="logits")
        p = self.parameters
        if self.method == "logistic":
            return expit(p["intercept"] + p["slope"] * x)
        if self.method == "beta":
            return expit(p["intercept"] + p["a"] * -np.logaddexp(0, -x) + p["b"] * np.logaddexp(0, x))
        return np.interp(x, p["logits"], p["risks"])

    def to_dict(self) -> dict[str, Any]:
        """As the analysis plan stores it."""
        return {"method": self.method, **self.parameters, "films": self.films, "malignant": self.malignant}

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Recalibration:
        """Back from `to_dict`."""
        rest = {key: value for key, value in stored.items() if key not in ("method", "films", "malignant")}
        return cls(stored["method"], rest, stored["films"], stored["malignant"])


def fit_recalibration(labels: ArrayLike, logits: ArrayLike, method: str = "logistic") -> Recalibration:
    """Fit a recalibration on the validation set.

    Parameters
    ----------
    labels : array of shape (n,), 1 malignant, 0 not
    logits : array of shape (n,)
        Finite; the detector's own logits, which keep more digits than its scores.
    method : {"logistic", "isotonic", "beta"}

    Returns
    -------
    Recalibration

    Raises
    ------
    ValueError
        Bad input; isotonic or beta with fewer than 200 malignant films; logits that separate the classes, are all
        equal, or fall with malignancy (slope at most 0), for the methods that cannot fit them.

    Notes
    -----
    Logistic: Platt 1999 without his smoothing of labels, R's `glm(y ~ logit, binomial)`. Beta: Kull, Silva Filho &
    Flach, Electron J Stat 2017;11:5052 (a, b >= 0). Isotonic: scikit-learn's `IsotonicRegression`.

    Examples
    --------
    >>> fit = fit_recalibration([0, 0, 1, 0, 1, 1], [-2.0, -1.0, -0.5, 0.5, 1.0, 2.0])
    >>> round(fit.parameters["slope"], 3)
    1.351
    """
    label = check_labels(labels)
    x = check_scores(logits, label.size, "logits")
    malignant = int(label.sum())
    if check_one_of(method, METHODS, "method") != "logistic" and malignant < FLEXIBLE_FROM:
        raise ValueError(
            f"{method} recalibration with {malignant} malignant validation films; it needs {FLEXIBLE_FROM}: "
            "use method='logistic'"
        )
    if method == "isotonic":
        return Recalibration(method, _isotonic(label, x), label.size, malignant)
    if np.ptp(x) == 0:
        raise ValueError("all validation logits are equal: no recalibration can be fitted")
    if separated(label, x):
        raise ValueError(
            "the validation logits separate the classes perfectly, so that the recalibration slope is infinite; "
            "a larger validation set is needed"
        )
    parameters = _logistic(label, x) if method == "logistic" else _beta(label, x)
    return Recalibration(method, parameters, label.size, malignant)


def _logistic(label: NDArray[np.bool_], x: Vector) -> dict[str, float]:
    fit = fit_logistic(label, x)
    if fit.slope <= 0:
        raise ValueError(
            f"the recalibration slope on validation is {fit.slope:.3g}: malignant films score no higher than normal "
            "ones, and turning the order round would hide that"
        )
    return {"intercept": fit.intercept, "slope": fit.slope}


def _beta(label: NDArray[np.bool_], x: Vector) -> dict[str, float]:
    """logit(risk) = c + a log(p) - b log(1 - p) with a, b >= 0, by bounded maximum likelihood."""
    design = np.column_stack([np.ones(x.size), -np.logaddexp(0, -x), np.logaddexp(0, x)])
    sign = np.where(label, -1.0, 1.0)

    def loss(theta: Vector) -> tuple[float, Vector]:
        predictor = design @ theta
        gradient = design.T @ (expit(predictor) - label)
        return float(np.logaddexp(0.0, sign * predictor).sum()), gradient

    bounds = [(None, None), (0.0, None), (0.0, None)]
    options = {"maxiter": 1000, "ftol": 1e-14, "gtol": 1e-8}
    found = minimize(loss, np.array([0.0, 1.0, 1.0]), jac=True, method="L-BFGS-B", bounds=bounds, options=options)
    if found.x[1] + found.x[2] <= 0:
        raise ValueError("beta recalibration found no rising map: malignant films score no higher than normal ones")
    return {"intercept": float(found.x[0]), "a": float(found.x[1]), "b": float(found.x[2])}


def _isotonic(label: NDArray[np.bool_], x: Vector) -> dict[str, list[float]]:
    distinct, code = np.unique(x, return_inverse=True)
    size = np.bincount(code).astype(float)
    share = np.bincount(code, weights=label) / size
    fitted = isotonic_regression(share, weights=size).x
    # Ends of flat stretches are all that interpolation needs.
    keep = (
        np.r_[True, (np.diff(fitted)[:-1] != 0) | (np.diff(fitted)[1:] != 0), True] if fitted.size > 2 else slice(None)
    )
    return {"logits": distinct[keep].tolist(), "risks": fitted[keep].tolist()}


def recalibrated_intervals(
    validation: tuple[ArrayLike, ArrayLike],
    external: tuple[ArrayLike, ArrayLike],
    *,
    validation_patients: ArrayLike | None = None,
    external_patients: ArrayLike | None = None,
    replicates: int = 2000,
    seed: int = 0,
    sampling: str = "by_class",
    confidence: float = 0.95,
) -> dict[str, Estimate]:
    """Brier score and calibration of logistically recalibrated risks; intervals resample validation too.

    Parameters
    ----------
    validation, external : (labels, logits)
        Films that the recalibration is fitted on, and films that it is judged on.
    validation_patients, external_patients : arrays, optional
        Patients are drawn where they repeat.
    replicates, seed : int
    sampling : {"by_class", "consecutive"}
    confidence : float

    Returns
    -------
    dict to Estimate
        Keys brier, scaled_brier, calibration_in_the_large, calibration_intercept, calibration_slope.

    Raises
    ------
    ValueError
        Bad input, or a recalibration that cannot be fitted (see `fit_recalibration`).

    Notes
    -----
    In each replicate both sets are resampled, the recalibration refitted and applied. If the external fit on raw logits
    is (alpha, beta) and the recalibration (a, b), then slope = beta / b and intercept = alpha - a beta / b.
    """
    label_v, x_v = _checked(*validation)
    label_e, x_e = _checked(*external)
    fit_recalibration(label_v, x_v)
    drawn = [
        draw_units(check_patients(patients, label.size), label, sampling)
        for label, patients in ((label_v, validation_patients), (label_e, external_patients))
    ]
    # Two streams from one seed: neighbouring seeds are unrelated after mixing.
    table = _replicates((label_v, x_v, *drawn[0]), (label_e, x_e, *drawn[1]), replicates, (2 * seed, 2 * seed + 1))
    names = ("brier", "scaled_brier", "calibration_in_the_large", "calibration_intercept", "calibration_slope")
    how = f"logistic recalibration on validation, both sets resampled (percentile bootstrap, B = {replicates:,})"
    return {
        name: _summary(table[:, i], how, label_e.size, check_confidence(confidence)) for i, name in enumerate(names)
    }


def _checked(labels: ArrayLike, logits: ArrayLike) -> tuple[NDArray[np.bool_], Vector]:
    label = check_labels(labels)
    return label, check_scores(logits, label.size, "logits")


Set = tuple[NDArray[np.bool_], Vector, NDArray[np.int64], NDArray[np.int64]]  # labels, logits, units, strata


def _replicates(validation: Set, external: Set, replicates: int, seeds: tuple[int, int]) -> Vector:
    """The five measures on the data as they are (first row) and in every replicate."""
    (label_v, x_v, unit_v, strata_v), (label_e, x_e, unit_e, strata_e) = validation, external
    # One scale for both sets: the measures do not depend on it, and the loop's sums stay well conditioned.
    middle, width = float(x_v.mean()), float(x_v.std()) or 1.0
    x_v, x_e = (x_v - middle) / width, (x_e - middle) / width
    now = _judge(label_v, x_v, np.ones(x_v.size), label_e, x_e, np.ones(x_e.size))
    start = fit_logistic(label_v, x_v)
    line = start if separated(label_e, x_e) else fit_logistic(label_e, x_e)
    table = np.empty((replicates, MEASURES))
    unsettled = judge_replicates(
        as_set(label_v, x_v, (unit_v, strata_v)),
        as_set(label_e, x_e, (unit_e, strata_e)),
        (start.intercept, start.slope),
        (line.intercept, line.slope),
        replicates,
        np.array(seeds, np.uint64),
        table,
    )
    for b in np.flatnonzero(unsettled).tolist():
        weights = [
            draw_block(strata, b, b + 1, one)[0] for strata, one in zip((strata_v, strata_e), seeds, strict=True)
        ]
        w_v, w_e = weights[0][unit_v].astype(float), weights[1][unit_e].astype(float)
        table[b] = _judge(label_v, x_v, w_v, label_e, x_e, w_e)
    return np.vstack([now, table])


def _judge(
    label_v: NDArray[np.bool_], x_v: Vector, w_v: Vector, label_e: NDArray[np.bool_], x_e: Vector, w_e: Vector
) -> tuple[float, ...]:
    """The five measures in one replicate by safeguarded fits, NaN where a fit does not exist."""
    nothing = (np.nan,) * 5
    if not w_e[label_e].any() or not w_e[~label_e].any() or not w_v[label_v].any() or not w_v[~label_v].any():
        return nothing
    try:
        fitted = fit_logistic(label_v, x_v, weights=w_v)
    except ValueError:  # separated validation replicate: no recalibration, hence no measure
        return nothing
    if fitted.slope <= 0:
        return nothing
    predictor = fitted.intercept + fitted.slope * x_e
    brier = float(w_e @ (expit(predictor) - label_e) ** 2 / w_e.sum())
    prevalence = float(w_e @ label_e / w_e.sum())
    try:
        large = fit_logistic(label_e, None, predictor, w_e).intercept
    except ValueError:  # every risk is 0 or 1 to the last digit: the likelihood is flat
        large = np.nan
    try:
        line = fit_logistic(label_e, predictor, weights=w_e)
    except ValueError:  # separated external replicate: the slope is infinite
        return brier, 1 - brier / (prevalence * (1 - prevalence)), large, np.nan, np.nan
    return brier, 1 - brier / (prevalence * (1 - prevalence)), large, line.intercept, line.slope


def _summary(values: Vector, how: str, n: int, confidence: float) -> Estimate:
    now, drawn = values[0], values[1:][np.isfinite(values[1:])]
    if not np.isfinite(now):
        return Estimate.missing("the risks separate the classes perfectly: the slope is infinite", how, n)
    if drawn.size < 0.95 * (values.size - 1):
        reason = f"defined in {drawn.size} of {values.size - 1} replicates only"
        return Estimate(float(now), None, None, how, n, not_estimable=reason)
    lower, upper = np.quantile(drawn, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Estimate(float(now), float(lower), float(upper), how, n)
