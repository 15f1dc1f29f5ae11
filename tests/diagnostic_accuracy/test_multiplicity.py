"""Adjusted families; R's p.adjust comes in through tests/test_oracles.py."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from diagnostic_accuracy.multiplicity import METHODS, adjust, adjust_family

family = st.lists(st.floats(0, 1), min_size=1, max_size=12)


@given(family, st.sampled_from(sorted(METHODS)))
def test_adjusting_never_helps_and_keeps_the_order(p, method):
    ours = adjust(p, method)
    assert all(p[i] - 1e-12 <= ours[i] <= 1 for i in range(len(p)))
    assert all(ours[i] <= ours[j] + 1e-12 for i in range(len(p)) for j in range(len(p)) if p[i] <= p[j])


def test_holm_of_the_published_family():
    # STUDY.md: the four printed secondary p values -> .0308, .09, .09, .09
    assert adjust([0.037, 0.030, 0.0077, 0.041]) == pytest.approx([0.09, 0.09, 0.0308, 0.09])


def test_a_test_that_could_not_be_made_still_counts():
    ours = adjust_family(pd.Series({"a": 0.01, "b": np.nan}))
    assert ours["a"] == pytest.approx(0.02)
    assert np.isnan(ours["b"])
    assert adjust_family(pd.Series(dtype=float)).empty


@pytest.mark.parametrize(("p", "message"), [([], "p is empty"), ([0.1, float("nan")], "is nan"), ([1.2], "1.2")])
def test_bad_input(p, message):
    with pytest.raises(ValueError, match=message):
        adjust(p)


@pytest.mark.parametrize(
    ("method", "theirs"),
    [
        ("holm", "holm"),
        ("bh", "fdr_bh"),
        ("bonferroni", "bonferroni"),
    ],
)
@settings(max_examples=10)  # statsmodels collects garbage at every call, which takes a second in a long session
@given(p=family)
def test_equal_to_statsmodels(method, theirs, p):
    expected = np.minimum(multipletests(p, method=theirs)[1], 1)
    # below 1e-300 floats lose digits, and the two divide in another order
    np.testing.assert_allclose(adjust(p, method), expected, rtol=1e-12, atol=1e-300)
