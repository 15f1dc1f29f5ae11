"""plan.csv, plan.json and plan.svg of a study plan."""

from __future__ import annotations

import io
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from osteotl.files import write_csv, write_json, write_text

if TYPE_CHECKING:
    from osteotl.statistics.plan_study import StudyPlan


def write_plan_files(result: StudyPlan, folder: str | Path) -> list[Path]:
    """Write the curve as a table, as JSON and as a picture; the paths written."""
    folder = Path(folder)
    content = {"films": result.films, "sentence": result.sentence(), "settings": result.settings,
               "curve": [asdict(point) for point in result.curve], "remarks": result.remarks}  # fmt: skip
    return [write_csv(folder / "plan.csv", result.table()), write_json(folder / "plan.json", content),
            write_text(folder / "plan.svg", _picture(result))]  # fmt: skip


def _picture(result: StudyPlan) -> str:
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context({"svg.hashsalt": "osteotl"}):
        figure = Figure(figsize=(6, 4), layout="constrained")
        axes = figure.subplots()
        table = result.table()
        axes.fill_between(table["films"], table["lower"], table["upper"], alpha=0.2)
        axes.plot(table["films"], table["power"], marker="o")
        axes.axhline(float(result.settings["power"] or 0), linestyle="--", linewidth=1)
        if result.films:
            axes.axvline(result.films, linestyle=":", linewidth=1)
        axes.set(xscale="log", xlabel="films", ylabel="power", ylim=(0, 1.02), title=result.question)
        file = io.StringIO()
        figure.savefig(file, format="svg", metadata={"Date": None})
    return file.getvalue()
