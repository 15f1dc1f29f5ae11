"""What stands beside the primary calibration, computed again by scikit-learn and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit, logit
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss

from osteotl.statistics.analysis import Inputs, analyse


@pytest.fixture(scope="module")
def whole(predictions_of, settings_of):
    """510 validation films, 204 of them malignant: enough for flexible recalibrations."""
    predictions = predictions_of(validation=510, films=200, malignant=80)
    return predictions.sort_values("image_id"), analyse(Inputs(settings_of(), predictions))


def films_of(predictions, cohort, arm, seed):
    part = predictions.query("cohort == @cohort and arm == @arm and seed == @seed")
    return part["label"].to_numpy(), part["logit"].to_numpy()


def logistic_risk(predictions, arm, seed):
    label, x = films_of(predictions, "validation", arm, seed)
    fit = LogisticRegression(C=np.inf, tol=1e-12, max_iter=1000).fit(x[:, np.newaxis], label)
    truth, there = films_of(predictions, "external", arm, seed)
    return truth, fit.predict_proba(there[:, np.newaxis])[:, 1]


def test_isotonic_brier_score_is_that_of_scikit_learn(whole):
    predictions, found = whole
    for seed in (0, 1):
        fit = IsotonicRegression(out_of_bounds="clip")
        label, x = films_of(predictions, "validation", "transfer", seed)
        fit.fit(x, label)
        truth, there = films_of(predictions, "external", "transfer", seed)
        ours = found.statistics["arms"]["transfer"]["per_seed"][str(seed)]["brier_isotonic"]
        assert ours["estimate"] == pytest.approx(brier_score_loss(truth, fit.predict(there).clip(0, 1)), abs=1e-9)


def test_beta_brier_score_is_near_the_logistic_one(whole):
    """The scores are binormal logits: the logistic map is right, and beta recalibration holds it as a = b."""
    run = whole[1].statistics["arms"]["scratch"]["per_seed"]["0"]
    assert run["brier_beta"]["estimate"] == pytest.approx(run["brier_recalibrated"]["estimate"], abs=0.005)
    assert run["brier_beta"]["estimate"] != run["brier_recalibrated"]["estimate"]


def test_too_few_validation_tumours_for_flexible_ones(statistics):
    number = statistics["arms"]["scratch"]["per_seed"]["0"]["brier_isotonic"]
    assert number["estimate"] is None
    assert "200" in number["not_estimable"]


def test_net_benefit_at_another_prevalence_by_hand(whole):
    """Sensitivity and false positive rate of shifted risks at the cut, weighted by the other prevalence."""
    predictions, found = whole
    table = found.tables["net_benefit_prevalence"]
    moved = logit(0.10) - logit(204 / 510)
    benefits = []
    for seed in (0, 1):
        truth, risk = logistic_risk(predictions, "transfer", seed)
        called = expit(logit(risk) + moved) >= 0.05
        share = called[truth == 1].mean() * 0.10 - called[truth == 0].mean() * 0.90 * 0.05 / 0.95
        benefits.append(share)
    row = table.query("arm == 'transfer' and prevalence == 0.10 and threshold == 0.05").iloc[0]
    assert row["net_benefit"] == pytest.approx(np.mean(benefits), abs=1e-9)
    assert row["treat_all"] == pytest.approx(0.10 - 0.90 * 0.05 / 0.95)


def test_distances_of_the_first_seed_have_intervals(whole):
    """Those of the recalibrated risks hold the sampling of validation films too."""
    for name in ("ici", "e50", "e90"):
        runs = whole[1].statistics["arms"]["transfer"]["per_seed"]
        first, second = runs["0"][name], runs["1"][name]
        assert 0 <= first["lower"] < first["upper"]
        assert "recalibration refitted" in first["method"]
        assert "refitted" not in runs["0"][f"{name}_raw"]["method"]
        assert runs["0"][f"{name}_raw"]["lower"] is not None
        assert second["lower"] is None
        assert "point estimate" in second["method"]


def test_intervals_of_distances_are_those_of_repeated_rows(whole, settings_of):
    """Limits of the raw ICI from draws by `resampled_rows` and the plain curve."""
    from osteotl.statistics.calibration_curves import smooth_calibration
    from osteotl.statistics.resampling import resampled_rows

    predictions, found = whole
    label, x = films_of(predictions, "external", "scratch", 0)
    drawn = [smooth_calibration(label[rows], expit(x[rows])).ici for rows in resampled_rows(label, None, 120, 0)]
    ours = found.statistics["arms"]["scratch"]["per_seed"]["0"]["ici_raw"]
    assert (ours["lower"], ours["upper"]) == pytest.approx(np.quantile(drawn, [0.025, 0.975]), abs=1e-9)
