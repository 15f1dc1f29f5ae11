"""The coverage benchmark: a cohort is a function of its number alone, however cohorts are handed out."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest


@pytest.fixture
def bench(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
    import bench_coverage

    yield bench_coverage
    sys.modules.pop("bench_coverage", None)


def test_blocks_of_cohorts_add_up(bench, monkeypatch):
    count = partial(bench.auc_hits, "30/60", 1)
    whole = count(range(12))
    assert count(range(5)) + count(range(5, 12)) == whole
    assert sum(whole.values()) > 0
    monkeypatch.setattr(bench, "BLOCK", 4)
    with ThreadPoolExecutor(2) as pool:
        assert bench.pooled(pool, count, 12) == whole


def test_every_watched_statistic_is_counted(bench):
    """Intervals that hold everything are hit by every cohort, those that hold nothing by none."""
    names = [name + kind for name in bench.WATCHED for kind in ("", "_difference")]
    hits = bench.bootstrap_hits("30/60", dict.fromkeys(names, 1e9), 100, 2, range(2))
    assert set(hits) == {*names, *(name + bench.MADE for name in names)}
    assert {hits[name] for name in names} == {0}
    assert hits["auc" + bench.MADE] == 2  # two cohorts, two intervals
    # AUC .95 and .96 with 30 and 60 films: 0 lies inside the interval of the difference, far outside that of an AUC
    hits = bench.bootstrap_hits("30/60", dict.fromkeys(names, 0.0), 100, 2, range(2))
    assert hits["auc_difference"] == 2
    assert hits["auc"] == 0


def test_a_row_under_93_per_cent_says_so(bench):
    assert "UNDER 93 %" in bench.coverage_row("name", 0.92, 100, 1.0, 90, "note")["note"]
    row = bench.coverage_row("name", 0.95, 100, 1.0, 90, "note")
    assert "UNDER" not in row["note"]
    assert row["monte_carlo_error"] == pytest.approx((0.95 * 0.05 / 100) ** 0.5)
