"""All cohorts of a study on their way from their readers to the cohort tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pandas as pd

from osteotl.cohorts import integrity, pixels
from osteotl.cohorts.boxes import CORNERS, native_boxes
from osteotl.cohorts.faults import Fault, fault, plural, shown
from osteotl.cohorts.partition import assign_partitions
from osteotl.cohorts.privacy import hash_all
from osteotl.cohorts.readers import Step, read_cohort
from osteotl.cohorts.readers.splits import PARTITIONS
from osteotl.study import Cohorts

COHORTS = ("pretrain", "other_modality", "development", "external")
FILM_COLUMNS = (
    "image_id", "patient_id", "site", "partition", "label", "path", "film", "width", "height", "view", "age", "sex",
    "subtype", "spacing_mm", "mean_grey", "sd_grey",
)  # fmt: skip


@dataclass
class Pool:
    """All cohorts of a study on their way to the tables."""

    films: pd.DataFrame
    boxes: pd.DataFrame
    faults: list[Fault]
    flow: list[dict[str, Any]] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)  # every film of every folder, kept or not, as messages name it

    def leave_out(self, gone: pd.Series, reason: str) -> None:
        """Take films out and count them, cohort by cohort."""
        for cohort, rows in self.films[gone].groupby("cohort", sort=False):
            self.flow.append(step_of(str(cohort), Step("left out", len(rows), rows["patient_id"].nunique(), reason)))
        self.films = self.films[~gone].reset_index(drop=True)
        kept = pd.MultiIndex.from_frame(self.films[["cohort", "image_id"]])
        self.boxes = self.boxes[pd.MultiIndex.from_frame(self.boxes[["cohort", "image_id"]]).isin(kept)]


def step_of(cohort: str, step: Step) -> dict[str, Any]:
    return {"cohort": cohort, "step": step.step, "films": step.films, "patients": step.patients, "reason": step.reason}


# --- reading and decoding ---------------------------------------------------------------------------------------------


def read_pool(cohorts: Cohorts, data_root: Path) -> Pool:
    """Read every cohort of a study into one pool, in the order of COHORTS; pixels are not read yet."""
    films, boxes, faults, flow, seen = [], [], [], [], []
    for name in COHORTS:
        if getattr(cohorts, name) is None:
            continue
        raw = read_cohort(getattr(cohorts, name), data_root)
        films.append(raw.films.assign(cohort=name))
        boxes.append(raw.boxes.assign(cohort=name))
        faults += raw.faults
        seen += [*raw.seen, *integrity.films_named(raw.films)]
        flow += [step_of(name, step) for step in raw.flow]
    filled = [frame for frame in films if len(frame)] or films[:1]
    pool = Pool(pd.concat(filled, ignore_index=True), pd.concat(boxes, ignore_index=True), faults, flow, seen)
    for column in ("width", "height", "spacing_mm", "mean_grey", "sd_grey"):
        pool.films[column] = float("nan")
    return pool


def exclude(pool: Pool, names: Sequence[str]) -> None:
    """Leave out the films that the study names, and what was wrong with them.

    Parameters
    ----------
    pool : Pool
        Changed in place.
    names : sequence of str
        A film by its file name or the end of its path; where no film is called so, a folder of films, or a pattern with
        `*`, `?` or `[...]`. A folder and a pattern are looked for from the cohort's folder on.
    """
    roots, paths = pool.films["root"].astype(str), pool.films["path"].astype(str)
    films = list(zip(paths, (shown(path, root) for path, root in zip(paths, roots, strict=True)), strict=True))
    faulty = sorted({f.file for f in pool.faults if _of_film(f)})
    gone: set[str] = set()
    for name in names:
        plain = name.replace("\\", "/").removeprefix("./").strip("/")
        found = next((some for meaning in MEANINGS if (some := _meant(meaning, plain, films, faulty))), set())
        gone |= found
        if not found:
            text = "is named under integrity.exclude, but no cohort holds such a film, folder or pattern of films"
            pool.faults.append(fault("exclude_unknown", name, text, "correct the name, or take it out of the list"))
    pool.leave_out(pd.Series([path in gone for path, _ in films], dtype=bool), "excluded by name (integrity.exclude)")
    pool.faults = [f for f in pool.faults if f.file not in gone or f.code == "exclude_unknown"]


def _of_film(found: Fault) -> bool:
    """Whether a fault is of a film: of no table or annotation, and of no cohort as a whole."""
    return "/" in found.file and found.code != "root_missing" and not found.file.lower().endswith(ANNOTATIONS)


ANNOTATIONS = (".csv", ".tsv", ".xlsx", ".xlsm", ".json", ".xml", ".txt", ".yaml", ".yml")  # of these no film is made
MEANINGS: tuple[Callable[[str, str, str], bool], ...] = (
    lambda name, path, shown: f"/{path}".endswith(f"/{name}"),
    lambda name, path, shown: f"/{name}/" in f"/{shown}",
    lambda name, path, shown: fnmatchcase(f"/{shown}", f"*/{name}"),
)


def _meant(
    meaning: Callable[[str, str, str], bool], name: str, films: list[tuple[str, str]], faulty: list[str]
) -> set[str]:
    """Paths of films, and names of faulty ones, that a name of `integrity.exclude` means."""
    found = {path for path, shown_as in films if meaning(name, path, shown_as)}
    return found | {file for file in faulty if meaning(name, file, file)}


def decode(pool: Pool, cache: Path, longest: int) -> None:
    """Add what the pixels tell; films that cannot be decoded are faults and left out.

    Parameters
    ----------
    pool : Pool
        Changed in place.
    cache : path
        Where prepared films lie.
    longest : int
        Longest side of prepared films in pixels.
    """
    facts = pixels.facts(pool.films["path"].tolist(), cache, longest)
    for column in facts.columns:
        if column in ("view", "age", "sex"):
            pool.films[column] = pool.films[column].where(pool.films[column].notna(), facts[column])
        else:
            pool.films[column] = facts[column]
    broken = pool.films["error"].notna()
    pool.faults += [
        fault("film_unreadable", shown(row["path"], row["root"]), row["error"], row["remedy"])
        for row in pool.films[broken].to_dict("records")
    ]
    pool.faults += pixels.note_faults(pool.films)
    pool.leave_out(broken, "cannot be decoded")


# --- partitions -------------------------------------------------------------------------------------------------------


def join_patients_of_duplicates(pool: Pool) -> None:
    """One film belongs to one patient: patients of a cohort that share a film are joined before partitioning."""
    leader: dict[str, str] = {}

    def lead(patient: str) -> str:
        while leader.get(patient, patient) != patient:
            patient = leader[patient]
        return patient

    for _, rows in pool.films.groupby(["cohort", "pixel_hash"], sort=True):
        patients = sorted({lead(patient) for patient in rows["patient_id"]})
        leader.update(dict.fromkeys(patients, patients[0]))
    pool.films["patient_id"] = pool.films["patient_id"].map(lead)


def make_partitions(pool: Pool, cohorts: Cohorts) -> None:
    """Set the column `partition`, by patient or as shipped; without an external cohort, the test part is external."""
    pool.films["partition"] = pool.films.get("partition", "training")
    for name in COHORTS:
        rows = pool.films[pool.films["cohort"] == name]
        rows = _shipped(pool, rows, name, cohorts)
        if rows.empty:
            continue
        part: pd.Series | str = "test" if name == "external" else _parts(pool, rows, name, cohorts)
        pool.films.loc[rows.index, "partition"] = part
    if cohorts.external is None:
        held = (pool.films["cohort"] == "development") & (pool.films["partition"] == "test")
        ids = pool.films.loc[held, "image_id"]
        pool.films.loc[held, "cohort"] = "external"
        moved = (pool.boxes["cohort"] == "development") & pool.boxes["image_id"].isin(ids)
        pool.boxes.loc[moved, "cohort"] = "external"


def _shipped(pool: Pool, rows: pd.DataFrame, name: str, cohorts: Cohorts) -> pd.DataFrame:
    """Films of a cohort that its shipped split allows: test films for external testing, the others to train."""
    if "shipped" not in rows or not (shipped := rows["shipped"].eq(True)).any():
        return rows
    test = rows["partition"] == "test"
    if name == "external":
        if not (test & shipped).any():
            folder = Path(rows["root"].iloc[0]).name
            text = "external: the shipped split has no test part"
            pool.faults.append(fault("split_absent", folder, text, "take `split` out of cohorts.external"))
            return rows
        gone, reason = shipped & ~test, "not in the test part of the shipped split"
    elif name == "development" and cohorts.external is None:
        return rows
    else:
        gone, reason = shipped & test, "test part of the shipped split"
    keys = rows.index[gone]
    mask = pd.Series(pool.films.index.isin(keys), index=pool.films.index)
    pool.leave_out(mask, reason)
    return pool.films[pool.films["cohort"] == name]


def _parts(pool: Pool, rows: pd.DataFrame, name: str, cohorts: Cohorts) -> pd.Series:
    """Partition of one cohort: the table's own column `partition` where it has one, else by patient."""
    stated = rows["partition"].astype(object).where(rows["partition"].notna(), "").astype(str).str.strip().str.lower()
    validation = getattr(cohorts, name).validation
    test = cohorts.test_share if name == "development" and cohorts.external is None else None
    problem = ""
    if name == "development" and not set(stated) <= {"training", ""}:
        drawn = (stated == "") & ("shipped" in rows)  # parts of a concatenation that ship no split
        part = _stated(pool, rows[~drawn], stated[~drawn], cohorts).reindex(rows.index)
        if drawn.any():
            part[drawn] = assign_partitions(rows[drawn], cohorts.partition_seed, validation, test)
        if validation and "shipped" in rows and not (part == "validation").any():  # train and test lists only
            rest = rows[part == "training"]
            try:
                part.loc[rest.index] = assign_partitions(rest, cohorts.partition_seed, validation)
            except ValueError as error:
                problem = str(error)
    elif name != "development" and "shipped" in rows and set(stated) > {"training"}:
        part = stated
    else:
        try:
            part = assign_partitions(rows, cohorts.partition_seed, validation, test)
        except ValueError as error:
            problem, part = str(error), pd.Series("training", index=rows.index)
    wanted = ["training", *(["validation"] if validation else []), *(["test"] if test else [])]
    if not problem and (empty := [partition for partition in wanted if not (part == partition).any()]):
        problem = f"{plural(rows['patient_id'].nunique(), 'patient')}, and none of their films is for {empty[0]}"
    if problem:
        folder, remedy = Path(rows["root"].iloc[0]).name, "add patients, or change `validation` or `test_share`"
        pool.faults.append(fault("too_few_patients", folder, f"{name}: {problem}", remedy))
    return part


def _stated(pool: Pool, rows: pd.DataFrame, stated: pd.Series, cohorts: Cohorts) -> pd.Series:
    part = stated.map(PARTITIONS)
    allowed = {"training", "validation"} | ({"test"} if cohorts.external is None else set())
    for row, word in zip(rows[~part.isin(allowed)].to_dict("records"), stated[~part.isin(allowed)], strict=True):
        pool.faults.append(
            fault(
                "row_invalid",
                shown(row["path"], row["root"]),
                f"its partition is {word!r}",
                f"use one of {', '.join(sorted(allowed))}",
            )
        )
    return part.where(part.isin(allowed), "training")


# --- boxes, hashes, counts --------------------------------------------------------------------------------------------


def boxes_of(pool: Pool) -> pd.DataFrame:
    """Lesion boxes of all cohorts in native pixels; faults of boxes are added to the pool."""
    done = []
    for cohort, films in pool.films.groupby("cohort", sort=False):
        own = pool.boxes[pool.boxes["cohort"] == cohort]
        boxes, faults = native_boxes(films, own.drop(columns="cohort"), trains=cohort != "external")
        pool.faults += faults
        done.append(boxes.assign(cohort=cohort))
    columns = ["image_id", *CORNERS, "finding", "cohort"]
    return pd.concat(done, ignore_index=True)[columns] if done else pd.DataFrame(columns=columns)


def hashed_tables(films: pd.DataFrame, boxes: pd.DataFrame, salt: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Replace identifiers by hashes and paths by paths relative to the data; sort by what is left."""
    films = films.assign(
        image_id=hash_all(films["cohort"] + "/" + films["image_id"], salt),
        patient_id=hash_all(films["patient_id"], salt),
        path=_relative(films),
        film=films.get("film"),
        notes=films.get("notes"),
    )
    boxes = boxes.assign(image_id=hash_all(boxes["cohort"] + "/" + boxes["image_id"], salt))
    films = films[["cohort", *FILM_COLUMNS, "notes"]].sort_values(["cohort", "image_id"], kind="stable")
    for column in ("width", "height"):
        films[column] = films[column].astype("Int64")
    return films.reset_index(drop=True), boxes.sort_values(["cohort", "image_id", *CORNERS]).reset_index(drop=True)


def _relative(films: pd.DataFrame) -> list[str]:
    """Paths below the cohort's folder; where a cohort joins several folders, led by the folder's name."""
    several = films.groupby("cohort")["root"].agg(lambda roots: len(set(roots)) > 1)
    return [
        shown(path, root) if several[cohort] else path.removeprefix(f"{root}/")
        for path, root, cohort in zip(films["path"], films["root"], films["cohort"], strict=True)
    ]


def sizes_of(films: pd.DataFrame) -> dict[str, Any]:
    """Numbers of films and patients, by cohort and partition."""
    found: dict[str, Any] = {}
    for (cohort, partition), rows in films.groupby(["cohort", "partition"], sort=True):
        found.setdefault(str(cohort), {})[str(partition)] = {
            "films": len(rows),
            "patients": rows["patient_id"].nunique(),
            "malignant": int((rows["label"] == 1).sum()),
            "not_malignant": int((rows["label"] == 0).sum()),
            "malignant_patients": rows.loc[rows["label"] == 1, "patient_id"].nunique(),
        }
    return found


def flow_of(pool: Pool) -> list[dict[str, Any]]:
    """Steps of every cohort in order: read, left out (with reasons), partitions."""
    kept = [
        step_of(str(cohort), Step(str(partition), len(rows), rows["patient_id"].nunique(), ""))
        for (cohort, partition), rows in pool.films.groupby(["cohort", "partition"], sort=True)
    ]
    order = {name: place for place, name in enumerate(COHORTS)}
    return sorted([*pool.flow, *kept], key=lambda step: order[step["cohort"]])


def pool_faults(films: pd.DataFrame, boxes: pd.DataFrame, cache: Path | None) -> list[Fault]:
    """Faults of the cohorts as a whole; those of pixels where films were prepared in `cache`."""
    faults = [
        *integrity.file_names(films),
        *integrity.identities(films),
        *integrity.spellings(films),
        *integrity.one_class(films),
        *integrity.few_malignant(films),
        *integrity.confounding(films),
    ]
    if cache is None or films.empty:
        return faults
    return [
        *faults,
        *integrity.exposure(films),
        *integrity.exact_duplicates(films),
        *integrity.near_duplicates(films, cache),
        *integrity.turned(films, boxes),
    ]
