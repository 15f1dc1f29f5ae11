"""Where each arm's score rests on its most right and its most wrong films."""

from __future__ import annotations

import base64
import json
from io import BytesIO
from pathlib import Path
from typing import Any

from markupsafe import Markup
from PIL import Image

from osteotl.reporting.html import paragraph, tag
from osteotl.reporting.results import Results

KINDS = {
    "surest_hit": "surest hit: the malignant film with the highest score",
    "worst_miss": "worst miss: the malignant film with the lowest score",
    "worst_alarm": "worst false alarm: the normal film with the highest score",
    "surest_normal": "surest normal film: the normal film with the lowest score",
}


def occlusion(results: Results) -> Markup | None:
    """The occlusion maps that the audit drew, arm by arm; None where there are none."""
    file = results.out / "audit.json"
    entries = json.loads(file.read_text(encoding="utf-8")).get("occlusion", []) if file.is_file() else []
    rows: list[Markup] = []
    for arm in results.arms:
        shown = [p for entry in entries if entry["arm"] == arm and (p := _map(results, entry)) is not None]
        if shown:
            rows += [tag("p", results.mark(arm)), tag("div", shown, class_="films")]
    if not rows:
        return None
    rule = paragraph(
        "For each arm the film of each class with the highest and with the lowest score (first training seed). A grey "
        "patch hides one part of the film after another: orange where the score then falls, so where it rests; blue "
        "where it rises; full colour is the change of the logit (log odds of the score) that stands below each film. "
        "White: the reference standard. A detector that looks at the tumour is orange inside the white box of its "
        "surest hit."
    )
    return tag("div", tag("h3", "What the scores rest on"), rule, rows, id="occlusion")


def _embedded(picture: Path) -> str:
    """The map as WebP, a tenth of the PNG's bytes: eight lossless maps alone would be 2 of the page's 5 MB."""
    buffer = BytesIO()
    with Image.open(picture) as image:
        image.convert("RGB").save(buffer, "WEBP", quality=82, method=4)
    return f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _map(results: Results, entry: dict[str, Any]) -> Markup | None:
    picture = results.out / "occlusion" / str(entry["file"])
    if not picture.is_file():
        return None
    source = _embedded(picture)
    kind, change = KINDS[entry["kind"]], f"{entry['full_colour']:.1f}"
    alt = (
        f"Occlusion map of film {entry['image_id'][:6]}, {results.label(entry['arm'])}, {kind}. Hiding a patch lowers "
        f"the logit by at most {entry['falls']:.1f} and raises it by at most {entry['rises']:.1f}."
    )
    image = tag("img", src=source, alt=alt, width=384, height=384, decoding="async")
    film = tag("span", entry["image_id"][:6], class_="id")
    colour = tag("span", change, data_source="audit.json")
    name, _, which = kind.partition(": ")
    caption = tag("figcaption", film, tag("br"), tag("strong", name), f": {which}; full colour ", colour)
    return tag("figure", tag("div", image, class_="film"), caption)
