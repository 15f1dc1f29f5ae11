"""One cause is one fault: what follows from a file that cannot be read is not listed film by film."""

import pytest

from cohorts import layouts
from osteotl.cohorts.boxes import native_boxes


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"PK\x03\x04 cut short", "file_unreadable"),
        (b"", "file_unreadable"),
        (b"path,left,top,right,bottom\nfilms/f000.png,1,1,5,5\n", "column_missing"),
        (b"path,x_min,y_min,x_max,y_max\nfilms/f000.png,1,5,1,5,9,5,9,5\n", "row_invalid"),  # decimal commas
        (b"path,x_min,y_min,x_max,y_max,x_min\n", "file_unreadable"),
    ],
)
@pytest.mark.parametrize("trains", [True, False])
def test_a_file_of_boxes_that_cannot_be_read_is_named_alone(tmp_path, content, code, trains):
    root = layouts.manifest(tmp_path / "knees")
    (root / "boxes.csv").write_bytes(content)
    cohort = layouts.read("manifest", root)
    assert [(fault.code, fault.file) for fault in layouts.wrong(cohort)] == [(code, "knees/boxes.csv")]
    assert native_boxes(cohort.films.assign(width=120, height=100), cohort.boxes, trains)[1] == []


def test_a_sound_but_empty_file_of_boxes_is_no_such_file(tmp_path):
    root = layouts.manifest(tmp_path / "knees")
    (root / "boxes.csv").write_text("path,x_min,y_min,x_max,y_max\n")
    cohort = layouts.read("manifest", root)
    faults = native_boxes(cohort.films.assign(width=120, height=100), cohort.boxes)[1]
    # layouts.manifest: six malignant films, each of which lacks its box now
    assert [fault.code for fault in faults] == ["malignant_without_box"] * 6
