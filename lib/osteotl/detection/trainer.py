"""ultralytics' own training loop, with everything that could differ between arms taken out of it.

Kept: model, loss, assigner, augmentation, optimiser groups, warm-up, schedule, averaging of weights. Left out, for
every arm alike: choosing weights by validation, intermediate checkpoints, plots, recovery that changes the batch size.
"""

from __future__ import annotations

import hashlib
import math
import random
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import torch
from ultralytics.data.build import build_dataloader
from ultralytics.data.dataset import YOLODataset
from ultralytics.models.yolo.detect import DetectionTrainer
from ultralytics.nn.tasks import DetectionModel

from osteotl.detection import hermetic
from osteotl.detection.errors import Replicate, TrainingError
from osteotl.detection.films import Films
from osteotl.detection.initialisation import CLASSES
from osteotl.detection.pairing import batch_digest, random_state

hermetic.silence()


@dataclass(frozen=True)
class Plan:
    """Everything that decides how one replicate trains, except its first weights."""

    name: str
    replicate: Replicate | None
    model: str
    image_size: int
    batch: int
    optimizer: str
    learning_rate: float
    augmentation: dict[str, float]
    steps: int
    epochs: int
    warmup_steps: int
    seed: int
    precision: str
    device: str
    threads: int
    workers: int
    checkpoints: tuple[int, ...] = ()
    declared: tuple[str, ...] = ()

    def overrides(self, folder: str) -> dict[str, Any]:
        """ultralytics' arguments; what is not named keeps its default."""
        return {
            "model": f"{self.model}.yaml", "data": "osteotl", "task": "detect", "save_dir": folder, "exist_ok": True,
            "imgsz": self.image_size, "batch": self.batch, "nbs": self.batch, "epochs": self.epochs, "patience": 0,
            "optimizer": self.optimizer, "lr0": self.learning_rate, "seed": self.seed, "deterministic": True,
            "device": self.device.removeprefix("cuda:"), "workers": self.workers, "cache": False, "pretrained": False,
            "amp": "bf16" if self.precision == "bf16" and self.device != "cpu" else False, "val": False, "save": False,
            "plots": False, "verbose": False, "warmup_bias_lr": 0.0, **self.augmentation,
        }  # fmt: skip


class Brightness:
    """Scale grey values by 1 +- gain: ultralytics' own brightness change leaves one-channel films as they are."""

    def __init__(self, gain: float):
        self.gain = gain

    def __call__(self, labels: dict[str, Any]) -> dict[str, Any]:
        factor = 1 + random.uniform(-self.gain, self.gain)
        table = np.clip(np.arange(256) * factor, 0, 255).astype(np.uint8)
        labels["img"] = cv2.LUT(labels["img"], table).reshape(labels["img"].shape)
        return labels


class SquareDataset(YOLODataset):
    """Our letterboxed films as an ultralytics data set: no file is scanned, repaired or dropped."""

    def __init__(self, films: Films, hyp: Any, batch: int):
        self.films = films
        names = {"names": dict(CLASSES), "nc": len(CLASSES), "channels": 1}
        super().__init__(
            img_path="", imgsz=films.size, augment=True, hyp=hyp, batch_size=batch, data=names, task="detect"
        )
        self.cache = "ram"  # mosaic then draws its partners from all films, not from those read last

    def get_img_files(self, img_path: str | list[str]) -> list[str]:
        return self.films.ids

    def get_labels(self) -> list[dict[str, Any]]:
        size = self.films.size
        return [
            _label(image_id, boxes / size, size)
            for image_id, boxes in zip(self.films.ids, self.films.boxes, strict=True)
        ]

    def load_image(self, i: int, rect_mode: bool = True, resize_short: bool = False) -> Any:
        image = self.films.images[i][..., None].copy()
        return image, image.shape[:2], image.shape[:2]

    def build_transforms(self, hyp: Any = None) -> Any:
        transforms = super().build_transforms(hyp)
        if hyp.hsv_v:
            transforms.insert(-1, Brightness(hyp.hsv_v))
        return transforms


def _label(image_id: str, corners: np.ndarray, size: int) -> dict[str, Any]:
    low, high = corners[:, :2], corners[:, 2:]
    boxes = np.concatenate([(low + high) / 2, high - low], 1).astype(np.float32).reshape(-1, 4)
    return {
        "im_file": image_id, "shape": (size, size), "cls": np.zeros((len(boxes), 1), np.float32), "bboxes": boxes,
        "segments": [], "keypoints": None, "normalized": True, "bbox_format": "xywh",
    }  # fmt: skip


@dataclass
class Record:
    """What a training run leaves behind beside its weights."""

    batches: list[str] = field(default_factory=list)
    history: list[dict[str, float]] = field(default_factory=list)
    films_seen: int = 0
    step: int = 0


class PairedTrainer(DetectionTrainer):
    """One replicate: fixed steps, last averaged weights, every batch hashed."""

    # ultralytics fills these step by step and declares them None or a path
    model: Any
    optimizer: Any
    ema: Any
    loss: Any
    tloss: Any
    opening = ""  # hash of the first batch, where it was asked for
    state_at_start = ""

    def __init__(
        self, plan: Plan, model: DetectionModel, films: Films, on_step: Callable[[PairedTrainer], None] | None = None
    ):
        self.plan, self.films, self.on_step = plan, films, on_step
        self.record = Record()
        self.snapshots: dict[int, dict[str, torch.Tensor]] = {}
        self._epoch_hash = hashlib.sha256()
        self._folder = tempfile.TemporaryDirectory(dir=hermetic.prepare())
        super().__init__(overrides=plan.overrides(self._folder.name))
        self.model = model
        self.callbacks.clear()
        for event in ("on_pretrain_routine_end", "on_train_batch_end", "on_train_epoch_end"):
            self.callbacks[event] = [getattr(PairedTrainer, f"_{event}")]

    # --- what ultralytics asks for -----------------------------------------------------------------------------------

    def get_dataset(self) -> dict[str, Any]:
        return {"train": "", "val": "", "names": dict(CLASSES), "nc": len(CLASSES), "channels": 1}

    def get_dataloader(self, dataset_path: str, batch_size: int = 16, rank: int = 0, mode: str = "train") -> Any:
        if mode == "val":
            return self.train_loader
        dataset = SquareDataset(self.films, self.args, batch_size)
        return build_dataloader(dataset, batch_size, self.args.workers, shuffle=True, rank=rank, device=self.device)

    def get_validator(self) -> Any:
        return SimpleNamespace(metrics=SimpleNamespace(keys=[]), dataloader=None)

    def setup_model(self) -> None:
        if self.device.type == "cpu":  # ultralytics does so on a GPU only; 1.2 times faster here, equal for all arms
            self.model = self.model.to(memory_format=torch.channels_last)

    def build_optimizer(self, *args: Any, **kwargs: Any) -> torch.optim.Optimizer:
        plain = super().build_optimizer(*args, **kwargs)
        for group in plain.param_groups:  # ultralytics fuses the update on a GPU only; one kernel serves all tensors
            group.update(fused=True, foreach=False)
        return type(plain)(plain.param_groups)

    def _get_warmup_iterations(self, num_batches: int) -> int:
        return self.plan.warmup_steps

    def preprocess_batch(self, batch: dict[str, Any]) -> dict[str, Any]:
        self._oom_retries = 3  # no silent halving of one arm's batch: out of memory is an error
        self._epoch_hash.update(batch_digest(batch).encode())
        self.record.films_seen += len(batch["im_file"])
        batch = super().preprocess_batch(batch)
        batch["img"] = batch["img"].to(memory_format=torch.channels_last)
        return batch

    def validate(self) -> tuple[dict[str, float], float]:
        return {}, 0.0

    def save_model(self) -> bool:
        return False

    def final_eval(self) -> None:
        """Nothing: the last weights are the result."""

    def plot_training_labels(self) -> None:
        """Nothing is plotted while training."""

    def save_metrics(self, metrics: dict[str, float]) -> None:
        losses = {name: float(value) for name, value in (self.tloss or {}).items()}
        row = {"epoch": self.epoch + 1, "step": self.record.step, "loss": sum(losses.values()), **losses}
        self.record.history.append({**row, "learning_rate": self.optimizer.param_groups[0]["lr"]})

    def _handle_nan_recovery(self, epoch: int) -> bool:
        self._finite()
        return False

    # --- what we add -------------------------------------------------------------------------------------------------

    def _on_pretrain_routine_end(self) -> None:
        """Set threads and every generator anew: ultralytics sets threads by the machine's number of cores."""
        torch.set_num_threads(self.plan.threads)
        random.seed(self.plan.seed)
        np.random.seed(self.plan.seed)  # noqa: NPY002 - ultralytics' augmentation draws from it
        torch.manual_seed(self.plan.seed)
        self.state_at_start = random_state(self.train_loader.generator.get_state().numpy().tobytes())
        if self.plan.precision == "bf16" and self.device.type == "cpu":
            self.model.forward = _in_bf16(self.model.forward)

    def _on_train_batch_end(self) -> None:
        self.record.step += 1
        if self.device.type == "cpu" or self.record.step % 20 == 0:
            self._finite()
        if self.record.step in self.plan.checkpoints:
            self.snapshots[self.record.step] = _copy(self.ema.ema.state_dict())
        if self.record.step >= self.plan.steps:
            self.stop = True
        if self.on_step:
            self.on_step(self)

    def _on_train_epoch_end(self) -> None:
        self.record.batches.append(self._epoch_hash.hexdigest())
        self._epoch_hash = hashlib.sha256()

    def _finite(self) -> None:
        value = float(self.loss.detach())
        if not math.isfinite(value):
            raise TrainingError(
                f"{self.plan.name}: training diverged, the loss is {value} at step {self.record.step} of "
                f"{self.plan.steps}; lower detector.learning_rate (now {self.plan.learning_rate:g})"
            )

    def first_batch(self) -> str:
        """Hash of the batch that training would start with; leaves every random state as it was."""
        states = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002 - see above
        loader = self.get_dataloader("", self.plan.batch, rank=-1)
        loader.generator.set_state(self.train_loader.generator.get_state())
        found = batch_digest(next(iter(loader)))
        loader.close()
        random.setstate(states[0])
        np.random.set_state(states[1])  # noqa: NPY002 - see above
        torch.set_rng_state(states[2])
        return found

    def close(self) -> None:
        """Give back the temporary folder and torch's settings."""
        self._folder.cleanup()
        torch.use_deterministic_algorithms(False)


def _copy(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().clone() for name, tensor in state.items()}


def _in_bf16(forward: Callable[..., Any]) -> Callable[..., Any]:
    def run(*args: Any, **kwargs: Any) -> Any:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return forward(*args, **kwargs)

    return run
