"""What must not reach the page: names of films in any spelling, ids of own scores, controls, markup of labels."""

from __future__ import annotations

import re
import unicodedata

import nbformat
import pandas as pd
import pytest
from bs4 import BeautifulSoup
from hypothesis import given, settings
from hypothesis import strategies as st
from make_outputs import make_outputs

from osteotl.files import file_name, spreadsheet_safe, visible
from osteotl.reporting.appendix import joined_notebook
from osteotl.reporting.page import build_report
from osteotl.reporting.safety import (
    clean_fragment,
    film_names,
    film_numbers,
    named_in,
    spelling,
    without_names,
    without_paths,
)
from osteotl.statistics.analysis.inputs import read_study

PLANTED = "Planted_Erika_Mustermann_1961-04-23"
TABLE = pd.DataFrame({"path": [f"films/{PLANTED}.png", "films/Müller Köster.dcm"], "image_id": ["abc123", "def456"]})


@pytest.mark.parametrize(
    "spelt",
    [
        f"films/{PLANTED}.png", f"dev/films/{PLANTED}.png", f"{PLANTED}.png", PLANTED, f"{PLANTED}.PNG",
        f"{PLANTED}.png.", f"a/b/c/{PLANTED}.json", f"dev\\films\\{PLANTED}.png", PLANTED.upper(), f"'{PLANTED}.png'",
        f"({PLANTED}.png: broken)", f"{PLANTED}.tar.gz", "films/Müller Köster.dcm", "Müller Köster.dcm",
        unicodedata.normalize("NFD", "dev/films/Müller Köster.dcm"), "MÜLLER KÖSTER", "M%C3%BCller%20K%C3%B6ster.dcm",
    ],
)  # fmt: skip
@pytest.mark.parametrize("kept", [True, False])
def test_a_film_is_named_in_no_spelling(spelt, kept):
    known = film_names([TABLE]) if kept else film_names([], TABLE["path"])
    told = without_names(f"film {spelt} is broken", known)
    for word in ("Mustermann", "1961", "ller", "ster"):
        assert word.casefold() not in spelling(told).replace("film left out", "")


def test_ordinary_words_stay():
    known = film_names([pd.DataFrame({"path": ["images/train/1234.png", "images/table.png"], "image_id": ["a", "b"]})])
    text = "The table of images to train on has 1234 rows; 12345.6 and images/other.png too."
    assert without_names(text, known) == text


def test_films_that_faults_and_exclusions_name_are_known():
    integrity = {"faults": [{"file": f"dev/{PLANTED}.png", "message": "equals films/Other_Name_7.dcm", "remedy": ""}]}
    known = film_names([], named_in(integrity, ["Third_Name_9.jpg"]))
    for name in (f"x/{PLANTED}.png", "Other_Name_7", "Third_Name_9.jpg"):
        assert without_names(name, known) == "[film left out]"


def test_the_page_names_no_film_whether_kept_or_left_out(tmp_path):
    """As a notebook that prints the list of faults would bring them in: cohorts/23_names_in_report."""
    out = tmp_path / "notebooks"
    out.mkdir()
    kept = pd.DataFrame({"path": ["films/Kept_Max_Muster_1950-01-02.png"], "image_id": ["0123456789ab"]})
    text = f"dev/films/{PLANTED}.png is left out\nWARNING dev/films/Kept_Max_Muster_1950-01-02.png: name_in_filename"
    output = nbformat.v4.new_output("stream", text=text)
    html = f"<table><tr><td>dev/films/{PLANTED}.png</td><td>{text}</td></tr></table>"
    shown = nbformat.v4.new_output("display_data", data={"text/html": html, "text/plain": text})
    cell = nbformat.v4.new_code_cell(f"exclude = ['{PLANTED}.png']", outputs=[output, shown])
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), out / "00_cohorts.ipynb")
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), out / "03_evaluate.failed.ipynb")
    faults = {"faults": [{"file": f"dev/films/{PLANTED}.png", "message": "", "remedy": ""}]}
    joined = joined_notebook(out, film_names([kept], named_in(faults)), set())
    written = nbformat.writes(joined)
    assert "Mustermann" not in written
    assert "Max_Muster" not in written
    assert "0123456789ab" in written
    assert "evaluate.failed" not in written


def test_own_scores_are_numbered_and_the_key_stays_at_home(tmp_path):
    study = make_outputs(tmp_path / "outputs", tmp_path / "data", films=60, malignant=24, scores_only=True,
                         notebooks=False, figures=False)  # fmt: skip
    scores = study.predictions
    assert scores is not None
    for path in (tmp_path / "outputs/tables").glob("*.csv"):
        table = pd.read_csv(path, dtype=str)
        if "image_id" in table:
            table["image_id"] = "Maria Musterfrau 1956-03-02 " + table["image_id"]
            table.to_csv(path, index=False)
    html = build_report(study, tmp_path / "outputs", tmp_path / "data").read_text(encoding="utf-8")
    assert "Musterfrau" not in html
    key = pd.read_csv(tmp_path / "outputs/film_numbers.csv")
    assert key["image_id"].str.startswith("Maria Musterfrau").all()
    listed = set(re.findall(r"film \d+", BeautifulSoup(html, "html.parser").select_one("#errors").get_text(" ")))
    assert listed
    assert listed <= set(key["number"])
    assert "film_numbers.csv says which film has which number" in html
    asked = study.model_copy(update={"report": study.report.model_copy(update={"show_ids": True})})
    html = build_report(asked, tmp_path / "outputs", tmp_path / "data").read_text(encoding="utf-8")
    assert "Maria Musterfrau 1956-03-02" in html


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=300), st.text(max_size=300))
def test_any_arm_name_is_one_safe_file_name(one, other):
    name = file_name(one)
    assert re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*", name)
    assert ".." not in name
    assert len(name.encode()) < 100
    if one != other:
        assert name != file_name(other)


@pytest.mark.parametrize("text", ["a\x1b[2Jb", "a\u202eb", "a\x07b", "a\u2066b", "a\x00b", "a\rb", "a\x9bb"])
def test_controls_and_marks_of_direction_reach_nobody(text):
    assert visible(text).replace("[2J", "") == "ab"
    assert visible("line\n\tline äöü العربية 骨 🦴") == "line\n\tline äöü العربية 骨 🦴"


def test_texts_are_harmless_in_a_spreadsheet_and_numbers_stay_numbers():
    frame = pd.DataFrame({
        "text": ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", " =1", "plain"],
        "number": [-1.5, 2, -3, 4, 5, 6, 7], "written": ["-0.5", "+1e3", "=2", "-1 (-2 to 0)", "-", "", "1"],
    })  # fmt: skip
    safe = spreadsheet_safe(frame)
    assert safe["text"].tolist() == ["'=1+1", "'+cmd|' /C calc'!A0", "'-2+3", "'@SUM(A1)", "'\t=1", "' =1", "plain"]
    assert safe["number"].tolist() == frame["number"].tolist()
    assert safe["written"].tolist() == ["-0.5", "+1e3", "'=2", "'-1 (-2 to 0)", "'-", "", "1"]


PIECES = [
    "<script>",
    "</script>",
    "<svg|onload=",
    ">",
    "<a|href='javascript:x'>",
    "<style>",
    "</td>",
    "&lt;",
    "text",
    "<iframe|src=//x>",
    "<math><mtext>",
    "\"'",
    "<b>",
    "<!--",
    "-->",
    "<img|src=x|onerror=",
    "alert(1)",
]
ANY_HTML = st.lists(st.sampled_from([piece.replace("|", " ") for piece in PIECES]), max_size=12).map("".join)


@settings(max_examples=200, deadline=None)
@given(ANY_HTML)
def test_no_markup_of_a_notebook_runs_or_loads(fragment):
    soup = BeautifulSoup(clean_fragment(fragment), "html.parser")
    assert not soup(["script", "style", "iframe", "img", "svg", "object", "form"])
    for node in soup.find_all(True):
        assert not [name for name in node.attrs if name.startswith("on") or name in ("src", "href", "style")]


def test_paths_lose_their_folders():
    assert without_paths("/Users/someone/film.png and C:\\Users\\someone\\film.png") == "…/film.png and …/film.png"


def test_numbers_follow_the_ids_alone():
    assert film_numbers(["b", "a", "b"]) == film_numbers(["a", "b"]) == {"a": "film 1", "b": "film 2"}


def test_a_copied_study_takes_its_own_runs_alone(page):
    """Fewer seeds or arms select; runs that were never scored are refused."""
    fewer = page.study.model_copy(update={"seeds": page.study.seeds[1:2]})
    inputs = read_study(fewer, page.out.joinpath)
    assert inputs.seeds == page.study.seeds[1:2]
    assert set(inputs.detections["seed"]) == set(page.study.seeds[1:2])
    more = page.study.model_copy(update={"seeds": [*page.study.seeds, 99]})
    with pytest.raises(ValueError, match=r"no scores of .*, seed 99"):
        read_study(more, page.out.joinpath)
