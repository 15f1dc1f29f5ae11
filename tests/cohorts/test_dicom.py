"""Every grey level of small DICOM films, against the formulas of DICOM PS3.3 written out here, value by value."""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    RLELossless,
)

from cohorts.make_films import CASES, dicom
from osteotl.cohorts.film import FilmError, Radiograph
from osteotl.cohorts.radiograph import decode, read_radiograph

pytestmark = pytest.mark.filterwarnings("ignore:Invalid value for VR CS")  # what foreign programs write, on purpose
RNG = np.random.default_rng(11)
HEIGHT, WIDTH = 32, 40  # JPEG 2000 takes no smaller sides
Formula = Callable[[float], float]


# --- the standard's formulas ------------------------------------------------------------------------------------------


def linear(centre: float, width: float) -> Formula:
    """C.11.2.1.2.1, equation C.11-1, output 0 to 255."""

    def output(x: float) -> float:
        if x <= centre - 0.5 - (width - 1) / 2:
            return 0
        if x > centre - 0.5 + (width - 1) / 2:
            return 255
        return ((x - (centre - 0.5)) / (width - 1) + 0.5) * 255

    return output


def linear_exact(centre: float, width: float) -> Formula:
    """C.11.2.1.3.2."""

    def output(x: float) -> float:
        if x <= centre - width / 2:
            return 0
        if x > centre + width / 2:
            return 255
        return ((x - centre) / width + 0.5) * 255

    return output


def sigmoid(centre: float, width: float) -> Formula:
    """C.11.2.1.3.1."""

    def output(x: float) -> float:
        power = -4 * (x - centre) / width
        return 255 / (1 + math.exp(power)) if power < 700 else 0

    return output


def looked_up(entries: list[int], first: int) -> Callable[[int], int]:
    """C.11.1.1.1 and C.11.2.1.1: inputs before the first take the first entry, those behind the last the last."""
    return lambda x: entries[0] if x < first else entries[-1] if x >= first + len(entries) else entries[x - first]


def own_range(values: np.ndarray) -> Formula:
    """Without window: our rule, from the smallest to the largest value of the film."""
    low, high = int(values.min()), int(values.max())
    return lambda x: (x - low) / (high - low) * 255


def each(values: np.ndarray, formula: Callable[[int], float]) -> np.ndarray:
    return np.array([formula(int(x)) for x in values.ravel()], dtype=float).reshape(values.shape)


def same_levels(content: bytes, expected: np.ndarray) -> Radiograph:
    """Every pixel is the expected grey, rounded to the nearest."""
    film = decode(content, "film.dcm")
    assert np.abs(film.pixels.astype(float) - expected).max() <= 0.5 + 1e-9
    return film


# --- films ------------------------------------------------------------------------------------------------------------


def ramp(bits: int, signed: bool = False) -> np.ndarray:
    """Values over the whole range of these bits, both ends included."""
    low = -(1 << (bits - 1)) if signed else 0
    values = np.linspace(low, low + (1 << bits) - 1, HEIGHT * WIDTH).round().astype(np.int64)
    return RNG.permutation(values).reshape(HEIGHT, WIDTH)


def packed(values: np.ndarray, bits: int, allocated: int, high: int, junk: bool = False) -> np.ndarray:
    """Stored values in their cells (PS3.5 8.1.1); `junk` fills the unused bits as overlays do."""
    low = high + 1 - bits
    cells = (values & ((1 << bits) - 1)) << low
    if junk:
        unused = ((1 << allocated) - 1) & ~(((1 << bits) - 1) << low)
        cells |= RNG.integers(0, 1 << allocated, values.shape) & unused
    return cells.astype(f"<u{allocated // 8}")


def film_of(
    values: np.ndarray,
    bits: int = 12,
    allocated: int = 16,
    high: int | None = None,
    signed: bool = False,
    **more: object,
) -> bytes:
    junk = bool(more.pop("junk", False))
    high = bits - 1 if high is None else high
    cells = packed(values, bits, allocated, high, junk)
    return dicom(cells, BitsStored=bits, HighBit=high, PixelRepresentation=int(signed), **more)


def window(centre: float, width: float, function: str | None = None) -> dict[str, object]:
    return {"WindowCenter": centre, "WindowWidth": width, "VOILUTFunction": function}


def table(entries: np.ndarray, bits: int, first: int = 0, vr: str = "OW", packed8: bool = False) -> Dataset:
    """A modality or VOI LUT item; `vr` is that of its data, `packed8` puts two entries into a word."""
    item = Dataset()
    signed = first < 0
    item.add_new("LUTDescriptor", "SS" if signed else "US", [len(entries) & 0xFFFF, first, bits])
    data: object = entries.astype("u1" if packed8 else "<u2").tobytes()
    if vr == "US":
        data = [int(x) for x in entries]
    elif vr == "SS":
        data = [int(x) for x in entries.astype(np.uint16).astype(np.int16)]
    item.add_new("LUTData", vr, data)
    return item


# --- pixel cells (C.7.6.3.1, PS3.5 8.1.1) -----------------------------------------------------------------------------

LAYOUTS = [
    # bits stored, bits allocated, high bit, signed
    (8, 8, 7, False), (8, 8, 7, True), (7, 8, 6, False), (6, 8, 7, False), (8, 16, 7, False), (8, 16, 15, False),
    (10, 16, 9, False), (10, 16, 9, True), (12, 16, 11, False), (12, 16, 11, True), (12, 16, 13, False),
    (12, 16, 15, False), (12, 16, 15, True), (14, 16, 13, False), (14, 16, 15, True), (16, 16, 15, False),
    (16, 16, 15, True), (16, 32, 15, True), (20, 32, 19, False), (24, 32, 31, True),
]  # fmt: skip


@pytest.mark.parametrize("junk", [False, True], ids=["", "overlay"])
@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda x: "-".join(map(str, x)))
def test_stored_bits_at_any_place_and_sign(layout: tuple[int, int, int, bool], junk: bool) -> None:
    bits, allocated, high, signed = layout
    values = ramp(bits, signed)
    middle, span = int(values.min()) + (1 << bits) // 2, 1 << bits
    same_levels(
        film_of(values, bits, allocated, high, signed, junk=junk, **window(middle, span)),
        each(values, linear(middle, span)),
    )
    as_stored = bits == 8 and not signed  # our rule for 8 bits without a window
    same_levels(
        film_of(values, bits, allocated, high, signed, junk=junk),
        values if as_stored else each(values, own_range(values)),
    )


def test_sign_extension_is_no_foreign_content() -> None:
    values = ramp(12, signed=True)
    content = dicom(values.astype("<i2"), BitsStored=12, HighBit=11, PixelRepresentation=1, **window(0, 4096))
    film = same_levels(content, each(values, linear(0, 4096)))
    assert not any("stored bits" in note for note in film.notes)


def test_what_lies_beside_the_stored_bits_is_said() -> None:
    values = ramp(12)
    plain = decode(film_of(values, junk=True), "film").notes
    assert "values above the stored bits left out: 12 bits stored" in plain

    def with_overlay(dataset: Dataset) -> None:
        dataset.add_new((0x6000, 0x0100), "US", 16)
        dataset.add_new((0x6000, 0x0102), "US", 12)

    declared = decode(film_of(values, junk=True, change=with_overlay), "film").notes
    assert "overlay in the pixels left out" in declared
    moved = decode(film_of(values, high=15), "film").notes
    assert "stored bits moved down: high bit 15, 12 bits stored" in moved


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize(("bits", "high"), [(16, 11), (16, 0), (12, 7), (12, 31), (10, 16), (8, 2)])
def test_a_high_bit_that_the_bits_stored_contradict_is_said(bits: int, high: int, signed: bool) -> None:
    """PS3.5 8.1.1: the high bit is one less than the bits stored, which lie lowest; nothing else can be read."""
    values = ramp(bits, signed)
    middle, span = int(values.min()) + (1 << bits) // 2, 1 << bits
    cells = packed(values, bits, 16, bits - 1)
    more = {"BitsStored": bits, "HighBit": high, "PixelRepresentation": int(signed)}
    film = same_levels(dicom(cells, **more, **window(middle, span)), each(values, linear(middle, span)))
    assert f"bits contradict each other: high bit {high}, {bits} bits read from the lowest" in film.notes
    assert not any("moved" in note for note in film.notes)


def test_a_high_bit_that_the_pixels_contradict_is_not_believed() -> None:
    values = ramp(12)
    film = same_levels(
        dicom(values.astype("<u2"), BitsStored=12, HighBit=15, **window(2048, 4096)), each(values, linear(2048, 4096))
    )
    assert "high bit not believed: it says 15, but the 12 stored bits lie lowest" in film.notes


@pytest.mark.parametrize(
    "syntax",
    [ImplicitVRLittleEndian, ExplicitVRLittleEndian, DeflatedExplicitVRLittleEndian, RLELossless, JPEG2000Lossless],
)
@pytest.mark.parametrize(("bits", "high", "signed"), [(12, 11, False), (12, 11, True), (16, 15, True), (12, 15, False)])
def test_layouts_in_other_transfer_syntaxes(syntax: str, bits: int, high: int, signed: bool) -> None:
    values = ramp(bits, signed)
    middle = int(values.min()) + (1 << bits) // 2
    if syntax == JPEG2000Lossless and high != bits - 1:
        content = in_16_bits_of_jpeg2000(packed(values, bits, 16, high), bits, high, **window(middle, 1 << bits))
    else:
        content = film_of(values, bits, 16, high, signed, syntax=syntax, **window(middle, 1 << bits))
    same_levels(content, each(values, linear(middle, 1 << bits)))


def in_16_bits_of_jpeg2000(cells: np.ndarray, bits: int, high: int, **more: object) -> bytes:
    """Whole cells of 16 bits compressed, as devices do that keep an overlay in them; the header states fewer bits."""
    content = dicom(cells, JPEG2000Lossless, BitsStored=16, HighBit=15, **more)
    dataset = pydicom.dcmread(io.BytesIO(content))
    dataset.BitsStored, dataset.HighBit = bits, high
    file = io.BytesIO()
    dataset.save_as(file)
    return file.getvalue()


def test_overlay_bits_within_jpeg_2000() -> None:
    values = ramp(12)
    cells = packed(values, 12, 16, 11, junk=True)
    same_levels(in_16_bits_of_jpeg2000(cells, 12, 11, **window(2048, 4096)), each(values, linear(2048, 4096)))


@pytest.mark.parametrize(("bits", "signed"), [(12, False), (12, True), (16, True)])
def test_big_endian(bits: int, signed: bool) -> None:
    values = ramp(bits, signed)
    entries = np.arange(4095, -1, -1)
    item = table(entries, 12, int(values.min()))
    item.LUTData = entries.astype(">u2").tobytes()
    content = film_of(values, bits, signed=signed, syntax=ExplicitVRBigEndian, VOILUTSequence=Sequence([item]))
    found = looked_up(entries.tolist(), int(values.min()))
    same_levels(content, each(values, lambda x: found(x) / 4095 * 255))


# --- modality (C.11.1) ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("slope", "intercept"), [(1, 0), (2, -100), (-1, 4095), (0.5, 3), (1, -1024)])
@pytest.mark.parametrize("windowed", [True, False])
def test_rescale(slope: float, intercept: float, windowed: bool) -> None:
    values = ramp(12)
    rescale = {"RescaleSlope": slope, "RescaleIntercept": intercept}
    ends = (intercept, 4095 * slope + intercept)
    if windowed:
        content, shown = film_of(values, **rescale, **window(900, 1500)), linear(900, 1500)
    else:
        content, shown = film_of(values, **rescale), lambda x: (x - min(ends)) / (max(ends) - min(ends)) * 255
    same_levels(content, each(values, lambda x: shown(x * slope + intercept)))


@pytest.mark.parametrize(("bits", "signed"), [(8, False), (12, False), (8, True)])
def test_an_identity_rescale_changes_nothing(bits: int, signed: bool) -> None:
    values = ramp(bits, signed) // 2  # not the whole range: stretched and stored differ
    plain = decode(film_of(values, bits, signed=signed), "film")
    for same in (
        film_of(values, bits, signed=signed, RescaleSlope="1", RescaleIntercept="0"),
        film_of(values, bits, signed=signed, RescaleSlope="1.000000", RescaleIntercept="-0.0", RescaleType="US"),
        film_of(values, bits, 32 if bits > 8 else 16, signed=signed),
        film_of(values, bits, high=15, signed=signed),
    ):
        np.testing.assert_array_equal(decode(same, "film").pixels, plain.pixels)
    if bits == 8 and not signed:
        np.testing.assert_array_equal(plain.pixels, values)


@pytest.mark.parametrize("vr", ["OW", "US", "SS"])
@pytest.mark.parametrize(("bits", "first"), [(16, 0), (12, 0), (12, 500), (10, 0), (8, 100)])
def test_modality_luts(bits: int, first: int, vr: str) -> None:
    values = ramp(12)
    entries = np.linspace((1 << bits) - 1, 0, 3000).round().astype(np.int64)
    item = table(entries, bits, first, vr)
    item.ModalityLUTType = "US"
    shown, found = linear((1 << bits) / 2, 1 << bits), looked_up(entries.tolist(), first)
    content = film_of(values, ModalityLUTSequence=Sequence([item]), **window((1 << bits) / 2, 1 << bits))
    same_levels(content, each(values, lambda x: shown(found(x))))


# --- VOI LUTs (C.11.2.1.1) --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("vr", ["OW", "US", "SS"])
@pytest.mark.parametrize(
    ("stated", "used"),
    [(16, 16), (14, 14), (12, 12), (10, 10), (8, 8), (16, 12), (16, 10), (16, 8), (12, 10), (10, 12)],
)
def test_voi_luts_are_scaled_by_the_bits_of_their_data(stated: int, used: int, vr: str) -> None:
    values = ramp(12)
    top = (1 << used) - 1
    entries = (np.linspace(0, 1, 4096) ** 2 * top).round().astype(np.int64)
    film = same_levels(
        film_of(values, VOILUTSequence=Sequence([table(entries, stated, vr=vr)])),
        each(values, lambda x: looked_up(entries.tolist(), 0)(x) / top * 255),
    )
    said = f"VOI LUT scaled by its data: {used} bits used, {stated} stated"
    assert (said in film.notes) == (stated != used)


@pytest.mark.parametrize("size", [256, 255, 1000, 4096])
@pytest.mark.parametrize("vr", ["OW", "US", "SS", "OB"])
def test_8_bit_entries_two_a_word(size: int, vr: str) -> None:
    values = ramp(12)
    entries = np.linspace(255, 0, size).round().astype(np.int64)
    item = table(entries, 8, 700, packed8=True)
    data = entries.astype("u1").tobytes() + bytes(size % 2)  # C.7.6.3.1.6: the first entry in the low byte
    words = np.frombuffer(data, "<u2")
    plain = {"US": words.tolist(), "SS": words.view("<i2").tolist()}.get(vr, data)
    item.add_new("LUTData", vr, plain)
    found = looked_up(entries.tolist(), 700)
    same_levels(film_of(values, VOILUTSequence=Sequence([item])), each(values, found))


def test_8_bit_entries_two_a_word_in_big_endian() -> None:
    values = ramp(12)
    entries = np.linspace(255, 0, 4096).round().astype(np.int64)
    item = table(entries, 8)
    item.LUTData = np.frombuffer(entries.astype("u1").tobytes(), "<u2").astype(">u2").tobytes()
    content = film_of(values, syntax=ExplicitVRBigEndian, VOILUTSequence=Sequence([item]))
    same_levels(content, each(values, looked_up(entries.tolist(), 0)))


def test_65536_entries_are_written_as_0() -> None:
    values = ramp(16)
    entries = np.arange(65535, -1, -1)
    film = film_of(values, 16, VOILUTSequence=Sequence([table(entries, 16)]))
    same_levels(film, each(values, lambda x: (65535 - x) / 65535 * 255))


@pytest.mark.parametrize("written", [-2048, 63488], ids=["SS", "US"])
def test_the_first_input_of_signed_values_in_either_sign(written: int) -> None:
    values = ramp(12, signed=True)
    entries = np.arange(4095, -1, -1)
    content = film_of(values, signed=True, VOILUTSequence=Sequence([table(entries, 12, written)]))
    same_levels(content, each(values, lambda x: (2047 - x) / 4095 * 255))


def test_a_voi_lut_follows_the_modality_lut() -> None:
    values = ramp(12)
    modality, voi = table(np.arange(4095, -1, -1), 12), table((np.arange(4096) // 16), 8)
    content = film_of(values, ModalityLUTSequence=Sequence([modality]), VOILUTSequence=Sequence([voi]))
    same_levels(content, each(values, lambda x: (4095 - x) // 16))


@pytest.mark.parametrize("name", ["VOI", "Modality"])
def test_a_table_that_does_not_fit_its_descriptor_is_refused_in_words(name: str) -> None:
    item = table(np.arange(1000), 12)
    item.LUTDescriptor = [4096, 0, 12]
    with pytest.raises(FilmError, match=r"its (VOI|modality) LUT holds 2,000 bytes, its descriptor says 4,096 entries"):
        decode(film_of(ramp(12), **{f"{name}LUTSequence": Sequence([item])}), "film")


# --- windows (C.11.2.1.2, C.11.2.1.3) ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("function", "formula", "centre", "width"),
    [
        ("LINEAR", linear, 2048, 4096), (None, linear, 1000, 401), ("LINEAR", linear, 1000, 1),
        ("LINEAR", linear, 1000.5, 1), ("LINEAR", linear, 1000, 2), ("LINEAR", linear, 1000.25, 1.5),
        ("linear", linear, 700, 333.3), ("LINEAR_EXACT", linear_exact, 2048, 4096),
        ("linear_exact", linear_exact, 900, 8), ("LINEAR_EXACT", linear_exact, 900, 1),
        ("LINEAR_EXACT", linear_exact, 900.1, 0.5), ("LINEAR_EXACT", linear_exact, 900, 0.01),
        ("SIGMOID", sigmoid, 2000, 900), ("Sigmoid", sigmoid, 2000, 30),
        ("sigmoid ", sigmoid, 2000, 1), ("SIGMOID", sigmoid, 2000, 0.25), ("SIGMOID", sigmoid, 2000.1, 0.01),
    ],
)  # fmt: skip
@pytest.mark.parametrize("photometric", ["MONOCHROME2", "MONOCHROME1"])
def test_window_functions(
    function: str, formula: Callable[..., Formula], centre: float, width: float, photometric: str
) -> None:
    values = ramp(12)
    values[0, :8] = np.arange(996, 1004)  # around the narrow windows
    values[1, :8] = np.arange(896, 904)
    values[2, :8] = np.arange(1996, 2004)
    levels = each(values, formula(centre, width))
    content = film_of(values, PhotometricInterpretation=photometric, **window(centre, width, function))
    same_levels(content, 255 - levels if photometric == "MONOCHROME1" else levels)


def test_windows_of_shares() -> None:
    """Rescaled to 0 to 1, a window is narrower than 1 by nature."""
    values = ramp(12)
    rescale = {"RescaleSlope": "0.000244200244", "RescaleIntercept": "0"}
    for function, formula in (("LINEAR_EXACT", linear_exact(0.4, 0.3)), ("SIGMOID", sigmoid(0.4, 0.3))):
        content = film_of(values, **rescale, **window(0.4, 0.3, function))
        same_levels(content, each(values, lambda x, shown=formula: shown(x * 0.000244200244)))


@pytest.mark.parametrize(("centre", "width"), [(1000, 0), (1000, 0.5), (1000, -5), ("2,48", "4096"), ("", 400)])
def test_a_window_that_cannot_be_used_is_left_out_and_said(centre: object, width: object) -> None:
    values = ramp(12)
    film = same_levels(
        unchecked(film_of(values), WindowCenter=centre, WindowWidth=width), each(values, own_range(values))
    )
    assert any(note.startswith("window left out: ") for note in film.notes)


def test_the_first_window_that_can_be_used_is_taken() -> None:
    values = ramp(12)
    film = same_levels(film_of(values, WindowCenter=[40, 1000], WindowWidth=[0, 401]), each(values, linear(1000, 401)))
    assert "window applied: number 2 of 2, centre 1000, width 401" in film.notes


def test_an_unknown_function_is_taken_as_linear_and_said() -> None:
    values = ramp(12)
    film = same_levels(film_of(values, **window(1000, 401, "DOE^JANE")), each(values, linear(1000, 401)))
    assert "unknown window function: taken as LINEAR" in film.notes


def test_a_rescale_that_cannot_be_read_costs_the_window_not_the_film() -> None:
    values = ramp(12)
    content = unchecked(film_of(values, **window(1000, 401)), RescaleSlope="1,5", RescaleIntercept="0")
    film = same_levels(content, each(values, own_range(values)))
    assert any(note.startswith("rescale left out") for note in film.notes)


def unchecked(content: bytes, **texts: object) -> bytes:
    """Text elements as foreign programs write them: pydicom would refuse to."""
    dataset = pydicom.dcmread(io.BytesIO(content))
    for keyword, text in texts.items():
        tag = pydicom.datadict.tag_for_keyword(keyword)
        value = str(text).encode()
        raw = pydicom.dataelem.RawDataElement(
            pydicom.tag.Tag(tag), "DS", len(value), value + b" " * (len(value) % 2), 0, False, True
        )
        dataset._dict[pydicom.tag.Tag(tag)] = raw
    file = io.BytesIO()
    dataset.save_as(file)
    return file.getvalue()


# --- padding (C.7.5.1.1.2) --------------------------------------------------------------------------------------------

PADDINGS = [
    # bits, signed, written padding value and limit, VR, values that are padding
    (12, False, 0, None, "US", [0]),
    (12, False, 0, 20, "US", range(21)),
    (12, False, 20, 0, "US", range(21)),
    (12, False, 4095, 4000, "US", range(4000, 4096)),
    (16, False, 65535, None, "US", [65535]),
    (16, False, -1, None, "SS", [65535]),
    (16, False, -36, -1, "SS", range(65500, 65536)),
    (16, True, -32768, None, "SS", [-32768]),
    (16, True, 32768, None, "US", [-32768]),
    (16, True, 63536, 63636, "US", range(-2000, -1899)),
    (12, True, -2000, None, "SS", [-2000]),
    (12, True, 63536, None, "US", [-2000]),
    (8, True, 128, None, "US", [-128]),
    (12, False, -1, None, "SS", [4095]),
]


@pytest.mark.parametrize("photometric", ["MONOCHROME2", "MONOCHROME1"])
@pytest.mark.parametrize("windowed", [True, False], ids=["window", "own-range"])
@pytest.mark.parametrize("padding", PADDINGS, ids=lambda p: f"{p[0]}-{p[1]}-{p[2]}-{p[3]}-{p[4]}")
def test_padding_is_black_and_no_part_of_the_range(padding: tuple, windowed: bool, photometric: str) -> None:
    bits, signed, value, limit, vr, listed = padding
    values = ramp(bits, signed) // 2 + (1 << (bits - 2) if not signed else 0)  # the padding lies apart
    values[:5, :7] = np.resize(np.array(listed), (5, 7))
    outside = np.isin(values, np.array(listed))
    middle, span = (0 if signed else 1 << (bits - 1)), 1 << bits
    shown = linear(middle, span) if windowed else own_range(values[~outside])

    def pad(dataset: Dataset) -> None:
        dataset.add_new("PixelPaddingValue", vr, value)
        if limit is not None:
            dataset.add_new("PixelPaddingRangeLimit", vr, limit)

    more = window(middle, span) if windowed else {}
    content = film_of(
        values, bits, 16 if bits > 8 else 8, signed=signed, change=pad, PhotometricInterpretation=photometric, **more
    )
    levels = each(values, lambda x: min(max(shown(x), 0), 255))
    levels = 255 - levels if photometric == "MONOCHROME1" else levels
    film = same_levels(content, np.where(outside, 0, levels))
    assert "padding shown black" in film.notes


@pytest.mark.parametrize(("signed", "cell"), [(False, 0xFFFF), (True, 0x8000), (True, 0xF000)])
def test_padding_that_the_stored_bits_cannot_hold_fills_the_cell(signed: bool, cell: int) -> None:
    values = ramp(12, signed) // 2
    cells = packed(values, 12, 16, 11)
    if signed:
        cells = values.astype("<i2").view("<u2")
    cells[:4] = cell
    written = cell - 65536 if signed else cell
    content = dicom(cells, BitsStored=12, HighBit=11, PixelRepresentation=int(signed), PixelPaddingValue=written)
    levels = each(values, own_range(values[4:]))
    levels[:4] = 0
    film = same_levels(content, np.clip(levels, 0, 255))
    assert not any("stored bits" in note for note in film.notes)


@pytest.mark.parametrize("photometric", ["MONOCHROME2", "MONOCHROME1"])
def test_padding_of_8_bits_that_are_shown_as_stored(photometric: str) -> None:
    values = ramp(8)
    content = film_of(
        values, 8, 8, PixelPaddingValue=250, PixelPaddingRangeLimit=255, PhotometricInterpretation=photometric
    )
    shown = 255 - values if photometric == "MONOCHROME1" else values
    same_levels(content, np.where(values >= 250, 0, shown))


@pytest.mark.parametrize("signed", [False, True])
def test_padding_and_tables_without_stated_types(signed: bool) -> None:
    """Implicit VR: pixel representation alone says how padding and the first input are signed."""
    values = ramp(12, signed)
    low = int(values.min())
    entries = np.arange(4095, -1, -1)

    def pad(dataset: Dataset) -> None:
        dataset.add_new("PixelPaddingValue", "SS" if signed else "US", low)

    item = Sequence([table(entries, 12, low)])
    content = film_of(values, signed=signed, syntax=ImplicitVRLittleEndian, change=pad, VOILUTSequence=item)
    same_levels(content, each(values, lambda x: 0 if x == low else (4095 - (x - low)) / 4095 * 255))


def test_a_film_that_is_all_padding_is_black() -> None:
    values = np.full((8, 8), 7)
    assert not decode(film_of(values, PixelPaddingValue=7), "film").pixels.any()


# --- colour (C.7.6.3.1.2, C.7.6.3.1.5) --------------------------------------------------------------------------------


def colour(planes: np.ndarray, photometric: str, planar: int = 0, bits: int = 8, **more: object) -> bytes:
    """Three samples a pixel; `planes` is height x width x 3."""
    ordered = planes if planar == 0 else planes.transpose(2, 0, 1)
    elements = {
        "SamplesPerPixel": 3,
        "PlanarConfiguration": planar,
        "PhotometricInterpretation": photometric,
        "BitsStored": bits,
        "HighBit": bits - 1,
        "PixelData": np.ascontiguousarray(ordered).tobytes(),
    }
    return dicom(planes, **{**elements, **more})


@pytest.mark.parametrize("planar", [0, 1])
@pytest.mark.parametrize("bits", [8, 12, 16])
def test_grey_in_rgb(planar: int, bits: int) -> None:
    values = ramp(bits)
    planes = np.dstack([values] * 3).astype("<u1" if bits == 8 else "<u2")
    film = same_levels(colour(planes, "RGB", planar, bits), values / ((1 << bits) - 1) * 255)
    assert film.pixels.flags.c_contiguous


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless])
def test_grey_in_compressed_rgb(syntax: str) -> None:
    values = ramp(8)
    same_levels(colour(np.dstack([values] * 3).astype(np.uint8), "RGB", syntax=syntax), values)


@pytest.mark.parametrize("planar", [0, 1])
def test_grey_in_ybr_full(planar: int) -> None:
    values = ramp(8)  # C.7.6.3.1.2: without colour Cb and Cr are 128 and R, G and B are Y
    planes = np.dstack([values, np.full_like(values, 128), np.full_like(values, 128)]).astype(np.uint8)
    same_levels(colour(planes, "YBR_FULL", planar), values)


def test_grey_in_ybr_full_422() -> None:
    values = ramp(8)
    pairs = values.reshape(HEIGHT, WIDTH // 2, 2)
    stored = np.concatenate([pairs, np.full((HEIGHT, WIDTH // 2, 2), 128)], axis=2).astype(np.uint8)  # Y Y Cb Cr
    planes = np.dstack([values] * 3).astype(np.uint8)
    same_levels(colour(planes, "YBR_FULL_422", PixelData=stored.tobytes()), values)


def test_colours_are_taken_as_luminance() -> None:
    planes = RNG.integers(0, 256, (HEIGHT, WIDTH, 3)).astype(np.uint8)
    red, green, blue = (planes[..., k].astype(float) for k in range(3))
    film = same_levels(colour(planes, "RGB"), np.rint(0.299 * red + 0.587 * green + 0.114 * blue))
    assert "colour: taken as luminance" in film.notes


@pytest.mark.parametrize("first", [0, 40])
@pytest.mark.parametrize(("stated", "used", "packed8"), [(16, 16, False), (8, 8, True), (8, 8, False), (16, 8, False)])
def test_palettes(stated: int, used: int, packed8: bool, first: int) -> None:
    values = ramp(8)
    entries = np.linspace((1 << used) - 1, 0, 200).round().astype(np.int64)

    def paint(dataset: Dataset) -> None:
        for name in ("Red", "Green", "Blue"):
            dataset.add_new(f"{name}PaletteColorLookupTableDescriptor", "US", [200, first, stated])
            data = entries.astype("u1" if packed8 else "<u2").tobytes()
            dataset.add_new(f"{name}PaletteColorLookupTableData", "OW", data)

    found = looked_up(entries.tolist(), first)
    content = film_of(values, 8, 8, PhotometricInterpretation="PALETTE COLOR", change=paint)
    film = same_levels(content, each(values, lambda x: found(x) / ((1 << used) - 1) * 255))
    assert "palette applied" in film.notes


# --- what a file says of itself ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "spacing", ["0,143\\0,143", "0.14", "0\\0.1", "-1\\-1", "nan\\nan", "1e999\\1e999", "DOE^JANE", "a\\0.1"]
)
def test_a_spacing_that_cannot_be_read_costs_the_spacing_alone(spacing: str) -> None:
    film = decode(unchecked(film_of(ramp(12)), PixelSpacing=spacing), "film")
    assert film.spacing_mm is None
    assert "spacing cannot be read: PixelSpacing does not hold two distances" in film.notes
    other = decode(unchecked(film_of(ramp(12), ImagerPixelSpacing=[0.15, 0.15]), PixelSpacing=spacing), "film")
    assert other.spacing_mm == 0.15


@pytest.mark.parametrize(
    ("keyword", "value", "note"),
    [
        ("BurnedInAnnotation", "YES", "text burned in: BurnedInAnnotation is YES"),
        ("BurnedInAnnotation", "yes", "text burned in: BurnedInAnnotation is YES"),
        ("BurnedInAnnotation", "NO", None),
        ("PresentationIntentType", "FOR PROCESSING", "detector values: PresentationIntentType is FOR PROCESSING"),
        ("PresentationIntentType", "FOR PRESENTATION", None),
    ],
)
def test_text_in_the_pixels_and_detector_values_are_noted(keyword: str, value: str, note: str | None) -> None:
    plain, film = decode(film_of(ramp(12)), "film"), decode(film_of(ramp(12), **{keyword: value}), "film")
    assert set(film.notes) - set(plain.notes) == ({note} if note else set())


# --- films that were read wrongly before ------------------------------------------------------------------------------


def case(name: str) -> tuple[Radiograph, np.ndarray]:
    """A film of tests/cohorts/cases as it is read, and its cells."""
    (path,) = CASES.glob(f"*/{name}.dcm")
    dataset = pydicom.dcmread(path)
    kind = f"<{'i' if dataset.PixelRepresentation else 'u'}{dataset.BitsAllocated // 8}"
    if dataset.file_meta.TransferSyntaxUID.is_encapsulated:
        return read_radiograph(path), np.empty(0)
    return read_radiograph(path), np.frombuffer(dataset.PixelData, kind).reshape(dataset.Rows, dataset.Columns)


@pytest.mark.parametrize(
    ("name", "level"),
    [
        ("22_8bit_signed", lambda cells: own_range(cells)),
        ("40_signed16_wide_window", lambda cells: linear(0, 40000)),
        ("41_signed16_padding_window", lambda cells: lambda x: 0 if x == -32768 else linear(1000, 4000)(x)),
        ("10b_no_window_padding_signed", lambda cells: lambda x: max(0, own_range(cells[cells > -32768])(x))),
        ("70_agfa_lut_16bits_data12", lambda cells: None),
        ("12_padding_range_mono1", lambda cells: lambda x: 0 if x <= 20 else 255 - linear(2048, 4096)(x)),
        ("16_highbit15_stored12", lambda cells: lambda x: linear(2048, 4096)(x >> 4)),
        ("20_8bit_plain", lambda cells: lambda x: x),
        ("21_8bit_identity_rescale", lambda cells: lambda x: x),
        ("23_8stored_16alloc", lambda cells: lambda x: x),
        ("73_modality_lut_12bit", lambda cells: lambda x: linear(2048, 4096)(4095 - x)),
        ("50_decimal_comma", lambda cells: own_range(cells)),
        ("51_spacing_comma", lambda cells: linear(2048, 4096)),
        ("spacing_single", lambda cells: linear(2048, 4096)),
    ],
)
def test_case_films(name: str, level: Callable[[np.ndarray], Formula | None]) -> None:
    film, cells = case(name)
    formula = level(cells)
    if formula is None:  # a VOI LUT of 12 bits
        (path,) = CASES.glob(f"*/{name}.dcm")
        entries = np.frombuffer(pydicom.dcmread(path).VOILUTSequence[0].LUTData, "<u2").tolist()
        formula = lambda x: entries[x] / 4095 * 255  # noqa: E731
    assert np.abs(film.pixels - each(cells, formula)).max() <= 0.5 + 1e-9


def test_case_film_of_a_packed_lut() -> None:
    film, cells = case("05_voilut_8bit_entries")
    (path,) = CASES.glob("*/05_voilut_8bit_entries.dcm")
    np.testing.assert_array_equal(
        film.pixels, np.frombuffer(pydicom.dcmread(path).VOILUTSequence[0].LUTData, "u1")[cells]
    )


def test_case_films_in_three_channels() -> None:
    film, cells = case("66_palette_inverted_ramp")
    np.testing.assert_array_equal(film.pixels, 255 - cells)
    jpeg, _ = case("63_jpeg_ybr422")
    # the same ramp as the palette's, through a JPEG of quality unknown: within a few levels
    assert np.abs(jpeg.pixels.astype(int) - cells).max() <= 4


def test_an_object_has_no_address_in_a_message(tmp_path: Path) -> None:
    for content in (b"II*\0" + bytes(20), b"\xff\xd8" + bytes(20), b"\x89PNG\r\n\x1a\n" + bytes(20)):
        with pytest.raises(FilmError) as caught:
            decode(content, "film")
        assert "0x" not in str(caught.value)
