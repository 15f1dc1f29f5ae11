"""The first screen: is one model better, by how much, does it matter.

`answer` builds the sentences from rows of the results; it reads no file and knows no layout.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
from markupsafe import Markup

from osteotl.display import Table, fixed, joined, known, number, p_number, p_phrase, percent, sentence_case
from osteotl.files import plural, sha256
from osteotl.html import Child, bullets, join, notice, paragraph, tag
from osteotl.report.charts import Icons, icon_array
from osteotl.report.outputs import Outputs
from osteotl.report.safety import sentence
from osteotl.report.section import Section

Row = Mapping[str, Any]
AT_THRESHOLD = "Missed tumours and false alarms"
"""Name of the line on the operating point."""
BURDENS = {
    "missed_per_100": ("misses", "tumours", "missed tumours", "per 100 malignant"),
    "false_alarms_per_1000": ("raises", "false alarms", "false alarms", "per 1,000 normal"),
}


@dataclass(frozen=True)
class Comparison:
    """Rows of results that the answer on one model rests on.

    Attributes
    ----------
    model, reference : str
        Labels.
    auc, auc_reference, difference : row
        AUC of both models and their difference.
    margin : float
        The smallest difference in AUC that the study called relevant.
    burdens : mapping of unit to mapping of measure to row
        Differences in missed tumours and false alarms, by 'film' and by 'patient', at the same thresholds.
    reached : (row, row) or None
        The rate that the threshold aims at, of the model and of the reference model.
    target : float or None
        The rate aimed at.
    threshold_from : {"validation", "external", "given", ""}
    equal : row or None
        Difference in specificity at equal sensitivity.
    objective : {"superiority", "noninferiority", "equivalence"}
    word : str
        The verdict of `diagnostic_accuracy.margins`, which decides a declared non-inferiority or equivalence.
    in_place : str
        Why there can be no verdict; empty where there can.
    beside : sequence of str
        What a reader must know beside the verdict.
    """

    model: str
    reference: str
    auc: Row | None
    auc_reference: Row | None
    difference: Row | None
    margin: float
    burdens: Mapping[str, Mapping[str, Row]] = field(default_factory=dict)
    reached: tuple[Row, Row] | None = None
    target: float | None = None
    threshold_from: str = ""
    equal: Row | None = None
    objective: str = "superiority"
    word: str = ""
    in_place: str = ""
    beside: Sequence[str] = ()


@dataclass(frozen=True)
class Answer:
    """A verdict in plain English, its lines (name and sentence), and what must be known beside it."""

    heading: str
    lines: list[tuple[str, Markup]]
    beside: list[str]
    table: Table | None = None


def direction(row: Row) -> int:
    """1 or -1 where the interval lies wholly above or below zero, else 0."""
    if not known(row["lower"]) or not known(row["upper"]):
        return 0
    return 1 if row["lower"] > 0 else -1 if row["upper"] < 0 else 0


def relevance(row: Row, margin: float) -> str:
    """'shown', 'excluded' or 'open': what the interval says of differences of the margin or more."""
    if not known(row["lower"]) or not known(row["upper"]):
        return "open"
    if row["lower"] >= margin or row["upper"] <= -margin:
        return "shown"
    return "excluded" if -margin < row["lower"] and row["upper"] < margin else "open"


def answer(comparison: Comparison) -> Answer:
    """Heading and sentences on one model against the reference model."""
    difference = comparison.difference
    if difference is None or not known(difference["estimate"]) or comparison.in_place:
        reason = comparison.in_place or _why_missing(difference)
        lines = [("Why", join([sentence_case(reason.rstrip(".")), "."]))]
        if difference is not None and known(difference["estimate"]):
            lines.append(("Numbers without a verdict", join([_auc_words(comparison), "."])))
        return Answer("No verdict", lines, list(comparison.beside))
    lines = [
        ("Separation", _separation(comparison)),
        ("Relevance", _relevance(comparison)),
        (AT_THRESHOLD, _at_threshold(comparison)),
    ]
    locked = comparison.threshold_from != "external"  # else that comparison is the one above
    if locked and comparison.equal is not None and undecided(comparison.burdens.get("film", {})):
        lines.append(("At equal sensitivity", _at_equal_sensitivity(comparison)))
    return Answer(_heading(comparison), lines, list(comparison.beside), burden_table(comparison))


def _why_missing(difference: Row | None) -> str:
    note = str(difference["note"]) if difference is not None else ""
    return f"the models cannot be compared: {note or 'the study holds one model'}"


def _heading(comparison: Comparison) -> str:
    row, margin = comparison.difference, comparison.margin
    assert row is not None
    side, relevant = direction(row), relevance(row, margin)
    if side:
        word = "Better" if side > 0 else "Worse"
        if relevant == "shown":
            return f"{word}, by a relevant difference"
        if relevant == "excluded":
            return f"Slightly {word.lower()}, by less than a relevant difference"
        small = abs(row["estimate"]) < margin
        return (
            f"Slightly {word.lower()}; a relevant difference is not excluded"
            if small
            else f"{word}; how relevant is open"
        )
    if relevant == "excluded" or comparison.word == "equivalent":
        return "No relevant difference"
    if comparison.word == "non-inferior":
        return "Not relevantly worse; whether better is open"
    return "Undecided: no difference shown, and a relevant one not excluded"


def _auc_words(comparison: Comparison) -> Markup:
    assert comparison.difference is not None
    return Markup("AUC {} v {}, difference {}, {}").format(
        _plain(comparison.auc), _plain(comparison.auc_reference), number(comparison.difference),
        p_phrase(comparison.difference),
    )  # fmt: skip


def _plain(row: Row | None) -> Markup:
    return number(row, interval=False) if row is not None else Markup("not estimable")


def _separation(comparison: Comparison) -> Markup:
    row = comparison.difference
    assert row is not None
    side, relevant = direction(row), relevance(row, comparison.margin)
    model, reference = _the(comparison.model), _the(comparison.reference)
    if side:
        degree = {True: "slightly ", False: "clearly " if relevant == "shown" else ""}[
            abs(row["estimate"]) < comparison.margin
        ]
        told = (
            f"{model} separates tumour from normal films {degree}{'better' if side > 0 else 'worse'} than {reference}"
        )
    elif relevant == "excluded":
        told = f"{model} and {reference} separate tumour from normal films about equally well"
    else:
        told = f"Whether {model} or {reference} separates tumour from normal films better is not shown"
    return Markup("{}: {}.").format(sentence_case(told), _auc_words(comparison))


def _the(label: str) -> str:
    """A label in a sentence, in quotation marks: it is the author's text."""
    return f"“{label}”"


def _relevance(comparison: Comparison) -> Markup:
    row, margin = comparison.difference, comparison.margin
    assert row is not None
    said = f"the {margin:g} that the study called relevant"
    smaller = abs(row["estimate"]) < margin
    sentence = {
        "shown": f"is larger than {said}, over the whole interval.",
        "excluded": f"is smaller than {said}, over the whole interval: a relevant difference is excluded.",
        "open": f"is smaller than {said}; a relevant difference is not excluded."
        if smaller
        else f"is larger than {said}; a smaller, irrelevant difference is not excluded.",
    }[relevance(row, margin)]
    return Markup("The difference in AUC, {}, {}").format(number(row), sentence)


def undecided(burdens: Mapping[str, Row]) -> bool:
    """Whether the threshold favours no model: none has fewer of one burden without having more of the other."""
    rows = [burdens[name] for name in BURDENS if name in burdens]
    sides = [direction(row) for row in rows]
    estimates = [row["estimate"] for row in rows if known(row["estimate"])]
    ahead = [side for side in (-1, 1) if side in sides and all(side * estimate >= 0 for estimate in estimates)]
    return not ahead


LEARNT = {
    "validation": "At the locked threshold",
    "external": "At the threshold found on the external films themselves",
    "given": "At the threshold given beforehand",
}


def _at_threshold(comparison: Comparison) -> Markup:
    films = comparison.burdens.get("film", {})
    if not films or not comparison.threshold_from:
        return Markup("The study has no threshold, so missed tumours and false alarms are not counted.")
    return join([LEARNT[comparison.threshold_from], _target(comparison), ", ", _burden_words(films), "."])


def burden_table(comparison: Comparison) -> Table | None:
    """Differences in missed tumours and false alarms, by film and by patient at the same thresholds."""
    units = {"film": "#Films", "patient": "#Patients, at the same thresholds"}
    shown = [unit for unit in units if comparison.burdens.get(unit)]
    if not shown:
        return None
    rows = [
        [f"{sentence_case(noun)} {per}", *(_burden_numbers(comparison.burdens[unit].get(name)) for unit in shown)]
        for name, (*_, noun, per) in BURDENS.items()
    ]
    caption = f"Differences from {_the(comparison.reference)}"
    return Table(caption, ["Difference in", *(units[unit] for unit in shown)], rows, class_="burdens")


def _target(comparison: Comparison) -> Child:
    if comparison.target is None or comparison.reached is None:
        return None
    model, reference = comparison.reached
    return [f" (target {percent(comparison.target)}, reached ", number(model, interval=False), " % v ",
            number(reference, interval=False), " %)"]  # fmt: skip


def _burden_words(burdens: Mapping[str, Row]) -> str:
    """`it misses fewer tumours and raises more false alarms`, or in which of them no difference is shown."""
    told: list[str] = []
    alike: list[str] = []
    untested: list[str] = []
    for name, row in burdens.items():
        verb, things, noun, _ = BURDENS[name]
        if side := direction(row):
            told.append(f"it {verb} {'more' if side > 0 else 'fewer'} {things}")
        else:
            (alike if known(row["p"]) else untested).append(noun)
    told += [f"no difference in {' or '.join(alike)} is shown"] if alike else []
    told += [f"{' and '.join(untested)} are not compared"] if untested else []
    return " and ".join(told)


def _burden_numbers(row: Row | None) -> Child:
    return [number(row), ", ", p_phrase(row)] if row is not None else ""


def _at_equal_sensitivity(comparison: Comparison) -> Markup:
    assert comparison.equal is not None
    at = f" of {percent(comparison.target)}" if comparison.target else ""
    return Markup(
        "The thresholds do not reach the same sensitivity and favour neither model. At equal sensitivity{} "
        "(thresholds found on the external films), specificity differs by {} percentage points, {}."
    ).format(at, number(comparison.equal), p_phrase(comparison.equal))


# --- from the outputs -------------------------------------------------------------------------------------------------


def comparison_of(outputs: Outputs, arm: str) -> Comparison:
    """The rows that the answer on one model rests on."""
    reference, point = outputs.reference, outputs.point
    verdict = (outputs.analysis.get("verdicts") or {}).get(arm) or {}
    cautions = outputs.analysis.get("cautions") or {}
    aim = "specificity" if point.get("point") == "high_specificity" else "sensitivity"

    def rate(name: str, of: str, **more: Any) -> pd.Series | None:
        return outputs.one(measure=name, arm=of, **{"reference": None, **point, **more})

    own, other = (rate(aim, arm), rate(aim, reference)) if point else (None, None)
    burdens = {
        unit: {name: row for name in BURDENS if (row := rate(name, arm, reference=reference, unit=unit)) is not None}
        for unit in _units(outputs)
    }
    return Comparison(
        model=outputs.labels[arm],
        reference=outputs.labels[reference],
        auc=outputs.one(section="discrimination", measure="auc", arm=arm, reference=None),
        auc_reference=outputs.one(section="discrimination", measure="auc", arm=reference, reference=None),
        difference=outputs.one(section="discrimination", measure="auc", arm=arm, reference=reference),
        margin=outputs.margin,
        burdens=burdens if point else {},
        reached=None if own is None or other is None else (own, other),
        target=outputs.target,
        threshold_from=str(point.get("threshold_from", "")),
        equal=outputs.one(measure="specificity", arm=arm, reference=reference, point="high_sensitivity",
                          threshold_from="external"),
        objective=str(outputs.settings.get("objective", "superiority")),
        word=str(verdict.get("word", "")),
        in_place=" ".join(sentence(text) for text in cautions.get("instead") or []),
        beside=[sentence(text) for text in cautions.get("beside") or []],
    )  # fmt: skip


def _units(outputs: Outputs) -> list[str]:
    """Films, and patients where some have several films."""
    return ["film", "patient"] if outputs.analysis.get("patients_known", True) else ["film"]


def summary(outputs: Outputs, misses: Child = None) -> Section:
    """The first screen: question, one answer box a comparison, what it means at the reading desk, in a clinic.

    Parameters
    ----------
    outputs : Outputs
    misses : Markup, optional
        Films that each model missed.
    """
    answers = {arm: answer(comparison_of(outputs, arm)) for arm in outputs.others}
    boxes = [box(said, outputs, arm) for arm, said in answers.items()]
    if not boxes:
        boxes = [tag("div", tag("h3", "Nothing is compared"), paragraph("The study holds one model."), class_="answer")]
    return Section(
        "summary",
        question(outputs),
        _phantom_notice(outputs),
        overview(answers, outputs) if len(answers) > 1 else None,
        tag("div", boxes, class_="answers"),
        scope(outputs),
        reading_desk(outputs),
        clinic(outputs),
        tag("div", tag("div", limits(outputs)), misses, class_="closing"),
        class_="summary",
    )


def overview(answers: Mapping[str, Answer], outputs: Outputs) -> Table:
    """The verdicts on several models, one a line, so that the first screen answers for all of them."""
    rows = []
    for arm, said in answers.items():
        gap = outputs.one(section="discrimination", measure="auc", arm=arm, reference=outputs.reference)
        numbers = ["", ""] if gap is None else [gap, p_number(gap)]
        rows.append([outputs.mark(arm), said.heading, *numbers])
    caption = ["Every model compared with ", outputs.mark(outputs.reference)]
    return Table(caption, ["Model", "Verdict", "#Difference in AUC", "#p"], rows)


def box(said: Answer, outputs: Outputs, arm: str) -> Markup:
    """The answer box of one model."""
    versus = paragraph(outputs.mark(arm), " compared with ", outputs.mark(outputs.reference), class_="about")
    lines: list[Child] = [paragraph(tag("strong", f"{name}. "), sentence) for name, sentence in said.lines]
    lines.insert(3, said.table)  # below the sentence on the threshold
    beside = notice(tag("strong", "Read this first. "), bullets(said.beside)) if said.beside else None
    return tag("div", versus, tag("h3", said.heading, class_="verdict"), lines, beside, class_="answer")


def question(outputs: Outputs) -> Markup:
    """What was asked."""
    names = [f"“{label}”" for label in outputs.labels.values()]
    listed = f"{', '.join(names[:-1])} or {names[-1]}" if len(names) > 1 else names[0]
    asked = f"Which model better separates radiographs with a malignant bone tumour from those without: {listed}?"
    return paragraph(asked, class_="question")


def scope(outputs: Outputs) -> Markup:
    """What the malignant films were compared with, and what decided which film is malignant."""
    told = outputs.study.reference_standard
    standard: list[Child] = [
        [tag("strong", f"Reference standard, {name}: "), str(told[name]).rstrip("."), ". "]
        for name in ("malignant", "normal")
        if told.get(name)
    ] or [tag("strong", "Reference standard: "), "not stated by the author."]
    return paragraph(_tested(outputs), " ", standard, class_="scope")


def _tested(outputs: Outputs) -> Child:
    external = outputs.csv("cohorts/external.csv")
    shown = external["subtype"][external["label"].eq(0)].dropna() if "subtype" in external else pd.Series(dtype=str)
    if named := sorted(set(shown.astype(str)) - {""}):
        more = f" and {len(named) - 6} more" if len(named) > 6 else ""
        return [tag("strong", "Malignant against: "), ", ".join(named[:6]), f"{more}. Other findings are untested."]
    if external.empty:
        said = "What the latter show is not in the scores file."
        return [tag("strong", "Malignant against not malignant. "), said]
    return [tag("strong", "Malignant against normal only. "), "Benign tumours, infection and fractures are untested."]


def _phantom_notice(outputs: Outputs) -> Markup | None:
    if not outputs.phantoms:
        return None
    said = "Nothing on this page says anything about patients."
    return notice(tag("strong", "The films are phantoms, drawn by a program. "), said, kind="warn")


def few_runs(outputs: Outputs) -> Markup | None:
    """The way to intervals that rest on more runs; None but for phantoms, which cost nothing but time to run again.

    Parameters
    ----------
    outputs : Outputs
    """
    fewest = min(map(len, outputs.runs.values()), default=0)
    if not outputs.phantoms or fewest >= 5:  # as many as that study has
        return None
    rest = f"Intervals on this page rest on {plural(fewest, 'training run')} per model. "
    return paragraph(rest, tag("code", "studies/phantoms_five_runs.yaml"), " is the default study with five.")


def equal_models(outputs: Outputs) -> list[Markup]:
    """How often the published analysis called runs different that differ in random numbers only; empty without such."""
    rows = outputs.select(section="as_published", measure="false_positive_rate", reference=..., group=...)
    told = []
    for arm, part in rows.groupby("arm", sort=False):
        pair = [outputs.mark(str(arm)), " and ", outputs.mark(outputs.reference)]
        named = pd.Series(outputs.point, dtype=str)
        at_point = part[(part["group"] == "auc") | (part[list(named.index)] == named).all(axis=1)]
        told.append(paragraph("Runs of ", *pair, " differ in random numbers only, so every difference between them is "
                              "chance. Pairs of runs that such an analysis called different (p < 0.05):"))  # fmt: skip
        told.append(bullets([[f"{'AUC' if row['group'] == 'auc' else row['group']}: ", number(row), " % (",
                              f"{row['events']:.0f} of {row['n']:.0f} pairs; {row['method'].partition(',')[0]})"]
                             for _, row in at_point.iterrows()]))  # fmt: skip
    return told


def reading_desk(outputs: Outputs) -> Table | None:
    """Missed tumours, false alarms and localisation errors of every model, by film and by patient."""
    point = outputs.point
    if not point:
        return None
    heads, columns = ["Model"], []
    for measure, name, units in (
        ("missed_per_100", "Tumours missed, of 100 malignant", ("films", "patients")),
        ("false_alarms_per_1000", "False alarms, on 1,000 normal", ("films", "patients")),
        ("localisation_error", "Localisation errors, of 100 malignant", ("films",)),
    ):
        for unit in units:
            found = outputs.select(measure=measure, reference=None, unit=unit.removesuffix("s"), **point)
            if len(found):
                heads.append(f"#{name} {unit}")
                columns.append(found.set_index("arm", drop=False).set_axis(found.index))
    if not columns:
        return None
    rows = [[outputs.mark(arm), *(_of(column, arm) for column in columns)] for arm in outputs.labels]
    level = percent(float(outputs.settings["confidence"]))
    learnt = LEARNT.get(point["threshold_from"], "").removeprefix("At the ")
    caption = f"What it means at the reading desk, at the {learnt}: {outputs.over_runs}, with {level} intervals"
    return Table(caption, heads, rows, class_="burdens")


def _of(column: pd.DataFrame, arm: str) -> Child:
    found = column[column["arm"] == arm]
    return found.iloc[0] if len(found) else ""


CHECKS = {
    "as_is": "unchanged films",
    "lesion_masked": "lesions painted over",
    "only_lesion": "the lesion alone",
    "flipped": "mirrored films",
    "class_probe": "a linear classifier on the features, lesions painted over",
    "class_without_lesion": "classes told apart without the lesion",
    "site_probe": "sites told apart from the features",
}

FEATURES = {"mean_grey": "mean grey level", "sd_grey": "spread of grey levels", "spacing_mm": "pixel spacing"}

KEY = (
    ("missed", "× missed"),
    ("found", "● found"),
    ("alarm", "○ false alarm"),
    ("clear", "· true negative"),
)


def clinic(outputs: Outputs) -> Markup | None:
    """A thousand films at a share of malignant films that a clinic may have."""
    configured = [float(q) for q in outputs.settings.get("prevalences") or [0.01]]
    share = max([q for q in configured if q <= 0.02], default=min(configured))
    pictures = [picture for arm in outputs.labels if (picture := _icons(outputs, arm, share)) is not None]
    if not pictures:
        return None
    key = tag("p", [[tag("span", sign, class_=f"key {kind}"), " "] for kind, sign in KEY], class_="legend")
    said = paragraph(f"If {1000 * share:g} of 1,000 films showed a malignant tumour, of 1,000 films:")
    return tag("div", tag("div", tag("h3", "The same models in a clinic"), said, key), pictures, class_="clinic")


def _icons(outputs: Outputs, arm: str, share: float) -> Markup | None:
    rates = [
        outputs.one(measure=name, arm=arm, reference=None, **outputs.point) if outputs.point else None
        for name in ("sensitivity", "specificity")
    ]
    if any(row is None or not known(row["estimate"]) for row in rates):
        return None
    sensitivity, specificity = (float(row["estimate"]) for row in rates)  # type: ignore[index]
    icons = Icons.of(sensitivity, specificity, share)
    words = (
        f"{icons.found + icons.missed} with a tumour: {icons.found} found, {icons.missed} missed. "
        f"{icons.false_alarm} false alarms, so {icons.found} of {icons.found + icons.false_alarm:,} alarms are right."
    )
    title = f"Of 1,000 films, {fixed(1000 * share, 0)} with a tumour; {outputs.labels[arm]}: {words}"
    return tag("figure", icon_array(icons, title), tag("figcaption", outputs.mark(arm), ": ", words))


def limits(outputs: Outputs) -> Markup:
    """Whom the answer does not cover, for a summary that stands alone on paper."""
    external = outputs.csv("cohorts/external.csv")
    items: list[Child] = []
    if external.empty:
        items.append("Age, sex and site of the patients are not in the scores file.")
    elif "age" in external and external["age"].notna().any():
        items.append(f"Patients outside ages {external['age'].min():g} to {external['age'].max():g} are not covered.")
    sites = external["site"].dropna().nunique() if "site" in external else 0
    if sites:
        items.append(f"Only {'one site was' if sites == 1 else f'{sites} sites were'} tested; no other body region.")
    items += [
        "No radiologist read these films for comparison." if outputs.analysis.get("kind") != "readers" else None,
        "Research use only: not a medical device, not for decisions about a patient.",
    ]
    return join([tag("h3", "What the answer does not cover"), bullets([item for item in items if item])])


def header(outputs: Outputs) -> Section:
    """Title of the page, and below it: films, date, author's institution, version, hash of the run."""
    counts = {
        name: outputs.one(section="cohort", measure=name, group="external", unit=..., reference=None)
        for name in ("films", "patients", "malignant_films")
    }
    films = [number(row) if row is not None else None for row in counts.values()]
    data: list[Child] = []
    for shown, words in zip(films, (" external films", " patients", " malignant films"), strict=True):
        if shown is not None:
            data += [", " if data else None, shown, words]
    provenance = outputs.provenance
    commit = str(provenance.get("commit") or "")
    version = f"OsteoTL {provenance.get('osteotl', '')}".strip() + (f", commit {commit[:10]}" if commit else "")
    run, date = run_hash(outputs), date_of(outputs)
    entries: list[tuple[str, Child]] = [
        ("Data", data or None),
        ("Models", f"{len(outputs.labels)}, {outputs.over_runs}"),
        ("Date", date),
        ("Institution", outputs.study.report.institution),
        ("Software", version if provenance else None),
        ("Run", run),
    ]
    listed = [[tag("dt", f"{name}: "), tag("dd", content), " "] for name, content in entries if content]
    changed = [sentence(text) for text in outputs.analysis.get("changed") or []]
    by_hand = notice(
        tag("strong", "Made by hand with other settings than the study's. "), bullets(changed), kind="warn"
    )
    title = str(outputs.settings.get("title") or outputs.study.title)
    told = [outputs.study.report.institution, date, version if provenance else None, f"run {run}" if run else None]
    whole = f"{title} ({', '.join(part for part in told if part)})"
    return Section("top", tag("dl", listed, class_="meta"), by_hand if changed else None,
                   about={"heading": title, "title": whole})  # fmt: skip


def date_of(outputs: Outputs) -> str:
    """Day on which the external films were scored; of scores made elsewhere, what the study file says, or empty."""
    scored = (outputs.provenance.get("steps") or {}).get("03_evaluate") or {}
    return str(scored.get("finished") or "")[:10] or str(outputs.study.report.date or "")


def run_hash(outputs: Outputs) -> str:
    """Ten digits that identify the results: the hash of statistics.csv."""
    path = outputs.find("statistics.csv")
    return sha256(path)[:10] if path else ""


def covariates(outputs: Outputs) -> str:
    """What the AUC without the film rests on: `age, mean grey level, sex and view`."""
    named = [FEATURES.get(name, name) for name in outputs.audit.get("baseline_covariates") or []]
    return joined(named) or "what is known of the patient"


def alarm_table(outputs: Outputs) -> Table | None:
    """Outcome of every check of the shortcut audit, one column a model, with its rule."""
    found: dict[str, dict[str, str]] = {}
    for alarm in outputs.audit.get("alarms", []):
        check, _, arm = str(alarm["alarm"]).partition(": ")
        told = found.setdefault(check, {"rule": sentence_case(str(alarm["rule"]).replace("95%", "95 %"))})
        told[arm] = "ALARM" if alarm["raised"] else "no alarm"
    rows = [
        [sentence_case(CHECKS.get(check, check.replace("_", " "))),
         *(told.get(arm, told.get("", "")) for arm in outputs.labels), told["rule"]]
        for check, told in found.items()
    ]  # fmt: skip
    heads = ["Check", *map(outputs.mark, outputs.labels), "Rule"]
    return Table("Checks with rules that were set beforehand", heads, rows) if rows else None
