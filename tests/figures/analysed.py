"""A small study, simulated and analysed by the library: its table of results and its tables of curves and films.

Two or more models, three runs each, validation and external films. The tables have the columns that 04_statistics
writes; each is computed here from the scores by the shortest code that does it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from diagnostic_accuracy import estimates
from diagnostic_accuracy.bootstrap import Draws, bootstrap
from diagnostic_accuracy.inference import infer
from diagnostic_accuracy.scores import Scores, scores_of
from diagnostic_accuracy.thresholds import Point, points_of

AT = [round(0.02 * k, 2) for k in range(1, 11)]
PREVALENCES = (0.36, 0.1, 0.01)
LABELS = {"scratch": "trained from scratch", "transfer": "pretrained on chest radiographs"}


@dataclass
class Analysed:
    """What 04_statistics leaves behind."""

    scores: Scores
    results: pd.DataFrame
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)


def simulated(
    arms: tuple[str, ...] = ("scratch", "transfer"),
    runs: int = 3,
    films: int = 160,
    validation: int = 80,
    seed: int = 1,
) -> pd.DataFrame:
    """Predictions: a film's score is a shared part, a part of its run, and the class."""
    rng, parts = np.random.default_rng(seed), []
    for cohort, count in (("validation", validation), ("external", films)):
        label = (np.arange(count) % 5 < 2).astype(int)
        shared = 1.6 * label + rng.normal(size=count)
        for a, arm in enumerate(arms):
            for run in range(runs):
                z = shared + 0.2 * a * label + 0.6 * rng.normal(size=count) - 1
                names = [f"{cohort[0]}{i:04d}" for i in range(count)]
                parts.append(pd.DataFrame({
                    "image_id": names, "patient_id": [f"{cohort[0]}p{i // 2}" for i in range(count)], "cohort": cohort,
                    "label": label, "arm": arm, "fraction": 1.0, "seed": run, "score": 1 / (1 + np.exp(-z)),
                }))  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def analysed(predictions: pd.DataFrame, facts: pd.DataFrame | None = None, replicates: int = 200) -> Analysed:
    """Analyse predictions as 04_statistics does, with few draws."""
    scores = scores_of(predictions, facts)
    sources = ("validation", "external") if len(scores.validation.values) else ("external",)
    points = points_of({"high_sensitivity": 0.9, "high_specificity": 0.9, "youden": None}, sources)
    draws = bootstrap(scores, points, replicates=replicates, net_benefit_at=AT, prevalences=(None, 0.1))
    done = Analysed(scores, _results(draws, points, scores), labels=_labels(scores))
    done.tables = _tables(done, draws)
    return done


def _labels(scores: Scores) -> dict[str, str]:
    return {arm: LABELS.get(arm, f"model {arm}") for arm in scores.arms}


def _results(draws: Draws, points: list[Point], scores: Scores) -> pd.DataFrame:
    more = {"reference": scores.arms[0], "fraction": 1.0}
    parts = [infer(draws, ["auc", "average_precision"], **more)]
    if ("auc", "patient") in draws.observed:  # not where every film has a patient of its own
        parts.append(infer(draws, "auc", unit="patient", **more))
    for point in points:
        rates = ["sensitivity", "specificity", "ppv", "npv"]
        parts.append(infer(draws, rates, point=point.name, threshold_from=point.threshold_from, **more))
    source = points[0].threshold_from
    for share in PREVALENCES:
        at_point = {"point": "high_sensitivity", "threshold_from": source, "prevalence": share}
        parts.append(infer(draws, ["ppv", "npv"], **at_point, **more).assign(section="predictive_values"))
    if source == "validation":
        parts += [infer(draws, "calibration_slope", recalibration="logistic", **more)]
        for share in (None, 0.1):
            parts += [infer(draws, "net_benefit", at=t, prevalence=share, recalibration="logistic", **more) for t in AT]
    for number, sex in enumerate(("F", "M")):
        part = bootstrap(scores._rows(np.arange(len(scores.values)) % 2 == number), replicates=100)
        parts.append(infer(part, "auc", group=f"sex={sex}", **more).assign(section="subgroups"))
    return estimates.join(*parts)


def risk_of(scores: Scores, arm: str, run: object) -> pd.Series:
    """Risks of every film after logistic recalibration on the validation films; missing without any."""
    from sklearn.linear_model import LogisticRegression

    x = scores.predictor[arm, run]
    held = scores.cohort == "validation"
    if not held.any():
        return pd.Series(np.nan, x.index)
    model = LogisticRegression(C=np.inf, tol=1e-10).fit(x[held].to_numpy()[:, None], scores.label[held])
    return pd.Series(model.predict_proba(x.to_numpy()[:, None])[:, 1], x.index)


def _tables(study: Analysed, draws: Draws) -> dict[str, pd.DataFrame]:
    from sklearn.metrics import precision_recall_curve, roc_curve

    scores, rows = study.scores, []
    curves: dict[str, list[pd.DataFrame]] = {"roc": [], "precision_recall": []}
    grids = {"roc": np.linspace(0, 1, 51), "precision_recall": np.linspace(0.02, 1, 50)}
    for arm in scores.arms:
        means: dict[str, list[np.ndarray]] = {"roc": [], "precision_recall": []}
        for _, run in [key for key in scores.values.columns if key[0] == arm]:
            value = scores.values[arm, run]
            rows.append(pd.DataFrame({
                "image_id": value.index, "patient_id": scores.patient.to_numpy(), "cohort": scores.cohort.to_numpy(),
                "label": scores.label.astype(int).to_numpy(), "arm": arm, "run": str(run), "score": value.to_numpy(),
                "risk": risk_of(scores, arm, run).to_numpy(),
            }))  # fmt: skip
            outside = scores.cohort == "external"
            fpr, tpr, cuts = roc_curve(scores.label[outside], value[outside], drop_intermediate=False)
            precision, recall, levels = precision_recall_curve(scores.label[outside], value[outside])
            pairs = {"roc": (cuts, fpr, tpr), "precision_recall": (levels[::-1], recall[-2::-1], precision[-2::-1])}
            for name, (threshold, x, y) in pairs.items():
                curves[name].append(pd.DataFrame({"arm": arm, "run": str(run), "threshold": threshold, "x": x, "y": y}))
                means[name].append(np.interp(grids[name], x, y))
        for name, found in means.items():
            mean = {"arm": arm, "run": "", "threshold": np.nan, "x": grids[name], "y": np.mean(found, axis=0)}
            curves[name].append(pd.DataFrame(mean))
    tables = {name: pd.concat(parts, ignore_index=True) for name, parts in curves.items()}
    tables["scores"] = pd.concat(rows, ignore_index=True)
    tables |= {"films": _films(scores, draws), "froc": _froc(scores), "draws": _draws(scores, draws)}
    return tables | ({"calibration": _calibration(tables["scores"])} if tables["scores"]["risk"].notna().any() else {})


def _films(scores: Scores, draws: Draws) -> pd.DataFrame:
    """One row an external film and model: how many runs call it at the main point."""
    key, outside, parts = draws.points[0], scores.external, []
    for arm in scores.arms:
        runs = [run for a, run in outside.values.columns if a == arm]
        cuts = [_threshold(draws, key, arm, run) for run in runs]
        called = sum((outside.values[arm, run] >= cut).astype(int) for run, cut in zip(runs, cuts, strict=True))
        mean = outside.values[arm].mean(axis=1)
        facts = {"label": outside.label.astype(int), "sex": np.where(np.arange(len(mean)) % 2, "M", "F"),
                 "subtype": np.where(outside.label, "osteosarcoma", "")}  # fmt: skip
        counts = {"arm": arm, "runs": len(runs), "called": called, "mean_score": mean}
        parts.append(pd.DataFrame(facts | counts).rename_axis("image_id").reset_index())
    return pd.concat(parts, ignore_index=True)


def _threshold(draws: Draws, point: Point, arm: str, run: object) -> float:
    from diagnostic_accuracy.thresholds import find_threshold

    films = draws.scores.validation if point.threshold_from == "validation" else draws.scores.external
    return find_threshold(films.label, films.values[arm, run], "high_sensitivity", point.target)


def _froc(scores: Scores) -> pd.DataFrame:
    parts, x = [], np.linspace(0, 2, 21)
    for arm, run in [*scores.values.columns, *[(arm, "") for arm in scores.arms]]:
        parts.append(pd.DataFrame({"arm": arm, "run": str(run), "x": x, "y": 1 - np.exp(-3 * x)}))
    return pd.concat(parts, ignore_index=True)


def _draws(scores: Scores, draws: Draws) -> pd.DataFrame:
    """Histogram of the drawn differences in AUC."""
    columns = [arm for arm, _ in draws.runs]
    values = draws.values["auc", "film"]
    parts = []
    for arm in scores.arms[1:]:
        mean = [values[:, [c == name for c in columns]].mean(axis=1) for name in (arm, scores.arms[0])]
        count, edges = np.histogram(mean[0] - mean[1], 20)
        parts.append(pd.DataFrame({"measure": "auc", "arm": arm, "reference": scores.arms[0], "left": edges[:-1],
                                   "right": edges[1:], "count": count}))  # fmt: skip
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=["measure", "arm"])


def _calibration(table: pd.DataFrame) -> pd.DataFrame:
    parts = []
    outside = table[table["cohort"] == "external"]
    for recalibration, column in (("none", "score"), ("logistic", "risk")):
        for (arm, run), films in outside.groupby(["arm", "run"], sort=False):
            group = films[column].rank(method="first").sub(1).mul(10).floordiv(len(films))
            for _, part in films.groupby(group):
                share = part["label"].mean()
                parts.append({"arm": arm, "run": run, "recalibration": recalibration, "curve": "decile",
                              "predicted": part[column].mean(), "observed": share, "lower": max(0, share - 0.2),
                              "upper": min(1, share + 0.2), "n": len(part)})  # fmt: skip
    every = pd.DataFrame(parts)
    every["group"] = every.groupby(["arm", "run", "recalibration"]).cumcount()
    numbers = ["predicted", "observed", "lower", "upper", "n"]
    mean = every.groupby(["arm", "recalibration", "curve", "group"], as_index=False, sort=False)[numbers].mean()
    return pd.concat([every, mean.assign(run="")], ignore_index=True).drop(columns="group")
