"""Finished studies for notebooks that are executed by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logit

from notebooks.finished_study import Explored, Finished, explore, with_films, with_scores
from simulated_scores import predictions

STATISTICS = {"bootstrap": 200, "objective": "noninferiority", "prevalences": [0.1], "decision_range": [0.05, 0.1]}


@pytest.fixture(scope="session")
def study(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """Two arms, three runs each, validation films, two sites; nobody has more than two films."""
    table = predictions(external=(50, 70), validation=(40, 50), most_films=2)
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
        'compare_auc(outer.label, outer.values["transfer", 1], outer.values["transfer", 0])',
        'scores.external.values["transfer"].mean(axis=1).groupby(scores.label).plot.kde(legend=True);',
    ])  # fmt: skip


@pytest.fixture(scope="session")
def learning(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """Two label fractions, trained with equal steps and with equal epochs, and a checkpoint on the way."""
    arms = {"scratch": (0, 1), "transfer": (0, 1)}
    fractions = [predictions(arms, (30, 40), (24, 30), seed=0, gain=gain).assign(fraction=fraction)
                 for gain, fraction in ((0.2, 0.5), (0.7, 1.0))]  # fmt: skip
    table = pd.concat(fractions, ignore_index=True)
    outer = table[table["cohort"] == "external"]
    noise = np.random.default_rng(8).normal(size=(3, len(outer)))

    def scored(part: pd.DataFrame, k: int, training: str, step: int, last: int) -> pd.DataFrame:
        shifted = expit(logit(part["score"]) + 0.5 * noise[k][: len(part)])
        return part.assign(score=shifted, logit=logit(shifted), training=training, step=step, last_step=last)

    whole, half = outer[outer["fraction"] == 1.0], outer[outer["fraction"] == 0.5]
    extra = pd.concat([
        scored(whole, 0, "equal_steps", 20, 60), scored(half, 1, "equal_steps", 20, 60),
        scored(half, 2, "equal_epochs", 30, 30), scored(whole, 1, "equal_steps", 60, 60),
    ])  # fmt: skip
    detector = {"fraction_training": "both", "checkpoints": [20, 60]}
    folder = tmp_path_factory.mktemp("learning")
    return with_films(folder, table, extra, detector=detector, statistics={"bootstrap": 200, "prevalences": [0.1]})


@pytest.fixture(scope="session")
def learnt(learning: Finished) -> Explored:
    """Notebook 04 on it."""
    return explore(learning, {})


@pytest.fixture(scope="session")
def one_run(tmp_path_factory: pytest.TempPathFactory) -> Explored:
    """One run an arm; too few malignant validation patients for the locked points."""
    table = predictions({"scratch": (0,), "transfer": (0,)}, (20, 30), (6, 20))
    return explore(with_films(tmp_path_factory.mktemp("one_run"), table), {})


@pytest.fixture(scope="session")
def five_arms(tmp_path_factory: pytest.TempPathFactory) -> Explored:
    """Five arms, two runs each."""
    arms = dict.fromkeys(("scratch", "transfer", "photographs", "control", "swapped"), (0, 1))
    table = predictions(arms, (20, 30), (20, 30), gain=0.2)
    return explore(with_films(tmp_path_factory.mktemp("five_arms"), table), {})


@pytest.fixture(scope="session")
def no_validation(tmp_path_factory: pytest.TempPathFactory) -> Explored:
    """Scores of external films alone, without patients."""
    table = predictions({"old": (0, 1), "v1.0": (0, 1)}, (20, 30), (4, 4))
    table = table[table["cohort"] == "external"].drop(columns="patient_id")
    return explore(with_scores(tmp_path_factory.mktemp("no_validation"), table, "old"), {})


@pytest.fixture(scope="session")
def readers(tmp_path_factory: pytest.TempPathFactory) -> Explored:
    """Human readers who rate every film with and without aid."""
    table = pd.read_csv(Path(__file__).parents[1] / "scores_files" / "other_tools" / "2_readers.csv")
    return explore(with_scores(tmp_path_factory.mktemp("readers"), table, "unaided"), {})
