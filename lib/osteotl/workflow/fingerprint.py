"""What a result depends on, as small hashes: code, packages, data. Standard library only.

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
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

PACKAGE = "osteotl"
_UNCOUNTED = {"osteotl", "osteotl.workflow"}  # when a step runs, never what it computes


def signature(path: str | Path) -> list[int] | None:
    """What changes whenever a file may have: size, dates, identity. A date alone can be set back; ctime cannot."""
    try:
        stat = os.stat(path)
    except OSError:
        return None
    return [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino]


def digest(*parts: str | bytes) -> str:
    """A short hash of texts, kept apart from each other."""
    whole = hashlib.sha256()
    for part in parts:
        data = part.encode("utf-8", "surrogateescape") if isinstance(part, str) else part
        whole.update(len(data).to_bytes(8, "big") + data)
    return whole.hexdigest()[:32]


def file_hash(path: str | Path) -> str:
    """The hash of a file's bytes."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:32]


class Memory:
    """What was found in files and folders, kept until a signature changes: nothing is read twice.

    As it also knows every place that was looked at, it can tell that none was touched.
    """

    def __init__(self, known: dict[str, Any] | None = None):
        self.known: dict[str, Any] = known or {}
        self.used: dict[str, Any] = {}

    def see(self, path: str | Path) -> dict[str, Any]:
        """What is known of a place in its present state, by kind; absence is a state too."""
        name, now = os.fspath(path), signature(path)
        entry = self.used.get(name) or self.known.get(name)
        if entry is None or entry[0] != now:
            entry = [now, {}]
        self.used[name] = entry
        return entry[1]

    def of(self, path: Path, make: Callable[[Path], Any], kind: str = "content") -> Any:
        """`make(path)`, or what it gave when the file was last in this state."""
        found = self.see(path)
        if kind not in found:
            found[kind] = make(path)
        return found[kind]

    def untouched(self) -> bool:
        """Whether everything known is as it was left, by sizes and dates alone."""
        return all(signature(path) == entry[0] for path, entry in self.known.items())


# --- code -------------------------------------------------------------------------------------------------------------


def _without_docstrings(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and node.body:
            first = node.body[0].value if isinstance(node.body[0], ast.Expr) else None
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                node.body = node.body[1:] or [ast.Pass()]
    return tree


def _imported(tree: ast.AST, package: str) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package.split(".")[: len(package.split(".")) - node.level + 1]) if node.level else ""
            module = ".".join(part for part in (base, node.module) if part)
            names |= {module} | {f"{module}.{alias.name}" for alias in node.names}
    return {name for name in names if name.split(".")[0] == PACKAGE}


def _units(names: set[str], lib: Path) -> list[str]:
    """Packages (or modules beside them) that imported names stand for."""
    units = {".".join(name.split(".")[:2]) for name in names}
    found = {u for u in units if (lib / u.replace(".", "/")).is_dir() or (lib / f"{u.replace('.', '/')}.py").is_file()}
    return sorted(found - _UNCOUNTED)


def code(source: str, package: str, lib: Path) -> list[Any]:
    """Hash of what Python source does, and the units that it imports."""
    try:
        tree = ast.parse(source)
    except SyntaxError:  # the step that runs it says so; here any change counts
        return [digest(source), []]
    units = _units(_imported(tree, package), lib)
    return [digest(ast.dump(_without_docstrings(tree))), units]


def _module(path: Path, lib: Path) -> list[Any]:
    return code(path.read_text(encoding="utf-8"), ".".join(path.relative_to(lib).parent.parts), lib)


def _plain_python(cell: str) -> str:
    """IPython's own lines (%magic, !command) as strings, so that the rest can be parsed and they still count."""
    lines = cell.splitlines()
    if lines and lines[0].startswith("%%"):
        return f"_ = {cell!r}"
    return "\n".join(f"_ = {line!r}" if line.startswith(("%", "!")) else line for line in lines)


def notebook(path: Path, lib: Path) -> list[Any]:
    """Hash of a notebook's code cells, and the units of the library that they import."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    sources = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    parts = [code(_plain_python(source), "", lib) for source in sources if source.strip()]
    return [digest(*(part[0] for part in parts)), sorted({unit for part in parts for unit in part[1]})]


def packages(units: list[str], lib: Path, memory: Memory) -> dict[str, str]:
    """Each unit reached from these, directly or not, with its hash."""
    hashes: dict[str, str] = {}
    todo = list(units)
    while todo:
        unit = todo.pop()
        if unit in hashes:
            continue
        parts, place = [], lib / unit.replace(".", "/")
        for file in files(place, memory) if place.is_dir() else [place.with_suffix(".py")]:
            name = file.relative_to(lib).as_posix()
            if file.suffix == ".py":
                content, reached = memory.of(file, lambda p: _module(p, lib), "code")
                todo += reached
            else:
                content = memory.of(file, file_hash)
            parts += [name, content]
        hashes[unit] = digest(*parts)
    return dict(sorted(hashes.items()))


# --- data -------------------------------------------------------------------------------------------------------------


def files(folder: Path, memory: Memory) -> Iterator[Path]:
    """Every file below a folder, in one order everywhere; links to folders are followed once, caches left out."""
    seen: set[tuple[int, int]] = set()

    def walk(place: str) -> Iterator[Path]:
        stat = os.stat(place)
        if (stat.st_dev, stat.st_ino) in seen:
            return
        seen.add((stat.st_dev, stat.st_ino))
        memory.see(place)  # its dates tell of names that come and go
        for entry in sorted(os.scandir(place), key=lambda e: e.name):
            if entry.is_dir():
                if entry.name not in ("__pycache__", ".ipynb_checkpoints", ".git"):
                    yield from walk(entry.path)
            else:
                yield Path(entry.path)

    yield from walk(os.fspath(folder))


def tree(path: Path, memory: Memory) -> str:
    """Hash of a file, or of every name and content below a folder; what is missing or a broken link counts as such."""
    if not path.exists():
        memory.see(path)
        return "missing"
    if path.is_file():
        return memory.of(path, file_hash)
    parts = []
    for file in files(path, memory):
        content = memory.of(file, file_hash) if file.exists() else "broken link"
        parts += [file.relative_to(path).as_posix(), content]
    return digest(*parts)


def rows(path: Path, column: str, value: str) -> str:
    """Hash of a table's header and of the rows that hold `value` in `column`."""
    with path.open(newline="", encoding="utf-8") as file:
        table = csv.reader(file)
        header = next(table, [])
        place = header.index(column) if column in header else None
        kept = [row for row in table if place is None or row[place] == value]
    return digest(json.dumps([header, kept]))


def column(path: Path, name: str) -> list[str]:
    """The different values in one column of a table; none where there is no such column."""
    with path.open(newline="", encoding="utf-8") as file:
        return sorted({value for row in csv.DictReader(file) if (value := row.get(name))})
