"""The DICOM half of `radiograph`: decoding, modality and VOI steps, and the few values that may leave a file."""

from __future__ import annotations

import io
import re
import struct
import zlib
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import get_frame
from pydicom.pixels import apply_color_lut, apply_modality_lut, apply_voi
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from osteotl.cohorts.film import FilmError, Grey, Limits, Radiograph, check_size, one_channel, reason

FRONTAL = frozenset({"AP", "PA", "FRONTAL"})
LATERAL = frozenset({"LL", "RL", "LAT", "LATERAL", "LLD", "RLD", "ML", "LM"})
OBLIQUE = frozenset({"RLO", "LLO", "OBL", "OBLIQUE"})
_BARE = (b"\x02\x00", b"\x08\x00")  # groups that a file without a preamble starts with
_WIDEST_TABLE = 1 << 17


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
        _check_image(dataset, name, limits)
        stored = dataset.pixel_array
        grey = _grey(dataset, stored, notes)
        spacing, attributes = _spacing(dataset, notes), _attributes(dataset)
    except (FilmError, KeyboardInterrupt, SystemExit):
        raise
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


def _check_image(dataset: Dataset, name: str, limits: Limits) -> None:
    if "PixelData" not in dataset or "Rows" not in dataset or "Columns" not in dataset:
        raise FilmError(name, "a DICOM data set without an image (or cut before it)", "export the radiograph itself")
    if (frames := int(dataset.get("NumberOfFrames") or 1)) > 1:
        raise FilmError(name, f"holds {frames} frames", "export one radiograph per file")
    columns, rows = int(dataset.Columns), int(dataset.Rows)
    check_size(columns, rows, name, limits)
    if not dataset.file_meta.TransferSyntaxUID.is_encapsulated:
        return
    stream = get_frame(dataset.PixelData, 0, number_of_frames=1)
    inside = _stream_size(stream)
    if inside is not None and inside != (columns, rows):
        what = f"the header says {columns} x {rows} pixels, the compressed image {inside[0]} x {inside[1]}"
        raise FilmError(name, what, "export it again")
    if stream[:2] == b"\xff\xd8" and b"\xff\xd9" not in stream[-16:]:
        raise FilmError(name, "truncated: the end of the compressed image is missing", "copy it again from its source")


def _stream_size(stream: bytes) -> tuple[int, int] | None:
    """(columns, rows) in the header of a JPEG, JPEG-LS or JPEG 2000 stream; None where there is none."""
    if (size := stream.find(b"\xff\x4f\xff\x51")) >= 0 and size < 256:
        right, low, left, high = struct.unpack(">4I", stream[size + 8 : size + 24])
        return right - left, low - high
    if stream[:2] != b"\xff\xd8":
        return None
    place = 2
    while place + 9 <= len(stream):
        marker, length = stream[place + 1], struct.unpack(">H", stream[place + 2 : place + 4])[0]
        if stream[place] != 0xFF:
            break
        if marker == 0xF7 or (0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC)):
            rows, columns = struct.unpack(">2H", stream[place + 5 : place + 9])
            return columns, rows
        place += 2 + length
    return None


# --- stored values to grey --------------------------------------------------------------------------------------------


def _grey(dataset: Dataset, stored: NDArray[Any], notes: list[str]) -> Grey:
    """Stored values to 8-bit grey, dense parts bright."""
    photometric = str(dataset.get("PhotometricInterpretation", "MONOCHROME2"))
    if photometric == "PALETTE COLOR":
        stored = apply_color_lut(stored, dataset)
    if stored.ndim == 3 and stored.shape[2] >= 3:
        one = one_channel(stored, notes)
        return np.asarray(one if one.dtype == np.uint8 else one >> (8 * one.dtype.itemsize - 8), dtype=np.uint8)
    if stored.ndim != 2:
        raise ValueError(f"an image of shape {stored.shape}")
    low, high = int(stored.min()), int(stored.max())
    if high - low > _WIDEST_TABLE:
        grey = _display(dataset, stored, stored, notes)
    else:
        # every step works value by value: done once per value that occurs, not once per pixel
        table = _display(dataset, np.arange(low, high + 1).astype(stored.dtype), stored, notes)
        grey = table[stored - low if low else stored]
    if photometric == "MONOCHROME1":
        notes.append("MONOCHROME1: inverted")
        grey = 255 - grey
    padding = dataset.get("PixelPaddingValue")
    if isinstance(padding, int) and low <= padding <= high:
        notes.append("padding shown black")
        grey = np.where(stored == padding, np.uint8(0), grey)
    return np.ascontiguousarray(grey, dtype=np.uint8)


def _display(dataset: Dataset, values: NDArray[Any], stored: NDArray[Any], notes: list[str]) -> Grey:
    """Modality transformation, then the first VOI LUT or window, else the full range, of stored values."""
    modality = apply_modality_lut(values, dataset)
    if "ModalityLUTSequence" in dataset:
        notes.append("modality LUT applied")
    if dataset.get("VOILUTSequence"):
        notes.append(f"first of {len(dataset.VOILUTSequence)} VOI LUTs")
        bits = int(dataset.VOILUTSequence[0].LUTDescriptor[2])
        return _to_8_bits(apply_voi(modality.astype(np.int64), dataset, index=0) / (2.0**bits - 1))
    centre, width = _first(dataset.get("WindowCenter")), _first(dataset.get("WindowWidth"))
    if centre is not None and width is not None and width >= 1:
        notes.append(f"first of {_count(dataset.get('WindowCenter'))} windows: centre {centre:g}, width {width:g}")
        function = str(dataset.get("VOILUTFunction", "LINEAR"))
        return _to_8_bits(_windowed(modality.astype(np.float64), centre, width, function))
    plain = not {"ModalityLUTSequence", "RescaleSlope"} & set(dataset.dir())
    if plain and int(dataset.get("BitsStored", 16)) == 8 and values.dtype == np.uint8:
        notes.append("no window: 8 bits as stored")
        return values
    notes.append("no window: the film's own range")
    floats = modality.astype(np.float64)
    span = float(floats.max() - floats.min())
    return _to_8_bits((floats - floats.min()) / (span or 1.0))


def _to_8_bits(share: NDArray[Any]) -> Grey:
    return np.rint(np.clip(share, 0, 1) * 255).astype(np.uint8)


def _windowed(values: NDArray[np.float64], centre: float, width: float, function: str) -> NDArray[np.float64]:
    """Windowed values in [0, 1]: the three functions of DICOM PS3.3 C.11.2.1.2 and C.11.2.1.3."""
    if function == "SIGMOID":
        return 1 / (1 + np.exp(np.clip(-4 * (values - centre) / width, -700, 700)))
    if function == "LINEAR_EXACT":
        return (values - centre) / width + 0.5
    return (values - (centre - 0.5)) / max(width - 1, 1e-9) + 0.5


def _first(value: Any) -> float | None:
    """The first of one or several numbers."""
    if value is None or value == "":
        return None
    number = float(value[0] if isinstance(value, list | tuple | pydicom.multival.MultiValue) else value)
    return number if np.isfinite(number) else None


def _count(value: Any) -> int:
    return len(value) if isinstance(value, pydicom.multival.MultiValue) else 1


# --- what may leave the file ------------------------------------------------------------------------------------------


def _spacing(dataset: Dataset, notes: list[str]) -> float | None:
    """Distance of rows in mm: calibrated where the file says so, else at the detector."""
    for keyword in ("PixelSpacing", "ImagerPixelSpacing"):
        value = dataset.get(keyword)
        if value and len(value) == 2 and float(value[0]) > 0:
            if abs(float(value[0]) / max(float(value[1]), 1e-9) - 1) > 0.01:
                notes.append("rows and columns are spaced differently")
            if keyword == "ImagerPixelSpacing":
                notes.append("spacing at the detector, not at the bone")
            return float(value[0])
    return None


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
