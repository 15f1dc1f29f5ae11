"""Which packages are installed when, from where; how conda itself solves is not tried here."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
import yaml

from osteotl.workflow import fingerprint
from osteotl.workflow.states import StudyState
from osteotl.workflow.steps import BESIDE
from small_study import LOCKS

ROOT = Path(__file__).parents[2]


# --- two sets of packages ---------------------------------------------------------------------------------------------


def blocks(name):
    """Every pin of a lock with its hashes."""
    return set(re.findall(r"^\S+==\S+ (?:\\\n +--hash=\S+ ?)+", (ROOT / name).read_text(), flags=re.M))


def test_the_light_lock_is_part_of_the_full_one():
    light, full = blocks("requirements-light.lock"), blocks("requirements.lock")
    assert len(light) == (ROOT / "requirements-light.lock").read_text().count("==") > 50
    assert light < full
    names = {block.partition("==")[0] for block in light}
    assert not names & {"torch", "torchvision", "ultralytics-opencv-headless", "polars", "playwright", "pydicom"}


def test_what_needs_no_training_imports_what_the_light_lock_holds():
    """Own scores, plan, published and the workflow itself; imports inside functions count too."""
    whole = StudyState(ROOT / "studies/scores.yaml", ROOT / "outputs/nothing")
    notebooks = [*(step.notebook for step in whole.steps.values() if step.executed), "planning", "published"]
    imported = [name for notebook in notebooks for part in ("made", "shown")
                for name in fingerprint.notebook(ROOT / f"notebooks/{notebook}.ipynb")[part][1]]  # fmt: skip
    imported += [name for names in BESIDE.values() for name in names]
    for file in (ROOT / "lib/osteotl/workflow").glob("*.py"):
        imported += fingerprint.module(file, str(ROOT / "lib"))[1]
    modules, tops = fingerprint.reached(imported, ROOT / "lib", whole.memory)
    assert not [name for name in modules if "detection" in name or "cohorts" in name]
    brought = fingerprint.distributions(Path(sysconfig.get_path("purelib")))
    light = fingerprint.pins(ROOT / "requirements-light.lock")
    assert len(tops) > 15
    assert not {top for top in tops if not set(brought.get(top, [top])) & set(light)}


@pytest.fixture
def light(fresh):
    """A project whose .venv holds the light set, and whose uv writes down what it is asked for and fails."""
    mark = fresh.root / ".venv/.osteotl"
    mark.write_text(mark.read_text().replace("full ", "light ", 1))
    uv = fresh.root / ".tools/bin/uv"
    uv.parent.mkdir(parents=True)
    uv.write_text('#!/bin/sh\necho "$@" >>"$(dirname "$0")/asked"\nexit 1\n')
    uv.chmod(0o755)
    (fresh.root / "ours.csv").write_text("image_id,label,arm,score\n")
    return fresh


@pytest.mark.parametrize(
    ("words", "study", "adds"),
    [
        (["-n"], None, True),
        (["check"], None, True),
        (["lab", "--version"], None, True),
        (["test"], None, True),
        (["plan", "--help"], None, False),
        (["published", "--help"], None, False),
        (["clean"], None, False),
        (["check", "--predictions", "ours.csv"], None, False),
        (["check", "--predictions=ours.csv"], None, False),
        (["check", "--config", "no such.yaml"], None, False),
        (["check", "--config", "own.yaml"], "title: Ours\npredictions: ours.csv  # theirs\n", False),
        (["check", "--config=own.yaml"], "'predictions' :   ours.csv\n", False),
        (["check", "--config", "own.yaml"], "predictions: null\n", True),
        (["check", "--config", "own.yaml"], "predictions: # none yet\n", True),
        (["check", "--config", "own.yaml"], "# predictions: ours.csv\ntitle: Ours\n", True),
        (["check", "--config", "own.yaml"], "title: |\n  predictions: ours.csv\n", True),
    ],
)
def test_what_trains_adds_the_full_set(light, words, study, adds):
    if study is not None:
        (light.root / "own.yaml").write_text(study)
    said = light.run(*words)
    asked = light.root / ".tools/bin/asked"
    assert asked.exists() == adds, said.stderr
    if adds:
        assert said.returncode == 1
        assert asked.read_text().split()[:2] == ["pip", "sync"]  # nothing is made again from the start
        assert asked.read_text().split()[-1] == str(light.root.resolve() / "requirements.lock")
        assert "GB on disk" in said.stderr


def test_a_full_set_stays_full(light):
    """New pins, and a command that the light set is enough for: what trains is not taken away."""
    mark = light.root / ".venv/.osteotl"
    mark.write_text(mark.read_text().replace("light ", "full 1", 1))
    light.run("plan", "--help")
    assert (light.root / ".tools/bin/asked").read_text().split()[-1] == str(light.root.resolve() / "requirements.lock")


# --- without a network ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["nowhere", "."])
def test_a_folder_that_holds_no_packages_is_refused(undisturbed, place):
    said = undisturbed.run("check", OSTEOTL_WHEELS=place)
    assert said.returncode == 2
    assert f"OSTEOTL_WHEELS names {place}, which is no folder made by ./run_all.sh offline" in said.stderr


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_own_scores_on_a_machine_without_a_network(tmp_path):
    """From a clone without an environment and a folder collected elsewhere, to the page, with the light set."""
    clone, folder = tmp_path / "clone", tmp_path / "for the hospital"
    clone.mkdir()
    for name in ("lib", "notebooks", "studies", "examples"):
        shutil.copytree(ROOT / name, clone / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("run_all.sh", "Snakefile", "study.yaml", *LOCKS):
        shutil.copy2(ROOT / name, clone)
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("OSTEOTL_", "PYTEST_", "CONDA", "UV_CACHE"))}
    collect = [clone / "run_all.sh", "offline", folder, "light"]
    done = subprocess.run(collect, env=kept, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    shutil.rmtree(clone / ".tools")
    lone = ["unshare", "--net"] if os.getuid() == 0 else ["unshare", "--net", "--map-root-user"]
    command = [clone / "run_all.sh", "--predictions", "examples/scores.csv", "--reference", "scratch"]
    there = {**kept, "OSTEOTL_WHEELS": str(folder), "UV_CACHE_DIR": str(tmp_path / "cache")}
    done = subprocess.run([*lone, *command], env=there, capture_output=True, text=True, timeout=1200, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (clone / "outputs/scores/report.html").stat().st_size > 50_000
    packages = next((clone / ".venv").glob("lib/python3*/site-packages"))
    assert (packages / "numba").is_dir()
    assert not (packages / "torch").exists()
    code = "import osteotl; print(osteotl.__file__)"  # as an editor imports it
    bare = {name: value for name, value in kept.items() if name != "PYTHONPATH"}
    done = subprocess.run([clone / ".venv/bin/python", "-c", code], env=bare, capture_output=True, text=True,
                          cwd=tmp_path, check=True)  # fmt: skip
    assert done.stdout.strip() == str(clone / "lib/osteotl/__init__.py")


# --- conda ------------------------------------------------------------------------------------------------------------


def content():
    return yaml.safe_load((ROOT / "environment.yml").read_text())


def test_the_channels_and_python():
    assert content()["channels"] == ["conda-forge", "nodefaults"]
    assert "python>=3.11,<3.14" in content()["dependencies"]
    assert content()["variables"] == {"OSTEOTL_CONDA": 1}


def test_no_registry_is_named_and_every_pin_has_a_hash():
    lock = (ROOT / "requirements.lock").read_text()
    assert "://" not in lock
    pins = [line for line in lock.splitlines() if "==" in line and not line.startswith((" ", "#"))]
    assert len(pins) > 100
    assert lock.count("--hash=sha256:") >= len(pins)


def test_the_pip_section_is_the_lock_that_every_clone_is_set_up_from():
    lines = next(entry["pip"] for entry in content()["dependencies"] if isinstance(entry, dict))
    assert lines == ["-r requirements.lock"]


@pytest.fixture
def conda(tmp_path):
    """An environment beside .venv, which holds what .venv holds once `packages` names it."""
    place = tmp_path / "conda"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", place], check=True)
    (tmp_path / "packages").write_text(sysconfig.get_path("purelib"))
    return place


def test_an_active_conda_environment_is_used_if_it_holds_the_pins(undisturbed, conda, tmp_path):
    active = {"CONDA_PREFIX": str(conda), "OSTEOTL_CONDA": "1"}
    said = undisturbed.run("-n", **active)
    assert said.returncode == 2
    assert "is missing, pinned" in said.stderr
    assert "is not what requirements.lock pins: conda env update --prune -f environment.yml" in said.stderr
    site = next(conda.glob("lib/python3*/site-packages"))
    shutil.copy(tmp_path / "packages", site / "packages.pth")
    said = undisturbed.run("-n", **active)
    assert said.returncode == 0, said.stderr
    assert "Nothing to do" in said.stdout
    assert (site / "osteotl.pth").read_text().strip() == str(undisturbed.root.resolve() / "lib")
