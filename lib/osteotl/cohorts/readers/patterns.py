"""Regular expressions that people write, in bounded time: one with a repeat inside a repeat may never end."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence

SECONDS = 20.0  # for all names of a cohort; 100,000 names take less than one
MEMORY = 1 << 30  # bytes

# its own process, as nothing else can stop a match that is under way: no threads, signals or modules of others needed
_SEARCH = f"""
import json, re, resource, sys
resource.setrlimit(resource.RLIMIT_AS, ({MEMORY}, {MEMORY}))
pattern, texts = json.load(sys.stdin)
search = re.compile(pattern).search
json.dump([found[1] if (found := search(text)) else None for text in texts], sys.stdout)
"""


def first_groups(pattern: str, texts: Sequence[str], seconds: float = SECONDS) -> list[str | None]:
    """What group 1 of a pattern finds in each text; None where the pattern, or its group, does not match.

    Parameters
    ----------
    pattern : str
        A regular expression that compiles, with a group.
    texts : sequence of str
    seconds : float
        For all texts together.

    Raises
    ------
    ValueError
        It takes longer, or more than 1 GB of memory.
    """
    command = [sys.executable, "-I", "-S", "-c", _SEARCH]
    try:
        words = json.dumps([pattern, list(texts)])
        done = subprocess.run(command, input=words, capture_output=True, text=True, timeout=seconds, check=True)
    except (subprocess.TimeoutExpired, subprocess.CalledProcessError) as error:
        why = f"{seconds:g} seconds" if isinstance(error, subprocess.TimeoutExpired) else "the memory that it may use"
        raise ValueError(f"does not end within {why}") from error
    found: list[str | None] = json.loads(done.stdout)
    return found
