"""Tables of films as 04_statistics wrote them."""

from __future__ import annotations

from typing import Any

import pandas as pd
from markupsafe import Markup

from osteotl.reporting.html import paragraph, table
from osteotl.reporting.results import Results
from osteotl.reporting.wording import fixed, known

HEADINGS = {
    "arm": "Arm",
    "seed": "Seed",
    "point": "Point",
    "image_id": "Film",
    "patient_id": "Patient",
    "subtype": "Subtype",
    "site": "Site",
    "view": "View",
    "age": "Age",
    "sex": "Sex",
    "score": "Score",
    "risk": "Risk",
    "size_mm": "Size, mm",
    "size_pixels": "Size, pixels",
    "size_percent": "Size, % of film",
    "kind": "Kind",
    "label": "Class",
    "arm_calls": "Arm calls",
    "reference_calls": "Reference calls",
}


def any_table(caption: str, frame: pd.DataFrame, source: str, limit: int = 600) -> Markup:
    """A CSV table as it stands, numbers rounded for reading, empty columns left out; identifiers are the hashes.

    Parameters
    ----------
    caption : str
        What the table shows.
    frame : DataFrame
        Its rows, one column a fact.
    source : str
        The file below the outputs folder that holds all of them.
    limit : int
        Most rows that are shown; a note tells of the others.
    """
    frame = frame.dropna(axis="columns", how="all") if len(frame) else frame
    numeric = {c: pd.api.types.is_numeric_dtype(frame[c]) for c in frame.columns}
    heads = [
        ("#" if numeric[c] and i else "") + HEADINGS.get(c, c.replace("_", " ").capitalize())
        for i, c in enumerate(frame.columns)
    ]
    columns = [_column(c, frame[c].head(limit)) for c in frame.columns]
    note = (
        paragraph(f"The first {limit} of {len(frame):,} rows; all of them: {source}.", class_="fine")
        if len(frame) > limit
        else None
    )
    shown = table(caption, heads, zip(*columns, strict=True), source=source)
    return Markup("").join(part for part in (shown, note) if part)


def _column(name: str, values: pd.Series) -> list[str]:
    """One column's texts: a score to three digits, other broken numbers to as many decimals all the way down."""
    if name == "score" or not pd.api.types.is_float_dtype(values) or (values.dropna() % 1 == 0).all():
        return [written(value) for value in values]
    return [fixed(value, 3 if name == "risk" else 1) if known(value) else "" for value in values]


def written(value: Any) -> str:
    """A value of a table as text: nothing where it is missing, three significant digits where it is a fraction."""
    if value is None or value != value:
        return ""
    if isinstance(value, float):
        return f"{value:g}" if value == int(value) else f"{value:.3g}"
    return str(value)


def seed_rows(results: Results, frame: pd.DataFrame, seed: str) -> pd.DataFrame:
    """The rows of one seed at the main operating point, as far as the table tells seeds and points apart."""
    if "seed" in frame:
        frame = frame[frame["seed"].astype(str).eq(seed)]
    if "point" in frame and results.main_point in set(frame["point"]):
        frame = frame[frame["point"].eq(results.main_point)]
    return frame
