"""How fast the statistics are: the joint bootstrap and DeLong, beside what other packages need for the same.

The timed set of the joint bootstrap is two arms with AUC, average precision, Brier score, calibration intercept and
slope, all rates at three fixed and three re-selected points, and net benefit at 100 thresholds, in every draw; and the
intervals and p values of AUC, rates and Brier score with their differences (`infer`). B = 10,000 unless a row says
otherwise.

Peers run in an environment of their own (benchmarks/peers/.venv, made here from the [bench] extra of pyproject.toml
with uv), pROC and rms in R where that is installed, each at B <= 200, scaled to B = 10,000 and labelled so. A peer that
cannot be had is a row that says so.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import shutil
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
import pandas as pd

from _measure import RESULTS, Row, Times, in_own_process, row, save, timed
from diagnostic_accuracy.bootstrap import bootstrap
from diagnostic_accuracy.delong import compare_auc
from diagnostic_accuracy.inference import infer
from diagnostic_accuracy.scores import Scores, scores_of
from diagnostic_accuracy.thresholds import points_of

HERE = Path(__file__).parent
REPLICATES = 10_000
GRID = (np.arange(100) + 0.5) / 100


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


def scores_from(label: np.ndarray, arms: dict[str, np.ndarray], runs: int = 1) -> Scores:
    """Every film a patient of its own; external films only, so the scores are taken as risks."""
    names = [f"f{i:07d}" for i in range(label.size)]
    tables = [
        pd.DataFrame({"image_id": names, "label": label, "arm": arm, "seed": run, "score": score})
        for arm, score in arms.items()
        for run in range(runs)
    ]
    return scores_of(pd.concat(tables, ignore_index=True))


FIXED = {
    name: dict.fromkeys(("scratch", "transfer"), cut) for name, cut in (("low", 0.3), ("middle", 0.5), ("high", 0.7))
}
RESELECTED = {"high_sensitivity": 0.9, "high_specificity": 0.9, "youden": None}


def timed_set(scores: Scores, replicates: int = REPLICATES) -> Any:
    """The whole timed set."""
    points = points_of(RESELECTED, ("external",), **FIXED)
    draws = bootstrap(scores, points, replicates=replicates, net_benefit_at=GRID, recalibrations=("none",))
    asks: list[dict[str, Any]] = [{"measure": ["auc", "average_precision"]}]
    asks += [{"measure": ["sensitivity", "specificity"], "point": p.name, "threshold_from": p.threshold_from}
             for p in points]  # fmt: skip
    asks += [{"measure": ["brier", "calibration_intercept", "calibration_slope"], "recalibration": "none"}]
    return [infer(draws, reference="scratch", **ask) for ask in asks]


def first_call() -> tuple[float, float]:
    """Wall and processor seconds to compile and run once, with an empty cache (in a process of its own)."""
    start, used = time.perf_counter(), time.process_time()
    timed_set(scores_from(*cohort(268, 475)), replicates=100)
    return time.perf_counter() - start, time.process_time() - used


def large(replicates: int) -> tuple[float, float]:
    """Wall and processor seconds of the timed set at n = 100,000 (3 % malignant), compilation not counted."""
    scores = scores_from(*cohort(3_000, 97_000))
    timed_set(scores_from(*cohort(50, 50)), replicates=100)
    start, used = time.perf_counter(), time.process_time()
    timed_set(scores, replicates=replicates)
    return time.perf_counter() - start, time.process_time() - used


def delong_of_a_million() -> tuple[Times, Times]:
    """Wall and processor seconds of the paired DeLong test at n = 1,000,000."""
    label, arms = cohort(300_000, 700_000)
    call = partial(compare_auc, label, arms["transfer"], arms["scratch"])
    return timed(call), timed(call, repeats=3, clock=time.process_time)


def ours(replicates: int = REPLICATES) -> list[Row]:
    """Our rows."""
    scores = scores_from(*cohort(268, 475))
    with tempfile.TemporaryDirectory() as folder:
        kept = os.environ.get("NUMBA_CACHE_DIR")
        os.environ["NUMBA_CACHE_DIR"] = folder
        (compiled, compiled_used), _ = in_own_process(first_call)
        if kept is None:
            del os.environ["NUMBA_CACHE_DIR"]
        else:
            os.environ["NUMBA_CACHE_DIR"] = kept
    one = timed(partial(timed_set, scores, replicates), repeats=7)
    used = timed(partial(timed_set, scores, replicates), clock=time.process_time)
    (big, big_used), peak = in_own_process(large, replicates)
    (million, million_used), million_peak = in_own_process(delong_of_a_million)
    return [
        row(
            "joint_bootstrap_first_call",
            compiled,
            n=743,
            note=f"one core, nothing cached: compilation included; processor time {compiled_used:.1f} s",
        ),
        row(
            "joint_bootstrap_743",
            one.median,
            n=743,
            note=f"one core, after compilation; {one.spread}; processor time {used.median:.3f} s",
        ),
        row("joint_bootstrap_100k", big, n=100_000, peak_mb=peak, note=f"one core; processor time {big_used:.2f} s"),
        row(
            "delong_1m",
            million.median,
            n=1_000_000,
            peak_mb=million_peak,
            note=f"paired test with interval; {million.spread}; processor time {million_used.median:.3f} s",
        ),
    ]


def growth(quick: bool = False) -> list[Row]:
    """Cost against the number of films, of replicates and of seeds; also drawn, as results/growth.png."""
    rows: list[Row] = []
    for title, calls in GROWTH.items():
        first = None
        for size in list(calls)[:1] if quick else calls:
            n, call = calls[size]()
            taken = timed(call, repeats=3)
            used = timed(call, repeats=3, clock=time.process_time)  # a busy machine bends wall times
            each = used.median / size
            first = first or each
            note = f"processor time for each of the {title} {each / first:.2f} x that of the first row; {taken.spread}"
            rows.append(row(f"growth_with_{title}_{size}", taken.median, n=n, note=note) | {"processor": used.median})
    if not quick:
        plot_growth(rows)
    return [{key: value for key, value in one.items() if key != "processor"} for one in rows]


def _bootstrap_call(films: int, replicates: int) -> tuple[int, Callable[[], Any]]:
    malignant = int(0.36 * films)
    return films, partial(timed_set, scores_from(*cohort(malignant, films - malignant)), replicates)


def _seeds_call(seeds: int) -> tuple[int, Callable[[], Any]]:
    scores = scores_from(*cohort(268, 475), runs=seeds)
    return len(scores.values), lambda: infer(bootstrap(scores, replicates=1_000, recalibrations=()), "auc",
                                             reference="scratch")  # fmt: skip


GROWTH: dict[str, dict[int, Callable[[], tuple[int, Callable[[], Any]]]]] = {
    "films": {n: partial(_bootstrap_call, n, 1_000) for n in (5_000, 10_000, 20_000, 40_000)},
    "replicates": {b: partial(_bootstrap_call, 743, b) for b in (2_500, 5_000, 10_000, 20_000)},
    "seeds": {k: partial(_seeds_call, k) for k in (2, 4, 8, 16, 32)},
}


def plot_growth(rows: list[Row]) -> None:
    """Processor time against size on log-log axes with a line of slope 1, as results/growth.png."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    labels = {
        "films": "films\n(joint bootstrap, B = 1,000)",
        "replicates": "replicates\n(joint bootstrap, 743 films)",
        "seeds": "runs of each arm\n(AUC, B = 1,000, 743 films)",
    }
    figure, every = plt.subplots(1, len(GROWTH), figsize=(9, 3), layout="constrained")
    for axes, title in zip(every, GROWTH, strict=True):
        shown = [one for one in rows if one["name"].startswith(f"growth_with_{title}_")]
        sizes = np.array([float(one["name"].rsplit("_", 1)[1]) for one in shown])
        used = np.array([one["processor"] for one in shown])
        axes.loglog(sizes, used, "o-", color="#1f5a94", label="measured")
        axes.loglog(sizes, used[0] * sizes / sizes[0], "--", color="0.5", label="linear")
        axes.set_xticks(sizes, [f"{size:,.0f}" for size in sizes])
        axes.minorticks_off()
        axes.set_xlabel(labels[title])
    every[0].set_ylabel("processor time, s")
    every[0].legend(frameon=False)
    figure.savefig(RESULTS / "growth.png", dpi=150, metadata={"Software": None})


def peers(own: dict[str, float]) -> list[Row]:
    """Rows of the peers, or rows that say why there are none."""
    label, arms = cohort(268, 475)
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "cohort.npz"
        np.savez(data, allow_pickle=False, label=label, **arms)
        found, missing = python_peers(data)
        more, unmeasured = r_peers(Path(folder))
    rows = [row(name, None, note=why) for name, why in (("peers", missing), ("r_peers", unmeasured)) if why]
    for one in found + more:
        base = own.get(one["against"])
        ratio = None if one["seconds"] is None or base is None else one["seconds"] / base
        rows.append(row(one["name"], one["seconds"], n=one["n"], peer=one["peer"], ratio=ratio, note=one["note"]))
    return rows


def python_peers(data: Path) -> tuple[list[dict[str, Any]], str]:
    """What peer_statistics.py measured, and why nothing, where it could not run."""
    python, reason = peer_environment()
    if python is None:
        return [], f"no peer measured: {reason}"
    done = subprocess.run(
        [python, HERE / "peer_statistics.py", data],
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        timeout=300,
    )
    if done.returncode != 0:
        return [], f"the peers' process failed: {done.stderr.strip().splitlines()[-1]}"
    return json.loads(done.stdout.splitlines()[-1]), ""


def r_peers(folder: Path) -> tuple[list[dict[str, Any]], str]:
    """What peer_statistics.R measured (pROC and rms), and why nothing, where it could not run."""
    program = shutil.which("Rscript")
    if program is None:
        return [], "pROC and rms not measured: R is not installed (Debian: r-base-core r-cran-proc r-cran-rms)"
    sizes = {"cohort": (268, 475), "large": (300_000, 700_000)}
    for name, size in sizes.items():
        label, arms = cohort(*size)
        pd.DataFrame({"label": label, **arms}).to_csv(folder / f"{name}.csv", index=False)
    command = [program, HERE / "peer_statistics.R", *(folder / f"{name}.csv" for name in sizes)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    if done.returncode != 0:
        return [], f"R failed: {(done.stderr.strip().splitlines() or ['without a word'])[-1]}"
    frame = pd.read_csv(io.StringIO(done.stdout))
    return frame.astype(object).where(frame.notna(), None).to_dict("records"), ""


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
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few draws, no peers, to see that it runs; saves nothing")
    if parser.parse_args().quick:
        rows = ours(100) + growth(quick=True)
        print(*(f"{one['name']}: {one['seconds']} s; {one['note']}" for one in rows), sep="\n")
        return rows
    rows = ours()
    rows += growth()
    rows += peers({one["name"]: one["seconds"] for one in rows})
    return save("statistics", rows)


if __name__ == "__main__":
    main()
