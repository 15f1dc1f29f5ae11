"""What training writes down, as small as it can be: model.json and pairing.json of an arm's first seed."""

from __future__ import annotations

from typing import Any


def training_records(arms: tuple[str, ...] = ("scratch", "transfer")) -> dict[str, dict[str, Any]]:
    """Arm: {"model", "pairing"} in the form that 02_finetune writes."""
    return {arm: {"model": _model(position), "pairing": _pairing(arm)} for position, arm in enumerate(arms)}


def _model(position: int) -> dict[str, Any]:
    return {
        "model": "yolov5n",
        "classes": 1,
        "image_size": 160,
        "parameters": 2507507,
        "steps": 412,
        "epochs": 16,
        "batch": 8,
        "optimizer": "AdamW",
        "learning_rate": 0.001,
        "augmentation": {"fliplr": 0.5, "mosaic": 0.0, "hsv_v": 0.2},
        "precision": "float32",
        "device": "cpu",
        "training_films": {"films": 200, "patients": 158, "with_lesion": 80, "sites": ["A"]},
        "weights_sha256": f"{position}" * 64,
    }


def _pairing(arm: str) -> dict[str, Any]:
    moved = 0 if arm == "scratch" else 421
    return {"initialisation": {"kind": "random" if not moved else "pretrain", "tensors": 427, "from_source": moved,
                               "share": moved / 427}}  # fmt: skip
