"""Markdown as a reader's program sees it: what kinds of markup it holds, and the text that it shows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import mistune

_READ = mistune.create_markdown(renderer=None, plugins=["table", "strikethrough", "url", "math"])


def tokens(markdown: str) -> Iterator[dict[str, Any]]:
    """Every token of the text, at any depth."""

    def walk(nodes: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        for node in nodes:
            yield node
            yield from walk(node.get("children") or [])

    parsed = _READ(markdown)
    yield from walk(list(parsed) if not isinstance(parsed, str) else [])


def kinds(markdown: str) -> list[str]:
    """The type of every token, in order."""
    return [token["type"] for token in tokens(markdown)]


def shown(markdown: str) -> str:
    """The text that a reader sees."""
    return "".join(token.get("raw", "") for token in tokens(markdown) if token["type"] in ("text", "codespan"))


ACTIVE = {
    "inline_html",
    "block_html",
    "link",
    "image",
    "emphasis",
    "strikethrough",
    "inline_math",
    "block_math",
    "block_code",
}
"""What a label must never become."""
