"""What counts as a change of code or data, and what does not."""

import json
import os

import pytest

from osteotl.workflow import fingerprint

CODE = 'import osteotl.statistics.roc\n\n\ndef f(x):\n    """Say."""\n    # why\n    return x + 1\n'


def same(a, b, lib):
    return fingerprint.code(a, "", lib) == fingerprint.code(b, "", lib)


@pytest.fixture
def lib(tmp_path):
    """A small library: roc imports its neighbour and, lazily, another package."""
    files = {
        "osteotl/__init__.py": "",
        "osteotl/files.py": "x = 1\n",
        "osteotl/statistics/__init__.py": "",
        "osteotl/statistics/roc.py": "from . import area\n\n\ndef f():\n    from osteotl.files import x\n",
        "osteotl/statistics/area.py": "y = 1\n",
        "osteotl/statistics/table.csv": "a\n",
        "osteotl/reporting/__init__.py": "from ..statistics import roc\n",
        "osteotl/detection/__init__.py": "",
        "osteotl/cohorts/__init__.py": "from diagnostic_accuracy.expressions import evaluate\n",
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
    ("old", "new"), [("x + 1", "x + 2"), ("def f(x)", "def f(x=0)"), ("import osteotl.statistics.roc", "")]
)
def test_what_code_does_counts(old, new, lib):
    assert not same(CODE, CODE.replace(old, new), lib)


def test_a_package_is_the_unit_and_is_reached_through_others(lib):
    reached = fingerprint.packages(["osteotl.reporting"], lib, fingerprint.Memory())
    assert list(reached) == ["osteotl.files", "osteotl.reporting", "osteotl.statistics"]


def test_the_other_package_of_lib_counts_too(lib):
    before = fingerprint.packages(["osteotl.cohorts"], lib, fingerprint.Memory())
    assert list(before) == ["diagnostic_accuracy.expressions", "osteotl.cohorts"]
    (lib / "diagnostic_accuracy/expressions.py").write_text("def evaluate(): return 1\n")
    assert fingerprint.packages(["osteotl.cohorts"], lib, fingerprint.Memory()) != before


@pytest.mark.parametrize("file", ["roc.py", "area.py", "table.csv"])
def test_any_file_of_a_package_counts_for_who_imports_it(file, lib):
    before = fingerprint.packages(["osteotl.reporting"], lib, fingerprint.Memory())
    (lib / "osteotl/statistics" / file).write_text("z = 2\n")
    after = fingerprint.packages(["osteotl.reporting"], lib, fingerprint.Memory())
    assert [unit for unit in after if before[unit] != after[unit]] == ["osteotl.statistics"]


def notebook(path, cells):
    path.write_text(
        json.dumps({"cells": [{"cell_type": kind, "source": source, "outputs": out} for kind, source, out in cells]})
    )
    return path


def test_a_notebook_is_its_code_cells(tmp_path, lib):
    cells = [("markdown", "Why", []), ("code", "%matplotlib inline\nimport osteotl.files", []), ("code", "x = 1", [])]
    whole = fingerprint.notebook(notebook(tmp_path / "a.ipynb", cells), lib)
    assert whole[1] == ["osteotl.files"]
    prose = [("markdown", "Because", []), *cells[1:-1], ("code", "x = 1  # one", ["an output"])]
    assert fingerprint.notebook(notebook(tmp_path / "b.ipynb", prose), lib) == whole
    for change in ("x = 2", "%time x = 1", "%%bash\nx=1"):
        changed = fingerprint.notebook(notebook(tmp_path / "c.ipynb", [*cells[:-1], ("code", change, [])]), lib)
        assert changed[0] != whole[0]


def test_values_of_parameters_do_not_count_and_their_names_do(tmp_path, lib):
    """JupyterLab saves what an explorer sets in that cell; a run of the study sets values of its own."""

    def with_parameters(source):
        cells = [{"cell_type": "code", "source": source, "metadata": {"tags": ["parameters"]}, "outputs": []}]
        (tmp_path / "a.ipynb").write_text(json.dumps({"cells": cells}))
        return fingerprint.notebook(tmp_path / "a.ipynb", str(lib))

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
