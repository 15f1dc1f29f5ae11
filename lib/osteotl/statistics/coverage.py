"""Intervals that are known to cover too little: marked, with the coverage that was simulated.

`coverage.csv` holds simulated coverages of nominal 95 % intervals, written by `./run_all.sh bench coverage` (10,000
cohorts a row; all of them, with their Monte Carlo errors, stand in benchmarks/results/coverage.json). An interval of a
document is marked where the simulated design nearest to its cohort covered under 93 %.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

NOMINAL = 0.95
FLAG_UNDER = 0.93
MARK = "\N{DAGGER}"
FEW = 100  # patients of a class: with fewer, the simulated cohorts of 30 malignant and 60 normal films are nearer
SEEDS = (2, 3, 5, 10)  # simulated numbers of training runs
_RATES = ("ppv", "npv", "accuracy", "f1", "lr_positive", "lr_negative")
# key in statistics.json -> statistic as it was simulated
_BOOTSTRAPPED = {
    **{name: name for name in ("average_precision", "max_f1", "calibration_intercept", "calibration_slope")},
    **{f"{name}_difference": f"{name}_difference" for name in ("average_precision", "max_f1", "brier")},
    "brier_recalibrated": "brier",
    "scaled_brier": "brier",  # Brier score over a constant of the cohort
    **{name: f"cut/{name}" for name in _RATES},
    **{f"{name}_relearnt": f"reselected/{name}" for name in ("specificity", "ppv")},
}
_MEANS = {
    "auc": "auc",
    **dict.fromkeys(("sensitivity", "specificity", "ppv", "npv"), "sensitivity"),
    **dict.fromkeys(("missed_per_100", "false_alarms_per_1000", "right_film_wrong_place_per_100"), "sensitivity"),
    **dict.fromkeys(("right_place", "lesion_sensitivity"), "sensitivity"),
}


@cache
def simulated() -> dict[str, float]:
    """Coverage of every simulated row, by its name."""
    with Path(__file__).with_name("coverage.csv").open(newline="", encoding="utf-8") as file:
        return {row["name"]: float(row["coverage"]) for row in csv.DictReader(file)}


def mark_short_intervals(content: Any, malignant: int, normal: int, clustered: bool, seeds: int) -> list[float]:
    """Give every Number whose interval is known to cover too little a key `coverage`, in place.

    Parameters
    ----------
    content : dict or list
        statistics.json, or any part of it.
    malignant, normal : int
        Patients of each class.
    clustered : bool
        Patients have several films.
    seeds : int
        Training runs of each arm.

    Returns
    -------
    list of float
        The coverages that were given.
    """
    design = "30/60" if min(malignant, normal) < FEW else "clustered" if clustered else "268/475"
    given = []
    for key, number in _numbers(content):
        row = _row(key, str(number["method"]), design, seeds)
        coverage = simulated().get(row, 1.0) if row else 1.0
        if coverage < FLAG_UNDER and number.get("lower") is not None:
            number["coverage"] = round(coverage, 3)
            given.append(number["coverage"])
    return given


def _numbers(content: Any, key: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every Number with the name it stands under."""
    if isinstance(content, dict) and {"estimate", "method"} <= content.keys():
        yield key, content
    elif isinstance(content, dict):
        for name, value in content.items():
            yield from _numbers(value, name)
    elif isinstance(content, list):
        for value in content:
            yield from _numbers(value, key)


def _row(key: str, method: str, design: str, seeds: int) -> str | None:
    """The simulated row that speaks of a Number; None where none does."""
    runs = max((count for count in SEEDS if count <= seeds), default=None)
    if "mean of" in method and "Obuchowski-Rockette" in method:
        few = "30/60" if design == "30/60" else "268/475"
        return f"mean_{_MEANS[key]}_{min(runs or 0, 5)}_seeds_{few}" if key in _MEANS else None
    if "Obuchowski-Rockette" in method:
        return f"obuchowski_rockette_{runs}_seeds"
    if key == "seeds_by_patients":
        return f"crossed_bootstrap_{runs}_seeds"
    if key in _BOOTSTRAPPED and "bootstrap" in method:
        return f"bootstrap_{_BOOTSTRAPPED[key]}_{design}"
    return None
