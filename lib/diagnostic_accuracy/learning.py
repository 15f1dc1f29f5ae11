"""Label savings: at which share of the labels does an arm do as well as the reference on all of them?"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from diagnostic_accuracy.checks import check_confidence

Vector = NDArray[np.float64]
Runs = tuple[ArrayLike, ArrayLike]


@dataclass(frozen=True)
class EqualFraction:
    """The smallest share of labels at which an arm's mean reaches the reference's on all labels.

    Attributes
    ----------
    estimate, lower, upper : float or None
        Shares; None: not reached on any share that was trained on. A limit equal to the smallest share trained on
        means 'at or below'.
    reached : float
        Share of the simulated curves that reach it.
    confidence : float
    smallest : float
        Smallest share that was trained on.
    method : str
    """

    estimate: float | None
    lower: float | None
    upper: float | None
    reached: float
    confidence: float
    smallest: float
    method: str

    @property
    def sentence(self) -> str:
        """The answer in words."""
        value, low, high = (self._said(x) for x in (self.estimate, self.lower, self.upper))
        interval = f"{100 * self.confidence:g}% interval {low} to {high}"
        if self.estimate is None:
            return f"The arm did not reach the reference on all labels at any fraction ({interval})."
        return f"The arm equals the reference on all labels with {value} of the labels ({interval})."

    def _said(self, value: float | None) -> str:
        if value is None:
            return "not reached"
        return f"{100 * value:.3g}%" + (" or less" if math.isclose(value, self.smallest) else "")


def first_reach(fractions: ArrayLike, curve: ArrayLike, target: ArrayLike) -> Vector:
    """Smallest fraction at which each curve reaches its target.

    Parameters
    ----------
    fractions : array of shape (k,), rising, above 0
    curve : array of shape (b, k)
        A measure at each fraction, larger is better.
    target : array of shape (b,)

    Returns
    -------
    array of shape (b,)
        Interpolated between neighbours on the logarithm of the fraction; the first fraction where the target is
        reached there already; infinite where it is reached nowhere.

    Examples
    --------
    >>> first_reach([0.25, 1.0], [[0.8, 0.9]], [0.85]).round(9).tolist()
    [0.5]
    """
    share, gap = np.log(np.asarray(fractions, float)), np.asarray(curve, float) - np.asarray(target, float)[:, None]
    reached = gap >= 0
    first, rows = reached.argmax(axis=1), np.arange(len(gap))
    before = np.maximum(first - 1, 0)
    rise = gap[rows, first] - gap[rows, before]
    way = np.where(first > 0, -gap[rows, before] / np.where(rise == 0, 1, rise), 0)
    between = np.exp(share[before] + way * (share[first] - share[before]))
    found = np.where(first > 0, between, np.asarray(fractions, float)[0])
    return np.where(reached.any(axis=1), found, np.inf)


def equal_fraction(
    curve: Mapping[float, Runs], target: Runs, confidence: float = 0.95, simulations: int = 4_000, seed: int = 0
) -> EqualFraction:
    """The share of labels at which an arm equals the reference on all labels, with its interval.

    Parameters
    ----------
    curve : mapping of fraction to (observed, draws)
        A measure of the arm's runs, arrays of shape (runs,) and (replicates, runs), such as `Draws.observed` and
        `Draws.values` of one key. The same draws of films serve all fractions.
    target : (observed, draws)
        The reference, trained on all labels.
    confidence : float in (0, 1)
    simulations, seed : int
        Curves that are simulated for the interval.

    Returns
    -------
    EqualFraction

    Raises
    ------
    ValueError
        No fraction, or draws of other lengths.

    Notes
    -----
    Means are simulated on the basis of `inference`: runs vary with MS/J on J - 1 degrees of freedom, films with the
    covariances of the draws of different runs (C2, C3). A curve that never reaches the target counts as larger than
    every share. A mean of one run varies as its draws do.

    Examples
    --------
    >>> draws = np.random.default_rng(0).normal(size=(200, 1)) / 100
    >>> equal_fraction({0.5: ([0.90], 0.90 + draws), 1.0: ([0.91], 0.91 + draws)}, ([0.90], 0.90 + draws)).estimate
    0.5
    """
    check_confidence(confidence)
    shares = sorted(curve)
    groups = [tuple(np.asarray(part, float) for part in one) for one in (*(curve[share] for share in shares), target)]
    if not shares or len({len(draws) for _, draws in groups}) > 1:
        raise ValueError("give at least one fraction, and the same draws of films for every fraction and the reference")
    means = np.array([observed.mean() for observed, _ in groups])
    simulated = means + _deviations(groups, simulations, np.random.default_rng(seed))
    found = np.sort(first_reach(shares, simulated[:, :-1], simulated[:, -1]))
    # order statistics, not interpolated ones: between a share and 'not reached' there is nothing to interpolate
    ends = (found[round(q * (simulations - 1))] for q in ((1 - confidence) / 2, (1 + confidence) / 2))
    observed = first_reach(shares, means[None, :-1], means[-1:])[0]
    value, low, high = (None if math.isinf(x) else float(x) for x in (observed, *ends))
    method = f"log-linear between fractions; runs and films vary, {simulations:,} simulated curves, percentile interval"
    reached = float(np.isfinite(found).mean())
    return EqualFraction(value, low, high, reached, confidence, float(shares[0]), method)


def _deviations(groups: list[tuple[Vector, ...]], simulations: int, rng: np.random.Generator) -> Vector:
    """Deviations of the groups' means from their truth, shape (simulations, groups)."""
    means = np.array([draws.mean(axis=1) for _, draws in groups])
    covariance = np.atleast_2d(np.cov(means))
    runs = np.zeros((simulations, len(groups)))
    for g, (observed, draws) in enumerate(groups):
        if (size := observed.size) > 1:
            matrix = np.cov(draws.T)
            covariance[g, g] = (matrix.sum() - np.trace(matrix)) / (size * (size - 1))  # C2
            runs[:, g] = np.sqrt(observed.var(ddof=1) / size) * rng.standard_t(size - 1, simulations)
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.maximum(values, 0.0))  # C2 may be estimated below what C3 needs
    return runs + rng.standard_normal((simulations, len(groups))) @ root.T
