"""Row `gpu`: films per second of replicates packed on one GPU against one stock run after another (yolov5s, 640 px).

Needs a CUDA GPU; without one it writes a row that says so and measures nothing.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from _measure import Row, row, save
from osteotl.detection import hardware
from osteotl.study import parse_study

MODEL, SIZE, BATCH, FILMS, EPOCHS = "yolov5s", 640, 16, 320, 4
OURS = """
import sys
import yaml
from osteotl.study import parse_study
from osteotl.detection import training
study = parse_study(yaml.safe_load(open(sys.argv[1])))
training.finetune(study, "scratch", 1.0, int(sys.argv[4]), sys.argv[2], sys.argv[3])
"""


def content(precision: str, seeds: int) -> dict:
    """A study of knees drawn at full size; external and validation films are few because only training is timed."""
    knee = {"reader": "phantom-knee", "image_size": SIZE}
    return {
        "title": "GPU benchmark",
        "reference": "scratch",
        "seeds": list(range(seeds)),
        "cohorts": {
            "pretrain": {"reader": "phantom-chest", "films": 8, "image_size": SIZE},
            "development": {**knee, "films": FILMS + 20, "validation": 20},
            "external": {**knee, "films": 20, "seed": 1},
        },
        "arms": {"scratch": {"initialise": "random"}, "again": {"initialise": "random", "seed_offset": 1000}},
        "detector": {"model": MODEL, "image_size": SIZE, "batch": BATCH, "epochs": EPOCHS, "precision": precision},
    }


def packed(config: Path, out: Path, data: Path, replicates: int) -> float:
    """Films per second of all replicates together, imports included."""
    start = time.perf_counter()
    command = [sys.executable, "-c", OURS, str(config), str(out), str(data)]
    running = [subprocess.Popen([*command, str(seed)]) for seed in range(replicates)]
    if any(process.wait() for process in running):
        raise RuntimeError("a packed replicate failed: lower --replicates")
    return replicates * FILMS * EPOCHS / (time.perf_counter() - start)


def stock(out: Path, data: Path, folder: Path) -> float:
    """Films per second of one stock run, imports included; runs one after another have the same rate."""
    from bench_study import as_yolo

    as_yolo(out, data, folder)
    environment = {
        **os.environ,
        "YOLO_OFFLINE": "1",
        "YOLO_AUTOINSTALL": "0",
        "YOLO_CONFIG_DIR": str(folder / "config"),
    }
    yolo = str(Path(sys.executable).with_name("yolo"))
    arguments = [f"model={MODEL}.yaml", f"data={folder / 'development' / 'data.yaml'}", f"epochs={EPOCHS}", "amp=False"]
    arguments += [f"imgsz={SIZE}", f"batch={BATCH}", "device=0", f"project={folder / 'runs'}", "pretrained=False"]
    start = time.perf_counter()
    subprocess.run([yolo, "detect", "train", *arguments], check=True, env=environment, stdout=subprocess.DEVNULL)
    return FILMS * EPOCHS / (time.perf_counter() - start)


def main() -> list[Row]:
    """Measure, or say why not."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replicates", type=int, help="default: as many as memory allows")
    parser.add_argument("--precision", default="bf16", choices=["bf16", "float32"])
    options = parser.parse_args()
    found = hardware.gpus()
    if not found:
        return save("gpu", [row("gpu", None, note="not run: no GPU")])
    fit = hardware.replicates_per_gpu(MODEL, SIZE, BATCH, options.precision, found[0].free)
    replicates = options.replicates or min(fit, hardware.cores())
    import yaml

    from osteotl.cohorts import tables

    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        given = content(options.precision, replicates)
        (folder / "study.yaml").write_text(yaml.safe_dump(given))
        out, data = folder / "outputs", folder / "data"
        out.mkdir()
        tables.build_cohorts(parse_study(given), out, data)
        ours = packed(folder / "study.yaml", out, data, replicates)
        peer = stock(out, data, folder / "stock")
    note = (
        f"{ours:.0f} films/s of {replicates} packed replicates ({options.precision}) against {peer:.0f}; {MODEL}, "
        f"{SIZE} px, batch {BATCH}; {found[0].name}, {found[0].total:.0f} GB, about "
        f"{hardware.replicate_memory(MODEL, SIZE, BATCH, options.precision):.1f} GB expected a replicate"
    )
    films = replicates * FILMS * EPOCHS
    return save(
        "gpu", [row("gpu", films / ours, n=films, peer="stock yolo, one after another", ratio=ours / peer, note=note)]
    )


if __name__ == "__main__":
    main()
