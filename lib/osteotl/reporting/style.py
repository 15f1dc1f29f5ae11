"""One look for every figure: 84 mm wide, readable at 300 dpi, told apart by line and marker as well as by colour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import matplotlib as mpl
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from osteotl.files import write_bytes, write_csv

MM = 1 / 25.4
WIDTH, HEIGHT = 84 * MM, 76 * MM

# Okabe and Ito (2008): told apart under every common colour-vision deficiency; line and marker repeat the message.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
_DASHES = ((1, 0), (5, 1.6), (1.2, 1.2), (5, 1.4, 1.2, 1.4), (8, 2), (3, 1))
_MARKERS = ("o", "s", "^", "D", "v", "P")


@dataclass(frozen=True)
class Look:
    """How one arm is drawn everywhere."""

    colour: str
    dashes: tuple[float, ...]
    marker: str

    @property
    def line(self) -> dict[str, Any]:
        """Arguments of `Axes.plot`."""
        return {"color": self.colour, "dashes": self.dashes if len(self.dashes) > 2 or self.dashes[1] else (None, None)}


def looks(arms: Sequence[str], reference: str) -> dict[str, Look]:
    """The reference arm first, so that it is blue and solid in every study."""
    ordered = [reference, *(arm for arm in arms if arm != reference)]
    n = len(_COLOURS)
    return {arm: Look(_COLOURS[i % n], _DASHES[i % n], _MARKERS[i % n]) for i, arm in enumerate(ordered)}


def apply() -> None:
    """Set the house style; the hash salt and the missing date keep an SVG's bytes the same at every run."""
    sns.set_theme(context="paper", style="ticks", font="DejaVu Sans")
    mpl.rcParams.update(
        {
            "figure.figsize": (WIDTH, HEIGHT),
            "figure.dpi": 100,
            "savefig.dpi": 300,
            "font.size": 7.5,
            "axes.labelsize": 7.5,
            "axes.titlesize": 8,
            "xtick.labelsize": 7,
            "ytick.labelsize": 7,
            "legend.fontsize": 7,
            "legend.frameon": False,
            "lines.linewidth": 1.3,
            "axes.linewidth": 0.6,
            "xtick.major.width": 0.6,
            "ytick.major.width": 0.6,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "figure.constrained_layout.use": True,
            "figure.constrained_layout.w_pad": 0.06,
            "figure.constrained_layout.h_pad": 0.06,
            "svg.hashsalt": "osteotl",
            "svg.fonttype": "path",
            "text.parse_math": False,  # an arm's label may hold a dollar sign
        }
    )


def save(figure: Figure, data: pd.DataFrame, folder: Path, name: str) -> None:
    """Write NAME.svg, NAME.png (300 dpi) and NAME.csv, the numbers that the figure draws."""
    figure.draw_without_rendering()  # the layout once, not once a format
    figure.set_layout_engine("none")
    for kind, metadata in (("svg", {"Date": None, "Creator": None}), ("png", {"Software": None})):
        buffer = BytesIO()
        figure.savefig(buffer, format=kind, metadata=metadata)
        write_bytes(folder / f"{name}.{kind}", partial(_write, buffer.getvalue()))
    write_csv(folder / f"{name}.csv", data)


def _write(content: bytes, file: BinaryIO) -> None:
    file.write(content)
