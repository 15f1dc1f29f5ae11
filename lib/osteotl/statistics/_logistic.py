"""Logistic regression of a label on one number, the fit behind calibration and recalibration."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

MOST_STEPS = 60


@dataclass(frozen=True)
class LogisticFit:
    """Maximum-likelihood fit of P(label) = 1 / (1 + exp(-(offset + intercept + slope x)))."""

    intercept: float
    slope: float
    covariance: NDArray[np.float64]
    log_likelihood: float


def logit(risk: NDArray[np.float64]) -> NDArray[np.float64]:
    """log(p / (1 - p)) without loss near 0 and 1."""
    return np.log(risk) - np.log1p(-risk)


def log_likelihood(label: NDArray[np.bool_], predictor: NDArray[np.float64], weights: NDArray[np.float64]) -> float:
    """Bernoulli log-likelihood of a linear predictor."""
    return float(-(weights * np.logaddexp(0.0, np.where(label, -predictor, predictor))).sum())


def separated(label: NDArray[np.bool_], x: NDArray[np.float64]) -> bool:
    """Does a cut on x separate the classes, but for ties at the cut (no finite slope)?"""
    malignant, normal = x[label], x[~label]
    return bool(malignant.min() >= normal.max() or malignant.max() <= normal.min())


def why_no_slope(label: NDArray[np.bool_], risk: NDArray[np.float64]) -> str | None:
    """Reason why calibration intercept and slope are not defined, or None."""
    certain = int(((risk == 0) | (risk == 1)).sum())
    if certain:
        return (
            f"{certain} of {risk.size} risks are exactly 0 or 1, whose logit is infinite: recalibrate on validation "
            "from the logits, or bound the risks openly"
        )
    if np.ptp(risk) == 0:
        return "all risks are equal: a slope cannot be fitted"
    if separated(label, risk):
        return "the risks separate the classes perfectly: the calibration slope is infinite"
    return None


def fit_logistic(
    label: NDArray[np.bool_],
    x: NDArray[np.float64] | None,
    offset: NDArray[np.float64] | None = None,
    weights: NDArray[np.float64] | None = None,
) -> LogisticFit:
    """Fit by Newton's method with halved steps; `x` None fits the intercept alone.

    Numbers match R's glm(label ~ x + offset(offset), binomial, weights) fitted to convergence. Steps are taken on x
    centred and scaled: logits of a detector that learnt little can differ in the seventh digit only, and the raw
    information matrix is then numerically singular.

    Raises
    ------
    ValueError
        The likelihood has no finite maximum (separated classes, constant x) or Newton's method does not reach it.
    """
    size = label.size
    middle, scale = (0.0, 1.0) if x is None else (float(x.mean()), float(x.std()) or 1.0)
    design = np.ones((size, 1)) if x is None else np.column_stack([np.ones(size), (x - middle) / scale])
    base = np.zeros(size) if offset is None else offset
    weight = np.ones(size) if weights is None else weights
    if x is not None and separated(label[weight > 0], x[weight > 0]):
        raise ValueError("the predictor separates the classes: the slope has no finite estimate")
    beta = np.zeros(design.shape[1])
    value = log_likelihood(label, base, weight)
    for _ in range(MOST_STEPS):
        risk = expit(base + design @ beta)
        gradient = design.T @ (weight * (label - risk))
        information = (design * (weight * risk * (1 - risk))[:, None]).T @ design
        step = np.linalg.solve(information, gradient)
        beta, new = _uphill(label, base, design, weight, beta, step, value)
        small = np.abs(step).max() < 1e-10 * (1 + np.abs(beta).max())
        value = new
        if small:
            back = np.array([[1.0, -middle / scale], [0.0, 1 / scale]])[: beta.size, : beta.size]
            found, covariance = back @ beta, back @ np.linalg.inv(information) @ back.T
            return LogisticFit(float(found[0]), float(found[1]) if x is not None else 1.0, covariance, value)
    raise ValueError(f"the logistic fit did not converge in {MOST_STEPS} steps (last at {beta})")


def _uphill(
    label: NDArray[np.bool_],
    base: NDArray[np.float64],
    design: NDArray[np.float64],
    weight: NDArray[np.float64],
    beta: NDArray[np.float64],
    step: NDArray[np.float64],
    value: float,
) -> tuple[NDArray[np.float64], float]:
    """The step, halved until the likelihood does not fall (beyond rounding)."""
    for _ in range(30):
        new = log_likelihood(label, base + design @ (beta + step), weight)
        if new >= value - 1e-9 * (1 + abs(value)):
            break
        step = step / 2
    return beta + step, new
