"""The study as a list of steps: what each one reads, which settings it heeds, what it writes."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from osteotl.study import Study

ROOT = Path(__file__).resolve().parents[3]
ENGINE = ".engine"  # below the outputs folder: records, locks, the engine's own files

_TRAINING = ("model", "image_size", "batch", "optimizer", "learning_rate", "augmentation", "device", "precision")
_COMPARISON = ("title", "reference", "seeds", "fractions", "predictions", "arms", "statistics")
_TRAINED = ("weights.safetensors", "training.csv", "pairing.json", "model.json")

# The settings that a notebook heeds. 03 heeds none of `statistics`: the analysis plan is locked when films are first
# scored, and a later change of a threshold or margin must be told by 04 as a change, not undone by planning again.
SETTINGS: dict[str, tuple[str, ...]] = {
    "00_cohorts": ("cohorts", "privacy", "integrity", "detector.image_size"),
    "01_pretrain": (*(f"detector.{key}" for key in _TRAINING), "detector.pretrain_epochs"),
    "02_finetune": (
        *(f"detector.{key}" for key in (*_TRAINING, "epochs", "fraction_training", "checkpoints")),
        *(f"arms.ARM.{key}" for key in ("initialise", "seed_offset", "train_for", "allow_pickle")),
    ),
    "03_evaluate": tuple(f"detector.{key}" for key in ("model", "image_size", "batch", "device", "precision",
                                                       "checkpoints", "fraction_training", "test_time_flip")),
    "04_statistics": (*_COMPARISON, "detector.fraction_training", "detector.checkpoints"),
    "05_figures": (*_COMPARISON, "report.gallery_films", "report.gallery_seed"),
    "report": ("",),
}  # fmt: skip


@dataclass(frozen=True)
class Step:
    """One notebook with its parameters, or the report.

    Attributes
    ----------
    name : str
        Such as 02_finetune_transfer_1_0: the name of its record and of its executed notebook.
    notebook : str
        The notebook's stem; 'report' has none.
    needs : tuple of str
        Steps that must be done before.
    reads, writes : tuple of str
        Files below the outputs folder; `FILE?column=value` means only those rows of a table, and
        `FOLDER/` all below it.
    settings : tuple of str
        Places in study.yaml.
    data : tuple of Path
        Files and folders of the user.
    parameters : dict
        Parameters of the notebook besides `config` and `outputs`.
    """

    name: str
    notebook: str
    needs: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    data: tuple[Path, ...] = ()
    parameters: dict[str, Any] = field(default_factory=dict)

    @property
    def executed(self) -> str | None:
        """The executed notebook below the outputs folder."""
        return None if self.notebook == "report" else f"notebooks/{self.name}.ipynb"

    @property
    def title(self) -> str:
        """The step as a person would say it."""
        if self.notebook == "02_finetune":
            arm, fraction, seed = self.parameters.values()
            return f"02_finetune {arm}, seed {seed}" + ("" if fraction == 1 else f", {fraction:.4g} of the labels")
        return self.name


def step_name(notebook: str, cohort: str = "pretrain", arm: str = "", fraction: float = 1.0, seed: int = 0) -> str:
    """The name of the step that a notebook with these parameters is."""
    if notebook == "01_pretrain":
        return notebook if cohort == "pretrain" else f"{notebook}_{cohort}"
    return f"{notebook}_{arm}_{fraction:g}_{seed}" if notebook == "02_finetune" else notebook


def steps_of(study: Study) -> dict[str, Step]:
    """Every step of a study in an order in which they can run."""
    steps = [] if study.predictions else _with_films(study)
    writes = {step.name: step.writes for step in steps}

    def after(name: str, needs: list[str], writes_: tuple[str, ...], data: tuple[Path, ...] = ()) -> None:
        reads = tuple(file for need in needs for file in writes[need])
        steps.append(Step(name, name, tuple(needs), reads, writes_, SETTINGS[name], data))
        writes[name] = writes_

    given = (study.predictions,) if study.predictions else ()
    trained = [step.name for step in steps if step.notebook in ("01_pretrain", "02_finetune")]
    films = [step.name for step in steps if step.name in ("00_cohorts", "03_evaluate")]
    after("04_statistics", films, ("statistics.json", "tables/"), given)
    after("05_figures", [*films, *trained, "04_statistics"], ("figures/",))
    after("report", list(writes), ("report.html", "provenance.json"))
    return {step.name: step for step in steps}


def _with_films(study: Study) -> list[Step]:
    cohorts = [c for c in ("pretrain", "other_modality", "development", "external") if getattr(study.cohorts, c)]
    tables = tuple(f"cohorts/{c}.csv" for c in cohorts)
    roots = tuple(dict.fromkeys(root for c in cohorts for root in _roots(getattr(study.cohorts, c))))
    first = Step("00_cohorts", "00_cohorts", (), (), (*tables, "cohorts/boxes.csv", "cohorts/integrity.json"),
                 SETTINGS["00_cohorts"], roots)  # fmt: skip
    starts = {arm.initialise for arm in study.arms.values()}
    if any(arm.train_for == "pretrain_and_finetune" for arm in study.arms.values()):
        starts.add("pretrain")
    before = [_pretrain(study, c, first) for c in ("pretrain", "other_modality") if c in starts]
    tuned = [_finetune(study, *replicate) for replicate in study.replicates()]
    scored = [file for step in tuned for file in step.writes]
    tested = [table for table in ("cohorts/development.csv", "cohorts/external.csv") if table in tables]
    last = Step("03_evaluate", "03_evaluate", ("00_cohorts", *(step.name for step in tuned)),
                (*tested, "cohorts/boxes.csv", *scored),
                ("predictions.csv", *(["predictions_extra.csv"] if study.scores_extras else []), "detections.csv",
                 "audit.csv", "audit.json", "occlusion/", "analysis_plan.json"),
                SETTINGS["03_evaluate"])  # fmt: skip
    return [first, *before, *tuned, last]


def _pretrain(study: Study, cohort: str, first: Step) -> Step:
    table = f"cohorts/{cohort}.csv"
    reads = (table, f"cohorts/boxes.csv?cohort={cohort}") if table in first.writes else ()
    given = study.detector.pretrained_weights if cohort == "pretrain" else None
    return Step(step_name("01_pretrain", cohort), "01_pretrain", ("00_cohorts",), reads,
                tuple(f"{cohort}/{file}" for file in ("weights.safetensors", "training.csv", "model.json")),
                SETTINGS["01_pretrain"], (given,) if given else (), {"cohort": cohort})  # fmt: skip


def _finetune(study: Study, arm: str, fraction: float, seed: int) -> Step:
    start, longer = study.arms[arm].initialise, study.arms[arm].train_for == "pretrain_and_finetune"
    settings = [key.replace("ARM", arm) for key in SETTINGS["02_finetune"]]
    needs, reads, data = ["00_cohorts"], ["cohorts/development.csv", "cohorts/boxes.csv?cohort=development"], []
    if start in ("pretrain", "other_modality"):
        needs.append(step_name("01_pretrain", start))
        reads += [f"{start}/weights.safetensors", f"{start}/model.json"]
    elif start != "random":
        data.append(Path(start))
    if longer and start != "pretrain":  # it trains for as many steps as pretraining and fine-tuning together took
        needs.append("01_pretrain")
        reads.append("pretrain/model.json")
    if longer:
        settings.append("detector.pretrain_epochs")
    if any(other.train_for == "pretrain_and_finetune" for other in study.arms.values()):
        reads.append("cohorts/pretrain.csv")  # every arm is proved against every other, so each counts that one's steps
    folder = f"finetune/{arm}/{fraction:g}/{seed}"
    writes = [f"{folder}/{file}" for file in _TRAINED]
    if study.detector.checkpoints:
        writes.append(f"{folder}/checkpoints/")
    if study.detector.fraction_training == "both" and fraction < 1:
        writes.append(f"{folder}/equal_epochs/")
    return Step(step_name("02_finetune", arm=arm, fraction=fraction, seed=seed), "02_finetune", tuple(needs),
                tuple(reads), tuple(writes), tuple(settings), tuple(data),
                {"arm": arm, "fraction": fraction, "seed": seed})  # fmt: skip


def _roots(cohort: Any) -> list[Path]:
    if parts := getattr(cohort, "parts", None):
        return [root for part in parts for root in _roots(part)]
    return [cohort.root] if hasattr(cohort, "root") else []


def from_root(path: str | Path) -> Path:
    """A path as given in a notebook's parameters: relative paths start at the project's folder."""
    return ROOT / Path(path).expanduser()


def to_root(path: str | Path) -> str:
    """The other way: relative where the path lies inside the project, so that executed notebooks name no machine."""
    path = Path(os.path.abspath(path))
    return path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else str(path)
