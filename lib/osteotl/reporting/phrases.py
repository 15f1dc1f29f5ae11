"""What a run can say of itself, phrase by phrase: checklists, methods text and model cards are written from these.

Every number in a phrase is read from a file of the run. A phrase that the run cannot know is None, never a guess.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from osteotl.reporting import account_results, account_setup
from osteotl.reporting.account import Run


def phrases(run: Run) -> dict[str, str | None]:
    """Every phrase that checklists, methods and cards are written from; None where the run cannot know."""
    return {**account_setup.phrases(run), **account_results.phrases(run)}


def fill_in(sentences: list[str], known: Mapping[str, str | None]) -> list[str]:
    """The sentences whose every {phrase} is known, filled in; a sentence with an unknown one is left out.

    Raises
    ------
    ValueError
        A sentence names a phrase that no run can have: a mistake in the template.
    """
    kept = []
    for sentence in sentences:
        names = re.findall(r"\{(\w+)\}", sentence)
        if unknown := [name for name in names if name not in known]:
            raise ValueError(f"phrase {unknown[0]!r} does not exist; known: {', '.join(sorted(known))}")
        if all(known[name] is not None for name in names):
            kept.append(re.sub(r"\{(\w+)\}", lambda match: str(known[match[1]]), sentence))
    return kept
