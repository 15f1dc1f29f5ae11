"""Phrases on what a study found, each number with its interval from statistics.json."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from osteotl.reporting.account import Run
from osteotl.reporting.wording import FEATURES, POINTS, fixed, interval, line, p_sentence, point_words, typeset

FALSE_ALARMS = "false alarms per 1,000 normal films"


def phrases(run: Run) -> dict[str, str | None]:
    """Phrases that need statistics.json."""
    return {
        "auc": _each(run, lambda arm: interval(arm.get("auc"))),
        "average_precision": _each(run, lambda arm: interval(arm.get("average_precision"))),
        "verdicts": _verdicts(run),
        "auc_differences": _differences(run),
        "auc_method": _method(run),
        "main_point": point_words(run.main_point),
        "rates": _rates(run),
        "missed": _each(run, lambda arm: f"{interval(arm.get('missed_per_100'), 1)} missed of 100 malignant films"),
        "false_alarms": _each(run, lambda arm: f"{interval(arm.get('false_alarms_per_1000'), 0)} {FALSE_ALARMS}"),
        "crosstab": _crosstab(run),
        "rate_differences": _rate_differences(run),
        "family_results": _family(run),
        "calibration": None if run.flags["no_validation"] else _calibration(run),
        "localisation": None if run.flags["no_boxes"] else _localisation(run),
        "patient_level": _each(run, lambda arm: interval((arm.get("patient_level") or {}).get("auc"))),
        "subgroups": _subgroups(run),
        "audit": _audit(run),
        "baseline": _baseline(run),
        "ppv": _predictive(run),
        "spread": _spread(run),
        "warnings": " ".join(typeset(line(flag)) for flag in run.get("flags", [])) or None,
    }


def _each(run: Run, phrase: Callable[[Mapping[str, Any]], str]) -> str | None:
    arms = run.get("arms", {})
    return "; ".join(f"'{run.label(arm)}' {phrase(arms[arm])}" for arm in run.arms) or None


def _verdicts(run: Run) -> str | None:
    found = [typeset(line(c["verdict"]["sentence"])) for c in run.get("comparisons", {}).values() if c.get("verdict")]
    return " ".join(found) or None


def _method(run: Run) -> str | None:
    """How the primary comparison was computed, in the words of statistics.json."""
    for comparison in run.get("comparisons", {}).values():
        if method := (comparison.get("auc_difference") or {}).get("method"):
            return line(method)
    return None


def _differences(run: Run) -> str | None:
    """Difference in AUC of each arm, and every seed's."""
    parts = []
    for arm, comparison in run.get("comparisons", {}).items():
        whole = comparison.get("auc_difference", {})
        runs = [f"seed {s}: {interval(r.get('auc_difference'))}, {p_sentence(r.get('auc_difference', {}).get('p'))}"
                for s, r in comparison.get("per_seed", {}).items()]  # fmt: skip
        parts.append(f"'{run.label(arm)}' {interval(whole)}, {p_sentence(whole.get('p'))}; by run {', '.join(runs)}")
    return "; ".join(parts) or None


def _rates(run: Run) -> str | None:
    names = ("sensitivity", "specificity", "ppv", "npv")
    parts = []
    for arm in run.arms:
        point = (run.get("arms", {})[arm].get("operating_points") or {}).get(run.main_point)
        if point:
            told = ", ".join(f"{n.upper() if len(n) == 3 else n} {interval(point.get(n))}" for n in names)
            parts.append(f"'{run.label(arm)}' {told}")
    return "; ".join(parts) or None


def _crosstab(run: Run) -> str | None:
    """The 2x2 counts of the first seed at the main point."""
    parts = []
    for arm in run.arms:
        seeds = run.get("arms", {})[arm].get("per_seed", {})
        point = seeds.get(run.first_seed, {}).get("operating_points", {}).get(run.main_point) or {}
        if point.get("tp") is not None:
            counts = ", ".join(f"{key.upper()} {point[key]:,}" for key in ("tp", "fn", "tn", "fp"))
            parts.append(f"'{run.label(arm)}' {counts}")
    return f"seed {run.first_seed}: {'; '.join(parts)}" if parts else None


def _rate_differences(run: Run) -> str | None:
    parts = []
    for arm, comparison in run.get("comparisons", {}).items():
        point = comparison.get("operating_points", {}).get(run.main_point) or {}
        found = {name: point[name] for name in ("sensitivity", "specificity", "ppv", "npv") if name in point}
        told = [f"{name.upper() if len(name) == 3 else name} {interval(n)}, {p_sentence(n.get('p'))}"
                for name, n in found.items()]  # fmt: skip
        if told:
            parts.append(f"'{run.label(arm)}' {'; '.join(told)}")
    return "; ".join(parts) or None


def _family(run: Run) -> str | None:
    """The declared secondary tests with their adjusted p."""
    parts = []
    for arm, comparison in run.get("comparisons", {}).items():
        for entry in comparison.get("family", []):
            measure, _, point = line(entry["name"]).partition("@")
            parts.append(f"'{run.label(arm)}' {measure} at the {POINTS.get(point, point)} point "
                         f"{interval(entry.get('difference'))}, Holm {p_sentence(entry.get('holm'))}")  # fmt: skip
    return "; ".join(parts) or None


def _calibration(run: Run) -> str | None:
    seed = run.first_seed
    parts = []
    for arm in run.arms:
        found = run.get("arms", {})[arm].get("per_seed", {}).get(seed, {})
        if found:
            parts.append(f"'{run.label(arm)}' slope {interval(found.get('calibration_slope'), 2)}, in the large "
                         f"{interval(found.get('calibration_in_the_large'), 2)}")  # fmt: skip
    brier = _each(run, lambda arm: interval(arm.get("brier_recalibrated")))
    return f"seed {seed}: {'; '.join(parts)}. Brier score, mean over runs: {brier}" if parts else None


def _localisation(run: Run) -> str | None:
    parts = []
    for arm in run.arms:
        found = run.get("arms", {})[arm].get("localisation") or {}
        parts.append(f"'{run.label(arm)}' lesions hit {interval(found.get('lesion_sensitivity'))}, area under the "
                     f"localisation ROC curve {interval(found.get('lroc_area'))}")  # fmt: skip
    return "; ".join(parts) or None


def _subgroups(run: Run) -> str | None:
    groups = list(dict.fromkeys(line(entry["group"]) for entry in run.get("subgroups", [])))
    known = [e for e in run.get("subgroups", []) if (e.get("auc") or {}).get("estimate") is not None]
    if not groups:
        return None
    if not known:
        return f"by {', '.join(groups)}; no group holds enough films of both classes"
    low = min(known, key=lambda entry: entry["auc"]["estimate"])
    return (
        f"by {', '.join(groups)}; lowest AUC {interval(low['auc'])} in {line(low['group'])} {line(low['level'])}, "
        f"'{run.label(low['arm'])}'"
    )


def _audit(run: Run) -> str | None:
    """AUC with the lesion painted over, and the alarms raised."""
    audit = run.get("audit") or {}
    masked = audit.get("lesion_masked")
    if not masked:
        return None
    told = "; ".join(f"'{run.label(arm)}' {interval(masked[arm])}" for arm in run.arms if arm in masked)
    raised = [line(a.get("alarm", "")).replace("_", " ") for a in audit.get("alarms", []) if a.get("raised")]
    return f"AUC with every lesion painted over: {told}; alarms raised: {', '.join(raised) or 'none'}"


def _baseline(run: Run) -> str | None:
    found = run.get("baseline") or {}
    if not found.get("auc"):
        return None
    features = ", ".join(FEATURES.get(name) or line(name).replace("_", " ") for name in found.get("features", []))
    return f"{interval(found['auc'])} from {features or 'covariates'} alone, without the film"


def _predictive(run: Run) -> str | None:
    parts = []
    for arm in run.arms:
        values = [v for v in run.get("arms", {})[arm].get("predictive_values", []) if v["point"] == run.main_point]
        told = ", ".join(f"{interval(v['ppv'])} at {100 * v['prevalence']:g}%" for v in values)
        if told:
            parts.append(f"'{run.label(arm)}' {told}")
    return "; ".join(parts) or None


def _spread(run: Run) -> str | None:
    """Smallest and largest AUC of an arm's training runs."""
    parts = []
    for arm in run.arms:
        runs = [r.get("auc", {}).get("estimate") for r in run.get("arms", {})[arm].get("per_seed", {}).values()]
        known = [value for value in runs if value is not None]
        if len(known) > 1:
            parts.append(f"'{run.label(arm)}' {fixed(min(known))} to {fixed(max(known))}")
    return "; ".join(parts) or None
