"""Write, name and hash files; show texts that came from elsewhere."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import re
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:  # importing pandas takes longer than most steps' whole overhead
    import pandas as pd


def write_bytes(path: str | Path, write: Callable[[BinaryIO], object]) -> Path:
    """Call `write` with a file beside `path`, sync it, then rename it into place.

    A reader sees the old file or the new one, never a part; a full disk raises before anything is replaced.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with aside.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
    return path


def write_text(path: str | Path, text: str) -> Path:
    """Write UTF-8 text, whole or not at all."""
    return write_bytes(path, lambda file: file.write(text.encode("utf-8")))


def write_json(path: str | Path, content: Any) -> Path:
    """Write indented JSON, whole or not at all; what is not finite becomes null, NumPy scalars plain numbers."""
    return write_text(path, json.dumps(plain(content), indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def write_csv(path: str | Path, frame: pd.DataFrame) -> Path:
    """Write a table without its index, floats in full precision, whole or not at all."""
    return write_text(path, frame.to_csv(index=False, lineterminator="\n"))


def write_csv_if(asked: bool, path: Path, make: Callable[[], pd.DataFrame]) -> None:
    """Write the table that `make` returns where a study asks for it; else remove one left by an earlier run."""
    if asked:
        write_csv(path, make())
    else:
        path.unlink(missing_ok=True)


#: controls that move a terminal's cursor or end a line, and marks that reverse the order of what follows
_UNSEEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\u2028\u2029]")


def visible(text: str) -> str:
    """A text without control characters and without marks that turn the direction of writing.

    Labels of arms, file names and messages come from other people's files; such a character could rewrite a line on the
    terminal or show other words on the page than were written. Line feeds and tabs stay.
    """
    return _UNSEEN.sub("", text)


def plural(number: int, word: str) -> str:
    """1 film, 2,000 films."""
    return f"{number:,} {word}{'' if number == 1 else 's'}"


def file_name(text: str) -> str:
    """A name for a file or folder that stands for any text and can never be a path.

    Letters, digits, `_`, `-` and single dots inside stay as they are; where anything else had to go, a short hash of
    the text follows, so that different texts have different names (those that differ in capitals alone do not on every
    disk, and are refused where arms are read).

    Examples
    --------
    >>> file_name("unet_v1.0")
    'unet_v1.0'
    >>> file_name("../../x")
    'x-9cdf6a50100a'
    """
    kept = re.sub(r"[^A-Za-z0-9_.-]+|\.(?=\.)", "-", text)[:60].strip(".-")
    if kept == text and kept:
        return kept
    return f"{kept or 'arm'}-{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:12]}"


def spreadsheet_safe(frame: pd.DataFrame) -> pd.DataFrame:
    """A copy for a spreadsheet: texts that it would run as a formula are led by an apostrophe; numbers stay numbers."""
    names = {name: _harmless(name) for name in frame.columns}
    return frame.map(_harmless).rename(columns=names)


def _harmless(cell: Any) -> Any:
    if not isinstance(cell, str) or not cell.lstrip(" \u00a0").startswith(tuple("=+-@\t\r\n＝＋－＠")):
        return cell
    try:
        float(cell)
    except ValueError:
        return f"'{cell}"
    return cell  # a number, written out


def is_litter(name: str) -> bool:
    """Whether a file is what systems and office programs leave in folders: .DS_Store, Thumbs.db, ._a.csv, ~$a.xlsx."""
    known = (".ds_store", "thumbs.db", "ehthumbs.db", "desktop.ini", "__macosx", ".directory", ".localized")
    return name.lower() in known or name.startswith(("._", "~$", ".~lock."))


MOST_TITLES = 20  # rows that may stand above a header


def header_place(
    rows: Sequence[Sequence[Any]], names: Mapping[str, Collection[str]], needs: Iterable[str] = ()
) -> int | None:
    """Which of a table's first rows is its header, where people wrote titles above it.

    Parameters
    ----------
    rows : sequence of rows
        The first `MOST_TITLES` + 1 rows that hold anything.
    names : mapping
        Column: all names that it goes by, in small letters joined by underscores.
    needs : iterable of str
        Columns that the header must name.

    Returns
    -------
    int or None
        Place of the first row that names two columns at least, and all of `needs`; None where there is none, or where
        a row above it fills as many cells, as no title does.
    """
    wanted, widest = set(needs), 0
    for place, row in enumerate(rows[: MOST_TITLES + 1]):
        cells = {re.sub(r"\W+", "_", str(cell).strip().lower()).strip("_") for cell in row if cell is not None} - {""}
        named = {column for column, known in names.items() if column in cells or not cells.isdisjoint(known)}
        filled = sum(cell is not None and str(cell).strip() != "" for cell in row)
        if len(named) > 1 and named >= wanted:
            return place if place == 0 or filled > widest else None
        widest = max(widest, filled)
    return None


def remove(path: Path) -> None:
    """Remove a file, a link or a whole folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


SCRATCH = "osteotl-"  # leads the name of every temporary folder of ours
YOUNG = 60.0  # seconds in which a folder may still get its lock
_held: list[IO[str]] = []  # locks of this process's own folders, for its life


def scratch_folder(place: str | Path | None = None) -> Path:
    """A temporary folder of this process; those of processes that were killed are swept first.

    Parameters
    ----------
    place : path, optional
        The folder to make it in; default: that of temporary files.

    Notes
    -----
    Whether its process lives is told by a lock, which dies with it: numbers of processes come again, and those of a
    container mean nothing outside it. Folders of other users and of other names are left alone.
    """
    import fcntl

    place = Path(place or tempfile.gettempdir())
    for folder in place.glob(f"{SCRATCH}*"):
        with contextlib.suppress(OSError):  # of another user, just removed, or without a lock: no folder of this kind
            about = folder.lstat()
            if not stat.S_ISDIR(about.st_mode) or about.st_uid != os.getuid():
                continue
            with (folder / "lock").open("r+") as lock:
                if time.time() - os.fstat(lock.fileno()).st_mtime > YOUNG:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(folder)
    made = Path(tempfile.mkdtemp(prefix=SCRATCH, dir=place))
    lock = (made / "lock").open("w")
    fcntl.flock(lock, fcntl.LOCK_EX)
    _held.append(lock)
    return made


def read_bounded(path: str | Path, most: int) -> bytes:
    """The bytes of a regular file; a device or a pipe, which may have no end, is never opened.

    Parameters
    ----------
    path : path
    most : int
        Bytes that the file may have.

    Raises
    ------
    OSError
        The file cannot be opened.
    ValueError
        It is no regular file or larger than `most`, or its name holds NUL.
    """
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise ValueError("no regular file (a folder, device or pipe); name a file that can be read again")
    with Path(path).open("rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise ValueError(f"larger than {most / 1e6:,.0f} MB, the most that is read here")
    return content


def read_yaml(path: str | Path) -> Any:
    """A YAML file of our own by libyaml, which is ten times as fast as PyYAML's own parser."""
    import yaml

    with Path(path).open("rb") as file:
        return yaml.load(file, getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def plain(content: Any) -> Any:
    """Mappings, sequences and NumPy scalars as what JSON can hold."""
    if isinstance(content, dict):
        return {str(key): plain(value) for key, value in content.items()}
    if isinstance(content, list | tuple | set | frozenset):
        return [plain(value) for value in content]
    if hasattr(content, "tolist") and not isinstance(content, str):
        return plain(content.tolist())
    if isinstance(content, float):
        return content if math.isfinite(content) else None
    if content is None or isinstance(content, str | int | bool):
        return content
    if isinstance(content, os.PathLike):
        return os.fspath(content)
    raise TypeError(f"{type(content).__name__} cannot be written as JSON: {content!r}")


def sha256(path: str | Path) -> str:
    """The hash of a file's bytes, 64 hexadecimal digits."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
