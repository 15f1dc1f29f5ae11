"""How many films would answer the question: power by simulation, from a pilot, with clusters and several seeds.

`planning` has the closed forms for one film a patient and one training run; this module simulates what they leave out.

    python -m osteotl.statistics.plan_study --published hasei2025 --target auc_margin --margin 0.03
    python -m osteotl.statistics.plan_study --predictions outputs/predictions.csv --target mcnemar
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

import numba
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from osteotl.scores_files.reading import ScoresError, read_scores
from osteotl.statistics._pilot import Pilot, pilot_from_predictions, pilot_from_published
from osteotl.statistics._plan_files import write_plan_files
from osteotl.statistics._simulate import (
    draw_scores,
    film_covariance,
    patients_of,
    placements,
    rockette,
)
from osteotl.statistics.checks import check_one_of, check_share
from osteotl.statistics.published import PublishedError, load_published

Target = Literal["auc_margin", "auc_difference", "sensitivity", "mcnemar"]
TARGETS: dict[str, str] = {
    "auc_margin": "non-inferiority: lower limit of the AUC difference above -margin",
    "auc_difference": "superiority: the interval of the AUC difference leaves out 0",
    "sensitivity": "difference of sensitivities at matched specificity",
    "mcnemar": "McNemar's test (exact; Durkalski with clusters) of one run at a locked specificity",
}


@dataclass(frozen=True)
class Power:
    """Simulated power at one study size; lower and upper: 95 % limits of the simulation itself (Wilson)."""

    films: int
    malignant: int
    normal: int
    power: float
    lower: float
    upper: float


@dataclass(frozen=True)
class StudyPlan:
    """Curve of power against films.

    Attributes
    ----------
    films : int or None
        Films needed (a probit curve through the simulated points), None if not reached within the range.
    curve : tuple of Power
    target, question : str
    settings : dict
    pilot : Pilot
    remarks : tuple of str
    """

    films: int | None
    curve: tuple[Power, ...]
    target: str
    question: str
    settings: dict[str, float | int | None]
    pilot: Pilot
    remarks: tuple[str, ...]

    def table(self) -> pd.DataFrame:
        """The curve as a table."""
        return pd.DataFrame([asdict(point) for point in self.curve])

    def sentence(self) -> str:
        """The answer in words."""
        goal = f"power {self.settings['power']:.0%} for {self.question}"
        if self.films is None:
            limit = "" if not self.pilot.seed_spread or self.target == "mcnemar" else (
                f"; with {self.settings['seeds']} training runs per arm the variation between runs limits it, "
                "so more runs would help where more films do not")  # fmt: skip
            return f"{goal}: not reached with {self.curve[-1].films:,} films{limit}"
        ill = round(self.films * self.pilot.malignant_share)
        return f"{goal}: about {self.films:,} films ({ill:,} malignant, {self.films - ill:,} normal)"


def plan(
    pilot: Pilot, target: Target = "auc_margin", *, margin: float = 0.03, difference: float | None = None,
    specificity: float = 0.90, power: float = 0.80, alpha: float = 0.05, seeds: int = 3, simulations: int = 400,
    seed: int = 0, most_films: int = 12_800,
) -> StudyPlan:  # fmt: skip
    """Films needed for a question, by simulation from a pilot.

    Parameters
    ----------
    pilot : Pilot
        From `pilot_from_predictions` or `pilot_from_published`.
    target : {"auc_margin", "auc_difference", "sensitivity", "mcnemar"}
    margin : float
        Largest acceptable loss of AUC (auc_margin).
    difference : float, optional
        True difference arm - reference: of AUCs, or of sensitivities at `specificity`; default: the pilot's.
    specificity : float in (0, 1)
        At which sensitivities are compared.
    power, alpha : float in (0, 1)
        alpha is two-sided; the margin is tested one-sided at alpha / 2.
    seeds : int
        Training runs per arm (McNemar's test always concerns one).
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

    Notes
    -----
    AUC targets use the analysis of the report (Obuchowski-Rockette with Hillis' df, DeLong or Obuchowski covariances);
    the sensitivity target compares with the simulated distribution under no difference.
    """
    check_one_of(target, tuple(TARGETS), "target")
    for name, value in (("power", power), ("alpha", alpha), ("specificity", specificity), ("margin", margin)):
        check_share(value, name)
    if seeds < 1 or simulations < 50:
        raise ValueError(f"needs at least 1 seed and 50 simulations, got {seeds} and {simulations}")
    runs = 1 if target == "mcnemar" else seeds
    chosen = pilot.with_difference(difference, None if target.startswith("auc") else specificity)
    sizes, curve = [100], list[Power]()
    while sizes:
        size = sizes.pop(0)
        curve.append(_power_at(chosen, target, size, runs, margin, specificity, alpha, simulations, seed))
        if not sizes and len(curve) < 16:
            sizes = _next(curve, power, most_films)
    curve.sort(key=lambda p: p.films)
    settings: dict[str, float | int | None] = {"margin": margin, "difference": difference, "specificity": specificity,
                "power": power, "alpha": alpha, "seeds": runs, "simulations": simulations, "seed": seed}  # fmt: skip
    return StudyPlan(_films_needed(curve, power, most_films), tuple(curve), target, TARGETS[target], settings, chosen,
                     chosen.remarks)  # fmt: skip


def _next(curve: list[Power], power: float, most: int) -> list[int]:
    """Double until the power is exceeded, then two sizes near the crossing."""
    largest = max(curve, key=lambda p: p.films)
    if _flat(curve, power):
        return []
    if largest.power < min(power + 0.1, 0.97) and largest.films * 2 <= most:
        return [largest.films * 2]
    root = _films_needed(curve, power, most)
    near = [] if root is None else [round(root * f) for f in (0.85, 1.15)]
    refined = any(p.films % 100 for p in curve)
    return [] if refined else [n if n % 100 else n + 1 for n in near if 40 <= n <= most]


def _flat(curve: list[Power], power: float) -> bool:
    """Four doublings that no longer help: something other than the number of films limits the power."""
    last = sorted(curve, key=lambda p: p.films)[-4:]
    return len(curve) >= 5 and last[-1].films >= 3200 and last[-1].upper < power and last[-1].power < last[0].upper


def _films_needed(curve: list[Power], power: float, most: int) -> int | None:
    """Where a probit line in the root of films, fitted to the simulated points, crosses the power."""
    points = sorted(curve, key=lambda p: p.films)
    inside = [p for p in points if 0.02 < p.power < 0.995] or points
    if max(p.power for p in points) < power:
        return None
    if len(inside) < 2:
        return next(p.films for p in points if p.power >= power)
    root = np.sqrt([p.films for p in inside])
    share = np.array([p.power for p in inside])
    weight = stats.norm.pdf(stats.norm.ppf(share)) / np.sqrt(share * (1 - share))
    slope, start = np.polyfit(root, stats.norm.ppf(share), 1, w=weight)
    if slope <= 0:
        return None
    return min(most, max(40, int(np.ceil(((stats.norm.ppf(power) - start) / slope) ** 2))))


def _power_at(
    pilot: Pilot, target: str, films: int, seeds: int, margin: float, specificity: float, alpha: float,
    simulations: int, seed: int,
) -> Power:  # fmt: skip
    ill = max(3, round(films * pilot.malignant_share))
    drawn = _simulated(pilot, ill, films - ill, seeds, specificity, simulations, seed)
    if target == "mcnemar":
        won = _mcnemar_rejects(drawn, alpha)
    elif target == "sensitivity":
        same = _simulated(pilot.without_difference(), ill, films - ill, seeds, specificity, simulations, seed + 1)
        limit = np.quantile(np.abs(same[:, 3]), 1 - alpha)
        won = np.abs(drawn[:, 3]) > limit
    else:
        df = np.where(drawn[:, 2] > 0, drawn[:, 2], 1e9)
        reach = stats.t.isf(alpha / 2, df) * drawn[:, 1]
        low, high = drawn[:, 0] - reach, drawn[:, 0] + reach
        won = low > -margin if target == "auc_margin" else (low > 0) | (high < 0)
    low, high = proportion_confint(int(won.sum()), len(won), 0.05, "wilson")
    return Power(films, ill, films - ill, float(won.mean()), float(low), float(high))


def _mcnemar_rejects(drawn: NDArray[np.float64], alpha: float) -> NDArray[np.bool_]:
    """Exact McNemar without clusters, else Durkalski's statistic (columns 4 to 6: b, c, sum of squares)."""
    b, c, squares = drawn[:, 4], drawn[:, 5], drawn[:, 6]
    if np.array_equal(squares, b + c):
        return np.asarray(2 * stats.binom.cdf(np.minimum(b, c), b + c, 0.5) <= alpha)
    statistic = np.divide((b - c) ** 2, squares, out=np.zeros_like(b), where=squares > 0)
    return np.asarray(stats.chi2.sf(statistic, 1) <= alpha)


def _simulated(pilot: Pilot, ill: int, well: int, seeds: int, specificity: float, simulations: int,
               seed: int) -> NDArray[np.float64]:  # fmt: skip
    """Rows of (difference, se, df, sensitivity difference, b, c, cluster sum of squares), one a cohort."""
    world = pilot.world()
    cut = float(stats.norm.ppf(specificity))
    shared = np.array([world.shared_malignant, world.shared_normal])
    patient = patients_of(ill, well, world.films_per_patient)
    return _cohorts(simulations, np.random.default_rng(seed), ill, patient, seeds, world.shift, world.shift_spread(),
                    world.width, shared, world.kept, world.icc, specificity, cut)  # fmt: skip


@numba.njit(cache=True)
def _cohorts(
    simulations: int, rng: np.random.Generator, ill: int, patient: NDArray[np.int64], seeds: int,
    shift: NDArray[np.float64], spread: NDArray[np.float64],
    width: NDArray[np.float64], shared: NDArray[np.float64], kept: float, icc: float,
    specificity: float, cut: float,
) -> NDArray[np.float64]:  # fmt: skip
    films = len(patient)
    result = np.zeros((simulations, 7))
    score, placed = np.empty((2, seeds, films)), np.empty((2 * seeds, films))
    moved, auc = np.empty((2, seeds)), np.empty((2, seeds))
    at = min(int(np.ceil(specificity * (films - ill))), films - ill - 1)
    for r in range(simulations):
        for a in range(2):
            for s in range(seeds):
                moved[a, s] = shift[a] + spread[a] * rng.standard_normal()
        draw_scores(score, ill, patient, moved, width, shared, kept, icc, rng)
        found = np.zeros(2)
        for a in range(2):
            for s in range(seeds):
                auc[a, s] = placements(score[a, s], ill, placed[a * seeds + s])
                threshold = np.sort(score[a, s, ill:])[at]
                found[a] += (score[a, s, :ill] >= threshold).mean() / seeds
        cov = film_covariance(placed, auc.ravel(), ill, patient)
        result[r, 0], result[r, 1], result[r, 2] = rockette(auc, cov)
        result[r, 3] = found[0] - found[1]
        _discordant(score[:, 0, :ill], patient, cut, result[r])
    return result


@numba.njit(cache=True)
def _discordant(score: NDArray[np.float64], patient: NDArray[np.int64], cut: float, row: NDArray[np.float64]) -> None:
    """Discordant malignant films of the first run at a locked threshold, and their squares summed by patient."""
    gap = 0.0
    for i in range(score.shape[1]):
        one, other = score[0, i] >= cut, score[1, i] >= cut
        row[4] += 1.0 if one and not other else 0.0
        row[5] += 1.0 if other and not one else 0.0
        gap += (1.0 if one else 0.0) - (1.0 if other else 0.0)
        if i + 1 == score.shape[1] or patient[i + 1] != patient[i]:
            row[6] += gap * gap
            gap = 0.0


# --- command line -----------------------------------------------------------------------------------------------------


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="plan", description="Films needed for a question, simulated from a pilot.")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--predictions", type=Path, metavar="FILE", help="scores of a pilot (as ./run_all.sh reads them)"
    )
    source.add_argument("--published", metavar="NAME", help="a shipped comparison, or a YAML file of printed figures")
    parser.add_argument("--target", choices=list(TARGETS), default="auc_margin", help="question (default: auc_margin)")
    parser.add_argument("--arm", help="arm of the pilot (default: the first that is not the reference)")
    parser.add_argument("--reference", help="reference arm (default: the first in the file)")
    for name, default, text in (
        ("margin", 0.03, "acceptable loss of AUC"), ("difference", None, "true difference (default: the pilot's)"),
        ("specificity", 0.90, "at which sensitivities are compared"), ("power", 0.80, "wanted"),
        ("alpha", 0.05, "two-sided"), ("seed-spread", None, "standard deviation of the AUC between training runs"),
        ("films-per-patient", None, "on average"), ("icc", None, "correlation of films of one patient"),
    ):  # fmt: skip
        parser.add_argument(f"--{name}", type=float, default=default, help=f"{text}")
    parser.add_argument("--seeds", type=int, default=3, help="training runs per arm (default: 3)")
    parser.add_argument("--simulations", type=int, default=400, help="cohorts per study size (default: 400)")
    parser.add_argument("--seed", type=int, default=0, help="of the simulation (default: 0)")
    parser.add_argument("--outputs", type=Path, metavar="DIR", help="also write plan.csv, plan.json and plan.svg there")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Command line; exit codes 0 done, 2 bad input."""
    given = _parser().parse_args(arguments)
    try:
        if given.predictions:
            scores = read_scores(given.predictions, given.reference)
            arm = given.arm or next(a for a in scores.arms if a != scores.reference)
            pilot = pilot_from_predictions(scores.predictions, arm, scores.reference)
        else:
            pilot = pilot_from_published(load_published(given.published))
        changes = {
            k: getattr(given, k) for k in ("seed_spread", "films_per_patient", "icc") if getattr(given, k) is not None
        }
        result = plan(replace(pilot, **changes), given.target, margin=given.margin, difference=given.difference,
                      specificity=given.specificity, power=given.power, alpha=given.alpha, seeds=given.seeds,
                      simulations=given.simulations, seed=given.seed)  # fmt: skip
    except (ScoresError, PublishedError) as error:
        print("\n".join(error.faults), file=sys.stderr)
        return 2
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    print(_said(result))
    if given.outputs:
        write_plan_files(result, given.outputs)
    return 0


def _said(result: StudyPlan) -> str:
    lines = [result.sentence(), "", "  films  malignant  normal  power  (limits of the simulation)"]
    lines += [
        f"{p.films:7,}  {p.malignant:9,}  {p.normal:6,}  {p.power:5.2f}  ({p.lower:.2f}-{p.upper:.2f})"
        for p in result.curve
    ]
    return "\n".join([*lines, "", f"pilot: {result.pilot.source}", *(f"note: {r}" for r in result.remarks)])


if __name__ == "__main__":
    raise SystemExit(main())
