"""Films without a score: how many there are, and what they could change at worst.

The analysis rests on the complete cases: films that every run scored. Scores that are missing for a reason that has to
do with the film (a model that fails on poor films) make that optimistic. So the extremes are shown beside: a model's
missing scores at their worst (malignant films below all others, normal films above), all other models' at their best.

References
----------
Shinkins B, Thompson M, Mallett S, Perera R. Diagnostic accuracy studies: how to report and analyse inconclusive test
results. BMJ 2013;346:f2778.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from diagnostic_accuracy.checks import check_one_of
from diagnostic_accuracy.estimates import Estimate, results

WORST = "worst="
RUN = ["arm", "fraction", "seed"]


def incomplete(predictions: pd.DataFrame) -> pd.Series:
    """Whether each row is of a film that lacks a score in some run.

    Parameters
    ----------
    predictions : DataFrame
        image_id, score (NaN: missing); one row a film and run.

    Examples
    --------
    >>> table = pd.DataFrame({"image_id": ["a", "a", "b", "b"], "arm": ["x", "y"] * 2, "score": [0.1, None, 0.2, 0.3]})
    >>> incomplete(table).tolist()
    [True, True, False, False]
    """
    lost = predictions["score"].isna()
    return lost.groupby(predictions["image_id"]).transform("any") if lost.any() else lost


def missing_scores(predictions: pd.DataFrame) -> pd.DataFrame:
    """How many films lack a score: of every arm and of any, by class, and by reason.

    Parameters
    ----------
    predictions : DataFrame
        image_id, label, cohort, arm, score (NaN: missing) and, where known, reason.

    Returns
    -------
    DataFrame
        A table of results, section 'missing': `missing_malignant_films` and `missing_normal_films`; `group` is the
        cohort, or `reason=...` for external films. Empty where no score is missing.
    """
    rows = predictions[predictions["score"].isna()]
    if "reason" not in rows:
        rows = rows.assign(reason="")
    rows = rows.assign(reason="reason=" + rows["reason"].replace("", "not said"))
    kinds = {0: "missing_normal_films", 1: "missing_malignant_films"}
    total, note = predictions.groupby("cohort")["image_id"].nunique(), "a count, without an interval"
    found = []
    for by, part in (("cohort", rows), ("reason", rows[rows["cohort"] == "external"])):
        for arm, own in [("", part), *part.groupby("arm", sort=False)]:
            films = own.drop_duplicates(["image_id", by])
            for group, some in films.groupby(by, sort=True):
                for label, measure in kinds.items():
                    count = int((some["label"] == label).sum())
                    number = Estimate(count, None, None, "count of films", total[some["cohort"].iloc[0]], note=note)
                    found.append(number.row(section="missing", measure=measure, arm=str(arm), unit="film", group=group))
    return results(found)


def worst_case(predictions: pd.DataFrame, arm: str) -> pd.DataFrame:
    """The same films with every missing score of external films filled in: at the worst for one arm, else at the best.

    Parameters
    ----------
    predictions : DataFrame
        image_id, label, cohort, arm, seed, score (NaN: missing) and where known fraction.
    arm : str
        Its malignant films score just below, its normal films just above all other scores of the run; those of the
        other arms the other way round.

    Returns
    -------
    DataFrame
        Validation films without a score are left out, so that thresholds are those of the complete cases.

    Raises
    ------
    ValueError
        There is no such arm, or a run without any score.

    Examples
    --------
    >>> table = pd.DataFrame({"image_id": list("abc"), "label": [1, 1, 0], "cohort": "external", "arm": "x", "seed": 0,
    ...                       "score": [0.6, None, 0.4]})
    >>> bool(worst_case(table, "x")["score"][1] < 0.4)
    True
    """
    check_one_of(arm, tuple(predictions["arm"].unique()), "arm")
    rows = predictions[~(incomplete(predictions) & (predictions["cohort"] != "external"))]
    runs = rows.groupby([name for name in RUN if name in rows], sort=False)["score"]
    low, high = (
        np.nextafter(runs.transform(end).to_numpy(float), far) for end, far in (("min", -np.inf), ("max", np.inf))
    )
    if np.isnan(low).any():
        raise ValueError(f"{rows[np.isnan(low)]['arm'].iloc[0]!r} has a run without any score; leave it out")
    highest = (rows["label"] == 1) != (rows["arm"] == arm)
    return rows.assign(score=rows["score"].where(rows["score"].notna(), np.where(highest, high, low)))
