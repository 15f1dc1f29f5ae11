"""Reader `manifest`: a plain CSV (or .xlsx), one row per film, and a CSV (or .xlsx) of boxes by corners.

Films: `manifest.csv` (or `table`) with `path` and `label` (1 malignant, 0 not, empty = not annotated) and, where known,
image_id, patient_id, site, view, age, sex, subtype, partition, split; every other column can be used in `where`.
Boxes: `boxes.csv` (or `annotations`) with path or image_id, x_min, y_min, x_max, y_max (pixels) and finding (or class,
class_name, category, label, ...: what the box shows). Labels and classes in other words: `classes: {maligne: '1'}`; it
leaves out boxes only where it names a class of boxes.
Tables may be workbooks, or separated by commas, semicolons, tabs or bars; numbers have a decimal point or comma. A film
is found by its path below the root, by the end of that path, its file name or its stem, in upper or lower case, where
that is only one; a folder that is named must be there; a DICOM file needs no suffix.
A table with corners in its own rows (image_file,label,xmin,ymin,xmax,ymax: one row per box) is read as well: rows of
one film are joined. Its `label` is the class of the box, and a film without corners is a film without lesion; or it is
1 or 0 (malignant, normal, ...), the status of the film, and a status that the corners contradict is a fault.
"""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd

from osteotl.cohorts.faults import plural
from osteotl.cohorts.readers.columns import (
    BOX_CLASS,
    LABEL_WORDS,
    canonical,
    column_missing,
    columns_of,
    label_of,
    label_word,
    plain_name,
)
from osteotl.cohorts.readers.draft import Draft, folded, visible
from osteotl.cohorts.readers.files import number, read_table, table_file, unused_columns, written

CORNERS = ("x_min", "y_min", "x_max", "y_max")
OWN = ("path", "label", "image_id", *CORNERS)  # columns whose values are handed on under another name
FILM = ("path", "image_id", "patient_id", "site", "label", "view", "age", "sex", "subtype", "split")


def read(draft: Draft) -> None:
    """Read the manifest into the draft."""
    path = table_file(draft, draft.spec.table, "manifest.csv")
    table = read_table(draft, path, needs=("label",) if draft.spec.label is None else ())
    if table is None:
        return
    own = columns_of(table, (*FILM, *CORNERS))
    own |= {"path": own["image_id"]} if "path" not in own and "image_id" in own else {}
    needed = ["path"] if draft.spec.label is not None or all(name in own for name in CORNERS) else ["path", "label"]
    if missing := [name for name in needed if name not in own]:
        column_missing(draft, path, table, missing)
        return
    boxed = all(name in own for name in CORNERS)
    used = {*own.values(), "partition", *(("width", "height") if boxed else ())}
    unused_columns(draft, path, table, used)
    table = canonical(table, (*FILM, *CORNERS)).assign(path=table[own["path"]])
    if boxed:
        _one_row_per_box(draft, path, table)
    else:
        _films(draft, path, table)
    _boxes(draft, boxed)
    _unlisted(draft, path)


def _unlisted(draft: Draft, path: Path) -> None:
    """Films in the folder that the manifest does not name: perhaps meant to be left out, perhaps a lost row."""
    listed = {film["path"] for film in draft.films}
    others = [film for film in draft.index.paths if str(film) not in listed]
    if others:
        names = ", ".join(draft.name_of(film) for film in others[:3])
        draft.fault(
            "film_unlisted",
            path,
            f"does not name {plural(len(others), 'film')} of the folder (such as {names}); left out",
            "add their rows, or set `images` to a folder that holds the listed films only",
        )


def _films(draft: Draft, path: Path, table: pd.DataFrame) -> None:
    for number_, row in zip(table.index, table.to_dict("records"), strict=True):
        name = row["path"]
        if not name:
            draft.fault("row_invalid", path, f"row {number_} names no film", "fill in its path")
            continue
        film = draft.find_film(name, path)
        label = label_of(draft, row["label"], path, f"row {number_}, {name}") if "label" in row else None
        values = {key: value or None for key, value in row.items() if key not in ("path", "label", "image_id")}
        if label == 0 and "subtype" not in row:
            values["subtype"] = _negative(row)  # the page says what malignant films were told apart from
        draft.add_film(row.get("image_id") or name, film, label, listed_as=name, **values)


def _negative(row: dict[str, str]) -> str | None:
    """The word of a label that counts as 0, where it says what a film shows."""
    word = visible(row.get("label", ""))
    return None if word.replace(".", "").isdigit() or folded(word) in ("", "no", "false", "negative") else word


# --- boxes ------------------------------------------------------------------------------------------------------------


def _boxes(draft: Draft, boxed: bool) -> None:
    path = table_file(draft, draft.spec.annotations, "boxes.csv")
    if draft.spec.annotations is None and not path.exists():
        draft.no_boxes = None if boxed else draft.name_of(path)
        return
    told = len(draft.faults)
    table = read_table(draft, path, key="annotations", needs=CORNERS)
    if table is None or (table.empty and len(draft.faults) > told):
        draft.no_boxes = ""
        return
    own = columns_of(table, ("path", "image_id", *CORNERS))
    key = next((name for name in ("image_id", "path") if name in own), None)
    if missing := [name for name in CORNERS if name not in own] + ([] if key else ["path"]):
        column_missing(draft, path, table, missing)
        draft.no_boxes = ""
        return
    shows = _class_column(table, set(own.values()))
    unused_columns(draft, path, table, {*own.values(), *([shows] if shows else [])})
    findings = _findings(draft, table[shows] if shows else pd.Series("", index=table.index))
    names = {film["listed_as"]: film["image_id"] for film in draft.films}
    names |= {film["image_id"]: film["image_id"] for film in draft.films}
    by_path = {film["path"]: film["image_id"] for film in draft.films}
    for number_, row, finding in zip(table.index, table.to_dict("records"), findings, strict=True):
        name = row[own[str(key)]]
        image_id = names.get(name) or _meant(draft, name, by_path)
        if image_id is None:
            draft.fault(
                "unknown_id",
                path,
                f"row {number_} names {name!r}, a film that the manifest does not list",
                "write its path or image_id as the manifest has it, or add the film there",
            )
        elif finding is not None:
            _add_box(draft, image_id, [row[own[corner]] for corner in CORNERS], finding)


def _add_box(draft: Draft, image_id: str, cells: list[str], finding: str) -> None:
    corners = [number(cell) for cell in cells]
    draft.add_box(image_id, corners, finding, None if all(map(math.isfinite, corners)) else written(cells))


def _class_column(table: pd.DataFrame, taken: set[str]) -> str | None:
    """The column that says what a box shows, by its usual names."""
    plain = {plain_name(str(name)): str(name) for name in reversed(table.columns) if str(name) not in taken}
    return next((plain[name] for name in BOX_CLASS if name in plain), None)


def _findings(draft: Draft, cells: pd.Series) -> list[str | None]:
    """What each box shows; None where `classes` leaves it out.

    `classes` may hold words of the column `label` only: then it says nothing about boxes, and none is left out. A
    column of 1 and 0 says whether a box is a lesion that counts.
    """
    words = [visible(str(cell)) for cell in cells]
    rest = [mapped for name, mapped in draft.spec.classes.items() if name not in draft.used_classes]
    about_boxes = any(draft.class_of(word) is not None for word in words if word)
    about_boxes |= any(mapped is not None and folded(mapped) not in LABEL_WORDS for mapped in rest)
    if about_boxes or not draft.spec.classes:
        flags = {"1", "1.0", "0", "0.0"}
        if not about_boxes and set(words) <= flags | {""}:
            words = ["lesion" if word in ("", "1", "1.0") else "no_lesion" for word in words]
            draft.ignored_classes |= {"0": words.count("no_lesion")} if "no_lesion" in words else {}
            return [None if word == "no_lesion" else word for word in words]
        return [draft.finding(word) if word else "lesion" for word in words]
    return [word or "lesion" for word in words]


def _meant(draft: Draft, name: str, by_path: dict[str | None, str]) -> str | None:
    """The listed film that a row means by its file name or stem, where there is exactly one."""
    found = draft.index.find(name) if name else []
    return by_path.get(str(found[0])) if len(found) == 1 else None


# --- corners in the manifest's own rows -------------------------------------------------------------------------------


def _one_row_per_box(draft: Draft, path: Path, table: pd.DataFrame) -> None:
    table = table if "label" in table else table.assign(label="")
    boxed = table[table[list(CORNERS)].ne("").any(axis=1)].to_dict("records")
    drawn = {name for row in boxed if _keeps(draft, name := _class(draft, row))}
    for name, rows in table.groupby("path", sort=False):
        if not name:
            draft.fault("row_invalid", path, f"{plural(len(rows), 'row')} without a film's name", "fill in its path")
            continue
        records = rows.to_dict("records")
        kept = 0
        for row in records:
            cells = [row[corner] for corner in CORNERS]
            if any(cells) and (finding := _finding(draft, _class(draft, row))) is not None:
                _add_box(draft, str(name), cells, finding)
                kept += 1
        label = _status(draft, path, str(name), records, kept, drawn)
        values = {key: value or None for key, value in records[0].items() if key not in OWN}
        film = draft.find_film(str(name), path)
        draft.add_film(str(name), film, label, listed_as=str(name), **{**values, **_size(records[0])})


def _stated(draft: Draft, row: dict[str, str]) -> int | None:
    """The status of the film that a row's `label` states; None where it is the class of a box."""
    return LABEL_WORDS.get(label_word(draft, row["label"])) if row["label"] else None


def _class(draft: Draft, row: dict[str, str]) -> str:
    """What a row's box shows: its `label`, unless that is the status of the film."""
    if _stated(draft, row) is not None:
        return row.get("subtype") or "lesion"
    return row["label"] or "lesion"


def _finding(draft: Draft, name: str) -> str | None:
    return "lesion" if name == "lesion" and draft.class_of(name) is None else draft.finding(name)


def _keeps(draft: Draft, name: str) -> bool:
    key = draft.class_of(name)
    return not draft.spec.classes or name == "lesion" or (key is not None and draft.spec.classes[key] is not None)


def _status(draft: Draft, path: Path, name: str, rows: list[dict[str, str]], boxes: int, drawn: set[str]) -> int:
    """1 where a row says so, has corners, or names a class that has corners in other rows: that film lacks its box."""
    stated = {label for row in rows if (label := _stated(draft, row)) is not None}
    if len(stated) == 2:
        draft.fault("row_invalid", path, f"{name} has rows labelled 0 and rows labelled 1", "correct the labels")
    if stated:
        label = max(stated)
        if label == 0:
            label_of(draft, rows[0]["label"], path, name)  # counted among the words that mean 0
        return label
    return int(boxes > 0 or any(row["label"] and _class(draft, row) in drawn for row in rows))


def _size(row: dict[str, str]) -> dict[str, object]:
    if not {"width", "height"} <= row.keys():
        return {}
    width, height = number(row["width"]), number(row["height"])
    return {"annotated_width": width, "annotated_height": height, "annotated_as": "native"}
