"""One table of scores, CSV or Parquet, long or wide, with boxes or without -> a long table on its way."""

from __future__ import annotations

import csv
import json
import warnings
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from osteotl.scores_files.columns import CORNERS, TEXT_ROLES, Roles, find_wide_arms, guess_roles, numbers, row_list
from osteotl.scores_files.faults import read_cohorts, read_labels

DETECTION_COLUMNS = ["image_id", "arm", "fraction", "seed", *CORNERS, "score"]
LESION_COLUMNS = ["image_id", *CORNERS]
MISSING = ["", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "none"]


class ScoresError(ValueError):
    """The file cannot be used; `faults` lists every reason, one line each."""

    def __init__(self, faults: list[str]):
        super().__init__("\n".join(faults))
        self.faults = faults


@dataclass
class Draft:
    """A long table on its way: faults are collected, not raised one by one."""

    table: pd.DataFrame
    detections: pd.DataFrame | None = None
    lesions: pd.DataFrame | None = None
    faults: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


def read_table(path: Path) -> tuple[pd.DataFrame, Roles]:
    """The file as a frame with its rows of the file in `__row`, and the part each column plays."""
    try:
        frame, roles = _read_parquet(path) if path.suffix.lower() in (".parquet", ".pq") else _read_csv(path)
    except OSError as error:
        raise ScoresError([f"{path.name}: cannot be read ({error.strerror or error})"]) from error
    except UnicodeDecodeError as error:
        raise ScoresError([f"{path.name}: not UTF-8 text (byte {error.start}); save it as CSV UTF-8"]) from error
    text = frame.select_dtypes(include=["object", "string"]).columns
    empty = frame.isna() | (frame[text].apply(lambda c: c.astype(str).str.strip() == "").reindex(
        columns=frame.columns, fill_value=False)) if frame.isna().any(axis=None) else None  # fmt: skip
    frame["__row"] = np.arange(2, len(frame) + 2)
    return (frame if empty is None else frame[~empty.all(axis=1).to_numpy()]).reset_index(drop=True), roles


def _read_parquet(path: Path) -> tuple[pd.DataFrame, Roles]:
    try:
        frame = pd.read_parquet(path)
    except (ValueError, OSError) as error:  # pyarrow's errors are subclasses of these
        raise ScoresError([f"{path.name}: not a Parquet file ({' '.join(str(error).split())[:200]})"]) from error
    return frame, guess_roles(list(frame.columns))


def _read_csv(path: Path) -> tuple[pd.DataFrame, Roles]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        head = file.readline()
    if "\0" in head or not head.strip():
        raise ScoresError(
            [f"{path.name}: {'empty' if not head.strip() else 'not a text file'}; give a CSV with a header"]
        )
    separator = max(",;\t|", key=head.count)
    header = next(csv.reader([head], delimiter=separator))
    if twice := sorted({c for c in header if header.count(c) > 1}):
        raise ScoresError([f"{path.name}: column {twice[0]!r} stands twice in the header"])
    roles = guess_roles(header)
    text = {roles.column[r] for r in TEXT_ROLES if r in roles.column}
    missing = {c: MISSING for c in header if c not in text}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            frame = pd.read_csv(
                path,
                sep=separator,
                dtype=dict.fromkeys(text, str),
                keep_default_na=False,
                na_values=missing,
                skip_blank_lines=False,
                encoding="utf-8-sig",
                index_col=False,
                low_memory=False,
            )
    except (pd.errors.ParserError, pd.errors.ParserWarning) as error:
        raise ScoresError([f"{path.name}: {line}" for line in _ragged(path, separator, len(header))]) from error
    return frame, roles


def _ragged(path: Path, separator: str, width: int) -> list[str]:
    """Rows whose number of fields is not the header's."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        odd = [i for i, fields in enumerate(csv.reader(file, delimiter=separator), 1) if len(fields) > width]
    hint = "; a decimal comma (0,93) splits a field in two: write 0.93" if separator == "," else ""
    return [f"{row_list(odd)} more than the header's {width} fields{hint}" if odd else "not a table with one header"]


def from_table(frame: pd.DataFrame, roles: Roles) -> Draft:
    find_wide_arms(frame, roles)
    remarks = roles.remarks
    needed = ["image_id", "label"] + ([] if roles.wide else ["arm", "score"])
    if absent := [c for c in needed if c not in roles.column]:
        have = ", ".join(map(repr, (c for c in frame.columns if c != "__row")))
        rule = (
            "a long table needs image_id, label, arm, score; a wide one image_id, label and a column of scores per arm"
        )
        raise ScoresError([f"no column {c!r} (columns are {have}); {rule}" for c in absent])
    draft = Draft(pd.DataFrame(), remarks=remarks)
    base = base_columns(frame, roles, draft)
    if roles.wide:
        draft.table = _melted(frame, base, roles, draft)
    else:
        base["arm"] = as_text(frame[roles.column["arm"]])
        base["score"], faults = numbers(frame[roles.column["score"]], "score", base["row"].to_numpy())
        draft.faults += faults
        draft.table = base
    _boxes(frame, roles, draft)
    return draft


def base_columns(frame: pd.DataFrame, roles: Roles, draft: Draft) -> pd.DataFrame:
    """Columns that every kind of table shares."""
    column, rows = roles.column, frame["__row"].to_numpy()
    base = pd.DataFrame({"row": rows, "image_id": as_text(frame[column["image_id"]])})
    base["label"], faults, remarks = read_labels(frame[column["label"]], rows)
    draft.faults += faults
    draft.remarks += remarks
    if "cohort" in column:
        base["cohort"], faults, remarks = read_cohorts(frame[column["cohort"]], rows)
        draft.faults += faults
        draft.remarks += remarks
    else:
        base["cohort"] = "external"
        draft.remarks.append(
            "no cohort column: every film is taken as external (locked thresholds need validation films)"
        )
    base["patient_id"] = _patients(frame, base, column, draft)
    for name, default in (("fraction", 1.0), ("seed", 0)):
        base[name] = _cell_number(frame, column.get(name), name, default, rows, draft)
    if "logit" in column:
        base["logit"], faults = numbers(frame[column["logit"]], "logit", rows)
        draft.faults += [f for f in faults if "missing" not in f]
    return base


def as_text(column: pd.Series) -> pd.Series:
    """Identifiers as text: 7.0 (a gap made the column float) is 7."""
    if pd.api.types.is_float_dtype(column):
        whole = column.dropna() % 1 == 0
        column = column.astype("Int64") if whole.all() else column
    return column.astype("string").fillna("").str.strip().astype("str")


def _patients(frame: pd.DataFrame, base: pd.DataFrame, column: dict[str, str], draft: Draft) -> pd.Series:
    if "patient_id" not in column:
        draft.remarks.append("no patient_id column: every film is taken as a patient of its own")
        return base["image_id"]
    patients = as_text(frame[column["patient_id"]])
    if lacking := int((patients == "").sum()):
        draft.remarks.append(f"{lacking:,} rows without patient_id: each such film is taken as a patient of its own")
    return patients.where(patients != "", base["image_id"])


def _cell_number(frame: pd.DataFrame, column: str | None, name: str, default: float, rows: np.ndarray,
                 draft: Draft) -> np.ndarray | float:  # fmt: skip
    if column is None:
        return default
    values = pd.to_numeric(frame[column], errors="coerce").to_numpy(float)
    if name == "seed" and (np.isnan(values) | (values % 1 != 0)).any():
        codes, names = pd.factorize(frame[column].astype(str))
        draft.remarks.append(f"column {column!r} plays the part of seeds: " + ", ".join(
            f"{n} = {i}" for i, n in enumerate(names[:12])) + (" ..." if len(names) > 12 else ""))  # fmt: skip
        return codes
    bad = np.isnan(values) if name == "seed" else ~((values > 0) & (values <= 1))
    if bad.any():
        draft.faults.append(f"{name}: {row_list(rows[bad])} not {'a whole number' if name == 'seed' else 'in (0, 1]'}")
    return values.astype(np.int64) if name == "seed" else values


def _melted(frame: pd.DataFrame, base: pd.DataFrame, roles: Roles, draft: Draft) -> pd.DataFrame:
    parts = []
    for column, (arm, seed) in roles.arms.items():
        score, faults = numbers(frame[column], f"column {column!r}", base["row"].to_numpy())
        draft.faults += faults
        seeds = {"seed": seed} if "seed" not in roles.column else {}
        parts.append(base.drop(columns="logit", errors="ignore").assign(arm=arm, score=score, **seeds))
    return pd.concat(parts, ignore_index=True)


# --- boxes in tables --------------------------------------------------------------------------------------------------


def _boxes(frame: pd.DataFrame, roles: Roles, draft: Draft) -> None:
    """Boxes as one row each (then a film's score is its highest), or as a list in a column `boxes`."""
    if all(c in roles.column for c in CORNERS) and not roles.wide:
        corners = {c: pd.to_numeric(frame[roles.column[c]], errors="coerce").to_numpy(float) for c in CORNERS}
        rows = draft.table.assign(**corners)
        boxed = rows[list(CORNERS)].notna().all(axis=1)
        draft.detections = rows.loc[boxed, DETECTION_COLUMNS].reset_index(drop=True)
        key = ["image_id", "arm", "fraction", "seed"]
        best = draft.table.sort_values("score", ascending=False, kind="stable").drop_duplicates(key).sort_index()
        if len(best) < len(draft.table):
            draft.remarks.append("one row a box: the score of a film is the highest of its boxes")
        draft.table = best.reset_index(drop=True)
    elif "boxes" in roles.column and not roles.wide:
        lists = _lists(frame[roles.column["boxes"]], 5, "boxes", draft)
        draft.detections = _unrolled(draft.table[["image_id", "arm", "fraction", "seed"]], lists, [*CORNERS, "score"])
    if "lesions" in roles.column:
        lists = _lists(frame[roles.column["lesions"]], 4, "lesions", draft)
        once = ~as_text(frame[roles.column["image_id"]]).duplicated().to_numpy()
        films = pd.DataFrame({"image_id": as_text(frame[roles.column["image_id"]])[once]})
        draft.lesions = _unrolled(films, [x for x, keep in zip(lists, once, strict=True) if keep], list(CORNERS))


def _lists(column: pd.Series, width: int, name: str, draft: Draft) -> list[np.ndarray]:
    """A column of JSON lists of boxes."""
    made, bad = [], []
    for at, cell in enumerate(column):
        try:
            content = (
                json.loads(cell) if isinstance(cell, str) and cell.strip() else ([] if isinstance(cell, str) else cell)
            )
            made.append(np.asarray(content, float).reshape(-1, width))
        except (TypeError, ValueError):
            made.append(np.empty((0, width)))
            bad.append(at + 2)
    if bad:
        draft.faults.append(f"{name}: {row_list(bad)} not a list of boxes with {width} numbers each")
    return made


def _unrolled(keys: pd.DataFrame, lists: list[np.ndarray], columns: list[str]) -> pd.DataFrame:
    counts = [len(x) for x in lists]
    values = np.concatenate(lists) if lists else np.empty((0, len(columns)))
    repeated = keys.loc[keys.index.repeat(counts)].reset_index(drop=True)
    return pd.concat([repeated, pd.DataFrame(values, columns=columns)], axis=1)
