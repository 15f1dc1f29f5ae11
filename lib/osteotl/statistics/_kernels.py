"""Compiled inner loops of the joint bootstrap; `bootstrap.py` is their only caller.

One replicate = one row of counts, how often each unit (film or patient) was drawn. Every statistic of every arm is a
weighted sum over films with these counts, taken in one sweep down the sorted scores, so nothing is ever copied or
sorted again. Random numbers are counter-based: word `w` of replicate `b` is a function of (seed, b, w) alone
(SplitMix64's finaliser; Steele, Lea & Flood 2014), hence no result depends on threads, chunks or order.

Compiled code is cached beside this file, or in the user's cache folder where the package is read-only;
NUMBA_CACHE_DIR=FOLDER names another place. Without any writable place it is compiled anew in each process.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

AUC, AVERAGE_PRECISION, MAX_F1, BRIER, INTERCEPT, SLOPE = range(6)
SCALARS = 6
HIGH_SENSITIVITY, HIGH_SPECIFICITY, YOUDEN = range(3)

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
LOW_HALF = np.uint64(0xFFFFFFFF)
HALF_BITS = np.uint64(32)

# A calibration step is the last one when it moves the linear predictor by less than this (root mean square, weighted
# by p(1 - p)). Steps solve the score equations to third order, so what remains is of the order of its fourth power.
LAST_STEP = 3e-3
LONGEST_STEP = 1.5
MOST_STEPS = 30
# Sums of a calibration step: 2 of p, 3 of p', 4 of p'', 5 of p''', each with rising powers of the linear predictor.
MOMENTS = 14

Compiled = Callable[..., Any]


def compiled(**options: Any) -> Callable[[Compiled], Compiled]:
    """`numba.njit` that caches where it can and still works where it cannot."""

    def decorate(function: Compiled) -> Compiled:
        try:
            return numba.njit(cache=True, nogil=True, **options)(function)
        except RuntimeError:  # numba: "no locator available", neither package nor home is writable
            return numba.njit(nogil=True, **options)(function)

    return decorate


@compiled(inline="always")
def mix(z: np.uint64) -> np.uint64:
    """SplitMix64's finaliser: a bijection of 64 bits that scatters neighbouring inputs."""
    z = z + GOLDEN
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@compiled()
def draw(counts: np.ndarray, strata: np.ndarray, seed: np.uint64, replicate: np.uint64) -> None:
    """Draw each stratum's units with replacement, as many as it has; `strata` holds their boundaries.

    A 64-bit word gives two draws; a draw is the upper half of (32 random bits) x (size), off uniform by < size / 2^32.
    """
    counts[:] = 0
    key = mix(mix(seed) ^ (replicate * np.uint64(0xD1342543DE82EF95)))
    for stratum in range(strata.shape[0] - 1):
        first = strata[stratum]
        size = np.uint64(strata[stratum + 1] - first)
        pairs = np.int64(size >> np.uint64(1))
        for pair in range(pairs):
            word = mix(key + np.uint64(first + pair) * GOLDEN)
            counts[first + np.int64(((word & LOW_HALF) * size) >> HALF_BITS)] += 1
            counts[first + np.int64(((word >> HALF_BITS) * size) >> HALF_BITS)] += 1
        if size & np.uint64(1):
            word = mix(key + np.uint64(first + pairs) * GOLDEN)
            counts[first + np.int64(((word & LOW_HALF) * size) >> HALF_BITS)] += 1


@compiled()
def totals(counts: np.ndarray, unit: np.ndarray, positives: int) -> tuple[int, int]:
    """Malignant and normal films in the replicate."""
    malignant, normal = 0, 0
    for film in range(positives):
        malignant += counts[unit[film]]
    for film in range(positives, unit.shape[0]):
        normal += counts[unit[film]]
    return malignant, normal


@compiled(inline="always")
def reselect(rules: np.ndarray, need: np.ndarray, tp: int, fp: int, pos: int, neg: int, best: np.ndarray) -> None:
    """Keep this point of the ROC curve for every rule that prefers it to the best so far (tp, fp) of a higher threshold.

    High sensitivity: the first point with enough tp, then more tp at the same fp. High specificity: the most tp with
    few enough fp. Youden: the largest tp / pos - fp / neg, compared without rounding; the first on ties.
    """
    for r in range(rules.shape[0]):
        if rules[r] == HIGH_SENSITIVITY:
            better = tp >= need[r] and (best[r, 0] < need[r] or fp == best[r, 1])
        elif rules[r] == HIGH_SPECIFICITY:
            better = fp <= need[r] and tp > best[r, 0]
        else:
            better = (tp - best[r, 0]) * neg > (fp - best[r, 1]) * pos
        if better:
            best[r, 0] = tp
            best[r, 1] = fp


@compiled()
def sweep(counts, order, ends, segments, cuts, slots, rules, need, pos, neg, best, fixed_tp, fixed_fp, scalars):  # type: ignore[no-untyped-def]
    """Go down the scores of one arm once: AUC, AP, max F1, counts at fixed thresholds, re-selected points.

    Segments hold the malignant films of one score [.., ends[0]), the normal films of the same score [.., ends[1]) and
    the normal films below, down to the next malignant film or fixed threshold [.., ends[2]).
    """
    tp, fp, twice_auc, area = 0, 0, 0, 0.0
    f1_tp, f1_called = 0, 1
    start, cut = 0, 0
    while cut < cuts.shape[0] and cuts[cut] < 0:
        fixed_tp[slots[cut]] = 0
        fixed_fp[slots[cut]] = 0
        cut += 1
    for s in range(segments):
        gained, tied, below = 0, 0, 0
        for i in range(start, ends[s, 0]):
            gained += counts[order[i]]
        for i in range(ends[s, 0], ends[s, 1]):
            tied += counts[order[i]]
        for i in range(ends[s, 1], ends[s, 2]):
            below += counts[order[i]]
        start = ends[s, 2]
        if gained + tied > 0:
            twice_auc += tied * (2 * tp + gained)
            tp += gained
            fp += tied
            if gained > 0:
                area += gained * (tp / (tp + fp))
                if tp * f1_called > f1_tp * (tp + fp + pos):  # F1 = 2 tp / (tp + fp + pos)
                    f1_tp = tp
                    f1_called = tp + fp + pos
                reselect(rules, need, tp, fp, pos, neg, best)
        twice_auc += 2 * below * tp
        fp += below
        while cut < cuts.shape[0] and cuts[cut] == s:
            fixed_tp[slots[cut]] = tp
            fixed_fp[slots[cut]] = fp
            cut += 1
    scalars[AUC] = twice_auc / (2.0 * pos * neg)
    scalars[AVERAGE_PRECISION] = area / pos
    scalars[MAX_F1] = 2.0 * f1_tp / f1_called


@compiled(fastmath={"reassoc", "contract", "nsz"})
def weighted_sum(weights: np.ndarray, values: np.ndarray, last: int) -> float:
    """Sum of weights x values over the first `last` films."""
    total = 0.0
    for i in range(last):
        total += weights[i] * values[i]
    return total


@compiled(fastmath={"reassoc", "contract", "nsz"})
def moments(weights, x, risks, out):  # type: ignore[no-untyped-def]
    """Sums of w p, w p', w p'' and w p''' times powers of x, for given risks p."""
    s0, s1, v0, v1, v2, t0, t1, t2, t3 = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    f0, f1, f2, f3, f4 = 0.0, 0.0, 0.0, 0.0, 0.0
    for i in range(x.shape[0]):
        w, z, p = float(weights[i]), x[i], risks[i]
        q = p * (1.0 - p)
        s, v = w * p, w * q
        t, f = v * (1.0 - 2.0 * p), v * (1.0 - 6.0 * q)
        z2 = z * z
        s0 += s
        s1 += s * z
        v0 += v
        v1 += v * z
        v2 += v * z2
        t0 += t
        t1 += t * z
        t2 += t * z2
        t3 += t * z2 * z
        f0 += f
        f1 += f * z
        f2 += f * z2
        f3 += f * z2 * z
        f4 += f * z2 * z2
    out[0], out[1], out[2], out[3], out[4], out[5], out[6] = s0, s1, v0, v1, v2, t0, t1
    out[7], out[8], out[9], out[10], out[11], out[12], out[13] = t2, t3, f0, f1, f2, f3, f4


@intrinsic
def power_of_two(_context: Any, shifted: types.Type) -> tuple[Any, Any]:
    """2^k, where `shifted` is k + 1.5 x 2^52: its lowest bits hold k, which become the exponent of a float64."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        integer, double = ir.IntType(64), ir.DoubleType()
        bits = builder.shl(builder.bitcast(arguments[0], integer), ir.Constant(integer, 52))
        return builder.bitcast(builder.add(bits, ir.Constant(integer, 1023 << 52)), double)

    return types.float64(types.float64), generate


@compiled(fastmath={"contract", "nsz"})
def risks_at(intercept, slope, x, out):  # type: ignore[no-untyped-def]
    """1 / (1 + exp(-(intercept + slope x))), with an exponential that the compiler can vectorise.

    exp(u) = 2^k exp(r), |r| <= ln(2) / 2, Taylor series to r^11 (relative error below 1e-14).
    """
    for i in range(x.shape[0]):
        u = min(max(-(intercept + slope * x[i]), -700.0), 700.0)
        shifted = u * 1.4426950408889634 + 6755399441055744.0  # rounds u / ln(2) to an integer, kept in the low bits
        k = shifted - 6755399441055744.0
        r = (u - k * 0.693145751953125) - k * 1.42860682030941723e-6
        series = 2.505210838544172e-8
        series = series * r + 2.755731922398589e-7
        series = series * r + 2.7557319223985893e-6
        series = series * r + 2.48015873015873e-5
        series = series * r + 1.984126984126984e-4
        series = series * r + 1.388888888888889e-3
        series = series * r + 8.333333333333333e-3
        series = series * r + 4.1666666666666664e-2
        series = series * r + 0.16666666666666666
        series = series * r + 0.5
        series = series * r + 1.0
        series = series * r + 1.0
        out[i] = 1.0 / (1.0 + series * power_of_two(shifted))


@compiled()
def calibration_step(m: np.ndarray, events: float, events_x: float) -> tuple[float, float, float]:
    """Change of intercept and slope that solves the score equations expanded to third order around the present risks.

    Returns it with its squared length on the scale of the linear predictor; a plain, shortened Newton step where the
    expansion cannot be trusted; NaN where the information matrix is singular.
    """
    g0, g1 = events - m[0], events_x - m[1]
    determinant = m[2] * m[4] - m[3] * m[3]
    if not determinant > 1e-12 * m[2] * m[4]:
        return np.nan, np.nan, np.nan
    d, e = (m[4] * g0 - m[3] * g1) / determinant, (m[2] * g1 - m[3] * g0) / determinant
    length2 = (m[2] * d * d + 2 * m[3] * d * e + m[4] * e * e) / m[2]
    if length2 > LONGEST_STEP**2:
        shrink = LONGEST_STEP / math.sqrt(length2)
        return d * shrink, e * shrink, LONGEST_STEP**2
    if length2 > 0.36:
        return d, e, length2
    newton_d, newton_e, newton_length2 = d, e, length2
    for _ in range(6):
        dd, de, ee = d * d, d * e, e * e
        r0 = g0 - (m[2] * d + m[3] * e) - (m[5] * dd + 2 * m[6] * de + m[7] * ee) / 2
        r1 = g1 - (m[3] * d + m[4] * e) - (m[6] * dd + 2 * m[7] * de + m[8] * ee) / 2
        r0 -= (m[9] * dd * d + 3 * m[10] * dd * e + 3 * m[11] * d * ee + m[12] * ee * e) / 6
        r1 -= (m[10] * dd * d + 3 * m[11] * dd * e + 3 * m[12] * d * ee + m[13] * ee * e) / 6
        j00 = m[2] + m[5] * d + m[6] * e + (m[9] * dd + 2 * m[10] * de + m[11] * ee) / 2
        j01 = m[3] + m[6] * d + m[7] * e + (m[10] * dd + 2 * m[11] * de + m[12] * ee) / 2
        j11 = m[4] + m[7] * d + m[8] * e + (m[11] * dd + 2 * m[12] * de + m[13] * ee) / 2
        determinant = j00 * j11 - j01 * j01
        if not determinant > 1e-12 * j00 * j11:
            return newton_d, newton_e, newton_length2
        step_d, step_e = (j11 * r0 - j01 * r1) / determinant, (j00 * r1 - j01 * r0) / determinant
        d += step_d
        e += step_e
        if abs(step_d) + abs(step_e) < 1e-13 * (1 + abs(d) + abs(e)):
            break
    length2 = (m[2] * d * d + 2 * m[3] * d * e + m[4] * e * e) / m[2]
    if length2 < 1.0:
        return d, e, length2
    return newton_d, newton_e, newton_length2


@compiled()
def calibrate(weights, x, start, start_risks, positives, risks, m, scalars):  # type: ignore[no-untyped-def]
    """Intercept and slope of the logistic regression of the label on x, from the whole cohort's solution on.

    NaN where the classes are separated or the fit does not converge within MOST_STEPS.
    """
    scalars[INTERCEPT], scalars[SLOPE] = np.nan, np.nan
    if scalars[AUC] == 1.0 or scalars[AUC] == 0.0:  # complete separation: no finite slope
        return
    events, events_x = 0.0, weighted_sum(weights, x, positives)
    for i in range(positives):
        events += weights[i]
    intercept, slope = start[0], start[1]
    moments(weights, x, start_risks, m)
    for _ in range(MOST_STEPS):
        d, e, length2 = calibration_step(m, events, events_x)
        if not math.isfinite(length2):
            return
        intercept += d
        slope += e
        if length2 < LAST_STEP**2:
            scalars[INTERCEPT], scalars[SLOPE] = intercept, slope
            return
        risks_at(intercept, slope, x, risks)
        moments(weights, x, risks, m)


@compiled()
def replicates(  # type: ignore[no-untyped-def]
    first, last, seed, given, strata, unit, positives, order, ends, segments, cuts, slots, rules, targets,
    squared_error, x, start, start_risks, calibrated, scalars, fixed_tp, fixed_fp, chosen_tp, chosen_fp, sizes,
):  # fmt: skip
    """Replicates [first, last) of every statistic of every arm; a row of `given` counts replaces a draw.

    Axis 0 of outputs is the replicate (axis 1 the arm), so that two threads never write beside each other.
    """
    films, arms = unit.shape[0], order.shape[0]
    counts = np.zeros(strata[-1], np.uint16)
    weights = counts
    if films != strata[-1]:
        weights = np.zeros(films, np.uint16)
    risks, m = np.empty(films), np.empty(MOMENTS)
    best, need = np.zeros((rules.shape[0], 2), np.int64), np.zeros(rules.shape[0], np.int64)
    for b in range(first, last):
        if given.shape[0] > 0:
            counts[:] = given[b]
        else:
            draw(counts, strata, np.uint64(seed), np.uint64(b))
        pos, neg = totals(counts, unit, positives)
        sizes[b, 0], sizes[b, 1] = pos, neg
        if pos == 0 or neg == 0:
            scalars[b] = np.nan
            continue
        if films != strata[-1]:
            for film in range(films):
                weights[film] = counts[unit[film]]
        for r in range(rules.shape[0]):
            size = pos if rules[r] == HIGH_SENSITIVITY else neg
            need[r] = np.int64(math.ceil(targets[r] * size - 1e-9))
            if rules[r] == HIGH_SPECIFICITY:
                need[r] = neg - need[r]
        for k in range(arms):
            best[:] = 0
            sweep(
                counts, order[k], ends[k], segments[k], cuts[k], slots[k], rules, need, pos, neg, best,
                fixed_tp[b, k], fixed_fp[b, k], scalars[b, k],
            )  # fmt: skip
            chosen_tp[b, k] = best[:, 0]
            chosen_fp[b, k] = best[:, 1]
            scalars[b, k, BRIER] = weighted_sum(weights, squared_error[k], films) / (pos + neg)
            scalars[b, k, INTERCEPT], scalars[b, k, SLOPE] = np.nan, np.nan
            if calibrated[k]:
                calibrate(weights, x[k], start[k], start_risks[k], positives, risks, m, scalars[b, k])
