"""What may stand on the page: one allow-list for every output, without paths of the machine and names of films."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

import pandas as pd
from bleach.html5lib_shim import Filter
from bleach.sanitizer import Cleaner
from bs4 import BeautifulSoup

# an absolute path: at the start of a word, two or more parts; a lone '/' or 'and/or' is none
_PATH = re.compile(r"(?<![\w./:<~-])(?:~|/(?!/))(?:[\w.@+ -]*[\w.@+-])?(?:/[\w.@+-]+)+|\b[A-Za-z]:\\[^\s\"'<>|]+")
_TOKEN = re.compile(r"[\w.+@/-]{5,}")
_PICTURE = re.compile(r"data:image/(?:png|jpeg|webp);base64,[A-Za-z0-9+/=\s]*\Z")
_LINK = re.compile(r"(?:#[\w.:-]+|https://doi\.org/[\w./();:<>-]+)\Z")


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


MATH = _names(
    "math mrow mi mn mo ms mtext mspace msub msup msubsup mfrac msqrt mroot mstyle munder mover munderover mtable mtr "
    "mtd mpadded mphantom mfenced menclose semantics"
)
DRAWING = _names(
    "svg g path rect line circle ellipse polyline polygon text tspan title desc defs use clippath clipPath marker "
    "lineargradient linearGradient stop pattern"
)
CONTROLS = _names("form fieldset legend label input select option optgroup button output meter progress")
TAGS = _names(
    "a abbr article b blockquote br caption code col colgroup dd del details dfn div dl dt em figcaption figure h1 h2 "
    "h3 h4 h5 h6 hr i img kbd li nav ol p pre s section small span strong sub summary sup table tbody td tfoot th "
    "thead time tr u ul data"
)
ALLOWED = MATH | DRAWING | CONTROLS | TAGS
DROPPED = ("script", "style", "iframe", "object", "embed", "template", "noscript", "link", "meta", "base", "annotation",
           "foreignobject", "metadata", "head")  # fmt: skip
"""Dropped with their content; other unknown elements lose their tags and keep their text."""

GENERAL = _names("id class title lang dir hidden tabindex role translate")
OWN = {
    "a": frozenset({"href", "download"}),
    "td": frozenset({"colspan", "rowspan", "headers"}),
    "th": frozenset({"colspan", "rowspan", "scope", "headers", "abbr"}),
    "col": frozenset({"span"}),
    "colgroup": frozenset({"span"}),
    "img": frozenset({"src", "alt", "width", "height", "decoding", "loading"}),
    "details": frozenset({"open", "name"}),
    "ol": frozenset({"start", "reversed", "type"}),
    "time": frozenset({"datetime"}),
    "data": frozenset({"value"}),
    "label": frozenset({"for"}),
    "output": frozenset({"for", "name"}),
    "option": frozenset({"value", "selected", "disabled", "label"}),
    "optgroup": frozenset({"label"}),
    "select": frozenset({"name", "disabled", "size"}),
    "button": frozenset({"type", "name", "value", "disabled"}),
    "input": _names("type name value min max step checked disabled list autocomplete"),
    "meter": _names("value min max low high optimum"),
    "progress": _names("value max"),
    "fieldset": frozenset({"disabled", "name"}),
    "math": frozenset({"display"}),
    "mo": frozenset({"stretchy"}),
    "mtable": frozenset({"columnalign"}),
}
DRAWN = _names(
    "d x y x1 x2 y1 y2 cx cy r rx ry dx dy width height points viewbox preserveaspectratio transform fill fill-opacity "
    "fill-rule stroke stroke-width stroke-dasharray stroke-dashoffset stroke-linecap stroke-linejoin stroke-opacity "
    "stroke-miterlimit opacity clip-path clip-rule text-anchor dominant-baseline alignment-baseline font-size "
    "font-family font-weight font-style vector-effect offset stop-color stop-opacity gradientunits gradienttransform "
    "markerwidth markerheight refx refy orient marker-end marker-start patternunits focusable xml:space"
)
_ELSEWHERE = re.compile(r"url\(\s*['\"]?(?!#)", re.I)


def allowed(tag: str, name: str, content: str) -> bool:
    """Whether an element `tag` may carry an attribute with this content: nothing that runs, loads or styles."""
    name = name.lower()
    if name in GENERAL or re.fullmatch(r"(aria|data)-[a-z][a-z0-9-]*", name):
        return True
    if tag.lower() in {element.lower() for element in DRAWING}:
        if name in ("href", "xlink:href"):
            return content.startswith("#")
        return name in DRAWN and not _ELSEWHERE.search(content)
    if name not in OWN.get(tag, ()):
        return False
    if name == "href":
        return _LINK.match(content) is not None
    if name == "src":
        return _PICTURE.match(content) is not None
    return True


@dataclass(frozen=True)
class FilmNames:
    """Names of films and the hashes that replace them.

    Attributes
    ----------
    words, phrases : mapping of name to hash
        Names of one word, which are looked up, and names that hold a space or another sign, which are searched for.
    """

    words: Mapping[str, str] = field(default_factory=dict)
    phrases: Mapping[str, str] = field(default_factory=dict)


class _Private(Filter):
    """Texts and attributes without paths of the machine and names of films."""

    known = FilmNames()

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for token in super().__iter__():
            if token["type"] in ("Characters", "SpaceCharacters"):
                token["data"] = private(token["data"], self.known)
            elif token["type"] in ("StartTag", "EmptyTag"):
                for key, content in token["data"].items():
                    if key[1] not in ("src", "d", "href", "class", "id", "viewBox", "transform", "points"):
                        token["data"][key] = private(content, self.known)
            yield token


def clean(fragment: str, known: FilmNames | None = None) -> str:
    """HTML of a notebook's output with what is on the allow-list; nothing that runs, loads or styles.

    Parameters
    ----------
    fragment : str
    known : FilmNames, optional

    Returns
    -------
    str
        Content of scripts, styles and embedded documents is dropped; other unknown tags lose the tag and keep their
        text.

    Examples
    --------
    >>> clean('<p onclick="run()" data-row="3">AUC<script>run()</script></p>')
    '<p data-row="3">AUC</p>'
    """
    if any(f"<{name}" in fragment.lower() for name in DROPPED):
        soup = BeautifulSoup(fragment, "html.parser")
        for node in soup(list(DROPPED)):
            node.decompose()
        fragment = str(soup)
    private_filter = type("_Known", (_Private,), {"known": known or FilmNames()})
    cleaner = Cleaner(tags=ALLOWED, attributes=allowed, protocols=["data", "https"], strip=True, strip_comments=True,
                      filters=[private_filter])  # fmt: skip
    return cleaner.clean(fragment)


def private(text: str, known: FilmNames) -> str:
    """A text without paths of the machine and names of films."""
    return without_names(without_paths(text), known)


def without_paths(text: str) -> str:
    """Absolute paths cut to their last part: `/Users/someone/film.png` becomes `…/film.png`."""
    return _PATH.sub(lambda match: "…/" + re.split(r"[\\/]", match[0])[-1], text)


def sentence(text: Any) -> str:
    """Free text as one sentence without paths of the machine."""
    return without_paths(" ".join(str(text).split())).rstrip(".") + "."


def film_names(tables: Iterable[pd.DataFrame], others: Iterable[str] = ()) -> FilmNames:
    """Every path, file name and stem of films, with what stands for it.

    Parameters
    ----------
    tables : iterable of DataFrame
        The cohort tables, whose films have a hash.
    others : iterable of str
        Paths of films that stand in none of them, such as those left out.
    """
    frames = [frame for frame in tables if {"path", "image_id"} <= set(frame.columns)]
    pairs = [(path, LEFT_OUT) for path in others if _FILM.search(path)]
    for frame in frames:
        named = frame.dropna(subset=["path"])
        pairs += zip(named["path"].astype(str), named["image_id"].astype(str), strict=True)
    known: dict[str, str] = {}
    for path, stands in pairs:
        name = PurePosixPath(path)
        known |= {path: stands, name.name: stands}
        if len(name.stem) >= 6:  # a shorter stem could be an ordinary number
            known[name.stem] = stands
    phrases = {name: stands for name, stands in known.items() if not _TOKEN.fullmatch(name) and len(name) > 4}
    return FilmNames({name: stands for name, stands in known.items() if name not in phrases}, phrases)


LEFT_OUT = "(film left out)"
# a fault can concern a folder, too: what is no picture by its suffix counts as a film where it holds a digit
_FILM = re.compile(r"\.(?:png|jpe?g|tiff?|dcm|dicom|dic|bmp)$|\d[^/.]*$", re.I)


def without_names(text: str, known: FilmNames) -> str:
    """Names of films replaced by their hashes."""
    for name in sorted(known.phrases, key=len, reverse=True):
        if name in text:
            text = text.replace(name, known.phrases[name])
    return _TOKEN.sub(lambda match: _unnamed(match[0], known.words), text)


def _unnamed(token: str, words: Mapping[str, str]) -> str:
    """A word, or what stands for it where it is a film's name: as it is, below other folders, with another suffix."""
    plain = token.rstrip(".-")
    name = PurePosixPath(plain)
    for spelling in (token, plain, name.name, name.stem):
        if spelling in words:
            return words[spelling] + token[len(plain) :]
    return token
