"""Coverage of the intervals, and size of the tests, that the page shows: whole simulated studies with known truth.

    ./run_all.sh bench coverage [CONFIGURATION ...] [--cohorts N] [--draws B] [--processes P]

Model: patients with 1 to 6 films; normal films score N(0, 1), malignant ones N(mu + b, 1) with mu of the arm and b of
the training run; the variance is shared by all runs of a patient or film, by the runs of an arm, or belongs to one run.
Thresholds and recalibration are learnt on validation patients of the same population. A malignant film's best mark is
on the lesion with probability Phi(.8 + .5 z), z its shared film effect; false marks are Poisson, .3 a film, and score
below the best mark of their film (a normal film's first one at the film's score).

Truth is what new runs do on new patients at thresholds of new validation samples: the mean over cohorts of the expected
rates at each cohort's runs and thresholds (analytical for films, on a large fresh sample for patients and marks); of a
derived measure, the formula at these expected rates. It is computed from all cohorts before any interval is judged.
With one run an arm, truth is that of the run at thresholds of other validation samples.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats
from scipy.special import expit

from diagnostic_accuracy._logistic import fit_line
from diagnostic_accuracy.bootstrap import bootstrap
from diagnostic_accuracy.estimates import join
from diagnostic_accuracy.inference import infer
from diagnostic_accuracy.lesion_curves import coco_summary, froc
from diagnostic_accuracy.lesion_draws import FALSE_MARKS, lesion_measures
from diagnostic_accuracy.lesion_figures import figure_of_merit
from diagnostic_accuracy.lesions import prepare_boxes
from diagnostic_accuracy.measures import MEASURES
from diagnostic_accuracy.scores import Scores
from diagnostic_accuracy.thresholds import find_threshold, points_of

RESULTS = Path(__file__).parent / "results"
ARMS = ("scratch", "transfer")
SHARED = {"patient": 0.25, "film": 0.25, "arm_patient": 0.08, "arm_film": 0.07, "run_film": 0.35}
BETWEEN_RUNS = 0.12
FULL, FEW, VALIDATION, SMALL = (155, 275, 268, 475), (20, 35, 30, 60), (60, 93, 100, 150), (18, 30, 20, 40)
# malignant and normal patients, malignant and normal films of the external and validation sets
CONFIGURATIONS: dict[str, dict[str, Any]] = {
    "5 runs": {"id": 4, "runs": 5, "external": FULL, "validation": VALIDATION, "mu": (2.0, 2.3)},
    "5 runs, equal arms": {"id": 5, "runs": 5, "external": FULL, "validation": VALIDATION, "mu": (2.1, 2.1)},
    "3 runs": {"id": 1, "runs": 3, "external": FULL, "validation": VALIDATION, "mu": (2.0, 2.3)},
    "3 runs, equal arms": {"id": 3, "runs": 3, "external": FULL, "validation": VALIDATION, "mu": (2.1, 2.1)},
    "30/60 external films": {"id": 2, "runs": 3, "external": FEW, "validation": VALIDATION, "mu": (2.0, 2.3)},
    "20/40 validation films": {"id": 7, "runs": 3, "external": FULL, "validation": SMALL, "mu": (2.0, 2.3)},
    "one run": {"id": 6, "runs": 1, "external": FULL, "validation": VALIDATION, "mu": (2.0, 2.3)},
}
POINTS = ("high_sensitivity", "high_specificity")
SIZE = 100.0  # of a lesion box, in pixels; a hit is shifted sideways by up to 40: IoU .43 to 1
HIT = 0.3
LESIONS = ("lroc_auc", "wafroc_auc", "coco_ap")
RATES = ("sensitivity", "specificity", "ppv", "npv", "lr_positive", "lr_negative", "f1", "accuracy")
BENEFIT = (0.02, 0.05, 0.10, 0.20)
CALIBRATION = ("brier", "log_oe", "calibration_slope")
GRID = np.linspace(-6, 9, 3001)


def patients_of(rng: np.random.Generator, ill: int, well: int, ill_films: int, well_films: int) -> tuple[Any, Any]:
    """Patient and label of every film; patients have 1 to 6 films."""

    def sizes(patients: int, films: int) -> Any:
        size = np.ones(patients, int)
        while size.sum() < films:
            i = rng.integers(patients)
            size[i] += size[i] < 6
        return size

    both = np.r_[sizes(ill, ill_films), sizes(well, well_films)]
    return np.repeat(np.arange(ill + well), both), np.r_[np.ones(ill_films, bool), np.zeros(well_films, bool)]


def films_of(rng: np.random.Generator, patient: Any, label: Any, means: Any) -> tuple[Any, Any]:
    """Scores (arms, runs, films), and the shared effect of each film; `means` (arms, runs) separate the classes."""

    def effect(name: str, of_patients: bool) -> Any:
        size = patient.max() + 1 if of_patients else label.size
        drawn = np.sqrt(SHARED[name]) * rng.normal(size=size)
        return drawn[patient] if of_patients else drawn

    film = effect("film", False)
    common = effect("patient", True) + film
    scores = np.empty((*means.shape, label.size))
    for a in range(means.shape[0]):
        own = effect("arm_patient", True) + effect("arm_film", False)
        for j in range(means.shape[1]):
            scores[a, j] = means[a, j] * label + common + own + effect("run_film", False)
    return scores, film / np.sqrt(SHARED["film"])


def scores_of_arrays(external: tuple[Any, ...], validation: tuple[Any, ...]) -> Scores:
    """Both cohorts as `Scores`; each is (patient, label, scores of shape (arms, runs, films))."""
    frames, facts = [], []
    for tag, (patient, label, x) in (("external", external), ("validation", validation)):
        index = _names(tag, label.size)
        arms, runs, _ = x.shape
        columns = pd.MultiIndex.from_product([ARMS[:arms], range(runs)], names=["arm", "run"])
        frames.append(pd.DataFrame(1.5 * (x.reshape(arms * runs, -1).T - 1), index=index, columns=columns))
        facts.append(
            pd.DataFrame({"label": label, "patient": [f"{tag[0]}{p:06d}" for p in patient], "cohort": tag}, index=index)
        )
    logits, known = pd.concat(frames), pd.concat(facts)
    order = np.lexsort((np.arange(len(known)), ~known["label"].to_numpy()))
    return Scores(expit(logits.iloc[order]), logits.iloc[order], known.iloc[order], "stored logits")


def marks_of(rng: np.random.Generator, label: Any, scores: Any, film: Any) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Boxes of every run (arms, runs, films), and the lesions: one a malignant film."""
    names, n = _names("external", label.size), label.size
    lesions = pd.DataFrame({"image_id": names[label], "x_min": 0.0, "y_min": 0.0, "x_max": SIZE, "y_max": SIZE})
    parts = []
    for a, j in np.ndindex(scores.shape[:2]):
        hits = label & (rng.random(n) < stats.norm.cdf(0.8 + 0.5 * film))
        best = np.where(hits, rng.uniform(-40, 40, n), 3 * SIZE)
        false = np.repeat(np.arange(n), rng.poisson(0.3, n))
        first = np.r_[True, np.diff(false) > 0][: false.size] & ~label[false]
        below = np.where(first, 0, np.abs(rng.normal(size=false.size)))
        place = np.r_[np.flatnonzero(label), false]
        score = np.r_[scores[a, j][label], scores[a, j][false] - below]
        left = np.r_[best[label], 5 * SIZE + 2 * SIZE * np.arange(false.size)]
        parts.append(
            pd.DataFrame({"image_id": names[place], "arm": ARMS[a], "seed": j, "score": score, "x_min": left,
                          "y_min": 0.0, "x_max": left + SIZE, "y_max": SIZE})
        )  # fmt: skip
    return pd.concat(parts, ignore_index=True), lesions


def _names(cohort: str, films: int) -> Any:
    return np.array([f"{cohort}{i:06d}" for i in range(films)])


# --- truth ------------------------------------------------------------------------------------------------------------


def base_truth(means: Any, validation: tuple[Any, ...], pi: float) -> dict[tuple[Any, ...], Any]:
    """Expected base measures (arms, runs) at the thresholds and recalibrations of a validation sample."""
    _, label, scores = validation
    found: dict[tuple[Any, ...], Any] = {}

    def put(key: tuple[Any, ...], place: tuple[int, int], value: float) -> None:
        found.setdefault(key, np.empty(means.shape))[place] = value

    for place in np.ndindex(means.shape):
        m, x = means[place], scores[place]
        rates = lambda c, m=m: (1 - stats.norm.cdf(c - m), stats.norm.cdf(c))  # noqa: E731
        put(("auc", "film"), place, stats.norm.cdf(m / np.sqrt(2)))
        sensitivity, alarms = 1 - stats.norm.cdf(GRID - m), 1 - stats.norm.cdf(GRID)
        precision = pi * sensitivity / np.maximum(pi * sensitivity + (1 - pi) * alarms, 1e-300)
        put(("average_precision", "film"), place, np.trapezoid(precision * stats.norm.pdf(GRID - m), GRID))
        for point in POINTS:
            cut = find_threshold(label, x, point, 0.9)
            for name, value in zip(("sensitivity", "specificity"), rates(cut), strict=True):
                put((name, point, "validation", "film"), place, value)
        put(("sensitivity", "high_specificity", "external", "film"), place, rates(stats.norm.ppf(0.9))[0])
        put(("specificity", "high_sensitivity", "external", "film"), place, stats.norm.cdf(m - stats.norm.ppf(0.9)))
        try:
            a, b = fit_line(label, x)
        except ValueError:  # the validation films are separated perfectly: no recalibration, and none is shown
            a, b = np.nan, np.nan
        for t in BENEFIT:
            for name, value in zip(("sensitivity", "specificity"), rates((np.log(t / (1 - t)) - a) / b), strict=True):
                put((name, "risk", t, None), place, value)
        ill, well, risk = stats.norm.pdf(GRID - m), stats.norm.pdf(GRID), expit(a + b * GRID)
        mean = lambda weight, value: float(np.trapezoid(weight * value, GRID))  # noqa: E731
        put(("brier", "logistic"), place, pi * mean(ill, (1 - risk) ** 2) + (1 - pi) * mean(well, risk**2))
        put(("calibration_slope", "logistic"), place, m / b)
        put(("log_oe", "logistic"), place, np.log(pi / (pi * mean(ill, risk) + (1 - pi) * mean(well, risk))))
    return found


def patient_truth(
    rng: np.random.Generator, means: Any, configuration: dict[str, Any], cuts: Any
) -> dict[tuple[Any, ...], Any]:
    """Patient-level AUC and rates, and lesion measures, on a large fresh sample; `cuts` (points, arms, runs)."""
    ill, well, ill_films, well_films = configuration["external"]
    factor = max(1, 4000 // (ill + well))
    patient, label = patients_of(rng, *(factor * k for k in (ill, well, ill_films, well_films)))
    scores, film = films_of(rng, patient, label, means)
    largest = np.maximum.reduceat(scores, np.flatnonzero(np.r_[True, np.diff(patient) > 0]), axis=2)
    side = np.arange(largest.shape[2]) < factor * ill
    found = {("auc", "patient"): np.empty(means.shape)}
    for place in np.ndindex(means.shape):
        ranks = stats.rankdata(largest[place])
        n1, n0 = side.sum(), (~side).sum()
        found["auc", "patient"][place] = (ranks[side].sum() - n1 * (n1 + 1) / 2) / (n1 * n0)
    for k, point in enumerate(POINTS):
        called = largest >= cuts[k][..., None]
        found["sensitivity", point, "validation", "patient"] = called[..., side].mean(axis=2)
        found["specificity", point, "validation", "patient"] = 1 - called[..., ~side].mean(axis=2)
    part = np.flatnonzero((patient < ill) | ((patient >= factor * ill) & (patient < factor * ill + well)))
    chosen = (label[part], scores[..., part], film[part])
    return found | lesion_truth(marks_of(rng, *chosen), *chosen[:2], cuts)


def lesion_truth(boxes: tuple[pd.DataFrame, pd.DataFrame], label: Any, scores: Any, cuts: Any) -> dict[Any, Any]:
    """Lesion measures of every run on a fresh sample of the size of the external films: unbiased, and quick."""
    found: dict[tuple[Any, ...], Any] = {}
    for a, j in np.ndindex(scores.shape[:2]):
        rows = boxes[0][(boxes[0]["arm"] == ARMS[a]) & (boxes[0]["seed"] == j)]
        prepared = prepare_boxes(_names("external", label.size), rows, boxes[1])
        marks, coco, malignant = prepared.judged(HIT), coco_summary(prepared), scores[a, j][label]
        values = {("lroc_auc",): figure_of_merit(marks, "LROC"), ("wafroc_auc",): figure_of_merit(marks, "wAFROC")}
        values |= {("coco_ap",): coco["AP"], ("coco_ap", 0.5): coco["AP50"]}
        heights = froc(marks).sensitivity_at(FALSE_MARKS)
        values |= {("froc_sensitivity", rate): height for rate, height in zip(FALSE_MARKS, heights, strict=True)}
        for k, point in enumerate(POINTS):
            right = marks.correct[label] & (malignant >= cuts[k][a, j])
            values["lroc_sensitivity", point, "validation"] = right.mean()
        for key, value in values.items():
            found.setdefault(key, np.empty(scores.shape[:2]))[a, j] = value
    return found


# --- one cohort -------------------------------------------------------------------------------------------------------


def questions() -> list[dict[str, Any]]:
    """What 04 asks: keyword arguments of `infer`."""
    asked: list[dict[str, Any]] = [{"measure": ["auc", "average_precision"]}, {"measure": "auc", "unit": "patient"}]
    for point in POINTS:
        place = {"point": point, "threshold_from": "validation"}
        asked += [{"measure": list(RATES), **place}, {"measure": ["ppv", "npv"], "prevalence": 0.01, **place}]
        asked += [{"measure": ["sensitivity", "specificity"], "unit": "patient", **place}]
    asked += [{"measure": "sensitivity", "point": "high_specificity", "threshold_from": "external"}]
    asked += [{"measure": "specificity", "point": "high_sensitivity", "threshold_from": "external"}]
    asked += [{"measure": "net_benefit", "at": t, "recalibration": "logistic"} for t in BENEFIT]
    asked += [{"measure": list(CALIBRATION), "recalibration": "logistic"}]
    asked += [{"measure": list(LESIONS)}, {"measure": "coco_ap", "at": 0.5}]
    asked += [{"measure": "froc_sensitivity", "at": list(FALSE_MARKS)}]
    return asked + [{"measure": "lroc_sensitivity", "point": p, "threshold_from": "validation"} for p in POINTS]


def one_cohort(name: str, seed: int, replicates: int) -> tuple[dict[tuple[Any, ...], Any], pd.DataFrame]:
    """The truth of one cohort's runs and thresholds, and the table of results that the page would show."""
    configuration = CONFIGURATIONS[name]
    rng = np.random.default_rng([configuration["id"], seed])
    means = np.array(configuration["mu"])[:, None] + BETWEEN_RUNS * rng.normal(size=(2, configuration["runs"]))
    ill, well = configuration["external"][2:]
    pi = ill / (ill + well)
    sets, effects = [], []
    for cohort in ("external", "validation"):
        patient, label = patients_of(rng, *configuration[cohort])
        drawn, film = films_of(rng, patient, label, means)
        sets.append((patient, label, drawn))
        effects.append(film)
    truth = _truth(rng, name, means, sets[1], pi)
    scores = scores_of_arrays(*sets)
    points = points_of(dict.fromkeys(POINTS, 0.9))
    draws = bootstrap(
        scores, points, replicates=replicates, seed=seed, net_benefit_at=BENEFIT, recalibrations=("logistic",)
    )
    marks = np.random.default_rng([configuration["id"], seed, 1])
    lesion_measures(draws, *marks_of(marks, *sets[0][1:], effects[0]), rule=HIT)
    return truth, join(*(infer(draws, reference="scratch", **asked) for asked in questions()))


def _truth(
    rng: np.random.Generator, name: str, means: Any, validation: tuple[Any, ...], pi: float
) -> dict[tuple[Any, ...], Any]:
    """With several runs, at this cohort's thresholds; with one, at those of other validation samples."""
    configuration, found = CONFIGURATIONS[name], []
    samples = [validation]
    if configuration["runs"] == 1:
        fresh = [patients_of(rng, *configuration["validation"]) for _ in range(20)]
        samples = [(p, y, films_of(rng, p, y, means)[0]) for p, y in fresh]
    for _, label, scores in samples:
        cuts = np.array([[[find_threshold(label, x, point, 0.9) for x in arm] for arm in scores] for point in POINTS])
        one = base_truth(means, (None, label, scores), pi)
        found.append(one | patient_truth(rng, means, configuration, cuts))
    return {key: np.mean([one[key] for one in found], axis=0).mean(axis=1) for key in found[0]}


# --- all cohorts ------------------------------------------------------------------------------------------------------

IDENTITY = ["measure", "reference", "unit", "point", "threshold_from", "at", "prevalence", "recalibration"]
KEEP = [*IDENTITY, "arm", "estimate", "lower", "upper", "p"]


def chunk(name: str, first: int, last: int, replicates: int) -> tuple[list[Any], pd.DataFrame]:
    """Some cohorts of a configuration."""
    truths, tables = [], []
    for seed in range(first, last):
        truth, table = one_cohort(name, seed, replicates)
        shown = table[(table["run"] == "") & (table["arm"] == "transfer")]
        truths.append(truth)
        tables.append(shown[KEEP].assign(cohort=seed))
    return truths, pd.concat(tables, ignore_index=True)


def summarise(name: str, truths: list[Any], table: pd.DataFrame) -> list[dict[str, Any]]:
    """Coverage of every interval and rejections of every test."""
    configuration = CONFIGURATIONS[name]
    own = configuration["runs"] == 1
    ill, well = configuration["external"][2:]
    expected = {key: np.array([truth[key] for truth in truths]) for key in truths[0]}  # (cohorts, arms)
    if not own:
        expected = {key: np.tile(np.nanmean(value, axis=0), (len(truths), 1)) for key, value in expected.items()}
    rows = []
    for key, part in table.groupby(IDENTITY, dropna=False, sort=False):
        setting = dict(zip(IDENTITY, key, strict=True))
        measure = MEASURES[setting["measure"]]
        at = None if pd.isna(setting["at"]) else setting["at"]
        given = None if pd.isna(setting["prevalence"]) or setting["measure"] != "net_benefit" else setting["prevalence"]
        keys = measure.keys(setting | {"at": at, "prevalence": given})
        pi = ill / (ill + well) if pd.isna(setting["prevalence"]) else setting["prevalence"]
        value = lambda a, keys=keys, at=at, measure=measure, pi=pi: np.array(  # noqa: E731
            [measure.value(np.array([expected[k][i, a] for k in keys]), pi, {"at": at}) for i in range(len(truths))]
        )
        target = value(1) - (value(0) if setting["reference"] else 0)
        shown = part["lower"].notna() & part["upper"].notna()
        lower, upper = part["lower"].fillna(-np.inf), part["upper"].fillna(np.inf)
        inside = ((lower <= target) & (target <= upper))[part["lower"].notna() | part["upper"].notna()]
        what = "difference" if setting["reference"] else "arm"
        words = [setting[name] for name in ("measure", "unit", "point", "threshold_from")]
        words += ["" if at is None else f"{at:g}", "" if pd.isna(setting["prevalence"]) else f"at {pi:g}"]
        label = "/".join(word for word in words if word)
        row = {"name": f"{name}: {label} {what}", "configuration": name, "runs": configuration["runs"],
               "cohorts": len(part), "shown": round(float(shown.mean()), 4), "truth": round(float(np.mean(target)), 5),
               "bias": round(float((part["estimate"] - target).mean()), 5),
               "coverage": round(float(inside.mean()), 4) if len(inside) else None,
               "width": round(float((part["upper"] - part["lower"]).mean()), 5)}  # fmt: skip
        if setting["reference"] and "equal" in name:
            row["rejects"] = round(float((part["p"] < 0.05).mean()), 4)
        rows.append(row)
    return rows


def run(name: str, cohorts: int, replicates: int, processes: int) -> list[dict[str, Any]]:
    """Simulate one configuration."""
    size = max(1, min(25, cohorts // processes))
    edges = [(first, min(first + size, cohorts)) for first in range(0, cohorts, size)]
    began = time.perf_counter()
    with ProcessPoolExecutor(processes) as pool:
        parts = list(pool.map(chunk, *zip(*((name, a, b, replicates) for a, b in edges), strict=True)))
    truths = [truth for part, _ in parts for truth in part]
    rows = summarise(name, truths, pd.concat([table for _, table in parts], ignore_index=True))
    seconds = round(time.perf_counter() - began, 1)
    usual = {
        "seconds": seconds,
        "peak_mb": None,
        "peer": "",
        "ratio": None,
        "n": cohorts,
    }
    return [{"name": row["name"], **usual, "note": f"{_covers(row)}; {replicates} draws", **row} for row in rows]


def _covers(row: dict[str, Any]) -> str:
    found = "no interval" if row["coverage"] is None else f"covers {row['coverage']:.3f}"
    return found + (f", rejects {row['rejects']:.3f} at equal arms" if row.get("rejects") is not None else "")


def main() -> None:
    """Simulate the configurations asked for, and keep the other rows of the results file."""
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("configurations", nargs="*", default=list(CONFIGURATIONS), metavar="CONFIGURATION")
    ask.add_argument("--cohorts", type=int, default=2000)
    ask.add_argument("--draws", type=int, default=500)
    ask.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0)))
    ask.add_argument("--results", type=Path, default=RESULTS / "coverage.json")
    asked = ask.parse_args()
    for name in asked.configurations:
        rows = run(name, asked.cohorts, asked.draws, asked.processes)
        kept = json.loads(asked.results.read_text()) if asked.results.exists() else []
        kept = [row for row in kept if row.get("configuration") not in (name, None)]
        asked.results.write_text(json.dumps(kept + rows, indent=1) + "\n")
        known = [row["coverage"] for row in rows if row["coverage"] is not None]
        sizes = [row["rejects"] for row in rows if row.get("rejects") is not None]
        print(
            f"{name}: coverage {min(known):.3f} to {max(known):.3f}"
            + (f", rejects at most {max(sizes):.3f}" if sizes else "")
        )


if __name__ == "__main__":
    main()
