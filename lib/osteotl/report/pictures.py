"""Figures of 05 on the page: inline SVG in the page's colours, pictures of films, or why a figure was left out."""

from __future__ import annotations

import base64
from io import BytesIO
from pathlib import Path
from typing import Any

import matplotlib as mpl
from markupsafe import Markup
from matplotlib.figure import Figure as Canvas
from PIL import Image

from osteotl.figures.parts import themed
from osteotl.html import folded, paragraph, tag
from osteotl.report.outputs import Outputs

HEAVY = 400_000
"""Bytes above which an SVG gives way to its picture: the page must go by e-mail."""


def figures(outputs: Outputs, *names: str) -> Markup:
    """The named figures side by side; a figure that was left out is replaced by its reason.

    Parameters
    ----------
    outputs : Outputs
    *names : str
        Names in figures/index.json; unknown ones are passed over.
    """
    drawn, said = [], []
    for name in names:
        entry = outputs.figures.get(name) or {}
        if reason := entry.get("left_out"):
            words = f"Figure “{name.replace('_', ' ')}” left out: {str(reason).rstrip('.')}."
            said.append(paragraph(words, class_="fine"))
        elif entry and (picture := _figure(outputs, name, entry)):
            drawn.append(picture)
    return Markup("").join([tag("div", drawn, class_="figures") if drawn else "", *said])


def _figure(outputs: Outputs, name: str, entry: dict[str, Any]) -> Markup | None:
    svg, png = outputs.find(f"figures/{name}.svg"), outputs.find(f"figures/{name}.png")
    if svg is not None and svg.stat().st_size <= HEAVY:
        text = svg.read_text(encoding="utf-8")
        drawing = Markup(text[text.index("<svg") :])
    elif png is not None:
        drawing = embedded(png, str(entry["alt"]))
    else:
        return None
    lines = [(head, entry.get(key)) for head, key in (("Shown", "shown"), ("Good", "good"), ("Bad", "bad"))]
    told = [paragraph(tag("strong", f"{head}. "), text) for head, text in lines if text]
    caption = [
        tag("strong", f"{str(entry['title']).rstrip('.')}. ") if entry.get("title") else None,
        entry.get("caption"),
    ]
    reading = folded("How to read it", told) if told else None
    return tag("figure", drawing, tag("figcaption", caption, reading), id=f"figure-{name}", class_="figure")


def own_figure(picture: Canvas, name: str, alt: str, caption: str = "") -> Markup:
    """A matplotlib figure of one's own, for a section: `Section("mine", own_figure(figure, "mine", "What it shows"))`.

    Parameters
    ----------
    picture : matplotlib Figure
    name : str
        Its name on the page.
    alt : str
        The finding in words, for a screen reader.
    caption : str
    """
    buffer = BytesIO()
    with mpl.rc_context({"svg.hashsalt": "osteotl", "svg.fonttype": "none"}):
        picture.savefig(buffer, format="svg", facecolor="none", metadata={"Date": None, "Creator": None})
    drawing = Markup(themed(buffer.getvalue().decode("utf-8"), name, alt))
    return tag("figure", drawing, tag("figcaption", caption), id=f"figure-{name}", class_="figure")


def embedded(path: Path, alt: str, quality: int = 80) -> Markup:
    """A picture inside the page, as WebP: a tenth of a PNG's bytes."""
    buffer = BytesIO()
    with Image.open(path) as picture:
        width, height = picture.size
        picture.convert("RGB").save(buffer, "WEBP", quality=quality, method=4)
    source = f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
    return tag("img", src=source, alt=alt, width=width, height=height, decoding="async")
