"""p values of a declared family, adjusted.

References
----------
Holm S, Scand J Stat 1979;6:65. Hochberg Y, Biometrika 1988;75:800. Benjamini Y, Hochberg Y, JRSS B 1995;57:289.
Benjamini Y, Yekutieli D, Ann Stat 2001;29:1165.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import false_discovery_control

from osteotl.statistics.checks import check_one_of, check_probabilities

METHODS = ("holm", "hochberg", "bh", "by", "bonferroni")


def adjust(p: ArrayLike, method: str = "holm") -> NDArray[np.float64]:
    """Adjusted p values, in the order given.

    Parameters
    ----------
    p : array of shape (tests,), in [0, 1]
        The whole declared family and nothing else: a test that was dropped after its result makes the rest wrong.
    method : {"holm", "hochberg", "bh", "by", "bonferroni"}
        Holm (default) and Hochberg hold the chance of any false claim, BH and BY the share of false claims.

    Returns
    -------
    array of shape (tests,), in [0, 1]

    Raises
    ------
    ValueError
        Empty, NaN or outside [0, 1]; an unknown method.

    Notes
    -----
    Matches R's `p.adjust` and statsmodels' `multipletests` (which collects garbage at every call: seconds in a report).

    Examples
    --------
    >>> adjust([0.01, 0.04, 0.03]).tolist()
    [0.03, 0.06, 0.06]
    """
    check_one_of(method, METHODS, "method")
    values = check_probabilities(p, name="p")
    if method in ("bh", "by"):
        return false_discovery_control(values, method=method)
    if method == "bonferroni":
        return np.minimum(values * values.size, 1.0)
    return _stepwise(values, down=method == "holm")


def _stepwise(values: NDArray[np.float64], down: bool) -> NDArray[np.float64]:
    """Holm (down from the smallest p, running maximum) or Hochberg (up from the largest, running minimum)."""
    order = np.argsort(values, kind="stable")
    scaled = values[order] * np.arange(values.size, 0, -1)
    adjusted = np.maximum.accumulate(scaled) if down else np.minimum.accumulate(scaled[::-1])[::-1]
    result = np.empty_like(values)
    result[order] = np.minimum(adjusted, 1.0)
    return result


def adjust_family(family: dict[str, float | None]) -> dict[str, dict[str, float | None]]:
    """Every adjustment of a family by name; tests that could not be made (p None) stay None and still count.

    Parameters
    ----------
    family : dict of test name to p

    Returns
    -------
    dict of test name to {"p", "holm", "hochberg", "bh", "by"}

    Notes
    -----
    A test without p counts as p = 1: it was declared, so it still makes the others pay.
    """
    if not family:
        return {}
    values = [1.0 if p is None else p for p in family.values()]
    adjusted = {method: adjust(values, method) for method in ("holm", "hochberg", "bh", "by")}
    return {
        name: {"p": p, **{m: None if p is None else float(column[i]) for m, column in adjusted.items()}}
        for i, (name, p) in enumerate(family.items())
    }
