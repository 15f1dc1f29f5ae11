"""Everything the page is made from, read once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
from markupsafe import Markup

from osteotl.reporting.facts import Facts
from osteotl.reporting.html import tag
from osteotl.reporting.safety import film_numbers
from osteotl.reporting.wording import POINTS
from osteotl.study import Study

KEY = "film_numbers.csv"  # which film has which number; for the team
MARKS = "●■▲◆▼✚"
"""One sign per arm, in the order of the figures' markers: colour is never the only difference."""


@dataclass(frozen=True)
class Results:
    """The files of one finished study.

    Attributes
    ----------
    study : Study
        The checked configuration.
    out, data : Path
        Outputs folder; folder that holds `.prepared/`.
    facts : Facts
        statistics.json.
    integrity, provenance, figures : dict
        The files of these names; empty where a study has none.
    left_out : dict
        Why a figure was not drawn, by its name.
    """

    study: Study
    out: Path
    data: Path
    facts: Facts
    integrity: dict[str, Any]
    provenance: dict[str, Any]
    figures: dict[str, dict[str, Any]]
    left_out: dict[str, str]
    _read: dict[str, pd.DataFrame | None] = field(default_factory=dict, repr=False)

    def table(self, name: str) -> pd.DataFrame:
        """A table of outputs/tables, or an empty one."""
        return self.csv(f"tables/{name}.csv")

    def csv(self, path: str) -> pd.DataFrame:
        """A CSV below the outputs folder, or an empty table; seeds are read as text."""
        if path not in self._read:
            file = self.out / path
            kinds = {"seed": str, "image_id": str, "patient_id": str, "film": str}
            self._read[path] = pd.read_csv(file, dtype=kinds) if file.is_file() and file.stat().st_size > 1 else None
            if self.numbers and "image_id" in self.csv(path):
                frame = self.csv(path)
                self._read[path] = frame.assign(image_id=frame["image_id"].map(self.numbers).fillna("a film"))
        frame = self._read[path]
        return pd.DataFrame() if frame is None else frame

    @cached_property
    def numbers(self) -> dict[str, str]:
        """Running numbers in place of the film ids that came with own scores; empty where ids may be shown."""
        scores = self.out / "tables" / "scores.csv"
        if not self.study.predictions or self.study.report.show_ids or not scores.is_file():
            return {}
        return film_numbers(pd.read_csv(scores, usecols=["image_id"], dtype=str)["image_id"].dropna())

    @property
    def look_up(self) -> str:
        """Where the films are listed that the page calls by a number or a hash."""
        if self.study.predictions:
            return f"{KEY} says which film has which number." if self.numbers else ""
        return "The tables in cohorts/ say which file each identifier stands for."

    @property
    def reference(self) -> str:
        """The arm that the others are compared with."""
        named, arms = self.facts.get("settings.reference") or self.study.reference, dict(self.facts.get("arms") or {})
        return str(named if named in arms else next(iter(arms), ""))

    @property
    def arms(self) -> list[str]:
        """Arms of statistics.json, the reference first."""
        named = list(self.facts.get("arms", {}))
        return sorted(named, key=lambda a: (a != self.reference, named.index(a)))

    @property
    def others(self) -> list[str]:
        """Arms that are compared with the reference."""
        return [arm for arm in self.arms if self.facts.get(f"comparisons.{arm}") is not None]

    def label(self, arm: str) -> str:
        """The name of an arm as the reader sees it."""
        configured = self.study.arms.get(arm)
        return str(self.facts.get(f"settings.arms.{arm}.label") or (configured.label if configured else None) or arm)

    def mark(self, arm: str) -> Markup:
        """The arm's sign and name, in its colour."""
        i = self.arms.index(arm) % len(MARKS)
        sign = tag("span", MARKS[i], class_="sign", aria_hidden="true")
        return tag("span", sign, "\N{NO-BREAK SPACE}", tag("bdi", self.label(arm)), class_=f"arm arm-{i}")

    def sign(self, arm: str) -> Markup:
        """The arm's sign alone in its colour; its name is there for a screen reader."""
        i = self.arms.index(arm) % len(MARKS)
        return tag(
            "span",
            tag("span", MARKS[i], class_="sign", aria_hidden="true"),
            tag("span", self.label(arm), class_="visually-hidden"),
            class_=f"arm arm-{i}",
        )

    @property
    def seeds(self) -> list[str]:
        """Seeds that the arms were trained with, as the keys of `per_seed`."""
        return [str(seed) for seed in self.facts.get("settings.seeds", [])]

    @property
    def first_seed(self) -> str:
        """The seed that 2x2 tables, gallery and explorer open on."""
        return str(self.facts.get("settings.first_seed", self.seeds[0] if self.seeds else ""))

    @property
    def over_runs(self) -> str:
        """What a number of an arm stands for: `mean over 3 training runs`, or `one training run`."""
        return f"mean over {len(self.seeds)} training runs" if len(self.seeds) > 1 else "one training run"

    @property
    def points(self) -> list[str]:
        """Keys of the operating points, thresholds locked on validation first."""
        arms: dict[str, dict[str, Any]] = self.facts.get("arms", {})
        found = list(next(iter(arms.values()), {}).get("operating_points", {}))
        rank = {"validation": 0, "external": 1}
        order = list(POINTS)
        return sorted(found, key=lambda k: (rank.get(k.partition("@")[2], 2), _place(order, k.partition("@")[0])))

    @property
    def main_point(self) -> str:
        """The operating point of the summary: high sensitivity, locked where there was a validation set."""
        named = self.facts.get("settings.main_point")
        high = [key for key in self.points if key.startswith("high_sensitivity")]
        return str(named) if named in self.points else (high or self.points or [""])[0]

    @property
    def phantoms(self) -> bool:
        """Whether the tested films are synthetic."""
        cohorts = self.study.cohorts
        if cohorts is None:
            return False
        return any(r.startswith("phantom") for r in _readers(cohorts.external or cohorts.development))


def _place(order: list[str], name: str) -> int:
    return order.index(name) if name in order else len(order)


def _readers(cohort: Any) -> Iterator[str]:
    if cohort.reader == "concat":
        for part in cohort.parts:
            yield from _readers(part)
    else:
        yield cohort.reader


def load_results(study: Study, out: Path, data: Path) -> Results:
    """Read the finished study below `out`.

    Raises
    ------
    ValueError
        statistics.json is missing or is not what 04_statistics writes.
    """
    path = out / "statistics.json"
    if not path.is_file():
        raise ValueError(f"{path.name} is missing: the report shows what 04_statistics wrote; run ./run_all.sh first")
    statistics = json.loads(path.read_text(encoding="utf-8"))
    if not str(statistics.get("schema", "")).startswith("osteotl.statistics/"):
        raise ValueError(
            f"{path.name} has schema {statistics.get('schema')!r}, must be osteotl.statistics/1: run 04_statistics "
            "again"
        )
    index = read_json(out / "figures" / "index.json")
    return Results(
        study,
        out,
        data,
        Facts(statistics),
        read_json(out / "cohorts" / "integrity.json"),
        read_json(out / "provenance.json"),
        index.get("figures", {}),
        index.get("left_out", {}),
    )


def read_json(path: Path) -> dict[str, Any]:
    """The content of a JSON file, or nothing where there is none."""
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
