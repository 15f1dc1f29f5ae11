"""Every fault between the rows of a scores table at once, and what a reader should know of a sound one.

The table here is long, one row per film, arm, fraction and seed, with the row of the user's file in `row`.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import numpy as np
import pandas as pd

from osteotl.files import plural
from osteotl.names import collisions, hidden_character, name_fault, not_matched
from osteotl.scores_files.columns import FACTS
from osteotl.scores_files.tables import listed, row_list

RUN = ["arm", "fraction", "seed"]
MOST_ARMS = 16
"""More do not fit on one page of 5 MB."""
MOST_RUNS = 1_000
MOST_LINES = 20
WARNING = "warning: "  # leads a remark that calls for a look


def find_faults(
    table: pd.DataFrame, reference: str | None, readers: bool = False, given: Iterable[str] = ()
) -> list[str]:
    """Faults between rows: films twice, runs with other films, labels that disagree, too few arms or classes.

    Parameters
    ----------
    table : DataFrame
    reference : str or None
        Arm that the others are compared with.
    readers : bool
        Whether the runs are human readers, who must all have read every arm.
    given : iterable of str
        Arms for which the study gives a threshold.
    """
    faults = _names(table)
    whole = table[(table["image_id"] != "") & (table["arm"] != "")]
    if whole.empty:
        return [*faults, "no row with a film and an arm is left"]
    arms = whole["arm"].unique().tolist()
    if too_many := _too_many(whole, arms):
        return [*faults, *too_many]
    faults += _films_twice(whole)
    for column, what in (("label", "labels"), ("patient_id", "patients"), ("cohort", "cohorts"),
                         *((fact, f"column {fact!r}") for fact in FACTS if fact in whole)):  # fmt: skip
        faults += _disagreements(whole, column, what)
    faults += _films_missing(whole) or _classes_as_arms(whole, arms)
    if readers:
        faults += _readers_missing(whole)
    if len(arms) < 2:
        faults.append(f"one arm only ({arms[0]!r}): a comparison needs two; name the arm of each row in a column 'arm'")
    if reference is not None and reference not in arms:
        faults.append(f"reference {reference!r} is not an arm of the file; arms are {', '.join(map(repr, arms))}")
    faults += [f"operating_points.given: {fault}" for fault in not_matched(given, arms)]
    return [*faults, *_classes(whole)]


# --- names ------------------------------------------------------------------------------------------------------------


def _names(table: pd.DataFrame) -> list[str]:
    faults = []
    for column in ("image_id", "arm", "patient_id"):
        values = table[column]
        if (values == "").any():
            faults.append(f"{column}: {row_list(table.loc[values == '', 'row'].unique())} empty")
        names = values[table["image_id"] != values] if column == "patient_id" else values
        said: dict[str, list[str]] = {}
        for name in names.unique().tolist():
            hidden = hidden_character(name)
            fault = name_fault(name) if column == "arm" else hidden and f"the character {hidden}, which is not shown"
            if fault:
                said.setdefault(fault, []).append(name)
        for fault, wrong in list(said.items())[:MOST_LINES]:
            rows = table.loc[values.isin(wrong), "row"].unique()
            faults.append(f"{column}: {row_list(rows)} {'hold' if len(rows) > 1 else 'holds'} {fault}")
    arms = [str(arm) for arm in table["arm"].unique()]
    faults += [f"arms {one!r} and {other!r} differ in case, spaces or invisible marks only; give them names that differ"
               for one, other in collisions(arms)[:MOST_LINES]]  # fmt: skip
    fractions = sorted(set(table["fraction"].dropna()))
    alike = [pair for pair in pairwise(fractions) if f"{pair[0]:g}" == f"{pair[1]:g}"]
    return faults + [f"fractions {one!r} and {other!r} are equal to six digits; write one" for one, other in alike]


def _too_many(table: pd.DataFrame, arms: list[str]) -> list[str]:
    runs = len(table.drop_duplicates(RUN))
    if len(arms) > MOST_ARMS:
        return [
            f"{len(arms):,} arms, where one page holds {MOST_ARMS}: keep those to be compared; arms are {listed(arms)}"
        ]
    if runs > MOST_RUNS:
        return [
            f"{runs:,} runs (arms, fractions, seeds), where {MOST_RUNS:,} are the most: which column names the seeds?"
        ]
    return []


# --- films ------------------------------------------------------------------------------------------------------------


def _films_twice(table: pd.DataFrame) -> list[str]:
    repeated = table.duplicated(["image_id", *RUN], keep=False)
    if not repeated.any():
        return []
    twice = table[repeated]
    faults = []
    for key, rows in list(twice.groupby(["image_id", *RUN], sort=False)["row"])[:MOST_LINES]:
        faults.append(f"film {key[0]!r} stands {len(rows)} times for {run_words(key[1:])}: {row_list(rows.to_numpy())}")
    more = len(twice.drop_duplicates(["image_id", *RUN])) - MOST_LINES
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
    for film in films[:MOST_LINES]:
        rows = table[table["image_id"] == film]
        said = [
            f"{v!r} in {row_list(r.to_numpy(), 5)}" for v, r in rows.groupby(column, sort=False, dropna=False)["row"]
        ]
        faults.append(f"{what} of film {film!r} disagree: {'; '.join(said[:5])}")
    more = len(films) - MOST_LINES
    return faults + ([f"... and {more:,} more films whose {what} disagree"] if more > 0 else [])


def _films_missing(table: pd.DataFrame) -> list[str]:
    """Runs that lack films which others scored: never an inner join. Arms may have other seeds and fractions."""
    films, names = pd.factorize(table["image_id"])
    faults = []
    first_row = table.drop_duplicates("image_id").set_index("image_id")["row"]
    for key, where in table.groupby(RUN, sort=False, dropna=False).indices.items():
        seen = np.zeros(len(names), bool)
        seen[films[where]] = True
        if not seen.all():
            lost = names[~seen]
            shown = ", ".join(f"{n!r} (row {first_row[n]})" for n in lost[:10])
            more = f", ... ({len(lost):,} in all)" if len(lost) > 10 else ""
            faults.append(f"{run_words(key)} lacks films that others scored: {shown}{more}")
    left = len(faults) - MOST_LINES
    return faults[:MOST_LINES] + ([f"... and {left:,} more runs that lack films"] if left > 0 else [])


def _classes_as_arms(table: pd.DataFrame, arms: list[str]) -> list[str]:
    """Probabilities of the classes of one model, of which each film's add up to 1, are no arms to be compared."""
    runs = table.groupby(["image_id", "fraction", "seed"], sort=False, dropna=False)["score"]
    total, number = runs.sum(), runs.size()
    alike = table["score"].nunique() <= len(arms) or (number < 2).any() or len(total) < 5
    if alike or not table["score"].between(0, 1).all() or (total - 1).abs().max() > 0.005 * len(arms):
        return []
    text = (
        f"scores of the arms {listed(arms)} add up to 1 in every film, as probabilities of the classes of one model do"
    )
    return [f"{text}; give one column a model, with the probability of malignant"]


def _readers_missing(table: pd.DataFrame) -> list[str]:
    """Human readers are compared across arms, so each must have read every arm."""
    read = table.groupby("arm", sort=False)["seed"].agg(set)
    everyone = set().union(*read)
    rule = "leave these readers out, or, where every arm has readers of its own, call the column 'seed'"
    return [f"arm {arm!r} was not read by {len(everyone - some)} of the {len(everyone)} readers: {rule}"
            for arm, some in read.items() if some != everyone]  # fmt: skip


def run_words(key: tuple[object, ...]) -> str:
    """A run (arm, fraction, seed) in words."""
    arm, fraction, seed = key
    return f"arm {arm!r}" + (f", fraction {fraction:g}" if fraction != 1 else "") + (f", seed {seed}" if seed else "")


def _classes(table: pd.DataFrame) -> list[str]:
    faults = []
    for cohort, rows in table[table["label"] >= 0].groupby("cohort", sort=False):
        # one class of validation films: nothing is learnt from them, and the analysis says so
        if cohort == "external" and rows["label"].nunique() < 2:
            word = "malignant" if rows["label"].iloc[0] else "normal"
            faults.append(f"every {cohort} film is {word}: a comparison needs both classes")
    if "external" not in table["cohort"].unique():
        faults.append("no external film: name the films of the test in the column cohort, or leave the column out")
    return faults


# --- remarks ----------------------------------------------------------------------------------------------------------


def remarks_on(table: pd.DataFrame) -> list[str]:
    """What a reader should know of a sound table."""
    remarks = []
    pairs = table[["patient_id", "cohort"]].drop_duplicates()
    both = pairs["patient_id"].duplicated()
    if both.any():
        remarks.append(
            f"{plural(int(both.sum()), 'patient')} in validation AND external: thresholds are not independent"
        )
    remarks += [f"patients {one!r} and {other!r} differ in case, spaces or invisible marks only: counted as two"
                for one, other in collisions(table["patient_id"].unique().tolist())[:5]]  # fmt: skip
    for arm, rows in table.groupby("arm", sort=False):
        remarks += _on_scores(str(arm), rows)
    runs = table.drop_duplicates(RUN).groupby("arm", sort=False).size()
    if len(set(runs)) > 1:
        remarks.append("arms have unequal numbers of runs: " + ", ".join(f"{arm!r} {n}" for arm, n in runs.items()))
    return [*remarks, *_reversed(table)]


def _on_scores(arm: str, rows: pd.DataFrame) -> list[str]:
    score = rows["score"]
    lowest, distinct = (score == score.min()).mean(), score.nunique()
    if distinct == 1:
        return [f"{WARNING}arm {arm!r} scores every film alike ({score.iloc[0]:g}): it tells nothing apart"]
    if distinct <= 11:
        return [f"arm {arm!r} has {distinct} distinct scores: read as an ordinal rating"]
    remarks = []
    if lowest > 0.2:
        remarks.append(
            f"arm {arm!r}: {lowest:.0%} of scores tie at the lowest value; export boxes down to a confidence of "
            "0.001, or the ROC curve lacks its end"
        )
    if score.min() >= 0 and 1 < score.max() <= 100:
        remarks.append(
            f"arm {arm!r}: scores run from {score.min():g} to {score.max():g}, as percentages do; divide by 100 "
            "if they are, so that they can be judged as probabilities"
        )
        ends = rows.groupby("cohort")["score"].max()
        if len(ends) > 1 and ends.min() <= 1:
            remarks.append(
                f"arm {arm!r}: scores of one cohort stay below 1 and those of the other do not: is the scale one?"
            )
    return remarks


def _reversed(table: pd.DataFrame) -> list[str]:
    """A warning where every arm ranks normal films above malignant ones."""
    films = table[(table["cohort"] == "external") & (table["fraction"] == table["fraction"].max())]
    mean = {}
    for arm, rows in films.groupby("arm", sort=False):
        mean[arm] = float(np.mean([mean_rank_auc(run["label"], run["score"]) for _, run in rows.groupby("seed")]))
    if not mean or max(mean.values()) >= 0.5:
        return []
    shown = ", ".join(f"{arm!r} {auc:.3f}" for arm, auc in mean.items())
    rule = "High scores must mean malignant; nothing is turned round here"
    return [f"{WARNING}the AUC is below .5 in every arm ({shown}): are the scores, or the labels, reversed? {rule}"]


def mean_rank_auc(label: pd.Series, score: pd.Series) -> float:
    """AUC of one run by Mann and Whitney's ranks; ties count one half."""
    ill = label.to_numpy() == 1
    rank = score.rank().to_numpy()[ill]
    return float((rank.sum() - len(rank) * (len(rank) + 1) / 2) / (len(rank) * (~ill).sum()))
