"""The measures of the one inference basis: what each is computed from, and the scale of its interval.

A measure is a function of the mean base measures of an arm's runs (such as its mean sensitivity and specificity), so
that a derived measure always agrees with the rates that stand beside it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Setting = dict[str, Any]
Function = Callable[[Floats, float, Setting], float]


@dataclass(frozen=True)
class Measure:
    """One measure.

    Attributes
    ----------
    name, section : str
        Columns of the table of results.
    keys : callable
        Setting -> keys of the base measures in `Draws`.
    value : callable
        (mean base measures, share of malignant cases, setting) -> value.
    scale : {"rate", "logit", "ratio", "predictive", "identity"}
    units : {"malignant", "normal", "all", "small", "cases"}
        The patients that are counted; 'small' is the smaller class. Accuracy counts cases: it rests on both classes, and
        patients alone would make its interval too wide.
    rate : str
        'sensitivity' or 'specificity' where the measure is a linear function of that rate alone.
    at_point : bool
        Whether it belongs to an operating point.
    per : float
        Factor of a rate, such as 100 for missed tumours per 100.
    method, undefined : str
        In words; why it may not be defined.
    """

    name: str
    section: str
    keys: Callable[[Setting], list[tuple[Any, ...]]]
    value: Function
    scale: str
    units: str
    rate: str = ""
    at_point: bool = False
    per: float = 1.0
    method: str = ""
    undefined: str = "not defined for these scores"

    def from_rate(self, limits: tuple[float, float]) -> tuple[float, float]:
        """Limits of the measure from those of its rate."""
        if self.per == 1.0:
            return limits
        return self.per * (1 - limits[1]), self.per * (1 - limits[0])


def _ranking(name: str) -> Callable[[Setting], list[tuple[Any, ...]]]:
    return lambda s: [(name, s["unit"])]


def _pair(s: Setting) -> list[tuple[Any, ...]]:
    place = (s["point"], s["threshold_from"], s["unit"])
    return [("sensitivity", *place), ("specificity", *place)]


def _single(rate: str) -> Callable[[Setting], list[tuple[Any, ...]]]:
    return lambda s: [(rate, s["point"], s["threshold_from"], s["unit"])]


def _at_risk(s: Setting) -> list[tuple[Any, ...]]:
    return [(rate, "risk", s["at"], s.get("prevalence")) for rate in ("sensitivity", "specificity")]


def _calibration(name: str) -> Callable[[Setting], list[tuple[Any, ...]]]:
    return lambda s: [(name, s["recalibration"])]


def _lesion(name: str) -> Callable[[Setting], list[tuple[Any, ...]]]:
    return lambda s: [(name,) if s["at"] is None else (name, s["at"])]


def _lesion_at_point(s: Setting) -> list[tuple[Any, ...]]:
    return [("lroc_sensitivity", s["point"], s["threshold_from"])]


def _first(rates: Floats, pi: float, s: Setting) -> float:
    return float(rates[0])


def _divide(over: float, under: float) -> float:
    return float(over / under) if under > 0 else np.nan


def positive_predictive_value(sensitivity: float, specificity: float, pi: float) -> float:
    """PPV by Bayes' theorem; NaN where nothing is called positive."""
    return _divide(pi * sensitivity, pi * sensitivity + (1 - pi) * (1 - specificity))


def negative_predictive_value(sensitivity: float, specificity: float, pi: float) -> float:
    """NPV by Bayes' theorem; NaN where nothing is called negative."""
    return _divide((1 - pi) * specificity, (1 - pi) * specificity + pi * (1 - sensitivity))


def f1_score(sensitivity: float, specificity: float, pi: float) -> float:
    """F1 = 2 pi sens / (pi sens + pi + (1 - pi)(1 - spec))."""
    return _divide(2 * pi * sensitivity, pi * sensitivity + pi + (1 - pi) * (1 - specificity))


def net_benefit(sensitivity: float, specificity: float, pi: float, at: float) -> float:
    """Net benefit pi sens - (1 - pi)(1 - spec) t / (1 - t) (Vickers & Elkin 2006)."""
    return float(pi * sensitivity - (1 - pi) * (1 - specificity) * at / (1 - at))


WILSON = "mean over runs; Wilson interval at the effective number of cases"
LOGIT = "mean over runs; delta method on the logit"
PLAIN = "mean over runs; variance of runs and draws"
RATES = "from the mean rates"

_NO_ALARM = "no false positive: the likelihood ratio has no upper bound"
_NO_NEGATIVE = "no true negative: the likelihood ratio has no upper bound"

_ALL = [
    Measure("auc", "discrimination", _ranking("auc"), _first, "logit", "small", method=LOGIT),
    Measure("average_precision", "discrimination", _ranking("average_precision"), _first, "logit", "small", method=LOGIT),
    Measure("sensitivity", "operating_points", _single("sensitivity"), _first, "rate", "malignant", "sensitivity", True,
            method=WILSON),
    Measure("specificity", "operating_points", _single("specificity"), _first, "rate", "normal", "specificity", True,
            method=WILSON),
    Measure("missed_per_100", "operating_points", _single("sensitivity"), lambda r, pi, s: 100 * (1 - float(r[0])),
            "rate", "malignant", "sensitivity", True, 100.0, method=WILSON),
    Measure("false_alarms_per_1000", "operating_points", _single("specificity"),
            lambda r, pi, s: 1000 * (1 - float(r[0])), "rate", "normal", "specificity", True, 1000.0, method=WILSON),
    Measure("accuracy", "operating_points", _pair, lambda r, pi, s: float(pi * r[0] + (1 - pi) * r[1]), "rate", "cases",
            at_point=True, method=f"{RATES}; Wilson interval at the effective number of cases"),
    Measure("ppv", "operating_points", _pair, lambda r, pi, s: positive_predictive_value(r[0], r[1], pi), "predictive",
            "all", at_point=True, method=f"{RATES}; Bayes' theorem on the limits of LR+", undefined="nothing is called positive"),
    Measure("npv", "operating_points", _pair, lambda r, pi, s: negative_predictive_value(r[0], r[1], pi), "predictive",
            "all", at_point=True, method=f"{RATES}; Bayes' theorem on the limits of LR-", undefined="nothing is called negative"),
    Measure("lr_positive", "operating_points", _pair, lambda r, pi, s: _divide(r[0], 1 - r[1]), "ratio", "small",
            at_point=True, method=f"{RATES}; delta method on the logarithm", undefined=_NO_ALARM),
    Measure("lr_negative", "operating_points", _pair, lambda r, pi, s: _divide(1 - r[0], r[1]), "ratio", "small",
            at_point=True, method=f"{RATES}; delta method on the logarithm", undefined=_NO_NEGATIVE),
    Measure("f1", "operating_points", _pair, lambda r, pi, s: f1_score(r[0], r[1], pi), "logit", "small", at_point=True,
            method=f"{RATES}; delta method on the logit"),
    Measure("net_benefit", "decision", _at_risk, lambda r, pi, s: net_benefit(r[0], r[1], pi, s["at"]), "identity",
            "small", method=f"{RATES}; variance of runs and draws"),
    *(
        Measure(name, "calibration", _calibration(name), _first, "identity", "small", method=PLAIN)
        for name in ("brier", "log_oe", "calibration_in_the_large", "calibration_intercept", "calibration_slope")
    ),
    Measure("lroc_auc", "localisation", _lesion("lroc_auc"), _first, "logit", "small", method=LOGIT),
    Measure("wafroc_auc", "localisation", _lesion("wafroc_auc"), _first, "logit", "small", method=LOGIT),
    Measure("coco_ap", "localisation", _lesion("coco_ap"), _first, "logit", "malignant", method=LOGIT),
    Measure("froc_sensitivity", "localisation", _lesion("froc_sensitivity"), _first, "rate", "malignant", method=WILSON),
    Measure("lroc_sensitivity", "localisation", _lesion_at_point, _first, "rate", "malignant", at_point=True, method=WILSON),
]  # fmt: skip

#: Measure by its name in the table of results.
MEASURES = {measure.name: measure for measure in _ALL}
