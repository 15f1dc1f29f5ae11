"""The published kind of analysis: each run of an arm against the same run of the reference, tests within one run.

DeLong's and McNemar's tests exist within one run only. Their basis is 'this run only': they hold for the two runs, not
for what training would give again. Where patients repeat, the clustered version of each test stands beside.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from diagnostic_accuracy.bootstrap import Draws
from diagnostic_accuracy.checks import NO_DISCORDANT
from diagnostic_accuracy.delong import auc_interval, compare_auc
from diagnostic_accuracy.estimates import Estimate, results
from diagnostic_accuracy.paired import (
    TEST_ONLY,
    clustered_difference,
    clustered_mcnemar,
    compare_predictive_values,
    mcnemar,
    paired_calls,
    paired_difference,
    paired_table,
    ppv_bootstrap,
)
from diagnostic_accuracy.rates import confusion, rate_estimate

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
        patients = {"delong": None} if films.patient is None else {"delong": None, "delong_clustered": films.patient}
        for measure, clusters in patients.items():
            gap = compare_auc(films.label, films.values[:, one], films.values[:, other], clusters, confidence)
            rows.append(_row(gap, place, measure))
        for at in films.points(one, other):
            rows += _calls(films, (one, other), place | at, confidence, replicates)
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
    place = {"section": "as_published", "arm": arm, "reference": reference, "unit": "film"}
    rows: Rows = []

    def add(tests: list[float | None], method: str, **identity: Any) -> None:
        called = sum(p is not None and p < level for p in tests)
        note = "pairs share runs: a share, shown without an interval"
        if not tests:
            found = Estimate.missing("fewer than two runs with a threshold", method, 0)
        else:
            found = Estimate(called / len(tests), None, None, method, len(tests), events=called, note=note)
        rows.append(_row(found, place | identity, "false_positive_rate"))

    gaps = [compare_auc(films.label, films.values[:, a], films.values[:, b]) for a, b in both]
    add([gap.p for gap in gaps], f"DeLong's test, p < {level:g}", group="auc")
    for at in films.points(*columns):
        for rate, side in films.sides.items():
            right = {c: films.calls(c, at)[side] == films.label[side] for c in columns}
            tests = [mcnemar(paired_table(right[a], right[b])).corrected for a, b in both]
            add(tests, f"McNemar's test, continuity-corrected, p < {level:g}", group=rate, **at)
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
        self.draws, self.label, self.values = draws, external.label.to_numpy(), external.values.to_numpy()
        self.sides = {"sensitivity": self.label, "specificity": ~self.label}
        repeated = external.patient.duplicated().any()
        self.patient = external.patient.to_numpy() if repeated else None

    def calls(self, column: int, at: Mapping[str, str]) -> Flags:
        return self.values[:, column] >= self.draws.thresholds[at["point"], at["threshold_from"]][column]

    def points(self, *columns: int) -> list[dict[str, str]]:
        """Points that have a threshold in these runs, as columns of a table of results."""
        known = {place: cuts[list(columns)] for place, cuts in self.draws.thresholds.items()}
        return [
            {"point": point.name, "threshold_from": point.threshold_from}
            for point in self.draws.points
            if not np.isnan(known[point.name, point.threshold_from]).any()
        ]


def _row(found: Estimate, place: Mapping[str, Any], measure: str, events: int | None = None) -> dict[str, Any]:
    based = replace(found, basis=BASIS, events=found.events if events is None else events)
    return based.row(**place, measure=measure)


def _one_run(films: _Films, column: int, confidence: float, place: dict[str, Any]) -> Rows:
    rows = [_row(auc_interval(films.label, films.values[:, column], films.patient, confidence), place, "auc")]
    for at in films.points(column):
        counts = confusion(films.label, films.calls(column, at))
        for name in RATES:
            rows.append(_row(rate_estimate(counts, name, confidence), place | at, name, counts.fraction(name)[0]))
    return rows


def _calls(films: _Films, columns: tuple[int, int], place: dict[str, Any], confidence: float, replicates: int) -> Rows:
    """Tests and intervals of two runs at one point."""
    one, other = (films.calls(column, place) for column in columns)
    rows: Rows = []
    for rate, side in films.sides.items():
        a, b = (calls[side] == films.label[side] for calls in (one, other))
        rows += _rate(a, b, None if films.patient is None else films.patient[side], confidence, place | {"group": rate})
    drawn = ppv_bootstrap(films.label, one, other, films.patient, replicates, confidence)
    score = compare_predictive_values(paired_calls(films.label, one, other), "ppv")
    at = place | {"group": "ppv"}
    return [*rows, _row(drawn, at, "ppv_bootstrap"), _row(score, at, "ppv_score_test")]


def _rate(one: Flags, other: Flags, patients: NDArray[Any] | None, confidence: float, place: dict[str, Any]) -> Rows:
    """McNemar's tests and intervals of one rate; `one`, `other`: which films of the class are called rightly."""
    table = paired_table(one, other)
    tests = mcnemar(table)
    methods = {
        "mcnemar_corrected": (tests.corrected, "McNemar, continuity-corrected"),
        "mcnemar_exact": (tests.exact, "McNemar, exact"),
        "mcnemar_midp": (tests.midp, "McNemar, mid-p"),
    }
    found = {
        measure: Estimate(
            table.difference, None, None, method, table.n, p, note=NO_DISCORDANT if p is None else TEST_ONLY
        )
        for measure, (p, method) in methods.items()
    }
    found["tango"] = paired_difference(table, confidence)
    if patients is not None:
        test = clustered_mcnemar(one, other, patients)
        found["mcnemar_clustered"] = replace(test, estimate=table.difference, note=test.note or TEST_ONLY)
        found["clustered_difference"] = clustered_difference(one, other, patients, confidence)
    return [_row(number, place, measure, table.discordant) for measure, number in found.items()]
