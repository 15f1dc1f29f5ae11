"""What is said of one arm: its mean over training runs, and every run."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from osteotl.statistics.analysis.details import curve_details, risk_details
from osteotl.statistics.analysis.inputs import Run
from osteotl.statistics.analysis.points import Point
from osteotl.statistics.analysis.prepare import RECALIBRATED_DRAWS, RESELECTED, Prepared
from osteotl.statistics.analysis.sensitivity import (
    DISTANCE_DRAWS,
    DISTANCES,
    distance_limits,
    flexible_recalibrations,
)
from osteotl.statistics.calibration import brier_score, calibration_fit
from osteotl.statistics.calibration_curves import smooth_calibration
from osteotl.statistics.delong import auc_interval
from osteotl.statistics.estimate import Estimate
from osteotl.statistics.rates import rates
from osteotl.statistics.recalibration import recalibrated_intervals
from osteotl.statistics.relearning import relearnt_rate
from osteotl.statistics.replicates import ONE_SEED, arm_mean

HEADLINE_RATES = ("sensitivity", "specificity", "ppv", "npv")
OTHER_RATES = ("accuracy", "f1", "lr_positive", "lr_negative")
# With fewer films of a class than this the Wald interval of one run's AUC covers too little (.88 of .95 at 30/60).
WALD_FROM = 100
LOESS_UP_TO = 20_000
NOT_PROBABILITIES = "scores lie outside [0, 1]: they are not probabilities"

Numbers = dict[str, Any]


def scale_of(label: NDArray[np.bool_], seeds: int = 1) -> str:
    """Scale of an AUC's interval: Wald, as published, of one run; logit where a class is small or runs are several."""
    return "wald" if seeds == 1 and min(label.sum(), (~label).sum()) >= WALD_FROM else "logit"


def arm_results(prepared: Prepared, arm: str) -> Numbers:
    """The block `arms.ARM` of statistics.json, localisation and learning curve aside."""
    main = prepared.main
    block: Numbers = {"auc": mean_auc(prepared, arm).to_dict()}
    names = ["average_precision", "max_f1"]
    block |= {name: prepared.bootstrapped(arm, name).to_dict() for name in names}
    if prepared.risk is not None:
        block["brier_recalibrated"] = prepared.bootstrapped(arm, "brier").to_dict()
    block["brier_raw"] = mean_raw_brier(prepared, arm).to_dict()
    block["operating_points"] = {point.key: point_means(prepared, arm, point) for point in prepared.points}
    if main is not None:
        rates_there = block["operating_points"][main.key]
        block["missed_per_100"] = _complement(rates_there["sensitivity"], 100)
        block["false_alarms_per_1000"] = _complement(rates_there["specificity"], 1000)
    block["predictive_values"] = [
        {"prevalence": prevalence, "point": point.key, **predictive_values(prepared, arm, point, prevalence)}
        for point in prepared.points
        for prevalence in prepared.settings.prevalences
    ]
    block["patient_level"] = patient_level_results(prepared, arm)
    block["per_seed"] = {str(seed): run_results(prepared, (arm, seed)) for seed in prepared.seeds}
    return block


def mean_auc(prepared: Prepared, arm: str) -> Estimate:
    """Mean AUC over seeds."""
    scale = scale_of(prepared.external.label, len(prepared.seeds))
    return arm_mean(prepared.auc, arm, prepared.settings.confidence, scale=scale)


def mean_raw_brier(prepared: Prepared, arm: str) -> Estimate:
    """Mean squared error of the scores as they come, mean over seeds."""
    films = prepared.external
    method, size = (
        f"mean squared error of raw scores, mean of {len(prepared.seeds)} runs, point estimate",
        films.label.size,
    )
    scores = [films.score[arm, seed] for seed in prepared.seeds]
    if any(((score < 0) | (score > 1)).any() for score in scores):
        return Estimate.missing(NOT_PROBABILITIES, method, size)
    value = float(np.mean([np.mean((score - films.label) ** 2) for score in scores]))
    return Estimate(value, None, None, method, size)


def _complement(number: Numbers, per: int) -> Numbers:
    """1 - rate, per 100 or per 1,000; the limits change places."""

    def flip(value: float | None) -> float | None:
        return None if value is None else per * (1 - value)

    ends = {"estimate": flip(number["estimate"]), "lower": flip(number["upper"]), "upper": flip(number["lower"])}
    return {**number, **ends, "method": f"{per} x (1 - rate); {number['method']}"}


def point_means(prepared: Prepared, arm: str, point: Point) -> Numbers:
    """Mean rates over seeds, each seed at its own threshold."""
    means = mean_rates(prepared, arm, point)
    means |= {name: prepared.bootstrapped(arm, f"{point.key}/{name}").to_dict() for name in OTHER_RATES}
    return means | {"target": point.target}


def mean_rates(prepared: Prepared, arm: str, point: Point) -> Numbers:
    """The headline rates at a point; of a single run, the very numbers that stand with that run."""
    films, confidence = prepared.external, prepared.settings.confidence
    if len(prepared.seeds) > 1:
        return {n: arm_mean(prepared.rates(point, n), arm, confidence).to_dict() for n in HEADLINE_RATES}
    run = arm, prepared.seeds[0]
    found = rates(films.label, films.score[run], point.threshold[run], films.clusters, confidence)
    return {n: replace(found[n], method=f"{found[n].method}, {ONE_SEED}").to_dict() for n in HEADLINE_RATES}


def predictive_values(prepared: Prepared, arm: str, point: Point, prevalence: float) -> Numbers:
    """PPV and NPV that the rates would give at another prevalence (Bayes), mean over seeds."""

    def bayes(sensitivity: Any, specificity: Any, name: str) -> Any:
        found, spared = sensitivity * prevalence, specificity * (1 - prevalence)
        wrong = (1 - specificity) * (1 - prevalence) if name == "ppv" else (1 - sensitivity) * prevalence
        right = found if name == "ppv" else spared
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(right + wrong > 0, right / (right + wrong), np.nan)

    result = {}
    for name in ("ppv", "npv"):
        values, draws = [], []
        for boot in prepared.bootstrap.values():
            pair = [boot.estimates[arm][f"{point.key}/{rate}"].estimate for rate in ("sensitivity", "specificity")]
            values.append(bayes(np.array(pair[0]), np.array(pair[1]), name))
            drawn = [boot.draws.of(arm, f"{point.key}/{rate}") for rate in ("sensitivity", "specificity")]
            draws.append(bayes(drawn[0], drawn[1], name))
        result[name] = prepared.percentiles(float(np.mean(values)), np.mean(draws, axis=0)).to_dict()
    return result


def patient_level_results(prepared: Prepared, arm: str) -> Numbers:
    """AUC and rates with patients as the units (largest score over views); empty where no patient repeats."""
    patients = prepared.by_patients
    if patients is None:
        return {}
    points = {point.key: mean_rates(patients, arm, point) for point in patients.points}
    block: Numbers = {"auc": mean_auc(patients, arm).to_dict(), "operating_points": points}
    if patients.main is not None:
        block["missed_per_100"] = _complement(points[patients.main.key]["sensitivity"], 100)
        block["false_alarms_per_1000"] = _complement(points[patients.main.key]["specificity"], 1000)
    return block


def run_results(prepared: Prepared, run: Run) -> Numbers:
    """The block `per_seed.SEED` of one arm."""
    films, confidence, (arm, seed) = prepared.external, prepared.settings.confidence, run
    score, boot = films.score[run], prepared.bootstrap[seed].estimates[arm]
    own = auc_interval(films.label, score, films.clusters, confidence, scale_of(films.label))
    block: Numbers = {"auc": own.to_dict()}
    if prepared.by_patients is not None:
        there = prepared.by_patients.external
        whole = auc_interval(there.label, there.score[run], None, confidence, scale_of(there.label))
        block["auc_patient"] = whole.to_dict()
    block |= {name: boot[name].to_dict() for name in ("average_precision", "max_f1")}
    block |= curve_details(films, run) | raw_calibration(prepared, run) | recalibrated(prepared, run)
    if prepared.risk is not None:
        block |= risk_details(films.label, prepared.risk[run]) | flexible_recalibrations(prepared, run)
    block["operating_points"] = {point.key: _point(prepared, run, point) for point in prepared.points}
    return block


def _point(prepared: Prepared, run: Run, point: Point) -> Numbers:
    films, (arm, seed) = prepared.external, run
    threshold = point.threshold[run]
    found = rates(films.label, films.score[run], threshold, films.clusters, prepared.settings.confidence)
    block: Numbers = {
        "threshold": threshold if np.isfinite(threshold) else None,
        **asdict(point.counts(films, run)),
        "validation": asdict(point.learnt[run]) if point.source == "validation" else None,
        **{name: estimate.to_dict() for name, estimate in found.items()},
    }
    if point.source == "external":
        anew = prepared.bootstrap[seed].estimates[arm]
        return block | {
            f"{name}_relearnt": anew[f"{point.key}{RESELECTED}/{name}"].to_dict() for name in HEADLINE_RATES
        }
    drawn = prepared.relearnt[point.key, run]
    confidence = prepared.settings.confidence
    return block | {f"{name}_relearnt": relearnt_rate(drawn, name, confidence).to_dict() for name in HEADLINE_RATES}


# --- scores as probabilities ------------------------------------------------------------------------------------------


def raw_calibration(prepared: Prepared, run: Run) -> Numbers:
    """How far the scores as they come are from probabilities."""
    films = prepared.external
    score = films.score[run]
    if not ((score >= 0) & (score <= 1)).all():
        return {"brier_raw": Estimate.missing(NOT_PROBABILITIES, "raw scores", films.films.size).to_dict()}
    fit = calibration_fit(films.label, score, films.clusters, prepared.settings.confidence)
    brier = brier_score(films.label, score, None)
    n = films.films.size
    return {
        "brier_raw": Estimate(brier.score, None, None, "mean squared error of raw scores, point estimate", n).to_dict(),
        "calibration_in_the_large_raw": fit.in_the_large.to_dict(),
        "calibration_intercept_raw": fit.intercept.to_dict(),
        "calibration_slope_raw": fit.slope.to_dict(),
        **{f"{name}_raw": number for name, number in _smooth(prepared, run, score, recalibrated=False).items()},
    }


def recalibrated(prepared: Prepared, run: Run) -> Numbers:
    """Brier score and calibration after recalibration on validation; intervals resample validation too."""
    same = ("scaled_brier", "calibration_slope", "calibration_in_the_large", "calibration_intercept")
    names = {"brier": "brier_recalibrated", **{name: name for name in same}}
    films, learnt, asked = prepared.external, prepared.validation, prepared.settings
    if prepared.risk is None or learnt is None:
        missing = Estimate.missing(
            f"not recalibrated: {prepared.why_no_risk}", "logistic recalibration", films.films.size
        )
        return {name: missing.to_dict() for name in names.values()}
    found = recalibrated_intervals(
        (learnt.label, learnt.logit[run]),
        (films.label, films.logit[run]),
        validation_patients=learnt.clusters,
        external_patients=films.clusters,
        replicates=prepared.resamples(RECALIBRATED_DRAWS),
        seed=asked.bootstrap_seed,
        sampling=asked.sampling,
        confidence=asked.confidence,
    )
    primary = {names[name]: number.to_dict() for name, number in found.items()}
    return primary | _smooth(prepared, run, prepared.risk[run], recalibrated=True)


def smoother_for(films: int) -> str:
    """R's loess, as published distances use it; lowess for very many films."""
    return "loess" if films <= LOESS_UP_TO else "lowess"


def _smooth(prepared: Prepared, run: Run, risk: Any, recalibrated: bool) -> Numbers:
    """ICI, E50 and E90 of the smooth calibration curve; intervals for the first listed seed."""
    label = prepared.external.label
    curve = smooth_calibration(label, risk, smoother_for(label.size))
    method = f"distance of the {curve.method} calibration curve from the diagonal"
    reason = curve.not_estimable or "too many films share one risk: a neighbourhood has no width"
    if curve.ici is None or not np.isfinite(curve.ici):
        missing = Estimate.missing(reason, f"{method}, point estimate", label.size).to_dict()
        return dict.fromkeys(DISTANCES, missing)
    limits = distance_limits(prepared, run, recalibrated)
    if limits is None:
        how = f"{method}, point estimate"
        return {name: Estimate(getattr(curve, name), None, None, how, label.size).to_dict() for name in DISTANCES}
    both = ", both sets resampled and the recalibration refitted" if recalibrated else ""
    how = f"{method}, percentile bootstrap (B = {prepared.resamples(DISTANCE_DRAWS)}){both}; sizes, never negative"
    return {name: Estimate(getattr(curve, name), *limits[name], how, label.size).to_dict() for name in DISTANCES}
