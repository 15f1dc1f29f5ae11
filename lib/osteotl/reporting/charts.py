"""Drawings that belong to the text: icon array, interval marks, cohort flow. Inline SVG, coloured by the stylesheet."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from osteotl.reporting.html import tag


@dataclass(frozen=True)
class Icons:
    """What becomes of a thousand films.

    Attributes
    ----------
    found, missed, false_alarm, quiet : int
        Films with a tumour that the detector calls or does not; films without that it calls or does not.
    """

    found: int
    missed: int
    false_alarm: int
    quiet: int

    @classmethod
    def of(cls, sensitivity: float, specificity: float, prevalence: float, films: int = 1000) -> Icons:
        """Natural frequencies, rounded so that they add up to `films`."""
        tumours = round(films * prevalence)
        found = round(tumours * sensitivity)
        alarms = round((films - tumours) * (1 - specificity))
        return cls(found, tumours - found, alarms, films - tumours - alarms)


def icon_array(icons: Icons, title: str, across: int = 40) -> Markup:
    """A thousand dots in one picture: filled, ringed, crossed and faint, so that no colour is needed to read it."""
    kinds = (("missed", icons.missed), ("found", icons.found), ("alarm", icons.false_alarm), ("quiet", icons.quiet))
    total = sum(count for _, count in kinds)
    rows = -(-total // across)
    shapes, at = [], 0
    for kind, count in kinds:
        places = [(10 * (i % across) + 5, 10 * (i // across) + 5) for i in range(at, at + count)]
        at += count
        if places:
            shapes.append(tag("path", d=_dots(kind, places), class_=f"dot {kind}"))
    return tag("svg", tag("title", title), shapes, class_="icons", viewBox=f"0 0 {10 * across} {10 * rows}", role="img")


def _dots(kind: str, places: Sequence[tuple[int, int]]) -> str:
    if kind == "missed":  # a cross: what the eye must find first
        return "".join(f"M{x - 3} {y - 3}l6 6m0-6l-6 6" for x, y in places)
    if kind == "alarm":  # a ring
        return "".join(f"M{x - 3} {y}a3 3 0 1 0 6 0a3 3 0 1 0-6 0" for x, y in places)
    return "".join(f"M{x} {y}h.01" for x, y in places)


@dataclass(frozen=True)
class Scale:
    """A horizontal axis from `low` to `high` with a line at `zero`."""

    low: float
    high: float
    zero: float | None = None
    band: tuple[float, float] | None = None

    @classmethod
    def around(cls, values: Sequence[float | None], zero: float | None = None, band: tuple[float, float] | None = None) -> Scale:
        """An axis that holds every value, with a little air."""
        known = [v for v in values if v is not None] + [v for v in (zero, *(band or ())) if v is not None]
        low, high = (min(known), max(known)) if known else (0.0, 1.0)
        air = 0.06 * (high - low or 1.0)
        return cls(low - air, high + air, zero, band)

    def x(self, value: float) -> float:
        """Position in a drawing 200 wide, kept inside it."""
        share = (value - self.low) / (self.high - self.low)
        return round(200 * min(1.0, max(0.0, share)), 1)


def interval_mark(number: Any, scale: Scale, arm: int) -> Markup:
    """One row of a forest plot: a line for the interval and the arm's sign for the estimate."""
    shapes: list[Markup] = []
    if scale.band:
        left, right = scale.x(scale.band[0]), scale.x(scale.band[1])
        shapes.append(tag("rect", x=left, y=0, width=round(right - left, 1), height=20, class_="band"))
    if scale.zero is not None:
        shapes.append(tag("line", x1=scale.x(scale.zero), x2=scale.x(scale.zero), y1=0, y2=20, class_="zero"))
    if isinstance(number, dict) and number.get("estimate") is not None:
        x = scale.x(number["estimate"])
        if number.get("lower") is not None and number.get("upper") is not None:
            shapes.append(tag("line", x1=scale.x(number["lower"]), x2=scale.x(number["upper"]), y1=10, y2=10, class_="whisker"))
        shapes.append(_sign(arm, x))
    return tag("svg", shapes, class_=f"forest arm-{arm}", viewBox="0 0 200 20", aria_hidden="true", preserveAspectRatio="none")


def _sign(arm: int, x: float) -> Markup:
    paths = ("M{0} 10m-5 0a5 5 0 1 0 10 0a5 5 0 1 0-10 0", "M{0} 10m-4.5-4.5h9v9h-9z", "M{0} 10m-5 4.5h10l-5-9z",
             "M{0} 10m-5.5 0l5.5-5.5l5.5 5.5l-5.5 5.5z", "M{0} 10m-5-4.5h10l-5 9z", "M{0} 10m-5-1.5h10v3h-10zm3.5-3.5h3v10h-3z")
    return tag("path", d=paths[arm % len(paths)].format(x), class_="estimate")


def flow_diagram(steps: Sequence[dict[str, Any]], title: str) -> Markup:
    """One cohort's way from the films found to the films used.

    Parameters
    ----------
    steps : sequence of {'step', 'films', 'patients', 'reason'}
        In order; a step with a reason left films out and stands at the side.
    """
    shapes: list[Markup] = []
    y, previous = 1, 0
    for step in steps:
        aside = bool(step.get("reason"))
        lines = _wrapped(step, aside)
        height = 14 + 15 * len(lines)
        x, width = (118, 201) if aside else (1, 230)
        if aside:
            shapes.append(tag("path", d=f"M60 {y + height / 2}H118", class_="edge"))
        elif previous:
            shapes.append(tag("path", d=f"M60 {previous}V{y}", class_="edge"))
        shapes.append(tag("rect", x=x, y=y, width=width, height=height, rx=3, class_="box aside" if aside else "box"))
        shapes += [
            tag("text", line, x=x + 9, y=y + 20 + 15 * i, class_="strong" if not i else None) for i, line in enumerate(lines)
        ]
        if not aside:
            previous = y + height
        y += height + 12
    return tag("svg", tag("title", title), shapes, class_="flow", viewBox=f"0 0 320 {max(y - 10, 10)}", role="img")


def _wrapped(step: dict[str, Any], aside: bool) -> list[str]:
    films, patients = step.get("films"), step.get("patients")
    count = f"{films:,} films" if isinstance(films, int) else "films not counted"
    if isinstance(patients, int):
        count += f", {patients:,} patients"
    width = 31 if aside else 36
    words = str(step.get("reason") or step.get("step", "")) if aside else str(step.get("step", ""))
    return [f"{'left out: ' if aside else ''}{count}", *textwrap.wrap(words, width, max_lines=5, placeholder=" …")]
