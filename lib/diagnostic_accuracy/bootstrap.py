"""One joint bootstrap for every measure of every run: the same draws serve them all, so every difference is paired.

External and validation patients are drawn with replacement within class; a patient with films of both classes is drawn
with the malignant ones. Thresholds and recalibration are learnt again in every draw. The share of malignant films is a
constant. `inference` turns the draws into intervals and p values.

References
----------
Efron B, Tibshirani RJ. An Introduction to the Bootstrap. 1993.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit, logit

from diagnostic_accuracy import _kernels
from diagnostic_accuracy._logistic import fit_line
from diagnostic_accuracy.checks import check_one_of, check_share
from diagnostic_accuracy.scores import Scores
from diagnostic_accuracy.thresholds import RULES, Point

Floats = NDArray[np.float64]
Key = tuple[Any, ...]

STREAM = 0x9E3779B97F4A7C15  # separates the streams of one seed
BLOCK = 8_000_000  # weights held at once
CALIBRATION = ("brier", "log_oe", "calibration_in_the_large", "calibration_intercept", "calibration_slope")
SAMPLINGS = ("by_class", "consecutive")


@dataclass(frozen=True)
class Draws:
    """Values of base measures in the sample and in every draw, for every run.

    Attributes
    ----------
    scores : Scores
        Film-level scores that were drawn.
    points : list of Point
    runs : list of (arm, run)
    replicates, seed : int
    pi : float
        Share of malignant external films, a constant.
    net_benefit_at : tuple of float
    prevalences : tuple of float or None
        Shares of malignant films for net benefit; None is that of the study.
    recalibrations : tuple of {"logistic", "none"}
    held : {"", "external", "validation"}
        The cohort that is not drawn.
    observed : dict of key to array of shape (runs,)
    values : dict of key to array of shape (replicates, runs)
        Keys are tuples: ('auc', unit), ('average_precision', unit), ('sensitivity', point, threshold_from, unit),
        ('specificity', ...), ('sensitivity', 'risk', t, prevalence) and ('specificity', ...) at the risks of the first
        recalibration, (calibration measure, recalibration). NaN where a draw does not define the measure.
    thresholds : dict of (point, threshold_from) to array of shape (runs,)
    lines : dict of recalibration to array of shape (runs, 2)
        Intercept and slope of the recalibration of every run.
    undefined : dict of key to str
        Why the sample itself does not define a measure.
    """

    scores: Scores
    points: Sequence[Point]
    replicates: int
    seed: int
    sampling: str
    net_benefit_at: tuple[float, ...] = ()
    prevalences: tuple[float | None, ...] = (None,)
    recalibrations: tuple[str, ...] = ("logistic", "none")
    held: str = ""
    observed: dict[Key, Floats] = field(default_factory=dict, repr=False)
    values: dict[Key, Floats] = field(default_factory=dict, repr=False)
    thresholds: dict[tuple[str, str], Floats] = field(default_factory=dict, repr=False)
    lines: dict[str, Floats] = field(default_factory=dict, repr=False)
    undefined: dict[Key, str] = field(default_factory=dict, repr=False)
    _finite: dict[Key, bool] = field(default_factory=dict, repr=False)

    @property
    def runs(self) -> list[tuple[str, object]]:
        """(arm, run) of every column."""
        return self.scores.runs

    @cached_property
    def pi(self) -> float:
        """Share of malignant external films."""
        return self.scores.prevalence

    @cached_property
    def units(self) -> dict[str, int]:
        """External patients (films where patients are not known): malignant, normal, all."""
        external = self.scores.external
        ill, well = (external.patient[side].nunique() for side in (external.label, ~external.label))
        return {"malignant": int(ill), "normal": int(well), "all": int(external.patient.nunique())}

    def finite(self, key: Key) -> bool:
        """Whether every draw defines a base measure for every run."""
        if key not in self._finite:
            self._finite[key] = bool(np.isfinite(self.values[key]).all())
        return self._finite[key]

    def difference(self, arm: str, reference: str, *key: Any) -> pd.Series:
        """Draws of the difference between the means of two arms, with their runs held fixed.

        Parameters
        ----------
        arm, reference : str
        *key
            Of `values`; default: 'auc', 'film'.
        """
        for name in (arm, reference):
            check_one_of(name, tuple(self.scores.arms), "arm")
        frame = pd.DataFrame(self.values[key or ("auc", "film")], columns=self.scores.values.columns)
        return frame[arm].mean(axis=1) - frame[reference].mean(axis=1)

    def add(self, key: Key, observed: Floats, values: Floats) -> None:
        """Add a base measure that was computed on `weights()`.

        Parameters
        ----------
        key : tuple
        observed : array of shape (runs,)
        values : array of shape (replicates, runs)
        """
        runs = len(self.runs)
        if observed.shape != (runs,) or values.shape != (self.replicates, runs):
            raise ValueError(
                f"{key} has shapes {observed.shape} and {values.shape}; it must have ({runs},) and "
                f"({self.replicates}, {runs})"
            )
        self.observed[key], self.values[key] = observed, values

    def weights(self) -> Iterator[tuple[int, int, NDArray[np.uint16]]]:
        """Blocks (first, last, weights) of the external films, in the order of ``scores.external``."""
        sample = _Sample.of(self.scores.external, self.sampling)
        for first, last in blocks(self.replicates, sample.films):
            if self.held == "external":
                yield first, last, np.ones((last - first, sample.films), np.uint16)
            else:
                yield first, last, sample.films_drawn(self.seed, first, last)

    def weights_and_thresholds(self) -> Iterator[tuple[int, int, NDArray[np.uint16], Floats]]:
        """Blocks (first, last, weights, thresholds): as `weights`, with the thresholds (draws, points, runs)."""
        plan, runs = _Plan.of(self), range(len(self.runs))
        for first, last in blocks(self.replicates, plan.size):
            films, _, validation = plan.block(self.seed, first, last)
            yield first, last, films, np.stack([plan._cuts(r, films, validation) for r in runs], axis=2)


def blocks(draws: int, size: int) -> list[tuple[int, int]]:
    """Ranges of draws whose weights fit in memory together; results do not depend on them."""
    step = max(1, min(draws, BLOCK // max(size, 1)))
    return [(first, min(first + step, draws)) for first in range(0, draws, step)]


@dataclass(frozen=True)
class _Sample:
    """What is drawn of one cohort: the unit of each film, and the strata of units that are drawn apart."""

    unit: NDArray[np.int64]
    strata: NDArray[np.int64]
    stream: int = 0

    @property
    def films(self) -> int:
        return self.unit.size

    @classmethod
    def of(cls, scores: Scores, sampling: str, stream: int = 0) -> _Sample:
        label = scores.label.to_numpy()
        codes, _ = pd.factorize(scores.patient.to_numpy(), sort=True)
        malignant = np.zeros(int(codes.max()) + 1 if codes.size else 0, bool)
        np.logical_or.at(malignant, codes, label)
        place = np.empty(malignant.size, np.int64)
        place[np.argsort(~malignant, kind="stable")] = np.arange(malignant.size)
        edges = [0, int(malignant.sum()), malignant.size] if sampling == "by_class" else [0, malignant.size]
        return cls(place[codes], np.unique(np.array(edges, np.int64)), stream)

    def draw(self, seed: int, first: int, last: int) -> NDArray[np.uint16]:
        """How often each unit is drawn in draws `first` to `last` - 1."""
        counts = np.zeros((last - first, int(self.strata[-1])), np.uint16)
        key = np.uint64((seed + self.stream * STREAM) % 2**64)
        _kernels.draw_units(key, first, self.strata, counts)
        return counts

    def films_drawn(self, seed: int, first: int, last: int) -> NDArray[np.uint16]:
        """How often each film is drawn; `take` leaves rows contiguous, as the compiled loops need them."""
        return self.draw(seed, first, last).take(self.unit, axis=1)


@dataclass(frozen=True)
class _Sorted:
    """One run's cases, sorted downwards."""

    order: NDArray[np.int64]
    negated: Floats
    label: NDArray[np.bool_]
    ends: NDArray[np.int64]
    groups: NDArray[np.int64]

    @classmethod
    def of(cls, score: Floats, label: NDArray[np.bool_]) -> _Sorted:
        order = np.argsort(-score, kind="stable")
        down = score[order]
        ends = np.flatnonzero(np.append(np.diff(down) != 0, True)) + 1
        starts = np.r_[0, ends[:-1]]
        ill = np.add.reduceat(label[order].astype(np.int64), starts) > 0
        return cls(order, -down, label, ends, np.column_stack([starts, ends])[ill])

    def thresholds(self, weights: NDArray[np.uint16], points: Sequence[Point]) -> Floats:
        """The threshold of every point in every draw, shape (draws, points).

        The named rules always choose a score that a malignant case has, so that fewer cuts need counting; the last cut,
        which calls every case positive, tells how many there are.
        """
        named = all(point.rule in CODES for point in points)
        ends = np.union1d(self.groups[:, 1], [self.order.size]) if named else self.ends
        shape = weights.shape[0], ends.size + 1
        tp, fp = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        _kernels.counts_at_cuts(weights, self.order, self.label, ends, tp, fp)
        cuts = np.r_[np.inf, -self.negated[ends - 1]]
        found = np.full((shape[0], len(points)), np.nan)
        for k, point in enumerate(points):
            found[:, k] = _apply(point, tp, fp, cuts)
        return found


def _apply(point: Point, tp: NDArray[np.int64], fp: NDArray[np.int64], cuts: Floats) -> Floats:
    """A rule in every draw; of cuts with equal counts the highest, which some drawn case scored."""
    target = np.nan if point.target is None else point.target
    if (code := CODES.get(point.rule)) is not None:
        index = np.zeros(tp.shape[0], np.int64)
        apply_rule(code, tp, fp, target, index)
    else:
        index = np.array([_index(point, a, b) for a, b in zip(tp, fp, strict=True)], np.int64)
    return np.where(index >= 0, cuts[index], np.nan)


def _index(point: Point, tp: NDArray[np.int64], fp: NDArray[np.int64]) -> int:
    """What a rule written in Python chooses; -1 where a class is missing."""
    if not (tp[-1] and fp[-1]):
        return -1
    target = np.nan if point.target is None else point.target
    chosen = int(point.rule(tp, fp, int(tp[-1]), int(fp[-1]), target))  # type: ignore[misc]
    if not 0 <= chosen < tp.size:
        raise ValueError(
            f"the rule of {point.name!r} returned {chosen}; it must return an index from 0 to {tp.size - 1}"
        )
    return max(int(np.searchsorted(tp, tp[chosen])), int(np.searchsorted(fp, fp[chosen])))


CODES: dict[Any, int] = {rule: code for code, rule in enumerate(RULES.values())}
_HIGH_SENSITIVITY, _HIGH_SPECIFICITY, _YOUDEN, _CLOSEST = RULES.values()


@_kernels.compiled()
def apply_rule(code, tp, fp, target, out):  # type: ignore[no-untyped-def]
    """A named rule in every draw (rows of tp and fp); -1 where a class is missing."""
    last = tp.shape[1] - 1
    for b in range(tp.shape[0]):
        pos, neg = tp[b, last], fp[b, last]
        out[b] = -1
        if pos == 0 or neg == 0:
            continue
        if code == 0:
            i = _HIGH_SENSITIVITY(tp[b], fp[b], pos, neg, target)
        elif code == 1:
            i = _HIGH_SPECIFICITY(tp[b], fp[b], pos, neg, target)
        elif code == 2:
            i = _YOUDEN(tp[b], fp[b], pos, neg, target)
        else:
            i = _CLOSEST(tp[b], fp[b], pos, neg, target)
        out[b] = max(np.searchsorted(tp[b], tp[b, i]), np.searchsorted(fp[b], fp[b, i]))


def bootstrap(
    scores: Scores,
    points: Sequence[Point] = (),
    *,
    replicates: int = 10_000,
    seed: int = 0,
    sampling: str = "by_class",
    net_benefit_at: Sequence[float] = (),
    prevalences: Sequence[float | None] = (None,),
    recalibrations: Sequence[str] = ("logistic", "none"),
    held: str = "",
) -> Draws:
    """Draw external and validation patients, and measure every run in every draw.

    Parameters
    ----------
    scores : Scores
        Films; validation films may be missing.
    points : sequence of Point
        Operating points; those from validation are left out where there are no validation films.
    replicates, seed : int
        The result is a function of these and the data alone.
    sampling : {"by_class", "consecutive"}
        Malignant and normal patients drawn apart (prevalence fixed by design), or all together.
    net_benefit_at : sequence of float in (0, 1)
        Threshold probabilities.
    prevalences : sequence of float or None
        Shares of malignant films for net benefit, None for the study's. At another one, the logit of each risk moves by
        logit(prevalence) - logit(share of malignant validation films).
    recalibrations : sequence of {"logistic", "none"}
        'logistic' is learnt on the validation films; 'none' takes the scores as risks, where they can be.
    held : {"", "external", "validation"}
        A cohort that is kept as it is, for the shares of the variance.

    Returns
    -------
    Draws

    Raises
    ------
    ValueError
        Fewer than 100 replicates, or values out of range.

    Examples
    --------
    >>> from diagnostic_accuracy.scores import scores_of
    >>> table = pd.DataFrame({"image_id": range(8), "cohort": "external", "label": [0, 1] * 4, "arm": "a", "seed": 0,
    ...                       "score": [.1, .9, .2, .8, .3, .4, .6, .7]})
    >>> draws = bootstrap(scores_of(table), replicates=200)
    >>> round(float(draws.observed["auc", "film"][0]), 4)
    0.9375
    """
    if replicates < 100:
        raise ValueError(f"replicates is {replicates}; at least 100 are needed for any interval (10,000 for a report)")
    check_one_of(sampling, SAMPLINGS, "sampling")
    check_one_of(held, ("", "external", "validation"), "held")
    at = tuple(check_share(float(t), "a threshold probability of net_benefit_at") for t in net_benefit_at)
    _check_points(points, scores.arms)
    with_validation = len(scores.validation.values) > 0
    kept = [p for p in points if with_validation or p.threshold_from != "validation"]
    draws = Draws(scores, kept, replicates, seed, sampling, at, tuple(prevalences), tuple(recalibrations), held)
    plan = _Plan.of(draws)
    whole = plan.measure(*plan.ones(), None)
    parts = [plan.measure(*plan.block(seed, first, last), None) for first, last in blocks(replicates, plan.size)]
    for key in whole:
        values = np.concatenate([part[key] for part in parts])
        draws.observed[key], draws.values[key] = whole[key][0], values
    draws.thresholds.update(plan.thresholds())
    draws.lines.update(plan.lines)
    draws.undefined.update(plan.undefined)
    return draws


def _check_points(points: Sequence[Point], arms: Sequence[str]) -> None:
    names = [(p.name, p.threshold_from) for p in points]
    faults = [f"the point {name!r} from {source} is given twice; give each point a name of its own"
              for name, source in dict.fromkeys(names) if names.count((name, source)) > 1]  # fmt: skip
    for point in (p for p in points if p.threshold_from == "given"):
        if lacking := [arm for arm in arms if arm not in point.given]:
            faults.append(f"the point {point.name!r} gives no threshold for {', '.join(map(repr, lacking))}")
    if faults:
        raise ValueError("\n".join(faults))


def measures_at(
    scores: Scores,
    weights: NDArray[Any],
    points: Sequence[Point] = (),
    net_benefit_at: Sequence[float] = (),
    recalibrations: Sequence[str] = ("logistic", "none"),
) -> dict[Key, Floats]:
    """Base measures at given weights of the external films, each of shape (rows of weights, runs).

    Equal to the measures of physically repeated rows: here the share of malignant films is that of the row.

    Parameters
    ----------
    scores : Scores
    weights : array of whole numbers, shape (rows, external films)
        Columns in the order of ``scores.external``.
    points, net_benefit_at, recalibrations
        As in `bootstrap`.
    """
    rows = np.asarray(weights)
    if (rows != np.round(rows)).any() or rows.min() < 0 or rows.max() > np.iinfo(np.uint16).max:
        raise ValueError("weights must be whole numbers from 0 to 65535: they say how often a film is repeated")
    plan = _Plan.of(
        Draws(scores, points, len(rows), 0, "by_class", tuple(net_benefit_at), recalibrations=tuple(recalibrations))
    )
    given = rows.astype(np.uint16)
    pi = given[:, scores.external.label.to_numpy()].sum(1) / given.sum(1)
    units = np.zeros((len(rows), int(plan.external.strata[-1])), np.uint16)
    validation = plan.ones()[2][[0] * len(rows)]
    found = plan.measure(given, units, validation, pi)
    return {key: value for key, value in found.items() if key[-1] != "patient"}  # weights are those of films


@dataclass
class _Plan:
    """Both cohorts sorted for every run; measures them at rows of weights."""

    draws: Draws
    external: _Sample
    validation: _Sample
    by_score: list[_Sorted]
    by_predictor: list[_Sorted]
    by_patient: list[_Sorted]
    patients: NDArray[np.int64]
    validation_sorted: list[_Sorted]
    lines: dict[str, Floats] = field(default_factory=dict)
    undefined: dict[Key, str] = field(default_factory=dict)

    @classmethod
    def of(cls, draws: Draws) -> _Plan:
        external, validation = draws.scores.external, draws.scores.validation
        sample = _Sample.of(external, draws.sampling)
        label = external.label.to_numpy()
        by_patient, patients = [], np.zeros(0, np.int64)
        if draws.units["all"] < sample.films:
            grouped = external.by_patient()
            codes = dict(zip(external.patient, sample.unit, strict=True))
            patients = np.array([codes[name] for name in grouped.patient], np.int64)
            by_patient = [_Sorted.of(x, grouped.label.to_numpy()) for x in grouped.values.to_numpy().T]
        plan = cls(
            draws,
            sample,
            _Sample.of(validation, draws.sampling, 1),
            [_Sorted.of(x, label) for x in external.values.to_numpy().T],
            [_Sorted.of(x, label) for x in external.predictor.to_numpy().T],
            by_patient,
            patients,
            [_Sorted.of(x, validation.label.to_numpy()) for x in validation.values.to_numpy().T if x.size],
        )
        plan._fit_lines(validation)
        return plan

    @property
    def size(self) -> int:
        return self.external.films + self.validation.films

    def ones(self) -> tuple[NDArray[np.uint16], NDArray[np.uint16], NDArray[np.uint16]]:
        """Weights of the sample itself: external films, external patients, validation films."""
        units = int(self.external.strata[-1])
        return tuple(np.ones((1, size), np.uint16) for size in (self.external.films, units, self.validation.films))  # type: ignore[return-value]

    def block(
        self, seed: int, first: int, last: int
    ) -> tuple[NDArray[np.uint16], NDArray[np.uint16], NDArray[np.uint16]]:
        """Weights of draws `first` to `last` - 1."""
        films, units, validation = (np.repeat(one, last - first, axis=0) for one in self.ones())
        if self.draws.held != "external":
            units = self.external.draw(seed, first, last)
            films = units.take(self.external.unit, axis=1)
        if self.draws.held != "validation" and self.validation.films:
            validation = self.validation.films_drawn(seed, first, last)
        return films, units, validation

    def measure(
        self, films: NDArray[np.uint16], units: NDArray[np.uint16], validation: NDArray[np.uint16], pi: Floats | None
    ) -> dict[Key, Floats]:
        """Every base measure at rows of weights, shape (rows, runs)."""
        share = np.full(len(films), self.draws.pi) if pi is None else pi
        columns = [self._run(r, films, units, validation, share) for r in range(len(self.draws.runs))]
        return {key: np.column_stack([column[key] for column in columns]) for key in columns[0]}

    def _run(self, r: int, films: Any, units: Any, validation: Any, pi: Floats) -> dict[Key, Floats]:
        found: dict[Key, Floats] = {}
        cuts = self._cuts(r, films, validation)
        names = [(p.name, p.threshold_from) for p in self.draws.points]
        for unit, side, weights in (
            ("film", self.by_score[r], films),
            ("patient", self.by_patient[r] if self.by_patient else None, units.take(self.patients, axis=1)),
        ):
            if side is None:
                continue
            share = pi if unit == "film" else np.full(len(films), side.label.mean())
            found["auc", unit], found["average_precision", unit] = _rank(side, weights, share)
            sensitivity, specificity = _rates(side, weights, cuts)
            for k, name in enumerate(names):
                found["sensitivity", *name, unit] = sensitivity[:, k]
                found["specificity", *name, unit] = specificity[:, k]
        return found | self._risks(r, films, validation, pi)

    def _cuts(self, r: int, films: Any, validation: Any) -> Floats:
        """Thresholds of every point, shape (rows, points)."""
        arm, rows = self.draws.runs[r][0], len(films)
        cuts = np.full((rows, len(self.draws.points)), np.nan)
        for source, weights, sides in (
            ("validation", validation, self.validation_sorted), ("external", films, self.by_score),
        ):  # fmt: skip
            places = [k for k, p in enumerate(self.draws.points) if p.threshold_from == source]
            if places:
                cuts[:, places] = sides[r].thresholds(weights, [self.draws.points[k] for k in places])
        for k, point in enumerate(self.draws.points):
            if point.threshold_from == "given":
                cuts[:, k] = point.given[arm]
        return cuts

    def thresholds(self) -> dict[tuple[str, str], Floats]:
        """The thresholds that the sample itself gives, of every point for every run."""
        films, _, validation = self.ones()
        cuts = np.stack([self._cuts(r, films, validation)[0] for r in range(len(self.draws.runs))], axis=1)
        return {(p.name, p.threshold_from): cuts[k] for k, p in enumerate(self.draws.points)}

    def _fit_lines(self, validation: Scores) -> None:
        """The recalibration of every run on the validation films as they are; no change where scores are risks."""
        runs, wanted = len(self.draws.runs), self.draws.recalibrations
        values = self.draws.scores.values  # of all films: one score outside [0, 1] and none is a risk
        if "none" in wanted and bool(((values >= 0) & (values <= 1)).all(axis=None)):
            self.lines["none"] = np.tile([0.0, 1.0], (runs, 1))
        if "logistic" not in wanted or not self.validation.films:
            return
        lines = np.full((runs, 2), np.nan)
        for r, x in enumerate(validation.predictor.to_numpy().T):
            try:
                lines[r] = fit_line(validation.label.to_numpy(), x)
                if lines[r, 1] <= 0:
                    raise ValueError("malignant validation films score no higher than normal ones")
            except ValueError as error:
                lines[r] = np.nan
                self.undefined["logistic", *self.draws.runs[r]] = str(error)
        self.lines["logistic"] = lines

    def _risks(self, r: int, films: Any, validation: Any, pi: Floats) -> dict[Key, Floats]:
        """Calibration of the risks, and the rates at threshold probabilities."""
        found: dict[Key, Floats] = {}
        at = np.array(self.draws.net_benefit_at)
        for kind in (kind for kind in self.draws.recalibrations if kind in self.lines):
            lines = np.tile([0.0, 1.0], (len(films), 1))
            if kind == "logistic":
                lines = _recalibrations(self.draws.scores.validation, r, validation, self.lines[kind][r])
            table = _judge(self.draws.scores.external, r, films, pi, lines)
            found |= {(name, kind): table[:, k] for k, name in enumerate(CALIBRATION)}
            if at.size and kind == self.draws.recalibrations[0]:
                found |= self._at_risks(r, films, lines, at)
        return found

    def _at_risks(self, r: int, films: Any, lines: Floats, at: Floats) -> dict[Key, Floats]:
        """Rates at threshold probabilities, where the risks are those of the study or of another prevalence."""
        learnt = self.draws.scores.validation.label.mean() if self.validation.films else self.draws.pi
        moved = [0.0 if share is None else logit(share) - logit(learnt) for share in self.draws.prevalences]
        wanted = np.concatenate([logit(at) - by for by in moved])
        both = _rates(self.by_predictor[r], films, (wanted - lines[:, :1]) / lines[:, 1:])
        keys = [(t, share) for share in self.draws.prevalences for t in self.draws.net_benefit_at]
        return {
            (name, "risk", *key): rates[:, k]
            for name, rates in zip(("sensitivity", "specificity"), both, strict=True)
            for k, key in enumerate(keys)
        }


def _rank(side: _Sorted, weights: Any, pi: Floats) -> tuple[Floats, Floats]:
    auc, precision = np.empty(len(weights)), np.empty(len(weights))
    _kernels.rank(weights, side.order, side.label, side.groups, pi, auc, precision)
    return auc, precision


def _rates(side: _Sorted, weights: Any, cuts: Floats) -> tuple[Floats, Floats]:
    sensitivity, specificity = np.empty(cuts.shape), np.empty(cuts.shape)
    if cuts.shape[1]:
        _kernels.rates(weights, side.order, side.label, side.negated, cuts, sensitivity, specificity)
    return sensitivity, specificity


def _scaled(x: Floats) -> tuple[Floats, float, float]:
    """Centred and scaled: logits that hardly differ would make the information matrix singular."""
    middle, scale = float(x.mean()), float(x.std()) or 1.0
    return (x - middle) / scale, middle, scale


def _recalibrations(validation: Scores, r: int, weights: Any, line: Floats) -> Floats:
    """Intercept and slope of the recalibration in every row; that of the sample where all weights are 1."""
    label = validation.label.to_numpy()
    lines = np.full((len(weights), 2), np.nan)
    if np.isnan(line[0]):
        return lines
    x, middle, scale = _scaled(validation.predictor.to_numpy()[:, r])
    start = np.array([line[0] + line[1] * middle, line[1] * scale])
    _kernels.recalibrate(weights, label, x, int(label.sum()), start, expit(start[0] + start[1] * x), lines)
    lines[:, 1] /= scale
    lines[:, 0] -= middle * lines[:, 1]
    lines[(weights == 1).all(axis=1)] = line
    return lines


def _judge(external: Scores, r: int, weights: Any, pi: Floats, lines: Floats) -> Floats:
    label = external.label.to_numpy()
    table = np.full((len(weights), len(CALIBRATION)), np.nan)
    x, middle, scale = _scaled(external.predictor.to_numpy()[:, r])
    try:
        start = np.array(fit_line(label, x))
    except ValueError:
        start = np.array([0.0, 1.0])
    scaled = np.column_stack([lines[:, 0] + lines[:, 1] * middle, lines[:, 1] * scale])
    risks = expit(start[0] + start[1] * x)
    _kernels.judge(weights, label, x, int(label.sum()), pi, start, risks, scaled, table)
    return table
