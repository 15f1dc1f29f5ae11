"""The threshold explorer: exact counts at every setting, computed here, shown by a small script of the page.

On the mean over runs the slider is the target sensitivity: every run uses the threshold that its validation films give
for it. With a single run it is the threshold. Counts are embedded compactly: rising sequences are stored as their
differences.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup, escape
from numpy.typing import NDArray

from diagnostic_accuracy import estimates
from diagnostic_accuracy.thresholds import cumulative_counts, high_sensitivity
from osteotl.figures.parts import Labels, Tables, run_word

STEPS = 1000
MOST_POINTS = 1000  # of a drawn curve; counts do not depend on it
SIGNS = "●■▲◆▼✚"
RATES = ("sensitivity", "specificity", "ppv", "npv")
POINTS = {"high_sensitivity": "High sensitivity", "high_specificity": "High specificity", "youden": "Youden index",
          "closest": "Closest to the corner", "given": "Given threshold"}  # fmt: skip
SOURCES = {"validation": "from the validation films", "external": "found on these films", "given": "given in advance"}


def explorer(tables: Tables, results: pd.DataFrame, labels: Labels) -> Markup:
    """The explorer's part of a section.

    Parameters
    ----------
    tables : mapping
        Needs scores.csv: image_id, cohort, label, arm, run, score, risk; calibration.csv where there is one.
    results : DataFrame
        The table of results: operating points with their intervals, shares of malignant films.
    labels : mapping of arm to label
        The reference first.

    Returns
    -------
    Markup
        The data and a table of the study's own operating points, which stands there where no script runs.
    """
    static = Markup('<div class="explorer-static">{}</div>').format(static_table(results, labels))
    data = explorer_data(tables, results, labels)
    if data is None:
        note = Markup("<p>tables/scores.csv is not at hand, so thresholds cannot be moved.</p>")
        return Markup('<div class="explorer">{}{}</div>').format(note, static)
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=False)
    return Markup('<div class="explorer" data-explorer="{}">{}</div>').format(text, static)


def explorer_data(tables: Tables, results: pd.DataFrame, labels: Labels) -> dict[str, Any] | None:
    """What the script needs: sizes, settings and the counts of every model and run; None without scores.

    Parameters
    ----------
    tables, results, labels
        As in `explorer`.
    """
    scores = tables.get("scores")
    if scores is None or scores.empty:
        return None
    scores = scores[scores["arm"].isin(list(labels))]
    films = scores.drop_duplicates("image_id")
    sizes = films.groupby(["cohort", "label"]).size()
    validation = bool(sizes.get(("validation", 1), 0))
    ladder = ladder_of(scores)
    points = _points(results)
    grid = results.loc[(results["measure"] == "net_benefit"), "at"].dropna()
    return {
        "n1": int(sizes["external", 1]),
        "n0": int(sizes["external", 0]),
        "learnt": float(films.loc[films["cohort"] == "validation", "label"].mean()) if validation else None,
        "from": "validation" if validation else "external",
        "runs": sorted(set(scores["run"].astype(str)), key=lambda run: (len(run), run)),
        "word": run_word(results),
        "ladder": ladder,
        "at": [float(grid.min()), float(grid.max())] if len(grid) else [0.01, 0.2],
        "points": [
            {"key": f"{p}@{s}", "name": POINTS.get(p, p.replace("_", " ")), "from": SOURCES[s]} for p, s in points
        ],
        "arms": [_arm(tables, results, scores, labels, arm, ladder, points) for arm in labels],
    }


def _arm(
    tables: Tables, results: pd.DataFrame, scores: pd.DataFrame, labels: Labels, arm: str, ladder: Mapping[str, Any],
    points: Sequence[tuple[str, str]],
) -> dict[str, Any]:  # fmt: skip
    own = scores[scores["arm"] == arm]
    of_points = estimates.select(results, section="operating_points", arm=arm, reference=None, unit="film",
                                 prevalence=None, measure=list(RATES), group=None)  # fmt: skip
    of_points = of_points[of_points["fraction"].isna() | (of_points["fraction"] == of_points["fraction"].max())]
    index = list(labels).index(arm)
    return {
        "id": arm,
        "label": labels[arm],
        "sign": SIGNS[index % len(SIGNS)],
        "limits": {f"{p}@{s}": _limits(of_points, p, s) for p, s in points},
        "calibration": _calibration(tables, arm, ""),
        "runs": {str(run): _run(films, ladder, _calibration(tables, arm, str(run)), of_points, str(run), points)
                 for run, films in own.groupby("run", sort=True)},
    }  # fmt: skip


def _run(
    films: pd.DataFrame, ladder: Mapping[str, Any], calibration: Any, rates: pd.DataFrame, run: str,
    points: Sequence[tuple[str, str]],
) -> dict[str, Any]:  # fmt: skip
    """Counts of one run: for every target, every threshold, and the study's own points."""
    external, validation = (films[films["cohort"] == name] for name in ("external", "validation"))
    learnt = validation if validation["label"].nunique() == 2 else external
    counts = target_counts(learnt["label"], learnt["score"], external["label"], external["score"])
    found = {"target": {key: _differences(values) for key, values in counts.items()}}
    found["steps"] = threshold_steps(external["label"], external[ladder["of"]], ladder)
    found["curve"] = _curve(external)
    found["calibration"] = calibration
    n1, n0 = int((external["label"] == 1).sum()), int((external["label"] == 0).sum())
    own = rates[rates["run"] == run].set_index(["point", "threshold_from", "measure"])["estimate"]
    found["points"] = {
        f"{p}@{s}": [round(own[p, s, "sensitivity"] * n1), round((1 - own[p, s, "specificity"]) * n0)]
        for p, s in points
        if pd.notna(own.get((p, s, "sensitivity"))) and pd.notna(own.get((p, s, "specificity")))
    }
    return found


# --- counts -----------------------------------------------------------------------------------------------------------


def target_counts(label: Any, score: Any, external_label: Any, external_score: Any) -> dict[str, NDArray[np.int64]]:
    """Counts on the external films at the thresholds that other films give for every target sensitivity.

    The rule is `thresholds.high_sensitivity`: the fewest false positives that find at least k tumours, then the most
    tumours.

    Parameters
    ----------
    label, score : array of shape (n,)
        The films on which thresholds are found (validation; the external ones where there are none).
    external_label, external_score : array of shape (m,)

    Returns
    -------
    dict
        'k' tumours asked for (0 ... all; 1,000 evenly spaced steps where there are more), 'tp' and 'fp' on the external
        films.

    Examples
    --------
    >>> counts = target_counts([1, 1, 0, 0], [0.9, 0.4, 0.6, 0.1], [1, 1, 0], [0.7, 0.5, 0.2])
    >>> {key: values.tolist() for key, values in counts.items()}
    {'k': [0, 1, 2], 'tp': [0, 0, 2], 'fp': [0, 0, 0]}
    """
    cuts, tp, fp = cumulative_counts(label, score)
    n1, n0 = int(tp[-1]), int(fp[-1])
    asked = np.unique(np.round(np.linspace(0, n1, min(n1, STEPS) + 1)).astype(np.int64))
    threshold = np.array([cuts[high_sensitivity(tp, fp, n1, n0, k / n1)] for k in asked])
    values, sick = np.asarray(external_score, float), np.asarray(external_label) == 1
    called = {"tp": np.sort(values[sick]), "fp": np.sort(values[~sick])}
    return {"k": asked, **{key: v.size - np.searchsorted(v, threshold, side="left") for key, v in called.items()}}


def ladder_of(scores: pd.DataFrame) -> dict[str, Any]:
    """Thresholds of the slider with a single run: recalibrated risks k/1000, or 1,000 steps over all scores.

    Parameters
    ----------
    scores : DataFrame
        Columns score and risk.

    Returns
    -------
    dict
        'of' the column, 'low' and 'step' such that threshold k is low + k * step, k = 0 ... 1,000.
    """
    if "risk" in scores and scores["risk"].notna().all():
        return {"of": "risk", "low": 0.0, "step": 1 / STEPS}
    low, high = float(scores["score"].min()), float(scores["score"].max())
    if low >= 0 and high <= 1:
        low, high = 0.0, 1.0
    return {"of": "score", "low": low, "step": (high - low or 1.0) / STEPS}


def thresholds_of(ladder: Mapping[str, Any]) -> NDArray[np.float64]:
    """The thresholds of a ladder."""
    if ladder["step"] == 1 / STEPS:  # k / 1000 is the double closest to the decimal; k * 0.001 is not
        return np.asarray(np.arange(STEPS + 1) / STEPS + float(ladder["low"]), np.float64)
    return np.asarray(np.arange(STEPS + 1) * float(ladder["step"]) + float(ladder["low"]), np.float64)


def threshold_steps(label: Any, value: Any, ladder: Mapping[str, Any]) -> dict[str, list[int]]:
    """The last step of the ladder at which each film is called, class by class, as differences in rising order.

    Parameters
    ----------
    label : array of shape (n,)
    value : array of shape (n,)
        Scores or risks.
    ladder : mapping
        See `ladder_of`. A film is called when its value >= the threshold; -1: at none.
    """
    last = np.searchsorted(thresholds_of(ladder), np.asarray(value, float), side="right") - 1
    sick = np.asarray(label) == 1
    return {"1": _differences(np.sort(last[sick])), "0": _differences(np.sort(last[~sick]))}


def _differences(values: Any) -> list[int]:
    """A sequence as its first value and its differences."""
    return np.diff(np.asarray(values, np.int64), prepend=0).tolist()


def _curve(films: pd.DataFrame) -> dict[str, list[int]]:
    """Counts at every cut (thinned to 1,000), with the logit of the risk there, in thousandths."""
    cuts, tp, fp = cumulative_counts(films["label"], films["score"])
    kept = np.unique(np.round(np.linspace(0, cuts.size - 1, min(cuts.size, MOST_POINTS))).astype(int))
    curve = {"tp": _differences(tp[kept]), "fp": _differences(fp[kept])}
    if films["risk"].notna().all() if "risk" in films else False:
        risk = films.groupby("score")["risk"].min().sort_index(ascending=False).to_numpy().clip(1e-9, 1 - 1e-9)
        logit = np.concatenate([[np.inf], np.log(risk / (1 - risk))]).clip(-21, 21)
        curve["z"] = _differences(np.round(1000 * logit[kept]))
    return curve


def _calibration(tables: Tables, arm: str, run: str, most: int = 40) -> list[list[float]] | None:
    """The smooth calibration curve after recalibration, thinned; the groups where there is none."""
    table = tables.get("calibration")
    if table is None or table.empty:
        return None
    rows = table[(table["arm"] == arm) & (table["run"] == run) & (table["recalibration"] == "logistic")]
    for curve in ("smooth", "decile"):
        part = rows[(rows["curve"] == curve) & rows["observed"].notna()].sort_values("predicted")
        if len(part) > 1:
            kept = np.unique(np.round(np.linspace(0, len(part) - 1, min(len(part), most))).astype(int))
            return [part[name].iloc[kept].clip(0, 1).round(3).tolist() for name in ("predicted", "observed")]
    return None


# --- the study's own operating points ---------------------------------------------------------------------------------


def _points(results: pd.DataFrame) -> list[tuple[str, str]]:
    """Operating points of the study, those from validation films first."""
    rows = estimates.select(
        results, section="operating_points", measure="sensitivity", run=None, reference=None, unit="film"
    )
    known = list(dict.fromkeys(zip(rows["point"], rows["threshold_from"], strict=True)))
    order = list(POINTS)
    return sorted(known, key=lambda p: (list(SOURCES).index(p[1]), order.index(p[0]) if p[0] in order else len(order)))


def _limits(rows: pd.DataFrame, point: str, source: str) -> dict[str, list[float]]:
    """The study's own intervals of the mean rates, those that exist."""
    own = rows[(rows["point"] == point) & (rows["threshold_from"] == source) & (rows["run"] == "")]
    own = own.dropna(subset=["lower", "upper"])
    return {row["measure"]: [round(float(row["lower"]), 6), round(float(row["upper"]), 6)] for _, row in own.iterrows()}


def static_table(results: pd.DataFrame, labels: Labels) -> Markup:
    """The study's operating points, for readers without script."""
    rows = estimates.select(results, section="operating_points", run=None, reference=None, unit="film", prevalence=None,
                            group=None)  # fmt: skip
    rows = rows[rows["fraction"].isna() | (rows["fraction"] == rows["fraction"].max())]
    lines = []
    for point, source in _points(results):
        for arm, label in labels.items():
            own = rows[(rows["arm"] == arm) & (rows["point"] == point) & (rows["threshold_from"] == source)]
            cells = [_cell(own[own["measure"] == measure]) for measure in RATES]
            name = f"{label}: {POINTS.get(point, point).lower()}, threshold {SOURCES[source]}"
            lines.append(Markup('<tr><th scope="row">{}</th>{}</tr>').format(name, Markup("").join(cells)))
    heads = ("Sensitivity, %", "Specificity, %", "PPV in this study, %", "NPV in this study, %")
    head = Markup("").join(Markup('<th scope="col" class="n">{}</th>').format(text) for text in heads)
    caption = f"The study's operating points, mean over {run_word(results)}s"
    return Markup(
        '<div class="scroll" role="group" tabindex="0" aria-label="{0}"><table><caption>{0}</caption><thead><tr>'
        '<th scope="col">Model and point</th>{1}</tr></thead><tbody>{2}</tbody></table></div>'
    ).format(caption, head, Markup("").join(lines))


def _cell(rows: pd.DataFrame) -> Markup:
    """A rate in per cent with its interval, marked with its row in statistics.csv."""
    if rows.empty or pd.isna(rows["estimate"].iloc[0]):
        return Markup('<td class="n"><span class="missing">not estimable</span></td>')
    row = rows.iloc[0]
    text = f"{100 * row['estimate']:.1f}"
    if pd.notna(row["lower"]) and pd.notna(row["upper"]):
        text += f" ({100 * row['lower']:.1f} to {100 * row['upper']:.1f})"
    return Markup('<td class="n"><span class="n" data-row="{}" data-scale="100">{}</span></td>').format(
        escape(str(row.name)), text
    )
