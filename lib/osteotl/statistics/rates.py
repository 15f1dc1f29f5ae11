"""Intervals of rates: sensitivity, specificity, predictive values, accuracy, F1 and likelihood ratios.

Wilson by default (covers well on average), Clopper-Pearson on request (never below its level). Where patients have
several films, Wilson's interval is taken at the effective number of films.

References
----------
Wilson EB, JASA 1927;22:209. Clopper CJ, Pearson ES, Biometrika 1934;26:404. Rao JNK, Scott AJ, Biometrics 1992;48:577
(design effect of clustered counts). Korn EL, Graubard BI, Surv Methodol 1998;24:193 (effective size at few degrees of
freedom). Simel DL et al., J Clin Epidemiol 1991;44:763 (likelihood ratios). Mercaldo ND
et al., Stat Med 2007;26:2170 (predictive values at another prevalence). Fagan TJ, NEJM 1975;293:257.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from scipy.optimize import brentq
from scipy.special import expit, logit
from statsmodels.stats.proportion import proportion_confint

from osteotl.statistics.checks import (
    Estimate,
    check_confidence,
    check_labels,
    check_one_of,
    check_patients,
    check_scores,
    check_share,
)
from osteotl.statistics.operating_points import RATES, UNDEFINED, Confusion, confusion_of

METHODS = {"wilson": "wilson", "clopper_pearson": "beta"}
_NAMES = {"wilson": "Wilson", "clopper_pearson": "Clopper-Pearson", "midp": "mid-p"}


def proportion_interval(
    successes: float, n: float, confidence: float = 0.95, method: str = "wilson"
) -> tuple[float, float]:
    """Interval of a proportion.

    Parameters
    ----------
    successes, n : float, 0 <= successes <= n, n > 0
        Counts (or effective counts, for Wilson).
    confidence : float in (0, 1)
    method : {"wilson", "clopper_pearson", "midp"}

    Returns
    -------
    lower, upper : float in [0, 1]

    Raises
    ------
    ValueError
        Counts out of range, an unknown method, a confidence outside (0, 1).

    Notes
    -----
    Wilson and Clopper-Pearson are statsmodels' `proportion_confint`, which match R's `prop.test(correct = FALSE)` and
    `binom.test`; mid-p is solved to machine precision (PropCIs::midPci searches a grid of 0.0005).
    """
    check_confidence(confidence)
    check_one_of(method, tuple(_NAMES), "method")
    if not n > 0 or not 0 <= successes <= n:
        raise ValueError(f"{successes} of {n} is not a proportion; successes must lie in [0, n] and n above 0")
    if method == "midp":
        return _midp_interval(successes, n, 1 - confidence)
    low, high = proportion_confint(successes, n, alpha=1 - confidence, method=METHODS[method])
    # statsmodels leaves rounding dust at the ends (and NaN for the exact interval at 0 and n in some versions)
    return (0.0 if successes == 0 else float(low)), (1.0 if successes == n else float(high))


def effective_interval(
    share: ArrayLike,
    variance: ArrayLike,
    units: int,
    confidence: float = 0.95,
    df: float | None = None,
    most: float = math.inf,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Wilson's interval of proportions that are no plain counts: of clustered films, or means over training runs.

    Parameters
    ----------
    share : float or array, in [0, 1]
    variance : float or array
        Of each share, however it was estimated.
    units : int, at least 1
        Patients in the denominator: the effective number where a share is 0 or 1 and no variance can be seen.
    confidence : float in (0, 1)
    df : float, optional
        Degrees of freedom of `variance`; default: known exactly.
    most : float
        The effective number is at most this.

    Returns
    -------
    lower, upper : arrays in [0, 1]
    effective : array, at least 1
        How many independent films would give this interval.

    Raises
    ------
    ValueError
        A share outside [0, 1], no units, a confidence outside (0, 1).

    Notes
    -----
    The effective number is share (1 - share) / variance, times (z / t)^2 where the variance has few degrees of freedom
    (Korn and Graubard 1998). With the variance of a plain count, p (1 - p) / n, it is Wilson's interval.
    """
    check_confidence(confidence)
    p, spread = np.asarray(share, np.float64), np.asarray(variance, np.float64)
    if not ((p >= 0) & (p <= 1)).all() or units < 1:
        raise ValueError(f"share {p} of {units} units is not a proportion; give shares in [0, 1] and at least 1 unit")
    seen = (p > 0) & (p < 1) & (spread > 0)
    effective = np.divide(p * (1 - p), spread, out=np.full(p.shape, float(units)), where=seen)
    if df is not None:
        tail = (1 + confidence) / 2
        effective = np.where(seen, effective * float(stats.norm.ppf(tail) / stats.t.ppf(tail, df)) ** 2, effective)
    effective = np.where(seen, np.clip(effective, 1.0, most), effective)
    low, high = proportion_confint(p * effective, effective, alpha=1 - confidence, method="wilson")
    return np.where(p == 0, 0.0, low), np.where(p == 1, 1.0, high), effective


def _midp_interval(x: float, n: float, alpha: float) -> tuple[float, float]:
    """p where P(more extreme) + P(x)/2 = alpha/2, in each tail."""
    if x == 0:
        return 0.0, 1 - alpha ** (1 / n)
    if x == n:
        return alpha ** (1 / n), 1.0

    def upper_tail(p: float) -> float:
        return float(stats.binom.sf(x, n, p) + stats.binom.pmf(x, n, p) / 2) - alpha / 2

    def lower_tail(p: float) -> float:
        return float(stats.binom.cdf(x - 1, n, p) + stats.binom.pmf(x, n, p) / 2) - alpha / 2

    return brentq(upper_tail, 0, x / n, xtol=1e-15), brentq(lower_tail, x / n, 1, xtol=1e-15)


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
        n is the rate's denominator; not estimable, with the reason, where that is 0.

    Notes
    -----
    F1 = 2J / (1 + J) with J = tp / (tp + fp + fn), a proportion of the films that are malignant or called so: the
    interval of J is carried over by that increasing function.
    """
    check_confidence(confidence)
    if name in ("lr_positive", "lr_negative"):
        return _likelihood_ratio(counts, name, confidence)
    successes, n = (counts.tp, counts.tp + counts.fp + counts.fn) if name == "f1" else counts.fraction(name)
    words = f"{_NAMES[check_one_of(method, tuple(_NAMES), 'method')]} interval"
    if n == 0:
        return Estimate.missing(UNDEFINED[name], words, 0)
    low, high = proportion_interval(successes, n, confidence, method)
    share = Estimate(successes / n, low, high, words, n)
    return share.map(lambda j: 2 * j / (1 + j)) if name == "f1" else share


def _likelihood_ratio(counts: Confusion, name: str, confidence: float) -> Estimate:
    """Simel 1991: symmetric on the logarithm."""
    method = "log interval (Simel 1991)"
    value = counts.rate(name)
    if value is None:
        return Estimate.missing(UNDEFINED[name], method, counts.n)
    if value == 0:
        return Estimate(0, None, None, method, counts.n, not_estimable="ratio 0 has no interval on the logarithm")
    ill, well = (counts.tp, counts.fp) if name == "lr_positive" else (counts.fn, counts.tn)
    se = math.sqrt(1 / ill - 1 / counts.positives + 1 / well - 1 / counts.negatives)
    reach = float(stats.norm.ppf((1 + confidence) / 2)) * se
    return Estimate(value, value * math.exp(-reach), value * math.exp(reach), method, counts.n)


def rates(
    labels: ArrayLike,
    scores: ArrayLike,
    threshold: float,
    patients: ArrayLike | None = None,
    confidence: float = 0.95,
    method: str = "wilson",
) -> dict[str, Estimate]:
    """Every rate at a threshold, with intervals that respect patients where they have several films.

    Parameters
    ----------
    labels : array of shape (n,), 1 malignant, 0 normal
    scores : array of shape (n,)
    threshold : float
        Positive when score >= threshold.
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
    """
    positive = check_labels(labels)
    called = check_scores(scores, positive.size) >= threshold
    counts = confusion_of(positive, called)
    names = (*RATES, "f1", "lr_positive", "lr_negative")
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
    if name in ("lr_positive", "lr_negative"):
        return _clustered_ratio(positive, called, codes, counts, name, confidence)
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
    share = clustered_proportion(right[among], codes[among], confidence)
    return share.map(lambda j: 2 * j / (1 + j)) if name == "f1" else share


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
    check_confidence(confidence)
    hit = check_labels(np.asarray(success, dtype=float), "success", both_classes=False)
    codes = check_patients(patients, hit.size)
    sizes = np.bincount(codes)
    share, films, units = float(hit.mean()), hit.size, sizes.size
    residual = np.bincount(codes, hit.astype(float)) - share * sizes
    variance = units / max(units - 1, 1) * float(residual @ residual) / films**2
    low, high, effective = (float(x) for x in effective_interval(share, variance, units, confidence, most=films))
    method = f"Wilson interval at {effective:.1f} effective films ({films} films of {units} patients)"
    return Estimate(share, low, high, method, films)


def _clustered_ratio(
    positive: NDArray[np.bool_],
    called: NDArray[np.bool_],
    codes: NDArray[np.int64],
    counts: Confusion,
    name: str,
    confidence: float,
) -> Estimate:
    """Log likelihood ratio with its variance between patients (delta method)."""
    method = "log interval, patients as clusters"
    value = counts.rate(name)
    if not value:
        return _likelihood_ratio(counts, name, confidence)
    picked = called if name == "lr_positive" else ~called
    ill, well = float(picked[positive].mean()), float(picked[~positive].mean())
    influence = np.where(
        positive, (picked - ill) / (ill * counts.positives), -(picked - well) / (well * counts.negatives)
    )
    sums = np.bincount(codes, influence)
    units = sums.size
    se = math.sqrt(units / (units - 1) * float(sums @ sums))
    reach = float(stats.norm.ppf((1 + confidence) / 2)) * se
    return Estimate(value, value * math.exp(-reach), value * math.exp(reach), method, counts.n)


def predictive_values_at(counts: Confusion, prevalence: float, confidence: float = 0.95) -> dict[str, Estimate]:
    """PPV and NPV that this sensitivity and specificity would give at another prevalence.

    Parameters
    ----------
    counts : Confusion
    prevalence : float in (0, 1)
    confidence : float in (0, 1)

    Returns
    -------
    dict of "ppv", "npv" to Estimate

    Raises
    ------
    ValueError
        A prevalence or confidence outside (0, 1).

    Notes
    -----
    Bayes' theorem; interval on the logit by the delta method (Mercaldo 2007). Where a cell is 0 the interval uses the
    adjusted counts of that paper (z^2/2 added to each cell) around the unadjusted value.
    """
    check_share(prevalence, "prevalence")
    check_confidence(confidence)
    if not counts.positives or not counts.negatives:
        reason = UNDEFINED["sensitivity" if not counts.positives else "specificity"]
        return {name: Estimate.missing(reason, "Mercaldo 2007", counts.n) for name in ("ppv", "npv")}
    return {name: _predictive(counts, name, prevalence, confidence) for name in ("ppv", "npv")}


def _predictive(counts: Confusion, name: str, prevalence: float, confidence: float) -> Estimate:
    z = float(stats.norm.ppf((1 + confidence) / 2))
    right, wrong, odds = _bayes(counts, name, prevalence, 0.0)
    if right + wrong == 0:
        return Estimate.missing(UNDEFINED[name], "Mercaldo 2007", counts.n)
    value = right * odds / (right * odds + wrong)
    added = z**2 / 2 if 0 in (counts.tp, counts.fp, counts.tn, counts.fn) else 0.0
    right, wrong, odds = _bayes(counts, name, prevalence, added)
    ill, well = (counts.positives, counts.negatives) if name == "ppv" else (counts.negatives, counts.positives)
    se = math.sqrt((1 - right) / (right * (ill + 2 * added)) + (1 - wrong) / (wrong * (well + 2 * added)))
    centre = float(logit(right * odds / (right * odds + wrong)))
    low, high = float(expit(centre - z * se)), float(expit(centre + z * se))
    method = f"at prevalence {prevalence:g}, logit interval (Mercaldo 2007{', adjusted' if added else ''})"
    return Estimate(value, min(low, value), max(high, value), method, counts.n)


def _bayes(counts: Confusion, name: str, prevalence: float, added: float) -> tuple[float, float, float]:
    """P(this call | the class it is right for), P(this call | the other class), odds of the right class."""
    ill, well = counts.positives + 2 * added, counts.negatives + 2 * added
    if name == "ppv":
        return (counts.tp + added) / ill, (counts.fp + added) / well, prevalence / (1 - prevalence)
    return (counts.tn + added) / well, (counts.fn + added) / ill, (1 - prevalence) / prevalence
