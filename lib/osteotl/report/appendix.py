"""Executed notebooks as the page's appendix, by nbconvert with our own template."""

from __future__ import annotations

import base64
import binascii
import hashlib
import html
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import nbformat
from latex2mathml.converter import convert
from markupsafe import Markup
from nbconvert import HTMLExporter, TemplateExporter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from nbformat import NotebookNode

from osteotl.report.safety import FilmNames, clean, private

LONGEST_OUTPUT = 8_000
LARGEST_TABLE = 120_000  # characters of HTML; of a larger one the first lines are shown as text
IMAGE_BUDGET = 900_000
OWN = "06_report"


class _Renderer(IPythonRenderer):
    """Markdown with MathML; raw HTML is escaped, headings step down below the page's own."""

    def inline_math(self, body: str) -> str:
        return _mathml(body, "inline")

    def block_math(self, body: str) -> str:
        return _mathml(body, "block")

    def latex_environment(self, name: str, body: str) -> str:
        return _mathml(rf"\begin{{{name}}}{body}\end{{{name}}}", "block")

    def heading(self, text: str, level: int, **attrs: Any) -> str:
        return f"<h{min(level + 2, 6)}>{text}</h{min(level + 2, 6)}>\n"

    def image(self, text: str, url: str, title: str | None = None) -> str:
        return f"<em>[picture: {html.escape(text)}]</em>"  # pictures of Markdown cells are not carried along


def _mathml(body: str, display: str) -> str:
    try:
        return convert(body, display=display)
    except Exception:  # latex2mathml raises a dozen unrelated kinds; the formula's source is shown instead
        return f"<code>{html.escape(body)}</code>"


def markdown(source: str) -> str:
    """HTML of a Markdown cell."""
    return MarkdownWithMath(renderer=_Renderer(escape=True, allow_harmful_protocols=False)).render(source)


class PageExporter(HTMLExporter):
    """nbconvert's HTML exporter with our template and nothing that reaches outside the file.

    Parameters
    ----------
    known : FilmNames
    """

    def from_notebook_node(self, nb: NotebookNode, resources: Any = None, **kw: Any) -> tuple[Any, dict[str, Any]]:
        """As the base class of HTMLExporter: that one parses the whole page again to look for pictures without text."""
        return TemplateExporter.from_notebook_node(self, nb, resources, **kw)

    def __init__(self, known: FilmNames, **kwargs: Any):
        super().__init__(template_name="template", extra_template_basedirs=[str(Path(__file__).parent)], **kwargs)
        self.register_filter("markdown", lambda text: Markup(_without_ids(clean(markdown(str(text)), known))))
        self.register_filter("cleaned", lambda text: Markup(_without_ids(clean(str(text), known))))
        self.register_filter("plain_text", lambda text: _shortened(re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", str(text))))


def _without_ids(fragment: str) -> str:
    """Identifiers belong to the page's sections; a notebook's output repeats some of them."""
    return re.sub(r'\s(?:id|aria-labelledby|aria-describedby|aria-controls|for)="[^"]*"', "", fragment)


def _shortened(text: str) -> str:
    if len(text) <= LONGEST_OUTPUT:
        return text
    return f"{text[:LONGEST_OUTPUT]}\n[… {len(text) - LONGEST_OUTPUT:,} more characters in outputs/notebooks]"


def chosen(folder: Path, labels: Mapping[str, str]) -> list[tuple[str, NotebookNode]]:
    """The notebooks to append with their titles; of 02 one training run of each arm, on all labels where possible.

    Parameters
    ----------
    folder : Path
        Of the executed notebooks.
    labels : mapping of str to str
        Name of an arm -> what the page calls it.
    """
    found: dict[str, tuple[tuple[float, int], str, Path]] = {}
    for path in sorted(folder.glob("*.ipynb")):
        if path.stem == OWN or path.stem.endswith((".running", ".failed")):
            continue
        run = re.fullmatch(r"02_finetune_(\w+)_([\d.]+)_(\d+)", path.stem)
        key = f"02_finetune_{run[1]}" if run else path.stem
        which = f": {labels.get(run[1], run[1])}, run {run[3]}" if run else ""
        rank = (-float(run[2]), int(run[3])) if run else (0.0, 0)
        if key not in found or rank < found[key][0]:
            found[key] = (rank, which, path)
    read = [(which, path.stem, nbformat.read(path, as_version=4)) for _, which, path in found.values()]
    return [(f"{_headed(notebook) or stem}{which}", notebook) for which, stem, notebook in read]


def _headed(notebook: NotebookNode) -> str:
    """The first heading of a notebook: what its step does."""
    texts = (cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    return next((found[1] for text in texts if (found := re.match(r"\s*#+\s*(.+)", text))), "")


def joined(others: Iterable[tuple[str, NotebookNode]], known: FilmNames) -> NotebookNode:
    """All notebooks as one, a marker cell before each, without names of films, repeated pictures or scripts.

    Parameters
    ----------
    others : iterable of (title, notebook)
        Executed notebooks in the order of the page.
    known : FilmNames
        Names that must not be shown.
    """
    whole = nbformat.v4.new_notebook()
    left, shown = IMAGE_BUDGET, set[str]()
    for title, notebook in others:
        whole.cells.append(nbformat.v4.new_raw_cell(private(title, known), metadata={"osteotl": "notebook"}))
        for cell in notebook.cells:
            copy = NotebookNode(dict(cell))
            copy.source, copy.metadata = private(cell.source, known), NotebookNode()
            if "outputs" in cell:
                copy.outputs = []
                for output in cell.outputs:
                    tidy, left = _tidy(output, known, shown, left)
                    copy.outputs.append(tidy)
            whole.cells.append(copy)
    for number, cell in enumerate(whole.cells):  # 02 stands here once per arm: its cells' ids would repeat
        cell["id"] = f"cell-{number}"
    return whole


def _tidy(output: NotebookNode, known: FilmNames, shown: set[str], left: int) -> tuple[NotebookNode, int]:
    """One output without names or repeated pictures, and what is left of the picture budget."""
    output = nbformat.from_dict(dict(output))
    if "text" in output:
        output.text = private("".join(output.text), known)
    if "traceback" in output:
        output.traceback = [private(line, known) for line in output.traceback]
    if "data" not in output:
        return output, left
    output.data = NotebookNode(output.data)
    if len(output.data.get("text/html", "")) > LARGEST_TABLE and "text/plain" in output.data:
        del output.data["text/html"]
    for kind in [k for k in output.data if k.startswith("text/")]:
        content = "".join(output.data[kind])
        output.data[kind] = content if kind == "text/html" else private(content, known)
    for kind in ("image/png", "image/jpeg", "image/svg+xml"):
        if kind in output.data:
            left = _picture(output, kind, "".join(output.data[kind]), shown, left)
    return output, left


def _picture(output: NotebookNode, kind: str, content: str, shown: set[str], left: int) -> int:
    metadata = output.get("metadata", {})
    alt = (metadata.get(kind) or {}).get("alt") or metadata.get("alt")
    try:
        digest = hashlib.sha256(base64.b64decode(content, validate=False)).hexdigest()
    except (binascii.Error, ValueError):
        digest = ""
    if kind == "image/svg+xml" or not alt or digest in shown or len(content) > left:
        output.data.pop(kind, None)
        why = "shown above" if digest in shown else "kept in outputs/notebooks"
        output.data["text/plain"] = f"[picture{f': {alt}' if alt else ''}; {why}]"
        output.data.pop("text/html", None)
        return left
    shown.add(digest)
    output.metadata = NotebookNode(alt=alt)
    return left - len(content)
