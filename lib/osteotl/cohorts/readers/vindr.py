"""Reader `vindr`: VinDr-CXR as distributed by Kaggle (train.csv) or PhysioNet (annotations_train.csv).

Three of seventeen radiologists read each film; each drew boxes of their own, or class 14, 'No finding'. Their boxes of
one class are merged by weighted boxes fusion (Solovyev 2021; intersection over union above 0.5, equal weights), and a
fused box counts when at least `agreement` readers (default 2 of 3) drew a box of that class that overlaps it by 0.5 or
more; tables without a reader column are consensus readings and count as they stand. Label 1 = has a fused box of a kept
class. Boxes are in pixels of the original DICOM; for resized copies give `table: train_meta.csv` (image_id, dim0,
dim1).
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd

from osteotl.cohorts.faults import plural
from osteotl.cohorts.readers.builder import CohortBuilder
from osteotl.cohorts.readers.columns import column_missing
from osteotl.cohorts.readers.files import numbers, read_table, table_file, unused_columns, written
from osteotl.cohorts.readers.labelme import overlap
from osteotl.cohorts.readers.splits import part_of_file, part_of_folder

CORNERS = ["x_min", "y_min", "x_max", "y_max"]
NO_FINDING = "No finding"
SAME_LESION = 0.5


def read(builder: CohortBuilder) -> None:
    """Read the table into the builder."""
    defaults = ("train.csv", "annotations_train.csv", "annotations/annotations_train.csv")
    path = table_file(builder, builder.spec.annotations, *defaults)
    table = read_table(builder, path, key="annotations", needs=CORNERS)
    if table is None:
        return
    if missing := [name for name in ("image_id", "class_name", *CORNERS) if name not in table]:
        column_missing(builder, path, table, missing)
        return
    unused_columns(builder, path, table, ("image_id", "class_name", "class_id", "rad_id", *CORNERS))
    sizes = _sizes(builder)
    table = table.assign(written=[written(row) for row in table[CORNERS].to_numpy()])
    table[CORNERS] = table[CORNERS].apply(numbers)
    consensus = "rad_id" not in table
    table = table.assign(rad_id="consensus") if consensus else table
    minority = 0
    for name, rows in table.groupby("image_id", sort=False):
        kept, few = _merge(builder, path, str(name), rows, 1 if consensus else builder.spec.agreement)
        minority += few
        film = builder.find_film(str(name), path)
        builder.add_film(
            str(name),
            film,
            int(kept > 0),
            readers=rows["rad_id"].nunique(),
            split=(part_of_folder(str(film)[len(str(builder.root)) :]) if film else None) or part_of_file(path),
            **sizes.get(str(name), {}),
        )
    if minority:
        builder.fault(
            "box_minority",
            path,
            f"not counted: {plural(minority, 'lesion')} drawn by fewer than {plural(builder.spec.agreement, 'reader')}",
            "set `agreement: 1` to count them",
        )
    builder.add_unlisted()


def _merge(builder: CohortBuilder, path: Path, name: str, rows: pd.DataFrame, agreement: int) -> tuple[int, int]:
    """Add the fused boxes of one film; how many count, and how many too few readers drew."""
    drawn = rows[rows["class_name"] != NO_FINDING]
    if (boxed := rows[rows["class_name"] == NO_FINDING][CORNERS].notna().any(axis=1)).any():
        builder.fault(
            "row_invalid",
            path,
            f"{name}: a box in {plural(int(boxed.sum()), 'row')} of 'No finding'",
            "correct the table",
        )
    kept = few = 0
    for source, group in drawn.groupby("class_name", sort=True):
        findings = {
            builder.finding(str(source)) for _ in range(len(group))
        }  # asked once a row: what is left out is counted
        finding = findings.pop()
        if finding is None:
            continue
        sound = np.isfinite(group[CORNERS].to_numpy()).all(axis=1)
        for text in group[~sound]["written"]:
            builder.fault("box_invalid", name, f"{source}: box ({text}) is not four numbers", "correct the row")
        for corners, support in fuse(group[sound]):
            counts = support >= min(agreement, rows["rad_id"].nunique())
            kept, few = kept + counts, few + (not counts)
            if counts:
                builder.add_box(name, corners, finding)
    return kept, few


def fuse(boxes: pd.DataFrame) -> list[tuple[tuple[float, ...], int]]:
    """Fused corners of one film and class, each with the number of readers that support it.

    Parameters
    ----------
    boxes : DataFrame
        rad_id and corners, finite.
    """
    ordered = boxes[(boxes["x_max"] > boxes["x_min"]) & (boxes["y_max"] > boxes["y_min"])]
    broken = [
        (tuple(row), 99) for row in boxes.drop(ordered.index)[CORNERS].to_numpy().tolist()
    ]  # listed by the box checks
    if ordered["rad_id"].nunique() < 2:
        return [(tuple(row), 1) for row in ordered[CORNERS].to_numpy().tolist()] + broken
    from ensemble_boxes import weighted_boxes_fusion  # imports numba, which costs a second

    # overlap does not change when an axis is scaled, so each axis is scaled by its largest coordinate into [0, 1]
    scale = np.tile(np.maximum(ordered[["x_max", "y_max"]].abs().max().to_numpy(), 1.0), 2)
    shift = np.tile(np.minimum(ordered[["x_min", "y_min"]].min().to_numpy(), 0.0), 2)
    span = scale - shift
    groups = [((rows[CORNERS].to_numpy() - shift) / span).tolist() for _, rows in ordered.groupby("rad_id", sort=True)]
    ones = [[1.0] * len(group) for group in groups]
    fused, _, _ = weighted_boxes_fusion(
        groups, ones, [[0] * len(g) for g in groups], iou_thr=SAME_LESION, skip_box_thr=0.0
    )
    found = []
    for corners in fused * span + shift:
        box = tuple(float(v) for v in corners)
        readers = {
            row[0]
            for row in ordered[["rad_id", *CORNERS]].itertuples(index=False)
            if overlap(tuple(row[1:]), box) >= SAME_LESION
        }
        found.append((box, max(len(readers), 1)))
    return sorted(found) + broken


def _sizes(builder: CohortBuilder) -> dict[str, dict[str, object]]:
    """Original sizes, where a table states them (dim0 = height, dim1 = width)."""
    if builder.spec.table is None:
        return {}
    path = builder.root / builder.spec.table
    table = read_table(builder, path)
    if table is None:
        return {}
    if missing := [name for name in ("image_id", "dim0", "dim1") if name not in table]:
        column_missing(builder, path, table, missing)
        return {}
    heights, widths = numbers(table["dim0"]), numbers(table["dim1"])
    return {
        name: {"annotated_width": width, "annotated_height": height, "annotated_as": "scaled"}
        for name, width, height in zip(table["image_id"], widths, heights, strict=True)
        if math.isfinite(width) and math.isfinite(height)
    }
