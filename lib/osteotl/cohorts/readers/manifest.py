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
from osteotl.cohorts.readers.builder import CohortBuilder, folded, visible
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
from osteotl.cohorts.readers.files import number, read_table, table_file, unused_columns, written

CORNERS = ("x_min", "y_min", "x_max", "y_max")
OWN = ("path", "label", "image_id", *CORNERS)  # columns whose values are handed on under another name
FILM = ("path", "image_id", "patient_id", "site", "label", "view", "age", "sex", "subtype", "split")


def read(builder: CohortBuilder) -> None:
    """Read the manifest into the builder."""
    path = table_file(builder, builder.spec.table, "manifest.csv")
    table = read_table(builder, path, needs=("label",) if builder.spec.label is None else ())
    if table is None:
        return
    own = columns_of(table, (*FILM, *CORNERS))
    own |= {"path": own["image_id"]} if "path" not in own and "image_id" in own else {}
    needed = ["path"] if builder.spec.label is not None or all(name in own for name in CORNERS) else ["path", "label"]
    if missing := [name for name in needed if name not in own]:
        column_missing(builder, path, table, missing)
        return
    boxed = all(name in own for name in CORNERS)
    used = {*own.values(), "partition", *(("width", "height") if boxed else ())}
    unused_columns(builder, path, table, used)
    table = canonical(table, (*FILM, *CORNERS)).assign(path=table[own["path"]])
    if boxed:
        _one_row_per_box(builder, path, table)
    else:
        _films(builder, path, table)
    _boxes(builder, boxed)
    _unlisted(builder, path)


def _unlisted(builder: CohortBuilder, path: Path) -> None:
    """Films in the folder that the manifest does not name: perhaps meant to be left out, perhaps a lost row."""
    listed = {film["path"] for film in builder.films}
    others = [film for film in builder.index.paths if str(film) not in listed]
    if others:
        names = ", ".join(builder.name_of(film) for film in others[:3])
        builder.fault(
            "film_unlisted",
            path,
            f"does not name {plural(len(others), 'film')} of the folder (such as {names}); left out",
            "add their rows, or set `images` to a folder that holds the listed films only",
        )


def _films(builder: CohortBuilder, path: Path, table: pd.DataFrame) -> None:
    for number_, row in zip(table.index, table.to_dict("records"), strict=True):
        name = row["path"]
        if not name:
            builder.fault("row_invalid", path, f"row {number_} names no film", "fill in its path")
            continue
        film = builder.find_film(name, path)
        label = label_of(builder, row["label"], path, f"row {number_}, {name}") if "label" in row else None
        values = {key: value or None for key, value in row.items() if key not in ("path", "label", "image_id")}
        if label == 0 and "subtype" not in row:
            values["subtype"] = _negative(row)  # the page says what malignant films were told apart from
        builder.add_film(row.get("image_id") or name, film, label, listed_as=name, **values)


def _negative(row: dict[str, str]) -> str | None:
    """The word of a label that counts as 0, where it says what a film shows."""
    word = visible(row.get("label", ""))
    return None if word.replace(".", "").isdigit() or folded(word) in ("", "no", "false", "negative") else word


# --- boxes ------------------------------------------------------------------------------------------------------------


def _boxes(builder: CohortBuilder, boxed: bool) -> None:
    path = table_file(builder, builder.spec.annotations, "boxes.csv")
    if builder.spec.annotations is None and not path.exists():
        builder.no_boxes = None if boxed else builder.name_of(path)
        return
    told = len(builder.faults)
    table = read_table(builder, path, key="annotations", needs=CORNERS)
    if table is None or (table.empty and len(builder.faults) > told):
        builder.no_boxes = ""
        return
    own = columns_of(table, ("path", "image_id", *CORNERS))
    key = next((name for name in ("image_id", "path") if name in own), None)
    if missing := [name for name in CORNERS if name not in own] + ([] if key else ["path"]):
        column_missing(builder, path, table, missing)
        builder.no_boxes = ""
        return
    shows = _class_column(table, set(own.values()))
    unused_columns(builder, path, table, {*own.values(), *([shows] if shows else [])})
    findings = _findings(builder, table[shows] if shows else pd.Series("", index=table.index))
    names = {film["listed_as"]: film["image_id"] for film in builder.films}
    names |= {film["image_id"]: film["image_id"] for film in builder.films}
    by_path = {film["path"]: film["image_id"] for film in builder.films}
    for number_, row, finding in zip(table.index, table.to_dict("records"), findings, strict=True):
        name = row[own[str(key)]]
        image_id = names.get(name) or _meant(builder, name, by_path)
        if image_id is None:
            builder.fault(
                "unknown_id",
                path,
                f"row {number_} names {name!r}, a film that the manifest does not list",
                "write its path or image_id as the manifest has it, or add the film there",
            )
        elif finding is not None:
            _add_box(builder, image_id, [row[own[corner]] for corner in CORNERS], finding)


def _add_box(builder: CohortBuilder, image_id: str, cells: list[str], finding: str) -> None:
    corners = [number(cell) for cell in cells]
    builder.add_box(image_id, corners, finding, None if all(map(math.isfinite, corners)) else written(cells))


def _class_column(table: pd.DataFrame, taken: set[str]) -> str | None:
    """The column that says what a box shows, by its usual names."""
    plain = {plain_name(str(name)): str(name) for name in reversed(table.columns) if str(name) not in taken}
    return next((plain[name] for name in BOX_CLASS if name in plain), None)


def _findings(builder: CohortBuilder, cells: pd.Series) -> list[str | None]:
    """What each box shows; None where `classes` leaves it out.

    `classes` may hold words of the column `label` only: then it says nothing about boxes, and none is left out. A
    column of 1 and 0 says whether a box is a lesion that counts.
    """
    words = [visible(str(cell)) for cell in cells]
    rest = [mapped for name, mapped in builder.spec.classes.items() if name not in builder.used_classes]
    about_boxes = any(builder.class_of(word) is not None for word in words if word)
    about_boxes |= any(mapped is not None and folded(mapped) not in LABEL_WORDS for mapped in rest)
    if about_boxes or not builder.spec.classes:
        flags = {"1", "1.0", "0", "0.0"}
        if not about_boxes and set(words) <= flags | {""}:
            words = ["lesion" if word in ("", "1", "1.0") else "no_lesion" for word in words]
            builder.ignored_classes |= {"0": words.count("no_lesion")} if "no_lesion" in words else {}
            return [None if word == "no_lesion" else word for word in words]
        return [builder.finding(word) if word else "lesion" for word in words]
    return [word or "lesion" for word in words]


def _meant(builder: CohortBuilder, name: str, by_path: dict[str | None, str]) -> str | None:
    """The listed film that a row means by its file name or stem, where there is exactly one."""
    found = builder.index.find(name) if name else []
    return by_path.get(str(found[0])) if len(found) == 1 else None


# --- corners in the manifest's own rows -------------------------------------------------------------------------------


def _one_row_per_box(builder: CohortBuilder, path: Path, table: pd.DataFrame) -> None:
    table = table if "label" in table else table.assign(label="")
    boxed = table[table[list(CORNERS)].ne("").any(axis=1)].to_dict("records")
    drawn = {name for row in boxed if _keeps(builder, name := _class(builder, row))}
    for name, rows in table.groupby("path", sort=False):
        if not name:
            builder.fault("row_invalid", path, f"{plural(len(rows), 'row')} without a film's name", "fill in its path")
            continue
        records = rows.to_dict("records")
        kept = 0
        for row in records:
            cells = [row[corner] for corner in CORNERS]
            if any(cells) and (finding := _finding(builder, _class(builder, row))) is not None:
                _add_box(builder, str(name), cells, finding)
                kept += 1
        label = _status(builder, path, str(name), records, kept, drawn)
        values = {key: value or None for key, value in records[0].items() if key not in OWN}
        film = builder.find_film(str(name), path)
        builder.add_film(str(name), film, label, listed_as=str(name), **{**values, **_size(records[0])})


def _stated(builder: CohortBuilder, row: dict[str, str]) -> int | None:
    """The status of the film that a row's `label` states; None where it is the class of a box."""
    return LABEL_WORDS.get(label_word(builder, row["label"])) if row["label"] else None


def _class(builder: CohortBuilder, row: dict[str, str]) -> str:
    """What a row's box shows: its `label`, unless that is the status of the film."""
    if _stated(builder, row) is not None:
        return row.get("subtype") or "lesion"
    return row["label"] or "lesion"


def _finding(builder: CohortBuilder, name: str) -> str | None:
    return "lesion" if name == "lesion" and builder.class_of(name) is None else builder.finding(name)


def _keeps(builder: CohortBuilder, name: str) -> bool:
    key = builder.class_of(name)
    return not builder.spec.classes or name == "lesion" or (key is not None and builder.spec.classes[key] is not None)


def _status(
    builder: CohortBuilder, path: Path, name: str, rows: list[dict[str, str]], boxes: int, drawn: set[str]
) -> int:
    """1 where a row says so, has corners, or names a class that has corners in other rows: that film lacks its box."""
    stated = {label for row in rows if (label := _stated(builder, row)) is not None}
    if len(stated) == 2:
        builder.fault("row_invalid", path, f"{name} has rows labelled 0 and rows labelled 1", "correct the labels")
    if stated:
        label = max(stated)
        if label == 0:
            label_of(builder, rows[0]["label"], path, name)  # counted among the words that mean 0
        return label
    return int(boxes > 0 or any(row["label"] and _class(builder, row) in drawn for row in rows))


def _size(row: dict[str, str]) -> dict[str, object]:
    if not {"width", "height"} <= row.keys():
        return {}
    width, height = number(row["width"]), number(row["height"])
    return {"annotated_width": width, "annotated_height": height, "annotated_as": "native"}
