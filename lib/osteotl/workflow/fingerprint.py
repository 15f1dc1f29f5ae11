"""What a result depends on, as small hashes: code, tables, folders. Standard library only.

Code counts by what it does: comments, docstrings, layout, markdown cells and stored outputs do not change a
fingerprint. The unit of the library is a package (or a single module beside the packages): whoever imports any part of
osteotl.statistics depends on all of it.
"""

from __future__ import annotations

import ast
import csv
import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator
from importlib.util import resolve_name
from pathlib import Path
from typing import Any

MISSING, EMPTY = "missing", hashlib.sha256().hexdigest()[:32]  # in place of a hash; of a file without a byte
_DOCUMENTED = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
_OURS = ("osteotl.", "diagnostic_accuracy.")
_UNCOUNTED = "osteotl.workflow"  # when a step runs, never what it computes


def signature(path: str | Path) -> list[int] | None:
    """What changes whenever a file may have: size, dates, identity. A date alone can be set back; ctime cannot."""
    try:
        stat = os.stat(path)
    except OSError:
        return None
    return [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino]


def digest(*parts: str) -> str:
    """A short hash of texts, kept apart from each other."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


def file_hash(path: Path) -> str:
    """The hash of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:32]


class Memory:
    """What was found in files and folders, kept until a signature changes: nothing is read twice.

    As it also knows every place that was looked at, it can tell that none was touched.
    """

    def __init__(self, known: dict[str, Any] | None = None):
        self.known: dict[str, Any] = known or {}
        self.used: dict[str, Any] = {}

    def of(self, path: Path, make: Callable[..., Any] = file_hash, *words: str) -> Any:
        """`make(path, *words)`, or what it gave when the place was last in this state; absence is a state too."""
        name, now = str(path), signature(path)
        entry = self.used.get(name) or self.known.get(name)
        if entry is None or entry[0] != now:
            entry = [now, {}]
        self.used[name] = entry
        kind = " ".join([make.__name__, *words])
        if kind not in entry[1]:
            entry[1][kind] = make(path, *words) if now else MISSING
        return entry[1][kind]

    def untouched(self) -> bool:
        """Whether everything known is as it was left, by sizes and dates alone."""
        return all(signature(path) == entry[0] for path, entry in self.known.items())


# --- code -------------------------------------------------------------------------------------------------------------


def code(source: str, package: str, lib: Path) -> list[Any]:
    """Hash of what Python source does, and the units of the library that it imports."""
    try:
        tree = ast.parse(source)
    except SyntaxError:  # the step that runs it says so; here any change counts
        return [digest(source), []]
    imported: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            module = resolve_name("." * node.level + (node.module or ""), package)
            imported |= {module} | {f"{module}.{alias.name}" for alias in node.names}
        elif isinstance(node, _DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
            del node.body[0]
    units = {".".join(name.split(".")[:2]) for name in imported if name.startswith(_OURS)} - {_UNCOUNTED}
    found = [unit for unit in units if _place(unit, lib).exists()]
    return [digest(ast.dump(tree)), sorted(found)]


def _place(unit: str, lib: Path) -> Path:
    """The folder of a package, or the file of a module beside the packages."""
    folder = lib / unit.replace(".", "/")
    return folder if folder.is_dir() else folder.with_suffix(".py")


def module(path: Path, lib: str) -> list[Any]:
    """Hash of a module of the library, and the units that it imports."""
    return code(path.read_text(encoding="utf-8"), ".".join(path.relative_to(lib).parent.parts), Path(lib))


def _source(cell: dict[str, Any]) -> str:
    """Code of a cell; of the parameters the names alone, since a run gives them values of its own.

    JupyterLab saves by itself what somebody sets there to explore, and that must not undo a finished study.
    """
    source = "".join(cell["source"])
    if "parameters" not in cell.get("metadata", {}).get("tags", []):
        return source
    return re.sub(r"""^(\w+) *= *(?:[\w.+-]+|"[^"\n]*"|'[^'\n]*') *(?:#.*)?$""", r"\1 = None", source, flags=re.M)


def notebook(path: Path, lib: str) -> list[Any]:
    """Hash of a notebook's code cells, and the units of the library that they import."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    sources = [_source(cell) for cell in cells if cell["cell_type"] == "code"]
    # IPython's own lines (%magic, !command) as strings, so that the rest can be parsed and they still count
    plain = [re.sub(r"^[%!].*$", lambda line: f"_ = {line[0]!r}", source, flags=re.M) for source in sources]
    parts = [code(source, "osteotl", Path(lib)) for source in plain if source.strip()]
    return [digest(*(part[0] for part in parts)), sorted({unit for part in parts for unit in part[1]})]


def packages(units: list[str], lib: Path, memory: Memory) -> dict[str, str]:
    """Each unit reached from these, directly or not, with its hash."""
    hashes: dict[str, str] = {}
    todo = list(units)
    while todo:
        unit = todo.pop()
        if unit in hashes:
            continue
        parts = []
        for file in files(_place(unit, lib), memory):
            content = memory.of(file)
            if file.suffix == ".py":
                content, reached = memory.of(file, module, str(lib))
                todo += reached
            parts += [file.relative_to(lib).as_posix(), content]
        hashes[unit] = digest(*parts)
    return dict(sorted(hashes.items()))


# --- data -------------------------------------------------------------------------------------------------------------


def names(folder: Path) -> list[str]:
    """What lies in a folder, caches left out."""
    return sorted(set(os.listdir(folder)) - {"__pycache__", ".ipynb_checkpoints", ".git"})


def files(path: Path, memory: Memory, seen: set[str] | None = None) -> Iterator[Path]:
    """A file, or every file below a folder in one order everywhere; links are followed, each folder once."""
    if not path.is_dir():
        yield path
        return
    seen = set() if seen is None else seen
    if (real := os.path.realpath(path)) not in seen:
        seen.add(real)
        for name in memory.of(path, names):
            yield from files(path / name, memory, seen)


def tree(path: Path, memory: Memory) -> str:
    """Hash of a file, or of every name and content below a folder; what is missing or a broken link counts as such."""
    if not path.is_dir():
        return memory.of(path)
    return digest(*(part for file in files(path, memory) for part in (str(file.relative_to(path)), memory.of(file))))


def rows(path: Path, column: str, value: str) -> str:
    """Hash of a table's header and of the rows that hold `value` in `column`."""
    with path.open(newline="", encoding="utf-8") as file:
        table = csv.DictReader(file)
        return digest(json.dumps([table.fieldnames, [row for row in table if row.get(column) == value]]))


def values(path: Path, column: str) -> list[str]:
    """The different values in one column of a table; none where there is no such column."""
    with path.open(newline="", encoding="utf-8") as file:
        return sorted({row[column] for row in csv.DictReader(file) if row.get(column)})
