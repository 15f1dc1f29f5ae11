"""A change re-runs exactly what it touches."""

import json
import os
import shutil

import nbformat
import pytest

REPLICATES = [f"02_finetune_{arm}_1_{seed}" for arm in ("scratch", "transfer") for seed in (0, 1)]
TRANSFER = REPLICATES[2:]
STATISTICS = ["04_statistics", "05_figures", "06_report"]
SCORES = ["03_evaluate", *STATISTICS]
PAGE = "06_report"
ALL = ["00_cohorts", "01_pretrain", *REPLICATES, *SCORES, "render"]


def certain(plan):
    """Steps that run for a reason of their own; the others run only if what they read changes."""
    return [name for name, reasons in plan.items() if not reasons[0].startswith("after ")]


def test_the_first_run_does_every_step_once(undisturbed):
    assert undisturbed.first_run == sorted(ALL)
    assert not list(undisturbed.outputs.rglob("*.part"))
    assert not list(undisturbed.outputs.rglob("*.failed.ipynb"))
    names = {path.stem for path in (undisturbed.outputs / "notebooks").iterdir()}
    assert names == set(ALL) - {"render"}
    assert json.loads((undisturbed.outputs / "provenance.json").read_text())["seeds"] == [0, 1]


def test_nothing_to_do_after_a_run_nor_in_another_place(undisturbed, project):
    assert undisturbed.plan() == {}
    assert project.plan() == {}


# setting changed: steps that read it
SETTINGS = [
    ("title: Small", "title: Smaller", STATISTICS),
    ("bootstrap: 100", "bootstrap: 200", STATISTICS),
    ("reference: scratch", "reference: transfer", STATISTICS),
    ("{initialise: pretrain}", "{initialise: pretrain, label: from chests}", STATISTICS),
    ("detector: {epochs: 2,", "detector: {epochs: 3,", [*REPLICATES, PAGE]),
    ("detector: {epochs: 2,", "detector: {checkpoints: [1], epochs: 2,", [*REPLICATES, *SCORES[:2], PAGE]),
    ("pretrain_epochs: 2", "pretrain_epochs: 3", ["01_pretrain", PAGE]),
    ("detector: {epochs: 2,", "detector: {test_time_flip: true, epochs: 2,", ["03_evaluate", PAGE]),
    ("{initialise: random}", "{initialise: random, seed_offset: 7}", [*REPLICATES[:2], *STATISTICS]),
    ("statistics: {", "privacy: {salt: pepper}\nstatistics: {", ["00_cohorts", PAGE]),
    ("statistics: {", "report: {gallery_seed: 1}\nstatistics: {", ["05_figures", PAGE]),
    ("statistics: {", "report: {institution: A}\nstatistics: {", [PAGE]),
    ("title:", "# a comment\ntitle:", []),
]


@pytest.mark.parametrize(("old", "new", "steps"), SETTINGS, ids=[new.split("\n")[0][:40] for _, new, _ in SETTINGS])
def test_a_setting_touches_the_steps_that_read_it(project, old, new, steps):
    project.edit("study.yaml", old, new)
    assert certain(project.plan()) == steps


TRAINING = ["01_pretrain", *REPLICATES]
CODE = [
    ("cohorts/tables.py", 'rows = ["image_id,content,film"]', 'rows = ["image_id,contents,film"]', ["00_cohorts"]),
    ("detection/training.py", "* 50", "* 51", TRAINING),
    ("detection/scoring.py", "2**32", "2**33", ["03_evaluate"]),
    ("rates.py", "math.fsum(scores)", "sum(scores)", ["04_statistics"]),
    ("analysis.py", "step.study.title", "str(step.study.title)", ["04_statistics"]),
    ("display.py", "} lines", "} rows", ["03_evaluate", "04_statistics"]),
    ("figures.py", "<svg>{", "<svg >{", ["05_figures"]),
    ("report/documents.py", "words", "other words", ["06_report"]),
    ("report/render.py", "<html>{", "<html >{", ["render"]),
    ("files.py", "ensure_ascii=False", "ensure_ascii=True", ALL),  # whatever writes
    ("rates.py", "Mean of scores", "The mean", []),
    ("detection/training.py", '    """Train one replicate."""', '    """Train."""  # once', []),
    ("workflow/engine.py", "0.2", "0.3", []),
    ("study.py", "an empty file", "empty", []),
    ("study_rules.py", "MOST_FAULTS = 50", "MOST_FAULTS = 51", []),
]


@pytest.mark.parametrize(("file", "old", "new", "steps"), CODE, ids=[f"{file}-{new[:20]}" for file, _, new, _ in CODE])
def test_a_module_touches_its_dependents_and_words_touch_nothing(project, file, old, new, steps):
    project.edit(f"lib/osteotl/{file}", old, new)
    assert certain(project.plan()) == steps


@pytest.mark.slow
def test_what_only_shows_is_executed_again_and_nothing_is_scored(project):
    project.edit("lib/osteotl/display.py", "} lines", "} rows")
    assert "which shows results" in project.plan()["03_evaluate"][0]
    assert project.run().returncode == 0
    assert project.ran() == ["04_statistics", "render"]  # 03 left no trace: it only showed
    assert "rows" in (project.outputs / "notebooks/03_evaluate.ipynb").read_text()
    assert project.plan() == {}


def test_a_default_in_the_study_file_s_rules_counts_by_its_value(project):
    """`bootstrap_seed` is not in this study file: its default is a value of the study all the same."""
    project.edit("lib/osteotl/study.py", "bootstrap_seed: Seed = Field(0,", "bootstrap_seed: Seed = Field(1,")
    assert certain(project.plan()) == ["04_statistics", "05_figures", "06_report"]


def test_the_order_of_arms_counts(project):
    text = (project.root / "study.yaml").read_text()
    scratch, transfer = "  scratch: {initialise: random}\n", "  transfer: {initialise: pretrain}\n"
    (project.root / "study.yaml").write_text(text.replace(scratch + transfer, transfer + scratch))
    assert certain(project.plan()) == STATISTICS


def test_a_package_touches_what_imports_it(project):
    """No stand-in imports snakemake; a module that 04 reaches comes to import scipy."""
    project.edit("requirements.lock", "snakemake==", "snakemake==1")
    assert project.plan() == {}
    project.edit("requirements.lock", "snakemake==1", "snakemake==")
    project.edit("lib/osteotl/rates.py", "import math", "import math\n\nimport scipy")
    assert certain(project.plan()) == ["04_statistics"]
    assert project.run().returncode == 0
    assert project.plan() == {}
    project.edit("requirements.lock", "scipy==", "scipy==1")
    plan = project.plan()
    assert certain(plan) == ["04_statistics"]
    assert "the package scipy changed from" in plan["04_statistics"][0]


DATA = [("changed", lambda films: (films / "external/03.txt").write_text("another film\n")),
        ("added", lambda films: (films / "pretrain/99.txt").write_text("a film\n")),
        ("removed", lambda films: (films / "development/01.txt").unlink())]  # fmt: skip


@pytest.mark.parametrize("change", [change for _, change in DATA], ids=[name for name, _ in DATA])
def test_a_film_touches_the_cohorts_first(project, change):
    change(project.root / "films")
    plan = project.plan()
    assert certain(plan) == ["00_cohorts"]
    assert list(plan) == ALL


OUTPUTS = {
    "cohorts/boxes.csv": "00_cohorts",
    "pretrain/model.json": "01_pretrain",
    "finetune/transfer/1/0/weights.safetensors": "02_finetune_transfer_1_0",
    "predictions.csv": "03_evaluate",
    "analysis_plan.json": "03_evaluate",
    "occlusion/0.png": "03_evaluate",
    "statistics.csv": "04_statistics",
    "analysis.json": "04_statistics",
    "tables/means.csv": "04_statistics",
    "figures/means.svg": "05_figures",
    "provenance.json": "06_report",
    "documents/methods.md": "06_report",
    "documents/model_cards/transfer.md": "06_report",
    "report.html": "render",
}


@pytest.mark.parametrize(("file", "step"), OUTPUTS.items())
def test_a_deleted_or_altered_output_is_made_again(project, file, step):
    path = project.outputs / file
    before = path.read_bytes()
    path.write_bytes(before[:-1] + b"x")
    assert certain(project.plan()) == [step]
    path.write_bytes(before[: len(before) // 2])
    assert certain(project.plan()) == [step]
    path.unlink()
    assert certain(project.plan()) == [step]
    path.write_bytes(before)
    assert project.plan() == {}


def test_a_lost_prepared_film_is_prepared_again(project):
    next((project.root / "data/.prepared").rglob("*.png")).unlink()
    plan = project.plan()
    assert certain(plan) == ["00_cohorts"]
    assert "(its prepared films) is missing" in plan["00_cohorts"][0]


def test_a_prepared_film_replaced_by_another_picture_is_prepared_again(project):
    film = next((project.root / "data/.prepared").rglob("*.png"))
    film.write_text("another picture\n")
    plan = project.plan()
    assert certain(plan) == ["00_cohorts"]
    assert "(its prepared films) is not what 00_cohorts wrote" in plan["00_cohorts"][0]


@pytest.mark.slow
def test_a_pdf_is_an_output_where_one_can_be_printed(project):
    assert "report.pdf" not in json.dumps(project.plan())
    (project.outputs / "report.pdf").write_text("somebody else's\n")  # none was printed here
    assert certain(project.plan()) == ["render"]
    assert project.run(SMALL_STUDY_PDF="1").returncode == 0
    assert (project.outputs / "report.pdf").read_text() == "a PDF\n"
    assert project.plan() == {}
    (project.outputs / "report.pdf").unlink()
    assert certain(project.plan()) == ["render"]


@pytest.mark.slow
def test_what_no_step_makes_any_more_goes_or_is_named(project):
    text = (project.root / "study.yaml").read_text()
    (project.root / "study.yaml").write_text(text.replace("  transfer: {", "  renamed: {"))
    (project.outputs / "notes of mine.txt").write_text("mine\n")
    said = project.run()
    assert said.returncode == 0, said.stdout
    assert sorted(path.stem for path in (project.outputs / "documents/model_cards").iterdir()) == ["renamed", "scratch"]
    assert "No step of this study makes finetune/transfer/1/0/model.json" in said.stdout
    assert "clean" in said.stdout
    assert project.run("clean").returncode == 0
    assert not [path for path in (project.outputs / "finetune/transfer").rglob("*") if path.is_file()]
    said = project.run()
    assert "No step of this study makes notes of mine.txt in outputs" in said.stdout
    assert project.plan() == {}


def test_the_salt_stands_in_no_record(project):
    project.edit("study.yaml", "statistics: {", "privacy: {salt: pepper-and-salt}\nstatistics: {")
    project.run("-n")
    assert project.run().returncode == 0
    found = [path for path in (project.outputs / ".engine").rglob("*.json") if b"pepper-and-salt" in path.read_bytes()]
    assert not found


def test_touch_resave_and_prose_touch_nothing(project):
    for path in project.root.rglob("*"):
        if path.is_file() and not path.is_relative_to(project.root / ".venv"):
            os.utime(path, (1, 1))
    for name in ("notebooks", "outputs/notebooks"):
        path = project.root / name / "04_statistics.ipynb"
        notebook = nbformat.read(path, 4)
        notebook.metadata["language_info"] = {"name": "python", "version": "9"}
        if name == "notebooks":
            notebook.cells.append(nbformat.v4.new_markdown_cell("Prose."))
            notebook.cells[1].outputs = [nbformat.v4.new_output("stream", text="saved with outputs")]
        nbformat.write(notebook, path)
    assert project.plan() == {}


def test_the_engines_own_folder_may_be_lost(project):
    shutil.rmtree(project.outputs / ".engine/.snakemake")
    shutil.rmtree(project.outputs / ".engine/done")
    assert project.plan() == {}


def test_reasons_are_plain_words(project):
    project.edit("study.yaml", "bootstrap: 100", "bootstrap: 200")
    (project.outputs / "audit.csv").unlink()
    said = project.run("-n").stdout
    assert "03_evaluate: audit.csv is missing" in said
    assert "04_statistics: statistics.bootstrap changed from 100 to 200" in said
    assert project.ran() == []


@pytest.mark.slow
def test_what_comes_out_the_same_stops_there_and_a_lost_notebook_loads_what_is_there(project):
    before = project.results()
    (project.outputs / "finetune/transfer/1/0/weights.safetensors").write_text("by hand")
    (project.outputs / "notebooks/02_finetune_scratch_1_0.ipynb").unlink()
    done = project.run()
    assert done.returncode == 0, done.stdout
    assert project.ran() == ["02_finetune_transfer_1_0", "render"]  # the page shows the notebook that was lost
    assert project.results() == before
    assert "finished and unchanged" in (project.outputs / "notebooks/02_finetune_scratch_1_0.ipynb").read_text()
    assert project.plan() == {}


@pytest.mark.slow
def test_an_annotation_of_the_external_films_trains_nothing(project):
    (project.root / "films/external/05.txt").write_text("external 5 box\n")
    assert project.run().returncode == 0
    assert project.ran() == sorted(["00_cohorts", *SCORES, "render"])


@pytest.mark.slow
def test_another_seed_trains_only_itself(project):
    project.edit("study.yaml", "seeds: [0, 1]", "seeds: [0, 1, 2]")
    assert project.run().returncode == 0
    assert project.ran() == sorted(["02_finetune_scratch_1_2", "02_finetune_transfer_1_2", *SCORES, "render"])
