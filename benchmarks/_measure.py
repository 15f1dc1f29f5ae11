"""Times and memory for the benchmarks: medians, peak memory in a process of its own, one layout of rows.

Every `bench_NAME.py` beside this file has `main()`, which returns rows and saves them to results/NAME.json:

    {"name", "seconds", "peak_mb", "peer", "ratio", "n", "note"}

`seconds` is a median; `peak_mb` the largest resident memory of a process that did nothing else (None: not measured);
`peer` the package compared with and `ratio` its seconds divided by ours (None where there is no peer).
"""

from __future__ import annotations

import json
import multiprocessing
import os
import platform
import resource
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from osteotl.files import write_json

RESULTS = Path(__file__).parent / "results"

Row = dict[str, Any]


def row(
    name: str,
    seconds: float | None,
    *,
    n: int | None = None,
    peak_mb: float | None = None,
    peer: str | None = None,
    ratio: float | None = None,
    note: str = "",
) -> Row:
    """One line of a benchmark."""
    return {
        "name": name,
        "seconds": _rounded(seconds),
        "peak_mb": None if peak_mb is None else round(peak_mb, 1),
        "peer": peer,
        "ratio": _rounded(ratio),
        "n": n,
        "note": note,
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.4g}")


def save(name: str, rows: list[Row]) -> list[Row]:
    """Write rows to results/NAME.json and the machine they were measured on to results/machines.json; print them."""
    write_json(RESULTS / f"{name}.json", rows)
    machines = RESULTS / "machines.json"
    known = json.loads(machines.read_text(encoding="utf-8")) if machines.exists() else {}
    write_json(machines, dict(sorted({**known, name: machine()}.items())))
    for one in rows:
        seconds = "-" if one["seconds"] is None else f"{one['seconds']:.4g} s"
        ratio = "" if one["ratio"] is None else f"  ({one['peer']}: {one['ratio']:.4g} x ours)"
        print(f"{one['name']:<44} {seconds:>12}{ratio}  {one['note']}", flush=True)
    return rows


def machine() -> dict[str, Any]:
    """What a reader needs to place the numbers: processor, cores, versions, load (5 minutes)."""
    model = platform.processor() or platform.machine()
    information = Path("/proc/cpuinfo")
    if information.exists():
        names = [line.split(":", 1)[1].strip() for line in information.read_text().splitlines() if "model name" in line]
        model = names[0] if names else model
    return {
        "processor": model,
        "cores": multiprocessing.cpu_count(),
        "python": platform.python_version(),
        # above the number of cores, wall times are too long: processor times in the notes are what a calm machine needs
        "load_average": round(os.getloadavg()[1], 1),
    }


@dataclass(frozen=True)
class Times:
    """Seconds of several calls of one thing."""

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    @property
    def spread(self) -> str:
        """For a row's note."""
        low, high = (f"{value:.3g}" for value in (min(self.seconds), max(self.seconds)))
        return f"{low} to {high} s in {len(self.seconds)} runs"


def timed(
    function: Callable[[], Any], repeats: int = 5, warmup: int = 1, clock: Callable[[], float] = time.perf_counter
) -> Times:
    """Seconds of calls, after `warmup` calls that do not count (compilation, caches).

    With `clock=time.process_time`, what the call costs when nothing else wants the core.
    """
    for _ in range(warmup):
        function()
    times = []
    for _ in range(repeats):
        start = clock()
        function()
        times.append(clock() - start)
    return Times(tuple(times))


def in_own_process(function: Callable[..., Any], *arguments: Any) -> tuple[Any, float]:
    """Call a module-level function in a fresh process; its result and that process's peak resident memory in MB.

    The result must be picklable. The peak includes the interpreter and the imports that the function needs.
    """
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_child, args=(sender, function, arguments))
    process.start()
    sender.close()
    try:
        outcome, result, peak = receiver.recv()
    except EOFError:
        process.join()
        raise RuntimeError(f"the measured process of {function.__name__} ended with {process.exitcode}") from None
    process.join()
    if outcome == "failed":
        raise RuntimeError(f"{function.__name__} failed in its own process: {result}")
    return result, peak


def _child(sender: Any, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    try:
        message = ("done", function(*arguments))
    except Exception as error:  # handed to the parent, which raises it
        message = ("failed", f"{type(error).__name__}: {error}")
    sender.send((*message, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))
    sender.close()
