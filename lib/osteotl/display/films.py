"""Tables of films and patients: Table 1, and films that a model missed or called."""

from __future__ import annotations

import re
from typing import Any

import pandas as pd

from osteotl.display.numbers import LEVELS, Labels, fixed, mark, sentence_case
from osteotl.display.tables import Table
from osteotl.html import Child, join, tag

FACTS = {"subtype": "Subtype", "age": "Age", "sex": "Sex", "view": "View", "site": "Site", "size_mm": "Size, mm"}

MOST_FILMS = 400  # rows of a table: more are not read, and would make a page that no browser prints


def film_table(films: pd.DataFrame, caption: Child, labels: Labels, counted_as: str = "called") -> Table:
    """Films as rows: what is known of them, and in how many runs each model calls or misses them.

    Parameters
    ----------
    films : DataFrame
        One row a film and model: image_id, arm, runs, called, mean_score, and facts of the film.
    caption : text
    labels : mapping
    counted_as : {"called", "missed"}
        What is counted over the runs.

    Returns
    -------
    Table
        Each film leads to its picture, where the page has one. Of very many the first are shown; the caption says so.
    """
    names = films["image_id"].unique()
    if len(names) > MOST_FILMS:
        films = films[films["image_id"].isin(names[:MOST_FILMS])]
        caption = join([caption, f" (the first {MOST_FILMS}; tables/films.csv holds all)"])
    facts = [name for name in FACTS if name in films and films[name].fillna("").astype(str).ne("").any()]
    arms = [arm for arm in labels if arm in set(films["arm"])]
    heads: list[Child] = ["Film", *(FACTS[name] for name in facts)]
    for arm in arms:
        heads += [join([mark(arm, labels), f", {counted_as} by"]), "#Mean score"]
    by_arm = {arm: films[films["arm"] == arm].set_index("image_id") for arm in arms}
    rows = []
    for image_id, part in films.groupby("image_id", sort=False):
        first = part.iloc[0]
        cells: list[Child] = [tag("a", str(image_id), href=f"#film-{image_id}")]
        cells += [_fact(first[name]) for name in facts]
        for arm in arms:
            if image_id not in by_arm[arm].index:
                cells += ["", ""]
                continue
            row = by_arm[arm].loc[image_id]
            count = row["called"] if counted_as == "called" else row["runs"] - row["called"]
            cells += [f"{count:.0f} of {row['runs']:.0f}", fixed(row["mean_score"], 3)]
        rows.append(cells)
    return Table(caption, heads, rows)


def _fact(content: Any) -> str:
    if content is None or content != content:
        return ""
    return f"{content:g}" if isinstance(content, float) else str(LEVELS.get(str(content), content))


COHORTS = {"pretrain": "pretraining", "other_modality": "other modality"}


def characteristics(films: pd.DataFrame, unit: str = "film") -> Table:
    """Table 1: who was studied, by cohort, partition and class.

    Parameters
    ----------
    films : DataFrame
        Cohort tables below each other: cohort, partition, label, patient_id; age, sex, view, site, subtype as known.
    unit : {"film", "patient"}
        Rows that are counted. A patient with a malignant film counts as malignant, with the age of the first film.

    Returns
    -------
    Table
        Characteristics as rows, groups as columns.
    """
    if unit == "patient":
        malignant = films.sort_values("label", ascending=False, kind="stable")
        films = malignant.drop_duplicates(["cohort", "partition", "patient_id"]).sort_index()
    groups = sorted(films.groupby(["cohort", "partition", "label"], sort=False), key=lambda entry: _order(*entry[0]))
    heads = ["Characteristic", *(f"#{_group_name(*key)}" for key, _ in groups)]
    facts = [_facts(part, unit) for _, part in groups]
    names = sorted(dict.fromkeys(name for entry in facts for name in entry), key=lambda name: _KINDS.index(_kind(name)))
    rows = [[name, *(entry.get(name, "") for entry in facts)] for name in names]
    return Table(f"Table 1. Characteristics by {unit}", heads, rows, class_="wide")


_KINDS = ("Films", "Patients", "Age", "Sex", "View", "Site", "Subtype")
_PARTITIONS = ("training", "validation", "test")


def _kind(name: str) -> str:
    """`Site: A` is a row on sites."""
    return re.split(r"[:, ]", name)[0]


def _order(cohort: str, partition: str, label: int) -> tuple[int, int, int]:
    """Cohorts and partitions in the order of their use, malignant films first."""
    cohorts = ("pretrain", "other_modality", "development", "external")
    return (
        cohorts.index(cohort) if cohort in cohorts else len(cohorts),
        _PARTITIONS.index(partition) if partition in _PARTITIONS else len(_PARTITIONS),
        -int(label),
    )


def _group_name(cohort: str, partition: str, label: int) -> str:
    name = COHORTS.get(cohort, cohort) if partition in ("test", "") or cohort in COHORTS else f"{cohort}, {partition}"
    return f"{sentence_case(name)}: {'malignant' if label else 'not malignant'}"


def _facts(part: pd.DataFrame, unit: str) -> dict[str, str]:
    total = len(part)
    facts = {f"{sentence_case(unit)}s": f"{total:,}"}
    if unit == "film":
        facts["Patients"] = f"{part['patient_id'].nunique():,}"
    if "age" in part and part["age"].notna().any():
        low, middle, high = part["age"].dropna().quantile([0.25, 0.5, 0.75])
        facts["Age, years: median (quartiles)"] = f"{middle:.0f} ({low:.0f} to {high:.0f})"
        if part["age"].isna().any():
            facts["Age not known"] = f"{int(part['age'].isna().sum()):,}"
    columns = ("sex", "view", "site", "subtype") if unit == "film" else ("sex", "site", "subtype")
    for column in columns:
        if column not in part or not part[column].notna().any():
            continue
        for level, count in part[column].fillna("not known").astype(str).value_counts().sort_index().items():
            facts[f"{sentence_case(column)}: {LEVELS.get(level, level)}"] = f"{count:,} ({100 * count / total:.0f} %)"
    return facts
