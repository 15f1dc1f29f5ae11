"""p values of a declared family, adjusted.

References
----------
Holm S, Scand J Stat 1979;6:65. Benjamini Y, Hochberg Y, JRSS B 1995;57:289.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.stats import false_discovery_control

from diagnostic_accuracy.checks import check_one_of, check_probabilities

METHODS = ("holm", "bh", "bonferroni")
CLOSED = "not tested: the primary objective was not met, and the tests behind it were declared to depend on it"


def adjust(p: ArrayLike, method: str = "holm") -> NDArray[np.float64]:
    """Adjusted p values, in the order given.

    Parameters
    ----------
    p : array of shape (tests,), in [0, 1]
        The whole declared family and nothing else: a test that was dropped after its result makes the rest wrong.
    method : {"holm", "bh", "bonferroni"}
        Holm (default) and Bonferroni hold the chance of any false claim, BH the share of false claims.

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
    if method == "bh":
        return false_discovery_control(values, method="bh")
    if method == "bonferroni":
        return np.minimum(values * values.size, 1.0)
    order = np.argsort(values, kind="stable")
    scaled = np.maximum.accumulate(values[order] * np.arange(values.size, 0, -1))
    result = np.empty_like(values)
    result[order] = np.minimum(scaled, 1.0)
    return result


def adjust_family(p: pd.Series) -> pd.Series:
    """Holm's adjusted p values of a declared family.

    Parameters
    ----------
    p : Series
        NaN where the test could not be made. Such a test counts as p = 1: it was declared, so it still makes the others
        pay.

    Returns
    -------
    Series
        The same index; NaN where there is no p.

    Raises
    ------
    ValueError
        As `adjust`.

    Examples
    --------
    >>> adjust_family(pd.Series({"sensitivity": 0.01, "specificity": 0.04})).tolist()
    [0.02, 0.04]
    """
    return pd.Series(adjust(p.fillna(1.0)), p.index).where(p.notna()) if len(p) else p


def adjust_table(
    table: pd.DataFrame, family: Sequence[str], gate_open: Mapping[str, bool] | None = None
) -> pd.DataFrame:
    """A table of results with the adjusted p values of a declared family.

    Parameters
    ----------
    table : DataFrame
        A table of results (see `estimates`).
    family : sequence of str
        'measure@point' of each test; its rows are the differences at locked or given thresholds, per film, at the
        study's own prevalence, in all films (no subgroup). With several arms, the family holds the tests of all arms.
    gate_open : mapping of arm to bool, optional
        Where gatekeeping was declared: whether the arm met the primary objective. Tests of other arms are not made.

    Returns
    -------
    DataFrame
        The same rows; `p_adjusted` filled for the family, `note` where a test was not made.
    """
    made = table.copy()
    named = made["measure"] + "@" + made["point"]
    chosen = (
        named.isin(list(family)) & (made["reference"] != "") & (made["run"] == "") & made["prevalence"].isna()
        & made["threshold_from"].isin(["validation", "given"]) & (made["unit"] == "film")
        & (made["group"] == "")
    )  # fmt: skip
    closed = chosen & made["arm"].map(lambda arm: gate_open is not None and not gate_open.get(arm, False))
    tested = made.index[chosen & ~closed]
    made.loc[tested, "p_adjusted"] = adjust_family(made.loc[tested, "p"])
    made.loc[closed, "p"] = np.nan
    made.loc[closed, "note"] = CLOSED
    return made
