"""Weights and films -> one continuous score a film, and lesion boxes in native pixels."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from ultralytics.nn.tasks import DetectionModel

from osteotl.detection import hardware
from osteotl.detection.errors import Replicate, TrainingError
from osteotl.detection.films import Films, Placement, cached_films
from osteotl.detection.initialisation import rebuild_detector
from osteotl.detection.progress import Progress
from osteotl.files import write_csv
from osteotl.study import Study

BATCH = 32
FLOOR = 0.001  # boxes below this confidence are not kept; the score of a film has no floor
OVERLAP = 0.7  # ultralytics' own threshold for non-maximum suppression
MOST_BOXES = 20
CANDIDATES = 1000
BOX_COLUMNS = ["x_min", "y_min", "x_max", "y_max", "score"]


@dataclass(frozen=True)
class Scores:
    """What a detector says about films, in their order.

    Attributes
    ----------
    scores : ndarray of float32, shape (n,)
        Largest class score over all anchors before non-maximum suppression, in (0, 1).
    logits : ndarray of float32, shape (n,)
        The same before the logistic function.
    boxes : list of ndarray, each (k, 5)
        Corners in native pixels and score, largest score first, after non-maximum suppression.
    """

    scores: np.ndarray
    logits: np.ndarray
    boxes: list[np.ndarray]


@dataclass(frozen=True)
class ScoredCohort:
    """One cohort scored by every replicate.

    Attributes
    ----------
    predictions : DataFrame
        image_id, patient_id, cohort, label, arm, fraction, seed, score, logit.
    detections : DataFrame
        image_id, arm, fraction, seed, x_min, y_min, x_max, y_max (native pixels), score.
    """

    predictions: pd.DataFrame
    detections: pd.DataFrame


def open_detector(weights: str | Path, model: str, device: str = "cpu") -> DetectionModel:
    """A detector ready to score: float32, batch normalisation folded into convolutions.

    Parameters
    ----------
    weights : path
        A .safetensors file.
    model : str
        As in study.yaml.
    device : str
        cpu or cuda:N.
    """
    detector = rebuild_detector(weights, model).fuse(verbose=False).float().eval()
    return detector.to(device).to(memory_format=torch.channels_last)


def score_films(
    weights: str | Path | DetectionModel,
    films: Films,
    model: str = "yolov5n",
    batch: int = BATCH,
    device: str = "cpu",
    flip: bool = False,
    boxes: bool = True,
    progress: Callable[[int], None] | None = None,
) -> Scores:
    """Score films.

    Every film is letterboxed to the same square before it meets the others, so its score depends on no neighbour; over
    batch sizes it moves by rounding only (less than 1e-5).

    Parameters
    ----------
    weights : path or detector
        A .safetensors file, or what `open_detector` gave.
    films : Films
    model : str
        Used when `weights` is a path.
    batch : int
        Films per forward pass.
    device : str
    flip : bool
        Average the logit with that of the left-right mirrored film.
    boxes : bool
        Find boxes too.
    progress : callable, optional
        Called with the number of films scored so far.

    Returns
    -------
    Scores

    Raises
    ------
    WeightsError
        If the weights cannot be used.
    """
    detector = weights if isinstance(weights, DetectionModel) else open_detector(weights, model, device)
    hardware.settle_threads(device)
    logits, found = [], []
    for start, raw, corners in _forward(detector, films.images, batch, device):
        best = raw.max(1)
        if flip:
            mirrored = next(_forward(detector, films.images[start : start + len(raw), :, ::-1], batch, device))[1]
            best = (best + mirrored.max(1)) / 2
        logits.append(best)
        if boxes:
            places = films.placements[start : start + len(raw)]
            found += [_boxes(r, c, p) for r, c, p in zip(raw, corners, places, strict=True)]
        if progress:
            progress(start + len(raw))
    joined = np.concatenate(logits) if logits else np.empty(0, np.float32)
    return Scores(_sigmoid(joined), joined, found)


def score_replicate(
    study: Study, arm: str, fraction: float, seed: int, out: str | Path, data_dir: str | Path, cohort: str
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Score the films of one cohort with one replicate.

    Parameters
    ----------
    cohort : str
        validation (of the development cohort) or external.

    Returns
    -------
    predictions : DataFrame
        image_id, patient_id, cohort, label, arm, fraction, seed, score, logit.
    detections : DataFrame
        image_id, arm, fraction, seed, x_min, y_min, x_max, y_max (native pixels), score.

    Raises
    ------
    TrainingError
        If the replicate has not been trained.
    WeightsError
        If its weights are damaged.
    """
    replicate = Replicate(arm, fraction, seed)
    weights = Path(out) / "finetune" / replicate.folder / "weights.safetensors"
    if not weights.exists():
        raise TrainingError(f"{replicate}: {weights} is missing; run 02_finetune for it first")
    films = cohort_films(study, out, data_dir, cohort)
    device = hardware.choose_device(study.detector.device)
    flip = study.detector.test_time_flip
    scores = score_films(weights, films, study.detector.model, device=device, flip=flip)
    return prediction_rows(films, scores, replicate, cohort), detection_rows(films, scores, replicate)


def score_study(
    study: Study, cohort: str, out: str | Path, data_dir: str | Path, workers: int | None = None, quiet: bool = False
) -> ScoredCohort:
    """Score one cohort with every replicate of the study, replicates side by side.

    Parameters
    ----------
    study : Study
    cohort : str
        validation or external.
    out, data_dir : path
        The outputs folder; the folder that holds `.prepared/`.
    workers : int, optional
        Processes; default: one per core on a CPU, one on a GPU.
    quiet : bool
        No line on the terminal.

    Returns
    -------
    ScoredCohort
        In the order of `study.replicates()`.
    """
    cohort_films(study, out, data_dir, cohort)  # read once, shared by all that follow
    jobs = [(study, *replicate, str(out), str(data_dir), cohort) for replicate in study.replicates()]
    parts = side_by_side(_score_job, jobs, processes(study, workers), f"score {cohort}", quiet)
    return ScoredCohort(
        pd.concat([predictions for predictions, _ in parts], ignore_index=True),
        pd.concat([detections for _, detections in parts], ignore_index=True),
    )


def write_predictions(validation: ScoredCohort, external: ScoredCohort, write: Callable[[str], Path]) -> None:
    """Write predictions.csv and detections.csv, each whole.

    Parameters
    ----------
    validation, external : ScoredCohort
    write : callable
        Maps a file's name below the outputs folder to its path.
    """
    parts = (validation, external)
    write_csv(write("predictions.csv"), pd.concat([part.predictions for part in parts], ignore_index=True))
    write_csv(write("detections.csv"), pd.concat([part.detections for part in parts], ignore_index=True))


def cohort_films(study: Study, out: str | Path, data_dir: str | Path, cohort: str) -> Films:
    """The films to score: validation (partition of development), training, or external.

    Raises
    ------
    ValueError
        If `cohort` is none of them, or holds no film.
    """
    size = study.detector.image_size
    if cohort not in ("training", "validation", "external"):
        raise ValueError(f"cohort must be training, validation or external, got {cohort!r}")
    source, partition = ("external", "") if cohort == "external" else ("development", cohort)
    return cached_films(str(out), source, partition, str(data_dir), size)


def prediction_rows(films: Films, scores: Scores, replicate: Replicate, cohort: str) -> pd.DataFrame:
    """Rows of predictions.csv."""
    rows = films.table[["image_id", "patient_id"]].assign(cohort=cohort, label=films.table["label"])
    rows = rows.assign(arm=replicate.arm, fraction=replicate.fraction, seed=replicate.seed)
    return rows.assign(score=scores.scores.astype(float), logit=scores.logits.astype(float))


def detection_rows(films: Films, scores: Scores, replicate: Replicate) -> pd.DataFrame:
    """Rows of detections.csv."""
    counts = [len(boxes) for boxes in scores.boxes]
    values = np.concatenate(scores.boxes) if sum(counts) else np.empty((0, 5))
    rows = pd.DataFrame({"image_id": np.repeat(films.ids, counts)})
    rows = rows.assign(arm=replicate.arm, fraction=replicate.fraction, seed=replicate.seed)
    return rows.assign(**dict(zip(BOX_COLUMNS, values.T, strict=True)))


def side_by_side(job: Callable, jobs: list[tuple], workers: int, name: str, quiet: bool = False) -> list:
    """Run jobs in forked processes that share what is loaded; one process runs them here. Results keep the order."""
    progress = Progress(name, quiet=quiet, every=5.0)
    results = []
    if workers <= 1 or len(jobs) <= 1:
        for i, arguments in enumerate(jobs, 1):
            results.append(job(arguments))
            progress.step(i, len(jobs), i)
        return results
    with multiprocessing.get_context("fork").Pool(min(workers, len(jobs))) as pool:
        for i, result in enumerate(pool.imap(job, jobs), 1):
            results.append(result)
            progress.step(i, len(jobs), i)
    return results


def suppress(boxes: np.ndarray, scores: np.ndarray, overlap: float = OVERLAP, most: int = MOST_BOXES) -> np.ndarray:
    """Greedy non-maximum suppression.

    Parameters
    ----------
    boxes : ndarray, shape (k, 4)
        Corners.
    scores : ndarray, shape (k,)
    overlap : float
        A box that overlaps a better one by more than this intersection over union is dropped.
    most : int
        Stop after so many.

    Returns
    -------
    ndarray of int
        Positions kept, best first; equals torchvision.ops.nms.
    """
    order = np.argsort(-scores, kind="stable")
    areas = np.prod(np.maximum(boxes[:, 2:] - boxes[:, :2], 0), axis=1)
    kept: list[int] = []
    while len(order) and len(kept) < most:
        best, order = order[0], order[1:]
        kept.append(int(best))
        low = np.maximum(boxes[best, :2], boxes[order, :2])
        high = np.minimum(boxes[best, 2:], boxes[order, 2:])
        shared = np.prod(np.maximum(high - low, 0), axis=1)
        order = order[shared <= overlap * (areas[best] + areas[order] - shared)]
    return np.array(kept, int)


# --- parts ------------------------------------------------------------------------------------------------------------


def _forward(
    detector: DetectionModel, images: np.ndarray, batch: int, device: str
) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Class logits (films, anchors) and corners (films, anchors, 4) in square pixels, batch by batch."""
    for start in range(0, len(images), batch):
        part = np.ascontiguousarray(images[start : start + batch])
        with torch.inference_mode():
            pixels = torch.from_numpy(part)[:, None].to(device).float() / 255
            decoded, raw = detector(pixels.contiguous(memory_format=torch.channels_last))
            logits = raw["scores"].amax(1)
            centre, extent = decoded[:, :2], decoded[:, 2:4]
            corners = torch.cat((centre - extent / 2, centre + extent / 2), 1).transpose(1, 2)
        yield start, logits.float().cpu().numpy(), corners.float().cpu().numpy()


def _boxes(logits: np.ndarray, corners: np.ndarray, placement: Placement) -> np.ndarray:
    scores = _sigmoid(logits)
    keep = np.flatnonzero(scores >= FLOOR)
    keep = keep[np.argsort(-scores[keep], kind="stable")][:CANDIDATES]
    best = keep[suppress(corners[keep].astype(float), scores[keep])]
    native = placement.to_native(corners[best].astype(float))
    return np.column_stack([native, scores[best].astype(float)])


def _sigmoid(logits: np.ndarray) -> np.ndarray:
    return (1 / (1 + np.exp(-logits.astype(np.float64)))).astype(np.float32)


def _score_job(arguments: tuple) -> tuple[pd.DataFrame, pd.DataFrame]:
    return score_replicate(*arguments)


def processes(study: Study, workers: int | None) -> int:
    """Processes to score with: one on a GPU, which one model fills and which does not survive a fork."""
    if hardware.choose_device(study.detector.device) != "cpu":
        return 1
    return workers or hardware.cores()
