"""The share of labels that equals all of them: crossings by hand, draws beside those of the crossed bootstrap."""

import numpy as np
import pytest

from osteotl.statistics.label_fraction import equal_fraction, first_reach
from osteotl.statistics.replicate_values import crossed_bootstrap, crossed_means

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


@pytest.fixture(scope="module")
def films():
    rng = np.random.default_rng(4)
    label = np.repeat([1, 0], [40, 60])
    return label, lambda gain: {seed: gain * label + rng.normal(size=label.size) for seed in (0, 1, 2)}


def test_same_scores_from_half_of_the_labels_on(films):
    label, scores = films
    target, chance = scores(3.0), scores(0.0)
    found = equal_fraction(label, {0.25: chance, 0.5: target, 1.0: target}, target, draws=300)
    # equal at .5 in every draw, and chance at .25 never: the crossing is at .5, without any spread
    assert (found.estimate, found.lower, found.upper, found.reached) == (0.5, 0.5, 0.5, 1.0)
    assert (
        found.sentence == "The arm equals the reference on all labels with 50% of the labels (95% interval 50% to 50%)."
    )


def test_what_is_not_reached_is_said(films):
    label, scores = films
    found = equal_fraction(label, {0.5: scores(0.0), 1.0: scores(0.2)}, scores(3.0), draws=300)
    assert (found.estimate, found.lower, found.upper, found.reached) == (None, None, None, 0.0)
    assert "did not reach" in found.sentence
    assert "not reached to not reached" in found.sentence


def test_an_interval_may_end_beyond_all_labels(films):
    label, scores = films
    target = scores(1.5)
    found = equal_fraction(label, {0.25: scores(0.0), 1.0: scores(1.6)}, target, draws=400)
    assert 0 < found.reached < 0.975  # two samples of one truth: either may come out ahead
    assert found.lower is not None
    assert found.upper is None


def test_draws_are_those_of_the_crossed_bootstrap(films):
    label, scores = films
    one, other = scores(1.5), scores(1.0)
    patients = np.arange(label.size) // 2
    expected = crossed_bootstrap(label, {"a": one, "b": other}, "a", "b", patients=patients, draws=500, seed=7)
    arrays = [*one.values(), *other.values()]
    observed, means = crossed_means(label == 1, patients, arrays, 2, 3, 500, 7)
    assert observed[0] - observed[1] == pytest.approx(expected.estimate, abs=1e-12)
    limits = np.quantile(means[:, 0] - means[:, 1], [0.025, 0.975])
    assert limits == pytest.approx([expected.lower, expected.upper], abs=1e-12)
