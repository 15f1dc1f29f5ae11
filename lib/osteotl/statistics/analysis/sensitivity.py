"""Beside the primary calibration: limits of smooth distances, flexible recalibrations, another clinic's prevalence."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from osteotl.statistics._logistic import fit_logistic
from osteotl.statistics.analysis.inputs import Cohort, Run
from osteotl.statistics.analysis.prepare import Prepared
from osteotl.statistics.calibration import brier_score
from osteotl.statistics.calibration_curves import smooth_calibration
from osteotl.statistics.estimate import Estimate
from osteotl.statistics.recalibration import fit_recalibration
from osteotl.statistics.resampling import resampled_rows

Numbers = dict[str, Any]
Vector = NDArray[np.float64]
DISTANCES = ("ici", "e50", "e90")
DISTANCE_DRAWS = 200  # a smooth curve each: milliseconds
MOST_SMOOTHED_FILMS = 5_000
FLEXIBLE = ("isotonic", "beta")


def distance_limits(prepared: Prepared, run: Run, recalibrated: bool) -> dict[str, tuple[float, float]] | None:
    """Percentile limits of ICI, E50 and E90 of one run; None where none are made.

    Made for the first listed seed, up to 5,000 films. Where risks are recalibrated, validation is resampled too and the
    recalibration fitted anew in each draw. Draws without a curve are left out; None with more than 5 % of them.
    """
    films, draws = prepared.external, prepared.resamples(DISTANCE_DRAWS)
    if run[1] != prepared.seeds[0] or films.label.size > MOST_SMOOTHED_FILMS:
        return None
    found = []
    for label, risk in _drawn(prepared, run, recalibrated, draws):
        again = smooth_calibration(label, risk)
        if again.ici is not None and np.isfinite(again.ici):
            found.append([getattr(again, name) for name in DISTANCES])
    if len(found) < 0.95 * draws:
        return None
    tail = (1 - prepared.settings.confidence) / 2
    low, high = np.quantile(np.array(found), [tail, 1 - tail], axis=0)
    return {name: (float(low[i]), float(high[i])) for i, name in enumerate(DISTANCES)}


def _drawn(prepared: Prepared, run: Run, recalibrated: bool, draws: int) -> Iterator[tuple[NDArray[np.bool_], Vector]]:
    """Labels and risks of every draw in which both sets have both classes and can be fitted."""
    films, learnt, asked = prepared.external, prepared.validation, prepared.settings
    if not recalibrated or learnt is None:
        for rows in _rows(films, draws, asked.bootstrap_seed, asked.sampling):
            if 0 < films.label[rows].sum() < rows.size:
                yield films.label[rows], films.score[run][rows]
        return
    both = [_rows(c, draws, 2 * asked.bootstrap_seed + i, asked.sampling) for i, c in enumerate((learnt, films))]
    for there, rows in zip(*both, strict=True):
        label = learnt.label[there]
        if not 0 < label.sum() < label.size or not 0 < films.label[rows].sum() < rows.size:
            continue
        try:
            fit = fit_logistic(label, learnt.logit[run][there])
        except ValueError:  # separated in this draw: no recalibration
            continue
        yield films.label[rows], expit(fit.intercept + fit.slope * films.logit[run][rows])


def _rows(cohort: Cohort, draws: int, seed: int, sampling: str) -> Iterator[NDArray[np.int64]]:
    return resampled_rows(cohort.label, cohort.clusters, draws, seed, sampling)


def flexible_recalibrations(prepared: Prepared, run: Run) -> Numbers:
    """Brier score after isotonic and beta recalibration: does the form of the primary, logistic one matter?"""
    films, learnt, found = prepared.external, prepared.validation, {}
    for kind in FLEXIBLE:
        method = f"mean squared error after {kind} recalibration on validation (sensitivity analysis), point estimate"
        if learnt is None:
            continue
        try:
            risk = fit_recalibration(learnt.label, learnt.logit[run], kind).risks(films.logit[run])
            number = Estimate(brier_score(films.label, risk, None).score, None, None, method, films.label.size)
        except ValueError as reason:  # under 200 malignant validation films, or no rising map
            number = Estimate.missing(str(reason), method, films.label.size)
        found[f"brier_{kind}"] = number.to_dict()
    return found
