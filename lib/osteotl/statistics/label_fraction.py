"""At which share of the labels does an arm do as well as the reference on all of them?"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from osteotl.statistics.checks import check_confidence, check_labels, check_patients
from osteotl.statistics.replicate_values import crossed_means, stack_runs

Vector = NDArray[np.float64]
MOST_DRAWS = 2_000  # of a secondary number; the Monte Carlo error of a limit is then well below the grid of fractions


@dataclass(frozen=True)
class EqualFraction:
    """The smallest share of labels at which an arm's mean AUC reaches the reference's on all labels.

    Attributes
    ----------
    estimate, lower, upper : float or None
        Shares; None: not reached on any share that was trained on. A limit equal to the smallest share trained on
        means 'at or below'.
    reached : float
        Share of the draws in which it was reached.
    method : str
    sentence : str
    """

    estimate: float | None
    lower: float | None
    upper: float | None
    reached: float
    method: str
    sentence: str

    def to_dict(self) -> dict[str, Any]:
        """As it stands in statistics.json."""
        return asdict(self)


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
    """
    share, gap = np.log(np.asarray(fractions, float)), np.asarray(curve, float) - np.asarray(target, float)[:, None]
    reached = gap >= 0
    first, rows = reached.argmax(axis=1), np.arange(len(gap))
    before = np.maximum(first - 1, 0)
    rise = gap[rows, first] - gap[rows, before]
    way = np.where(first > 0, -gap[rows, before] / np.where(rise == 0, 1, rise), 0)
    found = np.exp(share[before] + way * (share[first] - share[before]))
    return np.where(reached.any(axis=1), found, np.inf)


def equal_fraction(
    labels: ArrayLike,
    curve: Mapping[float, Mapping[Hashable, ArrayLike]],
    target: Mapping[Hashable, ArrayLike],
    patients: ArrayLike | None = None,
    draws: int = MOST_DRAWS,
    seed: int = 0,
    confidence: float = 0.95,
) -> EqualFraction:
    """The share of labels at which an arm equals the reference on all labels, with its interval.

    Parameters
    ----------
    labels : array of shape (n,), 1 malignant, 0 normal
    curve : mapping of fraction to mapping of seed to scores of shape (n,)
        The arm.
    target : mapping of seed to scores of shape (n,)
        The reference, trained on all labels.
    patients : array of shape (n,), optional
    draws : int
        At most `MOST_DRAWS` are made.
    seed : int
    confidence : float in (0, 1)

    Returns
    -------
    EqualFraction

    Raises
    ------
    ValueError
        Faulty input.

    Notes
    -----
    Percentile interval over draws of seeds and patients together (`crossed_bootstrap`: too narrow with few seeds); a
    draw that never reaches the target counts as larger than every share.
    """
    check_confidence(confidence)
    positive, shares = check_labels(labels), sorted(curve)
    codes = check_patients(patients, positive.size)
    named = {f"{place:06d}": curve[share] for place, share in enumerate(shares)} | {"target": target}
    groups, seeds, arrays = stack_runs(named)
    draws = min(draws, MOST_DRAWS)
    observed, means = crossed_means(positive, codes, arrays, len(groups), len(seeds), draws, seed)
    order = [groups.index(f"{place:06d}") for place in range(len(shares))]
    goal = groups.index("target")
    found = np.sort(first_reach(shares, means[:, order], means[:, goal]))
    # order statistics, not interpolated ones: between a share and 'not reached' there is nothing to interpolate
    ends = (found[round(q * (draws - 1))] for q in ((1 - confidence) / 2, (1 + confidence) / 2))
    observed_share = first_reach(shares, observed[None, order], observed[None, goal])[0]
    value, low, high = (None if math.isinf(x) else float(x) for x in (observed_share, *ends))
    method = f"log-linear between fractions, seeds x patients bootstrap, {draws} draws, percentile interval"
    reached = float(np.isfinite(found).mean())
    return EqualFraction(value, low, high, reached, method, _sentence((value, low, high), shares, confidence))


def _sentence(limits: tuple[float | None, ...], shares: list[float], confidence: float) -> str:
    value, low, high = (_share(x, shares[0]) for x in limits)
    interval = f"{100 * confidence:g}% interval {low} to {high}"
    if limits[0] is None:
        return f"The arm did not reach the reference on all labels at any fraction ({interval})."
    return f"The arm equals the reference on all labels with {value} of the labels ({interval})."


def _share(value: float | None, smallest: float) -> str:
    if value is None:
        return "not reached"
    return f"{100 * value:.3g}%" + (" or less" if math.isclose(value, smallest) else "")
