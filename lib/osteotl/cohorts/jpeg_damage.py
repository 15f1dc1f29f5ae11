"""Signs that a JPEG was cut or overwritten and 'repaired': decoders fill in what is missing and raise no error."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from typing import Any

from numpy.typing import NDArray

FILLED = 128  # grey of a block whose coefficients are all zero: what the decoder puts in place of missing ones
DCT = (0xC0, 0xC1, 0xC2)  # frames of 8 x 8 blocks; lossless JPEG and JPEG-LS code flat parts by zeros
FEWEST_LINES = 8  # one row of blocks
ZEROS = 64  # bytes in a row: longer than any code of one block
Part = tuple[int, int]  # a marker and the place of its parameters
BLACK, WHITE = 8, 247  # film edges are this dark or this bright; grey between them that is flat is none


def jpeg_damage(content: bytes, pixels: NDArray[Any]) -> list[str]:
    """Notes on what is missing or overwritten in a JPEG film; empty for other films and for whole ones.

    Parameters
    ----------
    content : bytes
        The JPEG stream.
    pixels : array
        As decoded, before windows and inversion: height x width, or height x width x 3.

    Notes
    -----
    Three signs, after ITU-T T.81: scans of a progressive film that never came (G.1.1.1); long runs of zero bytes where
    codes should be (where zeros alone can be codes of a flat film, and in progressive films, it must be flat and
    neither black nor white as well); and a side of the film that is flat at the grey of blocks without coefficients.
    The last sign outlives re-encoding, so it is sought in films of any kind: see `filled`.
    """
    if content[:2] != b"\xff\xd8":
        return []
    try:
        parts = list(_parts(content))
        if not any(marker in DCT for marker, _ in parts):
            return []
        return _stream_damage(content, parts, pixels) or filled(pixels)
    except (IndexError, ValueError, StopIteration, struct.error):
        return filled(pixels)  # markers that cannot be followed, in a film that decodes: nothing is known


def _stream_damage(content: bytes, parts: list[Part], pixels: NDArray[Any]) -> list[str]:
    frame, place = next(part for part in parts if part[0] in DCT)
    if frame == 0xC2 and _scans_missing(content, parts, content[place + 6]):
        return ["film damaged: the last scans of a progressive JPEG are missing"]
    scan = next(place for marker, place in parts if marker == 0xDA)
    zeros = max((len(run) for run in re.findall(rb"\x00{%d,}" % ZEROS, content[scan:])), default=0)
    lines, level = _flat_lines(pixels)
    flat = lines >= FEWEST_LINES and BLACK < level < WHITE
    if zeros and (flat or (frame != 0xC2 and not _zeros_are_codes(content, parts, scan))):
        return [f"film damaged: {zeros:,} bytes in a row of its image data are zero"]
    return []


def filled(pixels: NDArray[Any]) -> list[str]:
    """A note where a side of the film is flat at the grey that stands for missing JPEG data."""
    lines, level = _flat_lines(pixels)
    if lines < FEWEST_LINES or level != FILLED or lines >= max(pixels.shape[:2]):
        return []
    return [f"film damaged: {lines:,} rows or columns at one side are all grey 128, as a film that was cut leaves them"]


def _flat_lines(pixels: NDArray[Any]) -> tuple[int, int]:
    """The most rows or columns at one side that all have one grey, and that grey."""
    best = (0, -1)
    for turned in (pixels, pixels[::-1], pixels.swapaxes(0, 1), pixels[:, ::-1].swapaxes(0, 1)):
        level = int(turned[0].flat[0])
        if not (turned[0] == level).all():
            continue
        count = FEWEST_LINES  # doubled until a line differs, so that only flat films are compared as a whole
        while count < len(turned) and (turned[:count] == level).all():
            count *= 2
        same = (turned[:count] == level).reshape(len(turned[:count]), -1).all(axis=1)
        lines = int(same.argmin()) if not same.all() else len(same)
        best = max(best, (lines, level))
    return best


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


def _zeros_are_codes(content: bytes, parts: list[Part], scan: int) -> bool:
    """Whether zero bits code flat blocks: the first code of each table is 'no difference' or 'end of block'."""
    first = {}
    for place in (place for marker, place in parts if marker == 0xC4 and place < scan):
        end = place - 2 + struct.unpack(">H", content[place - 2 : place])[0]
        while place < end:
            first[content[place]] = content[place + 17]
            place += 17 + sum(content[place + 1 : place + 17])
    used = content[scan + 2 : scan + 2 + 2 * content[scan] : 2]
    return all(first.get(table >> 4) == 0 and first.get(0x10 | table & 15) == 0 for table in used)
