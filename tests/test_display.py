"""Numbers, words and tables for a reader."""

import math

import pandas as pd
import pytest

from diagnostic_accuracy.estimates import results
from osteotl.display import (
    Forest,
    Table,
    characteristics,
    film_table,
    fixed,
    grid,
    group_words,
    number,
    number_text,
    p_value,
    saved,
    show,
    ticks,
)

LABELS = {"scratch": "from scratch", "transfer": "<b>pretrained</b>"}


def row(**more):
    given = {"section": "discrimination", "measure": "auc", "arm": "scratch", "fraction": 1.0, "unit": "film",
             "confidence": 0.95, "estimate": 0.9466, "lower": 0.9301, "upper": 0.9605, "n": 100}  # fmt: skip
    return {**given, **more}


def table(*rows):
    return saved(results(rows))


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (row(), "0.947 (0.930 to 0.961)"),
        (row(reference="transfer", estimate=0.0191, lower=-0.0012, upper=0.0372), "+0.019 (−0.001 to +0.037)"),
        (row(measure="sensitivity", estimate=0.843, lower=0.789, upper=0.8862), "84.3 (78.9 to 88.6)"),
        (row(measure="false_alarms_per_1000", estimate=1234.4, lower=1000.0, upper=1500.0), "1,234 (1,000 to 1,500)"),
        (row(lower=math.nan, upper=math.nan), "0.947"),
        (row(estimate=math.nan, lower=math.nan, upper=math.nan), "not estimable"),
        (row(measure="npv", estimate=0.99981, lower=0.9997, upper=0.9999), "99.98 (99.97 to 99.99)"),
        (row(measure="npv", estimate=1.0, lower=0.98, upper=1.0), "100.0 (98.0 to 100.0)"),
    ],
)
def test_a_number_has_brackets_spaces_and_a_true_minus(given, text):
    found = table(given).iloc[0]
    assert number_text(found) == text
    assert number(found).striptags() == text


def test_a_number_carries_its_row_only_when_the_table_is_the_saved_one():
    one = table(row(), row(arm="transfer"))
    assert 'data-row="1"' in number(one.iloc[1])
    assert "data-row" not in number(results([row()]).iloc[0])
    assert 'data-scale="100"' in number(table(row(measure="sensitivity")).iloc[0])


@pytest.mark.parametrize(
    ("p", "text"), [(0.04, "0.040"), (0.0004, "< 0.001"), (math.nan, "not estimable"), (1.0, "1.000")]
)
def test_a_p_value_is_never_zero(p, text):
    assert p_value(p) == text


def test_what_rounds_to_zero_has_no_sign():
    assert fixed(-0.0001, 2, signed=True) == "0.00"


def test_a_grid_has_models_in_the_order_of_the_labels_and_escapes_them():
    html = str(grid(table(row(arm="transfer"), row()), "AUC", LABELS).__html__())
    assert html.index("from scratch") < html.index("pretrained")
    assert "<b>" not in html
    assert "<caption>" in html


def test_a_grid_refuses_two_results_in_one_cell():
    with pytest.raises(ValueError, match=r"arm=scratch, measure=auc.*further identifying column"):
        grid(table(row(), row(unit="patient")), "AUC", LABELS)


def test_a_grid_of_nothing_is_none():
    assert grid(table(row()).head(0), "AUC", LABELS) is None


def test_differences_have_a_column_of_p_values():
    gap = row(arm="transfer", reference="scratch", estimate=0.02, lower=0.0, upper=0.04, p=0.04)
    found = grid(table(gap), "Differences", LABELS)
    html = str(found.__html__())
    assert 'data-column="p">0.040' in html


def test_a_missing_interval_leads_to_its_reason_below_the_table():
    note = "3 malignant validation patients: a target of 0.9 needs 10"
    html = str(grid(table(row(lower=math.nan, upper=math.nan, note=note)), "AUC", LABELS).__html__())
    assert "<sup>a</sup>" in html
    assert f"<sup>a</sup> {note}." in html


def test_a_count_needs_no_reason_for_its_missing_interval():
    html = str(grid(table(row(note="a count, without an interval")), "Films", LABELS).__html__())
    assert "<sup>" not in html


def test_show_has_a_column_for_what_tells_results_apart():
    html = show(results([row(), row(unit="patient")]))._repr_html_()
    assert "Counted by" in html
    assert "patient" in html
    assert "Operating point" not in html


def test_cells_are_escaped():
    html = str(Table("<i>", ["a", "#b"], [["<u>", "1"]]).__html__())
    assert "<u>" not in html
    assert "<i>" not in html


@pytest.mark.parametrize(
    ("group", "said"),
    [("sex=F", "Sex: female"), ("age_group=10 to 19", "Age group: 10 to 19"), ("external", "External")],
)
def test_groups_in_words(group, said):
    assert group_words(group) == said


def test_ticks_are_round_numbers_inside():
    assert ticks(-0.031, 0.043) == [-0.02, 0.0, 0.02, 0.04]
    assert Forest(0.0, 1.0).x(0.25) == 50.0  # a quarter of a drawing 200 wide


FILMS = pd.DataFrame(
    {
        "cohort": "external", "partition": "test",
        "patient_id": ["p1", "p1", "p2", "p3"],
        "label": [0, 1, 0, 0],
        "age": [10, 10, 30, 50],
        "sex": ["F", "F", "M", "F"],
        "view": ["frontal", "lateral", "frontal", "frontal"],
    }
)  # fmt: skip


def test_table_one_counts_films_and_patients():
    """Patient p1 has a normal and a malignant film: one malignant patient; p2 and p3 are the others."""
    by_film, by_patient = (characteristics(FILMS, unit) for unit in ("film", "patient"))
    assert by_film.heads[1:] == by_patient.heads[1:] == ["#External: malignant", "#External: not malignant"]
    assert by_film.rows[:2] == [["Films", "1", "3"], ["Patients", "1", "3"]]
    assert by_patient.rows[0] == ["Patients", "1", "2"]
    assert not any(str(r[0]).startswith("View") for r in by_patient.rows)  # a patient has films of several views


def test_films_count_the_runs_that_miss_them():
    films = pd.DataFrame(
        {
            "image_id": ["f1", "f1"],
            "arm": ["scratch", "transfer"],
            "runs": 3,
            "called": [1, 3],
            "mean_score": [0.2, 0.9],
        }
    )
    found = film_table(films, "Missed", LABELS, "missed")
    assert found.rows[0][1:] == ["2 of 3", "0.200", "0 of 3", "0.900"]
    assert 'href="#film-f1"' in found.rows[0][0]


def test_of_very_many_films_the_first_are_shown_and_the_caption_says_so():
    films = pd.DataFrame({"image_id": [f"f{i:03d}" for i in range(401)], "arm": "scratch", "runs": 3, "called": 0,
                          "missed": 3, "mean_score": 0.1, "label": 1})  # fmt: skip
    shown = film_table(films, "Missed", LABELS, "missed")
    assert len(shown.rows) == 400
    assert "the first 400; tables/films.csv holds all" in str(shown.__html__())
    assert len(film_table(films[:400], "Missed", LABELS, "missed").rows) == 400
