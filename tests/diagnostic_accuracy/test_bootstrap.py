"""The joint bootstrap against a slow one: drawn rows physically repeated, everything learnt again by brute force."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy.special import expit, logit
from sklearn.metrics import average_precision_score, roc_auc_score

from diagnostic_accuracy import _kernels
from diagnostic_accuracy import bootstrap as module
from diagnostic_accuracy.bootstrap import CALIBRATION, bootstrap, measures_at
from diagnostic_accuracy.calibration import brier_score, calibration_fit
from diagnostic_accuracy.roc import auc, average_precision
from diagnostic_accuracy.scores import scores_of
from diagnostic_accuracy.thresholds import RULES, Point, points_of
from simulated_scores import predictions

TARGETS = {"high_sensitivity": 0.8, "high_specificity": 0.85, "youden": None, "closest": None}
AT = (0.1, 0.3)
FEW = 12  # draws that the slow bootstrap goes through


@pytest.fixture(scope="module")
def clustered():
    table = predictions({"scratch": (0, 1), "transfer": (0,)}, most_films=3, decimals=2)
    scores = scores_of(table)
    points = [*points_of(TARGETS), Point("half", "given", given={"scratch": 0.5, "transfer": 0.4})]
    return bootstrap(scores, points, replicates=120, seed=3, net_benefit_at=AT, prevalences=(None, 0.05))


def drawn(draws):
    """(draw, external weights, validation weights) of the first draws."""
    plan = module._Plan.of(draws)
    films, _, validation = plan.block(draws.seed, 0, FEW)
    given = next(weights for first, _, weights in draws.weights() if first == 0)
    assert (given[:FEW] == films).all()
    return list(zip(range(FEW), films, validation, strict=True))


def thresholds_drawn(draws):
    """Thresholds of shape (draws, points, runs)."""
    return np.stack([draws.values["threshold", p.name, p.threshold_from] for p in draws.points], axis=1)


def best_cut(label, score, rule, target):
    """The threshold of a rule by trying every score; None of positive is infinity."""
    found = []
    for cut in [np.inf, *np.unique(score)]:
        missed, alarms = int((score[label] < cut).sum()), int((score[~label] >= cut).sum())
        pos, neg = int(label.sum()), int((~label).sum())
        sensitivity, specificity = 1 - missed / pos, 1 - alarms / neg
        key = {
            "high_sensitivity": (sensitivity >= target - 1e-12, -alarms, -missed) if target else None,
            "high_specificity": (specificity >= target - 1e-12, -missed, -alarms) if target else None,
            "youden": (-missed * neg - alarms * pos, -missed),
            "closest": (-round((missed / pos) ** 2 + (alarms / neg) ** 2, 10), -missed),
        }[rule]
        found.append((*key, cut))
    return max(found)[-1]


def test_draws_are_those_of_patients_within_class(clustered):
    external = clustered.scores.external
    malignant = external.label.groupby(external.patient).max()
    for _, weights, _ in drawn(clustered):
        by_patient = pd.Series(weights, external.patient.to_numpy()).groupby(level=0)
        assert (by_patient.min() == by_patient.max()).all(), "the films of a patient stay together"
        times = by_patient.first()
        assert times[malignant].sum() == malignant.sum()
        assert times[~malignant].sum() == (~malignant).sum()


def test_thresholds_and_rates_of_every_draw(clustered):
    external, validation = clustered.scores.external, clustered.scores.validation
    label, known = external.label.to_numpy(), validation.label.to_numpy()
    cuts = thresholds_drawn(clustered)
    for b, films, learnt in drawn(clustered):
        for r in range(3):
            x, v = external.values.to_numpy()[:, r], validation.values.to_numpy()[:, r]
            for k, point in enumerate(clustered.points):
                rows = np.repeat(np.arange(v.size), learnt), np.repeat(np.arange(x.size), films)
                if point.threshold_from == "given":
                    cut = point.given[clustered.runs[r][0]]
                elif point.threshold_from == "validation":
                    cut = best_cut(known[rows[0]], v[rows[0]], point.name, point.target)
                else:
                    cut = best_cut(label[rows[1]], x[rows[1]], point.name, point.target)
                assert cuts[b, k, r] == cut, (point.name, point.threshold_from)
                place, score, y = (point.name, point.threshold_from, "film"), x[rows[1]], label[rows[1]]
                assert clustered.values["sensitivity", *place][b, r] == pytest.approx((score[y] >= cut).mean())
                assert clustered.values["specificity", *place][b, r] == pytest.approx((score[~y] < cut).mean())


def test_patients_at_the_thresholds_of_films(clustered):
    external = clustered.scores.external
    cuts = thresholds_drawn(clustered)
    frame = pd.DataFrame({"patient": external.patient, "y": external.label, "x": external.values.to_numpy()[:, 0]})
    whole = frame.groupby("patient").max()
    for b, films, _ in drawn(clustered):
        times = pd.Series(films, external.patient.to_numpy()).groupby(level=0).first().reindex(whole.index)
        rows = whole.loc[np.repeat(whole.index, times)]
        y, x = rows["y"].to_numpy(bool), rows["x"].to_numpy()
        assert clustered.values["auc", "patient"][b, 0] == pytest.approx(roc_auc_score(y, x), abs=1e-12)
        for k, point in enumerate(clustered.points):
            place = (point.name, point.threshold_from, "patient")
            assert clustered.values["sensitivity", *place][b, 0] == pytest.approx((x[y] >= cuts[b, k, 0]).mean())
            assert clustered.values["specificity", *place][b, 0] == pytest.approx((x[~y] < cuts[b, k, 0]).mean())


def class_weights(label, films, pi):
    """Weights of the drawn films with the share of malignant films held at pi, as many films in all as were drawn."""
    total = films.sum()
    side = np.where(label, pi / films[label].sum(), (1 - pi) / films[~label].sum())
    return films * side * total


def test_ranking_with_the_share_of_malignant_films_held(clustered):
    external = clustered.scores.external
    label = external.label.to_numpy()
    for b, films, _ in drawn(clustered):
        held = class_weights(label, films, clustered.pi)
        for r, x in enumerate(external.values.to_numpy().T):
            rows = np.repeat(np.arange(x.size), films)
            assert clustered.values["auc", "film"][b, r] == pytest.approx(roc_auc_score(label[rows], x[rows]))
            ap = average_precision_score(label, x, sample_weight=held)
            assert clustered.values["average_precision", "film"][b, r] == pytest.approx(ap, abs=1e-12)


def test_recalibration_and_calibration_by_statsmodels(clustered):
    """Lines learnt again on the drawn validation films as they are, judged on external films with pi held."""
    external, validation = clustered.scores.external, clustered.scores.validation
    label, known = external.label.to_numpy(), validation.label.to_numpy()
    for b, films, learnt in drawn(clustered)[:6]:
        held = class_weights(label, films, clustered.pi)
        for r in range(3):
            z, v = external.predictor.to_numpy()[:, r], validation.predictor.to_numpy()[:, r]
            lines = {"none": (0.0, 1.0), "logistic": weighted_line(known, v, learnt)}
            for kind, (intercept, slope) in lines.items():
                eta = intercept + slope * z
                risk = expit(eta)
                shift = sm.GLM(label, np.ones((z.size, 1)), sm.families.Binomial(), offset=eta, freq_weights=held)
                wanted = {
                    "brier": np.average((risk - label) ** 2, weights=held),
                    "log_oe": np.log(held[label].sum() / (held @ risk)),
                    "calibration_in_the_large": shift.fit(tol=1e-12).params[0],
                }
                wanted["calibration_intercept"], wanted["calibration_slope"] = weighted_line(label, eta, held)
                for name in CALIBRATION:
                    assert clustered.values[name, kind][b, r] == pytest.approx(wanted[name], abs=2e-7), (name, kind)
            intercept, slope = lines["logistic"]
            for share in (None, 0.05):
                moved = 0.0 if share is None else logit(share) - logit(known.mean())
                acted = intercept + slope * z + moved
                for t in AT:
                    called = acted >= logit(t)
                    pair = (
                        np.average(called[label], weights=films[label]),
                        np.average(~called[~label], weights=films[~label]),
                    )
                    for name, rate in zip(("sensitivity", "specificity"), pair, strict=True):
                        assert clustered.values[name, "risk", t, share][b, r] == pytest.approx(rate, abs=1e-12)


def weighted_line(label, x, weights):
    fit = sm.GLM(label.astype(float), sm.add_constant(x), sm.families.Binomial(), freq_weights=weights).fit(tol=1e-13)
    return tuple(fit.params)


def test_the_sample_equals_the_public_functions(clustered):
    """The compiled loops and the functions of arrays."""
    external = clustered.scores.external
    label, values = external.label.to_numpy(), external.values.to_numpy()
    for r, x in enumerate(values.T):
        assert clustered.observed["auc", "film"][r] == pytest.approx(auc(label, x), abs=1e-14)
        assert clustered.observed["average_precision", "film"][r] == pytest.approx(
            average_precision(label, x), abs=1e-14
        )
        risk = expit(external.predictor.to_numpy()[:, r])
        fit = calibration_fit(label, risk)
        assert clustered.observed["brier", "none"][r] == pytest.approx(brier_score(label, risk), abs=1e-12)
        assert clustered.observed["calibration_slope", "none"][r] == pytest.approx(fit["slope"].estimate, abs=1e-7)
        assert clustered.observed["calibration_intercept", "none"][r] == pytest.approx(
            fit["intercept"].estimate, abs=1e-7
        )


def test_given_weights_are_repeated_rows():
    scores = scores_of(predictions({"a": (0,)}, decimals=1, external=(12, 15)))
    rng = np.random.default_rng(5)
    weights = rng.integers(0, 4, (5, 27))
    label, x = scores.external.label.to_numpy(), scores.external.values.to_numpy()[:, 0]
    found = measures_at(scores, weights, points_of({"youden": None}, ("external",)), (0.2,), ("none",))
    for b, row in enumerate(weights):
        rows = np.repeat(np.arange(27), row)
        y, s = label[rows], x[rows]
        assert found["auc", "film"][b, 0] == pytest.approx(roc_auc_score(y, s))
        assert found["average_precision", "film"][b, 0] == pytest.approx(average_precision_score(y, s))
        clipped = s.clip(1e-6, 1 - 1e-6)
        assert found["brier", "none"][b, 0] == pytest.approx(np.mean((clipped - y) ** 2), abs=1e-12)
        best = (roc_sum := [(s[y] >= c).mean() + (s[~y] < c).mean() for c in np.unique(s)]) and max(roc_sum)
        assert found["sensitivity", "youden", "external", "film"][b, 0] + found[
            "specificity", "youden", "external", "film"
        ][b, 0] == pytest.approx(best)


@pytest.mark.parametrize("block", [1, 7, 119])
def test_results_do_not_depend_on_blocks(clustered, monkeypatch, block):
    """A block of one draw is no sample: thresholds and lines stay those of the sample."""
    scores = clustered.scores
    monkeypatch.setattr(module, "BLOCK", block * len(scores.values))
    again = bootstrap(scores, clustered.points, replicates=120, seed=3, net_benefit_at=AT, prevalences=(None, 0.05))
    for key, values in clustered.values.items():
        assert np.array_equal(values, again.values[key], equal_nan=True), key
        assert np.array_equal(clustered.observed[key], again.observed[key], equal_nan=True), key
    for key, values in clustered.thresholds.items():
        assert np.array_equal(values, again.thresholds[key]), key


def test_order_of_rows_and_arms_does_not_matter():
    table = predictions(most_films=2, decimals=2)
    points = points_of(TARGETS)
    one = bootstrap(scores_of(table), points, replicates=100, net_benefit_at=AT)
    mixed = table.sample(frac=1, random_state=1)[sorted(table.columns)]
    mixed = pd.concat([mixed[mixed["arm"] == "transfer"], mixed[mixed["arm"] == "scratch"]])
    other = bootstrap(scores_of(mixed), points, replicates=100, net_benefit_at=AT)
    assert other.scores.arms == ["transfer", "scratch"]
    columns = [other.runs.index(run) for run in one.runs]
    for key, values in one.values.items():
        assert np.array_equal(values, other.values[key][:, columns], equal_nan=True), key


@pytest.mark.parametrize("name", list(RULES))
def test_a_rule_written_in_python(name):
    """The same rule without compilation, as a notebook's cell would define it."""
    scores = scores_of(predictions({"a": (0, 1)}, decimals=1))
    plain = RULES[name].py_func
    points = [Point("named", s, RULES[name], TARGETS[name]) for s in ("validation", "external")]
    points += [Point("own", s, lambda *given: plain(*given), TARGETS[name]) for s in ("validation", "external")]
    draws = bootstrap(scores, points, replicates=150)
    for source in ("validation", "external"):
        assert np.array_equal(draws.thresholds["named", source], draws.thresholds["own", source])
        for rate in ("sensitivity", "specificity"):
            one, other = (draws.values[rate, p, source, "film"] for p in ("named", "own"))
            assert np.array_equal(one, other)


def test_faulty_rules_and_points_are_refused():
    scores = scores_of(predictions({"a": (0,)}))
    for wrong in (-1, 10_000):
        with pytest.raises(ValueError, match="must return an index"):
            bootstrap(scores, [Point("mine", rule=lambda tp, fp, p, n, t, wrong=wrong: wrong)], replicates=100)
    with pytest.raises(ValueError, match="no target"):
        Point("high_sensitivity", rule=RULES["high_sensitivity"])
    with pytest.raises(ValueError, match="no rule"):
        Point("mine")
    twice = [Point("x", "given", given={"a": 0.5}), Point("x", "given", given={"b": 0.5})]
    with pytest.raises(ValueError, match=r"given twice[\s\S]*no threshold for 'a'"):
        bootstrap(scores, twice, replicates=100)
    with pytest.raises(ValueError, match="at least 100"):
        bootstrap(scores, replicates=99)
    with pytest.raises(ValueError, match="whole numbers"):
        measures_at(scores, np.full((1, 75), 0.5))


def test_a_held_cohort_is_not_drawn(clustered):
    scores, points = clustered.scores, clustered.points
    validation = bootstrap(scores, points, replicates=100, seed=3, held="external")
    external = bootstrap(scores, points, replicates=100, seed=3, held="validation")
    assert np.ptp(validation.values["auc", "film"], axis=0).max() == 0
    assert np.ptp(validation.values["specificity", "high_sensitivity", "validation", "film"], axis=0).max() > 0
    # with the validation films as they are, the thresholds and the line are those of the sample
    for place in ((p.name, p.threshold_from) for p in points if p.threshold_from != "external"):
        assert (external.values["threshold", *place] == external.thresholds[place]).all()
    # draws of the external films are those of the joint bootstrap
    assert np.array_equal(external.values["auc", "film"], clustered.values["auc", "film"][:100])


def test_without_validation():
    table = predictions({"a": (0,), "b": (0,)}, validation=(0, 0))
    draws = bootstrap(scores_of(table), points_of(TARGETS), replicates=100, net_benefit_at=AT)
    assert {point.threshold_from for point in draws.points} == {"external"}
    assert "logistic" not in draws.lines
    assert not any(key[-1] == "logistic" for key in draws.values)


@pytest.mark.parametrize("cohort", ["validation", "external"])
def test_scores_that_are_no_risks_are_never_judged_as_risks(cohort):
    """One score of 1.2, in whichever cohort: no score of the study is a probability."""
    table = predictions({"a": (0,)}, validation=(0, 0) if cohort == "external" else (24, 30))
    table.loc[table.index[table["cohort"] == cohort][0], "score"] = 1.2
    draws = bootstrap(scores_of(table), replicates=100)
    assert "none" not in draws.lines
    assert draws.scores.scale == "score as it is"
    assert ("brier", "logistic") in draws.values or cohort == "external"


def test_validation_of_one_class():
    table = predictions({"a": (0, 1)}, validation=(0, 30))
    draws = bootstrap(scores_of(table), points_of(TARGETS), replicates=100)
    assert np.isnan(draws.thresholds["youden", "validation"]).all()
    assert np.isnan(draws.observed["sensitivity", "youden", "validation", "film"]).all()
    assert "one class" in draws.undefined["logistic", "a", 0]


def test_random_numbers_reach_every_unit_alike():
    """Counts of 40,000 draws of 7 units: the mean of each is 1, its variance 6/7 (multinomial)."""
    counts = np.zeros((40_000, 7), np.uint16)
    _kernels.draw_units(np.uint64(5), 0, np.array([0, 7]), counts)
    assert (counts.sum(axis=1) == 7).all()
    assert counts.mean(axis=0) == pytest.approx(np.ones(7), abs=4 * np.sqrt(6 / 7 / 40_000))
    assert counts.var(axis=0) == pytest.approx(np.full(7, 6 / 7), abs=0.05)
    assert np.corrcoef(counts.T)[0, 1] == pytest.approx(-1 / 6, abs=0.02)


def test_draws_of_a_difference_are_weighted_aucs_by_sklearn():
    scores = scores_of(predictions({"a": (0, 1), "b": (0, 1)}, external=(12, 15), validation=(6, 6)))
    draws = bootstrap(scores, (), replicates=100, recalibrations=())
    found, outer = draws.difference("b", "a"), scores.external
    for first, _, weights in draws.weights():
        for k, row in enumerate(weights[:5]):
            auc = {run: roc_auc_score(outer.label, outer.values[run], sample_weight=row) for run in scores.runs}
            wanted = (auc["b", 0] + auc["b", 1] - auc["a", 0] - auc["a", 1]) / 2
            assert found[first + k] == pytest.approx(wanted, abs=1e-12)
    with pytest.raises(ValueError, match="arm is 'c'"):
        draws.difference("c", "a")
