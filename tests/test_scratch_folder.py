"""Temporary folders: of one process, and swept when that process was killed."""

import os
import signal
import subprocess
import sys
import time

from osteotl import files

MAKE = "import sys, time; from osteotl.files import scratch_folder; print(scratch_folder(sys.argv[1]), flush=True); {}"


def made(place, then):
    """A process that has made a folder, and the folder."""
    process = subprocess.Popen([sys.executable, "-c", MAKE.format(then), place], stdout=subprocess.PIPE, text=True)
    return process, process.stdout.readline().strip()


def old(folder):
    """Make a folder's lock look older than `YOUNG`."""
    past = time.time() - 2 * files.YOUNG
    os.utime(os.path.join(folder, "lock"), (past, past))


def test_a_folder_of_a_killed_process_is_swept_and_no_other(tmp_path):
    process, dead = made(tmp_path, "time.sleep(600)")
    process.send_signal(signal.SIGKILL)
    process.wait()
    alive, living = made(tmp_path, "time.sleep(600)")
    ended, young = made(tmp_path, "")
    ended.wait()
    mine = files.scratch_folder(tmp_path)
    others = [tmp_path / "osteotl-gpus-0", tmp_path / "other-abc", tmp_path / "osteotl-link"]
    for other in others[:2]:
        other.mkdir()
        (other / "kept").touch()
    others[2].symlink_to(tmp_path / "other-abc")
    try:
        for folder in (dead, living, mine):
            old(folder)
        kept = files.scratch_folder(tmp_path)
        assert not os.path.exists(dead)
        # alive; ended but just made, as if it had no lock yet; of this process; without a lock; of another name
        assert all(map(os.path.exists, [living, young, mine, kept, *others]))
    finally:
        alive.kill()
        alive.wait()
    old(young)
    files.scratch_folder(tmp_path)
    assert not os.path.exists(living)
    assert not os.path.exists(young)


def test_a_folder_can_be_removed_while_its_lock_is_held(tmp_path):
    folder = files.scratch_folder(tmp_path)
    files.remove(folder)
    assert not folder.exists()
    assert files.scratch_folder(tmp_path).is_dir()
