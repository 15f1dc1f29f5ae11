"""A page as a reader takes it: the words of its parts, its tables, and numbers with their place in statistics.csv."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import docx
import numpy as np
import pandas as pd
import pytest
from bs4 import BeautifulSoup, NavigableString, Tag

MINUS, SPACE = "\N{MINUS SIGN}", "\N{NO-BREAK SPACE}"
NUMBER = rf"[+{MINUS}-]?[\d,]*\.?\d+"
UNITS = "%|of 100 malignant|on 1,000 normal|percentage points|per 1,000 films"
INTERVAL = re.compile(rf"({NUMBER})(?: (?:{UNITS}))? \(({NUMBER}) to ({NUMBER})\)")
"""A number with its interval, as everywhere: `84.3 (78.9 to 88.6)`, in sentences also `84.3 % (78.9 to 88.6)`."""


def words(node: Any, but: Callable[[Tag], bool] = lambda tag: False) -> str:
    """The text of a part of the page, signs of models, notes and what `but` names left out."""
    text = node if isinstance(node, str) and not isinstance(node, NavigableString) else "".join(_texts(node, but))
    return re.sub(r"\s+", " ", text.replace(SPACE, " ")).strip()


def _texts(node: Any, but: Callable[[Tag], bool]) -> Iterator[str]:
    for child in node.children:
        if isinstance(child, Tag):
            if child.get("aria-hidden") != "true" and child.name != "sup" and not but(child):
                yield from _texts(child, but)
        elif type(child) is NavigableString:
            yield str(child)


def printed(text: str) -> tuple[float, float]:
    """A printed number, and half a unit of its last digit."""
    return float(text.replace(MINUS, "-").replace(",", "")), 0.5 * 10 ** -len(text.partition(".")[2]) * 1.0001


def numbers(text: str) -> list[tuple[float, float]]:
    """Every number of a text."""
    return [printed(found) for found in re.findall(rf"[+{MINUS}]?[\d,]*\.?\d+", text)]


@cache
def soup_of(path: Path) -> BeautifulSoup:
    """A page; it is parsed once and must not be changed."""
    return BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")


class Seen:
    """Tables and texts of a page, how many of its numbers were compared, and which were wrong."""

    def __init__(self, path: Path):
        self.soup = soup_of(path)
        self.compared = 0
        self.wrong: list[tuple[Any, str, float]] = []

    def table(self, section: str, caption: str) -> tuple[list[str], list[list[str]]]:
        """Headings and rows of the table whose caption holds these words."""
        found = [t for t in self.soup.select(f"#{section} table") if t.caption and caption in words(t.caption)]
        assert len(found) == 1, (section, caption, len(found))
        rows = [[words(cell) for cell in row.select("th, td")] for row in found[0].select("tr")]
        return rows[0], rows[1:]

    def cell(self, section: str, caption: str, row: list[str], column: str) -> str:
        """The cell of the row that holds all these words, each as a whole cell, below a heading."""
        heads, rows = self.table(section, caption)
        found = [line for line in rows if all(word in line for word in row)]
        assert len(found) == 1, (section, caption, row, len(found))
        return found[0][heads.index(column)]

    def check(self, text: str, *values: float, what: Any = "") -> None:
        """Compare the first numbers of a text with values, to half a unit of the last printed digit."""
        shown = re.findall(rf"[+{MINUS}]?[\d,]*\.?\d+", text)
        assert len(shown) >= len(values), (what, text)
        for one, value in zip(shown, values, strict=False):
            number, half = printed(one)
            self.compared += 1
            if not abs(number - value) <= half:
                self.wrong.append((what, one, value))

    def check_p(self, text: str, p: float, what: Any = "") -> None:
        """Compare a p value; below 0.001 it is printed as `< 0.001`."""
        if text.startswith("<") and p < 0.001:
            self.compared += 1
        else:
            self.check(text, p, what=what)


def check_numbers(soup: BeautifulSoup, statistics: Path) -> int:
    """Compare every number that carries a row with that row; returns how many there are."""
    rows = pd.read_csv(statistics)
    marked = soup.select("[data-row]")
    for node in marked:
        row, text, scale = rows.iloc[int(node["data-row"])], node.get_text(), float(node.get("data-scale", 1))
        columns = [node["data-column"]] if node.has_attr("data-column") else ["estimate", "lower", "upper"]
        if text.startswith("<"):
            assert row[columns[0]] < 0.001, node
            continue
        shown = numbers(text)
        assert len(shown) == 1 or len(shown) == len(columns), node
        for (number, half), column in zip(shown, columns, strict=False):
            assert number == pytest.approx(scale * row[column], abs=half), (node, column)
    return len(marked)


class Rows:
    """Numbers with intervals of statistics.csv, to be found by value."""

    def __init__(self, statistics: Path):
        table = pd.read_csv(statistics)[["estimate", "lower", "upper"]].dropna().to_numpy()
        self.values = np.concatenate([table * scale for scale in (1, 100, 1000)])

    def unknown(self, text: str) -> list[str]:
        """Numbers with intervals of a text that no row of statistics.csv holds."""
        found = []
        for match in INTERVAL.finditer(text.replace(SPACE, " ")):
            near = [printed(part) for part in match.groups()]
            shown, half = np.array([n for n, _ in near]), np.array([h for _, h in near])
            if not (np.abs(self.values - shown) <= half + 1e-12).all(axis=1).any():
                found.append(match[0])
        return found


def count_intervals(text: str) -> int:
    """How many numbers with intervals a text has."""
    return len(INTERVAL.findall(text.replace(SPACE, " ")))


def documents_of(folder: Path) -> dict[str, str]:
    """Every document below a folder as plain text, by its path; Table 1, whose brackets hold quartiles, left out."""
    found = {str(p.relative_to(folder)): p.read_text(encoding="utf-8") for p in sorted(folder.rglob("*"))
             if p.is_file() and p.suffix != ".docx" and p.stem != "table_one"}  # fmt: skip
    for path in sorted(folder.rglob("*.docx")):
        document = docx.Document(str(path))
        rows = [[cell.text for cell in row.cells] for table in document.tables for row in table.rows]
        rows = [row for row in rows if not row[0].startswith("Age, years")]
        texts = [p.text for p in document.paragraphs] + [cell for row in rows for cell in row]
        found[str(path.relative_to(folder))] = "\n".join(texts)
    return found


def unmarked(soup: BeautifulSoup) -> list[str]:
    """Texts with an interval that no row of statistics.csv marks.

    Methods, checklists and cards are compared by value, because their texts also stand in files; notebooks likewise. In
    Table 1, the brackets behind an age hold quartiles.
    """
    written = {id(node) for node in soup.select("#notebooks, script, style, #methods-text, #methods table, #cards")}
    written |= {id(row) for row in soup.select("#films tr") if words(row).startswith("Age, years")}
    texts = [
        words(node, lambda tag: tag.has_attr("data-row"))
        for node in soup.select("td, th, p, li, dd, figcaption")
        if not written & {id(node), *map(id, node.parents)} and not node.has_attr("data-row")
    ]
    return [text for text in texts if count_intervals(text)]
