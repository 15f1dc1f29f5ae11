"""Differences, runs and subgroups with their intervals; distributions of scores and of bootstrap draws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import blended_transform_factory

from osteotl.display import LEVELS
from osteotl.figures.parts import (
    HEIGHT,
    INK,
    PAPER,
    RULE,
    SOFT,
    WIDTH,
    Figure,
    Labels,
    Look,
    NoData,
    Tables,
    by_arm,
    fixed,
    interval,
    legend_below,
    looks,
    means,
    need,
    one_in,
    point_words,
    run_word,
    runs_of,
    said,
    sample,
    styled,
    wrapped,
)
from osteotl.files import plural

ROW = 0.142  # height of one line of a forest plot in inches: 7-point type with air
OTHER_POINTS = ("validation", "given", "external")


def _compared(results: pd.DataFrame, labels: Labels) -> pd.DataFrame:
    return results[(results["reference"] != "") & results["arm"].isin(list(labels))]


@styled
def auc_difference(results: pd.DataFrame, tables: Tables, labels: Labels, margin: float) -> Figure:
    """Difference in AUC from the reference model, by film and by patient, beside the declared margin.

    Parameters
    ----------
    results : DataFrame
        The table of results.
    tables : mapping
        Not used.
    labels : mapping of arm to label
        The reference first.
    margin : float
        The smallest relevant difference, declared before the analysis.
    """
    found = _compared(means(results, section="discrimination", measure="auc"), labels)
    lines = [
        Line(labels[arm] if len(labels) > 2 else "", f"by {unit}", arm, rows.iloc[0], strong=unit == "film")
        for arm in labels
        for unit in ("film", "patient")
        if len(rows := found[(found["arm"] == arm) & (found["unit"] == unit)])
    ]
    if not lines:
        raise NoData("one model: nothing to compare it with")
    against = labels[str(found["reference"].iloc[0])]
    picture = forest(lines, labels, f"Difference in AUC from '{against}'", zero=0)
    picture.axes[0].axvspan(-margin, margin, color=RULE, alpha=0.4, lw=0, zorder=0)
    rows = by_arm(found[found["unit"] == "film"], {arm: labels[arm] for arm in labels if arm in set(found["arm"])})
    return Figure(
        picture,
        table_of(lines),
        "Difference in AUC",
        f"AUC minus that of the reference model, mean over runs, with intervals. Grey band: the margin of {margin:g} "
        "that was declared before the analysis.",
        f"Difference in AUC from {against}, beside a margin of {margin:g}: "
        f"{said(labels, {arm: interval(row) for arm, row in rows.items()})}.",
        good="An interval wholly right of zero (superior), or wholly inside the band (equivalent).",
        bad="An interval that reaches beyond both ends of the band: too few films or runs to tell.",
    )


@styled
def difference_draws(results: pd.DataFrame, tables: Tables, labels: Labels, margin: float) -> Figure:
    """Histogram of the bootstrap draws of the difference in AUC, runs held as they are.

    Parameters
    ----------
    results, labels, margin
        As in `auc_difference`.
    tables : mapping
        Needs draws.csv: measure, arm, reference, left, right, count.
    """
    table = need(tables, "draws", labels)
    table = table[table["measure"] == "auc"]
    if table.empty:
        raise NoData("no difference in AUC was drawn")
    arms = [arm for arm in labels if arm in set(table["arm"])]
    picture, panels = plt.subplots(len(arms), 1, sharex=True, squeeze=False, figsize=(WIDTH, 0.7 + 1.4 * len(arms)))
    look = looks(labels)
    for axes, arm in zip(panels[:, 0], arms, strict=True):
        rows = table[table["arm"] == arm]
        axes.axvspan(-margin, margin, color=RULE, alpha=0.4, lw=0)
        axes.bar(rows["left"], rows["count"], rows["right"] - rows["left"], align="edge", color=look[arm].colour)
        axes.axvline(0, color=INK, lw=0.6)
        axes.set_ylabel("Draws")
        axes.set_title(wrapped(labels[arm], 48), loc="left")
    panels[-1, 0].xaxis.set_major_locator(MaxNLocator(5))
    panels[-1, 0].set_xlabel(wrapped(f"Difference in AUC from '{labels[str(table['reference'].iloc[0])]}'", 48))
    shares = {}
    for arm in arms:
        rows = table[table["arm"] == arm]
        above = rows.loc[(rows["left"] + rows["right"]) / 2 > 0, "count"].sum()
        shares[arm] = f"{100 * above / rows['count'].sum():.1f} % of the draws above zero"
    return Figure(
        picture,
        table,
        "Bootstrap draws of the difference in AUC",
        "How the difference varies when patients are drawn again, mean over the runs that there are. The interval of "
        "the study also counts the variation between runs, so it is wider. Grey band: the declared margin.",
        f"Histogram of the drawn differences in AUC: {said(labels, shares)}.",
        good="A histogram wholly on one side of zero.",
        bad="A wide histogram around zero.",
    )


@styled
def operating_points(results: pd.DataFrame, tables: Tables, labels: Labels) -> Figure:
    """Differences in sensitivity and specificity at every operating point.

    Parameters
    ----------
    results, tables, labels
        As in `auc_difference`.
    """
    found = _compared(means(results, section="operating_points", unit="film", prevalence=None), labels)
    found = found[found["measure"].isin(["sensitivity", "specificity"])]
    places = found[["point", "threshold_from"]].drop_duplicates()
    order = sorted(places.itertuples(index=False), key=lambda p: OTHER_POINTS.index(p.threshold_from))
    lines = [
        Line(_first_upper(point_words(*place)), measure, row.arm, row._asdict())
        for place in order
        for measure in ("sensitivity", "specificity")
        for row in found[(found["point"] == place.point) & (found["threshold_from"] == place.threshold_from)
                         & (found["measure"] == measure)].itertuples()
    ]  # fmt: skip
    if not lines:
        raise NoData("no operating point of two models can be compared")
    picture = forest(lines, labels, "Difference to the reference model", zero=0)
    first = [line for line in lines if line.heading == lines[0].heading]
    words = "; ".join(f"{labels[line.arm]}, {line.label} {interval(line.number)}" for line in first)
    return Figure(
        picture,
        table_of(lines),
        "Differences at the operating points",
        "Sensitivity and specificity minus those of the reference model: mean over runs, each run at its own "
        "threshold. Where a threshold is found on these films, the rate that its rule fixes has no interval.",
        f"Differences in sensitivity and specificity to the reference model. {lines[0].heading}: {words}.",
        good="Both intervals of a point at or right of zero.",
        bad="Sensitivity and specificity on opposite sides of zero: the models only sit at other points of a "
        "similar curve.",
    )


def _first_upper(text: str) -> str:
    return text[:1].upper() + text[1:]


@styled
def runs(results: pd.DataFrame, tables: Tables, labels: Labels) -> Figure:
    """AUC of every run beside the mean: the spread between runs beside the difference between models.

    Parameters
    ----------
    results, tables, labels
        As in `auc_difference`. Single runs have no interval; those stand in the as-published layer.
    """
    mean = means(results, section="discrimination", measure="auc", unit="film", reference=None)
    every = results[(results["section"] == "discrimination") & (results["measure"] == "auc") & (results["run"] != "")
                    & (results["unit"] == "film") & results["fraction"].isin([*mean["fraction"], None])]  # fmt: skip
    lines, spread = [], {}
    for arm, row in by_arm(mean, labels).items():
        own = every[every["arm"] == arm]
        if len(own) < 2:
            raise NoData("one run of a model: the spread between runs is unknown")
        numbered = {str(r["run"]): r for _, r in own.iterrows()}
        lines += [
            Line(labels[arm], f"{run_word(results)} {run}", arm, numbered[run], bare=True) for run in runs_of(own)
        ]
        lines.append(Line(labels[arm], "mean", arm, row, strong=True))
        spread[arm] = (
            f"{own['estimate'].max() - own['estimate'].min():.3f}" if own["estimate"].notna().any() else "not estimable"
        )
    return Figure(
        forest(lines, labels, "AUC"),
        table_of(lines),
        "Every run",
        "Hollow markers: AUC of single runs. In bold: the mean over runs with its interval, which covers runs and "
        "patients.",
        f"AUC of each run and their mean. Largest minus smallest over the runs: {said(labels, spread)}.",
        good="Runs of one model close together, the models apart.",
        bad="Runs of one model as far apart as the models: a single run of each could have shown anything.",
    )


@styled
def subgroups(results: pd.DataFrame, tables: Tables, labels: Labels) -> Figure:
    """AUC within subgroups.

    Parameters
    ----------
    results, tables, labels
        As in `auc_difference`; section subgroups, `group` such as 'sex=F'.
    """
    found = means(results, section="subgroups", measure="auc", reference=None, unit="film")
    found = found[found["arm"].isin(list(labels)) & (found["reference_group"] == "")]
    if found.empty:
        raise NoData("no subgroups are known")
    order = list(labels)
    lines = []
    for group in dict.fromkeys(found["group"]):
        column, _, level = group.partition("=")
        rows = found[found["group"] == group]
        for row in sorted(rows.to_dict("records"), key=lambda r: order.index(r["arm"])):
            told = LEVELS.get(level, level).replace(">=", "\N{GREATER-THAN OR EQUAL TO} ")
            size = f" ({row['events']:.0f}/{row['n']:.0f})" if row["events"] == row["events"] else ""
            lines.append(Line(_first_upper(column.replace("_", " ")), told + size, row["arm"], row))
    data = table_of(lines).dropna(subset=["estimate"])
    words = "none can be estimated"
    if len(data):
        low = data.loc[data["estimate"].astype(float).idxmin()]
        words = f"lowest {low['estimate']:.3f} in {low['heading'].lower()} {low['row']} ({labels[low['arm']]})"
    return Figure(
        forest(lines, labels, "AUC", digits=2),
        table_of(lines),
        "Subgroups",
        "AUC within subgroups, mean over runs, with intervals. In brackets: malignant films of all films that the "
        "group is measured on.",
        f"AUC within subgroups: {words}.",
        good="Markers at one height.",
        bad="A group far left of the others, or one too small for a usable interval.",
    )


@styled
def scores(results: pd.DataFrame, tables: Tables, labels: Labels) -> Figure:
    """Distribution of the recalibrated risk by class, averaged over runs, one panel a model.

    Parameters
    ----------
    results, labels
        As in `auc_difference`.
    tables : mapping
        Needs scores.csv: image_id, cohort, label, arm, run, score, risk.
    """
    table = need(tables, "scores", labels)
    table = table[table["cohort"] == "external"] if "cohort" in table else table
    column = "risk" if "risk" in table and table["risk"].notna().any() else "score"
    low, high = (0.0, 1.0) if column == "risk" else (table[column].min(), table[column].max())
    edges = np.linspace(low, high if high > low else low + 1, 31)
    picture, panels = plt.subplots(
        len(labels), 1, sharex=True, squeeze=False, figsize=(WIDTH, 0.5 + 1.15 * len(labels))
    )
    parts = []
    for axes, arm in zip(panels[:, 0], labels, strict=True):
        rows = table[table["arm"] == arm]
        count = {side: np.histogram(rows.loc[rows["label"] == side, column].dropna(), edges)[0] / rows["run"].nunique()
                 for side in (0, 1)}  # fmt: skip
        axes.stairs(count[0], edges, fill=True, color=RULE, label="normal")
        axes.stairs(count[1], edges, color=INK, lw=1.0, label="malignant")
        axes.set_title(wrapped(labels[arm], 48), loc="left")
        axes.set_ylabel("Films")
        parts.append(pd.DataFrame({"arm": arm, "left": edges[:-1], "right": edges[1:], "normal": count[0],
                                   "malignant": count[1]}))  # fmt: skip
    handles, names = panels[0, 0].get_legend_handles_labels()
    picture.legend(handles, names, loc="outside lower center", ncols=2)
    panels[-1, 0].xaxis.set_major_locator(MaxNLocator(5))
    panels[-1, 0].set_xlabel("Recalibrated risk" if column == "risk" else "Score (not a probability)")
    median = table.groupby(["arm", "label"])[column].median()
    words = {arm: f"{fixed(median[arm, 1], 2)} against {fixed(median[arm, 0], 2)}" for arm in labels}
    many = plural(table["run"].nunique(), "run")
    return Figure(
        picture,
        pd.concat(parts, ignore_index=True),
        "Scores by class",
        f"How many films of each class got which {'recalibrated risk' if column == 'risk' else 'score'}, averaged over "
        f"{many}. Filled: normal; outline: malignant.",
        f"Histograms of the {'recalibrated risk' if column == 'risk' else 'score'} by class. Median of malignant "
        f"against normal films: {said(labels, words)}.",
        good="Two heaps that hardly overlap.",
        bad="Malignant films far to the left: tumours that no sensible threshold finds.",
    )


@styled
def predictive_values(
    results: pd.DataFrame,
    tables: Tables,
    labels: Labels,
    point: str = "high_sensitivity",
    threshold_from: str = "validation",
) -> Figure:
    """Positive predictive value against the share of malignant films.

    Parameters
    ----------
    results, tables, labels
        As in `auc_difference`; measure ppv at several values of `prevalence`.
    point, threshold_from : str
        The operating point.
    """
    found = means(results, measure="ppv", reference=None, point=point, threshold_from=threshold_from, unit="film")
    table = found[found["prevalence"].notna() & found["arm"].isin(list(labels))].sort_values(["arm", "prevalence"])
    table = table[["arm", "prevalence", "estimate", "lower", "upper"]]
    if table["estimate"].isna().all():
        raise NoData("no predictive value could be estimated")
    picture, axes = plt.subplots(figsize=(WIDTH, 0.9 * HEIGHT))
    for number, (arm, look) in enumerate(looks(labels).items()):
        part = table[table["arm"] == arm]
        aside = part["prevalence"] * (1 + 0.08 * (number - (len(labels) - 1) / 2))
        axes.vlines(aside, part["lower"], part["upper"], color=look.colour, lw=0.8)
        axes.plot(aside, part["estimate"], marker=look.marker, ms=4, **look.line)
    prevalences = sorted(table["prevalence"].unique())
    axes.set_xscale("log")
    axes.set_xticks(prevalences, [one_in(p).replace(" in ", "\nin ") for p in prevalences])
    axes.minorticks_off()
    axes.set(ylim=(-0.02, 1.02), xlabel="Share of malignant films (logarithmic)", ylabel="Positive predictive value")
    axes.axhline(0, color=SOFT, lw=0.4)
    legend_below(picture, [sample(look, labels[arm]) for arm, look in looks(labels).items()])
    at = {p: by_arm(table[table["prevalence"] == p], labels) for p in prevalences}
    ends = [f"at {one_in(p)} " + said(labels, {arm: interval(row) for arm, row in at[p].items()})
            for p in dict.fromkeys((prevalences[0], prevalences[-1]))]  # fmt: skip
    return Figure(
        picture,
        table,
        "Positive predictive value against prevalence",
        "The share of positive calls that are tumours, were the model used where tumours are as rare as on the x axis. "
        f"{_first_upper(point_words(point, threshold_from))}; mean over runs with intervals.",
        f"Positive predictive value by share of malignant films: {'; '.join(ends)}.",
        good="Markers that stay high towards the left, where tumours are rare.",
        bad="Nearly zero at a clinic's share: almost every alarm is false there, whatever the AUC.",
    )


# --- the forest plot --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Line:
    """One interval of a forest plot; lines of equal heading and label stand together, one a model."""

    heading: str
    label: str
    arm: str
    number: Mapping[str, Any] | None
    strong: bool = False
    bare: bool = False  # one run: a mark without an interval


def table_of(lines: Sequence[Line]) -> pd.DataFrame:
    """The lines as the CSV beside the figure."""
    ends = ("estimate", "lower", "upper")
    return pd.DataFrame(
        [{"heading": line.heading, "row": line.label, "arm": line.arm,
          **{end: None if line.number is None else line.number[end] for end in ends}} for line in lines]
    )  # fmt: skip


def forest(lines: Sequence[Line], labels: Labels, x: str, zero: float | None = None, digits: int = 3) -> Canvas:
    """Intervals one below the other with their numbers beside them.

    Parameters
    ----------
    lines : sequence of Line
        From top to bottom.
    labels : mapping of arm to label
    x : str
        What the intervals measure.
    zero : float, optional
        Where a line of 'no difference' stands.
    digits : int
        Decimals of the numbers.
    """
    heights, headings, depth = _heights(lines)
    name = wrapped(x, 44)
    picture, axes = plt.subplots(figsize=(WIDTH, ROW * depth + 0.5 + 0.13 * name.count("\n")))
    if zero is not None:
        axes.axvline(zero, color=SOFT, lw=0.6, zorder=1)
    look = looks(labels)
    for line, height in zip(lines, heights, strict=True):
        _interval(axes, line, height, look[line.arm], digits)
    across = blended_transform_factory(picture.transFigure, axes.transData)
    for text, height in headings:
        axes.text(0.015, height, text, transform=across, va="top", fontsize=6.8, fontweight="bold", zorder=3,
                  bbox={"facecolor": PAPER, "edgecolor": "none", "pad": 0.6}, in_layout=False)  # fmt: skip
    _row_names(axes, lines, heights)
    axes.set(xlabel=name, ylim=(depth - 0.4, -0.6))
    axes.spines["left"].set_visible(False)
    arms = list(dict.fromkeys(line.arm for line in lines))
    if len(arms) > 1:
        legend_below(picture, [sample(look[arm], labels[arm]) for arm in arms])
    return picture


def _heights(lines: Sequence[Line]) -> tuple[list[float], list[tuple[str, float]], float]:
    """Where each line and each heading stands, and how deep the whole is, in rows."""
    heights: list[float] = []
    headings: list[tuple[str, float]] = []
    depth, before = 0.0, None
    for line in lines:
        if before is None or line.heading != before.heading:
            depth += 0.3 if before else 0
            if line.heading:
                text = wrapped(line.heading, 56)
                headings.append((text, depth - 0.5))
                depth += 1 + text.count("\n")
        elif line.label != before.label:
            depth += 0.15
        heights.append(depth)
        depth, before = depth + 1, line
    return heights, headings, depth


def _interval(axes: Axes, line: Line, height: float, look: Look, digits: int) -> None:
    beside: dict[str, Any] = {"transform": axes.get_yaxis_transform(), "va": "center", "fontsize": 6.2}
    number = line.number
    if number is None or pd.isna(number["estimate"]):
        axes.text(1.02, height, "not estimable", fontstyle="italic", color=SOFT, **beside)
        return
    known = pd.notna(number["lower"]) and pd.notna(number["upper"])
    if known:
        axes.plot([number["lower"], number["upper"]], [height, height], color=look.colour,
                  lw=1.8 if line.strong else 1.0, zorder=2)  # fmt: skip
    axes.plot(number["estimate"], height, look.marker, color=look.colour, mfc=look.colour if known else PAPER,
              zorder=2.5, ms=5 if line.strong else 3.8, mew=1)  # fmt: skip
    text = fixed(number["estimate"], digits) if line.bare else interval(number, digits)
    axes.text(1.02, height, text, fontweight="bold" if line.strong else "normal", **beside)


def _row_names(axes: Axes, lines: Sequence[Line], heights: Sequence[float]) -> None:
    """A label stands once, midway beside the lines that share it."""
    places: dict[tuple[str, str], list[float]] = {}
    for line, height in zip(lines, heights, strict=True):
        places.setdefault((line.heading, line.label), []).append(height)
    strong = {(line.heading, line.label) for line in lines if line.strong}
    axes.set_yticks([sum(at) / len(at) for at in places.values()], [wrapped(name, 18) for _, name in places])
    for tick, key in zip(axes.get_yticklabels(), places, strict=True):
        tick.set_fontweight("bold" if key in strong else "normal")
    axes.tick_params(axis="y", length=0)
