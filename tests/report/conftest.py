"""Pages of simulated studies: notebook 06 is executed once a study, then rendered."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from simulated_outputs import PLANTED, Kind, make_outputs

from notebooks.finished_study import Finished, published, with_films
from osteotl.report.render import write_report
from shared_kernel import execute_file
from simulated_scores import predictions


@dataclass(frozen=True)
class Page:
    """One page with what it was made from."""

    out: Path
    report: Path


def make_page(folder: Path, kind: Kind) -> Page:
    """Execute notebook 06 on a simulated study, and render it."""
    out = make_outputs(folder, kind)
    execute_file("06_report", out / "notebooks" / "06_report.ipynb", folder / "study.yaml", out)
    return Page(out, write_report(out))


@pytest.fixture(scope="session")
def page(tmp_path_factory: pytest.TempPathFactory) -> Page:
    """The ordinary study: two models, three runs, validation films, boxes."""
    return make_page(tmp_path_factory.mktemp("page"), Kind())


@pytest.fixture(scope="session")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Page:
    """The same with a script planted in every text that a user or a film can bring."""
    return make_page(tmp_path_factory.mktemp("hostile"), Kind(text=PLANTED, films=60, malignant=24))


@pytest.fixture(scope="session")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Page:
    """Scores of other programs: five models, one run, no validation films, long names with dots and emoji."""
    labels = {f"model_{i}": f"model v1.{i} \N{BONE} " + "a rather long name " * 3 for i in range(5)}
    kind = Kind(
        labels,
        runs=1,
        validation=False,
        boxes=False,
        cohorts=False,
        beside=("one run per model",),
        changed=("margin 0.02 in place of 0.03",),
    )
    return make_page(tmp_path_factory.mktemp("bare"), kind)


@pytest.fixture(scope="session")
def small_page(tmp_path_factory: pytest.TempPathFactory) -> tuple[Finished, Path]:
    """A study of two models and three runs, patients with up to two films, whose page 04, 05 and 06 really made."""
    table = predictions(external=(50, 70), validation=(40, 50), most_films=2)
    settings = {"bootstrap": 200, "prevalences": [0.1, 0.01], "decision_range": [0.05, 0.2]}
    study = with_films(tmp_path_factory.mktemp("small"), table, statistics=settings)
    return study, published(study)
