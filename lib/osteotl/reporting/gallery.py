"""Films with their boxes: hits, misses, false alarms and disagreements, drawn by a stated rule."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup
from PIL import Image

from osteotl.reporting.html import paragraph, section, tag
from osteotl.reporting.occlusion import occlusion
from osteotl.reporting.results import Results
from osteotl.reporting.wording import point_name

LONGEST = 384
KINDS = {
    "hit": "Found by every arm",
    "miss": "Missed by every arm",
    "alarm": "False alarm in every arm",
    "disagreement": "The arms disagree",
}


@dataclass(frozen=True)
class Called:
    """Which film each arm calls at the gallery's operating point.

    Attributes
    ----------
    frame : DataFrame
        image_id, label, and for each arm `ARM called` (bool) and `ARM score`.
    key, seed : str
        Operating point and seed that the calls are made at.
    """

    frame: pd.DataFrame
    key: str
    seed: str


def calls(results: Results) -> Called | None:
    """Every external film's call by every arm, at the first seed; None where scores or thresholds are missing."""
    key, seed, scores = results.main_point, results.first_seed, results.table("scores")
    if scores.empty or not key:
        return None
    frame: pd.DataFrame | None = None
    for arm in results.arms:
        threshold = results.facts.get(f"arms.{arm}.per_seed.{seed}.operating_points.{key}.threshold")
        part = scores[scores["arm"].eq(arm) & scores["seed"].eq(seed)]
        if threshold is None or part.empty:
            return None
        columns = part[["image_id"]].assign(
            **{f"{arm} score": part["score"], f"{arm} called": part["score"] >= threshold}
        )
        frame = (
            part[["image_id", "label"]].merge(columns, on="image_id")
            if frame is None
            else frame.merge(columns, on="image_id")
        )
    return None if frame is None else Called(frame, key, seed)


def chosen_films(results: Results, called: Called) -> dict[str, list[str]]:
    """Films of the gallery by kind: the same number of each kind, drawn at random with the gallery's seed.

    A film stands once; kinds that run short leave their places empty rather than being filled up.
    """
    frame, arms = called.frame, results.arms
    every = frame[[f"{arm} called" for arm in arms]].to_numpy(bool)
    tumour = frame["label"].to_numpy() == 1
    agree = every.all(axis=1) | ~every.any(axis=1)
    groups = {
        "hit": tumour & every.all(axis=1),
        "miss": tumour & ~every.any(axis=1),
        "alarm": ~tumour & every.all(axis=1),
        "disagreement": ~agree,
    }
    share = results.study.report.gallery_films // len(groups)
    rng = np.random.default_rng(results.study.report.gallery_seed)
    ids = frame["image_id"].to_numpy()
    chosen = {}
    for kind, mask in groups.items():
        pool = np.sort(ids[mask])
        chosen[kind] = sorted(rng.choice(pool, size=min(share, len(pool)), replace=False).tolist()) if len(pool) else []
    return chosen


def gallery(results: Results) -> Markup | None:
    """The gallery section; None where a study has no films."""
    called = calls(results)
    if called is None or results.csv("cohorts/external.csv").empty:
        return None
    chosen = chosen_films(results, called)
    share = results.study.report.gallery_films // len(chosen)
    rule = paragraph(
        f"Up to {share} films of each kind, drawn at random (gallery seed {results.study.report.gallery_seed}) "
        "among the external films, at the "
        f"operating point “{point_name(called.key)}” and training seed {called.seed}. Nobody picked them. All films "
        "are shown with "
        "the grey levels that the detector was given, with no further windowing."
    )
    groups = []
    for kind, films in chosen.items():
        pictures = [picture for film in films if (picture := film_figure(results, called, film)) is not None]
        if pictures:
            groups += [tag("h3", KINDS[kind]), tag("div", pictures, class_="films")]
    if not groups:
        return None
    return section("gallery", "Gallery", rule, box_key(results), groups, occlusion(results))


def box_key(results: Results) -> Markup:
    """What each line style of the boxes means."""
    items = [_key("truth", "reference standard: solid, white")]
    styles = ("dashed", "dotted", "dash-dotted", "long-dashed", "finely dotted", "dashed")
    items += [
        _key(f"pred arm-{i % 6} dash-{i % 6}", tag("span", results.mark(arm), f": {styles[i % 6]}; its strongest box"))
        for i, arm in enumerate(results.arms)
    ]
    return tag("p", items, class_="legend boxes")


def _key(kind: str, words: Any) -> Markup:
    sample = tag(
        "svg",
        tag("rect", x=1, y=1, width=26, height=12, class_=f"halo {kind.rpartition(' ')[2]}"),
        tag("rect", x=1, y=1, width=26, height=12, class_=kind),
        viewBox="0 0 28 14",
        width=36,
        height=18,
        aria_hidden="true",
        class_="sample",
    )
    return tag("span", sample, " ", words, class_="key")


def missed_strip(results: Results) -> Markup:
    """Two missed tumours of each arm, for the first page."""
    called = calls(results)
    head = tag("h3", "Two misses of each arm")
    if called is None or results.csv("cohorts/external.csv").empty:
        return tag(
            "div", head, paragraph("This study was given scores, not films: there is nothing to show."), class_="misses"
        )
    rng = np.random.default_rng(results.study.report.gallery_seed)
    groups = []
    for arm in results.arms:
        frame = called.frame
        pool = np.sort(frame.loc[frame["label"].eq(1) & ~frame[f"{arm} called"], "image_id"].to_numpy())
        films = rng.choice(pool, size=min(2, len(pool)), replace=False).tolist() if len(pool) else []
        pictures = [p for film in films if (p := film_figure(results, called, film, arm=arm, longest=256)) is not None]
        body = (
            tag("div", pictures, class_="films small")
            if pictures
            else paragraph("None missed." if not len(pool) else "Films not at hand.")
        )
        groups.append(tag("div", tag("p", results.mark(arm)), body))
    fine = paragraph(
        "Drawn at random among its misses; solid box: where the tumour is; the other: the arm's strongest box, too "
        "weak for an alarm.",
        class_="fine",
    )
    return tag("div", head, tag("div", groups, class_="strip"), fine, class_="misses")


def film_figure(
    results: Results, called: Called, film: str, arm: str | None = None, longest: int = LONGEST
) -> Markup | None:
    """One film with its boxes, or None where the prepared film is not at hand.

    Parameters
    ----------
    film : str
        image_id (a salted hash).
    arm : str, optional
        Only this arm's box and words; default: every arm's.
    longest : int
        Longest side of the embedded picture, pixels.
    """
    external = results.csv("cohorts/external.csv").set_index("image_id")
    if film not in external.index or not isinstance(row := external.loc[film], pd.Series):
        return None
    source = _picture(results.data, str(row["film"]), longest)
    if source is None:
        return None
    row_call = called.frame.set_index("image_id").loc[film]
    arms = [arm] if arm else results.arms
    words = [_said(results, row_call, name) for name in arms]
    alt = f"Radiograph {film[:6]}, {_facts_of(row)}. {'; '.join(plain for plain, _ in words)}."
    picture = tag(
        "div",
        tag(
            "img",
            src=source,
            alt=alt,
            width=int(row["width"]),
            height=int(row["height"]),
            decoding="async",
        ),
        _boxes(results, film, row, arms, called.seed),
        class_="film",
    )
    caption = tag(
        "figcaption",
        tag("span", film[:6], class_="id"),
        " ",
        *_lines_of(row),
        [[tag("br"), marked] for _, marked in words] if not arm else None,
    )
    return tag("figure", picture, caption)


def _parts_of(row: pd.Series) -> tuple[str, list[str]]:
    """What the film shows; the patient's age and sex, and the view."""
    named = row.get("subtype")
    shown = str(named) if pd.notna(named) and str(named) else ("malignant" if row.get("label") == 1 else "no tumour")
    about = [f"{row['age']:g} y"] if pd.notna(row.get("age")) else []
    about += [str(row[name]) for name in ("sex", "view") if pd.notna(row.get(name)) and str(row.get(name))]
    return shown, about


def _facts_of(row: pd.Series) -> str:
    shown, about = _parts_of(row)
    return ", ".join([shown, *about])


def _lines_of(row: pd.Series) -> list[Any]:
    """The same in two lines, so that a narrow caption does not break within a word."""
    shown, about = _parts_of(row)
    return [tag("br"), shown, [tag("br"), ", ".join(about)] if about else None]


def _said(results: Results, row: pd.Series, arm: str) -> tuple[str, Markup]:
    word = "alarm" if row[f"{arm} called"] else "no alarm"
    score = tag("span", f"{row[f'{arm} score']:.2f}", data_source="tables/scores.csv")
    sign = results.sign(arm)
    return f"{results.label(arm)}: {word}", Markup("{} {} {}").format(sign, word, score)


def _picture(data: Path, key: str, longest: int) -> str | None:
    """The prepared film as a grey JPEG data URI."""
    if not key.isalnum():  # a key is a hash: anything else must not become a path
        return None
    path = data / ".prepared" / key[:2] / f"{key}.png"
    if not path.is_file():
        return None
    with Image.open(path) as film:
        grey = film.convert("L")
    grey.thumbnail((longest, longest), Image.Resampling.LANCZOS)
    buffer = BytesIO()
    grey.save(buffer, "JPEG", quality=78, optimize=True)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _boxes(results: Results, film: str, row: pd.Series, arms: list[str], seed: str) -> Markup:
    """Reference boxes solid, the strongest box of each arm in its dash; a dark line below each keeps it visible."""
    shapes: list[Markup] = []
    truth = results.csv("cohorts/boxes.csv")
    if not truth.empty:
        shapes += [s for box in truth[truth["image_id"].eq(film)].itertuples() for s in _box(box, "truth")]
    found = results.csv("detections.csv")
    if not found.empty:
        found = found[
            found["image_id"].eq(film)
            & found["seed"].eq(seed)
            & found["fraction"].eq(float(results.facts.get("settings.headline_fraction", 1.0)))
        ]
        for arm in arms:
            own = found[found["arm"].eq(arm)].sort_values("score", ascending=False)
            shapes += [
                s
                for box in own.head(1).itertuples()
                for s in _box(box, f"pred arm-{results.arms.index(arm) % 6} dash-{results.arms.index(arm) % 6}")
            ]
    return tag("svg", shapes, viewBox=f"0 0 {row['width']} {row['height']}", aria_hidden="true", class_="overlay")


def _box(box: Any, kind: str) -> list[Markup]:
    place = {
        "x": f"{box.x_min:.1f}",
        "y": f"{box.y_min:.1f}",
        "width": f"{box.x_max - box.x_min:.1f}",
        "height": f"{box.y_max - box.y_min:.1f}",
    }
    return [tag("rect", **place, class_=f"halo {kind.rpartition(' ')[2]}"), tag("rect", **place, class_=kind)]
