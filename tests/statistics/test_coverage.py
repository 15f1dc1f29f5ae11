"""A small simulation with fixed seeds: intervals cover what they claim (`./run_all.sh bench coverage` is the full one).

Bounds are nominal coverage minus and plus about 3.5 Monte Carlo errors of the number of cohorts used.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from osteotl.statistics.bootstrap import joint_bootstrap
from osteotl.statistics.delong import auc_covariance, logit_interval, wald_interval
from osteotl.statistics.paired import PairedTable, mcnemar
from osteotl.statistics.rates import proportion_interval
from osteotl.statistics.replicate_values import rate_replicates
from osteotl.statistics.replicates import arm_mean

TRUE = 0.95
GAP = np.sqrt(2) * stats.norm.ppf(TRUE)


def cohort(rng, malignant, normal):
    """Two correlated binormal arms, both with AUC 0.95."""
    label = np.r_[np.ones(malignant, int), np.zeros(normal, int)]
    common = rng.normal(size=label.size)
    return label, {arm: (common + rng.normal(size=label.size)) / np.sqrt(2) + GAP * label for arm in "ab"}


def auc_hits(malignant, normal, cohorts):
    rng, hits = np.random.default_rng(1), np.zeros(3)
    for _ in range(cohorts):
        fit = auc_covariance(*cohort(rng, malignant, normal))
        area, se = float(fit.auc[0]), float(np.sqrt(fit.covariance[0, 0]))
        spread = np.sqrt(fit.variance_of([1.0, -1.0]))
        intervals = (wald_interval(area, se), logit_interval(area, se))
        hits[:2] += [low <= TRUE <= high for low, high in intervals]
        low, high = wald_interval(float(fit.auc[0] - fit.auc[1]), float(spread))
        hits[2] += low <= 0 <= high
    return hits / cohorts


def test_delong_covers_at_the_studys_size():
    wald, logit, difference = auc_hits(268, 475, 1500)
    assert 0.93 < wald < 0.97
    assert 0.93 < logit < 0.97
    assert 0.93 < difference < 0.97


def test_logit_covers_where_wald_does_not():
    wald, logit, _ = auc_hits(30, 60, 1500)
    assert wald < 0.92
    assert 0.92 < logit < 0.97


def test_percentile_bootstrap_covers_at_the_studys_size():
    rng, hits, cohorts = np.random.default_rng(2), 0, 200
    for seed in range(cohorts):
        label, scores = cohort(rng, 268, 475)
        low, high = joint_bootstrap(label, scores, replicates=500, seed=seed).differences["b"]["auc"].interval
        hits += low <= 0 <= high
    assert 0.89 < hits / cohorts <= 1


def test_net_benefit_covers_where_few_tumours_are_missed():
    """Risks at .05: a sensitivity of .99; percentiles covered .88 there in 3,000 cohorts."""
    rng, hits, cohorts, at = np.random.default_rng(3), 0, 400, 0.05
    cut = (np.log(at / (1 - at)) + 2.2) / 1.4
    share = 268 / 743
    truth = share * stats.norm.sf(cut - GAP) - (1 - share) * at / (1 - at) * stats.norm.sf(cut)
    for seed in range(cohorts):
        label, scores = cohort(rng, 268, 475)
        risks = {"a": 1 / (1 + np.exp(2.2 - 1.4 * scores["a"]))}
        found = joint_bootstrap(label, {"a": scores["a"]}, risks=risks, net_benefit_at=[at], replicates=300, seed=seed)
        low, high = found.estimates["a"][f"net_benefit/{at}"].interval
        hits += low <= truth <= high
    assert 0.91 < hits / cohorts < 0.99


def test_a_mean_rate_near_1_covers_with_few_films():
    """Three runs, 30 malignant films, sensitivity .98: symmetric limits cover under .9 (benchmark: .85)."""
    rng, hits, cohorts, seeds = np.random.default_rng(4), np.zeros(2), 400, 3
    label = np.r_[np.ones(30, int), np.zeros(60, int)]
    truth = stats.norm.sf(-2.4 / np.sqrt(1.36))  # variances 1 (film) and .6^2 (run)
    for _ in range(cohorts):
        film = rng.normal(size=label.size) + 2.4 * label
        calls = {"a": {s: film + 0.6 * rng.normal(size=label.size) >= 0 for s in range(seeds)}}
        data = rate_replicates(label, calls, "sensitivity")
        for place, one in enumerate((data, replace(data, denominators=None))):
            low, high = arm_mean(one, "a").interval
            hits[place] += low is not None and low <= truth <= high
    assert hits[0] / cohorts > 0.91
    assert hits[1] / cohorts < 0.9


@pytest.mark.parametrize("n", [30, 60, 268])
def test_proportions_by_enumeration(n):
    grid, counts = np.arange(5, 1000, 5) / 1000, np.arange(n + 1)
    probability = stats.binom.pmf(counts[:, None], n, grid)
    covered = {}
    for method in ("wilson", "clopper_pearson"):
        limits = np.array([proportion_interval(int(x), n, 0.95, method) for x in counts])
        covered[method] = (probability * ((limits[:, :1] <= grid) & (grid <= limits[:, 1:]))).sum(axis=0)
    assert 0.94 <= covered["wilson"].mean() <= 0.97
    assert covered["clopper_pearson"].min() >= 0.95


def test_mcnemar_sizes_by_enumeration():
    pairs, shares = 60, np.array([0.05, 0.1, 0.2, 0.5])
    rejects = {"exact": np.zeros(pairs + 1), "midp": np.zeros(pairs + 1)}
    for total in range(1, pairs + 1):
        chance = stats.binom.pmf(np.arange(total + 1), total, 0.5)
        for b in range(total + 1):
            test = mcnemar(PairedTable(0, b, total - b, pairs - total))
            for name, rejected in rejects.items():
                rejected[total] += chance[b] * (getattr(test, name) <= 0.05)
    weights = stats.binom.pmf(np.arange(pairs + 1)[:, None], pairs, shares)
    assert (rejects["exact"] @ weights).max() <= 0.05
    assert (rejects["midp"] @ weights).max() <= 0.055
