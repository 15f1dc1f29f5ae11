"""Marks beside the class of a box: a region of several lesions is no lesion box; other marks change nothing."""

import json

import pytest

from cohorts import layouts
from osteotl.cohorts.boxes import native_boxes


def told(cohort):
    """The message of each fault about marks, by code."""
    return {fault.code: fault.message for fault in cohort.faults if fault.code in ("box_crowd", "box_marked")}


def labels(cohort):
    """Label of each film, by its id."""
    return dict(zip(cohort.films["image_id"], cohort.films["label"], strict=True))


def coco(root, *marks):
    """Films a and b with one box of (10, 20) to (40, 60) each, c with none; `marks` join the boxes of a and b."""
    content = json.loads((layouts.coco(root) / "annotations.json").read_text())
    box = {"category_id": 0, "bbox": [10, 20, 30, 40]}
    content["annotations"] = [{"id": k, "image_id": k, **box, **mark} for k, mark in enumerate(marks)]
    (root / "annotations.json").write_text(json.dumps(content))
    return layouts.read("coco", root)


@pytest.mark.parametrize("mark", [{"iscrowd": 1}, {"iscrowd": True}, {"iscrowd": "1"}, {"attributes": {"crowd": True}}])
def test_a_crowd_of_coco_makes_its_film_malignant_and_is_no_box(tmp_path, mark):
    cohort = coco(tmp_path, mark, {"iscrowd": 0})
    assert labels(cohort) == {"a.png": 1, "b.png": 1, "c.png": 0}
    assert cohort.boxes["image_id"].tolist() == ["b.png"]
    # one region, on a; it is a's only box
    word = "crowd" if "attributes" in mark else "iscrowd"
    assert told(cohort) == {
        "box_crowd": f"{tmp_path.name}: 1 region marked {word}, several lesions in one box, left out: a.png (1); "
        "1 of 1 film has no other box"
    }
    faults = native_boxes(cohort.films.assign(width=120, height=100), cohort.boxes)[1]
    assert [(fault.code, fault.file) for fault in faults] == [
        ("malignant_without_box", f"{tmp_path.name}/images/a.png")
    ]


def test_regions_are_counted_film_by_film(tmp_path):
    content = json.loads((layouts.coco(tmp_path) / "annotations.json").read_text())
    # a has two lesions of its own and now three regions, one of them written twice; b has one region alone
    regions = [(0, 1), (0, 2), (0, 3), (0, 3), (1, 1)]
    content["annotations"] += [
        {"id": 10 + k, "image_id": image, "category_id": 0, "bbox": [x, 0, 30, 40], "iscrowd": 1}
        for k, (image, x) in enumerate(regions)
    ]
    (tmp_path / "annotations.json").write_text(json.dumps(content))
    cohort = layouts.read("coco", tmp_path, classes={"osteosarcoma": "tumour", "cast": None})
    assert "4 regions marked iscrowd" in told(cohort)["box_crowd"]
    assert told(cohort)["box_crowd"].endswith("left out: a.png (3), b.png (1); 1 of 2 films has no other box")
    assert len(cohort.boxes) == 2


@pytest.mark.parametrize("mark", [{"difficult": 1}, {"ignore": 1}, {"attributes": {"occluded": True, "rotation": 0.0}}])
def test_other_marks_of_coco_change_nothing_and_are_said(tmp_path, mark):
    cohort = coco(tmp_path, mark, {})
    assert len(cohort.boxes) == 2
    word = next(iter(mark)) if "attributes" not in mark else "occluded"
    assert told(cohort) == {
        "box_marked": f"{tmp_path.name}: boxes with these marks count as lesions like any other: '{word}' (1)"
    }


@pytest.mark.parametrize("mark", [{"iscrowd": 0}, {"iscrowd": None}, {"attributes": []}, {"iscrowd": [1]}, {"area": 1}])
def test_no_mark_says_nothing(tmp_path, mark):
    assert told(coco(tmp_path, mark, {})) == {}


def test_a_mark_on_a_class_that_does_not_count_says_nothing(tmp_path):
    content = json.loads((layouts.coco(tmp_path) / "annotations.json").read_text())
    content["annotations"][2]["iscrowd"] = 1  # the cast on b
    (tmp_path / "annotations.json").write_text(json.dumps(content))
    cohort = layouts.read("coco", tmp_path, classes={"osteosarcoma": "tumour", "cast": None})
    assert told(cohort) == {}
    assert labels(cohort)["b.png"] == 0


@pytest.mark.parametrize(
    ("element", "mark"),
    [
        ("<difficult>1</difficult>", "difficult"),
        ("<truncated>1</truncated>", "truncated"),
        ("<attributes><attribute><name>occluded</name><value>True</value></attribute></attributes>", "occluded"),
    ],
)
def test_marks_of_pascal_voc_are_said(tmp_path, element, mark):
    path = layouts.voc(tmp_path) / "Annotations/a.xml"
    plain = path.read_text().replace("<truncated>0</truncated><difficult>0</difficult>", "")
    path.write_text(plain.replace("<name>lesion</name>", f"<name>lesion</name>{element}"))
    cohort = layouts.read("voc", tmp_path)
    assert layouts.corners(cohort, "images/a.png") == [(10, 20, 40, 60)]
    assert told(cohort)["box_marked"].endswith(f"'{mark}' (1)")


@pytest.mark.parametrize("place", ["flags", "shape"])
@pytest.mark.parametrize(("mark", "boxes"), [("crowd", 1), ("difficult", 2)])
def test_flags_of_labelme_shapes(tmp_path, place, mark, boxes):
    path = layouts.labelme(tmp_path) / "annotations/p1_frontal.json"  # two tumours, one of them drawn twice
    content = json.loads(path.read_text())
    for shape in content["shapes"][:2]:  # the polygon and the rectangle of one tumour
        shape.update({"flags": {mark: True}} if place == "flags" else {mark: True})
    path.write_text(json.dumps(content))
    cohort = layouts.read("labelme", tmp_path)
    assert labels(cohort)["images/p1_frontal.png"] == 1
    assert len(cohort.boxes) == boxes
    (message,) = told(cohort).values()
    assert ("1 region marked crowd" in message) if boxes == 1 else message.endswith("'difficult' (1)")
