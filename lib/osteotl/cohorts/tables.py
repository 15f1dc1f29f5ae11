"""From the cohorts that a study names to the cohort tables: read, decode, check, partition, hash, write."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from osteotl.cohorts import integrity, pixels
from osteotl.cohorts.boxes import CORNERS, native_boxes
from osteotl.cohorts.faults import CohortError, Fault, counts, errors, fault, judge, listing, shown
from osteotl.cohorts.partition import assign_partitions
from osteotl.cohorts.preparation import prepared_side
from osteotl.cohorts.privacy import hash_all
from osteotl.cohorts.readers import Step, read_cohort
from osteotl.files import write_csv, write_json
from osteotl.study import Cohorts, Study, StudyError, load_study

COHORTS = ("pretrain", "other_modality", "development", "external")
FILM_COLUMNS = ("image_id", "patient_id", "site", "partition", "label", "path", "film", "width", "height", "view", "age",
                "sex", "subtype", "spacing_mm", "mean_grey", "sd_grey")
PARTITIONS = {"training": "training", "train": "training", "validation": "validation", "val": "validation",
              "valid": "validation", "test": "test"}


@dataclass(frozen=True)
class CohortSummary:
    """What a study's cohorts came to.

    Attributes
    ----------
    films : DataFrame
        The rows of every cohort table, with a column `cohort`; ids hashed.
    faults : list of Fault
        Judged by the study's severities, errors first.
    flow : list of dict
        cohort, step, films, patients, reason: as in integrity.json.
    counts : dict
        errors, warnings, by_code; films, patients, malignant and not by cohort and partition.
    """

    films: pd.DataFrame
    faults: list[Fault]
    flow: list[dict[str, Any]]
    counts: dict[str, Any]

    def __str__(self) -> str:
        return listing(self.faults, limit=20)


@dataclass
class _Pool:
    """All cohorts of a study on their way to the tables."""

    films: pd.DataFrame
    boxes: pd.DataFrame
    faults: list[Fault]
    flow: list[dict[str, Any]] = field(default_factory=list)

    def leave_out(self, gone: pd.Series, reason: str) -> None:
        """Take films out and count them, cohort by cohort."""
        for cohort, rows in self.films[gone].groupby("cohort", sort=False):
            self.flow.append(_step(str(cohort), Step("left out", len(rows), rows["patient_id"].nunique(), reason)))
        self.films = self.films[~gone].reset_index(drop=True)
        kept = pd.MultiIndex.from_frame(self.films[["cohort", "image_id"]])
        self.boxes = self.boxes[pd.MultiIndex.from_frame(self.boxes[["cohort", "image_id"]]).isin(kept)]


def _step(cohort: str, step: Step) -> dict[str, Any]:
    return {"cohort": cohort, "step": step.step, "films": step.films, "patients": step.patients, "reason": step.reason}


def build_cohorts(study: Study, out: str | Path, data_dir: str | Path, check_only: bool = False) -> CohortSummary:
    """Read, check and partition the cohorts of a study and write its cohort tables.

    Parameters
    ----------
    study : Study
        With cohorts.
    out : path
        The outputs folder; tables go to `cohorts/` below it.
    data_dir : path
        The data folder: phantoms and prepared films.
    check_only : bool
        Decode and check everything, write nothing.

    Returns
    -------
    CohortSummary

    Raises
    ------
    CohortError
        An error remains among the faults; integrity.json then holds the list and no table is written.
    """
    summary, boxes = _assemble(study, Path(data_dir), write=not check_only)
    folder = Path(out) / "cohorts"
    if not check_only:
        write_json(folder / "integrity.json", {
            "not_for_sharing": True, "faults": [f.as_dict() for f in summary.faults], "counts": summary.counts,
            "flow": summary.flow,
        })
    if errors(summary.faults):
        raise CohortError(summary.faults)
    if not check_only:
        for cohort in (name for name in COHORTS if (summary.films["cohort"] == name).any()):
            rows = summary.films[summary.films["cohort"] == cohort]
            write_csv(folder / f"{cohort}.csv", rows[list(FILM_COLUMNS)])
        write_csv(folder / "boxes.csv", boxes)
    return summary


def check(study: Study, data_dir: str | Path, with_pixels: bool = True) -> list[Fault]:
    """Every fault of a study's cohorts; nothing is written.

    Parameters
    ----------
    study : Study
    data_dir : path
        Where phantoms and prepared films may already lie.
    with_pixels : bool
        Decode every film; False checks tables, names and identities only (100,000 films in seconds).
    """
    return _assemble(study, Path(data_dir), write=False, with_pixels=with_pixels)[0].faults


def _assemble(study: Study, data_dir: Path, write: bool, with_pixels: bool = True) -> tuple[CohortSummary, pd.DataFrame]:
    if study.cohorts is None:
        raise CohortError([fault("cohort_empty", "", "the study names no cohorts", "add `cohorts`")])
    with tempfile.TemporaryDirectory() as aside:
        # a check leaves no new folder: what an earlier run has not made yet is made aside and forgotten
        pool = _read(study.cohorts, data_dir if write or (data_dir / "phantoms").is_dir() else Path(aside))
        _exclude(pool, study.integrity.exclude)
        cache = data_dir / ".prepared" if write or (data_dir / ".prepared").is_dir() else Path(aside)
        if with_pixels:
            _decode(pool, cache, prepared_side(study.detector.image_size))
            _join_patients_of_duplicates(pool)
        _partition(pool, study.cohorts)
        boxes = _boxes(pool)
        pool.faults += _pool_faults(pool.films, cache if with_pixels else None)
    faults = judge(pool.faults, study.integrity.severity)
    films, boxes = _hashed(pool.films, boxes, study.privacy.salt)
    return CohortSummary(films, faults, _flow(pool), {**counts(faults), "cohorts": _sizes(films)}), boxes


def _pool_faults(films: pd.DataFrame, cache: Path | None) -> list[Fault]:
    """Faults of the cohorts as a whole; those of pixels where films were prepared in `cache`."""
    faults = [
        *integrity.file_names(films), *integrity.identities(films), *integrity.one_class(films),
        *integrity.few_malignant(films), *integrity.confounding(films),
    ]
    if cache is None or films.empty:
        return faults
    repeated, pairs = integrity.exact_duplicates(films)
    return [*faults, *integrity.exposure(films), *repeated, *integrity.near_duplicates(films, pairs, cache)]


# --- reading and decoding ---------------------------------------------------------------------------------------------


def _read(cohorts: Cohorts, data_root: Path) -> _Pool:
    films, boxes, faults, flow = [], [], [], []
    for name in COHORTS:
        if getattr(cohorts, name) is None:
            continue
        raw = read_cohort(getattr(cohorts, name), data_root)
        films.append(raw.films.assign(cohort=name))
        boxes.append(raw.boxes.assign(cohort=name))
        faults += raw.faults
        flow += [_step(name, step) for step in raw.flow]
    filled = [frame for frame in films if len(frame)] or films[:1]
    pool = _Pool(pd.concat(filled, ignore_index=True), pd.concat(boxes, ignore_index=True), faults, flow)
    for column in ("width", "height", "spacing_mm", "mean_grey", "sd_grey"):
        pool.films[column] = float("nan")
    return pool


def _exclude(pool: _Pool, names: Sequence[str]) -> None:
    """Leave out the films that the study names, by file name or by path below the cohort's folder."""
    files = pool.films["path"].astype(str)
    for name in names:
        if not (files.str.endswith(f"/{name}")).any() and not any(name in f.file for f in pool.faults):
            pool.faults.append(fault("exclude_unknown", name, "is named under integrity.exclude, but no cohort holds it",
                                     "correct the name, or take it out of the list"))
    gone = files.map(lambda path: any(path.endswith(f"/{name}") for name in names)).astype(bool)
    pool.leave_out(gone, "excluded by name (integrity.exclude)")
    pool.faults = [f for f in pool.faults if not any(f.file.endswith(f"/{name}") for name in names)]


def _decode(pool: _Pool, cache: Path, longest: int) -> None:
    """Add what the pixels tell; films that cannot be decoded are faults and left out."""
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
    pool.leave_out(broken, "cannot be decoded")


# --- partitions -------------------------------------------------------------------------------------------------------


def _join_patients_of_duplicates(pool: _Pool) -> None:
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


def _partition(pool: _Pool, cohorts: Cohorts) -> None:
    pool.films["partition"] = "training" if "partition" not in pool.films else pool.films["partition"]
    for name in COHORTS:
        rows = pool.films[pool.films["cohort"] == name]
        if rows.empty:
            continue
        if name == "external":
            part: pd.Series | str = "test"
        else:
            part = _parts(pool, rows, name, cohorts)
        pool.films.loc[rows.index, "partition"] = part
    if cohorts.external is None:
        held = (pool.films["cohort"] == "development") & (pool.films["partition"] == "test")
        ids = pool.films.loc[held, "image_id"]
        pool.films.loc[held, "cohort"] = "external"
        moved = (pool.boxes["cohort"] == "development") & pool.boxes["image_id"].isin(ids)
        pool.boxes.loc[moved, "cohort"] = "external"


def _parts(pool: _Pool, rows: pd.DataFrame, name: str, cohorts: Cohorts) -> pd.Series:
    """Partition of one cohort: the table's own column `partition` where it has one, else by patient."""
    stated = rows["partition"].astype(object).where(rows["partition"].notna(), "").astype(str).str.strip().str.lower()
    if name == "development" and not set(stated) <= {"training", ""}:
        return _stated(pool, rows, stated, cohorts)
    test = cohorts.test_share if name == "development" and cohorts.external is None else None
    try:
        return assign_partitions(rows, cohorts.partition_seed, getattr(cohorts, name).validation, test)
    except ValueError as error:
        pool.faults.append(fault("too_few_patients", Path(rows["root"].iloc[0]).name, f"{name}: {error}",
                                 "add patients, or lower `validation` or `test_share`"))
        return pd.Series("training", index=rows.index)


def _stated(pool: _Pool, rows: pd.DataFrame, stated: pd.Series, cohorts: Cohorts) -> pd.Series:
    part = stated.map(PARTITIONS)
    allowed = {"training", "validation"} | ({"test"} if cohorts.external is None else set())
    for row, word in zip(rows[~part.isin(allowed)].to_dict("records"), stated[~part.isin(allowed)], strict=True):
        pool.faults.append(fault("row_invalid", shown(row["path"], row["root"]), f"its partition is {word!r}",
                                 f"use one of {', '.join(sorted(allowed))}"))
    return part.where(part.isin(allowed), "training")


# --- boxes, hashes, counts --------------------------------------------------------------------------------------------


def _boxes(pool: _Pool) -> pd.DataFrame:
    done = []
    for cohort, films in pool.films.groupby("cohort", sort=False):
        own = pool.boxes[pool.boxes["cohort"] == cohort]
        boxes, faults = native_boxes(films, own.drop(columns="cohort"), trains=cohort != "external")
        pool.faults += faults
        done.append(boxes.assign(cohort=cohort))
    columns = ["image_id", *CORNERS, "finding", "cohort"]
    return pd.concat(done, ignore_index=True)[columns] if done else pd.DataFrame(columns=columns)


def _hashed(films: pd.DataFrame, boxes: pd.DataFrame, salt: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Replace identifiers by hashes and paths by paths relative to the data; sort by what is left."""
    films = films.assign(
        image_id=hash_all(films["cohort"] + "/" + films["image_id"], salt), patient_id=hash_all(films["patient_id"], salt),
        path=_relative(films), film=films["film"] if "film" in films else None,
    )
    boxes = boxes.assign(image_id=hash_all(boxes["cohort"] + "/" + boxes["image_id"], salt))
    films = films[["cohort", *FILM_COLUMNS]].sort_values(["cohort", "image_id"], kind="stable")
    for column in ("width", "height"):
        films[column] = films[column].astype("Int64")
    return films.reset_index(drop=True), boxes.sort_values(["cohort", "image_id", *CORNERS]).reset_index(drop=True)


def _relative(films: pd.DataFrame) -> list[str]:
    """Paths below the cohort's folder; where a cohort joins several folders, led by the folder's name."""
    several = films.groupby("cohort")["root"].nunique() > 1
    return [
        shown(path, root) if several[cohort] else Path(path).relative_to(root).as_posix()
        for path, root, cohort in zip(films["path"], films["root"], films["cohort"], strict=True)
    ]


def _sizes(films: pd.DataFrame) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for (cohort, partition), rows in films.groupby(["cohort", "partition"], sort=True):
        found.setdefault(str(cohort), {})[str(partition)] = {
            "films": len(rows), "patients": rows["patient_id"].nunique(), "malignant": int((rows["label"] == 1).sum()),
            "not_malignant": int((rows["label"] == 0).sum()),
            "malignant_patients": rows.loc[rows["label"] == 1, "patient_id"].nunique(),
        }
    return found


def _flow(pool: _Pool) -> list[dict[str, Any]]:
    """Steps of every cohort in order: read, left out (with reasons), partitions."""
    kept = [
        _step(str(cohort), Step(str(partition), len(rows), rows["patient_id"].nunique(), ""))
        for (cohort, partition), rows in pool.films.groupby(["cohort", "partition"], sort=True)
    ]
    order = {name: place for place, name in enumerate(COHORTS)}
    return sorted([*pool.flow, *kept], key=lambda step: order[step["cohort"]])


# --- what notebooks show ----------------------------------------------------------------------------------------------


def read_films(folder: str | Path) -> pd.DataFrame:
    """The cohort tables of a finished 00_cohorts, one below the other, with a column `cohort`."""
    text = {"image_id": str, "patient_id": str, "site": str, "film": str, "view": str, "sex": str, "subtype": str}
    tables = [pd.read_csv(Path(folder) / f"{name}.csv", dtype=text).assign(cohort=name)
              for name in COHORTS if (Path(folder) / f"{name}.csv").exists()]
    return pd.concat([table.dropna(axis=1, how="all") for table in tables], ignore_index=True).reindex(
        columns=["cohort", *FILM_COLUMNS])


def read_integrity(path: str | Path) -> dict[str, Any]:
    """The content of integrity.json."""
    import json

    return json.loads(Path(path).read_text(encoding="utf-8"))


def flow_table(content: Mapping[str, Any]) -> pd.DataFrame:
    """Films and patients at every step of every cohort, from integrity.json."""
    return pd.DataFrame(content["flow"], columns=["cohort", "step", "films", "patients", "reason"])


def characteristics(films: pd.DataFrame) -> pd.DataFrame:
    """Age, sex, view and site by cohort, partition and class.

    Returns
    -------
    DataFrame
        One row per cohort, partition and class: films, patients, age (median and quartiles, films without one), female
        (of films with a known sex), views and sites with their films.
    """
    rows = []
    for (cohort, partition, label), group in films.groupby(["cohort", "partition", "label"], sort=False):
        ages, sexes = group["age"].dropna(), group["sex"].dropna()
        quartiles = ages.quantile([0.25, 0.5, 0.75]).tolist() if len(ages) else []
        rows.append({
            "cohort": cohort, "partition": partition, "class": "malignant" if label == 1 else "not malignant",
            "films": len(group), "patients": group["patient_id"].nunique(),
            "age": f"{quartiles[1]:.0f} ({quartiles[0]:.0f}-{quartiles[2]:.0f})" if quartiles else "",
            "age unknown": int(group["age"].isna().sum()),
            "female": f"{(sexes == 'F').sum()} of {len(sexes)}" if len(sexes) else "", "sex unknown": int(group["sex"].isna().sum()),
            "views": _tally(group["view"]), "sites": _tally(group["site"]),
        })
    return pd.DataFrame(rows)


def _tally(values: pd.Series) -> str:
    tally = values.fillna("unknown").value_counts().sort_index()
    return ", ".join(f"{name} {count}" for name, count in tally.items())


# --- the door ---------------------------------------------------------------------------------------------------------


def check_main(argv: Sequence[str] | None = None) -> int:
    """Check the cohorts of a configuration and print every fault.

    Returns
    -------
    int
        0: no error (warnings are printed); 2: at least one error, or a configuration that cannot be used.
    """
    parser = argparse.ArgumentParser(prog="osteotl check", description="List every fault of a study's cohorts.")
    parser.add_argument("--config", type=Path, default=Path("study.yaml"), help="study file (default: study.yaml)")
    parser.add_argument("--data", type=Path, default=Path("data"), help="data folder (default: data)")
    parser.add_argument("--no-pixels", action="store_true", help="check tables and names only, decode no film")
    parser.add_argument("--limit", type=int, default=25, help="lines shown per kind of fault (default: 25; 0 = all)")
    options = parser.parse_args(argv)
    try:
        study = load_study(options.config)
    except StudyError as error:
        print(f"{options.config} cannot be used:", *error.faults, sep="\n  ", file=sys.stderr)
        return 2
    if study.cohorts is None:
        print("The study starts from a predictions file; it has no cohorts to check.")
        return 0
    summary, _ = _assemble(study, options.data, write=False, with_pixels=not options.no_pixels)
    print(report(summary, options.limit or None))
    return 2 if errors(summary.faults) else 0


def report(summary: CohortSummary, limit: int | None = 25) -> str:
    """The result of a check as a person wants it: the cohorts, then the faults by kind, errors first."""
    lines = [f"{'cohort':<16}{'partition':<12}{'films':>8}{'patients':>10}{'malignant':>11}{'not':>8}"]
    for cohort, parts in summary.counts["cohorts"].items():
        for partition, size in parts.items():
            lines.append(f"{cohort:<16}{partition:<12}{size['films']:>8,}{size['patients']:>10,}{size['malignant']:>11,}"
                         f"{size['not_malignant']:>8,}")
    left = [f"  {s['films']:,} {s['cohort']} films left out: {s['reason']}" for s in summary.flow if s["step"] == "left out"]
    return "\n".join([*lines, *left, "", listing(summary.faults, limit)])
