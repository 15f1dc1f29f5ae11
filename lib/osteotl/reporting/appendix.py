"""Executed notebooks as the page's appendix, and the page itself, by nbconvert with our own template."""

from __future__ import annotations

import base64
import binascii
import hashlib
import html
import re
from pathlib import Path
from typing import Any

import nbformat
from latex2mathml.converter import convert
from markupsafe import Markup
from nbconvert import HTMLExporter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from nbformat import NotebookNode

from osteotl.reporting.safety import clean_fragment, without_names, without_paths

LONGEST_OUTPUT = 8_000
IMAGE_BUDGET = 900_000


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
        return f"<em>[picture: {html.escape(text)}]</em>"  # pictures of notes are not carried along


def _mathml(body: str, display: str) -> str:
    try:
        return convert(body, display=display)
    except Exception:  # latex2mathml raises a dozen unrelated kinds; the formula's source is the honest fallback
        return f"<code>{html.escape(body)}</code>"


class PageExporter(HTMLExporter):
    """nbconvert's HTML exporter with our template and nothing that reaches outside the file."""

    def __init__(self, **kwargs: Any):
        super().__init__(template_name="template", extra_template_basedirs=[str(Path(__file__).parent)], **kwargs)
        self.register_filter("markdown", _markdown)
        self.register_filter("cleaned", lambda text: Markup(clean_fragment(str(text))))
        self.register_filter("plain_text", lambda text: _shortened(re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", str(text))))


def _markdown(source: str) -> Markup:
    return Markup(
        clean_fragment(MarkdownWithMath(renderer=_Renderer(escape=True, allow_harmful_protocols=False)).render(source))
    )


def _shortened(text: str) -> str:
    if len(text) <= LONGEST_OUTPUT:
        return text
    return f"{text[:LONGEST_OUTPUT]}\n[… {len(text) - LONGEST_OUTPUT:,} more characters in outputs/notebooks]"


def joined_notebook(folder: Path, known: dict[str, str], shown: set[str]) -> NotebookNode:
    """All executed notebooks as one, a marker cell before each; 02 once per arm.

    Parameters
    ----------
    folder : Path
        outputs/notebooks.
    known : dict
        Names of films and the hashes that replace them.
    shown : set of str
        SHA-256 of pictures that the page shows already (they are named instead of repeated).
    """
    joined = nbformat.v4.new_notebook()
    left = IMAGE_BUDGET
    for path, title in _listed(folder):
        notebook = nbformat.read(path, as_version=4)
        joined.cells.append(nbformat.v4.new_raw_cell(without_names(title, known), metadata={"osteotl": "notebook"}))
        for cell in notebook.cells:
            cell.source = without_names(without_paths(cell.source), known)
            cell.metadata = NotebookNode()
            for output in cell.get("outputs", []):
                left = _tidy(output, known, shown, left)
            joined.cells.append(cell)
    for number, cell in enumerate(joined.cells):  # 02 stands here once per arm: its cells' ids would repeat
        cell["id"] = f"cell-{number}"
    return joined


def _listed(folder: Path) -> list[tuple[Path, str]]:
    """Notebooks in the order of the study; of 02 one training run of each arm, on all labels where there is one."""
    chosen: dict[str, tuple[tuple[float, int], Path, str]] = {}
    finished = [path for path in sorted(folder.glob("*.ipynb")) if not path.stem.endswith((".failed", ".running"))]
    for path in finished:
        run = re.fullmatch(r"02_finetune_(\w+)_([\d.]+)_(\d+)", path.stem)
        key, title = (
            (f"02_finetune_{run[1]}", f"02_finetune, {run[1]}, seed {run[3]}") if run else (path.stem, path.stem)
        )
        rank = (-float(run[2]), int(run[3])) if run else (0.0, 0)
        if key not in chosen or rank < chosen[key][0]:
            chosen[key] = (rank, path, title)
    return [(path, title) for _, path, title in chosen.values()]


def _tidy(output: NotebookNode, known: dict[str, str], shown: set[str], left: int) -> int:
    """One output without names, repeated pictures or scripts; returns what is left of the picture budget."""
    if "text" in output:
        output.text = without_names(without_paths(output.text), known)
    if "traceback" in output:
        output.traceback = [without_names(without_paths(line), known) for line in output.traceback]
    data = output.get("data")
    if data is None:
        return left
    for kind in [k for k in data if k.startswith("text/")]:
        data[kind] = without_names(without_paths("".join(data[kind])), known)
    if "explorer-data" in data.get("text/html", ""):
        data["text/html"] = "<p><em>[the threshold explorer, as in the page above]</em></p>"
    for kind in ("image/png", "image/jpeg", "image/svg+xml"):
        if kind in data:
            content = data.pop(kind) if kind == "image/svg+xml" else "".join(data[kind])
            left = _picture(output, kind, content, shown, left)
    return left


def _picture(output: NotebookNode, kind: str, content: str, shown: set[str], left: int) -> int:
    alt = (output.get("metadata", {}).get(kind) or {}).get("alt") or output.get("metadata", {}).get("alt")
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
