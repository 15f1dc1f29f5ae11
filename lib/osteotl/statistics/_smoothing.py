"""Local regression of a label on a risk, as R's loess (Cleveland & Grosse 1991) in one dimension.

R's default does not fit at every film: it fits value and slope at the corners of a k-d tree and joins them by cubics.
That is fast for any number of films, and it is what published ICI, E50 and E90 values rest on, so it is done here too.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]

SPAN = 0.75
CELL = 0.2


def loess(x: Vector, y: Vector, at: Vector, direct: bool = False) -> Vector:
    """Local quadratic regression with tricube weights, span 0.75.

    Parameters
    ----------
    x, y : arrays of shape (n,)
    at : array of shape (m,), inside the range of x
    direct : bool
        Fit at every point of `at` instead of interpolating between the corners of the k-d tree.

    Returns
    -------
    array of shape (m,)
        Not bounded to [0, 1].

    Raises
    ------
    ValueError
        Three quarters of the films share one x, so that a neighbourhood has no width.

    Notes
    -----
    Matches `loess(y ~ x)` and, if direct, `loess(y ~ x, control = loess.control(surface = "direct"))`.
    """
    order = np.argsort(x, kind="stable")
    x, y = x[order], y[order]
    places, back = np.unique(at, return_inverse=True)
    if direct:
        return np.array([_local_fit(x, y, place)[0] for place in places])[back]
    corners = _corners(x)
    fits = np.array([_local_fit(x, y, corner) for corner in corners])
    return _hermite(corners, fits[:, 0], fits[:, 1], places)[back]


def _corners(x: Vector) -> Vector:
    """Corners of the k-d tree: cells of more than n x span x 0.2 films are cut at their median film."""
    most = int(np.floor(x.size * SPAN * CELL))
    margin = 0.005 * max(x[-1] - x[0], 1e-10 * max(abs(x[0]), abs(x[-1])) + 1e-30)
    low, high = float(x[0] - margin), float(x[-1] + margin)
    corners = [low, high]
    cells = [(0, x.size - 1, low, high)]
    while cells:
        first, last, low, high = cells.pop()
        if last - first + 1 <= most:
            continue
        cut = _median(x, first, last)
        at = float(x[cut])
        if at in (low, high):
            continue
        corners.append(at)
        cells += [(first, cut, low, at), (cut + 1, last, at, high)]
    return np.unique(np.array(corners))


def _median(x: Vector, first: int, last: int) -> int:
    """Index of the median of x[first..last], moved alternately up and down past ties while that stays inside."""
    middle = (first + last + 2) // 2 - 1  # Fortran counts from 1
    offset = 0
    while first <= middle + offset < last:
        if x[middle + offset] != x[middle + offset + 1]:
            return middle + offset
        offset = -offset + (1 if offset <= 0 else 0)
    return middle


def _local_fit(x: Vector, y: Vector, at: float) -> tuple[float, float]:
    """Value and slope at one place, from the nearest three quarters of the films."""
    nearest = int(np.floor(x.size * SPAN + 1e-5))
    distance = np.abs(x - at)
    width = float(np.partition(distance, nearest - 1)[nearest - 1])
    if width <= 0:
        raise ValueError(
            f"{int((distance == 0).sum())} of {x.size} risks equal {at:g}: a smooth calibration curve needs more "
            "distinct risks than that"
        )
    inside = distance < width
    ratio = distance[inside] / width
    root = np.sqrt((1 - ratio**3) ** 3)
    # Columns scaled to order 1, as loess equilibrates them before its pseudo-inverse.
    step = (x[inside] - at) / width
    design = root[:, None] * np.column_stack([np.ones(step.size), step, step**2])
    scale = np.sqrt((design**2).sum(axis=0))
    scale[scale == 0] = 1.0
    solution = np.linalg.lstsq(design / scale, root * y[inside], rcond=100 * np.finfo(float).eps)[0] / scale
    return float(solution[0]), float(solution[1] / width)


def _hermite(corners: Vector, values: Vector, slopes: Vector, at: Vector) -> Vector:
    """Cubic through values and slopes at the corners."""
    right = np.clip(np.searchsorted(corners, at, side="right"), 1, corners.size - 1)
    left = right - 1
    width = corners[right] - corners[left]
    t = (at - corners[left]) / width
    return (
        (1 + 2 * t) * (1 - t) ** 2 * values[left]
        + t * (1 - t) ** 2 * width * slopes[left]
        + t**2 * (3 - 2 * t) * values[right]
        + t**2 * (t - 1) * width * slopes[right]
    )
