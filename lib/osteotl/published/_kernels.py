"""Compiled loops of the simulated twins; `twins` is their only caller. Malignant films come first in every array."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from diagnostic_accuracy._kernels import compiled

Vector = NDArray[np.float64]
Counts = NDArray[np.int64]

CRITICAL = 3.841458820694124  # chi-square with 1 degree of freedom, .95
Z90, Z95 = 1.6448536269514722, 1.959963984540054


# --- scores and their AUCs --------------------------------------------------------------------------------------------


def patients_of(malignant: int, normal: int, films_per_patient: float) -> Counts:
    """Patient of each film: patients hold films of one class, `films_per_patient` on average."""
    ill = (np.arange(malignant) / films_per_patient).astype(np.int64)
    well = (np.arange(normal) / films_per_patient).astype(np.int64)
    return np.concatenate([ill, ill[-1] + 1 + well])


@compiled()
def _add_noise(out: Vector, patient: Counts, icc: float, scale: float, rng: np.random.Generator) -> None:
    """Add normal noise that is correlated within patients."""
    last, common = -1, 0.0
    within, own = math.sqrt(icc) * scale, math.sqrt(1 - icc) * scale
    for i in range(len(out)):
        if patient[i] != last:
            last, common = patient[i], rng.standard_normal()
        out[i] += within * common + own * rng.standard_normal()


@compiled()
def draw(
    out: Vector, malignant: int, patient: Counts, shift: Vector, width: Vector, shared: Vector, icc: float,
    rng: np.random.Generator,
) -> None:  # fmt: skip
    """Binormal scores of two arms into out (2, films): noise that the arms share within a class, and their own."""
    for first, last, label in ((0, malignant, 0), (malignant, out.shape[1], 1)):
        mine, both = patient[first:last], np.zeros(last - first)
        _add_noise(both, mine, icc, math.sqrt(shared[label]), rng)
        for arm in range(2):
            own = both.copy()
            _add_noise(own, mine, icc, math.sqrt(1 - shared[label]), rng)
            out[arm, first:last] = own * width[arm] + shift[arm] if label == 0 else own


@compiled()
def placements(score: Vector, malignant: int, out: Vector) -> float:
    """DeLong's placement of every film into out; returns the AUC."""
    ill, well = np.sort(score[:malignant]), np.sort(score[malignant:])
    total = 0.0
    for i in range(len(score)):
        others = well if i < malignant else ill
        below = np.searchsorted(others, score[i]) + np.searchsorted(others, score[i], side="right")
        out[i] = 0.5 * below / len(others)
        if i < malignant:
            total += out[i]
        else:
            out[i] = 1 - out[i]
    return total / malignant


@compiled()
def covariance(placed: Vector, auc: Vector, malignant: int) -> Vector:
    """Covariance of two AUCs from placements (2, films), every film taken as independent (DeLong 1988)."""
    cov = np.zeros((2, 2))
    for first, last in ((0, malignant), (malignant, placed.shape[1])):
        size = last - first
        for r in range(2):
            for q in range(2):
                products = (placed[r, first:last] - auc[r]) * (placed[q, first:last] - auc[q])
                cov[r, q] += products.sum() / ((size - 1) * size)
    return cov


# --- conditional twins ------------------------------------------------------------------------------------------------


@compiled()
def conditional(twins: int, rng: np.random.Generator, counts: Counts, targets: Vector, half: float) -> Vector:
    """Rows (difference, se arm, se reference, DeLong p, correlation of AUCs); AUCs within +- half of the targets."""
    ill, well = counts[0], counts[1]
    result = np.empty((twins, 5))
    score, placed, auc = np.empty((2, ill + well)), np.empty((2, ill + well)), np.empty(2)
    for t in range(twins):
        order_ill = orders(rng, ill, counts[8], counts[10], counts[11])
        order_well = orders(rng, well, counts[4], counts[6], counts[7])
        for a in range(2):
            youden_false = _youden_false(rng, ill, well, counts[2 + a], counts[4 + a], counts[8 + a])
            bounds = bands(ill, well, counts[2 + a], counts[4 + a], counts[8 + a], youden_false)
            place(rng, score[a], order_ill[a], order_well[a], bounds, targets[a] + rng.uniform(-half, half))
            auc[a] = placements(score[a], ill, placed[a])
        cov = covariance(placed, auc, ill)
        se = math.sqrt(max(cov[0, 0] + cov[1, 1] - 2 * cov[0, 1], 1e-300))
        result[t, 0] = auc[0] - auc[1]
        result[t, 1], result[t, 2] = math.sqrt(cov[0, 0]), math.sqrt(cov[1, 1])
        result[t, 3] = math.erfc(abs(auc[0] - auc[1]) / se / math.sqrt(2.0))
        result[t, 4] = cov[0, 1] / math.sqrt(cov[0, 0] * cov[1, 1])
    return result


@compiled()
def _pair(rng: np.random.Generator, size: int) -> Vector:
    """Two latent scores with a correlation drawn from -.99 to .99: all else is free."""
    r = rng.uniform(-0.99, 0.99)
    x = np.empty((2, size))
    for i in range(size):
        x[0, i] = rng.standard_normal()
        x[1, i] = r * x[0, i] + math.sqrt(1 - r * r) * rng.standard_normal()
    return x


@compiled()
def _order(latent: Vector, group: Counts) -> Counts:
    """Films by group, then by falling latent score."""
    return np.argsort(group * 1e6 - latent)


@compiled()
def _best(latent: Vector, free: NDArray[np.bool_], most: int) -> Counts:
    """The `most` free films of highest latent score."""
    masked = np.where(free, latent, -1e9)
    return np.argsort(-masked)[:most]


@compiled()
def orders(rng: np.random.Generator, size: int, first: int, only1: int, only2: int) -> Counts:
    """Ranks of one class in each arm: arm 1 calls `first` films, only1 and only2 are called by one arm alone."""
    x, both = _pair(rng, size), first - only1
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


@compiled()
def _youden_false(rng: np.random.Generator, ill: int, well: int, sensitive: int, false: int, youden: int) -> int:
    """False positives at the Youden point: any number that makes its J the higher one."""
    most = math.floor(well * (youden / ill - sensitive / ill + false / well))
    if youden >= sensitive:
        return false + int(rng.integers(0, max(most - false, 0) + 1))
    least = max(0, most - 15)
    return int(rng.integers(least, max(most, least) + 1))


@compiled()
def bands(ill: int, well: int, sensitive: int, false: int, youden: int, youden_false: int) -> Counts:
    """Limits of the three bands that the two thresholds make, for malignant and for normal films."""
    bounds = np.empty((2, 4), np.int64)
    bounds[0] = np.array([0, min(sensitive, youden), max(sensitive, youden), ill])
    bounds[1] = np.array([0, min(false, youden_false), max(false, youden_false), well])
    return bounds


@compiled()
def place(rng: np.random.Generator, score: Vector, order_ill: Counts, order_well: Counts, bounds: Counts,
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


@compiled()
def _shifted(noise_ill: Vector, noise_well: Vector, bounds: Counts, band: int, i: int, shift: float) -> float:
    """Score of a malignant film within its band; the last of the upper bands lies below the band's normal films."""
    value = noise_ill[i] + shift
    if band < 2 and i + 1 == bounds[0, band + 1] and bounds[1, band + 1] > bounds[1, band]:
        return min(value, noise_well[bounds[1, band + 1] - 1] - 1e-6)
    return value


@compiled()
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


@compiled()
def superpopulation(
    rng: np.random.Generator, curves: Vector, sizes: Counts, patient: Counts, held: Counts, shared: Vector, icc: float,
    margin: float,
) -> Vector:  # fmt: skip
    """Whether each conclusion of `twins.CONCLUSIONS` is drawn in each twin, shape (twins, conclusions)."""
    twins = len(curves)
    result = np.zeros((twins, 5))
    films, other = np.empty((2, len(patient))), np.empty((2, len(held)))
    placed, auc = np.empty((2, len(patient))), np.empty(2)
    for t in range(twins):
        # Phi(a + b Phi^-1(fpr)): malignant films are N(a / b, 1 / b)
        shift, width = curves[t, :, 0] / curves[t, :, 1], 1.0 / curves[t, :, 1]
        draw(films, sizes[0], patient, shift, width, shared, icc, rng)
        setting, positives = films, sizes[0]
        if len(held):
            draw(other, sizes[2], held, shift, width, shared, icc, rng)
            setting, positives = other, sizes[2]
        for a in range(2):
            auc[a] = placements(films[a], sizes[0], placed[a])
        # the published kind of analysis takes every film as independent
        cov = covariance(placed, auc, sizes[0])
        gap, se = auc[0] - auc[1], math.sqrt(max(cov[0, 0] + cov[1, 1] - 2 * cov[0, 1], 0.0))
        result[t, 0] = abs(gap) < Z95 * se
        result[t, 1] = gap - Z90 * se > -margin and gap + Z90 * se < margin
        cuts = np.empty((3, 2))
        for a in range(2):
            cuts[0, a], cuts[1, a], cuts[2, a] = thresholds(setting[a], positives, 0.9)
        result[t, 2] = _higher(films[:, sizes[0] :], cuts[0], False)
        result[t, 3] = _higher(films[:, : sizes[0]], cuts[1], True)
        result[t, 4] = _higher(films[:, : sizes[0]], cuts[2], True)
    return result


@compiled()
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


@compiled()
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
