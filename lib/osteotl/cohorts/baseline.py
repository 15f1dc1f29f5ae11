"""The trivial baseline: what age, sex, view, site and exposure tell without looking at the film's content."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

AGE_STRATA = ("< 10", "10-19", "20-39", ">= 40")
NUMBERS = ("age", "mean_grey", "sd_grey")
WORDS = ("sex", "view", "site")


@dataclass(frozen=True)
class Baseline:
    """Scores of the trivial baseline.

    Attributes
    ----------
    scores : DataFrame
        image_id, cohort ('validation' or 'external'), label, score (probability of malignancy, 0 to 1).
    features : tuple of str
        Columns that entered: those that vary among the training films.
    """

    scores: pd.DataFrame
    features: tuple[str, ...]


def trivial_baseline(films: pd.DataFrame) -> Baseline:
    """Fit a logistic regression on development training films, score validation and external films.

    Parameters
    ----------
    films : DataFrame
        The cohort tables (`tables.read_films`): image_id, cohort, partition, label, age (years), sex, view, site,
        mean_grey and sd_grey (0 to 255, of the native film).

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

    training = films[(films["cohort"] == "development") & (films["partition"] == "training")]
    if training["label"].nunique() < 2:
        raise ValueError(f"the {len(training)} training films are of one class; the baseline needs both")
    validation = (films["cohort"] == "development") & (films["partition"] == "validation")
    scored = films[validation | (films["cohort"] == "external")]
    features = tuple(name for name in (*NUMBERS, *WORDS) if len(training[name].unique()) > 1)
    scores = np.full(len(scored), training["label"].mean())
    if features and len(scored):
        model = LogisticRegression(max_iter=1000).fit(_design(training, training, features), training["label"])
        scores = model.predict_proba(_design(scored, training, features))[:, 1]
    cohort = np.where(scored["cohort"] == "external", "external", "validation")
    table = pd.DataFrame({"image_id": scored["image_id"], "cohort": cohort, "label": scored["label"], "score": scores})
    return Baseline(table.reset_index(drop=True), features)


def _design(films: pd.DataFrame, training: pd.DataFrame, features: tuple[str, ...]) -> np.ndarray:
    columns = []
    for name in features:
        if name in NUMBERS:
            known, values = training[name].astype(float), films[name].astype(float)
            spread = known.std(ddof=0)
            columns.append(((values - known.mean()) / (spread if spread > 0 else 1.0)).fillna(0.0))
            if known.isna().any():
                columns.append(values.isna().astype(float))
        else:
            levels = sorted(training[name].dropna().astype(str).unique())
            columns += [(films[name] == level).astype(float) for level in levels]
    return np.column_stack(columns)


def age_stratum(ages: pd.Series) -> pd.Series:
    """The age stratum of every film: < 10, 10-19, 20-39, >= 40 years, or missing where the age is.

    Parameters
    ----------
    ages : Series of float
        Years.
    """
    edges = [-np.inf, 10, 20, 40, np.inf]
    return pd.cut(ages.astype(float), edges, right=False, labels=list(AGE_STRATA)).rename("age_stratum")
