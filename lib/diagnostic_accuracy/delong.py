"""Variance and comparison of AUCs within one run: DeLong for independent films, Obuchowski where patients repeat.

Both rest on placement values: for a malignant film the share of normal films that score below it, for a normal film the
share of malignant films that score above it (ties one half). They come from one sort of each arm, so that a million
films take a fraction of a second and no table of pairs is built.

References
----------
DeLong ER et al., Biometrics 1988;44:837. Sun X, Xu W, IEEE Signal Process Lett 2014;21:1389 (the fast form).
Obuchowski NA, Biometrics 1997;53:567 (clusters).
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from diagnostic_accuracy.checks import (
    CONSTANT_SCORES,
    IDENTICAL_ARMS,
    NO_VARIANCE,
    SINGLE_NEGATIVE,
    SINGLE_POSITIVE,
    Estimate,
    check_confidence,
    check_labels,
    check_one_of,
    check_patients,
    check_scores,
)
from diagnostic_accuracy.intervals import (
    ALTERNATIVES,
    NO_VARIATION,
    edge_reach,
    logit_interval,
    tail_probability,
    wald_interval,
)

Vector = NDArray[np.float64]
Flags = NDArray[np.bool_]
Codes = NDArray[np.int64]
# placement values are multiples of 1 / (2 films): any true variance of them is far larger
DUST = 1e-30
SAME_PLACES = "the two arms order malignant and normal films alike: the difference is 0 without sampling variation"


def placements(positive: Flags, score: Vector) -> Vector:
    """Placement value of every film in [0, 1] (DeLong's V10 for malignant, V01 for normal films), in film order.

    Inputs are taken as checked; `positive` is true for malignant films. The mean over malignant films, and over normal
    films, is the AUC.
    """
    order = np.argsort(score)
    ranked, ill = score[order], positive[order]
    last = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))  # of each group of tied films
    malignant_to_here = np.cumsum(ill)[last]
    malignant = int(malignant_to_here[-1])
    size, tied = np.diff(last, prepend=-1), np.diff(malignant_to_here, prepend=0)
    normal = positive.size - malignant
    malignant_below: Codes = malignant_to_here - tied
    normal_below = last + 1 - size - malignant_below
    beaten = (normal_below + 0.5 * (size - tied)) / normal
    beaten_by = (malignant - malignant_below - 0.5 * tied) / malignant
    if last.size < positive.size:
        beaten, beaten_by = np.repeat(beaten, size), np.repeat(beaten_by, size)
    placed = np.empty(positive.size)
    placed[order] = np.where(ill, beaten, beaten_by)
    return placed


@dataclass(frozen=True)
class AucCovariance:
    """AUCs of several arms (or runs) on the same films and how they vary together.

    Attributes
    ----------
    arms : tuple of labels, such as names or (arm, run)
    auc : array of shape (arms,)
    placed : array of shape (arms, n)
        Placement values.
    scores : tuple of arrays of shape (n,)
    positive : boolean array of shape (n,)
    patients : integer array of shape (n,) or None
        Clusters, where some patient has several films.
    note : str
        Why the covariance cannot be estimated; else empty.
    """

    arms: tuple[Hashable, ...]
    auc: Vector
    placed: Vector
    scores: tuple[Vector, ...]
    positive: Flags
    patients: Codes | None
    note: str

    @cached_property
    def covariance(self) -> Vector:
        """Array of shape (arms, arms); NaN where it cannot be estimated (`note` says why)."""
        size = len(self.arms)
        return np.full((size, size), np.nan) if self.note else _covariance(self.placed, self.positive, self.patients)

    @property
    def method(self) -> str:
        """Name of the variance estimator."""
        return "DeLong" if self.patients is None else "Obuchowski 1997 (patients as clusters)"

    @property
    def units(self) -> int:
        """Films, or patients where they repeat."""
        return self.positive.size if self.patients is None else int(self.patients.max()) + 1

    @property
    def smaller(self) -> int:
        """Films (or patients) of the smaller class."""
        return min(_units(films, self.patients) for films in (self.positive, ~self.positive))


def auc_covariance(
    labels: ArrayLike, scores: Mapping[Hashable, ArrayLike], patients: ArrayLike | None = None
) -> AucCovariance:
    """AUCs of arms (or runs) scored on the same films, with their covariance matrix.

    Parameters
    ----------
    labels : array of shape (n,), 1 malignant, 0 normal
    scores : mapping of arm, or (arm, run), to an array of shape (n,)
    patients : array of shape (n,), optional
        Patient of each film. Where one has several films, patients are the units (Obuchowski); a patient may have
        films of both classes. Without repeats the result is DeLong's.

    Returns
    -------
    AucCovariance

    Raises
    ------
    ValueError
        Faulty labels, scores or patients.

    Notes
    -----
    Matches `pROC::var`/`cov(method = "delong")` and doAUCcluster. O(n log n) time, O(n) memory.

    Examples
    --------
    >>> fit = auc_covariance([0, 0, 1, 1], {"a": [1, 3, 2, 4], "b": [1, 2, 3, 4]})
    >>> fit.auc.tolist()
    [0.75, 1.0]
    """
    positive = check_labels(labels)
    if not scores:
        raise ValueError("no arm was given; give at least one array of scores")
    checked = [check_scores(values, positive.size, f"scores of {arm}") for arm, values in scores.items()]
    clusters = None if patients is None else check_patients(patients, positive.size)
    if clusters is not None and clusters.max() + 1 == positive.size:
        clusters = None
    placed = np.stack([placements(positive, score) for score in checked])
    note = ""
    for films, reason in ((positive, SINGLE_POSITIVE), (~positive, SINGLE_NEGATIVE)):
        if not note and _units(films, clusters) < 2:
            note = reason if clusters is None else reason.replace("film", "patient")
    area = placed[:, positive].mean(axis=1)
    return AucCovariance(tuple(scores), area, placed, tuple(checked), positive, clusters, note)


def _units(films: Flags, clusters: Codes | None) -> int:
    return int(films.sum()) if clusters is None else int(np.count_nonzero(np.bincount(clusters[films])))


def _covariance(placed: Vector, positive: Flags, clusters: Codes | None) -> Vector:
    """DeLong's S10 / m + S01 / n, or Obuchowski 1997, equations 3 to 5: sums within patients and their cross term."""
    sums, scales = [], []
    for films in (positive, ~positive):
        values = placed[:, films]
        sized = (values - values.mean(axis=1, keepdims=True)) / values.shape[1]
        if clusters is not None:
            patient, size = clusters[films], int(clusters.max()) + 1
            sized = np.stack([np.bincount(patient, row, minlength=size) for row in sized])
        having = _units(films, clusters)
        sums.append(sized)
        scales.append(having / (having - 1))
    within = scales[0] * (sums[0] @ sums[0].T) + scales[1] * (sums[1] @ sums[1].T)
    if clusters is None:
        return within
    units = sums[0].shape[1]
    cross = sums[0] @ sums[1].T * units / (units - 1)
    return within + cross + cross.T


def auc_interval(
    labels: ArrayLike,
    scores: ArrayLike,
    patients: ArrayLike | None = None,
    confidence: float = 0.95,
    scale: str = "wald",
) -> Estimate:
    """AUC of one run with its interval.

    Parameters
    ----------
    labels, scores, patients : as `auc_covariance`, for one arm
    confidence : float in (0, 1)
    scale : {"wald", "logit"}
        Wald is pROC's and the published study's; the logit scale covers better with few films or an AUC near 1
        (30 malignant and 60 normal films, AUC near 0.95: .94 against Wald's .88 of a nominal .95).

    Returns
    -------
    Estimate
        In [0, 1]. An AUC of 0 or 1 has its far limit at the number of films (patients) of the smaller class, n:
        1 has n / (n + z^2) to 1. Otherwise without limits, and with the reason, where no variance can be estimated.

    Raises
    ------
    ValueError
        Faulty input.

    Notes
    -----
    Matches `pROC::ci.auc(method = "delong")` for `scale="wald"`.

    Examples
    --------
    >>> auc_interval([0, 0, 0, 1, 1, 1], [1, 2, 4, 3, 5, 6], scale="logit").estimate
    0.8888888888888888
    """
    check_confidence(confidence)
    check_one_of(scale, ("wald", "logit"), "scale")
    fit = auc_covariance(labels, {"scores": scores}, patients)
    area, variance, n = float(fit.auc[0]), float(fit.covariance[0, 0]), fit.positive.size
    method = f"{fit.method}, {'Wald' if scale == 'wald' else 'logit'} interval"
    if fit.note:
        return Estimate(area, None, None, method, n, note=fit.note)
    if variance < DUST:
        if area in (0.0, 1.0):
            edge = edge_reach(fit.smaller, confidence)
            low, high = (0.0, edge) if area == 0 else (1 - edge, 1.0)
            return Estimate(area, low, high, f"{method}, far limit at {fit.smaller} of the smaller class", n)
        reason = CONSTANT_SCORES if bool((fit.placed[0] == 0.5).all()) else NO_VARIANCE
        return Estimate(area, None, None, method, n, note=reason)
    if scale == "logit":
        low, high = logit_interval(area, math.sqrt(variance), confidence)
    else:
        low, high = wald_interval(area, math.sqrt(variance), confidence, clip=(0.0, 1.0))
    return Estimate(area, low, high, method, n)


@dataclass(frozen=True)
class AucComparison:
    """Difference of two AUCs, arm - reference, with its test.

    Attributes
    ----------
    difference : Estimate
        With p of the chosen alternative.
    se : float or None
        Standard error of the difference (0 without variation, None if it cannot be estimated).
    statistic : float or None
        z (paired) or t (unpaired).
    arm, reference : float
        The two AUCs.
    """

    difference: Estimate
    se: float | None
    statistic: float | None
    arm: float
    reference: float


def compare_auc(
    labels: ArrayLike,
    arm: ArrayLike,
    reference: ArrayLike,
    patients: ArrayLike | None = None,
    confidence: float = 0.95,
    alternative: str = "two-sided",
) -> AucComparison:
    """Paired test of two AUCs on the same films (DeLong; Obuchowski where patients repeat).

    Parameters
    ----------
    labels, patients : as `auc_covariance`
    arm, reference : array of shape (n,)
        Scores of the two arms on the same films in the same order.
    confidence : float in (0, 1)
    alternative : {"two-sided", "greater", "less"}
        "greater": the arm's AUC is the larger one.

    Returns
    -------
    AucComparison
        A difference without variation has no p, and the reason: never p = 0. Its limits are then z^2 / (n + z^2) away,
        n the films (patients) of the smaller class, and it is cut to [-1, 1] as every difference.

    Raises
    ------
    ValueError
        Faulty input.

    Notes
    -----
    Matches `pROC::roc.test(method = "delong", paired = TRUE)` and doAUCcluster.

    Examples
    --------
    >>> y, arm, reference = [0, 0, 0, 1, 1, 1], [1, 2, 4, 3, 5, 6], [3, 1, 4, 2, 6, 5]
    >>> round(compare_auc(y, arm, reference).difference.estimate, 4)
    0.1111
    """
    fit = auc_covariance(labels, {"arm": arm, "reference": reference}, patients)
    return contrast(fit, "arm", "reference", confidence, alternative)


def contrast(
    fit: AucCovariance,
    arm: Hashable,
    reference: Hashable,
    confidence: float = 0.95,
    alternative: str = "two-sided",
) -> AucComparison:
    """`compare_auc` for two arms (or runs) of a covariance already computed: each run is sorted once for all pairs."""
    check_confidence(confidence)
    check_one_of(alternative, ALTERNATIVES, "alternative")
    for name in (arm, reference):
        if name not in fit.arms:
            raise ValueError(f"{name!r} is not among the arms {', '.join(map(str, fit.arms))}")
    one, other = fit.arms.index(arm), fit.arms.index(reference)
    areas, n = (float(fit.auc[one]), float(fit.auc[other])), fit.positive.size
    difference, method = areas[0] - areas[1], f"{fit.method}, paired, {alternative}"
    if fit.note:
        return AucComparison(Estimate(difference, None, None, method, n, note=fit.note), None, None, *areas)
    # on the differences of placement values: exactly 0 if those are
    apart = (fit.placed[one] - fit.placed[other])[np.newaxis]
    variance = float(_covariance(apart, fit.positive, fit.patients)[0, 0])
    if variance < DUST:
        return AucComparison(_without_variation(fit, one, other, method, confidence), 0.0, None, *areas)
    se = math.sqrt(variance)
    low, high = wald_interval(difference, se, confidence, clip=(-1.0, 1.0))
    p = tail_probability(difference / se, alternative)
    return AucComparison(Estimate(difference, low, high, method, n, p), se, difference / se, *areas)


def _without_variation(fit: AucCovariance, one: int, other: int, method: str, confidence: float) -> Estimate:
    difference, n = float(fit.auc[one] - fit.auc[other]), fit.positive.size
    note = NO_VARIATION
    if np.array_equal(fit.placed[one], fit.placed[other]):
        # equal placement values do not mean equal ranks: two perfect arms may order the malignant films differently
        alike = np.array_equal(stats.rankdata(fit.scores[one]), stats.rankdata(fit.scores[other]))
        difference, note = 0.0, IDENTICAL_ARMS if alike else SAME_PLACES
    edge = edge_reach(fit.smaller, confidence)
    low, high = max(difference - edge, -1.0), min(difference + edge, 1.0)
    return Estimate(difference, low, high, method, n, note=note)


def compare_auc_unpaired(
    labels: ArrayLike,
    scores: ArrayLike,
    other_labels: ArrayLike,
    other_scores: ArrayLike,
    confidence: float = 0.95,
    alternative: str = "two-sided",
) -> AucComparison:
    """Test of two AUCs measured on different films, with Welch-type degrees of freedom.

    Errors as `compare_auc`. Difference = first - second.

    Parameters
    ----------
    labels, scores : array_like of shape (n,)
        The first set of films.
    other_labels, other_scores : array_like of shape (m,)
        The second set of films.
    confidence : float
    alternative : {"two-sided", "greater", "less"}

    Notes
    -----
    Matches `pROC::roc.test(method = "delong", paired = FALSE)`: t with Satterthwaite degrees of freedom, where each
    set contributes its number of films - 1.

    Examples
    --------
    >>> men, women = ([0, 0, 1, 1], [1, 3, 2, 4]), ([0, 0, 1, 1], [2, 3, 1, 4])
    >>> compare_auc_unpaired(*men, *women).difference.estimate
    0.25
    """
    check_confidence(confidence)
    fits = [auc_covariance(labels, {"a": scores}), auc_covariance(other_labels, {"a": other_scores})]
    areas = float(fits[0].auc[0]), float(fits[1].auc[0])
    difference, counts = areas[0] - areas[1], [fit.positive.size for fit in fits]
    method = f"DeLong, unpaired (Welch), {alternative}"
    variances = [float(fit.covariance[0, 0]) for fit in fits]
    reason = fits[0].note or fits[1].note or ("" if sum(variances) > 0 else NO_VARIANCE)
    if reason:
        return AucComparison(Estimate(difference, None, None, method, sum(counts), note=reason), None, None, *areas)
    se = math.sqrt(sum(variances))
    df = sum(variances) ** 2 / sum(v**2 / (n - 1) for v, n in zip(variances, counts, strict=True))
    low, high = wald_interval(difference, se, confidence, df, clip=(-1.0, 1.0))
    p = tail_probability(difference / se, alternative, df)
    return AucComparison(Estimate(difference, low, high, method, sum(counts), p, df), se, difference / se, *areas)
