"""Run one step: a notebook by papermill, or the report. Called by the Snakefile; nothing else writes a record.

python -m osteotl.workflow.run_notebook STEP CONFIG OUTPUTS

Exit codes: 0 done (or unchanged), 1 failed, 2 the user's input is at fault. What a person needs to know about a failure
lies in OUT/.engine/states/STEP.json, and everything that was printed in OUT/logs/STEP.log.
"""

from __future__ import annotations

import ctypes
import fcntl
import importlib
import json
import os
import re
import shutil
import signal
import socket
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from osteotl.files import write_json
from osteotl.workflow import fingerprint
from osteotl.workflow.states import Whole, record_path
from osteotl.workflow.step import RUNNING
from osteotl.workflow.steps import ENGINE, ROOT, Step, from_root, to_root

# nbformat's checker would compile a grammar of internet addresses at each start, 0.9 s; a notebook's schema has none
sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]

INPUT_FAULTS = ("CohortError", "ScoresError", "StudyError")  # their `faults` are the user's to mend: exit 2
THREADS = ("OMP", "OPENBLAS", "MKL", "NUMEXPR", "VECLIB_MAXIMUM", "NUMBA")


class Failure(Exception):
    """A step came to nothing; `lines` tell a person why."""

    def __init__(self, *lines: str, code: int = 1):
        super().__init__("\n".join(lines))
        self.lines, self.code = list(lines), code


def die_with(parent: int) -> None:
    """End with the program that started us (kill -9, out of memory): no orphan may go on writing. Linux only."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    if os.getppid() != parent:  # it died before we asked
        os._exit(1)


def hermetic(outputs: Path) -> None:
    """One thread, no network, no state of the user's or of another study: what a result must not depend on."""
    own = outputs / ENGINE
    os.environ.update({f"{name}_NUM_THREADS": "1" for name in THREADS})
    os.environ.update(
        PYTHONHASHSEED="0", PYTHONNOUSERSITE="1", PYTHONUTF8="1", PYTHONDONTWRITEBYTECODE="1",
        YOLO_OFFLINE="1", YOLO_AUTOINSTALL="0", YOLO_VERBOSE="0", ULTRALYTICS_SAFE_LOAD="1",
        CUBLAS_WORKSPACE_CONFIG=":4096:8", NO_ALBUMENTATIONS_UPDATE="1", JUPYTER_NO_CONFIG="1",
    )  # fmt: skip
    places = {"IPYTHONDIR": "ipython", "XDG_CACHE_HOME": "cache", "MPLCONFIGDIR": "matplotlib"}
    places |= {f"JUPYTER_{name}_DIR": "jupyter" for name in ("RUNTIME", "DATA", "CONFIG")}
    os.environ.update({name: str(own / folder) for name, folder in places.items()})
    os.environ.setdefault("HOME", str(own))


# --- the notebook -----------------------------------------------------------------------------------------------------


def _manager(descriptor: int) -> type:
    """A kernel manager whose kernels die with us and hold the folder's lock as long as they live."""
    from jupyter_client.manager import AsyncKernelManager

    here = os.getpid()

    class Manager(AsyncKernelManager):
        async def _async_launch_kernel(self, kernel_cmd: list[str], **kw: Any) -> None:
            kw |= {"preexec_fn": lambda: die_with(here), "pass_fds": (descriptor,)}
            await super()._async_launch_kernel(kernel_cmd, **kw)

    return Manager


def run_notebook(step: Step, whole: Whole, descriptor: int) -> None:
    """Execute a notebook aside and move it into place when every cell has passed."""
    sys.modules["rfc3987_syntax"] = None  # type: ignore[assignment]  # jsonschema builds a grammar with it: 1.4 s
    import papermill
    from nbclient.exceptions import CellTimeoutError, DeadKernelError

    source, target = ROOT / "notebooks" / f"{step.notebook}.ipynb", whole.outputs / str(step.executed)
    parameters = {"config": to_root(whole.config), "outputs": to_root(whole.outputs), **step.parameters}
    _check_parameters(source, parameters)
    aside, failed = _beside(target, ".running.ipynb"), _beside(target, ".failed.ipynb")
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        notebook = papermill.execute_notebook(
            _plain(source), _plain(aside), parameters=parameters, progress_bar=False, cwd=str(ROOT),
            kernel_name="python3", coalesce_streams=True, kernel_manager_class=_manager(descriptor),
            start_timeout=300, execution_timeout=int(os.environ.get("OSTEOTL_CELL_TIMEOUT", "0")) or None,
        )  # fmt: skip
    except papermill.PapermillExecutionError as error:
        os.replace(aside, failed)
        raise _told(step, error, failed) from error
    except DeadKernelError as error:
        raise Failure(f"{step.title}: its Python process died (killed, or out of memory)") from error
    except CellTimeoutError as error:
        raise Failure(f"{step.title}: a cell ran past its time limit (OSTEOTL_CELL_TIMEOUT)") from error
    finally:
        aside.unlink(missing_ok=True)
    _save(notebook, target)
    failed.unlink(missing_ok=True)


def _check_parameters(source: Path, parameters: dict[str, Any]) -> None:
    """papermill only warns of a mistyped parameter or a missing tag, and then computes something else."""
    import papermill

    if not source.is_file():
        raise Failure(f"{to_root(source)} is missing")
    known = papermill.inspect_notebook(_plain(source))
    if set(parameters) != set(known):
        has = ", ".join(known) or "nothing (is one cell tagged `parameters`?)"
        raise Failure(f"{to_root(source)}: its parameters cell must hold {', '.join(parameters)}; it holds {has}")


def _plain(path: Path) -> str:
    """papermill fills in {braces} in paths."""
    return str(path).replace("{", "{{").replace("}", "}}")


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(path.stem + ending)


def _save(notebook: Any, target: Path) -> None:
    """Without papermill's times and paths, which differ at every run and on every machine."""
    import nbformat

    from osteotl.files import write_text

    for part in (notebook, *notebook.cells):
        part.metadata.pop("papermill", None)
        part.metadata.pop("execution", None)
    write_text(target, nbformat.writes(notebook) + "\n")


def _told(step: Step, error: Any, failed: Path) -> Failure:
    """The failure of a cell as a person wants it: which, where, what, and the file to open."""
    if error.ename in INPUT_FAULTS:
        return Failure(*str(error.evalue).splitlines(), code=2)
    text = re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(error.traceback))
    print(text, file=sys.stderr, flush=True)
    frames = re.split(r"^(?=Cell In\[|File )", text, flags=re.M)
    cell = [re.search(r"^-+> *(\d+) (.*)$", frame, flags=re.M) for frame in frames if frame.startswith("Cell In[")]
    line = f", line {cell[-1][1]}: {cell[-1][2].strip()}" if cell and cell[-1] else ""
    inside = [m for m in re.findall(r"^File (.+?):(\d+), in (\w+)", text, flags=re.M) if "/osteotl/" in m[0]]
    lines = [f"{step.title} failed in cell {error.cell_index + 1} (In [{error.exec_count}]){line}"]
    for file, number, function in inside[-1:]:
        lines.append(f"  raised in {to_root(Path(file).expanduser())}, line {number}, {function}()")
    lines += [f"  {error.ename}: {error.evalue}".rstrip()]
    return Failure(*lines, f"  open {to_root(failed)} in JupyterLab (./run_all.sh lab) to see it")


# --- the step ---------------------------------------------------------------------------------------------------------


def run_step(name: str, whole: Whole, descriptor: int) -> None:
    """Run a step unless it holds; leave its record only when all that it is to write has been written."""
    step, began = whole.steps[name], time.time()
    if spoilt := [fault for need in step.needs for fault in whole.spoilt(whole.steps[need])]:
        raise Failure(f"{step.title}: what it reads is not as it was written", *spoilt, "  run ./run_all.sh again")
    depends, reasons = whole.depends(step), whole.made_differently(step)
    if not reasons and (not step.executed or whole.executed(step) == (whole.record(name) or {})["executed"]):
        return
    before: dict[Path, list[int] | None] = {}
    seconds = 0.0 if reasons else (whole.record(name) or {})["seconds"]
    if reasons:
        record_path(whole.outputs, name).unlink(missing_ok=True)
        for folder in (whole.outputs / file for file in step.writes if file.endswith("/")):
            shutil.rmtree(folder, ignore_errors=True)  # nothing of another configuration may stay among the new
        before = {path: fingerprint.signature(path) for path in whole.written(step)}
    os.environ[RUNNING] = f"{name}:{'made' if reasons else 'fresh'}"
    if step.executed:
        run_notebook(step, whole, descriptor)
    else:
        _report(whole)
    for path in whole.written(step):
        if not path.is_file() or not path.stat().st_size or before.get(path) == fingerprint.signature(path):
            raise Failure(f"{step.title}: ended without writing {to_root(path)}")
    now = Whole(whole.config, whole.outputs)
    now.memory = whole.memory  # films are not read again
    if now.depends(step) != depends:
        raise Failure(f"{step.title}: its settings, code or films changed while it ran; run ./run_all.sh again")
    now.keep(step, depends, seconds or time.time() - began, time.strftime("%Y-%m-%dT%H:%M:%S%z"))


def _report(whole: Whole) -> None:
    """The page once all parts belong together; beside it where they come from, and a PDF where it can be printed."""
    from osteotl.workflow.provenance import provenance

    plan = whole.plan(name for name in whole.steps if name != "report")
    if faults := [f"{name}: {reason}" for name, reasons in plan.items() for reason in reasons]:
        raise Failure("report: parts of the study do not belong together", *faults, "run ./run_all.sh again")
    write_json(whole.outputs / "provenance.json", provenance(whole))
    # by name, as a notebook is: the workflow starts steps and imports none of what they compute
    report = importlib.import_module("osteotl.reporting.page").build_report(whole.study, whole.outputs, ROOT / "data")
    importlib.import_module("osteotl.reporting.printing").write_pdf(report)


def main(name: str, config: str, outputs: str) -> int:
    """Run one step as the engine does; returns the exit code."""
    die_with(int(os.environ.get("OSTEOTL_ENGINE", os.getppid())))
    out = from_root(outputs)
    hermetic(out)
    (out / "logs").mkdir(parents=True, exist_ok=True)
    log = os.open(out / "logs" / f"{name}.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)
    state = out / ENGINE / "states" / f"{name}.json"  # there as long as the step runs, and after it has failed
    lock = (out / ENGINE / "steps.lock").open("a")  # held by every step and its kernel: an orphan keeps others out
    fcntl.flock(lock, fcntl.LOCK_SH)
    write_json(state, {"pid": os.getpid(), "host": socket.gethostname()})
    try:
        run_step(name, Whole(from_root(config), out), lock.fileno())
        state.unlink(missing_ok=True)
        return 0
    except Failure as failure:
        lines, code = failure.lines, failure.code
    except Exception as error:
        traceback.print_exc()
        lines, code = [f"{name}: {type(error).__name__}: {error}"], 2 if type(error).__name__ in INPUT_FAULTS else 1
        lines = [str(fault) for fault in getattr(error, "faults", [])] or lines
    print(json.dumps(lines, ensure_ascii=False), file=sys.stderr, flush=True)
    write_json(state, {"code": code, "lines": lines})
    return code


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
