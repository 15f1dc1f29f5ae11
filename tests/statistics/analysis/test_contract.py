"""What every document holds, whatever the data: numbers or reasons, no NaN, tables that add up."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest

from osteotl.files import plain
from osteotl.statistics.analysis import Inputs, analyse
from osteotl.statistics.operating_points import select_threshold

NUMBER = {"estimate", "lower", "upper", "method", "n"}


def check_document(statistics, walk):
    """Rules that hold for every document."""
    json.dumps(statistics, allow_nan=False)
    places = 0
    for place, number in walk(statistics):
        places += 1
        assert set(number) >= NUMBER, place
        assert set(number) <= NUMBER | {"p", "df", "not_estimable", "coverage"}, place
        assert 0.5 < number.get("coverage", 0.9) < 0.93, place
        said = number.get("not_estimable")
        if number["estimate"] is None:
            assert said, f"{place}: no number and no reason"
        elif number["lower"] is None:
            assert said or "point estimate" in number["method"], f"{place}: no interval and no reason"
        else:
            slack = 1e-12 * (1 + abs(number["estimate"]))
            assert number["lower"] - slack <= number["upper"], place
        if number.get("p") is not None:
            assert 0 < number["p"] <= 1, place
        assert number["method"], place
        assert number["n"] > 0, place
    assert places > 50
    check_tables(statistics)
    check_differences(statistics)
    check_family(statistics)


def check_tables(statistics):
    """2x2 tables and tables of pairs hold every film once."""
    cohort = statistics["cohorts"]["external"]
    for block in statistics["arms"].values():
        for run in block["per_seed"].values():
            for key, point in run["operating_points"].items():
                assert point["tp"] + point["fn"] == cohort["malignant"], key
                assert point["fp"] + point["tn"] == cohort["normal"], key
                if key.endswith("@validation"):
                    assert sum(point["validation"].values()) == statistics["cohorts"]["validation"]["films"]
    for comparison in statistics["comparisons"].values():
        for point in comparison["operating_points"].values():
            for run in point["per_seed"].values():
                for name in ("malignant", "normal"):
                    assert sum(run["table"][name].values()) == cohort[name]


def check_differences(statistics):
    """A difference is the difference of what is printed of the two arms."""
    arms, reference = statistics["arms"], statistics["settings"]["reference"]
    for arm, comparison in statistics["comparisons"].items():
        pairs = [(comparison["auc_difference"], arms[arm]["auc"], arms[reference]["auc"])]
        for key, point in comparison["operating_points"].items():
            both = [arms[one]["operating_points"][key] for one in (arm, reference)]
            pairs += [(point[name], both[0][name], both[1][name]) for name in ("sensitivity", "specificity", "ppv")]
        for difference, one, other in pairs:
            if difference["estimate"] is not None:
                assert difference["estimate"] == pytest.approx(one["estimate"] - other["estimate"], abs=1e-12)
            else:
                assert None in (one["estimate"], other["estimate"])


def check_family(statistics):
    """The family holds every declared test, its p are those of the comparisons, Holm's are not smaller."""
    for comparison in statistics["comparisons"].values():
        if not comparison["family"]:
            assert not comparison["operating_points"]
            continue
        assert [test["name"] for test in comparison["family"]] == statistics["settings"]["family"]
        for test in comparison["family"]:
            measure, _, point = test["name"].partition("@")
            there = comparison["operating_points"][f"{point}@{test['threshold_from']}"][measure]
            assert test["p"] == there.get("p")
            assert test["p"] is None or test["p"] <= test["holm"] <= 1


def test_default(statistics, walk):
    check_document(statistics, walk)
    assert statistics["schema"] == "osteotl.statistics/1"
    assert list(statistics["comparisons"]) == ["transfer"]
    assert statistics["settings"]["main_point"] == "high_sensitivity@validation"
    assert set(statistics["arms"]["scratch"]["operating_points"]) == {
        f"{point}@{source}"
        for point in ("high_sensitivity", "high_specificity", "youden")
        for source in ("validation", "external")
    }


def test_locked_thresholds_are_those_of_validation(statistics, predictions):
    learnt = predictions[predictions["cohort"] == "validation"]
    rules = {"high_sensitivity": 0.9, "high_specificity": 0.9, "youden": None}
    for (arm, seed), films in learnt.groupby(["arm", "seed"]):
        for rule, target in rules.items():
            point = statistics["arms"][arm]["per_seed"][str(seed)]["operating_points"][f"{rule}@validation"]
            chosen = select_threshold(films["label"], films["score"], rule, target)
            assert point["threshold"] == chosen.threshold
            assert point["validation"]["tp"] == chosen.counts.tp


def test_one_seed(predictions_of, analysed, walk):
    statistics = analysed(predictions_of(seeds=(3,)))
    check_document(statistics, walk)
    assert "conditional on this one training run" in statistics["comparisons"]["transfer"]["auc_difference"]["method"]
    assert any("conditional on this one training run" in flag for flag in statistics["flags"])
    assert statistics["variance"] == {"scratch": None, "transfer": None}
    # 36 malignant films: the Wald interval would cover too little
    assert "logit" in statistics["arms"]["scratch"]["auc"]["method"]


def test_without_validation_films(predictions_of, analysed, walk):
    every = predictions_of()
    statistics = analysed(every[every["cohort"] == "external"])
    check_document(statistics, walk)
    assert statistics["settings"]["thresholds_from"] == ["external"]
    assert statistics["settings"]["main_point"] == "high_sensitivity@external"
    slope = statistics["arms"]["scratch"]["per_seed"]["0"]["calibration_slope"]
    assert "no validation set" in slope["not_estimable"]
    assert any("no validation set" in flag for flag in statistics["flags"])
    assert {test["threshold_from"] for test in statistics["comparisons"]["transfer"]["family"]} == {"external"}


def test_bca_intervals_on_request(statistics, predictions, analysed, settings_of):
    """Of average precision in every run; means over seeds and re-selected points keep their percentiles."""
    asked = analysed(predictions, settings_of(bca=True))
    for arm in ("scratch", "transfer"):
        one, other = (s["arms"][arm]["per_seed"]["0"]["average_precision"] for s in (asked, statistics))
        assert one["method"].startswith("BCa")
        assert other["method"].startswith("percentile")
        assert one["estimate"] == other["estimate"]
        assert one["lower"] != other["lower"]
        assert asked["arms"][arm]["average_precision"] == statistics["arms"][arm]["average_precision"]


@pytest.mark.parametrize("label", [0, 1])
def test_validation_films_of_one_class(predictions, analysed, walk, label):
    """Nothing can be learnt from them: not estimable with the reason, as without a validation set; never an error."""
    kept = predictions[(predictions["cohort"] == "external") | (predictions["label"] == label)]
    statistics = analysed(kept)
    check_document(statistics, walk)
    assert statistics["settings"]["thresholds_from"] == ["external"]
    assert statistics["cohorts"]["validation"] is None
    slope = statistics["arms"]["scratch"]["per_seed"]["0"]["calibration_slope"]
    assert "validation set has one class" in slope["not_estimable"]
    # 32 of 80 validation films are malignant
    said = f"one class ({32 * label} malignant of {32 if label else 48} films)"
    assert any(said in flag for flag in statistics["flags"])


def test_patients_of_one_class_have_no_level_of_their_own(predictions, analysed, walk):
    """Every patient has a malignant and a normal film: patients cannot be told apart, films can."""
    out = predictions["cohort"] == "external"
    place = predictions.loc[out, "image_id"].str[1:].astype(int)
    mixed = predictions.assign(patient_id=predictions["image_id"])
    ill = predictions.loc[out & (predictions["label"] == 1), "image_id"].unique()
    pairs = dict(zip(place[out].unique(), np.arange(90) % len(ill), strict=True))
    mixed.loc[out, "patient_id"] = place.map(pairs).map("both{}".format)
    statistics = analysed(mixed)
    check_document(statistics, walk)
    assert statistics["cohorts"]["external"]["malignant_patients"] == statistics["cohorts"]["external"]["patients"]
    assert statistics["arms"]["scratch"]["patient_level"] == {}


def test_only_locked_points_asked_for_and_no_validation(predictions_of, analysed, settings_of, walk):
    every = predictions_of()
    statistics = analysed(every[every["cohort"] == "external"], settings_of(thresholds_from=("validation",)))
    check_document(statistics, walk)
    assert statistics["arms"]["scratch"]["operating_points"] == {}
    assert statistics["settings"]["main_point"] is None


def test_three_arms(predictions_of, analysed, walk):
    statistics = analysed(predictions_of(arms=("scratch", "transfer", "photographs")))
    check_document(statistics, walk)
    assert list(statistics["comparisons"]) == ["transfer", "photographs"]


def test_an_arm_more_does_not_change_a_comparison(predictions_of, analysed):
    three = predictions_of(arms=("scratch", "transfer", "photographs"))
    two = analysed(three[three["arm"] != "photographs"])["comparisons"]["transfer"]["auc_difference"]
    assert analysed(three)["comparisons"]["transfer"]["auc_difference"] == pytest.approx(two)


def test_several_fractions(predictions_of, analysed, walk):
    every = predictions_of(fractions=(0.25, 0.5, 1.0))
    statistics = analysed(every)
    check_document(statistics, walk)
    whole = analysed(every[every["fraction"] == 1.0])
    assert statistics["arms"]["transfer"]["auc"] == whole["arms"]["transfer"]["auc"]
    steps = statistics["arms"]["transfer"]["learning_curve"]
    assert [(step["fraction"], step["seed"]) for step in steps] == [
        (fraction, seed) for fraction in (0.25, 0.5, 1.0) for seed in (None, 0, 1)
    ]
    assert steps[-3]["auc"] == statistics["arms"]["transfer"]["auc"]
    assert [step["fraction"] for step in statistics["learning"]["transfer"]["steps"]] == [0.25, 0.5, 1.0]


def test_several_films_of_a_patient(predictions_of, analysed, walk):
    statistics = analysed(predictions_of(films_per_patient=2))
    check_document(statistics, walk)
    assert statistics["settings"]["unit"] == "patient"
    assert statistics["cohorts"]["external"]["patients"] == 45
    assert "clustered" in statistics["comparisons"]["transfer"]["operating_points"]["youden@external"]["per_seed"]["0"]
    at_patients = statistics["arms"]["transfer"]["patient_level"]
    assert at_patients["auc"]["estimate"] is not None
    assert statistics["arms"]["transfer"]["per_seed"]["0"]["auc_patient"]["estimate"] is not None


def test_row_order_changes_nothing(predictions, statistics, analysed):
    assert analysed(predictions.sample(frac=1, random_state=3)[predictions.columns[::-1]].sort_values(
        ["arm", "seed"], kind="stable")) == statistics  # fmt: skip


def test_names_of_films_change_no_number_but_random_draws(predictions, statistics, analysed):
    """Other image_ids, hence another order of films: whatever is not resampled stays."""
    renamed = predictions.assign(
        image_id=predictions["image_id"].str[::-1], patient_id=predictions["patient_id"].str[::-1]
    )
    ours, theirs = analysed(renamed), statistics
    for path in (("comparisons", "transfer", "auc_difference"), ("arms", "transfer", "auc")):
        one, other = ours, theirs
        for key in path:
            one, other = one[key], other[key]
        assert {k: v for k, v in one.items() if k != "method"} == pytest.approx(
            {k: v for k, v in other.items() if k != "method"}, rel=1e-9
        )
    points = [s["arms"]["transfer"]["per_seed"]["0"]["operating_points"]["youden@validation"] for s in (ours, theirs)]
    assert points[0]["threshold"] == points[1]["threshold"]
    assert points[0]["tp"] == points[1]["tp"]


def test_written_twice_byte_by_byte(predictions, settings_of, tmp_path):
    for name in ("one", "two"):
        analyse(Inputs(settings_of(), predictions)).write(lambda file, name=name: tmp_path / name / file)
    files = sorted(path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*") if path.is_file())
    assert len(files) > 8
    for file in files:
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes(), file


def test_tables_hold_what_their_index_says(predictions, settings_of, tmp_path):
    made = analyse(Inputs(settings_of(), predictions))
    made.write(lambda file: tmp_path / file)
    index = json.loads((tmp_path / "tables" / "index.json").read_text())
    assert set(index) == {path.stem for path in (tmp_path / "tables").glob("*.csv")}
    scores = pd.read_csv(tmp_path / "tables" / "scores.csv")
    assert len(scores) == 90 * 4
    assert index["scores"] == {"rows": 360, "columns": list(scores)}
    roc = made.tables["roc"]
    assert {"arm", "seed", "threshold", "fpr", "tpr"} == set(roc)
    run = roc[(roc["arm"] == "scratch") & (roc["seed"] == 0)]
    area = np.trapezoid(run["tpr"], run["fpr"])
    printed = made.statistics["arms"]["scratch"]["per_seed"]["0"]["auc"]["estimate"]
    assert area == pytest.approx(printed, abs=1e-12)
    missed = made.tables["missed"]
    counted = missed[(missed["arm"] == "scratch") & (missed["seed"] == 0)]
    point = made.statistics["arms"]["scratch"]["per_seed"]["0"]["operating_points"]["high_sensitivity@validation"]
    assert len(counted) == point["fn"]


def test_nothing_that_is_not_finite_reaches_the_file():
    assert plain({"a": math.nan, "b": [math.inf, np.float64(1)], "c": np.bool_(True)}) == {
        "a": None, "b": [None, 1.0], "c": True,
    }  # fmt: skip
