"""Calibration and decision curves: scikit-learn, R's glm and loess, rms, dcurves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from diagnostic_accuracy.calibration import brier_score, calibration_fit, spiegelhalter_test, unreliability_test
from diagnostic_accuracy.calibration_curves import smooth_calibration
from diagnostic_accuracy.decision import decision_curve
from diagnostic_accuracy.estimates import Estimate
from diagnostic_accuracy.roc import auc
from oracles.registry import Case, Informational, Near, quantity


@quantity(r"brier\.(?P<score>\w+)")
def brier(case: Case, score: str) -> float:
    return brier_score(case["y"], case[score])


@quantity(r"citl\.(?P<score>\w+)")
def in_the_large(case: Case, score: str) -> dict[str, Any]:
    large = calibration_fit(case["y"], case[score])["in_the_large"]
    return {"est": large.estimate, "se": _standard_error(large), "ci95_wald": [large.lower, large.upper]}


@quantity(r"cal_slope\.(?P<score>\w+)")
def intercept_and_slope(case: Case, score: str) -> dict[str, Any]:
    fit = calibration_fit(case["y"], case[score])
    return {
        "intercept": fit["intercept"].estimate,
        "slope": fit["slope"].estimate,
        "se_intercept": _glm_precision(_standard_error(fit["intercept"]), fit["intercept"]),
        "se_slope": _glm_precision(_standard_error(fit["slope"]), fit["slope"]),
        "slope_ci95_wald": [_glm_precision(limit, fit["slope"]) for limit in (fit["slope"].lower, fit["slope"].upper)],
    }


def _standard_error(ours: Estimate) -> float | None:
    if ours.lower is None or ours.upper is None:
        return None
    return (ours.upper - ours.lower) / (2 * float(stats.norm.ppf(0.975)))


def _glm_precision(value: float | None, ours: Estimate) -> Near | None:
    """R's glm takes its standard errors from the weights before the last step, and stops at 1e-8 of the deviance."""
    se = _standard_error(ours)
    return None if value is None or se is None else Near(value, 1e-6 * se)


@quantity(r"cal_lrt_unreliability\.(?P<score>\w+)")
def likelihood_ratio(case: Case, score: str) -> dict[str, Any]:
    test = unreliability_test(case["y"], case[score])
    return {"chisq": test.chi_square, "df": 2, "p": test.p}


@quantity(r"ici_loess\.(?P<score>\w+)")
def distances(case: Case, score: str) -> dict[str, Any]:
    return smooth_calibration(case["y"], case[score], "loess").distances


@quantity(r"ici_loess_direct\.(?P<score>\w+)")
def distances_fitted_everywhere(case: Case, score: str) -> dict[str, Any]:
    return smooth_calibration(case["y"], case[score], "loess_direct").distances


# val.prob deletes films with risks of 0 or 1 from its logistic part, which we refuse: nothing to compare there.
LOGISTIC_PART = ("Dxy", "C (ROC)", "R2", "D", "D:Chi-sq", "D:p", "U", "U:Chi-sq", "U:p", "Q", "Intercept", "Slope")


@quantity(r"val\.prob\.(?P<score>\w+)")
def val_prob(case: Case, score: str) -> dict[str, Any]:
    y, risk = case["y"], case[score]
    fit, test, spiegelhalter = calibration_fit(y, risk), unreliability_test(y, risk), spiegelhalter_test(y, risk)
    distances = smooth_calibration(y, risk, "lowess").distances
    ours: dict[str, Any] = {
        "Brier": brier_score(y, risk),
        "Emax": distances["Emax"],
        "E90": distances["E90"],
        "Eavg": distances["ICI"],
        "S:z": spiegelhalter.estimate,
        "S:p": spiegelhalter.p,
    }
    if test.note:
        reason = Informational("rms deletes films with risks of 0 or 1 from its logistic part; ours is not estimable")
        return ours | dict.fromkeys(LOGISTIC_PART, reason)
    assert test.discrimination is not None
    area, binned = auc(y, risk), _pairs_within(y, risk, 0.001) / 2
    return ours | {
        # rms sorts risks into bins of 0.001 before it counts concordant pairs: pairs inside a bin count one half
        "Dxy": Near(2 * area - 1, 2 * binned),
        "C (ROC)": Near(area, binned),
        "R2": test.r_squared,
        "D": test.discrimination,
        "D:Chi-sq": test.discrimination * y.size + 1,
        "D:p": None,
        # rms prints 1 - pchisq, which is 0 below the rounding of 1
        "U": test.unreliability,
        "U:Chi-sq": test.chi_square,
        "U:p": test.p,
        "Q": test.quality,
        # rms stops its iterations earlier than R's glm, whose values ("cal_slope") are met to 1e-7
        "Intercept": Near(fit["intercept"].estimate or 0.0, 1e-6),
        "Slope": Near(fit["slope"].estimate or 0.0, 1e-6),
    }


def _pairs_within(y: np.ndarray, risk: np.ndarray, width: float) -> float:
    """Share of (malignant, normal) pairs whose risks differ, by no more than a width."""
    normal = np.sort(risk[y == 0])
    malignant = risk[y == 1]
    near = np.searchsorted(normal, malignant + width, "right") - np.searchsorted(normal, malignant - width, "left")
    tied = np.searchsorted(normal, malignant, "right") - np.searchsorted(normal, malignant, "left")
    return float((near - tied).sum() / (normal.size * malignant.size))


@quantity(r"dca_prev_(?P<prevalence>NULL|[\d.]+)", r"dcurves_py_prev_(?P<prevalence>None|[\d.]+)")
def net_benefit(case: Case, prevalence: str, expected: dict[str, dict[str, list[float]]]) -> dict[str, Any]:
    grid = np.arange(1, 100) / 100
    at = None if prevalence in ("NULL", "None") else float(prevalence)
    columns = {}
    for name in expected:
        risk = np.ones(case["y"].size) if name == "all" else case[name]
        columns[name] = _columns(decision_curve(case["y"], risk, grid, prevalence=at))
    return columns


def _columns(curve: pd.DataFrame) -> dict[str, Any]:
    return {
        "threshold": curve["threshold"].to_numpy(),
        "tp_rate": curve["true_positive_share"].to_numpy(),
        "fp_rate": curve["false_positive_share"].to_numpy(),
        "net_benefit": curve["net_benefit"].to_numpy(),
        "net_intervention_avoided": Informational("interventions avoided are not computed: net benefit holds them"),
        "standardized_net_benefit": curve["standardised"].to_numpy(),
    }
