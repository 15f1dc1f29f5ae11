"""Plain text into Markdown and back, so that a label is never read as markup."""

from __future__ import annotations

import re

_ALWAYS = re.compile(r"([\\`*\[\]|~$])")
_UNDERSCORE = re.compile(r"(?<!\w)_|_(?!\w)")
_TAG = re.compile(r"<(?=[A-Za-z/!?])")
_ENTITY = re.compile(r"&(?=#?\w+;)")


def md(text: str) -> str:
    """Text on one line that Markdown shows as it is: no emphasis, link, picture, formula, HTML or table cell.

    Only what would act is escaped (`p < 0.05` and `hsv_v` stay), so that the source reads well when pasted.
    """
    text = _ALWAYS.sub(r"\\\1", " ".join(text.split()))
    text = _UNDERSCORE.sub(r"\\_", text)
    text = _TAG.sub(r"\\<", text)
    text = _ENTITY.sub(r"\\&", text)
    return text.replace("://", "\\://")


def unescaped(markdown: str) -> str:
    """The text that `md` escaped."""
    return re.sub(r"\\([\\`*\[\]|~$_<&:])", r"\1", markdown)


def capital(text: str) -> str:
    """Text with its first letter in upper case."""
    return text[:1].upper() + text[1:]


def bullets(pairs: list[tuple[str, str | None]]) -> str:
    """A list of `**Name**: text`; what is unknown is left out."""
    return "\n".join(f"- **{name}**: {text}" for name, text in pairs if text)
