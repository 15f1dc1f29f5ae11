"""Counts that a printed rate allows, and discordant pairs that a printed McNemar p value allows."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray
from scipy import stats

VARIANTS = ("corrected", "exact", "midp", "uncorrected")


@dataclass(frozen=True)
class CompatibleCounts:
    """Counts k of n whose share prints as `printed`.

    rounded: by rounding (a tie either way); truncated: by cutting off decimals only. `expected`, where given, is the
    count that the other rates imply.
    """

    point: str
    arm: str
    rate: str
    printed: str
    n: int
    rounded: tuple[int, ...]
    truncated: tuple[int, ...]
    expected: int | None = None

    @property
    def best(self) -> tuple[int, ...]:
        """Counts by rounding if there are any, else by truncation."""
        return self.rounded or self.truncated

    @property
    def agrees(self) -> str:
        """rounded, truncated, or impossible (of the expected count, where there is one)."""
        for word in ("rounded", "truncated"):
            counts = getattr(self, word)
            if counts and (self.expected is None or self.expected in counts):
                return word
        return "impossible"


def compatible_counts(printed: str, n: int, point: str = "", arm: str = "", rate: str = "",
                      expected: int | None = None) -> CompatibleCounts:  # fmt: skip
    """Every k for which k/n prints as `printed`, in exact arithmetic.

    Examples
    --------
    >>> compatible_counts("0.903", 268).rounded
    (242,)
    >>> compatible_counts("0.798", 268).rounded, compatible_counts("0.798", 268).truncated
    ((), (214,))
    """
    value, unit = Fraction(printed), unit_of(printed)
    near = range(max(0, int(n * (value - unit)) - 1), min(n, int(n * (value + unit)) + 1) + 1)
    rounded = tuple(k for k in near if abs(Fraction(k, n) - value) <= unit / 2)
    truncated = tuple(k for k in near if 0 <= Fraction(k, n) - value < unit)
    return CompatibleCounts(
        point, arm, rate, printed, n, rounded, tuple(k for k in truncated if k not in rounded), expected
    )


def unit_of(printed: str) -> Fraction:
    """One unit of the last printed decimal."""
    return Fraction(1, 10 ** len(printed.partition(".")[2]))


@dataclass(frozen=True)
class Attainable:
    """Which McNemar variants, with which discordant pairs, print a given p value.

    pairs: variant -> ((arm right and reference wrong, reverse, p), ...), from rates `counts` of n films.
    """

    point: str
    rate: str
    printed: str
    n: int
    counts: tuple[int, int]
    pairs: dict[str, tuple[tuple[int, int, float], ...]]

    def at(self, b: int, c: int) -> dict[str, float]:
        """All variants of p at given discordant pairs."""
        return {v: float(p[0]) for v, p in mcnemar_grid(np.array([b]), np.array([c])).items()}


def attainable_p(printed: str, arm: CompatibleCounts, reference: CompatibleCounts) -> Attainable:
    """Search every table with the compatible counts for p values that print as `printed`."""
    pairs: dict[str, list[tuple[int, int, float]]] = {v: [] for v in VARIANTS}
    chosen = (arm.best[0] if arm.best else -1, reference.best[0] if reference.best else -1)
    for k1 in arm.best:
        for k0 in reference.best:
            c = np.arange(max(0, k0 - k1), min(k0, arm.n - k1) + 1)
            b = c + k1 - k0
            keep = (b >= 0) & (b <= arm.n - k0) & (b + c > 0)
            for variant, p in mcnemar_grid(b[keep], c[keep]).items():
                match = prints_as(p, printed)
                found = zip(b[keep][match].tolist(), c[keep][match].tolist(), p[match].tolist(), strict=True)
                if new := list(found):
                    pairs[variant] += new
                    chosen = (k1, k0)
    return Attainable(arm.point, arm.rate, printed, arm.n, chosen, {v: tuple(x) for v, x in pairs.items()})


def prints_as(values: NDArray[np.float64], printed: str) -> NDArray[np.bool_]:
    """The values that round to the printed text."""
    return np.abs(values - float(printed)) <= float(unit_of(printed)) / 2 + 1e-12


def mcnemar_grid(b: NDArray[np.int64], c: NDArray[np.int64]) -> dict[str, NDArray[np.float64]]:
    """Two-sided McNemar p values of many tables at once; b + c must be > 0 (as `paired.mcnemar`, vectorised)."""
    n, low = b + c, np.minimum(b, c)
    gap = np.abs(b - c).astype(float)
    tail = stats.binom.cdf(low, n, 0.5)
    exact = np.minimum(1.0, 2 * tail)
    return {
        "corrected": stats.chi2.sf(np.maximum(gap - 1, 0) ** 2 / n, 1),
        "exact": exact,
        "midp": np.where(b == c, 1.0, 2 * tail - stats.binom.pmf(low, n, 0.5)),
        "uncorrected": stats.chi2.sf(gap**2 / n, 1),
    }
