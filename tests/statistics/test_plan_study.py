"""The command line of planning; its computations are tested in tests/diagnostic_accuracy."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from osteotl.statistics.plan_study import main


def test_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--published", "hasei2025", "--seeds", "1", "--seed-spread", "0", "--simulations", "60", "--outputs"]
    assert main([*words, str(tmp_path)]) == 0
    assert "power 80%" in capsys.readouterr().out
    assert json.loads((tmp_path / "plan.json").read_text())["curve"]
    assert (tmp_path / "plan.svg").read_text().lstrip().startswith("<?xml")
    assert main(["--published", "nobody2020"]) == 2
    assert main(["--predictions", str(tmp_path / "none.csv")]) == 2
