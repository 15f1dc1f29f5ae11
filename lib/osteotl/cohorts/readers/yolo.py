"""Reader `yolo`: a text file for every film, one line per box: class, centre x, centre y, width, height in [0, 1].

Films lie below `images` (default: the folder images), text files below `annotations` (default: labels), class names in
data.yaml (or the one .yaml of the root). Without these settings train/images with train/labels, and the like, are found
too; for text files beside the films let both name one folder. An empty text file says 'no lesion'; a film without a
text file is not annotated and is left out, unless the study gives every film a `label`. Lines with more coordinates are
polygons.
"""

from __future__ import annotations

import math
from pathlib import Path

from osteotl.cohorts.readers.draft import Draft
from osteotl.cohorts.readers.files import number, read_text, read_yaml


def read(draft: Draft) -> None:
    """Read the folder into the draft."""
    names = class_names(draft)
    texts = _texts(draft)
    folder = draft.root / (draft.spec.images or "images")
    for film in draft.index.paths:
        inside = film.relative_to(folder) if film.is_relative_to(folder) else film.relative_to(draft.root)
        text = texts.pop(_key(inside, "images"), None) or texts.pop(inside.stem, None)
        image_id = film.relative_to(draft.root).as_posix()
        kept = None if text is None else _boxes(draft, image_id, text, names)
        size = {"annotated_width": 1.0, "annotated_height": 1.0, "annotated_as": "scaled"}
        draft.add_film(image_id, film, None if kept is None else int(kept > 0), **size)
    for path in texts.values():
        draft.fault("film_missing", path, "labels a film that is not there", "add the film or take out the label file")


def _texts(draft: Draft) -> dict[str, Path]:
    """Text files by their path without the folder labels."""
    named = draft.root / (draft.spec.annotations or "labels")
    others = [] if draft.spec.annotations else sorted(draft.root.glob("*/labels"))  # train/labels, valid/labels
    folders = [folder for folder in (named, *others) if folder.is_dir()]
    if not folders and draft.spec.label is None:
        draft.fault(
            "file_missing", named, "there is no such folder of label files", "set `annotations` to it, or `label`"
        )
    base = named if draft.spec.annotations else draft.root
    return {
        _key(path.relative_to(base), "labels"): path
        for folder in folders
        for path in sorted(folder.rglob("*.txt"))
        if path.name != "classes.txt"
    }


def _key(path: Path, folder: str) -> str:
    """What a film and its text file have in common: the path without its suffix and the folder's name."""
    return "/".join(part for part in path.with_suffix("").parts if part != folder)


def class_names(draft: Draft) -> dict[int, str]:
    """Class number -> name, from the data file; numbers stand for themselves where there is none."""
    files = [draft.root / "data.yaml", *sorted(draft.root.glob("*.yaml")), *sorted(draft.root.glob("*.yml"))]
    path = next((path for path in files if path.is_file()), None)
    if path is None:
        return {}
    content = read_yaml(draft, path)
    names = content.get("names") if isinstance(content, dict) else None
    # names must be plain words: the text of a list of aliases of lists of aliases would never end
    if isinstance(names, list):
        names = dict(enumerate(names))
    if isinstance(names, dict) and all(isinstance(k, int) and isinstance(v, str | int) for k, v in names.items()):
        return {number_: str(name) for number_, name in names.items()}
    if content is not None:
        draft.fault(
            "file_unreadable", path, "has no list or mapping `names` of the classes", "add names: [first, second]"
        )
    return {}


def _boxes(draft: Draft, image_id: str, path: Path, names: dict[int, str]) -> int | None:
    """Add the boxes of one file; how many were kept, or None where the file cannot be trusted."""
    text = read_text(draft, path)
    if text is None:
        return None
    kept, whole = 0, True
    for number_, line in enumerate(text.splitlines(), start=1):
        cells = line.split()
        if not cells:
            continue
        values = [number(cell) for cell in cells]
        corners = _corners(values)
        if corners is None:
            draft.fault(
                "row_invalid",
                path,
                f"line {number_}: {line[:60]!r} is not class x y width height",
                "write five numbers a line (or a class and at least three points)",
            )
            whole = False
            continue
        finding = draft.finding(names.get(int(values[0]), cells[0]))
        if names and int(values[0]) not in names:
            draft.fault(
                "row_invalid",
                path,
                f"line {number_}: class {cells[0]} is not among the {len(names)} named classes",
                "add its name to data.yaml",
            )
            whole = False
        elif finding is not None:
            draft.add_box(image_id, corners, finding)
            kept += 1
    return kept if whole or kept else None


def _corners(values: list[float]) -> tuple[float, float, float, float] | None:
    if len(values) < 5 or not all(map(math.isfinite, values)) or values[0] != int(values[0]) or values[0] < 0:
        return None
    if len(values) == 5:
        _, x, y, width, height = values
        return x - width / 2, y - height / 2, x + width / 2, y + height / 2
    if len(values) < 7 or len(values) % 2 == 0:
        return None
    across, down = values[1::2], values[2::2]
    return min(across), min(down), max(across), max(down)
