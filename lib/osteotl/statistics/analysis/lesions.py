"""Right film, right place: what the boxes say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from osteotl.statistics.analysis.curves import thin
from osteotl.statistics.analysis.prepare import Prepared
from osteotl.statistics.coco import coco_summary
from osteotl.statistics.estimate import Estimate
from osteotl.statistics.lesion_replicates import lesion_replicates
from osteotl.statistics.localisation import froc, lroc
from osteotl.statistics.matching import Marks
from osteotl.statistics.replicate_values import jackknife_covariance
from osteotl.statistics.replicates import Replicates, arm_mean, compare_replicates

FIGURES = {"lroc_area": "LROC", "wafroc": "wAFROC"}
RATIOS = ("lesion_sensitivity", "false_marks_per_film", "right_place")


def share_replicates(prepared: Prepared, name: str) -> Replicates | None:
    """A ratio over films for every run at the main point, with covariances by leaving out one patient.

    lesion_sensitivity: lesions hit of all; false_marks_per_film: marks that hit nothing; right_place: malignant films
    that were called positive with their highest box on the lesion; wrong_place: called positive with it elsewhere.
    """
    point = prepared.main
    if not prepared.marks or point is None:
        return None
    films = prepared.external
    codes = films.codes
    over, under = [], []
    for arm in prepared.arms:
        for seed in prepared.seeds:
            run = (arm, seed)
            parts = _ratio(prepared.marks[arm][seed], name, films.label, films.score[run], point.threshold[run])
            over.append(np.bincount(codes, parts[0]))
            under.append(np.bincount(codes, parts[1]))
    top, bottom = np.array(over), np.array(under)
    whole, rest = bottom.sum(axis=1, keepdims=True), bottom.sum(axis=1, keepdims=True) - bottom
    if (whole == 0).any() or (rest == 0).any():
        return None
    values, left_out = top.sum(axis=1) / whole[:, 0], (top.sum(axis=1, keepdims=True) - top) / rest
    shape = (len(prepared.arms), len(prepared.seeds))
    spread = jackknife_covariance(left_out)
    units = None if name == "false_marks_per_film" else (bottom > 0).sum(axis=1).reshape(shape)
    return Replicates(
        name, tuple(prepared.arms), tuple(prepared.seeds), values.reshape(shape), spread, top.shape[1], "jackknife",
        denominators=units,
    )  # fmt: skip


def _ratio(
    marks: Marks, name: str, label: NDArray[np.bool_], score: NDArray[np.float64], threshold: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Numerator and denominator of a ratio, film by film."""
    size = label.size
    if name == "lesion_sensitivity":
        hits = np.bincount(marks.film[marks.hit & (marks.score >= threshold)], minlength=size)
        return hits.astype(float), marks.lesions_per_film.astype(float)
    if name == "false_marks_per_film":
        return np.bincount(marks.film[~marks.hit & (marks.score >= threshold)], minlength=size).astype(float), np.ones(
            size
        )
    right = marks.correct
    placed = right if name == "right_place" else ~right
    return (label & (score >= threshold) & placed).astype(float), label.astype(float)


def arm_localisation(prepared: Prepared, arm: str) -> dict[str, Any]:
    """The block `localisation` of an arm; empty where the study has no boxes."""
    if not prepared.marks:
        return {}
    confidence = prepared.settings.confidence
    block: dict[str, Any] = {"rule": prepared.settings.hit_rule}
    for name in RATIOS:
        values = share_replicates(prepared, name)
        if values is not None:
            limits = (0.0, np.inf) if name == "false_marks_per_film" else (0.0, 1.0)
            block[name] = arm_mean(values, arm, confidence, limits=limits).to_dict()
    for name, figure in FIGURES.items():
        values = lesion_replicates(prepared.marks, figure, prepared.external.clusters)  # type: ignore[arg-type]
        block[name] = arm_mean(values, arm, confidence).to_dict()
    return block | _coco(prepared, arm)


def _coco(prepared: Prepared, arm: str) -> dict[str, Any]:
    """COCO average precision, mean over seeds: for comparison with other papers, without interval."""
    detections, boxes = prepared.inputs.detections, prepared.inputs.boxes
    if detections is None or boxes is None:
        return {}
    films = prepared.external.films
    lesions = boxes[boxes["image_id"].isin(films)]
    lesions = lesions.assign(lesion_id=lesions.groupby("image_id").cumcount())
    rows = detections[(detections["arm"] == arm) & (detections["fraction"] == prepared.inputs.fractions[-1])]
    found = [
        coco_summary(films, rows[(rows["seed"] == s) & rows["image_id"].isin(films)], lesions) for s in prepared.seeds
    ]
    method = f"COCO, mean of {len(found)} runs, point estimate"
    means = {
        f"coco_{name.lower()}": float(np.mean([getattr(one, name.lower()) for one in found])) for name in ("AP", "AP50")
    }
    return {name: Estimate(value, None, None, method, len(lesions)).to_dict() for name, value in means.items()}


def wrong_place_per_100(prepared: Prepared, arm: str) -> dict[str, Any]:
    """Malignant films per 100 that were called positive for a place that is not the lesion."""
    values = share_replicates(prepared, "wrong_place")
    if values is None:
        reason = "the study has no boxes" if not prepared.marks else "no operating point"
        return Estimate.missing(
            reason, "highest box of the film against the lesion", prepared.external.films.size
        ).to_dict()
    return arm_mean(values, arm, prepared.settings.confidence).map(lambda share: 100 * share).to_dict()


def compare_localisation(prepared: Prepared, arm: str) -> dict[str, Any]:
    """Differences to the reference in place."""
    if not prepared.marks:
        return {}
    asked = prepared.settings
    block = {}
    for name in RATIOS:
        values = share_replicates(prepared, name)
        if values is not None:
            block[name] = compare_replicates(values, arm, asked.reference, asked.confidence).difference.to_dict()
    for name, figure in FIGURES.items():
        values = lesion_replicates(prepared.marks, figure, prepared.external.clusters)  # type: ignore[arg-type]
        block[name] = compare_replicates(values, arm, asked.reference, asked.confidence).difference.to_dict()
    return block


def lesion_tables(prepared: Prepared) -> dict[str, pd.DataFrame]:
    """froc.csv (arm, seed, threshold, fp_per_film, sensitivity) and lroc.csv (arm, seed, fpf, pcl)."""
    if not prepared.marks:
        return {}
    free, located = [], []
    for arm, runs in prepared.marks.items():
        for seed, marks in runs.items():
            curve, place = froc(marks), lroc(marks)
            kept = thin(len(curve.per_film))
            free.append(pd.DataFrame({"arm": arm, "seed": seed, "fp_per_film": curve.per_film[kept],
                                      "sensitivity": curve.sensitivity[kept]}))  # fmt: skip
            kept = thin(len(place.false_positive_fraction))
            located.append(pd.DataFrame({"arm": arm, "seed": seed, "fpf": place.false_positive_fraction[kept],
                                         "pcl": place.share_correct[kept]}))  # fmt: skip
    return {"froc": pd.concat(free, ignore_index=True), "lroc": pd.concat(located, ignore_index=True)}
