"""One score a film, whatever its neighbours, and boxes where they belong."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from osteotl.detection import scoring
from osteotl.detection.errors import TrainingError, WeightsError
from osteotl.detection.films import Placement, letterbox


@pytest.fixture(scope="module")
def weights(trained):
    return trained.out / "finetune" / "transfer" / "1" / "0" / "weights.safetensors"


@pytest.fixture(scope="module")
def films(trained):
    return scoring.cohort_films(trained.study, trained.out, trained.data, "external")


def test_scores_do_not_depend_on_batch_or_neighbours(weights, films):
    many = films.subset(np.tile(np.arange(len(films)), 3))  # frontal and lateral shapes side by side
    found = {batch: scoring.score_films(weights, many, batch=batch) for batch in (1, 7, 32)}
    for batch in (7, 32):
        assert np.abs(found[1].scores - found[batch].scores).max() < 1e-5
        assert np.abs(found[1].logits - found[batch].logits).max() < 1e-5
    assert found[1].scores.dtype == np.float32


def test_the_score_is_the_largest_class_score_before_suppression(weights, films):
    from osteotl.detection.initialisation import rebuild_detector

    detector = rebuild_detector(weights, "yolov5n")
    with torch.inference_mode():
        plain = detector(torch.from_numpy(films.images)[:, None].float() / 255)[0][:, 4:].amax((1, 2)).numpy()
    found = scoring.score_films(weights, films)
    np.testing.assert_allclose(found.scores, plain, atol=1e-5)
    np.testing.assert_allclose(np.log(found.scores) - np.log1p(-found.scores), found.logits, atol=1e-4)


def test_boxes_lie_in_the_native_film(weights, films):
    found = scoring.score_films(weights, films)
    for boxes, place in zip(found.boxes, films.placements, strict=True):
        assert len(boxes) <= scoring.MOST_BOXES
        assert (boxes[:, [0, 1]] >= 0).all()
        assert (boxes[:, 2] <= place.width).all()
        assert (boxes[:, 3] <= place.height).all()
        assert (np.diff(boxes[:, 4]) <= 0).all()


def test_a_box_survives_the_way_into_the_square_and_back():
    # 300 x 200 native, prepared at 150 x 100, square of 60: scale 0.4 of prepared, so 0.2 of native; 10 rows above
    square, left, top, width, height = letterbox(np.zeros((100, 150), np.uint8), 60)
    assert square.shape == (60, 60)
    assert (left, top, width, height) == (0, 10, 60, 40)
    place = Placement(width / 300, height / 200, left, top, 300, 200)
    box = np.array([[30.0, 50.0, 90.0, 150.0]])
    np.testing.assert_allclose(place.to_square(box), [[6.0, 20.0, 18.0, 40.0]])
    np.testing.assert_allclose(place.to_native(place.to_square(box)), box)
    np.testing.assert_allclose(place.to_native(np.array([[-5.0, 0.0, 70.0, 60.0]])), [[0, 0, 300, 200]])


def test_suppression_equals_torchvisions():
    from torchvision.ops import nms

    random = np.random.default_rng(0)
    corner = random.uniform(0, 100, (300, 2))
    boxes = np.concatenate([corner, corner + random.uniform(5, 40, (300, 2))], 1)
    scores = random.random(300)
    wanted = nms(torch.from_numpy(boxes), torch.from_numpy(scores), 0.7).numpy()
    assert scoring.suppress(boxes, scores, 0.7, most=300).tolist() == wanted.tolist()


def test_a_study_is_scored_once_per_film_and_replicate(trained, tmp_path):
    one = scoring.score_study(trained.study, "external", trained.out, trained.data, workers=1, quiet=True)
    two = scoring.score_study(trained.study, "external", trained.out, trained.data, workers=2, quiet=True)
    pd.testing.assert_frame_equal(one.predictions, two.predictions)
    pd.testing.assert_frame_equal(one.detections, two.detections)
    assert list(one.predictions) == [
        "image_id",
        "patient_id",
        "cohort",
        "label",
        "arm",
        "fraction",
        "seed",
        "score",
        "logit",
    ]
    assert not one.predictions.duplicated(["image_id", "arm", "fraction", "seed"]).any()
    validation = scoring.score_study(trained.study, "validation", trained.out, trained.data, workers=1, quiet=True)
    scoring.write_predictions(validation, one, lambda name: tmp_path / name)
    stored = pd.read_csv(tmp_path / "predictions.csv")
    assert stored["cohort"].value_counts().to_dict() == {"external": 28, "validation": 20}
    np.testing.assert_array_equal(stored["score"], pd.concat([validation.predictions, one.predictions])["score"])


def test_flips_average_both_ways(weights, films):
    from dataclasses import replace

    mirrored = replace(films, images=np.ascontiguousarray(films.images[:, :, ::-1]))
    both = scoring.score_films(weights, films, flip=True).logits
    one, two = scoring.score_films(weights, films).logits, scoring.score_films(weights, mirrored).logits
    np.testing.assert_allclose(both, (one + two) / 2, atol=1e-5)


def test_what_cannot_be_scored_is_named(trained, films, tmp_path):
    with pytest.raises(TrainingError, match=r"arm scratch, fraction 1, seed 9: .* is missing"):
        scoring.score_replicate(trained.study, "scratch", 1.0, 9, trained.out, trained.data, "external")
    with pytest.raises(ValueError, match="cohort must be training, validation or external, got 'test'"):
        scoring.cohort_films(trained.study, trained.out, trained.data, "test")
    with pytest.raises(WeightsError, match="no such file"):
        scoring.score_films(tmp_path / "none.safetensors", films)
