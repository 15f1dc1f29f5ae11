"""From labels, scores and settings to the arrays that the bootstrap's compiled loops read.

Films are put into a canonical order (class, scores, patient), so that neither the order of rows nor that of arms
changes a result; scores are sorted once; a replicate only counts its films down these orders.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from osteotl.statistics import _kernels
from osteotl.statistics._logistic import fit_logistic, logit, why_no_slope
from osteotl.statistics.checks import (
    check_arms,
    check_labels,
    check_one_of,
    check_patients,
    check_probabilities,
    check_share,
)

SAMPLINGS = ("by_class", "consecutive")
MOST_THRESHOLDS = 100

Rule = tuple[str, float | None]

_RULES = {
    "high_sensitivity": _kernels.HIGH_SENSITIVITY,
    "high_specificity": _kernels.HIGH_SPECIFICITY,
    "youden": _kernels.YOUDEN,
}


@dataclass(frozen=True)
class Plan:
    """What the compiled loops need; films are rows in canonical order, malignant first."""

    arms: tuple[str, ...]
    points: tuple[str, ...]
    reselected: tuple[str, ...]
    net_benefit_at: NDArray[np.float64]
    films: NDArray[np.int64]
    positives: int
    unit: NDArray[np.int64]
    strata: NDArray[np.int64]
    malignant: NDArray[np.uint32]
    normal: NDArray[np.uint32]
    groups: NDArray[np.uint32]
    sizes: NDArray[np.int64]
    fixed: NDArray[np.uint32]
    rules: NDArray[np.int64]
    targets: NDArray[np.float64]
    squared_error: NDArray[np.float64]
    x: NDArray[np.float64]
    x_scale: NDArray[np.float64]
    start: NDArray[np.float64]
    start_risks: NDArray[np.float64]
    calibrated: NDArray[np.bool_]
    undefined: Mapping[str, str]
    with_risks: bool
    prevalence: float | None

    @property
    def units(self) -> int:
        """Units drawn: films, or patients where they repeat."""
        return int(self.strata[-1])

    @property
    def class_units(self) -> tuple[int, int]:
        """Units with a malignant film, and with a normal one."""
        return np.unique(self.unit[: self.positives]).size, np.unique(self.unit[self.positives :]).size


def make_plan(
    labels: ArrayLike,
    scores: Mapping[str, ArrayLike],
    *,
    risks: Mapping[str, ArrayLike] | None,
    patients: ArrayLike | None,
    thresholds: Mapping[str, Mapping[str, float]],
    reselect: Mapping[str, Rule],
    net_benefit_at: ArrayLike,
    prevalence: float | None,
    sampling: str,
) -> Plan:
    """Check everything, sort once, and lay out the arrays of `Plan`."""
    label = check_labels(labels)
    arms = check_arms(scores, label.size)
    patient = check_patients(patients, label.size)
    risk = _checked_risks(risks, arms)
    if prevalence is not None:
        check_share(prevalence, "net_benefit_prevalence")
    cuts_at = _checked_thresholds(net_benefit_at, risks is not None)
    _check_names(thresholds, reselect, tuple(arms))
    films = canonical_order(label, [arms[arm] for arm in sorted(arms)], patient)
    label = label[films]
    arms = {arm: values[films] for arm, values in arms.items()}
    risk = {arm: values[films] for arm, values in risk.items()}
    unit, strata = draw_units(patient[films], label, sampling)
    walks = []
    for arm, values in arms.items():
        fixed = [float(thresholds[point][arm]) for point in thresholds]
        at_risk = [_score_reaching(values, risk[arm], t, arm) for t in cuts_at] if risk else []
        walks.append(_walk(values, label, unit, np.array(fixed + at_risk)))
    calibration = [_calibration(label, risk.get(arm)) for arm in arms]
    return Plan(
        arms=tuple(arms),
        points=tuple(thresholds),
        reselected=tuple(reselect),
        net_benefit_at=cuts_at,
        films=films,
        positives=int(label.sum()),
        unit=unit,
        strata=strata,
        **_stack(walks),
        rules=np.array([_RULES[kind] for kind, _ in reselect.values()], np.int64),
        targets=np.array([1.0 if target is None else target for _, target in reselect.values()], np.float64),
        squared_error=np.array([(risk.get(arm, np.zeros(label.size)) - label) ** 2 for arm in arms]),
        x=np.array([c.x for c in calibration]),
        x_scale=np.array([c.scale for c in calibration]),
        start=np.array([c.start for c in calibration]),
        start_risks=np.array([c.risks for c in calibration]),
        calibrated=np.array([c.reason is None for c in calibration]),
        undefined={arm: c.reason for arm, c in zip(arms, calibration, strict=True) if c.reason is not None},
        with_risks=risks is not None,
        prevalence=prevalence,
    )


def canonical_order(
    label: NDArray[np.bool_], scores: Sequence[NDArray[np.float64]], patient: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Films by class (malignant first), then by the ranks of their scores over the arms, then by patient.

    Ranks and scores are compared sorted within the film before arm by arm, so that exchanging two arms changes nothing.
    """
    ranks = np.array([np.unique(values, return_inverse=True)[1] for values in scores])
    keys = [patient, *ranks, *np.sort(np.array(scores), axis=0), *np.sort(ranks, axis=0), ~label]
    return np.lexsort(keys).astype(np.int64)


def draw_units(
    patient: NDArray[np.int64], label: NDArray[np.bool_], sampling: str
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Unit of each film, and the boundaries of the strata that are drawn apart.

    By class: patients with a malignant film, and patients without. Films of a patient are always drawn together.
    """
    check_one_of(sampling, SAMPLINGS, "sampling")
    _, first, code = np.unique(patient, return_index=True, return_inverse=True)
    malignant = np.zeros(first.size, bool)
    np.logical_or.at(malignant, code, label)
    ranked = np.lexsort((first, ~malignant))  # malignant patients first, each by their first film
    place = np.empty(first.size, np.int64)
    place[ranked] = np.arange(first.size)
    boundaries = [0, int(malignant.sum()), first.size] if sampling == "by_class" else [0, first.size]
    return place[code], np.unique(np.array(boundaries, np.int64))


@dataclass(frozen=True)
class _Walk:
    """One arm's films, sorted: units of malignant and of normal films downwards, and places among them."""

    malignant: NDArray[np.uint32]
    normal: NDArray[np.uint32]
    groups: NDArray[np.uint32]
    fixed: NDArray[np.uint32]


def _walk(
    scores: NDArray[np.float64], label: NDArray[np.bool_], unit: NDArray[np.int64], thresholds: NDArray[np.float64]
) -> _Walk:
    """Sort each class of one arm downwards, and find the distinct malignant scores and the thresholds in both."""
    down = [np.flatnonzero(side)[np.argsort(-scores[side], kind="stable")] for side in (label, ~label)]
    malignant, normal = (-scores[films] for films in down)  # negated, hence ascending
    distinct = np.unique(malignant)
    groups = [
        np.searchsorted(malignant, distinct, side="right"),
        np.searchsorted(normal, distinct, side="right"),
        np.searchsorted(normal, distinct, side="left"),
    ]
    fixed = [np.searchsorted(side, -thresholds, side="right") for side in (malignant, normal)]
    units = [unit[films].astype(np.uint32) for films in down]
    return _Walk(units[0], units[1], np.array(groups, np.uint32), np.array(fixed, np.uint32))


def _stack(walks: list[_Walk]) -> dict[str, Any]:
    sizes = np.array([walk.groups.shape[1] for walk in walks], np.int64)
    groups = np.zeros((len(walks), 3, int(sizes.max())), np.uint32)
    for index, walk in enumerate(walks):
        groups[index, :, : sizes[index]] = walk.groups
    return {
        "malignant": np.array([walk.malignant for walk in walks]),
        "normal": np.array([walk.normal for walk in walks]),
        "groups": groups,
        "sizes": sizes,
        "fixed": np.array([walk.fixed for walk in walks]),
    }


@dataclass(frozen=True)
class _Calibration:
    x: NDArray[np.float64]
    scale: tuple[float, float]
    start: tuple[float, float]
    risks: NDArray[np.float64]
    reason: str | None


def _calibration(label: NDArray[np.bool_], risk: NDArray[np.float64] | None) -> _Calibration:
    """Logits of one arm's risks, centred and scaled, and the whole cohort's fit on them, which replicates start from.

    `scale` holds what was subtracted and divided by: without it, logits that hardly differ make the loop's information
    matrix singular (as in `_logistic.fit_logistic`).
    """
    empty = np.zeros(label.size)
    reason = "no risks were given" if risk is None else why_no_slope(label, risk)
    if risk is None or reason is not None:
        return _Calibration(empty, (0.0, 1.0), (0.0, 1.0), empty, reason)
    x = logit(risk)
    scale = float(x.mean()), float(x.std()) or 1.0
    x = (x - scale[0]) / scale[1]
    fit = fit_logistic(label, x)
    start = (fit.intercept, fit.slope)
    return _Calibration(x, scale, start, 1 / (1 + np.exp(-(start[0] + start[1] * x))), None)


def _checked_risks(
    risks: Mapping[str, ArrayLike] | None, arms: Mapping[str, NDArray[np.float64]]
) -> dict[str, NDArray[np.float64]]:
    if risks is None:
        return {}
    if set(risks) != set(arms):
        raise ValueError(f"risks were given for {sorted(risks)}, scores for {sorted(arms)}; give both for every arm")
    checked = {arm: check_probabilities(risks[arm], scores.size, f"risks of {arm}") for arm, scores in arms.items()}
    for arm, scores in arms.items():
        rising = checked[arm][np.argsort(scores, kind="stable")]
        order = np.argsort(scores, kind="stable")
        tied = np.diff(scores[order]) == 0
        if (np.diff(rising) < 0).any() or (np.diff(rising)[tied] != 0).any():
            raise ValueError(
                f"risks of {arm} do not rise with its scores; recalibration keeps the order of films: "
                "pass the risks as scores too, in a run of their own"
            )
    return checked


def _checked_thresholds(net_benefit_at: ArrayLike, with_risks: bool) -> NDArray[np.float64]:
    at = np.atleast_1d(np.asarray(net_benefit_at, np.float64))
    if at.size and not with_risks:
        raise ValueError("net benefit needs probabilities: pass `risks` (recalibrated on validation) beside the scores")
    if at.size > MOST_THRESHOLDS:
        raise ValueError(f"net benefit at {at.size} thresholds; at most {MOST_THRESHOLDS}: thin the grid")
    for value in at:
        check_share(float(value), "a threshold probability of net_benefit_at")
    return at


def _check_names(
    thresholds: Mapping[str, Mapping[str, float]], reselect: Mapping[str, Rule], arms: tuple[str, ...]
) -> None:
    for point, by_arm in thresholds.items():
        lacking = [arm for arm in arms if arm not in by_arm]
        if lacking:
            raise ValueError(f"point {point!r} has no threshold for {', '.join(lacking)}; give one for every arm")
        if any(np.isnan(by_arm[arm]) for arm in arms):
            raise ValueError(
                f"point {point!r} has a threshold that is not a number; give numbers (infinity is allowed)"
            )
    for point, (kind, target) in reselect.items():
        check_one_of(kind, tuple(_RULES), f"rule of {point!r}")
        if kind != "youden":
            check_share(float("nan") if target is None else target, f"target of {point!r}")
    if twice := set(thresholds) & set(reselect):
        raise ValueError(f"points {sorted(twice)} are both fixed and re-selected; give the two different names")


def _score_reaching(scores: NDArray[np.float64], risks: NDArray[np.float64], threshold: float, arm: str) -> float:
    """The lowest score whose risk is at or above a threshold probability (infinity where none is)."""
    reached = scores[risks >= threshold]
    return float(reached.min()) if reached.size else float("inf")
