"""Finished studies for notebooks that are executed by hand."""

from __future__ import annotations

import pytest

from notebooks.finished_study import Explored, Finished, explore, with_films
from simulated_scores import predictions

STATISTICS = {"bootstrap": 200, "objective": "noninferiority", "prevalences": [0.1], "decision_range": [0.05, 0.1]}


@pytest.fixture(scope="session")
def study(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """Two arms, two runs each, validation films, two sites; nobody has more than two films."""
    table = predictions({"scratch": (0, 1), "transfer": (0, 1)}, (50, 70), (40, 50), most_films=2)
    return with_films(tmp_path_factory.mktemp("study"), table, statistics=STATISTICS)


@pytest.fixture(scope="session")
def plain(study: Finished) -> Explored:
    """Notebook 04 as it is, with four questions added below."""
    films = f"Path({str(study.data)!r})"  # a study's own films lie in step.data
    return explore(study, {}, [
        'draws.difference("transfer", reference).hist(bins=40);\nprint(draws.difference("transfer", reference).std())',
        "from pathlib import Path\nfrom osteotl.figures import read_films, worst_misses\n"
        f'worst_misses(tables, *read_films(step.outputs), analysis["arms"], {films}, count=10)',
        "from diagnostic_accuracy.delong import compare_auc\nouter = scores.external\n"
        'compare_auc(outer.label, outer.values["transfer", 1], outer.values["transfer", 0]).difference',
        'scores.external.values["transfer"].mean(axis=1).groupby(scores.label).plot.kde(legend=True);',
    ])  # fmt: skip
