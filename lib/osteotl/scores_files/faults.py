"""Every fault of a scores table at once, and what is filled in where a column is absent.

The table here is long, one row per film, arm, fraction and seed, with the row of the user's file in `row`.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from osteotl.scores_files.columns import row_list

COHORTS = {
    "validation": "validation", "valid": "validation", "val": "validation", "tuning": "validation",
    "external": "external", "test": "external", "testing": "external", "external testing": "external",
}  # fmt: skip
LABELS = {
    "1": 1, "1.0": 1, "true": 1, "malignant": 1, "positive": 1, "pos": 1, "yes": 1, "tumor": 1, "tumour": 1,
    "0": 0, "0.0": 0, "false": 0, "normal": 0, "negative": 0, "neg": 0, "no": 0, "benign": 0, "healthy": 0,
}  # fmt: skip
CELL = ["arm", "fraction", "seed"]


def read_labels(column: pd.Series, rows: np.ndarray) -> tuple[np.ndarray, list[str], list[str]]:
    """Labels as 0, 1 (-1: not readable), faults and remarks."""
    text = column.astype(str).str.strip().str.lower()
    values = text.map(LABELS).fillna(-1).to_numpy(int)
    words = sorted(set(text[values >= 0]) - {"0", "1", "0.0", "1.0"})
    remarks = [f"label {word!r} is read as {LABELS[word]}" for word in words]
    bad = values < 0
    if not bad.any():
        return values, [], remarks
    shown = str(column.iloc[int(bad.argmax())])
    return values, [f"label: {row_list(rows[bad])} neither 1 (malignant) nor 0 (not), e.g. {shown!r}"], remarks


def read_cohorts(column: pd.Series, rows: np.ndarray) -> tuple[pd.Series, list[str], list[str]]:
    """Cohorts as validation or external, faults and remarks."""
    text = column.astype(str).str.strip().str.lower()
    values = text.map(COHORTS)
    remarks = [
        f"cohort {word!r} is read as {COHORTS[word]}" for word in sorted(set(text) & set(COHORTS) - {*COHORTS.values()})
    ]
    bad = values.isna().to_numpy()
    if not bad.any():
        return values, [], remarks
    shown = str(column.iloc[int(bad.argmax())])
    return (
        values,
        [f"cohort: {row_list(rows[bad])} neither validation nor external, e.g. {shown!r} (no training films here)"],
        remarks,
    )


def find_faults(table: pd.DataFrame, reference: str | None) -> list[str]:
    """Faults between rows: films twice, arms with other films, labels that disagree, too few arms or classes."""
    faults = _missing_names(table)
    whole = table[(table["image_id"] != "") & (table["arm"] != "")]
    if whole.empty:
        return [*faults, "no row with a film and an arm is left"]
    faults += _films_twice(whole)
    for column, what in (("label", "labels"), ("patient_id", "patients"), ("cohort", "cohorts")):
        faults += _disagreements(whole, column, what)
    faults += _films_missing(whole)
    arms = list(dict.fromkeys(whole["arm"]))
    if len(arms) < 2:
        faults.append(f"one arm only ({arms[0]!r}): a comparison needs two; name the arm of each row in a column 'arm'")
    if reference is not None and reference not in arms:
        faults.append(f"reference {reference!r} is not an arm of the file; arms are {', '.join(map(repr, arms))}")
    return faults + _classes(whole)


def _missing_names(table: pd.DataFrame) -> list[str]:
    return [f"{c}: {row_list(table.loc[table[c] == '', 'row'].to_numpy())} empty"
            for c in ("image_id", "arm") if (table[c] == "").any()]  # fmt: skip


def _films_twice(table: pd.DataFrame) -> list[str]:
    repeated = table.duplicated(["image_id", *CELL], keep=False)
    if not repeated.any():
        return []
    twice = table[repeated]
    faults = []
    for key, rows in list(twice.groupby(["image_id", *CELL], sort=False)["row"])[:20]:
        faults.append(f"film {key[0]!r} stands {len(rows)} times for {_cell(key[1:])}: {row_list(rows.to_numpy())}")
    more = len(twice.drop_duplicates(["image_id", *CELL])) - 20
    return faults + ([f"... and {more:,} more films twice"] if more > 0 else [])


def _disagreements(table: pd.DataFrame, column: str, what: str) -> list[str]:
    codes = pd.factorize(table["image_id"])[0]
    values = pd.factorize(table[column])[0]
    first = np.full(codes.max() + 1, -1)
    first[codes[::-1]] = values[::-1]
    odd = first[codes] != values
    if not odd.any():
        return []
    films = list(dict.fromkeys(table.loc[odd, "image_id"]))
    faults = []
    for film in films[:20]:
        rows = table[table["image_id"] == film]
        said = [
            f"{v!r} in {row_list(r.to_numpy(), 5)}" for v, r in rows.groupby(column, sort=False, dropna=False)["row"]
        ]
        faults.append(f"{what} of film {film!r} disagree: {'; '.join(said)}")
    return faults + ([f"... and {len(films) - 20:,} more films whose {what} disagree"] if len(films) > 20 else [])


def _films_missing(table: pd.DataFrame) -> list[str]:
    """Arms (and seeds, fractions) that lack films which others scored: never an inner join."""
    films, names = pd.factorize(table["image_id"])
    cells = table.groupby(CELL, sort=False)
    faults = []
    first_row = table.drop_duplicates("image_id").set_index("image_id")["row"]
    for key, where in cells.indices.items():
        seen = np.zeros(len(names), bool)
        seen[films[where]] = True
        if not seen.all():
            lost = names[~seen]
            shown = ", ".join(f"{n!r} (row {first_row[n]})" for n in lost[:10])
            more = f", ... ({len(lost):,} in all)" if len(lost) > 10 else ""
            faults.append(f"{_cell(key)} lacks films that others scored: {shown}{more}")
    have = set(cells.indices)
    arms, rest = dict.fromkeys(table["arm"]), dict.fromkeys(zip(table["fraction"], table["seed"], strict=True))
    faults += [f"{_cell((arm, *other))} is absent, though other arms have it" for arm in arms for other in rest
               if (arm, *other) not in have]  # fmt: skip
    return faults


def _cell(key: tuple[object, ...]) -> str:
    arm, fraction, seed = key
    return f"arm {arm!r}" + (f", fraction {fraction:g}" if fraction != 1 else "") + (f", seed {seed}" if seed else "")


def _classes(table: pd.DataFrame) -> list[str]:
    faults = []
    for cohort, rows in table[table["label"] >= 0].groupby("cohort", sort=False):
        # one class of validation films: nothing is learnt from them, and the analysis says so
        if cohort != "validation" and rows["label"].nunique() < 2:
            word = "malignant" if rows["label"].iloc[0] else "normal"
            faults.append(f"every {cohort} film is {word}: a comparison needs both classes")
    if "external" not in set(table["cohort"]):
        faults.append("no external film: name the films of the test in the column cohort, or leave the column out")
    return faults


def remarks_on(table: pd.DataFrame) -> list[str]:
    """What a reader should know of a sound table."""
    remarks = []
    pairs = table[["patient_id", "cohort"]].drop_duplicates()
    both = pairs["patient_id"].duplicated()
    if both.any():
        remarks.append(
            f"{int(both.sum())} patients have films in validation AND external: thresholds are not independent"
        )
    for arm, rows in table.groupby("arm", sort=False):
        lowest = (rows["score"] == rows["score"].min()).mean()
        distinct = rows["score"].nunique()
        if distinct <= 11:
            remarks.append(f"arm {arm!r} has {distinct} distinct scores: read as an ordinal rating")
        elif lowest > 0.2:
            remarks.append(
                f"arm {arm!r}: {lowest:.0%} of scores tie at the lowest value; export boxes down to a confidence of "
                "0.001, or the ROC curve lacks its end"
            )
    return remarks
