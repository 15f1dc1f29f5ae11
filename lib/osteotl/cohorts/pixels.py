"""What the pixels of many films tell, as one table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from osteotl.cohorts.film import FilmError
from osteotl.cohorts.preparation import Prepared, prepare_films, prepared_path

COLUMNS = (
    "film",
    "width",
    "height",
    "spacing_mm",
    "mean_grey",
    "sd_grey",
    "extremes",
    "file_hash",
    "pixel_hash",
    "perceptual_hash",
)


def facts(paths: Sequence[str], cache: Path, longest_side: int) -> pd.DataFrame:
    """Prepare films and tabulate what was learnt, in the order of `paths`.

    Returns
    -------
    DataFrame
        `COLUMNS`; view, age, sex as DICOM states them; error and remedy where a film cannot be decoded.
    """
    return pd.DataFrame(
        [_row(result) for result in prepare_films(paths, cache, longest_side)],
        columns=[*COLUMNS, "view", "age", "sex", "error", "remedy"],
    )


def _row(result: Prepared | FilmError) -> dict[str, object]:
    if isinstance(result, FilmError):
        return {"error": result.what, "remedy": result.remedy}
    stated = {name: result.attributes.get(name) for name in ("view", "age", "sex")}
    return {**{name: getattr(result, name) for name in COLUMNS}, **stated}


def thumbnails(keys: Iterable[str], cache: Path, side: int = 64) -> dict[str, np.ndarray]:
    """Prepared films at `side` x `side`, centred and of unit length: the product of two is their correlation."""
    found = {}
    for key in keys:
        with Image.open(prepared_path(cache, key)) as film:
            small = np.asarray(film.convert("L").resize((side, side), Image.Resampling.BOX), dtype=float).ravel()
        small -= small.mean()
        found[key] = small / max(float(np.linalg.norm(small)), 1e-9)
    return found
