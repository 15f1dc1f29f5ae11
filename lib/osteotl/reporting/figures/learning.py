"""Curves over the share of labels and over optimiser steps."""

from __future__ import annotations

from collections.abc import Iterable

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from osteotl.reporting.figures.parts import (
    Drawn,
    NoData,
    Statistics,
    Tables,
    by_arm,
    interval,
    label,
    legend_below,
    looks_of,
    need,
    said_of,
    sample,
)
from osteotl.reporting.style import Look

OTHER = {"equal_steps": "equal epochs", "equal_epochs": "equal steps"}
"""What the hollow curve is, by what the filled one is."""


def learning_curve(statistics: Statistics, tables: Tables) -> Drawn:
    """AUC against the share of labels, at equal steps and, where both were run, at equal epochs."""
    table = need(tables, "learning_curve")
    fractions = sorted(table["fraction"].unique())
    if len(fractions) < 2:
        raise NoData("one label fraction: no learning curve")
    main = table["training"].iloc[0]
    figure, axes = plt.subplots()
    middle = (len(statistics["arms"]) - 1) / 2
    for number, (_, look, rows) in enumerate(by_arm(statistics, table)):
        aside = 1 + 0.03 * (number - middle)  # side by side: intervals must not hide others
        _curve(axes, rows[rows["training"] == main], "fraction", look, aside)
        if (rows["training"] != main).any():
            _curve(axes, rows[rows["training"] != main], "fraction", look, aside * 1.08, hollow=True)
    axes.set_xscale("log")
    axes.set_xticks(fractions, [f"{100 * f:g}%" for f in fractions])
    axes.minorticks_off()
    axes.set(xlabel="Share of training labels (logarithmic)", ylabel="AUC")
    both = bool((table["training"] != main).any())
    key = Line2D([], [], ls="", marker="o", mfc="white", color="0.35", ms=4, label=f"hollow: {OTHER.get(main)}")
    legend_below(figure, [*_entries(statistics), *([key] if both else [])])
    means = table[table["seed"].isna()]
    said = [
        f"with {100 * f:g}% of labels{kind} {_said(statistics, rows)}"
        for f in (fractions[0], fractions[-1])
        for kind, rows in _kinds(means[means["fraction"] == f], main)
    ]
    return Drawn(figure, table, f"AUC against the share of labels: {'; '.join(said)}.")


def steps_curve(statistics: Statistics, tables: Tables) -> Drawn:
    """AUC against optimiser steps, on all labels."""
    if tables.get("steps_curve") is None:
        raise NoData("no checkpoint was scored (detector.checkpoints)")
    table = need(tables, "steps_curve")
    table = table[table["fraction"] == table["fraction"].max()]
    figure, axes = plt.subplots()
    middle, width = (len(statistics["arms"]) - 1) / 2, 0.008 * table["step"].max()
    for number, (_, look, rows) in enumerate(by_arm(statistics, table)):
        _curve(axes, rows.assign(step=rows["step"] + width * (number - middle)), "step", look)
    axes.set(xlabel="Optimiser steps", ylabel="AUC")
    legend_below(figure, _entries(statistics))
    means = table[table["seed"].isna()]
    first, last = means[means["step"] == means["step"].min()], means[means["last"]]
    found = [comparison.get("convergence", {}).get("sentence") for comparison in statistics["comparisons"].values()]
    said = f"after {first['step'].iloc[0]:,} steps {_said(statistics, first)}; at the end {_said(statistics, last)}."
    return Drawn(figure, table, " ".join([f"AUC against optimiser steps: {said}", *(text for text in found if text)]))


def _curve(axes: Axes, rows: pd.DataFrame, x: str, look: Look, aside: float = 1.0, hollow: bool = False) -> None:
    """Mean over seeds with its intervals; single runs as small markers."""
    mean, runs = rows[rows["seed"].isna()].sort_values(x), rows[rows["seed"].notna()]
    line = look.line | ({"mfc": "white", "lw": 0.6} if hollow else {})
    axes.plot(runs[x] * aside, runs["auc"], look.marker, color=look.colour, ms=2.5, alpha=0.5, mfc=line.get("mfc"))
    axes.vlines(mean[x] * aside, mean["lower"], mean["upper"], color=look.colour, lw=0.9)
    axes.plot(mean[x] * aside, mean["auc"], marker=look.marker, ms=4, **line)


def _entries(statistics: Statistics) -> list[Line2D]:
    return [sample(look, label(statistics, arm)) for arm, look in looks_of(statistics).items()]


def _kinds(rows: pd.DataFrame, main: str) -> Iterable[tuple[str, pd.DataFrame]]:
    """Rows by what the fractions have in common, named where there are both."""
    for kind, part in rows.groupby("training", sort=False):
        yield ("" if kind == main else f" at {OTHER[main]}"), part


def _said(statistics: Statistics, rows: pd.DataFrame) -> str:
    return said_of(statistics, {r.arm: interval({"estimate": r.auc, "lower": r.lower, "upper": r.upper})
                                for r in rows.itertuples()})  # fmt: skip
