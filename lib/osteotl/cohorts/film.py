"""What every film becomes, whatever file it came from: its pixels, its limits, its one fault."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Grey = NDArray[np.uint8]


class FilmError(ValueError):
    """A film that cannot be used: which file, what is wrong, what would mend it."""

    def __init__(self, file: str, what: str, remedy: str):
        super().__init__(file, what, remedy)  # all three, so that the error survives the way between processes
        self.file, self.what, self.remedy = file, what, remedy

    def __str__(self) -> str:
        return f"{self.file}: {self.what}; {self.remedy}"


class BadTable(ValueError):
    """A lookup table that cannot be read; the text says why."""


#: Notes on reading that a person should hear of, by kind: code of the fault, what would mend it.
WARNED: dict[str, tuple[str, str]] = {
    "film damaged": ("film_damaged", "copy it again from its source, or name it under integrity.exclude"),
    "text burned in": (
        "burned_in_annotation",
        "look at it; where the text names a person, cover it or leave the film out",
    ),
    "detector values": ("for_processing", "export the film FOR PRESENTATION, as readers see it"),
    "values above the stored bits left out": ("grey_doubtful", "look at it; where it looks wrong, export it again"),
    "bits contradict each other": ("grey_doubtful", "look at it; where it looks wrong, export it again"),
    "window left out": ("grey_doubtful", "look at it; where it looks wrong, export it with a window"),
    "unknown window function": ("grey_doubtful", "look at it; where it looks wrong, export it with a window"),
    "rescale left out": ("grey_doubtful", "look at it; where it looks wrong, export it again"),
    "spacing cannot be read": ("value_implausible", "nothing, unless lengths in mm are needed: then export it again"),
}


def kind_of(note: str) -> str:
    """The kind of a note, without the details behind its colon."""
    return note.partition(":")[0]


@dataclass(frozen=True)
class Limits:
    """Largest film that is opened; beyond these a file is taken for damage or an attack.

    Attributes
    ----------
    file_bytes : int
        Of the file, and of a compressed DICOM data set once inflated.
    pixels : int
        Width times height.
    side : int
        Longest side in pixels.
    """

    file_bytes: int = 512 * 2**20
    pixels: int = 100_000_000
    side: int = 30_000


LIMITS = Limits()


@dataclass(frozen=True)
class Radiograph:
    """A film as the detector and the reader see it.

    Attributes
    ----------
    pixels : uint8 array, height x width
        Grey; bone is bright (MONOCHROME1 is inverted).
    width, height : int
        Native size in pixels, after the EXIF orientation.
    spacing_mm : float or None
        Distance of rows, where the file states it.
    attributes : mapping
        age (years), sex, view, body_part, manufacturer, as far as the file states them. Nothing else is kept.
    notes : tuple of str
        Every choice that was made in reading, as `kind` or `kind: details`; never text from the file.
    """

    pixels: Grey
    width: int
    height: int
    spacing_mm: float | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def check_size(width: int, height: int, name: str, limits: Limits = LIMITS) -> None:
    """Refuse dimensions that are zero or beyond the limits, before memory is asked for."""
    if width < 1 or height < 1:
        raise FilmError(name, f"{width} x {height} pixels", "export the film again")
    if width * height > limits.pixels or max(width, height) > limits.side:
        raise FilmError(
            name,
            f"{width} x {height} pixels, over the limit of {limits.pixels:,} pixels and {limits.side:,} a side",
            "export the film at its own size",
        )


def one_channel(array: NDArray[Any], notes: list[str]) -> NDArray[Any]:
    """Grey of a colour film: the common value where channels agree, else luminance (ITU-R BT.601)."""
    if array.ndim == 2:
        return array
    red, green, blue = (array[..., k] for k in range(3))
    if np.array_equal(red, green) and np.array_equal(green, blue):
        return red
    notes.append("colour: taken as luminance")
    return np.rint(0.299 * red + 0.587 * green + 0.114 * blue).astype(array.dtype)


def reason(error: BaseException) -> str:
    """A decoder's message on one line, without addresses in memory, or its type where it says nothing."""
    text = re.sub(r"<[^<>]*\bat 0x[0-9a-fA-F]+>", "the data", str(error))
    return " ".join(text.split())[:160] or type(error).__name__
