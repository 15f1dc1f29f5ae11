"""Reader `btxrd`: BTXRD (Yao 2025): images, Annotations (LabelMe), dataset.xlsx or dataset.csv in either spelling.

Label 1 = malignant; benign tumours and normal films are 0 (leave benign ones out with `where: "benign == 0"`). Boxes
are those of malignant subtypes; polygon and rectangle of one tumour are one lesion. Columns for `where`: center, tumor,
benign, malignant, subtype, every bone and joint, upper_limb, lower_limb, pelvis, frontal, lateral, oblique. Normal rows
have every joint column zero: slice normal films by lower_limb, not by knee.

The set names no patients. Pseudo-patients: where the table has `Original Name`, its stem without the running number,
unless the stem tells no more than age and sex ('35m_'); else neighbouring rows of equal centre, age, gender, tumour and
subtype.
"""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from osteotl.cohorts.readers.builder import CohortBuilder
from osteotl.cohorts.readers.columns import column_missing, plain_name
from osteotl.cohorts.readers.files import read_json, read_table, table_file
from osteotl.cohorts.readers.labelme import add_lesions, annotation_paths, lesions_of, stated_size

MALIGNANT = ("osteosarcoma", "other_mt")
BENIGN = (
    "osteochondroma",
    "multiple_osteochondromas",
    "simple_bone_cyst",
    "giant_cell_tumor",
    "osteofibroma",
    "synovial_osteochondroma",
    "other_bt",
)
NEEDED = ("image_id", "center", "age", "gender", "tumor", "benign", "malignant", "lower_limb")
AGE_AND_SEX = re.compile(r"(?:\d{0,3}\s*[mfMF]|[mfMF]\s*\d{0,3}|\d{0,3})[\s_-]*")


def read(builder: CohortBuilder) -> None:
    """Read the table and the annotations into the builder."""
    path = table_file(builder, builder.spec.table, "dataset.xlsx")
    table = read_table(builder, path)
    if table is None:
        return
    table = table.rename(columns=_name)
    if missing := [name for name in NEEDED if name not in table]:
        column_missing(builder, path, table, missing)
        return
    _licence(builder)
    annotations = {file.stem: file for file in annotation_paths(builder)[1]}
    patients = pseudo_patients(table)
    for row, patient in zip(table.to_dict("records"), patients, strict=True):
        _film(builder, path, row, patient, annotations.pop(Path(row["image_id"]).stem, None))
    for file in annotations.values():
        builder.fault("unknown_id", file, f"annotates {file.stem}, which {path.name} does not list", "add its row")
    builder.derived = path
    builder.add_unlisted()


def _name(name: str) -> str:
    """One spelling: knee-joint and knee, lower limbs and lower limb."""
    name = plain_name(name)
    return {"lower_limbs": "lower_limb", "upper_limbs": "upper_limb"}.get(name, name.removesuffix("_joint"))


def _licence(builder: CohortBuilder) -> None:
    builder.fault(
        "licence_conflict",
        "",
        "BTXRD's licence is stated differently in two places: CC BY-NC-ND 4.0 in the paper, CC BY 4.0 at figshare",
        "never redistribute its films; mind it when showing the report to others",
    )


def _film(builder: CohortBuilder, path: Path, row: dict[str, str], patient: str, annotation: Path | None) -> None:
    name = row["image_id"]
    flags = {column: row[column] for column in ("tumor", "benign", "malignant")}
    if not name or any(value not in ("0", "1", "0.0", "1.0") for value in flags.values()):
        builder.fault(
            "row_invalid",
            path,
            f"{name or 'a row without image_id'}: tumor, benign, malignant are "
            f"{', '.join(map(repr, flags.values()))}, not 0 or 1",
            "correct the row",
        )
        return
    tumour, benign, malignant = (int(float(value)) for value in flags.values())
    if benign + malignant != tumour:
        builder.fault(
            "row_invalid",
            path,
            f"{name}: tumor {tumour}, benign {benign}, malignant {malignant} contradict each other",
            "correct the row",
        )
    if benign and not malignant:
        builder.label_words["benign"] = builder.label_words.get("benign", 0) + 1
    subtype = next((column for column in (*MALIGNANT, *BENIGN) if row.get(column) in ("1", "1.0")), None)
    view = next((column for column in ("frontal", "lateral", "oblique") if row.get(column) in ("1", "1.0")), None)
    film = builder.find_film(name, path)
    size = {} if annotation is None else _boxes(builder, name, annotation, tumour)
    values = {key: value or None for key, value in row.items() if key != "image_id"}
    builder.add_film(
        name,
        film,
        malignant,
        **{
            **values,
            "patient_id": patient,
            "site": f"centre {row['center']}",
            "sex": row["gender"],
            "view": view,
            "subtype": subtype,
            **size,
        },
    )


def _boxes(builder: CohortBuilder, name: str, path: Path, tumour: int) -> dict[str, object]:
    content = read_json(builder, path)
    if content is None:
        return {}
    if not isinstance(content, dict) or not isinstance(content.get("shapes"), list):
        builder.fault(
            "file_unreadable", path, "is JSON but not LabelMe: it has no list `shapes`", "use it as distributed"
        )
        return {}
    kept = None if builder.spec.classes else MALIGNANT
    lesions = lesions_of(builder, path, content, kept) or []
    if lesions and not tumour:
        builder.fault(
            "normal_with_box", path, f"draws a lesion on {name}, which the table calls normal", "correct one of them"
        )
    if not builder.spec.classes:
        lesions = [lesion for lesion in lesions if plain_name(lesion.name) in MALIGNANT]
    add_lesions(builder, name, lesions)
    return stated_size(content)


def pseudo_patients(table: pd.DataFrame) -> list[str]:
    """A patient for every row, by the rule of this module's first lines.

    Parameters
    ----------
    table : DataFrame
        BTXRD's table in reading order, columns in the one spelling of this reader.
    """
    subtypes = [name for name in (*MALIGNANT, *BENIGN) if name in table]
    facts = table[["center", "age", "gender", "tumor", "malignant", *subtypes]]
    changes = (facts != facts.shift()).any(axis=1)
    first = table["image_id"].where(changes).ffill()
    names = table["original_name"] if "original_name" in table else pd.Series("", index=table.index)
    stems = names.map(_stem)
    return [
        f"{centre}:{stem}" if stem else f"near:{start}"
        for centre, stem, start in zip(table["center"], stems, first, strict=True)
    ]


def _stem(name: str) -> str:
    stem = re.sub(r"\.\w{3,4}$", "", name)
    stem = re.sub(r"(?:\s*\(\d+\))?$", "", stem)
    stem = re.sub(r"[-_ ]?\d+$", "", stem)
    return "" if AGE_AND_SEX.fullmatch(stem) else stem
