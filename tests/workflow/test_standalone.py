"""Notebooks that stand alone, and JupyterLab on copies of the notebooks."""

import json
import subprocess
import sys

import nbformat
import pytest

PARAMETERS = (
    'config = "study.yaml"\noutputs = "outputs/planning"\nauc_margin = 0.03  # smallest difference that matters\n'
    'icc: float | None = None  # of one patient\ntarget = "auc"\nruns = 3\nclustered = False  # films repeat'
)


@pytest.fixture
def planning(project):
    """A project with a notebook that stands alone, which shows what it was given."""
    cells = [PARAMETERS, "(outputs, auc_margin, icc, target, runs, clustered)"]
    project.write_notebook("planning", cells)
    return project


def test_every_parameter_is_an_option(planning):
    said = planning.run("plan", "--help")
    assert said.returncode == 0, said.stderr
    for text in ("--auc-margin", "smallest difference that matters (default: 0.03)", "--icc", "--target", "--runs",
                 "--clustered", "--config"):  # fmt: skip
        assert text in " ".join(said.stdout.split())


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--auc-margn", "0.1"], "there is no option --auc-margn; did you mean --auc-margin?"),
        (["--auc-margin", "wide"], "'wide' must be a number"),
        (["--runs", "2.5"], "'2.5' must be a whole number"),
        (["--clustered", "maybe"], "'maybe' must be yes or no"),
    ],
)
def test_options_are_checked_before_anything_runs(planning, words, told):
    said = planning.run("plan", *words)
    assert said.returncode == 2
    assert told in said.stderr
    assert not (planning.outputs / "planning").exists()


def test_a_plan_is_a_page_of_its_own_and_no_step(planning):
    said = planning.run("plan", "--auc-margin", "0.05", "--icc", "0.5", "--clustered", "yes")
    assert said.returncode == 0, said.stderr
    shown = "('outputs/planning', 0.05, 0.5, 'auc', 3, True)"
    assert shown in (planning.outputs / "planning/planning.html").read_text()
    assert nbformat.read(planning.outputs / "planning/planning.ipynb", 4)
    assert "Done: outputs/planning/planning.html" in said.stdout
    assert planning.ran() == []
    assert planning.plan() == {}
    assert "Nothing has changed" in planning.run().stdout


def test_a_cell_that_fails_is_told(planning):
    planning.write_notebook("planning", [PARAMETERS, "1 / 0"])
    said = planning.run("plan")
    assert said.returncode == 1
    assert "planning failed in cell 3" in said.stderr
    assert "ZeroDivisionError" in said.stderr
    assert "outputs/planning/planning.failed.ipynb" in said.stderr


def test_the_published_figures_go_to_a_folder_of_their_own(project):
    project.write_notebook("published", ['outputs = "outputs/published"', "outputs"])
    assert project.run("published").returncode == 0
    assert "outputs/published" in (project.outputs / "published/published.html").read_text()
    assert project.plan() == {}


COPY = "from pathlib import Path; import sys; from osteotl.workflow.lab import copy_notebooks; " \
       "copy_notebooks(*map(Path, sys.argv[1:]))"  # fmt: skip


def copies(project):
    """The notebooks copied as `./run_all.sh lab` does; their folder."""
    command = [sys.executable, "-c", COPY, str(project.root / "study.yaml"), str(project.outputs)]
    subprocess.run(command, env=project.environment(PYTHONPATH=str(project.root / "lib")), check=True)
    return project.outputs / "scratch/notebooks"


def code(path):
    return ["".join(cell["source"]) for cell in json.loads(path.read_text())["cells"]]


def test_saving_a_copy_changes_nothing_that_runs_next(project):
    folder = copies(project)
    assert "04_statistics.ipynb" in code(folder / "start.ipynb")[0]
    assert code(folder / "04_statistics.ipynb")[0] == "config = 'study.yaml'\noutputs = 'outputs'"
    explored = nbformat.read(folder / "04_statistics.ipynb", 4)
    explored.cells[1].source += "\nmargin = 0.02"
    nbformat.write(explored, folder / "04_statistics.ipynb")
    assert project.plan() == {}
    assert "Nothing has changed" in project.run().stdout


def test_a_changed_copy_is_kept_and_the_others_are_renewed(project):
    folder = copies(project)
    mine = nbformat.read(folder / "04_statistics.ipynb", 4)
    mine.cells[2].source += "\nmargin = 0.02"
    nbformat.write(mine, folder / "04_statistics.ipynb")
    project.write_notebook("05_figures", ['config = "study.yaml"\noutputs = "outputs"', "2"])
    copies(project)
    assert "margin = 0.02" in code(folder / "04_statistics.ipynb")[2]
    assert code(folder / "05_figures.ipynb")[1] == "2"


def test_a_copy_that_is_run_writes_to_scratch(project):
    """The copy of 04 as JupyterLab runs it, another number in a cell: the study's own results stay."""
    folder = copies(project)
    before = project.results()
    mine = nbformat.read(folder / "04_statistics.ipynb", 4)
    written = "step.write('statistics.csv').write_text('arm,mean\\nmine,1\\n')"
    mine.cells[2].source = f"{written}\n(step.fresh, step.by_engine)"
    nbformat.write(mine, folder / "04_statistics.ipynb")
    run = (
        "import nbclient, nbformat, sys; nb = nbformat.read(sys.argv[1], 4);"
        "nbclient.NotebookClient(nb, kernel_name='python3').execute(); print(nb.cells[2].outputs[0].data['text/plain'])"
    )
    environment = project.environment(PYTHONPATH=str(project.root / "lib"))
    command = [sys.executable, "-c", run, str(folder / "04_statistics.ipynb")]
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "(False, False)"
    assert (project.outputs / "scratch/statistics.csv").read_text() == "arm,mean\nmine,1\n"
    assert project.results() == before
    assert project.plan() == {}


def test_words_of_jupyter_go_to_jupyter(project):
    said = project.run("lab", "--version")
    assert said.returncode == 0, said.stderr
    assert said.stdout.splitlines()[-1].startswith("4.")
