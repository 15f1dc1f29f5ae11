"""Who was studied: flow, Table 1, subgroups, shortcut audit."""

from __future__ import annotations

from typing import Any

import pandas as pd
from markupsafe import Markup

from osteotl.reporting.charts import Scale, flow_diagram, interval_mark
from osteotl.reporting.film_tables import written
from osteotl.reporting.html import folded, paragraph, section, table, tag
from osteotl.reporting.results import Results
from osteotl.reporting.wording import FEATURES


def flow(results: Results) -> Markup | None:
    """Films and patients from the folder to the analysis."""
    steps = results.integrity.get("flow") or []
    facts = results.facts
    rows = []
    for name in ("validation", "external"):
        base = f"cohorts.{name}"
        if facts.get(base) is not None:
            cells = [facts.value(f"{base}.{k}", "count") for k in ("films", "patients", "malignant", "normal")]
            rows.append(
                [name, *cells, facts.value(f"{base}.prevalence", "percent"), facts.value(f"{base}.unscored", "count")]
            )
    counts = table(
        "Films with scores",
        ["Cohort", "#Films", "#Patients", "#Malignant", "#Normal", "#Prevalence", "#Not scored"],
        rows,
    )
    cohorts: dict[str, list[dict[str, Any]]] = {}
    for step in steps:
        cohorts.setdefault(str(step.get("cohort", "")), []).append(step)
    drawn = [
        tag(
            "figure",
            tag("figcaption", name.replace("_", " ")),
            flow_diagram(part, f"Flow of films, {name}"),
            data_source="cohorts/integrity.json",
        )
        for name, part in cohorts.items()
    ]
    missing = paragraph(
        "Films that could not be scored are counted in the last column, not dropped in silence (intention to diagnose)."
    )
    body = (
        tag("div", drawn, class_="flows")
        if drawn
        else paragraph("The scores were made elsewhere: the flow of films before scoring is not known here.")
    )
    return section("flow", "Films and patients", body, counts, missing, table_one(results))


def table_one(results: Results) -> Markup | None:
    """Table 1, as table_one.csv holds it."""
    frame = results.csv("table_one.csv")
    if frame.empty:
        return None
    return folded("Table 1: characteristics of the films", _turned(frame), class_="print")


def _turned(frame: pd.DataFrame) -> Markup:
    """Characteristics as rows and groups as columns, as papers print a Table 1; rows without an entry are left out."""
    groups = [c for c in ("cohort", "partition", "class") if c in frame]
    heads = ["Characteristic", *(", ".join(map(str, group)) for group in frame[groups].to_numpy())]
    rows = [
        [name[:1].upper() + name[1:], *(written(value) for value in frame[name])]
        for name in frame.columns
        if name not in groups and frame[name].notna().any()
    ]
    return table("Characteristics by cohort, partition and class", heads, rows, source="table_one.csv")


def subgroups(results: Results) -> Markup | None:
    """Forest plot of each arm within groups."""
    facts = results.facts
    entries = facts.get("subgroups", [])
    if not entries:
        return None
    scale = Scale.around([(e.get("auc") or {}).get(k) for e in entries for k in ("lower", "upper", "estimate")])
    rows = []
    for i, entry in enumerate(entries):
        arm = str(entry.get("arm", results.reference))
        index = results.arms.index(arm) if arm in results.arms else 0
        rows.append(
            [
                f"{entry.get('group', '')}: {entry.get('level', '')}".replace(">=", "\N{GREATER-THAN OR EQUAL TO}"),
                results.mark(arm) if arm in results.arms else arm,
                facts.value(f"subgroups.{i}.n", "count"),
                facts.number(f"subgroups.{i}.auc", "auc"),
                interval_mark(entry.get("auc"), scale, index),
                *(facts.number(f"subgroups.{i}.{rate}", "percent") for rate in ("sensitivity", "specificity")),
            ]
        )
    lead = paragraph("Descriptive, not tested. A wide interval means few films, not a weak detector.")
    forest = table(
        "AUC within groups, and the rates at the operating point of the first page",
        ["Group", "Arm", "#Films", "#AUC", "AUC with interval", "#Sensitivity", "#Specificity"],
        rows,
        class_="forest-table stack",
    )
    return section("subgroups", "Subgroups", lead, forest)


AUDITS = {
    "lesion_masked": "AUC with every lesion painted over",
    "only_lesion": "AUC with the lesion alone",
    "flipped": "AUC on mirrored films",
    "as_is": "AUC on unchanged films",
    "class_probe": "AUC of a linear classifier on the detector's features, lesions painted over",
}


def audit(results: Results) -> Markup | None:
    """Shortcuts, and how far one gets without the film."""
    facts = results.facts
    rows = [[_check(results, path), facts.number(path, "auc")] for path in _numbers(facts.get("audit", {}), "audit")]
    if facts.get("baseline.auc") is not None:
        features = ", ".join(FEATURES.get(f, str(f)) for f in facts.get("baseline.features", []))
        rows.append(
            [f"AUC without the detector ({features or 'covariates alone'})", facts.number("baseline.auc", "auc")]
        )
    rows += _site_probe(results)
    alarms = [
        [_alarm(results, str(alarm.get("alarm", ""))), "ALARM" if alarm.get("raised") else "no alarm",
         str(alarm.get("rule", "")), str(alarm.get("finding", ""))]
        for alarm in facts.get("audit.alarms", [])
    ]  # fmt: skip
    if not rows and not alarms:
        return None
    lead = paragraph(
        "A detector can learn the source of a film instead of the tumour. The checks: is it sure with the lesion "
        "masked; can the site be told from the picture; how far do age, sex, view and site alone carry?"
    )
    numbers = table("Shortcut checks and trivial baseline", ["Check", "#Value"], rows) if rows else None
    rules = table("Rules set beforehand", ["Check", "Outcome", "Rule", "Finding"], alarms, source="statistics.json")
    return section("audit", "Shortcut audit", lead, rules if alarms else None, numbers)


def _alarm(results: Results, name: str) -> list[Any]:
    """`lesion_masked: scratch` in words."""
    check, _, arm = name.partition(": ")
    return [check.replace("_", " "), [", ", results.mark(arm)] if arm in results.arms else arm]


def _site_probe(results: Results) -> list[list[Any]]:
    """How well a linear classifier tells the sites from what the detector sees."""
    facts, rows = results.facts, []
    for i, probe in enumerate(facts.get("audit.site_probe", [])):
        base = f"audit.site_probe.{i}"
        if isinstance(probe, dict) and probe.get("arm") in results.arms and facts.get(f"{base}.balanced_accuracy"):
            words = ["Sites told apart from the detector's features, balanced accuracy, ", results.mark(probe["arm"])]
            chance = [" (guessing: ", facts.value(f"{base}.chance", "auc"), ")"]
            rows.append([words, [facts.value(f"{base}.balanced_accuracy", "auc"), chance]])
    return rows


def _check(results: Results, path: str) -> list[Any]:
    """`audit.lesion_masked.scratch` in words."""
    _, name, *rest = path.split(".")
    words: list[Any] = [AUDITS.get(name, name.replace("_", " "))]
    for part in rest:
        words += [", ", results.mark(part) if part in results.arms else part.replace("_", " ")]
    return words


def _numbers(node: Any, path: str) -> list[str]:
    """Paths of every Number below a node."""
    if isinstance(node, dict):
        if "estimate" in node:
            return [path]
        return [
            found for key, value in node.items() if "." not in str(key) for found in _numbers(value, f"{path}.{key}")
        ]
    return (
        [found for i, value in enumerate(node) for found in _numbers(value, f"{path}.{i}")]
        if isinstance(node, list)
        else []
    )
