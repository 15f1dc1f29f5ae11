"""Cohort tables: columns, partitions, flow, what notebooks show, and `check`."""

import json
import shutil
import time

import pandas as pd
import pytest
import yaml

from cohorts import layouts
from osteotl.cohorts import tables
from osteotl.cohorts.faults import CohortError
from osteotl.detection.audit import source_and_class
from osteotl.study import load_study, parse_study

ARMS = {"a": {"initialise": "random"}, "b": {"initialise": "random"}}


def study(cohorts, **changes):
    return parse_study({"title": "T", "cohorts": cohorts, "arms": ARMS, "reference": "a", **changes})


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory):
    """A small phantom study with its tables."""
    folder = tmp_path_factory.mktemp("phantoms")
    settings = study({
        "pretrain": {"reader": "phantom-chest", "films": 20, "image_size": 64},
        "development": {"reader": "phantom-knee", "films": 40, "validation": 20, "image_size": 64},
        "external": {"reader": "phantom-knee", "films": 30, "malignant": 11, "site": "B", "seed": 3, "image_size": 64},
    })  # fmt: skip
    return folder, tables.build_cohorts(settings, folder / "out", folder / "data"), settings


def test_files_and_columns_of_the_contract(phantoms):
    folder, _, _ = phantoms
    assert {p.name for p in (folder / "out/cohorts").iterdir()} == {
        "pretrain.csv", "development.csv", "external.csv", "boxes.csv", "film_notes.csv", "integrity.json"}  # fmt: skip
    header = "image_id,patient_id,site,partition,label,path,film,width,height,view,age,sex,subtype,spacing_mm"
    header += ",mean_grey,sd_grey"
    for name in ("pretrain", "development", "external"):
        assert (folder / f"out/cohorts/{name}.csv").read_text().splitlines()[0] == header
    header = (folder / "out/cohorts/boxes.csv").read_text().splitlines()[0]
    assert header == "image_id,x_min,y_min,x_max,y_max,finding,cohort"


def test_numbers_of_films(phantoms):
    folder, summary, _ = phantoms
    external = pd.read_csv(folder / "out/cohorts/external.csv")
    assert (len(external), external["label"].sum()) == (30, 11)
    assert external["partition"].eq("test").all()
    assert summary.counts["cohorts"]["development"]["validation"]["films"] == pytest.approx(20, abs=2)
    films = tables.read_films(folder / "out/cohorts")
    boxes = pd.read_csv(folder / "out/cohorts/boxes.csv", dtype=str)
    assert set(boxes["image_id"]) == set(films.loc[films["label"] == 1, "image_id"])
    assert films["image_id"].str.fullmatch("[0-9a-f]{12}").all()
    assert films["patient_id"].str.fullmatch("[0-9a-f]{12}").all()
    for key in films["film"]:
        assert (folder / f"data/.prepared/{key[:2]}/{key}.png").is_file()


def test_no_patient_in_two_places(phantoms):
    films = tables.read_films(phantoms[0] / "out/cohorts")
    places = films[["patient_id", "cohort", "partition"]].drop_duplicates()
    assert places["patient_id"].is_unique


def test_a_second_build_is_byte_identical(phantoms):
    folder, _, settings = phantoms
    tables.build_cohorts(settings, folder / "again", folder / "data")
    for path in (folder / "out/cohorts").iterdir():
        assert path.read_bytes() == (folder / "again/cohorts" / path.name).read_bytes()


def test_integrity_json(phantoms):
    content = tables.read_integrity(phantoms[0] / "out/cohorts/integrity.json")
    assert content["not_for_sharing"] is True
    assert {"faults", "counts", "flow"} <= set(content)
    flow = tables.flow_table(content)
    for cohort, rows in flow.groupby("cohort"):
        read = rows.loc[rows["step"] == "read", "films"].sum()
        assert read == rows.loc[rows["step"] != "read", "films"].sum(), cohort


def test_no_external_cohort_holds_a_test_partition_out(tmp_path):
    root = layouts.manifest(tmp_path / "films", 24, 24)
    settings = study({"development": {"reader": "manifest", "root": str(root), "validation": 0.3}, "test_share": 0.3})
    tables.build_cohorts(settings, tmp_path / "out", tmp_path / "data")
    external = pd.read_csv(tmp_path / "out/cohorts/external.csv")
    development = pd.read_csv(tmp_path / "out/cohorts/development.csv")
    assert set(external["partition"]) == {"test"}
    assert set(development["partition"]) == {"training", "validation"}
    assert len(external) + len(development) == 48
    assert not set(external["patient_id"]) & set(development["patient_id"])
    boxes = pd.read_csv(tmp_path / "out/cohorts/boxes.csv")
    assert set(boxes.loc[boxes["cohort"] == "external", "image_id"]) == set(
        external.loc[external["label"] == 1, "image_id"]
    )


def test_errors_stop_the_study_with_every_fault_listed(tmp_path):
    root = layouts.manifest(tmp_path / "films", 24, 24)
    (root / "films/f001.png").unlink()
    (root / "films/f002.png").write_bytes(b"")
    with (root / "boxes.csv").open("a") as file:
        file.write("films/f003.png,1,2,300,4,x\nfilms/nobody.png,1,2,3,4,x\n")
    settings = study({"development": {"reader": "manifest", "root": str(root), "validation": 0.3}})
    with pytest.raises(CohortError, match="film_missing") as caught:
        tables.build_cohorts(settings, tmp_path / "out", tmp_path / "data")
    codes = {fault.code for fault in caught.value.faults if fault.severity == "error"}
    assert codes == {"film_missing", "film_unreadable", "box_outside", "unknown_id"}
    assert [path.name for path in (tmp_path / "out/cohorts").iterdir()] == ["integrity.json"]
    with pytest.raises(CohortError):
        tables.build_cohorts(settings, tmp_path / "out2", tmp_path / "data", check_only=True)
    assert not (tmp_path / "out2").exists()


def test_every_message_names_its_file_and_no_absolute_path(tmp_path):
    root = layouts.manifest(tmp_path / "films", 24, 24)
    for name in ("f001", "f030"):
        (root / f"films/{name}.png").unlink()
    (root / "films/f002.png").write_bytes(b"x" * 99)
    listed = tables.check(
        study({"development": {"reader": "manifest", "root": str(root), "validation": 0.3}}), tmp_path
    )
    for fault in listed:
        assert fault.file in fault.message
        assert str(tmp_path) not in json.dumps(fault.as_dict())


def test_too_few_patients(tmp_path):
    root = layouts.manifest(tmp_path / "films", 2, 2)
    settings = study({"development": {"reader": "manifest", "root": str(root), "validation": 4}, "test_share": 0.5})
    assert "too_few_patients" in {fault.code for fault in tables.check(settings, tmp_path)}


@pytest.mark.parametrize(
    ("validation", "external", "missing"),
    [(0.3, True, "validation"), (0.3, False, "validation"), (0.9, True, "training")],
)
def test_a_partition_that_would_be_empty_is_an_error(tmp_path, validation, external, missing):
    """All films of one patient: nobody is left for a partition that the study asks for."""
    root = layouts.manifest(tmp_path / "ours", 8, 8)
    cohorts = {
        "development": {"reader": "manifest", "root": str(root), "validation": validation, "patient_pattern": "(f)"}
    }
    if external:
        other = layouts.manifest(tmp_path / "theirs", 8, 8, seed=100)
        cohorts["external"] = {"reader": "manifest", "root": str(other), "patient_prefix": "B"}
    listed = [f for f in tables.check(study(cohorts), tmp_path) if f.code == "too_few_patients"]
    assert [f.severity for f in listed] == ["error"]
    assert f"1 patient, and none of their films is for {missing}" in listed[0].message


def test_a_stated_partition_without_the_validation_that_is_asked_for(tmp_path):
    root = layouts.manifest(tmp_path / "ours", 8, 8)
    text = (root / "manifest.csv").read_text().splitlines()
    parts = ["partition", *("test" if number % 4 < 2 else "training" for number in range(16))]
    (root / "manifest.csv").write_text("\n".join(f"{line},{part}" for line, part in zip(text, parts, strict=True)))
    ours = {"reader": "manifest", "root": str(root), "validation": 0.3}
    assert "too_few_patients" in {f.code for f in tables.check(study({"development": ours}), tmp_path)}
    assert "too_few_patients" not in {
        f.code for f in tables.check(study({"development": ours | {"validation": 0}}), tmp_path)
    }


def test_no_film_for_thresholds_is_warned_of(tmp_path):
    root = layouts.manifest(tmp_path / "ours", 24, 24)
    listed = tables.check(study({"development": {"reader": "manifest", "root": str(root)}}), tmp_path)
    assert ("warning", "no_validation") in [(f.severity, f.code) for f in listed]


# --- check ------------------------------------------------------------------------------------------------------------


def written(tmp_path, cohorts, **changes):
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump({"title": "T", "cohorts": cohorts, "arms": ARMS, "reference": "a", **changes}))
    return ["--config", str(path), "--data", str(tmp_path / "data")]


def test_check_main_says_0_or_2(tmp_path, capsys):
    root = layouts.manifest(tmp_path / "films", 24, 24)
    arguments = written(tmp_path, {"development": {"reader": "manifest", "root": str(root), "validation": 0.3}})
    assert tables.check_main(arguments) == 0
    assert "development" in capsys.readouterr().out
    (root / "films/f001.png").unlink()
    assert tables.check_main(arguments) == 2
    shown = capsys.readouterr().out
    assert "ERROR  film_missing (1)" in shown
    assert "remedy:" in shown
    assert tables.check_main(["--config", str(tmp_path / "gone.yaml")]) == 2
    assert "gone.yaml" in capsys.readouterr().err
    assert list((tmp_path / "data/.prepared").rglob("*.png"))  # kept for the run that follows
    assert not (tmp_path / "cohorts").exists()


def test_a_check_writes_tables_where_it_is_asked_to_and_says_what_a_run_costs(tmp_path, capsys):
    root = layouts.manifest(tmp_path / "films", 24, 24)
    arguments = written(tmp_path, {"development": {"reader": "manifest", "root": str(root), "validation": 0.3}})
    assert tables.check_main([*arguments, "--out", str(tmp_path / "out")]) == 0
    assert "optimiser steps" in capsys.readouterr().out
    assert {"integrity.json", "development.csv", "boxes.csv"} <= {p.name for p in (tmp_path / "out/cohorts").iterdir()}
    (root / "films/f001.png").unlink()
    assert tables.check_main([*arguments, "--out", str(tmp_path / "other")]) == 2
    assert [p.name for p in (tmp_path / "other/cohorts").iterdir()] == ["integrity.json"]


def test_check_main_on_a_missing_root(tmp_path, capsys):
    arguments = written(
        tmp_path, {"development": {"reader": "coco", "root": str(tmp_path / "gone"), "validation": 0.3}}
    )
    assert tables.check_main(arguments) == 2
    assert "root_missing" in capsys.readouterr().out


def test_the_btxrd_study_passes_on_fixtures_of_its_layout(tmp_path, monkeypatch, capsys, repository):
    layouts.btxrd(tmp_path / "btxrd", repeats=8)
    layouts.vindr(tmp_path / "vindr-cxr")
    monkeypatch.setenv("BTXRD_ROOT", str(tmp_path / "btxrd"))
    monkeypatch.setenv("CHEST_ROOT", str(tmp_path / "vindr-cxr"))
    assert (
        tables.check_main(["--config", str(repository / "studies/btxrd.yaml"), "--data", str(tmp_path / "data")]) == 0
    )
    shown = capsys.readouterr().out
    assert "licence" in shown  # the conflict is told
    settings = load_study(repository / "studies/btxrd.yaml")
    films = tables._assemble(settings, tmp_path / "data")[0].films
    assert set(films.loc[films["cohort"] == "development", "site"]) == {"centre 1"}
    assert set(films.loc[films["cohort"] == "external", "site"]) == {"centre 2", "centre 3"}
    assert (settings.detector.image_size, len(settings.seeds), settings.fractions) == (640, 5, [0.1, 0.25, 0.5, 1.0])


@pytest.fixture
def repository(request):
    return request.config.rootpath


def test_the_real_study_is_what_its_folder_holds(radiographs, monkeypatch, repository, tmp_path):
    monkeypatch.setenv("OSTEOTL_RADIOGRAPHS", str(radiographs))
    manifest = pd.read_csv(radiographs / "MANIFEST.csv")
    summary = tables.build_cohorts(
        load_study(repository / "studies/real_films.yaml"), tmp_path / "out", tmp_path / "data"
    )
    folders = manifest["path"].str.extract(r"^(\w+/\w+)/")[0].value_counts()
    sizes = summary.films["cohort"].value_counts()
    assert sizes["pretrain"] == folders["chest/mass50"] + folders["chest/rsna"]
    assert sizes["development"] + sizes["external"] == folders["bone/osteosarcoma"] + folders["bone/normal_fracatlas"]
    assert "class_source_confounded" in {fault.code for fault in summary.faults}
    knees = summary.films[summary.films["cohort"] != "pretrain"]
    assert (knees.groupby(["cohort", "partition"])["label"].nunique() == 2).all()
    # tumours from one collection, normal films from another: the audit must say so, before anything is trained
    coincidence, alarm = source_and_class(tmp_path / "out")
    assert alarm.raised
    assert coincidence["worst"]["cramers_v"] == pytest.approx(1.0)
    assert [entry["partition"] for entry in coincidence["partitions"]] == ["test", "training"]
    assert "FracAtlas: 0 malignant" in alarm.finding


@pytest.mark.slow
def test_another_folder_of_the_same_layout_with_fewer_films(radiographs, monkeypatch, repository, tmp_path):
    """Half the films and their rows: the study works, or says clearly what is missing."""
    for part in ("chest/mass50", "chest/rsna", "bone/osteosarcoma", "bone/normal_fracatlas"):
        shutil.copytree(radiographs / part, tmp_path / part, copy_function=shutil.copyfile)
    for path in sorted((tmp_path / "bone/normal_fracatlas/images").iterdir())[::2]:
        path.unlink()
    monkeypatch.setenv("OSTEOTL_RADIOGRAPHS", str(tmp_path))
    settings = load_study(repository / "studies/real_films.yaml")
    assert [f.code for f in tables.check(settings, tmp_path / "data") if f.severity == "error"] == []
    next((tmp_path / "chest/rsna/images").iterdir()).unlink()
    assert [f.code for f in tables.check(settings, tmp_path / "data", with_pixels=False) if f.severity == "error"] == [
        "film_missing"
    ]


# --- size -------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_100_000_manifest_rows_are_checked_in_30_seconds(tmp_path):
    """Without pixels: empty files stand for films. Processor time, so that a busy machine does not fail it."""
    rows, boxes = [], []
    for number in range(100_000):
        if number % 1000 == 0:
            (tmp_path / f"films/{number // 1000}").mkdir(parents=True)
        name = f"films/{number // 1000}/f{number:06d}.png"
        (tmp_path / name).touch()
        label = int(number % 3 == 0)
        rows.append([name, label, f"P{number // 3}", "AB"[number % 2], "frontal", 10 + number % 70, "F"])
        if label:
            boxes.append([name, 1, 2, 30, 40, "lesion"])
    layouts.table(tmp_path / "manifest.csv", ["path", "label", "patient_id", "site", "view", "age", "sex"], rows)
    layouts.table(tmp_path / "boxes.csv", ["path", "x_min", "y_min", "x_max", "y_max", "finding"], boxes)
    settings = study({"development": {"reader": "manifest", "root": str(tmp_path), "validation": 0.3}})
    began = time.process_time()
    listed = tables.check(settings, tmp_path / "data", with_pixels=False)
    assert time.process_time() - began < 30
    assert listed == []
