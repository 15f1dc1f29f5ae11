"""How many films, training runs and validation films answer a question: power by simulation from a pilot.

A film's score is binormal in each arm. Its noise is one part that both arms share (class-specific), one that the runs
of an arm share, and one of its own; every part is correlated within a patient. A training run moves the arm's
separation, and thresholds are learnt on validation films. Each simulated cohort is analysed as `inference` does: runs
nested in arms, V = sum MS/J + max(C2 + C2 - 2 C3, 0), Satterthwaite's degrees of freedom; covariances are taken over
the simulated cohorts. More external films remove the films' part of the variance only: what remains is the ceiling.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, stats
from statsmodels.stats.proportion import proportion_confint

from diagnostic_accuracy.checks import check_one_of, check_share
from diagnostic_accuracy.pilots import Pilot

Vector = NDArray[np.float64]
Flags = NDArray[np.bool_]
Target = Literal["auc_margin", "auc_difference", "sensitivity", "mcnemar"]

TARGETS: dict[str, str] = {
    "auc_margin": "non-inferiority: lower limit of the AUC difference above -margin",
    "auc_difference": "superiority: the interval of the AUC difference leaves out 0",
    "sensitivity": "difference of sensitivities at thresholds that reach a specificity on validation films",
    "mcnemar": "McNemar's test (exact; Durkalski with clusters) of one run at such thresholds",
}
MORE_RUNS = (2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 50)
MOST_VALIDATION = 12_800


# --- plans ------------------------------------------------------------------------------------------------------------


class Power(NamedTuple):
    """Simulated power at one study size; lower and upper: 95 % limits of the simulation itself (Wilson).

    `films` is 0 for the ceiling, that is, with any number of external films.
    """

    films: int
    malignant: int
    normal: int
    power: float
    lower: float
    upper: float


@dataclass(frozen=True)
class StudyPlan:
    """Curve of power against external films.

    Attributes
    ----------
    films : int or None
        Fewest films at which the curve first reaches the power; None if it does not within the range.
    curve : list of Power
    ceiling : Power
        With any number of external films, at these runs and validation films.
    remedy : str
        Where `films` is None: what would help, in words.
    power : float
        Wanted.
    question : str
    pilot : Pilot
    """

    films: int | None
    curve: list[Power]
    ceiling: Power
    remedy: str
    power: float
    question: str
    pilot: Pilot

    def sentence(self) -> str:
        """The answer in words."""
        goal = f"power {self.power:.0%} for {self.question}"
        if self.films is None:
            return f"{goal}: not reached with {self.curve[-1].films:,} films; {self.remedy}"
        ill = round(self.films * self.pilot.malignant_share)
        return f"{goal}: about {self.films:,} films ({ill:,} malignant, {self.films - ill:,} normal)"


@dataclass(frozen=True)
class _Design:
    """What a plan asks, whatever the number of external films."""

    pilot: Pilot
    target: str
    margin: float
    specificity: float
    alpha: float
    runs: int
    validation: int | None
    simulations: int
    seed: int


def plan(
    pilot: Pilot, target: Target = "auc_margin", *, margin: float = 0.03, difference: float | None = None,
    specificity: float = 0.90, power: float = 0.80, alpha: float = 0.05, seeds: int = 3, validation: int | None = None,
    simulations: int = 400, seed: int = 0, most_films: int = 12_800,
) -> StudyPlan:  # fmt: skip
    """Films needed for a question, by simulation from a pilot.

    Parameters
    ----------
    pilot : Pilot
        From `pilot_of_scores` or `pilot_of_aucs`.
    target : {"auc_margin", "auc_difference", "sensitivity", "mcnemar"}
    margin : float
        Largest acceptable loss of AUC (auc_margin).
    difference : float, optional
        True difference arm - reference: of AUCs, or of sensitivities at `specificity`; default: the pilot's.
    specificity : float in (0, 1)
        That the thresholds reach on the validation films.
    power, alpha : float in (0, 1)
        alpha is two-sided; the margin is tested one-sided at alpha / 2.
    seeds : int
        Training runs per arm (McNemar's test always concerns one).
    validation : int, optional
        Validation films; default: so many that thresholds do not vary.
    simulations : int
        Cohorts per study size.
    seed : int
        The same seed gives the same plan.
    most_films : int
        Largest study looked at.

    Returns
    -------
    StudyPlan

    Raises
    ------
    ValueError
        An unknown target, a share outside (0, 1), fewer than one seed.

    Examples
    --------
    >>> result = plan(Pilot(0.95, 0.80), "auc_difference", simulations=60)
    >>> result.films < 200
    True
    """
    check_one_of(target, tuple(TARGETS), "target")
    for name, value in (("power", power), ("alpha", alpha), ("specificity", specificity), ("margin", margin)):
        check_share(value, name)
    if seeds < 1 or simulations < 50 or (validation is not None and validation < 20):
        raise ValueError(f"needs at least 1 seed, 50 simulations and 20 validation films, got {seeds}, {simulations} "
                         f"and {validation}")  # fmt: skip
    runs = 1 if target == "mcnemar" else seeds
    chosen = pilot.with_difference(difference, None if target.startswith("auc") else specificity)
    design = _Design(chosen, target, margin, specificity, alpha, runs, validation, simulations, seed)
    ceiling = _power_at(design, 0)
    curve = _curve(design, power, ceiling, most_films)
    films = first_crossing(curve, power)
    remedy = "" if films is not None else _remedy(design, ceiling, power)
    return StudyPlan(films, curve, ceiling, remedy, power, TARGETS[target], chosen)


def _curve(design: _Design, power: float, ceiling: Power, most: int) -> list[Power]:
    """Powers at 100 films, at doubles until well above the power (or halves), and at three sizes near the crossing."""
    curve = [_power_at(design, 100)]
    while curve[-1].power < min(power + 0.1, 0.97) and curve[-1].films * 2 <= most:
        if ceiling.upper < power and curve[-1].films >= 1600:
            return curve  # a plateau below the power: larger studies show nothing new
        curve.append(_power_at(design, curve[-1].films * 2))
    while curve[0].power >= power and curve[0].films > 25:
        curve.insert(0, _power_at(design, curve[0].films // 2))
    for _ in range(3):
        crossing = first_crossing(curve, power)
        if crossing is None or crossing in {point.films for point in curve}:
            break
        curve = sorted([*curve, _power_at(design, crossing)])
    return curve


def first_crossing(curve: list[Power], power: float) -> int | None:
    """Films at which a curve first reaches a power; None if it does not.

    Powers are made to rise with the films first (isotonic regression), since neighbours differ by the error of the
    simulation too. Between neighbours the probit of the power is linear in the root of the films.

    Parameters
    ----------
    curve : list of Power, by rising films
    power : float in (0, 1)

    Examples
    --------
    >>> first_crossing([Power(100, 36, 64, 0.5, 0, 1), Power(400, 144, 256, 0.9, 0, 1)], 0.5)
    100
    """
    films = np.array([point.films for point in curve])
    rising = optimize.isotonic_regression([point.power for point in curve]).x
    reached = np.flatnonzero(rising >= power)
    if not reached.size:
        return None
    after = int(reached[0])
    if after == 0:
        return int(films[0])
    ends = stats.norm.ppf(np.clip(rising[after - 1 : after + 1], 0.001, 0.999))
    part = np.clip((stats.norm.ppf(power) - ends[0]) / (ends[1] - ends[0]), 0.0, 1.0)
    root = np.sqrt(films[after - 1 : after + 1])
    return int(np.ceil((root[0] + part * (root[1] - root[0])) ** 2))


def _remedy(design: _Design, ceiling: Power, power: float) -> str:
    """What would help where the curve does not reach the power."""
    most = f"with any number of external films the power is {ceiling.power:.0%}"
    if ceiling.upper >= power:
        return f"more external films would help: {most}"

    def enough(runs: int, validation: int | None) -> bool:
        return _power_at(replace(design, runs=runs, validation=validation), 0).power >= power

    more = [] if design.target == "mcnemar" else [runs for runs in MORE_RUNS if runs > design.runs]
    seeds = next((runs for runs in more if enough(runs, design.validation)), None)
    ways = [f"{seeds} training runs per arm"] if seeds else []
    few = design.validation if design.target == "sensitivity" else None
    if few is not None:
        doubles = [few * 2**k for k in range(1, 10) if few * 2**k <= MOST_VALIDATION]
        films = next((size for size in doubles if enough(design.runs, size)), None)
        ways += [f"{films:,} validation films"] if films else []
    if not ways and few is not None and enough(MORE_RUNS[-1], None):
        ways = ["more training runs and more validation films together"]
    if ways:
        return f"{most}, so more of them do not help; {' or '.join(ways)} would"
    return (
        f"{most}, and neither more training runs nor more validation films help: the true difference does not allow it"
    )


# --- simulation -------------------------------------------------------------------------------------------------------


def _power_at(design: _Design, films: int) -> Power:
    """Share of simulated cohorts in which the question is answered; 0 films: any number of them."""
    ill = max(3, round(films * design.pilot.malignant_share)) if films else 0
    well = max(3, films - ill) if films else 0
    if design.target == "mcnemar" and not films:  # any two rates that differ at all
        won = np.ptp(_cohorts(design, ill, well, design.pilot.shift_spread)[:, :, 0], axis=1) > 1e-9
    elif design.target == "mcnemar":
        won = _mcnemar(design, ill, well)
    else:
        won = _decided(design, ill, well)
    low, high = proportion_confint(int(won.sum()), len(won), 0.05, "wilson")
    return Power(films, ill, well, float(won.mean()), float(low), float(high))


def _decided(design: _Design, ill: int, well: int) -> Flags:
    runs, values = design.runs, _cohorts(design, ill, well, design.pilot.shift_spread)
    gap = values.mean(axis=2) @ [1, -1]
    if runs == 1:  # 'this run only': the variance of the difference with runs held fixed
        held = _cohorts(design, ill, well, np.zeros(2))
        variance, df = np.full(len(gap), np.var(held[:, 0, 0] - held[:, 1, 0], ddof=1)), np.full(len(gap), 1e9)
    else:
        matrix = np.cov(values.reshape(len(values), -1).T)
        own, other, across = matrix[:runs, :runs], matrix[runs:, runs:], matrix[:runs, runs:]
        shared = sum((m.sum() - np.trace(m)) / (runs * (runs - 1)) for m in (own, other))
        squares = values.var(axis=2, ddof=1) / runs
        variance = squares.sum(axis=1) + max(shared - 2 * across.mean(), 0.0)
        df = variance**2 / np.maximum((squares**2).sum(axis=1) / (runs - 1), 1e-300)
    reach = stats.t.isf(design.alpha / 2, np.maximum(df, 1.0)) * np.sqrt(variance)
    if design.target == "auc_margin":
        return gap - reach > -design.margin
    return np.abs(gap) > reach


def _cohorts(design: _Design, ill: int, well: int, spread: Vector) -> Vector:
    """AUC, or sensitivity at thresholds from validation films, of every run: shape (simulations, 2, runs)."""
    rng = np.random.default_rng([design.seed, ill, well, design.runs, design.validation or 0])
    shift = design.pilot.shift[:, None] + spread[:, None] * rng.standard_normal((design.simulations, 2, design.runs))
    if design.target.startswith("auc"):
        return _areas(design.pilot, ill, well, shift, rng) if ill else stats.norm.cdf(shift / np.sqrt(2))
    cuts = _cuts(design, rng)
    if not ill:
        return stats.norm.cdf(shift - cuts)
    return np.array([
        (_noise(design.pilot, ill, design.runs, True, rng) + moved[:, :, None] >= cut[:, :, None]).mean(axis=2)
        for moved, cut in zip(shift, cuts, strict=True)
    ])  # fmt: skip


def _areas(pilot: Pilot, ill: int, well: int, shift: Vector, rng: np.random.Generator) -> Vector:
    values = np.empty(shift.shape)
    for s, moved in enumerate(shift):
        malignant = _noise(pilot, ill, moved.shape[1], True, rng) + moved[:, :, None]
        normal = np.sort(_noise(pilot, well, moved.shape[1], False, rng), axis=2)
        for place in np.ndindex(moved.shape):
            values[s][place] = np.searchsorted(normal[place], malignant[place]).mean() / well
    return values


def _cuts(design: _Design, rng: np.random.Generator) -> Vector:
    """Thresholds of every run that reach the specificity on normal validation films, shape (simulations, 2, runs)."""
    if design.validation is None:
        return np.full((design.simulations, 2, design.runs), stats.norm.ppf(design.specificity))
    normal = max(3, round(design.validation * (1 - design.pilot.malignant_share)))
    at = min(int(np.ceil(design.specificity * normal)), normal - 1)
    return np.array([np.partition(_noise(design.pilot, normal, design.runs, False, rng), at, axis=2)[:, :, at]
                     for _ in range(design.simulations)])  # fmt: skip


def _noise(pilot: Pilot, films: int, runs: int, malignant: bool, rng: np.random.Generator) -> Vector:
    """Scores of one class before its shift, shape (2, runs, films); patients hold films of one class."""
    shared = pilot.shared_malignant if malignant else pilot.shared_normal
    patient = (np.arange(films) / pilot.films_per_patient).astype(np.int64)

    def part(*shape: int) -> Vector:
        own = rng.standard_normal((*shape, films))
        if not pilot.icc:
            return own
        common = rng.standard_normal((*shape, int(patient[-1]) + 1))[..., patient]
        return np.sqrt(pilot.icc) * common + np.sqrt(1 - pilot.icc) * own

    both, arm, run = part(1, 1), part(2, 1), part(2, runs)
    weights = np.sqrt([shared, (1 - shared) * pilot.kept, (1 - shared) * (1 - pilot.kept)])
    return weights[0] * both + weights[1] * arm + weights[2] * run


def _mcnemar(design: _Design, ill: int, well: int) -> Flags:
    """Exact McNemar's test of the malignant films of one run without clusters, else Durkalski's statistic."""
    rng = np.random.default_rng([design.seed, ill, well, design.validation or 0])
    patient = (np.arange(ill) / design.pilot.films_per_patient).astype(np.int64)
    shift = design.pilot.shift + design.pilot.shift_spread * rng.standard_normal((design.simulations, 2))
    tables = np.empty((design.simulations, 3))
    for s, cut in enumerate(_cuts(design, rng)):
        called = (_noise(design.pilot, ill, 1, True, rng) + shift[s][:, None, None] >= cut[:, :, None])[:, 0]
        gap = called[0].astype(int) - called[1]
        tables[s] = (gap > 0).sum(), (gap < 0).sum(), (np.bincount(patient, gap) ** 2).sum()
    b, c, squares = tables.T
    if patient[-1] + 1 == ill:
        return 2 * stats.binom.cdf(np.minimum(b, c), b + c, 0.5) <= design.alpha
    statistic = np.divide((b - c) ** 2, squares, out=np.zeros_like(b), where=squares > 0)
    return np.asarray(stats.chi2.sf(statistic, 1) <= design.alpha)
