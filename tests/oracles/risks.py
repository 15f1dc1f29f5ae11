"""Precision-recall, and replicates at given weights: scikit-learn, R."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from diagnostic_accuracy.bootstrap import Draws, bootstrap, measures_at
from diagnostic_accuracy.decision import net_benefit
from diagnostic_accuracy.delong import auc_covariance
from diagnostic_accuracy.rates import derived
from diagnostic_accuracy.roc import average_precision, interpolated_area, max_f1
from diagnostic_accuracy.scores import Scores, scores_of
from diagnostic_accuracy.thresholds import Point, points_of
from oracles.registry import Case, Near, quantity


@quantity(r"average_precision\.(?P<score>\w+)")
def step_sum(case: Case, score: str) -> float:
    return average_precision(case["y"], case[score])


@quantity(r"max_f1\.(?P<score>\w+)")
def largest_f1(case: Case, score: str) -> dict[str, float]:
    f1, threshold = max_f1(case["y"], case[score])
    return {"f1": f1, "threshold": threshold}


@quantity(r"rocr_max_f1")
def largest_f1_of_the_only_score(case: Case) -> float:
    return max_f1(case["y"], case["s"])[0]


@quantity(r"prroc")
def davis_goadrich(case: Case) -> dict[str, float]:
    y, s = case["y"], case["s"]
    return {"auc.integral": interpolated_area(y, s), "auc.davis.goadrich": interpolated_area(y, s, steps=True)}


REPLICATES = 20_000


ARMS, RATES = ("s1", "s2"), ("sensitivity", "specificity")


def _scores(case: Case) -> Scores:
    """Two arms of one run, external films only; the film is the row of the case."""
    rows = pd.DataFrame({"image_id": range(case["y"].size), "cohort": "external", "label": case["y"], "seed": 0})
    return scores_of(pd.concat([rows.assign(arm=arm, score=case[arm]) for arm in ARMS]))


def _bootstrap(case: Case) -> Draws:
    def compute() -> Draws:
        return bootstrap(_scores(case), replicates=REPLICATES, seed=1, recalibrations=())

    return case.cached("joint_bootstrap", compute)


def _drawn(case: Case) -> dict[str, np.ndarray]:
    return dict(zip(ARMS, _bootstrap(case).values["auc", "film"].T, strict=True))


def _monte_carlo(case: Case, draws: np.ndarray, expected: float) -> Near:
    """Standard error of B draws: within 4 of its own standard errors of the value for B = infinity."""
    return Near(float(draws.std(ddof=1)), 4 * expected / np.sqrt(2 * draws.size))


@quantity(r"auc_se_stratified_bootstrap_exact\.(?P<score>s[12])")
def bootstrap_error(case: Case, score: str, expected: float) -> Near:
    return _monte_carlo(case, _drawn(case)[score], expected)


@quantity(r"auc_diff_se_stratified_bootstrap_exact")
def bootstrap_error_of_difference(case: Case, expected: float) -> Near:
    draws = _drawn(case)
    return _monte_carlo(case, draws["s1"] - draws["s2"], expected)


@quantity(r"bootstrap_paired_B(?P<replicates>\d+)")
def bootstrap_test(case: Case, replicates: str, expected: dict[str, float]) -> dict[str, Near]:
    """pROC's test: difference / standard deviation of its draws, referred to a normal; both sides are Monte Carlo."""
    draws, observed = _drawn(case), _bootstrap(case).observed["auc", "film"]
    d = (observed[0] - observed[1]) / (draws["s1"] - draws["s2"]).std(ddof=1)
    tolerance = 4 * abs(d) * np.sqrt(1 / (2 * REPLICATES) + 1 / (2 * int(replicates)))
    return {"D": Near(d, tolerance), "p": Near(2 * stats.norm.sf(abs(d)), 2 * stats.norm.pdf(d) * tolerance)}


# The cases of replicates at given weights name neither their cut nor their threshold probabilities. Both are settings
# of the case, so they are read off its own references: the candidate that all replicates agree with best.
CANDIDATES = np.arange(1, 1000) / 1000


def _weights(case: Case) -> np.ndarray:
    return np.array([case[column] for column in _weight_columns(case)], float)


def _expected(case: Case, key: str) -> list[Any]:
    """A part of the reference of every replicate, in the order of the weights."""
    known = {ref["quantity"]: ref["value"] for ref in case.content["refs"]}
    return [known[f"rep{column[1:]}"][key] for column in _weight_columns(case)]


def _counts_at(case: Case, arm: str) -> tuple[np.ndarray, np.ndarray]:
    """Weighted true and false positives at every candidate; shape (replicates, candidates)."""
    called = case[arm][:, np.newaxis] >= CANDIDATES
    ill = (case["y"] == 1)[:, np.newaxis]
    return _weights(case) @ (called & ill), _weights(case) @ (called & ~ill)


def _cut(case: Case) -> float:
    malignant = _weights(case) @ (case["y"] == 1)
    gap = np.zeros(CANDIDATES.size)
    for number, arm in (("1", "s1"), ("2", "s2")):
        wanted = np.array([[rates["sens"], rates["spec"]] for rates in _expected(case, f"op{number}")], float)
        tp, fp = _counts_at(case, arm)
        normal = _weights(case).sum(1) - malignant
        gap += np.abs(tp / malignant[:, np.newaxis] - wanted[:, :1]).sum(0)
        gap += np.abs(1 - fp / normal[:, np.newaxis] - wanted[:, 1:]).sum(0)
    # several cuts between two neighbouring scores call the same films: the middle one, far from both
    best = np.flatnonzero(gap <= gap.min() + 1e-9)
    return float(CANDIDATES[best[best.size // 2]])


def _probabilities(case: Case) -> list[float]:
    size = _weights(case).sum(1)[:, np.newaxis]
    gap: Any = 0.0
    for number, arm in (("1", "s1"), ("2", "s2")):
        wanted = np.array(_expected(case, f"nb{number}"), float)
        tp, fp = _counts_at(case, arm)
        benefit = (tp - fp * CANDIDATES / (1 - CANDIDATES)) / size
        gap = gap + np.abs(benefit[:, np.newaxis, :] - wanted[:, :, np.newaxis]).sum(0)
    return [float(CANDIDATES[place]) for place in gap.argmin(axis=1)]


def _at_weights(case: Case) -> dict[Any, np.ndarray]:
    def compute() -> dict[Any, np.ndarray]:
        known = any(ref["quantity"] == "rep0" for ref in case.content["refs"])
        scores = _scores(case)
        given = Point("op", "given", given=dict.fromkeys(ARMS, _cut(case) if known else 0.5))
        at = sorted(set(_probabilities(case))) if known else ()
        points = [given, *points_of({"youden": None}, ("external",))]
        weights = _weights(case)[:, scores.external.values.index]
        return measures_at(scores, weights, points, net_benefit_at=at, recalibrations=("none",))

    return case.cached("at_weights", compute)


def _weight_columns(case: Case) -> list[str]:
    return sorted((c for c in case.frame.columns if c[0] == "w" and c[1:].isdigit()), key=lambda c: int(c[1:]))


@quantity(r"rep(?P<index>\d+)", when=lambda case: "extra_data" not in case.content and "w0" in case.frame)
def replicate(case: Case, index: str) -> dict[str, Any]:
    """All statistics at the weights of column w{index}."""
    found, b = _at_weights(case), int(index)
    repeated = np.repeat(np.arange(case["y"].size), case[f"w{b}"].astype(int))
    label = case["y"][repeated]
    delong = auc_covariance(label, {arm: case[arm][repeated] for arm in ARMS}).covariance
    pi, at = float(label.mean()), case.cached("probabilities", lambda: _probabilities(case))
    ours: dict[str, Any] = {"delong_var1": delong[0, 0], "delong_cov": delong[0, 1]}
    for column, number in enumerate("12"):

        def of(*key: Any, column: int = column) -> float:
            return float(found[key][b, column])

        ours[f"auc{number}"] = of("auc", "film")
        ours[f"youden{number}"] = sum(of(rate, "youden", "external", "film") for rate in RATES)
        ours[f"brier{number}"] = of("brier", "none")
        ours[f"cal{number}"] = [of("calibration_intercept", "none"), of("calibration_slope", "none")]
        pair = [of(rate, "op", "given", "film") for rate in RATES]
        rates = {"sens": pair[0], "spec": pair[1]}
        ours[f"op{number}"] = rates | {name: float(derived(name, *pair, pi)) for name in ("ppv", "npv")}
        acted = [[of(rate, "risk", t, None) for rate in RATES] for t in at]
        ours[f"nb{number}"] = [float(net_benefit(*both, t, pi)) for both, t in zip(acted, at, strict=True)]
    return ours


@quantity(r"average_precision_s1_s2")
def average_precision_at_weights(case: Case) -> dict[str, list[float]]:
    return {f"rep{b}": list(pair) for b, pair in enumerate(_at_weights(case)["average_precision", "film"])}
