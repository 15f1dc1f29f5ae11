"""Numbers of the table of results, and the words for its columns, as a reader sees them.

A number is written as ``0.954 (0.937 to 0.970)`` and carries its place in statistics.csv as ``data-row``: it can
be traced. Texts are escaped here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

import pandas as pd
from markupsafe import Markup

from osteotl.html import Child, tag

MINUS = "\N{MINUS SIGN}"
SIGNS = "●■▲◆▼✚"  # one sign a model, in the order of the figures' markers: colour is never the only difference
# measures that compare two models and are no differences
UNSIGNED = ("share", "false_difference_rate", "false_positive_rate", "tau2", "i2")
NO_INTERVAL_DUE = "without an interval"  # how the note of a count, a setting, a share or a single run ends


@dataclass(frozen=True)
class Look:
    """How a measure is written.

    Attributes
    ----------
    name : str
        In words.
    digits : int
    scale : float
        Factor of the shown number.
    unit, gap : str
        Unit of an estimate and of a difference, as they stand in a heading.
    """

    name: str
    digits: int = 3
    scale: float = 1.0
    unit: str = ""
    gap: str = ""


def _rate(name: str) -> Look:
    return Look(name, 1, 100.0, "%", "percentage points")


LOOKS = {
    "auc": Look("AUC"),
    "average_precision": Look("Average precision"),
    "max_f1": Look("Largest F1"),
    "sensitivity": _rate("Sensitivity"),
    "specificity": _rate("Specificity"),
    "specificity_at_equal_sensitivity": _rate("Specificity at equal sensitivity"),
    "accuracy": _rate("Accuracy"),
    "ppv": _rate("PPV"),
    "npv": _rate("NPV"),
    "lr_positive": Look("LR+", 1),
    "lr_negative": Look(f"LR{MINUS}", 2),
    "f1": Look("F1"),
    "missed_per_100": Look("Tumours missed", 1, unit="of 100 malignant", gap="of 100 malignant"),
    "false_alarms_per_1000": Look("False alarms", 0, unit="on 1,000 normal", gap="on 1,000 normal"),
    "threshold": Look("Threshold", 4),
    "net_benefit": Look("Net benefit", 1, 1000.0, "per 1,000 films", "per 1,000 films"),
    "brier": Look("Brier score (0 is perfect)"),
    "log_oe": Look("Log of observed to expected (ideal 0)", 2),
    "calibration_slope": Look("Calibration slope (ideal 1)", 2),
    "calibration_intercept": Look("Calibration intercept (ideal 0)", 2),
    "calibration_in_the_large": Look("Calibration in the large (ideal 0)", 2),
    "ici": Look("Mean distance of predicted from observed risk (ICI)"),
    "e50": Look("Median distance of predicted from observed risk (E50)"),
    "e90": Look("90th percentile of that distance (E90)"),
    "emax": Look("Largest distance (Emax)"),
    "lroc_auc": Look("Area under the localisation ROC curve (LROC)"),
    "lroc_sensitivity": _rate("Tumours called and correctly localised"),
    "froc_sensitivity": _rate("Lesions marked"),
    "localisation_error": Look("Localisation errors", 1, 100.0, "of 100 malignant", "of 100 malignant"),
    "wafroc_auc": Look("Area under the weighted free-response curve (wAFROC)"),
    "coco_ap": Look("Average precision of boxes"),
    "boxes_hit": Look("Boxes that hit a lesion", 1),
    "boxes_duplicate": Look("Duplicate boxes of a lesion", 1),
    "boxes_misplaced": Look("Misplaced boxes (near a lesion)", 1),
    "boxes_background": Look("Boxes on the background", 1),
    "lesions_missed": Look("Lesions that no box hits", 1),
    "auc_new_site": Look("AUC, what a new site may see"),
    "tau2": Look("Variance between sites (tau²), of the logit or of the difference", 5),
    "i2": Look("Share of the variance that chance does not explain (I²)", 0, 100.0, "%", "%"),
    "missing_malignant_films": Look("Malignant films without a score", 0),
    "missing_normal_films": Look("Normal films without a score", 0),
    "share": Look("Share of the variance", 0, 100.0, "%", "percentage points"),
    "run_sd": Look("Standard deviation between training runs", 4),
    "delong": Look("Difference in AUC, DeLong's test"),
    "delong_clustered": Look("Difference in AUC, Obuchowski's test for films clustered by patient"),
    "mcnemar_exact": _rate("McNemar's test, exact"),
    "mcnemar_midp": _rate("McNemar's test, mid-p"),
    "mcnemar_corrected": _rate("McNemar's test, continuity corrected"),
    "mcnemar_clustered": _rate("McNemar's test, films clustered by patient"),
    "tango": _rate("Difference, Tango's score interval"),
    "clustered_difference": _rate("Difference, films clustered by patient"),
    "false_difference_rate": Look("Runs of one model that would differ by chance", 0, 100.0, "%", "%"),
    "false_positive_rate": Look("Pairs of equal runs that were called different", 0, 100.0, "%", "%"),
    "ppv_score_test": _rate("PPV, weighted generalised score test"),
    "npv_score_test": _rate("NPV, weighted generalised score test"),
    "ppv_bootstrap": _rate("PPV, bootstrap"),
    "npv_bootstrap": _rate("NPV, bootstrap"),
    "lesion_masked": Look("AUC, lesions painted over"),
    "only_lesion": Look("AUC, the lesion alone"),
    "flipped": Look("AUC, mirrored films"),
    "as_is": Look("AUC, unchanged films"),
    "class_probe": Look("AUC of a linear classifier on the detector's features, lesions painted over"),
    "site_probe": Look("Sites told apart from the detector's features, balanced accuracy"),
    "films": Look("Films", 0),
    "patients": Look("Patients", 0),
    "malignant_films": Look("Malignant films", 0),
    "normal_films": Look("Normal films", 0),
    "malignant_patients": Look("Patients with a tumour", 0),
    "normal_patients": Look("Patients without a tumour", 0),
}

POINTS = {
    "high_sensitivity": "high sensitivity",
    "high_specificity": "high specificity",
    "youden": "Youden index",
    "closest": "closest to the corner",
    "given": "given threshold",
}
SOURCES = {"validation": "validation films (locked)", "external": "external films", "given": "given beforehand"}
UNITS = {"film": "film", "patient": "patient", "lesion": "lesion"}
SCORES = {
    "none": "as given",
    "logistic": "recalibrated",
}
HEADS = {
    "measure": "Measure", "arm": "Model", "reference": "Compared with", "run": "Run", "fraction": "Share of labels",
    "unit": "Counted by", "point": "Operating point", "threshold_from": "Thresholds from", "at": "At",
    "prevalence": "Share of malignant films", "group": "Group", "reference_group": "Compared with",
    "recalibration": "Scores", "confidence": "Level", "section": "Question",
}  # fmt: skip
LEVELS = {"F": "female", "M": "male", "0": "not malignant", "1": "malignant"}

Labels = Mapping[str, str]
"""Label of every model by its name, the reference model first."""


# --- numbers ----------------------------------------------------------------------------------------------------------


def known(value: Any) -> bool:
    """Whether this is a finite number."""
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)


def fixed(value: float, digits: int = 3, scale: float = 1.0, signed: bool = False) -> str:
    """A number with a true minus sign and thousands set apart by commas; what rounds to zero has no sign."""
    text = f"{abs(value) * scale:,.{digits}f}"
    if not float(text.replace(",", "")):
        return text
    return f"{MINUS}{text}" if value < 0 else f"+{text}" if signed else text


def p_value(p: Any) -> str:
    """`0.037` or `< 0.001`, never 0; 'not estimable' where there is none."""
    return "not estimable" if not known(p) else "< 0.001" if p < 0.001 else f"{p:.3f}"


def look_of(row: Mapping[str, Any]) -> Look:
    """How the measure of a row is written."""
    measure = str(row["measure"])
    return LOOKS.get(measure) or Look(sentence_case(measure.replace("_", " ")))


def is_difference(row: Mapping[str, Any]) -> bool:
    """Whether a row compares two models or two groups."""
    return bool(row["reference"] or row["reference_group"]) and row["measure"] not in UNSIGNED


def number_text(row: Mapping[str, Any], interval: bool = True) -> str:
    """The number of a row as plain text: `84.3 (78.9 to 88.6)`."""
    look, signed = look_of(row), is_difference(row)
    if not known(row["estimate"]):
        return "not estimable"
    digits = _digits(row, look)
    text, *limits = (
        fixed(row[name], digits, look.scale, signed) if known(row[name]) else ""
        for name in ("estimate", "lower", "upper")
    )
    return f"{text} ({limits[0]} to {limits[1]})" if interval and all(limits) else text


def _digits(row: Mapping[str, Any], look: Look) -> int:
    """One more or two where a share would read as 100.0 % without being all."""
    ends = [row[name] for name in ("estimate", "lower", "upper") if known(row[name])]
    digits = look.digits
    if look.unit == "%" and not is_difference(row):
        while digits < 3 and any(v < 1 and float(f"{100 * v:.{digits}f}") == 100 for v in ends):
            digits += 1
    return digits


def number(row: Mapping[str, Any], interval: bool = True) -> Markup:
    """The number of a row with its interval, marked with its place in statistics.csv."""
    if not known(row["estimate"]):
        return tag("span", "not estimable", class_="missing")
    scale = look_of(row).scale
    text, space, limits = number_text(row, interval).partition(" ")
    behind = [space, tag("span", limits, class_="ci")] if limits else None
    return _marked(row, [text, behind], data_scale=None if scale == 1 else f"{scale:g}")


def value(row: Mapping[str, Any], column: str, digits: int = 0) -> Markup:
    """Another number of a row, such as its n, its events or one limit."""
    if not known(row[column]):
        return tag("span", "not known", class_="missing")
    return _marked(row, fixed(row[column], digits), data_column=column)


def p_number(row: Mapping[str, Any], column: str = "p") -> Markup:
    """The p value of a row."""
    if not known(row[column]):
        return Markup("")
    return _marked(row, p_value(row[column]), data_column=column)


def p_phrase(row: Mapping[str, Any]) -> Markup:
    """`p = 0.037`, `p < 0.001`, or 'no test'."""
    if not known(row["p"]):
        return Markup("no test")
    told = Markup("p\N{NO-BREAK SPACE}{}") if row["p"] < 0.001 else Markup("p\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}{}")
    return told.format(p_number(row))


def saved(results: pd.DataFrame) -> pd.DataFrame:
    """The whole table of statistics.csv, its rows named by their number ('0' is the first below the header).

    Tables made from it show where each number stands; results of a notebook's cell have no such names.
    """
    return results.set_axis([str(i) for i in range(len(results))])


def _marked(row: Any, text: Child, **attributes: Any) -> Markup:
    place = getattr(row, "name", None)
    return tag("span", text, class_="n", data_row=place if isinstance(place, str) else None, **attributes)


# --- words ------------------------------------------------------------------------------------------------------------


def sentence_case(text: str) -> str:
    """The text with its first letter in upper case."""
    return text[:1].upper() + text[1:]


def joined(parts: Sequence[str]) -> str:
    """`a, b and c`."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}" if parts else ""


def percent(share: float) -> str:
    """A share as a percentage without needless digits: `0.1 %`."""
    return f"{100 * share:.4g} %"


def mark(arm: str, labels: Labels) -> Markup:
    """Sign and label of a model, in its colour."""
    if arm not in labels:
        return Markup("{}").format(arm)
    index = list(labels).index(arm) % len(SIGNS)
    sign = tag("span", SIGNS[index], class_="sign", aria_hidden="true")
    return tag("span", sign, "\N{NO-BREAK SPACE}", labels[arm], class_=f"arm arm-{index}")


def point_words(point: Mapping[str, str]) -> str:
    """`high sensitivity, thresholds from the validation films (locked)`; empty without a point."""
    if not point:
        return ""
    name, source = point["point"], point["threshold_from"]
    return f"{POINTS.get(name, name.replace('_', ' '))}, {source_words(source)}"


def source_words(source: str) -> str:
    """`thresholds from the validation films (locked)`, `thresholds given beforehand`."""
    named = SOURCES.get(source, source)
    return f"thresholds {named}" if source == "given" else f"thresholds from the {named}"


def group_words(group: str) -> str:
    """`sex=F` as `Sex: female`."""
    if not group:
        return "all films"
    name, equals, level = group.partition("=")
    if group in LOOKS:
        return LOOKS[group].name
    if not equals:
        return sentence_case(name.replace("_", " "))
    level = level.strip().replace(">=", "≥").replace("<=", "≤")
    return f"{sentence_case(name.replace('_', ' '))}: {LEVELS.get(level, level)}"


def words(column: str, content: Any, labels: Labels) -> Child:
    """The value of an identifying column as a reader sees it."""
    if column in ("arm", "reference"):
        return mark(str(content), labels) if content else ""
    if column in ("prevalence", "fraction", "confidence"):
        return percent(content) if known(content) else "As in this study"
    if column in ("group", "reference_group"):
        return group_words(str(content))
    named = {"point": POINTS, "threshold_from": SOURCES, "unit": UNITS, "recalibration": SCORES}.get(column)
    if named is not None:
        told = named.get(str(content), str(content).replace("_", " "))
        return told if column == "unit" else sentence_case(told)
    if column == "run":
        return f"Run\N{NO-BREAK SPACE}{content}" if str(content)[:1].isdigit() else str(content) or "Mean over runs"
    return str(content).replace("_", " ")


def at_words(row: Mapping[str, Any]) -> str:
    """What a measure is taken at: a threshold probability, false marks a film, an overlap."""
    at, measure = row["at"], row["measure"]
    if measure == "net_benefit":
        return percent(at)
    if measure == "froc_sensitivity":
        return f"{at:g} false mark{'' if at == 1 else 's'} per film"
    if measure == "coco_ap":
        return f"IoU {at:g}" if known(at) else "IoU 0.50 to 0.95"
    return f"{at:g}" if known(at) else ""


def measure_words(measure: str) -> str:
    """The name of a measure."""
    return look_of({"measure": measure}).name


def heading(row: Mapping[str, Any]) -> str:
    """The measure of a row with its unit: `Sensitivity, %`."""
    look = look_of(row)
    unit = look.gap if is_difference(row) else look.unit
    return f"{look.name}, {unit}" if unit else look.name
