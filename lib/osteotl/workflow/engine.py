"""Start the engine on what must run, watch it, and say what became of it."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from osteotl.files import write_json
from osteotl.workflow import fingerprint
from osteotl.workflow.folder import Refused
from osteotl.workflow.run_notebook import die_with, hermetic
from osteotl.workflow.states import Whole, read_json, record_path
from osteotl.workflow.steps import ENGINE, ROOT, to_root


class Stopped(Exception):
    """A signal asked the run to end."""


def run(config: Path, outputs: Path, profile: Path | None, asked: list[str]) -> int:
    """Run what must run of a study; returns the exit code.

    Parameters
    ----------
    config, outputs : Path
        The study file and the outputs folder, which is held.
    profile : Path or None
        Folder of the engine's settings for a cluster.
    asked : list of str
        As for `states.unchanged`.
    """
    whole, own = Whole(config, outputs), outputs / ENGINE
    plan = whole.plan()
    if plan:
        for folder in ("states", "marks"):
            shutil.rmtree(own / folder, ignore_errors=True)
            (own / folder).mkdir()
        for name in whole.steps.keys() - plan.keys():
            (own / "marks" / name).touch()
            os.utime(own / "marks" / name, (1, 1))  # older than whatever runs now, whatever the clock says
        watch = Watch(whole, plan)
        code = watch.follow(_start(whole, profile))
        if code:
            return watch.failed(code)
        whole = Whole(whole.config, whole.outputs)
        if left := whole.plan():
            print(f"Settings, code or films changed while the study ran ({', '.join(left)}): run ./run_all.sh again.")
            return 1
    whole.remember(asked)
    report = to_root(whole.outputs / "report.html")
    print(f"Done: {report}" if plan else f"Nothing has changed: {report} is up to date.")
    return 0


# --- the engine -------------------------------------------------------------------------------------------------------


def _start(whole: Whole, profile: Path | None) -> subprocess.Popen[bytes]:
    own, cores, here = whole.outputs / ENGINE, _cores(), os.getpid()
    hermetic(whole.outputs)
    (whole.outputs / "logs").mkdir(exist_ok=True)
    given = {
        "study": to_root(whole.config),
        "outputs": to_root(whole.outputs),
        "python": sys.executable,
        "workers": cores,
    }
    write_json(own / "config.json", given)
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--directory", str(own),
               "--configfile", str(own / "config.json"), "--rerun-triggers", "mtime", "--rerun-incomplete", "--nolock",
               "--keep-going"]  # fmt: skip
    if profile:
        command += ["--profile", str(profile), *_cluster(profile, whole.outputs)]
    else:
        command += ["--cores", str(cores), "--resources", f"gpu={_at_once(cores)}"]
    with (whole.outputs / "logs" / "engine.log").open("wb") as log:
        return subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=ROOT,
                                start_new_session=True, preexec_fn=lambda: die_with(here))  # fmt: skip


def _cores() -> int:
    """Processes side by side: one a core, and 2 GB of memory each."""
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2**31
    return int(os.environ.get("OSTEOTL_CORES", 0)) or max(1, min(len(os.sched_getaffinity(0)), free))


def _at_once(cores: int) -> int:
    """Replicates that train side by side: a few on each GPU, or one a core."""
    cards = len([name for name in os.listdir("/dev") if name.startswith("nvidia") and name[6:].isdigit()])
    return cards * int(os.environ.get("OSTEOTL_REPLICATES_PER_GPU", "2")) or cores


def _cluster(profile: Path, outputs: Path) -> list[str]:
    """On SLURM, name the jobs after the outputs folder, and refuse while any of an earlier run is left."""
    if "slurm" not in "".join(file.read_text(encoding="utf-8") for file in profile.glob("*.yaml")):
        return []
    prefix = f"osteotl-{fingerprint.digest(str(outputs))[:8]}"
    shown = subprocess.run(["squeue", "--noheader", "--format=%A %j"], capture_output=True, text=True, check=False)
    if left := [line.split()[0] for line in shown.stdout.splitlines() if prefix in line]:
        raise Refused(f"jobs of an earlier run are still queued: wait for them, or: scancel {' '.join(left)}", 3)
    return ["--slurm-jobname-prefix", prefix]


class Watch:
    """What a person sees while the study runs."""

    def __init__(self, whole: Whole, plan: dict[str, list[str]]):
        self.whole, self.plan, self.told = whole, plan, set[str]()
        self.own, self.logs = whole.outputs / ENGINE, whole.outputs / "logs"
        self.began = self.shown = time.monotonic()
        self.took: dict[str, list[float]] = {}
        for step in whole.steps.values():
            if record := whole.record(step.name):
                self.took.setdefault(step.notebook, []).append(record["seconds"])

    def say(self, *lines: str) -> None:
        """To the terminal, as long as there is one."""
        try:
            print(*lines, sep="\n", flush=True)
        except OSError:  # the terminal is gone (a closed laptop); the study goes on
            sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115

    def follow(self, engine: subprocess.Popen[bytes]) -> int:
        """Until the engine ends. Ctrl-C and SIGTERM end it; SIGHUP does not: a closed laptop must not cost a night."""

        def stop(number: int, frame: Any) -> None:
            raise Stopped(signal.Signals(number).name, 128 + number)

        before = {n: signal.signal(n, stop) for n in (signal.SIGINT, signal.SIGTERM)}
        before[signal.SIGHUP] = signal.signal(signal.SIGHUP, signal.SIG_IGN)
        total = len(self.whole.steps)
        self.say(f"{len(self.plan)} of {total} steps to run; progress here, details in {to_root(self.logs)}")
        try:
            while engine.poll() is None:
                time.sleep(0.2)
                self.look()
            self.look()
            return engine.returncode
        except Stopped as stopped:
            _end(engine)
            self.say(f"{stopped.args[0]}: stopped. Finished steps are kept; ./run_all.sh goes on from here.")
            return int(stopped.args[1])
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def look(self) -> None:
        """Tell what has ended since the last look; twice a minute also where the running steps are."""
        for path in sorted((self.own / "marks").glob("*")):  # the engine removes an empty folder
            if (name := path.name) in self.plan.keys() - self.told:
                self.told.add(name)
                step = self.whole.steps[name]
                seconds = (read_json(record_path(self.whole.outputs, name)) or {}).get("seconds", 0)
                self.took.setdefault(step.notebook, []).append(seconds)
                self.say(f"  [{len(self.told)}/{len(self.plan)}] {step.title}: {_clock(seconds)}")
        running = []
        for name, state in self.states().items():
            if "lines" not in state:
                running.append(self._said(name))
            elif name not in self.told:
                self.told.add(name)
                self.say("", *state["lines"], f"  everything it printed: {to_root(self.logs / name)}.log", "")
        if running and time.monotonic() - self.shown > 30:
            self.shown = time.monotonic()
            self.say(" | ".join([*running[:2], self._left()]))

    def states(self) -> dict[str, dict[str, Any]]:
        """Steps that run or have failed."""
        found = {file.stem: read_json(file) for file in sorted((self.own / "states").glob("*.json"))}
        return {name: state for name, state in found.items() if state}

    def _said(self, name: str) -> str:
        """A running step and the last it said of the time left."""
        lines = (self.logs / f"{name}.log").read_text(encoding="utf-8", errors="replace").split("\n")
        said = [line.split(": ", 1)[-1] for line in lines[-20:] if "left" in line]
        return ": ".join([self.whole.steps[name].title, *said[-1:]])

    def _left(self) -> str:
        """Time left for the whole study, once every kind of step has been seen."""
        kinds = [self.whole.steps[name].notebook for name in self.plan.keys() - self.told]
        if any(kind not in self.took for kind in kinds):
            return f"{_clock(time.monotonic() - self.began)} so far"
        left = sum(statistics.fmean(self.took[kind]) / (_cores() if kind == "02_finetune" else 1) for kind in kinds)
        return f"about {_clock(max(left, 1))} left"

    def failed(self, code: int) -> int:
        """Say how the run ended; the exit code of the whole."""
        if code > 128:
            return code
        codes = [state["code"] for state in self.states().values() if "code" in state]
        if codes:
            self.say(f"{len(codes)} of {len(self.plan)} steps failed; what did not depend on them is done and kept.")
            return 2 if all(code == 2 for code in codes) else 1
        free = shutil.disk_usage(self.whole.outputs).free / 1e6
        log = self.logs / "engine.log"
        self.say(f"The engine ended without a failed step (exit {code}, {free:,.0f} MB free on this disk).",
                 *log.read_text(errors="replace").splitlines()[-8:], f"More in {to_root(log)}")  # fmt: skip
        return 1


def _end(engine: subprocess.Popen[bytes]) -> None:
    """End the engine and, by PR_SET_PDEATHSIG, every step and kernel; jobs on a cluster are cancelled first."""
    with contextlib.suppress(ProcessLookupError):
        if "--profile" in engine.args:  # type: ignore[operator]
            engine.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                engine.wait(60)
        os.killpg(engine.pid, signal.SIGKILL)
    engine.wait()


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
