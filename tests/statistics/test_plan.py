"""The plan that is locked before any external film is scored."""

from __future__ import annotations

import copy
import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from osteotl.statistics import plan
from osteotl.study import parse_study


def study(**statistics):
    phantom = {"reader": "phantom-knee", "films": 20, "validation": 8}
    return parse_study(
        {
            "title": "Plan",
            "reference": "scratch",
            "seeds": [0, 1],
            "cohorts": {
                "pretrain": {"reader": "phantom-chest", "films": 8},
                "development": phantom,
                "external": phantom,
            },
            "arms": {"scratch": {"initialise": "random"}, "transfer": {"initialise": "pretrain"}},
            "statistics": statistics,
        }
    )


def predictions():
    rows = []
    for arm in ("scratch", "transfer"):
        for seed in (0, 1):
            for i, (label, score) in enumerate([(1, 0.9), (1, 0.4), (1, 0.7), (0, 0.5), (0, 0.2), (0, 0.1), (0, 0.8)]):
                rows.append([f"f{i}", f"p{i}", "validation", label, arm, 1.0, seed, score, np.log(score / (1 - score))])
    columns = ["image_id", "patient_id", "cohort", "label", "arm", "fraction", "seed", "score", "logit"]
    return pd.DataFrame(rows, columns=columns)


def test_thresholds_are_locked_per_arm_and_seed():
    made = plan.make_plan(study(), predictions())
    assert len(made["thresholds"]) == 2 * 2 * 3
    # sensitivity >= 0.9 of three malignant films needs all three, so the lowest malignant score
    assert plan.locked_threshold(made, "transfer", 1.0, 1, "high_sensitivity") == 0.4
    # specificity >= 0.9 of four normal films needs all four: only 0.9 lies above 0.8
    assert plan.locked_threshold(made, "scratch", 1.0, 0, "high_specificity") == 0.9
    row = next(r for r in made["thresholds"] if r["point"] == "high_sensitivity")
    assert (row["tp"], row["fp"], row["tn"], row["fn"]) == (3, 2, 2, 0)
    with pytest.raises(ValueError, match="locks no threshold for scratch, fraction 1, seed 7, youden"):
        plan.locked_threshold(made, "scratch", 1.0, 7, "youden")


def test_recalibration_is_the_logistic_fit_on_the_logit():
    import statsmodels.api as sm

    rows = predictions().query("arm == 'scratch' and seed == 0")
    fit = sm.Logit(rows["label"], sm.add_constant(rows["logit"])).fit(disp=0, tol=1e-12)
    locked = plan.make_plan(study(), predictions())["recalibration"][0]
    assert locked["intercept"] == pytest.approx(fit.params["const"], abs=1e-6)
    assert locked["slope"] == pytest.approx(fit.params["logit"], abs=1e-6)


def test_separated_validation_films_say_why_there_is_no_recalibration():
    table = predictions()
    table["score"] = table["label"] * 0.5 + 0.25
    table["logit"] = np.log(table["score"] / (1 - table["score"]))
    locked = plan.make_plan(study(), table)["recalibration"][0]
    assert locked["slope"] is None
    assert "separates" in locked["not_estimable"]


def test_too_few_malignant_patients_are_told():
    films = plan.make_plan(study(), predictions())["films"]
    assert films["malignant_patients"] == 3
    assert films["malignant_patients_needed"] == 29
    assert not films["enough_malignant_patients"]


def test_a_kept_plan_has_no_changes_and_a_changed_margin_is_told(tmp_path):
    plan.write_plan(study(), SimpleNamespace(predictions=predictions()), tmp_path / "analysis_plan.json")
    stored = json.loads((tmp_path / "analysis_plan.json").read_text())
    assert stored["hash"] == plan.plan_hash(stored)
    assert plan.changes_since(stored, study()) == []
    told = plan.changes_since(stored, study(auc_margin=0.1))
    assert told == ["auc_margin changed after external results: planned 0.03, now 0.1"]
    points = plan.changes_since(stored, study(operating_points={"youden": False}))
    assert {sentence.split()[0] for sentence in points} == {"family", "operating_points"}


def test_a_plan_edited_by_hand_is_told(tmp_path):
    stored = plan.make_plan(study(), predictions())
    edited = copy.deepcopy(stored)
    edited["thresholds"][0]["threshold"] = 0.123
    assert plan.changes_since(edited, study()) == [
        "analysis_plan.json itself was changed after external results: its hash does not fit its content"
    ]


def test_two_runs_write_the_same_bytes(tmp_path):
    for name in ("a.json", "b.json"):
        plan.write_plan(study(), predictions(), tmp_path / name)
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


def test_external_films_cannot_enter_the_plan():
    table = predictions()
    table.loc[0, "cohort"] = "external"
    with pytest.raises(ValueError, match="locked on validation films alone, got films of cohort 'external'"):
        plan.make_plan(study(), table)
    with pytest.raises(ValueError, match=r"labels \[0\]; both 0 and 1 are needed"):
        plan.make_plan(study(), predictions().query("label == 0"))
    with pytest.raises(ValueError, match="no validation film was scored"):
        plan.make_plan(study(), predictions().iloc[:0])
