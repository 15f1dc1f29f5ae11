"""Which device, how many threads, how many replicates at once: decided here, recorded in every pairing.json."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass

# Gigabytes that one replicate holds on a GPU: context and workspaces, and per film of a batch at 640 px (float32).
# Upper estimates from the activations that YOLOv5's backward pass keeps; benchmarks/bench_gpu.py prints what was used.
_CONTEXT = 1.2
_PER_FILM = {"yolov5n": 0.16, "yolov5s": 0.28, "yolov5m": 0.47, "yolov5l": 0.71, "yolov5x": 1.0}
_KEPT_FREE = 0.10


@dataclass(frozen=True)
class Gpu:
    """One GPU as the driver reports it; memory in gigabytes, `uuid` its name for CUDA_VISIBLE_DEVICES."""

    index: int
    name: str
    total: float
    free: float
    uuid: str = ""


def choose_device(wanted: str = "auto") -> str:
    """The torch device for one replicate.

    Parameters
    ----------
    wanted : str
        auto (a GPU where torch sees one, else the CPU), cpu, cuda, or cuda:N.

    Raises
    ------
    ValueError
        If a GPU is asked for and torch sees none, or not that many.
    """
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if wanted == "cpu" or (wanted == "auto" and count == 0):
        return "cpu"
    index = int(wanted.partition(":")[2] or 0) if wanted != "auto" else 0
    if index >= count:
        raise ValueError(f"detector.device is {wanted!r}, but torch sees {count} GPUs here; use auto or cpu")
    return f"cuda:{index}"


def settle_threads(device: str) -> int:
    """Set and return the threads of this process.

    On a CPU one: replicates side by side use the cores better than threads inside one, and sums in another order are
    not bit-equal (one against two threads: 4e-6 after an epoch), which would be a difference between arms.
    """
    import torch

    threads = 1 if device == "cpu" else max(1, min(4, (os.cpu_count() or 1) // 4))
    torch.set_num_threads(threads)
    return threads


def loader_workers(device: str) -> int:
    """Processes that read films for one replicate; the augmented films depend on it, so it is equal for all arms."""
    return 0 if device == "cpu" else 4


def gpus() -> list[Gpu]:
    """The GPUs that nvidia-smi lists, or none; needs no torch, so that the engine can ask before anything starts."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return []
    query = [tool, "--query-gpu=index,name,memory.total,memory.free,uuid", "--format=csv,noheader,nounits"]
    answer = subprocess.run(query, capture_output=True, text=True, timeout=30, check=False)
    if answer.returncode != 0:
        return []
    rows = [line.split(", ") for line in answer.stdout.strip().splitlines()]
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    shown = None if visible is None else {part.strip() for part in visible.split(",")}
    return [
        Gpu(int(index), name, float(total) / 1024, float(free) / 1024, uuid)
        for index, name, total, free, uuid in rows
        if shown is None or index in shown or uuid in shown
    ]


def replicate_memory(model: str, image_size: int, batch: int, precision: str = "float32") -> float:
    """Gigabytes of GPU memory that one replicate is expected to hold.

    Parameters
    ----------
    model : str
        yolov5n to yolov5x.
    image_size, batch : int
        As in study.yaml.
    precision : str
        float32 or bf16 (activations at half the size).
    """
    films = batch * (image_size / 640) ** 2 * (0.6 if precision == "bf16" else 1.0)
    return _CONTEXT + films * _PER_FILM[model]


def replicates_per_gpu(model: str, image_size: int, batch: int, precision: str = "float32", *, free: float) -> int:
    """How many replicates fit side by side into this many free gigabytes of a GPU, at least 1."""
    return max(1, int(free * (1 - _KEPT_FREE) / replicate_memory(model, image_size, batch, precision)))


def cores() -> int:
    """Cores that this process may use, at least 1."""
    return max(1, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)


def bf16_allowed(device: str) -> bool:
    """Whether the device computes in bf16 itself; elsewhere bf16 is emulated and slower than float32."""
    import torch

    if device.startswith("cuda"):
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return bool(torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported())
