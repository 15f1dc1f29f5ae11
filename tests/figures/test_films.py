"""Contact sheets show every film with its boxes and scores where they are."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from osteotl.figures import Omitted, contact_sheet, occlusion_maps, read_films, worst_misses
from osteotl.figures.films import prepared, strongest_boxes

LABELS = {"a": "model a", "b": "model b"}


@pytest.fixture
def data(tmp_path):
    (tmp_path / ".prepared" / "ab").mkdir(parents=True)
    Image.fromarray(np.zeros((100, 50), np.uint8)).save(tmp_path / ".prepared" / "ab" / "abc.png")
    return tmp_path


def films(count, **more):
    names = [f"film{i:02d}" for i in range(count)]
    return pd.DataFrame({"cohort": "external", "image_id": names, "film": "abc", "label": 1, "width": 100,
                         "height": 200} | more)  # fmt: skip


def test_boxes_are_drawn_in_prepared_pixels(data):
    table = films(2, label=[1, 0])
    boxes = pd.DataFrame({"image_id": ["film00"], "x_min": [20], "y_min": [40], "x_max": [60], "y_max": [100]})
    figure = contact_sheet(table, boxes, data, films_per_cohort=2)
    first, second = figure.axes
    # native 100 x 200 shown at 50 x 100: half of every coordinate
    assert [p.get_bbox().extents.tolist() for p in first.patches] == [[10, 20, 30, 50]]
    assert not second.patches
    assert first.get_title() == "malignant"


def test_every_film_that_is_given_is_drawn(data):
    figure = contact_sheet(films(10), pd.DataFrame({"image_id": []}), data)
    assert sum(bool(axes.images) for axes in figure.axes) == 10


def test_the_ten_worst_misses_have_scores_reference_boxes_and_predicted_boxes(data):
    rows = [{"image_id": f"film{i:02d}", "label": 1, "arm": arm, "runs": 3, "called": 0 if i < 12 else 3,
             "mean_score": 0.01 * (12 - i) + 0.001 * (arm == "b")} for i in range(14) for arm in "ab"]  # fmt: skip
    boxes = pd.DataFrame({"image_id": films(14)["image_id"], "x_min": 0, "y_min": 0, "x_max": 10, "y_max": 10})
    found = pd.concat([boxes.assign(arm=arm, score=0.25, fraction=1.0) for arm in "ab"])
    figure = worst_misses({"films": pd.DataFrame(rows)}, films(14), boxes, found, LABELS, data)
    # films 12 and 13 have the lowest scores and are found in every run; film 11 is the worst of the missed ones
    shown = [axes for axes in figure.picture.axes if axes.images]
    assert [axes.get_title().split("\n")[0] for axes in shown] == [f"film{i:02d}" for i in range(11, 1, -1)]
    assert shown[0].get_title().split("\n")[1:] == ["A 0.010, missed 3 of 3", "B 0.011, missed 3 of 3"]
    assert all(len(axes.patches) == 3 for axes in shown), "one reference box and one box a model"
    assert all([text.get_text() for text in axes.texts] in (["0.25", "0.25"], ["", "0.25", "0.25"],
               ["0.25", "0.25", ""]) for axes in shown)  # fmt: skip
    key = [text.get_text() for text in figure.picture.legends[0].get_texts()]
    assert key == ["reference standard", "A: model a", "B: model b"]
    assert figure.photograph
    assert "10 missed malignant films" in figure.alt


def test_without_films_or_misses_the_reason_is_said(data):
    rows = pd.DataFrame({"image_id": ["film00"], "label": 1, "arm": "a", "runs": 3, "called": 3, "mean_score": 0.9})
    nothing = read_films(data)
    assert all(table.empty for table in nothing)
    assert worst_misses({"films": rows}, *nothing, LABELS, data) == Omitted("the study was given scores, not films")
    empty = pd.DataFrame({"image_id": []})
    assert "no malignant film" in worst_misses({"films": rows}, films(1), empty, empty, LABELS, data).reason
    assert occlusion_maps({}, data, LABELS) == Omitted("no occlusion map was made")


def test_the_strongest_box_is_that_of_the_largest_label_fraction():
    found = pd.DataFrame(
        {"image_id": "film00", "arm": ["a", "a", "a"], "fraction": [0.1, 1.0, 1.0], "score": [0.9, 0.3, 0.4]}
    )
    assert strongest_boxes(found, ["film00"])["score"].tolist() == [0.4]


def test_occlusion_maps_are_placed_by_model_and_kind(data):
    Image.new("RGB", (20, 20), (90, 90, 90)).save(data / "map.png")
    entry = {"arm": "b", "kind": "worst_miss", "image_id": "abcdef012345", "label": 1, "file": "map.png",
             "full_colour": 3.25, "falls": 3.25, "rises": 0.5}  # fmt: skip
    others = [entry | {"arm": "nobody"}, entry | {"file": "lost.png"}]
    figure = occlusion_maps({"occlusion": [entry, *others]}, data, LABELS)
    drawn = [axes for axes in figure.picture.axes if axes.images]
    assert [axes.get_title() for axes in drawn] == ["malignant, lowest score\nabcdef, full colour 3.2"]
    assert "model b, malignant, lowest score: hiding a patch lowers the logit by at most 3.2" in figure.alt
    assert len(figure.numbers) == 1


def test_a_key_that_is_no_hash_is_refused(data):
    with pytest.raises(ValueError, match="is no key of a prepared film"):
        prepared(data, "../secret")
