"""Build HTML from elements. Text is escaped when it is added, so a film's name or a label stays text."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from markupsafe import Markup, escape

VOID = frozenset({"br", "hr", "img", "input"})
SHAPES = frozenset({"path", "rect", "line", "circle"})
"""SVG elements without content. They are closed by a slash; otherwise the HTML parser nests each in the one before."""

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
    if hasattr(children, "__html__"):
        return Markup(children.__html__())
    if isinstance(children, list | tuple | map | filter) or hasattr(children, "__next__"):
        return Markup("").join(join(child) for child in children)
    return escape(children)


def paragraph(*children: Child, class_: str | None = None) -> Markup:
    """A paragraph."""
    return tag("p", *children, class_=class_)


def bullets(items: Iterable[Child], class_: str | None = None) -> Markup:
    """An unordered list."""
    return tag("ul", [tag("li", item) for item in items], class_=class_)


def folded(
    title: Child, *children: Child, class_: str | None = None, identifier: str | None = None, opened: bool = False
) -> Markup:
    """Content behind a line that opens it; `opened` lets it stand open at first."""
    body = tag("div", *children, class_="folded")
    return tag("details", tag("summary", title), body, class_=class_, id=identifier, open=opened)


def notice(*children: Child, kind: str = "note") -> Markup:
    """A remark set apart from the text."""
    return tag("div", *children, class_=f"notice {kind}", role="note")


def slug(text: str) -> str:
    """An identifier for links: letters, digits and hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "x"
