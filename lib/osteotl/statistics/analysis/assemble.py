"""The document: every result that any page shows, with its schema, and the tables beside it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from osteotl.files import plain, write_csv, write_json
from osteotl.scores_files.reading import ScoresError, read_scores
from osteotl.statistics.analysis import curves, extras, learning, points
from osteotl.statistics.analysis.arms import arm_results, smoother_for
from osteotl.statistics.analysis.benefit import benefit_tables
from osteotl.statistics.analysis.comparisons import adjust_over_all, compare
from osteotl.statistics.analysis.inputs import Inputs, Settings, read_study
from osteotl.statistics.analysis.learning import learning_tables
from osteotl.statistics.analysis.lesions import arm_localisation, lesion_tables, wrong_place_per_100
from osteotl.statistics.analysis.prepare import Prepared, prepare
from osteotl.statistics.calibration_curves import calibration_table, smooth_calibration
from osteotl.statistics.coverage import MARK, NOMINAL, mark_short_intervals
from osteotl.statistics.plan import changes_since, locked_threshold
from osteotl.statistics.replicates import ENOUGH_SEEDS, ONE_SEED, variance_split

SCHEMA = "osteotl.statistics/1"


@dataclass(frozen=True)
class Analysis:
    """statistics.json and its tables.

    Attributes
    ----------
    statistics : dict
        See docs/statistics.md for the schema.
    tables : dict of str to DataFrame
    """

    statistics: dict[str, Any]
    tables: dict[str, pd.DataFrame]

    def write(self, place: Callable[[str], Path]) -> None:
        """Write statistics.json, tables/*.csv and tables/index.json; `place` maps a file's name to its path."""
        for name, table in self.tables.items():
            write_csv(place(f"tables/{name}.csv"), table)
        index = {name: {"rows": len(table), "columns": list(table)} for name, table in self.tables.items()}
        write_json(place("statistics.json"), self.statistics)
        write_json(place("tables/index.json"), index)


def analyse_study(study: Any, read: Callable[[str], Path], reference: str | None = None) -> Analysis:
    """Analyse a study: its own predictions, or the scores that it names.

    Parameters
    ----------
    study : Study
    read : callable
        Maps a file's name below the outputs folder to its path.
    reference : str, optional
        Arm to compare with, for scores made elsewhere.
    """
    if study.predictions is None:
        inputs = read_study(study, read)
        return analyse(inputs, changes_since(inputs.plan, study) if inputs.plan else [])
    scores = read_scores(study.predictions, reference or study.reference)
    _check_equal_runs(scores.predictions)
    settings = Settings.of(study.model_copy(update={"reference": scores.reference}), list(scores.arms))
    return analyse(
        Inputs(settings, scores.predictions, scores.detections, scores.lesions, remarks=list(scores.remarks))
    )


def _check_equal_runs(predictions: pd.DataFrame) -> None:
    """Refuse arms with different seeds or fractions, which the analysis of variance here cannot take."""
    runs = predictions.drop_duplicates(["arm", "fraction", "seed"])
    have = {arm: set(zip(rows["fraction"], rows["seed"], strict=True)) for arm, rows in runs.groupby("arm", sort=False)}
    if any(some != next(iter(have.values())) for some in have.values()):
        counts = ", ".join(f"{arm!r} {len(some)}" for arm, some in have.items())
        raise ScoresError([f"arms have different runs ({counts}): this analysis needs the same fractions and seeds in "
                           "every arm; leave out the rows of the others"])  # fmt: skip


def analyse(inputs: Inputs, flags: list[str] | None = None) -> Analysis:
    """Compute every result.

    Parameters
    ----------
    inputs : Inputs
    flags : list of str, optional
        What must be said beside what this function finds (changes after external results).

    Returns
    -------
    Analysis

    Raises
    ------
    ValueError
        There is no external film, or runs scored different films.
    """
    prepared = prepare(inputs)
    twins = extras.twins_meanwhile()
    curve = {
        "learning_curve": learning.learning_curve(prepared),
        "learning_curve_equal_epochs": learning.equal_epochs_curve(prepared),
        "steps_curve": learning.steps_curve(prepared),
    }
    statistics: dict[str, Any] = {
        "schema": SCHEMA,
        "settings": _settings(prepared),
        "cohorts": _cohorts(prepared),
        "arms": {},
        "comparisons": {
            arm: compare(prepared, arm) | {"convergence": learning.convergence(prepared, arm)}
            for arm in prepared.others
        },
        "variance": _variance(prepared),
        "subgroups": extras.subgroups(prepared),
        "audit": extras.audit(prepared),
        "baseline": extras.baseline(prepared),
        "learning": learning.label_savings(inputs),
        "flags": [*(flags or []), *_thresholds_off_plan(prepared), *_flags(prepared), *inputs.remarks],
    }
    adjust_over_all(statistics["comparisons"])
    for arm in prepared.arms:
        place = {"localisation": arm_localisation(prepared, arm)} | {name: rows[arm] for name, rows in curve.items()}
        wrong = {"right_film_wrong_place_per_100": wrong_place_per_100(prepared, arm)}
        statistics["arms"][arm] = arm_results(prepared, arm) | wrong | place
    statistics = plain(statistics)
    reference = prepared.settings.reference
    statistics["published"] = plain(extras.published(statistics, prepared.others, reference, twins.result()))
    statistics["flags"] += _short_intervals(prepared, statistics)
    return Analysis(statistics, _tables(prepared, statistics))


def _settings(prepared: Prepared) -> dict[str, Any]:
    asked = prepared.settings
    same = ("title", "reference", "confidence", "bootstrap", "bootstrap_seed", "sampling", "auc_margin",
            "auc_margin_reason", "family", "prevalences", "hit_rule", "decision_range", "arms",
            "fraction_training")  # fmt: skip
    return {
        **{name: getattr(asked, name) for name in same},
        "operating_points": {name: target for name, (_, target) in asked.rules.items()},
        "thresholds_from": list(dict.fromkeys(point.source for point in prepared.points)),
        "seeds": prepared.seeds,
        "first_seed": prepared.seeds[0],
        "fractions": prepared.inputs.fractions,
        "headline_fraction": prepared.inputs.fractions[-1],
        "main_point": prepared.main.key if prepared.main else None,
        "unit": "patient" if prepared.external.clustered else "film",
    }


def _cohorts(prepared: Prepared) -> dict[str, Any]:
    cohorts = {"external": prepared.external, "validation": prepared.validation}
    return {
        name: None if cohort is None else cohort.summary() | {"unscored": prepared.inputs.unscored.get(name, 0)}
        for name, cohort in cohorts.items()
    }


def _variance(prepared: Prepared) -> dict[str, Any]:
    split = {arm: variance_split(prepared.auc, arm) for arm in prepared.arms}
    return {arm: found.to_dict() if found else None for arm, found in split.items()}


def _flags(prepared: Prepared) -> list[str]:
    """What the reader must be told, in words."""
    said = points.warnings(prepared.settings, prepared.validation, prepared.inputs.cohort("validation"))
    seeds = len(prepared.seeds)
    if seeds == 1:
        said.append(f"One training run an arm: every result is {ONE_SEED}.")
    elif seeds < ENOUGH_SEEDS:
        said.append(f"{seeds} training runs an arm: variation between training runs is poorly estimated.")
    if prepared.validation is not None and prepared.risk is None:
        said.append(f"Scores could not be recalibrated: {prepared.why_no_risk}.")
    for name, missing in prepared.inputs.unscored.items():
        if missing:
            said.append(f"{missing} {name} films could not be scored; they are counted in the flow, not in the rates.")
    if len(prepared.others) > 1:
        said.append(
            f"{len(prepared.others)} arms are compared with the reference: of the declared family's adjusted p values, "
            "those of 'Holm, all comparisons' hold over all of them, the others within one comparison. The primary "
            "outcome is judged for each arm by itself."
        )
    if prepared.fewer_replicates:
        said.append(prepared.fewer_replicates)
    return _audit_flags(prepared.inputs.audit or {}) + said


def _short_intervals(prepared: Prepared, statistics: dict[str, Any]) -> list[str]:
    """Mark intervals that are known to cover too little, and say what the mark means."""
    films, asked = prepared.external, prepared.settings
    malignant = int(films.summary()["malignant_patients"])
    counts = malignant, films.units - malignant
    if asked.confidence != NOMINAL:
        return []
    found = mark_short_intervals(statistics, *counts, films.clustered, len(prepared.seeds))
    if not found:
        return []
    low, high = (f"{100 * end:.1f}" for end in (min(found), max(found)))
    return [
        f"Intervals marked {MARK} are too short for a cohort like this one ({counts[0]} malignant, {counts[1]} other "
        f"patients; {len(prepared.seeds)} training runs an arm): in simulation they held the true value in "
        f"{low if low == high else f'{low} to {high}'}% of cohorts instead of {100 * NOMINAL:g}%."
    ]


def _audit_flags(audit: dict[str, Any]) -> list[str]:
    """Raised alarms first: where source and class coincide, no difference between arms speaks of tumours."""
    raised = [alarm for alarm in audit.get("alarms", []) if alarm["raised"]]
    said = [
        "Malignant and normal films come from different sources: a detector can tell them apart without seeing a "
        f"tumour ({alarm['finding']})."
        for alarm in raised
        if alarm["alarm"].startswith("source_and_class")
    ]
    others = [alarm["alarm"].replace("_", " ") for alarm in raised if not alarm["alarm"].startswith("source_and_class")]
    if others:
        said.append(f"The shortcut audit raised an alarm ({', '.join(others)}): read it before believing a difference.")
    return said


def _thresholds_off_plan(prepared: Prepared) -> list[str]:
    """Locked thresholds that are not those of analysis_plan.json: the validation scores were changed since."""
    plan, fraction = prepared.inputs.plan, prepared.inputs.fractions[-1]
    if not plan:
        return []
    said = []
    for point in prepared.points:
        for (arm, seed), threshold in point.threshold.items() if point.source == "validation" else ():
            try:
                locked = locked_threshold(plan, arm, fraction, seed, point.rule)
            except ValueError as error:
                said.append(str(error))
                continue
            if not np.isclose(locked, threshold, rtol=1e-9, atol=0):
                said.append(
                    f"threshold of {arm}, seed {seed}, {point.key} changed after external results: planned "
                    f"{locked:.6g}, now {threshold:.6g}"
                )
    return said


def _tables(prepared: Prepared, statistics: dict[str, Any]) -> dict[str, pd.DataFrame]:
    films = prepared.external
    tables = {
        "roc": curves.roc_table(films),
        "precision_recall": curves.precision_recall_table(films),
        "scores": curves.scores_table(films, prepared.risk),
        "discordant": curves.discordant_table(films, prepared.points, prepared.settings.reference, prepared.others),
        "calibration": _calibration(prepared),
        **benefit_tables(prepared),
        **learning_tables(statistics),
        **lesion_tables(prepared),
    }
    if prepared.main is not None:
        tables["missed"], tables["false_alarms"] = curves.wrong_calls(
            prepared.inputs, films, prepared.main, prepared.risk
        )
    return {name: table for name, table in tables.items() if len(table)}


def _calibration(prepared: Prepared) -> pd.DataFrame:
    """arm, seed, kind (raw | recalibrated), curve (decile | smooth), predicted, observed, lower, upper, n."""
    parts = []
    for run, score in prepared.external.score.items():
        risks = {"raw": score if prepared.external.probabilities else None}
        risks["recalibrated"] = None if prepared.risk is None else prepared.risk[run]
        for kind, risk in risks.items():
            if risk is None:
                continue
            head = {"arm": run[0], "seed": run[1], "kind": kind}
            deciles = calibration_table(prepared.external.label, risk, 10, prepared.settings.confidence)
            parts.append(deciles.assign(**head, curve="decile"))
            smooth = smooth_calibration(prepared.external.label, risk, smoother_for(risk.size))
            kept = curves.thin(smooth.predicted.size)
            line = {"predicted": smooth.predicted[kept], "observed": smooth.observed[kept].clip(0, 1)}
            parts.append(pd.DataFrame(line).dropna().assign(**head, curve="smooth"))
    columns = ["arm", "seed", "kind", "curve", "predicted", "observed", "lower", "upper", "n"]
    return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)
