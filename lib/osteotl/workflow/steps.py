"""The study as a list of steps: what each one reads, which settings it depends on, what it writes.

This is the only place that says so. Which step waits for which, what a change runs again and what the engine starts
all follow from it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from osteotl.study import Study

ROOT = Path(__file__).resolve().parents[3]
RENDER = "render"  # the last step, the only one without a notebook
ENGINE = ".engine"  # below the outputs folder: records, locks, the engine's own files

_TRAINING = ("model", "image_size", "batch", "optimizer", "learning_rate", "augmentation", "device", "precision")
_COMPARISON = ("title", "reference", "seeds", "fractions", "predictions", "arms", "statistics")
_TRAINED = ("weights.safetensors", "training.csv", "model.json")

# The settings that a notebook depends on. 03 has none of `statistics`: the analysis plan is locked when films are first
# scored, and a later change of a threshold or margin must be told by 04 as a change, not undone by planning again.
SETTINGS: dict[str, tuple[str, ...]] = {
    "00_cohorts": ("cohorts", "privacy", "integrity", "detector.image_size"),
    "01_pretrain": (*(f"detector.{key}" for key in _TRAINING), "detector.pretrain_epochs"),
    "02_finetune": (
        *(f"detector.{key}" for key in (*_TRAINING, "epochs", "fraction_training", "checkpoints")),
        *(f"arms.ARM.{key}" for key in ("initialise", "seed_offset", "train_for", "allow_pickle")),
    ),
    "03_evaluate": ("robustness", *(f"detector.{key}" for key in ("model", "image_size", "batch", "device", "precision",
                                                                  "checkpoints", "fraction_training",
                                                                  "test_time_flip"))),
    "04_statistics": (*_COMPARISON, "robustness", "detector.fraction_training", "detector.checkpoints"),
    "05_figures": (*_COMPARISON, "report.gallery_films", "report.gallery_seed"),
    "06_report": ("",),  # the page shows them all
    RENDER: (),
}  # fmt: skip

# What a run computes once and keeps; every other notebook computes each time that it runs.
CACHED = ("00_cohorts", "01_pretrain", "02_finetune", "03_evaluate")
# Modules whose change does not make a step run again: the plan is locked once, see above.
UNCOUNTED = {"03_evaluate": ("osteotl.plan",)}
# What runs beside a notebook's cells: full names, as in imports.
BESIDE = {"06_report": ("osteotl.workflow.provenance",), RENDER: ("osteotl.report.render", "osteotl.report.printing")}


@dataclass(frozen=True)
class Step:
    """One notebook with its parameters, or the rendering of the page.

    Attributes
    ----------
    name : str
        Such as 02_finetune_transfer_1_0: the name of its record, its log and its executed notebook.
    notebook : str
        The notebook's stem; 'render' has no notebook.
    needs : tuple of str
        Steps that write what it reads.
    reads, writes : tuple of str
        Files below the outputs folder; `FOLDER/` means all below it, `TABLE?column=value` only those rows, and
        `TABLE?film` the prepared films that a cohort table names, `TABLE?phantom` the phantoms drawn for it,
        `NOTEBOOK?shown` the sources and results of an executed notebook.
    may_write : tuple of str
        Files that it writes on some machines only.
    settings : tuple of str
        Places in study.yaml.
    data : tuple of Path
        Files and folders of the user.
    parameters : dict
        Parameters of the notebook besides `config` and `outputs`.
    """

    name: str
    notebook: str
    needs: tuple[str, ...]
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    settings: tuple[str, ...]
    data: tuple[Path, ...] = ()
    parameters: dict[str, Any] = field(default_factory=dict)
    may_write: tuple[str, ...] = ()

    @property
    def executed(self) -> str | None:
        """The executed notebook below the outputs folder."""
        return None if self.notebook == RENDER else f"notebooks/{self.name}.ipynb"

    @property
    def cached(self) -> bool:
        """Whether its results are loaded where they hold, instead of computed again."""
        return self.notebook in CACHED


def steps_of(study: Study) -> dict[str, Step]:
    """Every step of a study, by name, in an order in which they can run."""
    steps: dict[str, Step] = {}
    if not study.predictions:
        _add_cohorts(steps, study)
        _add_training(steps, study)
        _add_scoring(steps, study)
    own = study.predictions is not None
    key = ["film_numbers.csv"] if own and not study.report.show_ids else []
    _add(steps, "04_statistics", _made(steps, "00_cohorts", "03_evaluate"),
         ["statistics.csv", "analysis.json", "tables/", *key], more=["report.show_ids"] if own else [],
         data=[study.predictions])  # fmt: skip
    # what `lock` wrote, where a plan was locked beforehand; no step makes it
    steps["04_statistics"] = replace(steps["04_statistics"], reads=(*steps["04_statistics"].reads, "registered/"))
    _add(steps, "05_figures", _made(steps), ["figures/"])
    _add(steps, "06_report", _made(steps), ["provenance.json", "documents/"])
    # every executed notebook is on the page, and the cohort tables hold what must not stand on it
    tables = list(_made(steps, "00_cohorts"))
    _add(steps, RENDER, [*tables, *(f"{step.executed}?shown" for step in steps.values())], ["report.html"])
    steps[RENDER] = replace(steps[RENDER], may_write=("report.pdf",))  # where there is a Chromium
    return steps


def _made(steps: dict[str, Step], *notebooks: str) -> dict[str, str]:
    """Files that these notebooks (or all) write so far, each with the step that writes it."""
    chosen = [step for step in steps.values() if step.notebook in notebooks or not notebooks]
    return {file: step.name for step in chosen for file in step.writes if "?" not in file}


def _executed(steps: dict[str, Step]) -> dict[str, str]:
    """Executed notebooks so far, each with its step."""
    return {step.executed: step.name for step in steps.values() if step.executed}


def _add(steps: dict[str, Step], notebook: str, reads: Iterable[str], writes: Iterable[str], name: str = "",
         more: Iterable[str] = (), data: Iterable[Path | None] = (), **parameters: Any) -> None:  # fmt: skip
    """One more step. What no step before it writes, it does not read; `more` are settings beside its notebook's."""
    made, name = _made(steps) | _executed(steps), name or notebook
    found = {file: by for file in reads if (by := made.get(file.partition("?")[0]))}
    settings = [key.replace("ARM", str(parameters.get("arm"))) for key in SETTINGS[notebook]]
    steps[name] = Step(name, notebook, tuple(dict.fromkeys(found.values())), tuple(found), tuple(writes),
                       (*settings, *more), tuple(path for path in data if path), parameters)  # fmt: skip


def _add_cohorts(steps: dict[str, Step], study: Study) -> None:
    cohorts = [name for name in ("pretrain", "other_modality", "development", "external")
               if getattr(study.cohorts, name)]  # fmt: skip
    # without an external cohort, its table holds the films that are held out of development
    tables = [f"cohorts/{name}.csv" for name in dict.fromkeys([*cohorts, "external"])]
    films = [f"{table}?{what}" for table in tables for what in ("film", "phantom")]
    roots = [root for name in cohorts for root in _roots(getattr(study.cohorts, name))]
    lists = ["cohorts/boxes.csv", "cohorts/film_notes.csv", "cohorts/integrity.json"]
    _add(steps, "00_cohorts", [], [*tables, *films, *lists], data=roots)


def _roots(cohort: Any) -> list[Path]:
    if parts := getattr(cohort, "parts", None):
        return [root for part in parts for root in _roots(part)]
    return cohort.inputs if hasattr(cohort, "root") else []


def phantoms(cohort: Any) -> list[Any]:
    """The phantom cohorts among the parts of a cohort, which may be one itself, or None."""
    if parts := getattr(cohort, "parts", None):
        return [phantom for part in parts for phantom in phantoms(part)]
    return [cohort] if str(getattr(cohort, "reader", "")).startswith("phantom-") else []


def _add_training(steps: dict[str, Step], study: Study) -> None:
    """Pretraining as far as an arm starts from it, then every replicate."""
    starts = {arm.initialise for arm in study.arms.values()}
    longer = {name for name, arm in study.arms.items() if arm.train_for == "pretrain_and_finetune"}
    for cohort in ("pretrain", "other_modality"):
        own = cohort == "pretrain"
        if cohort in starts or (own and longer):
            reads = [f"cohorts/{cohort}.csv", f"cohorts/boxes.csv?cohort={cohort}"]
            writes = [f"{cohort}/{file}" for file in _TRAINED]
            _add(steps, "01_pretrain", reads, writes, "" if own else f"01_pretrain_{cohort}",
                 data=[study.detector.pretrained_weights if own else None], cohort=cohort)  # fmt: skip
    for arm, fraction, seed in study.replicates():
        start, folder = study.arms[arm].initialise, f"finetune/{arm}/{fraction:g}/{seed}"
        reads = ["cohorts/development.csv", "cohorts/boxes.csv?cohort=development", f"{start}/weights.safetensors",
                 f"{start}/model.json"]  # fmt: skip
        if longer:  # every arm is proved against every other, so each counts that one's steps
            reads.append("cohorts/pretrain.csv")
        if arm in longer:  # it trains for as many steps as pretraining and fine-tuning together took
            reads.append("pretrain/model.json")
        writes = [f"{folder}/{file}" for file in (*_TRAINED, "pairing.json")]
        if study.detector.checkpoints:
            writes.append(f"{folder}/checkpoints/")
        if study.detector.fraction_training == "both" and fraction < 1:
            writes.append(f"{folder}/equal_epochs/")
        _add(steps, "02_finetune", reads, writes, f"02_finetune_{arm}_{fraction:g}_{seed}",
             more=["detector.pretrain_epochs"] if arm in longer else [],
             data=[Path(start)] if study.arms[arm].from_file else [],
             arm=arm, fraction=fraction, seed=seed)  # fmt: skip


def _add_scoring(steps: dict[str, Step], study: Study) -> None:
    films = ["cohorts/development.csv", "cohorts/external.csv", "cohorts/boxes.csv"]
    writes = ["predictions.csv", "detections.csv", "audit.csv", "audit.json", "occlusion/", "analysis_plan.json"]
    extras = ["predictions_extra.csv"] if study.scores_extras else []
    extras += ["robustness.csv"] if study.robustness else []
    _add(steps, "03_evaluate", [*films, *_made(steps, "02_finetune")], [*writes, *extras])


def from_root(path: str | Path) -> Path:
    """A path as given in a notebook's parameters: relative paths start at the project's folder."""
    return ROOT / Path(path).expanduser()


def to_root(path: str | Path) -> str:
    """The other way: relative where the path lies inside the project, so that executed notebooks name no machine."""
    path = Path(os.path.abspath(path))
    return path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else str(path)
