"""Splits that a layout ships: lists, folders, files and columns that say which films are for training or testing."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

import pandas as pd

from osteotl.cohorts.faults import plural
from osteotl.cohorts.readers.builder import CohortBuilder, folded, without_suffix
from osteotl.cohorts.readers.files import read_text

PARTITIONS = {
    "training": "training", "train": "training", "trn": "training", "validation": "validation", "val": "validation",
    "valid": "validation", "dev": "validation", "test": "test", "testing": "test",
}  # fmt: skip


def part_of(word: object) -> str | None:
    """training, validation or test; None for what is neither. The year of train2017 plays no part."""
    return PARTITIONS.get(re.sub(r"[-_ ]?(19|20)\d\d$", "", folded(str(word))))


def part_of_file(path: Path) -> str | None:
    """The part that an annotation file is for, by its name (instances_val2017.json) or its folder (valid/x.json)."""
    words = re.split(r"[^a-z0-9]+", path.stem.lower())
    named = {part for word in words if (part := part_of(word))}
    return named.pop() if len(named) == 1 else part_of(path.parent.name)


def part_of_folder(name: str) -> str | None:
    """The part that a film's folders name, the innermost first."""
    return next((part for folder in reversed(PurePosixPath(name).parts[:-1]) if (part := part_of(folder))), None)


def listed_parts(builder: CohortBuilder, lists: Mapping[Path, str]) -> dict[str, str]:
    """Film stem -> part, from text files with one film a line; a film on two lists has the part of the first."""
    parts: dict[str, str] = {}
    for path, part in lists.items():
        text = read_text(builder, path) if os.path.isfile(path) else None
        for line in (text or "").splitlines():
            if name := line.strip().replace("\\", "/"):
                parts.setdefault(stem_of_line(name), part)
    return parts


def stem_of_line(line: str) -> str:
    """A film's stem from a line of a list: '00000001_000.png', 'images/train/a.jpg', 'tb/tb0005.png', 'a 1'."""
    name = line.rpartition("/")[2]
    return without_suffix(name) if without_suffix(name) != name else without_suffix(name.split(" ")[0])


def with_split(builder: CohortBuilder, films: pd.DataFrame) -> pd.DataFrame:
    """Films with the column `split`: as the reader found it, else by the film's folders."""
    stated = films["split"] if "split" in films else pd.Series(None, index=films.index, dtype=object)
    inside = len(f"{builder.root}/")
    folders = films["path"].map(lambda path: part_of_folder(path[inside:]) if isinstance(path, str) else None)
    read = stated.map(lambda word: None if word is None or pd.isna(word) else part_of(word) or str(word))
    return films.assign(split=read.where(read.notna(), folders).astype(object))


def split_faults(builder: CohortBuilder, films: pd.DataFrame) -> pd.DataFrame:
    """Films with the partition that `split: shipped` gives them; otherwise a warning where a split is not used."""
    counts = films["split"].value_counts()
    told = ", ".join(f"{number:,} {part}" for part, number in counts.items())
    if builder.spec.split is None:
        asked = re.search(r"\bsplit\b|\bpartition\b", builder.spec.where or "")
        if len(counts) > 1 and not asked and "partition" not in films:
            builder.fault(
                "split_unused",
                "",
                f"the layout ships a split ({told}), which is not used: films of its test part may train",
                "set `split: shipped` in the cohort, or choose films by it: where: \"split == 'training'\"",
            )
        return films
    known = films["split"].isin(set(PARTITIONS.values()))
    if not known.any():
        builder.fault(
            "split_absent", "", "the layout ships no split that could be read", "take `split` out of the cohort"
        )
        return films
    if not known.all():
        names = ", ".join(films.loc[~known, "image_id"].astype(str).head(3))
        text = f"{plural(int((~known).sum()), 'film')} in no part of the shipped split (such as {names})"
        builder.fault("split_absent", "", text, "add them to a list or folder of it, or leave them out by `where`")
    return films.assign(partition=films["split"].where(known, "training"), shipped=True)
