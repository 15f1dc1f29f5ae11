"""Films scored with what was trained beside a replicate's own weights: checkpoints and the run of equal epochs."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from osteotl.detection import hardware
from osteotl.detection.errors import Replicate, TrainingError
from osteotl.detection.scoring import cohort_films, prediction_rows, processes, score_films, side_by_side
from osteotl.files import write_csv_if
from osteotl.study import Study


def write_extras(
    study: Study, out: str | Path, data_dir: str | Path, write: Callable[[str], Path], workers: int | None = None
) -> None:
    """Write predictions_extra.csv where the study asks for it; without that, remove one left by an earlier run.

    Parameters
    ----------
    study : Study
    out, data_dir : path
    write : callable
        Maps a file's name below the outputs folder to its path.
    workers : int, optional
        Processes.
    """
    made = partial(score_extras, study, out, data_dir, workers)
    write_csv_if(study.scores_extras, write("predictions_extra.csv"), made)


def score_extras(
    study: Study, out: str | Path, data_dir: str | Path, workers: int | None = None, quiet: bool = False
) -> pd.DataFrame:
    """Score the external films with what was trained beside the main weights: checkpoints and equal epochs.

    Returns
    -------
    DataFrame
        Columns of predictions.csv, then `training` (equal_steps or equal_epochs: the run that the weights are of),
        `step` (optimiser steps taken: the checkpoint's, or the last of the run) and `last_step` (of the whole run).
        Steps of `detector.checkpoints` that a run did not reach have no rows.

    Raises
    ------
    TrainingError
        The study asks for extras and no replicate has any.
    """
    cohort_films(study, out, data_dir, "external")  # read once, shared by all that follow
    jobs = [
        (study, replicate, path, facts, str(out), str(data_dir))
        for replicate in (Replicate(*each) for each in study.replicates())
        for path, facts in _extra_weights(study, Path(out) / "finetune" / replicate.folder)
    ]
    if not jobs:
        raise TrainingError(
            f"detector.checkpoints is {study.detector.checkpoints} and no replicate trained that far, or 02_finetune "
            "ran before it was set: name steps that training reaches, and run 02_finetune again"
        )
    return pd.concat(side_by_side(_extra_job, jobs, processes(study, workers), "score extras", quiet))


def _extra_weights(study: Study, folder: Path) -> list[tuple[Path, dict[str, Any]]]:
    """Weights beside a replicate's own: the training they are of, the steps they took, and the run's last step."""
    main = "equal_epochs" if study.detector.fraction_training == "equal_epochs" else "equal_steps"
    wanted = [(folder / "checkpoints" / f"{step:06d}.safetensors", step) for step in study.detector.checkpoints]
    reached = [(path, step) for path, step in sorted(wanted) if path.exists()]
    last = _steps(folder) if reached else 0
    found = [(path, {"training": main, "step": step, "last_step": last}) for path, step in reached]
    other = folder / "equal_epochs"
    if study.detector.fraction_training == "both" and (other / "weights.safetensors").exists():
        facts = {"training": "equal_epochs", "step": _steps(other), "last_step": _steps(other)}
        found.append((other / "weights.safetensors", facts))
    return found


def _steps(folder: Path) -> int:
    return int(json.loads((folder / "pairing.json").read_text(encoding="utf-8"))["steps"])


def _extra_job(arguments: tuple) -> pd.DataFrame:
    study, replicate, path, facts, out, data_dir = arguments
    films = cohort_films(study, out, data_dir, "external")
    device, flip = hardware.choose_device(study.detector.device), study.detector.test_time_flip
    scores = score_films(path, films, study.detector.model, device=device, flip=flip, boxes=False)
    return prediction_rows(films, scores, replicate, "external").assign(**facts)
