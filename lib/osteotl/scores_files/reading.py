"""Scores made elsewhere: any detector's or reader's table, or a folder of exports -> one checked table of predictions.

The table and, where the file holds them, boxes and lesions come out, with remarks on what was guessed. Every fault is
listed at once with its row; no film is dropped in silence.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from osteotl.files import plural, visible
from osteotl.scores_files.columns import FACTS, LARGEST, MOST_SEED, NAMES
from osteotl.scores_files.exports import read_folder
from osteotl.scores_files.faults import WARNING, find_faults, remarks_on
from osteotl.scores_files.long_table import ScoresBuilder, ScoresError, from_table
from osteotl.scores_files.tables import TableError, listed, read_cells, told

__all__ = ["COLUMNS", "ScoresError", "ScoresFile", "check_predictions", "check_scores", "read_scores"]

COLUMNS = {
    "image_id": "str", "patient_id": "str", "cohort": "str", "label": "int64", "arm": "str", "fraction": "float64",
    "seed": "int64", "score": "float64", "logit": "float64",
}  # fmt: skip
"""Columns of the predictions table, in this order, with their types."""
FACT_COLUMNS = {fact: "float64" if fact == "age" else "str" for fact in FACTS}
"""Columns that may follow: what is known of a film, '' or NaN where it is not."""


@dataclass(frozen=True)
class ScoresFile:
    """Scores made elsewhere, checked.

    Attributes
    ----------
    predictions : DataFrame
        One row per film and run. image_id, patient_id, cohort (validation | external), label (1 malignant, 0 not),
        arm, fraction, seed, score, logit (NaN where the scores of an arm are no probabilities), then age, sex, site,
        view and subtype where the file has them; types as in `COLUMNS` and `FACT_COLUMNS`, values as
        `check_predictions` asks for them.
    detections, lesions : DataFrame or None
        Predicted boxes (image_id, arm, fraction, seed, corners in native pixels, score) and lesions of the reference
        standard (image_id, corners), where the file holds them.
    arms : tuple of str
        In the order of the file.
    reference : str
    remarks : tuple of str
        What was guessed, filled in or is worth knowing; to be shown.
    readers : bool
        Whether the runs (`seed`) are human readers, each of whom read every arm; else they are training runs.
    run_names : dict of int to str
        What the file calls each run, where it names them.
    """

    predictions: pd.DataFrame
    detections: pd.DataFrame | None
    lesions: pd.DataFrame | None
    arms: tuple[str, ...]
    reference: str
    remarks: tuple[str, ...]
    readers: bool = False
    run_names: dict[int, str] = field(default_factory=dict)


def read_scores(path: str | Path, reference: str | None = None, given: Iterable[str] = ()) -> ScoresFile:
    """Read scores from any detector or reader.

    Parameters
    ----------
    path : path
        A table (CSV, Excel workbook or Parquet; see `tables.read_cells`), or a folder of exports.

        - long: image_id, label, arm, score; optional patient_id, seed or reader, fraction, cohort, logit, facts of the
          film (age, sex, site, view, subtype), boxes ([[x_min, y_min, x_max, y_max, score], ...]), lesions, or one row
          a box with x_min ... y_max;
        - wide: image_id, label and one column of scores per arm (score_A, score_B, or any names);
        - folder: see `exports.read_folder`.
    reference : str, optional
        Arm that the others are compared with; default: the first in the file, said in the remarks.
    given : iterable of str
        Arms for which the study gives a threshold: all of the file, or none.

    Returns
    -------
    ScoresFile

    Raises
    ------
    ScoresError
        With every fault of the file, rows counted from 1 (the header).

    Notes
    -----
    Other column names are guessed from a written list, and each guess is a remark. Without a cohort column all films
    are external, without patient_id each film is a patient. A column `reader` beside the arm says that the runs are
    human readers; without an arm the readers themselves are compared. Arms may have unequal numbers of runs.

    Examples
    --------
    >>> scores = read_scores("examples/scores.csv")  # doctest: +SKIP
    >>> scores.arms  # doctest: +SKIP
    ('scratch', 'transfer')
    """
    path = Path(path)
    try:
        builder = read_folder(path) if path.is_dir() else from_table(read_cells(path, NAMES))
        faults = list(builder.faults)
        faults += [] if builder.table.empty else find_faults(builder.table, reference, builder.readers, given)
        if faults or builder.table.empty:
            raise ScoresError(faults or ["holds no scores"])
    except TableError as error:
        raise ScoresError([f"{_shown(path.name)}: {fault}" for fault in error.faults]) from error
    return _finished(builder, reference)


def check_scores(path: str | Path, reference: str | None = None, given: Iterable[str] = ()) -> int:
    """Say what a file of scores holds, or every fault in it; the exit code of `./run_all.sh check`.

    Parameters
    ----------
    path, reference, given
        As for `read_scores`.

    Returns
    -------
    int
        0, or 2 where the file cannot be used.
    """
    try:
        scores = read_scores(path, reference, given)
    except ScoresError as error:
        print(f"{visible(str(path))} cannot be used:", *error.faults, sep="\n  ", file=sys.stderr)
        return 2
    runs = "readers" if scores.readers else "seeds"
    for cohort, rows in scores.predictions.groupby("cohort"):
        films = rows.drop_duplicates("image_id")
        named = ", ".join(_shown(scores.run_names.get(run, str(run))) for run in sorted(set(rows["seed"])))
        size = f"{plural(len(films), 'film')} of {plural(films['patient_id'].nunique(), 'patient')}"
        print(f"{cohort}: {size}, {films['label'].sum():,} malignant; {runs} {named}")
    arms = ", ".join(map(_shown, scores.arms))
    print(f"arms: {arms}; reference: {_shown(scores.reference)}", *scores.remarks, sep="\n")
    warnings = sum(remark.startswith(WARNING) for remark in scores.remarks)
    print("No fault found" + (f"; {plural(warnings, 'warning')} above." if warnings else "."))
    return 0


def check_predictions(predictions: pd.DataFrame) -> pd.DataFrame:
    """The table itself, if it is one of predictions.

    Parameters
    ----------
    predictions : DataFrame
        See `ScoresFile.predictions`.

    Raises
    ------
    ValueError
        A column is missing, foreign or of another type, or a value is outside its range; every fault is named.
    """
    types = COLUMNS | FACT_COLUMNS
    wrong = [f"no column {name!r}" for name in COLUMNS if name not in predictions]
    wrong += [f"unknown column {str(name)!r}" for name in predictions if name not in types]
    wrong += [f"column {name!r} is {predictions[name].dtype}, not {types[name]}" for name in predictions
              if name in types and predictions[name].dtype != types[name]]  # fmt: skip
    if wrong:
        raise ValueError("no table of predictions: " + "; ".join(wrong))
    rules = {
        "label must be 0 or 1": predictions["label"].isin([0, 1]),
        "cohort must be validation or external": predictions["cohort"].isin(["validation", "external"]),
        "fraction must be in (0, 1]": (predictions["fraction"] > 0) & (predictions["fraction"] <= 1),
        f"seed must be from 0 to {MOST_SEED}": predictions["seed"].between(0, MOST_SEED),
        f"score must be finite and within {LARGEST:g}": predictions["score"].abs() <= LARGEST,
        "image_id, patient_id and arm must not be empty": (predictions[["image_id", "patient_id", "arm"]] != "").all(
            axis=1
        ),
        "a film stands once a run": ~predictions.duplicated(["image_id", "arm", "fraction", "seed"]),
    }
    if wrong := [f"{rule} (row {int((~holds).argmax())})" for rule, holds in rules.items() if not holds.all()]:
        raise ValueError("no table of predictions: " + "; ".join(wrong))
    return predictions


def _finished(builder: ScoresBuilder, reference: str | None) -> ScoresFile:
    table = builder.table
    arms = tuple(table["arm"].unique().tolist())
    remarks = builder.remarks + remarks_on(table)
    if reference is None:
        remarks.append(f"reference arm: {arms[0]!r}, the first in the file (name another with --reference ARM)")
    if "logit" not in table:
        table["logit"] = _logits(table, remarks)
    types = COLUMNS | {fact: kind for fact, kind in FACT_COLUMNS.items() if fact in table}
    predictions = check_predictions(table[list(types)].reset_index(drop=True).astype(types))
    said = tuple(map(told, remarks))
    return ScoresFile(predictions, builder.detections, builder.lesions, arms, reference or arms[0], said,
                      builder.readers, builder.run_names)  # fmt: skip


def _logits(table: pd.DataFrame, remarks: list[str]) -> np.ndarray:
    """Logits of probabilities; an arm with a score outside [0, 1] has none.

    Scores of exactly 0 and 1 have no logit. They get one that is at least as far out as those of all other scores of
    the file, so that the order of films is the same on both scales.
    """
    score = table["score"].to_numpy(float)
    outside = table.loc[(score < 0) | (score > 1), "arm"].unique()
    for arm in outside:
        remarks.append(f"arm {arm!r} has scores outside [0, 1]: no probabilities, so no raw calibration")
    probability = ~table["arm"].isin(outside).to_numpy(bool)
    ends = int((((score == 0) | (score == 1)) & probability).sum())
    low = _nearest_to_end(score[probability])
    high = _nearest_to_end(1 - score[probability])
    if ends:
        remarks.append(
            f"{plural(ends, 'score')} of exactly 0 or 1: cut, as logits, at those of {low:g} and 1 - {high:g}"
        )
    with np.errstate(divide="ignore", invalid="ignore"):
        logit = np.log(score) - np.log1p(-score)
    logit = np.where(score == 0, np.log(low) - np.log1p(-low), logit)
    logit = np.where(score == 1, np.log1p(-high) - np.log(high), logit)
    return np.where(probability, logit, np.nan)


def _nearest_to_end(distance: np.ndarray) -> float:
    """Where an end is cut: 1e-6, or half of the smallest distance from it where scores come nearer."""
    inside = distance[distance > 0]
    return float(max(min(1e-6, inside.min() / 2 if len(inside) else 1e-6), np.nextafter(0, 1)))


def _shown(name: str) -> str:
    """A name as it is where a terminal can print it, else escaped."""
    return name if name.isprintable() else listed([name])
