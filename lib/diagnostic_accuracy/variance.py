"""Where the variance comes from: training runs, external patients, validation patients.

The covariances come from three sets of draws: both cohorts drawn, validation patients alone, external patients alone.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from diagnostic_accuracy.bootstrap import Draws
from diagnostic_accuracy.estimates import Estimate, results
from diagnostic_accuracy.inference import Component, mean_squares, question
from diagnostic_accuracy.scores import READERS


def run_spread(
    draws: Draws, measure: str, *, confidence: float = 0.95, reference: str | None = None, **setting: Any
) -> pd.DataFrame:
    """Standard deviation between the runs of each arm, apart from what their own draws explain, with its interval.

    Parameters
    ----------
    draws : Draws
    measure : str
    confidence : float
    reference : str, optional
        Accepted for symmetry with `infer`; nothing is compared.
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
    rows = []
    for arm in draws.scores.arms:
        part = Component.of(draws, asked.keys, asked.columns(arm))
        values, drawn = part.linear(asked.value)
        rows.append(
            _spread(values, drawn, confidence, asked.n).row(**_identity(asked.setting, measure, confidence), arm=arm)
        )
    return results(rows)


def _spread(values: Any, drawn: Any, confidence: float, n: int) -> Estimate:
    method = "standard deviation between runs, apart from the variance of their own draws"
    if values.size == 1:
        return Estimate.missing("one run: runs cannot be compared", method, n)
    square, covariance = mean_squares(values, drawn)
    own = covariance - float(np.var(drawn, axis=0, ddof=1).mean())
    tails = stats.chi2.ppf([0.5 + confidence / 2, 0.5 - confidence / 2], values.size - 1)
    limits = [max(square * (values.size - 1) / tail + own, 0.0) for tail in tails]
    estimate = max(square + own, 0.0)
    basis = f"{values.size} runs"
    if limits[1] == 0:
        return Estimate(0.0, None, None, method, n, note="the draws explain more than the runs vary", basis=basis)
    low, high = np.sqrt(limits)
    return Estimate(float(np.sqrt(estimate)), float(low), float(high), method, n, df=values.size - 1, basis=basis)


def _identity(setting: dict[str, Any], measure: str, confidence: float | None) -> dict[str, Any]:
    shown = {
        key: "" if value is None else value
        for key, value in setting.items()
        if key in ("point", "threshold_from", "unit", "recalibration")
    }
    return {
        "section": "variance",
        "measure": "run_sd",
        "group": measure,
        "confidence": confidence,
        "at": setting["at"],
        **shown,
    }


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
    rows = []
    for arm in (arm for arm in draws.scores.arms if arm != reference):
        parts = variances(draws, validation_only, external_only, measure, arm, reference, setting)
        total = sum(parts.values())
        for source, variance in parts.items():
            share, note = None, "nothing varies"
            if total > 0:
                share, note = variance / total, "a share, shown without an interval"
            found = Estimate(share, None, None, "share of the variance of the difference", asked.n, note=note)
            identity = _identity(asked.setting, measure, None) | {"measure": "share", "group": f"{measure}: {source}"}
            rows.append(found.row(**identity, arm=arm, reference=reference))
    return results(rows)


def variances(
    draws: Draws,
    validation_only: Draws,
    external_only: Draws,
    measure: str,
    arm: str,
    reference: str,
    setting: dict[str, Any],
) -> dict[str, float]:
    """Variance of a difference by source: between runs, external patients, validation patients."""
    asked = question(draws, measure, 0.95, setting)
    word = asked.unit_word
    runs = 0.0
    for name in (arm, reference):
        part = Component.of(draws, asked.keys, asked.columns(name))
        values, drawn = part.linear(asked.value)
        if values.size > 1:
            square, covariance = mean_squares(values, drawn)
            runs += max(square - float(np.var(drawn, axis=0, ddof=1).mean()) + covariance, 0.0) / values.size
    found = {"readers" if draws.scores.kind == READERS else "training runs": runs}
    for source, alone in ((f"external {word}", external_only), (f"validation {word}", validation_only)):
        found[source] = fixed_variance(alone, measure, arm, reference, setting)
    return found


def fixed_variance(
    draws: Draws, measure: str, arm: str, reference: str, setting: dict[str, Any], runs: int | None = None
) -> float:
    """Variance of the draws of a difference with runs held fixed; of the first `runs` runs, or of all."""
    asked = question(draws, measure, 0.95, setting)
    both = [
        Component.of(draws, asked.keys, asked.columns(name)[:runs]).linear(asked.value)[1] for name in (arm, reference)
    ]
    size = min(len(b) for b in both)
    return float(np.var(both[0][:size].mean(axis=1) - both[1][:size].mean(axis=1), ddof=1))


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
    rows = []
    critical = stats.norm.ppf(1 - level / 2)
    for ask in measures:
        setting = {key: value for key, value in ask.items() if key != "measure"}
        asked = question(draws, ask["measure"], 1 - level, setting)
        for arm in (arm for arm in draws.scores.arms if arm != reference):
            single = _one_run(draws, external_only, asked, arm, reference)
            identity = _identity(asked.setting, ask["measure"], None) | {
                "section": "as_published", "measure": "false_difference_rate", "group": ask["measure"], "arm": arm,
                "reference": reference,
            }  # fmt: skip
            method = "rejections of a test within one run at equal arms"
            if single is None:
                rows.append(
                    Estimate.missing("one run an arm: the spread between runs is not known", method, asked.n).row(
                        **identity
                    )
                )
                continue
            test, truth = single
            rate = float(2 * stats.norm.sf(critical * np.sqrt(test / truth))) if truth > 0 else level
            note = "computed from estimated variances, shown without an interval"
            rows.append(Estimate(rate, None, None, method, asked.n, note=note).row(**identity))
    return results(rows)


def _one_run(draws: Draws, external_only: Draws, asked: Any, arm: str, reference: str) -> tuple[float, float] | None:
    """Variance that the test of one run takes, and the true one; means over pairs of runs in their order."""
    between = 0.0
    for name in (arm, reference):
        values, drawn = Component.of(draws, asked.keys, asked.columns(name)).linear(asked.value)
        if values.size < 2:
            return None
        square, covariance = mean_squares(values, drawn)
        between += max(square - float(np.var(drawn, axis=0, ddof=1).mean()) + covariance, 0.0)
    found = []
    for source in (external_only, draws):
        both = [
            Component.of(source, asked.keys, asked.columns(name)).linear(asked.value)[1] for name in (arm, reference)
        ]
        size, runs = min(len(b) for b in both), min(b.shape[1] for b in both)
        gaps = both[0][:size, :runs] - both[1][:size, :runs]
        found.append(float(np.var(gaps, axis=0, ddof=1).mean()))
    return found[0], found[1] + between
