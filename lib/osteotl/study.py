"""study.yaml -> one typed, checked object.

Everything that a study can be told is a field of a class below; nothing else is accepted. `load_study` reads the file,
checks it whole and reports every fault at once, each with its place in the file, the offending value and the rule.
One file on purpose, though a long one: whoever asks what a study can be told reads it from top to bottom.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from osteotl.names import LONGEST
from osteotl.strict_yaml import YamlError, load_yaml
from osteotl.study_rules import MOST_FAULTS, between_sections, hidden_texts, long_paths

MOST_SEED = 2**31 - 1
Seed = Annotated[int, Field(ge=0, le=MOST_SEED)]
Share = Annotated[float, Field(gt=0, lt=1)]
NAME = r"^[A-Za-z][A-Za-z0-9_]{0,39}$"
Name = Annotated[str, Field(pattern=NAME)]


class StudyError(ValueError):
    """The configuration cannot be used; `faults` lists every reason, one line each."""

    def __init__(self, faults: list[str]):
        super().__init__("\n".join(faults))
        self.faults = faults


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _no_bool_for_number(cls, content: Any) -> Any:
        """YAML reads yes, no, on and off as truth values, which Python takes for 1 and 0: `epochs: yes` is a slip."""
        wrong = [name for name, field in cls.model_fields.items() if isinstance(content, dict)
                 and _holds_bool(content.get(name), field.annotation)]  # fmt: skip
        if wrong:
            rule = "must not be true, false, yes, no, on or off; put a word in quotes"
            raise ValueError("; ".join(f"{name} {rule}" for name in wrong))
        return content


def _holds_bool(value: Any, wanted: Any) -> bool:
    """Whether a truth value stands where something else is wanted, in a list or mapping too."""
    if isinstance(value, dict) and get_origin(wanted) is dict:
        return any(isinstance(one, bool) for one in value.values())
    if isinstance(value, list):
        return any(isinstance(one, bool) for one in value)
    return isinstance(value, bool) and wanted is not bool


def _unique(value: list[Any]) -> list[Any]:
    if repeated := sorted(one for one, count in Counter(value).items() if count > 1):
        raise ValueError(f"named twice: {repeated[0]}")
    return value


# --- cohorts ----------------------------------------------------------------------------------------------------------


def _share_or_count(value: float) -> float:
    """0.3 is a share of the films, 250 a number of them; 1.0 and 1.5 are neither."""
    if isinstance(value, float) and value >= 1:
        raise ValueError("must be a share of the films, below 1, or a whole number of films")
    return value


def _text(word: Any) -> Any:
    return str(word) if isinstance(word, int | float) else word


class PhantomCohort(_Strict):
    """Synthetic radiographs made from a seed alone; they validate the instrument, not the hypothesis."""

    reader: Literal["phantom-chest", "phantom-knee", "phantom-texture"] = Field(description="what is drawn")
    films: int = Field(ge=4, le=100_000, description="how many films are drawn")
    malignant: int | None = Field(None, ge=1, description="films with a lesion; default: 40 % of films")
    site: Literal["A", "B", "C", "D"] = Field("A", description="the sites differ in exposure and noise")
    image_size: int = Field(128, ge=64, le=1024, description="longest side of a drawn film, in pixels")
    seed: Seed = Field(0, description="the films follow from it alone")
    marker: bool = Field(False, description="plant a marker in every malignant film: the audit must see it")
    validation: int | float = Field(0, ge=0, description="films (or a share of them) held for thresholds")

    _share = field_validator("validation")(_share_or_count)

    @model_validator(mode="after")
    def _fits(self) -> PhantomCohort:
        if self.malignant is not None and self.malignant >= self.films:
            raise ValueError(f"malignant ({self.malignant}) must be smaller than films ({self.films})")
        if self.validation > 1 and self.validation >= self.films:
            raise ValueError(f"validation ({self.validation}) must be smaller than films ({self.films})")
        return self


FILE_READERS = ("btxrd", "nih", "vindr", "rsna", "tbx11k", "coco", "yolo", "voc", "labelme", "manifest")
READERS = ("phantom-chest", "phantom-knee", "phantom-texture", *FILE_READERS, "concat")


class FileCohort(_Strict):
    """Films and reference standard in a folder, in one of the public layouts."""

    reader: Literal["btxrd", "nih", "vindr", "rsna", "tbx11k", "coco", "yolo", "voc", "labelme", "manifest"] = Field(
        description="the layout of the folder"
    )
    root: Path = Field(description="folder of the cohort; $NAME is taken from the environment")
    where: str | None = Field(None, description="a condition on the reader's columns that keeps films")
    images: str | None = Field(None, description="folder of films below root, where the layout leaves it open")
    annotations: str | None = Field(None, description="file or folder of annotations, from root on")
    table: str | None = Field(None, description="table with one row per film, from root on (csv or xlsx)")
    patients: str | None = Field(None, description="table (csv or xlsx), from root on: image_id and patient_id")
    split: Literal["shipped"] | None = Field(
        None, description="shipped: partitions are the layout's own; default: drawn by patient"
    )
    classes: dict[str, str | None] = Field(
        default_factory=dict, description="source class: finding, or label word: '1' or '0'; null ignores it"
    )
    label: Literal[0, 1] | None = Field(None, description="label of every film, where the layout holds none")
    site: str | None = Field(None, description="site of every film, where the layout holds none")
    patient_pattern: str | None = Field(None, max_length=1000, description="regex on file stems; group 1: patient")
    patient_prefix: str | None = Field(None, description="written before patient ids that another source uses too")
    agreement: int = Field(2, ge=1, description="vindr: how many readers must have drawn a lesion for it to count")
    validation: int | float = Field(0, ge=0, description="films (or a share of them) held for thresholds")

    _share = field_validator("validation")(_share_or_count)

    @field_validator("root", mode="before")
    @classmethod
    def _expand(cls, value: Any) -> Any:
        if not isinstance(value, str | Path):
            return value
        text = os.path.expanduser(os.path.expandvars(str(value)))
        if unset := re.findall(r"\$\{?(\w+)", text):
            raise ValueError(f"environment variable {unset[0]} is not set (export {unset[0]}=/folder/of/the/films)")
        return text

    @field_validator("classes", mode="before")
    @classmethod
    def _words(cls, value: Any) -> Any:
        """Numbers as the words that tables hold; YAML's own true and false (yes, no, on, off) need quotes."""
        if not isinstance(value, dict):
            return value
        if any(isinstance(word, bool) for pair in value.items() for word in pair):
            raise ValueError("yes, no, on, off, true and false are no texts in YAML; put the word in quotes")
        return {_text(name): _text(word) for name, word in value.items()}

    @property
    def inputs(self) -> list[Path]:
        """Every file and folder that the reader may open: `root`, and what is named outside of it."""
        root = Path(os.path.abspath(self.root))
        named = [Path(os.path.normpath(root / name)) for name in (self.table, self.annotations, self.patients) if name]
        return [self.root, *dict.fromkeys(path for path in named if not path.is_relative_to(root))]

    @field_validator("patient_pattern")
    @classmethod
    def _compiles(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                groups = re.compile(value).groups
            except (re.error, RecursionError, OverflowError) as error:
                raise ValueError(f"not a regular expression: {error}") from error
            if groups < 1:
                raise ValueError("needs one group (...) that captures the patient")
        return value


class ConcatCohort(_Strict):
    """Several cohorts read one after another as one."""

    reader: Literal["concat"] = Field(description="joins the cohorts that `parts` lists")
    parts: list[Cohort] = Field(min_length=1, max_length=100, description="the cohorts to join, in order")
    where: str | None = Field(None, description="a condition that keeps films of the joined cohort")
    validation: int | float = Field(0, ge=0, description="films (or a share of them) held for thresholds")

    _share = field_validator("validation")(_share_or_count)


Cohort = Annotated[PhantomCohort | FileCohort | ConcatCohort, Field(discriminator="reader")]
ConcatCohort.model_rebuild()


COHORTS = ("pretrain", "other_modality", "development", "external")


class Cohorts(_Strict):
    """The films: for pretraining, for development (training + validation), and for external testing."""

    pretrain: Cohort | None = Field(None, description="films to pretrain on, with lesion boxes")
    other_modality: Cohort | None = Field(None, description="films of another texture family, for a control arm")
    development: Cohort = Field(description="films to fine-tune on; its validation part sets thresholds")
    external: Cohort | None = Field(None, description="null: a test partition is held out of development by patient")
    test_share: Share = Field(0.3, description="share of development patients held for testing where external is null")
    partition_seed: Seed = Field(0, description="decides which patient is in which partition")


# --- arms and detector ------------------------------------------------------------------------------------------------


class Arm(_Strict):
    """One way to initialise the detector; arms differ in nothing else unless a control arm says so here."""

    initialise: str = Field(description="random, pretrain, other_modality, or a path to .safetensors (or .pt)")
    label: str | None = Field(None, max_length=80, description="name shown in the report")
    seed_offset: Seed = Field(0, description="added to every seed: an A/A arm trains again with other seeds")
    train_for: Literal["finetune", "pretrain_and_finetune"] = Field(
        "finetune", description="optimiser steps: fine-tuning's, or pretraining's and fine-tuning's together"
    )
    allow_pickle: bool = Field(False, description="accept an ultralytics .pt (read by safe loading only)")

    @property
    def from_file(self) -> bool:
        """Whether the start is a file of weights."""
        return self.initialise.endswith((".safetensors", ".pt"))

    @field_validator("initialise")
    @classmethod
    def _known(cls, value: str) -> str:
        if value in ("random", "pretrain", "other_modality"):
            return value
        value = os.path.expanduser(os.path.expandvars(value))
        if not value.endswith((".safetensors", ".pt")):
            raise ValueError("must be random, pretrain, other_modality, or a path that ends in .safetensors or .pt")
        return value


#: ultralytics' augmentation settings; the study names those it wants, all others are off
AUGMENTATIONS = (
    "hsv_h", "hsv_s", "hsv_v", "degrees", "translate", "scale", "shear", "perspective", "flipud", "fliplr", "bgr",
    "mosaic", "mixup", "cutmix", "copy_paste", "close_mosaic",
)  # fmt: skip
NO_COLOUR = ("hsv_h", "hsv_s", "bgr", "copy_paste")  # need colour or outlines, which grey films with boxes lack


class Detector(_Strict):
    """Architecture, training and scoring: the same for every arm."""

    model: Literal["yolov5n", "yolov5s", "yolov5m", "yolov5l", "yolov5x"] = Field(
        "yolov5n", description="size of the detector, smallest to largest"
    )
    image_size: int = Field(160, ge=64, le=2048, multiple_of=32, description="side of the square input, in pixels")
    epochs: int = Field(16, ge=1, le=10_000, description="passes over all training films; fixed, last weights count")
    pretrain_epochs: int = Field(15, ge=1, le=10_000, description="passes over the pretraining films")
    batch: int = Field(8, ge=1, le=1024, description="films in one optimiser step")
    optimizer: Literal["AdamW", "SGD"] = Field("AdamW", description="the same for every arm")
    learning_rate: float = Field(0.001, gt=0, lt=1, description="initial learning rate")
    augmentation: dict[str, float] = Field(
        default_factory=lambda: {"mosaic": 0.0, "fliplr": 0.5, "translate": 0.1, "scale": 0.3, "hsv_v": 0.2},
        description="ultralytics' augmentation settings; those not named are off",
    )
    fraction_training: Literal["equal_steps", "equal_epochs", "both"] = Field(
        "equal_steps", description="what label fractions have in common: optimiser steps, epochs, or one run of each"
    )
    checkpoints: list[Annotated[int, Field(ge=1, le=10**9)]] = Field(
        default_factory=list, max_length=100, description="optimiser steps at which films are also scored"
    )
    pretrained_weights: Path | None = Field(None, description="pretraining given as .safetensors; 01 copies it")
    device: str = Field("auto", pattern=r"^(auto|cpu|cuda(:\d+)?)$", description="auto takes a GPU where there is one")
    precision: Literal["float32", "bf16"] = Field("float32", description="of training; bf16 needs a GPU")
    test_time_flip: bool = Field(False, description="score each film and its mirror image and take the mean")

    _once = field_validator("checkpoints")(_unique)

    @field_validator("augmentation")
    @classmethod
    def _useful(cls, value: dict[str, float]) -> dict[str, float]:
        if unknown := sorted(set(value) - set(AUGMENTATIONS)):
            raise ValueError(f"{unknown[0]!r} is no augmentation; known are {', '.join(AUGMENTATIONS)}")
        if useless := [name for name in NO_COLOUR if value.get(name)]:
            raise ValueError(f"{useless[0]} does nothing on grey films with boxes; leave it out")
        return value


class Privacy(_Strict):
    """How identifiers are hidden."""

    salt: str = Field("osteotl", min_length=1, description="identifiers are hashed with it; fixed, so that runs repeat")


class Integrity(_Strict):
    """How faults in the cohorts are judged."""

    severity: dict[str, Literal["error", "warning", "note", "ignore"]] = Field(
        default_factory=dict, description="fault code: severity; overrides the written table"
    )
    exclude: list[str] = Field(
        default_factory=list, description="films to leave out: FOLDER/path, name, folder, pattern"
    )


# --- statistics -------------------------------------------------------------------------------------------------------


class OperatingPoints(_Strict):
    """The thresholds that are looked for."""

    high_sensitivity: Share | None = Field(0.90, description="highest specificity at this sensitivity; null: leave out")
    high_specificity: Share | None = Field(0.90, description="highest sensitivity at this specificity; null: leave out")
    youden: bool = Field(True, description="highest sum of sensitivity and specificity")
    given: dict[str, float] = Field(
        default_factory=dict, max_length=50, description="arm: its threshold, fixed beforehand; every arm or none"
    )

    @property
    def rules(self) -> dict[str, float | None]:
        """Name of each rule that is asked for, and what it must reach."""
        return {name: None if name == "youden" else getattr(self, name) for name in self.names if name != "given"}

    @property
    def names(self) -> list[str]:
        """The points asked for, in the order of the page."""
        return [name for name in ("high_sensitivity", "high_specificity", "youden", "given") if getattr(self, name)]


class Statistics(_Strict):
    """How arms are compared; best decided, and written down, before any score is seen."""

    confidence: float = Field(0.95, ge=0.5, lt=1, description="level of every interval")
    bootstrap: int = Field(
        10_000, ge=100, le=1_000_000, description="draws; not given: 2,000 of 500,000 scores or more"
    )
    bootstrap_seed: Seed = Field(0, description="the draws follow from it alone")
    sampling: Literal["by_class", "consecutive"] = Field(
        "by_class", description="how the external films came together; the bootstrap draws in the same way"
    )
    auc_margin: float = Field(0.03, gt=0, lt=0.5, description="largest difference in AUC that would not matter")
    auc_margin_reason: str = Field(
        "a smaller difference would not change which detector is picked", min_length=1, description="why that margin"
    )
    objective: Literal["superiority", "noninferiority", "equivalence"] = Field(
        "superiority", description="what the comparison of AUC is to show"
    )
    gatekeeping: bool = Field(False, description="test the family only where the objective was reached")
    operating_points: OperatingPoints = Field(OperatingPoints(), description="the thresholds that are looked for")
    thresholds_from: list[Literal["validation", "external"]] = Field(
        ["validation", "external"], min_length=1, description="films on which thresholds are found; each is reported"
    )
    prevalences: list[Share] = Field(
        [0.36, 0.10, 0.01, 0.001],
        min_length=1,
        max_length=20,
        description="shares of tumours at which predictive values are given",
    )
    decision_range: tuple[Share, Share] = Field((0.01, 0.20), description="threshold probabilities of decision curves")
    family: list[str] = Field(
        default_factory=list,
        max_length=100,
        description="secondary tests, as measure@point; default: sensitivity and specificity at the locked points",
    )
    subgroups: list[Literal["sex", "age_group", "view", "site", "subtype", "lesion_size"]] = Field(
        default_factory=list, description="subgroups that were declared beforehand; all others are exploratory"
    )
    hit_rule: Literal["iou50", "iou30", "iou10", "centre"] = Field(
        "iou30", description="when a box is on the lesion: overlap (IoU) of 0.5, 0.3 or 0.1, or its centre inside"
    )

    _once = field_validator("thresholds_from", "prevalences", "family", "subgroups")(_unique)

    @field_validator("decision_range")
    @classmethod
    def _ordered(cls, value: tuple[float, float]) -> tuple[float, float]:
        if value[0] >= value[1]:
            raise ValueError(f"must rise: {value[0]} is not below {value[1]}")
        return value

    @model_validator(mode="after")
    def _family(self) -> Statistics:
        measures = ("sensitivity", "specificity", "ppv", "npv")
        for entry in self.family:
            measure, _, point = entry.partition("@")
            if measure not in measures or point not in self.operating_points.names:
                raise ValueError(
                    f"family entry {entry!r} is not measure@point with measure one of {', '.join(measures)} "
                    f"and point one of {', '.join(self.operating_points.names)}"
                )
        return self

    @property
    def declared_family(self) -> list[str]:
        """The declared secondary family, or its default."""
        points = self.operating_points.names
        return list(self.family) or [f"{m}@{p}" for p in points for m in ("sensitivity", "specificity")]

    @property
    def fixed_settings(self) -> dict[str, Any]:
        """What an analysis uses and a plan locks, by the name in study.yaml."""
        names = ("confidence", "bootstrap", "bootstrap_seed", "sampling", "auc_margin", "auc_margin_reason",
                 "objective", "gatekeeping", "thresholds_from", "prevalences", "decision_range", "hit_rule",
                 "subgroups")  # fmt: skip
        points = {"operating_points": self.operating_points.rules, "given": dict(self.operating_points.given)}
        return {name: getattr(self, name) for name in names} | points | {"family": self.declared_family}


class Report(_Strict):
    """What a run cannot know; shown where the checklists ask the author."""

    institution: str | None = Field(None, max_length=200, description="shown below the title")
    date: str | None = Field(None, pattern=r"^\d{4}-\d\d-\d\d$", description="own scores: day of scoring, YYYY-MM-DD")
    reference_standard: dict[Literal["malignant", "normal"], str] = Field(
        default_factory=dict, description="what made a film malignant, and what normal"
    )
    author: dict[str, str] = Field(default_factory=dict, description="checklist item: the author's answer")
    gallery_films: int = Field(24, ge=4, le=48, description="films in the gallery")
    gallery_seed: Seed = Field(0, description="decides which films the gallery shows")
    show_ids: bool = Field(False, description="own scores: film ids as they were given; else running numbers")


#: Not in study.yaml: whoever copies that file for films of their own must not take this over.
PHANTOM_STANDARD = {
    "malignant": "a lesion drawn by the phantom generator, its box known exactly",
    "normal": "no lesion drawn; benign distractors may be present",
}


class Study(_Strict):
    """One study, checked."""

    title: str = Field(min_length=1, max_length=200, description="heads the report")
    cohorts: Cohorts | None = Field(None, description="the films; needed unless `predictions` is given")
    predictions: Path | None = Field(None, description="scores made elsewhere: no films, no training")
    arms: dict[Name, Arm] = Field(default_factory=dict, max_length=50, description="name: how the arm is initialised")
    reference: str | None = Field(
        None, min_length=1, max_length=LONGEST, description="the arm that the others are compared with"
    )
    seeds: list[Seed] = Field(
        [0, 1, 2], min_length=1, max_length=1_000, description="each starts one training run of every arm"
    )
    fractions: list[Annotated[float, Field(gt=0, le=1)]] = Field(
        [1.0],
        min_length=1,
        max_length=100,
        description="shares of the training labels to train on; 1.0 must be among them",
    )
    detector: Detector = Field(Detector(), description="architecture, training and scoring")
    robustness: bool = Field(False, description="score changed external films too: 7 changes, 3 steps, every run")
    privacy: Privacy = Field(Privacy(), description="how identifiers are hidden")
    integrity: Integrity = Field(Integrity(), description="how faults in the cohorts are judged")
    statistics: Statistics = Field(Statistics(), description="how arms are compared")
    report: Report = Field(Report(), description="what a run cannot know")

    _once = field_validator("seeds", "fractions")(_unique)

    def replicates(self) -> list[tuple[str, float, int]]:
        """Every (arm, fraction, seed) to train, in the order of the file."""
        return [(arm, fraction, seed) for arm in self.arms for fraction in self.fractions for seed in self.seeds]

    @property
    def reference_standard(self) -> Mapping[str, str]:
        """What made a film malignant, and what normal: the author's words; of phantoms it is known."""
        judged = (self.cohorts.development, self.cohorts.external) if self.cohorts else ()
        drawn = any(isinstance(cohort, PhantomCohort) for cohort in judged)
        stated = {str(name): text for name, text in self.report.reference_standard.items()}
        return PHANTOM_STANDARD | stated if drawn else stated

    @property
    def scores_extras(self) -> bool:
        """Whether more than the last weights is scored: checkpoints, or equal epochs beside equal steps."""
        both = self.detector.fraction_training == "both" and min(self.fractions) < 1
        return bool(self.detector.checkpoints) or both


# --- reading ----------------------------------------------------------------------------------------------------------


def _keys() -> list[str]:
    """Every key that exists."""
    return sorted({key for section in _Strict.__subclasses__() for key in section.model_fields})


def _meant(place: str) -> str:
    """The key that was probably meant: the nearest one, never the word that was written."""
    key = place.rpartition(".")[2]
    known = sorted(Study.model_fields) if key == place else _keys()
    close = get_close_matches(key, [name for name in known if name != key], 1)
    return f"; did you mean {close[0]}?" if close else ""


def _sentence(error: Any) -> str:
    place = ".".join(str(p) for p in error["loc"] if p not in FILE_READERS and not str(p).startswith("phantom-"))
    place = place.replace(".concat", "")[:200] or "study"
    message = error["msg"].removeprefix("Value error, ")
    if error["type"] == "extra_forbidden":
        return f"{place}: unknown key here{_meant(place)} (docs/study.md lists the keys that exist)"
    if error["type"] == "missing":
        return f"{place}: missing, and it has no default"
    if error["type"] == "union_tag_not_found":
        return f"{place}.reader: missing; it names the layout of the cohort: {', '.join(READERS)}"
    if error["type"] == "union_tag_invalid":
        return f"{place}.reader: must be one of {', '.join(READERS)} (got {error['ctx']['tag']!r})"
    value = error.get("input")
    if error["type"] == "string_pattern_mismatch" and error["ctx"]["pattern"] == NAME:
        place = place.removesuffix(".[key]")
        message = f"a name must fit the pattern {NAME}: a letter, then letters, digits or _"
    shown = f" (got {value!r})" if isinstance(value, str | int | float | bool | list) and len(repr(value)) < 80 else ""
    return f"{place}: {message}{shown}"


def parse_study(content: Any, folder: Path | None = None) -> Study:
    """Check a configuration already read from YAML.

    Parameters
    ----------
    content : mapping
        The file's content.
    folder : Path, optional
        Folder of the file; relative `root` and `predictions` paths start there.

    Raises
    ------
    StudyError
        With every fault: key's path, rule, value.
    """
    if not isinstance(content, dict):
        what = "an empty file" if content is None else "a list" if isinstance(content, list) else "text"
        raise StudyError([f"study: must be a mapping of settings (key: value), got {what}"])
    if hidden := hidden_texts(content):
        raise StudyError(hidden)
    faults = between_sections(content) + long_paths(content)
    try:
        study = Study.model_validate(content)
    except ValidationError as error:
        found = error.errors()
        more = len(found) - MOST_FAULTS
        said = [_sentence(e) for e in found[:MOST_FAULTS]] + ([f"... and {more:,} more faults"] if more > 0 else [])
        raise StudyError(said + faults) from error
    if faults:
        raise StudyError(faults)
    return study if folder is None else _rooted(study, folder)


def _rooted(study: Study, folder: Path) -> Study:
    """Paths in the file are relative to the file's folder."""
    update: dict[str, Any] = {}
    if study.predictions is not None:
        update["predictions"] = folder / study.predictions
    if study.cohorts is not None:
        rooted = {name: _root_cohort(getattr(study.cohorts, name), folder) for name in COHORTS}
        update["cohorts"] = study.cohorts.model_copy(update=rooted)
    if study.detector.pretrained_weights is not None:
        weights = folder / study.detector.pretrained_weights
        update["detector"] = study.detector.model_copy(update={"pretrained_weights": weights})
    arms = {
        name: arm.model_copy(update={"initialise": str(folder / arm.initialise)}) if arm.from_file else arm
        for name, arm in study.arms.items()
    }
    return study.model_copy(update={**update, "arms": arms})


def _root_cohort(cohort: Any, folder: Path) -> Any:
    if isinstance(cohort, FileCohort):
        return cohort.model_copy(update={"root": folder / cohort.root})
    if isinstance(cohort, ConcatCohort):
        return cohort.model_copy(update={"parts": [_root_cohort(part, folder) for part in cohort.parts]})
    return cohort


def load_study(path: str | Path, changes: Mapping[str, Any] | None = None) -> Study:
    """Read and check one study file.

    Parameters
    ----------
    path : path
        A YAML file; see docs/study.md for every key.
    changes : mapping, optional
        Settings of the top level that stand in for those of the file.

    Returns
    -------
    Study

    Raises
    ------
    StudyError
        The file is missing, is not YAML, or breaks a rule: every fault is listed, none is fixed in silence.

    Examples
    --------
    >>> study = load_study("study.yaml")
    >>> study.reference
    'scratch'
    """
    path = Path(path)
    try:
        content = load_yaml(path)
    except OSError as error:
        raise StudyError([f"{path}: cannot be read ({error.strerror}); name a study with --config FILE"]) from error
    except YamlError as error:
        raise StudyError([f"{path}: {error}"]) from error
    return parse_study({**content, **changes} if changes and isinstance(content, dict) else content, path.parent)
