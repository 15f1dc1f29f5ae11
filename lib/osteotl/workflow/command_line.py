"""What ./run_all.sh does with its words: run, -n, check, lock, clean. Exit codes: 0 done, 1 failed, 2 input, 3 held."""

from __future__ import annotations

import argparse
import importlib
import os
import re
import signal
import sys
import tempfile
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import osteotl
from osteotl.files import visible
from osteotl.workflow.fingerprint import digest
from osteotl.workflow.folder import Refused, check_folder, clean, held
from osteotl.workflow.states import StudyState, unchanged
from osteotl.workflow.steps import ENGINE, ROOT, to_root

if TYPE_CHECKING:
    from osteotl.study import Study

OWN = ("run", "check", "clean", "lock")  # verbs of this module; run_all.sh sees to the others
VERBS = (*OWN, "score", "test", "bench", "lab", "plan", "published", "offline")
HELP = """verbs:
  (none), run          run the study; only what a change touches is run again
  check                check configuration and cohorts (or scores) only; every fault is listed
  lock                 stop before any external film is scored, and write the analysis plan as a page to register
  score --arm ARM DIR  score new films with a trained arm, for research use (./run_all.sh score --help)
  test [--fast|slurm]  run the project's tests; further words go to pytest
  bench [NAME]         run the benchmarks, or one of them
  lab                  explore in JupyterLab, on copies of the notebooks; no output of the study is changed
  plan                 plan the size of the next study (./run_all.sh plan --help)
  published            derive the published figures again, with simulated twins of the study
  offline FOLDER       collect all packages (with the word light behind: those of own scores) and a Python, to set up
                       elsewhere without a network: OSTEOTL_WHEELS=FOLDER ./run_all.sh
  clean                remove caches, logs, scratch and orphans; nothing of yours"""
CODES = "exit codes: 0 done, 1 a step failed, 2 bad input or configuration, 3 another run holds the outputs folder"


def _here(word: str) -> Path:
    """A path as typed: relative to where the person stands, or else to the project."""
    path = Path(os.path.abspath(Path(word).expanduser()))
    if os.path.exists(path) or not os.path.exists(ROOT / word):
        return path
    return ROOT / word


def existing(word: str) -> Path:
    """A file or folder that must exist; where it was looked for is told."""
    if not os.path.exists(path := _here(word)):
        places = " and ".join(dict.fromkeys(map(str, (path.parent, (ROOT / word).parent))))
        raise argparse.ArgumentTypeError(f"there is no {path.name} in {places}")
    return path


class Words(argparse.ArgumentParser):
    """Says which word is not known, and the nearest one that is."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Unknown options first: else the word behind one would be taken for a verb."""
        for word in args or ():
            if word.startswith("-") and (name := word.partition("=")[0]) not in self._option_string_actions:
                self.error(f"there is no option {name}{_meant(name, self._option_string_actions)}")
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        if strange := re.match("argument verb: invalid choice: '([^']*)'", message):
            verbs = f"the verbs are {', '.join(VERBS)}"
            message = f"there is no verb {strange[1]}{_meant(strange[1], VERBS)} ({verbs})"
        self.exit(2, f"run_all.sh: {visible(message)}\nAll words: ./run_all.sh --help\n")


def _meant(word: str, known: Iterable[str]) -> str:
    close = get_close_matches(word, list(known), 1)
    return f"; did you mean {close[0]}?" if close else ""


OPTIONS: dict[str, tuple[str, Any, str]] = {
    "config": ("FILE", _here, "another study (default: study.yaml); its outputs go to outputs/NAME"),
    "outputs": ("DIR", os.path.abspath, "another outputs folder"),
    "predictions": ("FILE", existing, "scores made elsewhere: no films, no training"),
    "reference": ("ARM", str, "compare with this arm"),
    "profile": ("DIR", existing, "run on a cluster (profiles/slurm)"),
}


def options(words: list[str]) -> argparse.Namespace:
    """The words of the command line, with every path absolute."""
    parser = Words("./run_all.sh", "./run_all.sh [VERB] [OPTIONS]", HELP, CODES, allow_abbrev=False,
                    formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    parser.add_argument("verb", nargs="?", default="run", choices=OWN, help=argparse.SUPPRESS)
    parser.add_argument("--version", action="version", version=f"osteotl {osteotl.__version__}")
    parser.add_argument("-n", "--dry-run", dest="dry", action="store_true", help="say what would run, and why")
    for name, (metavar, kind, text) in OPTIONS.items():
        parser.add_argument(f"--{name}", metavar=metavar, type=kind, help=text)
    chosen = parser.parse_args(words)
    chosen.config = chosen.config or (ROOT / "studies" / "scores.yaml" if chosen.predictions else ROOT / "study.yaml")
    chosen.named = bool(chosen.outputs)
    chosen.outputs = outputs_of(chosen.config, chosen.outputs, chosen.predictions)
    return chosen


def outputs_of(config: Path, outputs: str | None, predictions: Path | None = None) -> Path:
    """The outputs folder that is named, or else the one that a study file, or scores, have by their name."""
    other = predictions or (config if config != ROOT / "study.yaml" else None)
    return Path(outputs or ROOT / "outputs" / (other.stem if other else ""))


def study_of(chosen: argparse.Namespace) -> Study:
    """The study with what the options change; refused where a file that it names is not there."""
    from osteotl.study import StudyError, load_study
    from osteotl.study_rules import files_missing

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
        state = StudyState(study_file(chosen, Path(folder)), chosen.outputs)
    plan = state.plan()
    if not plan:
        print(f"Nothing to do: {to_root(state.outputs)}/report.html is up to date.")
        return 0
    print(f"{len(plan)} of {len(state.steps)} step{'s' * (len(state.steps) != 1)} would run:")
    groups: dict[tuple[str, ...], list[str]] = {}
    for name, reasons in plan.items():
        groups.setdefault((state.steps[name].notebook, *reasons), []).append(name)
    for (notebook, *reasons), names in groups.items():
        title = names[0] if len(names) == 1 else f"{notebook} ({len(names)} replicates)"
        print(f"  {title}: {'; '.join(reasons[:4])}{f'; and {len(reasons) - 4} more' if len(reasons) > 4 else ''}")
    return 0


def check(chosen: argparse.Namespace) -> int:
    """Configuration and cohorts, or scores made elsewhere: every fault.

    Films stay prepared for the run that follows; the list of faults and the tables are written to --outputs only.
    """
    study, module = study_of(chosen), importlib.import_module  # by name: the workflow imports no science
    if study.predictions:
        given = study.statistics.operating_points.given
        return int(module("osteotl.scores_files.reading").check_scores(study.predictions, study.reference, given))
    words = ["--config", str(chosen.config), "--data", str(ROOT / "data")]
    if chosen.named:
        check_folder(chosen.outputs, owner(chosen))
        words += ["--out", str(chosen.outputs)]
    return int(module("osteotl.cohorts.tables").check_main(words))


def owner(chosen: argparse.Namespace) -> dict[str, str]:
    """Whose outputs a request makes."""
    scores = {"predictions": to_root(chosen.predictions)} if chosen.predictions else {}
    return {"config": to_root(chosen.config), **scores}


def request(chosen: argparse.Namespace) -> dict[str, Any]:
    """All that distinguishes one request to run from another, the variables that the study file names too."""
    text = chosen.config.read_text(encoding="utf-8", errors="replace") if os.path.isfile(chosen.config) else ""
    environment = {name: os.environ.get(name) for name in re.findall(r"\$\{?(\w+)", text)}
    return {"config": str(chosen.config), "text": digest(text), "environment": environment,
            "predictions": chosen.predictions and str(chosen.predictions), "reference": chosen.reference}  # fmt: skip


def main(words: list[str]) -> int:
    """Do what the words ask; returns the exit code."""
    chosen = options(words)
    asked = request(chosen)
    if chosen.verb == "run" and not chosen.dry and unchanged(chosen.outputs, asked):
        print(f"Nothing has changed: {to_root(chosen.outputs)}/report.html is up to date.")
        return 0
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, frame: sys.exit(128 + number))
    from osteotl.study import StudyError  # the heavy imports start here

    try:
        return _do(chosen, asked)
    except Refused as refusal:
        print(f"run_all.sh: {visible(str(refusal))}", file=sys.stderr)
        return refusal.code
    except StudyError as error:
        faults = map(visible, error.faults)
        print(f"{to_root(chosen.config)} cannot be used:", *faults, sep="\n  ", file=sys.stderr)
        return 2


def _do(chosen: argparse.Namespace, asked: dict[str, Any]) -> int:
    if chosen.verb == "check":
        return check(chosen)
    if chosen.dry:
        return dry_run(chosen)
    if chosen.verb == "clean" and not (chosen.outputs / ENGINE).is_dir():
        print(f"{chosen.outputs} holds no study: nothing to clean there.")
        return 0
    check_folder(chosen.outputs, owner(chosen), chosen.named)
    with held(chosen.outputs):
        state = StudyState(study_file(chosen, chosen.outputs), chosen.outputs)
        if chosen.verb == "clean":
            return clean(state)
        if chosen.verb == "lock":
            return int(importlib.import_module("osteotl.workflow.lock").lock(state, chosen.profile))
        from osteotl.workflow.engine import run

        return run(state, chosen.profile, asked)
