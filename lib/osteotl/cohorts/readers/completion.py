"""From a reader's builder to a cohort: patients, sites, `where`, and films whose status nobody annotated."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from diagnostic_accuracy.expressions import evaluate
from osteotl.cohorts.faults import plural, shown
from osteotl.cohorts.readers.builder import CohortBuilder, RawCohort, Step
from osteotl.cohorts.readers.columns import (
    MOST_CLASSES,
    ages,
    canonical,
    classes_drawn,
    column_missing,
    columns_of,
    known,
    label_faults,
    queryable,
    sexes,
)
from osteotl.cohorts.readers.files import read_table, unused_columns
from osteotl.cohorts.readers.marks import mark_faults
from osteotl.cohorts.readers.patients import films_meant, patient_faults, with_patients
from osteotl.cohorts.readers.splits import split_faults, with_split

#: columns of the reader's own, which `where` does not ask for
NOT_ASKED = ("root", "path", "listed_as", "annotated_width", "annotated_height", "annotated_as")


def complete(builder: CohortBuilder) -> RawCohort:
    """Complete a builder.

    Returns
    -------
    RawCohort
        Films that exist, are annotated and pass `where`; everything left out stands in `flow`.
    """
    films, boxes = builder.frames()
    seen = tuple(builder.name_of(path) for path in builder.index.paths)
    if films.empty:
        builder.fault(
            "cohort_empty", "", f"no film was read by reader {builder.spec.reader}", "check `root` and the faults above"
        )
        return RawCohort(films, boxes, builder.faults, [Step("read", 0, 0, "")], tuple(builder.opened), seen)
    films = _unique(builder, films)
    if builder.spec.table and builder.spec.reader in ("coco", "yolo", "voc", "labelme"):
        films = _with_table(builder, films)
    films = with_split(builder, with_patients(builder, films))
    films = films.assign(
        site=(sites := known(films["site"])).where(sites.notna(), builder.spec.site),
        label=pd.to_numeric(films["label"])
        .astype(float)
        .fillna(float("nan") if builder.spec.label is None else builder.spec.label),
        age=ages(builder, films["age"]),
        sex=sexes(builder, films["sex"]),
        view=known(films["view"]),
        subtype=known(films["subtype"]),
    )
    films, flow = _left_out(builder, films)
    patient_faults(builder, films)
    films = split_faults(builder, films)
    label_faults(builder)
    _class_faults(builder)
    mark_faults(builder, films["image_id"])
    if films.empty:
        builder.fault("cohort_empty", "", "no film is left", "check `where`, and that films are annotated")
    boxes = boxes[boxes["image_id"].isin(films["image_id"])].reset_index(drop=True)
    return RawCohort(films.reset_index(drop=True), boxes, builder.faults, flow, tuple(builder.opened), seen)


def _unique(builder: CohortBuilder, films: pd.DataFrame) -> pd.DataFrame:
    again = films["image_id"].duplicated(keep=False)
    for name, rows in films[again].groupby("image_id", sort=True):
        remedy = "keep one row per film; where two annotation files name it, set `annotations` to one of them"
        builder.fault("duplicate_id", str(name), f"stands {len(rows)} times", remedy)
    repeated = films["path"].duplicated(keep=False) & films["path"].notna() & ~again
    for path, rows in films[repeated].groupby("path", sort=True):
        names = ", ".join(map(str, rows["image_id"]))
        builder.fault("duplicate_id", Path(str(path)), f"is the film of several rows: {names}", "keep one row per film")
    return films[~films["image_id"].duplicated() & ~(films["path"].duplicated() & films["path"].notna())]


def _with_table(builder: CohortBuilder, films: pd.DataFrame) -> pd.DataFrame:
    """Join the study's own table (one row per film, by path, file name or stem) to films of an annotation layout."""
    path = builder.root / str(builder.spec.table)
    table = read_table(builder, path)
    if table is None:
        return films
    wanted = ("path", "image_id", "patient_id", "site", "view", "age", "sex", "subtype", "split")
    own = columns_of(table, wanted)
    key = next((name for name in ("path", "image_id") if name in own), None)
    if key is None:
        column_missing(builder, path, table, ["path"])
        return films
    unused_columns(builder, path, table, (*own.values(), "partition"))
    table = canonical(table, wanted)
    table = table.assign(_film=films_meant(builder, films, path, table[key])).dropna(subset="_film")
    if (twice := table["_film"].duplicated()).any():
        builder.fault("duplicate_id", path, f"names {table.loc[twice, key].iloc[0]!r} twice", "keep one row per film")
    table = (
        table[~twice].drop(columns=[name for name in ("path", "image_id", "label") if name in table]).set_index("_film")
    )
    names = films["image_id"]
    for name in sorted(names[~names.isin(table.index)]):
        builder.fault("film_unlisted", name, f"is not in {builder.spec.table}: its columns are missing", "add a row")
    for column in table.columns:
        values = names.map(table[column]).replace("", None)
        old = films.get(column)
        films = films.assign(**{column: values if old is None else old.where(old.notna(), values)})
    return films


# --- which films stay -------------------------------------------------------------------------------------------------


def _left_out(builder: CohortBuilder, films: pd.DataFrame) -> tuple[pd.DataFrame, list[Step]]:
    flow = [Step("read", len(films), films["patient_id"].nunique(), "")]

    def leave(films: pd.DataFrame, gone: pd.Series, reason: str) -> pd.DataFrame:
        if gone.any():
            flow.append(Step("left out", int(gone.sum()), films.loc[gone, "patient_id"].nunique(), reason))
        return films[~gone]

    films = leave(films, films["path"].isna(), "film not found")
    if builder.spec.where is not None:
        try:
            films = leave(films, ~keep(films, builder.spec.where), f"not within where: {builder.spec.where}")
        except ValueError as error:
            builder.fault(
                "where_invalid", "", str(error), "compare columns with values, as in `center == 1 and tumor == 0`"
            )
    unknown = films["label"].isna()
    if unknown.any():
        names = ", ".join(shown(Path(str(p)), builder.root) for p in films.loc[unknown, "path"].head(3))
        builder.fault(
            "not_annotated",
            "",
            f"{plural(int(unknown.sum()), 'film')} left out, whose status is not annotated (such as {names})",
            "map their labels, which are listed as unknown"
            if builder.unknown_labels
            else "annotate them, or give the cohort a `label` if every film has the same status",
        )
    return leave(films, unknown, "status not annotated").astype({"label": int}), flow


def keep(films: pd.DataFrame, where: str) -> pd.Series:
    """Which films the condition `where` keeps (diagnostic_accuracy.expressions says what may stand in it).

    Raises
    ------
    ValueError
        The condition cannot be answered; the message says why and names the columns.
    """
    visible = films.drop(columns=list(NOT_ASKED), errors="ignore")
    try:
        return pd.Series(evaluate(where, queryable(visible)), index=films.index)
    except ValueError as error:
        columns = ", ".join(sorted(map(str, visible.columns)))
        raise ValueError(f"where {where!r}: {error}; the columns are {columns}") from error


def _class_faults(builder: CohortBuilder) -> None:
    if builder.ignored_classes:
        listed = ", ".join(f"{name!r} ({count:,})" for name, count in sorted(builder.ignored_classes.items()))
        builder.fault(
            "class_unmapped",
            "",
            f"boxes of classes that `classes` does not name were left out: {listed}",
            "name them in `classes`, with null to leave them out without this warning"
            if builder.spec.classes
            else "nothing, if they mark no lesion; else give that class another name",
        )
    if len(builder.drawn_classes) > 1:
        listed = ", ".join(f"{name!r} ({count:,})" for name, count in sorted(builder.drawn_classes.items()))
        remedy = "to leave some out, add to the cohort: classes: {%s}, with null in place of lesion for these"
        if len(builder.drawn_classes) > MOST_CLASSES:  # a class that is not named is left out
            remedy = "to leave some out, name all that count in the cohort: classes: {%s}"
        builder.fault(
            "classes_joined", "", f"boxes of every class count as lesions: {listed}", remedy % classes_drawn(builder)
        )
    unused = [name for name in builder.spec.classes if name not in builder.used_classes]
    if unused and builder.spec.reader != "btxrd":
        builder.fault(
            "class_absent", "", f"no annotation uses the class {', '.join(map(repr, unused))}", "check its spelling"
        )
