"""Numbers of the document computed again from the predictions by scipy, scikit-learn, statsmodels and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

POINT = "high_sensitivity@validation"


@pytest.fixture(scope="module")
def films(predictions):
    """(cohort, arm, seed) -> labels, scores, logits with films in one order."""
    ordered = predictions.sort_values("image_id")
    return {
        key: (part["label"].to_numpy(), part["score"].to_numpy(), part["logit"].to_numpy())
        for key, part in ordered.groupby(["cohort", "arm", "seed"])
    }


def test_areas(films, statistics):
    for arm, block in statistics["arms"].items():
        areas = []
        for seed in (0, 1):
            label, score, _ = films["external", arm, seed]
            run = block["per_seed"][str(seed)]
            areas.append(roc_auc_score(label, score))
            assert run["auc"]["estimate"] == pytest.approx(areas[-1], abs=1e-12)
            precision = average_precision_score(label, score)
            assert run["average_precision"]["estimate"] == pytest.approx(precision, abs=1e-12)
        assert block["auc"]["estimate"] == pytest.approx(np.mean(areas), abs=1e-12)


def test_the_headline_by_hand(films, statistics):
    """Obuchowski-Rockette written out: DeLong covariances from the placement values, Hillis' degrees of freedom."""
    runs = [("scratch", 0), ("scratch", 1), ("transfer", 0), ("transfer", 1)]
    label = films["external", "scratch", 0][0] == 1
    wins = [_wins(films["external", *run][1], label) for run in runs]
    ill, well = np.array([w.mean(axis=1) for w in wins]), np.array([w.mean(axis=0) for w in wins])
    table = np.cov(ill) / label.sum() + np.cov(well) / (~label).sum()
    auc = np.array([w.mean() for w in wins]).reshape(2, 2)
    cov2 = (table[0, 1] + table[2, 3]) / 2
    cov3 = (table[0, 3] + table[1, 2]) / 2
    interaction = float(((auc - auc.mean(0) - auc.mean(1, keepdims=True) + auc.mean()) ** 2).sum())  # df = 1
    error = interaction + max(2 * (cov2 - cov3), 0)
    df = error**2 / interaction**2
    difference = auc[1].mean() - auc[0].mean()
    half = stats.t.ppf(0.975, df) * np.sqrt(2 * error / 2)
    ours = statistics["comparisons"]["transfer"]["auc_difference"]
    assert ours["estimate"] == pytest.approx(difference, abs=1e-12)
    assert ours["df"] == pytest.approx(df, rel=1e-9)
    assert (ours["lower"], ours["upper"]) == pytest.approx((difference - half, difference + half), abs=1e-10)
    assert ours["p"] == pytest.approx(2 * stats.t.sf(abs(difference) / np.sqrt(error), df), rel=1e-9)


def _wins(score, label):
    """1, 1/2 or 0 for every pair of a malignant (rows) and a normal film (columns)."""
    gap = score[label][:, np.newaxis] - score[~label]
    return (gap > 0) + 0.5 * (gap == 0)


def test_rates_at_a_locked_point(films, statistics):
    for arm in ("scratch", "transfer"):
        for seed in (0, 1):
            point = statistics["arms"][arm]["per_seed"][str(seed)]["operating_points"][POINT]
            label, score, _ = films["external", arm, seed]
            called = score >= point["threshold"]
            tp = int((called & (label == 1)).sum())
            assert point["tp"] == tp
            assert point["sensitivity"]["estimate"] == pytest.approx(tp / 36)
            wilson = proportion_confint(tp, 36, method="wilson")
            assert (point["sensitivity"]["lower"], point["sensitivity"]["upper"]) == pytest.approx(wilson, abs=1e-12)
            learnt, at = films["validation", arm, seed][:2]
            assert (at[learnt == 1] >= point["threshold"]).mean() >= 0.9


def test_mcnemar_at_a_locked_point(films, statistics):
    for seed in (0, 1):
        runs = [
            statistics["arms"][a]["per_seed"][str(seed)]["operating_points"][POINT] for a in ("transfer", "scratch")
        ]
        label = films["external", "scratch", seed][0] == 1
        arms = ("transfer", "scratch")
        one, other = (
            films["external", arm, seed][1][label] >= run["threshold"] for arm, run in zip(arms, runs, strict=True)
        )
        table = [[(one & other).sum(), (one & ~other).sum()], [(~one & other).sum(), (~one & ~other).sum()]]
        ours = statistics["comparisons"]["transfer"]["operating_points"][POINT]["per_seed"][str(seed)]
        assert list(ours["table"]["malignant"].values()) == [table[0][0], table[0][1], table[1][0], table[1][1]]
        expected = min(1.0, mcnemar(table, exact=True).pvalue)
        assert ours["mcnemar"]["sensitivity"]["exact"] == pytest.approx(expected, rel=1e-9)


def test_recalibration(films, statistics):
    """Risks of a logistic regression fitted on validation: Brier score, and in-the-large of the external films."""
    for arm in ("scratch", "transfer"):
        label, _, logit = films["validation", arm, 0]
        # C = infinity: no penalty
        fit = LogisticRegression(C=np.inf, tol=1e-12, max_iter=1000).fit(logit[:, np.newaxis], label)
        truth, _, there = films["external", arm, 0]
        risk = fit.predict_proba(there[:, np.newaxis])[:, 1]
        run = statistics["arms"][arm]["per_seed"]["0"]
        assert run["brier_recalibrated"]["estimate"] == pytest.approx(brier_score_loss(truth, risk), abs=1e-6)
        shift = run["calibration_in_the_large"]["estimate"]
        predictor = np.log(risk / (1 - risk)) + shift
        assert (1 / (1 + np.exp(-predictor))).sum() == pytest.approx(truth.sum(), abs=1e-3)


def test_holm(statistics):
    family = statistics["comparisons"]["transfer"]["family"]
    p = [1.0 if test["p"] is None else test["p"] for test in family]
    for method, theirs in (("holm", "holm"), ("hochberg", "simes-hochberg"), ("bh", "fdr_bh"), ("by", "fdr_by")):
        expected = multipletests(p, method=theirs)[1]
        for test, value in zip(family, expected, strict=True):
            assert test["p"] is None or test[method] == pytest.approx(min(value, 1.0), rel=1e-9)


def test_holm_over_all_comparisons(predictions_of, analysed):
    """Three arms: 12 tests in one family of statsmodels; with two arms the two adjustments are one."""
    comparisons = analysed(predictions_of(arms=("scratch", "transfer", "chest")))["comparisons"]
    tests = [test for block in comparisons.values() for test in block["family"]]
    assert len(tests) == 12
    expected = multipletests([1.0 if t["p"] is None else t["p"] for t in tests], method="holm")[1]
    assert [t["holm_all"] for t in tests] == pytest.approx(expected, rel=1e-9)
    assert all(t["holm_all"] >= t["holm"] for t in tests)
    assert any(t["holm_all"] > t["holm"] for t in tests)


def test_holm_over_one_comparison(statistics):
    assert all(test["holm_all"] == test["holm"] for test in statistics["comparisons"]["transfer"]["family"])


def test_predictive_values_by_bayes(statistics):
    """Mean over seeds of the PPV that each seed's rates give at a prevalence."""
    block = statistics["arms"]["transfer"]
    (row,) = [r for r in block["predictive_values"] if r["point"] == POINT and r["prevalence"] == 0.01]
    ppv = []
    for run in block["per_seed"].values():
        rates = run["operating_points"][POINT]
        se, sp = rates["sensitivity"]["estimate"], rates["specificity"]["estimate"]
        ppv.append(se * 0.01 / (se * 0.01 + (1 - sp) * 0.99))
    assert row["ppv"]["estimate"] == pytest.approx(np.mean(ppv), rel=1e-12)


def test_missed_and_false_alarms_are_complements(statistics):
    block = statistics["arms"]["transfer"]
    rates = block["operating_points"][POINT]
    assert block["missed_per_100"]["estimate"] == pytest.approx(100 * (1 - rates["sensitivity"]["estimate"]))
    assert block["missed_per_100"]["lower"] == pytest.approx(100 * (1 - rates["sensitivity"]["upper"]))
    assert block["false_alarms_per_1000"]["estimate"] == pytest.approx(1000 * (1 - rates["specificity"]["estimate"]))
