"""Tables of films as 04_statistics wrote them."""

from __future__ import annotations

from typing import Any

import pandas as pd
from markupsafe import Markup

from osteotl.reporting.html import paragraph, table
from osteotl.reporting.results import Results

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
    """A CSV table as it stands, numbers rounded for reading; identifiers are the hashes."""
    numeric = {c: pd.api.types.is_numeric_dtype(frame[c]) for c in frame.columns}
    heads = [
        ("#" if numeric[c] and i else "") + HEADINGS.get(c, c.replace("_", " ")) for i, c in enumerate(frame.columns)
    ]
    rows = [[written(value) for value in row] for row in frame.head(limit).itertuples(index=False)]
    note = (
        paragraph(f"The first {limit} of {len(frame):,} rows; all of them: {source}.", class_="fine")
        if len(frame) > limit
        else None
    )
    return Markup("").join(part for part in (table(caption, heads, rows, source=source), note) if part)


def written(value: Any) -> str:
    if value is None or value != value:
        return ""
    return (
        f"{value:.3g}"
        if isinstance(value, float) and value != int(value)
        else (f"{value:g}" if isinstance(value, float) else str(value))
    )


def seed_rows(results: Results, frame: pd.DataFrame, seed: str) -> pd.DataFrame:
    """The rows of one seed at the main operating point, as far as the table tells seeds and points apart."""
    if "seed" in frame:
        frame = frame[frame["seed"].astype(str).eq(seed)]
    if "point" in frame and results.main_point in set(frame["point"]):
        frame = frame[frame["point"].eq(results.main_point)]
    return frame
