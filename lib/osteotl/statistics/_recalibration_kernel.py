"""Compiled loop of `recalibration.recalibrated_intervals`: both sets resampled, the recalibration fitted and judged.

Plain Newton steps from the observed fit, on logits that the caller has centred and scaled, as `_logistic` does; the
joint bootstrap's own steps (`_kernels.calibrate`) are of third order and vectorised, hence another loop. A replicate in
which they do not settle (few films of a class, nearly separated) is left to the caller's safeguarded fit, so that no
replicate is given up for speed.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from osteotl.statistics._kernels import compiled, draw

MEASURES = 5  # brier, scaled_brier, calibration_in_the_large, calibration_intercept, calibration_slope
MOST_STEPS = 25
SETTLED = 1e-10


@compiled()
def judge_replicates(  # type: ignore[no-untyped-def]
    validation, external, start, line, replicates, seeds, table
):
    """Fill `table` (replicates, MEASURES); rows of replicates that did not settle are returned as True.

    `validation` and `external` are (labels as 0/1, logits, unit of each film, boundaries of the strata of units);
    `start` and `line` are the observed fits on the two sets; `seeds` draws the two sets.
    """
    label_v, x_v, unit_v, strata_v = validation
    label_e, x_e, unit_e, strata_e = external
    drawn_v, drawn_e = np.zeros(strata_v[-1], np.uint16), np.zeros(strata_e[-1], np.uint16)
    weight_v, weight_e = np.empty(x_v.size), np.empty(x_e.size)
    open_ones = np.zeros(replicates, np.bool_)
    for b in range(replicates):
        draw(drawn_v, strata_v, seeds[0], np.uint64(b))
        draw(drawn_e, strata_e, seeds[1], np.uint64(b))
        for i in range(x_v.size):
            weight_v[i] = drawn_v[unit_v[i]]
        for i in range(x_e.size):
            weight_e[i] = drawn_e[unit_e[i]]
        open_ones[b] = not judge(label_v, x_v, weight_v, label_e, x_e, weight_e, start, line, table[b])
    return open_ones


@compiled()
def judge(label_v, x_v, weight_v, label_e, x_e, weight_e, start, line, row):  # type: ignore[no-untyped-def]
    """The five measures of one replicate; False where a fit did not settle or does not exist."""
    if overlap(label_v, x_v, weight_v) <= 0 or overlap(label_e, x_e, weight_e) <= 0:
        return False
    a, b, settled = fit_line(label_v, x_v, weight_v, start[0], start[1])
    if not settled or b <= 0:
        return False
    films, ill, error = 0.0, 0.0, 0.0
    for i in range(x_e.size):
        w = weight_e[i]
        if w > 0:
            gap = 1 / (1 + math.exp(-(a + b * x_e[i]))) - label_e[i]
            films += w
            ill += w * label_e[i]
            error += w * gap * gap
    large, settled = fit_shift(label_e, x_e, weight_e, a, b)
    alpha, beta, also = fit_line(label_e, x_e, weight_e, line[0], line[1])
    if not (settled and also):
        return False
    prevalence = ill / films
    row[0] = error / films
    row[1] = 1 - row[0] / (prevalence * (1 - prevalence))
    row[2] = large
    row[3] = alpha - a * beta / b  # the line on the recalibrated predictor a + b x
    row[4] = beta / b
    return True


@compiled()
def overlap(label, x, weight):  # type: ignore[no-untyped-def]
    """How far the classes' drawn films overlap; not above 0: separated, or a class without films."""
    low_ill, high_ill, low_well, high_well = np.inf, -np.inf, np.inf, -np.inf
    for i in range(x.size):
        if weight[i] > 0:
            if label[i] > 0:
                low_ill, high_ill = min(low_ill, x[i]), max(high_ill, x[i])
            else:
                low_well, high_well = min(low_well, x[i]), max(high_well, x[i])
    return min(high_well - low_ill, high_ill - low_well)


@compiled()
def fit_line(label, x, weight, a, b):  # type: ignore[no-untyped-def]
    """Intercept and slope of a logistic fit by Newton's method, and whether the steps settled."""
    last = np.inf
    for _ in range(MOST_STEPS):
        g0, g1, h00, h01, h11 = 0.0, 0.0, 0.0, 0.0, 0.0
        for i in range(x.size):
            w = weight[i]
            if w > 0:
                p = 1 / (1 + math.exp(-(a + b * x[i])))
                residual, v = w * (label[i] - p), w * p * (1 - p)
                g0 += residual
                g1 += residual * x[i]
                h00 += v
                h01 += v * x[i]
                h11 += v * x[i] * x[i]
        determinant = h00 * h11 - h01 * h01
        if not determinant > 0:
            return a, b, False
        step_a, step_b = (h11 * g0 - h01 * g1) / determinant, (h00 * g1 - h01 * g0) / determinant
        decrement = g0 * step_a + g1 * step_b
        if not decrement <= last:  # a step that overshot: the caller's fit halves it
            return a, b, False
        last = decrement
        a, b = a + step_a, b + step_b
        if max(abs(step_a), abs(step_b)) < SETTLED * (1 + max(abs(a), abs(b))):
            return a, b, True
    return a, b, False


@compiled()
def fit_shift(label, x, weight, a, b):  # type: ignore[no-untyped-def]
    """Calibration-in-the-large of the risks that a + b x gives, and whether the steps settled."""
    shift, last = 0.0, np.inf
    for _ in range(MOST_STEPS):
        gradient, information = 0.0, 0.0
        for i in range(x.size):
            w = weight[i]
            if w > 0:
                p = 1 / (1 + math.exp(-(shift + a + b * x[i])))
                gradient += w * (label[i] - p)
                information += w * p * (1 - p)
        if not information > 0 or not abs(gradient) <= last:
            return shift, False
        last = abs(gradient)
        step = gradient / information
        shift += step
        if abs(step) < SETTLED * (1 + abs(shift)):
            return shift, True
    return shift, False


def as_set(
    label: NDArray[np.bool_], x: NDArray[np.float64], drawn: tuple[NDArray[np.int64], NDArray[np.int64]]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
    """A set of films as the loop takes it; `drawn` is what `draw_units` says of it."""
    return label.astype(float), np.ascontiguousarray(x), drawn[0].astype(np.int64), drawn[1].astype(np.int64)
