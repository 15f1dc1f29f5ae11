"""The table of results: identity, reading and writing, selecting; a declared family in it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from diagnostic_accuracy.estimates import (
    COLUMNS,
    Estimate,
    estimates_of,
    join,
    one,
    read_results,
    results,
    select,
    to_csv,
)
from diagnostic_accuracy.multiplicity import CLOSED, adjust_table

NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\r\x00"), min_size=1, max_size=12)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)


@given(st.lists(st.tuples(NAMES, NUMBERS, st.none() | NUMBERS), min_size=1, max_size=6, unique_by=lambda row: row[0]))
def test_what_is_written_is_read(tmp_path_factory, rows):
    """Commas, quotes, line ends, emoji, 'NA' and 'nan' in names; every digit of a number."""
    table = results({"section": "x", "measure": "auc", "arm": a, "estimate": v, "at": t} for a, v, t in rows)
    path = tmp_path_factory.mktemp("results") / "statistics.csv"
    path.write_text(to_csv(table), encoding="utf-8", newline="")
    pd.testing.assert_frame_equal(read_results(path), table)


@pytest.mark.parametrize("name", ["NA", "nan", "None", "1.0", "a,b", 'a"b', "=1+1", "🦴"])
def test_names_that_look_like_something_else(tmp_path, name):
    path = tmp_path / "x.csv"
    path.write_text(to_csv(results([{"arm": name, "run": "01", "estimate": 0.1}])), encoding="utf-8")
    row = one(read_results(path), arm=name)
    assert (row["arm"], row["run"]) == (name, "01")


def test_identity_is_unique():
    row = {"section": "x", "measure": "auc", "arm": "a", "at": 0.1}
    with pytest.raises(ValueError, match="1 rows repeat"):
        results([row, row])
    table = results([row, row | {"at": 0.2}, row | {"prevalence": 0.1}])
    assert list(table.columns) == list(COLUMNS)
    assert len(join(table, table.assign(arm="b"))) == 6
    with pytest.raises(ValueError, match="no columns"):
        results([{"mesure": "auc"}])
    assert list(results([]).columns) == list(COLUMNS)


def test_selecting():
    rows = [{"arm": "a", "at": None}, {"arm": "a", "at": 0.1 + 0.2}, {"arm": "b", "at": 0.3}]
    table = results(rows)
    assert len(select(table, at=0.3)) == 2
    assert len(select(table, at=None)) == 1
    assert len(select(table, arm=["a", "c"])) == 2
    assert len(select(table, reference=None)) == 3
    with pytest.raises(ValueError, match="2 rows have"):
        one(table, arm="a")
    with pytest.raises(ValueError, match="no identifying column"):
        select(table, estimate=1)


def test_an_estimate_is_finite_or_says_why():
    with pytest.raises(ValueError, match="without a note"):
        Estimate(None, None, None, "m", 3)
    with pytest.raises(ValueError, match="lower is nan"):
        Estimate(0.5, np.nan, 1.0, "m", 3)
    with pytest.raises(ValueError, match="no identifying"):
        Estimate(0.5, 0.4, 0.6, "m", 3).row(estimate=2)
    found = {"a": Estimate(0.5, 0.4, 0.6, "m", 3, p=0.2, df=4, basis="b", events=2)}
    found["b"] = Estimate.missing("why", "m", 3)
    assert estimates_of(results(number.row(arm=arm) for arm, number in found.items()), "arm") == found


def test_reading_another_table(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match=r"x\.csv is no table of results: it lacks the columns section"):
        read_results(path)


def family():
    base = {"section": "operating_points", "unit": "film", "point": "hs", "threshold_from": "validation"}
    p = {("sensitivity", "a"): 0.01, ("specificity", "a"): 0.02, ("sensitivity", "b"): 0.03, ("specificity", "b"): None}
    rows = [base | {"measure": m, "arm": arm, "reference": "r", "p": value} for (m, arm), value in p.items()]
    others = [{"reference": ""}, {"run": "1"}, {"prevalence": 0.1}, {"threshold_from": "external"}, {"unit": "patient"}]
    others += [{"group": "sex=F"}, {"point": "youden"}, {"measure": "ppv"}]
    return results(rows + [rows[0] | {"p": 0.001} | other for other in others])


def test_a_family_in_the_table():
    """Holm over the tests of all arms, one that could not be made counting as p = 1; no other row enters."""
    names = ["sensitivity@hs", "specificity@hs"]
    table = adjust_table(family(), names)
    wanted = multipletests([0.01, 0.02, 0.03, 1.0], method="holm")[1]
    assert table["p_adjusted"].iloc[:3].tolist() == pytest.approx(wanted[:3].tolist())
    assert table["p_adjusted"].iloc[3:].isna().all()
    gated = adjust_table(family(), names, {"a": False, "b": True})
    assert (gated["note"].iloc[:2] == CLOSED).all()
    assert gated["p"].iloc[:2].isna().all()
    assert gated["p_adjusted"].iloc[2] == pytest.approx(0.06)
    assert adjust_table(family(), [])["p_adjusted"].isna().all()
