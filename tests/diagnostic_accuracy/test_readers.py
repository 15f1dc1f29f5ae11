"""Obuchowski-Rockette for several readers; RJafroc's numbers come in through tests/test_oracles.py."""

import numpy as np
import pytest
from scipy import stats

from diagnostic_accuracy import checks
from diagnostic_accuracy.delong import compare_auc
from diagnostic_accuracy.intervals import NO_VARIATION, edge_reach
from diagnostic_accuracy.readers import (
    FEW_READERS,
    ONE_READER,
    CrossedValues,
    compare_readers,
    components,
    reader_auc,
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
    plain = compare_auc(labels, scores["new"][0], scores["old"][0])
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
    assert compare_readers(jackknifed, "a", "b").note == checks.SINGLE_POSITIVE


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
    with pytest.raises(ValueError, match="no reading was given"):
        reader_auc([0, 1], {})
    with pytest.raises(ValueError, match="no reading was given"):
        reader_auc([0, 1], {"a": {}})
    data = reader_auc(*study(2))
    with pytest.raises(ValueError, match="arm is 'other'; it must be one of"):
        compare_readers(data, "other", "old")
    with pytest.raises(ValueError, match="random is 'films'"):
        compare_readers(data, "new", "old", random="films")


def test_picking_arms_picks_their_covariances():
    covariance = np.arange(16.0).reshape(4, 4)
    data = CrossedValues(("a", "b"), (0, 1), np.array([[1.0, 2], [3, 4]]), covariance, 9, 4, "test")
    picked = data.pick(["b", "a"])
    assert picked.values.tolist() == [[3, 4], [1, 2]]
    assert picked.covariance.tolist() == covariance[np.ix_([2, 3, 0, 1], [2, 3, 0, 1])].tolist()


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
    units = left_out.shape[1]  # (K - 1)/K times the sum of products of deviations
    np.testing.assert_allclose(ours.covariance, (units - 1) ** 2 / units * np.cov(left_out), atol=1e-14)


def test_delong_and_jackknife_agree_closely():
    one, other = (reader_auc(LABELS, SCORES, PATIENTS, kind).covariance for kind in ("delong", "jackknife"))
    np.testing.assert_allclose(np.diag(one), np.diag(other), rtol=0.15)
