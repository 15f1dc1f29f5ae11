"""Disks, folders, clocks, names and networks as they are met outside; run as root, where chmod blocks nothing."""

import contextlib
import os
import shutil
import subprocess
import time

import pytest

from small_study import Project

pytestmark = pytest.mark.slow


def sh(*words):
    """A command that must work: a missing privilege fails here, it does not skip."""
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(map(str, words))}: {done.stderr}"


@contextlib.contextmanager
def mounted(place, *options):
    """Something mounted on a folder as long as the test needs it."""
    sh("mount", *options, place)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)


@contextlib.contextmanager
def read_only(place):
    """A folder that refuses every write, even root's."""
    sh("mount", "--bind", place, place)
    try:
        sh("mount", "-o", "remount,bind,ro", place)
        yield
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)


def test_a_full_disk_loses_nothing(fresh, undisturbed):
    fresh.outputs.mkdir()
    with mounted(fresh.outputs, "-t", "tmpfs", "-o", "size=100k", "tmpfs"):
        said = fresh.run()
        assert said.returncode in (1, 2)
        assert "No space left" in said.stdout + said.stderr or "MB free" in said.stdout
        assert "Traceback" not in said.stdout + said.stderr
        assert not list(fresh.outputs.rglob("*.part"))
        sh("mount", "-o", "remount,size=200m", fresh.outputs)
        assert fresh.run(timeout=300).returncode == 0
        assert fresh.results() == undisturbed.results()


def test_data_that_cannot_be_written_is_no_hindrance(finished, undisturbed):
    (finished.outputs / ".engine/steps/00_cohorts.json").unlink()  # the one step that reads them
    with read_only(finished.root / "films"):
        assert finished.run().returncode == 0
    assert finished.ran() == ["00_cohorts"]
    assert finished.results() == undisturbed.results()


def test_outputs_that_cannot_be_written_are_refused(finished):
    finished.edit("study.yaml", "bootstrap: 100", "bootstrap: 300")
    with read_only(finished.outputs):
        said = finished.run()
    assert said.returncode == 2
    assert "--outputs DIR" in said.stderr
    assert "Traceback" not in said.stderr


def test_no_home_and_no_cache_folder(finished, undisturbed, tmp_path):
    (tmp_path / "home").mkdir()
    (finished.outputs / "statistics.csv").unlink()
    with read_only(tmp_path / "home"):
        done = finished.run(HOME=str(tmp_path / "home"), XDG_CACHE_HOME=str(tmp_path / "home/cache"))
    assert done.returncode == 0, done.stdout
    assert finished.results() == undisturbed.results()
    environment = {k: v for k, v in finished.environment().items() if k not in ("HOME", "XDG_CACHE_HOME")}
    (finished.outputs / "figures/means.svg").unlink()
    done = subprocess.run([finished.root / "run_all.sh"], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert finished.results() == undisturbed.results()


def test_a_clock_set_back_changes_nothing(finished):
    future = time.time() + 400 * 86400
    for path in finished.outputs.rglob("*"):
        if not path.is_symlink():
            os.utime(path, (future, future))
    finished.edit("study.yaml", "bootstrap: 100", "bootstrap: 300")
    assert finished.run().returncode == 0
    assert finished.ran() == ["04_statistics", "05_figures", "06_report"]  # whose page comes out the same
    assert finished.plan() == {}


def test_names_as_people_give_them(tmp_path, undisturbed):
    project = Project(tmp_path / '-leading dash, Müller\'s "study" {x} $HOME 骨')
    (project.root / 'films/external/-a film\'s "näme" {0}.txt').write_text("a film")
    done = project.run("--outputs", str(tmp_path / '-out "put\'s" {y} ü'), timeout=300, LC_ALL="C", LANG="C")
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / '-out "put\'s" {y} ü/report.html').exists()


def test_broken_links_among_the_films(finished):
    (finished.root / "films/external/gone.jpg").symlink_to("nowhere.jpg")
    said = finished.run("-n")
    assert said.returncode == 0
    assert "00_cohorts: films, annotations or files in films/external changed" in said.stdout


def test_an_output_edited_by_hand_is_made_again(finished, undisturbed):
    text = (finished.outputs / "predictions.csv").read_text()
    (finished.outputs / "predictions.csv").write_text(text.replace("0.1", "0.9"))
    assert finished.run().returncode == 0
    assert finished.results() == undisturbed.results()


def test_leftovers_of_another_configuration_take_no_part(finished, undisturbed):
    shutil.copytree(finished.outputs / "finetune/scratch", finished.outputs / "finetune/older")
    (finished.outputs / "tables/older.csv").write_text("arm,mean\nolder,1\n")
    (finished.outputs / "statistics.csv").unlink()
    assert finished.run().returncode == 0
    assert not (finished.outputs / "tables/older.csv").exists()
    assert finished.results() == undisturbed.results()
