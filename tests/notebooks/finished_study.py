"""Finished studies from simulated scores, as 00 to 03 leave them, and notebook 04 executed on them by hand."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pandas as pd
import yaml
from bs4 import BeautifulSoup
from PIL import Image
from scipy.special import logit

from diagnostic_accuracy.estimates import read_results
from osteotl.files import sha256, write_csv, write_json, write_text
from osteotl.plan import write_plan
from osteotl.report.render import write_report
from osteotl.study import parse_study
from shared_kernel import execute, execute_file

ROOT = Path(__file__).resolve().parents[2]
FILM = "ab0123456789"  # key of the one prepared film that all films of a simulated study share


@dataclass(frozen=True)
class Finished:
    """A study folder: study.yaml, outputs/, and the tables as they were made."""

    folder: Path
    predictions: pd.DataFrame
    films: pd.DataFrame
    data: Path

    @property
    def config(self) -> Path:
        return self.folder / "study.yaml"

    @property
    def outputs(self) -> Path:
        return self.folder / "outputs"

    def hashes(self) -> dict[str, str]:
        """Every file of the outputs, scratch left out."""
        found = [path for path in sorted(self.outputs.rglob("*")) if path.is_file()]
        return {path.relative_to(self.outputs).as_posix(): sha256(path) for path in found
                if "scratch" not in path.relative_to(self.outputs).parts}  # fmt: skip


def with_films(
    folder: Path, predictions: pd.DataFrame, extra: pd.DataFrame | None = None, **settings: Mapping[str, Any]
) -> Finished:
    """A study with cohort tables, boxes and detections.

    Parameters
    ----------
    folder : Path
    predictions : DataFrame
        From `simulated_scores.predictions`; `fraction` is 1 where it is missing.
    extra : DataFrame, optional
        predictions_extra.csv.
    **settings
        Keys of study.yaml, added to the small default ones.
    """
    out = folder / "outputs"
    predictions = predictions.assign(logit=logit(predictions["score"].clip(1e-7, 1 - 1e-7)))
    if "fraction" not in predictions:
        predictions = predictions.assign(fraction=1.0)
    films = _films(predictions)
    content = _study(predictions) | settings
    write_text(folder / "study.yaml", yaml.safe_dump(content, sort_keys=False))
    write_csv(out / "predictions.csv", predictions)
    if extra is not None:
        write_csv(out / "predictions_extra.csv", extra)
    external = films["cohort"] == "external"
    write_csv(out / "cohorts" / "external.csv", films[external].drop(columns="cohort").assign(partition="test"))
    write_csv(out / "cohorts" / "development.csv",
              films[~external].drop(columns="cohort").assign(partition="validation"))  # fmt: skip
    malignant = films[films["label"] == 1]
    boxes = malignant[["image_id", "cohort"]].assign(x_min=20, y_min=20, x_max=40, y_max=44, finding="tumour")
    write_csv(out / "cohorts" / "boxes.csv", boxes)
    write_csv(out / "detections.csv", _detections(predictions))
    write_csv(out / "audit.csv", pd.DataFrame(columns=["image_id", "arm", "fraction", "seed", "audit", "score"]))
    write_json(out / "audit.json", {"alarms": []})
    # as in 03: the plan is locked on validation films, if there are any
    write_plan(parse_study(content), predictions[predictions["cohort"] == "validation"], out / "analysis_plan.json")
    prepared = folder / "data" / ".prepared" / FILM[:2] / f"{FILM}.png"
    prepared.parent.mkdir(parents=True)
    Image.fromarray(np.full((64, 60), 90, np.uint8)).save(prepared)
    return Finished(folder, predictions, films, folder / "data")


def with_scores(folder: Path, table: pd.DataFrame, reference: str, **settings: Mapping[str, Any]) -> Finished:
    """A study of scores that were made elsewhere."""
    folder.mkdir(parents=True, exist_ok=True)
    write_csv(folder / "scores.csv", table)
    content = {"title": "Scores of other programs", "predictions": str(folder / "scores.csv"), "reference": reference,
               "statistics": {"bootstrap": 200}} | settings  # fmt: skip
    write_text(folder / "study.yaml", yaml.safe_dump(content, sort_keys=False))
    (folder / "outputs").mkdir()
    return Finished(folder, table, pd.DataFrame(), folder / "data")


def _films(predictions: pd.DataFrame) -> pd.DataFrame:
    films = predictions.drop_duplicates("image_id")[["image_id", "patient_id", "cohort", "label"]]
    rng = np.random.default_rng(4)
    sex = dict(zip(films["patient_id"].unique(), rng.choice(["F", "M"], films["patient_id"].nunique()), strict=True))
    site = dict(zip(films["patient_id"].unique(), rng.choice(["B", "C"], films["patient_id"].nunique()), strict=True))
    outside = films["cohort"] == "external"
    return films.assign(
        site=np.where(outside, films["patient_id"].map(site), "A"), sex=films["patient_id"].map(sex),
        age=rng.integers(6, 70, len(films)), view=rng.choice(["frontal", "lateral"], len(films)),
        subtype=np.where(films["label"] == 1, "osteosarcoma", None), film=FILM, path="phantoms/film.png",
        width=60, height=64,
    )  # fmt: skip


def _detections(predictions: pd.DataFrame) -> pd.DataFrame:
    """The strongest box of every film lies on the lesion in every second film; a weaker one lies aside."""
    on = predictions[["image_id", "arm", "fraction", "seed", "score"]].copy()
    aside = on.assign(x_min=2.0, y_min=2.0, x_max=12.0, y_max=14.0)
    even = on["image_id"].map(lambda name: sum(map(ord, name)) % 2 == 0)
    on = on.assign(x_min=21.0, y_min=20.0, x_max=41.0, y_max=44.0)
    first, second = on[even], aside[~even]
    return pd.concat([first, second, aside[even].assign(score=aside["score"][even] / 2)], ignore_index=True)


def _study(predictions: pd.DataFrame) -> dict[str, Any]:
    arms = list(dict.fromkeys(predictions["arm"]))
    starts = ["random", *["pretrain"] * (len(arms) - 1)]
    return {
        "title": "Simulated study",
        "cohorts": {
            "pretrain": {"reader": "phantom-chest", "films": 24, "seed": 1},
            "development": {"reader": "phantom-knee", "films": 200, "malignant": 80, "validation": 100, "seed": 2},
            "external": {"reader": "phantom-knee", "films": 200, "malignant": 80, "site": "B", "seed": 3},
        },
        "arms": {arm: {"initialise": start, "label": f"model {arm}"} for arm, start in zip(arms, starts, strict=True)},
        "reference": arms[0],
        "seeds": sorted(int(seed) for seed in predictions["seed"].unique()),
        "fractions": sorted(float(fraction) for fraction in predictions["fraction"].unique()),
        "statistics": {"bootstrap": 200},
    }


# --- notebook 04 by hand ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Explored:
    """An executed copy of 04, and what it saved below scratch."""

    notebook: nbformat.NotebookNode
    results: pd.DataFrame
    analysis: dict[str, Any]

    def printed(self, line: str) -> nbformat.NotebookNode:
        """The last output of the cell that holds a line of code."""
        cell = next(cell for cell in self.notebook.cells if cell.cell_type == "code" and line in cell.source)
        assert cell.outputs, f"nothing is shown below {line}"
        return cell.outputs[-1]


def explore(study: Finished, lines: Mapping[str, str], more: Sequence[str] = ()) -> Explored:
    """Execute a copy of 04, with some lines changed and cells added after its last one.

    Parameters
    ----------
    study : Finished
    lines : mapping of str to str
        A line of the notebook, without its indent, to what takes its place; each must stand in it once.
    more : sequence of str
        Cells of code.
    """
    notebook = nbformat.read(ROOT / "notebooks" / "04_statistics.ipynb", as_version=4)
    for line, other in lines.items():
        places = [cell for cell in notebook.cells if cell.cell_type == "code" and line in cell.source.split("\n")]
        assert len(places) == 1, f"{line!r} stands in {len(places)} cells"
        places[0].source = "\n".join(other if text == line else text for text in places[0].source.split("\n"))
    notebook.cells += [nbformat.v4.new_code_cell(source) for source in more]
    copy = study.outputs / "scratch" / "notebooks" / "04_statistics.ipynb"
    copy.parent.mkdir(parents=True, exist_ok=True)
    before = study.hashes()
    execute(notebook, study.config, study.outputs)
    nbformat.write(notebook, copy)
    assert study.hashes() == before, "a run by hand changed the study's outputs"
    scratch = study.outputs / "scratch"
    analysis = json.loads((scratch / "analysis.json").read_text(encoding="utf-8"))
    return Explored(nbformat.read(copy, as_version=4), read_results(scratch / "statistics.csv"), analysis)


# --- 04 to 06 as the engine runs them ---------------------------------------------------------------------------------

SHOWING = ("04_statistics", "05_figures", "06_report")
BEGIN = """
import dataclasses, os, pathlib
from osteotl.workflow import step
os.environ[step.RUNNING] = {!r}
plain = getattr(step.open_step, "plain", step.open_step)
def open_step(*asked, **named):
    return dataclasses.replace(plain(*asked, **named), data=pathlib.Path({!r}))
open_step.plain = plain
step.open_step = open_step
"""  # a simulated study's prepared films lie beside it, not in the project's data folder


def published(study: Finished, **provenance: Any) -> Path:
    """Execute 04, 05 and 06 as the engine does, and render the page; returns its path."""
    write_json(study.outputs / "provenance.json", {"osteotl": "0.2.0", "commit": "0123456789abcdef", **provenance})
    for name in SHOWING:
        target = study.outputs / "notebooks" / f"{name}.ipynb"
        execute_file(name, target, study.config, study.outputs, BEGIN.format(name, str(study.data)))
    return write_report(study.outputs)


def page_of(study: Finished) -> BeautifulSoup:
    """The page of what 04 saved last by hand, without figures."""
    out = study.outputs / "scratch"
    execute_file("06_report", out / "notebooks" / "06_report.ipynb", study.config, study.outputs)
    return BeautifulSoup(write_report(out).read_text(encoding="utf-8"), "html.parser")
