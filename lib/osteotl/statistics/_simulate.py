"""Simulated scores of two arms, several seeds, several films a patient, and their judgement: for plans and twins.

A film's score is binormal in each arm. Its noise is one part that both arms share (class-specific), one that the seeds
of an arm share, and one of its own; every part is correlated within a patient. A seed moves the arm's separation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray
from scipy import stats

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class World:
    """How scores come about.

    Attributes
    ----------
    shift, width : (2,) arrays
        Mean and standard deviation of malignant films in the arm and in the reference; normal films are N(0, 1).
    shared_malignant, shared_normal : float in [0, 1)
        Correlation of the arms within a class.
    kept : float in [0, 1]
        Part of an arm's own noise that all its seeds share.
    seed_spread : float
        Standard deviation of the AUC between training runs.
    films_per_patient : float >= 1
    icc : float in [0, 1)
        Correlation of the noise of two films of one patient.
    """

    shift: Vector
    width: Vector
    shared_malignant: float
    shared_normal: float
    kept: float = 0.7
    seed_spread: float = 0.0
    films_per_patient: float = 1.0
    icc: float = 0.0

    def shift_spread(self) -> Vector:
        """Standard deviation of `shift` between seeds that gives `seed_spread` in the AUC."""
        root = np.sqrt(1 + self.width**2)
        return self.seed_spread * root / stats.norm.pdf(self.shift / root)


def shift_of(auc: float, width: float = 1.0) -> float:
    """Mean of malignant films (normal ones N(0, 1)) that gives an AUC."""
    return float(math.sqrt(1 + width**2) * stats.norm.ppf(auc))


@numba.njit(cache=True)
def _noise(out: Vector, patient: NDArray[np.int64], icc: float, scale: float, rng: np.random.Generator) -> None:
    """Add normal noise that is correlated within patients."""
    last, common = -1, 0.0
    within, own = math.sqrt(icc) * scale, math.sqrt(1 - icc) * scale
    for i in range(len(out)):
        if patient[i] != last:
            last, common = patient[i], rng.standard_normal()
        out[i] += within * common + own * rng.standard_normal()


@numba.njit(cache=True)
def draw_scores(
    out: NDArray[np.float64], malignant: int, patient: NDArray[np.int64], shift: NDArray[np.float64], width: Vector,
    shared: Vector, kept: float, icc: float,
    rng: np.random.Generator,
) -> None:  # fmt: skip
    """Scores into out (arms, seeds, films); the first `malignant` films are malignant. shift: (arms, seeds)."""
    arms, seeds, films = out.shape
    parts = ((0, malignant, 0), (malignant, films, 1))
    for first, last, label in parts:
        mine = patient[first:last]
        both = np.zeros(last - first)
        _noise(both, mine, icc, math.sqrt(shared[label]), rng)
        for arm in range(arms):
            own = np.zeros(last - first)
            _noise(own, mine, icc, math.sqrt((1 - shared[label]) * kept), rng)
            for seed in range(seeds):
                run = both + own
                _noise(run, mine, icc, math.sqrt((1 - shared[label]) * (1 - kept)), rng)
                out[arm, seed, first:last] = run * width[arm] + shift[arm, seed] if label == 0 else run


@numba.njit(cache=True)
def placements(score: Vector, malignant: int, out: Vector) -> float:
    """DeLong's placement of every film into out (malignant first); returns the AUC."""
    ill, well = np.sort(score[:malignant]), np.sort(score[malignant:])
    films = len(score)
    total = 0.0
    for i in range(films):
        if i < malignant:
            below, upto = np.searchsorted(well, score[i]), np.searchsorted(well, score[i], side="right")
            out[i] = 0.5 * (below + upto) / len(well)
            total += out[i]
        else:
            below, upto = np.searchsorted(ill, score[i]), np.searchsorted(ill, score[i], side="right")
            out[i] = 1 - 0.5 * (below + upto) / malignant
    return total / malignant


@numba.njit(cache=True)
def film_covariance(placed: NDArray[np.float64], auc: Vector, malignant: int, patient: NDArray[np.int64]) -> Vector:
    """Covariance of AUCs from placements (runs, films); patients of one class each (DeLong 1988, Obuchowski 1997)."""
    runs, films = placed.shape
    cov = np.zeros((runs, runs))
    for first, last in ((0, malignant), (malignant, films)):
        size = last - first
        sums = np.zeros(runs)
        squares = np.zeros((runs, runs))
        units = 0
        for i in range(first, last):
            for r in range(runs):
                sums[r] += placed[r, i] - auc[r]
            if i + 1 == last or patient[i + 1] != patient[i]:
                units += 1
                for r in range(runs):
                    for q in range(runs):
                        squares[r, q] += sums[r] * sums[q]
                sums[:] = 0.0
        cov += squares / (units - 1) * units / (size * size)
    return cov


@numba.njit(cache=True)
def rockette(auc: NDArray[np.float64], cov: NDArray[np.float64]) -> tuple[float, float, float]:
    """Obuchowski-Rockette for two arms: difference, standard error, Hillis df (0: normal). auc: (2, seeds)."""
    seeds = auc.shape[1]
    var = cov1 = cov2 = cov3 = 0.0
    for a in range(2):
        for s in range(seeds):
            for b in range(2):
                for t in range(seeds):
                    value = cov[a * seeds + s, b * seeds + t]
                    if a == b and s == t:
                        var += value / (2 * seeds)
                    elif s == t:
                        cov1 += value / (2 * seeds)
                    elif a == b:
                        cov2 += value / (2 * seeds * (seeds - 1))
                    else:
                        cov3 += value / (2 * seeds * (seeds - 1))
    gap = auc[0].mean() - auc[1].mean()
    if seeds == 1:
        return gap, math.sqrt(max(2 * (var - cov1), 0.0)), 0.0
    each = auc[0] - auc[1]
    interaction = ((each - gap) ** 2).sum() / 2 / (seeds - 1)
    error = interaction + max(seeds * (cov2 - cov3), 0.0)
    df = error**2 * (seeds - 1) / interaction**2 if interaction > 0 else 0.0
    return gap, math.sqrt(2 * error / seeds), df


def patients_of(malignant: int, normal: int, films_per_patient: float) -> NDArray[np.int64]:
    """Patient of each film: patients hold films of one class, `films_per_patient` on average."""
    ill = (np.arange(malignant) / films_per_patient).astype(np.int64)
    well = (np.arange(normal) / films_per_patient).astype(np.int64)
    return np.concatenate([ill, ill[-1] + 1 + well])
