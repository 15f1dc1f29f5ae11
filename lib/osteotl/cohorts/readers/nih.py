"""Reader `nih`: NIH ChestX-ray8/14 (Data_Entry_2017*.csv, BBox_List_2017.csv, PNG films of 1024 px).

Both tables are read by position: their headers hold unquoted commas, so BBox_List's has nine cells over rows of six.
Label 1 = has a box of a kept class. A film whose text-mined findings name a kept class but that has no box was never
searched for boxes (only 880 of 112,120 films were): its status is not annotated and it is left out. A film without any
kept class is a film without lesion; 'No Finding' beside a box is a fault. 'Infiltrate' of BBox_List is 'Infiltration'
of Data_Entry. train_val_list.txt and test_list.txt, where present, are the shipped split.
"""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd

from osteotl.cohorts.readers.builder import CohortBuilder
from osteotl.cohorts.readers.files import TABLES, files_in, number, read_table, written
from osteotl.cohorts.readers.splits import listed_parts, stem_of_line

SIDE = 1024.0
ENTRY = [
    "image_index",
    "findings",
    "follow_up",
    "patient",
    "age",
    "sex",
    "view",
    "original_width",
    "original_height",
    "spacing_x",
    "spacing_y",
]
#: number of columns -> place: a word that the header must have there, for columns are read by their place
HEADS = {
    len(ENTRY): {0: "image", 1: "finding", 2: "follow", 3: "patient id", 4: "age", 6: "view"},
    6: {0: "image", 1: "finding", 2: "bbox"},
}
SPELLINGS = {"Infiltrate": "Infiltration"}


def read(builder: CohortBuilder) -> None:
    """Read both tables into the builder."""
    entries = _by_position(builder, _find(builder, builder.spec.table, "Data_Entry_2017"), len(ENTRY), "table")
    boxes = _by_position(builder, _find(builder, builder.spec.annotations, "BBox_List_2017"), 6, "annotations")
    if entries is None or boxes is None:
        return
    known = set(entries[0])
    boxed: dict[str, int] = {}
    for row in boxes.itertuples(index=False):
        _box(builder, [str(cell) for cell in row], known, boxed)
    lists = {
        path: "test" if "test" in path.name.lower() else "training" for path in files_in(builder.root, "_list.txt")
    }
    parts = listed_parts(builder, lists)
    for cells in entries.itertuples(index=False):
        _film(builder, dict(zip(ENTRY, cells, strict=True)), boxed, parts)
    builder.add_unlisted()


def _find(builder: CohortBuilder, named: str | None, start: str) -> Path:
    if named:
        return builder.root / named
    there = [path for path in files_in(builder.root, *TABLES) if path.name.lower().startswith(start.lower())]
    return next(iter(there), builder.root / f"{start}.csv")


def _by_position(builder: CohortBuilder, path: Path, width: int, key: str) -> pd.DataFrame | None:
    table = read_table(builder, path, header=False, key=key)
    if table is None:
        return None
    if len(table.columns) < width:
        builder.fault(
            "column_missing", path, f"has rows of {len(table.columns)} cells, expected {width}", "use it as distributed"
        )
        return None
    words = HEADS[width]
    header = [str(cell) for cell in table.iloc[0, :width]]
    wrong = [place for place, word in words.items() if word not in header[place].lower()]
    if wrong:
        text = f"names its column {wrong[0] + 1} {header[wrong[0]]!r}, where {words[wrong[0]]!r} is read by its place"
        builder.fault("column_missing", path, text, "use it as distributed: columns in their order, the header first")
        return None
    return table.iloc[1:, :width]


def _box(builder: CohortBuilder, cells: list[str], known: set[str], boxed: dict[str, int]) -> None:
    name, source = cells[0], SPELLINGS.get(cells[1], cells[1])
    if name not in known:
        builder.fault(
            "unknown_id",
            "BBox_List_2017.csv",
            f"names the film {name!r}, which Data_Entry does not list",
            "add its row",
        )
        return
    x, y, width, height = corners = [number(cell) for cell in cells[2:6]]
    finding = builder.finding(source)
    if finding is not None:
        text = None if all(map(math.isfinite, corners)) else written(cells[2:6])
        builder.add_box(name, (x, y, x + width, y + height), finding, text, "sizes")
        boxed[name] = boxed.get(name, 0) + 1


def _film(builder: CohortBuilder, row: dict[str, str], boxed: dict[str, int], parts: dict[str, str]) -> None:
    name = row.pop("image_index")
    if not name:
        builder.fault("row_invalid", "Data_Entry_2017.csv", "a row names no film", "fill in its name")
        return
    findings = {SPELLINGS.get(word.strip(), word.strip()) for word in row["findings"].split("|")}
    classes = builder.spec.classes
    relevant = {word for word in findings if (classes.get(word) if classes else word not in ("", "No Finding"))}
    label = 1 if boxed.get(name) else None if relevant or findings == {""} else 0
    label = 0 if findings == {"No Finding"} else label  # with a box that is a contradiction, which the box checks list
    patient = row.pop("patient")
    builder.add_film(
        name,
        builder.find_film(name, "Data_Entry_2017.csv"),
        label,
        patient_id=patient.zfill(8) if patient.isdigit() else name[:8],
        annotated_width=SIDE,
        annotated_height=SIDE,
        annotated_as="scaled",
        split=parts.get(stem_of_line(name)),
        **{key: value or None for key, value in row.items()},
    )
