"""A finished small study, made once, and copies of it that a test may change."""

import pytest

from small_study.finished import fresh, undisturbed

__all__ = ["fresh", "undisturbed"]


@pytest.fixture
def project(undisturbed, tmp_path):
    """A copy of the finished study that a test may change."""
    return undisturbed.copy(tmp_path / "copy of it")
