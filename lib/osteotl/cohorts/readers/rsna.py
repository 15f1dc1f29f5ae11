"""Reader `rsna`: the RSNA pneumonia challenge of 2018 (stage 2).

stage_2_train_labels.csv holds patientId, x, y, width, height, Target, a row per box; the film is patientId.dcm (or
.png, .jpg). patientId names the FILM: one patient has several. `patients: rsna_to_nih.csv` (patientId, nih_image_index)
gives the patient, the first eight digits of the NIH file name. stage_2_detailed_class_info.csv, where present, gives
the column rsna_class. Boxes are in pixels of the 1024 px original and are scaled to a film of another size.
"""

from __future__ import annotations

import math

from osteotl.cohorts.readers.builder import CohortBuilder
from osteotl.cohorts.readers.columns import column_missing, label_of
from osteotl.cohorts.readers.files import number, read_table, table_file, unused_columns, written

SIDE = 1024.0
FINDING = "Lung Opacity"
COLUMNS = ("patientId", "x", "y", "width", "height", "Target")


def read(builder: CohortBuilder) -> None:
    """Read the tables into the builder."""
    path = table_file(builder, builder.spec.annotations or builder.spec.table, "stage_2_train_labels.csv")
    table = read_table(builder, path, key="annotations")
    if table is None:
        return
    if missing := [name for name in COLUMNS if name not in table]:
        column_missing(builder, path, table, missing)
        return
    unused_columns(builder, path, table, COLUMNS)
    classes = _classes(builder)
    for name, rows in table.groupby("patientId", sort=False):
        if not name:
            builder.fault("row_invalid", path, "a row names no film", "fill in its patientId")
            continue
        labels = {label_of(builder, value, path, str(name)) for value in rows["Target"]}
        if len(labels) > 1:
            builder.fault("row_invalid", path, f"{name} has rows with Target 0 and with Target 1", "correct the table")
        for row in rows.to_dict("records"):
            _box(builder, str(name), row)
        size = {"annotated_width": SIDE, "annotated_height": SIDE, "annotated_as": "scaled"}
        label = None if labels == {None} else max(label for label in labels if label is not None)
        builder.add_film(
            str(name), builder.find_film(str(name), path), label, rsna_class=classes.get(str(name)), **size
        )
    builder.add_unlisted()


def _box(builder: CohortBuilder, name: str, row: dict[str, str]) -> None:
    cells = [row[column] for column in ("x", "y", "width", "height")]
    if not any(cells):
        return
    x, y, width, height = (number(cell) for cell in cells)
    # `classes` may hold words of Target only: then it says nothing about boxes, which are all of one class
    finding = FINDING if builder.class_of(FINDING) is None else builder.finding(FINDING)
    if finding is not None:
        text = None if all(map(math.isfinite, (x, y, width, height))) else written(cells)
        builder.add_box(name, (x, y, x + width, y + height), finding, text, "sizes")


def _classes(builder: CohortBuilder) -> dict[str, str]:
    path = table_file(builder, None, "stage_2_detailed_class_info.csv")
    table = read_table(builder, path) if path.exists() else None
    if table is None:
        return {}
    if missing := [name for name in ("patientId", "class") if name not in table]:
        column_missing(builder, path, table, missing)
        return {}
    return dict(zip(table["patientId"], table["class"], strict=True))
