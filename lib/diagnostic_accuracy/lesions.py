"""Which predicted box hits which lesion.

Everything at lesion level starts from `Marks`: the boxes of one run on one set of films, each a hit or a false
positive, and the score that each lesion was found with. Boxes are continuous corner coordinates, without the "+1" of
inclusive pixels. Curves and average precision stand in `lesion_curves`, figures of merit with their variances in
`lesion_figures`, the measures of every bootstrap draw in `lesion_draws`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from diagnostic_accuracy._kernels import compiled

Vector = NDArray[np.float64]
Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]
Rule = Literal["iou50", "iou30", "iou10", "centre"]

RULES: dict[str, float] = {"iou50": 0.5, "iou30": 0.3, "iou10": 0.1, "centre": -1.0}
"""Least IoU of a hit; -1 = the centre of the predicted box lies in the lesion box, edges included."""

NEAR = 0.1
"""Least IoU of a box that is meant for a lesion, hit or not (TIDE)."""

CORNERS = ["x_min", "y_min", "x_max", "y_max"]


# --- marks ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Marks:
    """The marks of one run (or reader) on a set of films, judged against the reference standard.

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
    near : bool array, shape (marks,), or None
        The mark overlaps a lesion by an IoU of `NEAR` or more; None where only a verdict on each mark is known.
    """

    diseased: Flags
    film: Integers
    score: Vector
    hit: Flags
    duplicate: Flags
    lesion_film: Integers
    lesion_rating: Vector
    lesion_weight: Vector
    near: Flags | None = None

    @property
    def films(self) -> int:
        return len(self.diseased)

    @property
    def lesions(self) -> int:
        return len(self.lesion_film)

    @cached_property
    def highest(self) -> Vector:
        """Highest score of each film, any mark; -inf without marks."""
        return _highest(self.film, self.score, self.films)

    @cached_property
    def highest_false_positive(self) -> Vector:
        """Highest score among the false positives of each film; -inf without any."""
        return _highest(self.film[~self.hit], self.score[~self.hit], self.films)

    @cached_property
    def correct(self) -> Flags:
        """The film's highest mark is a hit; where several tie at the top, all of them are."""
        top = self.score == self.highest[self.film]
        wrong = np.zeros(self.films, bool)
        wrong[self.film[top & ~self.hit]] = True
        return np.isfinite(self.highest) & ~wrong

    @cached_property
    def lesions_per_film(self) -> Integers:
        return np.bincount(self.lesion_film, minlength=self.films)

    def without_duplicates(self) -> Marks:
        """The same films and lesions; duplicates are dropped instead of counted as false positives."""
        keep = ~self.duplicate
        near = None if self.near is None else self.near[keep]
        return replace(self, film=self.film[keep], score=self.score[keep], hit=self.hit[keep],
                       duplicate=self.duplicate[keep], near=near)  # fmt: skip

    def counts(self, threshold: float = -np.inf) -> dict[str, float | None]:
        """Counts over the marks with score >= threshold, and their ratios.

        False positives are of three kinds, as in TIDE (Bolya D et al., ECCV 2020): duplicates; misplaced, that is no
        hit but near a lesion; and background, the rest (None where it is not known which marks are near). A lesion that
        no mark hits is missed, whether or not one is near. A ratio is None where its denominator is 0.

        Returns
        -------
        dict
            films, diseased, lesions, marks, hits, false_positives, duplicates, misplaced, background, misses,
            films_with_a_hit; lesion_sensitivity, false_positives_per_film, false_positives_per_lesion_free_film,
            precision, f1.
        """
        kept = self.score >= threshold
        hits, false, other = self.hit & kept, ~self.hit & kept, ~self.hit & kept & ~self.duplicate
        clean, diseased = int((false & ~self.diseased[self.film]).sum()), int(self.diseased.sum())
        misplaced = None if self.near is None else int((other & self.near).sum())
        found: dict[str, Any] = {
            "films": self.films,
            "diseased": diseased,
            "lesions": self.lesions,
            "marks": int(kept.sum()),
            "hits": int(hits.sum()),
            "false_positives": int(false.sum()),
            "duplicates": int((false & self.duplicate).sum()),
            "misplaced": misplaced,
            "background": None if misplaced is None else int(other.sum()) - misplaced,
            "misses": self.lesions - int(hits.sum()),
            "films_with_a_hit": len(np.unique(self.film[hits])),
        }
        ratios = {
            "lesion_sensitivity": (found["hits"], self.lesions),
            "false_positives_per_film": (found["false_positives"], self.films),
            "false_positives_per_lesion_free_film": (clean, self.films - diseased),
            "precision": (found["hits"], found["marks"]),
            "f1": (2 * found["hits"], found["marks"] + self.lesions),
        }
        return found | {name: part / whole if whole else None for name, (part, whole) in ratios.items()}


def _highest(film: Integers, score: Vector, films: int) -> Vector:
    highest = np.full(films, -np.inf)
    np.maximum.at(highest, film, score)
    return highest


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

    Returns
    -------
    Marks

    Raises
    ------
    ValueError
        A lesion marked twice, a mark on a lesion of another film, weights that do not sum to 1.

    Examples
    --------
    >>> marks = marks_from_ratings([True, False], [0, 1], [0.9, 0.4], [0, -1], [0])
    >>> marks.counts(0.5)["lesion_sensitivity"]
    1.0
    """
    found, where = np.asarray(lesion, np.int64), np.asarray(film, np.int64)
    score, home = np.asarray(rating, float), np.asarray(lesion_film, np.int64)
    ill = np.asarray(diseased, bool)
    hits = found[found >= 0]
    if len(np.unique(hits)) < len(hits):
        raise ValueError("a lesion is marked as found twice; keep its highest mark and call the others duplicates")
    if (home[hits] != where[found >= 0]).any():
        raise ValueError("a mark is credited with a lesion of another film; give the lesion of the mark's own film")
    per_film = np.bincount(home, minlength=len(ill))
    if ((per_film > 0) != ill).any():
        raise ValueError("a film is diseased exactly if it has a lesion; check `diseased` against `lesion_film`")
    weight = 1.0 / per_film[home] if lesion_weight is None else np.asarray(lesion_weight, float)
    if weight.shape != home.shape or (weight < 0).any() or not np.allclose(np.bincount(home, weight, ill.size)[ill], 1):
        raise ValueError(f"give each of the {home.size} lesions a weight >= 0; they must sum to 1 in a diseased film")
    ratings = np.full(len(home), -np.inf)
    ratings[hits] = score[found >= 0]
    order = np.lexsort((-score, where))
    nothing = np.zeros(len(score), bool)
    return Marks(ill, where[order], score[order], (found >= 0)[order], nothing, home, ratings, weight)


# --- matching of boxes ------------------------------------------------------------------------------------------------


def match_boxes(films: ArrayLike, boxes: pd.DataFrame, lesions: pd.DataFrame, rule: Rule | float = "iou30") -> Marks:
    """Match the boxes of one run to the lesions, film by film.

    Boxes are taken by falling score, equal scores in row order. Of the lesions that a box may take and that are not
    yet taken it takes the one of highest IoU (on an exact tie the last in `lesion_id`, else row, order). It is then a
    hit; a box that takes none is a false positive, duplicates included. So one lesion yields at most one hit, and a box
    whose best lesion is taken falls back on its next one (COCO; the VOC rule would not).

    Parameters
    ----------
    films : array of identifiers, shape (films,)
        ALL films, those without boxes and without lesions too; each once.
    boxes : DataFrame
        image_id, x_min, y_min, x_max, y_max, score: one row a predicted box of this run.
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
        wrong way round (all such rows at once), an unknown rule.

    Notes
    -----
    Box by box equal to pycocotools 2.0.11 (IoU .1, .3, .5) on the lesion oracle cases.

    Examples
    --------
    >>> lesions = pd.DataFrame([["a", 0, 0, 10, 10]], columns=["image_id", *CORNERS])
    >>> boxes = pd.DataFrame([["a", 0, 0, 10, 5, 0.8]], columns=["image_id", *CORNERS, "score"])
    >>> match_boxes(["a", "b"], boxes, lesions, "iou50").hit.tolist()
    [True]
    """
    threshold = least_overlap(rule)
    return prepare_boxes(films, boxes, lesions).judged(threshold)


def least_overlap(rule: Rule | float) -> float:
    """Least IoU of a hit under a rule; -1 for the centre rule.

    Raises
    ------
    ValueError
        An unknown rule, or a number outside (0, 1].
    """
    if isinstance(rule, str):
        if rule not in RULES:
            raise ValueError(f"hit rule {rule!r} is unknown; choose one of {', '.join(RULES)} or an IoU in (0, 1]")
        return RULES[rule]
    if not 0 < rule <= 1:
        raise ValueError(f"an IoU of {rule} cannot be a hit rule: it must lie in (0, 1]")
    return float(rule)


@dataclass(frozen=True)
class PreparedBoxes:
    """Boxes and lesions checked and sorted by film, boxes then by falling score: matched at several rules in turn."""

    films: int
    box_film: Integers
    score: Vector
    boxes: Vector
    lesion_film: Integers
    lesions: Vector

    def judged(self, threshold: float) -> Marks:
        """Match at a least IoU (-1: centre rule)."""
        taken, duplicate, near = match_sorted(self.box_film, self.boxes, self.lesion_film, self.lesions, threshold)
        rating = np.full(len(self.lesion_film), -np.inf)
        rating[taken[taken >= 0]] = self.score[taken >= 0]
        per_film = np.bincount(self.lesion_film, minlength=self.films)
        weight = 1.0 / per_film[self.lesion_film]
        return Marks(per_film > 0, self.box_film, self.score, taken >= 0, duplicate, self.lesion_film, rating, weight,
                     near)  # fmt: skip


def prepare_boxes(films: ArrayLike, boxes: pd.DataFrame, lesions: pd.DataFrame) -> PreparedBoxes:
    """Check and sort once what `match_boxes` matches; same input, same errors."""
    index = pd.Index(np.asarray(films))
    if not index.is_unique:
        raise ValueError(f"film {index[index.duplicated()][0]!r} is named twice; name each film once")
    faults = _table_faults(boxes, index, "box", [*CORNERS, "score"]) + _table_faults(lesions, index, "lesion", CORNERS)
    if faults:
        raise ValueError("\n".join(faults))
    box_film, lesion_film = (index.get_indexer(pd.Index(table["image_id"])) for table in (boxes, lesions))
    score = boxes["score"].to_numpy(float)
    order = np.lexsort((-score, box_film))  # lexsort is stable: equal scores keep their row order
    keys = (lesions["lesion_id"].to_numpy(), lesion_film) if "lesion_id" in lesions else (lesion_film,)
    placed = np.lexsort(keys)
    corners, truth = (np.ascontiguousarray(table[CORNERS].to_numpy(float)) for table in (boxes, lesions))
    return PreparedBoxes(len(index), box_film[order], score[order], corners[order], lesion_film[placed], truth[placed])


def _table_faults(table: pd.DataFrame, index: pd.Index, what: str, numbers: list[str]) -> list[str]:
    """What is wrong with a table of boxes, one sentence a kind, with the rows."""
    if missing := [name for name in ("image_id", *numbers) if name not in table]:
        wanted = ", ".join(("image_id", *numbers))
        return [f"{what} table lacks column {', '.join(map(repr, missing))}; it needs {wanted}"]
    values = table[numbers].to_numpy(float)
    stray = index.get_indexer(pd.Index(table["image_id"])) < 0
    finite = np.isfinite(values)
    turned = (values[:, 2] < values[:, 0]) | (values[:, 3] < values[:, 1])
    kinds = {
        f"{what} on film {{film!r}}, which is not among the films": stray,
        f"{what} has a corner that is not finite": ~finite[:, :4].all(axis=1),
        f"{what} has a score that is not finite": ~finite[:, 4:].all(axis=1),
        f"{what} has its corners the wrong way round (x_min, y_min, x_max, y_max; not width and height)": turned,
    }
    return [_said(kind, bad, table, numbers) for kind, bad in kinds.items() if bad.any()]


def _said(kind: str, bad: Flags, table: pd.DataFrame, numbers: list[str]) -> str:
    rows = np.flatnonzero(bad)
    first: dict[str, Any] = table.iloc[rows[0]][["image_id", *numbers]].to_dict()
    more = ", ".join(map(str, rows[:20])) + (f" and {rows.size - 20} more" if rows.size > 20 else "")
    return f"{kind.format(film=first['image_id'])}: row {more}; the first holds {first}"


@compiled()
def iou(a: Vector, b: Vector) -> float:
    """Intersection over union of two boxes given by corners; 0 for two boxes without area."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)


@compiled()
def match_sorted(
    box_film: Integers, boxes: Vector, lesion_film: Integers, lesions: Vector, threshold: float
) -> tuple[Integers, Flags, Flags]:
    """Lesion taken by each box (-1: none), whether one without lesion is a duplicate, whether it is near a lesion.

    Parameters
    ----------
    box_film, lesion_film : int array
        Film of every box, and of every lesion; both ascending.
    boxes, lesions : float array of shape (n, 4)
        Corners x_min, y_min, x_max, y_max.
    threshold : float
        Smallest overlap (IoU) of a hit; below 0: the centre of the box lies inside the lesion.
    """
    taken = np.full(len(boxes), -1, np.int64)
    duplicate, near = np.zeros(len(boxes), np.bool_), np.zeros(len(boxes), np.bool_)
    free = np.ones(len(lesions), np.bool_)
    start = 0
    for b in range(len(boxes)):
        while start < len(lesions) and lesion_film[start] < box_film[b]:
            start += 1
        best, candidate = -1.0, False
        x, y = (boxes[b, 0] + boxes[b, 2]) / 2, (boxes[b, 1] + boxes[b, 3]) / 2
        at = start
        while at < len(lesions) and lesion_film[at] == box_film[b]:
            overlap, lesion = iou(boxes[b], lesions[at]), lesions[at]
            near[b] = near[b] or overlap >= NEAR
            inside = lesion[0] <= x <= lesion[2] and lesion[1] <= y <= lesion[3]
            if overlap >= threshold if threshold >= 0 else inside:
                candidate = True
                if free[at] and overlap >= best:  # >=: on a tie the last lesion, as pycocotools
                    best = overlap
                    taken[b] = at
            at += 1
        if taken[b] >= 0:
            free[taken[b]] = False
        else:
            duplicate[b] = candidate
    return taken, duplicate, near
