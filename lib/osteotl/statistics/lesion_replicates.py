"""A figure of merit of localisation for every arm and seed: what `replicates` compares by Obuchowski and Rockette."""

from __future__ import annotations

from collections.abc import Hashable, Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from osteotl.statistics.checks import check_patients
from osteotl.statistics.lesion_figures import KERNELS, Figure, Kernel, kernel, leave_one_out, replicate_figures
from osteotl.statistics.matching import Marks
from osteotl.statistics.replicates import Replicates


def lesion_replicates(
    runs: Mapping[str, Mapping[Hashable, Marks]],
    figure: Figure = "wAFROC",
    patients: ArrayLike | None = None,
) -> Replicates:
    """Figure of merit of every arm and seed, with its jackknife covariance.

    Parameters
    ----------
    runs : mapping of arm to mapping of seed to Marks
        All matched to the same films in the same order; every arm with the same seeds.
    figure : {"wAFROC", "wAFROC1", "AFROC", "AFROC1", "HrAuc", "LROC"}
    patients : array of shape (films,), optional
        The jackknife leaves out one patient at a time; default one film.

    Returns
    -------
    Replicates
        For `replicates.compare_replicates` and `arm_mean`.

    Raises
    ------
    ValueError
        A figure without kernel, arms with other seeds, runs on other films.

    Notes
    -----
    With films left out one at a time the whole analysis equals RJafroc 2.1.3, `St(FOM, method = "OR")`.
    """
    if figure not in KERNELS:
        raise ValueError(f"figure {figure!r} cannot be compared over seeds; choose one of {', '.join(KERNELS)}")
    arms = tuple(runs)
    seeds = tuple(runs[arms[0]]) if arms else ()
    for arm in arms:
        if tuple(runs[arm]) != seeds:
            raise ValueError(
                f"arm {arm!r} has seeds {list(runs[arm])}, {arms[0]!r} has {list(seeds)}; each arm needs all"
            )
    kernels = [kernel(runs[arm][seed], figure) for arm in arms for seed in seeds]
    if not kernels:
        raise ValueError("no run was given")
    if len({one.films for one in kernels}) > 1:
        raise ValueError("the runs were not judged on the same films; match every run to one list of films")
    left = np.array([_left_out(one, patients) for one in kernels])
    centred = left - left.mean(axis=1, keepdims=True)
    units = left.shape[1]
    values = np.array([one.value() for one in kernels]).reshape(len(arms), len(seeds))
    unit = "films" if patients is None else "patients"
    covariance = (units - 1) / units * centred @ centred.T
    return Replicates(figure, arms, seeds, values, covariance, units, f"jackknife over {unit}")


def _left_out(one: Kernel, patients: ArrayLike | None) -> NDArray[np.float64]:
    """The figure without each unit in turn."""
    if patients is None:
        return leave_one_out(one)
    codes = check_patients(patients, one.films)
    units = int(codes.max()) + 1
    values = np.empty(units)
    for first in range(0, units, 512):  # blocks keep the weights small
        block = np.arange(first, min(first + 512, units))
        values[block] = replicate_figures(one, (codes[None, :] != block[:, None]).astype(float))
    if np.isnan(values).any():
        raise ValueError("one patient holds every diseased or every lesion-free film: the jackknife is not defined")
    return values
