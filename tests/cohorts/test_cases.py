"""Folders and tables of a kind that people report, each with the right reading; see cases/*/README."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from cohorts import layouts
from osteotl.cohorts import tables
from osteotl.cohorts.boxes import native_boxes
from osteotl.cohorts.pool import exclude as exclude_films
from osteotl.cohorts.pool import make_partitions, read_pool
from osteotl.cohorts.readers.builder import FilmIndex
from osteotl.cohorts.readers.files import plain_numbers
from osteotl.cohorts.readers.splits import part_of
from osteotl.study import StudyError, parse_study

CASES = Path(__file__).parent / "cases"


def case(name, tmp_path):
    """A copy of a case's folder."""
    return shutil.copytree(CASES / name, tmp_path / Path(name).name)


def message(cohort, code):
    """The one fault of a code."""
    (fault,) = [fault for fault in cohort.faults if fault.code == code]
    return fault.message


def study_of(root, reader="manifest", exclude=(), **settings):
    """A study with a development cohort alone."""
    return parse_study({
        "title": "T", "reference": "a", "arms": {"a": {"initialise": "random"}, "b": {"initialise": "random"}},
        "cohorts": {"development": {"reader": reader, "root": str(root), **settings}},
        "integrity": {"exclude": list(exclude)},
    })  # fmt: skip


def partitioned(study, data):
    """The cohorts of a study with their partitions, films not decoded."""
    pool = read_pool(study.cohorts, data)
    exclude_films(pool, study.integrity.exclude)
    make_partitions(pool, study.cohorts)
    return pool


def check(root, reader="manifest", exclude=(), **settings):
    """Faults that `check` lists for that study, films decoded."""
    return tables.check(study_of(root, reader, exclude, **settings), root / "data")


# --- which film is meant ----------------------------------------------------------------------------------------------


def test_a_missing_film_is_not_replaced_by_one_of_its_name_elsewhere(tmp_path):
    root = case("05_wrong_film_same_name/A_same_name_other_folder", tmp_path)
    cohort = layouts.read("manifest", root)
    assert "001" not in " ".join(cohort.films["image_id"])
    assert "siteA/001.png" in message(cohort, "film_missing")
    remedy = next(fault.remedy for fault in cohort.faults if fault.code == "film_missing")
    assert "siteB/001.png" in remedy  # named, never taken


def test_coco_film_of_another_folder(tmp_path):
    cohort = layouts.read("coco", case("05_wrong_film_same_name/A2_coco", tmp_path), annotations="ann.json")
    assert cohort.films["image_id"].tolist() == ["train/2.png"]
    assert "train/000001.png" in message(cohort, "film_missing")


@pytest.mark.parametrize(
    ("name", "films", "found"),
    [
        # by its path, by the end of its path, by name and by stem, in another case, with another suffix
        ("a/1.png", ["a/1.png", "b/1.png"], ["a/1.png"]),
        ("1.png", ["1.png", "b/1.png"], ["1.png"]),
        ("1.png", ["a/1.png", "b/1.png"], ["a/1.png", "b/1.png"]),
        ("a/1.png", ["x/a/1.png", "x/b/1.png"], ["x/a/1.png"]),
        ("1", ["x/1.png"], ["x/1.png"]),
        ("A/1.PNG", ["a/1.png"], ["a/1.png"]),
        ("a\\1.png", ["a/1.png"], ["a/1.png"]),
        ("a/1.dcm", ["a/1.png"], ["a/1.png"]),
        # accents in two spellings (a table from Windows, films from a Mac), and an invisible character
        ("M\u00fcnster.png", ["Mu\u0308nster.png"], ["Mu\u0308nster.png"]),
        ("a/1.png\u200b", ["a/1.png"], ["a/1.png"]),
        # led by the folder's own name: matched by what follows, and by nothing else
        ("knees/a/1.png", ["a/1.png"], ["a/1.png"]),
        ("cohort/knees/a/1.png", ["a/1.png"], ["a/1.png"]),
        ("knees/1.png", ["a/1.png"], ["a/1.png"]),
        # a folder that is named must be there
        ("a/1.png", ["b/1.png"], []),
        ("a/1.png", ["1.png"], []),
        ("other/knees/1.png", ["1.png"], []),
        ("train/1.png", ["val/1.png"], []),
        ("a/1.png", ["ba/1.png"], []),
    ],
)
def test_a_name_means_a_film(tmp_path, name, films, found):
    root = tmp_path / "cohort/knees"
    for film in films:
        (root / film).parent.mkdir(parents=True, exist_ok=True)
        (root / film).touch()
    assert [path.relative_to(root).as_posix() for path in FilmIndex(root, root).find(name)] == found


@settings(max_examples=60, deadline=None)
@given(
    st.sets(
        st.sampled_from(["1", "b", "a/1", "b/1", "a/b", "ab/1", "a/a/1", "b/a/1", "a/a", "b/b", "1/1"]), max_size=7
    ),
    st.sampled_from(["a/1.png", "b/1.png", "1.png", "a/b.png"]),
)
def test_a_film_that_is_found_ends_as_it_was_named(tmp_path_factory, names, asked):
    root = tmp_path_factory.mktemp("films") / "r"
    for name in names:
        path = root / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    found = [path.relative_to(root).as_posix() for path in FilmIndex(root, root).find(asked)]
    there = sorted(path.relative_to(root).as_posix() for path in root.rglob("*.png"))
    exact = [name for name in there if name == asked]
    assert sorted(found) == (exact or [name for name in there if name.endswith(f"/{asked}")])


def test_voc_file_that_names_another_film(tmp_path):
    cohort = layouts.read("voc", case("20_voc_other_film/J_voc", tmp_path))
    assert "0.png" in message(cohort, "film_ambiguous")
    assert "1.png" in message(cohort, "film_ambiguous")
    assert cohort.boxes.empty


def test_labelme_file_that_names_another_film(tmp_path):
    root = layouts.labelme(tmp_path)
    shapes = layouts.lesion("osteosarcoma", 10, 20, 50, 60)
    (root / "annotations/p2_frontal.json").write_text(layouts.labelme_json("p1_lateral.png", shapes))
    (root / "annotations/p1_lateral.json").unlink()
    cohort = layouts.read("labelme", root)
    assert "p2_frontal.png and " in message(cohort, "film_ambiguous")
    assert set(cohort.boxes["image_id"]) == {"images/p1_frontal.png"}


def two_sites(root):
    """Two films of one file name in two folders, as YOLO keeps them."""
    for seed, site in enumerate(["siteA", "siteB"]):
        layouts.film(root / f"images/{site}/001.png", seed=seed)
        (root / f"labels/{site}").mkdir(parents=True)
        (root / f"labels/{site}/001.txt").write_text("0 .5 .5 .2 .2" if seed else "")
    return root


@pytest.mark.parametrize("setting", ["patients", "table"])
def test_a_row_of_a_map_or_table_is_of_the_film_in_its_folder(tmp_path, setting):
    root = two_sites(tmp_path)
    layouts.table(root / "map.csv", ["path", "patient_id"], [["siteA/001.png", "P1"], ["siteB/001.png", "P2"]])
    cohort = layouts.read("yolo", root, **{setting: "map.csv"})
    assert cohort.films["patient_id"].tolist() == ["P1", "P2"]
    assert layouts.wrong(cohort) == []
    layouts.table(root / "map.csv", ["path", "patient_id"], [["siteA/001.png", "P1"]])
    patients = layouts.read("yolo", root, **{setting: "map.csv"}).films["patient_id"].tolist()
    assert patients == ["P1", "film:images/siteB/001.png"]
    layouts.table(root / "map.csv", ["path", "patient_id"], [["001.png", "P1"]])
    assert "film_ambiguous" in layouts.codes(layouts.read("yolo", root, **{setting: "map.csv"}))


def test_a_yolo_text_file_is_of_no_film_by_its_stem_where_two_have_it(tmp_path):
    root = two_sites(tmp_path)
    (root / "labels/siteB/001.txt").rename(root / "labels/001.txt")
    cohort = layouts.read("yolo", root)
    assert cohort.boxes.empty
    assert {"film_missing", "not_annotated"} <= set(layouts.codes(cohort))


def test_a_name_in_an_annotation_that_no_film_has_plays_no_part(tmp_path):
    root = layouts.voc(tmp_path)
    (root / "Annotations/a.xml").write_text(layouts.voc_xml("scan 17.jpg", [("lesion", 11, 21, 40, 60)]))
    assert layouts.corners(layouts.read("voc", root), "images/a.png") == [(10, 20, 40, 60)]


@pytest.mark.parametrize("reader", ["coco", "yolo", "voc", "labelme"])
def test_litter_of_a_mac_or_of_excel_is_no_annotation(tmp_path, reader):
    root = getattr(layouts, reader)(tmp_path)
    before = layouts.read(reader, root)
    kinds = (".json", ".txt", ".xml", ".yaml")
    for path in [path for path in root.rglob("*") if path.suffix in kinds]:
        for name in (f"._{path.name}", f"~${path.name}"):
            path.with_name(name).write_bytes(b"\x00\x05\x16\x07\x00\x02Mac OS X")
        (root / "__MACOSX").mkdir(exist_ok=True)
        (root / "__MACOSX" / path.name).write_bytes(b"\x00\x05\x16\x07")
    after = layouts.read(reader, root)
    assert layouts.codes(after) == layouts.codes(before)
    assert after.boxes.equals(before.boxes)


def test_litter_of_a_mac_cases(tmp_path):
    yolo = layouts.read("yolo", case("29_mac_litter/yolo", tmp_path))
    assert (len(yolo.films), yolo.films["label"].sum()) == (6, 3)
    coco = layouts.read("coco", case("29_mac_litter/coco", tmp_path))
    assert (len(coco.films), coco.films["label"].sum()) == (4, 1)
    assert set(layouts.codes(yolo) + layouts.codes(coco)) == {"patient_unknown"}


# --- what an annotation says ------------------------------------------------------------------------------------------


def test_yolo_key_points_are_no_polygon(tmp_path):
    root = case("06_yolo_pose/D_pose", tmp_path)
    # centre .5 .5 and size .2 .2 of a film of 120 x 100: (48, 40)-(72, 60)
    cohort = layouts.read("yolo", root)
    boxes, faults = native_boxes(cohort.films.assign(width=120.0, height=100.0), cohort.boxes)
    assert boxes[["x_min", "y_min", "x_max", "y_max"]].round(6).to_numpy().tolist() == [[48, 40, 72, 60]]
    assert faults == []


@pytest.mark.parametrize(
    ("shape", "line", "read"),
    [
        ("[2, 3]", "0 .5 .5 .2 .2 .4 .4 2 .6 .6 1", True),
        ("[2, 2]", "0 .5 .5 .2 .2", True),  # a box without key points
        ("[2, 3]", "0 .5 .5 .2 .2 .4 .4 .6 .6", False),
        ("[2, 2]", "0 .1 .1 .3 .1 .3 .4", False),  # a polygon where key points are said to be
        ("[3]", "0 .5 .5 .2 .2", True),  # the nonsense is a fault of its own
        ("many", "0 .5 .5 .2 .2", True),
    ],
)
def test_yolo_key_points_of_other_shapes(tmp_path, shape, line, read):
    root = layouts.yolo(tmp_path)
    (root / "data.yaml").write_text(f"names: [lesion, cast]\nkpt_shape: {shape}\n")
    (root / "labels/a.txt").write_text(line)
    cohort = layouts.read("yolo", root)
    assert (layouts.corners(cohort, "images/a.png") == [(0.4, 0.4, 0.6, 0.6)]) == read
    assert ("row_invalid" in layouts.codes(cohort)) == (not read)
    assert ("file_unreadable" in layouts.codes(cohort)) == (shape in ("[3]", "many"))


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (["0 .5 .5 .2 .2 .45 .45 .55 .55"], True),
        (["0 .5 .5 .2 .2 .45 .45 .55 .55", "0 .3 .3 .2 .2 .25 .25 .35 .35"], True),
        (["0 .5 .5 .2 .2 .45 .45 1 .55 .55 1"], True),  # three numbers a point, the last a flag
        (["0 .5 .5 .2 .2 .45 .45 .55 .55", "0 .1 .1 .3 .1 .3 .4 .1 .4"], False),  # the second is an outline alone
        (["0 .1 .1 .3 .1 .3 .4 .1 .4"], False),
        (["0 .8 .8 .82 .8 .82 .85 .8 .85"], False),
    ],
)
def test_yolo_key_points_that_data_yaml_does_not_tell_of(tmp_path, lines, told):
    root = layouts.yolo(tmp_path)
    (root / "labels/a.txt").write_text("\n".join(lines))
    assert ("row_invalid" in layouts.codes(layouts.read("yolo", root))) == told
    with (root / "data.yaml").open("a") as file:
        file.write("kpt_shape: null\n")
    assert "row_invalid" not in layouts.codes(layouts.read("yolo", root)) or "1 .55 .55 1" in lines[0]


def test_nih_no_finding_with_a_box(tmp_path):
    cohort = layouts.read("nih", case("30_nih_no_finding_with_box/nih", tmp_path))
    _, faults = native_boxes(cohort.films.assign(width=96.0, height=96.0), cohort.boxes)
    assert [f.file for f in faults if f.code == "normal_with_box"] == ["nih/images/00000004_000.png"]
    labels = cohort.films.set_index("image_id")["label"]
    assert labels[["00000001_000.png", "00000003_000.png"]].tolist() == [1, 1]


@pytest.mark.parametrize("group", ["health", "sick"])
def test_tbx11k_healthy_film_with_a_box(tmp_path, group):
    root = layouts.tbx11k(tmp_path)
    for path in root.rglob("*.json"):
        text = path.read_text()
        path.write_text(text.replace("tb/tb0005.png", f"{group}/tb0005.png"))
    (root / f"imgs/{group}").mkdir(exist_ok=True)
    (root / "imgs/tb/tb0005.png").rename(root / f"imgs/{group}/tb0005.png")
    cohort = layouts.read("tbx11k", root)
    _, faults = native_boxes(cohort.films.assign(width=256.0, height=256.0), cohort.boxes)
    assert "normal_with_box" in [f.code for f in faults]


@pytest.mark.parametrize("name", ["No finding", "normal", "Healthy"])
def test_a_box_of_a_class_that_says_no_lesion_is_left_out_and_told(tmp_path, name):
    path = layouts.coco(tmp_path) / "annotations.json"
    content = json.loads(path.read_text())
    content["categories"][1]["name"] = name
    path.write_text(json.dumps(content))
    cohort = layouts.read("coco", tmp_path)
    assert cohort.films.set_index("image_id")["label"]["b.png"] == 0
    assert repr(name) in message(cohort, "class_unmapped")


@pytest.mark.parametrize(
    ("flags", "classes", "label"),
    [
        ({}, {}, 0),
        ({"malignant": False}, {}, 0),
        ({"normal": True}, {}, 0),
        ({"malignant": True}, {}, 1),
        ({"looked at": True}, {}, None),
        ({"bösartig": True}, {"bösartig": "1"}, 1),
        ({"gesund": True, "checked": True}, {"gesund": "0"}, None),
    ],
)
def test_labelme_flags_without_shapes(tmp_path, flags, classes, label):
    root = layouts.labelme(tmp_path)
    path = root / "annotations/p1_lateral.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "flags": flags}))
    films = layouts.read("labelme", root, classes=classes).films.set_index("image_id")["label"]
    assert films.get("images/p1_lateral.png") == label


@pytest.mark.parametrize("kind", ["point", "line", "linestrip"])
def test_a_shape_that_is_no_box_matters_only_if_its_class_counts(tmp_path, kind):
    root = layouts.labelme(tmp_path)
    shapes = [("marker", kind, [[1, 2], [3, 4], [5, 6]]), *layouts.lesion("osteosarcoma", 10, 20, 50, 60)]
    (root / "annotations/p1_frontal.json").write_text(layouts.labelme_json("p1_frontal.png", shapes))
    assert "box_invalid" in layouts.codes(layouts.read("labelme", root))
    cohort = layouts.read("labelme", root, classes={"osteosarcoma": "tumour", "marker": None})
    assert "box_invalid" not in layouts.codes(cohort)
    assert layouts.corners(cohort, "images/p1_frontal.png") == [(10, 20, 50, 60)]


@pytest.mark.parametrize(("reader", "size"), [("manifest", None), ("yolo", None)])
def test_a_film_turned_by_its_exif_orientation_is_named(tmp_path, reader, size):
    root = case("08_exif_boxes/E_exif", tmp_path)
    listed = check(root, reader)
    film = "E_exif/a.jpg" if (root / "a.jpg").exists() else "E_exif/images/a.jpg"
    assert [fault.file for fault in listed if fault.code == "box_turned"] == [film]


@pytest.mark.parametrize(("orientation", "told"), [(1, False), (2, True), (3, True), (6, True), (8, True)])
def test_orientations_of_a_manifest_without_sizes(tmp_path, orientation, told):
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = np.random.default_rng(1).integers(0, 255, (100, 120), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.jpg", exif=exif)
    layouts.film(tmp_path / "b.png", seed=3)
    layouts.table(tmp_path / "manifest.csv", ["path", "label"], [["a.jpg", 1], ["b.png", 0]])
    layouts.table(tmp_path / "boxes.csv", ["path", "x_min", "y_min", "x_max", "y_max"], [["a.jpg", 10, 10, 50, 50]])
    assert ("box_turned" in {fault.code for fault in check(tmp_path)}) == told


# --- columns ----------------------------------------------------------------------------------------------------------

CORNERS = ["x_min", "y_min", "x_max", "y_max"]


def two_films(root, boxes_header, *boxes, label=("1", "0"), **more):
    """Films a and b, and a table of boxes."""
    for seed, name in enumerate(["a.png", "b.png"]):
        layouts.film(root / name, seed=seed)
    rows = [["a.png", label[0], "P1"], ["b.png", label[1], "P2"]]
    layouts.table(root / "manifest.csv", ["path", "label", "patient_id"], rows)
    layouts.table(root / "boxes.csv", boxes_header, [list(box) for box in boxes])
    return layouts.read("manifest", root, **more)


def test_a_class_column_of_boxes(tmp_path):
    root = case("25_boxes_class_column/boxes_class", tmp_path)
    cohort = layouts.read("manifest", root)
    assert cohort.boxes["finding"].tolist() == ["osteosarcoma", "plaster cast"]
    assert "'plaster cast' (1)" in layouts.notes(cohort)["classes_joined"]
    kept = layouts.read("manifest", root, classes={"osteosarcoma": "tumour", "plaster cast": None})
    assert kept.boxes["finding"].tolist() == ["tumour"]
    assert layouts.wrong(kept) == []


@pytest.mark.parametrize(
    "name",
    ["finding", "class", "class_name", "label", "Category", "category_name", "Tumour type", "lesion", "Diagnosis"],
)
def test_a_class_column_by_its_usual_names(tmp_path, name):
    box = ["a.png", 10, 10, 50, 50]
    cohort = two_films(tmp_path, ["path", *CORNERS, name], [*box, "sarcoma"])
    assert cohort.boxes["finding"].tolist() == ["sarcoma"]


def test_a_class_column_by_no_usual_name_is_named_as_unused(tmp_path):
    cohort = two_films(tmp_path, ["path", *CORNERS, "Befund", "drawn by"], ["a.png", 10, 10, 50, 50, "Gips", "x"])
    assert "2 columns not used: Befund, drawn by" in layouts.notes(cohort)["column_unused"]


def test_unused_columns_of_every_table_are_listed(tmp_path):
    root = layouts.manifest(tmp_path)
    layouts.table(root / "map.csv", ["image_id", "patient_id", "ward"], [["f000", "P1", "3"]])
    cohort = layouts.read("manifest", root, patients="map.csv", where="age > 0")
    told = {fault.file: fault.message for fault in cohort.faults if fault.code == "column_unused"}
    assert "ward" in told[f"{root.name}/map.csv"]
    assert "dose" in told[f"{root.name}/manifest.csv"]
    assert "column_unused" not in layouts.notes(layouts.read("manifest", root, where="dose >= 0"))


def test_boxes_flagged_0_do_not_count(tmp_path):
    rows = (["a.png", 10, 10, 50, 50, 1], ["a.png", 60, 10, 90, 40, 0])
    cohort = two_films(tmp_path, ["path", *CORNERS, "label"], *rows)
    assert layouts.corners(cohort, "a.png") == [(10, 10, 50, 50)]
    assert "'0' (1)" in message(cohort, "class_unmapped")


@pytest.mark.parametrize(
    ("malignant", "normal"),
    [("bösartig", "gesund"), ("maligne", "bénin"), ("злокачественная", "норма"), ("恶性", "正常"), ("خبيث", "طبيعي"),
     ("ja", "nein")],
)  # fmt: skip
def test_labels_in_any_language_lose_no_box(tmp_path, malignant, normal):
    box = ["a.png", 10, 10, 50, 50]
    unmapped = two_films(tmp_path, ["path", *CORNERS], box, label=(malignant, normal))
    (fault,) = [fault for fault in unmapped.faults if fault.code == "label_unknown"]
    assert f'"{malignant}"' in fault.remedy
    assert f'"{normal}"' in fault.remedy
    for header, row in (([], []), (["finding"], ["sarcoma"]), (["finding"], [malignant])):
        classes = {malignant: "1", normal: "0"}
        cohort = two_films(
            tmp_path, ["path", *CORNERS, *header], [*box, *row], label=(malignant, normal), classes=classes
        )
        assert cohort.films["label"].tolist() == [1, 0]
        assert layouts.corners(cohort, "a.png") == [(10, 10, 50, 50)]
        assert layouts.wrong(cohort) == []
        assert repr(normal) in layouts.notes(cohort)["label_zero"]


def test_labels_in_any_language_with_corners_in_the_rows(tmp_path):
    for seed, name in enumerate(["a.png", "b.png"]):
        layouts.film(tmp_path / name, seed=seed)
    rows = [["a.png", "bösartig", 10, 10, 50, 50], ["b.png", "gesund", "", "", "", ""]]
    layouts.table(tmp_path / "manifest.csv", ["path", "label", *CORNERS], rows)
    cohort = layouts.read("manifest", tmp_path, classes={"bösartig": "1", "gesund": "0"})
    assert cohort.films["label"].tolist() == [1, 0]
    assert layouts.corners(cohort, "a.png") == [(10, 10, 50, 50)]


def test_classes_that_name_a_class_of_boxes_still_leave_the_others_out(tmp_path):
    rows = (["a.png", 10, 10, 50, 50, "sarcoma"], ["a.png", 60, 10, 90, 40, "cast"])
    header = ["path", *CORNERS, "finding"]
    cohort = two_films(
        tmp_path, header, *rows, label=("ja", "nein"), classes={"ja": "1", "nein": "0", "sarcoma": "tumour"}
    )
    assert cohort.boxes["finding"].tolist() == ["tumour"]
    assert "'cast' (1)" in message(cohort, "class_unmapped")
    misspelt = two_films(
        tmp_path, header, *rows, label=("ja", "nein"), classes={"ja": "1", "nein": "0", "sarkom": "tumour"}
    )
    assert misspelt.boxes.empty
    assert "sarkom" in message(misspelt, "class_absent")


def test_classes_may_be_numbers_and_must_be_texts():
    study = {"title": "T", "reference": "a", "arms": {"a": {"initialise": "random"}, "b": {"initialise": "random"}},
             "cohorts": {"development": {"reader": "manifest", "root": ".", "classes": {2: 1, "ja": 1}}}}  # fmt: skip
    assert parse_study(study).cohorts.development.classes == {"2": "1", "ja": "1"}
    study["cohorts"]["development"]["classes"] = {False: "0"}  # YAML's no
    with pytest.raises(StudyError, match="quotes"):
        parse_study(study)


def test_benign_as_label_0_is_said(tmp_path):
    path = layouts.manifest(tmp_path) / "manifest.csv"
    path.write_text(path.read_text().replace(".png,0,", ".png,benign,", 3))
    cohort = layouts.read("manifest", tmp_path)
    assert "'benign' (3)" in layouts.notes(cohort)["label_zero"]


def test_a_word_that_became_0_is_what_the_page_says_malignant_films_were_told_apart_from(tmp_path):
    cohort = two_films(tmp_path, ["path", *CORNERS], ["a.png", 10, 10, 50, 50], label=("malignant", "benign"))
    assert cohort.films.set_index("image_id")["subtype"].to_dict() == {"a.png": None, "b.png": "benign"}


def test_benign_tumours_of_btxrd_are_said(tmp_path):
    # one row of the layout is benign: b4-M-20, an osteochondroma
    assert "'benign' (1)" in layouts.notes(layouts.read("btxrd", layouts.btxrd(tmp_path)))["label_zero"]


# --- patients ---------------------------------------------------------------------------------------------------------


def test_a_nul_is_refused_and_an_invisible_character_taken_out(tmp_path):
    nul = layouts.read("manifest", case("27_nul_and_zero_width/nul", tmp_path))
    assert "row 3 holds a NUL" in message(nul, "row_invalid")
    plain = layouts.read("manifest", case("27_nul_and_zero_width/nbsp", tmp_path))
    assert plain.films["patient_id"].tolist() == ["P1", "P1"]
    assert r"'P1\u200b'" in message(plain, "patient_spelling")


@pytest.mark.parametrize("character", ["\u200b", "\u200c", "\u200e", "\u200f", "\u2060", "\ufeff", "\u00ad", "\u202a"])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_invisible_characters_make_no_second_patient(tmp_path, character, place):
    path = layouts.manifest(tmp_path) / "manifest.csv"
    spelt = "P000m"[:place] + character + "P000m"[place:]
    path.write_text(path.read_text().replace("P000m", spelt, 1))
    cohort = layouts.read("manifest", tmp_path)
    assert cohort.films["patient_id"].nunique() == 7
    assert layouts.codes(cohort) == ["patient_spelling"]


@pytest.mark.parametrize(
    ("one", "two", "told"),
    [("0012", "12", True), ("12", "12.0", True), ("P01", "p01", True), ("P001", "P01", True), ("P-01", "P-1", True),
     ("12", "120", False), ("12", "21", False), ("1.20", "1.2", False), ("A 1", "A 01", True)],
)  # fmt: skip
def test_patients_that_may_be_one_are_named_in_both_spellings(tmp_path, one, two, told):
    path = layouts.manifest(tmp_path) / "manifest.csv"
    path.write_text(path.read_text().replace("P000m", one).replace("P001m", two))
    told_of = [fault for fault in check(tmp_path) if fault.code == "patient_spelling"]
    assert len(told_of) == told
    assert all(repr(one) in fault.message and repr(two) in fault.message for fault in told_of)


def test_patients_spelt_in_two_ways_in_two_cohorts(tmp_path):
    for name, patient in (("here", "0012"), ("there", "12")):
        path = layouts.manifest(tmp_path / name, seed=0 if name == "here" else 300) / "manifest.csv"
        path.write_text(path.read_text().replace("P", f"{name}-").replace(f"{name}-000m", patient))
    study = parse_study({
        "title": "T", "reference": "a", "arms": {"a": {"initialise": "random"}, "b": {"initialise": "random"}},
        "cohorts": {"development": {"reader": "manifest", "root": str(tmp_path / "here")},
                    "external": {"reader": "manifest", "root": str(tmp_path / "there")}},
    })  # fmt: skip
    (fault,) = [f for f in tables.check(study, tmp_path, with_pixels=False) if f.code == "patient_spelling"]
    assert "'0012' and '12'" in fault.message


# --- tables of a beginner ---------------------------------------------------------------------------------------------

MISTAKES = sorted(path.name for path in (CASES / "32_mistakes").iterdir())


def mistake(name, tmp_path, folder="knees-here"):
    """One of a beginner's folders, with stand-in films of 1,000 x 1,000 under the names that the right tables hold."""
    film = tmp_path / "film.png"
    Image.new("L", (1000, 1000), 90).save(film)
    for sound in (CASES / "32_mistakes/semicolon").iterdir():
        if (sound / "manifest.csv").exists():
            with (sound / "manifest.csv").open(encoding="utf-8") as file:
                for row in csv.DictReader(file, delimiter=";"):
                    target = tmp_path / name / sound.name / row["path"]
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.hardlink_to(film)
    if name == "umlauts_cp1252":  # its table names one film otherwise, with accents
        films = tmp_path / name / "knees-here/films"
        text = (CASES / "32_mistakes" / name / "knees-here/manifest.csv").read_bytes().decode("cp1252")
        (films / "IMG0000465.jpg").rename(films.parent / text.splitlines()[12].split(",")[0])
    shutil.copytree(CASES / "32_mistakes" / name, tmp_path / name, dirs_exist_ok=True)
    return tmp_path / name / folder


def native(cohort, size=1000.0, trains=True):
    """Boxes in pixels and their faults, on films of one size."""
    return native_boxes(cohort.films.assign(width=size, height=size), cohort.boxes, trains)


@pytest.mark.parametrize("folder", ["knees-here", "knees-elsewhere", "chest"])
@pytest.mark.parametrize("name", ["semicolon", "text_labels", "umlauts_cp1252", "xlsx"])
def test_tables_that_are_read_as_they_were_meant(tmp_path, name, folder):
    cohort = layouts.read("manifest", mistake(name, tmp_path, folder))
    # rows of the tables, counted by hand: wc -l less the header; malignant films from the study's own check
    films, malignant = {"knees-here": (28, 11), "knees-elsewhere": (20, 8), "chest": (68, 32)}[folder]
    assert (len(cohort.films), cohort.films["label"].sum()) == (films, malignant)
    boxes, faults = native(cohort)
    assert len(boxes) == {"knees-here": 11, "knees-elsewhere": 8, "chest": 94}[folder]
    assert faults == []
    first = {"knees-here": (93.8, 202.5, 215.8, 401.3), "knees-elsewhere": (142.1, 3.9, 319.0, 342.7),
             "chest": (641, 421, 685, 454)}[folder]  # fmt: skip
    assert first in [tuple(row) for row in boxes[CORNERS].to_numpy().tolist()]
    assert set(layouts.codes(cohort)) <= {"table_read_as"}


def test_cp1252_is_told_with_a_word_and_read(tmp_path):
    cohort = layouts.read("manifest", mistake("umlauts_cp1252", tmp_path))
    assert "Münster" in set(cohort.films["site"])
    assert "'Münster'" in message(cohort, "table_read_as")


def test_a_missing_file_of_boxes_is_one_fault_that_names_it(tmp_path):
    cohort = layouts.read("manifest", mistake("no_boxes_file", tmp_path))
    (fault,) = native(cohort)[1]
    assert (fault.severity, fault.file) == ("error", "knees-here/boxes.csv")
    assert "none of 11 malignant films" in fault.message
    (fault,) = native(cohort, trains=False)[1]
    assert fault.code == "boxes_absent"
    assert "knees-here/boxes.csv is not there" in fault.message


def test_headers_that_do_not_match_name_their_own_columns_and_the_one_meant(tmp_path):
    root = mistake("wrong_columns", tmp_path)
    (fault,) = [f for f in layouts.read("manifest", root).faults if f.code == "column_missing"]
    assert "(it has Filename, Diagnosis, PatientID)" in fault.message
    assert "rename 'Diagnosis' to label" in fault.remedy
    path = root / "manifest.csv"
    path.write_text(path.read_text().replace("Diagnosis", "label"))  # the remedy, followed
    cohort = layouts.read("manifest", root)
    assert (len(cohort.films), cohort.films["label"].sum()) == (28, 11)
    assert cohort.films["patient_id"].nunique() == 22  # 15 + 7 patients, by the study's own check of the sound tables


def test_a_missing_table_is_compared_by_its_stem(tmp_path):
    root = layouts.manifest(tmp_path)
    missing = [f for f in layouts.read("manifest", root, patients="persons.csv").faults if f.code == "file_missing"]
    assert "patients: boxes.csv" not in missing[0].remedy  # alike in its suffix only
    layouts.table(root / "patients.csv", ["image_id", "patient_id"], [["f000", "P1"]])
    missing = [f for f in layouts.read("manifest", root, patients="Patient.csv").faults if f.code == "file_missing"]
    assert "set `patients: patients.csv`" in missing[0].remedy


@pytest.mark.parametrize("names", [("width", "height"), ("W", "H"), ("bbox_width", "bbox_height")])
def test_boxes_of_sizes_are_never_to_be_renamed_to_corners(tmp_path, names):
    root = layouts.manifest(tmp_path)
    layouts.table(root / "boxes.csv", ["path", "x", "y", *names], [["films/f000.png", 10, 20, 30, 40]])
    (fault,) = [f for f in layouts.read("manifest", root).faults if f.code == "column_missing"]
    assert "x_max = x_min + width" in fault.remedy
    assert f"{names[0]!r} is a size" in fault.remedy


@pytest.mark.parametrize(
    ("header", "meant"),
    [(["pfad", "etikett"], {"'pfad' to path", "'etikett' to label"}), (["Film name", "lable"], {"'lable' to label"}),
     (["图像", "标签"], {"'图像' to path", "'标签' to label"})],
)  # fmt: skip
def test_headers_in_other_words(tmp_path, header, meant):
    layouts.film(tmp_path / "a.png")
    layouts.table(tmp_path / "manifest.csv", header, [["a.png", 1]])
    (fault,) = [f for f in layouts.read("manifest", tmp_path).faults if f.code == "column_missing"]
    assert all(f"rename {words}" in fault.remedy for words in meant)


def test_german_labels_of_the_mistake(tmp_path):
    root = mistake("text_labels_de", tmp_path)
    (fault,) = [f for f in layouts.read("manifest", root).faults if f.code == "label_unknown"]
    assert "'bösartig' (11, first: row 2" in fault.message
    assert "'gesund' (17, first: row 13" in fault.message
    cohort = layouts.read("manifest", root, classes={"bösartig": "1", "gesund": "0"})  # the remedy, followed
    assert cohort.films["label"].sum() == 11
    boxes, faults = native(cohort)
    assert (len(boxes), faults) == (11, [])


def test_boxes_of_films_of_another_size_are_no_mix_up(tmp_path):
    """c_remedy_followed: boxes at twice the film's size were 'converted', as the message asked, and read in silence."""
    root = mistake("semicolon", tmp_path)
    cohort = layouts.read("manifest", root)
    doubled = cohort.boxes.assign(**{name: cohort.boxes[name] * 2 for name in CORNERS})
    faults = native_boxes(cohort.films.assign(width=600.0, height=600.0), doubled)[1]
    assert {fault.code for fault in faults} == {"box_outside"}
    # the largest coordinate of the table is 465.0, so that 930.0 / 600 is the factor that brings all inside
    largest = cohort.boxes[CORNERS].to_numpy().max() * 2 / 600
    assert all(f"another size? then divide all by that factor ({largest:.3g} or more)" in f.remedy for f in faults)


@pytest.mark.parametrize("name", MISTAKES)
def test_no_mistake_of_a_beginner_shows_nan_or_many_lines(tmp_path, name):
    root = mistake(name, tmp_path)
    cohort = layouts.read("manifest", root)
    faults = [*cohort.faults, *native(cohort)[1]]
    assert not any("nan" in f"{fault.message} {fault.remedy}".split() for fault in faults)
    assert len(faults) <= 6


# --- tables of other programs -----------------------------------------------------------------------------------------


def workbook(path, rows, *others):
    """A workbook with one sheet, or several."""
    book = openpyxl.Workbook()
    for number, table in enumerate([rows, *others]):
        sheet = book.active if number == 0 else book.create_sheet()
        for row in table:
            sheet.append(row)
    book.save(path)
    return path


BOXES = [["path", *CORNERS], ["a.png", 10.5, 20, 50.25, 60]]


def one_box(root, **more):
    """The boxes of film a, the boxes table being there already."""
    boxes = (root / "boxes.csv").read_bytes() if (root / "boxes.csv").exists() else None
    two_films(root, ["path", *CORNERS])
    if boxes is None:
        (root / "boxes.csv").unlink()
    else:
        (root / "boxes.csv").write_bytes(boxes)
    cohort = layouts.read("manifest", root, **more)
    return layouts.corners(cohort, "a.png"), cohort


@pytest.mark.parametrize("name", ["boxes.xlsx", "Boxes.XLSX", "boxes.csv", "boxes.xlsm", "BOXES.csv"])
def test_a_workbook_wherever_a_csv_is_taken_and_whatever_its_suffix(tmp_path, name):
    workbook(tmp_path / "book.xlsx", BOXES).rename(tmp_path / name)
    assert one_box(tmp_path)[0] == [(10.5, 20, 50.25, 60)]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_encodings_and_separators(tmp_path, encoding, separator, newline):
    rows = [["Pfad größer", "x_min"], ["a", "1.5"]]
    text = newline.join(separator.join(["path", *CORNERS, "größe"]) if k == 0 else separator.join(row)
                        for k, row in enumerate([rows[0], ["a.png", "10.5", "20", "50.25", "60", "groß"]]))  # fmt: skip
    (tmp_path / "boxes.csv").write_bytes(text.encode(encoding))
    corners, cohort = one_box(tmp_path)
    assert corners == [(10.5, 20, 50.25, 60)]
    assert ("table_read_as" in layouts.codes(cohort)) == (encoding == "cp1252")


@pytest.mark.parametrize("hint", ["", "sep=;\n"])
@pytest.mark.parametrize(
    ("cells", "read"),
    [
        ("10,5;20;50,25;60", (10.5, 20, 50.25, 60)),
        ("10,5;20,0;50,25;60,0", (10.5, 20, 50.25, 60)),
        ("1.010,5;20;1.050,25;60", (1010.5, 20, 1050.25, 60)),
        ("10.5;20;1,050.25;60", (10.5, 20, 1050.25, 60)),
        ("10,5;20;1 050,25;60", (10.5, 20, 1050.25, 60)),
        ("10,5;20;1'050,25;60", (10.5, 20, 1050.25, 60)),
        ("0,125;0,25;0,5;0,75", (0.125, 0.25, 0.5, 0.75)),
    ],
)
def test_numbers_of_other_countries(tmp_path, hint, cells, read):
    (tmp_path / "boxes.csv").write_text(f"{hint}path;x_min;y_min;x_max;y_max\na.png;{cells}\n")
    corners, cohort = one_box(tmp_path)
    assert corners == [read]
    assert "numbers_read_as" in layouts.notes(cohort)


@pytest.mark.parametrize(
    "cells", ["1,024;2,048;3,072;4,096", "10,5;20;1,050.25;60", "zehn;20;50;60", ";20;50;60", "1_0;20;50;60"]
)
def test_numbers_that_could_mean_two_things_are_quoted_as_written(tmp_path, cells):
    (tmp_path / "boxes.csv").write_text(f"path;x_min;y_min;x_max;y_max\na.png;{cells}\n")
    _, cohort = one_box(tmp_path)
    (fault,) = [f for f in native(cohort)[1] if f.code == "box_invalid"]
    assert ", ".join(cell or "(empty)" for cell in cells.split(";")) in fault.message


@settings(max_examples=200, deadline=None)
@given(st.lists(st.decimals(min_value=-9999, max_value=9999, places=2), min_size=1, max_size=8))
def test_a_decimal_comma_says_the_same_number(numbers):
    class Listener:
        def fault(self, *_: object) -> None:
            """Notes play no part here."""

    import pandas as pd

    table = pd.DataFrame({"x_min": [str(number).replace(".", ",") for number in numbers]}, dtype=object)
    assert plain_numbers(Listener(), Path("t.csv"), table)["x_min"].astype(float).tolist() == [
        float(n) for n in numbers
    ]


def test_a_column_of_identifiers_keeps_its_commas(tmp_path):
    path = layouts.manifest(tmp_path) / "manifest.csv"
    text = path.read_text().replace(",", ";").replace("P000m", "12,5").replace("P001m", "13,5")
    path.write_text(text)
    assert {"12,5", "13,5"} <= set(layouts.read("manifest", tmp_path).films["patient_id"])


def test_decimal_commas_between_commas_are_named(tmp_path):
    (tmp_path / "boxes.csv").write_text("path,x_min,y_min,x_max,y_max\na.png,10,5,20,0,50,25,60,0\n")
    _, cohort = one_box(tmp_path)
    (fault,) = [f for f in cohort.faults if f.code == "row_invalid"]
    assert "semicolons" in fault.remedy


@pytest.mark.parametrize(
    ("content", "word"),
    [(b"\xd0\xcf\x11\xe0" + b"\0" * 600, ".xls"), (b"%PDF-1.7\n", "PDF"), (b"<!DOCTYPE html><html>", "web page"),
     (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS"), (b"\x1f\x8b\x08\0", "gzip"),
     (bytes(range(256)) * 4, "no text")],
)  # fmt: skip
def test_files_that_are_no_table_are_named_by_what_they_are(tmp_path, content, word):
    (tmp_path / "boxes.csv").write_bytes(content)
    assert word in message(one_box(tmp_path)[1], "file_unreadable")


def test_workbooks_with_more_than_a_table(tmp_path):
    workbook(tmp_path / "boxes.xlsx", BOXES, [["notes"], ["x"]])
    corners, cohort = one_box(tmp_path)
    assert corners == [(10.5, 20, 50.25, 60)]
    assert "'Sheet1'" in message(cohort, "table_read_as")


def test_a_formula_without_a_value_is_named(tmp_path):
    workbook(tmp_path / "boxes.xlsx", [*BOXES, ["a.png", "=B2+1", 20, 50, 60]])
    assert "cell B3 holds a formula" in message(one_box(tmp_path)[1], "file_unreadable")


def test_identifiers_that_excel_made_a_date_of_are_named(tmp_path):
    import datetime

    for seed, name in enumerate(["a.png", "b.png"]):
        layouts.film(tmp_path / name, seed=seed)
    rows = [["path", "label", "patient_id"], ["a.png", 1, datetime.datetime(2026, 2, 1)], ["b.png", 0, "1-3"]]
    workbook(tmp_path / "manifest.xlsx", rows)
    cohort = layouts.read("manifest", tmp_path)
    assert "column 'patient_id' are dates (such as 2026-02-01)" in message(cohort, "table_read_as")


def test_two_tables_of_one_name(tmp_path):
    workbook(tmp_path / "boxes.xlsx", BOXES)
    layouts.table(tmp_path / "boxes.csv", *[BOXES[0], BOXES[1:]])
    corners, cohort = one_box(tmp_path)
    assert corners == [(10.5, 20, 50.25, 60)]
    assert "boxes.xlsx beside it is not" in message(cohort, "table_read_as")


def test_a_misnamed_table_leads_to_the_one_that_is_there(tmp_path):
    root = layouts.manifest(tmp_path)
    (root / "manifest.csv").rename(root / "manifest_final.csv")
    (fault,) = [f for f in layouts.read("manifest", root).faults if f.code == "file_missing"]
    assert "set `table: manifest_final.csv`" in fault.remedy
    assert len(layouts.read("manifest", root, table="manifest_final.csv").films) == 14


@pytest.mark.parametrize("reader", ["nih", "rsna", "vindr"])
def test_public_tables_saved_again_by_excel(tmp_path, reader):
    """As a workbook, and with semicolons in Windows-1252."""
    root = getattr(layouts, reader)(tmp_path)
    before = layouts.read(reader, root)
    for path in sorted(root.glob("*.csv")):
        with path.open(newline="") as file:
            rows = list(csv.reader(file))
        with path.open("w", newline="", encoding="cp1252") as file:
            csv.writer(file, delimiter=";").writerows(rows)
    again = layouts.read(reader, root)
    assert again.films["label"].tolist() == before.films["label"].tolist()
    assert again.boxes.equals(before.boxes)
    for path in sorted(root.glob("*.csv")):
        with path.open(newline="") as file:
            workbook(path.with_suffix(".xlsx"), list(csv.reader(file, delimiter=";")))
        path.unlink()
    again = layouts.read(reader, root)
    assert again.films["label"].tolist() == before.films["label"].tolist()
    assert again.boxes.equals(before.boxes)


# --- splits that a layout ships ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "part"),
    [("train", "training"), ("Training", "training"), ("val", "validation"), ("valid", "validation"), ("test", "test"),
     ("train2017", "training"), ("trainval", None), ("latest", None), ("imgs", None)],
)  # fmt: skip
def test_words_for_parts(word, part):
    assert part_of(word) == part


def split_yolo(root):
    root = layouts.yolo(root)
    for name, part in (("a", "train"), ("b", "val"), ("c", "test")):
        for folder, suffix in (("images", "png"), ("labels", "txt")):
            (root / folder / part).mkdir(exist_ok=True)
            path = root / folder / f"{name}.{suffix}"
            path.rename(root / folder / part / path.name) if path.exists() else None
    (root / "labels/test/c.txt").write_text("0 .5 .5 .2 .2")
    return root, {"images/train/a.png": "training", "images/val/b.png": "validation", "images/test/c.png": "test"}


def split_yolo_lists(root):
    root = layouts.yolo(root)
    (root / "labels/c.txt").write_text("0 .5 .5 .2 .2")
    (root / "data.yaml").write_text("train: train.txt\nval: val.txt\nnames: [lesion, cast]\n")
    (root / "train.txt").write_text("./images/a.png\n./images/b.png\n")
    (root / "val.txt").write_text("./images/c.png\n")
    return root, {"images/a.png": "training", "images/b.png": "training", "images/c.png": "validation"}


def split_coco(root):
    root = layouts.coco(root)
    content = json.loads((root / "annotations.json").read_text())
    (root / "annotations.json").unlink()
    for part, places in (("train", [0]), ("val", [1]), ("test", [2])):
        images = [content["images"][place] for place in places]
        annotations = [entry for entry in content["annotations"] if entry["image_id"] in places]
        text = json.dumps({**content, "images": images, "annotations": annotations})
        (root / f"instances_{part}2017.json").write_text(text)
    return root, {"a.png": "training", "b.png": "validation", "c.png": "test"}


def split_voc(root):
    root = layouts.voc(root)
    (root / "Annotations/c.xml").write_text(layouts.voc_xml("c.png", []))
    (root / "ImageSets/Main").mkdir(parents=True)
    for part, names in (("train", "a"), ("val", "b"), ("test", "c"), ("trainval", "a\nb"), ("lesion_train", "c 1")):
        (root / f"ImageSets/Main/{part}.txt").write_text(f"{names}\n")
    return root, {"images/a.png": "training", "images/b.png": "validation", "images/c.png": "test"}


def split_nih(root):
    root = layouts.nih(root)
    names = [f"0000000{k}_000.png" for k in (1, 2, 3, 4, 5)]
    (root / "train_val_list.txt").write_text("\n".join([names[0], "00000001_001.png"]))
    (root / "test_list.txt").write_text("\n".join(names[1:]))
    return root, {names[0]: "training", "00000001_001.png": "training", names[2]: "test"}


def split_tbx11k(root):
    root = layouts.tbx11k(root)
    (root / "lists").mkdir()
    (root / "lists/TBX11K_train.txt").write_text("tb/tb0005.png\n")
    (root / "lists/TBX11K_val.txt").write_text("health/h0001.png\n")
    (root / "lists/TBX11K_trainval.txt").write_text("tb/tb0005.png\nhealth/h0001.png\n")
    return root, {"imgs/tb/tb0005.png": "training", "imgs/health/h0001.png": "validation"}


def split_vindr(root):
    root = layouts.vindr(root)
    (root / "test").mkdir()
    (root / "train/f3.png").rename(root / "test/f3.png")
    return root, {"f1": "training", "f3": "test", "f4": "training"}


def split_manifest(root):
    path = layouts.manifest(root) / "manifest.csv"
    lines = path.read_text().splitlines()
    parts = ["train"] * 4 + ["val"] * 4 + ["test"] * 6
    path.write_text(
        "\n".join([f"{lines[0]},split", *(f"{row},{part}" for row, part in zip(lines[1:], parts, strict=True))])
    )
    return root, {"films/f000.png": "training", "films/f004.png": "validation", "films/f013.png": "test"}


SPLITS = {"yolo": split_yolo, "coco": split_coco, "voc": split_voc, "nih": split_nih, "tbx11k": split_tbx11k,
          "vindr": split_vindr, "manifest": split_manifest}  # fmt: skip


@pytest.mark.parametrize(("reader", "make"), [*SPLITS.items(), ("yolo", split_yolo_lists)])
def test_a_split_that_a_layout_ships_is_told_and_can_be_used(tmp_path, reader, make):
    root, parts = make(tmp_path)
    cohort = layouts.read(reader, root)
    assert "which is not used" in message(cohort, "split_unused")
    read = cohort.films.set_index("image_id")["split"]
    assert {name: read[name] for name in parts} == parts
    used = layouts.read(reader, root, split="shipped")
    assert "split_unused" not in layouts.codes(used)
    chosen = layouts.read(reader, root, where="split == 'training'")
    assert set(chosen.films["split"]) == {"training"}
    assert "split_unused" not in layouts.codes(chosen)


@pytest.mark.parametrize("reader", ["coco", "yolo", "voc", "nih", "tbx11k", "labelme", "manifest", "rsna"])
def test_a_layout_without_a_split_says_nothing_and_cannot_be_asked_for_it(tmp_path, reader):
    root = getattr(layouts, reader)(tmp_path)
    if reader == "tbx11k":
        (root / "annotations/json/TBX11K_train.json").unlink()
    assert "split_unused" not in layouts.codes(layouts.read(reader, root))
    assert "split_absent" in layouts.codes(layouts.read(reader, root, split="shipped"))


def split_study(root, external=None, **development):
    cohorts = {"development": {"reader": "manifest", "root": str(root), "split": "shipped", **development}}
    if external:
        cohorts["external"] = external
    arms = {"a": {"initialise": "random"}, "b": {"initialise": "random"}}
    return partitioned(parse_study({"title": "T", "reference": "a", "arms": arms, "cohorts": cohorts}), root)


def test_the_shipped_split_makes_the_partitions(tmp_path):
    root, _ = split_manifest(tmp_path)
    films = split_study(root).films
    assert films.groupby(["cohort", "partition"]).size().to_dict() == {
        ("development", "training"): 4, ("development", "validation"): 4, ("external", "test"): 6}  # fmt: skip


def test_a_shipped_split_beside_a_part_that_ships_none(tmp_path):
    root, _ = split_manifest(tmp_path / "one")
    other = renamed_patients(layouts.manifest(tmp_path / "two", seed=300))
    parts = [{"reader": "manifest", "root": str(root), "split": "shipped"}, {"reader": "manifest", "root": str(other)}]
    arms = {"a": {"initialise": "random"}, "b": {"initialise": "random"}}
    study = parse_study({"title": "T", "reference": "a", "arms": arms, "cohorts": {
        "development": {"reader": "concat", "parts": parts, "validation": 0.3}}})  # fmt: skip
    summary = partitioned(study, tmp_path)
    assert "row_invalid" not in {fault.code for fault in summary.faults}
    assert (summary.films["partition"] == "test").sum() > 6  # the shipped six, and some patients of the other part
    assert set(summary.films["partition"]) == {"training", "validation", "test"}


def test_published_test_films_never_train_and_can_be_the_external_cohort(tmp_path):
    root, _ = split_manifest(tmp_path / "one")
    other = renamed_patients(layouts.manifest(tmp_path / "two", seed=300))
    films = split_study(root, {"reader": "manifest", "root": str(other)}).films
    assert films[films["cohort"] == "development"].groupby("partition").size().to_dict() == {
        "training": 4,
        "validation": 4,
    }
    same = split_study(root, {"reader": "manifest", "root": str(root), "split": "shipped"})
    assert same.films.groupby("cohort").size().to_dict() == {"development": 8, "external": 6}
    paths = {cohort: set(rows["path"]) for cohort, rows in same.films.groupby("cohort")}
    assert not paths["development"] & paths["external"]


def renamed_patients(root):
    path = root / "manifest.csv"
    path.write_text(path.read_text().replace(",P", ",Q"))
    return root


def test_validation_is_drawn_from_a_shipped_training_part_that_has_none(tmp_path):
    root, _ = split_manifest(tmp_path)
    path = root / "manifest.csv"
    path.write_text(path.read_text().replace(",val", ",train"))
    films = split_study(root, validation=0.5).films
    sizes = films.groupby("partition").size()
    assert sizes["test"] == 6
    assert sizes["training"] + sizes["validation"] == 8
    assert sizes["validation"] > 0


# --- look-alikes and remedies -----------------------------------------------------------------------------------------


def test_films_that_all_look_alike_are_one_line(tmp_path):
    """Base and noise as in cases/31: films of different patients that differ by noise only."""
    rng, coarse = np.random.default_rng(5), np.random.default_rng(0).integers(0, 256, (9, 9), dtype=np.uint8)
    base = np.asarray(Image.fromarray(coarse).resize((96, 96), Image.Resampling.BICUBIC)).astype(int)
    rows, boxes = [], []
    for k in range(60):
        name = f"films/f{k:05d}.png"
        (tmp_path / "films").mkdir(exist_ok=True)
        Image.fromarray(np.clip(base + rng.integers(-3, 4, (96, 96)), 0, 255).astype(np.uint8)).save(tmp_path / name)
        rows.append([name, k % 2, f"P{k}x"])
        boxes += [[name, 10, 10, 50, 50]] if k % 2 else []
    layouts.table(tmp_path / "manifest.csv", ["path", "label", "patient_id"], rows)
    layouts.table(tmp_path / "boxes.csv", ["path", *CORNERS], boxes)
    (fault,) = [fault for fault in check(tmp_path) if fault.code.startswith("near_duplicate")]
    assert "60 films of 60 patients look the same" in fault.message


def test_every_remedy_that_excludes_a_film_excludes_that_film_alone(tmp_path):
    """Two folders hold a film of the same name; the remedy is copied from the message and followed."""
    root = layouts.manifest(tmp_path / "knees", 12, 12)
    for name in ("manifest.csv", "boxes.csv"):
        path = root / name
        path.write_text(path.read_text().replace("films/f001.png", "more/f000.png"))
    (root / "more").mkdir()
    (root / "films/f001.png").rename(root / "more/f000.png")
    shutil.copy(root / "films/f002.png", root / "more/f000.png")
    listed = check(root)
    (fault,) = [fault for fault in listed if fault.code.startswith("duplicate_exact")]
    name = fault.remedy.partition("integrity.exclude: [")[2].partition("]")[0]
    after = check(root, exclude=[name])
    assert not [fault for fault in after if "duplicate" in fault.code or fault.code == "exclude_unknown"]
    study = study_of(root, exclude=[name])
    assert len(partitioned(study, tmp_path).films) == 23


def test_two_cohorts_in_folders_of_one_name_are_told_apart_by_a_remedy(tmp_path):
    one = layouts.manifest(tmp_path / "here/knees", 12, 12)
    two = renamed_patients(layouts.manifest(tmp_path / "there/knees", 12, 12, seed=400))
    shutil.copy(one / "films/f003.png", two / "films/f003.png")
    content = {"title": "T", "reference": "a", "arms": {"a": {"initialise": "random"}, "b": {"initialise": "random"}},
               "cohorts": {"development": {"reader": "manifest", "root": str(one)},
                           "external": {"reader": "manifest", "root": str(two)}}}  # fmt: skip
    (fault,) = [f for f in tables.check(parse_study(content), tmp_path) if f.code == "duplicate_exact_across"]
    assert "integrity.exclude: [there/knees/films/f003.png]" in fault.remedy
    content["integrity"] = {"exclude": ["there/knees/films/f003.png"]}
    kept = partitioned(parse_study(content), tmp_path).films
    assert kept.groupby("cohort").size().to_dict() == {"development": 24, "external": 23}
    assert "duplicate_exact_across" not in {fault.code for fault in tables.check(parse_study(content), tmp_path)}


@pytest.mark.parametrize("code", ["film_missing", "malignant_without_box", "film_unreadable"])
def test_a_film_is_excluded_by_the_name_that_its_fault_gives(tmp_path, code):
    root = layouts.manifest(tmp_path / "knees", 12, 12)
    if code == "film_missing":
        (root / "films/f003.png").unlink()
    elif code == "film_unreadable":
        (root / "films/f003.png").write_bytes(b"")
    else:
        path = root / "boxes.csv"
        path.write_text("\n".join(line for line in path.read_text().splitlines() if "f003" not in line))
    (fault,) = [fault for fault in check(root) if fault.code == code]
    assert fault.file == "knees/films/f003.png"
    after = {fault.code for fault in check(root, exclude=[fault.file])}
    assert not {code, "exclude_unknown"} & after
