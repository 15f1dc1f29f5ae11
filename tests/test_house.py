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

# What each package may import of osteotl, itself aside: data flows films -> cohort table -> weights -> predictions ->
# statistics -> report, and statistics takes arrays and tables only (scores made elsewhere come through scores_files).
MAY_IMPORT = {
    "study": {"names", "strict_yaml", "study_rules"},
    "study_rules": {"names"},
    "files": set(),
    "names": set(),
    "strict_yaml": {"files"},
    "cohorts": {"study", "files"},
    "detection": {"study", "files", "cohorts"},
    "scores_files": {"files", "names"},
    "statistics": {"files", "scores_files", "strict_yaml"},
    "html": set(),
    "outputs": {"files", "scores_files"},
    "plan": {"files"},
    "cautions": set(),
    "audit_results": set(),
    "published": {"files", "strict_yaml"},
    "display": {"html", "outputs"},
    "figures": {"study", "files", "outputs", "display"},
    "report": {"study", "files", "display", "figures", "plan", "html", "outputs"},
    "reporting": {"study", "files", "statistics"},
    "workflow": {"study", "files"},
}


def imports_of(path: Path) -> set[str]:
    """The osteotl packages that a file imports, at any depth of the code."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module] if node.module != "osteotl" else [f"osteotl.{alias.name}" for alias in node.names]
        found |= {name.split(".")[1] for name in names if name.startswith("osteotl.")}
    return found


@pytest.mark.parametrize("path", sorted(LIB.rglob("*.py")), ids=lambda p: str(p.relative_to(LIB)))
def test_packages_import_only_those_before_them(path):
    package = path.relative_to(LIB).parts[0].removesuffix(".py")
    if package == "__init__":
        return
    assert imports_of(path) - {package} <= MAY_IMPORT[package], (
        f"{package} may import {sorted(MAY_IMPORT[package])} only"
    )


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


@pytest.mark.parametrize("package", ["cohorts", "detection", "scores_files", "published", "reporting"])
def test_the_modules_of_a_package_have_an_order(package):
    """Each uses only those before it; an import inside a function counts too."""
    paths = {".".join(p.relative_to(LIB.parent).with_suffix("").parts).removesuffix(".__init__"): p
             for p in (LIB / package).rglob("*.py")}  # fmt: skip
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


@pytest.mark.parametrize("package", ["scores_files", "published", "statistics", "reporting", "workflow", "cohorts"])
def test_no_torch_outside_detection(package):
    """Somebody with scores alone must not wait for torch, nor need it."""
    modules = [f"osteotl.{'.'.join(p.relative_to(LIB).with_suffix('').parts)}" for p in (LIB / package).rglob("*.py")]
    modules = [m.removesuffix(".__init__") for m in modules if not m.endswith("__main__")]
    code = f"import sys, importlib\nfor m in {modules!r}: importlib.import_module(m)\nsys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def test_no_machine_paths_and_no_package_hosts():
    # built from parts, so that this file does not trip over itself
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
                assert len(cell.source.splitlines()) <= 25, cell.source[:80]
                assert "class " not in cell.source
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
