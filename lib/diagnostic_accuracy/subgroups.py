"""Subgroups of external films: arms and differences within them, and whether a difference differs between them.

All subgroups are measured on the same joint draws of patients, at the thresholds of all validation films in each draw.
So a difference of differences is taken draw by draw, and what subgroups share (validation films, patients with films
in both, normal films of subtypes) is counted once.

References
----------
Altman DG, Bland JM. Interaction revisited: the difference between two estimates. BMJ 2003;326:219.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from diagnostic_accuracy._cases import Cases, Key, Weights, ranked
from diagnostic_accuracy.bootstrap import Draws
from diagnostic_accuracy.estimates import results
from diagnostic_accuracy.inference import question
from diagnostic_accuracy.multiplicity import adjust_family
from diagnostic_accuracy.scores import Scores

Floats = NDArray[np.float64]

EXPLORATORY = "exploratory: the subgroup was not declared beforehand"
AUC: Key = ("auc", "film")


def within(draws: Draws, part: Scores) -> Draws:
    """The same draws for some of the films, without measures, points and recalibration."""
    return replace(draws, scores=part, points=[], recalibrations=(), patients=False, net_benefit_at=(), observed={},
                   values={}, thresholds={}, lines={}, undefined={}, _finite={})  # fmt: skip


def sample_and_draws(draws: Draws) -> Iterator[tuple[Weights, dict[tuple[str, str], Floats]]]:
    """Weights of the external films, and thresholds of every point (rows x runs): of the sample, then of the draws."""
    places = [(point.name, point.threshold_from) for point in draws.points]
    once = np.ones((1, len(draws.scores.external.values)), np.uint16)
    yield once, {place: draws.thresholds[place][None, :] for place in places}
    for first, last, weights in draws.weights():
        yield weights, {place: draws.values["threshold", *place][first:last] for place in places}


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
    points = [point for point in draws.points[:1] if point.threshold_from != "external"]
    fewer = replace(draws, replicates=min(replicates, draws.replicates), points=points)
    films = draws.scores.external.values.index
    kept = {name: films.get_indexer(part.external.values.index) for name, part in groups.items()}
    sides = {name: _sides(part) for name, part in groups.items()}
    drawn: dict[str, list[dict[Key, Floats]]] = {name: [] for name in groups}
    for weights, cuts in sample_and_draws(fewer):
        for name in groups:
            drawn[name].append(_measured(sides[name], weights.take(kept[name], axis=1), cuts))
    locked = {(p.name, p.threshold_from): draws.thresholds[p.name, p.threshold_from] for p in points}
    made = {name: replace(within(fewer, part), points=points, thresholds=locked) for name, part in groups.items()}
    for name, group in made.items():
        for key in drawn[name][0]:
            values = np.concatenate([block[key] for block in drawn[name]])
            group.add(key, values[0], values[1:])
    return made


def _sides(part: Scores) -> list[Cases]:
    label = part.external.label.to_numpy()
    return [Cases.of(score, label) for score in part.external.values.to_numpy().T]


def _measured(runs: list[Cases], weights: Weights, cuts: Mapping[tuple[str, str], Floats]) -> dict[Key, Floats]:
    """Base measures at rows of weights, each of shape (rows, runs); NaN where a row lacks a class."""
    half, table = np.full(len(weights), 0.5), dict[Key, list[Floats]]()
    for r, side in enumerate(runs):
        own = np.array([cut[:, r] for cut in cuts.values()]).reshape(len(cuts), len(weights)).T
        for key, column in ranked("film", side, weights, half, np.ascontiguousarray(own), list(cuts)):
            if key[0] != "average_precision":  # its share of malignant films would be that of the group
                table.setdefault(key, []).append(column)
    return {key: np.column_stack(columns) for key, columns in table.items()}


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
            gap = within(one, one.scores)
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
    planned = made["group"].map(lambda name: name.partition("=")[0]).isin(list(declared))
    tests = (made["reference"] != "") & (made["run"] == "") & (made["measure"] == "auc")
    for interaction in (False, True):
        for known in (False, True):
            chosen = made.index[tests & (planned == known) & ((made["reference_group"] != "") == interaction)]
            made.loc[chosen, "p_adjusted"] = adjust_family(made.loc[chosen, "p"])
    marked = made.index[(made["reference"] != "") & ~planned]
    made.loc[marked, "note"] = [f"{note}; {EXPLORATORY}" if note else EXPLORATORY for note in made.loc[marked, "note"]]
    return made
