"""Verdicts of a difference against a margin."""

import pytest
from scipy import stats

from osteotl.statistics import checks
from osteotl.statistics.margins import margin_test


@pytest.mark.parametrize(
    ("difference", "se", "word", "also"),
    [
        (0.05, 0.02, "superior", None),  # .011 to .089: above 0, beyond the margin
        (0.01, 0.002, "superior", "equivalent"),  # different yet equivalent
        (-0.05, 0.02, "inferior", None),
        (-0.01, 0.002, "inferior", "equivalent"),
        (-0.02, 0.0055, "inferior", "equivalent"),  # -.0308 to -.0092; 90 %: -.029 to -.011
        (0.0, 0.01, "equivalent", "non-inferior"),  # 95 %: -.0196 to .0196
        (0.02, 0.015, "non-inferior", None),  # -.0094 to .0494
        (0.0, 0.03, "inconclusive", None),
    ],
)
def test_words(difference, se, word, also):
    ours = margin_test(difference, se, 0.03)
    assert (ours.word, ours.also) == (word, also)
    assert ours.word.capitalize() in ours.sentence


def test_smallest_margins_are_the_ones_that_just_pass():
    ours = margin_test(-0.01, 0.02, 0.03)
    assert margin_test(-0.01, 0.02, ours.smallest_margin + 1e-9).interval[0] > -(ours.smallest_margin + 1e-9)
    assert margin_test(-0.01, 0.02, ours.smallest_equivalence_margin + 1e-9).p_equivalence < 0.05
    assert margin_test(-0.01, 0.02, ours.smallest_equivalence_margin - 1e-9).p_equivalence > 0.05


def test_p_values_of_schuirmann_with_t():
    ours = margin_test(0.01, 0.02, 0.03, df=7)
    assert ours.p_noninferiority == pytest.approx(stats.t.sf(0.04 / 0.02, 7))
    assert ours.p_equivalence == pytest.approx(stats.t.sf(0.02 / 0.02, 7))


def test_the_published_difference_is_equivalent_at_three_hundredths_only():
    # AUC .954 - .961 = -.007, p .53: se = .007 / z(.265) = .01115; STUDY: 90 % interval -.025 to +.011
    se = 0.007 / stats.norm.isf(0.265)
    ours = margin_test(-0.007, se, 0.03)
    assert ours.equivalence_interval == pytest.approx((-0.025, 0.011), abs=6e-4)
    assert ours.word == "equivalent"
    assert margin_test(-0.007, se, 0.02).word == "inconclusive"


def test_no_variance_gives_no_p_value():
    ours = margin_test(0.0, 0.0, 0.03)
    assert (ours.p_noninferiority, ours.p_equivalence) == (None, None)
    assert ours.not_estimable == checks.IDENTICAL_ARMS
    assert margin_test(0.1, 0.0, 0.03).not_estimable == checks.NO_VARIANCE


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0.0, 0.01, 0.0), "margin is 0"),
        ((0.0, 0.01, float("nan")), "margin is nan"),
        ((0.0, -1.0, 0.03), "se is -1"),
        ((0.0, float("nan"), 0.03), "se is nan"),
        ((0.0, 0.01, 0.03, 0.4), "confidence is 0.4"),
    ],
)
def test_bad_input(arguments, message):
    with pytest.raises(ValueError, match=message):
        margin_test(*arguments)
