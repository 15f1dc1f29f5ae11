"""Films changed as exposure, detector, archive and positioning change them, at three steps each, and scored again.

Every change is made on the film inside its square; the padding stays as it is. Changes depend on the film alone: the
noise of a film is drawn from a hash of its identifier. The strengths are ours, from hardly visible to plainly visible.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from osteotl.detection import hardware
from osteotl.detection.errors import Replicate
from osteotl.detection.films import PADDING, Films
from osteotl.detection.scoring import cohort_films, open_detector, processes, score_films, side_by_side
from osteotl.files import write_csv_if
from osteotl.study import Study

Change = Callable[[np.ndarray, float, np.random.Generator], np.ndarray]


def _exposure(film: np.ndarray, factor: float, _: np.random.Generator) -> np.ndarray:
    return film * factor


def _contrast(film: np.ndarray, factor: float, _: np.random.Generator) -> np.ndarray:
    return film.mean() + factor * (film - film.mean())


def _blur(film: np.ndarray, share: float, _: np.random.Generator) -> np.ndarray:
    return cv2.GaussianBlur(film, (0, 0), share * max(film.shape), borderType=cv2.BORDER_REPLICATE)


def _noise(film: np.ndarray, deviation: float, random: np.random.Generator) -> np.ndarray:
    return film + random.normal(0, deviation, film.shape)


def _resolution(film: np.ndarray, factor: float, _: np.random.Generator) -> np.ndarray:
    height, width = film.shape
    small = (max(1, round(width * factor)), max(1, round(height * factor)))
    fewer = cv2.resize(film, small, interpolation=cv2.INTER_AREA)
    return cv2.resize(fewer, (width, height), interpolation=cv2.INTER_LINEAR)


def _compression(film: np.ndarray, quality: float, _: np.random.Generator) -> np.ndarray:
    packed = cv2.imencode(".jpg", film.astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, int(quality)])[1]
    return np.asarray(cv2.imdecode(packed, cv2.IMREAD_GRAYSCALE), float)


def _rotation(film: np.ndarray, degrees: float, _: np.random.Generator) -> np.ndarray:
    height, width = film.shape
    turn = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, 1.0)
    return cv2.warpAffine(film, turn, (width, height), flags=cv2.INTER_LINEAR, borderValue=PADDING)


#: Change: what is done, and its strength at steps 1, 2 and 3.
CHANGES: dict[str, tuple[Change, tuple[float, float, float]]] = {
    "exposure": (_exposure, (1.2, 1.4, 1.7)),  # factor of the grey levels, cut at white
    "contrast": (_contrast, (0.8, 0.6, 0.4)),  # factor of the distance from the film's mean
    "blur": (_blur, (0.006, 0.012, 0.024)),  # standard deviation of a Gaussian, as a share of the longest side
    "noise": (_noise, (5.0, 10.0, 20.0)),  # standard deviation, grey levels of 255
    "resolution": (_resolution, (0.7, 0.5, 0.35)),  # factor of the sides, then back
    "compression": (_compression, (40, 20, 10)),  # quality of JPEG
    "rotation": (_rotation, (3.0, 6.0, 10.0)),  # degrees, anticlockwise
}


def changed_films(films: Films, change: str, step: int) -> Films:
    """The same films after one change.

    Parameters
    ----------
    films : Films
    change : str
        A key of `CHANGES`.
    step : {1, 2, 3}

    Returns
    -------
    Films
        Reference boxes are those of the unchanged films, a rotation too: only scores are taken.

    Raises
    ------
    ValueError
        An unknown change or step.
    """
    if change not in CHANGES or step not in (1, 2, 3):
        raise ValueError(f"{change!r} at step {step!r}: changes are {', '.join(CHANGES)}, steps 1, 2 and 3")
    apply, strengths = CHANGES[change]
    images = films.images.copy()
    for i, (image_id, place) in enumerate(zip(films.ids, films.placements, strict=True)):
        right, bottom = place.left + round(place.width * place.scale_x), place.top + round(place.height * place.scale_y)
        part = images[i, place.top : bottom, place.left : right]
        random = np.random.default_rng(int.from_bytes(hashlib.sha256(image_id.encode()).digest()[:8], "big"))
        part[:] = np.clip(np.rint(apply(part.astype(float), strengths[step - 1], random)), 0, 255).astype(np.uint8)
    return replace(films, images=images)


def write_sweep(
    study: Study, out: str | Path, data_dir: str | Path, write: Callable[[str], Path], workers: int | None = None
) -> None:
    """Write robustness.csv where the study asks for it; without that, remove one left by an earlier run.

    Parameters
    ----------
    study : Study
    out, data_dir : path
    write : callable
        Maps a file's name below the outputs folder to its path.
    workers : int, optional
        Processes.
    """
    write_csv_if(study.robustness, write("robustness.csv"), partial(sweep, study, out, data_dir, workers))


def sweep(
    study: Study, out: str | Path, data_dir: str | Path, workers: int | None = None, quiet: bool = False
) -> pd.DataFrame:
    """Score the external films after every change, with every run that was trained on all labels.

    Parameters
    ----------
    study : Study
    out, data_dir : path
    workers : int, optional
        Processes.
    quiet : bool
        No line on the terminal.

    Returns
    -------
    DataFrame
        image_id, arm, seed, change, step, score.
    """
    cohort_films(study, out, data_dir, "external")  # read once, shared by all that follow
    replicates = [Replicate(arm, 1.0, seed) for arm in study.arms for seed in study.seeds]
    jobs = [(study, replicate, str(out), str(data_dir)) for replicate in replicates]
    return pd.concat(side_by_side(_job, jobs, processes(study, workers), "robustness", quiet), ignore_index=True)


def _job(arguments: tuple[Study, Replicate, str, str]) -> pd.DataFrame:
    study, replicate, out, data_dir = arguments
    films, device = cohort_films(study, out, data_dir, "external"), hardware.choose_device(study.detector.device)
    weights = Path(out) / "finetune" / replicate.folder / "weights.safetensors"
    detector, parts = open_detector(weights, study.detector.model, device), []
    named = films.table[["image_id"]].assign(arm=replicate.arm, seed=replicate.seed)
    for change in CHANGES:
        for step in (1, 2, 3):
            changed, flip = changed_films(films, change, step), study.detector.test_time_flip
            scores = score_films(detector, changed, device=device, flip=flip, boxes=False).scores
            parts.append(named.assign(change=change, step=step, score=scores.astype(float)))
    return pd.concat(parts, ignore_index=True)
