"""The locked analysis plan: what is fixed before any external film is scored, and whether it was kept."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from diagnostic_accuracy.bootstrap import Draws
from diagnostic_accuracy.calibration import fit_recalibration
from diagnostic_accuracy.rates import confusion
from diagnostic_accuracy.thresholds import find_threshold, positives_to_assure
from osteotl.files import plain, write_json

SCHEMA = "osteotl.analysis_plan/2"
RUN = ["arm", "fraction", "seed"]


def make_plan(study: Any, predictions: pd.DataFrame) -> dict[str, Any]:
    """Lock everything that the analysis of the external films may not choose afterwards.

    Parameters
    ----------
    study : Study
        `statistics`, `arms`, `reference`, `seeds` and `fractions` are used.
    predictions : DataFrame
        Scores of the validation films: image_id, patient_id, label, arm, fraction, seed, score, logit. Rows of other
        cohorts are refused.

    Returns
    -------
    dict
        `settings` (margin and its reason, objective, family, confidence, hit rule ...), `thresholds` (one per arm,
        fraction, seed and operating point, with the 2x2 table on validation), `recalibration` (risk = logistic of
        intercept + slope * logit, per arm, fraction and seed), `films` (what they were learnt on), `hash`.

    Raises
    ------
    ValueError
        If predictions hold external films, no film, or one class only.
    """
    _only_validation(predictions)
    settings = _settings(study)
    thresholds, recalibration = [], []
    for keys, rows in predictions.groupby(RUN, sort=True):
        run = dict(zip(RUN, keys, strict=True))
        label, score = rows["label"].to_numpy(), rows["score"].to_numpy(float)
        for name, target in settings["operating_points"].items():
            cut = find_threshold(label, score, name, target)
            counts = confusion(label, score >= cut)
            shown = {"tp": counts.tp, "fp": counts.fp, "tn": counts.tn, "fn": counts.fn}
            thresholds.append({**run, "point": name, "threshold": cut if math.isfinite(cut) else None, **shown})
        recalibration.append({**run, **_recalibration(label, rows["logit"].to_numpy(float))})
    content = plain({"schema": SCHEMA, "settings": settings, "films": _films(predictions, settings),
                     "thresholds": thresholds, "recalibration": recalibration})  # fmt: skip
    return {**content, "hash": plan_hash(content)}


def write_plan(study: Any, predictions: pd.DataFrame, path: str | Path) -> dict[str, Any]:
    """Write analysis_plan.json; call it before any external film is scored. Returns the plan (see `make_plan`)."""
    plan = make_plan(study, predictions)
    write_json(path, plan)
    return plan


def plan_hash(plan: Mapping[str, Any]) -> str:
    """Hash of a plan's content, 64 hexadecimal digits; the stored hash is left out."""
    content = {key: value for key, value in plan.items() if key != "hash"}
    return hashlib.sha256(json.dumps(content, sort_keys=True, allow_nan=False).encode()).hexdigest()


def read_plan(step: Any) -> dict[str, Any] | None:
    """The locked plan of a study; None for scores of one's own, for which nothing was locked."""
    if step.study.predictions is not None:
        return None
    return json.loads(step.read("analysis_plan.json").read_text(encoding="utf-8"))


def deviations(plan: Mapping[str, Any] | None, study: Any, draws: Draws, fraction: float = 1.0) -> list[str]:
    """What was changed after the plan was locked, one sentence each; empty if the plan was kept.

    Parameters
    ----------
    plan : mapping or None
        Content of analysis_plan.json.
    study : Study
        As it is now.
    draws : Draws
        Whose thresholds are compared with the locked ones.
    """
    if plan is None:
        return []
    found = []
    if plan.get("hash") != plan_hash(plan):
        found.append("analysis_plan.json was changed after external results: its hash does not fit its content")
    locked, now = plan["settings"], plain(_settings(study))
    for name in sorted({*locked, *now}):
        if locked.get(name) != now.get(name):
            was, is_now = (json.dumps(part.get(name), ensure_ascii=False) for part in (locked, now))
            found.append(f"{name} changed after external results: planned {was}, now {is_now}")
    return found + _moved_thresholds(plan, draws, fraction)


def _moved_thresholds(plan: Mapping[str, Any], draws: Draws, fraction: float) -> list[str]:
    """Locked thresholds that are not those of the plan: the validation scores were changed since."""
    locked = {(row["arm"], str(row["seed"]), row["point"]): row["threshold"] for row in plan["thresholds"]
              if row["fraction"] == fraction}  # fmt: skip
    found = []
    for (point, source), values in draws.thresholds.items():
        for (arm, run), value in zip(draws.runs, values, strict=True):
            key = (arm, str(run), point)
            if source != "validation" or key not in locked:
                continue
            planned = math.inf if locked[key] is None else locked[key]
            if not np.isclose(planned, value, rtol=1e-9, atol=0):
                found.append(
                    f"threshold of {arm}, run {run}, {point} changed after external results: planned {planned:.6g}, "
                    f"now {value:.6g}"
                )
    return found


def _only_validation(predictions: pd.DataFrame) -> None:
    foreign = sorted(set(predictions.get("cohort", pd.Series(dtype=str))) - {"validation"})
    if foreign:
        raise ValueError(f"the plan must be locked on validation films alone, got films of cohort {foreign[0]!r}")
    if predictions.empty:
        raise ValueError("no validation film was scored: set cohorts.development.validation")
    if set(predictions["label"]) != {0, 1}:
        raise ValueError(f"validation films have labels {sorted(set(predictions['label']))}; both 0 and 1 are needed")


def _settings(study: Any) -> dict[str, Any]:
    given = study.statistics
    named = ("confidence", "bootstrap", "bootstrap_seed", "sampling", "auc_margin", "auc_margin_reason", "objective",
             "gatekeeping", "thresholds_from", "prevalences", "decision_range", "hit_rule")  # fmt: skip
    return {
        **{name: getattr(given, name) for name in named},
        "primary_outcome": "difference in AUC",
        "family": list(given.declared_family),
        "operating_points": given.operating_points.rules,
        "given": dict(given.operating_points.given),
        "reference": study.reference,
        "arms": list(study.arms),
        "seeds": list(study.seeds),
        "fractions": list(study.fractions),
    }


def _films(predictions: pd.DataFrame, settings: Mapping[str, Any]) -> dict[str, Any]:
    films = predictions.drop_duplicates("image_id")
    malignant = int(films.loc[films["label"] == 1, "patient_id"].nunique())
    target = settings["operating_points"].get("high_sensitivity")
    needed = positives_to_assure(target, settings["confidence"]) if target else None
    return {
        "validation_films": len(films),
        "validation_patients": int(films["patient_id"].nunique()),
        "malignant_films": int((films["label"] == 1).sum()),
        "malignant_patients": malignant,
        "malignant_patients_needed": needed,
        "enough_malignant_patients": needed is None or malignant >= needed,
        "content": hashlib.sha256("\n".join(sorted(films["image_id"])).encode()).hexdigest(),
    }


def _recalibration(label: np.ndarray, logit: np.ndarray) -> dict[str, Any]:
    try:
        fit = fit_recalibration(label, logit)
    except ValueError as error:
        return {"method": "logistic", "intercept": None, "slope": None, "note": str(error)}
    return {"method": "logistic", "intercept": fit.intercept, "slope": fit.slope}
