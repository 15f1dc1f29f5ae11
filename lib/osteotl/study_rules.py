"""Rules of a study file that no single key can break: between its sections, and in its texts; on the raw content."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Iterator
from typing import Any

from osteotl.names import collisions, hidden_character, not_matched

MOST_FAULTS = 50
PATHS = {"root", "images", "annotations", "table", "patients", "initialise", "pretrained_weights", "predictions"}
MOST_REPLICATES = 10_000
GIVEN = "statistics.operating_points.given"


def _section(content: Any, *keys: str) -> Any:
    """A part of the raw file, or None where it is missing or not a mapping."""
    for key in keys:
        content = content.get(key) if isinstance(content, dict) else None
    return content


def between_sections(content: dict[str, Any]) -> list[str]:
    """Rules that join sections, on the raw file: they are reported beside the faults of single keys, not after them."""
    faults = []
    arms = _section(content, "arms") if isinstance(_section(content, "arms"), dict) else {}
    reference, fractions = content.get("reference"), content.get("fractions", [1.0])
    named = ", ".join(map(str, list(arms)[:10])) + (" ..." if len(arms) > 10 else "")
    if content.get("predictions") is None:
        if content.get("cohorts") is None:
            faults.append("cohorts: missing (or name a predictions file)")
        if len(arms) < 2:
            faults.append(f"arms: name at least two arms to compare (got {len(arms)})")
        shown = str(fractions)[:60]
        if isinstance(fractions, list) and 1.0 not in fractions:
            faults.append(f"fractions: must hold 1.0: the headline compares arms trained on all labels (got {shown})")
        if reference is None:
            faults.append("reference: missing; name the arm that the others are compared with")
    elif content.get("robustness") is True:
        faults.append("robustness: needs films to change, and a predictions file has none; leave it out")
    if arms and isinstance(reference, str) and reference not in arms:
        faults.append(f"reference: {reference!r} is not an arm; the arms are {named}")
    given = _section(content, "statistics", "operating_points", "given")
    if arms and isinstance(given, dict):
        faults += [f"{GIVEN}: {fault}" for fault in not_matched(map(str, given), map(str, arms))]
    faults += _look_alikes(arms, fractions)
    if math.prod(len(content[key]) for key in ("arms", "fractions", "seeds")
                 if isinstance(content.get(key), list | dict)) > MOST_REPLICATES:  # fmt: skip
        faults.append(f"seeds: arms, fractions and seeds make more than {MOST_REPLICATES:,} training runs; name fewer")
    for name, arm in list(arms.items())[:MOST_FAULTS]:
        faults += [f"arms.{name}.{fault}" for fault in _arm_needs(arm, content)]
    return faults


def _look_alikes(arms: dict[Any, Any], fractions: Any) -> list[str]:
    """Names and labels of arms that the report, or a file system, could not tell apart; fractions likewise."""
    labels = [label for arm in arms.values() if isinstance(label := _section(arm, "label"), str)]
    repeated = [label for label, count in Counter(labels).items() if count > 1]
    faults = [f"arms: two arms have the label {label!r}; the report could not tell them apart" for label in repeated]
    for what, names in (
        ("arms", [name for name in arms if isinstance(name, str)]),
        ("labels of arms", list(dict.fromkeys(labels))),
    ):
        faults += [f"arms: the {what} {one!r} and {other!r} differ in case, spaces or invisible marks only"
                   for one, other in collisions(names)]  # fmt: skip
    shares = (
        [one for one in fractions if isinstance(one, float | int) and 0 < one <= 1]
        if isinstance(fractions, list)
        else []
    )
    written: dict[str, float] = {}
    for share in dict.fromkeys(shares):
        if (other := written.setdefault(f"{share:g}", share)) != share:
            faults.append(f"fractions: {other!r} and {share!r} are equal to six digits, and folders are named by them")
    return faults[:MOST_FAULTS]


def _arm_needs(arm: Any, content: dict[str, Any]) -> list[str]:
    """What an arm asks of the rest of the file."""
    faults, initialise = [], str(_section(arm, "initialise"))
    given = initialise == "pretrain" and _section(content, "detector", "pretrained_weights")
    if initialise in ("pretrain", "other_modality") and not given and _section(content, "cohorts", initialise) is None:
        faults.append(f"initialise: {initialise!r} needs cohorts.{initialise}, which is missing")
    if initialise.endswith(".pt") and not _section(arm, "allow_pickle"):
        faults.append("initialise: a .pt file can carry code; convert it to .safetensors, or set allow_pickle: true")
    if _section(arm, "train_for") == "pretrain_and_finetune" and _section(content, "cohorts", "pretrain") is None:
        faults.append("train_for: pretrain_and_finetune needs cohorts.pretrain, which is missing")
    return faults


def _texts(content: Any, place: str = "") -> Iterator[tuple[str, str]]:
    """Every text of a file with its place, names included."""
    if isinstance(content, str):
        yield place or "study", content
    elif isinstance(content, dict):
        for key, value in content.items():
            yield place or "study", str(key)
            yield from _texts(value, f"{place}.{key}" if place else str(key))
    elif isinstance(content, list):
        for number, value in enumerate(content):
            yield from _texts(value, f"{place}.{number}")


def long_paths(content: Any, place: str = "") -> list[str]:
    """Paths that no file system takes, which would end a run where they are first looked for."""
    faults = []
    for key, value in content.items() if isinstance(content, dict) else enumerate(content):
        at = f"{place}.{key}" if place else str(key)
        if isinstance(value, dict | list):
            faults += long_paths(value, at)
        elif key in PATHS and isinstance(value, str) and _too_long(value):
            faults.append(f"{at}: a path of {len(value):,} characters ({value[:40]} ...); no file can have that name")
    return faults[:MOST_FAULTS]


def _too_long(path: str) -> bool:
    """Longer than Linux takes: 4,095 bytes, 255 for each part."""
    return len(path.encode()) > 4_095 or any(len(part.encode()) > 255 for part in path.split("/"))


def hidden_texts(content: Any) -> list[str]:
    """Texts with NUL and other characters that nobody sees: no path or title is meant to hold one."""
    found = ((place, hidden_character(text, "\n\t")) for place, text in _texts(content))
    bad = [
        f"{place!r}: holds the character {hidden}, which is not shown; remove it" for place, hidden in found if hidden
    ]
    return bad[:MOST_FAULTS]


def files_missing(study: Any) -> list[str]:
    """Faults of files that a study names and that are not there: weights to start from, scores made elsewhere.

    Parameters
    ----------
    study : Study

    Notes
    -----
    Asked before anything is started, not by `load_study`: a finished study can be looked at without them.
    """
    named: dict[str, Any] = {
        f"arms.{name}.initialise": arm.initialise for name, arm in study.arms.items() if arm.from_file
    }
    named |= {"detector.pretrained_weights": study.detector.pretrained_weights, "predictions": study.predictions}
    rule = "correct the path (a relative one starts at the study file's folder)"
    faults = []
    for key, path in named.items():
        if path is not None and not os.path.exists(path):
            faults.append(f"{key}: there is no file {path}; {rule}")
        elif path is not None and not os.path.isfile(path) and not (key == "predictions" and os.path.isdir(path)):
            faults.append(f"{key}: {path} is no regular file but a folder, device or pipe; {rule}")
    return faults
