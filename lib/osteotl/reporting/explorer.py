"""The threshold explorer: exact counts at every step, computed here, shown by a small script of our own.

Two ladders of at most 1,000 steps per arm and seed: the recalibrated risk (0.001, 0.002, ...), and the number of
tumours found (which a target sensitivity asks for). Scores of different seeds and arms share no scale, so no ladder is
in scores.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup

from osteotl.reporting.facts import Facts
from osteotl.reporting.html import paragraph, table, tag
from osteotl.reporting.wording import POINTS, point_name

STEPS = 1000
MARKS = "●■▲◆▼✚"


def template_text(name: str) -> str:
    """A file of the template folder."""
    return (files("osteotl.reporting") / "template" / name).read_text(encoding="utf-8")


def risk_counts(label: np.ndarray, risk: np.ndarray) -> dict[str, list[int]]:
    """True and false positives when every film with a recalibrated risk of at least k/1000 is called.

    Parameters
    ----------
    label : int array (n,)
        1 malignant, 0 not.
    risk : float array (n,)
        Recalibrated risk in [0, 1], no missing values.

    Returns
    -------
    dict
        'tp' and 'fp', each of length 1001, for k = 0 ... 1000.
    """
    # k / 1000 is the closest double to the decimal; a cumulative sum of 0.001 is not (see TRAPS in dcurves)
    steps = np.arange(STEPS + 1) / STEPS
    positives, negatives = np.sort(risk[label == 1]), np.sort(risk[label == 0])
    return {
        "tp": (len(positives) - np.searchsorted(positives, steps, side="left")).tolist(),
        "fp": (len(negatives) - np.searchsorted(negatives, steps, side="left")).tolist(),
    }


def sensitivity_counts(label: np.ndarray, score: np.ndarray) -> dict[str, list[int]]:
    """Counts at the study's high-sensitivity rule on these films, for every number of tumours that can be asked for.

    The rule: the best specificity that finds at least k tumours, then the most tumours at that specificity
    (`osteotl.statistics.operating_points`).

    Parameters
    ----------
    label : int array (n,)
        1 malignant, 0 not.
    score : float array (n,)
        Any continuous score; ties are kept together.

    Returns
    -------
    dict
        'k' the tumours asked for (0 ... all; 1,000 evenly spaced steps where there are more), 'tp' found, 'fp' called.
    """
    positives, negatives = np.sort(score[label == 1]), np.sort(score[label == 0])
    n, well = len(positives), len(negatives)
    asked = np.unique(np.round(np.linspace(0, n, min(n, STEPS) + 1)).astype(int))
    threshold = np.where(asked > 0, positives[n - np.maximum(asked, 1)], np.inf)
    called = well - np.searchsorted(negatives, threshold, side="left")
    # down to just above the next normal film costs no specificity
    next_normal = np.concatenate([[-np.inf], negatives])[well - called]
    found = n - np.searchsorted(positives, next_normal, side="right")
    return {"k": asked.tolist(), "tp": found.tolist(), "fp": called.tolist()}


def explorer_data(statistics: Mapping[str, Any], scores: pd.DataFrame) -> dict[str, Any] | None:
    """What the script needs: sizes, settings and the counts of every arm and seed; None without scores."""
    if scores.empty:
        return None
    settings, arms = statistics["settings"], list(statistics["arms"])
    arms.sort(key=lambda arm: arm != settings["reference"])
    first = scores[scores["arm"].eq(arms[0])]
    one = first[first["seed"].astype(str).eq(str(first["seed"].iloc[0]))]
    data: dict[str, Any] = {
        "n1": int(one["label"].sum()),
        "n0": int((one["label"] == 0).sum()),
        "z": NormalDist().inv_cdf(0.5 + float(settings.get("confidence", 0.95)) / 2),
        "seeds": [str(s) for s in settings["seeds"]],
        "prevalences": settings.get("prevalences", []),
        "points": {},
        "arms": [],
    }
    for i, arm in enumerate(arms):
        label = (settings["arms"].get(arm) or {}).get("label") or arm
        runs = {seed: run for seed in data["seeds"] if (run := _run(statistics["arms"][arm], scores, arm, seed))}
        data["arms"].append(
            {
                "id": arm,
                "label": label,
                "sign": MARKS[i % len(MARKS)],
                "pooled": _pooled(statistics["arms"][arm]),
                "runs": runs,
            }
        )
    data["points"] = {key: point_name(key).split(", ", 1) for key in _keys(statistics["arms"][arms[0]])}
    data["risk"] = all(run.get("risk") for arm in data["arms"] for run in arm["runs"].values())
    return data


def _run(arm: Mapping[str, Any], scores: pd.DataFrame, name: str, seed: str) -> dict[str, Any]:
    part = scores[scores["arm"].eq(name) & scores["seed"].astype(str).eq(seed)]
    if part.empty:
        return {}
    label, score = part["label"].to_numpy(int), part["score"].to_numpy(float)
    run: dict[str, Any] = {"target": sensitivity_counts(label, score)}
    if "risk" in part and part["risk"].notna().all():
        run["risk"] = risk_counts(label, part["risk"].to_numpy(float))
    points = (arm.get("per_seed") or {}).get(seed, {}).get("operating_points", {})
    run["points"] = {
        key: {"counts": [int(p["tp"]), int(p["fp"])], "limits": _limits(p)}
        for key, p in points.items()
        if p.get("tp") is not None
    }
    return run


def _keys(arm: Mapping[str, Any]) -> list[str]:
    order = list(POINTS)
    keys = list(arm.get("operating_points", {}))
    return sorted(
        keys,
        key=lambda k: (
            not k.endswith("@validation"),
            order.index(k.partition("@")[0]) if k.partition("@")[0] in order else 9,
        ),
    )


def _pooled(arm: Mapping[str, Any]) -> dict[str, Any]:
    """Limits of the mean over seeds at the operating points, which no script could compute from counts."""
    return {key: _limits(point) for key, point in arm.get("operating_points", {}).items()}


def _limits(point: Mapping[str, Any]) -> dict[str, list[float]]:
    """The study's own intervals of the four rates, those that exist."""
    found = {}
    for measure in ("sensitivity", "specificity", "ppv", "npv"):
        number = point.get(measure)
        if isinstance(number, Mapping) and number.get("lower") is not None and number.get("upper") is not None:
            found[measure] = [float(number["lower"]), float(number["upper"])]
    return found


def explorer_html(
    statistics: Mapping[str, Any], tables: Mapping[str, pd.DataFrame], *, standalone: bool = True
) -> Markup:
    """The explorer as a fragment of a page.

    Parameters
    ----------
    statistics : mapping
        statistics.json.
    tables : mapping
        Needs 'scores' (arm, seed, image_id, label, score, risk).
    standalone : bool
        True (in JupyterLab) brings style and script along; the report has both already.

    Returns
    -------
    Markup
        Controls and live table, with a static table that stands there where no script runs.
    """
    facts = Facts(statistics)
    scores = tables.get("scores", pd.DataFrame())
    data = explorer_data(statistics, scores)
    static = tag("div", static_table(facts), class_="explorer-static")
    if data is None:
        return tag(
            "div",
            paragraph("tables/scores.csv is not at hand, so thresholds cannot be moved."),
            static,
            class_="explorer",
        )
    # '<' cannot close the script element early; JSON allows the escape anywhere in a string
    text = (
        json.dumps(data, separators=(",", ":"), ensure_ascii=False)
        .replace("<", "\\u003c")
        .replace("\u2028", "")
        .replace("\u2029", "")
    )
    block = Markup('<script type="application/json" class="explorer-data">{}</script>').format(Markup(text))
    live = tag("div", class_="explorer-live", hidden=True)
    style = tag("style", Markup(template_text("explorer.css"))) if standalone else None
    script = Markup("<script>{}</script>").format(Markup(template_text("explorer.js"))) if standalone else None
    return tag("div", style, live, static, block, script, class_="explorer")


def explorer_fragment(out: str | Path) -> str:
    """The explorer of a finished study, for `IPython.display.HTML` in a notebook.

    Parameters
    ----------
    out : path
        The outputs folder, with statistics.json and tables/scores.csv.
    """
    statistics = json.loads((Path(out) / "statistics.json").read_text(encoding="utf-8"))
    scores = Path(out) / "tables" / "scores.csv"
    frame = pd.read_csv(scores, dtype={"seed": str, "image_id": str}) if scores.is_file() else pd.DataFrame()
    return str(explorer_html(statistics, {"scores": frame}))


def static_table(facts: Facts) -> Markup:
    """The study's operating points, for readers without script."""
    arms = facts.get("arms", {})
    keys = _keys(next(iter(arms.values()), {}))
    rows = [
        [
            f"{facts.get(f'settings.arms.{arm}.label') or arm}: {point_name(key)}",
            *(
                facts.number(f"arms.{arm}.operating_points.{key}.{m}", "percent")
                for m in ("sensitivity", "specificity", "ppv")
            ),
        ]
        for key in keys
        for arm in arms
    ]
    return table(
        "The study's operating points, mean over training runs",
        ["Arm and point", "#Sensitivity", "#Specificity", "#PPV in this study"],
        rows,
    )
