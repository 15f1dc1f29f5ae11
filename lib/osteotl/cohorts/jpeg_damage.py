"""Signs that a JPEG was cut or overwritten and 'repaired': decoders fill in what is missing and raise no error."""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

FILLED = 128  # grey of a block whose coefficients are all zero: what the decoder puts in place of missing ones
DCT = (0xC0, 0xC1, 0xC2)  # frames of 8 x 8 blocks; lossless JPEG and JPEG-LS code flat parts by zeros
FEWEST_LINES = 8  # one row of blocks
ZEROS = 64  # bytes in a row: longer than any code of one block
MOST_BITS = 16  # of a code (T.81 C.2)
Part = tuple[int, int]  # a marker and the place of its parameters
DARK, BRIGHT = 64, 240  # flat parts between these greys are no film edge


def jpeg_damage(content: bytes, pixels: NDArray[Any] | None = None) -> list[str]:
    """Notes on what is missing or overwritten in a JPEG film; empty for other films and for whole ones.

    Parameters
    ----------
    content : bytes
        The JPEG stream.
    pixels : uint8 array, optional
        As libjpeg decodes it (Pillow does), height x width or height x width x 3; decoded here where it is not given.

    Notes
    -----
    Three signs, after ITU-T T.81: scans of a progressive film that never came (G.1.1.1); long runs of zero bytes where
    codes should be (more of them than a whole film without any change from block to block could need, or an eighth of
    the film flat and mid-grey); and a side that is flat at the grey of blocks without coefficients. The last sign
    outlives re-encoding, so it is sought in films of any kind: see `filled`.
    """
    if content[:2] != b"\xff\xd8":
        return []
    try:
        parts = list(_parts(content))
        if not any(marker in DCT for marker, _ in parts):
            return []
        if pixels is None:
            with Image.open(io.BytesIO(content), formats=["JPEG"]) as image:
                pixels = np.asarray(image)
        return _stream_damage(content, parts, pixels) or filled(pixels)
    except (IndexError, ValueError, StopIteration, OSError, SyntaxError, struct.error):
        return []  # markers that cannot be followed, or 12 bits, in a film that decodes: nothing is known


def _stream_damage(content: bytes, parts: list[Part], pixels: NDArray[Any]) -> list[str]:
    frame, place = next(part for part in parts if part[0] in DCT)
    if frame == 0xC2 and _scans_missing(content, parts, content[place + 6]):
        return ["film damaged: the last scans of a progressive JPEG are missing"]
    scan = next(place for marker, place in parts if marker == 0xDA)
    zeros = max(
        (len(run) for run in re.findall(rb"\x00{%d,}" % ZEROS, content[scan : content.rfind(b"\xff\xd9")])), default=0
    )
    bits = MOST_BITS if frame == 0xC2 else _bits_of_flat_blocks(content, parts, scan)
    blocks = content[place + 5] * -(-pixels.shape[0] // 8) * -(-pixels.shape[1] // 8)
    flat = any(lines >= len(pixels) // 8 and DARK < level < BRIGHT for lines, level in _flat_sides(pixels))
    if zeros and (flat or 8 * zeros > bits * blocks):
        return [f"film damaged: {zeros:,} bytes in a row of its image data are zero"]
    return []


def filled(pixels: NDArray[Any]) -> list[str]:
    """A note where one side of the film is flat at the grey that stands for missing JPEG data.

    Where the opposite side is flat as well, the film was padded to a format, not cut.
    """
    top, bottom, left, right = (
        lines if level == FILLED and lines >= FEWEST_LINES else 0 for lines, level in _flat_sides(pixels)
    )
    lines = max(0 if top and bottom else top + bottom, 0 if left and right else left + right)
    if not lines:
        return []
    return [f"film damaged: {lines:,} rows or columns at one side are all grey 128, as a film that was cut leaves them"]


def _flat_sides(pixels: NDArray[Any]) -> list[tuple[int, int]]:
    """Rows at the top and bottom, columns at the left and right, that all have one grey, and that grey."""
    across = pixels.swapaxes(0, 1)
    return [_flat_lines(lines) for lines in (pixels, pixels[::-1], across, across[::-1])]


def _flat_lines(pixels: NDArray[Any]) -> tuple[int, int]:
    level = int(pixels[0].flat[0])
    if not (pixels[0] == level).all():
        return 0, level
    count = FEWEST_LINES  # doubled until a line differs, so that only flat films are compared as a whole
    while count < len(pixels) and (pixels[:count] == level).all():
        count *= 2
    same = (pixels[:count] == level).reshape(len(pixels[:count]), -1).all(axis=1)
    return int(same.argmin()) if not same.all() else len(same), level


# --- markers (T.81, Annex B) ------------------------------------------------------------------------------------------


def _parts(content: bytes) -> Iterator[Part]:
    """Marker segments up to the end of the image; the coded data between them are passed over."""
    place = 2
    while place + 4 <= len(content):
        if content[place] != 0xFF:
            raise IndexError(place)
        marker = content[place + 1]
        if marker == 0xFF:
            place += 1
            continue
        if marker == 0xD9:
            return
        yield marker, place + 4
        place += 2 + struct.unpack(">H", content[place + 2 : place + 4])[0]
        if marker == 0xDA:
            found = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]").search(content, place)
            place = found.start() if found else len(content)


def _scans_missing(content: bytes, parts: list[Part], component: int) -> bool:
    """Whether a progressive film lacks coefficients of a component, or their last bits."""
    bits_left = dict.fromkeys(range(64), 16)
    for place in (place for marker, place in parts if marker == 0xDA):
        count = content[place]
        components = content[place + 1 : place + 1 + 2 * count : 2]
        start, end, approximation = content[place + 1 + 2 * count : place + 4 + 2 * count]
        if component in components:
            bits_left.update(dict.fromkeys(range(start, end + 1), approximation & 15))
    return any(bits_left.values())


def _bits_of_flat_blocks(content: bytes, parts: list[Part], scan: int) -> int:
    """Zero bits that code a block without change ('no difference', 'end of block'); 0 where zeros mean other codes."""
    first = {}
    for place in (place for marker, place in parts if marker == 0xC4 and place < scan):
        end = place - 2 + struct.unpack(">H", content[place - 2 : place])[0]
        while place < end:
            counts = content[place + 1 : place + 17]
            length = next(bits for bits, count in enumerate(counts, 1) if count)
            first[content[place]] = length if content[place + 17] == 0 else 0
            place += 17 + sum(counts)
    used = content[scan + 2 : scan + 2 + 2 * content[scan] : 2]
    codes = [(first.get(table >> 4, 0), first.get(0x10 | table & 15, 0)) for table in used]
    return max(map(sum, codes)) if all(map(all, codes)) else 0
