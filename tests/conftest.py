"""What every test shares."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

# the first example compiles numba's loops; the same examples every time, so that a failure repeats
settings.register_profile("osteotl", deadline=None, derandomize=True)
settings.load_profile("osteotl")

sys.path.insert(0, str(Path(__file__).parent))  # `from oracles import registry` in the oracle mappings


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Sum the oracle comparisons over all workers; write them where OSTEOTL_PARITY names a file."""
    reports = [report for kind in ("passed", "failed") for report in terminalreporter.stats.get(kind, [])]
    properties = [value for report in reports for name, value in report.user_properties if name == "oracle_rows"]
    if not properties:
        return
    rows = sorted((row for text in properties for row in json.loads(text)), key=lambda r: (r["case"], r["quantity"]))
    terminalreporter.write_line(f"{sum(row['values'] for row in rows)} values compared")
    if path := os.environ.get("OSTEOTL_PARITY"):
        Path(path).write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


@pytest.fixture(scope="session")
def oracle_folder() -> Path:
    """The folder of reference values; tests that need it skip only when OSTEOTL_ORACLES is unset."""
    folder = os.environ.get("OSTEOTL_ORACLES")
    if not folder:
        pytest.skip("OSTEOTL_ORACLES is not set: it names the folder of reference values")
    if not Path(folder).is_dir():
        pytest.fail(f"OSTEOTL_ORACLES is {folder!r}, which is not a folder")
    return Path(folder)
