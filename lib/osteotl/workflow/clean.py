"""Remove what a run can make again, and say how much disk that was; nothing of the user's is touched."""

from __future__ import annotations

import csv
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from osteotl.workflow.folder import held
from osteotl.workflow.states import Whole
from osteotl.workflow.steps import ENGINE, ROOT


def clean(config: Path, outputs: Path) -> int:
    """Clean the outputs folder of a study and the project's caches; returns the exit code."""
    if not (outputs / ENGINE).is_dir():
        print(f"{outputs} holds no study: nothing to clean there.")
        return 0
    with held(outputs):
        leftovers = _leftovers(Whole(config, outputs))
        freed = {what: sum(_remove(path) for path in paths) for what, paths in leftovers.items()}
    for what, size in freed.items():
        print(f"  {what:<44} {_megabytes(size)}")
    print(f"freed {_megabytes(sum(freed.values()))}; {outputs} now uses {_megabytes(_size(outputs))}")
    return 0


def _leftovers(whole: Whole) -> dict[str, list[Path]]:
    outputs = whole.outputs
    caches = [outputs / ENGINE / name for name in (".snakemake", "cache", "jupyter", "ipython", "matplotlib", "states")]
    return {
        "scratch of notebooks run by hand": [outputs / "scratch"],
        "logs": [outputs / "logs"],
        "caches of the engine": caches,
        "half-written files": [path for path in outputs.rglob(".*.part") if path.is_file()],
        "replicates that the study no longer names": list(_orphans(whole)),
        "prepared films that no study here uses": list(_unused_films(outputs)),
    }


def _orphans(whole: Whole) -> Iterator[Path]:
    """Results, notebooks and records of steps that are not in the study; a failed notebook waits for a success."""
    named = {whole.outputs / file for step in whole.steps.values() for file in step.writes}
    for place in ("finetune", "pretrain", "other_modality"):
        yield from (path for path in sorted((whole.outputs / place).rglob("*")) if path.is_file() and path not in named)
    for path in sorted((whole.outputs / "notebooks").glob("*.ipynb")):
        if path.stem not in whole.steps and not path.stem.endswith(".failed"):
            yield path
    yield from (p for p in sorted((whole.outputs / ENGINE / "steps").glob("*.json")) if p.stem not in whole.steps)


def _unused_films(outputs: Path) -> Iterator[Path]:
    """Films in the cache whose key stands in no cohort table below this outputs folder or the project's own."""
    used = set()
    for root in {outputs, ROOT / "outputs"}:
        for table in root.rglob("cohorts/*.csv"):
            with table.open(newline="", encoding="utf-8") as file:
                used |= {row.get("film") for row in csv.DictReader(file)}
    cache = ROOT / "data" / ".prepared"
    yield from (path for path in sorted(cache.rglob("*.png")) if path.stem not in used)


def _remove(path: Path) -> int:
    size = _size(path)
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    return size


def _size(path: Path) -> int:
    """Bytes on disk of a file or of all below a folder; links count as nothing."""
    if path.is_symlink() or not path.exists():
        return 0
    if path.is_file():
        return path.stat().st_blocks * 512
    return sum(_size(Path(entry.path)) for entry in os.scandir(path))


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"
