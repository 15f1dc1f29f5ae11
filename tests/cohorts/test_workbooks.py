"""Tables below titles, and on another sheet of a workbook: read where the header is known by its names."""

import openpyxl
import pytest

from cohorts import layouts
from osteotl.files import header_place

FILMS = [["path", "label", "patient_id"], ["a.png", 1, "P1"], ["b.png", 0, "P2"]]
BOXES = [["path", "x_min", "y_min", "x_max", "y_max"], ["a.png", 10, 20, 50, 60]]
TITLES = [["Knee films of 2024"], [], ["Site", "A"]]


def book(path, **sheets):
    """A workbook with these sheets."""
    made = openpyxl.Workbook()
    made.remove(made.active)
    for title, rows in sheets.items():
        sheet = made.create_sheet(title)
        for row in rows:
            sheet.append(row)
    made.save(path)


def text(path, rows, separator):
    """A CSV of these rows."""
    path.write_text("\n".join(separator.join(map(str, row)) for row in rows) + "\n")


def read(root, **more):
    """The manifest cohort of a folder with films a and b."""
    for seed, name in enumerate(["a.png", "b.png"]):
        layouts.film(root / name, seed=seed)
    return layouts.read("manifest", root, **more)


def as_meant(cohort):
    """Whether films and the box are those of the tables above."""
    films = cohort.films[["image_id", "label", "patient_id"]].to_numpy().tolist()
    assert films == [["a.png", 1, "P1"], ["b.png", 0, "P2"]]
    assert layouts.corners(cohort, "a.png") == [(10, 20, 50, 60)]
    return {fault.file: fault.message for fault in cohort.faults if fault.code == "table_read_as"}


def test_titles_above_the_header_of_a_workbook(tmp_path):
    book(tmp_path / "manifest.xlsx", Tabelle1=[*TITLES, *FILMS])
    book(tmp_path / "boxes.xlsx", Tabelle1=BOXES)
    (told,) = as_meant(read(tmp_path)).values()
    # the empty row counts in Excel: the header is in row 4
    assert "its header is read from row 4 (path, label, patient_id)" in told
    assert "'Knee films of 2024 Site A'" in told


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_titles_above_the_header_of_a_csv(tmp_path, separator):
    text(tmp_path / "manifest.csv", [*TITLES, *FILMS], separator)
    text(tmp_path / "boxes.csv", [["boxes, in pixels"], *BOXES], separator)
    told = as_meant(read(tmp_path))
    assert "row 4" in told[f"{tmp_path.name}/manifest.csv"]
    assert "row 2" in told[f"{tmp_path.name}/boxes.csv"]


def test_the_table_on_another_sheet(tmp_path):
    book(tmp_path / "study.xlsx", Readme=[["Read me first"], ["by the team"]], Films=FILMS, Boxes=[*TITLES, *BOXES])
    told = as_meant(read(tmp_path, table="study.xlsx", annotations="study.xlsx"))
    assert told  # one file, read twice
    faults = [f.message for f in read(tmp_path, table="study.xlsx", annotations="study.xlsx").faults]
    assert any("its sheet 'Films' is read; 2 other sheets not: 'Readme', 'Boxes'" in text for text in faults)
    assert any("its sheet 'Boxes' is read; 2 other sheets not: 'Readme', 'Films'" in text for text in faults)


def test_rows_are_numbered_as_the_file_shows_them(tmp_path):
    book(tmp_path / "manifest.xlsx", A=[*TITLES, *FILMS, [], ["", 1, "P3"]])  # header 4, films 5 and 6, 7 empty
    book(tmp_path / "boxes.xlsx", A=[*BOXES, [], ["c.png", 1, 1, 2, 2]])
    faults = {fault.code: fault.message for fault in read(tmp_path).faults}
    assert "row 8 names no film" in faults["row_invalid"]
    assert "row 4 names 'c.png'" in faults["unknown_id"]


def test_a_header_in_other_words_is_not_looked_for_in_the_rows(tmp_path):
    text(tmp_path / "manifest.csv", [["Bild", "Klasse"], ["image", "class"], ["a.png", 1]], ",")
    (fault,) = [fault for fault in read(tmp_path).faults if fault.code == "column_missing"]
    assert "it has Bild, Klasse" in fault.message


@pytest.mark.parametrize(
    ("rows", "needs", "place"),
    [
        ([["path", "label"]], (), 0),
        ([["Title"], ["path", "label"]], (), 1),
        ([["Title"], ["path", "label"]], ("x_min",), None),
        ([["Site", "A"], ["path", "label", "age"]], (), 1),
        ([["a", "b"], ["path", "label"]], (), None),  # as wide as the header: no title
        ([["Title"], ["path", "dose"]], (), None),  # one known name is no header
        ([["Title"]] * 20 + [["path", "label"]], (), 20),
        ([["Title"]] * 21 + [["path", "label"]], (), None),
        ([], (), None),
        ([[None, " "], ["Film path".replace("Film ", ""), " Label "]], (), 1),
    ],
)
def test_which_row_is_the_header(rows, needs, place):
    names = {"path": ("path",), "label": ("label",), "x_min": ("x_min", "x1")}
    assert header_place(rows, names, needs) == place
