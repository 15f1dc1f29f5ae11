"""Bring your own scores: any detector's or reader's table -> the predictions of a study.

One file (CSV or Parquet, long or wide) or one folder of exports goes in; the predictions table, boxes where there are
any, and a list of remarks come out. Every fault is listed at once with its row; no film is ever dropped in silence.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from osteotl.scores_files.exports import read_folder
from osteotl.scores_files.faults import find_faults, remarks_on
from osteotl.scores_files.long_table import Draft, ScoresError, from_table, read_table

__all__ = ["Scores", "ScoresError", "check_scores", "read_scores"]

COLUMNS = ["image_id", "patient_id", "cohort", "label", "arm", "fraction", "seed", "score", "logit"]


@dataclass(frozen=True)
class Scores:
    """Scores made elsewhere, checked.

    Attributes
    ----------
    predictions : DataFrame
        image_id, patient_id, cohort (validation | external), label, arm, fraction, seed, score, logit (empty where
        scores are no probabilities).
    detections, lesions : DataFrame or None
        Predicted boxes (image_id, arm, fraction, seed, corners in native pixels, score) and lesions of the reference
        standard, where the file holds them.
    arms : tuple of str
        In the order of the file.
    reference : str
    remarks : tuple of str
        What was guessed, filled in or is worth knowing; to be shown.
    """

    predictions: pd.DataFrame
    detections: pd.DataFrame | None
    lesions: pd.DataFrame | None
    arms: tuple[str, ...]
    reference: str
    remarks: tuple[str, ...]


def read_scores(path: str | Path, reference: str | None = None) -> Scores:
    """Read scores from any detector or reader.

    Parameters
    ----------
    path : path
        A CSV (comma, semicolon or tab) or Parquet file, or a folder of exports.

        - long: image_id, label, arm, score; optional patient_id, seed, fraction, cohort, logit, boxes
          ([[x_min, y_min, x_max, y_max, score], ...]), lesions, or one row a box with x_min ... y_max;
        - wide: image_id, label and one column of scores per arm (score_A, score_B, or any names);
        - folder: labels.csv (image_id, label, ...) or labels.json (COCO reference standard), and per arm ARM.json (COCO
          detections or picai_eval metrics), ARM.csv (image_id, score) or ARM/ (YOLOv5 or ultralytics txt results).
    reference : str, optional
        Arm that the others are compared with; default: the first in the file, said in the remarks.

    Returns
    -------
    Scores

    Raises
    ------
    ScoresError
        With every fault of the file, rows counted from 1 (the header).

    Notes
    -----
    Other column names are guessed from a written list, and each guess is a remark. Without a cohort column all films
    are external, without patient_id each film is a patient. Readers with ordinal ratings are arms like any other; where
    a file has both a model (or modality) and a reader, readers take the part of seeds.

    Examples
    --------
    >>> scores = read_scores("examples/scores.csv")  # doctest: +SKIP
    >>> scores.arms  # doctest: +SKIP
    ('scratch', 'transfer')
    """
    path = Path(path)
    draft = read_folder(path) if path.is_dir() else from_table(*read_table(path))
    faults = draft.faults + ([] if draft.table.empty else find_faults(draft.table, reference))
    if faults or draft.table.empty:
        raise ScoresError([f"{path.name}: {fault}" for fault in faults or ["holds no scores"]])
    return _finished(draft, reference)


def check_scores(path: str | Path, reference: str | None = None) -> int:
    """Say what a file of scores holds, or every fault in it; the exit code of `./run_all.sh check`.

    Parameters
    ----------
    path, reference
        As for `read_scores`.

    Returns
    -------
    int
        0, or 2 where the file cannot be used.
    """
    try:
        scores = read_scores(path, reference)
    except ScoresError as error:
        print(f"{path} cannot be used:", *error.faults, sep="\n  ", file=sys.stderr)
        return 2
    for cohort, rows in scores.predictions.groupby("cohort"):
        films, seeds = rows.drop_duplicates("image_id"), ", ".join(map(str, sorted(set(rows["seed"]))))
        size = f"{len(films):,} films of {films['patient_id'].nunique():,} patients"
        print(f"{cohort}: {size}, {films['label'].sum():,} malignant; seeds {seeds}")
    print(f"arms: {', '.join(scores.arms)}; reference: {scores.reference}", *scores.remarks, sep="\n")
    print("No fault found.")
    return 0


def _finished(draft: Draft, reference: str | None) -> Scores:
    table = draft.table
    arms = tuple(dict.fromkeys(table["arm"]))
    remarks = draft.remarks + remarks_on(table)
    if reference is None:
        remarks.append(f"reference arm: {arms[0]!r}, the first in the file (name another with --reference ARM)")
    if "logit" not in table:
        table["logit"] = _logits(table, remarks)
    return Scores(table[COLUMNS].reset_index(drop=True), draft.detections, draft.lesions, arms, reference or arms[0],
                  tuple(remarks))  # fmt: skip


def _logits(table: pd.DataFrame, remarks: list[str]) -> np.ndarray:
    """Logits of probabilities; an arm with a score outside [0, 1] has none."""
    score = table["score"].to_numpy(float)
    outside = table.loc[(score < 0) | (score > 1), "arm"].unique()
    for arm in outside:
        remarks.append(f"arm {arm!r} has scores outside [0, 1]: no probabilities, so no raw calibration")
    ends = int(((score == 0) | (score == 1)).sum())
    if ends and len(outside) < table["arm"].nunique():
        remarks.append(f"{ends:,} scores are exactly 0 or 1: their logits are cut at those of 1e-6 and 1 - 1e-6")
    inside = np.clip(score, 1e-6, 1 - 1e-6)
    logit = np.where((score == 0) | (score == 1), np.log(inside / (1 - inside)), _exact_logit(score))
    return np.where(table["arm"].isin(outside), np.nan, logit)


def _exact_logit(score: np.ndarray) -> np.ndarray:
    between = np.where((score > 0) & (score < 1), score, 0.5)
    return np.log(between) - np.log1p(-between)
