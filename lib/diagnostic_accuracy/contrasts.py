"""The variance of an arm's mean, or of the difference of two, from the values of its runs and from the draws.

Estimand: what one newly trained run of an arm would do on new patients, at thresholds and with a recalibration learnt
on a validation set like this one. The training films are held fixed. Training runs, external patients and validation
patients vary. A quantity c has its value in every run and, from the draws, covariances: C2 between different runs of an
arm, C3 between runs of different arms. Runs are nested in arms:

    one arm      V = MS/J + max(C2, 0)                                   df = V^2 / [(MS/J)^2 / (J - 1)]
    difference   V = MS_a/J_a + MS_r/J_r + max(C2_a + C2_r - 2 C3, 0)    df = V^2 / [sum (MS/J)^2 / (J - 1)]

MS is the variance of c between an arm's runs. V0 is the variance of the draws of the same contrast with runs held
fixed; where V < V0 / 2, V0 and the normal quantile are used. Readers who read with all arms are crossed with them: C3
is taken between different readers, and MS of the difference over readers (Obuchowski & Rockette 1995, with the degrees
of freedom of Hillis 2007).

A locked threshold is an order statistic of the validation patients, and its variance rests on those few that lie beyond
it. Where a rate of one arm varies mostly with that threshold, C2 has as many degrees of freedom: df gains C2^2 / k.

References
----------
Obuchowski NA, Rockette HE. Commun Stat Simul Comput 1995;24:285.
Hillis SL. Stat Med 2007;26:596.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from diagnostic_accuracy.intervals import critical_value

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Contrast:
    """The variance of an arm's mean, or of a difference of means.

    Attributes
    ----------
    variance : float
    df : float
        Infinite for the normal quantile.
    fixed : float
        V0, the variance of the draws with runs held fixed.
    basis, note : str
    """

    variance: float
    df: float
    fixed: float
    basis: str
    note: str = ""

    def quantile(self, confidence: float) -> float:
        """Critical value of a two-sided interval."""
        return critical_value(confidence, self.df)


def mean_squares(values: Floats, draws: Floats) -> tuple[float, float]:
    """Variance between runs, and mean covariance of the draws of different runs.

    Parameters
    ----------
    values : array of shape (runs,), at least two
    draws : array of shape (replicates, runs)
    """
    runs = values.size
    covariance = np.cov(draws.T)
    return float(np.var(values, ddof=1)), float((covariance.sum() - np.trace(covariance)) / (runs * (runs - 1)))


def contrast(
    values: Sequence[Floats],
    draws: Sequence[Floats],
    crossed: bool = False,
    unit: str = "patients",
    names: str = "runs",
    beyond: float = np.inf,
) -> Contrast:
    """Variance of the mean of one arm, or of the difference of two (arm, reference).

    Parameters
    ----------
    values : one or two arrays of shape (runs,)
    draws : one or two arrays of shape (replicates, runs)
    crossed : bool
        Runs are readers who read with both arms, in the same order.
    unit : {"patients", "films"}
    names : {"runs", "readers"}
        What the runs are called in `basis`.
    beyond : float
        Degrees of freedom of C2; see the notes of the module.
    """
    sign = (1.0, -1.0)[: len(values)]
    fixed = float(np.var(sum(s * d.mean(axis=1) for s, d in zip(sign, draws, strict=True)), ddof=1))
    if max(len(v) for v in values) == 1:
        return Contrast(fixed, np.inf, fixed, "this run only")
    if crossed and len(values) == 2:
        own, common = _crossed(values, draws)
    else:
        own, common = _nested(values, draws)
    variance = sum(o for o, _ in own) + max(common, 0.0)
    basis = f"{names} and {unit}"
    if variance < fixed / 2:
        note = f"the {names} vary less than chance predicts, so the interval holds them fixed"
        return Contrast(fixed, np.inf, fixed, basis, note)
    degrees = sum(o**2 / f for o, f in own) + max(common, 0.0) ** 2 / beyond
    return Contrast(variance, variance**2 / degrees if degrees > 0 else np.inf, fixed, basis)


def _nested(values: Sequence[Floats], draws: Sequence[Floats]) -> tuple[list[tuple[float, int]], float]:
    own, common = [], 0.0
    for value, drawn in zip(values, draws, strict=True):
        if value.size == 1:  # its run does not vary: the variance of its draws stands in for both terms
            common += float(np.var(drawn[:, 0], ddof=1))
            continue
        square, covariance = mean_squares(value, drawn)
        own.append((square / value.size, value.size - 1))
        common += covariance
    if len(values) == 2:
        common -= 2 * float(_between(draws).mean())
    return own, common


def _between(draws: Sequence[Floats]) -> Floats:
    """Covariances of the runs of one arm (rows) with those of the other."""
    one, other = (d - d.mean(axis=0) for d in draws)
    return one.T @ other / (len(one) - 1)


def _crossed(values: Sequence[Floats], draws: Sequence[Floats]) -> tuple[list[tuple[float, int]], float]:
    """Obuchowski-Rockette for two arms read by the same readers."""
    readers = values[0].size
    square = float(np.var(values[0] - values[1], ddof=1))
    common = sum(mean_squares(v, d)[1] for v, d in zip(values, draws, strict=True))
    between = _between(draws)
    common -= 2 * float((between.sum() - np.trace(between)) / (readers * (readers - 1)))
    return [(square / readers, readers - 1)], common
