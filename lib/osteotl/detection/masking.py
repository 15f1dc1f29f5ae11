"""Films changed on purpose: the lesion painted over, everything else taken away, the film mirrored."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import cv2
import numpy as np

from osteotl.detection.films import PADDING, Films

MARGIN = 0.15  # a lesion's rim reaches a little beyond the box that was drawn around it


def masked_films(films: Films, boxes: list[np.ndarray]) -> Films:
    """Paint boxes over with what surrounds them.

    Parameters
    ----------
    films : Films
    boxes : list of ndarray, each (k, 4)
        Corners in square pixels, one array a film; each box is widened by `MARGIN` of its size on every side.

    Returns
    -------
    Films
    """
    images = films.images.copy()
    for i, found in enumerate(boxes):
        area = _area(found, films.size)
        if area.any():
            images[i] = cv2.inpaint(images[i], area.astype(np.uint8), 3, cv2.INPAINT_TELEA)
    return replace(films, images=images)


def only_boxes(films: Films, boxes: list[np.ndarray]) -> Films:
    """Keep the boxes and replace all else by the padding grey."""
    images = np.full_like(films.images, PADDING)
    for i, found in enumerate(boxes):
        area = _area(found, films.size)
        images[i][area] = films.images[i][area]
    return replace(films, images=images)


def mirrored_films(films: Films) -> Films:
    """Left-right flips."""
    return replace(films, images=np.ascontiguousarray(films.images[:, :, ::-1]))


def sham_boxes(films: Films) -> list[np.ndarray]:
    """A box for every normal film, borrowed from a malignant one, so that both classes are painted over alike.

    Without it, a detector that only sees the paint would seem to see the lesion's absence. The lender is chosen by a
    hash of the film's identifier: nothing random, no order.

    Raises
    ------
    ValueError
        If no film has a box.
    """
    lenders = [boxes for boxes in films.boxes if len(boxes)]
    if not lenders:
        raise ValueError("no film has a lesion box: there is nothing to mask")
    borrowed = []
    for image_id, own in zip(films.ids, films.boxes, strict=True):
        place = int.from_bytes(hashlib.sha256(image_id.encode()).digest()[:8], "big")
        borrowed.append(own if len(own) else lenders[place % len(lenders)])
    return borrowed


def _area(boxes: np.ndarray, size: int) -> np.ndarray:
    area = np.zeros((size, size), bool)
    for x0, y0, x1, y1 in boxes:
        dx, dy = MARGIN * (x1 - x0), MARGIN * (y1 - y0)
        left, top = max(0, int(np.floor(x0 - dx))), max(0, int(np.floor(y0 - dy)))
        area[top : int(np.ceil(y1 + dy)), left : int(np.ceil(x1 + dx))] = True
    return area
