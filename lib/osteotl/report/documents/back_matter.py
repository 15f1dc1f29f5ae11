"""Closing parts of the page: limitations, glossary, faults of the films, provenance, what could not be estimated."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

from markupsafe import Markup

from osteotl.display import Labels, Table
from osteotl.html import Child, tag
from osteotl.report.outputs import Outputs
from osteotl.report.safety import sentence, without_paths

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
    if "given" in outputs.fixed_sources:
        items.append("Given thresholds are held fixed: no interval covers how they were chosen.")
    if outputs.analysis.get("kind") != "readers":
        items.append("The training films are held fixed: the intervals do not cover training on other films.")
        items.append("No radiologist read the films: nothing here compares a model with a reader.")
    if outputs.study.predictions is None:
        items.append(f"The detector is {outputs.study.detector.model} of the ultralytics package: its anchor-free "
                     "variant, not the head that the published study used.")  # fmt: skip
    rarer = outputs.select(section="predictive_values", prevalence=...)["prevalence"].notna().any()
    recomputed = " Predictive values are recomputed for other shares; the mix of findings is not." if rarer else ""
    items.append(f"The share of malignant films is far above that of a clinic.{recomputed}")
    cautions = outputs.analysis.get("cautions") or {}
    items += [sentence(text) for kind in ("instead", "beside", "other") for text in cautions.get(kind) or []]
    items += [deviation(text, outputs.labels) for text in outputs.analysis.get("deviations") or []]
    return list(dict.fromkeys(items))


def deviation(text: Any, labels: Labels) -> str:
    """A change from the locked plan as a sentence, without the notation of its file: `null` reads `not set`.

    Parameters
    ----------
    text : str
        As `plan.deviations` gives it.
    labels : mapping of str to str
        Name of an arm -> what the page calls it.
    """
    plainly = {"null": "not set", "true": "yes", "false": "no", "[]": "none", "{}": "none", "given": "given thresholds"}

    def words(said: str) -> str:
        return re.sub(r'["{}\[\]]', "", plainly.get(said, said).replace("_", " "))

    since = r"external results|the plan was locked on \S+"
    found = re.fullmatch(rf"(.*) changed after ({since}): planned (.*), now (.*)", str(text).rstrip("."))
    if not found:
        return sentence(f"Analysis plan: {words(str(text))}")
    name, since, planned, now = map(words, found.groups())
    since = "the external results were known" if since == "external results" else since.replace("the plan", "it")
    if held := re.fullmatch(r"threshold of (.+?), (run .*)", name):
        name = f"threshold of “{labels.get(held[1], held[1])}”, {held[2]}"
    return f"The analysis plan was changed after {since}: {name} (planned: {planned}; now: {now})."


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


TRACED = {
    "osteotl": "OsteoTL",
    "commit": "Commit",
    "study_file, sha256": "Study file, SHA-256",
    "requirements_lock_sha256": "Locked requirements, SHA-256",
    "python": "Python",
    "system": "System",
    "processor": "Processor",
    "cores": "Cores",
    "threads_per_process": "Threads per process",
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
