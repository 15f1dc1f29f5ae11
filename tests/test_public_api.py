"""What is public is listed, and says what it does and what it wants.

The rule: every public function and class has a summary, unless it is a single statement. Where a function's body is not
trivial, every parameter is explained: by its docstring or its module's, by a type that is a class of ours, or by the
list of parameters that mean the same everywhere (docs/api.md).
"""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "docs"))
import make_reference

ROOT = Path(__file__).parents[1]
TREES = {module: tree for package in make_reference.PACKAGES for module, tree in make_reference.modules(package)}
PUBLIC = [entry for module, tree in TREES.items() for entry in make_reference.public(module, tree)]
FUNCTIONS = [entry for entry in PUBLIC if isinstance(entry.node, ast.FunctionDef)]
CLASSES = [entry for entry in PUBLIC if isinstance(entry.node, ast.ClassDef)]
OURS = {node.name for tree in TREES.values() for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}
SHARED = {name.strip() for names in make_reference.SHARED for name in names.split(",")}

STATEMENTS, LINES = 3, 12  # a body up to either size is taken in sooner than a list of its parameters


def body(node: ast.FunctionDef) -> list[ast.stmt]:
    """Statements without the docstring."""
    return node.body[1:] if ast.get_docstring(node) else node.body


def trivial(node: ast.FunctionDef) -> bool:
    found = body(node)
    return len(found) <= STATEMENTS or found[-1].end_lineno - found[0].lineno < LINES


def unexplained(entry: Any) -> list[str]:
    """Parameters that neither docstring nor type nor convention explains."""
    said = f"{entry.doc} {ast.get_docstring(TREES[entry.module]) or ''}"
    given = entry.node.args
    left = []
    for argument in [*given.posonlyargs, *given.args, *given.kwonlyargs]:
        kind = ast.unparse(argument.annotation) if argument.annotation else ""
        if argument.arg in SHARED or OURS & set(re.findall(r"\w+", kind)):
            continue
        if not re.search(rf"\b{argument.arg}\b", said):
            left.append(argument.arg)
    return left


def test_every_public_name_is_listed():
    """Every public name stands in docs/api.md under its module."""
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    missing = [f"{entry.module}.{entry.name}" for entry in PUBLIC if f"- `{entry.call}`" not in page]
    assert not missing, "run: python docs/make_reference.py"
    assert len(FUNCTIONS) > 400


def test_all_names_only_what_exists():
    """`__all__` names only what the module defines or imports."""
    wrong = []
    for module, tree in TREES.items():
        bound = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Import | ast.ImportFrom):
                bound |= {alias.asname or alias.name for alias in node.names}
            elif isinstance(node, ast.Assign | ast.AnnAssign):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                bound |= {target.id for target in targets if isinstance(target, ast.Name)}
        wrong += [f"{module}: {name}" for name in make_reference.declared(tree) or [] if name not in bound]
    assert not wrong


def test_everything_public_has_a_summary():
    silent = [
        f"{entry.module}.{entry.name}"
        for entry in PUBLIC
        if not entry.doc
        and not (isinstance(entry.node, ast.FunctionDef) and len(entry.node.body) == 1)
    ]  # fmt: skip
    assert not silent, "say in one line what it does (numpydoc)"


def test_summaries_are_one_paragraph_that_ends():
    loose = [f"{e.module}.{e.name}" for e in PUBLIC if e.doc and e.doc.split("\n\n")[0].rstrip()[-1] not in ".:?!"]
    assert not loose


def test_public_methods_have_a_summary():
    """But for single statements, and for overrides of another package's class."""
    silent = []
    for entry in CLASSES:
        if any(ast.unparse(base).split(".")[0] not in OURS for base in entry.node.bases):
            continue
        for node in entry.node.body:
            named = isinstance(node, ast.FunctionDef) and not node.name.startswith("_")
            if named and not ast.get_docstring(node) and len(node.body) > 1:
                silent.append(f"{entry.module}.{entry.name}.{node.name}")
    assert not silent


def test_parameters_are_explained():
    left = {
        f"{entry.module}.{entry.name}": names
        for entry in FUNCTIONS
        if not trivial(entry.node) and (names := unexplained(entry))
    }
    assert not left, "explain them under 'Parameters' (numpydoc)"


def test_numpydoc_sections_are_spelt_as_numpydoc_spells_them():
    known = {"Parameters", "Returns", "Yields", "Raises", "Notes", "References", "Examples", "Attributes", "See Also",
             "Warns"}  # fmt: skip
    wrong = []
    for entry in PUBLIC:
        for heading, rule in re.findall(r"^(\w[\w ]*)\n(-{3,})$", entry.doc, flags=re.M):
            if heading not in known or len(heading) != len(rule):
                wrong.append(f"{entry.module}.{entry.name}: {heading}")
    assert not wrong


def test_the_library_offers_what_a_notebook_uses_or_its_page_explains():
    """Names are followed from the notebooks and lib/osteotl; the page explains what they never reach."""
    uses: dict[str, set[str]] = {}
    public = set()
    for module, tree in TREES.items():
        if module.partition(".")[0] != "diagnostic_accuracy":
            continue
        for node in tree.body:
            named = [node.name] if isinstance(node, ast.FunctionDef | ast.ClassDef) else []
            named += [target.id for target in getattr(node, "targets", []) if isinstance(target, ast.Name)]
            named += [node.target.id] if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) else []
            inside = {getattr(part, "id", None) or getattr(part, "attr", None) for part in ast.walk(node)}
            for name in named:
                uses.setdefault(name, set()).update(inside)
            compiled = module.endswith("._kernels")
            public |= {node.name for _ in named if isinstance(node, ast.FunctionDef | ast.ClassDef) and not compiled}
    callers = [*(ROOT / "lib" / "osteotl").rglob("*.py"), *(ROOT / "notebooks").glob("*.ipynb")]
    todo = {word for path in callers for word in re.findall(r"\w+", path.read_text(encoding="utf-8"))} & set(uses)
    reached: set[str] = set()
    while todo:
        reached.add(name := todo.pop())
        todo |= (uses[name] & set(uses)) - reached
    page = (ROOT / "docs" / "diagnostic_accuracy.md").read_text(encoding="utf-8")
    explained = set(re.findall(r"`(\w+)`", page.partition("## Beside the page")[2]))
    offered = {name for name in public if not name.startswith("_")}
    assert offered - reached == explained
