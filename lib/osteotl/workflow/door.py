"""What ./run_all.sh does with its words: run, -n, check, plan, clean. Exit codes: 0 done, 1 failed, 2 input, 3 held."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from pathlib import Path
from typing import Any

from osteotl.workflow import quick
from osteotl.workflow.steps import ENGINE, ROOT, to_root

USAGE = """usage: ./run_all.sh [VERB] [OPTIONS]

  (no verb)            run the study; only what a change touches is run again
  -n                   say what would run, and why
  check                check configuration and cohorts only; every fault is listed
  test [--fast|slurm]  run the project's tests; further words go to pytest
  bench [NAME]         run the benchmarks, or one of them
  lab                  open JupyterLab
  plan                 plan the size of a study (./run_all.sh plan --help)
  clean                remove caches, logs, scratch and orphans; nothing of yours

  --config FILE        another study (default: study.yaml); its outputs go to outputs/NAME
  --outputs DIR        another outputs folder
  --predictions FILE   scores made elsewhere: no films, no training
  --reference ARM      compare with this arm
  --profile DIR        run on a cluster (profiles/slurm)

exit codes: 0 done, 1 a step failed, 2 bad input or configuration, 3 another run holds the outputs folder"""

OURS = {"cohorts", "pretrain", "other_modality", "finetune", "predictions.csv", "detections.csv", "audit.csv",
        "audit.json", "analysis_plan.json", "statistics.json", "tables", "figures", "notebooks", "logs", "scratch",
        "report.html", "report.pdf", "checklists", "model_cards", "methods.md", "table_one.csv", "provenance.json",
        "study.yaml", ENGINE}  # fmt: skip


class Refused(Exception):
    """Nothing was started; the message says why, `code` is the exit code."""

    def __init__(self, message: str, code: int = 2):
        super().__init__(message)
        self.code = code


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> Any:
        raise Refused(f"{message}\n\n{USAGE}")


def options(words: list[str]) -> argparse.Namespace:
    """The words of the command line, with every path absolute."""
    parser = _Parser(prog="run_all.sh", add_help=False, allow_abbrev=False)
    parser.add_argument("verb", nargs="?", default="run", choices=["run", "check", "clean"])
    parser.add_argument("-n", "--dry-run", dest="dry", action="store_true")
    parser.add_argument("-h", "--help", dest="help", action="store_true")
    for name in ("config", "outputs", "predictions", "reference", "profile"):
        parser.add_argument(f"--{name}")
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


def asked(chosen: argparse.Namespace) -> list[str]:
    """What distinguishes one request from another in the same outputs folder."""
    return [str(word) for word in (chosen.config, chosen.predictions, chosen.reference)]


def check_folder(outputs: Path) -> None:
    """Refuse to work in a folder that holds something of the user's."""
    if outputs.exists() and not outputs.is_dir():
        raise Refused(f"{outputs} is a file; name a folder with --outputs DIR")
    found = [entry for entry in outputs.iterdir() if entry.name not in OURS] if outputs.is_dir() else []
    others = [entry.name for entry in found if not (entry / ENGINE).is_dir()]
    if others and not (outputs / ENGINE).is_dir():
        raise Refused(f"{outputs} is no outputs folder: it holds {', '.join(sorted(others)[:3])}; name an empty one")
    try:
        (outputs / ENGINE).mkdir(parents=True, exist_ok=True)
        (outputs / ENGINE / "lock").open("a").close()
    except OSError as error:
        raise Refused(f"{outputs} cannot be written ({error.strerror}); name another folder: --outputs DIR") from error


def study_file(chosen: argparse.Namespace) -> Path:
    """The study file to run: the user's, or OUT/study.yaml where an option changes a setting."""
    if not (chosen.predictions or chosen.reference):
        return chosen.config
    import yaml

    from osteotl.files import write_text
    from osteotl.study import StudyError, parse_study

    try:
        content = yaml.safe_load(chosen.config.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise StudyError([f"{chosen.config}: cannot be read: {error}"]) from error
    content = dict(
        content, **{key: str(value) for key in ("predictions", "reference") if (value := getattr(chosen, key))}
    )
    study = parse_study(content, chosen.config.parent)
    text = yaml.safe_dump(study.model_dump(mode="json", exclude_unset=True), sort_keys=False, allow_unicode=True)
    path = chosen.outputs / "study.yaml"
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        write_text(path, text)
    return path


def dry_run(chosen: argparse.Namespace) -> int:
    """Say what would run and why; nothing is started."""
    from osteotl.workflow.states import Whole

    whole = Whole(study_file(chosen), chosen.outputs)
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
    """Configuration and cohorts only: every fault, and nothing written."""
    checker = importlib.import_module("osteotl.cohorts.tables")  # by name: the workflow imports no science
    return int(checker.check_main(["--config", str(chosen.config), "--data", str(ROOT / "data")]))


def main(words: list[str]) -> int:
    """Do what the words ask; returns the exit code."""
    try:
        chosen = options(words)
        if chosen.help:
            print(USAGE)
            return 0
        if chosen.verb == "run" and not chosen.dry and quick.unchanged(chosen.outputs, asked(chosen)):
            print(f"Nothing has changed: {to_root(chosen.outputs)}/report.html is up to date.")
            return 0
        return _heavy(chosen)
    except Refused as refusal:
        print(f"run_all.sh: {refusal}", file=sys.stderr)
        return refusal.code


def _heavy(chosen: argparse.Namespace) -> int:
    from osteotl.study import StudyError

    try:
        if chosen.verb == "check":
            return check(chosen)
        if chosen.verb == "clean":
            from osteotl.workflow.clean import clean

            return clean(chosen)
        if chosen.dry:
            return dry_run(chosen)
        from osteotl.workflow.engine import run

        return run(chosen)
    except StudyError as error:
        print(
            f"{to_root(chosen.config)} cannot be used:",
            *(f"  {fault}" for fault in error.faults),
            sep="\n",
            file=sys.stderr,
        )
        return 2
