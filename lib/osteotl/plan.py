"""The locked analysis plan: what is fixed before any external film is scored, and whether it was kept.

03 locks one in every study. `./run_all.sh lock` locks one earlier, with its date and the cohorts' hashes, and writes it
as a page that can be registered; the analysis is then held against that one.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from diagnostic_accuracy.bootstrap import Draws
from diagnostic_accuracy.calibration import fit_recalibration
from diagnostic_accuracy.rates import confusion
from diagnostic_accuracy.thresholds import find_threshold, positives_to_assure
from osteotl.files import plain, sha256, write_json, write_text

SCHEMA = "osteotl.analysis_plan/2"
RUN = ["arm", "fraction", "seed"]
REGISTERED = "registered/analysis_plan.json"


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


def register(study: Any, predictions: pd.DataFrame | None, hashes: Mapping[str, str], folder: Path, date: str) -> str:
    """Lock a plan in FOLDER/registered, as JSON and as a page to register; a second time the same bytes.

    Parameters
    ----------
    study : Study
    predictions : DataFrame or None
        As for `make_plan`; None where the study brings scores without validation films.
    hashes : mapping of str to str
        From `cohort_hashes`.
    folder : Path
        The outputs folder.
    date : str
        Of today; a plan that is there keeps its own.

    Returns
    -------
    str
        The plan's date.

    Raises
    ------
    ValueError
        Another plan was locked before.
    """
    path = folder / REGISTERED
    made = _settings_only(study) if predictions is None else make_plan(study, predictions)
    content = plain({**made, "title": study.title, "cohorts": dict(hashes), "date": date})
    if path.exists():
        before = json.loads(path.read_text(encoding="utf-8"))
        content["date"] = before["date"]
        if changed := [name for name in before if name != "hash" and before[name] != content.get(name)]:
            raise ValueError(
                f"a plan was locked on {before['date']}, and {', '.join(changed)} differ from it now: run the study, "
                f"and the report names every change; to lock another plan, remove {path.parent.name}/ in the outputs"
            )
    content["hash"] = plan_hash(content)
    page = registration_page(content)
    write_json(path, content)
    write_text(path.with_suffix(".md"), page)
    return str(content["date"])


def cohort_hashes(study: Any, read: Callable[[str], Path]) -> dict[str, str]:
    """Hash of every cohort table of a study, or of its file of scores.

    Parameters
    ----------
    study : Study
    read : callable
        Maps a file's name below the outputs folder to its path.
    """
    if study.predictions is not None:
        return {"scores": sha256(study.predictions)} if Path(study.predictions).is_file() else {}
    found = {}
    for name in ("boxes", "development", "external", "other_modality", "pretrain"):
        with contextlib.suppress(FileNotFoundError):
            found[name] = sha256(read(f"cohorts/{name}.csv"))
    return found


def registration_page(plan: Mapping[str, Any]) -> str:
    """A registered plan as one Markdown page, for a registry of studies.

    Parameters
    ----------
    plan : mapping
        Content of registered/analysis_plan.json.
    """
    given = plan["settings"]
    films = plan.get("films") or {}
    points = {name: "no target" if target is None else f"target {target:g}"
              for name, target in given["operating_points"].items()}  # fmt: skip
    facts = {
        "Locked on": f"{plan['date']}, before any external film was scored" if given["arms"] else
        f"{plan['date']}; the scores were made elsewhere, and whether anybody had seen them is not known here",
        "Arms": f"{', '.join(given['arms']) or 'as in the file of scores'}; reference {given['reference']}",
        "Primary outcome": f"{given['primary_outcome']}, tested for {given['objective']}",
        "Margin": f"{given['auc_margin']:g}, because {given['auc_margin_reason'].rstrip('.')}",
        "Secondary tests (Holm)": ", ".join(given["family"]),
        "Subgroups": ", ".join(given["subgroups"]) or "none declared; all are exploratory",
        "Gatekeeping": "the family is tested only where the objective is met" if given["gatekeeping"] else "none",
        "Operating points": ", ".join(f"{name} ({told})" for name, told in points.items()) or "none looked for",
        "Given thresholds": ", ".join(f"{arm} {cut:g}" for arm, cut in given["given"].items()) or "none",
        "Confidence": f"{given['confidence']:g}",
        "Bootstrap": f"{given['bootstrap']} draws, seed {given['bootstrap_seed']}, {given['sampling']}",
        "Training seeds": ", ".join(map(str, given["seeds"])),
        "Validation films": f"{films['validation_films']} of {films['validation_patients']} patients, "
        f"{films['malignant_films']} malignant" if films else "none",
    }  # fmt: skip
    lines = [f"# Analysis plan: {plan['title']}", "", f"SHA-256 of the plan: `{plan['hash']}`", ""]
    lines += _markdown([{"item": name, "planned": told} for name, told in facts.items()])
    tables = {"Thresholds": plan["thresholds"], "Recalibration": plan["recalibration"],
              "Cohorts (SHA-256)": [{"table": k, "hash": v} for k, v in plan["cohorts"].items()]}  # fmt: skip
    for name, rows in tables.items():
        lines += ["", f"## {name}", "", *(_markdown(rows) or ["None."])]
    return "\n".join(lines) + "\n"


def _markdown(rows: list[dict[str, Any]]) -> list[str]:
    if not rows:
        return []
    heads = list(dict.fromkeys(name for row in rows for name in row))
    values = [["" if row.get(h) is None else row[h] for h in heads] for row in rows]
    told = [[f"{value:.6g}" if isinstance(value, float) else str(value) for value in line] for line in values]
    cells = [[" ".join(cell.replace("|", "/").split()) for cell in line] for line in told]
    return [f"| {' | '.join(line)} |" for line in (heads, ["---"] * len(heads), *cells)]


def _settings_only(study: Any) -> dict[str, Any]:
    return plain({"schema": SCHEMA, "settings": _settings(study), "thresholds": [], "recalibration": []})


def plan_hash(plan: Mapping[str, Any]) -> str:
    """Hash of a plan's content, 64 hexadecimal digits; the stored hash is left out."""
    content = {key: value for key, value in plan.items() if key != "hash"}
    return hashlib.sha256(json.dumps(content, sort_keys=True, allow_nan=False).encode()).hexdigest()


def read_plan(step: Any) -> dict[str, Any] | None:
    """The registered plan of a study, else the one that 03 locked; None for own scores without a registered plan."""
    with contextlib.suppress(FileNotFoundError):
        return json.loads(step.read(REGISTERED).read_text(encoding="utf-8"))
    if step.study.predictions is not None:
        return None
    return json.loads(step.read("analysis_plan.json").read_text(encoding="utf-8"))


def plan_facts(plan: Mapping[str, Any] | None) -> dict[str, Any]:
    """What the page says of the plan: `locked` (registered, by the run, no), `date` (of a registered one), `hash`."""
    if plan is None:
        return {"locked": "no", "date": None, "hash": None}
    date = plan.get("date")
    return {"locked": "registered" if date else "by the run", "date": date, "hash": plan["hash"]}


def deviations(
    plan: Mapping[str, Any] | None,
    study: Any,
    draws: Draws,
    hashes: Mapping[str, str] | None = None,
    fraction: float = 1.0,
) -> list[str]:
    """What was changed after the plan was locked, one sentence each; empty if the plan was kept.

    Parameters
    ----------
    plan : mapping or None
        Content of analysis_plan.json.
    study : Study
        As it is now.
    draws : Draws
        Whose thresholds are compared with the locked ones.
    hashes : mapping of str to str, optional
        From `cohort_hashes`, as the cohorts are now; a registered plan holds those that were planned.
    fraction : float
        Label fraction of the thresholds.
    """
    if plan is None:
        return []
    since = f"the plan was locked on {plan['date']}" if "date" in plan else "external results"
    found = []
    if plan.get("hash") != plan_hash(plan):
        found.append(f"analysis_plan.json was changed after {since}: its hash does not fit its content")
    locked, now = plan["settings"], plain(_settings(study))
    for name in sorted({*locked, *now}):
        if locked.get(name) != now.get(name):
            was, is_now = (json.dumps(part.get(name), ensure_ascii=False) for part in (locked, now))
            found.append(f"{name} changed after {since}: planned {was}, now {is_now}")
    found += [
        f"the films or annotations of {name} changed after {since}"
        for name, planned in plan.get("cohorts", {}).items()
        if hashes is not None and hashes.get(name) != planned
    ]
    return found + _moved_thresholds(plan, draws, fraction, since)


def _moved_thresholds(plan: Mapping[str, Any], draws: Draws, fraction: float, since: str) -> list[str]:
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
                    f"threshold of {arm}, run {run}, {point} changed after {since}: planned {planned:.6g}, "
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
    return study.statistics.fixed_settings | {
        "primary_outcome": "difference in AUC",
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
        intercept, slope = fit_recalibration(label, logit)
    except ValueError as error:
        return {"method": "logistic", "intercept": None, "slope": None, "note": str(error)}
    return {"method": "logistic", "intercept": intercept, "slope": slope}
