"""Excel workbooks as rows of text, and what in them would be read wrongly in silence."""

from __future__ import annotations

import datetime
import io
import zipfile
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Any

from osteotl.cohorts.faults import plural
from osteotl.cohorts.readers.builder import CohortBuilder
from osteotl.cohorts.readers.columns import header_of
from osteotl.files import MOST_TITLES

Rows = list[tuple[int, list[str]]]  # rows that hold anything, each with its number in the file
LARGEST_SHEET = 1 << 29  # bytes that an .xlsx may unpack to: a zip bomb is refused before it is opened


def read_workbook(builder: CohortBuilder, path: Path, content: bytes, needs: Iterable[str] = ()) -> Rows | None:
    """The rows of the sheet that holds the table, every cell as text; or None and a fault.

    The sheet is the first that names all columns of `needs`, else the first that names any two known columns, else the
    first that holds anything. Further sheets, cells that Excel turned into dates, and formulas without a stored value
    are told.
    """
    import openpyxl  # 0.2 s, needed by few layouts

    try:
        if not _is_workbook(builder, path, content):
            return None
        book = openpyxl.load_workbook(io.BytesIO(content), read_only=True, data_only=True)
        sheets = [sheet for sheet in book.worksheets if _holds_rows(sheet)]
        if not sheets:
            return []
        sheet = _sheet_of_table(sheets, needs)
        cells = [list(row) for row in sheet.iter_rows(values_only=True)]
        empty = any(cell is None for row in cells for cell in row)
        formula = _lost_formula(content, sheet.title, cells) if empty else None
    except Exception as error:  # openpyxl raises whatever its parts raise on a damaged workbook
        builder.fault(
            "file_unreadable", path, f"not an Excel workbook: {error or type(error).__name__}", "save it as CSV"
        )
        return None
    if formula:
        text = f"cell {formula} holds a formula whose value is not stored"
        builder.fault("file_unreadable", path, text, "open it in Excel and save it again, or save it as CSV")
        return None
    if len(sheets) > 1:
        others = ", ".join(repr(other.title) for other in [other for other in sheets if other is not sheet][:4])
        text = f"its sheet {sheet.title!r} is read; {plural(len(sheets) - 1, 'other sheet')} not: {others}"
        builder.fault("table_read_as", path, text, "save each table as a file of its own")
    rows = [(number, row) for number, row in enumerate(cells, 1) if any(cell not in (None, "") for cell in row)]
    _name_dates(builder, path, [row for _, row in rows])
    texts = [(number, [_text(cell) for cell in row]) for number, row in rows]
    return [(number, row) for number, row in texts if any(cell.strip() for cell in row)]


def _sheet_of_table(sheets: list[Any], needs: Iterable[str]) -> Any:
    """The sheet that holds the table, of those that hold anything."""
    tops = [list(islice(filter(any, sheet.iter_rows(values_only=True)), MOST_TITLES + 1)) for sheet in sheets]
    for wanted in (tuple(needs), ()):
        for sheet, top in zip(sheets, tops, strict=True):
            if header_of(top, wanted) is not None:
                return sheet
    return sheets[0]


def _is_workbook(builder: CohortBuilder, path: Path, content: bytes) -> bool:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        names = set(archive.namelist())
        if sum(item.file_size for item in archive.infolist()) > LARGEST_SHEET:
            builder.fault("file_unreadable", path, f"unpacks to more than {LARGEST_SHEET >> 20} MB", "save it as CSV")
            return False
    if "content.xml" in names:
        builder.fault("file_unreadable", path, "is an OpenDocument spreadsheet (.ods)", "save it as .xlsx or CSV")
        return False
    if "xl/workbook.bin" in names:
        builder.fault("file_unreadable", path, "is a binary Excel workbook (.xlsb)", "save it as .xlsx or CSV")
        return False
    if not any(name.endswith("workbook.xml") for name in names) and "[Content_Types].xml" not in names:
        builder.fault("file_unreadable", path, "is a zip archive and no Excel workbook", "unpack it, or save it as CSV")
        return False
    return True


def _holds_rows(sheet: Any) -> bool:
    return any(cell not in (None, "") for row in sheet.iter_rows(values_only=True) for cell in row)


def _lost_formula(content: bytes, title: str, cells: list[list[Any]]) -> str | None:
    """The first cell with a formula and no value: a program that writes workbooks does not calculate them."""
    import openpyxl

    sheet = openpyxl.load_workbook(io.BytesIO(content), read_only=True)[title]
    for number, row in enumerate(sheet.iter_rows(values_only=True)):
        for place, cell in enumerate(row):
            lost = isinstance(cell, str) and cell.startswith("=") and cells[number][place] is None
            if lost:
                return f"{openpyxl.utils.get_column_letter(place + 1)}{number + 1}"
    return None


def _name_dates(builder: CohortBuilder, path: Path, cells: list[list[Any]]) -> None:
    """Excel makes a date of '1-2': an identifier is then lost."""
    head = header_of(cells) or 0
    for place, name in enumerate(cells[head] if cells else []):
        dates = [row[place] for row in cells[head + 1 :] if place < len(row) and isinstance(row[place], datetime.date)]
        if dates and "dat" not in str(name).lower():
            text = f"{plural(len(dates), 'cell')} of the column {name!r} are dates (such as {_text(dates[0])})"
            builder.fault(
                "table_read_as", path, text, "if they were typed as something else, format the column as text"
            )


def _text(cell: Any) -> str:
    if cell is None:
        return ""
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < 1e15:
        return str(int(cell))
    if isinstance(cell, datetime.datetime) and cell.time() == datetime.time():
        return cell.date().isoformat()
    return str(cell)
