"""The figures that 05_figures saved, placed where the text speaks of them."""

from __future__ import annotations

import base64
from io import BytesIO
from pathlib import Path

from markupsafe import Markup
from PIL import Image

from osteotl.reporting.html import folded, paragraph, tag
from osteotl.reporting.results import Results
from osteotl.reporting.wording import typeset

HEAVY = 90_000
"""An SVG above this many bytes is shown as its (lossless) picture instead."""


def place(results: Results, *names: str) -> Markup | None:
    """The named figures side by side, and why others were left out; None where the study knows of none."""
    drawn = [picture for name in names if (picture := figure(results, name)) is not None]
    why = [_left_out(name, results.left_out[name]) for name in names if name in results.left_out]
    return Markup("").join([tag("div", drawn, class_="figures") if drawn else "", *why]) or None


def _left_out(name: str, reason: str) -> Markup:
    said = f"Figure “{name.replace('_', ' ')}” left out: {typeset(reason)}."
    return tag("p", said, id=f"figure-{name}", class_="fine")


def figure(results: Results, name: str) -> Markup | None:
    """One figure with caption, alt text and its three folded lines."""
    entry = results.figures.get(name)
    if not isinstance(entry, dict) or not entry.get("alt"):
        return None
    found = _source(results.out / "figures", name)
    if found is None:
        return None
    source, width, height = found
    lines = [(head, entry.get(key)) for head, key in (("Shown", "shown"), ("Good", "good"), ("Bad", "bad"))]
    told = [paragraph(tag("strong", f"{head}. "), text) for head, text in lines if text]
    image = tag("img", src=source, alt=typeset(entry["alt"]), width=width, height=height, decoding="async")
    caption = tag(
        "figcaption", entry.get("caption") or entry.get("title") or "", folded("How to read it", told) if told else None
    )
    return tag("figure", image, caption, id=f"figure-{name}", class_="figure")


def _source(folder: Path, name: str) -> tuple[str, int, int] | None:
    """A data URI with the figure's size: the SVG where it is light, else the PNG as lossless WebP."""
    png, svg = folder / f"{name}.png", folder / f"{name}.svg"
    if not png.is_file():
        return None
    with Image.open(png) as picture:
        width, height = picture.size
        if svg.is_file() and svg.stat().st_size <= HEAVY:
            return f"data:image/svg+xml;base64,{_base64(svg.read_bytes())}", width, height
        buffer = BytesIO()
        picture.convert("RGB").save(buffer, "WEBP", lossless=True, quality=80, method=4)
    return f"data:image/webp;base64,{_base64(buffer.getvalue())}", width, height


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")


def leftovers(results: Results, used: str) -> list[str]:
    """Figures of the index, drawn or left out, that the page does not speak of yet."""
    return [name for name in (*results.figures, *results.left_out) if f'id="figure-{name}"' not in used]
