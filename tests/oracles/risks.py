"""Precision-recall, and replicates at given weights: scikit-learn, R."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import stats

from diagnostic_accuracy.delong import auc_covariance
from diagnostic_accuracy.roc import average_precision, interpolated_area, max_f1
from oracles.registry import Case, Near, quantity
from osteotl.statistics.bootstrap import JointBootstrap, joint_bootstrap, weighted_statistics


@quantity(r"average_precision\.(?P<score>\w+)")
def step_sum(case: Case, score: str) -> float:
    return average_precision(case["y"], case[score])


@quantity(r"max_f1\.(?P<score>\w+)")
def largest_f1(case: Case, score: str) -> dict[str, float]:
    best = max_f1(case["y"], case[score])
    return {"f1": best.f1, "threshold": best.threshold}


@quantity(r"rocr_max_f1")
def largest_f1_of_the_only_score(case: Case) -> float:
    return max_f1(case["y"], case["s"]).f1


@quantity(r"prroc")
def davis_goadrich(case: Case) -> dict[str, float]:
    y, s = case["y"], case["s"]
    return {"auc.integral": interpolated_area(y, s), "auc.davis.goadrich": interpolated_area(y, s, steps=True)}


REPLICATES = 20_000


def _bootstrap(case: Case) -> JointBootstrap:
    scores = {"s2": case["s2"], "s1": case["s1"]}

    def compute() -> JointBootstrap:
        return joint_bootstrap(case["y"], scores, replicates=REPLICATES, seed=1)

    return case.cached("joint_bootstrap", compute)


def _monte_carlo(case: Case, draws: np.ndarray, expected: float) -> Near:
    """Standard error of B draws: within 4 of its own standard errors of the value for B = infinity."""
    return Near(float(draws.std(ddof=1)), 4 * expected / np.sqrt(2 * draws.size))


@quantity(r"auc_se_stratified_bootstrap_exact\.(?P<score>s[12])")
def bootstrap_error(case: Case, score: str, expected: float) -> Near:
    return _monte_carlo(case, _bootstrap(case).draws.of(score, "auc"), expected)


@quantity(r"auc_diff_se_stratified_bootstrap_exact")
def bootstrap_error_of_difference(case: Case, expected: float) -> Near:
    draws = _bootstrap(case).draws
    return _monte_carlo(case, draws.of("s1", "auc") - draws.of("s2", "auc"), expected)


@quantity(r"bootstrap_paired_B(?P<replicates>\d+)")
def bootstrap_test(case: Case, replicates: str, expected: dict[str, float]) -> dict[str, Near]:
    """pROC's test: difference / standard deviation of its draws, referred to a normal; both sides are Monte Carlo."""
    result = _bootstrap(case)
    spread = (result.draws.of("s1", "auc") - result.draws.of("s2", "auc")).std(ddof=1)
    d = result.differences["s1"]["auc"].estimate / spread
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


def _at_weights(case: Case) -> Any:
    def compute() -> Any:
        scores = {arm: case[arm] for arm in ("s1", "s2")}
        known = any(ref["quantity"] == "rep0" for ref in case.content["refs"])
        return weighted_statistics(
            case["y"],
            scores,
            _weights(case),
            risks=scores,
            thresholds={"op": dict.fromkeys(scores, _cut(case) if known else 0.5)},
            reselect={"best": ("youden", None)},
            net_benefit_at=sorted(set(_probabilities(case))) if known else (),
        )

    return case.cached("at_weights", compute)


def _weight_columns(case: Case) -> list[str]:
    return sorted((c for c in case.frame.columns if c[0] == "w" and c[1:].isdigit()), key=lambda c: int(c[1:]))


@quantity(r"rep(?P<index>\d+)", when=lambda case: "extra_data" not in case.content and "w0" in case.frame)
def replicate(case: Case, index: str) -> dict[str, Any]:
    """All statistics at the weights of column w{index}."""
    draws, b = _at_weights(case), int(index)
    repeated = np.repeat(np.arange(case["y"].size), case[f"w{b}"].astype(int))
    delong = auc_covariance(case["y"][repeated], {arm: case[arm][repeated] for arm in ("s1", "s2")}).covariance
    ours: dict[str, Any] = {"delong_var1": delong[0, 0], "delong_cov": delong[0, 1]}
    for number, arm in (("1", "s1"), ("2", "s2")):

        def of(name: str, arm: str = arm) -> float:
            return float(draws.of(arm, name)[b])

        ours[f"auc{number}"] = of("auc")
        ours[f"youden{number}"] = of("best/sum")
        ours[f"brier{number}"] = of("brier")
        ours[f"cal{number}"] = [of("calibration_intercept"), of("calibration_slope")]
        rates = {"sens": "sensitivity", "spec": "specificity", "ppv": "ppv", "npv": "npv"}
        ours[f"op{number}"] = {short: of(f"op/{name}") for short, name in rates.items()}
        ours[f"nb{number}"] = [
            of(f"net_benefit/{t:.4g}") for t in case.cached("probabilities", lambda: _probabilities(case))
        ]
    return ours


@quantity(r"average_precision_s1_s2")
def average_precision_at_weights(case: Case) -> dict[str, list[float]]:
    draws = _at_weights(case)
    both = zip(*(draws.of(arm, "average_precision") for arm in ("s1", "s2")), strict=True)
    return {f"rep{b}": [float(one), float(other)] for b, (one, other) in enumerate(both)}
