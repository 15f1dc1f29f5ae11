"""The analysis plan: what is fixed before any external film is scored, and whether it was kept."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from osteotl.files import plain, write_json
from osteotl.statistics._logistic import fit_logistic
from osteotl.statistics.operating_points import positives_to_assure, select_threshold

SCHEMA = "osteotl.analysis_plan/1"


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
        `settings` (margin and its reason, family, confidence, bootstrap, hit rule ...), `thresholds` (one per arm,
        fraction, seed and operating point, with the 2x2 table on validation), `recalibration` (risk = logistic of
        intercept + slope * logit, per arm, fraction and seed), `films` (what they were learnt on), `hash`.

    Raises
    ------
    ValueError
        If predictions hold external films, no film, or one class only.
    """
    _only_validation(predictions)
    settings, points = _settings(study), _points(study)
    thresholds, recalibration = [], []
    for keys, rows in predictions.groupby(["arm", "fraction", "seed"], sort=True):
        run = dict(zip(("arm", "fraction", "seed"), keys, strict=True))
        label, score = rows["label"].to_numpy(), rows["score"].to_numpy(float)
        for name, target in points.items():
            chosen = select_threshold(label, score, name, target)
            thresholds.append({**run, "point": name, **chosen.to_dict()})
        recalibration.append({**run, **_recalibration(label, rows["logit"].to_numpy(float))})
    content = plain(
        {
            "schema": SCHEMA,
            "settings": settings,
            "films": _films(predictions, settings),
            "thresholds": thresholds,
            "recalibration": recalibration,
        }
    )
    return {**content, "hash": plan_hash(content)}


def write_plan(study: Any, validation: Any, path: str | Path) -> dict[str, Any]:
    """Write analysis_plan.json, whole; call it before any external film is scored.

    Parameters
    ----------
    study : Study
    validation : DataFrame or scored cohort
        Predictions on the validation films, or an object that holds them as `predictions`.
    path : path

    Returns
    -------
    dict
        The plan; see `make_plan`.
    """
    plan = make_plan(study, validation if isinstance(validation, pd.DataFrame) else validation.predictions)
    write_json(path, plan)
    return plan


def plan_hash(plan: Mapping[str, Any]) -> str:
    """Hash of a plan's content, 64 hexadecimal digits; the stored hash is left out."""
    content = {key: value for key, value in plan.items() if key != "hash"}
    return hashlib.sha256(json.dumps(content, sort_keys=True, allow_nan=False).encode()).hexdigest()


def changes_since(plan: Mapping[str, Any], study: Any) -> list[str]:
    """What was changed after the plan was locked, one sentence each; empty if the plan was kept.

    Parameters
    ----------
    plan : mapping
        Content of analysis_plan.json.
    study : Study
        As it is now.

    Returns
    -------
    list of str
        Every sentence says 'changed after external results'.
    """
    found = []
    if plan.get("hash") != plan_hash(plan):
        found.append("analysis_plan.json itself was changed after external results: its hash does not fit its content")
    locked, now = plan["settings"], plain(_settings(study))
    for name in sorted({*locked, *now}):
        if locked.get(name) != now.get(name):
            found.append(
                f"{name} changed after external results: planned {_shown(locked, name)}, now {_shown(now, name)}"
            )
    return found


def locked_threshold(plan: Mapping[str, Any], arm: str, fraction: float, seed: int, point: str) -> float:
    """The threshold that the plan locks (infinity where no film is to be called positive).

    Raises
    ------
    ValueError
        If the plan holds none for this arm, fraction, seed and point.
    """
    for row in plan["thresholds"]:
        if (row["arm"], row["fraction"], row["seed"], row["point"]) == (arm, fraction, seed, point):
            return math.inf if row["threshold"] is None else float(row["threshold"])
    raise ValueError(f"the plan locks no threshold for {arm}, fraction {fraction:g}, seed {seed}, {point}; plan again")


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
    named = ("confidence", "bootstrap", "bootstrap_seed", "sampling", "auc_margin", "auc_margin_reason",
             "thresholds_from", "prevalences", "decision_range", "hit_rule")  # fmt: skip
    return {
        **{name: getattr(given, name) for name in named},
        "primary_outcome": "difference in AUC",
        "family": list(given.declared_family),
        "operating_points": _points(study),
        "reference": study.reference,
        "arms": list(study.arms),
        "seeds": list(study.seeds),
        "fractions": list(study.fractions),
    }


def _points(study: Any) -> dict[str, float | None]:
    asked = study.statistics.operating_points
    return {name: None if name == "youden" else float(getattr(asked, name)) for name in asked.names}


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
        fit = fit_logistic(label == 1, logit)
    except ValueError as error:
        return {"method": "logistic", "intercept": None, "slope": None, "not_estimable": str(error)}
    return {"method": "logistic", "intercept": fit.intercept, "slope": fit.slope}


def _shown(settings: Mapping[str, Any], name: str) -> str:
    return json.dumps(settings.get(name), ensure_ascii=False)
