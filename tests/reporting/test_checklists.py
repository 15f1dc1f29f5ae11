"""Checklists: complete, true to the run, asking the author for what no run can know."""

from __future__ import annotations

import copy
import csv
import json
import re

import pytest
from bs4 import BeautifulSoup
from records import training_records

from osteotl.reporting import checklists
from osteotl.reporting.exports import read_run, write_exports
from osteotl.study import Study, parse_study

NUMBERS = {
    "claim2024": [str(i) for i in range(1, 45)],
    # 40 items in 48 rows
    "stard_ai2025": [
        f"{i}{letter}"
        for i, letters in {**dict.fromkeys(range(1, 41), ""), 15: "abcd", 16: "abc", 17: "ab", 26: "ab",
                           40: "ab"}.items()
        for letter in (letters or [""])
    ],
    # 27 items, those with parts by letter
    "tripod_ai2024": [
        f"{i}{letter}"
        for i, letters in {**dict.fromkeys(range(1, 28), ""), 3: "abc", 5: "ab", 6: "abc", 8: "abc", 9: "abc",
                           12: "abcdefg", 18: "abcdef", 20: "abc", 23: "ab", 27: "abc"}.items()
        for letter in (letters or [""])
    ],
}  # fmt: skip
KEYS = {"item", "section", "asks", "topic", "run", "anchor", "source", "complete", "not_applicable", "when"}


@pytest.fixture(scope="module")
def run(page):
    found = read_run(page.study, page.out)
    return type(found)(found.study, found.statistics, found.integrity, found.provenance, training_records())


@pytest.fixture(scope="module")
def rows(run):
    return checklists.filled(run)


def of(rows, guideline, item):
    return next(row for row in rows if row.guideline == guideline and row.item == item)


def changed(run, **parts):
    """The same run with other files."""
    kept = {name: getattr(run, name) for name in ("study", "statistics", "integrity", "provenance", "training")}
    return type(run)(**(kept | parts))


@pytest.mark.parametrize("name", sorted(NUMBERS))
def test_every_numbered_item_of_the_guideline_is_there_once(name):
    assert [item["item"] for item in checklists.guideline(name)["items"]] == NUMBERS[name]
    assert "numbers" in checklists.guideline(name)["numbering"]


@pytest.mark.parametrize("name", checklists.names())
def test_every_item_can_be_answered(name):
    for item in checklists.guideline(name)["items"]:
        assert set(item) <= KEYS, item["item"]
        # an item that no run fills and no rule excludes must name the author's topic
        assert item.get("run") or item.get("topic"), item["item"]
        assert bool(item.get("run")) == bool(item.get("anchor") and item.get("source")), item["item"]
    assert re.search(r"20\d\d;", checklists.guideline(name)["cite"])


def test_filled_items_lead_to_a_section_of_the_page(page, rows):
    soup = BeautifulSoup(page.report.read_text(encoding="utf-8"), "html.parser")
    ids = {node["id"] for node in soup.find_all(id=True)} | {"methods-text"}
    assert not {row.anchor for row in rows if row.anchor} - ids


def test_sources_exist_in_the_files_of_the_run(rows, run):
    for row in rows:
        for source in filter(None, row.source.split("; ")):
            kind, _, path = source.rpartition(": ")
            if kind in ("", "integrity", "provenance"):
                here = {"": run.statistics, "integrity": run.integrity, "provenance": run.provenance}[kind]
                first = path.split(".")[0]
                optional = {"lock", "study_file", "baseline", "flags"}
                assert first in here or first in optional, (row.guideline, row.item, source)
            else:
                assert kind in ("study", "training", "tables"), source


def test_statuses_are_of_the_five_and_say_what_they_mean(rows):
    assert {row.status for row in rows} <= set(checklists.STATUSES)
    for row in rows:
        assert bool(row.text) != (row.status == checklists.NEEDED), (row.guideline, row.item)
        for unfinished in ("None", "{", " nan"):
            assert unfinished not in row.text, (row.guideline, row.item)


def test_answers_follow_the_files(run, rows):
    assert "2,507,507 parameters" in of(rows, "CLAIM 2024", "22").text
    assert "421 of 427 tensors" in of(rows, "CLAIM 2024", "24").text
    assert f"{run.statistics['cohorts']['external']['films']:,} films" in of(rows, "STARD-AI 2025", "24").text
    assert "no reference standard" in of(rows, "CLAIM 2024", "35").text  # the reason in integrity.json's flow
    other = copy.deepcopy(run.statistics)
    other["cohorts"]["external"]["unscored"] = 17
    again = checklists.filled(changed(run, statistics=other))
    assert "without a score: 17" in of(again, "STARD-AI 2025", "20").text
    assert "without a score: 17" not in of(rows, "STARD-AI 2025", "20").text


def test_the_author_answers_by_topic_or_by_item_and_paths_do_not_leave(run):
    content = run.study.model_dump(mode="json", exclude_none=True)
    content["report"]["author"] = {
        "funding": "Grant 7 <b>",
        "CLAIM 2024, 13": "CR, 60 kV, see " + "/".join(["", "home", "someone", "protocol.pdf"]),
    }
    rows = checklists.filled(changed(run, study=Study.model_validate(content)))
    for guideline, item in (
        ("CLAIM 2024", "44"),
        ("TRIPOD+AI 2024", "18a"),
        ("STARD-AI 2025", "38"),
    ):
        assert of(rows, guideline, item).status == checklists.ANSWERED
        assert of(rows, guideline, item).text == "Grant 7 <b>"  # plain text: whoever shows it escapes it
    answer = of(rows, "CLAIM 2024", "13")
    assert answer.status == checklists.ANSWERED
    assert "60 kV" in answer.text
    assert "someone" not in answer.text
    content["report"]["author"] = {"fundnig": "mistyped"}
    assert checklists.unused_answers(Study.model_validate(content)) == ["fundnig"]


def test_phantoms_and_foreign_scores_do_not_apply(run, rows):
    assert of(rows, "TRIPOD+AI 2024", "17").status == checklists.NOT_APPLICABLE  # no patients, no ethics committee
    study = parse_study({"title": "Scores", "predictions": "p.csv"})
    foreign = checklists.filled(changed(run, study=study, integrity={}, training={}))
    assert of(foreign, "TRIPOD+AI 2024", "17").status == checklists.NEEDED  # these may be patients
    assert of(foreign, "CLAIM 2024", "25").status == checklists.NOT_APPLICABLE
    assert of(foreign, "CLAIM 2024", "25").anchor == ""


def test_what_was_not_estimated_is_said(run):
    other = copy.deepcopy(run.statistics)
    gone = {"estimate": None, "lower": None, "upper": None, "method": "", "n": 0, "not_estimable": "planted reason"}
    other["arms"]["scratch"]["auc"] = gone
    text = of(checklists.filled(changed(run, statistics=other)), "CLAIM 2024", "37").text
    assert "not estimable (planted reason)" in text


def test_unknown_guideline_and_unknown_phrase_are_refused():
    with pytest.raises(ValueError, match="claim2024"):
        checklists.guideline("claim2020")
    from osteotl.reporting.phrases import fill_in

    with pytest.raises(ValueError, match="films_extrenal"):
        fill_in(["{films_extrenal}"], {"external_films": "3"})


def test_csv_holds_every_item_and_no_formula(run, tmp_path):
    content = run.study.model_dump(mode="json", exclude_none=True)
    content["report"]["author"] = {"funding": "=HYPERLINK(1)", "ethics": "@SUM(1)"}
    (tmp_path / "statistics.json").write_text(json.dumps(run.statistics))
    write_exports(Study.model_validate(content), tmp_path)
    for name in checklists.names():
        items = [item["item"] for item in checklists.guideline(name)["items"]]
        with (tmp_path / "checklists" / f"{name}.csv").open(encoding="utf-8", newline="") as file:
            lines = list(csv.DictReader(file))
        assert [line["item"] for line in lines] == items
        assert not [cell for line in lines for cell in line.values() if cell[:1] in tuple("=+-@")]


def test_the_page_says_what_the_numbers_are(page):
    soup = BeautifulSoup(page.report.read_text(encoding="utf-8"), "html.parser")
    for name in checklists.names():
        assert checklists.guideline(name)["numbering"] in soup.select_one(f"#checklist-{name}").get_text()
