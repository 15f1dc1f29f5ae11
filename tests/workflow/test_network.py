"""A study runs without any network: in a namespace whose loopback is down, kernels are reached all the same."""

import os
import subprocess
import time
from pathlib import Path

from osteotl.files import remove


def test_a_run_needs_no_loopback(project):
    (project.outputs / "statistics.csv").unlink()
    lone = ["unshare", "--net"] if os.getuid() == 0 else ["unshare", "--net", "--map-root-user"]
    began = time.monotonic()
    done = subprocess.run([*lone, str(project.root / "run_all.sh")], env=project.environment(), cwd=project.root,
                          capture_output=True, text=True, timeout=250, check=False)  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert project.ran() == ["04_statistics"]
    assert time.monotonic() - began < 200  # papermill gives a kernel that cannot be reached 300 s


def test_sockets_are_in_a_folder_of_this_user_alone_and_go_with_the_run(tmp_path, monkeypatch):
    from osteotl.workflow import run_notebook

    folder = run_notebook._sockets()
    assert os.stat(folder).st_mode & 0o077 == 0
    assert len(f"{folder}/kernel-5") < 100
    remove(Path(folder))
    assert not os.path.exists(folder)
