"""Which column of a stranger's table is what: exact names are taken, guesses are said, never assumed in silence."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

# what each column may be called elsewhere; the first that a table has is taken
NAMES: dict[str, tuple[str, ...]] = {
    "image_id": ("image_id", "image", "film", "film_id", "image_name", "filename", "file_name", "file", "img", "case",
                 "case_id", "study_id", "id", "path"),
    "label": ("label", "y", "truth", "y_true", "target", "malignant", "reference_standard", "ground_truth", "gt",
              "diagnosis", "status", "class"),
    "arm": ("arm", "model", "detector", "algorithm", "method", "modality", "reader", "rater"),
    "score": ("score", "probability", "prob", "confidence", "conf", "rating", "prediction", "pred", "y_score", "risk"),
    "patient_id": ("patient_id", "patient", "patientid", "subject_id", "subject"),
    "seed": ("seed", "run", "replicate", "reader", "rater"),
    "cohort": ("cohort", "partition", "split", "set", "subset", "dataset"),
    "fraction": ("fraction",),
    "logit": ("logit",),
    "boxes": ("boxes",),
    "lesions": ("lesions", "lesion_boxes"),
    "x_min": ("x_min", "xmin", "x1"),
    "y_min": ("y_min", "ymin", "y1"),
    "x_max": ("x_max", "xmax", "x2"),
    "y_max": ("y_max", "ymax", "y2"),
    "width": ("width", "image_width"),
    "height": ("height", "image_height"),
}  # fmt: skip
CORNERS = ("x_min", "y_min", "x_max", "y_max")
TEXT_ROLES = ("image_id", "arm", "patient_id", "cohort", "boxes", "lesions")
PREFIX = re.compile(r"^(score|prob|probability|pred|rating)[_ .]+", re.IGNORECASE)
SEED = re.compile(r"^(?P<arm>.+?)[_. -]?seed[_. -]?(?P<seed>\d+)$", re.IGNORECASE)
NOT_SCORES = {
    "age",
    "sex",
    "view",
    "site",
    "year",
    "index",
    "weight",
    "spacing_mm",
    "mean_grey",
    "sd_grey",
    "unnamed:_0",
}


@dataclass
class Roles:
    """Column of each role, and what had to be guessed or left out."""

    column: dict[str, str]
    arms: dict[str, tuple[str, int]] = field(default_factory=dict)  # wide tables: column -> (arm, seed)
    remarks: list[str] = field(default_factory=list)

    @property
    def wide(self) -> bool:
        return bool(self.arms)


def plain_name(column: object) -> str:
    """Lower case, with underscores."""
    return re.sub(r"[\s\-]+", "_", str(column).strip().lower())


def guess_roles(columns: list[str]) -> Roles:
    """Give each known role at most one column; exact names first, then the other names in the order of `NAMES`."""
    left = {plain_name(c): c for c in reversed(columns)}
    roles = Roles({})
    for role in NAMES:
        if role in left:
            roles.column[role] = left.pop(role)
    for role, names in NAMES.items():
        known = [name for name in names if name in left]
        if role in roles.column or not known or (role == "seed" and "arm" not in roles.column):
            continue
        roles.column[role] = left.pop(known[0])
        roles.remarks.append(f"column {roles.column[role]!r} is taken as {role}")
    return roles


def find_wide_arms(frame: pd.DataFrame, roles: Roles) -> None:
    """Columns of a wide table that hold scores: those named score_..., else every other column of numbers."""
    if "arm" in roles.column and "score" in roles.column:
        return
    left = [c for c in frame.columns if c not in roles.column.values() and c != "__row"]
    named = [c for c in left if PREFIX.match(str(c))]
    numeric = [c for c in left if plain_name(c) not in NOT_SCORES and mostly_numbers(frame[c])]
    chosen = named or numeric
    if len(chosen) < 2 and "score" in roles.column:
        return
    if "score" in roles.column:
        roles.remarks.append(f"column {roles.column.pop('score')!r} is left out: other columns hold one arm each")
    for column in chosen:
        roles.arms[column] = arm_and_seed(PREFIX.sub("", str(column)))
    if chosen:
        arms = list(dict.fromkeys(arm for arm, _ in roles.arms.values()))
        roles.remarks.append(f"wide table: columns {_listed(chosen)} are taken as the scores of arms {_listed(arms)}")
    if ignored := [c for c in left if c not in chosen]:
        roles.remarks.append(f"columns left out: {_listed(ignored)}")


def arm_and_seed(name: str) -> tuple[str, int]:
    """ "TL_seed2" -> ("TL", 2); without a seed it is 0."""
    found = SEED.match(name)
    return (found["arm"], int(found["seed"])) if found else (name, 0)


def mostly_numbers(column: pd.Series) -> bool:
    """At least half of the values are numbers, percent signs and decimal commas counted as meant ones."""
    if pd.api.types.is_bool_dtype(column):
        return False
    if pd.api.types.is_numeric_dtype(column):
        return True
    text = column.astype(str).str.strip().str.rstrip("%").str.replace(",", ".", regex=False)
    return bool(pd.to_numeric(text, errors="coerce").notna().mean() >= 0.5)


def numbers(column: pd.Series, name: str, rows: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """A column as floats, with every fault named: missing, percent sign, decimal comma, text, not finite."""
    if pd.api.types.is_numeric_dtype(column):
        values = column.to_numpy(float, na_value=np.nan)
        return values, _fault_lines(name, rows, {
            "missing (leave no score empty: a film without a box has the detector's lowest score)": np.isnan(values),
            "not finite": np.isinf(values),
        }, column)  # fmt: skip
    text = column.astype(str).str.strip()
    values = pd.to_numeric(text, errors="coerce").to_numpy(float)
    empty = (column.isna() | text.str.lower().isin(["", "na", "nan", "null", "none"])).to_numpy()
    bad = np.isnan(values) & ~empty
    percent = bad & text.str.endswith("%").to_numpy()
    comma = bad & text.str.fullmatch(r"[+-]?\d*,\d+(e[+-]?\d+)?", case=False).to_numpy()
    return values, _fault_lines(name, rows, {
        "missing (leave no score empty: a film without a box has the detector's lowest score)": empty,
        "with a percent sign (write 0.93, not 93%)": percent,
        "with a decimal comma (write 0.93, not 0,93)": comma,
        "text, not a number": bad & ~percent & ~comma,
        "not finite": np.isinf(values),
    }, column)  # fmt: skip


def _fault_lines(name: str, rows: np.ndarray, kinds: dict[str, np.ndarray], column: pd.Series) -> list[str]:
    lines = []
    for kind, where in kinds.items():
        if where.any():
            first = column.iloc[int(where.argmax())]
            shown = f", e.g. {str(first)!r}" if str(first).strip() and not pd.isna(first) else ""
            lines.append(f"{name}: {row_list(rows[where])} {kind}{shown}")
    return lines


def row_list(rows: np.ndarray | list[int], most: int = 10) -> str:
    """ "row 4", "rows 4, 9", "rows 4, 9, ... (120 in all)"; the header is row 1."""
    listed = [str(r) for r in list(rows)[:most]]
    if len(rows) == 1:
        return f"row {listed[0]}"
    return f"rows {', '.join(listed)}" + (f", ... ({len(rows):,} in all)" if len(rows) > most else "")


def _listed(names: list[str]) -> str:
    return ", ".join(repr(str(n)) for n in names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")
