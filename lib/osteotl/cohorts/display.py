"""Films with their reference boxes, for looking."""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image


def contact_sheet(films: pd.DataFrame, boxes: pd.DataFrame, data: Path, films_per_cohort: int = 6) -> Figure:
    """A few films of each cohort, both classes, reference boxes drawn solid.

    Parameters
    ----------
    films : DataFrame
        cohort, image_id, film, label, width, height.
    boxes : DataFrame
        image_id and corners in native pixels.
    data : Path
        The folder that holds `.prepared/`.
    films_per_cohort : int
        Half of them malignant, as far as there are any; the first of each by identifier, so that the sheet repeats.

    Returns
    -------
    Figure
        One row a cohort.
    """
    rows = [(name, _chosen(part, films_per_cohort)) for name, part in films.groupby("cohort", sort=False)]
    figure, panels = plt.subplots(
        len(rows), films_per_cohort, squeeze=False, figsize=(1.5 * films_per_cohort, 1.75 * len(rows))
    )
    for line, (name, chosen) in zip(panels, rows, strict=True):
        for axes in line:
            axes.set_axis_off()
        for axes, film in zip(line, chosen.itertuples(), strict=False):
            _draw(axes, film, boxes[boxes["image_id"] == film.image_id], data)
        line[0].text(-0.05, 0.5, name, rotation=90, ha="right", va="center", transform=line[0].transAxes, fontsize=8)
    figure.subplots_adjust(wspace=0.04, hspace=0.15, left=0.04, right=1, top=0.95, bottom=0)
    plt.close(figure)  # shown once, as the value of the cell
    return figure


def _chosen(films: pd.DataFrame, count: int) -> pd.DataFrame:
    ordered = films.sort_values("image_id")
    malignant = ordered[ordered["label"] == 1].head(count // 2)
    return pd.concat([malignant, ordered[ordered["label"] == 0].head(count - len(malignant))])


def _draw(axes: plt.Axes, film: object, boxes: pd.DataFrame, data: Path) -> None:
    key = film.film  # type: ignore[attr-defined]
    with Image.open(data / ".prepared" / key[:2] / f"{key}.png") as opened:
        pixels = np.asarray(opened)
    scale = pixels.shape[1] / film.width  # type: ignore[attr-defined]
    axes.imshow(pixels, cmap="gray", vmin=0, vmax=255)
    for box in boxes.itertuples():
        corner = (box.x_min * scale, box.y_min * scale)
        width, height = (box.x_max - box.x_min) * scale, (box.y_max - box.y_min) * scale
        axes.add_patch(Rectangle(corner, width, height, fill=False, edgecolor="#E69F00", lw=1.2))
    axes.set_title("malignant" if film.label == 1 else "not malignant", fontsize=7, pad=2)  # type: ignore[attr-defined]
