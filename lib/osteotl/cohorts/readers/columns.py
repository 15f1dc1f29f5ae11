"""What tables call their columns, and what the cells mean."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import pandas as pd

from osteotl.cohorts.faults import plural
from osteotl.cohorts.readers.builder import NO_LESION, CohortBuilder, folded, visible
from osteotl.files import header_place

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
    "split": ("split", "subset", "dataset_split"),
}
#: names of the column that says what a box shows, best first
BOX_CLASS = (
    "finding", "class_name", "category_name", "category", "class", "label", "lesion_type", "lesion", "tumour_type",
    "tumor_type", "type", "subtype", "diagnosis", "histology", "entity", "name", "class_id", "category_id",
)  # fmt: skip
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
MISSING = {"", "na", "n/a", "#n/a", "nan", "none", "null", "unknown", "?", "<na>"}
MOST_CLASSES = 8  # of boxes that a remedy names
SIZES = {"width", "height", "w", "h", "bbox_width", "bbox_height", "box_width", "box_height"}
SEXES = {"m": "M", "male": "M", "man": "M", "f": "F", "female": "F", "woman": "F"}


def plain_name(name: str) -> str:
    """A column's name as a query can use it: lower case, words joined by underscores."""
    return re.sub(r"\W+", "_", name.strip().lower()).strip("_")


def columns_of(table: pd.DataFrame, wanted: tuple[str, ...]) -> dict[str, str]:
    """Canonical column: the table's own name for it, of those that it has."""
    plain = {plain_name(str(name)): str(name) for name in reversed(table.columns)}
    found = {c: c if c in table else next((plain[a] for a in ALIASES[c] if a in plain), None) for c in wanted}
    return {column: name for column, name in found.items() if name is not None}


def header_of(rows: Sequence[Sequence[Any]], needs: Iterable[str] = ()) -> int | None:
    """Place of the header by the names of `ALIASES`, see `files.header_place`."""
    return header_place(rows, ALIASES, needs)


def canonical(table: pd.DataFrame, wanted: tuple[str, ...]) -> pd.DataFrame:
    """Add the wanted canonical columns under whichever name the table has them; the table's own columns stay."""
    return table.assign(**{column: table[name] for column, name in columns_of(table, wanted).items()})


def column_missing(builder: CohortBuilder, path: Path, table: pd.DataFrame, missing: list[str]) -> None:
    """List columns that a table lacks, with the ones that it has and the one that may be meant."""
    hints = [f"rename {own!r} to {name} ({why})" for name in missing for own, why in _meant(builder, table, name)]
    if "x_max" in missing and (sizes := [str(name) for name in table.columns if plain_name(str(name)) in SIZES]):
        # a size that is renamed to a corner would be read as one
        hints = [f"compute x_max = x_min + width, y_max = y_min + height ({sizes[0]!r} is a size: never rename it)"]
    own = ", ".join(map(str, table.columns))
    text = f"has no column {' and no '.join(missing)} (it has {own})"
    remedy = "; ".join(hints) if hints else f"name them {','.join(missing)}: docs/study.md lists other names"
    builder.fault("column_missing", path, text, remedy)


def _meant(builder: CohortBuilder, table: pd.DataFrame, column: str) -> list[tuple[str, str]]:
    """The column that may be meant by a missing one: by its name, else by what its cells hold."""
    taken = set(columns_of(table, tuple(ALIASES)).values())  # x_max is near to y_max, and is none
    names = {plain_name(str(name)): str(name) for name in table.columns if str(name) not in taken}
    for alias in ALIASES.get(column, (column,)):
        if close := get_close_matches(alias, names, 1, 0.75):
            return [(names[close[0]], "the nearest name")]
    for name in table.columns:
        cells = [str(cell) for cell in table[name] if str(cell).strip()][:200]
        if column == "label" and cells and all(folded(cell) in LABEL_WORDS for cell in cells):
            return [(str(name), f"its cells are {' and '.join(sorted(set(cells))[:3])}")]
        if column in ("path", "image_id") and cells and all(builder.index.find(cell) for cell in cells[:5]):
            return [(str(name), "its cells name films")]
    return []


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


def label_word(builder: CohortBuilder, value: Any) -> str:
    """A label in small letters, by `classes` where these name it; '' where the status is not annotated."""
    word = visible(str(value))
    key = builder.class_of(word)
    if key is not None:
        builder.used_classes.add(key)
    mapped = word if key is None else builder.spec.classes[key] or ""
    return "" if folded(mapped) in MISSING else folded(mapped)


def label_of(builder: CohortBuilder, value: Any, source: str | Path, row: str) -> int | None:
    """1, 0, or None where the status is not annotated; unknown words are gathered for `label_faults`."""
    word = label_word(builder, value)
    if word not in LABEL_WORDS:
        if word:
            builder.unknown_labels.setdefault((source, str(value)), []).append(row)
        return None
    if LABEL_WORDS[word] == 0 and not str(value).replace(".", "").isdigit():
        builder.label_words[str(value)] = builder.label_words.get(str(value), 0) + 1
    return LABEL_WORDS[word]


def label_faults(builder: CohortBuilder) -> None:
    """Words that are no label, one fault a table; and a note of the words that count as not malignant."""
    for source in dict.fromkeys(source for source, _ in builder.unknown_labels):
        words = {word: rows for (at, word), rows in builder.unknown_labels.items() if at == source}
        count = sum(map(len, words.values()))
        told = ", ".join(f"{word!r} ({len(rows):,}, first: {rows[0]})" for word, rows in list(words.items())[:6])
        more = f" and {len(words) - 6} more words" if len(words) > 6 else ""
        text = f"{plural(count, 'label')} neither 0 nor 1, nor mapped: {told}{more}"
        example = ", ".join(f"{json.dumps(word, ensure_ascii=False)}: '?'" for word in list(words)[:6])
        remedy = (
            f"add to the cohort in study.yaml: classes: {{{example}}}, with '1' (malignant), '0' or null (not known) "
            "for each '?'; or write 1, 0 or nothing in the table"
        )
        builder.fault("label_unknown", source, text, remedy)
    if builder.label_words:
        told = ", ".join(f"{word!r} ({count:,})" for word, count in sorted(builder.label_words.items()))
        text = f"counted as not malignant (label 0): {told}"
        builder.fault("label_zero", "", text, _without(builder))


def _without(builder: CohortBuilder) -> str:
    """How to leave films out that a word of the table counts as not malignant, normal ones apart."""
    if builder.spec.reader == "btxrd":
        return 'to leave them out, add to the cohort: where: "benign == 0"'
    words = [word for word in sorted(builder.label_words) if folded(word) not in (*NO_LESION, "no", "false")]
    named = ", ".join(f"{json.dumps(word, ensure_ascii=False)}: null" for word in (words or [*builder.label_words])[:6])
    return f"to leave some out, map their word to null: classes: {{{named}}}"


def classes_drawn(builder: CohortBuilder) -> str:
    """Classes of boxes as `classes` names those that count: "osteosarcoma": lesion, ..."""
    names = sorted(builder.drawn_classes)
    named = [f"{json.dumps(name, ensure_ascii=False)}: lesion" for name in names[:MOST_CLASSES]]
    return ", ".join(named + ["..."] * (len(names) > MOST_CLASSES))


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


def ages(builder: CohortBuilder, values: pd.Series) -> pd.Series:
    """A column of ages; implausible ones are missing, and listed once with their number."""
    years = words(values, age_years).astype(float)
    _strange(builder, values, years, "ages are not within 0-120 years")
    return years


def sexes(builder: CohortBuilder, values: pd.Series) -> pd.Series:
    """A column of sexes, F or M; other words are missing, and listed once with their number."""
    read = words(values, sex_word)
    _strange(builder, values, read, "entries of sex are neither F nor M")
    return read


def _strange(builder: CohortBuilder, values: pd.Series, read: pd.Series, what: str) -> None:
    strange = known(values)[read.isna()].dropna().astype(str)
    if len(strange):
        examples = ", ".join(sorted(map(repr, set(strange)))[:3])
        builder.fault(
            "value_implausible",
            "",
            f"{len(strange)} {what} (such as {examples})",
            "correct them, or leave them: they count as missing",
        )
