"""Tables of curves against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit
from sklearn.metrics import precision_recall_curve, roc_auc_score, roc_curve

from diagnostic_accuracy import curves
from diagnostic_accuracy.bootstrap import bootstrap
from diagnostic_accuracy.scores import scores_of
from simulated_scores import predictions


@pytest.fixture(scope="module")
def draws():
    return bootstrap(scores_of(predictions(decimals=2)), replicates=200)


def test_roc_curves(draws):
    external, table = draws.scores.external, curves.roc_curves(draws.scores)
    for arm, run in draws.runs:
        rows = table[(table["arm"] == arm) & (table["run"] == str(run))]
        x, y, cut = roc_curve(external.label, external.values[arm, run], drop_intermediate=False)
        assert rows["x"].to_numpy() == pytest.approx(x)
        assert rows["y"].to_numpy() == pytest.approx(y)
        assert rows["threshold"].to_numpy()[1:] == pytest.approx(cut[1:])
        assert np.trapezoid(rows["y"], rows["x"]) == pytest.approx(
            roc_auc_score(external.label, external.values[arm, run])
        )
    for arm in draws.scores.arms:
        mean = table[(table["arm"] == arm) & (table["run"] == "")]
        areas = [roc_auc_score(external.label, external.values[column]) for column in draws.runs if column[0] == arm]
        # 401 points of a step function of 45 normal films
        assert np.trapezoid(mean["y"], mean["x"]) == pytest.approx(np.mean(areas), abs=2e-3)
        assert (np.diff(mean["y"]) >= 0).all()


def test_precision_recall_curves(draws):
    external, table = draws.scores.external, curves.precision_recall_curves(draws.scores)
    for arm, run in draws.runs:
        rows = table[(table["arm"] == arm) & (table["run"] == str(run))]
        y, x, cut = precision_recall_curve(external.label, external.values[arm, run])
        assert rows["x"].to_numpy() == pytest.approx(x[:-1][::-1])
        assert rows["y"].to_numpy() == pytest.approx(y[:-1][::-1])
        assert rows["threshold"].to_numpy() == pytest.approx(cut[::-1])


def test_risks_and_calibration(draws):
    external = draws.scores.external
    risks = curves.risks_of(draws, "logistic")
    for column, line in zip(draws.runs, draws.lines["logistic"], strict=True):
        assert risks[column].to_numpy() == pytest.approx(expit(line[0] + line[1] * external.predictor[column]))
    table = curves.calibration_curves(draws)
    deciles = table[(table["curve"] == "decile") & (table["recalibration"] == "logistic")]
    for arm, run in draws.runs:
        rows = deciles[(deciles["arm"] == arm) & (deciles["run"] == str(run))]
        assert rows["n"].sum() == len(external.values)
        assert (rows["n"] * rows["observed"]).sum() == pytest.approx(external.label.sum())
        assert (rows["n"] * rows["predicted"]).sum() == pytest.approx(risks[arm, run].sum())
    means = deciles[deciles["run"] == ""]
    assert set(means["arm"]) == set(draws.scores.arms)
    assert table[table["curve"] == "smooth"]["observed"].between(0, 1).all()


def test_histogram_of_the_draws(draws):
    table = curves.draw_histogram(draws, "auc", "scratch")
    gap = draws.values["auc", "film"][:, 3:].mean(axis=1) - draws.values["auc", "film"][:, :3].mean(axis=1)
    assert table["count"].sum() == 200
    assert (table["left"].min(), table["right"].max()) == pytest.approx((gap.min(), gap.max()))
    alone = bootstrap(scores_of(predictions({"a": (0,)})), replicates=100)
    assert len(curves.draw_histogram(alone, "auc", "a")) == 0


def test_thinned():
    assert curves.thin(10).tolist() == list(range(10))
    kept = curves.thin(1_000_000)
    assert len(kept) <= curves.MOST_POINTS
    assert (kept[0], kept[-1]) == (0, 999_999)
