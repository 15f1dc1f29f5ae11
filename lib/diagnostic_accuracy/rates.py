"""2x2 counts, every rate derived from them at any prevalence, and the intervals of one run's rates.

References
----------
Simel DL et al., J Clin Epidemiol 1991;44:763 (likelihood ratios). Fagan TJ, NEJM 1975;293:257 (Bayes with likelihood
ratios).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from statsmodels.stats.proportion import confint_proportions_2indep

from diagnostic_accuracy.checks import Estimate, check_confidence, check_labels, check_one_of
from diagnostic_accuracy.intervals import proportion_interval

Vector = NDArray[np.float64]

# rate: (cells of the numerator, cells of the denominator)
RATES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "sensitivity": (("tp",), ("tp", "fn")),
    "specificity": (("tn",), ("tn", "fp")),
    "ppv": (("tp",), ("tp", "fp")),
    "npv": (("tn",), ("tn", "fn")),
    "accuracy": (("tp", "tn"), ("tp", "fp", "tn", "fn")),
}
LIKELIHOOD_RATIOS = ("lr_positive", "lr_negative")
UNDEFINED = {
    "sensitivity": "no malignant film",
    "specificity": "no normal film",
    "ppv": "no film was called positive",
    "npv": "no film was called negative",
    "accuracy": "no film",
    "f1": "no malignant film and none called positive",
    "lr_positive": "no false positive: the likelihood ratio has no upper bound",
    "lr_negative": "no film was called negative rightly: the likelihood ratio has no upper bound",
}


@dataclass(frozen=True)
class PointRate:
    """A rate at an operating point: a ratio of two linear functions of sensitivity and specificity.

    Attributes
    ----------
    over, under : callable
        Share of malignant cases -> (constant, factor of sensitivity, factor of specificity).
    scale : {"rate", "logit", "ratio", "predictive", "identity"}
        Where its interval is built (see `inference`).
    units : {"malignant", "normal", "all", "small", "cases"}
        The patients that its interval counts; 'small' is the smaller class. Accuracy counts cases: it rests on both
        classes, and patients alone would make its interval too wide.
    of : str
        'sensitivity' or 'specificity' where it is a linear function of that rate alone.
    per : float
        Its factor, such as 100 for missed tumours per 100.
    """

    over: Callable[[Any], tuple[Any, Any, Any]]
    under: Callable[[Any], tuple[Any, Any, Any]]
    scale: str
    units: str
    of: str = ""
    per: float = 1.0

    def value(self, sensitivity: Any, specificity: Any, prevalence: Any) -> Any:
        """The rate, element by element; NaN for 0 / 0, infinity where a likelihood ratio has no upper bound."""
        over, under = self.over(prevalence), self.under(prevalence)
        below = under[0] + under[1] * sensitivity + under[2] * specificity
        value = (over[0] + over[1] * sensitivity + over[2] * specificity) / below
        # a share: rounding must not bring a predictive value of 1 above 1
        return np.minimum(value, 1.0) if self.scale in ("predictive", "logit") else value


def _one(pi: Any) -> tuple[Any, Any, Any]:
    return 1, 0, 0


#: Every rate that an operating point may have; a rate added here is known to `inference.infer` as well.
POINT_RATES = {
    "sensitivity": PointRate(lambda pi: (0, 1, 0), _one, "rate", "malignant", "sensitivity"),
    "specificity": PointRate(lambda pi: (0, 0, 1), _one, "rate", "normal", "specificity"),
    "missed_per_100": PointRate(lambda pi: (100, -100, 0), _one, "rate", "malignant", "sensitivity", 100.0),
    "false_alarms_per_1000": PointRate(lambda pi: (1000, 0, -1000), _one, "rate", "normal", "specificity", 1000.0),
    "accuracy": PointRate(lambda pi: (0, pi, 1 - pi), _one, "rate", "cases"),
    "ppv": PointRate(lambda pi: (0, pi, 0), lambda pi: (1 - pi, pi, pi - 1), "predictive", "all"),
    "npv": PointRate(lambda pi: (0, 0, 1 - pi), lambda pi: (pi, -pi, 1 - pi), "predictive", "all"),
    "lr_positive": PointRate(lambda pi: (0, 1, 0), lambda pi: (1, 0, -1), "ratio", "small"),
    "lr_negative": PointRate(lambda pi: (1, -1, 0), lambda pi: (0, 0, 1), "ratio", "small"),
    # 2 TP / (malignant + called positive)
    "f1": PointRate(lambda pi: (0, 2 * pi, 0), lambda pi: (1, pi, pi - 1), "logit", "small"),
}
DERIVED = tuple(name for name in POINT_RATES if name not in ("sensitivity", "specificity"))


# --- counts -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Confusion:
    """The 2x2 table of one arm at one threshold.

    Attributes
    ----------
    tp, fp, tn, fn : int
        True positives, false positives, true negatives, false negatives.

    Raises
    ------
    ValueError
        A count that is negative or no whole number.
    """

    tp: int
    fp: int
    tn: int
    fn: int

    def __post_init__(self) -> None:
        for name, count in asdict(self).items():
            if count < 0 or count != int(count):
                raise ValueError(f"{name} is {count!r}; a 2x2 table holds counts of films")

    @property
    def positives(self) -> int:
        """Malignant films."""
        return self.tp + self.fn

    @property
    def negatives(self) -> int:
        """Normal films."""
        return self.tn + self.fp

    @property
    def n(self) -> int:
        """All films."""
        return self.positives + self.negatives

    def fraction(self, name: str) -> tuple[int, int]:
        """Numerator and denominator of a rate (see RATES)."""
        over, under = RATES[check_one_of(name, tuple(RATES), "rate")]
        return sum(getattr(self, cell) for cell in over), sum(getattr(self, cell) for cell in under)

    def picked(self, name: str) -> tuple[int, int]:
        """Malignant and normal films whose shares a likelihood ratio compares."""
        return (self.tp, self.fp) if name == "lr_positive" else (self.fn, self.tn)

    def rate(self, name: str) -> float | None:
        """A rate or likelihood ratio; None where its denominator is 0."""
        if name in LIKELIHOOD_RATIOS:
            if not self.positives or not self.negatives:
                return None
            ill, well = self.picked(name)
            return (ill / self.positives) / (well / self.negatives) if well else None
        over, under = self.fraction(name)
        return over / under if under else None


def confusion(labels: ArrayLike, calls: ArrayLike) -> Confusion:
    """The 2x2 table of labels and calls.

    Parameters
    ----------
    labels : array of shape (n,), 1 malignant, 0 normal (one class is enough)
    calls : array of shape (n,), 0/1 or boolean
        `scores >= threshold`.

    Raises
    ------
    ValueError
        Faulty labels or calls.

    Examples
    --------
    >>> confusion([1, 1, 0, 0], [1, 0, 1, 0])
    Confusion(tp=1, fp=1, tn=1, fn=1)
    """
    positive = check_labels(labels, both_classes=False)
    called = check_labels(calls, "calls", both_classes=False)
    if called.size != positive.size:
        raise ValueError(f"calls has {called.size} values, the labels have {positive.size}; give one call per film")
    tp, called_positive, malignant = int((positive & called).sum()), int(called.sum()), int(positive.sum())
    fp = called_positive - tp
    return Confusion(tp, fp, positive.size - malignant - fp, malignant - tp)


def derived(name: str, sensitivity: ArrayLike, specificity: ArrayLike, prevalence: ArrayLike) -> Vector:
    """A rate that follows from sensitivity, specificity and prevalence (Bayes' theorem), element by element.

    Parameters
    ----------
    name : {"ppv", "npv", "accuracy", "f1", "lr_positive", "lr_negative", "missed_per_100", "false_alarms_per_1000"}
        `missed_per_100` counts malignant films missed per 100 malignant ones, `false_alarms_per_1000` normal films
        called positive per 1,000 normal ones.
    sensitivity, specificity, prevalence : float or array, in [0, 1]

    Returns
    -------
    array
        NaN where the rate is 0 / 0, infinity where a likelihood ratio has no upper bound.

    Raises
    ------
    ValueError
        An unknown name.

    Examples
    --------
    >>> round(float(derived("ppv", 0.96, 0.9733, 0.01)), 3)
    0.266
    """
    check_one_of(name, DERIVED, "name")
    given = np.broadcast_arrays(*(np.asarray(v, np.float64) for v in (sensitivity, specificity, prevalence)))
    with np.errstate(divide="ignore", invalid="ignore"):
        return POINT_RATES[name].value(*given)


# --- intervals of one run's rates -------------------------------------------------------------------------------------


def rate_estimate(counts: Confusion, name: str, confidence: float = 0.95) -> Estimate:
    """One rate of a 2x2 table with its interval (films taken as independent).

    Parameters
    ----------
    counts : Confusion
    name : str
        sensitivity, specificity, ppv, npv, accuracy, lr_positive or lr_negative.
    confidence : float in (0, 1)

    Returns
    -------
    Estimate
        Wilson's interval; n is the rate's denominator. Missing, with the reason, where that is 0.

    Notes
    -----
    The interval of a likelihood ratio is symmetric on the logarithm (Simel 1991, as `DTComPair::acc.paired`): that of
    a ratio of proportions, by statsmodels. A ratio of 0 has no limits.

    Examples
    --------
    >>> rate_estimate(Confusion(8, 2, 18, 2), "lr_positive").estimate
    8.0
    """
    check_confidence(confidence)
    if name in LIKELIHOOD_RATIOS:
        return _likelihood_ratio(counts, name, confidence)
    successes, n = counts.fraction(name)
    if n == 0:
        return Estimate.missing(UNDEFINED[name], "Wilson interval", 0)
    low, high = proportion_interval(successes, n, confidence)
    return Estimate(successes / n, low, high, "Wilson interval", n, events=successes)


def _likelihood_ratio(counts: Confusion, name: str, confidence: float) -> Estimate:
    (ill, well), value, method = counts.picked(name), counts.rate(name), "log interval (Simel 1991)"
    if value is None:
        return Estimate.missing("a class has no film, or no normal film was called so", method, counts.n)
    if value == 0:
        return Estimate(0.0, None, None, method, counts.n, note="a ratio of 0 has no interval on the logarithm")
    low, high = confint_proportions_2indep(
        ill, counts.positives, well, counts.negatives, method="log", compare="ratio", alpha=1 - confidence
    )
    return Estimate(value, low, high, method, counts.n)
