"""The share of labels that equals all of them: crossings by hand, chances by the distribution of their difference."""

import numpy as np
import pytest
from scipy import stats

from diagnostic_accuracy.learning import equal_fraction, first_reach

SHARES = (0.25, 0.5, 1.0)


@pytest.mark.parametrize(
    ("target", "share"),
    [
        (0.85, np.sqrt(0.25 * 0.5)),  # half way from .80 to .90, so half way between log .25 and log .5
        (0.925, np.sqrt(0.5 * 1.0)),
        (0.90, 0.5),
        (0.70, 0.25),  # reached at the smallest share already: at or below it
        (0.96, np.inf),
    ],
)
def test_crossings_by_hand(target, share):
    assert first_reach(SHARES, [[0.80, 0.90, 0.95]], [target]) == pytest.approx([share])


def test_a_curve_that_falls_again_is_read_at_its_first_crossing():
    # .6 to .8 crosses .7 half way; that it falls below .7 at all labels changes nothing
    assert first_reach(SHARES, [[0.6, 0.8, 0.65]], [0.7]) == pytest.approx([np.sqrt(0.125)])


def runs(mean, spread, size, rng, films):
    """Observed values of runs and their draws: `films` is what all runs of all groups share."""
    observed = mean + spread * (np.arange(size) - (size - 1) / 2)
    return observed, observed + films[:, None] + 0.001 * rng.normal(size=(films.size, size))


def test_one_run_reaches_with_the_chance_that_its_draws_give():
    # gap -.01; the difference of two means of one run varies by .01 (what the films share cancels): P(Z > 1) = .1587
    rng = np.random.default_rng(0)
    films, own = rng.normal(size=4000) * 0.05, rng.normal(size=4000) * 0.01
    films -= own * (films @ own) / (own @ own)
    arm = (np.array([0.89]), (0.89 + films + (own - own.mean()) * 0.01 / own.std())[:, None])
    found = equal_fraction({1.0: arm}, (np.array([0.90]), (0.90 + films)[:, None]), simulations=40_000)
    assert found.reached == pytest.approx(stats.norm.sf(1), abs=0.01)
    assert found.estimate is None
    assert found.lower == 1.0
    assert found.upper is None
    assert "did not reach" in found.sentence
    assert "100% or less to not reached" in found.sentence


def test_runs_vary_on_their_own_degrees_of_freedom():
    # the films cancel; arm and reference of 2 runs each, MS = 2 x .01^2, sqrt(MS/J) = .01: the difference of two
    # independent t with 1 df is .01 x (Cauchy of scale 2), so that P(> .02) = 1/4
    rng = np.random.default_rng(1)
    films = rng.normal(size=2000) * 0.03
    arm, reference = runs(0.88, 0.02, 2, rng, films), runs(0.90, 0.02, 2, rng, films)
    found = equal_fraction({1.0: arm}, reference, simulations=40_000)
    assert found.reached == pytest.approx(0.25, abs=0.02)


def test_a_clear_crossing_is_found_with_a_narrow_interval():
    rng = np.random.default_rng(2)
    films = rng.normal(size=500) * 0.03
    curve = {
        0.25: runs(0.80, 1e-4, 3, rng, films),
        0.5: runs(0.90, 1e-4, 3, rng, films),
        1.0: runs(0.95, 1e-4, 3, rng, films),
    }
    found = equal_fraction(curve, runs(0.85, 1e-4, 3, rng, films))
    assert found.estimate == pytest.approx(np.sqrt(0.25 * 0.5))  # half way on the logarithm
    assert found.lower < found.estimate < found.upper
    assert found.upper - found.lower < 0.03
    assert found.reached == 1.0
    assert found.sentence.startswith("The arm equals the reference on all labels with 35.4% of the labels (95%")


def test_a_limit_at_the_smallest_share_says_or_less():
    rng = np.random.default_rng(3)
    films = rng.normal(size=500) * 0.03
    found = equal_fraction({0.1: runs(0.95, 1e-4, 2, rng, films)}, runs(0.80, 1e-4, 2, rng, films))
    assert (found.estimate, found.lower, found.upper) == (0.1, 0.1, 0.1)
    assert "10% or less" in found.sentence


def test_draws_of_other_films_are_refused():
    rng = np.random.default_rng(4)
    with pytest.raises(ValueError, match="same draws"):
        equal_fraction({1.0: runs(0.9, 0.01, 2, rng, np.zeros(100))}, runs(0.9, 0.01, 2, rng, np.zeros(200)))
    with pytest.raises(ValueError, match="at least one fraction"):
        equal_fraction({}, runs(0.9, 0.01, 2, rng, np.zeros(100)))
