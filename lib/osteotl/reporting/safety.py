"""What must not leave the house: paths of the machine, names of films, anything that runs."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import unquote

import bleach
import pandas as pd
from bs4 import BeautifulSoup

# an absolute path: at the start of a word, two or more parts; a lone '/' or 'and/or' is none
_PATH = re.compile(r"(?<![\w./:<~-])(?:~|/(?!/))(?:[\w.@+ -]*[\w.@+-])?(?:/[\w.@+-]+)+|\b[A-Za-z]:\\[^\s\"'<>|]+")
_TOKEN = re.compile(r"[\w.+@/\\%-]{5,}")
_FILE = re.compile(
    r"[^\s'\"`,;:()\[\]<>]+\.(?:png|jpe?g|jpg|tiff?|bmp|webp|gif|dcm|dicom|json|xml|txt)\b", re.IGNORECASE
)
LEFT_OUT = "[film left out]"

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


def film_names(tables: Iterable[pd.DataFrame], left_out: Iterable[str] = ()) -> dict[str, str]:
    """What films are called, with what stands for it on the page.

    Parameters
    ----------
    tables : iterable of DataFrame
        Cohort tables: `path` and `image_id`, the hash.
    left_out : iterable of str
        File names of films that are in no table, such as those that integrity.json names.

    Returns
    -------
    dict
        Path, file name, stem and telling folders of every film, in small letters and composed form (`spelling`).
    """
    known: dict[str, str] = {}
    for path in left_out:
        known |= dict.fromkeys(_spellings(path), LEFT_OUT)
    for frame in tables:
        if not {"path", "image_id"} <= set(frame.columns):
            continue
        rows = frame.dropna(subset=["path"])
        for path, image_id in zip(rows["path"].astype(str), rows["image_id"].astype(str), strict=True):
            known |= dict.fromkeys(_spellings(path), image_id)
    return known


def named_in(integrity: Mapping[str, Any], excluded: Iterable[str] = ()) -> set[str]:
    """Files that the list of faults or the study's list of exclusions names, whether their films were kept or not."""
    found = {str(name) for name in excluded}
    for fault in integrity.get("faults", []):
        found.add(str(fault.get("file") or ""))
        for part in ("file", "message", "remedy"):
            found |= {match[0] for match in _FILE.finditer(str(fault.get(part) or ""))}
    return {name for name in found if PurePosixPath(name).suffix}


def spelling(name: str) -> str:
    """One form of a name for all its spellings: small letters, composed characters, no percent signs."""
    return unicodedata.normalize("NFC", unquote(name)).casefold()


def _spellings(path: str) -> list[str]:
    """Path, file name, stem and folders of a film, as far as they could not be an ordinary word or number."""
    name = PurePosixPath(spelling(path.replace("\\", "/")))
    found = [str(name), name.name]
    stem = name.name.partition(".")[0]
    found += [word for word in (name.stem, stem) if len(word) >= 6]  # a shorter stem could be an ordinary number
    given = PurePosixPath(path.replace("\\", "/")).parent.parts
    folders = [part for part in given if len(part) >= 6 and not re.fullmatch(r"[a-z]+", part)]  # `images` is a word
    return [word for word in dict.fromkeys([*found, *map(spelling, folders)]) if len(word) >= 4]


def without_names(text: str, known: dict[str, str]) -> str:
    """Names of films replaced by their hashes, in whatever spelling and below whatever folder they stand."""
    spaced = [name for name in known if re.search(r"[^\w.+@/%-]", name)]  # rare: most names are one word
    if spaced and any(name in spelling(text) for name in spaced):
        text = unicodedata.normalize("NFC", text)
        for name in sorted(spaced, key=len, reverse=True):
            text = re.sub(re.escape(name), known[name], text, flags=re.IGNORECASE)
    return _TOKEN.sub(lambda match: _told(match[0], known), text)


def _told(token: str, known: dict[str, str]) -> str:
    """A word as it may stand: itself, or the hash of the film whose name it is or ends in."""
    plain = spelling(token.replace("\\", "/")).rstrip(".")
    if plain in known:
        return known[plain]
    parts = [part for part in plain.split("/") if part]
    for part in reversed(parts):
        for word in (part, part.rpartition(".")[0], part.partition(".")[0]):
            if word in known:
                return known[word]
    return token


def film_numbers(image_ids: Iterable[str]) -> dict[str, str]:
    """Running numbers for films whose ids came with somebody's own scores and may hold anything.

    The numbers follow the ids' order, so the same scores give the same numbers; whoever keeps the list can look a film
    up again.

    Examples
    --------
    >>> film_numbers(["b", "a", "b"])
    {'a': 'film 1', 'b': 'film 2'}
    """
    return {name: f"film {number}" for number, name in enumerate(sorted({str(name) for name in image_ids}), start=1)}


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
