"""Intervals one below the other: differences, training runs, subgroups."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from osteotl.reporting.figures.parts import (
    Drawn,
    Line,
    NoData,
    Statistics,
    Tables,
    forest,
    label,
    looks_of,
    said_of,
    table_of,
)
from osteotl.reporting.wording import POINTS, interval

NO_NUMBER = {"estimate": None}


def auc_difference(statistics: Statistics, tables: Tables) -> Drawn:
    """Difference in AUC to the reference: each seed, and all seeds together, beside the declared margin."""
    margin, comparisons = statistics["settings"]["auc_margin"], statistics["comparisons"]
    if not comparisons:
        raise NoData("one arm: nothing to compare it with")
    lines = []
    for arm, comparison in comparisons.items():
        heading = label(statistics, arm) if len(comparisons) > 1 else ""
        runs = comparison.get("per_seed", {})
        lines += [
            Line(heading, f"seed {seed}", arm, run.get("auc_difference", NO_NUMBER)) for seed, run in runs.items()
        ]
        lines.append(Line(heading, "all seeds", arm, comparison["auc_difference"], strong=True))
    against = label(statistics, statistics["settings"]["reference"])
    figure = forest(statistics, lines, f"Difference in AUC to '{against}'", zero=0, key=False)
    figure.axes[0].axvspan(-margin, margin, color="0.92", zorder=0)
    verdicts = " ".join(c["verdict"]["sentence"] for c in comparisons.values() if c.get("verdict"))
    return Drawn(
        figure,
        table_of(lines),
        f"Differences in AUC with intervals, per training run and together, beside a margin of {margin:g}. {verdicts}",
    )


def operating_points(statistics: Statistics, tables: Tables) -> Drawn:
    """Differences in sensitivity and specificity at every operating point."""
    lines, keys = [], []
    comparisons = statistics["comparisons"]
    for key in dict.fromkeys(k for comparison in comparisons.values() for k in comparison["operating_points"]):
        name, _, source = key.partition("@")
        target = statistics["settings"].get("operating_points", {}).get(name)
        words = [POINTS.get(name, name), f"target {target:.2f}" if target else "",
                 "locked on validation" if source == "validation" else f"found on {source} films"]  # fmt: skip
        heading = ", ".join(word for word in words if word)
        for measure in ("sensitivity", "specificity"):
            for arm, comparison in comparisons.items():
                point = comparison["operating_points"].get(key, {})
                if measure in point:
                    lines.append(Line(heading[0].upper() + heading[1:], measure, arm, point[measure]))
                    keys.append(key)
    if not lines:
        raise NoData("no operating point was estimable")
    figure = forest(statistics, lines, "Difference to the reference arm", zero=0)
    main = statistics["settings"].get("main_point") or keys[0]
    said = [
        f"{label(statistics, line.arm)}, {line.label} {interval(line.number)}"
        for line, key in zip(lines, keys, strict=True)
        if key == main
    ]
    where = POINTS.get(main.partition("@")[0], main)
    data = table_of(lines).assign(point=keys)
    return Drawn(
        figure,
        data,
        f"Differences in sensitivity and specificity to the reference arm. At the {where} point, threshold from "
        f"{main.partition('@')[2]}: {'; '.join(said) or 'not estimable'}.",
    )


def seeds(statistics: Statistics, tables: Tables) -> Drawn:
    """AUC of every training run: the spread between seeds beside the difference between arms."""
    lines, spread = [], {}
    for arm in looks_of(statistics):
        result = statistics["arms"][arm]
        runs = {seed: run["auc"] for seed, run in result["per_seed"].items()}
        if len(runs) < 2:
            raise NoData("one training run an arm: the spread between runs is unknown")
        lines += [Line(label(statistics, arm), f"seed {seed}", arm, auc) for seed, auc in runs.items()]
        lines.append(Line(label(statistics, arm), "mean", arm, result["auc"], strong=True))
        known = [auc["estimate"] for auc in runs.values() if auc.get("estimate") is not None]
        spread[arm] = f"{max(known) - min(known):.3f}" if known else "not estimable"
    figure = forest(statistics, lines, "AUC", key=False)  # each arm's name already heads its block
    said = said_of(statistics, spread)
    return Drawn(
        figure,
        table_of(lines),
        f"AUC of each training run with its interval. Largest minus smallest over seeds: {said}.",
    )


def subgroups(statistics: Statistics, tables: Tables) -> Drawn:
    """AUC within subgroups, arm by arm."""
    found = statistics.get("subgroups") or []
    if not found:
        raise NoData("no subgroup columns")
    order = list(looks_of(statistics))
    levels = list(dict.fromkeys((g["group"], g["level"]) for g in found))
    places = {level: i for i, level in enumerate(levels)}
    rows = sorted(found, key=lambda g: (places[g["group"], g["level"]], order.index(g["arm"])))
    lines = [Line(str(g["group"]).capitalize(), _level(g), g["arm"], g["auc"]) for g in rows]
    figure = forest(statistics, lines, "AUC", digits=2)
    data = table_of(lines).dropna(subset=["estimate"])
    said = "none estimable"
    if len(data):
        low = data.loc[pd.to_numeric(data["estimate"]).idxmin()]
        said = (
            f"lowest {low['estimate']:.3f} in {low['heading'].lower()} {low['row']} ({label(statistics, low['arm'])})"
        )
    return Drawn(figure, table_of(lines), f"AUC within subgroups with intervals: {said}.")


def _level(group: Mapping[str, Any]) -> str:
    """`10-19 (12/57)`: malignant films of all films."""
    counts = f" ({group['malignant']}/{group['n']})" if group.get("malignant") is not None else f" ({group.get('n')})"
    level = " ".join(str(group["level"]).split()).replace(">=", "\N{GREATER-THAN OR EQUAL TO}")
    return f"{level}{counts}"
