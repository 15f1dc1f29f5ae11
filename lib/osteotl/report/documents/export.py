"""Write the documents of a finished study: Methods and Results, checklists, model cards, tables."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from osteotl.display import Table
from osteotl.files import file_name, spreadsheet_safe, write_bytes, write_csv, write_text
from osteotl.report.documents import guidelines
from osteotl.report.documents.manuscript import Block, as_markdown, manuscript, model_card
from osteotl.report.documents.tables import result_tables, table_one
from osteotl.report.documents.word import word_document
from osteotl.report.documents.wording import line, plain
from osteotl.report.outputs import Outputs


def write_documents(outputs: Outputs, statements: Mapping[str, Any], folder: str | Path) -> list[Path]:
    """Write every document; the same study gives the same bytes.

    Parameters
    ----------
    outputs : Outputs
    statements : mapping
        `manuscript.statements_of(outputs)`.
    folder : path
        Usually `documents` below the outputs folder; made where it is missing.

    Returns
    -------
    list of Path
        methods.md and methods.docx; tables.docx; checklists/NAME.csv and NAME.docx; model_cards/MODEL.md; and, where
        there are cohort tables, table_one.csv.
    """
    folder = Path(folder)
    ones, tables = table_one(outputs), result_tables(outputs)
    text = manuscript(statements)
    paths = [write_text(folder / "methods.md", as_markdown(text)), _word(folder / "methods.docx", outputs, text=text)]
    for name, rows in guidelines.filled(outputs, statements).items():
        place, guide = folder / "checklists" / name, guidelines.guideline(name)
        paths.append(write_csv(place.with_suffix(".csv"), spreadsheet_safe(guidelines.frame(rows))))
        about = [Block("title", guide["name"]), Block("text", f"{guide['cite']} {guide['numbering']}")]
        listed = [guidelines.table(name, rows)]
        paths.append(_word(place.with_suffix(".docx"), outputs, text=about, tables=listed))
    for arm in outputs.labels:
        place = folder / "model_cards" / f"{file_name(arm)}.md"
        paths.append(write_text(place, as_markdown(*model_card(outputs, arm, statements, tables))))
    if ones or tables:
        paths.append(_word(folder / "tables.docx", outputs, tables=[*ones, *tables]))
    if ones:
        paths.append(write_csv(folder / "table_one.csv", spreadsheet_safe(_stacked(ones))))
    return paths


def _word(path: Path, outputs: Outputs, text: list[Block] | None = None, tables: list[Table] | None = None) -> Path:
    title = line(outputs.settings.get("title") or outputs.study.title)
    author = line(outputs.study.report.institution or "")
    made = word_document(title, text or (), tables or (), wide=bool(tables), author=author)
    return write_bytes(path, lambda file: file.write(made))


def _stacked(tables: list[Table]) -> pd.DataFrame:
    """Table 1 by film and by patient below each other, with a column `counted by`."""
    parts = []
    for unit, table in zip(("film", "patient"), tables, strict=True):
        heads = [plain(head).removeprefix("#") for head in table.heads]
        rows = [[plain(cell) for cell in row] for row in table.rows]
        parts.append(pd.DataFrame(rows, columns=heads).assign(**{"Counted by": unit}))
    return pd.concat(parts, ignore_index=True).fillna("")
