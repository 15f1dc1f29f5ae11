"""What was decided in reading films: the table of notes, its summary in a check, and the warnings that follow."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest

from cohorts import layouts
from cohorts.make_films import CASES, dicom
from osteotl.cohorts import faults, film, tables
from osteotl.study import parse_study

SCENE = np.random.default_rng(5).integers(20, 201, (100, 120), dtype=np.uint8)


def study(root, **changes):
    return parse_study({
        "title": "T", "cohorts": {"development": {"reader": "manifest", "root": str(root), "validation": 0.3}},
        "arms": {"a": {"initialise": "random"}, "b": {"initialise": "random"}}, "reference": "a", **changes,
    })  # fmt: skip


@pytest.fixture
def root(tmp_path):
    """A cohort of PNG films that are shown as they are stored."""
    return layouts.manifest(tmp_path / "development", 10, 10)


def put(root, number, content):
    """A film of the cohort replaced by other bytes: what a file is follows from its content, not from its name."""
    (root / f"films/f{number:03d}.png").write_bytes(content)


def built(root):
    summary = tables.build_cohorts(study(root), root / "out", root / "data")
    return summary, pd.read_csv(root / "out/cohorts/film_notes.csv"), summary.films.set_index("path")["image_id"]


def test_films_that_are_read_as_they_are_have_no_note(root):
    summary, notes, _ = built(root)
    assert list(notes.columns) == ["image_id", "note"]
    assert notes.empty
    assert "decided in reading films" not in tables.report(summary)


def test_every_decision_is_listed_by_film_and_counted_by_kind(root):
    put(root, 3, dicom(SCENE, WindowCenter=100, WindowWidth=150, PhotometricInterpretation="MONOCHROME1"))
    put(root, 12, dicom(SCENE // 2, WindowCenter=90, WindowWidth=160))
    summary, notes, ids = built(root)
    of = notes.groupby("image_id")["note"].agg(list)
    assert of[ids["films/f003.png"]] == ["window applied: first of 1, centre 100, width 150", "MONOCHROME1: inverted"]
    assert of[ids["films/f012.png"]] == ["window applied: first of 1, centre 90, width 160"]
    assert len(of) == 2
    report = tables.report(summary)
    assert "  window applied: 2 films\n  MONOCHROME1: 1 film\n" in report
    assert "film_notes.csv" in report
    # a second run finds the films prepared, and the notes with them
    assert built(root)[1].equals(notes)


def test_notes_hold_no_text_from_the_file(root):
    named = {"VOILUTFunction": "DOE_JANE", "PatientName": "DOE^JANE", "PatientID": "4711", "WindowCenter": 100}
    put(root, 3, dicom(SCENE, **named, WindowWidth=150, BurnedInAnnotation="YES"))
    built(root)
    text = (root / "out/cohorts/film_notes.csv").read_text() + (root / "out/cohorts/integrity.json").read_text()
    assert "DOE" not in text
    assert "4711" not in text


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (dicom(SCENE, BurnedInAnnotation="YES"), "burned_in_annotation"),
        (dicom(SCENE, PresentationIntentType="FOR PROCESSING"), "for_processing"),
        (dicom(SCENE, WindowCenter=100, WindowWidth=0), "grey_doubtful"),
        (dicom(SCENE, WindowCenter=100, WindowWidth=99, VOILUTFunction="CUBIC"), "grey_doubtful"),
        (dicom(SCENE, RescaleSlope=0, RescaleIntercept=0), "grey_doubtful"),
        (dicom(SCENE.astype("<u2") | 0xA000, BitsStored=8, HighBit=7), "grey_doubtful"),
        (dicom(SCENE, PixelSpacing=[-1, 0.1]), "value_implausible"),
        ((CASES / "15_jpeg_repaired/jpeg_cut_eoi.jpg").read_bytes(), "film_damaged"),
        ((CASES / "15_jpeg_repaired/jpeg_tail_zeroed.jpg").read_bytes(), "film_damaged"),
    ],
)
def test_a_doubtful_film_is_a_warning_that_names_it(root, content, code):
    put(root, 14, content)  # not malignant: no box
    summary, _, _ = built(root)  # a warning does not stop a study
    (found,) = [f for f in summary.faults if f.code == code]
    assert (found.severity, found.file) == ("warning", "development/films/f014.png")
    assert found.remedy
    # the remedy 'leave it out' works as it is written
    left = tables.check(study(root, integrity={"exclude": ["films/f014.png"]}), root / "data")
    assert code not in {f.code for f in left}


def test_every_warned_note_has_a_code_of_the_table():
    assert {code for code, _ in film.WARNED.values()} <= set(faults.CODES)


def test_a_film_exported_twice_is_found_whatever_its_encoding(root):
    put(root, 0, dicom(SCENE))
    twins = {
        1: dicom(SCENE, RescaleSlope=1, RescaleIntercept=0),
        2: dicom(SCENE.astype("<u2"), BitsStored=8, HighBit=7),
        3: dicom(SCENE.astype("<u2") << 8, BitsStored=8, HighBit=15),
    }
    for number, content in twins.items():
        put(root, number, content)
    (found,) = [f for f in tables.check(study(root), root / "data") if f.code.startswith("duplicate_exact")]
    assert all(f"films/f{number:03d}.png" in found.message for number in (0, *twins))
    excluded = [f"films/f{number:03d}.png" for number in twins]
    assert all(name in found.remedy for name in excluded)
    # the remedy leaves the first film alone
    left = tables.check(study(root, integrity={"exclude": excluded}), root / "data")
    assert not [f.code for f in left if f.code.startswith("duplicate_exact")]


def test_case_films_in_three_channels_pass_the_whole_check(tmp_path):
    """A DICOM of grey in three channels ended the whole check with a BufferError."""
    root = tmp_path / "films"
    shutil.copytree(CASES / "22_rgb_dicom_traceback", root)
    (root / "manifest.csv").write_text("path,label\n63_jpeg_ybr422.dcm,1\n66_palette_inverted_ramp.dcm,0\n")
    (root / "boxes.csv").write_text("path,x_min,y_min,x_max,y_max\n63_jpeg_ybr422.dcm,5,5,30,30\n")
    config = tmp_path / "study.yaml"
    config.write_text(json.dumps({
        "title": "t", "cohorts": {"development": {"reader": "manifest", "root": "films"}},
        "arms": {"a": {"initialise": "random"}, "b": {"initialise": "random"}}, "reference": "a",
    }))  # fmt: skip
    summary, _ = tables._assemble(tables.load_study(config), tmp_path / "data")
    assert "film_unreadable" not in {f.code for f in summary.faults}
    assert len(summary.films) == 2


def test_every_case_film_passes_the_whole_check(root):
    cases = sorted(path for path in CASES.rglob("*") if path.suffix in (".dcm", ".tif", ".jpg"))
    assert len(cases) > 20
    for first in range(0, len(cases), 12):
        for place, path in enumerate(cases[first : first + 12]):
            put(root, place, path.read_bytes())
        codes = {f.code for f in tables.check(study(root), root / "data")}
        assert "film_unreadable" not in codes
