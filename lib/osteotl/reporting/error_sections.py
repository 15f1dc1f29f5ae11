"""What went wrong, film by film: misses, false alarms, discordant films, wrong places."""

from __future__ import annotations

from typing import Any

import pandas as pd
from markupsafe import Markup

from osteotl.reporting.film_tables import HEADINGS, any_table, seed_rows
from osteotl.reporting.html import folded, paragraph, section, table, tag
from osteotl.reporting.pictures import place
from osteotl.reporting.results import Results
from osteotl.reporting.wording import HIT_RULES, counted, point_name

MOST_ROWS = 2000
"""Films that the other seeds missed are listed up to this many rows, about 1 MB of the page's 5."""


def errors(results: Results) -> Markup | None:
    """Every missed tumour and the false alarms: the first seed open, missed tumours of the others folded."""
    parts: list[Any] = []
    for name, title in (("missed", "Every missed tumour"), ("false_alarms", "False alarms")):
        frame = results.table(name)
        if frame.empty:
            if _none(results, "fn" if name == "missed" else "fp"):
                none = f"None at the operating point “{point_name(results.main_point)}”, in any training run."
                parts += [tag("h3", title), paragraph(none)]
            continue
        shown = seed_rows(results, frame, results.first_seed)
        lead = (
            f"{title} at the operating point “{point_name(results.main_point)}”, training seed {results.first_seed}; "
            f"{'lowest' if name == 'missed' else 'highest'} score first."
        )
        others = [
            _other_seed(results, part, seed)
            for seed in results.seeds
            if name == "missed" and len(frame) <= MOST_ROWS and seed != results.first_seed
            if not (part := seed_rows(results, frame, seed)).empty
        ]
        where = "The other seeds are folded below. " if others else ""
        parts += [
            tag("h3", title),
            paragraph(
                lead,
                f" {where}All seeds: ",
                tag("code", f"tables/{name}.csv"),
                f" in the study's outputs. {results.look_up}",
            ),
            _by_kind(results, shown, name),
            *(_of_arm(results, shown, arm, name, title) for arm in results.arms),
            *others,
        ]
    return section("errors", "Missed tumours and false alarms", *parts) if parts else None


def _none(results: Results, cell: str) -> bool:
    """Whether no training run of any arm has such a film at the operating point."""
    point = f"operating_points.{results.main_point}.{cell}"
    runs = [results.facts.get(f"arms.{arm}.per_seed.{seed}.{point}") for arm in results.arms for seed in results.seeds]
    return bool(runs) and all(count == 0 for count in runs)


def _of_arm(results: Results, frame: pd.DataFrame, arm: str, name: str, title: str) -> Markup:
    part = frame[frame["arm"].eq(arm)] if "arm" in frame else frame
    if part.empty:
        return paragraph(results.mark(arm), ": none")
    body = any_table(f"{title}, {results.label(arm)}", _columns(part).drop(columns="arm", errors="ignore"),
                     f"tables/{name}.csv")  # fmt: skip
    told, every = [results.mark(arm), f": {counted(len(part), 'film')}"], name == "missed"
    return folded(told, body, class_="print tall" if every else None, opened=every)


def _other_seed(results: Results, frame: pd.DataFrame, seed: str) -> Markup:
    """What all arms missed with another seed; rows of the reference arm first."""
    named = _columns(frame)
    if "arm" in named:
        rows = pd.concat([named[named["arm"].eq(arm)] for arm in results.arms])
        named = rows.assign(arm=rows["arm"].map(results.label))
    return folded(f"Seed {seed}, all arms: {counted(len(named), 'film')}",
                  any_table(f"Every missed tumour, seed {seed}", named, "tables/missed.csv"))  # fmt: skip


def _columns(frame: pd.DataFrame) -> pd.DataFrame:
    """Without what the heading says already, and without patients' identifiers."""
    return frame.drop(columns=["seed", "point", "patient_id"], errors="ignore")


def _by_kind(results: Results, frame: pd.DataFrame, name: str) -> Markup | None:
    """Films counted by what they show, beside how many such films were tested where the cohort says so."""
    column = next((c for c in ("kind", "subtype") if c in frame and frame[c].notna().any()), None)
    if column is None or "arm" not in frame:
        return None
    crossed = pd.crosstab(frame[column], frame["arm"])
    tested = _tested(results, 1 if name == "missed" else 0)
    source, heading = f"tables/{name}.csv", HEADINGS.get(column, column)
    rows = []
    for kind in [*tested, *(str(k) for k in crossed.index if str(k) not in tested)]:
        line = crossed.loc[kind] if kind in crossed.index else {}
        cells = [tag("span", f"{int(line.get(arm, 0)):,}", data_source=source) for arm in results.arms]
        total = tag("span", f"{tested[kind]:,}", data_source="cohorts/external.csv") if kind in tested else ""
        rows.append([kind, *([total] if tested else []), *cells])
    heads = [heading, *(["#Films tested"] if tested else []), *[f"#{results.label(a)}" for a in results.arms]]
    return table(f"Counted by {heading.lower()}", heads, rows, source=source)


def _tested(results: Results, label: int) -> dict[str, int]:
    """How many external films of a class show what, in the words of the tables; empty where that is not known."""
    external = results.csv("cohorts/external.csv")
    if "subtype" not in external:
        return {}
    shown = external.loc[external["label"].eq(label), "subtype"].fillna("")
    if label:
        shown = shown[shown.ne("")]
    counts = shown.replace("", "no finding recorded").astype(str).value_counts()
    return {str(kind): int(n) for kind, n in counts.sort_index().items()}


MCNEMAR = [
    "Films", "#Both right", "#Only this arm right", "#Only the reference right", "#Neither",
    "#p exact", "#p mid-p", "#p corrected",
]  # fmt: skip


def discordant(results: Results) -> Markup | None:
    """Films that only one arm gets right, with McNemar's test, within each seed."""
    parts: list[Markup] = []
    for arm in results.others:
        caption = f"{results.label(arm)} against {results.label(results.reference)}, {point_name(results.main_point)}"
        if rows := _mcnemar(results, arm):
            parts.append(table(caption, MCNEMAR, rows))
    frame = seed_rows(results, results.table("discordant"), results.first_seed)
    if not frame.empty:
        films = any_table("Discordant films", _columns(frame), "tables/discordant.csv")
        parts.append(folded(f"The discordant films of seed {results.first_seed}", films))
    lead = paragraph(
        "2 \N{MULTIPLICATION SIGN} 2 tables and McNemar's test exist only within one training run, so every run is "
        "listed. The published study printed the corrected test; exact and mid-p stand beside it."
    )
    return section("discordant", "Films that divide the arms", lead, *parts) if parts else None


def _mcnemar(results: Results, arm: str) -> list[list[Any]]:
    """One row per seed and class: the paired 2 x 2 table and its p values."""
    facts, rows = results.facts, []
    for seed in results.seeds:
        base = f"comparisons.{arm}.operating_points.{results.main_point}.per_seed.{seed}"
        for measure, cls in (("sensitivity", "malignant"), ("specificity", "normal")):
            if facts.get(f"{base}.table.{cls}") is None:
                continue
            cells = ("both", "arm_only", "reference_only", "neither")
            counted = [facts.value(f"{base}.table.{cls}.{cell}", "count") for cell in cells]
            tests = [facts.p(f"{base}.mcnemar.{measure}.{kind}") for kind in ("exact", "midp", "corrected")]
            rows.append([f"seed {seed}, {cls} films", *counted, *tests])
    return rows


LOCALISATION = {
    "lesion_sensitivity": "Lesions hit, share of all",
    "right_place": "Tumours called in the right place, share of all",
    "false_marks_per_film": "False marks per film",
    "lroc_area": "Area under the localisation ROC curve (LROC)",
    "wafroc": "Area under the free-response curve (weighted AFROC)",
    "coco_ap": "Average precision of boxes, overlap (IoU) 0.50 to 0.95",
    "coco_ap50": "Average precision of boxes, overlap (IoU) 0.50",
}


def localisation(results: Results) -> Markup | None:
    """Whether the alarm is in the right place."""
    facts = results.facts
    blocks = [(arm, facts.get(f"arms.{arm}.localisation", {})) for arm in results.arms]
    numbers = [
        key for _, block in blocks for key, value in block.items() if isinstance(value, dict) and "estimate" in value
    ]
    keys, title = list(dict.fromkeys(numbers)), "The right place"
    if not keys:
        return section(
            "localisation", title, paragraph("Not assessed: this study has no lesion boxes to compare with.")
        )
    rows = [
        [
            LOCALISATION.get(k, k.replace("_", " ")),
            *(facts.number(f"arms.{a}.localisation.{k}", "auc") for a in results.arms),
        ]
        for k in keys
    ]
    rule = HIT_RULES.get(facts.get("settings.hit_rule"), facts.get("settings.hit_rule"))
    lead = paragraph(
        f"A predicted box is a hit by this rule: {rule}. A film can be called rightly for the wrong place; the first "
        "page counts these."
    )
    heads = ["Measure", *[f"#{results.label(arm)}" for arm in results.arms]]
    pictures = place(results, "localisation", "froc", "lroc")
    return section("localisation", title, lead, pictures, table(f"Localisation, {results.over_runs}", heads, rows))
