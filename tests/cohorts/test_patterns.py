"""Regular expressions of people: the same as `re` where they end, a fault in bounded time where they do not."""

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cohorts import layouts
from osteotl.cohorts.readers import patterns
from osteotl.cohorts.readers.patterns import first_groups
from osteotl.study import StudyError, parse_study

NAMES = ["P01_1", "P02-frontal", "", "x", "ä ö", "\udce9", "a" * 200]


@pytest.mark.parametrize(
    "pattern", [r"(P\d+)", r"^(\w)_", "(?P<p>a+)", "(x)|y", "()", r"(\S+) \S", "(?i)p(.)", "(é|ä)", "(\ud800)"]
)
def test_it_finds_what_re_finds(pattern):
    found = [re.search(pattern, name) for name in NAMES]
    assert first_groups(pattern, NAMES) == [match and match[1] for match in found]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.text(max_size=20), max_size=5))
def test_any_name_can_be_searched(names):
    assert first_groups(r"(\d+)", names) == [m and m[1] for m in (re.search(r"(\d+)", name) for name in names)]


@pytest.mark.parametrize(
    "pattern", ["((?:a+)+)$", "((?:a|a)*)b", "(.*.*.*.*.*.*.*.*)x", r"((?:\w+\s?)*)\.", "(a*a*a*a*a*a*)b"]
)
def test_a_pattern_that_does_not_end_is_stopped(pattern):
    began = time.monotonic()
    with pytest.raises(ValueError, match=r"does not end within 0\.5 seconds"):
        first_groups(pattern, ["a" * 2000 + "!"], seconds=0.5)
    assert time.monotonic() - began < 10


def test_a_pattern_that_does_not_end_is_one_fault(tmp_path, monkeypatch):
    monkeypatch.setattr(patterns.first_groups, "__defaults__", (0.5,))
    root = layouts.manifest(tmp_path / "knees")
    (root / f"films/{'a' * 60}!.png").write_bytes((root / "films/f000.png").read_bytes())
    (root / "films/f000.png").unlink()
    for table in (root / "manifest.csv", root / "boxes.csv"):
        table.write_text(table.read_text().replace("films/f000.png", f"films/{'a' * 60}!.png"))
    cohort = layouts.read("manifest", root, patient_pattern="((?:a+)+)$")
    (fault,) = layouts.wrong(cohort)
    assert (fault.code, fault.severity, fault.file) == ("patient_unmatched", "error", "knees")
    assert "patient_pattern '((?:a+)+)$' does not end" in fault.message
    assert "repeat inside a repeat" in fault.remedy


def test_a_long_pattern_is_refused_where_it_is_written():
    study = {
        "title": "T", "reference": "a", "arms": {"a": {"initialise": "random"}, "b": {"initialise": "random"}},
        "cohorts": {"development": {"reader": "yolo", "root": ".", "patient_pattern": "(a)" + "b" * 1000}},
    }  # fmt: skip
    with pytest.raises(StudyError, match="1000 characters"):
        parse_study(study)
