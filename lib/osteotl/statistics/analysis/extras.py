"""Beside the headline: subgroups, the shortcut audit, the trivial baseline."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from osteotl.statistics.analysis.arms import mean_auc, mean_rates
from osteotl.statistics.analysis.curves import groups
from osteotl.statistics.analysis.inputs import Cohort
from osteotl.statistics.analysis.prepare import Prepared
from osteotl.statistics.delong import auc_interval
from osteotl.statistics.estimate import Estimate

Numbers = dict[str, Any]
SMALL_GROUP = 5  # films of a class under which a subgroup's AUC says nothing


def _part(cohort: Cohort, films: np.ndarray) -> Cohort:
    score = {run: values[films] for run, values in cohort.score.items()}
    logit = {run: values[films] for run, values in cohort.logit.items()}
    return replace(cohort, films=cohort.films[films], patients=cohort.patients[films], label=cohort.label[films],
                   score=score, logit=logit)  # fmt: skip


def subgroups(prepared: Prepared) -> list[Numbers]:
    """AUC (mean over seeds), sensitivity and specificity at the main point within age, sex, view and site."""
    rows = []
    for group, level, films in groups(prepared.inputs, prepared.external):
        part = replace(prepared, external=_part(prepared.external, films))
        label = part.external.label
        counts: Numbers = {"group": group, "level": level, "n": int(label.size), "malignant": int(label.sum())}
        enough = min(counts["malignant"], counts["n"] - counts["malignant"]) >= SMALL_GROUP
        for arm in prepared.arms:
            rows.append({**counts, "arm": arm, **(_group(part, arm) if enough else _too_small(counts["n"]))})
    return rows


def _group(part: Prepared, arm: str) -> Numbers:
    auc = mean_auc(part, arm).to_dict()
    if part.main is None:
        return {"auc": auc}
    rates = mean_rates(part, arm, part.main)
    return {"auc": auc, **{name: rates[name] for name in ("sensitivity", "specificity")}}


def _too_small(n: int) -> Numbers:
    reason = f"fewer than {SMALL_GROUP} films of one class"
    return {
        name: Estimate.missing(reason, "mean over seeds", n).to_dict() for name in ("auc", "sensitivity", "specificity")
    }


def audit(prepared: Prepared) -> Numbers:
    """AUC of the films scored again (lesion masked, only the lesion, mirrored), and the alarms that 03 raised."""
    scores, found = prepared.inputs.audit_scores, prepared.inputs.audit
    if found is None:
        return {}
    block: Numbers = {"alarms": found.get("alarms", []), "site_probe": found.get("site_probe")}
    if scores is None:
        return block
    label = pd.Series(prepared.external.label, prepared.external.films)
    patients = pd.Series(prepared.external.codes, prepared.external.films)
    known = scores[scores["image_id"].isin(label.index) & scores["arm"].notna() & scores["score"].notna()]
    known = known[known["fraction"] == prepared.inputs.fractions[-1]]
    for kind, rows in known.groupby("audit", sort=False):
        for arm, part in rows.groupby("arm", sort=False):
            one = part[part["seed"] == part["seed"].iloc[0]]
            truth = label[one["image_id"]].to_numpy()
            who = patients[one["image_id"]].to_numpy() if prepared.external.clustered else None
            if 0 < truth.sum() < truth.size:
                number = auc_interval(truth, one["score"].to_numpy(), who, prepared.settings.confidence)
                block.setdefault(str(kind), {})[str(arm)] = number.to_dict()
    return block


def baseline(prepared: Prepared) -> Numbers:
    """AUC of age, sex, view, site and exposure without the film's content."""
    scores = prepared.inputs.audit_scores
    rows = scores[scores["audit"] == "baseline"] if scores is not None else None
    if rows is None or rows.empty:
        return {}
    found = rows.set_index("image_id")["score"].reindex(prepared.external.films)
    features = (prepared.inputs.audit or {}).get("baseline_covariates", [])
    if found.isna().any():
        reason = f"{int(found.isna().sum())} films have no baseline score"
        return {"features": features, "auc": Estimate.missing(reason, "logistic regression", found.size).to_dict()}
    number = auc_interval(
        prepared.external.label, found.to_numpy(), prepared.external.clusters, prepared.settings.confidence
    )
    return {"features": features, "auc": number.to_dict()}
