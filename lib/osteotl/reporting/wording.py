"""Numbers and names in words, written alike in notebooks, figures, page and texts."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from numbers import Real
from typing import Any

from osteotl.reporting.safety import without_paths
from osteotl.statistics.coverage import MARK

MINUS = "\N{MINUS SIGN}"
POINTS = {"high_sensitivity": "high sensitivity", "high_specificity": "high specificity", "youden": "Youden"}
SOURCES = {"validation": "locked on the validation set", "external": "found on the external set"}
FEATURES = {"mean_grey": "mean grey level", "sd_grey": "spread of grey levels"}
HIT_RULES = {
    "iou50": "intersection over union with a reference box of 0.50 or more",
    "iou30": "intersection over union with a reference box of 0.30 or more",
    "iou10": "intersection over union with a reference box of 0.10 or more",
    "centre": "centre of the mark inside a reference box",
}


def fixed(value: float, digits: int = 3, scale: float = 1, plus: bool = False) -> str:
    """A number with a true minus sign, thousands set apart by a comma; what rounds to zero has no sign."""
    text = f"{abs(value) * scale:,.{digits}f}"
    if not float(text.replace(",", "")):
        return text
    return f"{MINUS}{text}" if value < 0 else f"+{text}" if plus else text


def interval(number: Mapping[str, Any] | None, digits: int = 3, plus: bool = False) -> str:
    """`0.954 (0.937 to 0.970)`, marked where the interval is known to cover too little, or what is missing and why."""
    number = number or {}
    if not known(number.get("estimate")):
        reason = number.get("not_estimable")
        return f"not estimable ({line(reason)})" if isinstance(reason, str) else "not estimable"
    text, ends = fixed(number["estimate"], digits, plus=plus), ("lower", "upper")
    if not all(known(number.get(end)) for end in ends):
        return f"{text} (no interval)"
    mark = MARK if known(number.get("coverage")) else ""
    return f"{text} ({' to '.join(fixed(number[end], digits, plus=plus) for end in ends)}{mark})"


def p_value(p: Any) -> str:
    """`0.037`, `< 0.001`, or 'not estimable'; never 0."""
    return "not estimable" if not known(p) else "< 0.001" if p < 0.001 else f"{p:.3f}"


def p_sentence(p: Any) -> str:
    """`p = 0.037`, `p < 0.001`, or 'p not estimable'."""
    return f"p = {p_value(p)}" if known(p) and p >= 0.001 else f"p {p_value(p)}"


def known(value: Any) -> bool:
    """Whether this is a number at all: None and NaN, as tables read them, are not."""
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)


def point_name(key: str) -> str:
    """`high_sensitivity@validation` as a title: `high sensitivity, locked on the validation set`."""
    return ", ".join(_point(key))


def point_words(key: str) -> str:
    """`high_sensitivity@validation` in a sentence: `high sensitivity point, threshold locked on ...`."""
    return " point, threshold ".join(_point(key))


def _point(key: str) -> tuple[str, str]:
    name, _, source = key.partition("@")
    return POINTS.get(name, name.replace("_", " ")), SOURCES.get(source, source)


def line(text: Any) -> str:
    """Free text of a user on one line, without paths of the machine."""
    return without_paths(" ".join(str(text).split()))


def typeset(text: Any) -> str:
    """A sentence of statistics.json with true minus signs before its numbers."""
    return re.sub(r"(?<![\w.\N{EN DASH}-])-(?=\d)", MINUS, str(text))


def counted(number: int, thing: str) -> str:
    """`1 film`, `2,000 films`."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def joined(parts: list[str]) -> str:
    """`a, b and c`."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}" if parts else ""
