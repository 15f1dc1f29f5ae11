"""Two arms at thresholds locked on the validation set.

Locked arms are not matched: one may be more sensitive and less specific at once. So the two differences are shown
together, with a region that holds both, and their sum (difference of sensitivity + specificity) is tested as well.

References
----------
Hotelling's T-squared region in two dimensions; Obuchowski-Rockette as in `replicates`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from osteotl.statistics.checks import Estimate, check_confidence
from osteotl.statistics.replicate_values import SUM, Runs, rate_replicates
from osteotl.statistics.replicates import ReplicateComparison, compare_replicates


@dataclass(frozen=True)
class LockedPair:
    """Differences arm - reference at locked thresholds, means over seeds.

    Attributes
    ----------
    sensitivity, specificity, total : ReplicateComparison
        `total` is the difference of sensitivity + specificity.
    region : array of shape (points, 2) or None
        Closed outline of the joint region (x: difference in specificity, y: in sensitivity); None where a variance
        is 0 or missing.
    """

    sensitivity: ReplicateComparison
    specificity: ReplicateComparison
    total: ReplicateComparison
    region: NDArray[np.float64] | None

    @property
    def estimates(self) -> dict[str, Estimate]:
        """The three headline differences by name."""
        pairs = {"sensitivity": self.sensitivity, "specificity": self.specificity, "sum": self.total}
        return {name: comparison.difference for name, comparison in pairs.items()}


def compare_locked_points(
    labels: ArrayLike,
    calls: Runs,
    arm: str,
    reference: str,
    patients: ArrayLike | None = None,
    confidence: float = 0.95,
) -> LockedPair:
    """Compare two arms on sensitivity and specificity together, every seed at its own locked threshold.

    Parameters
    ----------
    labels : array of shape (n,), 1 malignant, 0 normal
    calls : mapping of arm to mapping of seed to array of shape (n,), 0/1
    arm, reference : str
    patients : array of shape (n,), optional
    confidence : float in (0, 1)

    Returns
    -------
    LockedPair
        With one seed, conditional on it.

    Raises
    ------
    ValueError
        Faulty input.
    """
    check_confidence(confidence)
    two = {name: calls[name] for name in (arm, reference) if name in calls}
    sensitivity, specificity, total = (
        compare_replicates(rate_replicates(labels, two, measure, patients), arm, reference, confidence)
        for measure in ("sensitivity", "specificity", SUM)
    )
    region = joint_region(sensitivity, specificity, total, confidence)
    return LockedPair(sensitivity, specificity, total, region)


def joint_region(
    sensitivity: ReplicateComparison,
    specificity: ReplicateComparison,
    total: ReplicateComparison,
    confidence: float = 0.95,
    points: int = 72,
) -> NDArray[np.float64] | None:
    """Outline of the region that holds both differences with the given confidence.

    Returns
    -------
    array of shape (points + 1, 2) or None
        x: specificity, y: sensitivity; first point repeated; within [-1, 1].

    Notes
    -----
    Hotelling: {d : (d - est)' S^-1 (d - est) <= 2 F(2, df)}, S's covariance being half of Var(sum) - Var(sens) -
    Var(spec), and df the smallest of the three (infinite for one seed).
    """
    ses = [comparison.se for comparison in (sensitivity, specificity, total)]
    if any(c.difference.lower is None for c in (sensitivity, specificity)) or None in ses:
        return None
    sens, spec, both = (float(se or 0) ** 2 for se in ses)
    limit = 0.999999 * math.sqrt(sens * spec)
    covariance = min(max((both - sens - spec) / 2, -limit), limit)
    freedoms = [c.df for c in (sensitivity, specificity, total) if c.df is not None]
    if freedoms:
        radius = math.sqrt(2 * float(stats.f.ppf(confidence, 2, min(freedoms))))
    else:
        radius = math.sqrt(float(stats.chi2.ppf(confidence, 2)))
    root = np.linalg.cholesky(np.array([[spec, covariance], [covariance, sens]]))
    angle = np.linspace(0, 2 * np.pi, points + 1)
    centre = np.array([specificity.difference.estimate, sensitivity.difference.estimate], dtype=float)
    outline = centre + radius * np.stack([np.cos(angle), np.sin(angle)], axis=1) @ root.T
    return np.clip(outline, -1.0, 1.0)
