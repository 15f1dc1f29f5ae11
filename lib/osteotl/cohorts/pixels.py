"""What the pixels of many films tell, as one table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from osteotl.cohorts.faults import Fault, fault, plural, shown
from osteotl.cohorts.film import WARNED, FilmError, kind_of
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
        `COLUMNS`; view, age, sex as DICOM states them; notes, a list of the choices made in reading; error and remedy
        where a film cannot be decoded.
    """
    return pd.DataFrame(
        [_row(result) for result in prepare_films(paths, cache, longest_side)],
        columns=[*COLUMNS, "view", "age", "sex", "notes", "error", "remedy"],
    )


def _row(result: Prepared | FilmError) -> dict[str, object]:
    if isinstance(result, FilmError):
        return {"error": result.what, "remedy": result.remedy}
    stated = {name: result.attributes.get(name) for name in ("view", "age", "sex")}
    return {**{name: getattr(result, name) for name in COLUMNS}, **stated, "notes": list(result.notes)}


# --- what was decided in reading --------------------------------------------------------------------------------------


def note_faults(films: pd.DataFrame) -> list[Fault]:
    """Warnings for films whose reading calls for a look: see `film.WARNED`."""
    found = []
    for path, root, notes in zip(films["path"], films["root"], films["notes"], strict=True):
        for note in notes if isinstance(notes, list) else []:
            if kind_of(note) in WARNED:
                code, remedy = WARNED[kind_of(note)]
                found.append(fault(code, shown(path, root), note, remedy))
    return found


def note_table(films: pd.DataFrame) -> pd.DataFrame:
    """The table film_notes.csv: one row a film and note (image_id, note); films read as they are have none."""
    table = films[["image_id", "notes"]].explode("notes").rename(columns={"notes": "note"})
    return table.dropna(subset="note").reset_index(drop=True)


def note_summary(films: pd.DataFrame) -> list[str]:
    """What was decided in reading, one line a kind with its films, the most frequent first."""
    kinds = Counter(kind for notes in films["notes"] if isinstance(notes, list) for kind in {*map(kind_of, notes)})
    return [f"{kind}: {plural(count, 'film')}" for kind, count in sorted(kinds.items(), key=lambda k: (-k[1], k[0]))]


# --- looks ------------------------------------------------------------------------------------------------------------


def thumbnails(keys: Iterable[str], cache: Path, side: int = 64) -> dict[str, np.ndarray]:
    """Prepared films at `side` x `side`, centred and of unit length: the product of two is their correlation."""
    found = {}
    for key in keys:
        with Image.open(prepared_path(cache, key)) as film:
            small = np.asarray(film.convert("L").resize((side, side), Image.Resampling.BOX), dtype=float).ravel()
        small -= small.mean()
        found[key] = small / max(float(np.linalg.norm(small)), 1e-9)
    return found
