"""Whose film it is: the map file, else the pattern on the file name, else the layout's own column, else unknown."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from osteotl.cohorts.faults import plural
from osteotl.cohorts.readers.builder import CohortBuilder, visible
from osteotl.cohorts.readers.columns import column_missing, known, plain_name
from osteotl.cohorts.readers.files import read_table, unused_columns
from osteotl.cohorts.readers.patterns import first_groups

UNKNOWN = "film:"  # leads the identifier of a patient that is no more than one film


def stem_of(name: object) -> str:
    """A film's name without folders and without the suffix of a film."""
    return re.sub(
        r"\.(png|jpe?g|tiff?|dcm|dicom|bmp)$", "", str(name).replace("\\", "/").rsplit("/", 1)[-1], flags=re.IGNORECASE
    )


def with_patients(builder: CohortBuilder, films: pd.DataFrame) -> pd.DataFrame:
    """Films with the patient of each; a film of nobody counts as a patient of its own."""
    patients = _without_invisible(builder, known(films["patient_id"]))
    if builder.spec.patient_pattern is not None:
        patients = _by_pattern(builder, films["image_id"], builder.spec.patient_pattern)
    mapped = pd.Series(None, index=films.index, dtype=object)
    if builder.spec.patients is not None:
        mapped = films["image_id"].map(_patient_map(builder, films))
        patients = mapped.where(mapped.notna(), patients)
    derived = patients[mapped.isna()].dropna()
    if builder.derived and builder.spec.patient_pattern is None and len(derived):
        text = f"{derived.nunique():,} pseudo-patients were derived for {plural(len(derived), 'film')}"
        builder.fault("patient_derived", builder.derived, text, "give `patients` (a map file) if you know them")
    unknown = patients.isna()
    named = (builder.spec.patient_prefix or "") + patients.astype(str)
    return films.assign(patient_id=named.where(~unknown, UNKNOWN + films["image_id"].astype(str)))


def _by_pattern(builder: CohortBuilder, image_ids: pd.Series, pattern: str) -> pd.Series:
    """What the pattern finds in each film's name; nothing, and a fault, where it does not end."""
    names = image_ids.map(stem_of)
    try:
        found: list[str | None] = [patient or None for patient in first_groups(pattern, names.tolist())]
    except ValueError as error:
        remedy = "write it without a repeat inside a repeat, such as (a+)+ or (a|a)*: it tries every way to part a name"
        builder.fault("patient_unmatched", "", f"patient_pattern {pattern!r} {error}", remedy)
        builder.pattern_ends = False
        found = [None] * len(names)
    return pd.Series(found, index=names.index, dtype=object)


def _without_invisible(builder: CohortBuilder, patients: pd.Series) -> pd.Series:
    """Identifiers without invisible characters, which would make two of one patient."""
    plain = patients.map(lambda name: visible(str(name)) if isinstance(name, str) else name)
    changed = patients[patients.notna() & (patients != plain)]
    if len(changed):
        text = (
            f"invisible or doubly coded characters were taken out of patient identifiers (such as {changed.iloc[0]!a})"
        )
        builder.fault("patient_spelling", "", text, "take them out of the table as well")
    return plain


def patient_faults(builder: CohortBuilder, films: pd.DataFrame) -> None:
    """Films that stay and whose patient is not known: an error where a pattern was to find it."""
    unknown = films[films["patient_id"].str.startswith(UNKNOWN)]
    if unknown.empty or not builder.pattern_ends:
        return
    if builder.spec.patients is None and builder.spec.patient_pattern is None:
        builder.fault(
            "patient_unknown",
            "",
            f"{len(unknown):,} of {plural(len(films), 'film')} without patient identifier; each counts as a patient of "
            "its own, so films of one patient may stand in two partitions",
            "give a column patient_id, `patients` (a map file) or `patient_pattern` (a pattern on the file name)",
        )
        return
    code = "patient_unmapped" if builder.spec.patient_pattern is None else "patient_unmatched"
    source = (
        f"{builder.spec.patients} does not name it"
        if builder.spec.patients
        else "patient_pattern finds no patient in the name"
    )
    for path in unknown["path"]:
        builder.fault(
            code, Path(path), source, "complete the map or the pattern, or name the film under integrity.exclude"
        )


def films_meant(builder: CohortBuilder, films: pd.DataFrame, path: Path, names: pd.Series) -> pd.Series:
    """The image_id of the film that each row of a table means; None where no film, or more than one, is meant.

    A name that leads through a folder means the film there, never one of its file name elsewhere.

    Parameters
    ----------
    builder : CohortBuilder
        Lists names that could be several films.
    films : DataFrame
        path and image_id of every film.
    path : Path
        The table.
    names : Series of str
        What the table calls its films: path, file name, stem or image_id.
    """
    by_path = dict(zip(films["path"], films["image_id"], strict=True))
    by_name = {str(name): str(name) for name in films["image_id"]}
    stems = films["image_id"].map(stem_of)
    by_stem = dict(
        zip(stems[~stems.duplicated(keep=False)], films["image_id"][~stems.duplicated(keep=False)], strict=True)
    )
    meant: list[str | None] = []
    for name in names.astype(str):
        found = [by_path[str(film)] for film in builder.index.find(name) if str(film) in by_path] if name else []
        if len(found) > 1 and name not in by_name:
            listed = ", ".join(found[:3])
            builder.fault("film_ambiguous", path, f"{name!r} could be any of {listed}", "write the path of the film")
        bare = by_stem.get(stem_of(name)) if "/" not in name.replace("\\", "/") and not found else None
        meant.append(by_name.get(name) or (found[0] if len(found) == 1 else bare))
    return pd.Series(meant, index=names.index, dtype=object)


def _patient_map(builder: CohortBuilder, films: pd.DataFrame) -> dict[str, str]:
    """image_id -> patient. A map to NIH film names (as RSNA's) gives the NIH patient: its first eight digits."""
    path = builder.root / str(builder.spec.patients)
    table = read_table(builder, path, key="patients", needs=("patient_id",))
    if table is None:
        return {}
    plain = {plain_name(name): name for name in table.columns}
    nih = next((plain[name] for name in ("nih_image_index", "cxr_match") if name in plain), None)
    film = next(
        (plain[name] for name in ("image_id", "path", "image", "file", "file_name", "patientid") if name in plain), None
    )
    patient = nih or next((plain[name] for name in ("patient_id", "patient", "subject", "case") if name in plain), None)
    if film is None or patient is None or film == patient:
        lacking = [name for name, own in (("image_id", film), ("patient_id", patient)) if own is None]
        column_missing(builder, path, table, lacking or ["patient_id"])
        return {}
    unused_columns(builder, path, table, (film, patient))
    values = table[patient].str.slice(0, 8) if nih else table[patient]
    meant, patients = films_meant(builder, films, path, table[film]), _without_invisible(builder, known(values))
    pairs = pd.DataFrame({"film": meant, "patient": patients}).dropna().drop_duplicates()
    for name in sorted(pairs["film"][pairs["film"].duplicated()].unique()):
        builder.fault("duplicate_id", path, f"gives the film {name!r} two patients", "keep one row per film")
    return dict(zip(pairs["film"], pairs["patient"], strict=True))
