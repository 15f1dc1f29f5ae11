"""Curves over every threshold."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.lines import Line2D

from osteotl.reporting.figures.parts import (
    Drawn,
    Statistics,
    Tables,
    by_arm,
    first_seed,
    label,
    legend_below,
    looks_of,
    need,
    per_seed,
    said_of,
    sample,
    square,
)
from osteotl.reporting.wording import HIT_RULES, interval


def roc(statistics: Statistics, tables: Tables) -> Drawn:
    """ROC curves of every seed, with the operating points of the first seed."""
    table, first = need(tables, "roc"), first_seed(statistics)
    figure, axes = plt.subplots()
    axes.plot([0, 1], [0, 1], color="0.7", lw=0.6)
    entries, marked = [], ""
    for arm, look, rows in by_arm(statistics, table):
        per_seed(axes, rows, ("fpr", "tpr"), look, first)
        marked, points = _points_of(statistics, arm, first)
        for point in points:
            fpr, tpr = point["fp"] / (point["fp"] + point["tn"]), point["tp"] / (point["tp"] + point["fn"])
            axes.plot(fpr, tpr, look.marker, color=look.colour, mfc="white", ms=4.5, mew=1.1, zorder=3)
        entries.append(
            sample(look, label(statistics, arm), f"AUC {interval(statistics['arms'][arm]['auc'])}", "white", 30)
        )
    if marked:
        key = f"hollow: operating points,\n{marked}"
        entries.append(Line2D([], [], ls="", marker="o", mfc="white", color="0.35", ms=4.5, label=key))
    square(axes, "1 \N{MINUS SIGN} specificity", "Sensitivity")
    if len(entries) > 3:
        legend_below(figure, entries)
    else:
        white = {"frameon": True, "facecolor": "white", "edgecolor": "none", "framealpha": 0.85}  # curves near chance
        axes.legend(entries, [str(e.get_label()) for e in entries], loc="lower right", handlelength=2.6, **white)
    said = said_of(statistics, {arm: interval(result["auc"]) for arm, result in statistics["arms"].items()})
    return Drawn(
        figure, table, f"ROC curves on the external set. Area under the curve, mean over training runs: {said}."
    )


def _points_of(statistics: Statistics, arm: str, seed: str) -> tuple[str, list[Mapping[str, Any]]]:
    """The points to mark and what they are: locked on validation where there was a validation set."""
    points = statistics["arms"][arm]["per_seed"].get(seed, {}).get("operating_points", {})
    locked = {key: p for key, p in points.items() if key.endswith("@validation")}
    shown = [p for p in (locked or points).values() if p.get("tp") is not None]
    return (f"{'locked' if locked else 'found here'}, seed {seed}" if shown else ""), shown


def precision_recall(statistics: Statistics, tables: Tables) -> Drawn:
    """Precision against sensitivity, with the prevalence line."""
    table, first = need(tables, "precision_recall"), first_seed(statistics)
    prevalence = statistics["cohorts"]["external"]["prevalence"]
    figure, axes = plt.subplots()
    axes.axhline(prevalence, color="0.6", lw=0.8)
    below = prevalence > 0.5
    axes.text(0.01, prevalence + (-0.015 if below else 0.015), f"prevalence in the study: {100 * prevalence:.0f}%",
              fontsize=6.5, color="0.35", va="top" if below else "bottom")  # fmt: skip
    entries = []
    for arm, look, rows in by_arm(statistics, table):
        per_seed(axes, rows, ("recall", "precision"), look, first, drawstyle="steps-post")
        number = interval(statistics["arms"][arm]["average_precision"])
        entries.append(sample(look, label(statistics, arm), f"AP {number}", face=None))
    square(axes, "Sensitivity (recall)", "Positive predictive value (precision)")
    legend_below(figure, entries)
    said = said_of(statistics, {a: interval(result["average_precision"]) for a, result in statistics["arms"].items()})
    return Drawn(figure, table, f"Precision-recall curves on the external set. Average precision: {said}.")


def localisation(statistics: Statistics, tables: Tables) -> Drawn:
    """FROC: lesions found against false marks a film."""
    table, first = need(tables, "froc"), first_seed(statistics)
    figure, axes = plt.subplots()
    for _, look, rows in by_arm(statistics, table):
        per_seed(axes, rows, ("fp_per_film", "sensitivity"), look, first, drawstyle="steps-post")
    axes.set(xlim=(-0.01 * (end := _flat_from(table)), end), ylim=(-0.015, 1.015))
    axes.set(xlabel="False marks per film", ylabel="Share of lesions hit")
    legend_below(figure, [sample(k, label(statistics, arm), face=None) for arm, k in looks_of(statistics).items()])
    areas = {arm: (result.get("localisation") or {}).get("lroc_area") for arm, result in statistics["arms"].items()}
    said = said_of(statistics, {arm: interval(area) for arm, area in areas.items() if area})
    rule = HIT_RULES[statistics["settings"]["hit_rule"]]
    return Drawn(
        figure,
        table,
        f"FROC curves (hit rule: {rule}). Area under the localisation ROC curve: {said or 'not estimable'}.",
    )


def _flat_from(froc: pd.DataFrame) -> float:
    """Where the last curve has reached its height: what lies beyond shows nothing (a step of a half, 1 at least)."""
    last = 0.0
    for _, run in froc.groupby(["arm", "seed"]):
        last = max(last, float(run.loc[run["sensitivity"] >= run["sensitivity"].max() - 1e-12, "fp_per_film"].min()))
    return max(1.0, math.ceil(2.1 * last) / 2)
