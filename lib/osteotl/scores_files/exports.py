"""A folder of exports -> one long table: YOLO txt results, COCO detections, picai_eval metrics, per-case tables."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from osteotl.scores_files.columns import CORNERS, arm_and_seed
from osteotl.scores_files.long_table import (
    DETECTION_COLUMNS,
    LESION_COLUMNS,
    Draft,
    ScoresError,
    as_text,
    base_columns,
    read_table,
)

LABEL_FILES = ("labels.csv", "labels.parquet", "labels.json", "truth.json")
BOX = ["image_id", *CORNERS, "score"]


@dataclass
class Films:
    """The films of the folder: all of them, boxes or not."""

    table: pd.DataFrame  # image_id, label, patient_id, cohort, row, and width, height where known
    by_key: dict[str, str]  # every spelling under which an export may name a film
    lesions: pd.DataFrame | None = None
    draft: Draft = field(default_factory=lambda: Draft(pd.DataFrame()))

    def find(self, name: Any, file_name: Any = None) -> str | None:
        """The film that an export means: by file stem, by identifier, by number without leading zeros."""
        for key in (file_name, name):
            if key is not None:
                stem = Path(str(key)).stem if not str(key).isdigit() else str(key)
                for spelling in (str(key), stem, stem.lstrip("0")):
                    if spelling in self.by_key:
                        return self.by_key[spelling]
        return None


def read_folder(folder: Path) -> Draft:
    """Every arm of a folder; labels come from labels.csv (or .parquet), labels.json (COCO), or picai_eval's own."""
    arms = _arm_paths(folder)
    if not arms:
        rule = "put ARM.json, ARM.csv or a folder ARM/ of txt files beside labels.csv (image_id, label)"
        raise ScoresError([f"{folder.name}: no export found; {rule}"])
    contents = {path: _json(path) for path in arms if path.suffix == ".json"}
    films = _films(folder, contents)
    draft = films.draft
    parts, boxes = [], []
    for path in arms:
        arm, seed = arm_and_seed(path.stem)
        score, found = _read_arm(path, contents.get(path), films, draft)
        parts.append(films.table.assign(arm=arm, seed=seed, fraction=1.0, score=score))
        if found is not None and len(found):
            boxes.append(found.assign(arm=arm, seed=seed, fraction=1.0)[DETECTION_COLUMNS])
    draft.table = pd.concat(parts, ignore_index=True)
    draft.detections = pd.concat(boxes, ignore_index=True) if boxes else None
    draft.lesions = films.lesions
    draft.remarks.append("arms, in the order of file names: " + ", ".join(dict.fromkeys(draft.table["arm"])))
    return draft


def _arm_paths(folder: Path) -> list[Path]:
    files = [p for p in sorted(folder.iterdir()) if p.suffix.lower() in (".json", ".csv") and p.name not in LABEL_FILES]
    folders = [p for p in sorted(folder.iterdir()) if p.is_dir() and not p.name.startswith(".") and _txt_folder(p)]
    return sorted([*files, *folders], key=lambda p: p.name)


def _txt_folder(path: Path) -> Path | None:
    """YOLO writes its txt files into runs/.../labels/."""
    for at in (path, path / "labels"):
        if at.is_dir() and next(at.glob("*.txt"), None):
            return at
    return path / "labels" if (path / "labels").is_dir() else None


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ScoresError([f"{path.name}: not JSON ({error})"]) from error


# --- films ------------------------------------------------------------------------------------------------------------


def _films(folder: Path, contents: dict[Path, Any]) -> Films:
    path = next((folder / name for name in LABEL_FILES if (folder / name).exists()), None)
    if path is None:
        return _films_of_picai(folder, contents)
    if path.suffix == ".json":
        return _films_of_coco(path)
    frame, roles = read_table(path)
    draft = Draft(pd.DataFrame(), remarks=roles.remarks)
    if absent := [c for c in ("image_id", "label") if c not in roles.column]:
        raise ScoresError([f"{path.name}: no column {c!r}; it needs image_id and label of every film" for c in absent])
    table = base_columns(frame, roles, draft)
    for size in ("width", "height"):
        if size in roles.column:
            table[size] = pd.to_numeric(frame[roles.column[size]], errors="coerce")
    return Films(table, _spellings(table["image_id"]), None, draft)


def _films_of_picai(folder: Path, contents: dict[Path, Any]) -> Films:
    cases = [c for c in contents.values() if isinstance(c, dict) and "case_target" in c]
    if not cases:
        raise ScoresError([f"{folder.name}: no labels.csv (image_id, label), which names every film and its class"])
    labels: dict[str, int] = {}
    draft = Draft(pd.DataFrame(), remarks=["labels are picai_eval's case_target"])
    for content in cases:
        for name, target in content["case_target"].items():
            if labels.setdefault(name, int(float(target))) != int(float(target)):
                draft.faults.append(f"labels of film {name!r} disagree between the picai_eval files")
    return Films(_film_table(list(labels), list(labels.values())), _spellings(pd.Series(list(labels))), None, draft)


def _film_table(names: list[str], labels: list[int]) -> pd.DataFrame:
    return pd.DataFrame({"row": np.arange(1, len(names) + 1), "image_id": names, "label": labels, "patient_id": names,
                         "cohort": "external"})  # fmt: skip


def _films_of_coco(path: Path) -> Films:
    content = _json(path)
    if not isinstance(content, dict) or not {"images", "annotations"} <= set(content):
        raise ScoresError([f"{path.name}: not a COCO reference standard (images, annotations)"])
    names = {i["id"]: Path(str(i.get("file_name", i["id"]))).stem for i in content["images"]}
    lesions = [
        [names[a["image_id"]], *_corners(a["bbox"])] for a in content["annotations"] if a.get("image_id") in names
    ]
    ill = {row[0] for row in lesions}
    table = _film_table(list(names.values()), [int(n in ill) for n in names.values()])
    for size in ("width", "height"):
        table[size] = [i.get(size) for i in content["images"]]
    draft = Draft(pd.DataFrame(), remarks=[f"{path.name}: a film with an annotation is malignant, one without is not"])
    spellings = {**_spellings(table["image_id"]), **{str(key): name for key, name in names.items()}}
    return Films(table, spellings, pd.DataFrame(lesions, columns=LESION_COLUMNS), draft)


def _spellings(names: pd.Series) -> dict[str, str]:
    short = {Path(n).stem.lstrip("0"): n for n in names}
    return {**(short if len(short) == len(names) else {}), **{Path(n).stem: n for n in names}, **{n: n for n in names}}


def _corners(box: list[float]) -> list[float]:
    x, y, width, height = (float(v) for v in box)
    return [x, y, x + width, y + height]


# --- arms -------------------------------------------------------------------------------------------------------------


def _read_arm(path: Path, content: Any, films: Films, draft: Draft) -> tuple[np.ndarray, pd.DataFrame | None]:
    """Score of every film, and boxes."""
    if path.is_dir():
        return _from_boxes(_yolo(path, films, draft), path.name, films, draft)
    if path.suffix == ".csv":
        frame, roles = read_table(path)
        if not {"image_id", "score"} <= set(roles.column):
            draft.faults.append(f"{path.name}: needs the columns image_id and score")
            return np.zeros(len(films.table)), None
        scores = pd.to_numeric(frame[roles.column["score"]], errors="coerce").tolist()
        return _from_cases(
            dict(zip(as_text(frame[roles.column["image_id"]]), scores, strict=True)), path.name, films, draft
        )
    if isinstance(content, dict) and "case_pred" in content:
        return _from_cases({k: float(v) for k, v in content["case_pred"].items()}, path.name, films, draft)
    if isinstance(content, list) and all(isinstance(d, dict) and {"bbox", "score"} <= set(d) for d in content):
        return _from_boxes(_coco(content, path.name, films, draft), path.name, films, draft)
    draft.faults.append(
        f"{path.name}: neither COCO detections (a list of image_id, bbox, score) nor picai_eval metrics"
    )
    return np.zeros(len(films.table)), None


def _from_cases(scores: dict[str, float], name: str, films: Films, draft: Draft) -> tuple[np.ndarray, None]:
    known = {films.find(key): value for key, value in scores.items()}
    if stray := [key for key in scores if films.find(key) is None]:
        draft.faults.append(f"{name}: scores for films that labels.csv does not name: {_few(stray)}")
    values = films.table["image_id"].map(known).to_numpy(float)
    if np.isnan(values).any():
        draft.faults.append(f"{name}: no score for {_few(films.table.loc[np.isnan(values), 'image_id'].tolist())}")
    return values, None


def _from_boxes(boxes: pd.DataFrame, name: str, films: Films, draft: Draft) -> tuple[np.ndarray, pd.DataFrame | None]:
    """The score of a film is that of its highest box; a film without a box has 0, and that is said."""
    best = boxes.groupby("image_id")["score"].max()
    values = films.table["image_id"].map(best)
    if silent := int(values.isna().sum()):
        draft.remarks.append(
            f"{name}: {silent:,} films without a box score 0; boxes down to a confidence of 0.001 would rank them"
        )
    corners = boxes.dropna(subset=list(CORNERS))
    if len(corners) < len(boxes):
        draft.remarks.append(f"{name}: boxes are left out, since labels.csv has no width and height of the films")
    return values.fillna(0.0).to_numpy(float), corners.reset_index(drop=True)


def _coco(content: list[dict[str, Any]], name: str, films: Films, draft: Draft) -> pd.DataFrame:
    rows, stray = [], []
    for one in content:
        film = films.find(one.get("image_id"), one.get("file_name"))
        if film is None:
            stray.append(str(one.get("image_id")))
        else:
            rows.append([film, *_corners(one["bbox"]), float(one["score"])])
    if stray:
        draft.faults.append(f"{name}: boxes on films that labels.csv does not name: {_few(list(dict.fromkeys(stray)))}")
    return pd.DataFrame(rows, columns=BOX)


def _yolo(path: Path, films: Films, draft: Draft) -> pd.DataFrame:
    """class x_centre y_centre width height confidence, relative to the film; no file = no box."""
    sizes = films.table.set_index("image_id").reindex(columns=["width", "height"])
    rows: list[list[Any]] = []
    for file in sorted((_txt_folder(path) or path).glob("*.txt")):
        film = films.find(file.stem)
        lines = [line.split() for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
        if film is None:
            draft.faults.append(f"{path.name}/{file.name}: a film that labels.csv does not name")
            continue
        if short := [i for i, line in enumerate(lines, 1) if len(line) < 6]:
            draft.faults.append(
                f"{path.name}/{file.name}: line {short[0]} has no confidence; export with save_conf=True"
            )
            continue
        width, height = sizes.loc[film]
        rows += [[film, *_absolute(line, width, height), float(line[5])] for line in lines]
    return pd.DataFrame(rows, columns=BOX).astype(dict.fromkeys([*CORNERS, "score"], float))


def _absolute(line: list[str], width: float, height: float) -> list[float]:
    x, y, w, h = (float(v) for v in line[1:5])
    return [(x - w / 2) * width, (y - h / 2) * height, (x + w / 2) * width, (y + h / 2) * height]


def _few(names: list[str]) -> str:
    return ", ".join(map(repr, names[:10])) + (f", ... ({len(names):,} in all)" if len(names) > 10 else "")
