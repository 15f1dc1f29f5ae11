"""Single sections: what they say where a study has less, or nothing, of something."""

import copy
import json
import shutil

import pandas as pd
import pytest
from bs4 import BeautifulSoup

from osteotl.reporting.closing import further
from osteotl.reporting.cohort_sections import audit, flow
from osteotl.reporting.error_sections import errors
from osteotl.reporting.film_tables import any_table
from osteotl.reporting.page import compact
from osteotl.reporting.point_sections import operating_points
from osteotl.reporting.results import load_results
from osteotl.reporting.summary import summary
from osteotl.reporting.wording import counted, typeset


@pytest.fixture
def changed(page, tmp_path):
    """A function that loads the ordinary study with its statistics.json changed."""

    def load(change):
        shutil.copytree(page.out, tmp_path / "out")
        statistics = copy.deepcopy(json.loads((page.out / "statistics.json").read_text(encoding="utf-8")))
        change(statistics, tmp_path / "out")
        (tmp_path / "out" / "statistics.json").write_text(json.dumps(statistics), encoding="utf-8")
        return load_results(page.study, tmp_path / "out", page.data)

    return load


def soup(markup):
    return BeautifulSoup(str(markup), "html.parser")


def text(markup):
    return " ".join(soup(markup).get_text(" ").split())


def test_what_was_told_apart_and_by_which_standard_stands_before_the_answer(page):
    said = text(summary(load_results(page.study, page.out, page.data)))
    wanted = ["The question", "Malignant against normal only.", "Reference standard, malignant:", "The answer"]
    assert [said.index(words) for words in wanted] == sorted(said.index(words) for words in wanted)


def test_arms_are_compared_by_auc_explained_in_words(page):
    statistics = json.loads((page.out / "statistics.json").read_text(encoding="utf-8"))
    said = text(summary(load_results(page.study, page.out, page.data)))
    auc = {arm: f"{statistics['arms'][arm]['auc']['estimate']:.3f}" for arm in ("transfer", "scratch")}
    assert f"a tumour scores above one without: {auc['transfer']} against {auc['scratch']}" in said


def test_missed_tumours_stand_open_beside_how_many_of_each_subtype_were_tested(page):
    results = load_results(page.study, page.out, page.data)
    section = soup(errors(results))
    external, missed = results.csv("cohorts/external.csv"), results.table("missed")
    first = missed[missed["seed"].eq(results.first_seed) & missed["arm"].eq("scratch")]
    (row,) = [r for r in section.select("table")[0].select("tbody tr") if r.th.get_text() == "osteosarcoma"]
    assert [cell.get_text() for cell in row.select("td")][:2] == [
        str(int(external["subtype"].eq("osteosarcoma").sum())),
        str(int(first["subtype"].eq("osteosarcoma").sum())),
    ]
    open_tables = [d.caption.get_text() for d in section.select("details[open]")]
    assert open_tables == [f"Every missed tumour, {results.label(arm)}" for arm in results.arms]


def test_where_nothing_was_missed_that_is_said(changed):
    def none_missed(statistics, out):
        (out / "tables" / "missed.csv").unlink()
        for arm in statistics["arms"].values():
            for run in arm["per_seed"].values():
                run["operating_points"]["high_sensitivity@validation"]["fn"] = 0

    said = text(errors(changed(none_missed)))
    assert "Every missed tumour None at the operating point “high sensitivity, locked on the validation set”" in said


def test_counts_stand_beside_what_the_threshold_achieved_on_validation(changed):
    def achieved(statistics, out):
        point = statistics["arms"]["scratch"]["per_seed"]["0"]["operating_points"]["high_sensitivity@validation"]
        point["validation"] = {"tp": 91, "fn": 9, "tn": 120, "fp": 30}

    section = soup(operating_points(changed(achieved)))
    (counts,) = [t for t in section.select("details[open] table") if "achieved" in t.caption.get_text()]
    row = [cell.get_text() for cell in counts.select("tbody tr")[0].select("td")]
    assert row[-2:] == ["91 of 100", "120 of 150"]


def test_how_well_sites_are_told_apart_is_shown(changed):
    probe = {"arm": "transfer", "sites": ["A", "B"], "films": 10, "balanced_accuracy": 0.8129, "chance": 0.5}

    def probed(statistics, out):
        statistics["audit"]["site_probe"] = [probe]
        statistics["audit"]["alarms"] = [{"alarm": "flipped: transfer", "raised": True, "rule": "r", "finding": "f"}]

    said = text(audit(changed(probed)))
    label = "pretrained on chest radiographs"
    assert f"flipped, ■ {label} ALARM" in said
    assert f"Sites told apart from the detector's features, balanced accuracy, ■ {label} 0.813 (guessing: 0.500" in said


def test_reasons_of_what_is_not_estimable_are_listed(changed):
    gone = {"estimate": None, "lower": None, "upper": None, "not_estimable": "planted reason -0.5"}

    def planted(statistics, out):
        statistics["arms"]["transfer"]["auc"] = gone
        statistics["arms"]["scratch"]["auc"] = gone

    listed = soup(further(changed(planted), "")).select_one("#not-estimable")
    rows = {r.th.get_text(): r.td.get_text() for r in listed.select("tbody tr")}
    assert int(rows["planted reason \N{MINUS SIGN}0.5"]) == 2


def test_checklist_answers_lead_to_the_place_that_shows_them(page):
    closing = soup(further(load_results(page.study, page.out, page.data), ""))
    for name in ("claim2024", "stard_ai2025", "tripod_ai2024"):
        table = pd.read_csv(page.out / "checklists" / f"{name}.csv", dtype=str).fillna("")
        links = [a["href"] for a in closing.select(f"#checklist-{name} td a")]
        assert links == [f"#{anchor}" for anchor in table["anchor"] if anchor]
        assert len(links) > 15


def test_table_one_has_a_column_for_each_group(page, tmp_path):
    table = soup(flow(load_results(page.study, page.out, page.data))).select_one('table[data-source="table_one.csv"]')
    frame = pd.read_csv(page.out / "table_one.csv", dtype=str)
    assert len(table.select("thead th")) == len(frame) + 1
    films = next(row for row in table.select("tbody tr") if row.th.get_text() == "Films")
    assert [cell.get_text() for cell in films.select("td")] == list(frame["films"])


def test_tables_round_a_column_alike_and_leave_out_empty_ones():
    frame = pd.DataFrame(
        {"image_id": ["a", "b"], "size_mm": [11.25, 15.0], "risk": [0.0018, 0.5], "site": [None, None]}
    )
    rows = soup(any_table("c", frame, "x.csv")).select("tr")
    assert [cell.get_text() for cell in rows[0].select("th")] == ["Film", "Size, mm", "Risk"]
    assert [[cell.get_text() for cell in row.select("td")] for row in rows[1:]] == [
        ["11.2", "0.002"],
        ["15.0", "0.500"],
    ]


def test_small_words():
    assert typeset("-0.010, -0.087 to +0.068; 10-19, a-1, 1e-3") == (
        "\N{MINUS SIGN}0.010, \N{MINUS SIGN}0.087 to +0.068; 10-19, a-1, 1e-3"
    )
    assert [counted(n, "film") for n in (0, 1, 2000)] == ["0 films", "1 film", "2,000 films"]
    assert (
        compact(".a { color: red; } /* b */\n.c, .d { content: 'x y'; }")
        == ".a{color:red;}/* b */\n.c,.d{content:'x y';}"
    )
