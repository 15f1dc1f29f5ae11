"""The sentences of the answer box, case by case."""

from types import SimpleNamespace

import pytest

from osteotl.html import join
from osteotl.report.summary import AT_THRESHOLD, Comparison, answer, few_runs, relevance, undecided

# Intervals are chosen by hand around a margin of 0.03; the wanted words follow from where they lie.
BETTER_BY_FAR = (0.050, 0.035, 0.065)  # wholly above the margin
SLIGHTLY = (0.019, 0.001, 0.037)  # above zero, estimate below the margin, reaches beyond it
BELOW_MARGIN = (0.012, 0.004, 0.020)  # above zero, wholly below the margin
LARGE_BUT_OPEN = (0.040, 0.010, 0.070)  # above zero, estimate above the margin, interval on both sides of it
EQUIVALENT = (0.002, -0.015, 0.019)  # around zero, wholly within the margin
UNDECIDED = (0.010, -0.020, 0.040)  # around zero, reaches beyond the margin


def row(numbers, measure="auc", reference="scratch", p=0.04, note=""):
    estimate, lower, upper = numbers
    return {"measure": measure, "reference": reference, "reference_group": "", "estimate": estimate, "lower": lower,
            "upper": upper, "p": p, "note": note}  # fmt: skip


def negative(numbers):
    estimate, lower, upper = numbers
    return -estimate, -upper, -lower


def compare(numbers, **more):
    burdens = {
        "film": {
            "missed_per_100": row((-2.0, -6.0, 2.0), "missed_per_100", p=0.3),
            "false_alarms_per_1000": row((10.0, -30.0, 50.0), "false_alarms_per_1000", p=0.6),
        },
        "patient": {
            "missed_per_100": row((-1.0, -5.0, 3.0), "missed_per_100", p=0.6),
            "false_alarms_per_1000": row((12.0, -40.0, 64.0), "false_alarms_per_1000", p=0.6),
        },
    }
    settings = {
        "model": "pretrained",
        "reference": "from scratch",
        "auc": row((0.966, 0.95, 0.98), reference=""),
        "auc_reference": row((0.947, 0.93, 0.96), reference=""),
        "difference": row(numbers),
        "margin": 0.03,
        "burdens": burdens,
        "reached": (row((0.84, 0.7, 0.9), "sensitivity", ""), row((0.88, 0.8, 0.93), "sensitivity", "")),
        "target": 0.9,
        "threshold_from": "validation",
        "equal": row((0.044, -0.037, 0.126), "specificity"),
    }
    return Comparison(**{**settings, **more})


@pytest.mark.parametrize(
    ("numbers", "heading", "separation", "relevant"),
    [
        (BETTER_BY_FAR, "Better, by a relevant difference", "films clearly better than", "larger than the 0.03"),
        (SLIGHTLY, "Slightly better; a relevant difference is not excluded", "films slightly better than",
         "smaller than the 0.03 that the study called relevant; a relevant difference is not excluded"),
        (BELOW_MARGIN, "Slightly better, by less than a relevant difference", "films slightly better than",
         "over the whole interval: a relevant difference is excluded"),
        (LARGE_BUT_OPEN, "Better; how relevant is open", "films better than", "a smaller, irrelevant difference"),
        (EQUIVALENT, "No relevant difference", "about equally well", "a relevant difference is excluded"),
        (UNDECIDED, "Undecided: no difference shown, and a relevant one not excluded", "better is not shown",
         "a relevant difference is not excluded"),
        (negative(SLIGHTLY), "Slightly worse; a relevant difference is not excluded", "films slightly worse than",
         "smaller than the 0.03"),
        (negative(BETTER_BY_FAR), "Worse, by a relevant difference", "films clearly worse than", "larger than"),
        (negative(BELOW_MARGIN), "Slightly worse, by less than a relevant difference", "films slightly worse than",
         "a relevant difference is excluded"),
    ],
)  # fmt: skip
def test_heading_and_words_follow_from_interval_and_margin(numbers, heading, separation, relevant):
    said = answer(compare(numbers))
    lines = dict(said.lines)
    assert said.heading == heading
    assert separation in lines["Separation"].striptags()
    assert relevant in lines["Relevance"].striptags()
    assert "find" not in " ".join(line.striptags() for line in lines.values())  # an AUC does not find tumours


def test_separation_gives_both_areas_the_difference_its_interval_and_p():
    text = dict(answer(compare(SLIGHTLY)).lines)["Separation"].striptags().replace("\N{NO-BREAK SPACE}", " ")
    assert text.endswith("AUC 0.966 v 0.947, difference +0.019 (+0.001 to +0.037), p = 0.040.")


def test_the_threshold_line_gives_target_and_reached_and_a_table_both_units():
    said = answer(compare(SLIGHTLY))
    text = dict(said.lines)[AT_THRESHOLD].striptags()
    assert text == (
        "At the locked threshold (target 90 %, reached 84.0 % v 88.0 %), no difference in missed tumours or false "
        "alarms is shown."
    )
    cells = [
        [str(join(cell).striptags()).replace("\N{NO-BREAK SPACE}", " ") for cell in row] for row in said.table.rows
    ]
    assert cells == [
        ["Missed tumours per 100 malignant", "−2.0 (−6.0 to +2.0), p = 0.300", "−1.0 (−5.0 to +3.0), p = 0.600"],
        ["False alarms per 1,000 normal", "+10 (−30 to +50), p = 0.600", "+12 (−40 to +64), p = 0.600"],
    ]


def test_a_trade_is_told_as_one():
    burdens = {
        "missed_per_100": row((-5.0, -8.0, -2.0), "missed_per_100"),
        "false_alarms_per_1000": row((40.0, 10.0, 70.0), "false_alarms_per_1000"),
    }
    text = dict(answer(compare(SLIGHTLY, burdens={"film": burdens})).lines)[AT_THRESHOLD].striptags()
    assert text.endswith("it misses fewer tumours and it raises more false alarms.")


@pytest.mark.parametrize(
    ("missed", "alarms", "wanted"),
    [
        ((-2.0, -6.0, 2.0), (10.0, -30.0, 50.0), True),  # nothing shown
        ((-5.0, -8.0, -2.0), (40.0, 10.0, 70.0), True),  # fewer missed, more alarms: a trade
        ((-5.0, -8.0, -2.0), (10.0, -30.0, 50.0), True),  # fewer missed, perhaps more alarms
        ((-5.0, -8.0, -2.0), (-10.0, -30.0, 10.0), False),  # fewer missed, no more alarms
        ((5.0, 2.0, 8.0), (10.0, -30.0, 50.0), False),  # more missed, no fewer alarms
    ],
)
def test_specificity_at_equal_sensitivity_stands_where_the_threshold_decides_nothing(missed, alarms, wanted):
    burdens = {
        "missed_per_100": row(missed, "missed_per_100"),
        "false_alarms_per_1000": row(alarms, "false_alarms_per_1000"),
    }
    assert undecided(burdens) is wanted
    names = [name for name, _ in answer(compare(SLIGHTLY, burdens={"film": burdens})).lines]
    assert ("At equal sensitivity" in names) is wanted
    assert len(names) == 3 + wanted


def test_a_caution_stands_in_place_of_a_verdict_and_no_word_of_judgement_remains():
    said = answer(compare(SLIGHTLY, in_place="source and class coincide", beside=["an audit alarm was raised."]))
    text = " ".join(line.striptags() for _, line in said.lines)
    assert said.heading == "No verdict"
    assert "Source and class coincide." in text
    assert "better" not in text
    assert "+0.019" in text  # the numbers stay
    assert said.beside == ["an audit alarm was raised."]


def test_a_missing_difference_gives_its_reason():
    missing = row((float("nan"),) * 3, p=float("nan"), note="a model scores all films alike")
    said = answer(compare(SLIGHTLY, difference=missing))
    assert said.heading == "No verdict"
    assert "a model scores all films alike" in said.lines[0][1].striptags()


def test_a_declared_objective_is_answered_in_its_words():
    assert answer(compare(UNDECIDED, word="equivalent", objective="equivalence")).heading == "No relevant difference"
    said = answer(compare((0.005, -0.02, 0.04), word="non-inferior", objective="noninferiority"))
    assert said.heading == "Not relevantly worse; whether better is open"


def test_without_a_threshold_the_line_says_so():
    said = dict(answer(compare(SLIGHTLY, burdens={}, threshold_from="", reached=None, target=None)).lines)
    assert "no threshold" in said[AT_THRESHOLD].striptags()


def test_labels_are_escaped():
    text = str(dict(answer(compare(SLIGHTLY, model="<b>x</b>")).lines)["Separation"])
    assert "<b>" not in text
    assert "&lt;b&gt;x" in text


def test_relevance_needs_an_interval():
    assert relevance(row((0.05, float("nan"), float("nan"))), 0.03) == "open"


@pytest.mark.parametrize(
    ("counts", "phantoms", "said"),
    [
        ((3, 3), True, "rest on 3 training runs per model."),
        ((5, 1), True, "rest on 1 training run per model."),
        ((5, 5), True, None),
        ((3, 3), False, None),
    ],
)
def test_phantoms_with_few_runs_name_the_study_with_five(counts, phantoms, said):
    runs = {arm: list(range(count)) for arm, count in zip(("scratch", "transfer"), counts, strict=True)}
    told = few_runs(SimpleNamespace(runs=runs, phantoms=phantoms))
    assert (told is None) == (said is None)
    assert said is None or (said in told and "studies/phantoms_five_runs.yaml" in told)
