"""The one basis: V, df and limits written out again from covariance matrices, and every edge of the table of scales."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.special import expit, logit
from statsmodels.stats.proportion import proportion_confint

from diagnostic_accuracy.bootstrap import CALIBRATION, bootstrap
from diagnostic_accuracy.contrasts import contrast
from diagnostic_accuracy.estimates import IDENTITY, one, select
from diagnostic_accuracy.inference import gradient, infer, logit_limits, question, rate_limits
from diagnostic_accuracy.rates import POINT_RATES
from diagnostic_accuracy.readers import CrossedValues, compare_readers, mean_variance
from diagnostic_accuracy.scores import READERS, scores_of
from diagnostic_accuracy.thresholds import Point, points_of
from simulated_scores import predictions

Z = stats.norm.ppf(0.975)
LOCKED = {"point": "high_sensitivity", "threshold_from": "validation"}
RULES = points_of({"high_sensitivity": 0.9, "youden": None}, ("validation", "external"))
UNEQUAL = {"scratch": (0, 1, 2, 3), "transfer": (0, 1, 2), "single": (7,)}
AT = (0.1, 0.3)


@pytest.fixture(scope="module")
def draws():
    table = predictions(UNEQUAL, most_films=2, decimals=3)
    return bootstrap(scores_of(table), RULES, replicates=300, seed=1, net_benefit_at=AT, prevalences=(None, 0.05))


def by_hand(draws, keys, weights, arm, reference=None, beyond=np.inf):
    """(V, df, V0) of the linear combination of base measures, from one covariance matrix of all runs."""
    arms = [name for name, _ in draws.runs]
    runs = {name: [i for i, a in enumerate(arms) if a == name] for name in (arm, reference) if name}
    c = {
        name: sum(w * draws.observed[k][cols] for k, w in zip(keys, weights[name], strict=True))
        for name, cols in runs.items()
    }
    drawn = {
        name: sum(w * draws.values[k][:, cols] for k, w in zip(keys, weights[name], strict=True))
        for name, cols in runs.items()
    }
    whole = np.cov(np.column_stack(list(drawn.values())).T).reshape(sum(map(len, runs.values())), -1)
    place = {arm: slice(0, len(runs[arm])), reference: slice(len(runs[arm]), None)}
    sign = np.concatenate([np.full(len(runs[n]), (1 if n == arm else -1) / len(runs[n])) for n in runs])
    v0 = sign @ whole @ sign
    own, common = [], 0.0
    for name, columns in runs.items():
        block, j = whole[place[name], place[name]], len(columns)
        if j == 1:
            common += block[0, 0]
        else:
            own.append((c[name].var(ddof=1) / j, j - 1))
            common += (block.sum() - np.trace(block)) / (j * (j - 1))
    if reference:
        common -= 2 * whole[place[arm], place[reference]].mean()
    v = sum(o for o, _ in own) + max(common, 0.0)
    if not own or v < v0 / 2:
        return v0, np.inf, v0
    return v, v**2 / (sum(o**2 / f for o, f in own) + max(common, 0.0) ** 2 / beyond), v0


def beyond_threshold(draws):
    """Malignant validation patients that a target of 90 % leaves beyond the locked threshold: a tenth of them."""
    validation = draws.scores.validation
    return 0.1 * validation.patient[validation.label].nunique()


def alone(keys, *arms):
    return {name: [1.0] * len(keys) for name in arms}


def quantile(df):
    return Z if np.isinf(df) else stats.t.ppf(0.975, df)


@pytest.mark.parametrize("arm", list(UNEQUAL))
@pytest.mark.parametrize("measure", ["auc", "average_precision"])
def test_areas_on_the_logit(draws, measure, arm):
    row = one(infer(draws, measure), arm=arm, run=None)
    key = (measure, "film")
    v, df, _ = by_hand(draws, [key], alone([key], arm), arm)
    mean = np.mean([x for x, (name, _) in zip(draws.observed[key], draws.runs, strict=True) if name == arm])
    half = quantile(df) * np.sqrt(v) / (mean * (1 - mean))
    assert row["estimate"] == pytest.approx(mean, abs=1e-14)
    assert (row["lower"], row["upper"]) == pytest.approx(
        (expit(logit(mean) - half), expit(logit(mean) + half)), abs=1e-10
    )
    assert row["basis"] == ("this run only" if arm == "single" else "runs and patients")
    assert np.isnan(row["df"]) if np.isinf(df) else row["df"] == pytest.approx(df)


@pytest.mark.parametrize(("arm", "reference"), [("transfer", "scratch"), ("single", "scratch"), ("transfer", "single")])
def test_differences(draws, arm, reference):
    row = one(infer(draws, "auc", reference=reference), arm=arm, reference=reference)
    key = ("auc", "film")
    v, df, _ = by_hand(draws, [key], alone([key], arm, reference), arm, reference)
    se = np.sqrt(v)
    t = stats.norm if np.isinf(df) else stats.t(df)
    assert row["p"] == pytest.approx(2 * t.sf(abs(row["estimate"]) / se), rel=1e-8)
    assert (row["lower"], row["upper"]) == pytest.approx(
        (row["estimate"] - quantile(df) * se, row["estimate"] + quantile(df) * se)
    )
    assert ("has one run" in row["basis"]) == (arm == "single" or reference == "single")


def test_rates_have_wilsons_interval_at_the_effective_number(draws):
    units = draws.scores.external.patient[draws.scores.external.label].nunique()
    for unit in ("film", "patient"):
        table = infer(draws, "sensitivity", unit=unit, **LOCKED)
        key = ("sensitivity", "high_sensitivity", "validation", unit)
        for arm in UNEQUAL:
            row = one(table, arm=arm, run=None)
            p = row["estimate"]
            v, df, _ = by_hand(draws, [key], alone([key], arm), arm, beyond=beyond_threshold(draws))
            n = min(p * (1 - p) / v, units)
            # Wilson's limits are the roots of (p - x)^2 = t^2 x (1 - x) / n
            roots = np.sort(np.roots([1 + quantile(df) ** 2 / n, -2 * p - quantile(df) ** 2 / n, p**2]).real)
            assert (row["lower"], row["upper"]) == pytest.approx(tuple(roots), abs=1e-9)
            assert row["n"] == units


def test_patients_as_cases_are_malignant_or_normal(draws):
    """A malignant patient with a normal film beside counts once, as malignant."""
    external = draws.scores.external
    ill = external.label.groupby(external.patient).max()
    row = one(infer(draws, "specificity", unit="patient", **LOCKED), arm="scratch", run=None)
    assert row["n"] == (~ill).sum() < external.patient[~external.label].nunique()
    assert one(infer(draws, "accuracy", unit="patient", **LOCKED), arm="scratch", run=None)["n"] == ill.size
    assert one(infer(draws, "auc", unit="patient"), arm="scratch", run=None)["n"] == min(ill.sum(), (~ill).sum())


RATES = ["missed_per_100", "false_alarms_per_1000", "accuracy", "ppv", "npv", "lr_positive", "lr_negative", "f1"]


def formula(name, sens, spec, pi):
    """Textbook formulas."""
    tp, fp, tn, fn = pi * sens, (1 - pi) * (1 - spec), (1 - pi) * spec, pi * (1 - sens)
    return {
        "missed_per_100": 100 * (1 - sens), "false_alarms_per_1000": 1000 * (1 - spec), "accuracy": tp + tn,
        "ppv": tp / (tp + fp), "npv": tn / (tn + fn), "lr_positive": sens / (1 - spec),
        "lr_negative": (1 - sens) / spec, "f1": 2 * tp / (2 * tp + fp + fn),
    }[name]  # fmt: skip


@pytest.mark.parametrize("name", RATES)
def test_derived_measures_come_from_the_mean_rates(draws, name):
    arm, reference = "transfer", "scratch"
    table = infer(draws, name, reference=reference, **LOCKED)
    keys = [(rate, "high_sensitivity", "validation", "film") for rate in ("sensitivity", "specificity")]
    means, slopes = {}, {}
    for each in (arm, reference):
        columns = [i for i, (a, _) in enumerate(draws.runs) if a == each]
        means[each] = [draws.observed[key][columns].mean() for key in keys]
        step = 1e-6
        slopes[each] = [
            (formula(name, *(np.array(means[each]) + step * np.eye(2)[k]), draws.pi)
             - formula(name, *(np.array(means[each]) - step * np.eye(2)[k]), draws.pi)) / (2 * step)
            for k in range(2)
        ]  # fmt: skip
    values = {each: formula(name, *means[each], draws.pi) for each in means}
    row, gap = one(table, arm=arm, run=None, reference=None), one(table, arm=arm, reference=reference)
    assert row["estimate"] == pytest.approx(values[arm], abs=1e-12)
    assert gap["estimate"] == pytest.approx(values[arm] - values[reference], abs=1e-12)
    v, df, _ = by_hand(draws, keys, slopes, arm, reference)
    assert gap["p"] == pytest.approx(
        2 * (stats.norm if np.isinf(df) else stats.t(df)).sf(abs(gap["estimate"]) / np.sqrt(v)), rel=1e-5
    )
    by_the_threshold = name in ("npv", "lr_negative", "missed_per_100")  # they vary with the sensitivity that it fixes
    v, df, _ = by_hand(draws, keys, slopes, arm, beyond=beyond_threshold(draws) if by_the_threshold else np.inf)
    t = quantile(df)
    if name.startswith("lr"):
        half = t * np.sqrt(v) / values[arm]
        wanted = values[arm] * np.exp([-half, half])
    elif name == "f1":
        half = t * np.sqrt(v) / (values[arm] * (1 - values[arm]))
        wanted = expit(logit(values[arm]) + np.array([-half, half]))
    elif name in ("ppv", "npv"):
        ratio = one(infer(draws, "lr_positive" if name == "ppv" else "lr_negative", **LOCKED), arm=arm, run=None)
        odds = draws.pi / (1 - draws.pi) * np.array([ratio["lower"], ratio["upper"]])
        wanted = odds / (1 + odds) if name == "ppv" else np.sort(1 / (1 + odds))
    elif name == "accuracy":
        n = min(values[arm] * (1 - values[arm]) / v, len(draws.scores.external.values))
        wanted = np.sort(np.roots([1 + t**2 / n, -2 * values[arm] - t**2 / n, values[arm] ** 2]).real)
    else:
        base = one(
            infer(draws, "sensitivity" if name == "missed_per_100" else "specificity", **LOCKED), arm=arm, run=None
        )
        per = 100 if name == "missed_per_100" else 1000
        wanted = per * (1 - base["upper"]), per * (1 - base["lower"])
    assert (row["lower"], row["upper"]) == pytest.approx(tuple(wanted), rel=1e-5)


def test_predictive_values_of_other_prevalences(draws):
    table = infer(draws, ["ppv", "npv"], prevalence=[0.01, 0.1, draws.pi], **LOCKED)
    rates = [
        one(infer(draws, r, **LOCKED), arm="scratch", run=None)["estimate"] for r in ("sensitivity", "specificity")
    ]
    for name in ("ppv", "npv"):
        for pi in (0.01, 0.1, draws.pi):
            row = one(table, measure=name, prevalence=pi, arm="scratch", run=None)
            assert row["estimate"] == pytest.approx(formula(name, *rates, pi))
        own = one(infer(draws, name, **LOCKED), arm="scratch", run=None)
        assert own[["estimate", "lower", "upper"]].tolist() == row[["estimate", "lower", "upper"]].tolist()


def test_net_benefit(draws):
    table = infer(draws, "net_benefit", at=AT, prevalence=(None, 0.05), recalibration="logistic", reference="scratch")
    for t in AT:
        for share in (None, 0.05):
            pi = draws.pi if share is None else share
            keys = [(rate, "risk", t, share) for rate in ("sensitivity", "specificity")]
            weights = [pi, (1 - pi) * t / (1 - t)]
            row = one(table, at=t, prevalence=share, arm="transfer", reference="scratch")
            v, df, _ = by_hand(draws, keys, {"transfer": weights, "scratch": weights}, "transfer", "scratch")
            assert row["upper"] - row["estimate"] == pytest.approx(quantile(df) * np.sqrt(v), rel=1e-6)
            mean = one(table, at=t, prevalence=share, arm="transfer", run=None, reference=None)
            sens, spec = (draws.observed[key][4:7].mean() for key in keys)
            assert mean["estimate"] == pytest.approx(pi * sens - (1 - pi) * (1 - spec) * t / (1 - t), abs=1e-12)


@pytest.mark.parametrize("name", ["brier", "log_oe", "calibration_in_the_large", "calibration_slope"])
def test_calibration_as_it_is(draws, name):
    key = (name, "logistic")
    row = one(infer(draws, name, recalibration="logistic"), arm="transfer", run=None)
    v, df, _ = by_hand(draws, [key], alone([key], "transfer"), "transfer")
    assert row["upper"] - row["estimate"] == pytest.approx(quantile(df) * np.sqrt(v), rel=1e-8)
    assert row["estimate"] - row["lower"] == pytest.approx(row["upper"] - row["estimate"], rel=1e-8)


# --- readers ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def read():
    names = tuple("ABCDE")
    table = predictions({"unaided": names, "aided": names}, validation=(0, 0), external=(40, 50))
    return bootstrap(
        scores_of(table, kind=READERS), [Point("half", "given", given={"unaided": 0.5, "aided": 0.5})], replicates=300
    )


@pytest.mark.parametrize("measure", ["auc", "sensitivity"])
def test_readers_are_crossed(read, measure):
    """The difference is Obuchowski and Rockette's with the covariances of the draws, df of Hillis 2007 and 2014."""
    place = {} if measure == "auc" else {"point": "half", "threshold_from": "given"}
    key = (measure, "film") if measure == "auc" else (measure, "half", "given", "film")
    data = CrossedValues(
        ("unaided", "aided"),
        tuple("ABCDE"),
        read.observed[key].reshape(2, 5),
        np.cov(read.values[key].T),
        90,
        40,
        "x",
    )
    table = infer(read, measure, reference="unaided", **place)
    wanted, row = compare_readers(data, "aided", "unaided"), one(table, arm="aided", reference="unaided")
    for name in ("estimate", "lower", "upper", "p", "df"):
        assert row[name] == pytest.approx(getattr(wanted, name), rel=1e-9), name
    assert wanted.basis == "readers and patients"
    assert row["basis"] == wanted.basis + ("; given thresholds held fixed" if place else "")
    variance, df = mean_variance(data, "aided")
    mean = one(table, arm="aided", run=None, reference=None)
    assert mean["df"] == pytest.approx(df)
    if measure == "auc":
        half = stats.t.ppf(0.975, df) * np.sqrt(variance) / (mean["estimate"] * (1 - mean["estimate"]))
        assert mean["upper"] == pytest.approx(expit(logit(mean["estimate"]) + half))


def test_readers_of_one_arm_only_are_nested():
    table = predictions({"unaided": ("A", "B", "C"), "aided": ("D", "E")}, validation=(0, 0))
    draws = bootstrap(scores_of(table, kind=READERS), replicates=100)
    row = one(infer(draws, "auc", reference="unaided"), arm="aided", reference="unaided")
    key = ("auc", "film")
    v, df, _ = by_hand(draws, [key], alone([key], "aided", "unaided"), "aided", "unaided")
    assert row["upper"] - row["estimate"] == pytest.approx(quantile(df) * np.sqrt(v))
    assert row["basis"] == "readers and patients"


def test_contrast_of_runs_that_agree_too_closely():
    rng = np.random.default_rng(1)
    drawn = rng.normal(size=(200, 3)) + rng.normal(size=(200, 1)) * 0.01
    found = contrast([np.full(3, 0.8)], [drawn])
    assert found.variance == pytest.approx(drawn.mean(axis=1).var(ddof=1))
    assert np.isinf(found.df)
    assert "vary less than chance predicts" in found.note


# --- edges ------------------------------------------------------------------------------------------------------------


@given(st.floats(0.001, 0.999), st.floats(1e-9, 0.2), st.integers(2, 500), st.floats(1.96, 12.8))
@settings(max_examples=200)
def test_limits_of_rates_and_areas(p, v, n, t):
    low, high = rate_limits(p, v, t, Z, n)
    assert 0 <= low < p < high <= 1
    effective = min(p * (1 - p) / v, n)
    assert [low, high] == pytest.approx(
        list(proportion_confint(p * effective, effective, 2 * stats.norm.sf(t), "wilson")), abs=1e-9
    )
    low, high = logit_limits(p, v, t, Z, n)
    assert 0 <= low < p < high <= 1


@given(st.integers(1, 10_000))
def test_limits_at_the_edge(n):
    """Wilson at n: of n successes in n the lower limit is n / (n + z^2)."""
    for limits in (rate_limits, logit_limits):
        assert limits(1.0, 0.0, 5.0, Z, n) == pytest.approx((n / (n + Z**2), 1.0))
        assert limits(0.0, 0.0, 5.0, Z, n) == pytest.approx((0.0, Z**2 / (n + Z**2)))
        assert limits(0.5, 0.0, 5.0, Z, n) == pytest.approx(tuple(proportion_confint(n / 2, n, 0.05, "wilson")))


def study(scores, patients=True):
    """Four runs, two an arm, of films with hand-made scores: a mapping of arm to (malignant scores, normal scores)."""
    rows = []
    for arm, runs in scores.items():
        for run, (ill, well) in enumerate(runs):
            for cohort in ("validation", "external"):
                rows += [(f"{cohort}m{i}", cohort, 1, arm, run, s) for i, s in enumerate(ill)]
                rows += [(f"{cohort}n{i}", cohort, 0, arm, run, s) for i, s in enumerate(well)]
    table = pd.DataFrame(rows, columns=["image_id", "cohort", "label", "arm", "seed", "score"])
    return table.assign(patient_id=table["image_id"]) if patients else table


PERFECT = ([0.9] * 12, [0.1] * 20)
HALF = ([0.9] * 9 + [0.3] * 3, [0.1] * 16 + [0.7] * 4)


def test_perfect_arms():
    table = study({"a": [PERFECT, PERFECT], "b": [PERFECT, PERFECT]})
    points = [Point("half", "given", given={"a": 0.5, "b": 0.5})]
    draws = bootstrap(scores_of(table), points, replicates=100, net_benefit_at=(0.2,), recalibrations=("none",))
    place = {"point": "half", "threshold_from": "given"}
    far = {"auc": 12, "sensitivity": 12, "specificity": 20, "f1": 12}
    for name, n in far.items():
        found = infer(draws, name, reference="a", **({} if name == "auc" else place))
        row, gap = one(found, arm="b", run=None, reference=None), one(found, arm="b", reference="a")
        assert (row["estimate"], row["lower"], row["upper"]) == pytest.approx((1.0, n / (n + Z**2), 1.0)), name
        assert (gap["lower"], gap["upper"]) == pytest.approx((-(Z**2) / (n + Z**2), Z**2 / (n + Z**2))), name
        assert np.isnan(gap["p"])
        assert gap["note"]
    assert infer(draws, "lr_positive", **place)["estimate"].isna().all()
    low1, low0 = 12 / (12 + Z**2), 20 / (20 + Z**2)
    negative = one(infer(draws, "lr_negative", **place), arm="a", run=None)
    assert (negative["estimate"], negative["lower"], negative["upper"]) == pytest.approx((0, 0, (1 - low1) / low0))
    ratio = low1 / (1 - low0)
    ppv = one(infer(draws, "ppv", prevalence=0.01, **place), arm="a", run=None)
    assert (ppv["estimate"], ppv["upper"]) == pytest.approx((1, 1), abs=1e-12)
    assert ppv["lower"] == pytest.approx(0.01 * ratio / (0.01 * ratio + 0.99))
    benefit = one(infer(draws, "net_benefit", at=0.2, recalibration="none"), arm="a", run=None)
    pi = 12 / 32
    assert benefit["estimate"] == benefit["upper"] == pytest.approx(pi)
    assert benefit["lower"] == pytest.approx(pi - np.hypot(pi * (1 - low1), (1 - pi) / 4 * (1 - low0)))


def test_everything_called_positive():
    """Specificity 0: LR- has no upper bound, NPV is 0 with an upper limit from the limits of the two rates."""
    table = study({"a": [HALF, HALF]})
    draws = bootstrap(scores_of(table), [Point("all", "given", given={"a": 0.0})], replicates=100)
    everything = {"point": "all", "threshold_from": "given"}
    assert infer(draws, "lr_negative", **everything)["estimate"].isna().all()
    assert infer(draws, "npv", **everything)["estimate"].isna().all()
    flipped = study({"a": [([0.9] * 9 + [0.05] * 3, [0.7] * 20)] * 2})
    draws = bootstrap(scores_of(flipped), [Point("low", "given", given={"a": 0.2})], replicates=200)
    place = {"point": "low", "threshold_from": "given"}
    sens = one(infer(draws, "sensitivity", **place), arm="a", run=None)
    npv = one(infer(draws, "npv", prevalence=0.3, **place), arm="a", run=None)
    smallest = (1 - sens["upper"]) / (Z**2 / (20 + Z**2))  # LR-: (1 - sensitivity) / specificity
    assert (npv["estimate"], npv["lower"]) == (0, 0)
    assert npv["upper"] == pytest.approx(0.7 / (0.7 + 0.3 * smallest))


def test_nothing_called_positive():
    draws = bootstrap(scores_of(study({"a": [HALF, HALF]})), [Point("none", "given", given={"a": 2.0})], replicates=100)
    table = infer(draws, list(POINT_RATES), point="none", threshold_from="given")
    rows = {name: one(table, measure=name, arm="a", run=None) for name in POINT_RATES}
    assert (rows["sensitivity"]["estimate"], rows["specificity"]["estimate"]) == (0, 1)
    for name in ("ppv", "lr_positive"):
        assert np.isnan(rows[name]["estimate"])
        assert rows[name]["note"]
    assert rows["missed_per_100"][["lower", "upper"]].tolist() == pytest.approx([100 * 12 / (12 + Z**2), 100])
    assert (rows["f1"]["lower"], rows["f1"]["upper"]) == pytest.approx((0, Z**2 / (12 + Z**2)))


def test_perfect_arms_that_rank_differently():
    """Same AUC of 1, other rates: the areas do not differ, the rates do."""
    other = ([0.6] * 6 + [0.4] * 6, [0.1] * 20)
    draws = bootstrap(
        scores_of(study({"a": [PERFECT] * 2, "b": [other] * 2})),
        [Point("half", "given", given={"a": 0.5, "b": 0.5})],
        replicates=100,
    )
    assert one(infer(draws, "auc", reference="a"), arm="b", reference="a")["estimate"] == 0
    gap = one(infer(draws, "sensitivity", point="half", threshold_from="given", reference="a"), arm="b", reference="a")
    assert gap["estimate"] == -0.5
    assert gap["p"] < 0.05


@given(
    st.lists(st.sampled_from([0.0, 1e-9, 0.2, 0.5, 0.8, 1 - 1e-9, 1.0]), min_size=34, max_size=34),
    st.integers(1, 3), st.integers(1, 3), st.booleans(), st.booleans(), st.integers(0, 3),
)  # fmt: skip
@settings(max_examples=25)
def test_any_scores_give_a_sound_table(pool, runs_a, runs_b, patients, validated, shift):
    """Saturated, tied, constant or perfect scores, any number of runs: nothing is missing without a note."""

    def scored(k):
        rolled = np.roll(pool, k)
        return list(rolled[:14]), list(rolled[14:34])

    table = study({"a": [scored(k) for k in range(runs_a)], "b": [scored(k * shift) for k in range(runs_b)]}, patients)
    table = table if validated else table[table["cohort"] == "external"]
    points = [*RULES, Point("half", "given", given={"a": 0.5, "b": 0.5})]
    draws = bootstrap(scores_of(table), points, replicates=100, net_benefit_at=AT)
    found = [infer(draws, ["auc", "average_precision"], reference="a")]
    found += [
        infer(draws, list(POINT_RATES), point=p.name, threshold_from=p.threshold_from, reference="a")
        for p in draws.points
    ]
    found += [infer(draws, CALIBRATION, recalibration=kind, reference="a") for kind in draws.lines]
    if "logistic" in draws.lines:
        found += [infer(draws, "net_benefit", at=AT, recalibration="logistic", reference="a")]
    whole = pd.concat(found)
    assert not whole.duplicated(list(IDENTITY)).any()
    assert (whole.loc[whole["estimate"].isna(), "note"] != "").all()
    means = select(whole, run=None)
    lacking = means["lower"].isna() & means["upper"].isna()
    assert (means.loc[lacking, "note"] != "").all(), means.loc[lacking & (means["note"] == ""), "measure"].tolist()
    both = means.dropna(subset=["lower", "upper"])
    assert (both["lower"] < both["upper"]).all()
    assert ((both["lower"] <= both["estimate"] + 1e-12) & (both["estimate"] <= both["upper"] + 1e-12)).all()
    gaps = means[means["reference"] != ""]
    rates = gaps[gaps["measure"].isin(["auc", "sensitivity", "specificity", "ppv", "npv", "f1", "accuracy"])]
    assert (rates[["lower", "upper"]].abs().max().fillna(0) <= 1).all()
    basis = both["basis"].str.contains("patients").eq(patients) | both["basis"].str.startswith("this run only")
    assert basis.all()


# --- reasons, and bad input -------------------------------------------------------------------------------------------


def test_rates_that_a_rule_fixes(draws):
    place = {"threshold_from": "external", "reference": "scratch"}
    fixed = select(infer(draws, "sensitivity", point="high_sensitivity", **place), run=None)
    free = select(infer(draws, "specificity", point="high_sensitivity", **place), run=None)
    derived = select(infer(draws, "ppv", point="high_sensitivity", **place), run=None)
    youden = select(infer(draws, "sensitivity", point="youden", **place), run=None)
    assert free["lower"].notna().all()
    for table in (fixed, derived, youden):
        assert table["lower"].isna().all()
        assert table["p"].isna().all()
        assert (table["note"] != "").all()
        assert table["estimate"].notna().all()


def test_too_few_validation_patients():
    """A target of .9 needs 1 / (1 - .9) = 10 malignant validation patients."""
    for malignant, shown in ((9, False), (10, True)):
        drawn = bootstrap(scores_of(predictions(validation=(malignant, 30))), RULES, replicates=100)
        rows = select(infer(drawn, "specificity", reference="scratch", **LOCKED), run=None)
        assert rows["lower"].notna().all() == shown


def test_undefined_draws():
    """Two malignant validation films of which one is low: draws whose slope is not above 0 define no risk."""
    table = predictions({"a": (0, 1)}, validation=(3, 30), gain=0)
    drawn = bootstrap(scores_of(table), replicates=200)
    row = one(infer(drawn, "brier", recalibration="logistic"), arm="a", run=None)
    share = np.isnan(drawn.values["brier", "logistic"]).any(axis=1).mean()
    assert share > 0.01
    assert np.isnan(row["lower"])
    assert f"{share:.1%}" in row["note"]


def test_a_gradient_at_the_ends():
    assert gradient(lambda x: float(x[0] * x[1]), np.array([1.0, 0.0])) == pytest.approx([0.0, 1.0], abs=1e-9)


def test_bad_questions(draws):
    with pytest.raises(ValueError, match="measure is 'auk'"):
        infer(draws, "auk")
    with pytest.raises(ValueError, match="do not hold"):
        infer(draws, "sensitivity", point="nowhere", threshold_from="validation")
    with pytest.raises(ValueError, match="reference is 'x'"):
        infer(draws, "auc", reference="x")
    with pytest.raises(ValueError, match="no setting"):
        question(draws, "auc", 0.95, {"where": 1})
    with pytest.raises(ValueError, match="prevalence"):
        infer(draws, "ppv", prevalence=1.5, **LOCKED)
