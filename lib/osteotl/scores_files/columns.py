"""Which column of a stranger's table is what, and its cells as values: guesses are said, never made in silence."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from difflib import get_close_matches

import numpy as np
import pandas as pd

from osteotl.files import plural
from osteotl.scores_files.tables import listed, row_list

# what each column may be called elsewhere; the first that a table has is taken
NAMES: dict[str, tuple[str, ...]] = {
    "image_id": ("image_id", "image", "film", "film_id", "image_name", "filename", "file_name", "file", "img", "case",
                 "case_id", "study_id", "id", "path"),
    "label": ("label", "y", "truth", "y_true", "target", "malignant", "reference_standard", "ground_truth", "gt",
              "diagnosis", "status", "class"),
    "arm": ("arm", "model", "detector", "algorithm", "method", "modality", "condition"),
    "score": ("score", "probability", "prob", "confidence", "conf", "rating", "prediction", "pred", "y_score", "risk"),
    "patient_id": ("patient_id", "patient", "patientid", "subject_id", "subject"),
    "reader": ("reader", "rater", "radiologist", "observer"),
    "seed": ("seed", "run", "replicate"),
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
    "age": ("age", "age_years", "patient_age"),
    "sex": ("sex", "gender"),
    "site": ("site", "hospital", "center", "centre", "institution"),
    "view": ("view", "projection"),
    "subtype": ("subtype", "entity", "histology"),
}  # fmt: skip
CORNERS = ("x_min", "y_min", "x_max", "y_max")
FACTS = ("age", "sex", "site", "view", "subtype")
LABELS = {
    "1": 1, "1.0": 1, "true": 1, "malignant": 1, "positive": 1, "pos": 1, "yes": 1, "tumor": 1, "tumour": 1,
    "0": 0, "0.0": 0, "false": 0, "normal": 0, "negative": 0, "neg": 0, "no": 0, "benign": 0, "healthy": 0,
}  # fmt: skip
COHORTS = {
    "validation": "validation", "valid": "validation", "val": "validation", "tuning": "validation",
    "external": "external", "test": "external", "testing": "external", "external testing": "external",
}  # fmt: skip
LARGEST = 1e9
"""A score or a corner beyond is a slip, and squares of it are no longer numbers."""
MOST_SEED = 2**31 - 1

_PREFIX = re.compile(r"^(score|prob|probability|pred|rating)[_ .]+", re.IGNORECASE)
_SEED = re.compile(r"^(?P<arm>.+?)[_. -]?seed[_. -]?(?P<seed>\d{1,10})$", re.IGNORECASE)
_NOT_SCORES = re.compile(r"year|index|weight|spacing_mm|mean_grey|sd_grey|unnamed:_\d+")
_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_COMMA = r"[+-]?\d*,\d+(?:[eE][+-]?\d+)?"
_THOUSANDS = r"[+-]?[1-9]\d{0,2},\d{3}"
_NOT_FINITE = ("inf", "+inf", "-inf", "infinity", "-infinity")
_EMPTY = ("", "na", "n/a", "#n/a", "nan", "null", "none")


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


def find_roles(cells: pd.DataFrame, labels_only: bool = False) -> Roles:
    """Give each known role at most one column; exact names first, then the other names in the order of `NAMES`.

    Parameters
    ----------
    cells : DataFrame of str
    labels_only : bool
        Whether the table names films and labels without scores: no columns of arms are looked for.
    """
    left = {plain_name(c): c for c in reversed(list(cells.columns))}
    roles = Roles({})
    for role in NAMES:
        if role in left:
            roles.column[role] = left.pop(role)
    for role, names in NAMES.items():
        known = [name for name in names if name in left]
        if role not in roles.column and known:
            roles.column[role] = left.pop(known[0])
            roles.remarks.append(f"column {roles.column[role]!r} is taken as {role}")
    if not labels_only:
        _find_wide_arms(cells, roles)
        if "arm" not in roles.column and "reader" in roles.column and not roles.wide:
            roles.column["arm"] = roles.column.pop("reader")
            roles.remarks.append(
                f"column {roles.column['arm']!r} is taken as arm: readers are compared with each other"
            )
    used = {*roles.column.values(), *roles.arms}
    if ignored := [c for c in cells.columns if c not in used]:
        roles.remarks.append(f"columns left out: {listed(ignored)}")
    return roles


def _find_wide_arms(cells: pd.DataFrame, roles: Roles) -> None:
    """Columns of a wide table that hold scores: those named score_..., else every other column of numbers."""
    if "arm" in roles.column and "score" in roles.column:
        return
    left = [c for c in cells.columns if c not in roles.column.values()]
    named = [c for c in left if _PREFIX.match(str(c))]
    numeric = [c for c in left if not _NOT_SCORES.fullmatch(plain_name(c)) and _mostly_numbers(cells[c])]
    chosen = named or numeric
    if len(chosen) < 2 and "score" in roles.column:
        return
    if "score" in roles.column:
        roles.remarks.append(f"column {roles.column.pop('score')!r} is left out: other columns hold one arm each")
    for column in chosen:
        roles.arms[column] = arm_and_seed(_PREFIX.sub("", str(column)))
    if chosen:
        arms = list(dict.fromkeys(arm for arm, _ in roles.arms.values()))
        roles.remarks.append(f"wide table: columns {listed(chosen)} are taken as the scores of arms {listed(arms)}")


def arm_and_seed(name: str) -> tuple[str, int]:
    """ "TL_seed2" -> ("TL", 2); without a seed it is 0."""
    found = _SEED.match(name)
    return (found["arm"], int(found["seed"])) if found and int(found["seed"]) <= MOST_SEED else (name, 0)


def nearest_name(role: str, columns: list[str]) -> str:
    """A hint where a header is close to a name of the role: '; did you mean ...', or nothing."""
    plain = {plain_name(column): column for column in columns}
    for name in NAMES[role]:
        if close := get_close_matches(name, plain, 1, 0.8):
            return f"; is {plain[close[0]]!r} meant? Call it {role}"
    return ""


def _mostly_numbers(column: pd.Series) -> bool:
    """At least half of the values are numbers, percent signs and decimal commas counted as meant ones."""
    pattern = f"(?:{_NUMBER}|{_COMMA})%?"
    return bool(column.str.fullmatch(pattern).mean() >= 0.5) if len(column) else False


# --- cells as values --------------------------------------------------------------------------------------------------


def numbers(
    column: pd.Series, name: str, rows: np.ndarray, missing: str | None = None
) -> tuple[np.ndarray, list[str], list[str]]:
    """A column of text as floats.

    Parameters
    ----------
    column : Series of str
    name : str
        How messages call it.
    rows : array of int
        Row of each cell in the file.
    missing : str, optional
        What to say of empty cells; None: they are allowed.

    Returns
    -------
    values : float array
        NaN where there is no number.
    faults, remarks : list of str
        Every fault with its rows and the cell as it stands in the file.
    """
    plain = column.str.fullmatch(_NUMBER).to_numpy(bool)
    comma = column.str.fullmatch(_COMMA).to_numpy(bool)
    remarks, thousands = [], np.zeros(len(column), bool)
    text = column
    if comma.any() and not (plain & column.str.contains(".", regex=False).to_numpy(bool)).any():
        if column[comma].str.fullmatch(_THOUSANDS).all():
            thousands = comma
        else:
            text, plain = column.str.replace(",", ".", regex=False), plain | comma
            remarks.append(f"{name}: decimal commas are read as points ({column[comma].iloc[0]!r})")
            comma = np.zeros(len(column), bool)
    values = np.full(len(column), np.nan)
    values[plain] = list(map(float, text[plain].tolist()))
    lower = column.str.lower()
    empty = lower.isin(_EMPTY).to_numpy(bool)
    percent = column.str.endswith("%").to_numpy(bool)
    infinite = lower.isin(_NOT_FINITE).to_numpy(bool) | np.isinf(values)
    known = plain | empty | comma | percent | infinite
    kinds = {
        f"missing ({missing})": empty if missing else np.zeros(len(column), bool),
        "with a percent sign (write 0.93, not 93%)": percent,
        "with a decimal comma (write 0.93, not 0,93)": comma & ~thousands,
        "with a comma that may part thousands or decimals (write 1234 or 1.234)": thousands,
        "text, not a number": ~known,
        "not finite": infinite,
        f"beyond {LARGEST:g}, which no score or size is": np.isfinite(values) & (np.abs(values) > LARGEST),
    }
    return values, _fault_lines(name, rows, kinds, column), remarks


def read_labels(column: pd.Series, rows: np.ndarray) -> tuple[np.ndarray, list[str], list[str]]:
    """Labels as 0, 1 (-1: not readable), faults and remarks."""
    text = column.str.lower()
    values = text.map(LABELS).fillna(-1).to_numpy(np.int64)
    words = sorted(set(text[values >= 0].unique()) - {"0", "1", "0.0", "1.0"})
    remarks = [f"label {word!r} is read as {LABELS[word]}" for word in words]
    kinds = {
        "empty (1 malignant, 0 not)": (text == "").to_numpy(bool),
        "neither 1 (malignant) nor 0 (not)": (values < 0) & (text != "").to_numpy(bool),
    }
    return values, _fault_lines("label", rows, kinds, column), remarks


def read_cohorts(column: pd.Series, rows: np.ndarray) -> tuple[pd.Series, list[str], list[str]]:
    """Cohorts as validation or external, faults and remarks."""
    text = column.str.lower()
    known = sorted(set(text.unique()) & set(COHORTS) - {*COHORTS.values()})
    remarks = [f"cohort {word!r} is read as {COHORTS[word]}" for word in known]
    kinds = {
        "empty (validation or external)": (text == "").to_numpy(bool),
        "neither validation nor external (no training films here; rename the column if it names something else)": (
            ~text.isin([*COHORTS, ""])
        ).to_numpy(bool),
    }
    return text.map(COHORTS).fillna("").astype(str), _fault_lines("cohort", rows, kinds, column), remarks


def read_runs(
    column: pd.Series, name: str, rows: np.ndarray
) -> tuple[np.ndarray, dict[int, str], list[str], list[str]]:
    """Runs as whole numbers, the names of those that have one in the file, faults and remarks.

    Whole numbers stay what they are; where some are none (names of readers), all are counted in the order of the file.

    Parameters
    ----------
    column : Series of str
    name : str
        How messages call it.
    rows : array of int
        Row of each cell in the file.
    """
    values, faults, _ = numbers(column, name, rows, "name the run of every row")
    whole = column.str.fullmatch(r"\d{1,10}(?:\.0*)?").to_numpy(bool) & (values <= MOST_SEED)
    empty = column.str.lower().isin(_EMPTY).to_numpy(bool)
    text = np.isnan(values) & ~empty
    if text.any() and not empty.any():
        codes, names = pd.factorize(column)
        named = {int(code): str(run) for code, run in enumerate(names)}
        shown = ", ".join(f"{run!r} = {code}" for code, run in list(named.items())[:12])
        more = " ..." if len(named) > 12 else ""
        return (
            codes.astype(np.int64),
            named,
            [],
            [f"{name}: {plural(len(named), 'run')}, counted in this order: {shown}{more}"],
        )
    odd = ~whole & ~empty & ~text
    kinds = {f"not a whole number from 0 to {MOST_SEED}": odd}
    faults = [fault for fault in faults if " missing " in fault] + _fault_lines(name, rows, kinds, column)
    return np.where(whole, values, 0).astype(np.int64), {}, faults, []


def _fault_lines(name: str, rows: np.ndarray, kinds: dict[str, np.ndarray], column: pd.Series) -> list[str]:
    lines = []
    for kind, where in kinds.items():
        if where.any():
            first = str(column.iloc[int(where.argmax())])
            shown = f", e.g. {first[:60]!r}" if first else ""
            lines.append(f"{name}: {row_list(rows[where])} {kind}{shown}")
    return lines
