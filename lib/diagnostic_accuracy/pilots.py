"""A pilot study in the terms that `simulated_power` simulates: AUCs, correlations, spread between runs, clustering."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import optimize, stats

from diagnostic_accuracy.roc import auc
from diagnostic_accuracy.scores import Scores

Vector = NDArray[np.float64]
Flags = NDArray[np.bool_]

#: Range of what a simulation can take; AUCs of a pilot are moved into it.
LIMITS = {
    "auc_arm": (0.501, 0.9995),
    "auc_reference": (0.501, 0.9995),
    "shared_malignant": (0.0, 0.999),
    "shared_normal": (0.0, 0.999),
    "kept": (0.0, 1.0),
    "seed_spread": (0.0, 0.5),
    "films_per_patient": (1.0, np.inf),
    "icc": (0.0, 0.999),
    "malignant_share": (1e-4, 1 - 1e-4),
}


@dataclass(frozen=True)
class Pilot:
    """A pilot study in the terms of the simulation; `LIMITS` gives the ranges.

    Attributes
    ----------
    auc_arm, auc_reference : float
    shared_malignant, shared_normal : float
        Correlation of the two arms' scores within each class (normal scores).
    kept : float
        Part of an arm's own noise that all its runs share.
    seed_spread : float
        Standard deviation of the AUC between training runs of one arm.
    films_per_patient, icc, malignant_share : float
    shift_arm : float or None
        Separation of the arm, where it was set for a difference in sensitivity instead of AUC.
    source : str
    remarks : tuple of str
        What was assumed.
    """

    auc_arm: float
    auc_reference: float
    shared_malignant: float = 0.5
    shared_normal: float = 0.5
    kept: float = 0.7
    seed_spread: float = 0.01
    films_per_patient: float = 1.0
    icc: float = 0.0
    malignant_share: float = 0.36
    shift_arm: float | None = None
    source: str = "given"
    remarks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        faults = [
            f"{name} is {getattr(self, name)}; it must lie between {low} and {high}"
            for name, (low, high) in LIMITS.items()
            if not low <= getattr(self, name) <= high
        ]
        if faults:
            raise ValueError("\n".join(faults))

    @property
    def shift(self) -> Vector:
        """Mean of malignant films in arm and reference, shape (2,); normal films are N(0, 1)."""
        arm = shift_of(self.auc_arm) if self.shift_arm is None else self.shift_arm
        return np.array([arm, shift_of(self.auc_reference)])

    @property
    def shift_spread(self) -> Vector:
        """Standard deviation of `shift` between runs that gives `seed_spread` in the AUC, shape (2,)."""
        return self.seed_spread * np.sqrt(2) / stats.norm.pdf(self.shift / np.sqrt(2))

    def with_difference(self, difference: float | None, specificity: float | None) -> Pilot:
        """The reference as it is, the arm better by `difference` in AUC, or in sensitivity at a specificity.

        Raises
        ------
        ValueError
            The arm's AUC or sensitivity would leave its range.
        """
        if difference is None:
            return self
        if specificity is None:
            return replace(self, auc_arm=self.auc_reference + difference, shift_arm=None)
        cut = stats.norm.ppf(specificity)
        wanted = float(stats.norm.cdf(shift_of(self.auc_reference) - cut)) + difference
        if not 0 < wanted < 1:
            raise ValueError(f"difference {difference} would put the arm's sensitivity at {wanted:.3f}, outside (0, 1)")
        return replace(self, shift_arm=float(cut + stats.norm.ppf(wanted)))


def shift_of(area: float) -> float:
    """Mean of malignant films (N(shift, 1); normal ones N(0, 1)) that gives an AUC.

    Examples
    --------
    >>> shift_of(0.5)
    0.0
    """
    return float(np.sqrt(2) * stats.norm.ppf(area))


def pilot_of_scores(scores: Scores, arm: str, reference: str) -> Pilot:
    """Read a pilot from the external films of a study.

    Parameters
    ----------
    scores : Scores
    arm, reference : str

    Returns
    -------
    Pilot
        Correlations are of normal scores within each class; AUCs and the spread between runs come from single runs.

    Raises
    ------
    ValueError
        An arm that is not there.
    """
    external = scores.select(arms=[arm, reference]).external
    ill = external.label.to_numpy()
    tables = [external.values[name].to_numpy().T for name in (arm, reference)]
    areas = [np.array([auc(ill, row) for row in table]) for table in tables]
    shared, kept = _correlations(tables, ill)
    spread, remarks = _spread(areas)
    patients = external.patient.to_numpy()
    per_patient = len(ill) / len(np.unique(patients))
    icc = _icc(tables[1][0], patients, ill) if per_patient > 1 else 0.0
    values = [float(np.clip(area.mean(), *LIMITS["auc_arm"])) for area in areas]
    source = f"scores of {arm} and {reference}, {len(ill)} external films"
    return Pilot(values[0], values[1], shared[1], shared[0], kept, spread, per_patient, icc, float(ill.mean()),
                 source=source, remarks=remarks)  # fmt: skip


def _normal_scores(values: Vector) -> Vector:
    return np.asarray(stats.norm.ppf((stats.rankdata(values) - 0.5) / len(values)))


def _correlations(tables: list[Vector], ill: Flags) -> tuple[list[float], float]:
    """Between arms by class (normal, malignant), and how much of an arm's own noise its runs share."""
    between, within = [], []
    for films in (~ill, ill):
        ranked = [np.array([_normal_scores(row[films]) for row in table]) for table in tables]
        size, matrix = len(ranked[0]), np.atleast_2d(np.corrcoef(np.concatenate(ranked)))
        between.append(float(np.clip(np.nan_to_num(matrix[:size, size:]).mean(), 0.0, 0.99)))
        same = [m[~np.eye(len(m), dtype=bool)] for m in (matrix[:size, :size], matrix[size:, size:]) if len(m) > 1]
        within += [float(np.nan_to_num(m).mean()) for m in same]
    if not within:
        return between, 0.7
    mean = float(np.mean(between))
    return between, float(np.clip((np.mean(within) - mean) / max(1 - mean, 1e-6), 0.0, 1.0))


def _spread(areas: list[Vector]) -> tuple[float, tuple[str, ...]]:
    several = [a for a in areas if len(a) > 1]
    if not several:
        return 0.01, ("one run only: the spread of the AUC between training runs is assumed to be 0.01",)
    spread, runs = float(np.sqrt(np.mean([a.var(ddof=1) for a in several]))), min(map(len, several))
    few = "" if runs >= 5 else f", from {runs} runs only"
    return spread, (f"standard deviation of the AUC between training runs: {spread:.4f}{few}",)


def _icc(score: Vector, patients: NDArray[Any], ill: Flags) -> float:
    """One-way intraclass correlation of normal scores within classes."""
    z = pd.Series(score).groupby(ill).transform(_normal_scores)
    groups = z.groupby([patients, ill])
    sizes, means = groups.size().to_numpy(), groups.mean().to_numpy()
    total, units = len(z), len(sizes)
    if units in (1, total):
        return 0.0
    between = (sizes * (means - z.mean()) ** 2).sum() / (units - 1)
    within = ((z - groups.transform("mean")) ** 2).sum() / (total - units)
    size = (total - (sizes**2).sum() / total) / (units - 1)
    return float(np.clip((between - within) / (between + (size - 1) * within), 0.0, 0.95))


def pilot_of_aucs(
    auc_arm: float,
    auc_reference: float,
    films: tuple[int, int],
    correlation: float | None = None,
    source: str = "given",
) -> Pilot:
    """A pilot from two published AUCs on the same films.

    Parameters
    ----------
    auc_arm, auc_reference : float in (.5, 1)
    films : (malignant, normal)
    correlation : float, optional
        Of the two AUCs, such as their p value implies; at least 0 is used. Default: 0.5.
    source : str

    Returns
    -------
    Pilot

    Raises
    ------
    ValueError
        AUCs out of range.

    Examples
    --------
    >>> round(pilot_of_aucs(0.95, 0.93, (100, 200), 0.6).shared_normal, 2)
    0.7
    """
    target = 0.5 if correlation is None else max(0.0, correlation)
    said = f"correlation of the AUCs taken as {target:.2f}"
    said += "" if correlation is None or correlation >= 0 else f" (given: {correlation:.2f})"
    rest = "spread of the AUC between training runs assumed to be 0.01, one film a patient: two AUCs tell neither"
    found = Pilot(auc_arm, auc_reference, malignant_share=films[0] / sum(films), source=source, remarks=(said, rest))

    def gap(within: float) -> float:
        return auc_correlation(auc_arm, auc_reference, films, within, within) - target

    within = float(optimize.brentq(gap, 0, 0.999)) if target > 0 else 0.0
    return replace(found, shared_malignant=within, shared_normal=within)


def auc_correlation(
    auc_arm: float, auc_reference: float, films: tuple[int, int], malignant: float, normal: float
) -> float:
    """Correlation of two binormal AUCs on the same films, from the correlations of the scores within each class.

    Parameters
    ----------
    auc_arm, auc_reference : float in (0, 1)
    films : (malignant, normal)
    malignant, normal : float in [-1, 1]

    Notes
    -----
    The DeLong components are Phi(x) for a malignant film and Phi(d - y) for a normal one; their moments by
    Gauss-Hermite quadrature.

    Examples
    --------
    >>> round(auc_correlation(0.9, 0.9, (50, 50), 1.0, 1.0), 6)
    1.0
    """
    nodes, weights = np.polynomial.hermite_e.hermegauss(40)
    grid = np.outer(weights, weights) / weights.sum() ** 2
    shifts = [shift_of(area) for area in (auc_arm, auc_reference)]

    def covariance(r: float, i: int, j: int) -> float:
        x, y = nodes[:, None], r * nodes[:, None] + np.sqrt(1 - r**2) * nodes[None, :]
        f, g = stats.norm.cdf(shifts[i] + x), stats.norm.cdf(shifts[j] + y)
        return float((grid * f * g).sum() - (grid * f).sum() * (grid * g).sum())

    # Phi(d - y) has the same moments as Phi(d + x) with the sign of y turned
    joint = covariance(malignant, 0, 1) / films[0] + covariance(normal, 0, 1) / films[1]
    alone = [covariance(1.0, i, i) * (1 / films[0] + 1 / films[1]) for i in (0, 1)]
    return float(joint / np.sqrt(alone[0] * alone[1]))
