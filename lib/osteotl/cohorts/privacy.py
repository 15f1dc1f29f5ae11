"""Identifiers hashed before anything is written, and file names that give a person away."""

from __future__ import annotations

import hashlib
import re
from pathlib import PurePath

# names found on tapes and disks of hospitals; a list can only warn, it cannot prove that a name is absent
GIVEN_NAMES = frozenset(
    """
    aaron adam ahmed akira alan albert alejandro alex alexander ali alice ana anderson andrea andreas andrew angela
    anna anne anthony antonio arthur barbara bauer becker benjamin bernd bob brian brown carla carlos carmen carol
    caroline charles chen chris christian christine christopher claire claudia daniel david davis deborah dennis
    diana diego doe dominik donald donna dorothy edward elena elisabeth elizabeth emily emma eric ernst eva fatima
    felix fernando fischer francesco francisco frank franz gabriel garcia george gerhard giovanni giulia gonzalez
    grace hannah hans harald haruki hassan heinz helen henry hernandez hiroshi hoffmann hugo ibrahim ingrid isabel
    ivan jack jacob jakob james jane janet jean jennifer jessica joao jochen johann johannes john johnson jonas
    jones jorge jose joseph joshua juan julia julian karen karl katharina kathrin keiko kenji kevin klaus klein
    kumar lars laura laurent lena leon linda lisa lopez louis lucas lucia luigi luis lukas maria marie mario markus
    martha martin mary matthew maximilian mayer megan mei melissa meyer mia michael michelle miguel miller miriam
    mohamed mohammed monika mueller nakamura nancy natalia nguyen nicholas nicole nina noah olga oliver olivia oscar
    pablo pamela patel patricia patrick paul pedro perez peter petra philip pierre priya rachel raj ralf raymond
    rebecca renate ricardo richard robert roberto roger ronald rosa rossi ruth ryan sabine samuel sanchez sandra
    sara sarah sato satoshi schmidt schneider schulz scott sergio sharon simon singh smith sofia sophia sophie
    stefan stephanie stephen steven susan susanne suzuki takashi tanaka taylor theresa thomas timothy tobias ulrich
    ursula vera victor vincent wagner walter wang watanabe weber wei werner william williams wilson wolfgang
    yamamoto yasmin yoko yuki yusuf zhang
    """.split()  # noqa: SIM905 (a list this long reads as text)
)
_DATE = re.compile(
    r"(?<!\d)(?:(?:19|20)\d\d([-_.]?)(?:0[1-9]|1[0-2])\1(?:0[1-9]|[12]\d|3[01])"  # 1987-03-21, 19870321
    r"|(?:0?[1-9]|[12]\d|3[01])([-_.])(?:0?[1-9]|1[0-2])\2(?:19|20)\d\d"  # 21.03.1987
    r"|(?:0?[1-9]|1[0-2])([-_.])(?:0?[1-9]|[12]\d|3[01])\3(?:19|20)\d\d)(?!\d)"  # 03-21-1987
)
# hashes and UUIDs hold words and dates by chance
_HEXADECIMAL = re.compile(
    r"(?<![^\W_])(?:[0-9a-f]{16,}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?![^\W_])", re.IGNORECASE
)
_WORD = re.compile(r"[^\W\d_]+")


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
        'date' (a calendar date of 1900-2099) and 'name' (a common given name or surname as a word of its own, or the
        DICOM form FAMILY^GIVEN); empty where nothing is suspected. The words themselves are not returned.
    """
    path = PurePath(path)
    text = path.name if path.is_absolute() else str(path)
    text = _HEXADECIMAL.sub("", text.removesuffix(path.suffix))
    # words in CamelCase are words too
    words = {word.lower() for word in _WORD.findall(re.sub(r"(?<=[a-z])(?=[A-Z])", "_", text))}
    kinds = ["date"] if _DATE.search(text) else []
    if words & GIVEN_NAMES or re.search(r"[^\W\d_]{2,}\^[^\W\d_]{2,}", text):
        kinds.append("name")
    return kinds
