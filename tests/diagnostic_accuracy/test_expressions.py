"""Conditions of people: what they mean (pandas' own `query` is the reference), and that nothing else is possible."""

from __future__ import annotations

import ast
import string
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diagnostic_accuracy.expressions import MAX_CHARACTERS, evaluate

TABLE = pd.DataFrame(
    {
        "site": ["A", "B", None, "A", "a`b"],
        "age": [30.0, 50.0, np.nan, 70.0, 40.0],
        "dose": [1, 2, 3, 4, 5],
        "age at film": [1.0, np.nan, 3.0, 4.0, 5.0],
        "view": ["ap", "lateral", "ap oblique", None, "a.p"],
        "flag": [True, False, True, False, True],
        "class": ["x", "y", "x", "y", "x"],
        "empty": [None] * 5,
    }
)


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        # written out by hand from the rule for missing values in the module's documentation
        ("site == 'A'", [0, 3]),
        ("site != 'A'", [1, 2, 4]),
        ("not (site == 'A')", [1, 2, 4]),
        ("age < 50", [0, 4]),
        ("not age < 50", [1, 2, 3]),
        ("not (age < 50) and age.notna()", [1, 3]),
        ("age.isna()", [2]),
        ("40 <= age < 70", [1, 4]),
        ("50 > age", [0, 4]),
        ("age >= dose", [0, 1, 3, 4]),
        ("dose in [1, 3]", [0, 2]),
        ("site not in ['A']", [1, 2, 4]),
        ("site.isin(['A', 'B'])", [0, 1, 3]),
        ("~site.isin(('A', 'B'))", [2, 4]),
        ("view.str.contains('ap')", [0, 2]),
        ("view.str.contains('a.p')", [4]),
        ("view.str.contains('a|l')", []),
        ("not view.str.contains('ap')", [1, 3, 4]),
        ("view.str.startswith('ap') or view.str.endswith('al')", [0, 1, 2]),
        ("`age at film` > 2", [2, 3, 4]),
        ("`age at film` > 2 and `class` == 'x'", [2, 4]),
        ("site == 'a`b'", [4]),
        ("site == 'a`b' or view == '`'", [4]),
        ("site == 'A' & dose > 1", [3]),
        ("site == 'A' | dose > 4", [0, 3, 4]),
        ("flag", [0, 2, 4]),
        ("~flag and dose == 2", [1]),
        ("flag == True", [0, 2, 4]),
        ("dose > -1 and dose < +3.5e0", [0, 1, 2]),
        ("dose == 1 or dose == 2 and age > 60", [0]),
        ("(dose == 1 or dose == 4)\n  and age > 60", [3]),
        ("empty == 'A' or empty > 3", []),
        ("empty != 'A'", [0, 1, 2, 3, 4]),
        ("dose in []", []),
    ],
)  # fmt: skip
def test_what_a_condition_keeps(text, rows):
    answer = evaluate(text, TABLE)
    assert answer.dtype == bool
    assert np.flatnonzero(answer).tolist() == rows


REFUSED = [
    # code
    "site == '`' or @pd.io.common.os.system('touch x') == 0 or site == '`'",
    "label.to_pickle('x')", "dose.to_csv('x')", "__class__", "dose.__class__ == 1", "().__class__", "(lambda: 1)()",
    "__import__('os').system('true')", "site == 'A'; import os", "dose.values.tofile('x')", "[x for x in dose]",
    "f'{dose}' == site", "site.str.contains(site)", "site.isin(dose)", "site.isin(*['A'])", "print(1)", "dose(1)",
    "site.str.contains('A', regex=True)", "site.str.replace('A', 'B') == 'B'", "dose.map(print) == 1", "x := 1",
    "site[0] == 'A'", "dose if dose else dose", "await dose", "dose.isna(1)", "yield",
    # no condition, or one that cannot be answered
    "", "  ", "dose", "dose ==", "dose + 1", "dose + 1 == 2", "'a' * 9", "1 / 0", "1", "'A'", "1 == 1", "'A' == 'A'",
    "site", "nothing == 1", "site > 3", "dose == 'A'", "dose in ['A']", "dose.str.contains('1')", "dose = 1",
    "site = 'A'", "dose == 1 && dose == 2", "dose == 1 || dose == 2", "site AND dose", "dose <> 1", "!flag",
    "dose == [1, 2]", "dose in 1", "'A' in site", "site is None", "site == None", "dose == 1j", "site == b'A'",
    "dose == 1e999", "dose == " + "9" * 400, "dose == " + "9" * 5000, "dose == -'1'", "-dose == 1", "`dose == 1",
    "`` == 1", "site == 'A", "site == '''A'''", "dose == 1 # or site", "dose == 1\0", "site == '\u202eA'",
    "site == '\x1b[2J'", "dose == 1\x07", "site and dose == 1", "...", "*dose", "{} == dose", "age == site",
    # size
    "not " * 2400 + "flag", "-" * 9000 + "1 == dose", "(" * 4000 + "flag" + ")" * 4000, "flag" + ".str" * 2000,
    "flag" + "(1)" * 3000, "[" * 9000, "dose ** " * 1200 + "1", "flag or " * 5000 + "flag", "lambda: " * 1200 + "flag",
]  # fmt: skip


@pytest.mark.parametrize("text", REFUSED, ids=lambda text: text[:40].replace("\0", "NUL") or "empty")
def test_anything_else_is_refused_in_one_sentence(text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r"\w") as caught:
        evaluate(text, TABLE)
    message = str(caught.value)
    assert type(caught.value) is ValueError
    assert len(message) < 900
    assert "\n" not in message
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sit == 'A'", "there is no column 'sit'; did you mean site?"),
        ("AGE > 3", "did you mean age?"),
        ("site = 'A'", "write == to compare"),
        ("site == 'A' && flag", "write and, or"),
        ("dose == 'A'", "dose holds numbers and is compared with 'A'; write it without quotes"),
        ("site == 1", "site holds texts and is compared with 1; write it in quotes"),
        ("site == None", "write .isna()"),
        ("dose", "dose alone is no condition; compare it with a value, as in dose == 1"),
        ("dose == [1, 2]", "write in [...]"),
        ("'A' in site", ".str.contains"),
        ("`age at fil` > 1", "there is no column 'age at fil'; did you mean age at film?"),
    ],
)
def test_the_message_says_how_to_mend_it(text, said):
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the message is compared below, as plain text
        evaluate(text, TABLE)
    assert said in str(caught.value)


def test_names_in_backticks_are_names_of_columns():
    table = pd.DataFrame({"a b": [1, 4], "'": [2, 2], "column0": [1, 1], "b c": [2, 3]})
    assert evaluate("`a b` > 1 and (column0 == 7 or 3 < `a b`) and `'` == 2", table).tolist() == [False, True]
    assert evaluate("column0 == 1 and `b c` == 2", table).tolist() == [True, False]


def test_a_column_that_stands_twice_is_refused():
    twice = pd.concat([TABLE, TABLE[["dose"]]], axis=1)
    with pytest.raises(ValueError, match="stands 2 times"):
        evaluate("dose == 1", twice)


def test_an_empty_table_and_other_indices():
    assert evaluate("site == 'A' and age > 3", TABLE.iloc[:0]).shape == (0,)
    assert evaluate("site == 'A' and age < 50", TABLE.set_index(pd.Index([7, 7, 8, 9, 9]))).tolist() == [True] + 4 * [
        False
    ]


@pytest.mark.parametrize("dtype", ["Int64", "float32", "object", "category", "uint8"])
def test_numbers_of_any_kind(dtype):
    table = pd.DataFrame({"dose": pd.Series([1, 2, 300 if dtype != "uint8" else 30]).astype(dtype)})
    assert evaluate("1 < dose <= 2 or dose in [1]", table).tolist() == [True, True, False]
    assert evaluate("dose != -1", table).all()


@pytest.mark.parametrize("dtype", ["object", "string", "category"])
def test_texts_of_any_kind(dtype):
    table = pd.DataFrame({"site": pd.Series(["A", None, "B"]).astype(dtype)})
    assert evaluate("site == 'A' or site.str.contains('B')", table).tolist() == [True, False, True]
    assert evaluate("site != 'A'", table).tolist() == [False, True, True]


# --- the same answer as pandas, on conditions made by a grammar -------------------------------------------------------

NUMBERS = st.sampled_from(["dose", "age", "`age at film`"])
TEXTS = st.sampled_from(["site", "view", "`class`"])
SIGNS = st.sampled_from(["==", "!=", "<", "<=", ">", ">="])
NUMBER = st.one_of(st.integers(-3, 80).map(str), st.sampled_from(["2.5", "1e1", "-0.5"]))
TEXT = st.sampled_from(["A", "B", "ap", "x", "", "a.p", "it's", "a`b", "a & b"]).map(repr)
COMPARED = st.one_of(
    st.builds("{} {} {}".format, NUMBERS, SIGNS, NUMBER),
    st.builds("{} {} {}".format, NUMBER, SIGNS, NUMBERS),
    st.builds("{} {} {}".format, NUMBERS, SIGNS, NUMBERS),
    st.builds("{} < {} <= {}".format, NUMBER, NUMBERS, NUMBER),
    st.builds("{} {} {}".format, TEXTS, st.sampled_from(["==", "!="]), TEXT),
    st.builds(
        "{}{}in [{}]".format, NUMBERS, st.sampled_from([" ", " not "]), st.lists(NUMBER, min_size=1).map(", ".join)
    ),
    st.builds("{}{}in [{}]".format, TEXTS, st.sampled_from([" ", " not "]), st.lists(TEXT, min_size=1).map(", ".join)),
)
CONDITIONS = st.recursive(
    COMPARED,
    lambda inner: st.one_of(
        st.builds("({} and {})".format, inner, inner),
        st.builds("({} or {})".format, inner, inner),
        st.builds("not ({})".format, inner),
        st.builds("({}) & ({})".format, inner, inner).map("({})".format),
        st.builds("({}) | ({})".format, inner, inner).map("({})".format),
    ),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None)
@given(CONDITIONS)
def test_the_answer_is_that_of_pandas(text):
    expected = TABLE.query(text, engine="python").index
    assert np.flatnonzero(evaluate(text, TABLE)).tolist() == expected.tolist()


# --- whatever is written, nothing but a condition is ever answered ----------------------------------------------------

PIECES = st.sampled_from(
    [*"()[]`'\",.:@~&|\\#=-*<\n \0", "site", "dose", "age", "`age at film`", "'A'", "'`'", "1", "==", "in", "not",
     "and", "or", "str", "contains", "isin", "__class__", "lambda", "os", "system", "('true')", "to_pickle", ":=",
     "**", "if", "else", "for", "None", "is"]
)  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(st.one_of(st.lists(PIECES, max_size=25).map(" ".join), st.lists(PIECES, max_size=25).map("".join),
                 st.text(string.printable, max_size=60), st.text(max_size=40)))  # fmt: skip
def test_any_text_is_answered_or_refused(text):
    try:
        answer = evaluate(text, TABLE)
    except ValueError as error:
        said = str(error)
    else:
        said = "answered"
        assert answer.shape == (len(TABLE),)
        assert answer.dtype == bool
    assert said


def test_a_long_list_of_patients_is_read():
    listed = [f"P{number:05d}" for number in range(1000)]
    text = f"patient_id in {listed}"
    assert len(text) > MAX_CHARACTERS / 2
    table = pd.DataFrame({"patient_id": ["P00007", "P99999"]})
    with pytest.raises(ValueError, match="at most"):
        evaluate(f"{text} or {text}", table)
    short = f"patient_id in {listed[:800]}"
    assert evaluate(short, table).tolist() == [True, False]


def test_nothing_in_the_library_evaluates_text():
    """No `eval`, `exec` or `query` anywhere (a detector's `.eval()` has no argument and evaluates no text)."""
    lib = Path(__file__).parents[2] / "lib"
    found = []
    for path in lib.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                if called in ("eval", "exec", "query") and (node.args or node.keywords):
                    found.append(f"{path.name}:{node.lineno}")
    assert not found
