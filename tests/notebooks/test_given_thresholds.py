"""Given thresholds: a vendor's cut and a reader's calls of 0 and 1, counted by hand."""

from __future__ import annotations

import pandas as pd
import pytest

from diagnostic_accuracy.estimates import one, select
from notebooks.finished_study import explore, page_of, with_scores
from osteotl.scores_files.reading import ScoresError, check_scores, read_scores

pytestmark = pytest.mark.slow

# Ten malignant, then ten normal films. At 0.37 (a score of 0.37 is called) the vendor finds m1 to m7 and calls n1, n2;
# the reader finds m1 to m6, m8, m9 and calls n2.
VENDOR = [0.9, 0.9, 0.8, 0.8, 0.7, 0.6, 0.37, 0.36, 0.2, 0.1, 0.5, 0.37, 0.36, 0.3, 0.2, 0.1, 0.1, 0.1, 0.0, 0.05]
READER = [1, 1, 1, 1, 1, 1, 0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]
GIVEN = {"vendor": 0.37, "reader": 1}
POINT = {"point": "given", "threshold_from": "given"}


def table():
    films = [f"m{i}" for i in range(1, 11)] + [f"n{i}" for i in range(1, 11)]
    frame = pd.DataFrame({"image_id": films, "label": [1] * 10 + [0] * 10})
    return pd.concat([frame.assign(arm=arm, score=scores) for arm, scores in (("reader", READER), ("vendor", VENDOR))])


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    points = {"high_sensitivity": None, "high_specificity": None, "youden": False, "given": GIVEN}
    statistics = {"bootstrap": 200, "operating_points": points}
    return with_scores(tmp_path_factory.mktemp("given"), table(), "reader", statistics=statistics)


@pytest.fixture(scope="module")
def explored(study):
    return explore(study, {})


def test_the_tables_are_those_of_a_hand_count(explored):
    found = select(explored.results, section="as_published", run="0", reference=None, **POINT)
    counts = {(row["arm"], row["measure"]): (row["events"], row["n"]) for _, row in found.iterrows()}
    assert [counts["vendor", name] for name in ("sensitivity", "specificity", "ppv")] == [(7, 10), (8, 10), (7, 9)]
    assert [counts["reader", name] for name in ("sensitivity", "specificity", "ppv")] == [(8, 10), (9, 10), (8, 9)]
    # m7 is found by the vendor alone, m8 and m9 by the reader alone; n1 is called by the vendor alone
    discordant = {
        rate: one(explored.results, measure="mcnemar_exact", group=rate, **POINT)
        for rate in ("sensitivity", "specificity")
    }
    assert [row["events"] for row in discordant.values()] == [3, 1]
    # exact, two-sided: 2 * P(X <= 1), X binomial (3, 1/2): 2 * 4/8, and 2 * P(X <= 0), X binomial (1, 1/2)
    assert [row["p"] for row in discordant.values()] == [1, 1]


def test_rates_and_their_difference_hold_the_thresholds_fixed(explored):
    rows = select(explored.results, section="operating_points", measure="sensitivity", run=None, unit="film", **POINT)
    assert dict(zip(rows["arm"] + rows["reference"], rows["estimate"].round(12), strict=True)) == {
        "reader": 0.8, "vendor": 0.7, "vendorreader": -0.1}  # fmt: skip
    assert rows["basis"].str.endswith("; given thresholds held fixed").all()
    # nothing but these ten films varies: the variance of 0.7 is 0.7 * 0.3 / 10, so Wilson's limits are those at n = 10
    vendor = rows[(rows["arm"] == "vendor") & (rows["reference"] == "")].iloc[0]
    assert vendor["lower"] == pytest.approx(0.3968, abs=0.02)
    assert vendor["upper"] == pytest.approx(0.8922, abs=0.02)
    assert rows["p_adjusted"].notna().sum() == 1


def test_the_page_says_that_they_are_fixed(study, explored):
    page = page_of(study)
    points = page.select_one("#points").get_text(" ")
    assert "Thresholds given beforehand" in points
    assert "Given thresholds are analysed as fixed" in points
    assert "Nothing was locked: the scores were made elsewhere" in page.select_one("#plan").get_text(" ")
    assert "thresholds given beforehand" in page.select_one("#differences").get_text(" ")
    assert "At the threshold given beforehand" in page.select_one("#summary").get_text(" ")
    assert "There are no validation films: scores could not be recalibrated" in page.select_one(
        "#limitations"
    ).get_text(" ")
    assert "the sites are not known" in page.select_one("#omissions").get_text(" ")


def test_every_arm_of_a_file_has_one_or_none(tmp_path, capsys):
    table().to_csv(tmp_path / "scores.csv", index=False)
    with pytest.raises(ScoresError) as caught:
        read_scores(tmp_path / "scores.csv", None, ["vendorr"])
    assert [fault.partition("given: ")[2] for fault in caught.value.faults] == [
        "'vendorr' is no arm; the arms are 'reader', 'vendor'",
        "there is no threshold for 'reader'; give every arm one (1 for calls of 0 and 1), or none",
        "there is no threshold for 'vendor'; give every arm one (1 for calls of 0 and 1), or none",
    ]
    assert check_scores(tmp_path / "scores.csv", None, ["vendor"]) == 2
    assert "no threshold for 'reader'" in capsys.readouterr().err
