"""The first printed page: for a radiologist with two minutes."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from osteotl.reporting.charts import Icons, icon_array
from osteotl.reporting.gallery import missed_strip
from osteotl.reporting.html import bullets, join, notice, paragraph, section, tag
from osteotl.reporting.results import Results
from osteotl.reporting.wording import typeset
from osteotl.statistics.coverage import MARK

VERDICTS = {
    "superior": "Better than the reference",
    "non-inferior": "Not worse, and not shown to be better",
    "equivalent": "No difference that matters",
    "inferior": "Worse than the reference",
    "inconclusive": "No difference shown, and none ruled out",
    "not estimable": "Not estimable",
}
BOTH = {
    ("superior", "equivalent"): "Better, but by less than matters",
    ("inferior", "equivalent"): "Worse, but by less than matters",
    ("equivalent", "non-inferior"): "No difference that matters",
    ("inconclusive", "too few films to tell"): "Too few films or training runs to tell",
    ("inconclusive", "no difference shown"): "No difference shown, and none ruled out",
}
POINTS_AIM = {"high_sensitivity": "sensitivity", "high_specificity": "specificity"}
BURDENS = (
    ("missed_per_100", "fixed1", "tumours missed", "of 100 films with a tumour", "missed of 100 tumours"),
    ("false_alarms_per_1000", "count", "false alarms", "on 1,000 films without one", "alarms on 1,000 without"),
    (
        "right_film_wrong_place_per_100",
        "fixed1",
        "right film, wrong place",
        "of 100 films with a tumour",
        "wrong place of 100 tumours",
    ),
)
"""Key and style of each count, its name, of how many, and both in few words for a narrow screen."""


def summary(results: Results) -> Markup:
    """The page's opening section."""
    return section(
        "summary",
        "In two minutes",
        _question(results),
        _scope(results),
        _answer(results),
        burdens(results),
        _prevalence(results),
        tag("div", _coverage(results), missed_strip(results), class_="pair"),
        level=2,
        class_="summary",
    )


def _question(results: Results) -> Markup:
    names = [results.label(arm) for arm in results.arms]
    listed = ", ".join(names[:-1]) + (" or " if len(names) > 1 else "") + names[-1] if names else "no arm"
    asked = (
        f"Which finds malignant bone tumours on radiographs better: {listed}?"
        if results.study.predictions is not None  # what the scores are of is not known
        else "Radiographs of malignant bone tumours are few. Does the start of training change how well a detector "
        f"finds them \N{EM DASH} {listed}?"
    )
    return paragraph(tag("span", "The question", class_="eyebrow"), asked, class_="question")


def _scope(results: Results) -> Markup:
    """What was told apart, and by which reference standard: no answer means anything without it."""
    told = results.study.reference_standard
    standards: list[Any] = [
        [tag("strong", f"Reference standard, {name}: "), str(told[name]).rstrip("."), ". "]
        for name in ("malignant", "normal")
        if told.get(name)
    ] or [tag("strong", "Reference standard: "), "not stated by the author."]
    return paragraph(_negatives(results), " ", standards, class_="scope")


def _answer(results: Results) -> Markup:
    parts = [_verdict(results, arm) for arm in results.others]
    if not parts:
        nothing = paragraph("statistics.json holds no comparison with a reference arm.")
        parts.append(tag("div", tag("p", "Nothing was compared", class_="verdict"), nothing, class_="answer"))
    warning = None
    if results.phantoms:
        said = (
            "Phantoms validate the instrument; only real cohorts speak to the hypothesis. "
            "Nothing on this page says anything about patients."
        )
        warning = notice(tag("strong", "These films are phantoms. "), said, kind="warn")
    return join([tag("div", parts, class_="answers"), warning])


def _verdict(results: Results, arm: str) -> Markup:
    facts, base = results.facts, f"comparisons.{arm}.verdict"
    word, also = str(facts.get(f"{base}.word", "inconclusive")), facts.get(f"{base}.also")
    head = BOTH.get((word, also)) or VERDICTS.get(word, word) + (f"; {also}" if also else "")
    against = tag("span", " against ", class_="fine")
    return tag(
        "div",
        tag("span", "The answer", class_="eyebrow"),
        tag("p", results.mark(arm), against, results.mark(results.reference), class_="about"),
        tag("p", head, class_="verdict"),
        tag("p", typeset(facts.get(f"{base}.sentence", ""))),
        tag("p", _difference(results, arm), class_="fine"),
        class_="answer",
    )


def _difference(results: Results, arm: str) -> list[Any]:
    facts, base = results.facts, f"comparisons.{arm}"
    first = arm == results.others[0]  # what holds for every arm is said once
    said: list[Any] = [
        "AUC, the chance that a film with a tumour scores above one without: " if first else "AUC: ",
        facts.estimate(f"arms.{arm}.auc", "auc"),
        " against ",
        facts.estimate(f"arms.{results.reference}.auc", "auc"),
        "; difference ",
        facts.estimate(f"{base}.auc_difference", "signed3"),
    ]
    if limits := facts.interval(f"{base}.auc_difference", "signed3"):
        said += [f" ({facts.level} CI ", limits, ")"]
    if facts.get(f"{base}.auc_difference.p") is not None:
        said += [
            ", p\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}"
            if facts.get(f"{base}.auc_difference.p") >= 0.001
            else ", p\N{NO-BREAK SPACE}",
            facts.p(f"{base}.auc_difference"),
        ]
    said += ["; margin declared beforehand ", facts.value(f"{base}.verdict.margin", "auc")]
    if facts.get(f"{base}.verdict.smallest_margin") is not None:
        said += ["; the smallest margin that would have passed ", facts.value(f"{base}.verdict.smallest_margin", "auc")]
    if len(results.seeds) == 1:
        said.append("; conditional on this one training run")
    elif first and (flag := facts.get(f"{base}.verdict.flag")):
        said.append(f"; {flag}")
    return [*said, "."]


def burdens(results: Results) -> Markup:
    """What each arm would mean at the reading desk: missed tumours, false alarms, wrong places."""
    columns = [
        tag("th", tag("span", name, class_="name"), tag("span", of, class_="of"), scope="col")
        for _, _, name, of, _ in BURDENS
    ]
    rows = []
    for arm in results.arms:
        cells = [
            tag("td", _big(results, f"arms.{arm}.{key}", style), data_name=short) for key, style, _, _, short in BURDENS
        ]
        rows.append(tag("tr", tag("th", results.mark(arm), scope="row"), cells))
    head = tag("thead", tag("tr", tag("th", "Arm", scope="col"), columns))
    caption = tag("caption", "What it would mean at the reading desk", tag("span", _at(results), class_="fine"))
    return tag("table", caption, head, tag("tbody", rows), class_="burdens")


LEARNT = {
    "validation": "locked on validation films before any external film was scored",
    "external": "found on the very films it is tested on, as in the published study: optimistic",
}


NO_POINT = "No threshold: the study names no operating point, or has no validation films to lock one on"


def _at(results: Results) -> list[Any]:
    """Which threshold the first page's numbers stand at."""
    facts = results.facts
    point, _, source = results.main_point.partition("@")
    path = f"arms.{results.reference}.operating_points.{results.main_point}.target"
    said: list[Any] = ["At the threshold ", LEARNT.get(source, source)] if source else [NO_POINT]
    if facts.get(path):
        said += [f", aimed at a {POINTS_AIM.get(point, point)} of ", facts.value(path, "percent0")]
    runs = f"Mean over {len(results.seeds)} training runs" if len(results.seeds) > 1 else "One training run"
    short = any(facts.get(f"arms.{arm}.{key}.coverage") for arm in results.arms for key, *_ in BURDENS)
    return [*said, f". {runs}; {facts.level} intervals{f', too short where marked {MARK}' if short else ''}."]


def _big(results: Results, path: str, style: str) -> Markup:
    facts = results.facts
    if facts.get(f"{path}.estimate") is None:
        reason = facts.get(f"{path}.not_estimable") or "not assessed in this study"
        return tag("span", "\N{EM DASH}", tag("span", reason, class_="limits"), class_="big none")
    return tag(
        "span",
        facts.estimate(path, style),
        tag("span", facts.interval(path, style) or facts.no_interval(path), class_="limits"),
        class_="big",
    )


def clinic_prevalence(results: Results) -> float:
    """The prevalence of the icon array: the highest configured one that is rare enough for a clinic (2 % or less)."""
    configured = [float(q) for q in results.facts.get("settings.prevalences", [0.01])]
    rare = [q for q in configured if q <= 0.02]
    return max(rare) if rare else min(configured, default=0.01)


KEY = (
    ("missed", "\N{MULTIPLICATION SIGN} missed"),
    ("found", "● found"),
    ("alarm", "○ false alarm"),
    ("quiet", "\N{MIDDLE DOT}\N{NO-BREAK SPACE}rightly quiet"),
)


def _prevalence(results: Results) -> Markup:
    q = clinic_prevalence(results)
    pictures = [picture for arm in results.arms if (picture := _icons(results, arm, q)) is not None]
    key = tag("p", [tag("span", sign, class_=f"key {kind}") for kind, sign in KEY], class_="legend")
    said = paragraph(
        "In this study ",
        results.facts.value("cohorts.external.prevalence", "percent0"),
        " of the films show a malignant tumour; in a clinic far fewer do.",
        f" If {1000 * q:g} in 1,000 did, of 1,000 films:" if pictures else None,
    )
    text = tag("div", tag("h3", "The same detectors in a clinic"), said, key if pictures else None)
    return tag("div", text, pictures, class_="clinic")


def _icons(results: Results, arm: str, prevalence: float) -> Markup | None:
    """A thousand films of a clinic under one arm's threshold; None without its rates."""
    point = f"arms.{arm}.operating_points.{results.main_point}"
    rates = [results.facts.get(f"{point}.{rate}.estimate") for rate in ("sensitivity", "specificity")]
    if None in rates:
        return None
    icons = Icons.of(rates[0], rates[1], prevalence)
    words = (
        f"{icons.found + icons.missed} with a tumour: {icons.found} found, {icons.missed} missed. "
        f"{icons.false_alarm} false alarms, so {icons.found} of {icons.found + icons.false_alarm} alarms are right."
    )
    title = f"Of 1,000 films at a prevalence of {100 * prevalence:g}%, {results.label(arm)}: {words}"
    derived = f"{point}.sensitivity {point}.specificity settings.prevalences"
    caption = tag("figcaption", results.mark(arm), tag("br"), words, data_derived=derived)
    return tag("figure", icon_array(icons, title), caption)


def _coverage(results: Results) -> Markup:
    facts = results.facts
    items: list[Any] = [_others(results), _range(results)]
    if facts.get("cohorts.external.unscored"):
        items.append(
            [
                facts.value("cohorts.external.unscored", "count"),
                " external films could not be scored; see the flow of films.",
            ]
        )
    items += [
        ["No radiologist read these films for comparison."],
        ["Not a medical device; not for decisions about a patient."],
    ]
    return tag("div", tag("h3", "Whom it does not cover"), bullets([item for item in items if item]))


def _named(results: Results) -> list[str]:
    """What films without malignancy show, where the cohort says so."""
    external = results.csv("cohorts/external.csv")
    if "subtype" not in external:
        return []
    return sorted(set(external.loc[external["label"].eq(0), "subtype"].dropna().astype(str)))


def _negatives(results: Results) -> list[Any]:
    """What malignant films were told apart from, and what is untested."""
    if named := _named(results):
        more = f" and {len(named) - 6} more" if len(named) > 6 else ""
        return [tag("strong", "Malignant against: "), ", ".join(named[:6]), f"{more}. Other findings are untested."]
    if results.csv("cohorts/external.csv").empty:
        said = "What the latter show is not in the scores file."
        return [tag("strong", "Malignant against not malignant. "), said]
    return [tag("strong", "Malignant against normal only. "), "Benign tumours, infection and fractures are untested."]


def _others(results: Results) -> str:
    """The patients whose condition was not tested."""
    if _named(results):
        return "Patients with findings other than those named above."
    known = not results.csv("cohorts/external.csv").empty
    return "Patients with a benign tumour, infection or fracture" + (
        "." if known else ", unless such films were tested."
    )


def _range(results: Results) -> Any:
    external = results.csv("cohorts/external.csv")
    if external.empty:
        return "Age, sex and site of the patients are not in the scores file."
    parts: list[Any] = []
    if "age" in external and external["age"].notna().any():
        parts += [
            "Patients outside ages ",
            tag("span", f"{external['age'].min():g} to {external['age'].max():g}", data_source="cohorts/external.csv"),
        ]
    sites = external["site"].dropna().nunique() if "site" in external else 0
    parts.append(
        f"{'; s' if parts else 'S'}ites other than the {sites if sites > 1 else 'one'} tested; other body regions."
    )
    return parts
