"""The optimism of a maximum over thresholds, measured on halves of the cohort, and limits that allow for it.

The largest F1 of a sample lies above that of the population, the more so the fewer films. The bootstrap of a maximum
does not know by how much: such optima converge as cube roots (Kim & Pollard, Ann Stat 1990;18:191), for which it is
inconsistent (Abrevaya & Huang, Econometrica 2005;73:1175); in simulation it found half of the optimism. A half drawn
without replacement, however, is a true sample of half the size, so the mean maximum of halves less that of the whole
has the expectation bias(n / 2) - bias(n). If the bias falls as n^-r, that is (2^r - 1) bias(n): all of it for r = 1,
.59 of it for r = 2/3, .41 for r = 1/2.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from osteotl.statistics import _kernels
from osteotl.statistics._bootstrap_draws import run
from osteotl.statistics._bootstrap_plan import Plan

SPLITS = 100
MOST_WEIGHTS = 10_000_000  # units times splits held at once; with very many films there is little optimism to measure
FASTEST, SLOWEST = 1.0, 1 / (np.sqrt(2) - 1)  # times the excess of halves: bias falling as 1/n, as 1/sqrt(n)

# Simulated, nominal .95: percentile limits covered .85 at 268/475 films and .76 at 30/60, these .95 and .92.
METHOD = (
    "largest over thresholds on the same films, hence optimistic: logit interval that allows for it by half-samples"
)
FEW_FILMS = 100
FEW = " (under 100 films of a class: they may cover less than stated, .92 of .95 with 30 and 60 films)"
REASON = "fewer than 2 malignant or normal units: the optimism of the maximum cannot be measured on halves"


def method_of(malignant: int, films: int) -> str:
    """How these limits are made, and what is known of their coverage."""
    return METHOD + (FEW if min(malignant, films - malignant) < FEW_FILMS else "")


def half_samples(strata: NDArray[np.int64], seed: int) -> NDArray[np.uint16]:
    """Counts (0 or 1) of units in random halves and in their complements, each stratum halved by itself.

    A function of the seed and the strata alone. Shape (2 x splits, units).
    """
    units = int(strata[-1])
    splits = int(np.clip(MOST_WEIGHTS // units, 10, SPLITS))
    given = np.zeros((2 * splits, units), np.uint16)
    numbers = np.random.Generator(np.random.Philox(key=seed % 2**64))
    for split in range(splits):
        place = numbers.random(units)
        for first, last in pairwise(strata.tolist()):
            if last - first > 1:
                half = (last - first) // 2
                given[split, first + np.argpartition(place[first:last], half)[:half]] = 1
    given[splits:] = 1 - given[:splits]
    return given


def excess_of_halves(plan: Plan, observed: NDArray[np.float64], seed: int, threads: int | None) -> NDArray[np.float64]:
    """Mean of the largest F1 over halves less that of the whole, by arm; at least 0, NaN with 1 unit of a class."""
    if min(plan.class_units) < 2:
        return np.full(len(plan.arms), np.nan)
    only = replace(
        plan,
        calibrated=np.zeros_like(plan.calibrated),
        fixed=np.zeros((len(plan.arms), 2, 0), np.uint32),
        rules=plan.rules[:0],
        targets=plan.targets[:0],
    )
    given = half_samples(plan.strata, seed)
    values = run(only, given.shape[0], 0, given, threads).scalars[:, :, _kernels.MAX_F1]
    defined = np.isfinite(values).all(axis=1)
    return np.maximum(values[defined].mean(axis=0) - observed, 0.0)


def corrected_limits(
    observed: float, excess: float, draws: NDArray[np.float64], confidence: float
) -> tuple[float, float]:
    """Limits of a largest F1 on the logit scale, for every rate at which its bias may fall.

    The lower limit is set for the larger bias (falling as 1 / sqrt(n)), the upper one for the smaller (as 1 / n). Where
    every draw is alike, or the corrected value is 0 or 1, there is no logit and the percentiles stay.
    """
    tails = np.array([(1 - confidence) / 2, (1 + confidence) / 2])
    centre = observed - excess * np.array([SLOWEST, FASTEST])
    spread = float(draws.std(ddof=1))
    if spread == 0 or (centre <= 0).any() or (centre >= 1).any():
        low, high = np.quantile(draws, tails)
        return float(low), float(high)
    at = np.log(centre) - np.log1p(-centre) + stats.norm.ppf(tails) * spread / (centre * (1 - centre))
    low, high = 1 / (1 + np.exp(-at))
    return float(low), float(high)
