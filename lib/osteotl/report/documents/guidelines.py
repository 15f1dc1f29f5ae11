"""Checklists filled from the study: CLAIM 2024, STARD-AI 2025, TRIPOD+AI 2024, PROBAST+AI 2025; items in our own words.

Each guideline is a file of texts/. An item says what it asks, what the study answers, where the page shows that, and
when it does not apply. What only the author can know is asked of the author, or taken from `report.author` of
study.yaml, by topic (`ethics`) or by item (`CLAIM 2024, 13`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd
from markupsafe import Markup

from osteotl.display import Table, sentence_case
from osteotl.html import folded, paragraph, tag
from osteotl.report.documents.manuscript import data
from osteotl.report.documents.study_statements import has_boxes, has_validation, scores_only
from osteotl.report.documents.wording import AUTHOR, fill, line
from osteotl.report.outputs import Outputs
from osteotl.study import Study

FILLED, PARTLY, ANSWERED = "filled from the run", "author to complete", "answered by the author"
NOT_APPLICABLE = "not applicable"
STATUSES = (FILLED, ANSWERED, PARTLY, AUTHOR, NOT_APPLICABLE)
HEADS = ("Item", "Section", "What it asks", "Status", "Answer")
GUIDELINES = ("claim2024", "stard_ai2025", "tripod_ai2024", "probast_ai2025")


@dataclass(frozen=True)
class Row:
    """One item of a checklist, as this study answers it.

    Attributes
    ----------
    item, section : str
        `12`, `Data`.
    asks : str
        What the item asks, in our words.
    status : str
        One of `STATUSES`.
    text : str
        The answer as plain text; empty where the author is asked.
    anchor : str
        Id of the section of the page that shows it, or empty.
    topic : str
        Key of study.yaml's `report.author` that answers it, or empty.
    """

    item: str
    section: str
    asks: str
    status: str
    text: str
    anchor: str
    topic: str


def guideline(name: str) -> dict[str, Any]:
    """One guideline: name, cite, numbering (what the items' numbers are), items.

    Raises
    ------
    ValueError
        There is no such guideline.
    """
    if name not in GUIDELINES:
        raise ValueError(f"{name!r} is no checklist; there are {', '.join(GUIDELINES)}")
    return data(name)


def filled(outputs: Outputs, statements: Mapping[str, Any]) -> dict[str, list[Row]]:
    """Every item of every guideline, by the guideline's name in `GUIDELINES`, in the order of its items.

    Parameters
    ----------
    outputs : Outputs
    statements : mapping
        `manuscript.statements_of(outputs)`.
    """
    flags = {
        "scores_only": scores_only(outputs),
        "films": not scores_only(outputs),
        "phantoms": outputs.phantoms,
        "no_boxes": not has_boxes(outputs),
        "no_validation": not has_validation(outputs),
    }
    answers = {_key(name): line(text) for name, text in outputs.study.report.author.items()}
    guides = {name: guideline(name) for name in GUIDELINES}
    return {
        name: [_row(guide["name"], item, statements, flags, answers) for item in guide["items"]]
        for name, guide in guides.items()
    }


def _key(text: str) -> str:
    """`CLAIM 2024, 13`, `claim2024:13` and `claim2024-13` are one key."""
    return re.sub(r"[^a-z0-9]", "", text.lower())


def _row(guide: str, item: Mapping[str, Any], known: Mapping[str, Any], flags: Mapping[str, bool],
         answers: Mapping[str, str]) -> Row:  # fmt: skip
    topic = str(item.get("topic", ""))
    when = item.get("when")
    sentences = item.get("run", []) if when is None or flags[when] else []
    told = " ".join(sentence_case(text) for text in fill(sentences, known))
    answer = answers.get(_key(f"{guide}{item['item']}")) or answers.get(_key(topic), "")
    reasons = [why for flag, why in item.get("not_applicable", {}).items() if flags[flag]]
    if answer:
        status, text = ANSWERED, f"{answer} {told}".strip()
    elif reasons:
        status, text = NOT_APPLICABLE, f"Not applicable: {reasons[0]}."
    elif told:
        status, text = (PARTLY if item.get("complete") else FILLED), told
    else:
        status, text = AUTHOR, ""
    anchor = item.get("anchor", "") if told and status != NOT_APPLICABLE else ""
    return Row(str(item["item"]), item["section"], item["asks"], status, text, anchor, topic)


def unused_answers(study: Study) -> list[str]:
    """Keys of `report.author` that no item asks for: most likely mistyped."""
    asked = set()
    for name in GUIDELINES:
        guide = guideline(name)
        asked |= {_key(f"{guide['name']}{item['item']}") for item in guide["items"]}
        asked |= {_key(item["topic"]) for item in guide["items"] if item.get("topic")}
    return [key for key in study.report.author if _key(key) not in asked]


def frame(rows: list[Row]) -> pd.DataFrame:
    """A checklist as a table for CSV: item, section, asks, status, text, topic."""
    return pd.DataFrame([asdict(row) for row in rows]).drop(columns="anchor")


def table(name: str, rows: list[Row]) -> Table:
    """A checklist as a table of plain texts."""
    caption = f"{guideline(name)['name']}, filled from the run"
    return Table(caption, HEADS, [[row.item, row.section, row.asks, sentence_case(row.status), _said(row)]
                                  for row in rows], class_="long")  # fmt: skip


def _said(row: Row) -> str:
    """The answer, and under which topic of study.yaml the author can give it."""
    if row.topic and row.status in (AUTHOR, PARTLY):
        return f"{row.text} Author: to be answered in study.yaml (topic “{row.topic.replace('_', ' ')}”).".strip()
    return row.text


def checklists(outputs: Outputs, statements: Mapping[str, Any]) -> list[Markup]:
    """The checklists for the page, one folded table each, every answer with a link to where the page shows it."""
    found = []
    for name, rows in filled(outputs, statements).items():
        guide = guideline(name)
        body = [[row.item, row.section, row.asks, sentence_case(row.status), [_said(row), _link(row)]] for row in rows]
        told = Table(f"{guide['name']}, filled from the run", HEADS, body, class_="long")
        about = paragraph(guide["cite"], " ", guide["numbering"])
        found.append(folded(f"Checklist {guide['name']}", about, told, identifier=f"checklist-{name}"))
    return found


def _link(row: Row) -> list[Any]:
    return [" ", tag("a", "Shown here.", href=f"#{row.anchor}")] if row.anchor else []
