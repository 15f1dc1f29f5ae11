"""Run by run against scikit-learn, statsmodels, and the functions that the oracles hold."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.metrics import confusion_matrix, roc_auc_score
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.proportion import proportion_confint

from diagnostic_accuracy.as_published import compare_run_by_run, false_positive_rate, pairs
from diagnostic_accuracy.bootstrap import bootstrap
from diagnostic_accuracy.delong import compare_auc
from diagnostic_accuracy.estimates import one, select
from diagnostic_accuracy.scores import scores_of
from diagnostic_accuracy.thresholds import points_of
from simulated_scores import predictions

POINTS = points_of({"high_sensitivity": 0.9}, ("validation",))
PLACE = {"point": "high_sensitivity", "threshold_from": "validation"}


def drawn(**more):
    return bootstrap(
        scores_of(predictions({"a": (0, 1), "b": (1, 0)}, **more)), POINTS, replicates=100, recalibrations=()
    )


@pytest.fixture(scope="module", params=[1, 3])
def draws(request):
    return drawn(most_films=request.param)


@pytest.fixture(scope="module")
def table(draws):
    return compare_run_by_run(draws, reference="a", replicates=200)


def calls(draws, arm, run):
    column = draws.runs.index((arm, run))
    external = draws.scores.external
    return external.label.to_numpy(), external.values[arm, run] >= draws.thresholds["high_sensitivity", "validation"][
        column
    ]


def test_every_run(draws, table):
    external = draws.scores.external
    clustered = external.patient.nunique() < len(external.values)
    for arm, run in draws.runs:
        label, called = calls(draws, arm, run)
        tn, fp, fn, tp = confusion_matrix(label, called).ravel()
        place = {"arm": arm, "run": run, "reference": None}
        area = one(table, measure="auc", **place)
        assert area["estimate"] == pytest.approx(roc_auc_score(label, external.values[arm, run]))
        wanted = {
            "sensitivity": (tp, tp + fn),
            "specificity": (tn, tn + fp),
            "ppv": (tp, tp + fp),
            "npv": (tn, tn + fn),
        }
        for name, (over, under) in wanted.items():
            row = one(table, measure=name, **place, **PLACE)
            assert row["estimate"] == pytest.approx(over / under)
            assert (row["events"], row["n"]) == (over, under)
            assert [row["lower"], row["upper"]] == pytest.approx(proportion_confint(over, under, method="wilson"))
    assert (table["basis"] == "this run only").all()
    assert ("delong_clustered" in set(table["measure"])) == clustered


def test_tests_within_one_run(draws, table):
    label = draws.scores.external.label.to_numpy()
    for run in (0, 1):
        pair = [draws.scores.external.values[arm, run].to_numpy() for arm in ("b", "a")]
        place = {"arm": "b", "reference": "a", "run": run}
        row, wanted = one(table, measure="delong", **place), compare_auc(label, *pair)
        assert (row["estimate"], row["p"]) == pytest.approx((wanted.estimate, wanted.p))
        for rate, side in (("sensitivity", label), ("specificity", ~label)):
            b, a = (calls(draws, arm, run)[1].to_numpy()[side] == label[side] for arm in ("b", "a"))
            counts = [[int((a & b).sum()), int((a & ~b).sum())], [int((~a & b).sum()), int((~a & ~b).sum())]]
            off = counts[0][1], counts[1][0]
            at = {**place, **PLACE, "group": rate}
            exact = one(table, measure="mcnemar_exact", **at)
            assert exact["events"] == sum(off)
            assert exact["estimate"] == pytest.approx(b.mean() - a.mean())
            if sum(off):
                assert exact["p"] == pytest.approx(mcnemar(counts, exact=True).pvalue)
                corrected = stats.chi2.sf(max(abs(off[0] - off[1]) - 1, 0) ** 2 / sum(off), 1)
                assert one(table, measure="mcnemar_corrected", **at)["p"] == pytest.approx(corrected)
                least = stats.binom(sum(off), 0.5)
                midp = 2 * least.cdf(min(off)) - least.pmf(min(off))
                assert one(table, measure="mcnemar_midp", **at)["p"] == pytest.approx(midp)
            tango = one(table, measure="tango", **at)
            assert tango["lower"] < tango["estimate"] < tango["upper"]


def test_runs_are_paired_by_name_else_by_place():
    def of(arms):
        return list(pairs(bootstrap(scores_of(predictions(arms)), replicates=100, recalibrations=()), "a"))

    assert of({"a": (0, 1, 2), "b": (2, 0)}) == [(3, 0), (4, 2)]
    assert of({"a": (0, 1), "b": (7, 8, 9)}) == [(2, 0), (3, 1)]
    found = bootstrap(scores_of(predictions({"a": (0,), "b": (7,)})), replicates=100, recalibrations=())
    assert "7 against 0" in set(compare_run_by_run(found, reference="a")["run"])


def test_arms_that_call_alike():
    table = predictions({"a": (0,)})
    scores = scores_of(pd.concat([table, table.assign(arm="b")]))
    draws = bootstrap(scores, POINTS, replicates=100, recalibrations=())
    found = compare_run_by_run(draws, reference="a", replicates=100)
    rows = select(found, measure="mcnemar_corrected")
    assert rows["p"].isna().all()
    assert rows["note"].str.contains("no discordant pair").all()
    assert (rows["events"] == 0).all()


def test_a_run_without_a_threshold_has_no_calls():
    found = compare_run_by_run(drawn(validation=(0, 9)), reference="a", replicates=100)
    assert set(found["measure"]) == {"auc", "delong"}


def test_every_pair_of_equal_runs_is_counted(draws):
    """Four runs make six pairs; p values from statsmodels and `compare_auc`."""
    table = false_positive_rate(draws, "b", "a", level=0.3)
    external, runs = draws.scores.external, draws.runs
    called = {"auc": 0, "sensitivity": 0, "specificity": 0}
    for one_run, other in combinations(runs, 2):
        (label, ours), (_, theirs) = calls(draws, *one_run), calls(draws, *other)
        pair = external.values[one_run], external.values[other]
        called["auc"] += compare_auc(label, *pair, None).p < 0.3
        for rate, side in (("sensitivity", label), ("specificity", ~label)):
            right = [side_calls[side] == label[side] for side_calls in (ours, theirs)]
            counts = pd.crosstab(right[0], right[1]).reindex([True, False], axis=0).reindex([True, False], axis=1)
            counts = counts.fillna(0).to_numpy()
            if counts[0, 1] + counts[1, 0]:
                called[rate] += mcnemar(counts, exact=False, correction=True).pvalue < 0.3
    assert table["n"].tolist() == [6, 6, 6]
    assert dict(zip(table["group"], table["events"], strict=True)) == called
    assert table["estimate"].tolist() == pytest.approx([count / 6 for count in called.values()])
    assert (table["basis"] == "this run only").all()


def test_equal_runs_are_called_different_as_often_as_a_test_may_where_runs_do_not_vary():
    """60 runs of one model whose scores differ by noise of each film: the level; a spread of runs makes it more."""
    rng, label = np.random.default_rng(3), np.repeat([1, 0], [120, 200])
    shared = rng.standard_normal(label.size) + 1.2 * label
    rates = {}
    for spread in (0.0, 0.3):
        shift = spread * rng.standard_normal(60)
        parts = [pd.DataFrame({"image_id": np.arange(label.size).astype(str), "label": label, "cohort": "external",
                               "arm": "ab"[run % 2], "seed": run,
                               "score": shared + 0.5 * rng.standard_normal(label.size) + shift[run] * label})
                 for run in range(60)]  # fmt: skip
        drawn = bootstrap(scores_of(pd.concat(parts)), (), replicates=100, recalibrations=())
        rates[spread] = false_positive_rate(drawn, "b", "a")["estimate"].iloc[0]
    assert rates[0.0] == pytest.approx(0.05, abs=0.02)  # 1,770 pairs of 60 independent runs
    assert rates[0.3] > 0.4  # their AUCs differ by several standard errors of films
