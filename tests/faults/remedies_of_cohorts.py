"""Remedies of cohorts as a whole: patients, partitions, splits, classes and sources."""

from __future__ import annotations

import re

import pandas as pd

from cohorts import layouts
from faults.remedies import Read, case, snippet, with_external
from faults.remedies_of_tables import MANIFEST


def own_severity(place, *codes):
    """The codes as the written table has them."""
    for code in codes:
        place.integrity["severity"] = {k: v for k, v in place.integrity["severity"].items() if k != code}


def table_of(place, **columns):
    """The manifest with other columns."""
    table = pd.read_csv(place.root / "manifest.csv", keep_default_na=False)
    table.assign(**columns).to_csv(place.root / "manifest.csv", index=False)


# --- patients ---------------------------------------------------------------------------------------------------------


@case("patient_unknown", "patient_pattern` (a pattern on the file name)", ("column",), ("map",), ("pattern",))
def films_of_nobody(place, how):
    root = place.layout("manifest")
    patients = pd.read_csv(root / "manifest.csv")["patient_id"].tolist()
    table = pd.read_csv(root / "manifest.csv", keep_default_na=False).drop(columns="patient_id")
    table.to_csv(root / "manifest.csv", index=False)
    yield
    if how == "column":
        table.assign(patient_id=patients).to_csv(root / "manifest.csv", index=False)
    elif how == "map":
        pd.DataFrame({"path": table["path"], "patient_id": patients}).to_csv(root / "patients.csv", index=False)
        place.settings["patients"] = "patients.csv"
    else:
        place.settings["patient_pattern"] = "f(\\d\\d)"  # films 000 to 009 are one patient, 010 to 013 another
    films, _ = yield MANIFEST
    assert films["patient_id"].nunique() == (2 if how == "pattern" else 7)


@case("patient_derived", "give `patients` (a map file) if you know them", ("nothing",), ("map",), ("part",))
def patients_of_btxrd(place, how):
    root = place.layout("btxrd")
    found = yield
    assert "for 13 films" in found.message
    known = range(1, 14 if how == "map" else 4)
    rows = [[f"IMG{number:06d}.jpeg", f"P{number}"] for number in known]
    layouts.table(root / "patients.csv", ["image_id", "patient_id"], rows)
    if how != "nothing":
        place.settings["patients"] = "patients.csv"
    films, _ = yield Read(13, 7, 7, stays=how != "map", also=("patient_unmapped",) if how == "part" else ())
    if how == "map":
        assert films["patient_id"].nunique() == 13


@case(
    "patient_unmatched",
    "complete the map or the pattern, or name the film under integrity.exclude",
    ("pattern",),
    ("exclude",),
)
def a_pattern_that_misses_a_film(place, how):
    root = place.layout("manifest", patient_pattern=r"f(\d\d)\d")
    (root / "films/f013.png").rename(root / "films/x013.png")
    place.edit("f013.png", "x013.png")
    yield
    if how == "pattern":
        place.settings["patient_pattern"] = r"[fx](\d\d)\d"
        yield MANIFEST
    else:
        place.integrity["exclude"] = ["knees/films/x013.png"]
        yield Read(13, 6, 6)


@case(
    "patient_unmapped",
    "complete the map or the pattern, or name the film under integrity.exclude",
    ("map",),
    ("exclude",),
)
def a_map_that_misses_a_film(place, how):
    root = place.layout("coco", patients="patients.csv")
    layouts.table(root / "patients.csv", ["image_id", "patient_id"], [["a", "P1"], ["b", "P2"]])
    yield
    if how == "map":
        layouts.table(root / "patients.csv", ["image_id", "patient_id"], [["a", "P1"], ["b", "P2"], ["c", "P1"]])
    else:
        place.integrity["exclude"] = ["knees/images/c.png"]
    films, _ = yield Read(3, 2, 3) if how == "map" else Read(2, 2, 3)
    assert films["patient_id"].nunique() == 2


@case("patient_spelling", "if they are one, spell them alike in the table; if not, nothing", ("alike",), ("nothing",))
def one_patient_in_two_spellings(place, how):
    place.layout("manifest")
    patients = ["12", "0012", *[f"P{k // 2}" for k in range(2, 14)]]
    table_of(place, patient_id=patients)
    yield
    if how == "alike":
        table_of(place, patient_id=["0012", "0012", *patients[2:]])
    films, _ = yield Read(14, 6, 6, stays=how == "nothing")
    assert films["patient_id"].nunique() == (7 if how == "alike" else 8)


@case("patient_spelling", "take them out of the table as well")
def an_invisible_character_in_a_patient(place):
    place.layout("manifest")
    place.edit(",P000m", ",P000m\u200b")
    yield
    place.edit("P000m\u200b", "P000m")
    films, _ = yield MANIFEST
    assert films["patient_id"].nunique() == 7


def joined(place, **settings):
    """Two folders as one cohort; both number their patients alike."""
    place.layout("manifest")
    other = layouts.manifest(place.folder / "more", 2, 4, seed=50)
    (other / "manifest.csv").write_text((other / "manifest.csv").read_text().replace("P002n", "P000m"))
    part = {"reader": "manifest", "root": str(other), **settings}
    place.cohorts["development"] = {"reader": "concat", "parts": [place.settings, part]}
    return part


@case("patient_in_two_parts", "if they are not, give one part a `patient_prefix`")
def two_folders_that_number_alike(place):
    part = joined(place)
    yield
    part["patient_prefix"] = "more-"
    films, _ = yield Read(20, 8, 8)
    assert films["patient_id"].nunique() == 7 + 2  # P000m and P001n of the second folder


@case("patient_in_two_cohorts", "keep a patient's films together", ("together",), ("prefix",))
def a_patient_in_two_cohorts(place, how):
    other = with_external(place)
    path = other / "manifest.csv"
    path.write_text(path.read_text().replace("Q001n", "P006n"))
    yield
    if how == "prefix":
        place.cohorts["external"]["patient_prefix"] = "ext-"
        yield Read(18, 8, 8)
    else:
        place.settings["where"] = "patient_id != 'P006n'"
        yield Read(16, 8, 8)


@case("patient_in_two_partitions", "keep a patient's films together")
def a_patient_in_two_partitions(place):
    with_external(place)
    table_of(place, partition=["training", "validation"] * 7)
    yield
    table_of(place, partition=[["training", "validation"][k // 2 % 2] for k in range(14)])
    films, _ = yield Read(18, 8, 8)
    assert (films["partition"] == "validation").sum() == 6


@case("film_in_two_cohorts", "give each cohort a `where` of its own")
def a_folder_read_twice(place):
    place.layout("manifest")
    place.cohorts["external"] = {**place.settings}
    yield
    place.settings["where"] = "site == 'A'"
    place.cohorts["external"]["where"] = "site == 'B'"
    yield MANIFEST


# --- partitions and classes -------------------------------------------------------------------------------------------


@case("one_class", "reader concat joins two folders")
def malignant_films_alone(place):
    own_severity(place, "one_class")
    layouts.manifest(place.root, 12, 0)
    other = layouts.manifest(place.folder / "normal", 0, 12, seed=50)
    yield
    (other / "boxes.csv").unlink()
    part = {"reader": "manifest", "root": str(other)}
    place.cohorts["development"] = {"reader": "concat", "parts": [place.settings, part]}
    yield Read(24, 12, 12)


@case("one_class", "pretraining needs boxes")
def pretraining_without_boxes(place):
    own_severity(place, "one_class")
    place.layout("manifest")
    other = layouts.coco(place.folder / "chest")
    text = (other / "annotations.json").read_text()
    (other / "annotations.json").write_text(re.sub(r'"annotations": \[.*?\}\]', '"annotations": []', text))
    layouts.film(other / "images/a.png", seed=70)
    for seed, name in enumerate("abc"):
        layouts.film(other / f"images/{name}.png", seed=70 + seed)
    place.cohorts["pretrain"] = {"reader": "coco", "root": str(other)}
    place.integrity["severity"] = {**place.integrity["severity"], "patient_unknown": "ignore"}
    yield
    (other / "annotations.json").write_text(text)
    yield Read(17, 8, 9)


@case("few_malignant", "hold more for validation")
def a_small_validation_set(place):
    own_severity(place, "few_malignant")
    with_external(place)
    layouts.manifest(place.root, 64, 16)
    place.settings["validation"] = 20
    yield
    place.settings["validation"] = 76  # of 80 films; 32 malignant patients of two films each
    films, _ = yield Read(84, 66, 66)
    held = films[films["partition"] == "validation"]
    assert held.loc[held["label"] == 1, "patient_id"].nunique() >= 29


@case("no_validation", "set cohorts.development.validation, such as 0.3")
def no_validation_set(place):
    own_severity(place, "no_validation")
    layouts.manifest(place.root, 24, 24)
    found = yield
    place.settings["validation"] = float(re.search(r"such as ([\d.]+)", found.remedy)[1])
    films, _ = yield Read(48, 24, 24, also=("few_malignant",))
    assert (films["partition"] == "validation").any()


@case("too_few_patients", "add patients, or change `validation` or `test_share`", ("add",), ("change",))
def patients_for_no_partition(place, how):
    own_severity(place, "too_few_patients")
    layouts.manifest(place.root, 8, 8)
    place.settings["validation"] = 14
    yield
    if how == "add":
        layouts.manifest(place.root, 24, 24)
        yield Read(48, 24, 24)
    else:
        place.settings["validation"] = 0
        yield Read(16, 8, 8)


@case("class_source_confounded", "add films of both classes from each source")
def a_site_of_each_class(place):
    own_severity(place, "class_source_confounded")
    other = with_external(place)
    (other / "manifest.csv").write_text((other / "manifest.csv").read_text().replace(",B,", ",A,"))
    table_of(place, site=["A"] * 6 + ["B"] * 8)
    yield
    table = pd.read_csv(place.root / "manifest.csv", keep_default_na=False)
    more = table.iloc[[0, 13]].assign(path=["films/g0.png", "films/g1.png"], site=["B", "A"], patient_id=["X", "Y"])
    for seed, name in enumerate(more["path"]):
        layouts.film(place.root / name, seed=200 + seed)
    pd.concat([table, more]).to_csv(place.root / "manifest.csv", index=False)
    with (place.root / "boxes.csv").open("a") as file:
        file.write("films/g0.png,10,20,50,60,osteosarcoma\n")
    yield Read(20, 9, 9)


@case("licence_conflict", "never redistribute its films")
def a_licence_stated_twice(place):
    place.layout("btxrd")
    yield
    yield Read(13, 7, 7, stays=True)


# --- splits -----------------------------------------------------------------------------------------------------------


@case("split_unused", "set `split: shipped` in the cohort, or choose films by it", ("shipped",), ("where",))
def a_split_that_is_not_used(place, how):
    place.layout("manifest")
    split = ["train" if k // 2 % 3 else "test" for k in range(14)]  # patients 0, 3 and 6: films 0, 1, 6, 7, 12, 13
    table_of(place, split=split)
    found = yield
    if how == "shipped":
        place.settings["split"] = "shipped"
        films, _ = yield MANIFEST
        assert (films["partition"] == "test").sum() == 6
    else:
        place.settings["where"] = snippet(found.remedy, "where")
        yield Read(8, 4, 4)


@case("split_absent", "take `split` out of the cohort")
def a_split_that_is_not_shipped(place):
    place.layout("manifest", split="shipped")
    yield
    del place.settings["split"]
    yield MANIFEST


@case("split_absent", "add them to a list or folder of it, or leave them out by `where`", ("add",), ("where",))
def films_in_no_part(place, how):
    place.layout("manifest", split="shipped")
    split = ["train" if k // 2 % 3 else "test" for k in range(14)]
    table_of(place, split=[*split[:13], ""])
    yield
    if how == "add":
        table_of(place, split=split)
        yield MANIFEST
    else:
        place.settings["where"] = "split.notna()"
        yield Read(13, 6, 6)


@case("split_absent", "take `split` out of cohorts.external")
def an_external_split_without_a_test_part(place):
    other = with_external(place)
    place.cohorts["external"]["split"] = "shipped"
    table = pd.read_csv(other / "manifest.csv", keep_default_na=False)
    table.assign(split="train").to_csv(other / "manifest.csv", index=False)
    yield
    del place.cohorts["external"]["split"]
    yield Read(18, 8, 8)
