"""./run_all.sh lock: the study up to its analysis plan, which is written as a page that can be registered."""

from __future__ import annotations

import importlib
import time
from pathlib import Path
from typing import Any

from osteotl.files import visible
from osteotl.workflow.engine import run_some, say
from osteotl.workflow.folder import Refused
from osteotl.workflow.states import StudyState
from osteotl.workflow.steps import ROOT, to_root

BEFORE = ("00_cohorts", "01_pretrain", "02_finetune")  # what must stand before validation films can be scored


def lock(state: StudyState, profile: Path | None) -> int:
    """Make cohorts and weights, score the validation films, lock the plan; returns the exit code.

    Parameters
    ----------
    state : StudyState
        The study; its outputs folder is held.
    profile : Path or None
        As for `engine.run`.

    Raises
    ------
    Refused
        External films were scored already, or another plan was locked.
    """
    plan = importlib.import_module("osteotl.plan")  # by name, as a notebook is: the workflow imports no science
    path = state.outputs / plan.REGISTERED
    results = next((f for f in ("predictions.csv", "statistics.csv") if (state.outputs / f).exists()), None)
    if results and not path.exists():
        raise Refused(
            f"{to_root(state.outputs)} holds {results}: external films were scored, and a plan that is locked now "
            "could know the results. Lock before the first run, in a folder without results"
        )
    if code := run_some(state, profile, BEFORE):
        return code
    state = StudyState(state.config, state.outputs)
    try:
        hashes = plan.cohort_hashes(state.study, state.outputs.joinpath)
        date = plan.register(state.study, _validation(state), hashes, state.outputs, time.strftime("%Y-%m-%d"))
    except ValueError as error:
        raise Refused(visible(str(error))) from error
    say(f"Locked on {date}. Register this page: {to_root(path.with_suffix('.md'))}")
    return 0


def _validation(state: StudyState) -> Any:
    """Scores of the validation films; None where a file of scores holds none."""
    study = state.study
    if study.predictions is None:
        scoring = importlib.import_module("osteotl.detection.scoring")
        return scoring.score_study(study, "validation", state.outputs, ROOT / "data").predictions
    reading = importlib.import_module("osteotl.scores_files.reading")
    table = reading.read_scores(study.predictions, study.reference, study.statistics.operating_points.given).predictions
    rows = table[table["cohort"] == "validation"]
    return rows if rows["label"].nunique() == 2 else None
