"""Data at the edge: every answer is defined or says why not; nothing crashes, no p is 0 by accident."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest


@pytest.fixture
def changed(predictions):
    """Predictions with other scores: `change(frame of one arm) -> scores`."""

    def make(arms, change):
        parts = []
        for arm, frame in predictions.groupby("arm", sort=False):
            frame = frame.copy()
            if arm in arms:
                frame["score"] = change(frame)
            parts.append(frame.drop(columns="logit"))
        return pd.concat(parts, ignore_index=True)

    return make


def faults(statistics, walk):
    """Places with NaN, a number without value or reason, p outside (0, 1], or an upside-down interval; at best none."""
    json.dumps(statistics, allow_nan=False)
    found, numbers = [], 0
    for place, number in walk(statistics):
        numbers += 1
        said = bool(number.get("not_estimable"))
        if number["estimate"] is None and not said:
            found.append(f"{place}: neither number nor reason")
        if number["lower"] is None and not said and "point estimate" not in number["method"]:
            found.append(f"{place}: neither interval nor reason")
        if number["lower"] is not None and not number["lower"] <= number["upper"]:
            found.append(f"{place}: the interval is upside down")
        if number.get("p") is not None and not 0 < number["p"] <= 1:
            found.append(f"{place}: p = {number['p']}")
    return found if numbers > 50 else [f"{numbers} numbers only"]


@pytest.mark.parametrize(
    ("number", "fault"),
    [
        ({"estimate": None, "lower": None, "upper": None, "method": "point estimate"}, "neither number nor reason"),
        ({"estimate": 1.0, "lower": None, "upper": None, "method": "Wald"}, "neither interval nor reason"),
        ({"estimate": 1.0, "lower": 2.0, "upper": 0.0, "method": "Wald"}, "upside down"),
        ({"estimate": 1.0, "lower": 0.0, "upper": 2.0, "method": "Wald", "p": 0.0}, "p = 0.0"),
    ],
)
def test_faults_are_found(statistics, walk, number, fault):
    assert faults(statistics, walk) == []
    (found,) = faults({"planted": {"n": 1, **number}, **statistics}, walk)
    assert found.startswith("/planted: ")
    assert fault in found


def test_identical_arms(predictions, analysed, walk):
    scratch = predictions[predictions["arm"] == "scratch"]
    statistics = analysed(pd.concat([scratch, scratch.assign(arm="transfer")], ignore_index=True))
    assert faults(statistics, walk) == []
    comparison = statistics["comparisons"]["transfer"]
    assert comparison["auc_difference"]["estimate"] == 0
    assert comparison["auc_difference"]["p"] == 1
    assert comparison["auc_difference"]["not_estimable"]
    assert comparison["verdict"]["word"] == "not estimable"
    run = comparison["operating_points"]["youden@external"]["per_seed"]["0"]
    assert all(test["exact"] == 1 for test in run["mcnemar"].values())


def test_perfect_separation(changed, analysed, walk):
    statistics = analysed(changed(("scratch", "transfer"), lambda f: f["label"] * 0.5 + 0.1 + f["score"] * 0.3))
    assert faults(statistics, walk) == []
    assert statistics["arms"]["scratch"]["auc"]["estimate"] == 1
    assert statistics["arms"]["scratch"]["auc"]["not_estimable"]
    slope = statistics["arms"]["scratch"]["per_seed"]["0"]["calibration_slope"]
    assert "separate" in slope["not_estimable"]
    assert any("could not be recalibrated" in flag for flag in statistics["flags"])


def test_perfect_separation_on_the_external_films_alone(predictions, analysed, walk):
    easy = predictions.copy()
    out = easy["cohort"] == "external"
    easy.loc[out, "logit"] += 40 * easy.loc[out, "label"]
    easy["score"] = 1 / (1 + np.exp(-easy["logit"]))
    statistics = analysed(easy)
    assert faults(statistics, walk) == []
    run = statistics["arms"]["scratch"]["per_seed"]["0"]
    assert "infinite" in run["calibration_slope"]["not_estimable"]
    assert run["brier_recalibrated"]["estimate"] is not None


def test_constant_scores(changed, analysed, walk):
    statistics = analysed(changed(("transfer",), lambda f: 0.5))
    assert faults(statistics, walk) == []
    assert statistics["arms"]["transfer"]["auc"]["estimate"] == 0.5
    assert statistics["comparisons"]["transfer"]["auc_difference"]["estimate"] is not None


def test_every_score_constant(changed, analysed, walk):
    statistics = analysed(changed(("scratch", "transfer"), lambda f: 0.5))
    assert faults(statistics, walk) == []
    assert statistics["comparisons"]["transfer"]["auc_difference"]["p"] == 1


def test_one_malignant_film(predictions_of, analysed, walk):
    statistics = analysed(predictions_of(films=60, malignant=1))
    assert faults(statistics, walk) == []
    assert statistics["arms"]["scratch"]["auc"]["estimate"] is not None
    assert statistics["arms"]["scratch"]["auc"]["not_estimable"]


def test_one_normal_film(predictions_of, analysed, walk):
    assert faults(analysed(predictions_of(films=30, malignant=29)), walk) == []


def test_one_malignant_validation_film(predictions, analysed, walk):
    out = predictions["cohort"] == "external"
    first = predictions.loc[~out & (predictions["label"] == 1), "image_id"].iloc[0]
    kept = predictions[out | (predictions["label"] == 0) | (predictions["image_id"] == first)]
    statistics = analysed(kept)
    assert faults(statistics, walk) == []
    assert any("holds 1 malignant" in flag for flag in statistics["flags"])


def test_two_films(predictions_of, analysed, walk):
    assert faults(analysed(predictions_of(films=2, malignant=1, validation=0, seeds=(0,))), walk) == []


def test_a_threshold_that_nothing_reaches(changed, analysed, walk):
    """All normal films tie with every malignant one at the top: high specificity calls nothing positive."""
    statistics = analysed(changed(("transfer",), lambda f: np.where(f["label"] == 1, 0.2, 0.9)))
    assert faults(statistics, walk) == []
    point = statistics["arms"]["transfer"]["per_seed"]["0"]["operating_points"]["high_specificity@validation"]
    assert point["threshold"] is None
    assert (point["tp"], point["fp"]) == (0, 0)
    assert point["ppv"]["estimate"] is None
    assert point["ppv"]["not_estimable"]
    difference = statistics["comparisons"]["transfer"]["operating_points"]["high_specificity@validation"]["ppv"]
    assert difference["estimate"] is None
    # the reference's own PPV is not spoilt
    other = statistics["arms"]["scratch"]["operating_points"]["high_specificity@validation"]["ppv"]
    assert other["estimate"] is not None


def test_scores_beyond_probabilities(changed, analysed, walk):
    statistics = analysed(changed(("scratch", "transfer"), lambda f: f["score"] * 40 - 7))
    assert faults(statistics, walk) == []
    assert "not probabilities" in statistics["arms"]["scratch"]["brier_raw"]["not_estimable"]
    # the scores themselves are recalibrated
    assert statistics["arms"]["scratch"]["per_seed"]["0"]["calibration_slope"]["estimate"] is not None


def test_zeros_and_ones(changed, analysed, walk):
    """A detector with no box on most films, and a human reader."""
    assert faults(analysed(changed(("scratch",), lambda f: np.where(f["score"] < 0.5, 0.0, f["score"]))), walk) == []
    assert faults(analysed(changed(("scratch", "transfer"), lambda f: (f["score"] > 0.4).astype(float))), walk) == []


def test_scores_of_32_bits_tie_where_their_logits_do_not(predictions, analysed, walk):
    sure = predictions.assign(logit=predictions["logit"] * 12)
    sure["score"] = (1 / (1 + np.exp(-sure["logit"].astype(np.float32)))).astype(float)
    assert (sure["score"] == 1).sum() > 10
    statistics = analysed(sure)
    assert faults(statistics, walk) == []
    assert statistics["arms"]["scratch"]["brier_recalibrated"]["estimate"] is not None


def test_logits_that_contradict_their_scores(predictions, analysed, walk):
    assert faults(analysed(predictions.assign(logit=-predictions["logit"])), walk) == []


def test_worse_than_chance_on_validation(predictions, analysed, walk):
    swapped = predictions.copy()
    learn = swapped["cohort"] == "validation"
    swapped.loc[learn, "score"] = 1 - swapped.loc[learn, "score"]
    swapped.loc[learn, "logit"] = -swapped.loc[learn, "logit"]
    statistics = analysed(swapped)
    assert faults(statistics, walk) == []
    assert any("no higher than normal" in flag for flag in statistics["flags"])


@pytest.mark.parametrize("sampling", ["by_class", "consecutive"])
def test_a_patient_with_films_of_both_classes(predictions, analysed, settings_of, walk, sampling):
    mixed = predictions.assign(patient_id=predictions["image_id"].str[-2:] + predictions["cohort"].str[0])
    assert faults(analysed(mixed, settings_of(sampling=sampling)), walk) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.assign(score=f["score"].mask(f.index == 3)), r"scores of scratch, seed 0"),
        (lambda f: f.drop(index=3), "are not those of the first run"),
        (lambda f: pd.concat([f, f.iloc[[3]]]), "twice"),
        (lambda f: f.assign(label=f["label"].where(f["arm"] == "scratch", 1 - f["label"])), "another label"),
        (lambda f: f[f["cohort"] == "validation"], "nothing to test on"),
        (lambda f: f[(f["arm"] == "scratch") | (f["seed"] == 0)], "scored no"),
    ],
)
def test_faulty_predictions(predictions, analysed, change, message):
    with pytest.raises(ValueError, match=message):
        analysed(change(predictions))
