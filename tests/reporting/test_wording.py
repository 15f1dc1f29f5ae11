"""Numbers in words: rounding worked out by hand, and one module that does it."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import osteotl.reporting
from osteotl.reporting.facts import Facts
from osteotl.reporting.wording import fixed, interval, p_sentence, p_value, point_name, point_words


@pytest.mark.parametrize(
    ("value", "kind", "said"),
    [
        (0.95449, {}, "0.954"),
        (-0.0306, {}, "\N{MINUS SIGN}0.031"),
        (-0.0004, {}, "0.000"),  # rounds to nothing: no sign
        (0.0004, {"plus": True}, "0.000"),
        (0.031, {"plus": True}, "+0.031"),
        (12.3456, {"digits": 1, "scale": 100}, "1,234.6"),
    ],
)
def test_rounded(value, kind, said):
    assert fixed(value, **kind) == said


@pytest.mark.parametrize(
    ("number", "said"),
    [
        ({"estimate": 0.9, "lower": 0.85, "upper": 0.95}, "0.900 (0.850 to 0.950)"),
        ({"estimate": np.float32(0.5), "lower": np.int64(0), "upper": 1}, "0.500 (0.000 to 1.000)"),
        ({"estimate": 0.9, "lower": float("nan"), "upper": 0.95}, "0.900 (no interval)"),
        ({"estimate": None, "not_estimable": "one class\nonly"}, "not estimable (one class only)"),
        ({"estimate": float("nan"), "not_estimable": float("nan")}, "not estimable"),  # as pandas reads empty cells
        (None, "not estimable"),
    ],
)
def test_interval_or_the_reason(number, said):
    assert interval(number) == said


@pytest.mark.parametrize(
    ("p", "alone", "sentence"),
    [
        (0.0371, "0.037", "p = 0.037"),
        (0.001, "0.001", "p = 0.001"),
        (0.00099, "< 0.001", "p < 0.001"),
        (0, "< 0.001", "p < 0.001"),  # never 0
        (1.0, "1.000", "p = 1.000"),
        (None, "not estimable", "p not estimable"),
        (float("nan"), "not estimable", "p not estimable"),
    ],
)
def test_p_values(p, alone, sentence):
    assert (p_value(p), p_sentence(p)) == (alone, sentence)


def test_an_interval_that_covers_too_little_is_marked_in_texts_and_on_the_page():
    number = {"estimate": 0.5, "lower": 0.25, "upper": 0.75, "method": "m", "n": 9, "coverage": 0.864}
    assert interval(number, 2) == "0.50 (0.25 to 0.75\N{DAGGER})"
    shown = str(Facts({"ap": number}).number("ap", "fixed2"))
    assert '0.75</span><sup title="covered 86.4% in simulation">\N{DAGGER}</sup>)' in shown
    assert "\N{DAGGER}" not in str(Facts({"ap": {**number, "coverage": None}}).number("ap", "fixed2"))


def test_operating_points():
    assert point_name("youden@external") == "Youden, found on the external set"
    assert point_words("my_own@validation") == "my own point, threshold locked on the validation set"


def test_no_other_module_rounds_p_values_or_writes_intervals():
    folder = Path(osteotl.reporting.__file__).parent
    texts = {path.name: path.read_text(encoding="utf-8") for path in folder.rglob("*.py") if path.name != "wording.py"}
    assert len(texts) > 20
    again = [name for name, text in texts.items() if re.search(r"def (p_value|interval|fixed|signed)\(|0\.001\"", text)]
    assert again == ["facts.py"]  # Facts.interval marks both ends with their source
