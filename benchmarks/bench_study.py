"""Rows `study`, `study_with_statistics` and `scoring`, against the stock `yolo` commands and the Python peers.

- `study`: pretraining, two arms x two seeds and scoring of the external films. The peer runs one command after another
  with the same films, image size, batch and epochs, everything else default; ours runs as the study does:
  single-threaded processes side by side, scratch replicates beside pretraining. Both start from prepared films on disk,
  and both include every import. Ours also scores the validation films, which thresholds are learnt on.
- `study_with_statistics`: the same and the statistics of the two arms. Ours is notebook 04 in a kernel; the peer is the
  timed set of bench_statistics.py by scikit-learn, on the scores of each seed, at a smaller B and scaled to 10,000.
- `scoring`: the external films by the weights of every replicate, ours beside `yolo predict` with the same weights.

Run it on a quiet machine: `./run_all.sh bench study`. `--quick` takes studies/quick.yaml and saves nothing.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from _measure import Row, row, save
from bench_statistics import python_peers
from osteotl.study import Study, load_study

SEEDS = (0, 1)
ARMS = ("scratch", "transfer")
REPLICATES = [(arm, seed) for arm in ARMS for seed in SEEDS]
OURS = """
import sys
from osteotl.study import load_study
config, out, data, what, *rest = sys.argv[1:]
study = load_study(config)
study = study.model_copy(update={"seeds": [0, 1], "fractions": [1.0]})
place = lambda name: __import__("pathlib").Path(out) / name
if what == "statistics":
    import papermill
    papermill.execute_notebook("notebooks/04_statistics.ipynb", str(place("04.ipynb")), kernel_name="python3",
                               parameters={"config": config, "outputs": out}, progress_bar=False)
    sys.exit()
from osteotl.detection import scoring, training
if what == "pretrain":
    training.pretrain(study, out, data)
elif what == "finetune":
    training.finetune(study, rest[0], 1.0, int(rest[1]), out, data)
elif what == "score":
    parts = {c: scoring.score_study(study, c, out, data, int(rest[0])) for c in ("validation", "external")}
    scoring.write_predictions(parts["validation"], parts["external"], place)
elif what == "score_external":
    part = scoring.score_study(study, "external", out, data, int(rest[0]))
    scoring.write_predictions(part, part, lambda name: place("again_" + name))
elif what == "as_stock":  # our weights in the file that `yolo predict` reads
    from ultralytics import YOLO
    from osteotl.detection.initialisation import rebuild_detector
    yolo = YOLO(study.detector.model + ".yaml", task="detect")
    yolo.model = rebuild_detector(place(rest[0]), study.detector.model)
    yolo.save(rest[1])
"""


def prepare(study: Study, folder: Path) -> tuple[Path, Path]:
    """The default study's films, drawn once; what both sides start from."""
    from osteotl.cohorts import tables

    out, data = folder / "outputs", folder / "data"
    out.mkdir(parents=True, exist_ok=True)
    if not (out / "cohorts" / "boxes.csv").exists():
        tables.build_cohorts(study, out, data)
    return out, data


@dataclass
class Clock:
    """Wall seconds by part."""

    parts: dict[str, float] = field(default_factory=dict)

    def time(self, name: str, work: Callable[[], None]) -> None:
        """Do the work and note how long it took."""
        start = time.perf_counter()
        work()
        self.parts[name] = self.parts.get(name, 0.0) + time.perf_counter() - start

    def total(self, *names: str) -> float:
        """Seconds of some parts together."""
        return sum(self.parts[name] for name in names)

    def __str__(self) -> str:
        return ", ".join(f"{name} {seconds:.0f} s" for name, seconds in self.parts.items())


def ours(config: str, out: Path, data: Path, processes: int) -> Clock:
    """Wall seconds of our side: training, scoring, statistics."""
    clock = Clock()

    def run(*what: str) -> None:
        _ours(config, out, data, *what)

    def train() -> None:
        with ThreadPoolExecutor(processes) as pool:
            pretraining = pool.submit(run, "pretrain")
            jobs: list[Future] = [pool.submit(run, "finetune", "scratch", str(seed)) for seed in SEEDS]
            pretraining.result()
            jobs += [pool.submit(run, "finetune", "transfer", str(seed)) for seed in SEEDS]
            for job in jobs:
                job.result()

    clock.time("training", train)
    clock.time("scoring", lambda: run("score", str(processes)))
    clock.time("statistics", lambda: run("statistics"))
    return clock


def _ours(config: str, out: Path, data: Path, *what: str) -> None:
    command = [sys.executable, "-c", OURS, config, str(out), str(data), *what]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "YOLO_OFFLINE": "1", "YOLO_AUTOINSTALL": "0"}
    subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)


def as_yolo(out: Path, data: Path, folder: Path) -> None:
    """The same films in the layout that the stock commands read."""
    from PIL import Image

    boxes = pd.read_csv(out / "cohorts" / "boxes.csv")
    for cohort, splits in {
        "pretrain": ("training",),
        "development": ("training", "validation"),
        "external": ("test",),
    }.items():
        table = pd.read_csv(out / "cohorts" / f"{cohort}.csv", dtype={"film": str})
        for split in splits:
            images, labels = folder / cohort / "images" / split, folder / cohort / "labels" / split
            images.mkdir(parents=True)
            labels.mkdir(parents=True)
            for film in table[table["partition"] == split].itertuples():
                source = data / ".prepared" / film.film[:2] / f"{film.film}.png"
                Image.open(source).convert("RGB").save(images / f"{film.image_id}.png")
                mine = boxes[boxes["image_id"] == film.image_id][["x_min", "y_min", "x_max", "y_max"]].to_numpy(float)
                size = np.array([film.width, film.height])
                lines = [
                    "0 " + " ".join(f"{v:.6f}" for v in [*((b[:2] + b[2:]) / 2 / size), *((b[2:] - b[:2]) / size)])
                    for b in mine
                ]
                (labels / f"{film.image_id}.txt").write_text("\n".join(lines))
        val = splits[-1]
        text = f"path: {folder / cohort}\ntrain: images/{splits[0]}\nval: images/{val}\nnames:\n  0: lesion\n"
        (folder / cohort / "data.yaml").write_text(text)


class Stock:
    """The stock commands, one after another, in a folder of their own."""

    def __init__(self, study: Study, folder: Path):
        from matplotlib import font_manager

        self.detector, self.folder = study.detector, folder
        font = folder / "config" / "Ultralytics" / "Arial.ttf"
        font.parent.mkdir(parents=True, exist_ok=True)
        font.write_bytes(Path(font_manager.findfont("DejaVu Sans")).read_bytes())
        told = {"YOLO_OFFLINE": "1", "YOLO_AUTOINSTALL": "0", "YOLO_CONFIG_DIR": str(folder / "config")}
        self.environment = {**os.environ, **told}
        self.environment.pop("OMP_NUM_THREADS", None)

    def run(self, *arguments: str) -> None:
        """One command."""
        yolo, asked = str(Path(sys.executable).with_name("yolo")), self.detector
        shared = [f"imgsz={asked.image_size}", f"batch={asked.batch}", "device=cpu", f"project={self.folder / 'runs'}"]
        command = [yolo, "detect", *arguments, *shared]
        subprocess.run(command, check=True, env=self.environment, stdout=subprocess.DEVNULL)

    def train(self, name: str, cohort: str, epochs: int, *more: str) -> Path:
        """Train; the weights that it leaves. amp=False: its check downloads a model, which hospitals refuse."""
        data = f"data={self.folder / cohort / 'data.yaml'}"
        self.run("train", f"model={self.detector.model}.yaml", "amp=False", data, f"epochs={epochs}", *more,
                 f"name={name}")  # fmt: skip
        return self.folder / "runs" / name / "weights" / "last.pt"

    def predict(self, weights: Path, name: str) -> None:
        """Score the external films, saving nothing."""
        films = self.folder / "external" / "images" / "test"
        self.run("predict", f"model={weights}", f"source={films}", "save=False", "verbose=False", f"name={name}")

    def study(self) -> float:
        """Wall seconds of the whole study."""
        start = time.perf_counter()
        first = self.train("pre", "pretrain", self.detector.pretrain_epochs)
        for arm, seed in REPLICATES:
            given = "pretrained=False" if arm == "scratch" else f"pretrained={first}"
            name = f"{arm}{seed}"
            weights = self.train(name, "development", self.detector.epochs, f"seed={seed}", given)
            self.predict(weights, f"{name}p")
        return time.perf_counter() - start


def scoring_row(config: str, out: Path, data: Path, processes: int, stock: Stock | None) -> Row:
    """Films a second of every replicate's weights, imports included on both sides."""
    films = int((pd.read_csv(out / "cohorts" / "external.csv")["partition"] == "test").sum()) * len(REPLICATES)
    mine, theirs = Clock(), Clock()
    mine.time("scoring", lambda: _ours(config, out, data, "score_external", str(processes)))
    seconds = mine.total("scoring")
    note = f"{len(REPLICATES)} replicates, {processes} processes, boxes too: {films / seconds:.0f} films/s"
    if stock is None:
        return row("scoring", seconds, n=films, note=note)
    for arm, seed in REPLICATES:
        weights = stock.folder / f"{arm}{seed}.pt"
        _ours(config, out, data, "as_stock", f"finetune/{arm}/1/{seed}/weights.safetensors", str(weights))
        theirs.time("scoring", lambda w=weights, n=f"{arm}{seed}w": stock.predict(w, n))
    other = theirs.total("scoring")
    note += f"; yolo predict with the same weights and films: {films / other:.0f} films/s"
    return row("scoring", seconds, n=films, peer="yolo predict", ratio=other / seconds, note=note)


def peer_statistics(out: Path, folder: Path) -> tuple[float | None, str]:
    """Seconds of the Python peers' statistics of both arms, seed by seed, and what that is."""
    scores = pd.read_csv(out / "predictions.csv").query("cohort == 'external'")
    seconds, note = 0.0, ""
    for seed in SEEDS:
        table = scores[scores["seed"] == seed].pivot_table(index=["image_id", "label"], columns="arm", values="score")
        arms = {arm: np.clip(table[arm].to_numpy(), 1e-6, 1 - 1e-6) for arm in ARMS}
        file = folder / f"seed{seed}.npz"
        np.savez(file, allow_pickle=False, label=table.index.get_level_values("label").to_numpy(), **arms)
        rows, why = python_peers(file)
        one = next((found for found in rows if found["name"] == "scikit_learn_loop"), None)
        if one is None or one["seconds"] is None:
            return None, why or (one or {}).get("note", "no peer measured")
        seconds, note = seconds + one["seconds"], f"{one['peer']}, {one['note']}, for each of {len(SEEDS)} seeds"
    return seconds, note


def rows_of(mine: Clock, theirs: float | None, out: Path, folder: Path, processes: int) -> list[Row]:
    """Rows `study` and `study_with_statistics`."""
    done = len(REPLICATES)
    alone, whole = mine.total("training", "scoring"), mine.total("training", "scoring", "statistics")
    what = f"pretrain + {len(ARMS)} arms x {len(SEEDS)} seeds + scoring, {processes} processes ({mine})"
    if theirs is None:
        return [row("study", alone, n=done, note=what), row("study_with_statistics", whole, n=done, note=what)]
    share = f"ours takes {alone / theirs:.2f} of stock's wall time ({theirs:.0f} s; target 0.40)"
    peer = "yolo commands, one after another"
    rows = [row("study", alone, n=done, peer=peer, ratio=theirs / alone, note=f"{what}; {share}")]
    statistics, note = peer_statistics(out, folder)
    if statistics is None:
        return [*rows, row("study_with_statistics", whole, n=done, note=f"no peer: {note}")]
    other = theirs + statistics
    share = f"ours takes {whole / other:.2f} of their time (target 0.25); their statistics {statistics:.0f} s ({note})"
    return [*rows, row("study_with_statistics", whole, n=done, peer=f"{peer}, and scikit-learn", ratio=other / whole,
                       note=share)]  # fmt: skip


def main() -> list[Row]:
    """Measure both sides and save the rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default="study.yaml")
    parser.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--without-stock", action="store_true", help="our side only; nothing is saved")
    parser.add_argument(
        "--quick", action="store_true", help="studies/quick.yaml, to see that it runs; nothing is saved"
    )
    options = parser.parse_args()
    config = "studies/quick.yaml" if options.quick else options.config
    study = load_study(config)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        out, data = prepare(study, folder)
        mine, stock, theirs = ours(config, out, data, options.processes), None, None
        if not options.without_stock:
            as_yolo(out, data, folder / "stock")
            stock = Stock(study, folder / "stock")
            theirs = stock.study()
        rows = [*rows_of(mine, theirs, out, folder, options.processes),
                scoring_row(config, out, data, options.processes, stock)]  # fmt: skip
    if options.quick or options.without_stock:
        print(*(f"{one['name']}: {one['seconds']} s, ratio {one['ratio']}; {one['note']}" for one in rows), sep="\n")
        return rows
    return save("study", rows)


if __name__ == "__main__":
    main()
