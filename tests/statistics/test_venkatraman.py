"""Venkatraman's test; E against pROC in tests/test_oracles.py."""

import numpy as np
import pytest

from osteotl.statistics import checks
from osteotl.statistics.venkatraman import venkatraman_test


def test_e_by_hand():
    # ranks of the arm: normal 1 2, malignant 3 4 -> errors after k lowest called negative: 2-k ... ; reference swaps
    # films 2 and 3: signs (-,-,+,+) against (-,+,-,+); running difference 0, -2, 0, 0 -> E = 2
    ours = venkatraman_test([0, 0, 1, 1], [1, 2, 3, 4], [1, 3, 2, 4], permutations=50)
    assert ours.estimate == 2


def test_identical_orderings():
    ours = venkatraman_test([0, 0, 1, 1], [1, 2, 3, 4], [10, 20, 30, 40], permutations=50)
    assert (ours.estimate, ours.p, ours.not_estimable) == (0, 1, checks.IDENTICAL_ARMS)


def test_crossing_curves_of_equal_area_are_told_apart():
    rng = np.random.default_rng(0)
    labels = np.repeat([1, 0], 150)
    steep = rng.normal(size=300) + 1.0 * labels
    wide = rng.normal(size=300) * np.where(labels, 3.0, 1.0) + 2.0 * labels
    assert venkatraman_test(labels, wide, steep, permutations=200).p < 0.05


def test_same_seed_same_p_never_zero():
    rng = np.random.default_rng(1)
    labels = np.repeat([1, 0], 30)
    arm, reference = rng.normal(size=60) + 3 * labels, rng.normal(size=60)
    ours = venkatraman_test(labels, arm, reference, permutations=99, seed=5)
    assert ours == venkatraman_test(labels, arm, reference, permutations=99, seed=5)
    assert ours.p >= 1 / 100


def test_bad_input():
    with pytest.raises(ValueError, match="permutations is 0"):
        venkatraman_test([0, 1], [1, 2], [1, 2], permutations=0)
    with pytest.raises(ValueError, match="reference has 1 values"):
        venkatraman_test([0, 1], [1, 2], [1])
