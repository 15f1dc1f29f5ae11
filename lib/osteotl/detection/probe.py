"""Can the source of a film be told from what the detector computes of it?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from osteotl.detection.films import Films
from osteotl.detection.scoring import BATCH, open_detector

FOLDS = 5
LAYER = 9  # the last backbone layer of YOLOv5 (spatial pyramid pooling)
FEWEST = 10  # films of a site and class below which nothing is probed


def film_features(weights: str | Path, films: Films, model: str, device: str = "cpu") -> np.ndarray:
    """Backbone features averaged over the film.

    Returns
    -------
    ndarray of float32, shape (films, channels)
    """
    detector: Any = open_detector(weights, model, device)
    layers = torch.nn.Sequential(*list(detector.model)[: LAYER + 1])  # the backbone is a plain chain
    parts = []
    with torch.inference_mode():
        for start in range(0, len(films), BATCH):
            part = torch.from_numpy(np.ascontiguousarray(films.images[start : start + BATCH]))
            pixels = part[:, None].to(device).float() / 255
            parts.append(layers(pixels.contiguous(memory_format=torch.channels_last)).mean((2, 3)).cpu().numpy())
    return np.concatenate(parts)


def class_probe(table: pd.DataFrame, features: np.ndarray) -> np.ndarray:
    """Guess the class of films whose lesions were painted over, cross-validated by patient.

    What this can tell is a shortcut that the films offer (a marker, a border, an exposure that goes with the class),
    whether or not the detector takes it.

    Parameters
    ----------
    table : DataFrame
        patient_id, label.
    features : ndarray, shape (films, channels)

    Returns
    -------
    ndarray, shape (films,)
        Larger for films guessed malignant; each from a model that saw no film of that patient.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    folds = max(2, min(FOLDS, table["patient_id"].nunique() // 2))
    return cross_val_predict(
        make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=500, class_weight="balanced")),
        features, table["label"], groups=table["patient_id"], cv=StratifiedGroupKFold(folds),
        method="decision_function",
    )  # fmt: skip


def site_probe(tables: list[pd.DataFrame], features: list[np.ndarray]) -> dict[str, Any]:
    """Guess the site of normal films by logistic regression, cross-validated by patient.

    Only normal films enter, so that the probe cannot answer by telling the classes apart. A high accuracy says that
    sites look different to the detector; it becomes a fault only where site and class go together.

    Parameters
    ----------
    tables : list of DataFrame
        Cohort tables (image_id, patient_id, site, label).
    features : list of ndarray
        Rows in the order of the tables.

    Returns
    -------
    dict
        `sites`, `films`, `balanced_accuracy` (mean of the sites' recalls; chance is 1 / sites), `chance`; or
        `not_estimable` with the reason.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import balanced_accuracy_score
    from sklearn.model_selection import GroupKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    table, values = pd.concat(tables, ignore_index=True), np.concatenate(features)
    normal = (table["label"] == 0).to_numpy()
    counts = table.loc[normal, "site"].value_counts()
    sites = sorted(counts[counts >= FEWEST].index)
    if len(sites) < 2:
        return {"sites": sites, "not_estimable": f"fewer than two sites hold {FEWEST} normal films"}
    keep = normal & table["site"].isin(sites).to_numpy()
    patients = table.loc[keep, "patient_id"]
    folds = min(FOLDS, patients.nunique())
    guess = cross_val_predict(
        make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=500, class_weight="balanced")),
        values[keep], table.loc[keep, "site"], groups=patients, cv=GroupKFold(folds),
    )  # fmt: skip
    accuracy = float(balanced_accuracy_score(table.loc[keep, "site"], guess))
    return {"sites": sites, "films": int(keep.sum()), "balanced_accuracy": accuracy, "chance": 1 / len(sites)}
