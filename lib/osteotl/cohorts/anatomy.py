"""Anatomy of phantoms: a knee and a chest, frontal and lateral, as attenuation on a canvas."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from osteotl.cohorts.canvas import Canvas, Field, bone, both, bump, either, ellipse, segment, step

VIEWS = ("frontal", "lateral")


@dataclass(frozen=True)
class Knee:
    """One patient's knee; lengths are shares of the film's longest side.

    Attributes
    ----------
    size : float
        Overall scale, about 1.
    bulk : float
        Soft tissue, 0.8 (slim) to 1.2.
    cortex : float
        Thickness of the shaft's cortex.
    growing : bool
        Open growth plates.
    side : int
        1 where the fibula lies right of the tibia on the film, else -1.
    """

    size: float
    bulk: float
    cortex: float
    growing: bool
    side: int


@dataclass(frozen=True)
class Pose:
    """How the knee lies on one film: joint line, axis, tilt of the limb, flexion (lateral)."""

    joint: float
    axis: float
    tilt: float
    flexion: float


def _gauss(distance: Field, width: float) -> Field:
    return np.exp(-((distance / width) ** 2))


def _marrow(canvas: Canvas, rng: np.random.Generator) -> Field:
    """Trabecular pattern: fine grains, drawn out along the limb."""
    return 0.75 * canvas.noise(rng, 0.011, 2.2) + 0.5 * canvas.noise(rng, 0.03, 1.5) + 0.4 * canvas.noise(rng, 0.007)


def _cortex(knee: Knee, beyond: Field) -> Field:
    """Thickness of a long bone's cortex: thin near the joint, full from `beyond` = 0.2 on."""
    return 0.008 + (knee.cortex - 0.008) * np.clip(beyond / 0.2, 0, 1)


def _fibula(knee: Knee, away: Field, down: Field, marrow: Field) -> tuple[Field, Field]:
    """Attenuation and depth of the fibula, `away` from its axis."""
    half = knee.size * (0.026 + 0.020 * _gauss(down - 0.115, 0.035))
    depth = both(half - np.abs(away), down - 0.085, 0.03)
    return bone(depth, half, 0.009, marrow), depth


def _growth_plate(depth: Field, level: Field) -> Field:
    """A dark line between two dense ones."""
    return step(depth - 0.004, 0.006) * (0.10 * bump(np.abs(level) - 0.010, 0.007) - 0.16 * bump(level, 0.008))


def draw_knee(canvas: Canvas, knee: Knee, pose: Pose, view: str, rng: np.random.Generator) -> Field:
    """Attenuation of a knee, about 0 (air) to 1 (dense bone).

    Parameters
    ----------
    view : {'frontal', 'lateral'}
    """
    return (_knee_frontal if view == "frontal" else _knee_lateral)(canvas, knee, pose, rng)


def _soft_tissue(canvas: Canvas, left: Field, right: Field, rng: np.random.Generator) -> Field:
    """Muscle and fat between two outlines: thicker in the middle, a fat line below the skin."""
    x = canvas.x
    depth = both(x - left, right - x, 0.05)
    half = (right - left) / 2
    thick = np.sqrt(np.clip(np.clip(depth / half, 0, 1) * (2 - np.clip(depth / half, 0, 1)), 0, 1))
    layers = 0.06 + 0.20 * thick - 0.035 * bump(depth - 0.035, 0.03)
    return step(depth, 0.006) * (layers + 0.012 * canvas.noise(rng, 0.05, 3) + 0.012 * canvas.noise(rng, 0.12))


def _knee_frontal(canvas: Canvas, knee: Knee, pose: Pose, rng: np.random.Generator) -> Field:
    s = knee.size
    x = canvas.x - pose.axis - pose.tilt * (canvas.y - 0.5)
    up, down = pose.joint - canvas.y, canvas.y - pose.joint
    wide = np.abs(x)
    axis = pose.axis + pose.tilt * (canvas.y - 0.5)
    taper = 0.07 * np.clip(up, 0, None) - 0.03 * _gauss(down - 0.1, 0.1) - 0.1 * np.clip(down - 0.25, 0, None)
    limb = knee.bulk * (0.285 + taper)
    film = _soft_tissue(canvas, axis - limb, axis + limb, rng)
    marrow = _marrow(canvas, rng)
    # femur: shaft, flare, two condyles about a notch
    femur_half = s * (0.078 + 0.098 * _gauss(up - 0.02, 0.13))
    bottom = up - 0.014 - 0.045 * _gauss(x, 0.030 * s) - 0.05 * np.clip(wide / (0.17 * s), 0, 1.4) ** 6
    femur = both(femur_half - wide, bottom, 0.035)
    film = film + bone(femur, femur_half, _cortex(knee, up - 0.12), marrow)
    # tibia: plateau with two spines, tapering shaft
    tibia_half = s * (0.070 + 0.105 * _gauss(down, 0.125))
    spines = 0.028 * (bump(x - 0.020 * s, 0.022) + bump(x + 0.022 * s, 0.022))
    top = down - 0.016 + spines - 0.02 * np.clip(wide / (0.17 * s), 0, 1.4) ** 8
    tibia = both(tibia_half - wide, top, 0.02)
    film = film + bone(tibia, tibia_half, _cortex(knee, down - 0.10), marrow)
    film = film + 0.07 * step(tibia, 0.004) * bump(top - 0.008, 0.010)
    film = film + 0.04 * step(femur, 0.004) * bump(bottom - 0.008, 0.008)
    # fibula: head below the plateau's outer edge
    shadow, fibula = _fibula(knee, x - knee.side * s * (0.150 - 0.02 * np.clip(down - 0.1, 0, 1)), down, marrow)
    film = film + 1.1 * shadow
    # patella: a faint disc over the femur
    patella = ellipse(canvas, pose.axis + pose.tilt * (pose.joint - 0.63), pose.joint - 0.125, 0.085 * s, 0.092 * s)
    film = film + 0.26 * bone(patella, 0.085 * s, 0.010, marrow)
    if knee.growing:
        film = film + _growth_plate(femur, up - 0.105 + 0.35 * x * x)
        film = film + _growth_plate(tibia, down - 0.085 - 0.25 * x * x)
        film = film + 0.7 * _growth_plate(fibula, down - 0.125)
    return film


def _extensor(knee: Knee, x: Field, up: Field, marrow: Field) -> Field:
    """Patella and its tendon from the side; `x` is the forward distance from the limb's axis."""
    s, down = knee.size, -up
    px, py = (x - s * 0.150) / (0.040 * s), (up - s * 0.150 + 0.25 * (x - s * 0.15)) / (0.078 * s)
    patella = (1 - np.hypot(px, py)) * 0.040 * s
    tendon = bump(x - s * (0.125 - 0.35 * down * (down > -0.07)), 0.016) * (down > -0.07) * (down < 0.13)
    return 1.3 * bone(patella, 0.040 * s, 0.008, marrow) + 0.035 * tendon


def _knee_lateral(canvas: Canvas, knee: Knee, pose: Pose, rng: np.random.Generator) -> Field:
    s, front = knee.size, -knee.side  # front: the direction, left or right, in which the patella lies
    up, down = pose.joint - canvas.y, canvas.y - pose.joint
    leg = pose.axis + pose.tilt * (canvas.y - 0.5)
    # forward distance from the limb's axis, the thigh bent by flexion
    x = (canvas.x - leg) * front + pose.flexion * np.clip(up - 0.03, 0, None)
    bend = leg - front * pose.flexion * np.clip(up - 0.03, 0, None)
    fore = knee.bulk * (0.145 + 0.10 * _gauss(up - 0.12, 0.12) + 0.06 * np.clip(up - 0.2, 0, None))
    back = knee.bulk * (0.215 - 0.035 * _gauss(down + 0.02, 0.1) + 0.05 * np.clip(up - 0.1, 0, None))
    edges = (bend + front * fore, bend - front * back)
    film = _soft_tissue(canvas, np.minimum(*edges), np.maximum(*edges), rng)
    marrow = _marrow(canvas, rng)
    # femur: shaft, and two condyles that do not quite overlap, set backwards
    shaft_half = s * (0.074 + 0.020 * _gauss(up - 0.2, 0.08))
    shaft = both(shaft_half - np.abs(x - 0.015), up - 0.08, 0.02)
    lateral = s * 0.118 - np.hypot((x + 0.012) * 0.92, up - 0.014 - s * 0.118)
    medial = s * 0.110 - np.hypot((x + 0.035) * 0.92, up - 0.010 - s * 0.112)
    femur = either(shaft, lateral, 0.05)
    half = np.clip(shaft_half + 0.03 * step(0.2 - up, 0.08), 0.05, None)
    film = film + bone(femur, half, _cortex(knee, up - 0.16), marrow)
    film = film + 0.25 * bone(medial, 0.110 * s, 0.009, marrow)
    # tibia: sloping plateau, tuberosity in front
    tibia_half = s * (0.066 + 0.068 * _gauss(down, 0.10) + 0.012 * _gauss(down - 0.14, 0.05))
    middle = x - 0.018 * _gauss(down - 0.13, 0.06) + 0.02
    top = down - 0.016 + 0.05 * (x + 0.02) - 0.02 * np.clip(np.abs(middle) / (0.13 * s), 0, 1.4) ** 8
    tibia = both(tibia_half - np.abs(middle), top, 0.02)
    film = film + bone(tibia, tibia_half, _cortex(knee, down - 0.10), marrow)
    film = film + 0.07 * step(tibia, 0.004) * bump(top - 0.008, 0.010)
    # fibula behind, patella in front with its tendon
    film = film + 0.6 * _fibula(knee, x + s * (0.105 + 0.03 * np.clip(down - 0.1, 0, 1)), down, marrow)[0]
    film = film + _extensor(knee, x, up, marrow)
    if knee.growing:
        film = film + _growth_plate(femur, up - 0.115 + 0.2 * x) + _growth_plate(tibia, down - 0.080)
    return film


# --- chest ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Chest:
    """One patient's chest: overall scale, heart size, inspiration (level of the diaphragm), soft tissue."""

    size: float
    heart: float
    diaphragm: float
    bulk: float


def draw_chest(canvas: Canvas, chest: Chest, view: str, rng: np.random.Generator) -> tuple[Field, Field]:
    """Attenuation of a chest, and how deep each pixel lies in a lung (> 0 inside).

    Parameters
    ----------
    view : {'frontal', 'lateral'}
    """
    return (_chest_frontal if view == "frontal" else _chest_lateral)(canvas, chest, rng)


def _vessels(canvas: Canvas, hilum: tuple[float, float], rng: np.random.Generator) -> Field:
    """Branching lines that thin out away from the hilum: ridges of smooth noise."""
    far = np.hypot(canvas.x - hilum[0], canvas.y - hilum[1])
    ridges = bump(canvas.noise(rng, 0.045), 0.45) + 0.7 * bump(canvas.noise(rng, 0.025), 0.4)
    return ridges * np.clip(1 - far / 0.34, 0, 1) + 0.9 * bump(far, 0.085)


def _rib(line: Field, half: float) -> Field:
    """A band whose edges are denser than its middle."""
    return 0.6 * step(half - np.abs(line), 0.005) + 0.5 * bump(np.abs(line) - half + 0.003, 0.006)


def _chest_frontal(canvas: Canvas, chest: Chest, rng: np.random.Generator) -> tuple[Field, Field]:
    s = chest.size
    mid = 0.5 + rng.uniform(-0.02, 0.02)
    x, y = canvas.x - mid, canvas.y
    wide = np.abs(x)
    # body: neck, shoulders, trunk
    outline = np.where(y < 0.10, 0.12, 0.12 + 0.36 * np.sqrt(np.clip((y - 0.10) / 0.14, 0, 1)))
    body = step(chest.bulk * outline - wide + 0.02, 0.02)
    film = body * (0.56 + 0.03 * canvas.noise(rng, 0.2) + 0.008 * canvas.noise(rng, 0.02))
    # lungs: rib cage, apices, domes of the diaphragm, heart
    cage = s * 0.385 * np.sqrt(np.clip(1 - ((y - 0.66) / 0.60) ** 2, 0, 1))
    dome = chest.diaphragm + np.where(x < 0, -0.02, 0.015)
    dome = dome + 2.4 * np.clip(wide - 0.16, 0, None) ** 2 + 0.9 * (wide - 0.17) ** 2
    heart = ellipse(canvas, mid + 0.045, chest.diaphragm - 0.065, 0.175 * chest.heart, 0.145 * chest.heart, 0.5)
    arch = ellipse(canvas, mid + 0.045, 0.29, 0.055, 0.05)
    waist = 0.062 + 0.02 * _gauss(y - 0.38, 0.08)
    lung = both(both(cage - wide, wide - waist, 0.02), both(dome - y, y - 0.095 - 1.2 * (wide - 0.16) ** 2, 0.01), 0.02)
    lung = both(both(lung, -heart, 0.01), -arch, 0.01)
    air = step(lung, 0.008)
    film = film - air * (0.30 + 0.14 * np.clip(lung / 0.12, 0, 1))
    vessels = _vessels(canvas, (mid - 0.105, 0.44), rng) + _vessels(canvas, (mid + 0.115, 0.42), rng)
    film = film + air * (0.07 * vessels + 0.012 * canvas.noise(rng, 0.02))
    # spine, trachea
    vertebrae = 0.72 + 0.28 * step(0.4 - np.abs(y / 0.052 % 1 - 0.5), 0.08)
    film = film + 0.09 * step(0.042 - wide, 0.01) * vertebrae * (y > 0.05)
    film = film - 0.10 * step(0.020 - np.abs(x - 0.004), 0.008) * step(0.36 - y, 0.02)
    film = film + 0.05 * step(heart, 0.02) + 0.04 * step(arch, 0.012)
    film = _thorax(canvas, film, mid, s, cage)
    bubble = ellipse(canvas, mid + 0.15, chest.diaphragm + 0.095, 0.05, 0.03)
    return film - 0.14 * step(bubble, 0.012), lung


def _thorax(canvas: Canvas, film: Field, mid: float, s: float, cage: Field) -> Field:
    """Ribs, clavicles, shoulder blades and the heads of the humeri, added to a frontal chest."""
    x, y = canvas.x - mid, canvas.y
    wide = np.abs(x)
    # ribs: rear arcs fall outwards, front arcs fall inwards
    for k in range(9):
        level = 0.145 + 0.066 * k
        rear = y - level - 0.10 * (wide / 0.38) ** 2 * (1 + 0.12 * k) + 0.03 * (wide / 0.2)
        film = film + 0.085 * _rib(rear, 0.011) * step(cage + 0.012 - wide, 0.008) * (wide > 0.035)
        front = y - level - 0.20 + 0.42 * (wide - 0.13)
        if 1 <= k <= 6:
            inside = step(cage + 0.008 - wide, 0.008) * step(wide - 0.15, 0.02)
            film = film + 0.040 * _rib(front, 0.012) * inside
    film = film + 0.10 * bump(cage + 0.004 - wide, 0.010) * (y > 0.16) * (y < 0.8)
    for side in (-1, 1):
        start, end = (mid + side * 0.045, 0.185), (mid + side * 0.34 * s, 0.115)
        film = film + 0.15 * _rib(segment(canvas, start, end), 0.013)
        blade = segment(canvas, (mid + side * 0.36 * s, 0.17), (mid + side * 0.30 * s, 0.42))
        film = film + 0.05 * bump(blade, 0.014)
        humerus = either(
            ellipse(canvas, mid + side * 0.43 * s, 0.160, 0.058, 0.062),
            0.034 - np.abs(side * x - 0.45 * s - 0.10 * (y - 0.16)) - np.clip(0.16 - y, 0, None),
            0.03,
        )
        film = film + 0.8 * bone(humerus, 0.058, 0.010, np.zeros_like(film))
    return film


def _chest_lateral(canvas: Canvas, chest: Chest, rng: np.random.Generator) -> tuple[Field, Field]:
    x, y = canvas.x - 0.5 + rng.uniform(-0.02, 0.02), canvas.y
    trunk = both(0.36 * chest.bulk - np.abs(x - 0.01), y + 0.1, 0.05)
    film = step(trunk, 0.01) * (0.52 + 0.03 * canvas.noise(rng, 0.2) + 0.008 * canvas.noise(rng, 0.02))
    sternum = -0.27 - 0.06 * (y - 0.3) + 0.25 * (y - 0.5) ** 2
    spine = 0.235 - 0.35 * (y - 0.45) ** 2
    dome = chest.diaphragm + 0.02 + 1.1 * (x + 0.04) ** 2
    apex = y - 0.11 - 0.8 * (x - 0.03) ** 2
    lung = both(both(x - sternum - 0.02, spine + 0.05 - x, 0.05), both(dome - y, apex, 0.04), 0.05)
    film = film - step(lung, 0.01) * (0.24 + 0.12 * np.clip(lung / 0.12, 0, 1))
    heart = ellipse(canvas, 0.5 - 0.10, chest.diaphragm - 0.10, 0.17 * chest.heart, 0.125 * chest.heart, -0.35)
    film = film + 0.15 * step(both(heart, lung + 0.03, 0.02), 0.015)
    film = film + 0.06 * step(lung, 0.01) * _vessels(canvas, (0.51, 0.44), rng)
    # vertebral bodies between discs
    row = (y + 0.3 * x) / 0.062
    body = step(0.42 - np.abs(row - np.floor(row) - 0.5), 0.06)
    film = film + step(0.040 - np.abs(x - spine), 0.006) * (0.05 + 0.10 * body) * (y > 0.08)
    film = film + 0.12 * bump(x - sternum, 0.016) * (y > 0.16) * (y < 0.68)
    for k in range(8):
        arc = y - 0.20 - 0.07 * k - 0.35 * (0.2 - x) * (1 - 0.6 * (0.2 - x))
        film = film + 0.045 * _rib(arc, 0.011) * step(lung + 0.03, 0.01)
    film = film - 0.10 * step(0.020 - np.abs(x - 0.03 - 0.12 * (y - 0.2)), 0.008) * step(0.40 - y, 0.02) * (y > 0.05)
    return film, lung


# --- another modality -------------------------------------------------------------------------------------------------


def draw_weave(canvas: Canvas, rng: np.random.Generator) -> tuple[Field, tuple[float, float, float]]:
    """A woven surface, no radiograph at all: two sets of wavy stripes. Returns it with (angle, pitch, contrast)."""
    angle, pitch, contrast = rng.uniform(0, np.pi), rng.uniform(0.03, 0.05), rng.uniform(0.08, 0.13)
    warp = 0.35 * canvas.noise(rng, 0.3)
    u = canvas.x * np.cos(angle) + canvas.y * np.sin(angle)
    v = canvas.y * np.cos(angle) - canvas.x * np.sin(angle)
    surface = np.sin(2 * np.pi * u / pitch + warp) + np.sin(2 * np.pi * v / pitch - warp)
    return 0.5 + 0.08 * canvas.noise(rng, 0.4) + contrast * surface, (angle, pitch, contrast)
