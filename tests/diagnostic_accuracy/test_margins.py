"""Verdicts of a difference against a margin."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from diagnostic_accuracy.checks import IDENTICAL_ARMS, Estimate
from diagnostic_accuracy.intervals import wald_interval
from diagnostic_accuracy.margins import OBJECTIVES, noninferiority_p, verdict, verdicts

Z = stats.norm.ppf(0.975)


def wald(difference, se, df=None, confidence=0.95):
    low, high = wald_interval(difference, se, confidence, df, clip=(-1.0, 1.0))
    tail = stats.norm if df is None else stats.t(df)
    return Estimate(difference, low, high, "Wald", 743, p=2 * tail.sf(abs(difference) / se), df=df)


@pytest.mark.parametrize(
    ("difference", "se", "superiority", "noninferiority", "equivalence"),
    [
        # .011 to .089: above 0, beyond the margin
        (0.05, 0.02, ("superior", ""), ("non-inferior", "and superior"), ("superior", "not equivalent")),
        # .006 to .014; 90 % within the margin: different yet equivalent
        (0.01, 0.002, ("superior", ""), ("non-inferior", "and superior"), ("equivalent", "and superior")),
        (-0.05, 0.02, ("inferior", ""), ("inferior", ""), ("inferior", "not equivalent")),
        (-0.01, 0.002, ("inferior", ""), ("non-inferior", "and inferior"), ("equivalent", "and inferior")),
        # 95 %: -.0308 to -.0092; 90 %: -.029 to -.011
        (-0.02, 0.0055, ("inferior", ""), ("inferior", ""), ("equivalent", "and inferior")),
        # 95 %: -.0196 to .0196
        (0.0, 0.01, ("inconclusive", "no difference shown"), ("non-inferior", ""), ("equivalent", "")),
        # 95 %: -.0094 to .0494; 90 %: -.0047 to .0447
        (
            0.02,
            0.015,
            ("inconclusive", "no difference shown"),
            ("non-inferior", ""),
            ("inconclusive", "no difference shown"),
        ),
        # 95 %: -.0588 to .0588; 90 %: -.049 to .049: beyond both ends
        (0.0, 0.03, *[("inconclusive", "too few films or training runs to tell")] * 3),
    ],
)
def test_words(difference, se, superiority, noninferiority, equivalence):
    expected = dict(zip(OBJECTIVES, (superiority, noninferiority, equivalence), strict=True))
    for objective, words in expected.items():
        ours = verdict(wald(difference, se), 0.03, objective)
        assert (ours.word, ours.also) == words
        assert ours.word.capitalize() in ours.sentence
        assert ours.met == (words[0] in ("superior", "non-inferior", "equivalent") and words[1] != "not equivalent")


def test_the_interval_that_decides_is_the_one_given():
    for objective, level in (("superiority", 0.95), ("noninferiority", 0.95), ("equivalence", 0.90)):
        ours = verdict(wald(0.01, 0.02, df=7), 0.03, objective)
        assert ours.confidence == pytest.approx(level)
        assert (ours.lower, ours.upper) == pytest.approx(wald_interval(0.01, 0.02, level, 7))
        assert f"{100 * level:g} % interval {ours.lower:+.3f} to {ours.upper:+.3f}" in ours.sentence


def test_p_values_of_schuirmann_with_t():
    assert noninferiority_p(0.01, 0.02, 0.03, df=7) == pytest.approx(stats.t.sf(0.04 / 0.02, 7))
    assert noninferiority_p(-0.01, 0.02, 0.03, df=7) == pytest.approx(stats.t.sf(0.02 / 0.02, 7))
    assert verdict(wald(0.01, 0.02, 7), 0.03, "noninferiority").p == pytest.approx(stats.t.sf(0.04 / 0.02, 7))
    assert (noninferiority_p(0.1, 0, 0.03), noninferiority_p(-0.03, 0, 0.03), noninferiority_p(-0.1, 0, 0.03)) == (
        0,
        0.5,
        1,
    )


def test_the_published_difference_is_equivalent_at_three_hundredths_only():
    # AUC .954 - .961 = -.007, p .53: se = .007 / z(.265) = .01115; STUDY: 90 % interval -.025 to +.011
    one = wald(-0.007, 0.007 / stats.norm.isf(0.265))
    ours = verdict(one, 0.03, "equivalence")
    assert (ours.lower, ours.upper) == pytest.approx((-0.025, 0.011), abs=6e-4)
    assert ours.word == "equivalent"
    assert verdict(one, 0.02, "equivalence").word == "inconclusive"


def test_a_difference_without_variation_is_judged_by_its_own_interval():
    edge = Z**2 / (268 + Z**2)  # DESIGN.md: -/+ z^2 / (n + z^2)
    same = Estimate(0, -edge, edge, "DeLong", 743, note=IDENTICAL_ARMS)
    ours = verdict(same, 0.03, "equivalence")
    z90 = stats.norm.ppf(0.95)
    assert ours.upper == pytest.approx(z90**2 / (268 + z90**2))
    assert (ours.word, ours.p, ours.note) == ("equivalent", None, IDENTICAL_ARMS)
    assert not verdict(same, 0.005, "equivalence").met


def test_identical_arms_are_equivalent_beside_an_arm_that_is_not():
    edge = Z**2 / (268 + Z**2)
    arms = {"other": wald(0.02, 0.02), "same": Estimate(0, -edge, edge, "DeLong", 743, note=IDENTICAL_ARMS)}
    ours = verdicts(arms, 0.05, "equivalence")
    assert [one.word for one in ours.values()] == ["inconclusive", "equivalent"]
    # the first of two arms is judged at error .05 / 2: two one-sided tests at 2.5 %
    assert ours["same"].confidence == pytest.approx(0.95)
    assert ours["same"].upper == pytest.approx(edge)


def test_a_difference_without_an_interval_is_not_judged():
    ours = verdict(Estimate(0.1, None, None, "DeLong", 9, note="only one malignant film"), 0.03)
    assert (ours.word, ours.met) == ("not estimable", False)
    assert ours.sentence == "Not estimable: only one malignant film."


@given(st.floats(-1, 1), st.floats(0.001, 2), st.sampled_from(list(OBJECTIVES)))
def test_an_interval_of_a_difference_stays_within_minus_one_and_one(difference, se, objective):
    ours = verdict(wald(difference, se), 0.03, objective)
    assert -1 <= ours.lower <= ours.upper <= 1


def test_one_arm_is_judged_alone():
    for objective in OBJECTIVES:
        one = wald(0.01, 0.02, df=5)
        (ours,) = verdicts({"a": one}, 0.03, objective).values()
        assert ours == verdict(one, 0.03, objective)


def test_holm_over_arms():
    # p: a .0027 (z 3), b .0357 (z 2.1), c .0124 (z 2.5). Holm: a at .05/3, c at .05/2, b at .05
    arms = {"a": wald(0.03, 0.01), "b": wald(0.021, 0.01), "c": wald(0.025, 0.01)}
    ours = verdicts(arms, 0.05)
    assert list(ours) == ["a", "b", "c"]
    assert [one.word for one in ours.values()] == ["superior"] * 3
    assert [one.confidence for one in ours.values()] == pytest.approx([1 - 0.05 / 3, 0.95, 0.975])
    adjusted = [3 * 2 * stats.norm.sf(3), 2 * stats.norm.sf(2.1), 2 * 2 * stats.norm.sf(2.5)]
    assert [one.p_adjusted for one in ours.values()] == pytest.approx(adjusted)


def test_holm_stops_at_the_first_arm_that_misses():
    # p: a .0357 > .05/2, so b (.0455, alone below .05) is not claimed either, at the same level
    arms = {"a": wald(0.021, 0.01), "b": wald(0.02, 0.01)}
    ours = verdicts(arms, 0.05)
    assert [one.word for one in ours.values()] == ["inconclusive"] * 2
    assert [one.confidence for one in ours.values()] == pytest.approx([0.975] * 2)
    assert verdict(arms["b"], 0.05).word == "superior"


@given(
    st.lists(st.tuples(st.floats(-0.1, 0.1), st.floats(0.005, 0.05)), min_size=1, max_size=5),
    st.sampled_from(list(OBJECTIVES)),
)
def test_an_objective_is_met_where_holms_p_says_so(arms, objective):
    ours = verdicts({str(i): wald(*one) for i, one in enumerate(arms)}, 0.03, objective)
    alpha = {"superiority": 0.05, "noninferiority": 0.025}.get(objective)
    for one in ours.values():
        if one.p_adjusted is None or abs(one.p_adjusted - alpha) < 1e-9:
            continue
        claimed = one.met or (objective == "superiority" and one.word == "inferior")
        assert claimed == (one.p_adjusted < alpha)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0.0,), "margin is 0"),
        ((float("nan"),), "margin is nan"),
        ((1.5,), "margin is 1.5"),
        ((0.03, "same"), "objective is 'same'"),
        ((0.03, "equivalence", 0.4), "confidence is 0.4"),
    ],
)
def test_bad_input(arguments, message):
    with pytest.raises(ValueError, match=message):
        verdict(wald(0.0, 0.01), *arguments)
    with pytest.raises(ValueError, match="no arm was given"):
        verdicts({}, 0.03)
