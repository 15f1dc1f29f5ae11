"""Paired calls with patients as clusters."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from osteotl.statistics import checks
from osteotl.statistics.paired import mcnemar, paired_table
from osteotl.statistics.paired_clustered import clustered_difference, clustered_mcnemar

calls = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=2, max_size=30)


@given(calls)
def test_one_film_a_patient_is_mcnemar(pairs):
    arm, reference = np.array(pairs).T
    ours, plain = clustered_mcnemar(arm, reference, range(len(pairs))), mcnemar(paired_table(arm, reference))
    assert (ours.p is None) == (plain.uncorrected is None)
    assert ours.p is None or ours.p == pytest.approx(plain.uncorrected)


@given(calls)
def test_duplicated_films_change_nothing(pairs):
    arm, reference = np.array(pairs).T
    once = clustered_mcnemar(arm, reference, range(len(pairs)))
    twice = clustered_mcnemar(np.repeat(arm, 2), np.repeat(reference, 2), np.repeat(range(len(pairs)), 2))
    assert once.p == twice.p


def test_durkalski_by_hand():
    # patients: d_k = (b - c)/n: a 2/2, b 1/2, c -1/1; chi2 = .5^2 / (1 + .25 + 1)
    ours = clustered_mcnemar([1, 1, 1, 1, 0], [0, 0, 0, 1, 1], list("aabbc"))
    assert ours.statistic == pytest.approx(0.5**2 / 2.25)


def test_nothing_to_compare_says_why():
    assert clustered_mcnemar([1, 0], [1, 0], [0, 1]).not_estimable == checks.NO_DISCORDANT
    assert "cancel" in clustered_mcnemar([1, 0], [0, 1], [0, 0]).not_estimable
    assert clustered_difference([1, 0], [1, 0], [0, 1]).not_estimable == checks.NO_DISCORDANT


def test_bad_input():
    with pytest.raises(ValueError, match="patients has 1 values"):
        clustered_mcnemar([1, 0], [0, 1], ["a"])
