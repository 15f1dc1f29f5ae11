"""What a reader gathers while it reads: films, boxes, faults and a count of what was left out."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import pandas as pd

from osteotl.cohorts.faults import Fault, fault, shown
from osteotl.study import FileCohort

FILM_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".dcm", ".dicom", ".dic", ".bmp")
FILM_COLUMNS = ("image_id", "patient_id", "site", "label", "path", "root", "view", "age", "sex", "subtype")
BOX_COLUMNS = ("image_id", "x_min", "y_min", "x_max", "y_max", "finding")


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
        image_id, x_min, y_min, x_max, y_max (corners, in the annotated size), finding.
    faults : list of Fault
    flow : list of Step
    """

    films: pd.DataFrame
    boxes: pd.DataFrame
    faults: list[Fault] = field(default_factory=list)
    flow: list[Step] = field(default_factory=list)


class FilmIndex:
    """Every film below a folder, found once, by relative path, by name and by stem."""

    def __init__(self, root: Path, folder: Path):
        self.root = root
        self.paths = sorted(_films_below(folder))
        self._keys: dict[str, list[Path]] = {}
        self._folded: dict[str, list[Path]] = {}
        outer, inner = len(f"{root}/"), len(f"{folder}/")
        for path in self.paths:
            text = str(path)
            name = text.rpartition("/")[2]
            for key in {text[outer:], text[inner:], name, name.rpartition(".")[0]}:
                self._keys.setdefault(key, []).append(path)

    def find(self, name: str) -> list[Path]:
        """Films that a table may mean by a relative path, a file name or a stem; the most exact reading wins.

        Upper and lower case count only where films differ in nothing else: Windows, where tables are often written,
        tells them not apart.
        """
        name = name.replace("\\", "/").removeprefix("./")
        last = name.rpartition("/")[2]
        stem, dot, suffix = last.rpartition(".")
        keys = (name, last, stem if f"{dot}{suffix}".lower() in FILM_SUFFIXES else last)
        for key in keys:
            if key in self._keys:
                return self._keys[key]
        if not self._folded:
            for key, paths in self._keys.items():
                self._folded.setdefault(key.casefold(), []).extend(paths)
        return next((found for key in keys if (found := self._folded.get(key.casefold()))), [])


def _films_below(folder: Path) -> Iterable[Path]:
    visited: set[str] = set()
    for place, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(place)
        if real in visited:  # a symbolic link that leads back up would never end
            folders.clear()
            continue
        visited.add(real)
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (
            Path(place, name) for name in files if name.lower().endswith(FILM_SUFFIXES) and not name.startswith(".")
        )


class Draft:
    """A cohort while it is read."""

    def __init__(self, spec: FileCohort):
        self.spec = spec
        self.root = Path(os.path.abspath(spec.root))
        self.films: list[dict[str, Any]] = []
        self.boxes: list[dict[str, Any]] = []
        self.faults: list[Fault] = []
        self.ignored_classes: dict[str, int] = {}
        self.used_classes: set[str] = set()
        self._index: FilmIndex | None = None

    def fault(self, code: str, path: str | Path, message: str, remedy: str) -> None:
        """Note a fault of a file below the cohort's folder."""
        name = shown(path, self.root) if isinstance(path, Path) else f"{self.root.name}/{path}"
        self.faults.append(fault(code, name, message, remedy))

    @property
    def index(self) -> FilmIndex:
        """Films below `images` (or below root where `images` is not given)."""
        if self._index is None:
            folder = Path(os.path.normpath(self.root / (self.spec.images or "")))
            if not folder.is_relative_to(self.root):
                self.fault(
                    "path_outside_root", str(self.spec.images), "leaves the cohort's folder", "set `root` higher"
                )
                folder = self.root
            elif not folder.is_dir():
                self.fault(
                    "root_missing", folder, "there is no such folder of films", "set `images` to the folder of films"
                )
            self._index = FilmIndex(self.root, folder)
        return self._index

    def find_film(self, name: str, source: str | Path) -> Path | None:
        """The one film that `source` names, or a listed fault."""
        if name.startswith("/") or ".." in name.replace("\\", "/").split("/"):
            self.fault(
                "path_outside_root",
                source,
                f"names the film {PurePosixPath(name).name!r} by "
                + ("an absolute path" if name.startswith("/") else "a path that leaves the cohort's folder"),
                "name films relative to `root`, without '..'",
            )
            return None
        found = self.index.find(name) or self._as_named(name)
        if len(found) == 1:
            return found[0]
        if not found:
            self.fault(
                "film_missing",
                name,
                f"named by {self.name_of(source)}, but no such film is below the folder",
                "add the film, or take its row out of the table, or name it under integrity.exclude",
            )
        else:
            others = ", ".join(shown(p, self.root) for p in found[:4])
            self.fault("film_ambiguous", name, f"could be any of {others}", "keep one of the files, or set `images`")
        return None

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

    def finding(self, name: str) -> str | None:
        """The finding of a source class by `classes`; None where it is left out (counted unless meant)."""
        if not self.spec.classes:
            return name
        if name in self.spec.classes:
            self.used_classes.add(name)
            return self.spec.classes[name]
        self.ignored_classes[name] = self.ignored_classes.get(name, 0) + 1
        return None

    def add_box(self, image_id: str, corners: Iterable[float], finding: str) -> None:
        """One box by its corners."""
        x_min, y_min, x_max, y_max = corners
        self.boxes.append(
            {"image_id": image_id, "x_min": x_min, "y_min": y_min, "x_max": x_max, "y_max": y_max, "finding": finding}
        )

    def frames(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Films and boxes as tables with every column of `RawCohort`."""
        films = pd.DataFrame(self.films)
        for column in (*FILM_COLUMNS, "annotated_width", "annotated_height", "annotated_as"):
            if column not in films:
                films[column] = pd.Series([None] * len(films), dtype=object)
        films["root"] = str(self.root)
        boxes = pd.DataFrame(self.boxes, columns=list(BOX_COLUMNS))
        corners = list(BOX_COLUMNS[1:5])
        boxes[corners] = boxes[corners].astype(float)
        return films, boxes
