"""Inputs that raise a fault, and what its remedy says, followed to the letter.

A case is a generator. It makes the input, yields, is sent the fault that `check` lists, does what the remedy says and
nothing else, and yields what must then be read: films, malignant films and lesion boxes, counted by hand.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from PIL import Image

from cohorts import layouts
from osteotl.cohorts import pool, tables
from osteotl.cohorts.faults import Fault, judge
from osteotl.study import parse_study

#: faults of small cohorts, which are not what a case is about
SMALL = dict.fromkeys(
    ("one_class", "too_few_patients", "few_malignant", "no_validation", "class_source_confounded"), "ignore"
)
ARMS = {"a": {"initialise": "random"}, "b": {"initialise": "random"}}


@dataclass
class Read:
    """What must be read once a remedy was followed; `stays`: the fault is still told, for nothing was to be done."""

    films: int
    malignant: int
    boxes: int
    stays: bool = False
    also: tuple[str, ...] = ()  # codes that may be told now and were not before


Case = Generator[Any, Any, None]
CASES: list[tuple[str, str, Callable[..., Case], tuple[Any, ...]]] = []


def case(code: str, words: str, *variants: tuple[Any, ...]) -> Callable[[Callable[..., Case]], Callable[..., Case]]:
    """Register a case: the code of its fault, and words of the remedy that it follows."""

    def register(make: Callable[..., Case]) -> Callable[..., Case]:
        CASES.extend((code, words, make, variant) for variant in variants or [()])
        return make

    return register


class Place:
    """A study on one folder, `knees`, and what a person changes in it."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.root = folder / "knees"
        self.settings: dict[str, Any] = {"reader": "manifest", "root": str(self.root)}
        self.cohorts: dict[str, Any] = {"development": self.settings}
        self.integrity: dict[str, Any] = {"severity": SMALL}

    def study(self) -> Any:
        content = {"title": "T", "reference": "a", "arms": ARMS, "cohorts": self.cohorts, "integrity": self.integrity}
        return parse_study(content)

    def read(self, pixels: bool) -> tuple[list[Fault], pd.DataFrame, pd.DataFrame]:
        """Faults, films and boxes as `check` and a run come to them; without pixels, up to what tables tell."""
        study = self.study()
        if pixels:
            summary, boxes = tables._assemble(study, self.folder / "data")
            return summary.faults, summary.films, boxes
        read = pool.read_pool(study.cohorts, self.folder / "data")
        pool.exclude(read, study.integrity.exclude)
        sizes = [size_of(path) for path in read.films["path"]]
        read.films["width"], read.films["height"] = [width for width, _ in sizes], [height for _, height in sizes]
        pool.make_partitions(read, study.cohorts)
        boxes = pool.boxes_of(read)
        read.faults += pool.pool_faults(read.films, boxes, None)
        return judge(read.faults, study.integrity.severity), read.films, boxes

    def layout(self, reader: str, **settings: Any) -> Path:
        """Make a layout, and let the study read it."""
        getattr(layouts, reader)(self.root)
        self.settings |= {"reader": reader, **settings}
        return self.root

    def edit(self, old: str, new: str, name: str = "manifest.csv") -> None:
        """Change the first place in a file that holds `old`."""
        path = self.root / name
        text = path.read_text(encoding="utf-8")
        assert old in text, f"{old!r} is not in {name}"
        path.write_text(text.replace(old, new, 1), encoding="utf-8")

    def json(self, name: str, change: Callable[[Any], Any]) -> None:
        """Change a JSON file."""
        content = json.loads((self.root / name).read_text())
        change(content)
        (self.root / name).write_text(json.dumps(content))

    def exclude(self, remedy: str) -> None:
        """integrity.exclude as a remedy writes it."""
        self.integrity["exclude"] = [*self.integrity.get("exclude", []), *snippet(remedy, "integrity.exclude")]


def size_of(path: str) -> tuple[int, int]:
    with Image.open(path) as film:
        return film.size


def snippet(remedy: str, key: str) -> Any:
    """The value that a remedy writes behind a key, as YAML reads it."""
    found = re.search(rf"{re.escape(key)}: (\{{.*?\}}|\[.*?\]|\"[^\"]*\"|[^\s,;`]+)", remedy)
    assert found, f"{remedy!r} has no {key}"
    return yaml.safe_load(found[1])


def boxes_file(place: Place, rows: list[list[Any]], header: str = "path,x_min,y_min,x_max,y_max,finding") -> None:
    layouts.table(place.root / "boxes.csv", header.split(","), rows)


def two_films(place: Place, box: list[Any], suffix: str = "png", **size: int) -> Path:
    """A malignant film with one box and a normal one, 120 x 100; the malignant one's path."""
    layouts.film(place.root / f"a.{suffix}", seed=1, **size)
    layouts.film(place.root / "b.png", seed=2)
    rows = [[f"a.{suffix}", 1, "P1"], ["b.png", 0, "P2"]]
    layouts.table(place.root / "manifest.csv", ["path", "label", "patient_id"], rows)
    boxes_file(place, [[f"a.{suffix}", *box, "lesion"]])
    return place.root / f"a.{suffix}"


def corners(boxes: pd.DataFrame) -> list[list[float]]:
    """Corners as the cohort table holds them, sorted."""
    return sorted(boxes[["x_min", "y_min", "x_max", "y_max"]].round(3).to_numpy().tolist())


def picture(seed: int = 1, width: int = 120, height: int = 100) -> np.ndarray:
    coarse = np.random.default_rng([seed, 7]).integers(20, 230, (9, 9), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


def with_external(place: Place) -> Path:
    """The manifest, and an external cohort beside it: 4 films, 2 of them malignant."""
    place.layout("manifest")
    other = layouts.manifest(place.folder / "external", 2, 2, seed=500)
    for name in ("manifest.csv", "boxes.csv"):
        (other / name).write_text((other / name).read_text().replace(",P", ",Q"))
    place.cohorts["external"] = {"reader": "manifest", "root": str(other)}
    return other
