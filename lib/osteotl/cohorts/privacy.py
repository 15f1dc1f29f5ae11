"""Identifiers hashed before anything is written, and file names that give a person away."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from functools import lru_cache
from pathlib import PurePath

from osteotl.cohorts.names import FILM_WORDS, NAMES

MONTHS = "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|mai|juni|juli|okt|dez"
_DATE = re.compile(
    r"(?<!\d)(?:(?:19|20)\d\d([-_.]?)(?:0[1-9]|1[0-2])\1(?:0[1-9]|[12]\d|3[01])"  # 1987-03-21, 19870321
    r"|(?:0?[1-9]|[12]\d|3[01])([-_.])(?:0?[1-9]|1[0-2])\2(?:19|20)\d\d"  # 21.03.1987
    r"|(?:0?[1-9]|1[0-2])([-_.])(?:0?[1-9]|[12]\d|3[01])\3(?:19|20)\d\d"  # 03-21-1987
    rf"|(?:0?[1-9]|[12]\d|3[01])[-_. ]?(?:{MONTHS})[a-z]*[-_. ]?(?:19|20)\d\d)(?!\d)",  # 21 March 1987
    re.IGNORECASE,
)
# digits behind a word that announces a birthday
_BIRTHDAY = re.compile(r"(?<![^\W\d_])(?:dob|birth(?:day|date)?|born|geb)[-_. =]*\d{4,8}(?!\d)", re.IGNORECASE)
# hashes and UUIDs hold words and dates by chance
_HEXADECIMAL = re.compile(
    r"(?<![^\W_])(?:[0-9a-f]{16,}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?![^\W_])", re.IGNORECASE
)
_LETTERS = r"[^\W\d_]"
_WORD = re.compile(rf"{_LETTERS}+")
_DICOM_NAME = re.compile(rf"{_LETTERS}{{2,}}\^{_LETTERS}{{2,}}")
_NEIGHBOURS = re.compile(rf"(?<![^\W_])(?=({_LETTERS}{{3,}})(?:, ?|[-_. ])({_LETTERS}{{3,}})(?![^\W_]))")
_ANNOUNCED = re.compile(
    rf"(?<!{_LETTERS})(?:patient|pat|patientname|name|surname|forename|vorname|nachname|nom|nombre|apellido)"
    rf"[-_. =]+({_LETTERS}{{3,}})",
    re.IGNORECASE,
)
_PERSONS = NAMES - FILM_WORDS
SHORT = 4  # a listed name with fewer letters may be part of a code


def hashed(identifier: object, salt: str) -> str:
    """An identifier as 12 hexadecimal digits that cannot be read back without the salt.

    Parameters
    ----------
    identifier : str or int
        Raw patient or image id.
    salt : str
        `privacy.salt` of study.yaml; fixed, so that runs repeat.

    Raises
    ------
    ValueError
        The salt or the identifier is empty.

    Notes
    -----
    BLAKE2b keyed with the salt's SHA-256, 48 bits: among 100,000 ids two meet with a probability of 2e-5.
    """
    text = str(identifier).strip()
    if not salt or not text or text.lower() == "nan":
        raise ValueError(f"identifier {text!r} with a salt of {len(salt)} characters: neither may be empty")
    key = hashlib.sha256(salt.encode("utf-8")).digest()
    return hashlib.blake2b(text.encode("utf-8"), digest_size=6, key=key).hexdigest()


def hash_all(identifiers: object, salt: str) -> list[str]:
    """Hash many identifiers and refuse two that would share a hash.

    Parameters
    ----------
    identifiers : iterable of str
        Repeats are hashed alike.

    Raises
    ------
    ValueError
        Two different identifiers meet: choose another salt.
    """
    texts = [str(identifier).strip() for identifier in identifiers]  # type: ignore[attr-defined]
    table = {text: hashed(text, salt) for text in dict.fromkeys(texts)}
    if len(set(table.values())) < len(table):
        raise ValueError(f"two of {len(table)} identifiers share a hash under this salt; set another privacy.salt")
    return [table[text] for text in texts]


def telling_tokens(path: str | PurePath) -> list[str]:
    """Kinds of personal data that a film's file name seems to hold.

    Parameters
    ----------
    path : path
        Only its last part and the folders of a relative path are looked at.

    Returns
    -------
    list of str
        'date' and 'name'; empty where nothing is suspected. The words themselves are not returned.

    Notes
    -----
    'date': a calendar date of 1900-2099 with its day, or four to eight digits behind dob, birth, born or geb.
    'name', any of: the DICOM form FAMILY^GIVEN; a word of `names.NAMES` (one of fewer than four letters only with a
    capital and no digit at its side); two neighbouring words that touch no digit, each capitalised or in capitals
    (then of at least four letters), neither a film collection's word (`names.FILM_WORDS`); a word behind 'patient',
    'name' and the like. Words of film collections never count. Runs of 16 or more hexadecimal digits and UUIDs are
    left out.
    An uncommon name that stands alone, or in small letters, is not found: no warning is no proof.
    """
    path = PurePath(path)
    text = path.name if path.is_absolute() else str(path)
    text = unicodedata.normalize("NFC", _HEXADECIMAL.sub("", text.removesuffix(path.suffix)))
    kinds = ["date"] if _DATE.search(text) or _BIRTHDAY.search(text) else []
    if _holds_name(re.sub(r"\d+", "0", text)):
        kinds.append("name")
    return kinds


@lru_cache(maxsize=4096)
def _holds_name(text: str) -> bool:
    """Whether a rule for names applies; films of a collection differ in their numbers, so few texts are judged."""
    return bool(_DICOM_NAME.search(text)) or _listed_name(text) or _announced_name(text) or _pair_of_names(text)


def _listed_name(text: str) -> bool:
    # words in CamelCase are words too
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", text)
    for match in _WORD.finditer(apart):
        word, sides = match.group(), apart[max(0, match.start() - 1) : match.start()] + apart[match.end() :][:1]
        plain = len(word) >= SHORT or (word[0].isupper() and not any(side.isdigit() for side in sides))
        if plain and _folded(word) in _PERSONS:
            return True
    return False


def _announced_name(text: str) -> bool:
    return any(_folded(match.group(1)) not in FILM_WORDS for match in _ANNOUNCED.finditer(text))


def _pair_of_names(text: str) -> bool:
    return any(all(map(_could_be_name, match.groups())) for match in _NEIGHBOURS.finditer(text))


def _could_be_name(word: str) -> bool:
    capitals = word.istitle() or (word.isupper() and len(word) >= SHORT)
    return capitals and _folded(word) not in FILM_WORDS


def _folded(word: str) -> str:
    """Small letters without accents."""
    small = word.lower()
    if small.isascii():
        return small
    return "".join(c for c in unicodedata.normalize("NFKD", small) if not unicodedata.combining(c))
