"""A project of its own in a temporary folder: the real command line, engine and workflow, with
quick stand-ins for the science.

What is tested with it is when a step runs and what survives, never what it computes; so a 'film' is a line of text,
'training' a hash. Every stand-in writes through osteotl.files like the real ones.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat

from .notebooks import CELLS

REAL = Path(__file__).resolve().parents[2]
HERE = Path(__file__).parent
LOCKS = ("requirements.lock", "requirements-light.lock")

STUDY = """\
title: Small study
cohorts:
  pretrain: {reader: manifest, root: films/pretrain}
  development: {reader: manifest, root: films/development}
  external: {reader: manifest, root: films/external}
arms:
  scratch: {initialise: random}
  transfer: {initialise: pretrain}
reference: scratch
seeds: [0, 1]
detector: {epochs: 2, pretrain_epochs: 2}
statistics: {bootstrap: 100}
"""


class Project:
    """A copy of the project with stand-ins, which a test may change at will."""

    first_run: list[str]  # steps that its first run did, where that was noted

    def __init__(self, root: Path):
        self.root, self.outputs = root, root / "outputs"
        shutil.copytree(
            REAL / "lib/osteotl/workflow", root / "lib/osteotl/workflow", ignore=shutil.ignore_patterns("__pyc*")
        )
        shutil.copytree(
            HERE / "library", root / "lib/osteotl", dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pyc*")
        )
        modules = ("__init__", "study", "study_rules", "strict_yaml", "names", "files", "workflow/provenance")
        own = [f"lib/osteotl/{name}.py" for name in modules]
        for name in [*own, "run_all.sh", "Snakefile", *LOCKS]:
            shutil.copy2(REAL / name, root / name)
        (root / "notebooks").mkdir()
        for name, cells in CELLS.items():
            self.write_notebook(name, cells)
        (root / "study.yaml").write_text(STUDY, encoding="utf-8")
        for cohort in ("pretrain", "development", "external"):
            (root / "films" / cohort).mkdir(parents=True)
            for number in range(12):
                (root / "films" / cohort / f"{number:02d}.txt").write_text(f"{cohort} {number}\n", encoding="utf-8")
        self._environment()

    def _environment(self) -> None:
        """This Python as the project's own .venv, so that run_all.sh installs nothing."""
        python = self.root / ".venv/bin/python"
        python.parent.mkdir(parents=True)
        python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
        python.chmod(0o755)
        both = b"".join((self.root / name).read_bytes() for name in LOCKS)
        pins = subprocess.run(["cksum"], input=both, capture_output=True, check=True)
        (self.root / ".venv/.osteotl").write_text(f"full {pins.stdout.decode().strip()} {self.root.resolve()}")

    def write_notebook(self, name: str, cells: list[str]) -> None:
        """A notebook from its code cells; the first is the parameters cell."""
        notebook = nbformat.v4.new_notebook(
            cells=[nbformat.v4.new_code_cell(cell, id=f"c{i}") for i, cell in enumerate(cells)]
        )
        notebook.cells[0].metadata["tags"] = ["parameters"]
        notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
        nbformat.write(notebook, self.root / "notebooks" / f"{name}.ipynb")

    def environment(self, **more: str) -> dict[str, str]:
        """The caller's environment without what an outer run may have set."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("OSTEOTL_", "PYTEST_", "CONDA"))}
        return {**kept, "OSTEOTL_CORES": "2", **more}

    def run(self, *words: str, timeout: float = 120, **environment: str) -> subprocess.CompletedProcess[str]:
        """./run_all.sh WORDS, to its end."""
        return subprocess.run([str(self.root / "run_all.sh"), *words], capture_output=True, text=True, timeout=timeout,
                              env=self.environment(**environment), cwd=self.root)  # fmt: skip

    def start(self, *words: str, **environment: str) -> subprocess.Popen[str]:
        """./run_all.sh WORDS in the background, in a process group of its own."""
        return subprocess.Popen(
            [str(self.root / "run_all.sh"), *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=self.environment(**environment),
            cwd=self.root,
            start_new_session=True,
        )

    def edit(self, file: str, old: str, new: str) -> None:
        """Replace text in a file of the project; it must be there."""
        text = (self.root / file).read_text(encoding="utf-8")
        if old not in text:
            raise ValueError(f"{old!r} is not in {file}")
        (self.root / file).write_text(text.replace(old, new), encoding="utf-8")

    def plan(self, config: str = "study.yaml", outputs: str = "outputs") -> dict[str, list[str]]:
        """Steps that would run, each with its reasons."""
        code = (
            "import json, sys; from osteotl.workflow.states import StudyState;"
            "from osteotl.workflow.steps import from_root;"
            "print(json.dumps(StudyState(*map(from_root, sys.argv[1:])).plan()))"
        )
        environment = self.environment(PYTHONPATH=str(self.root / "lib"))
        shown = subprocess.run(
            [sys.executable, "-c", code, config, outputs], env=environment, capture_output=True, text=True, check=True
        )
        return json.loads(shown.stdout)

    def copy(self, root: Path) -> Project:
        """The same project, finished outputs and all, in another place."""
        shutil.copytree(self.root, root, symlinks=True)
        shutil.rmtree(root / ".venv")
        other = Project.at(root)
        other._environment()
        return other

    @classmethod
    def at(cls, root: Path) -> Project:
        """The project that lies there."""
        project = object.__new__(cls)
        project.root, project.outputs = root, root / "outputs"
        return project

    def ran(self) -> list[str]:
        """Steps whose work was done since the last call, by the traces that the stand-ins leave."""
        trace = self.root / "trace.txt"
        names = trace.read_text().split() if trace.exists() else []
        trace.unlink(missing_ok=True)
        return sorted(names)

    def results(self) -> dict[str, bytes]:
        """Every file that must come out byte-identical, however the run went."""
        files = [
            self.outputs / "predictions.csv",
            self.outputs / "statistics.csv",
            self.outputs / "analysis.json",
            *(self.outputs / "figures").iterdir(),
        ]
        return {path.relative_to(self.outputs).as_posix(): path.read_bytes() for path in files}

    def processes(self) -> list[int]:
        """Processes that belong to this project, by the library that they were given; zombies no longer count."""
        own = os.fsencode(f"PYTHONPATH={self.root.resolve()}/lib\0")
        found = []
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit() and int(folder.name) != os.getpid():
                with contextlib.suppress(OSError):
                    state = (folder / "stat").read_text().rpartition(")")[2].split()[0]
                    if own in (folder / "environ").read_bytes() and state != "Z":
                        found.append(int(folder.name))
        return found
