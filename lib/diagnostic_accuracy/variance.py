"""Where the variance comes from: training runs, external patients, validation patients.

The covariances come from three sets of draws: both cohorts drawn, validation patients alone, external patients alone.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from diagnostic_accuracy.bootstrap import Draws
from diagnostic_accuracy.contrasts import mean_squares
from diagnostic_accuracy.estimates import Estimate, results
from diagnostic_accuracy.inference import ROUNDING, Component, Floats, Question, question
from diagnostic_accuracy.scores import READERS


def run_spread(draws: Draws, measure: str, *, confidence: float = 0.95, **setting: Any) -> pd.DataFrame:
    """Standard deviation between the runs of each arm, apart from what their own draws explain, with its interval.

    Parameters
    ----------
    draws : Draws
    measure : str
    confidence : float
    **setting
        As `infer`: point, threshold_from, unit, at, recalibration.

    Returns
    -------
    DataFrame
        A table of results, section 'variance', measure 'run_sd', group = the measure.

    Notes
    -----
    Run variance = max(MS - V1 + C2, 0): MS the variance between runs, V1 the mean variance of the draws within a run,
    C2 their mean covariance between runs. Limits are those of MS by the chi-square distribution, moved by C2 - V1
    (Burdick & Graybill, Confidence Intervals on Variance Components, 1992, ch. 3).
    """
    asked = question(draws, measure, confidence, setting)
    identity = asked.identity | {"section": "variance", "measure": "run_sd", "group": measure}
    return results(_spread(asked.part(arm), asked).row(**identity, arm=arm) for arm in draws.scores.arms)


def _run_variance(values: Floats, drawn: Floats) -> tuple[float, float]:
    """MS, and C2 - V1: what their own draws take off (or add to) the variance between runs."""
    square, covariance = mean_squares(values, drawn)
    return square, covariance - float(np.var(drawn, axis=0, ddof=1).mean())


def _spread(part: Component, asked: Question) -> Estimate:
    method, n = "standard deviation between runs, apart from the variance of their own draws", asked.n
    if len(part.runs) == 1:
        return Estimate.missing("one run: runs cannot be compared", method, n)
    if not _defined([part]):
        return Estimate.missing(asked.measure.undefined, method, n)
    values, drawn = part.linear(asked.value)
    square, own = _run_variance(values, drawn)
    tails = stats.chi2.ppf([0.5 + asked.confidence / 2, 0.5 - asked.confidence / 2], values.size - 1)
    limits = [max(square * (values.size - 1) / tail + own, 0.0) for tail in tails]
    estimate = max(square + own, 0.0)
    basis = f"{values.size} runs"
    if square <= ROUNDING or limits[1] == 0:
        return Estimate(0.0, None, None, method, n, note="the draws explain more than the runs vary", basis=basis)
    low, high = np.sqrt(limits)
    return Estimate(float(np.sqrt(estimate)), float(low), float(high), method, n, df=values.size - 1, basis=basis)


def shares(
    draws: Draws, validation_only: Draws, external_only: Draws, measure: str, *, reference: str, **setting: Any
) -> pd.DataFrame:
    """Shares of the variance of each difference that come from runs, external and validation patients.

    Parameters
    ----------
    draws : Draws
        Both cohorts drawn.
    validation_only, external_only : Draws
        With the external, or the validation films held as they are.
    measure, reference, **setting
        As `infer`.

    Returns
    -------
    DataFrame
        Section 'variance', measure 'share', group = 'measure: source'; estimates add up to 1.
    """
    asked = question(draws, measure, 0.95, setting)
    sources = ["readers" if draws.scores.kind == READERS else "training runs"]
    sources += [f"{cohort} {asked.unit_word}" for cohort in ("external", "validation")]
    rows, method = [], "share of the variance of the difference"
    for arm in (arm for arm in draws.scores.arms if arm != reference):
        variances = [np.nan] * len(sources)
        if _defined(asked.pair(arm, reference)):
            runs = sum(spread / size for spread, size in _between(asked, arm, reference) if size > 1)
            variances = [float(runs), *(_fixed_variance(replace(asked, draws=held), arm, reference)
                                        for held in (external_only, validation_only))]  # fmt: skip
        total = sum(variances)
        for source, variance in zip(sources, variances, strict=True):
            found = Estimate.missing("nothing varies, or a run is not defined", method, asked.n)
            if total > 0:
                note = "a share, shown without an interval"
                found = Estimate(variance / total, None, None, method, asked.n, note=note)
            identity = asked.identity | {"section": "variance", "measure": "share", "group": f"{measure}: {source}"}
            rows.append(found.row(**identity | {"confidence": None}, arm=arm, reference=reference))
    return results(rows)


def _defined(parts: list[Component]) -> bool:
    """Whether every run has a value, in the sample and in some draws."""
    return all(np.isfinite(part.observed).all() and len(part.values[0]) > 1 for part in parts)


def _between(asked: Question, arm: str, reference: str) -> list[tuple[float, int]]:
    """Variances that runs add to a difference of single runs, each with its number of runs.

    One an arm; readers who read with both arms differ in their own difference only.
    """
    parts = asked.pair(arm, reference)
    pairs = [part.linear(asked.value) for part in parts]
    if asked.crossed(parts):
        (one, drawn), (other, against) = pairs
        pairs = [(one - other, drawn - against)]
    return [
        (max(sum(_run_variance(values, drawn)), 0.0) if values.size > 1 else np.nan, values.size)
        for values, drawn in pairs
    ]


def _drawn(asked: Question, arm: str, reference: str) -> list[Floats]:
    """The draws of both arms, linearised."""
    return [part.linear(asked.value)[1] for part in asked.pair(arm, reference)]


def _fixed_variance(asked: Question, arm: str, reference: str) -> float:
    """Variance of the draws of a difference of means, with runs held fixed."""
    one, other = _drawn(asked, arm, reference)
    return float(np.var(one.mean(axis=1) - other.mean(axis=1), ddof=1))


def false_difference_rate(
    draws: Draws, external_only: Draws, measures: tuple[dict[str, Any], ...], *, reference: str, level: float = 0.05
) -> pd.DataFrame:
    """How often a test within one run an arm calls two EQUAL arms different, given this study's spread between runs.

    The test's own variance is that of external patients alone, with one run an arm; the true variance of a one-run
    difference adds validation patients and the run variances of both arms.

    Parameters
    ----------
    draws, external_only : Draws
        Both cohorts drawn; validation films held as they are.
    measures : tuple of dict
        Keyword arguments of `infer`, each with 'measure'.
    reference : str
    level : float
        Nominal level of the test.

    Returns
    -------
    DataFrame
        Section 'as_published', measure 'false_difference_rate', group = the measure.
    """
    rows, method = [], "rejections of a test within one run at equal arms"
    critical = stats.norm.ppf(1 - level / 2)
    for ask in measures:
        setting = {key: value for key, value in ask.items() if key != "measure"}
        asked = question(draws, ask["measure"], 1 - level, setting)
        named = {"section": "as_published", "measure": "false_difference_rate", "group": ask["measure"]}
        for arm in (arm for arm in draws.scores.arms if arm != reference):
            why = "one run an arm, or a run without a value: the spread between runs is not known"
            found = Estimate.missing(why, method, asked.n)
            if single := _one_run(asked, external_only, arm, reference):
                test, truth = single
                rate = float(2 * stats.norm.sf(critical * np.sqrt(test / truth))) if truth > 0 else level
                note = "computed from estimated variances, shown without an interval"
                found = Estimate(rate, None, None, method, asked.n, note=note)
            identity = asked.identity | named | {"confidence": None}
            rows.append(found.row(**identity, arm=arm, reference=reference))
    return results(rows)


def _one_run(asked: Question, external_only: Draws, arm: str, reference: str) -> tuple[float, float] | None:
    """Variance that the test of one run takes, and the true one; means over pairs of runs in their order."""
    if not _defined(asked.pair(arm, reference)):
        return None
    between = sum(spread for spread, _ in _between(asked, arm, reference))
    if np.isnan(between):
        return None
    found = []
    for draws in (external_only, asked.draws):
        one, other = _drawn(replace(asked, draws=draws), arm, reference)
        runs = min(one.shape[1], other.shape[1])
        gaps = one[:, :runs] - other[:, :runs]
        found.append(float(np.var(gaps, axis=0, ddof=1).mean()))
    return found[0], found[1] + float(between)
