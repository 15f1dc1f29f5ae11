"""What can be wrong with a cohort, how serious it is, and how a person is told."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from osteotl.files import plural

#: The written table: code -> (severity, what it means). `integrity.severity` of study.yaml overrides the first column.
CODES: dict[str, tuple[str, str]] = {
    # reading
    "root_missing": ("error", "the folder of a cohort does not exist or cannot be opened"),
    "file_missing": ("error", "a table or annotation file that the layout needs is not there"),
    "file_unreadable": ("error", "a table or annotation file cannot be read as what it should be"),
    "table_read_as": ("warning", "a table was read in a way to be looked at: its encoding, its sheet, its dates"),
    "numbers_read_as": ("note", "numbers of a table have a decimal comma, or commas between thousands"),
    "column_unused": ("note", "columns of a table that nothing reads"),
    "column_missing": ("error", "a table lacks a column that the layout needs"),
    "row_invalid": ("error", "a row or entry cannot be read: a number that is none, an empty identifier"),
    "where_invalid": ("error", "the query in `where` cannot be answered"),
    "label_unknown": ("error", "a label that is neither 0 nor 1, nor mapped"),
    "label_zero": ("note", "words or classes that count as not malignant (label 0), such as benign"),
    "class_unmapped": ("warning", "boxes of a class that `classes` does not name were left out"),
    "class_absent": ("warning", "`classes` names a class that no annotation uses"),
    "classes_joined": ("note", "boxes are of several classes, all of which count as lesions"),
    "cohort_empty": ("error", "no film is left in a cohort"),
    "licence_conflict": ("warning", "the licence of a public cohort is stated differently in two places"),
    "patient_unknown": ("warning", "no patient identifier: every film counts as a patient of its own"),
    "patient_derived": ("warning", "patients were derived from other columns: the layout names none"),
    "patient_unmatched": ("error", "`patient_pattern` does not match a film's name"),
    "patient_unmapped": ("warning", "the patient map does not name a film; it counts as a patient of its own"),
    "patient_spelling": ("warning", "one patient may be spelt in two ways (0012 and 12, P01 and p01)"),
    "patient_in_two_parts": ("warning", "two parts of a concatenated cohort use the same patient identifier"),
    "value_implausible": ("warning", "an age or other value that cannot be true or read was taken as missing"),
    # films and identifiers
    "film_missing": ("error", "an annotation names a film that is not there"),
    "film_unreadable": ("error", "a film cannot be decoded whole"),
    "film_unlisted": ("warning", "a film in the folder that the table does not name was left out"),
    "film_ambiguous": ("error", "two files could be the film that a table names"),
    "path_outside_root": ("error", "a table names a film outside the cohort's folder"),
    "not_annotated": ("warning", "films whose status is not annotated were left out, never taken as normal"),
    "duplicate_id": ("error", "an identifier stands for two films"),
    "unknown_id": ("error", "an annotation names an identifier that no film has"),
    "exclude_unknown": ("error", "`integrity.exclude` names a film that no cohort holds"),
    "severity_unknown": ("error", "`integrity.severity` names a code that does not exist"),
    # boxes and labels
    "box_invalid": ("error", "a box with a coordinate that is not a finite number"),
    "box_empty": ("error", "a box without area"),
    "box_inverted": ("error", "a box whose maximum lies before its minimum"),
    "box_outside": ("error", "a box that leaves its film"),
    "box_edge": ("warning", "a box that leaves its film by rounding was cut at the edge"),
    "box_mixup": ("error", "a box that only makes sense with corners and sizes exchanged"),
    "box_units": ("error", "a box in shares of the film (0 to 1) where pixels are read, or the other way round"),
    "box_whole_film": ("warning", "a box that covers nearly the whole film"),
    "box_minority": ("warning", "lesions drawn by fewer readers than `agreement` asks for do not count"),
    "box_crowd": ("warning", "regions of several lesions (COCO iscrowd) were left out: none of them is one lesion"),
    "box_marked": ("note", "boxes marked as difficult, truncated or the like count as lesions like any other"),
    "box_duplicate": ("warning", "the same box stands twice"),
    "box_turned": ("warning", "a film was turned when it was read; its boxes were not"),
    "size_mismatch": ("error", "the annotation states another size than the film has"),
    "malignant_without_box": ("error", "a malignant film without a lesion box in a cohort that trains"),
    "boxes_absent": ("warning", "no malignant film of a cohort has a box: localisation cannot be measured there"),
    "normal_with_box": ("error", "a film labelled 0 that has a lesion box"),
    # the cohort as a whole
    "one_class": ("error", "a cohort or partition holds films of one class only"),
    "few_malignant": ("warning", "fewer than 29 malignant validation patients: a target of 0.90 cannot be assured"),
    "no_validation": ("warning", "no film is held for thresholds: the page lacks all that needs a locked one"),
    "split_unused": ("warning", "the layout ships a split into training and test films that is not used"),
    "split_absent": ("error", "`split: shipped`, but the layout ships none, or some films stand in no part of it"),
    "too_few_patients": ("error", "too few patients to make the partitions"),
    "patient_in_two_cohorts": ("error", "a patient stands in two cohorts"),
    "patient_in_two_partitions": ("error", "a patient stands in two partitions"),
    "film_in_two_cohorts": ("error", "the same file is read by two cohorts"),
    "duplicate_exact": ("warning", "the same film stands twice in a cohort"),
    "duplicate_exact_across": ("error", "the same film stands in two cohorts or partitions"),
    "duplicate_label_conflict": ("error", "the same film stands twice with different labels"),
    "near_duplicate": ("warning", "two films of different patients look the same"),
    "near_duplicate_across": ("warning", "two films of different patients in two cohorts or partitions look the same"),
    "film_constant": ("error", "a film with hardly any grey levels"),
    "film_saturated": ("warning", "a film that is mostly pure black or pure white"),
    "film_damaged": ("warning", "a film that decodes, but shows that a part of it was lost and filled in"),
    "grey_doubtful": ("warning", "grey levels that may not be what the file meant: a window or values left out"),
    "for_processing": ("warning", "a DICOM film of detector values (FOR PROCESSING), not as readers see it"),
    "burned_in_annotation": ("warning", "a DICOM film that says text is burned into its pixels: a name, perhaps"),
    "class_source_confounded": ("warning", "class and source go together: scores may measure the source"),
    "name_in_filename": ("warning", "a file name looks as if it holds a person's name"),
    "date_in_filename": ("warning", "a file name looks as if it holds a date"),
}


MOST_REMEDIES = 5  # different remedies that are shown of one code


@dataclass(frozen=True)
class Fault:
    """One thing wrong with a cohort.

    Attributes
    ----------
    severity : {'error', 'warning', 'note'}
        A note states a decision of the reading that a person should know; nothing is wrong.
    code : str
        A key of `CODES`.
    file : str
        The file it concerns, relative to the cohort's folder and led by that folder's name; never absolute.
    message : str
        What is wrong; names the file.
    remedy : str
        What would mend it.
    """

    severity: str
    code: str
    file: str
    message: str
    remedy: str

    def as_dict(self) -> dict[str, str]:
        """The fault as integrity.json holds it."""
        return asdict(self)


class CohortError(ValueError):
    """The cohorts cannot be used as they are; `faults` holds every fault, errors first."""

    def __init__(self, faults: list[Fault]):
        self.faults = faults
        super().__init__(listing(faults))


def fault(code: str, file: str, message: str, remedy: str) -> Fault:
    """A fault with the severity of the written table; the file is named in the message."""
    if code not in CODES:
        raise ValueError(f"no fault code {code!r}; the codes are {', '.join(CODES)}")
    file, message, remedy = printable(file), printable(message), printable(remedy)
    return Fault(CODES[code][0], code, file, message if _names(message, file) else f"{file}: {message}", remedy)


def _names(message: str, file: str) -> bool:
    """Whether a message names its file; 'development' does not name the folder 'dev'."""
    return not file or (file in message and re.search(rf"(?<!\w){re.escape(file)}(?!\w)", message) is not None)


def printable(text: str, limit: int = 400) -> str:
    """Text from a user's file that is safe on a terminal: no control characters, not endless."""
    text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in str(text))
    return text if len(text) <= limit else f"{text[:limit]}..."


def shown(path: str | Path, root: str | Path) -> str:
    """A path as outputs may name it: relative to the cohort's folder, led by that folder's name."""
    path, root = os.fspath(path), os.fspath(root).rstrip("/")  # plain text: a hundred thousand Paths take seconds
    name = root.rpartition("/")[2]
    if path == root:
        return name
    return f"{name}/{path.removeprefix(f'{root}/')}" if path.startswith(f"{root}/") else path.rpartition("/")[2]


def judge(faults: Iterable[Fault], severity: Mapping[str, str]) -> list[Fault]:
    """Apply a study's own severities; ignored faults vanish, repeated ones stand once, errors come first.

    A severity for a code that does not exist is itself a fault.
    """
    judged = [replace(f, severity=severity.get(f.code, f.severity)) for f in dict.fromkeys(faults)]
    judged += [
        fault(
            "severity_unknown",
            code,
            f"integrity.severity names {code!r}, which is no fault code",
            f"docs/faults.md lists the codes{_meant(code)}",
        )
        for code in severity
        if code not in CODES
    ]
    kept = [f for f in judged if f.severity != "ignore"]
    order = {code: place for place, code in enumerate(CODES)}
    rank = {"error": 0, "warning": 1, "note": 2}
    return sorted(kept, key=lambda f: (rank[f.severity], order[f.code], _natural(f.file), _natural(f.message)))


def _natural(text: str) -> str:
    """A text that sorts row 2 before row 10."""
    return re.sub(r"\d+", lambda digits: digits[0].zfill(12), text)


def _meant(code: str) -> str:
    close = get_close_matches(code, CODES, 1)
    return f"; {close[0]} is one of them" if close else ""


def errors(faults: Iterable[Fault]) -> list[Fault]:
    """The faults that stop a study."""
    return [f for f in faults if f.severity == "error"]


def counts(faults: Iterable[Fault]) -> dict[str, Any]:
    """How many faults there are, by severity and by code."""
    faults = list(faults)
    by_code = Counter(f.code for f in faults)
    return {
        "errors": sum(f.severity == "error" for f in faults),
        "warnings": sum(f.severity == "warning" for f in faults),
        "notes": sum(f.severity == "note" for f in faults),
        "by_code": dict(sorted(by_code.items())),
    }


def listing(faults: Iterable[Fault], limit: int | None = None) -> str:
    """Faults as a person wants to read them: grouped by code, counted, files aligned, one remedy a group.

    Parameters
    ----------
    faults : iterable of Fault
    limit : int, optional
        At most so many lines a group; what is left out is counted. Default: every one.
    """
    faults = list(faults)
    if not faults:
        return "No fault found."
    total = counts(faults)
    notes = f", {plural(total['notes'], 'note')}" if total["notes"] else ""
    lines = [f"{plural(total['errors'], 'error')}, {plural(total['warnings'], 'warning')}{notes}"]
    for severity, code in dict.fromkeys((f.severity, f.code) for f in faults):
        group = [f for f in faults if (f.severity, f.code) == (severity, code)]
        lines += ["", f"{severity.upper()}  {code} ({len(group):,}): {CODES[code][1]}"]
        lines += _group(group, limit)
    return "\n".join(lines)


def _group(group: list[Fault], limit: int | None) -> list[str]:
    part = group if limit is None else group[:limit]
    width = min(max(len(f.file) for f in part), 60)
    remedies = list(dict.fromkeys(f.remedy for f in part))
    together = [part] if len(remedies) > MOST_REMEDIES else [[f for f in part if f.remedy == r] for r in remedies]
    lines = []
    for alike in together:  # each remedy below the files that it would mend
        lines += [f"  {f.file:<{width}}  {f.message.removeprefix(f'{f.file}: ')}".rstrip() for f in alike]
        if len(together) > 1:
            lines.append(f"  remedy: {alike[0].remedy}")
    if len(part) < len(group):
        lines.append(f"  ... and {len(group) - len(part):,} more")
    return lines if len(together) > 1 else lines + [f"  remedy: {remedy}" for remedy in remedies[:MOST_REMEDIES]]
