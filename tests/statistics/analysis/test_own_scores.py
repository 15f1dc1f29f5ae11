"""A predictions file exported from a study says the same as the study; arms, reference and remarks of a file."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from osteotl.files import write_csv, write_json
from osteotl.scores_files.reading import ScoresError
from osteotl.statistics.analysis import analyse_study
from osteotl.statistics.plan import make_plan
from osteotl.study import parse_study

SAME = ("arms", "comparisons", "variance", "learning", "cohorts")


def study_of(**more):
    content = {
        "title": "Simulated study",
        "arms": {"scratch": {"initialise": "random"}, "transfer": {"initialise": "pretrain"}},
        "reference": "scratch",
        "seeds": [0, 1],
        "statistics": {"bootstrap": 120, "auc_margin_reason": "a test"},
        "cohorts": {
            "pretrain": {"reader": "phantom-chest", "films": 30},
            "development": {"reader": "phantom-knee", "films": 100, "validation": 80},
            "external": {"reader": "phantom-knee", "films": 90, "malignant": 36, "site": "B"},
        },
    }
    return parse_study(content | more)


@pytest.fixture
def study_folder(tmp_path, predictions_of):
    """What a study without boxes has written before 04."""
    predictions = predictions_of(films_per_patient=2)
    write_csv(tmp_path / "predictions.csv", predictions)
    once = predictions.drop_duplicates("image_id")[["image_id", "patient_id", "cohort", "label"]]
    for name, cohort, partition in (("external", "external", "test"), ("development", "validation", "validation")):
        films = once[once["cohort"] == cohort].assign(partition=partition, age=30, sex="F", site="B", view="frontal")
        write_csv(tmp_path / "cohorts" / f"{name}.csv", films.drop(columns="cohort"))
    corners = ["x_min", "y_min", "x_max", "y_max"]
    write_csv(tmp_path / "cohorts" / "boxes.csv", pd.DataFrame(columns=["image_id", *corners, "finding", "cohort"]))
    columns = ["image_id", "arm", "fraction", "seed", *corners, "score"]
    write_csv(tmp_path / "detections.csv", pd.DataFrame(columns=columns))
    write_csv(tmp_path / "audit.csv", pd.DataFrame(columns=["image_id", "arm", "fraction", "seed", "audit", "score"]))
    write_json(tmp_path / "audit.json", {"alarms": []})
    plan = make_plan(study_of(), predictions[predictions["cohort"] == "validation"])
    write_json(tmp_path / "analysis_plan.json", plan)
    return tmp_path


def test_an_exported_file_says_what_the_study_says(study_folder):
    trained = analyse_study(study_of(), lambda name: study_folder / name)
    brought = analyse_study(
        study_of(predictions=str(study_folder / "predictions.csv")), lambda name: study_folder / name
    )
    for block in SAME:
        assert brought.statistics[block] == trained.statistics[block], block
    for name in ("roc", "scores", "calibration", "decision_curve", "discordant"):
        pd.testing.assert_frame_equal(brought.tables[name], trained.tables[name])
    assert not [flag for flag in trained.statistics["flags"] if "changed after" in flag]


def test_the_same_from_scores_without_logits(study_folder):
    """Logits are made from the scores: equal but for rounding."""
    trained = analyse_study(study_of(), lambda name: study_folder / name).statistics
    table = pd.read_csv(study_folder / "predictions.csv").drop(columns=["logit", "fraction"])
    write_csv(study_folder / "bare.csv", table)
    brought = analyse_study(study_of(predictions=str(study_folder / "bare.csv")), lambda name: study_folder / name)
    ours, theirs = (s["arms"]["transfer"] for s in (brought.statistics, trained))
    assert ours["auc"] == theirs["auc"]
    assert (
        ours["operating_points"]["youden@validation"]["ppv"] == theirs["operating_points"]["youden@validation"]["ppv"]
    )
    assert ours["brier_recalibrated"]["upper"] == pytest.approx(theirs["brier_recalibrated"]["upper"], rel=1e-6)


def test_a_locked_threshold_that_moved_is_said(study_folder):
    predictions = pd.read_csv(study_folder / "predictions.csv")
    learnt = predictions["cohort"] == "validation"
    predictions.loc[learnt, ["score"]] = predictions.loc[learnt, "score"] ** 2
    write_csv(study_folder / "predictions.csv", predictions)
    flags = analyse_study(study_of(), lambda name: study_folder / name).statistics["flags"]
    assert any(flag.startswith("threshold of") and "changed after external results" in flag for flag in flags)


def test_arms_are_the_file_s(tmp_path, predictions_of):
    """Arms that the configuration does not know; readers among them; the reference by name, or the first."""
    table = predictions_of(arms=("reader A", "reader B", "model"), seeds=(0,))
    table["score"] = np.where(table["arm"] == "model", table["score"], (table["score"] * 4).round() + 1)
    write_csv(tmp_path / "scores.csv", table[["image_id", "arm", "label", "score"]][table["cohort"] == "external"])
    study = parse_study({"title": "Readers", "predictions": str(tmp_path / "scores.csv"),
                         "statistics": {"bootstrap": 120}})  # fmt: skip
    first = analyse_study(study, lambda name: tmp_path / name).statistics
    assert list(first["arms"]) == ["reader A", "reader B", "model"]
    assert first["settings"]["reference"] == "reader A"
    assert any("reference arm: 'reader A'" in flag for flag in first["flags"])
    assert any("no cohort column" in flag for flag in first["flags"])
    named = analyse_study(study, lambda name: tmp_path / name, "model").statistics
    assert list(named["comparisons"]) == ["reader A", "reader B"]
    difference = [s["comparisons"] for s in (first, named)]
    assert difference[0]["model"]["auc_difference"]["estimate"] == pytest.approx(
        -difference[1]["reader A"]["auc_difference"]["estimate"]
    )
    json.dumps(named, allow_nan=False)


def test_unequal_runs_are_refused_here_and_not_by_the_reader(study_folder):
    """The reader takes arms with other seeds; the analysis of variance of this version does not, and says so."""
    table = pd.read_csv(study_folder / "predictions.csv")
    write_csv(study_folder / "fewer.csv", table[(table["arm"] == "scratch") | (table["seed"] == 0)])
    with pytest.raises(ScoresError, match=r"arms have different runs .*'scratch' 2, 'transfer' 1"):
        analyse_study(study_of(predictions=str(study_folder / "fewer.csv")), lambda name: study_folder / name)
