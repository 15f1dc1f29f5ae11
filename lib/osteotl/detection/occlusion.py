"""Where on a film does the score rest? Hide one patch after another and see how far it falls."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import cv2
import numpy as np
from ultralytics.nn.tasks import DetectionModel

from osteotl.detection.films import Films
from osteotl.detection.scoring import score_films
from osteotl.files import write_bytes

CELLS = 10  # patch positions along each side of the film
FULL = 1.0  # change of the logit that is drawn in full colour, unless a film has a larger one
ENLARGED = 384  # side of a drawn map, pixels
FALLS, RISES = (0, 94, 213), (178, 114, 0)  # vermilion and blue of Okabe and Ito, told apart without red and green; BGR


def telling_films(label: np.ndarray, score: np.ndarray) -> dict[str, int]:
    """The films by which a detector shows itself: the most right and the most wrong of each class.

    Parameters
    ----------
    label, score : ndarray, shape (films,)

    Returns
    -------
    dict
        Kind (surest_hit, worst_miss, worst_alarm, surest_normal): position of the malignant film with the highest and
        lowest score, the normal film with the highest and lowest; of equals the first.
    """
    malignant, normal = np.flatnonzero(label == 1), np.flatnonzero(label == 0)
    return {
        "surest_hit": int(malignant[np.argmax(score[malignant])]),
        "worst_miss": int(malignant[np.argmin(score[malignant])]),
        "worst_alarm": int(normal[np.argmax(score[normal])]),
        "surest_normal": int(normal[np.argmin(score[normal])]),
    }


def occlusion_map(
    detector: DetectionModel, films: Films, position: int, device: str = "cpu", cells: int = CELLS
) -> np.ndarray:
    """How far the score of one film falls when a square patch hides a part of it.

    Parameters
    ----------
    detector : DetectionModel
        As `scoring.open_detector` gives it.
    films : Films
    position : int
        Which film.
    device : str
    cells : int
        Patch positions along each side; a patch is two steps wide and has the film's mean grey.

    Returns
    -------
    ndarray, shape (cells, cells)
        Logit as it is minus logit with the patch centred there; large where the score rests.

    Notes
    -----
    Occlusion sensitivity: Zeiler and Fergus 2014 (doi:10.1007/978-3-319-10590-1_53), section 3.2.
    """
    one = films.subset(np.array([position]))
    step = films.size / cells
    hidden = np.repeat(one.images, cells * cells + 1, axis=0)
    for k in range(cells * cells):
        row, column = divmod(k, cells)
        top, left = int(max(0, (row - 0.5) * step)), int(max(0, (column - 0.5) * step))
        hidden[k, top : int(np.ceil((row + 1.5) * step)), left : int(np.ceil((column + 1.5) * step))] = (
            one.images.mean()
        )
    table = one.table.iloc[np.zeros(len(hidden), int)].reset_index(drop=True)
    many = Films(table, hidden, one.boxes * len(hidden), one.placements * len(hidden), one.size)
    logits = score_films(detector, many, device=device, boxes=False).logits
    return (logits[-1] - logits[:-1]).reshape(cells, cells)


def occlusion_maps(detector: DetectionModel, films: Films, score: np.ndarray, device: str = "cpu") -> list[dict]:
    """Maps of the telling films of one detector.

    Returns
    -------
    list of dict
        kind, position (of the film), drop (occlusion_map).
    """
    chosen = telling_films(films.table["label"].to_numpy(), score)
    return [
        {"kind": kind, "position": place, "drop": occlusion_map(detector, films, place, device)}
        for kind, place in chosen.items()
    ]


def write_maps(maps: dict[str, list[dict]], films: Films, folder: str | Path) -> list[dict[str, Any]]:
    """Draw the maps of every arm into a folder, cleared of those of an earlier run.

    Parameters
    ----------
    maps : dict
        Arm: what `occlusion_maps` gave.
    films : Films
        The films that positions count in.
    folder : path

    Returns
    -------
    list of dict
        Arm, kind, image_id, label, file (name in the folder), full_colour (change of the logit in full colour), falls
        and rises (largest fall and rise of the logit).
    """
    folder = Path(folder)
    for old in folder.glob("*.png"):
        old.unlink()
    described = []
    for arm, found in maps.items():
        for each in found:
            place, drop = each["position"], each["drop"]
            full = max(FULL, float(np.abs(drop).max()))
            name = f"{arm}_{each['kind']}.png"
            picture = cv2.imencode(".png", draw_map(films.images[place], films.boxes[place], drop / full))[1].tobytes()
            write_bytes(folder / name, partial(_put, picture))
            described.append({
                "arm": arm, "kind": each["kind"], "image_id": films.ids[place],
                "label": int(films.table["label"].iloc[place]), "file": name, "full_colour": full,
                "falls": max(0.0, float(drop.max())), "rises": max(0.0, float(-drop.min())),
            })  # fmt: skip
    return described


def _put(content: bytes, file: BinaryIO) -> None:
    file.write(content)


def draw_map(film: np.ndarray, boxes: np.ndarray, drop: np.ndarray) -> np.ndarray:
    """A film under its map: vermilion where hiding lowers the score, blue where it raises it, lesion boxes in white.

    Parameters
    ----------
    film : ndarray of uint8, shape (size, size)
    boxes : ndarray, shape (k, 4)
        Reference lesion boxes, corners in the film's pixels.
    drop : ndarray, shape (cells, cells)
        -1 to 1.

    Returns
    -------
    ndarray of uint8, shape (ENLARGED, ENLARGED, 3)
        BGR.
    """
    side = (ENLARGED, ENLARGED)
    grey = cv2.cvtColor(cv2.resize(film, side, interpolation=cv2.INTER_CUBIC), cv2.COLOR_GRAY2BGR).astype(float)
    smooth = np.clip(cv2.resize(drop.astype(np.float32), side, interpolation=cv2.INTER_LINEAR), -1, 1)[..., None]
    colour = np.where(smooth > 0, np.array(FALLS, float), np.array(RISES, float))
    share = 0.65 * np.abs(smooth)
    picture = np.rint((1 - share) * grey + share * colour).astype(np.uint8)
    for x0, y0, x1, y1 in np.rint(boxes * ENLARGED / len(film)).astype(int):
        cv2.rectangle(picture, (int(x0), int(y0)), (int(x1), int(y1)), (255, 255, 255), 1)
    return picture
