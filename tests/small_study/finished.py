"""One finished small study for every test that needs one, whichever process the test runs in."""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path

import pytest

from . import Project


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A study that ran to its end without a fault, made once; do not change it, copy it."""
    base = tmp_path_factory.getbasetemp()
    shared = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "small study"
    shared.mkdir(exist_ok=True)
    with (shared / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        root, steps = shared / "a study's folder é", shared / "steps.json"
        if not steps.exists():
            project = Project(root)
            done = project.run(timeout=600)
            assert done.returncode == 0, done.stdout + done.stderr
            steps.write_text(json.dumps(project.ran()))
    project = Project.at(root)
    project.first_run = json.loads(steps.read_text())
    return project


@pytest.fixture
def finished(undisturbed: Project, tmp_path: Path) -> Project:
    """A copy of the finished study that a test may change."""
    return undisturbed.copy(tmp_path / "copy of it")


@pytest.fixture
def fresh(tmp_path: Path) -> Project:
    """A study that has not run yet."""
    return Project(tmp_path / "fresh")
