"""The rules of the house that a machine can check."""

import ast
import re
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[1]
LIB = ROOT / "lib" / "osteotl"
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
MODULES = sorted((ROOT / "lib").rglob("*.py"))
MODULE_LINES, FUNCTION_LINES, CELL_LINES = 600, 40, 25

# What each package may import, itself aside, as docs/design.md says it. Data flows one way: films -> cohort tables ->
# weights -> predictions -> results -> figures -> page.
MAY_IMPORT = {
    "files": set(),
    "names": set(),
    "html": set(),
    "strict_yaml": {"files"},
    "study_rules": {"names"},
    "study": {"names", "strict_yaml", "study_rules"},
    "cohorts": {"study", "files", "diagnostic_accuracy.expressions"},
    "detection": {"study", "files", "cohorts"},
    "scores_files": {"files", "names"},
    "outputs": {"diagnostic_accuracy", "files", "scores_files"},
    "plan": {"diagnostic_accuracy", "files"},
    "cautions": {"diagnostic_accuracy"},
    "audit_results": {"diagnostic_accuracy"},
    "published": {"diagnostic_accuracy", "strict_yaml"},
    "display": {"html"},
    "figures": {"diagnostic_accuracy", "display", "files"},
    "report": {"diagnostic_accuracy", "study", "files", "display", "figures", "html"},
    "workflow": {"study", "study_rules", "files"},
}


def imports_of(path: Path) -> set[str]:
    """The packages of lib/ that a file imports, at any depth of the code.

    Packages of osteotl by their name there, modules of diagnostic_accuracy by their full name.
    """
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            whole = node.module in ("osteotl", "diagnostic_accuracy")
            names = [f"{node.module}.{alias.name}" for alias in node.names] if whole else [node.module]
        found |= {name.split(".")[1] for name in names if name.startswith("osteotl.")}
        found |= {name for name in names if name.split(".")[0] == "diagnostic_accuracy"}
    return found


@pytest.mark.parametrize("path", sorted(LIB.rglob("*.py")), ids=lambda p: str(p.relative_to(LIB)))
def test_packages_import_only_what_the_design_allows(path):
    package = path.relative_to(LIB).parts[0].removesuffix(".py")
    if package == "__init__":
        return
    allowed = MAY_IMPORT[package]
    found = {name for name in imports_of(path) - {package} if name.split(".")[0] not in allowed}
    assert found <= allowed, f"{package} may import {sorted(allowed)} only"


def test_the_design_page_shows_the_same_imports():
    """Every row of its table, but for the modules that are named beside a package."""
    page = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`[a-z_`, ]+`) \| [^|]+ \| ([^|]+) \|$", page, flags=re.M)
    shown = {}
    for packages, imports in rows:
        named = set(re.findall(r"`([\w.]+)`", imports))
        shown |= dict.fromkeys(re.findall(r"`(\w+)`", packages), named)
    assert shown.pop("diagnostic_accuracy") == set()
    assert shown == MAY_IMPORT


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT / "lib")))
def test_modules_and_functions_keep_within_the_limits(path):
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= MODULE_LINES
    long = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            lines = body[-1].end_lineno - body[0].lineno + 1 if body else 0
            long += [f"{node.name}: {lines} lines"] if lines > FUNCTION_LINES else []
    assert not long, f"a function's body has at most {FUNCTION_LINES} lines"


def test_contributing_states_the_same_limits():
    text = " ".join((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").split())
    for limit in (f"{FUNCTION_LINES} lines of body", f"modules at most {MODULE_LINES}", f"at most {CELL_LINES} lines"):
        assert limit in text


def test_diagnostic_accuracy_stands_alone():
    """It is of use without osteotl, and without torch: numbers and tables are all it imports."""
    found = set()
    for path in (ROOT / "lib" / "diagnostic_accuracy").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.split(".")[0])
    allowed = {"numpy", "scipy", "pandas", "statsmodels", "numba", "llvmlite", "skmisc", "hotcoco"}
    allowed |= {"diagnostic_accuracy"}
    assert found - set(sys.stdlib_module_names) <= allowed


PACKAGES = ["cohorts", "detection", "scores_files", "published", "display", "figures", "report", "workflow"]


@pytest.mark.parametrize("package", [*PACKAGES, "diagnostic_accuracy"])
def test_the_modules_of_a_package_have_an_order(package):
    """Each uses only those before it; an import inside a function counts too."""
    folder = LIB.parent / package if package == "diagnostic_accuracy" else LIB / package
    paths = {".".join(p.relative_to(LIB.parent).with_suffix("").parts).removesuffix(".__init__"): p
             for p in folder.rglob("*.py")}  # fmt: skip
    uses = {}
    for module, path in paths.items():
        nodes = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if hasattr(node, "names")]
        froms = [
            (node.module, alias.name) for node in nodes if isinstance(node, ast.ImportFrom) for alias in node.names
        ]
        named = {f"{parent}.{name}" if f"{parent}.{name}" in paths else parent for parent, name in froms}
        uses[module] = (named & set(paths)) - {module}
    assert sum(map(len, uses.values())) > len(paths) / 2
    TopologicalSorter(uses).prepare()  # raises CycleError, which names the circle


def test_no_torch_outside_detection():
    """Scores alone need no torch."""
    names = [".".join(p.relative_to(LIB.parent).with_suffix("").parts).removesuffix(".__init__") for p in MODULES]
    modules = [m for m in names if not m.startswith("osteotl.detection") and not m.endswith("__main__")]
    code = f"import sys, importlib\nfor m in {modules!r}: importlib.import_module(m)\nsys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def test_no_machine_paths_and_no_package_hosts():
    # built from parts, so that this file does not match
    paths = re.compile(r"(?<![\w.$])/(?:work|farm|home)/\w")
    hosts = re.compile(
        "|".join(["pypi" + r"\.org", "pythonhosted" + r"\.", "registry" + r"\.npmjs", "debian" + r"\.org"])
    )
    found = []
    for path in tracked():
        if path.suffix in {".png", ".svg", ".webp", ".dcm", ".jpg", ".tif", ".xlsx"} or path.name == "LICENSE":
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
            if paths.search(line) or hosts.search(line):
                found.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()[:80]}")
    assert not found


def test_notebooks_are_in_order():
    names = [path.stem for path in NOTEBOOKS]
    assert names == ["00_cohorts", "01_pretrain", "02_finetune", "03_evaluate", "04_statistics", "05_figures",
                     "06_report", "planning", "published"]  # fmt: skip


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
class TestNotebook:
    def cells(self, path):
        return nbformat.read(path, as_version=4).cells

    def test_prose_leads(self, path):
        kinds = [cell.cell_type for cell in self.cells(path)]
        assert kinds[0] == "markdown"
        assert kinds.count("markdown") >= kinds.count("code")
        opening = self.cells(path)[0].source
        for word in ("Question", "Inputs", "Outputs"):
            assert word in opening

    def test_cells_are_short_and_define_no_classes(self, path):
        for cell in self.cells(path):
            if cell.cell_type == "code":
                assert len(cell.source.splitlines()) <= CELL_LINES, cell.source[:80]
                assert not re.search(r"^\s*class \w", cell.source, flags=re.M)
                assert "sys.path" not in cell.source

    def test_one_parameters_cell_and_the_python3_kernel(self, path):
        notebook = nbformat.read(path, as_version=4)
        assert sum("parameters" in cell.metadata.get("tags", []) for cell in notebook.cells) == 1
        assert notebook.metadata.kernelspec.name == "python3"

    def test_outputs_are_stripped_but_for_checked_cells(self, path):
        for cell in self.cells(path):
            if cell.cell_type == "code" and cell.get("outputs"):
                assert cell.source.startswith("# NBVAL_CHECK_OUTPUT"), cell.source[:80]

    def test_ends_with_checks_that_can_fail(self, path):
        code = [cell.source for cell in self.cells(path) if cell.cell_type == "code"]
        assert any("assert " in source or "check_" in source for source in code[-2:])
