"""Paired tables. Most reference numbers come in through tests/test_oracles.py."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diagnostic_accuracy import checks
from diagnostic_accuracy.paired import (
    DIFFERENCE_METHODS,
    PairedCalls,
    PairedTable,
    clustered_difference,
    clustered_mcnemar,
    compare_predictive_values,
    mcnemar,
    mcnemar_joint,
    odds_ratio_interval,
    paired_calls,
    paired_difference,
    paired_table,
    ppv_bootstrap,
)

tables = st.builds(PairedTable, *[st.integers(0, 25)] * 4).filter(lambda table: table.n > 0)


@pytest.mark.parametrize(
    # STUDY.md: corrected, exact, mid-p, uncorrected of the discordant pairs that the published p values imply
    ("b", "c", "expected"),
    [
        (38, 21, (0.0373, 0.0363, 0.0273, 0.0269)),
        (9, 0, (0.00766, 0.0039, 0.0020, 0.0027)),
        (6, 0, (0.0412, 0.0313, 0.0156, 0.0143)),
    ],
)
def test_the_published_p_values(b, c, expected):
    ours = mcnemar(PairedTable(100, b, c, 50))
    values = (ours.corrected, ours.exact, ours.midp, ours.uncorrected)
    assert values == pytest.approx(expected, abs=5.1e-5)


def test_no_discordant_pair():
    ours = mcnemar(PairedTable(10, 0, 0, 5))
    assert (ours.exact, ours.midp, ours.corrected, ours.uncorrected) == (1, 1, None, None)
    assert mcnemar_joint(paired_calls([0, 1], [0, 1], [0, 1])) == (None, None)


@given(tables)
def test_swapping_arms(table):
    swapped = PairedTable(table.both, table.reference_only, table.arm_only, table.neither)
    assert mcnemar(table) == mcnemar(swapped)
    for method in DIFFERENCE_METHODS:
        one, other = paired_difference(table, method=method), paired_difference(swapped, method=method)
        assert one.estimate == -other.estimate
        if one.lower is not None:
            assert one.lower == pytest.approx(-other.upper, abs=5e-7)  # Tango's steps stop at 1e-7


@given(tables, st.sampled_from(sorted(DIFFERENCE_METHODS)))
def test_intervals_hold_the_difference(table, method):
    ours = paired_difference(table, method=method)
    if ours.lower is None:
        assert (method, table.discordant) == ("wald", 0)
        return
    assert -1 <= ours.lower <= ours.upper <= 1
    if method in ("tango", "wald"):
        assert ours.lower <= ours.estimate + 1e-12
        assert ours.upper >= ours.estimate - 1e-12


def test_tango_limits_solve_the_score_equation():
    # Tango 1998: the limits are where the score statistic equals z; restricted estimate by brute force
    table = PairedTable(30, 14, 5, 20)
    b, c, n = 14, 5, 69
    ours = paired_difference(table, method="tango")
    for limit in (ours.lower, ours.upper):
        grid = np.linspace(max(0, -limit), (1 - limit) / 2, 400_001)[1:-1]  # P(reference only)
        likelihood = b * np.log(grid + limit) + c * np.log(grid) + (n - b - c) * np.log(1 - 2 * grid - limit)
        q = grid[np.argmax(likelihood)]
        score = (b - c - n * limit) / np.sqrt(n * (2 * q + limit - limit**2))
        assert abs(score) == pytest.approx(1.959963984540054, abs=2e-4)


def test_odds_ratio_ends():
    assert odds_ratio_interval(PairedTable(1, 0, 0, 1)) == (0, np.inf)
    assert odds_ratio_interval(PairedTable(1, 5, 0, 1))[1] == np.inf


def test_counting_pairs():
    calls = paired_calls([1, 1, 1, 0, 0], [1, 1, 0, 1, 0], [1, 0, 0, 0, 0])
    assert calls.malignant == PairedTable(1, 1, 0, 1)
    assert calls.specificity == PairedTable(1, 0, 1, 0)  # rightly negative: both once, the reference alone once


def test_bad_input():
    with pytest.raises(ValueError, match="arm_only is -1"):
        PairedTable(0, -1, 0, 0)
    with pytest.raises(ValueError, match="table is empty"):
        paired_difference(PairedTable(0, 0, 0, 0))
    with pytest.raises(ValueError, match="arm has 2 calls, reference 1;"):
        paired_table([0, 1], [1])
    with pytest.raises(ValueError, match="reference 1, the labels have 2"):
        paired_calls([0, 1], [0, 1], [1])
    with pytest.raises(ValueError, match=r"arm\[0\] is 0.5"):
        paired_table([0.5], [1])
    with pytest.raises(ValueError, match="method is 'exact'"):
        paired_difference(PairedTable(1, 1, 1, 1), method="exact")


# --- patients as clusters ---------------------------------------------------------------------------------------------

pairs = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=2, max_size=30)


@given(pairs)
def test_one_film_a_patient_is_mcnemar(films):
    arm, reference = np.array(films).T
    ours, plain = clustered_mcnemar(arm, reference, range(len(films))), mcnemar(paired_table(arm, reference))
    assert (ours.p is None) == (plain.uncorrected is None)
    assert ours.p is None or ours.p == pytest.approx(plain.uncorrected)


@given(pairs)
def test_duplicated_films_change_nothing(films):
    arm, reference = np.array(films).T
    once = clustered_mcnemar(arm, reference, range(len(films)))
    twice = clustered_mcnemar(np.repeat(arm, 2), np.repeat(reference, 2), np.repeat(range(len(films)), 2))
    assert once.p == twice.p


def test_durkalski_by_hand():
    # patients: d_k = (b - c)/n: a 2/2, b 1/2, c -1/1; chi2 = .5^2 / (1 + .25 + 1)
    ours = clustered_mcnemar([1, 1, 1, 1, 0], [0, 0, 0, 1, 1], list("aabbc"))
    assert ours.estimate == pytest.approx(0.5**2 / 2.25)
    assert ours.n == 3


def test_clustered_difference_by_hand():
    # d = 1, 1, 0, 0, -1 with mean .2; residual sums by patient a 1.6, b -.4, c -1.2: variance 4.16 / 25
    ours = clustered_difference([1, 1, 1, 0, 0], [0, 0, 1, 0, 1], list("aabbc"))
    assert ours.estimate == pytest.approx(0.2)
    # z = .2 / .4079 = .4903
    assert ours.p == pytest.approx(0.6239, abs=1e-4)  # 2 pnorm(-.4903)


def test_nothing_to_compare_says_why():
    assert clustered_mcnemar([1, 0], [1, 0], [0, 1]).note == checks.NO_DISCORDANT
    assert "cancel" in clustered_mcnemar([1, 0], [0, 1], [0, 0]).note
    assert clustered_difference([1, 0], [1, 0], [0, 1]).note == checks.NO_DISCORDANT
    with pytest.raises(ValueError, match="patients has 1 values"):
        clustered_mcnemar([1, 0], [0, 1], ["a"])


# --- predictive values ------------------------------------------------------------------------------------------------

CALLS = PairedCalls(PairedTable(31, 3, 16, 10), PairedTable(13, 19, 4, 54))
IDENTICAL = PairedCalls(PairedTable(31, 0, 0, 10), PairedTable(13, 0, 0, 54))
SILENT = PairedCalls(PairedTable(0, 0, 16, 10), PairedTable(0, 0, 4, 54))  # the arm calls nothing positive


def swap(calls):
    return PairedCalls(
        *(PairedTable(t.both, t.reference_only, t.arm_only, t.neither) for t in (calls.malignant, calls.normal))
    )


def films_of(calls):
    """One row a film of a pair of tables."""
    rows = []
    for label, table in ((1, calls.malignant), (0, calls.normal)):
        for count, arm, reference in (
            (table.both, 1, 1), (table.arm_only, 1, 0), (table.reference_only, 0, 1), (table.neither, 0, 0)
        ):  # fmt: skip
            rows += [(label, arm, reference)] * count
    return np.array(rows).T


@pytest.mark.parametrize("value", ["ppv", "npv"])
def test_score_test_of_swapped_and_of_identical_arms(value):
    one, other = (compare_predictive_values(calls, value) for calls in (CALLS, swap(CALLS)))
    assert one.estimate == pytest.approx(-other.estimate)
    assert one.p == pytest.approx(other.p)
    alike = compare_predictive_values(IDENTICAL, value)
    assert (alike.p, alike.note) == (None, checks.NO_DISCORDANT)


def test_an_arm_that_calls_nothing_positive():
    assert compare_predictive_values(SILENT, "ppv").note == "no film was called positive"
    assert compare_predictive_values(SILENT, "npv").p is not None
    assert ppv_bootstrap(*films_of(SILENT)).note == "no film was called positive"
    with pytest.raises(ValueError, match="value is 'sensitivity'"):
        compare_predictive_values(CALLS, "sensitivity")


def test_bootstrap_of_predictive_values_has_the_standard_error_of_the_delta_method():
    """Counts within classes are independent binomials, so var(PPV) follows from the gradient by hand."""
    calls = PairedCalls(PairedTable(600, 60, 320, 200), PairedTable(260, 380, 80, 1080))
    labels, arm, reference = films_of(calls)
    ours = ppv_bootstrap(labels, arm, reference, draws=4000)
    right, wrong = np.array([660, 920]), np.array([640, 340])
    assert ours.estimate == pytest.approx(float(np.subtract(*(right / (right + wrong)))))
    # gradient of tp / (tp + fp): fp / n^2 and -tp / n^2, with the multinomial covariances of the paired counts
    n = right + wrong
    slopes = np.array([[wrong[0] / n[0] ** 2, -wrong[1] / n[1] ** 2], [-right[0] / n[0] ** 2, right[1] / n[1] ** 2]])
    variance = 0.0
    for slope, table in zip(slopes, (calls.malignant, calls.normal), strict=True):
        p = np.array([table.arm, table.reference]) / table.n
        both = table.both / table.n
        covariance = table.n * (np.array([[p[0], both], [both, p[1]]]) - np.outer(p, p))
        variance += slope @ covariance @ slope
    width = (ours.upper - ours.lower) / (2 * 1.959963984540054)
    assert width == pytest.approx(np.sqrt(variance), rel=0.06)  # 4,000 draws: about 2 % of a percentile width


def test_bootstrap_draws_patients_and_repeats_itself():
    labels, arm, reference = films_of(CALLS)
    ours = ppv_bootstrap(labels, arm, reference, np.arange(labels.size))
    assert ours == ppv_bootstrap(labels, arm, reference)
    doubled = [np.repeat(v, 2) for v in (labels, arm, reference)]
    twice = ppv_bootstrap(*doubled, np.repeat(np.arange(labels.size), 2))
    assert (twice.lower, twice.upper) == pytest.approx((ours.lower, ours.upper))
    assert ppv_bootstrap(*films_of(IDENTICAL)).note == checks.NO_DISCORDANT
    with pytest.raises(ValueError, match="draws is 10"):
        ppv_bootstrap(labels, arm, reference, draws=10)
