"""What the workflow itself costs, measured on a study whose science takes no time.

Rows: nothing changed; `-n`; overhead of engine and papermill per notebook; planning of 500 replicates.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

import yaml

from _measure import Row, row, save

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from small_study import Project


def seconds(project: Project, *words: str) -> float:
    """Wall time of ./run_all.sh WORDS, which must end well."""
    began = time.perf_counter()
    done = project.run(*words, timeout=600)
    if done.returncode:
        raise RuntimeError(done.stdout + done.stderr)
    return time.perf_counter() - began


def main() -> list[Row]:
    """Measure, save and hand back the rows."""
    with tempfile.TemporaryDirectory() as folder:
        project = Project(Path(folder) / "study")
        whole = seconds(project)
        unchanged = statistics.median(seconds(project) for _ in range(5))
        dry = statistics.median(seconds(project, "-n") for _ in range(5))
        project.edit("study.yaml", "bootstrap: 100", "bootstrap: 200")
        changed = seconds(project)
        content = yaml.safe_load((project.root / "study.yaml").read_text())
        (project.root / "large.yaml").write_text(yaml.safe_dump({**content, "seeds": list(range(250))}))
        large = statistics.median(seconds(project, "-n", "--config", "large.yaml") for _ in range(3))
    return save(
        "workflow",
        [
            row("nothing_changed", unchanged, note="median of 5, standard library only"),
            row("dry_run", dry, n=10, note="median of 5"),
            row(
                "first_run_per_notebook",
                whole * 2 / 9,
                n=9,
                note="two at a time; wall x 2 / 9 notebooks, engine included",
            ),
            row("statistics_setting_changed", changed, n=3, note="engine, 2 notebooks, report; no work in them"),
            row("plan_500_replicates", large, n=500, note="every reason for every step, median of 3"),
        ],
    )


if __name__ == "__main__":
    main()
