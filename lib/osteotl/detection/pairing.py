"""The proof that arms differ in nothing but their initialisation."""

from __future__ import annotations

import hashlib
import json
import pickle
import platform
import random
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from osteotl.detection.errors import PairingError, Replicate
from osteotl.study import Study

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
# An arm may declare that it differs: a second run with other seeds (A/A), or a longer training. Then these follow, and
# nothing else: films stay those of the study's seed, and a longer training starts with the same batches.
FOLLOWS = {
    "seed": {"seed", "random_init", "random_state", "first_batch", "batches"},
    "steps": {"steps", "epochs", "schedule", "films_seen", "length"},
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

    legacy: Any = np.random.get_state()  # noqa: NPY002 - ultralytics' augmentation draws from it
    parts = pickle.dumps(random.getstate(), protocol=4) + legacy[1].tobytes()
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
        Naming every undeclared difference from the first arm that declares none.
    """
    if not facts:
        return
    faults = []
    first, others = _first_and_others(facts)
    for other in others:
        declared = _declared(first) | _declared(other)
        for name, shown in NAMES.items():
            if name not in declared and first.get(name) != other.get(name):
                faults.append(f"{shown}: {_difference(first, other, name)}")
    if faults:
        raise PairingError(faults)


def check_batches(records: Sequence[Mapping[str, Any]]) -> None:
    """Compare finished replicates: static facts, then every epoch's batches, films and steps.

    Parameters
    ----------
    records : sequence of mappings
        Contents of pairing.json, of one or several (fraction, seed); arms are compared within each.

    Raises
    ------
    PairingError
        Naming every undeclared difference, with the first epoch whose batches differ.
    """
    faults: list[str] = []
    for group in _groups(records).values():
        try:
            check_static([record["static"] for record in group])
        except PairingError as error:
            faults += error.differences
        first, others = _first_and_others(group, lambda record: record["static"])
        faults += [fault for other in others for fault in _differences(first, other)]
    if faults:
        raise PairingError(faults)


def _differences(first: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """What two finished replicates of one (fraction, seed) did differently."""
    who, declared = _who(first, other), _declared(first["static"]) | _declared(other["static"])
    faults = []
    if "random_init" not in declared:
        start = first["initialisation"]["random_init"], other["initialisation"]["random_init"]
        faults += [f"random values before any transfer: {who} differ"] if start[0] != start[1] else []
    if "batches" not in declared:
        faults += _batch_differences(
            first["trained"]["batches"], other["trained"]["batches"], who, "length" in declared
        )
    for name, shown in {"films_seen": "films seen", "steps": "steps taken"}.items():
        one, two = first["trained"][name], other["trained"][name]
        faults += [f"{shown}: {who} differ ({one} and {two})"] if one != two and name not in declared else []
    return faults


def _batch_differences(mine: Sequence[str], theirs: Sequence[str], who: str, other_length: bool) -> list[str]:
    """Epochs whose films or boxes differ; of trainings of unlike length the shorter's last epoch may be cut off."""
    shared = min(len(mine), len(theirs)) - int(other_length)
    epochs = [i for i, (a, b) in enumerate(zip(mine[:shared], theirs[:shared], strict=True), 1) if a != b]
    if epochs:
        return [f"batches: {who} saw other films or boxes from epoch {epochs[0]} on"]
    if len(mine) != len(theirs) and not other_length:
        return [f"batches: {who} trained for {len(mine)} and {len(theirs)} epochs"]
    return []


def read_records(study: Study, read: Callable[[str], Path]) -> list[dict[str, Any]]:
    """The pairing.json of every replicate of a study, in its order.

    Parameters
    ----------
    study : Study
    read : callable
        Maps a file's name below the outputs folder to its path.
    """
    names = [f"finetune/{Replicate(*each).folder}/pairing.json" for each in study.replicates()]
    return [json.loads(Path(read(name)).read_text(encoding="utf-8")) for name in names]


def table(records: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """What the arms have in common and where they differ, for display.

    Returns
    -------
    DataFrame
        One row per (fraction, seed) and fact; one column per arm, hashes shortened to 12 digits; `equal`.
    """
    shown = [
        _group_table(group).assign(fraction=fraction, seed=seed) for (fraction, seed), group in _groups(records).items()
    ]
    whole = pd.concat(shown, ignore_index=True)
    return whole[["fraction", "seed", *[column for column in whole if column not in ("fraction", "seed")]]]


def _group_table(group: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    after: dict[str, Callable[[Mapping[str, Any]], str]] = {
        "batches of every epoch": lambda r: _short(r["trained"]["all_batches"]),
        "films seen": lambda r: str(r["trained"]["films_seen"]),
        "steps taken": lambda r: str(r["trained"]["steps"]),
        "weights from": lambda r: r["initialisation"]["source"] or "random values",
        "tensors from there": lambda r: f"{r['initialisation']['from_source']} of {r['initialisation']['tensors']}",
        "share of parameters": lambda r: f"{r['initialisation']['share']:.1%}",
        "weights at the start": lambda r: _short(r["initialisation"]["start"]),
    }
    rows = [
        {"fact": shown, **{r["static"]["arm"]: _short(r["static"].get(name)) for r in group}}
        for name, shown in NAMES.items()
    ]
    rows += [{"fact": shown, **{r["static"]["arm"]: get(r) for r in group}} for shown, get in after.items()]
    frame = pd.DataFrame(rows)
    return frame.assign(equal=frame.drop(columns="fact").nunique(axis=1).eq(1))


def _groups(records: Sequence[Mapping[str, Any]]) -> dict[tuple[float, int], list[Mapping[str, Any]]]:
    groups: dict[tuple[float, int], list[Mapping[str, Any]]] = {}
    for record in records:
        replicate = record["replicate"]
        groups.setdefault((replicate["fraction"], replicate["seed"]), []).append(record)
    return groups


def _first_and_others(
    group: Sequence[Mapping[str, Any]], facts: Callable[[Mapping[str, Any]], Mapping[str, Any]] = lambda record: record
) -> tuple[Mapping[str, Any], list[Mapping[str, Any]]]:
    """The arm to compare with, and the rest: were it one that declares a difference, all would pass for declared."""
    first = next((k for k, record in enumerate(group) if not facts(record).get("declared")), 0)
    return group[first], [record for k, record in enumerate(group) if k != first]


def _who(first: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    replicate = first["replicate"]
    return (
        f"arms {first['static']['arm']} and {other['static']['arm']} "
        f"(fraction {replicate['fraction']:g}, seed {replicate['seed']})"
    )


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
