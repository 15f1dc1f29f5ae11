"""Phrases on how a study was made: films, reference standard, training, scoring, analysis plan, software."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from osteotl.reporting.account import PREPARED_SIDE, STARTS, Run
from osteotl.reporting.wording import HIT_RULES, POINTS, joined, line


def phrases(run: Run) -> dict[str, str | None]:
    """Phrases known before any result is."""
    return {
        "title": line(run.get("settings.title") or run.study.title),
        "institution": line(run.study.report.institution) if run.study.report.institution else None,
        "arms": joined([f"'{run.label(arm)}'" for arm in run.arms]),
        "reference_arm": f"'{run.label(run.reference)}'",
        **_films(run),
        **_training(run),
        **_analysis(run),
        **_software(run),
    }


# --- films ------------------------------------------------------------------------------------------------------------


def _films(run: Run) -> dict[str, str | None]:
    validation = run.get("cohorts.validation")
    training = run.part("development", "training")
    return {
        "sources": "; ".join(f"{name}: {text}" for name, text in run.readers.items()) or None,
        "training_films": _counts(training),
        "pretrain_films": _counts(run.part("pretrain", "training"), "with a lesion", "without"),
        "validation_films": _cohort(validation) if validation else None,
        "external_films": _cohort(run.get("cohorts.external")),
        "external_kind": _external_kind(run),
        "prevalence": _prevalence(run),
        "exclusions": _exclusions(run),
        "faults": _faults(run),
        "unscored": _unscored(run),
        "preprocessing": None if run.scores_only else _preprocessing(run),
        "deidentification": _deidentification(run),
        "reference_standard": _reference_standard(run),
        "partition_level": _partition_level(run),
        "clusters": _clusters(run),
    }


def _counts(part: Mapping[str, Any], positive: str = "malignant", negative: str = "not malignant") -> str | None:
    if not part:
        return None
    return (
        f"{part['films']:,} films of {part['patients']:,} patients ({part['malignant']:,} {positive}, "
        f"{part['not_malignant']:,} {negative})"
    )


def _cohort(cohort: Mapping[str, Any] | None) -> str | None:
    if not cohort:
        return None
    return (
        f"{cohort['films']:,} films of {cohort['patients']:,} patients ({cohort['malignant']:,} malignant, "
        f"{cohort['normal']:,} normal)"
    )


def _external_kind(run: Run) -> str | None:
    if run.study.cohorts is None:
        return None
    if run.study.cohorts.external is None:
        return "internal testing: films of patients held out of the development cohort"
    return "external testing: films of another cohort than training and validation"


def _prevalence(run: Run) -> str | None:
    value = run.get("cohorts.external.prevalence")
    return None if value is None else f"{100 * value:.1f}%"


def _exclusions(run: Run) -> str | None:
    """Films left out on the way, by cohort and reason."""
    flow = run.integrity.get("flow")
    if flow is None:
        return None
    kept = {"read", "training", "validation", "test"}
    out = [step for step in flow if step.get("step") not in kept]
    told = [
        f"{step['cohort']}: {step['films']:,} films of {step['patients']:,} patients "
        f"({line(step.get('reason') or step.get('step'))})"
        for step in out
    ]
    return "; ".join(told) or "none"


def _faults(run: Run) -> str | None:
    if "faults" not in run.integrity:
        return None
    counted: dict[str, int] = {}
    for fault in run.integrity["faults"]:
        code = f"{line(fault.get('code', '')).replace('_', ' ')} ({line(fault.get('severity', ''))})"
        counted[code] = counted.get(code, 0) + 1
    return ", ".join(f"{code} {n:,}" for code, n in sorted(counted.items())) or "none"


def _unscored(run: Run) -> str | None:
    value = run.get("cohorts.external.unscored")
    return None if value is None else f"{value:,}"


def _preprocessing(run: Run) -> str:
    size = _first(run, "model").get("image_size", run.study.detector.image_size)
    return (
        f"every film was decoded to eight-bit grey, reduced where its longest side exceeded {max(PREPARED_SIDE, size)} "
        f"pixels, and fitted into a square of {size} pixels with grey margins; all films and both classes alike"
    )


def _deidentification(run: Run) -> str | None:
    if run.scores_only:
        return None
    return "film and patient identifiers were replaced by salted hashes; no name, date or path leaves the cohort tables"


def _reference_standard(run: Run) -> str | None:
    given = run.study.reference_standard
    return "; ".join(f"{kind}: {line(text)}" for kind, text in given.items()) or None


def _partition_level(run: Run) -> str | None:
    if run.scores_only or run.study.cohorts is None:
        return None
    seed = run.study.cohorts.partition_seed
    return f"by patient, at random within class (partition seed {seed}); no patient stands in two partitions"


def _clusters(run: Run) -> str | None:
    most = run.get("cohorts.external.max_films_per_patient")
    if most is None:
        return None
    unit = "patients" if run.get("settings.unit") == "patient" else "films"
    return f"up to {most:,} films of one patient; {unit} are the units of every interval and test"


# --- training ---------------------------------------------------------------------------------------------------------


def _training(run: Run) -> dict[str, str | None]:
    names = ("model", "initialisation", "training", "augmentation", "seeds", "final_model", "pairing", "hardware",
             "scoring", "pretraining")  # fmt: skip
    if run.scores_only:
        return dict.fromkeys(names) | {"seeds": _seeds(run)}
    model = _first(run, "model")
    return {
        "model": _model(run, model),
        "initialisation": "; ".join(f"'{run.label(arm)}': {start(run, arm)}" for arm in run.arms),
        "training": _schedule(run, model),
        "augmentation": _augmentation(model),
        "seeds": _seeds(run),
        "final_model": "the weights after the last optimiser step; no checkpoint was chosen by a validation result",
        "pairing": _pairing(run),
        "hardware": _hardware(run, model),
        "scoring": _scoring(run),
        "pretraining": _pretraining(run),
    }


def _first(run: Run, kind: str) -> Mapping[str, Any]:
    """A record of the first arm that left one."""
    return next((run.training[arm][kind] for arm in run.arms if run.training.get(arm, {}).get(kind)), {})


def _model(run: Run, model: Mapping[str, Any]) -> str:
    size = f", {model['parameters']:,} parameters" if "parameters" in model else ""
    classes = f", {model['classes']} class" if model.get("classes") == 1 else ""
    side = model.get("image_size", run.study.detector.image_size)
    return (
        f"{line(model.get('model', run.study.detector.model))} of the ultralytics package, the anchor-free 'u' variant"
        f"{size}{classes}, input {side} x {side} pixels"
    )


def start(run: Run, arm: str) -> str:
    """What an arm's training started from, with the share of weights that came from there."""
    configured = run.study.arms.get(arm)
    initialise = configured.initialise if configured else str(run.get(f"settings.arms.{arm}.initialise", ""))
    text = STARTS.get(initialise) or f"the file {line(initialise)}"
    moved = run.training.get(arm, {}).get("pairing", {}).get("initialisation", {})
    if moved.get("from_source"):
        text += f" ({moved['from_source']} of {moved['tensors']} tensors, {100 * moved['share']:.1f}% of parameters)"
    if configured and configured.seed_offset:
        text += f", other seeds (offset {configured.seed_offset})"
    if configured and configured.train_for != "finetune":
        text += ", trained for the steps of pretraining and fine-tuning together"
    return text


def _schedule(run: Run, model: Mapping[str, Any]) -> str:
    """As trained, where training left its record; as configured otherwise."""
    detector = run.study.detector
    used = {name: model.get(name, getattr(detector, name)) for name in ("epochs", "batch", "optimizer", "precision")}
    steps = f" ({model['steps']:,} optimiser steps)" if "steps" in model else ""
    return (
        f"{used['epochs']} epoch{'s' if used['epochs'] != 1 else ''}{steps}, batch {used['batch']}, "
        f"{line(used['optimizer'])} at a learning rate of {model.get('learning_rate', detector.learning_rate):g}, "
        f"{line(used['precision'])}; the same for every arm"
    )


def _augmentation(model: Mapping[str, Any]) -> str | None:
    if "augmentation" not in model:
        return None
    used = [f"{name} {value:g}" for name, value in model["augmentation"].items() if value]
    return ", ".join(used) or "none"


def _seeds(run: Run) -> str:
    seeds = [str(seed) for seed in run.get("settings.seeds", [])]
    plural = "training runs an arm" if len(seeds) != 1 else "training run an arm"
    return f"{len(seeds)} {plural} (seed{'s' if len(seeds) != 1 else ''} {joined(seeds)})"


def _pairing(run: Run) -> str | None:
    if not _first(run, "pairing"):
        return None
    return (
        "for each seed, architecture, optimiser, schedule, random state, order and pixels of every batch, films, steps "
        "and threads were compared between arms: they differ in initialisation only, unless the study says otherwise"
    )


def _hardware(run: Run, model: Mapping[str, Any]) -> str | None:
    device, processor = model.get("device"), run.provenance.get("processor")
    return line(f"{device} ({processor})" if device and processor else device or processor or "") or None


def _scoring(run: Run) -> str:
    flips = ", averaged with its mirror image" if run.study.detector.test_time_flip else ""
    return (
        f"the score of a film is the largest class score before non-maximum suppression{flips}, in float32 with its "
        "logit kept, so that no film is tied at a confidence floor"
    )


def _pretraining(run: Run) -> str | None:
    if not any(run.study.arms[arm].initialise == "pretrain" for arm in run.arms if arm in run.study.arms):
        return None
    if run.study.detector.pretrained_weights is not None:
        return "given as a file of weights"
    films = _counts(run.part("pretrain", "training"), "with a lesion", "without")
    return f"{run.study.detector.pretrain_epochs} epochs{f' on {films}' if films else ''}"


# --- the analysis as planned ------------------------------------------------------------------------------------------


def _analysis(run: Run) -> dict[str, str | None]:
    settings = run.get("settings", {})
    names = settings.get("operating_points", {})
    points = [_target(name, names[name]) for name in names]
    family = [_test(line(entry)) for entry in settings.get("family", [])]
    low, high = settings.get("decision_range", [None, None])
    return {
        "confidence": f"{100 * settings['confidence']:g}%" if "confidence" in settings else None,
        "margin": f"{settings['auc_margin']:g}" if "auc_margin" in settings else None,
        "margin_reason": line(settings["auc_margin_reason"]) if settings.get("auc_margin_reason") else None,
        "points": joined(points) or None,
        "thresholds_from": joined([f"the {name} films" for name in settings.get("thresholds_from", [])]) or None,
        "family": joined(family) or None,
        "bootstrap": f"{settings['bootstrap']:,}" if "bootstrap" in settings else None,
        "bootstrap_seed": f"{settings['bootstrap_seed']}" if "bootstrap_seed" in settings else None,
        "sampling": "within class" if settings.get("sampling") == "by_class" else "over all films",
        "hit_rule": None if run.flags["no_boxes"] else HIT_RULES.get(settings.get("hit_rule", "")),
        "decision_range": None if low is None else f"{100 * low:g}% to {100 * high:g}%",
        "prevalences": joined([f"{100 * value:g}%" for value in settings.get("prevalences", [])]) or None,
        "recalibration": None if run.flags["no_validation"] else "logistic recalibration on the validation films",
    }


def _test(entry: str) -> str:
    measure, _, point = entry.partition("@")
    return f"{measure.upper() if len(measure) == 3 else measure} at the {POINTS.get(point, point)} point"


def _target(name: str, target: float | None) -> str:
    words = {
        "high_sensitivity": "high sensitivity (the threshold of highest specificity with sensitivity of {} or more)",
        "high_specificity": "high specificity (the threshold of highest sensitivity with specificity of {} or more)",
        "youden": "Youden (the threshold of the largest sum of sensitivity and specificity)",
    }
    return words.get(name, name).format(f"{target:.2f}" if target is not None else "")


# --- software ---------------------------------------------------------------------------------------------------------


def _software(run: Run) -> dict[str, str | None]:
    provenance = run.provenance
    packages = [f"{line(name)} {line(version)}" for name, version in (provenance.get("packages") or {}).items()]
    python = f"Python {line(provenance['python'])}" if provenance.get("python") else None
    lock, study_file = provenance.get("requirements_lock_sha256"), provenance.get("study_file") or {}
    return {
        "osteotl": f"OsteoTL {line(provenance['osteotl'])}" if provenance.get("osteotl") else None,
        "commit": line(provenance["commit"]) if provenance.get("commit") else None,
        "packages": joined([part for part in (python, *packages) if part]) or None,
        "lock_hash": line(lock) if lock else None,
        "study_hash": line(study_file["sha256"]) if study_file.get("sha256") else None,
        "system": line(provenance["system"]) if provenance.get("system") else None,
    }
