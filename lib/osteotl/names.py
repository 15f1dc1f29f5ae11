"""Names that people give to arms, films and patients: free text, but told apart and safe to print.

Any script, sign and emoji may stand in a name. Whoever makes a path or markup from one escapes it there.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

LONGEST = 120
# embeddings, overrides and isolates: they turn the words of the terminal or the page that follow them
_TURNING = {*range(0x202A, 0x202F), *range(0x2066, 0x206A)}


def hidden_character(text: str, allowed: str = "") -> str | None:
    """The first control character, or mark that turns the direction of what follows, as U+0000; None: there is none."""
    if text.isascii() and text.isprintable():  # nearly all of a million ids
        return None
    odd = (c for c in text if c not in allowed and (unicodedata.category(c) in ("Cc", "Cs") or ord(c) in _TURNING))
    first = next(odd, None)
    return None if first is None else f"U+{ord(first):04X}"


def name_fault(name: str) -> str | None:
    """Why a text cannot be a name, or None."""
    if hidden := hidden_character(name):
        return f"the character {hidden}, which is not shown; remove it"
    return f"more than {LONGEST} characters; shorten it" if len(name) > LONGEST else None


def same_name(name: str) -> str:
    """What two names share that a reader, or a file system, would take for one: case, spaces, invisible marks."""
    if name.isascii() and name.isprintable():
        return " ".join(name.lower().split())
    seen = "".join(c for c in unicodedata.normalize("NFKC", name) if unicodedata.category(c) != "Cf")
    return " ".join(seen.casefold().split())


def collisions(names: Iterable[str]) -> list[tuple[str, str]]:
    """Pairs of different names that cannot be told apart, each with the first of its kind."""
    first: dict[str, str] = {}
    found = []
    for name in names:
        other = first.setdefault(same_name(name), name)
        if other != name:
            found.append((other, name))
    return found


def not_matched(given: Iterable[str], arms: Iterable[str]) -> list[str]:
    """Why given thresholds do not fit the arms: a name that is no arm, an arm without one; none given is fine.

    Examples
    --------
    >>> not_matched(["vendor"], ["vendor", "reader"])
    ["there is no threshold for 'reader'; give every arm one (1 for calls of 0 and 1), or none"]
    """
    given, arms = list(given), list(arms)
    known = ", ".join(map(repr, arms[:10])) + (" ..." if len(arms) > 10 else "")
    faults = [f"{name!r} is no arm; the arms are {known}" for name in given if name not in arms]
    lacking = [name for name in arms if name not in given] if given else []
    rule = "give every arm one (1 for calls of 0 and 1), or none"
    return faults + [f"there is no threshold for {name!r}; {rule}" for name in lacking]
