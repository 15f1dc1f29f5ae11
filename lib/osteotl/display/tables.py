"""Results as tables for a reader, in the notebooks and on the page alike.

A cell of a table is a text, Markup, or a row of the table of results (see `diagnostic_accuracy.estimates`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from string import ascii_lowercase
from typing import Any

import pandas as pd
from markupsafe import Markup

from osteotl.display.numbers import (
    HEADS,
    NO_INTERVAL_DUE,
    SIGNS,
    Labels,
    Look,
    at_words,
    fixed,
    heading,
    is_difference,
    known,
    look_of,
    number,
    p_number,
    percent,
    sentence_case,
    value,
    words,
)
from osteotl.html import Child, join, paragraph, tag

# --- forest plots in tables -------------------------------------------------------------------------------------------


LINE = {"stroke": "currentColor"}  # holds where no stylesheet does
SIZE = {"viewBox": "0 0 200 20", "width": 200, "height": 20, "aria_hidden": "true"}


@dataclass(frozen=True)
class Forest:
    """Intervals drawn in a table's column, with an axis below.

    Attributes
    ----------
    low, high : float
        Ends of the axis, in the unit of the results.
    zero : float or None
        Where a line is drawn.
    band : (float, float) or None
        A shaded range, such as the margin.
    """

    low: float
    high: float
    zero: float | None = None
    band: tuple[float, float] | None = None

    @classmethod
    def around(
        cls, results: pd.DataFrame, zero: float | None = None, band: tuple[float, float] | None = None
    ) -> Forest:
        """An axis that holds every estimate and limit of some results."""
        ends = results[["estimate", "lower", "upper"]].to_numpy(float).ravel()
        held = [v for v in ends if math.isfinite(v)] + [v for v in (zero, *(band or ())) if v is not None]
        low, high = (min(held), max(held)) if held else (0.0, 1.0)
        air = 0.06 * (high - low or 1.0)
        return cls(low - air, high + air, zero, band)

    def x(self, at: float) -> float:
        """Position in a drawing 200 wide, kept inside it."""
        return round(200 * min(1.0, max(0.0, (at - self.low) / (self.high - self.low))), 1)

    def cell(self, row: Mapping[str, Any], index: int) -> Markup:
        """One row's interval, with the sign of model number `index` at the estimate."""
        shapes: list[Markup] = []
        if self.band:
            left, right = self.x(self.band[0]), self.x(self.band[1])
            shapes.append(
                tag("rect", x=left, y=0, width=round(right - left, 1), height=20, class_="band", fill="none", **LINE)
            )
        if self.zero is not None:
            shapes.append(tag("line", x1=self.x(self.zero), x2=self.x(self.zero), y1=0, y2=20, class_="zero", **LINE))
        if known(row["estimate"]):
            if known(row["lower"]) and known(row["upper"]):
                ends = {"x1": self.x(row["lower"]), "x2": self.x(row["upper"])}
                shapes.append(tag("line", **ends, y1=10, y2=10, class_="whisker", **LINE))
            shapes.append(_sign(index, self.x(row["estimate"])))
        return tag("svg", shapes, class_=f"forest arm-{index}", **SIZE)

    def axis(self, look: Look, signed: bool) -> Markup:
        """The axis with its ticks."""
        shapes = [tag("line", x1=0, x2=200, y1=1, y2=1, class_="zero", **LINE)]
        for at in ticks(self.low * look.scale, self.high * look.scale):
            x = self.x(at / look.scale)
            digits = max(0, min(look.digits, 4))
            text = f"{fixed(at, digits, signed=signed)}".rstrip("0").rstrip(".") if digits else fixed(at, 0)
            shapes.append(tag("line", x1=x, x2=x, y1=1, y2=5, class_="zero", **LINE))
            shapes.append(tag("text", text or "0", x=x, y=16, text_anchor="middle", font_size=14))
        return tag("svg", shapes, class_="forest axis", **SIZE)


def ticks(low: float, high: float, most: int = 4) -> list[float]:
    """Round numbers between two ends."""
    span = high - low
    step = 10 ** math.floor(math.log10(span / most))
    step *= next((m for m in (1, 2, 5, 10) if span / (m * step) <= most), 10)
    first = math.ceil(low / step)
    return [round(i * step, 10) for i in range(first, math.floor(high / step) + 1)]


def _sign(index: int, x: float) -> Markup:
    paths = (
        "M{0} 10m-5 0a5 5 0 1 0 10 0a5 5 0 1 0-10 0",
        "M{0} 10m-4.5-4.5h9v9h-9z",
        "M{0} 10m-5 4.5h10l-5-9z",
        "M{0} 10m-5.5 0l5.5-5.5l5.5 5.5l-5.5 5.5z",
        "M{0} 10m-5-4.5h10l-5 9z",
        "M{0} 10m-5-1.5h10v3h-10zm3.5-3.5h3v10h-3z",
    )
    return tag("path", d=paths[index % len(paths)].format(x), class_="estimate")


# --- tables -----------------------------------------------------------------------------------------------------------


MOST_ABREAST = 3
"""Columns of results up to which an interval stands beside its number; in wider tables all stand below."""


@dataclass(frozen=True)
class Numeric:
    """Heading of a column of numbers; '#' in front of a plain text says the same."""

    text: Child


@dataclass(frozen=True)
class Table:
    """A table for a reader: shown in a notebook, or put into a section of the page.

    Attributes
    ----------
    caption : text
        What the table shows; also the name of its frame for a screen reader.
    heads : sequence of text
        Column headings. '#' in front marks a column of numbers.
    rows : sequence of sequences
        The first cell is the row's heading. A cell is text, Markup or a row of results.
    foot : sequence, optional
        A last row, such as an axis.
    class_ : str
    """

    caption: Child
    heads: Sequence[Child]
    rows: Sequence[Sequence[Child]]
    foot: Sequence[Child] = ()
    class_: str = ""
    notes: dict[str, str] = field(default_factory=dict, repr=False)

    def __html__(self) -> str:
        named = [_heading(h) for h in self.heads]
        names, numeric = [name for name, _ in named], [n for _, n in named]
        head = [tag("th", h, scope="col", class_="n" if n else None) for h, n in named]
        self.notes.clear()
        told = [re.sub(r"<[^>]*>", "", str(join(n))) if "burdens" in self.class_ else None for n in names]
        classes = f"{self.class_} stacked" if self._intervals() > MOST_ABREAST else self.class_
        body = [tag("tr", [self._cell(i, c, numeric[i], told[i]) for i, c in enumerate(row)]) for row in self.rows]
        foot = tag("tr", [self._cell(i, c, numeric[i]) for i, c in enumerate(self.foot)])
        inner = tag(
            "table", tag("caption", tag("span", self.caption)), tag("thead", tag("tr", head)), tag("tbody", body),
            tag("tfoot", foot) if self.foot else None, class_=classes.strip() or None,
        )  # fmt: skip
        plain = re.sub(r"<[^>]*>", "", str(join(self.caption)))
        frame = tag("div", inner, class_="scroll", role="group", tabindex="0", aria_label=Markup(plain))
        said = [paragraph(tag("sup", sign), " ", note, class_="fine") for note, sign in self.notes.items()]
        return str(join([frame, said]))

    _repr_html_ = __html__

    def _intervals(self) -> int:
        """How many columns hold results."""
        return max((sum(isinstance(cell, pd.Series) for cell in row) for row in self.rows), default=0)

    def _cell(self, column: int, content: Child, numeric: bool, head: str | None = None) -> Markup:
        if isinstance(content, pd.Series):
            content = [number(content), self._note(content)]
        if column == 0:
            return tag("th", content, scope="row")
        return tag("td", content, class_="n" if numeric else None, data_name=head)

    def _note(self, row: pd.Series) -> Markup | None:
        """A sign that leads to the reason below the table."""
        note = str(row["note"])
        if not note or note.endswith(NO_INTERVAL_DUE):
            return None
        sentence, following = f"{sentence_case(note.rstrip('.'))}.", ascii_lowercase[len(self.notes) % 26]
        return tag("sup", self.notes.setdefault(sentence, following))


def _heading(head: Child) -> tuple[Child, bool]:
    if isinstance(head, Numeric):
        return head.text, True
    if isinstance(head, str) and not isinstance(head, Markup) and head.startswith("#"):
        return head[1:], True
    return head, False


def grid(
    results: pd.DataFrame,
    caption: Child,
    labels: Labels,
    *,
    rows: Sequence[str] = ("arm",),
    columns: str = "measure",
    forest: Forest | None = None,
    beside: tuple[str, Mapping[str, str]] | None = None,
    names: Mapping[str, str] | None = None,
) -> Table | None:
    """Rows of results as a table: one column each for some identifying columns, one for each value of another.

    Parameters
    ----------
    results : DataFrame
        A selection of the table of results.
    caption : text
    labels : mapping
        Labels of the models, the reference model first; gives their order.
    rows : sequence of str
        Identifying columns that tell the table's rows apart.
    columns : str
        Identifying column whose values become columns; each has a column of p values where there is one.
    forest : Forest, optional
        Draws the interval of the first column.
    beside : (heading, mapping), optional
        A further column, by the value of the first of `rows`.
    names : mapping, optional
        Headings of identifying columns, in place of the usual ones.

    Returns
    -------
    Table or None
        None where there are no results.

    Raises
    ------
    ValueError
        Two results fall into one cell: name a further column in `rows`.
    """
    keys = [*rows, columns]
    if results.empty:
        return None
    if len(double := results[results.duplicated(keys)]):
        told = ", ".join(f"{key}={double.iloc[0][key]}" for key in keys)
        raise ValueError(f"several results have {told}; name a further identifying column in `rows`")
    across = _ordered(results[columns], columns, labels)
    tested = [c for c in across if results.loc[_is(results, columns, c), "p"].notna().any()]
    headings = {**HEADS, **(names or {})}
    if set(results["measure"]) == {"net_benefit"}:
        headings["at"] = "Threshold probability"
    heads: list[Child] = [headings.get(name, name) for name in rows]
    heads += [Numeric(beside[0])] if beside else []
    for content in across:
        first = results[_is(results, columns, content)].iloc[0]
        words_of = heading(first) if columns == "measure" else words(columns, content, labels)
        heads.append(Numeric(words_of))
        heads += ["#p"] if content in tested else []
    body = []
    for key, part in _rows(results, list(rows), labels):
        cells: list[Child] = [_row_words(n, k, part, labels) for n, k in zip(rows, key, strict=True)]
        cells += [beside[1].get(key[0], "")] if beside else []
        for content in across:
            found = part[_is(part, columns, content)]
            cells.append(found.iloc[0] if len(found) else "")
            if content in tested:
                cells.append(p_number(found.iloc[0]) if len(found) else "")
        if forest is not None:
            cells.append(forest.cell(part.iloc[0], _index(part.iloc[0]["arm"], labels)))
        body.append(cells)
    foot: list[Child] = []
    if forest is not None:
        heads.append("Interval")
        axis = forest.axis(look_of(results.iloc[0]), is_difference(results.iloc[0]))
        foot = [*[""] * (len(heads) - 1), axis]
    kind = "forest-table" if forest else "dense" if len(heads) > 7 else ""
    return Table(caption, heads, body, foot, class_=kind)


def _row_words(column: str, content: Any, part: pd.DataFrame, labels: Labels) -> Child:
    if column in ("measure", "at"):
        return heading(part.iloc[0]) if column == "measure" else at_words(part.iloc[0])
    return words(column, content, labels)


def _index(arm: str, labels: Labels) -> int:
    return list(labels).index(arm) % len(SIGNS) if arm in labels else 0


def _is(results: pd.DataFrame, column: str, content: Any) -> pd.Series:
    return results[column].isna() if content != content else results[column] == content


def _ordered(values: pd.Series, column: str, labels: Labels) -> list[Any]:
    found = list(dict.fromkeys("nan" if v != v else v for v in values))
    found = [math.nan if v == "nan" and column in ("at", "prevalence", "fraction") else v for v in found]
    if column in ("arm", "reference"):
        order = list(labels)
        found.sort(key=lambda arm: order.index(arm) if arm in order else len(order))
    return found


def _rows(results: pd.DataFrame, keys: list[str], labels: Labels) -> Iterable[tuple[tuple[Any, ...], pd.DataFrame]]:
    """Groups in the order in which they appear, models in the order of their labels."""
    orders = [_ordered(results[key], key, labels) for key in keys]
    found: list[tuple[tuple[int, ...], tuple[Any, ...], pd.DataFrame]] = []
    for key, part in results.groupby(keys, sort=False, dropna=False):
        place = tuple(_place(order, k) for order, k in zip(orders, key, strict=True))
        found.append((place, key, part))
    return [(key, part) for _, key, part in sorted(found, key=lambda entry: entry[0])]


def _place(order: list[Any], content: Any) -> int:
    return next(i for i, v in enumerate(order) if v == content or (v != v and content != content))


def show(results: pd.DataFrame, labels: Labels | None = None, caption: Child = "") -> Table:
    """Rows of results with whatever tells them apart: for a notebook.

    Parameters
    ----------
    results : DataFrame
        A table of results, or a selection of one.
    labels : mapping, optional
        Labels of the models; default: their names.
    caption : text
    """
    labels = labels if labels is not None else {arm: arm for arm in dict.fromkeys(results["arm"]) if arm}
    identity = [name for name in HEADS if name not in ("measure", "confidence")]
    telling = [name for name in identity if len(results[name].drop_duplicates()) > 1]
    extra = [name for name in ("p", "p_adjusted") if results[name].notna().any()]
    heads = ["Measure", *(HEADS[n] for n in telling), "#Estimate (interval)",
             *({"p": "#p", "p_adjusted": "#p, adjusted"}[n] for n in extra), "#n", "What varies"]  # fmt: skip
    rows = [
        [heading(row), *(words(n, row[n], labels) if pd.notna(row[n]) else "" for n in telling),
         row, *(p_number(row, n) for n in extra),
         value(row, "n") if known(row["n"]) else "", row["basis"]]
        for _, row in results.iterrows()
    ]  # fmt: skip
    level = results["confidence"].dropna().unique()
    default = f"{percent(level[0])} intervals" if len(level) == 1 else "Results"
    return Table(caption or default, heads, rows)
