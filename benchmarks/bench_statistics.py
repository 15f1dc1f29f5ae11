"""How fast the statistics are: the joint bootstrap and DeLong, beside what other packages need for the same.

The timed set of the joint bootstrap is two arms with AUC, average precision, Brier score, calibration intercept and
slope, all rates at three fixed and three re-selected points, and net benefit at 99 thresholds, with percentile
intervals and p values of every difference; B = 10,000 unless a row says otherwise.

Peers run in an environment of their own (benchmarks/peers/.venv, made here from the [bench] extra of pyproject.toml
with uv), each at B <= 200, scaled to B = 10,000 and labelled so. A peer that cannot be installed is a row that says so.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from _measure import Row, in_own_process, median_seconds, row, save
from osteotl.statistics.bootstrap import joint_bootstrap
from osteotl.statistics.delong import compare_auc

HERE = Path(__file__).parent
REPLICATES = 10_000
GRID = np.arange(1, 100) / 100


def cohort(malignant: int, normal: int, seed: int = 0) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Two correlated arms with risks strictly between 0 and 1, without ties."""
    rng = np.random.default_rng(seed)
    label = np.r_[np.ones(malignant, int), np.zeros(normal, int)]
    common = rng.normal(size=label.size)
    arms = {
        arm: 1 / (1 + np.exp(-(common + 0.6 * rng.normal(size=label.size) + gain * label - 1.2)))
        for arm, gain in (("scratch", 2.3), ("transfer", 2.5))
    }
    return label, arms


def timed_set(label: np.ndarray, arms: dict[str, np.ndarray], **options: Any) -> Any:
    """The whole timed set in one call."""
    return joint_bootstrap(
        label,
        arms,
        risks=arms,
        thresholds={name: dict.fromkeys(arms, cut) for name, cut in (("low", 0.3), ("middle", 0.5), ("high", 0.7))},
        reselect={
            "high_sensitivity": ("high_sensitivity", 0.9),
            "high_specificity": ("high_specificity", 0.9),
            "youden": ("youden", None),
        },
        net_benefit_at=GRID,
        **({"replicates": REPLICATES} | options),
    )


def first_call() -> tuple[float, float]:
    """Wall and processor seconds to compile and run once, with an empty cache (in a process of its own)."""
    start, used = time.perf_counter(), time.process_time()
    timed_set(*cohort(268, 475), replicates=100, threads=1)
    return time.perf_counter() - start, time.process_time() - used


def large(replicates: int, threads: int) -> tuple[float, float]:
    """Wall and processor seconds of the timed set at n = 100,000 (3 % malignant), compilation not counted."""
    label, arms = cohort(3_000, 97_000)
    timed_set(*cohort(50, 50), replicates=100, threads=1)
    start, used = time.perf_counter(), time.process_time()
    timed_set(label, arms, replicates=replicates, threads=threads)
    return time.perf_counter() - start, time.process_time() - used


def processor_seconds(function: Callable[[], Any], repeats: int = 5) -> float:
    """Median processor time: what the call costs when nothing else wants the core."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        function()
        times.append(time.process_time() - start)
    return statistics.median(times)


def delong_of_a_million() -> tuple[float, float]:
    """Median wall and processor seconds of the paired DeLong test at n = 1,000,000."""
    label, arms = cohort(300_000, 700_000)
    call = partial(compare_auc, label, arms["transfer"], arms["scratch"])
    return median_seconds(call, repeats=5), processor_seconds(call, repeats=3)


def ours() -> list[Row]:
    """Our rows."""
    label, arms = cohort(268, 475)
    cores = len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as folder:
        kept = os.environ.get("NUMBA_CACHE_DIR")
        os.environ["NUMBA_CACHE_DIR"] = folder
        (compiled, compiled_used), _ = in_own_process(first_call)
        if kept is None:
            del os.environ["NUMBA_CACHE_DIR"]
        else:
            os.environ["NUMBA_CACHE_DIR"] = kept
    one = median_seconds(lambda: timed_set(label, arms, threads=1), repeats=7)
    used = processor_seconds(partial(timed_set, label, arms, threads=1))
    every = median_seconds(lambda: timed_set(label, arms), repeats=5)
    (big, big_used), peak = in_own_process(large, REPLICATES, 1)
    (million, million_used), million_peak = in_own_process(delong_of_a_million)
    return [
        row(
            "joint_bootstrap_first_call",
            compiled,
            n=743,
            note=f"one core, nothing cached: compilation included; processor time {compiled_used:.1f} s",
        ),
        row("joint_bootstrap_743", one, n=743, note=f"one core, after compilation; processor time {used:.3f} s"),
        row("joint_bootstrap_743_threads", every, n=743, note=f"{cores} threads, the same numbers bit for bit"),
        row("joint_bootstrap_100k", big, n=100_000, peak_mb=peak, note=f"one core; processor time {big_used:.2f} s"),
        row(
            "delong_1m",
            million,
            n=1_000_000,
            peak_mb=million_peak,
            note=f"paired test with interval; processor time {million_used:.3f} s",
        ),
    ]


def growth() -> list[Row]:
    """Cost against the number of films and of replicates, each per film and replicate."""
    rows: list[Row] = []
    for title, sizes in (
        ("films", [(5_000, 1_000), (10_000, 1_000), (20_000, 1_000), (40_000, 1_000)]),
        ("replicates", [(743, 2_500), (743, 5_000), (743, 10_000), (743, 20_000)]),
    ):
        first = None
        for n, replicates in sizes:
            label, arms = cohort(int(0.36 * n), n - int(0.36 * n))
            call = partial(timed_set, label, arms, replicates=replicates, threads=1)
            seconds = median_seconds(call, repeats=3)
            each = processor_seconds(call, repeats=3) / (n * replicates)  # a busy machine bends wall times
            first = first or each
            note = f"B = {replicates:,}: processor {each * 1e9:.1f} ns a film-replicate, {each / first:.2f} x first row"
            rows.append(row(f"growth_with_{title}_{n if title == 'films' else replicates}", seconds, n=n, note=note))
    return rows


def peers(own: dict[str, float]) -> list[Row]:
    """Rows of the peers, or rows that say why there are none."""
    python, reason = peer_environment()
    if python is None:
        return [row("peers", None, note=f"no peer measured: {reason}")]
    label, arms = cohort(268, 475)
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "cohort.npz"
        np.savez(data, allow_pickle=False, label=label, **arms)
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        done = subprocess.run(
            [python, HERE / "peer_statistics.py", data], capture_output=True, text=True, env=environment, timeout=300
        )
    if done.returncode != 0:
        return [row("peers", None, note=f"the peers' process failed: {done.stderr.strip().splitlines()[-1]}")]
    rows = []
    for one in json.loads(done.stdout.splitlines()[-1]):
        base = own.get(one["against"])
        ratio = None if one["seconds"] is None or base is None else one["seconds"] / base
        rows.append(row(one["name"], one["seconds"], n=one["n"], peer=one["peer"], ratio=ratio, note=one["note"]))
    return rows


def peer_environment() -> tuple[Path | None, str]:
    """Python of the peers' environment, made if it is not there; None and a reason where it cannot be made."""
    folder = HERE / "peers" / ".venv"
    python = folder / "bin" / "python"
    if python.exists():
        return python, ""
    uv = shutil.which("uv") or next((str(p) for p in (HERE.parent / ".tools").glob("**/bin/uv")), None)
    if uv is None:
        return None, "uv was not found (run_all.sh provides it)"
    wanted = tomllib.loads((HERE.parent / "pyproject.toml").read_text())["project"]["optional-dependencies"]["bench"]
    steps = [[uv, "venv", "--python", sys.executable, folder], [uv, "pip", "install", "--python", python, *wanted]]
    for step in steps:
        done = subprocess.run(step, capture_output=True, text=True, timeout=180)
        if done.returncode != 0:
            shutil.rmtree(folder, ignore_errors=True)
            return None, f"uv could not install {', '.join(wanted)}: {done.stderr.strip().splitlines()[-1]}"
    return python, ""


def main() -> list[Row]:
    """Measure everything and save it."""
    rows = ours()
    rows += growth()
    rows += peers({one["name"]: one["seconds"] for one in rows})
    return save("statistics", rows)


if __name__ == "__main__":
    main()
