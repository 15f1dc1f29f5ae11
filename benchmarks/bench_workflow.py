"""What the workflow itself costs: on a study whose science takes no time, and on a finished default study.

Rows: nothing changed; `-n`; engine and papermill for each step; planning of 500 replicates; and, where outputs/ holds
the finished default study (./run_all.sh), the new report after `statistics.bootstrap` has changed.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

from _measure import Row, Times, row, save

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from small_study import Project

ROOT = Path(__file__).parents[1]


def seconds(project: Project, *words: str, **environment: str) -> float:
    """Wall time of ./run_all.sh WORDS, which must end well."""
    began = time.perf_counter()
    done = project.run(*words, timeout=600, **environment)
    if done.returncode:
        raise RuntimeError(done.stdout + done.stderr)
    return time.perf_counter() - began


def new_report() -> Row:
    """A copy of the finished default study with another `statistics.bootstrap`: 04, 05 and the report."""
    name = "bootstrap_changed_default_study"
    shown = subprocess.run([ROOT / "run_all.sh", "-n"], capture_output=True, text=True, check=False).stdout
    if "Nothing to do" not in shown:
        return row(name, None, note="not measured: outputs/ does not hold the finished default study (./run_all.sh)")
    with tempfile.TemporaryDirectory() as folder:
        outputs, config = Path(folder) / "outputs", Path(folder) / "study.yaml"
        shutil.copytree(ROOT / "outputs", outputs)
        command = [ROOT / "run_all.sh", "--config", config, "--outputs", outputs]
        taken = []
        for replicates in (9_000, 9_500, 9_900):
            text = (ROOT / "study.yaml").read_text().replace("bootstrap: 10000", f"bootstrap: {replicates}")
            config.write_text(text)
            began = time.perf_counter()
            subprocess.run(command, check=True, capture_output=True)
            taken.append(time.perf_counter() - began)
    times = Times(tuple(taken))
    return row(name, times.median, n=3, note=f"04, 05, report.html and report.pdf; target 25 s; {times.spread}")


def main() -> list[Row]:
    """Measure, save and hand back the rows."""
    with tempfile.TemporaryDirectory() as folder:
        project = Project(Path(folder) / "study")
        whole = seconds(project, OSTEOTL_CORES="1")
        unchanged = Times(tuple(seconds(project) for _ in range(5)))
        dry = Times(tuple(seconds(project, "-n") for _ in range(5)))
        project.edit("study.yaml", "bootstrap: 100", "bootstrap: 200")
        changed = seconds(project)
        content = yaml.safe_load((project.root / "study.yaml").read_text())
        (project.root / "large.yaml").write_text(yaml.safe_dump({**content, "seeds": list(range(250))}))
        large = Times(tuple(seconds(project, "-n", "--config", "large.yaml") for _ in range(3)))
    steps = 10  # 00, 01, 02 four times, 03, 04, 05 and the report
    return save(
        "workflow",
        [
            row("nothing_changed", unchanged.median, note=f"standard library only; {unchanged.spread}"),
            row("dry_run", dry.median, n=steps, note=dry.spread),
            row(
                "each_step", whole / steps, n=steps, note=f"one by one, no work in them; engine and all: {whole:.1f} s"
            ),
            row("statistics_setting_changed", changed, n=3, note="engine, 2 notebooks, report; no work in them"),
            row("plan_500_replicates", large.median, n=500, note=f"every reason for every step; {large.spread}"),
            new_report(),
        ],
    )


if __name__ == "__main__":
    main()
