"""Intervals at lesion level: a threshold's sensitivity and false positives, and the paired difference of arms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from osteotl.statistics.checks import Estimate, check_confidence
from osteotl.statistics.lesion_figures import Figure, delong_covariance, jackknife_covariance, kernel
from osteotl.statistics.matching import Marks

WIDTH_ZERO = "every lesion found, or none: the clustered interval has no width (see Wilson's)"
NO_SPREAD = "the two arms do not differ on any film, or too few films carry the variance: no standard error"
FEW_FILMS = "fewer than two films with a lesion: no variance between films"


@dataclass(frozen=True)
class FigureComparison:
    """A figure of merit in each arm and the paired difference first - second."""

    arms: tuple[Estimate, Estimate]
    difference: Estimate
    covariance: NDArray[np.float64]
    standard_error: float
    z: float | None


def compare_figures(
    first: Marks, second: Marks, figure: Figure = "wAFROC", method: str = "delong", confidence: float = 0.95
) -> FigureComparison:
    """Compare two arms on the same films.

    Parameters
    ----------
    first, second : Marks
        Matched to the same list of films.
    figure : {"wAFROC", "LROC", "HrAuc"} or, with the jackknife, {"AFROC", "wAFROC1", "AFROC1"} too
    method : {"delong", "jackknife"}
    confidence : float in (0, 1)

    Raises
    ------
    ValueError
        Other films, an unknown method, a class with fewer than two films.

    Notes
    -----
    Jackknife = RJafroc 2.1.3's one-reader FRRC analysis; HrAuc by DeLong = pROC's roc.test.
    """
    makers = {"delong": delong_covariance, "jackknife": jackknife_covariance}
    if method not in makers:
        raise ValueError(f"method {method!r} is unknown; choose delong or jackknife")
    level = stats.norm.isf((1 - check_confidence(confidence)) / 2)
    kernels = [kernel(first, figure), kernel(second, figure)]
    covariance = makers[method](kernels)
    values = [k.value() for k in kernels]
    words = f"{figure}, {'DeLong-type components' if method == 'delong' else 'jackknife over films'}, normal interval"
    arms = [_normal(v, float(np.sqrt(covariance[i, i])), level, words, first.films) for i, v in enumerate(values)]
    spread = float(np.sqrt(max(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1], 0.0)))
    gap = values[0] - values[1]
    spread = 0.0 if spread < 1e-12 else spread
    return FigureComparison(
        (arms[0], arms[1]),
        _normal(gap, spread, level, f"difference of {words}", first.films, True),
        covariance,
        spread,
        gap / spread if spread else None,
    )


def _normal(value: float, spread: float, level: float, words: str, n: int, test: bool = False) -> Estimate:
    p = float(2 * stats.norm.sf(abs(value / spread))) if test and spread else None
    reason = NO_SPREAD if spread == 0 else None
    return Estimate(value, value - level * spread, value + level * spread, words, n, p=p, not_estimable=reason)


# --- one threshold ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class LesionSensitivity:
    """Share of lesions hit at a threshold: intervals with films as clusters, and Wilson's that ignores them."""

    clustered: Estimate
    logit: Estimate
    wilson: Estimate
    variance: float | None


def _hits_per_film(marks: Marks, threshold: float) -> NDArray[np.float64]:
    per_film = np.bincount(marks.film[marks.hit & (marks.score >= threshold)], minlength=marks.films)
    return per_film[marks.diseased].astype(float)


def _cluster_variance(residual: NDArray[np.float64], lesions: float) -> float | None:
    """var = m/(m-1) sum residual^2 / L^2 over m diseased films (Obuchowski 1998, Rao and Scott 1992)."""
    m = len(residual)
    return float(m / (m - 1) * (residual**2).sum() / lesions**2) if m > 1 else None


def lesion_sensitivity(marks: Marks, threshold: float, confidence: float = 0.95) -> LesionSensitivity:
    """Lesion sensitivity at score >= threshold.

    Raises
    ------
    ValueError
        No lesion.

    Notes
    -----
    Ratio estimator with films as clusters: statsmodels' cluster-robust OLS without correction, times m/(m-1).
    """
    level = stats.norm.isf((1 - check_confidence(confidence)) / 2)
    lesions = marks.lesions_per_film[marks.diseased].astype(float)
    if not len(lesions):
        raise ValueError("no lesion in the reference standard: lesion sensitivity does not exist")
    found, total = _hits_per_film(marks, threshold), float(lesions.sum())
    share = float(found.sum() / total)
    variance = _cluster_variance(found - share * lesions, total)
    limits = proportion_confint(found.sum(), total, 1 - confidence, "wilson")
    wilson = Estimate(share, float(limits[0]), float(limits[1]), "Wilson, lesions taken as independent", int(total))
    if variance is None:
        plain = Estimate(share, None, None, "films as clusters", int(total), not_estimable=FEW_FILMS)
        return LesionSensitivity(plain, plain, wilson, None)
    spread = float(np.sqrt(variance))
    extreme = share in (0.0, 1.0)
    clustered = Estimate(
        share,
        share - level * spread,
        share + level * spread,
        "films as clusters, Wald",
        int(total),
        not_estimable=WIDTH_ZERO if extreme else None,
    )
    return LesionSensitivity(clustered, _logit_interval(share, spread, level, int(total)), wilson, variance)


def _logit_interval(share: float, spread: float, level: float, n: int) -> Estimate:
    words = "films as clusters, logit"
    if share in (0.0, 1.0):
        return Estimate(share, None, None, words, n, not_estimable=WIDTH_ZERO)
    centre, reach = np.log(share / (1 - share)), level * spread / (share * (1 - share))
    return Estimate(share, float(1 / (1 + np.exp(reach - centre))), float(1 / (1 + np.exp(-reach - centre))), words, n)


def lesion_sensitivity_difference(
    first: Marks, second: Marks, threshold: float | Sequence[float], confidence: float = 0.95
) -> Estimate:
    """Difference first - second of lesion sensitivities on the same films, films as clusters.

    Parameters
    ----------
    threshold : float or (float, float)
        One threshold for both arms, or one each.
    """
    cuts = np.broadcast_to(np.asarray(threshold, float), 2)
    if first.films != second.films or (first.lesions_per_film != second.lesions_per_film).any():
        raise ValueError("the arms were not matched to the same films and lesions")
    lesions = first.lesions_per_film[first.diseased].astype(float)
    gap = _hits_per_film(first, cuts[0]) - _hits_per_film(second, cuts[1])
    total = float(lesions.sum())
    difference = float(gap.sum() / total)
    variance = _cluster_variance(gap - difference * lesions, total)
    words = "paired difference of lesion sensitivities, films as clusters, Wald"
    if variance is None:
        return Estimate(difference, None, None, words, int(total), not_estimable=FEW_FILMS)
    level = stats.norm.isf((1 - check_confidence(confidence)) / 2)
    return _normal(difference, float(np.sqrt(variance)), level, words, int(total), test=True)


@dataclass(frozen=True)
class FalsePositiveRate:
    """False positives per film: films as units (normal), and exact Poisson limits (too narrow if they cluster)."""

    normal: Estimate
    poisson: Estimate
    standard_error: float | None


def false_positives_per_film(marks: Marks, threshold: float, confidence: float = 0.95) -> FalsePositiveRate:
    """False positives per film (all films) at score >= threshold, with Garwood's (1936) exact Poisson limits."""
    level = stats.norm.isf((1 - check_confidence(confidence)) / 2)
    per_film = np.bincount(marks.film[~marks.hit & (marks.score >= threshold)], minlength=marks.films)
    films, mean = marks.films, float(per_film.mean())
    poisson = garwood(int(per_film.sum()), films, confidence)
    if films < 2:
        normal = Estimate(mean, None, None, "mean over films", films, not_estimable="one film only")
        return FalsePositiveRate(normal, poisson, None)
    error = float(per_film.std(ddof=1) / np.sqrt(films))
    normal = Estimate(mean, mean - level * error, mean + level * error, "mean over films, normal interval", films)
    return FalsePositiveRate(normal, poisson, error)


def garwood(events: int, exposure: float, confidence: float = 0.95) -> Estimate:
    """Rate of a Poisson count with exact limits: chi-square quantiles / 2 / exposure."""
    if events < 0 or exposure <= 0:
        raise ValueError(f"a Poisson rate needs a count >= 0 and an exposure > 0, got {events} and {exposure}")
    tail = (1 - check_confidence(confidence)) / 2
    lower = stats.chi2.ppf(tail, 2 * events) / 2 if events else 0.0
    upper = stats.chi2.isf(tail, 2 * events + 2) / 2
    return Estimate(
        events / exposure, float(lower / exposure), float(upper / exposure), "Garwood exact Poisson", events
    )


def bootstrap_standard_error(replicates: ArrayLike) -> float:
    """Standard deviation over replicates, ignoring those that could not be computed."""
    values = np.asarray(replicates, float)
    return float(np.std(values[np.isfinite(values)], ddof=1))
