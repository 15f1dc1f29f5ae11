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
    check_labels,
    check_patients,
    check_scores,
)
from diagnostic_accuracy.intervals import NO_VARIATION, edge_reach, wald_estimate

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
    ranked, ill, placed = score[order], positive[order], np.empty(score.size)
    for films in (ill, ~ill):
        others = ranked[~films]
        below, upto = (np.searchsorted(others, ranked[films], side) for side in ("left", "right"))
        won = below + upto if films is ill else 2 * others.size - below - upto
        placed[order[films]] = won / (2 * others.size)
    return placed


@dataclass(frozen=True)
class AucCovariance:
    """AUCs of several arms (or runs) on the same films and how they vary together.

    Attributes
    ----------
    auc : array of shape (arms,)
    placed : array of shape (arms, n)
        Placement values.
    positive : boolean array of shape (n,)
    patients : integer array of shape (n,) or None
        Clusters, where some patient has several films.
    note : str
        Why the covariance cannot be estimated; else empty.
    """

    auc: Vector
    placed: Vector
    positive: Flags
    patients: Codes | None
    note: str

    @cached_property
    def covariance(self) -> Vector:
        """Array of shape (arms, arms); NaN where it cannot be estimated (`note` says why)."""
        if self.note:
            return np.full((self.auc.size, self.auc.size), np.nan)
        return placement_covariance(self.placed, self.positive, self.patients)

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
    return AucCovariance(area, placed, positive, clusters, note)


def _units(films: Flags, clusters: Codes | None) -> int:
    return int(films.sum()) if clusters is None else int(np.count_nonzero(np.bincount(clusters[films])))


def placement_covariance(placed: Vector, positive: Flags, clusters: Codes | None = None) -> Vector:
    """Covariance of means of placement values, from two units of each class on.

    DeLong's S10 / m + S01 / n, or Obuchowski 1997, equations 3 to 5: sums within patients and their cross term.

    Parameters
    ----------
    placed : array of shape (arms, n)
    positive : boolean array of shape (n,)
    clusters : integer array of shape (n,), optional
        Patients as codes.
    """
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
    labels: ArrayLike, scores: ArrayLike, patients: ArrayLike | None = None, confidence: float = 0.95
) -> Estimate:
    """AUC of one run with its interval.

    Parameters
    ----------
    labels, scores, patients : as `auc_covariance`, for one arm
    confidence : float in (0, 1)

    Returns
    -------
    Estimate
        Wald, in [0, 1]. An AUC of 0 or 1 has its far limit at the number of films (patients) of the smaller class, n:
        1 has n / (n + z^2) to 1. Otherwise without limits, and with the reason, where no variance can be estimated.

    Raises
    ------
    ValueError
        Faulty input.

    Notes
    -----
    Matches `pROC::ci.auc(method = "delong")`.

    Examples
    --------
    >>> auc_interval([0, 0, 0, 1, 1, 1], [1, 2, 4, 3, 5, 6]).estimate
    0.8888888888888888
    """
    fit = auc_covariance(labels, {"scores": scores}, patients)
    area, n, method = float(fit.auc[0]), fit.positive.size, f"{fit.method}, Wald interval"
    if fit.note:
        return Estimate(area, None, None, method, n, note=fit.note)
    variance = float(fit.covariance[0, 0])
    if variance >= DUST:
        return wald_estimate(area, math.sqrt(variance), method, n, confidence, (0.0, 1.0), test=False)
    if area in (0.0, 1.0):
        words, reach = f"{method}, far limit at {fit.smaller} of the smaller class", edge_reach(fit.smaller, confidence)
        return wald_estimate(area, None, words, n, confidence, (0.0, 1.0), reach=reach)
    reason = CONSTANT_SCORES if bool((fit.placed[0] == 0.5).all()) else NO_VARIANCE
    return Estimate(area, None, None, method, n, note=reason)


def compare_auc(
    labels: ArrayLike,
    arm: ArrayLike,
    reference: ArrayLike,
    patients: ArrayLike | None = None,
    confidence: float = 0.95,
) -> Estimate:
    """Difference of two AUCs on the same films (DeLong; Obuchowski where patients repeat), arm - reference, with p.

    Parameters
    ----------
    labels, patients : as `auc_covariance`
    arm, reference : array of shape (n,)
        Scores of the two arms on the same films in the same order.
    confidence : float in (0, 1)

    Returns
    -------
    Estimate
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
    >>> round(compare_auc(y, arm, reference).estimate, 4)
    0.1111
    """
    fit = auc_covariance(labels, {"arm": arm, "reference": reference}, patients)
    difference, n, method = float(fit.auc[0] - fit.auc[1]), fit.positive.size, f"{fit.method}, paired, two-sided"
    if fit.note:
        return Estimate(difference, None, None, method, n, note=fit.note)
    # on the differences of placement values: exactly 0 if those are
    variance = float(placement_covariance(fit.placed[:1] - fit.placed[1:], fit.positive, fit.patients)[0, 0])
    if variance >= DUST:
        return wald_estimate(difference, math.sqrt(variance), method, n, confidence)
    note = NO_VARIATION
    if np.array_equal(*fit.placed):
        # equal placement values do not mean equal ranks: two perfect arms may order the malignant films differently
        alike = np.array_equal(stats.rankdata(arm), stats.rankdata(reference))
        difference, note = 0.0, IDENTICAL_ARMS if alike else SAME_PLACES
    return wald_estimate(difference, None, method, n, confidence, still=note, reach=edge_reach(fit.smaller, confidence))


def compare_auc_unpaired(
    labels: ArrayLike,
    scores: ArrayLike,
    other_labels: ArrayLike,
    other_scores: ArrayLike,
    confidence: float = 0.95,
) -> Estimate:
    """Test of two AUCs measured on different films, with Welch-type degrees of freedom.

    Errors as `compare_auc`. Difference = first - second.

    Parameters
    ----------
    labels, scores : array_like of shape (n,)
        The first set of films.
    other_labels, other_scores : array_like of shape (m,)
        The second set of films.
    confidence : float

    Notes
    -----
    Matches `pROC::roc.test(method = "delong", paired = FALSE)`: t with Satterthwaite degrees of freedom, where each
    set contributes its number of films - 1.

    Examples
    --------
    >>> men, women = ([0, 0, 1, 1], [1, 3, 2, 4]), ([0, 0, 1, 1], [2, 3, 1, 4])
    >>> compare_auc_unpaired(*men, *women).estimate
    0.25
    """
    fits = [auc_covariance(labels, {"a": scores}), auc_covariance(other_labels, {"a": other_scores})]
    difference, counts = float(fits[0].auc[0] - fits[1].auc[0]), [fit.positive.size for fit in fits]
    variances = [float(fit.covariance[0, 0]) for fit in fits]
    method, reason = "DeLong, unpaired (Welch), two-sided", fits[0].note or fits[1].note
    if reason or sum(variances) == 0:
        return Estimate(difference, None, None, method, sum(counts), note=reason or NO_VARIANCE)
    df = sum(variances) ** 2 / sum(v**2 / (n - 1) for v, n in zip(variances, counts, strict=True))
    return wald_estimate(difference, math.sqrt(sum(variances)), method, sum(counts), confidence, df=df)
