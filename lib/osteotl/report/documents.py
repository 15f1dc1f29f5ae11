"""Texts of the page that follow from the run: limitations, glossary, faults, provenance, exported documents."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

from markupsafe import Markup

from osteotl.display import Table
from osteotl.html import Child, folded, join, paragraph, tag
from osteotl.report.outputs import Outputs
from osteotl.report.safety import without_paths

GLOSSARY = {
    "Model": "a detector after one way of starting its training; the models differ in nothing else.",
    "Training run": "one training of a model from its start; another run gives another detector from the same films.",
    "AUC": "the chance that a malignant film scores higher than a normal one; 0.5 is guessing, 1 is perfect.",
    "Sensitivity": "the share of malignant films that are called malignant.",
    "Specificity": "the share of normal films that are called normal (true negatives).",
    "PPV, NPV": "the share of films called malignant that are malignant; of films called normal that are normal.",
    "LR+, LR\N{MINUS SIGN}": "likelihood ratios: by what factor a call changes the odds of malignancy.",
    "F1": "the harmonic mean of PPV and sensitivity. It gives true negatives no weight and no harm a cost, so no "
    "decision can rest on it; it is shown because the published study did.",
    "Operating point": "the threshold at which a score becomes a call; locked means chosen on the validation films.",
    "Margin": "the smallest difference in AUC that the study called relevant, declared beforehand.",
    "Calibration": "whether one in five of the films given a risk of 20 % is malignant.",
    "Net benefit": "true positives, less false positives weighed by the odds of the threshold probability.",
    "LROC, wAFROC": "curves that count a tumour as found only where a mark lies on it.",
    "IoU": "intersection over union: how far two boxes cover the same area, from 0 to 1.",
    "Brier score": "the mean squared distance between predicted risk and outcome; 0 is perfect.",
    "Localisation error": "a malignant film called malignant for a mark that does not lie on the tumour.",
    "Discordant film": "a film that most runs of one model call malignant and most runs of the other do not.",
    "Reference standard": "what decides whether a film truly shows a malignant tumour.",
    "Interaction": "variation that appears only for some patients in some training runs.",
}


def limitations(outputs: Outputs) -> list[Child]:
    """What this study cannot say, from its settings and warnings."""
    items: list[Child] = []
    if outputs.phantoms:
        items.append(
            "The films are phantoms, drawn by a program: they test the software and say nothing about patients."
        )
    if outputs.select(section="cohort", group="validation", unit=..., reference=None).empty:
        items.append("There are no validation films: thresholds were found on the films they are tested on, and scores "
                     "are not recalibrated.")  # fmt: skip
    items.append("The training films are held fixed: the intervals do not cover training on other films.")
    if outputs.analysis.get("kind") != "readers":
        items.append("No radiologist read the films: nothing here compares a model with a reader.")
    if outputs.study.predictions is None:
        items.append(f"The detector is {outputs.study.detector.model} of the ultralytics package: its anchor-free "
                     "variant, not the head that the published study used.")  # fmt: skip
    items.append("The share of malignant films is far above that of a clinic. Predictive values are recomputed for "
                 "other shares; the mix of findings is not.")  # fmt: skip
    cautions = outputs.analysis.get("cautions") or {}
    items += [sentence(text) for kind in ("instead", "beside", "other") for text in cautions.get(kind) or []]
    items += [f"Analysis plan: {sentence(deviation(text))}" for text in outputs.analysis.get("deviations") or []]
    return list(dict.fromkeys(items))


def deviation(text: Any) -> str:
    """A change from the locked plan, without the notation of its file: `planned null` reads `planned: not set`."""
    plainly = {"null": "not set", "true": "yes", "false": "no"}
    said = re.sub(r"\b(planned|now) (\S+)", lambda m: f"{m[1]}: {plainly.get(m[2].strip(','), m[2])}", str(text))
    return said.replace("_", " ").replace('"', "")


def sentence(text: Any) -> str:
    """Free text as one sentence without paths of the machine."""
    return without_paths(" ".join(str(text).split())).rstrip(".") + "."


def glossary() -> Markup:
    """Terms of the page."""
    return tag("dl", [[tag("dt", term), tag("dd", meaning)] for term, meaning in GLOSSARY.items()])


def faults(outputs: Outputs) -> Table | None:
    """Faults of the films by kind; file names stay with the study, because they can hold names of patients."""
    counted = Counter((str(f.get("code", "")), str(f.get("severity", ""))) for f in outputs.integrity.get("faults", []))
    rows = [[code.replace("_", " "), severity, str(n)] for (code, severity), n in sorted(counted.items())]
    return (
        Table("Faults found in the films, by kind", ["Fault", "Severity", "#Films or entries"], rows) if rows else None
    )


def methods(outputs: Outputs) -> Markup | None:
    """Methods and Results for a manuscript, as exported to methods.md; None where it was not exported."""
    path = outputs.find("methods.md")
    if path is None:
        return None
    blocks = [b for b in re.split(r"\n\s*\n", path.read_text(encoding="utf-8")) if b.strip()]
    return join([_block(re.sub(r"\\([\\`*\[\]|~$_<&:])", r"\1", block)) for block in blocks])


def _block(text: str) -> Markup:
    if match := re.match(r"(#+)\s*(.+)", text.strip()):
        return tag("h3", match[2])
    lines = text.strip().splitlines()
    if all(re.match(r"\d+\. ", line) for line in lines):
        return tag("ol", [tag("li", re.sub(r"^\d+\. ", "", line)) for line in lines])
    return paragraph(" ".join(text.split()))


def checklists(outputs: Outputs) -> list[Markup]:
    """The reporting checklists that were exported, one folded table each."""
    found = []
    for name in ("claim2024", "stard_ai2025", "tripod_ai2024"):
        frame = outputs.csv(f"checklists/{name}.csv").fillna("")
        if len(frame):
            columns = [c for c in ("item", "section", "asks", "status", "text") if c in frame]
            rows = [[str(row[c]) for c in columns] for _, row in frame.iterrows()]
            heads = [c.capitalize() for c in columns]
            table = Table(f"Checklist {name}, filled from the run", heads, rows, class_="long")
            found.append(folded(f"Checklist {name}", table, identifier=f"checklist-{name}"))
    return found


TRACED = {
    "osteotl": "OsteoTL",
    "commit": "Commit",
    "study_file, sha256": "Study file, SHA-256",
    "requirements_lock_sha256": "Locked requirements, SHA-256",
    "python": "Python",
    "system": "System",
    "processor": "Processor",
    "cores": "Cores",
    "threads_per_process": "Threads a process",
    "seeds": "Seeds",
    "fractions": "Shares of labels",
}


def provenance(outputs: Outputs) -> Table | None:
    """Versions and hashes of the run; provenance.json holds the hash of every file."""
    found = dict(_leaves(outputs.provenance))
    rows = [[words, found[place]] for place, words in TRACED.items() if found.get(place)]
    packages = [
        [place.removeprefix("packages, "), text] for place, text in found.items() if place.startswith("packages, ")
    ]
    caption = "Versions and hashes of the run; provenance.json holds the hash of every file"
    return Table(caption, ["Item", "Value"], [*rows, *packages], class_="long") if rows else None


def _leaves(node: Any, place: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(node, dict):
        for key, value in node.items():
            yield from _leaves(value, f"{place}, {key}" if place else str(key))
    else:
        text = ", ".join(map(str, node)) if isinstance(node, list) else ("" if node is None else str(node))
        yield place, without_paths(text)


def not_estimable(outputs: Outputs) -> Table | None:
    """Why numbers or intervals are missing, counted over the means over runs."""
    rows = outputs.results[(outputs.results["run"] == "") & (outputs.results["note"] != "")]
    missing = rows[rows["estimate"].isna() | rows["lower"].isna()]
    counted = missing["note"].value_counts()
    body = [[reason, str(n)] for reason, n in counted.items()]
    return Table("Numbers without an estimate or an interval", ["Reason", "#Numbers"], body) if body else None


def model_cards(outputs: Outputs) -> Markup | None:
    """How each model was made; None for scores made elsewhere."""
    if outputs.study.predictions is not None:
        return None
    detector = outputs.study.detector
    use = paragraph(
        "Intended use: research on how training starts, not decisions about patients. "
        f"Detector: {detector.model}, {detector.image_size} pixels; {detector.epochs} epochs, batch {detector.batch}, "
        f"{detector.optimizer} at {detector.learning_rate:g}. The score of a film is the largest class score before "
        "non-maximum suppression."
    )
    rows = []
    for arm in outputs.labels:
        configured, run = outputs.study.arms.get(arm), (outputs.runs.get(arm) or [""])[0]
        start = without_paths(configured.initialise) if configured else ""
        rows.append([outputs.mark(arm), STARTS.get(start, start), *_training(outputs, arm, run)])
    heads = ["Model", "Start of training", "#Parameters", "#Steps", "#Training films", "Weights (SHA-256)"]
    return join([use, Table("How each model was made, first training run", heads, rows)])


STARTS = {
    "random": "random weights",
    "pretrain": "this study's pretraining",
    "other_modality": "this study's pretraining on films of another modality",
}


def _training(outputs: Outputs, arm: str, run: str) -> list[str]:
    path = outputs.find(f"finetune/{arm}/{outputs.fraction:g}/{run}/model.json")
    model = json.loads(path.read_text(encoding="utf-8")) if path else {}
    films = (model.get("training_films") or {}).get("films")
    counts = [f"{v:,}" if isinstance(v, int) else "" for v in (model.get("parameters"), model.get("steps"), films)]
    return [*counts, str(model.get("weights_sha256", ""))[:16]]
