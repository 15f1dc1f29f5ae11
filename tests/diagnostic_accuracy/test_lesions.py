"""Matching: crafted films, the answer derived by hand beside each."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from diagnostic_accuracy.lesions import Marks, iou, marks_from_ratings, match_boxes

LESION = (0, 0, 100, 100)


def frame(rows: list[tuple[float, ...]], columns: list[str]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=columns)


def match(boxes: list[tuple[float, ...]], lesions: list[tuple[float, ...]], rule: str | float = "iou50") -> Marks:
    """One film "a"; boxes are corners + score, lesions corners."""
    predicted = frame([("a", *b) for b in boxes], ["image_id", "x_min", "y_min", "x_max", "y_max", "score"])
    truth = frame([("a", *t) for t in lesions], ["image_id", "x_min", "y_min", "x_max", "y_max"])
    return match_boxes(["a", "b"], predicted, truth, rule)


def test_iou_by_hand() -> None:
    # 100 x 50 inside 100 x 100: 5000 / 10000
    assert iou(np.array([0.0, 0, 100, 50]), np.array(LESION, float)) == 0.5
    # shifted by half a side: 5000 / 15000
    assert iou(np.array([50.0, 0, 150, 100]), np.array(LESION, float)) == pytest.approx(1 / 3)
    assert iou(np.array([100.0, 0, 200, 100]), np.array(LESION, float)) == 0  # they touch
    assert iou(np.zeros(4), np.zeros(4)) == 0


def test_equality_with_the_threshold_is_a_hit() -> None:
    assert match([(0, 0, 100, 50, 0.9)], [LESION]).hit.tolist() == [True]
    assert match([(0, 0, 100, 49.5, 0.9)], [LESION]).hit.tolist() == [False]


def test_second_box_on_a_lesion_is_a_duplicate_and_a_false_positive() -> None:
    marks = match([(0, 0, 100, 90, 0.3), (0, 0, 100, 100, 0.8)], [LESION])
    assert marks.score.tolist() == [0.8, 0.3]
    assert marks.hit.tolist() == [True, False]
    assert marks.duplicate.tolist() == [False, True]
    assert marks.lesion_rating.tolist() == [0.8]
    assert marks.without_duplicates().counts()["false_positives"] == 0


def test_a_box_whose_best_lesion_is_taken_falls_back_on_its_next() -> None:
    # both boxes overlap lesion 1 best; the second still reaches lesion 2 (80 of 120 shared: IoU 2/3)
    marks = match([(0, 0, 100, 100, 0.9), (10, 0, 110, 100, 0.8)], [LESION, (30, 0, 130, 100)])
    assert marks.hit.tolist() == [True, True]


def test_on_an_exact_tie_the_last_lesion_is_taken() -> None:
    # the box lies midway between two lesions: IoU 75/125 with each
    marks = match([(25, 0, 125, 100, 0.9)], [LESION, (50, 0, 150, 100)])
    assert marks.lesion_rating.tolist() == [-np.inf, 0.9]


def test_centre_rule_takes_the_centre_of_the_predicted_box_edges_included() -> None:
    assert match([(50, 0, 150, 100, 0.9)], [LESION], "centre").hit.tolist() == [True]  # centre (100, 50): on the edge
    assert match([(51, 0, 151, 100, 0.9)], [LESION], "centre").hit.tolist() == [False]
    assert match([(-900, -900, 1000, 1000, 0.9)], [LESION], "centre").hit.tolist() == [True]  # huge, yet centred


def test_counts_and_ratings_of_a_film() -> None:
    marks = match([(0, 0, 100, 100, 0.4), (200, 200, 300, 300, 0.9)], [LESION, (500, 500, 600, 600)])
    counts = marks.counts()
    assert [counts[name] for name in ("films", "diseased", "lesions", "marks")] == [2, 1, 2, 2]
    assert [counts[name] for name in ("hits", "false_positives", "misses", "films_with_a_hit")] == [1, 1, 1, 1]
    assert counts["false_positives_per_film"] == 0.5
    assert counts["false_positives_per_lesion_free_film"] == 0
    assert counts["f1"] == 2 * 1 / (2 + 2)
    assert marks.highest.tolist() == [0.9, -np.inf]
    assert marks.correct.tolist() == [False, False]  # its top box is the false one
    assert marks.counts(0.95)["precision"] is None


def test_tied_top_boxes_count_as_correct_only_if_all_are_hits() -> None:
    two = [LESION, (200, 200, 300, 300)]
    assert match([(*LESION, 0.5), (200, 200, 300, 300, 0.5)], two).correct[0]
    assert not match([(*LESION, 0.5), (400, 400, 500, 500, 0.5)], two).correct[0]


@pytest.mark.parametrize(
    ("box", "message"),
    [
        ((100, 0, 0, 100, 0.5), "wrong way round"),
        ((0, 0, np.nan, 100, 0.5), "corner that is not finite"),
        ((0, 0, 10, 10, np.inf), "score that is not finite"),
    ],
)
def test_impossible_boxes_are_refused(box: tuple[float, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        match([box], [LESION])


def test_a_box_on_an_unknown_film_is_refused() -> None:
    boxes = frame([("z", *LESION, 0.5)], ["image_id", "x_min", "y_min", "x_max", "y_max", "score"])
    with pytest.raises(ValueError, match="film 'z', which is not among the films"):
        match_boxes(["a"], boxes, boxes.iloc[:0], "iou30")


def test_every_faulty_row_of_both_tables_is_named_at_once() -> None:
    columns = ["image_id", "x_min", "y_min", "x_max", "y_max", "score"]
    boxes = frame(
        [("a", *LESION, np.nan), ("a", 9, 0, 1, 9, 0.5), ("a", *LESION, 0.5), ("z", 9, 0, 1, 9, 0.5)], columns
    )
    lesions = frame([("y", *LESION)], columns[:5])
    with pytest.raises(ValueError, match="wrong way round") as found:
        match_boxes(["a"], boxes, lesions)
    text = str(found.value)
    assert "box has a score that is not finite: row 0;" in text
    assert "and height): row 1, 3;" in text
    assert "box on film 'z'" in text
    assert "lesion on film 'y'" in text
    with pytest.raises(ValueError, match="lacks column 'y_max', 'score'"):
        match_boxes(["a"], boxes[columns[:4]], lesions)


def test_unknown_rules_and_repeated_films_are_refused() -> None:
    with pytest.raises(ValueError, match="hit rule 'iou75' is unknown"):
        match([], [LESION], "iou75")
    empty = frame([], ["image_id", "x_min", "y_min", "x_max", "y_max", "score"])
    with pytest.raises(ValueError, match="named twice"):
        match_boxes(["a", "a"], empty, empty, "iou30")


def test_marks_of_readers_are_checked() -> None:
    with pytest.raises(ValueError, match="found twice"):
        marks_from_ratings([True], [0, 0], [1, 2], [0, 0], [0])
    with pytest.raises(ValueError, match="lesion of another film"):
        marks_from_ratings([True, True], [0], [1], [1], [0, 1])
    with pytest.raises(ValueError, match="sum to 1"):
        marks_from_ratings([True], [0], [1], [0], [0, 0], [0.2, 0.2])
    with pytest.raises(ValueError, match="exactly if it has a lesion"):
        marks_from_ratings([True, True], [0], [1], [0], [0])
