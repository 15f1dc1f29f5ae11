"""Thresholds relearnt on resampled validation patients."""

import numpy as np
import pytest

from osteotl.statistics import checks
from osteotl.statistics.operating_points import select_threshold
from osteotl.statistics.relearning import LEARNT, Films, _learn, relearn, relearnt_difference, relearnt_rate

RNG = np.random.default_rng(0)
LABELS = np.repeat([1, 0], [30, 50])
SCORES = np.round(RNG.normal(size=80) + 1.2 * LABELS, 1)  # with ties
VALIDATION = Films(LABELS, SCORES)
TEST = Films(np.repeat([1, 0], [60, 90]), np.round(RNG.normal(size=150) + 1.2 * np.repeat([1, 0], [60, 90]), 1))


@pytest.mark.parametrize("rule", LEARNT)
def test_each_draw_learns_as_select_threshold_does(rule):
    """The compiled rule against the plain one, on films physically repeated."""
    target = 0.85 if rule.startswith("high") else None
    drawn = [RNG.multinomial(size, np.full(size, 1 / size), 40) for size in (30, 50)]
    weights = np.concatenate(drawn, axis=1).astype(np.uint16)
    order = np.argsort(SCORES)[::-1]
    ours = _learn(LABELS[order] == 1, SCORES[order], order, weights, LEARNT.index(rule), target or 0.0)
    for row, threshold in zip(weights, ours, strict=True):
        films = np.repeat(np.arange(80), row)
        assert threshold == select_threshold(LABELS[films], SCORES[films], rule, target).threshold


def test_relearning_widens_the_interval():
    ours = relearnt_rate(relearn(VALIDATION, TEST, "high_sensitivity", 0.9, draws=2000), "sensitivity")
    fixed = relearn(VALIDATION, TEST, "high_sensitivity", 0.9, draws=2000)
    chosen = select_threshold(LABELS, SCORES, "high_sensitivity", 0.9).threshold
    p = (np.asarray(TEST.scores)[:60] >= chosen).mean()
    assert ours.estimate == pytest.approx(p)
    assert ours.upper - ours.lower > 2 * 1.96 * np.sqrt(p * (1 - p) / 60)
    assert fixed.tp.sum() + fixed.fn.sum() == 60 * 2000


def test_difference_of_an_arm_with_itself_is_zero():
    one = relearn(VALIDATION, TEST, "youden", draws=200, seed=3)
    other = relearn(VALIDATION, TEST, "youden", draws=200, seed=3)
    ours = relearnt_difference(one, other, "specificity")
    assert (ours.estimate, ours.lower, ours.p, ours.not_estimable) == (0, None, 1, checks.NO_VARIANCE)


def test_patients_are_drawn_whole():
    pairs = np.repeat(np.arange(75), 2)
    ours = relearn(VALIDATION, Films(TEST.labels, TEST.scores, pairs), "youden", draws=100)
    assert ((ours.tp + ours.fn) % 2 == 0).all()


def test_consecutive_sampling_lets_the_prevalence_vary():
    """By class, every draw holds 60 malignant of 150 films; consecutive draws are binomial(150, .4), sd 6."""
    by_class = relearn(VALIDATION, TEST, "youden", draws=2000)
    consecutive = relearn(VALIDATION, TEST, "youden", draws=2000, sampling="consecutive")
    assert set((by_class.tp + by_class.fn).tolist()) == {60}
    drawn = consecutive.tp + consecutive.fn
    assert drawn.mean() == pytest.approx(60, abs=4 * 6 / np.sqrt(2000))
    assert drawn.std() == pytest.approx(6, rel=0.1)
    assert (consecutive.tp + consecutive.fp + consecutive.tn + consecutive.fn == 150).all()
    assert consecutive.observed == by_class.observed


def test_consecutive_validation_draws_of_one_class_say_so():
    """1 malignant of 4 films is missed by a draw with chance (3/4)^4 = .32."""
    few = Films([1, 0, 0, 0], [0.9, 0.4, 0.1, 0.2])
    drawn = relearn(few, TEST, "high_sensitivity", 0.9, draws=2000, sampling="consecutive")
    assert np.isnan(drawn.thresholds).mean() == pytest.approx(0.3164 + 0.0039, abs=0.04)
    assert "one class" in relearnt_rate(drawn, "sensitivity").not_estimable


def test_a_rate_undefined_in_some_draw_says_so():
    films = Films([1, 0, 0, 0], [0.4, 0.9, 0.1, 0.2])
    ours = relearnt_rate(relearn(films, films, "high_specificity", 0.9, draws=200), "ppv")
    assert ours.not_estimable is not None


def test_bad_input():
    with pytest.raises(ValueError, match="rule is 'fixed'"):
        relearn(VALIDATION, TEST, "fixed")
    with pytest.raises(ValueError, match="target is nan"):
        relearn(VALIDATION, TEST, "high_sensitivity")
    with pytest.raises(ValueError, match="draws is 5"):
        relearn(VALIDATION, TEST, "youden", draws=5)
    with pytest.raises(ValueError, match="sampling is 'plain'"):
        relearn(VALIDATION, TEST, "youden", draws=100, sampling="plain")
    with pytest.raises(ValueError, match=r"scores of validation\[0\] is nan"):
        relearn(Films([0, 1], [np.nan, 1]), TEST, "youden")
