"""The gallery: drawn by its rule, counted over all runs, every missed film with a picture that enlarges itself."""

from __future__ import annotations

import base64
from io import BytesIO

import numpy as np
import pandas as pd
import pytest
from bs4 import BeautifulSoup
from PIL import Image

from osteotl.report.gallery import Films, chosen_films, gallery, missed_films, missed_words, two_misses

LABELS = {"a": "model a", "b": "model b"}
HOSTILE = "\"><script>window.hacked=1</script>'&lt;"


def films_of(folder, calls, **more):
    """Films with a picture each; `calls` maps a film to (label, calls of a, calls of b) of three runs."""
    (folder / ".prepared" / "ab").mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((200, 100), 90, np.uint8)).save(folder / ".prepared" / "ab" / "abc.png")
    rows = [{"image_id": name, "label": label, "subtype": "osteosarcoma" if label else "", "age": 14.0, "sex": "F",
             "arm": arm, "runs": 3, "called": called, "mean_score": 0.125} | more
            for name, (label, *each) in calls.items() for arm, called in zip("ab", each, strict=True)]  # fmt: skip
    external = pd.DataFrame({"image_id": list(calls), "film": "abc", "width": 100, "height": 200})
    boxes = pd.DataFrame({"image_id": list(calls), "x_min": 10.0, "y_min": 20.0, "x_max": 30.0, "y_max": 60.0})
    found = pd.concat([boxes.assign(arm=arm, fraction=1.0, seed=run, score=0.1 * (run + 1), x_min=10.0 + run)
                       for arm in "ab" for run in range(3)])  # fmt: skip
    return Films({"films": pd.DataFrame(rows)}, external, boxes, found, LABELS, folder)


CALLS = {
    "h00000000001": (1, 3, 3), "h00000000002": (1, 3, 3), "m00000000001": (1, 0, 0), "p00000000001": (1, 1, 3),
    "p00000000002": (1, 2, 2), "f00000000001": (0, 3, 3), "n00000000001": (0, 0, 0), "d00000000001": (0, 3, 1),
}  # fmt: skip


@pytest.fixture
def films(tmp_path):
    return films_of(tmp_path, CALLS)


def test_kinds_count_all_runs(films):
    chosen = chosen_films(films.calls(), ["a", "b"], 24, seed=0)
    assert chosen == {
        "hit": ["h00000000001", "h00000000002"],
        "miss": ["m00000000001"],
        "alarm": ["f00000000001"],
        # p1: 1 of 3 against 3 of 3; d1: 3 of 3 against 1 of 3; p2 is called by both in 2 of 3
        "disagreement": ["d00000000001", "p00000000001"],
    }


def test_the_draw_is_random_by_its_seed_and_of_equal_size():
    calls = pd.DataFrame({"a": 1.0, "b": 1.0, "label": 1}, index=[f"film{i:03d}" for i in range(200)])
    one, again, other = (chosen_films(calls, ["a", "b"], 24, seed)["hit"] for seed in (0, 0, 1))
    assert one == again != other
    assert len(one) == len(set(one)) == 6
    # every film has the same chance: over 400 seeds a film is drawn 12 times on average
    drawn = np.concatenate([chosen_films(calls, ["a", "b"], 24, seed)["hit"] for seed in range(400)])
    counts = pd.Series(drawn).value_counts()
    assert counts.mean() == pytest.approx(12, abs=0.3)
    assert counts.max() < 30


def test_missed_films_stand_in_the_order_of_runs_that_miss_them(films):
    # misses in runs: m1 6 of 6; p1 2 of 6; p2 2 of 6; hits none
    assert missed_films(films.calls(), ["a", "b"]) == ["m00000000001", "p00000000001", "p00000000002"]


def test_every_missed_film_has_a_picture_that_a_table_can_link_to(films):
    page = BeautifulSoup(str(gallery(films, "high sensitivity", 24)), "html.parser")
    for name in missed_films(films.calls(), ["a", "b"]):
        (figure,) = page.select(f"#film-{name}")
        assert figure.select_one("details.enlarge > summary img")["alt"].startswith(f"Radiograph {name[:6]}")


def test_a_film_of_two_kinds_has_one_anchor(films):
    page = BeautifulSoup(str(gallery(films, "high sensitivity", 24)), "html.parser")
    names = [node["id"] for node in page.select("[id]")]
    assert len(names) == len(set(names)) == 7  # all films but the true negative


def test_captions_say_calls_over_all_runs_and_boxes_stand_where_they_are(films):
    page = BeautifulSoup(str(gallery(films, "high sensitivity", 24)), "html.parser")
    figure = page.select_one("#film-p00000000001")
    assert "missed by 2 of 3 runs, score 0.12" in figure.select_one("figcaption").get_text()
    assert "false alarm in 1 of 3 runs" in page.select_one("#film-d00000000001 figcaption").get_text()
    rects = [(r["x"], r["y"], r["width"], r["height"]) for r in figure.select("svg rect:not(.halo)")]
    # the reference box, then each model's strongest box: that of run 2, whose left side lies at 12
    assert rects == [
        ("10.0", "20.0", "20.0", "40.0"),
        ("12.0", "20.0", "18.0", "40.0"),
        ("12.0", "20.0", "18.0", "40.0"),
    ]
    assert figure.select_one("svg")["viewbox"] == "0 0 100 200"
    kind, _, content = figure.select_one("img")["src"].partition(";base64,")
    assert kind == "data:image/jpeg"
    with Image.open(BytesIO(base64.b64decode(content))) as picture:
        assert picture.size == (100, 200)


def test_two_misses_of_each_model_are_missed_by_most_of_its_runs(films):
    page = BeautifulSoup(str(two_misses(films)), "html.parser")
    groups = page.select(".strip > div")
    assert [len(group.select("figure")) for group in groups] == [2, 1]
    assert {caption.select_one(".id").get_text() for caption in groups[0].select("figcaption")} == {"m00000", "p00000"}
    assert not page.select("[id]"), "the anchors belong to the gallery"
    assert "more than half of its runs" in page.get_text()


def test_pictures_beyond_the_weight_are_told_and_left_out(films, monkeypatch):
    monkeypatch.setattr("osteotl.report.gallery.HEAVY", 10)
    # none are drawn at random; of the three missed films the first is shown, and then the weight is reached
    assert "2 more are listed in the table of missed tumours without a picture" in gallery(films, "high sensitivity", 0)


def test_scores_without_films_have_no_gallery(films):
    scores = Films(
        films.tables, pd.DataFrame({"image_id": []}), films.boxes.head(0), films.detections.head(0), LABELS, films.data
    )
    assert gallery(scores, "high sensitivity") is None
    assert two_misses(scores) is None


def test_texts_of_users_are_escaped(tmp_path):
    films = films_of(tmp_path, CALLS, subtype=HOSTILE)
    films.labels = dict.fromkeys(LABELS, HOSTILE)
    page = BeautifulSoup(f"{gallery(films, HOSTILE)}{two_misses(films)}", "html.parser")
    assert not page.select("script")
    assert HOSTILE in page.select_one("#film-h00000000001 img")["alt"]


@pytest.mark.parametrize(
    ("called", "words"), [(0, "missed by 3 of 3 runs"), (2, "missed by 1 of 3 runs"), (3, "found by 3 of 3 runs")]
)
def test_misses_in_words(called, words):
    assert missed_words({"runs": 3, "called": called}) == words
