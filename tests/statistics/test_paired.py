"""Paired tables. Most reference numbers come in through tests/test_oracles.py."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from osteotl.statistics import checks
from osteotl.statistics.paired import (
    DIFFERENCE_METHODS,
    PairedTable,
    mcnemar,
    mcnemar_joint,
    odds_ratio_interval,
    paired_calls,
    paired_difference,
    paired_table,
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
    assert ours.not_estimable == checks.NO_DISCORDANT
    assert mcnemar_joint(paired_calls([0, 1], [0, 1], [0, 1])) == (None, None)


@given(tables)
def test_swapping_arms(table):
    swapped = PairedTable(table.both, table.reference_only, table.arm_only, table.neither)
    assert mcnemar(table).to_dict() == mcnemar(swapped).to_dict()
    for method in DIFFERENCE_METHODS:
        one, other = paired_difference(table, method=method), paired_difference(swapped, method=method)
        assert one.estimate == -other.estimate
        if one.lower is not None:
            assert one.lower == pytest.approx(-other.upper, abs=5e-7)  # Tango's steps stop at 1e-7


@given(tables, st.sampled_from(DIFFERENCE_METHODS))
def test_intervals_hold_the_difference(table, method):
    ours = paired_difference(table, method=method)
    if ours.lower is None:
        assert (method, table.discordant) == ("wald", 0)
        return
    assert -1 <= ours.lower <= ours.upper <= 1
    if method in ("newcombe", "tango", "wald"):
        assert ours.lower <= ours.estimate + 1e-12
        assert ours.upper >= ours.estimate - 1e-12


def test_tango_limits_solve_the_score_equation():
    # Tango 1998: the limits are where the score statistic equals z; restricted estimate by brute force
    table = PairedTable(30, 14, 5, 20)
    b, c, n = 14, 5, 69
    for limit in paired_difference(table, method="tango").interval:
        grid = np.linspace(max(0, -limit), (1 - limit) / 2, 400_001)[1:-1]  # P(reference only)
        likelihood = b * np.log(grid + limit) + c * np.log(grid) + (n - b - c) * np.log(1 - 2 * grid - limit)
        q = grid[np.argmax(likelihood)]
        score = (b - c - n * limit) / np.sqrt(n * (2 * q + limit - limit**2))
        assert abs(score) == pytest.approx(1.959963984540054, abs=2e-4)


def test_newcombe_by_hand():
    # Newcombe 1998, method 10, for 20 / 12 / 2 / 16: phi from C = 296 - 25, product 32*18*22*28
    table = PairedTable(20, 12, 2, 16)
    wilson = [stats.binomtest(x, 50).proportion_ci(method="wilson") for x in (32, 22)]
    phi = (20 * 16 - 12 * 2 - 25) / np.sqrt(32 * 18 * 22 * 28)
    down = (32 / 50 - wilson[0].low, wilson[1].high - 22 / 50)
    up = (wilson[0].high - 32 / 50, 22 / 50 - wilson[1].low)
    expected = (
        0.2 - np.sqrt(down[0] ** 2 - 2 * phi * down[0] * down[1] + down[1] ** 2),
        0.2 + np.sqrt(up[0] ** 2 - 2 * phi * up[0] * up[1] + up[1] ** 2),
    )
    assert paired_difference(table).interval == pytest.approx(expected, abs=1e-9)


def test_agresti_min_is_centred_on_the_adjusted_difference():
    # 0.5 to each cell: (14.5 - 5.5) / 71 -> 9/71
    ours = paired_difference(PairedTable(30, 14, 5, 20), method="agresti_min")
    assert (ours.lower + ours.upper) / 2 == pytest.approx(9 / 71)
    observed = paired_difference(PairedTable(30, 14, 5, 20), method="agresti_min", centre="observed")
    assert (observed.lower + observed.upper) / 2 == pytest.approx(9 / 69)


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
    with pytest.raises(ValueError, match="arm has 2 films, reference 1"):
        paired_table([0, 1], [1])
    with pytest.raises(ValueError, match="reference has 1 calls"):
        paired_calls([0, 1], [0, 1], [1])
    with pytest.raises(ValueError, match=r"arm\[0\] is 0.5"):
        paired_table([0.5], [1])
    with pytest.raises(ValueError, match="method is 'exact'"):
        paired_difference(PairedTable(1, 1, 1, 1), method="exact")
