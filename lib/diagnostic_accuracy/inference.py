"""From draws and runs to intervals and p values: one basis for every measure.

Estimand: what one newly trained run of an arm would do on new patients, at thresholds and with a recalibration learnt
on a validation set like this one. The training films are held fixed. Training runs, external patients and validation
patients vary. `contrasts` says how their variances are put together.

Measures derived from rates are computed from the mean rates of an arm; what varies is their linearisation there.

References
----------
Wilson EB. J Am Stat Assoc 1927;22:209.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special

from diagnostic_accuracy.bootstrap import Draws
from diagnostic_accuracy.checks import check_confidence, check_one_of, check_share
from diagnostic_accuracy.contrasts import Contrast, contrast
from diagnostic_accuracy.estimates import Estimate, results
from diagnostic_accuracy.intervals import Limits, critical_value, edge_reach, mover_sum, on_logit, wilson
from diagnostic_accuracy.measures import MEASURES, Measure
from diagnostic_accuracy.scores import READERS
from diagnostic_accuracy.thresholds import Point

Floats = NDArray[np.float64]

MOST_UNDEFINED = 0.01  # larger shares of undefined draws: an interval would describe the others
ROUNDING = 1e-24  # a variance of this order is that of numbers that do not vary
EVENTS_FOR_A_LINE = 20  # patients of the smaller class for an intercept and a slope: 10 a parameter

SETTINGS = ("point", "threshold_from", "unit", "at", "prevalence", "recalibration")  # columns that tell a measure

# the rate that a ratio or predictive value varies with most: the small one of its two, in relative terms
MOSTLY = {"lr_positive": "specificity", "ppv": "specificity", "lr_negative": "sensitivity", "npv": "sensitivity"}


# --- scales -----------------------------------------------------------------------------------------------------------


def rate_limits(
    p: float, variance: float, critical: float, normal: float, n: int, most: int | None = None
) -> tuple[float, float]:
    """Wilson's limits at the effective number p (1 - p) / V, at most `most`; at n if p is 0 or 1 or nothing varies."""
    seen = 0 < p < 1 and variance > 0
    low, high = wilson(p, min(p * (1 - p) / variance, most or n) if seen else n, critical if seen else normal)
    return float(low), float(high)


def logit_limits(p: float, variance: float, critical: float, normal: float, n: int) -> tuple[float, float]:
    """Limits by the delta method on the logit; at 0 or 1 the far limit is that of n cases without an exception."""
    reach = edge_reach(n, critical=normal)
    if p >= 1:
        return 1 - reach, 1.0
    if p <= 0:
        return 0.0, reach
    if variance <= 0:
        return rate_limits(p, 0.0, critical, normal, n)
    return on_logit(p, float(np.sqrt(variance)), critical)


# --- one measure ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Component:
    """Base measures of one quantity for some runs.

    Attributes
    ----------
    observed : array of shape (measures, runs)
    values : list of arrays of shape (replicates, runs)
        The draws that define all of them, one array a measure.
    undefined : float
        Share of the draws that were left out.
    runs : list
        Names of the runs.
    """

    observed: Floats
    values: list[Floats]
    undefined: float
    runs: list[object]

    @classmethod
    def of(cls, draws: Draws, keys: Sequence[tuple[Any, ...]], columns: list[int]) -> Component:
        """Columns are those of one arm, or of an arm and its reference."""
        rising = columns == list(range(columns[0], columns[0] + len(columns)))
        place = slice(columns[0], columns[0] + len(columns)) if rising else columns  # a slice copies nothing
        observed = np.array([draws.observed[key][place] for key in keys])
        values = [draws.values[key][:, place] for key in keys]
        runs = [draws.runs[column][1] for column in columns]
        if all(draws.finite(key) for key in keys):
            return cls(observed, values, 0.0, runs)
        fine = np.logical_and.reduce([np.isfinite(one).all(axis=1) for one in values])
        return cls(observed, [one[fine] for one in values], float(1 - fine.mean()), runs)

    @property
    def mean(self) -> Floats:
        """Mean over the runs, one a measure."""
        return self.observed.mean(axis=1)

    def part(self, first: int, last: int) -> Component:
        """Some of the runs, on the same draws."""
        values = [one[:, first:last] for one in self.values]
        return Component(self.observed[:, first:last], values, self.undefined, self.runs[first:last])

    def linear(self, function: Callable[[Floats], float]) -> tuple[Floats, Floats]:
        """The function linearised at the mean rates, up to a constant: its values in every run, and in draws x runs."""
        slope = gradient(function, self.mean)
        drawn = sum(weight * one for weight, one in zip(slope, self.values, strict=True))
        return slope @ (self.observed - self.mean[:, None]), np.asarray(drawn)


def gradient(function: Callable[[Floats], float], at: Floats, step: float = 1e-6) -> Floats:
    """Partial derivatives by central differences, one-sided at 0 and 1."""
    found = np.zeros(at.size)
    for k in range(at.size):
        up, down = at.copy(), at.copy()
        width = step * max(abs(at[k]), 1e-3)
        up[k], down[k] = at[k] + width, at[k] - width
        if 0 <= at[k] <= 1:
            up[k], down[k] = min(up[k], 1.0), max(down[k], 0.0)
        with np.errstate(divide="ignore", invalid="ignore"):
            found[k] = (function(up) - function(down)) / (up[k] - down[k])
    return found


@dataclass(frozen=True)
class Question:
    """One measure at one point, judged at one confidence."""

    draws: Draws
    measure: Measure
    setting: dict[str, Any]
    confidence: float

    def __post_init__(self) -> None:
        if lacking := [key for key in self.keys if key not in self.draws.observed]:
            raise ValueError(f"these draws do not hold {lacking[0]}; the bootstrap was made without it")

    @cached_property
    def keys(self) -> list[tuple[Any, ...]]:
        return self.measure.keys(self.setting)

    @property
    def identity(self) -> dict[str, Any]:
        """What the table of results says of the question."""
        unit = "patient" if self.draws.scores.unit == "patient" else self.setting["unit"]
        named = {"section": self.measure.section, "measure": self.measure.name, "confidence": self.confidence}
        return named | self.setting | {"unit": unit}

    @cached_property
    def normal(self) -> float:
        return critical_value(self.confidence)

    @cached_property
    def units(self) -> dict[str, int]:
        """Patients with a malignant film, patients with a normal one, all; as cases, a patient is one or the other."""
        units = self.draws.units
        return units | {"normal": units["all"] - units["malignant"]} if self.setting["unit"] == "patient" else units

    @cached_property
    def n(self) -> int:
        """Units of the class that the measure rests on."""
        units = self.units
        cases = units["all"] if self.setting["unit"] == "patient" else len(self.draws.scores.external.values)
        small = min(units["malignant"], units["normal"])
        return (units | {"small": small, "cases": cases})[self.measure.units]

    def value(self, rates: Floats) -> float:
        return self.measure.value(rates, self.pi, self.setting)

    @cached_property
    def pi(self) -> float:
        """Share of malignant cases: the one assumed, or that of the external films or patients."""
        given = self.setting.get("prevalence")
        if given is not None:
            return float(given)
        if self.setting.get("unit") == "patient":
            units = self.draws.units
            return units["malignant"] / units["all"]
        return self.draws.pi

    def columns(self, arm: str) -> list[int]:
        return [i for i, (name, _) in enumerate(self.draws.runs) if name == arm]

    def part(self, arm: str) -> Component:
        return Component.of(self.draws, self.keys, self.columns(arm))

    def pair(self, arm: str, reference: str) -> list[Component]:
        """Both arms on the same draws: a draw that one of them leaves undefined is left out of both."""
        own, other = self.columns(arm), self.columns(reference)
        both = Component.of(self.draws, self.keys, own + other)
        return [both.part(0, len(own)), both.part(len(own), len(own) + len(other))]

    @property
    def unit_word(self) -> str:
        return "patients" if self.draws.scores.patients_known else "films"

    # --- reasons without an interval ---

    def _point(self, source: str) -> Point | None:
        """The operating point of the question, where its thresholds come from `source`."""
        if not self.measure.at_point or self.setting.get("threshold_from") != source:
            return None
        named = (self.setting["point"], source)
        return next(p for p in self.draws.points if (p.name, p.threshold_from) == named)

    def fixed_by_rule(self) -> str:
        """Why a rate at a threshold found on the external films has no interval."""
        point = self._point("external")
        if point is None:
            return ""
        if point.fixes is None:
            return "optimistic: the threshold maximises this on the films on which it is judged"
        if not self.measure.rate:
            return "it depends on the rate that the rule fixes on these films; only the free rate is compared"
        return "the rule fixes this rate on these films" if point.fixes == self.measure.rate else ""

    def _validation_units(self, fixes: str) -> int:
        """Validation patients of the class whose rate a rule fixes."""
        validation = self.draws.scores.validation
        return validation.patient[validation.label if fixes == "sensitivity" else ~validation.label].nunique()

    def beyond_threshold(self) -> float:
        """Validation patients beyond the locked threshold, for what varies mostly with it; else infinite."""
        point, measure = self._point("validation"), self.measure
        if point is None or point.fixes is None or point.target is None:
            return np.inf
        mostly = measure.rate or MOSTLY.get(measure.name)
        return self._validation_units(point.fixes) * (1 - point.target) if mostly == point.fixes else np.inf

    def too_few_validation(self) -> str:
        """Why a locked point has no interval: the rule's class is too small on the validation films."""
        point = self._point("validation")
        if point is None or point.fixes is None:
            return ""
        found, word = self._validation_units(point.fixes), "malignant" if point.fixes == "sensitivity" else "normal"
        if found >= point.films_needed:
            return ""
        return f"{found} {word} validation {self.unit_word}: a target of {point.target:g} needs {point.films_needed}"

    def too_few_for_a_line(self) -> str:
        """Why a calibration line has no interval: too few units in the smaller class."""
        if self.measure.name not in ("calibration_slope", "calibration_intercept"):
            return ""
        external, validation = self.draws.scores.external, self.draws.scores.validation
        sets = [external] + ([validation] if self.setting.get("recalibration") == "logistic" else [])
        fewest = min(s.patient[side].nunique() for s in sets for side in (s.label, ~s.label))
        if fewest >= EVENTS_FOR_A_LINE:
            return ""
        return f"{fewest} {self.unit_word} in the smaller class: a line needs {EVENTS_FOR_A_LINE}"

    def why_no_interval(self, parts: Sequence[Component]) -> str:
        """The first reason against an interval; empty where there is none."""
        reason = self.fixed_by_rule() or self.too_few_validation() or self.too_few_for_a_line()
        if reason:
            return reason
        undefined = max(part.undefined for part in parts)
        return f"not defined in {undefined:.1%} of the draws" if undefined > MOST_UNDEFINED else ""

    # --- estimates ---

    def missing(self, reason: str) -> Estimate:
        return Estimate.missing(reason, self.measure.method, self.n)

    def arm(self, arm: str) -> Estimate:
        """Mean over an arm's runs."""
        part = self.part(arm)
        if not np.isfinite(part.observed).all():
            return self.missing(self._undefined(arm))
        estimate = self.value(part.mean)
        if not np.isfinite(estimate):
            return self.missing(self.measure.undefined)
        if reason := self.why_no_interval([part]):
            return Estimate(estimate, None, None, self.measure.method, self.n, note=reason, basis="")
        found = self._contrast([part], self.value if self.measure.scale != "rate" else self._rate)
        lower, upper = self._limits(part, estimate, found)
        note = found.note or (f"{part.undefined:.2%} of the draws do not define it" if part.undefined else "")
        if lower is None and upper is None:
            note = "the draws do not vary: no interval can be derived from them"
        df = None if np.isinf(found.df) else found.df
        return Estimate(estimate, lower, upper, self.measure.method, self.n, df=df, note=note, basis=found.basis)

    def difference(self, arm: str, reference: str) -> Estimate:
        """Mean of an arm less that of the reference, with its p value."""
        parts = self.pair(arm, reference)
        for name, part in zip((arm, reference), parts, strict=True):
            if not np.isfinite(part.observed).all():
                return self.missing(self._undefined(name))
        values = [self.value(part.mean) for part in parts]
        if not np.isfinite(values).all():
            return self.missing(self.measure.undefined)
        gap = values[0] - values[1]
        if reason := self.why_no_interval(parts):
            return Estimate(gap, None, None, self.measure.method, self.n, note=reason)
        return self._difference(gap, self._contrast(parts, self.value))

    def _rate(self, rates: Floats) -> float:
        """The rate itself where the measure is a linear function of it."""
        return float(rates[0]) if self.measure.rate else self.value(rates)

    def crossed(self, parts: Sequence[Component]) -> bool:
        """Whether the runs are readers who read with both arms."""
        return self.draws.scores.kind == READERS and len(parts) == 2 and parts[0].runs == parts[1].runs

    def _contrast(self, parts: Sequence[Component], function: Callable[[Floats], float]) -> Contrast:
        linear = [part.linear(function) for part in parts]
        names = "readers" if self.draws.scores.kind == READERS else "runs"
        crossed = self.crossed(parts)
        beyond = self.beyond_threshold() if len(parts) == 1 else np.inf
        found = contrast([v for v, _ in linear], [d for _, d in linear], crossed, self.unit_word, names, beyond)
        single = [len(v) for v, _ in linear]
        basis = [found.basis]
        if len(single) == 2 and min(single) == 1 and max(single) > 1:
            basis.append("the arm has one run" if single[0] == 1 else "the reference has one run")
        if self._point("given"):
            basis.append("given thresholds held fixed")
        return replace(found, basis="; ".join(basis))

    def _difference(self, gap: float, found: Contrast) -> Estimate:
        bounded = self.measure.scale in ("rate", "logit", "predictive")
        if found.variance <= ROUNDING:
            half = edge_reach(self.n, critical=self.normal) * self.measure.per
            note, p, df = "the draws do not vary: limits are those of n cases without an exception, no test", None, None
        else:
            half = found.quantile(self.confidence) * np.sqrt(found.variance)
            p = max(float(2 * special.stdtr(found.df, -abs(gap) / np.sqrt(found.variance))), 1e-300)
            note, df = found.note, None if np.isinf(found.df) else found.df
        edge = self.measure.per if bounded else np.inf
        lower, upper = max(gap - half, -edge), min(gap + half, edge)
        return Estimate(gap, lower, upper, self.measure.method, self.n, p=p, df=df, note=note, basis=found.basis)

    def _limits(self, part: Component, estimate: float, found: Contrast) -> tuple[float | None, float | None]:
        critical, scale = found.quantile(self.confidence), self.measure.scale
        if scale == "rate":
            limits = rate_limits(self._rate(part.mean), found.variance, critical, self.normal, self.n, self._most(part))
            return self.measure.from_rate(limits)
        if scale == "logit":
            return logit_limits(estimate, found.variance, critical, self.normal, self.n)
        if scale == "ratio":
            return self._ratio(part)
        if scale == "predictive":
            return self._predictive(part)
        if self.measure.name == "net_benefit" and any(rate in (0.0, 1.0) for rate in part.mean):
            return self._net_benefit_at_edge(part)
        if found.variance <= ROUNDING * max(1.0, estimate**2):
            return None, None
        half = critical * np.sqrt(found.variance)
        return estimate - half, estimate + half

    def _most(self, part: Component) -> int:
        """Largest effective number: units; of marks, which are trials of their own in every run, films times runs."""
        if self.measure.section != "localisation":
            return self.n
        return int(self.draws.scores.external.label.sum()) * len(part.runs)

    def _rate_pair(self, part: Component) -> list[tuple[float, float]]:
        """Limits of sensitivity and specificity."""
        pairs = []
        for k, side in enumerate(("malignant", "normal")):
            found = self._contrast([part], lambda rates, k=k: float(rates[k]))  # type: ignore[misc]
            critical = found.quantile(self.confidence)
            pairs.append(rate_limits(part.mean[k], found.variance, critical, self.normal, self.units[side]))
        return pairs

    def _ratio(self, part: Component) -> tuple[float | None, float | None]:
        """Limits of LR+ or LR-, from those of the two rates where one is 0 or 1; None where there is no upper bound."""
        if all(0 < rate < 1 for rate in part.mean):
            found = self._contrast([part], self.value)
            if found.variance > 0:
                ratio = self.value(part.mean)
                half = found.quantile(self.confidence) * np.sqrt(found.variance) / ratio  # on the logarithm
                return float(ratio * np.exp(-half)), float(ratio * np.exp(half))
        (low1, high1), (low0, high0) = self._rate_pair(part)
        with np.errstate(divide="ignore"):
            if self.measure.name == "lr_positive":
                limits = np.array([low1, high1]) / np.array([1 - low0, 1 - high0])
            else:
                limits = np.array([1 - high1, 1 - low1]) / np.array([high0, low0])
        return tuple(float(v) if np.isfinite(v) else None for v in limits)  # type: ignore[return-value]

    def _predictive(self, part: Component) -> tuple[float | None, float | None]:
        """PPV and NPV by Bayes' theorem from the limits of the likelihood ratio."""
        pi, positive = self.pi, self.measure.name == "ppv"
        low, high = replace(self, measure=MEASURES["lr_positive" if positive else "lr_negative"])._ratio(part)
        if positive:
            bounds = [0.0 if low is None else pi * low / (pi * low + 1 - pi)]
            return bounds[0], 1.0 if high is None else pi * high / (pi * high + 1 - pi)
        bounds = [0.0 if high is None else (1 - pi) / ((1 - pi) + pi * high)]
        return bounds[0], 1.0 if low is None else (1 - pi) / ((1 - pi) + pi * low)

    def _net_benefit_at_edge(self, part: Component) -> tuple[float, float]:
        """MOVER: the limits of the two rates combined."""
        pi, odds = self.pi, self.setting["at"] / (1 - self.setting["at"])
        one, other = (Limits(rate, *ends) for rate, ends in zip(part.mean, self._rate_pair(part), strict=True))
        found = mover_sum(one.times(pi), other.times((1 - pi) * odds))  # net benefit, but for a constant
        less = (1 - pi) * odds
        return float(np.asarray(found.lower)) - less, float(np.asarray(found.upper)) - less

    def _undefined(self, arm: str) -> str:
        for run in (run for name, run in self.draws.runs if name == arm):
            if reason := self.draws.undefined.get((self.setting.get("recalibration"), arm, run)):
                return f"run {run}: {reason}"
        return self.measure.undefined

    def run(self, column: int) -> Estimate:
        """One run's value; its interval stands in the as-published layer."""
        observed = np.array([self.draws.observed[key][column] for key in self.keys])
        value = self.value(observed) if np.isfinite(observed).all() else np.nan
        if not np.isfinite(value):
            return self.missing(self._undefined(self.draws.runs[column][0]))
        return Estimate(value, None, None, self.measure.method, self.n, note="one run, shown without an interval")


def question(draws: Draws, measure: str, confidence: float, setting: dict[str, Any]) -> Question:
    """One measure at one point, checked.

    Parameters
    ----------
    draws : Draws
    measure : str
    confidence : float
    setting : dict
        Any of point, threshold_from, unit, at, prevalence, recalibration.

    Raises
    ------
    ValueError
        An unknown measure, or one that the draws do not hold.
    """
    check_confidence(confidence)
    whole = dict.fromkeys(SETTINGS) | {"unit": "film"}
    if unknown := set(setting) - set(whole):
        raise ValueError(f"{sorted(unknown)[0]!r} is no setting of a measure; those are {', '.join(whole)}")
    if setting.get("prevalence") is not None:
        check_share(setting["prevalence"], "prevalence")
    named = MEASURES[check_one_of(measure, tuple(MEASURES), "measure")]
    return Question(draws, named, whole | setting, confidence)


def infer(
    draws: Draws,
    measure: str | Sequence[str],
    *,
    reference: str | None = None,
    confidence: float = 0.95,
    group: str = "",
    fraction: float | None = None,
    **setting: Any,
) -> pd.DataFrame:
    """Every run, every arm's mean with its interval, and every difference from the reference with its test.

    Parameters
    ----------
    draws : Draws
    measure : str or list of str
        See `measures.MEASURES`.
    reference : str, optional
        The arm that the others are compared with; without it nothing is compared.
    confidence : float in (0, 1)
    group, fraction
        Written into the table.
    **setting
        What tells the measure:

        - point, threshold_from: operating point of the rates and of what is derived from them;
        - unit: 'film' (the default) or 'patient';
        - at: threshold probability of net benefit; false marks per film, or overlap, of a lesion measure; one or
          several;
        - prevalence: share of malignant films assumed for PPV, NPV and net benefit, one or several; None is that of the
          external films;
        - recalibration: 'logistic' or 'none', of calibration measures and net benefit.

    Returns
    -------
    DataFrame
        A table of results (see `estimates`).

    Raises
    ------
    ValueError
        An unknown measure, setting, point or reference.

    Examples
    --------
    >>> from diagnostic_accuracy.scores import scores_of
    >>> from diagnostic_accuracy.bootstrap import bootstrap
    >>> table = pd.DataFrame({"image_id": range(8), "cohort": "external", "label": [0, 1] * 4, "arm": "a", "seed": 0,
    ...                       "score": [.1, .9, .2, .8, .3, .4, .6, .7]})
    >>> auc = infer(bootstrap(scores_of(table), replicates=200), "auc")
    >>> print(auc.loc[auc["run"] == "", "estimate"].item())
    0.9375
    """
    if reference is not None:
        check_one_of(reference, draws.scores.arms, "reference")
    rows: list[dict[str, Any]] = []
    marks, shares = (_several(setting.get(name)) for name in ("at", "prevalence"))
    for name, mark, share in product(_several(measure), marks, shares):
        asked = question(draws, name, confidence, setting | {"at": mark, "prevalence": share})
        shared = asked.identity | {"fraction": fraction, "group": group}
        rows += [asked.run(i).row(**shared, arm=arm, run=str(run)) for i, (arm, run) in enumerate(draws.runs)]
        rows += [asked.arm(arm).row(**shared, arm=arm) for arm in draws.scores.arms]
        if reference is not None:
            others = [arm for arm in draws.scores.arms if arm != reference]
            rows += [asked.difference(arm, reference).row(**shared, arm=arm, reference=reference) for arm in others]
    return results(rows)


def _several(value: Any) -> list[Any]:
    return list(value) if isinstance(value, Sequence | np.ndarray) and not isinstance(value, str) else [value]
