"""Start the engine on what must run, watch it, and say what became of it."""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import getpass
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, Any

from osteotl.workflow import fingerprint, quick
from osteotl.workflow.door import Refused, asked, check_folder, study_file
from osteotl.workflow.run_notebook import die_with, hermetic
from osteotl.workflow.states import Whole, write_json
from osteotl.workflow.steps import ENGINE, ROOT, to_root


class Stopped(Exception):
    """A signal asked the run to end."""


def run(chosen: argparse.Namespace) -> int:
    """Run a study; returns the exit code."""
    check_folder(chosen.outputs)
    with held(chosen.outputs):
        return _run(chosen, Whole(study_file(chosen), chosen.outputs))


def _run(chosen: argparse.Namespace, whole: Whole) -> int:
    own = whole.outputs / ENGINE
    (own / "unchanged.json").unlink(missing_ok=True)
    plan = whole.plan()
    if plan:
        for folder in ("failed", "running", "marks"):
            shutil.rmtree(own / folder, ignore_errors=True)
            (own / folder).mkdir()
        for name in whole.steps.keys() - plan.keys():
            (own / "marks" / name).touch()
            os.utime(own / "marks" / name, (1, 1))  # older than whatever runs now, whatever the clock says
        watch = Watch(whole, plan)
        code = watch.follow(_start(chosen, whole))
        if code:
            return watch.failed(code)
        whole = Whole(whole.config, whole.outputs)
        if left := whole.plan():
            print(f"Settings, code or films changed while the study ran ({', '.join(left)}): run ./run_all.sh again.")
            return 1
    whole.remember()
    _note(chosen, whole)
    report = to_root(whole.outputs / "report.html")
    print(f"Done: {report}" if plan else f"Nothing has changed: {report} is up to date.")
    return 0


def _note(chosen: argparse.Namespace, whole: Whole) -> None:
    paths = [path for step in whole.steps.values() for path in (*step.data, *whole.written(step))]
    paths += [whole.outputs / step.executed for step in whole.steps.values() if step.executed]
    options = [path for path in (whole.config, chosen.predictions) if path]
    quick.note(whole.outputs, chosen.config, asked(chosen), [*paths, *options])


# --- one run in a folder ----------------------------------------------------------------------------------------------


@contextlib.contextmanager
def held(outputs: Path) -> Any:
    """Hold the outputs folder, or say who does. The kernel lets go of the lock of a dead process."""
    path = outputs / ENGINE / "lock"
    with path.open("a+") as lock, (outputs / ENGINE / "steps.lock").open("a") as steps:
        if not _locked(lock, 0):
            raise Refused(_holder(path, outputs), 3)
        if not _locked(steps, 5):
            pids = [_json(file).get("pid") for file in (outputs / ENGINE / "running").glob("*.json")]
            raise Refused(f"a step left over from a killed run still works in {outputs} (pid {pids})", 3)
        fcntl.flock(steps, fcntl.LOCK_UN)
        lock.truncate(0)
        holder = {"pid": os.getpid(), "host": socket.gethostname(), "user": _user(), "since": time.strftime("%F %T")}
        lock.write(json.dumps(holder))
        lock.flush()
        yield


def _locked(file: IO[str], patience: float) -> bool:
    until = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() > until:
                return False
            time.sleep(0.1)


def _holder(path: Path, outputs: Path) -> str:
    who = _json(path)
    return (
        f"another run holds {outputs}: pid {who.get('pid')} of {who.get('user')} on {who.get('host')}, since "
        f"{who.get('since')}. Wait for it, or stop it with: kill {who.get('pid')}"
    )


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # no such account, as in a container
        return str(os.getuid())


def _json(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


# --- the engine -------------------------------------------------------------------------------------------------------


def _start(chosen: argparse.Namespace, whole: Whole) -> subprocess.Popen[bytes]:
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
    if chosen.profile:
        command += ["--profile", str(chosen.profile), *_cluster(chosen.profile, whole.outputs)]
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
        self.own = whole.outputs / ENGINE
        self.began = self.shown = time.monotonic()
        self.live = sys.stdout.isatty()
        self.took: dict[str, list[float]] = {}
        for step in whole.steps.values():
            if record := whole.record(step.name):
                self.took.setdefault(step.notebook, []).append(record["seconds"])

    def say(self, text: str, end: str = "\n") -> None:
        """To the terminal, as long as there is one."""
        try:
            print(f"\r\x1b[K{text}" if self.live else text, end=end, flush=True)
        except OSError:  # the terminal is gone (a closed laptop); the study goes on
            sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115
            self.live = False

    def follow(self, engine: subprocess.Popen[bytes]) -> int:
        """Until the engine ends. Ctrl-C and SIGTERM end it; SIGHUP does not: a closed laptop must not cost a night."""

        def stop(number: int, frame: Any) -> None:
            raise Stopped(signal.Signals(number).name, 128 + number)

        before = {n: signal.signal(n, stop) for n in (signal.SIGINT, signal.SIGTERM)}
        before[signal.SIGHUP] = signal.signal(signal.SIGHUP, signal.SIG_IGN)
        self.say(f"{len(self.plan)} of {len(self.whole.steps)} steps to run; progress here, details in "
                 f"{to_root(self.whole.outputs / 'logs')}")  # fmt: skip
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
        """Tell what has ended since the last look, and where the running steps are."""
        marks = {path.name for path in (self.own / "marks").glob("*")}
        for name in sorted(marks & self.plan.keys() - self.told):
            self.told.add(name)
            step, record = self.whole.steps[name], _json(self.own / "steps" / f"{name}.json")
            seconds = record.get("seconds", 0)
            self.took.setdefault(step.notebook, []).append(seconds)
            self.say(f"  [{len(self.told)}/{len(self.plan)}] {step.title}: {_clock(seconds)}")
        for file in sorted((self.own / "failed").glob("*.json")):
            if f"failed {file.stem}" not in self.told and (lines := _json(file).get("lines")):
                self.told.add(f"failed {file.stem}")
                self.say("\n".join(["", *lines, f"  everything it printed: {self._log(file.stem)}", ""]))
        if time.monotonic() - self.shown > (0.5 if self.live else 30):
            self.shown = time.monotonic()
            if running := sorted(file.stem for file in (self.own / "running").glob("*.json")):
                text = " | ".join(self._last(name) for name in running[:2]) + self._left()
                width = shutil.get_terminal_size().columns - 1
                self.say(text[:width] if self.live else text, end="" if self.live else "\n")

    def _log(self, name: str) -> str:
        return to_root(self.whole.outputs / "logs" / f"{name}.log")

    def _last(self, name: str) -> str:
        """What a running step last said."""
        title = self.whole.steps[name].title if name in self.whole.steps else name
        try:
            lines = (
                (self.whole.outputs / "logs" / f"{name}.log").read_text(encoding="utf-8", errors="replace").split("\n")
            )
        except OSError:
            lines = []
        said = [line for line in lines[-20:] if "left" in line]
        return f"{title}: {said[-1].split(': ', 1)[-1]}" if said else title

    def _left(self) -> str:
        """Time left for the whole study, once every kind of step has been seen."""
        kinds = [self.whole.steps[name].notebook for name in self.plan.keys() - self.told]
        if any(kind not in self.took for kind in kinds):
            return f" | {_clock(time.monotonic() - self.began)} so far"
        left = sum(statistics.fmean(self.took[kind]) / (_cores() if kind == "02_finetune" else 1) for kind in kinds)
        return f" | about {_clock(max(left, 1))} left"

    def failed(self, code: int) -> int:
        """Say how the run ended; the exit code of the whole."""
        if code > 128:
            return code
        codes = [_json(file).get("code", 1) for file in (self.own / "failed").glob("*.json")]
        if not codes:
            log = self.whole.outputs / "logs" / "engine.log"
            free = shutil.disk_usage(self.whole.outputs).free / 1e6
            self.say(f"The engine ended without a failed step (exit {code}, {free:,.0f} MB free on this disk).")
            self.say("\n".join(log.read_text(errors="replace").splitlines()[-8:]) + f"\nMore in {to_root(log)}")
            return 1
        self.say(f"{len(codes)} of {len(self.plan)} steps failed; what did not depend on them is done and kept.")
        return 2 if all(code == 2 for code in codes) else 1


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
