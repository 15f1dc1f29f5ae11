"""What a pilot study tells a simulation: AUCs, correlations, spread between seeds, clustering."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import optimize, stats

from osteotl.statistics._implied import auc_correlation
from osteotl.statistics._simulate import World, shift_of
from osteotl.statistics.published import PrintedAuc, Published
from osteotl.statistics.rederivation import rederive


@dataclass(frozen=True)
class Pilot:
    """A pilot in the terms of the simulation.

    Attributes
    ----------
    auc_arm, auc_reference : float in (.5, 1)
    shared_malignant, shared_normal : float in [0, 1)
        Correlation of the two arms' scores within each class (normal scores).
    kept : float in [0, 1]
        Part of an arm's own noise that all its seeds share.
    seed_spread : float
        Standard deviation of the AUC between training runs of one arm.
    films_per_patient, icc, malignant_share : float
    shift_reference, shift_arm : float or None
        Separations, where they were set for a difference in sensitivity instead of AUC.
    source : str
    remarks : tuple of str
        What was assumed.
    """

    auc_arm: float
    auc_reference: float
    shared_malignant: float = 0.5
    shared_normal: float = 0.5
    kept: float = 0.7
    seed_spread: float = 0.01
    films_per_patient: float = 1.0
    icc: float = 0.0
    malignant_share: float = 0.36
    shift_arm: float | None = None
    shift_reference: float | None = None
    source: str = "given"
    remarks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        rules = {"auc_arm": (0.5, 1.0), "auc_reference": (0.5, 1.0), "malignant_share": (0.0, 1.0)}
        for name, (low, high) in rules.items():
            if not low < getattr(self, name) < high:
                raise ValueError(f"{name} is {getattr(self, name)}; it must lie between {low} and {high}")
        for name, high in (("shared_malignant", 0.999), ("shared_normal", 0.999), ("kept", 1.0), ("icc", 0.999)):
            if not 0 <= getattr(self, name) <= high:
                raise ValueError(f"{name} is {getattr(self, name)}; it must lie between 0 and {high}")
        if self.films_per_patient < 1 or self.seed_spread < 0:
            raise ValueError(f"films_per_patient ({self.films_per_patient}) must be at least 1 and seed_spread "
                             f"({self.seed_spread}) at least 0")  # fmt: skip

    def world(self) -> World:
        """The simulation's terms."""
        shift = [shift_of(self.auc_arm) if self.shift_arm is None else self.shift_arm,
                 shift_of(self.auc_reference) if self.shift_reference is None else self.shift_reference]  # fmt: skip
        return World(np.array(shift), np.ones(2), self.shared_malignant, self.shared_normal, self.kept,
                     self.seed_spread, self.films_per_patient, self.icc)  # fmt: skip

    def with_difference(self, difference: float | None, specificity: float | None) -> Pilot:
        """The reference as it is, the arm better by `difference` in AUC, or in sensitivity at a specificity."""
        if difference is None:
            return self
        if specificity is None:
            auc = self.auc_reference + difference
            return replace(self, auc_arm=auc, shift_arm=None)
        base = shift_of(self.auc_reference)
        cut = stats.norm.ppf(specificity)
        wanted = float(stats.norm.cdf(base - cut)) + difference
        if not 0 < wanted < 1:
            raise ValueError(f"difference {difference} would put the arm's sensitivity at {wanted:.3f}, outside (0, 1)")
        return replace(self, shift_arm=float(cut + stats.norm.ppf(wanted)))

    def without_difference(self) -> Pilot:
        """Both arms as the mean of the two."""
        mean = float(self.world().shift.mean())
        return replace(self, shift_arm=mean, shift_reference=mean)


def pilot_from_predictions(predictions: pd.DataFrame, arm: str, reference: str) -> Pilot:
    """Read a pilot from predictions (image_id, patient_id, cohort, label, arm, fraction, seed, score).

    External films of the largest fraction are used. Correlations are of normal scores within each class; AUCs and the
    spread between seeds come from the AUCs of the single runs.

    Raises
    ------
    ValueError
        An arm that is not there.
    """
    for name in (arm, reference):
        if name not in set(predictions["arm"]):
            raise ValueError(f"arm {name!r} is not among {', '.join(map(repr, predictions['arm'].unique()))}")
    rows = predictions[
        (predictions["cohort"] == "external") & (predictions["fraction"] == predictions["fraction"].max())
    ]
    wide = rows[rows["arm"].isin([arm, reference])].pivot_table(
        index="image_id", columns=["arm", "seed"], values="score"
    )
    films = rows.drop_duplicates("image_id").set_index("image_id").loc[wide.index]
    ill = films["label"].to_numpy() == 1
    aucs = {a: np.array([_auc(wide[a][s].to_numpy(), ill) for s in wide[a].columns]) for a in (arm, reference)}
    shared, kept = _correlations(wide, arm, reference, ill)
    spread, remarks = _spread(aucs)
    per_patient = len(films) / films["patient_id"].nunique()
    own = wide[reference].iloc[:, 0].to_numpy()
    icc = _icc(own, films["patient_id"], ill) if per_patient > 1 else 0.0
    values = [float(np.clip(aucs[a].mean(), 0.501, 0.9995)) for a in (arm, reference)]
    source = f"predictions, {arm} against {reference}, {len(films)} films"
    return Pilot(values[0], values[1], shared[1], shared[0], kept, spread, per_patient, icc, float(ill.mean()),
                 source=source, remarks=remarks)  # fmt: skip


def _auc(score: NDArray[np.float64], ill: NDArray[np.bool_]) -> float:
    ranks = stats.rankdata(score)
    positives = ill.sum()
    return float((ranks[ill].sum() - positives * (positives + 1) / 2) / (positives * (~ill).sum()))


def _normal_scores(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(stats.norm.ppf((stats.rankdata(values) - 0.5) / len(values)))


def _correlations(wide: pd.DataFrame, arm: str, reference: str, ill: NDArray[np.bool_]) -> tuple[list[float], float]:
    """Between arms by class (normal, malignant), and how much of an arm's own noise its seeds share."""
    between, within = [], []
    for label in (False, True):
        one, other = (np.array([_normal_scores(wide[a][s].to_numpy()[ill == label]) for s in wide[a].columns])
                      for a in (arm, reference))  # fmt: skip
        matrix = np.corrcoef(np.concatenate([one, other]))
        size = len(one)
        between.append(float(np.clip(matrix[:size, size:].mean(), 0.0, 0.99)))
        same = [matrix[:size, :size], matrix[size:, size:]]
        if size > 1:
            off = ~np.eye(size, dtype=bool)
            within.append(float(np.mean([m[off].mean() for m in same])))
    if not within:
        return between, 0.7
    mean = float(np.mean(between))
    return between, float(np.clip((np.mean(within) - mean) / max(1 - mean, 1e-6), 0.0, 1.0))


def _spread(aucs: dict[str, NDArray[np.float64]]) -> tuple[float, tuple[str, ...]]:
    runs = min(len(a) for a in aucs.values())
    if runs < 2:
        return 0.01, ("one seed only: the spread of the AUC between training runs is assumed to be 0.01",)
    spread = float(np.sqrt(np.mean([a.var(ddof=1) for a in aucs.values()])))
    few = "" if runs >= 5 else f", from {runs} seeds only"
    return spread, (f"standard deviation of the AUC between training runs: {spread:.4f}{few}",)


def _icc(score: NDArray[np.float64], patients: pd.Series, ill: NDArray[np.bool_]) -> float:
    """One-way intraclass correlation of normal scores within classes."""
    z = np.empty(len(score))
    for label in (False, True):
        z[ill == label] = _normal_scores(score[ill == label])
    groups = pd.Series(z).groupby(patients.to_numpy().astype(str) + "/" + ill.astype(int).astype(str))
    sizes, means = groups.size().to_numpy(), groups.mean().to_numpy()
    total, units = len(z), len(sizes)
    if units in (1, total):
        return 0.0
    between = (sizes * (means - z.mean()) ** 2).sum() / (units - 1)
    within = ((z - groups.transform("mean").to_numpy()) ** 2).sum() / (total - units)
    size = (total - (sizes**2).sum() / total) / (units - 1)
    return float(np.clip((between - within) / (between + (size - 1) * within), 0.0, 0.95))


def pilot_from_published(published: Published) -> Pilot:
    """Read a pilot from printed AUCs; the correlation is what their p value implies, at least 0.

    Raises
    ------
    ValueError
        Figures without AUCs.
    """
    arms = [published.auc.get(a) for a in (published.arm, published.reference)]
    if not all(isinstance(a, PrintedAuc) for a in arms):
        raise ValueError(f"{published.title}: planning needs the printed AUC of both arms")
    values = [float(a.value) for a in arms if isinstance(a, PrintedAuc)]
    films = (published.films.malignant, published.films.normal)
    implied = rederive(published).auc
    target = 0.5 if implied is None else max(0.0, implied.correlation)
    within = _within_class(values, films, target)
    said = [
        f"correlation of the AUCs taken as {target:.2f}"
        + (f" (its p value implies {implied.correlation:.2f})" if implied else "")
    ]
    said.append(
        "spread of the AUC between training runs assumed to be 0.01, one film a patient: published figures hold neither"
    )
    return Pilot(values[0], values[1], within, within, malignant_share=films[0] / sum(films),
                 source=f"published: {published.source[:60]}", remarks=tuple(said))  # fmt: skip


def _within_class(values: list[float], films: tuple[int, int], target: float) -> float:
    """Correlation within both classes that gives a correlation of the AUCs."""
    if target <= 0:
        return 0.0
    return float(optimize.brentq(lambda r: auc_correlation(values[0], values[1], films, r, r) - target, 0, 0.999))
