"""The files of a finished study from simulated scores, so that the page can be built and looked at without training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from diagnostic_accuracy.bootstrap import bootstrap
from diagnostic_accuracy.estimates import join, results, to_csv
from diagnostic_accuracy.inference import infer
from diagnostic_accuracy.scores import Scores, scores_of
from diagnostic_accuracy.subgroups import adjust_subgroups
from diagnostic_accuracy.thresholds import points_of
from osteotl.files import write_csv, write_json, write_text

RULES = {"high_sensitivity": 0.9, "high_specificity": 0.9, "youden": None}
RATES = ["sensitivity", "specificity", "ppv", "npv", "lr_positive", "lr_negative", "f1", "accuracy",
         "missed_per_100", "false_alarms_per_1000"]  # fmt: skip
CALIBRATION = ["brier", "log_oe", "calibration_in_the_large", "calibration_intercept", "calibration_slope"]
PLANTED = "\"><script>window.hacked=1</script><img src=x onerror=window.hacked=1>'&lt;"
"""What a hostile label looks like: it tries to leave an attribute, an element and a string."""
SUBTYPES = ("osteosarcoma", "Ewing sarcoma", "chondrosarcoma")


@dataclass(frozen=True)
class Kind:
    """What a simulated study has.

    Attributes
    ----------
    arms : mapping of name to label
    runs : int
    films, malignant : int
        External films.
    validation, boxes, cohorts : bool
    text : str
        Planted wherever a user or a film can bring text.
    instead, beside : sequence of str
        Cautions in place of, and beside, the verdict.
    changed : sequence of str
        Settings that differ from those of the study: a page made by hand.
    separation : sequence of float
        Distance of the classes for each arm, in standard deviations.
    """

    arms: dict[str, str] = field(
        default_factory=lambda: {"scratch": "trained from scratch", "transfer": "pretrained on chest radiographs"}
    )
    runs: int = 3
    films: int = 90
    malignant: int = 36
    validation: bool = True
    boxes: bool = True
    cohorts: bool = True
    text: str = ""
    instead: Sequence[str] = ()
    beside: Sequence[str] = ("3 training runs per model: the variation between training runs is poorly estimated.",)
    changed: Sequence[str] = ()
    separation: Sequence[float] = (1.6, 2.0, 1.8, 1.4, 1.2)


def make_outputs(folder: Path, kind: Kind) -> Path:
    """Write study.yaml and outputs/ below a folder; returns the outputs folder."""
    out, rng = folder / "outputs", np.random.default_rng(7)
    films = _films(rng, kind)
    predictions = _predictions(rng, kind, films)
    write_text(folder / "study.yaml", _study(kind, folder))
    if not kind.cohorts:
        write_csv(folder / "scores.csv", predictions)
    facts = films[["image_id", "age", "sex", "view", "site", "subtype"]]
    scores = scores_of(predictions, facts if kind.cohorts else None)
    table, draws = _results(scores, kind)
    if kind.cohorts:
        table = join(table, adjust_subgroups(join(*(_subgroup(predictions, films, kind, sex) for sex in ("F", "M")))))
    write_text(out / "statistics.csv", to_csv(table))
    write_json(out / "analysis.json", _analysis(kind, draws))
    _tables(out / "tables", scores, draws, films, kind)
    write_json(
        out / "figures" / "index.json",
        {"roc": _figure(out, kind), "learning_curve": {"left_out": "one share of labels"}},
    )
    write_json(out / "provenance.json", _provenance(kind))
    if kind.cohorts:
        _cohorts(out, films, kind)
    return out


def _provenance(kind: Kind) -> dict[str, Any]:
    """The record of 03 holds the day of scoring; scores made elsewhere have none."""
    steps = {"03_evaluate": {"seconds": 1.0, "finished": "2026-03-14T15:09:26+0000"}} if kind.cohorts else {}
    return {"osteotl": "0.2.0", "commit": "0123456789abcdef", "seeds": [0, 1, 2], "steps": steps}


def _films(rng: np.random.Generator, kind: Kind) -> pd.DataFrame:
    parts = [("external", kind.films, kind.malignant)]
    parts += [("validation", 80, 32)] if kind.validation else []
    frames = []
    for cohort, count, malignant in parts:
        label = np.r_[np.ones(malignant, int), np.zeros(count - malignant, int)]
        place = np.arange(count)
        frames.append(
            pd.DataFrame(
                {
                    "image_id": [f"{cohort[0]}{i:011d}" for i in place],
                    "patient_id": [f"patient-{cohort[0]}{i - i % 5 // 4}" for i in place],
                    "cohort": cohort,
                    "label": label,
                    "age": rng.integers(6, 70, count),
                    "sex": rng.choice(["F", "M"], count),
                    "view": rng.choice([f"frontal{kind.text}", "lateral"], count),
                    "site": "B" if cohort == "external" else "A",
                    "subtype": np.where(label == 1, rng.choice(SUBTYPES, count), None),
                }
            )
        )
    return pd.concat(frames, ignore_index=True)


def _predictions(rng: np.random.Generator, kind: Kind, films: pd.DataFrame) -> pd.DataFrame:
    """Scores with a part that all runs share, so that models and runs are paired."""
    common, rows = rng.normal(size=len(films)), []
    for arm, apart in zip(kind.arms, kind.separation, strict=False):
        for run in range(kind.runs):
            z = apart * films["label"] + 0.7 * common + 0.7 * rng.normal(size=len(films)) - 1
            rows.append(
                films[["image_id", "patient_id", "cohort", "label"]].assign(
                    arm=arm, seed=run, score=1 / (1 + np.exp(-z))
                )
            )
    return pd.concat(rows, ignore_index=True)


def _results(scores: Scores, kind: Kind) -> tuple[pd.DataFrame, Any]:
    sources = ("validation", "external") if kind.validation else ("external",)
    points, reference = points_of(RULES, sources), next(iter(kind.arms))
    draws = bootstrap(scores, points, replicates=200, net_benefit_at=[0.05, 0.1, 0.2],
                      recalibrations=("logistic",) if kind.validation else ("none",))  # fmt: skip
    shared: dict[str, Any] = {"reference": reference, "fraction": 1.0}
    parts = [
        _counts(scores),
        infer(draws, ["auc", "average_precision"], **shared),
        infer(draws, "auc", unit="patient", **shared),
    ]
    for point in points:
        place = {"point": point.name, "threshold_from": point.threshold_from}
        parts.append(infer(draws, RATES, **place, **shared))
    main = {"point": "high_sensitivity", "threshold_from": sources[0]}
    if kind.validation:
        parts.append(infer(draws, RATES[:2] + RATES[-2:], unit="patient", **main, **shared))
        parts.append(infer(draws, CALIBRATION, recalibration="logistic", **shared))
        parts += [infer(draws, "net_benefit", at=at, recalibration="logistic", **shared) for at in (0.05, 0.1, 0.2)]
    for share in (0.1, 0.01, 0.001):
        parts.append(
            infer(draws, ["ppv", "npv"], prevalence=share, **main, **shared).assign(section="predictive_values")
        )
    return join(*parts), draws


def _subgroup(predictions: pd.DataFrame, films: pd.DataFrame, kind: Kind, sex: str) -> pd.DataFrame:
    kept = predictions[predictions["image_id"].isin(films.loc[films["sex"] == sex, "image_id"])]
    draws = bootstrap(scores_of(kept), replicates=200)
    found = infer(draws, "auc", group=f"sex={sex}", reference=next(iter(kind.arms)), fraction=1.0)
    label = draws.scores.external.label
    return found.assign(section="subgroups", n=len(label), events=label.sum())


def _counts(scores: Scores) -> pd.DataFrame:
    rows = []
    for cohort in ("validation", "external"):
        part = getattr(scores, cohort)
        counts = {"films": len(part.values), "malignant_films": part.label.sum(), "normal_films": (~part.label).sum(),
                  "patients": part.patient.nunique()}  # fmt: skip
        same = {"section": "cohort", "group": cohort, "fraction": 1.0, "method": "count",
                "note": "a count, without an interval"}  # fmt: skip
        rows += [{**same, "measure": k, "estimate": float(n), "n": n} for k, n in counts.items() if len(part.values)]
    return results(rows)


def _analysis(kind: Kind, draws: Any) -> dict[str, Any]:
    sources = ["validation", "external"] if kind.validation else ["external"]
    return {
        "settings": {
            "title": f"Phantom study{kind.text}", "reference": next(iter(kind.arms)), "confidence": 0.95,
            "auc_margin": 0.03, "auc_margin_reason": f"a smaller difference would not matter{kind.text}",
            "objective": "superiority", "prevalences": [0.1, 0.01, 0.001], "hit_rule": "iou30",
        },
        "arms": {arm: label + kind.text for arm, label in kind.arms.items()},
        "runs": {arm: [str(run) for run in range(kind.runs)] for arm in kind.arms},
        "changed": list(kind.changed),
        "kind": "training runs",
        "patients_known": True,
        "cautions": {"instead": list(kind.instead), "beside": list(kind.beside), "other": []},
        "plan": {"locked": "registered", "date": "2026-01-31", "hash": "0a1b"},
        "deviations": ["auc_margin changed after external results: planned 0.05, now 0.03"],
        "verdicts": {arm: {"word": "inconclusive"} for arm in list(kind.arms)[1:]},
        "points": [{"name": name, "threshold_from": source, "target": target}
                   for source in sources for name, target in RULES.items()],
    }  # fmt: skip


def _tables(folder: Path, scores: Scores, draws: Any, films: pd.DataFrame, kind: Kind) -> None:
    main = ("high_sensitivity", "validation" if kind.validation else "external")
    long = scores.values.melt(ignore_index=False, value_name="score").reset_index()
    long = long.rename(columns={"film": "image_id"}).merge(films[["image_id", "cohort", "label"]], on="image_id")
    long["run"] = long["run"].astype(str)
    write_csv(
        folder / "scores.csv", long.assign(risk=np.nan)[["image_id", "cohort", "label", "arm", "run", "score", "risk"]]
    )
    external = scores.external.values
    called = external >= np.asarray(draws.thresholds[main])
    own, rows = films.set_index("image_id").loc[external.index].reset_index(names="image_id"), []
    for arm in kind.arms:
        counts = {"called": called[arm].sum(axis=1).to_numpy(), "mean_score": external[arm].mean(axis=1).to_numpy()}
        rows.append(own.assign(arm=arm, runs=kind.runs, **counts))
    known = ["image_id", "label", "patient_id", "arm", "runs", "called", "mean_score"]
    known += ["site", "view", "age", "sex", "subtype"] if kind.cohorts else []
    write_csv(folder / "films.csv", pd.concat(rows)[known])


def _figure(out: Path, kind: Kind) -> dict[str, str]:
    drawing = (
        '<svg xmlns="http://www.w3.org/2000/svg" class="plot" role="img" aria-label="ROC curves" viewBox="0 0 10 10">'
        '<path d="M 0 10 L 10 0" stroke="var(--arm-0, #0067a3)" fill="none"/></svg>'
    )
    write_text(out / "figures" / "roc.svg", drawing)
    return {
        "title": "ROC curves",
        "caption": f"Strong line: mean over runs{kind.text}.",
        "alt": f"ROC curves{kind.text}",
    }


def _cohorts(out: Path, films: pd.DataFrame, kind: Kind) -> None:
    """Cohort tables with file names that must not reach the page, boxes, and the flow of films."""
    hidden = kind.text.replace("/", "")
    paths = [f"phantoms/secret name {i}{hidden}.png" for i in range(len(films))]
    named = films.assign(path=paths, film=films["image_id"], width=120, height=150)
    partition = {"external": "test", "validation": "validation"}
    for cohort, file in (("external", "external"), ("validation", "development")):
        part = named[named["cohort"] == cohort]
        if len(part):
            write_csv(out / "cohorts" / f"{file}.csv", part.drop(columns="cohort").assign(partition=partition[cohort]))
    boxes = named[named["label"] == 1][["image_id"]].assign(x_min=30, y_min=40, x_max=70, y_max=90)
    write_csv(out / "cohorts" / "boxes.csv", boxes if kind.boxes else boxes.head(0))
    steps = [("external", "read", kind.films + 2, ""), ("external", "left out", 2, f"too small{kind.text}"),
             ("external", "test", kind.films, "")]  # fmt: skip
    flow = [{"cohort": c, "step": s, "films": n, "patients": n - 1, "reason": r} for c, s, n, r in steps]
    write_json(
        out / "cohorts" / "integrity.json",
        {"flow": flow, "faults": [{"code": "tiny_box", "severity": "warning", "file": "knees/x1.png"}], "left_out": []},
    )
    alarms = [
        {"alarm": f"lesion_masked: {arm}", "raised": False, "rule": "the lower limit may not exceed 0.6"}
        for arm in kind.arms
    ]
    write_json(out / "audit.json", {"alarms": alarms})


def _study(kind: Kind, folder: Path) -> str:
    quoted = {arm: (label + kind.text)[:60].replace("'", "''") for arm, label in kind.arms.items()}
    start = {arm: "random" if i == 0 or not kind.cohorts else "pretrain" for i, arm in enumerate(kind.arms)}
    arms = "\n".join(f"  {arm}: {{initialise: {start[arm]}, label: '{quoted[arm]}'}}" for arm in kind.arms)
    text = kind.text.replace("'", "''")
    lines = [f"title: 'Phantom study{text}'", "arms:", arms, f"reference: {next(iter(kind.arms))}"]
    lines.append(f"seeds: {list(range(kind.runs))}")
    lines.append(f"report: {{institution: 'Institute of Phantoms{text}', date: 2026-01-02}}")
    if kind.cohorts:
        lines += [
            "cohorts:",
            "  pretrain: {reader: phantom-chest, films: 300}",
            "  development: {reader: phantom-knee, films: 450, validation: 250}",
            "  external: {reader: phantom-knee, films: 743, malignant: 268, site: B}",
        ]
    else:
        lines.append(f"predictions: {folder / 'scores.csv'}")
    return "\n".join(lines) + "\n"
