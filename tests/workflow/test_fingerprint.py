"""What counts as a change of code or data, and what does not."""

import json
import os
import sysconfig
from pathlib import Path

import pytest

from osteotl.workflow import fingerprint

CODE = 'import osteotl.curves.roc\n\n\ndef f(x):\n    """Say."""\n    # why\n    return x + 1\n'


def of_code(text, lib):
    """Hash and imports of a module with this text."""
    (lib / "osteotl/one.py").write_text(text)
    return fingerprint.module(lib / "osteotl/one.py", str(lib))


def same(a, b, lib):
    return of_code(a, lib) == of_code(b, lib)


def reached(names, lib):
    return fingerprint.reached(names, lib, fingerprint.Memory())


@pytest.fixture
def lib(tmp_path):
    """A small library: roc imports its neighbour and, inside a function, another module."""
    files = {
        "osteotl/__init__.py": '__version__ = "1"\n',
        "osteotl/files.py": "import json\n\nimport numpy as np\nx = 1\n",
        "osteotl/study.py": "KNOWN = (1, 2)\n\n\nclass Study: pass\n",
        "osteotl/curves/__init__.py": "",
        "osteotl/curves/roc.py": "from . import area\n\n\ndef f():\n    from osteotl.files import x\n",
        "osteotl/curves/area.py": "TABLE = 'table.csv'\n",
        "osteotl/curves/alone.py": "y = 1\n",
        "osteotl/curves/table.csv": "a\n",
        "osteotl/page/__init__.py": "from ..curves import roc\n",
        "osteotl/page/template/page.css": "a {}\n",
        "osteotl/page/render.py": "FOLDER = 'template'\n",
        "osteotl/workflow/__init__.py": "",
        "osteotl/cohorts/__init__.py": "from diagnostic_accuracy.expressions import evaluate\n",
        "osteotl/training.py": "from osteotl.study import KNOWN, Study\nimport PIL.Image\n",
        "diagnostic_accuracy/__init__.py": "",
        "diagnostic_accuracy/expressions.py": "def evaluate(): pass\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"""Say."""', '"""Say more."""'),
        ("# why", "# why not"),
        ("x + 1", "(x\n            + 1)"),
        ("\n\n\ndef", "\ndef"),
    ],
)
def test_words_and_layout_do_not_count(old, new, lib):
    assert same(CODE, CODE.replace(old, new), lib)


@pytest.mark.parametrize(
    ("old", "new"), [("x + 1", "x + 2"), ("def f(x)", "def f(x=0)"), ("import osteotl.curves.roc", "")]
)
def test_what_code_does_counts(old, new, lib):
    assert not same(CODE, CODE.replace(old, new), lib)


def test_modules_are_reached_through_others_also_from_inside_functions(lib):
    hashes, outside = reached(["osteotl.page", "osteotl.workflow.step"], lib)
    assert list(hashes) == ["osteotl", "osteotl.curves", "osteotl.curves.area", "osteotl.curves.roc", "osteotl.files",
                            "osteotl.page"]  # fmt: skip
    assert outside == {"numpy"}


def test_modules_that_do_not_count_lead_nowhere(lib):
    hashes, _ = fingerprint.reached(["osteotl.page"], lib, fingerprint.Memory(), ("osteotl.curves.roc",))
    assert list(hashes) == ["osteotl", "osteotl.curves", "osteotl.page"]


def test_the_other_package_of_lib_counts_too(lib):
    before, _ = reached(["osteotl.cohorts"], lib)
    assert list(before) == ["diagnostic_accuracy", "diagnostic_accuracy.expressions", "osteotl", "osteotl.cohorts"]
    (lib / "diagnostic_accuracy/expressions.py").write_text("def evaluate(): return 1\n")
    assert reached(["osteotl.cohorts"], lib)[0] != before


@pytest.mark.parametrize(
    ("file", "changed"),
    [
        ("curves/roc.py", ["osteotl.curves.roc"]),
        ("curves/area.py", ["osteotl.curves.area"]),
        ("curves/table.csv", ["osteotl.curves.area"]),  # the one that names it
        ("curves/alone.py", []),  # of the same package, and not reached
        ("page/template/page.css", ["osteotl.page.render"]),
    ],
)
def test_a_change_counts_for_who_reaches_the_module(file, changed, lib):
    names = ["osteotl.page.render"]
    before, _ = reached(names, lib)
    path = lib / "osteotl" / file
    path.write_text(path.read_text() + "z = 2\n")
    after, _ = reached(names, lib)
    assert [name for name in after if before[name] != after[name]] == changed


def test_of_the_study_only_values_count(lib):
    study, before = lib / "osteotl/study.py", reached(["osteotl.training"], lib)
    assert list(before[0]) == ["osteotl", "osteotl.study.KNOWN", "osteotl.training"]
    study.write_text(study.read_text().replace("pass", "x: int"))
    assert reached(["osteotl.training"], lib) == before
    study.write_text(study.read_text().replace("(1, 2)", "(1, 3)"))
    assert reached(["osteotl.training"], lib) != before


def test_a_new_version_of_the_library_alone_changes_nothing(lib):
    before = reached(["osteotl.page"], lib)
    (lib / "osteotl/__init__.py").write_text('__version__ = "2"\n')
    assert reached(["osteotl.page"], lib) == before


def test_versions_are_those_of_the_distributions_that_are_imported(tmp_path):
    """`PIL` is brought by pillow; what is not pinned does not count."""
    lock = tmp_path / "requirements.lock"
    lock.write_text("numpy==2.1.0 \\\n    --hash=sha256:a\nPillow==11.0 ; python_version > '3'\ntorch==2.0\n")
    installed = Path(sysconfig.get_path("purelib"))
    found = fingerprint.versions({"numpy", "PIL", "nowhere"}, lock, installed, fingerprint.Memory())
    assert found == {"numpy": "2.1.0", "pillow": "11.0"}


def notebook(path, cells):
    path.write_text(
        json.dumps({"cells": [{"cell_type": kind, "source": source, "outputs": out} for kind, source, out in cells]})
    )
    return path


def test_a_notebook_is_its_code_cells(tmp_path):
    cells = [("markdown", "Why", []), ("code", "%matplotlib inline\nimport osteotl.files", []), ("code", "x = 1", [])]
    whole = fingerprint.notebook(notebook(tmp_path / "a.ipynb", cells))
    assert whole["shown"][1] == ["osteotl.files"]
    prose = [("markdown", "Because", []), *cells[1:-1], ("code", "x = 1  # one", ["an output"])]
    assert fingerprint.notebook(notebook(tmp_path / "b.ipynb", prose)) == whole
    for change in ("x = 2", "%time x = 1", "%%bash\nx=1"):
        changed = fingerprint.notebook(notebook(tmp_path / "c.ipynb", [*cells[:-1], ("code", change, [])]))
        assert changed != whole


def test_what_is_made_and_what_is_shown_are_told_apart(tmp_path):
    cells = ["from osteotl import tables, figures\nfrom osteotl.workflow.step import open_step\nstep = open_step(1)",
             "films = 3\nmore = {}\nmore['a'] = films",
             "if not step.fresh:\n    tables.build(step, more)",
             "y = figures.draw(films)\ny"]  # fmt: skip

    def parts(*changed):
        texts = [cell.replace(*changed) if changed else cell for cell in cells]
        return fingerprint.notebook(notebook(tmp_path / "a.ipynb", [("code", text, []) for text in texts]))

    before = parts()
    assert before["made"][1] == ["osteotl", "osteotl.tables", "osteotl.workflow.step",
                                 "osteotl.workflow.step.open_step"]  # fmt: skip
    assert before["shown"][1] == ["osteotl", "osteotl.figures"]
    for change in (("films = 3", "films = 4"), ("'a'", "'b'"), ("build", "rebuild"), ("open_step(1)", "open_step(2)")):
        assert parts(*change)["made"][0] != before["made"][0]
        assert parts(*change)["shown"] == before["shown"]
    shown = parts("draw", "redraw")
    assert shown["made"] == before["made"]
    assert shown["shown"][0] != before["shown"][0]


def test_values_of_parameters_do_not_count_and_their_names_do(tmp_path):
    """A run of the study sets values of its own."""

    def with_parameters(source):
        cells = [{"cell_type": "code", "source": source, "metadata": {"tags": ["parameters"]}, "outputs": []}]
        (tmp_path / "a.ipynb").write_text(json.dumps({"cells": cells}))
        return fingerprint.notebook(tmp_path / "a.ipynb")

    shipped = with_parameters('config = "study.yaml"\nseed = 0\nfraction = 1.0')
    assert with_parameters("config = 'studies/a b.yaml'\nseed = 7  # mine\nfraction = 0.25") == shipped
    assert with_parameters('config = "study.yaml"\nseeds = 0\nfraction = 1.0') != shipped
    assert with_parameters('config = "study.yaml"\nseed = 0\nfraction = 1.0\nprint(seed)') != shipped


def test_a_folder_is_its_names_and_contents_not_its_dates(tmp_path):
    for name in ("a.txt", "below/b.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    memory = fingerprint.Memory()
    before = fingerprint.tree(tmp_path, memory)
    left = fingerprint.Memory(dict(memory.used))
    assert left.untouched()
    os.utime(tmp_path / "a.txt", (1, 1))
    assert fingerprint.tree(tmp_path, memory) == before
    assert not left.untouched()
    (tmp_path / "a.txt").write_text("A.txt")  # the same size
    os.utime(tmp_path / "a.txt", (1, 1))  # and the same date: ctime tells
    assert fingerprint.tree(tmp_path, memory) != before
    (tmp_path / "a.txt").write_text("a.txt")
    assert fingerprint.tree(tmp_path, memory) == before
    (tmp_path / "link").symlink_to("nowhere")
    assert fingerprint.tree(tmp_path, memory) != before


def test_links_that_go_round_end(tmp_path):
    (tmp_path / "a.txt").write_text("a")
    (tmp_path / "round").symlink_to(tmp_path)
    assert len(fingerprint.tree(tmp_path, fingerprint.Memory())) == 32


def test_only_the_rows_of_one_cohort_count(tmp_path):
    boxes = tmp_path / "boxes.csv"
    boxes.write_text("image_id,x,cohort\na,1,development\nb,2,external\n")
    before = fingerprint.rows(boxes, "cohort", "development")
    boxes.write_text("image_id,x,cohort\na,1,development\nb,3,external\n")
    assert fingerprint.rows(boxes, "cohort", "development") == before
    boxes.write_text("image_id,x,cohort\na,2,development\nb,2,external\n")
    assert fingerprint.rows(boxes, "cohort", "development") != before


def test_memory_reads_a_file_once(tmp_path):
    (tmp_path / "a").write_text("a")
    memory, calls = fingerprint.Memory(), []
    for _ in range(2):
        memory.of(tmp_path / "a", lambda path: calls.append(path))
    assert len(calls) == 1


@pytest.mark.parametrize(
    "touch",
    [
        lambda folder: (folder / "new").write_text("n"),
        lambda folder: (folder / "gone").write_text("back"),
        lambda folder: (folder / "a").write_text("b"),
        lambda folder: (folder / "a").unlink(),
    ],
    ids=["added", "back again", "altered", "removed"],
)
def test_memory_tells_of_names_that_come_and_go(tmp_path, touch):
    (tmp_path / "a").write_text("a")
    memory = fingerprint.Memory()
    fingerprint.tree(tmp_path, memory)
    assert fingerprint.tree(tmp_path / "gone", memory) == "missing"
    left = fingerprint.Memory(memory.used)
    assert left.untouched()
    touch(tmp_path)
    assert not left.untouched()


def test_prose_counts_in_the_notebook_that_is_the_page(tmp_path: Path) -> None:
    def written(name: str, prose: str) -> dict[str, list]:
        code = {"cell_type": "code", "source": ["x = 1"], "metadata": {}}
        cells = [{"cell_type": "markdown", "source": [prose]}, code]
        path = tmp_path / f"{name}.ipynb"
        path.write_text(json.dumps({"cells": cells}))
        return fingerprint.notebook(path)

    page, other = ([written(name, prose) for prose in ("One.", "Two.")] for name in ("06_report", "05_figures"))
    assert page[0]["shown"] != page[1]["shown"]
    assert page[0]["made"] == page[1]["made"]
    assert other[0] == other[1]
