"""Running the bootstrap's compiled loops, and naming what they return."""

from __future__ import annotations

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from osteotl.statistics import _kernels
from osteotl.statistics._benefit import ActedOn
from osteotl.statistics._bootstrap_plan import Plan

SCALARS = ("auc", "average_precision", "max_f1", "brier", "calibration_intercept", "calibration_slope")
NEED_RISKS = ("brier", "calibration_intercept", "calibration_slope")
RATES = ("sensitivity", "specificity", "ppv", "npv", "accuracy", "f1", "lr_positive", "lr_negative", "sum")


@dataclass(frozen=True)
class Draws:
    """Values of every statistic in every replicate.

    Attributes
    ----------
    names : tuple of str
        Statistics, the rows of each table.
    tables : mapping of arm to array of shape (statistics, replicates)
        NaN where a replicate does not define the statistic (no positive call for PPV, separated classes for the slope).
    counts : mapping of arm to mapping of point to array of shape (replicates, 4)
        True positives, false positives, true negatives, false negatives.
    acted_on : mapping of arm to ActedOn
        What net benefit is made of; empty without threshold probabilities.
    """

    names: tuple[str, ...]
    tables: Mapping[str, NDArray[np.float64]]
    counts: Mapping[str, Mapping[str, NDArray[np.int64]]] = field(repr=False)
    acted_on: Mapping[str, ActedOn] = field(repr=False, default_factory=dict)

    def of(self, arm: str, name: str) -> NDArray[np.float64]:
        """Values of one statistic of one arm, one per replicate.

        Raises
        ------
        ValueError
            Unknown arm or statistic.
        """
        if arm not in self.tables or name not in self.names:
            raise ValueError(f"no draws of {name!r} for arm {arm!r}; arms: {list(self.tables)}, names: {self.names}")
        return self.tables[arm][self.names.index(name)]


@dataclass(frozen=True)
class Output:
    """What the compiled loops write; axis 0 is the replicate, axis 1 the arm."""

    scalars: NDArray[np.float64]
    tp: NDArray[np.int32]
    fp: NDArray[np.int32]
    films: NDArray[np.int64]


def run(plan: Plan, replicates: int, seed: int, given: NDArray[np.uint16], threads: int | None) -> Output:
    """Share the replicates out to threads; each replicate depends on its own number alone."""
    arms, points = len(plan.arms), plan.fixed.shape[2] + plan.rules.size
    output = Output(
        np.full((replicates, arms, _kernels.SCALARS), np.nan),
        np.zeros((replicates, arms, points), np.int32),
        np.zeros((replicates, arms, points), np.int32),
        np.zeros((replicates, 2), np.int64),
    )

    def work(bounds: tuple[int, int]) -> None:
        _kernels.replicates(
            *bounds, np.uint64(seed), given, plan.strata, plan.unit, plan.positives, plan.malignant, plan.normal,
            plan.groups, plan.sizes, plan.fixed, plan.rules, plan.targets, plan.squared_error, plan.x, plan.start,
            plan.start_risks, plan.calibrated, output.scalars, output.tp, output.fp, output.films,
        )  # fmt: skip

    workers = min(threads or len(os.sched_getaffinity(0)), 1 + replicates * plan.films.size // 500_000)
    edges = np.linspace(0, replicates, (4 * workers if workers > 1 else 1) + 1).astype(int)
    chunks = [(int(a), int(b)) for a, b in pairwise(edges)]
    if workers == 1:
        for chunk in chunks:
            work(chunk)
    else:
        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(work, chunks))
    return output


def leave_one_out(plan: Plan, threads: int | None) -> Output:
    """Every statistic without each unit in turn (the jackknife that BCa's acceleration needs)."""
    given = np.ones((plan.units, plan.units), np.uint16)
    np.fill_diagonal(given, 0)
    return run(plan, plan.units, 0, given, threads)


def statistic_names(plan: Plan) -> tuple[str, ...]:
    """Names of the rows of every table, in order."""
    points = (*plan.points, *plan.reselected)
    return (
        *(name for name in SCALARS if plan.with_risks or name not in NEED_RISKS),
        *(f"{point}/{rate}" for point in points for rate in RATES),
        *(f"net_benefit/{at:.4g}" for at in plan.net_benefit_at),
    )


def statistics_of(plan: Plan, output: Output) -> Draws:
    """Counts and sums of the compiled loops -> named statistics, replicates last."""
    names, points = statistic_names(plan), (*plan.points, *plan.reselected)
    scalars = len(SCALARS) if plan.with_risks else len(SCALARS) - len(NEED_RISKS)
    positives, negatives = (output.films[:, side].astype(np.float64) for side in (0, 1))
    # Columns of the counts: fixed points, then net benefit thresholds, then rules.
    benefit = slice(len(plan.points), len(plan.points) + plan.net_benefit_at.size)
    columns = np.r_[: benefit.start, benefit.stop : benefit.stop + len(plan.reselected)].astype(int)
    tables: dict[str, NDArray[np.float64]] = {}
    counts: dict[str, dict[str, NDArray[np.int64]]] = {}
    acted_on: dict[str, ActedOn] = {}
    for k, arm in enumerate(plan.arms):
        tp, fp = (np.ascontiguousarray(table[:, k].T) for table in (output.tp, output.fp))
        table = np.empty((len(names), positives.size))
        table[:scalars] = output.scalars[:, k, :scalars].T
        if plan.with_risks:  # back from centred and scaled logits
            middle, scale = plan.x_scale[k]
            table[_kernels.SLOPE] /= scale
            table[_kernels.INTERCEPT] -= middle * table[_kernels.SLOPE]
        counts[arm] = {}
        for p, point, column in zip(range(len(points)), points, columns, strict=True):
            row = scalars + p * len(RATES)
            table[row : row + len(RATES)] = rates_of(tp[column], fp[column], positives, negatives)
            cells = (tp[column], fp[column], negatives - fp[column], positives - tp[column])
            counts[arm][point] = np.column_stack(cells).astype(np.int64)
        if plan.net_benefit_at.size:
            odds = (plan.net_benefit_at / (1 - plan.net_benefit_at))[:, None]
            share = positives / (positives + negatives) if plan.prevalence is None else plan.prevalence
            with np.errstate(invalid="ignore", divide="ignore"):
                found, alarms = tp[benefit] / positives, fp[benefit] / negatives
                table[-plan.net_benefit_at.size :] = found * share - alarms * (1 - share) * odds
            own = np.full(found.shape[1], share)
            acted_on[arm] = ActedOn(found, alarms, own, plan.net_benefit_at, plan.class_units)
        tables[arm] = table
    return Draws(names, tables, counts, acted_on)


def rates_of(tp: Any, fp: Any, positives: Any, negatives: Any) -> NDArray[np.float64]:
    """The rates of `RATES` from counts, NaN where a denominator is 0."""
    tn, fn = negatives - fp, positives - tp
    with np.errstate(divide="ignore", invalid="ignore"):
        sensitivity, specificity = tp / positives, tn / negatives
        rates = np.array(
            [
                sensitivity,
                specificity,
                tp / (tp + fp),
                tn / (tn + fn),
                (tp + tn) / (positives + negatives),
                2 * tp / (2 * tp + fp + fn),
                sensitivity / (1 - specificity),
                (1 - sensitivity) / specificity,
                sensitivity + specificity,
            ]
        )
    rates[~np.isfinite(rates)] = np.nan
    return rates
