"""Films with their boxes: a gallery drawn at random by a stated rule, and every missed tumour with its picture.

Calls are counted over all runs of a model. A picture has the anchor of its film, so that tables link to it, and is
enlarged by its own summary line, without script.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup
from PIL import Image

from osteotl.figures.films import prepared, strongest_boxes
from osteotl.figures.parts import Labels, Tables
from osteotl.html import folded, paragraph

LONGEST, SMALL = 384, 256
HEAVY = 1_200_000  # bytes of pictures of missed tumours beyond the gallery; the page must go by e-mail
SIGNS = "●■▲◆▼✚"
DASHES = ("8 4", "2.5 3", "9 3 2 3", "14 4", "1.5 5", "5 2")  # those of the stylesheet, for where none holds
STYLES = ("dashed", "dotted", "dash-dotted", "long-dashed", "finely dotted", "short-dashed")
KINDS = {
    "hit": "Found by every model, every time",
    "miss": "Missed by every model, every time",
    "alarm": "False alarm of every model, every time",
    "disagreement": "The models disagree",
}


@dataclass
class Films:
    """What pictures of a study's films are made from.

    Parameters
    ----------
    tables : mapping
        films.csv: image_id, label, arm, runs, called, mean_score; further columns describe the film.
    external : DataFrame
        image_id, film, width, height.
    boxes, detections : DataFrame
        Reference boxes, predicted boxes; may be empty.
    labels : mapping of arm to label
        The reference first.
    data : Path
        The folder that holds `.prepared/`.
    word : {"run", "reader"}
        What a run is called (see `figures.parts.run_word`).
    """

    tables: Tables
    external: pd.DataFrame
    boxes: pd.DataFrame
    detections: pd.DataFrame
    labels: Labels
    data: Path
    word: str = "run"
    shown: set[str] = field(default_factory=set)

    @cached_property
    def table(self) -> pd.DataFrame:
        """One row a film and model."""
        table = self.tables.get("films", pd.DataFrame(columns=["image_id", "label", "arm", "runs", "called"]))
        return table[table["arm"].isin(list(self.labels))]

    @property
    def known(self) -> bool:
        """Whether there are films to show: not so for scores of other programs."""
        return not self.table.empty and {"film", "width", "height"} <= set(self.external)

    @cached_property
    def strongest(self) -> pd.DataFrame:
        """Each model's strongest box on every film, over its runs."""
        if self.detections.empty:
            return self.detections
        own = self.detections[self.detections["arm"].isin(list(self.labels))]
        return strongest_boxes(own, list(self.external["image_id"]))

    def calls(self) -> pd.DataFrame:
        """Share of runs that call each film (rows) for each model (columns), and its label."""
        table = self.table.assign(share=lambda t: t["called"] / t["runs"])
        wide = table.set_index(["image_id", "arm"])["share"].unstack()[list(self.labels)]  # noqa: PD010
        return wide.assign(label=table.groupby("image_id")["label"].first())


def anchor(image_id: str) -> str:
    """Identifier of a film's picture on the page."""
    return f"film-{image_id}"


def chosen_films(calls: pd.DataFrame, arms: Sequence[str], count: int, seed: int) -> dict[str, list[str]]:
    """Films of the gallery by kind: up to the same number of each kind, drawn at random.

    Parameters
    ----------
    calls : DataFrame
        Index image_id; for each model the share of its runs that call the film malignant; label.
    arms : sequence of str
    count : int
        Films of the whole gallery; a quarter for each kind. Kinds with fewer films stay smaller.
    seed : int

    Returns
    -------
    dict of kind to image_ids
        'hit' and 'miss': malignant, called in every run of every model, in none; 'alarm': normal, called in every
        run of every model; 'disagreement': one model calls the film in more than half of its runs, another in fewer.
    """
    share, tumour = calls[list(arms)].to_numpy(float), calls["label"].to_numpy() == 1
    groups = {
        "hit": tumour & (share == 1).all(axis=1),
        "miss": tumour & (share == 0).all(axis=1),
        "alarm": ~tumour & (share == 1).all(axis=1),
        "disagreement": (share > 0.5).any(axis=1) & (share < 0.5).any(axis=1),
    }
    rng, ids, chosen = np.random.default_rng(seed), calls.index.to_numpy(), {}
    for kind, mask in groups.items():
        pool = np.sort(ids[mask])
        few = min(count // len(groups), len(pool))
        chosen[kind] = sorted(rng.choice(pool, size=few, replace=False).tolist()) if few else []
    return chosen


def gallery(films: Films, point: str, count: int = 24, seed: int = 0) -> Markup | None:
    """The gallery: films drawn at random by kind, then the other missed tumours.

    Parameters
    ----------
    films : Films
    point : str
        The operating point in words.
    count, seed : int
        Films drawn, and the seed of the draw.

    Returns
    -------
    Markup or None
        None where the study has scores only.
    """
    if not films.known:
        return None
    calls = films.calls()
    chosen = chosen_films(calls, list(films.labels), count, seed)
    rule = (
        f"Up to {count // len(KINDS)} films of each kind, drawn at random (seed {seed}) among the external films; "
        f"nobody picked them. Calls are those at the operating point “{point}”, counted over all {films.word}s. The "
        "grey levels are those that the detector was given. Open a film's line to enlarge it."
    )
    parts = [Markup("<p>{}</p>").format(rule), box_key(films.labels)]
    for kind, names in chosen.items():
        pictures = [p for name in names if (p := picture(films, name, LONGEST)) is not None]
        if pictures:
            parts.append(Markup("<h3>{}</h3>{}").format(KINDS[kind], _grid(pictures)))
    return Markup("").join([*parts, _other_misses(films, calls)])


def _other_misses(films: Films, calls: pd.DataFrame) -> Markup:
    """Missed tumours that are not shown yet, those missed most often first, up to a weight of pictures."""
    pictures: list[Markup] = []
    left = [name for name in missed_films(calls, list(films.labels)) if name not in films.shown]
    weight = 0
    for name in left:
        made = picture(films, name, SMALL) if weight < HEAVY else None
        if made is not None:
            pictures.append(made)
            weight += len(made)
    if not pictures:
        return Markup("")
    rest = len(left) - len(pictures)
    note = f" {rest} more are listed in the table of missed tumours without a picture." if rest else ""
    return folded(
        f"The other {len(left)} tumours that were missed at least once", paragraph(f"Missed most often first.{note}"),
        _grid(pictures), class_="no-print",
    )  # fmt: skip


def missed_films(calls: pd.DataFrame, arms: Sequence[str]) -> list[str]:
    """Malignant films that some run of some model misses, those missed most often first."""
    sick = calls[calls["label"] == 1]
    missed = (1 - sick[list(arms)]).sum(axis=1)
    return missed[missed > 1e-12].sort_index().sort_values(ascending=False, kind="stable").index.tolist()


def missed_words(row: Mapping[str, Any], word: str = "run") -> str:
    """`missed by 3 of 3 runs`, or `found by 3 of 3 runs`."""
    missed, every = int(row["runs"] - row["called"]), f"of {row['runs']:.0f} {word}s"
    return f"missed by {missed} {every}" if missed else f"found by {row['runs']:.0f} {every}"


def two_misses(films: Films, seed: int = 0) -> Markup | None:
    """Two missed tumours of each model for the first screen, drawn at random among those missed in most runs.

    Parameters
    ----------
    films : Films
    seed : int

    Returns
    -------
    Markup or None
        None where the study has scores only.
    """
    if not films.known:
        return None
    calls, rng, groups = films.calls(), np.random.default_rng(seed), []
    for index, (arm, label) in enumerate(films.labels.items()):
        pool = np.sort(calls.index[(calls["label"] == 1) & (calls[arm] < 0.5)].to_numpy())
        names = rng.choice(pool, size=min(2, len(pool)), replace=False).tolist() if len(pool) else []
        pictures = [p for name in names if (p := picture(films, name, SMALL, arm=arm)) is not None]
        body = (
            Markup('<div class="films small">{}</div>').format(Markup("").join(pictures))
            if pictures
            else Markup("<p>none</p>")
        )
        groups.append(Markup("<div><p>{}</p>{}</div>").format(_mark(index, label), body))
    rule = (
        f"Drawn at random (seed {seed}) among the tumours that the model misses in more than half of its {films.word}s."
    )
    return Markup(
        '<div class="misses"><h3>Two misses of each model</h3><div class="strip">{}</div><p class="fine">{}</p>{}</div>'
    ).format(Markup("").join(groups), rule, box_key(films.labels))


# --- one film ---------------------------------------------------------------------------------------------------------


def picture(films: Films, image_id: str, longest: int, arm: str = "") -> Markup | None:
    """One film as a figure that its summary line enlarges.

    Parameters
    ----------
    films : Films
    image_id : str
    longest : int
        Pixels of the longer side.
    arm : str
        Show one model's box only, without the film's anchor (the first screen).

    Returns
    -------
    Markup or None
        None where the prepared film is not at hand.
    """
    rows = films.external[films.external["image_id"] == image_id]
    if rows.empty or (source := _source(films.data, str(rows.iloc[0]["film"]), longest)) is None:
        return None
    film, arms = rows.iloc[0], [arm] if arm else list(films.labels)
    own = films.table[films.table["image_id"] == image_id].set_index("arm")
    words = {a: _called(own.loc[a], films.word) for a in arms}
    shown, about = _facts(own.iloc[0])
    alt = f"Radiograph {image_id[:6]}, {', '.join([shown, *about])}. " + "; ".join(
        f"{films.labels[a]}: {text}" for a, text in words.items()) + "."  # fmt: skip
    image = Markup('<img src="{}" alt="{}" width="{}" height="{}" decoding="async">').format(
        source, alt, int(film["width"]), int(film["height"])
    )
    lines = [Markup('<span class="id">{}</span>').format(image_id[:6]), shown, ", ".join(about)]
    lines += [
        Markup("{} {}").format(_mark(list(films.labels).index(a), "", films.labels[a]), text)
        for a, text in words.items()
    ]
    caption = Markup("<br>").join(line for line in lines if line)
    inner = Markup('<span class="film">{}{}</span>').format(image, _overlay(films, image_id, film, arms))
    if arm:
        return Markup("<figure>{}<figcaption>{}</figcaption></figure>").format(inner, caption)
    named = Markup("") if image_id in films.shown else Markup(' id="{}"').format(anchor(image_id))
    films.shown.add(image_id)
    return Markup(
        '<figure{}><details class="enlarge"><summary>{}</summary></details><figcaption>{}</figcaption></figure>'
    ).format(named, inner, caption)


def _called(row: Mapping[str, Any], name: str) -> str:
    """How many runs call the film, with its mean score: `missed by 2 of 3 runs, score 0.02`."""
    alarm = f"false alarm in {row['called']:.0f} of {row['runs']:.0f} {name}s"
    word = missed_words(row, name) if row["label"] == 1 else alarm
    return f"{word}, score {row['mean_score']:.2f}"


def _facts(row: pd.Series) -> tuple[str, list[str]]:
    """What the film shows; the patient's age and sex, and the view."""
    named = row.get("subtype")
    shown = str(named) if pd.notna(named) and str(named) else ("malignant" if row.get("label") == 1 else "no tumour")
    about = [f"{row['age']:g} y"] if pd.notna(row.get("age")) else []
    return shown, about + [str(row[name]) for name in ("sex", "view") if pd.notna(row.get(name)) and str(row.get(name))]


def _source(data: Path, key: str, longest: int) -> str | None:
    """The prepared film as a grey JPEG data URI."""
    try:
        path = prepared(data, key)
    except ValueError:
        return None
    if not path.is_file():
        return None
    with Image.open(path) as film:
        grey = film.convert("L")
    grey.thumbnail((longest, longest), Image.Resampling.LANCZOS)
    buffer = BytesIO()
    grey.save(buffer, "JPEG", quality=78, optimize=True)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"


def _overlay(films: Films, image_id: str, film: pd.Series, arms: Sequence[str]) -> Markup:
    """Reference boxes solid, each model's strongest box in its dash; a dark line below each keeps it visible."""
    shapes: list[Markup] = []
    if len(films.boxes):
        shapes += [_box(box, "truth", "truth") for box in films.boxes[films.boxes["image_id"] == image_id].itertuples()]
    if len(films.strongest):
        own = films.strongest[films.strongest["image_id"].eq(image_id) & films.strongest["arm"].isin(arms)]
        for box in own.itertuples():
            index = list(films.labels).index(box.arm) % 6
            shapes.append(_box(box, f"pred arm-{index} dash-{index}", f"dash-{index}", DASHES[index]))
    view = f"0 0 {film['width']:.0f} {film['height']:.0f}"
    size = Markup('width="{:.0f}" height="{:.0f}"').format(film["width"], film["height"])
    return Markup('<svg viewBox="{}" {} aria-hidden="true" class="overlay">{}</svg>').format(
        view, size, Markup("").join(shapes)
    )


def _box(box: Any, kind: str, dash: str, drawn: str = "none") -> Markup:
    place = Markup('x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" {}').format(
        box.x_min, box.y_min, box.x_max - box.x_min, box.y_max - box.y_min, _line(drawn)
    )
    return Markup('<rect {0} class="halo {1}"/><rect {0} class="{2}"/>').format(place, dash, kind)


def _line(dash: str) -> Markup:
    """The attributes of a box that hold where no stylesheet does."""
    return Markup('fill="none" stroke="currentColor" stroke-dasharray="{}"').format(dash)


def box_key(labels: Labels) -> Markup:
    """What each line style of the boxes means."""
    items = [_key("truth", "truth", Markup("reference standard: solid, white"))]
    for i, label in enumerate(labels.values()):
        words = Markup("{}: {}; its strongest box of all").format(_mark(i, label), STYLES[i % 6])
        items.append(_key(f"pred arm-{i % 6} dash-{i % 6}", f"dash-{i % 6}", words, DASHES[i % 6]))
    return Markup('<p class="legend boxes">{}</p>').format(Markup("").join(items))


def _key(kind: str, dash: str, words: Markup, drawn: str = "none") -> Markup:
    place = Markup('x="1" y="1" width="26" height="12" {}').format(_line(drawn))
    return Markup(
        '<span class="key"><svg viewBox="0 0 28 14" width="36" height="18" aria-hidden="true" class="sample">'
        '<rect {0} class="halo {1}"/><rect {0} class="{2}"/></svg> <span>{3}</span></span>'
    ).format(place, dash, kind, words)


def _mark(index: int, label: str, spoken: str = "") -> Markup:
    """A model's sign and label in its colour; the sign alone is named for screen readers."""
    hidden = Markup(' role="img" aria-label="{}"').format(spoken) if spoken else Markup(' aria-hidden="true"')
    return Markup('<span class="arm arm-{0}"><span class="sign"{1}>{2}</span>{3}</span>').format(
        index % 6, hidden, SIGNS[index % 6], f" {label}" if label else ""
    )


def _grid(pictures: Iterable[Markup]) -> Markup:
    return Markup('<div class="films">{}</div>').format(Markup("").join(pictures))
