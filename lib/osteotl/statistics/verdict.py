"""The primary outcome in words: superior, non-inferior, equivalent, inferior or inconclusive."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from scipy import stats

from osteotl.statistics.estimate import Estimate


@dataclass(frozen=True)
class Verdict:
    """What an interval of a difference says about a margin that was declared beforehand.

    Attributes
    ----------
    word : str
        superior | non-inferior | equivalent | inferior | inconclusive | not estimable.
    also : str or None
        A second true statement: 'equivalent' beside superior or inferior ('different yet equivalent'), or
        'no difference shown' / 'too few films to tell' beside inconclusive.
    margin, smallest_margin : float
        The declared margin, and the smallest that would have shown equivalence.
    smallest_noninferiority_margin : float
        The smallest margin that would have shown non-inferiority (0 where the interval lies above 0).
    p_noninferiority, p_equivalence : float or None
        One-sided p of non-inferiority, and the larger of the two one-sided p values (TOST).
    sentence : str
        For the page.
    """

    word: str
    also: str | None
    margin: float
    smallest_margin: float | None
    smallest_noninferiority_margin: float | None
    p_noninferiority: float | None
    p_equivalence: float | None
    sentence: str

    def to_dict(self) -> dict[str, Any]:
        """The block of statistics.json."""
        return asdict(self)


def judge(difference: Estimate, margin: float, confidence: float, arm: str, reference: str) -> Verdict:
    """Judge a difference in AUC against a margin.

    Parameters
    ----------
    difference : Estimate
        arm - reference, with a symmetric interval (t with `df`, or normal where df is None).
    margin : float
        Declared before the analysis, in (0, 0.5).
    confidence : float
        Of the interval in `difference`, e.g. 0.95. Superiority and non-inferiority are judged on that interval,
        equivalence on the one of level 2 * confidence - 1 (0.90 for 0.95), which is the two one-sided tests procedure
        at 1 - confidence (Schuirmann 1987).
    arm, reference : str
        Names for the sentence.

    Returns
    -------
    Verdict
    """
    if not 0 < margin < 0.5:
        raise ValueError(f"margin {margin!r} must lie in (0, 0.5): declare the largest difference that does not matter")
    if difference.estimate is None or difference.lower is None or difference.upper is None:
        reason = difference.not_estimable or "its interval is not defined"
        sentence = f"The difference in AUC between {arm} and {reference} cannot be judged: {reason}."
        return Verdict("not estimable", None, margin, None, None, None, None, sentence)
    middle, lower, upper = difference.estimate, difference.lower, difference.upper
    law = stats.norm() if difference.df is None else stats.t(difference.df)
    error = (upper - lower) / 2 / float(law.ppf(0.5 + confidence / 2))
    inner = error * float(law.ppf(confidence))
    smallest = max(abs(middle - inner), abs(middle + inner))
    word, also = _word(lower, upper, smallest, margin)
    p_low, p_high = (_tail(law, middle + margin, error), _tail(law, margin - middle, error))
    return Verdict(
        word,
        also,
        margin,
        smallest,
        max(0.0, -lower),
        p_low,
        max(p_low, p_high),
        _sentence(word, also, difference, margin, arm, reference),
    )


def _tail(law: Any, distance: float, error: float) -> float:
    """One-sided p of a distance from the margin; with no spread at all it is decided by the side alone."""
    if error == 0:
        return 0.5 if distance == 0 else float(distance < 0)
    return float(law.sf(distance / error))


def _word(lower: float, upper: float, smallest: float, margin: float) -> tuple[str, str | None]:
    equivalent = smallest < margin
    if lower > 0:
        return "superior", "equivalent" if equivalent else None
    if upper < 0:
        return "inferior", "equivalent" if equivalent else None
    if equivalent:
        return "equivalent", None
    if lower > -margin:
        return "non-inferior", None
    return "inconclusive", "too few films to tell" if upper > margin else "no difference shown"


def _sentence(word: str, also: str | None, d: Estimate, margin: float, arm: str, reference: str) -> str:
    number = f"(difference in AUC {d.estimate:+.3f}, {d.lower:+.3f} to {d.upper:+.3f}; margin {margin:g})"
    text = {
        "superior": f"The detector {arm} found malignant films better than the one {reference} {number}.",
        "inferior": f"The detector {arm} found malignant films worse than the one {reference} {number}.",
        "equivalent": f"The detectors {arm} and {reference} were equivalent within the declared margin {number}.",
        "non-inferior": f"The detector {arm} was not worse than the one {reference} by more than the declared margin; "
        f"that it is better was not shown {number}.",
        "inconclusive": f"Between the detectors {arm} and {reference} no difference was shown, and none can be ruled "
        f"out {number}.",
    }[word]
    if also == "equivalent":
        text += " The difference is real but smaller than the margin: different, yet equivalent."
    if also == "too few films to tell":
        text += " The interval reaches beyond both ends of the margin: too few films or training runs to tell."
    return text
