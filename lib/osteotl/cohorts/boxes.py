"""Lesion boxes: from the size they were annotated in to native pixels, and everything that can be wrong with them."""

from __future__ import annotations

import numpy as np
import pandas as pd

from osteotl.cohorts.faults import Fault, fault, plural, shown

CORNERS = ["x_min", "y_min", "x_max", "y_max"]
ROUNDING = 2.0  # pixels a box may leave its film by: 1-based corners and rounded exports do; it is cut and listed
WHOLE_FILM = 0.95  # share of the film above which a box marks no lesion


def native_boxes(films: pd.DataFrame, boxes: pd.DataFrame, trains: bool = True) -> tuple[pd.DataFrame, list[Fault]]:
    """Boxes in native pixels, and their faults.

    Parameters
    ----------
    films : DataFrame
        Columns of `RawCohort.films`, with native `width` and `height` where the film was decoded (missing otherwise:
        then only what needs no size is checked).
    boxes : DataFrame
        image_id, corners in the annotated size, finding.
    trains : bool
        Whether boxes of this cohort train a detector: without them a malignant film would be taught as normal.

    Returns
    -------
    boxes : DataFrame
        Corners in native pixels, cut at the film's edge where rounding carried them over it; faulty boxes left out.
    faults : list of Fault
    """
    table = _with_sizes(films, boxes)
    faults = _size_mismatches(films)
    broken = np.zeros(len(table), dtype=bool)
    unusable = _unusable(table)
    factor = _common_factor(table, unusable["outside"])
    for rule, (code, text, remedy) in RULES.items():
        if rule == "outside" and factor:
            remedy = f"drawn on films of another size? then divide all by that factor ({factor:.3g} or more)"
        faults += _listed(table, code, unusable[rule] & ~broken, text, remedy)
        broken |= unusable[rule]
    faults += _edges(table, ~broken) + _suspicions(table, ~broken) + contradictions(films, boxes, trains)
    kept = table[~broken]
    limits = kept[["width", "height", "width", "height"]].to_numpy()
    corners = kept[CORNERS].to_numpy().clip(0)
    cut = np.where(np.isnan(limits), corners, np.fmin(corners, limits))
    kept = kept.assign(**dict(zip(CORNERS, cut.T, strict=True)))
    return kept[["image_id", *CORNERS, "finding"]].reset_index(drop=True), faults


def _with_sizes(films: pd.DataFrame, boxes: pd.DataFrame) -> pd.DataFrame:
    columns = ["image_id", "path", "root", "width", "height", "annotated_width", "annotated_height", "annotated_as"]
    boxes = boxes.reindex(columns=[*boxes.columns, *(name for name in ("written", "written_as") if name not in boxes)])
    table = boxes.merge(films[columns], on="image_id", how="left", validate="many_to_one")
    for name in ("width", "height", "annotated_width", "annotated_height", *CORNERS):
        table[name] = table[name].astype(float)
    scaled = (table["annotated_as"] == "scaled").to_numpy()
    known = table[["width", "height", "annotated_width", "annotated_height"]].notna().all(axis=1).to_numpy()
    for axis, corners in (("width", ["x_min", "x_max"]), ("height", ["y_min", "y_max"])):
        factor = (table[axis] / table[f"annotated_{axis}"]).where(scaled & known, 1.0)
        table[corners] = table[corners].mul(factor, axis=0)
        # where the film was not decoded, its size is what the annotation states
        table[axis] = table[axis].where(table[axis].notna(), table[f"annotated_{axis}"])
    return table


#: What makes a box unusable: code, what is wrong, what would mend it. A box is listed under the first that fits.
RULES = {
    "invalid": (
        "box_invalid",
        "has a coordinate that is not a finite number",
        "write four numbers, without separators of thousands",
    ),
    "in shares": (
        "box_units",
        "lies within 0 and 1: shares of the film, read here as pixels",
        "multiply by the film's width and height",
    ),
    "in pixels": (
        "box_units",
        "makes sense only if it was written in pixels, read here as shares of the film",
        "divide by the film's width and height",
    ),
    "sizes as corners": (
        "box_mixup",
        "makes sense only if its last two numbers are a width and a height, read here as corners",
        "convert x, y, width, height to corners",
    ),
    "corners as sizes": (
        "box_mixup",
        "makes sense only if its last two numbers are corners, read here as width and height",
        "convert corners to x, y, width, height",
    ),
    "corners as centre": (
        "box_mixup",
        "makes sense only if its four numbers are corners, read here as centre, width and height",
        "convert corners to centre x, centre y, width, height",
    ),
    "inverted": (
        "box_inverted",
        "has its maximum before its minimum",
        "draw it again: corners in order, or a positive width and height",
    ),
    "empty": ("box_empty", "has no area", "draw it again or take it out"),
    "outside": ("box_outside", "leaves the film", "correct the box, or the film that it was drawn on"),
}


def _unusable(table: pd.DataFrame) -> dict[str, np.ndarray]:
    """Which boxes break which of the `RULES`."""
    x0, y0, x1, y1 = (table[name].to_numpy() for name in CORNERS)
    width, height = table["width"].to_numpy(), table["height"].to_numpy()
    tolerance = np.where(width <= 1, ROUNDING / 1000, ROUNDING)  # normalised boxes of a film that was not decoded
    shares = (table["annotated_width"] == 1).to_numpy()
    with np.errstate(invalid="ignore"):
        w, h, right, bottom = x1 - x0, y1 - y0, width + tolerance, height + tolerance
        inverted = (w < 0) | (h < 0)
        outside = (x0 < -tolerance) | (y0 < -tolerance) | (x1 > right) | (y1 > bottom)
        # a minimum may lie below 0: reader voc takes 1 from it
        within_one = (width > 2) & (np.minimum(x0, y0) >= -1) & (np.maximum(x1, y1) <= 1) & (w > 0) & (h > 0)
        x, y = x1 / width, y1 / height  # as they were written, where shares are read
        sizes, centre = ((table["written_as"] == kind).to_numpy() for kind in ("sizes", "centre"))
        middle_x, middle_y = (x0 + x1) / 2, (y0 + y1) / 2
        return {
            "invalid": ~np.isfinite(table[CORNERS].to_numpy()).all(axis=1),
            "in shares": ~shares & within_one,
            "in pixels": shares & outside & (np.maximum(x, y) > 2) & (x <= right) & (y <= bottom),
            # what the reader reads decides what can be mixed up: corners are no widths that were read as corners
            "sizes as corners": ~(sizes | centre)
            & (inverted & (x1 > 0) & (y1 > 0) & (x0 + x1 <= right) & (y0 + y1 <= bottom)),
            "corners as sizes": sizes
            & (outside & (x0 >= 0) & (y0 >= 0) & (w > x0) & (h > y0) & (w <= width) & (h <= height)),
            "corners as centre": centre
            & (outside & (middle_x >= 0) & (middle_y >= 0) & (w > middle_x) & (h > middle_y))
            & ((w <= width) & (h <= height)),
            "inverted": inverted,
            "empty": (w == 0) | (h == 0),
            "outside": outside,
        }


def _common_factor(table: pd.DataFrame, outside: np.ndarray) -> float | None:
    """How much too large the boxes are where most that can tell leave their film: they share the factor of a size.

    Boxes of a film drawn at twice its size reach up to twice its width. The factor that brings every box inside is told
    where at least two boxes, and a quarter of all, leave their film to the right or below, and none elsewhere.
    """
    right = (table["x_max"] / table["width"]).to_numpy(dtype=float)
    bottom = (table["y_max"] / table["height"]).to_numpy(dtype=float)
    beyond = np.fmax(right, bottom)
    far = outside & (beyond > 1)
    if far.sum() < 2 or far.sum() < 0.25 * len(table) or (table[["x_min", "y_min"]] < -ROUNDING).any(axis=None):
        return None
    return float(np.nanmax(beyond))


def _listed(table: pd.DataFrame, code: str, mask: np.ndarray, text: str, remedy: str) -> list[Fault]:
    rows = table[np.asarray(mask, dtype=bool)]
    return [
        fault(code, shown(row["path"], row["root"]), f"box {_text(row)} {text}", remedy)
        for row in rows.to_dict("records")
    ]


def _text(row: dict) -> str:
    corners = row["written"] if isinstance(row["written"], str) else ", ".join(f"{row[name]:.6g}" for name in CORNERS)
    size = f" of a film of {row['width']:g} x {row['height']:g}" if row["width"] == row["width"] else ""
    return f"({corners}){size}"


def _edges(table: pd.DataFrame, sound: np.ndarray) -> list[Fault]:
    with np.errstate(invalid="ignore"):
        over = np.maximum.reduce(
            [
                -table["x_min"],
                -table["y_min"],
                table["x_max"] - table["width"],
                table["y_max"] - table["height"],
            ]
        )
    mask = sound & (np.nan_to_num(over) > 1e-3 * np.where(table["width"] <= 1, 1e-3, 1))
    return _listed(
        table, "box_edge", mask, "was cut at the film's edge", "nothing, if the box was drawn up to the edge"
    )


def _suspicions(table: pd.DataFrame, sound: np.ndarray) -> list[Fault]:
    share = (table["x_max"] - table["x_min"]) * (table["y_max"] - table["y_min"]) / (table["width"] * table["height"])
    whole = sound & (share.to_numpy() > WHOLE_FILM)
    again = sound & table.duplicated(["image_id", *CORNERS, "finding"]).to_numpy()
    return [
        *_listed(table, "box_whole_film", whole, "covers nearly the whole film", "check that it marks a lesion"),
        *_listed(table, "box_duplicate", again, "stands twice", "take one out"),
    ]


def _size_mismatches(films: pd.DataFrame) -> list[Fault]:
    """A film of another size than its annotation states: the boxes belong to another film, or to a rotated one."""
    stated = films[["annotated_width", "annotated_height"]].astype(float)
    real = films[["width", "height"]].astype(float)
    wrong = (stated.to_numpy() != real.to_numpy()).any(axis=1) & stated.notna().all(axis=1) & real.notna().all(axis=1)
    rows = films[wrong & (films["annotated_as"] == "native")]
    return [
        fault(
            "size_mismatch",
            shown(row["path"], row["root"]),
            f"is {row['width']:.0f} x {row['height']:.0f}, its annotation says "
            f"{float(row['annotated_width']):.0f} x {float(row['annotated_height']):.0f}",
            "annotate the film in this very size"
            if row["width"] != float(row["annotated_height"])
            else "the film was turned after annotation: turn the boxes and the stated size as well",
        )
        for row in rows.to_dict("records")
    ]


def contradictions(films: pd.DataFrame, boxes: pd.DataFrame, trains: bool) -> list[Fault]:
    """Films labelled 0 with a box, and malignant films without one; film by film where it `trains`."""
    boxed = films["image_id"].isin(boxes["image_id"])
    malignant = films["label"] == 1
    found = [
        fault(
            "normal_with_box",
            shown(row["path"], row["root"]),
            "is labelled 0 but has a lesion box",
            "correct the label, or take the box out, or leave its class out by `classes` (which names every class)",
        )
        for row in films[~malignant & boxed].to_dict("records")
    ]
    no_boxes = films["no_boxes"] if "no_boxes" in films else pd.Series(None, index=films.index, dtype=object)
    absent = _absent(films[malignant], boxed, no_boxes) if trains else []
    told = {folder for folder, _ in absent}
    if malignant.any() and not (malignant & boxed).any() and not trains:
        root = films["root"].iloc[0]
        why = "".join(f" ({name} is not there)" for name in no_boxes.dropna().unique()[:1])
        text = f"no malignant film has a box{why}: lesions cannot be located there"
        remedy = "nothing, if only films are to be classified; else add the file of boxes"
        lone = fault("boxes_absent", shown(root, root), text, remedy)
        return found if "" in set(no_boxes) else [*found, lone]
    return [
        *found,
        *(listed for _, listed in absent if listed is not None),
        *(
            fault(
                "malignant_without_box",
                shown(row["path"], row["root"]),
                "is malignant but has no lesion box",
                f"draw the box, or exclude the film: integrity.exclude: [{shown(row['path'], row['root'])}]",
            )
            for row in films[malignant & ~boxed & ~films["root"].isin(told)].to_dict("records")
        ),
    ]


def _absent(malignant: pd.DataFrame, boxed: pd.Series, no_boxes: pd.Series) -> list[tuple[str, Fault | None]]:
    """Folders that lack the file of boxes altogether: one fault names the file, not every film.

    The fault is None where the file is there and cannot be read: its reader has said so.
    """
    found: list[tuple[str, Fault | None]] = []
    for root, rows in malignant.groupby("root", sort=True):
        missing = no_boxes[rows.index].dropna()
        if len(missing) and missing.iloc[0] == "":
            found.append((str(root), None))
        elif len(missing) and not boxed[rows.index].any():
            text = f"there is no such file: none of {plural(len(rows), 'malignant film')} has a lesion box"
            remedy = "add it (path,x_min,y_min,x_max,y_max; csv or xlsx), or set `annotations` to the file of boxes"
            found.append((str(root), fault("malignant_without_box", str(missing.iloc[0]), text, remedy)))
    return found
