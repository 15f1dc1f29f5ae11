"""Curves of localisation and average precision of lesion hits, from the marks of one run.

Free-response ROC (FROC), localisation ROC (LROC), precision and recall of lesions, and COCO's summary. Film weights
(how often each film is drawn) give every curve on a bootstrap sample: a film drawn twice is two films.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from hotcoco import COCO, COCOeval
from numpy.typing import ArrayLike, NDArray

from diagnostic_accuracy.checks import check_weights
from diagnostic_accuracy.lesions import Marks, PreparedBoxes
from diagnostic_accuracy.roc import Line, area_until, cumulated, read_curve

Vector = NDArray[np.float64]

FALSE_MARKS = (1 / 8, 1 / 4, 1 / 2, 1.0, 2.0, 4.0, 8.0)
"""False marks per film at which LUNA16 reads the FROC curve (the mean of the sensitivities there is its CPM)."""

OVERLAPS = np.linspace(0.5, 0.95, 10)
"""COCO's overlaps; numpy.linspace makes .9 of it 0.8999999999999999, and COCO judges by that."""

COCO_MEASURES = ("AP", "AP50", "AP75", "AR1", "AR10", "AR100")


def film_weights_or_ones(weights: ArrayLike | None, films: int) -> Vector:
    """Film weights, checked; ones where none are given."""
    return np.ones(films) if weights is None else check_weights(weights, films, "film weights")


# --- FROC -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Froc:
    """Free-response ROC: one point per distinct score, score >= threshold, falling.

    Attributes
    ----------
    threshold, hits, false_positives, false_positives_lesion_free : arrays, shape (points,)
        Cumulative (weighted) counts.
    films, lesion_free, lesions : float
        (Weighted) totals: all films, films without lesion, lesions.
    """

    threshold: Vector
    hits: Vector
    false_positives: Vector
    false_positives_lesion_free: Vector
    films: float
    lesion_free: float
    lesions: float

    @property
    def sensitivity(self) -> Vector:
        """Share of lesions hit, shape (points,)."""
        return self.hits / self.lesions

    @property
    def per_film(self) -> Vector:
        """False positives per film, all films in the denominator."""
        return self.false_positives / self.films

    def sensitivity_at(
        self, rates: float | Sequence[float] = FALSE_MARKS, line: Line = "interp", lesion_free: bool = False
    ) -> Vector:
        """Lesion sensitivity at given numbers of false positives per film.

        Parameters
        ----------
        rates : float or sequence
            False positives per film, >= 0.
        line : {"interp", "step"}
            Straight lines from (0, 0) through the points (top of a vertical step, flat after the last point), or the
            highest sensitivity among points that do not exceed the rate.
        lesion_free : bool
            Count false positives on lesion-free films only, and divide by their number.

        Raises
        ------
        ValueError
            A negative rate; `lesion_free` without lesion-free films.
        """
        if lesion_free and not self.lesion_free:
            raise ValueError("no lesion-free film: false positives per lesion-free film do not exist; use all films")
        x = self.false_positives_lesion_free / self.lesion_free if lesion_free else self.per_film
        return read_curve(x, self.sensitivity, rates, line)

    def area(self, upto: float) -> float:
        """(1/upto) x area under the straight-line curve from 0 to `upto` false positives per film, in [0, 1]."""
        return area_until(self.per_film, self.sensitivity, upto) / upto


def froc(marks: Marks, film_weights: ArrayLike | None = None) -> Froc:
    """Free-response ROC curve of one run.

    Parameters
    ----------
    marks : Marks
    film_weights : array, shape (films,), optional

    Raises
    ------
    ValueError
        No lesion among the (drawn) films.

    Notes
    -----
    Step values as picai_eval 1.4 (which drops the lowest threshold where no lesion is missed), interpolated ones as
    numpy.interp; see the lesion oracle cases.

    Examples
    --------
    >>> from diagnostic_accuracy.lesions import marks_from_ratings
    >>> curve = froc(marks_from_ratings([True, False], [0, 1], [0.4, 0.9], [0, -1], [0]))
    >>> curve.sensitivity_at([0.25, 1.0]).tolist()
    [0.0, 1.0]
    """
    weights = film_weights_or_ones(film_weights, marks.films)
    lesions = float(weights[marks.lesion_film].sum())
    if lesions == 0:
        raise ValueError("no lesion among the films: lesion sensitivity does not exist; give films with lesions")
    drawn, hit, clean = weights[marks.film], marks.hit, ~marks.hit & ~marks.diseased[marks.film]
    score, hits, false, lesion_free = cumulated(marks.score, drawn * hit, drawn * ~hit, drawn * clean)
    healthy = float(weights[~marks.diseased].sum())
    return Froc(score, hits, false, lesion_free, float(weights.sum()), healthy, lesions)


# --- LROC -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Lroc:
    """Localisation ROC: the film's highest score, right only if that box is a hit.

    Attributes
    ----------
    threshold, false_positives, correct : arrays, shape (points,)
        One point per distinct finite rating, falling: lesion-free films at or above it, diseased films at or above it
        that are also localised correctly ((weighted) counts).
    lesion_free, diseased : float
    """

    threshold: Vector
    false_positives: Vector
    correct: Vector
    lesion_free: float
    diseased: float

    @property
    def false_positive_fraction(self) -> Vector:
        return self.false_positives / self.lesion_free

    @property
    def share_correct(self) -> Vector:
        """Diseased films rated at or above the threshold and localised correctly, of all diseased films (PCL)."""
        return self.correct / self.diseased

    @property
    def area(self) -> float:
        """Area under the curve in [0, 1]: the share of (diseased, lesion-free) pairs ranked AND localised right."""
        return area_until(self.false_positive_fraction, self.share_correct, 1.0)


def lroc(marks: Marks, film_weights: ArrayLike | None = None) -> Lroc:
    """LROC curve of one run from its boxes; see `lroc_of_ratings`.

    Examples
    --------
    >>> from diagnostic_accuracy.lesions import marks_from_ratings
    >>> lroc(marks_from_ratings([True, False], [0, 1], [0.4, 0.2], [0, -1], [0])).area
    1.0
    """
    return lroc_of_ratings(marks.diseased, marks.highest, marks.correct, film_weights)


def lroc_of_ratings(
    diseased: ArrayLike, rating: ArrayLike, correct: ArrayLike, film_weights: ArrayLike | None = None
) -> Lroc:
    """LROC curve from one rating per film.

    Parameters
    ----------
    diseased : bool array, shape (films,)
    rating : array, shape (films,)
        -inf for a film without a mark.
    correct : bool array, shape (films,)
        The mark of a diseased film lies on its lesion; ignored on lesion-free films.
    film_weights : array, shape (films,), optional

    Raises
    ------
    ValueError
        One class only, NaN among the ratings.

    Notes
    -----
    Areas as RJafroc 2.1.3 ('ALROC'); its 'PCL' takes the bottom of a vertical step (line='rjafroc').
    """
    ill, height = np.asarray(diseased, bool), np.asarray(rating, float)
    right = np.asarray(correct, bool) & ill & np.isfinite(height)
    weights = film_weights_or_ones(film_weights, len(ill))
    if np.isnan(height).any():
        raise ValueError(f"rating[{int(np.isnan(height).argmax())}] is not a number; a film without a mark has -inf")
    total, healthy = float(weights[ill].sum()), float(weights[~ill].sum())
    if total == 0 or healthy == 0:
        raise ValueError("LROC needs diseased and lesion-free films; one of the two is absent")
    threshold, false, true = cumulated(height, weights * ~ill, weights * right)
    rated = np.isfinite(threshold)
    return Lroc(threshold[rated], false[rated], true[rated], healthy, total)


# --- precision and recall of lesions ----------------------------------------------------------------------------------


def lesion_average_precision(
    marks: Marks, film_weights: ArrayLike | None = None, film_order: ArrayLike | None = None
) -> dict[str, float]:
    """Average precision of lesion hits in four readings, each in [0, 1].

    Parameters
    ----------
    marks : Marks
    film_weights : array, shape (films,), optional
    film_order : int array, shape (films,), optional
        Rank of each film in the file, for `coco101_row_order` only; default: as given.

    Returns
    -------
    dict
        step: sum of recall gains x precision (scikit-learn, picai_eval); tied scores enter together. envelope: the same
        with the highest precision at or beyond each recall (VOC 2010 and later). coco101: mean of the envelope over
        recalls 0, .01 ... 1. coco101_row_order: as pycocotools prints it, with tied boxes one at a time, in file order,
        so that it changes with it.

    Raises
    ------
    ValueError
        No lesion among the films.

    Examples
    --------
    >>> from diagnostic_accuracy.lesions import marks_from_ratings
    >>> lesion_average_precision(marks_from_ratings([True, False], [0, 1], [0.4, 0.9], [0, -1], [0]))["step"]
    0.5
    """
    curve, weights = froc(marks, film_weights), film_weights_or_ones(film_weights, marks.films)
    gains, precision = np.diff(curve.sensitivity, prepend=0.0), _precision(curve.hits, curve.false_positives)
    rank = np.arange(marks.films) if film_order is None else np.asarray(film_order)
    order = np.lexsort((rank[marks.film], -marks.score))  # stable: rows of one film stay in score, then row, order
    boxes = weights[marks.film[order]]
    hits, false = np.cumsum(boxes * marks.hit[order]), np.cumsum(boxes * ~marks.hit[order])
    return {
        "step": float(gains @ precision),
        "envelope": float(gains @ _envelope(precision)),
        "coco101": _on_grid(curve.sensitivity, precision),
        "coco101_row_order": _on_grid(hits / curve.lesions, _precision(hits, false)),
    }


def _precision(hits: Vector, false: Vector) -> Vector:
    """Precision with 0 where no (drawn) box has entered yet: films of weight 0 leave such points behind."""
    return np.divide(hits, hits + false, out=np.zeros_like(hits), where=hits + false > 0)


def _envelope(precision: Vector) -> Vector:
    return np.maximum.accumulate(precision[::-1])[::-1]


def _on_grid(recall: Vector, precision: Vector) -> float:
    """Mean over recalls r of the envelope at the first recall >= r; linspace, as pycocotools does."""
    at = np.searchsorted(recall, np.linspace(0, 1, 101), side="left")
    return float(np.append(_envelope(precision), 0.0)[np.minimum(at, len(recall))].mean())


def coco_summary(prepared: PreparedBoxes) -> dict[str, float]:
    """COCO's summary of the boxes of one run (one finding, all sizes), by the package hotcoco.

    Parameters
    ----------
    prepared : PreparedBoxes
        From `lesions.prepare_boxes`; films in the order in which COCO would list them.

    Returns
    -------
    dict
        AP: mean over IoU .5 ... .95; AP50, AP75; AR1, AR10, AR100: mean share of lesions hit by the top 1, 10, 100
        boxes. Zeros without boxes.

    Raises
    ------
    ValueError
        No lesion.

    Notes
    -----
    Matches pycocotools 2.0.11. Its AP changes with the order of tied scores; `lesion_average_precision` groups them.

    Examples
    --------
    >>> import pandas as pd
    >>> from diagnostic_accuracy.lesions import CORNERS, prepare_boxes
    >>> lesions = pd.DataFrame([["a", 0, 0, 10, 10]], columns=["image_id", *CORNERS])
    >>> boxes = lesions.assign(score=0.8)
    >>> round(coco_summary(prepare_boxes(["a", "b"], boxes, lesions))["AP"], 6)
    1.0
    """
    if not len(prepared.lesions):
        raise ValueError("no lesion in the reference standard: COCO AP does not exist; give films with lesions")
    if not len(prepared.boxes):
        return dict.fromkeys(COCO_MEASURES, 0.0)
    images = [{"id": place + 1, "width": 1, "height": 1} for place in range(prepared.films)]
    home = prepared.lesion_film + 1  # ids start at 1: pycocotools takes 0 for 'no match'
    truth = COCO.from_arrays(images, [{"id": 1, "name": "lesion"}], home, np.ones_like(home), _sized(prepared.lesions))
    rows = np.column_stack([prepared.box_film + 1.0, _sized(prepared.boxes), prepared.score])
    judged = COCOeval(truth, truth.load_res(rows), "bbox")
    judged.evaluate()
    judged.accumulate()
    # axes: overlap, recall level, class, size of lesion, boxes a film (1, 10, 100)
    tables: dict[str, Any] = judged.eval or {}
    precision = np.asarray(tables["precision"])[:, :, 0, 0, 2].mean(axis=1)
    recall = np.asarray(tables["recall"])[:, 0, 0, :].mean(axis=0)
    values = [precision.mean(), precision[0], precision[5], *recall]
    return dict(zip(COCO_MEASURES, map(float, values), strict=True))


def _sized(corners: Vector) -> Vector:
    """x, y, width, height of boxes given by corners."""
    return np.ascontiguousarray(np.column_stack([corners[:, :2], corners[:, 2:] - corners[:, :2]]))
