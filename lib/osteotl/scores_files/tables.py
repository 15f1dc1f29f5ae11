"""One table of any common kind, read as cells of text: CSV in several encodings, Excel workbooks, Parquet.

What a file is follows from its content, never from its name: people rename workbooks to .csv and the other way round.
Every cell comes as text, so that a message can show what stands in the file; an empty cell is ''.
"""

from __future__ import annotations

import csv
import io
import json
import re
import warnings
import zipfile
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from osteotl.files import MOST_TITLES, header_place, read_bounded, visible

MOST_BYTES = 1_000_000_000  # of a file, and of what is packed in a workbook
MOST_ROWS = 20_000_000
MOST_COLUMNS = 2_000
LONGEST_LINE = 1_000  # characters of a message
_NEWLINE = re.compile(r"\r\n|\r|\n")
_OLD_EXCEL, _PARQUET, _ZIP = b"\xd0\xcf\x11\xe0", b"PAR1", b"PK"
_ENCODINGS = (
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe\0\0", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
_FOREIGN = (
    (_OLD_EXCEL, "an old Excel workbook (.xls), or one behind a password; save it as .xlsx or CSV UTF-8"),
    (b"\x1f\x8b", "packed by gzip; unpack it first"),
    (b"\x89PNG", "a picture, not a table"),
    (b"\x80", "a pickle, which can carry code and is never opened; write the table as CSV"),
    (b"%PDF", "a PDF, not a table"),
)


class TableError(ValueError):
    """The file cannot be used; `faults` lists every reason, one line each."""

    def __init__(self, faults: list[str]):
        self.faults = [told(fault) for fault in faults]
        super().__init__("\n".join(self.faults))


def told(text: str) -> str:
    """One line that quotes a stranger's file: safe on a terminal, and of bounded length."""
    line = " ".join(visible(text).splitlines())
    return line if len(line) <= LONGEST_LINE else f"{line[:LONGEST_LINE]}..."


@dataclass
class Table:
    """Cells of a table as text.

    Attributes
    ----------
    cells : DataFrame of str
        One row per row of the file that holds anything; columns as the header names them.
    rows : array of int
        Number of each row in the file, counted from 1; the header has one too.
    remarks : list of str
        What was decided on the way: the encoding, the sheet.
    """

    cells: pd.DataFrame
    rows: np.ndarray
    remarks: list[str] = field(default_factory=list)


def read_cells(path: Path, names: Mapping[str, Collection[str]]) -> Table:
    """Read a table.

    Parameters
    ----------
    path : Path
        CSV (comma, semicolon, tab or bar; UTF-8, UTF-16 or Windows-1252), Excel workbook (.xlsx) or Parquet.
    names : mapping
        Column: the names that it goes by; they tell a header below titles, and the sheet that holds the table.

    Raises
    ------
    TableError
        The file is not there, no regular file, too large, of another kind, or not rectangular.
    """
    content = read_whole(path)
    for start, what in _FOREIGN:
        if content.startswith(start):
            raise TableError([what])
    if content.startswith(_PARQUET):
        return _read_parquet(content)
    if content.startswith(_ZIP):
        return _read_workbook(content, names)
    text, remarks = decode(content)
    table = _read_csv(text, names)
    table.remarks[:0] = remarks
    return table


def read_whole(path: Path, most: int = MOST_BYTES) -> bytes:
    """The bytes of a regular file of at most `most` bytes; a device or a pipe is never opened.

    Raises
    ------
    TableError
        The file is missing, unreadable, no regular file, or too large.
    """
    try:
        return read_bounded(path, most)
    except OSError as error:
        raise TableError([f"cannot be read ({error.strerror or error})"]) from error
    except ValueError as error:
        raise TableError([str(error)]) from error


def read_json(path: Path, most: int = 200_000_000) -> Any:
    """JSON of bounded size and depth; NaN and Infinity come as the floats that they are in Python.

    Raises
    ------
    TableError
        As `read_whole`; not JSON; nested too deeply.
    """
    text, _ = decode(read_whole(path, most))
    return parse_json(text)


def parse_json(text: str) -> Any:
    """JSON of bounded depth.

    Raises
    ------
    TableError
        Not JSON, or nested too deeply.
    """
    try:
        return json.loads(text, object_pairs_hook=_each_once)
    except RecursionError:
        raise TableError(["JSON nested too deeply to be an export of scores"]) from None
    except ValueError as error:
        raise TableError([f"not JSON ({' '.join(str(error).split())[:160]})"]) from error


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON mapping; of a key that stands twice, JSON itself would keep the last."""
    content = dict(pairs)
    if len(content) < len(pairs):
        key = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise ValueError(f"the key {key!r} stands twice in one mapping")
    return content


def decode(content: bytes) -> tuple[str, list[str]]:
    """Text of a file, and a remark where it is not UTF-8.

    Raises
    ------
    TableError
        Neither UTF-8, UTF-16 with its mark, nor Windows-1252; or NUL characters.
    """
    remarks: list[str] = []
    encoding = next((name for mark, name in _ENCODINGS if content.startswith(mark)), "utf-8")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        try:
            text = content.decode("cp1252")
        except UnicodeDecodeError:
            raise TableError([f"not UTF-8 text (byte {error.start:,}); save it as CSV UTF-8"]) from error
        remarks.append(
            "not UTF-8: read as Windows-1252 (Western Europe); save it as CSV UTF-8 if letters come out wrong"
        )
    if (at := text.find("\0")) >= 0:
        line = len(_NEWLINE.findall(text, 0, at)) + 1
        raise TableError([f"row {line} holds a NUL character: not a text file, or a damaged one; save it as CSV UTF-8"])
    return text, remarks


# --- CSV --------------------------------------------------------------------------------------------------------------


def _read_csv(text: str, names_known: Mapping[str, Collection[str]]) -> Table:
    if text.lstrip()[:1] == "<":
        raise TableError(["an HTML or XML page, not a table; save it as CSV UTF-8"])
    if text.lstrip()[:1] in ("{", "["):
        raise TableError(["JSON, not a table; put it as ARM.json into a folder beside labels.csv, and name the folder"])
    stream = io.StringIO(text, newline="")
    above, separator = _skipped(stream)
    titles, separator = _titles(stream, separator, names_known)
    above += len(titles)
    reader = csv.reader(iter(stream.readline, ""), delimiter=separator)
    try:
        header = next(reader, [])
    except csv.Error as error:
        raise TableError([f"the header cannot be read ({error}); give a CSV with one header row"]) from error
    if not any(name.strip() for name in header):
        raise TableError(["empty; give a CSV with a header"])
    first = above + 1
    names = check_header(header)
    start = stream.tell()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            cells = pd.read_csv(
                stream, sep=separator, header=None, names=range(len(names)), dtype=str, na_filter=False,
                keep_default_na=False, skip_blank_lines=False, index_col=False, low_memory=False,
            )  # fmt: skip
    except pd.errors.EmptyDataError:
        cells = pd.DataFrame(columns=range(len(names)), dtype=str)
    except (pd.errors.ParserError, pd.errors.ParserWarning, ValueError) as error:
        stream.seek(start)
        raise TableError([_ragged(stream, separator, len(names), first, error)]) from error
    remarks = [_passed_over(first, len(titles))] if titles else []
    return _finished(cells.fillna(""), names, np.arange(first + 1, first + 1 + len(cells)), remarks)


def _skipped(stream: io.StringIO) -> tuple[int, str]:
    """Go to the header: blank lines and Excel's `sep=;` are passed over; their number, and the separator."""
    above, named = 0, ""
    while True:
        start = stream.tell()
        line = stream.readline()
        if hint := re.fullmatch(r'"?sep=(.)"?', line.strip(), re.IGNORECASE):
            named = hint[1]
        elif line.strip(" ,;\t\r\n") or not line:
            stream.seek(start)
            outside = re.sub(r'"[^"]*"', "", line)
            return above, named or max(",;\t|", key=outside.count)
        above += 1


def _titles(stream: io.StringIO, separator: str, names: Mapping[str, Collection[str]]) -> tuple[list[str], str]:
    """Go to the header below titles; the lines passed over, and what separates the header's names."""
    start = stream.tell()
    lines = list(islice(stream, MOST_TITLES + 1))
    for mark in dict.fromkeys((separator, *",;\t|")):
        rows = [line.strip().split(mark) if line.strip() else [] for line in lines]
        if (place := header_place([[cell.strip('"') for cell in row] for row in rows], names)) is not None:
            separator = mark if place else separator
            break
    else:
        place = 0
    stream.seek(start)
    return [stream.readline() for _ in range(place)], separator


def _passed_over(first: int, titles: int) -> str:
    """A remark on titles above the header."""
    rows = "1 row above it is" if titles == 1 else f"{titles} rows above it are"
    return f"the header is read from row {first}; {rows} left out"


def _ragged(stream: io.StringIO, separator: str, width: int, first: int, error: Exception) -> str:
    """Why a CSV is not rectangular."""
    odd = []
    try:
        for number, fields in enumerate(csv.reader(stream, delimiter=separator), first + 1):
            if len(fields) > width:
                odd.append(number)
    except csv.Error as broken:
        return f"not a table with one header ({broken})"
    if odd:
        hint = "; a decimal comma (0,93) splits a field in two: write 0.93" if separator == "," else ""
        return f"{row_list(odd)} more than the header's {width} fields{hint}"
    if "inside string" in str(error):
        return "a quotation mark that is opened and never closed; double it inside a text, or remove it"
    return f"not a table with one header ({' '.join(str(error).split())[:160]})"


# --- Excel and Parquet ------------------------------------------------------------------------------------------------


def _read_workbook(content: bytes, names: Mapping[str, Collection[str]]) -> Table:
    import openpyxl

    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            files = {entry.filename: entry.file_size for entry in archive.infolist()}
    except zipfile.BadZipFile as error:
        raise TableError([f"a damaged workbook or archive ({error}); save it again"]) from error
    if "xl/workbook.xml" not in files:
        kind = "an OpenDocument sheet" if "mimetype" in files else "a zip archive, not an Excel workbook"
        raise TableError([f"{kind}; save it as .xlsx or CSV UTF-8"])
    if sum(files.values()) > MOST_BYTES:
        raise TableError([f"a workbook that unpacks to more than {MOST_BYTES / 1e6:,.0f} MB; save it as CSV UTF-8"])
    try:
        book = openpyxl.load_workbook(io.BytesIO(content), read_only=True, data_only=True)
        sheets = [(sheet.title, _sheet_rows(sheet)) for sheet in book.worksheets]
    except TableError:
        raise
    except Exception as error:  # whatever a damaged workbook raises, it is refused
        raise TableError([f"a damaged Excel workbook ({type(error).__name__}); save it again, or as CSV"]) from error
    filled = [(title, rows) for title, rows in sheets if rows]
    if not filled:
        raise TableError(["an empty workbook; give a sheet with a header"])
    places = [header_place([row for _, row in rows[: MOST_TITLES + 1]], names) for _, rows in filled]
    chosen = next((at for at, place in enumerate(places) if place is not None), 0)
    (title, rows), head = filled[chosen], places[chosen] or 0
    others = [name for at, (name, _) in enumerate(filled) if at != chosen]
    remarks = [f"sheet {title!r} is read; left out: {listed(others)}"] if others else []
    if head:
        remarks.append(_passed_over(rows[head][0], head))
    return _of_rows(rows[head:], remarks)


def _sheet_rows(sheet: Any) -> list[tuple[int, list[Any]]]:
    """Rows of a sheet that hold anything, with their numbers."""
    sheet.reset_dimensions()  # what a workbook says of its own size may be wrong
    found = []
    for number, row in enumerate(sheet.iter_rows(values_only=True), 1):
        if len(row) > MOST_COLUMNS:
            raise TableError([_too_wide(len(row))])
        if any(value is not None and value != "" for value in row):
            found.append((number, list(row)))
    return found


def _of_rows(rows: list[tuple[int, list[Any]]], remarks: list[str]) -> Table:
    header, body = rows[0][1], rows[1:]
    width = max((at + 1 for at, name in enumerate(header) if name not in (None, "")), default=0)
    beyond = [number for number, row in body if any(value not in (None, "") for value in row[width:])]
    if beyond:
        raise TableError([f"{row_list(beyond)} cells beyond the header's {width} columns; name every column"])
    names = check_header([cell_text(name) for name in header[:width]])
    lines = [(row + [None] * width)[:width] for _, row in body]
    numbers = np.array([number for number, _ in body], dtype=np.int64)
    for at, name in enumerate(names):
        dates = [number for number, row in zip(numbers, lines, strict=True) if isinstance(row[at], date | time)]
        if dates:
            remarks.append(f"column {name!r}: {row_list(dates)} dates; Excel turns 1-2 into one: format it as text")
    texts = [[cell_text(value) for value in row] for row in lines]
    return _finished(pd.DataFrame(texts, columns=range(width), dtype=str), names, numbers, remarks)


def _read_parquet(content: bytes) -> Table:
    import pyarrow.parquet as parquet

    try:
        file = parquet.ParquetFile(io.BytesIO(content))
        if file.metadata.num_rows > MOST_ROWS or file.metadata.num_columns > MOST_COLUMNS:
            raise TableError([f"a Parquet file of more than {MOST_ROWS:,} rows or {MOST_COLUMNS:,} columns"])
        frame = file.read().to_pandas()
    except (ValueError, OSError, TypeError, NotImplementedError, MemoryError) as error:
        if isinstance(error, TableError):
            raise
        raise TableError([f"not a whole Parquet file ({' '.join(str(error).split())[:160]})"]) from error
    if any(frame.index.names):
        frame = frame.reset_index()
    names = check_header([str(name) for name in frame.columns])
    columns = {at: [cell_text(value) for value in frame.iloc[:, at].tolist()] for at in range(len(names))}
    return _finished(pd.DataFrame(columns, dtype=str), names, np.arange(2, len(frame) + 2), [])


def cell_text(value: Any) -> str:
    """A cell as text: nothing is '', 7.0 is 7 (a gap makes a column of numbers float), lists are JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if isinstance(value, float):
        return "" if value != value else str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)
    if value is None or value is pd.NaT or value is pd.NA:
        return ""
    if isinstance(value, datetime):
        return value.isoformat(" ")
    if hasattr(value, "tolist") or isinstance(value, list | tuple | dict):
        return json.dumps(value, default=lambda inner: inner.tolist() if hasattr(inner, "tolist") else str(inner))
    return str(value)


# --- shared -----------------------------------------------------------------------------------------------------------


def check_header(header: list[str]) -> list[str]:
    """Names of the columns; one without a name is called by its place.

    Raises
    ------
    TableError
        A name stands twice, or there are too many columns.
    """
    if len(header) > MOST_COLUMNS:
        raise TableError([_too_wide(len(header))])
    names = [" ".join(name.split()) or f"Unnamed: {at}" for at, name in enumerate(header)]
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise TableError([f"column {name!r} stands twice in the header" for name in twice[:10]])
    return names


def _finished(cells: pd.DataFrame, names: list[str], rows: np.ndarray, remarks: list[str]) -> Table:
    """Without empty rows, and without columns that have neither a name nor a cell."""
    if len(cells) > MOST_ROWS:
        raise TableError([f"more than {MOST_ROWS:,} rows"])
    cells = cells.apply(lambda column: column.str.strip()) if len(cells) else cells
    filled = (cells != "").to_numpy()
    kept = [at for at, name in enumerate(names) if filled[:, at].any() or not name.startswith("Unnamed: ")]
    there = filled.any(axis=1)
    cells = cells.loc[there, kept].set_axis([names[at] for at in kept], axis=1).reset_index(drop=True)
    return Table(cells, rows[there], remarks)


def _too_wide(columns: int) -> str:
    return f"{columns:,} columns, where {MOST_COLUMNS:,} are the most; give one row per film and arm (a long table)"


def row_list(rows: np.ndarray | list[int] | Iterator[int], most: int = 10) -> str:
    """ "row 4", "rows 4, 9", "rows 4, 9, ... (120 in all)"; the header is row 1."""
    rows = list(rows)
    shown = [str(r) for r in rows[:most]]
    if len(rows) == 1:
        return f"row {shown[0]}"
    return f"rows {', '.join(shown)}" + (f", ... ({len(rows):,} in all)" if len(rows) > most else "")


def listed(names: list[str], most: int = 12) -> str:
    """Names in quotation marks, the first few; what cannot be printed is escaped."""
    shown = ", ".join(repr(str(name)) for name in names[:most])
    return shown + (f" and {len(names) - most:,} more" if len(names) > most else "")
