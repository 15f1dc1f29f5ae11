"""Calibration by hand, and against scikit-learn and statsmodels; R (glm, rms, loess) is in the oracle cases."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression

from diagnostic_accuracy.calibration import (
    brier_score,
    calibration_fit,
    fit_recalibration,
    spiegelhalter_test,
    unreliability_test,
)
from diagnostic_accuracy.calibration_curves import calibration_table, smooth_calibration


def recalibrated_risks(label, x):
    intercept, slope = fit_recalibration(label, x)
    return expit(intercept + slope * x)


def films(seed=0, n=400, slope=1.5, intercept=-0.5):
    """Labels drawn from the risks after a known miscalibration."""
    rng = np.random.default_rng(seed)
    x = rng.normal(0, 1.5, n)
    label = (rng.random(n) < expit(intercept + slope * x)).astype(int)
    return label, expit(x)


# --- Brier ------------------------------------------------------------------------------------------------------------


def test_brier_by_hand():
    # four films with risk .2, one malignant, and four with .8, three malignant
    assert brier_score([1, 0, 0, 0, 1, 1, 1, 0], [0.2] * 4 + [0.8] * 4) == pytest.approx((0.64 + 3 * 0.04) / 4)


def test_brier_takes_risks_of_0_and_1():
    assert brier_score([1, 0, 1, 0], [1, 0, 0, 0]) == 0.25


# --- intercept, slope, tests ------------------------------------------------------------------------------------------


def standard_error(estimate):
    return (estimate.upper - estimate.lower) / (2 * 1.959963984540054)


def test_intercept_and_slope_equal_scikit_learn_and_fishers_information():
    label, risk = films()
    fit = calibration_fit(label, risk)
    x = logit(risk)
    line = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-12).fit(x[:, None], label)
    assert fit["intercept"].estimate == pytest.approx(line.intercept_[0], rel=1e-7)
    assert fit["slope"].estimate == pytest.approx(line.coef_[0, 0], rel=1e-7)
    # inverse of the information sum p (1 - p) [1, x][1, x]'
    fitted = expit(line.intercept_[0] + line.coef_[0, 0] * x)
    design = np.column_stack([np.ones(x.size), x])
    errors = np.sqrt(np.diag(np.linalg.inv(design.T @ (design * (fitted * (1 - fitted))[:, None]))))
    assert [standard_error(fit["intercept"]), standard_error(fit["slope"])] == pytest.approx(errors, rel=1e-6)


def test_in_the_large_makes_the_risks_sum_to_the_malignant_films():
    label, risk = films()
    fit = calibration_fit(label, risk)
    moved = expit(logit(risk) + fit["in_the_large"].estimate)  # the score equation of the shift alone
    assert moved.sum() == pytest.approx(label.sum(), abs=1e-7)
    assert standard_error(fit["in_the_large"]) == pytest.approx((moved * (1 - moved)).sum() ** -0.5, rel=1e-6)


def test_unreliability_is_a_likelihood_ratio():
    label, risk = films()
    test = unreliability_test(label, risk)
    x = logit(risk)
    line = sm.GLM(label, sm.add_constant(x), family=sm.families.Binomial()).fit(tol=1e-14)
    as_they_are = -np.logaddexp(0, np.where(label == 1, -x, x)).sum()
    assert test.chi_square == pytest.approx(2 * (line.llf - as_they_are), rel=1e-9)
    assert test.quality == pytest.approx(test.discrimination - test.unreliability)


def test_recalibrated_risks_have_no_unreliability():
    label, risk = films()
    recalibrated = recalibrated_risks(label, logit(risk))
    test = unreliability_test(label, recalibrated)
    assert test.chi_square == pytest.approx(0, abs=1e-9)
    assert test.p == pytest.approx(1, abs=1e-9)
    line = calibration_fit(label, recalibrated)
    assert line["slope"].estimate == pytest.approx(1, abs=1e-9)
    assert line["intercept"].estimate == pytest.approx(0, abs=1e-9)
    assert line["in_the_large"].estimate == pytest.approx(0, abs=1e-9)


def test_spiegelhalter_by_hand():
    # (1 - .8)(1 - 1.6) + (0 - .2)(1 - .4) = -.24; variance 2 x .36 x .16
    test = spiegelhalter_test([1, 0], [0.8, 0.2])
    assert test.estimate == pytest.approx(-0.24 / np.sqrt(2 * 0.36 * 0.16))
    assert spiegelhalter_test([1, 0], [0.5, 0.5]).estimate is None


@pytest.mark.parametrize(
    ("risk", "reason"),
    [
        ([0.0, 0.4, 0.6, 0.3], "1 of 4 risks are exactly 0 or 1"),
        ([0.5] * 4, "all scores are equal"),
        ([0.1, 0.2, 0.8, 0.9], "separate"),
        ([0.1, 0.5, 0.5, 0.9], "separate"),  # a tie at the cut: still no finite slope
    ],
)
def test_a_slope_that_does_not_exist_says_why(risk, reason):
    label = [0, 0, 1, 1]
    fit = calibration_fit(label, risk)
    assert reason in fit["slope"].note
    assert reason in unreliability_test(label, risk).note
    if "exactly" in reason:
        assert reason in fit["in_the_large"].note
    else:
        assert fit["in_the_large"].estimate is not None


def test_logistic_fit_survives_far_starts():
    # nearly separated and badly scaled: plain Newton from 0 overshoots; at the maximum the score equations hold
    x = np.r_[np.linspace(-300, -1, 50), np.linspace(-2, 900, 50)]
    label = np.r_[np.zeros(50), np.ones(50)].astype(bool)
    residual = label - recalibrated_risks(label, x)
    assert abs(residual.sum()) < 1e-6
    assert abs(residual @ x) < 1e-6


# --- curves -----------------------------------------------------------------------------------------------------------


def test_table_keeps_equal_risks_together_and_every_film():
    label, risk = films()
    rounded = np.round(risk, 1)
    table = calibration_table(label, rounded)
    assert table["n"].sum() == label.size
    assert table["malignant"].sum() == label.sum()
    assert (table["lowest"].to_numpy()[1:] > table["highest"].to_numpy()[:-1]).all()
    assert ((table["lower"] <= table["observed"]) & (table["observed"] <= table["upper"])).all()
    deciles = calibration_table(label, risk)
    assert deciles["n"].tolist() == [40] * 10
    one = calibration_table(label, risk, groups=1)
    assert one.loc[0, "predicted"] == pytest.approx(risk.mean())


@pytest.mark.parametrize("smoother", ["loess", "loess_direct"])
def test_smooth_curve_of_a_parabola_is_the_parabola(smoother):
    # 41, 49, 65, 89 and 121 of 200 films malignant: shares .2 + risk^2 / 2, which local quadratics reproduce
    places, malignant = np.array([0.1, 0.3, 0.5, 0.7, 0.9]), [41, 49, 65, 89, 121]
    label = np.concatenate([np.arange(200) < count for count in malignant])
    curve = smooth_calibration(label, np.repeat(places, 200), smoother)
    assert curve.observed == pytest.approx(0.2 + places**2 / 2, abs=1e-9)


@pytest.mark.parametrize("smoother", ["lowess", "loess"])
def test_smooth_curve_does_not_depend_on_the_size_of_the_risks(smoother):
    # local regression is equivariant: risks a billion times smaller have the same smoothed labels
    label, risk = films(n=120)
    large, small = (smooth_calibration(label, values, smoother) for values in (risk, risk * 1e-9))
    assert small.observed == pytest.approx(large.observed, rel=1e-6)


# --- recalibration ----------------------------------------------------------------------------------------------------


def test_logistic_recalibration_is_the_calibration_line():
    label, risk = films()
    line = calibration_fit(label, risk)
    wanted = line["intercept"].estimate, line["slope"].estimate
    assert fit_recalibration(label, logit(risk)) == pytest.approx(wanted)


@pytest.mark.parametrize(
    ("logits", "message"),
    [
        ([-2.0, -1.0, 1.0, 2.0], "separate"),
        ([1.0] * 4, "all scores are equal"),
        ([1.0, 2.0, 1.5, 0.5], "score no higher"),
        ([2.0, 1.0, -1.0, -2.0], "score no higher"),
        ([np.inf, 0.0, 1.0, 2.0], "inf"),
    ],
)
def test_recalibrations_that_cannot_be_fitted_are_refused(logits, message):
    with pytest.raises(ValueError, match=message):
        fit_recalibration([0, 0, 1, 1], logits)


@pytest.mark.parametrize("function", [brier_score, calibration_fit, unreliability_test, smooth_calibration])
def test_bad_input_is_refused(function):
    with pytest.raises(ValueError, match="outside"):
        function([0, 1], [0.5, 1.5])
    with pytest.raises(ValueError, match="nan"):
        function([0, 1], [0.5, np.nan])
    with pytest.raises(ValueError, match="one class"):
        function([1, 1], [0.5, 0.2])


def test_logits_that_hardly_differ_are_fitted_like_any_others():
    # slope and intercept are equivariant: for x' = m + s x, slope' = slope / s and intercept' = intercept - m slope / s
    rng = np.random.default_rng(3)
    x = rng.normal(size=200)
    label = rng.random(200) < 1 / (1 + np.exp(-x))
    (intercept, slope), tiny = fit_recalibration(label, x), fit_recalibration(label, -4.8 + 1e-6 * x)
    assert tiny[1] * 1e-6 == pytest.approx(slope, rel=1e-6)
    assert tiny[0] + tiny[1] * -4.8 == pytest.approx(intercept, abs=1e-5)
