"""What can be had without looking at the film: covariates alone, and whether source and class go together."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

NUMBERS = ("age", "mean_grey", "sd_grey", "width", "height")
CATEGORIES = ("sex", "view", "site")
AUDIT = "baseline"


def baseline_scores(training: pd.DataFrame, external: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Score external films by logistic regression on age, sex, view, site, size and exposure, learnt on training films.

    Parameters
    ----------
    training, external : DataFrame
        Cohort tables.

    Returns
    -------
    rows : DataFrame
        Rows of audit.csv: audit 'baseline', no arm, fraction or seed; empty where nothing varies.
    covariates : list of str
        Those used: what is constant in training, or missing there in every film, is left out.
    """
    from sklearn.compose import make_column_transformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    numbers = [name for name in NUMBERS if _varies(training, name)]
    categories = [name for name in CATEGORIES if _varies(training, name)]
    empty = pd.DataFrame(columns=["image_id", "arm", "fraction", "seed", "audit", "score"])
    if not numbers + categories or training["label"].nunique() < 2:
        return empty, []
    model = make_pipeline(
        make_column_transformer(
            (make_pipeline(SimpleImputer(strategy="median", add_indicator=True), StandardScaler()), numbers),
            (OneHotEncoder(handle_unknown="ignore"), categories),
        ),
        LogisticRegression(max_iter=1000),
    )
    model.fit(_columns(training, numbers, categories), training["label"])
    risk = model.predict_proba(_columns(external, numbers, categories))[:, 1]
    rows = pd.DataFrame({"image_id": external["image_id"], "arm": None, "fraction": np.nan, "seed": np.nan})
    return rows.assign(audit=AUDIT, score=risk), numbers + categories


def source_coincidence(films: pd.DataFrame) -> dict[str, Any]:
    """Association of site and class within each partition.

    Parameters
    ----------
    films : DataFrame
        partition, site, label.

    Returns
    -------
    dict
        `partitions` (one entry per partition with several sites: partition, cramers_v in [0, 1], table) and `worst`,
        the entry with the largest, or None where every partition comes from one site.
    """
    found: list[dict[str, Any]] = []
    for partition, rows in films.groupby("partition"):
        table = pd.crosstab(rows["site"], rows["label"])
        if min(table.shape) < 2:
            continue
        text = "; ".join(f"{site}: {row.get(1, 0)} malignant, {row.get(0, 0)} normal" for site, row in table.iterrows())
        found.append({"partition": str(partition), "cramers_v": _cramers_v(table.to_numpy(float)), "table": text})
    worst = max(found, key=lambda entry: entry["cramers_v"], default=None)
    return {"partitions": found, "worst": worst}


def _cramers_v(table: np.ndarray) -> float:
    expected = table.sum(1, keepdims=True) * table.sum(0, keepdims=True) / table.sum()
    chi = ((table - expected) ** 2 / expected).sum()
    return float(np.sqrt(chi / (table.sum() * (min(table.shape) - 1))))


def _varies(table: pd.DataFrame, name: str) -> bool:
    return name in table and len(table[name].dropna().unique()) > 1


def _columns(table: pd.DataFrame, numbers: list[str], categories: list[str]) -> pd.DataFrame:
    values = table[numbers].apply(pd.to_numeric)
    return pd.concat([values, table[categories].astype(str)], axis=1)
