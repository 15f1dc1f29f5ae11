"""Readers of annotation formats: coco, yolo, voc, labelme, manifest, and what they share."""

import json
import shutil

import pandas as pd
import pytest

from cohorts import layouts
from osteotl.cohorts.boxes import native_boxes
from osteotl.cohorts.readers import read_cohort
from osteotl.study import ConcatCohort, FileCohort


def test_coco_reads_identifier_zero_and_missing_iscrowd(tmp_path):
    cohort = layouts.read("coco", layouts.coco(tmp_path), classes={"osteosarcoma": "tumour", "cast": None})
    assert dict(zip(cohort.films["image_id"], cohort.films["label"], strict=True)) == {
        "a.png": 1,
        "b.png": 0,
        "c.png": 0,
    }
    # bbox is x, y, width, height: (10, 20, 30, 40) ends at (40, 60)
    assert layouts.corners(cohort, "a.png") == [(10, 20, 40, 60), (60, 5, 80, 15)]
    assert set(cohort.boxes["finding"]) == {"tumour"}
    assert layouts.codes(cohort) == ["patient_unknown"]


def test_coco_lists_a_class_that_nobody_named(tmp_path):
    cohort = layouts.read("coco", layouts.coco(tmp_path), classes={"osteosarcoma": "tumour"})
    assert "class_unmapped" in layouts.codes(cohort)
    assert "'cast' (1)" in next(f.message for f in cohort.faults if f.code == "class_unmapped")


def test_coco_film_that_no_file_lists_is_left_out_and_counted(tmp_path):
    layouts.film(layouts.coco(tmp_path) / "images/extra.png", seed=9)
    cohort = layouts.read("coco", tmp_path)
    assert len(cohort.films) == 3
    assert ("left out", 1, "status not annotated") in [(s.step, s.films, s.reason) for s in cohort.flow]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda c: c["annotations"][0].update(image_id=77), "unknown_id"),
        (lambda c: c["annotations"][0].update(category_id=77), "unknown_id"),
        (lambda c: c["annotations"][0].update(bbox=[1, 2, 3]), "box_invalid"),
        (lambda c: c["annotations"][0].update(bbox=[1, 2, float("nan"), 3]), "box_invalid"),
        (lambda c: c["images"].append({"id": 0, "file_name": "b.png"}), "duplicate_id"),
        (lambda c: c["images"][0].update(file_name="../../secret.png"), "path_outside_root"),
        (lambda c: c["images"][0].update(file_name="gone.png"), "film_missing"),
        (lambda c: c.pop("images"), "file_unreadable"),
    ],
)
def test_coco_faults(tmp_path, change, code):
    path = layouts.coco(tmp_path) / "annotations.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    assert code in layouts.codes(layouts.read("coco", tmp_path))


def test_yolo_polygon_empty_file_and_missing_file(tmp_path):
    cohort = layouts.read("yolo", layouts.yolo(tmp_path))
    labels = dict(zip(cohort.films["image_id"], cohort.films["label"], strict=True))
    assert labels == {"images/a.png": 1, "images/b.png": 0}  # c has no file: not annotated, never normal
    # centre .5 .5, size .5 .2 -> .25 .4 .75 .6; the polygon's bounds are .1 .1 .3 .4
    assert layouts.corners(cohort, "images/a.png") == [(0.1, 0.1, 0.3, 0.4), (0.25, 0.4, 0.75, 0.6)]
    assert set(cohort.boxes["finding"]) == {"lesion", "cast"}
    assert "not_annotated" in layouts.codes(cohort)


def test_yolo_label_stands_for_films_without_a_file(tmp_path):
    cohort = layouts.read("yolo", layouts.yolo(tmp_path), label=0)
    assert cohort.films.set_index("image_id")["label"].to_dict()["images/c.png"] == 0


@pytest.mark.parametrize(
    "line", ["0 0.5 0.5 0.2", "x 0.5 0.5 0.2 0.2", "0 0.5 0.5 0.2 nan", "7 0.5 0.5 0.2 0.2", "0 1 2 3 4 5"]
)
def test_yolo_line_that_cannot_be_read(tmp_path, line):
    (layouts.yolo(tmp_path) / "labels/b.txt").write_text(line)
    cohort = layouts.read("yolo", tmp_path)
    assert "row_invalid" in layouts.codes(cohort)
    assert "images/b.png" not in set(cohort.films["image_id"]) or line.startswith("7")


def test_yolo_label_file_without_film(tmp_path):
    (layouts.yolo(tmp_path) / "labels/gone.txt").write_text("0 0.5 0.5 0.2 0.2")
    assert "film_missing" in layouts.codes(layouts.read("yolo", tmp_path))


def test_yolo_folders_of_an_annotation_service(tmp_path):
    """train/images with train/labels, valid/images with valid/labels; the same stem may stand in both."""
    layouts.yolo(tmp_path / "plain")
    for part in ("train", "valid"):
        for folder in ("images", "labels"):
            shutil.copytree(tmp_path / "plain" / folder, tmp_path / "set" / part / folder)
    (tmp_path / "set/valid/labels/a.txt").write_text("")
    shutil.copy(tmp_path / "plain/data.yaml", tmp_path / "set")
    cohort = layouts.read("yolo", tmp_path / "set")
    labels = dict(zip(cohort.films["image_id"], cohort.films["label"], strict=True))
    assert labels == {
        "train/images/a.png": 1, "train/images/b.png": 0, "valid/images/a.png": 0, "valid/images/b.png": 0,
    }  # fmt: skip


def test_yolo_text_files_beside_their_films(tmp_path):
    layouts.yolo(tmp_path)
    for path in (tmp_path / "labels").glob("*.txt"):
        path.rename(tmp_path / "images" / path.name)
    cohort = layouts.read("yolo", tmp_path, annotations="images")
    assert cohort.films["label"].tolist() == [1, 0]


def test_yolo_film_with_a_class_that_nobody_named_is_not_taken_as_normal(tmp_path):
    layouts.yolo(tmp_path)
    (tmp_path / "labels/a.txt").write_text("7 0.5 0.5 0.1 0.1")
    cohort = layouts.read("yolo", tmp_path)
    assert cohort.films["image_id"].tolist() == ["images/b.png"]
    assert layouts.codes(cohort) == ["not_annotated", "patient_unknown", "row_invalid"]


def test_voc_counts_from_one_unless_a_box_starts_at_zero(tmp_path):
    root = layouts.voc(tmp_path)
    cohort = layouts.read("voc", root)
    assert layouts.corners(cohort, "images/a.png") == [(10, 20, 40, 60)]
    assert dict(zip(cohort.films["image_id"], cohort.films["label"], strict=True)) == {
        "images/a.png": 1,
        "images/b.png": 0,
    }
    (root / "Annotations/c.xml").write_text(layouts.voc_xml("c.png", [("lesion", 0, 5, 9, 9)]))
    assert layouts.corners(layouts.read("voc", root), "images/a.png") == [(11, 21, 40, 60)]


def test_voc_refuses_cvat_and_entities(tmp_path):
    root = layouts.voc(tmp_path)
    (root / "Annotations/b.xml").write_text("<annotations><image name='b.png' width='1' height='1'/></annotations>")
    (root / "Annotations/c.xml").write_text(
        '<!DOCTYPE lolz [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><annotation><filename>&b;</filename></annotation>'
    )
    cohort = layouts.read("voc", root)
    messages = [f.message for f in cohort.faults if f.code == "file_unreadable"]
    assert any("CVAT" in m for m in messages)
    assert any("entities" in m for m in messages)


def test_labelme_polygon_and_rectangle_are_one_lesion(tmp_path):
    cohort = layouts.read("labelme", layouts.labelme(tmp_path), patient_pattern=r"^(p\d+)")
    assert layouts.corners(cohort, "images/p1_frontal.png") == [(10, 20, 50, 60), (70, 70, 90, 95)]
    assert cohort.films.set_index("image_id")["label"].to_dict() == {
        "images/p1_frontal.png": 1,
        "images/p1_lateral.png": 0,
    }
    assert set(cohort.films["patient_id"]) == {"p1"}


def test_labelme_two_lesions_drawn_twice_are_two(tmp_path):
    root = layouts.labelme(tmp_path)
    shapes = [*layouts.lesion("a", 10, 10, 40, 40), *layouts.lesion("a", 60, 50, 100, 90)]
    (root / "annotations/p2_frontal.json").write_text(layouts.labelme_json("p2_frontal.png", shapes))
    assert len(layouts.corners(layouts.read("labelme", root), "images/p2_frontal.png")) == 2


def test_labelme_mask_gives_its_bounds_and_other_shapes_are_named(tmp_path):
    layouts.labelme(tmp_path)
    shapes = [("osteosarcoma", "mask", [[10, 20], [50, 60]])]
    (tmp_path / "annotations/p1_frontal.json").write_text(layouts.labelme_json("p1_frontal.png", shapes))
    shapes = [("osteosarcoma", "linestrip", [[10, 20], [50, 60], [5, 5]])]
    (tmp_path / "annotations/p1_lateral.json").write_text(layouts.labelme_json("p1_lateral.png", shapes))
    cohort = layouts.read("labelme", tmp_path)
    assert layouts.corners(cohort, "images/p1_frontal.png") == [(10, 20, 50, 60)]
    (fault,) = [f for f in cohort.faults if f.code == "box_invalid"]
    assert "(linestrip)" in fault.message


def test_manifest_reads_columns_and_boxes(tmp_path):
    cohort = layouts.read("manifest", layouts.manifest(tmp_path))
    assert len(cohort.films) == 14
    assert cohort.films["label"].sum() == 6
    assert cohort.films["patient_id"].nunique() == 7
    assert len(cohort.boxes) == 6
    assert layouts.wrong(cohort) == []


def test_manifest_empty_label_is_left_out_never_zero(tmp_path):
    path = layouts.manifest(tmp_path) / "manifest.csv"
    path.write_text(path.read_text().replace("films/f013.png,0,", "films/f013.png,,"))
    cohort = layouts.read("manifest", tmp_path)
    assert "films/f013.png" not in set(cohort.films["image_id"])
    assert layouts.codes(cohort) == ["not_annotated"]


def test_manifest_of_corners_one_row_per_box(tmp_path):
    # the corner format of formats/coco_voc_yolo.md: image_file,label,xmin,ymin,xmax,ymax,width,height
    layouts.film(tmp_path / "a.png")
    layouts.film(tmp_path / "b.png", seed=1)
    header = ["image_file", "label", "xmin", "ymin", "xmax", "ymax", "width", "height"]
    rows = [
        ["a.png", "Mass", 10, 20, 30, 40, 120, 100],
        ["a.png", "Mass", 50, 60, 70, 80, 120, 100],
        ["b.png", "", "", "", "", "", 120, 100],
    ]
    layouts.table(tmp_path / "manifest.csv", header, rows)
    cohort = layouts.read("manifest", tmp_path)
    assert cohort.films["label"].tolist() == [1, 0]
    assert layouts.corners(cohort, "a.png") == [(10, 20, 30, 40), (50, 60, 70, 80)]


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("films/f000.png,1", "films/gone.png,1", "film_missing"),
        ("films/f000.png,1", "films/f001.png,1", "duplicate_id"),
        ("films/f000.png,1", "films/f000.png,maybe", "label_unknown"),
        ("films/f000.png,1", "../f000.png,1", "path_outside_root"),
        ("films/f000.png,1", ",1", "row_invalid"),
        ("path,label", "pfad,etikett", "column_missing"),
        ("path,label", "path,path", "file_unreadable"),
        ("lateral,10,F", "lateral,310,F", "value_implausible"),
    ],
)
def test_manifest_faults(tmp_path, old, new, code):
    path = layouts.manifest(tmp_path) / "manifest.csv"
    path.write_text(path.read_text().replace(old, new, 1))
    assert code in layouts.codes(layouts.read("manifest", tmp_path))


def corners_in_rows(root, *rows, header=("path", "label", "x_min", "y_min", "x_max", "y_max")):
    """A manifest with corners in its own rows: films a.png, b.png, ..."""
    for seed, row in enumerate(rows):
        layouts.film(root / (row[0] or "unnamed.png"), seed=seed)
    layouts.table(root / "manifest.csv", list(header), [list(row) for row in rows])
    return root


CORNERS, NONE = (10, 20, 50, 60), ("", "", "", "")


@pytest.mark.parametrize(
    ("rows", "labels"),
    [
        # the label is the status of the film: it is not undone by corners that lack or abound (these are faults)
        ([("1", NONE), ("1", CORNERS), ("0", NONE), ("0", CORNERS)], [1, 1, 0, 0]),
        ([("malignant", NONE), ("Malignant", CORNERS), ("normal", NONE), ("benign", CORNERS)], [1, 1, 0, 0]),
        # the label is the class of the box
        ([("Mass", CORNERS), ("", NONE), ("No finding", NONE)], [1, 0, 0]),
        ([("Mass", CORNERS), ("Mass", NONE)], [1, 1]),  # a mass that nobody drew is no normal film
    ],
)
def test_manifest_of_corners_keeps_a_stated_status(tmp_path, rows, labels):
    corners_in_rows(tmp_path, *((f"{k}.png", label, *box) for k, (label, box) in enumerate(rows)))
    cohort = layouts.read("manifest", tmp_path)
    assert cohort.films.sort_values("image_id")["label"].tolist() == labels
    assert len(cohort.boxes) == sum(box == CORNERS for _, box in rows)


def test_manifest_of_corners_with_a_status_that_contradicts_them_is_refused(tmp_path):
    corners_in_rows(tmp_path, ("a.png", 1, *NONE), ("b.png", 0, *CORNERS), ("c.png", 1, *CORNERS), ("d.png", 0, *NONE))
    cohort = layouts.read("manifest", tmp_path)
    films = cohort.films.assign(width=120.0, height=100.0)
    assert [f.code for f in native_boxes(films, cohort.boxes)[1]] == ["normal_with_box", "malignant_without_box"]


def test_manifest_of_corners_loses_no_box_of_a_boxes_file(tmp_path):
    corners_in_rows(tmp_path, ("a.png", "1", *CORNERS), ("b.png", "0", *NONE))
    layouts.table(tmp_path / "boxes.csv", ["path", "x_min", "y_min", "x_max", "y_max"], [["a.png", 70, 70, 90, 90]])
    assert len(layouts.corners(layouts.read("manifest", tmp_path), "a.png")) == 2


def test_manifest_of_corners_without_a_column_label(tmp_path):
    corners_in_rows(tmp_path, ("a.png", *CORNERS), ("", *CORNERS), header=("path", "x_min", "y_min", "x_max", "y_max"))
    cohort = layouts.read("manifest", tmp_path, label=1)
    assert cohort.films["label"].tolist() == [1]
    assert "row_invalid" in layouts.codes(cohort)


@pytest.mark.parametrize("name", ["films/f000.png", "./films/f000.png", "films\\f000.png", "f000.png", "f000"])
def test_manifest_boxes_find_their_film_by_any_of_its_names(tmp_path, name):
    path = layouts.manifest(tmp_path) / "boxes.csv"
    path.write_text(path.read_text().replace("films/f000.png", name))
    cohort = layouts.read("manifest", tmp_path)
    assert layouts.codes(cohort) == []
    assert layouts.corners(cohort, "films/f000.png") == [(10, 20, 50, 60)]


@pytest.mark.parametrize("separator", [";", "\t"])
def test_tables_as_excel_writes_them_elsewhere(tmp_path, separator):
    plain = layouts.read("manifest", layouts.manifest(tmp_path))
    for name in ("manifest.csv", "boxes.csv"):
        text = (tmp_path / name).read_text().replace(",", separator)
        (tmp_path / name).write_text(text, encoding="utf-8-sig")
    again = layouts.read("manifest", tmp_path)
    assert layouts.wrong(again) == []
    pd.testing.assert_frame_equal(again.films, plain.films)
    pd.testing.assert_frame_equal(again.boxes, plain.boxes)


@pytest.mark.parametrize("word", ["NA", "n/a", "?", "unknown", "None"])
def test_patients_that_are_not_known_are_not_one_patient(tmp_path, word):
    path = layouts.manifest(tmp_path) / "manifest.csv"
    path.write_text(path.read_text().replace("P000m", word).replace("P001m", word))
    cohort = layouts.read("manifest", tmp_path)
    assert cohort.films["patient_id"].nunique() == 7 - 2 + 4  # two films a patient
    assert layouts.codes(cohort) == ["patient_unknown"]


def test_a_sex_that_is_no_word_of_ours_is_listed(tmp_path):
    path = layouts.manifest(tmp_path) / "manifest.csv"
    path.write_text(path.read_text().replace(",10,F,", ",10,weiblich,").replace(",11,M,", ",11,unknown,"))
    (fault,) = layouts.wrong(layouts.read("manifest", tmp_path))
    assert fault.code == "value_implausible"
    assert "1 entries of sex" in fault.message
    assert "weiblich" in fault.message


def test_a_film_of_another_case_or_without_a_suffix_is_found(tmp_path):
    layouts.manifest(tmp_path)
    (tmp_path / "films/f000.png").rename(tmp_path / "films/F000.PNG")
    (tmp_path / "films/f001.png").rename(tmp_path / "films/IM1.2.840")
    for name in ("manifest.csv", "boxes.csv"):
        path = tmp_path / name
        path.write_text(path.read_text().replace("f001.png", "IM1.2.840"))
    cohort = layouts.read("manifest", tmp_path)
    assert layouts.wrong(cohort) == []
    assert len(cohort.boxes) == 6


def test_box_of_an_unknown_film(tmp_path):
    path = layouts.manifest(tmp_path) / "boxes.csv"
    path.write_text(path.read_text() + "films/other.png,1,2,3,4,x\n")
    assert "unknown_id" in layouts.codes(layouts.read("manifest", tmp_path))


# --- what all readers share -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("where", "films"),
    [
        ("dose < 3", 3),
        ("site == 'A' and label == 1", 4),
        ("view.str.startswith('front')", 7),
        ("dose in [1, 2]", 2),
        ("age >= 20", 4),
    ],
)
def test_where_keeps_films_and_counts_the_rest(tmp_path, where, films):
    cohort = layouts.read("manifest", layouts.manifest(tmp_path), where=where)
    assert len(cohort.films) == films
    assert sum(step.films for step in cohort.flow if step.step == "left out") == 14 - films
    assert set(cohort.boxes["image_id"]) <= set(cohort.films["image_id"])


@pytest.mark.parametrize(
    "where",
    ["nothing == 1", "dose ==", "dose + 1", "@__import__('os').system('true')", "dose.to_csv('x')", "__class__",
     "view > 3", "'a' * 9", "1 / 0", "(lambda: 1)()", "site == 'A'; import os", "dose.values.tofile('x')"],
)  # fmt: skip
def test_where_that_cannot_be_answered_is_a_fault(tmp_path, where):
    cohort = layouts.read("manifest", layouts.manifest(tmp_path), where=where)
    assert "where_invalid" in layouts.codes(cohort)
    assert not (tmp_path / "x").exists()


def test_patients_from_a_map_file(tmp_path):
    root = layouts.yolo(tmp_path)
    layouts.table(root / "map.csv", ["image_id", "patient_id"], [["a.png", "P1"], ["b", "P1"]])
    cohort = layouts.read("yolo", root, patients="map.csv", label=0)
    assert cohort.films.set_index("image_id")["patient_id"].to_dict() == {
        "images/a.png": "P1", "images/b.png": "P1", "images/c.png": "film:images/c.png"}  # fmt: skip
    assert layouts.codes(cohort) == ["patient_unmapped"]


def test_pattern_that_misses_a_film(tmp_path):
    cohort = layouts.read("labelme", layouts.labelme(tmp_path), patient_pattern=r"^(p1)", label=0)
    assert "patient_unmatched" in layouts.codes(cohort)


def test_a_table_of_ones_own_joins_by_name(tmp_path):
    root = layouts.yolo(tmp_path)
    layouts.table(root / "info.csv", ["filestem", "patient_id", "gender", "age", "fractured"],
                  [["a", "P1", "female", "14.1", 1], ["b", "P2", "M", "", 0], ["c", "P2", "M", "7", 0]])  # fmt: skip
    cohort = layouts.read("yolo", root, table="info.csv", label=0, where="fractured == 0")
    assert cohort.films["patient_id"].tolist() == ["P2", "P2"]
    assert cohort.films["sex"].tolist() == ["M", "M"]
    assert cohort.films["age"].tolist()[1] == 7


def test_concat_keeps_ids_and_patients_apart(tmp_path):
    parts = [
        FileCohort(reader="manifest", root=layouts.manifest(tmp_path / "one"), patient_prefix="one-"),
        FileCohort(reader="manifest", root=layouts.manifest(tmp_path / "two", seed=50)),
    ]
    cohort = read_cohort(ConcatCohort(reader="concat", parts=parts, where="part == 2 or label == 1"), tmp_path)
    assert len(cohort.films) == 6 + 14
    assert cohort.films["image_id"].is_unique
    assert set(cohort.boxes["image_id"]) <= set(cohort.films["image_id"])
    assert layouts.wrong(cohort) == []


def test_concat_says_when_two_parts_share_patients(tmp_path):
    parts = [FileCohort(reader="manifest", root=layouts.manifest(tmp_path / name)) for name in ("one", "two")]
    assert layouts.codes(read_cohort(ConcatCohort(reader="concat", parts=parts), tmp_path)) == ["patient_in_two_parts"]


@pytest.mark.parametrize(
    "reader", ["btxrd", "nih", "vindr", "rsna", "tbx11k", "coco", "yolo", "voc", "labelme", "manifest"]
)
class TestNothingThere:
    def test_missing_root(self, tmp_path, reader):
        assert layouts.codes(layouts.read(reader, tmp_path / "gone")) == ["root_missing"]

    def test_empty_folder(self, tmp_path, reader):
        codes = layouts.codes(layouts.read(reader, tmp_path))
        assert "cohort_empty" in codes
        assert "file_missing" in codes

    def test_files_are_never_changed(self, tmp_path, reader):
        root = getattr(layouts, reader)(tmp_path)
        before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in root.rglob("*") if path.is_file()}
        layouts.read(reader, root)
        assert before == {
            path: (path.stat().st_mtime_ns, path.read_bytes()) for path in root.rglob("*") if path.is_file()
        }
