"""Obuchowski-Rockette with seeds as readers; RJafroc's numbers come in through tests/test_oracles.py."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from osteotl.statistics import checks
from osteotl.statistics.delong import compare_auc
from osteotl.statistics.rates import proportion_interval
from osteotl.statistics.replicate_values import auc_replicates, rate_replicates, stack_runs
from osteotl.statistics.replicates import (
    FEW_SEEDS,
    ONE_SEED,
    Replicates,
    arm_mean,
    compare_replicates,
    components,
    omnibus_test,
    variance_split,
)


def study(seeds=5, ill=40, well=60, shift=0.3, noise=0.6, seed=0):
    rng = np.random.default_rng(seed)
    labels = np.repeat([1, 0], [ill, well])
    base = rng.normal(size=labels.size) + 1.5 * labels
    runs = {
        arm: {s: base + rng.normal(size=labels.size) * noise + labels * (shift if arm == "transfer" else 0.0)
              for s in range(seeds)}
        for arm in ("scratch", "transfer")
    }  # fmt: skip
    return labels, runs


def test_one_seed_is_delong_and_says_so():
    labels, runs = study(seeds=1)
    ours = compare_replicates(auc_replicates(labels, runs), "transfer", "scratch")
    plain = compare_auc(labels, runs["transfer"][0], runs["scratch"][0]).difference
    assert ours.difference.interval == pytest.approx(plain.interval)
    assert ours.difference.p == pytest.approx(plain.p)
    assert ours.flag == ONE_SEED
    assert ours.fixed_films.estimate is None
    assert variance_split(auc_replicates(labels, runs), "scratch") is None


@pytest.mark.parametrize(("seeds", "flag"), [(2, FEW_SEEDS), (4, FEW_SEEDS), (5, None)])
def test_few_seeds_are_flagged(seeds, flag):
    labels, runs = study(seeds)
    assert compare_replicates(auc_replicates(labels, runs), "transfer", "scratch").flag == flag


def test_swapping_arms_turns_the_sign():
    labels, runs = study()
    data = auc_replicates(labels, runs)
    one, other = compare_replicates(data, "transfer", "scratch"), compare_replicates(data, "scratch", "transfer")
    assert one.difference.estimate == pytest.approx(-other.difference.estimate)
    assert one.difference.p == pytest.approx(other.difference.p)
    assert one.difference.lower == pytest.approx(-other.difference.upper)


def test_the_order_of_seeds_and_films_changes_nothing():
    labels, runs = study()
    order = np.random.default_rng(1).permutation(labels.size)
    turned = {arm: {s: by[s][order] for s in reversed(list(by))} for arm, by in runs.items()}
    one = compare_replicates(auc_replicates(labels, runs), "transfer", "scratch").difference
    other = compare_replicates(auc_replicates(labels[order], turned), "transfer", "scratch").difference
    assert one.interval == pytest.approx(other.interval)


def test_two_arms_f_test_is_the_t_test():
    labels, runs = study()
    data = auc_replicates(labels, runs)
    ours = compare_replicates(data, "transfer", "scratch")
    f, df, p = omnibus_test(data)
    assert f == pytest.approx((ours.difference.estimate / ours.se) ** 2)
    assert (f, df, p) == pytest.approx((ours.f, ours.df, ours.difference.p))


def test_identical_arms():
    labels, runs = study()
    same = {"scratch": runs["scratch"], "again": runs["scratch"]}
    ours = compare_replicates(auc_replicates(labels, same), "again", "scratch").difference
    assert (ours.estimate, ours.p, ours.not_estimable) == (0, 1, checks.IDENTICAL_ARMS)


def test_perfect_arms_have_no_interval():
    labels = np.repeat([1, 0], 5)
    runs = {arm: dict.fromkeys(range(3), labels + 0.0) for arm in ("a", "b")}
    data = auc_replicates(labels, runs)
    assert arm_mean(data, "a").not_estimable == checks.NO_VARIANCE
    assert compare_replicates(data, "a", "b").difference.p == 1


def test_one_malignant_film_is_not_estimable():
    rng = np.random.default_rng(2)
    runs = {arm: {s: rng.normal(size=6) for s in range(2)} for arm in ("a", "b")}
    ours = compare_replicates(auc_replicates([1, 0, 0, 0, 0, 0], runs), "a", "b").difference
    assert ours.not_estimable == checks.SINGLE_POSITIVE
    jackknifed = auc_replicates([1, 0, 0, 0, 0, 0], runs, covariance="jackknife")
    assert compare_replicates(jackknifed, "a", "b").difference.not_estimable is not None


def test_variance_split_adds_up_without_noise_between_seeds():
    # seeds that move every film's rank alike: no variance between seeds, none in the interaction
    labels, runs = study(seeds=1)
    data = auc_replicates(labels, {"a": {s: runs["scratch"][0] * (s + 1) for s in range(3)}})
    split = variance_split(data, "a")
    assert split.seed == pytest.approx(0, abs=1e-15)
    assert split.interaction == pytest.approx(0, abs=1e-15)
    assert split.patient == pytest.approx(components(data).var)


def test_interval_covers_the_expected_difference():
    """300 studies of 3 seeds x 90 films under no difference; 95 % +/- 3 standard errors of the simulation (3.8 %)."""
    covered = 0
    for seed in range(300):
        labels, runs = study(seeds=3, ill=30, shift=0.0, noise=1.0, seed=seed)
        ours = compare_replicates(auc_replicates(labels, runs), "transfer", "scratch").difference
        covered += ours.lower <= 0 <= ours.upper
    assert covered / 300 >= 0.912


def test_arms_must_share_their_seeds():
    with pytest.raises(ValueError, match="have other seeds: 1 is in one only"):
        stack_runs({"a": {0: [1.0]}, "b": {0: [1.0], 1: [1.0]}})
    with pytest.raises(ValueError, match="no arm was given"):
        stack_runs({})
    with pytest.raises(ValueError, match="'a' has no seed"):
        stack_runs({"a": {}})
    labels, runs = study(2)
    with pytest.raises(ValueError, match="arm 'other' is not among"):
        compare_replicates(auc_replicates(labels, runs), "other", "scratch")


def test_picking_arms_picks_their_covariances():
    covariance = np.arange(16.0).reshape(4, 4)
    data = Replicates("auc", ("a", "b"), (0, 1), np.array([[1.0, 2], [3, 4]]), covariance, 9, "test")
    picked = data.pick(["b", "a"])
    assert picked.values.tolist() == [[3, 4], [1, 2]]
    assert picked.covariance.tolist() == covariance[np.ix_([2, 3, 0, 1], [2, 3, 0, 1])].tolist()


def test_rates_with_one_seed_have_the_paired_variance():
    # leaving out one film: (K-1)/K sum (p_-k - mean)^2 is nearly the paired Wald variance
    labels, runs = study(seeds=1, ill=200, well=200)
    calls = {arm: {0: by[0] > 0.8} for arm, by in runs.items()}
    data = rate_replicates(labels, calls, "sensitivity")
    ours = compare_replicates(data, "transfer", "scratch")
    each = calls["transfer"][0][labels == 1].astype(float) - calls["scratch"][0][labels == 1]
    assert ours.difference.estimate == pytest.approx(each.mean())
    assert ours.se == pytest.approx(each.std(ddof=1) / np.sqrt(200), rel=0.01)


def test_a_mean_of_perfect_rates_is_as_uncertain_as_its_patients():
    labels = np.repeat([1, 0], [12, 20])
    calls = {"a": dict.fromkeys(range(3), labels), "b": dict.fromkeys(range(3), 1 - labels)}
    perfect = arm_mean(rate_replicates(labels, calls, "sensitivity"), "a")
    assert (perfect.estimate, perfect.n) == (1, 12)
    assert perfect.interval == pytest.approx(proportion_interval(12, 12))
    none = arm_mean(rate_replicates(labels, calls, "specificity"), "b")
    assert none.interval == pytest.approx(proportion_interval(0, 20))


def test_a_mean_rate_has_wilsons_interval_at_the_effective_number():
    labels, runs = study(seeds=4)
    data = rate_replicates(
        labels, {arm: {s: v > 1.5 for s, v in by.items()} for arm, by in runs.items()}, "sensitivity"
    )
    ours, plain = arm_mean(data, "scratch"), arm_mean(replace(data, denominators=None), "scratch")
    z, t = stats.norm.ppf(0.975), stats.t.ppf(0.975, plain.df)
    variance = ((plain.upper - plain.estimate) / t) ** 2
    effective = plain.estimate * (1 - plain.estimate) / variance * (z / t) ** 2  # Korn and Graubard 1998
    assert ours.interval == pytest.approx(proportion_interval(plain.estimate * effective, effective))
    assert (ours.estimate, ours.df) == (plain.estimate, plain.df)


def test_logit_scale_of_a_mean():
    labels, runs = study(seeds=4)
    data = auc_replicates(labels, runs)
    plain, ours = arm_mean(data, "transfer"), arm_mean(data, "transfer", scale="logit")
    se = (plain.estimate - plain.lower) / stats.t.ppf(0.975, plain.df)
    odds, reach = np.log(ours.estimate / (1 - ours.estimate)), se / (ours.estimate * (1 - ours.estimate))
    ends = odds + np.array([-1, 1]) * stats.t.ppf(0.975, plain.df) * reach
    assert ours.interval == pytest.approx(tuple(1 / (1 + np.exp(-ends))))
    assert ours.lower < ours.estimate < ours.upper < 1
    with pytest.raises(ValueError, match="scale"):
        arm_mean(data, "transfer", scale="log")
