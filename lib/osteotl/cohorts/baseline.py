"""What can be had without looking at a film's content: the trivial baseline, and whether source and class coincide."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

NUMBERS = ("age", "mean_grey", "sd_grey", "width", "height")
WORDS = ("sex", "view", "site")


@dataclass(frozen=True)
class Baseline:
    """Scores of the trivial baseline.

    Attributes
    ----------
    scores : DataFrame
        image_id, label, score (probability of malignancy, 0 to 1), in the order of the scored films; empty where no
        covariate varies.
    covariates : tuple of str
        Columns that entered: those that vary among the training films.
    """

    scores: pd.DataFrame
    covariates: tuple[str, ...]


def trivial_baseline(training: pd.DataFrame, scored: pd.DataFrame) -> Baseline:
    """Score films by a logistic regression on age, sex, view, site, size and exposure, learnt on training films.

    Parameters
    ----------
    training, scored : DataFrame
        Rows of cohort tables: image_id, label, age (years), sex, view, site, width and height (native pixels),
        mean_grey and sd_grey (0 to 255, of the native film). Labels of `scored` play no part.

    Returns
    -------
    Baseline

    Raises
    ------
    ValueError
        The training films are of one class.

    Notes
    -----
    Numbers are standardised on the training films, missing ones replaced by their mean with an indicator beside;
    words become indicators, those unseen in training count as none. scikit-learn's LogisticRegression, L2 with C = 1.
    A detector that does not beat this baseline has shown nothing.
    """
    from sklearn.linear_model import LogisticRegression

    if training["label"].nunique() < 2:
        raise ValueError(
            f"the {len(training)} training films are of one class and the baseline needs both; "
            "add training films of the other class"
        )
    covariates = tuple(name for name in (*NUMBERS, *WORDS) if len(_known(training[name]).unique()) > 1)
    scores = scored[["image_id", "label"]].reset_index(drop=True)
    if not covariates or scores.empty:
        return Baseline(scores.head(0).assign(score=np.empty(0)), covariates)
    model = LogisticRegression(max_iter=1000).fit(_design(training, training, covariates), training["label"])
    risk = model.predict_proba(_design(scored, training, covariates))[:, 1]
    return Baseline(scores.assign(score=risk), covariates)


def source_coincidence(films: pd.DataFrame) -> dict[str, Any]:
    """Association of site and class within each partition.

    Parameters
    ----------
    films : DataFrame
        partition, site, label.

    Returns
    -------
    dict
        `partitions` (one entry per partition with several sites and both classes: partition, cramers_v in [0, 1],
        table in words) and `worst`, the entry with the largest, or None where there is no such partition.

    Notes
    -----
    Cramer's V = sqrt(chi-square / (n (min(rows, columns) - 1))), without correction for continuity or bias; equals
    scipy.stats.contingency.association.
    """
    from scipy.stats.contingency import association

    found: list[dict[str, Any]] = []
    for partition, rows in films.groupby("partition"):
        table = pd.crosstab(rows["site"], rows["label"])
        if min(table.shape) < 2:
            continue
        text = "; ".join(f"{site}: {row.get(1, 0)} malignant, {row.get(0, 0)} normal" for site, row in table.iterrows())
        strength = float(association(table.to_numpy(), method="cramer"))
        found.append({"partition": str(partition), "cramers_v": strength, "table": text})
    worst = max(found, key=lambda entry: entry["cramers_v"], default=None)
    return {"partitions": found, "worst": worst}


def _design(films: pd.DataFrame, training: pd.DataFrame, covariates: tuple[str, ...]) -> np.ndarray:
    columns = []
    for name in covariates:
        if name in NUMBERS:
            known, values = training[name].astype(float), films[name].astype(float)
            spread = known.std(ddof=0)
            columns.append(((values - known.mean()) / (spread if spread > 0 else 1.0)).fillna(0.0))
            if known.isna().any():
                columns.append(values.isna().astype(float))
        else:
            levels = sorted(_known(training[name]).dropna().astype(str).unique())
            columns += [(films[name] == level).astype(float) for level in levels]
    return np.column_stack(columns)


def _known(values: pd.Series) -> pd.Series:
    """Values with an empty cell of a text column, which stands for unknown, as a missing one."""
    return values.replace("", np.nan) if values.dtype == object or isinstance(values.dtype, pd.StringDtype) else values
