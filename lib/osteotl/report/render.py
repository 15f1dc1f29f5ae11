"""Render the executed notebook 06 and the other notebooks to one HTML file that opens offline."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import nbformat
import pandas as pd
from markupsafe import Markup, escape
from nbformat import NotebookNode

from osteotl.files import write_text
from osteotl.html import bullets, paragraph, slug, tag
from osteotl.report.appendix import PageExporter, chosen, joined, markdown
from osteotl.report.safety import FilmNames, clean, film_names, private
from osteotl.report.section import MIME

LARGEST = 5 * 1024 * 1024
HEADER = "top"
"""Name of the section that holds the page's title and what stands below it."""


@dataclass(frozen=True)
class Part:
    """One section of the page, from a Markdown cell and the code cell after it."""

    id: str
    title: str
    prose: Markup
    body: Markup
    class_: str = ""
    about: dict[str, Any] = field(default_factory=dict)

    def __html__(self) -> str:
        heading = tag("h2", self.title, id=f"{self.id}-title")
        return str(tag("section", heading, self.prose, self.body, id=self.id, class_=self.class_ or None,
                       aria_labelledby=f"{self.id}-title"))  # fmt: skip


def render(
    executed: NotebookNode, others: Sequence[tuple[str, NotebookNode]] = (), known: FilmNames | None = None
) -> str:
    """The page's HTML.

    Parameters
    ----------
    executed : NotebookNode
        06_report with its outputs. A code cell tagged `section` returned a Section or `omit(reason)`; the Markdown cell
        before it is its heading and text.
    others : sequence of (title, NotebookNode)
        The other executed notebooks, appended with their code.
    known : FilmNames, optional

    Returns
    -------
    str
        The same notebooks give the same bytes.

    Raises
    ------
    ValueError
        A cell tagged `section` returned neither, two sections share a name, or there is no header.
    """
    known = known or FilmNames()
    parts, omitted = sections(executed, known)
    header = next((part for part in parts if part.id == HEADER), None)
    if header is None:
        raise ValueError(f"06_report returned no Section({HEADER!r}): its first section holds the page's title")
    parts = [part for part in parts if part.id != HEADER]
    if omitted:
        parts.append(omissions(omitted))
    return _page(header, parts, others, known)


def render_alone(executed: NotebookNode, title: str, known: FilmNames | None = None) -> str:
    """HTML of a notebook that stands alone, in the style of the page.

    A notebook with cells tagged `section` is rendered as `render` does. Of any other one, the headings make the
    sections, and the outputs below a heading its content; the notebook with its code is appended.

    Parameters
    ----------
    executed : NotebookNode
    title : str
        Of the appended notebook.
    known : FilmNames, optional
    """
    known = known or FilmNames()
    if any("section" in cell.metadata.get("tags", []) for cell in executed.cells):
        return render(executed, [(title, executed)], known)
    parts: list[Part] = []
    for cell in executed.cells:
        if cell.cell_type == "markdown":
            heading, text = _heading(cell.source)
            prose = Markup(clean(str(markdown(text)), known)) if text.strip() else Markup("")
            if heading or not parts:
                name = f"{slug(heading)}-{len(parts)}" if parts else HEADER
                parts.append(Part(name, private(heading or title, known), prose, Markup("")))
            else:
                parts[-1] = replace(parts[-1], body=parts[-1].body + prose)
        elif cell.cell_type == "code" and parts:
            shown = Markup("").join(_shown(output, known, parts[-1].title) for output in cell.outputs)
            parts[-1] = replace(parts[-1], body=parts[-1].body + shown)
    if not parts:
        raise ValueError(f"{title} has no Markdown cell: begin it with a heading")
    header, *parts = parts
    return _page(replace(header, body=header.prose + header.body), parts, [(title, executed)], known)


def _shown(output: NotebookNode, known: FilmNames, heading: str) -> Markup:
    """One output of a cell: HTML, a picture with an alternative text, or plain text."""
    data = output.get("data", {})
    if "text/html" in data:
        return Markup(clean("".join(data["text/html"]), known))
    if "image/png" in data:
        about = output.get("metadata", {})
        alt = about.get("image/png", about).get("alt") or f"Figure: {heading}; the text and tables here describe it"
        source = "".join(data["image/png"]).replace("\n", "")
        return tag("img", alt=private(alt, known), src=f"data:image/png;base64,{source}")
    text = "".join(data.get("text/plain", output.get("text", "")))
    return tag("pre", private(text, known), class_="out") if text.strip() else Markup("")


def _page(header: Part, parts: Sequence[Part], others: Iterable[tuple[str, NotebookNode]], known: FilmNames) -> str:
    """The whole page by our template."""
    appendix = joined(others, known)
    style, script = compact(template_files("css")), template_files("js")
    page = {
        "title": private(str(header.about.get("title") or header.title), known),
        "heading": escape(header.title),
        "header": header.body,
        "parts": Markup("").join(Markup(unbroken(part.__html__())) for part in parts),
        "contents": contents(parts, bool(appendix.cells)),
        "first": parts[0].id if parts else HEADER,
        "style": Markup(style),
        "script": Markup(script),
        "policy": policy(style, script),
        "has_notebooks": bool(appendix.cells),
    }
    html, _ = PageExporter(known).from_notebook_node(appendix, resources={"page": page})
    return re.sub(r"[ \t]+\n", "\n", without_dead_links(html))


def sections(executed: NotebookNode, known: FilmNames) -> tuple[list[Part], list[tuple[str, str]]]:
    """Sections in their order, and the title and reason of each one that was left out."""
    parts: list[Part] = []
    omitted: list[tuple[str, str]] = []
    before = None
    for place, cell in enumerate(executed.cells):
        if cell.cell_type == "code" and "section" in cell.metadata.get("tags", []):
            output = _returned(cell, place)
            title, prose = _heading(before.source if before is not None else "")
            about = dict(output[MIME])
            if about["omitted"]:
                omitted.append((title, private(str(about["omitted"]), known)))
            else:
                body = Markup(clean("".join(output["text/html"]), known))
                text = Markup(clean(str(markdown(prose)), known)) if prose.strip() else Markup("")
                title = private(str(about.get("heading") or title), known)
                parts.append(Part(about["id"], title, text, body, slug_list(about.get("class", "")), about))
        before = cell if cell.cell_type == "markdown" else None
    names = [part.id for part in parts]
    if double := next((name for name in names if names.count(name) > 1), None):
        raise ValueError(f"two sections are named {double!r}: give one of them another id")
    return parts, omitted


def _returned(cell: NotebookNode, place: int) -> Mapping[str, Any]:
    for output in cell.get("outputs", []):
        if MIME in output.get("data", {}):
            return output.data
    first = cell.source.strip().splitlines()[0] if cell.source.strip() else "(empty)"
    raise ValueError(
        f"cell {place + 1} of 06_report ({first!r}) is tagged `section` but returned none: end it with Section(...) or "
        "omit(reason)"
    )


def _heading(source: str) -> tuple[str, str]:
    """The first heading of a Markdown cell, and the text below it."""
    match = re.match(r"\s*#+\s*(.+?)\s*#*\s*(?:\n|\Z)", source)
    return (match[1], source[match.end() :]) if match else ("", source)


def slug_list(text: str) -> str:
    """Class names that are names."""
    return " ".join(slug(name) for name in text.split())


def omissions(omitted: Iterable[tuple[str, str]]) -> Part:
    """What the page would show for another study, and why it does not for this one."""
    items = [[tag("strong", title), ": ", reason.rstrip("."), "."] for title, reason in omitted]
    return Part(
        "omissions", "Left out of this page", paragraph("Sections for which this study has no data."), bullets(items)
    )


def contents(parts: Sequence[Part], notebooks: bool) -> Markup:
    """The contents list."""
    items = [(part.id, part.title) for part in parts]
    if notebooks:
        items.append(("notebooks", "Executed notebooks"))
    return tag("ol", [tag("li", tag("a", title, href=f"#{name}")) for name, title in items])


# --- style, script, policy --------------------------------------------------------------------------------------------


def template_files(kind: str) -> str:
    """The template's files of a kind, joined by name, `report` first."""
    folder = files("osteotl.report") / "template"
    found = sorted(
        (f for f in folder.iterdir() if f.name.endswith(f".{kind}")), key=lambda f: (f.name != f"report.{kind}", f.name)
    )
    return "\n".join(f.read_text(encoding="utf-8") for f in found)


def compact(style: str) -> str:
    """The stylesheet without comments and white space that only its authors need."""
    style = re.sub(r"/\*.*?\*/", "", style, flags=re.S)
    return re.sub(r": +", ":", re.sub(r"\s*([{};,])\s*", r"\1", style)).strip()


def policy(style: str, script: str) -> str:
    """A Content-Security-Policy that lets in this style, this script and pictures inside the file, nothing else."""

    def quoted(text: str) -> str:
        return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode('utf-8')).digest()).decode()}'"

    return (
        f"default-src 'none'; img-src data:; style-src {quoted(style)}; script-src {quoted(script)}; "
        "base-uri 'none'; form-action 'none'"
    )


def unbroken(html: str) -> str:
    """A number stays on one line with its per cent sign, and a p value with its p."""
    return re.sub(r"(?<=[\d>]) (?=%)|(?<=\bp) (?=&lt; \d)", "\N{NO-BREAK SPACE}", html)


def without_dead_links(html: str) -> str:
    """Links to places that the page does not have become their text."""
    there = set(re.findall(r'\sid="([^"]+)"', html))

    def kept(match: re.Match[str]) -> str:
        return match[0] if match[1] in there else match[2]

    return re.sub(r'<a\b[^>]*\shref="#([^"]+)"[^>]*>(.*?)</a>', kept, html, flags=re.S)


# --- files ------------------------------------------------------------------------------------------------------------


def write_report(folder: str | Path) -> Path:
    """Render the executed notebooks of a finished study to report.html.

    Parameters
    ----------
    folder : path
        The outputs folder: notebooks/06_report.ipynb, the other executed notebooks, the cohort tables.

    Raises
    ------
    ValueError
        06_report was not executed, or the page is larger than 5 MiB.
    """
    folder = Path(folder)
    own = folder / "notebooks" / "06_report.ipynb"
    if not own.is_file():
        raise ValueError("notebooks/06_report.ipynb is missing in the outputs: run ./run_all.sh first")
    analysis = folder / "analysis.json"
    labels = json.loads(analysis.read_text(encoding="utf-8"))["arms"] if analysis.is_file() else {}
    others = chosen(folder / "notebooks", labels)
    texts = {"path": str, "image_id": str}
    tables = [pd.read_csv(path, dtype=texts) for path in sorted((folder / "cohorts").glob("*.csv"))]
    html = render(nbformat.read(own, as_version=4), others, film_names(tables, _films_of_faults(folder)))
    size = len(html.encode("utf-8"))
    if size > LARGEST:
        raise ValueError(
            f"the page has {size:,} bytes, must be at most {LARGEST:,} to go by e-mail: lower report.gallery_films"
        )
    return write_text(folder / "report.html", html)


def _films_of_faults(folder: Path) -> list[str]:
    """Films that the cohort tables may not hold: those that a fault names, and those that were left out."""
    path = folder / "cohorts" / "integrity.json"
    if not path.is_file():
        return []
    content = json.loads(path.read_text(encoding="utf-8"))
    return [*(fault["file"] for fault in content["faults"]), *content["left_out"]]
