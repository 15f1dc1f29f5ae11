"""Every fault that tables, names and pixels of the cohorts show, in one pass.

The written table of codes and severities is `osteotl.cohorts.faults.CODES`. Functions here take one pool of films (all
cohorts together, with a column `cohort`, and `partition` where it is decided) and return faults; none raises.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from itertools import combinations
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd
from PIL import Image

from osteotl.cohorts.faults import CODES, CohortError, Fault, fault, plural, shown
from osteotl.cohorts.pixels import thumbnails
from osteotl.cohorts.privacy import telling_tokens
from osteotl.cohorts.readers.builder import FILM_SUFFIXES, folded
from osteotl.cohorts.readers.patients import UNKNOWN

__all__ = ["CODES", "CohortError", "Fault", "confounding", "file_names", "identities", "one_class"]

UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}|[0-9a-f]{32}")
SAME_LOOK = 0.99  # correlation of two thumbnails; see near_duplicates
MOST_NAMED = 5  # films that one remedy names
MEMBERS = 32  # members of a group of look-alikes with which further films are compared
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


def spellings(films: pd.DataFrame) -> list[Fault]:
    """Patients whose identifiers differ in case, leading zeros or a '.0' only: 0012, 12 and 12.0; P01 and p01."""
    known = films[~films["patient_id"].str.startswith(UNKNOWN)]
    first = known.drop_duplicates("patient_id").assign(key=lambda rows: rows["patient_id"].map(_patient_key))
    found = []
    for _, rows in first[first["key"].duplicated(keep=False)].groupby("key", sort=True):
        spelt = " and ".join(map(repr, rows["patient_id"].head(4)))
        names = films_named(rows)
        text = f"patients spelt {spelt} are taken for {len(rows)} people ({names[0]}, {names[1]})"
        remedy = (
            "if they are one, spell them alike in the table; if not, nothing (`patient_prefix` keeps sources apart)"
        )
        found.append(fault("patient_spelling", names[1], text, remedy))
    return found


def _patient_key(patient: str) -> str:
    """What spellings of one patient have in common."""
    plain = re.sub(r"(?<=\d)\.0+$", "", folded(patient))
    return re.sub(r"(?<!\d)0+(?=\d)", "", plain)


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
                held_by = "the only film is" if len(rows) == 1 else f"all {len(rows):,} films are"
                found.append(
                    fault(
                        "one_class",
                        name,
                        f"{cohort} {part}".strip() + f": {held_by} {held}",
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
            f"{plural(patients, 'malignant patient')} for validation, fewer than {FEWEST_MALIGNANT}: not even "
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


def _called(films: pd.DataFrame) -> list[str]:
    """Each film by the shortest path, led by its cohort's folder, that `integrity.exclude` reads as this film alone."""
    names, paths = films_named(films), films["path"].astype(str).tolist()
    again = {name for name, count in Counter(names).items() if count > 1}
    return [_alone(path, name, paths) if name in again else name for name, path in zip(names, paths, strict=True)]


def _alone(path: str, name: str, paths: list[str]) -> str:
    """The end of a path, led by as many folders as no other film has."""
    folders = path.removesuffix(name).strip("/").split("/")
    while folders and sum(other.endswith(f"/{name}") for other in set(paths)) > 1:
        name = f"{folders.pop()}/{name}"
    return name


def exact_duplicates(films: pd.DataFrame) -> list[Fault]:
    """Films with the same bytes or the same pixels, one fault a group."""
    names, called = films_named(films), _called(films)
    hashes = films["file_hash"].to_numpy()
    found = []
    for rows in films.reset_index(drop=True).groupby("pixel_hash").indices.values():
        if len(rows) > 1:
            group = [int(row) for row in rows]
            what = "bytes" if len({hashes[row] for row in group}) == 1 else "pixels"
            text = f"holds the same {what} as {names[group[0]]}"
            found += _alike(films, names, called, group, "duplicate_exact", text, "hold the same pixels")
    return found


def _alike(
    films: pd.DataFrame, names: list[str], called: list[str], group: list[int], code: str, pair: str, many: str
) -> list[Fault]:
    """One fault for a group of films that are alike, and one where evaluated films of it differ in their label."""
    rows = films.iloc[group]
    places = (rows["cohort"] + " " + rows["partition"]) if "partition" in rows else rows["cohort"]
    counted = ", ".join(f"{place} {number:,}" for place, number in places.value_counts(sort=False).items())
    apart = len(set(places)) > 1
    second = names[group[1]]
    if len(group) == 2:
        text = pair + (f" ({' and '.join(rows['cohort'])})" if len(set(rows["cohort"])) > 1 else "")
        remedy = f"exclude one of them: integrity.exclude: [{called[group[1]]}]"
    else:
        listed = ", ".join(names[row] for row in group[:4]) + (", ..." if len(group) > 4 else "")
        patients = plural(rows["patient_id"].nunique(), "patient")
        text = f"{len(group):,} films of {patients} {many} ({counted}): {listed}"
        others = [called[row] for row in group[1:]]
        remedy = f"exclude all but one of them: integrity.exclude: [{', '.join(others)}]"
        if len(others) > MOST_NAMED:
            remedy = f"if they show one patient, give them one patient_id; if one film, keep {called[group[0]]} alone"
    found = [fault(f"{code}_across" if apart else code, second, text, remedy)]
    judged = rows[rows["cohort"].isin(["development", "external"])]
    if code == "duplicate_exact" and len(set(judged["label"])) > 1:
        first = judged.iloc[0]
        other = int(np.flatnonzero((judged["label"] != first["label"]).to_numpy())[0])
        name, one = films_named(judged.iloc[[other]])[0], films_named(judged.iloc[[0]])[0]
        text = f"is labelled {judged.iloc[other]['label']}, the same film {one} is labelled {first['label']}"
        found.append(fault("duplicate_label_conflict", name, text, "find out which label is right; correct the other"))
    return found


def near_duplicates(films: pd.DataFrame, cache: Path) -> list[Fault]:
    """Films of different patients that look the same, one fault a group.

    Notes
    -----
    Candidates differ in at most 7 of the 64 bits of the perceptual hash; they are confirmed by a correlation of at
    least 0.99 between their prepared films at 64 x 64. Among 434 real films of different patients no pair had fewer
    than 10 differing bits, and the closest pair correlated at .982; copies as JPEG of quality 40 or at half size differ
    in at most 2 bits and correlate at .997 or more. Cropped copies are not found.
    """
    names, called = films_named(films), _called(films)
    patients = films["patient_id"].to_numpy()
    single = np.flatnonzero(
        ~films["pixel_hash"].duplicated().to_numpy()
    )  # the same pixels are told by exact_duplicates
    keys = films["film"].astype(str).to_numpy()[single]
    hashes = np.array([int(films["perceptual_hash"].iloc[row], 16) for row in single], dtype=np.uint64)
    small: dict[str, np.ndarray] = {}

    def same(one: int, two: int) -> bool:
        for place in (one, two):
            if keys[place] not in small:
                small.update(thumbnails([keys[place]], cache))
        return bool(small[keys[one]] @ small[keys[two]] >= SAME_LOOK)

    found = []
    for members in alike_groups(hashes, same):
        group = [int(single[place]) for place in members]
        if len({patients[row] for row in group}) > 1:
            group = _others_first(group, patients)
            text = f"looks the same as {names[group[0]]}, a film of another patient"
            found += _alike(films, names, called, group, "near_duplicate", text, "look the same")
    return found


def _others_first(group: list[int], patients: np.ndarray) -> list[int]:
    """A group with a film of another patient in second place."""
    second = next(row for row in group if patients[row] != patients[group[0]])
    return [group[0], second, *(row for row in group[1:] if row != second)]


def alike_groups(
    hashes: np.ndarray, same: Callable[[int, int], bool] = lambda one, two: True, distance: int = 7
) -> list[list[int]]:
    """Groups of positions that are joined by 64-bit hashes which differ in at most `distance` (< 8) bits.

    Parameters
    ----------
    hashes : array of uint64
    same : callable
        Asked whether two near positions are alike indeed; asked at most `MEMBERS` times for a position and group.
    distance : int
        0 to 7 bits.

    Returns
    -------
    list of list of int
        Groups of two or more, each in order, by first member.

    Notes
    -----
    Two hashes that differ in fewer than eight bits differ in at most one bit of at least one of four bands of 16 bits
    (pigeonhole), so only films that nearly share a band are compared. A group is met through its first `MEMBERS`
    members alone: up to that size no pair is missed, and a thousand films that are all alike cost a thousand
    comparisons, not half a million.
    """
    if not 0 <= distance < 8:
        raise ValueError(f"distance must be 0 to 7 bits, got {distance}: four bands find no more")
    groups: list[list[int]] = []
    group_of: list[int] = []
    bands: list[dict[int, list[int]]] = [{} for _ in range(4)]
    flips = [0, *(1 << bit for bit in range(16))]
    for place in range(len(hashes)):
        value = int(hashes[place])
        keys = [(value >> (16 * band)) & 0xFFFF for band in range(4)]
        probes = ((band, key ^ flip) for band, key in zip(bands, keys, strict=True) for flip in flips)
        near = np.array(sorted({other for band, key in probes if key in band for other in band[key]}), dtype=int)
        near = near[np.bitwise_count(hashes[near] ^ hashes[place]) <= distance] if len(near) else near
        joined: list[int] = []
        for other in near.tolist():
            if group_of[other] not in joined and same(other, place):
                joined.append(group_of[other])
        own = _join(groups, group_of, joined, place)
        if len(groups[own]) <= MEMBERS:
            for band, key in zip(bands, keys, strict=True):
                band.setdefault(key, []).append(place)
    return sorted(sorted(group) for group in groups if len(group) > 1)


def _join(groups: list[list[int]], group_of: list[int], joined: list[int], place: int) -> int:
    """Put a position into the groups that it joins, or into one of its own; the group's number."""
    if not joined:
        groups.append([])
    own = max(joined, key=lambda number: len(groups[number])) if joined else len(groups) - 1
    for number in joined:
        if number != own:
            for member in groups[number]:
                group_of[member] = own
            groups[own] += groups[number]
            groups[number] = []
    groups[own].append(place)
    group_of.append(own)
    return own


# --- films that were turned -------------------------------------------------------------------------------------------


def turned(films: pd.DataFrame, boxes: pd.DataFrame) -> list[Fault]:
    """Films with boxes that were turned by their EXIF orientation when read, unless their annotation states that size.

    Notes
    -----
    Programs differ in whether they draw on the film as stored or as turned. A stated size that fits the turned film
    alone (width and height exchanged) says that it was drawn as turned; no other statement tells.
    """
    boxed = pd.MultiIndex.from_frame(films[["cohort", "image_id"]]).isin(
        pd.MultiIndex.from_frame(boxes[["cohort", "image_id"]])
    )
    found = []
    for row in films[boxed].to_dict("records"):
        if not str(row["path"]).lower().endswith((".jpg", ".jpeg", ".png", ".tif", ".tiff")):
            continue
        orientation = _orientation(row["path"])
        exchanged = orientation >= 5 and row["annotated_as"] == "native" and row["annotated_width"] == row["width"]
        if orientation < 2 or (exchanged and row["width"] != row["height"]):
            continue
        found.append(
            fault(
                "box_turned",
                shown(row["path"], row["root"]),
                f"was turned by its EXIF orientation {orientation}; its boxes are read as drawn on the turned film",
                "if they were drawn on the film as stored, save it without the EXIF tag (pixels as they are)",
            )
        )
    return found


def _orientation(path: str) -> int:
    """The EXIF orientation of a picture: 1 to 8; 1 where there is none."""
    try:
        with Image.open(path) as image:
            value = image.getexif().get(0x0112, 1)
    except (OSError, ValueError, SyntaxError):  # listed by the decoder
        return 1
    return value if isinstance(value, int) and 2 <= value <= 8 else 1
