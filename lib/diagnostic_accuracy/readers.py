"""Several readers who read all arms on the same films: Obuchowski and Rockette's analysis of crossed designs.

Estimand: the expected performance of ONE reader like these, on films like these. Estimate: the mean over readers. Two
things make it uncertain, the films at hand and the readers at hand, and every reader sees the same films with every
arm. (Training runs are nested in their arm and have the basis of `inference`.)

With a single reader nothing is known about readers: the result then holds for this reader only.

References
----------
Obuchowski NA, Rockette HE, Commun Stat Simul 1995;24:285. Hillis SL, Stat Med 2007;26:596 (degrees of freedom) and
2014;33:330 (marginal means). Chakraborty DP, Observer Performance Methods, 2017 (RJafroc, whose numbers are matched).
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from diagnostic_accuracy.checks import Estimate, check_labels, check_one_of, check_scores
from diagnostic_accuracy.delong import auc_covariance
from diagnostic_accuracy.intervals import NO_VARIATION, edge_reach, wald_estimate
from diagnostic_accuracy.lesion_figures import jackknife_covariance, rating_kernel

Vector = NDArray[np.float64]
Readings = Mapping[str, Mapping[Hashable, ArrayLike]]
KINDS = ("readers and patients", "patients", "readers")
ONE_READER = "one reader: how much readers vary is unknown"
FEW_READERS = "fewer than 5 readers: how much readers vary is poorly known"
ENOUGH_READERS = 5
ZERO = 1e-18  # rounding of equal readings leaves dust of this size


@dataclass(frozen=True)
class CrossedValues:
    """One measure of every arm and reader, with the covariance that the films give them.

    Attributes
    ----------
    arms : tuple of str
    readers : tuple
    values : array of shape (arms, readers)
        NaN where a value is not defined.
    covariance : array of shape (arms * readers, arms * readers)
        Row arm * readers + reader; NaN where it cannot be estimated.
    units : int
        Patients (or films, where each patient has one).
    smaller : int
        Units that the measure rests on at least: those of the smaller class, or of a rate's class.
    method : str
        How the covariance was made.
    note : str
        Why something is not defined.
    """

    arms: tuple[str, ...]
    readers: tuple[Hashable, ...]
    values: Vector
    covariance: Vector
    units: int
    smaller: int
    method: str
    note: str = ""

    def pick(self, arms: Sequence[str]) -> CrossedValues:
        """The same for some of the arms, in the order given.

        Raises
        ------
        ValueError
            An arm that is not there.
        """
        rows = [self.arms.index(check_one_of(arm, self.arms, "arm")) for arm in arms]
        index = np.arange(self.values.size).reshape(self.values.shape)[rows].ravel()
        values, covariance = self.values[rows], self.covariance[np.ix_(index, index)]
        sound = bool(np.isfinite(values).all() and np.isfinite(covariance).all())  # the fault may be another arm's
        note = "" if sound else self.note
        return replace(self, arms=tuple(arms), values=values, covariance=covariance, note=note)


# --- from scores or calls to values and covariances -------------------------------------------------------------------


def _stack(readings: Readings) -> tuple[tuple[str, ...], tuple[Hashable, ...], list[ArrayLike]]:
    """Arms, readers and the arrays, arm by arm, in the first arm's order of readers."""
    if not any(readings.values()):
        raise ValueError("no reading was given; give arm -> reader -> array")
    arms = tuple(readings)
    readers = tuple(readings[arms[0]])
    for arm in arms[1:]:
        if lacking := sorted(set(readings[arm]) ^ set(readers), key=str):
            raise ValueError(
                f"arms {arms[0]!r} and {arm!r} have other readers: {lacking[0]!r} is in one only; every reader must "
                "read every arm (readers or runs of one arm only are nested: see `inference`)"
            )
    return arms, readers, [readings[arm][reader] for arm in arms for reader in readers]


def reader_auc(
    labels: ArrayLike, scores: Readings, patients: ArrayLike | None = None, covariance: str = "delong"
) -> CrossedValues:
    """AUC of every reader with every arm, with covariances.

    Parameters
    ----------
    labels : array of shape (n,), 1 malignant, 0 normal
    scores : mapping of arm to mapping of reader to array of shape (n,)
        Every reader with every arm, on the same films in the same order.
    patients : array of shape (n,), optional
    covariance : {"delong", "jackknife"}
        DeLong's (Obuchowski's, where patients repeat), or leaving out one patient at a time.

    Returns
    -------
    CrossedValues

    Raises
    ------
    ValueError
        Faulty labels, scores or patients; arms with other readers.

    Notes
    -----
    "jackknife" matches RJafroc's default (`covEstMethod = "jackknife"`, FOM "Wilcoxon").

    Examples
    --------
    >>> data = reader_auc([0, 0, 1, 1], {"a": {1: [1, 2, 3, 4]}, "b": {1: [1, 3, 2, 4]}})
    >>> data.values.tolist()
    [[1.0], [0.75]]
    """
    check_one_of(covariance, ("delong", "jackknife"), "covariance")
    arms, readers, arrays = _stack(scores)
    positive = check_labels(labels)
    checked = [check_scores(a, positive.size, f"scores of reading {i + 1}") for i, a in enumerate(arrays)]
    fit = auc_covariance(positive, dict(enumerate(checked)), patients)
    spread, method = fit.covariance, fit.method
    if covariance == "jackknife" and not fit.note:
        spread = jackknife_covariance([rating_kernel(positive, score) for score in checked], patients)
        method = "jackknife"
    values = fit.auc.reshape(len(arms), len(readers))
    return CrossedValues(arms, readers, values, spread, fit.units, fit.smaller, method, fit.note)


# --- the analysis -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Components:
    """Mean covariances and mean squares of a design arms x readers x films.

    Attributes
    ----------
    var, cov1, cov2, cov3 : float
        Mean variance; mean covariance of different arms with the same reader; of the same arm with different readers;
        of different arms with different readers. Those without a pair (one reader, one arm) are 0.
    ms_arm, ms_reader, ms_interaction : float
        Mean squares; 0 where their degrees of freedom are 0.
    arms, readers : int
    """

    var: float
    cov1: float
    cov2: float
    cov3: float
    ms_arm: float
    ms_reader: float
    ms_interaction: float
    arms: int
    readers: int

    @property
    def var_reader(self) -> float:
        """Variance between readers that all arms share (may come out negative, as in RJafroc)."""
        return (self.ms_reader - self.ms_interaction) / self.arms - self.cov1 + self.cov3

    @property
    def var_interaction(self) -> float:
        """Variance of readers within arms (may come out negative)."""
        return self.ms_interaction - self.var + self.cov1 + max(self.cov2 - self.cov3, 0.0)

    def error(self, random: str = KINDS[0]) -> float:
        """Denominator of the F test; RJafroc's RRRC ('readers and patients'), FRRC ('patients') or RRFC ('readers')."""
        shared = max(self.cov2 - self.cov3, 0.0)
        if random == "patients":
            return self.var - self.cov1 + (self.readers - 1) * shared
        return self.ms_interaction + (self.readers * shared if random == KINDS[0] else 0.0)

    def df(self, random: str = KINDS[0]) -> float | None:
        """Degrees of freedom of that denominator (Hillis 2007); None (normal) without variation between readers."""
        if random == "patients" or not self.ms_interaction > 0:
            return None
        return self.error(random) ** 2 * (self.arms - 1) * (self.readers - 1) / self.ms_interaction**2


def components(data: CrossedValues) -> Components:
    """Mean squares and mean covariances of Obuchowski and Rockette's model; matches RJafroc's `VarCom`.

    Examples
    --------
    >>> scores = {"a": {1: [1, 2, 3, 4], 2: [1, 3, 2, 4]}, "b": {1: [1, 3, 2, 4], 2: [1, 3, 2, 4]}}
    >>> components(reader_auc([0, 0, 1, 1], scores)).ms_interaction
    0.015625
    """
    values, (arms, readers) = data.values, data.values.shape
    table = data.covariance.reshape(arms, readers, arms, readers)
    same_arm = np.eye(arms, dtype=bool)[:, np.newaxis, :, np.newaxis]
    same_reader = np.eye(readers, dtype=bool)[np.newaxis, :, np.newaxis, :]

    def mean(mask: NDArray[np.bool_]) -> float:
        picked = table[np.broadcast_to(mask, table.shape)]
        return float(picked.mean()) if picked.size else 0.0

    by_arm, by_reader, grand = values.mean(1, keepdims=True), values.mean(0, keepdims=True), values.mean()
    residual = values - by_arm - by_reader + grand
    return Components(
        mean(same_arm & same_reader),
        mean(~same_arm & same_reader),
        mean(same_arm & ~same_reader),
        mean(~same_arm & ~same_reader),
        readers * float(((by_arm - grand) ** 2).sum()) / max(arms - 1, 1),
        arms * float(((by_reader - grand) ** 2).sum()) / max(readers - 1, 1),
        float((residual**2).sum()) / max((arms - 1) * (readers - 1), 1),
        arms,
        readers,
    )


def compare_readers(
    data: CrossedValues, arm: str, reference: str, confidence: float = 0.95, random: str = KINDS[0]
) -> Estimate:
    """Difference of two arms' means over readers (arm - reference), by Obuchowski and Rockette.

    Parameters
    ----------
    data : CrossedValues
        Only the two arms named enter.
    arm, reference : str
    confidence : float in (0, 1)
    random : {"readers and patients", "patients", "readers"}
        What varies: both, or one with the other taken as given.

    Returns
    -------
    Estimate
        `basis` is what varies; with one reader 'this reader only'. Without variation no p, and limits
        z^2 / (n + z^2) away.

    Raises
    ------
    ValueError
        An arm that is not there, an unknown kind, or a faulty confidence.

    Notes
    -----
    F = MS_T / (MS_TR + max(J (Cov2 - Cov3), 0)) with Hillis' ddf = denominator^2 (I-1)(J-1) / MS_TR^2; with readers
    given, chi-square = (I-1) MS_T / (Var - Cov1 + (J-1) max(Cov2 - Cov3, 0)); with films given, F = MS_T / MS_TR.
    Matches RJafroc's `St(method = "OR")`: RRRC, FRRC, RRFC.

    Examples
    --------
    >>> scores = {"a": {1: [1, 2, 3, 4, 5], 2: [2, 1, 3, 4, 5]}, "b": {1: [1, 4, 2, 3, 5], 2: [1, 2, 5, 3, 4]}}
    >>> round(compare_readers(reader_auc([0, 0, 0, 1, 1], scores), "a", "b").estimate, 3)
    0.25
    """
    check_one_of(random, KINDS, "random")
    pair = data.pick([arm, reference])
    parts, difference = components(pair), float(np.subtract(*pair.values.mean(axis=1)))
    one = parts.readers == 1
    readers, basis = ("1 reader", "this reader only") if one else (f"{parts.readers} readers", random)
    method = f"Obuchowski-Rockette, {readers}, {pair.method} covariances"
    if one and random == "readers":
        return Estimate.missing(ONE_READER, method, data.units)
    if pair.note:
        return Estimate(difference, None, None, method, data.units, note=pair.note, basis=basis)
    variance = 2 * parts.error("patients" if one else random) / parts.readers
    se, df = (math.sqrt(variance), None if one else parts.df(random)) if variance > ZERO else (None, None)
    reach = edge_reach(data.smaller, confidence)
    found = wald_estimate(difference, se, method, data.units, confidence, df=df, still=NO_VARIATION, reach=reach)
    few = ONE_READER if one else FEW_READERS if parts.readers < ENOUGH_READERS else ""
    return replace(found, basis=basis, note=found.note or few)


def mean_variance(data: CrossedValues, arm: str, random: str = KINDS[0]) -> tuple[float, float | None]:
    """Variance of an arm's mean over readers and its degrees of freedom (None: normal).

    Hillis 2014: (MS_R + J max(Cov2, 0)) / J within the arm, df = (MS_R + J max(Cov2, 0))^2 (J-1) / MS_R^2. Matches
    RJafroc's `ciAvgRdrEachTrt`.
    """
    parts = components(data.pick([arm]))
    readers, shared = parts.readers, max(parts.cov2, 0.0)
    if readers == 1:
        return parts.var, None
    if check_one_of(random, KINDS, "random") == "patients":
        return (parts.var + (readers - 1) * shared) / readers, None
    error = parts.ms_reader + (readers * shared if random == KINDS[0] else 0.0)
    df = error**2 * (readers - 1) / parts.ms_reader**2 if parts.ms_reader > 0 else None
    return error / readers, df
