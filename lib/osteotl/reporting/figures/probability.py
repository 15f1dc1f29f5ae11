"""What a score means: distributions, calibration, predictive values, net benefit."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.ticker import FuncFormatter, MaxNLocator

from osteotl.reporting.figures.parts import (
    Drawn,
    NoData,
    Statistics,
    Tables,
    by_arm,
    ends,
    first_seed,
    label,
    legend_below,
    looks_of,
    need,
    of_first_seed,
    one_in,
    said_of,
    sample,
    short,
    square,
)
from osteotl.reporting.style import HEIGHT, WIDTH
from osteotl.reporting.wording import POINTS, interval


def scores(statistics: Statistics, tables: Tables) -> Drawn:
    """Distribution of the recalibrated risk by class, one panel an arm."""
    table = need(tables, "scores")
    column = "risk" if "risk" in table and table["risk"].notna().any() else "score"
    first = of_first_seed(statistics, table)
    arms = list(looks_of(statistics))
    figure, panels = plt.subplots(len(arms), 1, sharex=True, squeeze=False, figsize=(WIDTH, 0.5 + 1.0 * len(arms)))
    low, high = (0.0, 1.0) if column == "risk" else (first[column].min(), first[column].max())
    edges = np.linspace(low, high if high > low else low + 1, 31)
    for axes, arm in zip(panels[:, 0], arms, strict=True):
        rows = first[first["arm"] == arm]
        axes.hist(rows.loc[rows["label"] == 0, column].dropna(), edges, color="0.75", label="normal", lw=0)
        axes.hist(rows.loc[rows["label"] == 1, column].dropna(), edges, histtype="step", color="black", hatch="/////",
                  lw=0.8, label="malignant")  # fmt: skip
        axes.set_title(short(label(statistics, arm)), loc="left")
        axes.set_ylabel("Films")
    handles, names = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=2)
    panels[-1, 0].xaxis.set_major_locator(MaxNLocator(5))
    panels[-1, 0].set_xlabel("Recalibrated risk" if column == "risk" else "Score (not a probability)")
    medians = first.groupby(["arm", "label"])[column].median()
    said = {a: f"{medians.get((a, 1), np.nan):.2f} against {medians.get((a, 0), np.nan):.2f}" for a in arms}
    return Drawn(
        figure,
        first,
        f"Histograms of the {'recalibrated risk' if column == 'risk' else 'score'} by class, seed "
        f"{first_seed(statistics)}. Median of malignant against normal films: "
        f"{said_of(statistics, said).replace('nan', 'not estimable')}.",
    )


def calibration(statistics: Statistics, tables: Tables) -> Drawn:
    """Observed against predicted in ten groups, raw and recalibrated, first seed."""
    table = of_first_seed(statistics, need(tables, "calibration"))
    table = table[table["curve"] == "decile"] if "curve" in table else table
    kinds = [kind for kind in ("raw", "recalibrated") if kind in set(table["kind"])]
    if not kinds:
        raise NoData("no group of films has a predicted and an observed share")
    # one panel is as wide as a column, two share it
    figure, panels = plt.subplots(1, len(kinds), sharey=True, squeeze=False, figsize=(WIDTH, HEIGHT / len(kinds) + 0.5))
    for axes, kind in zip(panels[0], kinds, strict=True):
        axes.plot([0, 1], [0, 1], color="0.7", lw=0.6)
        for _, look, rows in by_arm(statistics, table[table["kind"] == kind]):
            if {"lower", "upper"} <= set(rows):
                axes.vlines(rows["predicted"], rows["lower"], rows["upper"], color=look.colour, lw=0.6, alpha=0.6)
            axes.plot(rows["predicted"], rows["observed"], marker=look.marker, ms=3, **(look.line | {"lw": 0.9}))
        square(axes, "Predicted", "Observed share malignant" if kind == kinds[0] else "")
        axes.set_title("as scored" if kind == "raw" else "recalibrated", loc="left")
    legend_below(figure, [sample(look, label(statistics, arm)) for arm, look in looks_of(statistics).items()])
    runs = {arm: result["per_seed"].get(first_seed(statistics), {}) for arm, result in statistics["arms"].items()}
    said = said_of(statistics, {arm: f"slope {interval(run.get('calibration_slope'), 2)}" for arm, run in runs.items()})
    return Drawn(figure, table, f"Calibration in ten groups, seed {first_seed(statistics)}. Recalibrated: {said}.")


def decision_curve(statistics: Statistics, tables: Tables) -> Drawn:
    """Net benefit over the declared range of threshold probabilities."""
    table = need(tables, "decision_curve")
    figure, axes = plt.subplots(figsize=(WIDTH, 0.9 * HEIGHT))
    entries = []
    for arm, look, rows in by_arm(statistics, table):
        axes.plot(rows["threshold"], rows["net_benefit"], **look.line)
        if rows["lower"].notna().any():
            axes.fill_between(rows["threshold"], rows["lower"], rows["upper"], color=look.colour, alpha=0.13, lw=0)
        entries.append(sample(look, label(statistics, arm), face=None))
    for name, dash in (("treat all", (4, 2)), ("treat none", (1, 1))):
        rows = table[table["arm"] == name]
        entries += axes.plot(rows["threshold"], rows["net_benefit"], color="0.45", lw=0.9, dashes=dash, label=name)
    own = table[table["arm"].isin(statistics["arms"])]
    highest = max(float(own[["net_benefit", "upper"]].max().max()), 1e-3)
    lowest = min(0.0, float(own["net_benefit"].min()))
    axes.set(ylim=(1.05 * lowest - 0.04 * highest, 1.08 * highest), ylabel="Net benefit (true positives per film)")
    axes.set_xlabel("Threshold probability: act at this risk or above")
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:g}%"))
    legend_below(figure, entries)
    low, high = table["threshold"].min(), table["threshold"].max()
    at_end = {r.arm: f"{r.net_benefit:.3f}" for r in own[own["threshold"] == high].itertuples()}
    everyone = table.loc[(table["arm"] == "treat all") & (table["threshold"] == high), "net_benefit"]
    beside = f"; treating all {everyone.iloc[0]:.3f}".replace("-", "\N{MINUS SIGN}") if len(everyone) else ""
    return Drawn(
        figure,
        table,
        f"Net benefit over threshold probabilities {100 * low:g}% to {100 * high:g}%. At {100 * high:g}%: "
        f"{said_of(statistics, at_end)}{beside}.",
    )


def predictive_values(statistics: Statistics, tables: Tables) -> Drawn:
    """PPV against prevalence at the point of the headline."""
    rows = [
        {"arm": arm, "prevalence": v["prevalence"], "point": v["point"], **ends(v["ppv"])}
        for arm, result in statistics["arms"].items()
        for v in result.get("predictive_values") or []
    ]
    table = pd.DataFrame(rows, columns=["arm", "prevalence", "point", "estimate", "lower", "upper"])
    points = list(dict.fromkeys(table["point"]))
    main = statistics["settings"].get("main_point")
    table = table[table["point"] == (main if main in points else next(iter(points), None))]
    table = table.astype({"estimate": float, "lower": float, "upper": float}).sort_values(["arm", "prevalence"])
    if table["estimate"].isna().all():
        raise NoData("no predictive value was estimable")
    figure, axes = plt.subplots()
    for number, (_, look, part) in enumerate(by_arm(statistics, table)):
        aside = part["prevalence"] * (1 + 0.08 * (number - (len(statistics["arms"]) - 1) / 2))
        axes.vlines(aside, part["lower"], part["upper"], color=look.colour, lw=0.8)
        axes.plot(aside, part["estimate"], marker=look.marker, ms=4, **look.line)
    prevalences = sorted(table["prevalence"].unique())
    axes.set_xscale("log")
    axes.set_xticks(prevalences, [one_in(p).replace(" in ", "\nin ") for p in prevalences])
    axes.minorticks_off()
    axes.set(
        ylim=(-0.02, 1.02), xlabel="Prevalence of malignant films (logarithmic)", ylabel="Positive predictive value"
    )
    entries = [sample(look, label(statistics, arm)) for arm, look in looks_of(statistics).items()]
    legend_below(figure, entries)
    return Drawn(figure, table, _ppv_said(statistics, table))


def _ppv_said(statistics: Statistics, table: pd.DataFrame) -> str:
    point, _, source = str(table["point"].iloc[0]).partition("@")
    lowest, highest = table["prevalence"].min(), table["prevalence"].max()
    said = [
        f"at {one_in(p)} " + said_of(statistics, {r.arm: interval(r._asdict()) for r in part.itertuples()})
        for p, part in table[table["prevalence"].isin([lowest, highest])].groupby("prevalence")
    ]
    where = f"{POINTS.get(point, point)} point, threshold from {source}"
    return f"Positive predictive value falls with prevalence ({where}): {'; '.join(said)}."
