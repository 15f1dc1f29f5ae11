"""Remedies of tables, annotation files and their columns, rows, labels and classes."""

from __future__ import annotations

import gzip
import json
import re
import shutil
import zipfile

import openpyxl
import pandas as pd
import yaml

from cohorts import layouts
from faults.remedies import Read, boxes_file, case, corners, snippet, two_films
from osteotl.cohorts.readers import files

MANIFEST = Read(14, 6, 6)  # what layouts.manifest holds


def named_in(remedy, key):
    """What `key: value` between backticks says."""
    return yaml.safe_load(re.search(rf"`{key}: ([^`]+)`", remedy)[1])


def to_workbook(table, path, also=()):
    book = openpyxl.Workbook()
    rows = [table.columns.tolist(), *table.to_numpy().tolist()]
    for row in rows:
        book.active.append(row)
    for title in also:
        book.create_sheet(title).append(["notes"])
    book.save(path)


# --- folders and files ------------------------------------------------------------------------------------------------


@case("root_missing", "set `root` to the folder of the films")
def root_misspelt(place):
    place.layout("manifest", root=str(place.folder / "nees"))
    yield
    place.settings["root"] = str(place.root)
    yield Read(14, 6, 6)


@case("root_missing", "set `images` to the folder of films")
def images_misspelt(place):
    place.layout("manifest", images="flims")
    yield
    place.settings["images"] = "films"
    yield MANIFEST


@case("file_missing", "if that is the table", ("table", "manifest.csv"), ("annotations", "boxes.csv"))
def a_table_of_another_name(place, key, name):
    place.layout("manifest", **{key: "thelist.csv"})
    (place.root / name).rename(place.root / "the_list.csv")
    other = "boxes.csv" if key == "table" else "manifest.csv"
    (place.root / other).rename(place.root / f"{other[:-4]}.CSV")
    found = yield
    place.settings[key] = named_in(found.remedy, key)
    yield Read(14, 6, 6)


@case("file_missing", "to the right one of")
def one_of_several_tables(place):
    root = place.layout("manifest")
    (root / "manifest.csv").rename(root / "knees2025.csv")
    shutil.copy(root / "boxes.csv", root / "other.csv")
    found = yield
    assert "knees2025.csv" in found.remedy
    place.settings["table"] = "knees2025.csv"
    yield Read(14, 6, 6)


@case("file_missing", "set `table` to the table (csv or xlsx) below it")
def a_table_in_another_folder(place):
    root = place.layout("manifest")
    (root / "tables").mkdir()
    for name in ("manifest", "boxes"):
        (root / f"{name}.csv").rename(root / f"tables/{name}.csv")
    yield
    place.settings |= {"table": "tables/manifest.csv", "annotations": "tables/boxes.csv"}
    yield Read(14, 6, 6)


@case("file_missing", "if that is the table")
def a_patient_map_of_another_name(place):
    root = place.layout("coco", patients="patient.csv")
    layouts.table(root / "patients.csv", ["image_id", "patient_id"], [["a", "P1"], ["b", "P2"], ["c", "P3"]])
    found = yield
    place.settings["patients"] = named_in(found.remedy, "patients")
    yield Read(3, 2, 3)


@case("file_missing", "set `annotations`", ("coco", "annotations.json"), ("voc", "Annotations"),
      ("labelme", "annotations"), ("yolo", "labels"))  # fmt: skip
def annotations_elsewhere(place, reader, name):
    root = place.layout(reader)
    (root / "deep/er").mkdir(parents=True)
    (root / name).rename(root / "deep/er" / name)
    if reader == "voc":  # below the root .xml files are found wherever they lie
        (root / "deep").rename(place.folder / "deep")
    yield
    place.settings["annotations"] = f"{'../' if reader == 'voc' else ''}deep/er/{name}"
    yield {
        "coco": Read(3, 2, 3),
        "voc": Read(2, 1, 1),  # the third film has no file
        "labelme": Read(2, 1, 2),
        "yolo": Read(2, 1, 2),
    }[reader]


@case("file_missing", "or `label`")
def films_without_label_files(place):
    root = place.layout("yolo")
    shutil.rmtree(root / "labels")
    yield
    place.settings["label"] = 0
    yield Read(3, 0, 0)


@case("file_missing", "set `annotations`")
def tbx_annotations_elsewhere(place):
    root = place.layout("tbx11k")
    (root / "annotations").rename(root / "lists_of_boxes")
    yield
    place.settings["annotations"] = "lists_of_boxes/json"
    yield Read(3, 1, 1, also=("split_unused",))  # a tb film with a box (the other one has none), one healthy, one sick


# --- files that cannot be read ----------------------------------------------------------------------------------------


@case("file_unreadable", "save it as .xlsx or CSV, without a password")
def an_old_workbook(place):
    table = pd.read_csv(place.layout("manifest") / "manifest.csv", dtype=str, keep_default_na=False)
    (place.root / "manifest.csv").write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(500))
    yield
    (place.root / "manifest.csv").unlink()
    to_workbook(table, place.root / "manifest.xlsx")
    yield Read(14, 6, 6)


@case("file_unreadable", "unpack it", ("zip",), ("gzip",))
def a_packed_table(place, kind):
    root = place.layout("manifest")
    content = (root / "boxes.csv").read_bytes()
    if kind == "gzip":
        (root / "boxes.csv").write_bytes(gzip.compress(content))
    else:
        with zipfile.ZipFile(root / "boxes.csv", "w") as archive:
            archive.writestr("boxes.csv", content)
    yield
    (root / "boxes.csv").write_bytes(content)
    yield MANIFEST


@case("file_unreadable", "", (b"%PDF-1.4", "export the table itself as CSV"),
      (b"<!DOCTYPE html><p>Log in</p>", "download the file itself"),
      (b"version https://git-lfs.github.com/spec/v1", "git lfs pull"), (b"\n\n", "export it again"),
      (b"\x81\x8d\x00\xff", "save it as UTF-8"))  # fmt: skip
def a_file_that_is_no_table(place, content, words):
    path = place.layout("manifest") / "boxes.csv"
    sound = path.read_bytes()
    path.write_bytes(content)
    found = yield
    assert words in found.remedy
    path.write_bytes(sound)
    yield MANIFEST


@case("file_unreadable", "unpack it, or save its table as CSV")
def a_packed_json(place):
    path = place.layout("coco") / "annotations.json"
    sound = path.read_bytes()
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("annotations.json", sound)
    yield
    path.write_bytes(sound)
    yield Read(3, 2, 3)


@case("file_unreadable", "save it as .xlsx or CSV", ("content.xml",), ("xl/workbook.bin",))
def a_workbook_of_another_kind(place, part):
    root = place.layout("manifest")
    sound = (root / "boxes.csv").read_bytes()
    with zipfile.ZipFile(root / "boxes.xlsx", "w") as archive:
        archive.writestr(part, "x")
    (root / "boxes.csv").unlink()
    yield
    (root / "boxes.xlsx").unlink()
    (root / "boxes.csv").write_bytes(sound)
    yield MANIFEST


@case("file_unreadable", "save it as CSV")
def a_damaged_workbook(place):
    root = place.layout("manifest")
    table = pd.read_csv(root / "boxes.csv")
    to_workbook(table, root / "boxes.xlsx")
    (root / "boxes.csv").unlink()
    (root / "boxes.xlsx").write_bytes((root / "boxes.xlsx").read_bytes()[:-300])
    yield
    (root / "boxes.xlsx").unlink()
    table.to_csv(root / "boxes.csv", index=False)
    yield MANIFEST


@case("file_unreadable", "open it in Excel and save it again, or save it as CSV")
def a_formula_without_its_value(place):
    root = place.layout("manifest")
    table = pd.read_csv(root / "boxes.csv")
    to_workbook(table.astype(object).assign(x_max="=B2+40"), root / "boxes.xlsx")
    (root / "boxes.csv").unlink()
    yield
    (root / "boxes.xlsx").unlink()
    table.to_csv(root / "boxes.csv", index=False)
    yield MANIFEST


@case("file_unreadable", "give every column its own name")
def a_column_named_twice(place):
    place.layout("manifest")
    place.edit(",dose", ",age")
    yield
    place.edit("sex,subtype,age", "sex,subtype,dose")
    yield Read(14, 6, 6)


@case("file_unreadable", "export it again as CSV")
def a_field_that_never_ends(place):
    path = place.layout("manifest") / "boxes.csv"
    sound = path.read_text()
    path.write_text(sound + '"' + "x" * 200_000)
    yield
    path.write_text(sound)
    yield MANIFEST


@case("file_unreadable", "name the file itself")
def a_folder_for_a_file(place):
    place.layout("manifest", annotations="tables")
    (place.root / "tables").mkdir()
    (place.root / "boxes.csv").rename(place.root / "tables/boxes.csv")
    yield
    place.settings["annotations"] = "tables/boxes.csv"
    yield MANIFEST


@case("file_unreadable", "make it a readable file")
def a_link_that_leads_to_itself(place):
    path = place.layout("manifest") / "boxes.csv"
    sound = path.read_bytes()
    path.unlink()
    path.symlink_to(path)
    place.settings["annotations"] = "boxes.csv"
    yield
    path.unlink()
    path.write_bytes(sound)
    yield MANIFEST


@case("file_unreadable", "split it, or take out image data")
def a_file_with_pictures_inside(place):
    limit, files.LARGEST_FILE = files.LARGEST_FILE, 20_000
    try:
        place.layout("labelme")
        place.json("annotations/p1_frontal.json", lambda content: content.update(imageData="A" * 30_000))
        yield
        place.json("annotations/p1_frontal.json", lambda content: content.update(imageData=None))
        yield Read(2, 1, 2)
    finally:
        files.LARGEST_FILE = limit


@case("file_unreadable", "export it again", ("coco", "annotations.json", -9),
      ("labelme", "annotations/p1_frontal.json", -9),
      ("voc", "Annotations/a.xml", -9))  # fmt: skip
def an_annotation_that_was_cut(place, reader, name, end):
    path = place.layout(reader) / name
    sound = path.read_text()
    path.write_text(sound[:end])
    yield
    path.write_text(sound)
    yield Read(3, 2, 3) if reader == "coco" else Read(2, 1, 2 if reader == "labelme" else 1)


@case("file_unreadable", "", ("coco", "annotations.json", {}, "export it as COCO (detection)", Read(3, 2, 3)),
      ("labelme", "annotations/p1_frontal.json", [], "export it from LabelMe", Read(2, 1, 2)),
      ("btxrd", "Annotations/IMG000001.json", [], "use it as distributed", Read(13, 7, 7)),
      ("tbx11k", "annotations/json/TBX11K_train.json", [],
       "use the annotations as distributed", Read(3, 1, 1)))  # fmt: skip
def json_of_another_kind(place, reader, name, content, words, read):
    path = place.layout(reader) / name
    sound = path.read_text()
    path.write_text(json.dumps(content))
    found = yield
    assert words in found.remedy
    path.write_text(sound)
    yield Read(read.films, read.malignant, read.boxes)


@case("file_unreadable", "as COCO (reader coco)")
def a_file_of_cvat(place):
    root = place.layout("voc")
    shutil.rmtree(root / "Annotations")
    (root / "annotations.xml").write_text("<annotations><image id='0' name='a.png'/></annotations>")
    yield
    (root / "annotations.xml").unlink()
    exported = layouts.coco(place.folder / "exported")
    shutil.copy(exported / "annotations.json", root / "annotations.json")
    place.settings["reader"] = "coco"
    yield Read(3, 2, 3)


@case("file_unreadable", "mend or export it again")
def yaml_that_is_none(place):
    path = place.layout("yolo") / "data.yaml"
    sound = path.read_text()
    path.write_text("names: [lesion, cast")
    yield
    path.write_text(sound)
    yield Read(2, 1, 2)


@case("file_unreadable", "add names: [first, second]")
def yaml_without_names(place):
    place.layout("yolo")
    place.edit("names: [lesion, cast]", "", "data.yaml")
    yield
    place.edit("nc: 2", "nc: 2\nnames: [lesion, cast]", "data.yaml")
    yield Read(2, 1, 2)


@case("file_unreadable", "keep the names of the classes in it")
def yaml_that_holds_data(place):
    path = place.layout("yolo") / "data.yaml"
    sound = path.read_text()
    path.write_text(sound + "notes: " + "x" * (1 << 20))
    yield
    path.write_text(sound)
    yield Read(2, 1, 2)


@case("file_unreadable", "correct it, or take it out where lines hold boxes or polygons")
def key_points_of_no_number(place):
    place.layout("yolo")
    place.edit("nc: 2", "nc: 2\nkpt_shape: many", "data.yaml")
    yield
    place.edit("kpt_shape: many\n", "", "data.yaml")
    yield Read(2, 1, 2)


# --- how tables were read ---------------------------------------------------------------------------------------------


@case("table_read_as", "save the file as UTF-8")
def a_table_of_windows(place):
    place.layout("manifest")
    place.edit("lateral", "seitlich ä")
    text = (place.root / "manifest.csv").read_text(encoding="utf-8")
    (place.root / "manifest.csv").write_bytes(text.encode("cp1252"))
    yield
    (place.root / "manifest.csv").write_text(text, encoding="utf-8")
    films, _ = yield MANIFEST
    assert (films["view"] == "seitlich ä").sum() == 1


@case("table_read_as", "keep one of them, or name the table in study.yaml", ("keep", "manifest"), ("name", "manifest"),
      ("keep", "boxes"), ("name", "boxes"))  # fmt: skip
def two_tables_of_one_name(place, which, name):
    root = place.layout("manifest")
    to_workbook(pd.read_csv(root / f"{name}.csv", dtype=str, keep_default_na=False), root / f"{name}.xlsx")
    yield
    if which == "keep":
        (root / f"{name}.xlsx").unlink()
    else:
        place.settings["table" if name == "manifest" else "annotations"] = f"{name}.csv"
    yield MANIFEST


@case("table_read_as", "save each table as a file of its own")
def a_workbook_of_two_sheets(place):
    root = place.layout("manifest")
    table = pd.read_csv(root / "boxes.csv")
    to_workbook(table, root / "boxes.xlsx", also=["remarks"])
    (root / "boxes.csv").unlink()
    yield
    to_workbook(table, root / "boxes.xlsx")
    yield MANIFEST


@case("table_read_as", "format the column as text")
def an_identifier_that_became_a_date(place):
    root = place.layout("manifest")
    table = pd.read_csv(root / "manifest.csv", dtype=object, keep_default_na=False)
    table.loc[0:1, "patient_id"] = pd.Timestamp("2026-02-01").to_pydatetime()
    to_workbook(table, root / "manifest.xlsx")
    (root / "manifest.csv").unlink()
    yield
    table.loc[0:1, "patient_id"] = "1-2"
    to_workbook(table, root / "manifest.xlsx")
    films, _ = yield MANIFEST
    assert films["patient_id"].nunique() == 7


@case("numbers_read_as", "nothing, if that is what they mean", (";", "10,5"), (",", '"1,010.5"'))
def numbers_of_other_countries(place, separator, cell):
    two_films(place, [10, 20, 50, 60])
    wide = 1200 if "1,010" in cell else 120
    layouts.film(place.root / "a.png", wide, 100, 1)
    text = f"path,x_min,y_min,x_max,y_max\na.png,{cell},20,{wide - 1},60\n"
    (place.root / "boxes.csv").write_text(text if separator == "," else text.replace(",", ";").replace("10;5", "10,5"))
    yield
    _, boxes = yield Read(2, 1, 1, stays=True)
    assert corners(boxes) == [[10.5 if separator == ";" else 1010.5, 20, wide - 1, 60]]


@case("column_unused", "docs/study.md lists the names")
def a_column_that_should_be_read(place):
    place.layout("manifest")
    place.edit(",site,", ",Klinik,")
    found = yield
    assert "Klinik" in found.message
    place.edit(",Klinik,", ",hospital,")  # docs/study.md: site, center, centre, hospital, institution
    films, _ = yield Read(14, 6, 6, stays=True)  # for the column dose
    assert set(films["site"]) == {"A", "B"}


@case("column_missing", "the nearest name", ("labell", "label"), ("pathh", "path"))
def a_column_nearly_of_its_name(place, own, name):
    place.layout("manifest")
    place.edit(name, own)
    found = yield
    old, new = re.search(r"rename '([^']+)' to (\w+)", found.remedy).groups()
    place.edit(old, new)
    yield Read(14, 6, 6)


@case("column_missing", "rename")
def columns_in_other_words(place):
    two_films(place, [10, 20, 50, 60])
    layouts.table(place.root / "manifest.csv", ["Aufnahme", "Befund"], [["a.png", "malignant"], ["b.png", "normal"]])
    found = yield
    for old, new in re.findall(r"rename '([^']+)' to (\w+)", found.remedy):
        place.edit(old, new)
    yield Read(2, 1, 1)


@case("column_missing", "y_max")
def a_corner_that_is_missing(place):
    place.layout("manifest")
    table = pd.read_csv(place.root / "boxes.csv")
    table.drop(columns="y_max").to_csv(place.root / "boxes.csv", index=False)
    found = yield
    assert "rename" not in found.remedy  # x_max is no y_max
    table.to_csv(place.root / "boxes.csv", index=False)
    yield MANIFEST


@case("column_missing", "compute x_max = x_min + width, y_max = y_min + height")
def sizes_in_place_of_corners(place):
    place.layout("manifest")
    table = pd.read_csv(place.root / "boxes.csv").rename(columns={"x_max": "width", "y_max": "height"})
    table = table.assign(width=40, height=40)
    table.to_csv(place.root / "boxes.csv", index=False)
    yield
    table["x_max"], table["y_max"] = table["x_min"] + table["width"], table["y_min"] + table["height"]
    table.drop(columns=["width", "height"]).to_csv(place.root / "boxes.csv", index=False)
    _, boxes = yield MANIFEST
    assert corners(boxes) == [[10, 20, 50, 60]] * 6


@case("column_missing", "use it as distributed")
def nih_rows_too_short(place):
    path = place.layout("nih") / "BBox_List_2017.csv"
    sound = path.read_text()
    path.write_text("Image Index,Finding Label\n00000001_000.png,Mass\n")
    yield
    path.write_text(sound)
    # films 1 and 3 have a box; film 1_001 has 'No Finding'; the others name findings that nobody searched for boxes
    yield Read(3, 2, 2, also=("not_annotated", "value_implausible"))


@case("column_missing", "docs/study.md lists other names")
def a_map_without_patients(place):
    root = place.layout("coco", patients="patients.csv")
    layouts.table(root / "patients.csv", ["image_id", "who"], [["a", "P1"], ["b", "P2"], ["c", "P3"]])
    yield
    place.edit("who", "patient_id", "patients.csv")
    yield Read(3, 2, 3)


# --- rows -------------------------------------------------------------------------------------------------------------


@case("row_invalid", "need another separator: save it with semicolons, or write decimal points")
def decimal_commas_between_commas(place):
    two_films(place, [10, 20, 50, 60])
    (place.root / "boxes.csv").write_text("path,x_min,y_min,x_max,y_max\na.png,10,5,20,5,50,5,60,5\n")
    yield
    (place.root / "boxes.csv").write_text("path;x_min;y_min;x_max;y_max\na.png;10,5;20,5;50,5;60,5\n")
    _, boxes = yield Read(2, 1, 1, also=("numbers_read_as",))
    assert corners(boxes) == [[10.5, 20.5, 50.5, 60.5]]


@case("row_invalid", "quote cells that hold the separator")
def a_comma_in_a_cell(place):
    place.layout("manifest")
    place.edit("lateral", "lateral, left")
    yield
    place.edit("lateral, left", '"lateral, left"')
    yield MANIFEST


@case("row_invalid", "take the character out")
def a_nul_in_a_row(place):
    place.layout("manifest")
    place.edit("P000m", "P\x00000m")
    yield
    place.edit("P\x00000m", "P000m")
    yield MANIFEST


@case("row_invalid", "fill in its path", (0,), (1,))
def a_row_without_a_film(place, boxed):
    place.layout("manifest")
    if boxed:
        rows = [
            ["films/f000.png", "lesion", 10, 20, 50, 60],
            ["", "lesion", 10, 20, 50, 60],
            ["films/f002.png", "", "", "", "", ""],
        ]
        layouts.table(place.root / "manifest.csv", ["path", "label", "xmin", "ymin", "xmax", "ymax"], rows)
        (place.root / "boxes.csv").unlink()
        found = yield
        assert found.message.endswith("1 row without a film's name")
        place.edit("\n,lesion", "\nfilms/f001.png,lesion")
        yield Read(3, 2, 2)
    else:
        place.edit("films/f013.png", "")
        yield
        place.edit("\n,0,P006n", "\nfilms/f013.png,0,P006n")
        yield MANIFEST


@case("row_invalid", "correct the labels")
def two_labels_of_one_film(place):
    two_films(place, [10, 20, 50, 60])
    rows = [["a.png", 1, 10, 20, 50, 60], ["a.png", 0, 60, 20, 90, 60], ["b.png", 0, "", "", "", ""]]
    layouts.table(place.root / "manifest.csv", ["path", "label", "xmin", "ymin", "xmax", "ymax"], rows)
    (place.root / "boxes.csv").unlink()
    yield
    place.edit("a.png,0", "a.png,1")
    yield Read(2, 1, 2)


@case("row_invalid", "use one of test, training, validation")
def a_partition_of_no_name(place):
    root = place.layout("manifest")
    table = pd.read_csv(root / "manifest.csv", keep_default_na=False).drop(columns="dose")
    parts = ["training" if patient % 2 else "test" for patient in range(7) for _ in range(2)]
    table.assign(partition=["learn", *parts[1:]]).to_csv(root / "manifest.csv", index=False)
    found = yield
    assert "'learn'" in found.message
    place.edit(",learn", ",test")
    films, _ = yield MANIFEST
    assert (films["partition"] == "test").sum() == 8  # patients 0, 2, 4 and 6


@case("row_invalid", "export it again", ("images[3]",), ("no id",))
def an_image_without_a_name(place, which):
    place.layout("coco")
    entry = {"id": 3} if which == "images[3]" else {"file_name": "d.png"}
    place.json("annotations.json", lambda content: content["images"].append(entry))
    yield
    place.json("annotations.json", lambda content: content["images"].pop())
    yield Read(3, 2, 3)


@case("row_invalid", "write five numbers a line (or a class and at least three points)")
def a_line_of_four_numbers(place):
    place.layout("yolo")
    place.edit("0 0.5 0.5 0.5 0.2", "0 0.5 0.5 0.5", "labels/a.txt")
    yield
    place.edit("0 0.5 0.5 0.5", "0 0.5 0.5 0.5 0.2", "labels/a.txt")
    yield Read(2, 1, 2)


@case("row_invalid", "as kpt_shape in data.yaml says")
def a_line_without_its_key_points(place):
    place.layout("yolo")
    place.edit("nc: 2", "nc: 2\nkpt_shape: [1, 2]", "data.yaml")
    (place.root / "labels/a.txt").write_text("0 0.5 0.5 0.5 0.2 0.5\n")
    yield
    (place.root / "labels/a.txt").write_text("0 0.5 0.5 0.5 0.2 0.5 0.5\n")
    _, boxes = yield Read(2, 1, 1)
    assert corners(boxes) == [[30, 40, 90, 60]]  # of 120 x 100: centre 60, 50, size 60 x 20


@case("row_invalid", "kpt_shape: null for polygons", ("kpt_shape: [1, 2]", [[30, 40, 90, 60]]),
      ("kpt_shape: null", [[60, 20, 60, 50]]))  # fmt: skip
def lines_that_may_be_key_points_or_polygons(place, shape, read):
    place.layout("yolo")
    (place.root / "labels/a.txt").write_text("0 0.5 0.5 0.5 0.2 0.5 0.5\n")
    yield
    place.edit("nc: 2", f"nc: 2\n{shape}", "data.yaml")
    if shape.endswith("null"):  # a polygon of an area, which the points above are not
        (place.root / "labels/a.txt").write_text("0 0.5 0.5 0.75 0.5 0.5 0.6\n")
        read = [[60, 50, 90, 60]]
    _, boxes = yield Read(2, 1, 1)
    assert corners(boxes) == read


@case("row_invalid", "add its name to data.yaml")
def a_class_without_a_name(place):
    place.layout("yolo")
    place.edit("[lesion, cast]", "[lesion]", "data.yaml")
    yield
    place.edit("[lesion]", "[lesion, cast]", "data.yaml")
    yield Read(2, 1, 2)


@case("row_invalid", "correct the table", ("rsna",), ("vindr",))
def rows_that_contradict_each_other(place, reader):
    place.layout(reader)
    name = "stage_2_train_labels.csv" if reader == "rsna" else "train.csv"
    old, new = ("aaaa-1,600,100,200,300,1", "aaaa-1,600,100,200,300,0") if reader == "rsna" else (
        "f2,No finding,14,R2,,,,", "f2,No finding,14,R2,1,1,5,5")  # fmt: skip
    place.edit(old, new, name)
    yield
    place.edit(new, old, name)
    # rsna: two films with boxes, two without; vindr: f1 and f4 by two readers or more, f2 by one
    yield Read(4, 2, 3) if reader == "rsna" else Read(4, 2, 2)


@case("row_invalid", "fill in its patientId")
def rsna_row_without_a_film(place):
    place.layout("rsna")
    place.edit("bbbb-2,,", ",,", "stage_2_train_labels.csv")
    yield
    place.edit("\n,,", "\nbbbb-2,,", "stage_2_train_labels.csv")
    yield Read(4, 2, 3)


@case("row_invalid", "fill in its name")
def nih_row_without_a_film(place):
    place.layout("nih")
    place.edit("00000001_001.png,No", ",No", "Data_Entry_2017_v2020.csv")
    yield
    place.edit("\n,No", "\n00000001_001.png,No", "Data_Entry_2017_v2020.csv")
    yield Read(3, 2, 2)


@case("row_invalid", "correct the row", ("tumor",), ("flag",))
def btxrd_flags_that_cannot_be(place, which):
    root = place.layout("btxrd")
    table = pd.read_csv(root / "dataset.csv", dtype=str)
    wrong = table.copy()
    wrong.loc[0, "malignant"] = "0" if which == "tumor" else "yes"
    wrong.to_csv(root / "dataset.csv", index=False)
    yield
    table.to_csv(root / "dataset.csv", index=False)
    yield Read(13, 7, 7)


@case("where_invalid", "compare columns with values")
def a_column_that_is_not_there(place):
    place.layout("manifest", where="centre == 'A'")
    yield
    place.settings["where"] = "site == 'A'"
    yield Read(8, 4, 4)  # patients 0, 2, 4, 6 of two films; the malignant ones are 0 and 2


@case("where_invalid", "as in `part == 1`")
def a_condition_on_joined_cohorts(place):
    place.layout("manifest")
    other = layouts.manifest(place.folder / "more", 2, 2, seed=50)
    part = {"reader": "manifest", "root": str(other), "patient_prefix": "m"}
    place.cohorts["development"] = {"reader": "concat", "parts": [place.settings, part], "where": "piece == 1"}
    yield
    place.cohorts["development"]["where"] = "part == 1"
    yield MANIFEST


# --- labels and classes -----------------------------------------------------------------------------------------------


def answered(remedy, **answers):
    """The `classes` of a remedy with an answer for each '?'."""
    words = snippet(remedy, "classes")
    assert set(words.values()) == {"?"}
    return {word: answers[word] for word in words}


@case("label_unknown", "add to the cohort in study.yaml: classes:", ("1", "0"), ("1", None))
def labels_in_another_language(place, ill, well):
    path = place.layout("manifest") / "manifest.csv"
    path.write_text(path.read_text().replace("png,1,", "png,maligne,").replace("png,0,", "png,sain,"))
    found = yield
    place.settings["classes"] = answered(found.remedy, maligne=ill, sain=well)
    yield Read(14, 6, 6) if well else Read(6, 6, 6)


@case("label_unknown", "or write 1, 0 or nothing in the table")
def labels_written_anew(place):
    path = place.layout("manifest") / "manifest.csv"
    path.write_text(path.read_text().replace("png,1,", "png,maligne,").replace("f013.png,0,", "f013.png,zweifelhaft,"))
    yield
    path.write_text(path.read_text().replace("maligne", "1").replace("zweifelhaft", ""))
    yield Read(13, 6, 6, also=("not_annotated",))


@case("label_unknown", "classes:")
def rsna_targets_in_words(place):
    path = place.layout("rsna") / "stage_2_train_labels.csv"
    path.write_text(path.read_text().replace(",1\n", ",pneumonia\n").replace(",1\r\n", ",pneumonia\r\n"))
    found = yield
    place.settings["classes"] = answered(found.remedy, pneumonia="1")
    yield Read(4, 2, 3)


@case("label_zero", "to leave some out, map their word to null")
def benign_tumours_among_the_normal_films(place):
    path = place.layout("manifest") / "manifest.csv"
    path.write_text(
        path.read_text().replace("f013.png,0,", "f013.png,benign,").replace("f012.png,0,", "f012.png,normal,")
    )
    found = yield
    place.settings["classes"] = snippet(found.remedy, "classes")
    yield Read(13, 6, 6, stays=True, also=("not_annotated",))  # for the word normal, which still counts


@case("label_zero", "to leave them out")
def benign_tumours_of_btxrd(place):
    place.layout("btxrd")
    found = yield
    place.settings["where"] = snippet(found.remedy, "where")
    yield Read(12, 7, 7, stays=True)  # it counts what was read, not what stays


@case("class_unmapped", "name them in `classes`, with null to leave them out without this warning", (None,), ("cast",))
def a_class_that_nobody_named(place, finding):
    place.layout("coco", classes={"osteosarcoma": "lesion"})
    found = yield
    assert "'cast' (1)" in found.message
    place.settings["classes"]["cast"] = finding
    yield Read(3, 1, 2) if finding is None else Read(3, 2, 3)


@case("class_unmapped", "else give that class another name", ("nothing",), ("name",))
def a_class_that_says_no_lesion(place, what):
    place.layout("coco")
    place.edit("cast", "background", "annotations.json")
    yield
    if what == "name":
        place.edit("background", "cast", "annotations.json")
    yield Read(3, 1, 2, stays=True) if what == "nothing" else Read(3, 2, 3)


@case("class_absent", "check its spelling")
def a_class_misspelt(place):
    place.layout("coco", classes={"osteosarkoma": "lesion", "cast": None})
    yield
    place.settings["classes"] = {"osteosarcoma": "lesion", "cast": None}
    yield Read(3, 1, 2)


@case("classes_joined", "with null in place of lesion", ("coco",), ("labelme",), ("yolo",), ("voc",), ("manifest",))
def a_class_that_is_no_lesion(place, reader):
    root = place.layout(reader)
    if reader == "labelme":
        place.json("annotations/p1_frontal.json", lambda content: content["shapes"][-1].update(label="cast"))
    if reader == "voc":
        (root / "Annotations/b.xml").write_text(layouts.voc_xml("b.png", [("cast", 11, 21, 40, 60)]))
    if reader == "manifest":
        with (root / "boxes.csv").open("a") as file:
            file.write("films/f000.png,60,20,90,60,cast\n")
    found = yield
    classes = snippet(found.remedy, "classes")
    assert set(classes.values()) == {"lesion"}
    place.settings["classes"] = {**classes, "cast": None}
    yield {"coco": Read(3, 1, 2), "labelme": Read(2, 1, 1), "yolo": Read(2, 1, 1), "voc": Read(2, 1, 1),
           "manifest": MANIFEST}[reader]  # fmt: skip


@case("classes_joined", "name all that count")
def many_classes(place):
    place.layout("coco")

    def more(content):
        content["categories"] += [{"id": k, "name": f"kind {k}"} for k in range(2, 12)]
        content["annotations"] += [
            {"id": k + 9, "image_id": 0, "category_id": k, "bbox": [3 * k, 50, 20, 20]} for k in range(2, 12)
        ]

    place.json("annotations.json", more)
    found = yield
    assert "'kind 9' (1)" in found.message
    counts = ["osteosarcoma", *(f"kind {k}" for k in range(2, 12))]
    place.settings["classes"] = dict.fromkeys(counts, "lesion")
    yield Read(3, 1, 12, also=("class_unmapped",))  # which names the one that was left out


@case("not_annotated", "annotate them")
def films_that_nobody_looked_at(place):
    root = place.layout("voc")
    yield
    (root / "Annotations/c.xml").write_text(layouts.voc_xml("c.png", []))
    yield Read(3, 1, 1)


@case("not_annotated", "give the cohort a `label` if every film has the same status")
def films_of_one_status(place):
    root = place.layout("voc")
    shutil.rmtree(root / "Annotations")
    (root / "Annotations").mkdir()
    (root / "Annotations/a.xml").write_text(layouts.voc_xml("a.png", []))
    yield
    place.settings["label"] = 0
    yield Read(3, 0, 0)


@case("not_annotated", "map their labels, which are listed as unknown")
def films_of_unknown_labels(place):
    path = place.layout("manifest") / "manifest.csv"
    path.write_text(path.read_text().replace("png,0,", "png,sain,"))
    yield
    place.settings["classes"] = {"sain": "0"}
    yield Read(14, 6, 6)


@case("not_annotated", "with '1' (malignant) or '0' for each '?'")
def flags_of_labelme(place):
    place.layout("labelme")
    place.json("annotations/p1_lateral.json", lambda content: content.update(flags={"gesund": True}))
    found = yield
    classes = snippet(found.remedy, "classes")
    place.settings["classes"] = {name: "0" if word == "?" else word for name, word in classes.items()}
    yield Read(2, 1, 2)  # the boxes of the other film count as before


@case("cohort_empty", "check `root` and the faults above")
def no_film_was_read(place):
    place.layout("voc", root=str(place.folder))
    place.root.rename(place.folder / "elsewhere")
    place.settings["root"] = str(place.folder / "empty")
    (place.folder / "empty").mkdir()
    yield
    place.settings["root"] = str(place.folder / "elsewhere")
    yield Read(2, 1, 1, also=("not_annotated",))


@case("cohort_empty", "check `where`")
def no_film_is_left(place):
    place.layout("manifest", where="site == 'a'")
    yield
    place.settings["where"] = "site == 'A'"
    yield Read(8, 4, 4)


@case(
    "value_implausible",
    "correct them, or leave them: they count as missing",
    ("age", 1),
    ("age", 0),
    ("sex", 1),
    ("sex", 0),
)
def an_age_or_sex_that_cannot_be(place, what, corrected):
    place.layout("manifest")
    old, new = (",10,F,", ",414,F,") if what == "age" else (",10,F,", ",10,weiblich,")
    place.edit(old, new)
    yield
    if corrected:
        place.edit(new, old)
    films, _ = yield Read(14, 6, 6, stays=not corrected)
    assert films[what].isna().sum() == (0 if corrected else 1)


@case("unknown_id", "write its path or image_id as the manifest has it", ("row",), ("manifest",))
def a_box_of_a_film_that_is_not_listed(place, how):
    place.layout("manifest")
    place.edit("films/f000.png", "films/f0.png", "boxes.csv")
    if how == "manifest":
        layouts.film(place.root / "films/f0.png", seed=77)
    yield
    if how == "row":
        place.edit("films/f0.png", "films/f000.png", "boxes.csv")
        yield MANIFEST
    else:
        place.edit("films/f013.png", "films/f0.png,1,P099,A,frontal,30,F,,3\nfilms/f013.png")
        with (place.root / "boxes.csv").open("a") as file:
            file.write("films/f000.png,10,20,50,60,osteosarcoma\n")  # whose own row this had been
        yield Read(15, 7, 7)


@case("unknown_id", "correct it")
def an_annotation_of_no_image(place):
    place.layout("coco")
    place.json("annotations.json", lambda content: content["annotations"][0].update(image_id=99))
    yield
    place.json("annotations.json", lambda content: content["annotations"][0].update(image_id=0))
    yield Read(3, 2, 3)


@case("unknown_id", "add the category")
def an_annotation_of_no_category(place):
    place.layout("coco")
    place.json("annotations.json", lambda content: content["categories"].pop())
    yield
    place.json("annotations.json", lambda content: content["categories"].append({"id": 1, "name": "cast"}))
    yield Read(3, 2, 3)


@case("unknown_id", "add its row", ("nih",), ("btxrd",))
def a_film_without_its_row(place, reader):
    root = place.layout(reader)
    name = "Data_Entry_2017_v2020.csv" if reader == "nih" else "dataset.csv"
    lines = (root / name).read_text().splitlines(keepends=True)
    (root / name).write_text("".join(lines[:1] + lines[2:]))
    yield
    (root / name).write_text("".join(lines))
    yield Read(3, 2, 2) if reader == "nih" else Read(13, 7, 7)


@case("duplicate_id", "keep one row per film", ("name",), ("path",))
def a_film_in_two_rows(place, how):
    place.layout("manifest")
    line = next(row for row in (place.root / "manifest.csv").read_text().splitlines() if "f013" in row)
    again = line if how == "name" else line.replace("films/f013.png", "f013.png")
    with (place.root / "manifest.csv").open("a") as file:
        file.write(f"{again}\n")
    yield
    text = (place.root / "manifest.csv").read_text()
    (place.root / "manifest.csv").write_text(text.removesuffix(f"{again}\n"))
    yield MANIFEST


@case("duplicate_id", "where two annotation files name it, set `annotations` to one of them")
def a_film_in_two_files(place):
    root = place.layout("coco")
    shutil.copy(root / "annotations.json", root / "copy.json")
    yield
    place.settings["annotations"] = "annotations.json"
    yield Read(3, 2, 3)


@case("duplicate_id", "number them anew")
def two_images_of_one_number(place):
    place.layout("coco")
    place.json("annotations.json", lambda content: content["images"][2].update(id=0))
    yield
    place.json("annotations.json", lambda content: content["images"][2].update(id=2))
    yield Read(3, 2, 3)


@case("duplicate_id", "keep one of them")
def tbx_boxes_that_differ(place):
    path = place.layout("tbx11k") / "annotations/json/TBX11K_trainval.json"
    place.json(
        "annotations/json/TBX11K_trainval.json", lambda content: content["annotations"][0].update(bbox=[1, 2, 3, 4])
    )
    yield
    path.unlink()
    yield Read(3, 1, 1)


@case("duplicate_id", "keep one file per film")
def two_files_of_one_film(place):
    root = place.layout("labelme")
    (root / "annotations/more").mkdir()
    shutil.copy(root / "annotations/p1_frontal.json", root / "annotations/more/p1_frontal.json")
    yield
    shutil.rmtree(root / "annotations/more")
    yield Read(2, 1, 2)


@case("duplicate_id", "keep one row per film")
def a_film_of_two_patients(place):
    root = place.layout("coco", patients="patients.csv")
    rows = [["a", "P1"], ["b", "P2"], ["c", "P3"], ["a", "P2"]]
    layouts.table(root / "patients.csv", ["image_id", "patient_id"], rows)
    yield
    layouts.table(root / "patients.csv", ["image_id", "patient_id"], rows[:3])
    films, _ = yield Read(3, 2, 3)
    assert films["patient_id"].nunique() == 3


@case("duplicate_id", "keep one row per film")
def a_film_twice_in_a_table_of_ones_own(place):
    root = place.layout("coco", table="own.csv")
    rows = [["a", "P1"], ["b", "P2"], ["c", "P3"], ["a", "P2"]]
    layouts.table(root / "own.csv", ["image_id", "patient_id"], rows)
    yield
    layouts.table(root / "own.csv", ["image_id", "patient_id"], rows[:3])
    films, _ = yield Read(3, 2, 3)
    assert films["patient_id"].nunique() == 3


@case("box_invalid", "write four numbers, without separators of thousands")
def a_coordinate_that_is_no_number(place):
    boxes_file_row = ["films/f000.png", "ten", 20, 50, 60, "lesion"]
    place.layout("manifest")
    rows = [[f"films/f{k:03d}.png", 10, 20, 50, 60, "lesion"] for k in range(1, 6)]
    boxes_file(place, [boxes_file_row, *rows])
    yield
    boxes_file(place, [["films/f000.png", 10, 20, 50, 60, "lesion"], *rows])
    yield MANIFEST


@case("box_invalid", "", ("coco", "draw it again"), ("labelme", "draw it again as one of these"),
      ("voc", "draw it again, with decimal points"), ("vindr", "correct the row"),
      ("tbx11k", "use the annotations as distributed"))  # fmt: skip
def a_box_that_cannot_be_read(place, reader, words):
    root = place.layout(reader)
    name, old, new, read = {
        "coco": ("annotations.json", "[10, 20, 30, 40]", '[10, 20, "x", 40]', Read(3, 2, 3)),
        "labelme": ("annotations/p1_frontal.json", '"rectangle"', '"point"', Read(2, 1, 2)),
        "voc": ("Annotations/a.xml", "<xmin>11<", "<xmin>1;1<", Read(2, 1, 1)),
        "vindr": ("train.csv", "f4,Cardiomegaly,3,R1,20,", "f4,Cardiomegaly,3,R1,x,", Read(4, 2, 2)),
        "tbx11k": ("annotations/json/TBX11K_train.json", "[100.0,", '["x",', Read(3, 1, 1)),
    }[reader]
    sound = (root / name).read_text()
    place.edit(old, new, name)
    found = yield
    assert words in found.remedy
    (root / name).write_text(sound)
    yield read


@case("box_invalid", "or leave its class out by `classes`")
def a_point_of_a_class_that_does_not_count(place):
    place.layout("labelme")
    point = {"label": "marker", "shape_type": "point", "points": [[1, 2]]}
    place.json("annotations/p1_frontal.json", lambda content: content["shapes"].append(point))
    yield
    place.settings["classes"] = {"osteosarcoma": "lesion", "marker": None}
    yield Read(2, 1, 2)


@case("box_minority", "set `agreement: 1` to count them")
def lesions_of_one_reader(place):
    place.layout("vindr")
    yield
    place.settings["agreement"] = 1
    # f1: two fused boxes and the one of reader 3; f2: that of reader 1; f4: one
    yield Read(4, 3, 4)


@case("box_crowd", "to 0 where it is one")
def a_region_of_several_lesions(place):
    """One of the three boxes is marked as a region of several lesions, and is one lesion."""
    place.layout("coco")
    place.json("annotations.json", lambda content: content["annotations"][0].update(iscrowd=1))
    yield
    place.json("annotations.json", lambda content: content["annotations"][0].update(iscrowd=0))
    yield Read(3, 2, 3)


@case("box_marked", "nothing, if they are lesions")
def a_box_marked_as_occluded(place):
    place.layout("coco")
    place.json("annotations.json", lambda content: content["annotations"][0].update(attributes={"occluded": True}))
    yield
    yield Read(3, 2, 3, stays=True)
