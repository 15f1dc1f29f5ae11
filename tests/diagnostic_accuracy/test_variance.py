"""Where the variance comes from, written out again from covariance matrices."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from diagnostic_accuracy.bootstrap import bootstrap
from diagnostic_accuracy.estimates import one
from diagnostic_accuracy.scores import READERS, scores_of
from diagnostic_accuracy.thresholds import points_of
from diagnostic_accuracy.variance import false_difference_rate, run_spread, shares
from simulated_scores import predictions

PLACE = {"point": "high_sensitivity", "threshold_from": "validation"}
ASKED = {"auc": {}, "specificity": PLACE}
POINTS = points_of({"high_sensitivity": 0.9}, ("validation",))


def drawn(scores, held=""):
    return bootstrap(scores, POINTS, replicates=200, held=held, recalibrations=())


@pytest.fixture(scope="module")
def three():
    scores = scores_of(predictions({"a": range(4), "b": range(3)}, most_films=2))
    return drawn(scores), drawn(scores, "external"), drawn(scores, "validation")


def values(draws, measure, arm):
    key = (measure, "film") if measure == "auc" else (measure, *PLACE.values(), "film")
    columns = [i for i, (name, _) in enumerate(draws.runs) if name == arm]
    return draws.observed[key][columns], draws.values[key][:, columns]


def between(x, d):
    """MS, V1 and C2 of an arm."""
    whole, runs = np.cov(d.T), x.size
    return x.var(ddof=1), np.trace(whole) / runs, (whole.sum() - np.trace(whole)) / (runs * (runs - 1))


@pytest.mark.parametrize("measure", list(ASKED))
def test_spread_between_runs(three, measure):
    table = run_spread(three[0], measure, **ASKED[measure])
    for arm in ("a", "b"):
        x, d = values(three[0], measure, arm)
        ms, v1, c2 = between(x, d)
        row, df = one(table, arm=arm), x.size - 1
        assert row["estimate"] == pytest.approx(np.sqrt(max(ms - v1 + c2, 0)))
        ends = [max(df * ms / stats.chi2.ppf(q, df) + c2 - v1, 0) for q in (0.975, 0.025)]
        assert [row["lower"], row["upper"]] == pytest.approx(np.sqrt(ends))
        assert row["upper"] > row["lower"], "a variance of 0 is shown with its uncertainty"


@pytest.mark.parametrize("measure", list(ASKED))
def test_shares(three, measure):
    table = shares(*three, measure, reference="a", **ASKED[measure])
    parts = {"training runs": 0.0}
    for arm in ("a", "b"):
        x, d = values(three[0], measure, arm)
        ms, v1, c2 = between(x, d)
        parts["training runs"] += max(ms - v1 + c2, 0) / x.size
    for name, alone in (("validation patients", three[1]), ("external patients", three[2])):
        gap = values(alone, measure, "b")[1].mean(axis=1) - values(alone, measure, "a")[1].mean(axis=1)
        parts[name] = gap.var(ddof=1)
    for name, variance in parts.items():
        assert one(table, group=f"{measure}: {name}")["estimate"] == pytest.approx(variance / sum(parts.values()))
    assert (parts["validation patients"] < 1e-30) == (measure == "auc")


@pytest.mark.parametrize("measure", list(ASKED))
def test_how_often_equal_arms_would_be_called_different(three, measure):
    """P(|N(0, truth)| > 1.96 sqrt(test)), pairs of runs in their order."""
    row = one(
        false_difference_rate(three[0], three[2], ({"measure": measure, **ASKED[measure]},), reference="a"), arm="b"
    )
    runs = 0.0
    for arm in ("a", "b"):
        ms, v1, c2 = between(*values(three[0], measure, arm))
        runs += max(ms - v1 + c2, 0)
    test, joint = (
        np.mean([(values(d, measure, "b")[1][:, j] - values(d, measure, "a")[1][:, j]).var(ddof=1) for j in range(3)])
        for d in (three[2], three[0])
    )
    assert row["estimate"] == pytest.approx(2 * stats.norm.sf(stats.norm.ppf(0.975) * np.sqrt(test / (joint + runs))))


def test_readers_differ_in_their_own_differences_only():
    """Readers far apart who gain alike: their spread cancels in a difference, as each reads with both arms."""
    table = predictions({"a": "ABC", "b": "ABC"}, validation=(0, 0))
    shift = table["seed"].map({"A": 0.0, "B": 0.3, "C": -0.3})
    table["score"] = table["score"] + shift * table["label"]
    scores = scores_of(table, kind=READERS)
    three = drawn(scores), drawn(scores, "external"), drawn(scores, "validation")
    (x, d), (y, e) = values(three[0], "auc", "b"), values(three[0], "auc", "a")
    ms, v1, c2 = between(x - y, d - e)
    readers = max(ms - v1 + c2, 0) / 3
    external = (values(three[2], "auc", "b")[1] - values(three[2], "auc", "a")[1]).mean(axis=1).var(ddof=1)
    row = one(shares(*three, "auc", reference="a"), group="auc: readers")
    assert row["estimate"] == pytest.approx(readers / (readers + external))
    own = between(x, d)
    assert own[0] - own[1] + own[2] > 5 * max(ms - v1 + c2, 1e-9), "the readers do lie apart"


def test_one_run_and_runs_without_a_value():
    scores = scores_of(predictions({"a": (0,), "b": (0,)}))
    three = drawn(scores), drawn(scores, "external"), drawn(scores, "validation")
    assert "one run" in one(run_spread(three[0], "auc"), arm="a")["note"]
    rate = false_difference_rate(three[0], three[2], ({"measure": "auc"},), reference="a")
    assert "one run" in rate["note"].item()
    assert one(shares(*three, "auc", reference="a"), group="auc: training runs")["estimate"] == 0
    scores = scores_of(predictions({"a": (0, 1), "b": (0, 1)}, validation=(0, 9)))
    three = drawn(scores), drawn(scores, "external"), drawn(scores, "validation")
    for table in (run_spread(three[0], "specificity", **PLACE), shares(*three, "specificity", reference="a", **PLACE)):
        assert table["estimate"].isna().all()
        assert (table["note"] != "").all()


def test_runs_that_score_alike_have_no_spread_and_no_interval() -> None:
    """Rounding in the covariances of equal draws must not become an interval without width."""
    table = predictions({"a": (0, 1), "b": (0, 1)})
    first = table[table["seed"] == 0]
    alike = scores_of(pd.concat([first, first.assign(seed=1)]))
    found = run_spread(bootstrap(alike, replicates=200), "auc")
    assert found["lower"].isna().all()
    assert found["upper"].isna().all()
    assert (found["note"] != "").all()
