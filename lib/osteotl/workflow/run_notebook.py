"""Run one step: a notebook by papermill, or the rendering of the page. The Snakefile calls it; only it writes records.

python -m osteotl.workflow.run_notebook STEP CONFIG OUTPUTS

Exit codes: 0 done (or unchanged), 1 failed, 2 the user's input is at fault. What a person needs to know about a failure
lies in OUT/.engine/ended/STEP, and everything that was printed in OUT/logs/STEP.log.
"""

from __future__ import annotations

import ctypes
import fcntl
import importlib
import logging
import os
import re
import signal
import sys
import time
import traceback
from datetime import timedelta
from pathlib import Path
from typing import Any

from osteotl.files import remove, scratch_folder, visible, write_json, write_text
from osteotl.workflow.fingerprint import EMPTY, MISSING
from osteotl.workflow.parameters import parameters_of
from osteotl.workflow.states import DEPENDS, SHOWN, StudyState
from osteotl.workflow.step import RUNNING
from osteotl.workflow.steps import ENGINE, ROOT, from_root, to_root

# nbformat's checker would compile a grammar of internet addresses at each start, 0.9 s; a notebook's schema has none
sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]

# their `faults` are the user's to mend: exit 2
INPUT_FAULTS = ("CohortError", "ScoresError", "SettingsError", "StudyError")


DEATHS = {
    "DeadKernelError": "its Python process died (killed, or out of memory)",
    "CellTimeoutError": "a cell ran past its time limit (OSTEOTL_CELL_TIMEOUT)",
}


class Failure(Exception):
    """A step came to nothing; `faults` tell a person why."""

    def __init__(self, *faults: str):
        super().__init__("\n".join(faults))
        self.faults = faults


def die_with(parent: int) -> None:
    """End with the program that started us (kill -9, out of memory): no orphan may go on writing. Linux only."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    if os.getppid() != parent:  # it died before we asked
        os._exit(1)


def hermetic(outputs: Path) -> None:
    """No state of the user's or of another study, beyond what run_all.sh and the detector library see to."""
    own = str(outputs / ENGINE)
    places = ("IPYTHONDIR", "XDG_CACHE_HOME", "MPLCONFIGDIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_DATA_DIR",
              "JUPYTER_CONFIG_DIR")  # fmt: skip
    os.environ.update(dict.fromkeys(places, f"{own}/cache"), PYTHONHASHSEED="0", CUBLAS_WORKSPACE_CONFIG=":4096:8",
                      NO_ALBUMENTATIONS_UPDATE="1", NUMBA_NUM_THREADS="1", JUPYTER_NO_CONFIG="1",
                      MPLBACKEND="module://matplotlib_inline.backend_inline")  # fmt: skip
    os.environ.setdefault("HOME", own)


# --- the notebook -----------------------------------------------------------------------------------------------------


def run_notebook(source: Path, target: Path, parameters: dict[str, Any], places: list[Path], descriptor: int) -> Any:
    """Execute a notebook aside and move it into place when every cell has passed.

    Parameters
    ----------
    source, target : Path
        The notebook, and where the executed one goes.
    parameters : dict
        All that its parameters cell holds.
    places : list of Path
        Folders outside the project whose names are not to be told.
    descriptor : int
        An open, locked file; the kernel holds the lock as long as it lives.

    Returns
    -------
    NotebookNode
        As executed.
    """
    sys.modules.setdefault("pyarrow", None)  # type: ignore[arg-type]  # papermill's way to Hadoop, 0.1 s
    import nbformat
    import papermill

    aside, failed = (target.with_name(target.stem + ending) for ending in (".running.ipynb", ".failed.ipynb"))
    _check_parameters(source, parameters)
    logging.getLogger("papermill").setLevel(logging.ERROR)  # it does not know parameters such as `icc: float | None`
    target.parent.mkdir(parents=True, exist_ok=True)
    sockets = _sockets()
    try:
        notebook = papermill.execute_notebook(
            _plain(source), _plain(aside), parameters=parameters, progress_bar=False, cwd=str(ROOT),
            engine_name=_engine(), kernel_name="python3", coalesce_streams=True,
            kernel_manager_class=_kernel_manager(sockets, descriptor), start_timeout=300,
            execution_timeout=int(os.environ.get("OSTEOTL_CELL_TIMEOUT", "0")) or None,
        )  # fmt: skip
    except papermill.PapermillExecutionError:
        os.replace(aside, failed)
        raise
    finally:
        aside.unlink(missing_ok=True)
        remove(Path(sockets))
    for part in (notebook, *notebook.cells):  # times and paths, which differ at every run and on every machine
        part.metadata.pop("papermill", None)
        part.metadata.pop("execution", None)
    _without_places(notebook, places)
    write_text(target, nbformat.writes(notebook) + "\n")
    failed.unlink(missing_ok=True)
    return notebook


def _engine() -> str:
    """Name of an engine that writes the notebook once: papermill's own saves it before and after every cell, 1 s."""
    from papermill.engines import NBClientEngine, papermill_engines

    class Engine(NBClientEngine):
        @classmethod
        def execute_managed_notebook(cls, nb_man: Any, *args: Any, **kw: Any) -> None:
            nb_man.output_path = None
            super().execute_managed_notebook(nb_man, *args, **kw)

    papermill_engines.register("written once", Engine)
    return "written once"


def _kernel_manager(sockets: str, descriptor: int) -> type:
    """A manager whose kernels die with this process, and hold the folder's lock as long as they live.

    They are reached over sockets in a folder of this user alone: no port that others on a shared machine see or that
    two kernels could take at once, and no need of any network, not even a loopback.
    """
    from jupyter_client.manager import AsyncKernelManager

    here = os.getpid()

    class Manager(AsyncKernelManager):
        def __init__(self, **given: Any):
            super().__init__(**given)
            self.transport, self.ip = "ipc", f"{sockets}/kernel"

        async def _async_launch_kernel(self, kernel_cmd: list[str], **kw: Any) -> None:
            kw |= {"preexec_fn": lambda: die_with(here), "pass_fds": (descriptor,)}
            await super()._async_launch_kernel(kernel_cmd, **kw)

    return Manager


def _sockets() -> str:
    """A folder with a short name, as the path of a socket may have about 100 characters only."""
    return str(scratch_folder("/tmp" if os.access("/tmp", os.W_OK) else None))


def _without_places(notebook: Any, others: list[Path]) -> None:
    """An executed notebook is shared with a team and joins the page: it names folders of the project, and no machine's.

    Paths inside the project become relative to it, other folders that the step knows `…`. Controls and marks of
    direction, which labels can bring, are taken out of what it displays.
    """
    outside = [path for path in [*others, Path.home()] if path != Path("/") and not path.is_relative_to(ROOT)]
    known = {**{str(path): "…/" for path in outside}, str(ROOT): ""}
    places = {real: shown for place, shown in known.items() for real in (os.path.realpath(place), place)}
    listed = "|".join(map(re.escape, sorted(places, key=len, reverse=True)))

    def told(text: Any) -> Any:
        if isinstance(text, str):
            return re.sub(rf"({listed})(/|(?![\w.-]))", lambda m: places[m[1]] or ("" if m[2] else "."), text)
        return [told(line) for line in text] if isinstance(text, list) else text

    for cell in notebook.cells:
        cell.source = told(cell.source)
        for output in cell.get("outputs", []):
            for key in ("text", "traceback", "evalue"):
                if key in output:
                    output[key] = told(output[key])
            for kind in output.get("data", {}):
                if kind.startswith("text/"):
                    output.data[kind] = visible(told("".join(output.data[kind])))


def _check_parameters(source: Path, parameters: dict[str, Any]) -> None:
    """papermill only warns of a mistyped parameter or a missing tag, and then computes something else."""
    known = [parameter.name for parameter in parameters_of(source)]
    if set(parameters) != set(known):
        has = ", ".join(known) or "nothing (is one cell tagged `parameters`?)"
        raise Failure(f"{to_root(source)}: its parameters cell must hold {', '.join(parameters)}; it holds {has}")


def _plain(path: Path) -> str:
    """papermill fills in {braces} in paths."""
    return str(path).replace("{", "{{").replace("}", "}}")


# --- the step ---------------------------------------------------------------------------------------------------------


def run_step(name: str, state: StudyState, descriptor: int) -> str:
    """Run a step unless it holds, and say so; leave its record only when all that it is to write has been written.

    `descriptor` is the open, locked file of the folder, which kernels inherit.
    """
    step, began = state.steps[name], time.time()
    if unmet := state.unmet(step):
        raise Failure(f"{name}: parts of the study do not belong together", *unmet, "run ./run_all.sh again")
    if not state.reasons(step):
        return f"{name}: unchanged"
    earlier = state.record(step) or {}
    if anew := state.reasons(step, *SHOWN):
        state.record_path(step).unlink(missing_ok=True)
        for file in (*step.writes, *step.may_write):  # so that what is there in the end is new
            remove(state.outputs / file.partition("?")[0])
    before = state.now(step)
    if step.notebook == "06_report":
        _write_provenance(state)
    if step.executed:
        source, target = ROOT / "notebooks" / f"{step.notebook}.ipynb", state.outputs / step.executed
        parameters = {"config": to_root(state.config), "outputs": to_root(state.outputs), **step.parameters}
        os.environ[RUNNING] = step.name
        run_notebook(source, target, parameters, [state.config.parent, state.outputs, *step.data], descriptor)
    else:
        _render(state)
    now = StudyState(state.config, state.outputs).now(step)
    if lacking := [file for file, content in now["writes"].items() if content in (MISSING, EMPTY)]:
        raise Failure(f"{name}: ended without writing {', '.join(lacking)}")
    if any(before[kind] != now[kind] for kind in DEPENDS):
        raise Failure(f"{name}: its settings, code or films changed while it ran; run ./run_all.sh again")
    times = {"seconds": round(time.time() - began, 2) if anew else earlier["seconds"],
             "finished": time.strftime("%Y-%m-%dT%H:%M:%S%z")}  # fmt: skip
    write_json(state.record_path(step), {"step": name, **now, **times})
    return f"{name}: {timedelta(seconds=round(time.time() - began))}"


# by name, as a notebook is: the workflow starts steps and imports none of what they compute


def _write_provenance(state: StudyState) -> None:
    """Where the results come from, before the page that shows it."""
    steps = [step for step in state.steps.values() if step.executed and step.notebook != "06_report"]
    made = importlib.import_module("osteotl.workflow.provenance").provenance(
        state.study, state.config, {step.name: state.record(step) for step in steps}
    )
    write_json(state.outputs / "provenance.json", made)


def _render(state: StudyState) -> None:
    """The page, and a PDF of it where one can be printed."""
    page = importlib.import_module("osteotl.report.render").write_report(state.outputs)
    importlib.import_module("osteotl.report.printing").write_pdf(page)


# --- what a person is told --------------------------------------------------------------------------------------------


def failure_lines(name: str, error: Any, notebooks: str) -> tuple[int, list[str]]:
    """Exit code and message of a notebook that failed.

    Parameters
    ----------
    name : str
        The step.
    error : Exception
    notebooks : str
        Folder of the executed notebook.

    Returns
    -------
    code : int
        2 where the input is at fault, else 1.
    lines : list of str
        What failed, in which cell and line, and which file to open.
    """
    kind = type(error).__name__
    if kind != "PapermillExecutionError":
        faults = getattr(error, "faults", [f"{name}: {DEATHS.get(kind, f'{kind}: {error}')}"])
        return 2 if kind in INPUT_FAULTS else 1, [str(fault) for fault in faults]
    if error.ename in INPUT_FAULTS:
        return 2, str(error.evalue).splitlines()
    text = re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(error.traceback))
    line = re.search(r"^-+> *(\d+) (.*)$", text.partition("Cell In[")[2], flags=re.M)
    where = f", line {line[1]}: {line[2].strip()}" if line else ""
    lines = [f"{name} failed in cell {error.cell_index + 1} (In [{error.exec_count}]){where}"]
    frames = re.findall(r"^File (.+?/osteotl/.+?):(\d+), in (\w+)", text, flags=re.M)
    for file, number, function in frames[-1:]:
        lines.append(f"  raised in {to_root(Path(file).expanduser())}, line {number}, {function}()")
    lines.append(f"  {error.ename}: {error.evalue}".rstrip())
    return 1, [*lines, f"  open {notebooks}/{name}.failed.ipynb in JupyterLab (./run_all.sh lab) to see it"]


def main(name: str, config: str, outputs: str) -> int:
    """Run one step as the engine does; returns the exit code."""
    die_with(int(os.environ.get("OSTEOTL_ENGINE", os.getppid())))
    out = from_root(outputs)
    hermetic(out)
    (out / "logs").mkdir(parents=True, exist_ok=True)
    log = os.open(out / "logs" / f"{name}.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)
    with (out / ENGINE / "lock").open("a") as lock:  # held by every step and its kernel: an orphan keeps others out
        fcntl.flock(lock, fcntl.LOCK_SH)
        try:
            code, lines = 0, [run_step(name, StudyState(from_root(config), out), lock.fileno())]
        except Exception as error:
            traceback.print_exc()
            code, lines = failure_lines(name, error, to_root(out / "notebooks"))
            lines.append(f"  everything it printed: {to_root(out / 'logs' / name)}.log")
    write_json(out / ENGINE / "ended" / name, {"code": code, "lines": lines})
    return code


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
