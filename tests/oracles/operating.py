"""Intervals of proportions: R's prop.test and binom.test, PropCIs, statsmodels."""

from __future__ import annotations

from typing import Any

from statsmodels.stats.proportion import proportion_confint

from diagnostic_accuracy.intervals import proportion_interval
from oracles.registry import Case, Near, quantity


def _grid(case: Case) -> list[tuple[int, int]]:
    return [(int(x), int(n)) for x, n in case.frame[["x", "n"]].to_numpy()]


@quantity(r"(?P<method>wilson|clopper_pearson)", r"sm_(?P<method>wilson|beta)")
def ours(case: Case, method: str) -> list[Any]:
    name = {"beta": "clopper_pearson"}.get(method, method)
    return [list(proportion_interval(x, n, method=name)) for x, n in _grid(case)]


@quantity(r"midp")
def midp(case: Case) -> list[Any]:
    """The reference takes the last value that is still inside on a grid of 0.0005 from 0.0001."""
    return [[Near(limit, 0.0005) for limit in proportion_interval(x, n, method="midp")] for x, n in _grid(case)]


@quantity(r"sm_(?P<method>agresti_coull|jeffreys|normal)")
def statsmodels_itself(case: Case, method: str) -> list[Any]:
    """Methods that OsteoTL leaves to statsmodels: the pinned version still gives the recorded values."""
    return [list(map(float, proportion_confint(x, n, 0.05, method))) for x, n in _grid(case)]
