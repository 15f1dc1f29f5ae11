"""Drawing synthetic radiographs: shapes, projected bone, smooth noise, film and exposure.

Lengths are shares of the film's longest side. A film is built as attenuation (brighter = denser), as a projection
adds up what lies in the beam, and only then exposed to grey. Everything is NumPy in float64: where two processors
round an exponential differently, the difference is 1e-16 and far too small to change one of 256 grey levels.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float64]
Box = tuple[int, int, int, int]

# 5 x 7 letters, one row per five bits: the lead side marker of real films
LETTERS = {"L": (16, 16, 16, 16, 16, 16, 31), "R": (30, 17, 17, 30, 20, 18, 17)}


@dataclass(frozen=True)
class Canvas:
    """A pixel grid: `height` x `width` pixels, coordinates in shares of the longest side."""

    height: int
    width: int

    @property
    def side(self) -> int:
        """Longest side in pixels."""
        return max(self.height, self.width)

    @property
    def x(self) -> Field:
        """Columns' centres, 1 x width."""
        return (np.arange(self.width)[None, :] + 0.5) / self.side

    @property
    def y(self) -> Field:
        """Rows' centres, height x 1."""
        return (np.arange(self.height)[:, None] + 0.5) / self.side

    def noise(self, rng: np.random.Generator, cell: float, stretch: float = 1.0) -> Field:
        """Smooth noise of unit variance whose grains are `cell` wide and `cell * stretch` high."""
        rows = _spline(self.height, self.side, cell * stretch)
        columns = _spline(self.width, self.side, cell)
        return rows @ rng.standard_normal((rows.shape[1], columns.shape[1])) @ columns.T


@lru_cache(maxsize=64)
def _spline(pixels: int, side: int, cell: float) -> Field:
    """Cubic B-spline weights of nodes (columns) at pixels (rows), scaled so that white noise keeps unit variance."""
    place = (np.arange(pixels) + 0.5) / side / cell
    nodes = np.arange(-1, int(np.ceil(pixels / side / cell)) + 2)
    t = np.abs(place[:, None] - nodes[None, :])
    weights = np.where(t < 1, 2 / 3 - t**2 + t**3 / 2, np.clip(2 - t, 0, None) ** 3 / 6)
    return weights / np.sqrt((weights**2).sum(axis=1, keepdims=True))


def step(distance: Field, softness: float = 0.006) -> Field:
    """0 outside, 1 inside, a cubic edge of half-width `softness` between."""
    t = np.clip(distance / (2 * softness) + 0.5, 0, 1)
    return t * t * (3 - 2 * t)


def bump(distance: Field, width: float) -> Field:
    """A hill of height 1 at distance 0 that ends at `width`."""
    return np.clip(1 - (distance / width) ** 2, 0, None) ** 2


def both(a: Field, b: Field, blend: float = 0.03) -> Field:
    """Depth inside the intersection of two shapes, its corners rounded over `blend`."""
    h = np.clip(0.5 + 0.5 * (b - a) / blend, 0, 1)
    return b + (a - b) * h - blend * h * (1 - h)


def either(a: Field, b: Field, blend: float = 0.03) -> Field:
    """Depth inside the union of two shapes, their seam filled over `blend`."""
    return -both(-a, -b, blend)


def ellipse(canvas: Canvas, cx: float, cy: float, rx: float, ry: float, turn: float = 0.0) -> Field:
    """Depth inside an ellipse, about right near its edge."""
    dx, dy = canvas.x - cx, canvas.y - cy
    cos, sin = np.sqrt(1 - turn**2), turn
    return (1 - np.hypot((dx * cos + dy * sin) / rx, (dy * cos - dx * sin) / ry)) * min(rx, ry)


def segment(canvas: Canvas, start: tuple[float, float], end: tuple[float, float]) -> Field:
    """Distance from a line segment."""
    (x0, y0), (x1, y1) = start, end
    dx, dy = x1 - x0, y1 - y0
    along = np.clip(((canvas.x - x0) * dx + (canvas.y - y0) * dy) / (dx * dx + dy * dy), 0, 1)
    return np.hypot(canvas.x - x0 - along * dx, canvas.y - y0 - along * dy)


def _chord(u: Field) -> Field:
    """Beam's path through a cylinder, 0 at its edge (u = 0) and 1 from its axis (u >= 1) on."""
    u = np.clip(u, 0, 1)
    return np.sqrt(u * (2 - u))


def bone(depth: Field, half_width: float | Field, cortex: float | Field, texture: Field) -> Field:
    """Attenuation of a bone: a tube of dense cortex, seen edge-on along its sides, around trabecular bone.

    Parameters
    ----------
    depth : array
        Distance inside the bone's outline.
    half_width, cortex : float or array
        The bone's half-width and the thickness of its cortex there.
    texture : array
        Trabecular pattern, unit variance.
    """
    inner = half_width - cortex
    outside = half_width * _chord(depth / half_width)
    inside = inner * _chord((depth - cortex) / inner)
    return 6.6 * (outside - inside) + 1.6 * inside * (1 + 0.20 * texture)


def box_around(mask: Field, level: float = 0.5) -> Box:
    """Smallest pixel box (corners, right and lower edges exclusive) that holds where `mask` exceeds `level`."""
    rows = np.flatnonzero((mask > level).any(axis=1))
    columns = np.flatnonzero((mask > level).any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


# --- exposure ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Exposure:
    """How a site turns attenuation into grey."""

    gain: float
    offset: float
    noise: float
    vignette: float
    blur: bool


SITES = {
    "A": Exposure(gain=1.0, offset=0.0, noise=0.022, vignette=0.10, blur=False),
    "B": Exposure(gain=0.86, offset=0.05, noise=0.030, vignette=0.20, blur=True),
    "C": Exposure(gain=0.94, offset=0.02, noise=0.026, vignette=0.15, blur=False),
    "D": Exposure(gain=1.06, offset=-0.02, noise=0.036, vignette=0.05, blur=True),
}


def expose(canvas: Canvas, attenuation: Field, site: str, rng: np.random.Generator) -> Field:
    """Attenuation to grey in [0, 1] by a site's gain, focal blur, vignetting and noise; no two films alike."""
    settings = SITES[site]
    grey = attenuation * settings.gain * rng.uniform(0.92, 1.08) + settings.offset + rng.normal(0, 0.02)
    if settings.blur:
        padded = np.pad(grey, 1, mode="edge")
        cross = padded[:-2, 1:-1] + padded[2:, 1:-1] + padded[1:-1, :-2] + padded[1:-1, 2:]
        grey = 0.6 * grey + 0.1 * cross
    radius = (canvas.x - canvas.x.mean()) ** 2 + (canvas.y - canvas.y.mean()) ** 2
    grey = grey * (1 - settings.vignette * 2 * radius)
    # dense parts let fewer quanta through, so they are noisier
    grain = rng.standard_normal(grey.shape) * settings.noise * (0.6 + 0.6 * np.clip(grey, 0, 1))
    return np.clip(grey + grain, 0, 1)


def side_letter(canvas: Canvas, grey: Field, letter: str, corner: tuple[float, float]) -> Field:
    """Print the lead letter of the body side into a corner of the film."""
    pixel = max(1, round(canvas.side / 110))
    rows = [[(bits >> (4 - k)) & 1 for k in range(5)] for bits in LETTERS[letter]]
    stamp = np.kron(np.array(rows, dtype=np.float64), np.ones((pixel, pixel)))
    top, left = int(corner[1] * canvas.side), int(corner[0] * canvas.side)
    left = min(left, canvas.width - stamp.shape[1])
    grey = grey.copy()
    window = grey[top : top + stamp.shape[0], left : left + stamp.shape[1]]
    np.maximum(window, 0.9 * stamp[: window.shape[0], : window.shape[1]], out=window)
    return grey


def lead_marker(canvas: Canvas, grey: Field, corner: tuple[float, float]) -> Field:
    """Plant the shortcut that an audit must find: a lead ring in a corner."""
    distance = np.hypot(canvas.x - corner[0], canvas.y - corner[1])
    ring = bump(distance - 0.028, 0.012)
    return np.maximum(grey, 0.97 * ring)
