"""What a run can say of itself, phrase by phrase: checklists, methods text and model cards are written from these.

Every number in a phrase is read from a file of the run. A phrase that the run cannot know is None, never a guess.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from osteotl.reporting.safety import without_paths
from osteotl.study import ConcatCohort, PhantomCohort, Study

MINUS = "\N{MINUS SIGN}"
PREPARED_SIDE = 640
"""Least bound on the longest side of a prepared film; the detector's image size where that is larger."""

POINTS = {"high_sensitivity": "high sensitivity", "high_specificity": "high specificity", "youden": "Youden"}
SOURCES = {"validation": "threshold locked on the validation set", "external": "threshold found on the external films"}
RULES = {
    "iou50": "intersection over union with a reference box of 0.50 or more",
    "iou30": "intersection over union with a reference box of 0.30 or more",
    "iou10": "intersection over union with a reference box of 0.10 or more",
    "centre": "centre of the mark inside a reference box",
}
STARTS = {
    "random": "random weights",
    "pretrain": "this study's pretraining",
    "other_modality": "this study's pretraining on films of another modality",
}


# --- numbers in words -------------------------------------------------------------------------------------------------


def fixed(value: Any, digits: int = 3, scale: float = 1) -> str:
    """A number with a true minus sign, or 'not estimable'."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "not estimable"
    text = f"{abs(value) * scale:,.{digits}f}"
    return f"{MINUS}{text}" if value < 0 and float(text.replace(",", "")) else text


def said(number: Mapping[str, Any] | None, digits: int = 3, scale: float = 1, unit: str = "") -> str:
    """`0.954 (0.937 to 0.970)`, or `not estimable (reason)`."""
    number = number or {}
    if number.get("estimate") is None:
        reason = number.get("not_estimable")
        return f"not estimable ({line(reason)})" if reason else "not estimable"
    ends = [number.get("lower"), number.get("upper")]
    text = fixed(number["estimate"], digits, scale) + unit
    if None in ends:
        return f"{text} (interval not estimable)"
    return f"{text} ({' to '.join(fixed(end, digits, scale) for end in ends)})"


def p_value(p: Any) -> str:
    """`p = 0.037`, `p < 0.001`, or 'p not estimable'."""
    if not isinstance(p, int | float):
        return "p not estimable"
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def line(text: Any) -> str:
    """Free text of a user on one line, without paths of the machine."""
    return without_paths(" ".join(str(text).split()))


def joined(parts: list[str]) -> str:
    """`a, b and c`."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}" if parts else ""


def point_words(key: str) -> str:
    """`high_sensitivity@validation` in words."""
    name, _, source = key.partition("@")
    return f"{POINTS.get(name, name.replace('_', ' '))} point, {SOURCES.get(source, source)}"


# --- the run ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Run:
    """The files of one finished study, as far as it has them.

    Attributes
    ----------
    study : Study
        The checked configuration.
    statistics, integrity, provenance : mapping
        statistics.json, cohorts/integrity.json, provenance.json; empty where a study has none.
    training : mapping
        Arm: {"model": model.json, "pairing": pairing.json} of its first seed; empty for scores made elsewhere.
    """

    study: Study
    statistics: Mapping[str, Any]
    integrity: Mapping[str, Any] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def get(self, path: str, default: Any = None) -> Any:
        """What stands at a dotted path of statistics.json; keys with a dot (0.25) are not reached."""
        here: Any = self.statistics
        for key in path.split("."):
            if not isinstance(here, Mapping) or here.get(key) is None:
                return default
            here = here[key]
        return here

    @cached_property
    def arms(self) -> list[str]:
        """Arms of statistics.json, the reference first."""
        named = list(self.get("arms", {}))
        return sorted(named, key=lambda arm: (arm != self.reference, named.index(arm)))

    @cached_property
    def reference(self) -> str:
        """The arm that the others are compared with."""
        return str(self.get("settings.reference") or self.study.reference or "")

    def label(self, arm: str) -> str:
        """The arm's name as the reader sees it."""
        return line((self.get("settings.arms") or {}).get(arm, {}).get("label") or arm)

    @property
    def scores_only(self) -> bool:
        """Whether the scores were made elsewhere."""
        return self.study.predictions is not None or self.study.cohorts is None

    @property
    def first_seed(self) -> str:
        """The seed of the 2x2 tables."""
        return str(self.get("settings.first_seed", ""))

    @property
    def main_point(self) -> str:
        """The operating point of the headline."""
        return str(self.get("settings.main_point") or "high_sensitivity@validation")

    @property
    def flags(self) -> dict[str, bool]:
        """What decides that an item does not apply."""
        kinds = set(self.readers.values()) if self.readers else set()
        return {
            "scores_only": self.scores_only,
            "phantoms": bool(kinds) and all(kind.startswith("phantom") for kind in kinds),
            "no_boxes": not any(arm.get("localisation") for arm in self.get("arms", {}).values()),
            "no_validation": self.get("cohorts.validation") is None,
        }

    @cached_property
    def readers(self) -> dict[str, str]:
        """Where the films of each cohort come from, in the reader's words; no folder of the machine."""
        if self.study.cohorts is None:
            return {}
        named = {name: getattr(self.study.cohorts, name) for name in ("pretrain", "other_modality", "development",
                                                                      "external")}  # fmt: skip
        return {name: _source(cohort) for name, cohort in named.items() if cohort is not None}

    def part(self, cohort: str, partition: str) -> Mapping[str, Any]:
        """Counts of one partition from integrity.json."""
        counts = self.integrity.get("counts", {}).get("cohorts", {})
        return (counts.get(cohort) or {}).get(partition) or {}


def _source(cohort: Any) -> str:
    if isinstance(cohort, ConcatCohort):
        return " + ".join(_source(part) for part in cohort.parts)
    if isinstance(cohort, PhantomCohort):
        return f"{cohort.reader} (synthetic films of site {cohort.site})"
    return f"{cohort.reader}{f' where {line(cohort.where)}' if cohort.where else ''}"


# --- phrases ----------------------------------------------------------------------------------------------------------


def phrases(run: Run) -> dict[str, str | None]:
    """Every phrase that checklists, methods and cards are written from; None where the run cannot know."""
    from osteotl.reporting import account_results, account_setup

    return {**account_setup.phrases(run), **account_results.phrases(run)}


def fill_in(sentences: list[str], known: Mapping[str, str | None]) -> list[str]:
    """The sentences whose every {phrase} is known, filled in; a sentence with an unknown one is left out.

    Raises
    ------
    ValueError
        A sentence names a phrase that no run can have: a mistake in the template.
    """
    kept = []
    for sentence in sentences:
        names = re.findall(r"\{(\w+)\}", sentence)
        if unknown := [name for name in names if name not in known]:
            raise ValueError(f"phrase {unknown[0]!r} does not exist; known: {', '.join(sorted(known))}")
        if all(known[name] is not None for name in names):
            kept.append(re.sub(r"\{(\w+)\}", lambda match: str(known[match[1]]), sentence))
    return kept
