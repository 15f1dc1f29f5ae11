"""Sections of the page, as the cells of notebook 06 return them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from osteotl.html import Child, join, paragraph, slug, tag

MIME = "application/vnd.osteotl.section+json"
"""Output of a section's cell: {"id", "omitted"}, and {"title", ...} for the header."""


@dataclass(frozen=True, init=False)
class Section:
    """What one cell adds to the page, below the heading and text of the Markdown cell before it.

    Parameters
    ----------
    id : str
        Name that the contents list links to: letters, digits, hyphens.
    *parts
        Tables, figures, Markup, or text (a paragraph each).
    class_ : str, optional
    about : mapping, optional
        Further facts for the renderer, such as the page's title.

    Raises
    ------
    ValueError
        A name that cannot be linked to.

    Examples
    --------
    >>> str(Section("mine", "A figure of my own."))
    '<p>A figure of my own.</p>'
    """

    id: str
    body: Markup
    class_: str
    about: dict[str, Any]

    def __init__(self, id: str, *parts: Child, class_: str = "", about: dict[str, Any] | None = None):
        if id != slug(id):
            raise ValueError(f"{id!r} cannot name a section: use small letters, digits and hyphens")
        object.__setattr__(self, "id", id)
        object.__setattr__(self, "body", join([_part(part) for part in parts]))
        object.__setattr__(self, "class_", class_)
        object.__setattr__(self, "about", about or {})

    def __html__(self) -> str:
        return str(self.body)

    __str__ = __html__

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        about = {"id": self.id, "omitted": "", "class": self.class_, **self.about}
        return {"text/html": str(self.body), "text/plain": f"Section {self.id}", MIME: about}


@dataclass(frozen=True)
class Omitted:
    """A section that this study has nothing for; its heading and text are left out too."""

    reason: str

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        said = str(tag("p", tag("em", "Left out: "), self.reason))
        return {"text/html": said, "text/plain": f"Left out: {self.reason}", MIME: {"id": "", "omitted": self.reason}}


def omit(reason: str) -> Omitted:
    """Leave a section out, and say why in the page's list of omissions.

    Raises
    ------
    ValueError
        No reason.
    """
    if not reason.strip():
        raise ValueError("a section is left out with a reason: omit('no lesion boxes')")
    return Omitted(reason)


def _part(part: Child) -> Child:
    return paragraph(part) if isinstance(part, str) and not isinstance(part, Markup) else part
