"""Non-inferiority, equivalence and the verdict: what a difference means beside a margin fixed beforehand.

'Not significant' is not 'the same'. Three questions are kept apart:

- different: the two-sided interval (95 %) leaves out 0;
- non-inferior: the lower limit of that interval lies above -margin (one-sided test at 2.5 %);
- equivalent: two one-sided tests at 5 %, that is, the 90 % interval lies within (-margin, margin).

References
----------
Schuirmann DJ, J Pharmacokinet Biopharm 1987;15:657. Piaggio G et al., JAMA 2012;308:2594 (CONSORT extension).
Liu JP et al., Stat Med 2006;25:1219 (paired AUCs).
"""

from __future__ import annotations

from dataclasses import dataclass

from scipy import stats

from osteotl.statistics.checks import IDENTICAL_ARMS, NO_VARIANCE, check_confidence
from osteotl.statistics.wald import wald_interval


def one_sided_p(distance: float, se: float, df: float | None = None) -> float:
    """p of 'the true value is at or below the bound', for an estimate `distance` above it.

    With se = 0 the limit is returned (0 above the bound, 1 below, 0.5 on it): a limit, not evidence.
    """
    if se == 0:
        return 0.5 if distance == 0 else float(distance < 0)
    return float(stats.norm.sf(distance / se) if df is None else stats.t.sf(distance / se, df))


@dataclass(frozen=True)
class MarginTest:
    """A difference judged against a margin.

    Attributes
    ----------
    difference, se : float
        Arm - reference.
    margin : float
    p_lower : float
        One-sided p against 'worse than the reference by the margin or more': the non-inferiority p.
    p_upper : float
        One-sided p against 'better by the margin or more'.
    interval, equivalence_interval : tuple of float
        Two-sided at `confidence`, and at 1 - 2 (1 - confidence).
    word : str
        superior, non-inferior, equivalent, inferior or inconclusive.
    also : str or None
        A second statement that holds too ('different yet equivalent' happens in large studies).
    smallest_margin, smallest_equivalence_margin : float
        The smallest margins that would have passed.
    sentence : str
    not_estimable : str or None
        Set where the variance is 0: p values are then limits.
    """

    difference: float
    se: float
    margin: float
    p_lower: float
    p_upper: float
    interval: tuple[float, float]
    equivalence_interval: tuple[float, float]
    word: str
    also: str | None
    smallest_margin: float
    smallest_equivalence_margin: float
    sentence: str
    not_estimable: str | None = None

    @property
    def p_noninferiority(self) -> float | None:
        """One-sided p of non-inferiority; None where it would be a limit only."""
        return None if self.not_estimable else self.p_lower

    @property
    def p_equivalence(self) -> float | None:
        """TOST: the larger of the two one-sided p values; None where it would be a limit only."""
        return None if self.not_estimable else max(self.p_lower, self.p_upper)


def margin_test(
    difference: float, se: float, margin: float, confidence: float = 0.95, df: float | None = None
) -> MarginTest:
    """Judge a difference (arm - reference, larger is better) against a margin declared beforehand.

    Parameters
    ----------
    difference : float
    se : float, at least 0
        Its standard error; with `df` the t distribution is used (Obuchowski-Rockette), else the normal one (DeLong).
    margin : float above 0
    confidence : float in (0.5, 1)
    df : float, optional

    Returns
    -------
    MarginTest

    Raises
    ------
    ValueError
        A margin not above 0, a negative or missing standard error, a confidence outside (0.5, 1).

    Examples
    --------
    >>> margin_test(-0.007, 0.011, 0.03).word
    'equivalent'
    """
    check_confidence(confidence)
    if not margin > 0:
        raise ValueError(f"margin is {margin!r}; a margin is a positive difference, fixed before the data are seen")
    if not se >= 0:
        raise ValueError(f"se is {se!r}; the standard error of the difference must be 0 or more")
    if confidence <= 0.5:
        raise ValueError(f"confidence is {confidence!r}; equivalence needs more than 0.5")
    wide = wald_interval(difference, se, confidence, df)
    narrow = wald_interval(difference, se, 2 * confidence - 1, df)
    word, also = _words(wide, narrow, margin)
    reason = None if se > 0 else (IDENTICAL_ARMS if difference == 0 else NO_VARIANCE)
    return MarginTest(
        difference,
        se,
        margin,
        one_sided_p(difference + margin, se, df),
        one_sided_p(margin - difference, se, df),
        wide,
        narrow,
        word,
        also,
        max(0.0, -wide[0]),
        max(abs(narrow[0]), abs(narrow[1])),
        _sentence(word, also, wide, margin, confidence),
        reason,
    )


def _words(wide: tuple[float, float], narrow: tuple[float, float], margin: float) -> tuple[str, str | None]:
    equivalent = -margin < narrow[0] and narrow[1] < margin
    noninferior = wide[0] > -margin
    if wide[0] > 0:
        return "superior", "equivalent" if equivalent else None
    if wide[1] < 0:
        return "inferior", "equivalent" if equivalent else ("non-inferior" if noninferior else None)
    if equivalent:
        return "equivalent", "non-inferior" if noninferior else None
    return ("non-inferior", None) if noninferior else ("inconclusive", None)


_MEANING = {
    "superior": "the arm is better than the reference",
    "inferior": "the arm is worse than the reference",
    "equivalent": "the arm and the reference differ by less than the margin",
    "non-inferior": "the arm is not worse than the reference by more than the margin",
    "inconclusive": "the data neither show a difference nor rule out one beyond the margin",
}


def _sentence(word: str, also: str | None, wide: tuple[float, float], margin: float, confidence: float) -> str:
    first = f"{word.capitalize()}: {_MEANING[word]}"
    second = f"; at the same time {also}: {_MEANING[also]}" if also else ""
    return f"{first}{second} (margin {margin:g}; {100 * confidence:g}% interval {wide[0]:+.3f} to {wide[1]:+.3f})."
