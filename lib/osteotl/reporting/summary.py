"""The first printed page: for a radiologist with two minutes."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from osteotl.reporting.charts import Icons, icon_array
from osteotl.reporting.gallery import missed_strip
from osteotl.reporting.html import bullets, notice, paragraph, section, tag
from osteotl.reporting.results import Results

VERDICTS = {
    "superior": "Better than the reference",
    "non-inferior": "Not worse, and not shown to be better",
    "equivalent": "No difference that matters",
    "inferior": "Worse than the reference",
    "inconclusive": "Too few films or training runs to tell",
}
BOTH = {
    ("superior", "equivalent"): "Better, but by less than matters",
    ("inferior", "equivalent"): "Worse, but by less than matters",
}
POINTS_AIM = {"high_sensitivity": "sensitivity", "high_specificity": "specificity"}
BURDENS = (
    ("missed_per_100", "fixed1", "tumours missed", "of 100 films with a tumour"),
    ("false_alarms_per_1000", "count", "false alarms", "on 1,000 films without one"),
    ("right_film_wrong_place_per_100", "fixed1", "right film, wrong place", "of 100 films with a tumour"),
)


def summary(results: Results) -> Markup:
    """The page's opening section."""
    return section(
        "summary",
        "In two minutes",
        _question(results),
        _answer(results),
        _burdens(results),
        _prevalence(results),
        tag("div", _coverage(results), missed_strip(results), class_="pair"),
        level=2,
        class_="summary",
    )


def _question(results: Results) -> Markup:
    names = [results.label(arm) for arm in results.arms]
    listed = ", ".join(names[:-1]) + (" or " if len(names) > 1 else "") + names[-1] if names else "no arm"
    asked = (
        "Radiographs of malignant bone tumours are few. Does the start of training change how well a detector finds "
        f"them \N{EM DASH} {listed}?"
    )
    return paragraph(tag("span", "The question", class_="eyebrow"), asked, class_="question")


def _answer(results: Results) -> Markup:
    facts = results.facts
    parts: list[Markup] = []
    for arm in results.others:
        base = f"comparisons.{arm}.verdict"
        word = str(facts.get(f"{base}.word", "inconclusive"))
        also = facts.get(f"{base}.also")
        head = BOTH.get((word, also)) or VERDICTS.get(word, word) + (f"; {also}" if also else "")
        parts.append(
            tag(
                "div",
                tag("span", "The answer", class_="eyebrow"),
                tag(
                    "p",
                    results.mark(arm),
                    tag("span", " against ", class_="fine"),
                    results.mark(results.reference),
                    class_="about",
                ),
                tag("p", head, class_="verdict"),
                tag("p", facts.get(f"{base}.sentence", "")),
                tag("p", _difference(results, arm), class_="fine"),
                class_="answer",
            )
        )
    if not parts:
        parts.append(
            tag(
                "div",
                tag("p", "Nothing was compared", class_="verdict"),
                paragraph("statistics.json holds no comparison with a reference arm."),
                class_="answer",
            )
        )
    if results.phantoms:
        parts.append(
            notice(
                tag("strong", "These films are phantoms. "),
                "Phantoms validate the instrument; only real cohorts "
                "speak to the hypothesis. Nothing on this page says anything about patients.",
                kind="warn",
            )
        )
    return tag("div", parts, class_="answers")


def _difference(results: Results, arm: str) -> list[Any]:
    facts, base = results.facts, f"comparisons.{arm}"
    said: list[Any] = ["Difference in AUC ", facts.estimate(f"{base}.auc_difference", "signed3")]
    if limits := facts.interval(f"{base}.auc_difference", "signed3"):
        said += [f" ({facts.level} CI ", limits, ")"]
    if facts.get(f"{base}.auc_difference.p") is not None:
        said += [", p = ", facts.p(f"{base}.auc_difference")]
    said += ["; margin declared beforehand ", facts.value(f"{base}.verdict.margin", "auc")]
    if facts.get(f"{base}.verdict.smallest_margin") is not None:
        said += ["; the smallest margin that would have passed ", facts.value(f"{base}.verdict.smallest_margin", "auc")]
    if len(results.seeds) == 1:
        said.append("; conditional on this one training run")
    elif flag := facts.get(f"{base}.verdict.flag"):
        said.append(f"; {flag}")
    return [*said, "."]


def _burdens(results: Results) -> Markup:
    facts = results.facts
    head = tag(
        "tr",
        tag("th", "Arm", scope="col"),
        [
            tag("th", tag("span", name, class_="name"), tag("span", of, class_="of"), scope="col")
            for _, _, name, of in BURDENS
        ],
    )
    rows = []
    for arm in results.arms:
        cells = [tag("td", _big(results, f"arms.{arm}.{key}", style)) for key, style, _, _ in BURDENS]
        rows.append(tag("tr", tag("th", results.mark(arm), scope="row"), cells))
    names = {
        "validation": "locked on validation films before any external film was scored",
        "external": "found on the very films it is tested on, as in the published study: optimistic",
    }
    point, _, source = results.main_point.partition("@")
    target = facts.get(f"arms.{results.reference}.operating_points.{results.main_point}.target")
    aim = (
        [
            ", aimed at a ",
            POINTS_AIM.get(point, point),
            " of ",
            facts.value(f"arms.{results.reference}.operating_points.{results.main_point}.target", "percent0"),
        ]
        if target
        else ""
    )
    caption = tag(
        "caption",
        "What it would mean at the reading desk",
        tag(
            "span",
            "At the threshold ",
            names.get(source, source),
            aim,
            f". Mean over {len(results.seeds)} training run{'s' if len(results.seeds) != 1 else ''}; {facts.level} "
            "intervals.",
            class_="fine",
        ),
    )
    return tag("table", caption, tag("thead", head), tag("tbody", rows), class_="burdens")


def _big(results: Results, path: str, style: str) -> Markup:
    facts = results.facts
    if facts.get(f"{path}.estimate") is None:
        reason = facts.get(f"{path}.not_estimable") or "not assessed in this study"
        return tag("span", "\N{EM DASH}", tag("span", reason, class_="limits"), class_="big none")
    return tag(
        "span", facts.estimate(path, style), tag("span", facts.interval(path, style), class_="limits"), class_="big"
    )


def clinic_prevalence(results: Results) -> float:
    """The prevalence of the icon array: the highest configured one that is rare enough for a clinic (2 % or less)."""
    configured = [float(q) for q in results.facts.get("settings.prevalences", [0.01])]
    rare = [q for q in configured if q <= 0.02]
    return max(rare) if rare else min(configured, default=0.01)


def _prevalence(results: Results) -> Markup:
    facts, q = results.facts, clinic_prevalence(results)
    pictures = []
    for arm in results.arms[:3]:
        point = f"arms.{arm}.operating_points.{results.main_point}"
        sens, spec = facts.get(f"{point}.sensitivity.estimate"), facts.get(f"{point}.specificity.estimate")
        if sens is None or spec is None:
            continue
        icons = Icons.of(sens, spec, q)
        words = (
            f"{icons.found + icons.missed} with a tumour: {icons.found} found, {icons.missed} missed. "
            f"{icons.false_alarm} false alarms."
        )
        title = f"Of 1,000 films at a prevalence of {100 * q:g}%, {results.label(arm)}: {words}"
        derived = f"{point}.sensitivity {point}.specificity settings.prevalences"
        pictures.append(
            tag(
                "figure",
                icon_array(icons, title),
                tag("figcaption", results.mark(arm), tag("br"), words, data_derived=derived),
            )
        )
    key = tag(
        "p",
        [
            tag("span", sign, class_=f"key {kind}")
            for kind, sign in (
                ("missed", "\N{MULTIPLICATION SIGN} missed"),
                ("found", "● found"),
                ("alarm", "○ false alarm"),
                ("quiet", "· rightly quiet"),
            )
        ],
        class_="legend",
    )
    text = tag(
        "div",
        tag("h3", "The same detectors in a clinic"),
        paragraph(
            "In this study ",
            facts.value("cohorts.external.prevalence", "percent0"),
            " of the films show a malignant tumour; in a clinic far fewer do. "
            f"Where only {1000 * q:g} in 1,000 do, this becomes of 1,000 films:",
        ),
        key,
    )
    return tag("div", text, pictures, class_="clinic") if pictures else tag("div", text, class_="clinic")


def _coverage(results: Results) -> Markup:
    facts = results.facts
    items: list[Any] = [_negatives(results)]
    reference = results.study.report.reference_standard
    for name in ("malignant", "normal"):
        items.append(
            [tag("strong", f"Reference standard, {name}: "), reference.get(name) or "not stated by the author"]
        )
    items.append(_range(results))
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


def _negatives(results: Results) -> Any:
    external = results.csv("cohorts/external.csv")
    named = (
        sorted(set(external.loc[external["label"].eq(0), "subtype"].dropna().astype(str)))
        if "subtype" in external
        else []
    )
    if named:
        return [
            tag("strong", "Films without malignancy include: "),
            ", ".join(named[:6]),
            ". Other conditions are untested.",
        ]
    return [tag("strong", "Malignant against normal only. "), "Benign tumours, infection and fractures are untested."]


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
