"""One model card an arm (after Mitchell et al. 2019), written from the run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from osteotl.reporting.account import Run
from osteotl.reporting.account_setup import start
from osteotl.reporting.markdown import bullets, md
from osteotl.reporting.phrases import phrases
from osteotl.reporting.wording import interval, line, point_words
from osteotl.study import Study

INTENDED = (
    "Research on how the start of training changes a detector of malignant bone tumours on knee radiographs; "
    "comparison with other arms of the same study."
)
NOT_FOR = (
    "Decisions about patients, screening, triage or second reading: this is not a medical device and was not tested "
    "against radiologists. Not for other body regions, other modalities, or films of devices and populations "
    "outside the test set. Not for telling malignant from benign tumours, infection or fracture, unless the test "
    "set held them."
)
LICENCE = (
    "The weights were trained with the ultralytics package and come under AGPL-3.0: who passes them on, or offers "
    "them over a network, must offer the corresponding source under the same licence. The films are not part of the "
    "model and keep their own licence."
)
SOURCE = (
    "Mitchell M, et al. Model cards for model reporting. Proceedings of the Conference on Fairness, Accountability, "
    "and Transparency 2019:220-229."
)


def model_card(
    study: Study,
    statistics: Mapping[str, Any],
    arm: str,
    records: Mapping[str, Any] | None = None,
    integrity: Mapping[str, Any] | None = None,
    provenance: Mapping[str, Any] | None = None,
) -> str:
    """The card of one arm as Markdown.

    Parameters
    ----------
    study : Study
    statistics : mapping
        statistics.json.
    arm : str
        An arm of it.
    records : mapping, optional
        {"model": model.json, "pairing": pairing.json} of the arm's first seed.
    integrity, provenance : mapping, optional
        cohorts/integrity.json, provenance.json.

    Raises
    ------
    ValueError
        statistics.json does not know the arm.
    """
    arms = list(statistics.get("arms", {}))
    if arm not in arms:
        raise ValueError(f"arm {arm!r} is not in statistics.json; the arms are {', '.join(arms)}")
    return card(Run(study, statistics, integrity or {}, provenance or {}, {arm: records or {}}), arm)


def card(run: Run, arm: str) -> str:
    """`model_card` for a run already read."""
    known = {name: None if text is None else md(text) for name, text in phrases(run).items()}
    parts = [f"# Model card: {md(run.label(arm))}", f"Arm `{arm}` of the study '{known['title']}'."]
    for heading, text in (
        ("Intended use", INTENDED),
        ("Not for", NOT_FOR),
        ("Model", _model(run, arm, known)),
        ("Training data", _data(run, arm, known)),
        ("Evaluation data", bullets([("Test set", known["external_films"]), ("Kind", known["external_kind"]),
                                     ("Reference standard", known["reference_standard"]),
                                     ("Films without a score", known["unscored"])])),
        ("Performance", _performance(run, arm, known)),
        ("Limits", _limits(run, known)),
        ("Licence", LICENCE if not run.scores_only else "The scores were made elsewhere; ask those who made them."),
        ("About this card", f"Written by {known['osteotl'] or 'OsteoTL'} from the files of the run, after: {SOURCE}"),
    ):  # fmt: skip
        parts.append(f"## {heading}\n\n{text}")
    return "\n\n".join(parts) + "\n"


def _model(run: Run, arm: str, known: Mapping[str, str | None]) -> str:
    """What it is and how it came to be."""
    if run.scores_only:
        return "The scores were made elsewhere: this software knows nothing of the model."
    model = run.training.get(arm, {}).get("model") or {}
    steps = f"{model['steps']:,}" if "steps" in model else None
    weights = model.get("weights_sha256")
    return bullets(
        [
            ("Detector", known["model"]),
            ("Start", md(start(run, arm))),
            ("Training", known["training"]),
            ("Augmentation", known["augmentation"]),
            ("Training runs", known["seeds"]),
            ("Optimiser steps of the first run", steps),
            ("Weights of the first run, SHA-256", md(str(weights)) if weights else None),
            ("Input", known["preprocessing"]),
            ("Output", known["scoring"]),
        ]
    )


def _data(run: Run, arm: str, known: Mapping[str, str | None]) -> str:
    films = (run.training.get(arm, {}).get("model") or {}).get("training_films") or {}
    told = f"{films['films']:,} films of {films['patients']:,} patients, {films['with_lesion']:,} with a lesion" \
        if {"films", "patients", "with_lesion"} <= set(films) else None  # fmt: skip
    listed = bullets(
        [
            ("Sources", known["sources"]),
            ("Films of the first run", told or known["training_films"]),
            ("Sites", md(", ".join(line(site) for site in films.get("sites", []))) or None),
            ("Pretraining", known["pretraining"] if _pretrained(run, arm) else None),
            ("Validation, for thresholds and recalibration", known["validation_films"]),
            ("Partitions", known["partition_level"]),
        ]
    )
    return listed or "Not known: the scores were made elsewhere."


def _pretrained(run: Run, arm: str) -> bool:
    return arm in run.study.arms and run.study.arms[arm].initialise == "pretrain"


def _performance(run: Run, arm: str, known: Mapping[str, str | None]) -> str:
    """A table of numbers with intervals; what could not be estimated says so."""
    result = run.get("arms", {})[arm]
    rows = [("AUC, mean over runs", result.get("auc")), ("Average precision", result.get("average_precision")),
            ("Brier score, recalibrated", result.get("brier_recalibrated"))]  # fmt: skip
    for key, point in (result.get("operating_points") or {}).items():
        for name in ("sensitivity", "specificity", "ppv", "npv"):
            rows.append(
                (f"{name.upper() if len(name) == 3 else name.capitalize()}, {point_words(key)}", point.get(name))
            )
    place = result.get("localisation") or {}
    rows += [("Lesions hit", place.get("lesion_sensitivity")), ("Area under the LROC curve", place.get("lroc_area"))]
    rows = [row for row in rows if row[1] is not None or not row[0].startswith(("Lesions", "Area"))]
    body = "\n".join(f"| {md(name)} | {md(interval(number))} |" for name, number in rows)
    return f"{known['confidence']} intervals in brackets.\n\n| Measure | Estimate (interval) |\n| --- | --- |\n{body}"


def _limits(run: Run, known: Mapping[str, str | None]) -> str:
    fixed = [
        "Tested without a radiologist beside it.",
        "Malignant against normal films: benign tumours, infection and fractures are untested unless the test set "
        "holds them.",
        f"The prevalence of the test set ({known['prevalence'] or 'not known'}) is the study's, seldom a clinic's: "
        "predictive values do not carry over.",
    ]
    if run.flags["phantoms"]:
        fixed.insert(0, "All films were synthetic: nothing here speaks of patients.")
    told = [*fixed, *(md(line(flag)) for flag in run.get("flags", []))]
    if known["subgroups"]:
        told.append(f"Subgroups {known['subgroups']}.")
    if known["audit"]:
        told.append(f"{known['audit']}.")
    return "\n".join(f"- {text}" for text in dict.fromkeys(told))
