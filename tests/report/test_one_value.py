"""No quantity has two values or intervals: results, page, notebooks, checklists, Methods and Word, of a real study."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from reading import Rows, Seen, check_numbers, count_intervals, documents_of, unmarked, words

from diagnostic_accuracy.estimates import IDENTITY, read_results


@pytest.fixture
def page(small_page):
    return Seen(small_page[1]).soup


@pytest.fixture(scope="module")
def outputs(small_page):
    return small_page[0].outputs


@pytest.fixture(scope="module")
def rows(outputs):
    return Rows(outputs / "statistics.csv")


def test_every_marked_number_is_that_of_its_row(page, outputs):
    assert check_numbers(page, outputs / "statistics.csv") > 500


def test_every_number_with_an_interval_carries_its_row(page):
    """Outside Methods, checklists and notebooks, and but for the quartiles of age, an interval is marked."""
    assert unmarked(page) == []


@pytest.mark.parametrize("part", ["#methods-text", "#methods table"])
def test_methods_and_checklists_have_the_values_of_statistics_csv(small_page, rows, part):
    texts = [words(node) for node in Seen(small_page[1]).soup.select(part)]
    assert sum(map(count_intervals, texts)) > 5
    assert [text for node in texts for text in rows.unknown(node)] == []


def test_alternatives_and_captions_of_figures_have_the_values_of_statistics_csv(small_page, rows):
    soup = Seen(small_page[1]).soup
    texts = [node[name] for name in ("alt", "aria-label") for node in soup.select(f"[{name}]")]
    texts += [node.get_text() for node in soup.select("figcaption, svg title, svg text, svg desc")]
    assert sum(map(count_intervals, texts)) > 5
    assert [text for node in texts for text in rows.unknown(node)] == []


def test_notebooks_have_the_values_of_statistics_csv(small_page, rows):
    shown = [words(node) for node in Seen(small_page[1]).soup.select("#notebooks td, #notebooks p, #notebooks pre")]
    assert sum(map(count_intervals, shown)) > 300
    assert [text for node in shown for text in rows.unknown(node)] == []


def test_documents_have_the_values_of_statistics_csv(outputs, rows):
    found = documents_of(outputs / "documents")
    assert {"methods.md", "methods.docx", "tables.docx"} < set(found)
    assert sum(map(count_intervals, found.values())) > 150
    assert {name: unknown for name, text in found.items() if (unknown := rows.unknown(text))} == {}


def test_an_identity_but_for_its_section_has_one_value_and_interval(outputs):
    """`as_published` is the layer with the intervals of one run; thresholds learnt on patients are other thresholds."""
    table = read_results(str(outputs / "statistics.csv"))
    table = table[~table["section"].isin(["as_published", "patients_relearnt"])]
    same = [name for name in IDENTITY if name != "section"]
    for identity, part in table.groupby(same, dropna=False):
        held = part[["estimate", "lower", "upper", "p"]].drop_duplicates()
        assert len(held) == 1, identity


def test_a_subgroup_is_a_part(outputs):
    """A group of all films would give the whole study's numbers again, with an interval from other draws."""
    table = read_results(str(outputs / "statistics.csv"))
    whole = table[(table["unit"] == "film") & (table["run"] == "") & (table["reference"] == "")]
    auc = whole.loc[(whole["section"] == "discrimination") & (whole["measure"] == "auc"), "estimate"]
    groups = whole[(whole["section"] == "subgroups") & (whole["measure"] == "auc")]
    assert len(groups) > 10
    assert not np.isclose(groups["estimate"].to_numpy()[:, None], auc.to_numpy()).any()


def test_intervals_of_single_runs_stand_in_the_published_layer_alone(outputs, page):
    """The audit scores one run a model again, and says so."""
    table = read_results(str(outputs / "statistics.csv"))
    alone = table[(table["run"] != "") & table["lower"].notna()]
    assert set(alone["section"]) <= {"as_published", "audit"}
    assert set(alone["basis"]) == {"this run only"}
    for node in page.select("[data-row]"):
        row = table.iloc[int(node["data-row"])]
        if row["run"] and node.select(".ci"):
            assert node.find_parent("section")["id"] in ("as-published", "audit"), node


def test_a_derived_rate_is_that_of_the_rates_beside_it(outputs):
    """Missed per 100 = 100 - sensitivity, with its limits; false alarms per 1,000 likewise."""
    table = read_results(str(outputs / "statistics.csv"))
    table = table[(table["run"] == "") & (table["reference"] == "") & (table["section"] == "operating_points")]
    place = ["arm", "unit", "point", "threshold_from"]
    wide = table[table["prevalence"].isna()].set_index([*place, "measure"])[["estimate", "lower", "upper"]]
    checked = 0
    for rate, burden, per in (("sensitivity", "missed_per_100", 100), ("specificity", "false_alarms_per_1000", 1000)):
        for key in wide.xs(burden, level="measure").index:
            one, other = wide.loc[(*key, rate)], wide.loc[(*key, burden)]
            turned = per * (1 - one[["estimate", "upper", "lower"]].to_numpy())
            assert np.allclose(turned, other[["estimate", "lower", "upper"]].to_numpy(), equal_nan=True)
            checked += 1
    assert checked > 10


def test_the_answer_says_the_same_in_first_screen_tables_and_methods(page, outputs):
    table = pd.read_csv(outputs / "statistics.csv", dtype=str)
    box = page.select_one("#summary .answer")
    gap = next(node for node in box.select("[data-row]") if table.iloc[int(node["data-row"])]["measure"] == "auc"
               and table.iloc[int(node["data-row"])]["reference"] == "scratch")  # fmt: skip
    assert gap["data-row"] in {node["data-row"] for node in page.select("#roc [data-row]")}
    methods = (outputs / "documents" / "methods.md").read_text(encoding="utf-8")
    assert words(gap) in methods.replace("\N{NO-BREAK SPACE}", " ")
