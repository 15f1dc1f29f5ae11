"""Reader `concat`: several cohorts read one after another as one."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pandas as pd

from osteotl.cohorts.faults import Fault, fault
from osteotl.cohorts.readers.builder import RawCohort, Step
from osteotl.cohorts.readers.completion import keep
from osteotl.study import ConcatCohort


def joined(spec: ConcatCohort, parts: list[RawCohort]) -> RawCohort:
    """Join parts; an identifier that two parts use for different films is led by the part's number.

    Patients with the same identifier are the same patient (NIH, RSNA with its map, and films named after NIH do share
    patients); where numbers of two sources mean different people, `patient_prefix` keeps them apart, and a warning says
    so.
    """
    faults = [f for part in parts for f in part.faults] + _shared_patients(parts)
    uses = Counter(name for part in parts for name in part.films["image_id"])
    films, boxes = [], []
    for number, part in enumerate(parts, start=1):
        names = {name: f"{number}:{name}" if uses[name] > 1 else name for name in part.films["image_id"]}
        source = part.films["root"].map(lambda root: Path(root).name)
        site = part.films["site"].where(part.films["site"].notna(), source)
        films.append(part.films.assign(image_id=part.films["image_id"].map(names), site=site, part=number))
        boxes.append(part.boxes.assign(image_id=part.boxes["image_id"].map(names)))
    flow = [step for part in parts for step in part.flow]
    opened = tuple(path for part in parts for path in part.opened)
    seen = tuple(name for part in parts for name in part.seen)
    together = RawCohort(_stack(films), _stack(boxes), faults, flow, opened, seen)
    return together if spec.where is None or together.films.empty else _within(together, spec.where)


def _within(cohort: RawCohort, where: str) -> RawCohort:
    try:
        kept = keep(cohort.films, where)
    except ValueError as error:
        wrong = fault("where_invalid", "", str(error), "compare columns with values, as in `part == 1`")
        return replace(cohort, faults=[*cohort.faults, wrong])
    gone = cohort.films[~kept]
    films = cohort.films[kept].reset_index(drop=True)
    boxes = cohort.boxes[cohort.boxes["image_id"].isin(films["image_id"])].reset_index(drop=True)
    left = Step("left out", len(gone), gone["patient_id"].nunique(), f"not within where: {where}")
    return replace(cohort, films=films, boxes=boxes, flow=[*cohort.flow, *([left] if len(gone) else [])])


def _stack(frames: list[pd.DataFrame]) -> pd.DataFrame:
    filled = [frame for frame in frames if len(frame)]
    return pd.concat(filled, ignore_index=True) if filled else frames[0]


def _shared_patients(parts: list[RawCohort]) -> list[Fault]:
    places: dict[str, set[int]] = {}
    for number, part in enumerate(parts):
        for patient in part.films["patient_id"].unique():
            places.setdefault(patient, set()).add(number)
    shared = sum(len(numbers) > 1 for numbers in places.values())
    if not shared:
        return []
    names = sorted({Path(root).name for part in parts for root in part.films["root"].unique()})
    return [
        fault(
            "patient_in_two_parts",
            " + ".join(names),
            f"{shared:,} patient identifiers stand in more than one part and are taken for the same patients",
            "if they are not, give one part a `patient_prefix`",
        )
    ]
