"""Reporting checklists filled from the run: CLAIM 2024, STARD-AI 2025, TRIPOD+AI 2024, items in our own words.

Each guideline is a file of checklists/; an item says what it asks, what the run answers, where on the page that stands,
which file it comes from, and when it does not apply. What only the author can know is asked of the author, or taken
from `report.author` of study.yaml, by topic (`ethics`) or by item (`CLAIM 2024, 13`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from osteotl.files import read_yaml
from osteotl.reporting.account import Run
from osteotl.reporting.phrases import fill_in, phrases
from osteotl.reporting.wording import line
from osteotl.study import Study

FOLDER = Path(__file__).parent / "checklists"
FILLED, PARTLY, ANSWERED = "filled from the run", "author to complete", "answered by the author"
NEEDED, NOT_APPLICABLE = "needs the author", "not applicable"
STATUSES = (FILLED, ANSWERED, PARTLY, NEEDED, NOT_APPLICABLE)


@dataclass(frozen=True)
class Row:
    """One item of a checklist, as this run answers it.

    Attributes
    ----------
    guideline, item, section : str
        `CLAIM 2024`, `12`, `Data`.
    asks : str
        What the item asks, in our words.
    status : str
        One of `STATUSES`.
    text : str
        The answer as plain text; empty where the author is asked.
    anchor : str
        Id of the section of report.html that shows it, or empty.
    source : str
        The places in the run's files that the answer was read from.
    topic : str
        Key of study.yaml's `report.author` that answers it, or empty.
    """

    guideline: str
    item: str
    section: str
    asks: str
    status: str
    text: str
    anchor: str
    source: str
    topic: str


def names() -> list[str]:
    """The guidelines at hand: names of the files without their ending."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def guideline(name: str) -> dict[str, Any]:
    """One guideline: name, cite, numbering (what the items' numbers are), items.

    Raises
    ------
    ValueError
        There is no such guideline.
    """
    if name not in names():
        raise ValueError(f"{name!r} is not a checklist; there are {', '.join(names())}")
    return read_yaml(FOLDER / f"{name}.yaml")


def fill(
    study: Study,
    statistics: Mapping[str, Any],
    integrity: Mapping[str, Any] | None = None,
    provenance: Mapping[str, Any] | None = None,
    training: Mapping[str, Mapping[str, Any]] | None = None,
) -> list[Row]:
    """Every item of every guideline.

    Parameters
    ----------
    study : Study
        With `report.author`, a mapping of topic or `GUIDELINE, ITEM` to the author's answer.
    statistics, integrity, provenance : mapping
        statistics.json, cohorts/integrity.json, provenance.json.
    training : mapping, optional
        Arm: {"model": model.json, "pairing": pairing.json}.

    Returns
    -------
    list of Row
        In the order of the guidelines' items.
    """
    return filled(Run(study, statistics, integrity or {}, provenance or {}, training or {}))


def filled(run: Run) -> list[Row]:
    """`fill` for a run already read."""
    known = phrases(run)
    flags = run.flags | {"films": not run.scores_only}
    answers = {_key(name): line(text) for name, text in run.study.report.author.items()}
    rows = []
    for name in names():
        checklist = guideline(name)
        rows += [_row(checklist["name"], item, known, flags, answers) for item in checklist["items"]]
    return rows


def _key(text: str) -> str:
    """`CLAIM 2024, 13`, `claim2024:13` and `claim2024-13` are one key."""
    return re.sub(r"[^a-z0-9]", "", text.lower())


def _row(
    guide: str,
    item: Mapping[str, Any],
    known: Mapping[str, str | None],
    flags: Mapping[str, bool],
    answers: dict[str, str],
) -> Row:
    topic = str(item.get("topic", ""))
    told = " ".join(fill_in(item.get("run", []), known)) if flags.get(item.get("when", ""), True) else ""
    answer = answers.get(_key(f"{guide}{item['item']}")) or answers.get(_key(topic), "")
    reasons = [why for flag, why in item.get("not_applicable", {}).items() if flags[flag]]
    if answer:
        status, text = ANSWERED, f"{answer} {told}".strip()
    elif reasons:
        status, text = NOT_APPLICABLE, f"Not applicable: {reasons[0]}."
    elif told:
        status, text = (PARTLY if item.get("complete") else FILLED), told
    else:
        status, text = NEEDED, ""
    shown = bool(told) and status != NOT_APPLICABLE
    return Row(
        guideline=guide,
        item=str(item["item"]),
        section=item["section"],
        asks=item["asks"],
        status=status,
        text=text,
        anchor=item.get("anchor", "") if shown else "",
        source="; ".join(item.get("source", [])) if shown else "",
        topic=topic,
    )


def unused_answers(study: Study) -> list[str]:
    """Keys of `report.author` that no item asks for: most likely mistyped."""
    asked = set()
    for name in names():
        checklist = guideline(name)
        asked |= {_key(f"{checklist['name']}{item['item']}") for item in checklist["items"]}
        asked |= {_key(item["topic"]) for item in checklist["items"] if item.get("topic")}
    return [key for key in study.report.author if _key(key) not in asked]


def tables(rows: list[Row]) -> dict[str, pd.DataFrame]:
    """One table a guideline, for the page and as CSV: item, section, asks, status, text, anchor, source, topic."""
    frame = pd.DataFrame([asdict(row) for row in rows], columns=list(Row.__dataclass_fields__))
    named = {guideline(name)["name"]: name for name in names()}
    return {
        named[guide]: part.drop(columns="guideline").reset_index(drop=True)
        for guide, part in frame.groupby("guideline", sort=False)
    }


def summary(rows: list[Row]) -> dict[str, dict[str, int]]:
    """How many items of each guideline have each status."""
    counted = {row.guideline: dict.fromkeys(STATUSES, 0) for row in rows}
    for row in rows:
        counted[row.guideline][row.status] += 1
    return counted
