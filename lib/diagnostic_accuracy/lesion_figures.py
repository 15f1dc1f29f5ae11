"""Figures of merit of localisation, with the variances that a paired comparison of runs needs.

wAFROC, AFROC, LROC and HrAuc are means of a kernel over pairs (noise film, signal): placement values, the jackknife and
the exact bootstrap variance all follow from it. The page's intervals come from the joint bootstrap (`lesion_draws`);
what stands here concerns one run, and readers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from statsmodels.stats.rates import confint_poisson

from diagnostic_accuracy._kernels import compiled
from diagnostic_accuracy.checks import Estimate, check_one_of, check_patients
from diagnostic_accuracy.delong import placement_covariance
from diagnostic_accuracy.intervals import clustered_error, critical_value, on_logit, proportion_interval, wald_estimate
from diagnostic_accuracy.lesion_curves import Froc, film_weights_or_ones, froc
from diagnostic_accuracy.lesions import Marks

Vector = NDArray[np.float64]
Flags = NDArray[np.bool_]
Figure = Literal["wAFROC", "wAFROC1", "AFROC", "AFROC1", "HrAuc", "LROC", "FROC", "HrSe", "HrSp", "MaxLLF", "MaxNLF",
                 "MaxNLFAllCases"]  # fmt: skip
KERNELS = ("wAFROC", "wAFROC1", "AFROC", "AFROC1", "HrAuc", "LROC")
CURVES: dict[str, Callable[[Froc], float]] = {
    "FROC": lambda curve: float(np.trapezoid(np.append(0.0, curve.sensitivity), np.append(0.0, curve.per_film))),
    "MaxLLF": lambda curve: float(curve.sensitivity.max(initial=0.0)),
    "MaxNLF": lambda curve: float(curve.false_positives_lesion_free.max(initial=0.0) / curve.lesion_free),
    "MaxNLFAllCases": lambda curve: float(curve.per_film.max(initial=0.0)),
}

NO_SPREAD = "the two runs do not differ on any film, or too few films carry the variance: no standard error"
ROUNDING = 1e-12  # a standard error below this is dust of 0
FEW_FILMS = "fewer than two films with a lesion: no variance between films"
WIDTH_ZERO = "the clustered variance is 0, as where every lesion is found, or none (see Wilson's interval)"


@dataclass(frozen=True)
class Kernel:
    """theta = sum over noise films k and signals s of weight_s phi(noise_k, rating_s) / (noise films x units).

    phi(a, b) is 1 if a < b, 1/2 if a = b (two missing marks too), 0 if a > b.

    Attributes
    ----------
    noise : float array, shape (films,)
        Rating of each film as noise; -inf = no mark.
    is_noise : bool array, shape (films,)
    film, rating, weight : arrays, shape (signals,)
        Film, rating and weight of each signal (lesion or diseased film).
    unit : float array, shape (films,)
        What each film adds to the denominator: 1 for a diseased film, its lesions in AFROC.
    """

    noise: Vector
    is_noise: Flags
    film: NDArray[np.int64]
    rating: Vector
    weight: Vector
    unit: Vector

    def __post_init__(self) -> None:
        _positive(float(self.is_noise.sum()), "lesion-free")
        _positive(float(self.unit.sum()), "diseased")

    @property
    def films(self) -> int:
        return len(self.noise)

    def value(self, film_weights: ArrayLike | None = None) -> float:
        """The figure of merit, on films drawn `film_weights` times."""
        weights = film_weights_or_ones(film_weights, self.films)
        noise = weights * self.is_noise
        total = float(weights[self.film] * self.weight @ _wins(self.noise, noise, self.rating))
        return total / _positive(noise.sum(), "lesion-free") / _positive((weights * self.unit).sum(), "diseased")

    def placed(self) -> Vector:
        """Placement value of each film, shape (films,); see `delong.placements`."""
        wins = _wins(self.noise, self.is_noise.astype(float), self.rating)
        of_diseased = np.bincount(self.film, self.weight * wins, self.films) / self.is_noise.sum()
        of_noise = (self.weight.sum() - _wins(self.rating, self.weight, self.noise)) / self.unit.sum()
        return np.where(self.is_noise, of_noise, of_diseased)


def kernel(marks: Marks, figure: Figure) -> Kernel:
    """The kernel of a figure of merit of boxes or marks.

    Raises
    ------
    ValueError
        A figure without kernel, or no lesion-free film where one is needed (use wAFROC1 or AFROC1 there).
    """
    if check_one_of(figure, KERNELS, "figure") in ("HrAuc", "LROC"):
        return rating_kernel(marks.diseased, marks.highest, marks.correct if figure == "LROC" else None)
    noise = np.full(marks.films, True) if figure.endswith("1") else ~marks.diseased
    weight, unit = marks.lesion_weight, marks.diseased.astype(float)
    if not figure.startswith("w"):
        weight, unit = np.ones(marks.lesions), marks.lesions_per_film.astype(float)
    return Kernel(marks.highest_false_positive, noise, marks.lesion_film, marks.lesion_rating, weight, unit)


def rating_kernel(diseased: ArrayLike, rating: ArrayLike, correct: ArrayLike | None = None) -> Kernel:
    """Kernel of the ROC area of one rating per film, or of the LROC area where `correct` is given."""
    ill, height = np.asarray(diseased, bool), np.asarray(rating, float)
    credit = np.ones(len(ill)) if correct is None else np.asarray(correct, float)
    return Kernel(height, ~ill, np.flatnonzero(ill), height[ill], credit[ill], ill.astype(float))


def _positive(total: float, what: str) -> float:
    if total <= 0:
        raise ValueError(
            f"no {what} film: this figure of merit compares diseased with lesion-free films"
            + (" (wAFROC1 and AFROC1 do without lesion-free ones)" if what == "lesion-free" else "")
        )
    return float(total)


def _wins(noise: Vector, weight: Vector, rating: Vector) -> Vector:
    """For each rating the weight of noise below it plus half the weight of noise equal to it."""
    order = np.argsort(noise, kind="stable")
    ranked = noise[order]
    running = np.concatenate([[0.0], np.cumsum(weight[order])])
    below, upto = (running[np.searchsorted(ranked, rating, side=side)] for side in ("left", "right"))
    return (below + upto) / 2


# --- values -----------------------------------------------------------------------------------------------------------


def figure_of_merit(marks: Marks, figure: Figure, film_weights: ArrayLike | None = None) -> float:
    """A figure of merit of one run.

    Parameters
    ----------
    marks : Marks
    figure : str
        wAFROC (primary: every diseased film counts alike), AFROC (every lesion counts alike), wAFROC1 and AFROC1 (false
        positives of all films), HrAuc (ROC area of the highest box), LROC; without threshold: FROC (area up to the
        curve's own last point: grows with false positives, not for comparing runs), HrSe, HrSp (share of diseased with,
        of lesion-free films without any box), MaxLLF (lesions hit), MaxNLF, MaxNLFAllCases (false positives per
        lesion-free film, per film).
    film_weights : array, shape (films,), optional

    Returns
    -------
    float

    Raises
    ------
    ValueError
        Unknown figure, or no diseased or lesion-free film where one is needed.

    Notes
    -----
    As RJafroc 2.1.3 (UtilFigureOfMerit). A missed lesion ties with a lesion-free film without any box and earns 1/2,
    so wAFROC is not 0 when nothing is found.
    """
    if figure in KERNELS:
        return kernel(marks, figure).value(film_weights)
    weights = film_weights_or_ones(film_weights, marks.films)
    if figure in ("HrSe", "HrSp"):
        films, what = (marks.diseased, "diseased") if figure == "HrSe" else (~marks.diseased, "lesion-free")
        right = np.isfinite(marks.highest) == marks.diseased
        return float(weights[films & right].sum()) / _positive(weights[films].sum(), what)
    read = CURVES[check_one_of(figure, (*CURVES, *KERNELS, "HrSe", "HrSp"), "figure")]
    if figure == "MaxNLF":
        _positive(weights[~marks.diseased].sum(), "lesion-free")
    return read(froc(marks, weights))


# --- variances --------------------------------------------------------------------------------------------------------


def delong_covariance(kernels: list[Kernel]) -> Vector:
    """DeLong-type covariance matrix of figures of merit of runs on the same films, shape (runs, runs).

    For kernels of one noise and one diseased unit per film (wAFROC, LROC, HrAuc).

    Raises
    ------
    ValueError
        A figure whose noise and signal films overlap or whose unit is the lesion (use the jackknife), other films, or
        fewer than two films of a class.
    """
    ill = _diseased(kernels)
    if any((one.is_noise & ill).any() or not np.isin(one.unit, (0, 1)).all() for one in kernels):
        raise ValueError("DeLong-type components need separate noise and diseased films; use jackknife_covariance")
    if min(ill.sum(), (~ill).sum()) < 2:
        raise ValueError(f"a variance needs two films of each class, got {ill.sum()} diseased of {ill.size}")
    return placement_covariance(np.array([one.placed() for one in kernels]), ill)


def _diseased(kernels: list[Kernel]) -> Flags:
    """Diseased films, the same for all kernels."""
    first = kernels[0]
    for one in kernels[1:]:
        if one.films != first.films or (one.is_noise != first.is_noise).any() or (one.unit != first.unit).any():
            raise ValueError("the runs were not judged on the same films in the same order; match both to one list")
    return first.unit > 0


def jackknife_covariance(kernels: list[Kernel], patients: ArrayLike | None = None) -> Vector:
    """Jackknife covariance matrix, shape (runs, runs): (K-1)/K sum (theta_-k - mean)(theta'_-k - mean').

    Parameters
    ----------
    kernels : list of Kernel
        Of runs on the same films.
    patients : array of shape (films,), optional
        The jackknife leaves out one patient at a time; default one film.

    Raises
    ------
    ValueError
        Other films, or a patient who holds every diseased or every noise film.

    Notes
    -----
    With films left out one at a time an Obuchowski-Rockette analysis equals RJafroc 2.1.3, `St(FOM, method = "OR")`.
    """
    codes = check_patients(patients, _diseased(kernels).size)
    units = np.arange(int(codes.max()) + 1)
    blocks = np.split(units, units[512::512])  # blocks keep the weights small
    left = np.hstack(
        [[replicate_figures(one, codes[None, :] != block[:, None]) for one in kernels] for block in blocks]
    )
    if np.isnan(left).any():
        raise ValueError("one patient holds every diseased or every lesion-free film: the jackknife is not defined")
    centred = left - left.mean(axis=1, keepdims=True)
    return (units.size - 1) / units.size * centred @ centred.T


def exact_bootstrap_covariance(kernels: list[Kernel]) -> Vector:
    """Covariance of the stratified bootstrap with infinitely many draws, shape (runs, runs).

    cov = ((K0-1) cov(V10) + (K1-1) cov(V01) + cov(psi)) / (K0 K1) with population covariances. Time and memory
    O(K0 K1).
    """
    ill = _diseased(kernels)
    psi = np.array([_pairs(one)[ill][:, one.is_noise] for one in kernels])
    _, n1, n0 = psi.shape
    by_ill, by_noise, pairs = (
        np.cov(values, bias=True) for values in (psi.mean(axis=2), psi.mean(axis=1), psi.reshape(len(kernels), -1))
    )
    return np.atleast_2d((n0 - 1) * by_ill + (n1 - 1) * by_noise + pairs) / (n0 * n1)


def _pairs(one: Kernel) -> Vector:
    """The kernel of every pair: films of the signal x noise films."""
    rating, table = one.rating[:, None], np.zeros((one.films, one.films))
    np.add.at(table, one.film, one.weight[:, None] * ((one.noise < rating) + 0.5 * (one.noise == rating)))
    return table


# --- bootstrap replicates ---------------------------------------------------------------------------------------------


def replicate_figures(one: Kernel, weights: ArrayLike) -> Vector:
    """The figure of merit on each bootstrap sample.

    Parameters
    ----------
    one : Kernel
    weights : array of whole numbers, shape (draws, films)
        How often each film is drawn.

    Returns
    -------
    array, shape (draws,)
        NaN where a draw holds no diseased or no noise film (impossible when drawn by class).

    Raises
    ------
    ValueError
        Weights of another shape.
    """
    drawn = np.ascontiguousarray(weights, dtype=np.uint16)
    if drawn.ndim != 2 or drawn.shape[1] != one.films:
        raise ValueError(f"weights have shape {drawn.shape}; give (draws, {one.films}), one column per film")
    noise = np.flatnonzero(one.is_noise)
    noise = noise[np.argsort(one.noise[noise], kind="stable")]
    below, upto = (np.searchsorted(one.noise[noise], one.rating, side) for side in ("left", "right"))
    values = np.empty(len(drawn))
    figure_draws(drawn, noise, below, upto, one.film, one.weight, one.unit, values)
    return values


@compiled()
def figure_draws(weights, noise, below, upto, film, weight, unit, values):  # type: ignore[no-untyped-def]
    """The figure of each draw; `below`, `upto`: how much of the rising `noise` lies below each signal, and at most."""
    running = np.zeros(noise.shape[0] + 1)
    for b in range(weights.shape[0]):
        for i in range(noise.shape[0]):
            running[i + 1] = running[i] + weights[b, noise[i]]
        wins, units = 0.0, 0.0
        for s in range(film.shape[0]):
            wins += weights[b, film[s]] * weight[s] * (running[below[s]] + running[upto[s]])
        for k in range(unit.shape[0]):
            units += weights[b, k] * unit[k]
        pairs = running[-1] * units
        values[b] = wins / (2.0 * pairs) if pairs > 0.0 else np.nan


# --- comparisons and intervals of one run -----------------------------------------------------------------------------


def compare_figures(
    first: Marks, second: Marks, figure: Figure = "wAFROC", method: str = "delong", confidence: float = 0.95
) -> Estimate:
    """Difference first - second of a figure of merit of two runs on the same films, normal interval.

    Parameters
    ----------
    first, second : Marks
        Matched to the same list of films.
    figure : {"wAFROC", "LROC", "HrAuc"} or, with the jackknife, {"AFROC", "wAFROC1", "AFROC1"} too
    method : {"delong", "jackknife"}
    confidence : float in (0, 1)

    Returns
    -------
    Estimate
        Without limits, and a note, where the variance is 0.

    Raises
    ------
    ValueError
        Other films, an unknown method, a class with fewer than two films.

    Examples
    --------
    >>> from diagnostic_accuracy.lesions import marks_from_ratings
    >>> marks = marks_from_ratings([1, 1, 0, 0], [0, 2], [0.9, 0.4], [0, -1], [0, 1])
    >>> compare_figures(marks, marks).estimate
    0.0
    """
    kernels = [kernel(marks, figure) for marks in (first, second)]
    maker = {"delong": delong_covariance, "jackknife": jackknife_covariance}
    covariance = maker[check_one_of(method, tuple(maker), "method")](kernels)
    se = float(np.sqrt(max(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1], 0.0)))
    words = f"difference of {figure}, {method} variance, normal interval"
    gap = kernels[0].value() - kernels[1].value()
    return wald_estimate(gap, se if se > ROUNDING else None, words, first.films, confidence, None, still=NO_SPREAD)


def lesion_sensitivity(marks: Marks, threshold: float, confidence: float = 0.95) -> dict[str, Estimate]:
    """Share of lesions hit at score >= threshold: intervals with films as clusters, and Wilson's that ignores them.

    Parameters
    ----------
    marks : Marks
    threshold : float
    confidence : float in (0, 1)

    Returns
    -------
    dict of wald, logit, wilson to Estimate

    Raises
    ------
    ValueError
        No lesion.

    Notes
    -----
    Ratio estimator with films as clusters (Obuchowski 1998, Rao and Scott 1992): statsmodels' cluster-robust OLS with
    its correction m/(m-1).

    Examples
    --------
    >>> from diagnostic_accuracy.lesions import marks_from_ratings
    >>> marks = marks_from_ratings([1, 1, 0], [0, 2], [0.9, 0.4], [0, -1], [0, 1])
    >>> lesion_sensitivity(marks, 0.5)["wilson"].estimate
    0.5
    """
    if not marks.lesions:
        raise ValueError("no lesion in the reference standard: lesion sensitivity does not exist; give lesion boxes")
    found, n, words = marks.lesion_rating >= threshold, marks.lesions, "films as clusters"
    share, se = _over_films(found, marks)
    low, high = proportion_interval(int(found.sum()), n, confidence)
    reason = FEW_FILMS if se is None else WIDTH_ZERO
    wald = wald_estimate(share, se, f"{words}, Wald", n, confidence, None, still=reason, test=False)
    logit = replace(wald, method=f"{words}, logit")
    if se:
        lower, upper = on_logit(share, se, critical_value(confidence))
        logit = replace(logit, lower=lower, upper=upper)
    return {
        "wald": wald,
        "logit": logit,
        "wilson": Estimate(share, low, high, "Wilson, lesions taken as independent", n),
    }


def _over_films(of_lesions: NDArray[Any], marks: Marks) -> tuple[float, float | None]:
    """Mean over lesions and its standard error with films as clusters; None with one film only, 0 without variation."""
    films = int(marks.diseased.sum())
    if films < 2:
        return float(of_lesions.mean()), None
    se = np.sqrt(films / (films - 1)) * clustered_error(of_lesions.astype(float), marks.lesion_film)
    return float(of_lesions.mean()), float(se) if se > ROUNDING else 0.0


def lesion_sensitivity_difference(first: Marks, second: Marks, threshold: float, confidence: float = 0.95) -> Estimate:
    """Difference first - second of lesion sensitivities on the same films, films as clusters.

    Parameters
    ----------
    first, second : Marks
    threshold : float
    confidence : float in (0, 1)

    Raises
    ------
    ValueError
        Runs matched to other films or lesions.
    """
    if not np.array_equal(first.lesion_film, second.lesion_film):
        raise ValueError("the runs were not matched to the same films and lesions; match both to one list")
    hit, other = (marks.lesion_rating >= threshold for marks in (first, second))
    gap, se = _over_films(hit.astype(int) - other, first)
    words = "paired difference of lesion sensitivities, films as clusters, Wald"
    reason = FEW_FILMS if se is None else NO_SPREAD
    return wald_estimate(gap, se, words, first.lesions, confidence, None, still=reason)


def false_positives_per_film(marks: Marks, threshold: float, confidence: float = 0.95) -> dict[str, Estimate]:
    """False positives per film (all films) at score >= threshold, with two intervals.

    Parameters
    ----------
    marks : Marks
    threshold : float
    confidence : float in (0, 1)

    Returns
    -------
    dict of normal, poisson to Estimate
        Films as units; and Garwood's (1936) exact limits of a Poisson count, too narrow if false positives cluster.
        `events` counts false positives.

    Examples
    --------
    >>> from diagnostic_accuracy.lesions import marks_from_ratings
    >>> marks = marks_from_ratings([1, 0], [0, 1], [0.9, 0.4], [0, -1], [0])
    >>> false_positives_per_film(marks, 0.1)["normal"].estimate
    0.5
    """
    per_film = np.bincount(marks.film[~marks.hit & (marks.score >= threshold)], minlength=marks.films)
    films, events, mean = marks.films, int(per_film.sum()), float(per_film.mean())
    se = float(per_film.std(ddof=1) / np.sqrt(films)) if films > 1 else None
    reason = "one film only" if films == 1 else "every film has the same number of false positives"
    words = "mean over films, normal interval"
    low, high = confint_poisson(events, films, "exact-c", 1 - confidence)
    return {
        "normal": wald_estimate(mean, se, words, films, confidence, None, still=reason, test=False),
        "poisson": Estimate(mean, float(low), float(high), "Garwood exact Poisson", films, events=events),
    }
