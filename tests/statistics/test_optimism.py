"""Limits of the largest F1 that allow for its optimism.

Expected values by hand; the simulation's bounds are nominal coverage minus 3.5 Monte Carlo errors.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from osteotl.statistics._optimism import METHOD, corrected_limits, half_samples
from osteotl.statistics.bootstrap import joint_bootstrap
from osteotl.statistics.precision_recall import max_f1

GAP = np.sqrt(2) * stats.norm.ppf(0.95)


def test_a_split_is_half_of_every_stratum_and_its_complement():
    given = half_samples(np.array([0, 7, 27]), 5)
    assert given.shape == (200, 27)
    assert (given[:100] + given[100:] == 1).all()
    assert (given[:100, :7].sum(axis=1) == 3).all()
    assert (given[:100, 7:].sum(axis=1) == 10).all()
    assert len({tuple(row) for row in given[:100].tolist()}) > 90
    # each unit falls into about half of the halves: 100 draws of 10 in 20, standard error .05
    assert abs(given[:100, 7:].mean(axis=0) - 0.5).max() < 0.2


def test_limits_by_hand():
    """Draws with standard deviation .1; excess .02: centres .8 - .02 (1 + sqrt 2) and .78 on the logit scale."""
    draws = np.array([0.7, 0.8, 0.9])
    low, high = corrected_limits(0.8, 0.02, draws, 0.95)
    for limit, centre, sign in ((low, 0.8 - 0.02 * (1 + np.sqrt(2)), -1), (high, 0.78, 1)):
        wanted = np.log(centre / (1 - centre)) + sign * 1.959964 * 0.1 / (centre * (1 - centre))
        assert np.log(limit / (1 - limit)) == pytest.approx(wanted, abs=1e-6)


def test_the_excess_is_that_of_half_as_many_films():
    """Mean over many halves drawn here, by the plain function on the films themselves."""
    rng = np.random.default_rng(4)
    label = np.repeat([1, 0], [30, 60])
    score = rng.normal(size=90) + GAP * label
    ours = joint_bootstrap(label, {"a": score}, replicates=100).max_f1_excess["a"]
    halves = []
    for _ in range(600):
        films = np.r_[rng.permutation(30)[:15], 30 + rng.permutation(60)[:30]]
        halves.append(max_f1(label[films], score[films]).f1)
    error = np.std(halves) * np.sqrt(1 / 600 + 1 / 200)
    assert ours == pytest.approx(np.mean(halves) - max_f1(label, score).f1, abs=4 * error)


def test_it_covers_where_percentiles_do_not():
    """268 and 475 films, AUC .95; largest F1 of the population: the maximum over cuts of 2 TP / (2 TP + FP + FN)."""
    cuts = np.linspace(-2, 5, 200_001)
    tpr, fpr = stats.norm.sf(cuts - GAP), stats.norm.sf(cuts)
    true = (2 * 268 * tpr / (268 * tpr + 475 * fpr + 268)).max()
    rng, ours, percentile, cohorts = np.random.default_rng(8), 0, 0, 150
    for seed in range(cohorts):
        label = np.repeat([1, 0], [268, 475])
        found = joint_bootstrap(label, {"a": rng.normal(size=743) + GAP * label}, replicates=300, seed=seed)
        low, high = found.estimates["a"]["max_f1"].interval
        ours += low <= true <= high
        bottom, top = np.quantile(found.draws.of("a", "max_f1"), [0.025, 0.975])
        percentile += bottom <= true <= top
    assert ours / cohorts > 0.95 - 3.5 * np.sqrt(0.95 * 0.05 / cohorts)
    assert percentile < ours


def test_edges():
    """Perfect separation keeps its percentiles; without 2 films of a class there are no halves."""
    sure = joint_bootstrap([1, 1, 1, 0, 0, 0], {"a": [6, 5, 4, 3, 2, 1]}, replicates=100).estimates["a"]["max_f1"]
    assert (sure.estimate, sure.lower, sure.upper) == (1, 1, 1)
    assert METHOD in sure.method
    alone = joint_bootstrap([1, 0, 0, 0], {"a": [2, 3, 1, 0]}, replicates=100).estimates["a"]["max_f1"]
    assert alone.lower is None
    assert "halves" in alone.not_estimable
