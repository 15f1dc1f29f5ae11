"""RESULTS.md is generated, and its rows have the layout that readers rely on."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks"
FILES = sorted(p for p in (FOLDER / "results").glob("*.json") if p.stem != "machines")


def test_the_page_is_what_the_rows_say():
    ran = subprocess.run(
        [sys.executable, FOLDER / "make_results.py", "--check"], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_rows_have_the_agreed_layout(path):
    rows = json.loads(path.read_text())
    assert rows
    for row in rows:
        assert list(row)[:7] == ["name", "seconds", "peak_mb", "peer", "ratio", "n", "note"]
    assert (FOLDER / f"bench_{path.stem}.py").is_file()
