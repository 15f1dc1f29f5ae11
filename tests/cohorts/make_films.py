"""Small films in the formats that are read, as bytes."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    ComputedRadiographyImageStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    RLELossless,
)

RAMP = np.arange(48 * 64, dtype=np.uint16).reshape(48, 64)  # 0 .. 3071: 12 bits
CASES = Path(__file__).parent / "cases"
COMPRESSED = (RLELossless, JPEG2000Lossless)
FILM = np.random.default_rng(0).integers(0, 256, (40, 56), dtype=np.uint8)


def encoded(pixels: np.ndarray, kind: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind, **options)
    return file.getvalue()


def dicom(
    pixels: np.ndarray = RAMP,
    syntax: str = ExplicitVRLittleEndian,
    preamble: bool = True,
    change: Callable[[Dataset], None] = lambda dataset: None,
    **values: object,
) -> bytes:
    """A small CR image; `values` override or add elements by keyword, None removes; `change` alters it last."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian if syntax in COMPRESSED else syntax
    meta.MediaStorageSOPClassUID = ComputedRadiographyImageStorage
    meta.MediaStorageSOPInstanceUID = "1.2.3"
    dataset = Dataset()
    dataset.file_meta = meta
    stored = 8 if pixels.dtype.itemsize == 1 else 12
    elements = {
        "SOPClassUID": ComputedRadiographyImageStorage,
        "SOPInstanceUID": "1.2.3",
        "Modality": "CR",
        "Rows": pixels.shape[0],
        "Columns": pixels.shape[1],
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "BitsAllocated": 8 * pixels.dtype.itemsize,
        "BitsStored": stored,
        "HighBit": stored - 1,
        "PixelRepresentation": int(pixels.dtype.kind == "i"),
        "PixelData": pixels.astype(pixels.dtype.newbyteorder(">" if syntax == ExplicitVRBigEndian else "<")).tobytes(),
        **values,
    }
    for keyword, value in elements.items():
        if value is not None:
            setattr(dataset, keyword, value)
    change(dataset)
    if syntax in COMPRESSED:
        dataset.compress(syntax, generate_instance_uid=False)
    file = io.BytesIO()
    if preamble:
        dataset.save_as(file, enforce_file_format=True)
    else:
        del dataset.file_meta
        dataset.save_as(file, implicit_vr=True, little_endian=True)
    return file.getvalue()


def tiff(pixels: np.ndarray, order: str = "<", white_is_zero: bool = False, orientation: int = 1) -> bytes:
    """An uncompressed TIFF of one strip (TIFF 6.0, sections 2 to 4 and 6); `order` is '<' (II) or '>' (MM)."""
    samples = 1 if pixels.ndim == 2 else pixels.shape[2]
    data = pixels.astype(pixels.dtype.newbyteorder(order)).tobytes()
    photometric = 2 if samples == 3 else 0 if white_is_zero else 1
    form = {"u": 1, "i": 2, "f": 3}[pixels.dtype.kind]
    tags = {
        256: ("H", [pixels.shape[1]]),
        257: ("H", [pixels.shape[0]]),
        258: ("H", [8 * pixels.dtype.itemsize] * samples),
        259: ("H", [1]),
        262: ("H", [photometric]),
        273: ("I", [8]),
        274: ("H", [orientation]),
        277: ("H", [samples]),
        278: ("H", [pixels.shape[0]]),
        279: ("I", [len(data)]),
        339: ("H", [form] * samples),
    }
    start = 8 + len(data)
    entries, elsewhere = b"", b""
    for tag, (code, values) in tags.items():
        value = struct.pack(f"{order}{len(values)}{code}", *values)
        if len(value) > 4:
            place = start + 2 + 12 * len(tags) + 4 + len(elsewhere)
            elsewhere, value = elsewhere + value, struct.pack(f"{order}I", place)
        kind = {"H": 3, "I": 4}[code]
        entries += struct.pack(f"{order}HHI", tag, kind, len(values)) + value.ljust(4, b"\0")
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", start)
    return head + data + struct.pack(f"{order}H", len(tags)) + entries + bytes(4) + elsewhere
