"""Values, covariances and draws of several runs."""

import numpy as np
import pytest

from osteotl.statistics import checks
from osteotl.statistics.replicate_values import (
    SUM,
    auc_replicates,
    crossed_bootstrap,
    jackknife_covariance,
    rate_replicates,
)
from osteotl.statistics.replicates import arm_mean, compare_replicates
from osteotl.statistics.roc import auc

RNG = np.random.default_rng(0)
PATIENTS = RNG.integers(0, 25, 60)
LABELS = RNG.integers(0, 2, 60)
RUNS = {arm: {s: RNG.integers(0, 8, 60) + LABELS for s in (1, 2)} for arm in ("a", "b")}
CALLS = {arm: {s: score > 4 for s, score in by.items()} for arm, by in RUNS.items()}


def without_each(function):
    """A statistic of every run without each patient, by doing just that."""
    keep = [np.flatnonzero(pd != PATIENTS) for pd in dict.fromkeys(PATIENTS)]
    return np.array([[function(arm, s, rows) for rows in keep] for arm in RUNS for s in (1, 2)])


def test_auc_jackknife_is_leaving_out_patients():
    ours = auc_replicates(LABELS, RUNS, PATIENTS, "jackknife")
    left_out = without_each(lambda arm, s, rows: auc(LABELS[rows], RUNS[arm][s][rows]))
    np.testing.assert_allclose(ours.covariance, jackknife_covariance(left_out), atol=1e-14)


@pytest.mark.parametrize("measure", ["sensitivity", "specificity", "ppv", "npv", "accuracy", SUM])
def test_rate_jackknife_is_leaving_out_patients(measure):
    def rate(arm, s, rows):
        y, called = LABELS[rows], CALLS[arm][s][rows]
        rates = {
            "sensitivity": called[y == 1].mean(),
            "specificity": (~called[y == 0]).mean(),
            "ppv": y[called].mean(),
            "npv": 1 - y[~called].mean(),
            "accuracy": (called == y).mean(),
        }
        return rates["sensitivity"] + rates["specificity"] if measure == SUM else rates[measure]

    ours = rate_replicates(LABELS, CALLS, measure, PATIENTS)
    np.testing.assert_allclose(ours.covariance, jackknife_covariance(without_each(rate)), atol=1e-14)
    assert ours.values[0, 0] == pytest.approx(rate("a", 1, np.arange(60)))


def test_delong_and_jackknife_agree_closely():
    one, other = (auc_replicates(LABELS, RUNS, PATIENTS, kind).covariance for kind in ("delong", "jackknife"))
    np.testing.assert_allclose(np.diag(one), np.diag(other), rtol=0.15)


def test_a_run_that_calls_nothing_is_not_estimable():
    silent = {"a": {1: np.zeros(60)}, "b": {1: CALLS["b"][1]}}
    data = rate_replicates(LABELS, silent, "ppv")
    assert "no film was called positive" in data.not_estimable
    assert arm_mean(data, "a").estimate is None  # undefined is not 0
    assert compare_replicates(data, "b", "a").difference.estimate is None
    assert arm_mean(data, "b").lower is not None  # the other arm keeps its interval


def test_bad_calls():
    with pytest.raises(ValueError, match="measure is 'auc'"):
        rate_replicates(LABELS, CALLS, "auc")
    with pytest.raises(ValueError, match=r"calls of run 1\[0\] is 0.5"):
        rate_replicates([0, 1], {"a": {1: [0.5, 1]}}, "ppv")
    with pytest.raises(ValueError, match="3 calls and 2 labels"):
        rate_replicates([0, 1], {"a": {1: [0, 1, 1]}}, "ppv")


@pytest.mark.parametrize("measure", ["auc", "sensitivity", "accuracy"])
def test_crossed_bootstrap(measure):
    runs = RUNS if measure == "auc" else CALLS
    ours = crossed_bootstrap(LABELS, runs, "a", "b", measure, PATIENTS, draws=400)
    values = auc_replicates(LABELS, runs) if measure == "auc" else rate_replicates(LABELS, runs, measure)
    means = values.values.mean(axis=1)
    assert ours.estimate == pytest.approx(means[0] - means[1])
    assert ours.lower < ours.estimate < ours.upper
    assert ours == crossed_bootstrap(LABELS, runs, "a", "b", measure, PATIENTS, draws=400)
    assert 0 < ours.p <= 1


def test_blocks_of_draws_do_not_change_the_result(monkeypatch):
    from osteotl.statistics import _draws

    whole = crossed_bootstrap(LABELS, RUNS, "a", "b", draws=200)
    monkeypatch.setattr(_draws, "BLOCK", 60 * 7)
    assert crossed_bootstrap(LABELS, RUNS, "a", "b", draws=200) == whole


def test_identical_arms_have_p_one():
    same = {"a": RUNS["a"], "b": RUNS["a"]}
    ours = crossed_bootstrap(LABELS, same, "a", "b", draws=100)
    assert (ours.estimate, ours.lower, ours.p, ours.not_estimable) == (0, None, 1, checks.IDENTICAL_ARMS)


def test_no_variation_between_draws_is_no_tiny_p():
    runs = {"a": {1: LABELS + 0.0}, "b": {1: np.zeros(60)}}
    ours = crossed_bootstrap(LABELS, runs, "a", "b", draws=100)
    assert (ours.estimate, ours.p, ours.not_estimable) == (0.5, None, checks.NO_VARIANCE)


def test_bootstrap_refuses():
    with pytest.raises(ValueError, match="draws is 10"):
        crossed_bootstrap(LABELS, RUNS, "a", "b", draws=10)
    with pytest.raises(ValueError, match="must both be there"):
        crossed_bootstrap(LABELS, RUNS, "a", "z", draws=100)
