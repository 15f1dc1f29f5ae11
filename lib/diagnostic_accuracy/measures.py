"""The measures of the one inference basis: what each is computed from, and the scale of its interval.

A measure is a function of the mean base measures of an arm's runs (such as its mean sensitivity and specificity), so
that a derived measure always agrees with the rates that stand beside it. The rates of operating points are those of
`rates.POINT_RATES`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diagnostic_accuracy.decision import net_benefit
from diagnostic_accuracy.rates import POINT_RATES, UNDEFINED

Floats = NDArray[np.float64]
Setting = dict[str, Any]
Keys = list[tuple[Any, ...]]

#: Interval by scale, in words.
INTERVALS = {
    "identity": "variance of runs and draws",
    "rate": "Wilson interval at the effective number of cases",
    "logit": "delta method on the logit",
    "ratio": "delta method on the logarithm",
    "predictive": "Bayes' theorem on the limits of the likelihood ratio",
}


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
        As `rates.PointRate`.
    undefined : str
        Why it may not be defined.
    rate : str
        'sensitivity' or 'specificity' where the measure is a linear function of that rate alone.
    per : float
        Factor of a rate, such as 100 for missed tumours per 100.
    at_point : bool
        Whether it belongs to an operating point.
    combined : str
        How the runs come together, in words.
    """

    name: str
    section: str
    keys: Callable[[Setting], Keys]
    value: Callable[[Floats, float, Setting], float]
    scale: str
    units: str
    undefined: str = "not defined for these scores"
    rate: str = ""
    per: float = 1.0
    at_point: bool = False
    combined: str = "mean over runs"

    @property
    def method(self) -> str:
        """Estimator and interval in words."""
        return f"{self.combined}; {INTERVALS[self.scale]}"

    def from_rate(self, limits: tuple[float, float]) -> tuple[float, float]:
        """Limits of the measure from those of its rate."""
        if self.per == 1.0:
            return limits
        return self.per * (1 - limits[1]), self.per * (1 - limits[0])


def _first(rates: Floats, pi: float, setting: Setting) -> float:
    return float(rates[0])


def _net_benefit(rates: Floats, pi: float, setting: Setting) -> float:
    return float(net_benefit(rates[0], rates[1], setting["at"], pi))


def _at_point(name: str) -> Measure:
    """A rate of an operating point."""
    rate = POINT_RATES[name]
    both = ("sensitivity", "specificity") if not rate.of else (rate.of,)

    def keys(setting: Setting) -> Keys:
        place = (setting["point"], setting["threshold_from"], setting["unit"])
        return [(one, *place) for one in both]

    def value(rates: Floats, pi: float, setting: Setting) -> float:
        pair = rates if len(both) == 2 else (rates[0], rates[0])
        with np.errstate(divide="ignore", invalid="ignore"):
            found = float(rate.value(np.float64(pair[0]), np.float64(pair[1]), pi))
        return found if np.isfinite(found) else np.nan

    undefined = UNDEFINED.get(name, "no film of the class")
    combined = "mean over runs" if rate.of and rate.scale == "rate" else "from the mean rates"
    return Measure(
        name,
        "operating_points",
        keys,
        value,
        rate.scale,
        rate.units,
        undefined,
        rate.of,
        rate.per,
        at_point=True,
        combined=combined,
    )


def _ranking(name: str) -> Measure:
    return Measure(name, "discrimination", lambda s: [(name, s["unit"])], _first, "logit", "small")


def _calibration(name: str) -> Measure:
    return Measure(name, "calibration", lambda s: [(name, s["recalibration"])], _first, "identity", "small")


def _lesion(name: str, scale: str, units: str) -> Measure:
    def keys(setting: Setting) -> Keys:
        return [(name,) if setting["at"] is None else (name, setting["at"])]

    return Measure(name, "localisation", keys, _first, scale, units)


def _risk_keys(setting: Setting) -> Keys:
    return [(rate, "risk", setting["at"], setting.get("prevalence")) for rate in ("sensitivity", "specificity")]


def _called(name: str) -> Measure:
    """A share of the malignant films by where the highest mark of a called film lies."""

    def keys(setting: Setting) -> Keys:
        return [(name, setting["point"], setting["threshold_from"])]

    return Measure(name, "localisation", keys, _first, "rate", "malignant", at_point=True)


_CALIBRATION = ("brier", "log_oe", "calibration_in_the_large", "calibration_intercept", "calibration_slope")
_ALL = [
    _ranking("auc"),
    _ranking("average_precision"),
    *map(_at_point, POINT_RATES),
    Measure("net_benefit", "decision", _risk_keys, _net_benefit, "identity", "small"),
    *map(_calibration, _CALIBRATION),
    _lesion("lroc_auc", "logit", "small"),
    _lesion("wafroc_auc", "logit", "small"),
    _lesion("coco_ap", "logit", "malignant"),
    _lesion("froc_sensitivity", "rate", "malignant"),
    _called("lroc_sensitivity"),
    _called("localisation_error"),
]

#: Measure by its name in the table of results.
MEASURES = {measure.name: measure for measure in _ALL}
