"""Superiority, non-inferiority and equivalence: verdicts from intervals, beside a margin fixed beforehand.

'Not significant' is not 'the same'. Three objectives are kept apart, and the interval that decides is the one printed:

- superiority: the two-sided interval (95 %) leaves out 0;
- noninferiority: the lower limit of that interval lies above -margin (one-sided test at 2.5 %);
- equivalence: the 90 % interval lies within (-margin, margin), that is, two one-sided tests at 5 %.

With several arms, Holm's procedure over the arms sets the level of each arm's interval.

References
----------
Schuirmann DJ, J Pharmacokinet Biopharm 1987;15:657. Piaggio G et al., JAMA 2012;308:2594 (CONSORT extension).
Liu JP et al., Stat Med 2006;25:1219 (paired AUCs). Holm S, Scand J Stat 1979;6:65.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from scipy import stats

from diagnostic_accuracy.checks import Estimate, check_confidence, check_one_of
from diagnostic_accuracy.intervals import critical_value, edge_reach, tail_probability
from diagnostic_accuracy.multiplicity import adjust

Limits = tuple[float, float]
OBJECTIVES = {"superiority": "superior", "noninferiority": "non-inferior", "equivalence": "equivalent"}


def noninferiority_p(difference: float, se: float, margin: float, df: float | None = None) -> float:
    """One-sided p of 'worse than the reference by the margin or more'.

    Parameters
    ----------
    difference, se : float
        Arm - reference, larger is better, with its standard error.
    margin : float
    df : float, optional
        Of a t distribution; default: the normal one.

    Returns
    -------
    float in [0, 1]
        With se = 0 the limit (0 above -margin, 1 below, 0.5 on it): a limit, not evidence.

    Notes
    -----
    The second one-sided test of an equivalence question is `noninferiority_p(-difference, ...)`.

    Examples
    --------
    >>> round(noninferiority_p(-0.007, 0.011, 0.03), 3)
    0.018
    """
    distance = difference + margin
    if se == 0:
        return 0.5 if distance == 0 else float(distance < 0)
    return tail_probability(distance / se, "greater", df)


@dataclass(frozen=True)
class Verdict:
    """The answer to a declared objective.

    Attributes
    ----------
    objective : {"superiority", "noninferiority", "equivalence"}
    word : str
        superior, inferior, non-inferior, equivalent, inconclusive or not estimable.
    also : str
        A second statement that holds beside the first, or what an inconclusive interval leaves open; else empty.
    met : bool
        Whether the objective was reached: what opens a gate for further tests.
    difference : float or None
    lower, upper : float or None
        The interval that decided, in [-1, 1].
    confidence : float
        Its level.
    margin : float
    p : float or None
        Of the objective's test (superiority: two-sided; non-inferiority: one-sided); none of equivalence, where the
        interval is the test.
    p_adjusted : float or None
        Holm over the arms.
    note : str
    """

    objective: str
    word: str
    also: str
    met: bool
    difference: float | None
    lower: float | None
    upper: float | None
    confidence: float
    margin: float
    p: float | None = None
    p_adjusted: float | None = None
    note: str = ""

    @property
    def sentence(self) -> str:
        """The verdict with the numbers that it rests on."""
        if self.lower is None or self.upper is None or self.difference is None:
            return f"Not estimable: {self.note}."
        also = f"; {self.also}" if self.also else ""
        interval = f"{100 * self.confidence:.4g} % interval {self.lower:+.3f} to {self.upper:+.3f}"
        return (
            f"{self.word.capitalize()}{also} (difference {self.difference:+.3f}, {interval}; margin {self.margin:g})."
        )


def verdict(difference: Estimate, margin: float, objective: str = "superiority", confidence: float = 0.95) -> Verdict:
    """Judge a difference (arm - reference, larger is better) by a declared objective.

    Parameters
    ----------
    difference : Estimate
        With its interval at `confidence`: symmetric, from a standard error and `df`.
    margin : float in (0, 1)
        The smallest difference that matters, fixed before the data are seen.
    objective : {"superiority", "noninferiority", "equivalence"}
    confidence : float in (0.5, 1)
        Level of the given interval, and of the decision; equivalence is decided at 2 confidence - 1.

    Returns
    -------
    Verdict

    Raises
    ------
    ValueError
        A margin outside (0, 1), an unknown objective, a confidence outside (0.5, 1).

    Notes
    -----
    The interval at another level follows from the given one: half its width is a quantile of t (with `df`) or of the
    normal distribution times the standard error. A difference without variation has -/+ z^2 / (n + z^2) instead.

    Examples
    --------
    >>> auc = Estimate(-0.007, -0.029, 0.015, "DeLong", 743, p=0.53)
    >>> print(verdict(auc, 0.03, "equivalence").sentence)
    Equivalent (difference -0.007, 90 % interval -0.025 to +0.011; margin 0.03).
    """
    return _judge(difference, margin, objective, confidence, confidence)


def verdicts(
    differences: Mapping[str, Estimate], margin: float, objective: str = "superiority", confidence: float = 0.95
) -> dict[str, Verdict]:
    """Judge several arms against one reference by the same objective, Holm over the arms.

    Parameters
    ----------
    differences : mapping of arm to Estimate
        Each as in `verdict`.
    margin, objective, confidence : as in `verdict`

    Returns
    -------
    dict of arm to Verdict, in the order given
        Arm k of m, by p, is judged by its interval at error (1 - confidence) / (m - k + 1); after the first arm that
        misses the objective all others miss it too, at the same level. With one arm: `verdict`.

    Raises
    ------
    ValueError
        As `verdict`, or no arm.

    Examples
    --------
    >>> auc = {"a": Estimate(0.03, 0.01, 0.05, "", 743, p=0.003), "b": Estimate(0.02, 0.001, 0.039, "", 743, p=0.04)}
    >>> {arm: found.word for arm, found in verdicts(auc, 0.03).items()}
    {'a': 'superior', 'b': 'superior'}
    """
    if not differences:
        raise ValueError("no arm was given; give at least one difference")
    p = {arm: _test(one, margin, objective, confidence) for arm, one in differences.items()}
    adjusted = dict(zip(p, adjust(list(p.values())).tolist(), strict=True))
    found: dict[str, Verdict] = {}
    error, stopped = 1 - confidence, False
    for step, arm in enumerate(sorted(p, key=lambda name: p[name])):
        if not stopped:
            error = (1 - confidence) / (len(p) - step)
        judged = _judge(differences[arm], margin, objective, confidence, 1 - error)
        rejected = judged.met or (objective == "superiority" and judged.word == "inferior")  # two-sided
        if stopped and rejected:
            note = "not claimed: Holm's procedure over the arms stopped at another arm"
            judged = replace(judged, word="inconclusive", also="", met=False, note=note)
        stopped = stopped or not rejected
        found[arm] = replace(judged, p_adjusted=None if judged.p is None else adjusted[arm])
    return {arm: found[arm] for arm in differences}


def _test(difference: Estimate, margin: float, objective: str, confidence: float) -> float:
    """p at which the objective's interval would just miss it; 1 where there is no interval."""
    value, reach = difference.estimate, _reach(difference)
    if value is None or reach is None:
        return 1.0
    if objective == "superiority":
        return 1.0 if difference.p is None else difference.p
    distances = [value + margin] if objective == "noninferiority" else [value + margin, margin - value]
    if difference.p is not None:
        se = reach / critical_value(confidence, difference.df)
        return max(noninferiority_p(distance, se, 0.0, difference.df) for distance in distances)
    nearest = min(distances)  # no variation: z^2 / (n + z^2) < distance where z^2 < n distance / (1 - distance)
    if nearest <= 0 or nearest >= 1 or not 0 < reach < 1:
        return float(nearest <= 0)
    return float(stats.norm.sf(math.sqrt(_cases(reach, confidence) * nearest / (1 - nearest))))


def _cases(reach: float, confidence: float) -> float:
    """n of a reach z^2 / (n + z^2)."""
    return critical_value(confidence) ** 2 * (1 - reach) / reach


def _reach(difference: Estimate) -> float | None:
    """Half the width of a symmetric interval of which one end may be cut at -1 or 1."""
    if difference.estimate is None or difference.lower is None or difference.upper is None:
        return None
    return max(difference.upper - difference.estimate, difference.estimate - difference.lower)


def _interval_at(value: float, reach: float, difference: Estimate, confidence: float, level: float) -> Limits:
    """The interval at another level, cut to [-1, 1]; `reach` is half the width at `confidence`."""
    if difference.p is not None:
        reach *= critical_value(level, difference.df) / critical_value(confidence, difference.df)
    elif 0 < reach < 1:  # no variation: reach = z^2 / (n + z^2)
        reach = edge_reach(_cases(reach, confidence), level)
    return max(value - reach, -1.0), min(value + reach, 1.0)


def _judge(difference: Estimate, margin: float, objective: str, confidence: float, level: float) -> Verdict:
    """The verdict at a level of decision, from an interval given at `confidence`."""
    check_one_of(objective, tuple(OBJECTIVES), "objective")
    if not 0 < margin < 1:
        raise ValueError(f"margin is {margin!r}; a margin lies between 0 and 1, fixed before the data are seen")
    if check_confidence(confidence) <= 0.5:
        raise ValueError(f"confidence is {confidence!r}; equivalence needs more than 0.5")
    decides = 2 * level - 1 if objective == "equivalence" else level
    value, reach = difference.estimate, _reach(difference)
    if value is None or reach is None:
        note = difference.note or "the difference has no interval"
        return Verdict(objective, "not estimable", "", False, value, None, None, decides, margin, note=note)
    wide, narrow = (_interval_at(value, reach, difference, confidence, at) for at in (level, 2 * level - 1))
    low, high = narrow if objective == "equivalence" else wide
    word, also = _words(objective, wide, narrow, margin)
    p = None if difference.p is None or objective == "equivalence" else _test(difference, margin, objective, confidence)
    met = word == OBJECTIVES[objective]
    return Verdict(objective, word, also, met, value, low, high, decides, margin, p, p, difference.note)


def _words(objective: str, wide: Limits, narrow: Limits, margin: float) -> tuple[str, str]:
    """The answer, and what else holds."""
    sign = "superior" if wide[0] > 0 else "inferior" if wide[1] < 0 else ""
    if objective == "superiority":
        return (sign, "") if sign else ("inconclusive", _open(wide, margin))
    if objective == "noninferiority":
        if wide[0] > -margin:
            return "non-inferior", f"and {sign}" if sign else ""
        return (sign, "") if sign else ("inconclusive", _open(wide, margin))
    if -margin < narrow[0] and narrow[1] < margin:
        return "equivalent", f"and {sign}" if sign else ""
    return (sign, "not equivalent") if sign else ("inconclusive", _open(narrow, margin))


def _open(interval: Limits, margin: float) -> str:
    """What an inconclusive interval leaves open."""
    low, high = interval
    return "too few films or training runs to tell" if low < -margin and high > margin else "no difference shown"
