"""Paired tables, predictive values and likelihood ratios: DTComPair, exact2x2, R's stats, statsmodels, geepack."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import stats

from diagnostic_accuracy import paired
from diagnostic_accuracy.intervals import wald_interval
from diagnostic_accuracy.multiplicity import adjust
from diagnostic_accuracy.paired import PairedCalls, PairedTable
from diagnostic_accuracy.rates import Confusion, rate_estimate
from oracles.registry import Case, Near, quantity


def _calls(case: Case) -> PairedCalls:
    """Test 2 is DTComPair's new test: our arm; test 1 our reference."""
    frame = case.frame
    if {"t1", "t2"} <= set(frame):
        return paired.paired_calls(frame["y"], frame["t2"], frame["t1"])
    cut = float(case.content["dt_threshold"])
    return paired.paired_calls(frame["y"], frame["s2"] >= cut, frame["s1"] >= cut)


def _rows(table: PairedTable) -> list[list[int]]:
    b, c = table.arm_only, table.reference_only
    return [
        [table.both, b, table.arm],
        [c, table.neither, c + table.neither],
        [table.reference, b + table.neither, table.n],
    ]


@quantity("table")
def tables(case: Case) -> dict[str, Any]:
    calls = _calls(case)
    return {"diseased": _rows(calls.malignant), "non_diseased": _rows(calls.normal)}


def _wald(value: float, n: int) -> dict[str, float]:
    se = float(np.sqrt(value * (1 - value) / n))
    low, high = wald_interval(value, se)
    return {"est": value, "se": se, "lcl": low, "ucl": high}


def _counts(calls: PairedCalls, side: str) -> Confusion:
    """The 2x2 table of the arm or of the reference."""
    tp, fp = getattr(calls.malignant, side), getattr(calls.normal, side)
    return Confusion(tp, fp, calls.normal.n - fp, calls.malignant.n - tp)


@quantity(r"acc\.paired")
def accuracies(case: Case) -> dict[str, Any]:
    calls = _calls(case)
    result = {}
    for test, side in (("test1", "reference"), ("test2", "arm")):
        counts = _counts(calls, side)
        measures: dict[str, Any] = {}
        for name in ("sensitivity", "specificity", "ppv", "npv"):
            measures[name] = _wald(counts.rate(name), counts.fraction(name)[1])
        for theirs, name in (("pdlr", "lr_positive"), ("ndlr", "lr_negative")):
            measures[theirs] = _likelihood_ratio(counts, name)
        result[test] = measures
    return result


def _likelihood_ratio(counts: Confusion, name: str) -> dict[str, float | None]:
    """DTComPair's columns; where we say 'no upper bound' or 'no interval', what R's division by 0 leaves."""
    ours = rate_estimate(counts, name)
    if ours.estimate is None:
        return {"est": np.inf, "se.ln": np.inf, "lcl": None, "ucl": np.inf}
    if ours.estimate == 0:
        return {"est": 0.0, "se.ln": np.inf, "lcl": 0.0, "ucl": None}
    se = np.log(ours.upper / ours.lower) / (2 * wald_interval(0, 1)[1])
    return {"est": ours.estimate, "se.ln": se, "lcl": ours.lower, "ucl": ours.upper}


def _both(case: Case, values: Any) -> dict[str, Any]:
    calls = _calls(case)
    result = {}
    for name, table in (("sensitivity", calls.sensitivity), ("specificity", calls.specificity)):
        shares = {"test1": table.reference / table.n, "test2": table.arm / table.n, "diff": table.difference}
        result[name] = shares | values(table)
    return result


@quantity(r"sesp\.mcnemar")
def mcnemar_uncorrected(case: Case) -> dict[str, Any]:
    def values(table: PairedTable) -> dict[str, Any]:
        test = paired.mcnemar(table)
        return {"test.statistic": test.statistic, "p.value": test.uncorrected}

    return _both(case, values)


@quantity(r"sesp\.exactbinom")
def mcnemar_exact(case: Case) -> dict[str, Any]:
    return _both(case, lambda table: {"p.value": paired.mcnemar(table).exact})


@quantity(r"sesp\.gen\.mcnemar")
def mcnemar_joint(case: Case) -> list[float | None]:
    return list(paired.mcnemar_joint(_calls(case)))


@quantity(r"sesp\.diff\.ci\.(?P<method>wald|bonett-price)")
def wald_like(case: Case, method: str) -> dict[str, Any]:
    def values(table: PairedTable) -> dict[str, Any]:
        ours = paired.paired_difference(table, method=method.replace("-", "_"))
        low, high = (ours.lower, ours.upper) if ours.lower is not None else (0.0, 0.0)
        return {"diff.se": (high - low) / (2 * wald_interval(0, 1)[1]), "diff.lcl": low, "diff.ucl": high}

    return _both(case, values)


@quantity(r"sesp\.diff\.ci\.tango")
def tango(case: Case) -> dict[str, Any]:
    """DTComPair asks PropCIs for positive calls of test 1 - test 2 in both classes.

    That is the wrong sign for sensitivity and the right one for specificity; it then changes the sign only if the
    observed difference lies outside. So the interval of a small difference in sensitivity is the mirrored one.
    """
    calls = _calls(case)
    result = {}
    for name, table, right in (
        ("sensitivity", calls.malignant, calls.sensitivity),
        ("specificity", calls.normal, calls.specificity),
    ):
        swapped = PairedTable(table.both, table.reference_only, table.arm_only, table.neither)
        ours = paired.paired_difference(swapped, method="tango")
        low, high = ours.lower, ours.upper
        if not low <= right.difference <= high:
            low, high = -high, -low
        shares = {"test1": right.reference / right.n, "test2": right.arm / right.n, "diff": right.difference}
        result[name] = shares | {"diff.se": None, "diff.lcl": low, "diff.ucl": high}
    return result


@quantity(r"pv\.wgs_kosinski")
def predictive_scores(case: Case) -> dict[str, Any]:
    calls, result = _calls(case), {}
    for value in ("ppv", "npv"):
        ours = paired.compare_predictive_values(calls, value)
        result[value] = {
            "test1": _counts(calls, "reference").rate(value),
            "test2": _counts(calls, "arm").rate(value),
            "diff": ours.estimate,
            "test.statistic": None if ours.p is None else stats.chi2.isf(ours.p, 1),
            "p.value": ours.p,
        }
    return result


# --- grids of tables --------------------------------------------------------------------------------------------------


def _grid(case: Case) -> list[PairedTable]:
    return [PairedTable(*map(int, row)) for row in case.frame[["n11", "n10", "n01", "n00"]].to_numpy()]


@quantity(r"mcnemar_asymptotic_(?P<kind>nocc|cc)", r"sm_mcnemar_exact=False_corr=(?P<kind>False)")
def asymptotic(case: Case, kind: str) -> list[dict[str, Any]]:
    tests = [paired.mcnemar(table) for table in _grid(case)]
    if kind == "cc":
        return [{"stat": test.statistic_corrected, "p": test.corrected} for test in tests]
    return [{"stat": test.statistic, "p": test.uncorrected} for test in tests]


@quantity(r"mcnemar_exact", r"sm_mcnemar_exact=True_corr=(True|False)")
def exact(case: Case) -> list[dict[str, Any]]:
    return [{"p": paired.mcnemar(t).exact, "stat": min(t.arm_only, t.reference_only)} for t in _grid(case)]


@quantity(r"exact2x2_paired(?P<midp>_midp)?")
def exact_with_interval(case: Case, midp: str | None) -> list[dict[str, Any]]:
    result = []
    for table in _grid(case):
        test, b, c = paired.mcnemar(table), table.arm_only, table.reference_only
        ratio = b / c if c else (np.inf if b else None)
        interval: list[Any] = list(paired.odds_ratio_interval(table, midp=bool(midp)))
        if midp:  # solved by R's uniroot, which stops at .Machine$double.eps^0.25 = 1.2e-4 of the proportion
            interval = [Near(odds, 1.3e-4 * (1 + odds) ** 2) if 0 < odds < np.inf else odds for odds in interval]
        result.append({"p": test.midp if midp else test.exact, "or": ratio, "ci95": interval})
    return result


@quantity(r"mcnemar_midp_closed_form")
def midp(case: Case) -> list[float]:
    return [paired.mcnemar(table).midp for table in _grid(case)]


# --- clusters, families -----------------------------------------------------------------------------------------------


@quantity(r"gee_(?P<rate>sens|spec)_diff_(?P<cut>-?[\d.]+)")
def clustered(case: Case, rate: str, cut: str) -> dict[str, Any]:
    films = case["y"] == (1 if rate == "sens" else 0)
    # the model is of positive calls in both classes, so "spec" is the difference in false-positive rates
    called = [case[score] >= float(cut) for score in ("s2", "s1")]
    ours = paired.clustered_difference(called[0][films], called[1][films], case["patient"][films])
    unclipped = (ours.upper - ours.lower) / (2 * wald_interval(0, 1)[1])
    return {"est": ours.estimate, "se_robust": unclipped, "p": ours.p}


@quantity(r"(?P<method>holm|BH|bonferroni)")
def adjusted(case: Case, method: str) -> Any:
    return adjust(case["p"], method.lower())
