"""One outputs folder, one run: whose folder it is, and who works in it now."""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from osteotl.workflow.steps import ENGINE


class Refused(Exception):
    """Nothing was started; the message says why, `code` is the exit code."""

    def __init__(self, message: str, code: int = 2):
        super().__init__(message)
        self.code = code


def check_folder(outputs: Path) -> None:
    """Refuse to work in a folder that holds something of the user's: it is ours, or new, or has only ours in it."""
    if outputs.exists() and not outputs.is_dir():
        raise Refused(f"{outputs} is a file; name a folder with --outputs DIR")
    if outputs.is_dir() and not (outputs / ENGINE).is_dir():
        others = sorted(entry.name for entry in outputs.iterdir() if not (entry / ENGINE).is_dir())
        if others:
            raise Refused(f"{outputs} is no outputs folder: it holds {', '.join(others[:3])}; name an empty one")
    try:
        (outputs / ENGINE).mkdir(parents=True, exist_ok=True)
        (outputs / ENGINE / "lock").open("a").close()
    except OSError as error:
        raise Refused(f"{outputs} cannot be written ({error.strerror}); name another folder: --outputs DIR") from error


@contextlib.contextmanager
def held(outputs: Path) -> Iterator[None]:
    """Hold the outputs folder, or say who does. The kernel lets go of the locks of a dead process."""
    with (outputs / ENGINE / "lock").open("a+") as lock, (outputs / ENGINE / "steps.lock").open("a") as steps:
        if not _locked(lock):
            lock.seek(0)
            raise Refused(f"another run holds {outputs}: {lock.read()}. Wait for it, or stop that process", 3)
        if not _locked(steps, patience=5):
            raise Refused(f"a step left over from a killed run still works in {outputs}: wait, or end it", 3)
        fcntl.flock(steps, fcntl.LOCK_UN)
        lock.truncate(0)
        user = os.environ.get("USER", os.getuid())
        lock.write(f"pid {os.getpid()} of {user} on {socket.gethostname()}, since {time.strftime('%F %T')}")
        lock.flush()
        yield


def _locked(file: IO[str], patience: float = 0) -> bool:
    until = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() >= until:
                return False
            time.sleep(0.1)
