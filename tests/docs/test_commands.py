"""Every command that the pages show is run by a test: here, or in the test that is named beside it."""

from __future__ import annotations

import ast
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

from osteotl.study import load_study, parse_study

ROOT = Path(__file__).parents[2]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "examples/README.md")),
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / ".github").rglob("*.md")),
]
HERE = "tests/docs/test_commands.py"
QUICK = "tests/end_to_end/test_quick_study.py"
ENTRY = "tests/workflow/test_command_line.py"
OFFLINE = "tests/workflow/test_environment.py::test_own_scores_on_a_machine_without_a_network"
LOCKS = "tests/workflow/test_environment.py::test_the_light_lock_is_part_of_the_full_one"  # that is what they lead to

# a command as the pages show it: the test that runs it
RUN_BY = {
    "./run_all.sh": f"{QUICK}::test_every_file_of_the_contract",  # the same with the tests' study
    "./run_all.sh --config studies/quick.yaml": f"{QUICK}::test_every_file_of_the_contract",
    "./run_all.sh --config studies/btxrd.yaml": f"{QUICK}::test_every_file_of_the_contract",  # the same, other films
    "./run_all.sh --config studies/ours.yaml": f"{HERE}::test_your_own_films",
    "./run_all.sh check --config studies/ours.yaml": f"{HERE}::test_your_own_films_are_checked",
    "./run_all.sh check --config studies/btxrd.yaml": f"{HERE}::test_folders_that_hold_no_films_are_refused",
    "./run_all.sh check": f"{HERE}::test_quick_commands",
    "./run_all.sh check --predictions examples/scores.csv": f"{HERE}::test_quick_commands",
    "./run_all.sh -n": f"{HERE}::test_quick_commands",
    "./run_all.sh -n --config studies/btxrd.yaml": f"{HERE}::test_quick_commands",
    "./run_all.sh --help": f"{HERE}::test_quick_commands",
    "./run_all.sh lock --config studies/btxrd.yaml":  # the same for scores
        "tests/notebooks/test_locked_plan.py::test_own_scores_are_locked_from_the_command_line",
    "./run_all.sh lock --predictions FILE --outputs DIR":
        "tests/notebooks/test_locked_plan.py::test_own_scores_are_locked_from_the_command_line",
    "./run_all.sh score --arm transfer FOLDER": f"{QUICK}::test_films_scored_anew_have_the_scores_of_the_study",
    "./run_all.sh published": "tests/published/test_notebooks.py::test_the_published_figures_come_out",
    "./run_all.sh plan --target sensitivity --validation 250 --seeds 5": f"{HERE}::test_quick_commands",
    "./run_all.sh plan --help": f"{HERE}::test_quick_commands",
    "./run_all.sh plan --predictions examples/scores.csv --simulations 50": f"{HERE}::test_quick_commands",
    "./run_all.sh lab": f"{HERE}::test_quick_commands",
    "./run_all.sh lab --config studies/quick.yaml": f"{HERE}::test_quick_commands",
    "./run_all.sh clean": f"{ENTRY}::test_clean_removes_what_can_be_made_again",
    "./run_all.sh --predictions examples/scores.csv --reference scratch": OFFLINE,
    "./run_all.sh --predictions FILE": OFFLINE,
    "./run_all.sh offline FOLDER light": OFFLINE,
    "OSTEOTL_WHEELS=FOLDER ./run_all.sh --predictions examples/scores.csv --reference scratch": OFFLINE,
    'options="--generate-hashes --no-emit-index-url --no-header --no-annotate"': LOCKS,
    "uv pip compile pyproject.toml $options --extra training --extra test -o requirements.lock": LOCKS,
    "uv pip compile pyproject.toml $options -c requirements.lock -o requirements-light.lock": LOCKS,
    "./run_all.sh --config studies/btxrd.yaml --profile profiles/slurm":
        "tests/workflow/test_slurm.py::test_the_cluster_comes_to_the_same_bytes",
    "./run_all.sh test slurm": "tests/workflow/test_slurm.py::test_the_cluster_comes_to_the_same_bytes",
    "./run_all.sh test": f"{HERE}::test_tests_run_by_the_entry",
    "./run_all.sh test --fast": f"{HERE}::test_tests_run_by_the_entry",
    "./run_all.sh test tests/test_files.py": f"{HERE}::test_tests_run_by_the_entry",
    "./run_all.sh test --cov=osteotl": f"{HERE}::test_tests_run_by_the_entry",
    "conda env create -f environment.yml": "tests/workflow/test_environment.py::"
                                           "test_the_pip_section_is_the_lock_that_every_clone_is_set_up_from",
    "conda activate osteotl": "tests/workflow/test_environment.py::"
                              "test_an_active_conda_environment_is_used_if_it_holds_the_pins",
    ".venv/bin/python docs/make_reference.py":
        "tests/docs/test_reference.py::test_committed_pages_are_what_the_generator_writes",
    "python docs/make_reference.py": "tests/docs/test_reference.py::test_committed_pages_are_what_the_generator_writes",
    ".venv/bin/python -m pre_commit install": f"{HERE}::test_the_hooks_are_valid",
    "python examples/make_scores.py": f"{HERE}::test_the_scores_file_is_written_again_byte_for_byte",
    "./run_all.sh bench coverage": "tests/benchmarks/test_coverage.py::test_blocks_of_cohorts_add_up",
    "pip install ./lib/diagnostic_accuracy": f"{HERE}::test_the_statistics_library_is_built_alone",
}  # fmt: skip

# command: (words added so that it ends soon, exit code, something that it says)
SOON = {
    "./run_all.sh --help": ([], 0, "exit codes"),
    "./run_all.sh -n": ([], 0, "report"),
    "./run_all.sh -n --config studies/btxrd.yaml": ([], 0, "02_finetune (40 replicates)"),
    "./run_all.sh check": (["--config", "studies/quick.yaml"], 0, "few_malignant"),
    "./run_all.sh check --predictions examples/scores.csv": ([], 0, "external: 743 films"),
    "./run_all.sh plan --help": ([], 0, "--target"),
    "./run_all.sh plan --predictions examples/scores.csv --simulations 50": ([], 0, "power 80%"),
    "./run_all.sh plan --target sensitivity --validation 250 --seeds 5": (["--simulations", "50"], 0, "power 80%"),
    "./run_all.sh lab": (["--version"], 0, "."),
    "./run_all.sh lab --config studies/quick.yaml": (["--version"], 0, "."),
}


def blocks(kind: str) -> list[tuple[Path, str]]:
    """Fenced blocks of one language, with the page that shows them."""
    return [
        (page, text)
        for page in PAGES
        for text in re.findall(rf"^```{kind}\n(.*?)^```", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    ]


def commands() -> dict[str, str]:
    """Every command: lines of bash blocks, and what stands in code marks and starts like one. To the page's name."""
    found = {}
    for page, text in blocks("bash"):
        found |= {line.strip(): page.name for line in text.splitlines() if line.strip() and not line.startswith("#")}
    for page in PAGES:
        inline = re.findall(r"`((?:\./run_all\.sh|python (?:docs|examples)/)[^`]*)`", page.read_text(encoding="utf-8"))
        found |= {" ".join(text.split()): page.name for text in inline}
    return {command: page for command, page in found.items() if not re.fullmatch(r"export \w+=\S+", command)}


def run(command: str, *more: str, cwd: Path = ROOT, timeout: float = 600, **environment: str):
    """A command as shown, from another folder if need be; the caller's OSTEOTL_ and pytest variables left out."""
    words = [*shlex.split(command), *more]
    words[0] = {"./run_all.sh": str(ROOT / "run_all.sh"), "python": sys.executable}.get(words[0], words[0])
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("OSTEOTL_STEP", "PYTEST_", "COV_"))}
    return subprocess.run(
        words, cwd=cwd, env={**kept, **environment}, capture_output=True, text=True, timeout=timeout, check=False
    )


def defined(node: str) -> bool:
    """Whether a test of this name exists."""
    file, _, name = node.partition("::")
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    return name in {part.name for part in ast.walk(tree) if isinstance(part, ast.FunctionDef)}


def test_every_command_is_run_by_a_test():
    shown = commands()
    new = {command: page for command, page in shown.items() if command not in RUN_BY}
    assert not new, "run it in this file, or name in RUN_BY the test that does"
    assert not sorted(RUN_BY.keys() - shown.keys()), "no page shows these any more"
    assert len(shown) > 15


def test_named_tests_exist():
    assert not [node for node in set(RUN_BY.values()) if not defined(node)]
    assert set(SOON) == {command for command, node in RUN_BY.items() if node == f"{HERE}::test_quick_commands"}


@pytest.mark.parametrize("command", SOON)
def test_quick_commands(command, tmp_path):
    more, code, says = SOON[command]
    done = run(command, *more, BTXRD_ROOT=str(tmp_path), CHEST_ROOT=str(tmp_path))
    assert done.returncode == code, done.stdout + done.stderr
    assert says in done.stdout


def test_folders_that_hold_no_films_are_refused(tmp_path):
    """The check of studies/btxrd.yaml on an empty folder; on one that holds films: tests/cohorts/test_tables.py."""
    done = run("./run_all.sh check --config studies/btxrd.yaml", BTXRD_ROOT=str(tmp_path), CHEST_ROOT=str(tmp_path))
    assert done.returncode == 2
    assert "file_missing" in done.stdout + done.stderr


# --- your own films ---------------------------------------------------------------------------------------------------


def write_cohort(folder: Path, films: int, seed: int) -> None:
    """A manifest cohort of noise, every second film with a bright square as its lesion."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    rows, boxes = [], []
    for i in range(films):
        pixels = np.kron(rng.integers(20, 140, (12, 12)), np.ones((8, 8))) + rng.normal(0, 6, (96, 96))
        if i % 2:
            x, y = rng.integers(8, 64, 2)
            pixels[y : y + 24, x : x + 24] += 90
            boxes.append((f"{i}.png", x, y, x + 24, y + 24, "tumour"))
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / f"{i}.png")
        rows.append((f"{i}.png", i % 2, f"{folder.name}{i}", folder.name))
    pd.DataFrame(rows, columns=["path", "label", "patient_id", "site"]).to_csv(folder / "manifest.csv", index=False)
    columns = ["path", "x_min", "y_min", "x_max", "y_max", "finding"]
    pd.DataFrame(boxes, columns=columns).to_csv(folder / "boxes.csv", index=False)


@pytest.fixture(scope="module")
def ours(tmp_path_factory):
    """A folder with studies/ours.yaml: study.yaml with the README's five lines, and a detector that is soon done."""
    folder = tmp_path_factory.mktemp("ours")
    five = next(text for page, text in blocks("yaml") if page.name == "README.md")
    assert len(five.splitlines()) == 5
    content = yaml.safe_load((ROOT / "study.yaml").read_text(encoding="utf-8")) | yaml.safe_load(five)
    content["detector"] |= {"image_size": 64, "epochs": 1, "pretrain_epochs": 1}
    content["statistics"]["bootstrap"] = 100
    content["seeds"] = [0]
    for seed, cohort in enumerate(content["cohorts"].values()):
        write_cohort(folder / "studies" / cohort["root"], 40, seed)
    (folder / "studies" / "ours.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    return folder


def test_your_own_films_are_checked(ours):
    done = run("./run_all.sh check --config studies/ours.yaml", cwd=ours)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 errors" in done.stdout


@pytest.mark.slow
def test_your_own_films(ours):
    done = run("./run_all.sh --config studies/ours.yaml", "--outputs", str(ours / "out"), cwd=ours, timeout=1200)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Our knees, their knees" in (ours / "out" / "report.html").read_text(encoding="utf-8")


# --- tests, papers ----------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_tests_run_by_the_entry():
    """With one small file in place of all; --cov shows the coverage."""
    done = run("./run_all.sh test --fast", "--cov=osteotl", "tests/test_files.py", OSTEOTL_TEST_PROCESSES="1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"lib/osteotl/files\.py +\d+ +\d+ +\d+%", done.stdout)


def test_the_hooks_are_valid():
    done = run("python -m pre_commit validate-config .pre-commit-config.yaml")
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_scores_file_is_written_again_byte_for_byte(tmp_path):
    script = tmp_path / "make_scores.py"
    script.write_bytes((ROOT / "examples" / "make_scores.py").read_bytes())
    done = run(f"python {script}")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "scores.csv").read_bytes() == (ROOT / "examples" / "scores.csv").read_bytes()


BUILD = "import sys, setuptools.build_meta as backend; print(backend.build_wheel(sys.argv[1]))"  # as pip does


def test_the_statistics_library_is_built_alone(tmp_path):
    """A wheel of lib/diagnostic_accuracy is imported from a folder that holds nothing of osteotl."""
    source = shutil.copytree(ROOT / "lib" / "diagnostic_accuracy", tmp_path / "source")
    built = subprocess.run([sys.executable, "-c", BUILD, str(tmp_path)], cwd=source, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    wheel = next(tmp_path.glob("*.whl"))
    code = "import diagnostic_accuracy.inference as made; print(made.__file__)"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(wheel)},
                          capture_output=True, text=True)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert str(wheel) in done.stdout


# --- other blocks -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("page", "text"), blocks("python"), ids=lambda v: v.name if isinstance(v, Path) else "")
def test_python_blocks_run(page, text, tmp_path):
    """From a folder with the examples and a finished study's two tables."""
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    (tmp_path / "outputs" / "cohorts").mkdir(parents=True)
    scores = pd.read_csv(ROOT / "examples" / "scores.csv")
    scores.to_csv(tmp_path / "outputs" / "predictions.csv", index=False)
    films = scores[["image_id"]].drop_duplicates().assign(age=15, view="frontal")
    films.to_csv(tmp_path / "outputs" / "cohorts" / "external.csv", index=False)
    (tmp_path / "block.py").write_text(text, encoding="utf-8")
    done = run("python block.py", cwd=tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(("page", "text"), blocks("yaml"), ids=lambda v: v.name if isinstance(v, Path) else "")
def test_yaml_blocks_are_settings_that_exist(page, text):
    base = yaml.safe_load((ROOT / "study.yaml").read_text(encoding="utf-8"))
    content = yaml.safe_load(text)
    if "predictions" in content:  # own scores: neither cohorts nor arms
        base = {"title": base["title"]}
    assert parse_study(base | content)


def test_control_arms_of_the_tutorial_are_arms(monkeypatch):
    for name in ("BTXRD_ROOT", "CHEST_ROOT"):
        monkeypatch.setenv(name, "films")
    page = (ROOT / "docs" / "researcher_btxrd.md").read_text(encoding="utf-8")
    lines = re.findall(r"`(\w+: \{initialise: .*?\})`", page)
    assert len(lines) == 4
    content = yaml.safe_load((ROOT / "study.yaml").read_text(encoding="utf-8"))
    content["cohorts"]["other_modality"] = {"reader": "phantom-texture", "films": 20}
    for line in lines:
        content["arms"] |= yaml.safe_load(line)
    assert len(parse_study(content).arms) == 2 + 4
    assert len(load_study(ROOT / "studies" / "btxrd.yaml").replicates()) == 40
