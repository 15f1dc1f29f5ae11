"""One file per layout in which films and annotations are distributed; `read_cohort` picks the one a study names."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from osteotl.cohorts import phantoms
from osteotl.cohorts.readers import btxrd, coco, labelme, manifest, nih, rsna, tbx11k, vindr, voc, yolo
from osteotl.cohorts.readers.builder import BOX_COLUMNS, CohortBuilder, RawCohort, Step
from osteotl.cohorts.readers.completion import complete
from osteotl.cohorts.readers.concat import joined
from osteotl.study import Cohort, ConcatCohort, FileCohort, PhantomCohort

__all__ = ["READERS", "RawCohort", "Step", "read_cohort"]

READERS: dict[str, Callable[[CohortBuilder], None]] = {
    "btxrd": btxrd.read,
    "coco": coco.read,
    "labelme": labelme.read,
    "manifest": manifest.read,
    "nih": nih.read,
    "rsna": rsna.read,
    "tbx11k": tbx11k.read,
    "vindr": vindr.read,
    "voc": voc.read,
    "yolo": yolo.read,
}


def read_cohort(spec: Cohort, data_root: str | Path) -> RawCohort:
    """Read the films and the reference standard of one cohort.

    Parameters
    ----------
    spec : PhantomCohort, FileCohort or ConcatCohort
        Settings of study.yaml.
    data_root : path
        Phantoms are drawn below `data_root/phantoms`.

    Returns
    -------
    RawCohort
        With every fault listed; nothing is raised for what a user's file holds.
    """
    if isinstance(spec, PhantomCohort):
        return _phantoms(spec, Path(data_root))
    if isinstance(spec, ConcatCohort):
        return joined(spec, [read_cohort(part, data_root) for part in spec.parts])
    return _from_files(spec)


def _from_files(spec: FileCohort) -> RawCohort:
    builder = CohortBuilder(spec)
    if not os.path.isdir(builder.root):  # Path.is_dir raises on a name that is too long
        remedy = "set `root` to the folder of the films; a relative one starts at the study file's own folder"
        builder.fault("root_missing", builder.root, "there is no such folder", remedy)
        films, boxes = builder.frames()
        return RawCohort(films, boxes, builder.faults, [Step("read", 0, 0, "")])
    READERS[spec.reader](builder)
    return complete(builder)


def _phantoms(spec: PhantomCohort, data_root: Path) -> RawCohort:
    films, boxes = phantoms.read(spec, data_root)
    films = films.assign(
        root=str(data_root),
        path=[str(data_root / path) for path in films["path"]],
        annotated_width=None,
        annotated_height=None,
        annotated_as=None,
    )
    flow = [Step("read", len(films), films["patient_id"].nunique(), "")]
    return RawCohort(films, pd.DataFrame(boxes, columns=list(BOX_COLUMNS)), [], flow)
