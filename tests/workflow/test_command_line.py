"""What the command line says and which exit code it gives."""

import json
import os
import shutil
import statistics
import subprocess
import sys
import time

import nbformat
import pytest
import yaml

from osteotl.study import parse_study
from osteotl.workflow import engine
from osteotl.workflow.engine import LOCAL
from osteotl.workflow.folder import Refused
from osteotl.workflow.steps import steps_of
from small_study import Project


def test_help_names_every_verb_and_code(undisturbed):
    said = undisturbed.run("--help")
    assert said.returncode == 0
    for word in ("-n", "check", "test", "bench", "lab", "plan", "clean", "--config", "--outputs", "--predictions",
                 "--reference", "--profile", "3 another run"):  # fmt: skip
        assert word in said.stdout


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--predictons", "x.csv"], "there is no option --predictons; did you mean --predictions?"),
        (["chek"], "there is no verb chek; did you mean check? (the verbs are run, check, clean, lock,"),
        (["--profile", "profiles/slrm"], "there is no slrm in"),
        (["--predictions", "nowhere.csv"], "there is no nowhere.csv in"),
    ],
)  # fmt: skip
def test_a_misspelt_word_is_named_with_the_nearest(undisturbed, words, told):
    said = undisturbed.run(*words)
    assert said.returncode == 2
    assert told in said.stderr


def test_help_and_version_need_no_set_up(tmp_path):
    """From a clone without any environment, and nothing is set up for them."""
    clone = Project(tmp_path / "clone")
    shutil.rmtree(clone.root / ".venv")
    for word, told in (("--help", "clean"), ("--version", "osteotl ")):
        said = clone.run(word)
        assert said.returncode == 0, said.stderr
        assert told in said.stdout
    assert not (clone.root / ".venv").exists()


def test_without_slurm_a_profile_for_it_is_refused(tmp_path, monkeypatch):
    """Also on a machine that has SLURM; a refusal is exit code 2."""
    (tmp_path / "config.v8+.yaml").write_text("executor: slurm\n")
    monkeypatch.setattr(engine.shutil, "which", lambda name: None)
    with pytest.raises(Refused, match="squeue was not found: is this a SLURM login node"):
        engine._cluster(tmp_path, tmp_path)


def test_outputs_of_another_study_are_not_overwritten(project):
    """ours.csv beside studies/ours.yaml: both would go to outputs/ours."""
    (project.root / "studies").mkdir()
    shutil.copy(project.root / "study.yaml", project.root / "studies/scores.yaml")
    shutil.copytree(project.outputs, project.root / "outputs/ours")
    (project.root / "outputs/ours/.engine/owner.json").write_text('{"config": "studies/ours.yaml"}')
    (project.root / "ours.csv").write_text("image_id,label,arm,score\n")
    said = project.run("--predictions", "ours.csv")
    assert said.returncode == 2
    assert "outputs/ours holds the outputs of studies/ours.yaml" in said.stderr
    assert "--outputs outputs/ours_2" in said.stderr
    assert (project.root / "outputs/ours/report.html").read_bytes() == (project.outputs / "report.html").read_bytes()


@pytest.mark.parametrize("words", [["--colour"], ["rum"], ["--config"], ["-n", "--config", "no such.yaml"]])
def test_words_it_does_not_know_are_refused(undisturbed, words):
    said = undisturbed.run(*words)
    assert said.returncode == 2
    assert "Traceback" not in said.stderr
    assert said.stderr


def test_every_fault_of_a_configuration_at_once_and_nothing_started(project):
    project.edit("study.yaml", "reference: scratch", "reference: nobody\ncolour: blue")
    project.edit("study.yaml", "bootstrap: 100", "bootstrap: 1")
    said = project.run()
    assert said.returncode == 2
    for fault in ("nobody", "colour", "statistics.bootstrap"):
        assert fault in said.stderr or fault == "nobody"  # arms are compared once every key is right
    assert project.ran() == []


SCORES = ["image_id,label,arm,score", "f1,1,a,0.9", "f2,0,a,0.2", "f1,1,b,0.8", "f2,0,b,0.3"]
DOOR = [sys.executable, "-m", "osteotl.workflow"]


def test_scores_are_checked_without_a_run(tmp_path):
    """With the real library: `check` and `-n` read them, and leave no trace that a later run would stumble over."""
    good, bad, outputs = tmp_path / "good.csv", tmp_path / "bad.csv", tmp_path / "outputs"
    good.write_text("\n".join(SCORES))
    bad.write_text("\n".join([*SCORES[:3], "f1,1,b,80%", "f2,0,b,"]))

    def said(*words):
        command = [*DOOR, *words, "--outputs", str(outputs)]
        return subprocess.run(command, check=False, capture_output=True, text=True)

    checked = said("check", "--predictions", str(good), "--reference", "b")
    assert checked.returncode == 0, checked.stderr
    assert "external: 2 films of 2 patients, 1 malignant; seeds 0" in checked.stdout
    assert "arms: a, b; reference: b" in checked.stdout
    refused = said("check", "--predictions", str(bad))
    assert refused.returncode == 2
    assert "row 4 with a percent sign" in refused.stderr
    assert "row 5 missing" in refused.stderr
    for words in (["check"], ["-n"]):
        gone = said(*words, "--predictions", str(tmp_path / "gone.csv"))
        assert gone.returncode == 2
        assert f"there is no gone.csv in {tmp_path}" in gone.stderr
    assert said("-n", "--predictions", str(good)).returncode == 0
    assert not outputs.exists()


def test_weights_that_are_not_there_are_told_before_anything_is_trained(project):
    project.edit("study.yaml", "initialise: pretrain", "initialise: weights/ours.safetensors")
    for words in ([], ["-n"], ["check"]):
        said = project.run(*words)
        assert said.returncode == 2
        assert "arms.transfer.initialise: there is no file" in said.stderr
    assert project.ran() == []


def test_outputs_of_another_kind_are_refused(project, tmp_path):
    (tmp_path / "papers").mkdir()
    (tmp_path / "papers/thesis.tex").write_text("mine")
    (tmp_path / "file").write_text("mine")
    for name in ("papers", "file"):
        said = project.run("--outputs", str(tmp_path / name))
        assert said.returncode == 2
        assert "--outputs" in said.stderr or "empty" in said.stderr
    assert [path.name for path in (tmp_path / "papers").iterdir()] == ["thesis.tex"]


def test_nothing_changed_is_quick_and_imports_nothing_heavy(undisturbed):
    undisturbed.run()
    times = []
    for _ in range(5):
        began = time.perf_counter()
        said = undisturbed.run()
        times.append(time.perf_counter() - began)
        assert said.returncode == 0
        assert "Nothing has changed" in said.stdout
    assert statistics.median(times) < 2
    heavy = "{'yaml', 'pydantic', 'pandas', 'snakemake'}"
    code = f"import sys; from osteotl.workflow import command_line; sys.exit(bool({heavy} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_second_run_says_who_holds_the_folder(project):
    project.edit("study.yaml", "bootstrap: 100", "bootstrap: 300")
    first = project.start(SMALL_STUDY_SECONDS="20")
    until = time.monotonic() + 60
    record = project.outputs / ".engine/steps/04_statistics.json"
    while record.exists() and time.monotonic() < until:  # it goes when the step starts
        time.sleep(0.1)
    said = project.run()
    first.terminate()
    first.wait(20)
    assert said.returncode == 3
    assert f"pid {first.pid}" in said.stderr
    assert first.returncode == 143


@pytest.mark.slow
def test_a_failing_cell_is_told_so_that_a_person_can_act(project):
    project.edit("lib/osteotl/analysis.py", "    arms = {}\n", '    raise RuntimeError("the bone is broken")\n')
    said = project.run()
    assert said.returncode == 1
    assert "04_statistics failed in cell 4" in said.stdout
    assert "line 3: analysis.analyse(step)" in said.stdout
    assert "lib/osteotl/analysis.py" in said.stdout
    assert "RuntimeError: the bone is broken" in said.stdout
    assert "outputs/notebooks/04_statistics.failed.ipynb" in said.stdout
    assert "Traceback" not in said.stdout
    failed = project.outputs / "notebooks/04_statistics.failed.ipynb"
    assert nbformat.read(failed, 4)
    project.edit("lib/osteotl/analysis.py", '    raise RuntimeError("the bone is broken")\n', "    arms = {}\n")
    assert project.run().returncode == 0
    assert not failed.exists()


def one_step(project, name):
    """Run a step as the engine does, without the engine; its exit code."""
    environment = project.environment(PYTHONPATH=str(project.root / "lib"))
    command = [sys.executable, "-m", "osteotl.workflow.run_notebook", name, "study.yaml", "outputs"]
    return subprocess.run(command, env=environment, check=False).returncode


def told(project, name):
    """What a step that failed left for the person."""
    return json.loads((project.outputs / ".engine/ended" / name).read_text())["lines"]


@pytest.mark.slow
def test_independent_steps_go_on(project):
    training = "lib/osteotl/detection/training.py"
    project.edit(training, "    trace(step)\n    start =", '    trace(step)\n    1 / (arm != "scratch")\n    start =')
    said = project.run()
    assert said.returncode == 1
    assert said.stdout.count("ZeroDivisionError") == 2
    assert {f"02_finetune_transfer_1_{seed}" for seed in (0, 1)} <= set(project.ran())
    assert set(project.plan()) == {f"02_finetune_scratch_1_{s}" for s in (0, 1)} | {
        "03_evaluate", "04_statistics", "05_figures", "06_report", "render"}  # fmt: skip


@pytest.mark.slow
def test_input_faults_found_in_a_notebook_end_with_the_list(project):
    for number in (3, 7):
        (project.root / f"films/external/{number:02d}.txt").write_text("broken")
    said = project.run()
    assert said.returncode == 2
    assert "error: 03.txt in external cannot be read" in said.stdout
    assert "error: 07.txt in external cannot be read" in said.stdout


@pytest.mark.slow
@pytest.mark.parametrize("cell", ["config = 'study.yaml'\nouputs = 'outputs'", None])
def test_a_mistyped_or_untagged_parameter_fails(project, cell):
    path = project.root / "notebooks/05_figures.ipynb"
    notebook = nbformat.read(path, 4)
    if cell:
        notebook.cells[0].source = cell
    else:
        notebook.cells[0].metadata["tags"] = []
        notebook.cells[0].source += "\nx = 1"
    nbformat.write(notebook, path)
    assert one_step(project, "05_figures") == 1
    assert "its parameters cell must hold config, outputs" in told(project, "05_figures")[0]


@pytest.mark.slow
def test_the_page_refuses_to_mix(project):
    text = (project.outputs / "analysis.json").read_text()
    (project.outputs / "analysis.json").write_text(text.replace("100", "200"))
    for step in ("06_report", "render"):
        assert one_step(project, step) == 1
        assert "analysis.json" in told(project, step)[1]
    (project.outputs / "analysis.json").write_text(text)
    project.edit("study.yaml", "bootstrap: 100", "bootstrap: 200")
    for step in ("06_report", "render"):
        assert one_step(project, step) == 1
        assert "04_statistics: statistics.bootstrap changed from 100 to 200" in told(project, step)


@pytest.mark.slow
def test_scores_made_elsewhere_need_four_steps(project):
    (project.root / "studies").mkdir()
    (project.root / "studies/scores.yaml").write_text(
        "title: Scores\npredictions: scores.csv\nstatistics: {bootstrap: 100}\n"
    )
    scores = project.root / "my scores.csv"
    scores.write_bytes((project.outputs / "predictions.csv").read_bytes())
    said = project.run("--predictions", "my scores.csv", "--reference", "scratch")
    assert said.returncode == 0, said.stdout + said.stderr
    assert project.ran() == ["04_statistics", "05_figures", "06_report", "render"]
    out = project.root / "outputs/my scores"
    assert json.loads((out / "analysis.json").read_text())["settings"]["title"] == "Scores"
    again = ("--predictions", "my scores.csv", "--reference", "scratch")
    assert "Nothing has changed" in project.run(*again).stdout
    lines = scores.read_text().splitlines()
    scores.write_text("\n".join([lines[0], '00,scratch,1,0,"0,5"', *lines[2:]]))
    said = project.run(*again)
    assert said.returncode == 2
    assert "row 2" in said.stdout


@pytest.mark.slow
def test_a_notebook_by_hand_never_touches_a_finished_study(project):
    """As in JupyterLab: same configuration loads, another one writes to scratch."""
    code = (
        "import nbclient, nbformat, sys\n"
        "nb = nbformat.read(sys.argv[1], 4); nb.cells[0].source += '\\n' + sys.argv[2]\n"
        "nbclient.NotebookClient(nb, kernel_name='python3').execute()\n"
        "print(nb.cells[1].outputs[0]['data']['text/plain'])"
    )
    environment = project.environment(PYTHONPATH=str(project.root / "lib"))

    def by_hand(more):
        words = [sys.executable, "-c", code, str(project.root / "notebooks/02_finetune.ipynb"), more]
        return subprocess.run(
            words, env=environment, cwd=project.root / "notebooks", capture_output=True, text=True, check=True
        )

    assert "finished and unchanged" in by_hand("arm = 'transfer'").stdout
    assert project.ran() == []
    (project.root / "more.yaml").write_text(
        (project.root / "study.yaml").read_text().replace("epochs: 2,", "epochs: 4,")
    )
    assert "outputs/scratch" in by_hand("config = 'more.yaml'; arm = 'transfer'; seed = 1").stdout
    assert (project.outputs / "scratch/finetune/transfer/1/1/weights.safetensors").exists()
    assert project.plan() == {}


OPEN = "import sys; from osteotl.workflow.step import open_step; print(open_step(*sys.argv[1:]))"


def opened(project, *words):
    """A step opened by hand, as the second cell of its notebook does."""
    environment = project.environment(PYTHONPATH=str(project.root / "lib"))
    command = [sys.executable, "-c", OPEN, *words]
    return subprocess.run(command, env=environment, cwd=project.root, capture_output=True, text=True, check=False)


def test_a_notebook_refuses_inputs_made_under_other_settings(project):
    text = (project.root / "study.yaml").read_text()
    (project.root / "flipped.yaml").write_text(text.replace("{epochs: 2,", "{test_time_flip: true, epochs: 2,"))
    (project.root / "fewer.yaml").write_text(text.replace("seeds: [0, 1]", "seeds: [1]"))
    said = opened(project, "04_statistics", "flipped.yaml", "outputs")
    assert said.returncode == 1
    assert "03_evaluate in outputs: detector.test_time_flip changed from false to true" in said.stderr
    (project.root / "longer.yaml").write_text(text.replace("{epochs: 2,", "{epochs: 3,"))
    said = opened(project, "04_statistics", "longer.yaml", "outputs")
    assert said.returncode == 1  # two steps back
    assert "02_finetune_scratch_1_0 in outputs: detector.epochs changed from 2 to 3" in said.stderr
    (project.root / "extra.yaml").write_text(text.replace("seeds: [0, 1]", "seeds: [0, 1, 2]"))
    said = opened(project, "04_statistics", "extra.yaml", "outputs")
    assert said.returncode == 1
    assert "03_evaluate in outputs: run transfer/1/2 (arm, fraction, seed) is not among those scored" in said.stderr
    # fewer seeds select among what is there; statistics of all of them are another study's
    assert opened(project, "04_statistics", "fewer.yaml", "outputs").returncode == 0
    said = opened(project, "05_figures", "fewer.yaml", "outputs")
    assert said.returncode == 1
    assert "04_statistics in outputs: seeds changed from [0, 1] to [1]" in said.stderr


def test_scratch_belongs_to_one_study(project):
    text = (project.root / "study.yaml").read_text()
    (project.root / "more.yaml").write_text(text.replace("bootstrap: 100", "bootstrap: 300"))
    assert opened(project, "04_statistics", "more.yaml", "outputs").returncode == 0
    for file in ("statistics.csv", "analysis.json", "tables/means.csv"):  # as the notebook would write them
        (project.outputs / "scratch" / file).parent.mkdir(exist_ok=True)
        (project.outputs / "scratch" / file).write_text("{}")
    assert opened(project, "05_figures", "more.yaml", "outputs").returncode == 0
    (project.root / "third.yaml").write_text(text.replace("bootstrap: 100", "bootstrap: 400"))
    said = opened(project, "05_figures", "third.yaml", "outputs")
    assert said.returncode == 1
    assert "04_statistics in outputs/scratch: statistics.bootstrap changed from 300 to 400" in said.stderr
    assert "./run_all.sh clean" in said.stderr
    assert project.plan() == {}


def test_what_takes_seconds_is_computed_every_time(project):
    """00 to 03 load what holds; 04 to 06 never do, and by hand they write to scratch."""
    for name in ("00_cohorts", "03_evaluate"):
        assert "finished and unchanged" in opened(project, name, "study.yaml", "outputs").stdout
    for name in ("04_statistics", "05_figures", "06_report"):
        assert f"{name}: outputs are made in outputs/scratch" in opened(project, name, "study.yaml", "outputs").stdout


@pytest.mark.slow
def test_clean_removes_what_can_be_made_again(project):
    (project.outputs / "scratch").mkdir()
    (project.outputs / "scratch/a.csv").write_text("a" * 5000)
    (project.outputs / "finetune/scratch/1/9").mkdir()
    (project.outputs / "finetune/scratch/1/9/weights.safetensors").write_text("orphan")
    (project.outputs / ".half.csv.1.part").write_text("half")
    films = list((project.root / "data/.prepared").rglob("*.png"))
    films[0].with_name("another.png").write_text("of a study that is gone")
    (project.root / "data/mine.txt").write_text("mine")
    said = project.run("clean")
    assert said.returncode == 0, said.stderr
    assert "freed" in said.stdout
    for gone in ("scratch", "finetune/scratch/1/9/weights.safetensors", ".half.csv.1.part", "logs"):
        assert not (project.outputs / gone).exists()
    assert (project.root / "data/mine.txt").exists()
    assert sorted((project.root / "data/.prepared").rglob("*.png")) == sorted(films)
    assert project.plan() == {}


@pytest.mark.slow
def test_planning_500_replicates(project):
    content = yaml.safe_load((project.root / "study.yaml").read_text())
    content["seeds"] = list(range(250))
    (project.root / "large.yaml").write_text(yaml.safe_dump(content))
    began = time.perf_counter()
    said = project.run("-n", "--config", "large.yaml")
    assert "02_finetune (500 replicates)" in said.stdout
    assert time.perf_counter() - began < 15
    configuration = {"study": "large.yaml", "outputs": "outputs", "python": sys.executable, "workers": 2}
    configuration["needs"] = {name: list(step.needs) for name, step in steps_of(parse_study(content)).items()}
    (project.root / "config.json").write_text(json.dumps(configuration))
    command = [sys.executable, *LOCAL, "-n", "--nolock", "--cores", "2", "--snakefile", "Snakefile"]
    command += ["--directory", "empty", "--configfile", "config.json"]
    environment = project.environment(PYTHONPATH=str(project.root / "lib"))
    began = time.perf_counter()
    done = subprocess.run(command, env=environment, cwd=project.root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("rule finetune:") == 500
    assert time.perf_counter() - began < 15


def test_overrides_and_places(project):
    said = project.run("-n", "--config", str(project.root / "study.yaml"), "--reference", "transfer")
    assert "04_statistics: reference changed from" in said.stdout
    assert not os.path.exists(project.outputs / "study.yaml")  # a dry run writes nothing
