"""Logistic regression of a label on one number, fitted to convergence: of a sample, and of every draw."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from diagnostic_accuracy import _kernels

Floats = NDArray[np.float64]
Weights = NDArray[np.uint16]

MOST_STEPS = 60
CALIBRATION = ("brier", "log_oe", "calibration_in_the_large", "calibration_intercept", "calibration_slope")


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


@dataclass(frozen=True)
class Predictor:
    """One run's values that a logistic line is fitted on, centred and scaled: malignant cases first.

    Logits that hardly differ would make the information matrix singular. Every fit starts from the sample's line.
    """

    label: NDArray[np.bool_]
    x: Floats
    rising: NDArray[np.int64]
    middle: float
    scale: float
    start: Floats

    @classmethod
    def of(cls, label: NDArray[np.bool_], values: Floats) -> Predictor:
        middle, scale = float(values.mean()), float(values.std()) or 1.0
        x = (values - middle) / scale
        try:
            start = np.array(fit_line(label, x))
        except ValueError:
            start = np.array([0.0, 1.0])
        return cls(label, x, np.argsort(x, kind="stable"), middle, scale, start)

    def fit(self, weights: Weights, pi: Floats) -> Floats:
        """Intercept and slope on x in every draw, shape (draws, 2); the share of malignant cases is pi (NaN: free)."""
        lines = np.empty((len(weights), 2))
        risks = expit(self.start[0] + self.start[1] * self.x)
        _kernels.fit_lines(weights, self.label, self.x, self.rising, pi, self.start, risks, lines)
        return lines

    def judge(self, weights: Weights, pi: Floats, lines: Floats, fitted: Floats) -> Floats:
        """The measures of `CALIBRATION` of recalibrated risks in every draw, shape (draws, 5).

        `lines` holds the recalibration, `fitted` what `fit` found for the same draws.
        """
        scaled = np.column_stack([lines[:, 0] + lines[:, 1] * self.middle, lines[:, 1] * self.scale])
        table = np.empty((len(lines), len(CALIBRATION)))
        _kernels.judge(weights, self.x, int(self.label.sum()), pi, scaled, table)
        table[:, 4] = fitted[:, 1] / scaled[:, 1]
        table[:, 3] = fitted[:, 0] - scaled[:, 0] * table[:, 4]
        return table
