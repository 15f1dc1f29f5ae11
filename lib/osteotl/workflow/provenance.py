"""Where a study's results come from: versions, hashes, seeds, threads, timings."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import osteotl
from osteotl.files import sha256
from osteotl.study import Study

ROOT = Path(__file__).resolve().parents[3]
ENGINE = ("papermill", "snakemake")  # what runs the steps; what a step imports stands in its record


def provenance(study: Study, config: Path, records: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """What a reader needs to trace a result; no path, user or machine name.

    Parameters
    ----------
    study : Study
        The configuration.
    config : Path
        The file that it was read from.
    records : mapping
        Of every step that was done, by its name: hashes of `code`, `data` and what it `writes`, versions of `packages`,
        `seconds`, `finished`.

    Returns
    -------
    dict
        Ready for provenance.json.
    """

    def hashes(kind: str) -> dict[str, str]:
        return {name: content for record in records.values() for name, content in record[kind].items()}

    return {
        "schema": "osteotl.provenance/1",
        "osteotl": osteotl.__version__,
        "commit": _commit(),
        "study_file": {"name": config.name, "sha256": sha256(config)},
        "requirements_lock_sha256": sha256(ROOT / "requirements.lock"),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads_per_process": int(os.environ.get("OMP_NUM_THREADS", "1")),
        "packages": {name: metadata.version(name) for name in ENGINE} | dict(sorted(hashes("packages").items())),
        "seeds": list(study.seeds),
        "fractions": list(study.fractions),
        "code": {name: _digest(record["code"]) for name, record in records.items()},
        "inputs": {Path(path).name: content for path, content in hashes("data").items()},
        "outputs": hashes("writes"),
        "steps": {name: {"seconds": r["seconds"], "finished": r["finished"]} for name, r in records.items()},
    }


def _digest(code: Mapping[str, str]) -> str:
    """One hash for all modules that a step depends on."""
    return hashlib.sha256(json.dumps(code, sort_keys=True).encode()).hexdigest()


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
