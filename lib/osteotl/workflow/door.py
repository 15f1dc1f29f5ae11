"""What ./run_all.sh does with its words: run, -n, check, plan, clean. Exit codes: 0 done, 1 failed, 2 input, 3 held."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from osteotl.workflow.folder import Refused, check_folder, held
from osteotl.workflow.states import Whole, unchanged
from osteotl.workflow.steps import ROOT, to_root

if TYPE_CHECKING:
    from osteotl.study import Study

HELP = """verbs:
  (none)               run the study; only what a change touches is run again
  check                check configuration and cohorts (or scores) only; every fault is listed
  test [--fast|slurm]  run the project's tests; further words go to pytest
  bench [NAME]         run the benchmarks, or one of them
  lab                  open JupyterLab
  plan                 plan the size of a study (./run_all.sh plan --help)
  clean                remove caches, logs, scratch and orphans; nothing of yours"""

OPTIONS = {
    "config": "FILE another study (default: study.yaml); its outputs go to outputs/NAME",
    "outputs": "DIR another outputs folder",
    "predictions": "FILE scores made elsewhere: no films, no training",
    "reference": "ARM compare with this arm",
    "profile": "DIR run on a cluster (profiles/slurm)",
}
CODES = "exit codes: 0 done, 1 a step failed, 2 bad input or configuration, 3 another run holds the outputs folder"


def options(words: list[str]) -> argparse.Namespace:
    """The words of the command line, with every path absolute."""
    parser = argparse.ArgumentParser("./run_all.sh", "./run_all.sh [VERB] [OPTIONS]", HELP, CODES, allow_abbrev=False,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    parser.add_argument("verb", nargs="?", default="run", choices=["run", "check", "clean"], help=argparse.SUPPRESS)
    parser.add_argument("-n", "--dry-run", dest="dry", action="store_true", help="say what would run, and why")
    for name, text in OPTIONS.items():
        parser.add_argument(f"--{name}", metavar=text.split()[0], help=text.partition(" ")[2])
    chosen = parser.parse_args(words)
    default = "studies/scores.yaml" if chosen.predictions else "study.yaml"
    chosen.config = _here(chosen.config) if chosen.config else ROOT / default
    if chosen.predictions:
        chosen.predictions = _here(chosen.predictions)
    if chosen.profile:
        chosen.profile = _here(chosen.profile)
    if chosen.outputs:
        chosen.outputs = Path(os.path.abspath(chosen.outputs))
    elif chosen.predictions or chosen.config != ROOT / "study.yaml":
        chosen.outputs = ROOT / "outputs" / (chosen.predictions or chosen.config).stem
    else:
        chosen.outputs = ROOT / "outputs"
    return chosen


def _here(word: str) -> Path:
    """A path as typed: relative to where the person stands, or else to the project."""
    path = Path(os.path.abspath(Path(word).expanduser()))
    return path if path.exists() or not (ROOT / word).exists() else ROOT / word


def study_of(chosen: argparse.Namespace) -> Study:
    """The study with what the options change; refused where a file that it names is not there."""
    from osteotl.study import StudyError, files_missing, load_study

    changes = {key: str(value) for key in ("predictions", "reference") if (value := getattr(chosen, key))}
    study = load_study(chosen.config, changes)
    if missing := files_missing(study):
        raise StudyError(missing)
    return study


def study_file(chosen: argparse.Namespace, folder: Path) -> Path:
    """The study file to run: the user's, or FOLDER/study.yaml where an option changes a setting."""
    study = study_of(chosen)
    if not (chosen.predictions or chosen.reference):
        return Path(chosen.config)
    import yaml

    from osteotl.files import write_text

    text = yaml.safe_dump(study.model_dump(mode="json", exclude_unset=True), sort_keys=False, allow_unicode=True)
    path = folder / "study.yaml"
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        write_text(path, text)
    return path


def dry_run(chosen: argparse.Namespace) -> int:
    """Say what would run and why; nothing is started, and nothing written."""
    with tempfile.TemporaryDirectory() as folder:
        whole = Whole(study_file(chosen, Path(folder)), chosen.outputs)
    plan = whole.plan()
    if not plan:
        print(f"Nothing to do: {to_root(chosen.outputs)}/report.html is up to date.")
        return 0
    print(f"{len(plan)} of {len(whole.steps)} steps would run:")
    groups: dict[tuple[str, ...], list[str]] = {}
    for name, reasons in plan.items():
        groups.setdefault((whole.steps[name].notebook, *reasons), []).append(whole.steps[name].title)
    for (notebook, *reasons), titles in groups.items():
        title = titles[0] if len(titles) == 1 else f"{notebook} ({len(titles)} replicates)"
        print(f"  {title}: {'; '.join(reasons[:4])}{f'; and {len(reasons) - 4} more' if len(reasons) > 4 else ''}")
    return 0


def check(chosen: argparse.Namespace) -> int:
    """Configuration and cohorts, or scores made elsewhere: every fault, and nothing written."""
    study = study_of(chosen)
    if study.predictions:
        return _check_scores(study)
    checker = importlib.import_module("osteotl.cohorts.tables")  # by name: the workflow imports no science
    return int(checker.check_main(["--config", str(chosen.config), "--data", str(ROOT / "data")]))


def _check_scores(study: Study) -> int:
    reader = importlib.import_module("osteotl.statistics.scores")
    try:
        scores = reader.read_scores(study.predictions, study.reference)
    except reader.ScoresError as error:
        print(f"{study.predictions} cannot be used:", *error.faults, sep="\n  ", file=sys.stderr)
        return 2
    for cohort, rows in scores.predictions.groupby("cohort"):
        films, seeds = rows.drop_duplicates("image_id"), ", ".join(map(str, sorted(set(rows["seed"]))))
        size = f"{len(films):,} films of {films['patient_id'].nunique():,} patients"
        print(f"{cohort}: {size}, {films['label'].sum():,} malignant; seeds {seeds}")
    print(f"arms: {', '.join(scores.arms)}; reference: {scores.reference}", *scores.remarks, sep="\n")
    print("No fault found.")
    return 0


def main(words: list[str]) -> int:
    """Do what the words ask; returns the exit code."""
    chosen = options(words)
    asked = [str(word) for word in (chosen.config, chosen.predictions, chosen.reference)]
    if chosen.verb == "run" and not chosen.dry and unchanged(chosen.outputs, asked):
        print(f"Nothing has changed: {to_root(chosen.outputs)}/report.html is up to date.")
        return 0
    from osteotl.study import StudyError  # the heavy imports start here

    try:
        return _do(chosen, asked)
    except Refused as refusal:
        print(f"run_all.sh: {refusal}", file=sys.stderr)
        return refusal.code
    except StudyError as error:
        print(f"{to_root(chosen.config)} cannot be used:", *error.faults, sep="\n  ", file=sys.stderr)
        return 2


def _do(chosen: argparse.Namespace, asked: list[str]) -> int:
    if chosen.verb == "check":
        return check(chosen)
    if chosen.verb == "clean":
        from osteotl.workflow.clean import clean

        return clean(chosen.config, chosen.outputs)
    if chosen.dry:
        return dry_run(chosen)
    from osteotl.workflow.engine import run

    check_folder(chosen.outputs)
    with held(chosen.outputs):
        return run(study_file(chosen, chosen.outputs), chosen.outputs, chosen.profile, asked)
