"""Reader `tbx11k`: TBX11K (imgs/{health,sick,tb,test,extra}, annotations/json, annotations/xml).

Two facts decide the reading. Boxes in .json are in 512 px, boxes in .xml are 1-based in pixels of the original film:
both are scaled to the film at hand. A film stands in several .json files (train, trainval, all): it is read once, and
its boxes must agree. Label 1 = has a box; health and sick films have none; films of test have no published annotation
and films of extra were not searched for boxes: they are left out, as is a tb film without a box. The folder of a film
is the column `group`. `annotations` chooses a file or folder (default: annotations/json, else annotations/xml).
"""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath
from typing import Any

from osteotl.cohorts.readers import voc
from osteotl.cohorts.readers.builder import CohortBuilder
from osteotl.cohorts.readers.coco import box_of, is_key, listed_annotations, listed_images
from osteotl.cohorts.readers.files import as_list, files_below, number, read_json
from osteotl.cohorts.readers.splits import listed_parts, part_of_file

WITHOUT_LESION = ("health", "sick")


def read(builder: CohortBuilder) -> None:
    """Read the annotations and films into the builder."""
    names = [builder.spec.annotations] if builder.spec.annotations else ["annotations/json", "annotations/xml"]
    place = next(
        (builder.root / name for name in names if os.path.exists(builder.root / name)), builder.root / names[0]
    )
    files = files_below(place, ".json", ".xml") if os.path.isdir(place) else [place] if os.path.isfile(place) else []
    if not files:
        builder.fault("file_missing", place, "there is no .json or .xml file of annotations", "set `annotations`")
    seen: dict[Path, list[tuple[Any, ...]]] = {}
    for path in files:
        if path.suffix == ".xml":
            _read_xml(builder, path)
        else:
            _read_json(builder, path, seen)
    _rest(builder)
    _shipped(builder, place)


def _shipped(builder: CohortBuilder, place: Path) -> None:
    """The part of each film: by lists/*.txt, else by the .json that lists it (trainval and all say none)."""
    lists = {path: part for path in files_below(builder.root / "lists", ".txt") if (part := part_of_file(path))}
    parts = listed_parts(builder, lists)
    for film in builder.films:
        if stem := PurePosixPath(str(film["image_id"])).stem:
            film["split"] = parts.get(stem) or film.get("split")


def _group(builder: CohortBuilder, film: Path) -> str:
    inside = film.relative_to(builder.root)
    parts = [part for part in inside.parts[:-1] if part in ("health", "sick", "tb", "test", "extra")]
    return parts[0] if parts else inside.parent.name


def _label(group: str, boxes: int) -> int | None:
    if group in WITHOUT_LESION:
        return 0  # with a box that is a contradiction, which the box checks list
    return 1 if boxes else None


def _read_json(builder: CohortBuilder, path: Path, seen: dict[Path, list[tuple[Any, ...]]]) -> None:
    content = read_json(builder, path)
    if content is None:
        return
    if not isinstance(content, dict) or not isinstance(content.get("images"), list):
        builder.fault("file_unreadable", path, "has no list `images`", "use the annotations as distributed")
        return
    categories = {
        c.get("id"): str(c.get("name"))
        for c in as_list(content.get("categories"))
        if isinstance(c, dict) and is_key(c.get("id"))
    }
    images = listed_images(builder, path, content["images"])
    boxes: dict[Any, list[tuple[Any, ...]]] = {}
    for entry in listed_annotations(builder, path, content) or []:
        _annotation(builder, path, entry, images, categories, boxes)
    for key, (image, _) in images.items():
        _add(builder, path, image, sorted(boxes.get(key, [])), seen)


def _annotation(
    builder: CohortBuilder,
    path: Path,
    entry: Any,
    images: Any,
    categories: dict[Any, str],
    boxes: dict[Any, list[tuple[Any, ...]]],
) -> None:
    image = entry.get("image_id") if isinstance(entry, dict) else None
    if not is_key(image) or image not in images:
        text = f"an annotation names image_id {image!r}, which `images` does not list"
        builder.fault("unknown_id", path, text, "correct it")
        return
    corners = box_of(entry)
    category = entry.get("category_id")
    if corners is None or not is_key(category) or category not in categories:
        text = f"{images[image][1]}: bbox {entry.get('bbox')!r} of category {category!r} cannot be read"
        builder.fault("box_invalid", path, text, "use the annotations as distributed")
        return
    boxes.setdefault(image, []).append((categories[category], *corners))


def _add(
    builder: CohortBuilder,
    path: Path,
    image: dict[str, Any],
    boxes: list[tuple[Any, ...]],
    seen: dict[Path, list[tuple[Any, ...]]],
) -> None:
    film = builder.find_film(image["file_name"], path)
    if film is None:
        builder.add_film(image["file_name"], None, None)
        return
    if film in seen:
        _part_again(builder, film, path)
        if seen[film] != boxes:
            builder.fault(
                "duplicate_id", path, f"gives {image['file_name']} other boxes than an earlier file", "keep one of them"
            )
        return
    seen[film] = boxes
    name = film.relative_to(builder.root).as_posix()
    kept = [(finding, corners) for source, *corners in boxes if (finding := builder.finding(source)) is not None]
    for finding, corners in kept:
        builder.add_box(name, corners, finding, written_as="sizes")
    group = "test" if "test" in PurePosixPath(image["file_name"]).parts else _group(builder, film)
    builder.add_film(
        name,
        film,
        _label(group, len(kept)),
        group=group,
        annotated_width=number(image.get("width")),
        annotated_height=number(image.get("height")),
        annotated_as="scaled",
        split=part_of_file(path),
    )


def _part_again(builder: CohortBuilder, film: Path, path: Path) -> None:
    if part := part_of_file(path):
        next(known for known in builder.films if known["path"] == str(film))["split"] = part


def _read_xml(builder: CohortBuilder, path: Path) -> None:
    annotation = voc.parse(builder, path)
    if annotation is None:
        return
    film = builder.find_film(path.stem, path)
    before = len(builder.boxes)
    voc.add_annotation(builder, path, annotation, film, "scaled", group=_group(builder, film) if film else None)
    for box in builder.boxes[before:]:  # 1-based corners
        box["x_min"] -= 1
        box["y_min"] -= 1
    builder.films[-1]["label"] = _label(str(builder.films[-1]["group"]), len(builder.boxes) - before)


def _rest(builder: CohortBuilder) -> None:
    """Films that no file lists: health and sick films have no .xml."""
    listed = {film["path"] for film in builder.films}
    for film in builder.index.paths:
        if str(film) not in listed:
            group = _group(builder, film)
            builder.add_film(film.relative_to(builder.root).as_posix(), film, _label(group, 0), group=group)
