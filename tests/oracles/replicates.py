"""Obuchowski-Rockette with seeds as readers: RJafroc."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import stats

from oracles.registry import Case, quantity
from osteotl.statistics.estimate import Estimate
from osteotl.statistics.replicate_values import auc_replicates
from osteotl.statistics.replicates import Replicates, arm_mean, compare_replicates, components, omnibus_test
from osteotl.statistics.wald import tail_probability, wald_interval


def whole_analysis(data: Replicates) -> dict[str, Any]:
    """RJafroc's tables (VarCom, MS, RRRC, FRRC, RRFC) from our analysis; for any measure."""
    parts = components(data)
    arms, seeds = parts.arms, parts.seeds
    pairs = _pairs(data)
    f, df, p = omnibus_test(data)
    chi = (arms - 1) * parts.ms_arm / parts.error_fixed_seeds
    fixed_f = parts.ms_arm / parts.ms_interaction
    freedom = float((arms - 1) * (seeds - 1))
    rest = {"Var": parts.var, "VarR": parts.var_seed, "VarTR": parts.var_interaction}
    return {
        "VarCom": {"Cov1": parts.cov1, "Cov2": parts.cov2, "Cov3": parts.cov3, **rest},
        "MS": {"T": parts.ms_arm, "R": parts.ms_seed, "TR": parts.ms_interaction},
        "trtMeans": data.values.mean(axis=1),
        "RRRC": {
            "test": {"DF": [arms - 1, df], "MS": [parts.ms_arm, parts.error], "FStat": [f, None], "p": [p, None]},
            "ciDiffTrt": _table([_difference(pair, row) for row, pair in pairs["difference"].items()]),
            "ciAvgRdrEachTrt": _means(data, "random"),
        },
        "FRRC": {
            "test": {
                "MS": [parts.ms_arm, parts.error_fixed_seeds],
                "Chisq": [chi, None],
                "DF": [arms - 1, None],
                "p": [stats.chi2.sf(chi, arms - 1), None],
            },
            "ciDiffTrt": _table([_difference(pair, row) for row, pair in pairs["fixed_seeds"].items()]),
            "ciAvgRdrEachTrt": _means(data, "fixed_seeds"),
        },
        "RRFC": {
            "test": {
                "DF": [arms - 1, freedom],
                "MS": [parts.ms_arm, parts.ms_interaction],
                "F": [fixed_f, None],
                "p": [stats.f.sf(fixed_f, arms - 1, freedom), None],
            },
            "ciDiffTrt": _table([_difference(pair, row) for row, pair in pairs["fixed_films"].items()]),
            "ciAvgRdrEachTrt": _means(data, "fixed_films"),
        },
    }


def _pairs(data: Replicates) -> dict[str, dict[str, Estimate]]:
    """Differences of all pairs of modalities, by RJafroc's name of the pair: RRRC, FRRC and RRFC.

    With more than two modalities RJafroc pools the error over all of them (its ORSummaryRRRC, FRRC and RRFC): standard
    error sqrt(2 x the F test's denominator / readers), on the denominator's degrees of freedom.
    """
    places = [(i, j) for i in range(len(data.arms)) for j in range(i + 1, len(data.arms))]
    found: dict[str, dict[str, Estimate]] = {"difference": {}, "fixed_seeds": {}, "fixed_films": {}}
    parts, means = components(data), data.values.mean(axis=1)
    errors = {
        "difference": (parts.error, parts.df),
        "fixed_seeds": (parts.error_fixed_seeds, None),
        "fixed_films": (parts.ms_interaction, float((parts.arms - 1) * (parts.seeds - 1))),
    }
    for i, j in places:
        row = f"trt{i + 1}-trt{j + 1}"
        if len(places) == 1:
            ours = compare_replicates(data, data.arms[i], data.arms[j])
            return {kind: {row: getattr(ours, kind)} for kind in found}
        for kind, (error, df) in errors.items():
            gap, se = float(means[i] - means[j]), float(np.sqrt(2 * error / parts.seeds))
            low, high = wald_interval(gap, se, 0.95, df)
            p = tail_probability(gap / se, df=df)
            found[kind][row] = Estimate(gap, low, high, "pooled error", data.units, p, df)
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


def _means(data: Replicates, kind: str) -> dict[str, Any]:
    wide = (-np.inf, np.inf)
    means = [arm_mean(data, arm, kind=kind, limits=wide) for arm in data.arms]
    # with fixed seeds RJafroc prints films - 1 as degrees of freedom and uses the normal quantile
    freedom = [data.units - 1 if kind == "fixed_seeds" else mean.df for mean in means]
    return {
        "row": [f"trt{i + 1}" for i in range(len(means))],
        "Estimate": [mean.estimate for mean in means],
        "StdErr": [_standard_error(mean) for mean in means],
        "DF": freedom,
        "CILower": [mean.lower for mean in means],
        "CIUpper": [mean.upper for mean in means],
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
def seeds_as_readers(case: Case) -> dict[str, Any]:
    data = auc_replicates(*_wide(case), covariance="jackknife")
    parts = components(data)
    estimates = [parts.var_seed, parts.var_interaction, parts.cov1, parts.cov2, parts.cov3, parts.var]
    whole = whole_analysis(data)
    test = whole["RRRC"]["test"]
    return {
        "foms": {f"rdr{i}": column for i, column in enumerate(data.values.T)},
        "varcomp": {"Estimates": estimates, "Rhos": [None, None, *(c / parts.var for c in estimates[2:5]), None]},
        "RRRC_F": test,
        "RRRC_ci": whole["RRRC"]["ciDiffTrt"],
        "FTest_names": ["Treatment", "Error"],
    }
