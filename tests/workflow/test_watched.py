"""Tables and annotations that lie outside a cohort's folder are watched as those in it."""

import shutil

import pytest
import yaml

from cohorts import layouts
from osteotl.cohorts.readers import read_cohort
from osteotl.files import write_json
from osteotl.study import FileCohort
from osteotl.workflow.states import StudyState, unchanged

READERS = ("btxrd", "coco", "labelme", "manifest", "nih", "rsna", "tbx11k", "vindr", "voc", "yolo")


def moved_out(root, outside):
    """A manifest whose tables lie beside its folder; keys of study.yaml."""
    outside.mkdir()
    layouts.table(root / "map.csv", ["image_id", "patient_id"], [[f"f{k:03d}", f"P{k // 2}"] for k in range(14)])
    for name in ("manifest.csv", "boxes.csv", "map.csv"):
        shutil.move(root / name, outside / name)
    return {"table": f"../{outside.name}/manifest.csv", "annotations": str(outside / "boxes.csv"),
            "patients": f"../{outside.name}/map.csv"}  # fmt: skip


@pytest.fixture
def study(tmp_path):
    """A study on a manifest with its tables elsewhere, whose step 00 is done."""
    root, outside = layouts.manifest(tmp_path / "films"), tmp_path / "tables"
    content = {
        "title": "T", "reference": "a", "arms": {"a": {"initialise": "random"}, "b": {"initialise": "random"}},
        "cohorts": {"development": {"reader": "concat", "parts": [
            {"reader": "manifest", "root": str(root), **moved_out(root, outside)}]}},
    }  # fmt: skip
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(content))
    whole = open_study(tmp_path)
    step = whole.steps["00_cohorts"]
    write_json(whole.record_path(step), whole.now(step))
    whole.remember({"all": True})
    assert changes(tmp_path) == []
    return tmp_path


def open_study(folder):
    return StudyState(folder / "study.yaml", folder / "outputs")


def changes(folder):
    """Why step 00 does not hold, apart from what it has not written here."""
    whole = open_study(folder)
    return [reason for reason in whole.reasons(whole.steps["00_cohorts"]) if "is missing" not in reason]


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("boxes.csv", lambda path: path.write_text(path.read_text().replace(",10,", ",11,", 1))),
        ("manifest.csv", lambda path: path.write_text("\n".join(path.read_text().splitlines()[:-1]))),
        ("map.csv", lambda path: path.write_text(path.read_text().replace("P1", "P2", 1))),
        ("boxes.csv", lambda path: path.unlink()),
        ("manifest.csv", lambda path: path.unlink()),
    ],
)
def test_a_table_outside_the_folder_that_changes_makes_step_00_run_again(study, name, change):
    change(study / "tables" / name)
    (reason,) = changes(study)
    assert name in reason
    assert not unchanged(study / "outputs", {"all": True})


def test_other_files_beside_an_outside_table_play_no_part(study):
    (study / "tables/notes.txt").write_text("x")
    assert changes(study) == []
    assert unchanged(study / "outputs", {"all": True})


@pytest.mark.parametrize("reader", READERS)
def test_a_reader_opens_nothing_that_is_not_watched(tmp_path, reader):
    root = getattr(layouts, reader)(tmp_path / "films")
    named = {}
    if reader == "manifest":
        named = moved_out(root, tmp_path / "tables")
    elif reader in ("labelme", "voc"):
        folder = "annotations" if reader == "labelme" else "Annotations"
        shutil.move(root / folder, tmp_path / "elsewhere")
        named = {"annotations": "../elsewhere"}
    spec = FileCohort(reader=reader, root=root, **named)
    opened = read_cohort(spec, tmp_path / "data").opened
    assert opened
    watched = [place.resolve() for place in spec.inputs]
    assert all(any(path.resolve().is_relative_to(place) for place in watched) for path in opened)
    outside = [path for path in opened if not path.resolve().is_relative_to(root.resolve())]
    assert bool(outside) == bool(named)
