"""Reader `voc`: one Pascal VOC .xml per film below `annotations` (default: annotations, Annotations or the root).

Corners are 1-based and inclusive by tradition: 1 is taken from the minima, unless a box of the cohort starts at 0,
which tells that the whole cohort counts from 0. An .xml without objects says 'no lesion'; a film without .xml is not
annotated. A <filename> that names another film than the file's own name is a fault. Objects marked <difficult>,
<truncated> or the like are lesions. ImageSets/Main holds the shipped split.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, ParseError

import defusedxml
from defusedxml import ElementTree

from osteotl.cohorts.readers.builder import CohortBuilder
from osteotl.cohorts.readers.files import files_below, number, read_bytes, written
from osteotl.cohorts.readers.marks import is_crowd, marks_of
from osteotl.cohorts.readers.splits import listed_parts, part_of


def read(builder: CohortBuilder) -> None:
    """Read every .xml and film into the builder."""
    names = [builder.spec.annotations] if builder.spec.annotations else ["annotations", "Annotations", "."]
    folder = next(
        (builder.root / name for name in names if os.path.isdir(builder.root / name)), builder.root / names[0]
    )
    files = files_below(folder, ".xml")
    parts = _shipped(builder, folder)
    if not files and builder.spec.label is None:
        builder.fault("file_missing", folder, "there is no .xml file of annotations", "set `annotations`")
    for path in files:
        annotation = parse(builder, path)
        if annotation is not None:
            film = builder.film_beside(path, folder, (annotation.findtext("filename") or "").strip())
            if film is None and builder.faults[-1].code == "film_ambiguous":
                continue
            add_annotation(builder, path, annotation, film, split=parts.get(path.stem))
    _count_from_one(builder)
    builder.add_unlisted()


def _shipped(builder: CohortBuilder, folder: Path) -> dict[str, str]:
    """The part of each film by ImageSets/Main/train.txt, val.txt, test.txt; not by lists of a class (dog_train.txt)."""
    beside = Path(os.path.normpath(folder.parent))
    places = [builder.root, beside if beside.is_relative_to(builder.root) else builder.root]
    sets = [place / "ImageSets" / "Main" for place in places]
    files = files_below(next((place for place in sets if place.is_dir()), sets[0]), ".txt")
    return listed_parts(builder, {path: part for path in files if (part := part_of(path.stem))})


def parse(builder: CohortBuilder, path: Path) -> Element | None:
    """The <annotation> of a file, or a fault."""
    content = read_bytes(builder, path)
    if content is None:
        return None
    try:
        tree = ElementTree.fromstring(content)
    except (ParseError, defusedxml.DefusedXmlException, ValueError, LookupError, OSError, RecursionError) as error:
        reason = (
            "it defines entities, which can be used to attack the reader"
            if isinstance(error, defusedxml.DefusedXmlException)
            else str(error)
        )
        builder.fault("file_unreadable", path, f"not XML that can be read: {reason}", "export it again")
        return None
    if tree.tag == "annotation":
        return tree
    what = (
        "a CVAT file of all films" if tree.tag == "annotations" and tree.find("image") is not None else f"<{tree.tag}>"
    )
    builder.fault(
        "file_unreadable", path, f"not Pascal VOC but {what}", "export as Pascal VOC, or as COCO (reader coco)"
    )
    return None


def add_annotation(
    builder: CohortBuilder,
    path: Path,
    annotation: Element,
    film: Path | None,
    annotated_as: str = "native",
    **values: Any,
) -> None:
    """Add one film and the objects of its `annotation`; `annotated_as`: the pixels that its corners refer to."""
    image_id = path.stem if film is None else film.relative_to(builder.root).as_posix()
    kept, whole = 0, not _strangers(builder, path, annotation)
    for place, item in enumerate(annotation.findall("object")):
        box = item.find("bndbox")
        cells = [None if box is None else box.findtext(name) for name in ("xmin", "ymin", "xmax", "ymax")]
        corners = [number(cell) for cell in cells]
        finding = builder.finding((item.findtext("name") or "").strip())
        if finding is not None and any(corner != corner for corner in corners):
            got = written("" if cell is None else cell for cell in cells)
            text = f"object {place} has no bndbox of four numbers (got {got})"
            builder.fault("box_invalid", path, text, "draw it again, with decimal points")
            whole = False
        elif finding is not None:
            x_min, y_min, x_max, y_max = corners
            if not is_crowd(builder, image_id, (x_min, y_min, x_max, y_max), _marks(item)):
                builder.add_box(image_id, corners, finding)
            kept += 1
    size = {
        "annotated_width": number(annotation.findtext("size/width")) or None,
        "annotated_height": number(annotation.findtext("size/height")) or None,
        "annotated_as": annotated_as,
    }
    builder.add_film(image_id, film, int(kept > 0) if whole or kept else None, **{**size, **values})


def _strangers(builder: CohortBuilder, path: Path, annotation: Element) -> bool:
    """Whether boxes, or objects, stand under another name than <object>: such a film is not one without lesion."""
    tags = {
        str(item.tag)
        for item in annotation
        if item.tag != "object" and (str(item.tag).lower().startswith("object") or item.find(".//bndbox") is not None)
    }
    if tags:
        named = ", ".join(f"<{tag}>" for tag in sorted(tags))
        builder.fault("row_invalid", path, f"{named} is not read", "boxes stand in <object><bndbox>: export it again")
    return bool(tags)


def _marks(item: Element) -> tuple[str, ...]:
    """What an <object> says beside its class: <difficult>, <truncated>, or <attributes> as CVAT writes them."""
    named = {part.findtext("name") or "": part.findtext("value") for part in item.findall("attributes/attribute")}
    return marks_of({part.tag: part.text for part in item}, named)


def _count_from_one(builder: CohortBuilder) -> None:
    if any(box["x_min"] == 0 or box["y_min"] == 0 for box in builder.boxes):
        return
    for box in builder.boxes:
        box["x_min"] -= 1
        box["y_min"] -= 1
