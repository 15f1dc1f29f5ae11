"""What a notebook asks of the workflow: where it stands, where to read, where to write.

Every notebook opens with

    from osteotl.workflow.step import open_step

    step = open_step("02_finetune", config, outputs, arm=arm, fraction=fraction, seed=seed)
    step

00 to 03 make their outputs `if not step.fresh:` and load them otherwise:

    development = pd.read_csv(step.read("cohorts/development.csv"))
    if not step.fresh:
        train(...)
        write_csv(step.write(f"finetune/{arm}/{fraction:g}/{seed}/training.csv"), training)
    training = pd.read_csv(step.read(f"finetune/{arm}/{fraction:g}/{seed}/training.csv"))

04 to 06 take seconds and compute every time; `step.fresh` is False there. The same cells serve run_all.sh, papermill
and JupyterLab. In JupyterLab everything that is not loaded is made below OUT/scratch, so that exploring never changes
the outputs of a study.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from osteotl.files import write_json
from osteotl.study import Study
from osteotl.workflow.states import SHOWN, StudyState, differences, read_json
from osteotl.workflow.steps import ROOT, Step, from_root, to_root

MADE = ".made"  # below scratch: the settings under which a notebook was run by hand
RUNNING = "OSTEOTL_STEP"  # set by run_notebook: the step that the engine runs


@dataclass(frozen=True)
class OpenStep:
    """A step as its notebook sees it.

    Attributes
    ----------
    name : str
        Such as 02_finetune_transfer_1_0.
    study : Study
        The checked configuration.
    fresh : bool
        Outputs exist and were made from exactly this configuration, code and input: load them. Never for 04 to 06.
    outputs : Path
        The study's outputs folder.
    out : Path
        Where this run may write: `outputs`, or `outputs/scratch` when explored by hand.
    config : Path
        The study file.
    data : Path
        The project's data folder: films made or prepared once for all studies.
    reasons : list of str
        Why it is not fresh, in plain words.
    workers : int
        Processes that this step may use.
    by_engine : bool
        Whether run_all.sh runs the notebook, so that it writes the study's outputs; otherwise a person does.
    """

    name: str
    study: Study
    fresh: bool
    outputs: Path
    out: Path
    config: Path
    data: Path
    reasons: list[str]
    workers: int
    by_engine: bool

    def read(self, file: str) -> Path:
        """A file to read, named as below the outputs folder.

        In scratch, what was made there by hand comes before what the finished study holds.

        Raises
        ------
        FileNotFoundError
            Neither has it: the steps before this one have not run.
        """
        for path in (self.out / file, self.outputs / file):
            if path.exists():
                return path
        raise FileNotFoundError(f"{file} is not there yet: run ./run_all.sh, or the notebook that writes it, first")

    def write(self, file: str) -> Path:
        """A path to write, named as below the outputs folder; its folder is made.

        Raises
        ------
        RuntimeError
            The step is finished and unchanged: its outputs are loaded, not made again.
        """
        if self.fresh:
            raise RuntimeError(f"{self.name} is finished and unchanged: load {file} instead of writing it again")
        path = self.out / file
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def __repr__(self) -> str:
        if self.fresh:
            return f"{self.name}: finished and unchanged; outputs are loaded from {to_root(self.outputs)}"
        why = f" ({'; '.join(self.reasons)})" if self.reasons and not self.by_engine else ""
        return f"{self.name}: outputs are made in {to_root(self.out)}{why}"


def open_step(notebook: str, config: str | Path, outputs: str | Path, **parameters: Any) -> OpenStep:
    """Say where a notebook stands.

    Parameters
    ----------
    notebook : str
        The notebook's stem, such as '03_evaluate'.
    config, outputs : str
        As in the notebook's parameters cell; relative paths start at the project's folder.
    **parameters
        01_pretrain: cohort; 02_finetune: arm, fraction, seed.

    Returns
    -------
    OpenStep

    Raises
    ------
    StudyError
        The configuration cannot be used.
    ValueError
        The study has no such step, or what it reads was made under other settings: the message names both.
    """
    state = StudyState(from_root(config), from_root(outputs))
    step = next((s for s in state.steps.values() if s.notebook == notebook and s.parameters == parameters), None)
    if step is None:
        asked = " ".join([notebook, *map(str, parameters.values())])
        raise ValueError(f"{to_root(state.config)} has no step {asked}; it has {', '.join(state.steps)}")
    by_engine = os.environ.get(RUNNING) == step.name
    reasons = state.reasons(step, *SHOWN) + ([] if by_engine else state.unmet(step))
    fresh = step.cached and not reasons
    by_hand = not by_engine and not fresh
    if by_hand:
        _refuse_others(state, step)
        _link_inputs(state, step)
        now = state.now(step)
        made = {"settings": now["settings"], "reads": now["reads"], "config": to_root(state.config)}
        write_json(state.outputs / "scratch" / MADE / f"{step.name}.json", made)
    return OpenStep(
        name=step.name,
        study=state.study,
        fresh=fresh,
        outputs=state.outputs,
        out=state.outputs / "scratch" if by_hand else state.outputs,
        config=state.config,
        data=ROOT / "data",
        reasons=reasons,
        workers=int(os.environ.get("OSTEOTL_WORKERS", "1")),
        by_engine=by_engine,
    )


def _link_inputs(state: StudyState, step: Step) -> None:
    """Show the study's files that a step reads in scratch, so that a notebook finds all in one folder.

    Writing replaces a link, never what it points to.
    """
    for file in state.now(step)["reads"]:
        source, link = state.outputs / file, state.outputs / "scratch" / file
        if source.is_file() and not link.exists():
            link.parent.mkdir(parents=True, exist_ok=True)
            link.unlink(missing_ok=True)
            link.symlink_to(source)


def _refuse_others(state: StudyState, step: Step) -> None:
    """Refuse inputs that were made under another configuration, by hand or by a run.

    A study with fewer runs, arms or fractions than were scored selects among them, which is allowed; one with more is
    refused, because their scores are not there.
    """
    before: dict[str, Step] = {}
    todo = list(step.needs)
    while todo:
        if (name := todo.pop()) not in before:
            before[name] = state.steps[name]
            todo += before[name].needs
    ordered = [need for need in state.steps.values() if need.name in before]
    if wrong := [fault for need in ordered for fault in _differences(state, need)]:
        raise ValueError("\n".join([*wrong, f"{step.name} would mix them with {to_root(state.config)}: run the "
                                    "notebooks named above first, or ./run_all.sh clean to begin anew"]))  # fmt: skip


def _differences(state: StudyState, need: Step) -> list[str]:
    """How a step's results, in scratch or of a run, differ from what the study file asks for."""
    scratch, now = state.outputs / "scratch", state.now(need)
    own = [file for file in now["writes"] if (scratch / file).is_file() and not (scratch / file).is_symlink()]
    made = (read_json(scratch / MADE / f"{need.name}.json") or {}) if own else (state.record(need) or {})
    place = to_root(scratch if own else state.outputs)
    if own and not made:
        return [f"{own[0]} in {place}: it is not known for which study it was made"]
    if not made:
        return []
    changed = differences("settings", made["settings"], now["settings"], "")
    runs = [Path(file).parent for file in now["reads"] if need.notebook == "03_evaluate" and file not in made["reads"]]
    named = [run.as_posix().removeprefix("finetune/") for run in dict.fromkeys(runs) if run.match("finetune/*/*/*")]
    lacking = [f"run {name} (arm, fraction, seed) is not among those scored" for name in named]
    return [f"{need.name} in {place}: {why}" for why in [*changed, *lacking]]
