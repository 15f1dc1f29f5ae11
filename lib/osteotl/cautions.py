"""What a reader must be told before believing a number: sentences, and what takes the place of a verdict."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from diagnostic_accuracy.bootstrap import Draws
from diagnostic_accuracy.missing import WORST
from diagnostic_accuracy.scores import READERS
from diagnostic_accuracy.thresholds import positives_to_assure

FEWEST_EVENTS = 10  # malignant patients, under which no verdict is given
FEW_RUNS = 5


def cautions_of(
    draws: Draws, findings: Mapping[str, Any], labels: Mapping[str, str], missing: pd.DataFrame
) -> dict[str, list[str]]:
    """Cautions of an analysis.

    Parameters
    ----------
    draws : Draws
    findings : mapping
        Content of audit.json; empty where there was no audit.
    labels : mapping of arm to str
        What each arm is called.
    missing : DataFrame
        Results of the section 'missing': films that lack a score, and the extremes of the difference in AUC.

    Returns
    -------
    dict
        'instead': reasons why no verdict is given. 'beside': what stands beside the verdict. 'other': the rest.
    """
    return {
        "instead": _instead(draws, findings, labels),
        "beside": _audit_alarms(findings)
        + _missing(missing, labels)
        + _runs(draws, labels)
        + _sources(draws)
        + _patients(draws),
        "other": _validation(draws, labels),
    }


def _instead(draws: Draws, findings: Mapping[str, Any], labels: Mapping[str, str]) -> list[str]:
    found = [
        "Malignant and normal films come from different sources: a model can tell them apart without seeing a tumour "
        f"({alarm['finding']})."
        for alarm in findings.get("alarms", [])
        if alarm["raised"] and alarm["alarm"].startswith("source_and_class")
    ]
    if draws.units["malignant"] < FEWEST_EVENTS:
        word = "patients" if draws.scores.patients_known else "films"
        found.append(
            f"The external set holds {draws.units['malignant']} malignant {word}: under {FEWEST_EVENTS} no difference "
            "can be judged."
        )
    values = draws.scores.external.values
    alike = values.min() == values.max()
    constant = [f"{labels[arm]} (run {run})" for arm, run in draws.runs if alike[arm, run]]
    if constant:
        found.append(
            f"{', '.join(constant)} scored all external films alike: it has learnt nothing. Train for more steps."
        )
    auc = pd.Series(draws.observed["auc", "film"], index=[arm for arm, _ in draws.runs]).groupby(level=0).mean()
    if (auc < 0.5).all():
        found.append(
            "Every model scores normal films higher than malignant ones (AUC under 0.5): are the scores reversed? A "
            "higher score must mean more suspicious."
        )
    return found


def _audit_alarms(findings: Mapping[str, Any]) -> list[str]:
    raised = {
        alarm["alarm"].partition(":")[0].replace("_", " ")
        for alarm in findings.get("alarms", [])
        if alarm["raised"] and not alarm["alarm"].startswith("source_and_class")
    }
    if not raised:
        return []
    return [f"The shortcut audit raised an alarm ({', '.join(sorted(raised))}): read it before believing a difference."]


def _missing(rows: pd.DataFrame, labels: Mapping[str, str]) -> list[str]:
    """How many films are left out for want of a score, and what they could change."""
    counts = rows[(rows["group"] == "external") & (rows["reference"] == "")].groupby("arm")["estimate"].sum()
    if not counts.sum():
        return []
    of = ", ".join(f"{labels[arm]} {counts[arm]:g}" for arm in labels if arm in counts)
    told = f"Missing scores: {counts['']:g} of {rows['n'].max():g} external films are left out ({of})."
    gaps = rows[(rows["measure"] == "auc") & (rows["reference"] != "")]
    for (arm, reference), part in gaps.groupby(["arm", "reference"], sort=False):
        ends = part[part["group"].isin([WORST + arm, WORST + reference])]["estimate"]
        low, high = (f"{end:+.3f}".replace("-", "\N{MINUS SIGN}") for end in (ends.min(), ends.max()))
        told += f" With these at their worst for either model, the difference in AUC of {labels[arm]} from "
        told += f"{labels[reference]} lies between {low} and {high}."
    return [told]


def _runs(draws: Draws, labels: Mapping[str, str]) -> list[str]:
    counts = {arm: sum(name == arm for name, _ in draws.runs) for arm in draws.scores.arms}
    fewest = min(counts.values())
    if draws.scores.kind == READERS or fewest >= FEW_RUNS:
        return []
    if len(set(counts.values())) > 1:
        few = ", ".join(f"{labels[arm]} {count}" for arm, count in counts.items() if count < FEW_RUNS)
        return [f"Some models have few training runs ({few}): the variation between their runs is poorly estimated."]
    if fewest == 1:
        return ["One training run per model: results hold for this run only, not for what training would give again."]
    return [f"{fewest} training runs per model: the variation between training runs is poorly estimated."]


def _sources(draws: Draws) -> list[str]:
    if draws.points and draws.points[0].threshold_from == "external":
        return ["Thresholds were found on the external films on which they are judged: the rates are optimistic."]
    return []


def _patients(draws: Draws) -> list[str]:
    if draws.scores.patients_known:
        return []
    return ["No patients were named: where a patient has several films, the intervals are too short."]


def _validation(draws: Draws, labels: Mapping[str, str]) -> list[str]:
    validation = draws.scores.validation
    if not len(validation.values):
        given = any(point.threshold_from == "given" for point in draws.points)
        lacking = (
            "scores could not be recalibrated"
            if given
            else "thresholds could not be locked and scores could not be recalibrated"
        )
        return [f"There are no validation films: {lacking}."]
    found = [
        f"The scores of {labels[arm]}, run {run}, could not be recalibrated: {reason}."
        for (kind, arm, run), reason in draws.undefined.items()
        if kind == "logistic"
    ]
    target = next((p.target for p in draws.points if p.name == "high_sensitivity"), None)
    if target is not None:
        needed, malignant = positives_to_assure(target), validation.patient[validation.label].nunique()
        if malignant < needed:
            found.append(
                f"The validation set holds {malignant} malignant patients: under {needed}, no threshold can assure a "
                f"sensitivity of {target:g} with 95% confidence."
            )
    return found
