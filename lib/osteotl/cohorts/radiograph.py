"""One radiograph (PNG, JPEG, TIFF or DICOM) to 8-bit grey, dense parts bright; or one clear fault."""

from __future__ import annotations

import io
import stat
import struct
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError

from osteotl.cohorts.dicom_film import decode_dicom, is_bare_dicom
from osteotl.cohorts.film import LIMITS, FilmError, Grey, Limits, Radiograph, check_size, one_channel, reason
from osteotl.cohorts.jpeg_damage import filled, jpeg_damage

PNG = b"\x89PNG\r\n\x1a\n"
TIFF = (b"II*\x00", b"MM\x00*")


def read_radiograph(path: str | Path, limits: Limits = LIMITS) -> Radiograph:
    """Read one film, decoded to its last row; the file is opened for reading only.

    Parameters
    ----------
    path : path
        PNG, JPEG, TIFF (8 or 16 bit) or DICOM (any transfer syntax that pydicom and pylibjpeg decode, preamble or
        not).
    limits : Limits
        Checked before anything is decoded.

    Returns
    -------
    Radiograph

    Raises
    ------
    FilmError
        Whatever is wrong with the file: missing, truncated, damaged, several frames, too large, no film at all.

    Notes
    -----
    16 bit: the grey scale runs to the highest value that the bits in use can hold (a film of 12 bits stored in 16 is
    divided by 4095). DICOM: modality LUT or rescale, then the first VOI LUT or window that can be used, else 8 bits as
    stored or the film's own range; padding is black and no part of that range (`dicom_grey`). Every choice is a note.
    """
    path = Path(path)
    return decode(load_bytes(path, limits), path.name, limits)


def load_bytes(path: str | Path, limits: Limits = LIMITS) -> bytes:
    """The bytes of a film, or a FilmError where it cannot be opened or is larger than the limit."""
    path = Path(path)
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # reading a pipe would wait for ever
            raise FilmError(path.name, "no regular file (a folder, device or pipe)", "exclude it, or take it away")
        with path.open("rb") as file:
            content = file.read(limits.file_bytes + 1)
    except OSError as error:
        remedy = "correct the path, or exclude the film" if isinstance(error, FileNotFoundError) else "make it readable"
        raise FilmError(path.name, f"cannot be opened ({error.strerror})", remedy) from error
    if len(content) > limits.file_bytes:
        raise FilmError(path.name, f"larger than {limits.file_bytes:,} bytes", "export the film at its own size")
    return content


def decode(content: bytes, name: str, limits: Limits = LIMITS) -> Radiograph:
    """The film in a file's bytes; `name` stands in the fault. See `read_radiograph`."""
    if not content:
        raise FilmError(name, "empty file", "copy it again from its source")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what decoders only warn of is either refused below or harmless
        # DICOM first: its preamble may hold a TIFF header, so that one file can be opened as either
        if content[128:132] == b"DICM" or is_bare_dicom(content):
            return decode_dicom(content, name, limits)
        if content.startswith((PNG, b"\xff\xd8", *TIFF)):
            return _decode_picture(content, name, limits)
    what = "an archive or a compressed file" if content.startswith((b"PK", b"\x1f\x8b", b"BZh")) else "not a film"
    raise FilmError(name, f"{what}: neither PNG, JPEG, TIFF nor DICOM", "unpack or export it as one of these")


# --- PNG, JPEG, TIFF --------------------------------------------------------------------------------------------------


def _decode_picture(content: bytes, name: str, limits: Limits) -> Radiograph:
    try:
        content, white_is_zero = _black_is_zero(content)
        with Image.open(io.BytesIO(content), formats=["PNG", "JPEG", "TIFF"]) as image:
            check_size(*image.size, name, limits)
            if (frames := getattr(image, "n_frames", 1)) > 1:
                raise FilmError(name, f"holds {frames} frames", "export one film per file")
            _check_whole(content, image.format, name)
            notes: list[str] = []
            grey = np.ascontiguousarray(_to_grey(image, content, white_is_zero, name, notes))
            notes += jpeg_damage(content, grey) if image.format in ("JPEG", "MPO") else filled(grey)
    except FilmError:
        raise
    except UnidentifiedImageError as error:
        raise FilmError(name, _unread(content), "copy it again, or save it as PNG of 8 or 16 bit") from error
    except Image.DecompressionBombError as error:
        what = f"more pixels than Pillow opens, over the limit of {limits.pixels:,} pixels"
        raise FilmError(name, what, "export the film at its own size") from error
    except Exception as error:  # decoders raise whatever their parts raise on damaged bytes
        raise FilmError(name, f"cannot be decoded ({reason(error)})", "copy or export it again") from error
    return Radiograph(grey, grey.shape[1], grey.shape[0], None, {}, tuple(notes))


def _check_whole(content: bytes, kind: str | None, name: str) -> None:
    """What the decoder lets pass: a cut tail, and damage that only a checksum shows."""
    fault = _png_fault(content) if kind == "PNG" else None
    if kind in ("JPEG", "MPO") and content.rfind(b"\xff\xd9") < content.rfind(b"\xff\xda"):
        fault = "truncated: the end of the image is missing"
    if fault:
        raise FilmError(name, fault, "copy it again from its source")


def _png_fault(content: bytes) -> str | None:
    place = len(PNG)
    while place + 12 <= len(content):
        length, kind = struct.unpack(">I4s", content[place : place + 8])
        end = place + 12 + length
        if end > len(content):
            break
        (check,) = struct.unpack(">I", content[end - 4 : end])
        if zlib.crc32(content[place + 4 : end - 4]) != check:
            return f"damaged: checksum of its part {kind.decode('latin-1')} is wrong"
        if kind == b"IEND":
            return None
        place = end
    return "truncated: the end of the image is missing"


def _to_grey(image: Image.Image, content: bytes, white_is_zero: bool, name: str, notes: list[str]) -> Grey:
    orientation = image.getexif().get(0x0112, 1)
    truncated, ImageFile.LOAD_TRUNCATED_IMAGES = ImageFile.LOAD_TRUNCATED_IMAGES, False
    try:
        image.load()
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = truncated
    if orientation in range(2, 9):
        notes.append(f"turned by its EXIF orientation: {orientation}")
    left = image.getexif().get(0x0112, 1)  # Pillow turns TIFF while loading and takes the orientation out
    deep = _deep_colour(image, content)
    if deep is not None:
        grey = _turned(one_channel(deep, notes), orientation)
    elif image.mode in ("1", "L"):
        return np.asarray(ImageOps.exif_transpose(image).convert("L"))
    elif image.mode.startswith("I"):
        grey = _turned(np.asarray(image), left)
    elif image.mode in ("P", "PA", "RGB", "RGBA", "LA", "CMYK", "YCbCr"):
        colour = ImageOps.exif_transpose(image)
        if "transparency" in colour.info or colour.mode in ("RGBA", "LA", "PA"):
            notes.append("transparency ignored")
        return one_channel(np.asarray(colour.convert("RGB")), notes).astype(np.uint8)
    else:
        raise FilmError(name, f"pixels of the kind {image.mode!r}", "export it at 8 or 16 bit")
    return _scaled(grey, white_is_zero, notes)


def _deep_colour(image: Image.Image, content: bytes) -> NDArray[Any] | None:
    """16-bit colour, of which Pillow would keep the high byte alone; None for any other film."""
    if image.format == "PNG":
        deep = content[24] == 16 and content[25] in (2, 4, 6)
    else:
        deep = image.format == "TIFF" and 16 in tuple(image.tag_v2.get(258, ())) and len(image.getbands()) > 1  # type: ignore[attr-defined]
    if not deep:
        return None
    import cv2

    if image.format == "TIFF":  # OpenCV turns TIFF even where it is asked not to
        content = _with_tag(content, ORIENTATION, 1)
    array = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION)
    if array is None:
        raise ValueError("16-bit colour that cannot be decoded")
    return array[..., :3][..., ::-1] if array.ndim == 3 else array


def _turned(array: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Pixels as the EXIF orientation asks."""
    turns = {
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.T,
        6: lambda a: a.T[:, ::-1],
        7: lambda a: a[::-1, ::-1].T,
        8: lambda a: a.T[::-1],
    }
    return turns[orientation](array) if orientation in turns else array


def _scaled(array: NDArray[Any], white_is_zero: bool, notes: list[str]) -> Grey:
    """More than 8 bits to 8, by the bits in use: the fewest of 8, 10, 12, 14 and 16 that hold the highest value."""
    lowest, highest = int(array.min()), int(array.max())
    if lowest < 0:
        notes.append(f"values below 0 moved to start at 0: from {lowest}")
        array, highest = array.astype(np.int64) - lowest, highest - lowest
    bits = next((b for b in (8, 10, 12, 14, 16) if highest < 1 << b), None)
    top = (1 << bits) - 1 if bits else highest
    notes.append(f"scaled by the bits in use: {bits}" if bits else "scaled by the highest value: more than 16 bits")
    if white_is_zero:
        notes.append("white is zero: inverted")
        array = top - array.astype(np.int64)
    if bits is None:
        return np.rint(array * (255 / top)).astype(np.uint8)
    return np.rint(np.arange(top + 1) * (255 / top)).astype(np.uint8)[array]


# --- TIFF (TIFF 6.0, section 2) ---------------------------------------------------------------------------------------

BITS_PER_SAMPLE, PHOTOMETRIC, ORIENTATION, SAMPLES, SAMPLE_FORMAT = 258, 262, 274, 277, 339


def _tiff_tags(content: bytes) -> dict[int, tuple[int, int, str]]:
    """First directory of a TIFF: each tag's first number, the place where it stands, and how it is packed."""
    order = "<" if content[:2] == b"II" else ">"
    found = {}
    (start,) = struct.unpack(order + "I", content[4:8])
    (count,) = struct.unpack(order + "H", content[start : start + 2])
    for place in range(start + 2, start + 2 + 12 * count, 12):
        tag, kind, numbers = struct.unpack(order + "HHI", content[place : place + 8])
        at = place + 8
        if kind == 3 and numbers > 2:  # several samples' numbers stand elsewhere
            (at,) = struct.unpack(order + "I", content[at : at + 4])
        packing = order + ("H" if kind == 3 else "I")
        (value,) = struct.unpack(packing, content[at : at + struct.calcsize(packing)])
        found[tag] = (value, at, packing)
    return found


def _number(tags: dict[int, tuple[int, int, str]], tag: int) -> int:
    return tags[tag][0] if tag in tags else 1  # the default of every tag that is asked for here


def _black_is_zero(content: bytes) -> tuple[bytes, bool]:
    """A deep TIFF in which white is zero, declared the other way round: Pillow opens few of them, and inverts none."""
    if not content.startswith(TIFF):
        return content, False
    try:
        tags = _tiff_tags(content)
    except struct.error:
        return content, False  # Pillow says what is wrong with it
    if _number(tags, PHOTOMETRIC) != 0 or _number(tags, BITS_PER_SAMPLE) <= 8:
        return content, False
    return _with_tag(content, PHOTOMETRIC, 1), True


def _with_tag(content: bytes, tag: int, value: int) -> bytes:
    """The same TIFF with another number for a tag that it has."""
    tags = _tiff_tags(content)
    if tag not in tags:
        return content
    _, at, packing = tags[tag]
    return content[:at] + struct.pack(packing, value) + content[at + struct.calcsize(packing) :]


def _unread(content: bytes) -> str:
    """Why Pillow opens none of it, as far as the file says."""
    if not content.startswith(TIFF):
        return "damaged: its header cannot be read"
    try:
        tags = _tiff_tags(content)
    except struct.error:
        return "damaged: its TIFF directory cannot be read"
    form = {2: " signed", 3: " floating point"}.get(_number(tags, SAMPLE_FORMAT), "")
    end = "little" if content[:2] == b"II" else "big"
    bits = f"{_number(tags, SAMPLES)} x {_number(tags, BITS_PER_SAMPLE)}{form} bits"
    return f"a TIFF of {bits}, {end}-endian, which is not read"
