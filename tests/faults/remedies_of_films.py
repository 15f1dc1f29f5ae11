"""Remedies of films: which one is meant, whether it can be read, its boxes, and what its pixels show."""

from __future__ import annotations

import re

import pandas as pd
from PIL import Image

from cohorts import layouts
from faults.remedies import Read, boxes_file, case, corners, two_films, with_external
from faults.remedies_of_tables import MANIFEST

# --- which film is meant ----------------------------------------------------------------------------------------------


@case("path_outside_root", "name films relative to `root`, without '..'", ("absolute",), ("..",))
def a_film_outside(place, how):
    place.layout("manifest")
    outside = f"{place.root}/films/f013.png" if how == "absolute" else "films/../films/f013.png"
    place.edit("films/f013.png", outside)
    yield
    place.edit(outside, "films/f013.png")
    yield MANIFEST


@case("path_outside_root", "set `root` to a folder that holds them")
def a_folder_of_films_outside(place):
    root = place.layout("manifest", images="../pictures")
    (root / "films").rename(place.folder / "pictures")
    for name in ("manifest.csv", "boxes.csv"):
        (root / name).write_text((root / name).read_text().replace("films/", ""))
    yield
    place.settings |= {"root": str(place.folder), "images": "pictures"}
    place.settings |= {"table": "knees/manifest.csv", "annotations": "knees/boxes.csv"}
    yield MANIFEST


@case("film_missing", "add the film, or take its row out of the table, or exclude it", ("add",), ("row",), ("exclude",))
def a_film_that_is_not_there(place, how):
    path = place.layout("manifest") / "films/f013.png"
    content = path.read_bytes()
    path.unlink()
    found = yield
    if how == "add":
        path.write_bytes(content)
    elif how == "row":
        text = (place.root / "manifest.csv").read_text()
        (place.root / "manifest.csv").write_text(re.sub("films/f013.png.*\n", "", text))
    else:
        place.exclude(found.remedy)
    yield MANIFEST if how == "add" else Read(13, 6, 6)


@case("film_missing", "is meant, name it so there")
def a_film_of_another_folder(place):
    place.layout("manifest")
    place.edit("films/f013.png", "siteB/f013.png")
    found = yield
    meant = re.search("if (.+) is meant", found.remedy)[1]
    place.edit("siteB/f013.png", meant)
    yield MANIFEST


@case("film_missing", "set `root` one level higher")
def a_film_beside_the_folder(place):
    root = place.layout("manifest")
    (place.folder / "more").mkdir()
    (root / "films/f013.png").rename(place.folder / "more/f013.png")
    place.edit("films/f013.png", "more/f013.png")
    found = yield
    assert "knees/manifest.csv" in found.remedy
    place.settings |= {"root": str(place.folder), "table": "knees/manifest.csv", "annotations": "knees/boxes.csv"}
    yield Read(14, 6, 6)


@case("film_missing", "add the film or take out the label file", ("add",), ("take",))
def a_label_file_of_no_film(place, how):
    root = place.layout("yolo")
    (root / "labels/d.txt").write_text("0 0.5 0.5 0.5 0.2\n")
    yield
    if how == "add":
        layouts.film(root / "images/d.png", seed=9)
    else:
        (root / "labels/d.txt").unlink()
    yield Read(3, 2, 3) if how == "add" else Read(2, 1, 2)


@case("film_unlisted", "add their rows, or set `images` to a folder", ("row",), ("images",))
def a_film_that_the_manifest_does_not_name(place, how):
    root = place.layout("manifest")
    layouts.film(root / ("films/new.png" if how == "row" else "old/new.png"), seed=99)
    yield
    if how == "row":
        with (root / "manifest.csv").open("a") as file:
            file.write("films/new.png,0,P9,A,frontal,30,F,,1\n")
        yield Read(15, 6, 6)
    else:
        place.settings["images"] = "films"
        yield MANIFEST


@case("film_unlisted", "add a row")
def a_film_that_ones_own_table_does_not_name(place):
    root = place.layout("coco", table="own.csv")
    layouts.table(root / "own.csv", ["path", "patient_id"], [["images/a.png", "P1"], ["images/b.png", "P2"]])
    yield
    with (root / "own.csv").open("a") as file:
        file.write("images/c.png,P3\n")
    films, _ = yield Read(3, 2, 3)
    assert films["patient_id"].nunique() == 3


@case("film_ambiguous", "name the film by its path below `root`, or set `images`", ("path",), ("images",))
def a_name_of_two_films(place, how):
    root = place.layout("manifest")
    layouts.film(root / "older/f013.png", seed=98)
    place.edit("films/f013.png", "f013.png")
    yield
    if how == "path":
        place.edit("f013.png", "films/f013.png")
        yield Read(14, 6, 6, also=("film_unlisted",))
    else:
        place.settings["images"] = "films"
        yield MANIFEST


@case("film_ambiguous", "correct the name in it, or rename the file", ("name",), ("file",))
def an_annotation_of_two_films(place, how):
    root = place.layout("voc")
    place.edit("<filename>a.png", "<filename>c.png", "Annotations/a.xml")
    yield
    if how == "name":
        place.edit("<filename>c.png", "<filename>a.png", "Annotations/a.xml")
    else:
        (root / "Annotations/a.xml").rename(root / "Annotations/c.xml")
    yield Read(2, 1, 1)


@case("film_ambiguous", "write the path of the film")
def a_row_of_two_films(place):
    root = place.layout("coco", patients="patients.csv")
    layouts.film(root / "older/a.png", seed=55)
    place.json("annotations.json", lambda content: content["images"][0].update(file_name="images/a.png"))
    place.json("annotations.json", lambda content: content["images"].append({"id": 7, "file_name": "older/a.png"}))
    layouts.table(root / "patients.csv", ["path", "patient_id"], [["a.png", "P1"], ["b.png", "P2"], ["c.png", "P3"]])
    yield
    place.edit("a.png", "images/a.png", "patients.csv")
    with (root / "patients.csv").open("a") as file:
        file.write("older/a.png,P4\n")
    films, _ = yield Read(4, 2, 3)
    assert films["patient_id"].nunique() == 4


# --- boxes ------------------------------------------------------------------------------------------------------------


@case("box_empty", "draw it again or take it out", ("again",), ("out",))
def a_box_without_area(place, how):
    two_films(place, [10, 20, 10, 60])
    with (place.root / "boxes.csv").open("a") as file:
        file.write("a.png,60,20,90,60,lesion\n")
    yield
    text = (place.root / "boxes.csv").read_text()
    text = (
        text.replace("10,20,10,60", "10,20,50,60")
        if how == "again"
        else text.replace("a.png,10,20,10,60,lesion\n", "").replace("a.png,10,20,10,60,lesion\r\n", "")
    )
    (place.root / "boxes.csv").write_text(text)
    yield Read(2, 1, 2 if how == "again" else 1)


@case("box_inverted", "draw it again: corners in order, or a positive width and height", ("manifest",), ("coco",))
def a_box_the_wrong_way_round(place, reader):
    if reader == "manifest":
        two_films(place, [90, 80, 50, 60])
        yield
        place.edit("90,80,50,60", "50,60,90,80", "boxes.csv")
        _, boxes = yield Read(2, 1, 1)
        assert corners(boxes) == [[50, 60, 90, 80]]
    else:
        place.layout("coco")
        place.json("annotations.json", lambda content: content["annotations"][0].update(bbox=[40, 60, -30, -40]))
        yield
        place.json("annotations.json", lambda content: content["annotations"][0].update(bbox=[10, 20, 30, 40]))
        yield Read(3, 2, 3)


@case("box_outside", "correct the box, or the film that it was drawn on", ("box",), ("film",))
def a_box_that_leaves_its_film(place, how):
    two_films(place, [10, 20, 150, 60])
    yield
    if how == "box":
        place.edit("10,20,150,60", "10,20,110,60", "boxes.csv")
    else:
        layouts.film(place.root / "a.png", 160, 100, seed=1)
    yield Read(2, 1, 1)


@case("box_outside", "then divide all by that factor (2 or more)")
def boxes_of_films_of_twice_the_size(place):
    place.layout("manifest")  # films of 120 x 100; the lowest and rightmost box ends at 240 x 200
    rows = [[f"films/f{k:03d}.png", 100 + 10 * k, 110, 190 + 10 * k, 200, "lesion"] for k in range(6)]
    boxes_file(place, rows)
    yield
    boxes_file(place, [[row[0], *(value / 2 for value in row[1:5]), "lesion"] for row in rows])
    _, boxes = yield MANIFEST
    assert corners(boxes) == [[50 + 5 * k, 55, 95 + 5 * k, 100] for k in range(6)]


@case("box_edge", "nothing, if the box was drawn up to the edge")
def a_box_over_the_edge_by_rounding(place):
    two_films(place, [10, 20, 121, 100.5])
    yield
    _, boxes = yield Read(2, 1, 1, stays=True)
    assert corners(boxes) == [[10, 20, 120, 100]]


@case("box_mixup", "convert x, y, width, height to corners")
def sizes_read_as_corners(place):
    two_films(place, [60, 50, 40, 30])  # x, y, width, height
    yield
    place.edit("60,50,40,30", "60,50,100,80", "boxes.csv")
    _, boxes = yield Read(2, 1, 1)
    assert corners(boxes) == [[60, 50, 100, 80]]


@case("box_mixup", "convert corners to x, y, width, height")
def corners_read_as_sizes(place):
    place.layout("coco")
    place.json("annotations.json", lambda content: content["annotations"][0].update(bbox=[50, 50, 110, 90]))
    yield
    place.json("annotations.json", lambda content: content["annotations"][0].update(bbox=[50, 50, 60, 40]))
    _, boxes = yield Read(3, 2, 3)
    assert [50, 50, 110, 90] in corners(boxes)


@case("box_mixup", "convert corners to centre x, centre y, width, height")
def corners_read_as_centre(place):
    place.layout("yolo")
    (place.root / "labels/a.txt").write_text("0 0.2 0.3 0.6 0.9\n")
    yield
    (place.root / "labels/a.txt").write_text("0 0.4 0.6 0.4 0.6\n")
    _, boxes = yield Read(2, 1, 1)
    assert corners(boxes) == [[24, 30, 72, 90]]  # 0.2, 0.3, 0.6, 0.9 of 120 x 100


@case("box_units", "multiply by the film's width and height")
def shares_read_as_pixels(place):
    two_films(place, [0.1, 0.2, 0.5, 0.6])
    yield
    place.edit("0.1,0.2,0.5,0.6", f"{0.1 * 120},{0.2 * 100},{0.5 * 120},{0.6 * 100}", "boxes.csv")
    _, boxes = yield Read(2, 1, 1)
    assert corners(boxes) == [[12, 20, 60, 60]]


@case("box_units", "divide by the film's width and height")
def pixels_read_as_shares(place):
    place.layout("yolo")
    (place.root / "labels/a.txt").write_text("0 60 50 60 20\n")
    yield
    (place.root / "labels/a.txt").write_text(f"0 {60 / 120} {50 / 100} {60 / 120} {20 / 100}\n")
    _, boxes = yield Read(2, 1, 1)
    assert corners(boxes) == [[30, 40, 90, 60]]


@case("box_whole_film", "check that it marks a lesion")
def a_box_of_the_whole_film(place):
    two_films(place, [0, 0, 120, 100])
    yield
    place.edit("0,0,120,100", "30,30,70,80", "boxes.csv")  # looked at: it marked none
    yield Read(2, 1, 1)


@case("box_duplicate", "take one out")
def a_box_twice(place):
    two_films(place, [10, 20, 50, 60])
    with (place.root / "boxes.csv").open("a") as file:
        file.write("a.png,10,20,50,60,lesion\n")
    yield
    boxes_file(place, [["a.png", 10, 20, 50, 60, "lesion"]])
    yield Read(2, 1, 1)


@case("size_mismatch", "annotate the film in this very size")
def a_film_of_another_size(place):
    root = place.layout("voc")
    layouts.film(root / "images/a.png", 60, 50, seed=0)
    yield
    (root / "Annotations/a.xml").write_text(layouts.voc_xml("a.png", [("lesion", 6, 11, 20, 30)], 60, 50))
    yield Read(2, 1, 1)


@case("size_mismatch", "turn the boxes and the stated size as well")
def a_film_that_was_turned_after_annotation(place):
    root = place.layout("voc")
    with Image.open(root / "images/a.png") as film:
        film.transpose(Image.Transpose.ROTATE_270).save(root / "images/a.png")  # clockwise: (x, y) -> (100 - y, x)
    yield
    # the box 10..40, 20..60 (counted from 0): right 100 - 20, left 100 - 60
    (root / "Annotations/a.xml").write_text(layouts.voc_xml("a.png", [("lesion", 41, 11, 80, 40)], 100, 120))
    _, boxes = yield Read(2, 1, 1)
    assert corners(boxes) == [[40, 10, 80, 40]]


@case("malignant_without_box", "draw the box, or exclude the film", ("draw",), ("exclude",))
def a_malignant_film_without_a_box(place, how):
    place.layout("manifest")
    table = pd.read_csv(place.root / "boxes.csv")
    table.iloc[1:].to_csv(place.root / "boxes.csv", index=False)
    found = yield
    if how == "draw":
        table.to_csv(place.root / "boxes.csv", index=False)
    else:
        place.exclude(found.remedy)
    yield MANIFEST if how == "draw" else Read(13, 5, 5)


@case(
    "malignant_without_box",
    "add it (path,x_min,y_min,x_max,y_max; csv or xlsx), or set `annotations`",
    ("add",),
    ("set",),
)
def no_file_of_boxes(place, how):
    root = place.layout("manifest")
    table = pd.read_csv(root / "boxes.csv")
    (root / "boxes.csv").rename(root / "lesions.csv")
    found = yield
    header = re.search(r"\((.+?);", found.remedy)[1].split(",")
    if how == "add":
        table[header].to_csv(root / "boxes.csv", index=False)
    else:
        place.settings["annotations"] = "lesions.csv"
    yield MANIFEST


@case("boxes_absent", "nothing, if only films are to be classified; else add the file of boxes", (0,), (1,))
def an_external_cohort_without_boxes(place, add):
    other = with_external(place)
    content = (other / "boxes.csv").read_bytes()
    (other / "boxes.csv").unlink()
    yield
    if add:
        (other / "boxes.csv").write_bytes(content)
    yield Read(18, 8, 8) if add else Read(18, 8, 6, stays=True)


@case(
    "normal_with_box",
    "correct the label, or take the box out, or leave its class out",
    ("label",),
    ("box",),
    ("class",),
)
def a_normal_film_with_a_box(place, how):
    place.layout("manifest")
    with (place.root / "boxes.csv").open("a") as file:
        file.write("films/f013.png,10,20,50,60,cast\n")
    yield
    if how == "label":
        place.edit("films/f013.png,0", "films/f013.png,1")
    elif how == "box":
        text = (place.root / "boxes.csv").read_text()
        (place.root / "boxes.csv").write_text(text.replace("films/f013.png,10,20,50,60,cast\n", ""))
    else:
        place.settings["classes"] = {"osteosarcoma": "lesion", "cast": None}
    yield Read(14, 7, 7) if how == "label" else MANIFEST


@case("normal_with_box", "correct one of them", ("table",), ("file",))
def a_lesion_on_a_normal_film_of_btxrd(place, how):
    root = place.layout("btxrd")
    shapes = layouts.lesion("osteosarcoma", 10, 20, 50, 60)
    (root / "Annotations/IMG000006.json").write_text(layouts.labelme_json("IMG000006.jpeg", shapes))
    yield
    if how == "table":
        table = pd.read_csv(root / "dataset.csv", dtype=str)
        row = table["image_id"] == "IMG000006.jpeg"
        table.loc[row, ["tumor", "malignant", "osteosarcoma"]] = "1"
        table.to_csv(root / "dataset.csv", index=False)
        yield Read(13, 8, 8)
    else:
        (root / "Annotations/IMG000006.json").unlink()
        yield Read(13, 7, 7)


@case("exclude_unknown", "correct the name, or take it out of the list", ("correct",), ("take",))
def a_name_to_exclude_that_no_film_has(place, how):
    place.layout("manifest")
    place.integrity["exclude"] = ["films/f13.png"]
    yield
    place.integrity["exclude"] = ["films/f013.png"] if how == "correct" else []
    yield Read(13, 6, 6) if how == "correct" else MANIFEST


@case("severity_unknown", "docs/faults.md lists the codes; film_unlisted is one of them")
def a_severity_of_no_code(place):
    place.layout("manifest")
    place.integrity["severity"] = {**place.integrity["severity"], "film_unlistet": "error"}
    found = yield
    severity = place.integrity["severity"]
    severity[re.search(r"; (\w+) is one of them", found.remedy)[1]] = severity.pop("film_unlistet")
    yield MANIFEST
