"""Numbers, labels and templates of the documents as plain text."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence
from typing import Any

import jinja2
import pandas as pd

from osteotl.display import Numeric, is_difference, known, look_of, number_text, p_value
from osteotl.html import Child, join
from osteotl.report.safety import without_paths

AUTHOR = "needs the author"
"""What stands where only an author can know."""


class _UnknownFact(Exception):
    """A sentence asks for something that this study does not know."""


def _known_fact(value: Any) -> Any:
    if value is None:
        raise _UnknownFact
    return value


_TEMPLATES = jinja2.Environment(undefined=jinja2.StrictUndefined, finalize=_known_fact, autoescape=False)


def fill(sentences: Sequence[str], statements: Mapping[str, Any]) -> list[str]:
    """Sentences with their statements filled in.

    Parameters
    ----------
    sentences : sequence of str
        jinja2 templates.
    statements : mapping of name to text or None
        None stands for what this study does not know.

    Returns
    -------
    list of str
        A sentence that asks for an unknown fact is left out.

    Raises
    ------
    ValueError
        A sentence names a fact that no study can have: a mistake in the template.

    Examples
    --------
    >>> fill(["Films: {{ films }}.", "Dates: {{ dates }}."], {"films": "743", "dates": None})
    ['Films: 743.']
    """
    told = []
    for sentence in sentences:
        try:
            told.append(" ".join(_TEMPLATES.from_string(sentence).render(statements).split()))
        except _UnknownFact:
            continue
        except jinja2.UndefinedError as error:
            raise ValueError(f"{error} in {sentence!r}: name a fact of report/documents, or correct the text") from None
    return [text for text in told if text]


def line(text: Any) -> str:
    """Free text of a user on one line, without paths of the machine."""
    return without_paths(" ".join(str(text).split()))


def plain(content: Child) -> str:
    """Text of a cell or of Markup, without signs that only the page explains."""
    if content is None:
        return ""
    if isinstance(content, pd.Series):
        return number_text(content)
    if isinstance(content, Numeric):
        return plain(content.text)
    shown = re.sub(r'<span class="sign"[^>]*>[^<]*</span>\s*', "", str(join(content)))
    return " ".join(html.unescape(re.sub(r"<[^>]*>", "", shown)).split())


def figure(row: Mapping[str, Any] | None) -> str | None:
    """A number with its unit and interval: `84.6 % (66.8 to 93.7)`; None where there is no such number."""
    if row is None or not known(row["estimate"]):
        return None
    look, (text, _, limits) = look_of(row), number_text(row).partition(" ")
    unit = look.gap if is_difference(row) else look.unit
    if not limits and (note := str(row["note"])):
        limits = "" if note.endswith("without an interval") else "(no interval)"
    return " ".join(part for part in (text, unit, limits) if part)


def p_words(row: Mapping[str, Any] | None, column: str = "p") -> str | None:
    """`p = 0.037` or `p < 0.001`; None without a test."""
    if row is None or not known(row[column]):
        return None
    return f"p {p_value(row[column])}" if row[column] < 0.001 else f"p = {p_value(row[column])}"


def tested(row: Mapping[str, Any] | None) -> str | None:
    """A difference with its p value: `−0.5 percentage points (−15.4 to 14.4), p = 0.922`."""
    return ", ".join(part for part in (figure(row), p_words(row)) if part) or None


def markdown(text: str) -> str:
    """Text that Markdown shows as it is: no emphasis, link, picture, formula, HTML or table cell.

    Only what would act is escaped, so that the source reads well when pasted; citations such as `[2]` stay.
    """
    text = re.sub(r"([\\`*\[\]|~$])", r"\\\1", " ".join(text.split()))
    text = re.sub(r"(?<!\w)_|_(?!\w)", r"\\_", text)
    text = re.sub(r"<(?=[A-Za-z/!?])", r"\\<", text)
    text = re.sub(r"&(?=#?\w+;)", r"\\&", text)
    return re.sub(r"\\\[(\d+(?:, \d+)*)\\\]", r"[\1]", text)
