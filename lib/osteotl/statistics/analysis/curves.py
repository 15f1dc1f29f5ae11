"""Tables of curves and films, which figures and pages draw; every one is also a CSV for the reader."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from osteotl.statistics.analysis.inputs import Cohort, Inputs, Run
from osteotl.statistics.analysis.points import Point
from osteotl.statistics.precision_recall import precision_recall_curve
from osteotl.statistics.roc import roc_curve

MOST_POINTS = 2_000  # of a drawn curve: more cannot be seen, and a million films must still make a small page


def thin(size: int) -> NDArray[np.int64]:
    """Indices of at most MOST_POINTS evenly spread points, both ends among them."""
    if size <= MOST_POINTS:
        return np.arange(size)
    return np.unique(np.linspace(0, size - 1, MOST_POINTS).round().astype(int))


def _stack(cohort: Cohort, columns: Callable[[Run], dict[str, NDArray]]) -> pd.DataFrame:
    parts = []
    for run in cohort.score:
        made = columns(run)
        kept = thin(len(next(iter(made.values()))))
        frame = pd.DataFrame({name: values[kept] for name, values in made.items()})
        parts.append(frame.assign(arm=run[0], seed=run[1])[["arm", "seed", *made]])
    return pd.concat(parts, ignore_index=True)


def roc_table(cohort: Cohort) -> pd.DataFrame:
    """arm, seed, threshold (the first one is infinite: empty), fpr, tpr."""

    def columns(run: Run) -> dict[str, NDArray]:
        curve = roc_curve(cohort.label, cohort.score[run])
        threshold = np.where(np.isfinite(curve.thresholds), curve.thresholds, np.nan)
        return {"threshold": threshold, "fpr": curve.false_positive_rate, "tpr": curve.sensitivity}

    return _stack(cohort, columns)


def precision_recall_table(cohort: Cohort) -> pd.DataFrame:
    """arm, seed, threshold, recall, precision."""

    def columns(run: Run) -> dict[str, NDArray]:
        curve = precision_recall_curve(cohort.label, cohort.score[run])
        return {"threshold": curve.thresholds, "recall": curve.recall, "precision": curve.precision}

    return _stack(cohort, columns)


def scores_table(cohort: Cohort, risk: dict[Run, NDArray[np.float64]] | None) -> pd.DataFrame:
    """arm, seed, image_id, label, score, risk (empty without a validation set)."""
    parts = [
        pd.DataFrame({"image_id": cohort.films, "label": cohort.label.astype(int), "score": score})
        .assign(arm=run[0], seed=run[1], risk=np.nan if risk is None else risk[run])
        .loc[:, ["arm", "seed", "image_id", "label", "score", "risk"]]
        for run, score in cohort.score.items()
    ]  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def discordant_table(cohort: Cohort, points: list[Point], reference: str, arms: list[str]) -> pd.DataFrame:
    """Films that the arm and the reference call differently within a seed, with both calls."""
    parts = []
    for point in points:
        for arm, seed in cohort.score:
            if arm == reference or arm not in arms:
                continue
            called = [cohort.score[one, seed] >= point.threshold[one, seed] for one in (arm, reference)]
            films = called[0] != called[1]
            frame = {"image_id": cohort.films[films], "label": cohort.label[films].astype(int)}
            calls = {"arm_calls": called[0][films].astype(int), "reference_calls": called[1][films].astype(int)}
            parts.append(pd.DataFrame({"arm": arm, "seed": seed, "point": point.key, **frame, **calls}))
    columns = ["arm", "seed", "point", "image_id", "label", "arm_calls", "reference_calls"]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)


FACTS = ("patient_id", "subtype", "site", "view", "age", "sex")


def film_facts(inputs: Inputs, films: NDArray) -> pd.DataFrame:
    """What is known of each film, one row a film in the given order; lesion size in mm where the spacing is known."""
    if inputs.films is None:
        return pd.DataFrame(index=pd.Index(films, name="image_id"))
    facts = inputs.films.drop_duplicates("image_id").set_index("image_id")
    facts = facts.reindex(films)[[column for column in (*FACTS, "width", "height", "spacing_mm") if column in facts]]
    if inputs.boxes is not None and len(inputs.boxes):
        side = (inputs.boxes[["x_max", "y_max"]].to_numpy() - inputs.boxes[["x_min", "y_min"]].to_numpy()).max(axis=1)
        largest = pd.Series(side, inputs.boxes["image_id"]).groupby(level=0).max().reindex(films)
        facts["size_pixels"] = largest
        facts["size_percent"] = 100 * largest / facts[["width", "height"]].max(axis=1)
        facts["size_mm"] = largest * pd.to_numeric(facts["spacing_mm"], errors="coerce")
    return facts.drop(columns=["width", "height", "spacing_mm"], errors="ignore")


def wrong_calls(
    inputs: Inputs, cohort: Cohort, point: Point, risk: dict[Run, NDArray[np.float64]] | None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Every missed malignant film and every false alarm of every run at one point, worst first."""
    facts = film_facts(inputs, cohort.films).reset_index()
    tables: tuple[list[pd.DataFrame], list[pd.DataFrame]] = ([], [])
    for run, score in cohort.score.items():
        called = score >= point.threshold[run]
        head = {"arm": run[0], "seed": run[1], "point": point.key, "score": score}
        frame = facts.assign(**head, risk=np.nan if risk is None else risk[run])
        tables[0].append(frame[cohort.label & ~called].sort_values(["score", "image_id"]))
        alarms = frame[~cohort.label & called].sort_values(["score", "image_id"], ascending=[False, True])
        tables[1].append(alarms.assign(kind=_kind(alarms)))
    first = ["arm", "seed", "point", "image_id"]
    missed, alarms = (pd.concat(parts, ignore_index=True) for parts in tables)
    alarms = alarms.drop(columns=[c for c in alarms if c.startswith("size_")])
    return tuple(t[[*first, *(c for c in t if c not in first)]] for t in (missed, alarms))


def _kind(films: pd.DataFrame) -> pd.Series:
    """What a false alarm was called on: the finding that the reference standard names, or none."""
    if "subtype" not in films:
        return pd.Series("not recorded", films.index)
    return films["subtype"].fillna("").replace("", "no finding recorded")


def age_strata(age: pd.Series) -> pd.Series:
    """< 10, 10-19, 20-39, >= 40 years; missing stays missing."""
    edges = [-np.inf, 10, 20, 40, np.inf]
    names = ["< 10", *(f"{a:g}-{b - 1:g}" for a, b in pairwise(edges[1:-1])), ">= 40"]
    return pd.cut(pd.to_numeric(age, errors="coerce"), edges, right=False, labels=names).astype("object")


def groups(inputs: Inputs, cohort: Cohort) -> Iterator[tuple[str, str, NDArray[np.bool_]]]:
    """Subgroups of the films: group, level, which films."""
    facts = film_facts(inputs, cohort.films)
    columns = {"age": age_strata(facts["age"])} if "age" in facts else {}
    columns |= {name: facts[name].astype("object") for name in ("sex", "view", "site") if name in facts}
    for group, values in columns.items():
        levels = [level for level in dict.fromkeys(values.dropna()) if level != ""]
        for level in sorted(levels, key=lambda one: ("< 10", "10-19", "20-39", ">= 40", one).index(one)):
            if len(levels) > 1:
                yield group, str(level), (values == level).to_numpy()
