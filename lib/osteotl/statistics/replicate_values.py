"""From scores or calls of every run to the values and covariances that `replicates` analyses.

AUC: DeLong's (Obuchowski's, where patients repeat) covariances, or the jackknife that leaves out one patient at a time.
Sensitivity, specificity, PPV, NPV and accuracy: the jackknife.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from osteotl.statistics._draws import blocks, draw_block, units_by_class
from osteotl.statistics.checks import (
    IDENTICAL_ARMS,
    NO_DISCORDANT,
    NO_VARIANCE,
    Estimate,
    check_confidence,
    check_labels,
    check_one_of,
    check_patients,
    check_scores,
)
from osteotl.statistics.delong import auc_covariance, placements
from osteotl.statistics.operating_points import UNDEFINED
from osteotl.statistics.replicates import Replicates

Vector = NDArray[np.float64]
Integers = NDArray[np.int64]
Runs = Mapping[str, Mapping[Hashable, ArrayLike]]
MEASURES = ("sensitivity", "specificity", "ppv", "npv", "accuracy")
SUM = "sensitivity + specificity"


def stack_runs(
    runs: Mapping[str, Mapping[Hashable, ArrayLike]],
) -> tuple[tuple[str, ...], tuple[Hashable, ...], list[ArrayLike]]:
    """Arms, seeds and the arrays of a nested mapping, arm by arm.

    Parameters
    ----------
    runs : mapping of arm to mapping of seed to array
        One array a training run.

    Returns
    -------
    arms, seeds : tuples
    arrays : list
        The first arm's seeds in their order, then the next arm's in the same order.

    Raises
    ------
    ValueError
        No arm, or arms trained with other seeds: the design must be crossed.
    """
    if not runs:
        raise ValueError("no arm was given; give arm -> seed -> array")
    arms = tuple(runs)
    seeds = tuple(runs[arms[0]])
    if not seeds:
        raise ValueError(f"arm {arms[0]!r} has no seed; give at least one run")
    for arm in arms[1:]:
        if set(runs[arm]) != set(seeds):
            lacking = sorted(set(runs[arm]) ^ set(seeds), key=str)
            raise ValueError(
                f"arms {arms[0]!r} and {arm!r} have other seeds: {lacking[0]!r} is in one only; "
                "every arm must be trained with every seed"
            )
    return arms, seeds, [runs[arm][seed] for arm in arms for seed in seeds]


def auc_replicates(
    labels: ArrayLike, scores: Runs, patients: ArrayLike | None = None, covariance: str = "delong"
) -> Replicates:
    """AUC of every run with covariances.

    Parameters
    ----------
    labels : array of shape (n,), 1 malignant, 0 normal
    scores : mapping of arm to mapping of seed to array of shape (n,)
        Every arm with every seed, on the same films in the same order.
    patients : array of shape (n,), optional
    covariance : {"delong", "jackknife"}

    Returns
    -------
    Replicates

    Raises
    ------
    ValueError
        Faulty labels, scores or patients; arms with other seeds.

    Notes
    -----
    "jackknife" matches RJafroc's default (`covEstMethod = "jackknife"`, FOM "Wilcoxon").
    """
    check_one_of(covariance, ("delong", "jackknife"), "covariance")
    arms, seeds, arrays = stack_runs(scores)
    positive = check_labels(labels)
    checked = [check_scores(a, positive.size, f"scores of run {i + 1}") for i, a in enumerate(arrays)]
    shape = (len(arms), len(seeds))
    if covariance == "delong":
        fit = auc_covariance(positive, {str(i): a for i, a in enumerate(checked)}, patients)
        units = positive.size if fit.patients is None else int(fit.patients.max()) + 1
        return Replicates(
            "auc", arms, seeds, fit.auc.reshape(shape), fit.covariance, units, fit.method, fit.not_estimable
        )
    codes = check_patients(patients, positive.size)
    left_out = np.stack([_auc_without_each(positive, score, codes) for score in checked])
    values = np.array([placements(positive, score)[positive].mean() for score in checked])
    reason = None if np.isfinite(left_out).all() else "leaving out one patient leaves one class without films"
    spread, units = jackknife_covariance(left_out), left_out.shape[1]
    return Replicates("auc", arms, seeds, values.reshape(shape), spread, units, "jackknife", reason)


def jackknife_covariance(left_out: Vector) -> Vector:
    """(K - 1)/K times the sum of products of deviations; rows are values, columns the K patients left out."""
    centred = left_out - left_out.mean(axis=1, keepdims=True)
    units = left_out.shape[1]
    return (units - 1) / units * centred @ centred.T


def _auc_without_each(positive: NDArray[np.bool_], score: Vector, codes: NDArray[np.int64]) -> Vector:
    """AUC without each patient's films; NaN where a class would be empty."""
    units = int(codes.max()) + 1
    malignant, normal = int(positive.sum()), int((~positive).sum())
    wins = placements(positive, score) * np.where(positive, normal, malignant)
    lost = np.bincount(codes, wins, minlength=units)  # pairs of which one film is the patient's
    ill = np.bincount(codes[positive], minlength=units)
    well = np.bincount(codes[~positive], minlength=units)
    for patient in np.flatnonzero((ill > 0) & (well > 0)):  # pairs inside the patient were taken off twice
        films = codes == patient
        one, other = score[films & positive], score[films & ~positive]
        gap = one[:, np.newaxis] - other[np.newaxis, :]
        lost[patient] -= float((gap > 0).sum() + 0.5 * (gap == 0).sum())
    total = float(wins[positive].sum())
    pairs = ((malignant - ill) * (normal - well)).astype(float)
    return np.divide(total - lost, pairs, out=np.full(units, np.nan), where=pairs > 0)


def rate_replicates(labels: ArrayLike, calls: Runs, measure: str, patients: ArrayLike | None = None) -> Replicates:
    """Sensitivity, specificity, their sum, PPV, NPV or accuracy of every run; covariances by leaving out one patient.

    Parameters
    ----------
    labels : array of shape (n,), 1 malignant, 0 normal
    calls : mapping of arm to mapping of seed to array of shape (n,), 0/1
        Each run's calls at its own threshold.
    measure : {"sensitivity", "specificity", "ppv", "npv", "accuracy", "sensitivity + specificity"}
    patients : array of shape (n,), optional

    Returns
    -------
    Replicates
        `not_estimable` is set where a run makes no call of the kind (PPV, NPV), or only one patient's.

    Raises
    ------
    ValueError
        Faulty labels, calls or patients; an unknown measure; arms with other seeds.
    """
    arms, seeds, arrays = stack_runs(calls)
    positive = check_labels(labels)
    codes = check_patients(patients, positive.size)
    terms = ("sensitivity", "specificity") if measure == SUM else (measure,)
    parts = [_leave_one_out(positive, arrays, term, codes) for term in terms]
    values, left_out = sum(part[0] for part in parts), sum(part[1] for part in parts)
    reason = None
    if not (np.isfinite(values).all() and np.isfinite(left_out).all()):
        # 0/0: fewer than two patients in the denominator
        reason = f"{UNDEFINED[terms[0]]} in some run, or of one patient only"
    table = np.asarray(values).reshape(len(arms), len(seeds))
    spread = jackknife_covariance(np.asarray(left_out))
    units = None if measure == SUM else parts[0][2].reshape(table.shape)
    return Replicates(measure, arms, seeds, table, spread, int(codes.max()) + 1, "jackknife", reason, units)


def _leave_one_out(
    positive: NDArray[np.bool_], arrays: list[ArrayLike], measure: str, codes: NDArray[np.int64]
) -> tuple[Vector, Vector, Integers]:
    """A rate of every run: whole, without each patient (0/0 is NaN), and how many patients its denominator has."""
    right, among = correctness(positive, arrays, measure)
    hits, films = (np.stack([np.bincount(codes, row) for row in part.astype(float)]) for part in (right, among))
    over, under = hits.sum(1, keepdims=True), films.sum(1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        return (over / under)[:, 0], (over - hits) / (under - films), (films > 0).sum(1)


def correctness(
    positive: NDArray[np.bool_], calls: list[ArrayLike], measure: str
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which films count as right, and which are in the denominator, for every run (rows).

    Raises
    ------
    ValueError
        An unknown measure; calls that are not 0/1 or not one a film.
    """
    check_one_of(measure, MEASURES, "measure")
    called = np.stack([check_labels(c, f"calls of run {i + 1}", both_classes=False) for i, c in enumerate(calls)])
    if called.shape[1] != positive.size:
        raise ValueError(f"there are {called.shape[1]} calls and {positive.size} labels; give one call per film")
    truth = np.broadcast_to(positive, called.shape)
    among = {
        "sensitivity": truth,
        "specificity": ~truth,
        "ppv": called,
        "npv": ~called,
        "accuracy": np.ones_like(called),
    }[measure]
    return (called == truth) & among, among


# --- seeds x patients bootstrap ---------------------------------------------------------------------------------------


def crossed_bootstrap(
    labels: ArrayLike,
    runs: Runs,
    arm: str,
    reference: str,
    measure: str = "auc",
    patients: ArrayLike | None = None,
    draws: int = 10_000,
    seed: int = 0,
    confidence: float = 0.95,
) -> Estimate:
    """Difference of two arms' means with seeds and patients both resampled: a check beside the headline.

    Parameters
    ----------
    labels : array of shape (n,), 1 malignant, 0 normal
    runs : mapping of arm to mapping of seed to array of shape (n,)
        Scores for measure "auc", calls (0/1) for the rates.
    arm, reference : str
    measure : {"auc", "sensitivity", "specificity", "ppv", "npv", "accuracy"}
    patients : array of shape (n,), optional
        Patients are drawn within classes (a patient with any malignant film is malignant).
    draws : int, at least 100
    seed : int
        Draw b depends on (seed, b) alone.
    confidence : float in (0, 1)

    Returns
    -------
    Estimate
        Percentile interval; p = 2 (1 + #) / (draws + 1), at most 1.

    Raises
    ------
    ValueError
        Faulty input, or fewer than 100 draws.

    Notes
    -----
    Both arms take the same seeds and the same patients in a draw. It covered .71, .81 and .89 of a nominal .95 with 2,
    3 and 5 seeds in a trial, so it is never the headline.
    """
    check_confidence(confidence)
    if draws < 100:
        raise ValueError(f"draws is {draws}; give at least 100 (10,000 is usual)")
    arms, seeds, arrays = stack_runs({name: runs[name] for name in (arm, reference) if name in runs})
    if arms != (arm, reference):
        raise ValueError(f"arms {arm!r} and {reference!r} must both be there and differ; arms are {', '.join(runs)}")
    positive = check_labels(labels)
    codes = check_patients(patients, positive.size)
    units, boundaries = units_by_class(positive, codes)
    size = int(boundaries[-1])
    drawn = _crossed_blocks(positive, arrays, len(seeds), measure, units, boundaries, draws, seed)
    parts = [((values[:, 0] - values[:, 1]) * picked).sum(axis=1) for values, picked in drawn]
    replicates = np.concatenate(parts) / len(seeds)
    whole = np.ones((1, size), np.uint16)
    observed = _weighted_values(positive, arrays, measure, whole, units).reshape(2, len(seeds)).mean(axis=1)
    difference = float(observed[0] - observed[1])
    method = f"seeds x patients bootstrap, {draws} draws, percentile interval"
    if not np.isfinite(difference) or not np.isfinite(replicates).all():
        return Estimate.missing(f"{UNDEFINED.get(measure, 'one class only')} in some draw", method, size)
    if np.ptp(replicates) == 0:
        same = difference == 0
        reason = (IDENTICAL_ARMS if measure == "auc" else NO_DISCORDANT) if same else NO_VARIANCE
        return Estimate(difference, None, None, method, size, 1.0 if same else None, not_estimable=reason)
    low, high = np.quantile(replicates, [(1 - confidence) / 2, (1 + confidence) / 2])
    fewer = min(int((replicates <= 0).sum()), int((replicates >= 0).sum()))
    return Estimate(difference, low, high, method, size, min(1.0, 2 * (1 + fewer) / (draws + 1)))


def crossed_means(
    positive: NDArray[np.bool_],
    codes: NDArray[np.int64],
    arrays: list[ArrayLike],
    groups: int,
    seeds: int,
    draws: int,
    seed: int,
) -> tuple[Vector, Vector]:
    """Mean AUC over seeds of groups of runs, as it is and with seeds and patients both resampled.

    Parameters
    ----------
    positive : boolean array of shape (n,)
    codes : array of shape (n,)
        Patient of each film, as numbers from 0.
    arrays : list of arrays of shape (n,)
        Scores, group by group, within a group seed by seed (`stack_runs`).
    groups, seeds, draws : int
    seed : int
        Draw b depends on (seed, b) alone, and is that of `crossed_bootstrap`.

    Returns
    -------
    observed : array of shape (groups,)
    means : array of shape (draws, groups)
    """
    units, boundaries = units_by_class(positive, codes)
    whole = np.ones((1, int(boundaries[-1])), np.uint16)
    observed = _weighted_values(positive, arrays, "auc", whole, units).reshape(groups, seeds).mean(axis=1)
    drawn = _crossed_blocks(positive, arrays, seeds, "auc", units, boundaries, draws, seed)
    means = [(values * picked[:, None, :]).sum(axis=2) / seeds for values, picked in drawn]
    return observed, np.concatenate(means)


def _crossed_blocks(
    positive: NDArray[np.bool_],
    arrays: list[ArrayLike],
    seeds: int,
    measure: str,
    units: NDArray[np.int64],
    boundaries: NDArray[np.int64],
    draws: int,
    seed: int,
) -> Iterator[tuple[Vector, NDArray[np.uint16]]]:
    """Block by block: the measure of every run (draws, groups, seeds), and how often each seed was drawn."""
    seed_boundaries = np.array([0, seeds])
    for first, last in blocks(draws, int(boundaries[-1])):
        weights = draw_block(boundaries, first, last, seed)
        picked = draw_block(seed_boundaries, first, last, seed, stream=1)
        values = _weighted_values(positive, arrays, measure, weights, units)
        yield values.reshape(last - first, -1, seeds), picked


def _weighted_values(
    positive: NDArray[np.bool_],
    arrays: list[ArrayLike],
    measure: str,
    weights: NDArray[np.uint16],
    units: NDArray[np.int64],
) -> Vector:
    """The measure of every run (columns) under every row of patient weights."""
    if measure == "auc":
        columns = []
        for i, values in enumerate(arrays):
            score = check_scores(values, positive.size, f"scores of run {i + 1}")
            order = np.argsort(score)
            ends = np.append(np.flatnonzero(np.diff(score[order])), order.size - 1)
            columns.append(_weighted_auc(weights, units[order], positive[order], ends))
        return np.stack(columns, axis=1)
    right, among = correctness(positive, arrays, measure)
    over, under = (
        np.stack([np.bincount(units, row, weights.shape[1]) for row in part.astype(float)]) for part in (right, among)
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        counts = weights.astype(np.float64)
        return (counts @ over.T) / (counts @ under.T)


@njit(cache=True)
def _weighted_auc(
    weights: NDArray[np.uint16], units: NDArray[np.int64], positive: NDArray[np.bool_], ends: NDArray[np.int64]
) -> Vector:
    """AUC of films sorted by score under each row of weights; `ends` are the last places of the groups of ties."""
    result = np.empty(weights.shape[0])
    for row in range(weights.shape[0]):
        wins, ill_all, well_below, start = 0.0, 0.0, 0.0, 0
        for end in ends:
            ill, well = 0.0, 0.0
            for place in range(start, end + 1):
                weight = weights[row, units[place]]
                if positive[place]:
                    ill += weight
                else:
                    well += weight
            wins += ill * (well_below + 0.5 * well)
            ill_all += ill
            well_below += well
            start = end + 1
        result[row] = wins / (ill_all * well_below) if ill_all * well_below > 0 else np.nan
    return result
