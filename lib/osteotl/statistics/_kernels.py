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
            return numba.njit(cache=True, nogil=True, error_model="numpy", **options)(function)
        except RuntimeError:  # numba: "no locator available", neither package nor home is writable
            return numba.njit(nogil=True, error_model="numpy", **options)(function)

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
def total(weights: np.ndarray, first: int, last: int) -> int:
    """Films [first, last) of the replicate."""
    films = 0
    for film in range(first, last):
        films += weights[film]
    return films


@compiled()
def running_total(counts, order, out):  # type: ignore[no-untyped-def]
    """out[i] = films among the i highest scored, for the films of one class."""
    films = 0
    for i in range(order.shape[0]):
        films += np.int32(counts[order[i]])  # type: ignore[assignment]
        out[i + 1] = films


@compiled(fastmath={"reassoc", "contract", "nsz", "nnan"})
def sweep(tps, fps, groups, size, pos, neg, called, scalars):  # type: ignore[no-untyped-def]
    """AUC, average precision and max F1 of one arm; a group is one score that a malignant film has.

    `groups` holds how many malignant films score at least it, how many normal films do, and how many exceed it;
    `tps` and `fps` turn these into the replicate's counts. `called` receives tp and fp at each group.
    """
    twice_auc, area, f1 = 0.0, 0.0, 0.0
    for g in range(size):
        called[0, g] = tps[groups[0, g]]
        called[1, g] = fps[groups[1, g]]
    for g in range(size):
        tp, fp = float(called[0, g]), float(called[1, g])
        before = float(called[0, g - 1]) if g > 0 else 0.0
        gained = tp - before
        twice_auc += gained * (2.0 * neg - fp - fps[groups[2, g]])
        area += gained * tp / max(tp + fp, 1.0)
        f1 = max(f1, 2.0 * tp / (tp + fp + pos))
    scalars[AUC] = twice_auc / (2.0 * pos * neg)
    scalars[AVERAGE_PRECISION] = area / pos
    scalars[MAX_F1] = f1


@compiled()
def reselect(rule, target, called, size, pos, neg):  # type: ignore[no-untyped-def]
    """tp and fp of the operating point that a rule picks in the replicate, among the groups and 'call nothing'.

    High sensitivity: the fewest fp with tp / pos >= target, then the most tp. High specificity: the most tp with
    1 - fp / neg >= target, then the fewest fp. Youden: the largest tp / pos - fp / neg, compared without rounding,
    then the most tp. These are the rules and ties of `operating_points.select_threshold`.
    """
    tp, fp = 0, 0
    if rule == HIGH_SENSITIVITY:
        first = np.searchsorted(called[0, :size], math.ceil(target * pos - 1e-9))
        last = np.searchsorted(called[1, :size], called[1, first], side="right") - 1
        return called[0, last], called[1, last]
    if rule == HIGH_SPECIFICITY:
        allowed = neg - np.int64(math.ceil(target * neg - 1e-9))
        last = np.searchsorted(called[1, :size], allowed, side="right") - 1
        if last < 0 or called[0, last] == 0:
            return 0, 0
        first = np.searchsorted(called[0, :size], called[0, last])
        return called[0, first], called[1, first]
    best = 0
    for g in range(size):
        youden = np.int64(called[0, g]) * neg - np.int64(called[1, g]) * pos
        if youden >= best:
            best, tp, fp = youden, called[0, g], called[1, g]
    return tp, fp


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
def power_of_two(_context: Any, shifted: Any) -> Any:
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
        out[i] = 1.0 / (1.0 + series * power_of_two(shifted))  # type: ignore[call-arg]


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
    first, last, seed, given, strata, unit, positives, malignant, normal, groups, sizes, fixed, rules, targets,
    squared_error, x, start, start_risks, calibrated, scalars, tp, fp, films,
):  # fmt: skip
    """Replicates [first, last) of every statistic of every arm; a row of `given` counts replaces a draw.

    Axis 0 of the outputs (`scalars`, `tp`, `fp`, `films`) is the replicate, axis 1 the arm; points are the fixed
    thresholds, then the rules.
    """
    n, arms, thresholds = unit.shape[0], malignant.shape[0], fixed.shape[2]
    counts = np.zeros(strata[-1], np.uint16)
    weights = counts if n == strata[-1] else np.zeros(n, np.uint16)
    tps, fps = np.zeros(malignant.shape[1] + 1, np.int32), np.zeros(normal.shape[1] + 1, np.int32)
    called = np.zeros((2, groups.shape[2]), np.int32)
    risks, m = np.empty(n), np.empty(MOMENTS)
    for b in range(first, last):
        if given.shape[0] > 0:
            counts[:] = given[b]
        else:
            draw(counts, strata, np.uint64(seed), np.uint64(b))
        if n != strata[-1]:
            for film in range(n):
                weights[film] = counts[unit[film]]
        pos, neg = total(weights, 0, positives), total(weights, positives, n)
        films[b, 0], films[b, 1] = pos, neg
        if pos == 0 or neg == 0:
            scalars[b] = np.nan
            continue
        for k in range(arms):
            running_total(counts, malignant[k], tps)
            running_total(counts, normal[k], fps)
            sweep(tps, fps, groups[k], sizes[k], float(pos), float(neg), called, scalars[b, k])
            for j in range(thresholds):
                tp[b, k, j] = tps[fixed[k, 0, j]]
                fp[b, k, j] = fps[fixed[k, 1, j]]
            for r in range(rules.shape[0]):
                chosen = reselect(rules[r], targets[r], called, sizes[k], pos, neg)
                tp[b, k, thresholds + r], fp[b, k, thresholds + r] = chosen
            scalars[b, k, BRIER] = weighted_sum(weights, squared_error[k], n) / (pos + neg)
            scalars[b, k, INTERCEPT], scalars[b, k, SLOPE] = np.nan, np.nan
            if calibrated[k]:
                calibrate(weights, x[k], start[k], start_risks[k], positives, risks, m, scalars[b, k])
