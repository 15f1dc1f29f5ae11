"""Reader `manifest`: a plain CSV (or .xlsx), one row per film, and a CSV of boxes by corners.

Films: `manifest.csv` (or `table`) with `path` and `label` (1 malignant, 0 not, empty = not annotated) and, where known,
image_id, patient_id, site, view, age, sex, subtype; every other column can be used in `where`.
Boxes: `boxes.csv` (or `annotations`) with path or image_id, x_min, y_min, x_max, y_max (pixels) and finding.
Tables may be separated by commas, semicolons or tabs; numbers have a decimal point. A film is found by its path below
the root, its file name or its stem, in upper or lower case, where that is only one; a DICOM file needs no suffix.
A table with corners in its own rows (image_file,label,xmin,ymin,xmax,ymax: one row per box) is read as well: rows of
one film are joined. Its `label` is the class of the box, and a film without corners is a film without lesion; or it is
1 or 0 (malignant, normal, ...), the status of the film, and a status that the corners contradict is a fault.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from osteotl.cohorts.faults import plural
from osteotl.cohorts.readers.columns import LABEL_WORDS, canonical, label_of
from osteotl.cohorts.readers.draft import Draft
from osteotl.cohorts.readers.files import number, read_table

CORNERS = ("x_min", "y_min", "x_max", "y_max")
OWN = ("path", "label", "image_id", *CORNERS)  # columns whose values are handed on under another name
FILM = ("path", "image_id", "patient_id", "site", "label", "view", "age", "sex", "subtype")


def read(draft: Draft) -> None:
    """Read the manifest into the draft."""
    path = draft.root / (draft.spec.table or "manifest.csv")
    table = read_table(draft, path)
    if table is None:
        return
    table = canonical(table, (*FILM, *CORNERS))
    if "path" not in table and "image_id" in table:
        table["path"] = table["image_id"]
    if missing := [name for name in ("path", "label") if name not in table and not _given(draft, name)]:
        draft.fault(
            "column_missing",
            path,
            f"has no column {' and no '.join(missing)} (has {', '.join(table.columns)})",
            "a manifest needs the columns path and label",
        )
        return
    if all(name in table for name in CORNERS):
        _one_row_per_box(draft, path, table)
    else:
        _films(draft, path, table)
    _boxes(draft)
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


def _given(draft: Draft, name: str) -> bool:
    return name == "label" and draft.spec.label is not None


def _films(draft: Draft, path: Path, table: pd.DataFrame) -> None:
    for number_, row in enumerate(table.to_dict("records"), start=2):
        name = row["path"]
        if not name:
            draft.fault("row_invalid", path, f"row {number_} names no film", "fill in its path")
            continue
        film = draft.find_film(name, path)
        label = label_of(draft, row["label"], path, f"row {number_} ({name})") if "label" in row else None
        values = {key: value or None for key, value in row.items() if key not in ("path", "label", "image_id")}
        draft.add_film(row.get("image_id") or name, film, label, listed_as=name, **values)


def _boxes(draft: Draft) -> None:
    path = draft.root / (draft.spec.annotations or "boxes.csv")
    if draft.spec.annotations is None and not path.exists():
        return
    table = read_table(draft, path)
    if table is None:
        return
    table = canonical(table, ("path", "image_id", *CORNERS, "subtype"))
    key = next((name for name in ("image_id", "path") if name in table), None)
    if missing := [name for name in CORNERS if name not in table] + ([] if key else ["image_id"]):
        draft.fault(
            "column_missing", path, f"has no column {', '.join(missing)}", "name the corners x_min,y_min,x_max,y_max"
        )
        return
    known = {film["listed_as"]: film["image_id"] for film in draft.films} | {
        f["image_id"]: f["image_id"] for f in draft.films
    }
    by_path = {film["path"]: film["image_id"] for film in draft.films}
    for number_, row in enumerate(table.to_dict("records"), start=2):
        finding = draft.finding(row.get("subtype") or "lesion")
        image_id = known.get(row[key]) or _meant(draft, row[key], by_path)
        if image_id is None:
            draft.fault(
                "unknown_id",
                path,
                f"row {number_} names {row[key]!r}, a film that the manifest does not list",
                "write its path or image_id as the manifest has it, or add the film there",
            )
        elif finding is not None:
            draft.add_box(image_id, [number(row[name]) for name in CORNERS], finding)


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
            if any(row[corner] for corner in CORNERS) and (finding := draft.finding(_class(draft, row))) is not None:
                draft.add_box(str(name), [number(row[corner]) for corner in CORNERS], finding)
                kept += 1
        label = _status(draft, path, str(name), records, kept, drawn)
        values = {key: value or None for key, value in records[0].items() if key not in OWN}
        film = draft.find_film(str(name), path)
        draft.add_film(str(name), film, label, listed_as=str(name), **{**values, **_size(records[0])})


def _class(draft: Draft, row: dict[str, str]) -> str:
    """What a row's box shows: its `label`, unless that is the status of the film."""
    if not draft.spec.classes and row["label"].lower() in LABEL_WORDS:
        return row.get("subtype") or "lesion"
    return row["label"] or "lesion"


def _keeps(draft: Draft, name: str) -> bool:
    return not draft.spec.classes or draft.spec.classes.get(name) is not None


def _status(draft: Draft, path: Path, name: str, rows: list[dict[str, str]], boxes: int, drawn: set[str]) -> int:
    """1 where a row says so, has corners, or names a class that has corners in other rows: that film lacks its box."""
    words = {row["label"].lower() for row in rows}
    stated = set() if draft.spec.classes else {LABEL_WORDS[word] for word in words & LABEL_WORDS.keys()}
    if len(stated) == 2:
        draft.fault("row_invalid", path, f"{name} has rows labelled 0 and rows labelled 1", "correct the labels")
    if stated:
        return max(stated)
    return int(boxes > 0 or any(row["label"] and _class(draft, row) in drawn for row in rows))


def _size(row: dict[str, str]) -> dict[str, object]:
    if not {"width", "height"} <= row.keys():
        return {}
    width, height = number(row["width"]), number(row["height"])
    return {"annotated_width": width, "annotated_height": height, "annotated_as": "native"}
