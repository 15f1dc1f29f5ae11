"""Operating points: counts, rates, differences, and the declared family of tests."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from osteotl.reporting.charts import Scale, interval_mark
from osteotl.reporting.html import folded, join, paragraph, section, table, tag
from osteotl.reporting.pictures import place
from osteotl.reporting.results import Results
from osteotl.reporting.wording import POINTS, SOURCES, point_name

RATES = (
    ("sensitivity", "Sensitivity", "percent"),
    ("specificity", "Specificity", "percent"),
    ("ppv", "PPV", "percent"),
    ("npv", "NPV", "percent"),
    ("lr_positive", "LR+", "fixed1"),
    ("lr_negative", "LR\N{MINUS SIGN}", "fixed2"),
)
DIFFERENCES = (
    ("sensitivity", "sensitivity"),
    ("specificity", "specificity"),
    ("sum", "both together (sum)"),
    ("ppv", "PPV"),
    ("npv", "NPV"),
)


def operating_points(results: Results) -> Markup | None:
    """Counts and rates at every operating point, and what the arms differ by, by where thresholds come from."""
    if not results.points:
        return None
    lead = paragraph(
        "A threshold turns a score into an alarm. Locked thresholds do not match the arms exactly, so judge the "
        "differences "
        "in sensitivity and in specificity together, and their sum."
    )
    sources = list(dict.fromkeys(key.partition("@")[2] for key in results.points))
    note = paragraph(
        "Shown because the published study did so: such thresholds know the answers and flatter every arm."
    )
    blocks: list[Any] = [join([note if sources[0] == "external" else None, _source(results, sources[0])])]
    for source in sources[1:]:
        blocks.append(folded(f"Thresholds {SOURCES.get(source, source)}", note, _source(results, source)))
    family = [_family(results, arm) for arm in results.others]
    return section(
        "points",
        "Operating points",
        lead,
        blocks[0],
        place(results, "operating_points", "predictive_values"),
        _patients(results),
        family,
        blocks[1:],
    )


def _patients(results: Results) -> Markup | None:
    """The clinical decision is about a patient: the largest score over the views."""
    facts = results.facts
    if facts.get("cohorts.external.max_films_per_patient", 1) < 2:
        return None
    rows = [
        [
            results.mark(arm),
            facts.number(f"arms.{arm}.patient_level.missed_per_100", "fixed1"),
            facts.number(f"arms.{arm}.patient_level.false_alarms_per_1000", "count"),
            facts.number(f"arms.{arm}.patient_level.auc", "auc"),
        ]
        for arm in results.arms
    ]
    heads = ["Arm", "#Missed per 100 patients with a tumour", "#False alarms per 1,000 without", "#AUC"]
    return table("By patient, the largest score over the views: what a clinic would act on", heads, rows)


def _source(results: Results, source: str) -> Markup:
    """Rates, differences and counts of all points whose thresholds come from one set of films."""
    keys = [key for key in results.points if key.partition("@")[2] == source]
    place_of = SOURCES.get(source, source)
    rows = [
        [_where(key, results.mark(arm), first=not i), *_rates(results, arm, key)]
        for key in keys
        for i, arm in enumerate(results.arms)
    ]
    caption = f"Thresholds {place_of}: {results.over_runs}, {results.facts.level} intervals"
    rates = table(caption, ["Point and arm", *[f"#{name}" for _, name, _ in RATES]], rows, class_="stack")
    return join(
        [
            rates,
            _counts(results, keys, place_of),
            *_differences(results, keys, place_of),
            _predictive(results, keys, place_of),
        ]
    )


def _where(key: str, what: Any, first: bool = True) -> list[Any]:
    """The point's name over the first row of its group; the other rows say it to a screen reader only."""
    name = POINTS.get(key.partition("@")[0], key)
    return [tag("span", name, ": " if not first else None, class_="over" if first else "visually-hidden"), what]


def _rates(results: Results, arm: str, key: str) -> list[Markup]:
    return [results.facts.number(f"arms.{arm}.operating_points.{key}.{measure}", style) for measure, _, style in RATES]


def _differences(results: Results, keys: list[str], place_of: str) -> list[Markup]:
    """A forest plot per arm: every difference at every point."""
    facts, tables = results.facts, []
    for arm in results.others:
        base = f"comparisons.{arm}.operating_points"
        paths = [
            (f"{base}.{key}.{m}", key, name)
            for key in keys
            for m, name in DIFFERENCES
            if facts.get(f"{base}.{key}.{m}") is not None
        ]
        scale = Scale.around(
            [facts.get(f"{path}.{end}") for path, _, _ in paths for end in ("lower", "upper", "estimate")], zero=0.0
        )
        rows = [
            [
                f"{POINTS.get(key.partition('@')[0], key)}: {name}",
                facts.number(path, "points"),
                interval_mark(facts.get(path), scale, results.arms.index(arm)),
                facts.p(path) if facts.get(f"{path}.p") is not None else "",
            ]
            for path, key, name in paths
        ]
        caption = [
            results.mark(arm),
            f" minus {results.label(results.reference)}, percentage points; thresholds {place_of}",
        ]
        if rows:
            tables.append(
                table(join(caption), ["Difference in", "#Estimate", "Interval", "#p"], rows, class_="forest-table")
            )
    return tables


def _counts(results: Results, keys: list[str], place_of: str) -> Markup:
    facts, rows = results.facts, []
    for key in keys:
        for arm in results.arms:
            for seed in results.seeds:
                base = f"arms.{arm}.per_seed.{seed}.operating_points.{key}"
                if facts.get(base) is None:
                    continue
                cells = [
                    facts.value(f"{base}.threshold", "small")
                    if facts.get(f"{base}.threshold") is not None
                    else "above every score",
                    *(facts.value(f"{base}.{k}", "count") for k in ("tp", "fn", "fp", "tn")),
                ]
                rates = [_two_intervals(results, f"{base}.{m}") for m in ("sensitivity", "specificity")]
                achieved = [_achieved(results, f"{base}.validation", *pair) for pair in (("tp", "fn"), ("tn", "fp"))]
                rows.append([_where(key, [results.mark(arm), f", seed {seed}"]), *cells, *rates, *achieved])
    heads = [
        "Run",
        "#Threshold",
        "#Found",
        "#Missed",
        "#False alarms",
        "#Rightly quiet",
        "#Sensitivity",
        "#Specificity",
        "#Found, validation",
        "#Quiet, validation",
    ]
    caption = (
        "External films. In brackets: the interval when the threshold itself is learnt anew in each resample. "
        "Validation: what the threshold achieved on the films that it was locked on"
    )
    if all(not cell for row in rows for cell in row[-2:]):
        heads, rows, caption = heads[:-2], [row[:-2] for row in rows], caption.partition(" Validation")[0]
    return folded(
        f"Counts of every training run, thresholds {place_of}",
        table(caption, heads, rows, class_="stack"),
        class_="print tall",
        opened=True,
    )


def _two_intervals(results: Results, path: str) -> list[Any]:
    """A rate with the interval at its fixed threshold, then the one with the threshold learnt anew in brackets."""
    relearnt = results.facts.interval(f"{path}_relearnt", "percent")
    return [results.facts.number(path, "percent"), tag("span", "[", relearnt, "]", class_="ci") if relearnt else None]


def _achieved(results: Results, base: str, right: str, wrong: str) -> list[Any]:
    """`92 of 100`: films called rightly on validation; nothing where there were none."""
    facts = results.facts
    if facts.get(f"{base}.{right}") is None or facts.get(f"{base}.{wrong}") is None:
        return []
    total = int(facts.get(f"{base}.{right}")) + int(facts.get(f"{base}.{wrong}"))
    return [facts.value(f"{base}.{right}", "count"), f" of {total:,}"]


def _predictive(results: Results, keys: list[str], place_of: str) -> Markup | None:
    """PPV and NPV where tumours are rarer."""
    facts, rows = results.facts, []
    for arm in results.arms:
        for i, entry in enumerate(facts.get(f"arms.{arm}.predictive_values", [])):
            if entry.get("point") not in (*keys, None):
                continue
            base = f"arms.{arm}.predictive_values.{i}"
            point = point_name(str(entry["point"])) if entry.get("point") else ""
            rows.append(
                [
                    [results.mark(arm), tag("span", point, class_="over after")],
                    facts.value(f"{base}.prevalence", "percent"),
                    facts.number(f"{base}.ppv", "percent"),
                    facts.number(f"{base}.npv", "percent"),
                ]
            )
    if not rows:
        return None
    caption = "What an alarm, and a quiet film, would mean where tumours are as rare as in the second column"
    return folded(
        f"Predictive values against prevalence, thresholds {place_of}",
        table(caption, ["Arm and point", "#Prevalence", "#PPV", "#NPV"], rows),
    )


def _family(results: Results, arm: str) -> Markup | None:
    facts, base = results.facts, f"comparisons.{arm}.family"
    columns = {"p": "#p", "holm": "#p, Holm", "bh": "#p, Benjamini-Hochberg"}
    several = len(facts.get("comparisons", {})) > 1
    if several:
        columns["holm_all"] = "#p, Holm, all comparisons"
    rows = []
    for i, entry in enumerate(facts.get(base, [])):
        measure, _, point = str(entry.get("name", "")).partition("@")
        name = f"{measure.replace('_', ' ')}, {POINTS.get(point, point)}" if point else measure
        difference = facts.number(f"{base}.{i}.difference", "points")
        rows.append([name, difference, *(facts.value(f"{base}.{i}.{k}", "p") for k in columns)])
    if not rows:
        return None
    caption = [
        results.mark(arm),
        ": the declared family of secondary tests, percentage points. "
        + ("Holm's column over all comparisons decides" if several else "Holm's column decides"),
    ]
    return table(join(caption), ["Test", "#Difference", *columns.values()], rows)
