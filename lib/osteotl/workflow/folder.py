"""One outputs folder, one run: whose folder it is, who works in it now, and what in it can be made again."""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

from osteotl.files import remove, write_json
from osteotl.workflow import fingerprint
from osteotl.workflow.states import StudyState, read_json
from osteotl.workflow.steps import ENGINE, ROOT, to_root

# where steps leave what a study may later no longer name
MADE = (
    "cohorts/*", "finetune/**/*", "pretrain/**/*", "other_modality/**/*", "tables/*", "figures/*", "occlusion/*",
    "documents/**/*", "predictions_extra.csv", "film_numbers.csv", "notebooks/0*.ipynb",
    f"{ENGINE}/steps/*",
)  # fmt: skip
OWNER = f"{ENGINE}/owner.json"  # whose folder it is: the study file, and the scores given on the command line
PATIENCE = 3.0  # seconds that the steps of a run just killed may take to end


class Refused(Exception):
    """Nothing was started; the message says why, `code` is the exit code."""

    def __init__(self, message: str, code: int = 2):
        super().__init__(message)
        self.code = code


def check_folder(outputs: Path, owner: dict[str, str], named: bool = True) -> None:
    """Refuse to work in a folder that holds something of the user's, or another study: it is ours, or new.

    Parameters
    ----------
    outputs : Path
        The folder; it is made where it is not there.
    owner : dict
        What the outputs will be of: `config` and, where scores were given, `predictions`.
    named : bool
        Whether the person named the folder; only a folder that follows from a file's name can be met by chance.
    """
    before = read_json(outputs / OWNER)
    if before and before != owner and not named:
        whose = before.get("predictions") or before["config"]
        raise Refused(f"{to_root(outputs)} holds the outputs of {whose}, which would be overwritten; name another "
                      f"folder: --outputs {to_root(outputs)}_2 (or this one, if it is meant)")  # fmt: skip
    if outputs.is_dir() and not (outputs / ENGINE).is_dir():
        others = sorted(entry.name for entry in outputs.iterdir() if not (entry / ENGINE).is_dir())
        if others:
            raise Refused(f"{outputs} is no outputs folder: it holds {', '.join(others[:3])}; name an empty one")
    try:
        (outputs / ENGINE).mkdir(parents=True, exist_ok=True)
        (outputs / ENGINE / "lock").open("a").close()
        if before != owner:
            write_json(outputs / OWNER, owner)
    except OSError as error:
        raise Refused(f"{outputs} cannot be written ({error.strerror}); name another folder: --outputs DIR") from error


@contextlib.contextmanager
def held(outputs: Path) -> Iterator[None]:
    """Hold the outputs folder, or say who does.

    A run first locks it for itself alone, then shares the lock with its own steps and their kernels. So whatever of an
    earlier run still lives keeps others out, and the lock of a dead process holds nobody.
    """
    until = time.monotonic() + PATIENCE
    with (outputs / ENGINE / "lock").open("a+") as lock:
        for kind in (fcntl.LOCK_EX, fcntl.LOCK_SH):
            while not _locked(lock.fileno(), kind):
                if time.monotonic() > until:
                    lock.seek(0)
                    who = f"another run, or a step left over from it, holds {outputs}: {lock.read()}"
                    raise Refused(f"{who}. Wait for it, or stop that process", 3)
                time.sleep(0.1)
        lock.truncate(0)
        user = os.environ.get("USER", os.getuid())
        lock.write(f"pid {os.getpid()} of {user} on {socket.gethostname()}, since {time.strftime('%F %T')}")
        lock.flush()
        yield


def _locked(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        return True
    except BlockingIOError:
        return False


# --- cleaning up ------------------------------------------------------------------------------------------------------


def clean(state: StudyState) -> int:
    """Remove what a run can make again, and say how much disk that was; nothing of the user's is touched."""
    outputs, freed = state.outputs, 0
    for what, paths in _leftovers(state).items():
        size = sum(map(_size, paths))
        for path in paths:
            remove(path)
        print(f"  {what:<44} {_megabytes(size)}")
        freed += size
    print(f"freed {_megabytes(freed)}; {outputs} now uses {_megabytes(_size(outputs))}")
    return 0


def _leftovers(state: StudyState) -> dict[str, list[Path]]:
    outputs, steps = state.outputs, state.steps.values()
    named = {outputs / str(file).partition("?")[0] for s in steps for file in (*s.writes, *s.may_write, s.executed)}
    named |= {state.record_path(step) for step in steps}
    found = [path for pattern in MADE for path in sorted(outputs.glob(pattern)) if not path.is_dir()]
    # a failed notebook waits for a success; a cache may serve other studies, whose outputs lie in the project's folder
    orphans = [p for p in found if not named & {p, *p.parents} and not p.name.endswith(".failed.ipynb")]
    tables = {table for root in (outputs, ROOT / "outputs") for table in root.rglob("cohorts/*.csv")}
    used = {film for table in tables for film in fingerprint.values(table, "film")}
    films = sorted((ROOT / "data" / ".prepared").rglob("*.png"))
    return {
        "scratch of notebooks run by hand": [outputs / "scratch"],
        "logs": [outputs / "logs"],
        "caches of the engine": [outputs / ENGINE / name for name in (".snakemake", "cache", "done", "ended")],
        "half-written files": [path for path in outputs.rglob(".*.part") if path.is_file()],
        "results that no step of the study makes": orphans,
        "prepared films that no study here uses": [film for film in films if film.stem not in used],
    }


def _size(path: Path) -> int:
    """Bytes on disk of a file or of all below a folder; links count as nothing."""
    files = [path, *path.rglob("*")]
    return sum(file.stat().st_blocks * 512 for file in files if file.is_file() and not file.is_symlink())


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"
