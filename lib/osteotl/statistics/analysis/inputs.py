"""What an analysis starts from: settings, scores with films aligned between arms, boxes, facts about the films."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from osteotl.statistics.checks import check_labels, check_patients, check_scores
from osteotl.statistics.matching import Rule

Run = tuple[str, int]  # arm, seed
RUN = ["arm", "fraction", "seed"]


@dataclass(frozen=True)
class Settings:
    """The settings of an analysis; `of` takes them from a checked study.

    Attributes
    ----------
    arms : dict of str to dict
        Name to label and initialisation, in the order of the study.
    rules : dict of str to (rule, target)
        Operating points asked for: name of the point to its rule and target.
    The others are as in study.yaml.
    """

    title: str
    reference: str
    arms: dict[str, dict[str, str]]
    rules: dict[str, tuple[str, float | None]]
    confidence: float = 0.95
    bootstrap: int = 10_000
    bootstrap_seed: int = 0
    sampling: str = "by_class"
    bca: bool = False
    auc_margin: float = 0.03
    auc_margin_reason: str = ""
    thresholds_from: tuple[str, ...] = ("validation", "external")
    prevalences: tuple[float, ...] = (0.36, 0.10, 0.01, 0.001)
    decision_range: tuple[float, float] = (0.01, 0.20)
    family: tuple[str, ...] = ()
    hit_rule: Rule = "iou30"
    fraction_training: str = "equal_steps"

    @classmethod
    def of(cls, study: Any, arms: list[str] | None = None) -> Settings:
        """Settings of a study; `arms` are the file's where the study brings scores of its own, and then no others."""
        given = study.statistics
        known = {name: {"label": arm.label or name, "initialise": _start(arm)} for name, arm in study.arms.items()}
        unknown = {name: {"label": name, "initialise": "not stated"} for name in arms or []}
        named = {name: known.get(name, unknown.get(name, {})) for name in arms or known}
        asked = given.operating_points
        same = {
            name: getattr(given, name)
            for name in (
                "confidence",
                "bootstrap",
                "bootstrap_seed",
                "sampling",
                "auc_margin",
                "auc_margin_reason",
                "hit_rule",
            )
        }
        return cls(
            title=study.title,
            reference=study.reference or next(iter(named)),
            arms=named,
            rules={name: (name, None if name == "youden" else getattr(asked, name)) for name in asked.names},
            thresholds_from=tuple(dict.fromkeys(given.thresholds_from)),
            prevalences=tuple(given.prevalences),
            decision_range=tuple(given.decision_range),
            family=tuple(given.declared_family),
            bca=given.bca,
            fraction_training="not stated" if arms else study.detector.fraction_training,
            **same,
        )  # fmt: skip


def _start(arm: Any) -> str:
    """How an arm starts, without the folder of a weights file (paths never reach an output)."""
    return Path(arm.initialise).name if arm.from_file else arm.initialise


@dataclass(frozen=True)
class Cohort:
    """One cohort scored by every run at one label fraction, films in one order for all.

    Attributes
    ----------
    films, patients : array of shape (n,)
    label : boolean array of shape (n,)
    score : dict of (arm, seed) to array of shape (n,)
    logit : dict of (arm, seed) to array of shape (n,)
        The linear predictor that recalibration works on: the logit where scores lie in (0, 1), else the score itself.
    """

    films: NDArray[Any]
    patients: NDArray[Any]
    label: NDArray[np.bool_]
    score: dict[Run, NDArray[np.float64]]
    logit: dict[Run, NDArray[np.float64]]

    @cached_property
    def codes(self) -> NDArray[np.int64]:
        """Patient of each film as a number."""
        return check_patients(self.patients, self.films.size)

    @cached_property
    def units(self) -> int:
        """Number of patients."""
        return int(self.codes.max()) + 1

    @property
    def clustered(self) -> bool:
        """Whether some patient has several films."""
        return self.units < self.films.size

    @property
    def clusters(self) -> NDArray[np.int64] | None:
        """Patients (as numbers) where they repeat, else None."""
        return self.codes if self.clustered else None

    @property
    def one_class(self) -> bool:
        """Whether nothing can be learnt from these films: all malignant, or none."""
        return bool(self.label.all() or not self.label.any())

    @property
    def probabilities(self) -> bool:
        """Whether every score lies in [0, 1]."""
        return all(bool(((s >= 0) & (s <= 1)).all()) for s in self.score.values())

    def summary(self) -> dict[str, Any]:
        """Counts for `cohorts` of statistics.json."""
        per_patient = np.bincount(self.codes)
        return {
            "films": self.films.size,
            "patients": self.units,
            "malignant": int(self.label.sum()),
            "normal": int((~self.label).sum()),
            "prevalence": float(self.label.mean()),
            "malignant_patients": np.unique(self.codes[self.label]).size,
            "max_films_per_patient": int(per_patient.max()),
        }


def align(predictions: pd.DataFrame, cohort: str, fraction: float, runs: list[Run]) -> Cohort | None:
    """Films of one cohort in one order for every run.

    Parameters
    ----------
    predictions : DataFrame
        image_id, patient_id, cohort, label, arm, fraction, seed, score and, where known, logit.
    cohort : {"validation", "external"}
    fraction : float
    runs : list of (arm, seed)

    Returns
    -------
    Cohort or None
        None where the file holds no film of that cohort.

    Raises
    ------
    ValueError
        A run lacks films that another has, scores one twice, or sees another label: nothing is dropped to fit.
    """
    rows = predictions[(predictions["cohort"] == cohort) & (predictions["fraction"] == fraction)]
    if rows.empty:
        return None
    first = rows[(rows["arm"] == runs[0][0]) & (rows["seed"] == runs[0][1])]
    index = pd.Index(first["image_id"]).sort_values()
    by_run = dict(tuple(rows.groupby(["arm", "seed"], sort=False)))
    score, logit = {}, {}
    for run in runs:
        aligned = _in_order(index, by_run.get(run), run, cohort)
        score[run] = check_scores(aligned["score"].to_numpy(), index.size, f"scores of {run[0]}, seed {run[1]}")
        logit[run] = _linear(aligned)
        if run == runs[0]:
            facts = aligned
        elif (aligned["label"].to_numpy() != facts["label"].to_numpy()).any():
            wrong = index[aligned["label"].to_numpy() != facts["label"].to_numpy()][0]
            raise ValueError(
                f"film {wrong}: {run[0]}, seed {run[1]} has another label than {runs[0][0]}; mend the table"
            )
    label = check_labels(facts["label"].to_numpy(), both_classes=cohort != "validation")
    return Cohort(index.to_numpy(), facts["patient_id"].to_numpy(), label, score, logit)


def _in_order(index: pd.Index, part: pd.DataFrame | None, run: Run, cohort: str) -> pd.DataFrame:
    """The rows of a run in the order of `index`, which must hold just its films."""
    who = f"{run[0]}, seed {run[1]}"
    if part is None:
        raise ValueError(f"{who} scored no {cohort} film; every run must score the same films")
    films = pd.Index(part["image_id"])
    if films.has_duplicates:
        raise ValueError(f"{who} scored film {films[films.duplicated()][0]} twice; keep one row")
    places = films.get_indexer(index)
    if len(films) != len(index) or (places < 0).any():
        different = sorted(set(index) ^ set(films))
        raise ValueError(
            f"{who}: {len(different)} {cohort} films are not those of the first run (such as {different[0]})"
        )
    return part.iloc[places]


def _linear(part: pd.DataFrame) -> NDArray[np.float64]:
    """The logit where one is given that rises with the score, else the logit of the score, else the score."""
    score = part["score"].to_numpy(np.float64)
    if "logit" in part and part["logit"].notna().all():
        # Scores of 32 bits tie where their logits do not: such films share the mean logit, so that risks keep order.
        place = np.unique(score, return_inverse=True)[1]
        rising = np.bincount(place, part["logit"].to_numpy(np.float64)) / np.bincount(place)
        if np.isfinite(rising).all() and (np.diff(rising) > 0).all():
            return rising[place]
    if ((score > 0) & (score < 1)).all():
        return np.log(score) - np.log1p(-score)
    return score


@dataclass(frozen=True)
class Inputs:
    """Everything that an analysis may use; only `settings` and `predictions` are needed.

    Attributes
    ----------
    predictions : DataFrame
    detections, boxes : DataFrame, optional
        Predicted boxes (image_id, arm, fraction, seed, corners, score); reference boxes (image_id, corners).
    films : DataFrame, optional
        What is known of each film: age, sex, view, site, subtype, width, height, spacing_mm.
    audit_scores : DataFrame, optional
        image_id, arm, fraction, seed, audit, score; rows with audit == "baseline" have no arm.
    audit, plan : dict, optional
        audit.json and analysis_plan.json.
    unscored : dict of cohort to count
    remarks : list of str
        What the reader of the scores must be told.
    extra : DataFrame, optional
        predictions_extra.csv: external films scored by checkpoints and by runs at equal epochs. The columns of
        predictions, training (equal_steps or equal_epochs), step and last_step.
    """

    settings: Settings
    predictions: pd.DataFrame
    detections: pd.DataFrame | None = None
    boxes: pd.DataFrame | None = None
    films: pd.DataFrame | None = None
    audit_scores: pd.DataFrame | None = None
    audit: dict[str, Any] | None = None
    plan: dict[str, Any] | None = None
    unscored: Mapping[str, int] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)
    extra: pd.DataFrame | None = None
    _aligned: dict[tuple[str, float], Cohort | None] = field(default_factory=dict, repr=False, compare=False)

    @cached_property
    def seeds(self) -> list[int]:
        """Seeds in the order of the file; the first is the one that tables and gallery open on."""
        return [int(seed) for seed in dict.fromkeys(self.predictions["seed"])]

    @cached_property
    def fractions(self) -> list[float]:
        """Label fractions, rising."""
        return sorted({float(fraction) for fraction in self.predictions["fraction"]})

    @property
    def runs(self) -> list[Run]:
        """Every (arm, seed)."""
        return [(arm, seed) for arm in self.settings.arms for seed in self.seeds]

    def cohort(self, name: str, fraction: float | None = None) -> Cohort | None:
        """One cohort, aligned, at the given label fraction (default: all labels)."""
        key = (name, self.fractions[-1] if fraction is None else fraction)
        if key not in self._aligned:
            self._aligned[key] = align(self.predictions, *key, self.runs)
        return self._aligned[key]


def _selected(table: pd.DataFrame, study: Any) -> pd.DataFrame:
    """The rows of the study's own arms, fractions and seeds: a copied study may name fewer than were scored."""
    named = {"arm": list(study.arms), "fraction": study.fractions, "seed": study.seeds}
    return table[table[RUN].isin(named).all(axis=1)].reset_index(drop=True)


def read_study(study: Any, read: Callable[[str], Path]) -> Inputs:
    """Read what a study with films has written.

    Parameters
    ----------
    study : Study
    read : callable
        Maps a file's name below the outputs folder to its path.

    Raises
    ------
    ValueError
        A training run that the study names was not scored.
    """
    tables = [pd.read_csv(read(f"cohorts/{name}.csv"), dtype={"image_id": str, "patient_id": str})
              for name in ("development", "external")]  # fmt: skip
    films = pd.concat(tables, ignore_index=True)
    predictions = _selected(pd.read_csv(read("predictions.csv"), dtype={"image_id": str, "patient_id": str}), study)
    if lacking := set(study.replicates()) - set(predictions[RUN].itertuples(index=False, name=None)):
        arm, fraction, seed = min(lacking)
        raise ValueError(
            f"predictions.csv holds no scores of {arm}, fraction {fraction:g}, seed {seed}, which the study names: "
            "run 02_finetune and 03_evaluate for it first"
        )
    extra = read("predictions_extra.csv") if study.scores_extras else None
    scored = set(predictions["image_id"])
    evaluated = films[films["partition"].isin(["validation", "test"])]
    missing = evaluated[~evaluated["image_id"].isin(scored)]["partition"].value_counts()
    return Inputs(
        Settings.of(study),
        predictions,
        _selected(pd.read_csv(read("detections.csv"), dtype={"image_id": str}), study),
        pd.read_csv(read("cohorts/boxes.csv"), dtype={"image_id": str}),
        evaluated,
        pd.read_csv(read("audit.csv"), dtype={"image_id": str}),
        json.loads(read("audit.json").read_text(encoding="utf-8")),
        json.loads(read("analysis_plan.json").read_text(encoding="utf-8")),
        {"external": int(missing.get("test", 0)), "validation": int(missing.get("validation", 0))},
        extra=None if extra is None else pd.read_csv(extra, dtype={"image_id": str, "patient_id": str}),
    )
