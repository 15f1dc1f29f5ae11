"""What leaves a study beside the page: checklists as CSV, Methods to paste, model cards, Table 1."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from osteotl.files import file_name, spreadsheet_safe, write_csv, write_text
from osteotl.reporting import checklists, methods, model_card
from osteotl.reporting.account import Run
from osteotl.study import Study


def read_run(study: Study, out: Path) -> Run:
    """The files of a finished study that words are written from.

    Raises
    ------
    ValueError
        statistics.json is missing.
    """
    out = Path(out)
    statistics = _json(out / "statistics.json")
    if not statistics:
        raise ValueError("statistics.json is missing: these texts say what 04_statistics found; run ./run_all.sh first")
    return Run(
        study,
        statistics,
        _json(out / "cohorts" / "integrity.json"),
        _json(out / "provenance.json"),
        read_training(statistics, out),
    )


def read_training(statistics: dict[str, Any], out: Path) -> dict[str, dict[str, Any]]:
    """Arm: {"model": model.json, "pairing": pairing.json} of the headline fraction and first seed, where at hand."""
    settings = statistics.get("settings", {})
    share, seed = settings.get("headline_fraction", 1.0), settings.get("first_seed", 0)
    found = {}
    for arm in statistics.get("arms", {}):
        folder = Path(out) / "finetune" / file_name(arm) / f"{share:g}" / str(seed)
        found[arm] = {name: _json(folder / f"{name}.json") for name in ("model", "pairing")}
    return {arm: records for arm, records in found.items() if any(records.values())}


def _json(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def write_exports(study: Study, out: Path) -> list[Path]:
    """Write checklists, Methods, model cards and Table 1 of a finished study.

    Parameters
    ----------
    study : Study
        The configuration that the outputs answer to.
    out : Path
        Outputs folder with statistics.json.

    Returns
    -------
    list of Path
        OUT/checklists/NAME.csv, OUT/methods.md, OUT/model_cards/ARM.md and, where there are cohort tables,
        OUT/table_one.csv. The same inputs give the same bytes.

    Raises
    ------
    ValueError
        statistics.json is missing.
    """
    out, run = Path(out), read_run(study, out)
    paths = []
    for name, table in checklists.tables(checklists.filled(run)).items():
        paths.append(write_csv(out / "checklists" / f"{name}.csv", spreadsheet_safe(table)))
    paths.append(write_text(out / "methods.md", methods.written(run)))
    paths += [write_text(out / "model_cards" / f"{file_name(arm)}.md", model_card.card(run, arm)) for arm in run.arms]
    table = methods.table_one(out)
    if not table.empty:
        paths.append(write_csv(out / "table_one.csv", spreadsheet_safe(table)))
    return paths
