"""Small simulated studies as the long table that `scores_of` reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit

ARMS = {"scratch": (0, 1, 2), "transfer": (0, 1, 2)}


def predictions(
    arms: Mapping[str, Iterable[Any]] = ARMS,
    external: tuple[int, int] = (30, 45),
    validation: tuple[int, int] = (24, 30),
    most_films: int = 1,
    gain: float = 0.3,
    decimals: int | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """One row a film and run.

    Parameters
    ----------
    arms : mapping of arm to its runs
        Each further arm is better by `gain`.
    external, validation : (malignant, normal) patients
    most_films : int
        A patient has 1 to `most_films` films; of a malignant patient's films after the first, every other one is
        normal.
    decimals : int, optional
        Rounding of the scores, for ties.
    """
    rng, rows = np.random.default_rng(seed), []
    for cohort, sizes in (("validation", validation), ("external", external)):
        for patient in range(sum(sizes)):
            shared = rng.normal()
            for film in range(int(rng.integers(1, most_films + 1))):
                label = int(patient < sizes[0] and film % 2 == 0)
                name = f"{cohort[0]}{patient:03d}"
                rows.append((f"{name}-{film}", name, cohort, label, shared + rng.normal()))
    films = pd.DataFrame(rows, columns=["image_id", "patient_id", "cohort", "label", "base"])
    parts = []
    for place, (arm, runs) in enumerate(arms.items()):
        for run in runs:
            shift = 0.5 + gain * place + 0.15 * rng.normal()
            score = expit(0.8 * films["base"] + shift * (2 * films["label"] - 1) + 0.5 * rng.normal(size=len(films)))
            score = score if decimals is None else score.round(decimals)
            parts.append(films.drop(columns="base").assign(arm=arm, seed=run, score=score))
    return pd.concat(parts, ignore_index=True)
