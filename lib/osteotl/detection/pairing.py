"""The proof that arms differ in nothing but their initialisation."""

from __future__ import annotations

import hashlib
import json
import pickle
import platform
import random
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from osteotl.detection.errors import PairingError

# What each recorded fact is called when it differs, in the order in which differences are reported.
NAMES = {
    "model": "model",
    "image_size": "image size",
    "classes": "class count",
    "architecture": "architecture (names, shapes and types of all tensors)",
    "parameters": "number of parameters",
    "optimizer": "optimiser",
    "learning_rate": "learning rate",
    "schedule": "learning-rate schedule",
    "batch": "batch size",
    "steps": "optimiser steps",
    "epochs": "epochs",
    "augmentation": "augmentation",
    "precision": "precision",
    "device": "device",
    "threads": "threads",
    "workers": "loader workers",
    "versions": "versions",
    "films": "films trained on",
    "film_order": "order of the films",
    "film_content": "pixels or boxes of the films",
    "seed": "seed",
    "random_init": "random values before any transfer",
    "random_state": "random state at the start",
    "first_batch": "first batch (pixels and boxes)",
}
# An arm may declare that it differs: a second run with other seeds (A/A), or a longer training. Then these follow.
FOLLOWS = {
    "seed": {"seed", "random_init", "random_state", "first_batch", "film_order", "film_content", "films", "batches"},
    "steps": {"steps", "epochs", "schedule", "batches"},
}
PACKAGES = ("torch", "ultralytics-opencv-headless", "numpy", "opencv-python-headless")


def versions() -> dict[str, str]:
    """Versions that training's numbers depend on."""
    found = {"python": platform.python_version(), "processor": platform.machine()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:  # another build of the same library: ultralytics, opencv-python
            found[package] = version("ultralytics") if package.startswith("ultralytics") else "other"
    return found


def random_state(extra: bytes = b"") -> str:
    """One hash over the state of every generator that training draws from."""
    import torch

    parts = pickle.dumps(random.getstate(), protocol=4) + np.random.get_state()[1].tobytes()  # type: ignore[union-attr]  # noqa: NPY002 - ultralytics draws from it
    return hashlib.sha256(parts + torch.get_rng_state().numpy().tobytes() + extra).hexdigest()


def batch_digest(batch: Mapping[str, Any]) -> str:
    """One hash over the films of a batch as the detector sees them: names, pixels, boxes."""
    total = hashlib.sha256("\n".join(map(str, batch["im_file"])).encode())
    for name in ("img", "bboxes", "cls", "batch_idx"):
        total.update(batch[name].cpu().contiguous().numpy().tobytes())
    return total.hexdigest()


def architecture(state: Mapping[str, Any]) -> str:
    """One hash over names, shapes and types of all tensors, in order."""
    return hashlib.sha256("\n".join(f"{n} {tuple(t.shape)} {t.dtype}" for n, t in state.items()).encode()).hexdigest()


def check_static(facts: Sequence[Mapping[str, Any]]) -> None:
    """Compare what is known before training.

    Parameters
    ----------
    facts : sequence of mappings
        One per arm of the same (fraction, seed), as `training.static_facts` gives them: `arm`, `declared` (what the
        arm says it does differently: seed, steps) and the facts of `NAMES`.

    Raises
    ------
    PairingError
        Naming every undeclared difference from the first arm.
    """
    if not facts:
        return
    first, faults = facts[0], []
    for other in facts[1:]:
        declared = _declared(first) | _declared(other)
        for name, shown in NAMES.items():
            if name not in declared and first.get(name) != other.get(name):
                faults.append(f"{shown}: {_difference(first, other, name)}")
    if faults:
        raise PairingError(faults)


def check_batches(pairings: Sequence[Mapping[str, Any]]) -> None:
    """Compare finished replicates of one (fraction, seed): static facts, then every epoch's batches, films and steps.

    Parameters
    ----------
    pairings : sequence of mappings
        Contents of pairing.json.

    Raises
    ------
    PairingError
        Naming every undeclared difference, with the first epoch whose batches differ.
    """
    check_static([pairing["static"] for pairing in pairings])
    first, faults = pairings[0], []
    for other in pairings[1:]:
        arms = f"{first['static']['arm']} and {other['static']['arm']}"
        if "batches" in _declared(first["static"]) | _declared(other["static"]):
            continue
        mine, theirs = first["trained"], other["trained"]
        epochs = [i for i, (a, b) in enumerate(zip(mine["batches"], theirs["batches"], strict=False), 1) if a != b]
        if epochs or len(mine["batches"]) != len(theirs["batches"]):
            faults.append(f"batches: {arms} saw other films or boxes from epoch {epochs[0] if epochs else 'last'} on")
        faults += [
            f"{shown}: {arms} differ ({mine[name]} and {theirs[name]})"
            for name, shown in {"films_seen": "films seen", "steps": "steps taken"}.items()
            if mine[name] != theirs[name]
        ]
        if first["initialisation"]["random_init"] != other["initialisation"]["random_init"]:
            faults.append(f"random values before any transfer: {arms} differ")
    if faults:
        raise PairingError(faults)


def read_pairings(out: str | Path, arms: Sequence[str], fraction: float, seed: int) -> list[dict[str, Any]]:
    """The pairing.json of every arm of one (fraction, seed).

    Raises
    ------
    ValueError
        If one is missing.
    """
    paths = [Path(out) / "finetune" / arm / f"{fraction:g}" / str(seed) / "pairing.json" for arm in arms]
    if missing := [path for path in paths if not path.exists()]:
        raise ValueError(f"{missing[0]} is missing: run 02_finetune for it first")
    return [json.loads(path.read_text(encoding="utf-8")) for path in paths]


def check_study(out: str | Path, arms: Sequence[str], fractions: Sequence[float], seeds: Sequence[int]) -> pd.DataFrame:
    """Compare every finished replicate of a study; returns the table that shows it.

    Raises
    ------
    PairingError
        For the first (fraction, seed) whose arms differ.
    """
    tables = []
    for fraction in fractions:
        for seed in seeds:
            pairings = read_pairings(out, arms, fraction, seed)
            check_batches(pairings)
            tables.append(pairing_table(pairings).assign(fraction=fraction, seed=seed))
    return pd.concat(tables, ignore_index=True)


def pairing_table(pairings: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """One row per fact, one column per arm, and whether all agree; hashes shortened to 12 digits."""
    rows = []
    for name, shown in NAMES.items():
        rows.append({"fact": shown, **{p["static"]["arm"]: _short(p["static"].get(name)) for p in pairings}})
    shown_after = {
        "batches of every epoch": lambda p: _short(p["trained"]["all_batches"]),
        "films seen": lambda p: p["trained"]["films_seen"],
        "steps taken": lambda p: p["trained"]["steps"],
        "weights from": lambda p: p["initialisation"]["source"] or "random",
        "tensors from there": lambda p: f"{p['initialisation']['from_source']} of {p['initialisation']['tensors']}",
        "share of parameters": lambda p: f"{p['initialisation']['share']:.1%}",
        "weights at the start": lambda p: _short(p["initialisation"]["start"]),
    }
    for shown, get in shown_after.items():
        rows.append({"fact": shown, **{p["static"]["arm"]: str(get(p)) for p in pairings}})
    table = pd.DataFrame(rows)
    return table.assign(equal=table.drop(columns="fact").nunique(axis=1).eq(1))


def _declared(facts: Mapping[str, Any]) -> set[str]:
    return set().union(*(FOLLOWS[what] for what in facts.get("declared", [])))


def _difference(first: Mapping[str, Any], other: Mapping[str, Any], name: str) -> str:
    one, two = first.get(name), other.get(name)
    if isinstance(one, Mapping) and isinstance(two, Mapping):
        keys = [key for key in sorted({*one, *two}) if one.get(key) != two.get(key)]
        one, two = {k: one.get(k) for k in keys}, {k: two.get(k) for k in keys}
    return f"{first['arm']} has {_short(one)}, {other['arm']} has {_short(two)}"


def _short(value: Any) -> str:
    if isinstance(value, str) and len(value) == 64:
        return value[:12]
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_short(item)}" for key, item in value.items())
    return f"{value:g}" if isinstance(value, float) else str(value)
