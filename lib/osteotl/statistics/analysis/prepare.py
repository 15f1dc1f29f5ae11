"""What every part of the analysis shares: films aligned, thresholds, risks, one bootstrap a seed, marks."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from osteotl.statistics._optimism import REASON, corrected_limits, method_of
from osteotl.statistics.analysis.inputs import Cohort, Inputs, Run, Settings
from osteotl.statistics.analysis.points import Point, find_points, main_point
from osteotl.statistics.bootstrap import BCA_MOST_FILMS, JointBootstrap, joint_bootstrap
from osteotl.statistics.decision_curve import threshold_grid
from osteotl.statistics.estimate import Estimate
from osteotl.statistics.matching import Marks, match_boxes
from osteotl.statistics.operating_points import patient_level
from osteotl.statistics.recalibration import Recalibration, fit_recalibration
from osteotl.statistics.relearning import Films, Relearnt, relearn
from osteotl.statistics.replicate_values import Runs, auc_replicates, rate_replicates
from osteotl.statistics.replicates import Replicates

RESELECTED = " reselected"  # marks, among the bootstrap's points, thresholds that are found anew in every replicate
MOST_RESAMPLED_FILMS = 100_000_000  # films times replicates of a secondary bootstrap

RELEARNT_DRAWS = 2_000  # of thresholds learnt anew on resampled validation patients
RECALIBRATED_DRAWS = 1_000  # of recalibrations learnt anew


@dataclass(frozen=True)
class Prepared:
    """One comparison, ready to be described.

    Attributes
    ----------
    inputs : Inputs
    external : Cohort
    validation : Cohort or None
    points : list of Point
    recalibration : dict of (arm, seed) to Recalibration
        Empty without a validation set, or where one run cannot be recalibrated: then no risks are shown.
    why_no_risk : str or None
    """

    inputs: Inputs
    external: Cohort
    validation: Cohort | None
    points: list[Point]
    recalibration: dict[Run, Recalibration] = field(default_factory=dict)
    why_no_risk: str | None = None
    _rates: dict[tuple[str, str], Replicates] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def settings(self) -> Settings:
        return self.inputs.settings

    @property
    def arms(self) -> list[str]:
        return list(self.settings.arms)

    @property
    def others(self) -> list[str]:
        """Arms that are compared with the reference."""
        return [arm for arm in self.arms if arm != self.settings.reference]

    @property
    def seeds(self) -> list[int]:
        return self.inputs.seeds

    @property
    def main(self) -> Point | None:
        """The point of the summary."""
        return main_point(self.points)

    @cached_property
    def risk(self) -> dict[Run, NDArray[np.float64]] | None:
        """Recalibrated risks of the external films, for every run or for none."""
        if not self.recalibration:
            return None
        return {run: fit.risks(self.external.logit[run]) for run, fit in self.recalibration.items()}

    @cached_property
    def auc(self) -> Replicates:
        """AUC of every run with the covariances that the films give them."""
        return auc_replicates(self.external.label, self.runs(self.external.score), self.external.clusters)

    def rates(self, point: Point, measure: str) -> Replicates:
        """A rate of every run at a point with its covariances."""
        key = (point.key, measure)
        if key not in self._rates:
            films = self.external
            self._rates[key] = rate_replicates(films.label, self.calls(point), measure, films.clusters)
        return self._rates[key]

    @cached_property
    def by_patients(self) -> Prepared | None:
        """The same comparison with patients instead of films, thresholds learnt anew.

        None where no patient repeats, or where patients are of one class though their films are not.
        """
        if not self.external.clustered:
            return None
        external = by_patient(self.external)
        if external.one_class:
            return None
        validation = None if self.validation is None else by_patient(self.validation)
        if validation is not None and validation.one_class:
            validation = None
        return Prepared(self.inputs, external, validation, find_points(self.settings, validation, external))

    @cached_property
    def bootstrap(self) -> dict[int, JointBootstrap]:
        """One joint bootstrap a seed; all seeds share the draws of patients, so their means are paired too."""
        asked, films = self.settings, self.external
        grid = threshold_grid(*asked.decision_range)
        found = [point for point in self.points if point.source == "external"]
        return {
            seed: joint_bootstrap(
                films.label,
                {arm: films.score[arm, seed] for arm in self.arms},
                risks=None if self.risk is None else {arm: self.risk[arm, seed] for arm in self.arms},
                patients=films.clusters,
                thresholds={p.key: {arm: p.threshold[arm, seed] for arm in self.arms} for p in self.points},
                reselect={p.key + RESELECTED: (p.rule, p.target) for p in found},
                net_benefit_at=() if self.risk is None else grid,
                reference=asked.reference,
                replicates=asked.bootstrap,
                seed=asked.bootstrap_seed,
                sampling=asked.sampling,
                confidence=asked.confidence,
                bca=asked.bca and films.label.size <= BCA_MOST_FILMS,
            )
            for seed in self.seeds
        }

    @cached_property
    def relearnt(self) -> dict[tuple[str, Run], Relearnt]:
        """Locked points with their thresholds learnt anew on resampled validation patients, by point and run."""
        if self.validation is None:
            return {}
        learning, testing = self.validation, self.external
        return {
            (point.key, run): relearn(
                Films(learning.label, learning.score[run], learning.clusters),
                Films(testing.label, testing.score[run], testing.clusters),
                point.rule,
                point.target,
                draws=self.resamples(RELEARNT_DRAWS),
                seed=self.settings.bootstrap_seed,
                sampling=self.settings.sampling,
            )
            for point in self.points
            if point.source == "validation"
            for run in self.external.score
        }

    @property
    def fewer_replicates(self) -> str | None:
        """What must be said where secondary bootstraps are cut short because there are very many films."""
        asked = min(RELEARNT_DRAWS, self.settings.bootstrap)
        if self.resamples(RELEARNT_DRAWS) == asked:
            return None
        return (
            f"With {self.external.films.size:,} external films, thresholds and recalibration are learnt anew in "
            f"{self.resamples(RELEARNT_DRAWS)} bootstrap replicates instead of {asked:,}; the joint bootstrap is whole."
        )

    def resamples(self, most: int) -> int:
        """Replicates of a secondary bootstrap: at most the study's, fewer where there are very many films."""
        return int(np.clip(MOST_RESAMPLED_FILMS // self.external.films.size, 100, min(most, self.settings.bootstrap)))

    @cached_property
    def marks(self) -> dict[str, dict[Hashable, Marks]]:
        """Predicted boxes matched to the reference boxes, arm -> seed; empty where the study has no boxes."""
        detections, boxes = self.inputs.detections, self.inputs.boxes
        if detections is None or boxes is None or not len(boxes):
            return {}
        lesions = boxes[boxes["image_id"].isin(self.external.films)].reset_index(drop=True)
        if lesions.empty:
            return {}
        lesions = lesions.assign(lesion_id=lesions.groupby("image_id").cumcount())
        all_labels = detections[detections["fraction"] == self.inputs.fractions[-1]]
        all_labels = all_labels[all_labels["image_id"].isin(self.external.films)]
        runs = dict(tuple(all_labels.groupby(["arm", "seed"], sort=False)))
        none = all_labels.head(0)
        return {
            arm: {
                seed: match_boxes(self.external.films, runs.get((arm, seed), none), lesions, self.settings.hit_rule)
                for seed in self.seeds
            }
            for arm in self.arms
        }

    def runs(self, values: dict[Run, NDArray]) -> Runs:
        """Values by run -> arm -> seed -> values, as the replicates functions take them."""
        return {arm: {seed: values[arm, seed] for seed in self.seeds} for arm in self.arms}

    def calls(self, point: Point) -> Runs:
        """Which films each run calls positive at a point."""
        return self.runs({run: score >= point.threshold[run] for run, score in self.external.score.items()})

    def mean_draws(self, arm: str, name: str, minus: str | None = None) -> tuple[float, NDArray[np.float64]]:
        """Mean over seeds of a bootstrapped statistic (or of its difference to `minus`): value and draws."""
        values, draws = [], []
        for boot in self.bootstrap.values():
            value, drawn = boot.estimates[arm][name].estimate, boot.draws.of(arm, name)
            if minus is not None:
                other = boot.estimates[minus][name].estimate
                value = None if value is None or other is None else value - other
                drawn = drawn - boot.draws.of(minus, name)
            values.append(np.nan if value is None else value)
            draws.append(drawn)
        return float(np.mean(values)), np.mean(draws, axis=0)

    def bootstrapped(self, arm: str, name: str, minus: str | None = None) -> Estimate:
        """Mean over seeds with a percentile interval over patients; conditional on these training runs.

        The largest F1 of an arm gets limits that allow for its optimism instead.
        """
        value, draws = self.mean_draws(arm, name, minus)
        if name == "max_f1" and minus is None:
            return self._largest_f1(arm, value, draws)
        return self.percentiles(value, draws, test=minus is not None)

    def _largest_f1(self, arm: str, value: float, draws: NDArray[np.float64]) -> Estimate:
        plain, excess = self.percentiles(value, draws), [boot.max_f1_excess[arm] for boot in self.bootstrap.values()]
        if plain.lower is None:
            return plain
        label = self.external.label
        how = plain.method.replace("percentile bootstrap", f"{method_of(int(label.sum()), label.size)}, bootstrap")
        if not np.isfinite(excess).all():
            return Estimate(value, None, None, how, label.size, not_estimable=REASON)
        defined = draws[np.isfinite(draws)]
        low, high = corrected_limits(value, float(np.mean(excess)), defined, self.settings.confidence)
        return Estimate(value, low, high, how, label.size)

    def percentiles(self, value: float, draws: NDArray[np.float64], test: bool = False) -> Estimate:
        """A bootstrapped mean over seeds as an estimate."""
        unit, seeds = "patients" if self.external.clustered else "films", len(self.seeds)
        method = f"mean of {seeds} runs, percentile bootstrap of {unit} (B = {draws.size:,}), these runs taken as given"
        defined = draws[np.isfinite(draws)]
        if not np.isfinite(value):
            return Estimate.missing("not defined in some training run", method, self.external.films.size)
        if defined.size < 0.95 * draws.size:
            reason = f"not defined in {1 - defined.size / draws.size:.0%} of the bootstrap replicates"
            return Estimate(value, None, None, method, self.external.films.size, not_estimable=reason)
        tail = (1 - self.settings.confidence) / 2
        low, high = np.quantile(defined, [tail, 1 - tail])
        fewer = min(int((defined <= 0).sum()), int((defined >= 0).sum()))
        p = min(1.0, 2 * (1 + fewer) / (defined.size + 1)) if test else None
        return Estimate(value, float(low), float(high), method, self.external.films.size, p)


def prepare(inputs: Inputs) -> Prepared:
    """Align films, learn thresholds and recalibration.

    Raises
    ------
    ValueError
        There is no external film, or runs scored different films.
    """
    external = inputs.cohort("external")
    if external is None:
        raise ValueError("predictions hold no film of cohort 'external': there is nothing to test on")
    validation, why = inputs.cohort("validation"), "no validation set"
    if validation is not None and validation.one_class:
        validation, why = None, "validation set has one class"
    points = find_points(inputs.settings, validation, external)
    if validation is None:
        return Prepared(inputs, external, None, points, why_no_risk=why)
    try:
        fits = {run: fit_recalibration(validation.label, validation.logit[run]) for run in validation.score}
    except ValueError as reason:
        return Prepared(inputs, external, validation, points, why_no_risk=str(reason))
    return Prepared(inputs, external, validation, points, fits)


def by_patient(cohort: Cohort) -> Cohort:
    """One row a patient: malignant if any film is, with the largest score (and logit) over the views."""
    score, logit = {}, {}
    for run, values in cohort.score.items():
        label, score[run] = patient_level(cohort.label, values, cohort.codes)
        logit[run] = patient_level(cohort.label, cohort.logit[run], cohort.codes)[1]
    patients = pd.unique(cohort.patients)
    return Cohort(patients, patients, label, score, logit)
