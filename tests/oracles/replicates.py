"""Several readers, Obuchowski-Rockette: RJafroc."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import stats

from diagnostic_accuracy.checks import Estimate
from diagnostic_accuracy.intervals import tail_probability, wald_interval
from diagnostic_accuracy.readers import CrossedValues, compare_readers, components, mean_variance, reader_auc
from oracles.registry import Case, quantity

KINDS = {"RRRC": "readers and patients", "FRRC": "patients", "RRFC": "readers"}


def whole_analysis(data: CrossedValues) -> dict[str, Any]:
    """RJafroc's tables (VarCom, MS, RRRC, FRRC, RRFC) from our analysis; for any measure."""
    parts = components(data)
    arms, readers = parts.arms, parts.readers
    pairs = _pairs(data)
    error, df = parts.error(), parts.df()
    f = parts.ms_arm / error
    p = stats.f.sf(f, arms - 1, df)
    chi = (arms - 1) * parts.ms_arm / parts.error("patients")
    fixed_f = parts.ms_arm / parts.error("readers")
    freedom = float((arms - 1) * (readers - 1))
    rest = {"Var": parts.var, "VarR": parts.var_reader, "VarTR": parts.var_interaction}
    return {
        "VarCom": {"Cov1": parts.cov1, "Cov2": parts.cov2, "Cov3": parts.cov3, **rest},
        "MS": {"T": parts.ms_arm, "R": parts.ms_reader, "TR": parts.ms_interaction},
        "trtMeans": data.values.mean(axis=1),
        "RRRC": {
            "test": {"DF": [arms - 1, df], "MS": [parts.ms_arm, error], "FStat": [f, None], "p": [p, None]},
            "ciDiffTrt": _table([_difference(pair, row) for row, pair in pairs["RRRC"].items()]),
            "ciAvgRdrEachTrt": _means(data, "RRRC"),
        },
        "FRRC": {
            "test": {
                "MS": [parts.ms_arm, parts.error("patients")],
                "Chisq": [chi, None],
                "DF": [arms - 1, None],
                "p": [stats.chi2.sf(chi, arms - 1), None],
            },
            "ciDiffTrt": _table([_difference(pair, row) for row, pair in pairs["FRRC"].items()]),
            "ciAvgRdrEachTrt": _means(data, "FRRC"),
        },
        "RRFC": {
            "test": {
                "DF": [arms - 1, freedom],
                "MS": [parts.ms_arm, parts.ms_interaction],
                "F": [fixed_f, None],
                "p": [stats.f.sf(fixed_f, arms - 1, freedom), None],
            },
            "ciDiffTrt": _table([_difference(pair, row) for row, pair in pairs["RRFC"].items()]),
            "ciAvgRdrEachTrt": _means(data, "RRFC"),
        },
    }


def _pairs(data: CrossedValues) -> dict[str, dict[str, Estimate]]:
    """Differences of all pairs of modalities, by RJafroc's name of the pair: RRRC, FRRC and RRFC.

    With more than two modalities RJafroc pools the error over all of them (its ORSummaryRRRC, FRRC and RRFC): standard
    error sqrt(2 x the F test's denominator / readers), on the denominator's degrees of freedom.
    """
    places = [(i, j) for i in range(len(data.arms)) for j in range(i + 1, len(data.arms))]
    found: dict[str, dict[str, Estimate]] = {kind: {} for kind in KINDS}
    parts, means = components(data), data.values.mean(axis=1)
    for i, j in places:
        row = f"trt{i + 1}-trt{j + 1}"
        for kind, random in KINDS.items():
            if len(places) == 1:
                found[kind][row] = compare_readers(data, data.arms[i], data.arms[j], random=random)
                continue
            gap, se, df = float(means[i] - means[j]), np.sqrt(2 * parts.error(random) / parts.readers), parts.df(random)
            p = tail_probability(gap / se, df=df)
            found[kind][row] = Estimate(gap, *wald_interval(gap, se, 0.95, df), "pooled error", data.units, p, df)
    return found


def _table(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """One row as it is, several as columns."""
    return rows[0] if len(rows) == 1 else {name: [row[name] for row in rows] for name in rows[0]}


def _standard_error(ours: Any) -> float:
    quantile = stats.norm.ppf(0.975) if ours.df is None else stats.t.ppf(0.975, ours.df)
    return (ours.upper - ours.lower) / (2 * quantile)


def _difference(ours: Any, row: str) -> dict[str, Any]:
    statistic = ours.estimate / _standard_error(ours)
    common = {"row": row, "Estimate": ours.estimate, "StdErr": _standard_error(ours), "DF": ours.df}
    tests = {"t": statistic, "z": statistic, "PrGTt": ours.p, "PrGTz": ours.p}
    return common | tests | {"CILower": ours.lower, "CIUpper": ours.upper}


def _means(data: CrossedValues, kind: str) -> dict[str, Any]:
    means = [(float(data.pick([arm]).values.mean()), *mean_variance(data, arm, KINDS[kind])) for arm in data.arms]
    ends = [wald_interval(value, np.sqrt(variance), 0.95, df) for value, variance, df in means]
    return {
        "row": [f"trt{i + 1}" for i in range(len(means))],
        "Estimate": [value for value, _, _ in means],
        "StdErr": [np.sqrt(variance) for _, variance, _ in means],
        # with fixed readers RJafroc prints films - 1 as degrees of freedom and uses the normal quantile
        "DF": [data.units - 1 if kind == "FRRC" else df for _, _, df in means],
        "CILower": [low for low, _ in ends],
        "CIUpper": [high for _, high in ends],
        "Cov2": [components(data.pick([arm])).cov2 for arm in data.arms],
    }


def _wide(case: Case) -> tuple[np.ndarray, dict[str, dict[Any, np.ndarray]]]:
    frame = case.frame.sort_values("case", kind="stable")
    runs: dict[str, dict[Any, np.ndarray]] = {}
    for (modality, seed), rows in frame.groupby(["modality", "seed"]):
        runs.setdefault(str(modality), {})[seed] = rows["score"].to_numpy()
    first = frame[(frame["modality"] == frame["modality"].iloc[0]) & (frame["seed"] == frame["seed"].iloc[0])]
    return first["y"].to_numpy(), runs


@quantity("RJafroc_OR")
def readers(case: Case) -> dict[str, Any]:
    data = reader_auc(*_wide(case), covariance="jackknife")
    parts = components(data)
    estimates = [parts.var_reader, parts.var_interaction, parts.cov1, parts.cov2, parts.cov3, parts.var]
    whole = whole_analysis(data)
    test = whole["RRRC"]["test"]
    return {
        "foms": {f"rdr{i}": column for i, column in enumerate(data.values.T)},
        "varcomp": {"Estimates": estimates, "Rhos": [None, None, *(c / parts.var for c in estimates[2:5]), None]},
        "RRRC_F": test,
        "RRRC_ci": whole["RRRC"]["ciDiffTrt"],
        "FTest_names": ["Treatment", "Error"],
    }
