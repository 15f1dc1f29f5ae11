"""Subgroups of external films: arms and differences within them, and whether a difference differs between them.

All subgroups are measured on the same joint draws of patients, at the thresholds of all validation films in each draw.
So a difference of differences is taken draw by draw, and what subgroups share (validation films, patients with films
in both, normal films of subtypes) is counted once.

References
----------
Altman DG, Bland JM. Interaction revisited: the difference between two estimates. BMJ 2003;326:219.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from diagnostic_accuracy.bootstrap import Draws, Key
from diagnostic_accuracy.estimates import results
from diagnostic_accuracy.inference import question
from diagnostic_accuracy.multiplicity import adjust_family
from diagnostic_accuracy.scores import Scores

Floats = NDArray[np.float64]

EXPLORATORY = "exploratory: the subgroup was not declared beforehand"
AUC: Key = ("auc", "film")


def subgroup_draws(draws: Draws, groups: Mapping[str, Scores], replicates: int = 2000) -> dict[str, Draws]:
    """The draws of a study, measured within subgroups.

    Parameters
    ----------
    draws : Draws
        Of all films.
    groups : mapping of str to Scores
        By the name of the group, such as 'sex=F': its external films, as from `Scores.keep`.
    replicates : int
        Take so many of the draws.

    Returns
    -------
    dict of str to Draws
        With ('auc', 'film'), and sensitivity and specificity at the first point, unless its thresholds were found on
        the external films. A draw in which a group lacks a class does not define them.
    """
    fewer = replace(draws, replicates=min(replicates, draws.replicates))
    points = [point for point in draws.points[:1] if point.threshold_from != "external"]
    films = draws.scores.external.values.index
    made: dict[str, Draws] = {}
    kept: dict[str, NDArray[np.intp]] = {}
    for name, part in groups.items():
        made[name] = replace(fewer, scores=part, points=points, recalibrations=(), patients=False, net_benefit_at=(),
                             observed={}, values={}, thresholds={}, lines={}, undefined={}, _finite={})  # fmt: skip
        kept[name] = films.get_indexer(part.external.values.index)
    places = [(point.name, point.threshold_from) for point in points]
    drawn: dict[str, list[dict[Key, Floats]]] = {name: [] for name in groups}
    for first, last, weights in fewer.weights():
        cuts = {place: draws.values["threshold", *place][first:last] for place in places}
        for name, group in made.items():
            drawn[name].append(_measured(group.scores.external, weights[:, kept[name]], cuts))
    for name, group in made.items():
        cuts = {place: draws.thresholds[place][None, :] for place in places}
        once = np.ones((1, len(kept[name])), np.uint16)
        for key, observed in _measured(group.scores.external, once, cuts).items():
            group.add(key, observed[0], np.concatenate([block[key] for block in drawn[name]]))
        group.thresholds.update({place: draws.thresholds[place] for place in places})
    return made


def _measured(films: Scores, weights: NDArray[np.uint16], cuts: Mapping[tuple[str, str], Floats]) -> dict[Key, Floats]:
    """Base measures at rows of weights, each of shape (rows, runs)."""
    label, values = films.label.to_numpy(), films.values.to_numpy()
    found: dict[Key, Floats] = {AUC: np.column_stack([_auc(weights, score, label) for score in values.T])}
    for place, cut in cuts.items():
        for rate, side in (("sensitivity", label), ("specificity", ~label)):
            own, total = weights[:, side].astype(float), weights[:, side].sum(axis=1, dtype=float)
            called = [(own * (score[side] >= cut[:, r, None])).sum(axis=1) for r, score in enumerate(values.T)]
            right = np.column_stack(called) if rate == "sensitivity" else total[:, None] - np.column_stack(called)
            defined = (total > 0)[:, None] & ~np.isnan(cut)
            found[rate, *place, "film"] = np.divide(right, total[:, None], out=np.full(right.shape, np.nan),
                                                    where=defined)  # fmt: skip
    return found


def _auc(weights: NDArray[np.uint16], score: Floats, label: NDArray[np.bool_]) -> Floats:
    """Mann and Whitney's AUC of every row of weights; ties count one half, a row without a class is not defined."""
    order = np.argsort(score, kind="stable")
    drawn, up, ill = weights.take(order, axis=1).astype(float), score[order], label[order]
    normal = np.zeros((len(weights), score.size + 1))
    np.cumsum(np.where(ill, 0.0, drawn), axis=1, out=normal[:, 1:])
    below, upto = (np.searchsorted(up, up[ill], side=side) for side in ("left", "right"))
    hits = (drawn[:, ill] * (normal[:, below] + normal[:, upto])).sum(axis=1) / 2
    pairs = drawn[:, ill].sum(axis=1) * normal[:, -1]
    return np.divide(hits, pairs, out=np.full(len(weights), np.nan), where=pairs > 0)


def compare_subgroups(parts: Mapping[str, Draws], reference: str, confidence: float = 0.95) -> pd.DataFrame:
    """Interactions: the difference in AUC between two arms in one subgroup, less that in another.

    Parameters
    ----------
    parts : mapping of str to Draws
        From `subgroup_draws`; names are FACT=LEVEL.
    reference : str
        The arm that the others are compared with.
    confidence : float in (0, 1)

    Returns
    -------
    DataFrame
        A table of results, section 'subgroups': for every fact, each level (`group`) against the level with the most
        malignant films (`reference_group`). `n` and `events` count films and malignant films of both.
    """
    facts: dict[str, list[str]] = {}
    for name in parts:
        facts.setdefault(name.partition("=")[0], []).append(name)
    rows = []
    for names in facts.values():
        base = max(names, key=lambda name: int(parts[name].scores.external.label.sum()))
        for name in (name for name in names if name != base):
            one, other = parts[name], parts[base]
            gap = replace(one, points=[], observed={}, values={}, undefined={}, _finite={})
            gap.add(AUC, one.observed[AUC] - other.observed[AUC], one.values[AUC] - other.values[AUC])
            asked = question(gap, "auc", confidence, {"unit": "film"})
            films = pd.concat([one.scores.external.label, other.scores.external.label])
            films = films[~films.index.duplicated()]
            for arm in (arm for arm in gap.scores.arms if arm != reference):
                found = replace(asked.difference(arm, reference), n=len(films), events=int(films.sum()),
                                method="difference of differences; variance of runs and joint draws")  # fmt: skip
                rows.append(found.row(section="subgroups", measure="auc", arm=arm, reference=reference, unit="film",
                                      group=name, reference_group=base, confidence=confidence))  # fmt: skip
    return results(rows)


def adjust_subgroups(table: pd.DataFrame, declared: Sequence[str] = ()) -> pd.DataFrame:
    """Holm's adjustment of differences in AUC within subgroups and of interactions, each kind a family of its own.

    Parameters
    ----------
    table : DataFrame
        A table of results.
    declared : sequence of str
        Facts whose subgroups were declared beforehand; they are adjusted apart, the others are marked exploratory.

    Returns
    -------
    DataFrame
        The same rows; `p_adjusted` filled, `note` of all others than the declared ones says that they are exploratory.
    """
    made = table.copy()
    planned = made["group"].str.partition("=")[0].isin(list(declared))
    tests = (made["reference"] != "") & (made["run"] == "") & (made["measure"] == "auc")
    for interaction in (False, True):
        for known in (False, True):
            chosen = made.index[tests & (planned == known) & ((made["reference_group"] != "") == interaction)]
            p = {row: None if pd.isna(value) else float(value) for row, value in made.loc[chosen, "p"].items()}
            made.loc[chosen, "p_adjusted"] = adjust_family(p)["p_adjusted"]
    marked = made.index[(made["reference"] != "") & ~planned]
    made.loc[marked, "note"] = [f"{note}; {EXPLORATORY}" if note else EXPLORATORY for note in made.loc[marked, "note"]]
    return made
