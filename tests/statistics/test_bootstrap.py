"""The joint bootstrap against a plain reference: NumPy draws, scikit-learn and statsmodels on weighted rows."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

from osteotl.statistics import _kernels
from osteotl.statistics._bootstrap_plan import canonical_order
from osteotl.statistics._intervals import bca_limits, p_values, percentile_limits
from osteotl.statistics.bootstrap import RATES, joint_bootstrap, weighted_statistics
from osteotl.statistics.operating_points import confusion_at, select_threshold
from osteotl.statistics.resampling import draw_weights

CUTS = {"low": {"a": 0.3, "b": 0.35}, "high": {"a": 0.7, "b": 0.8}}
RULES = {
    "sensitive": ("high_sensitivity", 0.9),
    "specific": ("high_specificity", 0.9),
    "best": ("youden", None),
}
AT = [0.05, 0.2, 0.5]


def cohort(seed: int = 0, malignant: int = 40, normal: int = 70, digits: int = 2) -> tuple[np.ndarray, dict]:
    """Two correlated arms with ties (scores of a few digits, never exactly 0 or 1)."""
    rng = np.random.default_rng(seed)
    label = np.r_[np.ones(malignant), np.zeros(normal)].astype(int)
    common = rng.normal(size=label.size) + 1.2 * label
    scores = {arm: 1 / (1 + np.exp(-(common + rng.normal(size=label.size)))) for arm in "ab"}
    rounded = {arm: np.clip(np.round(s, digits), 0.01, 0.99) for arm, s in scores.items()}
    order = rng.permutation(label.size)
    return label[order], {arm: s[order] for arm, s in rounded.items()}


def run(label, scores, **changes):
    options = {"risks": scores, "thresholds": CUTS, "reselect": RULES, "net_benefit_at": AT, "replicates": 200}
    return joint_bootstrap(label, scores, **({"seed": 3} | options | changes))


# --- the plain reference ----------------------------------------------------------------------------------------------

MASK = (1 << 64) - 1


def mix(z: int) -> int:
    """SplitMix64's finaliser in Python's unbounded integers, straight from Steele, Lea & Flood (2014)."""
    z = (z + 0x9E3779B97F4A7C15) & MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def reference_draw(strata: list[int], seed: int, replicate: int) -> np.ndarray:
    counts = np.zeros(strata[-1], int)
    key = mix(mix(seed) ^ (replicate * 0xD1342543DE82EF95 & MASK))
    for first, last in pairwise(strata):
        size = last - first
        for i in range(size):
            word = mix((key + (first + i // 2) * 0x9E3779B97F4A7C15) & MASK)
            half = word >> 32 if i % 2 else word & 0xFFFFFFFF
            counts[first + (half * size >> 32)] += 1
    return counts


def reference_statistics(label: np.ndarray, score: np.ndarray, weight: np.ndarray, cuts: dict) -> dict[str, float]:
    rows = np.repeat(np.arange(label.size), weight)
    y, s = label[rows], score[rows]
    logit = np.log(s / (1 - s))
    fit = sm.GLM(y, sm.add_constant(logit), family=sm.families.Binomial()).fit(tol=1e-14, maxiter=200)
    values = {
        "auc": roc_auc_score(y, s),
        "average_precision": average_precision_score(y, s),
        "max_f1": max(f1_score(y, s >= t) for t in np.unique(s)),
        "brier": ((s - y) ** 2).mean(),
        "calibration_intercept": fit.params[0],
        "calibration_slope": fit.params[1],
    }
    tables = {point: confusion_at(y, s, cut) for point, cut in cuts.items()}
    tables |= {name: select_threshold(y, s, rule, target).counts for name, (rule, target) in RULES.items()}
    for point, table in tables.items():
        for rate in RATES[:-1]:
            value = table.rate(rate)
            values[f"{point}/{rate}"] = np.nan if value is None else value
        values[f"{point}/sum"] = values[f"{point}/sensitivity"] + values[f"{point}/specificity"]
    for t in AT:
        acted = s >= t
        values[f"net_benefit/{t:.4g}"] = (acted & (y == 1)).mean() - (acted & (y == 0)).mean() * t / (1 - t)
    return values


def test_draws_follow_the_written_generator():
    strata = np.array([0, 7, 20])
    counts = np.zeros(20, np.uint16)
    for seed, replicate in ((0, 0), (1, 5), (2**63, 9_999)):
        _kernels.draw(counts, strata, np.uint64(seed), np.uint64(replicate))
        assert counts.tolist() == reference_draw([0, 7, 20], seed, replicate).tolist()
        assert counts[:7].sum() == 7
        assert counts[7:].sum() == 13


def test_every_statistic_equals_the_reference_on_repeated_rows():
    label, scores = cohort()
    weights = draw_weights(label, replicates=8, seed=11)
    draws = weighted_statistics(
        label, scores, weights, risks=scores, thresholds=CUTS, reselect=RULES, net_benefit_at=AT
    )
    for arm, score in scores.items():
        for b in range(8):
            expected = reference_statistics(label, score, weights[b], {point: c[arm] for point, c in CUTS.items()})
            assert set(expected) == set(draws.names)
            for name, value in expected.items():
                np.testing.assert_allclose(draws.of(arm, name)[b], value, rtol=1e-9, atol=1e-9, err_msg=name)


def test_bootstrap_is_the_weighted_statistics_of_its_own_draws():
    label, scores = cohort()
    result = run(label, scores, replicates=100)
    # films in canonical order: class, then ranks over the arms; drawn weights are those of that order
    order = canonical_order(label == 1, list(scores.values()), np.arange(label.size))
    weights = draw_weights(label[order], replicates=100, seed=3)
    ordered = {arm: s[order] for arm, s in scores.items()}
    draws = weighted_statistics(
        label[order], ordered, weights, risks=ordered, thresholds=CUTS, reselect=RULES, net_benefit_at=AT
    )
    for arm in scores:
        np.testing.assert_array_equal(result.draws.tables[arm], draws.tables[arm])


def test_estimates_are_the_cohorts_own_values():
    label, scores = cohort()
    result = run(label, scores)
    expected = reference_statistics(label, scores["b"], np.ones(label.size, int), {p: c["b"] for p, c in CUTS.items()})
    for name, value in expected.items():
        assert result.estimates["b"][name].estimate == pytest.approx(value, rel=1e-9, abs=1e-9), name
        other = result.estimates["a"][name].estimate
        assert result.differences["b"][name].estimate == pytest.approx(value - other, rel=1e-9, abs=1e-9)


def test_intervals_are_type_7_quantiles_and_p_counts_draws_beyond_zero():
    label, scores = cohort()
    result = run(label, scores, replicates=999)
    draws = result.draws.of("b", "auc") - result.draws.of("a", "auc")
    difference = result.differences["b"]["auc"]
    assert difference.interval == pytest.approx(np.quantile(draws, [0.025, 0.975]), abs=1e-15)
    beyond = min((draws <= 0).sum(), (draws >= 0).sum())
    assert difference.p == min(1, 2 * (1 + beyond) / 1000)


# --- what a result may not depend on ----------------------------------------------------------------------------------


def test_threads_do_not_change_a_bit():
    label, scores = cohort(malignant=300, normal=500)
    tables = [run(label, scores, replicates=1500, threads=t).draws.tables for t in (1, 2, 5)]
    for arm in scores:
        np.testing.assert_array_equal(tables[0][arm], tables[1][arm])
        np.testing.assert_array_equal(tables[0][arm], tables[2][arm])


def test_the_first_replicates_of_a_longer_run_are_the_shorter_run():
    label, scores = cohort()
    short, long = run(label, scores, replicates=100), run(label, scores, replicates=300)
    np.testing.assert_array_equal(short.draws.tables["a"], long.draws.tables["a"][:, :100])


def test_row_order_does_not_change_a_bit():
    label, scores = cohort()
    patients = np.arange(label.size) // 2
    shuffled = np.random.default_rng(8).permutation(label.size)
    for who in (None, patients):
        one = run(label, scores, patients=who)
        other = run(
            label[shuffled],
            {arm: s[shuffled] for arm, s in scores.items()},
            risks={arm: s[shuffled] for arm, s in scores.items()},
            patients=None if who is None else who[shuffled],
        )
        for arm in scores:
            np.testing.assert_array_equal(one.draws.tables[arm], other.draws.tables[arm])


def test_swapping_arms_flips_differences_and_keeps_p():
    label, scores = cohort(digits=6)
    one, other = run(label, scores, reference="a"), run(label, scores, reference="b")
    turned = run(label, dict(reversed(scores.items())), reference="a")
    for name, difference in one.differences["b"].items():
        back = other.differences["a"][name]
        assert back.estimate == -difference.estimate
        assert (-back.upper, -back.lower) == pytest.approx(difference.interval, abs=1e-12)
        assert back.p == difference.p
        assert turned.differences["b"][name] == difference


def test_a_rising_transform_of_scores_changes_nothing():
    label, scores = cohort()
    one = run(label, scores, risks=None, net_benefit_at=())
    stretched = {arm: 5 * s**3 - 2 for arm, s in scores.items()}
    cuts = {point: {arm: 5 * t**3 - 2 for arm, t in by.items()} for point, by in CUTS.items()}
    other = run(label, stretched, risks=None, net_benefit_at=(), thresholds=cuts)
    for arm in scores:
        np.testing.assert_array_equal(one.draws.tables[arm], other.draws.tables[arm])


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.lists(st.integers(0, 4), min_size=24, max_size=24))
def test_weights_are_repetitions(seed, weight):
    label, scores = cohort(seed, malignant=10, normal=14, digits=1)
    weight = np.array(weight)
    weight[np.flatnonzero(label == 1)[0]] += 1
    weight[np.flatnonzero(label == 0)[0]] += 1
    options = {"thresholds": CUTS, "reselect": RULES, "net_benefit_at": AT}
    weighted = weighted_statistics(label, scores, weight, risks=scores, **options)
    rows = np.repeat(np.arange(label.size), weight)
    repeated = {arm: s[rows] for arm, s in scores.items()}
    plain = weighted_statistics(label[rows], repeated, np.ones(rows.size), risks=repeated, **options)
    for arm in scores:
        np.testing.assert_allclose(weighted.tables[arm], plain.tables[arm], rtol=1e-7, atol=1e-9)


# --- sampling ---------------------------------------------------------------------------------------------------------


def test_by_class_keeps_the_classes_and_consecutive_does_not():
    label, scores = cohort()
    fixed = run(label, scores).draws.counts["a"]["low"]
    free = run(label, scores, sampling="consecutive").draws.counts["a"]["low"]
    assert set(fixed[:, 0] + fixed[:, 3]) == {40}
    assert np.std(free[:, 0] + free[:, 3]) > 2


def test_exchanging_the_scores_of_two_arms_mirrors_the_draws():
    label, scores = cohort(digits=6)
    one = run(label, scores, thresholds={})
    exchanged = {"a": scores["b"], "b": scores["a"]}
    other = run(label, exchanged, risks=exchanged, thresholds={})
    np.testing.assert_array_equal(one.draws.tables["a"], other.draws.tables["b"])


def test_films_of_a_patient_are_drawn_together():
    label, scores = cohort()
    twice = np.repeat(np.arange(label.size), 2)
    doubled = {arm: s[twice] for arm, s in scores.items()}
    by_patient = run(label[twice], doubled, patients=twice)
    plain = run(label, scores)
    assert by_patient.units == label.size
    assert by_patient.films == 2 * label.size
    for arm in scores:  # every patient's films twice: the same draws, the same statistics
        np.testing.assert_allclose(by_patient.draws.tables[arm], plain.draws.tables[arm], rtol=1e-7, atol=1e-9)


def test_spread_of_auc_is_the_closed_form_one():
    label, scores = cohort(malignant=60, normal=90, digits=6)
    draws = run(label, scores, replicates=8000).draws.of("a", "auc")
    # Stratified bootstrap variance of a two-sample U statistic, exactly: ((n-1) var V10 + (m-1) var V01 + var psi) / mn
    malignant, normal = scores["a"][label == 1][:, None], scores["a"][label == 0][None, :]
    psi = (malignant > normal) + 0.5 * (malignant == normal)
    m, n = psi.shape
    variance = ((n - 1) * psi.mean(1).var() + (m - 1) * psi.mean(0).var() + psi.var()) / (m * n)
    assert draws.std() == pytest.approx(np.sqrt(variance), rel=4 / np.sqrt(2 * draws.size))


# --- degenerate input: a defined answer or a reason -------------------------------------------------------------------


def test_identical_arms_differ_by_exactly_nothing_with_p_1():
    label, scores = cohort()
    same = {"a": scores["a"], "b": scores["a"].copy()}
    cuts = {"cut": {"a": 0.5, "b": 0.5}}
    for difference in run(label, same, thresholds=cuts).differences["b"].values():
        assert (difference.estimate, difference.lower, difference.upper, difference.p) == (0, 0, 0, 1)


def test_constant_scores_have_auc_one_half_and_no_slope():
    label, scores = cohort()
    result = run(label, {"a": np.full(label.size, 0.4), "b": scores["b"]})
    auc = result.estimates["a"]["auc"]
    assert (auc.estimate, auc.lower, auc.upper) == (0.5, 0.5, 0.5)
    assert result.estimates["a"]["calibration_slope"].estimate is None
    assert "all risks are equal" in result.estimates["a"]["calibration_slope"].not_estimable
    assert "all risks are equal" in result.differences["b"]["calibration_slope"].not_estimable


def test_perfect_separation_has_auc_1_and_says_why_there_is_no_slope():
    label = np.r_[np.ones(20), np.zeros(30)].astype(int)
    score = np.r_[np.linspace(0.6, 0.9, 20), np.linspace(0.1, 0.5, 30)]
    result = joint_bootstrap(label, {"a": score}, risks={"a": score}, replicates=100)
    assert result.estimates["a"]["auc"].interval == (1, 1)
    assert "separate" in result.estimates["a"]["calibration_slope"].not_estimable


def test_risks_of_exactly_0_or_1_are_said_not_dropped():
    label, scores = cohort()
    certain = np.where(scores["a"] < 0.1, 0.0, scores["a"])
    result = joint_bootstrap(label, {"a": certain}, risks={"a": certain}, replicates=100)
    count = int((certain == 0).sum())
    assert f"{count} of 110 risks are exactly 0 or 1" in result.estimates["a"]["calibration_slope"].not_estimable
    assert result.estimates["a"]["brier"].estimate == pytest.approx(((certain - label) ** 2).mean())


def test_nearly_separated_replicates_without_a_slope_are_counted():
    # One normal film between malignant ones: the many replicates that miss it are separated.
    score = np.r_[np.linspace(0.5, 0.9, 15), np.linspace(0.1, 0.4, 15), 0.6]
    label = np.r_[np.ones(15), np.zeros(16)].astype(int)
    result = joint_bootstrap(label, {"a": score}, risks={"a": score}, replicates=500)
    slope = result.estimates["a"]["calibration_slope"]
    assert slope.estimate is not None
    assert slope.lower is None
    assert "replicates" in slope.not_estimable


def test_a_single_malignant_film_is_drawn_every_time():
    label = np.r_[1, np.zeros(30)].astype(int)
    score = np.r_[0.7, np.linspace(0, 0.9, 30)]
    result = joint_bootstrap(label, {"a": score}, replicates=200)
    assert 0 < result.estimates["a"]["auc"].lower < result.estimates["a"]["auc"].upper < 1


def test_consecutive_sampling_survives_replicates_without_a_malignant_film():
    label = np.r_[1, 1, np.zeros(30)].astype(int)
    score = np.r_[0.7, 0.8, np.linspace(0, 0.9, 30)]
    auc = joint_bootstrap(label, {"a": score}, replicates=300, sampling="consecutive").estimates["a"]["auc"]
    assert auc.estimate is not None
    assert auc.not_estimable is not None  # about e^-2 of the replicates hold no malignant film


def test_no_positive_call_leaves_ppv_undefined_with_a_reason():
    label, scores = cohort()
    result = joint_bootstrap(label, {"a": scores["a"]}, thresholds={"never": {"a": np.inf}}, replicates=100)
    assert result.estimates["a"]["never/sensitivity"].interval == (0, 0)
    assert result.estimates["a"]["never/ppv"].estimate is None
    assert "denominator" in result.estimates["a"]["never/ppv"].not_estimable


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scores": {"a": [0.1, np.nan, 0.3, 0.4]}}, "nan"),
        ({"scores": {"a": [0.1, 0.2, 0.3]}}, "3 values"),
        ({"scores": {}}, "no arm"),
        ({"labels": [0, 0, 0, 0]}, "one class"),
        ({"labels": [0, 2, 1, 0]}, "labels"),
        ({"risks": {"a": [0.1, 1.2, 0.3, 0.4]}}, "outside"),
        ({"risks": {"b": [0.1, 0.2, 0.3, 0.4]}}, "risks were given"),
        ({"risks": {"a": [0.4, 0.3, 0.2, 0.1]}}, "do not rise"),
        ({"net_benefit_at": [0.1]}, "risks"),
        ({"risks": {"a": [0.1, 0.2, 0.3, 0.4]}, "net_benefit_at": [1.0]}, "strictly between"),
        ({"risks": {"a": [0.1, 0.2, 0.3, 0.4]}, "net_benefit_at": np.linspace(0.01, 0.9, 101)}, "at most 100"),
        ({"thresholds": {"p": {"b": 0.5}}}, "no threshold for a"),
        ({"reselect": {"p": ("largest", 0.5)}}, "rule of 'p'"),
        ({"reselect": {"p": ("high_sensitivity", None)}}, "target of 'p'"),
        ({"reselect": {"p": ("youden", None)}, "thresholds": {"p": {"a": 0.5}}}, "both fixed and re-selected"),
        ({"sampling": "any"}, "sampling"),
        ({"replicates": 10}, "at least 100"),
        ({"reference": "z"}, "reference"),
        ({"confidence": 1.0}, "confidence"),
        ({"patients": ["p", None, "q", "r"]}, "missing"),
    ],
)
def test_bad_input_is_refused_with_the_value_and_the_rule(change, message):
    arguments = {"labels": [0, 1, 0, 1], "scores": {"a": [0.1, 0.2, 0.3, 0.4]}} | change
    with pytest.raises(ValueError, match=message):
        joint_bootstrap(arguments.pop("labels"), arguments.pop("scores"), **arguments)


@pytest.mark.parametrize(
    ("weights", "message"),
    [([1, -1, 1, 1], "negative"), ([1, 0.5, 1, 1], "whole numbers"), ([1, 1, 1], "3 values"), ([0, 0, 0, 0], "all 0")],
)
def test_bad_weights_are_refused(weights, message):
    with pytest.raises(ValueError, match=message):
        weighted_statistics([0, 1, 0, 1], {"a": [0.1, 0.2, 0.3, 0.4]}, weights)


# --- BCa --------------------------------------------------------------------------------------------------------------


def test_bca_equals_scipys_on_the_same_draws():
    rng = np.random.default_rng(5)
    malignant, normal = rng.normal(1.5, 1, 25), rng.normal(0, 1, 40)

    def area(one, other, axis=-1):
        return (np.moveaxis(one, axis, -1)[..., :, None] > np.moveaxis(other, axis, -1)[..., None, :]).mean((-1, -2))

    result = stats.bootstrap((malignant, normal), area, method="BCa", n_resamples=999, rng=rng, vectorized=True)
    left_out = [area(np.delete(malignant, i), normal) for i in range(25)]
    left_out += [area(malignant, np.delete(normal, i)) for i in range(40)]
    ours = bca_limits(
        float(area(malignant, normal)), result.bootstrap_distribution, np.array(left_out), np.array([0, 25, 65]), 0.95
    )
    assert ours == pytest.approx(tuple(result.confidence_interval), rel=1e-12)


def test_bca_is_for_smooth_statistics_only():
    label, scores = cohort()
    result = run(label, scores, bca=True, replicates=500)
    methods = {name: e.method.split()[0] for name, e in result.estimates["a"].items()}
    assert {name for name, method in methods.items() if method == "BCa"} == {
        "auc",
        "average_precision",
        *(f"{point}/{r}" for point in CUTS for r in ("sensitivity", "specificity", "ppv", "npv", "accuracy")),
    }
    large, many = cohort(malignant=2000, normal=3001)
    with pytest.raises(ValueError, match="at most 5000"):
        joint_bootstrap(large, many, bca=True)


# --- parts ------------------------------------------------------------------------------------------------------------


def test_limits_with_undefined_draws_rest_on_the_defined_ones():
    draws = np.array([[1.0, np.nan, 3.0, 2.0, 4.0], [np.nan] * 5])
    lower, upper, defined = percentile_limits(draws, 0.5)
    # type-7 quartiles of 1, 2, 3, 4 are 1.75 and 3.25
    assert (lower[0], upper[0], defined.tolist()) == (1.75, 3.25, [4, 0])
    assert np.isnan(lower[1])


def test_p_is_never_0_and_never_above_1():
    draws = np.array([np.ones(99), np.zeros(99)])
    assert p_values(draws, np.array([99, 99])).tolist() == [2 / 100, 1.0]


def test_calibration_draws_are_converged(tmp_path):
    label, scores = cohort(seed=4, malignant=25, normal=35, digits=6)
    weights = draw_weights(label, replicates=60, seed=2)
    draws = weighted_statistics(label, scores, weights, risks=scores)
    x = np.log(scores["a"] / (1 - scores["a"]))
    for b in range(60):
        intercept, slope = draws.of("a", "calibration_intercept")[b], draws.of("a", "calibration_slope")[b]
        if np.isnan(slope):
            continue
        residual = weights[b] * (label - 1 / (1 + np.exp(-(intercept + slope * x))))
        assert abs(residual.sum()) < 1e-8
        assert abs(residual @ x) < 1e-8


@pytest.mark.parametrize("writable", [True, False])
def test_compiled_code_works_where_no_cache_can_be_written(tmp_path, writable):
    code = "from osteotl.statistics import _kernels; import numpy as np; print(_kernels.mix(np.uint64(0)))"
    environment = {key: value for key, value in os.environ.items() if not key.startswith("NUMBA")}
    if writable:
        environment["NUMBA_CACHE_DIR"] = str(tmp_path / "cache")
    else:  # neither beside the package nor in the home folder: numba finds no place and says so
        code = "from numba.core import caching; caching.CacheImpl._locator_classes = []; " + code
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert int(done.stdout) == mix(0)
    assert any(Path(tmp_path).rglob("*.nbi")) == writable


def test_calibration_of_logits_that_hardly_differ():
    """Logits shrunk to a ten-millionth around -3: the fit is equivariant, so its values follow from those of z itself.

    logit = -3 + 1e-7 z: slope on z is that of z itself divided by 1e-7, and the intercept follows.
    """
    rng = np.random.default_rng(12)
    label = np.repeat([1, 0], [40, 60])
    z = rng.normal(size=100) + label
    plain = joint_bootstrap(label, {"a": z}, risks={"a": 1 / (1 + np.exp(-z))}, replicates=100).draws
    logit = -3 + 1e-7 * z
    close = joint_bootstrap(label, {"a": z}, risks={"a": 1 / (1 + np.exp(-logit))}, replicates=100).draws
    slope = close.of("a", "calibration_slope")
    assert np.isfinite(slope).all()
    assert slope * 1e-7 == pytest.approx(plain.of("a", "calibration_slope"), rel=1e-5)
    linear = close.of("a", "calibration_intercept") - 3 * slope
    assert linear == pytest.approx(plain.of("a", "calibration_intercept"), abs=1e-2)
