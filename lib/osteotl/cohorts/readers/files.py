"""Opening annotation files that anybody may have made: bounded, and with a listed fault instead of a traceback.

Every reader opens its tables and annotations here, and only here, so that `CohortBuilder.opened` lists them all.
"""

from __future__ import annotations

import csv
import io
import json
import math
import os
import re
import stat
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from osteotl.cohorts.faults import plural
from osteotl.cohorts.readers.builder import CohortBuilder, folded, hidden, visible
from osteotl.cohorts.readers.columns import header_of
from osteotl.cohorts.readers.workbooks import Rows, read_workbook

LARGEST_FILE = 1 << 30  # bytes of one annotation file; NIH's and COCO's largest are under 500 MB
TABLES = (".csv", ".xlsx", ".xlsm", ".tsv", ".txt")
SEPARATORS = ",;\t|"

#: How a file of another kind begins, what it is, and what makes a table or annotation of it.
FOREIGN = (
    (
        b"\xd0\xcf\x11\xe0",
        "an old Excel workbook (.xls), or one with a password",
        "save it as .xlsx or CSV, without a password",
    ),
    (b"PK\x03\x04", "a zip archive or a workbook", "unpack it, or save its table as CSV"),
    (b"\x1f\x8b", "packed by gzip", "unpack it"),
    (b"%PDF", "a PDF", "export the table itself as CSV"),
    (b"version https://git-lfs", "a pointer of Git LFS, not the file itself", "fetch the file: git lfs pull"),
    (b"<!doctype html", "a web page, such as the login page of a download", "download the file itself"),
    (b"<html", "a web page, such as the login page of a download", "download the file itself"),
)


# --- finding files ----------------------------------------------------------------------------------------------------


def files_below(folder: Path, *suffixes: str) -> list[Path]:
    """Files of these suffixes below a folder, in one order everywhere; litter such as ._x.json is no file."""
    found = []
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not hidden(name)]
        found += [Path(place, name) for name in names if name.lower().endswith(suffixes) and not hidden(name)]
    return sorted(found)


def files_in(folder: Path, *suffixes: str) -> list[Path]:
    """Files of these suffixes directly in a folder."""
    try:
        names = os.listdir(folder)
    except OSError:
        return []
    return sorted(Path(folder, name) for name in names if name.lower().endswith(suffixes) and not hidden(name))


def table_file(builder: CohortBuilder, named: str | None, *defaults: str) -> Path:
    """The table that the study names, else the first default that is there, as CSV or as workbook, in any case."""
    if named:
        return builder.root / named
    for default in defaults:
        plain = builder.root / default
        stem = folded(plain.stem)
        there = [path for path in files_in(plain.parent, *TABLES) if folded(path.stem) == stem]
        there.sort(key=lambda path: (path.name != plain.name, TABLES.index(path.suffix.lower())))
        if there:
            if len(there) > 1:
                others = ", ".join(path.name for path in there[1:])
                text = f"is read; {others} beside it {'is' if len(there) == 2 else 'are'} not"
                builder.fault("table_read_as", there[0], text, "keep one of them, or name the table in study.yaml")
            return there[0]
    return builder.root / defaults[0]


def missing_table(builder: CohortBuilder, path: Path, key: str) -> None:
    """List a table that is not there, with the names that may be meant; `key`: the setting that names it."""
    there = [p.name for p in files_in(path.parent, *TABLES)]
    stems = {Path(name).stem.lower(): name for name in reversed(there)}  # all suffixes look alike
    close = [stems[stem] for stem in get_close_matches(path.stem.lower(), stems, 1, 0.6)]
    if len(there) == 1:
        close = there
    place = (
        path.parent.relative_to(builder.root).as_posix() if path.parent.is_relative_to(builder.root) else path.parent
    )
    if close:
        remedy = f"set `{key}: {close[0] if str(place) == '.' else f'{place}/{close[0]}'}`, if that is the table"
    elif there:
        remedy = f"set `{key}` to the right one of {', '.join(there[:5])}"
    else:
        remedy = f"check `root`, and set `{key}` to the table (csv or xlsx) below it"
    builder.fault("file_missing", path, "there is no such file", remedy)


# --- texts ------------------------------------------------------------------------------------------------------------


def read_bytes(builder: CohortBuilder, path: Path, key: str | None = None) -> bytes | None:
    """The content of a file, noted as opened; or a fault. `key` is the setting that names the table."""
    builder.opened.append(path)
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            builder.fault("file_unreadable", path, "is a folder or a device, not a file", "name the file itself")
        elif path.stat().st_size > LARGEST_FILE:
            builder.fault(
                "file_unreadable", path, f"larger than {LARGEST_FILE >> 20} MB", "split it, or take out image data"
            )
        else:
            return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        if key:
            missing_table(builder, path, key)
        else:
            remedy = "check `root`, and the settings that name files of it"
            builder.fault("file_missing", path, "there is no such file", remedy)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reason = getattr(error, "strerror", None) or str(error)
        builder.fault("file_unreadable", path, f"cannot be opened ({reason})", "make it a readable file")
    return None


def read_text(builder: CohortBuilder, path: Path) -> str | None:
    """A text file, or a fault; see `decoded`."""
    content = read_bytes(builder, path)
    return None if content is None else decoded(builder, path, content)


def decoded(builder: CohortBuilder, path: Path, content: bytes) -> str | None:
    """Text of a file: UTF-8, UTF-16 with its mark, else Windows-1252 (Excel's 'CSV'), with a warning that shows a word.

    A file that is no text at all is named by what it is.
    """
    start = content[:64].lstrip().lower()
    for magic, what, remedy in FOREIGN:
        if start.startswith(magic.lower()):
            builder.fault("file_unreadable", path, f"is {what}", remedy)
            return None
    try:
        if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
            return content.decode("utf-16")
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        place = error.start
    try:
        if b"\x00" in content:
            raise ValueError("binary data")
        text = content.decode("cp1252")
    except ValueError:
        builder.fault("file_unreadable", path, f"is no text that can be read (byte {place})", "save it as UTF-8")
        return None
    word = next((word for word in re.findall(r"[^\s,;|\t\"]+", text) if not word.isascii()), "")
    builder.fault(
        "table_read_as",
        path,
        f"is not UTF-8 and was read as Windows-1252 (such as {word[:40]!r})",
        "if that word is wrong, save the file as UTF-8 (in Excel: 'CSV UTF-8')",
    )
    return text


def read_json(builder: CohortBuilder, path: Path) -> Any:
    """The content of a JSON file, or None and a fault."""
    text = read_text(builder, path)
    if text is None:
        return None
    try:
        return json.loads(text, object_pairs_hook=_each_once)
    except (ValueError, RecursionError) as error:
        builder.fault("file_unreadable", path, f"not JSON that can be read: {error}", "export it again")
    return None


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON mapping; of a key that stands twice, JSON itself would keep the last."""
    content = dict(pairs)
    if len(content) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key {next(key for key in keys if keys.count(key) > 1)!r} stands twice in one mapping")
    return content


def read_yaml(builder: CohortBuilder, path: Path) -> Any:
    """The content of a small YAML file, or None and a fault."""
    text = read_text(builder, path)
    if text is None:
        return None
    if len(text) > 1 << 20:
        builder.fault(
            "file_unreadable",
            path,
            "larger than 1 MB",
            "keep the names of the classes in it, and lists of films in text files",
        )
        return None
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError, TypeError) as error:
        builder.fault("file_unreadable", path, f"not YAML: {' '.join(str(error).split())}", "mend or export it again")
    return None


# --- tables -----------------------------------------------------------------------------------------------------------


def read_table(
    builder: CohortBuilder, path: Path, header: bool = True, key: str = "table", needs: Iterable[str] = ()
) -> pd.DataFrame | None:
    """A CSV (comma, semicolon, tab or bar) or .xlsx table with every cell as text (missing = empty), or a fault.

    Parameters
    ----------
    builder : CohortBuilder
        Lists faults.
    path : Path
        Its content decides what it is: a workbook that was renamed to .csv is read as a workbook.
    header : bool
        False: columns are numbered (the header of NIH's BBox_List has more cells than its rows).
    key : str
        The setting of study.yaml that names the table, for the remedy where it is missing.
    needs : iterable of str
        Canonical columns by which the right sheet of a workbook is told.

    Returns
    -------
    DataFrame of str
        Its index holds the number of each row in the file, counted from 1; or None.

    Notes
    -----
    Titles above the header are passed over, with a warning, where the header can be told by its known names.
    Cells stay text because public tables mix '058Y', 58 and '' in one column; `numbers` converts a column. Columns of
    numbers with a decimal comma are written with a point (`plain_numbers`), and a note says so.
    """
    content = read_bytes(builder, path, key)
    if content is None:
        return None
    if content[:4] == b"PK\x03\x04" or (path.suffix.lower() in (".xlsx", ".xlsm") and b"\x00" in content[:4096]):
        rows = read_workbook(builder, path, content, needs)
    else:
        rows = _read_csv(builder, path, content, header)
    return None if rows is None else _framed(builder, path, rows, header)


def _read_csv(builder: CohortBuilder, path: Path, content: bytes, header: bool) -> Rows | None:
    text = decoded(builder, path, content)
    if text is None:
        return None
    hint = re.match(r"sep=(.)\r?\n", text)  # Excel's own first line
    text = text[hint.end() :] if hint else text
    try:
        lines = csv.reader(io.StringIO(text, newline=""), delimiter=hint[1] if hint else _separator(text, header))
        start = 2 if hint else 1
        rows = [(number, row) for number, row in enumerate(lines, start) if any(map(str.strip, row))]
        short = len(rows) > 1 and len(rows[-1][1]) < len(rows[0][1])
        if rows and (short or not header) and not text.endswith(("\n", "\r")):  # public tables end with their last line
            said = f"its last row has {plural(len(rows[-1][1]), 'cell')} and no line end: it may have been cut"
            remedy = "copy it again from its source; where its last row is whole, end it with a new line"
            builder.fault("table_read_as", path, said, remedy)
        return rows
    except csv.Error as error:
        builder.fault("file_unreadable", path, f"not a CSV table: {error}", "export it again as CSV")
        return None


def _separator(text: str, header: bool) -> str:
    """What separates the first lines into most cells, alike in number; a comma where nothing does."""
    lines = [line for line in text[: 1 << 16].splitlines() if line.strip()][:20]
    lines = lines if header else lines[1:] or lines

    def fits(separator: str) -> tuple[float, int]:
        try:
            rows = list(csv.reader(lines, delimiter=separator))
        except csv.Error:
            return 0, 0
        widths = [len(row) for row in rows[header_of(rows) or 0 if header else 0 :]]
        alike = sum(width == widths[0] for width in widths) / len(widths) if widths and widths[0] > 1 else 0
        return round(alike, 1), widths[0] if widths else 0

    return max(SEPARATORS, key=fits)


def _framed(builder: CohortBuilder, path: Path, rows: Rows, header: bool) -> pd.DataFrame | None:
    rows = _without_nul(builder, path, rows)
    if not rows:
        builder.fault("file_unreadable", path, "holds no row", "export it again")
        return None
    if not header:
        width = max(len(row) for _, row in rows)
        body = [[cell.strip() for cell in row] + [""] * (width - len(row)) for _, row in rows]
        return plain_numbers(builder, path, pd.DataFrame(body, index=[number_ for number_, _ in rows], dtype=object))
    rows = _below_titles(builder, path, rows)
    names = _header([row for _, row in rows])
    if repeated := sorted({name for name in names if name and names.count(name) > 1}):
        builder.fault(
            "file_unreadable", path, f"names the column {repeated[0]!r} twice", "give every column its own name"
        )
        return None
    body, numbers_ = [], []
    for number_, row in rows[1:]:
        if len(row) > len(names) and any(cell.strip() for cell in row[len(names) :]):
            builder.fault(
                "row_invalid", path, f"row {number_} has {len(row)} cells, the header {len(names)}", _too_long(row)
            )
            continue
        body.append((row + [""] * (len(names) - len(row)))[: len(names)])
        numbers_.append(number_)
    frame = pd.DataFrame(body, columns=names, index=numbers_, dtype=object)
    return plain_numbers(builder, path, frame.loc[:, [name for name in names if name]].map(str.strip))


def _below_titles(builder: CohortBuilder, path: Path, rows: Rows) -> Rows:
    """The rows from the header on; titles above it are told."""
    head = header_of([row for _, row in rows])
    if not head:
        return rows
    number_, names = rows[head]
    listed = ", ".join(name.strip() for name in names if name.strip())
    text = f"its header is read from row {number_} ({listed}); above it stands {_words(rows[:head])}"
    builder.fault("table_read_as", path, text, "nothing, if that is the header; else take the rows above the table out")
    return rows[head:]


def _words(rows: Rows) -> str:
    """Titles as a message quotes them."""
    text = " ".join(cell.strip() for _, row in rows for cell in row if cell.strip())
    return repr(text if len(text) <= 60 else f"{text[:57]}...")


def _header(rows: list[list[str]]) -> list[str]:
    """Names of the columns; one without a name is called by its place where any cell below it is filled."""
    filled = {place for row in rows[1:] for place, cell in enumerate(row) if cell.strip()}
    names = [visible(name) for name in rows[0]]
    return [name or (f"(column {place + 1})" if place in filled else "") for place, name in enumerate(names)]


def _too_long(row: list[str]) -> str:
    if sum(cell.strip().lstrip("+-").isdigit() for cell in row) > len(row) / 2:
        return "numbers with a decimal comma need another separator: save it with semicolons, or write decimal points"
    return "quote cells that hold the separator"


def _without_nul(builder: CohortBuilder, path: Path, rows: Rows) -> Rows:
    """Rows without a NUL character, which would make two of one patient or film; the others are faults."""
    sound = []
    for number_, row in rows:
        if any("\x00" in cell for cell in row):
            cell = next(cell for cell in row if "\x00" in cell)
            text = f"row {number_} holds a NUL character ({cell[:40]!r})"
            builder.fault("row_invalid", path, text, "take the character out, or export the table again")
        else:
            sound.append((number_, row))
    return sound


# --- numbers ----------------------------------------------------------------------------------------------------------

_SIGN, _POWER = r"[+-]?", r"(?:[eE][+-]?\d+)?"
_GROUPED = re.compile(rf"{_SIGN}\d{{1,3}}(?:[\s'’]\d{{3}})+(?:[.,]\d+)?")  # 1 024,5 and 1'024.5
_COMMA = re.compile(rf"{_SIGN}(?:\d+|\d{{1,3}}(?:\.\d{{3}})+),\d+{_POWER}")  # 93,8 and 1.024,5
_THOUSANDS = re.compile(rf"{_SIGN}\d{{1,3}}(?:,\d{{3}})+(?:\.\d*)?{_POWER}")  # 1,024 and 1,024.5
_PLAIN = re.compile(rf"{_SIGN}(?:\d+\.?\d*|\.\d+){_POWER}")
_NAMES = {"path", "image_path", "image_id", "imageid", "patient_id", "patientid", "patient", "file_name", "filename"}


def plain_numbers(builder: CohortBuilder, path: Path, table: pd.DataFrame) -> pd.DataFrame:
    """Columns of numbers with a decimal comma, or with groups of thousands, as numbers with a decimal point.

    Notes
    -----
    One table has one convention. '1,024' alone may be 1.024 or 1024: such cells stay as they are, and count as no
    number, unless another cell of the table tells ('93,8', '1.024,5'; '1,024.5').
    """
    columns = [name for name in table if folded(str(name)) not in _NAMES and _of_numbers(table[name])]
    cells = [cell for name in columns for cell in dict.fromkeys(table[name]) if "," in cell]
    comma = [cell for cell in cells if _COMMA.fullmatch(cell) and not _THOUSANDS.fullmatch(cell)]
    comma += [cell for cell in cells if re.fullmatch(rf"{_SIGN}0,\d+", cell)]
    thousands = [cell for cell in cells if _THOUSANDS.fullmatch(cell) and not _COMMA.fullmatch(cell)]
    thousands += [cell for cell in cells if re.fullmatch(rf"{_SIGN}\d{{1,3}}(,\d{{3}}){{2,}}", cell)]
    if comma and thousands:
        return table

    def plain(cell: str) -> str:
        cell = re.sub(r"(?<=\d)[\s'’](?=\d)", "", cell) if _GROUPED.fullmatch(cell) else cell
        if comma and _COMMA.fullmatch(cell):
            return cell.replace(".", "").replace(",", ".")
        return cell.replace(",", "") if thousands and _THOUSANDS.fullmatch(cell) else cell

    changed = {name: table[name].map(plain) for name in columns}
    if comma:
        text = f"numbers with a decimal comma were read as such ({comma[0]!r} is {plain(comma[0])})"
        builder.fault("numbers_read_as", path, text, "nothing, if that is what they mean")
    elif thousands:
        text = f"numbers with commas between thousands were read as such ({thousands[0]!r} is {plain(thousands[0])})"
        builder.fault("numbers_read_as", path, text, "nothing, if that is what they mean")
    return table.assign(**changed)


def _of_numbers(cells: pd.Series) -> bool:
    """Whether at least half of a column's cells are numbers, and one is not written plainly."""
    filled = [cell for cell in cells if cell]
    strange = [cell for cell in filled if not _PLAIN.fullmatch(cell)]
    written = (_COMMA, _THOUSANDS, _GROUPED)
    odd = sum(any(kind.fullmatch(cell) for kind in written) for cell in strange)
    return odd > 0 and 2 * (len(filled) - len(strange) + odd) >= len(filled)


def number(value: Any) -> float:
    """A value as a float; not-a-number for what is none (booleans included)."""
    if isinstance(value, bool) or value is None or "_" in str(value):  # Python reads 1_0 as 10; no table means that
        return math.nan
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan


def numbers(values: pd.Series) -> pd.Series:
    """A text column as floats; empty and unreadable cells are not-a-number."""
    return pd.to_numeric(values.replace("", None), errors="coerce").astype(float)


def written(cells: Iterable[Any]) -> str:
    """Cells as a message quotes them where they may be no numbers."""
    return ", ".join(str(cell) if str(cell).strip() else "(empty)" for cell in cells)


def as_list(value: Any) -> list[Any]:
    """A list, or an empty one where an annotation file holds something else."""
    return value if isinstance(value, list) else []


# --- columns that nothing reads ---------------------------------------------------------------------------------------


def unused_columns(builder: CohortBuilder, path: Path, table: pd.DataFrame, used: Iterable[str]) -> None:
    """Note columns of a table that neither the reader nor `where` reads."""
    named = set(used) | set(re.findall(r"\w+", builder.spec.where or ""))
    others = [str(name) for name in table if str(name) not in named and folded(str(name)) not in named]
    if others:
        listed = ", ".join(others[:12]) + (f" and {len(others) - 12} more" if len(others) > 12 else "")
        text = f"{plural(len(others), 'column')} not used: {listed}"
        builder.fault(
            "column_unused", path, text, "nothing, unless one of them should be read: docs/study.md lists the names"
        )
