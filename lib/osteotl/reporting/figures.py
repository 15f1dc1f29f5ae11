"""The figures of the report, each from statistics.json and the tables beside it.

A figure is a function `(statistics, tables) -> Drawn`; `FIGURES` lists them in the order of the page. A figure whose
data a study does not have (no boxes, one label fraction, ...) is left out, and index.json says why.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import yaml
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from osteotl.files import write_json
from osteotl.reporting.style import HEIGHT, WIDTH, Look, apply, looks, save

Statistics = Mapping[str, Any]
Tables = Mapping[str, pd.DataFrame]

POINT_NAMES = {"high_sensitivity": "high sensitivity", "high_specificity": "high specificity", "youden": "Youden"}


class NoData(Exception):
    """This study has nothing to draw here; the message says what is missing."""


@dataclass(frozen=True)
class Drawn:
    """A figure, the numbers that it draws, and its finding in words."""

    figure: Figure
    data: pd.DataFrame
    alt: str


# --- words and small helpers ------------------------------------------------------------------------------------------


def interval(number: Mapping[str, Any], digits: int = 3) -> str:
    """`0.954 (0.937 to 0.970)`, or why there is no number."""
    if number.get("estimate") is None:
        return f"not estimable ({number.get('not_estimable', 'no reason given')})"
    text = f"{number['estimate']:.{digits}f}"
    if number.get("lower") is None or number.get("upper") is None:
        return text
    return f"{text} ({number['lower']:.{digits}f} to {number['upper']:.{digits}f})"


def _need(tables: Tables, name: str) -> pd.DataFrame:
    table = tables.get(name)
    if table is None or table.empty:
        raise NoData(f"the study has no table {name}.csv")
    return table


def _looks(statistics: Statistics) -> dict[str, Look]:
    return looks(list(statistics["arms"]), statistics["settings"]["reference"])


def _label(statistics: Statistics, arm: str) -> str:
    return statistics["settings"]["arms"][arm].get("label") or arm


def _by_arm(statistics: Statistics, table: pd.DataFrame) -> list[tuple[str, Look, pd.DataFrame]]:
    return [(arm, look, table[table["arm"] == arm]) for arm, look in _looks(statistics).items()]


def _square(axes: Axes, x: str, y: str) -> None:
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), xlabel=x, ylabel=y)
    axes.set_aspect("equal")


def _per_seed(axes: Axes, frame: pd.DataFrame, x: str, y: str, look: Look, first: str, label: str, **kind: Any) -> None:
    """The first listed seed in full strength, the others faint behind it."""
    for seed, rows in frame.groupby("seed", sort=False):
        strong = str(seed) == first
        width, alpha = (1.3, 1.0) if strong else (0.6, 0.4)
        axes.plot(rows[x], rows[y], lw=width, alpha=alpha, label=label if strong else None, **look.line, **kind)


# --- discrimination ---------------------------------------------------------------------------------------------------


def roc(statistics: Statistics, tables: Tables) -> Drawn:
    """ROC curves of every seed, with the operating points of the first seed."""
    table, first = _need(tables, "roc"), str(statistics["settings"]["first_seed"])
    figure, axes = plt.subplots()
    axes.plot([0, 1], [0, 1], color="0.7", lw=0.6)
    for arm, look, rows in _by_arm(statistics, table):
        auc = statistics["arms"][arm]["auc"]
        _per_seed(axes, rows, "fpr", "tpr", look, first, f"{_label(statistics, arm)}\nAUC {interval(auc)}")
        for point in _points_of(statistics, arm, first):
            fpr, tpr = point["fp"] / (point["fp"] + point["tn"]), point["tp"] / (point["tp"] + point["fn"])
            axes.plot(fpr, tpr, look.marker, color=look.colour, mfc="white", ms=4.5, mew=1.1)
    _square(axes, "1 - specificity", "Sensitivity")
    axes.legend(loc="lower right")
    said = "; ".join(f"{_label(statistics, a)} {interval(statistics['arms'][a]['auc'])}" for a in statistics["arms"])
    return Drawn(
        figure, table, alt=f"ROC curves on the external set. Area under the curve, mean over training runs: {said}."
    )


def _points_of(statistics: Statistics, arm: str, seed: str) -> list[Mapping[str, Any]]:
    points = statistics["arms"][arm]["per_seed"].get(seed, {}).get("operating_points", {})
    locked = [p for key, p in points.items() if key.endswith("@validation")]
    return [p for p in locked or points.values() if p.get("tp") is not None]


def auc_difference(statistics: Statistics, tables: Tables) -> Drawn:
    """Difference in AUC to the reference: each seed, and all seeds together, beside the declared margin."""
    margin = statistics["settings"]["auc_margin"]
    rows = []
    for arm, comparison in statistics["comparisons"].items():
        for seed, result in comparison.get("per_seed", {}).items():
            rows.append({"arm": arm, "row": f"seed {seed}", **_ends(result["auc_difference"])})
        rows.append({"arm": arm, "row": "all seeds", **_ends(comparison["auc_difference"])})
    table = pd.DataFrame(rows)
    figure, axes = _forest(statistics, table, "Difference in AUC (arm - reference)")
    axes.axvspan(-margin, margin, color="0.92", zorder=0)
    verdicts = " ".join(c["verdict"]["sentence"] for c in statistics["comparisons"].values())
    return Drawn(figure, table, alt=f"Differences in AUC with intervals, per training run and together. {verdicts}")


def _ends(number: Mapping[str, Any]) -> dict[str, Any]:
    return {key: number.get(key) for key in ("estimate", "lower", "upper")}


def _forest(statistics: Statistics, table: pd.DataFrame, label: str) -> tuple[Figure, Axes]:
    """One horizontal interval a row, the arms told apart by colour and marker."""
    look = _looks(statistics)
    figure, axes = plt.subplots(figsize=(WIDTH, max(0.5 * HEIGHT, 0.2 * len(table) + 0.7)))
    axes.axvline(0, color="0.4", lw=0.6)
    for height, row in enumerate(table.itertuples()):
        if pd.isna(row.estimate):
            axes.text(0, height, " not estimable", va="center", fontsize=6.5)
            continue
        style = look[row.arm]
        lower, upper = (row.estimate if pd.isna(end) else end for end in (row.lower, row.upper))
        axes.plot([lower, upper], [height, height], color=style.colour, lw=1.1)
        axes.plot(row.estimate, height, style.marker, color=style.colour, ms=4)
    several = len(set(table["arm"])) > 1
    names = [f"{row.row} ({_label(statistics, row.arm)})" if several else row.row for row in table.itertuples()]
    axes.set(yticks=range(len(table)), yticklabels=names, xlabel=label, ylim=(len(table) - 0.4, -0.6))
    axes.tick_params(axis="y", length=0)
    return figure, axes


def precision_recall(statistics: Statistics, tables: Tables) -> Drawn:
    """Precision against sensitivity, with the prevalence line."""
    table, first = _need(tables, "precision_recall"), str(statistics["settings"]["first_seed"])
    prevalence = statistics["cohorts"]["external"]["prevalence"]
    figure, axes = plt.subplots()
    axes.axhline(prevalence, color="0.6", lw=0.8)
    axes.text(0.01, prevalence + 0.015, "prevalence in the study", fontsize=6.5, color="0.35")
    for arm, look, rows in _by_arm(statistics, table):
        number = interval(statistics["arms"][arm]["average_precision"])
        label = f"{_label(statistics, arm)}\nAP {number}"
        _per_seed(axes, rows, "recall", "precision", look, first, label, drawstyle="steps-post")
    _square(axes, "Sensitivity (recall)", "Positive predictive value (precision)")
    axes.legend(loc="lower left", bbox_to_anchor=(0, 0.05 + min(prevalence, 0.6)))
    said = "; ".join(
        f"{_label(statistics, a)} {interval(statistics['arms'][a]['average_precision'])}" for a in statistics["arms"]
    )
    return Drawn(figure, table, alt=f"Precision-recall curves on the external set. Average precision: {said}.")


def scores(statistics: Statistics, tables: Tables) -> Drawn:
    """Distribution of the recalibrated risk by class, one panel an arm."""
    table = _need(tables, "scores")
    column = "risk" if "risk" in table and table["risk"].notna().any() else "score"
    first = table[table["seed"].astype(str) == str(statistics["settings"]["first_seed"])]
    arms = _looks(statistics)
    figure, panels = plt.subplots(len(arms), 1, sharex=True, squeeze=False, figsize=(WIDTH, 0.45 * HEIGHT * len(arms)))
    low, high = first[column].min(), first[column].max()
    edges = np.linspace(low, high if high > low else low + 1, 31)
    for axes, arm in zip(panels[:, 0], arms, strict=True):
        rows = first[first["arm"] == arm]
        axes.hist(rows.loc[rows["label"] == 0, column], edges, color="0.75", label="normal", lw=0)
        axes.hist(rows.loc[rows["label"] == 1, column], edges, histtype="step", color="black", hatch="////", lw=0.8,
                  label="malignant")  # fmt: skip
        axes.set_title(_label(statistics, arm), loc="left")
        axes.set_ylabel("Films")
    panels[0, 0].legend(loc="upper center")
    panels[-1, 0].set_xlabel("Recalibrated risk" if column == "risk" else "Score (not a probability)")
    medians = first.groupby(["arm", "label"])[column].median()
    said = "; ".join(f"{_label(statistics, a)}: {medians[a, 1]:.2f} against {medians[a, 0]:.2f}" for a in arms)
    return Drawn(
        figure,
        first,
        alt=f"Histograms of the {column} by class, first seed. Median of malignant against normal films: {said}.",
    )


# --- operating points -------------------------------------------------------------------------------------------------


def operating_points(statistics: Statistics, tables: Tables) -> Drawn:
    """Differences in sensitivity and specificity at every operating point."""
    rows = []
    for arm, comparison in statistics["comparisons"].items():
        for key, point in comparison["operating_points"].items():
            name, _, source = key.partition("@")
            for measure in ("sensitivity", "specificity"):
                if measure in point:
                    text = f"{POINT_NAMES.get(name, name)}, {measure}\n(threshold from {source})"
                    rows.append({"arm": arm, "row": text, "point": key, "measure": measure, **_ends(point[measure])})
    if not rows:
        raise NoData("no operating point was estimable")
    table = pd.DataFrame(rows)
    figure, _ = _forest(statistics, table, "Difference (arm - reference)")
    figure.set_size_inches(WIDTH, 0.27 * len(table) + 0.6)
    shown = table[table["point"] == "high_sensitivity@validation"]
    said = "; ".join(f"{r.measure} {interval(r._asdict())}" for r in shown.itertuples()) or "see the table"
    return Drawn(
        figure, table, alt=f"Differences in sensitivity and specificity. At the locked high-sensitivity point: {said}."
    )


def predictive_values(statistics: Statistics, tables: Tables) -> Drawn:
    """PPV against prevalence at the point of the headline."""
    rows = [
        {"arm": arm, "prevalence": v["prevalence"], "point": v["point"], **_ends(v["ppv"])}
        for arm, result in statistics["arms"].items()
        for v in result.get("predictive_values", [])
    ]
    if not rows:
        raise NoData("no predictive value was estimable")
    table = pd.DataFrame(rows)
    table = table[table["point"] == table["point"].iloc[0]].sort_values(["arm", "prevalence"])
    figure, axes = plt.subplots()
    for arm, look, part in _by_arm(statistics, table):
        axes.plot(
            part["prevalence"], part["estimate"], marker=look.marker, ms=4, label=_label(statistics, arm), **look.line
        )
    axes.set(xscale="log", ylim=(-0.02, 1.02), xlabel="Prevalence (logarithmic)", ylabel="Positive predictive value")
    axes.legend(loc="upper left")
    lowest = table[table["prevalence"] == table["prevalence"].min()]
    said = "; ".join(f"{_label(statistics, r.arm)} {r.estimate:.3f}" for r in lowest.dropna().itertuples())
    return Drawn(
        figure,
        table,
        alt=f"PPV falls with prevalence. At a prevalence of {table['prevalence'].min():g}: {said or 'not estimable'}.",
    )


# --- probability ------------------------------------------------------------------------------------------------------


def calibration(statistics: Statistics, tables: Tables) -> Drawn:
    """Observed against predicted, raw and recalibrated, first seed."""
    table = _need(tables, "calibration")
    first = table[table["seed"].astype(str) == str(statistics["settings"]["first_seed"])]
    kinds = [kind for kind in ("raw", "recalibrated") if kind in set(first["kind"])]
    figure, panels = plt.subplots(
        1, len(kinds), sharey=True, squeeze=False, figsize=(WIDTH * len(kinds) ** 0.6, HEIGHT)
    )
    for axes, kind in zip(panels[0], kinds, strict=True):
        axes.plot([0, 1], [0, 1], color="0.7", lw=0.6)
        for arm, look, rows in _by_arm(statistics, first[first["kind"] == kind]):
            deciles = rows[rows["curve"] == "decile"] if "curve" in rows else rows
            style = {**look.line, "marker": look.marker, "ms": 3.5}
            axes.plot(deciles["predicted"], deciles["observed"], label=_label(statistics, arm), **style)
        _square(axes, "Predicted", "Observed share malignant" if kind == kinds[0] else "")
        axes.set_title("as scored (not a probability)" if kind == "raw" else "recalibrated on validation", loc="left")
    panels[0][-1].legend(loc="upper left")
    seed = str(statistics["settings"]["first_seed"])
    said = "; ".join(
        f"{_label(statistics, a)} slope {interval(r['per_seed'][seed].get('calibration_slope', {}), 2)}"
        for a, r in statistics["arms"].items()
    )
    return Drawn(figure, first, alt=f"Calibration plots, first seed. Recalibrated: {said}.")


def decision_curve(statistics: Statistics, tables: Tables) -> Drawn:
    """Net benefit over the declared range of threshold probabilities."""
    table = _need(tables, "decision_curve")
    figure, axes = plt.subplots()
    for arm, look, rows in _by_arm(statistics, table):
        axes.plot(rows["threshold"], rows["net_benefit"], label=_label(statistics, arm), **look.line)
        if rows["lower"].notna().any():
            axes.fill_between(rows["threshold"], rows["lower"], rows["upper"], color=look.colour, alpha=0.15, lw=0)
    for name, dash in (("treat all", (4, 2)), ("treat none", (1, 1))):
        rows = table[table["arm"] == name]
        axes.plot(rows["threshold"], rows["net_benefit"], color="0.45", lw=0.9, dashes=dash, label=name)
    highest = table.loc[table["arm"].isin(statistics["arms"]), "net_benefit"].max()
    axes.set(xlabel="Threshold probability", ylabel="Net benefit", ylim=(-0.05 * highest - 0.005, 1.25 * highest))
    axes.legend(loc="lower left")
    low, high = table["threshold"].min(), table["threshold"].max()
    at_end = table[(table["threshold"] == high) & table["arm"].isin(statistics["arms"])]
    said = "; ".join(f"{_label(statistics, r.arm)} {r.net_benefit:.3f}" for r in at_end.itertuples())
    return Drawn(
        figure, table, alt=f"Net benefit over threshold probabilities {low:g} to {high:g}. At {high:g}: {said}."
    )


# --- place, runs, labels, groups --------------------------------------------------------------------------------------


def localisation(statistics: Statistics, tables: Tables) -> Drawn:
    """FROC: lesions found against false marks a film."""
    table, first = _need(tables, "froc"), str(statistics["settings"]["first_seed"])
    figure, axes = plt.subplots()
    for arm, look, rows in _by_arm(statistics, table):
        _per_seed(
            axes, rows, "fp_per_film", "sensitivity", look, first, _label(statistics, arm), drawstyle="steps-post"
        )
    axes.set(xlim=(0, 4), ylim=(-0.01, 1.01), xlabel="False marks per film", ylabel="Lesions hit")
    axes.legend(loc="lower right")
    rule = statistics["settings"]["hit_rule"]
    said = "; ".join(
        f"{_label(statistics, a)} {interval(r['localisation']['lroc_area'])}"
        for a, r in statistics["arms"].items()
        if r.get("localisation", {}).get("lroc_area")
    )
    return Drawn(
        figure,
        table,
        alt=f"FROC curves under the hit rule {rule}. Area under the localisation ROC curve: {said or 'not estimable'}.",
    )


def seeds(statistics: Statistics, tables: Tables) -> Drawn:
    """AUC of every training run: the spread between seeds beside the difference between arms."""
    rows = [
        {"arm": arm, "seed": seed, **_ends(run["auc"])}
        for arm, result in statistics["arms"].items()
        for seed, run in result["per_seed"].items()
    ]
    table = pd.DataFrame(rows)
    if table["seed"].nunique() < 2:
        raise NoData("one training run an arm: the spread between runs is unknown")
    figure, axes = plt.subplots(figsize=(WIDTH, 0.8 * HEIGHT))
    for position, (_, look, part) in enumerate(_by_arm(statistics, table)):
        x = position + np.linspace(-0.15, 0.15, len(part))
        axes.vlines(x, part["lower"], part["upper"], color=look.colour, lw=0.8)
        axes.plot(x, part["estimate"], look.marker, color=look.colour, ms=4)
        axes.hlines(part["estimate"].mean(), position - 0.28, position + 0.28, color=look.colour, lw=1)
    arms = list(_looks(statistics))
    axes.set(
        xticks=range(len(arms)),
        xticklabels=[_label(statistics, a) for a in arms],
        ylabel="AUC",
        xlim=(-0.6, len(arms) - 0.4),
    )
    spread = table.groupby("arm")["estimate"].agg(lambda v: v.max() - v.min())
    said = "; ".join(f"{_label(statistics, a)} {spread[a]:.3f}" for a in arms)
    return Drawn(
        figure, table, alt=f"AUC of each training run with its interval. Largest minus smallest over seeds: {said}."
    )


def learning_curve(statistics: Statistics, tables: Tables) -> Drawn:
    """AUC against the share of labels."""
    table = _need(tables, "learning_curve")
    if table["fraction"].nunique() < 2:
        raise NoData("one label fraction: no learning curve")
    figure, axes = plt.subplots()
    for arm, look, rows in _by_arm(statistics, table):
        mean, runs = rows[rows["seed"].isna()].sort_values("fraction"), rows[rows["seed"].notna()]
        axes.plot(runs["fraction"], runs["auc"], look.marker, color=look.colour, ms=2.5, alpha=0.5)
        errors = [mean["auc"] - mean["lower"], mean["upper"] - mean["auc"]]
        axes.errorbar(mean["fraction"], mean["auc"], errors, fmt="none", ecolor=look.colour, elinewidth=0.9)
        axes.plot(mean["fraction"], mean["auc"], marker=look.marker, ms=4, label=_label(statistics, arm), **look.line)
    axes.set(xlabel="Share of training labels", ylabel="AUC", xticks=sorted(table["fraction"].unique()))
    axes.legend(loc="lower right")
    least = table[(table["fraction"] == table["fraction"].min()) & table["seed"].isna()]
    said = "; ".join(f"{_label(statistics, r.arm)} {r.auc:.3f}" for r in least.itertuples())
    return Drawn(
        figure, table, alt=f"AUC against the share of labels. With {table['fraction'].min():g} of them: {said}."
    )


def subgroups(statistics: Statistics, tables: Tables) -> Drawn:
    """AUC within subgroups, arm by arm."""
    rows = [
        {"arm": g["arm"], "row": f"{g['group']}: {g['level']}", **_ends(g["auc"])}
        for g in statistics.get("subgroups", [])
    ]
    table = pd.DataFrame(rows)
    if table.empty:
        raise NoData("no subgroup columns")
    figure, axes = _forest(statistics, table, "AUC")
    axes.lines[0].set_visible(False)  # a difference of zero means nothing here
    drawn = table.dropna(subset=["estimate"])
    low = drawn.loc[drawn["estimate"].idxmin()] if len(drawn) else None
    said = (
        "none estimable"
        if low is None
        else f"lowest {low['estimate']:.3f} in {low['row']} ({_label(statistics, low['arm'])})"
    )
    return Drawn(figure, table, alt=f"AUC within subgroups with intervals: {said}.")


FIGURES: dict[str, Callable[[Statistics, Tables], Drawn]] = {
    "roc": roc,
    "auc_difference": auc_difference,
    "operating_points": operating_points,
    "localisation": localisation,
    "subgroups": subgroups,
    "calibration": calibration,
    "decision_curve": decision_curve,
    "seeds": seeds,
    "learning_curve": learning_curve,
    "scores": scores,
    "precision_recall": precision_recall,
    "predictive_values": predictive_values,
}


def _words(name: str, settings: Mapping[str, Any]) -> dict[str, str]:
    words = yaml.safe_load((Path(__file__).parent / "captions.yaml").read_text(encoding="utf-8"))[name]
    filled = {"confidence": f"{100 * settings['confidence']:g}", "margin": f"{settings['auc_margin']:g}"}
    return {key: text.format(hit_rule=settings["hit_rule"], **filled) for key, text in words.items()}


def draw_all(statistics: Statistics, tables: Tables, folder: Path) -> dict[str, Any]:
    """Draw every figure that the study has data for.

    Parameters
    ----------
    statistics : mapping
        The content of statistics.json.
    tables : mapping of str to DataFrame
        The tables beside it, by name without `.csv`.
    folder : Path
        Gets NAME.svg, NAME.png, NAME.csv and index.json.

    Returns
    -------
    dict
        index.json: {"figures": {name: caption}, "left_out": {name: reason}}.
    """
    apply()
    index: dict[str, Any] = {"figures": {}, "left_out": {}}
    for name, draw in FIGURES.items():
        try:
            drawn = draw(statistics, tables)
        except NoData as reason:
            index["left_out"][name] = str(reason)
            continue
        save(drawn.figure, drawn.data, folder, name)
        plt.close(drawn.figure)
        index["figures"][name] = {"alt": drawn.alt, **_words(name, statistics["settings"])}
    write_json(folder / "index.json", index)
    return index


def read_tables(folder: Path) -> dict[str, pd.DataFrame]:
    """The tables beside statistics.json, by name without `.csv`."""
    return {path.stem: pd.read_csv(path) for path in sorted(folder.glob("*.csv"))}
