"""Figures of the comparison: one function a figure, called in one cell of 05_figures each.

A figure takes the table of results, the tables of curves and the labels of the models (the reference first), and
returns a `Figure`, or an `Omitted` with the reason where the study has no data for it.
"""

from __future__ import annotations

from osteotl.figures.curves import (
    calibration,
    decision_curve,
    learning_curve,
    localisation,
    precision_recall,
    robustness,
    roc,
    steps_curve,
)
from osteotl.figures.distributions import (
    auc_difference,
    difference_draws,
    operating_points,
    predictive_values,
    runs,
    scores,
    subgroups,
)
from osteotl.figures.films import contact_sheet, occlusion_maps, read_films, worst_misses
from osteotl.figures.parts import Figure, Omitted, read_tables, save_figures

__all__ = [
    "Figure",
    "Omitted",
    "auc_difference",
    "calibration",
    "contact_sheet",
    "decision_curve",
    "difference_draws",
    "learning_curve",
    "localisation",
    "occlusion_maps",
    "operating_points",
    "precision_recall",
    "predictive_values",
    "read_films",
    "read_tables",
    "robustness",
    "roc",
    "runs",
    "save_figures",
    "scores",
    "steps_curve",
    "subgroups",
    "worst_misses",
]
