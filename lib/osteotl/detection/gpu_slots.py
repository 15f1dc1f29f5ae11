"""A GPU of its own for every replicate that trains beside others: the emptiest one, up to what its memory holds.

    python -m osteotl.detection.gpu_slots STUDY COMMAND ...

waits for a free place on one of this machine's GPUs, lets the command see that GPU alone (CUDA_VISIBLE_DEVICES) and
becomes the command. A place is a lock on a file that the command holds as long as it lives, so a killed run leaves none
taken; the files lie in the temporary folder, so that two studies on one machine share its GPUs. Without a GPU, or where
study.yaml names a device, the command runs as it is. On a cluster the scheduler has already chosen: only the GPUs that
it shows count.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from osteotl.detection import hardware, hermetic
from osteotl.study import Detector, load_study

POLL = 2.0  # seconds between two looks for a free place


def emptiest(taken: Mapping[str, int], places: Mapping[str, int]) -> str | None:
    """The GPU for the next replicate.

    Parameters
    ----------
    taken, places : mapping of GPU to count
        Replicates on it now, and how many it holds.

    Returns
    -------
    str or None
        The GPU with the fewest replicates (of equals the first listed) that has a place left; None: all are full.
    """
    free = [gpu for gpu, most in places.items() if taken.get(gpu, 0) < most]
    return min(free, key=lambda gpu: taken.get(gpu, 0), default=None)


def places_for(detector: Detector, gpus: list[hardware.Gpu], most: int | None = None) -> dict[str, int]:
    """How many replicates each GPU holds side by side.

    Parameters
    ----------
    detector : Detector
        Of the study: its size, image size, batch and precision decide the memory.
    gpus : list of Gpu
    most : int, optional
        At most so many a GPU, whatever its memory.

    Returns
    -------
    dict
        GPU's uuid: places, at least 1, in the order given.
    """
    asked = detector.model, detector.image_size, detector.batch, detector.precision
    fit = {gpu.uuid: hardware.replicates_per_gpu(*asked, free=gpu.total) for gpu in gpus}
    return {gpu: max(1, min(count, most or count)) for gpu, count in fit.items()}


def take_place(folder: Path, places: Mapping[str, int]) -> tuple[str, IO[bytes]] | None:
    """Take a place on the emptiest GPU, or None where all are full.

    Parameters
    ----------
    folder : path
        Of the locks.
    places : mapping of GPU to count

    Returns
    -------
    gpu : str
    held : file
        The place is taken as long as this, or a copy that a child inherited, is open.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "all.lock").open("ab") as one_at_a_time:
        fcntl.flock(one_at_a_time, fcntl.LOCK_EX)
        free = {gpu: _free_places(folder, gpu, count) for gpu, count in places.items()}
        chosen = emptiest({gpu: places[gpu] - len(files) for gpu, files in free.items()}, places)
        held = free[chosen][0] if chosen else None
        for file in (file for files in free.values() for file in files if file is not held):
            file.close()
    return None if chosen is None or held is None else (chosen, held)


def _free_places(folder: Path, gpu: str, count: int) -> list[IO[bytes]]:
    """The places of a GPU that nobody holds, locked."""
    found: list[IO[bytes]] = []
    for place in range(count):
        file = (folder / f"{gpu}.{place}.lock").open("ab")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            found.append(file)
        except BlockingIOError:
            file.close()
    return found


def main(study: str, command: list[str]) -> None:
    """Become the command, on a GPU of its own where there is one."""
    detector, found = load_study(study).detector, hardware.gpus()
    if detector.device in ("auto", "cuda") and found:
        most = int(os.environ.get("OSTEOTL_REPLICATES_PER_GPU", "2"))
        folder = Path(tempfile.gettempdir()) / f"osteotl-gpus-{os.getuid()}"
        engine = int(os.environ.get("OSTEOTL_ENGINE", os.getppid()))
        while (place := take_place(folder, places_for(detector, found, most))) is None:
            if os.getppid() != engine:
                sys.exit("the engine that started this step has died")
            time.sleep(POLL)
        gpu, held = place
        os.set_inheritable(held.fileno(), True)
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu
    shutil.rmtree(hermetic.prepare(), ignore_errors=True)  # nothing is tidied at exit by whoever becomes another
    os.execvp(command[0], command)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
