"""Reader `yolo`: a text file for every film, one line per box: class, centre x, centre y, width, height in [0, 1].

Films lie below `images` (default: the folder images), text files below `annotations` (default: labels), class names in
data.yaml (or the one .yaml of the root). Without these settings train/images with train/labels, and the like, are found
too; for text files beside the films let both name one folder. An empty text file says 'no lesion'; a film without a
text file is not annotated and is left out, unless the study gives every film a `label`. Lines with more coordinates are
polygons, or boxes with key points where data.yaml holds `kpt_shape`. Folders named train, val or test, and lists that
data.yaml names, are the shipped split.
"""

from __future__ import annotations

import math
import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from osteotl.cohorts.readers.builder import CohortBuilder
from osteotl.cohorts.readers.files import as_list, files_below, files_in, number, read_text, read_yaml
from osteotl.cohorts.readers.splits import listed_parts, part_of


@dataclass(frozen=True)
class DataFile:
    """What data.yaml says: class number -> name, numbers of a line's key points, film stem -> part.

    `outlines` is true where `kpt_shape: null` says that longer lines are polygons.
    """

    names: dict[int, str] = field(default_factory=dict)
    points: int | None = None
    outlines: bool = False
    parts: dict[str, str] = field(default_factory=dict)


def read(builder: CohortBuilder) -> None:
    """Read the folder into the builder."""
    data = read_data_file(builder)
    texts = _texts(builder)
    folder = builder.root / (builder.spec.images or "images")
    stems = Counter(film.stem for film in builder.index.paths)
    longer: list[list[float]] = []
    for film in builder.index.paths:
        inside = film.relative_to(folder) if film.is_relative_to(folder) else film.relative_to(builder.root)
        text = texts.pop(_key(inside, "images"), None)
        if text is None and stems[film.stem] == 1:  # one text file cannot be of two films
            text = texts.pop(inside.stem, None)
        image_id = film.relative_to(builder.root).as_posix()
        kept = None if text is None else _boxes(builder, image_id, text, data, longer)
        size: dict[str, Any] = {"annotated_width": 1.0, "annotated_height": 1.0, "annotated_as": "scaled"}
        size["split"] = data.parts.get(str(film)) or data.parts.get(film.stem)
        builder.add_film(image_id, film, None if kept is None else int(kept > 0), **size)
    for file in texts.values():
        builder.fault(
            "film_missing", file, "labels a film that is not there", "add the film or take out the label file"
        )
    if longer and not data.outlines and all(map(_like_key_points, longer)) and len(set(map(len, longer))) == 1:
        said = f"every line of {len(longer[0])} numbers reads as a box with key points inside as well as as a polygon"
        remedy = "say which in data.yaml: kpt_shape: [number of points, 2 or 3], or kpt_shape: null for polygons"
        builder.fault("row_invalid", "data.yaml", said, remedy)


def _texts(builder: CohortBuilder) -> dict[str, Path]:
    """Text files by their path without the folder labels."""
    named = builder.root / (builder.spec.annotations or "labels")
    others = [] if builder.spec.annotations else sorted(builder.root.glob("*/labels"))  # train/labels, valid/labels
    folders = [folder for folder in (named, *others) if os.path.isdir(folder)]
    if not folders and builder.spec.label is None:
        builder.fault(
            "file_missing", named, "there is no such folder of label files", "set `annotations` to it, or `label`"
        )
    base = named if builder.spec.annotations else builder.root
    return {
        _key(path.relative_to(base), "labels"): path
        for folder in folders
        for path in files_below(folder, ".txt")
        if path.name.lower() != "classes.txt"
    }


def _key(path: Path, folder: str) -> str:
    """What a film and its text file have in common: the path without its suffix and the folder's name."""
    return "/".join(part for part in path.with_suffix("").parts if part != folder)


def read_data_file(builder: CohortBuilder) -> DataFile:
    """Class names, key points and parts from the data file; numbers stand for themselves where there is none."""
    files = [builder.root / "data.yaml", *files_in(builder.root, ".yaml", ".yml")]
    path = next((path for path in files if path.is_file()), None)
    content = None if path is None else read_yaml(builder, path)
    if path is None or content is None:
        return DataFile()
    if not isinstance(content, dict):
        content = {}
    stated = "kpt_shape" in content
    points = _points(builder, path, content)
    return DataFile(_names(builder, path, content), points, stated, _parts(builder, path, content))


def _names(builder: CohortBuilder, path: Path, content: dict[Any, Any]) -> dict[int, str]:
    names = content.get("names")
    # names must be plain words: the text of a list of aliases of lists of aliases would never end
    if isinstance(names, list):
        names = dict(enumerate(names))
    if isinstance(names, dict) and all(isinstance(k, int) and isinstance(v, str | int) for k, v in names.items()):
        return {number_: str(name) for number_, name in names.items()}
    builder.fault(
        "file_unreadable", path, "has no list or mapping `names` of the classes", "add names: [first, second]"
    )
    return {}


def _points(builder: CohortBuilder, path: Path, content: dict[Any, Any]) -> int | None:
    """Numbers that follow a box for its key points (kpt_shape: [how many, 2 or 3]); None where there are none."""
    shape = content.get("kpt_shape")
    if shape is None:
        return None
    sound = isinstance(shape, list) and len(shape) == 2 and all(type(n) is int for n in shape)
    if sound and 0 < shape[0] < 10_000 and shape[1] in (2, 3):
        return shape[0] * shape[1]
    text = f"kpt_shape is {str(shape)[:40]}, not [number of points, 2 or 3]"
    builder.fault("file_unreadable", path, text, "correct it, or take it out where lines hold boxes or polygons")
    return None


def _parts(builder: CohortBuilder, path: Path, content: dict[Any, Any]) -> dict[str, str]:
    """Film path or stem -> part, from the folders and lists that `train`, `val` and `test` name.

    A folder or list that serves two parts, or holds every film, tells nothing.
    """
    base = content.get("path")
    bases = [builder.root / base if isinstance(base, str) else builder.root, builder.root, path.parent]
    places: dict[Path, set[str]] = {}
    for key, value in content.items():
        for place in [value] if isinstance(value, str) else as_list(value):
            if (part := part_of(key)) and isinstance(place, str):
                found = next((b / place for b in bases if os.path.exists(b / place)), bases[0] / place)
                places.setdefault(Path(os.path.normpath(found)), set()).add(part)
    single = {place: parts.pop() for place, parts in places.items() if len(parts) == 1}
    lists = {place: part for place, part in single.items() if place.suffix == ".txt"}
    parts = listed_parts(builder, {place: part for place, part in lists.items() if place.is_relative_to(builder.root)})
    for place, part in single.items():
        inside = [film for film in builder.index.paths if film.is_relative_to(place)] if os.path.isdir(place) else []
        if len(inside) < len(builder.index.paths):
            parts |= {str(film): part for film in inside}
    return parts


def _boxes(builder: CohortBuilder, image_id: str, path: Path, data: DataFile, longer: list[list[float]]) -> int | None:
    """Add the boxes of one file; how many were kept, or None where the file cannot be trusted."""
    text = read_text(builder, path)
    if text is None:
        return None
    names, kept, whole = data.names, 0, True
    sizes = (5, 5 + (data.points or 0))
    for number_, line in enumerate(text.splitlines(), start=1):
        cells = line.split()
        if not cells:
            continue
        values = [number(cell) for cell in cells]
        corners = _corners(values, data.points)
        if corners is None:
            builder.fault(
                "row_invalid",
                path,
                f"line {number_}: {line[:60]!r} is not class x y width height",
                "write five numbers a line (or a class and at least three points)"
                if data.points is None
                else f"write five numbers a line and {data.points} for key points, as kpt_shape in data.yaml says",
            )
            whole = False
            continue
        longer += [values] if len(values) > 5 and data.points is None else []
        finding = builder.finding(names.get(int(values[0]), cells[0]))
        if names and int(values[0]) not in names:
            builder.fault(
                "row_invalid",
                path,
                f"line {number_}: class {cells[0]} is not among the {len(names)} named classes",
                "add its name to data.yaml",
            )
            whole = False
        elif finding is not None:
            builder.add_box(image_id, corners, finding, written_as="centre" if len(values) in sizes else "corners")
            kept += 1
    return kept if whole or kept else None


def _like_key_points(values: list[float]) -> bool:
    """Whether a line starts with a box on the film that holds all further points, unseen ones (0, 0) apart."""
    x, y, width, height = values[1:5]
    within = 0 < width <= 2 * min(x, 1 - x) + 0.01 and 0 < height <= 2 * min(y, 1 - y) + 0.01
    for step in (2, 3):
        points = list(zip(values[5::step], values[6::step], strict=False))
        inside = all((abs(a - x) <= width / 2 and abs(b - y) <= height / 2) or (a == 0 and b == 0) for a, b in points)
        if within and inside and len(values[5:]) % step == 0:
            return True
    return False


def _corners(values: list[float], points: int | None) -> tuple[float, float, float, float] | None:
    """Corners of a line's box, or the bounds of its polygon; `points` numbers of key points follow a box."""
    if len(values) < 5 or not all(map(math.isfinite, values)) or values[0] != int(values[0]) or values[0] < 0:
        return None
    if len(values) == 5 or (points is not None and len(values) == 5 + points):
        x, y, width, height = values[1:5]
        return x - width / 2, y - height / 2, x + width / 2, y + height / 2
    if points is not None or len(values) < 7 or len(values) % 2 == 0:
        return None
    across, down = values[1::2], values[2::2]
    return min(across), min(down), max(across), max(down)
