"""Numbers on the page, each marked with the place in statistics.json that it was read from."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from osteotl.reporting.html import tag
from osteotl.reporting.wording import fixed, p_value
from osteotl.statistics.coverage import MARK


@dataclass(frozen=True)
class Style:
    """How a number is written: `value * scale`, rounded to `digits`, with `unit` behind it."""

    digits: int
    scale: float = 1.0
    unit: str = ""
    signed: bool = False


STYLES = {
    "auc": Style(3),
    "fixed2": Style(2),
    "fixed1": Style(1),
    "percent": Style(1, 100, "%"),
    "percent0": Style(0, 100, "%"),
    "count": Style(0),
    "signed3": Style(3, signed=True),
    "points": Style(1, 100, signed=True),
    "p": Style(3),
    "small": Style(6),
}


def write_number(value: float, style: str) -> str:
    """A number as the page writes it.

    Parameters
    ----------
    value : float
        As it stands in statistics.json.
    style : str
        A key of `STYLES`; 'p' never writes 0.000 but '< 0.001'.

    Returns
    -------
    str
        With a true minus sign, and thousands set apart by a comma.
    """
    if style == "p":
        return p_value(value).replace(" ", "\N{NO-BREAK SPACE}")
    chosen = STYLES[style]
    return fixed(value, chosen.digits, chosen.scale, chosen.signed) + chosen.unit


class Facts:
    """Look-ups in statistics.json that remember their path.

    A path is the keys from the root joined by dots, list positions as digits: `arms.transfer.auc.estimate`.
    """

    def __init__(self, statistics: Mapping[str, Any]):
        self.statistics = statistics

    def get(self, path: str, default: Any = None) -> Any:
        """What stands at `path`, or `default` where any part of the way is missing or null."""
        here: Any = self.statistics
        for key in path.split("."):
            if isinstance(here, Mapping) and key in here:
                here = here[key]
            elif isinstance(here, list) and key.isdigit() and int(key) < len(here):
                here = here[int(key)]
            else:
                return default
        return default if here is None else here

    def value(self, path: str, style: str, unit: bool = True) -> Markup:
        """One plain number, marked with its source; `unit` False leaves its unit out (limits of an interval)."""
        raw = self.get(path)
        if isinstance(raw, bool) or not isinstance(raw, int | float) or not math.isfinite(raw):
            return tag("span", "not estimable" if style == "p" else "not estimated", class_="missing")
        text = write_number(raw, style) if unit else write_number(raw, style).removesuffix(STYLES[style].unit)
        return tag("span", text, data_source=path, data_scale=f"{STYLES[style].scale:g}", class_="num")

    def estimate(self, path: str, style: str) -> Markup:
        """The estimate of a Number, or why there is none."""
        if self.get(f"{path}.estimate") is None:
            return self.missing(path)
        return self.value(f"{path}.estimate", style)

    def interval(self, path: str, style: str) -> Markup:
        """The limits of a Number: `0.937 to 0.970`, marked where known to cover too little; empty where it has none."""
        if self.get(f"{path}.lower") is None or self.get(f"{path}.upper") is None:
            return Markup("")
        limits = Markup("{} to {}").format(
            self.value(f"{path}.lower", style, unit=False), self.value(f"{path}.upper", style, unit=False)
        )
        covers = self.get(f"{path}.coverage")
        return limits if covers is None else limits + tag("sup", MARK, title=f"covered {covers:.1%} in simulation")

    def number(self, path: str, style: str) -> Markup:
        """Estimate with its interval behind it: `0.954 (0.937 to 0.970)`, or that there is none where one was due."""
        limits = self.interval(path, style) or self.no_interval(path)
        if self.get(f"{path}.estimate") is None or not limits:
            return self.estimate(path, style)
        return Markup('{} <span class="ci">({})</span>').format(self.estimate(path, style), limits)

    def no_interval(self, path: str) -> Markup:
        """`no interval` for an estimate without limits, with the reason; empty where none was due."""
        reason = self.get(f"{path}.not_estimable")
        return tag("span", "no interval", title=reason) if reason else Markup("")

    def p(self, path: str) -> Markup:
        """The p value of a Number, or of a plain entry that is one."""
        here = self.get(path)
        return self.value(f"{path}.p" if isinstance(here, Mapping) else path, "p")

    def missing(self, path: str) -> Markup:
        """Why a Number has no estimate."""
        reason = self.get(f"{path}.not_estimable")
        return tag("span", "not estimable" if reason else "not estimated", class_="missing", title=reason)

    @property
    def level(self) -> str:
        """The confidence level as it stands before 'CI': `95%`."""
        return f"{100 * float(self.get('settings.confidence', 0.95)):g}%"
