"""Methods, tables and checklists as Word documents (.docx)."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from typing import Any

import docx
from docx.document import Document
from docx.enum.section import WD_ORIENT
from docx.oxml import OxmlElement
from docx.oxml.ns import qn
from docx.shared import Cm, Pt

from osteotl.display import Table
from osteotl.report.documents.manuscript import Block
from osteotl.report.documents.wording import plain

STYLES = {"title": "Title", "heading": "Heading 1", "subheading": "Heading 2", "item": "List Bullet",
          "reference": "List Number"}  # fmt: skip
SINCE = (1980, 1, 1, 0, 0, 0)
"""Time of every file in a document, so that the same content gives the same bytes."""


def word_document(
    title: str, blocks: Sequence[Block] = (), tables: Sequence[Table] = (), wide: bool = False, author: str = ""
) -> bytes:
    """A Word document: blocks of text, then tables with their captions.

    Parameters
    ----------
    title : str
        In the document's properties, and as its title where no block is one.
    blocks : sequence of Block
    tables : sequence of Table
        Every cell becomes plain text; the header row repeats on every page.
    wide : bool
        Landscape pages.
    author : str

    Returns
    -------
    bytes
        Content of a .docx file; the same content gives the same bytes.
    """
    document = docx.Document()
    _page(document, wide)
    properties = document.core_properties
    properties.title, properties.author, properties.comments = title, author, ""
    if not any(block.kind == "title" for block in blocks):
        document.add_paragraph(title, style="Title")
    for block in blocks:
        document.add_paragraph(block.text, style=STYLES.get(block.kind, "Normal"))
    for table in tables:
        _add_table(document, table)
    held = io.BytesIO()
    document.save(held)
    return _undated(held.getvalue())


def _page(document: Document, wide: bool) -> None:
    """A4, upright or landscape, with small type in tables."""
    section = document.sections[0]
    sides = (Cm(29.7), Cm(21.0)) if wide else (Cm(21.0), Cm(29.7))
    section.page_width, section.page_height = sides
    section.orientation = WD_ORIENT.LANDSCAPE if wide else WD_ORIENT.PORTRAIT
    for side in ("left_margin", "right_margin", "top_margin", "bottom_margin"):
        setattr(section, side, Cm(2))


def _add_table(document: Document, table: Table) -> None:
    document.add_paragraph(plain(table.caption), style="Caption").paragraph_format.keep_with_next = True
    heads = [plain(head).removeprefix("#") for head in table.heads]
    shown = document.add_table(rows=1, cols=len(heads), style="Table Grid")
    _write(shown.rows[0], heads, bold=True)
    repeat = OxmlElement("w:tblHeader")
    repeat.set(qn("w:val"), "true")
    shown.rows[0]._tr.get_or_add_trPr().append(repeat)
    for row in table.rows:
        _write(shown.add_row(), [plain(cell) for cell in row])
    document.add_paragraph()


def _write(row: Any, texts: Sequence[str], bold: bool = False) -> None:
    for cell, text in zip(row.cells, texts, strict=True):
        run = cell.paragraphs[0].add_run(_without_controls(text))
        run.bold, run.font.size = bold, Pt(8)


def _without_controls(text: str) -> str:
    """XML holds no control characters."""
    return "".join(sign for sign in text if sign >= " " or sign in "\t\n")


def _undated(content: bytes) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as given, zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as made:
        for name in given.namelist():
            made.writestr(zipfile.ZipInfo(name, SINCE), given.read(name), zipfile.ZIP_DEFLATED)
    return held.getvalue()
