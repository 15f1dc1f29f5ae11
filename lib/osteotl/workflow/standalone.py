"""Notebooks that stand alone: ./run_all.sh published, and ./run_all.sh plan [OPTIONS].

They are run as the notebooks of a study are, but are no part of one: nothing waits for them, and they run each time
that they are asked for. Executed notebook and HTML go to outputs/published, or to OUT/planning of the study. Every
parameter of the notebook is an option. Exit codes: 0 done, 1 failed, 2 bad input, 3 another run holds the folder.
"""

from __future__ import annotations

import argparse
import ast
import fcntl
import importlib
import sys
from pathlib import Path
from typing import Any, TextIO

from osteotl.files import write_text
from osteotl.workflow.door import OPTIONS, Words, outputs_of
from osteotl.workflow.run_notebook import failure_lines, hermetic, parameters_of, run_notebook
from osteotl.workflow.steps import ENGINE, ROOT, to_root

NOTEBOOKS = {"published": "published", "plan": "planning"}
STUDY = ("config", "outputs")  # say which study, and are no parameters for a person to set
ABOUT = {
    "published": "The published figures derived again from what was printed, and simulated twins of the study.",
    "plan": "How many films, validation films and training runs the next study needs.",
}


def main(words: list[str]) -> int:
    """Run the notebook of a verb with the options of the command line; returns the exit code."""
    verb, *rest = words
    source = ROOT / "notebooks" / f"{NOTEBOOKS[verb]}.ipynb"
    if not source.is_file():
        print(f"run_all.sh: there is no {to_root(source)}: is the clone complete?", file=sys.stderr)
        return 2
    known = parameters_of(source)
    chosen = _parser(verb, known).parse_args(rest)
    folder = ROOT / "outputs" / "published" if verb == "published" else outputs_of(chosen) / "planning"
    given = {name: getattr(chosen, name) for name in known if name not in STUDY}
    given |= {"config": to_root(chosen.config or ROOT / "study.yaml")} if "config" in known else {}
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


def _parser(verb: str, known: dict[str, dict[str, Any]]) -> argparse.ArgumentParser:
    """An option for every parameter of a notebook; what stands behind one there as a comment is its help."""
    parser = Words(f"./run_all.sh {verb}", description=ABOUT[verb], allow_abbrev=False)
    for name in STUDY:
        metavar, kind, text = OPTIONS[name]
        shown = text if verb == "plan" else argparse.SUPPRESS
        parser.add_argument(f"--{name}", metavar=metavar, type=kind, help=shown)
    for name, about in known.items():
        if name not in STUDY:
            text = f"{about['help']} (default: {about['default']})".strip().replace("%", "%%")
            default = ast.literal_eval(about["default"])
            parser.add_argument(f"--{name.replace('_', '-')}", dest=name, metavar=_kind(default),
                                type=_reader(default), default=default, help=text)  # fmt: skip
    return parser


def _kind(default: Any) -> str:
    return {bool: "YES|NO", int: "NUMBER", float: "NUMBER", list: "A,B,..."}.get(type(default), "TEXT")


def _reader(default: Any) -> Any:
    """Reads what was typed for a parameter as a value of the kind that its default has."""

    def read(text: str) -> Any:
        if isinstance(default, bool):
            if text.lower() not in ("yes", "no", "true", "false"):
                raise argparse.ArgumentTypeError(f"{text!r} must be yes or no")
            return text.lower() in ("yes", "true")
        if isinstance(default, list):
            one = _reader(default[0]) if default else _number_or_text
            return [one(part.strip()) for part in text.split(",") if part.strip()]
        if isinstance(default, int | float):
            number = _number_or_text(text)
            if isinstance(number, str) or (isinstance(default, int) and not isinstance(number, int)):
                raise argparse.ArgumentTypeError(f"{text!r} must be a {'whole ' * isinstance(default, int)}number")
            return type(default)(number)
        return _number_or_text(text) if default is None else text

    return read


def _number_or_text(text: str) -> Any:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _run(source: Path, folder: Path, given: dict[str, Any], lock: TextIO) -> int:
    print(f"running {to_root(source)} ...", flush=True)
    target = folder / source.name
    try:
        executed = run_notebook(source, target, given, [folder], lock.fileno())
        render = importlib.import_module("osteotl.report.render")
        page = write_text(folder / f"{source.stem}.html", render.render_alone(executed, source.stem))
    except Exception as error:
        code, lines = failure_lines(source.stem, error, to_root(folder))
        print(*lines, sep="\n", file=sys.stderr)
        return code
    print(f"Done: {to_root(page)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
