"""From the cohorts that a study names to the cohort tables: read, decode, check, partition, hash, write."""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from osteotl.cohorts.faults import CODES, CohortError, Fault, counts, errors, fault, judge, listing, plural
from osteotl.cohorts.integrity import films_named
from osteotl.cohorts.pixels import note_summary, note_table
from osteotl.cohorts.pool import (
    COHORTS,
    FILM_COLUMNS,
    boxes_of,
    decode,
    exclude,
    flow_of,
    hashed_tables,
    join_patients_of_duplicates,
    make_partitions,
    pool_faults,
    read_pool,
    sizes_of,
)
from osteotl.cohorts.preparation import prepared_side
from osteotl.files import visible, write_csv, write_json
from osteotl.study import Study, StudyError, load_study

__all__ = [
    "COHORTS",
    "FILM_COLUMNS",
    "CohortError",
    "CohortSummary",
    "build_cohorts",
    "check",
    "check_main",
    "fault_table",
    "flow_table",
    "read_films",
    "read_integrity",
    "report",
]


#: of one core for one film and optimiser step of yolov5n at 160 pixels, forward and back (benchmarks, 2026)
SECONDS_A_FILM = 0.024


@dataclass(frozen=True)
class CohortSummary:
    """What a study's cohorts came to.

    Attributes
    ----------
    films : DataFrame
        The rows of every cohort table, with a column `cohort`; ids hashed. Beside them `notes`: lists of what was
        decided in reading a film.
    faults : list of Fault
        Judged by the study's severities, errors first.
    flow : list of dict
        cohort, step, films, patients, reason: as in integrity.json.
    counts : dict
        errors, warnings, by_code; films, patients, malignant and not by cohort and partition.
    left_out : list of str
        Films of the cohorts' folders that are in no table, so that the page can be kept free of their names.
    """

    films: pd.DataFrame
    faults: list[Fault]
    flow: list[dict[str, Any]]
    counts: dict[str, Any]
    left_out: list[str]

    def __str__(self) -> str:
        return listing(self.faults, limit=20)


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
        Decode and check everything; films stay prepared, no table is written.

    Returns
    -------
    CohortSummary

    Raises
    ------
    CohortError
        An error remains among the faults; integrity.json then holds the list and no table is written.
    """
    summary, boxes = _assemble(study, Path(data_dir))
    if not check_only:
        _write(summary, boxes, Path(out) / "cohorts")
    if errors(summary.faults):
        raise CohortError(summary.faults)
    return summary


def _write(summary: CohortSummary, boxes: pd.DataFrame, folder: Path) -> None:
    """The list of faults and, where none of them is an error, the tables."""
    found = {
        "not_for_sharing": True,
        "faults": [f.as_dict() for f in summary.faults],
        "counts": summary.counts,
        "flow": summary.flow,
        "left_out": summary.left_out,
    }
    write_json(folder / "integrity.json", found)
    if errors(summary.faults):
        return
    for cohort in (name for name in COHORTS if (summary.films["cohort"] == name).any()):
        rows = summary.films[summary.films["cohort"] == cohort]
        write_csv(folder / f"{cohort}.csv", rows[list(FILM_COLUMNS)])
    write_csv(folder / "boxes.csv", boxes)
    write_csv(folder / "film_notes.csv", note_table(summary.films))


def check(study: Study, data_dir: str | Path, with_pixels: bool = True) -> list[Fault]:
    """Every fault of a study's cohorts; no table is written.

    Parameters
    ----------
    study : Study
    data_dir : path
        Where phantoms and prepared films lie; what is not there yet stays there for the next check or run.
    with_pixels : bool
        Decode every film; False checks tables, names and identities only (100,000 films in seconds).
    """
    return _assemble(study, Path(data_dir), with_pixels)[0].faults


def _assemble(study: Study, data_dir: Path, with_pixels: bool = True) -> tuple[CohortSummary, pd.DataFrame]:
    if study.cohorts is None:
        raise CohortError([fault("cohort_empty", "", "the study names no cohorts", "add `cohorts`")])
    with tempfile.TemporaryDirectory() as aside:
        place = data_dir if _writable(data_dir) else Path(aside)  # a check of films on a medium that cannot be written
        pool = read_pool(study.cohorts, place)
        exclude(pool, study.integrity.exclude)
        cache = place / ".prepared"
        if with_pixels:
            decode(pool, cache, prepared_side(study.detector.image_size))
            join_patients_of_duplicates(pool)
        make_partitions(pool, study.cohorts)
        boxes = boxes_of(pool)
        pool.faults += pool_faults(pool.films, boxes, cache if with_pixels else None)
    faults = judge(pool.faults, study.integrity.severity)
    films, boxes = hashed_tables(pool.films, boxes, study.privacy.salt)
    sizes = {**counts(faults), "cohorts": sizes_of(films)}
    left_out = sorted(set(pool.seen) - set(films_named(pool.films)))
    return CohortSummary(films, faults, flow_of(pool), sizes, left_out), boxes


def _writable(folder: Path) -> bool:
    return os.access(next(place for place in (folder, *folder.absolute().parents) if place.exists()), os.W_OK)


# --- what notebooks show ----------------------------------------------------------------------------------------------


def read_films(folder: str | Path) -> pd.DataFrame:
    """The cohort tables of a finished 00_cohorts, one below the other, with a column `cohort`."""
    text = {"image_id": str, "patient_id": str, "site": str, "film": str, "view": str, "sex": str, "subtype": str}
    tables = [
        pd.read_csv(Path(folder) / f"{name}.csv", dtype=text).assign(cohort=name)
        for name in COHORTS
        if (Path(folder) / f"{name}.csv").exists()
    ]
    return pd.concat([table.dropna(axis=1, how="all") for table in tables], ignore_index=True).reindex(
        columns=["cohort", *FILM_COLUMNS]
    )


def read_integrity(path: str | Path) -> dict[str, Any]:
    """The content of integrity.json."""
    return json.loads(Path(path).read_text(encoding="utf-8"))


def flow_table(content: Mapping[str, Any]) -> pd.DataFrame:
    """Films and patients at every step of every cohort, from integrity.json."""
    return pd.DataFrame(content["flow"], columns=["cohort", "step", "films", "patients", "reason"])


def fault_table(integrity: Mapping[str, Any]) -> pd.DataFrame:
    """Faults by kind, never by file: executed notebooks are shared, and file names can hold names of patients.

    Returns
    -------
    DataFrame
        severity, code, faults (how many), meaning; errors first.
    """
    found = pd.DataFrame(integrity["faults"], columns=["severity", "code"])
    table = found.value_counts(["severity", "code"]).rename("faults").reset_index().sort_values(["severity", "code"])
    return table.assign(meaning=[CODES[code][1] for code in table["code"]]).reset_index(drop=True)


# --- check ------------------------------------------------------------------------------------------------------------


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
    parser.add_argument("--out", type=Path, help="outputs folder for integrity.json and tables (default: none written)")
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
    summary, boxes = _assemble(study, options.data, with_pixels=not options.no_pixels)
    if options.out:
        _write(summary, boxes, options.out / "cohorts")
    print(visible(report(summary, options.limit or None)))
    if not errors(summary.faults):
        print(work(study, summary.counts["cohorts"]))
    return 2 if errors(summary.faults) else 0


def work(study: Study, sizes: Mapping[str, Any]) -> str:
    """What a run of the study comes to: trainings, optimiser steps, and a first guess of its time on processors.

    Parameters
    ----------
    study : Study
    sizes : mapping
        Films by cohort and partition, as in `CohortSummary.counts`.
    """
    detector = study.detector

    def films(cohort: str) -> int:
        return int(sizes.get(cohort, {}).get("training", {}).get("films", 0))

    before = [c for c in ("pretrain", "other_modality") if any(arm.initialise == c for arm in study.arms.values())]
    if study.detector.pretrained_weights:
        before = [cohort for cohort in before if cohort != "pretrain"]
    seen = [films(cohort) * detector.pretrain_epochs for cohort in before]
    seen += [films("development") * detector.epochs for _ in study.replicates()]
    steps = sum(math.ceil(number / detector.batch) for number in seen)
    minutes = round(sum(seen) * SECONDS_A_FILM * (detector.image_size / 160) ** 2 / 60)
    took = f"roughly {plural(minutes, 'minute')}" if minutes else "less than a minute"
    return (
        f"A run trains {plural(len(seen), 'time')}, about {steps:,} optimiser steps in all: "
        f"{took} of one processor core, divided by the cores in use; a GPU needs far less."
    )


def report(summary: CohortSummary, limit: int | None = 25) -> str:
    """The result of a check as a person wants it: the cohorts, then the faults by kind, errors first."""
    lines = [f"{'cohort':<16}{'partition':<12}{'films':>8}{'patients':>10}{'malignant':>11}{'not':>8}"]
    for cohort, parts in summary.counts["cohorts"].items():
        for partition, size in parts.items():
            lines.append(
                f"{cohort:<16}{partition:<12}{size['films']:>8,}{size['patients']:>10,}{size['malignant']:>11,}"
                f"{size['not_malignant']:>8,}"
            )
    left = [
        f"  {plural(s['films'], 'film')} of {s['cohort']} left out: {s['reason']}"
        for s in summary.flow
        if s["step"] == "left out"
    ]
    if decided := note_summary(summary.films):
        left += ["", "decided in reading films (a run lists it film by film in cohorts/film_notes.csv)"]
        left += [f"  {line}" for line in decided]
    return "\n".join([*lines, *left, "", listing(summary.faults, limit)])
