"""COCO's summary of boxes (AP, AP50, AP75, AR), one finding, all box sizes.

Own code after the definitions, equal to pycocotools 2.0.11: its grids are numpy.linspace, so IoU .9 is
0.8999999999999999 there and ten recall levels lie just above k/100. Its AP changes with the order of tied scores; the
grouped value of `localisation.lesion_average_precision` does not, and is the one to compare arms by.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from osteotl.statistics.localisation import lesion_average_precision
from osteotl.statistics.matching import Marks, prepare_boxes

IOU_GRID = np.linspace(0.5, 0.95, 10)
MOST_BOXES = 100


@dataclass(frozen=True)
class CocoSummary:
    """AP = mean over IoU .5 ... .95; AR1, AR10, AR100 = mean share of lesions hit by the top 1, 10, 100 boxes."""

    ap: float
    ap50: float
    ap75: float
    ar1: float
    ar10: float
    ar100: float


def coco_summary(films: ArrayLike, boxes: pd.DataFrame, lesions: pd.DataFrame) -> CocoSummary:
    """COCO summary of one arm.

    Parameters
    ----------
    films, boxes, lesions
        As `matching.match_boxes`; films in the order in which COCO would list them. Without boxes every value is 0.

    Raises
    ------
    ValueError
        No lesion, or what `match_boxes` raises.
    """
    if len(lesions) == 0:
        raise ValueError("no lesion in the reference standard: COCO AP does not exist")
    prepared = prepare_boxes(films, boxes, lesions)
    per_iou = [_first_per_film(prepared.judged(float(t)), MOST_BOXES) for t in IOU_GRID]
    precision = [lesion_average_precision(m).coco101_row_order for m in per_iou]
    recall = [float(np.mean([_recall(m, most) for m in per_iou])) for most in (1, 10, 100)]
    return CocoSummary(float(np.mean(precision)), precision[0], precision[5], *recall)


def _rank_in_film(marks: Marks) -> NDArray[np.int64]:
    """0, 1, 2 ... within each film; marks stand by film, then by falling score."""
    first = np.searchsorted(marks.film, marks.film, side="left")
    return np.arange(len(marks.film)) - first


def _first_per_film(marks: Marks, most: int) -> Marks:
    keep = _rank_in_film(marks) < most
    return Marks(
        marks.diseased,
        marks.film[keep],
        marks.score[keep],
        marks.hit[keep],
        marks.duplicate[keep],
        marks.lesion_film,
        marks.lesion_rating,
        marks.lesion_weight,
    )


def _recall(marks: Marks, most: int) -> float:
    return float((marks.hit & (_rank_in_film(marks) < most)).sum() / marks.lesions)
