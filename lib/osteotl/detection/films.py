"""Cohort table -> square grey films and lesion boxes, the same pixels for training, scoring and the audit."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from osteotl.files import plural

PADDING = 114  # the grey that ultralytics pads with, so that augmentation borders and letterbox borders look alike


@dataclass(frozen=True)
class Placement:
    """Where a film lies in its square: native pixels * scale + (left, top) = square pixels."""

    scale_x: float
    scale_y: float
    left: int
    top: int
    width: int
    height: int

    def to_square(self, boxes: np.ndarray) -> np.ndarray:
        """Boxes (k, 4) as corners from native to square pixels."""
        return boxes * self._scales() + self._offsets()

    def to_native(self, boxes: np.ndarray) -> np.ndarray:
        """Boxes (k, 4) as corners from square to native pixels, clipped to the film."""
        native = (boxes - self._offsets()) / self._scales()
        return np.clip(native, 0, [self.width, self.height] * 2)

    def _scales(self) -> np.ndarray:
        return np.array([self.scale_x, self.scale_y] * 2)

    def _offsets(self) -> np.ndarray:
        return np.array([self.left, self.top] * 2)


def letterbox(film: np.ndarray, size: int) -> tuple[np.ndarray, int, int, int, int]:
    """Fit one film into a square without distortion.

    Parameters
    ----------
    film : ndarray of uint8, shape (height, width)
    size : int
        Side of the square in pixels.

    Returns
    -------
    square : ndarray of uint8, shape (size, size)
    left, top, width, height : int
        Where the film lies in it.
    """
    height, width = film.shape
    ratio = size / max(height, width)
    new_width, new_height = max(1, round(width * ratio)), max(1, round(height * ratio))
    if (new_width, new_height) != (width, height):
        how = cv2.INTER_AREA if ratio < 1 else cv2.INTER_LINEAR
        film = cv2.resize(film, (new_width, new_height), interpolation=how)
    square = np.full((size, size), PADDING, np.uint8)
    left, top = (size - new_width) // 2, (size - new_height) // 2
    square[top : top + new_height, left : left + new_width] = film
    return square, left, top, new_width, new_height


@dataclass(frozen=True)
class Films:
    """Films of one cohort or partition, letterboxed.

    Attributes
    ----------
    table : DataFrame
        Rows of the cohort table, in order.
    images : ndarray of uint8, shape (n, size, size)
    boxes : list of ndarray, each (k, 4)
        Reference lesion boxes as corners in square pixels; only films with label 1 have any.
    placements : list of Placement
    """

    table: pd.DataFrame
    images: np.ndarray
    boxes: list[np.ndarray]
    placements: list[Placement]
    size: int = field(default=0)

    def __len__(self) -> int:
        return len(self.table)

    @property
    def ids(self) -> list[str]:
        """Identifiers of the films, in order."""
        return self.table["image_id"].tolist()

    def digest(self) -> str:
        """One hash over identifiers, pixels and boxes, in order."""
        total = hashlib.sha256()
        for image_id, image, boxes in zip(self.ids, self.images, self.boxes, strict=True):
            total.update(image_id.encode() + image.tobytes() + np.ascontiguousarray(boxes, "<f8").tobytes())
        return total.hexdigest()

    def subset(self, keep: np.ndarray) -> Films:
        """The films at these positions, in this order."""
        return Films(
            self.table.iloc[keep].reset_index(drop=True),
            self.images[keep],
            [self.boxes[i] for i in keep],
            [self.placements[i] for i in keep],
            self.size,
        )


def read_cohort(out: str | Path, cohort: str) -> pd.DataFrame:
    """The cohort table that notebook 00 wrote.

    Raises
    ------
    ValueError
        If the table is missing.
    """
    path = Path(out) / "cohorts" / f"{cohort}.csv"
    if not path.exists():
        raise ValueError(f"{path} is missing: run 00_cohorts first, and give the study a cohort named {cohort}")
    names = ("image_id", "patient_id", "film", "site", "partition", "path", "view", "sex", "subtype")
    text = dict.fromkeys(names, str)
    return pd.read_csv(path, dtype=text, keep_default_na=False, na_values={"age": [""], "spacing_mm": [""]})


def read_boxes(out: str | Path) -> pd.DataFrame:
    """Every lesion box of every cohort, native pixels."""
    return pd.read_csv(Path(out) / "cohorts" / "boxes.csv", dtype={"image_id": str, "finding": str, "cohort": str})


def external_cohort(out: str | Path) -> pd.DataFrame:
    """The films for external testing: their own cohort, or the test partition of the development cohort."""
    if (Path(out) / "cohorts" / "external.csv").exists():
        return read_cohort(out, "external")
    development = read_cohort(out, "development")
    return development[development["partition"] == "test"].reset_index(drop=True)


def load_films(table: pd.DataFrame, boxes: pd.DataFrame, data_dir: str | Path, size: int) -> Films:
    """Read prepared films and letterbox them.

    Parameters
    ----------
    table : DataFrame
        Rows of a cohort table.
    boxes : DataFrame
        Boxes of any cohorts; only those of films with label 1 are used.
    data_dir : path
        Folder that holds `.prepared/`.
    size : int
        Side of the square in pixels.

    Returns
    -------
    Films

    Raises
    ------
    ValueError
        If a prepared film is missing or cannot be decoded, or a film with label 1 has no box.
    """
    per_film = dict(iter(boxes.groupby("image_id")[["x_min", "y_min", "x_max", "y_max"]]))
    images = np.empty((len(table), size, size), np.uint8)
    kept, placements = [], []
    for i, row in enumerate(table.itertuples(index=False)):
        square, left, top, width, height = letterbox(read_film(data_dir, row.film), size)
        images[i] = square
        placement = Placement(width / row.width, height / row.height, left, top, int(row.width), int(row.height))
        rows = per_film.get(row.image_id) if row.label == 1 else None
        native = np.empty((0, 4)) if rows is None else rows.to_numpy(float)
        kept.append(placement.to_square(native))
        placements.append(placement)
    return Films(table.reset_index(drop=True), images, kept, placements, size)


def read_film(data_dir: str | Path, key: str) -> np.ndarray:
    """One prepared film, 8-bit grey.

    Raises
    ------
    ValueError
        If it is missing or cannot be decoded.
    """
    path = Path(data_dir) / ".prepared" / key[:2] / f"{key}.png"
    film = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) if path.exists() else None
    if film is None:
        raise ValueError(
            f"{path} is {'unreadable' if path.exists() else 'missing'}: delete it and run 00_cohorts again"
        )
    return film


def require_boxes(films: Films, cohort: str) -> None:
    """Training would take a malignant film without a box for a normal one.

    Raises
    ------
    ValueError
        If a film with label 1 has no box.
    """
    labelled = zip(films.ids, films.table["label"], films.boxes, strict=True)
    bare = [image_id for image_id, label, boxes in labelled if label == 1 and not len(boxes)]
    if bare:
        raise ValueError(
            f"the {cohort} cohort holds {plural(len(bare), 'film')} of label 1 without lesion box (first: image_id "
            f"{bare[0]}); draw the box, or leave the film out (integrity.exclude)"
        )


@lru_cache(maxsize=8)
def cached_films(out: str, cohort: str, partition: str, data_dir: str, size: int) -> Films:
    """`load_films` of one partition, kept for the process: all arms see the same array."""
    table = external_cohort(out) if cohort == "external" else read_cohort(out, cohort)
    if partition:
        table = table[table["partition"] == partition]
    return load_films(table, read_boxes(out), data_dir, size)
