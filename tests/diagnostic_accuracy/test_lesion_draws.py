"""Lesion measures of the draws: against curves at the same weights, hotcoco and physically repeated films."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diagnostic_accuracy.bootstrap import bootstrap
from diagnostic_accuracy.lesion_curves import coco_summary, froc, lesion_average_precision, lroc
from diagnostic_accuracy.lesion_draws import _CocoHits, box_errors, lesion_measures, lesion_subgroups
from diagnostic_accuracy.lesion_figures import figure_of_merit
from diagnostic_accuracy.lesions import CORNERS, match_boxes, prepare_boxes
from diagnostic_accuracy.scores import scores_of
from diagnostic_accuracy.thresholds import Point, high_sensitivity, youden

ARMS = ("scratch", "transfer")


def study(seed: int = 0, films: int = 40, validation: int = 30, digits: int = 1):
    """Scores, detections and lesion boxes; a film's score is that of its highest box."""
    rng = np.random.default_rng(seed)
    names = [f"f{k:03d}" for k in range(films + validation)]
    ill = rng.random(len(names)) < 0.4
    ill[[0, 1, films, films + 1]] = [True, False, True, False]
    lesions, boxes, scores = [], [], []
    for name, diseased in zip(names, ill, strict=True):
        places = [(200 * k, 0, 200 * k + 100, 100) for k in range(rng.integers(1, 3) if diseased else 0)]
        lesions += [(name, *place) for place in places]
        for arm in ARMS:
            for run in (1, 2):
                mine = [(*np.add(p, rng.integers(0, 45, 4)), rng.random() ** 0.5) for p in places if rng.random() < 0.8]
                mine += [(500, 500, 560, 560, rng.random()) for _ in range(rng.poisson(0.8))]
                mine = [(*m[:4], round(float(m[4]), digits)) for m in mine]
                boxes += [(name, arm, run, *m) for m in mine]
                scores.append((name, arm, run, max((m[4] for m in mine), default=0.0)))
    table = pd.DataFrame(scores, columns=["image_id", "arm", "seed", "score"])
    table["label"] = table["image_id"].map(dict(zip(names, ill.astype(int), strict=True)))
    table["cohort"] = np.where(table["image_id"] < names[films], "external", "validation")
    detections = pd.DataFrame(boxes, columns=["image_id", "arm", "seed", *CORNERS, "score"])
    return scores_of(table), detections, pd.DataFrame(lesions, columns=["image_id", *CORNERS])


POINTS = [Point("high_sensitivity", "validation", high_sensitivity, 0.9), Point("youden", "external", youden)]


@pytest.fixture(scope="module")
def measured():
    scores, detections, lesions = study()
    draws = bootstrap(scores, POINTS, replicates=120, seed=3, recalibrations=())
    return draws, lesion_measures(draws, detections, lesions, "iou30"), detections, lesions


def test_each_draw_is_the_curve_at_its_weights(measured):
    draws, marks, *_ = measured
    for first, last, weights in draws.weights():
        for b in range(first, last, 7):
            for r, run in enumerate(draws.runs):
                of = {key: draws.values[key][b, r] for key in draws.values}
                w = weights[b - first]
                assert of["lroc_auc",] == pytest.approx(lroc(marks[run], w).area, abs=1e-12)
                assert of["wafroc_auc",] == pytest.approx(figure_of_merit(marks[run], "wAFROC", w), abs=1e-12)
                read = froc(marks[run], w).sensitivity_at([0.125, 0.25, 0.5, 1.0, 2.0])
                ours = [of["froc_sensitivity", rate] for rate in (0.125, 0.25, 0.5, 1.0, 2.0)]
                assert ours == pytest.approx(read, abs=1e-12)


def test_the_sample_itself_has_the_values_of_the_curves_and_of_hotcoco(measured):
    draws, marks, detections, lesions = measured
    films = draws.scores.external.values.index
    for r, (arm, run) in enumerate(draws.runs):
        rows = detections[(detections["arm"] == arm) & (detections["seed"] == run) & detections["image_id"].isin(films)]
        theirs = coco_summary(prepare_boxes(films, rows, lesions[lesions["image_id"].isin(films)]))
        ours = [draws.observed[key][r] for key in (("coco_ap",), ("coco_ap", 0.5), ("coco_ap", 0.75))]
        assert ours == [theirs[name] for name in ("AP", "AP50", "AP75")]
        assert draws.observed["lroc_auc",][r] == pytest.approx(lroc(marks[arm, run]).area)


def test_coco_of_a_draw_is_hotcocos_on_physically_repeated_films():
    # without ties: COCO takes tied boxes in the order of the file, which repeated films do not have
    scores, detections, lesions = study(4, digits=9)
    draws = bootstrap(scores, replicates=100, recalibrations=())
    lesion_measures(draws, detections, lesions)
    films = draws.scores.external.values.index
    _, _, weights = next(draws.weights())
    for b in range(0, 100, 30):
        copies = pd.DataFrame({"image_id": np.repeat(films, weights[b])})
        copies["copy"] = copies["image_id"] + "/" + copies.groupby("image_id").cumcount().astype(str)
        for r, (arm, run) in enumerate(draws.runs):
            rows = detections[(detections["arm"] == arm) & (detections["seed"] == run)]
            tables = [copies.merge(t, on="image_id").drop(columns="image_id").rename(columns={"copy": "image_id"})
                      for t in (rows, lesions)]  # fmt: skip
            theirs = coco_summary(prepare_boxes(copies["copy"], *tables))
            ours = [draws.values[key][b, r] for key in (("coco_ap",), ("coco_ap", 0.5), ("coco_ap", 0.75))]
            assert ours == pytest.approx([theirs[name] for name in ("AP", "AP50", "AP75")], abs=1e-12)


def test_localised_at_a_point_is_called_positive_with_the_highest_box_on_the_lesion(measured):
    draws, marks, *_ = measured
    external = draws.scores.external
    thresholds = np.stack([draws.values["threshold", p.name, p.threshold_from] for p in draws.points], axis=1)
    _, _, weights = next(draws.weights())
    for k, point in enumerate(POINTS):
        key = ("lroc_sensitivity", point.name, point.threshold_from)
        for r, run in enumerate(draws.runs):
            right, score = marks[run].correct & marks[run].diseased, external.values[run].to_numpy()
            cut = draws.thresholds[point.name, point.threshold_from][r]
            assert draws.observed[key][r] == pytest.approx((right & (score >= cut)).sum() / external.label.sum())
            for b in (0, 50, 119):
                found = weights[b] @ (right & (score >= thresholds[b, k, r])) / (weights[b] @ external.label.to_numpy())
                assert draws.values[key][b, r] == pytest.approx(found)
                # what the same draw calls positive beside these is called for a mark elsewhere
                wrong = weights[b] @ (~marks[run].correct & marks[run].diseased & (score >= thresholds[b, k, r]))
                wrong = wrong / (weights[b] @ external.label.to_numpy())
                assert draws.values["localisation_error", *key[1:]][b, r] == pytest.approx(wrong, abs=1e-12)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_weighted_coco_reads_the_101_levels_like_the_plain_code(seed):
    scores, detections, lesions = study(seed, 16, 4)
    films = scores.external.values.index
    rows = detections[detections["image_id"].isin(films) & (detections["arm"] == "scratch") & (detections["seed"] == 1)]
    truth = lesions[lesions["image_id"].isin(films)]
    prepared, rng = prepare_boxes(films, rows, truth), np.random.default_rng(seed)
    weights = rng.integers(0, 4, (3, len(films)))
    weights[:, scores.external.label.argmax()] += 1  # a malignant film in every draw
    marks = [match_boxes(films, rows, truth, overlap) for overlap in (0.5, 0.75)]
    ours = _CocoHits(prepared).average_precision(weights.astype(np.uint16), marks[0].lesions_per_film)
    for b, row in enumerate(weights):
        expected = [lesion_average_precision(m, row)["coco101_row_order"] for m in marks]
        assert ours[b, [0, 5]] == pytest.approx(expected, abs=1e-12)


def test_a_run_without_any_box_is_measured_and_an_arm_without_is_refused():
    scores, detections, lesions = study(1)
    draws = bootstrap(scores, replicates=100, recalibrations=())
    silent = detections[(detections["arm"] != "scratch") | (detections["seed"] != 2)]
    lesion_measures(draws, silent, lesions)
    column = draws.runs.index(("scratch", 2))
    # no box: every pair ties in wAFROC, nothing is localised
    assert draws.observed["wafroc_auc",][column] == 0.5
    for key in (("lroc_auc",), ("coco_ap",), ("coco_ap", 0.5), ("froc_sensitivity", 2.0)):
        assert draws.observed[key][column] == 0
        assert (draws.values[key][:, column] == 0).all()
    with pytest.raises(ValueError, match="no box of the arms 'scratch'"):
        lesion_measures(draws, detections[detections["arm"] == "transfer"], lesions)


def test_labels_and_lesion_boxes_must_agree():
    scores, detections, lesions = study(2)
    draws = bootstrap(scores, replicates=100, recalibrations=())
    films = scores.external.label
    ill, well = films.index[films][0], films.index[~films][0]
    wrong = lesions[lesions["image_id"] != ill]
    wrong = pd.concat([wrong, lesions.iloc[:1].assign(image_id=well)])
    with pytest.raises(ValueError, match="1 malignant films have no lesion box") as found:
        lesion_measures(draws, detections, wrong)
    assert f"1 films that are not malignant have a lesion box ({well!r})" in str(found.value)
    with pytest.raises(ValueError, match="lack the columns arm"):
        lesion_measures(draws, detections.drop(columns="arm"), lesions)


def test_average_precision_of_a_subgroup_is_hotcocos_on_its_films_alone():
    scores, detections, lesions = study(4, digits=9)
    draws = bootstrap(scores, replicates=120, recalibrations=())
    part = scores._rows(~scores.values.index.isin(scores.external.values.index[::3]))  # two of three external films
    found = lesion_subgroups(draws, detections, lesions, {"half": part}, replicates=100)["half"]
    films, all_films = part.external.values.index, scores.external.values.index
    _, _, weights = next(draws.weights())
    for r, (arm, run) in enumerate(draws.runs):
        rows = detections[(detections["arm"] == arm) & (detections["seed"] == run)]
        for b in (None, 0, 99):  # the sample, then draws: films are physically repeated as often as they were drawn
            times = np.ones(len(films), int) if b is None else weights[b][all_films.get_indexer(films)]
            copies = pd.DataFrame({"image_id": np.repeat(films, times)})
            copies["copy"] = copies["image_id"] + "/" + copies.groupby("image_id").cumcount().astype(str)
            tables = [copies.merge(t, on="image_id").drop(columns="image_id").rename(columns={"copy": "image_id"})
                      for t in (rows, lesions)]  # fmt: skip
            theirs = coco_summary(prepare_boxes(copies["copy"], *tables))
            held = {key: v[r] for key, v in found.observed.items()} if b is None else {
                key: v[b, r] for key, v in found.values.items()}  # fmt: skip
            assert [held["coco_ap",], held["coco_ap", 0.5]] == pytest.approx([theirs["AP"], theirs["AP50"]], abs=1e-12)
    assert lesion_subgroups(draws, detections, lesions, {}) == {}


def test_kinds_of_errors_are_counted_at_the_threshold_of_each_run():
    films = pd.DataFrame({"image_id": list("abcd"), "cohort": "external", "label": [1, 1, 0, 0], "arm": "x"})
    lesions = pd.DataFrame([("a", 0, 0, 10, 10), ("b", 0, 0, 10, 10)], columns=["image_id", *CORNERS])
    first = [
        ("a", 0, 0, 10, 8, 0.9),  # IoU 80/100: hit
        ("a", 0, 0, 10, 9, 0.8),  # IoU 90/100, but the lesion is taken: duplicate
        ("b", 5, 0, 15, 10, 0.7),  # IoU 50/150 = .33 under the rule of .5: misplaced, and b is missed
        ("b", 9, 9, 19, 19, 0.6),  # IoU 1/199: background
        ("c", 0, 0, 10, 10, 0.6),  # no lesion on the film: background
        ("d", 0, 0, 10, 10, 0.2),  # below the threshold: not shown
    ]
    second = [("b", 0, 0, 10, 10, 0.7), ("d", 0, 0, 1, 1, 0.5)]  # hit, and background: a is missed
    boxes = pd.DataFrame([("x", 0, *row) for row in first] + [("x", 1, *row) for row in second],
                         columns=["arm", "seed", "image_id", *CORNERS, "score"])  # fmt: skip
    every = films.merge(pd.DataFrame({"seed": [0, 1]}), how="cross").assign(score=0.0)
    scores = pd.concat([every, films.merge(boxes[["image_id", "seed", "score"]], on="image_id")])
    scores = scores.groupby(["image_id", "cohort", "label", "arm", "seed"], as_index=False)["score"].max()
    point = Point("cut", "given", given={"x": 0.5})
    draws = bootstrap(scores_of(scores), [point], replicates=100, recalibrations=())
    table = box_errors(draws, lesion_measures(draws, boxes, lesions, "iou50"), point)
    counted = table.pivot_table(index="measure", columns="run", values="estimate")
    assert counted.loc["boxes_hit"].tolist() == [1.0, 1, 1]  # mean over runs, run 0, run 1
    assert counted.loc["boxes_duplicate"].tolist() == [0.5, 1, 0]
    assert counted.loc["boxes_misplaced"].tolist() == [0.5, 1, 0]
    assert counted.loc["boxes_background"].tolist() == [1.5, 2, 1]
    assert counted.loc["lesions_missed"].tolist() == [1.0, 1, 1]
    assert set(table["n"]) == {4}
