"""What every film becomes, whatever file it came from: its pixels, its limits, its one fault."""

from __future__ import annotations

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
        Every choice that was made in reading.
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
    """A decoder's message on one line, or its type where it says nothing."""
    return " ".join(str(error).split())[:160] or type(error).__name__
