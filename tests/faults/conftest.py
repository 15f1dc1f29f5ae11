"""An undisturbed run of the small study, to which every disturbed one is compared."""

import pytest

from small_study import Project


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory):
    """A study that ran to its end without a fault; do not change it, copy it."""
    project = Project(tmp_path_factory.mktemp("undisturbed") / "study")
    done = project.run(timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    project.ran()
    return project


@pytest.fixture
def finished(undisturbed, tmp_path):
    """A copy of the finished study."""
    return undisturbed.copy(tmp_path / "copy")


@pytest.fixture
def fresh(tmp_path):
    """A study that has not run yet."""
    return Project(tmp_path / "fresh")
