"""Names, birth dates and identifiers planted in DICOM tags, file names and tables reach nothing that is shared."""

import json

import numpy as np
import pandas as pd
import pytest
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from cohorts import layouts
from osteotl.cohorts import tables
from osteotl.cohorts.baseline import trivial_baseline
from osteotl.display import characteristics
from osteotl.study import parse_study

PLANTED = [
    "MUELLER",
    "Johannes",
    "19610517",
    "1961-05-17",
    "PID-884213",
    "ACC-55120",
    "St Elsewhere",
    "DR-HOUSE",
    "SECRETWARD",
]


def dicom(path, seed):
    """A film whose header tells everything about its patient."""
    rng = np.random.default_rng(seed)
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.1"
    meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=[str(seed)])
    film = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    film.PatientName, film.PatientID, film.PatientBirthDate = "MUELLER^Johannes", "PID-884213", "19610517"
    film.AccessionNumber, film.InstitutionName = "ACC-55120", "St Elsewhere"
    film.ReferringPhysicianName, film.StudyDescription, film.StudyDate = "DR-HOUSE", "SECRETWARD", "19610517"
    film.PatientAge, film.PatientSex, film.ViewPosition = "058Y", "M", "AP"
    film.Rows, film.Columns, film.SamplesPerPixel, film.PhotometricInterpretation = 60, 80, 1, "MONOCHROME2"
    film.BitsAllocated, film.BitsStored, film.HighBit, film.PixelRepresentation = 16, 12, 11, 0
    film.PixelData = np.kron(rng.integers(0, 4096, (6, 8)), np.ones((10, 10))).astype("<u2").tobytes()
    film.save_as(path, enforce_file_format=True)


@pytest.fixture(scope="module")
def outputs(tmp_path_factory):
    """A study whose every film, table and file name is full of personal data."""
    root = tmp_path_factory.mktemp("planted") / "films"
    root.mkdir()
    rows, boxes = [], []
    for number in range(32):
        name = f"MUELLER_Johannes_1961-05-17_{number:02d}.dcm"
        dicom(root / name, number)
        label = int(number < 16)
        rows.append(
            [name, label, f"PID-884213-{number // 2}", "AB"[(number // 2) % 2], "Johannes", "19610517", "ACC-55120"]
        )
        boxes += [[name, 5, 5, 30, 30, "osteosarcoma"]] * label
    header = ["path", "label", "patient_id", "site", "physician", "birth_date", "accession"]
    layouts.table(root / "manifest.csv", header, rows)
    layouts.table(root / "boxes.csv", ["path", "x_min", "y_min", "x_max", "y_max", "finding"], boxes)
    study = parse_study({
        "title": "T", "reference": "a", "arms": {"a": {"initialise": "random"}, "b": {"initialise": "random"}},
        "cohorts": {"development": {"reader": "manifest", "root": str(root), "validation": 0.3}},
    })  # fmt: skip
    summary = tables.build_cohorts(study, root.parent / "out", root.parent / "data")
    return root.parent, summary


def holds(text):
    return [word for word in PLANTED if word.lower() in text.lower()]


def test_what_is_shared_holds_none_of_it(outputs):
    folder, summary = outputs
    films = tables.read_films(folder / "out/cohorts")
    content = tables.read_integrity(folder / "out/cohorts/integrity.json")
    baseline = trivial_baseline(films[films["partition"] == "training"], films[films["partition"] == "test"])
    shared = {
        "boxes": (folder / "out/cohorts/boxes.csv").read_text(),
        "characteristics": "".join(str(characteristics(films, unit).__html__()) for unit in ("film", "patient")),
        "flow": tables.flow_table(content).to_csv(),
        "counts": json.dumps(content["counts"]),
        "baseline": baseline.scores.to_csv(),
        # what 03 copies into predictions.csv and the report
        "identifiers": films.drop(columns="path").to_csv(),
    }
    assert {name: holds(text) for name, text in shared.items()} == {name: [] for name in shared}
    assert summary.films["age"].eq(58).all()  # what is on the short list is kept


def test_cohort_tables_hold_file_names_and_nothing_more(outputs):
    films = pd.read_csv(outputs[0] / "out/cohorts/development.csv", dtype=str)
    assert set(holds(films.to_csv())) <= set(holds(films["path"].str.cat()))
    assert not films["path"].str.startswith("/").any()
    assert {"PID-884213", "ACC-55120", "St Elsewhere", "DR-HOUSE", "SECRETWARD"}.isdisjoint(holds(films.to_csv()))


def test_integrity_is_marked_and_warns_of_names_and_dates(outputs):
    text = (outputs[0] / "out/cohorts/integrity.json").read_text()
    content = json.loads(text)
    assert content["not_for_sharing"] is True
    assert {"name_in_filename", "date_in_filename"} <= set(content["counts"]["by_code"])
    assert str(outputs[0]) not in text
    assert {"PID-884213", "ACC-55120", "St Elsewhere", "DR-HOUSE", "SECRETWARD"}.isdisjoint(holds(text))


def test_prepared_films_carry_no_header(outputs):
    for path in (outputs[0] / "data/.prepared").rglob("*.png"):
        assert not holds(path.read_bytes().decode("latin-1"))
