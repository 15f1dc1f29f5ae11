"""One joint bootstrap for every measure of every run: the same draws serve them all, so every difference is paired.

External and validation patients are drawn with replacement within class; a patient with films of both classes is drawn
with the malignant ones. Thresholds and recalibration are learnt again in every draw. The share of malignant films is a
constant. `inference` turns the draws into intervals and p values.

References
----------
Efron B, Tibshirani RJ. An Introduction to the Bootstrap. 1993.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import logit

from diagnostic_accuracy import _kernels
from diagnostic_accuracy._cases import Cases, Column, Floats, Key, Weights, ranked
from diagnostic_accuracy._logistic import CALIBRATION, Predictor, fit_line
from diagnostic_accuracy.checks import check_one_of, check_share
from diagnostic_accuracy.scores import Scores
from diagnostic_accuracy.thresholds import Point

STREAM = 0x9E3779B97F4A7C15  # separates the streams of one seed
BLOCK = 8_000_000  # weights held at once
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
    patients : bool
        Whether patients are judged as cases too.
    observed : dict of key to array of shape (runs,)
    values : dict of key to array of shape (replicates, runs)
        Keys are tuples: ('auc', unit), ('average_precision', unit), ('sensitivity', point, threshold_from, unit),
        ('specificity', ...), ('threshold', point, threshold_from), ('sensitivity', 'risk', t, prevalence) and
        ('specificity', ...) at the risks of the first recalibration, (calibration measure, recalibration). NaN where a
        draw does not define the measure.
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
    patients: bool = True
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

    def weights(self) -> Iterator[tuple[int, int, Weights]]:
        """Blocks (first, last, weights) of the external films, in the order of ``scores.external``."""
        sample = _Sample.of(self.scores.external, self.sampling)
        for first, last in blocks(self.replicates, sample.films):
            if self.held == "external":
                yield first, last, np.ones((last - first, sample.films), np.uint16)
            else:
                yield first, last, sample.films_drawn(self.seed, first, last)


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

    def draw(self, seed: int, first: int, last: int) -> Weights:
        """How often each unit is drawn in draws `first` to `last` - 1."""
        counts = np.zeros((last - first, int(self.strata[-1])), np.uint16)
        key = np.uint64((seed + self.stream * STREAM) % 2**64)
        _kernels.draw_units(key, first, self.strata, counts)
        return counts

    def films_drawn(self, seed: int, first: int, last: int) -> Weights:
        """How often each film is drawn; `take` leaves rows contiguous, as the compiled loops need them."""
        return self.draw(seed, first, last).take(self.unit, axis=1)


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
    patients: bool = True,
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
    patients : bool
        Judge patients as cases too, where some have several films.

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
    asked = tuple(prevalences), tuple(recalibrations), held, patients
    draws = Draws(scores, kept, replicates, seed, sampling, at, *asked)
    plan = _Plan.of(draws)
    draws.observed.update({key: values[0] for key, values in plan.measure([(0, 1, *plan.ones())], 1).items()})
    drawn = ((first, last, *plan.block(seed, first, last)) for first, last in blocks(replicates, plan.size))
    draws.values.update(plan.measure(drawn, replicates))
    places = [(point.name, point.threshold_from) for point in kept]
    draws.thresholds.update({place: draws.observed["threshold", *place] for place in places})
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
    kinds = tuple(recalibrations)
    asked = Draws(scores, points, len(rows), 0, "by_class", tuple(net_benefit_at), recalibrations=kinds, patients=False)
    plan = _Plan.of(asked)  # weights are those of films: they say nothing of patients
    given = rows.astype(np.uint16)
    pi = given[:, scores.external.label.to_numpy()].sum(1) / given.sum(1)
    units = np.zeros((len(rows), int(plan.external.strata[-1])), np.uint16)
    return plan.measure([(0, len(rows), given, units, plan.ones()[2])], len(rows), pi)


@dataclass
class _Plan:
    """Both cohorts sorted for every run; measures them at rows of weights."""

    draws: Draws
    external: _Sample
    validation: _Sample
    by_score: list[Cases]
    by_patient: list[Cases]
    patients: NDArray[np.int64]
    validation_sorted: list[Cases]
    by_predictor: list[Cases] = field(default_factory=list)
    predictors: list[Predictor] = field(default_factory=list)
    learners: list[Predictor] = field(default_factory=list)
    lines: dict[str, Floats] = field(default_factory=dict)
    undefined: dict[Key, str] = field(default_factory=dict)

    @classmethod
    def of(cls, draws: Draws) -> _Plan:
        external, validation = draws.scores.external, draws.scores.validation
        sample = _Sample.of(external, draws.sampling)
        label = external.label.to_numpy()
        by_patient, patients = [], np.zeros(0, np.int64)
        if draws.patients and draws.units["all"] < sample.films:
            grouped = external.by_patient()
            codes = dict(zip(external.patient, sample.unit, strict=True))
            patients = np.array([codes[name] for name in grouped.patient], np.int64)
            by_patient = [Cases.of(x, grouped.label.to_numpy()) for x in grouped.values.to_numpy().T]
        plan = cls(
            draws,
            sample,
            _Sample.of(validation, draws.sampling, 1),
            [Cases.of(x, label) for x in external.values.to_numpy().T],
            by_patient,
            patients,
            [Cases.of(x, validation.label.to_numpy()) for x in validation.values.to_numpy().T if x.size],
        )
        plan._fit_lines(validation)
        if plan.lines:
            columns = external.predictor.to_numpy().T
            plan.predictors = [Predictor.of(label, np.ascontiguousarray(x)) for x in columns]
            plan.by_predictor = [Cases.of(x, label) for x in columns]
        return plan

    @property
    def size(self) -> int:
        return self.external.films + self.validation.films

    def ones(self) -> tuple[Weights, Weights, Weights]:
        """Weights of the sample itself: external films, external patients, validation films."""
        units = int(self.external.strata[-1])
        return tuple(np.ones((1, size), np.uint16) for size in (self.external.films, units, self.validation.films))  # type: ignore[return-value]

    def block(self, seed: int, first: int, last: int) -> tuple[Weights, Weights, Weights]:
        """Weights of draws `first` to `last` - 1; one row for all of them where nothing is drawn."""
        films, units, validation = self.ones()
        if self.draws.held != "external":
            units = self.external.draw(seed, first, last)
            films = units.take(self.external.unit, axis=1)
        if self.draws.held != "validation" and self.validation.films:
            validation = self.validation.films_drawn(seed, first, last)
        return films, units, validation

    def measure(
        self, parts: Iterable[tuple[int, int, Weights, Weights, Weights]], rows: int, pi: Floats | None = None
    ) -> dict[Key, Floats]:
        """Every base measure at `rows` rows of weights, shape (rows, runs); `parts` are (first, last row, *weights).

        Columns are contiguous, so that a run's draws are written and read at once.
        """
        share = np.full(rows, self.draws.pi) if pi is None else pi
        table: dict[Key, Floats] = {}
        for first, last, films, units, validation in parts:
            place = slice(first, last)
            for r in range(len(self.draws.runs)):
                for key, column in self._run(r, films, units, validation, share[place]):
                    if key not in table:
                        table[key] = np.empty((len(self.draws.runs), rows))
                    table[key][r, place] = column
        return {key: values.T for key, values in table.items()}

    def _run(self, r: int, films: Weights, units: Weights, validation: Weights, pi: Floats) -> Iterator[Column]:
        points = self.draws.points
        names = [(point.name, point.threshold_from) for point in points]
        cuts = self._cuts(r, len(pi), validation)
        learnt = [(k, point) for k, point in enumerate(points) if point.threshold_from == "external"]
        yield from ranked("film", self.by_score[r], films, pi, cuts, names, learnt)
        for k, name in enumerate(names):
            yield ("threshold", *name), cuts[:, k]
        if self.by_patient:
            side = self.by_patient[r]
            share = np.full(len(pi), side.malignant.mean())
            yield from ranked("patient", side, units.take(self.patients, axis=1), share, cuts, names)
        yield from self._risks(r, films, validation, pi)

    def _cuts(self, r: int, rows: int, validation: Weights) -> Floats:
        """Thresholds, shape (rows, points), of the points that do not need the external films; NaN for the others."""
        points = self.draws.points
        cuts = np.full((rows, len(points)), np.nan)
        learnt = [(k, point) for k, point in enumerate(points) if point.threshold_from == "validation"]
        if learnt:
            self.validation_sorted[r].rates(validation, cuts, learnt)
        for k, point in enumerate(points):
            if point.threshold_from == "given":
                cuts[:, k] = point.given[self.draws.runs[r][0]]
        return cuts

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
        label = validation.label.to_numpy()
        self.learners = [Predictor.of(label, np.ascontiguousarray(x)) for x in validation.predictor.to_numpy().T]

    def _risks(self, r: int, films: Weights, validation: Weights, pi: Floats) -> Iterator[Column]:
        """Calibration of the risks, and the rates at threshold probabilities."""
        if not self.lines:
            return
        fitted = np.broadcast_to(self.predictors[r].fit(films, pi), (len(pi), 2))
        for kind in (kind for kind in self.draws.recalibrations if kind in self.lines):
            learnt = self._recalibrations(r, validation) if kind == "logistic" else [0.0, 1.0]
            lines = np.broadcast_to(learnt, (len(pi), 2))
            table = self.predictors[r].judge(films, pi, lines, fitted)
            for k, name in enumerate(CALIBRATION):
                yield (name, kind), table[:, k]
            if self.draws.net_benefit_at and kind == self.draws.recalibrations[0]:
                yield from self._at_risks(r, films, lines)

    def _recalibrations(self, r: int, weights: Weights) -> Floats:
        """Intercept and slope of the recalibration in every row; that of the sample where all weights are 1."""
        line, learner = self.lines["logistic"][r], self.learners[r]
        if np.isnan(line[0]):
            return np.full((len(weights), 2), np.nan)
        lines = learner.fit(weights, np.full(len(weights), np.nan))
        lines[~(lines[:, 1] > 0)] = np.nan
        lines[:, 1] /= learner.scale
        lines[:, 0] -= learner.middle * lines[:, 1]
        lines[(weights == 1).all(axis=1)] = line
        return lines

    def _at_risks(self, r: int, films: Weights, lines: Floats) -> Iterator[Column]:
        """Rates at threshold probabilities, where the risks are those of the study or of another prevalence."""
        at, shares = np.array(self.draws.net_benefit_at), self.draws.prevalences
        learnt = self.draws.scores.validation.label.mean() if self.validation.films else self.draws.pi
        moved = [0.0 if share is None else logit(share) - logit(learnt) for share in shares]
        wanted = np.concatenate([logit(at) - by for by in moved])
        falling = np.argsort(-wanted, kind="stable")  # as they are found fastest
        keys = [(t, share) for share in shares for t in self.draws.net_benefit_at]
        both = self.by_predictor[r].rates(films, (wanted[falling] - lines[:, :1]) / lines[:, 1:])
        for rate, found in zip(("sensitivity", "specificity"), both, strict=True):
            for k, values in zip(falling, found, strict=True):
                yield (rate, "risk", *keys[k]), values
