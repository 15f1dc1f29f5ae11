"""What a study found, each number with its interval from statistics.csv, as phrases."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd

from diagnostic_accuracy.precision import WIDTHS, films_needed
from osteotl.display import fixed, group_words, joined, known, percent, point_words, sentence_case
from osteotl.report.documents.study_statements import Statements, cohort_count, has_boxes, has_validation, line, quoted
from osteotl.report.documents.wording import figure, p_words, plain, tested
from osteotl.report.outputs import Outputs
from osteotl.report.summary import AT_THRESHOLD, answer, comparison_of, covariates

RATES = (("sensitivity", "sensitivity"), ("specificity", "specificity"), ("ppv", "PPV"), ("npv", "NPV"))
BURDENS = (("missed_per_100", "missed tumours"), ("false_alarms_per_1000", "false alarms"))


def result_statements(outputs: Outputs) -> Statements:
    """Statements that need statistics.csv; None where this study has none."""
    point = outputs.point
    return {
        "auc": each(outputs, section="discrimination", measure="auc"),
        "auc_differences": differences(outputs, section="discrimination", measure="auc"),
        "verdicts": _verdicts(outputs),
        "spread": _spread(outputs),
        "average_precision": each(outputs, section="discrimination", measure="average_precision"),
        "patient_auc": each(outputs, section="discrimination", measure="auc", unit="patient"),
        "main_point": f"operating point of {point_words(point).removesuffix(' (locked)')}" if point else None,
        "rates": _rates(outputs, None) if point else None,
        "rate_differences": _rates(outputs, outputs.reference) if point else None,
        "burdens": _burdens(outputs, "film", None) if point else None,
        "patient_burdens": _burdens(outputs, "patient", None) if point else None,
        "patient_burden_differences": _burdens(outputs, "patient", outputs.reference) if point else None,
        "crosstab": _crosstab(outputs) if point else None,
        "family_results": _family_results(outputs),
        "ppv": _predictive(outputs) if point else None,
        "calibration": _calibration(outputs) if has_validation(outputs) else None,
        "net_benefit": _net_benefit(outputs),
        "localisation": _localisation(outputs) if has_boxes(outputs) else None,
        "subgroups": _subgroups(outputs),
        "audit": _audit(outputs),
        "alarms": _alarms(outputs),
        "baseline": _baseline(outputs),
        "robustness": _robustness(outputs),
        "covariates": covariates(outputs),
        "cautions": _cautions(outputs),
        "precision": _precision(outputs),
        "films_needed": _films_needed(outputs),
    }


def each(outputs: Outputs, **identity: Any) -> str | None:
    """A number of every model, the reference model first; None where no model has it."""
    rows = {arm: outputs.one(arm=arm, **{"reference": None, **identity}) for arm in outputs.labels}
    if all(row is None for row in rows.values()):
        return None
    return _joined([f"{figure(row) or 'not estimable'} for {quoted(outputs, arm)}" for arm, row in rows.items()])


def _joined(parts: list[str]) -> str:
    """`a and b`, `a; b; c`: the parts hold commas of their own."""
    return " and ".join(parts) if len(parts) < 3 else "; ".join(parts)


def differences(outputs: Outputs, **identity: Any) -> str | None:
    """A difference from the reference model, for every other one."""
    return _compared(outputs, lambda arm: tested(outputs.one(arm=arm, reference=outputs.reference, **identity)))


def _compared(outputs: Outputs, told: Callable[[str], str | None]) -> str | None:
    found = {arm: told(arm) for arm in outputs.others}
    return "; ".join(f"{text} for {quoted(outputs, arm)}" for arm, text in found.items() if text) or None


def _verdicts(outputs: Outputs) -> str | None:
    """The answer of the first screen, or why there is none."""
    told = []
    for arm in outputs.others:
        said = answer(comparison_of(outputs, arm))
        told += [plain(text) for name, text in said.lines if name != AT_THRESHOLD and "equal" not in name]
    return " ".join(dict.fromkeys(told)) or None


def _spread(outputs: Outputs) -> str | None:
    """Smallest and largest AUC of each model's runs."""
    rows = outputs.select(section="discrimination", measure="auc", reference=None, run=...)
    told = []
    for arm in outputs.labels:
        values = rows.loc[(rows["arm"] == arm) & (rows["run"] != ""), "estimate"].dropna()
        if len(values) > 1:
            told.append(f"{fixed(values.min())} to {fixed(values.max())} for {quoted(outputs, arm)}")
    return _joined(told) or None


# --- at the operating point -------------------------------------------------------------------------------------------


def _rates(outputs: Outputs, reference: str | None) -> str | None:
    return _gaps(outputs, RATES, "film") if reference else _means(outputs, RATES, "film", "was")


def _burdens(outputs: Outputs, unit: str, reference: str | None) -> str | None:
    return _gaps(outputs, BURDENS, unit) if reference else _means(outputs, BURDENS, unit, "were")


def _means(outputs: Outputs, names: Any, unit: str, verb: str) -> str | None:
    """Several numbers of every model at the operating point of the answer, number by number."""
    found = {word: each(outputs, section="operating_points", measure=name, unit=unit, **outputs.point)
             for name, word in names}  # fmt: skip
    return "; ".join(f"{word} {verb} {text}" for word, text in found.items() if text) or None


def _gaps(outputs: Outputs, names: Any, unit: str) -> str | None:
    """Differences from the reference model at the operating point of the answer, model by model."""
    told = []
    for arm in outputs.others:
        rows = {word: outputs.one(section="operating_points", measure=name, arm=arm, reference=outputs.reference,
                                  unit=unit, **outputs.point) for name, word in names}  # fmt: skip
        said = [f"in {word} by {tested(row)}" for word, row in rows.items() if figure(row)]
        if said:
            told.append(f"{quoted(outputs, arm)} differed {'; '.join(said)}")
    return ". ".join(told) or None


def _crosstab(outputs: Outputs) -> str | None:
    """2 x 2 counts of films, means over runs, from the mean rates."""
    films, malignant = (cohort_count(outputs, "external", name) for name in ("films", "malignant_films"))
    told = []
    for arm in outputs.labels:
        rows = [
            outputs.one(section="operating_points", measure=name, arm=arm, reference=None, **outputs.point)
            for name in ("sensitivity", "specificity")
        ]
        if films and malignant is not None and all(row is not None and known(row["estimate"]) for row in rows):
            found, clear = rows[0]["estimate"] * malignant, rows[1]["estimate"] * (films - malignant)  # type: ignore[index]
            counts = (("true positives", found), ("false negatives", malignant - found), ("true negatives", clear),
                      ("false positives", films - malignant - clear))  # fmt: skip
            told.append(f"{quoted(outputs, arm)} had {joined([f'{fixed(n, 1)} {name}' for name, n in counts])}")
    return "; ".join(told) or None


def _family_results(outputs: Outputs) -> str | None:
    """The secondary tests with their adjusted p values."""
    rows = outputs.select(section="operating_points", reference=outputs.reference)
    rows = rows[rows["p_adjusted"].notna()]
    told = []
    for arm in outputs.others:
        said = [
            f"in {row['measure'].replace('_', ' ')} at the {_short(row['point'])} point by {figure(row)}, adjusted "
            f"{p_words(row, 'p_adjusted')}"
            for _, row in rows[rows["arm"] == arm].iterrows()
        ]
        if said:
            told.append(f"{quoted(outputs, arm)} differed {'; '.join(said)}")
    return ". ".join(told) or None


def _short(point: str) -> str:
    return point_words({"point": point, "threshold_from": ""}).partition(",")[0]


def _predictive(outputs: Outputs) -> str | None:
    rows = outputs.select(section="predictive_values", measure="ppv", reference=None, prevalence=..., **outputs.point)
    told = []
    for arm in outputs.labels:
        part = rows[(rows["arm"] == arm) & rows["prevalence"].notna()]
        said = [f"{figure(row) or 'not estimable'} at {percent(row['prevalence'])}" for _, row in part.iterrows()]
        if said:
            told.append(f"for {quoted(outputs, arm)} {joined(said)}")
    return "; ".join(told) or None


# --- calibration, decisions, place, groups, audit ---------------------------------------------------------------------


def _calibration(outputs: Outputs) -> str | None:
    names = (("calibration_slope", "the calibration slope"), ("calibration_in_the_large", "calibration in the large"),
             ("brier", "the Brier score"))  # fmt: skip
    found = {word: each(outputs, section="calibration", measure=name, recalibration="logistic") for name, word in names}
    return "; ".join(f"{word} was {text}" for word, text in found.items() if text) or None


def _net_benefit(outputs: Outputs) -> str | None:
    rows = outputs.select(section="decision", measure="net_benefit", reference=outputs.reference, at=0.1,
                          recalibration="logistic")  # fmt: skip
    found = {row["arm"]: row for _, row in rows.iterrows()}
    return _compared(outputs, lambda arm: tested(found.get(arm)))


def _localisation(outputs: Outputs) -> str | None:
    names = (("lroc_auc", "the area under the localisation ROC curve"), ("wafroc_auc", "the area under the weighted "
             "alternative free-response ROC curve"))  # fmt: skip
    told = [(word, each(outputs, section="localisation", measure=name)) for name, word in names]
    return ". ".join(sentence_case(f"{word} was {text}") for word, text in told if text) or None


def _subgroups(outputs: Outputs) -> str | None:
    rows = outputs.select(section="subgroups", measure="auc", reference=None, group=...)
    if rows.empty:
        return None
    names = list(dict.fromkeys(group.partition("=")[0].replace("_", " ") for group in rows["group"]))
    known_rows = rows[rows["estimate"].notna()]
    if known_rows.empty:
        return f"by {joined(names)}; no group holds enough films of both classes"
    low = known_rows.loc[known_rows["estimate"].idxmin()]
    words = group_words(low["group"])
    where = words[:1].lower() + words[1:]
    return f"by {joined(names)}; the lowest AUC was {figure(low)}, of {quoted(outputs, low['arm'])} ({where})"


def _audit(outputs: Outputs) -> str | None:
    """AUC with the lesion painted over."""
    rows = outputs.select(section="audit", measure="auc", reference=None, run=..., group="lesion_masked")
    kept = rows[rows["arm"].isin(list(outputs.labels))]
    return _joined([f"{figure(row)} for {quoted(outputs, row['arm'])}" for _, row in kept.iterrows()]) or None


def _robustness(outputs: Outputs) -> str | None:
    """The lowest AUC of each model on changed films."""
    rows = outputs.select(section="robustness", measure="auc", reference=None, group=...)
    rows = rows[rows["estimate"].notna() & rows["arm"].isin(list(outputs.labels))]
    low = [part.loc[part["estimate"].idxmin()] for _, part in rows.groupby("arm", sort=False)]
    told = [f"{figure(row)} for {quoted(outputs, row['arm'])} ({row['group']}, step {row['at']:g})" for row in low]
    return f"the lowest AUC was {_joined(told)}" if told else None


def _alarms(outputs: Outputs) -> str | None:
    alarms = outputs.audit.get("alarms")
    if not alarms:
        return None
    raised = [str(a["alarm"]).partition(":")[0].replace("_", " ") for a in alarms if a.get("raised")]
    return f"{len(raised)} of {len(alarms)} checks raised an alarm" + (f" ({joined(raised)})" if raised else "")


def _baseline(outputs: Outputs) -> str | None:
    rows = outputs.select(section="baseline", measure="auc", reference=None, run=..., group=...)
    return figure(rows.iloc[0]) if isinstance(rows, pd.DataFrame) and len(rows) else None


def _cautions(outputs: Outputs) -> str | None:
    held = outputs.analysis.get("cautions") or {}
    told = [line(text).rstrip(".") + "." for kind in ("instead", "beside", "other") for text in held.get(kind) or []]
    return " ".join(told) or None


# --- sample size ------------------------------------------------------------------------------------------------------


def _precision(outputs: Outputs) -> str | None:
    """How wide the intervals came out, measure by measure."""
    risk = {"recalibration": "logistic", "reference": None}
    asked: dict[str, dict[str, Any]] = {
        "AUC": {"section": "discrimination", "measure": "auc"},
        "sensitivity": {"section": "operating_points", "measure": "sensitivity", **outputs.point},
        "calibration slope": {"section": "calibration", "measure": "calibration_slope", **risk},
        "logarithm of observed to expected": {"section": "calibration", "measure": "log_oe", **risk},
        "net benefit at a threshold probability of 10 %": {
            "section": "decision", "measure": "net_benefit", "at": 0.1, **risk},
    }  # fmt: skip
    told = []
    for word, ask in asked.items():
        rows = {arm: outputs.one(**{"reference": None, **ask, "arm": arm}) for arm in outputs.labels}
        wide = {arm: row["upper"] - row["lower"] for arm, row in rows.items() if row is not None}
        if said := [f"{fixed(width)} for {quoted(outputs, arm)}" for arm, width in wide.items() if known(width)]:
            told.append(f"{word} {_joined(said)}")
    level = percent(outputs.settings.get("confidence", 0.95))
    return f"widths of the {level} intervals reached: {'. '.join(map(sentence_case, told))}" if told else None


def _films_needed(outputs: Outputs) -> str | None:
    """External films that intervals of the usual widths need, by Riley's formulas at the reference model's AUC."""
    row = outputs.one(section="discrimination", measure="auc", arm=outputs.reference, reference=None)
    films, malignant = (cohort_count(outputs, "external", name) for name in ("films", "malignant_films"))
    if row is None or not known(row["estimate"]) or not 0.5 < row["estimate"] < 1 or not films or not malignant:
        return None
    words = {"auc": "AUC", "calibration_slope": "calibration slope", "oe": "observed to expected"}
    words |= {"net_benefit": "standardised net benefit at a threshold probability of 10 %"}
    needed = films_needed(float(row["estimate"]), malignant / films, {k: WIDTHS[k] for k in words})
    told = [f"{words[one.measure]} {one.width:g}: {one.films:,}" for one in needed.itertuples() if known(one.films)]
    about = f"with one training run, an AUC of {fixed(row['estimate'])} and {percent(malignant / films)} malignant"
    return f"external films that a 95 % interval of this width needs, {about}: {'; '.join(told)}" if told else None
