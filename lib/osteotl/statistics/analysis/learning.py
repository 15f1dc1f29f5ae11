"""What labels and optimiser steps buy: learning curves, the fraction that equals all labels, and convergence."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from osteotl.statistics.analysis.arms import scale_of
from osteotl.statistics.analysis.inputs import Cohort, Inputs, align
from osteotl.statistics.analysis.prepare import Prepared
from osteotl.statistics.delong import auc_interval
from osteotl.statistics.label_fraction import equal_fraction
from osteotl.statistics.replicate_values import Runs, auc_replicates
from osteotl.statistics.replicates import arm_mean, compare_replicates

Numbers = dict[str, Any]
Rows = dict[str, list[Numbers]]
Seeds = dict[Hashable, ArrayLike]  # scores of each seed
UNADJUSTED = "Intervals of single steps are not adjusted for their number."


# --- label fractions --------------------------------------------------------------------------------------------------


def learning_curve(prepared: Prepared) -> Rows:
    """AUC of every arm at every label fraction: each seed, and the mean (seed null) with its interval."""
    inputs = prepared.inputs
    curves: Rows = {arm: [] for arm in prepared.arms}
    for fraction in inputs.fractions:
        cohort = inputs.cohort("external", fraction)
        if cohort is None:
            continue
        for arm, rows in curves.items():
            rows += _auc_rows(prepared, cohort, arm, {"fraction": fraction})
    return curves


def equal_epochs_curve(prepared: Prepared) -> Rows:
    """The same for runs that saw every label as often as a run on all labels; empty unless both kinds were run.

    On all labels equal epochs and equal steps are one and the same run, which ends this curve too.
    """
    inputs, curves = prepared.inputs, {arm: list[Numbers]() for arm in prepared.arms}
    if inputs.extra is None or inputs.settings.fraction_training != "both":
        return curves
    rows = inputs.extra[inputs.extra["training"] == "equal_epochs"]
    for fraction in inputs.fractions:
        whole = fraction == inputs.fractions[-1]
        for arm, found in curves.items():
            cohort = inputs.cohort("external", fraction) if whole else _scored(inputs, rows, fraction, [arm])
            if cohort is not None:
                found += _auc_rows(prepared, cohort, arm, {"fraction": fraction})
    return curves


def label_savings(inputs: Inputs) -> Numbers:
    """From which fraction an arm does as well as the reference on all labels: within the margin, and just as well."""
    asked, whole = inputs.settings, inputs.cohort("external")
    if len(inputs.fractions) < 2 or whole is None:
        return {}
    block: Numbers = {}
    target: Seeds = {seed: whole.score[asked.reference, seed] for seed in inputs.seeds}
    for arm in asked.arms:
        if arm == asked.reference:
            continue
        curve = {fraction: _same_films(inputs, fraction, whole, arm) for fraction in inputs.fractions}
        steps = [_against_all_labels(inputs, whole, fraction, runs, target) for fraction, runs in curve.items()]
        enough = [step["fraction"] for step in steps if step["noninferior"]]
        said = (
            f"With {100 * enough[0]:g}% of the labels the arm was not worse than the reference on all labels by "
            f"{asked.auc_margin:g} or more."
            if enough
            else "At no fraction was the arm shown to be as good as the reference on all labels, within the margin."
        )
        equal = equal_fraction(
            whole.label, curve, target, whole.clusters, asked.bootstrap, asked.bootstrap_seed, asked.confidence
        )
        block[arm] = {"steps": steps, "smallest_fraction": enough[0] if enough else None, "sentence": said,
                      "equal_fraction": equal.to_dict()}  # fmt: skip
    return block


def _same_films(inputs: Inputs, fraction: float, whole: Cohort, arm: str) -> Seeds:
    part = inputs.cohort("external", fraction)
    if part is None or not np.array_equal(part.films, whole.films):
        raise ValueError(f"fraction {fraction:g} scored other external films than fraction 1; score the same films")
    return {seed: part.score[arm, seed] for seed in inputs.seeds}


def _against_all_labels(inputs: Inputs, whole: Cohort, fraction: float, runs: Seeds, target: Seeds) -> Numbers:
    both: Runs = {"arm": runs, "reference": target}
    values = auc_replicates(whole.label, both, whole.clusters)
    found = compare_replicates(values, "arm", "reference", inputs.settings.confidence).difference
    return {"fraction": fraction, "difference": found.to_dict(),
            "noninferior": found.lower is not None and found.lower > -inputs.settings.auc_margin}  # fmt: skip


# --- optimiser steps --------------------------------------------------------------------------------------------------


def steps_curve(prepared: Prepared) -> Rows:
    """AUC of every arm after so many optimiser steps, the last among them; empty where no checkpoint was scored."""
    inputs, curves = prepared.inputs, {arm: list[Numbers]() for arm in prepared.arms}
    rows = _checkpoints(inputs)
    for (fraction, arm), part in rows.groupby(["fraction", "arm"], sort=True):
        if arm not in curves:
            continue
        last = int(part["last_step"].max())
        for step in sorted(int(s) for s in part["step"].unique()):
            cohort = _scored(inputs, part[part["step"] == step], fraction, [arm])
            if cohort is not None:
                curves[arm] += _auc_rows(prepared, cohort, arm, {"fraction": fraction, "step": step, "last": False})
        finished = inputs.cohort("external", fraction)
        if finished is not None:
            curves[arm] += _auc_rows(prepared, finished, arm, {"fraction": fraction, "step": last, "last": True})
    return curves


def convergence(prepared: Prepared, arm: str) -> Numbers:
    """Differences from the reference step by step, and whether what the arm's start buys is speed or a better end."""
    inputs, reference = prepared.inputs, prepared.settings.reference
    rows = _checkpoints(inputs)
    rows = rows[rows["arm"].isin([arm, reference])]
    found: list[Numbers] = []
    for fraction, part in rows.groupby("fraction", sort=True):
        for step in sorted(int(s) for s in part["step"].unique()):
            cohort = _scored(inputs, part[part["step"] == step], fraction, [arm, reference])
            if cohort is not None:
                found.append(_difference(prepared, cohort, arm, {"fraction": fraction, "step": step, "last": False}))
        last, finished = part.loc[part["arm"] == arm, "last_step"].max(), inputs.cohort("external", fraction)
        if finished is not None and pd.notna(last):
            found.append(_difference(prepared, finished, arm, {"fraction": fraction, "step": int(last), "last": True}))
    if not found:
        return {}
    whole = [one for one in found if one["fraction"] == inputs.fractions[-1]]
    buys, words = _what_it_buys(whole, prepared)
    return {"steps": found, "buys": buys, "sentence": f"{words[0].upper()}{words[1:]}. {UNADJUSTED}"}


def _what_it_buys(steps: list[Numbers], prepared: Prepared) -> tuple[str, str]:
    """From the intervals: ahead early and at the end, early only (convergence), at the end only, or never."""
    early = next((step for step in steps if not step["last"] and _above(step["difference"])), None)
    end = next((step for step in steps if step["last"]), None)
    if end is None or end["difference"]["lower"] is None or len(steps) < 2:
        return "unknown", "no checkpoint, or no interval at the last step: nothing can be said of convergence"
    last = f"at the last step ({end['step']:,}; {_told(end, prepared)})"
    first = "" if early is None else f"the arm was ahead after {early['step']:,} steps ({_told(early, prepared)})"
    if end["difference"]["upper"] < 0:
        return "nothing lasting", f"{first or 'the arm was not shown to be ahead at any checkpoint'}, and behind {last}"
    if _above(end["difference"]):
        if first:
            return "a lasting gain", f"{first} and still {last}: its start buys more than convergence"
        return "a late gain", f"the arm was not shown to be ahead at any checkpoint, but it was {last}"
    if not first:
        return "nothing shown", f"the arm was not shown to be ahead at any checkpoint, nor {last}"
    margin = prepared.settings.auc_margin
    close = end["difference"]["lower"] > -margin and end["difference"]["upper"] < margin
    rest = f"a difference of {margin:g} or more is {'' if close else 'not '}ruled out there"
    words = f"{first}, and no longer shown to be ahead {last}: what its start buys here is convergence"
    return "convergence", f"{words}, the same place in fewer steps; {rest}"


def _above(number: Numbers) -> bool:
    return number["lower"] is not None and number["lower"] > 0


def _told(step: Numbers, prepared: Prepared) -> str:
    number, level = step["difference"], f"{100 * prepared.settings.confidence:g}%"
    return f"AUC {number['estimate']:+.3f}, {level} interval {number['lower']:+.3f} to {number['upper']:+.3f}"


# --- tables -----------------------------------------------------------------------------------------------------------


def learning_tables(statistics: Numbers) -> dict[str, pd.DataFrame]:
    """learning_curve, steps_curve and steps_difference as tables, from statistics.json."""
    asked = statistics["settings"]["fraction_training"]
    main = "equal_steps" if asked == "both" else asked
    curves: dict[str, list[Numbers]] = {"learning_curve": [], "steps_curve": [], "steps_difference": []}
    for arm, block in statistics["arms"].items():
        for name, training in (("learning_curve", main), ("learning_curve_equal_epochs", "equal_epochs")):
            curves["learning_curve"] += [_flat(arm, row, "auc") | {"training": training} for row in block[name]]
        curves["steps_curve"] += [_flat(arm, row, "auc") for row in block["steps_curve"]]
    for arm, block in statistics["comparisons"].items():
        curves["steps_difference"] += [_flat(arm, row, "difference") for row in block["convergence"].get("steps", [])]
    tables = {name: pd.DataFrame(rows) for name, rows in curves.items()}
    return {name: table.astype({"seed": "Int64"}) if "seed" in table else table for name, table in tables.items()}


def _flat(arm: str, row: Numbers, name: str) -> Numbers:
    number = row[name]
    limits = {name: number["estimate"], "lower": number["lower"], "upper": number["upper"]}
    return {"arm": arm} | {key: value for key, value in row.items() if key != name} | limits


# --- parts ------------------------------------------------------------------------------------------------------------


def _checkpoints(inputs: Inputs) -> pd.DataFrame:
    """Rows of predictions_extra.csv that are of a run under way, not of its last weights."""
    if inputs.extra is None:
        return pd.DataFrame(columns=["fraction", "arm", "seed", "training", "step", "last_step"])
    main = "equal_epochs" if inputs.settings.fraction_training == "equal_epochs" else "equal_steps"
    return inputs.extra[(inputs.extra["training"] == main) & (inputs.extra["step"] < inputs.extra["last_step"])]


def _scored(inputs: Inputs, rows: pd.DataFrame, fraction: float, arms: list[str]) -> Cohort | None:
    """External films as these rows score them; None unless every seed of every one of the arms is among them."""
    runs = [(arm, seed) for arm in arms for seed in inputs.seeds]
    rows = rows[rows["fraction"] == fraction]
    there = set(zip(rows["arm"], rows["seed"], strict=True))
    return align(rows, "external", fraction, runs) if there >= set(runs) else None


def _auc_rows(prepared: Prepared, cohort: Cohort, arm: str, place: Numbers) -> list[Numbers]:
    """The mean over seeds (seed null), then each seed."""
    seeds, confidence = prepared.seeds, prepared.settings.confidence
    headline = cohort is prepared.external
    values = prepared.auc if headline else auc_replicates(cohort.label, _runs(cohort, [arm], seeds), cohort.clusters)
    mean = arm_mean(values, arm, confidence, scale=scale_of(cohort.label, len(seeds)))
    rows = [{**place, "seed": None, "auc": mean.to_dict()}]
    for seed in seeds:
        one = auc_interval(cohort.label, cohort.score[arm, seed], cohort.clusters, confidence, scale_of(cohort.label))
        rows.append({**place, "seed": seed, "auc": one.to_dict()})
    return rows


def _difference(prepared: Prepared, cohort: Cohort, arm: str, place: Numbers) -> Numbers:
    reference, confidence = prepared.settings.reference, prepared.settings.confidence
    values = auc_replicates(cohort.label, _runs(cohort, [arm, reference], prepared.seeds), cohort.clusters)
    return {**place, "difference": compare_replicates(values, arm, reference, confidence).difference.to_dict()}


def _runs(cohort: Cohort, arms: list[str], seeds: list[int]) -> Runs:
    return {arm: {seed: cohort.score[arm, seed] for seed in seeds} for arm in arms}
