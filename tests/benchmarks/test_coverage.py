"""The coverage benchmark: a cohort is a function of its number alone, and intervals are counted as they are."""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd
import pytest

NAME = "30/60 external films"


@pytest.fixture(scope="module")
def bench():
    folder = str(Path(__file__).parents[2] / "benchmarks")
    sys.path.insert(0, folder)
    import bench_coverage

    yield bench_coverage
    sys.path.remove(folder)
    sys.modules.pop("bench_coverage", None)


@pytest.fixture(scope="module")
def two_cohorts(bench):
    return bench.chunk(NAME, 0, 2, 100)


def test_blocks_of_cohorts_add_up(bench, two_cohorts):
    parts = [bench.chunk(NAME, k, k + 1, 100)[1] for k in (0, 1)]
    pd.testing.assert_frame_equal(two_cohorts[1], pd.concat(parts, ignore_index=True))


def test_intervals_that_hold_everything_always_cover_and_far_ones_never(bench, two_cohorts):
    truths, table = two_cohorts
    rows = bench.summarise(NAME, truths, table.assign(lower=-1e9, upper=1e9))
    assert len(rows) > 20
    assert {row["coverage"] for row in rows} == {1.0}
    rows = bench.summarise(NAME, truths, table.assign(lower=1e9, upper=2e9))
    assert {row["coverage"] for row in rows} == {0.0}


def test_intervals_that_are_not_shown_do_not_count(bench, two_cohorts):
    truths, table = two_cohorts
    rows = bench.summarise(NAME, truths, table.assign(lower=None, upper=None).astype({"lower": float, "upper": float}))
    assert {row["coverage"] for row in rows} == {None}
    assert {row["shown"] for row in rows} == {0.0}
