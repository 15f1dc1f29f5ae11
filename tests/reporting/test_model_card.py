"""Model cards: numbers of the arm, its licence, its limits, and no markup from labels."""

from __future__ import annotations

import copy
import json
import re

import pytest
from marked import ACTIVE, kinds, tokens
from records import training_records

from osteotl.reporting.model_card import model_card
from osteotl.reporting.wording import interval
from osteotl.study import parse_study

HEADINGS = ["Intended use", "Not for", "Model", "Training data", "Evaluation data", "Performance", "Limits", "Licence",
            "About this card"]  # fmt: skip


@pytest.fixture(scope="module")
def files(page):
    read = {name: json.loads((page.out / name).read_text()) for name in ("statistics.json", "provenance.json",
                                                                         "cohorts/integrity.json")}  # fmt: skip
    return page.study, read["statistics.json"], read["cohorts/integrity.json"], read["provenance.json"]


def card(files, arm="transfer", statistics=None, study=None, records=None):
    default, found, integrity, provenance = files
    records = training_records()[arm] if records is None else records
    return model_card(study or default, statistics or found, arm, records, integrity, provenance)


def test_sections_stand_in_order(files):
    assert re.findall(r"^## (.+)$", card(files), flags=re.M) == HEADINGS


def test_performance_is_the_arms_own_with_intervals(files):
    statistics = files[1]
    for arm in ("scratch", "transfer"):
        text = card(files, arm)
        assert f"| AUC, mean over runs | {interval(statistics['arms'][arm]['auc'])} |" in text
        for key, point in statistics["arms"][arm]["operating_points"].items():
            if key.startswith("high_sensitivity"):
                assert interval(point["specificity"]) in text
    assert card(files, "scratch") != card(files, "transfer")


def test_where_the_weights_came_from(files):
    assert "421 of 427 tensors" in card(files, "transfer")
    assert "random weights" in card(files, "scratch")
    assert "1" * 64 in card(files, "transfer")
    assert "Pretraining" not in card(files, "scratch")


def test_licence_and_limits_are_said(files):
    text = card(files)
    assert "AGPL-3.0" in text
    assert "not a medical device" in text
    assert "All films were synthetic" in text
    for flag in files[1]["flags"]:
        assert flag in text


def test_missing_parts_are_named_not_invented(files):
    statistics = copy.deepcopy(files[1])
    statistics["arms"]["transfer"]["auc"] = {"estimate": None, "not_estimable": "all scores are equal"}
    del statistics["arms"]["transfer"]["localisation"]
    text = card(files, statistics=statistics, records={})
    assert "| AUC, mean over runs | not estimable (all scores are equal) |" in text
    assert "SHA-256" not in text
    assert "Lesions hit" not in text
    assert "None" not in text
    foreign = card(files, study=parse_study({"title": "Scores", "predictions": "p.csv"}), records={})
    assert "knows nothing of the model" in foreign
    assert "AdamW" not in foreign


def test_labels_break_no_table_and_run_nothing(files):
    statistics = copy.deepcopy(files[1])
    hostile = "a|b\n\n# head <script>alert(1)</script> [x](javascript:a()) ![y](z)"
    statistics["settings"]["arms"]["transfer"]["label"] = hostile
    statistics["arms"]["transfer"]["auc"] = {"estimate": None, "not_estimable": hostile}
    text = card(files, statistics=statistics)
    found = kinds(text)
    assert not ACTIVE & set(found)
    assert found.count("heading") == 1 + len(HEADINGS)
    assert {len(token["children"]) for token in tokens(text) if token["type"] == "table_row"} == {2}


def test_unknown_arm_is_refused_by_name(files):
    with pytest.raises(ValueError, match=r"'transfr' is not in statistics\.json; the arms are scratch, transfer"):
        model_card(files[0], files[1], "transfr")
