"""Limits of net benefit and of its difference between two arms.

Net benefit is a weighted sum of two rates: the share of malignant films acted on, which at a low threshold probability
lies near 1, less that of normal films. Percentiles of bootstrap draws cover too little there, as they do for any rate
near 1 (simulated at 268/475 films, nominal .95: .88 at a threshold of .05). So each rate gets Wilson's limits
at the effective number of films that its bootstrap variance implies, and `mover` adds them up. The draws serve for the
variances and correlations alone, hence patients with several films, and means over training runs, are provided for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from osteotl.statistics.mover import Limits, mover_sum
from osteotl.statistics.rates import effective_interval

Table = NDArray[np.float64]
Vector = NDArray[np.float64]

KIND = "interval of each class (Wilson, effective number of films) combined by MOVER, variances and correlations from"


@dataclass(frozen=True)
class ActedOn:
    """Films acted on at each threshold probability, and the share of malignant films, in every draw.

    Attributes
    ----------
    malignant, normal : arrays of shape (thresholds, draws)
        Shares of the films of that class.
    share : array of shape (draws,)
        Malignant films of all; constant where it is fixed by design, or asked for.
    thresholds : array of shape (thresholds,)
    units : two of int
        Patients with a malignant film, and with a normal one.
    """

    malignant: Table
    normal: Table
    share: Vector
    thresholds: Vector
    units: tuple[int, int]

    @classmethod
    def mean(cls, runs: Sequence[ActedOn]) -> ActedOn:
        """Of several training runs on the same films and draws."""
        malignant, normal = (np.mean([getattr(run, side) for run in runs], axis=0) for side in ("malignant", "normal"))
        return replace(runs[0], malignant=malignant, normal=normal)


def benefit_limits(observed: ActedOn, drawn: ActedOn, confidence: float) -> Limits:
    """Net benefit of one arm at each threshold with its limits; `observed` has the one draw that is the cohort.

    With the share p of malignant films, net benefit is p x malignant - (1 - p) x odds x normal. Where p itself was
    drawn, it is a third part, to first order.
    """

    def part(now: Vector, draws: Table, weight: Vector, units: int) -> Limits:
        at = np.clip(now, 0.0, 1.0)  # a mean of ones may come out as 1 + 2e-16
        low, high, _ = effective_interval(at, _variance(draws), units, confidence)
        return Limits(at, low, high).times(weight)

    odds, p = drawn.thresholds / (1 - drawn.thresholds), float(observed.share[0])
    weights = np.full(odds.shape, p), -(1 - p) * odds
    found = part(observed.malignant[:, 0], drawn.malignant, weights[0], drawn.units[0])
    alarms = part(observed.normal[:, 0], drawn.normal, weights[1], drawn.units[1])
    both = mover_sum(found, alarms, -correlation(drawn.malignant, drawn.normal))
    if not np.ptp(drawn.share[np.isfinite(drawn.share)]):
        return both
    slope = observed.malignant[:, 0] + odds * observed.normal[:, 0]
    shares = np.broadcast_to(drawn.share, drawn.malignant.shape)
    mix = part(np.full(odds.shape, p), shares, slope, sum(drawn.units))
    reach = Limits(np.zeros(odds.shape), mix.lower - mix.estimate, mix.upper - mix.estimate)
    given = drawn.malignant * weights[0][:, None] + drawn.normal * weights[1][:, None]
    return mover_sum(both, reach, correlation(given, shares))


def benefit_difference(arm: Limits, reference: Limits, arm_draws: Table, reference_draws: Table) -> Limits:
    """Limits of arm - reference from their own and the correlation of their draws of net benefit.

    Arms that agree in every draw at every threshold are the same detector: their difference is 0 without variation.
    """
    if np.array_equal(arm_draws, reference_draws, equal_nan=True):
        return Limits(*(np.zeros(arm.estimate.shape) for _ in range(3)))
    return mover_sum(arm, reference.times(-1.0), correlation=-correlation(arm_draws, reference_draws))


def correlation(one: Table, other: Table) -> Vector:
    """Correlation over draws, row by row, among those that are defined in both; 0 where one does not vary."""
    defined = ~(np.isnan(one[0]) | np.isnan(other[0]))  # a draw without a class lacks it at every threshold
    if not defined.all():
        one, other = one[:, defined], other[:, defined]
    a, b = (table - table.mean(axis=1, keepdims=True) for table in (one, other))
    cross, first, second = (np.einsum("ij,ij->i", x, y) for x, y in ((a, b), (a, a), (b, b)))
    scale = np.sqrt(first * second)
    return np.clip(np.divide(cross, scale, out=np.zeros(scale.shape), where=scale > 0), -1.0, 1.0)


def _variance(draws: Table) -> Vector:
    defined = ~np.isnan(draws[0])
    return (draws if defined.all() else draws[:, defined]).var(axis=1, ddof=1)
