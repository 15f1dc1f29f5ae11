"""Opening annotation files that anybody may have made: bounded, and with a listed fault instead of a traceback."""

from __future__ import annotations

import csv
import io
import json
import math
import zipfile
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from osteotl.cohorts.readers.draft import Draft

LARGEST_FILE = 1 << 30  # bytes of one annotation file; NIH's and COCO's largest are under 500 MB
LARGEST_SHEET = 1 << 29  # bytes that an .xlsx may unpack to: a zip bomb is refused before it is opened


def read_text(draft: Draft, path: Path) -> str | None:
    """A UTF-8 file (with or without a byte-order mark), or a fault."""
    try:
        if path.stat().st_size > LARGEST_FILE:
            draft.fault(
                "file_unreadable", path, f"larger than {LARGEST_FILE >> 20} MB", "split it, or take out image data"
            )
            return None
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        draft.fault(
            "file_missing", path, "there is no such file", "check `root`, and the settings that name files of it"
        )
    except UnicodeDecodeError as error:
        draft.fault("file_unreadable", path, f"not UTF-8 text (byte {error.start})", "save it as UTF-8")
    except OSError as error:
        draft.fault("file_unreadable", path, f"cannot be opened ({error.strerror})", "make it a readable file")
    return None


def read_json(draft: Draft, path: Path) -> Any:
    """The content of a JSON file, or None and a fault."""
    text = read_text(draft, path)
    if text is None:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        draft.fault("file_unreadable", path, f"not JSON: {error}", "export it again")
    return None


def read_yaml(draft: Draft, path: Path) -> Any:
    """The content of a small YAML file, or None and a fault."""
    text = read_text(draft, path)
    if text is None:
        return None
    if len(text) > 1 << 20:
        draft.fault("file_unreadable", path, "larger than 1 MB", "name the class file, not a data file")
        return None
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError, TypeError) as error:
        draft.fault("file_unreadable", path, f"not YAML: {' '.join(str(error).split())}", "mend or export it again")
    return None


def read_table(draft: Draft, path: Path, header: bool = True) -> pd.DataFrame | None:
    """A CSV (comma, semicolon or tab) or .xlsx table with every cell as text (missing = empty), or None and a fault.

    Notes
    -----
    Cells stay text because public tables mix '058Y', 58 and '' in one column; `numbers` converts a column and lists
    what is no number. With `header=False` columns are numbered: the header of NIH's BBox_List has more cells than its
    rows.
    """
    if path.suffix.lower() in (".xlsx", ".xlsm"):
        return _read_sheet(draft, path, header)
    text = read_text(draft, path)
    if text is None:
        return None
    try:
        lines = csv.reader(io.StringIO(text, newline=""), delimiter=_separator(text) if header else ",")
        rows = [row for row in lines if any(cell.strip() for cell in row)]
    except csv.Error as error:
        draft.fault("file_unreadable", path, f"not a CSV table: {error}", "export it again as CSV")
        return None
    return _framed(draft, path, rows, header)


def _separator(text: str) -> str:
    """Comma; semicolon or tab where the header has these and no comma, as Excel writes in much of Europe."""
    header = next((line for line in text.splitlines() if line.strip()), "")
    return "," if "," in header else max(",;\t", key=header.count)


def _read_sheet(draft: Draft, path: Path, header: bool) -> pd.DataFrame | None:
    import openpyxl  # 0.2 s, needed by one layout

    try:
        with zipfile.ZipFile(path) as archive:
            if sum(item.file_size for item in archive.infolist()) > LARGEST_SHEET:
                draft.fault("file_unreadable", path, f"unpacks to more than {LARGEST_SHEET >> 20} MB", "save it as CSV")
                return None
        sheet = openpyxl.load_workbook(path, read_only=True, data_only=True).worksheets[0]
        rows = [["" if cell is None else str(cell) for cell in row] for row in sheet.iter_rows(values_only=True)]
    except FileNotFoundError:
        draft.fault("file_missing", path, "there is no such file", "check `root` and `table`")
        return None
    except Exception as error:  # openpyxl raises whatever its parts raise on a damaged workbook
        draft.fault(
            "file_unreadable", path, f"not an Excel workbook: {error or type(error).__name__}", "save it as CSV"
        )
        return None
    return _framed(draft, path, [row for row in rows if any(cell.strip() for cell in row)], header)


def _framed(draft: Draft, path: Path, rows: list[list[str]], header: bool) -> pd.DataFrame | None:
    if not rows:
        draft.fault("file_unreadable", path, "holds no row", "export it again")
        return None
    if not header:
        width = max(len(row) for row in rows)
        return pd.DataFrame([row + [""] * (width - len(row)) for row in rows], dtype=object)
    names = [name.strip() for name in rows[0]]
    if repeated := sorted({name for name in names if name and names.count(name) > 1}):
        draft.fault(
            "file_unreadable", path, f"names the column {repeated[0]!r} twice", "give every column its own name"
        )
        return None
    body = []
    for number, row in enumerate(rows[1:], start=2):
        if len(row) > len(names) and any(cell.strip() for cell in row[len(names) :]):
            draft.fault(
                "row_invalid",
                path,
                f"row {number} has {len(row)} cells, the header {len(names)}",
                "quote cells that hold the separator",
            )
            continue
        body.append((row + [""] * (len(names) - len(row)))[: len(names)])
    frame = pd.DataFrame(body, columns=names, dtype=object)
    return frame.loc[:, [name for name in names if name]].map(str.strip)


def number(value: Any) -> float:
    """A value as a float; not-a-number for what is none (booleans included)."""
    if isinstance(value, bool) or value is None:
        return math.nan
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan


def numbers(values: pd.Series) -> pd.Series:
    """A text column as floats; empty and unreadable cells are not-a-number."""
    return pd.to_numeric(values.replace("", None), errors="coerce").astype(float)


def as_list(value: Any) -> list[Any]:
    """A list, or an empty one where an annotation file holds something else."""
    return value if isinstance(value, list) else []
