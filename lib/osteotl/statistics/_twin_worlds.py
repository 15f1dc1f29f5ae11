"""What printed figures say of the world that twins are drawn from."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, stats

from osteotl.statistics._attainable import unit_of
from osteotl.statistics._implied import tetrachoric
from osteotl.statistics.published import PrintedAuc, Published
from osteotl.statistics.rederivation import Rederivation, rederive

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Layout:
    """Counts that every conditional twin keeps.

    sensitive : malignant films detected at the high-sensitivity point (arm, reference); false: false positives there,
    false_only: of one arm only; youden : detected at the Youden point; youden_only: by one arm only.
    """

    films: tuple[int, int]
    sensitive: tuple[int, int]
    false: tuple[int, int]
    false_only: tuple[int, int]
    youden: tuple[int, int]
    youden_only: tuple[int, int]
    targets: Vector
    half: float
    printed_p: str
    held: tuple[str, ...]

    def counts(self) -> NDArray[np.int64]:
        """As the kernel takes them."""
        return np.array([*self.films, *self.sensitive, *self.false, *self.false_only, *self.youden, *self.youden_only])


def layout_of(published: Published, found: Rederivation) -> Layout:
    """Read the counts; ValueError where the figures lack what the construction needs."""
    best = {(c.point, c.arm, c.rate): c.best for c in found.counts}
    names = (published.arm, published.reference)
    try:
        sensitive, kept, youden = (
            tuple(best[point, arm, rate][0] for arm in names)
            for point, rate in (
                ("high_sensitivity", "sensitivity"),
                ("high_sensitivity", "specificity"),
                ("youden", "sensitivity"),
            )
        )
        pairs = {(a.point, a.rate): a.pairs[found.common_variants[0]][0][:2] for a in found.p_values}
        spec, sens = pairs["high_sensitivity", "specificity"], pairs["youden", "sensitivity"]
    except (KeyError, IndexError) as error:
        raise ValueError(f"{published.title}: conditional twins need counts and discordant pairs of a high-sensitivity "
                         f"and a Youden point; missing {error}") from error  # fmt: skip
    well = published.films.normal
    aucs = [a for a in (published.auc.get(n) for n in names) if isinstance(a, PrintedAuc)]
    held = (
        f"high sensitivity: {sensitive[0]} and {sensitive[1]} of {published.films.malignant} detected, "
        f"{well - kept[0]} and {well - kept[1]} false positives, discordant {spec}",
        f"Youden: {youden[0]} and {youden[1]} detected, discordant {sens}",
        f"AUC {aucs[0].value} and {aucs[1].value} as printed",
    )
    # right in the arm only = false positive in the reference only
    targets, half = np.array([float(a.value) for a in aucs]), float(unit_of(aucs[0].value)) / 2
    return Layout((published.films.malignant, well), (sensitive[0], sensitive[1]), (well - kept[0], well - kept[1]),
                  (spec[1], spec[0]), (youden[0], youden[1]), (sens[0], sens[1]),
                  targets, half, str(published.auc.get("p", "")), held)  # fmt: skip


# --- superpopulation --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class TwinWorld:
    """Binormal arms fitted to all printed points and AUCs, with the uncertainty of the fit.

    curves : (2, 2) a and b of ROC = Phi(a + b Phi^-1(fpr)); covariance : (2, 2, 2) of each arm's (a, b);
    shared : correlation of the arms among malignant and among normal films.
    """

    films: tuple[int, int]
    curves: Vector
    covariance: Vector
    shared: Vector
    margin: float

    def null(self) -> TwinWorld:
        """Both arms alike: the mean curve, no uncertainty between the arms."""
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
    """
    found = rederive(published)
    films = (published.films.malignant, published.films.normal)
    fits = [_fit(published, found, arm, films) for arm in (published.arm, published.reference)]
    within: dict[str, list[float]] = {"sensitivity": [], "specificity": []}
    for a in found.p_values if found.common_variants else ():
        within[a.rate].append(tetrachoric(a.n, a.counts, a.pairs[found.common_variants[0]][0][:2]))
    shared = [
        float(np.clip(np.mean(within[r]), 0.0, 0.9)) if within[r] else 0.5 for r in ("sensitivity", "specificity")
    ]
    margin = max((float(m) for m in published.margins), default=0.03)
    return TwinWorld(films, np.array([f[0] for f in fits]), np.array([f[1] for f in fits]), np.array(shared), margin)


def _fit(published: Published, found: Rederivation, arm: str, films: tuple[int, int]) -> tuple[Vector, Vector]:
    """(a, b) of one arm by weighted least squares, and their covariance."""
    auc = published.auc.get(arm)
    if not isinstance(auc, PrintedAuc):
        raise ValueError(f"{published.title}: twins need the printed AUC of both arms")
    value, error = float(auc.value), (float(auc.upper) - float(auc.lower)) / (2 * stats.norm.isf(0.025))
    points = _points(published, found, arm, films)

    def residuals(x: Vector) -> Vector:
        a, b = x
        parts = [(stats.norm.cdf(a / np.sqrt(1 + b**2)) - value) / error]
        parts += [(a + b * z_false - z_true) / spread for z_true, z_false, spread in points]
        return np.array([*parts, (np.log(b)) / 1.0])  # a weak wish for equal spreads where little is printed

    result = optimize.least_squares(residuals, np.array([1.8, 0.8]), bounds=([0.0, 0.15], [6.0, 4.0]))
    return result.x, np.linalg.inv(result.jac.T @ result.jac)


def _points(published: Published, found: Rederivation, arm: str,
            films: tuple[int, int]) -> list[tuple[float, float, float]]:  # fmt: skip
    """Printed points with both rates, as probits, with the error of the first."""
    best = {(c.point, c.arm, c.rate): c for c in found.counts}
    made = []
    for name in published.operating_points:
        both = [best.get((name, arm, rate)) for rate in ("sensitivity", "specificity")]
        if all(c and c.best for c in both):
            true, kept = ((c.best[0] + 0.5) / (c.n + 1) for c in both if c)
            z_true, z_false = float(stats.norm.ppf(true)), float(stats.norm.ppf(1 - kept))
            spread = [
                np.sqrt(s * (1 - s) / n) / stats.norm.pdf(stats.norm.ppf(s))
                for s, n in zip((true, kept), films, strict=True)
            ]
            made.append((z_true, z_false, float(np.hypot(*np.array(spread)))))
    return made
