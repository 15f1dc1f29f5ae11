"""The page's text: every number from its source, everything escaped, nothing that should stay in the house."""

import json
import re
import shutil

import pandas as pd
import pytest
from bs4 import BeautifulSoup

from conftest import PLANTED
from osteotl.reporting.page import LARGEST, build_report
from osteotl.reporting.printing import write_pdf
from osteotl.reporting.results import load_results
from osteotl.reporting.summary import burdens
from osteotl.reporting.wording import MINUS, typeset
from osteotl.statistics.coverage import MARK


def soup_of(page):
    return BeautifulSoup(page.report.read_text(encoding="utf-8"), "html.parser")


def at(statistics, path):
    for key in path.split("."):
        statistics = statistics[int(key)] if isinstance(statistics, list) else statistics[key]
    return statistics


def shown_value(node):
    """The number that a reader sees, on the scale of statistics.json, with half a unit of its last digit."""
    text = node.get_text().replace(MINUS, "-").replace("+", "").replace(",", "").rstrip("%").strip()
    digits = len(text.partition(".")[2])
    scale = float(node["data-scale"])
    return float(text) / scale, 0.5 * 10**-digits / scale


def check_numbers(page):
    statistics = json.loads((page.out / "statistics.json").read_text(encoding="utf-8"))
    marked = soup_of(page).select("span.num[data-source]")
    for node in marked:
        wanted = at(statistics, node["data-source"])
        if node.get_text().startswith("<"):
            assert wanted < 0.001
            continue
        got, half = shown_value(node)
        assert got == pytest.approx(wanted, abs=half * 1.0001), node
    return len(marked)


def test_every_number_is_the_one_in_statistics_json(page):
    assert check_numbers(page) > 300


def test_unusual_studies_render_with_right_numbers(unusual):
    assert check_numbers(unusual) > 50
    text = soup_of(unusual).get_text()
    for gone in ("nan", "None", "inf"):
        assert not re.search(rf"\b{gone}\b", text.split("Executed notebooks\n")[0]), gone


def test_intervals_known_to_be_too_short_are_marked_and_explained(page):
    statistics = json.loads((page.out / "statistics.json").read_text(encoding="utf-8"))
    soup = soup_of(page)
    upper = soup.select("span.num[data-source$='.upper']")
    known = [node for node in upper if at(statistics, node["data-source"].removesuffix(".upper")).get("coverage")]
    marked = [mark.find_previous_sibling("span") for mark in soup.select("sup[title^='covered']")]
    assert marked == known
    assert known  # the study under test has few films
    assert f"Intervals marked {MARK} are too short" in soup.get_text()


def test_the_first_table_says_what_its_mark_means(page):
    results = load_results(page.study, page.out, page.data)
    assert "too short" not in burdens(results)
    results.facts.statistics["arms"]["transfer"]["missed_per_100"]["coverage"] = 0.91
    assert f"intervals, too short where marked {MARK}." in burdens(results)


def test_sections_stand_in_the_order_of_the_page(page):
    wanted = [
        "summary", "flow", "points", "errors", "discordant", "localisation", "subgroups", "roc", "calibration",
        "decision", "seeds", "audit", "explorer", "gallery", "limitations", "further", "notebooks",
    ]  # fmt: skip
    soup = soup_of(page)
    assert [node["id"] for node in soup.select("main > section")] == wanted
    assert [a["href"] for a in soup.select("nav a")] == [f"#{name}" for name in wanted]


def test_ids_are_unique_and_links_lead_somewhere(page):
    soup = soup_of(page)
    ids = [node["id"] for node in soup.select("[id]")]
    assert len(ids) == len(set(ids))
    for link in soup.select("a[href]"):
        assert link["href"].removeprefix("#") in ids, link


def test_a_figure_left_out_says_why_in_its_place(page):
    soup = soup_of(page)
    assert soup.select_one("#seeds #figure-learning_curve").get_text() == (
        "Figure “learning curve” left out: one label fraction."
    )
    # no section places this one: it is told of among the other figures
    assert soup.select_one("#more-figures #figure-subgroups").get_text().endswith("left out: no subgroup columns.")


def test_every_missed_tumour_of_every_seed_is_listed(page):
    """The first seed by arm, the others folded; each row of the CSV once."""
    missed = pd.read_csv(page.out / "tables" / "missed.csv", dtype=str)
    errors = soup_of(page).select_one("#errors")
    tables = errors.select('table[data-source="tables/missed.csv"]')
    listed = [row.get_text(" ") for table in tables if "Every missed" in table.caption.text
              for row in table.select("tbody tr")]  # fmt: skip
    assert len(listed) == len(missed) > 10
    for film, count in missed["image_id"].value_counts().items():
        assert sum(film in row for row in listed) == count
    assert "tables/missed.csv" in [code.text for code in errors.select("code")]


def test_a_failing_browser_leaves_no_pdf_and_fails_nothing(page, tmp_path, monkeypatch, capsys):
    """An earlier PDF must not lie beside a newer page."""
    report = tmp_path / "report.html"
    report.write_bytes(page.report.read_bytes())
    browser = tmp_path / "chromium"
    browser.write_text("#!/bin/sh\necho broken display >&2\nexit 3\n")
    browser.chmod(0o755)
    monkeypatch.setattr("osteotl.reporting.printing.find_browser", lambda: str(browser))
    report.with_suffix(".pdf").write_bytes(b"of the last run")
    assert write_pdf(report) is None
    assert sorted(path.name for path in tmp_path.iterdir()) == ["chromium", "report.html"]
    assert "broken display" in capsys.readouterr().err
    monkeypatch.setattr("osteotl.reporting.printing.find_browser", lambda: None)
    assert write_pdf(report) is None
    assert not capsys.readouterr().err


@pytest.mark.parametrize(("user", "sandbox"), [(0, False), (1000, True)])
def test_the_browser_keeps_its_sandbox_unless_it_runs_as_root(user, sandbox, tmp_path, monkeypatch):
    browser = tmp_path / "chromium"
    browser.write_text(f"#!/bin/sh\necho \"$@\" >'{tmp_path}/words'\n")
    browser.chmod(0o755)
    monkeypatch.setattr("osteotl.reporting.printing.find_browser", lambda: str(browser))
    monkeypatch.setattr("os.geteuid", lambda: user)
    (tmp_path / "report.html").write_text("<html></html>")
    write_pdf(tmp_path / "report.html")
    assert ("--no-sandbox" not in (tmp_path / "words").read_text()) == sandbox


def test_the_first_page_answers_what_a_radiologist_asks(page):
    text = " ".join(soup_of(page).select_one("#summary").get_text(" ").split())
    for said in (
        "tumours missed", "false alarms", "right film, wrong place",
        "validate the instrument; only real cohorts speak to the hypothesis",
        "Benign tumours, infection and fractures are untested",
        "Two misses of each arm", "Reference standard, malignant", "No radiologist",
    ):  # fmt: skip
        assert said in text, said
    statistics = json.loads((page.out / "statistics.json").read_text(encoding="utf-8"))
    assert " ".join(typeset(statistics["comparisons"]["transfer"]["verdict"]["sentence"]).split()) in text


def test_icon_arrays_hold_a_thousand_films(page):
    for svg in soup_of(page).select("svg.icons"):
        dots = sum(path["d"].count("M") for path in svg.select("path"))
        # a cross takes its second stroke by a relative move, so every dot has one capital M
        assert dots == 1000


def test_policy_names_only_our_style_and_script(page):
    html = page.report.read_text(encoding="utf-8")
    policy = soup_of(page).find("meta", attrs={"http-equiv": "Content-Security-Policy"})["content"]
    assert policy.startswith("default-src 'none'; img-src data:; ")
    assert "unsafe" not in policy
    assert "http" not in policy
    assert html.count("<style") == 1
    assert " style=" not in re.sub(r"<script.*?</script>", "", html, flags=re.S)


def test_size_and_stylesheet_stay_small(page):
    assert page.report.stat().st_size < LARGEST
    assert len(soup_of(page).style.string) < 10_500  # about 10 kB; JupyterLab's has 262


def test_the_same_inputs_give_the_same_bytes(page):
    before = page.report.read_bytes()
    assert build_report(page.study, page.out, page.data).read_bytes() == before


def test_no_names_paths_or_patients_leave_the_house(page):
    html = page.report.read_text(encoding="utf-8")
    for secret in ("/Users/someone", "secret name 7", "phantoms/secret"):
        assert secret not in html
    patients = load_results(page.study, page.out, page.data).csv("cohorts/external.csv")["patient_id"]
    assert not [patient for patient in patients if patient in html]


def test_planted_scripts_are_text(hostile):
    soup = soup_of(hostile)
    assert [s.get("type") for s in soup.find_all("script")] == ["application/json", None]
    assert not [node for node in soup.find_all(True) for name in node.attrs if name.startswith("on")]
    assert not soup.select("img[src=x]")
    assert PLANTED in soup.h1.get_text()
    assert f"Institute of Phantoms{PLANTED}" in soup.select_one(".meta").get_text()
    assert f"Grant 7{PLANTED}" in soup.select_one("#checklist-claim2024").get_text()
    assert f"lateral{PLANTED}" in soup.select_one("#subgroups").get_text()
    assert "secret name" not in hostile.report.read_text(encoding="utf-8")  # a film's name, hostile or not, stays
    check_numbers(hostile)


def test_pictures_have_alt_texts_of_their_own(page):
    alts = [image.get("alt", "") for image in soup_of(page).select("img")]
    assert len(alts) > 20
    for alt in alts:
        assert len(alt) > 20, alt


def test_gallery_says_how_it_was_drawn_and_tells_boxes_apart(page):
    gallery = soup_of(page).select_one("#gallery")
    assert "drawn at random (gallery seed 0)" in gallery.get_text()
    assert len(gallery.select("img")) <= page.study.report.gallery_films
    classes = {c for rect in gallery.select("rect") for c in rect["class"]}
    assert {"truth", "dash-0", "dash-1"} <= classes


def test_formulas_become_mathml_and_notebooks_lose_what_runs(page):
    notebooks = soup_of(page).select_one("#notebooks")
    assert notebooks.select("math mfrac")
    assert not notebooks.select("script, style, [onclick], iframe")
    titles = [s.get_text() for s in notebooks.select("details.notebook > summary")]
    assert sum(title.startswith("02_finetune") for title in titles) == len(page.study.arms)
    assert "shown above" in notebooks.get_text()


def test_missing_statistics_are_refused_with_the_way_out(page, tmp_path):
    with pytest.raises(ValueError, match=r"statistics.json is missing.*run_all"):
        build_report(page.study, tmp_path, page.data)
    (tmp_path / "statistics.json").write_text('{"schema": "other/1"}', encoding="utf-8")
    with pytest.raises(ValueError, match="schema 'other/1'"):
        build_report(page.study, tmp_path, page.data)


def test_statistics_alone_make_a_page(page, tmp_path):
    shutil.copy(page.out / "statistics.json", tmp_path)
    report = build_report(page.study, tmp_path, tmp_path)
    assert "In two minutes" in report.read_text(encoding="utf-8")


def test_not_estimable_is_said_not_hidden(page, tmp_path):
    statistics = json.loads((page.out / "statistics.json").read_text(encoding="utf-8"))
    reason = {
        "estimate": None,
        "lower": None,
        "upper": None,
        "method": "-",
        "n": 0,
        "not_estimable": "no malignant film",
    }
    statistics["arms"]["transfer"]["auc"] = reason
    statistics["arms"]["transfer"]["missed_per_100"] = reason
    (tmp_path / "statistics.json").write_text(json.dumps(statistics), encoding="utf-8")
    text = build_report(page.study, tmp_path, tmp_path).read_text(encoding="utf-8")
    assert "not estimable" in text
    assert "no malignant film" in text
