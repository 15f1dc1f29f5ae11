"""Films made ready for the detector once: decoded, scaled down, kept under a name that follows from their content."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from osteotl import files
from osteotl.cohorts.film import LIMITS, FilmError, Limits, Radiograph
from osteotl.cohorts.parallel import mapped
from osteotl.cohorts.radiograph import decode, load_bytes

VERSION = 2  # of reading and scaling: raise it whenever the same file would give other pixels
SMALLEST_SIDE = 640
_FACTS = "osteotl"  # keyword of the text in the prepared PNG
_SETTLED_NS = 2_000_000_000  # a file touched later than this before it was looked at may change again unseen
_INDEX = "index.json"


@dataclass(frozen=True)
class Prepared:
    """One film, ready.

    Attributes
    ----------
    film : str
        Key of the prepared film, `data/.prepared/KEY[:2]/KEY.png`: 32 hexadecimal digits.
    width, height : int
        Native size in pixels.
    mean_grey, sd_grey : float
        Of the native pixels, 0 to 255.
    levels : int
        Grey levels that occur, 1 to 256.
    extremes : float
        Share of pixels that are pure black or pure white.
    file_hash, pixel_hash : str
        SHA-256 of the file's bytes and of the native grey pixels: equal for exact duplicates.
    perceptual_hash : str
        64-bit perceptual hash (pHash), 16 hexadecimal digits; near duplicates differ in few bits.
    spacing_mm : float or None
        Distance of rows, where the file states it.
    attributes : mapping
        age, sex, view, body_part, manufacturer, where the file states them.
    notes : sequence of str
        Choices made in reading.
    """

    film: str
    width: int
    height: int
    mean_grey: float
    sd_grey: float
    levels: int
    extremes: float
    file_hash: str
    pixel_hash: str
    perceptual_hash: str
    spacing_mm: float | None
    attributes: Mapping[str, Any]
    notes: Sequence[str]


def prepared_side(image_size: int) -> int:
    """Longest side of prepared films for a detector's image size."""
    return max(SMALLEST_SIDE, image_size)


def prepared_path(cache: str | Path, film: str) -> Path:
    """Where a prepared film lies."""
    return Path(cache) / film[:2] / f"{film}.png"


def prepare_film(
    path: str | Path, cache: str | Path, longest_side: int, limits: Limits = LIMITS
) -> Prepared | FilmError:
    """Prepare one film, or find it prepared; a fault is returned, not raised, so that every film is looked at.

    Parameters
    ----------
    path : path
        The user's file, opened for reading only.
    cache : path
        The folder data/.prepared.
    longest_side : int
        Larger films are scaled down to it, both sides by the same factor; smaller ones stay as they are.

    Notes
    -----
    The key is the SHA-256 of the file's bytes and these settings, so a changed file is another film, and what was
    prepared never needs to be thrown away because something else changed.
    """
    try:
        content = load_bytes(path, limits)
        digest = hashlib.sha256(content)
        file_hash = digest.hexdigest()
        digest.update(json.dumps({"longest_side": longest_side, "version": VERSION}).encode())
        key = digest.hexdigest()[:32]
        found = _facts(prepared_path(cache, key), looked_through=False)
        return found or _make(decode(content, Path(path).name, limits), key, file_hash, Path(cache), longest_side)
    except FilmError as fault:
        return fault


def _facts(path: Path, looked_through: bool) -> Prepared | None:
    """What was learnt when a film was prepared, kept inside its PNG; None where it is not there, not whole or not it.

    Pixels are compared with their hash unless the file was looked through before and has not been touched since.
    """
    try:
        with Image.open(path, formats=["PNG"]) as image:
            content = json.loads(image.info[_FACTS])
            if content["film"] != path.stem or not (looked_through or content["content"] == _content(image)):
                return None
        return Prepared(**{name: content[name] for name in _NAMES})
    except (OSError, ValueError, KeyError, TypeError, SyntaxError):
        return None  # made anew


def _content(image: Image.Image) -> str:
    """Hash of size and pixels of a prepared film."""
    return hashlib.sha256(f"{image.mode} {image.size} ".encode() + image.tobytes()).hexdigest()


_NAMES = [f.name for f in fields(Prepared)]


def _make(film: Radiograph, key: str, file_hash: str, cache: Path, longest_side: int) -> Prepared:
    import imagehash  # imports much of scipy

    native = Image.fromarray(film.pixels)
    scaled = _scaled_down(native, longest_side)
    pixel_hash = hashlib.sha256(f"{film.width}x{film.height}".encode())
    pixel_hash.update(film.pixels.data)
    facts = Prepared(
        film=key,
        width=film.width,
        height=film.height,
        **_grey_levels(native),
        file_hash=file_hash,
        pixel_hash=pixel_hash.hexdigest(),
        perceptual_hash=str(imagehash.phash(scaled)),
        spacing_mm=film.spacing_mm,
        attributes=dict(film.attributes),
        notes=list(film.notes),
    )
    text = PngInfo()
    text.add_text(_FACTS, json.dumps({**asdict(facts), "content": _content(scaled)}))
    path = prepared_path(cache, key)
    files.write_bytes(path, lambda file: scaled.save(file, "PNG", pnginfo=text, compress_level=1))
    return facts


def _scaled_down(image: Image.Image, longest_side: int) -> Image.Image:
    scale = longest_side / max(image.size)
    if scale >= 1:
        return image
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.resize(size, Image.Resampling.BILINEAR)  # Pillow averages over the whole footprint: no aliasing


def _grey_levels(image: Image.Image) -> dict[str, Any]:
    """Mean, spread and number of grey levels, and the share at the two ends, from the histogram."""
    counts = np.array(image.histogram(), dtype=np.float64)
    share, grey = counts / counts.sum(), np.arange(256)
    mean = float(share @ grey)
    spread = float(np.sqrt(share @ (grey - mean) ** 2))
    extremes = float(share[0] + share[255])
    return {"mean_grey": mean, "sd_grey": spread, "levels": int((counts > 0).sum()), "extremes": extremes}


# --- many films -------------------------------------------------------------------------------------------------------


def prepare_films(
    paths: Sequence[str | Path],
    cache: str | Path,
    longest_side: int,
    limits: Limits = LIMITS,
    processes: int | None = None,
) -> list[Prepared | FilmError]:
    """Prepare films over all processors, with a progress bar; each process holds one film in memory at a time.

    Parameters
    ----------
    paths : sequence of path
        The users' files.
    cache, longest_side, limits
        See `prepare_film`.
    processes : int, optional
        Default: as many as there are processors.

    Returns
    -------
    list
        In the order of `paths`: what was learnt about the film, or its fault. Interrupted, it can be called again:
        films already prepared are found.

    Notes
    -----
    A film whose size, times and inode are those of an earlier call is not read again, if the prepared film has not been
    touched since. Times can lie only for a file
    changed within the clock's tick in which it was looked at, so files touched less than two seconds before are
    always read.
    """
    cache = Path(cache)
    index = _read_index(cache, longest_side)
    stamps = [_stamp(Path(path)) for path in paths]
    found = [_indexed(index, str(path), stamp, cache) for path, stamp in zip(paths, stamps, strict=True)]
    missing = [k for k, facts in enumerate(found) if facts is None]
    work = partial(prepare_film, cache=cache, longest_side=longest_side, limits=limits)
    made = mapped(work, [paths[k] for k in missing], "preparing films", processes, _crashed)
    results: list[Prepared | FilmError | None] = list(found)
    now = time.time_ns()
    for k, result in zip(missing, made, strict=True):
        results[k] = result
        stamp = stamps[k]
        if isinstance(result, Prepared) and stamp and stamp == _stamp(Path(paths[k])) and _settled(stamp, now):
            index[str(paths[k])] = [*stamp, result.film, _stamp(prepared_path(cache, result.film))]
    if missing:
        files.write_json(cache / _INDEX, {"longest_side": longest_side, "version": VERSION, "films": index})
    return [result for result in results if result is not None]


def _crashed(path: str | Path) -> FilmError:
    return FilmError(Path(path).name, "the decoder crashed on it", "export it again, or exclude it by name")


def _stamp(path: Path) -> list[int] | None:
    """What changes when a file's content does: size, both times, inode."""
    try:
        stat = path.stat()
    except OSError:
        return None
    return [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino]


def _settled(stamp: list[int], now: int) -> bool:
    return max(stamp[1], stamp[2]) < now - _SETTLED_NS


def _read_index(cache: Path, longest_side: int) -> dict[str, list[Any]]:
    """Films of earlier calls by path; empty where settings differ or the index cannot be read."""
    try:
        content = json.loads((cache / _INDEX).read_text(encoding="utf-8"))
        same = content["longest_side"] == longest_side and content["version"] == VERSION
        return dict(content["films"]) if same else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}  # only a short cut is lost: every film is then read again


def _indexed(index: Mapping[str, list[Any]], path: str, stamp: list[int] | None, cache: Path) -> Prepared | None:
    entry = index.get(path)
    if not entry or stamp is None or entry[:4] != stamp:
        return None
    film = prepared_path(cache, str(entry[4]))
    return _facts(film, looked_through=True) if entry[5:] == [_stamp(film)] else None
