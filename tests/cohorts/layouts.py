"""Cohorts in the exact layouts in which they are distributed, small and made from nothing."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
from PIL import Image

from osteotl.cohorts.faults import Fault
from osteotl.cohorts.readers import RawCohort, read_cohort
from osteotl.study import FileCohort


def film(path: Path, width: int = 120, height: int = 100, seed: int = 0) -> Path:
    """A film of soft blobs that looks like no other seed's."""
    rng = np.random.default_rng([seed, 7])
    coarse = Image.fromarray(rng.integers(0, 256, (9, 9), dtype=np.uint8))
    path.parent.mkdir(parents=True, exist_ok=True)
    coarse.resize((width, height), Image.Resampling.BICUBIC).save(path)
    return path


def table(path: Path, header: list[str], rows: list[list[Any]]) -> Path:
    """A CSV table."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def read(reader: str, root: Path, **settings: Any) -> RawCohort:
    """Read a folder; settings as in study.yaml."""
    return read_cohort(FileCohort(reader=reader, root=root, **settings), root / "data")


def wrong(cohort: RawCohort) -> list[Fault]:
    """Errors and warnings, without notes of how something was read."""
    return [fault for fault in cohort.faults if fault.severity != "note"]


def codes(cohort: RawCohort) -> list[str]:
    """Codes of the errors and warnings, sorted."""
    return sorted(fault.code for fault in wrong(cohort))


def notes(cohort: RawCohort) -> dict[str, str]:
    """Notes by code."""
    return {fault.code: fault.message for fault in cohort.faults if fault.severity == "note"}


def corners(cohort: RawCohort, image_id: str) -> list[tuple[float, ...]]:
    """Boxes of a film, sorted."""
    rows = cohort.boxes[cohort.boxes["image_id"] == image_id]
    return sorted(tuple(row) for row in rows[["x_min", "y_min", "x_max", "y_max"]].round(3).to_numpy().tolist())


# --- annotation formats -----------------------------------------------------------------------------------------------


def coco(root: Path) -> Path:
    """Three films; identifiers start at 0; iscrowd and area are missing from one annotation."""
    names = ["a.png", "b.png", "c.png"]
    for seed, name in enumerate(names):
        film(root / "images" / name, seed=seed)
    content = {
        "categories": [{"id": 0, "name": "osteosarcoma"}, {"id": 1, "name": "cast"}],
        "images": [{"id": k, "file_name": name, "width": 120, "height": 100} for k, name in enumerate(names)],
        "annotations": [
            {"id": 0, "image_id": 0, "category_id": 0, "bbox": [10, 20, 30, 40]},
            {"id": 1, "image_id": 0, "category_id": 0, "bbox": [60, 5, 20, 10], "iscrowd": 0, "area": 200},
            {"id": 2, "image_id": 1, "category_id": 1, "bbox": [0, 0, 50, 50], "iscrowd": 0, "area": 2500},
        ],
    }
    (root / "annotations.json").write_text(json.dumps(content))
    return root


def yolo(root: Path) -> Path:
    """Three films: one box and one polygon, an empty file, no file; no trailing newlines."""
    for seed, name in enumerate(["a.png", "b.png", "c.png"]):
        film(root / "images" / name, seed=seed)
    (root / "labels").mkdir(parents=True)
    (root / "labels/a.txt").write_text("0 0.5 0.5 0.5 0.2\n1 0.1 0.1 0.3 0.1 0.3 0.4")
    (root / "labels/b.txt").write_text("")
    (root / "data.yaml").write_text("path: .\ntrain: images\nnc: 2\nnames: [lesion, cast]\n")
    return root


def voc_xml(name: str, boxes: list[tuple[str, int, int, int, int]], width: int = 120, height: int = 100) -> str:
    """One Pascal VOC file."""
    objects = "".join(
        f"<object><name>{label}</name><pose>Unspecified</pose><truncated>0</truncated><difficult>0</difficult><bndbox>"
        f"<xmin>{a}</xmin><ymin>{b}</ymin><xmax>{c}</xmax><ymax>{d}</ymax></bndbox></object>"
        for label, a, b, c, d in boxes
    )
    return (
        f"<?xml version='1.0' encoding='utf-8'?>\n<annotation><filename>{name}</filename><size><width>{width}</width>"
        f"<height>{height}</height><depth>1</depth></size>{objects}</annotation>"
    )


def voc(root: Path) -> Path:
    """Three films: one lesion, none, no file."""
    for seed, name in enumerate(["a.png", "b.png", "c.png"]):
        film(root / "images" / name, seed=seed)
    (root / "Annotations").mkdir(parents=True)
    (root / "Annotations/a.xml").write_text(voc_xml("a.png", [("lesion", 11, 21, 40, 60)]))
    (root / "Annotations/b.xml").write_text(voc_xml("b.png", []))
    return root


def labelme_json(
    name: str, shapes: list[tuple[str, str, list[list[float]]]], width: int = 120, height: int = 100
) -> str:
    """One LabelMe file."""
    return json.dumps({
        "version": "5.4.1", "flags": {}, "imagePath": name, "imageData": None,
        "imageWidth": width, "imageHeight": height,
        "shapes": [{"label": a, "shape_type": b, "points": c, "group_id": None, "flags": {}} for a, b, c in shapes],
    })  # fmt: skip


def lesion(label: str, x0: float, y0: float, x1: float, y1: float) -> list[tuple[str, str, list[list[float]]]]:
    """One tumour as BTXRD draws it: a polygon and a rectangle."""
    middle = (x0 + x1) / 2
    return [
        (label, "polygon", [[middle, y0], [x1, y1], [x0, (y0 + y1) / 2], [x0, y1]]),
        (label, "rectangle", [[x0, y0], [x1, y1]]),
    ]


def labelme(root: Path) -> Path:
    """Three films: two tumours of one class (one drawn twice, one as polygon alone), none, no file."""
    for seed, name in enumerate(["p1_frontal.png", "p1_lateral.png", "p2_frontal.png"]):
        film(root / "images" / name, seed=seed)
    (root / "annotations").mkdir(parents=True)
    shapes = [*lesion("osteosarcoma", 10, 20, 50, 60), ("osteosarcoma", "polygon", [[70, 70], [90, 75], [80, 95]])]
    (root / "annotations/p1_frontal.json").write_text(labelme_json("..\\images\\p1_frontal.png", shapes))
    (root / "annotations/p1_lateral.json").write_text(labelme_json("p1_lateral.png", []))
    return root


def manifest(root: Path, malignant: int = 6, normal: int = 8, **changes: Any) -> Path:
    """Two films a patient; columns as docs/study.md lists them."""
    rows, boxes = [], []
    for number in range(malignant + normal):
        name, patient = f"films/f{number:03d}.png", f"P{number // 2:03d}{'m' if number < malignant else 'n'}"
        film(root / name, seed=number + changes.get("seed", 0))
        label = int(number < malignant)
        view = "frontal" if number % 2 else "lateral"
        rows.append([name, label, patient, "AB"[(number // 2) % 2], view, 10 + number, "FM"[number % 2], "", number])
        if label:
            boxes.append([name, 10, 20, 50, 60, "osteosarcoma"])
    header = ["path", "label", "patient_id", "site", "view", "age", "sex", "subtype", "dose"]
    table(root / "manifest.csv", header, rows)
    table(root / "boxes.csv", ["path", "x_min", "y_min", "x_max", "y_max", "finding"], boxes)
    return root


# --- public sets ------------------------------------------------------------------------------------------------------

FIGSHARE = [
    "image_id", "center", "age", "gender", "hand", "ulna", "radius", "humerus", "foot", "tibia", "fibula", "femur",
    "hip bone", "ankle-joint", "knee-joint", "hip-joint", "wrist-joint", "elbow-joint", "shoulder-joint", "tumor",
    "benign", "malignant", "osteochondroma", "multiple osteochondromas", "simple bone cyst", "giant cell tumor",
    "osteofibroma", "synovial osteochondroma", "other bt", "osteosarcoma", "other mt", "upper limb", "lower limb",
    "pelvis", "frontal", "lateral", "oblique",
]  # fmt: skip
AUTHORS = [
    "Original Name", "image_id", "center", "age", "gender", "hand", "ulna", "radius", "humerus", "foot", "tibia",
    "fibula", "femur", "hip bone", "ankle", "knee", "hip", "wrist", "elbow", "shoulder", "tumor", "benign",
    "malignant", "osteochondroma", "multiple osteochondromas", "simple bone cyst", "giant cell tumor",
    "osteofibroma", "synovial osteochondroma", "other bt", "osteosarcoma", "other mt", "upper limb", "lower limbs",
    "pelvis", "frontal", "lateral", "oblique",
]  # fmt: skip

#: original name (of the authors' table), centre, age, gender, what is 1
BTXRD_ROWS: list[tuple[str, int, str, str, str]] = [
    ("b1-M-12-x-tibia-1.jpeg", 1, "12", "M", "tibia tumor malignant osteosarcoma frontal"),
    ("b1-M-12-x-tibia-2.jpeg", 1, "12", "M", "tibia tumor malignant osteosarcoma lateral"),
    ("b2-F-30-x-femur-1.jpeg", 1, "30", "F", "femur tumor malignant other_mt frontal"),
    ("b3-F-50-x-hand-1.jpeg", 1, "50", "F", "hand tumor malignant osteosarcoma frontal"),
    ("b4-M-20-x-femur-1.jpeg", 1, "20", "M", "femur tumor benign osteochondroma frontal"),
    ("n1-M-40-1.jpeg", 1, "40", "M", "lower_limb frontal"),
    ("n2-F-41-1.jpeg", 1, "41", "F", "lower_limb lateral"),
    ("n3-F-42-1.jpeg", 1, "42", "F", "upper_limb lateral"),
    ("35m_1.jpeg", 2, "35", "M", "knee tumor malignant osteosarcoma frontal"),
    ("35m_2.jpeg", 2, "35", "M", "knee tumor malignant other_mt frontal"),
    ("n4-F-44-1.jpeg", 2, "44", "F", "lower_limb frontal"),
    ("b9-M-60-x-1.jpeg", 3, "60", "M", "fibula tumor malignant osteosarcoma oblique"),
    ("n5-M-61-1.jpeg", 3, "61", "M", "lower_limb frontal"),
]


def btxrd(root: Path, spelling: str = "figshare", as_xlsx: bool = False, repeats: int = 1) -> Path:
    """BTXRD with either spelling of its table; `repeats` makes more patients like these."""
    header = FIGSHARE if spelling == "figshare" else AUTHORS
    rows, number = [], 0
    for repeat in range(repeats):
        for original, centre, age, gender, facts in BTXRD_ROWS:
            number += 1
            name = f"IMG{number:06d}.jpeg"
            ones = {word.replace("_", " ") for word in facts.split()}
            ones |= {f"{word}-joint" for word in ones} | {f"{word}s" for word in ones if word.endswith("limb")}
            if ones & {"tibia", "femur", "fibula", "knee"}:
                ones |= {"lower limb", "lower limbs"}
            cells = {"Original Name": f"r{repeat}{original}", "image_id": name, "center": centre, "gender": gender,
                     "age": str(int(age) + repeat)}  # fmt: skip
            if original.startswith("35m_"):
                cells["Original Name"] = original
            rows.append([cells.get(column, int(column in ones)) for column in header])
            film(root / "images" / name, seed=number)
            if "tumor" in facts:
                subtype = next(s for s in ("osteosarcoma", "other mt", "osteochondroma") if s in ones)
                path = root / "Annotations" / f"IMG{number:06d}.json"
                path.parent.mkdir(exist_ok=True)
                path.write_text(labelme_json(name, lesion(subtype, 10, 20, 50, 60)))
    if not as_xlsx:
        table(root / "dataset.csv", header, rows)
        return root
    book = openpyxl.Workbook()
    for row in [header, *rows]:
        book.active.append(row)
    book.save(root / "dataset.xlsx")
    return root


def nih(root: Path) -> Path:
    """Six films; BBox_List with the header of nine cells over rows of six."""
    rows = [
        ("00000001_000.png", "Mass|Nodule", 0, 1, "058Y", "M", "PA"),
        ("00000001_001.png", "No Finding", 1, 1, "59", "M", "PA"),
        ("00000002_000.png", "Mass", 0, 2, "414Y", "F", "AP"),
        ("00000003_000.png", "Infiltration", 0, 3, "30", "F", "AP"),
        ("00000004_000.png", "Effusion", 0, 4, "31", "F", "AP"),
        ("00000005_000.png", "Infiltration|Mass", 0, 5, "32", "F", "AP"),
    ]
    for seed, row in enumerate(rows):
        film(root / "images" / str(row[0]), 64, 64, seed)
    text = ("Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
            "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y]\n")  # fmt: skip
    text += "".join(",".join(map(str, [*row, 2682, 2749, 0.143, 0.143])) + "\n" for row in rows)
    (root / "Data_Entry_2017_v2020.csv").write_text(text)
    (root / "BBox_List_2017.csv").write_text(
        "Image Index,Finding Label,Bbox [x,y,w,h],,,\n"
        "00000001_000.png,Mass,256,512,128,64\n"
        "00000003_000.png,Infiltrate,0,0,512,512\n"
    )
    return root


def vindr(root: Path) -> Path:
    """Four films, three readers each; boxes in pixels of the film."""
    header = ["image_id", "class_name", "class_id", "rad_id", "x_min", "y_min", "x_max", "y_max"]
    rows: list[list[Any]] = [
        ["f1", "Nodule/Mass", 8, "R1", 10, 10, 50, 50],
        ["f1", "Nodule/Mass", 8, "R2", 14, 10, 54, 50],
        ["f1", "Nodule/Mass", 8, "R3", 80, 70, 100, 90],
        ["f2", "Nodule/Mass", 8, "R1", 10, 10, 30, 30],
        ["f2", "No finding", 14, "R2", "", "", "", ""],
        ["f2", "No finding", 14, "R3", "", "", "", ""],
        *[["f3", "No finding", 14, reader, "", "", "", ""] for reader in ("R1", "R2", "R3")],
        *[["f4", "Cardiomegaly", 3, reader, 20, 20, 90, 80] for reader in ("R1", "R2", "R3")],
    ]
    for seed, name in enumerate(["f1", "f2", "f3", "f4"]):
        film(root / "train" / f"{name}.png", seed=seed)
    table(root / "train.csv", header, rows)
    return root


def rsna(root: Path) -> Path:
    """Four films of three patients; boxes in pixels of the 1024 px original."""
    rows: list[list[Any]] = [
        ["aaaa-1", 256, 512, 128, 256, 1], ["aaaa-1", 600, 100, 200, 300, 1], ["bbbb-2", "", "", "", "", 0],
        ["cccc-3", "", "", "", "", 0], ["dddd-4", 0, 0, 1024, 512, 1],
    ]  # fmt: skip
    for seed, name in enumerate(["aaaa-1", "bbbb-2", "cccc-3", "dddd-4"]):
        film(root / "stage_2_train_images" / f"{name}.png", 64, 64, seed)
    film(root / "stage_2_test_images" / "eeee-5.png", 64, 64, 9)
    table(root / "stage_2_train_labels.csv", ["patientId", "x", "y", "width", "height", "Target"], rows)
    classes = [["aaaa-1", "Lung Opacity"], ["bbbb-2", "Normal"], ["cccc-3", "No Lung Opacity / Not Normal"],
               ["dddd-4", "Lung Opacity"]]  # fmt: skip
    table(root / "stage_2_detailed_class_info.csv", ["patientId", "class"], classes)
    pairs = [["aaaa-1", "00000007_001.png"], ["bbbb-2", "00000007_002.png"], ["cccc-3", "00000008_000.png"]]
    table(root / "rsna_to_nih.csv", ["patientId", "nih_image_index"], pairs)
    return root


def tbx11k(root: Path) -> Path:
    """Films of 256 px; .json boxes in 512 px, .xml boxes 1-based in the original 1000 x 2000."""
    names = [
        "tb/tb0005.png",
        "tb/tb0007.png",
        "health/h0001.png",
        "sick/s0001.png",
        "test/t0001.png",
        "extra/e0001.png",
    ]
    for seed, name in enumerate(names):
        film(root / "imgs" / name, 256, 256, seed)
    categories = [{"id": 1, "name": "ActiveTuberculosis", "supercategory": "Tuberculosis"}]
    image = {"width": 512, "height": 512}
    annotations = [{"id": 1, "image_id": 1, "category_id": 1, "iscrowd": 0, "bbox": [100.0, 50.0, 40.0, 44.0]}]
    parts = {
        "TBX11K_train": (
            [{"id": 1, "file_name": names[0], **image}, {"id": 601, "file_name": names[2], **image}], annotations),
        "TBX11K_trainval": (
            [{"id": 1, "file_name": names[0], **image}, {"id": 2, "file_name": names[1], **image}], annotations),
        "TBX11K_test": ([{"id": 9, "file_name": names[4], **image}], []),
    }  # fmt: skip
    for name, (images, boxes) in parts.items():
        path = root / "annotations/json" / f"{name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"categories": categories, "images": images, "annotations": boxes}))
    (root / "annotations/xml").mkdir()
    xml = voc_xml("tb0005.png", [("ActiveTuberculosis", 101, 201, 300, 400)], 1000, 2000)
    (root / "annotations/xml/tb0005.xml").write_text(xml)
    return root
