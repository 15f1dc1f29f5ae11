"""The end of the page: limitations written from the run, then everything folded away."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

from markupsafe import Markup

from osteotl.reporting.checklists import NEEDED, PARTLY, guideline, names
from osteotl.reporting.html import bullets, folded, join, paragraph, section, table, tag
from osteotl.reporting.markdown import unescaped
from osteotl.reporting.pictures import leftovers, place
from osteotl.reporting.results import Results, read_json
from osteotl.reporting.safety import without_paths
from osteotl.reporting.wording import typeset

GLOSSARY = (
    ("Arm", "one way to start training the detector; the arms differ in nothing else unless the study says so."),
    ("AUC", "the chance that a malignant film scores above a normal one; 0.5 is guessing, 1 is perfect."),
    ("Sensitivity", "of the films with a tumour, the share that raises an alarm."),
    ("Specificity", "of the films without one, the share that stays quiet."),
    (
        "PPV, NPV",
        "of the alarms, the share that are right; of the quiet films, the share that are right. Both change with "
        "prevalence.",
    ),
    (
        "Operating point",
        "the threshold at which a score becomes an alarm; locked means chosen before the test films were scored.",
    ),
    ("Calibration", "whether films given a risk of 20% turn out malignant one time in five."),
    ("Net benefit", "tumours found, minus false alarms weighed by how many of them one found tumour is worth."),
    ("LROC, AFROC", "curves that count a tumour as found only where the mark lies on it; the area is 1 where all do."),
    ("IoU", "intersection over union: how far two boxes cover the same ground, from 0 to 1."),
    ("Brier score", "the mean squared distance between the risk given and what was there; 0 is perfect."),
    ("Seed", "the number that starts one training run; another seed gives another detector from the same films."),
    ("Margin", "the largest difference in AUC that would not matter, declared beforehand."),
    ("Holm", "an adjustment of p values for having run several tests."),
    ("Reference standard", "what decides whether a film truly shows a tumour."),
)


def limitations(results: Results) -> Markup:
    """What this study cannot say, from its settings and its flags."""
    facts, items = results.facts, []
    if results.phantoms:
        items.append(
            "The films are phantoms made by a program: they validate the instrument and say nothing about patients."
        )
    if facts.get("cohorts.validation") is None:
        items.append(
            "No validation films: thresholds were found on the films they are tested on, and scores are not "
            "recalibrated."
        )
    items.append("No radiologist comparator: nothing here says how the detector compares with a reader, or helps one.")
    if results.study.predictions is None:
        items.append(
            f"The detector is {results.study.detector.model} of the ultralytics package: the anchor-free 'u' "
            "variant, not the published YOLOv5 head."
        )
    items += [
        "Malignant against normal films: benign tumours, infection and fractures, the hard part of practice, are "
        "not tested unless the cohort holds them.",
        "The share of malignant films is far above a clinic's; predictive values were recomputed, the mix of cases "
        "was not.",
    ]
    items += [typeset(text) for text in facts.get("flags", [])]
    return section("limitations", "Limitations", bullets(dict.fromkeys(items)))


def further(results: Results, so_far: str) -> Markup:
    """Folded: further figures, checklists, methods text, model cards, published figures, glossary, provenance."""
    parts: list[Any] = [_folded("precision-recall", "Precision and recall", place(results, "precision_recall"))]
    others = [name for name in leftovers(results, so_far) if name != "precision_recall"]
    parts.append(_folded("more-figures", "Other figures", place(results, *others)))
    parts += [
        _written(results, "methods", "Methods and Results, ready to paste"),
    ]
    parts += list(_checklists(results))
    parts.append(_folded("cards", "Model cards", _cards(results)))
    parts.append(_folded("not-estimable", "What could not be estimated, and why", _not_estimable(results)))
    parts.append(_folded("published", "The published figures, derived again", _published(results)))
    parts.append(_folded("data-faults", "Faults found in the films", _faults(results)))
    terms = [[tag("dt", term), tag("dd", meaning)] for term, meaning in GLOSSARY]
    parts.append(_folded("glossary", "Glossary", tag("dl", terms)))
    parts.append(_folded("provenance", "Provenance", _provenance(results)))
    return section("further", "Further reading", *[part for part in parts if part])


def _folded(identifier: str, title: str, content: Markup | None) -> Markup | None:
    return folded(title, content, identifier=identifier) if content else None


def _written(results: Results, name: str, title: str) -> Markup | None:
    """Paragraphs of OUT/NAME.md, shown as plain text to copy."""
    path = results.out / f"{name}.md"
    if not path.is_file():
        return None
    blocks = [block for block in re.split(r"\n\s*\n", path.read_text(encoding="utf-8")) if block.strip()]
    return _folded(f"{name}-text", title, join([_block(without_paths(unescaped(b))) for b in blocks]))


def _block(text: str) -> Markup:
    if match := re.match(r"(#+)\s*(.+)", text.strip()):
        return tag("h3", match[2])
    if all(re.match(r"\d+\. ", line) for line in text.splitlines()):
        return tag("ol", [tag("li", re.sub(r"^\d+\. ", "", line)) for line in text.splitlines()])
    return paragraph(" ".join(text.split()))


def _checklists(results: Results) -> Iterator[Markup | None]:
    """One table per guideline: OUT/checklists/NAME.csv, each answer with a link to the place that shows it."""
    heads = ["Item", "What it asks", "Status", "Answer"]
    for name in names():
        frame = results.csv(f"checklists/{name}.csv").fillna("")
        if frame.empty:
            continue
        known, source = guideline(name), f"checklists/{name}.csv"
        rows = [
            [row.item, [tag("span", row.section, class_="over"), row.asks], row.status, _answer(row)]
            for row in frame.itertuples()
        ]
        about = paragraph(known["cite"], " ", known["numbering"], " The same as a table: ", tag("code", source), ".")
        listed = table(f"{known['name']}, filled from the run", heads, rows, source=source)
        yield folded(f"Checklist {known['name']}", about, listed, identifier=f"checklist-{name}")


def _answer(row: Any) -> list[Any]:
    """The answer, with where the page shows it, or where in study.yaml the author can give it."""
    said: list[Any] = [str(row.text)]
    if row.anchor:
        said += [" ", tag("a", "Shown here", href=f"#{row.anchor}"), ", read from ", tag("code", row.source), "."]
    if row.topic and row.status in (NEEDED, PARTLY):
        said += [" Author: ", tag("code", f"report.author.{row.topic}"), " of study.yaml."]
    return said


def _not_estimable(results: Results) -> Markup | None:
    """Every reason that statistics.json gives for a number or an interval that is missing."""
    counts = Counter(_reasons(results.facts.statistics))
    rows = [[typeset(reason), f"{number:,}"] for reason, number in counts.most_common()]
    return (
        table("Numbers of statistics.json without estimate or interval", ["Reason", "#Numbers"], rows) if rows else None
    )


def _reasons(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(reason := node.get("not_estimable"), str):
            yield reason
        node = list(node.values())
    if isinstance(node, list):
        for child in node:
            yield from _reasons(child)


def _cards(results: Results) -> Markup | None:
    """How each arm was made, from study.yaml and from what training wrote down."""
    if results.study.predictions is not None:
        return paragraph("The scores were made elsewhere; this software knows nothing of the models.")
    rows = []
    for arm in results.arms:
        configured = results.study.arms.get(arm)
        start = without_paths(configured.initialise) if configured else ""
        rows.append([results.mark(arm), start, *_training_facts(results, arm)])
    detector = results.study.detector
    use = paragraph(
        "Intended use: research on how training starts. Not for decisions about patients. "
        f"Detector: {detector.model}, {detector.image_size} pixels; {detector.epochs} epochs, batch {detector.batch}, "
        f"{detector.optimizer} at {detector.learning_rate:g}; score: the largest class score before suppression."
    )
    heads = ["Arm", "Start", "#Parameters", "#Tensors from the start", "#Steps", "#Training films", "Weights (SHA-256)"]
    return join([use, table("How each arm was made, first training run", heads, rows, source="finetune/")])


def _training_facts(results: Results, arm: str) -> list[str]:
    """Parameters, tensors moved, steps, films and hash; empty where training left no record."""
    share = results.facts.get("settings.headline_fraction", 1.0)
    folder = results.out / "finetune" / arm / f"{share:g}" / results.first_seed
    model, pairing = (read_json(folder / name) for name in ("model.json", "pairing.json"))
    start, films = pairing.get("initialisation", {}), model.get("training_films", {})
    moved = f"{start['from_source']} of {start['tensors']}" if "from_source" in start else ""
    counts = [f"{value:,}" if isinstance(value, int) else "" for value in
              (model.get("parameters"), model.get("steps"), films.get("films"))]  # fmt: skip
    return [counts[0], moved, counts[1], counts[2], str(model.get("weights_sha256", ""))[:16]]


def _published(results: Results) -> Markup | None:
    """What follows from the printed figures alone, line by line, and this run in the published layout."""
    facts, parts = results.facts, []
    for name, block in (facts.get("published") or {}).items():
        base = f"published.{name}"
        parts.append(paragraph(block.get("source", name), class_="fine"))
        lines = [
            [
                line.get("item", ""),
                line.get("printed", ""),
                line.get("follows", ""),
                {True: "yes", False: "no"}.get(line.get("agrees"), ""),
            ]
            for line in block.get("lines", [])
        ]
        if lines:
            heads = ["Figure", "As printed", "What follows", "Agree"]
            parts.append(table("The published figures, derived again from their counts", heads, lines, source=base))
        parts += [_layout(results, f"{base}.layout.{arm}", arm) for arm in block.get("layout", {})]
        if found := block.get("twins", {}).get("map"):
            parts.append(_twins(found, f"{base}.twins.map"))
    return join(parts) if parts else None


def _twins(found: dict[str, Any], base: str) -> Markup:
    """How often each conclusion returns in simulated twins of the published cohort: a map, not a verdict."""
    rows = [
        [words, f"{found['recurrence'][name]:.2f}", f"{found['null'][name]:.2f}", *_extremes(found["cells"], name)]
        for name, words in found["conclusions"].items()
    ]
    heads = ["Conclusion", "#Recurs, as published", "#Recurs, no difference", "#Lowest in the sweep", "#Highest"]
    caption = "Simulated twins of the published cohort: share that comes to the same conclusion"
    return table(caption, heads, rows, source=base)


def _extremes(cells: list[dict[str, Any]], name: str) -> list[str]:
    shares = [cell["share"] for cell in cells if cell["conclusion"] == name]
    return [f"{min(shares):.2f}", f"{max(shares):.2f}"] if shares else ["", ""]


def _layout(results: Results, base: str, arm: str) -> Markup:
    """This run beside the published one; the study's own column first would invite a reading as replication."""
    facts = results.facts
    rows = []
    for i, line in enumerate(facts.get(base, [])):
        own = [facts.value(f"{base}.{i}.{k}", style) for k, style in (("arm", "auc"), ("reference", "auc"), ("p", "p"))]
        printed = [str(line.get(k) or "") for k in ("printed_arm", "printed_reference", "printed_p")]
        rows.append([line.get("item", ""), *printed, *own])
    heads = [
        "Outcome",
        "#Printed, transfer",
        "#Printed, scratch",
        "#Printed p",
        "#This run, arm",
        "#This run, reference",
        "#p",
    ]
    return table(f"The published table, and this run: {results.label(arm)}", heads, rows)


def _faults(results: Results) -> Markup | None:
    """Faults by code, never by file: file names can hold names of patients."""
    counted: dict[tuple[str, str], int] = {}
    for fault in results.integrity.get("faults", []):
        key = (str(fault.get("severity", "")), str(fault.get("code", "")))
        counted[key] = counted.get(key, 0) + 1
    if not counted:
        return None
    rows = [[code.replace("_", " "), severity, str(n)] for (severity, code), n in sorted(counted.items())]
    return table(
        "Faults by kind; the list with file names stays with the study",
        ["Fault", "Severity", "#Films or entries"],
        rows,
        source="cohorts/integrity.json",
    )


def _provenance(results: Results) -> Markup | None:
    if not results.provenance:
        return paragraph("provenance.json is not at hand.")
    return table(
        "Versions, hashes, settings of the run",
        ["Item", "Value"],
        [[path, text] for path, text in _leaves(results.provenance)],
        source="provenance.json",
        class_="long",
    )


def _leaves(node: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Every plain value below a node with its place, without paths of the machine."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield from _leaves(value, f"{path}, {key}" if path else str(key))
    elif isinstance(node, list) and any(isinstance(item, dict | list) for item in node):
        for i, value in enumerate(node):
            yield from _leaves(value, f"{path}, {i + 1}")
    else:
        text = ", ".join(map(str, node)) if isinstance(node, list) else ("" if node is None else str(node))
        yield without_paths(path), without_paths(text)
