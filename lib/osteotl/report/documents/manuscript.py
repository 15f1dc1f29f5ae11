"""Methods and Results for a manuscript, and model cards: one text, written as Markdown, for the page or for Word."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import yaml
from markupsafe import Markup

from osteotl.display import Table, sentence_case
from osteotl.files import plural
from osteotl.html import join, paragraph, tag
from osteotl.report.documents.result_statements import result_statements
from osteotl.report.documents.study_statements import (
    Statements,
    augmentation,
    runs_words,
    scores_only,
    start,
    study_statements,
    training_record,
)
from osteotl.report.documents.wording import fill, line, markdown, plain
from osteotl.report.outputs import Outputs

TITLE = "Methods and results"
ABOUT = (
    "Written by OsteoTL from the files of the study, free to use (CC0). It says what was done and found; what only an "
    "author can know, such as ethics, recruitment and the care of the patients, is for the author to add."
)


@dataclass(frozen=True)
class Block:
    """A piece of a text.

    Attributes
    ----------
    kind : {"title", "heading", "subheading", "text", "item", "reference"}
    text : str
        Plain text; citations stand as numbers in brackets.
    """

    kind: str
    text: str


def statements_of(outputs: Outputs) -> Statements:
    """Every fact that sentences may ask for; None for what this study does not know."""
    return study_statements(outputs) | result_statements(outputs)


@cache
def data(name: str) -> Any:
    """Content of a YAML file of texts/."""
    return yaml.safe_load((files("osteotl.report.documents") / "texts" / f"{name}.yaml").read_text(encoding="utf-8"))


# --- Methods and Results ----------------------------------------------------------------------------------------------


def manuscript(statements: Mapping[str, Any]) -> list[Block]:
    """Methods and Results with their references.

    Parameters
    ----------
    statements : mapping
        `statements_of(outputs)`.

    Returns
    -------
    list of Block
        Methods, Results, References. Every number of Results is a row of statistics.csv, or a count.
    """
    blocks = [Block("title", TITLE), Block("text", ABOUT)]
    for part, sections in data("methods").items():
        blocks.append(Block("heading", part))
        for heading, sentences in sections.items():
            if said := [sentence_case(text) for text in fill(sentences, statements)]:
                blocks += [Block("subheading", heading), Block("text", " ".join(said))]
    return _cited(blocks, data("references"))


def _cited(blocks: Sequence[Block], references: Mapping[str, str]) -> list[Block]:
    """`[@name]` as numbers in the order of first use, and the list of works."""
    names = list(dict.fromkeys(name for block in blocks for name in re.findall(r"\[@(\w+)\]", block.text)))
    if unknown := set(names) - set(references):
        raise ValueError(f"{sorted(unknown)} are cited but not in references.yaml: add them there")

    def numbered(text: str) -> str:
        return re.sub(r"\[@(\w+)\]", lambda match: f"[{names.index(match[1]) + 1}]", text)

    told = [Block(block.kind, numbered(block.text)) for block in blocks]
    return [*told, Block("heading", "References"), *(Block("reference", references[name]) for name in names)]


# --- model cards ------------------------------------------------------------------------------------------------------


def model_card(
    outputs: Outputs, arm: str, statements: Mapping[str, Any], tables: Sequence[Table]
) -> tuple[list[Block], Table | None]:
    """The card of one model (after Mitchell et al. 2019): its text, and its performance as a table.

    Parameters
    ----------
    outputs : Outputs
    arm : str
    statements : mapping
        `statements_of(outputs)`.
    tables : sequence of Table
        `tables.result_tables(outputs)`, from which the model's rows are taken.

    Raises
    ------
    ValueError
        The study has no such model.
    """
    if arm not in outputs.labels:
        raise ValueError(f"{arm!r} is no model of this study; those are {', '.join(outputs.labels)}")
    known = {**statements, **_model_facts(outputs, arm)}
    blocks = [Block("title", f"Model card: {line(outputs.labels[arm])}")]
    for heading, items in data("model_card").items():
        said = [Block("item", text) for text in fill(items, known)]
        blocks += [Block("heading", heading), *said] if said else []
    return blocks, _performance(outputs, arm, tables)


def _model_facts(outputs: Outputs, arm: str) -> dict[str, str | None]:
    model = training_record(outputs, arm, "model")
    films = model.get("training_films") or {}
    begun = outputs.study.arms[arm].initialise if arm in outputs.study.arms else ""
    told = None
    if {"films", "patients", "with_lesion"} <= set(films):
        size = f"{plural(films['films'], 'film')} of {plural(films['patients'], 'patient')}"
        told = f"{size}, {films['with_lesion']:,} with a lesion"
    own = None if scores_only(outputs) else "yes"
    return {
        "label": line(outputs.labels[arm]),
        "start": start(outputs, arm) if own else None,
        "trained_here": own,
        "own_films": told,
        "own_augmentation": augmentation(model),
        "own_pretraining": "yes" if begun == "pretrain" else None,
        "weights": line(model["weights_sha256"]) if model.get("weights_sha256") else None,
        "phantoms": "yes" if outputs.phantoms else None,
        "runs": runs_words(outputs),
    }


def _performance(outputs: Outputs, arm: str, tables: Sequence[Table]) -> Table | None:
    """The rows of Tables 2 to 4 that belong to one model, one number a line."""
    rows = []
    for table in tables:
        heads = [plain(head).removeprefix("#") for head in table.heads]
        for row in table.rows:
            model, within, *cells = (plain(cell) for cell in row)
            if model == line(outputs.labels[arm]):
                words = {"Counted by": f"by {within}", SHARE: f"share of malignant films {within}"}
                about = words.get(heads[1]) or (
                    within if within.startswith("Youden") else within[:1].lower() + within[1:]
                )
                rows += [[f"{head}; {about}", cell] for head, cell in zip(heads[2:], cells, strict=True) if cell]
    return Table("Performance, with intervals", ["Measure", "#Estimate (interval)"], rows) if rows else None


SHARE = "Share of malignant films"


# --- as Markdown and for the page -------------------------------------------------------------------------------------


def as_markdown(blocks: Sequence[Block], table: Table | None = None) -> str:
    """Blocks, and a table behind them, as Markdown."""
    marks = {"title": "# ", "heading": "## ", "subheading": "### ", "item": "- "}
    parts: list[str] = []
    number, before = 0, ""
    for block in blocks:
        number = number + 1 if block.kind == "reference" else 0
        mark = f"{number}. " if number else marks.get(block.kind, "")
        close = block.kind in ("item", "reference") and before == block.kind
        parts.append(("\n" if close else "\n\n" if parts else "") + mark + markdown(block.text))
        before = block.kind
    if table is not None:
        parts.append(f"\n\n## {markdown(plain(table.caption))}\n\n{_pipes(table)}")
    return "".join(parts) + "\n"


def _pipes(table: Table) -> str:
    heads = [markdown(plain(head).removeprefix("#")) for head in table.heads]
    lines = [heads, ["---"] * len(heads), *([markdown(plain(cell)) for cell in row] for row in table.rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def methods(statements: Mapping[str, Any]) -> Markup:
    """Methods and Results for the page, from `statements_of(outputs)`."""
    return as_markup([block for block in manuscript(statements) if block.kind != "title"])


def as_markup(blocks: Sequence[Block]) -> Markup:
    """Blocks as HTML, to stand in a folded part of the page."""
    parts: list[Markup] = []
    listed: list[Markup] = []
    for block in [*blocks, Block("", "")]:
        if block.kind in ("item", "reference"):
            listed.append(tag("li", block.text))
            kind = "ol" if block.kind == "reference" else "ul"
            continue
        if listed:
            parts.append(tag(kind, listed))
            listed = []
        if block.text:
            name = {"heading": "h3", "subheading": "h4"}.get(block.kind)
            parts.append(tag(name, block.text) if name else paragraph(block.text))
    return join(parts)


def model_cards(outputs: Outputs) -> Markup | None:
    """How each model was made, for the page; None for scores made elsewhere."""
    if scores_only(outputs):
        return None
    rows = []
    for arm in outputs.labels:
        model = training_record(outputs, arm, "model")
        films = (model.get("training_films") or {}).get("films")
        counts = [f"{v:,}" if isinstance(v, int) else "" for v in (model.get("parameters"), model.get("steps"), films)]
        weights = str(model.get("weights_sha256", ""))[:16]
        rows.append([outputs.mark(arm), sentence_case(start(outputs, arm)), *counts, weights])
    heads = ["Model", "Start of training", "#Parameters", "#Steps", "#Training films", "Weights (SHA-256)"]
    use = fill(data("model_card")["Intended use"], {"trained_here": "yes"})
    statements = study_statements(outputs)
    told = [f"{name}: {statements[key]}." for name, key in (("Detector", "model"), ("Fine-tuning", "training"),
                                                       ("Score of a film", "scoring")) if statements[key]]  # fmt: skip
    return join([paragraph(" ".join([*use, *told])), Table("How each model was made, first training run", heads, rows)])
