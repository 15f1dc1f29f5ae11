"""Several training runs (seeds) of each arm on the same films: Obuchowski-Rockette with seeds as readers.

Estimand: the expected performance of ONE newly trained run of an arm. Estimate: the mean over seeds. Two things make it
uncertain, the films at hand and the seeds at hand, and every seed saw the same films. Obuchowski and Rockette's model,
made for several readers of the same films, describes just that.

With a single seed nothing is known about training: the result is then DeLong's (or the jackknife's) and conditional on
that one run. Fewer than five seeds estimate the variation between runs poorly; callers should say so (`few_seeds`).

References
----------
Obuchowski NA, Rockette HE, Commun Stat Simul 1995;24:285. Hillis SL, Stat Med 2007;26:596 (degrees of freedom) and
2014;33:330 (marginal means). Chakraborty DP, Observer Performance Methods, 2017 (RJafroc, whose numbers are matched).
"""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from osteotl.statistics.checks import (
    IDENTICAL_ARMS,
    NO_DISCORDANT,
    NO_VARIANCE,
    Estimate,
    check_confidence,
    check_one_of,
)
from osteotl.statistics.rates import effective_interval
from osteotl.statistics.wald import logit_interval, tail_probability, wald_interval

Vector = NDArray[np.float64]
ENOUGH_SEEDS = 5
ONE_SEED = "conditional on this one training run"
FEW_SEEDS = "variation between training runs poorly estimated (fewer than 5 seeds)"


@dataclass(frozen=True)
class Replicates:
    """One measure for every arm and seed, with the covariance that the films give them.

    Attributes
    ----------
    measure : str
    arms : tuple of str
    seeds : tuple
    values : array of shape (arms, seeds)
        NaN where a run's value is not defined.
    covariance : array of shape (arms * seeds, arms * seeds)
        Row arm * seeds + seed; NaN where it cannot be estimated.
    units : int
        Patients (or films, where each patient has one).
    method : str
        How the covariance was made.
    not_estimable : str or None
    denominators : array of shape (arms, seeds), optional
        Of a rate: patients with a film in the denominator.
    """

    measure: str
    arms: tuple[str, ...]
    seeds: tuple[Hashable, ...]
    values: Vector
    covariance: Vector
    units: int
    method: str
    not_estimable: str | None = None
    denominators: NDArray[np.int64] | None = None

    @property
    def few_seeds(self) -> str | None:
        """What to say where there are too few seeds, or None."""
        if len(self.seeds) == 1:
            return ONE_SEED
        return FEW_SEEDS if len(self.seeds) < ENOUGH_SEEDS else None

    def pick(self, arms: list[str]) -> Replicates:
        """The same for some of the arms, in the order given."""
        rows = [self._row(arm) for arm in arms]
        size = len(self.seeds)
        index = np.concatenate([np.arange(row * size, (row + 1) * size) for row in rows])
        values, covariance = self.values[rows], self.covariance[np.ix_(index, index)]
        sound = bool(np.isfinite(values).all() and np.isfinite(covariance).all())  # the fault may be another arm's
        return Replicates(
            self.measure,
            tuple(arms),
            self.seeds,
            values,
            covariance,
            self.units,
            self.method,
            None if sound else self.not_estimable,
            None if self.denominators is None else self.denominators[rows],
        )

    def _row(self, arm: str) -> int:
        if arm not in self.arms:
            raise ValueError(f"arm {arm!r} is not among {', '.join(self.arms)}")
        return self.arms.index(arm)


@dataclass(frozen=True)
class Components:
    """Mean covariances and mean squares of a design arms x seeds x films.

    Attributes
    ----------
    var, cov1, cov2, cov3 : float
        Mean variance; mean covariance of different arms with the same seed; of the same arm with different seeds; of
        different arms with different seeds. Those without a pair (one seed, one arm) are 0.
    ms_arm, ms_seed, ms_interaction : float
        Mean squares; 0 where their degrees of freedom are 0.
    """

    var: float
    cov1: float
    cov2: float
    cov3: float
    ms_arm: float
    ms_seed: float
    ms_interaction: float
    arms: int
    seeds: int

    @property
    def var_seed(self) -> float:
        """Variance between seeds that both arms share (may come out negative, as in RJafroc)."""
        return (self.ms_seed - self.ms_interaction) / self.arms - self.cov1 + self.cov3

    @property
    def var_interaction(self) -> float:
        """Variance of seeds within arms (may come out negative)."""
        return self.ms_interaction - self.var + self.cov1 + max(self.cov2 - self.cov3, 0.0)

    @property
    def error(self) -> float:
        """Denominator of the F test with random seeds and films (RRRC)."""
        return self.ms_interaction + max(self.seeds * (self.cov2 - self.cov3), 0.0)

    @property
    def error_fixed_seeds(self) -> float:
        """The same with these seeds taken as given (FRRC)."""
        return self.var - self.cov1 + (self.seeds - 1) * max(self.cov2 - self.cov3, 0.0)

    @property
    def df(self) -> float | None:
        """Hillis' denominator degrees of freedom; None (normal) without variation between runs."""
        if not (self.ms_interaction > 0 and math.isfinite(self.error)):
            return None
        return self.error**2 * (self.arms - 1) * (self.seeds - 1) / self.ms_interaction**2


def components(replicates: Replicates) -> Components:
    """Mean squares and mean covariances of Obuchowski and Rockette's model."""
    values, (arms, seeds) = replicates.values, replicates.values.shape
    table = replicates.covariance.reshape(arms, seeds, arms, seeds)
    same_arm = np.eye(arms, dtype=bool)[:, np.newaxis, :, np.newaxis]
    same_seed = np.eye(seeds, dtype=bool)[np.newaxis, :, np.newaxis, :]

    def mean(mask: NDArray[np.bool_]) -> float:
        picked = table[np.broadcast_to(mask, table.shape)]
        return float(picked.mean()) if picked.size else 0.0

    by_arm, by_seed, grand = values.mean(1, keepdims=True), values.mean(0, keepdims=True), values.mean()
    residual = values - by_arm - by_seed + grand
    return Components(
        mean(same_arm & same_seed),
        mean(~same_arm & same_seed),
        mean(same_arm & ~same_seed),
        mean(~same_arm & ~same_seed),
        seeds * float(((by_arm - grand) ** 2).sum()) / max(arms - 1, 1),
        arms * float(((by_seed - grand) ** 2).sum()) / max(seeds - 1, 1),
        float((residual**2).sum()) / max((arms - 1) * (seeds - 1), 1),
        arms,
        seeds,
    )


@dataclass(frozen=True)
class ReplicateComparison:
    """Arm - reference over seeds, three ways.

    Attributes
    ----------
    difference : Estimate
        The headline: seeds and films both random (RRRC); with one seed, conditional on it.
    fixed_seeds, fixed_films : Estimate
        FRRC (these seeds, other films) and RRFC (these films, other seeds).
    se : float or None
        Of the headline.
    f, df : float or None
        The F statistic (its square root is |t|) and Hillis' degrees of freedom.
    parts : Components
    flag : str or None
        What the page must say about the number of seeds.
    """

    difference: Estimate
    fixed_seeds: Estimate
    fixed_films: Estimate
    se: float | None
    f: float | None
    df: float | None
    parts: Components
    flag: str | None


def compare_replicates(
    replicates: Replicates, arm: str, reference: str, confidence: float = 0.95
) -> ReplicateComparison:
    """Difference of two arms' means over seeds (arm - reference), by Obuchowski and Rockette.

    Parameters
    ----------
    replicates : Replicates
        From `auc_replicates` or `rate_replicates`; only the two arms named enter.
    arm, reference : str
    confidence : float in (0, 1)

    Returns
    -------
    ReplicateComparison

    Raises
    ------
    ValueError
        An arm that is not there, or a faulty confidence.

    Notes
    -----
    RRRC: F = MS_T / (MS_TR + max(J (Cov2 - Cov3), 0)) with Hillis' ddf = denominator^2 (I-1)(J-1) / MS_TR^2. FRRC:
    chi-square = (I-1) MS_T / (Var - Cov1 + (J-1) max(Cov2 - Cov3, 0)). RRFC: F = MS_T / MS_TR. Matches RJafroc's
    `St(method = "OR")`.
    """
    check_confidence(confidence)
    pair = replicates.pick([arm, reference])
    parts = components(pair)
    means = pair.values.mean(axis=1)
    difference, seeds = float(means[0] - means[1]), parts.seeds
    words = f"Obuchowski-Rockette, {_seeds(seeds)}, {replicates.method} covariances"

    def estimate(error: float, df: float | None, kind: str) -> Estimate:
        return _t_estimate(difference, 2 * error / seeds, df, f"{words}, {kind}", pair, confidence)

    fixed = estimate(parts.error_fixed_seeds, None, "seeds fixed, films random")
    if seeds == 1:
        alone = Estimate.missing("one seed: variation between training runs is unknown", f"{words}, films fixed", 1)
        method = f"{replicates.method}, {ONE_SEED}"
        variance = 2 * parts.error_fixed_seeds
        headline = _t_estimate(difference, variance, None, method, pair, confidence)
        return ReplicateComparison(headline, fixed, alone, _root(variance), None, None, parts, ONE_SEED)
    headline = estimate(parts.error, parts.df, "seeds and films random")
    films = estimate(parts.ms_interaction, float(seeds - 1), "seeds random, films fixed")
    f = parts.ms_arm / parts.error if parts.error > 0 else None
    return ReplicateComparison(
        headline, fixed, films, _root(2 * parts.error / seeds), f, parts.df, parts, replicates.few_seeds
    )


def _seeds(count: int) -> str:
    return "1 seed" if count == 1 else f"{count} seeds"


def _root(variance: float) -> float | None:
    return math.sqrt(variance) if variance >= 0 else None


def _t_estimate(
    value: float, variance: float, df: float | None, method: str, data: Replicates, confidence: float
) -> Estimate:
    if not math.isfinite(value):
        return Estimate.missing(data.not_estimable or "not defined in some run", method, data.units)
    if data.not_estimable:
        return Estimate(value, None, None, method, data.units, not_estimable=data.not_estimable)
    if not variance > 1e-18:  # rounding of equal runs leaves dust of this size
        same = bool(np.ptp(data.values, axis=0).max() < 1e-15)
        alike = IDENTICAL_ARMS if data.measure == "auc" else NO_DISCORDANT
        reason, p = (alike, 1.0) if same else (NO_VARIANCE, None)
        return Estimate(value, None, None, method, data.units, p, not_estimable=reason)
    se = math.sqrt(variance)
    low, high = wald_interval(value, se, confidence, df)
    return Estimate(value, low, high, method, data.units, tail_probability(value / se, df=df), df)


@dataclass(frozen=True)
class VarianceSplit:
    """Where the uncertainty of one newly trained run comes from.

    Attributes
    ----------
    seed, patient, interaction : float
        Variances of a single run's value: between seeds; between samples of patients, shared by all seeds; and the part
        of patients' variation that differs from seed to seed. Negative estimates are shown as 0.
    """

    seed: float
    patient: float
    interaction: float

    def to_dict(self) -> dict[str, float]:
        """By name."""
        return {"seed": self.seed, "patient": self.patient, "interaction": self.interaction}


def variance_split(replicates: Replicates, arm: str) -> VarianceSplit | None:
    """Split the variance of one run of an arm; None with one seed, or where covariances cannot be estimated."""
    alone = replicates.pick([arm])
    if len(alone.seeds) == 1 or alone.not_estimable:
        return None
    parts = components(alone)
    patient = max(parts.cov2, 0.0)
    return VarianceSplit(max(parts.ms_seed - parts.var + patient, 0.0), patient, max(parts.var - patient, 0.0))


def arm_mean(
    replicates: Replicates,
    arm: str,
    confidence: float = 0.95,
    kind: str = "random",
    limits: tuple[float, float] = (0.0, 1.0),
    scale: str = "wald",
) -> Estimate:
    """Mean over seeds of one arm, with its interval.

    Parameters
    ----------
    replicates : Replicates
    arm : str
    confidence : float in (0, 1)
    kind : {"random", "fixed_seeds", "fixed_films"}
        Seeds and films random (the headline), these seeds only, or these films only.
    limits : tuple of float
        Range of the measure; the interval is cut to it.
    scale : {"wald", "logit"}
        Of an interval that is not a rate's. For an AUC near 1 the logit covers better (simulated, nominal .95, five
        seeds at 268/475 films: .94, Wald .92; at 30/60: .95, Wald .92); only inside (0, 1).

    Returns
    -------
    Estimate

    Notes
    -----
    Hillis 2014: Var = (MS_R + J max(Cov2, 0)) / J within the arm, df = (MS_R + J max(Cov2, 0))^2 (J-1) / MS_R^2.
    Matches RJafroc's `ciAvgRdrEachTrt` (Wald). One seed: conditional on that run.

    Of a rate (`replicates.denominators` are known) the interval is Wilson's at the effective number of patients with
    that variance: near 0 and 1 a symmetric one covers too little, and of a perfect rate there would be none.
    """
    check_confidence(confidence)
    check_one_of(kind, ("random", "fixed_seeds", "fixed_films"), "kind")
    check_one_of(scale, ("wald", "logit"), "scale")
    alone = replicates.pick([arm])
    parts, value = components(alone), float(alone.values.mean())
    seeds, shared = parts.seeds, max(parts.cov2, 0.0)
    method = f"mean of {_seeds(seeds)}, Obuchowski-Rockette, {replicates.method} covariances"
    if seeds == 1:
        method, variance, df = f"{replicates.method}, {ONE_SEED}", parts.var, None
    elif kind == "fixed_seeds":
        variance, df = (parts.var + (seeds - 1) * shared) / seeds, None
    else:
        error = parts.ms_seed + (seeds * shared if kind == "random" else 0.0)
        variance = error / seeds
        df = error**2 * (seeds - 1) / parts.ms_seed**2 if parts.ms_seed > 0 else None
    if alone.denominators is not None and not alone.not_estimable:
        return _rate(value, variance, df, method, int(alone.denominators.min()), confidence)
    if not alone.not_estimable and not variance > 1e-18:
        return Estimate(value, None, None, method, alone.units, not_estimable=NO_VARIANCE)
    result = _t_estimate(value, variance, df, method, alone, confidence)
    if scale == "logit" and result.lower is not None and 0 < value < 1:
        ends = logit_interval(value, math.sqrt(variance), confidence, df)
        return replace(result, lower=ends[0], upper=ends[1], p=None, method=f"{method}, logit scale")
    low, high = (None if limit is None else min(max(limit, limits[0]), limits[1]) for limit in result.interval)
    return replace(result, lower=low, upper=high, p=None)


def _rate(value: float, variance: float, df: float | None, method: str, units: int, confidence: float) -> Estimate:
    low, high, effective = (float(x) for x in effective_interval(value, variance, units, confidence, df))
    method = f"{method}, Wilson interval at {effective:,.0f} effective patients"
    return Estimate(value, low, high, method, units, df=df)


def omnibus_test(replicates: Replicates) -> tuple[float | None, float | None, float | None]:
    """F, denominator degrees of freedom and p of no difference among all arms (seeds and films random)."""
    parts = components(replicates)
    if replicates.not_estimable or parts.error <= 0 or parts.df is None:
        return None, None, None
    f = parts.ms_arm / parts.error
    return f, parts.df, float(stats.f.sf(f, parts.arms - 1, parts.df))
