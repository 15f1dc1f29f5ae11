"""Row `study`: pretraining, two arms x two seeds and scoring of the external films, against the stock `yolo` commands.

The peer runs one command after another with the same films, image size, batch and epochs, everything else default; ours
runs as the study does: single-threaded processes side by side, scratch replicates beside pretraining. Both start from
prepared films on disk, and both include every import. Run it on a quiet machine: `./run_all.sh bench study`.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd

from _measure import Row, row, save
from osteotl.study import Study, load_study

SEEDS = (0, 1)
OURS = """
import sys
from osteotl.study import load_study
from osteotl.detection import scoring, training
config, out, data, what, *rest = sys.argv[1:]
study = load_study(config)
study = study.model_copy(update={"seeds": [0, 1], "fractions": [1.0]})
if what == "pretrain":
    training.pretrain(study, out, data)
elif what == "finetune":
    training.finetune(study, rest[0], 1.0, int(rest[1]), out, data)
else:
    parts = {c: scoring.score_study(study, c, out, data) for c in ("validation", "external")}
    scoring.write_predictions(parts["validation"], parts["external"], lambda name: out + "/" + name)
"""


def prepare(study: Study, folder: Path) -> tuple[Path, Path]:
    """The default study's films, drawn once; what both sides start from."""
    from osteotl.cohorts import tables

    out, data = folder / "outputs", folder / "data"
    out.mkdir(parents=True, exist_ok=True)
    if not (out / "cohorts" / "boxes.csv").exists():
        tables.build_cohorts(study, out, data)
    return out, data


def ours(config: str, out: Path, data: Path, processes: int) -> float:
    """Wall seconds of our side."""

    def run(*what: str) -> None:
        command = [sys.executable, "-c", OURS, config, str(out), str(data), *what]
        subprocess.run(command, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})

    start = time.perf_counter()
    with ThreadPoolExecutor(processes) as pool:
        pretraining = pool.submit(run, "pretrain")
        jobs: list[Future] = [pool.submit(run, "finetune", "scratch", str(seed)) for seed in SEEDS]
        pretraining.result()
        jobs += [pool.submit(run, "finetune", "transfer", str(seed)) for seed in SEEDS]
        for job in jobs:
            job.result()
    run("score")
    return time.perf_counter() - start


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


def stock(study: Study, folder: Path) -> float:
    """Wall seconds of the stock commands, one after another."""
    detector = study.detector
    config = folder / "config" / "Ultralytics"
    config.mkdir(parents=True, exist_ok=True)
    from matplotlib import font_manager

    (config / "Arial.ttf").write_bytes(Path(font_manager.findfont("DejaVu Sans")).read_bytes())
    environment = {
        **os.environ,
        "YOLO_OFFLINE": "1",
        "YOLO_AUTOINSTALL": "0",
        "YOLO_CONFIG_DIR": str(folder / "config"),
    }
    environment.pop("OMP_NUM_THREADS", None)
    shared = [f"imgsz={detector.image_size}", f"batch={detector.batch}", "device=cpu", f"project={folder / 'runs'}"]

    def run(*arguments: str) -> None:
        yolo = str(Path(sys.executable).with_name("yolo"))
        subprocess.run([yolo, *arguments, *shared], check=True, env=environment, stdout=subprocess.DEVNULL)

    # amp=False: its check downloads a model, which a hospital network refuses
    common = [f"model={detector.model}.yaml", "amp=False"]
    start = time.perf_counter()
    run(
        "detect",
        "train",
        *common,
        f"data={folder / 'pretrain' / 'data.yaml'}",
        f"epochs={detector.pretrain_epochs}",
        "name=pre",
    )
    pre = folder / "runs" / "pre" / "weights" / "last.pt"
    knees = f"data={folder / 'development' / 'data.yaml'}"
    for arm, given in {"scratch": "pretrained=False", "transfer": f"pretrained={pre}"}.items():
        for seed in SEEDS:
            name = f"{arm}{seed}"
            run("detect", "train", *common, knees, f"epochs={detector.epochs}", f"seed={seed}", given, f"name={name}")
            weights = folder / "runs" / name / "weights" / "last.pt"
            films = folder / "external" / "images" / "test"
            run(
                "detect",
                "predict",
                f"model={weights}",
                f"source={films}",
                "save=False",
                "verbose=False",
                f"name={name}p",
            )
    return time.perf_counter() - start


def main() -> list[Row]:
    """Measure both sides and save the row."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", default="study.yaml")
    parser.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--without-stock", action="store_true", help="our side only")
    options = parser.parse_args()
    study = load_study(options.config)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        out, data = prepare(study, folder)
        mine = ours(options.config, out, data, options.processes)
        theirs = None
        if not options.without_stock:
            as_yolo(out, data, folder / "stock")
            theirs = stock(study, folder / "stock")
    share = "" if theirs is None else f"; ours takes {mine / theirs:.2f} of stock's wall time"
    note = f"pretrain + 2 arms x {len(SEEDS)} seeds + scoring, {options.processes} processes{share}"
    films = len(SEEDS) * 2
    ratio = None if theirs is None else theirs / mine
    return save("study", [row("study", mine, n=films, peer="yolo commands, one after another", ratio=ratio, note=note)])


if __name__ == "__main__":
    main()
