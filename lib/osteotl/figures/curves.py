"""Curves: ROC, precision-recall, FROC, calibration, net benefit, label fractions, training steps."""

from __future__ import annotations

import math
from itertools import product
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator

from osteotl.figures.parts import (
    HEIGHT,
    HIT_RULES,
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
    draw_runs,
    fixed,
    interval,
    key_of_lines,
    legend_below,
    lines_in_words,
    looks,
    means,
    need,
    one_in,
    runs_of,
    said,
    sample,
    square,
    styled,
)
from osteotl.files import plural


@styled
def roc(results: pd.DataFrame, tables: Tables, labels: Labels, threshold_from: str | None = None) -> Figure:
    """ROC curves: the mean over runs, single runs behind it, and the operating points.

    Parameters
    ----------
    results : DataFrame
        The table of results.
    tables : mapping
        Needs roc.csv: arm, run (empty: the mean over runs), threshold, x, y.
    labels : mapping of arm to label
        The reference first.
    threshold_from : {"validation", "external", "given"}, optional
        Whose operating points are marked; default: validation where there is one.
    """
    table = need(tables, "roc", labels)
    points = means(results, section="operating_points", unit="film", reference=None, prevalence=None)
    source = threshold_from or next(
        (s for s in ("validation", "given", "external") if (points["threshold_from"] == s).any()), ""
    )
    picture, axes = plt.subplots()
    axes.plot([0, 1], [0, 1], color=RULE, lw=0.6)
    area = by_arm(means(results, measure="auc", section="discrimination", unit="film", reference=None), labels)
    entries: list[Line2D] = []
    for arm, look in looks(labels).items():
        draw_runs(axes, table[table["arm"] == arm], look)
        own = points[(points["arm"] == arm) & (points["threshold_from"] == source)]
        rates = own.pivot_table(index="point", columns="measure", values="estimate").reindex(
            columns=["sensitivity", "specificity"])  # fmt: skip
        axes.plot(1 - rates["specificity"], rates["sensitivity"], look.marker, color=look.colour, mfc=PAPER, ms=4.5,
                  mew=1.1, zorder=3)  # fmt: skip
        entries.append(sample(look, labels[arm], f"AUC {interval(area[arm])}", PAPER))
    entries += key_of_lines(table, results)
    if source:
        key = {"validation": "from validation films", "external": "found on these films", "given": "given"}[source]
        entries.append(
            Line2D([], [], ls="", marker="o", mfc=PAPER, color=INK, ms=4.5, label=f"hollow: thresholds {key}")
        )
    square(axes, "1 \N{MINUS SIGN} specificity", "Sensitivity")
    legend_below(picture, entries)
    return Figure(
        picture,
        table,
        "ROC curves",
        f"Sensitivity against 1 \N{MINUS SIGN} specificity at every threshold. "
        f"{lines_in_words(table, results, ', averaged vertically')} Hollow markers: operating points, means over runs.",
        "ROC curves on the external films. Area under the curve: "
        f"{said(labels, {arm: interval(row) for arm, row in area.items()})}.",
        good="A curve that hugs the upper left corner; single runs close to the mean.",
        bad="A curve near the diagonal (chance), or runs that lie far apart.",
    )


@styled
def precision_recall(results: pd.DataFrame, tables: Tables, labels: Labels) -> Figure:
    """Precision against sensitivity, with the share of malignant films.

    Parameters
    ----------
    results, labels
        As in `roc`.
    tables : mapping
        Needs precision_recall.csv: arm, run, threshold, x (recall), y (precision).
    """
    table = need(tables, "precision_recall", labels)
    share = _share_malignant(results, tables)
    picture, axes = plt.subplots()
    axes.axhline(share, color=SOFT, lw=0.8)
    below = share > 0.5
    axes.text(0.01, share + (-0.015 if below else 0.015), f"share of malignant films: {100 * share:.0f} %",
              fontsize=6.5, color=SOFT, va="top" if below else "bottom")  # fmt: skip
    rows = by_arm(means(results, measure="average_precision", reference=None, unit="film"), labels)
    entries = []
    for arm, look in looks(labels).items():
        draw_runs(axes, table[table["arm"] == arm], look, drawstyle="steps-post")
        entries.append(sample(look, labels[arm], f"average precision {interval(rows[arm])}", face=None))
    square(axes, "Sensitivity (recall)", "Positive predictive value (precision)")
    legend_below(picture, [*entries, *key_of_lines(table, results)])
    return Figure(
        picture,
        table,
        "Precision-recall curves",
        "Positive predictive value against sensitivity at every threshold, at the study's share of malignant films. "
        f"{lines_in_words(table, results)}",
        "Precision-recall curves on the external films. Average precision: "
        f"{said(labels, {arm: interval(row) for arm, row in rows.items()})}.",
        good="A curve that stays near 1 up to high sensitivity.",
        bad="A curve that falls to the grey line. It changes with the share of malignant films, so it must not "
        "be read for a clinic.",
    )


def _share_malignant(results: pd.DataFrame, tables: Tables) -> float:
    films = tables["scores"]
    one_each = films[films["cohort"] == "external"].drop_duplicates("image_id") if "cohort" in films else films
    return float(one_each["label"].mean())


@styled
def localisation(results: pd.DataFrame, tables: Tables, labels: Labels, hit_rule: str = "") -> Figure:
    """FROC: lesions found against false marks per film.

    Parameters
    ----------
    results, labels
        As in `roc`.
    tables : mapping
        Needs froc.csv: arm, run, x (false marks per film), y (share of lesions hit).
    hit_rule : {"iou50", "iou30", "iou10", "centre"}, optional
        When a mark hits.
    """
    table = need(tables, "froc", labels)
    picture, axes = plt.subplots()
    for arm, look in looks(labels).items():
        draw_runs(axes, table[table["arm"] == arm], look, drawstyle="steps-post")
    mean = table[table["run"] == ""]
    end = min(_flat_from(table), float(mean["x"].max()) if len(mean) else math.inf)
    axes.set(xlim=(-0.01 * end, end), ylim=(-0.015, 1.015))
    axes.set(xlabel="False marks per film", ylabel="Share of lesions hit")
    entries = [sample(look, labels[arm], face=None) for arm, look in looks(labels).items()]
    legend_below(picture, [*entries, *key_of_lines(table, results)])
    areas = by_arm(means(results, measure="lroc_auc", reference=None, point=None, unit="film"), labels)
    rule = f" A mark hits if {HIT_RULES[hit_rule]}." if hit_rule else ""
    return Figure(
        picture,
        table,
        "FROC curves",
        f"Share of reference lesions hit against false marks per film, as the threshold falls. "
        f"{lines_in_words(table, results)}{rule} The axis ends where the mean does, or where no curve rises any more.",
        "FROC curves on the external films. Area under the localisation ROC curve: "
        f"{said(labels, {arm: interval(row) for arm, row in areas.items()})}.",
        good="A curve that rises steeply: lesions are marked before false marks appear.",
        bad="A flat start: films are called malignant for a finding in the wrong place.",
    )


def _flat_from(froc: pd.DataFrame) -> float:
    """Where the last curve has reached its height: what lies beyond shows nothing (a step of a half, 1 at least)."""
    last = 0.0
    for _, run in froc.groupby(["arm", "run"]):
        last = max(last, float(run.loc[run["y"] >= run["y"].max() - 1e-12, "x"].min()))
    return max(1.0, math.ceil(2.1 * last) / 2)


@styled
def calibration(results: pd.DataFrame, tables: Tables, labels: Labels) -> Figure:
    """Observed against predicted in ten groups: scores as they are, and after recalibration.

    Parameters
    ----------
    results, labels
        As in `roc`.
    tables : mapping
        Needs calibration.csv: arm, run, recalibration ('none' or its name), curve ('decile'), predicted, observed.
    """
    table = need(tables, "calibration", labels)
    table = table[(table["curve"] == "decile") & table["predicted"].notna()]
    kinds = sorted(set(table["recalibration"]), key=lambda kind: kind != "none")
    if not kinds:
        raise NoData("no group of films has a predicted and an observed share")
    width = WIDTH, (HEIGHT if len(kinds) == 1 else HEIGHT / 2) + 0.5
    picture, panels = plt.subplots(1, len(kinds), sharey=True, squeeze=False, figsize=width)
    drawn = calibration_groups(table)
    for axes, kind in zip(panels[0], kinds, strict=True):
        axes.plot([0, 1], [0, 1], color=RULE, lw=0.6)
        for arm, look in looks(labels).items():
            rows = drawn[(drawn["arm"] == arm) & (drawn["recalibration"] == kind)].rename(
                columns={"predicted": "x", "observed": "y"})  # fmt: skip
            draw_runs(axes, rows, look)
            strong = rows[(rows["run"] == "") | (len(set(rows["run"])) == 1)]
            axes.plot(strong["x"], strong["y"], look.marker, color=look.colour, ms=3, zorder=3)
        square(axes, "Predicted", "Observed share malignant" if kind == kinds[0] else "")
        if len(kinds) > 1:  # half the width has room for three numbers
            axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
        axes.set_title("scores as they are" if kind == "none" else "recalibrated", loc="left")
    legend_below(
        picture, [*(sample(look, labels[arm]) for arm, look in looks(labels).items()), *key_of_lines(drawn, results)]
    )
    rows = by_arm(means(results, measure="calibration_slope", reference=None, recalibration="logistic"), labels)
    return Figure(
        picture,
        drawn,
        "Calibration",
        "Films in ten groups of rising predicted risk: predicted against observed share of malignant films. "
        f"{lines_in_words(drawn, results)} Scores as they are were never meant as probabilities.",
        f"Calibration in ten groups. Slope after recalibration: "
        f"{said(labels, {arm: interval(row, 2) for arm, row in rows.items()})}.",
        good="Points on the diagonal: of films with a risk of 20 %, one in five is malignant in this study.",
        bad="Points far from the diagonal: the number must not be read as a probability.",
    )


def calibration_groups(table: pd.DataFrame) -> pd.DataFrame:
    """Groups of every run and, where the table has none (run empty), their mean over runs, group by group.

    Parameters
    ----------
    table : DataFrame
        arm, run, recalibration, predicted, observed; groups of a run in rising order.
    """
    columns = ["arm", "recalibration", "run", "group", "predicted", "observed"]
    table = table.assign(group=table.groupby(["arm", "run", "recalibration"]).cumcount() + 1)[columns]
    parts = []
    for _, rows in table.groupby(["arm", "recalibration"], sort=False):
        parts.append(rows)
        if len(runs_of(rows)) > 1 and not (rows["run"] == "").any():
            mean = rows.groupby(["arm", "recalibration", "group"], as_index=False)[["predicted", "observed"]].mean()
            parts.append(mean.assign(run="")[columns])
    return pd.concat(parts, ignore_index=True)


@styled
def decision_curve(results: pd.DataFrame, tables: Tables, labels: Labels, prevalence: float | None = None) -> Figure:
    """Net benefit over threshold probabilities, and its difference from the reference model.

    Parameters
    ----------
    results : DataFrame
        Rows of net_benefit at every threshold probability, of the models and of the differences.
    tables, labels
        As in `roc`; tables give the study's share of malignant films.
    prevalence : float, optional
        Share of malignant films assumed; default: the study's own.
    """
    found = means(results, measure="net_benefit", recalibration="logistic", prevalence=prevalence)
    own = found[(found["reference"] == "") & found["arm"].isin(list(labels))].sort_values("at")
    if own["estimate"].isna().all():
        raise NoData("no net benefit was computed" + (f" at {one_in(prevalence)}" if prevalence else ""))
    share = prevalence or _share_malignant(results, tables)
    compared = found[(found["reference"] != "") & found["estimate"].notna()].sort_values("at")
    panels = 2 if len(compared) else 1
    picture, axes = plt.subplots(panels, 1, sharex=True, squeeze=False, figsize=(WIDTH, HEIGHT * (0.5 + 0.35 * panels)))
    for arm, look in looks(labels).items():
        _band(axes[0, 0], own[own["arm"] == arm], look)
        if (rows := compared[compared["arm"] == arm]).size:
            _band(axes[-1, 0], rows, look)
    at = own["at"].drop_duplicates()
    everyone = share - (1 - share) * at / (1 - at)  # net benefit where every film is called malignant
    axes[0, 0].plot(at, 1000 * everyone, color=SOFT, lw=0.9, dashes=(4, 2))
    axes[0, 0].axhline(0, color=SOFT, lw=0.9, dashes=(1, 1))
    limits = 1000 * own[["estimate", "upper"]].max().max(), 1000 * min(0.0, own["estimate"].min())
    top = max(limits[0], 1e-3)
    axes[0, 0].set(ylim=(1.05 * limits[1] - 0.06 * top, 1.08 * top), ylabel="Net benefit per 1,000")
    if panels == 2:
        axes[1, 0].axhline(0, color=SOFT, lw=0.6)
        axes[1, 0].set(ylabel="Difference per 1,000")
    axes[-1, 0].set_xlabel("Threshold probability: act at this risk or above")
    axes[-1, 0].xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    axes[-1, 0].xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g} %"))
    grey = [Line2D([], [], color=SOFT, lw=0.9, dashes=dash, label=name)
            for name, dash in (("act on every film", (4, 2)), ("act on none", (1, 1)))]  # fmt: skip
    legend_below(picture, [*(sample(look, labels[arm], face=None) for arm, look in looks(labels).items()), *grey])
    return _decision_words(picture, own, compared, labels, share, prevalence)


def _band(axes: Axes, rows: pd.DataFrame, look: Look) -> None:
    axes.plot(rows["at"], 1000 * rows["estimate"], **look.line)
    if rows["lower"].notna().any():
        axes.fill_between(rows["at"], 1000 * rows["lower"], 1000 * rows["upper"], color=look.colour, alpha=0.13, lw=0)


def _decision_words(
    picture: Any, own: pd.DataFrame, compared: pd.DataFrame, labels: Labels, share: float, prevalence: float | None
) -> Figure:
    numbers = pd.concat([own, compared])[["arm", "reference", "at", "estimate", "lower", "upper"]]
    high = own["at"].max()
    at_end = by_arm(own[own["at"] == high], labels)
    where = f"{one_in(prevalence)} malignant" if prevalence else f"the study's {100 * share:.0f} % malignant"
    treat_all = fixed(1000 * (share - (1 - share) * high / (1 - high)), 1)
    below = " Below: the difference from the reference model." if len(compared) else ""
    return Figure(
        picture,
        numbers,
        "Decision curves" + (f", {one_in(prevalence)} malignant" if prevalence else ""),
        f"Net benefit per 1,000 films at {where}: true positives minus false positives, weighted by the odds of the "
        f"threshold probability; mean over runs, after recalibration, with intervals.{below}",
        f"Net benefit over threshold probabilities {100 * own['at'].min():g} % to {100 * high:g} %, {where}. At "
        f"{100 * high:g} %, per 1,000 films: {said(labels, {a: interval(row, 1, 1000) for a, row in at_end.items()})}; "
        f"acting on every film {treat_all}.",
        good="A curve above both grey lines over the range that one would act on.",
        bad="A curve below a grey line: there, acting on every film or on none does better.",
    )


@styled
def learning_curve(results: pd.DataFrame, tables: Tables, labels: Labels) -> Figure:
    """AUC against the share of training labels.

    Parameters
    ----------
    results : DataFrame
        Rows of auc with several values of `fraction`; `group` is "equal_epochs" for runs of equal epochs, beside those
        of equal steps.
    tables, labels
        As in `roc`.
    """
    rows = results[(results["measure"] == "auc") & results["section"].isin(["learning", "discrimination"])
                   & (results["unit"] != "patient") & (results["reference"] == "") & results["arm"].isin(list(labels))
                   & ~results["group"].str.contains("=")]  # fmt: skip
    rows = rows.drop_duplicates(["arm", "run", "fraction", "group"])
    fractions = sorted(rows["fraction"].dropna().unique())
    if len(fractions) < 2:
        raise NoData("one label fraction: no learning curve")
    picture, axes = plt.subplots()
    for number, (arm, look) in enumerate(looks(labels).items()):
        aside = 1 + 0.03 * (number - (len(labels) - 1) / 2)  # side by side: intervals must not hide others
        for kind, part in rows[rows["arm"] == arm].groupby("group", sort=False):
            hollow = kind == "equal_epochs"
            _runs_and_mean(axes, part, "fraction", look, aside * (1.08 if hollow else 1), hollow)
    axes.set_xscale("log")
    axes.set_xticks(fractions, [f"{100 * f:g} %" for f in fractions])
    axes.minorticks_off()
    axes.set(xlabel="Share of training labels (logarithmic)", ylabel="AUC")
    hollow = [Line2D([], [], ls="", marker="o", mfc=PAPER, color=INK, ms=4, label="hollow: equal epochs")]
    both = "equal_epochs" in set(rows["group"])
    legend_below(
        picture, [*(sample(look, labels[arm]) for arm, look in looks(labels).items()), *(hollow if both else [])]
    )
    mean = rows[(rows["run"] == "") & (rows["group"] != "equal_epochs")]
    ends = [f"with {100 * f:g} % of the labels "
            + said(labels, {a: interval(r) for a, r in by_arm(mean[mean["fraction"] == f], labels).items()})
            for f in (fractions[0], fractions[-1])]  # fmt: skip
    return Figure(
        picture,
        rows[["arm", "run", "fraction", "group", "estimate", "lower", "upper"]],
        "Learning curves",
        "AUC against the share of training labels: mean over runs with intervals; small markers are single runs. Every "
        "fraction trains for the same number of steps unless the study says otherwise.",
        f"AUC against the share of labels: {'; '.join(ends)}.",
        good="A model that reaches its plateau with few labels.",
        bad="Curves that cross within their intervals: the order of the models at one fraction says little.",
    )


@styled
def steps_curve(results: pd.DataFrame, tables: Tables, labels: Labels) -> Figure:
    """AUC against optimiser steps, on all labels.

    Parameters
    ----------
    results, labels
        As in `roc`.
    tables : mapping
        Needs steps_curve.csv: arm, run (empty: mean over runs), step, estimate, lower, upper.
    """
    if tables.get("steps_curve") is None:
        raise NoData("no checkpoint was scored (detector.checkpoints)")
    table = need(tables, "steps_curve", labels)
    picture, axes = plt.subplots()
    width = 0.008 * table["step"].max()
    for number, (arm, look) in enumerate(looks(labels).items()):
        rows = table[table["arm"] == arm]
        _runs_and_mean(axes, rows.assign(step=rows["step"] + width * (number - (len(labels) - 1) / 2)), "step", look)
    axes.set(xlabel="Optimiser steps", ylabel="AUC")
    legend_below(picture, [sample(look, labels[arm]) for arm, look in looks(labels).items()])
    mean = table[table["run"] == ""]
    words = [f"after {plural(int(step), 'step')} "
             + said(labels, {a: interval(r) for a, r in by_arm(mean[mean["step"] == step], labels).items()})
             for step in (mean["step"].min(), mean["step"].max())]  # fmt: skip
    return Figure(
        picture,
        table,
        "AUC against training steps",
        "AUC after so many optimiser steps, on all labels: mean over runs with intervals; small markers are single "
        "runs. Every other number of the study is of the last step.",
        f"AUC against optimiser steps: {'; '.join(words)}.",
        good="Curves that have become flat, at the same height in every run.",
        bad="Curves that still rise at the last step: training was too short, and the model that converges "
        "sooner looks better.",
    )


@styled
def robustness(results: pd.DataFrame, tables: Tables, labels: Labels) -> Figure:
    """AUC and sensitivity against the step of each change of the film.

    Parameters
    ----------
    results : DataFrame
        Section 'robustness': `group` is the change, `at` its step; unchanged films from the main sections.
    tables, labels
        As in `roc`.
    """
    rows = means(results, section="robustness", measure=["auc", "sensitivity"], reference=None)
    rows = rows[rows["arm"].isin(list(labels))]
    if rows.empty:
        raise NoData("films were not changed and scored again (robustness: true)")
    changes, measures = list(dict.fromkeys(rows["group"])), list(dict.fromkeys(rows["measure"]))
    table, per_row = _with_unchanged(rows, results, changes), 4
    each = -(-len(changes) // per_row)  # rows of panels of a measure
    size = (WIDTH, 0.42 * HEIGHT * each * len(measures))
    picture, grid = plt.subplots(each * len(measures), per_row, sharex=True, squeeze=False, figsize=size)
    for (i, measure), (j, change) in product(enumerate(measures), enumerate(changes)):
        axes = grid[i * each + j // per_row, j % per_row]
        _steps(axes, table[(table["measure"] == measure) & (table["group"] == change)], labels)
        limits = table.loc[table["measure"] == measure, ["lower", "upper"]]
        axes.set_ylim(limits.min().min() - 0.02, min(limits.max().max() + 0.02, 1.01))
        axes.set_title(change, fontsize=7)
        axes.tick_params(labelleft=j % per_row == 0, labelbottom=True)
        axes.set_ylabel({"auc": "AUC"}.get(measure, "Sensitivity") if j % per_row == 0 else "")
    for axes in [axes for axes in grid.flat if not axes.lines]:
        axes.set_axis_off()
    legend_below(picture, [sample(look, labels[arm]) for arm, look in looks(labels).items()])
    low = rows[rows["measure"] == "auc"].dropna(subset=["estimate"])
    lowest = [part.loc[part["estimate"].idxmin()] for _, part in low.groupby("arm", sort=False)]
    worst = [f"{labels[r['arm']]} {interval(r)} ({r['group']}, step {r['at']:g})" for r in lowest]
    return Figure(
        picture,
        table,
        "Robustness to changes of the film",
        "AUC, and sensitivity at the first locked threshold, of unchanged films (step 0) and after each change at "
        "three steps: means over runs with intervals. Thresholds are those of unchanged validation films.",
        f"AUC and sensitivity against the step of seven changes of the film. Lowest AUC: {'; '.join(worst)}.",
        good="Lines that stay level, and models that fall alike.",
        bad="A sensitivity that falls where the AUC holds: the threshold no longer fits. Models that fall apart.",
    )


def _steps(axes: Axes, rows: pd.DataFrame, labels: Labels) -> None:
    """One change: a line of each model over the steps, side by side, so that intervals do not hide others."""
    for number, (arm, look) in enumerate(looks(labels).items()):
        part = rows[rows["arm"] == arm]
        at = part["at"] + 0.12 * (number - (len(labels) - 1) / 2)
        axes.plot(at, part["estimate"], marker=look.marker, ms=2.6, lw=0.9, **look.line)
        axes.vlines(at, part["lower"], part["upper"], color=look.colour, lw=0.7)
    axes.set_xticks([0, 1, 2, 3])


def _with_unchanged(rows: pd.DataFrame, results: pd.DataFrame, changes: list[str]) -> pd.DataFrame:
    """The rows with step 0 before them, once for each change."""
    plain = means(results, section=["discrimination", "operating_points"], measure=list(set(rows["measure"])),
                  reference=None, unit="film", prevalence=None)  # fmt: skip
    places = rows[["measure", "arm", "point", "threshold_from"]].drop_duplicates()
    plain = plain.merge(places, on=list(places.columns))
    before = [plain.assign(group=change, at=0.0) for change in changes]
    columns = ["measure", "arm", "group", "at", "estimate", "lower", "upper"]
    return pd.concat([*before, rows])[columns].sort_values("at", kind="stable").reset_index(drop=True)


def _runs_and_mean(axes: Axes, rows: pd.DataFrame, x: str, look: Look, aside: float = 1, hollow: bool = False) -> None:
    """Mean over runs with its intervals; single runs as small markers."""
    mean, runs = rows[rows["run"] == ""].sort_values(x), rows[rows["run"] != ""]
    line = look.line | ({"mfc": PAPER, "lw": 0.6} if hollow else {})
    axes.plot(runs[x] * aside, runs["estimate"], look.marker, color=look.colour, ms=2.5, alpha=0.5, mfc=line.get("mfc"))
    axes.vlines(mean[x] * aside, mean["lower"], mean["upper"], color=look.colour, lw=0.9)
    axes.plot(mean[x] * aside, mean["estimate"], marker=look.marker, ms=4, **line)
