"""Lesion measures of every run in every draw of the joint bootstrap.

Boxes are matched to lesions once; a draw then needs only how often each film was drawn. The values join `Draws`, so
that `inference` gives lesion measures the same kind of interval as all others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from diagnostic_accuracy._kernels import compiled
from diagnostic_accuracy.bootstrap import Draws
from diagnostic_accuracy.estimates import Estimate, results
from diagnostic_accuracy.lesion_curves import OVERLAPS, coco_summary
from diagnostic_accuracy.lesion_figures import kernel, replicate_figures
from diagnostic_accuracy.lesions import Marks, PreparedBoxes, Rule, least_overlap, prepare_boxes
from diagnostic_accuracy.scores import Scores
from diagnostic_accuracy.subgroups import sample_and_draws, within
from diagnostic_accuracy.thresholds import Point

Vector = NDArray[np.float64]
Counts = NDArray[np.uint16]
Key = tuple[Any, ...]

FALSE_MARKS = (1 / 8, 1 / 4, 1 / 2, 1.0, 2.0)
MOST_BOXES = 100  # COCO judges the first 100 boxes of a film
TOGETHER = 128  # draws whose boxes are counted together


def lesion_measures(
    draws: Draws,
    detections: pd.DataFrame,
    reference_boxes: pd.DataFrame,
    rule: Rule | float = "iou30",
) -> dict[tuple[str, object], Marks]:
    """Add the lesion measures of every run to the draws.

    Parameters
    ----------
    draws : Draws
        From `bootstrap`.
    detections : DataFrame
        image_id, arm, seed (the run), x_min, y_min, x_max, y_max, score, and where known fraction: one row a box. Boxes
        on other films, of other runs, or of other label fractions than the largest are not used.
    reference_boxes : DataFrame
        image_id, x_min, y_min, x_max, y_max and optionally lesion_id: one row a lesion.
    rule : {"iou50", "iou30", "iou10", "centre"} or float
        When a box hits a lesion (`lesions.match_boxes`); COCO's AP has its own overlaps.

    Returns
    -------
    dict of (arm, run) to Marks
        For curves and counts. Added to the draws are the keys ('lroc_auc',), ('wafroc_auc',), ('froc_sensitivity',
        false marks per film) at `FALSE_MARKS`, ('coco_ap',) for IoU .50 to .95, ('coco_ap', .5), ('coco_ap', .75), and
        for every operating point ('lroc_sensitivity', point, threshold_from): malignant films called positive with the
        highest box on the lesion; ('localisation_error', point, threshold_from): with the highest box elsewhere.

    Raises
    ------
    ValueError
        A malignant film without lesion box or another film with one; an arm without any box; what `match_boxes`
        raises.

    Notes
    -----
    FROC as numpy.interp on straight lines; areas as RJafroc 2.1.3; COCO AP as pycocotools 2.0.11 on films that are
    physically repeated (but for the order of tied boxes). A draw without lesions or without lesion-free films is NaN.

    Examples
    --------
    >>> from diagnostic_accuracy.bootstrap import bootstrap
    >>> from diagnostic_accuracy.scores import scores_of
    >>> films = pd.DataFrame({"image_id": list("abcd"), "cohort": "external", "label": [1, 1, 0, 0], "arm": "x",
    ...                       "seed": 0, "score": [0.9, 0.6, 0.7, 0.1]})
    >>> lesions = pd.DataFrame({"image_id": ["a", "b"], "x_min": 0, "y_min": 0, "x_max": 10, "y_max": 10})
    >>> boxes = films[["image_id", "arm", "seed", "score"]].assign(x_min=0, y_min=0, x_max=10, y_max=9)
    >>> draws = bootstrap(scores_of(films), replicates=100)
    >>> _ = lesion_measures(draws, boxes, lesions)
    >>> draws.observed["lroc_auc",].tolist()
    [0.75]
    """
    threshold, external = least_overlap(rule), draws.scores.external.values
    judged = {
        run: _Run(prepared, threshold, external[run].to_numpy(float))
        for run, prepared in _prepared(draws, detections, reference_boxes).items()
    }
    _add(draws, list(judged.values()))
    return {run: one.marks for run, one in judged.items()}


def lesion_subgroups(
    draws: Draws,
    detections: pd.DataFrame,
    reference_boxes: pd.DataFrame,
    groups: Mapping[str, Scores],
    replicates: int = 1000,
) -> dict[str, Draws]:
    """COCO's average precision within subgroups of films, on the same draws.

    Parameters
    ----------
    draws, detections, reference_boxes
        As for `lesion_measures`.
    groups : mapping of str to Scores
        By the name of the group, such as 'lesion_size=small': its external films.
    replicates : int
        Take so many of the draws.

    Returns
    -------
    dict of str to Draws
        With ('coco_ap',) for IoU .50 to .95 and ('coco_ap', .5): what COCO gives on the films of the group alone.

    Raises
    ------
    ValueError
        As `lesion_measures`.
    """
    if not groups:
        return {}
    fewer = replace(draws, replicates=min(replicates, draws.replicates))
    films = draws.scores.external.values.index
    prepared = _prepared(draws, detections, reference_boxes).values()
    runs = [(_CocoHits(one), np.bincount(one.lesion_film, minlength=len(films))) for one in prepared]
    made = {}
    for name, part in groups.items():
        own = films.isin(part.external.values.index).astype(np.uint16)
        blocks = [weights * own for weights, _ in sample_and_draws(fewer)]
        ap = np.stack([np.concatenate([hits.average_precision(w, lesions) for w in blocks]) for hits, lesions in runs])
        made[name] = within(fewer, part)
        for key, columns in ((("coco_ap",), ap.mean(axis=2)), (("coco_ap", 0.5), ap[:, :, 0])):
            made[name].add(key, columns[:, 0], np.ascontiguousarray(columns[:, 1:].T))
    return made


def box_errors(draws: Draws, marks: Mapping[tuple[str, object], Marks], point: Point) -> pd.DataFrame:
    """Kinds of errors of the boxes that are shown at an operating point: counts of every run, and their mean.

    Parameters
    ----------
    draws : Draws
    marks : mapping of (arm, run) to Marks
        From `lesion_measures`.
    point : Point
        Boxes that score below the run's threshold there are not shown.

    Returns
    -------
    DataFrame
        A table of results, section 'localisation': `boxes_hit`, `boxes_duplicate`, `boxes_misplaced`,
        `boxes_background` and `lesions_missed` (see `lesions.MarkCounts`). `n` counts films.
    """
    cuts = draws.thresholds[point.name, point.threshold_from]
    counts = pd.DataFrame([marks[run].counts(cut) for run, cut in zip(draws.runs, cuts, strict=True)])
    arms, runs = zip(*draws.runs, strict=True)
    means = counts.groupby(list(arms), sort=False).mean()
    names = {"hits": "boxes_hit", "duplicates": "boxes_duplicate", "misplaced": "boxes_misplaced",
             "background": "boxes_background", "misses": "lesions_missed"}  # fmt: skip
    place = {"section": "localisation", "unit": "film", "point": point.name, "threshold_from": point.threshold_from}
    rows = []
    for name, measure in names.items():
        told = [(arm, str(run), count, "a count") for arm, run, count in zip(arms, runs, counts[name], strict=True)]
        told += [(arm, "", mean, "a mean over runs") for arm, mean in means[name].items()]
        for arm, run, number, what in told:
            one = Estimate(number, None, None, "count of boxes or lesions", len(draws.scores.external.values),
                           note=f"{what}, without an interval")  # fmt: skip
            rows.append(one.row(**place, measure=measure, arm=arm, run=run))
    return results(rows)


def _prepared(draws: Draws, detections: pd.DataFrame, reference_boxes: pd.DataFrame) -> dict[Any, PreparedBoxes]:
    """Boxes of each run beside the lesions of the external films, checked."""
    films = draws.scores.external.values.index
    truth = reference_boxes[reference_boxes["image_id"].isin(films)]
    _check_reference(films, draws.scores.external.label.to_numpy(), truth)
    boxes = _boxes_by_run(draws, detections[detections["image_id"].isin(films)])
    return {run: prepare_boxes(films, rows, truth) for run, rows in boxes.items()}


def _check_reference(films: pd.Index, label: NDArray[np.bool_], truth: pd.DataFrame) -> None:
    boxed = films.isin(truth["image_id"])
    faults = []
    for words, bad in (("malignant films have no lesion box", label & ~boxed),
                       ("films that are not malignant have a lesion box", boxed & ~label)):  # fmt: skip
        if bad.any():
            named = ", ".join(map(repr, films[bad][:20])) + (", ..." if bad.sum() > 20 else "")
            faults.append(f"{int(bad.sum())} {words} ({named}); correct the boxes, or leave these films out")
    if faults:
        raise ValueError("\n".join(faults))


def _boxes_by_run(draws: Draws, detections: pd.DataFrame) -> dict[Any, pd.DataFrame]:
    """Boxes of each run of the draws, in their order; a run may have none, an arm may not."""
    if missing := [name for name in ("image_id", "arm", "seed") if name not in detections]:
        raise ValueError(f"the detections lack the columns {', '.join(missing)}; give one row a box")
    rows = detections
    if "fraction" in rows:
        rows = rows[rows["fraction"] == rows["fraction"].max()]
    boxed = {str(arm) for arm in rows["arm"].unique()}
    lacking = [arm for arm in draws.scores.arms if arm not in boxed]
    if lacking:
        raise ValueError(f"no box of the arms {', '.join(map(repr, lacking))} lies on an external film; score them")
    groups = {(str(arm), run): part for (arm, run), part in rows.groupby(["arm", "seed"], sort=False)}
    return {run: groups.get(run, rows.iloc[:0]) for run in draws.runs}


class _CocoHits:
    """Boxes in COCO's order, up to the last that hits at some overlap, and which of them hit at each overlap."""

    def __init__(self, prepared: PreparedBoxes) -> None:
        first = np.searchsorted(prepared.box_film, prepared.box_film, side="left")
        kept = np.arange(len(first)) - first < MOST_BOXES
        order = np.lexsort((prepared.box_film[kept], -prepared.score[kept]))
        hit = np.array([prepared.judged(float(overlap)).hit[kept][order] for overlap in OVERLAPS])
        self.place = np.flatnonzero(hit.any(axis=0))  # of the boxes that hit at some overlap
        hits = [np.flatnonzero(row[self.place]) for row in hit]
        self.hits = np.concatenate(hits)  # indices into `place`, overlap after overlap
        self.start = np.cumsum([0, *(row.size for row in hits)])
        self.film = prepared.box_film[kept][order][: self.place[-1] + 1 if self.place.size else 0]

    def average_precision(self, weights: Counts, lesions_per_film: NDArray[np.int64]) -> Vector:
        """AP at every overlap, shape (draws, overlaps)."""
        values, grid = np.empty((len(weights), len(OVERLAPS))), np.linspace(0, 1, 101)
        for first in range(0, len(weights), TOGETHER):
            block = slice(first, first + TOGETHER)
            drawn = np.ascontiguousarray(weights[block].T)
            _coco_draws(drawn, self.film, self.place, self.hits, self.start, lesions_per_film, grid, values[block])
        return values


class _Run:
    """One run, matched: what every draw is computed from."""

    def __init__(self, prepared: PreparedBoxes, threshold: float, score: Vector) -> None:
        self.marks, self.summary, self.coco = prepared.judged(threshold), coco_summary(prepared), _CocoHits(prepared)
        self.areas = [kernel(self.marks, "LROC"), kernel(self.marks, "wAFROC")]
        right = np.flatnonzero(self.marks.diseased & self.marks.correct)
        self.films = right[np.argsort(-score[right], kind="stable")]  # localised correctly, by falling score
        self.scores = score[self.films]

    def measures(self, weights: Counts, cuts: Vector) -> Vector:
        """Columns lroc, wafroc, three of COCO, FROC at each rate, LROC sensitivity at each point; a row a draw."""
        ap = self.coco.average_precision(weights, self.marks.lesions_per_film)
        areas = [replicate_figures(one, weights) for one in self.areas]
        columns = [*areas, ap.mean(axis=1), ap[:, 0], ap[:, 5]]
        return np.column_stack(
            [*columns, free_response_draws(self.marks, weights, FALSE_MARKS), self._localised(weights, cuts)]
        )

    def _localised(self, weights: Counts, cuts: Vector) -> Vector:
        """Share of malignant films with a score at or above the cut and the highest box on the lesion."""
        running = np.zeros((len(weights), self.films.size + 1), np.int32)
        np.cumsum(weights.take(self.films, axis=1), axis=1, out=running[:, 1:])
        called = np.searchsorted(-self.scores, -cuts, side="right")  # film by film down to the cut; a NaN calls all
        total = weights[:, self.marks.diseased].sum(axis=1, keepdims=True)
        defined = (total > 0) & ~np.isnan(cuts)
        found = np.take_along_axis(running, called, axis=1)
        return np.divide(found, total, out=np.full(cuts.shape, np.nan), where=defined)


def _add(draws: Draws, judged: list[_Run]) -> None:
    keys: list[Key] = [("lroc_auc",), ("wafroc_auc",), ("coco_ap",), ("coco_ap", 0.5), ("coco_ap", 0.75)]
    keys += [("froc_sensitivity", rate) for rate in FALSE_MARKS]
    points = [(point.name, point.threshold_from) for point in draws.points]
    keys += [("lroc_sensitivity", *point) for point in points]
    blocks = []
    for weights, cuts in sample_and_draws(draws):
        own = np.array(list(cuts.values())).reshape(len(points), len(weights), len(judged))
        blocks.append(np.stack([run.measures(weights, own[:, :, r].T) for r, run in enumerate(judged)], axis=1))
    values = np.concatenate(blocks)
    values[0, :, 2:5] = [[run.summary[name] for name in ("AP", "AP50", "AP75")] for run in judged]
    for k, key in enumerate(keys):
        draws.add(key, values[0, :, k], np.ascontiguousarray(values[1:, :, k]))
    for point in points:  # called, but not for a mark on the lesion
        called, right = ("sensitivity", *point, "film"), ("lroc_sensitivity", *point)
        wrong = [np.maximum(held[called] - held[right], 0.0) for held in (draws.observed, draws.values)]
        draws.add(("localisation_error", *point), *wrong)


def free_response_draws(marks: Marks, weights: ArrayLike, rates: ArrayLike) -> Vector:
    """Interpolated FROC sensitivity at rising numbers of false marks per film, in every draw.

    Parameters
    ----------
    marks : Marks
    weights : array of whole numbers, shape (draws, films)
        How often each film is drawn.
    rates : array, shape (k,), rising

    Returns
    -------
    array, shape (draws, k)
        NaN where a draw holds no lesion.
    """
    drawn, at = np.ascontiguousarray(weights, np.uint16), np.asarray(rates, float)
    order = np.argsort(-marks.score, kind="stable")
    score = marks.score[order]
    last = np.append(score[1:] != score[:-1], True)[: len(score)]  # ties enter together
    values = np.empty((len(drawn), at.size))
    froc_draws(drawn, marks.film[order], marks.hit[order], last, marks.lesions_per_film, at, values)
    return values


@compiled()
def froc_draws(weights, film, hit, last, lesions_per_film, rates, values):  # type: ignore[no-untyped-def]
    """Walk along the points of each draw's curve; `values` (draws, rates)."""
    for b in range(len(weights)):
        films = lesions = 0
        for k in range(len(lesions_per_film)):
            films += weights[b, k]
            lesions += weights[b, k] * lesions_per_film[k]
        hits = false = hits_before = false_before = at = 0
        near = rates[0] * films * (1 - 1e-9)  # fewer false marks need no division
        for i in range(len(film)):
            if hit[i]:
                hits += weights[b, film[i]]
            else:
                false += weights[b, film[i]]
            if not last[i]:
                continue
            if false >= near:
                right, height, x, y = false / films, hits / lesions, false_before / films, hits_before / lesions
                while at < len(rates) and rates[at] < right:
                    values[b, at] = y + (height - y) * (rates[at] - x) / (right - x)
                    at += 1
                near = rates[min(at, len(rates) - 1)] * films * (1 - 1e-9)
            hits_before, false_before = hits, false
            if at == len(rates):
                break
        for rest in range(at, len(rates)):
            values[b, rest] = hits_before / lesions
        if lesions == 0:
            for rest in range(len(rates)):
                values[b, rest] = np.nan


@compiled()
def _coco_draws(drawn, film, place, hits, start, lesions_per_film, grid, values):  # type: ignore[no-untyped-def]
    """COCO's AP of each draw at each overlap; see `_CocoHits`. Only hits are points: precision is highest there.

    `drawn` has the shape (films, draws), so that the boxes of many draws are counted at once. A hit on a film that was
    not drawn repeats the point before it with no higher precision, and changes nothing.
    """
    draws, most = drawn.shape[1], 0
    for t in range(len(start) - 1):
        most = max(most, start[t + 1] - start[t])
    lesions, counted = np.zeros(draws), np.zeros(draws)
    boxes, level, precision = np.empty((len(place), draws)), np.empty((most, draws)), np.empty((most, draws))
    for k in range(len(lesions_per_film)):
        for b in range(draws):  # loops rather than array expressions, which take seconds to compile
            lesions[b] += drawn[k, b] * lesions_per_film[k]
    done = 0
    for k in range(len(place)):
        for i in range(done, place[k] + 1):
            row = drawn[film[i]]
            for b in range(draws):
                counted[b] += row[b]
        done = place[k] + 1
        for b in range(draws):
            boxes[k, b] = counted[b]
    for t in range(len(start) - 1):
        points, found = start[t + 1] - start[t], np.zeros(draws)
        for j in range(points):
            at = hits[start[t] + j]
            row = drawn[film[place[at]]]
            for b in range(draws):
                found[b] += row[b]
                recall, precision[j, b] = found[b] / lesions[b], found[b] / max(boxes[at, b], 1.0)
                reached = int(recall * (len(grid) - 1)) if lesions[b] > 0 else 0
                if grid[min(reached + 1, len(grid) - 1)] <= recall:
                    reached = min(reached + 1, len(grid) - 1)
                level[j, b] = reached + 1 if grid[reached] <= recall else reached
        total, envelope = np.zeros(draws), np.zeros(draws)
        for k in range(points - 1, -1, -1):  # a recall level takes the envelope of the first point that reaches it
            for b in range(draws):
                envelope[b] = max(envelope[b], precision[k, b])
                total[b] += envelope[b] * (level[k, b] - (level[k - 1, b] if k > 0 else 0.0))
        for b in range(draws):
            values[b, t] = total[b] / len(grid) if lesions[b] > 0 else np.nan
