"""Which predicted box hits which lesion.

Everything at lesion level (FROC, LROC, wAFROC, AP) starts from `Marks`: the boxes of one arm on one set of films, each
a hit or a false positive, and the score that each lesion was found with. Boxes are continuous corner coordinates,
without the "+1" of inclusive pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numba
import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

Rule = Literal["iou50", "iou30", "iou10", "centre"]
RULES: dict[str, float] = {"iou50": 0.5, "iou30": 0.3, "iou10": 0.1, "centre": -1.0}
"""Least IoU of a hit; -1 = the centre of the predicted box lies in the lesion box, edges included."""

CORNERS = ["x_min", "y_min", "x_max", "y_max"]


@dataclass(frozen=True)
class Marks:
    """The marks of one arm (or reader) on a set of films, judged against the reference standard.

    Attributes
    ----------
    diseased : bool array, shape (films,)
        The film has a lesion.
    film : int array, shape (marks,)
        Index of the mark's film. Marks stand by film, then by falling score, then by row.
    score : float array, shape (marks,)
    hit : bool array, shape (marks,)
        The mark took a lesion; any other mark is a false positive.
    duplicate : bool array, shape (marks,)
        A false positive that may have taken a lesion, had it not been taken already.
    lesion_film : int array, shape (lesions,)
    lesion_rating : float array, shape (lesions,)
        Score of the mark that took the lesion; -inf where none did.
    lesion_weight : float array, shape (lesions,)
        Sums to 1 within each diseased film.
    """

    diseased: NDArray[np.bool_]
    film: NDArray[np.int64]
    score: NDArray[np.float64]
    hit: NDArray[np.bool_]
    duplicate: NDArray[np.bool_]
    lesion_film: NDArray[np.int64]
    lesion_rating: NDArray[np.float64]
    lesion_weight: NDArray[np.float64]

    @property
    def films(self) -> int:
        return len(self.diseased)

    @property
    def lesions(self) -> int:
        return len(self.lesion_film)

    @cached_property
    def highest(self) -> NDArray[np.float64]:
        """Highest score of each film, any mark; -inf without marks."""
        return _highest(self.film, self.score, self.films)

    @cached_property
    def highest_false_positive(self) -> NDArray[np.float64]:
        """Highest score among the false positives of each film; -inf without any."""
        return _highest(self.film[~self.hit], self.score[~self.hit], self.films)

    @cached_property
    def correct(self) -> NDArray[np.bool_]:
        """The film's highest mark is a hit; where several tie at the top, all of them are."""
        top = self.score == self.highest[self.film]
        wrong = np.zeros(self.films, bool)
        wrong[self.film[top & ~self.hit]] = True
        return np.isfinite(self.highest) & ~wrong

    @cached_property
    def lesions_per_film(self) -> NDArray[np.int64]:
        return np.bincount(self.lesion_film, minlength=self.films)

    def without_duplicates(self) -> Marks:
        """The same marks with duplicates dropped instead of counted as false positives."""
        keep = ~self.duplicate
        return Marks(
            self.diseased,
            self.film[keep],
            self.score[keep],
            self.hit[keep],
            self.duplicate[keep],
            self.lesion_film,
            self.lesion_rating,
            self.lesion_weight,
        )

    def counts(self, threshold: float = -np.inf) -> MarkCounts:
        """Counts over the marks with score >= threshold."""
        kept = self.score >= threshold
        hits = int((self.hit & kept).sum())
        return MarkCounts(
            films=self.films,
            diseased=int(self.diseased.sum()),
            lesions=self.lesions,
            marks=int(kept.sum()),
            hits=hits,
            false_positives=int((~self.hit & kept).sum()),
            false_positives_lesion_free=int((~self.hit & kept & ~self.diseased[self.film]).sum()),
            duplicates=int((self.duplicate & kept).sum()),
            misses=self.lesions - hits,
            films_with_a_hit=len(np.unique(self.film[self.hit & kept])),
        )


@dataclass(frozen=True)
class MarkCounts:
    """Counts at one score threshold; rates are None where their denominator is 0."""

    films: int
    diseased: int
    lesions: int
    marks: int
    hits: int
    false_positives: int
    false_positives_lesion_free: int
    duplicates: int
    misses: int
    films_with_a_hit: int

    @property
    def lesion_sensitivity(self) -> float | None:
        return _ratio(self.hits, self.lesions)

    @property
    def false_positives_per_film(self) -> float | None:
        return _ratio(self.false_positives, self.films)

    @property
    def false_positives_per_lesion_free_film(self) -> float | None:
        return _ratio(self.false_positives_lesion_free, self.films - self.diseased)

    @property
    def precision(self) -> float | None:
        return _ratio(self.hits, self.marks)

    @property
    def f1(self) -> float | None:
        return _ratio(2 * self.hits, self.marks + self.lesions)


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def _highest(film: NDArray[np.int64], score: NDArray[np.float64], films: int) -> NDArray[np.float64]:
    highest = np.full(films, -np.inf)
    np.maximum.at(highest, film, score)
    return highest


def match_boxes(films: ArrayLike, boxes: pd.DataFrame, lesions: pd.DataFrame, rule: Rule | float = "iou30") -> Marks:
    """Match the boxes of one arm to the lesions, film by film.

    Boxes are taken by falling score, equal scores in row order. Of the lesions that a box may take and that are not
    yet taken it takes the one of highest IoU (on an exact tie the last in `lesion_id`, else row, order). It is then a
    hit; a box that takes none is a false positive, duplicates included. So one lesion yields at most one hit, and a box
    whose best lesion is taken falls back on its next one (COCO; the VOC rule would not).

    Parameters
    ----------
    films : array of identifiers, shape (films,)
        ALL films, those without boxes and without lesions too; each once.
    boxes : DataFrame
        image_id, x_min, y_min, x_max, y_max, score: one row a predicted box of this arm.
    lesions : DataFrame
        image_id, x_min, y_min, x_max, y_max and optionally lesion_id: one row a lesion of the reference standard.
    rule : {"iou50", "iou30", "iou10", "centre"} or float
        A float is the least IoU of a hit (equality counts).

    Returns
    -------
    Marks

    Raises
    ------
    ValueError
        A box or lesion on a film not in `films`, a film named twice, a score or corner that is not finite, corners the
        wrong way round, an unknown rule.

    Notes
    -----
    Box by box equal to pycocotools 2.0.11 (IoU .1, .3, .5) on the lesion oracle cases.
    """
    threshold = _threshold(rule)
    return prepare_boxes(films, boxes, lesions).judged(threshold)


@dataclass(frozen=True)
class Prepared:
    """Boxes and lesions checked and sorted by film, boxes then by falling score: matched at several rules in turn."""

    films: int
    box_film: NDArray[np.int64]
    score: NDArray[np.float64]
    boxes: NDArray[np.float64]
    lesion_film: NDArray[np.int64]
    lesions: NDArray[np.float64]

    def judged(self, threshold: float) -> Marks:
        """Match at a least IoU (-1: centre rule)."""
        taken, duplicate = _match(self.box_film, self.boxes, self.lesion_film, self.lesions, threshold)
        rating = np.full(len(self.lesion_film), -np.inf)
        rating[taken[taken >= 0]] = self.score[taken >= 0]
        per_film = np.bincount(self.lesion_film, minlength=self.films)
        weight = 1.0 / per_film[self.lesion_film]
        return Marks(per_film > 0, self.box_film, self.score, taken >= 0, duplicate, self.lesion_film, rating, weight)


def prepare_boxes(films: ArrayLike, boxes: pd.DataFrame, lesions: pd.DataFrame) -> Prepared:
    """Check and sort once what `match_boxes` matches; same input, same errors."""
    index = _film_index(films)
    box_film, box_corners = _placed(boxes, index, "box")
    lesion_film, lesion_corners = _placed(lesions, index, "lesion")
    score = _scores(boxes)
    order = np.lexsort((-score, box_film))  # lexsort is stable: equal scores keep their row order
    keys = (lesions["lesion_id"].to_numpy(), lesion_film) if "lesion_id" in lesions else (lesion_film,)
    placed = np.lexsort(keys)
    return Prepared(
        len(index), box_film[order], score[order], box_corners[order], lesion_film[placed], lesion_corners[placed]
    )


def marks_from_ratings(
    diseased: ArrayLike,
    film: ArrayLike,
    rating: ArrayLike,
    lesion: ArrayLike,
    lesion_film: ArrayLike,
    lesion_weight: ArrayLike | None = None,
) -> Marks:
    """Marks that a reader (or another program) has already judged.

    Parameters
    ----------
    diseased : bool array, shape (films,)
    film, rating, lesion : arrays, shape (marks,)
        Index of the film; score; index into the lesions for a hit, -1 for a false positive.
    lesion_film : int array, shape (lesions,)
    lesion_weight : array, shape (lesions,), optional
        Must sum to 1 in each diseased film; default 1 / number of lesions.

    Raises
    ------
    ValueError
        A lesion marked twice, a mark on a lesion of another film, weights that do not sum to 1.
    """
    found, where = np.asarray(lesion, np.int64), np.asarray(film, np.int64)
    score, home = np.asarray(rating, float), np.asarray(lesion_film, np.int64)
    ill = np.asarray(diseased, bool)
    hits = found[found >= 0]
    if len(np.unique(hits)) < len(hits):
        raise ValueError("a lesion is marked as found twice; keep its highest mark and call the others duplicates")
    if (home[hits] != where[found >= 0]).any():
        raise ValueError("a mark is credited with a lesion of another film")
    per_film = np.bincount(home, minlength=len(ill))
    if ((per_film > 0) != ill).any():
        raise ValueError("a film is diseased exactly if it has a lesion; check `diseased` against `lesion_film`")
    weight = 1.0 / per_film[home] if lesion_weight is None else np.asarray(lesion_weight, float)
    if (weight < 0).any() or not np.allclose(np.bincount(home, weight, len(ill))[ill], 1.0):
        raise ValueError("lesion weights must be >= 0 and sum to 1 in each diseased film")
    ratings = np.full(len(home), -np.inf)
    ratings[hits] = score[found >= 0]
    order = np.lexsort((-score, where))
    return Marks(
        ill, where[order], score[order], (found >= 0)[order], np.zeros(len(score), bool), home, ratings, weight
    )


def _threshold(rule: Rule | float) -> float:
    if isinstance(rule, str):
        if rule not in RULES:
            raise ValueError(
                f"hit rule {rule!r} is unknown; choose one of {', '.join(RULES)} or an IoU between 0 and 1"
            )
        return RULES[rule]
    if not 0 < rule <= 1:
        raise ValueError(f"an IoU of {rule} cannot be a hit rule: it must lie in (0, 1]")
    return float(rule)


def _film_index(films: ArrayLike) -> pd.Index:
    index = pd.Index(np.asarray(films))
    if not index.is_unique:
        raise ValueError(f"film {index[index.duplicated()][0]!r} is named twice; each film once")
    return index


def _placed(frame: pd.DataFrame, index: pd.Index, what: str) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Film index and corners of each row, checked."""
    if missing := [c for c in ["image_id", *CORNERS] if c not in frame]:
        raise ValueError(f"{what} table lacks column {missing[0]!r}; it needs image_id, {', '.join(CORNERS)}")
    film = index.get_indexer(pd.Index(frame["image_id"]))
    if (film < 0).any():
        stray = frame["image_id"].to_numpy()[film < 0][0]
        raise ValueError(f"{what} on film {stray!r}, which is not among the films")
    corners = frame[CORNERS].to_numpy(float)
    _refuse(~np.isfinite(corners).all(axis=1), frame, what, "has a corner that is not finite")
    _refuse(
        (corners[:, 2] < corners[:, 0]) | (corners[:, 3] < corners[:, 1]),
        frame,
        what,
        "has its corners the wrong way round; corners are x_min, y_min, x_max, y_max (not width and height)",
    )
    return film.astype(np.int64), np.ascontiguousarray(corners)


def _refuse(bad: NDArray[np.bool_], frame: pd.DataFrame, what: str, rule: str) -> None:
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        values: Any = frame.iloc[row][[c for c in frame.columns if c in ("image_id", *CORNERS, "score")]].to_dict()
        raise ValueError(f"{what} in row {row} {rule}: {values}")


def _scores(boxes: pd.DataFrame) -> NDArray[np.float64]:
    if "score" not in boxes:
        raise ValueError("box table lacks column 'score'")
    score = boxes["score"].to_numpy(float)
    _refuse(~np.isfinite(score), boxes, "box", "has a score that is not finite")
    return score


@numba.njit(cache=True)
def iou(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Intersection over union of two boxes given by corners; 0 for two boxes without area."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)


@numba.njit(cache=True)
def _may_take(box: NDArray[np.float64], lesion: NDArray[np.float64], overlap: float, threshold: float) -> bool:
    if threshold >= 0:
        return overlap >= threshold
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    return lesion[0] <= x <= lesion[2] and lesion[1] <= y <= lesion[3]


@numba.njit(cache=True)
def _match(
    box_film: NDArray[np.int64],
    boxes: NDArray[np.float64],
    lesion_film: NDArray[np.int64],
    lesions: NDArray[np.float64],
    threshold: float,
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Lesion taken by each box (-1: none), and whether one without lesion is a duplicate; inputs sorted by film."""
    taken = np.full(len(boxes), -1, np.int64)
    duplicate = np.zeros(len(boxes), np.bool_)
    free = np.ones(len(lesions), np.bool_)
    start = 0
    for b in range(len(boxes)):
        while start < len(lesions) and lesion_film[start] < box_film[b]:
            start += 1
        best, candidate = -1.0, False
        at = start
        while at < len(lesions) and lesion_film[at] == box_film[b]:
            overlap = iou(boxes[b], lesions[at])
            if _may_take(boxes[b], lesions[at], overlap, threshold):
                candidate = True
                if free[at] and overlap >= best:  # >=: on a tie the last lesion, as pycocotools
                    best = overlap
                    taken[b] = at
            at += 1
        if taken[b] >= 0:
            free[taken[b]] = False
        else:
            duplicate[b] = candidate
    return taken, duplicate
