"""The figures of the report, each from statistics.json and the tables beside it.

A figure is a function `(statistics, tables) -> Drawn`; `FIGURES` lists them in the order of the page. A figure whose
data a study does not have (no boxes, one label fraction, ...) is left out, and index.json says why.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd

from osteotl.files import read_yaml, write_json
from osteotl.reporting.figures.curves import localisation, precision_recall, roc
from osteotl.reporting.figures.forests import auc_difference, operating_points, seeds, subgroups
from osteotl.reporting.figures.learning import learning_curve, steps_curve
from osteotl.reporting.figures.parts import Drawn, NoData, Statistics, Tables
from osteotl.reporting.figures.probability import calibration, decision_curve, predictive_values, scores
from osteotl.reporting.style import apply, save
from osteotl.reporting.wording import HIT_RULES

__all__ = ["FIGURES", "Drawn", "NoData", "draw_all", "read_tables"]

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
    "steps_curve": steps_curve,
    "scores": scores,
    "precision_recall": precision_recall,
    "predictive_values": predictive_values,
}


def draw_all(statistics: Statistics, tables: Tables, folder: Path) -> dict[str, Any]:
    """Draw every figure that the study has data for.

    Parameters
    ----------
    statistics : mapping
        The content of statistics.json.
    tables : mapping of str to DataFrame
        The tables beside it, by name without `.csv`.
    folder : Path
        Gets NAME.svg, NAME.png, NAME.csv and index.json. The same numbers give the same bytes.

    Returns
    -------
    dict
        index.json: {"figures": {name: {alt, title, shown, good, bad}}, "left_out": {name: reason}}.
    """
    apply()
    captions = read_yaml(Path(__file__).parents[1] / "captions.yaml")
    index: dict[str, Any] = {"figures": {}, "left_out": {}}
    for name, draw in FIGURES.items():
        try:
            drawn = draw(statistics, tables)
        except NoData as reason:
            index["left_out"][name] = str(reason)
            continue
        save(drawn.figure, drawn.data, Path(folder), name)
        plt.close(drawn.figure)
        index["figures"][name] = {"alt": drawn.alt, **_words(captions[name], statistics["settings"])}
    write_json(Path(folder) / "index.json", index)
    return index


def _words(caption: Mapping[str, str], settings: Mapping[str, Any]) -> dict[str, str]:
    """The fixed words with this study's settings filled in."""
    filled = {
        "confidence": f"{100 * settings['confidence']:g}",
        "margin": f"{settings['auc_margin']:g}",
        "hit_rule": HIT_RULES[settings["hit_rule"]],
    }
    return {key: text.format(**filled) for key, text in caption.items()}


def read_tables(folder: Path) -> dict[str, pd.DataFrame]:
    """The tables beside statistics.json, by name without `.csv`."""
    return {path.stem: pd.read_csv(path) for path in sorted(Path(folder).glob("*.csv"))}
