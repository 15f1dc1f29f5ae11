"""The re-derivation as rows of a table, and this study's numbers in the paper's own layout."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from osteotl.statistics._implied import AucConsistency
from osteotl.statistics.published import PrintedAuc, Published
from osteotl.statistics.rederivation import Rederivation


@dataclass(frozen=True)
class Line:
    """One line of the table: what was printed, what follows from it, and whether the two agree (None: no question)."""

    item: str
    printed: str
    follows: str
    agrees: bool | None


def rederivation_lines(published: Published, result: Rederivation, reading: str = "") -> list[Line]:
    """The re-derivation in words, rival readings last.

    Parameters
    ----------
    published, result
        As loaded and as re-derived.
    reading : str
        Name of a rival reading, put before each item.
    """
    said = f"{reading}: " if reading else ""
    lines = [_count_line(c, said) for c in result.counts] + [_p_line(a, said) for a in result.p_values]
    if result.p_values:
        variants = ", ".join(result.common_variants) or "none"
        lines.append(Line(f"{said}McNemar variant", "not named", f"variants that print every p value: {variants}",
                          bool(result.common_variants)))  # fmt: skip
    for b in result.rule_breaks:
        more = f"; one empirical ROC curve could hold both, as a step of {b.step} films" if b.same_curve else ""
        lines.append(Line(f"{said}{b.point}, {b.arm}", "rule as stated", b.sentence + more, False))
    if reading:
        return lines
    lines += [
        Line("threshold", "not stated", f"{t}: probably set on these films", None)
        for t in result.thresholds_on_test_set
    ]
    lines += _auc_lines(published, result.auc) if result.auc else []
    for family, adjusted in result.holm.items():
        lines.append(Line(f"Holm, {family}", "", "; ".join(f"{k} {v:.3g}" for k, v in adjusted.items()), None))
    for t, value in result.net_benefit_per_1000.items():
        lines.append(Line(f"net benefit at threshold probability {t}", "", f"{value:.1f} per 1,000 films", None))
    for name, rival in result.rivals.items():
        lines.append(Line(f"rival reading {name}", "", published.rival_readings[name].says, None))
        lines += rederivation_lines(published.read_as(name), rival, name)
    return lines


def _count_line(c: Any, said: str) -> Line:
    if c.expected is not None:
        follows = f"{c.expected}/{c.n} = {c.expected / c.n:.4f} from the other rates"
    elif c.rounded or c.truncated:
        counts = ", ".join(f"{k}/{c.n}" for k in c.best)
        follows = counts if c.rounded else f"no count rounds to it; {counts} cut off to it"
    else:
        follows = f"no count of {c.n} gives it"
    return Line(f"{said}{c.rate} at {c.point}, {c.arm}", c.printed, follows, c.agrees == "rounded")


def _p_line(a: Any, said: str) -> Line:
    found = "; ".join(f"{v}: {', '.join(f'({b}, {c})' for b, c, _ in pairs)}" for v, pairs in a.pairs.items() if pairs)
    return Line(f"{said}McNemar p, {a.rate} at {a.point}", a.printed, found or "no table gives it", bool(found))


def _auc_lines(published: Published, auc: AucConsistency) -> list[Line]:
    low, high = auc.correlation_range
    near, far = auc.unpaired_p_range
    lines = [
        Line("correlation of the AUCs", f"p = {published.auc['p']}",
             f"{auc.correlation:.2f} (rounding allows {low:.2f} to {high:.2f})", None),
        Line("unpaired test", "", f"p = {auc.unpaired_p:.2f} ({near:.2f} to {far:.2f})", None),
        *(Line(f"if the correlation were {r}", "", f"p = {p:.2f}", None) for r, p in auc.p_if_correlated.items()),
    ]  # fmt: skip
    if auc.nested_correlation is not None and auc.nested_p is not None:
        agrees = low <= auc.nested_correlation <= high
        follows = f"{auc.nested_correlation:.2f}, which would give p = {auc.nested_p:.2f}"
        lines.append(Line("correlation from the discordant pairs (binormal)", "", follows, agrees))
    at = "; ".join(f"margin {m}: {'equivalent' if ok else 'not equivalent'}" for m, ok in auc.equivalent_at.items())
    low90, high90 = auc.interval90
    return [*lines, Line("equivalence", "", f"90% interval {low90:+.3f} to {high90:+.3f}; {at}", None)]


# --- this study in the paper's layout ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class LayoutRow:
    """One row of the paper's table: the paper's two values beside ours."""

    item: str
    printed_arm: str | None
    printed_reference: str | None
    printed_p: str | None
    arm: float | None
    reference: float | None
    p: float | None


def in_published_layout(published: Published, statistics: dict[str, Any], arm: str, reference: str,
                        source: str = "external") -> list[LayoutRow]:  # fmt: skip
    """This study's numbers in the rows of the published table.

    Parameters
    ----------
    published : Published
    statistics : mapping
        The content of statistics.json.
    arm, reference : str
        Arms of this study that stand for the paper's.
    source : {"external", "validation"}
        Where thresholds come from; `external` as in the paper.

    Returns
    -------
    list of LayoutRow
        Ours are None where the study has no such number.
    """
    comparison = statistics.get("comparisons", {}).get(arm, {})
    rows = []
    if published.auc:
        printed = [_auc_text(published.auc[a]) for a in (published.arm, published.reference)]
        ours = [_value(statistics, a, "auc") for a in (arm, reference)]
        rows.append(LayoutRow("AUC", printed[0], printed[1], _text(published.auc.get("p")), ours[0], ours[1],
                              comparison.get("auc_difference", {}).get("p")))  # fmt: skip
    for name, point in published.operating_points.items():
        key = f"{name}@{source}"
        for rate in dict.fromkeys(r for rates in point.rates.values() for r in rates):
            theirs = [point.rates.get(a, {}).get(rate) for a in (published.arm, published.reference)]
            ours = [_value(statistics, a, "operating_points", key, rate) for a in (arm, reference)]
            p = comparison.get("operating_points", {}).get(key, {}).get(rate, {}).get("p")
            printed_p = point.p[rate].value if rate in point.p else None
            rows.append(LayoutRow(f"{rate} at {name}", theirs[0], theirs[1], printed_p, ours[0], ours[1], p))
    return rows


def _auc_text(auc: PrintedAuc | str) -> str:
    return f"{auc.value} ({auc.lower}-{auc.upper})" if isinstance(auc, PrintedAuc) else auc


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _value(statistics: dict[str, Any], arm: str, *path: str) -> float | None:
    content: Any = statistics.get("arms", {}).get(arm, {})
    for key in path:
        content = content.get(key, {}) if isinstance(content, dict) else {}
    return content.get("estimate") if isinstance(content, dict) else None
