"""Subgroups: estimates by sklearn, standard errors by DeLong's formula in independent groups, shared patients."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.special import expit
from sklearn.metrics import roc_auc_score

from diagnostic_accuracy.bootstrap import bootstrap
from diagnostic_accuracy.delong import compare_auc
from diagnostic_accuracy.estimates import one
from diagnostic_accuracy.inference import infer
from diagnostic_accuracy.scores import scores_of
from diagnostic_accuracy.subgroups import EXPLORATORY, adjust_subgroups, compare_subgroups, subgroup_draws
from diagnostic_accuracy.thresholds import points_of
from simulated_scores import predictions


def study(films=600, gains=(0.0, 1.0), seed=1):
    """One run an arm, no validation films; the new arm is better by `gains` in women and in men."""
    rng = np.random.default_rng(seed)
    label, sex = np.arange(films) % 2, np.where(np.arange(films) % 4 < 2, "F", "M")
    base, gain = rng.normal(size=films) + label, np.where(sex == "F", *gains)
    score = {"old": base + rng.normal(size=films), "new": base + gain * label + rng.normal(size=films)}
    names = [f"f{i:04d}" for i in range(films)]
    parts = [pd.DataFrame({"image_id": names, "patient_id": names, "label": label, "arm": arm, "score": values})
             for arm, values in score.items()]  # fmt: skip
    return scores_of(pd.concat(parts), pd.DataFrame({"image_id": names, "sex": sex}))


def drawn(scores, fact="sex", points=(), replicates=2000):
    draws = bootstrap(scores, points, replicates=replicates, recalibrations=())
    levels = sorted(scores.external.facts[fact].unique())
    return subgroup_draws(draws, {f"{fact}={level}": scores.keep(scores.facts[fact] == level) for level in levels})


def test_the_interaction_of_separate_patients_is_that_of_two_delong_tests():
    scores = study()
    row = one(compare_subgroups(drawn(scores), "old"), arm="new", reference="old")
    gaps, variances = {}, {}
    for sex in ("F", "M"):
        part = scores.keep(scores.facts["sex"] == sex)
        label, values = part.label, part.values
        aucs = {arm: roc_auc_score(label, values[arm, 0]) for arm in ("old", "new")}
        gaps[sex] = aucs["new"] - aucs["old"]
        found = compare_auc(label, values["new", 0], values["old", 0])
        variances[sex] = ((found.upper - found.lower) / (2 * stats.norm.ppf(0.975))) ** 2
    level = row["group"][-1], row["reference_group"][-1]
    assert row["estimate"] == pytest.approx(gaps[level[0]] - gaps[level[1]], abs=1e-12)
    # independent patients: the variance of the difference of differences is the sum (Altman and Bland 2003)
    error = (row["upper"] - row["lower"]) / (2 * stats.norm.ppf(0.975))
    assert error == pytest.approx(np.sqrt(sum(variances.values())), rel=0.06)
    assert row["p"] == pytest.approx(2 * stats.norm.sf(abs(row["estimate"]) / error), rel=1e-6)
    assert (row["n"], row["events"], row["basis"]) == (600, 300, "this run only")


def test_views_of_the_same_patients_do_not_count_as_independent():
    """Every patient has two films with the same scores: the differences are equal in every draw."""
    scores = study(200)
    table = pd.concat([
        pd.DataFrame({"image_id": scores.values.index, "arm": arm, "score": scores.values[arm, 0].to_numpy()})
        for arm in scores.arms
    ])  # fmt: skip
    table["patient_id"], table["label"] = table["image_id"], scores.label.loc[table["image_id"]].astype(int).to_numpy()
    both = pd.concat([table.assign(image_id=table["image_id"] + view) for view in ("-ap", "-lat")])
    facts = pd.DataFrame({"image_id": both["image_id"].unique()})
    twice = scores_of(both, facts.assign(view=facts["image_id"].str.split("-").str[1]))
    row = one(compare_subgroups(drawn(twice, "view", replicates=200), "old"), arm="new", reference="old")
    assert row["estimate"] == 0
    assert np.isnan(row["p"])
    assert "the draws do not vary" in row["note"]


def test_an_interaction_that_is_none_is_rarely_found():
    """120 studies in which both sexes gain alike: 6 tests are expected below 0.05; 13 or more have a chance of 1 %."""
    p = []
    for seed in range(120):
        scores = study(160, (0.5, 0.5), seed)
        p.append(one(compare_subgroups(drawn(scores, replicates=200), "old"), arm="new", reference="old")["p"])
    assert np.sum(np.array(p) < 0.05) < 13
    assert stats.kstest(p, "uniform").pvalue > 0.01


def test_rates_and_aucs_within_a_group_are_those_of_its_films_at_the_thresholds_of_all_validation_films():
    table = predictions(external=(60, 80), validation=(40, 40), decimals=2)
    names = table["image_id"].unique()
    facts = pd.DataFrame({"image_id": names, "sex": np.where(np.arange(len(names)) % 3, "F", "M")})
    scores = scores_of(table.assign(score=expit(table["score"])), facts)
    points = points_of({"high_sensitivity": 0.8})
    draws = bootstrap(scores, points, replicates=300, recalibrations=())
    part = scores.keep(scores.facts["sex"] == "M")
    group = subgroup_draws(draws, {"sex=M": part})["sex=M"]
    direct = bootstrap(part, points, replicates=300, recalibrations=())
    place = {"point": "high_sensitivity", "threshold_from": "validation"}
    for asked in ({"measure": "auc"}, {"measure": ["sensitivity", "specificity"], **place}):
        ours, theirs = (infer(d, reference="scratch", **asked) for d in (group, direct))
        pd.testing.assert_series_equal(ours["estimate"], theirs["estimate"])  # the sample is the same
        widths = [(t["upper"] - t["lower"])[t["run"] == ""].to_numpy() for t in (ours, theirs)]
        np.testing.assert_allclose(*widths, rtol=0.35)  # other draws of the same films
    # a row of weights equals repeated films
    weights = next(draws.weights())[2][0]
    label, value = scores.external.label.to_numpy(), scores.external.values.to_numpy()[:, 4]
    own = (scores.external.facts["sex"] == "M").to_numpy()
    repeated = np.repeat(np.flatnonzero(own), weights[own])
    assert group.values["auc", "film"][0, 4] == pytest.approx(roc_auc_score(label[repeated], value[repeated]))
    cut = draws.values["threshold", "high_sensitivity", "validation"][0, 4]
    ill = repeated[label[repeated]]
    assert group.values["sensitivity", *place.values(), "film"][0, 4] == pytest.approx((value[ill] >= cut).mean())


def test_a_study_without_facts_has_no_rows():
    assert adjust_subgroups(compare_subgroups(subgroup_draws(bootstrap(study(40), replicates=100), {}), "old")).empty


def test_declared_subgroups_are_adjusted_apart_and_the_others_marked():
    names = ["sex=F", "sex=M", "view=ap", "view=lat", "site=B"]
    table = pd.DataFrame({"section": "subgroups", "measure": "auc", "arm": "a", "reference": "b", "run": "",
                          "group": names, "reference_group": "", "p": [0.01, 0.04, 0.01, 0.02, 0.03],
                          "p_adjusted": np.nan, "note": ["", "", "few", "", ""]})  # fmt: skip
    found = adjust_subgroups(table, ["sex"])
    # Holm: 0.01 * 2, max(0.02, 0.04 * 1); 0.01 * 3, max(0.03, 0.02 * 2), max(0.04, 0.03 * 1)
    assert found["p_adjusted"].tolist() == pytest.approx([0.02, 0.04, 0.03, 0.04, 0.04])
    assert found["note"].tolist() == ["", "", f"few; {EXPLORATORY}", EXPLORATORY, EXPLORATORY]
