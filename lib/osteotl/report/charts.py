"""Icon arrays and the flow diagram: inline SVG, coloured by the stylesheet."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from osteotl.files import plural
from osteotl.html import tag

PARTITIONS = frozenset({"training", "validation", "test"})
STEPS = {"read": "offered", "training": "for training", "validation": "for validation", "test": "for testing"}


@dataclass(frozen=True)
class Icons:
    """What becomes of a thousand films.

    Attributes
    ----------
    found, missed, false_alarm, true_negative : int
        Films with a tumour that the detector calls or does not; films without that it calls or does not.
    """

    found: int
    missed: int
    false_alarm: int
    true_negative: int

    @classmethod
    def of(cls, sensitivity: float, specificity: float, prevalence: float, films: int = 1000) -> Icons:
        """Natural frequencies, rounded so that they add up to `films`."""
        tumours = round(films * prevalence)
        found = round(tumours * sensitivity)
        alarms = round((films - tumours) * (1 - specificity))
        return cls(found, tumours - found, alarms, films - tumours - alarms)


def icon_array(icons: Icons, title: str, across: int = 50) -> Markup:
    """A thousand signs in one picture, `across` in a row: filled, ringed, crossed, faint, to be read without colour."""
    kinds = (
        ("missed", icons.missed),
        ("found", icons.found),
        ("alarm", icons.false_alarm),
        ("clear", icons.true_negative),
    )
    total = sum(count for _, count in kinds)
    rows = -(-total // across)
    shapes, at = [], 0
    for kind, count in kinds:
        places = [(10 * (i % across) + 5, 10 * (i // across) + 5) for i in range(at, at + count)]
        at += count
        if places:
            # the attributes hold where no stylesheet does
            width = {"missed": 2.6, "found": 8, "alarm": 1.7, "clear": 2}[kind]
            drawn = {"fill": "none", "stroke": "currentColor", "stroke_width": width, "stroke_linecap": "round"}
            shapes.append(tag("path", d=_dots(kind, places), class_=f"dot {kind}", **drawn))
    size = {"viewBox": f"0 0 {10 * across} {10 * rows}", "width": 8 * across, "height": 8 * rows}
    return tag("svg", tag("title", title), shapes, class_="icons", role="img", **size)


def _dots(kind: str, places: Sequence[tuple[int, int]]) -> str:
    if kind == "missed":  # a cross: the kind that matters most
        return "".join(f"M{x - 3} {y - 3}l6 6m0-6l-6 6" for x, y in places)
    if kind == "alarm":  # a ring
        return "".join(f"M{x - 3} {y}a3 3 0 1 0 6 0a3 3 0 1 0-6 0" for x, y in places)
    return "".join(f"M{x} {y}h.01" for x, y in places)


def flow_diagram(steps: Sequence[dict[str, Any]], title: str) -> Markup:
    """One cohort's way from the films found to the films used.

    Parameters
    ----------
    steps : sequence of {'step', 'films', 'patients', 'reason'}
        In order: the films read, then what was left out and why, then the partitions.
    title : str
        Name of the drawing; the steps with their counts follow it in the drawing's alternative text.
    """
    shapes: list[Markup] = []
    y, previous, places = 1, 0, []
    for step, kind in zip(steps, _kinds(steps), strict=True):
        lines = _wrapped(step, kind)
        height = 14 + 15 * len(lines)
        x, width = {"main": (1, 232), "aside": (60, 259), "leaf": (60, 232)}[kind]
        middle = y + height // 2
        if kind != "main":
            shapes.append(
                tag("path", d=f"M24 {previous}V{middle}H{x}", class_="edge", fill="none", stroke="currentColor")
            )
        elif previous:
            shapes.append(tag("path", d=f"M24 {previous}V{y}", class_="edge", fill="none", stroke="currentColor"))
        places.append(_flow_box(lines, x, y, width, height, kind))
        previous = y + height if kind == "main" else middle
        y += height + 10
    told = "; ".join(" ".join(_wrapped(step, kind)) for step, kind in zip(steps, _kinds(steps), strict=True))
    drawing = [tag("title", f"{title}: {told}."), shapes, places]
    height = max(y - 9, 10)
    return tag("svg", drawing, class_="flow", viewBox=f"0 0 320 {height}", width=320, height=height, role="img")


def _kinds(steps: Sequence[dict[str, Any]]) -> list[str]:
    """What each step is drawn as: a box in the main line, one aside of it, or one of several ends."""
    ends = [step for step in steps if step.get("step") in PARTITIONS]
    kinds = []
    for step in steps:
        end = step.get("step") in PARTITIONS and len(ends) > 1
        kinds.append("aside" if step.get("reason") or step.get("step") == "left out" else ("leaf" if end else "main"))
    return kinds


def _flow_box(lines: list[str], x: int, y: int, width: int, height: int, kind: str) -> list[Markup]:
    box = tag(
        "rect", x=x, y=y, width=width, height=height, rx=3, class_=f"box {kind}", fill="none", stroke="currentColor"
    )
    texts = [
        tag("text", line, x=x + 10, y=y + 20 + 15 * i, class_=None if i else "strong") for i, line in enumerate(lines)
    ]
    return [box, *texts]


def _wrapped(step: dict[str, Any], kind: str) -> list[str]:
    films, patients = step.get("films"), step.get("patients")
    count = plural(films, "film") if isinstance(films, int) else "films not counted"
    if isinstance(patients, int):
        count += f", {plural(patients, 'patient')}"
    if kind == "aside":
        why = str(step.get("reason") or "reason not recorded")
        return [f"left out: {count}", *textwrap.wrap(why, 38, max_lines=5, placeholder=" …")]
    name = str(step.get("step", ""))
    return [count, *textwrap.wrap(STEPS.get(name, name), 34, max_lines=3, placeholder=" …")]
