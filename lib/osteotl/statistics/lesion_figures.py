"""Figures of merit of localisation, with the variances that a paired comparison of arms needs.

wAFROC, AFROC, LROC and HrAuc are means of a kernel over pairs (noise film, signal): DeLong-type components, the
jackknife and the exact bootstrap variance all follow from its row and column sums, which sorting gives in O(n log n).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numba
import numpy as np
from numpy.typing import ArrayLike, NDArray

from osteotl.statistics.localisation import film_weights_or_ones, froc
from osteotl.statistics.matching import Marks

Figure = Literal[
    "wAFROC",
    "wAFROC1",
    "AFROC",
    "AFROC1",
    "HrAuc",
    "LROC",
    "FROC",
    "HrSe",
    "HrSp",
    "MaxLLF",
    "MaxNLF",
    "MaxNLFAllCases",
]
KERNELS = ("wAFROC", "wAFROC1", "AFROC", "AFROC1", "HrAuc", "LROC")


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

    noise: NDArray[np.float64]
    is_noise: NDArray[np.bool_]
    film: NDArray[np.int64]
    rating: NDArray[np.float64]
    weight: NDArray[np.float64]
    unit: NDArray[np.float64]

    @property
    def films(self) -> int:
        return len(self.noise)

    def value(self, film_weights: ArrayLike | None = None) -> float:
        """The figure of merit, on films drawn `film_weights` times."""
        weights = film_weights_or_ones(film_weights, self.films)
        noise = weights * self.is_noise
        total = float(weights[self.film] * self.weight @ _wins(self.noise, noise, self.rating))
        return total / _positive(noise.sum(), "lesion-free") / _positive((weights * self.unit).sum(), "diseased")

    def column_sums(self) -> NDArray[np.float64]:
        """Sum of the kernel over noise films, by film of the signal, shape (films,)."""
        wins = _wins(self.noise, self.is_noise.astype(float), self.rating)
        return np.bincount(self.film, self.weight * wins, self.films).astype(float)

    def row_sums(self) -> NDArray[np.float64]:
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


def _wins(noise: NDArray[np.float64], weight: NDArray[np.float64], rating: NDArray[np.float64]) -> NDArray[np.float64]:
    """For each rating the weight of noise below it plus half the weight of noise equal to it."""
    order = np.argsort(noise, kind="stable")
    ranked = noise[order]
    running = np.concatenate([[0.0], np.cumsum(weight[order])])
    below, upto = (running[np.searchsorted(ranked, rating, side=side)] for side in ("left", "right"))
    return (below + upto) / 2


# --- values -----------------------------------------------------------------------------------------------------------


def figure_of_merit(marks: Marks, figure: Figure, film_weights: ArrayLike | None = None) -> float:
    """A figure of merit of one arm.

    Parameters
    ----------
    marks : Marks
    figure : str
        wAFROC (primary: every diseased film counts alike), AFROC (every lesion counts alike), wAFROC1 and AFROC1 (false
        positives of all films), HrAuc (ROC area of the highest box), LROC; without threshold: FROC (area up to the
        curve's own last point: grows with false positives, not for comparing arms), HrSe, HrSp (share of diseased with,
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


def _share(part: NDArray[np.bool_], whole: NDArray[np.bool_], weights: NDArray[np.float64], what: str) -> float:
    return float((weights * (part & whole)).sum()) / _positive((weights * whole).sum(), what)


def _free_response_area(marks: Marks, weights: NDArray[np.float64]) -> float:
    false = ~marks.hit
    wins = _wins(marks.score[false], weights[marks.film[false]], marks.lesion_rating)
    of_lesions = weights[marks.lesion_film]
    return float(of_lesions @ wins) / float(weights.sum()) / _positive(of_lesions.sum(), "diseased")


def _false_positives(marks: Marks, weights: NDArray[np.float64], films: NDArray[np.bool_]) -> float:
    false = ~marks.hit & films[marks.film]
    return float(weights[marks.film[false]].sum()) / _positive((weights * films).sum(), "lesion-free")


def _lesions_hit(marks: Marks, weights: NDArray[np.float64]) -> float:
    of_lesions = weights[marks.lesion_film]
    return float(of_lesions[np.isfinite(marks.lesion_rating)].sum()) / _positive(of_lesions.sum(), "diseased")


_COUNTED: dict[str, Callable[[Marks, NDArray[np.float64]], float]] = {
    "FROC": _free_response_area,
    "HrSe": lambda m, w: _share(np.isfinite(m.highest), m.diseased, w, "diseased"),
    "HrSp": lambda m, w: _share(~np.isfinite(m.highest), ~m.diseased, w, "lesion-free"),
    "MaxLLF": _lesions_hit,
    "MaxNLF": lambda m, w: _false_positives(m, w, ~m.diseased),
    "MaxNLFAllCases": lambda m, w: _false_positives(m, w, np.full(m.films, True)),
}


# --- variances --------------------------------------------------------------------------------------------------------


def delong_covariance(kernels: list[Kernel]) -> NDArray[np.float64]:
    """DeLong-type covariance matrix of figures of merit of arms on the same films, shape (arms, arms).

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
        raise ValueError("the arms were not judged on the same films in the same order; match both to one list")


def leave_one_out(one: Kernel) -> NDArray[np.float64]:
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


def jackknife_covariance(kernels: list[Kernel]) -> NDArray[np.float64]:
    """Jackknife covariance matrix over films, shape (arms, arms): (K-1)/K sum (theta_-k - mean)(theta'_-k - mean')."""
    for one in kernels[1:]:
        _same_films(kernels[0], one)
    left = np.array([leave_one_out(one) for one in kernels])
    centred = left - left.mean(axis=1, keepdims=True)
    films = left.shape[1]
    return (films - 1) / films * centred @ centred.T


def exact_bootstrap_covariance(kernels: list[Kernel]) -> NDArray[np.float64]:
    """Covariance of the stratified bootstrap with infinitely many replicates, shape (arms, arms).

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


def _kernel_row(one: Kernel, film: int) -> NDArray[np.float64]:
    mine = one.film == film
    rating, weight = one.rating[mine, None], one.weight[mine, None]
    return (weight * ((one.noise < rating) + 0.5 * (one.noise == rating))).sum(axis=0)


# --- bootstrap replicates ---------------------------------------------------------------------------------------------


def replicate_figures(one: Kernel, weights: ArrayLike) -> NDArray[np.float64]:
    """The figure of merit on each bootstrap sample.

    Parameters
    ----------
    one : Kernel
    weights : array, shape (replicates, films)
        How often each film is drawn.

    Returns
    -------
    array, shape (replicates,)
        NaN where a replicate holds no diseased or no noise film (impossible when drawn by class).
    """
    drawn = np.ascontiguousarray(weights, dtype=float)
    if drawn.ndim != 2 or drawn.shape[1] != one.films:
        raise ValueError(f"weights have shape {drawn.shape}; give (replicates, {one.films}), one column per film")
    levels, ranks = np.unique(np.concatenate([one.noise, one.rating]), return_inverse=True)
    return _replicates(
        drawn, ranks[: one.films], one.is_noise, one.film, ranks[one.films :], one.weight, one.unit, len(levels)
    )


@numba.njit(cache=True)
def _replicates(
    drawn: NDArray[np.float64],
    noise_rank: NDArray[np.int64],
    is_noise: NDArray[np.bool_],
    film: NDArray[np.int64],
    rank: NDArray[np.int64],
    weight: NDArray[np.float64],
    unit: NDArray[np.float64],
    levels: int,
) -> NDArray[np.float64]:
    values = np.empty(len(drawn))
    for b in range(len(drawn)):
        at = np.zeros(levels + 1)
        noise = units = total = 0.0
        for k in range(len(noise_rank)):
            units += drawn[b, k] * unit[k]
            if is_noise[k]:
                at[noise_rank[k] + 1] += drawn[b, k]
                noise += drawn[b, k]
        for level in range(levels):
            at[level + 1] += at[level]
        for s in range(len(film)):
            total += drawn[b, film[s]] * weight[s] * 0.5 * (at[rank[s]] + at[rank[s] + 1])
        values[b] = total / (noise * units) if noise > 0 and units > 0 else np.nan
    return values


def with_lesion_weights(marks: Marks, weights: ArrayLike) -> Marks:
    """The same marks with other lesion weights (they must sum to 1 in each diseased film)."""
    chosen = np.asarray(weights, float)
    if chosen.shape != (marks.lesions,) or (chosen < 0).any():
        raise ValueError(f"give one weight >= 0 for each of the {marks.lesions} lesions")
    if not np.allclose(np.bincount(marks.lesion_film, chosen, marks.films)[marks.diseased], 1.0):
        raise ValueError("lesion weights must sum to 1 in each diseased film")
    return replace(marks, lesion_weight=chosen)


def free_response_replicates(marks: Marks, weights: ArrayLike, rates: ArrayLike) -> NDArray[np.float64]:
    """Interpolated FROC sensitivity at `rates` on each bootstrap sample, shape (replicates, rates)."""
    drawn, at = np.asarray(weights, float), np.asarray(rates, float).tolist()
    return np.array([froc(marks, row).sensitivity_at(at) for row in drawn])
