"""Readers on the real films of OSTEOTL_RADIOGRAPHS; what is expected comes from that folder's MANIFEST.csv."""

from pathlib import Path

import pandas as pd
import pytest

from cohorts import layouts


@pytest.fixture(scope="module")
def listed(radiographs) -> tuple[Path, pd.DataFrame]:
    """The folder and its list of films."""
    return radiographs, pd.read_csv(radiographs / "MANIFEST.csv", dtype={"patient": str})


CASES = [
    ("yolo", "chest/mass50", {"patient_pattern": r"^(\d{8})"}),
    ("coco", "chest/mass50", {"patient_pattern": r"^(\d{8})", "images": "images"}),
    ("rsna", "chest/rsna", {"patients": "rsna_to_nih.csv"}),
    ("nih", "chest/nih", {}),
    ("labelme", "bone/osteosarcoma", {"table": "cases.csv"}),
    ("yolo", "bone/osteosarcoma", {"patient_pattern": r"^osu_(\d+)"}),
    ("yolo", "bone/graz_wrist", {}),
    ("yolo", "bone/normal_fracatlas", {"label": 0}),
    ("yolo", "bone/normal_knee_gornale", {"label": 0}),
]


@pytest.mark.parametrize(
    ("reader", "folder", "settings"), CASES, ids=[f"{reader}-{folder}" for reader, folder, _ in CASES]
)
def test_films_and_boxes_are_those_of_the_manifest(listed, reader, folder, settings):
    root, manifest = listed
    expected = manifest[manifest["path"].str.startswith(f"{folder}/")]
    cohort = layouts.read(reader, root / folder, **settings)
    boxes = cohort.boxes.groupby("image_id").size()
    found = {
        Path(film["path"]).relative_to(root).as_posix(): (int(boxes.get(film["image_id"], 0)), film["label"])
        for film in cohort.films.to_dict("records")
    }
    assert found == {path: (n, int(n > 0)) for path, n in zip(expected["path"], expected["n_boxes"], strict=True)}
    # a folder with fewer films may keep the whole annotation table: only films that the manifest lacks may be missed
    errors = [fault for fault in cohort.faults if fault.severity == "error"]
    assert {fault.code for fault in errors} <= {"film_missing"} or expected.empty
    listed_stems = {Path(path).stem for path in expected["path"]}
    assert not [fault.file for fault in errors if Path(fault.file).stem in listed_stems]


def test_osteosarcoma_views_and_cases(listed):
    root, _ = listed
    cases = pd.read_csv(root / "bone/osteosarcoma/cases.csv", dtype=str).set_index("image")
    films = layouts.read("labelme", root / "bone/osteosarcoma", table="cases.csv").films
    for film in films.to_dict("records"):
        row = cases.loc[Path(film["path"]).name]
        assert (film["patient_id"], film["view"]) == (row["case"], row["view"])
        assert (film["annotated_width"], film["annotated_height"]) == (int(row["w"]), int(row["h"]))


def test_both_formats_of_one_set_agree(listed):
    root, _ = listed
    yolo = layouts.read("yolo", root / "chest/mass50")
    coco = layouts.read("coco", root / "chest/mass50", images="images")
    stems = {name: Path(name).name for name in yolo.films["image_id"]}
    for long, short in stems.items():
        scaled = [tuple(v * 1024 for v in box) for box in layouts.corners(yolo, long)]
        for ours, theirs in zip(scaled, layouts.corners(coco, short), strict=True):
            assert ours == pytest.approx(theirs, abs=0.6)  # corners() rounds to .001 of the film: half a pixel


def test_rsna_patients_are_those_of_nih(listed):
    root, _ = listed
    pairs = pd.read_csv(root / "chest/rsna/rsna_to_nih.csv").set_index("patientId")["nih_image_index"].str[:8]
    films = layouts.read("rsna", root / "chest/rsna", patients="rsna_to_nih.csv").films
    assert len(films)
    assert films.set_index("image_id")["patient_id"].to_dict() == pairs.loc[films["image_id"]].to_dict()
