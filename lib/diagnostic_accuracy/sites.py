"""Results pooled over sites: the mean of all sites like these, and what a new site may see.

Sites are a sample: their effects vary by tau^2 beyond what the patients of each explain. Within a site the variance is
that of the joint draws with runs held fixed. Runs are the same at every site, so they cannot be pooled like patients:
what they add to the variance of the pooled effect is taken from its value in every run (see `contrasts`).

    mean        sum w_i y_i / sum w_i,  w_i = 1 / (v_i + tau^2)
    interval    mean +- t(df) sqrt(V),  V = Hartung-Knapp variance + variance of runs
    new site    mean +- t(k - 2) sqrt(tau^2 + V)

References
----------
Paule RC, Mandel J. J Res Natl Bur Stand 1982;87:377 (tau^2). Hartung J, Knapp G. Stat Med 2001;20:3875, never narrower
than without it (Rover C et al. BMC Med Res Methodol 2015;15:99). Higgins JPT, Thompson SG. Stat Med 2002;21:1539 (I^2).
Higgins JPT, Thompson SG, Spiegelhalter DJ. J R Stat Soc A 2009;172:137 (new site).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special
from statsmodels.stats.meta_analysis import combine_effects

from diagnostic_accuracy.bootstrap import Draws
from diagnostic_accuracy.contrasts import Contrast, contrast
from diagnostic_accuracy.estimates import Estimate, results
from diagnostic_accuracy.inference import MOST_UNDEFINED, Question, question
from diagnostic_accuracy.intervals import critical_value
from diagnostic_accuracy.scores import READERS

Floats = NDArray[np.float64]

AUC = ("auc", "film")
FEWEST_SITES = 3
MEASURES = ("auc", "auc_new_site", "tau2", "i2")
SIGNS = (1.0, -1.0)
METHOD = "random effects; Paule and Mandel's tau^2, Hartung and Knapp's interval"


@dataclass(frozen=True)
class Pooled:
    """A random-effects mean.

    Attributes
    ----------
    mean, variance : float
        The variance is Hartung and Knapp's, at least that of the random-effects model.
    tau2 : float
        Variance between sites.
    i2 : float
        Share of the variance of the effects that chance within sites does not explain, in [0, 1].
    weights : array of shape (sites,)
        They sum to 1.
    """

    mean: float
    variance: float
    tau2: float
    i2: float
    weights: Floats


def pool(effects: Floats, variances: Floats) -> Pooled:
    """Random-effects mean of independent effects.

    Parameters
    ----------
    effects, variances : array of shape (sites,)
        Variances above 0.

    Returns
    -------
    Pooled

    Notes
    -----
    tau^2, mean and its variance as `metafor::rma(method = "PM", test = "knha")`; I^2 from Cochran's Q.

    Examples
    --------
    >>> round(pool(np.array([0.0, 1.0, 2.0]), np.array([0.1, 0.1, 0.1])).tau2, 6)
    0.9
    """
    with np.errstate(divide="ignore"):  # equal effects: Cochran's Q is 0
        found = combine_effects(effects, variances, method_re="iterated", atol=1e-9, maxiter=200)
    variance = float(found.sd_eff_w_re**2 * max(1.0, found.scale_hksj_re))
    i2, weights = max(float(found.i2), 0.0), found.weights_rel_re
    return Pooled(float(found.mean_effect_re), variance, float(found.tau2), i2, weights)


def pool_sites(parts: Mapping[str, Draws], reference: str, confidence: float = 0.95) -> pd.DataFrame:
    """The AUC, and its difference between two arms, pooled over sites.

    Parameters
    ----------
    parts : mapping of str to Draws
        One a site, from `subgroups.subgroup_draws`.
    reference : str
        The arm that the others are compared with.
    confidence : float in (0, 1)

    Returns
    -------
    DataFrame
        A table of results, section 'sites', for every arm and difference: `auc`, pooled (an arm's AUC on the logit,
        differences as they are); `auc_new_site` with its prediction interval; `tau2` on the scale of the pooling; `i2`.
        `n` counts sites. Empty with fewer than three sites.
    """
    if len(parts) < FEWEST_SITES:
        return results([])
    first = next(iter(parts.values()))
    asked = question(first, "auc", confidence, {"unit": "film"})
    others = [arm for arm in first.scores.arms if arm != reference]
    rows: list[dict[str, Any]] = []
    for ask in [*((arm,) for arm in first.scores.arms), *((arm, reference) for arm in others)]:
        place = {"section": "sites", "arm": ask[0], "reference": "".join(ask[1:]), "unit": "film",
                 "confidence": confidence}  # fmt: skip
        found = _pooled(asked, list(parts.values()), list(parts), ask)
        rows += [one.row(**place, measure=measure) for measure, one in found.items()]
    return results(rows)


def _pooled(asked: Question, parts: Sequence[Draws], names: Sequence[str], ask: Sequence[str]) -> dict[str, Estimate]:
    """Estimates by measure, of one arm or of the difference of two."""
    columns = [asked.columns(arm) for arm in ask]
    values = np.stack([part.observed[AUC] for part in parts])  # sites x runs
    drawn = np.stack([part.values[AUC] for part in parts], axis=1)  # draws x sites x runs
    fine = np.isfinite(drawn).all(axis=(1, 2))
    drawn = drawn[fine]
    mean, spread = (
        np.sum([s * one[..., c].mean(axis=-1) for s, c in zip(SIGNS, columns, strict=False)], axis=0)
        for one in (values, drawn)
    )
    logit = len(ask) == 1
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = 1 / (mean * (1 - mean)) if logit else np.ones_like(mean)
        variances = slope**2 * np.var(spread, axis=0, ddof=1)
    odd = [name.partition("=")[2] for name, v in zip(names, variances, strict=True) if not 0 < v < np.inf]
    reason = f"the draws do not vary at {', '.join(odd)}, which would get all the weight" if odd else ""
    if 1 - fine.mean() > MOST_UNDEFINED:
        reason = f"not defined in {1 - fine.mean():.1%} of the draws: a site has few films of a class"
    if reason:
        return {name: Estimate.missing(reason, METHOD, len(parts)) for name in MEASURES}
    found = pool(special.logit(mean) if logit else mean, variances)
    share = found.weights * slope
    runs = [[asked.draws.runs[c][1] for c in own] for own in columns]
    crossed = asked.draws.scores.kind == READERS and not logit and runs[0] == runs[1]
    word = "readers" if asked.draws.scores.kind == READERS else "runs"
    varied = contrast([share @ values[:, c] for c in columns], [share @ drawn[..., c] for c in columns],
                      crossed, asked.unit_word, word)  # fmt: skip
    return _estimates(found, varied, asked, logit)


def _estimates(found: Pooled, runs: Contrast, asked: Question, logit: bool) -> dict[str, Estimate]:
    """The pooled effect, what a new site may see, and what varies between sites."""
    sites = len(found.weights)
    of_runs = max(runs.variance - runs.fixed, 0.0)
    variance = found.variance + of_runs
    spread = found.variance**2 / (sites - 1) + (runs.variance**2 / runs.df if of_runs else 0.0)
    df = variance**2 / spread
    alone = runs.basis == "this run only"
    basis = f"sites and {asked.unit_word}, {runs.basis}" if alone else f"sites, {runs.basis}"

    def limits(df: float, variance: float) -> tuple[float, float]:
        half = critical_value(asked.confidence, df) * np.sqrt(variance)
        ends = np.array([found.mean - half, found.mean + half])
        low, high = special.expit(ends) if logit else np.clip(ends, -1, 1)
        return float(low), float(high)

    mean = float(special.expit(found.mean)) if logit else found.mean
    p = None if logit else max(float(2 * special.stdtr(df, -abs(found.mean) / np.sqrt(variance))), 1e-300)
    scale = "of the logit" if logit else "of the difference"
    silent = partial(Estimate, lower=None, upper=None, n=sites, note="describes these sites, without an interval")
    low, high = limits(df, variance)
    low_new, high_new = limits(sites - 2, found.tau2 + variance)
    return {
        "auc": Estimate(mean, low, high, METHOD, sites, p=p, df=df, basis=basis),
        "auc_new_site": Estimate(mean, low_new, high_new, METHOD, sites, df=sites - 2, basis=basis),
        "tau2": silent(found.tau2, method=f"Paule and Mandel, {scale}"),
        "i2": silent(found.i2, method=f"from Cochran's Q, {scale}"),
    }
