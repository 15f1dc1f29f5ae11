"""The body of the page, in reading order; each function is one section, or None where a study has nothing for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd
from markupsafe import Markup

from osteotl.reporting.charts import Scale, flow_diagram, interval_mark
from osteotl.reporting.explorer import explorer_html
from osteotl.reporting.gallery import gallery
from osteotl.reporting.html import folded, notice, paragraph, section, table, tag
from osteotl.reporting.pictures import place
from osteotl.reporting.results import Results, point_name

Section = Callable[[Results], Markup | None]

HEADINGS = {
    "arm": "Arm", "seed": "Seed", "point": "Point", "image_id": "Film", "patient_id": "Patient", "subtype": "Subtype", "site": "Site",
    "view": "View", "age": "Age", "sex": "Sex", "score": "Score", "risk": "Risk", "size_mm": "Size, mm", "kind": "Kind", "label": "Class",
    "arm_calls": "Arm calls", "reference_calls": "Reference calls",
}


def flow(results: Results) -> Markup | None:
    """Films and patients from the folder to the analysis."""
    steps = results.integrity.get("flow") or []
    facts = results.facts
    rows = []
    for name in ("validation", "external"):
        base = f"cohorts.{name}"
        if facts.get(base) is not None:
            cells = [facts.value(f"{base}.{k}", "count") for k in ("films", "patients", "malignant", "normal")]
            rows.append([name, *cells, facts.value(f"{base}.prevalence", "percent"), facts.value(f"{base}.unscored", "count")])
    counts = table("Films with scores", ["Cohort", "#Films", "#Patients", "#Malignant", "#Normal", "#Prevalence", "#Not scored"], rows)
    cohorts: dict[str, list[dict[str, Any]]] = {}
    for step in steps:
        cohorts.setdefault(str(step.get("cohort", "")), []).append(step)
    drawn = [tag("figure", tag("figcaption", name.replace("_", " ")), flow_diagram(part, f"Flow of films, {name}"), data_source="cohorts/integrity.json")
             for name, part in cohorts.items()]
    missing = paragraph("Films that could not be scored stay in the denominators' account: they are counted above (intention to diagnose).")
    body = tag("div", drawn, class_="flows") if drawn else paragraph("The scores were made elsewhere: the flow of films before scoring is not known here.")
    return section("flow", "Films and patients", body, counts, missing, table_one(results))


def table_one(results: Results) -> Markup | None:
    """Table 1, as tables/cohort.csv holds it."""
    frame = results.table("cohort")
    if frame.empty:
        return None
    return folded("Table 1: characteristics of the films", any_table("Characteristics by cohort and class", frame, "tables/cohort.csv"))


def operating_points(results: Results) -> Markup | None:
    """Counts and rates at every operating point, and what the arms differ by."""
    facts, blocks = results.facts, []
    for key in results.points:
        rows = [[results.mark(arm), *_point_cells(results, arm, key)] for arm in results.arms]
        measures = ["#Sensitivity", "#Specificity", "#PPV", "#NPV", "#LR+", "#LR\N{MINUS SIGN}"]
        caption = [f"{point_name(key)[0].upper()}{point_name(key)[1:]}", tag("span", f" mean over seeds, {facts.level} intervals", class_="fine")]
        blocks += [table(join_caption(caption), ["Arm", *measures], rows), _counts(results, key), _differences(results, key)]
    family = [_family(results, arm) for arm in results.others]
    if not blocks:
        return None
    lead = paragraph("Arms are not matched at locked thresholds: judge the difference in sensitivity and in specificity together, and their sum. "
                     "Points found on the external films are shown because the published study did so; they flatter every arm.")
    return section("points", "Operating points", lead, place(results, "operating_points", "predictive_values"), blocks, family)


def join_caption(parts: list[Any]) -> Markup:
    """Several pieces as one caption."""
    return Markup("").join(tag("span", part) if not isinstance(part, Markup) else part for part in parts)


def _point_cells(results: Results, arm: str, key: str) -> list[Markup]:
    base = f"arms.{arm}.operating_points.{key}"
    styles = (("sensitivity", "percent"), ("specificity", "percent"), ("ppv", "percent"), ("npv", "percent"), ("lr_positive", "fixed1"), ("lr_negative", "fixed2"))
    return [results.facts.number(f"{base}.{measure}", style) for measure, style in styles]


def _counts(results: Results, key: str) -> Markup:
    facts, rows = results.facts, []
    for arm in results.arms:
        for seed in results.seeds:
            base = f"arms.{arm}.per_seed.{seed}.operating_points.{key}"
            if facts.get(base) is None:
                continue
            cells = [facts.value(f"{base}.threshold", "small"), *(facts.value(f"{base}.{k}", "count") for k in ("tp", "fn", "fp", "tn"))]
            relearnt = [facts.interval(f"{base}.{m}_relearnt", "percent") for m in ("sensitivity", "specificity")]
            rows.append([[results.mark(arm), f", seed {seed}"], *cells, *(facts.number(f"{base}.{m}", "percent") for m in ("sensitivity", "specificity")), *relearnt])
    heads = ["Run", "#Threshold", "#Found", "#Missed", "#False alarms", "#Rightly quiet", "#Sensitivity", "#Specificity", "#Sensitivity, threshold relearnt", "#Specificity, threshold relearnt"]
    return folded("Counts of every training run", table(f"Counts per training run, {point_name(key)}", heads, rows), class_="print")


def _differences(results: Results, key: str) -> Markup | None:
    facts, rows = results.facts, []
    measures = (("sensitivity", "Sensitivity"), ("specificity", "Specificity"), ("sum", "Sensitivity + specificity"), ("ppv", "PPV"), ("npv", "NPV"))
    for arm in results.others:
        base = f"comparisons.{arm}.operating_points.{key}"
        scale = Scale.around([facts.get(f"{base}.{m}.{e}") for m, _ in measures for e in ("lower", "upper")], zero=0.0)
        for measure, name in measures:
            if facts.get(f"{base}.{measure}") is None:
                continue
            path = f"{base}.{measure}"
            mark = interval_mark(facts.get(path), scale, results.arms.index(arm))
            rows.append([name if len(results.others) == 1 else [results.label(arm), ": ", name], facts.number(path, "points"), mark, facts.p(path) if facts.get(f"{path}.p") is not None else ""])
    if not rows:
        return None
    return table(f"Difference from {results.label(results.reference)}, {point_name(key)} (right of the line: higher than the reference)", ["Measure", "#Difference", "Interval", "#p"], rows, class_="forest-table")


def _family(results: Results, arm: str) -> Markup | None:
    facts, base = results.facts, f"comparisons.{arm}.family"
    entries = facts.get(base, [])
    rows = [[tag("span", str(entry.get("name", ""))), facts.number(f"{base}.{i}.difference", "points"), *(facts.value(f"{base}.{i}.{k}", "p") for k in ("p", "holm", "bh"))]
            for i, entry in enumerate(entries)]
    if not rows:
        return None
    return table(f"Declared family of secondary tests, {results.label(arm)}: Holm's adjustment decides, the rest is descriptive", ["Test", "#Difference", "#p", "#Holm", "#Benjamini-Hochberg"], rows)


def errors(results: Results) -> Markup | None:
    """Every missed tumour and the false alarms of the first seed."""
    parts: list[Any] = []
    for name, title in (("missed", "Every missed tumour"), ("false_alarms", "False alarms")):
        frame = results.table(name)
        if frame.empty:
            continue
        shown = _first_seed(results, frame)
        parts.append(tag("h3", title))
        parts.append(paragraph(f"{title} at the operating point \N{LEFT DOUBLE QUOTATION MARK}{point_name(results.main_point)}\N{RIGHT DOUBLE QUOTATION MARK}, training seed {results.first_seed}. All seeds: tables/{name}.csv."))
        parts += [_by_kind(results, shown, name)]
        for arm in results.arms:
            part = shown[shown["arm"].eq(arm)] if "arm" in shown else shown
            columns = [c for c in part.columns if c not in ("arm", "seed", "point", "patient_id")]
            body = any_table(f"{title}, {results.label(arm)}", part[columns], f"tables/{name}.csv")
            parts.append(folded([results.mark(arm), f": {len(part)} films"], body, class_="print"))
    return section("errors", "Missed tumours and false alarms", *parts) if parts else None


def _first_seed(results: Results, frame: pd.DataFrame) -> pd.DataFrame:
    if "seed" in frame:
        frame = frame[frame["seed"].astype(str).eq(results.first_seed)]
    if "point" in frame and results.main_point in set(frame["point"]):
        frame = frame[frame["point"].eq(results.main_point)]
    return frame


def _by_kind(results: Results, frame: pd.DataFrame, name: str) -> Markup | None:
    column = next((c for c in ("kind", "subtype") if c in frame and frame[c].nunique() > 1), None)
    if column is None or "arm" not in frame:
        return None
    counted = frame.groupby([column, "arm"]).size().unstack(fill_value=0)
    rows = [[str(kind), *(tag("span", f"{int(line.get(arm, 0)):,}", data_source=f"tables/{name}.csv") for arm in results.arms)] for kind, line in counted.iterrows()]
    return table(f"Counted by {HEADINGS.get(column, column).lower()}", [HEADINGS.get(column, column), *[f"#{results.label(a)}" for a in results.arms]], rows, source=f"tables/{name}.csv")


def any_table(caption: str, frame: pd.DataFrame, source: str, limit: int = 600) -> Markup:
    """A CSV table as it stands, numbers rounded for reading; identifiers are the hashes."""
    numeric = {c: pd.api.types.is_numeric_dtype(frame[c]) for c in frame.columns}
    heads = [("#" if numeric[c] and i else "") + HEADINGS.get(c, c.replace("_", " ")) for i, c in enumerate(frame.columns)]
    rows = [[_plain(value) for value in row] for row in frame.head(limit).itertuples(index=False)]
    note = paragraph(f"The first {limit} of {len(frame):,} rows; all of them: {source}.", class_="fine") if len(frame) > limit else None
    return Markup("").join(part for part in (table(caption, heads, rows, source=source), note) if part)


def _plain(value: Any) -> str:
    if value is None or value != value:
        return ""
    return f"{value:.3g}" if isinstance(value, float) and value != int(value) else (f"{value:g}" if isinstance(value, float) else str(value))


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
                cells = [facts.value(f"{base}.table.{cls}.{k}", "count") for k in ("both", "arm_only", "reference_only", "neither")]
                tests = [facts.p(f"{base}.mcnemar.{measure}.{k}") for k in ("exact", "midp", "corrected")]
                rows.append([f"seed {seed}, {cls} films", *cells, *tests])
        if rows:
            heads = ["Films", "#Both right", "#Only this arm right", "#Only the reference right", "#Neither", "#p exact", "#p mid-p", "#p corrected"]
            parts.append(table(f"{results.label(arm)} against {results.label(results.reference)}, {point_name(key)}", heads, rows))
    frame = _first_seed(results, results.table("discordant"))
    if not frame.empty:
        parts.append(folded(f"The discordant films of seed {results.first_seed}", any_table("Discordant films", frame.drop(columns=["seed", "point", "patient_id"], errors="ignore"), "tables/discordant.csv")))
    lead = paragraph("2 \N{MULTIPLICATION SIGN} 2 tables and McNemar's test exist only within one training run, so every run is listed. "
                     "The published study printed the corrected test; exact and mid-p stand beside it.")
    return section("discordant", "Films that divide the arms", lead, *parts) if parts else None


LOCALISATION = {
    "lesion_sensitivity": "Lesions hit", "lroc_area": "Area under the LROC curve", "wafroc": "Weighted AFROC (figure of merit)", "coco_ap": "AP, IoU .50 to .95", "coco_ap50": "AP, IoU .50",
}


def localisation(results: Results) -> Markup | None:
    """Whether the alarm is in the right place."""
    facts = results.facts
    names = [k for arm in results.arms for k in facts.get(f"arms.{arm}.localisation", {}) if isinstance(facts.get(f"arms.{arm}.localisation.{k}"), dict) and "estimate" in facts.get(f"arms.{arm}.localisation.{k}")]
    keys = list(dict.fromkeys(names))
    if not keys:
        return section("localisation", "The right place", paragraph("Not assessed: this study has no lesion boxes to compare with."))
    rows = [[LOCALISATION.get(k, k.replace("_", " ")), *(facts.number(f"arms.{arm}.localisation.{k}", "auc") for arm in results.arms)] for k in keys]
    lead = paragraph(f"A predicted box counts as a hit by the rule \N{LEFT DOUBLE QUOTATION MARK}{facts.get('settings.hit_rule', 'iou30')}\N{RIGHT DOUBLE QUOTATION MARK}. A film can be called rightly for the wrong place; the first page counts these.")
    return section("localisation", "The right place", lead, place(results, "localisation", "froc", "lroc"), table("Localisation, mean over seeds", ["Measure", *[f"#{results.label(a)}" for a in results.arms]], rows))


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
        rows.append([f"{entry.get('group', '')}: {entry.get('level', '')}", results.mark(arm) if arm in results.arms else arm,
                     facts.value(f"subgroups.{i}.n", "count"), facts.number(f"subgroups.{i}.auc", "auc"), interval_mark(entry.get("auc"), scale, index),
                     facts.number(f"subgroups.{i}.sensitivity", "percent")])
    lead = paragraph("Descriptive, not tested. A wide interval means few films, not a weak detector.")
    forest = table("AUC and sensitivity within groups", ["Group", "Arm", "#Films", "#AUC", "AUC with interval", "#Sensitivity"], rows, class_="forest-table")
    return section("subgroups", "Subgroups", lead, forest)


def discrimination(results: Results) -> Markup | None:
    """ROC: the primary outcome."""
    facts = results.facts
    margin = facts.get("settings.auc_margin")
    parts: list[Any] = [place(results, "roc", "auc_difference")]
    rows = [[results.mark(arm), facts.number(f"arms.{arm}.auc", "auc"), facts.number(f"arms.{arm}.patient_level.auc", "auc"), facts.number(f"arms.{arm}.average_precision", "auc"), facts.number(f"arms.{arm}.max_f1", "auc")] for arm in results.arms]
    parts.append(table(f"Discrimination, mean over seeds, {facts.level} intervals", ["Arm", "#AUC, films", "#AUC, patients", "#Average precision", "#Largest F1"], rows))
    paths = [(f"comparisons.{arm}.{end}", arm, name) for arm in results.others for end, name in
             [("auc_difference", "all seeds (the headline)"), ("seeds_by_patients", "seeds \N{MULTIPLICATION SIGN} patients bootstrap (sensitivity analysis)"), *[(f"per_seed.{s}.auc_difference", f"seed {s} alone") for s in results.seeds]]]
    paths = [p for p in paths if facts.get(p[0]) is not None]
    scale = Scale.around([facts.get(f"{path}.{e}") for path, _, _ in paths for e in ("lower", "upper", "estimate")], 0.0, (-margin, margin) if margin else None)
    forest = [[[results.mark(arm), f": {name}"], facts.number(path, "signed3"), interval_mark(facts.get(path), scale, results.arms.index(arm)), facts.p(path)] for path, arm, name in paths]
    if forest:
        parts.append(table("Difference in AUC; grey band: the margin declared beforehand", ["Comparison", "#Difference", "Interval", "#p"], forest, class_="forest-table"))
    reason = facts.get("settings.auc_margin_reason")
    if margin and reason:
        parts.append(paragraph("The margin is ", facts.value("settings.auc_margin", "auc"), ", because ", str(reason).rstrip("."), "."))
    return section("roc", "ROC and the paired difference", *parts)


def calibration(results: Results) -> Markup | None:
    """Whether a risk of 20 % means one in five."""
    facts, seed = results.facts, results.first_seed
    names = (("brier_recalibrated", "Brier score", "auc"), ("brier_raw", "Brier score, raw", "auc"), ("calibration_in_the_large", "Calibration in the large", "signed3"), ("calibration_slope", "Calibration slope", "fixed2"), ("ici", "Mean absolute error (ICI)", "auc"), ("e90", "90th percentile of error (E90)", "auc"))
    rows = [[name, *(facts.number(f"arms.{arm}.per_seed.{seed}.{key}", style) for arm in results.arms)] for key, name, style in names if any(facts.get(f"arms.{a}.per_seed.{seed}.{key}") is not None for a in results.arms)]
    lead = paragraph("A detector's confidence is not a probability: scores were recalibrated on the validation films first. Raw values stand beside for comparison." if facts.get("cohorts.validation") else "There were no validation films to recalibrate on: scores are shown raw and must not be read as probabilities.")
    numbers = table(f"Calibration, seed {seed}", ["Measure", *[f"#{results.label(a)}" for a in results.arms]], rows) if rows else None
    return section("calibration", "Calibration", lead, place(results, "calibration", "scores"), numbers)


def decision(results: Results) -> Markup | None:
    """Net benefit against threshold probability."""
    pictures = place(results, "decision_curve")
    if not pictures:
        return None
    low, high = (results.facts.value(f"settings.decision_range.{i}", "percent0") for i in (0, 1))
    return section("decision", "Decision curves", paragraph("Net benefit weighs missed tumours against false alarms at the threshold probability at which one would act; shown from ", low, " to ", high, "."), pictures)


def seeds(results: Results) -> Markup | None:
    """Every training run, and label fractions."""
    facts = results.facts
    rows = [[[results.mark(arm), f", seed {seed}"], facts.number(f"arms.{arm}.per_seed.{seed}.auc", "auc"), facts.number(f"arms.{arm}.per_seed.{seed}.auc_patient", "auc"), facts.number(f"arms.{arm}.per_seed.{seed}.average_precision", "auc")] for arm in results.arms for seed in results.seeds]
    parts: list[Any] = [place(results, "seeds", "learning_curve"), table("Every training run", ["Run", "#AUC, films", "#AUC, patients", "#Average precision"], rows)]
    curve = [[results.mark(arm), _plain(entry.get("fraction")), entry.get("seed") if entry.get("seed") is not None else "mean", facts.number(f"arms.{arm}.learning_curve.{i}.auc", "auc")]
             for arm in results.arms for i, entry in enumerate(facts.get(f"arms.{arm}.learning_curve", []))]
    if len({row[1] for row in curve}) > 1:
        parts.append(folded("AUC by share of labelled films", table("Learning curve", ["Arm", "#Share of films", "Seed", "#AUC"], curve), class_="print"))
    return section("seeds", "Training runs and scarce labels", *parts)


def audit(results: Results) -> Markup | None:
    """Shortcuts, and how far one gets without the film."""
    facts, rows = results.facts, []
    for path in _numbers(facts.get("audit", {}), "audit"):
        rows.append([path.removeprefix("audit.").replace("_", " ").replace(".", ", "), facts.number(path, "auc")])
    parts: list[Any] = [paragraph("A detector can learn the source of a film instead of the tumour. The checks: is it still sure when the lesion is masked; can the site be told from the picture; how far do age, sex, view and site alone carry?")]
    if facts.get("baseline.auc") is not None:
        features = ", ".join(str(f) for f in facts.get("baseline.features", []))
        rows.append([f"AUC without the film ({features})" if features else "AUC without the film", facts.number("baseline.auc", "auc")])
    if not rows:
        return None
    return section("audit", "Shortcut audit", *parts, table("Shortcut checks and trivial baseline", ["Check", "#Value"], rows))


def _numbers(node: Any, path: str) -> list[str]:
    """Paths of every Number below a node."""
    if isinstance(node, dict):
        if "estimate" in node:
            return [path]
        return [found for key, value in node.items() if "." not in str(key) for found in _numbers(value, f"{path}.{key}")]
    return [found for i, value in enumerate(node) for found in _numbers(value, f"{path}.{i}")] if isinstance(node, list) else []


def explorer(results: Results) -> Markup | None:
    """The threshold explorer."""
    lead = paragraph("Move the threshold, the prevalence or the worth of a found tumour and see what follows. Counts are exact, from the external films. "
                     "Thresholds that you pick here are picked on the test films: for thinking, not for reporting. Within one training run intervals are Wilson's (films taken as independent) "
                     "and, for predictive values, Mercaldo's.")
    return section("explorer", "Threshold explorer", lead, explorer_html(results.facts.statistics, {"scores": results.table("scores")}, standalone=False), class_="no-print")


def flags(results: Results) -> Markup | None:
    """Warnings of the analysis."""
    texts = [str(text) for text in results.facts.get("flags", [])]
    return notice(tag("strong", "Mind this when reading."), tag("ul", [tag("li", text) for text in texts]), kind="warn") if texts else None


BODY: tuple[Section, ...] = (flow, operating_points, errors, discordant, localisation, subgroups, discrimination, calibration, decision, seeds, audit, explorer, gallery)
"""The sections between the summary and the limitations, in the order of the page."""
