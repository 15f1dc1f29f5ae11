"""The DICOM half of `radiograph`: decoding, and the few values that may leave a file."""

from __future__ import annotations

import io
import re
import struct
import zlib
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import get_frame
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from osteotl.cohorts.dicom_grey import grey_levels, numbers
from osteotl.cohorts.film import BadTable, FilmError, Limits, Radiograph, check_size, reason
from osteotl.cohorts.jpeg_damage import jpeg_damage

FRONTAL = frozenset({"AP", "PA", "FRONTAL"})
LATERAL = frozenset({"LL", "RL", "LAT", "LATERAL", "LLD", "RLD", "ML", "LM"})
OBLIQUE = frozenset({"RLO", "LLO", "OBL", "OBLIQUE"})
_BARE = (b"\x02\x00", b"\x08\x00")  # groups that a file without a preamble starts with


def is_bare_dicom(content: bytes) -> bool:
    """Whether bytes look like a DICOM data set that lacks its preamble."""
    if content[:2] not in _BARE or len(content) < 16:
        return False
    element = struct.unpack("<H", content[2:4])[0]
    explicit = content[4:6].isalpha() and content[4:6].isupper()
    return element <= 0x1000 and (explicit or struct.unpack("<I", content[4:8])[0] < 1024)


def decode_dicom(content: bytes, name: str, limits: Limits) -> Radiograph:
    """One DICOM radiograph. See `radiograph.read_radiograph`.

    Raises
    ------
    FilmError
        Anything wrong with the bytes, and files of several frames or without an image.
    """
    try:
        notes: list[str] = []
        _check_deflated(content, name, limits)
        dataset = pydicom.dcmread(io.BytesIO(content), force=True)
        _name_transfer_syntax(dataset, notes)
        stream = _check_image(dataset, name, limits)
        # unused bits are looked at, not shifted away: stored bits or overlays may lie there
        dataset.pixel_array_options(correct_unused_bits=False)
        cells = dataset.pixel_array
        notes += [] if stream is None else jpeg_damage(stream)
        grey = np.ascontiguousarray(grey_levels(dataset, cells, _precision(stream), notes))
        spacing, attributes = _spacing(dataset, notes), _attributes(dataset)
        _warn(dataset, notes)
    except (FilmError, KeyboardInterrupt, SystemExit):
        raise
    except BadTable as error:
        remedy = "export it with the grey levels that the screen shows, as DICOM without that table or as PNG"
        raise FilmError(name, str(error), remedy) from error
    except BaseException as error:  # damaged bytes make decoders raise anything: the one in Rust, no Exception at all
        remedy = "export it again, uncompressed or as lossless JPEG, or exclude it by name"
        raise FilmError(name, f"the DICOM image cannot be decoded ({reason(error)})", remedy) from error
    return Radiograph(grey, grey.shape[1], grey.shape[0], spacing, attributes, tuple(notes))


# --- checks before decoding -------------------------------------------------------------------------------------------


def _check_deflated(content: bytes, name: str, limits: Limits) -> None:
    """A deflated data set is inflated piece by piece first: pydicom would do it at once, however large it gets."""
    if content[128:132] != b"DICM":
        return
    head = io.BytesIO(content)
    head.seek(132)
    meta = pydicom.filereader._read_file_meta_info(head)
    if meta.get("TransferSyntaxUID") != DeflatedExplicitVRLittleEndian:
        return
    inflate, size, rest = zlib.decompressobj(-zlib.MAX_WBITS), 0, content[head.tell() :]
    while rest and not inflate.eof:
        size += len(inflate.decompress(rest, 1 << 20))
        rest = inflate.unconsumed_tail
        if size > limits.file_bytes:
            raise FilmError(name, f"inflates to more than {limits.file_bytes:,} bytes", "export it without deflation")


def _name_transfer_syntax(dataset: Dataset, notes: list[str]) -> None:
    """A data set without file meta says nothing of its encoding: it is the one that pydicom could read it by."""
    if not hasattr(dataset, "file_meta"):
        dataset.file_meta = FileMetaDataset()
    if "TransferSyntaxUID" in dataset.file_meta:
        return
    implicit, little = dataset.original_encoding
    explicit = ExplicitVRLittleEndian if little else ExplicitVRBigEndian
    dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else explicit
    notes.append("no file meta information: uncompressed pixels supposed")


def _check_image(dataset: Dataset, name: str, limits: Limits) -> bytes | None:
    """Refuse what is no single whole image; the compressed stream, or None where pixels are not compressed."""
    if "PixelData" not in dataset or "Rows" not in dataset or "Columns" not in dataset:
        raise FilmError(name, "a DICOM data set without an image (or cut before it)", "export the radiograph itself")
    if (frames := int(dataset.get("NumberOfFrames") or 1)) > 1:
        raise FilmError(name, f"holds {frames} frames", "export one radiograph per file")
    columns, rows = int(dataset.Columns), int(dataset.Rows)
    check_size(columns, rows, name, limits)
    if not dataset.file_meta.TransferSyntaxUID.is_encapsulated:
        return None
    stream = get_frame(dataset.PixelData, 0, number_of_frames=1)
    inside = _stream_header(stream)
    if inside is not None and inside[:2] != (columns, rows):
        what = f"the header says {columns} x {rows} pixels, the compressed image {inside[0]} x {inside[1]}"
        raise FilmError(name, what, "export it again")
    if stream[:2] == b"\xff\xd8" and b"\xff\xd9" not in stream[-16:]:
        raise FilmError(name, "truncated: the end of the compressed image is missing", "copy it again from its source")
    return stream


def _precision(stream: bytes | None) -> int | None:
    header = _stream_header(stream) if stream else None
    return header[2] if header else None


def _stream_header(stream: bytes) -> tuple[int, int, int] | None:
    """Columns, rows and bits a sample in the header of a JPEG, JPEG-LS or JPEG 2000 stream; None without one."""
    if (size := stream.find(b"\xff\x4f\xff\x51")) >= 0 and size < 256:
        right, low, left, high = struct.unpack(">4I", stream[size + 8 : size + 24])
        return right - left, low - high, (stream[size + 42] & 0x7F) + 1
    if stream[:2] != b"\xff\xd8":
        return None
    place = 2
    while place + 9 <= len(stream):
        marker, length = stream[place + 1], struct.unpack(">H", stream[place + 2 : place + 4])[0]
        if stream[place] != 0xFF:
            break
        if marker == 0xF7 or (0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC)):
            bits, rows, columns = struct.unpack(">B2H", stream[place + 4 : place + 9])
            return columns, rows, bits
        place += 2 + length
    return None


# --- what may leave the file ------------------------------------------------------------------------------------------


def _spacing(dataset: Dataset, notes: list[str]) -> float | None:
    """Distance of rows in mm: calibrated where the file says so, else at the detector; None where it is unreadable."""
    for keyword in ("PixelSpacing", "ImagerPixelSpacing"):
        value = numbers(dataset, keyword)
        if not any(value):
            continue  # 0 stands for unknown
        if len(value) != 2 or not all(0 < distance < np.inf for distance in value):
            notes.append(f"spacing cannot be read: {keyword} does not hold two distances")
            continue
        if abs(value[0] / value[1] - 1) > 0.01:
            notes.append("rows and columns are spaced differently")
        if keyword == "ImagerPixelSpacing":
            notes.append("spacing at the detector, not at the bone")
        return value[0]
    return None


def _warn(dataset: Dataset, notes: list[str]) -> None:
    """What the file says of itself that makes it unfit to share or to score."""
    if str(dataset.get("BurnedInAnnotation", "")).strip().upper() == "YES":
        notes.append("text burned in: BurnedInAnnotation is YES")
    if " ".join(str(dataset.get("PresentationIntentType", "")).upper().split()) == "FOR PROCESSING":
        notes.append("detector values: PresentationIntentType is FOR PROCESSING")


def _attributes(dataset: Dataset) -> dict[str, Any]:
    """The allow-list: each value only in a form that can hold nothing else."""
    found: dict[str, Any] = {"age": _age(str(dataset.get("PatientAge", "")))}
    sex = str(dataset.get("PatientSex", "")).strip().upper()
    found["sex"] = sex if sex in ("M", "F", "O") else None
    view = str(dataset.get("ViewPosition", "")).strip().upper()
    words = {"frontal": FRONTAL, "lateral": LATERAL, "oblique": OBLIQUE}
    found["view"] = next((word for word, codes in words.items() if view in codes), None)
    body_part = str(dataset.get("BodyPartExamined", "")).strip().upper()
    found["body_part"] = body_part if re.fullmatch(r"[A-Z][A-Z ]{1,15}", body_part) else None
    maker = str(dataset.get("Manufacturer", "")).strip()
    found["manufacturer"] = maker if re.fullmatch(r"[A-Za-z][A-Za-z .,&+-]{1,39}", maker) else None
    return {key: value for key, value in found.items() if value is not None}


def _age(text: str) -> float | None:
    """Years from DICOM's age string (045Y, 018M, 003W, 010D) or a bare number."""
    match = re.fullmatch(r"\s*(\d{1,3})([YMWD]?)\s*", text)
    if not match:
        return None
    years = int(match[1]) / {"Y": 1, "": 1, "M": 12, "W": 52.18, "D": 365.25}[match[2]]
    return round(years, 2) if years <= 120 else None
