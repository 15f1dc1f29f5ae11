"""From a quantity's name in an oracle file to the function whose value is compared with it.

How to add a quantity: in a module of this folder (any name; it is found by itself) write

    from oracles.registry import Case, Near, quantity

    @quantity(r"auc\\.(?P<score>\\w+)")                  # regular expression, must match the whole name
    def auc_of(case: Case, score: str) -> float:        # named groups arrive as text
        return auc(case["y"], case[score])

- `case["column"]` is a column of CASE.csv; `case.frame`, `case.extra("CASE_truth.csv")` whole tables; `case.tables` all
  extra tables by suffix ("truth", "images"...). Cache slow work with `case.cached(key, function)`.
- Return the same shape as the reference value: a number, a list, or a dict (which may hold more keys than asked).
- "NaN", "NA" and null in a reference are met by None or NaN only; "Inf" and "-Inf" by infinities.
- `Near(value, atol)` widens the tolerance of one number (Monte Carlo references); `Informational(reason)` for a part
  of a reference that is no goal. A whole quantity that is no goal goes on the written list `INFORMATIONAL` below.
- A parameter named `expected` receives the reference value (to see which layout it has; never to return it).
- Two kinds of case that use one name for two things are told apart by `when=` (see `quantity`).
- Never write a case's name or a number of a case into a mapping: folders with other cases must work unchanged.
"""

from __future__ import annotations

import inspect
import json
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

ATOL = 1e-12

# Quantities that are recorded for information, by the README of the oracles; everything else must be mapped.
INFORMATIONAL = {
    r"info_.*": "recorded for information by those who made the case",
    r"mlstatkit_delong": "falls back to a wrong p = 0 when all differences are 0",
    r"sm_mcnemar_exact=False_corr=True": "p = 0 when b + c = 0 and p = .82 when b = c",
    r"pr_auc_trapezoid\..*": "linear interpolation in precision-recall space is optimistic",
    r"rocr_aucpr": "linear interpolation in precision-recall space is optimistic",
    r"venkatraman_paired_B\d+": "not offered: the report compares areas, not shapes",
    r"sesp\.diff\.ci\.agresti-min": "not offered: Tango's interval is shown",
    r"sesp\.rel|pv\.rpv_moskowitz_pepe|dlr\.regtest": "not offered: differences are shown, not ratios of rates",
    r"pv\.gs_leisenring": "not offered: Kosinski's weighted score test is shown",
    r"hochberg|BY": "not offered: Holm and Benjamini-Hochberg are shown",
    r"hmisc_binconf": "modifies Wilson's interval at x = 0, 1, n - 1, n",
}


@dataclass(frozen=True)
class Near:
    """A value with an absolute tolerance of its own."""

    value: float
    atol: float


@dataclass(frozen=True)
class Informational:
    """Part of a reference that is no goal, and why."""

    reason: str


@dataclass
class Case:
    """One oracle case: its tables and its references."""

    path: Path
    content: dict[str, Any]
    _cache: dict[Any, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return str(self.content["case"])

    @cached_property
    def frame(self) -> pd.DataFrame:
        return pd.read_csv(self.path.with_suffix(".csv"))

    @cached_property
    def tables(self) -> dict[str, pd.DataFrame]:
        names = self.content.get("extra_data", [])
        return {Path(name).stem.removeprefix(f"{self.path.stem}_"): self.extra(name) for name in names}

    def extra(self, name: str) -> pd.DataFrame:
        return pd.read_csv(self.path.parent / name)

    def __getitem__(self, column: str) -> np.ndarray:
        return self.frame[column].to_numpy()

    def cached(self, key: Any, function: Callable[[], Any]) -> Any:
        if key not in self._cache:
            self._cache[key] = function()
        return self._cache[key]


@dataclass(frozen=True)
class Row:
    """How one quantity of one case compares."""

    case: str
    quantity: str
    package: str
    version: str
    call: str
    rtol: float
    values: int
    largest_difference: float
    failures: tuple[str, ...]
    informational: str | None = None
    part: str = ""  # module of the mapping
    wider: int = 0  # values compared within a tolerance of their own (`Near`)
    example: tuple[float, float] | None = None  # expected and ours: the first finite number that is not 0


_MAPPINGS: list[tuple[re.Pattern[str], Callable[..., Any], Callable[[Case], bool]]] = []


def quantity(
    *patterns: str, when: Callable[[Case], bool] = lambda case: True
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Map every quantity whose whole name matches one of the patterns to the decorated function.

    `when` tells cases apart that use one name for two things, by their layout:
    `when=lambda case: "w0" in case.frame` or `when=lambda case: "truth" in case.tables`.
    """

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        _MAPPINGS.extend((re.compile(pattern), function, when) for pattern in patterns)
        return function

    return register


def mapping(name: str, case: Case) -> tuple[Callable[..., Any], dict[str, str]] | None:
    """The function for a quantity with its arguments, or None; two that claim one name are an error."""
    matches = [(function, pattern.fullmatch(name), when) for pattern, function, when in _MAPPINGS]
    found = [(function, match) for function, match, when in matches if match and when(case)]
    if len(found) > 1:
        raise LookupError(f"{name} is claimed by {', '.join(f.__qualname__ for f, _ in found)}")
    return (found[0][0], found[0][1].groupdict()) if found else None


def cases(folder: Path) -> list[Case]:
    """Every case of a folder and of its subfolder `lesions`, by name."""
    paths = [*sorted(folder.glob("*.json")), *sorted((folder / "lesions").glob("*.json"))]
    contents = [(path, json.loads(path.read_text(encoding="utf-8"))) for path in paths]
    return [Case(path, content) for path, content in contents if isinstance(content, dict) and "refs" in content]


def compare_case(case: Case) -> Iterator[Row]:
    """Compare every reference of a case."""
    for reference in case.content["refs"]:
        yield _compare(case, reference)


def _compare(case: Case, reference: dict[str, Any]) -> Row:
    name, rtol = reference["quantity"], float(reference.get("rtol") or 0)
    about = (case.name, name, str(reference.get("package")), str(reference.get("version")), str(reference.get("call")))
    for pattern, reason in INFORMATIONAL.items():
        if re.fullmatch(pattern, name):
            return Row(*about, rtol, 0, 0.0, (), reason)
    try:
        found = mapping(name, case)
    except LookupError as error:
        return Row(*about, rtol, 0, 0.0, (str(error),))
    if found is None:
        return Row(*about, rtol, 0, 0.0, ("no function is mapped to this quantity",))
    function, arguments = found
    if "expected" in inspect.signature(function).parameters:
        arguments = {**arguments, "expected": reference["value"]}
    try:
        ours = function(case, **arguments)
    except Exception as error:  # reported as this quantity's failure, so that the others are still compared
        return Row(*about, rtol, 0, 0.0, (f"{type(error).__name__}: {error}",))
    walk = _Walk(rtol)
    walk.compare(reference["value"], ours, "")
    if not walk.values and not walk.failures and walk.reason is None:
        walk.failures.append("the reference holds no value to compare")
    reason, part = None if walk.values else walk.reason, function.__module__.rpartition(".")[2]
    return Row(*about, rtol, walk.values, walk.largest, tuple(walk.failures), reason, part, walk.wider, walk.example)


class _Walk:
    """Goes through a reference value and ours side by side."""

    def __init__(self, rtol: float) -> None:
        self.rtol, self.values, self.largest = rtol, 0, 0.0
        self.failures: list[str] = []
        self.reason: str | None = None
        self.wider = 0
        self.example: tuple[float, float] | None = None

    def compare(self, expected: Any, ours: Any, place: str) -> None:
        if isinstance(ours, Informational):
            self.reason = ours.reason
        elif isinstance(expected, dict) and set(expected) == {"error"}:
            self.reason = f"the reference package stopped: {expected['error']}"
        elif isinstance(expected, dict):
            self._mapping(expected, ours, place)
        elif isinstance(expected, list):
            self._sequence(expected, ours, place)
        else:
            self._leaf(expected, ours, place)

    def _mapping(self, expected: dict[str, Any], ours: Any, place: str) -> None:
        if not isinstance(ours, dict):
            self.failures.append(f"{place or 'value'}: expected a mapping, got {type(ours).__name__}")
            return
        for key, value in expected.items():
            if key in ours:
                self.compare(value, ours[key], f"{place}.{key}")
            else:
                self.failures.append(f"{place}.{key}: missing")

    def _sequence(self, expected: list[Any], ours: Any, place: str) -> None:
        values = ours.tolist() if isinstance(ours, np.ndarray) else ours
        if not isinstance(values, list | tuple) or len(values) != len(expected):
            size = len(values) if isinstance(values, list | tuple) else type(values).__name__
            self.failures.append(f"{place or 'value'}: expected {len(expected)} values, got {size}")
            return
        for index, (one, other) in enumerate(zip(expected, values, strict=True)):
            self.compare(one, other, f"{place}[{index}]")

    def _leaf(self, expected: Any, ours: Any, place: str) -> None:
        self.values += 1
        atol = ATOL
        if isinstance(ours, Near):
            ours, atol = ours.value, ours.atol
            self.wider += 1
        want, have = _number(expected), _number(ours)
        if isinstance(want, str) or isinstance(have, str):
            agree = want == have
        elif math.isnan(want) or math.isnan(have):
            agree = math.isnan(want) and math.isnan(have)
        elif math.isinf(want) or math.isinf(have):
            agree = want == have
        else:
            difference = abs(want - have)
            agree = difference <= self.rtol * abs(want) + atol
            if self.example is None and want:
                self.example = (want, have)
            if atol == ATOL and difference > ATOL:
                self.largest = max(self.largest, difference / abs(want) if want else difference)
        if not agree:
            self.failures.append(f"{place or 'value'}: expected {expected!r}, got {ours!r}")


def _number(value: Any) -> float | str:
    if value is None or value in ("NA", "NaN"):
        return math.nan
    if isinstance(value, str):
        return {"Inf": math.inf, "-Inf": -math.inf}.get(value, value)
    return float(value)
