"""Whatever dies, nothing goes on writing, and the next run comes to the same result."""

import os
import random
import signal
import time

import pytest

pytestmark = pytest.mark.slow


def until(condition, seconds=30.0):
    """Wait for a condition; False when it does not come."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.05)
    return False


def command(pid):
    """The words of a process; nothing when it has just ended."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read().decode(errors="replace")
    except OSError:
        return ""


def victims(project, launcher=None):
    """Engine, launcher, notebook runners and kernels of a project that run now."""
    alive = launcher is not None and launcher.poll() is None
    kinds = {"launcher": [launcher.pid] if alive else [], "engine": [], "notebook": [], "kernel": []}
    for pid in project.processes():
        words = command(pid)
        if "ipykernel" in words:
            kinds["kernel"].append(pid)
        elif "run_notebook" in words and "bash" not in words.split("\0")[0]:
            kinds["notebook"].append(pid)
        elif "snakemake" in words:
            kinds["engine"].append(pid)
    return kinds


def stop_writing(project):
    """No process of the project is left."""
    assert until(lambda: not project.processes(), 5), [command(pid) for pid in project.processes()]


def test_kill_9_at_20_random_moments(fresh, undisturbed):
    """Engine, notebook, kernel and launcher in turn; every time all of it must end and the next run must go on."""
    chance = random.Random(6)
    study = (fresh.root / "study.yaml").read_text()
    for turn in range(20):
        kind = ("engine", "notebook", "kernel", "launcher")[turn % 4]
        # another setting each time, early or late in the study, so that there is always something to do
        old = chance.choice(["title: Small study", "bootstrap: 100", "pretrain_epochs: 2", "detector: {epochs: 2"])
        (fresh.root / "study.yaml").write_text(study.replace(old, f"{old}{turn}"))
        run = fresh.start(SMALL_STUDY_SECONDS="0.5")
        assert until(lambda kind=kind, run=run: victims(fresh, run)[kind] or run.poll() is not None)
        time.sleep(chance.uniform(0, 2))
        if not (found := victims(fresh, run)[kind]):  # between two steps: the next one will do
            assert until(lambda kind=kind, run=run: victims(fresh, run)[kind] or run.poll() is not None)
            found = victims(fresh, run)[kind]
        os.kill(found[0], signal.SIGKILL)
        if kind in ("notebook", "kernel"):  # the engine goes on with what does not depend on it
            time.sleep(0.2)
            run.kill()
        run.communicate(timeout=60)
        stop_writing(fresh)
    (fresh.root / "study.yaml").write_text((undisturbed.root / "study.yaml").read_text())
    assert fresh.run(timeout=300).returncode == 0
    assert fresh.results() == undisturbed.results()
    assert fresh.plan() == {}


def test_a_killed_kernel_is_told(finished):
    finished.edit("study.yaml", "bootstrap: 100", "bootstrap: 300")
    run = finished.start(SMALL_STUDY_SECONDS="60")
    assert until(lambda: victims(finished)["kernel"])
    time.sleep(2)
    os.kill(victims(finished)["kernel"][0], signal.SIGKILL)
    said = run.communicate(timeout=60)[0]
    assert run.returncode == 1
    assert "its Python process died" in said


def test_ctrl_c_and_sigterm_end_within_5_seconds(finished):
    finished.edit("study.yaml", "bootstrap: 100", "bootstrap: 300")
    for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
        run = finished.start(SMALL_STUDY_SECONDS="60")
        assert until(lambda: victims(finished)["kernel"])
        began = time.monotonic()
        os.kill(run.pid, number)
        said = run.communicate(timeout=20)[0]
        stop_writing(finished)
        assert time.monotonic() - began < 5
        assert run.returncode == code
        assert "goes on from here" in said
        assert "Traceback" not in said
    assert finished.run().returncode == 0


def test_a_closed_laptop_does_not_end_a_study(finished):
    finished.edit("study.yaml", "bootstrap: 100", "bootstrap: 300")
    run = finished.start(SMALL_STUDY_SECONDS="3")
    assert until(lambda: victims(finished)["kernel"])
    run.stdout.close()  # the terminal is gone
    os.killpg(run.pid, signal.SIGHUP)
    assert run.wait(120) == 0
    assert finished.plan() == {}


def test_the_lock_of_a_dead_process_holds_nobody(finished):
    (finished.outputs / ".engine/lock").write_text("pid 9999999 of nobody on elsewhere, since 2020-01-01")
    finished.edit("study.yaml", "title:", "# touched\ntitle:")  # nothing to do, and yet the folder has to be held
    assert finished.run().returncode == 0
    assert "elsewhere" not in (finished.outputs / ".engine/lock").read_text()


def test_a_kernel_that_hangs_is_ended(finished):
    finished.edit("study.yaml", "bootstrap: 100", "bootstrap: 300")
    said = finished.run(SMALL_STUDY_SECONDS="600", OSTEOTL_CELL_TIMEOUT="3")
    assert said.returncode == 1
    assert "ran past its time limit" in said.stdout
    stop_writing(finished)


def test_out_of_memory_is_told(finished):
    path = "lib/osteotl/analysis.py"
    finished.edit(path, "    arms = {}\n", "    bytearray(10**13)\n    arms = {}\n")
    said = finished.run()
    assert said.returncode == 1
    assert "MemoryError" in said.stdout
