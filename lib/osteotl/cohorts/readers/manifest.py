"""Reader `manifest`: a plain CSV (or .xlsx), one row per film, and a CSV of boxes by corners.

Films: `manifest.csv` (or `table`) with `path` and `label` (1 malignant, 0 not, empty = not annotated) and, where known,
image_id, patient_id, site, view, age, sex, subtype; every other column can be used in `where`.
Boxes: `boxes.csv` (or `annotations`) with path or image_id, x_min, y_min, x_max, y_max and finding.
A table with corners in its own rows (image_file,label,xmin,ymin,xmax,ymax: one row per box, `label` the class) is read
as well: rows of one film are joined, and a film without corners is a film without lesion.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from osteotl.cohorts.readers.columns import canonical, label_of
from osteotl.cohorts.readers.draft import Draft
from osteotl.cohorts.readers.files import number, read_table

CORNERS = ("x_min", "y_min", "x_max", "y_max")
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
            f"does not name {len(others):,} films of the folder (such as {names}); they were left out",
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
    for number_, row in enumerate(table.to_dict("records"), start=2):
        finding = draft.finding(row.get("subtype") or "lesion")
        if row[key] not in known:
            draft.fault(
                "unknown_id", path, f"row {number_} names {row[key]!r}, which no film has", "correct the identifier"
            )
        elif finding is not None:
            draft.add_box(known[row[key]], [number(row[name]) for name in CORNERS], finding)


def _one_row_per_box(draft: Draft, path: Path, table: pd.DataFrame) -> None:
    plain = {name for name in ("width", "height") if name in table}
    for name, rows in table.groupby("path", sort=False):
        records = rows.to_dict("records")
        film = draft.find_film(str(name), path)
        boxed = [row for row in records if any(row[corner] for corner in CORNERS)]
        kept = [(row, finding) for row in boxed if (finding := draft.finding(row["label"] or "lesion")) is not None]
        for row, finding in kept:
            draft.add_box(str(name), [number(row[corner]) for corner in CORNERS], finding)
        size = (
            {
                "annotated_width": number(records[0]["width"]),
                "annotated_height": number(records[0]["height"]),
                "annotated_as": "native",
            }
            if len(plain) == 2
            else {}
        )
        values = {
            key: value or None
            for key, value in records[0].items()
            if key not in ("path", "label", "image_id", *CORNERS)
        }
        draft.add_film(str(name), film, int(bool(kept)), **{**values, **size})
