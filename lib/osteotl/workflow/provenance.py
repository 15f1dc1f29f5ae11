"""Where a study's results come from: versions, hashes, seeds, threads, timings."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

import osteotl
from osteotl.files import sha256
from osteotl.workflow.states import Whole
from osteotl.workflow.steps import ROOT

PACKAGES = ("numpy", "scipy", "pandas", "torch", "torchvision", "ultralytics-opencv-headless", "safetensors", "pillow",
            "pydicom", "statsmodels", "scikit-learn", "matplotlib", "papermill", "snakemake")  # fmt: skip


def provenance(whole: Whole) -> dict[str, Any]:
    """What a reader needs to trace a result; no path, user or machine name.

    Parameters
    ----------
    whole : Whole
        A study whose steps have all been done.

    Returns
    -------
    dict
        Ready for provenance.json.
    """
    records = {name: record for name in whole.steps if (record := whole.record(name)) and name != "report"}
    return {
        "schema": "osteotl.provenance/1",
        "osteotl": osteotl.__version__,
        "commit": _commit(),
        "study_file": {"name": whole.config.name, "sha256": sha256(whole.config)},
        "requirements_lock_sha256": sha256(ROOT / "requirements.lock"),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads_per_process": int(os.environ.get("OMP_NUM_THREADS", "1")),
        "packages": {name: metadata.version(name) for name in PACKAGES},
        "seeds": list(whole.study.seeds),
        "fractions": list(whole.study.fractions),
        "code": {
            unit: content for record in records.values() for unit, content in record["depends"]["packages"].items()
        },
        "inputs": {
            Path(path).name: content for r in records.values() for path, content in r["depends"]["data"].items()
        },
        "outputs": {file: entry[0] for record in records.values() for file, entry in record["outputs"].items()},
        "steps": {name: {"seconds": r["seconds"], "finished": r["finished"]} for name, r in records.items()},
    }


def _commit() -> str | None:
    """The commit of the project, marked where files were changed since; None outside git."""
    git = ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        shown = subprocess.run(git, capture_output=True, text=True, check=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return None
    return shown.stdout.strip() or None


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
