"""Schema of statistics.csv, for studies of several kinds: notebook 04 is executed on each."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from diagnostic_accuracy.estimates import COLUMNS, IDENTITY, NUMERIC, one, read_results, select, to_csv
from notebooks.finished_study import ROOT

pytestmark = pytest.mark.slow

RATES = {"sensitivity", "specificity", "ppv", "npv"}
MEASURES = {
    "cohort": {"films", "malignant_films", "normal_films", "patients", "malignant_patients", "normal_patients"},
    "discrimination": {"auc", "average_precision"},
    "operating_points": RATES | {"lr_positive", "lr_negative", "f1", "accuracy", "missed_per_100",
                                 "false_alarms_per_1000", "threshold"},
    "patients_relearnt": {"sensitivity", "specificity"},
    "predictive_values": {"ppv", "npv"},
    "calibration": {"brier", "log_oe", "calibration_in_the_large", "calibration_intercept", "calibration_slope"},
    "decision": {"net_benefit"},
    "localisation": {"lroc_auc", "wafroc_auc", "coco_ap", "froc_sensitivity", "lroc_sensitivity",
                     "localisation_error", "boxes_hit", "boxes_duplicate", "boxes_misplaced", "boxes_background",
                     "lesions_missed"},
    "variance": {"run_sd", "share"},
    "subgroups": {"auc", "sensitivity", "specificity"},
    "sites": {"log_oe", "calibration_slope"},  # the simulated films come from two sites: nothing is pooled
    "as_published": RATES | {"auc", "delong", "delong_clustered", "mcnemar_corrected", "mcnemar_exact", "mcnemar_midp",
                             "mcnemar_clustered", "tango", "clustered_difference", "ppv_bootstrap", "ppv_score_test",
                             "false_difference_rate"},
    "learning": {"auc"},
    "audit": {"auc"},
    "baseline": {"auc"},
}  # fmt: skip
ALLOWED = {
    "unit": {"", "film", "patient"},
    "point": {"", "high_sensitivity", "high_specificity", "youden", "given"},
    "threshold_from": {"", "validation", "external", "given"},
    "recalibration": {"", "none", "logistic"},
}
BASIS = r"|this run only|\d+ (runs|readers)|(runs|readers) and (patients|films)(, .+)?"
SHARES = ("sensitivity", "specificity", "ppv", "npv", "f1", "accuracy", "auc", "average_precision", "lroc_auc",
          "coco_ap", "wafroc_auc", "froc_sensitivity", "lroc_sensitivity",
          "localisation_error")  # fmt: skip
SECTIONS = {
    "plain": set(MEASURES) - {"learning", "audit", "baseline"},
    "learnt": set(MEASURES) - {"patients_relearnt", "audit", "baseline"},
    "one_run": set(MEASURES) - {"patients_relearnt", "learning", "audit", "baseline"},
    "five_arms": set(MEASURES) - {"patients_relearnt", "learning", "audit", "baseline"},
    "no_validation": {"cohort", "discrimination", "operating_points", "variance", "as_published"},
    "readers": {"cohort", "discrimination", "operating_points", "variance", "as_published"},
}  # fmt: skip


@pytest.fixture(params=SECTIONS)
def made(request):
    """A study's name and what 04 saved."""
    return request.param, request.getfixturevalue(request.param)


def test_schema(made):
    name, explored = made
    table = explored.results
    assert tuple(table.columns) == COLUMNS
    for column in COLUMNS:
        kind = pd.api.types.is_float_dtype if column in NUMERIC else pd.api.types.is_string_dtype
        assert kind(table[column]), column
        if column not in NUMERIC:
            assert not table[column].isin(["nan", "NaN", "None", "<NA>", "inf", "-inf"]).any(), column
    assert np.isfinite(table[list(NUMERIC)].to_numpy()[table[list(NUMERIC)].notna().to_numpy()]).all()
    assert not table.duplicated(list(IDENTITY)).any()
    # what can be in the table, and what such a study must have
    assert set(table["section"]) == SECTIONS[name]
    for section, rows in table.groupby("section"):
        assert set(rows["measure"]) <= MEASURES[section], section
    for column, values in ALLOWED.items():
        assert set(table[column]) <= values, column
    compared = table[table["reference_group"] != ""]
    assert (compared["section"] == "subgroups").all()
    assert set(compared["reference_group"]) <= set(table["group"])
    assert [text for text in table["basis"].unique() if not re.fullmatch(BASIS, text)] == []
    arms = set(explored.analysis["arms"])
    assert set(table["arm"]) <= arms | {""}
    assert set(table["reference"]) <= {"", explored.analysis["settings"]["reference"]}


def test_numbers(made):
    _, explored = made
    table = explored.results
    whole = table[["estimate", "lower", "upper"]].notna().all(axis=1)
    assert (table.loc[~whole, "note"] != "").all(), "what is missing has a reason"
    assert (table["lower"].isna() == table["upper"].isna()).all()
    assert (table.loc[table["estimate"].isna(), ["lower", "upper", "p"]].isna()).all(axis=None)
    bounded = table[whole]
    assert ((bounded["lower"] <= bounded["estimate"]) & (bounded["estimate"] <= bounded["upper"])).all()
    assert (bounded["upper"] > bounded["lower"]).all()
    assert (bounded["method"] != "").all()
    assert all(table[name].dropna().between(0, 1).all() for name in ("p", "p_adjusted"))
    assert table["fraction"].between(0, 1, inclusive="right").all()
    assert (table["n"].dropna() >= 0).all()
    alone = table[table["measure"].isin(SHARES) & (table["reference"] == "")]
    assert all(alone[name].dropna().between(0, 1).all() for name in ("estimate", "lower", "upper"))


def test_the_codebook_names_every_section_and_column(made):
    _, explored = made
    text = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    sections = re.search(r"\| `section` \| the question: ([\w, ]+) \|", text)[1].split(", ")
    assert set(explored.results["section"]) <= set(sections)
    for name in COLUMNS:
        assert f"`{name}`" in text, name


def test_written_and_read_again(made, tmp_path):
    _, explored = made
    (tmp_path / "table.csv").write_text(to_csv(explored.results), encoding="utf-8")
    pd.testing.assert_frame_equal(read_results(tmp_path / "table.csv"), explored.results)


# --- label fractions and optimiser steps ------------------------------------------------------------------------------


def mean_auc(rows, arm):
    from sklearn.metrics import roc_auc_score

    runs = rows[rows["arm"] == arm].groupby("seed")
    return np.mean([roc_auc_score(part["label"], part["score"]) for _, part in runs])


def test_learning_curve_by_equal_steps_and_by_equal_epochs(learning, learnt):
    extra = pd.read_csv(learning.outputs / "predictions_extra.csv")
    outer = learning.predictions[learning.predictions["cohort"] == "external"]
    curves = select(learnt.results, section="learning", reference=None, run=None)
    half = extra[extra["training"] == "equal_epochs"]
    for arm in ("scratch", "transfer"):
        for fraction in (0.5, 1.0):
            rows = outer[outer["fraction"] == fraction]
            both = {None: rows, "equal_epochs": half if fraction < 1 else rows}  # all labels: one and the same run
            for group, scored in both.items():
                row = one(curves, arm=arm, fraction=fraction, group=group)
                assert row["estimate"] == pytest.approx(mean_auc(scored, arm), abs=1e-12)
                assert row["lower"] < row["estimate"] < row["upper"]
    gap = one(learnt.results, section="learning", fraction=0.5, group="equal_epochs", reference="scratch", run=None)
    assert gap["estimate"] == pytest.approx(mean_auc(half, "transfer") - mean_auc(half, "scratch"), abs=1e-12)


def test_curve_by_optimiser_steps(learning, learnt):
    """The checkpoint of step 20 on all labels, then the last weights: that of step 60 is one with them."""
    steps = pd.read_csv(learning.outputs / "scratch" / "tables" / "steps_curve.csv", dtype={"run": str})
    assert list(steps.columns) == ["arm", "run", "step", "estimate", "lower", "upper"]
    mean = steps[steps["run"].isna()].set_index(["arm", "step"])["estimate"]
    assert sorted(mean.index) == [("scratch", 20), ("scratch", 60), ("transfer", 20), ("transfer", 60)]
    extra = pd.read_csv(learning.outputs / "predictions_extra.csv")
    outer = learning.predictions[learning.predictions["cohort"] == "external"]
    early = extra[(extra["step"] == 20) & (extra["fraction"] == 1.0)]
    for arm in ("scratch", "transfer"):
        assert mean[arm, 20] == pytest.approx(mean_auc(early, arm), abs=1e-12)
        assert mean[arm, 60] == pytest.approx(mean_auc(outer[outer["fraction"] == 1.0], arm), abs=1e-12)
    assert sorted(steps["run"].dropna().unique()) == ["0", "1"]


def test_without_checkpoints_there_is_no_curve(plain, study):
    assert not (study.outputs / "scratch" / "tables" / "steps_curve.csv").exists()
