"""Maps of where a score rests, with answers known beforehand."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from osteotl.detection import occlusion
from osteotl.detection.scoring import Scores, cohort_films, open_detector, score_films


@pytest.fixture(scope="module")
def films(trained):
    return cohort_films(trained.study, trained.out, trained.data, "external")


@pytest.fixture(scope="module")
def detector(trained):
    return open_detector(trained.out / "finetune" / "transfer" / "1" / "0" / "weights.safetensors", "yolov5n")


def test_telling_films_are_the_extremes_of_each_class():
    label, score = np.array([0, 1, 1, 0, 1, 0]), np.array([0.2, 0.3, 0.9, 0.8, 0.9, 0.1])
    assert occlusion.telling_films(label, score) == {
        "surest_hit": 2, "worst_miss": 1, "worst_alarm": 3, "surest_normal": 5,
    }  # fmt: skip


def test_a_map_holds_the_change_of_the_logit_under_each_patch(detector, films):
    drop = occlusion.occlusion_map(detector, films, 0, cells=4)
    # the patch of row 1, column 2 by hand: steps of 16 pixels, from half a step before to half a step behind
    hidden = films.images[[0, 0]].copy()
    hidden[1, 8:40, 24:56] = hidden[0].mean()
    pair = films.subset(np.array([0, 0]))
    logits = score_films(detector, type(films)(pair.table, hidden, pair.boxes, pair.placements, films.size)).logits
    assert drop.shape == (4, 4)
    assert drop[1, 2] == pytest.approx(logits[0] - logits[1], abs=1e-5)


def test_a_map_finds_the_only_place_that_matters(films, monkeypatch):
    def one_pixel(_detector, many, **_):
        logits = many.images[:, 50, 20].astype(np.float32) / 10
        return Scores(logits, logits, [])

    monkeypatch.setattr(occlusion, "score_films", one_pixel)
    bright = films.subset(np.array([0]))
    bright.images[:] = 10
    bright.images[0, 50, 20] = 250
    drop = occlusion.occlusion_map(None, bright, 0, cells=8)
    rows, columns = np.nonzero(drop > 1)
    # patches span [8k - 4, 8k + 12): row 50 lies in k = 5 (36-52) and 6 (44-60), column 20 in k = 2 (12-28)
    # and k = 3 (20-36)
    assert set(zip(rows.tolist(), columns.tolist(), strict=True)) == {(5, 2), (5, 3), (6, 2), (6, 3)}


def test_drawn_maps_colour_falls_and_rises_and_keep_the_box():
    film = np.full((64, 64), 100, np.uint8)
    drop = np.zeros((4, 4))
    drop[0, 0], drop[3, 3] = 1.0, -1.0
    picture = occlusion.draw_map(film, np.array([[32.0, 8.0, 48.0, 24.0]]), drop).astype(int)
    blue, _, red = picture[0, 0]
    assert red > 100 > blue
    blue, _, red = picture[-1, -1]
    assert blue > 100 > red
    assert (picture[48, 192:289] == 255).all()  # the box's upper edge, six times enlarged
    assert (picture[192, 20] == 100).all()  # nothing changes, the film shows


def test_maps_of_an_earlier_run_are_cleared(detector, films, tmp_path):
    (tmp_path / "gone_surest_hit.png").write_bytes(b"old")
    score = score_films(detector, films, boxes=False).scores
    found = occlusion.write_maps({"transfer": occlusion.occlusion_maps(detector, films, score)}, films, tmp_path)
    assert [each["kind"] for each in found] == ["surest_hit", "worst_miss", "worst_alarm", "surest_normal"]
    assert [each["label"] for each in found] == [1, 1, 0, 0]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(each["file"] for each in found)
    assert cv2.imread(str(tmp_path / found[0]["file"])).shape == (384, 384, 3)
    assert all(each["full_colour"] >= max(each["falls"], each["rises"], 1.0) for each in found)
