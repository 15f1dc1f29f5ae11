"""The same study on a real SLURM of two nodes (./run_all.sh test slurm): root, Debian, the network for its packages."""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
import yaml

from small_study import Project

pytestmark = pytest.mark.slurm

HERE = Path(__file__).parent
PROFILE = HERE.parents[1] / "profiles/slurm/config.v8+.yaml"


@pytest.fixture(scope="module")
def cluster():
    """Two nodes of one processor each, whose daemons end with the tests."""
    done = subprocess.run([HERE / "slurm_two_nodes.sh"], capture_output=True, text=True, check=False)
    daemons = [int(Path(file).read_text()) for file in reversed(done.stdout.split())]
    try:
        assert done.returncode == 0, done.stdout + done.stderr
        yield
    finally:
        for daemon in daemons:
            os.kill(daemon, signal.SIGTERM)
        end = time.monotonic() + 60
        while (left := [daemon for daemon in daemons if Path(f"/proc/{daemon}").exists()]) and time.monotonic() < end:
            time.sleep(0.2)
    assert not left


def with_profile(project):
    """The profile that ships, its numbers fitted to two small nodes."""
    profile = yaml.safe_load(PROFILE.read_text())
    profile.update(
        {"seconds-between-status-checks": 2, "latency-wait": 10, "slurm-init-seconds-before-status-checks": 2}
    )
    profile["default-resources"] = ["slurm_partition=gpu", "mem_mb=1500", "runtime=10"]
    rules = ("cohorts", "pretrain", "finetune", "evaluate", "statistics", "figures", "report", "render")
    profile["set-resources"] = {rule: {"mem_mb": 1500, "runtime": 10} for rule in rules}
    profile["set-threads"] = dict.fromkeys(profile["set-threads"], 1)
    (project.root / "my profile").mkdir()
    (project.root / "my profile/config.v8+.yaml").write_text(yaml.safe_dump(profile))
    return project


def jobs():
    """Jobs that SLURM knows of."""
    shown = subprocess.run(["squeue", "--noheader", "--format=%A %j"], capture_output=True, text=True, check=True)
    return shown.stdout.split()


def test_the_cluster_comes_to_the_same_bytes(cluster, undisturbed, tmp_path):
    project = with_profile(Project(tmp_path / "on a cluster"))
    said = project.run("--profile", "my profile", timeout=500)
    assert said.returncode == 0, said.stdout + (project.outputs / "logs/engine.log").read_text()
    assert "slurm" in (project.outputs / "logs/engine.log").read_text().lower()
    assert project.results() == undisturbed.results()
    assert "Nothing has changed" in project.run("--profile", "my profile").stdout


def test_after_a_crash_no_job_is_submitted_twice(cluster, undisturbed, tmp_path):
    project = with_profile(undisturbed.copy(tmp_path / "crash"))
    project.edit("study.yaml", "bootstrap: 100", "bootstrap: 300")
    run = project.start("--profile", "my profile", SMALL_STUDY_SECONDS="20")
    end = time.monotonic() + 60
    while not jobs() and time.monotonic() < end:
        time.sleep(0.5)
    run.kill()
    run.wait(20)
    said = project.run("--profile", "my profile")
    assert said.returncode == 3
    assert "scancel" in said.stderr
    subprocess.run(["scancel", "--user=root"], check=True)
    end = time.monotonic() + 60
    while jobs() and time.monotonic() < end:
        time.sleep(0.5)
    assert project.run("--profile", "my profile", timeout=300).returncode == 0
    shutil.rmtree(project.root)
