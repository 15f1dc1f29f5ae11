"""The inner loops of the twins."""

from __future__ import annotations

import math

import numba
import numpy as np
from numpy.typing import NDArray

from osteotl.statistics._simulate import draw_scores, film_covariance, patients_of, placements, rockette

Vector = NDArray[np.float64]
Counts = NDArray[np.int64]

CONCLUSIONS = {
    "auc_not_different": "the AUCs do not differ (DeLong p >= .05)",  # McNemar below: with the correction
    "auc_equivalent": "the AUCs are equivalent (90% interval inside the margin)",
    "specificity_at_high_sensitivity": "higher specificity of the arm at sensitivity >= .90 (McNemar p < .05)",
    "sensitivity_at_high_specificity": "higher sensitivity of the arm at specificity >= .90 (McNemar p < .05)",
    "sensitivity_at_youden": "higher sensitivity of the arm at the Youden point (McNemar p < .05)",
}
CRITICAL = 3.841458820694124  # chi-square with 1 degree of freedom, .95
Z90, Z95 = 1.6448536269514722, 1.959963984540054


# --- conditional twins ------------------------------------------------------------------------------------------------


def conditional_kernel(twins: int, rng: np.random.Generator, counts: Counts, targets: Vector, half: float) -> Vector:
    """Rows (difference, se arm, se reference, DeLong p, correlation of AUCs); AUCs within +- half of the targets."""
    patient = patients_of(int(counts[0]), int(counts[1]), 1.0)
    return np.asarray(_conditional(twins, rng, counts, targets, half, patient))


@numba.njit(cache=True, nogil=True)
def _conditional(twins: int, rng: np.random.Generator, counts: Counts, targets: Vector, half: float,
                 patient: Counts) -> Vector:  # fmt: skip
    ill, well = counts[0], counts[1]
    result = np.empty((twins, 5))
    score, placed, auc = np.empty((2, ill + well)), np.empty((2, ill + well)), np.empty(2)
    for t in range(twins):
        order_ill = _malignant_order(rng, ill, counts[8], counts[9], counts[10], counts[11])
        order_well = _normal_order(rng, well, counts[4], counts[5], counts[6], counts[7])
        for a in range(2):
            youden_false = _youden_false(rng, ill, well, counts[2 + a], counts[4 + a], counts[8 + a])
            bounds = _bands(ill, well, counts[2 + a], counts[4 + a], counts[8 + a], youden_false)
            _place(rng, score[a], order_ill[a], order_well[a], bounds, targets[a] + rng.uniform(-half, half))
            auc[a] = placements(score[a], ill, placed[a])
        cov = film_covariance(placed, auc, ill, patient)
        se = math.sqrt(max(cov[0, 0] + cov[1, 1] - 2 * cov[0, 1], 1e-300))
        result[t, 0] = auc[0] - auc[1]
        result[t, 1], result[t, 2] = math.sqrt(cov[0, 0]), math.sqrt(cov[1, 1])
        result[t, 3] = math.erfc(abs(auc[0] - auc[1]) / se / math.sqrt(2.0))
        result[t, 4] = cov[0, 1] / math.sqrt(cov[0, 0] * cov[1, 1])
    return result


@numba.njit(cache=True)
def _pair(rng: np.random.Generator, size: int) -> Vector:
    """Two latent scores with a correlation drawn from -.99 to .99: all else is free."""
    r = rng.uniform(-0.99, 0.99)
    x = np.empty((2, size))
    for i in range(size):
        x[0, i] = rng.standard_normal()
        x[1, i] = r * x[0, i] + math.sqrt(1 - r * r) * rng.standard_normal()
    return x


@numba.njit(cache=True)
def _order(latent: Vector, group: Counts) -> Counts:
    """Films by group, then by falling latent score."""
    return np.argsort(group * 1e6 - latent)


@numba.njit(cache=True)
def _best(latent: Vector, free: NDArray[np.bool_], most: int) -> Counts:
    """The `most` free films of highest latent score."""
    masked = np.where(free, latent, -1e9)
    return np.argsort(-masked)[:most]


@numba.njit(cache=True)
def _malignant_order(rng: np.random.Generator, size: int, first: int, second: int, only1: int, only2: int) -> Counts:
    """Rank malignant films in each arm so that exactly only1 and only2 are detected by one arm alone at Youden."""
    return _two_orders(_pair(rng, size), first - only1, only1, only2)


@numba.njit(cache=True)
def _normal_order(rng: np.random.Generator, size: int, first: int, second: int, only1: int, only2: int) -> Counts:
    """Rank normal films so that the false positives of the arms overlap as the discordant pairs say."""
    return _two_orders(_pair(rng, size), first - only1, only1, only2)


@numba.njit(cache=True)
def _two_orders(x: Vector, both: int, only1: int, only2: int) -> Counts:
    size = x.shape[1]
    free = np.ones(size, np.bool_)
    called = np.ones((2, size), np.int64)
    for i in _best(x[0] + x[1], free, both):
        free[i] = False
        called[0, i] = called[1, i] = 0
    for i in _best(x[0] - x[1], free, only1):
        free[i] = False
        called[0, i] = 0
    for i in _best(x[1] - x[0], free, only2):
        called[1, i] = 0
    order = np.empty((2, size), np.int64)
    for a in range(2):
        order[a] = _order(x[a], called[a])
    return order


@numba.njit(cache=True)
def _youden_false(rng: np.random.Generator, ill: int, well: int, sensitive: int, false: int, youden: int) -> int:
    """False positives at the Youden point: any number that makes its J the higher one."""
    most = math.floor(well * (youden / ill - sensitive / ill + false / well))
    if youden >= sensitive:
        return false + int(rng.integers(0, max(most - false, 0) + 1))
    least = max(0, most - 15)
    return int(rng.integers(least, max(most, least) + 1))


@numba.njit(cache=True)
def _bands(ill: int, well: int, sensitive: int, false: int, youden: int, youden_false: int) -> Counts:
    """Limits of the three bands that the two thresholds make, for malignant and for normal films."""
    bounds = np.empty((2, 4), np.int64)
    bounds[0] = np.array([0, min(sensitive, youden), max(sensitive, youden), ill])
    bounds[1] = np.array([0, min(false, youden_false), max(false, youden_false), well])
    return bounds


@numba.njit(cache=True)
def _place(rng: np.random.Generator, score: Vector, order_ill: Counts, order_well: Counts, bounds: Counts,
           target: float) -> None:  # fmt: skip
    """Scores that keep the counts above both thresholds and give the target AUC.

    Films stand in bands; within a band malignant and normal films are mixed, the more malignant films above the higher
    the shift, which is found by bisection. The lowest film above a threshold is malignant: a rule that maximises one
    rate would have moved the threshold otherwise.
    """
    ill, well = len(order_ill), len(order_well)
    noise_ill, noise_well = np.empty(ill), np.empty(well)
    for i in range(ill):
        noise_ill[i] = rng.standard_normal()
    for i in range(well):
        noise_well[i] = rng.standard_normal()
    for band in range(3):
        noise_ill[bounds[0, band] : bounds[0, band + 1]] = -np.sort(-noise_ill[bounds[0, band] : bounds[0, band + 1]])
        noise_well[bounds[1, band] : bounds[1, band + 1]] = -np.sort(-noise_well[bounds[1, band] : bounds[1, band + 1]])
    low, high = -8.0, 8.0
    for _ in range(18):
        shift = (low + high) / 2
        if _wins(noise_ill, noise_well, bounds, shift) < target * ill * well:
            low = shift
        else:
            high = shift
    for band in range(3):
        base = 100.0 * (3 - band)
        for i in range(bounds[0, band], bounds[0, band + 1]):
            score[order_ill[i]] = base + _shifted(noise_ill, noise_well, bounds, band, i, high)
        for i in range(bounds[1, band], bounds[1, band + 1]):
            score[ill + order_well[i]] = base + noise_well[i]


@numba.njit(cache=True)
def _shifted(noise_ill: Vector, noise_well: Vector, bounds: Counts, band: int, i: int, shift: float) -> float:
    """Score of a malignant film within its band; the last of the upper bands lies below the band's normal films."""
    value = noise_ill[i] + shift
    if band < 2 and i + 1 == bounds[0, band + 1] and bounds[1, band + 1] > bounds[1, band]:
        return min(value, noise_well[bounds[1, band + 1] - 1] - 1e-6)
    return value


@numba.njit(cache=True)
def _wins(noise_ill: Vector, noise_well: Vector, bounds: Counts, shift: float) -> float:
    """Pairs won by the malignant film; both fall within each band, so one walk is enough."""
    won = 0.0
    for band in range(3):
        at = bounds[1, band]
        for i in range(bounds[0, band], bounds[0, band + 1]):
            value = _shifted(noise_ill, noise_well, bounds, band, i, shift)
            while at < bounds[1, band + 1] and noise_well[at] > value:
                at += 1
            won += len(noise_well) - at
    return won


# --- superpopulation twins --------------------------------------------------------------------------------------------


def superpopulation_kernel(
    rng: np.random.Generator, curves: Vector, sizes: Counts, shared: Vector, films_per_patient: float, icc: float,
    margin: float,
) -> Vector:  # fmt: skip
    """Whether each of `CONCLUSIONS` is drawn in each twin, shape (twins, conclusions)."""
    patient = patients_of(int(sizes[0]), int(sizes[1]), films_per_patient)
    held = patients_of(int(sizes[2]), int(sizes[3]), films_per_patient) if sizes[2] else np.zeros(0, np.int64)
    return np.asarray(_superpopulation(rng, curves, sizes, patient, held, shared, icc, margin))


@numba.njit(cache=True, nogil=True)
def _superpopulation(
    rng: np.random.Generator, curves: Vector, sizes: Counts, patient: Counts, held: Counts, shared: Vector, icc: float,
    margin: float,
) -> Vector:  # fmt: skip
    twins = len(curves)
    result = np.zeros((twins, 5))
    films, other = np.empty((2, 1, len(patient))), np.empty((2, 1, len(held)))
    placed, auc = np.empty((2, len(patient))), np.empty(2)
    single = np.arange(len(patient))
    for t in range(twins):
        # Phi(a + b Phi^-1(fpr)): malignant films are N(a / b, 1 / b)
        shift, width = curves[t, :, :1] / curves[t, :, 1:], 1.0 / curves[t, :, 1]
        draw_scores(films, sizes[0], patient, shift, width, shared, 0.0, icc, rng)
        setting, positives = films, sizes[0]
        if len(held):
            draw_scores(other, sizes[2], held, shift, width, shared, 0.0, icc, rng)
            setting, positives = other, sizes[2]
        for a in range(2):
            auc[a] = placements(films[a, 0], sizes[0], placed[a])
        # the published kind of analysis takes every film as independent
        cov = film_covariance(placed, auc, sizes[0], single)
        gap, se, _ = rockette(auc.reshape((2, 1)), cov)
        result[t, 0] = abs(gap) < Z95 * se
        result[t, 1] = gap - Z90 * se > -margin and gap + Z90 * se < margin
        cuts = np.empty((3, 2))
        for a in range(2):
            cuts[0, a], cuts[1, a], cuts[2, a] = thresholds(setting[a, 0], positives, 0.9)
        result[t, 2] = _higher(films[:, 0, sizes[0] :], cuts[0], False)
        result[t, 3] = _higher(films[:, 0, : sizes[0]], cuts[1], True)
        result[t, 4] = _higher(films[:, 0, : sizes[0]], cuts[2], True)
    return result


@numba.njit(cache=True)
def thresholds(score: Vector, malignant: int, target: float) -> tuple[float, float, float]:
    """High-sensitivity, high-specificity and Youden thresholds (score >= threshold) on films, malignant ones first."""
    ill, well = np.sort(score[:malignant]), np.sort(score[malignant:])
    need = math.ceil(target * len(ill) - 1e-9)
    sensitive = ill[len(ill) - need]
    # lowest malignant score that leaves enough normal films below
    keep = math.ceil(target * len(well) - 1e-9)
    floor = well[keep - 1]
    at = np.searchsorted(ill, floor, side="right")
    specific = ill[at] if at < len(ill) else well[-1] + 1.0
    best, youden = -2.0, sensitive
    for i in range(len(ill)):
        j = (len(ill) - i) / len(ill) + np.searchsorted(well, ill[i]) / len(well)
        if j > best:
            best, youden = j, ill[i]
    return sensitive, specific, youden


@numba.njit(cache=True)
def _higher(score: NDArray[np.float64], cut: Vector, called: bool) -> bool:
    """The arm is right more often, and McNemar's corrected test says so."""
    b = c = 0
    for i in range(score.shape[1]):
        one, other = (score[0, i] >= cut[0]) == called, (score[1, i] >= cut[1]) == called
        if one and not other:
            b += 1
        elif other and not one:
            c += 1
    return b > c and (b - c - 1) ** 2 >= CRITICAL * (b + c)
