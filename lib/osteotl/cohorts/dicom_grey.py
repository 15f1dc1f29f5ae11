"""Stored values of a DICOM image to 8-bit grey: PS3.3 C.7.6.3 (pixels, palettes), C.11.1 (modality), C.11.2 (VOI)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.pixels import apply_color_lut

from osteotl.cohorts.film import BadTable, Grey, one_channel

_WIDEST_TABLE = 1 << 17
_COLOURS = ("Red", "Green", "Blue")
Values = NDArray[np.float64]


def numbers(dataset: Dataset, keyword: str) -> list[float]:
    """Numbers of an element, NaN for each that is none; empty where the element is absent or empty."""
    try:
        value = dataset.get(keyword)
    except Exception:  # pydicom raises what float() and its own validation raise on foreign text
        raw = dataset.get_item(keyword)
        value = bytes(getattr(raw, "value", b"") or b"?").decode("ascii", "replace").split("\\")
    if value is None or value == "":
        return []
    return [_number(one) for one in (value if isinstance(value, list | tuple | MultiValue) else [value])]


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return float("nan")


def grey_levels(dataset: Dataset, cells: NDArray[Any], precision: int | None, notes: list[str]) -> Grey:
    """8-bit grey, dense parts bright, of a decoded DICOM image.

    Parameters
    ----------
    dataset : Dataset
        The image's elements.
    cells : array
        Pixel cells as decoded, unused bits included: height x width, or height x width x 3 for RGB.
    precision : int or None
        Bits of a sample in the compressed stream; None where pixels are not compressed.
    notes : list of str
        What was decided is added.

    Returns
    -------
    uint8 array, height x width

    Raises
    ------
    BadTable
        A lookup table whose data do not fit its descriptor.
    """
    if cells.dtype.byteorder not in "=|":
        cells = cells.astype(cells.dtype.newbyteorder("="))
    photometric = str(dataset.get("PhotometricInterpretation") or "MONOCHROME2").strip().upper()
    if cells.ndim == 3 and cells.shape[2] >= 3:
        return _to_8_bits(one_channel(cells, notes) / (2.0 ** int(dataset.get("BitsStored") or 8) - 1))
    if cells.ndim != 2:
        raise ValueError(f"an image of shape {cells.shape}")
    stored = stored_values(dataset, cells, precision, notes)
    if photometric == "PALETTE COLOR":
        return _palette(dataset, stored.values, notes)
    padding = _padding(dataset, cells, stored)
    if padding is not None:
        notes.append("padding shown black")
    _say_what_was_cut(dataset, stored, padding, notes)
    kept = stored.values if padding is None else stored.values[~padding]
    grey = _mapped(dataset, stored, kept, notes) if kept.size else np.zeros(cells.shape, np.uint8)
    if photometric == "MONOCHROME1":
        notes.append("MONOCHROME1: inverted")
        grey = 255 - grey
    return grey if padding is None else np.where(padding, np.uint8(0), grey)


def _mapped(dataset: Dataset, stored: Stored, kept: NDArray[Any], notes: list[str]) -> Grey:
    """Grey of every pixel; each step is done once per value that occurs, not once per pixel."""
    low, high = int(kept.min()), int(kept.max())
    if high - low > _WIDEST_TABLE:
        values = np.unique(kept)
        shown = _display(dataset, values, stored, notes)
        return shown[np.searchsorted(values, np.clip(stored.values, low, high))]
    occurs = np.zeros(high - low + 1, dtype=bool)
    occurs[kept - low] = True
    table = np.zeros(high - low + 1, dtype=np.uint8)
    table[occurs] = _display(dataset, np.flatnonzero(occurs) + low, stored, notes)
    return table[np.clip(stored.values, low, high) - low]


def _to_8_bits(share: NDArray[Any]) -> Grey:
    return np.rint(np.clip(share, 0, 1) * 255).astype(np.uint8)


# --- pixel cells to stored values (PS3.5 8.1.1) -----------------------------------------------------------------------


@dataclass(frozen=True)
class Stored:
    """Stored values: `bits` wide, `signed` or not; `cut` marks cells that hold more than them."""

    values: NDArray[Any]
    bits: int
    signed: bool
    cut: NDArray[np.bool_] | None


def stored_values(dataset: Dataset, cells: NDArray[Any], precision: int | None, notes: list[str]) -> Stored:
    """The stored bits alone, at their place and with their sign: what else a cell holds (overlays) is no grey.

    Parameters are those of `grey_levels`: dataset, cells (height x width), precision, notes.
    """
    raw = np.ascontiguousarray(cells).view(f"u{cells.dtype.itemsize}")
    width = min(precision or 64, 8 * raw.dtype.itemsize)
    bits = min(int(dataset.get("BitsStored") or width), width)
    shift = _shift(dataset, raw, bits, width, notes)
    values = (raw >> raw.dtype.type(shift)).astype(np.int64 if raw.dtype.itemsize > 2 else np.int32)
    above = values >> bits
    values &= (1 << bits) - 1
    signed = int(dataset.get("PixelRepresentation") or 0) == 1
    cut = above != 0
    if signed:
        # sign extension above the stored bits is no foreign content
        cut &= (above != (1 << (8 * raw.dtype.itemsize - bits - shift)) - 1) | (values >> (bits - 1) == 0)
        values = (values ^ (1 << (bits - 1))) - (1 << (bits - 1))
    return Stored(values, bits, signed, cut if cut.any() else None)


def _shift(dataset: Dataset, raw: NDArray[Any], bits: int, width: int, notes: list[str]) -> int:
    """How far the stored bits lie above the lowest bit."""
    (high,) = numbers(dataset, "HighBit")[:1] or [bits - 1.0]
    if not bits - 1 < high < width:
        if high != int(dataset.get("BitsStored") or bits) - 1:  # PS3.5 8.1.1: one less than the bits stored
            notes.append(f"bits contradict each other: high bit {high:g}, {bits} bits read from the lowest")
        return 0
    shift = int(high) + 1 - bits
    if int(raw.max()) < 1 << bits and (raw & raw.dtype.type((1 << shift) - 1)).any():
        notes.append(f"high bit not believed: it says {high:.0f}, but the {bits} stored bits lie lowest")
        return 0
    notes.append(f"stored bits moved down: high bit {high:.0f}, {bits} bits stored")
    return shift


def _say_what_was_cut(dataset: Dataset, stored: Stored, padding: NDArray[Any] | None, notes: list[str]) -> None:
    if stored.cut is None or not (stored.cut if padding is None else stored.cut & ~padding).any():
        return
    overlays = [dataset.get((group, 0x0102)) for group in range(0x6000, 0x6020, 2)]  # Overlay Bit Position
    if any(place is not None and place.value for place in overlays):
        notes.append("overlay in the pixels left out")
    else:
        notes.append(f"values above the stored bits left out: {stored.bits} bits stored")


def _padding(dataset: Dataset, cells: NDArray[Any], stored: Stored) -> NDArray[np.bool_] | None:
    """Pixels outside the film (PS3.3 C.7.5.1.1.2), a value or a range, written with either sign; None without any."""
    ends = [numbers(dataset, name)[:1] for name in ("PixelPaddingValue", "PixelPaddingRangeLimit")]
    written = [int(value) for end in ends for value in end if np.isfinite(value)]
    if not ends[0] or not written:
        return None
    found, values = [_fitting(value, stored.bits, stored.signed) for value in written], stored.values
    if found[0] is None:  # a value that the stored bits cannot hold fills the whole cell
        width = 8 * cells.dtype.itemsize
        found, values = [_fitting(value, width, stored.signed) for value in written], cells
    limits = [value for value in found if value is not None]
    if found[0] is None:
        return None
    padding = (values >= min(limits)) & (values <= max(limits))
    return padding if padding.any() else None


def _fitting(value: int, bits: int, signed: bool) -> int | None:
    """A value as stored values of these bits can hold it: as it is, else read with the other sign."""
    low = -(1 << (bits - 1)) if signed else 0
    candidates = [value]
    for width in (16, bits):
        half = 1 << (width - 1)
        if signed and half <= value < 2 * half:
            candidates.append(value - 2 * half)
        elif not signed and -half <= value < 0:
            candidates.append(value + 2 * half)
    return next((one for one in candidates if low <= one < low + (1 << bits)), None)


# --- stored values to grey (PS3.3 C.11.1, C.11.2) ---------------------------------------------------------------------


def _display(dataset: Dataset, values: NDArray[Any], stored: Stored, notes: list[str]) -> Grey:
    """Modality transformation, then the first VOI LUT or window, else the full range, of the values that occur."""
    modality = _modality(dataset, values, notes)
    rescaled = values.astype(np.float64) if modality is None else modality
    if modality is None:
        pass  # VOI LUT and windows are meant for rescaled values
    elif dataset.get("VOILUTSequence"):
        notes.append(f"VOI LUT applied: first of {len(dataset.VOILUTSequence)}")
        table = _table(dataset, dataset.VOILUTSequence[0], "VOI LUT")
        return _to_8_bits(table.of(rescaled) / _top([table], "VOI LUT", notes))
    elif (window := _window(dataset, notes)) is not None:
        return _to_8_bits(_windowed(rescaled, *window))
    if stored.bits == 8 and not stored.signed and np.array_equal(rescaled, values):
        notes.append("shown as stored: 8 bits, no window")
        return values.astype(np.uint8)
    notes.append("shown by its own range: no window")
    span = float(rescaled.max() - rescaled.min())
    return _to_8_bits((rescaled - rescaled.min()) / (span or 1.0))


def _modality(dataset: Dataset, values: NDArray[Any], notes: list[str]) -> Values | None:
    """Values after modality LUT or rescale; None where the rescale cannot be used."""
    if dataset.get("ModalityLUTSequence"):
        notes.append("modality LUT applied")
        return _table(dataset, dataset.ModalityLUTSequence[0], "modality LUT").of(values.astype(np.float64))
    (slope,) = numbers(dataset, "RescaleSlope")[:1] or [1.0]
    (intercept,) = numbers(dataset, "RescaleIntercept")[:1] or [0.0]
    with np.errstate(all="ignore"):
        rescaled = values * slope + intercept
    if slope == 0 or not np.isfinite(rescaled).all():
        notes.append("rescale left out: slope or intercept cannot be used, nor VOI LUT and windows without them")
        return None
    return rescaled


def _window(dataset: Dataset, notes: list[str]) -> tuple[float, float, str] | None:
    """Centre, width and function of the first window that can be used."""
    centres, widths = numbers(dataset, "WindowCenter"), numbers(dataset, "WindowWidth")
    if not centres and not widths:
        return None
    function = str(dataset.get("VOILUTFunction") or "LINEAR").strip().upper().replace(" ", "_")
    if function not in ("LINEAR", "LINEAR_EXACT", "SIGMOID"):
        notes.append("unknown window function: taken as LINEAR")
        function = "LINEAR"
    pairs = list(zip(centres, widths, strict=False))
    for place, (centre, width) in enumerate(pairs, 1):
        if np.isfinite(centre + width) and (width >= 1 or (width > 0 and function != "LINEAR")):
            said = "" if function == "LINEAR" else f", {function}"
            which = "first" if place == 1 else f"number {place}"
            notes.append(f"window applied: {which} of {len(pairs)}, centre {centre:g}, width {width:g}{said}")
            return centre, width, function
    why = (
        f"a width of {pairs[0][1]:g} cannot be"
        if pairs and np.isfinite(sum(pairs[0]))
        else "centre or width is no number"
    )
    notes.append(f"window left out: {why}")
    return None


def _windowed(values: Values, centre: float, width: float, function: str) -> Values:
    """Windowed values, grey where they lie in [0, 1]: PS3.3 C.11.2.1.2.1 and C.11.2.1.3."""
    if function == "SIGMOID":
        return 1 / (1 + np.exp(np.clip(-4 * (values - centre) / width, -700, 700)))
    if function == "LINEAR_EXACT":
        return (values - centre) / width + 0.5
    if width == 1:
        return (values > centre - 0.5).astype(np.float64)
    return (values - (centre - 0.5)) / (width - 1) + 0.5


# --- lookup tables (PS3.3 C.11.1.1, C.11.2.1.1, C.7.6.3.1.5) ----------------------------------------------------------


@dataclass(frozen=True)
class Table:
    """Entries of a lookup table, the input of the first, and the bits that the descriptor states."""

    entries: NDArray[np.uint16]
    first: int
    bits: int

    def of(self, values: Values) -> Values:
        """Entries of values; those outside the table take its first or last."""
        first, size = self.first, len(self.entries)
        low, high = values.min(), values.max()
        # the first input may be written with the other sign: then the table lies where there is no value
        for other in (first - (1 << 16), first + (1 << 16)):
            if not (first <= high and first + size > low) and other <= high and other + size > low:
                first = other
        places = np.clip(np.rint(values) - first, 0, size - 1).astype(np.int64)
        return self.entries[places].astype(np.float64)


def _table(dataset: Dataset, item: Dataset, name: str, colour: str = "") -> Table:
    prefix = f"{colour}PaletteColorLookupTable" if colour else "LUT"
    descriptor = numbers(item, f"{prefix}Descriptor")
    if len(descriptor) != 3 or not np.isfinite(descriptor).all():
        raise BadTable(f"the descriptor of its {name} does not hold three numbers")
    size, first, bits = int(descriptor[0]) & 0xFFFF or 1 << 16, int(descriptor[1]), int(descriptor[2])
    data = item.get(f"{prefix}Data")
    if data is None or data == b"":
        raise BadTable(f"its {name} holds no data")
    little = dataset.file_meta.TransferSyntaxUID.is_little_endian
    return Table(_entries(data, size, little, name), first, bits)


def _entries(data: Any, size: int, little: bool, name: str) -> NDArray[np.uint16]:
    """Entries of one word each, or of one byte each, two a word with the first in the low byte."""
    if isinstance(data, bytes):
        words = np.frombuffer(data[: len(data) // 2 * 2], dtype="<u2" if little else ">u2")
    else:
        listed = np.atleast_1d(np.asarray(data, dtype=np.int64))
        words = (listed & 0xFFFF).astype("<u2")  # data written as SS hold large entries as negative numbers
    if len(words) >= size:
        return words[:size].astype(np.uint16)
    if len(words) == (size + 1) // 2:
        return words.astype("<u2").view(np.uint8)[:size].astype(np.uint16)
    raise BadTable(f"its {name} holds {2 * len(words):,} bytes, its descriptor says {size:,} entries")


def _top(tables: list[Table], name: str, notes: list[str]) -> float:
    """What is shown white: the largest number of the stated bits, or of those that the data need."""
    stated, used = tables[0].bits, max(int(max(table.entries.max() for table in tables)).bit_length(), 1)
    if used != stated:
        notes.append(f"{name} scaled by its data: {used} bits used, {stated} stated")
    return 2.0**used - 1


def _palette(dataset: Dataset, values: NDArray[Any], notes: list[str]) -> Grey:
    """Grey of palette colours."""
    notes.append("palette applied")
    if "RedPaletteColorLookupTableData" not in dataset and "SegmentedRedPaletteColorLookupTableData" in dataset:
        bits = int(dataset.RedPaletteColorLookupTableDescriptor[2])
        return _to_8_bits(one_channel(apply_color_lut(values, dataset), notes) / (2.0**bits - 1))
    tables = [_table(dataset, dataset, f"{colour.lower()} palette", colour) for colour in _COLOURS]
    low, high = int(values.min()), int(values.max())
    if high - low > _WIDEST_TABLE:
        raise BadTable("its palette is for values of at most 16 bits")
    inputs = np.arange(low, high + 1, dtype=np.float64)
    colours = np.stack([table.of(inputs) for table in tables], axis=-1)
    table = _to_8_bits(one_channel(colours[None], notes)[0] / _top(tables, "palette", notes))
    return table[values - low]
