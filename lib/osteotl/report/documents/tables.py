"""Tables 1 to 4 of a manuscript: the same numbers as on the page, for Word and Markdown."""

from __future__ import annotations

import pandas as pd

from osteotl.display import Table, characteristics, grid, percent
from osteotl.report.documents.wording import plain
from osteotl.report.outputs import Outputs

RATES = ["sensitivity", "specificity", "ppv", "npv"]


def table_one(outputs: Outputs) -> list[Table]:
    """Table 1 by film and by patient; empty for scores made elsewhere."""
    films = outputs.films
    return [characteristics(films, unit) for unit in ("film", "patient")] if len(films) else []


def result_tables(outputs: Outputs) -> list[Table]:
    """Tables 2 to 4: discrimination and calibration, operating points, predictive values."""
    return [table for table in (_discrimination(outputs), _operating_points(outputs), _predictive(outputs)) if table]


def _discrimination(outputs: Outputs) -> Table | None:
    """AUC and average precision by film, AUC by patient, Brier score; then the differences."""
    ranking = {"section": "discrimination", "measure": ["auc", "average_precision"], "unit": ["film", "patient"]}
    brier = {"section": "calibration", "measure": "brier", "recalibration": "logistic"}
    parts = [outputs.select(reference=r, **kind) for r in (None, outputs.reference) for kind in (ranking, brier)]
    rows = pd.concat(parts)
    return _titled(rows, outputs, f"Table 2. Discrimination and calibration: {_basis(outputs)}", ("unit",))


def _operating_points(outputs: Outputs) -> Table | None:
    sources = outputs.fixed_sources or ["external"]
    named = {"section": "operating_points", "measure": RATES, "threshold_from": sources}
    rows = pd.concat([outputs.select(reference=reference, **named) for reference in (None, outputs.reference)])
    if rows.empty:
        return None
    words = {"validation": "locked on the validation films", "given": "given beforehand",
             "external": "found on the external films"}  # fmt: skip
    found = " or ".join(words[source] for source in sources)
    caption = f"Table 3. Operating points, thresholds {found}: {_basis(outputs)}"
    return _titled(rows, outputs, caption, ("point",))


def _predictive(outputs: Outputs) -> Table | None:
    if not outputs.point:
        return None
    rows = outputs.select(section="predictive_values", measure=["ppv", "npv"], reference=None, prevalence=...,
                          **outputs.point)  # fmt: skip
    rows = rows[rows["prevalence"].notna()]
    caption = f"Table 4. Predictive values for other shares of malignant films: {_basis(outputs)}"
    return _titled(rows, outputs, caption, ("prevalence",))


def _basis(outputs: Outputs) -> str:
    return f"{outputs.over_runs}, {percent(outputs.settings['confidence'])} intervals"


def _titled(rows: pd.DataFrame, outputs: Outputs, caption: str, within: tuple[str, ...]) -> Table | None:
    """Models, then differences from the reference model, in one table with plain texts and rows of results as cells."""
    own, gaps = rows[rows["reference"] == ""], rows[rows["reference"] != ""]
    told = grid(own, caption, outputs.labels, rows=("arm", *within))
    if told is None:
        return None
    heads = [plain(head).removeprefix("#") for head in told.heads]
    body = [list(row) for row in told.rows]
    if (differences := grid(gaps, caption, outputs.labels, rows=("arm", *within))) is not None:
        body += _differences(differences, heads, outputs)
    marked = [head if i <= len(within) else f"#{head}" for i, head in enumerate(heads)]
    return Table(caption, marked, body)


def _differences(table: Table, heads: list[str], outputs: Outputs) -> list[list[object]]:
    """Rows of differences under the columns of the estimates, each with its p value behind it."""
    found = []
    names = [plain(head).removeprefix("#").partition(",")[0] for head in table.heads]
    for row in table.rows:
        cells: dict[str, object] = {}
        for i, (name, cell) in enumerate(zip(names, row, strict=True)):
            if name == "p":
                before = names[i - 1]
                cells[before] = f"{plain(cells[before])}{_p(plain(cell))}"
            else:
                cells[name] = cell
        label, reference = plain(row[0]), outputs.labels[outputs.reference]
        first: list[object] = [f"“{label}” less “{reference}”"]
        found.append(first + [cells.get(head.partition(",")[0], "") for head in heads[1:]])
    return found


def _p(text: str) -> str:
    return "" if not text else f", p {text}" if text.startswith("<") else f", p = {text}"
