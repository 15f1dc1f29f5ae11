"""The published kind of analysis: each run of an arm against the same run of the reference, tests within one run.

DeLong's and McNemar's tests exist within one run only. Their basis is 'this run only': they hold for the two runs, not
for what training would give again. Where patients repeat, the clustered version of each test stands beside.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from diagnostic_accuracy.bootstrap import Draws
from diagnostic_accuracy.delong import auc_interval, compare_auc
from diagnostic_accuracy.estimates import Estimate, results
from diagnostic_accuracy.paired import (
    clustered_difference,
    clustered_mcnemar,
    compare_predictive_values,
    mcnemar,
    paired_calls,
    paired_difference,
    paired_table,
    predictive_bootstrap,
)
from diagnostic_accuracy.rates import confusion, rate_estimate
from diagnostic_accuracy.thresholds import Point

Flags = NDArray[np.bool_]
Rows = list[dict[str, Any]]

RATES = ("sensitivity", "specificity", "ppv", "npv")
BASIS = "this run only"


def compare_run_by_run(
    draws: Draws, *, reference: str, confidence: float = 0.95, replicates: int = 2000
) -> pd.DataFrame:
    """Every run alone, and against the reference's run of the same name (else of the same place).

    Parameters
    ----------
    draws : Draws
        Its scores, points and thresholds are used, no draw.
    reference : str
    confidence : float in (0, 1)
    replicates : int
        Draws of the paired bootstrap of PPV.

    Returns
    -------
    DataFrame
        A table of results, section 'as_published'. Measures: auc and the rates of each run; delong, delong_clustered;
        for sensitivity and specificity (column `group`) mcnemar_corrected, mcnemar_exact, mcnemar_midp,
        mcnemar_clustered, tango, clustered_difference; ppv_bootstrap, ppv_score_test. `events` counts discordant films.
    """
    films = _Films(draws)
    shared = {"section": "as_published", "unit": "film", "confidence": confidence}
    rows: Rows = []
    for column, (arm, run) in enumerate(draws.runs):
        rows += _one_run(films, column, confidence, shared | {"arm": arm, "run": str(run)})
    for one, other in pairs(draws, reference):
        (arm, run), (_, other_run) = draws.runs[one], draws.runs[other]
        name = str(run) if run == other_run else f"{run} against {other_run}"
        place = shared | {"arm": arm, "reference": reference, "run": name}
        rows += _delong(films, one, other, confidence, place)
        for point in films.points(one, other):
            at = place | {"point": point.name, "threshold_from": point.threshold_from}
            rows += _calls(films, (one, other), (point.name, point.threshold_from), confidence, replicates, at)
    return results(rows)


def false_positive_rate(draws: Draws, arm: str, reference: str, level: float = 0.05) -> pd.DataFrame:
    """How often this analysis called two runs different that differ in random numbers only (an A/A comparison).

    Parameters
    ----------
    draws : Draws
        Its scores, points and thresholds are used, no draw.
    arm, reference : str
        Two arms that were made alike but for their seeds; every pair of their runs is compared, within an arm too.
    level : float in (0, 1)
        Of each test.

    Returns
    -------
    DataFrame
        Section 'as_published', measure 'false_positive_rate': DeLong's test (group `auc`) and McNemar's corrected one
        at every point (groups `sensitivity`, `specificity`). `n` counts pairs, `events` those called different.
    """
    films = _Films(draws)
    columns = [i for i, (name, _) in enumerate(draws.runs) if name in (arm, reference)]
    both = list(combinations(columns, 2))
    place = {"section": "as_published", "measure": "false_positive_rate", "arm": arm, "reference": reference,
             "unit": "film"}  # fmt: skip
    rows: Rows = []

    def add(tests: list[float | None], method: str, **identity: Any) -> None:
        called = sum(p is not None and p < level for p in tests)
        note = "pairs share runs: a share, shown without an interval"
        if not tests:
            found = Estimate.missing("fewer than two runs with a threshold", method, 0)
        else:
            found = Estimate(called / len(tests), None, None, method, len(tests), events=called, note=note)
        rows.append(_based(found).row(**place, **identity))

    gaps = [compare_auc(films.label, films.values[:, a], films.values[:, b], None).difference for a, b in both]
    add([gap.p for gap in gaps], f"DeLong's test, p < {level:g}", group="auc")
    for point in films.points(*columns):
        at = (point.name, point.threshold_from)
        for rate, side in (("sensitivity", films.label), ("specificity", ~films.label)):
            right = {c: films.calls(c, at)[side] == films.label[side] for c in columns}
            tests = [mcnemar(paired_table(right[a], right[b])).corrected for a, b in both]
            where = {"group": rate, "point": point.name, "threshold_from": point.threshold_from}
            add(tests, f"McNemar's test, continuity-corrected, p < {level:g}", **where)
    return results(rows)


def pairs(draws: Draws, reference: str) -> Iterator[tuple[int, int]]:
    """Columns of each run and of the run of the reference that it is paired with."""
    against = {run: i for i, (arm, run) in enumerate(draws.runs) if arm == reference}
    for arm in (arm for arm in draws.scores.arms if arm != reference):
        own = {run: i for i, (name, run) in enumerate(draws.runs) if name == arm}
        if common := [run for run in own if run in against]:
            yield from ((own[run], against[run]) for run in common)
        else:
            yield from zip(own.values(), against.values(), strict=False)


class _Films:
    """External films: labels, patients where they repeat, scores and calls of a run."""

    def __init__(self, draws: Draws) -> None:
        external = draws.scores.external
        self.draws, self.label = draws, external.label.to_numpy()
        self.patient = external.patient.to_numpy()
        self.clustered = pd.unique(self.patient).size < self.label.size
        self.values = external.values.to_numpy()

    def calls(self, column: int, point: tuple[str, str]) -> Flags:
        return self.values[:, column] >= self.draws.thresholds[point][column]

    def points(self, *columns: int) -> list[Point]:
        """Points that have a threshold in these runs."""
        found = self.draws.thresholds
        return [p for p in self.draws.points if not np.isnan(found[p.name, p.threshold_from][list(columns)]).any()]


def _based(found: Estimate, events: int | None = None) -> Estimate:
    return replace(found, basis=BASIS, events=found.events if events is None else events)


def _one_run(films: _Films, column: int, confidence: float, place: dict[str, Any]) -> Rows:
    patients = films.patient if films.clustered else None
    rows = [
        _based(auc_interval(films.label, films.values[:, column], patients, confidence)).row(**place, measure="auc")
    ]
    for point in films.points(column):
        counts = confusion(films.label, films.calls(column, (point.name, point.threshold_from)))
        at = place | {"point": point.name, "threshold_from": point.threshold_from}
        for name in RATES:
            found = rate_estimate(counts, name, confidence)
            over, _ = counts.fraction(name)
            rows.append(_based(found, over).row(**at, measure=name))
    return rows


def _delong(films: _Films, one: int, other: int, confidence: float, place: dict[str, Any]) -> Rows:
    pair = films.values[:, one], films.values[:, other]
    rows = [_based(compare_auc(films.label, *pair, None, confidence).difference).row(**place, measure="delong")]
    if films.clustered:
        found = compare_auc(films.label, *pair, films.patient, confidence).difference
        rows.append(_based(found).row(**place, measure="delong_clustered"))
    return rows


def _calls(
    films: _Films,
    columns: tuple[int, int],
    point: tuple[str, str],
    confidence: float,
    replicates: int,
    place: dict[str, Any],
) -> Rows:
    one, other = (films.calls(column, point) for column in columns)
    rows: Rows = []
    for rate, side in (("sensitivity", films.label), ("specificity", ~films.label)):
        a, b = (calls[side] == films.label[side] for calls in (one, other))
        rows += _rate(a, b, films.patient[side] if films.clustered else None, confidence, place | {"group": rate})
    test = compare_predictive_values(paired_calls(films.label, one, other), "ppv")
    patients = films.patient if films.clustered else None
    found = predictive_bootstrap(films.label, one, other, "ppv", patients, replicates, 0, confidence)
    rows.append(_based(found).row(**place, measure="ppv_bootstrap", group="ppv"))
    method = "weighted generalised score test (Kosinski 2013)"
    score = Estimate(
        test.difference, None, None, method, films.label.size, test.p, note=test.note or "a test, without an interval"
    )
    return [*rows, _based(score).row(**place, measure="ppv_score_test", group="ppv")]


def _rate(one: Flags, other: Flags, patients: NDArray[Any] | None, confidence: float, place: dict[str, Any]) -> Rows:
    """McNemar's tests and intervals of one rate; `one`, `other`: which films of the class are called rightly."""
    table = paired_table(one, other)
    tests, n = mcnemar(table), table.n
    methods = {
        "mcnemar_corrected": (tests.corrected, "McNemar, continuity-corrected"),
        "mcnemar_exact": (tests.exact, "McNemar, exact"),
        "mcnemar_midp": (tests.midp, "McNemar, mid-p"),
    }
    rows = []
    for measure, (p, method) in methods.items():
        note = "a test, without an interval" if p is not None else tests.note or "no discordant pair: not defined"
        found = Estimate(table.difference, None, None, method, n, p, note=note)
        rows.append(_based(found, table.discordant).row(**place, measure=measure))
    rows.append(_based(paired_difference(table, confidence), table.discordant).row(**place, measure="tango"))
    if patients is not None:
        found = clustered_mcnemar(one, other, patients)
        note = found.note or "a test, without an interval"
        test = Estimate(table.difference, None, None, found.method, found.n, found.p, note=note)
        rows.append(_based(test, table.discordant).row(**place, measure="mcnemar_clustered"))
        interval = clustered_difference(one, other, patients, confidence)
        rows.append(_based(interval, table.discordant).row(**place, measure="clustered_difference"))
    return rows
