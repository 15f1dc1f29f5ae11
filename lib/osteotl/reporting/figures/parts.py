"""What every figure is made of: words, legends, curves of several seeds, and one forest plot for all."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.transforms import blended_transform_factory

from osteotl.reporting.style import WIDTH, Look, looks
from osteotl.reporting.wording import interval

Statistics = Mapping[str, Any]
Tables = Mapping[str, pd.DataFrame]
Number = Mapping[str, Any]

ROW = 0.142
"""Height of one line of a forest plot, in inches: 7-point type with air."""


class NoData(Exception):
    """This study has nothing to draw here; the message says what is missing."""


@dataclass(frozen=True)
class Drawn:
    """A figure, the numbers that it draws, and its finding in words."""

    figure: Figure
    data: pd.DataFrame
    alt: str


# --- words ------------------------------------------------------------------------------------------------------------


def one_in(prevalence: float) -> str:
    """A prevalence as a clinician says it: `1 in 1,000`, `36 in 100`."""
    times = 1 / prevalence
    if prevalence <= 0.5 and abs(times - round(times)) < 1e-6 * times:
        return f"1 in {round(times):,}"
    for of in (10, 100, 1000, 10_000, 100_000):
        if abs(prevalence * of - round(prevalence * of)) < 1e-6 and round(prevalence * of) >= 1:
            return f"{round(prevalence * of)} in {of:,}"
    return f"{prevalence:.3g}"


def label(statistics: Statistics, arm: str) -> str:
    """The arm's name as the reader sees it, on one line."""
    name = (statistics["settings"]["arms"].get(arm) or {}).get("label") or arm
    return " ".join(str(name).split())


def wrapped(text: str, width: int = 30) -> str:
    """Text broken between words, so that neighbours never overlap."""
    return "\n".join(textwrap.wrap(text, width)) or text


def short(text: str, length: int = 46) -> str:
    """Text that fits one line over a figure; the whole of it stands on the page and in the CSV."""
    return text if len(text) <= length else text[: length - 1].rstrip() + "\N{HORIZONTAL ELLIPSIS}"


def said_of(statistics: Statistics, values: Mapping[str, str]) -> str:
    """`scratch 0.95; transfer 0.96`, by the arms' labels."""
    return "; ".join(f"{label(statistics, arm)} {text}" for arm, text in values.items())


# --- data -------------------------------------------------------------------------------------------------------------


def need(tables: Tables, name: str) -> pd.DataFrame:
    """A table of the study.

    Raises
    ------
    NoData
        The study has no such table, or it is empty.
    """
    table = tables.get(name)
    if table is None or table.empty:
        raise NoData(f"the study has no table {name}.csv")
    return table


def looks_of(statistics: Statistics) -> dict[str, Look]:
    """The look of each arm, the reference first."""
    return looks(list(statistics["arms"]), statistics["settings"]["reference"])


def by_arm(statistics: Statistics, table: pd.DataFrame) -> list[tuple[str, Look, pd.DataFrame]]:
    """Each arm with its look and its rows of a table."""
    return [(arm, look, table[table["arm"] == arm]) for arm, look in looks_of(statistics).items()]


def first_seed(statistics: Statistics) -> str:
    """The seed that stands in front wherever only one can."""
    return str(statistics["settings"]["first_seed"])


def of_first_seed(statistics: Statistics, table: pd.DataFrame) -> pd.DataFrame:
    """The rows of the first listed seed."""
    return table[table["seed"].astype(str) == first_seed(statistics)]


def ends(number: Number | None) -> dict[str, Any]:
    """Estimate and limits of a number."""
    return {key: (number or {}).get(key) for key in ("estimate", "lower", "upper")}


# --- axes and legends -------------------------------------------------------------------------------------------------


def square(axes: Axes, x: str, y: str) -> None:
    """Axes of two shares, drawn to one scale."""
    ticks = [0, 0.25, 0.5, 0.75, 1]
    axes.set(xlim=(-0.015, 1.015), ylim=(-0.015, 1.015), xticks=ticks, yticks=ticks, xlabel=x, ylabel=y)
    axes.set(xticklabels=["0", "0.25", "0.5", "0.75", "1"], yticklabels=["0", "0.25", "0.5", "0.75", "1"])
    axes.set_aspect("equal")


def sample(look: Look, name: str, number: str = "", face: str | None = "own", width: int = 44) -> Line2D:
    """One legend entry in an arm's line and marker; `face` fills the marker, None leaves it out."""
    brief = number.partition(" (")[0] if "not estimable" in number else number  # why is said in the alt text
    text = "\n".join(part for part in (wrapped(name, width), brief) if part)
    fill = look.colour if face == "own" else face
    kind: dict[str, Any] = {"marker": look.marker, "mfc": fill, "ms": 4, "mew": 1} if face else {}
    return Line2D([], [], label=text, **look.line, **kind)


def legend_below(figure: Figure, entries: Sequence[Line2D]) -> None:
    """A legend under the axes, which keep their height; side by side only where the names are short."""
    longest = max(len(line) for entry in entries for line in str(entry.get_label()).split("\n"))
    columns = min(len(entries), max(1, 52 // (longest + 7)))
    deepest = max(str(entry.get_label()).count("\n") + 1 for entry in entries)
    figure.set_figheight(figure.get_figheight() + 0.1 + 0.155 * deepest * -(-len(entries) // columns))
    figure.legend(list(entries), [str(e.get_label()) for e in entries], loc="outside lower center", ncols=columns,
                  handlelength=2.6, columnspacing=1.2)  # fmt: skip


def per_seed(axes: Axes, frame: pd.DataFrame, columns: tuple[str, str], look: Look, first: str, **kind: Any) -> None:
    """The curve of the first listed seed in full strength, the others faint behind it."""
    x, y = columns
    for seed, rows in frame.groupby(frame["seed"].astype(str), sort=False):
        width, alpha, order = (1.3, 1.0, 2.5) if seed == first else (0.6, 0.4, 2)
        axes.plot(rows[x], rows[y], lw=width, alpha=alpha, zorder=order, **look.line, **kind)


# --- the forest plot --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Line:
    """One interval of a forest plot; lines of equal heading and label stand together, one an arm."""

    heading: str
    label: str
    arm: str
    number: Number
    strong: bool = False


def table_of(lines: Iterable[Line]) -> pd.DataFrame:
    """The lines as the CSV beside the figure."""
    return pd.DataFrame(
        [{"heading": line.heading, "row": line.label, "arm": line.arm, **ends(line.number)} for line in lines]
    )


def forest(
    statistics: Statistics,
    lines: Sequence[Line],
    x: str,
    zero: float | None = None,
    digits: int = 3,
    key: bool = True,
) -> Figure:
    """Intervals one below the other with their numbers beside them.

    Parameters
    ----------
    statistics : mapping
        The content of statistics.json; gives the arms' looks.
    lines : sequence of Line
        From top to bottom.
    x : str
        What the intervals measure.
    zero : float, optional
        Where a line of 'no difference' stands; None draws none.
    digits : int
        Decimals of the numbers.
    key : bool
        Whether a legend tells the arms apart; not needed where headings name them.
    """
    heights, headings, depth = _heights(lines)
    arms = list(dict.fromkeys(line.arm for line in lines))
    figure, axes = plt.subplots(figsize=(WIDTH, ROW * depth + 0.5))
    if zero is not None:
        axes.axvline(zero, color="0.4", lw=0.6, zorder=1)
    look = looks_of(statistics)
    for line, height in zip(lines, heights, strict=True):
        _interval(axes, line, height, look[line.arm], digits)
    white = {"facecolor": "white", "edgecolor": "none", "pad": 0.6}
    across = blended_transform_factory(figure.transFigure, axes.transData)
    for text, height in headings:
        axes.text(0.015, height, short(text, 56), transform=across, va="center", fontsize=6.8, fontweight="bold",
                  bbox=white, zorder=3, in_layout=False)  # fmt: skip
    _row_names(axes, lines, heights)
    axes.set(xlabel=wrapped(x, 44), ylim=(depth - 0.4, -0.6))
    axes.spines["left"].set_visible(False)
    if key and len(arms) > 1:
        legend_below(figure, [sample(look[arm], label(statistics, arm)) for arm in arms])
    return figure


def _heights(lines: Sequence[Line]) -> tuple[list[float], list[tuple[str, float]], float]:
    """Where each line and each heading stands, and how deep the whole is, in rows."""
    heights: list[float] = []
    headings: list[tuple[str, float]] = []
    depth, before = 0.0, None
    for line in lines:
        if before is None or line.heading != before.heading:
            depth += 0.3 if before else 0
            if line.heading:
                headings.append((line.heading, depth))
                depth += 1
        elif line.label != before.label:
            depth += 0.15
        heights.append(depth)
        depth, before = depth + 1, line
    return heights, headings, depth


def _interval(axes: Axes, line: Line, height: float, look: Look, digits: int) -> None:
    beside: dict[str, Any] = {"transform": axes.get_yaxis_transform(), "va": "center", "fontsize": 6.2}
    weight = "bold" if line.strong else "normal"
    estimate, lower, upper = (line.number.get(key) for key in ("estimate", "lower", "upper"))
    if estimate is None:
        axes.text(1.02, height, "not estimable", fontstyle="italic", color="0.35", **beside)
        return
    known = lower is not None and upper is not None
    if lower is not None and upper is not None:
        axes.plot([lower, upper], [height, height], color=look.colour, lw=1.8 if line.strong else 1.0, zorder=2)
    axes.plot(estimate, height, look.marker, color=look.colour, mfc=look.colour if known else "white", zorder=2.5,
              ms=5 if line.strong else 3.8, mew=1)  # fmt: skip
    axes.text(1.02, height, interval(line.number, digits), fontweight=weight, **beside)


def _row_names(axes: Axes, lines: Sequence[Line], heights: Sequence[float]) -> None:
    """A label stands once, midway beside the lines that share it."""
    places: dict[tuple[str, str], list[float]] = {}
    for line, height in zip(lines, heights, strict=True):
        places.setdefault((line.heading, line.label), []).append(height)
    strong = {(line.heading, line.label) for line in lines if line.strong}
    axes.set_yticks([sum(at) / len(at) for at in places.values()], [wrapped(name, 18) for _, name in places])
    for tick, key in zip(axes.get_yticklabels(), places, strict=True):
        tick.set_fontweight("bold" if key in strong else "normal")
    axes.tick_params(axis="y", length=0)
