"""What tables call their columns, and what the cells mean."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

import pandas as pd

from osteotl.cohorts.readers.draft import Draft

#: canonical column: the names it goes by in the layouts seen, best first (compared without case, spaces and hyphens)
ALIASES: dict[str, tuple[str, ...]] = {
    "path": ("path", "image_path", "image_file", "file_name", "filename", "file", "film", "image", "img"),
    "image_id": ("image_id", "imageid", "image_index", "filestem", "sop_instance_uid"),
    "patient_id": ("patient_id", "patientid", "patient", "subject_id", "subject", "case", "case_id"),
    "site": ("site", "center", "centre", "hospital", "institution"),
    "label": ("label", "malignant", "target", "class"),
    "view": ("view", "view_position", "projection"),
    "age": ("age", "patient_age"),
    "sex": ("sex", "gender", "patient_gender", "patient_sex"),
    "subtype": ("subtype", "diagnosis", "finding", "histology"),
    "x_min": ("x_min", "xmin", "x1"),
    "y_min": ("y_min", "ymin", "y1"),
    "x_max": ("x_max", "xmax", "x2"),
    "y_max": ("y_max", "ymax", "y2"),
}
LABEL_WORDS = {
    "1": 1,
    "1.0": 1,
    "true": 1,
    "yes": 1,
    "malignant": 1,
    "positive": 1,
    "0": 0,
    "0.0": 0,
    "false": 0,
    "no": 0,
    "normal": 0,
    "negative": 0,
    "benign": 0,
    "not malignant": 0,
}
MISSING = {"", "na", "n/a", "nan", "none", "null", "unknown", "?", "<na>"}
SEXES = {"m": "M", "male": "M", "man": "M", "f": "F", "female": "F", "woman": "F"}


def plain_name(name: str) -> str:
    """A column's name as a query can use it: lower case, words joined by underscores."""
    return re.sub(r"\W+", "_", name.strip().lower()).strip("_")


def canonical(table: pd.DataFrame, wanted: tuple[str, ...]) -> pd.DataFrame:
    """Add the wanted canonical columns under whichever name the table has them; the table's own columns stay."""
    plain = {plain_name(str(name)): name for name in table.columns}
    found: dict[str, pd.Series] = {}
    for column in wanted:
        if column in table:
            continue
        alias = next((plain[a] for a in ALIASES[column] if a in plain), None)
        if alias is not None:
            found[column] = table[alias]
    return table.assign(**found)


def queryable(table: pd.DataFrame) -> pd.DataFrame:
    """Text columns of numbers as numbers, so that `center == 1` means what it says."""
    changed: dict[str, pd.Series] = {}
    for name in table.columns:
        values = table[name]
        if values.dtype != object and not pd.api.types.is_string_dtype(values):
            continue
        filled = values.where(values.notna() & (values.astype(str) != ""), None)
        as_numbers = pd.to_numeric(filled, errors="coerce")
        if filled.notna().any() and as_numbers.notna().sum() == filled.notna().sum():
            changed[name] = as_numbers
    return table.assign(**changed)


def label_of(draft: Draft, value: Any, source: Any, row: str) -> int | None:
    """1, 0, or None where the status is not annotated; an unknown word is a fault."""
    word = str(value).strip()
    mapped = draft.spec.classes.get(word, word)
    word = "" if mapped is None else mapped.lower()
    if word in MISSING:
        return None
    if word in LABEL_WORDS:
        return LABEL_WORDS[word]
    draft.fault(
        "label_unknown",
        source,
        f"{row}: label {value!r} is neither 0 nor 1",
        "write 1 (malignant) or 0, leave it empty where it is not known, or map it: classes: {word: '1'}",
    )
    return None


def age_years(value: Any) -> float:
    """An age in years: 58, '58', '058Y', '010M', '3W'; not-a-number where it is none or outside 0-120."""
    match = re.fullmatch(r"\s*(\d{1,3}(?:\.\d*)?)\s*([yYmMwWdD]?)\s*", str(value))
    if not match:
        return math.nan
    years = float(match[1]) / {"": 1, "y": 1, "m": 12, "w": 52.1775, "d": 365.25}[match[2].lower()]
    return years if 0 <= years <= 120 else math.nan


def sex_word(value: Any) -> str | None:
    """F, M or missing."""
    return SEXES.get(str(value).strip().lower())


def known(values: pd.Series) -> pd.Series:
    """A column without the words that say 'not known': 'NA' is no patient and no site."""
    text = values.astype(str).str.strip().str.lower()
    return values.astype(object).where(values.notna() & ~text.isin(MISSING), None)


def words(values: pd.Series, convert: Callable[[Any], Any]) -> pd.Series:
    """Convert a column cell by cell, each distinct cell once."""
    distinct = {value: convert(value) for value in values.dropna().unique()}
    return values.map(lambda value: distinct.get(value) if isinstance(value, str) or not pd.isna(value) else None)


def ages(draft: Draft, values: pd.Series) -> pd.Series:
    """A column of ages; implausible ones are missing, and listed once with their number."""
    years = words(values, age_years).astype(float)
    _strange(draft, values, years, "ages are not within 0-120 years")
    return years


def sexes(draft: Draft, values: pd.Series) -> pd.Series:
    """A column of sexes, F or M; other words are missing, and listed once with their number."""
    read = words(values, sex_word)
    _strange(draft, values, read, "entries of sex are neither F nor M")
    return read


def _strange(draft: Draft, values: pd.Series, read: pd.Series, what: str) -> None:
    strange = known(values)[read.isna()].dropna().astype(str)
    if len(strange):
        examples = ", ".join(sorted(map(repr, set(strange)))[:3])
        draft.fault(
            "value_implausible",
            "",
            f"{len(strange)} {what} (such as {examples})",
            "correct them, or leave them: they count as missing",
        )
