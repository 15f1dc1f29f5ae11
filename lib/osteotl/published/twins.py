"""Simulated twins of a published comparison: cohorts of the same size in which its conclusions are drawn again.

Conditional twins keep the printed counts and discordant pairs exactly and leave all else free: what no twin shows
cannot hold together. Superpopulation twins are new cohorts from the world that the printed figures suggest, effects
drawn from their uncertainty, or from a world with equal arms. They tell how often the same conclusions would be drawn,
and how that changes with the validation films, the spread between runs and repeated films. The result is a map and no
verdict: even with nothing changed, p = .037 recurs about half of the time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import optimize, stats

from osteotl.published._kernels import conditional, patients_of, superpopulation
from osteotl.published.implied import within_classes
from osteotl.published.printed import Published
from osteotl.published.rederivation import counts_of, discordant_pairs, found_in, likely_pairs, unit_of

Vector = NDArray[np.float64]
Condition = tuple[int | None, float, float, float]  # the conditions of `twin_map`, in the order of its columns

CONCLUSIONS = {
    "auc_not_different": "the AUCs do not differ (DeLong p >= .05)",  # McNemar below: with the correction
    "auc_equivalent": "the AUCs are equivalent (90% interval inside the margin)",
    "specificity_at_high_sensitivity": "higher specificity of the arm at sensitivity >= .90 (McNemar p < .05)",
    "sensitivity_at_high_specificity": "higher sensitivity of the arm at specificity >= .90 (McNemar p < .05)",
    "sensitivity_at_youden": "higher sensitivity of the arm at the Youden point (McNemar p < .05)",
}
POSITIVES = (20, 50, 100, 200)
SEED_SPREADS = (0.0, 0.01, 0.02, 0.04)
FILMS_PER_PATIENT = (1.0, 2.0, 3.0)
ICCS = (0.0, 0.3, 0.6)


# --- conditional twins ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Layout:
    """Counts that every conditional twin keeps, each for (arm, reference).

    Attributes
    ----------
    films : (malignant, normal)
    sensitive : malignant films detected at the high-sensitivity point
    false, false_only : false positives there; of one arm only
    youden, youden_only : malignant films detected at the Youden point; by one arm only
    """

    films: tuple[int, int]
    sensitive: tuple[int, int]
    false: tuple[int, int]
    false_only: tuple[int, int]
    youden: tuple[int, int]
    youden_only: tuple[int, int]

    def counts(self) -> NDArray[np.int64]:
        """As the kernel takes them."""
        return np.array([*self.films, *self.sensitive, *self.false, *self.false_only, *self.youden, *self.youden_only])


def layout_of(published: Published) -> Layout:
    """The counts that conditional twins keep.

    Raises
    ------
    ValueError
        The figures lack what the construction needs.
    """
    counts = counts_of(published)
    found, names = found_in(counts), (published.arm, published.reference)
    pairs = {(row.point, row.rate): (int(row.arm_only), int(row.reference_only))
             for row in likely_pairs(discordant_pairs(published, counts)).itertuples()}  # fmt: skip

    def both(point: str, rate: str) -> tuple[int, int]:
        one, other = (int(found[point, arm, rate].count) for arm in names)
        return one, other

    try:
        sensitive, kept = both("high_sensitivity", "sensitivity"), both("high_sensitivity", "specificity")
        right_only, youden_only = pairs["high_sensitivity", "specificity"], pairs["youden", "sensitivity"]
        youden = both("youden", "sensitivity")
    except KeyError as error:
        raise ValueError(f"{published.title}: conditional twins need counts and discordant pairs of a high-sensitivity "
                         f"and a Youden point; missing {error}") from error  # fmt: skip
    well = published.films.normal
    # a normal film right in the arm only is a false positive of the reference only
    return Layout((published.films.malignant, well), sensitive, (well - kept[0], well - kept[1]),
                  (right_only[1], right_only[0]), youden, youden_only)  # fmt: skip


def conditional_twins(published: Published, twins: int = 1000, seed: int = 0) -> pd.DataFrame:
    """Draw twins that keep the printed counts and discordant pairs, and AUCs that print as printed.

    Parameters
    ----------
    published : Published
        With AUCs, a high-sensitivity and a Youden point (the layout of `hasei2025`).
    twins : int
    seed : int
        The same seed gives the same twins.

    Returns
    -------
    DataFrame
        One row a twin: difference (of the AUCs), width_arm and width_reference (of their intervals), p (DeLong),
        correlation (of the AUCs); p_as_high (p prints at least as high as the printed one) and widths_too (so it does,
        and both intervals are as wide as printed, within rounding).

    Raises
    ------
    ValueError
        Figures without the points, AUCs or p value that the construction needs.
    """
    layout, aucs, p = layout_of(published), published.printed_aucs, published.auc_p
    targets, half = np.array([float(one.value) for one in aucs]), float(unit_of(aucs[0].value)) / 2
    drawn = conditional(twins, np.random.default_rng(seed), layout.counts(), targets, half)
    reach = 2 * stats.norm.isf((1 - float(published.confidence)) / 2)
    table = pd.DataFrame(drawn, columns=["difference", "width_arm", "width_reference", "p", "correlation"])
    widths = table[["width_arm", "width_reference"]] * reach
    printed = [float(one.upper) - float(one.lower) for one in aucs]
    as_high = table["p"] >= float(p) - float(unit_of(p)) / 2
    as_wide = (np.abs(widths - printed) <= 2 * half + 1e-12).all(axis=1)
    return table.assign(**widths, p_as_high=as_high, widths_too=as_high & as_wide)


# --- superpopulation twins --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class TwinWorld:
    """Binormal arms fitted to all printed points and AUCs, with the uncertainty of the fit.

    Attributes
    ----------
    films : (malignant, normal)
    curves : array of shape (2, 2)
        a and b of ROC = Phi(a + b Phi^-1(fpr)) of arm and reference.
    covariance : array of shape (2, 2, 2)
        Of each arm's (a, b).
    shared : array of shape (2,)
        Correlation of the arms among malignant and among normal films.
    margin : float
    """

    films: tuple[int, int]
    curves: Vector
    covariance: Vector
    shared: Vector
    margin: float

    def equal_arms(self) -> TwinWorld:
        """Both arms alike: the mean curve, without uncertainty."""
        mean = self.curves.mean(axis=0)
        return replace(self, curves=np.array([mean, mean]), covariance=np.zeros((2, 2, 2)))

    def draw(self, rng: np.random.Generator, twins: int, seed_spread: float) -> Vector:
        """Curves of each twin, shape (twins, 2, 2): effects from their uncertainty, then a training run of each arm."""
        curves = np.stack([rng.multivariate_normal(self.curves[a], self.covariance[a], twins) for a in (0, 1)], axis=1)
        curves[:, :, 1] = np.clip(curves[:, :, 1], 0.2, 3.0)
        root = np.sqrt(1 + curves[:, :, 1] ** 2)
        slope = stats.norm.pdf(curves[:, :, 0] / root) / root
        curves[:, :, 0] += seed_spread * rng.standard_normal((twins, 2)) / slope
        return np.asarray(curves)


def twin_world(published: Published) -> TwinWorld:
    """Fit a world to printed figures.

    The AUC and every printed operating point enter with their sampling error; where they contradict each other the fit
    lies between them. Correlations within classes are tetrachoric, from the discordant pairs, cut at .9.

    Raises
    ------
    ValueError
        Figures without the AUC of both arms.
    """
    counts = counts_of(published)
    fits = [
        _fit(one, float(published.confidence), _points(counts, name))
        for name, one in zip((published.arm, published.reference), published.printed_aucs, strict=True)
    ]
    within = within_classes(discordant_pairs(published, counts))
    shared = [float(np.clip(within.get(rate, 0.5), 0.0, 0.9)) for rate in ("sensitivity", "specificity")]
    margin = max((float(m) for m in published.margins), default=0.03)
    films = (published.films.malignant, published.films.normal)
    return TwinWorld(films, np.array([f[0] for f in fits]), np.array([f[1] for f in fits]), np.array(shared), margin)


def _fit(auc: Any, confidence: float, points: list[tuple[float, float, float]]) -> tuple[Vector, Vector]:
    """(a, b) of one arm by weighted least squares, and their covariance."""
    value = float(auc.value)
    error = (float(auc.upper) - float(auc.lower)) / (2 * stats.norm.isf((1 - confidence) / 2))

    def residuals(x: Vector) -> Vector:
        a, b = x
        parts = [(stats.norm.cdf(a / np.sqrt(1 + b**2)) - value) / error]
        parts += [(a + b * z_false - z_true) / spread for z_true, z_false, spread in points]
        return np.array([*parts, np.log(b)])  # a weak prior of equal spreads where little is printed

    result = optimize.least_squares(residuals, np.array([1.8, 0.8]), bounds=([0.0, 0.15], [6.0, 4.0]))
    return result.x, np.linalg.inv(result.jac.T @ result.jac)


def _points(counts: pd.DataFrame, arm: str) -> list[tuple[float, float, float]]:
    """Printed points with both rates: probits of sensitivity and of 1 - specificity, and their joint error."""
    found, made = found_in(counts), []
    for point in dict.fromkeys(counts["point"]):
        both = [found.get((point, arm, rate)) for rate in ("sensitivity", "specificity")]
        if None in both:
            continue
        shares = np.array([(row.count + 0.5) / (row.n + 1) for row in both])  # type: ignore[union-attr]
        films = np.array([row.n for row in both])  # type: ignore[union-attr]
        z = stats.norm.ppf(shares)
        error = np.sqrt(shares * (1 - shares) / films) / stats.norm.pdf(z)
        made.append((float(z[0]), float(-z[1]), float(np.hypot(*error))))
    return made


def twin_map(
    published: Published, twins: int = 100, seed: int = 0, positives: Sequence[int] = POSITIVES,
    seed_spreads: Sequence[float] = SEED_SPREADS, films_per_patient: Sequence[float] = FILMS_PER_PATIENT,
    iccs: Sequence[float] = ICCS, full: bool = False,
) -> pd.DataFrame:  # fmt: skip
    """How often each conclusion is drawn, by condition.

    Parameters
    ----------
    published : Published
    twins : int
        Cohorts per condition; twice as many under the published conditions.
    seed : int
        The same seed gives the same map.
    positives : malignant validation films that set the thresholds (normal ones in the published ratio)
    seed_spreads : standard deviations of the AUC between training runs
    films_per_patient, iccs : films of one patient, and their correlation
    full : bool
        Every combination; default: each condition alone, the others as published.

    Returns
    -------
    DataFrame
        world ('as published', 'equal arms', 'sweep'), validation_positives (missing: thresholds from the test films),
        seed_spread, films_per_patient, icc, conclusion (short name), share, relative (share / share as published),
        twins. Published conditions: thresholds from the test films, one run, one film a patient.
    """
    world, rng = twin_world(published), np.random.default_rng(seed)
    as_published: Condition = (None, 0.0, 1.0, 0.0)
    asked = [("as published", world, 2 * twins, as_published), ("equal arms", world.equal_arms(), 2 * twins,
             as_published)]  # fmt: skip
    asked += [("sweep", world, twins, condition)
              for condition in _conditions(positives, seed_spreads, films_per_patient, iccs, full)]  # fmt: skip
    columns = ["validation_positives", "seed_spread", "films_per_patient", "icc"]
    rows = [
        {"world": name, **dict(zip(columns, condition, strict=True)), "conclusion": conclusion, "share": share,
         "twins": size}
        for name, one, size, condition in asked
        for conclusion, share in _shares(one, rng, size, *condition).items()
    ]  # fmt: skip
    table = pd.DataFrame(rows).astype({"validation_positives": "Int64"})
    first = table[table["world"] == "as published"].set_index("conclusion")["share"].replace(0.0, np.nan)
    table.insert(7, "relative", table["share"] / table["conclusion"].map(first))
    return table


def _conditions(positives: Sequence[int], spreads: Sequence[float], per_patient: Sequence[float], iccs: Sequence[float],
                full: bool) -> list[Condition]:  # fmt: skip
    clusters = [(1.0, 0.0), *((f, i) for f, i in product(per_patient, iccs) if f > 1)]
    if full:
        return [(n, s, f, i) for n in (None, *positives) for s in spreads for f, i in clusters]
    alone: list[Condition] = [(n, 0.0, 1.0, 0.0) for n in positives]
    alone += [(None, s, 1.0, 0.0) for s in spreads if s]
    return alone + [(None, 0.0, f, i) for f, i in clusters if f > 1 and i]


def _shares(world: TwinWorld, rng: np.random.Generator, twins: int, positives: int | None, spread: float,
            films_per_patient: float, icc: float) -> dict[str, float]:  # fmt: skip
    """Share of twins in which each conclusion is drawn; positives None: thresholds from the test films."""
    ill, well = world.films
    held = 0 if positives is None else positives
    sizes = np.array([ill, well, held, round(held * well / ill)])
    patient, other = patients_of(ill, well, films_per_patient), np.zeros(0, np.int64)
    if held:
        other = patients_of(held, int(sizes[3]), films_per_patient)
    curves = world.draw(rng, twins, spread)
    drawn = superpopulation(rng, curves, sizes, patient, other, world.shared, icc, world.margin)
    return {name: float(drawn[:, i].mean()) for i, name in enumerate(CONCLUSIONS)}
