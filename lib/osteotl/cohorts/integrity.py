"""Every fault that tables, names and pixels of the cohorts show, in one pass.

The written table of codes and severities is `osteotl.cohorts.faults.CODES`. Functions here take one pool of films (all
cohorts together, with a column `cohort`, and `partition` where it is decided) and return faults; none raises.
"""

from __future__ import annotations

import re
from itertools import combinations
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd

from osteotl.cohorts.faults import CODES, CohortError, Fault, fault, shown
from osteotl.cohorts.pixels import thumbnails
from osteotl.cohorts.privacy import telling_tokens
from osteotl.cohorts.readers.draft import FILM_SUFFIXES

__all__ = ["CODES", "CohortError", "Fault", "confounding", "file_names", "identities", "one_class"]

UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}|[0-9a-f]{32}")
SAME_LOOK = 0.99  # correlation of two thumbnails; see near_duplicates
FEWEST_MALIGNANT = 29  # with fewer patients even a sensitivity of 29/29 has a lower 95 % limit under 0.90


def films_named(films: pd.DataFrame) -> list[str]:
    """Films as outputs may name them."""
    return [shown(path, root) for path, root in zip(films["path"], films["root"], strict=True)]


# --- names ------------------------------------------------------------------------------------------------------------


def file_names(films: pd.DataFrame) -> list[Fault]:
    """Dates and name-like words in file names, and in the folders between the cohort's folder and the film."""
    remedy = "rename the films by a number; ids are hashed, but integrity.json and the cohort tables name files"
    found = []
    for name in films_named(films):
        inside = PurePosixPath(name.partition("/")[2])
        if UUID.fullmatch(inside.stem):
            continue  # eight random digits can read as a date
        for kind in telling_tokens(inside):
            what = "a date" if kind == "date" else "a person's name"
            found.append(fault(f"{kind}_in_filename", name, f"seems to hold {what}", remedy))
    return found


# --- identities -------------------------------------------------------------------------------------------------------


def identities(films: pd.DataFrame) -> list[Fault]:
    """Films and patients that stand in two cohorts or in two partitions of one."""
    found = []
    for first, second in combinations(films["cohort"].unique(), 2):
        one, two = films[films["cohort"] == first], films[films["cohort"] == second]
        same = two[two["path"].isin(one["path"])]
        found += [
            fault(
                "film_in_two_cohorts",
                name,
                f"is read by the cohorts {first} and {second}",
                "give each cohort a `where` of its own",
            )
            for name in films_named(same)
        ]
        shared = two[two["patient_id"].isin(one["patient_id"]) & ~two["path"].isin(one["path"])]
        found += _patients(one, shared, "patient_in_two_cohorts", f"stands in the cohorts {first} and {second}")
    if "partition" in films:
        for cohort, group in films.groupby("cohort", sort=True):
            places = group.groupby("patient_id")["partition"].nunique()
            split = group[group["patient_id"].isin(places.index[places > 1])]
            found += _patients(split, split, "patient_in_two_partitions", f"stands in two partitions of {cohort}")
    return found


def _patients(others: pd.DataFrame, films: pd.DataFrame, code: str, where: str) -> list[Fault]:
    if films.empty:
        return []
    elsewhere = dict(zip(others["patient_id"], films_named(others), strict=True))
    found = []
    for patient, group in films.groupby("patient_id", sort=True):
        names = films_named(group)
        found.append(
            fault(
                code,
                names[0],
                f"the patient of {names[0]} {where} (also {elsewhere[patient]})",
                "keep a patient's films together; where numbers of two sources differ in meaning, `patient_prefix`",
            )
        )
    return found


# --- classes ----------------------------------------------------------------------------------------------------------


def one_class(films: pd.DataFrame) -> list[Fault]:
    """Cohorts and partitions that hold films of one class only."""
    found = []
    for cohort, group in films.groupby("cohort", sort=False):
        name = group["root"].iloc[0].replace("\\", "/").rsplit("/", 1)[-1]
        if cohort in ("pretrain", "other_modality"):
            if not (group["label"] == 1).any():
                found.append(fault("one_class", name, f"{cohort}: no film has a lesion box", "pretraining needs boxes"))
            continue
        parts = group.groupby("partition") if "partition" in group else [("", group)]
        for part, rows in parts:
            if len(rows["label"].unique()) == 1:
                held = "malignant" if rows["label"].iloc[0] == 1 else "not malignant"
                found.append(
                    fault(
                        "one_class",
                        name,
                        f"{cohort} {part}".strip() + f": all {len(rows):,} films are {held}",
                        "add films of the other class (reader concat joins two folders)",
                    )
                )
    return found


def few_malignant(films: pd.DataFrame) -> list[Fault]:
    """A validation set too small to assure the sensitivity that its threshold targets."""
    own = films[films["cohort"] == "development"]
    held = own[own["partition"] == "validation"]
    patients = held.loc[held["label"] == 1, "patient_id"].nunique()
    if own.empty or patients >= FEWEST_MALIGNANT:
        return []
    name = Path(own["root"].iloc[0]).name
    if held.empty:
        return [
            fault(
                "no_validation",
                name,
                "no film is held for validation: no threshold can be locked and no score be made a risk",
                "set cohorts.development.validation, such as 0.3",
            )
        ]
    return [
        fault(
            "few_malignant",
            name,
            f"{patients} malignant patients for validation, fewer than {FEWEST_MALIGNANT}: not even "
            "29 of 29 detected would assure a sensitivity of 0.90 with 95% confidence",
            "hold more for validation",
        )
    ]


def confounding(films: pd.DataFrame) -> list[Fault]:
    """Classes that go together with site, folder or file type: a detector could learn the source."""
    found = []
    for cohort, group in films[films["cohort"].isin(["development", "external"])].groupby("cohort", sort=False):
        sources = {
            "site": group["site"].fillna("").astype(str),
            "file type": group["path"].map(_file_type),
        }
        for what, source in sources.items():
            table = pd.crosstab(source, group["label"])
            if len(table) < 2 or table.shape[1] < 2:
                continue
            alone = table.index[(table == 0).any(axis=1)]
            pure = table.loc[alone].sum()
            share = pure / table.sum()
            if (share == 1).any():
                listed = "; ".join(
                    f"{name or 'unknown'}: {row[1]} malignant, {row[0]} not" for name, row in table.iterrows()
                )
                found.append(
                    fault(
                        "class_source_confounded",
                        group["root"].iloc[0].rsplit("/", 1)[-1],
                        f"{cohort}: class and {what} go together ({listed}): a score may measure the source",
                        "add films of both classes from each source; otherwise no claim about disease can be drawn",
                    )
                )
    return found


def _file_type(path: str) -> str:
    suffix = PurePosixPath(path).suffix.lower()
    return suffix.removeprefix(".") if suffix in FILM_SUFFIXES else "no suffix"  # 1.2.840.113619 is a name


# --- pixels -----------------------------------------------------------------------------------------------------------


def exposure(films: pd.DataFrame) -> list[Fault]:
    """Constant and saturated films."""
    names = films_named(films)
    found = []
    for name, spread, mean, extreme in zip(names, films["sd_grey"], films["mean_grey"], films["extremes"], strict=True):
        if spread < 1.0:
            found.append(
                fault(
                    "film_constant",
                    name,
                    f"hardly any grey levels (standard deviation {spread:.2f} of 255)",
                    "export the film again, or name it under integrity.exclude",
                )
            )
        elif extreme > 0.9:
            tone = "black" if mean < 128 else "white"
            found.append(
                fault(
                    "film_saturated", name, f"{extreme:.0%} of it is pure black or white, mostly {tone}", "look at it"
                )
            )
    return found


def _pairs(groups: list[list[int]]) -> list[tuple[int, int]]:
    """Each later film with the first of its group."""
    return [(group[0], later) for group in groups for later in group[1:]]


def exact_duplicates(films: pd.DataFrame) -> tuple[list[Fault], list[tuple[int, int]]]:
    """Films with the same bytes or the same pixels, and their positions in pairs."""
    names = films_named(films)
    hashes = films["file_hash"].to_numpy()
    groups = [
        list(rows) for rows in films.reset_index(drop=True).groupby("pixel_hash").indices.values() if len(rows) > 1
    ]
    found, pairs = [], _pairs(groups)
    for first, second in pairs:
        what = "bytes" if hashes[first] == hashes[second] else "pixels"
        found += _duplicate(films, names, first, second, "duplicate_exact", f"holds the same {what} as {names[first]}")
    return found, pairs


def _duplicate(films: pd.DataFrame, names: list[str], first: int, second: int, code: str, text: str) -> list[Fault]:
    one, two = films.iloc[first], films.iloc[second]
    apart = one["cohort"] != two["cohort"] or ("partition" in films and one["partition"] != two["partition"])
    remedy = f"name one of them under integrity.exclude: {PurePosixPath(names[second]).name}"
    places = f" ({one['cohort']} and {two['cohort']})" if one["cohort"] != two["cohort"] else ""
    found = [fault(f"{code}_across" if apart else code, names[second], text + places, remedy)]
    evaluated = {"development", "external"}
    if code == "duplicate_exact" and {one["cohort"], two["cohort"]} <= evaluated and one["label"] != two["label"]:
        found.append(
            fault(
                "duplicate_label_conflict",
                names[second],
                f"is labelled {two['label']}, the same film {names[first]} is labelled {one['label']}",
                "find out which label is right",
            )
        )
    return found


def near_duplicates(films: pd.DataFrame, exact: list[tuple[int, int]], cache: Path) -> list[Fault]:
    """Films of different patients that look the same.

    Notes
    -----
    Candidates differ in at most 7 of the 64 bits of the perceptual hash; they are confirmed by a correlation of at
    least 0.99 between their prepared films at 64 x 64. Among 434 real films of different patients no pair had fewer
    than 10 differing bits, and the closest pair correlated at .982; copies as JPEG of quality 40 or at half size differ
    in at most 2 bits and correlate at .997 or more. Cropped copies are not found.
    """
    names = films_named(films)
    patients, keys = films["patient_id"].to_numpy(), films["film"].to_numpy()
    hashes = np.array([int(text, 16) for text in films["perceptual_hash"]], dtype=np.uint64)
    known = set(exact)
    pairs = [pair for pair in close_pairs(hashes) if pair not in known and patients[pair[0]] != patients[pair[1]]]
    small = thumbnails({str(keys[place]) for pair in pairs for place in pair}, cache)
    found = []
    for first, second in pairs:
        if small[keys[first]] @ small[keys[second]] >= SAME_LOOK:
            found += _duplicate(
                films,
                names,
                first,
                second,
                "near_duplicate",
                f"looks the same as {names[first]}, a film of another patient",
            )
    return found


def close_pairs(hashes: np.ndarray, distance: int = 7) -> list[tuple[int, int]]:
    """Positions of 64-bit hashes that differ in at most `distance` (< 8) bits.

    Notes
    -----
    Two hashes that differ in fewer than eight bits agree in at least one of eight bands of 8 bits (pigeonhole), so only
    films that share a band are compared and no pair is missed.
    """
    if not 0 <= distance < 8:
        raise ValueError(f"distance must be 0 to 7 bits, got {distance}: eight bands find no more")
    found: set[tuple[int, int]] = set()
    for band in range(8):
        keys = (hashes >> np.uint64(8 * band)) & np.uint64(0xFF)
        order = np.argsort(keys, kind="stable")
        for group in np.split(order, np.flatnonzero(np.diff(keys[order])) + 1):
            values = hashes[group]
            for place in range(len(group) - 1):
                near = np.flatnonzero(np.bitwise_count(values[place + 1 :] ^ values[place]) <= distance)
                found |= {tuple(sorted((int(group[place]), int(group[place + 1 + other])))) for other in near}  # type: ignore[misc]
    return sorted(found)
