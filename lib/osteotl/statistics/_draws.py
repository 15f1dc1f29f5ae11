"""Patients (or seeds) drawn with replacement; draw b depends on (seed, stream, b) alone.

The draws are those of the joint bootstrap (`_kernels.draw`): with stream 0 and the same seed, a patient is drawn as
often here as there.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from osteotl.statistics import _kernels
from osteotl.statistics._bootstrap_plan import draw_units

BLOCK = 20_000_000  # weights held at once
STREAM = 0x9E3779B97F4A7C15  # separates the streams of one seed


def units_by_class(
    positive: NDArray[np.bool_], codes: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Unit of each film, patients with a malignant film first, and where the two classes begin and end."""
    return draw_units(codes, positive, "by_class")


def draw_block(boundaries: NDArray[np.int64], first: int, last: int, seed: int, stream: int = 0) -> NDArray[np.uint16]:
    """How often each unit is drawn in draws `first` to `last` - 1; shape (last - first, units)."""
    counts = np.zeros((last - first, int(boundaries[-1])), np.uint16)
    _fill(counts, boundaries, np.uint64((seed + stream * STREAM) % 2**64), first)
    return counts


@njit(cache=True)
def _fill(counts: NDArray[np.uint16], boundaries: NDArray[np.int64], seed: np.uint64, first: int) -> None:
    for row in range(counts.shape[0]):
        _kernels.draw(counts[row], boundaries, seed, np.uint64(first + row))


def blocks(draws: int, size: int) -> list[tuple[int, int]]:
    """Ranges of draws whose weights fit in memory together; results do not depend on them."""
    step = max(1, min(draws, BLOCK // max(size, 1)))
    return [(first, min(first + step, draws)) for first in range(0, draws, step)]
