"""The joint bootstrap's own draws, for statistics that its compiled loops do not hold."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

from osteotl.statistics import _kernels
from osteotl.statistics._bootstrap_plan import draw_units
from osteotl.statistics.checks import check_labels, check_patients


def draw_weights(
    labels: ArrayLike,
    patients: ArrayLike | None = None,
    replicates: int = 1000,
    seed: int = 0,
    sampling: str = "by_class",
) -> NDArray[np.uint16]:
    """How often each film is drawn in each replicate.

    Parameters
    ----------
    labels : array of shape (n,), 1 malignant, 0 not
    patients : array of shape (n,), optional
        Patients are drawn, with all their films, where they repeat.
    replicates, seed : int
        Replicate b depends on (seed, b) alone.
    sampling : {"by_class", "consecutive"}

    Returns
    -------
    array of shape (replicates, n)

    Raises
    ------
    ValueError
        Bad labels or patients, or an unknown sampling.
    """
    label = check_labels(labels)
    patient = check_patients(patients, label.size)
    unit, strata = draw_units(patient, label, sampling)
    weights = np.empty((replicates, label.size), np.uint16)
    counts = np.zeros(int(strata[-1]), np.uint16)
    for b in range(replicates):
        _kernels.draw(counts, strata, np.uint64(seed), np.uint64(b))
        weights[b] = counts[unit]
    return weights


def resampled_rows(
    labels: ArrayLike,
    patients: ArrayLike | None = None,
    replicates: int = 1000,
    seed: int = 0,
    sampling: str = "by_class",
) -> Iterator[NDArray[np.int64]]:
    """Row indices of each replicate, rows repeated as often as drawn; parameters and errors as `draw_weights`."""
    for weights in draw_weights(labels, patients, replicates, seed, sampling):
        yield np.repeat(np.arange(weights.size), weights)
