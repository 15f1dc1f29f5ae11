"""Figures of merit of localisation, with the variances that a paired comparison of runs needs.

wAFROC, AFROC, LROC and HrAuc are means of a kernel over pairs (noise film, signal): DeLong-type components, the
jackknife and the exact bootstrap variance all follow from its row and column sums, which sorting gives in O(n log n).
The page's intervals come from the joint bootstrap (`lesion_draws`); what stands here concerns one run, and readers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from diagnostic_accuracy._kernels import compiled
from diagnostic_accuracy.checks import Estimate, check_confidence, check_one_of, check_patients
from diagnostic_accuracy.lesion_curves import film_weights_or_ones
from diagnostic_accuracy.lesions import Marks

Vector = NDArray[np.float64]
Flags = NDArray[np.bool_]
Figure = Literal["wAFROC", "wAFROC1", "AFROC", "AFROC1", "HrAuc", "LROC", "FROC", "HrSe", "HrSp", "MaxLLF", "MaxNLF",
                 "MaxNLFAllCases"]  # fmt: skip
KERNELS = ("wAFROC", "wAFROC1", "AFROC", "AFROC1", "HrAuc", "LROC")

WIDTH_ZERO = "every lesion is found, or none: the clustered variance is 0 (see Wilson's interval)"
NO_SPREAD = "the two runs do not differ on any film, or too few films carry the variance: no standard error"
FEW_FILMS = "fewer than two films with a lesion: no variance between films"


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

    @property
    def films(self) -> int:
        return len(self.noise)

    def value(self, film_weights: ArrayLike | None = None) -> float:
        """The figure of merit, on films drawn `film_weights` times."""
        weights = film_weights_or_ones(film_weights, self.films)
        noise = weights * self.is_noise
        total = float(weights[self.film] * self.weight @ _wins(self.noise, noise, self.rating))
        return total / _positive(noise.sum(), "lesion-free") / _positive((weights * self.unit).sum(), "diseased")

    def column_sums(self) -> Vector:
        """Sum of the kernel over noise films, by film of the signal, shape (films,)."""
        wins = _wins(self.noise, self.is_noise.astype(float), self.rating)
        return np.bincount(self.film, self.weight * wins, self.films).astype(float)

    def row_sums(self) -> Vector:
        """Sum of the kernel over signals, by noise film, shape (films,); 0 for films that are no noise."""
        losses = self.weight.sum() - _wins(self.rating, self.weight, self.noise)
        return np.where(self.is_noise, losses, 0.0)


def kernel(marks: Marks, figure: Figure) -> Kernel:
    """The kernel of a figure of merit of boxes or marks.

    Raises
    ------
    ValueError
        A figure without kernel, or no lesion-free film where one is needed (use wAFROC1 or AFROC1 there).
    """
    if figure in ("wAFROC", "wAFROC1", "AFROC", "AFROC1"):
        everyone = figure.endswith("1")
        weighted = figure.startswith("w")
        return _checked(
            Kernel(
                marks.highest_false_positive,
                np.full(marks.films, True) if everyone else ~marks.diseased,
                marks.lesion_film,
                marks.lesion_rating,
                marks.lesion_weight if weighted else np.ones(marks.lesions),
                marks.diseased.astype(float) if weighted else marks.lesions_per_film.astype(float),
            )
        )
    if figure == "HrAuc":
        return rating_kernel(marks.diseased, marks.highest)
    if figure == "LROC":
        return rating_kernel(marks.diseased, marks.highest, marks.correct)
    raise ValueError(f"{figure!r} has no kernel; choose one of {', '.join(KERNELS)}")


def rating_kernel(diseased: ArrayLike, rating: ArrayLike, correct: ArrayLike | None = None) -> Kernel:
    """Kernel of the ROC area of one rating per film, or of the LROC area where `correct` is given."""
    ill, height = np.asarray(diseased, bool), np.asarray(rating, float)
    credit = np.ones(len(ill)) if correct is None else np.asarray(correct, float)
    return _checked(Kernel(height, ~ill, np.flatnonzero(ill), height[ill], credit[ill], ill.astype(float)))


def _checked(made: Kernel) -> Kernel:
    _positive(float(made.is_noise.sum()), "lesion-free")
    _positive(float(made.unit.sum()), "diseased")
    return made


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
    if figure not in _COUNTED:
        raise ValueError(f"figure of merit {figure!r} is unknown; choose one of {', '.join([*KERNELS, *_COUNTED])}")
    return _COUNTED[figure](marks, film_weights_or_ones(film_weights, marks.films))


def _share(part: Flags, whole: Flags, weights: Vector, what: str) -> float:
    return float((weights * (part & whole)).sum()) / _positive((weights * whole).sum(), what)


def _free_response_area(marks: Marks, weights: Vector) -> float:
    false = ~marks.hit
    wins = _wins(marks.score[false], weights[marks.film[false]], marks.lesion_rating)
    of_lesions = weights[marks.lesion_film]
    return float(of_lesions @ wins) / float(weights.sum()) / _positive(of_lesions.sum(), "diseased")


def _false_positives(marks: Marks, weights: Vector, films: Flags) -> float:
    false = ~marks.hit & films[marks.film]
    return float(weights[marks.film[false]].sum()) / _positive((weights * films).sum(), "lesion-free")


def _lesions_hit(marks: Marks, weights: Vector) -> float:
    of_lesions = weights[marks.lesion_film]
    return float(of_lesions[np.isfinite(marks.lesion_rating)].sum()) / _positive(of_lesions.sum(), "diseased")


_COUNTED: dict[str, Callable[[Marks, Vector], float]] = {
    "FROC": _free_response_area,
    "HrSe": lambda m, w: _share(np.isfinite(m.highest), m.diseased, w, "diseased"),
    "HrSp": lambda m, w: _share(~np.isfinite(m.highest), ~m.diseased, w, "lesion-free"),
    "MaxLLF": _lesions_hit,
    "MaxNLF": lambda m, w: _false_positives(m, w, ~m.diseased),
    "MaxNLFAllCases": lambda m, w: _false_positives(m, w, np.full(m.films, True)),
}


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
    first = kernels[0]
    for one in kernels:
        if (one.is_noise & (one.unit > 0)).any() or not np.isin(one.unit, (0, 1)).all():
            raise ValueError("DeLong-type components need separate noise and diseased films; use jackknife_covariance")
        _same_films(first, one)
    noise, ill = first.is_noise, first.unit > 0
    n0, n1 = int(noise.sum()), int(ill.sum())
    if min(n0, n1) < 2:
        raise ValueError(f"a variance needs two films of each class, got {n1} diseased and {n0} lesion-free")
    by_ill = np.array([k.column_sums()[ill] / n0 for k in kernels])
    by_noise = np.array([k.row_sums()[noise] / n1 for k in kernels])
    return np.atleast_2d(np.cov(by_ill)) / n1 + np.atleast_2d(np.cov(by_noise)) / n0


def _same_films(one: Kernel, other: Kernel) -> None:
    if len(one.noise) != len(other.noise) or (one.is_noise != other.is_noise).any() or (one.unit != other.unit).any():
        raise ValueError("the runs were not judged on the same films in the same order; match both to one list")


def leave_one_out(one: Kernel) -> Vector:
    """The figure of merit without each film in turn, shape (films,).

    Raises
    ------
    ValueError
        Fewer than two films of a class.
    """
    rows, columns = one.row_sums(), one.column_sums()
    # a diseased film that is noise too stands in its own row and column: its own pair was taken off twice
    own = (one.noise[one.film] < one.rating) + 0.5 * (one.noise[one.film] == one.rating)
    both = np.bincount(one.film, one.weight * own * one.is_noise[one.film], one.films)
    noise, units = one.is_noise.sum() - one.is_noise, one.unit.sum() - one.unit
    if (noise == 0).any() or (units == 0).any():
        raise ValueError("the jackknife needs two films of each class")
    return (rows.sum() - rows - columns + both) / (noise * units)


def jackknife_covariance(kernels: list[Kernel]) -> Vector:
    """Jackknife covariance matrix over films, shape (runs, runs): (K-1)/K sum (theta_-k - mean)(theta'_-k - mean')."""
    for one in kernels[1:]:
        _same_films(kernels[0], one)
    return _jackknife(np.array([leave_one_out(one) for one in kernels]))


def _jackknife(left: Vector) -> Vector:
    centred, units = left - left.mean(axis=1, keepdims=True), left.shape[1]
    return (units - 1) / units * centred @ centred.T


def exact_bootstrap_covariance(kernels: list[Kernel]) -> Vector:
    """Covariance of the stratified bootstrap with infinitely many draws, shape (runs, runs).

    cov = ((K0-1) cov(V10) + (K1-1) cov(V01) + cov(psi)) / (K0 K1) with population covariances. Kernel rows are made a
    block at a time: time O(K0 K1), memory O(K0).
    """
    noise, ill = kernels[0].is_noise, kernels[0].unit > 0
    n0, n1 = int(noise.sum()), int(ill.sum())
    by_ill = np.array([k.column_sums()[ill] / n0 for k in kernels])
    by_noise = np.array([k.row_sums()[noise] / n1 for k in kernels])
    products = np.zeros((len(kernels), len(kernels)))
    for film in np.flatnonzero(ill).tolist():
        rows = np.array([_kernel_row(k, film)[noise] for k in kernels])
        products += rows @ rows.T
    mean = by_ill.mean(axis=1)
    pairs = products / (n0 * n1) - np.outer(mean, mean)
    spread = [np.atleast_2d(np.cov(v, bias=True)) for v in (by_ill, by_noise)]
    return ((n0 - 1) * spread[0] + (n1 - 1) * spread[1] + pairs) / (n0 * n1)


def _kernel_row(one: Kernel, film: int) -> Vector:
    mine = one.film == film
    rating, weight = one.rating[mine, None], one.weight[mine, None]
    return (weight * ((one.noise < rating) + 0.5 * (one.noise == rating))).sum(axis=0)


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
) -> tuple[Estimate, Estimate, Estimate]:
    """Compare a figure of merit of two runs on the same films.

    Parameters
    ----------
    first, second : Marks
        Matched to the same list of films.
    figure : {"wAFROC", "LROC", "HrAuc"} or, with the jackknife, {"AFROC", "wAFROC1", "AFROC1"} too
    method : {"delong", "jackknife"}
    confidence : float in (0, 1)

    Returns
    -------
    first, second, difference : Estimate
        Normal intervals; without limits, and a note, where the variance is 0.

    Raises
    ------
    ValueError
        Other films, an unknown method, a class with fewer than two films.

    Examples
    --------
    >>> from diagnostic_accuracy.lesions import marks_from_ratings
    >>> marks = marks_from_ratings([1, 1, 0, 0], [0, 2], [0.9, 0.4], [0, -1], [0, 1])
    >>> compare_figures(marks, marks)[0].estimate
    0.625
    """
    level = stats.norm.isf((1 - check_confidence(confidence)) / 2)
    kernels = [kernel(marks, figure) for marks in (first, second)]
    maker = {"delong": delong_covariance, "jackknife": jackknife_covariance}
    covariance = maker[check_one_of(method, tuple(maker), "method")](kernels)
    values, words = [one.value() for one in kernels], f"{figure}, {method} variance, normal interval"
    runs = [
        _normal(value, float(np.sqrt(covariance[i, i])), level, words, first.films) for i, value in enumerate(values)
    ]
    spread = float(np.sqrt(max(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1], 0.0)))
    gap = _normal(values[0] - values[1], spread, level, f"difference of {words}", first.films, test=True)
    return runs[0], runs[1], gap


def _normal(value: float, spread: float, level: float, words: str, n: int, test: bool = False) -> Estimate:
    if spread < 1e-12:
        return Estimate(value, None, None, words, n, note=NO_SPREAD)
    p = float(2 * stats.norm.sf(abs(value / spread))) if test else None
    return Estimate(value, value - level * spread, value + level * spread, words, n, p=p)


def figure_covariance(
    runs: Mapping[Any, Marks], figure: Figure = "wAFROC", patients: ArrayLike | None = None
) -> tuple[Vector, Vector]:
    """A figure of merit of many runs on the same films, with its jackknife covariance: for Obuchowski-Rockette.

    Parameters
    ----------
    runs : mapping of run (or reader) to Marks
    figure : {"wAFROC", "wAFROC1", "AFROC", "AFROC1", "HrAuc", "LROC"}
    patients : array of shape (films,), optional
        The jackknife leaves out one patient at a time; default one film.

    Returns
    -------
    values : array of shape (runs,)
    covariance : array of shape (runs, runs)

    Raises
    ------
    ValueError
        A figure without kernel, no run, runs on other films.

    Notes
    -----
    With films left out one at a time the whole analysis equals RJafroc 2.1.3, `St(FOM, method = "OR")`.
    """
    check_one_of(figure, KERNELS, "figure")
    kernels = [kernel(marks, figure) for marks in runs.values()]
    if len({one.films for one in kernels}) != 1:
        raise ValueError("the runs were not judged on the same films; match every run to one list of films")
    left = np.array([_left_out(one, patients) for one in kernels])
    return np.array([one.value() for one in kernels]), _jackknife(left)


def _left_out(one: Kernel, patients: ArrayLike | None) -> Vector:
    """The figure without each unit in turn."""
    if patients is None:
        return leave_one_out(one)
    codes = check_patients(patients, one.films)
    units = np.arange(int(codes.max()) + 1)
    values = np.concatenate(  # blocks keep the weights small
        [replicate_figures(one, codes[None, :] != block[:, None]) for block in np.split(units, units[512::512])]
    )
    if np.isnan(values).any():
        raise ValueError("one patient holds every diseased or every lesion-free film: the jackknife is not defined")
    return values


@dataclass(frozen=True)
class LesionSensitivity:
    """Share of lesions hit at a threshold: intervals with films as clusters, and Wilson's that ignores them."""

    clustered: Estimate
    logit: Estimate
    wilson: Estimate
    variance: float | None


def lesion_sensitivity(marks: Marks, threshold: float, confidence: float = 0.95) -> LesionSensitivity:
    """Lesion sensitivity at score >= threshold.

    Parameters
    ----------
    marks : Marks
    threshold : float
    confidence : float in (0, 1)

    Raises
    ------
    ValueError
        No lesion.

    Notes
    -----
    Ratio estimator with films as clusters: statsmodels' cluster-robust OLS without correction, times m/(m-1)
    (Obuchowski 1998, Rao and Scott 1992).

    Examples
    --------
    >>> from diagnostic_accuracy.lesions import marks_from_ratings
    >>> marks = marks_from_ratings([1, 1, 0], [0, 2], [0.9, 0.4], [0, -1], [0, 1])
    >>> lesion_sensitivity(marks, 0.5).wilson.estimate
    0.5
    """
    level = stats.norm.isf((1 - check_confidence(confidence)) / 2)
    lesions = marks.lesions_per_film[marks.diseased].astype(float)
    if not len(lesions):
        raise ValueError("no lesion in the reference standard: lesion sensitivity does not exist; give lesion boxes")
    found, n = _hits_per_film(marks, threshold), int(lesions.sum())
    share = float(found.sum() / n)
    variance = _cluster_variance(found - share * lesions, n)
    low, high = proportion_confint(found.sum(), n, 1 - confidence, "wilson")
    wilson = Estimate(share, float(low), float(high), "Wilson, lesions taken as independent", n)
    words = "films as clusters"
    if variance is None or share in (0.0, 1.0):
        plain = Estimate(share, None, None, words, n, note=FEW_FILMS if variance is None else WIDTH_ZERO)
        return LesionSensitivity(plain, plain, wilson, variance)
    reach = level * float(np.sqrt(variance))
    centre, width = np.log(share / (1 - share)), reach / (share * (1 - share))
    low, high = (float(1 / (1 + np.exp(-centre - sign * width))) for sign in (-1, 1))
    return LesionSensitivity(
        Estimate(share, share - reach, share + reach, f"{words}, Wald", n),
        Estimate(share, low, high, f"{words}, logit", n),
        wilson,
        variance,
    )


def _hits_per_film(marks: Marks, threshold: float) -> Vector:
    per_film = np.bincount(marks.film[marks.hit & (marks.score >= threshold)], minlength=marks.films)
    return per_film[marks.diseased].astype(float)


def _cluster_variance(residual: Vector, lesions: float) -> float | None:
    """var = m/(m-1) sum residual^2 / L^2 over m diseased films."""
    m = len(residual)
    return float(m / (m - 1) * (residual**2).sum() / lesions**2) if m > 1 else None


def lesion_sensitivity_difference(
    first: Marks, second: Marks, threshold: float | Sequence[float], confidence: float = 0.95
) -> Estimate:
    """Difference first - second of lesion sensitivities on the same films, films as clusters.

    Parameters
    ----------
    first, second : Marks
    threshold : float or (float, float)
        One threshold for both runs, or one each.
    confidence : float in (0, 1)

    Raises
    ------
    ValueError
        Runs matched to other films or lesions.
    """
    cuts = np.broadcast_to(np.asarray(threshold, float), 2)
    if first.films != second.films or (first.lesions_per_film != second.lesions_per_film).any():
        raise ValueError("the runs were not matched to the same films and lesions; match both to one list")
    lesions = first.lesions_per_film[first.diseased].astype(float)
    gap, n = _hits_per_film(first, cuts[0]) - _hits_per_film(second, cuts[1]), int(lesions.sum())
    difference = float(gap.sum() / n)
    variance = _cluster_variance(gap - difference * lesions, n)
    words = "paired difference of lesion sensitivities, films as clusters, Wald"
    if variance is None:
        return Estimate(difference, None, None, words, n, note=FEW_FILMS)
    level = stats.norm.isf((1 - check_confidence(confidence)) / 2)
    return _normal(difference, float(np.sqrt(variance)), level, words, n, test=True)


@dataclass(frozen=True)
class FalsePositiveRate:
    """False positives per film: films as units (normal), and exact Poisson limits (too narrow if they cluster)."""

    normal: Estimate
    poisson: Estimate


def false_positives_per_film(marks: Marks, threshold: float, confidence: float = 0.95) -> FalsePositiveRate:
    """False positives per film (all films) at score >= threshold, with Garwood's (1936) exact Poisson limits.

    Examples
    --------
    >>> from diagnostic_accuracy.lesions import marks_from_ratings
    >>> marks = marks_from_ratings([1, 0], [0, 1], [0.9, 0.4], [0, -1], [0])
    >>> false_positives_per_film(marks, 0.1).normal.estimate
    0.5
    """
    level = stats.norm.isf((1 - check_confidence(confidence)) / 2)
    per_film = np.bincount(marks.film[~marks.hit & (marks.score >= threshold)], minlength=marks.films)
    films, mean = marks.films, float(per_film.mean())
    words, poisson = "mean over films, normal interval", garwood(int(per_film.sum()), films, confidence)
    spread = float(per_film.std(ddof=1) / np.sqrt(films)) if films > 1 else 0.0
    if spread == 0:
        note = "one film only" if films == 1 else "every film has the same number of false positives"
        return FalsePositiveRate(Estimate(mean, None, None, words, films, note=note), poisson)
    return FalsePositiveRate(Estimate(mean, mean - level * spread, mean + level * spread, words, films), poisson)


def garwood(events: int, exposure: float, confidence: float = 0.95) -> Estimate:
    """Rate of a Poisson count with exact limits: chi-square quantiles / 2 / exposure.

    Raises
    ------
    ValueError
        A negative count or an exposure that is not above 0.

    Examples
    --------
    >>> round(garwood(0, 100).upper, 4)
    0.0369
    """
    if events < 0 or exposure <= 0:
        raise ValueError(f"a Poisson rate needs a count >= 0 and an exposure > 0, got {events} and {exposure}")
    tail = (1 - check_confidence(confidence)) / 2
    lower = stats.chi2.ppf(tail, 2 * events) / 2 / exposure if events else 0.0
    upper = stats.chi2.isf(tail, 2 * events + 2) / 2 / exposure
    return Estimate(events / exposure, float(lower), float(upper), "Garwood exact Poisson", events)
