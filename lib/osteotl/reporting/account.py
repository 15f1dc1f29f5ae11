"""The files of one finished study, as checklists, methods text and model cards ask them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from osteotl.reporting.wording import line
from osteotl.study import ConcatCohort, PhantomCohort, Study

PREPARED_SIDE = 640
"""Least bound on the longest side of a prepared film; the detector's image size where that is larger."""

STARTS = {
    "random": "random weights",
    "pretrain": "this study's pretraining",
    "other_modality": "this study's pretraining on films of another modality",
}


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
