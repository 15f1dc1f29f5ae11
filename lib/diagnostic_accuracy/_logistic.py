"""Logistic regression of a label on one number, fitted to convergence."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

MOST_STEPS = 60


def fit_line(
    label: NDArray[np.bool_], x: NDArray[np.float64], weights: NDArray[np.float64] | None = None
) -> tuple[float, float]:
    """Intercept and slope of R's ``glm(label ~ x, binomial)``, by Newton's method with halved steps.

    Raises
    ------
    ValueError
        x is constant or separates the classes: the slope has no finite estimate.
    """
    if np.ptp(x) == 0:
        raise ValueError("all scores are equal: a slope cannot be fitted")
    malignant, normal = x[label], x[~label]
    if not malignant.size or not normal.size:
        raise ValueError("one class only: a slope cannot be fitted")
    if malignant.min() >= normal.max() or malignant.max() <= normal.min():
        raise ValueError("the scores separate the classes perfectly: the slope is infinite")
    weight = np.ones(x.size) if weights is None else weights
    middle, scale = float(x.mean()), float(x.std())
    design = np.column_stack([np.ones(x.size), (x - middle) / scale])
    sign = np.where(label, -1.0, 1.0)
    beta, value = np.zeros(2), float((weight * np.log(2)).sum())
    for _ in range(MOST_STEPS):
        risk = expit(design @ beta)
        information = (design * (weight * risk * (1 - risk))[:, None]).T @ design
        step = np.linalg.solve(information, design.T @ (weight * (label - risk)))
        for _ in range(30):
            new = float((weight * np.logaddexp(0.0, sign * (design @ (beta + step)))).sum())
            if new <= value + 1e-9 * (1 + abs(value)):
                break
            step = step / 2
        beta, value = beta + step, new
        if np.abs(step).max() < 1e-10 * (1 + np.abs(beta).max()):
            return float(beta[0] - beta[1] * middle / scale), float(beta[1] / scale)
    raise ValueError(f"the logistic fit did not converge in {MOST_STEPS} steps")
