"""What a training run leaves behind: weights, history and facts, written whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from osteotl.detection.films import Films
from osteotl.detection.initialisation import CLASSES
from osteotl.detection.pairing import versions
from osteotl.detection.trainer import PairedTrainer, Plan
from osteotl.detection.weights import save_weights
from osteotl.files import sha256, write_csv, write_json


@dataclass(frozen=True)
class Trained:
    """A finished training run.

    Attributes
    ----------
    folder : Path
        Where weights.safetensors, training.csv and pairing.json or model.json lie.
    weights : Path
    facts : dict
        Content of model.json or pairing.json.
    history : DataFrame
        Columns epoch, step, box_loss, cls_loss, dfl_loss, learning_rate: one row per epoch.
    """

    folder: Path
    weights: Path
    facts: dict[str, Any]
    history: pd.DataFrame


def model_facts(films: Films, trainer: PairedTrainer, plan: Plan) -> dict[str, Any]:
    """What is needed to rebuild the detector and to write its model card."""
    table = films.table
    return {
        "model": plan.model, "classes": len(CLASSES), "names": list(CLASSES.values()), "channels": 1,
        "image_size": plan.image_size, "letterbox": "square, grey 114", "licence": "AGPL-3.0 (ultralytics)",
        "parameters": sum(p.numel() for p in trainer.model.parameters()), "seed": plan.seed,
        "steps": trainer.record.step,
        "epochs": plan.epochs, "batch": plan.batch, "optimizer": plan.optimizer, "learning_rate": plan.learning_rate,
        "augmentation": plan.augmentation, "precision": plan.precision, "device": device_name(plan.device),
        "versions": versions(), "replicate": asdict(plan.replicate) if plan.replicate else None,
        "training_films": {
            "films": len(table), "patients": int(table["patient_id"].nunique()),
            "with_lesion": int((table["label"] == 1).sum()),
            "boxes": int(sum(len(boxes) for boxes in films.boxes)), "sites": sorted(table["site"].unique().tolist()),
            "content": films.digest(),
        },
    }  # fmt: skip


def write_run(
    folder: Path, trainer: PairedTrainer, facts: dict[str, Any], name: str, model: dict[str, Any] | None = None
) -> Trained:
    """Write aside, then rename the folder whole: a killed run leaves nothing that looks finished."""
    history = pd.DataFrame(trainer.record.history)
    with whole_folder(folder) as aside:
        described = facts if model is None else model
        weights = save_weights(aside / "weights.safetensors", trainer.ema.ema.state_dict(), _rebuild_facts(described))
        if trainer.plan.checkpoints:  # the folder stands where the study asks for it, though no step was reached
            (aside / "checkpoints").mkdir()
        for step, state in sorted(trainer.snapshots.items()):
            save_weights(aside / "checkpoints" / f"{step:06d}.safetensors", state, _rebuild_facts(described))
        facts = {**facts, "weights_sha256": sha256(weights)}
        write_csv(aside / "training.csv", history)
        write_json(aside / name, facts)
        if model is not None:
            write_json(aside / "model.json", {**model, "weights_sha256": facts["weights_sha256"]})
    return Trained(folder, folder / "weights.safetensors", facts, history)


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """A folder beside the wanted one that takes its place only if everything in it was written."""
    aside = folder.with_name(f".{folder.name}.{os.getpid()}.part")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    try:
        yield aside
        keep = folder / "equal_epochs"
        if keep.is_dir() and not (aside / "equal_epochs").exists():
            shutil.rmtree(keep)
        if folder.exists():
            shutil.rmtree(folder)
        aside.replace(folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _rebuild_facts(facts: dict[str, Any]) -> dict[str, Any]:
    return {name: facts[name] for name in ("model", "classes", "names", "channels", "image_size", "letterbox", "seed")}


def device_name(device: str) -> str:
    return "cpu" if device == "cpu" else torch.cuda.get_device_name(device)
