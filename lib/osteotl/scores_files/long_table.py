"""One table of scores, long or wide, with boxes or without -> a long table on its way."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from osteotl.files import plural
from osteotl.scores_files.columns import (
    CORNERS,
    FACTS,
    LARGEST,
    Roles,
    find_roles,
    nearest_name,
    numbers,
    read_cohorts,
    read_labels,
    read_runs,
)
from osteotl.scores_files.tables import Table, TableError, listed, parse_json, row_list

DETECTION_COLUMNS = ["image_id", "arm", "fraction", "seed", *CORNERS, "score"]
LESION_COLUMNS = ["image_id", *CORNERS]
NO_SCORE = "leave no score empty: a film without a box has the detector's lowest score"
NO_REASON = f"{NO_SCORE}; where the model failed, say why in a column 'reason'"


class ScoresError(TableError):
    """The scores cannot be used; `faults` lists every reason, one line each."""


@dataclass
class ScoresBuilder:
    """A long table on its way: faults are collected, not raised one by one."""

    table: pd.DataFrame
    detections: pd.DataFrame | None = None
    lesions: pd.DataFrame | None = None
    faults: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    readers: bool = False
    run_names: dict[int, str] = field(default_factory=dict)

    def take(self, found: tuple[Any, list[str], list[str]]) -> Any:
        """The values of what a reader of a column returns; its faults and remarks are kept."""
        values, faults, remarks = found
        self.faults += faults
        self.remarks += [remark for remark in remarks if remark not in self.remarks]
        return values


def from_table(table: Table) -> ScoresBuilder:
    """The long table that a table holds.

    Raises
    ------
    ScoresError
        A column that is needed is missing.
    """
    cells = table.cells
    roles = find_roles(cells)
    builder = ScoresBuilder(pd.DataFrame(), remarks=[*table.remarks, *roles.remarks])
    needed = ["image_id", "label"] + ([] if roles.wide else ["arm", "score"])
    if absent := [c for c in needed if c not in roles.column]:
        rule = (
            "a long table needs image_id, label, arm, score; a wide one image_id, label and a column of scores per arm"
        )
        spare = [c for c in cells.columns if c not in roles.column.values()]
        have = listed(list(cells.columns), 30)
        raise ScoresError([f"no column {c!r} (columns are {have}){nearest_name(c, spare)}; {rule}" for c in absent])
    base = base_columns(table, roles, builder)
    if roles.wide:
        builder.table = _melted(cells, base, roles, builder)
    else:
        base["arm"] = cells[roles.column["arm"]]
        score = cells[roles.column["score"]]
        base["score"] = builder.take(numbers(score, "score", table.rows, NO_REASON, base["reason"] != ""))
        builder.table = base
    _boxes(cells, roles, builder, table.rows)
    return builder


def base_columns(table: Table, roles: Roles, builder: ScoresBuilder) -> pd.DataFrame:
    """Columns that every kind of table shares."""
    column, cells, rows = roles.column, table.cells, table.rows
    base = pd.DataFrame({"row": rows, "image_id": cells[column["image_id"]]})
    base["label"] = builder.take(read_labels(cells[column["label"]], rows))
    if "cohort" in column:
        base["cohort"] = builder.take(read_cohorts(cells[column["cohort"]], rows))
    else:
        base["cohort"] = "external"
        builder.remarks.append(
            "no cohort column: every film is taken as external (locked thresholds need validation films)"
        )
    base["patient_id"] = _patients(cells, base, column, builder)
    base["fraction"] = 1.0
    if "fraction" in column:
        name = f"column {column['fraction']!r}"
        base["fraction"] = builder.take(
            numbers(cells[column["fraction"]], name, rows, "a share of the training labels")
        )
        bad = ~((base["fraction"] > 0) & (base["fraction"] <= 1)).to_numpy() & base["fraction"].notna().to_numpy()
        builder.faults += [f"fraction: {row_list(rows[bad])} not in (0, 1]"] if bad.any() else []
    base["seed"] = _runs(cells, column, rows, builder)
    if "logit" in column:
        base["logit"] = builder.take(numbers(cells[column["logit"]], "logit", rows))
    base["reason"] = cells[column["reason"]] if "reason" in column else ""
    for fact in FACTS:
        if fact in column:
            base[fact] = _fact(cells[column[fact]], fact, rows, builder)
    return base


def _runs(cells: pd.DataFrame, column: dict[str, str], rows: np.ndarray, builder: ScoresBuilder) -> np.ndarray | int:
    """Seeds of training runs, or human readers who take their part."""
    if "seed" in column and "reader" in column:
        builder.faults.append(
            f"columns {column['seed']!r} and {column['reader']!r} both name the runs of an arm: keep the reader of "
            "human readers, or the seed of training runs"
        )
        return 0
    kind = "reader" if "reader" in column else "seed"
    builder.readers = kind == "reader"
    if kind not in column:
        return 0
    values, builder.run_names, faults, remarks = read_runs(cells[column[kind]], f"column {column[kind]!r}", rows)
    return builder.take((values, faults, remarks))


def _patients(cells: pd.DataFrame, base: pd.DataFrame, column: dict[str, str], builder: ScoresBuilder) -> pd.Series:
    if "patient_id" not in column:
        builder.remarks.append("no patient_id column: every film is taken as a patient of its own")
        return base["image_id"]
    patients = cells[column["patient_id"]]
    if lacking := int((patients == "").sum()):
        builder.remarks.append(
            f"{plural(lacking, 'row')} without patient_id: each such film is taken as a patient of its own"
        )
    return patients.where(patients != "", base["image_id"])


def _fact(column: pd.Series, name: str, rows: np.ndarray, builder: ScoresBuilder) -> pd.Series | np.ndarray:
    """What is known of a film beside its class; an age that is no number is unknown, and that is said."""
    if name != "age":
        return column
    values, faults, remarks = numbers(column, "age", rows)
    builder.remarks += [*remarks, *(f"{fault}: taken as unknown" for fault in faults)]
    return np.where(np.isfinite(values) & (np.abs(values) <= LARGEST), values, np.nan)


def _melted(cells: pd.DataFrame, base: pd.DataFrame, roles: Roles, builder: ScoresBuilder) -> pd.DataFrame:
    parts = []
    for column, (arm, seed) in roles.arms.items():
        known = (f"column {column!r}", base["row"].to_numpy(), NO_REASON, base["reason"] != "")
        score = builder.take(numbers(cells[column], *known))
        seeds = {"seed": seed} if not {"seed", "reader"} & set(roles.column) else {}
        parts.append(base.drop(columns="logit", errors="ignore").assign(arm=arm, score=score, **seeds))
    return pd.concat(parts, ignore_index=True)


# --- boxes in tables --------------------------------------------------------------------------------------------------


def _boxes(cells: pd.DataFrame, roles: Roles, builder: ScoresBuilder, rows: np.ndarray) -> None:
    """Boxes as one row each (then a film's score is its highest), or as a list in a column `boxes`."""
    if all(c in roles.column for c in CORNERS) and not roles.wide:
        _box_rows(cells, roles, builder, rows)
    elif "boxes" in roles.column and not roles.wide:
        lists = _lists(cells[roles.column["boxes"]], 5, "boxes", builder, rows)
        builder.detections = _unrolled(
            builder.table[["image_id", "arm", "fraction", "seed"]], lists, [*CORNERS, "score"]
        )
    if "lesions" in roles.column:
        lists = _lists(cells[roles.column["lesions"]], 4, "lesions", builder, rows)
        builder.lesions = _lesions(cells[roles.column["image_id"]], cells[roles.column["lesions"]], lists, builder)


def _lesions(films: pd.Series, texts: pd.Series, lists: list[np.ndarray], builder: ScoresBuilder) -> pd.DataFrame:
    """Lesions once a film: those of its first row that names any; rows that name others are a fault."""
    named = texts != ""
    given = films[named]
    odd = texts[named].groupby(given).nunique()
    builder.faults += [f"lesions of film {film!r} disagree between its rows" for film in odd.index[odd > 1][:10]]
    first = given[~given.duplicated()]
    return _unrolled(first.to_frame("image_id"), [lists[at] for at in first.index], list(CORNERS))


def _box_rows(cells: pd.DataFrame, roles: Roles, builder: ScoresBuilder, rows: np.ndarray) -> None:
    corners = {c: builder.take(numbers(cells[roles.column[c]], c, rows)) for c in CORNERS}
    table = builder.table.assign(**corners)
    known = table[list(CORNERS)].notna()
    boxed, part = known.all(axis=1), known.any(axis=1) & ~known.all(axis=1)
    if part.any():
        builder.faults.append(f"boxes: {row_list(rows[part])} some corners only; give all four, or none")
    if (silent := (boxed & table["score"].isna() & (table["reason"] != "")).to_numpy(bool)).any():
        builder.faults.append(f"boxes: {row_list(rows[silent])} without a score; a box has one, a failed film no box")
    bad = _box_faults(table.loc[boxed, list(CORNERS)].to_numpy(float))
    if bad.any():
        builder.faults.append(f"boxes: {row_list(rows[boxed][bad])} {BOX_RULE}")
    builder.detections = table.loc[boxed, DETECTION_COLUMNS].reset_index(drop=True)
    key = ["image_id", "arm", "fraction", "seed"]
    best = builder.table.sort_values("score", ascending=False, kind="stable").drop_duplicates(key).sort_index()
    if len(best) < len(builder.table):
        builder.remarks.append("one row a box: the score of a film is the highest of its boxes")
        for column, what in (("label", "labels"), ("patient_id", "patients"), ("cohort", "cohorts")):
            odd = builder.table.groupby("image_id")[column].nunique()
            builder.faults += [
                f"{what} of film {film!r} disagree between its boxes" for film in odd.index[odd > 1][:10]
            ]
    builder.table = best.reset_index(drop=True)


BOX_RULE = f"a box whose corners are not finite, not rising (x_min < x_max, y_min < y_max) or beyond {LARGEST:g}"


def _box_faults(boxes: np.ndarray) -> np.ndarray:
    """Which boxes, one a row with four corners and perhaps a score, are none."""
    with np.errstate(invalid="ignore"):
        rising = (boxes[:, 0] < boxes[:, 2]) & (boxes[:, 1] < boxes[:, 3])
        return ~(np.isfinite(boxes).all(axis=1) & rising & (np.abs(boxes) <= LARGEST).all(axis=1))


def box_array(content: Any, width: int) -> np.ndarray:
    """A list of boxes with `width` numbers each as an array.

    Raises
    ------
    ValueError
        Anything else, a number that is not finite, or corners that do not rise.
    """
    if content in (None, []):
        return np.empty((0, width))
    if not isinstance(content, list) or not all(isinstance(box, list) and len(box) == width for box in content):
        raise ValueError(f"not a list of boxes with {width} numbers each")
    if not all(isinstance(value, int | float) and not isinstance(value, bool) for box in content for value in box):
        raise ValueError(f"not a list of boxes with {width} numbers each")
    try:
        boxes = np.array(content, dtype=float)
    except OverflowError:
        raise ValueError(BOX_RULE) from None
    if _box_faults(boxes).any():
        raise ValueError(BOX_RULE)
    return boxes


def _lists(column: pd.Series, width: int, name: str, builder: ScoresBuilder, rows: np.ndarray) -> list[np.ndarray]:
    """A column of JSON lists of boxes."""
    made: list[np.ndarray] = []
    bad: dict[str, list[int]] = {}
    for row, cell in zip(rows, column, strict=True):
        try:
            made.append(box_array(parse_json(cell) if cell else [], width))
        except ValueError as error:
            made.append(np.empty((0, width)))
            known = (
                f"{error}" if not isinstance(error, TableError) else f"not a list of boxes with {width} numbers each"
            )
            bad.setdefault(known, []).append(int(row))
    builder.faults += [f"{name}: {row_list(where)} {what}" for what, where in bad.items()]
    return made


def _unrolled(keys: pd.DataFrame, lists: list[np.ndarray], columns: list[str]) -> pd.DataFrame:
    counts = [len(x) for x in lists]
    values = np.concatenate(lists) if lists else np.empty((0, len(columns)))
    repeated = keys.loc[keys.index.repeat(counts)].reset_index(drop=True)
    return pd.concat([repeated, pd.DataFrame(values, columns=columns)], axis=1)
