"""Figures of 05 on the page: inline SVG in the page's colours, or why a figure was left out."""

from __future__ import annotations

import re
from typing import Any

from markupsafe import Markup

from osteotl.html import folded, paragraph, tag
from osteotl.report.outputs import Outputs

HEAVY = 400_000
"""Bytes above which an SVG is not put inline: the page must go by e-mail."""


def figures(outputs: Outputs, *names: str) -> Markup:
    """The named figures side by side; a figure that was left out is replaced by its reason.

    Parameters
    ----------
    outputs : Outputs
    *names : str
        Names in figures/index.json; unknown ones are passed over.
    """
    index = outputs.figures.get("figures", outputs.figures)
    reasons = outputs.figures.get("left_out", {})
    drawn, said = [], []
    for name in names:
        entry = index.get(name) or {}
        if reason := entry.get("left_out") or reasons.get(name):
            words = f"Figure “{name.replace('_', ' ')}” left out: {str(reason).rstrip('.')}."
            said.append(paragraph(words, class_="fine"))
        elif entry and (picture := _figure(outputs, name, entry)):
            drawn.append(picture)
    return Markup("").join([tag("div", drawn, class_="figures") if drawn else "", *said])


def _figure(outputs: Outputs, name: str, entry: dict[str, Any]) -> Markup | None:
    path = outputs.folder / "figures" / f"{name}.svg"
    if not path.is_file() or path.stat().st_size > HEAVY:
        return None
    drawing = inline_svg(path.read_text(encoding="utf-8"), name, str(entry["alt"]))
    lines = [(head, entry.get(key)) for head, key in (("Shown", "shown"), ("Good", "good"), ("Bad", "bad"))]
    told = [paragraph(tag("strong", f"{head}. "), text) for head, text in lines if text]
    caption = entry.get("caption") or entry.get("title") or ""
    reading = folded("How to read it", told) if told else None
    return tag("figure", drawing, tag("figcaption", caption, reading), id=f"figure-{name}", class_="figure")


def inline_svg(text: str, name: str, alt: str) -> Markup:
    """An SVG file as an element of the page, with its own identifiers and an alternative text.

    Parameters
    ----------
    text : str
        Content of the file. Style attributes become presentation attributes, which the page's policy allows.
    name : str
        Put before every identifier, so that figures do not share any.
    alt : str
        What the figure shows, for a screen reader.
    """
    inner = text[text.index("<svg") :]
    start, _, rest = inner.partition(">")
    box = re.search(r'viewBox="([^"]*)"', start)
    classes = re.search(r'class="([^"]*)"', start)
    body = rest[: rest.rindex("</svg>")]
    body = re.sub(r"<(metadata|style|title|desc)\b.*?</\1>|<\?.*?\?>|<!--.*?-->", "", body, flags=re.S)
    body = re.sub(r'\sstyle="([^"]*)"', _presentation, body)
    body = re.sub(r'\b(?:xlink:)?href="#', f'href="#{name}-', body)
    body = re.sub(r'\bid="', f'id="{name}-', body).replace("url(#", f"url(#{name}-")
    return tag(
        "svg", tag("title", alt), Markup(re.sub(r"\s*\n\s*", " ", body)), role="img", class_=f"plot {classes[1] if classes else ''}".strip(),
        viewBox=box[1] if box else None,
    )  # fmt: skip


def _presentation(match: re.Match[str]) -> str:
    pairs = [part.partition(":") for part in match[1].split(";") if ":" in part]
    kept = [(key.strip(), content.strip()) for key, _, content in pairs]
    return "".join(f' {key}="{content}"' for key, content in kept if key != "font" and '"' not in content)
