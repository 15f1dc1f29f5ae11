"""Rates of a 2x2 table and what follows from them; DTComPair's numbers come in through tests/test_oracles.py."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diagnostic_accuracy.rates import Confusion, confusion, derived, rate_estimate


def test_rates_of_a_published_table():
    # the published scratch arm: 242 of 268, 412 of 475 -> PPV .793 (STUDY.md)
    counts = Confusion(242, 63, 412, 26)
    assert round(counts.rate("sensitivity"), 3) == 0.903
    assert round(counts.rate("specificity"), 3) == 0.867
    assert round(counts.rate("ppv"), 3) == 0.793
    assert float(derived("f1", 242 / 268, 412 / 475, 268 / 743)) == pytest.approx(2 * 242 / (2 * 242 + 63 + 26))
    assert counts.rate("lr_positive") == pytest.approx((242 / 268) / (63 / 475))


def test_counting():
    assert confusion([1, 1, 1, 0, 0, 0, 0], [1, 1, 0, 1, 0, 0, 0]) == Confusion(2, 1, 3, 1)
    with pytest.raises(ValueError, match="tp is -1"):
        Confusion(-1, 0, 0, 0)
    with pytest.raises(ValueError, match=r"calls\[0\] is 0.5"):
        confusion([1, 0], [0.5, 1])
    with pytest.raises(ValueError, match="calls has 1 values"):
        confusion([1, 0], [1])


def test_undefined_rates_are_none_not_nan_and_say_why():
    counts = Confusion(0, 0, 5, 3)
    assert counts.rate("ppv") is None
    assert counts.rate("lr_positive") is None
    assert rate_estimate(counts, "ppv").note == "no film was called positive"
    for table in (counts, Confusion(2, 0, 5, 3), Confusion(0, 2, 5, 0)):
        assert "no normal film was called so" in rate_estimate(table, "lr_positive").note


cells = st.tuples(*[st.integers(0, 30)] * 4).filter(lambda c: c[0] + c[3] > 0 and c[1] + c[2] > 0)


@given(cells)
def test_derived_rates_at_the_studys_prevalence_are_those_of_the_table(table):
    counts = Confusion(*table)
    given_rates = (counts.rate("sensitivity"), counts.rate("specificity"), counts.positives / counts.n)
    for name in ("ppv", "npv", "accuracy", "lr_positive", "lr_negative"):
        ours, theirs = float(derived(name, *given_rates)), counts.rate(name)
        if theirs is None:
            assert not np.isfinite(ours)
        else:
            assert ours == pytest.approx(theirs, abs=1e-12)


def test_counts_per_100_and_per_1000():
    assert float(derived("missed_per_100", 0.9, 0.8, 0.3)) == pytest.approx(10)
    assert float(derived("false_alarms_per_1000", 0.9, 0.8, 0.3)) == pytest.approx(200)
    with pytest.raises(ValueError, match="name is 'sensitivity'"):
        derived("sensitivity", 0.9, 0.8, 0.3)


def test_likelihood_ratio_interval():
    se = np.sqrt(1 / 8 - 1 / 10 + 1 / 2 - 1 / 20)  # Simel 1991
    ours = rate_estimate(Confusion(8, 2, 18, 2), "lr_positive")
    assert ours.estimate == pytest.approx(8)
    assert np.log(ours.upper / ours.estimate) == pytest.approx(1.959963984540054 * se)
    zero = rate_estimate(Confusion(0, 3, 17, 10), "lr_positive")
    assert (zero.estimate, zero.lower, zero.upper) == (0, None, None)
    assert "no interval" in zero.note


def test_a_predictive_value_of_one_is_one():
    """Without false alarms PPV is 1 at any prevalence, without missed tumours NPV is; rounding adds nothing."""
    rng = np.random.default_rng(0)
    rate, prevalence = rng.uniform(0.01, 1, 2000), rng.uniform(1e-4, 1, 2000)
    assert derived("ppv", rate, 1.0, prevalence).max() == 1
    assert derived("npv", 1.0, rate, prevalence).max() == 1
    assert derived("ppv", rate, 1.0, prevalence) == pytest.approx(np.ones(2000), rel=1e-9)
