"""Every kind of fault is found, with the severity of the written table, and nothing is found in a sound cohort."""

import shutil

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy.sparse.csgraph import connected_components

from cohorts import layouts
from osteotl.cohorts import faults, integrity, tables
from osteotl.cohorts.boxes import native_boxes
from osteotl.study import parse_study


def study(root, external=None, **changes):
    """A study on manifests: development in `root`, external where given."""
    cohorts = {"development": {"reader": "manifest", "root": str(root), "validation": 0.3}}
    if external is not None:
        cohorts["external"] = {"reader": "manifest", "root": str(external)}
    return parse_study({
        "title": "T", "cohorts": cohorts, "arms": {"a": {"initialise": "random"}, "b": {"initialise": "random"}},
        "reference": "a", **changes,
    })  # fmt: skip


def found(root, external=None, **changes):
    """Faults of a check, as {code: [files]}."""
    listed = [f for f in tables.check(study(root, external, **changes), root / "data") if f.severity != "note"]
    return {code: [f.file for f in listed if f.code == code] for code in {f.code for f in listed}}


@pytest.fixture
def sound(tmp_path):
    """A development cohort (20 + 20 films) and an external one, without a fault but the size of the validation set."""
    return (
        layouts.manifest(tmp_path / "development", 20, 20),
        renamed(layouts.manifest(tmp_path / "external", 8, 8, seed=500), ",P", ",Q"),
    )


def renamed(root, old, new):
    for name in ("manifest.csv", "boxes.csv"):
        path = root / name
        path.write_text(path.read_text().replace(old, new))
    return root


def edit(root, old, new, name="manifest.csv"):
    path = root / name
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_a_sound_study_has_no_fault(sound):
    assert set(found(*sound)) == {"few_malignant"}


def test_a_check_keeps_what_it_prepared_and_writes_nothing_else(sound):
    root = sound[0].parent
    before = sorted(path for path in root.rglob("*"))
    found(*sound)
    kept = [path for path in root.rglob("*") if sound[0] / "data" not in (path, *path.parents)]
    assert sorted(kept) == before
    assert len(list((sound[0] / "data/.prepared").rglob("*.png"))) == 40 + 16  # one a film


# --- films ------------------------------------------------------------------------------------------------------------


def test_truncated_film(sound):
    path = sound[0] / "films/f003.png"
    path.write_bytes(path.read_bytes()[:-200])
    assert found(*sound)["film_unreadable"] == ["development/films/f003.png"]


def test_truncated_film_excluded_by_name_is_counted(sound):
    path = sound[0] / "films/f003.png"
    path.write_bytes(path.read_bytes()[:-200])
    summary = tables.build_cohorts(
        study(*sound, integrity={"exclude": ["f003.png"]}), sound[0] / "out", sound[0] / "data"
    )
    assert not faults.errors(summary.faults)
    left = [step for step in summary.flow if step["step"] == "left out"]
    assert left == [{"cohort": "development", "step": "left out", "films": 1, "patients": 1,
                     "reason": "excluded by name (integrity.exclude)"},
                    {"cohort": "external", "step": "left out", "films": 1, "patients": 1,
                     "reason": "excluded by name (integrity.exclude)"}]  # fmt: skip


def test_exclude_that_names_no_film(sound):
    assert found(*sound, integrity={"exclude": ["f999.png"]})["exclude_unknown"] == ["f999.png"]


def test_exclude_by_folder_reaches_one_cohort(sound):
    path = sound[0] / "films/f003.png"
    path.write_bytes(b"")
    chosen = study(*sound, integrity={"exclude": ["development/films/f003.png"]})
    summary = tables._assemble(chosen, sound[0].parent / "data")[0]
    assert [(s["cohort"], s["films"]) for s in summary.flow if s["step"] == "left out"] == [("development", 1)]


@pytest.mark.parametrize(("grey", "code"), [(7, "film_constant"), (0, "film_constant")])
def test_constant_film(sound, grey, code):
    Image.fromarray(np.full((100, 120), grey, np.uint8)).save(sound[0] / "films/f004.png")
    assert found(*sound)[code] == ["development/films/f004.png"]


def test_saturated_film(sound):
    pixels = np.zeros((100, 120), np.uint8)
    pixels[:5] = 200
    Image.fromarray(pixels).save(sound[0] / "films/f004.png")
    assert found(*sound)["film_saturated"] == ["development/films/f004.png"]


# --- duplicates and patients ------------------------------------------------------------------------------------------


def test_the_same_bytes_in_two_cohorts(sound):
    shutil.copy(sound[0] / "films/f001.png", sound[1] / "films/f002.png")
    assert found(*sound)["duplicate_exact_across"] == ["external/films/f002.png"]


def test_the_same_pixels_with_other_bytes(sound):
    Image.open(sound[0] / "films/f001.png").save(sound[1] / "films/f002.png", compress_level=0)
    listed = tables.check(study(*sound), sound[0])
    assert "holds the same pixels as development/films/f001.png" in next(
        f.message for f in listed if f.code == "duplicate_exact_across")  # fmt: skip


def test_a_film_twice_in_one_cohort_joins_its_patients(sound):
    shutil.copy(sound[0] / "films/f000.png", sound[0] / "films/f004.png")  # patients P000m and P002m
    summary = tables._assemble(study(*sound), sound[0].parent / "data")[0]
    assert "duplicate_exact" in {f.code for f in summary.faults}
    twins = summary.films[
        (summary.films["cohort"] == "development") & summary.films["path"].isin(["films/f000.png", "films/f004.png"])
    ]
    assert len(set(twins["patient_id"])) == 1
    assert len(set(twins["partition"])) == 1


def test_a_film_twice_with_two_labels(sound):
    shutil.copy(sound[0] / "films/f000.png", sound[0] / "films/f030.png")
    assert found(*sound)["duplicate_label_conflict"] == ["development/films/f030.png"]


@pytest.mark.parametrize(
    "copy",
    [
        lambda film: film.resize((60, 50), Image.Resampling.LANCZOS).resize((120, 100)),
        lambda film: film.point(lambda grey: grey * 0.8 + 20),
    ],
)
def test_near_duplicate_across_cohorts(sound, copy):
    copy(Image.open(sound[0] / "films/f001.png")).save(sound[1] / "films/f002.png")
    listed = found(*sound)
    assert listed["near_duplicate_across"] == ["external/films/f002.png"]
    assert "duplicate_exact_across" not in listed


def test_views_of_one_patient_may_look_alike(sound):
    film = Image.open(sound[0] / "films/f000.png")  # f000 and f001 are of patient P000m
    film.point(lambda grey: grey * 0.8 + 20).save(sound[0] / "films/f001.png")
    assert not {code for code in found(*sound) if "duplicate" in code}


def test_patient_in_two_cohorts(sound):
    edit(sound[1], "Q000m", "P000m")
    assert found(*sound)["patient_in_two_cohorts"] == ["external/films/f000.png"]


def test_the_same_folder_read_twice(sound):
    assert len(found(sound[0], sound[0])["film_in_two_cohorts"]) == 40


def test_a_stated_partition_that_splits_a_patient(sound):
    path = sound[0] / "manifest.csv"
    table = pd.read_csv(path)
    table["partition"] = ["training", "validation"] * 20
    table.to_csv(path, index=False)
    assert len(found(*sound)["patient_in_two_partitions"]) == 20


def test_a_stated_partition_is_kept(sound):
    path = sound[0] / "manifest.csv"
    table = pd.read_csv(path)
    table["partition"] = np.where(table["patient_id"].str[1:3].astype(int) % 4 == 0, "val", "train")
    table.to_csv(path, index=False)
    films = tables._assemble(study(*sound), sound[0].parent / "data")[0].films
    ours = (
        films[films["cohort"] == "development"]
        .set_index("path")["partition"]
        .replace({"validation": "val", "training": "train"})
    )
    assert ours.to_dict() == table.set_index("path")["partition"].to_dict()


# --- classes ----------------------------------------------------------------------------------------------------------


def test_one_class(tmp_path):
    root = layouts.manifest(tmp_path / "development", 0, 20)
    assert "one_class" in found(root)


def test_class_and_source_go_together(sound):
    path = sound[0] / "manifest.csv"
    table = pd.read_csv(path)
    table["site"] = np.where(table["label"] == 1, "A", "B")
    table.to_csv(path, index=False)
    listed = tables.check(study(*sound), sound[0])
    message = next(f.message for f in listed if f.code == "class_source_confounded")
    assert "A: 20 malignant, 0 not; B: 0 malignant, 20 not" in message


def test_films_without_a_suffix_are_of_one_file_type(sound):
    """PACS exports name films 1.2.840.1234: what follows the last point is no type, so nothing is confounded by it."""
    for number, path in enumerate(sorted((sound[0] / "films").iterdir())):
        path.rename(path.with_name(f"1.2.840.{number}"))
        for name in ("manifest.csv", "boxes.csv"):
            table = sound[0] / name
            table.write_text(table.read_text().replace(f"films/{path.name}", f"films/1.2.840.{number}"))
    assert set(found(*sound)) == {"few_malignant"}


def test_labels_and_boxes_that_contradict(sound):
    edit(sound[0], "films/f000.png", "films/f039.png", "boxes.csv")
    listed = found(*sound)
    assert listed["malignant_without_box"] == ["development/films/f000.png"]
    assert listed["normal_with_box"] == ["development/films/f039.png"]


def test_an_external_cohort_without_boxes_is_only_warned_of(sound):
    (sound[1] / "boxes.csv").unlink()
    listed = tables.check(study(*sound), sound[0])
    assert [f.severity for f in listed if f.code == "boxes_absent"] == ["warning"]
    assert not faults.errors(listed)


@pytest.mark.parametrize(
    ("name", "code"),
    [("films/Hans_f005.png", "name_in_filename"), ("films/1987-03-21_5.png", "date_in_filename"),
     ("films/scan 21.03.1987.png", "date_in_filename"), ("Mueller/f005.png", "name_in_filename")],
)  # fmt: skip
def test_telling_file_names(sound, name, code):
    (sound[0] / name).parent.mkdir(exist_ok=True)
    (sound[0] / "films/f005.png").rename(sound[0] / name)
    for table in ("manifest.csv", "boxes.csv"):
        edit(sound[0], "films/f005.png", name, table)
    assert found(*sound)[code] == [f"development/{name}"]


def test_a_uuid_is_no_date():
    films = pd.DataFrame({"path": ["/r/19370915-6723-41fe-be09-29defbd9b7c1.jpg"], "root": ["/r"]})
    assert integrity.file_names(films) == []


# --- boxes ------------------------------------------------------------------------------------------------------------


def boxes(*rows, width=100, height=80, annotated=None, written_as="corners"):
    """Faults and boxes of one film of 100 x 80."""
    stated = dict(zip(["annotated_width", "annotated_height", "annotated_as"], annotated or [None] * 3, strict=True))
    film = {"image_id": "f", "path": "/r/f.png", "root": "/r", "label": 1, "width": width, "height": height, **stated}
    frame = pd.DataFrame(
        [("f", *row, "x") for row in rows], columns=["image_id", "x_min", "y_min", "x_max", "y_max", "finding"]
    )
    kept, listed = native_boxes(pd.DataFrame([film]), frame.assign(written_as=written_as))
    return kept[["x_min", "y_min", "x_max", "y_max"]].to_numpy().tolist(), [f.code for f in listed]


@pytest.mark.parametrize(
    ("box", "code"),
    [
        ((10, 10, 30, 30), None),
        ((10, 10, 130, 30), "box_outside"),
        ((-5, 10, 30, 30), "box_outside"),
        ((10, 10, 101, 30), "box_edge"),
        ((30, 10, 30, 40), "box_empty"),
        ((95, 10, 90, 40), "box_inverted"),
        ((float("nan"), 10, 90, 40), "box_invalid"),
        ((float("inf"), 10, 90, 40), "box_invalid"),
        ((50, 40, 30, 20), "box_mixup"),  # x 50, y 40, width 30, height 20 fits; as corners it is inverted
        ((40, 30, 100, 75), None),
        ((40, 30, 110, 75), "box_outside"),  # as widths (40, 30, 70, 45) would be corners, but corners were read
        ((0, 0, 100, 80), "box_whole_film"),
        ((0.1, 0.25, 0.5, 0.6), "box_units"),
        ((-0.9, -0.75, 0.5, 0.6), "box_units"),  # as reader voc leaves it
    ],
)
def test_one_box(box, code):
    assert boxes(box)[1] == ([] if code is None else [code])


def test_edges_are_cut_and_faulty_boxes_left_out():
    assert boxes((-1, 10, 101, 30), (10, 10, 300, 30))[0] == [[0, 10, 100, 30]]


def test_the_same_box_twice():
    assert boxes((1, 2, 30, 40), (1, 2, 30, 40))[1] == ["box_duplicate"]


def test_scaled_annotation():
    # annotated in 200 x 80, film of 100 x 80: x halves, y stays
    assert boxes((20, 10, 60, 30), annotated=(200, 80, "scaled")) == ([[10, 10, 30, 30]], [])


def test_normalised_annotation():
    assert boxes((0.1, 0.25, 0.5, 0.5), annotated=(1, 1, "scaled"))[0] == [[10, 20, 50, 40]]


def test_pixels_where_shares_are_read():
    # centre 40, 30 and size 20, 10 in pixels, written into a YOLO file
    assert boxes((30, 25, 50, 35), annotated=(1, 1, "scaled")) == ([], ["box_units"])
    assert boxes((0.9, 0.5, 1.2, 0.6), annotated=(1, 1, "scaled"))[1] == ["box_outside"]
    assert boxes((0, 0, 0.01, 0.0125), annotated=(1, 1, "scaled"))[1] == []  # one pixel, in shares as it should be


def test_annotation_of_another_size():
    assert boxes((1, 2, 30, 40), annotated=(640, 480, "native"))[1] == ["size_mismatch"]
    assert boxes((1, 2, 30, 40), annotated=(100, 80, "native"))[1] == []


# --- the table of severities ------------------------------------------------------------------------------------------


def test_severities_can_be_overridden_by_name(sound):
    path = sound[0] / "films/f003.png"
    path.write_bytes(b"")
    lenient = {"severity": {"film_unreadable": "warning", "few_malignant": "ignore", "column_unused": "ignore"}}
    listed = tables.check(study(*sound, integrity=lenient), sound[0])
    assert [(f.severity, f.code) for f in listed] == [("warning", "film_unreadable")]


def test_a_severity_of_no_code_is_an_error(sound):
    assert "severity_unknown" in found(*sound, integrity={"severity": {"film_unreadible": "warning"}})


def test_listing_groups_counts_and_names_remedies():
    listed = [faults.fault("film_missing", f"r/f{k}.png", "is not there", "add it") for k in range(30)]
    text = faults.listing([*listed, faults.fault("box_edge", "r/g.png", "was cut", "nothing")], limit=3)
    assert text.splitlines()[0] == "30 errors, 1 warning"
    assert "ERROR  film_missing (30)" in text
    assert "... and 27 more" in text
    assert text.count("remedy: add it") == 1


def test_listing_cuts_no_word_and_counts_rows_in_order():
    """A folder 'dev' is no part of the word 'development'; row 2 comes before row 10."""
    listed = [faults.fault("one_class", "dev", f"development: all {n} films", "add some") for n in (10, 2)]
    text = faults.listing(faults.judge(listed, {}))
    assert [line.split(": ")[-1] for line in text.splitlines() if line.startswith("  dev")] == [
        "all 2 films",
        "all 10 films",
    ]
    assert text.count("  dev  development: all") == 2
    assert listed[0].message == "dev: development: all 10 films"


def test_each_remedy_stands_below_its_files():
    listed = [
        faults.fault("film_unreadable", "r/a.png", "empty file", "copy it"),
        faults.fault("film_unreadable", "r/b.tif", "2 frames", "one film per file"),
        faults.fault("film_unreadable", "r/c.png", "empty file", "copy it"),
    ]
    lines = faults.listing(faults.judge(listed, {})).splitlines()[-5:]
    assert [line.split()[0] for line in lines] == ["r/a.png", "r/c.png", "remedy:", "r/b.tif", "remedy:"]


def test_a_severity_that_is_misspelt_is_told_what_it_may_have_meant():
    (fault,) = faults.judge([], {"near_dup": "error"})
    assert "near_duplicate" in fault.remedy


def test_control_characters_never_reach_the_terminal():
    assert "\x1b" not in str(faults.fault("film_missing", "r/\x1b[2Jx.png", "\x1b]0;x\x07 gone", "add"))


@pytest.mark.parametrize("distance", [0, 3, 7])
def test_groups_of_look_alikes_miss_none(distance):
    """Against the connected components of every pair, one by one."""
    rng = np.random.default_rng(5)
    base = rng.integers(0, 2**63, 60, dtype=np.uint64)
    flips = [
        np.uint64(sum(1 << int(bit) for bit in rng.choice(64, int(rng.integers(0, 9)), replace=False))) for _ in base
    ]
    hashes = np.concatenate([base, base ^ np.array(flips)])
    near = [[int(one ^ two).bit_count() <= distance for two in hashes] for one in hashes]
    _, member = connected_components(np.array(near))
    brute = [np.flatnonzero(member == group).tolist() for group in range(member.max() + 1)]
    assert integrity.alike_groups(hashes, distance=distance) == sorted(group for group in brute if len(group) > 1)
