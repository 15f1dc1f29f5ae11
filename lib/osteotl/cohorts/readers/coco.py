"""Reader `coco`: one or more COCO .json files (images, annotations, categories) beside the films.

`annotations` names a file or a folder (default: the one .json at or directly below the root). A film that `images`
lists without any annotation was looked at and is a film without lesion; a film in the folder that no file lists is left
out. Identifier 0 is an identifier; `area` plays no part. A region with `iscrowd: 1` holds several lesions: its film is
malignant, and the region no lesion box, with a warning. Boxes marked `difficult`, `occluded` or the like are lesions.
"""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

from osteotl.cohorts.readers.builder import CohortBuilder
from osteotl.cohorts.readers.files import as_list, files_below, files_in, number, read_json
from osteotl.cohorts.readers.marks import is_crowd, marks_of
from osteotl.cohorts.readers.splits import part_of_file


def read(builder: CohortBuilder) -> None:
    """Read every annotation file into the builder."""
    for path in annotation_files(builder, ".json"):
        content = read_json(builder, path)
        if content is not None:
            read_content(builder, path, content)
    builder.add_unlisted()


def annotation_files(builder: CohortBuilder, suffix: str) -> list[Path]:
    """The annotation files that the study names, or those at or directly below the root."""
    if builder.spec.annotations:
        named = builder.root / builder.spec.annotations
        files = files_below(named, suffix) if os.path.isdir(named) else [named]
    else:
        folders = [path for path in files_in(builder.root, "") if path.is_dir()]
        files = files_in(builder.root, suffix) or [path for folder in folders for path in files_in(folder, suffix)]
    if not files:
        builder.fault("file_missing", builder.root, f"there is no {suffix} file of annotations", "set `annotations`")
    return files


def read_content(builder: CohortBuilder, path: Path, content: Any, annotated_as: str = "native") -> None:
    """Add the films and boxes of one COCO mapping; `annotated_as`: the pixels that its corners refer to."""
    if not isinstance(content, dict) or not isinstance(content.get("images"), list):
        builder.fault(
            "file_unreadable", path, "is JSON but not COCO: it has no list `images`", "export it as COCO (detection)"
        )
        return
    annotations = listed_annotations(builder, path, content)
    categories = {
        entry["id"]: str(entry.get("name", entry["id"]))
        for entry in as_list(content.get("categories"))
        if isinstance(entry, dict) and is_key(entry.get("id"))
    }
    names = listed_images(builder, path, content["images"])
    kept: dict[str, int] = {}
    broken: set[str] = set()
    for place, entry in enumerate(annotations or []):
        _annotation(builder, path, f"annotation {place}", entry, names, categories, kept, broken)
    for entry, name in names.values():
        film = builder.find_film(name, path)
        part = part_of_file(path)
        whole = annotations is not None and name not in broken
        label = int(bool(kept.get(name))) if kept.get(name) or whole else None
        builder.add_film(
            name,
            film,
            label,
            annotated_width=number(entry.get("width")),
            annotated_height=number(entry.get("height")),
            annotated_as=annotated_as,
            split=part,
        )


def listed_annotations(builder: CohortBuilder, path: Path, content: dict[str, Any]) -> list[Any] | None:
    """The annotations of a COCO mapping; None, and a fault, where it has no list: no film of it was looked at then."""
    annotations = content.get("annotations")
    if isinstance(annotations, list):
        return annotations
    builder.fault(
        "file_unreadable",
        path,
        "has no list `annotations`: nothing says which of its films have a lesion",
        "export it with annotations; where it has none, write an empty list: []",
    )
    return None


def is_key(value: Any) -> bool:
    """Whether a value can number an image or a category; true and false, which Python takes for 1 and 0, cannot."""
    return isinstance(value, int | str) and not isinstance(value, bool)


def listed_images(builder: CohortBuilder, path: Path, images: list[Any]) -> dict[Any, tuple[dict[str, Any], str]]:
    """Image id -> (entry, file name); an entry without either, or an id used twice, is a fault."""
    names: dict[Any, tuple[dict[str, Any], str]] = {}
    for place, entry in enumerate(images):
        name = entry.get("file_name") if isinstance(entry, dict) else None
        key = entry.get("id") if isinstance(entry, dict) else None
        if not isinstance(name, str) or not name or not is_key(key):
            builder.fault("row_invalid", path, f"images[{place}] lacks an id or a file_name", "export it again")
        elif key in names:
            builder.fault(
                "duplicate_id", path, f"image id {key!r} stands for {names[key][1]!r} and {name!r}", "number them anew"
            )
        else:
            names[key] = (entry, name)
    return names


def _annotation(
    builder: CohortBuilder,
    path: Path,
    place: str,
    entry: Any,
    names: dict[Any, tuple[dict[str, Any], str]],
    categories: dict[Any, str],
    kept: dict[str, int],
    broken: set[str],
) -> None:
    image = entry.get("image_id") if isinstance(entry, dict) else None
    if not is_key(image) or image not in names:
        builder.fault(
            "unknown_id", path, f"{place} names image_id {image!r}, which `images` does not list", "correct it"
        )
        return
    name = names[image][1]
    category = entry.get("category_id")
    if not is_key(category) or category not in categories:
        builder.fault(
            "unknown_id",
            path,
            f"{place} ({name}) names category_id {category!r}, which `categories` does not list",
            "add the category",
        )
        broken.add(name)
        return
    finding = builder.finding(categories[category])
    if finding is None:
        return
    corners = box_of(entry)
    if corners is None:
        builder.fault(
            "box_invalid", path, f"{place} ({name}): bbox {entry.get('bbox')!r} is not four numbers", "draw it again"
        )
        broken.add(name)
        return
    if not is_crowd(builder, name, corners, marks_of(entry.get("attributes"), entry)):
        builder.add_box(name, corners, finding, written_as="sizes")
    kept[name] = kept.get(name, 0) + 1


def box_of(entry: dict[str, Any]) -> tuple[float, float, float, float] | None:
    """Corners of an annotation: its bbox [x, y, width, height], else the bounds of its polygons."""
    box = [number(value) for value in as_list(entry.get("bbox"))]
    if len(box) == 4 and all(map(math.isfinite, box)):
        return box[0], box[1], box[0] + box[2], box[1] + box[3]
    points = [number(v) for part in as_list(entry.get("segmentation")) for v in as_list(part)]
    if box or len(points) < 6 or len(points) % 2 or not all(map(math.isfinite, points)):
        return None
    return min(points[::2]), min(points[1::2]), max(points[::2]), max(points[1::2])
