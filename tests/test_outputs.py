"""The spreadsheet of the results, as other programs read it."""

from __future__ import annotations

import io

import openpyxl
import pandas as pd

from osteotl.outputs import workbook


def test_a_workbook_holds_texts_numbers_and_empty_cells():
    table = pd.DataFrame({"arm": ["a<b & 'c'", "", " bell\x07"], "estimate": [0.1 + 0.2, None, 3.0]})
    sheet = openpyxl.load_workbook(io.BytesIO(workbook(table))).active
    rows = [[cell.value for cell in row] for row in sheet.iter_rows()]
    # a missing number and an empty text are empty cells; XML cannot hold the bell
    assert rows == [["arm", "estimate"], ["a<b & 'c'", 0.1 + 0.2], [None, None], [" bell", 3.0]]


def test_the_same_table_gives_the_same_bytes():
    table = pd.DataFrame({"arm": ["a"], "estimate": [0.5]})
    assert workbook(table) == workbook(table.copy())
