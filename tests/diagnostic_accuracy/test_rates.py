"""Rates of a 2x2 table and what follows from them; DTComPair's numbers come in through tests/test_oracles.py."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diagnostic_accuracy.intervals import proportion_interval
from diagnostic_accuracy.rates import (
    Confusion,
    clustered_proportion,
    confusion,
    derived,
    rate_estimate,
    rates,
)


def limits(ours):
    return ours.lower, ours.upper


def test_rates_of_a_published_table():
    # the published scratch arm: 242 of 268, 412 of 475 -> PPV .793 (STUDY.md)
    counts = Confusion(242, 63, 412, 26)
    assert round(counts.rate("sensitivity"), 3) == 0.903
    assert round(counts.rate("specificity"), 3) == 0.867
    assert round(counts.rate("ppv"), 3) == 0.793
    assert counts.rate("f1") == pytest.approx(2 * 242 / (2 * 242 + 63 + 26))
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
    assert Confusion(0, 0, 5, 0).rate("f1") is None
    assert rate_estimate(counts, "ppv").note == "no film was called positive"
    assert rate_estimate(counts, "lr_positive").note == "no film was called positive"
    assert "no false positive" in rate_estimate(Confusion(2, 0, 5, 3), "lr_positive").note
    assert rate_estimate(Confusion(0, 2, 5, 0), "lr_positive").note == "no malignant film"


cells = st.tuples(*[st.integers(0, 30)] * 4).filter(lambda c: c[0] + c[3] > 0 and c[1] + c[2] > 0)


@given(cells)
def test_derived_rates_at_the_studys_prevalence_are_those_of_the_table(table):
    counts = Confusion(*table)
    given_rates = (counts.rate("sensitivity"), counts.rate("specificity"), counts.positives / counts.n)
    for name in ("ppv", "npv", "accuracy", "f1", "lr_positive", "lr_negative"):
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


def test_f1_interval_is_that_of_its_proportion():
    ours = rate_estimate(Confusion(8, 2, 5, 3), "f1")
    low, high = proportion_interval(8, 13)
    assert ours.estimate == pytest.approx(2 * 8 / (16 + 5))
    assert limits(ours) == pytest.approx((2 * low / (1 + low), 2 * high / (1 + high)))


def test_likelihood_ratio_interval():
    se = np.sqrt(1 / 8 - 1 / 10 + 1 / 2 - 1 / 20)  # Simel 1991
    ours = rate_estimate(Confusion(8, 2, 18, 2), "lr_positive")
    assert ours.estimate == pytest.approx(8)
    assert np.log(ours.upper / ours.estimate) == pytest.approx(1.959963984540054 * se)


def test_likelihood_ratio_at_the_edge_takes_wilsons_limits_of_the_rates():
    # no false positive among 20: LR+ infinite; at least (lower limit of 8/10) / (upper limit of 0/20)
    infinite = rate_estimate(Confusion(8, 0, 20, 2), "lr_positive")
    assert (infinite.estimate, infinite.upper) == (None, None)
    assert infinite.lower == pytest.approx(proportion_interval(8, 10)[0] / proportion_interval(0, 20)[1])
    # no true positive among 10, 3 alarms among 20: LR+ 0
    zero = rate_estimate(Confusion(0, 3, 17, 10), "lr_positive")
    assert (zero.estimate, zero.lower) == (0, 0)
    assert zero.upper == pytest.approx(proportion_interval(0, 10)[1] / proportion_interval(3, 20)[0])


def test_one_film_a_patient_is_plain_wilson():
    labels, calls = [1, 1, 1, 0, 0, 0], [1, 1, 0, 1, 0, 0]
    assert rates(labels, calls, list("abcdef")) == rates(labels, calls)


def test_duplicated_films_have_the_interval_of_their_patients():
    """Every film twice in one patient: the effective number of films is that of patients (nearly: I/(I-1))."""
    rng = np.random.default_rng(0)
    success = rng.random(200) < 0.8
    ours = clustered_proportion(np.repeat(success, 2), np.repeat(np.arange(200), 2))
    assert ours.estimate == pytest.approx(success.mean())
    assert limits(ours) == pytest.approx(proportion_interval(int(success.sum()), 200), abs=1e-3)


def test_all_right_is_as_uncertain_as_the_number_of_patients():
    ours = clustered_proportion([True] * 12, np.repeat(np.arange(4), 3))
    assert ours.upper == 1
    assert ours.lower == pytest.approx(proportion_interval(4, 4)[0])


def test_clustered_rates_of_a_whole_table():
    rng = np.random.default_rng(1)
    patients = np.repeat(np.arange(60), 3)
    labels = np.repeat(np.arange(60) % 2, 3)
    calls = rng.normal(size=180) + labels + np.repeat(rng.normal(size=60), 3) >= 0.5
    ours, plain = rates(labels, calls, patients), rates(labels, calls)
    assert set(ours) == set(plain)
    for name in ours:
        assert ours[name].estimate == pytest.approx(plain[name].estimate)
    width = {name: (r["sensitivity"].upper - r["sensitivity"].lower) for name, r in (("c", ours), ("p", plain))}
    assert width["c"] > width["p"]


def test_a_predictive_value_of_one_is_one():
    """Without false alarms PPV is 1 at any prevalence, without missed tumours NPV is; rounding adds nothing."""
    rng = np.random.default_rng(0)
    rate, prevalence = rng.uniform(0.01, 1, 2000), rng.uniform(1e-4, 1, 2000)
    assert derived("ppv", rate, 1.0, prevalence).max() == 1
    assert derived("npv", 1.0, rate, prevalence).max() == 1
    assert derived("ppv", rate, 1.0, prevalence) == pytest.approx(np.ones(2000), rel=1e-9)
