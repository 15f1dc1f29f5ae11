"""Limits of a sum or difference of two estimates, made from the limits of each.

Method of variance estimates recovery: each distance from an estimate to its limit stands for a multiple of its standard
error on that side, so that skewed intervals (of rates near 0 or 1) lend their skewness to the sum.

References
----------
Zou GY, Donner A, Stat Med 2008;27:1693. Newcombe RG, Stat Med 1998;17:873 and 2635 (its first cases: differences of
independent and of paired proportions, from Wilson's limits).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Limits:
    """Estimates with their limits, element by element.

    Attributes
    ----------
    estimate, lower, upper : arrays of one shape
    """

    estimate: Vector
    lower: Vector
    upper: Vector

    def times(self, weight: ArrayLike) -> Limits:
        """Each estimate times a number; a negative one makes the limits change places."""
        by = np.asarray(weight, np.float64)
        ends = self.lower * by, self.upper * by
        return Limits(self.estimate * by, np.minimum(*ends), np.maximum(*ends))


def mover_sum(one: Limits, other: Limits, correlation: ArrayLike = 0.0) -> Limits:
    """Limits of one + other.

    Parameters
    ----------
    one, other : Limits
        At the same confidence. For a difference, `other.times(-1)`.
    correlation : float or array, in [-1, 1]
        Of the two estimates as they are added (of a difference: minus that of the two).

    Returns
    -------
    Limits

    Notes
    -----
    Zou and Donner 2008, eq. 2 and 3 of the sum: with distances a and b to the limits of one side, the limit lies
    sqrt(a^2 + b^2 + 2 r a b) from the sum. With Wilson's limits it is Newcombe's interval: of independent proportions
    as in statsmodels' `confint_proportions_2indep(method="newcomb")`, of paired ones as his method 10 without
    continuity correction of the correlation.
    """
    r = np.asarray(correlation, np.float64)
    value = one.estimate + other.estimate

    def reach(a: Vector, b: Vector) -> Vector:
        return np.sqrt(np.maximum(a**2 + b**2 + 2 * r * a * b, 0.0))  # rounding may leave -1e-20 where r = -1

    below = reach(one.estimate - one.lower, other.estimate - other.lower)
    above = reach(one.upper - one.estimate, other.upper - other.estimate)
    return Limits(value, value - below, value + above)
