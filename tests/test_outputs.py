"""The spreadsheet of the results, as other programs read it."""

from __future__ import annotations

import io

import numpy as np
import openpyxl
import pandas as pd
import pytest

from diagnostic_accuracy.scores import scores_of
from osteotl.outputs import settings_of, workbook
from osteotl.study import parse_study


def test_a_workbook_holds_texts_numbers_and_empty_cells():
    table = pd.DataFrame({"arm": ["a<b & 'c'", "", " bell\x07"], "estimate": [0.1 + 0.2, None, 3.0]})
    sheet = openpyxl.load_workbook(io.BytesIO(workbook(table))).active
    rows = [[cell.value for cell in row] for row in sheet.iter_rows()]
    # a missing number and an empty text are empty cells; XML cannot hold the bell
    assert rows == [["arm", "estimate"], ["a<b & 'c'", 0.1 + 0.2], [None, None], [" bell", 3.0]]


def test_the_same_table_gives_the_same_bytes():
    table = pd.DataFrame({"arm": ["a"], "estimate": [0.5]})
    assert workbook(table) == workbook(table.copy())


@pytest.mark.parametrize(
    ("films", "statistics", "draws"),
    [(1000, {}, 10_000), (250_000, {}, 2_000), (250_000, {"bootstrap": 10_000}, 10_000)],
)
def test_of_very_many_scores_fewer_draws_are_made_unless_the_study_says_how_many(films, statistics, draws, tmp_path):
    one = pd.DataFrame({"image_id": np.arange(films).astype(str), "label": np.arange(films) % 2, "score": 0.5})
    table = pd.concat([one.assign(arm="a"), one.assign(arm="b")])
    (tmp_path / "scores.csv").write_text("image_id,label,arm,score\n")
    study = parse_study({"title": "t", "predictions": "scores.csv", "statistics": statistics}, tmp_path)
    assert settings_of(study, scores_of(table))["bootstrap"] == draws
