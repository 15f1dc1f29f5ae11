"""Start the engine on what must run, watch it, and say what became of it."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

from osteotl.files import remove, visible, write_json
from osteotl.workflow import fingerprint
from osteotl.workflow.folder import Refused
from osteotl.workflow.run_notebook import die_with, hermetic
from osteotl.workflow.states import StudyState, read_json
from osteotl.workflow.steps import ENGINE, ROOT, to_root

# Snakemake on this machine: it would import whatever plugin is installed, and SLURM's asks for a controller, up to 10 s
LOCAL = ["-c", "import pkgutil; pkgutil.iter_modules = list; from snakemake.cli import main; main()"]


def run(state: StudyState, profile: Path | None, asked: dict[str, Any]) -> int:
    """Run what must run of a study; returns the exit code.

    Parameters
    ----------
    state : StudyState
        The study; its outputs folder is held.
    profile : Path or None
        Folder of the engine's settings for a cluster.
    asked : dict
        As for `states.unchanged`.
    """
    report = to_root(state.outputs / "report.html")
    if plan := state.plan():
        state.remember()
        if code := follow(_start(state, list(plan), profile), Watch(state, list(plan))):
            return code
        state = StudyState(state.config, state.outputs)
        if left := state.plan():
            say(f"Settings, code or films changed while the study ran ({', '.join(left)}): run ./run_all.sh again.")
            return 1
    _name_strays(state)
    state.remember(asked)
    say(f"Done: {report}" if plan else f"Nothing has changed: {report} is up to date.")
    return 0


def run_some(state: StudyState, profile: Path | None, notebooks: tuple[str, ...]) -> int:
    """Run what must run of some notebooks' steps, and nothing after them; returns the exit code."""
    if plan := [name for name in state.plan() if state.steps[name].notebook in notebooks]:
        state.remember()
        return follow(_start(state, plan, profile), Watch(state, plan))
    return 0


def _name_strays(state: StudyState) -> None:
    """What lies among the outputs and belongs to no step is the person's, or is left over: it must not mislead."""
    if strays := state.strays():
        shown = ", ".join(strays[:3]) + (f" and {len(strays) - 3} more" if len(strays) > 3 else "")
        say(f"No step of this study makes {shown} in {to_root(state.outputs)}: left over from other settings, or "
            "yours. ./run_all.sh clean removes what is left over.")  # fmt: skip


# --- the engine -------------------------------------------------------------------------------------------------------


def _start(state: StudyState, plan: list[str], profile: Path | None) -> subprocess.Popen[bytes]:
    own, logs, here = state.outputs / ENGINE, state.outputs / "logs", os.getpid()
    # marks of the Snakefile, words of the steps and what they print: those of this run alone
    for place in (own / "done", own / "ended", *(logs / f"{name}.log" for name in plan)):
        remove(place)
    logs.mkdir(exist_ok=True)
    hermetic(state.outputs)
    needs = {name: [need for need in state.steps[name].needs if need in plan] for name in plan}
    places = {"study": to_root(state.config), "outputs": to_root(state.outputs), "python": sys.executable}
    config = write_json(own / "config.json", {**places, "workers": _cores(), "needs": needs})
    if profile:
        command = ["-m", "snakemake", "--profile", str(profile), *_cluster(profile, state.outputs)]
    else:
        command = [*LOCAL, "--cores", str(_cores()), "--resources", f"gpu={_at_once()}"]
    command = [sys.executable, *command, "--snakefile", str(ROOT / "Snakefile"), "--directory", str(own),
               "--configfile", str(config), "--nolock", "--keep-going"]  # fmt: skip
    with (logs / "engine.log").open("wb") as log:
        return subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=ROOT,
                                start_new_session=True, preexec_fn=lambda: die_with(here))  # fmt: skip


def _cores() -> int:
    """Processes side by side: one a core, and 2 GB of memory each."""
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2**31
    return int(os.environ.get("OSTEOTL_CORES", 0)) or max(1, min(len(os.sched_getaffinity(0)), free))


def _at_once() -> int:
    """Replicates that train side by side: a few on each GPU, or one a core."""
    cards = len([name for name in os.listdir("/dev") if name.startswith("nvidia") and name[6:].isdigit()])
    return cards * int(os.environ.get("OSTEOTL_REPLICATES_PER_GPU", "2")) or _cores()


def _cluster(profile: Path, outputs: Path) -> list[str]:
    """On SLURM, name the jobs after the outputs folder, and refuse while any of an earlier run is left."""
    if "slurm" not in "".join(file.read_text(encoding="utf-8") for file in profile.glob("*.yaml")):
        return []
    prefix = f"osteotl-{fingerprint.digest(str(outputs))[:8]}"
    if not shutil.which("squeue"):
        raise Refused("squeue was not found: is this a SLURM login node? Without SLURM leave --profile out")
    shown = subprocess.run(["squeue", "--noheader", "--format=%A %j"], capture_output=True, text=True, check=False)
    if left := [line.split()[0] for line in shown.stdout.splitlines() if prefix in line]:
        raise Refused(f"jobs of an earlier run are still queued: wait for them, or: scancel {' '.join(left)}", 3)
    return ["--slurm-jobname-prefix", prefix]


def _end(engine: subprocess.Popen[bytes]) -> None:
    """End the engine and, by PR_SET_PDEATHSIG, every step and kernel; jobs on a cluster are cancelled first."""
    with contextlib.suppress(ProcessLookupError):
        if "--profile" in engine.args:  # type: ignore[operator]
            engine.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                engine.wait(60)
        os.killpg(engine.pid, signal.SIGKILL)
    engine.wait()


# --- what a person sees -----------------------------------------------------------------------------------------------


def _steps(number: int) -> str:
    return f"{number} step{'s' * (number != 1)}"


def say(*lines: str) -> None:
    """To the terminal, as long as there is one."""
    try:
        print(*map(visible, lines), sep="\n", flush=True)
    except OSError:  # the terminal is gone (a closed laptop); the study goes on
        sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115


def follow(engine: subprocess.Popen[bytes], watch: Watch) -> int:
    """Tell what happens until the engine ends; returns the exit code.

    Ctrl-C and SIGTERM end a run (see `command_line.main`); SIGHUP does not: a closed laptop must not cost a night.
    """
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        while engine.poll() is None:
            time.sleep(0.2)
            watch.look()
    except SystemExit as stopped:
        _end(engine)
        name = signal.Signals(int(str(stopped.code)) - 128).name
        say(f"{name}: stopped. Finished steps are kept; ./run_all.sh goes on from here.")
        raise
    watch.look()
    if failed := [code for code in watch.codes if code]:
        say(f"{len(failed)} of {_steps(len(watch.plan))} failed; what did not depend on them is done and kept.")
        return 2 if set(failed) == {2} else 1
    if engine.returncode:
        log, free = watch.logs / "engine.log", shutil.disk_usage(watch.logs).free / 1e6
        say(f"The engine ended without a failed step (exit {engine.returncode}, {free:,.0f} MB free on this disk).",
            *log.read_text(errors="replace").splitlines()[-8:], f"More in {to_root(log)}")  # fmt: skip
        return 1
    return 0


class Watch:
    """Tells which steps have ended and how far the others are."""

    def __init__(self, state: StudyState, plan: list[str]):
        self.state, self.plan, self.codes = state, plan, list[int]()
        self.logs, self.ahead = state.outputs / "logs", list(plan)
        self.records = {name: state.record(step) for name, step in state.steps.items()}
        self.began = self.shown = time.monotonic()
        say(f"{len(plan)} of {_steps(len(state.steps))} to run; progress here, details in {to_root(self.logs)}")

    def look(self) -> None:
        """Tell what has ended since the last look; twice a minute also where the others are."""
        for path in sorted((self.state.outputs / ENGINE / "ended").glob("*")):
            if (name := path.name) in self.ahead:
                self.ahead.remove(name)
                ended = read_json(path) or {}
                self.codes.append(ended["code"])
                self.records[name] = self.state.record(self.state.steps[name])
                say(f"  [{len(self.codes)}/{len(self.plan)}] {ended['lines'][0]}", *ended["lines"][1:])
        if self.ahead and time.monotonic() - self.shown > 30:
            self.shown = time.monotonic()
            say(" | ".join([*self._running()[:2], self._left()]))

    def _running(self) -> list[str]:
        """Steps that have printed something since the start, and the last they said of the time left."""
        logs = {name: log for name in self.ahead if (log := self.logs / f"{name}.log").exists()}
        texts = {name: log.read_text(encoding="utf-8", errors="replace") for name, log in logs.items()}
        return [": ".join([name, *re.findall(r": (.*left.*)", text)[-1:]]) for name, text in texts.items()]

    def _left(self) -> str:
        """Time left for the whole study, once every kind of step has been seen."""
        took: dict[str, list[float]] = {}
        for name, record in self.records.items():
            if record:
                took.setdefault(self.state.steps[name].notebook, []).append(record["seconds"])
        kinds = [self.state.steps[name].notebook for name in self.ahead]
        if not set(kinds) <= took.keys():
            return f"{timedelta(seconds=round(time.monotonic() - self.began))} so far"
        left = sum(statistics.fmean(took[kind]) / (_cores() if kind == "02_finetune" else 1) for kind in kinds)
        return f"about {timedelta(seconds=round(max(left, 1)))} left"
