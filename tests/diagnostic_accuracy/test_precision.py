"""Precision of a next study: pmvalsampsize's published example, simulations with known truth, shares by hand."""

import math

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats

from diagnostic_accuracy.estimates import results
from diagnostic_accuracy.precision import (
    auc_variance,
    binormal_risks,
    expected_precision,
    films_needed,
    net_benefit_variance,
    rates_at,
    rescaled_differences,
    run_spreads,
    slope_variance,
)
from diagnostic_accuracy.roc import auc

NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(80)


def test_the_published_example_of_pmvalsampsize():
    # pmvalsampsize(type="b", prevalence=0.018, cstatistic=0.8, lpnormal=(-5, 2.5), oeciwidth=1), its help page and
    # version 0.2.1: 905 for O/E (its search for the standard error ends one step late), 4252 for the C statistic, and
    # 4544 (R) or 4546 (Python) for the slope, both from a simulated linear predictor
    found = films_needed(0.8, 0.018, {"oe": 1.0, "auc": 0.1}).set_index("measure")["films"]
    assert found["auc"] == 4252
    assert found["oe"] == pytest.approx(905, abs=1)
    films = slope_variance(-5 + 2.5 * NODES, WEIGHTS) / (0.2 / 2 / 1.96) ** 2
    assert films == pytest.approx(4546, rel=0.005)
    # its standard errors at those sizes: .02551 for the C statistic
    assert math.sqrt(auc_variance(0.8, 4252, 0.018)) == pytest.approx(0.02550829593912359, rel=1e-9)


def test_net_benefit_by_hand():
    # Riley 2021, equation 9, with w = (.6 / .4)(.4 / .6) = 1: .16 / .4 + .24 / .6 + .16 / .24
    assert net_benefit_variance(0.8, 0.6, 0.4, 0.4) == pytest.approx(0.4 + 0.4 + 2 / 3)
    # and as the variance of a mean: each film brings TP / share - w FP / share ... of which the share is known
    rng = np.random.default_rng(0)
    ill = rng.random((4000, 500)) < 0.4
    called = np.where(ill, rng.random(ill.shape) < 0.8, rng.random(ill.shape) < 0.4)
    sensitivity, specificity = (called & ill).sum(1) / ill.sum(1), (~called & ~ill).sum(1) / (~ill).sum(1)
    odds = (1 - ill.mean(1)) / ill.mean(1) * (0.4 / 0.6)
    benefit = sensitivity - odds * (1 - specificity)
    assert 500 * benefit.var() == pytest.approx(net_benefit_variance(0.8, 0.6, 0.4, 0.4), rel=0.06)


def test_rates_and_risks_of_binormal_scores_are_those_of_a_large_sample():
    rng, shift = np.random.default_rng(1), np.sqrt(2) * stats.norm.ppf(0.9)
    ill = rng.random(400_000) < 0.36
    score = rng.standard_normal(ill.size) + shift * ill
    risk = 1 / (1 + np.exp(-(np.log(0.36 / 0.64) + shift * score - shift**2 / 2)))
    sensitivity, specificity = rates_at(0.9, 0.36, 0.1)
    assert sensitivity == pytest.approx((risk >= 0.1)[ill].mean(), abs=0.003)
    assert specificity == pytest.approx((risk < 0.1)[~ill].mean(), abs=0.003)
    assert slope_variance(*binormal_risks(0.9, 0.36)) == pytest.approx(
        slope_variance(np.log(risk / (1 - risk))), rel=0.01
    )


def test_expected_intervals_are_those_of_simulated_studies():
    """250 studies: threshold and recalibration learnt on 1,500 validation films, three runs, known truth."""
    films, validation, share, area, spread, runs = 1200, 1500, 0.36, 0.9, 0.01, 3
    shift = np.sqrt(2) * stats.norm.ppf(area)
    moved = spread * np.sqrt(2) / stats.norm.pdf(shift / np.sqrt(2))  # of the shift, so that the AUC moves by `spread`
    rng, found = np.random.default_rng(2), []
    for _ in range(250):
        one = []
        ill, learnt = rng.random(films) < share, rng.random(validation) < share
        common, before = rng.standard_normal(films), rng.standard_normal(validation)  # all runs see the same films
        for change in moved * rng.standard_normal(runs):
            score, seen = common + (shift + change) * ill, before + (shift + change) * learnt
            cut = np.quantile(seen[learnt], 0.1)
            fit = sm.GLM(learnt.astype(float), sm.add_constant(seen), family=sm.families.Binomial()).fit().params
            lp = fit[0] + fit[1] * score
            slope = sm.GLM(ill.astype(float), sm.add_constant(lp), family=sm.families.Binomial()).fit().params[1]
            ratio = np.log(ill.mean() / (1 / (1 + np.exp(-lp))).mean())
            one.append([auc(ill, score), (score >= cut)[ill].mean(), slope, ratio])
        found.append(np.mean(one, axis=0))
    seen = np.std(found, axis=0, ddof=1)
    # truth at df = inf: the widths of `expected_precision` divided by t, which the test takes off again
    told = expected_precision(area, share, films, validation, runs, run_sd={"auc": spread}).set_index("measure")
    parts = told[["external films", "validation films", "training runs"]]
    assert parts.sum(axis=1).tolist() == pytest.approx([1.0] * 5)
    alone = expected_precision(area, share, films, validation).set_index("measure")
    error = alone["width"] / 2 / stats.norm.ppf(0.975)
    expected = [math.hypot(error["auc"], spread / math.sqrt(runs)), error["sensitivity"], error["calibration_slope"]]
    assert seen[:3] == pytest.approx(expected, rel=0.1)
    # Riley takes the expected number as known. It goes up and down with the observed one: of the variance
    # share (1 - share) only the mean of p (1 - p) is left. So his width is a bound
    lp, weight = binormal_risks(area, share)
    left = float((weight / (2 + np.exp(lp) + np.exp(-lp))).sum()) / (share * (1 - share))
    bound = math.log(alone.loc["oe", "upper"]) / stats.norm.ppf(0.975)
    assert seen[3] == pytest.approx(bound * math.sqrt(left), rel=0.1)
    assert told.loc["auc", "training runs"] == pytest.approx(spread**2 / runs / expected[0] ** 2)
    # 5 % of a t distribution with df = V^2 / (V_r^2 / 2), by hand
    df = expected[0] ** 4 / ((spread**2 / runs) ** 2 / (runs - 1))
    assert told.loc["auc", "width"] == pytest.approx(2 * stats.t.ppf(0.975, df) * expected[0])


def test_limits_of_shares_are_cut_and_widths_are_not():
    # 45 malignant films: .99 +- 1.96 sqrt(.99 x .01 / 45) = .99 +- .029
    found = expected_precision(0.95, 0.9, 50, sensitivity=0.99).set_index("measure").loc["sensitivity"]
    assert found["upper"] == 1.0
    assert found["width"] == pytest.approx(2 * 1.959964 * math.sqrt(0.99 * 0.01 / 45))


def test_a_ceiling_has_no_number_of_films():
    # 100 validation films alone spread a slope by more than .2 (about 1.6 / sqrt(100) on either side)
    found = films_needed(0.9, 0.36, {"calibration_slope": 0.2}, validation=100)
    assert found["films"].isna().all()
    assert films_needed(0.9, 0.36, {"calibration_slope": 0.2})["films"].notna().all()


def test_clustered_films_ask_for_as_many_more():
    alone, repeated = (films_needed(0.9, 0.36, {"oe": 0.2}, design_effect=d)["films"][0] for d in (1.0, 1.5))
    assert repeated == pytest.approx(1.5 * alone, abs=2)


def test_bad_input_is_refused():
    for settings in ({"auc": 0.4}, {"films": 2}, {"runs": 0}, {"design_effect": 0.5}):
        given = {"auc": 0.9, "malignant_share": 0.3, "films": 100} | settings
        with pytest.raises(ValueError, match="needs an AUC"):
            expected_precision(**given)
    with pytest.raises(ValueError, match="sensitivity is 1"):
        expected_precision(0.9, 0.3, 100, sensitivity=1.0)


def study(shares, runs=3, df=4.0):
    """A table of results: an AUC difference with its shares; 400 external films (144 malignant), 100 for validation."""
    place = {"measure": "auc", "arm": "a", "reference": "b", "unit": "film", "confidence": 0.95}
    reach = stats.t.ppf(0.975, df) * 0.02
    difference = {**place, "section": "discrimination", "estimate": 0.01, "lower": 0.01 - reach, "upper": 0.01 + reach,
                  "df": df}  # fmt: skip
    counts = [("external", "films", 400), ("external", "malignant_films", 144), ("validation", "films", 100)]
    rows = [difference, *({"section": "cohort", "measure": m, "group": g, "estimate": n} for g, m, n in counts)]
    rows += [{"section": "as_published", "measure": "auc", "arm": "a", "run": str(run), "unit": "film", "estimate": 0.9}
             for run in range(runs)]  # fmt: skip
    named = zip(("training runs", "external patients", "validation patients"), shares, strict=True)
    same = {"section": "variance", "unit": "film", "arm": "a"}
    rows += [{**same, "reference": "b", "measure": "share", "group": f"auc: {source}", "estimate": share}
             for source, share in named]  # fmt: skip
    rows += [{**same, "measure": "run_sd", "group": "auc", "estimate": 0.012},
             {**same, "measure": "run_sd", "group": "net_benefit", "estimate": 0.018}]  # fmt: skip
    return results(rows)


def test_shares_of_a_finished_study_by_hand():
    same = rescaled_differences(study([0.5, 0.3, 0.2]), 400).iloc[0]
    assert same["width"] == pytest.approx(same["width_now"])
    # four times the external films, twice the validation films, three times the runs: V = .0004 (.5/3 + .3/4 + .2/2)
    new = rescaled_differences(study([0.5, 0.3, 0.2]), 1600, 200, 9).iloc[0]
    total = 0.5 / 3 + 0.3 / 4 + 0.2 / 2
    # the study's own nu: df = V^2 / (V_r^2 / nu), so nu = 4 x .5^2 = 1; four times as much with 8 / 2 times J - 1
    df = total**2 / ((0.5 / 3) ** 2 / 4)
    assert new["width"] == pytest.approx(2 * stats.t.ppf(0.975, df) * 0.02 * math.sqrt(total))
    assert new[["training runs", "external films", "validation films"]].tolist() == pytest.approx(
        [0.5 / 3 / total, 0.3 / 4 / total, 0.1 / total]
    )


def test_one_run_or_no_shares_give_no_rows():
    assert rescaled_differences(study([0.5, 0.3, 0.2], runs=1), 400).empty
    assert rescaled_differences(study([np.nan, np.nan, np.nan]), 400).empty
    assert rescaled_differences(results([]), 400).empty


def test_spreads_between_runs_come_from_the_table():
    assert run_spreads(study([0.5, 0.3, 0.2]), "a") == pytest.approx({"auc": 0.012, "net_benefit": 0.018 / 0.36})
    assert run_spreads(study([0.5, 0.3, 0.2]), "c") == {}
