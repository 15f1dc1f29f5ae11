"""What a reader gathers while it reads: films, boxes, faults and a count of what was left out."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import pandas as pd

from osteotl.cohorts.faults import Fault, fault, shown
from osteotl.files import is_litter
from osteotl.study import FileCohort

FILM_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".dcm", ".dicom", ".dic", ".bmp")
FILM_COLUMNS = ("image_id", "patient_id", "site", "label", "path", "root", "view", "age", "sex", "subtype")
BOX_COLUMNS = ("image_id", "x_min", "y_min", "x_max", "y_max", "finding", "written", "written_as")
HIGHER = "set `root` to a folder that holds them, and name the cohort's tables and folders from there"
NO_LESION = ("no finding", "no_finding", "nofinding", "normal", "healthy", "background", "negative")


@dataclass(frozen=True)
class Step:
    """Films that a step kept or left out, for the flow diagram."""

    step: str
    films: int
    patients: int
    reason: str


@dataclass(frozen=True)
class RawCohort:
    """A cohort as its files state it, with raw identifiers: stays in memory, is never written.

    Attributes
    ----------
    films : DataFrame
        One row per film: image_id, patient_id, site, label (1, 0 or missing), path and root (absolute), view, age in
        years, sex (F, M or missing), subtype; annotated_width, annotated_height and annotated_as ('native': boxes must
        fit a film of that very size; 'scaled': boxes are to be scaled from it) and the reader's own columns.
    boxes : DataFrame
        image_id, x_min, y_min, x_max, y_max (corners, in the annotated size), finding; written (the box as its file
        has it, where that is no four numbers) and written_as ('corners', or 'sizes': a corner, width and height).
    faults : list of Fault
    flow : list of Step
    opened : tuple of Path
        Every table and annotation file that was opened.
    seen : tuple of str
        Every film below the folder, kept or not, as messages name it.
    """

    films: pd.DataFrame
    boxes: pd.DataFrame
    faults: list[Fault] = field(default_factory=list)
    flow: list[Step] = field(default_factory=list)
    opened: tuple[Path, ...] = ()
    seen: tuple[str, ...] = ()


class FilmIndex:
    """Every film below a folder, found once: by its path, by any tail of its path, and by these without the suffix."""

    def __init__(self, root: Path, folder: Path):
        self.root = root
        self.paths = sorted(_films_below(folder))
        self._exact: dict[str, Path] = {}
        self._tails: dict[str, list[Path]] = {}
        self._folded: dict[str, list[Path]] = {}
        self._numbered: dict[str, list[Path]] = {}
        outer, inner = len(f"{root}/"), len(f"{folder}/")
        for path in self.paths:
            text = str(path)
            self._exact[text[inner:]] = path
            for tail in _tails(text[outer:]):
                for key in {tail, without_suffix(tail)}:
                    self._tails.setdefault(key, []).append(path)
        self._exact |= {str(path)[outer:]: path for path in self.paths}

    def find(self, name: str) -> list[Path]:
        """Films that a table may mean; the most exact reading wins.

        A name means the film of that path below `root` (or `images`), else the films whose path ends in it; its suffix
        may be another one. A name led by `root`'s own name is read without it. Folders that are named must be there: a
        film of the same file name in another folder is another film. Upper and lower case, and the two ways of writing
        an accented letter, count only where films differ in nothing else.
        """
        name = name.replace("\\", "/").removeprefix("./")
        for key in dict.fromkeys([name, self._below_root(name)]):
            if key in self._exact:
                return [self._exact[key]]
            for tail in (key, without_suffix(key)):
                if tail in self._tails:
                    return self._tails[tail]
        if not self._folded:
            for key, paths in self._tails.items():
                self._folded.setdefault(folded(key), []).extend(paths)
        keys = (folded(key) for key in (name, without_suffix(name), self._below_root(name)))
        return next((list(dict.fromkeys(found)) for key in keys if (found := self._folded.get(key))), [])

    def _below_root(self, name: str) -> str:
        """A name without the leading folders that it shares with the end of `root`."""
        parts, own = name.split("/"), self.root.parts
        led = (k for k in range(min(len(parts) - 1, len(own)), 0, -1) if tuple(parts[:k]) == own[-k:])
        return "/".join(parts[next(led, 0) :])

    def alike(self, name: str) -> list[Path]:
        """Films elsewhere that share the file name of one that is missing, or its number but for leading zeros."""
        last = without_suffix(name.replace("\\", "/").rpartition("/")[2])
        if found := self._tails.get(last):
            return found
        if not self._numbered:
            for path in self.paths:
                self._numbered.setdefault(_without_zeros(path.stem), []).append(path)
        return self._numbered.get(_without_zeros(last), [])


def _without_zeros(name: str) -> str:
    """A name whose numbers have no leading zeros, as a spreadsheet shows them."""
    return re.sub(r"(?<!\d)0+(?=\d)", "", name)


def _tails(text: str) -> list[str]:
    """a/b/c.png, b/c.png, c.png."""
    parts = text.split("/")
    return ["/".join(parts[k:]) for k in range(len(parts))]


def without_suffix(name: str) -> str:
    """A film's name or path without the suffix of a film."""
    stem, dot, suffix = name.rpartition(".")
    return stem if f"{dot}{suffix}".lower() in FILM_SUFFIXES else name


def visible(text: str) -> str:
    """A text as a person sees it: no invisible characters, accented letters written in one way, no space around."""
    if text.isascii():
        return text.strip()
    return "".join(c for c in unicodedata.normalize("NFC", text) if unicodedata.category(c) != "Cf").strip()


def folded(text: str) -> str:
    """What texts have in common that differ in case, accents' spelling or invisible characters only."""
    return visible(text).casefold()


def hidden(name: str) -> bool:
    """Whether a file or folder is litter of a system: ._x.txt, .DS_Store, ~$x.xlsx, __MACOSX."""
    return name.startswith(".") or is_litter(name)


def _films_below(folder: Path) -> Iterable[Path]:
    visited: set[str] = set()
    for place, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(place)
        if real in visited:  # a symbolic link that leads back up would never end
            folders.clear()
            continue
        visited.add(real)
        folders[:] = [name for name in folders if not hidden(name)]
        yield from (Path(place, name) for name in files if name.lower().endswith(FILM_SUFFIXES) and not hidden(name))


class CohortBuilder:
    """A cohort while it is read."""

    def __init__(self, spec: FileCohort):
        self.spec = spec
        self.root = Path(os.path.abspath(spec.root))
        self.films: list[dict[str, Any]] = []
        self.boxes: list[dict[str, Any]] = []
        self.faults: list[Fault] = []
        self.ignored_classes: dict[str, int] = {}
        self.used_classes: set[str] = set()
        self.drawn_classes: dict[str, int] = {}
        self.marked: dict[str, set[tuple[Any, ...]]] = {}  # mark of an annotation program: the boxes that have it
        self.label_words: dict[str, int] = {}
        self.unknown_labels: dict[tuple[str | Path, str], list[str]] = {}
        self.opened: list[Path] = []
        self.derived: Path | None = None  # the table that patients were derived from, for want of a column
        self.no_boxes: str | None = None  # the file of boxes, where it is not there; '' where it cannot be read
        self.pattern_ends = True  # whether `patient_pattern` could be searched for in bounded time
        self._classes = {folded(name): name for name in spec.classes}
        self._index: FilmIndex | None = None

    def fault(self, code: str, path: str | Path, message: str, remedy: str) -> None:
        """Note a fault of a file below the cohort's folder."""
        name = shown(path, self.root) if isinstance(path, Path) else f"{self.root.name}/{path}".rstrip("/")
        self.faults.append(fault(code, name, message, remedy))

    @property
    def index(self) -> FilmIndex:
        """Films below `images` (or below root where `images` is not given)."""
        if self._index is None:
            folder = Path(os.path.normpath(self.root / (self.spec.images or "")))
            if not folder.is_relative_to(self.root):
                self.fault("path_outside_root", str(self.spec.images), "leaves the cohort's folder", HIGHER)
                folder = self.root
            elif not os.path.isdir(folder):
                self.fault(
                    "root_missing", folder, "there is no such folder of films", "set `images` to the folder of films"
                )
            self._index = FilmIndex(self.root, folder)
        return self._index

    def find_film(self, name: str, source: str | Path) -> Path | None:
        """The one film that `source` names, or a listed fault."""
        plain = name.replace("\\", "/")
        absolute = plain.startswith("/") or re.match(r"[A-Za-z]:/", plain) is not None
        if absolute or ".." in plain.split("/"):
            self.fault(
                "path_outside_root",
                source,
                f"names the film {PurePosixPath(plain).name!r} by "
                + ("an absolute path" if absolute else "a path that leaves the cohort's folder"),
                "name films relative to `root`, without '..'",
            )
            return None
        found = self.index.find(name) or self._as_named(name)
        if len(found) == 1:
            return found[0]
        if found:
            others = ", ".join(shown(p, self.root) for p in found[:4])
            self.fault(
                "film_ambiguous",
                name,
                f"could be any of {others}",
                "name the film by its path below `root`, or set `images` to the folder of the right one",
            )
            return None
        self._missing(plain, source)
        return None

    def _missing(self, name: str, source: str | Path) -> None:
        """List a film that is not there, with what would lead to it."""
        where = f"{self.name_of(source)}" + (f" (`images: {self.spec.images}`)" if self.spec.images else "")
        remedy = (
            f"add the film, or take its row out of the table, or exclude it: integrity.exclude: [{self.called(name)}]"
        )
        if elsewhere := self.index.alike(name):
            names = " or ".join(p.relative_to(self.root).as_posix() for p in elsewhere[:3])
            remedy = f"if {names} is meant, name it so there; else {remedy}"
        elif os.path.isfile(self.root.parent / name) or name.split("/")[0] == self.root.name:
            such = f" (such as {self.name_of(source)})" if isinstance(source, Path) else ""
            remedy = f"set `root` one level higher and name the tables and folders from there{such}; or {remedy}"
        self.fault("film_missing", name, f"named by {where}, but no such film is below the folder", remedy)

    def film_beside(self, path: Path, folder: Path, named: str) -> Path | None:
        """The film of an annotation file of its own: the one of its path or stem, and of the name in it.

        Two films are a listed fault: nobody knows on which of them the boxes were drawn.
        """
        inside = path.relative_to(folder) if path.is_relative_to(folder) else Path(path.name)
        own = self.index.find(inside.with_suffix("").as_posix()) or self.index.find(path.stem)
        last = named.replace("\\", "/").rpartition("/")[2]  # LabelMe stores '..\\images\\x.jpg' of the annotator's disk
        other = self.index.find(named.replace("\\", "/")) or self.index.find(last) if last else []
        if not other or own == other:
            return own[0] if len(own) == 1 else self.find_film(path.stem, path)
        if not own or (both := set(own) & set(other)):
            meant = list(both) if own else other
            return meant[0] if len(meant) == 1 else self.find_film(last, path)
        names = " and ".join(self.name_of(films[0]) for films in (own, other))
        self.fault(
            "film_ambiguous",
            path,
            f"has the name of one film and names another in it: {names}",
            "correct the name in it, or rename the file after the film that it annotates",
        )
        return None

    def called(self, name: str) -> str:
        """How `integrity.exclude` names a film of this cohort."""
        return f"{self.root.name}/{name}"

    def _as_named(self, name: str) -> list[Path]:
        """A file whose name does not end as a film's, as DICOM exports often do: its content decides what it is."""
        path = self.root / name.replace("\\", "/")
        return [path] if name and os.path.isfile(path) else []

    def name_of(self, source: str | Path) -> str:
        """A source as a message may name it."""
        return shown(source, self.root) if isinstance(source, Path) else source

    def add_film(self, image_id: str, path: Path | None, label: int | None, **values: Any) -> None:
        """One film; label None where its status is not annotated."""
        self.films.append({"image_id": image_id, "path": None if path is None else str(path), "label": label, **values})

    def add_unlisted(self) -> None:
        """Films in the folder that no annotation mentions: their status is not annotated."""
        listed = {film["path"] for film in self.films}
        for path in self.index.paths:
            if str(path) not in listed:
                self.add_film(path.relative_to(self.root).as_posix(), path, None)

    def class_of(self, name: str) -> str | None:
        """The word of `classes` that is meant; case, accents' spelling and spaces may differ where no other fits."""
        return name if name in self.spec.classes else self._classes.get(folded(name))

    def finding(self, name: str) -> str | None:
        """The finding of a source class by `classes`; None where it is left out (counted unless meant)."""
        word = self.class_of(name)
        if word is not None:
            self.used_classes.add(word)
            mapped = self.spec.classes[word]
            return name if mapped in ("1", "1.0") else None if mapped in ("0", "0.0") else mapped
        if self.spec.classes or folded(name) in NO_LESION:
            self.ignored_classes[name] = self.ignored_classes.get(name, 0) + 1
            return None
        self.drawn_classes[name] = self.drawn_classes.get(name, 0) + 1
        return name

    def add_box(
        self,
        image_id: str,
        corners: Iterable[float],
        finding: str,
        written: str | None = None,
        written_as: str = "corners",
    ) -> None:
        """One box by its corners; `written` is its text where that may be no four numbers."""
        box = dict(zip(BOX_COLUMNS, (image_id, *corners, finding, written, written_as), strict=True))
        self.boxes.append(box)

    def frames(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Films and boxes as tables with every column of `RawCohort`."""
        films = pd.DataFrame(self.films)
        for column in (*FILM_COLUMNS, "annotated_width", "annotated_height", "annotated_as"):
            if column not in films:
                films[column] = pd.Series([None] * len(films), dtype=object)
        films["root"] = str(self.root)
        films["no_boxes"] = self.no_boxes
        boxes = pd.DataFrame(self.boxes, columns=list(BOX_COLUMNS))
        corners = list(BOX_COLUMNS[1:5])
        boxes[corners] = boxes[corners].astype(float)
        return films, boxes
