"""A folder of exports -> one long table: COCO, Ultralytics, picai_eval, MONAI, nnDetection, per-case tables."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pandas as pd

from osteotl.files import is_litter, plural
from osteotl.scores_files.columns import CORNERS, NAMES, arm_and_seed, find_roles, numbers
from osteotl.scores_files.long_table import (
    DETECTION_COLUMNS,
    LESION_COLUMNS,
    NO_SCORE,
    ScoresBuilder,
    ScoresError,
    base_columns,
    box_array,
)
from osteotl.scores_files.tables import TableError, decode, listed, read_cells, read_json, read_whole

TABLES = (".csv", ".xlsx", ".parquet", ".tsv")
LABEL_FILES = (*(f"labels{suffix}" for suffix in TABLES), "labels.json", "truth.json")
BOX = ["image_id", *CORNERS, "score"]
MOST_FILES = 1_000_000
PICKLES = (".pkl", ".pickle", ".pt", ".pth", ".npy", ".npz")


@dataclass
class Films:
    """The films of the folder: all of them, boxes or not."""

    table: pd.DataFrame  # image_id, label, patient_id, cohort, row, and width, height where known
    by_key: dict[str, str | None]  # every spelling under which an export may name a film; None: it could be two
    lesions: pd.DataFrame | None = None
    builder: ScoresBuilder = field(default_factory=lambda: ScoresBuilder(pd.DataFrame()))

    def find(self, *names: Any) -> str | None:
        """The film that an export means: by identifier, by file stem, by number without leading zeros."""
        for name in names:
            for key in _keys(str(name)) if name is not None else ():
                if key in self.by_key:
                    return self.by_key[key]
        return None


def read_folder(folder: Path) -> ScoresBuilder:
    """The long table of a folder of exports.

    Parameters
    ----------
    folder : Path
        Labels of every film in labels.csv (or .xlsx, .parquet: image_id, label, and the other columns of a table of
        scores), in labels.json (a COCO reference standard), or in picai_eval's own case_target. And per arm one of

        - ARM.json: COCO or Ultralytics detections (a list of image_id, bbox, score), picai_eval metrics (case_pred) or
          MONAI detections (a list of image, box, label_scores);
        - ARM.csv, .xlsx or .parquet: image_id, score;
        - ARM/: txt files of YOLOv5 or Ultralytics, predictions.json, or CASE_boxes.json of nnDetection.

        ARM_seed1 and ARM_seed2 are two runs of ARM.

    Raises
    ------
    ScoresError
        There is no export, or no file of labels.
    """
    arms, draft_faults, remarks = _arm_paths(folder)
    if not arms and not draft_faults:
        rule = "put ARM.json, ARM.csv or a folder ARM/ of exports beside labels.csv (image_id, label)"
        raise ScoresError([f"no export found; {rule}"])
    contents: dict[Path, Any] = {}
    for path in arms:
        if path.suffix.lower() == ".json":
            try:
                contents[path] = read_json(path)
            except TableError as error:
                draft_faults += [f"{path.name}: {fault}" for fault in error.faults]
    if draft_faults:
        raise ScoresError(draft_faults)
    films = _films(folder, contents)
    builder = films.builder
    if builder.faults:  # everything else is judged by the labels
        raise ScoresError(builder.faults)
    builder.remarks += remarks
    parts, boxes = [], []
    for path in arms:
        arm, seed = arm_and_seed(path.stem if path.is_file() else path.name)
        score, found = _read_arm(path, contents.get(path), films, builder)
        parts.append(films.table.assign(arm=arm, seed=seed, fraction=1.0, score=score))
        if found is not None and len(found):
            boxes.append(found.assign(arm=arm, seed=seed, fraction=1.0)[DETECTION_COLUMNS])
    builder.table = pd.concat(parts, ignore_index=True)
    builder.detections = pd.concat(boxes, ignore_index=True) if boxes else None
    builder.lesions = films.lesions
    builder.remarks.append(f"arms, in the order of file names: {listed(list(dict.fromkeys(builder.table['arm'])))}")
    return builder


def _arm_paths(folder: Path) -> tuple[list[Path], list[str], list[str]]:
    """Files and folders that hold an arm; faults of those that cannot; remarks on what is left out."""
    arms, faults, other = [], [], []
    for path in _kept(folder.iterdir()):
        if path.is_dir():
            kind = _kind_of_folder(path)
            arms += [path] if kind in ("txt", "json", "nndetection") else []
            faults += [f"{path.name}/: {PICKLE_RULE}"] if kind == "pickles" else []
            other += [f"{path.name}/"] if kind == "other" else []
        elif path.suffix.lower() in PICKLES:
            faults.append(f"{path.name}: {PICKLE_RULE}")
        elif path.name.lower() in LABEL_FILES:
            continue
        elif path.suffix.lower() in (".json", *TABLES):
            arms.append(path)
        else:
            other.append(path.name)
    remarks = [f"left out, for they hold no scores that are known here: {listed(other)}"] if other else []
    stems: dict[str, str] = {}
    for path in arms:
        stem = path.stem if path.is_file() else path.name
        if stems.setdefault(stem, path.name) != path.name:
            faults.append(f"{path.name} and {stems[stem]} are the same arm; keep one")
    return arms, faults, remarks


PICKLE_RULE = (
    "pickled results (nnDetection, mmdetection, PyTorch) can carry code and are never opened; write them as a table "
    "with image_id, label, arm, score, or as COCO detections"
)


def _kept(paths: Iterable[Path]) -> list[Path]:
    """Files and folders by name, without what file managers, Excel and Python leave."""
    others = [path for path in paths if not path.name.startswith((".", "__")) and not is_litter(path.name)]
    return sorted(others, key=lambda path: path.name)


def _kind_of_folder(path: Path) -> str:
    """txt, json (predictions.json), nndetection, pickles, or other."""
    if _txt_folder(path):
        return "txt"
    if (path / "predictions.json").is_file():
        return "json"
    if _kept(path.glob("*_boxes.json")):
        return "nndetection"
    if any(child.suffix.lower() in PICKLES for child in _kept(path.iterdir())):
        return "pickles"
    return "other"


def _txt_folder(path: Path) -> Path | None:
    """YOLO writes its txt files into runs/.../labels/."""
    for at in (path, path / "labels"):
        if at.is_dir() and _kept(at.glob("*.txt")):
            return at
    return path / "labels" if (path / "labels").is_dir() else None


# --- films ------------------------------------------------------------------------------------------------------------


def _films(folder: Path, contents: dict[Path, Any]) -> Films:
    found = {path.name.lower(): path for path in sorted(folder.iterdir()) if path.is_file()}
    paths = [found[name] for name in LABEL_FILES if name in found]
    if not paths:
        return _films_of_picai(contents)
    films = _named(paths[0], _films_of_coco if paths[0].suffix.lower() == ".json" else _films_of_table)
    if len(paths) > 1:
        films.builder.remarks.append(
            f"labels are those of {paths[0].name}; left out: {listed([p.name for p in paths[1:]])}"
        )
    return films


def _named(path: Path, read: Callable[[Path], Films]) -> Films:
    try:
        return read(path)
    except TableError as error:
        raise ScoresError([f"{path.name}: {fault}" for fault in error.faults]) from error


def _films_of_table(path: Path) -> Films:
    table = read_cells(path, NAMES)
    roles = find_roles(table.cells, labels_only=True)
    builder = ScoresBuilder(pd.DataFrame(), remarks=[*table.remarks, *roles.remarks])
    if absent := [c for c in ("image_id", "label") if c not in roles.column]:
        raise ScoresError([f"no column {c!r}; it needs image_id and label of every film" for c in absent])
    for run in ("seed", "reader", "fraction", "arm", "score", "logit"):
        roles.column.pop(run, None)  # of the exports, not of the films
    films = base_columns(table, roles, builder)
    for size in ("width", "height"):
        if size in roles.column:
            films[size] = builder.take(numbers(table.cells[roles.column[size]], size, table.rows))
    twice = films.loc[films["image_id"].duplicated(), "image_id"].unique()
    builder.faults += [f"{path.name}: film {film!r} stands twice" for film in twice[:20]]
    builder.faults = [fault if fault.startswith(path.name) else f"{path.name}: {fault}" for fault in builder.faults]
    return Films(films, _spellings(films["image_id"]), None, builder)


def _films_of_picai(contents: dict[Path, Any]) -> Films:
    cases = {p.name: c["case_target"] for p, c in contents.items() if isinstance(c, dict) and "case_target" in c}
    if not cases:
        raise ScoresError(["no labels.csv (image_id, label), which names every film and its class"])
    labels: dict[str, int] = {}
    builder = ScoresBuilder(pd.DataFrame(), remarks=["labels are picai_eval's case_target"])
    for name, targets in cases.items():
        if not isinstance(targets, dict):
            raise ScoresError([f"{name}: case_target must map every case to 0 or 1"])
        for case, target in targets.items():
            if target not in (0, 1):
                builder.faults.append(f"{name}: case_target of {case!r} is neither 0 nor 1")
            elif labels.setdefault(case, int(target)) != int(target):
                builder.faults.append(f"labels of film {case!r} disagree between the picai_eval files")
    builder.faults = _few_faults(builder.faults)
    return Films(_film_table(list(labels), list(labels.values())), _spellings(labels), None, builder)


def _film_table(names: list[str], labels: list[int]) -> pd.DataFrame:
    return pd.DataFrame({"row": np.arange(1, len(names) + 1), "image_id": names, "label": labels, "patient_id": names,
                         "cohort": "external", "reason": ""})  # fmt: skip


def _films_of_coco(path: Path) -> Films:
    content = read_json(path)
    parts = content if isinstance(content, dict) else {}
    images: list[Any] = parts.get("images", 0)
    annotations: list[Any] = parts.get("annotations", 0)
    if not _dicts(images, "id") or not _dicts(annotations, "image_id", "bbox"):
        raise ScoresError(["not a COCO reference standard (images with id, annotations with image_id and bbox)"])
    names: dict[str, str] = {str(i["id"]): _stem(str(i.get("file_name", i["id"]))) for i in images}
    builder = ScoresBuilder(pd.DataFrame())
    if len(set(names.values())) < len(images):
        builder.faults.append(
            f"{path.name}: two images have one id or one file name; give labels.csv with names that differ"
        )
    categories = {str(a.get("category_id", 1)) for a in annotations}
    if len(categories) > 1:
        rule = "keep those of malignant lesions, or give labels.csv"
        builder.faults.append(f"{path.name}: annotations of {len(categories)} categories; {rule}")
    lesions, crowds = [], set()
    for number, one in enumerate(annotations, 1):
        if (film := names.get(str(one["image_id"]))) is None:
            builder.faults.append(f"{path.name}: annotation {number} is on an image that is not listed")
        elif (corners := _corners(one["bbox"])) is None:
            builder.faults.append(f"{path.name}: annotation {number} has no box of x, y, width, height above 0")
        elif str(one.get("iscrowd")).lower() in ("1", "true"):
            crowds.add(film)
        else:
            lesions.append([film, *corners])
    builder.faults = _few_faults(builder.faults)
    ill = {row[0] for row in lesions} | crowds
    table = _film_table(list(names.values()), [int(n in ill) for n in names.values()])
    table = table.drop_duplicates("image_id")
    builder.remarks.append(f"{path.name}: a film with an annotation is malignant, one without is not")
    if crowds:
        builder.remarks.append(f"{path.name}: crowds (iscrowd) of {plural(len(crowds), 'film')} are no lesion boxes")
    spellings = {**_spellings(table["image_id"]), **names}
    return Films(table, spellings, pd.DataFrame(lesions, columns=LESION_COLUMNS), builder)


def _keys(name: str) -> list[str]:
    """Spellings of a film, the surest first: as it is, its file's stem (also of .nii.gz), without leading zeros."""
    stem = _stem(name)
    return list(dict.fromkeys([name, stem, stem.lstrip("0") or "0"]))


def _stem(name: str) -> str:
    """The name of a file without folders and its usual ends; whatever else holds a dot is a name."""
    last = PurePosixPath(name.replace("\\", "/")).name
    for end in (".nii.gz", ".nii", ".png", ".jpg", ".jpeg", ".tif", ".tiff", ".dcm", ".dicom", ".bmp", ".mha", ".webp"):
        if last.lower().endswith(end):
            return last[: -len(end)] or last
    return last


def _spellings(names: Iterable[str]) -> dict[str, str | None]:
    """Spelling to film; a spelling that two films share names none of them, unless it is one's own name."""
    names = list(names)
    found: dict[str, str | None] = {}
    for name in names:
        for key in _keys(name)[1:]:
            found[key] = name if found.get(key, name) == name else None
    return {**found, **{name: name for name in names}}


def _corners(box: Any) -> list[float] | None:
    """Corners of x, y, width, height; None where that is no box."""
    if not isinstance(box, list) or len(box) != 4 or not all(map(_is_number, box)) or not (box[2] > 0 and box[3] > 0):
        return None
    x, y, width, height = map(float, box)
    return [x, y, x + width, y + height]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= 1e9 and math.isfinite(value)


def _dicts(content: Any, *keys: str) -> bool:
    return isinstance(content, list) and all(isinstance(one, dict) and set(keys) <= set(one) for one in content)


# --- arms -------------------------------------------------------------------------------------------------------------

Found = tuple[np.ndarray, pd.DataFrame | None]


def _read_arm(path: Path, content: Any, films: Films, builder: ScoresBuilder) -> Found:
    """Score of every film, and boxes."""
    nothing = np.zeros(len(films.table)), None
    try:
        if path.is_dir():
            return _read_arm_folder(path, films, builder)
        if path.suffix.lower() in TABLES:
            return _case_table(path, films, builder)
    except TableError as error:
        builder.faults += [f"{path.name}: {fault}" for fault in error.faults]
        return nothing
    if isinstance(content, dict) and isinstance(content.get("case_pred"), dict):
        return _from_cases(content["case_pred"], path.name, films, builder)
    if (boxes := _boxes_of_json(content, path.name, films, builder)) is None:
        builder.faults.append(f"{path.name}: {_what_json(content)}")
        return nothing
    return _from_boxes(boxes, path.name, films, builder)


def _read_arm_folder(path: Path, films: Films, builder: ScoresBuilder) -> Found:
    kind = _kind_of_folder(path)
    if kind == "txt":
        return _from_boxes(_yolo(path, films, builder), path.name, films, builder)
    if kind == "nndetection":
        return _from_boxes(
            _nndetection(path, films, builder), path.name, films, builder, "three-dimensional or not in x, y"
        )
    content = read_json(path / "predictions.json")
    boxes = _boxes_of_json(content, f"{path.name}/predictions.json", films, builder)
    if boxes is None:
        raise ScoresError([f"predictions.json: {_what_json(content)}"])
    return _from_boxes(boxes, path.name, films, builder)


def _boxes_of_json(content: Any, name: str, films: Films, builder: ScoresBuilder) -> pd.DataFrame | None:
    """Boxes of a JSON export, None where it is of no known kind."""
    if _dicts(content, "bbox", "score"):
        return _coco(content, name, films, builder)
    if isinstance(content, dict) and len(content) == 1:  # MONAI's bundles write {"validation": [...]}
        content = next(iter(content.values()))
    if _dicts(content, "box", "label_scores"):
        return _monai(content, name, films, builder)
    return None


def _what_json(content: Any) -> str:
    """Why a JSON file is no export that is read here, in one sentence."""
    if isinstance(content, dict) and {"images", "annotations"} <= set(content):
        return "a COCO reference standard, not detections; call it labels.json"
    if _dicts(content, "segmentation", "score"):
        return "COCO masks without boxes; export detections with bbox"
    if _dicts(content, "confidence", "box"):
        return "Ultralytics' tojson() of one film, which does not name it; export with save_json=True or save_txt=True"
    if isinstance(content, dict) and {"shapes", "imagePath"} <= set(content):
        return "LabelMe annotations, not scores; give detections"
    return (
        "neither COCO detections (a list of image_id, bbox, score), picai_eval metrics (case_pred) nor MONAI "
        "detections (image, box, label_scores)"
    )


def _case_table(path: Path, films: Films, builder: ScoresBuilder) -> Found:
    table = read_cells(path, NAMES)
    roles = find_roles(table.cells, labels_only=True)
    builder.remarks += [f"{path.name}: {remark}" for remark in (*table.remarks, *roles.remarks)]
    if not {"image_id", "score"} <= set(roles.column):
        hint = "; Ultralytics' results.csv holds losses, no scores" if path.stem == "results" else ""
        raise ScoresError([f"needs the columns image_id and score{hint}"])
    names = table.cells[roles.column["image_id"]].tolist()
    own = ScoresBuilder(pd.DataFrame())
    values = own.take(numbers(table.cells[roles.column["score"]], "score", table.rows, NO_SCORE))
    builder.faults += [f"{path.name}: {fault}" for fault in own.faults]
    builder.remarks += [f"{path.name}: {remark}" for remark in own.remarks]
    if len(set(names)) < len(names):
        raise ScoresError(["a film stands twice; one row a film, its highest score"])
    return _from_cases(dict(zip(names, values.tolist(), strict=True)), path.name, films, builder, checked=True)


def _from_cases(
    scores: dict[str, Any], name: str, films: Films, builder: ScoresBuilder, checked: bool = False
) -> Found:
    if odd := [case for case, value in scores.items() if not checked and not _is_number(value)]:
        builder.faults.append(f"{name}: the score of {listed(odd, 10)} is no number within 1e9")
        scores = {case: value for case, value in scores.items() if case not in set(odd)}
    known = {films.find(key): float(value) for key, value in scores.items()}
    if stray := [key for key in scores if films.find(key) is None]:
        builder.faults.append(f"{name}: scores for films that the labels do not name: {listed(stray, 10)}")
    elif len(known) < len(scores):
        builder.faults.append(f"{name}: two cases are one film of the labels; name films as the labels do")
    values = films.table["image_id"].map(known).to_numpy(float)
    missing = films.table.loc[~films.table["image_id"].isin(known), "image_id"].tolist()
    if missing and not odd:
        builder.faults.append(f"{name}: no score for {listed(missing, 10)}")
    return values, None


def _from_boxes(
    boxes: pd.DataFrame,
    name: str,
    films: Films,
    builder: ScoresBuilder,
    why: str = "labels.csv has no width and height of the films",
) -> Found:
    """The score of a film is that of its highest box; a film without a box has 0, and that is said."""
    best = boxes.groupby("image_id")["score"].max()
    values = films.table["image_id"].map(best)
    if len(best) and best.min() < 0:
        builder.faults.append(f"{name}: scores below 0, so that a film without a box has none; export probabilities")
    if silent := int(values.isna().sum()):
        lacking = plural(silent, "film")
        builder.remarks.append(
            f"{name}: {lacking} without a box scored 0; boxes down to a confidence of 0.001 would rank them"
        )
    corners = boxes.dropna(subset=list(CORNERS))
    if len(corners) < len(boxes):
        builder.remarks.append(f"{name}: boxes are left out ({why}); scores are used")
    return values.fillna(0.0).to_numpy(float), corners.reset_index(drop=True)


def _of_rows(rows: list[list[Any]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=BOX).astype(dict.fromkeys([*CORNERS, "score"], float))


def _coco(content: list[dict[str, Any]], name: str, films: Films, builder: ScoresBuilder) -> pd.DataFrame:
    """COCO's list of detections, as Ultralytics, detectron2 and mmdetection write it too."""
    rows, stray, faults = [], [], []
    for number, one in enumerate(content, 1):
        film = films.find(one.get("image_id"), one.get("file_name"))
        corners = _corners(one["bbox"])
        if film is None:
            stray.append(str(one.get("image_id")))
        elif corners is None or not _is_number(one["score"]):
            faults.append(f"{name}: detection {number} has no finite score, or no box of x, y, width, height above 0")
        else:
            rows.append([film, *corners, float(one["score"])])
    builder.faults += _few_faults(faults)
    if stray:
        rule = "where these are COCO's own numbers, give the reference standard as labels.json"
        films_shown = listed(list(dict.fromkeys(stray)), 10)
        builder.faults.append(f"{name}: boxes on films that the labels do not name: {films_shown}; {rule}")
    _one_class({str(one.get("category_id", 0)) for one in content}, name, builder)
    return _of_rows(rows)


def _one_class(classes: set[str], name: str, builder: ScoresBuilder) -> None:
    """The score of a film is that of a malignant lesion: boxes of other classes must not count."""
    if len(classes) > 1:
        builder.faults.append(f"{name}: boxes of {len(classes)} classes ({listed(sorted(classes), 6)}); keep those of "
                            "malignant lesions, under one class number")  # fmt: skip


def _monai(content: list[dict[str, Any]], name: str, films: Films, builder: ScoresBuilder) -> pd.DataFrame:
    """MONAI's list of films with box (corners), label and label_scores."""
    rows: list[list[Any]] = []
    stray, faults, classes = [], [], set()
    for number, one in enumerate(content, 1):
        film = films.find(one.get("image"), one.get("image_id"))
        boxes, scores, labels = one["box"], one["label_scores"], one.get("label", [])
        if film is None:
            stray.append(str(one.get("image", number)))
            continue
        if not isinstance(scores, list) or not isinstance(boxes, list) or len(boxes) != len(scores):
            faults.append(f"{name}: film {number} has not as many label_scores as boxes")
            continue
        if not all(map(_is_number, scores)):
            faults.append(f"{name}: film {number} has a score that is no number within 1e9")
            continue
        try:
            solid = bool(boxes) and all(isinstance(box, list) and len(box) == 6 for box in boxes)
            corners = np.full((len(boxes), 4), np.nan) if solid else box_array(boxes, 4)
        except ValueError as error:
            faults.append(f"{name}: film {number}: {error}; write corners (ConvertBoxMode to xyxy)")
            continue
        classes |= {str(label) for label in labels} if isinstance(labels, list) else set()
        rows += [[film, *box, float(score)] for box, score in zip(corners.tolist(), scores, strict=True)]
    builder.faults += _few_faults(faults)
    if stray:
        builder.faults.append(f"{name}: films that the labels do not name: {listed(list(dict.fromkeys(stray)), 10)}")
    _one_class(classes, name, builder)
    return _of_rows(rows)


def _nndetection(path: Path, films: Films, builder: ScoresBuilder) -> pd.DataFrame:
    """nnDetection's CASE_boxes.json, number of a box to score, label and box; its boxes start with y."""
    rows: list[list[Any]] = []
    faults, classes = [], set()
    for file in _kept(path.glob("*_boxes.json")):
        name = f"{path.name}/{file.name}"
        content = read_json(file, 10_000_000)
        film = films.find(file.name.removesuffix("_boxes.json"))
        found = list(content.values()) if isinstance(content, dict) else None
        if film is None:
            faults.append(f"{name}: a film that the labels do not name")
        elif not _dicts(found, "score") or not all(_is_number(box["score"]) for box in found or []):
            faults.append(f"{name}: not nnDetection's boxes (number: score, label, box)")
        else:
            classes |= {str(box.get("label", 0)) for box in found or []}
            rows += [[film, *[np.nan] * 4, float(box["score"])] for box in found or []]
    builder.faults += _few_faults(faults)
    _one_class(classes, path.name, builder)
    return _of_rows(rows)


def _yolo(path: Path, films: Films, builder: ScoresBuilder) -> pd.DataFrame:
    """class x_centre y_centre width height confidence, relative to the film; no file = no box."""
    sizes = films.table.drop_duplicates("image_id").set_index("image_id").reindex(columns=["width", "height"])
    rows: list[list[Any]] = []
    faults, classes = [], set()
    for file in _kept((_txt_folder(path) or path).glob("*.txt")):
        name, film = f"{path.name}/{file.name}", films.find(file.stem, file.name)
        if film is None:
            faults.append(f"{name}: a film that the labels do not name")
            continue
        lines = [line.split() for line in decode(read_whole(file, 10_000_000))[0].splitlines()]
        width, height = sizes.loc[film].astype(float)
        for number, line in enumerate(lines, 1):
            if not line:
                continue
            box = _yolo_box(line)
            if isinstance(box, str):
                faults.append(f"{name}: line {number} {box}")
                break
            classes.add(line[0])
            x, y, w, h, score = box
            rows.append(
                [film, (x - w / 2) * width, (y - h / 2) * height, (x + w / 2) * width, (y + h / 2) * height, score]
            )
    builder.faults += _few_faults(faults)
    _one_class(classes, path.name, builder)
    return _of_rows(rows)


def _yolo_box(line: list[str]) -> list[float] | str:
    """Centre, size and confidence of a line, or what is wrong with it."""
    if len(line) == 2:
        return "has two fields, as a classifier writes them; write a table with image_id, label, arm, score"
    if len(line) == 5:
        return "has no confidence; export with save_conf=True"
    if len(line) != 6:
        return (
            f"has {len(line)} fields where a box has 6 (masks, key points and turned boxes are not read): export boxes"
        )
    try:
        values = [float(value) for value in line[1:]]
    except ValueError:
        return "holds something that is no number"
    if not all(math.isfinite(value) and -1 <= value <= 2 for value in values) or min(values[2:4]) <= 0:
        return "is not relative to the film (x, y, width, height and confidence lie in 0 to 1)"
    return values


def _few_faults(faults: list[str], most: int = 20) -> list[str]:
    return faults[:most] + ([f"... and {len(faults) - most:,} more of the kind"] if len(faults) > most else [])
