"""2x2 counts, every rate derived from them at any prevalence, and the intervals of one run's rates.

Wilson's interval by default; where patients have several films, Wilson's interval at the effective number of films.

References
----------
Rao JNK, Scott AJ, Biometrics 1992;48:577 (design effect of clustered counts). Simel DL et al., J Clin Epidemiol
1991;44:763 (likelihood ratios). Fagan TJ, NEJM 1975;293:257 (Bayes with likelihood ratios).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from diagnostic_accuracy.checks import (
    Estimate,
    check_confidence,
    check_labels,
    check_one_of,
    check_patients,
)
from diagnostic_accuracy.intervals import METHODS, effective_interval, proportion_interval, wald_interval

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
        """Numerator and denominator of a rate (see RATES); of F1, those of tp / (tp + fp + fn)."""
        if name == "f1":
            return self.tp, self.tp + self.fp + self.fn
        over, under = RATES[check_one_of(name, tuple(RATES), "rate")]
        return sum(getattr(self, cell) for cell in over), sum(getattr(self, cell) for cell in under)

    def rate(self, name: str) -> float | None:
        """A rate, F1 or likelihood ratio; None where its denominator is 0."""
        if name in LIKELIHOOD_RATIOS:
            if not self.positives or not self.negatives:
                return None
            ill, well = (self.tp, self.fp) if name == "lr_positive" else (self.fn, self.tn)
            return (ill / self.positives) / (well / self.negatives) if well else None
        over, under = self.fraction(name)
        if not under:
            return None
        return 2 * over / (under + over) if name == "f1" else over / under


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
    called = _calls(calls, positive.size)
    tp, called_positive, malignant = int((positive & called).sum()), int(called.sum()), int(positive.sum())
    fp = called_positive - tp
    return Confusion(tp, fp, positive.size - malignant - fp, malignant - tp)


def _calls(calls: ArrayLike, n: int, name: str = "calls") -> NDArray[np.bool_]:
    called = check_labels(calls, name, both_classes=False)
    if called.size != n:
        raise ValueError(f"{name} has {called.size} values, the labels have {n}; give one call per film, same order")
    return called


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


def clustered_proportion(success: ArrayLike, patients: ArrayLike, confidence: float = 0.95) -> Estimate:
    """A proportion of films where patients have several: Wilson's interval at the effective number of films.

    Parameters
    ----------
    success : boolean array of shape (n,)
    patients : array of shape (n,)
    confidence : float in (0, 1)

    Returns
    -------
    Estimate
        n counts films; `method` names films, patients and the effective number.

    Raises
    ------
    ValueError
        Faulty input.

    Notes
    -----
    With x_i successes among m_i films of patient i, p = sum x / sum m has the variance of a ratio,
    I/(I-1) sum (x_i - p m_i)^2 / (sum m)^2; the effective number is p(1-p) over it (Rao and Scott 1992), and
    at most the number of films: a negative correlation within patients, mostly chance, never narrows the interval. At
    p = 0 or 1, where no variance is seen, it is the number of patients.
    """
    hit = check_labels(np.asarray(success, dtype=float), "success", both_classes=False)
    codes = check_patients(patients, hit.size)
    sizes = np.bincount(codes)
    share, films, units = float(hit.mean()), hit.size, sizes.size
    residual = np.bincount(codes, hit.astype(float)) - share * sizes
    variance = units / max(units - 1, 1) * float(residual @ residual) / films**2
    low, high, effective = (float(x) for x in effective_interval(share, variance, units, confidence, most=films))
    method = f"Wilson interval at {effective:.1f} effective films ({films} films of {units} patients)"
    return Estimate(share, low, high, method, films, events=int(hit.sum()))


def rate_estimate(counts: Confusion, name: str, confidence: float = 0.95, method: str = "wilson") -> Estimate:
    """One rate of a 2x2 table with its interval (films taken as independent).

    Parameters
    ----------
    counts : Confusion
    name : str
        sensitivity, specificity, ppv, npv, accuracy, f1, lr_positive or lr_negative.
    confidence : float in (0, 1)
    method : {"wilson", "clopper_pearson", "midp"}
        For rates and F1; likelihood ratios have a log interval.

    Returns
    -------
    Estimate
        n is the rate's denominator; missing, with the reason, where that is 0.

    Notes
    -----
    F1 = 2J / (1 + J) with J = tp / (tp + fp + fn), a proportion of the films that are malignant or called so: the
    interval of J is carried over by that increasing function. A likelihood ratio is symmetric on the logarithm (Simel
    1991, as `DTComPair::acc.paired`); where it is 0 or infinite, its limits come from Wilson's limits of the two rates.

    Examples
    --------
    >>> rate_estimate(Confusion(8, 2, 18, 2), "lr_positive").estimate
    8.0
    """
    check_confidence(confidence)
    if name in LIKELIHOOD_RATIOS:
        ill, well = (counts.tp, counts.fp) if name == "lr_positive" else (counts.fn, counts.tn)
        se = None
        if ill and well:
            se = math.sqrt(1 / ill - 1 / counts.positives + 1 / well - 1 / counts.negatives)
        return _likelihood_ratio(counts, name, se, confidence, "log interval (Simel 1991)")
    successes, n = counts.fraction(name)
    words = f"{METHODS[check_one_of(method, tuple(METHODS), 'method')]} interval"
    if n == 0:
        return Estimate.missing(UNDEFINED[name], words, 0)
    low, high = proportion_interval(successes, n, confidence, method)
    return _as_f1(Estimate(successes / n, low, high, words, n, events=successes), name)


def _as_f1(share: Estimate, name: str) -> Estimate:
    """The proportion tp / (tp + fp + fn) carried over to F1; any other rate as it is."""
    if name != "f1" or share.estimate is None or share.lower is None or share.upper is None:
        return share
    value, low, high = (2 * j / (1 + j) for j in (share.estimate, share.lower, share.upper))
    return Estimate(value, low, high, share.method, share.n, events=share.events)


def _likelihood_ratio(counts: Confusion, name: str, se: float | None, confidence: float, method: str) -> Estimate:
    """The ratio with its limits; se of its logarithm, None where that is not defined."""
    value = counts.rate(name)
    if not counts.positives or not counts.negatives:
        return Estimate.missing(UNDEFINED["specificity" if counts.positives else "sensitivity"], method, counts.n)
    if se is not None and value:
        low, high = wald_interval(math.log(value), se, confidence)
        return Estimate(value, math.exp(low), math.exp(high), method, counts.n)
    ill, well = (counts.tp, counts.fp) if name == "lr_positive" else (counts.fn, counts.tn)
    if not ill and not well:
        return Estimate.missing(UNDEFINED["ppv" if name == "lr_positive" else "npv"], method, counts.n)
    above, below = (
        proportion_interval(count, n, confidence) for count, n in ((ill, counts.positives), (well, counts.negatives))
    )
    upper = above[1] / below[0] if below[0] > 0 else None
    words = "limits from Wilson's limits of the two rates"
    return Estimate(value, above[0] / below[1], upper, words, counts.n, note="" if well else UNDEFINED[name])


def rates(
    labels: ArrayLike,
    calls: ArrayLike,
    patients: ArrayLike | None = None,
    confidence: float = 0.95,
    method: str = "wilson",
) -> dict[str, Estimate]:
    """Every rate of a set of calls, with intervals that respect patients where they have several films.

    Parameters
    ----------
    labels : array of shape (n,), 1 malignant, 0 normal
    calls : array of shape (n,), 0/1 or boolean
        `scores >= threshold`.
    patients : array of shape (n,), optional
    confidence : float in (0, 1)
    method : {"wilson", "clopper_pearson", "midp"}
        Without repeated patients; with them Wilson at the effective number of films is used.

    Returns
    -------
    dict of sensitivity, specificity, ppv, npv, accuracy, f1, lr_positive, lr_negative to Estimate

    Raises
    ------
    ValueError
        Faulty input.

    Examples
    --------
    >>> rates([1, 1, 0, 0], [1, 0, 0, 0])["specificity"].estimate
    1.0
    """
    positive = check_labels(labels)
    called = _calls(calls, positive.size)
    counts = confusion(positive, called)
    names = (*RATES, "f1", *LIKELIHOOD_RATIOS)
    if patients is not None:
        codes = check_patients(patients, positive.size)
        if codes.max() + 1 < positive.size:
            return {name: _clustered_rate(positive, called, codes, counts, name, confidence) for name in names}
    return {name: rate_estimate(counts, name, confidence, method) for name in names}


def _clustered_rate(
    positive: NDArray[np.bool_],
    called: NDArray[np.bool_],
    codes: NDArray[np.int64],
    counts: Confusion,
    name: str,
    confidence: float,
) -> Estimate:
    if name in LIKELIHOOD_RATIOS:
        method = "log interval, patients as clusters"
        se = _clustered_log_se(positive, called if name == "lr_positive" else ~called, codes)
        return _likelihood_ratio(counts, name, se, confidence, method)
    right = called & positive if name in ("ppv", "f1", "sensitivity") else called == positive
    among = {
        "sensitivity": positive,
        "specificity": ~positive,
        "ppv": called,
        "npv": ~called,
        "accuracy": np.ones(positive.size, bool),
        "f1": positive | called,
    }[name]
    if not among.any():
        return Estimate.missing(UNDEFINED[name], "Wilson interval at the effective number of films", 0)
    return _as_f1(clustered_proportion(right[among], codes[among], confidence), name)


def _clustered_log_se(positive: NDArray[np.bool_], picked: NDArray[np.bool_], codes: NDArray[np.int64]) -> float | None:
    """Standard error of a log likelihood ratio from its variance between patients (delta method)."""
    ill, well = float(picked[positive].mean()), float(picked[~positive].mean())
    if not ill or not well:
        return None
    influence = np.where(
        positive, (picked - ill) / (ill * positive.sum()), -(picked - well) / (well * (~positive).sum())
    )
    sums = np.bincount(codes, influence)
    return math.sqrt(sums.size / max(sums.size - 1, 1) * float(sums @ sums))
