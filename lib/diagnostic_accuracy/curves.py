"""Tables of curves, which figures draw: one row a point, thinned to what can be seen.

`run` is the run's name; an empty run is the mean over the runs of an arm, taken vertically.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit

from diagnostic_accuracy.bootstrap import Draws
from diagnostic_accuracy.calibration_curves import calibration_table, smooth_calibration
from diagnostic_accuracy.lesion_curves import froc, lroc
from diagnostic_accuracy.lesions import Marks
from diagnostic_accuracy.roc import precision_recall_curve, roc_curve
from diagnostic_accuracy.scores import Scores

Floats = NDArray[np.float64]
Points = tuple[Floats, Floats, Floats]  # threshold, x (rising), y

MOST_POINTS = 2_000  # of a drawn curve: more cannot be seen, and a million films must still make a small page
LOESS_FILMS = 20_000  # from here the smoother takes longer than the curve is worth


def thin(size: int) -> NDArray[np.int64]:
    """Indices of at most MOST_POINTS evenly spread points, both ends among them."""
    if size <= MOST_POINTS:
        return np.arange(size)
    return np.unique(np.linspace(0, size - 1, MOST_POINTS).round().astype(int))


def roc_curves(scores: Scores) -> pd.DataFrame:
    """ROC curves of the external cases: arm, run, threshold, x (1 - specificity), y (sensitivity).

    The threshold of the first point, and of every point of a mean curve, is missing.
    """

    def points(label: NDArray[np.bool_], score: Floats) -> Points:
        curve = roc_curve(label, score)
        threshold = np.where(np.isfinite(curve.thresholds), curve.thresholds, np.nan)
        return threshold, 1 - curve.specificity, curve.sensitivity

    return _of_scores(scores, points, np.linspace(0, 1, 401))


def precision_recall_curves(scores: Scores) -> pd.DataFrame:
    """Precision-recall curves of the external cases: arm, run, threshold, x (recall), y (precision)."""

    def points(label: NDArray[np.bool_], score: Floats) -> Points:
        thresholds, precision, recall = precision_recall_curve(label, score)
        return thresholds, recall, precision

    return _of_scores(scores, points, np.linspace(0.01, 1, 400))


def _of_scores(scores: Scores, points: Callable[..., Points], grid: Floats) -> pd.DataFrame:
    label, values = scores.external.label.to_numpy(), scores.external.values
    return _with_means({run: points(label, values[run].to_numpy()) for run in scores.runs}, grid, ())


def _with_means(curves: Mapping[tuple[str, object], Points], grid: Floats, start: Sequence[float]) -> pd.DataFrame:
    """The curve of each run, thinned, and the mean over the runs of each arm; `start`: x, and y, of a first point."""
    parts: list[dict[str, Any]] = []
    heights: dict[str, list[Floats]] = {}
    for (arm, run), (threshold, x, y) in curves.items():
        heights.setdefault(arm, []).append(np.interp(grid, np.append(start, x), np.append(start, y)))
        kept = thin(x.size)
        parts.append({"arm": arm, "run": str(run), "threshold": threshold[kept], "x": x[kept], "y": y[kept]})
    for arm, rows in heights.items():
        parts.append({"arm": arm, "run": "", "threshold": np.nan, "x": grid, "y": np.mean(rows, axis=0)})
    return pd.concat([pd.DataFrame(part) for part in parts], ignore_index=True)


def risks_of(draws: Draws, recalibration: str) -> pd.DataFrame:
    """Risks of the external films, cases x runs; NaN for a run without recalibration."""
    external, lines = draws.scores.external, draws.lines[recalibration]
    return pd.DataFrame(
        expit(lines[:, 0] + lines[:, 1] * external.predictor.to_numpy()),
        index=external.predictor.index,
        columns=external.predictor.columns,
    )


def calibration_curves(draws: Draws, confidence: float = 0.95) -> pd.DataFrame:
    """Deciles and smooth curves: arm, run, recalibration, curve, predicted, observed, lower, upper, n.

    An empty run is the mean over runs: the risks of a film are averaged over the runs of an arm.
    """
    label = draws.scores.external.label.to_numpy()
    smoother = "loess" if label.size <= LOESS_FILMS else "lowess"
    parts = []
    for kind in draws.lines:
        risks = risks_of(draws, kind)
        columns = {(arm, str(run)): risks[arm, run].to_numpy() for arm, run in draws.runs}
        columns |= {(arm, ""): risks[arm].to_numpy().mean(axis=1) for arm in draws.scores.arms}
        for (arm, run), risk in columns.items():
            if np.isfinite(risk).all():
                parts += [
                    part.assign(arm=arm, run=run, recalibration=kind)
                    for part in _calibration(label, risk, smoother, confidence)
                ]
    names = ["arm", "run", "recalibration", "curve", "predicted", "observed", "lower", "upper", "n"]
    return pd.concat(parts, ignore_index=True).reindex(columns=names) if parts else pd.DataFrame(columns=names)


def _calibration(label: NDArray[np.bool_], risk: Floats, smoother: str, confidence: float) -> list[pd.DataFrame]:
    deciles = calibration_table(label, risk, 10, confidence).assign(curve="decile")
    smooth = smooth_calibration(label, risk, smoother)
    kept = thin(smooth.predicted.size)
    line = pd.DataFrame({"predicted": smooth.predicted[kept], "observed": smooth.observed[kept].clip(0, 1)}).dropna()
    return [deciles, line.assign(curve="smooth")]


def draw_histogram(draws: Draws, measure: str, reference: str) -> pd.DataFrame:
    """Histogram of the draws of a difference of means: measure, arm, reference, left, right, count."""
    rows: list[tuple[Any, ...]] = []
    for arm in (arm for arm in draws.scores.arms if arm != reference):
        gap = draws.difference(arm, reference, measure, "film")
        count, edges = np.histogram(gap[np.isfinite(gap)], bins=40)
        rows += [(measure, arm, reference, *bar) for bar in zip(edges[:-1], edges[1:], count, strict=True)]
    return pd.DataFrame(rows, columns=["measure", "arm", "reference", "left", "right", "count"])


def lesion_curves(marks: Mapping[tuple[str, object], Marks]) -> dict[str, pd.DataFrame]:
    """FROC and LROC curves: arm, run, threshold, x, y.

    x is false marks per film (FROC) or the share of normal films with a mark (LROC); y is the share of lesions hit, or
    of malignant films whose highest mark is on the lesion. An empty run is the mean over runs, taken vertically.
    """
    free, localised = dict[tuple[str, object], Points](), dict[tuple[str, object], Points]()
    for run, one in marks.items():
        curve, other = froc(one), lroc(one)
        free[run] = curve.threshold, curve.per_film, curve.sensitivity
        localised[run] = other.threshold, other.false_positive_fraction, other.share_correct
    return {
        "froc": _with_means(free, np.linspace(0, 4, 401), (0.0,)),
        "lroc": _with_means(localised, np.linspace(0, 1, 401), (0.0,)),
    }


def placed_films(marks: Mapping[tuple[str, object], Marks], films: pd.Index) -> pd.DataFrame:
    """In how many runs of each arm the highest mark of a film is on the lesion: image_id, arm, placed."""
    right: dict[str, NDArray[np.int64]] = {}
    for (arm, _), one in marks.items():
        right[arm] = right.get(arm, np.zeros(len(films), np.int64)) + one.correct
    parts = [pd.DataFrame({"image_id": films, "arm": arm, "placed": values}) for arm, values in right.items()]
    return pd.concat(parts, ignore_index=True)
