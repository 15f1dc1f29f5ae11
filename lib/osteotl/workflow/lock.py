"""./run_all.sh lock: the study up to its analysis plan, which is written as a page that can be registered."""

from __future__ import annotations

import importlib
import time
from pathlib import Path
from typing import Any

from osteotl.files import visible
from osteotl.workflow.engine import run_some, say
from osteotl.workflow.folder import Refused
from osteotl.workflow.states import Whole
from osteotl.workflow.steps import ROOT, to_root

BEFORE = ("00_cohorts", "01_pretrain", "02_finetune")  # what must stand before validation films can be scored


def lock(whole: Whole, profile: Path | None) -> int:
    """Make cohorts and weights, score the validation films, lock the plan; returns the exit code.

    Parameters
    ----------
    whole : Whole
        The study; its outputs folder is held.
    profile : Path or None
        As for `engine.run`.

    Raises
    ------
    Refused
        External films were scored already, or another plan was locked.
    """
    plan = importlib.import_module("osteotl.plan")  # by name, as a notebook is: the workflow imports no science
    path = whole.outputs / plan.REGISTERED
    results = next((f for f in ("predictions.csv", "statistics.csv") if (whole.outputs / f).exists()), None)
    if results and not path.exists():
        raise Refused(
            f"{to_root(whole.outputs)} holds {results}: external films were scored, and a plan that is locked now "
            "could know the results. Lock before the first run, in a folder without results"
        )
    if code := run_some(whole, profile, BEFORE):
        return code
    whole = Whole(whole.config, whole.outputs)
    try:
        hashes = plan.cohort_hashes(whole.study, whole.outputs.joinpath)
        date = plan.register(whole.study, _validation(whole), hashes, whole.outputs, time.strftime("%Y-%m-%d"))
    except ValueError as error:
        raise Refused(visible(str(error))) from error
    say(f"Locked on {date}. Register this page: {to_root(path.with_suffix('.md'))}")
    return 0


def _validation(whole: Whole) -> Any:
    """Scores of the validation films; None where a file of scores holds none."""
    study = whole.study
    if study.predictions is None:
        scoring = importlib.import_module("osteotl.detection.scoring")
        return scoring.score_study(study, "validation", whole.outputs, ROOT / "data").predictions
    reading = importlib.import_module("osteotl.scores_files.reading")
    table = reading.read_scores(study.predictions, study.reference, study.statistics.operating_points.given).predictions
    rows = table[table["cohort"] == "validation"]
    return rows if rows["label"].nunique() == 2 else None
