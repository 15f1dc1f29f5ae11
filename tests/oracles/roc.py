"""ROC curves, AUCs and their comparison: pROC, scikit-learn, ROCR, doAUCcluster."""

from __future__ import annotations

from typing import Any

import numpy as np

from diagnostic_accuracy.delong import (
    AucCovariance,
    auc_covariance,
    compare_auc,
    compare_auc_unpaired,
    placement_covariance,
)
from diagnostic_accuracy.estimates import Estimate
from diagnostic_accuracy.intervals import tail_probability, wald_interval
from diagnostic_accuracy.margins import noninferiority_p
from diagnostic_accuracy.rates import Confusion
from diagnostic_accuracy.roc import (
    RocCurve,
    auc,
    partial_auc,
    roc_curve,
    sensitivity_at_specificity,
    specificity_at_sensitivity,
)
from diagnostic_accuracy.thresholds import find_threshold
from oracles.registry import Case, quantity


def _fit(case: Case, patients: Any = None) -> AucCovariance:
    def fit() -> AucCovariance:
        return auc_covariance(case["y"], {"s1": case["s1"], "s2": case["s2"]}, patients)

    return fit() if patients is not None else case.cached("delong", fit)


def _curve(case: Case, score: str) -> RocCurve:
    return case.cached(("curve", score), lambda: roc_curve(case["y"], case[score]))


@quantity(r"(sk_)?auc\.(?P<score>\w+)")
def area(case: Case, score: str) -> float:
    return auc(case["y"], case[score])


@quantity(r"rocr_auc")
def area_of_the_only_score(case: Case) -> float:
    return auc(case["y"], case["s"])


@quantity(r"auc_var_delong\.(?P<score>\w+)")
def variance(case: Case, score: str) -> float:
    return float(auc_covariance(case["y"], {score: case[score]}).covariance[0, 0])


@quantity(r"auc_cov_delong")
def covariance(case: Case) -> float:
    return float(_fit(case).covariance[0, 1])


@quantity(r"auc_ci(?P<level>\d+)_delong\.(?P<score>\w+)")
def interval(case: Case, level: str, score: str) -> list[float]:
    fit = auc_covariance(case["y"], {score: case[score]})
    se = float(np.sqrt(fit.covariance[0, 0]))
    if np.isnan(se):
        return [np.nan, np.nan]
    return list(wald_interval(float(fit.auc[0]), se, int(level) / 100, clip=(0, 1)))


def _difference(case: Case, patients: Any = None) -> tuple[Estimate, float | None]:
    """The difference in AUC and its standard error: 0 without variation, None where it cannot be estimated."""
    ours, fit = compare_auc(case["y"], case["s1"], case["s2"], patients), _fit(case, patients)
    if fit.note:
        return ours, None
    gap = fit.placed[:1] - fit.placed[1:]
    variance = float(placement_covariance(gap, fit.positive, fit.patients)[0, 0])
    return ours, 0.0 if ours.p is None else float(np.sqrt(variance))


def _limit(ours: Estimate, error: float | None) -> tuple[float, float]:
    """z and two-sided p; where our answer is 'no variation', the limits that pROC gives."""
    if error:
        return ours.estimate / error, ours.p
    if error is None:
        return np.nan, np.nan
    sign = float(np.sign(ours.estimate))
    return (sign * np.inf, 0.0) if sign else (0.0, 1.0)


@quantity(r"delong_paired")
def paired(case: Case) -> dict[str, Any]:
    ours, error = _difference(case)
    z, p = _limit(ours, error)
    # without variation we give limits that are apart, pROC an interval without width
    limits = [ours.lower, ours.upper] if error != 0 else [ours.estimate] * 2
    return {"z": z, "p_two_sided": p, "diff": ours.estimate, "ci95": limits}


@quantity(r"delong_paired_(?P<alternative>greater|less)")
def paired_one_sided(case: Case, alternative: str) -> float:
    return tail_probability(_limit(*_difference(case))[0], alternative)


@quantity(r"delong_unpaired")
def unpaired(case: Case) -> dict[str, Any]:
    ours, fit = compare_auc_unpaired(case["y"], case["s1"], case["y"], case["s2"]), _fit(case)
    error = np.sqrt(np.trace(fit.covariance))
    return {"stat": None if ours.p is None else ours.estimate / error, "df": ours.df, "p": ours.p}


@quantity(r"tost_(?P<margin>[\d.]+)")
def equivalence(case: Case, margin: str) -> dict[str, Any]:
    ours, error = _difference(case)
    difference, bound = ours.estimate, float(margin)
    if error is None:
        nothing = dict.fromkeys(("se", "p_lower", "p_upper", f"p_noninferiority_{margin}"))
        return {"diff": difference, **nothing, "ci90": [None, None]}
    lower, upper = noninferiority_p(difference, error, bound), noninferiority_p(-difference, error, bound)
    ends = list(wald_interval(difference, error, 0.90))
    own = f"p_noninferiority_{margin}"
    return {"diff": difference, "se": error, "p_lower": lower, "p_upper": upper, own: lower, "ci90": ends}


@quantity(
    r"pauc_(?P<focus>spec|sens)_(?P<high>[\d.]+)_(?P<low>[\d.]*\d)\.(?P<score>[a-z]\w*)",
    r"pauc_(?P<focus>spec|sens)_(?P<high>[\d.]+)_(?P<low>[\d.]*\d)(?P<corrected>_corrected)\.(?P<score>[a-z]\w*)",
)
def partial(case: Case, focus: str, high: str, low: str, score: str, corrected: str = "") -> float | None:
    axis = {"spec": "specificity", "sens": "sensitivity"}[focus]
    return partial_auc(case["y"], case[score], float(low), float(high), axis, bool(corrected))


@quantity(r"roc_points\.(?P<score>\w+)")
def points(case: Case, score: str) -> dict[str, Any]:
    curve = _curve(case, score)
    return {
        "threshold": curve.midpoints[::-1],
        "sensitivity": curve.sensitivity[::-1],
        "specificity": curve.specificity[::-1],
    }


def _at(curve: RocCurve, index: int) -> dict[str, float | None]:
    tp, fp = int(curve.true_positives[index]), int(curve.false_positives[index])
    counts = Confusion(tp, fp, int(curve.negatives) - fp, int(curve.positives) - tp)
    rates = {name: counts.rate(name) for name in ("sensitivity", "specificity", "ppv", "npv", "accuracy")}
    return {
        "threshold": curve.midpoints[index],
        **rates,
        "tp": counts.tp,
        "fp": counts.fp,
        "tn": counts.tn,
        "fn": counts.fn,
        "youden": curve.sensitivity[index] + curve.specificity[index],  # pROC prints J + 1
    }


def _all_optima(curve: RocCurve, rule: str) -> np.ndarray:
    """Every optimal point by exact arithmetic on counts: rates in units of 1 / (positives x negatives)."""
    positives, negatives = int(curve.positives), int(curve.negatives)
    misses = [(positives - int(tp)) * negatives for tp in curve.true_positives]
    alarms = [int(fp) * positives for fp in curve.false_positives]
    cost = [m + a if rule == "youden" else m**2 + a**2 for m, a in zip(misses, alarms, strict=True)]
    best = min(cost)
    return np.array([i for i, value in enumerate(cost) if value == best])


def _optima(curve: RocCurve, rule: str) -> dict[str, Any]:
    """All optima in pROC's order; among exact ties pROC keeps those whose sums are equal in floating point too."""
    tied = _all_optima(curve, rule)[::-1]
    if rule == "youden":
        value = (curve.sensitivity + curve.specificity)[tied]
    else:
        value = -((1 - curve.sensitivity) ** 2 + (1 - curve.specificity) ** 2)[tied]
    kept = [_at(curve, int(index)) for index in tied[value == value.max()]]
    return kept[0] if len(kept) == 1 else {name: [point[name] for point in kept] for name in kept[0]}


@quantity(r"youden_best\.(?P<score>\w+)")
def youden(case: Case, score: str) -> dict[str, Any]:
    return _optima(_curve(case, score), "youden")


@quantity(r"closest_topleft\.(?P<score>\w+)")
def closest(case: Case, score: str) -> dict[str, Any]:
    return _optima(_curve(case, score), "closest")


@quantity(r"op_(?P<rule>sens|spec)_ge_(?P<target>[\d.]*\d)\.(?P<score>\w+)")
def locked_point(case: Case, rule: str, target: str, score: str) -> dict[str, Any]:
    curve = _curve(case, score)
    name = {"sens": "high_sensitivity", "spec": "high_specificity"}[rule]
    chosen = find_threshold(case["y"], case[score], name, float(target))
    return _at(curve, int(np.flatnonzero(curve.thresholds == chosen)[0]))


@quantity(r"sens_at_spec_(?P<value>[\d.]*\d)_interp\.(?P<score>\w+)")
def sensitivity_interpolated(case: Case, value: str, score: str) -> float:
    return sensitivity_at_specificity(case["y"], case[score], float(value))


@quantity(r"spec_at_sens_(?P<value>[\d.]*\d)_interp\.(?P<score>\w+)")
def specificity_interpolated(case: Case, value: str, score: str) -> float:
    return specificity_at_sensitivity(case["y"], case[score], float(value))


@quantity(r"obuchowski1997(?P<singletons>_singletons)?")
def clustered(case: Case, singletons: str | None) -> dict[str, Any]:
    patients = np.arange(len(case.frame)) if singletons else case["patient"]
    fit, (ours, error) = _fit(case, patients), _difference(case, patients)
    result: dict[str, Any] = {}
    parts = [(arm, fit.auc[i], fit.covariance[i, i]) for i, arm in enumerate("AB")]
    for name, value, spread in [*parts, ("AminusB", ours.estimate, error**2)]:
        low, high = wald_interval(float(value), float(np.sqrt(spread)))
        result |= {f"auc.{name}": value, f"auc.var.{name}": spread, f"auc.se.{name}": np.sqrt(spread)}
        result |= {f"ci.bot.{name}": low, f"ci.top.{name}": high}
    return result | {"p.value": ours.p}
