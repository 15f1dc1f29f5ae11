"""Which intervals are marked as too short, and that the marks come from the simulation."""

import csv
import json
from pathlib import Path

import pytest

from osteotl.statistics import coverage
from osteotl.statistics.coverage import FLAG_UNDER, mark_short_intervals, simulated

REAL = Path(__file__).parents[2]
BOOTSTRAPPED = "mean of 3 runs, percentile bootstrap of films (B = 10,000), these runs taken as given"
GAP = "Obuchowski-Rockette, 2 seeds, DeLong covariances"
MEAN = "mean of 2 seeds, Obuchowski-Rockette, DeLong covariances, logit scale"
RATE = "mean of 2 seeds, Obuchowski-Rockette, jackknife covariances, Wilson interval at 60 effective patients"


def number(method, lower=0.1):
    return {"estimate": 0.5, "lower": lower, "upper": 0.9, "method": method, "n": 90}


def document():
    return {
        "arms": {"a": {"average_precision": number(BOOTSTRAPPED), "auc": number(MEAN), "missed_per_100": number(RATE)}},
        "comparisons": {"b": {"auc_difference": number(GAP), "p": 0.2}},
        "rows": [{"average_precision": number(BOOTSTRAPPED, None)}],
    }


def test_marks_are_those_of_the_benchmark():
    rows = json.loads((REAL / "benchmarks/results/coverage.json").read_text())
    known = {row["name"]: row["coverage"] for row in rows if "coverage" in row}
    assert simulated()
    for name, value in simulated().items():
        assert known[name] == pytest.approx(value, abs=1e-5), name


@pytest.mark.parametrize(("malignant", "design"), [(30, "30/60"), (268, "268/475")])
def test_marks_follow_the_nearest_design_and_the_number_of_runs(malignant, design):
    found = document()
    given = mark_short_intervals(found, malignant, 475, False, 2)
    arm, gap = found["arms"]["a"], found["comparisons"]["b"]["auc_difference"]
    rows = {
        f"bootstrap_average_precision_{design}": arm["average_precision"],
        f"mean_auc_2_seeds_{design}": arm["auc"],
        f"mean_sensitivity_2_seeds_{design}": arm["missed_per_100"],
        "obuchowski_rockette_2_seeds": gap,
    }
    for name, one in rows.items():
        covered = simulated()[name]
        assert one.get("coverage") == (round(covered, 3) if covered < FLAG_UNDER else None), name
    assert sorted(given) == sorted(one["coverage"] for one in rows.values() if "coverage" in one)
    assert given
    assert "coverage" not in found["rows"][0]["average_precision"]  # no interval, nothing to mark


@pytest.mark.parametrize(("malignant", "seeds"), [(268, 5), (100, 12)])
def test_enough_of_both_marks_nothing(malignant, seeds):
    found = document()
    assert mark_short_intervals(found, malignant, 475, False, seeds) == []
    assert found == document()


def test_every_statistic_that_can_be_marked_was_simulated():
    rows = set(simulated())
    for design in ("268/475", "30/60", "clustered"):
        assert {f"bootstrap_{name}_{design}" for name in coverage._BOOTSTRAPPED.values()} <= rows
    assert {
        f"{kind}_{n}_seeds" for kind in ("obuchowski_rockette", "crossed_bootstrap") for n in coverage.SEEDS
    } <= rows
    with Path(coverage.__file__).with_name("coverage.csv").open(newline="") as file:
        assert all(0 < float(row["coverage"]) <= 1 for row in csv.DictReader(file))
    assert any(value < FLAG_UNDER for value in simulated().values())
