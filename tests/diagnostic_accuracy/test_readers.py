"""Obuchowski-Rockette for several readers; RJafroc's numbers come in through tests/test_oracles.py."""

import numpy as np
import pytest
from scipy import stats

from diagnostic_accuracy import checks
from diagnostic_accuracy.delong import compare_auc
from diagnostic_accuracy.intervals import NO_VARIATION, edge_reach, proportion_interval
from diagnostic_accuracy.rates import Confusion
from diagnostic_accuracy.readers import (
    FEW_READERS,
    MEASURES,
    ONE_READER,
    CrossedValues,
    compare_readers,
    components,
    jackknife_covariance,
    mean_variance,
    reader_auc,
    reader_mean,
    reader_rates,
)
from diagnostic_accuracy.roc import auc

Z = stats.norm.ppf(0.975)


def study(readers=5, ill=40, well=60, shift=0.3, noise=0.6, seed=0):
    rng = np.random.default_rng(seed)
    labels = np.repeat([1, 0], [ill, well])
    base = rng.normal(size=labels.size) + 1.5 * labels
    scores = {
        arm: {r: base + rng.normal(size=labels.size) * noise + labels * (shift if arm == "new" else 0.0)
              for r in range(readers)}
        for arm in ("old", "new")
    }  # fmt: skip
    return labels, scores


def calls_of(scores, cut):
    return {arm: {r: values > cut for r, values in by.items()} for arm, by in scores.items()}


# --- differences ------------------------------------------------------------------------------------------------------


def test_one_reader_is_delong_and_says_so():
    labels, scores = study(readers=1)
    data = reader_auc(labels, scores)
    ours = compare_readers(data, "new", "old")
    plain = compare_auc(labels, scores["new"][0], scores["old"][0]).difference
    assert (ours.lower, ours.upper, ours.p) == pytest.approx((plain.lower, plain.upper, plain.p))
    assert (ours.basis, ours.note) == ("this reader only", ONE_READER)
    assert compare_readers(data, "new", "old", random="readers").note == ONE_READER


@pytest.mark.parametrize(("readers", "note"), [(2, FEW_READERS), (4, FEW_READERS), (5, "")])
def test_few_readers_are_said(readers, note):
    ours = compare_readers(reader_auc(*study(readers)), "new", "old")
    assert (ours.note, ours.basis) == (note, "readers and patients")


def test_swapping_arms_turns_the_sign():
    data = reader_auc(*study())
    one, other = compare_readers(data, "new", "old"), compare_readers(data, "old", "new")
    assert one.estimate == pytest.approx(-other.estimate)
    assert one.p == pytest.approx(other.p)
    assert one.lower == pytest.approx(-other.upper)


def test_the_order_of_readers_and_films_changes_nothing():
    labels, scores = study()
    order = np.random.default_rng(1).permutation(labels.size)
    turned = {arm: {r: by[r][order] for r in reversed(list(by))} for arm, by in scores.items()}
    one = compare_readers(reader_auc(labels, scores), "new", "old")
    other = compare_readers(reader_auc(labels[order], turned), "new", "old")
    assert (one.lower, one.upper) == pytest.approx((other.lower, other.upper))


def test_two_arms_t_test_is_the_f_test():
    # F = MS_T / (MS_TR + max(J (Cov2 - Cov3), 0)), ddf = denominator^2 (J - 1) / MS_TR^2 (Hillis 2007)
    data = reader_auc(*study())
    parts, ours = components(data), compare_readers(data, "new", "old")
    error = parts.ms_interaction + max(5 * (parts.cov2 - parts.cov3), 0)
    df = error**2 * 4 / parts.ms_interaction**2
    assert ours.df == pytest.approx(df)
    assert ours.p == pytest.approx(stats.f.sf(parts.ms_arm / error, 1, df))


def test_without_variation_there_is_no_p_and_a_far_limit():
    labels, scores = study()
    same = {"old": scores["old"], "again": scores["old"]}
    perfect = {arm: dict.fromkeys(range(3), labels + 0.0) for arm in ("a", "b")}
    edge = edge_reach(40)
    for data, pair in ((reader_auc(labels, same), ("again", "old")), (reader_auc(labels, perfect), ("a", "b"))):
        ours = compare_readers(data, *pair)
        assert (ours.estimate, ours.p, ours.note) == (0, None, NO_VARIATION)
        assert (ours.lower, ours.upper) == pytest.approx((-edge, edge))


def test_one_malignant_film_is_not_estimable():
    rng = np.random.default_rng(2)
    scores = {arm: {r: rng.normal(size=6) for r in range(2)} for arm in ("a", "b")}
    ours = compare_readers(reader_auc([1, 0, 0, 0, 0, 0], scores), "a", "b")
    assert ours.note == checks.SINGLE_POSITIVE
    jackknifed = reader_auc([1, 0, 0, 0, 0, 0], scores, covariance="jackknife")
    assert "leaves one class without films" in compare_readers(jackknifed, "a", "b").note


def test_interval_covers_the_expected_difference():
    """300 studies of 3 readers x 90 films under no difference; 95 % +/- 3 standard errors of the simulation (3.8 %)."""
    covered = 0
    for seed in range(300):
        labels, scores = study(readers=3, ill=30, shift=0.0, noise=1.0, seed=seed)
        ours = compare_readers(reader_auc(labels, scores), "new", "old")
        covered += ours.lower <= 0 <= ours.upper
    assert covered / 300 >= 0.912


def test_every_reader_reads_every_arm():
    with pytest.raises(ValueError, match="have other readers: 1 is in one only"):
        reader_auc([0, 1], {"a": {0: [1.0, 2]}, "b": {0: [1.0, 2], 1: [1.0, 2]}})
    with pytest.raises(ValueError, match="no arm was given"):
        reader_auc([0, 1], {})
    with pytest.raises(ValueError, match="'a' has no reader"):
        reader_auc([0, 1], {"a": {}})
    data = reader_auc(*study(2))
    with pytest.raises(ValueError, match="arm 'other' is not among"):
        compare_readers(data, "other", "old")
    with pytest.raises(ValueError, match="random is 'films'"):
        compare_readers(data, "new", "old", random="films")


def test_picking_arms_picks_their_covariances():
    covariance = np.arange(16.0).reshape(4, 4)
    data = CrossedValues("auc", ("a", "b"), (0, 1), np.array([[1.0, 2], [3, 4]]), covariance, 9, 4, "test")
    picked = data.pick(["b", "a"])
    assert picked.values.tolist() == [[3, 4], [1, 2]]
    assert picked.covariance.tolist() == covariance[np.ix_([2, 3, 0, 1], [2, 3, 0, 1])].tolist()


def test_rates_with_one_reader_have_the_paired_variance():
    # leaving out one film: (K-1)/K sum (p_-k - mean)^2 is nearly the paired Wald variance
    labels, scores = study(readers=1, ill=200, well=200)
    calls = calls_of(scores, 0.8)
    ours = compare_readers(reader_rates(labels, calls, "sensitivity"), "new", "old")
    each = calls["new"][0][labels == 1].astype(float) - calls["old"][0][labels == 1]
    assert ours.estimate == pytest.approx(each.mean())
    assert (ours.upper - ours.lower) / (2 * Z) == pytest.approx(each.std(ddof=1) / np.sqrt(200), rel=0.01)


# --- means ------------------------------------------------------------------------------------------------------------


def test_a_mean_of_perfect_rates_is_as_uncertain_as_its_patients():
    labels = np.repeat([1, 0], [12, 20])
    calls = {"a": dict.fromkeys(range(3), labels), "b": dict.fromkeys(range(3), 1 - labels)}
    perfect = reader_mean(reader_rates(labels, calls, "sensitivity"), "a")
    assert (perfect.estimate, perfect.n) == (1, 12)
    assert (perfect.lower, perfect.upper) == pytest.approx(proportion_interval(12, 12))
    none = reader_mean(reader_rates(labels, calls, "specificity"), "b")
    assert (none.lower, none.upper) == pytest.approx(proportion_interval(0, 20))
    area = reader_mean(reader_auc(labels, calls), "a")
    assert (area.lower, area.upper) == pytest.approx((1 - edge_reach(12), 1))


def test_a_mean_rate_has_wilsons_interval_at_the_effective_number():
    labels, scores = study(readers=4)
    data = reader_rates(labels, calls_of(scores, 1.5), "sensitivity")
    ours, (variance, df) = reader_mean(data, "old"), mean_variance(data, "old")
    # Korn and Graubard 1998, with at most the 40 patients of the class
    effective = min(ours.estimate * (1 - ours.estimate) / variance, 40) * (Z / stats.t.ppf(0.975, df)) ** 2
    assert (ours.lower, ours.upper) == pytest.approx(proportion_interval(ours.estimate * effective, effective))
    assert ours.df == df


def test_the_mean_of_an_auc_is_symmetric_on_the_logit():
    data = reader_auc(*study(readers=4))
    ours, (variance, df) = reader_mean(data, "new"), mean_variance(data, "new")
    odds, reach = np.log(ours.estimate / (1 - ours.estimate)), np.sqrt(variance) / (ours.estimate * (1 - ours.estimate))
    ends = odds + np.array([-1, 1]) * stats.t.ppf(0.975, df) * reach
    assert (ours.lower, ours.upper) == pytest.approx(tuple(1 / (1 + np.exp(-ends))))
    assert ours.lower < ours.estimate < ours.upper < 1


# --- values and covariances -------------------------------------------------------------------------------------------

RNG = np.random.default_rng(0)
PATIENTS = RNG.integers(0, 25, 60)
LABELS = RNG.integers(0, 2, 60)
SCORES = {arm: {r: RNG.integers(0, 8, 60) + LABELS for r in (1, 2)} for arm in ("a", "b")}
CALLS = calls_of(SCORES, 4)


def without_each(function):
    """A statistic of every reading without each patient, by doing just that."""
    keep = [np.flatnonzero(pd != PATIENTS) for pd in dict.fromkeys(PATIENTS)]
    return np.array([[function(arm, r, rows) for rows in keep] for arm in SCORES for r in (1, 2)])


def rates_at(arm, r, rows):
    y, called = LABELS[rows], CALLS[arm][r][rows]
    return called[y == 1].mean(), 1 - called[y == 0].mean()


def test_auc_jackknife_is_leaving_out_patients():
    ours = reader_auc(LABELS, SCORES, PATIENTS, "jackknife")
    left_out = without_each(lambda arm, r, rows: auc(LABELS[rows], SCORES[arm][r][rows]))
    np.testing.assert_allclose(ours.covariance, jackknife_covariance(left_out), atol=1e-14)


@pytest.mark.parametrize(("place", "measure"), [(0, "sensitivity"), (1, "specificity")])
def test_rate_jackknife_is_leaving_out_patients(place, measure):
    ours = reader_rates(LABELS, CALLS, measure, PATIENTS)
    left_out = without_each(lambda arm, r, rows: rates_at(arm, r, rows)[place])
    np.testing.assert_allclose(ours.covariance, jackknife_covariance(left_out), atol=1e-14)
    assert ours.values[0, 0] == pytest.approx(rates_at("a", 1, np.arange(60))[place])


@pytest.mark.parametrize("measure", ["accuracy", "ppv", "npv"])
def test_derived_rates_are_those_of_the_mean_rates(measure):
    ours = reader_rates(LABELS, CALLS, measure, PATIENTS)
    positives, negatives = int(LABELS.sum()), int((1 - LABELS).sum())
    for i, arm in enumerate(CALLS):
        sens, spec = np.mean([rates_at(arm, r, np.arange(60)) for r in (1, 2)], axis=0)
        tp, tn = sens * positives, spec * negatives
        expected = {
            "accuracy": (tp + tn) / 60,
            "ppv": tp / (tp + negatives - tn),
            "npv": tn / (tn + positives - tp),
        }[measure]
        assert ours.values[i].mean() == pytest.approx(expected)


def test_the_variance_of_one_readers_ppv_is_the_delta_methods():
    # one reader: c is linear in both rates; with films as units their variances are p (1 - p) / (n - 1), nearly
    labels, scores = study(readers=1, ill=200, well=300)
    data = reader_rates(labels, calls_of(scores, 0.8), "ppv")
    called = scores["old"][0] > 0.8
    counts = Confusion(
        int((called & (labels == 1)).sum()), int((called & (labels == 0)).sum()),
        int((~called & (labels == 0)).sum()), int((~called & (labels == 1)).sum()),
    )  # fmt: skip
    tp, fp, n = counts.tp, counts.fp, counts.tp + counts.fp
    sens, fpr = tp / 200, fp / 300
    variance = (fp / n**2) ** 2 * 200 * sens * (1 - sens) + (tp / n**2) ** 2 * 300 * fpr * (1 - fpr)
    assert data.values[0, 0] == pytest.approx(tp / n)
    assert data.covariance[0, 0] == pytest.approx(variance, rel=0.01)
    assert reader_mean(data, "old").estimate == pytest.approx(tp / n)


def test_delong_and_jackknife_agree_closely():
    one, other = (reader_auc(LABELS, SCORES, PATIENTS, kind).covariance for kind in ("delong", "jackknife"))
    np.testing.assert_allclose(np.diag(one), np.diag(other), rtol=0.15)


def test_a_reader_who_calls_nothing_is_not_estimable():
    silent = {"a": {1: np.zeros(60)}, "b": {1: CALLS["b"][1]}}
    data = reader_rates(LABELS, silent, "ppv")
    assert "no film was called positive" in data.note
    assert reader_mean(data, "a").estimate is None  # undefined is not 0
    assert compare_readers(data, "b", "a").estimate is None
    assert reader_mean(data, "b").lower is not None  # the other arm keeps its interval


def test_bad_calls():
    with pytest.raises(ValueError, match="measure is 'auc'"):
        reader_rates(LABELS, CALLS, "auc")
    with pytest.raises(ValueError, match=r"calls of reading 1\[0\] is 0.5"):
        reader_rates([0, 1], {"a": {1: [0.5, 1]}}, "ppv")
    with pytest.raises(ValueError, match="3 calls and 2 labels"):
        reader_rates([0, 1], {"a": {1: [0, 1, 1]}}, "ppv")
    assert "accuracy" in MEASURES
