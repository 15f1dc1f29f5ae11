"""What follows from published figures, computed from the printed numbers alone.

Nothing here judges a paper: it says which printed values can hold together.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from osteotl.statistics._attainable import VARIANTS, Attainable, CompatibleCounts, attainable_p, compatible_counts
from osteotl.statistics._implied import AucConsistency, auc_consistency
from osteotl.statistics.multiplicity import adjust
from osteotl.statistics.published import CLASS_OF, PrintedAuc, Published, Rule


@dataclass(frozen=True)
class RuleBreak:
    """A point of an arm that its own rule would not have chosen: another printed point of that arm is better."""

    arm: str
    point: str
    better: str
    sentence: str
    same_curve: bool | None
    step: int | None


@dataclass(frozen=True)
class Predictive:
    prevalence: float
    arm: str
    point: str
    ppv: float
    npv: float


@dataclass(frozen=True)
class Rederivation:
    """What follows from the printed figures.

    Attributes
    ----------
    counts : compatible counts of every printed rate.
    p_values : per printed McNemar p value and per variant, the discordant pairs that print it.
    common_variants : variants of McNemar's test that can print every one of those p values.
    rule_breaks : points that break their own rule.
    thresholds_on_test_set : arms and points whose rate is the smallest that meets the target on these very films.
    auc : what p and the two intervals imply, or None without AUCs.
    holm : per family size and variant, the smallest adjusted p; under "printed" the family as printed.
    predictive_values, net_benefit_per_1000 : at other prevalences; of the difference at the first point.
    rivals : the same under each rival reading.
    """

    counts: tuple[CompatibleCounts, ...]
    p_values: tuple[Attainable, ...]
    common_variants: tuple[str, ...]
    rule_breaks: tuple[RuleBreak, ...]
    thresholds_on_test_set: tuple[str, ...]
    auc: AucConsistency | None
    holm: dict[str, dict[str, float]]
    predictive_values: tuple[Predictive, ...]
    net_benefit_per_1000: dict[str, float]
    rivals: dict[str, Rederivation]

    def to_dict(self) -> dict[str, Any]:
        """For statistics.json."""
        return asdict(self)


def rederive(published: Published) -> Rederivation:
    """Compute everything that the printed figures allow.

    Parameters
    ----------
    published : Published

    Returns
    -------
    Rederivation
    """
    counts = tuple(_counts(published))
    found = {(c.point, c.arm, c.rate): c for c in counts}
    p_values = tuple(_p_values(published, found))
    common = tuple(v for v in VARIANTS if p_values and all(a.pairs[v] for a in p_values))
    return Rederivation(
        counts, p_values, common, tuple(_rule_breaks(published, found)), tuple(_on_test_set(published, found)),
        _auc(published, p_values, common), _holm(published, p_values, common), tuple(_predictive(published, found)),
        _net_benefit(published, found), {n: rederive(published.read_as(n)) for n in published.rival_readings},
    )  # fmt: skip


Found = dict[tuple[str, str, str], CompatibleCounts]


def _counts(published: Published) -> list[CompatibleCounts]:
    made = []
    for name, point in published.operating_points.items():
        for arm, rates in point.rates.items():
            for rate, text in rates.items():
                if rate in CLASS_OF:
                    made.append(compatible_counts(text, getattr(published.films, CLASS_OF[rate]), name, arm, rate))
        for rate, texts in point.either_arm.items():
            if rate in CLASS_OF:
                n = getattr(published.films, CLASS_OF[rate])
                made += [compatible_counts(text, n, name, "either arm", rate) for text in texts]
    return made + _predictive_counts(published, made)


def _predictive_counts(published: Published, rates: list[CompatibleCounts]) -> list[CompatibleCounts]:
    """PPV and NPV follow from the counts of the other two; say whether the printed value agrees."""
    found = {(c.point, c.arm, c.rate): c.best for c in rates}
    made = []
    for name, point in published.operating_points.items():
        for arm, printed in point.rates.items():
            true, kept = found.get((name, arm, "sensitivity")), found.get((name, arm, "specificity"))
            if not true or not kept:
                continue
            false, missed = published.films.normal - kept[0], published.films.malignant - true[0]
            for rate, (k, n) in (("ppv", (true[0], true[0] + false)), ("npv", (kept[0], kept[0] + missed))):
                if rate in printed:
                    made.append(compatible_counts(printed[rate], n, name, arm, rate, expected=k))
    return made


def _p_values(published: Published, found: Found) -> list[Attainable]:
    made = []
    for name, point in published.operating_points.items():
        for rate, printed in point.p.items():
            first, second = (found.get((name, arm, rate)) for arm in (published.arm, published.reference))
            if printed.test == "mcnemar" and rate in CLASS_OF and first and second:
                made.append(attainable_p(printed.value, first, second))
    return made


def _rule_breaks(published: Published, found: Found) -> list[RuleBreak]:
    """A point whose rule another printed point of the same arm fulfils with a higher value."""
    points = published.operating_points
    made = [
        _break(published, found, (arm, name, other), point.rule)
        for name, point in points.items() if point.rule
        for arm in point.rates
        for other in points if other != name and (name, arm, point.rule.maximise) in found
    ]  # fmt: skip
    return [one for one in made if one]


def _break(published: Published, found: Found, key: tuple[str, str, str], rule: Rule) -> RuleBreak | None:
    arm, name, other = key
    here, there = found[name, arm, rule.maximise], found.get((other, arm, rule.maximise))
    held = found.get((other, arm, rule.subject_to))
    if not there or not held or not (here.best and there.best and held.best):
        return None
    if held.best[0] / held.n < float(rule.at_least) or there.best[0] <= here.best[-1]:
        return None
    step = there.best[0] - here.best[-1]
    mine = _other_rate(found, name, arm, rule.subject_to)
    same = held.best[0] in mine if mine else None
    said = (
        f"{published.arms[arm]}: {name} has {rule.maximise} {here.printed}, yet its {other} point already meets "
        f"{rule.subject_to} >= {rule.at_least} ({held.printed}) with {rule.maximise} {there.printed}"
    )
    return RuleBreak(arm, name, other, said, same, step if same else None)


def _other_rate(found: Found, point: str, arm: str, rate: str) -> set[int]:
    entries = [c for (p, a, r), c in found.items() if p == point and r == rate and a in (arm, "either arm")]
    return {k for c in entries for k in (*c.rounded, *c.truncated)}


def _on_test_set(published: Published, found: Found) -> list[str]:
    """Rates that are the smallest count meeting their target: hardly by chance if the threshold came from elsewhere."""
    said = []
    for name, point in published.operating_points.items():
        for arm in point.rates if point.rule else ():
            rule = point.rule
            held = found.get((name, arm, rule.subject_to)) if rule else None
            if rule and held and held.best:
                least = -(-round(float(rule.at_least) * 1e9) * held.n // 10**9)
                if held.best[0] == least:
                    said.append(f"{published.arms[arm]}, {name}: {least}/{held.n} is the smallest count with "
                                f"{rule.subject_to} >= {rule.at_least}")  # fmt: skip
    return said


def _auc(published: Published, p_values: tuple[Attainable, ...], common: tuple[str, ...]) -> AucConsistency | None:
    if not published.auc or "p" not in published.auc:
        return None
    arms = [published.auc[published.arm], published.auc[published.reference]]
    printed = [(a.value, a.lower, a.upper) for a in arms if isinstance(a, PrintedAuc)]
    if len(printed) < 2:
        return None
    tables = [(a.rate, a.n, a.counts, a.pairs[common[0]][0][:2]) for a in p_values] if common else []
    films = (published.films.malignant, published.films.normal)
    margins, supposed = (list(map(float, x)) for x in (published.margins, published.supposed_correlations))
    return auc_consistency(
        printed, str(published.auc["p"]), float(published.confidence), films, tables, margins, supposed
    )


def _holm(
    published: Published, p_values: tuple[Attainable, ...], common: tuple[str, ...]
) -> dict[str, dict[str, float]]:
    """Holm over the printed family, and the smallest p of each variant times a hypothetical family size."""
    printed = {f"{rate}@{name}": float(p.value) for name, point in published.operating_points.items()
               for rate, p in point.p.items()}  # fmt: skip
    if not printed:
        return {}
    adjusted = adjust(list(printed.values()), "holm").tolist()
    result = {"printed": dict(zip(printed, adjusted, strict=True))}
    if common:
        smallest = min(p_values, key=lambda a: float(a.printed))
        b, c, *_ = smallest.pairs[common[0]][0]
        for size in published.family_sizes:
            result[f"smallest of {size}"] = {v: min(1.0, size * smallest.at(b, c)[v]) for v in VARIANTS}
    return result


def _predictive(published: Published, found: Found) -> list[Predictive]:
    made = []
    for name, point in published.operating_points.items():
        for arm in point.rates:
            both = [found.get((name, arm, rate)) for rate in ("sensitivity", "specificity")]
            if not all(c and c.best for c in both):
                continue
            sens, spec = (c.best[0] / c.n for c in both if c)
            for prevalence in map(float, published.prevalences):
                hit, false = prevalence * sens, (1 - prevalence) * (1 - spec)
                kept, missed = (1 - prevalence) * spec, prevalence * (1 - sens)
                made.append(Predictive(prevalence, arm, name, hit / (hit + false), kept / (kept + missed)))
    return made


def _net_benefit(published: Published, found: Found) -> dict[str, float]:
    """Net benefit of the difference arm - reference at the first point with both rates, per 1,000 films."""
    for name in published.operating_points:
        keys = [(name, arm, rate) for arm in (published.arm, published.reference) for rate in CLASS_OF]
        if not all(k in found and found[k].best for k in keys):
            continue
        true1, kept1, true0, kept0 = (found[k].best[0] for k in keys)
        films = published.films.malignant + published.films.normal
        return {t: 1000 / films * (true1 - true0 + (kept1 - kept0) * float(t) / (1 - float(t)))
                for t in published.threshold_probabilities}  # fmt: skip
    return {}
