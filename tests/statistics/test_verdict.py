"""Verdicts from an interval and a margin."""

import pytest
from scipy import stats

from osteotl.statistics.estimate import Estimate
from osteotl.statistics.verdict import judge

Z = stats.norm.ppf(0.975)


def verdict(middle, error, margin=0.03):
    return judge(
        Estimate(middle, middle - Z * error, middle + Z * error, "test", 743), margin, 0.95, "transfer", "scratch"
    )


@pytest.mark.parametrize(
    ("middle", "error", "word", "also"),
    [
        (0.050, 0.010, "superior", None),  # 95 % interval .030 to .070
        (0.010, 0.004, "superior", "equivalent"),  # .002 to .018, 90 % interval inside .03
        (-0.050, 0.010, "inferior", None),
        (-0.010, 0.004, "inferior", "equivalent"),
        (0.000, 0.010, "equivalent", None),  # 90 % interval -.016 to .016
        (0.020, 0.015, "non-inferior", None),  # -.009 to .049
        (0.000, 0.030, "inconclusive", "too few films to tell"),  # -.059 to .059
        (-0.030, 0.020, "inconclusive", "no difference shown"),  # -.069 to .009
    ],
)
def test_words(middle, error, word, also):
    result = verdict(middle, error)
    assert (result.word, result.also) == (word, also)
    assert "transfer" in result.sentence


def test_published_comparison_is_equivalent_at_003_and_not_at_002():
    # STUDY.md: TL - SC = .954 - .961 = -.007 with DeLong p = .53: z = .628, SE = .01115,
    # 90 % interval -.007 +- 1.645 * .01115 = -.0253 to +.0113: smallest margin .0253
    error = 0.007 / stats.norm.isf(0.53 / 2)
    assert verdict(-0.007, error, 0.03).word == "equivalent"
    assert verdict(-0.007, error, 0.02).word == "inconclusive"
    assert verdict(-0.007, error).smallest_margin == pytest.approx(0.0253, abs=1e-4)


def test_p_values_are_the_two_one_sided_tests():
    # distance to -margin is (0 + .03)/.01 = 3 standard errors: P(Z > 3) = .00135
    result = verdict(0.0, 0.01)
    assert result.p_noninferiority == pytest.approx(0.0013499, rel=1e-4)
    assert result.p_equivalence == pytest.approx(0.0013499, rel=1e-4)


def test_wider_t_interval_with_few_degrees_of_freedom():
    # t with 2 df: half width at 95 % = 4.3027 SE, at 90 % = 2.9200 SE; SE = .005 -> .0146 < .03
    t = stats.t(2).ppf(0.975) * 0.005
    result = judge(Estimate(0.0, -t, t, "test", 3, df=2), 0.03, 0.95, "a", "b")
    assert result.smallest_margin == pytest.approx(0.0146, abs=1e-4)


def test_no_interval_no_verdict():
    result = judge(Estimate.missing("one class", "DeLong", 5), 0.03, 0.95, "a", "b")
    assert result.word == "not estimable"
    assert "one class" in result.sentence


def test_margin_is_checked():
    with pytest.raises(ValueError, match="margin"):
        verdict(0.0, 0.01, margin=0.0)
