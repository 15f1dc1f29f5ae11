"""What went wrong, film by film: misses, false alarms, discordant films, wrong places."""

from __future__ import annotations

from typing import Any

import pandas as pd
from markupsafe import Markup

from osteotl.reporting.film_tables import HEADINGS, any_table, first_seed_rows
from osteotl.reporting.html import folded, paragraph, section, table, tag
from osteotl.reporting.pictures import place
from osteotl.reporting.results import Results, point_name


def errors(results: Results) -> Markup | None:
    """Every missed tumour and the false alarms of the first seed."""
    parts: list[Any] = []
    for name, title in (("missed", "Every missed tumour"), ("false_alarms", "False alarms")):
        frame = results.table(name)
        if frame.empty:
            continue
        shown = first_seed_rows(results, frame)
        parts.append(tag("h3", title))
        parts.append(
            paragraph(
                f"{title} at the operating point “{point_name(results.main_point)}”, training seed "
                f"{results.first_seed}. All seeds: tables/{name}.csv."
            )
        )
        parts += [_by_kind(results, shown, name)]
        for arm in results.arms:
            part = shown[shown["arm"].eq(arm)] if "arm" in shown else shown
            columns = [c for c in part.columns if c not in ("arm", "seed", "point", "patient_id")]
            body = any_table(f"{title}, {results.label(arm)}", part[columns], f"tables/{name}.csv")
            parts.append(
                folded([results.mark(arm), f": {len(part)} films"], body, class_="print" if name == "missed" else None)
            )
    return section("errors", "Missed tumours and false alarms", *parts) if parts else None


def _by_kind(results: Results, frame: pd.DataFrame, name: str) -> Markup | None:
    column = next((c for c in ("kind", "subtype") if c in frame and len(set(frame[c].dropna())) > 1), None)
    if column is None or "arm" not in frame:
        return None
    counted = pd.crosstab(frame[column], frame["arm"])
    rows = [
        [
            str(kind),
            *(tag("span", f"{int(line.get(arm, 0)):,}", data_source=f"tables/{name}.csv") for arm in results.arms),
        ]
        for kind, line in counted.iterrows()
    ]
    return table(
        f"Counted by {HEADINGS.get(column, column).lower()}",
        [HEADINGS.get(column, column), *[f"#{results.label(a)}" for a in results.arms]],
        rows,
        source=f"tables/{name}.csv",
    )


def discordant(results: Results) -> Markup | None:
    """Films that only one arm gets right, with McNemar's test, within each seed."""
    facts, parts, key = results.facts, [], results.main_point
    for arm in results.others:
        rows = []
        for seed in results.seeds:
            base = f"comparisons.{arm}.operating_points.{key}.per_seed.{seed}"
            for measure, cls in (("sensitivity", "malignant"), ("specificity", "normal")):
                if facts.get(f"{base}.table.{cls}") is None:
                    continue
                cells = [
                    facts.value(f"{base}.table.{cls}.{k}", "count")
                    for k in ("both", "arm_only", "reference_only", "neither")
                ]
                tests = [facts.p(f"{base}.mcnemar.{measure}.{k}") for k in ("exact", "midp", "corrected")]
                rows.append([f"seed {seed}, {cls} films", *cells, *tests])
        if rows:
            heads = [
                "Films",
                "#Both right",
                "#Only this arm right",
                "#Only the reference right",
                "#Neither",
                "#p exact",
                "#p mid-p",
                "#p corrected",
            ]
            parts.append(
                table(
                    f"{results.label(arm)} against {results.label(results.reference)}, {point_name(key)}", heads, rows
                )
            )
    frame = first_seed_rows(results, results.table("discordant"))
    if not frame.empty:
        parts.append(
            folded(
                f"The discordant films of seed {results.first_seed}",
                any_table(
                    "Discordant films",
                    frame.drop(columns=["seed", "point", "patient_id"], errors="ignore"),
                    "tables/discordant.csv",
                ),
            )
        )
    lead = paragraph(
        "2 \N{MULTIPLICATION SIGN} 2 tables and McNemar's test exist only within one training run, so every run is "
        "listed. "
        "The published study printed the corrected test; exact and mid-p stand beside it."
    )
    return section("discordant", "Films that divide the arms", lead, *parts) if parts else None


LOCALISATION = {
    "lesion_sensitivity": "Lesions hit",
    "right_place": "Tumours called in the right place",
    "false_marks_per_film": "False marks per film",
    "lroc_area": "Area under the LROC curve",
    "wafroc": "Weighted AFROC (figure of merit)",
    "coco_ap": "AP, IoU .50 to .95",
    "coco_ap50": "AP, IoU .50",
}


def localisation(results: Results) -> Markup | None:
    """Whether the alarm is in the right place."""
    facts = results.facts
    names = [
        k
        for arm in results.arms
        for k in facts.get(f"arms.{arm}.localisation", {})
        if isinstance(facts.get(f"arms.{arm}.localisation.{k}"), dict)
        and "estimate" in facts.get(f"arms.{arm}.localisation.{k}")
    ]
    keys = list(dict.fromkeys(names))
    if not keys:
        return section(
            "localisation",
            "The right place",
            paragraph("Not assessed: this study has no lesion boxes to compare with."),
        )
    rows = [
        [
            LOCALISATION.get(k, k.replace("_", " ")),
            *(facts.number(f"arms.{arm}.localisation.{k}", "auc") for arm in results.arms),
        ]
        for k in keys
    ]
    lead = paragraph(
        f"A predicted box counts as a hit by the rule “{facts.get('settings.hit_rule', 'iou30')}”. A film can be "
        "called rightly for the wrong place; the first page counts these."
    )
    return section(
        "localisation",
        "The right place",
        lead,
        place(results, "localisation", "froc", "lroc"),
        table("Localisation, mean over seeds", ["Measure", *[f"#{results.label(a)}" for a in results.arms]], rows),
    )
