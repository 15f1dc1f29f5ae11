"""What is known of how a study was made: films, reference standard, training, scoring, analysis, software."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

from osteotl.display import COHORTS, POINTS, joined, known, percent
from osteotl.files import file_name, plural
from osteotl.report.documents.wording import line
from osteotl.report.outputs import Outputs

PREPARED_SIDE = 640
"""Least bound on the longest side of a prepared film; the detector's image size where that is larger."""

HIT_RULES = {
    "iou50": "its intersection over union with a reference box was 0.50 or more",
    "iou30": "its intersection over union with a reference box was 0.30 or more",
    "iou10": "its intersection over union with a reference box was 0.10 or more",
    "centre": "its centre lay inside a reference box",
}
STARTS = {
    "random": "random weights",
    "pretrain": "this study's pretraining",
    "other_modality": "this study's pretraining on films of another modality",
}
READERS = {
    "phantom-chest": "synthetic chest radiographs drawn by a program",
    "phantom-knee": "synthetic knee radiographs drawn by a program",
    "phantom-texture": "synthetic textures drawn by a program",
    "btxrd": "the BTXRD data set of bone radiographs",
    "nih": "the NIH ChestX-ray14 data set",
    "vindr": "the VinDr-CXR data set of chest radiographs",
    "rsna": "the RSNA Pneumonia 2018 data set of chest radiographs",
    "tbx11k": "the TBX11K data set of chest radiographs",
}
AUGMENTATIONS = {
    "hsv_v": "brightness by up to {share}",
    "translate": "shifts by up to {share}",
    "scale": "scaling by up to {share}",
    "fliplr": "mirroring left to right of {share} of films",
    "flipud": "mirroring top to bottom of {share} of films",
    "degrees": "rotation by up to {value:g} degrees",
    "shear": "shearing by up to {value:g} degrees",
    "perspective": "change of perspective by up to {value:g}",
    "mosaic": "mosaics of four films with probability {value:g}",
    "mixup": "mixing of two films with probability {value:g}",
    "cutmix": "exchange of parts between films with probability {value:g}",
    "copy_paste": "copied lesions with probability {value:g}",
}
BOX_FAULTS = ("box", "malignant_without_box", "normal_with_box")
LEAKS = ("duplicate_exact", "duplicate_label", "near_duplicate", "patient_in_two", "film_in_two")
KEPT = ("read", "training", "validation", "test")

LOCKED = {
    "validation": "learnt on the validation films alone",
    "given": "given beforehand and held fixed at the given point",
}

Statements = dict[str, str | None]


def scores_only(outputs: Outputs) -> bool:
    """Whether the scores were made elsewhere."""
    return outputs.study.predictions is not None or outputs.study.cohorts is None


def has_validation(outputs: Outputs) -> bool:
    """Whether validation films were scored."""
    return bool(cohort_count(outputs, "validation", "films"))


def has_boxes(outputs: Outputs) -> bool:
    """Whether marks were compared with lesion boxes."""
    return not outputs.select(section="localisation", unit=..., group=..., at=..., point=...).empty


def cohort_count(outputs: Outputs, group: str, measure: str) -> int | None:
    """A count of the scored films or patients of a cohort."""
    row = outputs.one(section="cohort", measure=measure, group=group, unit=..., reference=None)
    return None if row is None or not known(row["estimate"]) else int(row["estimate"])


def training_record(outputs: Outputs, arm: str, name: str) -> Mapping[str, Any]:
    """model.json or pairing.json of a model's first run; empty where training left none."""
    runs = outputs.runs.get(arm) or [""]
    path = outputs.find(f"finetune/{file_name(arm)}/{outputs.fraction:g}/{runs[0]}/{name}.json")
    return json.loads(path.read_text(encoding="utf-8")) if path else {}


def study_statements(outputs: Outputs) -> Statements:
    """Statements known before any result is; None where this study does not know."""
    institution = outputs.study.report.institution
    return {
        "title": line(outputs.settings.get("title") or outputs.study.title),
        "institution": line(institution) if institution else None,
        "models": joined([quoted(outputs, arm) for arm in outputs.labels]),
        "reference_model": quoted(outputs, outputs.reference),
        "scored_elsewhere": "yes" if scores_only(outputs) else None,
        **_films(outputs),
        **_training(outputs),
        **_analysis(outputs),
        **_software(outputs),
    }


def quoted(outputs: Outputs, arm: str) -> str:
    """The label of a model in quotation marks: it is the author's text."""
    return f"“{line(outputs.labels[arm])}”"


# --- films ------------------------------------------------------------------------------------------------------------


def _films(outputs: Outputs) -> Statements:
    standard = outputs.study.reference_standard
    return {
        "sources": _sources(outputs),
        "training_films": _partition(outputs, "development", "training"),
        "pretraining_films": _partition(outputs, "pretrain", "training", ("with a lesion", "without")),
        "validation_films": _scored(outputs, "validation"),
        "external_films": _scored(outputs, "external"),
        "external_kind": _external_kind(outputs),
        "prevalence": _prevalence(outputs),
        "exclusions": _exclusions(outputs),
        "faults": _faults(outputs),
        "leaks": _faults(outputs, LEAKS),
        "annotations": _annotations(outputs),
        "unscored": _unscored(outputs),
        "preprocessing": None if scores_only(outputs) else _preprocessing(outputs),
        "deidentification": None if scores_only(outputs) else
        "film and patient identifiers were replaced by salted hashes, and no name, date or file path left the cohort "
        "tables",
        "reference_standard": "; ".join(f"{kind}: {line(text).rstrip('.')}" for kind, text in standard.items()) or None,
        "partition_level": None if scores_only(outputs) else
        "by patient, at random within class; no patient stands in two partitions",
        "clusters": _clusters(outputs),
        "unit": "patients" if outputs.analysis.get("patients_known") else "films",
    }  # fmt: skip


def _sources(outputs: Outputs) -> str | None:
    if outputs.study.cohorts is None:
        return None
    names = ("pretrain", "other_modality", "development", "external")
    held = {name: getattr(outputs.study.cohorts, name) for name in names}
    return "; ".join(f"{COHORTS.get(n, n)}: {_source(cohort)}" for n, cohort in held.items() if cohort) or None


def _source(cohort: Any) -> str:
    if parts := getattr(cohort, "parts", None):
        return " and ".join(_source(part) for part in parts)
    told = READERS.get(cohort.reader, "the authors' own films")
    if site := getattr(cohort, "site", None):
        told += f", site {line(site)}"
    where = getattr(cohort, "where", None)
    return f"{told}, of which those that meet “{line(where)}”" if where else told


def _partition(
    outputs: Outputs, cohort: str, partition: str, classes: tuple[str, str] = ("malignant", "not malignant")
) -> str | None:
    counts = ((outputs.integrity.get("counts") or {}).get("cohorts") or {}).get(cohort) or {}
    part = counts.get(partition)
    if not part:
        return None
    split = f"{part['malignant']:,} {classes[0]}, {part['not_malignant']:,} {classes[1]}"
    return f"{plural(part['films'], 'film')} of {plural(part['patients'], 'patient')} ({split})"


def _scored(outputs: Outputs, group: str) -> str | None:
    films, malignant = (cohort_count(outputs, group, name) for name in ("films", "malignant_films"))
    if films is None or malignant is None:
        return None
    patients = cohort_count(outputs, group, "patients") if outputs.analysis.get("patients_known") else None
    of = f" of {plural(patients, 'patient')}" if patients else ""
    return f"{plural(films, 'film')}{of} ({malignant:,} malignant, {films - malignant:,} normal)"


def _external_kind(outputs: Outputs) -> str | None:
    if outputs.study.cohorts is None:
        return None
    if outputs.study.cohorts.external is None:
        return "internal, on films of patients held out of the development cohort"
    return "external, on films of another cohort than those of training and validation"


def _prevalence(outputs: Outputs) -> str | None:
    films, malignant = (cohort_count(outputs, "external", name) for name in ("films", "malignant_films"))
    return f"{100 * malignant / films:.1f} %" if films and malignant is not None else None


def _exclusions(outputs: Outputs) -> str | None:
    """Films left out on the way, by cohort and reason."""
    flow = outputs.integrity.get("flow")
    if flow is None:
        return None
    told = [
        f"{plural(step['films'], 'film')} of the {COHORTS.get(step['cohort'], step['cohort'])} cohort "
        f"({line(step.get('reason') or step['step'])})"
        for step in flow
        if step.get("step") not in KEPT
    ]
    return "; ".join(told) or "none"


def _faults(outputs: Outputs, kinds: tuple[str, ...] = ("",)) -> str | None:
    """Faults by kind, of those whose code starts as asked."""
    if "faults" not in outputs.integrity:
        return None
    codes = [str(fault.get("code", "")) for fault in outputs.integrity["faults"]]
    named = Counter(code.replace("_", " ") for code in codes if code.startswith(kinds))
    return ", ".join(f"{name} ({n:,})" for name, n in sorted(named.items())) or "none"


def _annotations(outputs: Outputs) -> str | None:
    """Lesion boxes of the malignant films for development and testing, what was wrong with boxes, and agreement."""
    boxes, films = outputs.csv("cohorts/boxes.csv"), outputs.films
    if boxes.empty or films.empty:
        return None
    ill = films[films["cohort"].isin(["development", "external"]) & (films["label"] == 1)]["image_id"]
    own = boxes[boxes["image_id"].isin(ill)]
    told = f"{len(own):,} on {own['image_id'].nunique():,} of {len(ill):,} malignant films for development and testing"
    if faults := _faults(outputs, BOX_FAULTS):
        told += f"; faults of boxes found by the integrity check: {faults}"
    held = [getattr(outputs.study.cohorts, name) for name in ("pretrain", "other_modality", "development", "external")]
    parts = [part for cohort in held if cohort for part in getattr(cohort, "parts", None) or [cohort]]
    if agreed := sorted({part.agreement for part in parts if part.reader == "vindr"}):
        counts = joined([str(count) for count in agreed])
        told += f"; lesions of {READERS['vindr']} counted where {counts} readers had drawn them"
    return told


def _unscored(outputs: Outputs) -> str | None:
    lacking = outputs.select(section="missing", arm=None, group="external", reference=None)
    if len(lacking):
        return f"{lacking['estimate'].sum():,.0f}, left out of the main analysis and filled in at the worst beside it"
    offered, scored = len(outputs.csv("cohorts/external.csv")), cohort_count(outputs, "external", "films")
    return f"{offered - scored:,}" if offered and scored is not None and offered >= scored else None


def _preprocessing(outputs: Outputs) -> str:
    size = _first(outputs, "model").get("image_size", outputs.study.detector.image_size)
    return (
        f"every film was decoded to eight-bit grey, reduced where its longest side exceeded {max(PREPARED_SIDE, size)} "
        f"pixels, and fitted into a square of {size} pixels with grey margins, in both classes alike"
    )


def _clusters(outputs: Outputs) -> str | None:
    scores = outputs.table("scores")
    if not outputs.analysis.get("patients_known") or "patient_id" not in scores:
        return None
    one = scores[scores["cohort"] == "external"].drop_duplicates("image_id")
    most = int(one["patient_id"].value_counts().max())
    return f"up to {plural(most, 'film')} of one patient, and patients are the units of every interval and test"


# --- training ---------------------------------------------------------------------------------------------------------


def _training(outputs: Outputs) -> Statements:
    names = ("model", "initialisation", "training", "augmentation", "final_model", "pairing", "hardware", "scoring",
             "pretraining")  # fmt: skip
    if scores_only(outputs):
        return dict.fromkeys(names) | {"runs": runs_words(outputs)}
    model = _first(outputs, "model")
    return {
        "model": _model(outputs, model),
        "initialisation": "; ".join(f"{quoted(outputs, arm)}: {start(outputs, arm)}" for arm in outputs.labels),
        "training": _schedule(outputs, model),
        "augmentation": augmentation(model),
        "runs": runs_words(outputs),
        "final_model": "the weights after the last optimiser step, without choosing among checkpoints",
        "pairing": _pairing(outputs),
        "hardware": _hardware(outputs, model),
        "scoring": _scoring(outputs),
        "pretraining": _pretraining(outputs),
    }


def _first(outputs: Outputs, name: str) -> Mapping[str, Any]:
    """A record of the first model that left one."""
    found = (training_record(outputs, arm, name) for arm in outputs.labels)
    return next((record for record in found if record), {})


def _model(outputs: Outputs, model: Mapping[str, Any]) -> str:
    side = model.get("image_size", outputs.study.detector.image_size)
    size = f", {model['parameters']:,} parameters" if "parameters" in model else ""
    name = line(model.get("model", outputs.study.detector.model))
    return f"{name} of the ultralytics package (the anchor-free variant{size}, input {side} x {side} pixels)"


def start(outputs: Outputs, arm: str) -> str:
    """What a model's training started from, with the share of weights that came from there."""
    configured = outputs.study.arms.get(arm)
    begun = configured.initialise if configured else ""
    text = STARTS.get(begun) or f"the file {line(begun)}"
    moved = training_record(outputs, arm, "pairing").get("initialisation") or {}
    if moved.get("from_source"):
        text += f" ({moved['from_source']} of {moved['tensors']} tensors, {100 * moved['share']:.1f} % of parameters)"
    if configured and configured.seed_offset:
        text += ", with other random numbers"
    if configured and configured.train_for != "finetune":
        text += ", trained for the steps of pretraining and fine-tuning together"
    return text


def _schedule(outputs: Outputs, model: Mapping[str, Any]) -> str:
    """As trained, where training left its record; as configured otherwise."""
    detector = outputs.study.detector
    used = {
        name: model.get(name, getattr(detector, name)) for name in ("epochs", "batch", "optimizer", "learning_rate")
    }
    steps = f" ({plural(model['steps'], 'optimiser step')})" if "steps" in model else ""
    return (
        f"{plural(used['epochs'], 'epoch')}{steps} with batches of {plural(used['batch'], 'film')} and "
        f"{line(used['optimizer'])} at a learning rate of {used['learning_rate']:g}, the same for every model"
    )


def augmentation(model: Mapping[str, Any]) -> str | None:
    """Random changes of training films, in words; None where training left no record."""
    if "augmentation" not in model:
        return None
    used = [
        AUGMENTATIONS.get(name, name.replace("_", " ") + " {value:g}").format(value=value, share=percent(value))
        for name, value in model["augmentation"].items()
        if value and name != "close_mosaic"
    ]
    return joined(used) or "none"


def runs_words(outputs: Outputs) -> str:
    """`3 training runs per model`."""
    counts = sorted({len(runs) for runs in outputs.runs.values()})
    kind = str(outputs.analysis.get("kind", "training runs")).removesuffix("s")
    counted = f"{counts[0]} to {counts[-1]} {kind}s" if len(counts) > 1 else plural(counts[0], kind)
    return f"{counted} per model"


def _pairing(outputs: Outputs) -> str | None:
    if not _first(outputs, "pairing"):
        return None
    return (
        "architecture, optimiser, schedule, random state, order and pixels of every batch, films and number of steps "
        "were compared between the models, run by run, and agreed unless stated otherwise above"
    )


def _hardware(outputs: Outputs, model: Mapping[str, Any]) -> str | None:
    """Kind of processor, and its name where known."""
    device, processor = str(model.get("device", "")), outputs.provenance.get("processor")
    if not device:
        return None
    return f"a CPU ({line(processor)})" if device == "cpu" and processor else "a CPU" if device == "cpu" else "a GPU"


def _scoring(outputs: Outputs) -> str:
    flips = ", averaged with that of its mirror image" if outputs.study.detector.test_time_flip else ""
    return f"the largest class score before non-maximum suppression{flips}, kept in full precision"


def _pretraining(outputs: Outputs) -> str | None:
    if not any(configured.initialise == "pretrain" for configured in outputs.study.arms.values()):
        return None
    if outputs.study.detector.pretrained_weights is not None:
        return "weights that were given"
    films = _partition(outputs, "pretrain", "training", ("with a lesion", "without"))
    return f"{plural(outputs.study.detector.pretrain_epochs, 'epoch')}{f' on {films}' if films else ''}"


# --- the analysis as planned ------------------------------------------------------------------------------------------


def _analysis(outputs: Outputs) -> Statements:
    settings = outputs.settings
    names = list(dict.fromkeys((p["name"], p.get("target")) for p in outputs.analysis.get("points") or []))
    sources = list(dict.fromkeys(p["threshold_from"] for p in outputs.analysis.get("points") or []))
    low, high = settings.get("decision_range") or (None, None)
    reason = settings.get("auc_margin_reason")
    several = max((len(runs) for runs in outputs.runs.values()), default=1) > 1
    made = set(outputs.results["section"])
    rarer, readers = "predictive_values" in made, outputs.analysis.get("kind") == "readers"
    return {
        "confidence": percent(settings["confidence"]) if "confidence" in settings else None,
        "margin": f"{settings['auc_margin']:g}" if "auc_margin" in settings and outputs.others else None,
        "margin_reason": line(reason).rstrip(".") if reason else None,
        "objective": {"noninferiority": "non-inferiority"}.get(*2 * (str(settings.get("objective", "superiority")),)),
        "points": joined([_target(*point) for point in names]) or None,
        "locked": joined([LOCKED[source] for source in outputs.fixed_sources]) or None,
        "explored": "yes" if "external" in sources else None,
        "family": _family(outputs),
        "bootstrap": f"{settings['bootstrap']:,}" if "bootstrap" in settings else None,
        "sampling": "within class" if settings.get("sampling", "by_class") == "by_class" else "over both classes",
        "hit_rule": HIT_RULES.get(str(settings.get("hit_rule", ""))) if has_boxes(outputs) else None,
        "decision_range": f"{percent(low)} to {percent(high)}" if "decision" in made and low and high else None,
        "prevalences": joined([percent(q) for q in settings.get("prevalences") or []]) or None if rarer else None,
        "recalibration": "logistic recalibration on the validation films" if has_validation(outputs) else None,
        "basis": _basis(outputs, several),
        "several_runs": "yes" if several and not readers else None,
        "one_run": None if several or readers else "yes",
        "readers": "yes" if readers else None,
        "over_runs": "readers" if readers else "training runs",
        "with_validation": "yes" if has_validation(outputs) else None,
        "without_validation": None if has_validation(outputs) else "yes",
    }


def _target(name: str, target: float | None) -> str:
    at = percent(target) if target is not None else ""
    told = {
        "high_sensitivity": f"high sensitivity (highest specificity with a sensitivity of {at} or more)",
        "high_specificity": f"high specificity (highest sensitivity with a specificity of {at} or more)",
        "youden": "Youden index (largest sum of sensitivity and specificity)",
    }
    return told.get(name) or POINTS.get(name, name.replace("_", " "))


def _basis(outputs: Outputs, several: bool) -> str:
    """What an estimate and its interval stand for, in one clause."""
    kind = str(outputs.analysis.get("kind", "training runs"))
    runs = f"means over {kind}, whose intervals take in {kind} and" if several else \
        f"those of one {kind.removesuffix('s')} per model, whose intervals take in"  # fmt: skip
    unit = "patients" if outputs.analysis.get("patients_known") else "films"
    cohorts = f"external and validation {unit}" if has_validation(outputs) else f"external {unit}"
    draws = outputs.settings.get("bootstrap")
    return f"{runs} {cohorts}" + (f" ({draws:,} joint bootstrap draws)" if draws else "")


def _family(outputs: Outputs) -> str | None:
    """Secondary tests that were adjusted together; None where none was made."""
    if outputs.results["p_adjusted"].isna().all():
        return None
    told = []
    for entry in outputs.settings.get("family") or []:
        measure, _, point = line(entry).partition("@")
        told.append(f"{measure.replace('_', ' ')} at the {POINTS.get(point, point.replace('_', ' '))} point")
    return joined(told) or None


# --- software ---------------------------------------------------------------------------------------------------------


def _software(outputs: Outputs) -> Statements:
    known_of = outputs.provenance
    packages = [f"{line(name)} {line(version)}" for name, version in (known_of.get("packages") or {}).items()]
    python = [f"Python {line(known_of['python'])}"] if known_of.get("python") else []
    lock, study_file = known_of.get("requirements_lock_sha256"), known_of.get("study_file") or {}
    return {
        "osteotl": f"OsteoTL {line(known_of['osteotl'])}" if known_of.get("osteotl") else None,
        "commit": line(known_of["commit"]) if known_of.get("commit") else None,
        "packages": joined(python + packages) or None,
        "lock_hash": line(lock) if lock else None,
        "study_hash": line(study_file["sha256"]) if study_file.get("sha256") else None,
    }
