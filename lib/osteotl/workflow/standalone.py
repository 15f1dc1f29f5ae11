"""Notebooks that stand alone: ./run_all.sh published, and ./run_all.sh plan [OPTIONS].

They are run as the notebooks of a study are, but are no part of one: nothing waits for them, and they run each time
that they are asked for. Executed notebook and HTML go to outputs/published, or to OUT/planning of the study. Every
parameter of the notebook is an option. Exit codes: 0 done, 1 failed, 2 bad input, 3 another run holds the folder.
"""

from __future__ import annotations

import argparse
import fcntl
import importlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

from osteotl.files import visible, write_text
from osteotl.workflow.command_line import OPTIONS, Words, outputs_of
from osteotl.workflow.parameters import Parameter, parameters_of
from osteotl.workflow.run_notebook import INPUT_FAULTS, failure_lines, hermetic, run_notebook
from osteotl.workflow.step import RUNNING
from osteotl.workflow.steps import ENGINE, ROOT, from_root, to_root

NOTEBOOKS = {"published": "published", "plan": "planning"}
STUDY = ("config", "outputs")  # say which study, and are no parameters for a person to set
ABOUT = {
    "published": "The published figures derived again from what was printed, and simulated twins of the study.",
    "plan": "How many films, validation films and training runs the next study needs.",
}
BAD_INPUT = ("ValueError", "FileNotFoundError", "PublishedError", *INPUT_FAULTS)
WORDS = {bool: "YES|NO", int: "NUMBER", float: "NUMBER"}


def output_folder(outputs: str | Path) -> Path:
    """Where a notebook that stands alone writes: its outputs folder, or `scratch` below it when run by hand.

    Parameters
    ----------
    outputs : str
        As in the notebook's parameters cell; a relative path starts at the project's folder.
    """
    folder = from_root(outputs)
    folder = folder if os.environ.get(RUNNING) else folder / "scratch"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def main(words: list[str]) -> int:
    """Run the notebook of a verb with the options of the command line (`words`); returns the exit code."""
    verb, *rest = words
    source = ROOT / "notebooks" / f"{NOTEBOOKS[verb]}.ipynb"
    if not source.is_file():
        print(f"run_all.sh: there is no {to_root(source)}: is the clone complete?", file=sys.stderr)
        return 2
    known = {parameter.name: parameter for parameter in parameters_of(source)}
    chosen = _parser(verb, known).parse_args(rest)
    config = chosen.config or ROOT / "study.yaml"
    alone = Path(chosen.outputs or ROOT / "outputs" / "published")  # of no study
    folder = alone if verb == "published" else outputs_of(config, chosen.outputs) / "planning"
    given = {name: getattr(chosen, name) for name in known if name not in STUDY}
    given |= {"config": to_root(config)} if "config" in known else {}
    given |= {"outputs": to_root(folder)} if "outputs" in known else {}
    hermetic(folder)
    (folder / ENGINE).mkdir(parents=True, exist_ok=True)
    with (folder / ENGINE / "lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"run_all.sh: another run holds {to_root(folder)}: wait for it", file=sys.stderr)
            return 3
        return _run(source, folder, given, lock)


def _parser(verb: str, known: dict[str, Parameter]) -> argparse.ArgumentParser:
    """An option for every parameter of a notebook."""
    parser = Words(f"./run_all.sh {verb}", description=ABOUT[verb], allow_abbrev=False)
    for name in STUDY:
        metavar, kind, text = OPTIONS[name]
        shown = text if verb == "plan" or name == "outputs" else argparse.SUPPRESS
        parser.add_argument(f"--{name}", metavar=metavar, type=kind, help=shown)
    for name, parameter in known.items():
        if name not in STUDY:
            text = f"{parameter.meaning} (default: {parameter.default})".strip().replace("%", "%%")
            parser.add_argument(f"--{name.replace('_', '-')}", dest=name, metavar=WORDS.get(parameter.kind, "TEXT"),
                                type=_reader(parameter.kind), default=parameter.default, help=text)  # fmt: skip
    return parser


def _reader(kind: type) -> Callable[[str], Any]:
    """Reads what was typed for a parameter as a value of its type."""

    def read(text: str) -> Any:
        if kind is bool:
            if text.lower() not in ("yes", "no", "true", "false"):
                raise argparse.ArgumentTypeError(f"{text!r} must be yes or no")
            return text.lower() in ("yes", "true")
        if kind in (int, float):
            try:
                return kind(text)
            except ValueError:
                whole = "whole " if kind is int else ""
                raise argparse.ArgumentTypeError(f"{text!r} must be a {whole}number") from None
        # a file as typed is relative to where the person stands; the notebook runs in the project's folder
        return to_root(text) if Path(text).exists() else text

    return read


def _run(source: Path, folder: Path, given: dict[str, Any], lock: TextIO) -> int:
    print(f"running {to_root(source)} ...", flush=True)
    target = folder / source.name
    try:
        os.environ[RUNNING] = source.stem
        executed = run_notebook(source, target, given, [folder], lock.fileno())
        render = importlib.import_module("osteotl.report.render")
        page = write_text(folder / f"{source.stem}.html", render.render_alone(executed, source.stem))
    except Exception as error:
        if getattr(error, "ename", "") in BAD_INPUT:
            print(f"run_all.sh: {visible(str(error.evalue))}", file=sys.stderr)  # type: ignore[attr-defined]
            return 2
        code, lines = failure_lines(source.stem, error, to_root(folder))
        print(*lines, sep="\n", file=sys.stderr)
        return code
    for cell in executed.cells:  # what is worth a line in the terminal
        if "answer" in cell.metadata.get("tags", []):
            print("".join(output.get("text", "") for output in cell.outputs if output.output_type == "stream").rstrip())
    print(f"Done: {to_root(page)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
