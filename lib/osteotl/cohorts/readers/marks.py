"""What annotation programs note of a box beside its class: a crowd of lesions, a doubtful one, one that is cut off."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from osteotl.cohorts.faults import plural
from osteotl.cohorts.readers.builder import CohortBuilder

CROWD = frozenset({"iscrowd", "is_crowd", "crowd", "isgroupof", "is_group_of", "group_of"})
OTHERS = frozenset({"difficult", "truncated", "occluded", "ignore", "ignored", "uncertain", "doubtful"})
Corners = tuple[float, float, float, float]


def marks_of(*notes: Any) -> tuple[str, ...]:
    """The words of `CROWD` and `OTHERS` that are set in the mappings of an annotation; what is no mapping has none."""
    found = {
        str(word).strip().lower(): value for note in notes if isinstance(note, Mapping) for word, value in note.items()
    }
    return tuple(sorted(word for word, value in found.items() if word in CROWD | OTHERS and is_set(value)))


def is_set(value: Any) -> bool:
    """Whether a mark is set: true, 1, '1' or 'yes'."""
    return str(value).strip().lower() in ("1", "1.0", "true", "yes")


def is_crowd(builder: CohortBuilder, image_id: str, corners: Corners, marks: Iterable[str]) -> bool:
    """Note the marks of a box that shows a lesion; whether it is a region of several, which is no lesion box."""
    crowd = False
    for mark in marks:
        crowd |= mark in CROWD
        builder.marked.setdefault(mark, set()).add((image_id, *corners))
    return crowd


def mark_faults(builder: CohortBuilder, image_ids: Iterable[str]) -> None:
    """Regions of several lesions, which were left out, and boxes with another mark, which count like any other.

    Parameters
    ----------
    builder : CohortBuilder
    image_ids : iterable of str
        Films that stay in the cohort.
    """
    kept = set(image_ids)
    marked = {mark: {box for box in boxes if box[0] in kept} for mark, boxes in sorted(builder.marked.items())}
    crowds = {box for mark, boxes in marked.items() if mark in CROWD for box in boxes}
    if crowds:
        count, boxed = Counter(str(box[0]) for box in crowds), {str(box["image_id"]) for box in builder.boxes}
        films = sorted(count)
        listed = ", ".join(f"{film} ({count[film]})" for film in films[:8]) + (", ..." if len(films) > 8 else "")
        words = " or ".join(mark for mark, boxes in marked.items() if mark in CROWD and boxes)
        alone = len(count.keys() - boxed)
        text = (
            f"{plural(len(crowds), 'region')} marked {words}, several lesions in one box, left out: {listed}; "
            f"{alone:,} of {plural(len(films), 'film')} {'has' if alone == 1 else 'have'} no other box"
        )
        remedy = (
            f"draw a box around each lesion; set {words} to 0 where it is one (some programs mark painted masks so)"
        )
        builder.fault("box_crowd", "", text, remedy)
    if others := {mark: len(boxes - crowds) for mark, boxes in marked.items() if mark not in CROWD and boxes - crowds}:
        listed = ", ".join(f"{mark!r} ({number:,})" for mark, number in others.items())
        remedy = "nothing, if they are lesions; else take them out, or give them a class that `classes` maps to null"
        builder.fault("box_marked", "", f"boxes with these marks count as lesions like any other: {listed}", remedy)
