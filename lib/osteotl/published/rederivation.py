"""What follows from printed rates and p values: counts, discordant pairs, rules that a point breaks.

Everything is computed from the printed text and the numbers of films. Nothing here judges a paper: the tables say which
printed values can hold together.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from osteotl.published.printed import CLASS_OF, Published, Rule

VARIANTS = ("corrected", "exact", "midp", "uncorrected")
EITHER = "either arm"

Found = dict[tuple[str, str, str], Any]


# --- counts -----------------------------------------------------------------------------------------------------------


def unit_of(printed: str) -> Fraction:
    """One unit of the last printed decimal.

    Examples
    --------
    >>> unit_of("0.903")
    Fraction(1, 1000)
    """
    return Fraction(1, 10 ** len(printed.partition(".")[2]))


def compatible_counts(printed: str, n: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Counts k of n whose share k/n prints as `printed`: by rounding (a tie either way), and by truncation only.

    Parameters
    ----------
    printed : str
        A proportion with its printed decimals.
    n : int

    Returns
    -------
    rounded, truncated : tuple of int
        In exact arithmetic.

    Examples
    --------
    >>> compatible_counts("0.903", 268)
    ((242,), ())
    >>> compatible_counts("0.798", 268)
    ((), (214,))
    """
    value, unit = Fraction(printed), unit_of(printed)
    near = range(max(0, int(n * (value - unit)) - 1), min(n, int(n * (value + unit)) + 1) + 1)
    rounded = tuple(k for k in near if abs(Fraction(k, n) - value) <= unit / 2)
    truncated = tuple(k for k in near if 0 <= Fraction(k, n) - value < unit and k not in rounded)
    return rounded, truncated


def counts_of(published: Published) -> pd.DataFrame:
    """Counts behind every printed rate.

    Parameters
    ----------
    published : Published

    Returns
    -------
    DataFrame
        point, arm (or 'either arm'), rate, printed, n, rounded and truncated (tuples of counts), count (the first by
        rounding, else by truncation; for PPV and NPV the one that the other rates imply), share (count / n), agrees
        ('rounded', 'truncated', 'impossible').
    """
    rows = []
    for name, point in published.operating_points.items():
        printed = [(arm, rate, text) for arm, rates in point.rates.items() for rate, text in rates.items()]
        printed += [(EITHER, rate, text) for rate, texts in point.either_arm.items() for text in texts]
        rows += [_row(name, arm, rate, text, getattr(published.films, CLASS_OF[rate]))
                 for arm, rate, text in printed if rate in CLASS_OF]  # fmt: skip
    rows += _predictive_rows(published, {(r["point"], r["arm"], r["rate"]): r["count"] for r in rows})
    columns = ["point", "arm", "rate", "printed", "n", "rounded", "truncated", "count", "share", "agrees"]
    return pd.DataFrame(rows, columns=columns).astype({"count": "Int64"})


def _row(point: str, arm: str, rate: str, text: str, n: int, implied: int | None = None) -> dict[str, Any]:
    rounded, truncated = compatible_counts(text, n)
    count = implied if implied is not None else next(iter(rounded or truncated), None)
    words = {"rounded": rounded, "truncated": truncated}
    agrees = next((word for word, counts in words.items() if count in counts), "impossible")
    return {"point": point, "arm": arm, "rate": rate, "printed": text, "n": n, **words, "count": count,
            "share": None if count is None else count / n, "agrees": agrees}  # fmt: skip


def _predictive_rows(published: Published, counts: dict[tuple[str, str, str], int | None]) -> list[dict[str, Any]]:
    """PPV and NPV follow from the counts of the other two rates."""
    rows = []
    for name, point in published.operating_points.items():
        for arm, printed in point.rates.items():
            true, kept = counts.get((name, arm, "sensitivity")), counts.get((name, arm, "specificity"))
            if true is None or kept is None:
                continue
            false, missed = published.films.normal - kept, published.films.malignant - true
            implied = {"ppv": (true, true + false), "npv": (kept, kept + missed)}
            rows += [_row(name, arm, rate, printed[rate], n, k) for rate, (k, n) in implied.items() if rate in printed]
    return rows


def found_in(counts: pd.DataFrame) -> Found:
    """Rows of `counts_of` by (point, arm, rate), those of a named arm that have a count."""
    rows = counts[counts["count"].notna() & (counts["arm"] != EITHER)]
    return {(row.point, row.arm, row.rate): row for row in rows.itertuples()}


# --- p values ---------------------------------------------------------------------------------------------------------


def mcnemar_p(arm_only: ArrayLike, reference_only: ArrayLike) -> dict[str, NDArray[np.float64]]:
    """Two-sided p values of every variant of McNemar's test for many tables at once.

    Parameters
    ----------
    arm_only, reference_only : int array
        Discordant pairs; their sum must be above 0.

    Notes
    -----
    Equals `diagnostic_accuracy.paired.mcnemar`, one table at a time.

    Examples
    --------
    >>> {name: round(float(p), 4) for name, p in mcnemar_p(9, 0).items()}
    {'corrected': 0.0077, 'exact': 0.0039, 'midp': 0.002, 'uncorrected': 0.0027}
    """
    b, c = np.asarray(arm_only), np.asarray(reference_only)
    n, low = b + c, np.minimum(b, c)
    gap = np.abs(b - c).astype(float)
    tail = stats.binom.cdf(low, n, 0.5)
    return {
        "corrected": stats.chi2.sf(np.maximum(gap - 1, 0) ** 2 / n, 1),
        "exact": np.minimum(1.0, 2 * tail),
        "midp": np.where(b == c, 1.0, 2 * tail - stats.binom.pmf(low, n, 0.5)),
        "uncorrected": stats.chi2.sf(gap**2 / n, 1),
    }


def discordant_pairs(published: Published, counts: pd.DataFrame) -> pd.DataFrame:
    """Every 2x2 table of pairs whose McNemar p value prints as the printed one.

    Parameters
    ----------
    published : Published
    counts : DataFrame
        From `counts_of`.

    Returns
    -------
    DataFrame
        point, rate, printed, n, right_arm, right_reference (counts), variant, arm_only, reference_only, p. A p value
        that no table gives has one row with variant 'none'.
    """
    found, rows = found_in(counts), []
    for name, point in published.operating_points.items():
        for rate, p in point.p.items():
            both = [found.get((name, arm, rate)) for arm in (published.arm, published.reference)]
            if p.test == "mcnemar" and rate in CLASS_OF and None not in both:
                head = {"point": name, "rate": rate, "printed": p.value, "n": both[0].n}  # type: ignore[union-attr]
                pairs = _pairs(p.value, *both)
                rows += [head | pair for pair in pairs or [{"variant": "none"}]]
    columns = ["point", "rate", "printed", "n", "right_arm", "right_reference", "variant", "arm_only",
               "reference_only", "p"]  # fmt: skip
    whole = ["right_arm", "right_reference", "arm_only", "reference_only"]
    return pd.DataFrame(rows, columns=columns).astype(dict.fromkeys(whole, "Int64"))


def _pairs(printed: str, arm: Any, reference: Any) -> list[dict[str, Any]]:
    rows = []
    for k1 in arm.rounded or arm.truncated:
        for k0 in reference.rounded or reference.truncated:
            c = np.arange(max(0, k0 - k1), min(k0, arm.n - k1) + 1)
            b = c + k1 - k0
            keep = (b >= 0) & (b <= arm.n - k0) & (b + c > 0)
            for variant, p in mcnemar_p(b[keep], c[keep]).items():
                match = prints_as(p, printed)
                head = {"right_arm": k1, "right_reference": k0, "variant": variant}
                triples = zip(b[keep][match], c[keep][match], p[match], strict=True)
                rows += [head | {"arm_only": one, "reference_only": other, "p": value} for one, other, value in triples]
    return rows


def prints_as(values: ArrayLike, printed: str) -> NDArray[np.bool_]:
    """Which values round to the printed text.

    Examples
    --------
    >>> prints_as([0.0372, 0.0363], "0.037").tolist()
    [True, False]
    """
    return np.abs(np.asarray(values) - float(printed)) <= float(unit_of(printed)) / 2 + 1e-12


def common_variants(pairs: pd.DataFrame) -> list[str]:
    """Variants of McNemar's test that can print every one of the p values (`pairs` from `discordant_pairs`)."""
    able = [set(rows["variant"]) for _, rows in pairs.groupby(["point", "rate"])]
    return [variant for variant in VARIANTS if able and all(variant in one for one in able)]


def likely_pairs(pairs: pd.DataFrame) -> pd.DataFrame:
    """The first pair of each p value under the first common variant; no row where the p values share no variant."""
    shared = common_variants(pairs)
    return pairs[pairs["variant"].isin(shared[:1])].drop_duplicates(["point", "rate"]).reset_index(drop=True)


# --- rules ------------------------------------------------------------------------------------------------------------


def rule_breaks(published: Published, counts: pd.DataFrame) -> pd.DataFrame:
    """Points whose own rule another printed point of the same arm fulfils with a higher value.

    Returns
    -------
    DataFrame
        arm, point, better (the other point), says (a sentence), same_curve (whether one empirical ROC curve could hold
        both; None: unknown), step (films of that vertical step).
    """
    found, points = found_in(counts), published.operating_points
    rows = [
        _break(published, counts, found, (arm, name, other), point.rule)
        for name, point in points.items() if point.rule
        for arm in point.rates
        for other in points if other != name
    ]  # fmt: skip
    columns = ["arm", "point", "better", "says", "same_curve", "step"]
    return pd.DataFrame([row for row in rows if row], columns=columns)


def _break(
    published: Published, counts: pd.DataFrame, found: Found, key: tuple[str, str, str], rule: Rule
) -> dict[str, Any] | None:
    arm, name, other = key
    here, there = found.get((name, arm, rule.maximise)), found.get((other, arm, rule.maximise))
    held = found.get((other, arm, rule.subject_to))
    if not (here and there and held):
        return None
    most = (here.rounded or here.truncated)[-1]
    if held.share < float(rule.at_least) or there.count <= most:
        return None
    mine = counts[(counts["point"] == name) & (counts["rate"] == rule.subject_to) & counts["arm"].isin([arm, EITHER])]
    possible = {k for column in ("rounded", "truncated") for ks in mine[column] for k in ks}
    same = int(held.count) in possible if possible else None
    says = (
        f"{published.arms[arm]}: {name} has {rule.maximise} {here.printed}, yet its {other} point already meets "
        f"{rule.subject_to} >= {rule.at_least} ({held.printed}) with {rule.maximise} {there.printed}"
    )
    return {"arm": arm, "point": name, "better": other, "says": says, "same_curve": same,
            "step": int(there.count - most) if same else None}  # fmt: skip


def smallest_counts(published: Published, counts: pd.DataFrame) -> pd.DataFrame:
    """Rates whose count is the smallest that meets the target of their rule.

    That is hardly chance where the threshold was set on other films.

    Returns
    -------
    DataFrame
        arm, point, rate, target, count, n.
    """
    found, rows = found_in(counts), []
    for name, point in published.operating_points.items():
        for arm in point.rates if point.rule else ():
            rule = point.rule
            held = found.get((name, arm, rule.subject_to)) if rule else None
            if rule and held and held.count == -(-Fraction(rule.at_least) * held.n // 1):
                rows.append({"arm": arm, "point": name, "rate": rule.subject_to, "target": rule.at_least,
                             "count": int(held.count), "n": held.n})  # fmt: skip
    return pd.DataFrame(rows, columns=["arm", "point", "rate", "target", "count", "n"])
