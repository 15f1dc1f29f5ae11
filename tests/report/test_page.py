"""The whole page: every number from its row, nothing private, no internal name, complete for unusual studies."""

import re
from copy import copy

import pandas as pd
import pytest
import reading
from simulated_outputs import PLANTED

from osteotl.report.render import LARGEST, write_report

SECTIONS = [
    "summary", "films", "roc", "points", "differences", "predictive-values", "patients", "external-thresholds",
    "missed", "false-alarms", "discordant", "subgroups", "calibration", "decision", "runs", "audit", "explorer",
    "limitations", "plan", "methods", "omissions", "notebooks",
]  # fmt: skip


def soup_of(page):
    return reading.soup_of(page.report)


def check_numbers(page):
    return reading.check_numbers(soup_of(page), page.out / "statistics.csv")


def words_of(page):
    """What a reader sees, without the notebooks, whose code names things by their keys."""
    soup = copy(soup_of(page))
    for node in soup.select("#notebooks, script, style"):
        node.decompose()
    return soup


def test_every_marked_number_is_that_of_its_row(page):
    assert check_numbers(page) > 250


def test_numbers_read_right_without_the_stylesheet(page):
    text = soup_of(page).select_one("#roc").get_text()
    assert re.search(r"0\.\d{3} \(0\.\d{3} to 0\.\d{3}\)", text)


def test_no_line_breaks_between_a_number_and_its_sign(page, bare):
    for built in (page, bare):
        assert not re.findall(r".{20}(?:\d %|\bp < \d)", words_of(built).get_text())


def test_sections_stand_in_order_and_the_contents_lead_to_them(page):
    soup = soup_of(page)
    there = [node["id"] for node in soup.select("main > section")]
    assert [name for name in there if name in SECTIONS] == [name for name in SECTIONS if name in there]
    assert set(SECTIONS) - {"notebooks"} <= set(there)
    assert [a["href"] for a in soup.select("nav a")] == [f"#{name}" for name in there]


def test_what_is_left_out_is_listed_with_its_reason(page, bare):
    assert "there are no lesion boxes" in soup_of(page).select_one("#omissions").get_text()
    listed = soup_of(bare).select_one("#omissions").get_text()
    assert "no threshold was locked on validation films" in listed
    assert "the study has one run per model" in listed


def test_ids_are_unique_and_links_lead_somewhere(page):
    soup = soup_of(page)
    ids = [node["id"] for node in soup.select("[id]")]
    assert len(ids) == len(set(ids))
    for link in soup.select("a[href]"):
        assert link["href"].removeprefix("#") in ids or link["href"].startswith("https://doi.org/"), link


@pytest.mark.parametrize("fixture", ["page", "bare"])
def test_no_internal_name_is_shown(fixture, request):
    soup = words_of(request.getfixturevalue(fixture))
    text = soup.get_text(" ").replace("cross-domain transfer learning", "")  # the title of a cited work
    for key in ("high_sensitivity", "missed_per_100", "lesion_masked", "auc_margin", "labels_swapped", "transfer",
                "net_benefit", "as_published", "nan", "None", "NaN"):  # fmt: skip
        assert not re.search(rf"\b{key}\b", text), key
    assert not re.search(r"\barms?\b", text)
    assert not re.search(r"\b[a-z]+_[a-z_]+\b", re.sub(r"\S+\.(csv|json|md|ipynb|yaml)\b", "", text)), (
        "a key with an underscore"
    )


def test_every_table_has_a_caption_and_every_picture_an_alternative(page):
    soup = words_of(page)
    for table in soup.select("table"):
        assert table.caption, table
        assert len(table.caption.get_text()) > 5, table
    for drawing in soup.select("svg"):
        hidden = drawing.get("aria-hidden") == "true"
        assert hidden or drawing.get("aria-label") or drawing.title, drawing
    for image in soup.select("img"):
        assert len(image["alt"]) > 20


def test_the_verdict_is_a_heading_and_the_first_screen_answers(page):
    summary = soup_of(page).select_one("#summary")
    assert summary.select_one("h3.verdict").get_text()
    text = reading.words(summary)
    for said in (
        "Separation.",
        "Relevance.",
        "Missed tumours and false alarms.",
        "Read this first.",
        "target 90 %",
        "0.03 that the study",
    ):
        assert said in text, said


def test_the_header_names_data_date_software_and_run(page, bare):
    for built, day in ((page, "2026-03-14"), (bare, "2026-01-02")):  # of scoring; of own scores what the study says
        soup = soup_of(built)
        meta, title = soup.select_one(".meta").get_text(), soup.title.get_text()
        for said in (day, "OsteoTL 0.2.0, commit 0123456789", "Institute of Phantoms"):
            assert said in meta, said
            assert said in title, said  # which names the PDF
        assert "90 external films" in meta
        assert re.search(r"Run: [0-9a-f]{10}", meta)[0].lower().replace(":", "") in title


def test_few_runs_are_told_beside_their_spread(page):
    html = page.report.read_text(encoding="utf-8")
    assert html.count("studies/phantoms_five_runs.yaml") == 1
    assert html.index('id="runs"') < html.index("studies/phantoms_five_runs.yaml")


def test_missed_tumours_are_counted_over_all_runs(page):
    films = pd.read_csv(page.out / "tables" / "films.csv")
    wanted = films[(films["label"] == 1) & (films["called"] < films["runs"])]["image_id"].nunique()
    _, *tables = soup_of(page).select("#missed table")  # the first one counts by subtype
    assert sum(len(table.select("tbody tr")) for table in tables) == wanted > 3
    assert all(" of 3" in table.get_text() for table in tables)


def test_no_names_paths_or_patients_reach_the_page(page, hostile):
    for built in (page, hostile):
        html = built.report.read_text(encoding="utf-8")
        assert "secret name" not in html
        assert "phantoms/secret" not in html
        patients = pd.read_csv(built.out / "cohorts" / "external.csv")["patient_id"]
        assert not [patient for patient in patients if patient in html]


def test_planted_scripts_are_text(hostile):
    soup = soup_of(hostile)
    assert len(soup.find_all("script")) == 1
    assert not [node for node in soup.find_all(True) for name in node.attrs if name.startswith("on")]
    assert not soup.select("img[src=x]")
    assert PLANTED in soup.h1.get_text()
    assert PLANTED in soup.select_one(".meta").get_text()
    assert check_numbers(hostile) > 100


def test_scores_alone_with_five_models_make_a_complete_page(bare):
    assert check_numbers(bare) > 100
    soup = soup_of(bare)
    assert len(soup.select("#summary .answer")) == 4
    assert "At the threshold found on the external films themselves" in soup.select_one("#summary").get_text()
    assert "one run per model" in soup.select_one("#summary .notice").get_text()


def test_a_page_made_by_hand_says_what_was_changed(page, bare):
    banner = soup_of(bare).select_one("header .notice").get_text()
    assert "Made by hand" in banner
    assert "margin 0.02 in place of 0.03." in banner
    assert soup_of(page).select_one("header .notice") is None


def test_the_page_is_small_asks_for_nothing_and_repeats(page):
    html = page.report.read_text(encoding="utf-8")
    assert page.report.stat().st_size < LARGEST
    assert not re.search(r'(?:src|href)="(?!#|data:|https://doi\.org/)', html)
    assert write_report(page.out).read_text(encoding="utf-8") == html
