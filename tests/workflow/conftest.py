"""A finished small study, made once for all tests of this folder."""

import pytest

from small_study import Project


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """A study that has run to its end; do not change it, copy it."""
    project = Project(tmp_path_factory.mktemp("small") / "a study's folder é")
    done = project.run(timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    project.first, project.traced = done, project.ran()
    return project


@pytest.fixture
def project(finished, tmp_path):
    """A copy of the finished study that a test may change."""
    return finished.copy(tmp_path / "copy of it")
