"""Thresholds of every run at every operating point, learnt on validation (locked) and on the external set itself."""

from __future__ import annotations

from dataclasses import dataclass

from osteotl.statistics.analysis.inputs import Cohort, Run, Settings
from osteotl.statistics.operating_points import Confusion, confusion_at, positives_to_assure, select_threshold


@dataclass(frozen=True)
class Point:
    """One operating point of a study, with the threshold that each run has there.

    Attributes
    ----------
    key : str
        `rule@source`, such as high_sensitivity@validation.
    rule, source : str
    target : float or None
    threshold : dict of (arm, seed) to float
    learnt : dict of (arm, seed) to Confusion
        Counts on the films that the threshold was learnt on.
    """

    key: str
    rule: str
    source: str
    target: float | None
    threshold: dict[Run, float]
    learnt: dict[Run, Confusion]

    def counts(self, cohort: Cohort, run: Run) -> Confusion:
        """The 2x2 table of a run on a cohort."""
        return confusion_at(cohort.label, cohort.score[run], self.threshold[run])


def find_points(settings: Settings, validation: Cohort | None, external: Cohort) -> list[Point]:
    """Every operating point that the study asks for and its films allow, locked ones first.

    Without a validation set no point can be locked; those found on the external set remain.
    """
    sources = {"validation": validation, "external": external}
    found = []
    for source in sorted(settings.thresholds_from, key=list(sources).index):
        cohort = sources[source]
        if cohort is None:
            continue
        for name, (rule, target) in settings.rules.items():
            chosen = {run: select_threshold(cohort.label, cohort.score[run], rule, target) for run in cohort.score}
            threshold = {run: point.threshold for run, point in chosen.items()}
            learnt = {run: point.counts for run, point in chosen.items()}
            found.append(Point(f"{name}@{source}", name, source, target, threshold, learnt))
    return found


def main_point(points: list[Point]) -> Point | None:
    """The point of the summary: high sensitivity, locked if it can be."""
    high = [point for point in points if point.rule == "high_sensitivity"]
    return next(iter(high or points), None)


def warnings(settings: Settings, validation: Cohort | None, given: Cohort | None) -> list[str]:
    """What must be said about how thresholds were learnt; `given`: films that nothing could be learnt from."""
    if validation is None:
        why = "There is no validation set"
        if given is not None:
            why = f"The validation set has one class ({int(given.label.sum())} malignant of {given.label.size} films)"
        return [f"{why}: thresholds could not be locked and scores could not be recalibrated."]
    said = []
    target = dict(settings.rules.values()).get("high_sensitivity")
    if target is not None:
        needed = positives_to_assure(target, settings.confidence)
        malignant = int(validation.summary()["malignant_patients"])
        if malignant < needed:
            said.append(
                f"The validation set holds {malignant} malignant patients: under {needed}, no threshold can assure a "
                f"sensitivity of {target:g} with {100 * settings.confidence:g}% confidence."
            )
    return said
