"""Figures of a published comparison, as printed.

A published table is data: a YAML file of numbers in quotes with their source. Those that ship lie beside this module;
`load_published` reads any other file in the same form.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from osteotl.strict_yaml import YamlError, load_yaml

FOLDER = Path(__file__).parent
CLASS_OF = {"sensitivity": "malignant", "specificity": "normal"}

Printed = Annotated[str, Field(pattern=r"^(0?\.\d+|0|1|1\.0*)$", strict=True)]
Arm = str
Rate = Literal["sensitivity", "specificity", "ppv", "npv"]


class PublishedError(ValueError):
    """The file of figures cannot be used; `faults` lists every reason."""

    def __init__(self, faults: list[str]):
        super().__init__("\n".join(faults))
        self.faults = faults


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Films(_Strict):
    malignant: int = Field(ge=1)
    normal: int = Field(ge=0)


class PrintedAuc(_Strict):
    value: Printed
    lower: Printed
    upper: Printed


class PrintedP(_Strict):
    value: Printed
    test: Literal["mcnemar", "bootstrap", "score", "other"] = "other"


class Rule(_Strict):
    maximise: Literal["sensitivity", "specificity"]
    subject_to: Literal["sensitivity", "specificity"]
    at_least: Printed

    def swapped(self) -> Rule:
        return Rule(maximise=self.subject_to, subject_to=self.maximise, at_least=self.at_least)


class Point(_Strict):
    """One operating point: printed rates of each arm, p values, and the rule that set it."""

    rule: Rule | None = None
    rates: dict[Arm, dict[Rate, Printed]]
    either_arm: dict[Rate, list[Printed]] = Field(default_factory=dict)
    p: dict[Rate, PrintedP] = Field(default_factory=dict)

    def swapped(self) -> Point:
        """Sensitivity and specificity exchanged."""
        other: dict[str, Rate] = {"sensitivity": "specificity", "specificity": "sensitivity"}

        def turn(table: dict[Rate, Any]) -> dict[Rate, Any]:
            return {other.get(k, k): v for k, v in table.items()}

        return Point(rule=self.rule.swapped() if self.rule else None, rates={a: turn(r) for a, r in self.rates.items()},
                     either_arm=turn(self.either_arm), p=turn(self.p))  # fmt: skip


class Rival(_Strict):
    says: str
    swap: list[str]


class Published(_Strict):
    """A published comparison of an arm with a reference on the same films, as printed."""

    title: str
    source: str = Field(min_length=10)
    films: Films
    arms: dict[Arm, str]
    arm: Arm
    reference: Arm
    confidence: Printed = "0.95"
    auc: dict[str, PrintedAuc | Printed] = Field(default_factory=dict)
    operating_points: dict[str, Point] = Field(default_factory=dict)
    margins: list[Printed] = Field(default_factory=list)
    family_sizes: list[Annotated[int, Field(ge=1)]] = Field(default_factory=list)
    supposed_correlations: list[Printed] = Field(default_factory=list)
    prevalences: list[Printed] = Field(default_factory=list)
    threshold_probabilities: list[Printed] = Field(default_factory=list)
    rival_readings: dict[str, Rival] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _whole(self) -> Published:
        faults = [f"{role} {name!r} is not one of the arms" for role, name in (("arm", self.arm),
                  ("reference", self.reference)) if name not in self.arms]  # fmt: skip
        for name, point in self.operating_points.items():
            faults += [
                f"operating_points.{name}: arm {a!r} is not one of the arms" for a in set(point.rates) - set(self.arms)
            ]
        for name, rival in self.rival_readings.items():
            faults += [f"rival_readings.{name}: no operating point {p!r}" for p in rival.swap
                       if p not in self.operating_points]  # fmt: skip
        if self.auc and set(self.auc) - {"p"} != {self.arm, self.reference}:
            faults.append("auc needs an entry for the arm, one for the reference, and optionally p")
        if faults:
            raise ValueError("; ".join(faults))
        return self

    @property
    def printed_aucs(self) -> tuple[PrintedAuc, PrintedAuc]:
        """AUC of the arm and of the reference.

        Raises
        ------
        ValueError
            The figures hold no AUC with an interval for one of them.
        """
        arm, reference = (self.auc.get(name) for name in (self.arm, self.reference))
        if not (isinstance(arm, PrintedAuc) and isinstance(reference, PrintedAuc)):
            raise ValueError(f"{self.title}: the printed AUC of both arms, with its interval, is needed")
        return arm, reference

    @property
    def auc_p(self) -> str:
        """Printed p value of the AUC difference; ValueError without one."""
        if "p" not in self.auc:
            raise ValueError(f"{self.title}: the printed p value of the AUC difference is needed")
        return str(self.auc["p"])

    def read_as(self, rival: str) -> Published:
        """The same figures under a rival reading."""
        swap = self.rival_readings[rival].swap
        points = {n: p.swapped() if n in swap else p for n, p in self.operating_points.items()}
        return self.model_copy(update={"operating_points": points, "rival_readings": {}})


def published_names() -> list[str]:
    """Names of the published comparisons that ship."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def load_published(name: str | Path) -> Published:
    """Read published figures by the name of a shipped file, or from any YAML file in the same form.

    Raises
    ------
    PublishedError
        With every fault: an unknown name or key, a number that is not in quotes (its printed decimals would be lost),
        a value outside [0, 1], a point without rates.

    Examples
    --------
    >>> load_published("hasei2025").films.malignant
    268
    """
    path = FOLDER / f"{name}.yaml" if isinstance(name, str) and name in published_names() else Path(name)
    try:
        content = load_yaml(path)
    except OSError as error:
        known = ", ".join(published_names())
        raise PublishedError([f"{name}: neither a file nor one of the shipped comparisons ({known})"]) from error
    except YamlError as error:
        raise PublishedError([f"{path.name}: {error}"]) from error
    if not isinstance(content, dict):
        raise PublishedError([f"{path.name}: must be a mapping (title, source, films, arms ...)"])
    try:
        return Published.model_validate(content)
    except ValidationError as error:
        raise PublishedError([f"{path.name}: {_sentence(e)}" for e in error.errors()]) from error


def _sentence(error: Any) -> str:
    place = ".".join(str(p) for p in error["loc"])
    value = error.get("input")
    if error["type"] == "string_type" and isinstance(value, int | float):
        return f"{place}: write {value!r} in quotes, exactly as printed"
    if error["type"] == "string_pattern_mismatch":
        return f'{place}: {value!r} is not a proportion as printed, such as "0.903" (not a percentage)'
    if error["type"] == "extra_forbidden":
        return f"{place}: unknown key"
    return (
        f"{place}: {error['msg'].removeprefix('Value error, ')}"
        if place
        else error["msg"].removeprefix("Value error, ")
    )
