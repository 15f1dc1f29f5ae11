"""Films with reference boxes, predicted boxes and scores; occlusion maps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from PIL import Image

from osteotl.figures.parts import INK, Figure, Labels, Look, NoData, Tables, looks, styled, wrapped

REFERENCE = "#E69F00"
KINDS = {
    "surest_hit": "malignant, highest score",
    "worst_miss": "malignant, lowest score",
    "worst_alarm": "normal, highest score",
    "surest_normal": "normal, lowest score",
}


def prepared(data: Path, key: str) -> Path:
    """The prepared picture of a film: 8-bit grey levels, as the detector reads it.

    Parameters
    ----------
    data : Path
        The folder that holds `.prepared/`.
    key : str
        Column `film` of a cohort table.

    Raises
    ------
    ValueError
        The key is not a hash: anything else must not become a path.
    """
    if not str(key).isalnum():
        raise ValueError(
            f"film {key!r} is no key of a prepared film; keys are letters and digits, written by 00_cohorts"
        )
    return Path(data) / ".prepared" / key[:2] / f"{key}.png"


def read_films(outputs: Path) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """External films, reference boxes and predicted boxes of a study; empty tables where there are none.

    Parameters
    ----------
    outputs : Path
        The outputs folder, with cohorts/external.csv, cohorts/boxes.csv and detections.csv.
    """
    texts = dict.fromkeys(("image_id", "patient_id", "film", "arm"), str)
    empty = pd.DataFrame(
        {name: [] for name in ("image_id", "film", "arm", "score", "x_min", "y_min", "x_max", "y_max")}
    )
    places = [Path(outputs) / file for file in ("cohorts/external.csv", "cohorts/boxes.csv", "detections.csv")]
    found = [pd.read_csv(path, dtype=texts) if path.is_file() else empty for path in places]
    return found[0], found[1], found[2]


def contact_sheet(
    films: pd.DataFrame,
    boxes: pd.DataFrame,
    data: Path,
    films_per_cohort: int | None = None,
    *,
    detections: pd.DataFrame | None = None,
    labels: Labels | None = None,
    captions: Mapping[str, str] | None = None,
    per_row: int = 5,
) -> Canvas:
    """Films with their reference boxes, and with predicted boxes where detections are given.

    Parameters
    ----------
    films : DataFrame
        image_id, film, label, width, height, and cohort where several cohorts are shown. Every film is drawn, in order.
    boxes : DataFrame
        image_id and corners x_min, y_min, x_max, y_max in native pixels: the reference standard, drawn solid.
    data : Path
        The folder that holds `.prepared/`.
    films_per_cohort : int, optional
        Take this many of each cohort, half of them malignant as far as there are any, the first by identifier.
    detections : DataFrame, optional
        image_id, arm, corners, score: predicted boxes, drawn in the look of their model, the score beside each.
    labels : mapping of arm to label, optional
        For detections; the reference first.
    captions : mapping of image_id to str, optional
        Lines above the films; default: the class.
    per_row : int
        Films in a row.

    Returns
    -------
    matplotlib Figure
    """
    rows = _rows(films, films_per_cohort, per_row)
    across, height = max(len(part) for _, part in rows), 2.4 * len(rows) + 0.3
    size = (1.5 * across, height)
    picture, panels = plt.subplots(len(rows), across, squeeze=False, dpi=110, layout="none", figsize=size)
    look = looks(labels) if labels else {}
    for axes in panels.flat:
        axes.set_axis_off()
    for line, (name, part) in zip(panels, rows, strict=True):
        for axes, film in zip(line, part.to_dict("records"), strict=False):
            predicted = None if detections is None else detections[detections["image_id"] == film["image_id"]]
            _draw(axes, film, boxes[boxes["image_id"] == film["image_id"]], Path(data), predicted, look)
            usual = "malignant" if film["label"] == 1 else "not malignant"
            axes.set_title((captions or {}).get(film["image_id"], usual), fontsize=6.5, pad=2, linespacing=1.1)
        line[0].text(-0.05, 0.5, name, rotation=90, ha="right", va="center", transform=line[0].transAxes, fontsize=8)
    _key(picture, labels or {}, look)
    picture.subplots_adjust(wspace=0.05, hspace=0.28 if captions else 0.1, left=0.04, right=0.99, top=1 - 0.45 / height,
                            bottom=0.3 / height if look else 0.01)  # fmt: skip
    plt.close(picture)  # shown once, as the value of the cell
    return picture


def _rows(films: pd.DataFrame, films_per_cohort: int | None, per_row: int) -> list[tuple[str, pd.DataFrame]]:
    """Rows of the sheet: a cohort each where some of each are taken, else all films in order."""
    if films_per_cohort is not None:
        return [(str(name), _chosen(part, films_per_cohort)) for name, part in films.groupby("cohort", sort=False)]
    return [("", films.iloc[first : first + per_row]) for first in range(0, len(films), per_row)]


def _chosen(films: pd.DataFrame, count: int) -> pd.DataFrame:
    ordered = films.sort_values("image_id")
    malignant = ordered[ordered["label"] == 1].head(count // 2)
    return pd.concat([malignant, ordered[ordered["label"] == 0].head(count - len(malignant))])


def _draw(
    axes: Axes,
    film: Mapping[str, Any],
    boxes: pd.DataFrame,
    data: Path,
    predicted: pd.DataFrame | None,
    look: Mapping[str, Look],
) -> None:
    with Image.open(prepared(data, film["film"])) as opened:
        pixels = np.asarray(opened.convert("L"))
    scale = pixels.shape[1] / film["width"]
    axes.imshow(pixels, cmap="gray", vmin=0, vmax=255)
    for box in boxes.itertuples():
        _box(axes, box, scale, edgecolor=REFERENCE, lw=1.2)
    for box in () if predicted is None else predicted.itertuples():
        own = look[box.arm]
        dashes = own.dashes if own.dashes[-1] or len(own.dashes) > 2 else (4, 2)
        _box(axes, box, scale, edgecolor=_bright(own), lw=1.0, linestyle=(0, dashes))
        # one corner a model, so that scores of boxes that lie on each other can be read
        low, right = divmod(list(look).index(box.arm) * 3 % 4, 2)
        x, y = box.x_max if right else box.x_min, box.y_max if low else box.y_min
        axes.text(x * scale, y * scale, f"{box.score:.2f}", color=_bright(own), fontsize=5.5, clip_on=True,
                  va="top" if low else "bottom", ha="right" if right else "left",
                  bbox={"facecolor": "black", "edgecolor": "none", "pad": 0.4, "alpha": 0.6})  # fmt: skip


def _bright(look: Look) -> str:
    """The model's colour on a black film."""
    return {"#0067a3": "#6db8ec", "#b84a00": "#ffab70", "#00795a": "#5fe0b8", "#a34a7c": "#f3b6d8",
            "#6a3d9a": "#cfbcff", "#8a6100": "#f5cf6f"}[look.colour]  # fmt: skip


def _box(axes: Axes, box: Any, scale: float, **kind: Any) -> None:
    corner = (box.x_min * scale, box.y_min * scale)
    width, height = (box.x_max - box.x_min) * scale, (box.y_max - box.y_min) * scale
    axes.add_patch(Rectangle(corner, width, height, fill=False, **kind))


def _key(picture: Canvas, labels: Labels, look: Mapping[str, Look]) -> None:
    if not look:
        return
    entries = [Line2D([], [], color=REFERENCE, lw=1.4, label="reference standard")]
    for sign, (arm, own) in zip("ABCDEFGHIJKLMNOPQRSTUVWXYZ", look.items(), strict=False):
        entries.append(Line2D([], [], color=own.colour, lw=1.2, dashes=own.dashes if own.dashes[-1] else (4, 2),
                              label=f"{sign}: {wrapped(labels[arm], 60)}"))  # fmt: skip
    picture.legend(handles=entries, loc="lower center", ncols=min(3, len(entries)), fontsize=6.5, labelcolor=INK)


def strongest_boxes(detections: pd.DataFrame, image_ids: Sequence[str]) -> pd.DataFrame:
    """Each model's box with the highest score on each film, over all its runs at the largest label fraction.

    Parameters
    ----------
    detections : DataFrame
        image_id, arm, score, corners; fraction where there are several.
    image_ids : sequence of str

    Returns
    -------
    DataFrame
        At most one row a film and model.
    """
    own = detections[detections["image_id"].isin(list(image_ids))]
    if "fraction" in own:
        own = own[own["fraction"] == detections["fraction"].max()]
    return own.sort_values("score", ascending=False, kind="stable").drop_duplicates(["image_id", "arm"])


@styled
def worst_misses(
    tables: Tables,
    external: pd.DataFrame,
    boxes: pd.DataFrame,
    detections: pd.DataFrame,
    labels: Labels,
    data: Path,
    count: int = 10,
) -> Figure:
    """The malignant films with the lowest scores, with scores, reference boxes and predicted boxes.

    Parameters
    ----------
    tables : mapping
        Needs films.csv: image_id, label, arm, runs, called, mean_score.
    external : DataFrame
        image_id, film, width, height.
    boxes, detections, labels, data
        As in `contact_sheet`.
    count : int
        Films to show.
    """
    films = tables.get("films")
    if films is None or films.empty or external.empty:
        raise NoData("the study was given scores, not films")
    own = films[(films["label"] == 1) & films["arm"].isin(list(labels)) & (films["called"] < films["runs"])]
    if own.empty:
        raise NoData("no malignant film was missed in any run")
    worst = own.groupby("image_id")["mean_score"].mean().sort_values(kind="stable").head(count)
    shown = external.set_index("image_id").loc[worst.index].reset_index()
    captions, signs = {}, dict(zip(labels, "ABCDEFGHIJKLMNOPQRSTUVWXYZ", strict=False))
    for image, rows in films[films["image_id"].isin(worst.index)].groupby("image_id"):
        lines = [
            f"{signs[arm]} {r['mean_score']:.3f}, missed {r['runs'] - r['called']:.0f} of {r['runs']:.0f}"
            for arm in labels
            for _, r in rows[rows["arm"] == arm].iterrows()
        ]
        captions[str(image)] = "\n".join([str(image)[:6], *lines])
    predicted = (
        strongest_boxes(detections[detections["arm"].isin(list(labels))], list(worst.index))
        if len(detections)
        else None
    )
    picture = contact_sheet(shown, boxes, data, detections=predicted, labels=labels, captions=captions)
    numbers = films[films["image_id"].isin(worst.index)].assign(
        place=lambda t: t["image_id"].map({i: k for k, i in enumerate(worst.index, 1)})
    )
    return Figure(
        picture,
        numbers.sort_values(["place", "arm"]),
        "The worst misses",
        f"The {len(worst)} malignant films, missed in at least one run, with the lowest score (mean over runs and "
        "models), lowest first. Solid: reference standard; broken: each model's strongest box over its runs, with "
        "its score.",
        f"{len(worst)} missed malignant films with boxes. Lowest mean score: {worst.iloc[0]:.3f} "
        f"(film {worst.index[0][:6]}).",
        photograph=True,
    )


@styled
def occlusion_maps(audit: Mapping[str, Any], folder: Path, labels: Labels) -> Figure:
    """Where each model's score rests: maps of its films with the highest and lowest score of each class.

    Parameters
    ----------
    audit : mapping
        audit.json; entry `occlusion` lists arm, kind, image_id, file, full_colour, falls, rises.
    folder : Path
        Holds the maps, PNG.
    labels : mapping of arm to label
    """
    entries = [
        e for e in audit.get("occlusion", []) if e["arm"] in labels and (Path(folder) / str(e["file"])).is_file()
    ]
    if not entries:
        raise NoData("no occlusion map was made")
    arms = [arm for arm in labels if any(e["arm"] == arm for e in entries)]
    picture, panels = plt.subplots(len(arms), len(KINDS), squeeze=False, figsize=(6.4, 2.15 * len(arms)), dpi=110)
    for axes in panels.flat:
        axes.set_axis_off()
    for entry in entries:
        axes = panels[arms.index(entry["arm"]), list(KINDS).index(entry["kind"])]
        with Image.open(Path(folder) / str(entry["file"])) as image:
            axes.imshow(np.asarray(image.convert("RGB")))
        axes.set_title(
            f"{KINDS[entry['kind']]}\n{entry['image_id'][:6]}, full colour {entry['full_colour']:.1f}", fontsize=6
        )
    for line, arm in zip(panels, arms, strict=True):
        line[0].text(
            -0.04,
            0.5,
            wrapped(labels[arm], 30),
            rotation=90,
            ha="right",
            va="center",
            transform=line[0].transAxes,
            fontsize=6.5,
        )
    words = [f"{labels[e['arm']]}, {KINDS[e['kind']]}: hiding a patch lowers the logit by at most {e['falls']:.1f} and "
             f"raises it by at most {e['rises']:.1f}" for e in entries]  # fmt: skip
    return Figure(
        picture,
        pd.DataFrame(entries),
        "What the scores rest on",
        "A grey patch hides one part of the film after another, first run of each model. Orange: the score falls, so "
        "it rests there; blue: the score rises; full colour is the change of the logit above each film. White: the "
        "reference standard.",
        f"Occlusion maps. {'; '.join(words)}.",
        photograph=True,
    )
