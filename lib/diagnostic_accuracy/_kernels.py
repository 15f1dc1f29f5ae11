"""Compiled loops of the joint bootstrap; those of ranking and rates stand in `_cases`.

Every loop takes rows of case weights, one row a draw, so that drawn and given weights are treated alike. Random numbers
are counter-based: word `w` of draw `b` is a function of (seed, b, w) alone (SplitMix64's finaliser; Steele, Lea & Flood
2014), hence no result depends on blocks or order.

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

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
LOW_HALF = np.uint64(0xFFFFFFFF)
HALF_BITS = np.uint64(32)

# A step of a logistic fit is the last one when it moves the linear predictor by less than this (root mean square,
# weighted by p(1 - p)). Steps solve the score equations to third order, so what remains is of the order of its fourth
# power.
LAST_STEP = 3e-3
LONGEST_STEP = 1.5
MOST_STEPS = 30
# Sums of a logistic step: 2 of p, 3 of p', 4 of p'', 5 of p''', each with rising powers of the linear predictor.
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
def draw_units(seed, first, strata, counts):  # type: ignore[no-untyped-def]
    """counts[i] = how often each unit is drawn in draw `first + i`."""
    for row in range(counts.shape[0]):
        draw(counts[row], strata, seed, np.uint64(first + row))


@compiled()
def first_at_least(counts, wanted):  # type: ignore[no-untyped-def]
    """Index of the first of rising counts that is at least `wanted`; their number where none is."""
    low, high = 0, counts.shape[0]
    while low < high:
        middle = (low + high) // 2
        if counts[middle] < wanted:
            low = middle + 1
        else:
            high = middle
    return low


@compiled()
def overlap(weights, label, x, rising):  # type: ignore[no-untyped-def]
    """Whether the classes' drawn cases overlap on x; not where a class has none. `rising` sorts the cases by x."""
    low_ill, high_ill, low_well, high_well = np.inf, -np.inf, np.inf, -np.inf
    for i in rising:
        if weights[i] > 0:
            if label[i]:
                low_ill = min(low_ill, x[i])
            else:
                low_well = min(low_well, x[i])
            if max(low_ill, low_well) < np.inf:
                break
    for i in rising[::-1]:
        if weights[i] > 0:
            if label[i]:
                high_ill = max(high_ill, x[i])
            else:
                high_well = max(high_well, x[i])
            if min(high_ill, high_well) > -np.inf:
                break
    return high_well > low_ill and high_ill > low_well


@compiled()
def weigh(weights, positives, pi, row):  # type: ignore[no-untyped-def]
    """Weights of one draw with the share of malignant cases held at pi (NaN: as drawn); the first are malignant.

    Returns how many cases of each class were drawn.
    """
    pos, neg = np.int64(0), np.int64(0)
    for i in range(positives):
        pos += np.int64(weights[i])
    for i in range(positives, row.shape[0]):
        neg += np.int64(weights[i])
    ill, well = 1.0, 1.0
    if not math.isnan(pi) and pos > 0 and neg > 0:
        ill, well = pi * (pos + neg) / pos, (1.0 - pi) * (pos + neg) / neg
    for i in range(positives):
        row[i] = ill * weights[i]
    for i in range(positives, row.shape[0]):
        row[i] = well * weights[i]
    return float(pos), float(neg)


@compiled()
def fit_lines(weights, label, x, rising, pi, start, start_risks, out):  # type: ignore[no-untyped-def]
    """Intercept and slope of the logistic regression of the label on x in every draw: out (draws, 2).

    Malignant cases stand first; their share is held at pi[b] (NaN: as drawn). `start`, `start_risks`: the line of the
    sample and its risks. NaN where the classes do not overlap, or a fit does not converge within MOST_STEPS.
    """
    n, positives = x.shape[0], label.sum()
    row, risks, ones, m = np.empty(n), np.empty(n), np.ones(n), np.empty(MOMENTS)
    for b in range(weights.shape[0]):
        out[b, 0], out[b, 1] = np.nan, np.nan
        if not overlap(weights[b], label, x, rising):
            continue
        weigh(weights[b], positives, pi[b], row)
        events, events_x = weighted_sum(row, ones, positives), weighted_sum(row, x, positives)
        intercept, slope = start[0], start[1]
        moments(row, x, start_risks, m)
        for _ in range(MOST_STEPS):
            d, e, length2 = calibration_step(m, events, events_x)
            if not math.isfinite(length2):
                break
            intercept += d
            slope += e
            if length2 < LAST_STEP**2:
                out[b, 0], out[b, 1] = intercept, slope
                break
            risks_at(intercept, slope, x, risks)
            moments(row, x, risks, m)


@compiled(fastmath={"reassoc", "contract", "nsz"})
def sums(weights, risks, first, last):  # type: ignore[no-untyped-def]
    """Sums of w p, w p (1 - p), w p^2, w p (1 - p) (1 - 2 p) over cases [first, last)."""
    s1, v, s2, t = 0.0, 0.0, 0.0, 0.0
    for i in range(first, last):
        w, p = weights[i], risks[i]
        q = w * p * (1.0 - p)
        s1 += w * p
        v += q
        s2 += w * p * p
        t += q * (1.0 - 2.0 * p)
    return s1, v, s2, t


@compiled()
def shift(weights, x, line, events, shifted, expected, v, t):  # type: ignore[no-untyped-def]
    """Calibration-in-the-large: the s with sum w / (1 + exp(-(s + line(x)))) = events, by Halley's method.

    `expected`, `v`, `t` are the sums at s = 0; `shifted` is room for risks.
    """
    s = 0.0
    for _ in range(MOST_STEPS):
        if not v > 0.0:
            return np.nan
        newton = (events - expected) / v
        step = newton / (1.0 + newton * t / (2.0 * v)) if abs(newton) < 1.0 else newton
        step = min(max(step, -LONGEST_STEP), LONGEST_STEP)
        s += step
        if abs(step) < 1e-5:  # what remains is of the order of its cube
            return s
        risks_at(line[0] + s, line[1], x, shifted)
        expected, v, _square, t = sums(weights, shifted, 0, x.shape[0])
    return np.nan


@compiled()
def judge(weights, x, positives, pi, lines, out):  # type: ignore[no-untyped-def]
    """Calibration of recalibrated risks in every draw; the share of malignant cases is held at pi[b].

    `lines` (draws, 2) holds the recalibration; one row of weights stands for all draws. Columns of `out`: Brier score,
    log of observed / expected, calibration-in-the-large; NaN where a class or the line is missing.
    """
    n, pos, neg = x.shape[0], 0.0, 0.0
    row, risks = np.empty(n), np.empty(n)
    for b in range(lines.shape[0]):
        if b < weights.shape[0]:
            pos, neg = weigh(weights[b], positives, pi[b], row)
        if math.isnan(lines[b, 1]) or pos == 0.0 or neg == 0.0:
            out[b] = np.nan
            continue
        risks_at(lines[b, 0], lines[b, 1], x, risks)
        e1, v1, q1, t1 = sums(row, risks, 0, positives)
        e0, v0, q0, t0 = sums(row, risks, positives, n)
        total, events = pos + neg, pi[b] * (pos + neg)
        out[b, 0] = (events - 2.0 * e1 + q1 + q0) / total
        out[b, 1] = math.log(events / (e1 + e0))
        out[b, 2] = shift(row, x, lines[b], events, risks, e1 + e0, v1 + v0, t1 + t0)
