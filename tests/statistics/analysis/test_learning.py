"""Checkpoints, equal epochs and label savings in the document: what is computed, and what is said of it."""

from __future__ import annotations

import pandas as pd
import pytest

from osteotl.statistics.analysis import Inputs, analyse
from osteotl.statistics.analysis.inputs import read_study
from osteotl.statistics.analysis.learning import convergence, equal_epochs_curve, label_savings, steps_curve
from osteotl.statistics.analysis.prepare import prepare
from osteotl.statistics.replicate_values import auc_replicates
from osteotl.statistics.replicates import compare_replicates
from osteotl.study import parse_study

CLOSE, FAR = {"scratch": 2.0, "transfer": 2.0}, {"scratch": 0.2, "transfer": 3.0}


@pytest.fixture(scope="module")
def study(predictions_of, extra_of, settings_of):
    """A function: separation at the first checkpoint and at the end -> an analysis prepared."""
    base = predictions_of(films=300, malignant=120, validation=0)

    def made(first, end, margin=0.03):
        last = extra_of(base, end, 999).drop(columns=["training", "step", "last_step"])
        rows = pd.concat([last, base[base["cohort"] == "validation"]])
        checkpoints = pd.concat([extra_of(base, first, 10), extra_of(base, first, 20)])
        return prepare(Inputs(settings_of(auc_margin=margin), rows, extra=checkpoints))

    return made


@pytest.mark.parametrize(
    ("first", "end", "buys", "said"),
    [
        (FAR, CLOSE, "convergence", "what its start buys here is convergence"),
        (FAR, FAR, "a lasting gain", "and still at the last step (100; "),
        (CLOSE, FAR, "a late gain", "but it was at the last step"),
        (CLOSE, CLOSE, "nothing shown", "not shown to be ahead at any checkpoint, nor at the last step"),
        (FAR, {"scratch": 3.0, "transfer": 0.2}, "nothing lasting", "and behind at the last step"),
    ],
)
def test_what_a_start_buys_is_computed(study, first, end, buys, said):
    found = convergence(study(first, end), "transfer")
    assert found["buys"] == buys
    assert said in found["sentence"]
    assert [(step["step"], step["last"]) for step in found["steps"]] == [(10, False), (20, False), (100, True)]


@pytest.mark.parametrize(("margin", "said"), [(0.4, "0.4 or more is ruled out"), (0.001, "0.001 or more is not ruled")])
def test_no_difference_shown_is_not_called_the_same(study, margin, said):
    assert said in convergence(study(FAR, CLOSE, margin), "transfer")["sentence"]


def test_numbers_at_a_checkpoint_are_those_of_the_methods_by_themselves(study):
    prepared = study(FAR, CLOSE)
    rows = prepared.inputs.extra[prepared.inputs.extra["step"] == 10].sort_values("image_id")
    runs = {
        arm: {seed: part["score"].to_numpy() for seed, part in of_arm.groupby("seed")}
        for arm, of_arm in rows.groupby("arm")
    }
    label = rows.drop_duplicates("image_id")["label"].to_numpy()
    expected = compare_replicates(auc_replicates(label, runs), "transfer", "scratch").difference.to_dict()
    assert convergence(prepared, "transfer")["steps"][0]["difference"] == expected


def test_the_last_step_is_the_headline(study):
    prepared = study(FAR, CLOSE)
    document = analyse(prepared.inputs).statistics
    last = [row for row in document["arms"]["transfer"]["steps_curve"] if row["last"] and row["seed"] is None]
    assert [row["auc"] for row in last] == [document["arms"]["transfer"]["auc"]]
    steps = document["comparisons"]["transfer"]["convergence"]["steps"]
    assert steps[-1]["difference"] == document["comparisons"]["transfer"]["auc_difference"]


def test_a_step_that_one_run_did_not_reach_is_left_out(study):
    prepared = study(FAR, CLOSE)
    extra = prepared.inputs.extra
    short = (extra["arm"] == "scratch") & (extra["seed"] == 1) & (extra["step"] == 20)
    fewer = prepare(Inputs(prepared.settings, prepared.inputs.predictions, extra=extra[~short]))
    assert [step["step"] for step in convergence(fewer, "transfer")["steps"]] == [10, 100]
    curves = steps_curve(fewer)
    assert sorted({row["step"] for row in curves["scratch"]}) == [10, 100]
    assert sorted({row["step"] for row in curves["transfer"]}) == [10, 20, 100]


def test_equal_epochs_stand_beside_equal_steps_where_both_were_run(predictions_of, extra_of, settings_of):
    every = predictions_of(fractions=(0.5, 1.0))
    extra = extra_of(every, CLOSE, 50, 50, "equal_epochs", 0.5)
    both = analyse(Inputs(settings_of(fraction_training="both"), every, extra=extra))
    arm = both.statistics["arms"]["transfer"]
    places = [(0.5, None), (0.5, 0), (0.5, 1), (1.0, None), (1.0, 0), (1.0, 1)]
    assert [(row["fraction"], row["seed"]) for row in arm["learning_curve_equal_epochs"]] == places
    assert arm["learning_curve_equal_epochs"][-3:] == arm["learning_curve"][-3:]  # on all labels they are one run
    assert arm["learning_curve_equal_epochs"][0] != arm["learning_curve"][0]
    assert both.statistics["comparisons"]["transfer"]["convergence"] == {}  # the end of a run is no checkpoint of it
    table = both.tables["learning_curve"]
    assert table.groupby("training").size().to_dict() == {"equal_epochs": 12, "equal_steps": 12}
    assert not any(equal_epochs_curve(prepare(Inputs(settings_of(), every))).values())


def test_label_savings_name_the_fraction_that_equals_all_labels(predictions_of, settings_of):
    every = predictions_of(fractions=(0.5, 1.0), films=200, malignant=80)
    settings = settings_of(bootstrap=200)
    found = label_savings(Inputs(settings, every))["transfer"]["equal_fraction"]
    assert 0.5 <= found["estimate"] <= 1
    assert found["lower"] <= found["estimate"]
    same = every.assign(arm=every["arm"].map({"scratch": "transfer", "transfer": "scratch"}))
    worse = same[["score", "logit"]].where(same["arm"] == "scratch", -9.0)  # an arm that tells no film from another
    lost = label_savings(Inputs(settings, same.assign(**worse)))["transfer"]["equal_fraction"]
    assert lost["estimate"] is None
    assert "did not reach" in lost["sentence"]
    assert label_savings(Inputs(settings, every[every["fraction"] == 1.0])) == {}


@pytest.mark.parametrize("asked", [True, False])
def test_extra_predictions_are_read_where_the_study_asks_for_them(predictions_of, extra_of, tmp_path, asked):
    base = predictions_of()
    films = base.drop_duplicates("image_id")[["image_id", "patient_id", "cohort", "label"]]
    films = films.assign(partition=films["cohort"].map({"external": "test", "validation": "validation"}))
    files = {
        "cohorts/development.csv": films[films["cohort"] == "validation"],
        "cohorts/external.csv": films[films["cohort"] == "external"],
        "cohorts/boxes.csv": pd.DataFrame(columns=["image_id", "x_min", "y_min", "x_max", "y_max"]),
        "predictions.csv": base,
        "detections.csv": pd.DataFrame(columns=["image_id", "arm", "fraction", "seed"]),
        "audit.csv": pd.DataFrame(columns=["image_id", "arm"]),
        "predictions_extra.csv": extra_of(base, FAR, 10),
    }
    (tmp_path / "cohorts").mkdir()
    for name, table in files.items():
        table.to_csv(tmp_path / name, index=False)
    for name in ("audit.json", "analysis_plan.json"):
        (tmp_path / name).write_text("{}")
    phantoms = {"reader": "phantom-knee", "films": 20}
    study = parse_study({
        "title": "Small", "cohorts": {"development": phantoms, "external": phantoms}, "reference": "scratch",
        "arms": {arm: {"initialise": "random"} for arm in FAR}, "detector": {"checkpoints": [10] if asked else []},
        "seeds": [0, 1],
    })  # fmt: skip
    inputs = read_study(study, lambda name: tmp_path / name)
    assert (inputs.extra is not None) is asked
    assert bool(convergence(prepare(inputs), "transfer")) is asked
