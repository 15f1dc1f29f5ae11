"""Scores made elsewhere, from file to report (`./run_all.sh bench own_scores`): 743 films x 2 arms, and a million rows.

The whole door is timed (04, 05 and the report, each in its own process, B = 10,000) with the compiled code cached.
`peak_mb` is the largest resident memory of any one process of the run.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).parent))

from _measure import Row, in_own_process, row, save

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "examples" / "scores.csv"
MILLION = 1_000_000


def write_scores(path: Path, rows: int, validation: float = 0.1) -> Path:
    """A long table of two simulated detectors, `rows` / 2 films, one film in five malignant, scores of 6 decimals."""
    rng, films = np.random.default_rng(5), rows // 2
    label = (rng.random(films) < 0.2).astype(int)
    shared, cohort = rng.normal(size=films), np.where(rng.random(films) < validation, "validation", "external")
    names = [f"film{number:07d}" for number in range(films)]
    parts = []
    for number, arm in enumerate(("scratch", "transfer")):
        logit = label * (2.2 + 0.1 * number) + 0.8 * shared + 0.6 * rng.normal(size=films) - 2
        score = (1 / (1 + np.exp(-logit))).round(6)
        parts.append(pd.DataFrame({"image_id": names, "cohort": cohort, "label": label, "arm": arm, "score": score}))
    pd.concat(parts).to_csv(path, index=False)
    return path


def run_door(scores: str) -> tuple[float, float, float]:
    """Wall seconds, processor seconds and largest memory in MB of a whole run; called in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "osteotl.workflow", "--predictions", scores, "--outputs", f"{folder}/outputs"]
        start = time.perf_counter()
        subprocess.run(
            command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL, env={**os.environ, "OMP_NUM_THREADS": "1"}
        )
        wall = time.perf_counter() - start
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def measured(name: str, scores: Path, films: int) -> Row:
    """One row of the results."""
    (wall, processor, peak), _ = in_own_process(run_door, str(scores))
    return row(name, wall, n=films, peak_mb=peak, note=f"04, 05 and report; {processor:.0f} s of processor time")


def main() -> list[Row]:
    """Measure both sizes and save the rows."""
    in_own_process(run_door, str(EXAMPLE))
    rows = [measured("own_scores_743", EXAMPLE, 743)]
    with tempfile.TemporaryDirectory() as folder:
        million = write_scores(Path(folder) / "scores.csv", MILLION)
        rows.append(measured("own_scores_1m", million, MILLION // 2))
    return save("own_scores", rows)


if __name__ == "__main__":
    main()
