"""Alarms of the shortcut audit reach the first page."""

from osteotl.statistics.analysis.assemble import _audit_flags


def alarm(name: str, raised: bool) -> dict[str, object]:
    return {"alarm": name, "raised": raised, "rule": "", "finding": f"finding of {name}"}


def test_source_and_class_comes_first_and_in_words():
    said = _audit_flags({"alarms": [alarm("lesion_masked: scratch", True), alarm("source_and_class", True)]})
    assert said[0].startswith("Malignant and normal films come from different sources")
    assert "finding of source_and_class" in said[0]
    assert "lesion masked: scratch" in said[1]


def test_silent_alarms_say_nothing():
    assert _audit_flags({"alarms": [alarm("lesion_masked: scratch", False), alarm("source_and_class", False)]}) == []
    assert _audit_flags({}) == []
