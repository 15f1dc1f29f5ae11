"""The shortcut audit and the trivial baseline as rows of the table of results."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from diagnostic_accuracy.delong import auc_interval
from diagnostic_accuracy.estimates import Estimate, results
from diagnostic_accuracy.scores import Scores


@dataclass(frozen=True)
class Audit:
    """What 03 found.

    Attributes
    ----------
    scores : DataFrame
        image_id, arm, fraction, seed, audit (what was done to the film), score.
    findings : dict
        alarms, site_probe, baseline_covariates.
    """

    scores: pd.DataFrame = field(default_factory=pd.DataFrame)
    findings: dict[str, Any] = field(default_factory=dict)


def read_audit(step: Any) -> Audit:
    """The audit of a study; empty where it brings scores of its own."""
    if step.study.predictions is not None:
        return Audit()
    table = pd.read_csv(step.read("audit.csv"), dtype={"image_id": str, "arm": str})
    return Audit(table, json.loads(step.read("audit.json").read_text(encoding="utf-8")))


def audit_results(audit: Audit, scores: Scores, confidence: float) -> pd.DataFrame:
    """AUC of the films scored again and of the baseline that sees no film.

    Returns
    -------
    DataFrame
        Sections 'audit' (group = what was done to the films) and 'baseline'; the first run of each arm, so the basis is
        'this run only'.
    """
    external = scores.external
    if audit.scores.empty:
        return results([])
    rows = []
    films = audit.scores[audit.scores["image_id"].isin(external.values.index) & audit.scores["score"].notna()]
    for (kind, arm), part in films.groupby(["audit", "arm"], sort=False, dropna=False):
        section, name = ("baseline", "") if kind == "baseline" else ("audit", arm)
        if section == "audit" and pd.isna(arm):
            continue
        whole = part[part["fraction"] == part["fraction"].max()] if section == "audit" else part
        one = whole[whole["seed"] == whole["seed"].min()] if section == "audit" else whole
        found = _auc(one, external, confidence)
        place = {"section": section, "measure": "auc", "arm": name, "group": kind, "unit": "film"}
        place["confidence"] = confidence
        rows.append(found.row(**place, run="" if section == "baseline" else f"{int(one['seed'].iloc[0])}"))
    return results(rows)


def _auc(films: pd.DataFrame, external: Scores, confidence: float) -> Estimate:
    known = films.drop_duplicates("image_id").set_index("image_id")["score"]
    label, patient = external.label[known.index].to_numpy(), external.patient[known.index].to_numpy()
    if label.all() or not label.any():
        return Estimate.missing("these films are of one class", "DeLong", label.size)
    clustered = patient if pd.unique(patient).size < patient.size else None
    found = auc_interval(label, np.asarray(known, float), clustered, confidence)
    fields = vars(found) | {"basis": "this run only"}
    return Estimate(**fields)
