"""One joint bootstrap for every statistic of every arm: the same draws serve them all, so every difference is paired.

Vocabulary. *Unit*: what is drawn, a patient where patients repeat, else a film. *Point*: an operating point, either a
threshold per arm held fixed, or a rule that re-selects the threshold inside each replicate. *Draws*: the B values of a
statistic. Names of statistics: `auc`, `average_precision`, `max_f1`, `brier`, `calibration_intercept`,
`calibration_slope`, `POINT/RATE` (rates in `RATES`), `net_benefit/0.10`.

References
----------
Efron B, Tibshirani RJ. An Introduction to the Bootstrap. 1993 (percentile interval; BCa, ch. 14).
Davison AC, Hinkley DV. Bootstrap Methods and their Application. 1997, eq. 4.11 (p value with
1 added), eq. 5.36 (BCa of several samples).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from osteotl.statistics._benefit import KIND as BENEFIT
from osteotl.statistics._benefit import benefit_difference, benefit_limits
from osteotl.statistics._bootstrap_draws import (
    RATES,
    SCALARS,
    Draws,
    leave_one_out,
    run,
    statistic_names,
    statistics_of,
)
from osteotl.statistics._bootstrap_plan import Plan, Rule, make_plan
from osteotl.statistics._intervals import bca_limits, p_values, percentile_limits
from osteotl.statistics._optimism import REASON, corrected_limits, excess_of_halves, method_of
from osteotl.statistics.checks import Estimate, check_confidence, check_weights
from osteotl.statistics.mover import Limits

__all__ = ["RATES", "SCALARS", "Draws", "JointBootstrap", "joint_bootstrap", "weighted_statistics"]

# More undefined replicates than this share, and an interval would describe the replicates that happened to be defined.
MOST_UNDEFINED = 0.05
BCA_MOST_FILMS = 5_000
# Where BCa is sound: smooth in the weights. Re-selected points, max F1 and calibration keep percentiles.
BCA_SCALARS = ("auc", "average_precision")
BCA_RATES = ("sensitivity", "specificity", "ppv", "npv", "accuracy")


@dataclass(frozen=True)
class JointBootstrap:
    """Estimates with intervals for every arm, and for every arm's difference from the reference.

    Attributes
    ----------
    estimates : mapping of arm to mapping of statistic to Estimate
    differences : mapping of arm (but the reference) to mapping of statistic to Estimate with p
        Difference = arm - reference; p = 2 (1 + #) / (B + 1), at most 1, # the smaller count of draws at or beyond 0.
    draws, observed : Draws
        In every replicate, and in the cohort as it is (one draw).
    reference : str
    replicates, films, units : int
    sampling : str
        by_class or consecutive.
    confidence : float
    max_f1_excess : mapping of arm to float
        Mean of the largest F1 over halves of the cohort less that of the whole: the optimism that its limits allow for;
        NaN where halves lack a class.
    """

    estimates: Mapping[str, Mapping[str, Estimate]]
    differences: Mapping[str, Mapping[str, Estimate]]
    draws: Draws = field(repr=False)
    observed: Draws = field(repr=False)
    reference: str
    replicates: int
    films: int
    units: int
    sampling: str
    confidence: float
    max_f1_excess: Mapping[str, float] = field(default_factory=dict)

    def table(self) -> pd.DataFrame:
        """Long table: arm, reference (empty for the arm's own value), statistic, estimate, lower, upper, p, reason."""
        rows = [
            {"arm": arm, "reference": reference, "statistic": name, "estimate": e.estimate, "lower": e.lower}
            | {"upper": e.upper, "p": e.p, "not_estimable": e.not_estimable}
            for reference, results in ((None, self.estimates), (self.reference, self.differences))
            for arm, by_name in results.items()
            for name, e in by_name.items()
        ]
        return pd.DataFrame(rows)


def joint_bootstrap(
    labels: ArrayLike,
    scores: Mapping[str, ArrayLike],
    *,
    risks: Mapping[str, ArrayLike] | None = None,
    patients: ArrayLike | None = None,
    thresholds: Mapping[str, Mapping[str, float]] | None = None,
    reselect: Mapping[str, Rule] | None = None,
    net_benefit_at: ArrayLike = (),
    net_benefit_prevalence: float | None = None,
    reference: str | None = None,
    replicates: int = 10_000,
    seed: int = 0,
    sampling: str = "by_class",
    confidence: float = 0.95,
    bca: bool = False,
    threads: int | None = None,
) -> JointBootstrap:
    """Bootstrap every statistic of every arm at once.

    Parameters
    ----------
    labels : array of shape (n,)
        1 malignant, 0 not.
    scores : mapping of arm to array of shape (n,)
        Higher = more suspicious; any range. Test positive = score >= threshold.
    risks : mapping of arm to array of shape (n,), optional
        Probabilities in [0, 1] that rise with the scores; needed for Brier score, calibration and net benefit.
    patients : array of shape (n,), optional
        Patient of each film; where patients repeat, patients are drawn.
    thresholds : mapping of point to mapping of arm to score threshold
        Points held fixed in every replicate.
    reselect : mapping of point to (rule, target)
        ("high_sensitivity", 0.9), ("high_specificity", 0.9) or ("youden", None), as in `operating_points`: the
        threshold is chosen anew, by the rule and its ties, inside each replicate.
    net_benefit_at : array of at most 100 threshold probabilities
    net_benefit_prevalence : float, optional
        Weight net benefit to another prevalence (give risks shifted by `decision_curve.shifted_risks` with it).
    reference : str, optional
        Arm that the others are compared with; default: the first.
    replicates, seed : int
        The result is a function of these and the data alone: not of threads, nor of the order of rows or arms.
    sampling : {"by_class", "consecutive"}
        Malignant and normal units drawn apart (prevalence fixed by design), or all together.
    confidence : float
    bca : bool
        BCa intervals for AUC, average precision and rates at fixed thresholds; at most 5,000 films.
    threads : int, optional
        Default: the processors this process may use.

    Returns
    -------
    JointBootstrap

    Raises
    ------
    ValueError
        Bad input (see `checks`), replicates < 100, or BCa for more than 5,000 films.

    Notes
    -----
    Percentile limits are type-7 quantiles of the draws, as R's `quantile` and pROC; limits of the largest F1 (not of
    its difference) allow for its optimism, which percentiles double (`_optimism`); limits of net benefit come from
    Wilson's of its two rates (`_benefit`), since percentiles cover too little where a rate is near 1. With injected
    weights (`weighted_statistics`) the values equal pROC, scikit-learn and R's glm on physically repeated rows.

    Examples
    --------
    >>> labels = [1, 1, 1, 0, 0, 0, 0]
    >>> scores = {"scratch": [.9, .4, .6, .5, .3, .2, .1], "transfer": [.9, .7, .6, .5, .3, .2, .1]}
    >>> result = joint_bootstrap(labels, scores, replicates=200, seed=1)
    >>> round(result.differences["transfer"]["auc"].estimate, 4)
    0.0833
    """
    check_confidence(confidence)
    if replicates < 100:
        raise ValueError(f"replicates is {replicates}; at least 100 are needed for any interval (10,000 for a report)")
    plan = make_plan(
        labels,
        scores,
        risks=risks,
        patients=patients,
        thresholds=thresholds or {},
        reselect=reselect or {},
        net_benefit_at=net_benefit_at,
        prevalence=net_benefit_prevalence,
        sampling=sampling,
    )
    if bca and plan.films.size > BCA_MOST_FILMS:
        raise ValueError(
            f"bca with {plan.films.size} films; at most {BCA_MOST_FILMS}: percentile intervals are as good"
        )
    chosen = plan.arms[0] if reference is None else reference
    if chosen not in plan.arms:
        raise ValueError(f"reference {chosen!r} is not among the arms {', '.join(plan.arms)}")
    observed = statistics_of(plan, run(plan, 1, 0, np.ones((1, plan.units), np.uint16), 1))
    drawn = statistics_of(plan, run(plan, replicates, seed, np.zeros((0, plan.units), np.uint16), threads))
    leave_out = statistics_of(plan, leave_one_out(plan, threads)) if bca else None
    largest = np.array([observed.of(arm, "max_f1")[0] for arm in plan.arms])
    excess = dict(zip(plan.arms, excess_of_halves(plan, largest, seed, threads).tolist(), strict=True))
    return _summarise(plan, observed, drawn, leave_out, chosen, sampling, confidence, excess)


def weighted_statistics(
    labels: ArrayLike,
    scores: Mapping[str, ArrayLike],
    weights: ArrayLike,
    *,
    risks: Mapping[str, ArrayLike] | None = None,
    thresholds: Mapping[str, Mapping[str, float]] | None = None,
    reselect: Mapping[str, Rule] | None = None,
    net_benefit_at: ArrayLike = (),
) -> Draws:
    """Every statistic of the joint bootstrap at given case weights instead of drawn ones.

    Parameters
    ----------
    labels, scores, risks, thresholds, reselect, net_benefit_at
        As in `joint_bootstrap`.
    weights : array of whole numbers, shape (n,) or (replicates, n)
        How often each film counts, 0 to 65,535.

    Returns
    -------
    Draws
        One replicate per row of weights; equal to the statistics of physically repeated rows.

    Raises
    ------
    ValueError
        Negative, fractional or too large weights, another number of films, or bad input.
    """
    plan = make_plan(
        labels,
        scores,
        risks=risks,
        patients=None,
        thresholds=thresholds or {},
        reselect=reselect or {},
        net_benefit_at=net_benefit_at,
        prevalence=None,
        sampling="by_class",
    )
    rows = np.atleast_2d(np.asarray(weights, np.float64))
    for index, one in enumerate(rows):
        check_weights(one, plan.films.size, f"weights of replicate {index}")
    if (rows != np.round(rows)).any() or rows.max() > np.iinfo(np.uint16).max:
        raise ValueError("weights must be whole numbers from 0 to 65535: they say how often a film is repeated")
    # Units are films here, and already in canonical order.
    given = rows[:, plan.films].astype(np.uint16)
    return statistics_of(plan, run(plan, rows.shape[0], 0, given, None))


@dataclass(frozen=True)
class _Report:
    """Turns draws into estimates with intervals."""

    plan: Plan
    reference: str
    how: str
    confidence: float
    excess: Mapping[str, float]

    def results(
        self, arm: str, paired: bool, observed: Any, draws: Any, left_out: Any, benefit: Limits | None
    ) -> dict[str, Estimate]:
        """Every statistic of one arm (or of its difference from the reference); net benefit has limits of its own."""
        names, first = self.names, len(self.names) - (0 if benefit is None else benefit.estimate.size)
        lower, upper, defined = percentile_limits(draws[:first], self.confidence)
        if benefit is not None:
            lower, upper = np.r_[lower, benefit.lower], np.r_[upper, benefit.upper]
            defined = np.r_[defined, np.isfinite(draws[first:]).sum(axis=1)]
        ps = p_values(draws, defined) if paired else np.full(len(names), np.nan)
        made = {}
        for row, name in enumerate(names):
            limits, kind = (float(lower[row]), float(upper[row])), "percentile interval" if row < first else BENEFIT
            if left_out is not None and self._bca_applies(name):
                plan = self.plan
                adjusted = bca_limits(observed[row], draws[row], left_out[row], plan.strata, self.confidence)
                limits, kind = (limits, kind) if adjusted is None else (adjusted, "BCa interval")
            share = defined[row] / draws.shape[1]
            reason = self._reason(name, arm, paired, observed[row], share, draws.shape[1])
            if name == "max_f1" and not paired and reason is None:
                kind = method_of(self.plan.positives, self.plan.films.size)
                reason = None if np.isfinite(self.excess[arm]) else REASON
                if reason is None:
                    limits = corrected_limits(observed[row], self.excess[arm], draws[row], self.confidence)
            made[name] = self._estimate(observed[row], limits, kind, ps[row], share, reason)
        return made

    @property
    def names(self) -> tuple[str, ...]:
        return statistic_names(self.plan)

    def _bca_applies(self, name: str) -> bool:
        point, _, rate = name.partition("/")
        return name in BCA_SCALARS or (point in self.plan.points and rate in BCA_RATES)

    def _reason(self, name: str, arm: str, paired: bool, observed: float, share: float, replicates: int) -> str | None:
        if np.isfinite(observed) and share >= 1 - MOST_UNDEFINED:
            return None
        if name.startswith("calibration"):
            known = [self.plan.undefined.get(one) for one in ((arm, self.reference) if paired else (arm,))]
            if reasons := [reason for reason in known if reason]:
                return reasons[0]
        if not np.isfinite(observed):
            return "not defined in this cohort: the denominator is 0"
        return f"not defined in {1 - share:.0%} of {replicates:,} replicates: an interval would describe the others"

    def _estimate(
        self, observed: float, limits: tuple[float, float], kind: str, p: float, share: float, reason: str | None
    ) -> Estimate:
        method = f"{kind}, {self.how}" + ("" if share == 1 else f", {share:.1%} of replicates defined")
        value = float(observed) if np.isfinite(observed) else None
        if reason is not None:
            return Estimate(value, None, None, method, self.plan.films.size, not_estimable=reason)
        return Estimate(value, *limits, method, self.plan.films.size, p=None if np.isnan(p) else float(p))


def _summarise(
    plan: Plan,
    observed: Draws,
    drawn: Draws,
    left_out: Draws | None,
    reference: str,
    sampling: str,
    confidence: float,
    excess: Mapping[str, float],
) -> JointBootstrap:
    replicates = drawn.tables[reference].shape[1]
    unit = "patients" if plan.units < plan.films.size else "films"
    how = f"bootstrap of {unit} ({sampling.replace('_', ' ')}, B = {replicates:,})"
    report = _Report(plan, reference, how, confidence, excess)
    now, table = observed.tables, drawn.tables
    benefit = {arm: benefit_limits(observed.acted_on[arm], drawn.acted_on[arm], confidence) for arm in drawn.acted_on}
    at = slice(len(report.names) - plan.net_benefit_at.size, None)
    gap = {
        arm: benefit_difference(benefit[arm], benefit[reference], table[arm][at], table[reference][at])
        for arm in benefit
    }
    left = None if left_out is None else left_out.tables
    estimates = {
        arm: report.results(
            arm, False, now[arm][:, 0], table[arm], None if left is None else left[arm], benefit.get(arm)
        )
        for arm in plan.arms
    }
    differences = {
        arm: report.results(
            arm,
            True,
            now[arm][:, 0] - now[reference][:, 0],
            table[arm] - table[reference],
            None if left is None else left[arm] - left[reference],
            gap.get(arm),
        )
        for arm in plan.arms
        if arm != reference
    }
    return JointBootstrap(
        estimates,
        differences,
        drawn,
        observed,
        reference,
        replicates,
        plan.films.size,
        plan.units,
        sampling,
        confidence,
        excess,
    )
