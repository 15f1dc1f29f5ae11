"""What a result depends on, as small hashes: code, tables, folders. Standard library only.

Code counts by what it does: comments, docstrings, layout, markdown cells and stored outputs do not change a
fingerprint. The unit of the library is a module, reached by imports from the cells of a notebook. Of other packages the
pinned versions count. How study.yaml is read does not count: its values do.
"""

from __future__ import annotations

import ast
import csv
import hashlib
import json
import os
import re
import sys
from collections.abc import Callable, Collection, Iterable, Iterator
from importlib import metadata
from importlib.util import resolve_name
from pathlib import Path
from typing import Any

from osteotl.files import is_litter

MISSING, EMPTY = "missing", hashlib.sha256().hexdigest()[:32]  # in place of a hash; of a file without a byte
_DOCUMENTED = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
_OURS = ("osteotl", "diagnostic_accuracy")
PAGE = "06_report"  # the notebook whose prose stands on the page
_UNCOUNTED = "osteotl.workflow"  # when a step runs, never what it computes
_CONFIGURATION = ("osteotl.study", "osteotl.study_rules", "osteotl.strict_yaml")  # their values count, see `constant`


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


def module(path: Path, lib: str) -> list[Any]:
    """Hash of what a module of the library does, and the full names that it imports, inside functions too."""
    source = path.read_text(encoding="utf-8")
    try:
        parsed = ast.parse(source)
    except SyntaxError:  # the step that runs it says so; here any change counts
        return [digest(source), []]
    parsed.body = [node for node in parsed.body if "__version__" not in _bound(node)]  # a new version is no new result
    return [_digest([parsed]), _imports([parsed], ".".join(path.relative_to(lib).parent.parts))]


def _digest(nodes: Iterable[ast.AST]) -> str:
    """Hash of syntax trees without their docstrings."""
    nodes = list(nodes)
    for node in (inner for outer in nodes for inner in ast.walk(outer)):
        if isinstance(node, _DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
            del node.body[0]
    return digest(*map(ast.dump, nodes))


def _imports(nodes: Iterable[ast.AST], package: str = "") -> list[str]:
    """Full names of everything that is imported: of `from a import b` both `a` and `a.b`."""
    imported: set[str] = set()
    for node in (inner for outer in nodes for inner in ast.walk(outer)):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            source = resolve_name("." * node.level + (node.module or ""), package) if node.level else node.module or ""
            imported |= {source} | {f"{source}.{alias.name}" for alias in node.names}
    return sorted(imported)


def reached(
    imported: Iterable[str], lib: Path, memory: Memory, without: Collection[str] = ()
) -> tuple[dict[str, str], set[str]]:
    """Modules of the library that are reached from imports, directly or not, and what else is imported.

    Parameters
    ----------
    imported : iterable of str
        Full names, as in import statements.
    lib : Path
        Folder of the library's packages.
    memory : Memory
    without : collection of str
        Modules that do not count, nor what only they reach.

    Returns
    -------
    hashes : dict of str to str
        Of each module, by its name.
    outside : set of str
        Top-level names of other packages; the standard library is left out.
    """
    hashes: dict[str, str] = {}
    outside: set[str] = set()
    todo = list(imported)
    while todo:
        name = todo.pop()
        if (top := name.partition(".")[0]) not in _OURS:
            outside.add(top)
            continue
        for own, path in _modules(name, lib):
            if own in hashes or own in without or f"{own}.".startswith(f"{_UNCOUNTED}."):
                continue
            if own in _CONFIGURATION:
                if value := memory.of(path, constant, name.rpartition(".")[2]):
                    hashes[name] = value
                continue
            content, found = memory.of(path, module, str(lib))
            hashes[own] = digest(content, *_companions(path, memory))
            todo += found
    return dict(sorted(hashes.items())), outside - set(sys.stdlib_module_names) - {""}


def _modules(name: str, lib: Path) -> Iterator[tuple[str, Path]]:
    """Modules that run when a full name is imported: each package's own file, then the module's."""
    own: list[str] = []
    for part in name.split("."):
        own.append(part)
        place = lib.joinpath(*own)
        file = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
        if not file.is_file():
            return
        yield ".".join(own), file


def constant(path: Path, name: str) -> str:
    """Hash of the value that a module gives a NAME in capitals; empty for functions, classes, and what is not there."""
    if not name.isupper():
        return ""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and name in _bound(node) and node.value is not None:
            return digest(ast.dump(node.value))
    return ""


def _companions(path: Path, memory: Memory) -> list[str]:
    """Names and hashes of files of other kinds in a module's folder that its code names (templates, tables)."""
    found = [file for file in _others(path.parent, memory) if file.is_file()]
    if not found:
        return []
    said = memory.of(path, texts)
    named = [f for f in found if {f.name, f.stem, *f.relative_to(path.parent).parent.parts} & set(said)]
    return [part for file in named for part in (file.relative_to(path.parent).as_posix(), memory.of(file))]


def _others(folder: Path, memory: Memory) -> Iterator[Path]:
    """Files below a package's folder that are no code, those of packages inside it left out."""
    for name in memory.of(folder, names):
        place = folder / name
        if place.is_dir():
            if not (place / "__init__.py").is_file():
                yield from _others(place, memory)
        elif place.suffix != ".py":
            yield place


def texts(path: Path) -> list[str]:
    """Short texts in a module's code, which may name files."""
    walked = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    found = {node.value for node in walked if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    return sorted(text for text in found if len(text) <= 60)


# --- notebooks --------------------------------------------------------------------------------------------------------


def notebook(path: Path) -> dict[str, list[Any]]:
    """Hash and imports of a notebook's code cells, in two parts.

    Returns
    -------
    dict
        `made`: statements that ask `step.fresh` and those that bind the names these need; `shown`: all others, which
        only show what was made. Each a hash and the full names of its imports. The prose of `PAGE` counts as shown,
        since it is the text of the page.
    """
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    prose = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown" and path.stem == PAGE]
    sources = [_source(cell) for cell in cells if cell["cell_type"] == "code"]
    statements: list[ast.stmt] = []
    broken = []
    for source in sources:
        # IPython's own lines (%magic, !command) as strings, so that the rest can be parsed and they still count
        plain = re.sub(r"^[%!].*$", lambda line: f"_ = {line[0]!r}", source, flags=re.M)
        try:
            statements += _apart(ast.parse(plain).body)
        except SyntaxError:
            broken.append(plain)
    needed = _needed(statements)
    made, shown = ([s for s, of_it in zip(statements, needed, strict=True) if of_it is part] for part in (True, False))
    return {
        "made": [digest(_digest(made), *broken), _imports(made)],
        "shown": [digest(_digest(shown), *prose) if prose else _digest(shown), _imports(shown)],
    }


def _source(cell: dict[str, Any]) -> str:
    """Code of a cell; of the parameters the names alone, since a run gives them values of its own."""
    source = "".join(cell["source"])
    if "parameters" not in cell.get("metadata", {}).get("tags", []):
        return source
    return re.sub(r"""^(\w+) *= *(?:[\w.+-]+|"[^"\n]*"|'[^'\n]*') *(?:#.*)?$""", r"\1 = None", source, flags=re.M)


def _apart(statements: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """The same statements, each import of several names as several imports."""
    for node in statements:
        if isinstance(node, ast.Import):
            yield from (ast.Import([alias]) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (ast.ImportFrom(node.module, [alias], node.level) for alias in node.names)
        else:
            yield node


def _needed(statements: list[ast.stmt]) -> list[bool]:
    """Which statements ask `step.fresh`, or bind a name that such a statement needs."""
    chosen = [any(isinstance(n, ast.Attribute) and n.attr == "fresh" for n in ast.walk(s)) for s in statements]
    while True:
        names_needed = {
            node.id
            for statement, taken in zip(statements, chosen, strict=True)
            if taken
            for node in ast.walk(statement)
            if isinstance(node, ast.Name)
        }
        wider = [taken or bool(_bound(s) & names_needed) for s, taken in zip(statements, chosen, strict=True)]
        if wider == chosen:
            return chosen
        chosen = wider


def _bound(statement: ast.AST) -> set[str]:
    """Names that a statement binds, or whose items or attributes it sets."""
    bound: set[str] = set()
    for node in ast.walk(statement):
        if isinstance(node, ast.Import | ast.ImportFrom):
            bound |= {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            bound.add(node.name)
        elif isinstance(node, ast.Name | ast.Attribute | ast.Subscript) and isinstance(node.ctx, ast.Store):
            place: ast.expr = node
            while isinstance(place, ast.Attribute | ast.Subscript):
                place = place.value
            if isinstance(place, ast.Name):
                bound.add(place.id)
    return bound


# --- other packages ---------------------------------------------------------------------------------------------------


def pins(path: Path) -> dict[str, str]:
    """Versions in a lock file, by distribution."""
    found = re.findall(r"^([A-Za-z0-9._-]+)==([^ ;\\\n]+)", path.read_text(encoding="utf-8"), flags=re.M)
    return {_normal(name): version for name, version in found}


def distributions(_: Path) -> dict[str, list[str]]:
    """Distributions that bring each top-level name, of the packages installed in a folder."""
    return {top: sorted(set(map(_normal, found))) for top, found in metadata.packages_distributions().items()}


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def versions(tops: Iterable[str], lock: Path, installed: Path, memory: Memory) -> dict[str, str]:
    """Pinned versions of the distributions that bring these top-level names.

    Parameters
    ----------
    tops : iterable of str
        As `reached` gives them.
    lock : Path
        requirements.lock.
    installed : Path
        The folder that installed packages lie in.
    memory : Memory
    """
    known = memory.of(installed, distributions)
    pinned = memory.of(lock, pins)
    wanted = {name for top in tops for name in known.get(top, [_normal(top)])}
    return {name: pinned[name] for name in sorted(wanted) if name in pinned}


# --- data -------------------------------------------------------------------------------------------------------------


def names(folder: Path) -> list[str]:
    """What lies in a folder, caches and litter left out."""
    there = set(os.listdir(folder)) - {"__pycache__", ".ipynb_checkpoints", ".git"}
    return sorted(name for name in there if not is_litter(name))


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
