"""Reader `labelme`: one LabelMe .json per film below `annotations` (default: annotations or Annotations).

A lesion drawn twice, as polygon and as rectangle (BTXRD does so), is ONE lesion. Rule: a rectangle and a polygon of the
same class, whose bounds overlap with an intersection over union of at least 0.5, are joined one to one, best overlap
first; the rectangle gives the box. A file without shapes says 'no lesion', unless a flag of the image says otherwise:
flags are words such as malignant or normal, or mapped by `classes: {flag: '1'}`; with another flag alone the film is
not annotated. A film without a file is not annotated and left out, unless the study gives every film a `label`. A shape
with the flag crowd holds several lesions: its film is malignant, and the shape no lesion box, with a warning; shapes
with the flag difficult, truncated or the like are lesions.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from osteotl.cohorts.readers.builder import CohortBuilder
from osteotl.cohorts.readers.columns import LABEL_WORDS, classes_drawn, label_word, plain_name
from osteotl.cohorts.readers.files import as_list, files_below, number, read_json
from osteotl.cohorts.readers.marks import Corners, is_crowd, marks_of

SAME_LESION = 0.5  # intersection over union; BTXRD's and the osteosarcoma films' pairs lie above .9


@dataclass(frozen=True)
class Lesion:
    """What a shape shows, its bounds, and what is marked beside its class (such as difficult)."""

    name: str
    corners: Corners
    marks: tuple[str, ...] = ()


def read(builder: CohortBuilder) -> None:
    """Read every annotation file and film into the builder."""
    seen: set[Path] = set()
    flagged: dict[Path, list[str]] = {}
    folder, paths = annotation_paths(builder)
    for path in paths:
        content = read_json(builder, path)
        if content is None:
            continue
        film = film_of(builder, folder, path, content)
        if film is None:
            continue
        if film in seen:
            builder.fault("duplicate_id", path, f"annotates {film.name} a second time", "keep one file per film")
            continue
        seen.add(film)
        image_id = film.relative_to(builder.root).as_posix()
        lesions = lesions_of(builder, path, content)
        kept = None if lesions is None else add_lesions(builder, image_id, lesions)
        builder.add_film(image_id, film, _label(builder, path, content, kept, flagged), **stated_size(content))
    _flag_faults(builder, flagged)
    builder.add_unlisted()


def _label(
    builder: CohortBuilder, path: Path, content: dict[str, Any], kept: int | None, flagged: dict[Path, list[str]]
) -> int | None:
    """1 with a box; without one 0, unless a flag of the image says something else or something unknown."""
    flags = content.get("flags")
    true = [str(name) for name, set_ in flags.items() if set_ is True] if isinstance(flags, dict) else []
    stated = {LABEL_WORDS.get(label_word(builder, flag)) for flag in true}
    if kept is None or not true:
        return None if kept is None else int(kept > 0)
    if len(stated) == 1 and (label := stated.pop()) is not None:
        return label  # with or without boxes: a contradiction is listed by the box checks
    if kept:
        return 1
    flagged[path] = true
    return None


def _flag_faults(builder: CohortBuilder, flagged: dict[Path, list[str]]) -> None:
    """Films with nothing but a flag that nobody explained; `classes` must then name the classes of boxes as well."""
    words = list(dict.fromkeys(flag for flags in flagged.values() for flag in flags))[:6]
    named = ", ".join([*(f"{json.dumps(word, ensure_ascii=False)}: '?'" for word in words), classes_drawn(builder)])
    named = named.removesuffix(", ")
    remedy = f"add to the cohort: classes: {{{named}}}, with '1' (malignant) or '0' for each '?'; else it is left out"
    for path, flags in flagged.items():
        told = ", ".join(map(repr, flags[:4]))
        text = f"has no shape but the flag {told}, which says neither malignant nor normal"
        builder.fault("not_annotated", path, text, remedy)


def annotation_paths(builder: CohortBuilder) -> tuple[Path, list[Path]]:
    """The annotation folder and its .json files, nested folders included (BTXRD's archive nests one)."""
    names = [builder.spec.annotations] if builder.spec.annotations else ["annotations", "Annotations"]
    folder = next((builder.root / name for name in names if os.path.isdir(builder.root / name)), None)
    if folder is None:
        if builder.spec.label is None:
            builder.fault(
                "file_missing", names[0], "there is no such folder of LabelMe files", "set `annotations` to it"
            )
        return builder.root, []
    return folder, files_below(folder, ".json")


def film_of(builder: CohortBuilder, folder: Path, path: Path, content: Any) -> Path | None:
    """The film that a file annotates: the one of its name, else its imagePath; two films are a fault."""
    if not isinstance(content, dict) or not isinstance(content.get("shapes"), list):
        builder.fault(
            "file_unreadable", path, "is JSON but not LabelMe: it has no list `shapes`", "export it from LabelMe"
        )
        return None
    named = content.get("imagePath")
    return builder.film_beside(path, folder, named if isinstance(named, str) else "")


def stated_size(content: dict[str, Any]) -> dict[str, Any]:
    """The film size that the annotation states."""
    return {
        "annotated_width": number(content.get("imageWidth")),
        "annotated_height": number(content.get("imageHeight")),
        "annotated_as": "native",
    }


def lesions_of(
    builder: CohortBuilder, path: Path, content: dict[str, Any], kept: tuple[str, ...] | None = None
) -> list[Lesion] | None:
    """Class and corners of every lesion, each once; None where a shape of a class that counts cannot be read.

    `kept` are the only classes that count, where a layout has its own.
    """
    shapes: list[tuple[Lesion, str]] = []
    whole = True
    for place, shape in enumerate(content["shapes"]):
        read_shape = _shape(shape)
        if read_shape is None and _left_out(builder, shape, kept):
            continue
        if read_shape is None:
            builder.fault(
                "box_invalid",
                path,
                f"shapes[{place}]{_kind(shape)} is no polygon, rectangle, circle or mask of finite points",
                "draw it again as one of these, or leave its class out by `classes`",
            )
            whole = False
        else:
            shapes.append(read_shape)
    return _once(shapes) if whole or shapes else None


def add_lesions(builder: CohortBuilder, image_id: str, lesions: list[Lesion]) -> int:
    """Add the lesions whose class the study keeps; how many. A region of several counts and is no box."""
    kept = [(finding, lesion) for lesion in lesions if (finding := builder.finding(lesion.name)) is not None]
    for finding, lesion in kept:
        if not is_crowd(builder, image_id, lesion.corners, lesion.marks):
            builder.add_box(image_id, lesion.corners, finding)
    return len(kept)


def _left_out(builder: CohortBuilder, shape: Any, kept: tuple[str, ...] | None) -> bool:
    """Whether a shape is of a class that does not count: then it need not be a box."""
    if not isinstance(shape, dict) or not isinstance(shape.get("label"), str):
        return False
    if kept is not None:
        return plain_name(shape["label"]) not in kept
    return bool(builder.spec.classes) and builder.finding(shape["label"]) is None


def _kind(shape: Any) -> str:
    kind = shape.get("shape_type") if isinstance(shape, dict) else None
    return f" ({kind})" if isinstance(kind, str) else ""


def _shape(shape: Any) -> tuple[Lesion, str] | None:
    if not isinstance(shape, dict):
        return None
    kind = shape.get("shape_type") or "polygon"
    pairs = [as_list(pair) for pair in as_list(shape.get("points"))]
    points = [(number(pair[0]), number(pair[1])) for pair in pairs if len(pair) == 2]
    least = {"polygon": 3, "rectangle": 2, "circle": 2, "mask": 2}.get(kind if isinstance(kind, str) else "")
    if least is None or len(points) != len(pairs) or len(points) < least:
        return None
    if not all(math.isfinite(value) for point in points for value in point):
        return None
    # the two points of a mask are the corners of its bounds, as those of a rectangle
    if kind == "circle":  # centre and a point on the rim
        (x, y), rim = points[0], math.dist(points[0], points[1])
        points = [(x - rim, y - rim), (x + rim, y + rim)]
    across, down = [x for x, _ in points], [y for _, y in points]
    corners = (min(across), min(down), max(across), max(down))
    return Lesion(str(shape.get("label", "")), corners, marks_of(shape.get("flags"), shape)), str(kind)


def _once(shapes: list[tuple[Lesion, str]]) -> list[Lesion]:
    """Join each rectangle with the polygon of the same lesion."""
    lesions, kinds = [lesion for lesion, _ in shapes], [kind for _, kind in shapes]
    pairs = sorted(
        (
            (overlap(lesions[r].corners, lesions[p].corners), -r, -p)
            for r in range(len(shapes))
            for p in range(len(shapes))
            if kinds[r] == "rectangle" and kinds[p] == "polygon" and lesions[r].name == lesions[p].name
        ),
        reverse=True,
    )
    joined: set[int] = set()
    for share, r, p in pairs:
        if share >= SAME_LESION and not joined & {-r, -p}:
            joined |= {-r, -p}
            marks = (*lesions[-r].marks, *lesions[-p].marks)
            lesions[-r] = replace(lesions[-r], marks=marks)
            kinds[-p] = "drawn as rectangle"
    return [lesion for lesion, kind in zip(lesions, kinds, strict=True) if kind != "drawn as rectangle"]


def overlap(first: Sequence[float], second: Sequence[float]) -> float:
    """Intersection over union of two boxes."""
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    if width <= 0 or height <= 0:
        return 0.0
    areas = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (first, second))
    return width * height / (areas - width * height)
