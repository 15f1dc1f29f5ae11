"""Results as tables for a reader, in the notebooks and on the page alike.

A cell of a table is a text, Markup, or a row of the table of results (see `diagnostic_accuracy.estimates`). A row is
written as ``0.954 (0.937 to 0.970)`` and carries its number in statistics.csv as ``data-row``, so that every number can
be traced. Texts are escaped here.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Real
from string import ascii_lowercase
from typing import Any

import pandas as pd
from markupsafe import Markup

from osteotl.html import Child, join, paragraph, tag

MINUS = "\N{MINUS SIGN}"
SIGNS = "●■▲◆▼✚"  # one sign a model, in the order of the figures' markers: colour is never the only difference
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
    "partial_auc": Look("Partial AUC"),
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
    "lesion_sensitivity": _rate("Lesions marked at the operating point"),
    "localisation_error_per_100": Look("Localisation errors", 1, unit="of 100 malignant", gap="of 100 malignant"),
    "false_marks_per_film": Look("False marks a film", 2),
    "wafroc_auc": Look("Area under the weighted free-response curve (wAFROC)"),
    "coco_ap": Look("Average precision of boxes"),
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
    "youden": "Youden",
    "closest": "closest to the corner",
    "given": "given threshold",
}
SOURCES = {"validation": "validation films (locked)", "external": "external films", "given": "given beforehand"}
UNITS = {"film": "film", "patient": "patient", "lesion": "lesion"}
SCORES = {
    "none": "as given",
    "logistic": "recalibrated",
    "isotonic": "recalibrated, isotonic",
    "beta": "recalibrated, beta",
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
    return bool(row["reference"] or row["reference_group"]) and row["measure"] not in ("share", "false_difference_rate")


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


def counted(count: int, thing: str) -> str:
    """`1 film`, `2,000 films`."""
    return f"{count:,} {thing}{'' if count == 1 else 's'}"


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
    return f"{POINTS.get(name, name.replace('_', ' '))}, thresholds from the {SOURCES.get(source, source)}"


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
        return percent(content) if known(content) else "as in this study"
    if column in ("group", "reference_group"):
        return group_words(str(content))
    named = {"point": POINTS, "threshold_from": SOURCES, "unit": UNITS, "recalibration": SCORES}.get(column)
    if named is not None:
        return named.get(str(content), str(content).replace("_", " "))
    if column == "run":
        return f"run {content}" if str(content)[:1].isdigit() else str(content) or "mean over runs"
    return str(content).replace("_", " ")


def at_words(row: Mapping[str, Any]) -> str:
    """What a measure is taken at: a threshold probability, false marks a film, an overlap."""
    at, measure = row["at"], row["measure"]
    if measure == "net_benefit":
        return percent(at)
    if measure == "froc_sensitivity":
        return f"{at:g} false marks a film"
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


# --- forest plots in tables -------------------------------------------------------------------------------------------


LINE = {"stroke": "currentColor"}  # holds where no stylesheet does
SIZE = {"viewBox": "0 0 200 20", "width": 200, "height": 20, "aria_hidden": "true"}


@dataclass(frozen=True)
class Forest:
    """Intervals drawn in a table's column, with an axis below.

    Attributes
    ----------
    low, high : float
        Ends of the axis, in the unit of the results.
    zero : float or None
        Where a line is drawn.
    band : (float, float) or None
        A shaded range, such as the margin.
    """

    low: float
    high: float
    zero: float | None = None
    band: tuple[float, float] | None = None

    @classmethod
    def around(
        cls, results: pd.DataFrame, zero: float | None = None, band: tuple[float, float] | None = None
    ) -> Forest:
        """An axis that holds every estimate and limit of some results."""
        ends = results[["estimate", "lower", "upper"]].to_numpy(float).ravel()
        held = [v for v in ends if math.isfinite(v)] + [v for v in (zero, *(band or ())) if v is not None]
        low, high = (min(held), max(held)) if held else (0.0, 1.0)
        air = 0.06 * (high - low or 1.0)
        return cls(low - air, high + air, zero, band)

    def x(self, at: float) -> float:
        """Position in a drawing 200 wide, kept inside it."""
        return round(200 * min(1.0, max(0.0, (at - self.low) / (self.high - self.low))), 1)

    def cell(self, row: Mapping[str, Any], index: int) -> Markup:
        """One row's interval, with the sign of model number `index` at the estimate."""
        shapes: list[Markup] = []
        if self.band:
            left, right = self.x(self.band[0]), self.x(self.band[1])
            shapes.append(
                tag("rect", x=left, y=0, width=round(right - left, 1), height=20, class_="band", fill="none", **LINE)
            )
        if self.zero is not None:
            shapes.append(tag("line", x1=self.x(self.zero), x2=self.x(self.zero), y1=0, y2=20, class_="zero", **LINE))
        if known(row["estimate"]):
            if known(row["lower"]) and known(row["upper"]):
                ends = {"x1": self.x(row["lower"]), "x2": self.x(row["upper"])}
                shapes.append(tag("line", **ends, y1=10, y2=10, class_="whisker", **LINE))
            shapes.append(_sign(index, self.x(row["estimate"])))
        return tag("svg", shapes, class_=f"forest arm-{index}", **SIZE)

    def axis(self, look: Look, signed: bool) -> Markup:
        """The axis with its ticks."""
        shapes = [tag("line", x1=0, x2=200, y1=1, y2=1, class_="zero", **LINE)]
        for at in ticks(self.low * look.scale, self.high * look.scale):
            x = self.x(at / look.scale)
            digits = max(0, min(look.digits, 4))
            text = f"{fixed(at, digits, signed=signed)}".rstrip("0").rstrip(".") if digits else fixed(at, 0)
            shapes.append(tag("line", x1=x, x2=x, y1=1, y2=5, class_="zero", **LINE))
            shapes.append(tag("text", text or "0", x=x, y=16, text_anchor="middle", font_size=11))
        return tag("svg", shapes, class_="forest axis", **SIZE)


def ticks(low: float, high: float, most: int = 4) -> list[float]:
    """Round numbers between two ends."""
    span = high - low
    step = 10 ** math.floor(math.log10(span / most))
    step *= next((m for m in (1, 2, 5, 10) if span / (m * step) <= most), 10)
    first = math.ceil(low / step)
    return [round(i * step, 10) for i in range(first, math.floor(high / step) + 1)]


def _sign(index: int, x: float) -> Markup:
    paths = (
        "M{0} 10m-5 0a5 5 0 1 0 10 0a5 5 0 1 0-10 0",
        "M{0} 10m-4.5-4.5h9v9h-9z",
        "M{0} 10m-5 4.5h10l-5-9z",
        "M{0} 10m-5.5 0l5.5-5.5l5.5 5.5l-5.5 5.5z",
        "M{0} 10m-5-4.5h10l-5 9z",
        "M{0} 10m-5-1.5h10v3h-10zm3.5-3.5h3v10h-3z",
    )
    return tag("path", d=paths[index % len(paths)].format(x), class_="estimate")


# --- tables -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Numeric:
    """Heading of a column of numbers; '#' in front of a plain text says the same."""

    text: Child


@dataclass(frozen=True)
class Table:
    """A table for a reader: shown in a notebook, or put into a section of the page.

    Attributes
    ----------
    caption : text
        What the table shows; also the name of its frame for a screen reader.
    heads : sequence of text
        Column headings. '#' in front marks a column of numbers.
    rows : sequence of sequences
        The first cell is the row's heading. A cell is text, Markup or a row of results.
    foot : sequence, optional
        A last row, such as an axis.
    class_ : str
    """

    caption: Child
    heads: Sequence[Child]
    rows: Sequence[Sequence[Child]]
    foot: Sequence[Child] = ()
    class_: str = ""
    notes: dict[str, str] = field(default_factory=dict, repr=False)

    def __html__(self) -> str:
        named = [_heading(h) for h in self.heads]
        names, numeric = [name for name, _ in named], [n for _, n in named]
        head = [tag("th", h, scope="col", class_="n" if n else None) for h, n in named]
        self.notes.clear()
        told = [re.sub(r"<[^>]*>", "", str(join(n))) if "burdens" in self.class_ else None for n in names]
        body = [tag("tr", [self._cell(i, c, numeric[i], told[i]) for i, c in enumerate(row)]) for row in self.rows]
        foot = tag("tr", [self._cell(i, c, numeric[i]) for i, c in enumerate(self.foot)])
        inner = tag(
            "table", tag("caption", tag("span", self.caption)), tag("thead", tag("tr", head)), tag("tbody", body),
            tag("tfoot", foot) if self.foot else None, class_=self.class_ or None,
        )  # fmt: skip
        plain = re.sub(r"<[^>]*>", "", str(join(self.caption)))
        frame = tag("div", inner, class_="scroll", role="group", tabindex="0", aria_label=Markup(plain))
        said = [paragraph(tag("sup", sign), " ", note, class_="fine") for note, sign in self.notes.items()]
        return str(join([frame, said]))

    _repr_html_ = __html__

    def _cell(self, column: int, content: Child, numeric: bool, head: str | None = None) -> Markup:
        if isinstance(content, pd.Series):
            content = [number(content), self._note(content)]
        if column == 0:
            return tag("th", content, scope="row")
        return tag("td", content, class_="n" if numeric else None, data_name=head)

    def _note(self, row: pd.Series) -> Markup | None:
        """A sign that leads to the reason below the table."""
        note = str(row["note"])
        if not note or note.endswith(NO_INTERVAL_DUE):
            return None
        sentence, following = f"{sentence_case(note.rstrip('.'))}.", ascii_lowercase[len(self.notes) % 26]
        return tag("sup", self.notes.setdefault(sentence, following))


def _heading(head: Child) -> tuple[Child, bool]:
    if isinstance(head, Numeric):
        return head.text, True
    if isinstance(head, str) and not isinstance(head, Markup) and head.startswith("#"):
        return head[1:], True
    return head, False


def grid(
    results: pd.DataFrame,
    caption: Child,
    labels: Labels,
    *,
    rows: Sequence[str] = ("arm",),
    columns: str = "measure",
    forest: Forest | None = None,
    beside: tuple[str, Mapping[str, str]] | None = None,
    names: Mapping[str, str] | None = None,
) -> Table | None:
    """Rows of results as a table: one column each for some identifying columns, one for each value of another.

    Parameters
    ----------
    results : DataFrame
        A selection of the table of results.
    caption : text
    labels : mapping
        Labels of the models, the reference model first; gives their order.
    rows : sequence of str
        Identifying columns that tell the table's rows apart.
    columns : str
        Identifying column whose values become columns; each has a column of p values where there is one.
    forest : Forest, optional
        Draws the interval of the first column.
    beside : (heading, mapping), optional
        A further column, by the value of the first of `rows`.
    names : mapping, optional
        Headings of identifying columns, in place of the usual ones.

    Returns
    -------
    Table or None
        None where there are no results.

    Raises
    ------
    ValueError
        Two results fall into one cell: name a further column in `rows`.
    """
    keys = [*rows, columns]
    if results.empty:
        return None
    if len(double := results[results.duplicated(keys)]):
        told = ", ".join(f"{key}={double.iloc[0][key]}" for key in keys)
        raise ValueError(f"several results have {told}; name a further identifying column in `rows`")
    across = _ordered(results[columns], columns, labels)
    tested = [c for c in across if results.loc[_is(results, columns, c), "p"].notna().any()]
    headings = {**HEADS, **(names or {})}
    heads: list[Child] = [headings.get(name, name) for name in rows]
    heads += [Numeric(beside[0])] if beside else []
    for content in across:
        first = results[_is(results, columns, content)].iloc[0]
        words_of = heading(first) if columns == "measure" else words(columns, content, labels)
        heads.append(Numeric(words_of))
        heads += ["#p"] if content in tested else []
    body = []
    for key, part in _rows(results, list(rows), labels):
        cells: list[Child] = [_row_words(n, k, part, labels) for n, k in zip(rows, key, strict=True)]
        cells += [beside[1].get(key[0], "")] if beside else []
        for content in across:
            found = part[_is(part, columns, content)]
            cells.append(found.iloc[0] if len(found) else "")
            if content in tested:
                cells.append(p_number(found.iloc[0]) if len(found) else "")
        if forest is not None:
            cells.append(forest.cell(part.iloc[0], _index(part.iloc[0]["arm"], labels)))
        body.append(cells)
    foot: list[Child] = []
    if forest is not None:
        heads.append("Interval")
        axis = forest.axis(look_of(results.iloc[0]), is_difference(results.iloc[0]))
        foot = [*[""] * (len(heads) - 1), axis]
    kind = "forest-table" if forest else "dense" if len(heads) > 7 else ""
    return Table(caption, heads, body, foot, class_=kind)


def _row_words(column: str, content: Any, part: pd.DataFrame, labels: Labels) -> Child:
    if column in ("measure", "at"):
        return heading(part.iloc[0]) if column == "measure" else at_words(part.iloc[0])
    return words(column, content, labels)


def _index(arm: str, labels: Labels) -> int:
    return list(labels).index(arm) % len(SIGNS) if arm in labels else 0


def _is(results: pd.DataFrame, column: str, content: Any) -> pd.Series:
    return results[column].isna() if content != content else results[column] == content


def _ordered(values: pd.Series, column: str, labels: Labels) -> list[Any]:
    found = list(dict.fromkeys("nan" if v != v else v for v in values))
    found = [math.nan if v == "nan" and column in ("at", "prevalence", "fraction") else v for v in found]
    if column in ("arm", "reference"):
        order = list(labels)
        found.sort(key=lambda arm: order.index(arm) if arm in order else len(order))
    return found


def _rows(results: pd.DataFrame, keys: list[str], labels: Labels) -> Iterable[tuple[tuple[Any, ...], pd.DataFrame]]:
    """Groups in the order in which they appear, models in the order of their labels."""
    orders = [_ordered(results[key], key, labels) for key in keys]
    found: list[tuple[tuple[int, ...], tuple[Any, ...], pd.DataFrame]] = []
    for key, part in results.groupby(keys, sort=False, dropna=False):
        place = tuple(_place(order, k) for order, k in zip(orders, key, strict=True))
        found.append((place, key, part))
    return [(key, part) for _, key, part in sorted(found, key=lambda entry: entry[0])]


def _place(order: list[Any], content: Any) -> int:
    return next(i for i, v in enumerate(order) if v == content or (v != v and content != content))


def show(results: pd.DataFrame, labels: Labels | None = None, caption: Child = "") -> Table:
    """Rows of results with whatever tells them apart: for a notebook.

    Parameters
    ----------
    results : DataFrame
        A table of results, or a selection of one.
    labels : mapping, optional
        Labels of the models; default: their names.
    caption : text
    """
    labels = labels if labels is not None else {arm: arm for arm in dict.fromkeys(results["arm"]) if arm}
    identity = [name for name in HEADS if name not in ("measure", "confidence")]
    telling = [name for name in identity if len(set(results[name].fillna(""))) > 1]
    extra = [name for name in ("p", "p_adjusted") if results[name].notna().any()]
    heads = ["Measure", *(HEADS[n] for n in telling), "#Estimate (interval)",
             *({"p": "#p", "p_adjusted": "#p, adjusted"}[n] for n in extra), "#n", "What varies"]  # fmt: skip
    rows = [
        [heading(row), *(words(n, row[n], labels) for n in telling), row, *(p_number(row, n) for n in extra),
         value(row, "n") if known(row["n"]) else "", row["basis"]]
        for _, row in results.iterrows()
    ]  # fmt: skip
    level = results["confidence"].dropna().unique()
    default = f"{percent(level[0])} intervals" if len(level) == 1 else "Results"
    return Table(caption or default, heads, rows)


# --- films and patients -----------------------------------------------------------------------------------------------


FACTS = {"subtype": "Subtype", "age": "Age", "sex": "Sex", "view": "View", "site": "Site", "size_mm": "Size, mm"}


def film_table(films: pd.DataFrame, caption: Child, labels: Labels, counted_as: str = "called") -> Table:
    """Films as rows: what is known of them, and in how many runs each model calls or misses them.

    Parameters
    ----------
    films : DataFrame
        One row a film and model: image_id, arm, runs, called, mean_score, and facts of the film.
    caption : text
    labels : mapping
    counted_as : {"called", "missed"}
        What is counted over the runs.

    Returns
    -------
    Table
        Each film leads to its picture, where the page has one.
    """
    facts = [name for name in FACTS if name in films and films[name].fillna("").astype(str).ne("").any()]
    arms = [arm for arm in labels if arm in set(films["arm"])]
    heads: list[Child] = ["Film", *(FACTS[name] for name in facts)]
    for arm in arms:
        heads += [join([mark(arm, labels), f", {counted_as} by"]), "#Mean score"]
    by_arm = {arm: films[films["arm"] == arm].set_index("image_id") for arm in arms}
    rows = []
    for image_id, part in films.groupby("image_id", sort=False):
        first = part.iloc[0]
        cells: list[Child] = [tag("a", str(image_id), href=f"#film-{image_id}")]
        cells += [_fact(first[name]) for name in facts]
        for arm in arms:
            if image_id not in by_arm[arm].index:
                cells += ["", ""]
                continue
            row = by_arm[arm].loc[image_id]
            count = row["called"] if counted_as == "called" else row["runs"] - row["called"]
            cells += [f"{count:.0f} of {row['runs']:.0f}", fixed(row["mean_score"], 3)]
        rows.append(cells)
    return Table(caption, heads, rows)


def _fact(content: Any) -> str:
    if content is None or content != content:
        return ""
    return f"{content:g}" if isinstance(content, float) else str(LEVELS.get(str(content), content))


COHORTS = {"pretrain": "pretraining", "other_modality": "other modality"}


def characteristics(films: pd.DataFrame, unit: str = "film") -> Table:
    """Table 1: who was studied, by cohort, partition and class.

    Parameters
    ----------
    films : DataFrame
        Cohort tables below each other: cohort, partition, label, patient_id; age, sex, view, site, subtype as known.
    unit : {"film", "patient"}
        Rows that are counted. A patient with a malignant film counts as malignant, with the age of the first film.

    Returns
    -------
    Table
        Characteristics as rows, groups as columns.
    """
    if unit == "patient":
        malignant = films.sort_values("label", ascending=False, kind="stable")
        films = malignant.drop_duplicates(["cohort", "partition", "patient_id"]).sort_index()
    groups = sorted(films.groupby(["cohort", "partition", "label"], sort=False), key=lambda entry: _order(*entry[0]))
    heads = ["Characteristic", *(f"#{_group_name(*key)}" for key, _ in groups)]
    facts = [_facts(part, unit) for _, part in groups]
    names = sorted(dict.fromkeys(name for entry in facts for name in entry), key=lambda name: _KINDS.index(_kind(name)))
    rows = [[name, *(entry.get(name, "") for entry in facts)] for name in names]
    return Table(f"Table 1. Characteristics by {unit}", heads, rows, class_="wide")


_KINDS = ("Films", "Patients", "Age", "Sex", "View", "Site", "Subtype")
_PARTITIONS = ("training", "validation", "test")


def _kind(name: str) -> str:
    """`Site: A` is a row on sites."""
    return re.split(r"[:, ]", name)[0]


def _order(cohort: str, partition: str, label: int) -> tuple[int, int, int]:
    """Cohorts and partitions in the order of their use, malignant films first."""
    cohorts = ("pretrain", "other_modality", "development", "external")
    places = (cohorts.index(cohort) if cohort in cohorts else len(cohorts),
              _PARTITIONS.index(partition) if partition in _PARTITIONS else len(_PARTITIONS))  # fmt: skip
    return *places, -int(label)


def _group_name(cohort: str, partition: str, label: int) -> str:
    name = COHORTS.get(cohort, cohort) if partition in ("test", "") or cohort in COHORTS else f"{cohort}, {partition}"
    return f"{sentence_case(name)}: {'malignant' if label else 'not malignant'}"


def _facts(part: pd.DataFrame, unit: str) -> dict[str, str]:
    total = len(part)
    facts = {f"{sentence_case(unit)}s": f"{total:,}"}
    if unit == "film":
        facts["Patients"] = f"{part['patient_id'].nunique():,}"
    if "age" in part and part["age"].notna().any():
        low, middle, high = part["age"].dropna().quantile([0.25, 0.5, 0.75])
        facts["Age, years: median (quartiles)"] = f"{middle:.0f} ({low:.0f} to {high:.0f})"
        if part["age"].isna().any():
            facts["Age not known"] = f"{int(part['age'].isna().sum()):,}"
    columns = ("sex", "view", "site", "subtype") if unit == "film" else ("sex", "site", "subtype")
    for column in columns:
        if column not in part or not part[column].notna().any():
            continue
        for level, count in part[column].fillna("not known").astype(str).value_counts().sort_index().items():
            facts[f"{sentence_case(column)}: {LEVELS.get(level, level)}"] = f"{count:,} ({100 * count / total:.0f} %)"
    return facts
