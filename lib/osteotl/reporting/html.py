"""Small pieces of HTML that cannot be built unescaped.

Everything a section hands on is a `Markup`; every other text is escaped on its way in, so that a film's name or a
label from study.yaml stays text whatever it holds.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from markupsafe import Markup, escape

VOID = frozenset({"br", "hr", "img", "input"})
SHAPES = frozenset({"path", "rect", "line"})
"""SVG elements without content: closed by a slash, or the HTML parser nests each into the one before."""

Child = Any
"""Text (escaped), Markup (kept), None (left out), or a list of these."""


def tag(name: str, *children: Child, **attributes: Any) -> Markup:
    """One element.

    Parameters
    ----------
    name : str
        The element's name.
    *children
        Text is escaped, `Markup` kept, None left out, lists flattened.
    **attributes
        `class_` and `for_` lose their underscore, other underscores become hyphens; None and False leave the attribute
        out, True writes it bare.
    """
    written = Markup("").join(_attribute(key, value) for key, value in attributes.items())
    if name in VOID:
        return Markup("<{}{}>").format(Markup(name), written)
    if name in SHAPES:
        return Markup("<{}{}/>").format(Markup(name), written)
    return Markup("<{0}{1}>{2}</{0}>").format(Markup(name), written, join(children))


def _attribute(key: str, value: Any) -> Markup:
    if value is None or value is False:
        return Markup("")
    name = Markup(key.rstrip("_").replace("_", "-"))
    return Markup(" {}").format(name) if value is True else Markup(' {}="{}"').format(name, value)


def join(children: Child) -> Markup:
    """Children one after another, text escaped."""
    if children is None or children is False:
        return Markup("")
    if isinstance(children, Markup):
        return children
    if isinstance(children, list | tuple | map | filter) or hasattr(children, "__next__"):
        return Markup("").join(join(child) for child in children)
    return escape(children)


def paragraph(*children: Child, class_: str | None = None) -> Markup:
    """A paragraph."""
    return tag("p", *children, class_=class_)


def bullets(items: Iterable[Child], class_: str | None = None) -> Markup:
    """An unordered list."""
    return tag("ul", [tag("li", item) for item in items], class_=class_)


def section(identifier: str, title: str, *children: Child, level: int = 2, class_: str | None = None) -> Markup:
    """A section with its heading; `identifier` is what the contents list links to."""
    heading = tag(f"h{level}", title, id=f"{identifier}-title")
    return tag("section", heading, *children, id=identifier, class_=class_, aria_labelledby=f"{identifier}-title")


def folded(
    title: Child, *children: Child, class_: str | None = None, identifier: str | None = None, opened: bool = False
) -> Markup:
    """Content behind a line that opens it; `opened` lets it stand open at first."""
    body = tag("div", *children, class_="folded")
    return tag("details", tag("summary", title), body, class_=class_, id=identifier, open=opened)


def notice(*children: Child, kind: str = "note") -> Markup:
    """A remark that must not be overlooked."""
    return tag("div", *children, class_=f"notice {kind}", role="note")


def table(
    caption: Child,
    headers: Sequence[Child],
    rows: Iterable[Sequence[Child]],
    *,
    class_: str = "",
    source: str | None = None,
) -> Markup:
    """A table that scrolls inside its own frame on a narrow screen.

    Parameters
    ----------
    caption : text
        What the table shows; also the name of its frame for a screen reader.
    headers : sequence
        Column headings. Columns whose heading starts with '#' are numeric (right-aligned; the sign is dropped).
    rows : iterable of sequences
        The first cell of each row is its heading.
    class_, source : str
        CSS classes; file that the numbers come from, where it is not statistics.json.
    """
    numeric = [isinstance(h, str) and not isinstance(h, Markup) and h.startswith("#") for h in headers]
    names = [h[1:] if n else h for h, n in zip(headers, numeric, strict=True)]
    head = tag(
        "tr", [tag("th", name, scope="col", class_="n" if n else None) for name, n in zip(names, numeric, strict=True)]
    )
    body = [tag("tr", [_cell(i, cell, numeric[i]) for i, cell in enumerate(row)]) for row in rows]
    inner = tag(
        "table",
        tag("caption", caption),
        tag("thead", head),
        tag("tbody", body),
        class_=class_ or None,
        data_source=source,
    )
    return tag(
        "div", inner, class_="scroll", role="group", tabindex="0", aria_label=re.sub(r"<[^>]*>", "", str(caption))
    )


def _cell(column: int, content: Child, numeric: bool) -> Markup:
    if column == 0:
        return tag("th", content, scope="row")
    return tag("td", content, class_="n" if numeric else None)


def slug(text: str) -> str:
    """An identifier for links: letters, digits and hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "x"
