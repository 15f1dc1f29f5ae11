"""Calibration by hand, and against statsmodels and scikit-learn; R (glm, rms, loess) is in the oracle cases."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from scipy.special import expit, logit
from sklearn.isotonic import IsotonicRegression

from osteotl.statistics._logistic import fit_logistic
from osteotl.statistics.calibration import brier_score, calibration_fit, spiegelhalter_test, unreliability_test
from osteotl.statistics.calibration_curves import calibration_table, smooth_calibration, smooth_calibration_intervals
from osteotl.statistics.recalibration import Recalibration, fit_recalibration, recalibrated_intervals


def films(seed=0, n=400, slope=1.5, intercept=-0.5):
    """Labels drawn from the risks after a known miscalibration."""
    rng = np.random.default_rng(seed)
    x = rng.normal(0, 1.5, n)
    label = (rng.random(n) < expit(intercept + slope * x)).astype(int)
    return label, expit(x)


# --- Brier ------------------------------------------------------------------------------------------------------------


def test_brier_parts_by_hand():
    # groups: risk .2 with 1 of 4 malignant, risk .8 with 3 of 4; prevalence .5
    label, risk = [1, 0, 0, 0, 1, 1, 1, 0], [0.2] * 4 + [0.8] * 4
    score = brier_score(label, risk, groups=None)
    assert score.score == pytest.approx((0.64 + 3 * 0.04) / 4)
    assert score.reliability == pytest.approx(0.05**2)
    assert score.resolution == pytest.approx(0.25**2)
    assert score.uncertainty == 0.25
    assert score.within_groups == pytest.approx(0, abs=1e-15)
    assert score.scaled == pytest.approx(1 - score.score / 0.25)


@pytest.mark.parametrize("groups", [None, 1, 5, 10])
def test_brier_parts_add_up(groups):
    label, risk = films()
    score = brier_score(label, risk, groups)
    assert score.score == pytest.approx(((risk - label) ** 2).mean())
    total = score.reliability - score.resolution + score.uncertainty + score.within_groups
    assert total == pytest.approx(score.score, abs=1e-15)


def test_brier_takes_risks_of_0_and_1():
    assert brier_score([1, 0, 1, 0], [1, 0, 0, 0]).score == 0.25


# --- intercept, slope, tests ------------------------------------------------------------------------------------------


def test_intercept_slope_and_in_the_large_equal_statsmodels():
    label, risk = films()
    fit = calibration_fit(label, risk)
    x = logit(risk)
    line = sm.GLM(label, sm.add_constant(x), family=sm.families.Binomial()).fit(tol=1e-14)
    large = sm.GLM(label, np.ones(label.size), family=sm.families.Binomial(), offset=x).fit(tol=1e-14)
    assert [fit.intercept.estimate, fit.slope.estimate] == pytest.approx(line.params, rel=1e-9)
    assert [fit.intercept_se, fit.slope_se] == pytest.approx(line.bse, rel=1e-6)
    assert fit.slope.interval == pytest.approx(line.conf_int()[1], rel=1e-6)
    assert fit.intercept.p == pytest.approx(line.pvalues[0], rel=1e-6)
    assert fit.in_the_large.estimate == pytest.approx(large.params[0], rel=1e-9)
    assert fit.in_the_large_se == pytest.approx(large.bse[0], rel=1e-6)


def test_clustered_errors_equal_statsmodels():
    label, risk = films()
    patients = np.arange(label.size) // 3
    fit = calibration_fit(label, risk, patients)
    options = {"cov_type": "cluster", "cov_kwds": {"groups": patients, "use_correction": True}}
    line = sm.GLM(label, sm.add_constant(logit(risk)), family=sm.families.Binomial()).fit(tol=1e-14, **options)
    groups, n = patients.max() + 1, label.size
    # statsmodels multiplies by G / (G - 1) x (n - 1) / (n - k); ours by G / (G - 1) alone
    for k, se, theirs in ((2, fit.intercept_se, line.bse[0]), (2, fit.slope_se, line.bse[1])):
        assert se == pytest.approx(theirs / np.sqrt((n - 1) / (n - k)), rel=1e-5), groups
    assert "clustered" in fit.slope.method
    alone = calibration_fit(label, risk, np.arange(n))
    assert alone.slope == calibration_fit(label, risk).slope


def test_unreliability_is_a_likelihood_ratio():
    label, risk = films()
    test = unreliability_test(label, risk)
    x = logit(risk)
    line = sm.GLM(label, sm.add_constant(x), family=sm.families.Binomial()).fit(tol=1e-14)
    as_they_are = -np.logaddexp(0, np.where(label == 1, -x, x)).sum()
    assert test.chi_square == pytest.approx(2 * (line.llf - as_they_are), rel=1e-9)
    assert test.quality == pytest.approx(test.discrimination - test.unreliability)


def test_perfectly_calibrated_fit_has_no_unreliability():
    label, risk = films()
    fit = fit_logistic(label == 1, logit(risk))
    recalibrated = expit(fit.intercept + fit.slope * logit(risk))
    test = unreliability_test(label, recalibrated)
    assert test.chi_square == pytest.approx(0, abs=1e-9)
    assert test.p == pytest.approx(1, abs=1e-9)
    line = calibration_fit(label, recalibrated)
    assert line.slope.estimate == pytest.approx(1, abs=1e-9)
    assert line.intercept.estimate == pytest.approx(0, abs=1e-9)
    assert line.in_the_large.estimate == pytest.approx(0, abs=1e-9)


def test_spiegelhalter_by_hand():
    # (1 - .8)(1 - 1.6) + (0 - .2)(1 - .4) = -.24; variance 2 x .36 x .16
    test = spiegelhalter_test([1, 0], [0.8, 0.2])
    assert test.z == pytest.approx(-0.24 / np.sqrt(2 * 0.36 * 0.16))
    assert spiegelhalter_test([1, 0], [0.5, 0.5]).z is None


@pytest.mark.parametrize(
    ("risk", "reason"),
    [
        ([0.0, 0.4, 0.6, 0.3], "1 of 4 risks are exactly 0 or 1"),
        ([0.5] * 4, "all risks are equal"),
        ([0.1, 0.2, 0.8, 0.9], "separate"),
        ([0.1, 0.5, 0.5, 0.9], "separate"),  # a tie at the cut: still no finite slope
    ],
)
def test_a_slope_that_does_not_exist_says_why(risk, reason):
    label = [0, 0, 1, 1]
    fit = calibration_fit(label, risk)
    assert reason in fit.slope.not_estimable
    assert reason in unreliability_test(label, risk).not_estimable
    if "exactly" in reason:
        assert reason in fit.in_the_large.not_estimable
    else:
        assert fit.in_the_large.estimate is not None


def test_logistic_fit_refuses_what_has_no_maximum():
    with pytest.raises(ValueError, match="separates"):
        fit_logistic(np.array([False, True]), np.array([0.0, 1.0]))


def test_logistic_fit_survives_far_starts():
    # nearly separated and badly scaled: plain Newton from 0 overshoots
    x = np.r_[np.linspace(-300, -1, 50), np.linspace(-2, 900, 50)]
    label = np.r_[np.zeros(50), np.ones(50)].astype(bool)
    fit = fit_logistic(label, x)
    residual = label - expit(fit.intercept + fit.slope * x)
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


def test_smooth_curve_of_labels_on_a_parabola():
    # local quadratic regression reproduces a quadratic exactly, at corners and between (cubic Hermite)
    risk = np.linspace(0.01, 0.99, 300)
    from osteotl.statistics._smoothing import loess

    shape = 0.2 + 0.5 * risk + 0.3 * risk**2
    assert loess(risk, shape, risk) == pytest.approx(shape, abs=1e-10)
    assert loess(risk, shape, risk, direct=True) == pytest.approx(shape, abs=1e-10)


@pytest.mark.parametrize("smoother", ["lowess", "loess"])
def test_smooth_curve_does_not_depend_on_the_size_of_the_risks(smoother):
    # local regression is equivariant: risks a billion times smaller have the same smoothed labels
    label, risk = films(n=120)
    large, small = (smooth_calibration(label, values, smoother) for values in (risk, risk * 1e-9))
    assert small.observed == pytest.approx(large.observed, rel=1e-6)


def test_smooth_curve_says_when_there_is_none():
    assert "all risks are equal" in smooth_calibration([1, 0], [0.5, 0.5]).not_estimable
    risk = np.r_[np.zeros(95), np.linspace(0.1, 0.9, 5)]
    label = np.r_[np.zeros(95), np.ones(5)]
    assert "risks equal" in smooth_calibration(label, risk).not_estimable
    intervals = smooth_calibration_intervals(label, risk, replicates=100)
    assert intervals["ici"].estimate is None


def test_smooth_intervals_hold_the_estimate_and_repeat():
    label, risk = films(n=150)
    one = smooth_calibration_intervals(label, risk, replicates=150, seed=4)
    assert one == smooth_calibration_intervals(label, risk, replicates=150, seed=4)
    assert 0 < one["ici"].lower < one["ici"].upper
    assert one["ici"].estimate == smooth_calibration(label, risk).ici


# --- recalibration ----------------------------------------------------------------------------------------------------


def test_logistic_recalibration_is_the_calibration_line():
    label, risk = films()
    x = logit(risk)
    fitted = fit_recalibration(label, x)
    line = calibration_fit(label, risk)
    assert fitted.parameters["intercept"] == pytest.approx(line.intercept.estimate)
    assert fitted.parameters["slope"] == pytest.approx(line.slope.estimate)
    assert fitted.risks(x) == pytest.approx(expit(line.intercept.estimate + line.slope.estimate * x))
    assert Recalibration.from_dict(fitted.to_dict()) == fitted


def test_isotonic_equals_scikit_learn():
    label, risk = films(n=1200)
    x = np.round(logit(risk), 2)
    theirs = IsotonicRegression(out_of_bounds="clip").fit(x, label)
    elsewhere = np.linspace(-8, 8, 400)
    assert fit_recalibration(label, x, "isotonic").risks(elsewhere) == pytest.approx(theirs.predict(elsewhere))


def test_beta_is_the_maximum_of_its_likelihood():
    label, risk = films(n=1500)
    fitted = fit_recalibration(label, logit(risk), "beta")
    design = sm.add_constant(np.column_stack([np.log(risk), -np.log1p(-risk)]))
    line = sm.GLM(label, design, family=sm.families.Binomial()).fit(tol=1e-14)
    assert list(fitted.parameters.values()) == pytest.approx(line.params, rel=1e-4)


def test_flexible_recalibrations_need_200_malignant_films():
    label, risk = films(n=300)
    for method in ("isotonic", "beta"):
        with pytest.raises(ValueError, match="it needs 200"):
            fit_recalibration(label, logit(risk), method)


@pytest.mark.parametrize(
    ("logits", "message"),
    [
        ([-2.0, -1.0, 1.0, 2.0], "separate"),
        ([1.0] * 4, "all validation logits are equal"),
        ([1.0, 2.0, 1.5, 0.5], "slope on validation"),
        ([np.inf, 0.0, 1.0, 2.0], "inf"),
    ],
)
def test_recalibrations_that_cannot_be_fitted_are_refused(logits, message):
    with pytest.raises(ValueError, match=message):
        fit_recalibration([0, 0, 1, 1], logits)


def test_intervals_resample_validation_too():
    label, risk = films(n=200)
    other_label, other_risk = films(seed=9, n=300)
    own = recalibrated_intervals((label, logit(risk)), (label, logit(risk)), replicates=200)
    # judged on the very films of the fit: intercept 0 and slope 1, but the two sets are drawn apart
    assert own["calibration_slope"].estimate == pytest.approx(1, abs=1e-8)
    assert own["calibration_intercept"].estimate == pytest.approx(0, abs=1e-8)
    assert own["calibration_slope"].lower < 1 < own["calibration_slope"].upper
    both = recalibrated_intervals((label, logit(risk)), (other_label, logit(other_risk)), replicates=300)
    fitted = fit_recalibration(label, logit(risk))
    judged = fitted.risks(logit(other_risk))
    assert both["brier"].estimate == pytest.approx(((judged - other_label) ** 2).mean())
    line = calibration_fit(other_label, judged)
    assert both["calibration_slope"].estimate == pytest.approx(line.slope.estimate)
    # a larger interval than with the recalibration held fixed (Wald)
    width = both["calibration_slope"].upper - both["calibration_slope"].lower
    assert width > 1.1 * (line.slope.upper - line.slope.lower)


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
    plain, tiny = fit_logistic(label, x), fit_logistic(label, -4.8 + 1e-6 * x)
    assert tiny.slope * 1e-6 == pytest.approx(plain.slope, rel=1e-6)
    assert tiny.intercept + tiny.slope * -4.8 == pytest.approx(plain.intercept, abs=1e-5)
    assert tiny.covariance[1, 1] * 1e-12 == pytest.approx(plain.covariance[1, 1], rel=1e-6)
