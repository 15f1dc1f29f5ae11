"""What must not leave the house: paths of the machine, names of films, anything that runs."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import PurePosixPath

import bleach
import pandas as pd
from bs4 import BeautifulSoup

# an absolute path: at the start of a word, two or more parts; a lone '/' or 'and/or' is none
_PATH = re.compile(r"(?<![\w./:<~-])(?:~|/(?!/))(?:[\w.@+ -]*[\w.@+-])?(?:/[\w.@+-]+)+|\b[A-Za-z]:\\[^\s\"'<>|]+")
_TOKEN = re.compile(r"[\w.+@/-]{5,}")

MATH = {
    "math",
    "mrow",
    "mi",
    "mn",
    "mo",
    "ms",
    "mtext",
    "mspace",
    "msub",
    "msup",
    "msubsup",
    "mfrac",
    "msqrt",
    "mroot",
    "mstyle",
    "munder",
    "mover",
    "munderover",
    "mtable",
    "mtr",
    "mtd",
    "mpadded",
    "mphantom",
    "mfenced",
    "menclose",
    "semantics",
}
TAGS = MATH | {
    "a",
    "abbr",
    "b",
    "blockquote",
    "br",
    "caption",
    "code",
    "dd",
    "del",
    "details",
    "div",
    "dl",
    "dt",
    "em",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "hr",
    "i",
    "kbd",
    "li",
    "ol",
    "p",
    "pre",
    "s",
    "small",
    "span",
    "strong",
    "sub",
    "summary",
    "sup",
    "table",
    "tbody",
    "td",
    "tfoot",
    "th",
    "thead",
    "tr",
    "u",
    "ul",
}
ATTRIBUTES = {
    "td": ["colspan", "rowspan"],
    "th": ["colspan", "rowspan", "scope"],
    "span": ["class"],
    "div": ["class"],
    "math": ["display"],
    "mo": ["stretchy"],
    "mtable": ["columnalign"],
}


def without_paths(text: str) -> str:
    """Absolute paths cut to their last part: `/Users/someone/film.png` becomes `…/film.png`."""
    return _PATH.sub(lambda match: "…/" + re.split(r"[\\/]", match[0])[-1], text)


def film_names(tables: Iterable[pd.DataFrame]) -> dict[str, str]:
    """Every path, file name and stem of the cohort tables, with the hash that stands for it."""
    known: dict[str, str] = {}
    for frame in tables:
        if not {"path", "image_id"} <= set(frame.columns):
            continue
        for path, image_id in zip(frame["path"].dropna().astype(str), frame["image_id"].astype(str), strict=False):
            name = PurePosixPath(path)
            known |= {path: image_id, name.name: image_id}
            if len(name.stem) >= 6:  # a shorter stem could be an ordinary number
                known[name.stem] = image_id
    return known


def without_names(text: str, known: dict[str, str]) -> str:
    """Names of films replaced by their hashes."""
    for name, image_id in known.items():
        if " " in name and name in text:  # rare: most names are one word, and words are looked up
            text = text.replace(name, image_id)
    return _TOKEN.sub(lambda match: known.get(match[0], match[0]), text)


def clean_fragment(fragment: str) -> str:
    """HTML of a notebook with nothing that could run, load or style: what is on the lists stays, the rest goes.

    Content of script, style and embedded documents is dropped; other unknown tags lose the tag and keep their text.
    """
    soup = BeautifulSoup(fragment, "html.parser")
    for node in soup(
        [
            "script",
            "style",
            "iframe",
            "object",
            "embed",
            "template",
            "noscript",
            "svg",
            "form",
            "link",
            "meta",
            "title",
            "annotation",
        ]
    ):
        node.decompose()
    return bleach.clean(str(soup), tags=TAGS, attributes=ATTRIBUTES, protocols=[], strip=True, strip_comments=True)
