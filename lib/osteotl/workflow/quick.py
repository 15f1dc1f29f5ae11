"""The answer to 'has anything changed?' from sizes and dates alone, before anything heavy is imported.

After a run that left every step holding, OUT/.engine/unchanged.json keeps the signature of every file that took part.
Where one differs, the full check decides by content; a file that was only touched changes nothing there.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from osteotl.workflow import fingerprint
from osteotl.workflow.steps import ENGINE, ROOT


def _glance(paths: Iterable[str], names: Iterable[str]) -> dict[str, Any]:
    return {
        "files": {path: fingerprint.glance(path) for path in paths},
        "environment": {n: os.environ.get(n) for n in names},
    }


def note(outputs: Path, config: Path, asked: list[str], paths: Iterable[Path]) -> None:
    """Remember that all holds now, for this configuration and these options."""
    from osteotl.files import write_json

    own = [
        config,
        ROOT / "requirements.lock",
        ROOT / "Snakefile",
        ROOT / "notebooks",
        ROOT / "lib" / fingerprint.PACKAGE,
    ]
    names = re.findall(r"\$\{?(\w+)", config.read_text(encoding="utf-8"))
    state = _glance((str(path) for path in [*own, *paths]), names)
    write_json(outputs / ENGINE / "unchanged.json", {"asked": asked, **state})


def unchanged(outputs: Path, asked: list[str]) -> bool:
    """True only where every file that took part is exactly as it was left."""
    try:
        known = json.loads((outputs / ENGINE / "unchanged.json").read_text(encoding="utf-8"))
        return known["asked"] == asked and known == {"asked": asked, **_glance(known["files"], known["environment"])}
    except (OSError, ValueError, KeyError, TypeError):
        return False
