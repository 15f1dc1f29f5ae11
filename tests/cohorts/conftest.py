"""What tests of films share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def radiographs() -> Path:
    """The folder of real films; tests that need it skip only when OSTEOTL_RADIOGRAPHS is unset."""
    folder = os.environ.get("OSTEOTL_RADIOGRAPHS")
    if not folder:
        pytest.skip("OSTEOTL_RADIOGRAPHS is not set: it names the folder of real films")
    if not Path(folder).is_dir():
        pytest.fail(f"OSTEOTL_RADIOGRAPHS is {folder!r}, which is not a folder")
    return Path(folder)
