"""Predictions made in the test, small and quick, and analyses of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from osteotl.statistics.analysis import Inputs, Settings, analyse

FAMILY = tuple(
    f"{measure}@{point}"
    for point in ("high_sensitivity", "high_specificity", "youden")
    for measure in ("sensitivity", "specificity")
)


def make_settings(arms: tuple[str, ...] = ("scratch", "transfer"), **changes: Any) -> Settings:
    """What a default study asks for, with a short bootstrap."""
    return replace(
        Settings(
            title="Simulated",
            reference=arms[0],
            arms={arm: {"label": f"detector {arm}", "initialise": "random"} for arm in arms},
            rules={
                "high_sensitivity": ("high_sensitivity", 0.9),
                "high_specificity": ("high_specificity", 0.9),
                "youden": ("youden", None),
            },
            bootstrap=120,
            auc_margin_reason="a test",
            family=FAMILY,
        ),
        **changes,
    )


def make_predictions(
    arms: tuple[str, ...] = ("scratch", "transfer"),
    seeds: tuple[int, ...] = (0, 1),
    fractions: tuple[float, ...] = (1.0,),
    films: int = 90,
    malignant: int = 36,
    validation: int = 80,
    films_per_patient: int = 1,
) -> pd.DataFrame:
    """Binormal logits: a part that all runs share (the film's difficulty), a part of each run."""
    rng, parts = np.random.default_rng(11), []
    for cohort, size, ill in (("external", films, malignant), ("validation", validation, validation * 2 // 5)):
        label = (np.arange(size) < ill).astype(int)
        shared = rng.normal(size=size)
        ids = [f"{cohort[0]}{i * 7919 % 10007:05d}" for i in range(size)]
        patients = [f"{cohort[0]}p{i // films_per_patient:04d}" for i in range(size)]
        for number, arm in enumerate(arms):
            for fraction in fractions:
                for seed in seeds:
                    logit = label * (2.0 + 0.3 * number + 0.6 * np.log10(fraction)) - 1.5 + 0.8 * shared
                    logit = logit + rng.normal(0, 0.7, size)
                    parts.append(
                        pd.DataFrame(
                            {"image_id": ids, "patient_id": patients, "cohort": cohort, "label": label, "arm": arm}
                        ).assign(fraction=fraction, seed=seed, score=1 / (1 + np.exp(-logit)), logit=logit)
                    )
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def make_extra(
    predictions: pd.DataFrame,
    gains: dict[str, float],
    step: int,
    last_step: int = 100,
    training: str = "equal_steps",
    fraction: float = 1.0,
) -> pd.DataFrame:
    """Rows of predictions_extra.csv: the external films scored with the separation (gain) given for each arm."""
    rows = predictions[(predictions["cohort"] == "external") & (predictions["fraction"] == fraction)]
    noise = np.random.default_rng(step).normal(size=len(rows))
    logit = rows["label"] * rows["arm"].map(gains) - 1 + noise
    named = {"training": training, "step": step, "last_step": last_step}
    return rows.assign(logit=logit, score=1 / (1 + np.exp(-logit)), **named)


def make_analysis(predictions: pd.DataFrame, settings: Settings | None = None, **more: Any) -> dict[str, Any]:
    """statistics.json of some predictions."""
    arms = tuple(dict.fromkeys(predictions["arm"]))
    return analyse(Inputs(settings or make_settings(arms), predictions, **more)).statistics


def numbers_of(content: Any, place: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every Number of a document with its place."""
    if isinstance(content, dict):
        if {"estimate", "method", "n"} <= set(content):
            yield place, content
        else:
            for key, value in content.items():
                yield from numbers_of(value, f"{place}/{key}")
    elif isinstance(content, list):
        for index, value in enumerate(content):
            yield from numbers_of(value, f"{place}/{index}")


@pytest.fixture(scope="session")
def predictions_of() -> Callable[..., pd.DataFrame]:
    return make_predictions


@pytest.fixture(scope="session")
def extra_of() -> Callable[..., pd.DataFrame]:
    return make_extra


@pytest.fixture(scope="session")
def settings_of() -> Callable[..., Settings]:
    return make_settings


@pytest.fixture(scope="session")
def analysed() -> Callable[..., dict[str, Any]]:
    return make_analysis


@pytest.fixture(scope="session")
def walk() -> Callable[[Any], Iterator[tuple[str, dict[str, Any]]]]:
    return numbers_of


@pytest.fixture(scope="session")
def predictions() -> pd.DataFrame:
    return make_predictions()


@pytest.fixture(scope="session")
def statistics(predictions: pd.DataFrame) -> dict[str, Any]:
    return make_analysis(predictions)
